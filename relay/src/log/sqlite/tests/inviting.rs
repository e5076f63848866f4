//! Invitations that a device brings with its `Open`.

use super::*;
use crate::log::accounts::{NewInvitation, Role};
use crate::log::{Fault, FaultPoint, LogError};

fn invite(log: &mut SqliteLog, space: SpaceId, seed: u64) -> Token {
    invite_as(log, space, seed, Role::Writer)
}

fn invite_as(log: &mut SqliteLog, space: SpaceId, seed: u64, role: Role) -> Token {
    let code = Token::invitation(space, &mut Seeded(seed));
    let new = NewInvitation { space, role, expires_wall_ms: at(1_000).wall_ms };
    log.invite(&code, new, at(0)).unwrap();
    code
}

fn open_with(log: &mut SqliteLog, principal: Principal, space: SpaceId, code: &Token) -> Result<OpenAnswer, LogError> {
    let invitation = code.reveal().parse().ok();
    let request = OpenRequest { channel: Channel(0), space, cursor: None, create: false, invitation };
    log.open(principal, &request, LogId::from_bytes([77; 16]), at(0)).map(Durable::into_inner)
}

fn of(user: &str) -> NewToken {
    NewToken { user: Some(user.to_owned()), ..NewToken::default() }
}

/// What the device of an answer may do, as it is told.
fn told(answer: &OpenAnswer) -> Option<Role> {
    if let OpenAnswer::Served { role, .. } = answer { Some(*role) } else { None }
}

fn is_served(answer: &OpenAnswer) -> bool {
    matches!(answer, OpenAnswer::Served { .. })
}

fn members(log: &mut SqliteLog, space: SpaceId) -> Vec<(String, Role)> {
    log.members(space).unwrap().into_iter().map(|member| (member.user, member.role)).collect()
}

fn uses(log: &mut SqliteLog, space: SpaceId) -> usize {
    log.invitations(space).unwrap().iter().filter(|invitation| invitation.used.is_some()).count()
}

#[test]
fn of_two_who_open_with_one_invitation_at_the_same_time_one_is_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let mut desk = Desk::with(SqliteLog::open(&path).unwrap());
    let space = desk.space;
    let codes: Vec<Token> = (10..30).map(|seed| invite(&mut desk.log, space, seed)).collect();
    // As many pairs of users as there are codes: whoever is a member needs none.
    let mut pair = |seed: u64| {
        ["ben", "cleo"]
            .map(|name| principal(&mut desk.log, &of(&format!("{name}{seed}")), 100 + 2 * seed + name.len() as u64 % 2))
    };
    let pairs: Vec<[Principal; 2]> = (0..20).map(&mut pair).collect();
    let start = std::sync::Barrier::new(2);
    let open_all = |side: usize| {
        let mut log = SqliteLog::open(&path).unwrap();
        let mut open = |(code, pair): (&Token, &[Principal; 2])| {
            start.wait();
            open_with(&mut log, pair[side], space, code).unwrap()
        };
        codes.iter().zip(&pairs).map(&mut open).collect::<Vec<_>>()
    };
    let (ones, others) = std::thread::scope(|scope| {
        let ones = scope.spawn(|| open_all(0));
        (open_all(1), ones.join().unwrap())
    });
    for (one, other) in ones.iter().zip(&others) {
        assert!(is_served(one) != is_served(other), "{one:?} and {other:?}");
    }
    assert_eq!(members(&mut desk.log, space).len(), 1 + codes.len(), "one of each two, and the owner");
    assert_eq!(uses(&mut desk.log, space), codes.len());
}

#[test]
fn a_member_whom_an_invitation_gives_no_more_keeps_the_role_and_leaves_it_to_others() {
    let mut desk = Desk::new();
    let space = desk.space;
    let ben = principal(&mut desk.log, &of("ben"), 2);
    let code = invite(&mut desk.log, space, 10);
    for role in [Role::Writer, Role::Owner] {
        desk.log.grant(space, "ben", role, at(0)).unwrap();
        for _ in 0..2 {
            assert_eq!(told(&open_with(&mut desk.log, ben, space, &code).unwrap()), Some(role));
        }
        assert_eq!(uses(&mut desk.log, space), 0);
        assert_eq!(members(&mut desk.log, space)[0], ("ben".to_owned(), role));
    }
    desk.log.remove_member(space, "ben", at(0)).unwrap();
    assert!(is_served(&open_with(&mut desk.log, ben, space, &code).unwrap()), "the control");
    assert_eq!((uses(&mut desk.log, space), &members(&mut desk.log, space)[0].1), (1, &Role::Writer));
}

#[test]
fn an_invitation_to_a_higher_role_raises_a_member_once_and_the_device_is_told() {
    let mut desk = Desk::new();
    let space = desk.space;
    let ben = principal(&mut desk.log, &of("ben"), 2);
    desk.log.grant(space, "ben", Role::Reader, at(0)).unwrap();
    for (number, role) in [Role::Writer, Role::Owner].into_iter().enumerate() {
        let code = invite_as(&mut desk.log, space, 10 + number as u64, role);
        for _ in 0..2 {
            assert_eq!(told(&open_with(&mut desk.log, ben, space, &code).unwrap()), Some(role));
        }
        assert_eq!(uses(&mut desk.log, space), number + 1, "used up by what it gave");
        assert_eq!(members(&mut desk.log, space)[0], ("ben".to_owned(), role));
    }
}

#[test]
fn a_token_that_only_reads_uses_no_invitation_up_that_would_let_its_user_write() {
    let mut desk = Desk::new();
    let space = desk.space;
    let looks = principal(&mut desk.log, &NewToken { read_only: true, ..of("ben") }, 2);
    desk.log.grant(space, "ben", Role::Reader, at(0)).unwrap();
    let code = invite(&mut desk.log, space, 10);
    assert_eq!(told(&open_with(&mut desk.log, looks, space, &code).unwrap()), Some(Role::Reader));
    assert_eq!((uses(&mut desk.log, space), members(&mut desk.log, space)[0].1), (0, Role::Reader));
    let writes = principal(&mut desk.log, &of("ben"), 3);
    assert_eq!(told(&open_with(&mut desk.log, writes, space, &code).unwrap()), Some(Role::Writer), "the control");
    assert_eq!(uses(&mut desk.log, space), 1);
}

#[test]
fn two_devices_of_one_member_with_one_invitation_are_raised_once_and_neither_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let mut desk = Desk::with(SqliteLog::open(&path).unwrap());
    let space = desk.space;
    let codes: Vec<Token> = (10..30).map(|seed| invite(&mut desk.log, space, seed)).collect();
    let mut pair = |number: u64| {
        let name = format!("ben{number}");
        let devices = [0, 1].map(|side| principal(&mut desk.log, &of(&name), 100 + 2 * number + side));
        desk.log.grant(space, &name, Role::Reader, at(0)).unwrap();
        devices
    };
    let pairs: Vec<[Principal; 2]> = (0..20).map(&mut pair).collect();
    let start = std::sync::Barrier::new(2);
    let open_all = |side: usize| {
        let mut log = SqliteLog::open(&path).unwrap();
        let mut open = |(code, pair): (&Token, &[Principal; 2])| {
            start.wait();
            open_with(&mut log, pair[side], space, code).unwrap()
        };
        codes.iter().zip(&pairs).map(&mut open).collect::<Vec<_>>()
    };
    let (ones, others) = std::thread::scope(|scope| {
        let ones = scope.spawn(|| open_all(0));
        (open_all(1), ones.join().unwrap())
    });
    for answer in ones.iter().chain(&others) {
        assert_eq!(told(answer), Some(Role::Writer), "{answer:?}");
    }
    assert_eq!(uses(&mut desk.log, space), codes.len(), "each once");
}

#[test]
fn a_crash_leaves_an_invitation_unused_or_its_user_a_member() {
    for fault in [Fault::Crash, Fault::Error] {
        for (point, is_done) in [(FaultPoint::BeforeCommit, false), (FaultPoint::AfterCommit, true)] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("log.sqlite");
            let mut desk = Desk::with(SqliteLog::open(&path).unwrap());
            let space = desk.space;
            let ben = principal(&mut desk.log, &of("ben"), 2);
            let code = invite(&mut desk.log, space, 10);
            desk.log.inject_faults(move |here| (here == point).then_some(fault));
            open_with(&mut desk.log, ben, space, &code).unwrap_err();
            drop(desk);
            let mut log = SqliteLog::open(&path).unwrap();
            let is_member = members(&mut log, space).iter().any(|(user, _)| user == "ben");
            assert_eq!((is_member, uses(&mut log, space)), (is_done, usize::from(is_done)), "{point:?}, {fault:?}");
            assert!(is_served(&open_with(&mut log, ben, space, &code).unwrap()), "the device asks once more");
            assert_eq!(uses(&mut log, space), 1);
        }
    }
}

#[test]
fn a_guess_takes_no_lock_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let mut desk = Desk::with(SqliteLog::open(&path).unwrap());
    let space = desk.space;
    let ben = principal(&mut desk.log, &of("ben"), 2);
    let code = invite(&mut desk.log, space, 10);
    let before = desk.log.write_transactions();
    // Somebody else has the lock: whoever wants it waits, in vain.
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for seed in 100..120 {
        let guess = Token::invitation(space, &mut Seeded(seed));
        let answer = open_with(&mut desk.log, ben, space, &guess).unwrap();
        assert!(matches!(answer, OpenAnswer::Refused(SpaceCode::UnknownOrForbidden)), "{answer:?}");
    }
    assert_eq!(desk.log.write_transactions(), before);
    drop(other);
    assert!(is_served(&open_with(&mut desk.log, ben, space, &code).unwrap()), "the control");
    assert_eq!(desk.log.write_transactions(), before + 1);
}

#[test]
fn where_anyone_may_do_everything_an_invitation_is_nothing() {
    let mut desk = Desk::new();
    let space = desk.space;
    let code = invite(&mut desk.log, space, 10);
    assert!(is_served(&open_with(&mut desk.log, Principal::ANYONE, space, &code).unwrap()));
    let nowhere = SpaceId::from_bytes([99; 16]);
    let answer = open_with(&mut desk.log, Principal::ANYONE, nowhere, &code).unwrap();
    assert!(matches!(answer, OpenAnswer::Refused(SpaceCode::UnknownOrForbidden)), "{answer:?}");
    assert_eq!(uses(&mut desk.log, space), 0);
}
