//! Lists that are given part by part, while what is listed comes and goes.

use super::*;
use crate::log::accounts::{AccountError, Accounts, NewInvitation, NewToken, Role, SessionFilter};
use crate::log::{Page, Part, SeenDevice, SessionNote, SessionNotes, Token};
use crate::testing::{Seeded, at};
use afield_core::{DeviceId, SessionId, SpaceId};
use std::collections::BTreeSet;
use std::fmt::Debug;

/// Reads a list in parts of two, with something done between them; nothing comes twice.
fn read<T: Clone + Debug, K: Ord + Clone + Debug>(
    log: &mut SqliteLog,
    list: impl Fn(&mut SqliteLog, &Part) -> Result<Page<T>, AccountError>,
    key: impl Fn(&T) -> K,
    mut between: impl FnMut(&mut SqliteLog, &[T]),
) -> BTreeSet<K> {
    let (mut seen, mut part) = (BTreeSet::new(), Part { after: None, limit: 2 });
    loop {
        let page = list(log, &part).unwrap();
        assert!(page.rows.len() <= 2);
        for row in &page.rows {
            assert!(seen.insert(key(row)), "{row:?} came twice");
        }
        between(log, &page.rows);
        match page.next {
            Some(next) => part.after = Some(next),
            None => return seen,
        }
    }
}

/// Reads a list in parts while nothing happens, so that a row that stands at the end of a part could come twice.
fn read_at_rest<T: Clone + Debug, K: Ord + Clone + Debug>(
    log: &mut SqliteLog,
    list: impl Fn(&mut SqliteLog, &Part) -> Result<Page<T>, AccountError>,
    key: impl Fn(&T) -> K,
) -> BTreeSet<K> {
    read(log, list, key, |_, _| {})
}

fn refuses_a_wrong_place<T: Debug>(
    log: &mut SqliteLog,
    list: impl Fn(&mut SqliteLog, &Part) -> Result<Page<T>, AccountError>,
) {
    let wrong = Part { after: Some("nowhere".to_owned()), limit: 2 };
    assert!(matches!(list(log, &wrong), Err(AccountError::After)));
}

#[test]
fn users_and_their_tokens_come_once_while_others_are_made_and_purged() {
    let mut log = SqliteLog::open_in_memory().unwrap();
    for number in 0..7 {
        log.create_user(&format!("user {number}"), at(0)).unwrap();
        let new = NewToken { user: Some(format!("user {number}")), ..NewToken::default() };
        log.create_token(&Token::new(&mut Seeded(number)), &new, at(0)).unwrap();
    }
    assert_eq!(read_at_rest(&mut log, |log, part| log.list_users(part), |user| user.name.clone()).len(), 1 + 7);
    assert_eq!(read_at_rest(&mut log, |log, part| log.list_tokens(part), |token| token.number).len(), 7);
    let mut made = 0;
    let names = read(
        &mut log,
        |log, part| log.list_users(part),
        |user| user.name.clone(),
        |log, rows| {
            // The last one that was read goes, and somebody new comes.
            let last = rows.last().map(|user| user.name.clone()).filter(|name| name.starts_with("user "));
            last.into_iter().for_each(|name| drop(log.purge_user(&name, false, at(1)).unwrap()));
            made += u32::from(made < 3);
            drop(log.create_user(&format!("late {made}"), at(1)));
        },
    );
    assert!((0..7).all(|number| names.contains(&format!("user {number}"))), "{names:?}");
    let all = log.tokens().unwrap().len();
    let numbers = read(
        &mut log,
        |log, part| log.list_tokens(part),
        |token| token.number,
        |log, rows| {
            let last = rows.last().map(|token| token.number);
            last.into_iter().for_each(|number| drop(log.revoke_token(number, at(2))));
        },
    );
    assert_eq!(numbers.len(), all);
    refuses_a_wrong_place(&mut log, |log, part| log.list_users(part));
    refuses_a_wrong_place(&mut log, |log, part| log.list_tokens(part));
}

#[test]
fn spaces_their_members_and_invitations_come_once_while_some_go() {
    let mut log = SqliteLog::open_in_memory().unwrap();
    let spaces: Vec<_> = (1..=7_u8).map(|number| SpaceId::from_bytes([number; 16])).collect();
    for (number, space) in (1_i64..).zip(&spaces) {
        let sql = "INSERT INTO spaces (number, id, log, sequence, chain, chunks, bytes, created_ms)
            VALUES (?1, ?2, ?2, 0, zeroblob(32), 0, 0, 0)";
        log.connection().execute(sql, rusqlite::params![number, space.as_bytes()]).unwrap();
    }
    let first = spaces[0];
    for name in ["ada", "ben", "cyd", "dan", "eve"] {
        log.create_user(name, at(0)).unwrap();
        log.grant(first, name, Role::Owner, at(0)).unwrap();
        let new = NewInvitation { space: first, role: Role::Reader, expires_wall_ms: at(1).wall_ms };
        log.invite(&Token::new(&mut Seeded(name.len() as u64 + u64::from(name.as_bytes()[0]))), new, at(0)).unwrap();
    }
    // One of another space, which is in no list of the first.
    let new = NewInvitation { space: spaces[1], role: Role::Reader, expires_wall_ms: at(1).wall_ms };
    log.invite(&Token::new(&mut Seeded(99)), new, at(0)).unwrap();
    log.grant(spaces[1], "default", Role::Owner, at(0)).unwrap();
    let named = |log: &mut SqliteLog, part: &Part| log.list_members(first, part);
    assert_eq!(read_at_rest(&mut log, named, |member| member.user.clone()).len(), 5);
    assert_eq!(read_at_rest(&mut log, |log, part| log.list_spaces(part), |space| space.id).len(), 7);
    let members = read(
        &mut log,
        |log, part| log.list_members(first, part),
        |member| member.user.clone(),
        |log, rows| {
            rows.last()
                .into_iter()
                .for_each(|member| log.remove_member(first, &member.user, at(1)).unwrap_or_default());
        },
    );
    assert_eq!(members.into_iter().collect::<Vec<_>>(), ["ada", "ben", "cyd", "dan", "eve"]);
    let list = |log: &mut SqliteLog, part: &Part| log.list_invitations(first, part);
    assert_eq!(read(&mut log, list, |invitation| invitation.number, |_, _| {}).len(), 5);
    refuses_a_wrong_place(&mut log, list);
    let ids = read(
        &mut log,
        |log, part| log.list_spaces(part),
        |space| space.id,
        |log, rows| {
            rows.last().into_iter().for_each(|space| assert!(log.purge_space(space.id, at(1)).unwrap().is_some()));
        },
    );
    assert_eq!(ids, spaces.into_iter().collect());
    refuses_a_wrong_place(&mut log, |log, part| log.list_spaces(part));
}

#[test]
fn devices_and_sessions_come_once_although_they_are_heard_meanwhile() {
    let mut log = SqliteLog::open_in_memory().unwrap();
    let token = Token::new(&mut Seeded(1));
    log.create_token(&token, &NewToken::default(), at(0)).unwrap();
    let seen = |number: u8, ms| SeenDevice {
        user: DEFAULT_USER,
        device: DeviceId::from_bytes([number; 16]),
        token: token.hash(),
        address: None,
        seen_wall_ms: at(ms).wall_ms,
    };
    let session = |number: u8| SessionNote {
        id: SessionId::from_bytes([number; 16]),
        user: Some(DEFAULT_USER),
        device: DeviceId::from_bytes([number; 16]),
        token: Some(token.hash()),
        address: None,
        // Two came in the same millisecond.
        since_wall_ms: at(u64::from(number / 2)).wall_ms,
        heard_wall_ms: at(0).wall_ms,
        queued_bytes: 0,
        spaces: Vec::new(),
    };
    let here = (1..=7).map(session).collect();
    let all: Vec<_> = (1..=7).map(|number| seen(number, u64::from(number))).collect();
    log.note_roster(&all, &SessionNotes { here, ..SessionNotes::default() }).unwrap();
    let list = |log: &mut SqliteLog, part: &Part| log.list_sessions(&SessionFilter::default(), part);
    assert_eq!(read_at_rest(&mut log, list, |session| session.device).len(), 7);
    let expected: BTreeSet<_> = (1..=7).map(|number| DeviceId::from_bytes([number; 16])).collect();
    for user in [None, Some("default")] {
        let list = |log: &mut SqliteLog, part: &Part| log.list_devices(user, part);
        let devices = read(
            &mut log,
            list,
            |device| device.id,
            |log, rows| {
                // Whoever was read last is heard again, and whoever comes last in time.
                let last = rows.last().map(|device| device.id.as_bytes()[0]).unwrap();
                log.note_devices(&[seen(last, 100), seen(7, 200)]).unwrap();
            },
        );
        assert_eq!(devices, expected);
        refuses_a_wrong_place(&mut log, list);
    }
    let list = |log: &mut SqliteLog, part: &Part| log.list_sessions(&SessionFilter::default(), part);
    let sessions = read(
        &mut log,
        list,
        |session| session.device,
        |log, rows| {
            let gone = rows.last().map(|session| session.id).into_iter().collect();
            log.note_roster(&[], &SessionNotes { gone, ..SessionNotes::default() }).unwrap();
        },
    );
    assert_eq!(sessions, expected);
    refuses_a_wrong_place(&mut log, list);
}

#[test]
fn devices_of_several_users_come_once_whatever_their_ids() {
    let mut log = SqliteLog::open_in_memory().unwrap();
    let mut expected = BTreeSet::new();
    // The first user has the greatest ids, and each has one that another has, too.
    for (user, ids) in [("ada", [7, 8, 9]), ("ben", [1, 5, 8]), ("cyd", [2, 5, 6])] {
        let new = NewToken { user: Some(user.to_owned()), ..NewToken::default() };
        let principal = principal(&mut log, &new, user.len() as u64 + u64::from(user.as_bytes()[0]));
        for id in ids {
            let device = DeviceId::from_bytes([id; 16]);
            let (token, seen_wall_ms) = (principal.token.unwrap(), at(u64::from(10 - id)).wall_ms);
            log.note_devices(&[SeenDevice { user: principal.user, device, token, address: None, seen_wall_ms }])
                .unwrap();
            expected.insert((user.to_owned(), device));
        }
    }
    let devices =
        read_at_rest(&mut log, |log, part| log.list_devices(None, part), |device| (device.user.clone(), device.id));
    assert_eq!(devices, expected);
    let of_ben = read_at_rest(
        &mut log,
        |log, part| log.list_devices(Some("ben"), part),
        |device| device.user.clone() + &device.id.to_string(),
    );
    assert!(of_ben.len() == 3 && of_ben.iter().all(|device| device.starts_with("ben")), "{of_ben:?}");
}
