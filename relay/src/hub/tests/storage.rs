//! What a storage that fails, or a defect, costs: no session but those it concerns.

use super::*;
use crate::log::{Fault, FaultPoint};
use crate::signed::SignedTokens;
use crate::testing::Backend;
use rusqlite::Connection;
use std::path::PathBuf;

const ELSEWHERE: SpaceId = SpaceId::from_bytes([2; 16]);

/// A relay on a file.
fn on_disk() -> (tempfile::TempDir, PathBuf, Relay) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let relay = Relay::with(SqliteLog::open(&path).unwrap());
    (folder, path, relay)
}

fn open_elsewhere() -> ToRelay<'static> {
    ToRelay::Open(Open {
        channel: Channel(1),
        space: ELSEWHERE,
        cursor: None,
        create: true,
        raw: false,
        filter: afield_core::Filter::Everything,
        partial: false,
        invitation: None,
    })
}

fn refusals(seen: &[Seen]) -> Vec<ChunkCode> {
    let runs = seen.iter().filter_map(|seen| if let Seen::Receipt(_, runs) = seen { Some(runs) } else { None });
    runs.flatten()
        .filter_map(|run| if let ReceiptRun::Refused { code, .. } = run { Some(*code) } else { None })
        .collect()
}

#[test]
fn damage_in_one_entity_ends_no_session_of_the_turn() {
    let (_folder, path, mut relay) = on_disk();
    let (one, two) = (relay.device(1), relay.device(2));
    let mut author = Author::new(1, 1);
    let known = author.edit("in the log");
    relay.push_bytes(one, 1, author.entity, std::slice::from_ref(&known));
    relay.push(one, 2, &mut Author::new(9, 9), &["the head"]);
    relay.turn();
    relay.seen(one);
    relay.seen(two);
    let damaged =
        Connection::open(&path).unwrap().execute("UPDATE chunks SET chain = x'00' WHERE position & 15 = 1", []);
    assert_eq!(damaged, Ok(1));

    relay.push_bytes(one, 3, author.entity, &[known, author.edit("behind it")]);
    relay.push(two, 1, &mut Author::new(2, 2), &["of somebody else"]);
    relay.turn();
    assert_eq!(refusals(&relay.seen(one)), [ChunkCode::Unavailable, ChunkCode::Blocked]);
    assert_eq!(relay.seen(two)[0], Seen::Receipt(1, stored(3, 1)));
    relay.push(one, 4, &mut Author::new(3, 3), &["the session goes on"]);
    relay.turn();
    assert_eq!(relay.seen(one)[0], Seen::Receipt(4, stored(4, 1)));
    assert_eq!(foreign(&relay.seen(two)).len(), 1);
}

#[test]
fn a_space_that_a_full_disk_cannot_take_is_refused_and_the_session_reads_on() {
    let (_folder, _path, mut relay) = on_disk();
    let (one, two) = (relay.device(1), relay.device(2));
    relay.push(one, 1, &mut Author::new(1, 1), &["a"]);
    relay.turn();
    relay.seen(two);
    let room = |relay: &Relay, pages: i64| {
        let connection = relay.hub.log.connection();
        let now: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        connection.pragma_update_and_check(None, "max_page_count", now + pages, |_| Ok(())).unwrap();
    };
    // A table that fills the pages there are, so that the next row needs one more.
    let fill = "CREATE TABLE filler (x); WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
        INSERT INTO spaces (id, log, sequence, chain, chunks, bytes, created_ms)
        SELECT randomblob(900), randomblob(16), 0, zeroblob(32), 0, 0, 0 FROM n";
    room(&relay, 1_000);
    relay.hub.log.connection().execute_batch(fill).unwrap();
    room(&relay, 0);
    let mut refused = false;
    for space in 10..=250 {
        let space = SpaceId::from_bytes([space; 16]);
        let frame = Open {
            channel: Channel(1),
            space,
            cursor: None,
            create: true,
            raw: false,
            filter: afield_core::Filter::Everything,
            partial: false,
            invitation: None,
        };
        relay.send(two, ToRelay::Open(frame));
        relay.turn();
        if relay.seen(two) == [Seen::Refused(SpaceCode::Unavailable)] {
            refused = true;
            break;
        }
    }
    assert!(refused, "the disk is full");
    assert!(!relay.is_closed(two));
    let third = relay.device(3);
    assert!(!relay.is_closed(third));
    assert_eq!(relay.everything().len(), 1, "reads go on");

    room(&relay, 100);
    relay.send(two, open_elsewhere());
    relay.push(one, 2, &mut Author::new(4, 4), &["b"]);
    relay.turn();
    let seen = relay.seen(two);
    assert!(
        seen.contains(&Seen::CaughtUp(0)) && foreign(&seen).len() == 1,
        "the control: there is room again: {seen:?}"
    );
}

#[test]
fn a_read_only_file_and_a_busy_one_refuse_the_space_that_would_be_made() {
    let (_folder, path, mut relay) = on_disk();
    let one = relay.device(1);
    relay.hub.log.connection().busy_timeout(std::time::Duration::ZERO).unwrap();
    relay.hub.log.connection().pragma_update(None, "query_only", true).unwrap();
    relay.send(one, open_elsewhere());
    relay.turn();
    assert_eq!(relay.seen(one), [Seen::Refused(SpaceCode::Unavailable)]);
    relay.hub.log.connection().pragma_update(None, "query_only", false).unwrap();

    let beside = Connection::open(path).unwrap();
    beside.execute_batch("BEGIN IMMEDIATE").unwrap();
    relay.send(one, open_elsewhere());
    relay.push(one, 1, &mut Author::new(1, 1), &["while it is held"]);
    relay.turn();
    assert_eq!(relay.seen(one), [Seen::Refused(SpaceCode::Unavailable), Seen::Refused(SpaceCode::Unavailable)]);
    beside.execute_batch("ROLLBACK").unwrap();
    assert!(!relay.is_closed(one));

    relay.send(one, open_elsewhere());
    relay.turn();
    assert!(matches!(relay.seen(one)[..], [Seen::Opened(_), Seen::CaughtUp(0)]), "the control");
}

/// A relay on a file that takes what a backend signs.
fn with_backend() -> (tempfile::TempDir, PathBuf, Relay, Backend) {
    let backend = Backend::new();
    let (folder, path, Relay { hub, now_ms, token, links }) = on_disk();
    let hub = hub.with_signed_tokens(SignedTokens::open(backend.options()).unwrap());
    (folder, path, Relay { hub, now_ms, token, links }, backend)
}

/// What somebody hears who comes with a token that was signed for a user, and when to come back.
fn knock(relay: &mut Relay, backend: &Backend, subject: &str) -> (Seen, Option<u64>) {
    let token = backend.token(subject, at(0), &serde_json::json!({}));
    let id = relay.connect_as(Some(&token));
    relay.send(id, ToRelay::Hello(hello(9)));
    relay.turn();
    let [message] = &relay.raw(id)[..] else { panic!("one answer") };
    relay.hub.disconnect(id);
    let retry_after_ms = match Message::open(message).unwrap().to_device().unwrap() {
        ToDevice::Goodbye(goodbye) => goodbye.retry_after_ms,
        _ => None,
    };
    (understand(message), retry_after_ms)
}

#[test]
fn a_signed_token_that_cannot_be_noted_now_is_told_to_come_back_later() {
    let later = (Seen::Goodbye(GoodbyeCode::Unavailable), Some(30_000));
    let is_welcome = |heard: &(Seen, Option<u64>)| matches!(heard.0, Seen::Welcome(_));
    let (_folder, path, mut relay, backend) = with_backend();
    assert!(is_welcome(&knock(&mut relay, &backend, "known")), "the control");
    relay.hub.log.connection().busy_timeout(std::time::Duration::ZERO).unwrap();
    relay.hub.log.connection().pragma_update(None, "query_only", true).unwrap();
    assert_eq!(knock(&mut relay, &backend, "read-only"), later);
    let session = relay.device(1);
    let fresher = backend.token("read-only", at(0), &serde_json::json!({}));
    relay.send(session, ToRelay::Authenticate(wire::Authenticate { token: fresher }));
    relay.turn();
    assert_eq!(relay.seen(session), [Seen::Goodbye(GoodbyeCode::Unavailable)]);
    relay.hub.log.connection().pragma_update(None, "query_only", false).unwrap();

    let beside = Connection::open(path).unwrap();
    beside.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(knock(&mut relay, &backend, "busy"), later);
    beside.execute_batch("ROLLBACK").unwrap();

    let room = |relay: &Relay, pages: i64| {
        let connection = relay.hub.log.connection();
        let now: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        connection.pragma_update_and_check(None, "max_page_count", now + pages, |_| Ok(())).unwrap();
    };
    room(&relay, 0);
    let refused = (0..500).map(|number| format!("full {number}")).find(|subject| {
        let heard = knock(&mut relay, &backend, subject);
        assert!(heard == later || is_welcome(&heard), "{heard:?}");
        heard == later
    });
    let refused = refused.expect("the disk is full");
    assert!(is_welcome(&knock(&mut relay, &backend, "known")), "who was noted before comes in");
    room(&relay, 100);
    assert!(is_welcome(&knock(&mut relay, &backend, &refused)), "the control: there is room again");
}

#[test]
fn what_a_failed_turn_may_have_committed_reaches_the_readers() {
    let mut relay = Relay::new();
    let (one, two) = (relay.device(1), relay.device(2));
    let mut failures = 1;
    relay.hub.log_mut().inject_faults(move |point| {
        failures -= i32::from(point == FaultPoint::AfterCommit);
        (failures >= 0 && point == FaultPoint::AfterCommit).then_some(Fault::Error)
    });
    relay.push(one, 1, &mut Author::new(1, 1), &["committed, and nobody knows"]);
    relay.turn();
    assert_eq!(relay.seen(one), [Seen::Goodbye(GoodbyeCode::Internal)], "R1");
    assert_eq!(foreign(&relay.seen(two)).len(), 1, "R9");
}

#[test]
fn a_panic_while_appending_ends_the_sessions_of_that_turn_and_not_the_relay() {
    let mut relay = Relay::new();
    let (one, idle) = (relay.device(1), relay.device(2));
    let mut panics = 1;
    relay.hub.log_mut().inject_faults(move |point| {
        panics -= i32::from(point == FaultPoint::BeforeCommit);
        assert!(panics < 0, "injected");
        None
    });
    relay.push(one, 1, &mut Author::new(1, 1), &["a"]);
    relay.turn();
    assert_eq!(relay.seen(one), [Seen::Goodbye(GoodbyeCode::Internal)]);
    assert!(relay.is_closed(one) && !relay.is_closed(idle));

    let again = relay.device(1);
    relay.push(again, 1, &mut Author::new(1, 1), &["a"]);
    relay.turn();
    assert_eq!(relay.seen(again)[0], Seen::Receipt(1, stored(1, 1)), "R2: nothing of it was there");
    assert_eq!(foreign(&relay.seen(idle)).len(), 1);
}

#[test]
fn a_panic_while_a_message_is_handled_cuts_its_session_and_no_other() {
    let mut relay = Relay::new();
    let (one, two) = (relay.device(1), relay.device(2));
    relay.hub.log_mut().inject_faults(|_| panic!("injected"));
    relay.push(one, 1, &mut Author::new(1, 1), &["pushed before"]);
    relay.send(one, open_elsewhere());
    relay.hub.log_mut().inject_faults(|_| None);
    relay.turn();
    assert_eq!(relay.seen(one), [Seen::Goodbye(GoodbyeCode::BadFrame)], "it says the rest in another form");
    assert!(relay.is_closed(one) && !relay.is_closed(two));
    assert_eq!(foreign(&relay.seen(two)).len(), 1);
    assert_eq!(relay.hub.session_count(), 1);
    let again = relay.device(1);
    assert!(!relay.is_closed(again), "the control");
}

#[test]
fn a_relay_is_ready_while_it_can_append_and_tries_once_a_second() {
    let mut relay = Relay::new();
    relay.hub = relay.hub.with_recent_events();
    assert_eq!(relay.hub.readiness(relay.now()), Ok(()));
    let before = relay.hub.log_mut().write_transactions();
    assert_eq!(relay.hub.readiness(relay.now()), Ok(()));
    assert_eq!(relay.hub.log_mut().write_transactions(), before, "whoever asks often costs no disk");
    relay.hub.log_mut().inject_faults(|point| (point == FaultPoint::BeforeCommit).then_some(Fault::Error));
    relay.pass(999);
    assert_eq!(relay.hub.readiness(relay.now()), Ok(()), "the last try counts for a second");
    relay.pass(1);
    assert_eq!(relay.hub.readiness(relay.now()), Err(NotReady));
    assert_eq!(relay.hub.not_ready_because(), Some("a failure that a test injected"));
    relay.hub.log_mut().inject_faults(|_| None);
    relay.pass(1_000);
    assert_eq!(relay.hub.readiness(relay.now()), Ok(()));
    assert_eq!(relay.hub.not_ready_because(), None);
    let because = Occurrence::CannotAppend("a failure that a test injected".to_owned());
    let told: Vec<Occurrence> = relay.hub.recent_events(relay.now()).into_iter().map(|event| event.what).collect();
    assert_eq!(told, [Occurrence::CanAppend, because], "newest first, each change once");
}
