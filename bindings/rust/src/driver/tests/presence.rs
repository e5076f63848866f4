//! Who is here, against a relay that is played by hand, by a clock that the tests set.

use super::hand::{Desk, HandRelay, NOW, later};
use super::*;
use afield_core::limits::{SIGNAL_ANSWER_SPREAD_MS, SIGNAL_EXPIRY_MS, SIGNAL_INTERVAL_MS, SIGNAL_REPEAT_MS};
use afield_core::policy::Direction;
use afield_core::wire::{self, Channel, SignalKind, Signalled, ToDevice, ToRelay, Welcome};
use afield_core::{Collection, DeviceId, SessionId};
use serde_json::json;

const NOTE: EntityId = EntityId::from_bytes([3; 16]);

/// What was said: kind, place and data.
type Said = (SignalKind, Option<EntityId>, Option<Vec<u8>>);

fn say(session: u8, kind: SignalKind, entity: Option<EntityId>, data: Option<&[u8]>) -> Vec<u8> {
    let (session, device) = (SessionId::from_bytes([session; 16]), DeviceId::from_bytes([session; 16]));
    let channel = Channel(0);
    let frame = Signalled { channel, session, device, kind, entity, data: data.map(Into::into) };
    wire::encode_to_device(&ToDevice::Signal(frame))
}

impl Desk {
    /// In a session in which the space is open.
    fn here(&self, now: Now) -> HandRelay {
        let relay = self.connect(now);
        self.receive(&[relay.welcome(), relay.opened(), relay.caught_up()], now);
        relay
    }

    fn take_signals(&self) -> Vec<Said> {
        let outputs = std::iter::from_fn(|| self.driver.poll_output());
        let messages = outputs.filter_map(|output| match output {
            Output::Transmit(message) => Some(message),
            _ => None,
        });
        let messages = messages.filter(|message| wire::LiveMessage::open(message).unwrap().is_none());
        let signal = |message: Vec<u8>| match wire::Message::open(&message).unwrap().to_relay().unwrap() {
            ToRelay::Signal(frame) => Some((frame.kind, frame.entity, frame.data.map(|data| data.to_vec()))),
            _ => None,
        };
        messages.filter_map(signal).collect()
    }

    fn wake(&self, now: Now) -> Vec<Said> {
        self.driver.handle_wake(now).unwrap();
        self.take_signals()
    }

    /// Lets time pass up to what the driver waits for next.
    fn wait(&self, now: &mut Now) -> Vec<Said> {
        let due = self.driver.poll_timeout().expect("there is something to wait for");
        *now = later(*now, due.saturating_sub(now.monotonic_ms));
        self.driver.handle_timeout(*now).unwrap();
        self.take_signals()
    }

    /// Says which way the notes go; answers what is said then.
    fn set(&self, direction: Direction, now: Now) -> Vec<Said> {
        let notes: Collection = "notes".parse().unwrap();
        self.driver.set_direction(self.space, &notes, direction, now).unwrap();
        self.take_signals()
    }

    fn shown(&self) -> Vec<serde_json::Value> {
        self.driver.who_is_here(self.space).iter().map(|shown| serde_json::Value::clone(&shown.state)).collect()
    }
}

fn shows(entity: Option<EntityId>, data: &str) -> Said {
    (SignalKind::Shows, entity, Some(data.as_bytes().to_vec()))
}

/// A device that shows something in a note that nobody knows of and in the space, in a session.
fn showing(direction: Direction) -> (Desk, u64) {
    let desk = Desk::new();
    desk.set(direction, NOW);
    desk.edit("secret");
    let party = desk.driver.join_presence(desk.space);
    desk.driver.show_presence(desk.space, Some(NOTE), party, b"1".to_vec());
    desk.driver.show_presence(desk.space, None, party, b"0".to_vec());
    desk.driver.enable_sync(NOW);
    desk.here(NOW);
    (desk, party)
}

#[test]
fn while_nobody_takes_part_nothing_is_sent_nothing_is_kept_and_no_timer_runs() {
    let desk = Desk::new();
    desk.driver.enable_sync(NOW);
    desk.here(NOW);
    assert_eq!(desk.take_signals(), []);
    desk.receive(&[say(1, SignalKind::Shows, None, Some(b"{}")), say(1, SignalKind::Asks, None, None)], NOW);
    assert_eq!((desk.take_signals(), desk.shown()), (vec![], vec![]));
    assert_eq!(desk.driver.poll_timeout(), None);

    let party = desk.driver.join_presence(desk.space);
    assert_eq!(desk.wake(NOW), [(SignalKind::Asks, None, None)], "the control");
    assert_eq!(desk.driver.poll_timeout(), None, "who only listens has nothing to say again");
    desk.driver.leave_presence(desk.space, party);
    assert_eq!(desk.wake(NOW), [(SignalKind::Leaves, None, None)]);
    assert_eq!((desk.wake(NOW), desk.driver.poll_timeout()), (vec![], None));
}

#[test]
fn of_what_follows_fast_the_newest_is_said_at_most_once_in_an_interval() {
    let desk = Desk::new();
    desk.driver.enable_sync(NOW);
    desk.here(NOW);
    let party = desk.driver.join_presence(desk.space);
    desk.driver.show_presence(desk.space, Some(NOTE), party, b"1".to_vec());
    assert_eq!(desk.wake(NOW), [(SignalKind::Asks, None, None), shows(Some(NOTE), "1")], "the first one at once");
    let mut now = NOW;
    for number in 2..=9 {
        now = later(now, 5);
        desk.driver.show_presence(desk.space, Some(NOTE), party, number.to_string().into_bytes());
        assert_eq!(desk.wake(now), []);
    }
    desk.driver.show_presence(desk.space, None, party, b"0".to_vec());
    assert_eq!(desk.wake(now), [shows(None, "0")], "another place has its own pace");
    assert_eq!(desk.wait(&mut now), [shows(Some(NOTE), "9")]);
    assert_eq!(now.monotonic_ms, NOW.monotonic_ms + SIGNAL_INTERVAL_MS);
}

#[test]
fn what_is_shown_is_said_again_until_it_is_taken_back() {
    let desk = Desk::new();
    desk.driver.enable_sync(NOW);
    desk.here(NOW);
    let party = desk.driver.join_presence(desk.space);
    desk.driver.show_presence(desk.space, None, party, b"1".to_vec());
    desk.wake(NOW);
    let mut now = NOW;
    for round in 1..=3 {
        assert_eq!(desk.wait(&mut now), [shows(None, "1")]);
        assert_eq!(now.monotonic_ms, NOW.monotonic_ms + round * SIGNAL_REPEAT_MS);
    }
    now = later(now, SIGNAL_INTERVAL_MS);
    desk.driver.clear_presence(desk.space, party + 1);
    assert_eq!(desk.wake(now), [], "somebody else's is not taken back");
    desk.driver.clear_presence(desk.space, party);
    assert_eq!(desk.wake(now), [(SignalKind::Clears, None, None)]);
    assert_eq!(desk.driver.poll_timeout(), None);
}

#[test]
fn nothing_is_shown_of_what_does_not_leave_the_device() {
    let asks = (SignalKind::Asks, None, None);
    for direction in [Direction::LocalOnly, Direction::PullOnly] {
        let (desk, party) = showing(direction);
        assert_eq!(desk.take_signals(), [asks.clone(), shows(None, "0")], "{direction:?}");
        let mut now = NOW;
        assert_eq!(desk.wait(&mut now), [shows(None, "0")]);
        assert_eq!(now.monotonic_ms, NOW.monotonic_ms + SIGNAL_REPEAT_MS, "no timer runs for what is kept");
        desk.driver.show_presence(desk.space, Some(NOTE), party, b"2".to_vec());
        assert_eq!(desk.wake(now), []);
        desk.driver.clear_presence(desk.space, party);
        assert_eq!(desk.wake(later(now, 1_000)), [(SignalKind::Clears, None, None)]);
    }
}

#[test]
fn what_is_shown_is_taken_back_when_its_collection_sends_no_more() {
    let (desk, party) = showing(Direction::PushOnly);
    let asks = (SignalKind::Asks, None, None);
    assert_eq!(desk.take_signals(), [asks, shows(None, "0"), shows(Some(NOTE), "1")], "the control");
    let set = |direction, now| desk.set(direction, now);
    let mut now = later(NOW, 1_000);
    assert_eq!(set(Direction::LocalOnly, now), [(SignalKind::Clears, Some(NOTE), None)]);
    assert_eq!(desk.wait(&mut now), [shows(None, "0")]);
    assert_eq!(set(Direction::PushOnly, later(now, 1)), [shows(Some(NOTE), "1")]);
    assert_eq!(set(Direction::LocalOnly, later(now, 1_000)), [(SignalKind::Clears, Some(NOTE), None)]);
    desk.driver.clear_presence(desk.space, party);
    assert_eq!(desk.wake(later(now, 2_000)), [(SignalKind::Clears, None, None)]);
}

#[test]
fn what_others_know_of_is_shown_also_where_changes_only_come_in() {
    let desk = Desk::new();
    desk.set(Direction::PullOnly, NOW);
    desk.driver.enable_sync(NOW);
    let mut relay = desk.here(NOW);
    desk.receive(&[relay.chunk(NOTE, &hand::changes(NOTE, 1)[0]), relay.caught_up()], NOW);
    let party = desk.driver.join_presence(desk.space);
    desk.driver.show_presence(desk.space, Some(NOTE), party, b"1".to_vec());
    assert_eq!(desk.wake(NOW), [(SignalKind::Asks, None, None), shows(Some(NOTE), "1")]);
}

#[test]
fn who_asks_is_answered_once_after_a_random_moment() {
    let desk = Desk::new();
    desk.driver.enable_sync(NOW);
    desk.here(NOW);
    let party = desk.driver.join_presence(desk.space);
    desk.driver.show_presence(desk.space, None, party, b"1".to_vec());
    desk.wake(NOW);
    let mut now = later(NOW, 1_000);
    desk.receive(&[say(1, SignalKind::Asks, None, None), say(2, SignalKind::Asks, None, None)], now);
    assert_eq!(desk.take_signals(), []);
    assert_eq!(desk.wait(&mut now), [shows(None, "1")]);
    assert!(now.monotonic_ms < NOW.monotonic_ms + 1_000 + SIGNAL_ANSWER_SPREAD_MS);
    assert!(desk.wait(&mut now) == [shows(None, "1")] && now.monotonic_ms > SIGNAL_REPEAT_MS, "and then as ever");
}

#[test]
fn peers_come_change_and_go() {
    let desk = Desk::new();
    desk.driver.enable_sync(NOW);
    desk.here(NOW);
    let _party = desk.driver.join_presence(desk.space);
    let notice = desk.driver.watch_presence(desk.space);
    let has_changed = || std::mem::take(&mut locked(&notice).changed);
    assert!(has_changed(), "what there is now is news");
    desk.wake(NOW);
    let steps: [(Vec<u8>, &[serde_json::Value], bool); 8] = [
        (say(1, SignalKind::Shows, None, Some(b"1")), &[json!(1)], true),
        (say(1, SignalKind::Shows, None, Some(b"1")), &[json!(1)], false),
        (say(1, SignalKind::Shows, Some(NOTE), Some(b"2")), &[json!(1), json!(2)], true),
        (say(2, SignalKind::Shows, None, Some(b"3")), &[json!(1), json!(2), json!(3)], true),
        (say(2, SignalKind::Shows, None, Some(b"no json")), &[json!(1), json!(2), json!(3)], false),
        (say(1, SignalKind::Clears, None, None), &[json!(2), json!(3)], true),
        (say(1, SignalKind::Leaves, None, None), &[json!(3)], true),
        (say(1, SignalKind::Leaves, None, None), &[json!(3)], false),
    ];
    for (number, (message, expected, is_news)) in steps.into_iter().enumerate() {
        desk.receive(&[message], NOW);
        assert_eq!((desk.shown(), has_changed()), (expected.to_vec(), is_news), "step {number}");
    }
}

#[test]
fn a_peer_that_went_silent_is_gone_after_its_time_by_the_monotonic_clock() {
    let desk = Desk::new();
    desk.driver.enable_sync(NOW);
    desk.here(NOW);
    let _party = desk.driver.join_presence(desk.space);
    desk.wake(NOW);
    desk.receive(&[say(1, SignalKind::Shows, None, Some(b"1"))], NOW);
    let half = later(NOW, SIGNAL_EXPIRY_MS / 2);
    desk.receive(&[say(2, SignalKind::Shows, None, Some(b"2"))], half);
    // A wall clock that jumps ahead says nothing about it.
    desk.driver.handle_timeout(Now { wall_ms: i64::MAX / 2, ..half }).unwrap();
    assert_eq!(desk.shown(), [json!(1), json!(2)]);
    let mut now = half;
    desk.wait(&mut now);
    assert_eq!((desk.shown(), now.monotonic_ms), (vec![json!(2)], NOW.monotonic_ms + SIGNAL_EXPIRY_MS));
    desk.wait(&mut now);
    assert_eq!(desk.shown(), Vec::<serde_json::Value>::new());
    assert_eq!(desk.driver.poll_timeout(), None);
}

#[test]
fn with_the_session_everybody_is_gone_and_in_the_next_one_it_is_all_said_again() {
    let desk = Desk::new();
    desk.driver.enable_sync(NOW);
    desk.here(NOW);
    let party = desk.driver.join_presence(desk.space);
    desk.driver.show_presence(desk.space, None, party, b"1".to_vec());
    desk.wake(NOW);
    desk.receive(&[say(1, SignalKind::Shows, None, Some(b"{}"))], NOW);
    desk.driver.handle_disconnected("unplugged".to_owned(), NOW);
    assert_eq!(desk.shown(), Vec::<serde_json::Value>::new());
    desk.driver.show_presence(desk.space, None, party, b"2".to_vec());
    assert_eq!(desk.wake(NOW), [], "offline nothing is said");
    let again = later(NOW, desk.driver.poll_timeout().unwrap() - NOW.monotonic_ms);
    desk.driver.handle_timeout(again).unwrap();
    let relay = desk.connect(again);
    desk.receive(&[relay.welcome(), relay.caught_up()], again);
    assert_eq!(desk.take_signals(), [(SignalKind::Asks, None, None), shows(None, "2")]);
}

#[test]
fn an_older_relay_is_sent_no_signal() {
    let desk = Desk::new();
    desk.driver.enable_sync(NOW);
    let party = desk.driver.join_presence(desk.space);
    desk.driver.show_presence(desk.space, None, party, b"1".to_vec());
    let relay = desk.connect(NOW);
    let older = Welcome {
        version: wire::PROTOCOL_VERSION,
        session: SessionId::from_bytes([1; 16]),
        limits: Limits::DEFAULT,
        spaces: Vec::new(),
        may_create: true,
        signals: false,
    };
    desk.receive(&[wire::encode_to_device(&ToDevice::Welcome(older)), relay.opened(), relay.caught_up()], NOW);
    assert_eq!((desk.take_signals(), desk.driver.poll_timeout()), (vec![], None));
}

#[test]
fn a_space_that_is_reset_or_refused_is_asked_about_anew() {
    let desk = Desk::new();
    desk.driver.enable_sync(NOW);
    desk.here(NOW);
    let _party = desk.driver.join_presence(desk.space);
    desk.wake(NOW);
    desk.receive(&[say(1, SignalKind::Shows, None, Some(b"1"))], NOW);
    let log = afield_core::LogId::from_bytes([9; 16]);
    let reset = wire::encode_to_device(&ToDevice::Reset(wire::Reset { channel: Channel(0), log }));
    desk.receive(&[reset], NOW);
    assert_eq!(desk.shown(), Vec::<serde_json::Value>::new());
    assert_eq!(
        desk.take_signals(),
        [(SignalKind::Asks, None, None)],
        "it is open again, and the relay has forgotten us"
    );
    let code = wire::SpaceCode::UnknownOrForbidden;
    let refused = wire::Refused { channel: Channel(0), code, retry_after_ms: None };
    desk.receive(&[wire::encode_to_device(&ToDevice::Refused(refused))], NOW);
    let mut now = NOW;
    assert_eq!(desk.take_signals(), []);
    assert_eq!(desk.wait(&mut now), [(SignalKind::Asks, None, None)], "once the space is asked for again");
}

#[test]
fn what_peers_make_a_device_remember_is_bounded() {
    let desk = Desk::new();
    desk.driver.enable_sync(NOW);
    desk.here(NOW);
    let _party = desk.driver.join_presence(desk.space);
    desk.wake(NOW);
    for number in 0..2_000_u16 {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        desk.receive(&[say(1, SignalKind::Shows, Some(EntityId::from_bytes(id)), Some(b"1"))], NOW);
    }
    assert_eq!(desk.shown().len(), 1_024);
    desk.receive(&[say(1, SignalKind::Shows, Some(EntityId::from_bytes([0; 16])), Some(b"2"))], NOW);
    assert_eq!(desk.shown()[0], json!(2), "those who are known go on");
}
