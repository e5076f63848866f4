//! What is revoked ends, whatever it is doing (R7).

use super::*;
use crate::log::Log;
use rusqlite::{Connection, params};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Within which a revocation reaches every live session, as the protocol promises.
const REACHED_WITHIN: Duration = Duration::from_secs(5);
const SESSIONS: usize = 1_000;
const RACES: usize = 1_000;
/// How many races are run beside each other.
const RACES_AT_ONCE: usize = 8;

/// A relay for many devices of one user from one address.
fn crowded(folder: &Path) -> RelayOptions {
    let none = Rate::per_second(0, 0);
    let rates = Rates { connections: none, failures: none, device_pushes: none, user_pushes: none, ..Rates::DEFAULT };
    RelayOptions { rates, sessions_per_user_max: 2 * SESSIONS, ..options(folder) }
}

fn numbered(number: usize) -> wire::Hello {
    let bytes = (number as u128 + 1).to_be_bytes();
    wire::Hello {
        device: afield_core::DeviceId::from_bytes(bytes),
        incarnation: afield_core::Incarnation::from_bytes(bytes),
        ..hello(1)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_live_sessions_end_within_five_seconds_and_others_stay() {
    let folder = tempfile::tempdir().unwrap();
    let token = new_token(folder.path());
    let mut log = DataFolder::existing(folder.path().to_owned()).unwrap().open_log().unwrap();
    log.create_user("zoe", SystemClock::start().now()).unwrap();
    let other = Token::new(&mut SystemEntropy);
    let new = NewToken { user: Some("zoe".to_owned()), may_create: true, ..NewToken::default() };
    log.create_token(&other, &new, SystemClock::start().now()).unwrap();
    let relay = Relay::start(crowded(folder.path())).await.unwrap();
    let mut devices = Vec::new();
    for number in 0..SESSIONS {
        let mut device = Device::connect(&relay, &token).await;
        device.send(ToRelay::Hello(numbered(number))).await;
        device.send(open(SPACE, None)).await;
        device.until(|seen| matches!(seen, Seen::CaughtUp(_))).await;
        devices.push(device);
    }
    let mut bystander = Device::connect(&relay, &other).await;
    bystander.send(ToRelay::Hello(hello(200))).await;
    assert!(matches!(bystander.next().await, Some(Seen::Welcome(_))));

    log.sign_out_user("default", SystemClock::start().now()).unwrap();
    let revoked = Instant::now();
    let mut ends = tokio::task::JoinSet::new();
    for mut device in devices {
        ends.spawn(async move {
            assert_eq!(device.next().await, Some(Seen::Goodbye(GoodbyeCode::SignedOut)));
            assert_eq!(device.next().await, None);
        });
    }
    let ended = tokio::time::timeout_at((revoked + REACHED_WITHIN).into(), ends.join_all()).await;
    assert_eq!(ended.expect("R7").len(), SESSIONS);
    bystander.send(open(afield_core::SpaceId::from_bytes([9; 16]), None)).await;
    assert!(matches!(bystander.next().await, Some(Seen::Opened(_))), "who was not signed out goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_session_is_told_of_what_is_purged_beside_the_relay() {
    let folder = tempfile::tempdir().unwrap();
    let token = new_token(folder.path());
    let relay = Relay::start(options(folder.path())).await.unwrap();
    let mut device = Device::connect(&relay, &token).await;
    device.catch_up(1).await;
    let mut author = Author::new(1, 1);
    let changes: Vec<_> = (0..700).map(|number| author.edit(&number.to_string())).collect();
    device.send_message(push_message(1, author.entity, &changes)).await;
    device.until(|seen| matches!(seen, Seen::Receipt(..))).await;

    let mut beside = DataFolder::existing(folder.path().to_owned()).unwrap().open_log().unwrap();
    let rows = beside.whole_tasks(SPACE).unwrap().unwrap().rows;
    while let Some(work) = beside.gather(rows).unwrap() {
        drop(beside.settle(work.run()).unwrap());
    }
    beside.purge_entities(SPACE, &[author.entity], SystemClock::start().now()).unwrap();
    beside.give_back().unwrap();
    let record = afield_core::Erasure { entity: author.entity, reason: afield_core::ErasureReason::ASKED }.to_bytes();
    let is_told = |seen: &Seen| foreign(std::slice::from_ref(seen)).iter().any(|chunk| *chunk == record[..]);
    tokio::time::timeout(REACHED_WITHIN, device.until(is_told)).await.expect("it is told");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_session_is_told_that_its_space_is_purged_and_pushes_nothing_more_into_it() {
    let folder = tempfile::tempdir().unwrap();
    let token = new_token(folder.path());
    let relay = Relay::start(options(folder.path())).await.unwrap();
    let mut device = Device::connect(&relay, &token).await;
    device.catch_up(1).await;
    let mut author = Author::new(1, 1);
    device.send_message(push_message(1, author.entity, &[author.edit("before")])).await;
    device.until(|seen| matches!(seen, Seen::Receipt(..))).await;
    let mut beside = DataFolder::existing(folder.path().to_owned()).unwrap().open_log().unwrap();
    beside.purge_space(SPACE, SystemClock::start().now()).unwrap().expect("it was there");
    let is_told = |seen: &Seen| *seen == Seen::Refused(wire::SpaceCode::UnknownOrForbidden);
    tokio::time::timeout(REACHED_WITHIN, device.until(is_told)).await.expect("R7");
    device.send(open(SPACE, None)).await;
    device.until(is_told).await;
}

/// Revokes a token, and says in the same transaction how far the log of a space is.
fn revoke(folder: &Path, token: &Token, space: afield_core::SpaceId) -> i64 {
    let mut log = Connection::open(folder.join("log.sqlite")).unwrap();
    log.busy_timeout(PATIENCE).unwrap();
    let transaction = log.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    let revoked = transaction
        .execute("UPDATE tokens SET revoked_ms = 1 WHERE hash = ?1", params![token.hash().as_bytes()])
        .unwrap();
    assert_eq!(revoked, 1);
    let head = sequence_of(&transaction, space);
    transaction.commit().unwrap();
    head
}

fn sequence_of(log: &Connection, space: afield_core::SpaceId) -> i64 {
    log.query_row("SELECT sequence FROM spaces WHERE id = ?1", [space.as_bytes()], |row| row.get(0)).unwrap()
}

/// One device that pushes as fast as it can, and is revoked at some moment of that.
async fn race(relay: &RunningRelay, folder: &Path, number: usize) {
    let token = new_token(folder);
    let space = afield_core::SpaceId::from_bytes((number as u128 + 1).to_be_bytes());
    let mut device = Device::connect(relay, &token).await;
    device.send(ToRelay::Hello(numbered(number))).await;
    device.send(open(space, None)).await;
    device.until(|seen| matches!(seen, Seen::CaughtUp(_))).await;
    let mut author = Author::new(1, 1);
    // The moment is another one in each race.
    for push in 1..=(number as u64 % 5 + 1) {
        device.send_message(push_message(push, author.entity, &[author.edit(&format!("before {push}"))])).await;
    }
    let (folder, revoked_token) = (folder.to_owned(), token.clone());
    let revoking = tokio::task::spawn_blocking(move || (revoke(&folder, &revoked_token, space), folder));
    let mut push = number as u64 % 5 + 1;
    let ended = loop {
        push += 1;
        let message = push_message(push, author.entity, &[author.edit(&format!("during {push}"))]);
        // A link that is gone has been ended.
        if device.link.send(message.into()).await.is_err() {
            break None;
        }
        let soon = tokio::time::timeout(Duration::from_millis(1), device.link.receive()).await;
        match soon {
            Ok(Ok(Some(message))) => {
                if let Seen::Goodbye(code) = device.reader.understand(&message) {
                    break Some(code);
                }
            }
            Ok(Ok(None) | Err(_)) => break None,
            Err(_) => {}
        }
    };
    assert!(ended.is_none_or(|code| code == GoodbyeCode::SignedOut), "{ended:?}");
    let (head, folder) = revoking.await.unwrap();
    let after = sequence_of(&Connection::open(folder.join("log.sqlite")).unwrap(), space);
    assert_eq!(after, head, "R7: race {number}: nothing is appended once the revocation is committed");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_thousand_races_nothing_is_appended_once_a_revocation_is_committed() {
    let folder = tempfile::tempdir().unwrap();
    new_token(folder.path());
    let relay = Relay::start(crowded(folder.path())).await.unwrap();
    let (relay, numbers) = (Arc::new(relay), Arc::new(AtomicUsize::new(0)));
    let mut runners = tokio::task::JoinSet::new();
    for _ in 0..RACES_AT_ONCE {
        let (relay, numbers, folder) = (Arc::clone(&relay), Arc::clone(&numbers), folder.path().to_owned());
        runners.spawn(async move {
            loop {
                let number = numbers.fetch_add(1, Ordering::Relaxed);
                if number >= RACES {
                    return;
                }
                race(&relay, &folder, number).await;
            }
        });
    }
    runners.join_all().await;
}
