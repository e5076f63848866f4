use super::*;
use crate::log::accounts::{AccountError, TokenSummary};
use crate::log::{Ended, Quotas};
use crate::testing::Author;
use afield_core::wire::SpaceCode;

fn of_user(user: &str) -> NewToken {
    NewToken { user: Some(user.to_owned()), may_create: true, ..NewToken::default() }
}

/// What a principal hears about a space, in every answer there is.
fn hears(log: &mut SqliteLog, principal: Principal, space: SpaceId, told: Cursor, create: bool) -> String {
    let opened = [None, Some(told)].map(|cursor| open(log, principal, space, cursor, create));
    let read = log.read(principal, &read_request(space, told), at(0)).unwrap().into_inner();
    let appended = append(log, principal, request(space, told, vec![Author::new(5, 5).chunk("x")]));
    format!("{opened:?} {read:?} {appended:?}")
}

#[test]
fn an_unknown_and_a_forbidden_space_look_the_same() {
    let mut desk = Desk::new();
    desk.push(Author::new(1, 1).chunks(2));
    let (space, told, unknown) = (desk.space, desk.told, SpaceId::from_bytes([99; 16]));
    let stranger = principal(&mut desk.log, &of_user("stranger"), 2);
    let forbidden = hears(&mut desk.log, stranger, space, told, false);
    assert_eq!(forbidden, hears(&mut desk.log, stranger, unknown, told, false), "R6");
    assert_eq!(forbidden.matches("Refused(UnknownOrForbidden)").count(), 4);
    let own = hears(&mut desk.log, desk.principal, space, told, false);
    assert!(!own.contains("Refused"), "the control: {own}");
}

#[test]
fn knowing_the_id_of_a_space_takes_nothing_from_its_owner() {
    let mut desk = Desk::new();
    let stranger = principal(&mut desk.log, &of_user("stranger"), 2);
    let opened = open(&mut desk.log, stranger, desk.space, None, true);
    assert!(matches!(opened, OpenAnswer::Refused(SpaceCode::UnknownOrForbidden)), "R6: {opened:?}");
    assert!(!open_is_refused(&mut desk.log, desk.principal, desk.space));
}

fn open_is_refused(log: &mut SqliteLog, principal: Principal, space: SpaceId) -> bool {
    matches!(open(log, principal, space, None, false), OpenAnswer::Refused(SpaceCode::UnknownOrForbidden))
}

#[test]
fn a_space_belongs_to_the_user_and_so_to_all_of_its_tokens() {
    let mut desk = Desk::new();
    let phone = principal(&mut desk.log, &NewToken::default(), 2);
    assert!(!open_is_refused(&mut desk.log, phone, desk.space));
    let standing = desk.log.standing(phone, usize::MAX, at(0)).unwrap().unwrap();
    assert_eq!((standing.spaces, standing.may_create), (vec![desk.space], false));
    assert!(desk.log.standing(desk.principal, usize::MAX, at(0)).unwrap().unwrap().may_create, "the control");
}

#[test]
fn a_token_for_some_spaces_has_no_others() {
    let mut desk = Desk::new();
    let listed = SpaceId::from_bytes([2; 16]);
    let narrow = NewToken { spaces: vec![listed], may_create: true, ..NewToken::default() };
    let narrow = principal(&mut desk.log, &narrow, 2);
    assert!(open_is_refused(&mut desk.log, narrow, desk.space));
    let unlisted = SpaceId::from_bytes([3; 16]);
    assert!(matches!(open(&mut desk.log, narrow, unlisted, None, true), OpenAnswer::Refused(_)));
    create(&mut desk.log, narrow, listed, 2);
    assert_eq!(desk.log.standing(narrow, usize::MAX, at(0)).unwrap().unwrap().spaces, [listed]);
    assert_eq!(desk.log.standing(desk.principal, usize::MAX, at(0)).unwrap().unwrap().spaces, [desk.space, listed]);
}

#[test]
fn only_a_token_that_may_creates_a_space_and_only_within_the_quota() {
    let mut log = SqliteLog::open_in_memory().unwrap();
    log = log.with_quotas(Quotas { spaces_per_user_max: 1, ..Quotas::DEFAULT });
    let may_not = principal(&mut log, &NewToken::default(), 1);
    let read_only = principal(&mut log, &NewToken { may_create: true, read_only: true, ..NewToken::default() }, 2);
    let may = principal(&mut log, &NewToken { may_create: true, ..NewToken::default() }, 3);
    let (one, two) = (SpaceId::from_bytes([1; 16]), SpaceId::from_bytes([2; 16]));
    for principal in [may_not, read_only] {
        let opened = open(&mut log, principal, one, None, true);
        assert!(matches!(opened, OpenAnswer::Refused(SpaceCode::UnknownOrForbidden)));
    }
    create(&mut log, may, one, 1);
    assert!(matches!(open(&mut log, may, two, None, true), OpenAnswer::Refused(SpaceCode::Quota)));
    assert!(matches!(open(&mut log, may_not, one, None, true), OpenAnswer::Served { .. }), "it exists now");
}

#[test]
fn a_read_only_token_reads_and_writes_nothing() {
    let mut desk = Desk::new();
    let chunk = Author::new(1, 1).chunk("x");
    let reader = principal(&mut desk.log, &NewToken { read_only: true, ..NewToken::default() }, 2);
    let refused = desk.request(vec![chunk.clone(), chunk.clone()]);
    let AppendAnswer::Verdicts(verdicts) = append(&mut desk.log, reader, refused) else { panic!() };
    assert_eq!(verdicts.iter().map(code).collect::<Vec<_>>(), [Some(ChunkCode::ReadOnly), Some(ChunkCode::Blocked)]);
    assert!(is_stored(&desk.push(vec![chunk])[0]), "the control");
    let wanted = read_request(desk.space, desk.start());
    let answer = desk.log.read(reader, &wanted, at(0)).unwrap().into_inner();
    assert!(matches!(answer, ReadAnswer::Run { run, .. } if run.entries().len() == 1));
}

#[test]
fn a_revoked_and_an_expired_token_do_nothing_more() {
    let mut desk = Desk::new();
    desk.push(Author::new(1, 1).chunks(1));
    let (space, told) = (desk.space, desk.told);
    let expires = Some(at(1_000).wall_ms);
    let tokens = [Token::new(&mut Seeded(5)), Token::new(&mut Seeded(6))];
    let number = desk.log.create_token(&tokens[0], &NewToken::default(), at(0)).unwrap();
    let expiring = NewToken { expires_wall_ms: expires, ..NewToken::default() };
    desk.log.create_token(&tokens[1], &expiring, at(0)).unwrap();
    let principals =
        tokens.each_ref().map(|token| match desk.log.authenticate(&token.hash(), DEVICE, at(0)).unwrap() {
            Authentication::Good(principal) => principal,
            other => panic!("{other:?}"),
        });
    let may = |log: &mut SqliteLog, principal, now| {
        let read = log.read(principal, &read_request(space, told), now).unwrap().into_inner();
        let empty = vec![(principal, request(space, told, Vec::new()))];
        let Appended { answers: appended, .. } = log.append(empty, now).unwrap().into_inner();
        let request = OpenRequest { channel: Channel(0), space, cursor: None, create: true, invitation: None };
        let opened = log.open(principal, &request, LogId::from_bytes([3; 16]), now).unwrap().into_inner();
        [
            matches!(read, ReadAnswer::Run { .. }),
            matches!(appended[..], [AppendAnswer::Verdicts(_)]),
            matches!(opened, OpenAnswer::Served { .. }),
            log.standing(principal, usize::MAX, now).unwrap().is_some(),
        ]
    };
    for principal in principals {
        assert_eq!(may(&mut desk.log, principal, at(999)), [true; 4], "the control");
    }
    desk.log.revoke_token(number, at(999)).unwrap();
    assert!(matches!(desk.log.revoke_token(number, at(999)), Err(AccountError::NoSuchToken(_))), "only once");
    for principal in principals {
        assert_eq!(may(&mut desk.log, principal, at(1_000)), [false; 4], "R7");
    }
    for (token, why) in tokens.iter().zip([Ended::SignedOut, Ended::Expired]) {
        let found = desk.log.authenticate(&token.hash(), DEVICE, at(1_000)).unwrap();
        assert_eq!(found, Authentication::Ended(why));
    }
    let never = Token::new(&mut Seeded(7));
    assert_eq!(desk.log.authenticate(&never.hash(), DEVICE, at(0)).unwrap(), Authentication::Unknown);
}

#[test]
fn tokens_are_listed_without_what_would_open_the_door() {
    let mut desk = Desk::new();
    let new = NewToken {
        user: Some("ada".to_owned()),
        name: Some("her phone".to_owned()),
        spaces: vec![desk.space],
        read_only: true,
        may_create: false,
        administers: false,
        expires_wall_ms: Some(9),
    };
    desk.log.create_user("ada", at(0)).unwrap();
    let token = Token::new(&mut Seeded(8));
    let number = desk.log.create_token(&token, &new, at(0)).unwrap();
    let listed = desk.log.tokens().unwrap().pop().unwrap();
    assert!(!format!("{listed:?}").contains(token.reveal()));
    let expected = TokenSummary {
        number,
        user: "ada".to_owned(),
        name: new.name,
        spaces: Some(new.spaces),
        read_only: true,
        may_create: false,
        administers: false,
        signed: false,
        created_wall_ms: at(0).wall_ms,
        expires_wall_ms: Some(9),
        revoked_wall_ms: None,
    };
    assert_eq!(listed, expected);
    let stored: i64 = desk
        .log
        .connection
        .query_row("SELECT count(*) FROM tokens WHERE hash = ?1", [token.reveal().as_bytes()], |row| row.get(0))
        .unwrap();
    assert_eq!(stored, 0, "only its hash is stored");
}

#[test]
fn a_restored_backup_gives_a_lost_token_to_nobody_else() {
    let mut desk = Desk::new();
    let backup = desk.log.snapshot().unwrap();
    let lost = principal(&mut desk.log, &of_user("lost"), 2);
    desk.log.restore(&backup).unwrap();
    principal(&mut desk.log, &of_user("somebody else, in the same row"), 3);
    assert_eq!(desk.log.standing(lost, usize::MAX, at(0)).unwrap(), None, "R7");
}
