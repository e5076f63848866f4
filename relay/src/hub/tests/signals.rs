//! Who is here: signals reach those who may and want to hear them, cost nobody else anything, and are stored nowhere.

use super::*;
use crate::testing::noise;
use afield_core::session::{SIGNAL_QUEUE_BYTES_MAX, SIGNALS_WAITING_MAX};
use afield_core::wire::{Signal, SignalKind};
use afield_core::{DeviceId, EntityId};

const NOTE: EntityId = EntityId::from_bytes([6; 16]);

fn signal(kind: SignalKind, entity: Option<EntityId>, data: Option<&[u8]>) -> ToRelay<'_> {
    ToRelay::Signal(Signal { channel: Channel(0), kind, entity, data: data.map(Into::into) })
}

fn shows(data: &[u8]) -> ToRelay<'_> {
    signal(SignalKind::Shows, Some(NOTE), Some(data))
}

fn asks() -> ToRelay<'static> {
    signal(SignalKind::Asks, None, None)
}

impl Relay {
    /// A device that has the space open and wants to hear who is there.
    fn listener(&mut self, number: u8) -> SessionId {
        let id = self.device(number);
        self.send(id, asks());
        self.turn();
        self.links.keys().copied().collect::<Vec<_>>().into_iter().for_each(|id| drop(self.raw(id)));
        id
    }

    /// What a session hears: who says it, what, and what is shown.
    fn heard(&mut self, id: SessionId) -> Vec<(SessionId, SignalKind, Vec<u8>)> {
        let seen = self.seen(id).into_iter();
        seen.filter_map(|seen| match seen {
            Seen::Signal { session, kind, data, .. } => Some((session, kind, data)),
            _ => None,
        })
        .collect()
    }
}

#[test]
fn what_is_shown_reaches_those_who_listen_under_the_device_that_was_admitted_and_nobody_else() {
    let mut relay = Relay::new();
    let (silent, one, two) = (relay.device(1), relay.listener(2), relay.listener(3));
    relay.send(one, shows(b"{}"));
    relay.turn();
    let device = DeviceId::from_bytes([2; 16]);
    let expected =
        Seen::Signal { session: one, device, kind: SignalKind::Shows, entity: Some(NOTE), data: b"{}".to_vec() };
    assert_eq!((relay.seen(two), relay.seen(one)), (vec![expected], vec![]));
    assert_eq!(relay.seen(silent), [], "a device that never sent a signal may not know them");

    relay.send(two, asks());
    relay.turn();
    assert_eq!(relay.heard(one), [(two, SignalKind::Asks, vec![])], "so that it shows it again");
    relay.send(one, signal(SignalKind::Clears, Some(NOTE), None));
    relay.send(two, signal(SignalKind::Clears, None, None));
    relay.turn();
    assert_eq!(relay.heard(two), [(one, SignalKind::Clears, vec![])]);
    assert_eq!(relay.heard(one), [], "who has shown nothing has nothing to clear");
}

#[test]
fn who_ends_or_leaves_is_gone_for_the_others_at_once() {
    let mut relay = Relay::new();
    let (stays, one, two, three) = (relay.listener(1), relay.listener(2), relay.listener(3), relay.listener(4));
    for id in [one, two] {
        relay.send(id, shows(b"{}"));
    }
    relay.turn();
    relay.heard(stays);
    relay.hub.disconnect(one);
    relay.send(two, signal(SignalKind::Leaves, None, None));
    relay.hub.disconnect(three);
    relay.turn();
    let left = [(one, SignalKind::Leaves, vec![]), (two, SignalKind::Leaves, vec![])];
    assert_eq!(relay.heard(stays), left, "and of who has shown nothing, nothing is said");
    relay.send(stays, shows(b"{}"));
    relay.turn();
    assert_eq!(
        relay.heard(two).len(),
        2,
        "what was said before it left, and nothing after: the first and the end of one"
    );
}

#[test]
fn above_its_rate_signals_are_dropped_and_counted_and_the_session_goes_on() {
    let mut relay = Relay::new();
    let (one, two) = (relay.listener(1), relay.listener(2));
    let burst = usize::try_from(SIGNALS_BURST).unwrap();
    let entity = |number: usize| Some(EntityId::from_bytes([u8::try_from(number % 250).unwrap(); 16]));
    let mut heard = 0;
    for number in 0..2 * burst {
        relay.send(one, signal(SignalKind::Shows, entity(number), Some(b"{}")));
        relay.turn();
        heard += relay.heard(two).len();
    }
    // One of the burst was spent on asking.
    assert_eq!(heard, burst - 1);
    assert_eq!(relay.hub.signals_dropped(), (burst + 1) as u64);
    relay.push(one, 1, &mut Author::new(1, 1), &["a"]);
    relay.turn();
    assert!(matches!(relay.seen(one)[..], [Seen::Receipt(1, _), _]), "it pushes as ever");
    relay.pass(1_000);
    relay.seen(two);
    relay.send(one, shows(b"{}"));
    relay.turn();
    assert_eq!(relay.heard(two).len(), 1, "and a second later signals are taken again");
}

#[test]
fn a_slow_reader_holds_the_newest_of_each_place_and_keeps_nobody_waiting() {
    let mut relay = Relay::new();
    let free = SignalRate { per_second: 1_000_000, burst: 1_000_000 };
    relay.hub = Relay::new().hub.with_signal_rate(free);
    let (one, slow, quick) = (relay.listener(1), relay.listener(2), relay.listener(3));
    relay.links.get_mut(&slow).unwrap().stuck = true;
    let long = [b'7'; 1_000];
    for number in 0..3_000_u16 {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        relay.send(one, signal(SignalKind::Shows, Some(EntityId::from_bytes(id)), Some(&long)));
        relay.turn();
    }
    assert_eq!(relay.heard(quick).len(), 3_000);
    let queued = relay.hub.sessions[&slow].session.queued_bytes();
    assert!(queued < 2 * SIGNAL_QUEUE_BYTES_MAX, "R8: {queued} bytes for a link that takes none");
    for data in [&b"1"[..], b"2", b"3"] {
        relay.send(one, shows(data));
    }
    relay.push(one, 1, &mut Author::new(1, 1), &["what is durable"]);
    relay.turn();
    assert!(matches!(relay.seen(one)[..], [Seen::Receipt(1, _), _]));
    let seen = relay.seen(slow);
    assert!(
        matches!(seen.last(), Some(Seen::Chunks { .. })),
        "chunks go before the signals that wait: {:?}",
        seen.len()
    );
    relay.unstick(slow);
    relay.turn();
    let heard = relay.heard(slow);
    assert_eq!((heard.len(), &heard.last().unwrap().2[..]), (SIGNALS_WAITING_MAX, &b"3"[..]), "the newest of a place");
    assert!(!relay.is_closed(slow) && relay.hub.signals_dropped() > 0);
}

#[test]
fn a_full_queue_takes_no_signal() {
    let mut relay = Relay::new();
    let (one, slow) = (relay.listener(1), relay.listener(2));
    relay.links.get_mut(&slow).unwrap().stuck = true;
    relay.push(one, 1, &mut Author::new(1, 1), &[&noise(1, 100_000)]);
    relay.turn();
    relay.send(one, shows(b"1"));
    relay.send(one, shows(b"2"));
    relay.turn();
    assert_eq!(relay.heard(slow), [], "100 KB are on their way before it");
    relay.unstick(slow);
    relay.turn();
    assert_eq!(relay.heard(slow), [(one, SignalKind::Shows, b"2".to_vec())]);
}

#[test]
fn after_a_revocation_nothing_is_passed_on_in_either_direction() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let mut relay = Relay::with(SqliteLog::open(&path).unwrap());
    let (owner, friend) = (relay.listener(1), relay.listener(4));
    let phone = Token::new(&mut Seeded(3));
    let number = relay.hub.log_mut().create_token(&phone, &NewToken::default(), at(0)).unwrap();
    relay.pass(1_000);
    let thief = relay.connect_as(Some(phone.reveal()));
    relay.send(thief, ToRelay::Hello(hello(2)));
    relay.send(thief, open(SPACE, None));
    relay.send(thief, asks());
    relay.send(owner, shows(b"{}"));
    relay.turn();
    assert!(relay.heard(thief).len() == 1 && relay.heard(friend).len() == 2, "the control");
    relay.heard(owner);

    SqliteLog::open(&path).unwrap().revoke_token(number, relay.now()).unwrap();
    relay.send(owner, shows(b"{\"after\":1}"));
    relay.send(thief, shows(b"{\"after\":2}"));
    relay.turn();
    assert_eq!(
        relay.seen(thief),
        [Seen::Goodbye(GoodbyeCode::SignedOut)],
        "R6, R7: at once, and before the next check"
    );
    assert_eq!(relay.heard(owner), []);
    relay.send(owner, shows(b"{\"after\":3}"));
    relay.turn();
    let heard = relay.heard(friend);
    assert_eq!(heard.last().map(|(from, _, data)| (*from, &data[..])), Some((owner, &b"{\"after\":3}"[..])));
    assert!(heard.iter().all(|(from, ..)| *from == owner), "who may still read goes on hearing once that was checked");
}

#[test]
fn a_space_that_is_not_served_tells_nothing_and_takes_nothing() {
    let mut relay = Relay::new();
    let owner = relay.listener(1);
    let stranger = Token::new(&mut Seeded(3));
    relay.hub.log_mut().create_user("stranger", at(0)).unwrap();
    let new = NewToken { user: Some("stranger".to_owned()), ..NewToken::default() };
    relay.hub.log_mut().create_token(&stranger, &new, at(0)).unwrap();
    let id = relay.connect_as(Some(stranger.reveal()));
    relay.send(id, ToRelay::Hello(hello(2)));
    relay.send(id, open(SPACE, None));
    relay.send(id, asks());
    relay.send(id, shows(b"{}"));
    relay.turn();
    relay.send(owner, shows(b"{}"));
    relay.turn();
    assert!(matches!(relay.seen(id)[..], [Seen::Welcome(_), Seen::Refused(SpaceCode::UnknownOrForbidden)]), "R6");
    assert_eq!(relay.heard(owner), []);
}

#[test]
fn a_signal_that_breaks_the_protocol_ends_its_own_session() {
    let too_long = vec![b'1'; afield_core::limits::SIGNAL_BYTES_MAX + 1];
    let elsewhere = Signal { channel: Channel(9), kind: SignalKind::Asks, entity: None, data: None };
    let wrong = [shows(&too_long), signal(SignalKind::Shows, None, None), ToRelay::Signal(elsewhere)];
    for frame in wrong {
        let mut relay = Relay::new();
        let (one, two) = (relay.listener(1), relay.listener(2));
        relay.send(one, frame);
        relay.turn();
        assert_eq!(relay.seen(one), [Seen::Goodbye(GoodbyeCode::Protocol)]);
        assert!(!relay.is_closed(two));
        relay.send(two, signal(SignalKind::Unknown(77), None, Some(b"later")));
        relay.turn();
        assert!(!relay.is_closed(two), "the control: what a later version says is ignored");
    }
}
