//! What is revoked ends, whatever it is doing (R7).

use super::*;
use crate::log::accounts::{Role, ShownTokens};
use crate::log::{Log, SqliteLog};
use afield_core::{DeviceId, SpaceId};
use rusqlite::Connection;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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
        device: DeviceId::from_bytes(bytes),
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
    bystander.send(open(SpaceId::from_bytes([9; 16]), None)).await;
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

/// What takes a device the right to write in a space.
#[derive(Debug, Clone, Copy)]
enum Verb {
    RevokeToken,
    SignOutDevice,
    /// The token stays good, for other devices.
    SignOutDeviceOnly,
    SignOutUser,
    CloseAccount,
    RemoveMember,
}

const VERBS: [Verb; 6] = [
    Verb::RevokeToken,
    Verb::SignOutDevice,
    Verb::SignOutDeviceOnly,
    Verb::SignOutUser,
    Verb::CloseAccount,
    Verb::RemoveMember,
];

/// Whose a device is, what it signs in with, and what it writes to.
#[derive(Debug, Clone)]
struct Racer {
    user: String,
    token: Token,
    number: i64,
    device: DeviceId,
    space: SpaceId,
}

impl Racer {
    fn new(log: &mut impl Accounts, race: usize) -> Self {
        let (now, user, token) = (SystemClock::start().now(), format!("racer {race}"), Token::new(&mut SystemEntropy));
        log.create_user(&user, now).unwrap();
        let new = NewToken { user: Some(user.clone()), may_create: true, ..NewToken::default() };
        let number = log.create_token(&token, &new, now).unwrap();
        Self { user, token, number, device: numbered(race).device, space: space_of(race) }
    }

    fn lose_access(&self, log: &mut impl Accounts, by: Verb) {
        let (now, name) = (SystemClock::start().now(), &self.user);
        match by {
            Verb::RevokeToken => log.revoke_token(self.number, now).unwrap(),
            Verb::SignOutDevice => {
                log.sign_out_device(name, self.device, ShownTokens::Revoke, now).unwrap();
            }
            Verb::SignOutDeviceOnly => {
                log.sign_out_device(name, self.device, ShownTokens::Keep, now).unwrap();
            }
            Verb::SignOutUser => assert_eq!(log.sign_out_user(name, now).unwrap().revoked, [self.number]),
            Verb::CloseAccount => log.set_user_enabled(name, false, now).unwrap(),
            Verb::RemoveMember => log.remove_member(self.space, name, now).unwrap(),
        }
    }
}

/// What races have shown, so that they show something.
#[derive(Debug, Default)]
struct Shown {
    /// In how many something was appended before.
    appended: AtomicUsize,
    /// How many pushes were sent once the verb had returned.
    pushed_after: AtomicUsize,
}

/// The log and its file, as another process has them.
struct Beside {
    log: SqliteLog,
    file: Connection,
}

impl Beside {
    fn open(folder: &Path) -> Self {
        let log = DataFolder::existing(folder.to_owned()).unwrap().open_log().unwrap();
        Self { log, file: Connection::open(folder.join("log.sqlite")).unwrap() }
    }

    /// How far the log of a space is.
    fn sequence_of(&self, space: SpaceId) -> u64 {
        let sql = "SELECT sequence FROM spaces WHERE id = ?1";
        self.file.query_row(sql, [space.as_bytes()], |row| row.get::<_, i64>(0)).unwrap().cast_unsigned()
    }
}

/// One device that pushes as fast as it can, and loses its access at some moment of that; answers with how far the log of its space
/// was when the verb returned.
async fn race(relay: &RunningRelay, mut beside: Beside, race: usize, shown: &[Shown; VERBS.len()]) -> (u64, Beside) {
    let (verb, shown) = (verb_of(race), &shown[race % VERBS.len()]);
    let log = &mut beside.log;
    let racer = Racer::new(log, race);
    let mut device = Device::connect(relay, &racer.token).await;
    device.send(ToRelay::Hello(numbered(race))).await;
    device.send(open(racer.space, None)).await;
    device.until(|seen| matches!(seen, Seen::CaughtUp(_))).await;
    match verb {
        // The space keeps an owner.
        Verb::RemoveMember => {
            log.grant(racer.space, "default", Role::Owner, SystemClock::start().now()).unwrap();
        }
        // Who is here is written down within seconds; here at once.
        Verb::SignOutDevice | Verb::SignOutDeviceOnly => {
            relay.engine.handle().ask(crate::hub::Hub::note_devices).await.unwrap();
        }
        Verb::RevokeToken | Verb::SignOutUser | Verb::CloseAccount => {}
    }
    let mut author = Author::new(1, 1);
    // The moment is another one in each race.
    let before = (race / VERBS.len()) as u64 % 5 + 1;
    for push in 1..=before {
        device.send_message(push_message(push, author.entity, &[author.edit(&format!("before {push}"))])).await;
    }
    let has_returned = Arc::new(AtomicBool::new(false));
    let taking = tokio::task::spawn_blocking({
        let (racer, has_returned) = (racer.clone(), Arc::clone(&has_returned));
        move || {
            racer.lose_access(&mut beside.log, verb);
            has_returned.store(true, Ordering::SeqCst);
            (beside.sequence_of(racer.space), beside)
        }
    });
    let (mut push, deadline) = (before, Instant::now() + PATIENCE);
    let ended = loop {
        assert!(Instant::now() < deadline, "R7: race {race}: who loses access by {verb:?} is told");
        push += 1;
        let is_after = has_returned.load(Ordering::SeqCst);
        let message = push_message(push, author.entity, &[author.edit(&format!("during {push}"))]);
        // A link that is gone has been ended.
        if device.link.send(message.into()).await.is_err() {
            break None;
        }
        shown.pushed_after.fetch_add(usize::from(is_after), Ordering::Relaxed);
        match tokio::time::timeout(Duration::from_millis(1), device.link.receive()).await {
            Ok(Ok(Some(message))) => {
                if let end @ (Seen::Goodbye(_) | Seen::Refused(_)) = device.reader.understand(&message) {
                    break Some(end);
                }
            }
            Ok(Ok(None) | Err(_)) => break None,
            Err(_) => {}
        }
    };
    let expected = match verb {
        Verb::CloseAccount => Seen::Goodbye(GoodbyeCode::AccountClosed),
        Verb::RemoveMember => Seen::Refused(wire::SpaceCode::UnknownOrForbidden),
        _ => Seen::Goodbye(GoodbyeCode::SignedOut),
    };
    assert!(ended.as_ref().is_none_or(|ended| *ended == expected), "{verb:?}: {ended:?}");
    let (head, beside) = taking.await.unwrap();
    shown.appended.fetch_add(usize::from(head > 0), Ordering::Relaxed);
    (head, beside)
}

fn verb_of(race: usize) -> Verb {
    VERBS[race % VERBS.len()]
}

fn space_of(race: usize) -> SpaceId {
    SpaceId::from_bytes((race as u128 + 1).to_be_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_thousand_races_nothing_is_appended_once_access_was_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    new_token(folder.path());
    let relay = Arc::new(Relay::start(crowded(folder.path())).await.unwrap());
    let (numbers, shown) = (Arc::new(AtomicUsize::new(0)), Arc::<[Shown; VERBS.len()]>::default());
    let mut runners = tokio::task::JoinSet::new();
    for _ in 0..RACES_AT_ONCE {
        let (relay, numbers, shown) = (Arc::clone(&relay), Arc::clone(&numbers), Arc::clone(&shown));
        let mut beside = Beside::open(folder.path());
        runners.spawn(async move {
            let mut heads = Vec::new();
            loop {
                let number = numbers.fetch_add(1, Ordering::Relaxed);
                if number >= RACES {
                    return heads;
                }
                let (head, after) = race(&relay, beside, number, &shown).await;
                beside = after;
                heads.push((number, head));
            }
        });
    }
    let heads = runners.join_all().await.concat();
    // A relay that stops has appended whatever it takes of what it was sent.
    Arc::into_inner(relay).unwrap().shutdown().await;
    let beside = Beside::open(folder.path());
    assert_eq!(heads.len(), RACES);
    for (race, head) in heads {
        let (verb, after) = (verb_of(race), beside.sequence_of(space_of(race)));
        assert_eq!(after, head, "R7: race {race}: nothing is appended once {verb:?} has returned");
    }
    for (verb, shown) in VERBS.iter().zip(shown.iter()) {
        let count = |counted: &AtomicUsize| counted.load(Ordering::Relaxed);
        assert!(count(&shown.appended) > 0, "the control: something was appended before {verb:?}");
        assert!(count(&shown.pushed_after) > 0, "the control: something was pushed after {verb:?}");
    }
}
