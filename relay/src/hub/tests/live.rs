//! Live messages between the hub and the devices' own sessions.

use super::*;
use crate::log::Principal;
use afield_core::change::ChangeHeader;
use afield_core::session::{
    DeviceEvent, DeviceSession, Greeting, OpenRequest, PushedChunk, SessionError, SpaceOpening,
};
use afield_core::wire::{
    BatchError, LIVE_CHUNKS_CHANNELS_MAX, LIVE_PUSH_CHANNELS_MAX, LiveKind, LiveMessage, LiveState, PushStream,
};
use afield_core::{Durable, EntityId, Entropy, Filter};

/// A device whose messages are moved by hand.
struct Desk {
    id: SessionId,
    session: DeviceSession,
    sent: Vec<Vec<u8>>,
    heard: Vec<Vec<u8>>,
    received: Vec<Vec<u8>>,
    /// In which collections what came is.
    collections: Vec<Collection>,
    proven: usize,
    error: Option<SessionError>,
}

impl Desk {
    fn new(relay: &mut Relay, number: u8, spaces: &[SpaceId], raw: bool, filter: &Filter) -> Self {
        let token = relay.token.reveal().to_owned();
        let id = relay.connect_as(Some(&token));
        let Hello { device, incarnation, predecessors, .. } = hello(number);
        let greeting = Greeting { device, incarnation, predecessors, guest_of: None, token: None };
        let filter = || filter.clone();
        let opening = |space: &SpaceId| SpaceOpening {
            space: *space,
            cursor: None,
            create: true,
            raw,
            filter: filter(),
            partial: false,
            invitation: None,
        };
        let session = DeviceSession::new(greeting, spaces.iter().map(opening), relay.now());
        let (sent, heard, received, collections) = Default::default();
        let mut desk = Self { id, session, sent, heard, received, collections, proven: 0, error: None };
        settle(relay, &mut [&mut desk]);
        desk
    }

    fn plain(relay: &mut Relay, number: u8) -> Self {
        Self::new(relay, number, &[SPACE], false, &Filter::Everything)
    }

    fn push(&mut self, relay: &mut Relay, space: SpaceId, entity: EntityId, chunks: &[Vec<u8>]) {
        self.push_in("notes", relay, space, entity, chunks);
    }

    fn push_in(&mut self, name: &str, relay: &mut Relay, space: SpaceId, entity: EntityId, chunks: &[Vec<u8>]) {
        let pushed = chunks.iter().map(|bytes| PushedChunk {
            entity,
            collection: name.parse().unwrap(),
            kind: afield_core::ChunkKind::Change,
            hash: ChangeHeader::read(bytes, &Limits::DEFAULT).unwrap().hash,
            bytes: bytes.clone(),
        });
        let pushed = pushed.collect();
        let now = relay.now();
        self.session.push(space, durable(relay, pushed), now);
    }

    /// Hands the relay what the device has to say.
    fn speak(&mut self, relay: &mut Relay) -> bool {
        let mut any = false;
        while let Some(message) = self.session.poll_transmit() {
            any = true;
            relay.hub.handle_message(self.id, &message, relay.now());
            self.sent.push(message);
        }
        any
    }

    fn listen(&mut self, relay: &mut Relay) {
        for message in relay.raw(self.id) {
            self.hear(&message, relay.now());
        }
    }

    fn hear(&mut self, message: &[u8], now: Now) {
        self.heard.push(message.to_vec());
        if self.error.is_some() {
            return;
        }
        self.error = self.session.handle_message(message, now).err();
        while let Some(event) = self.session.poll_event() {
            if let DeviceEvent::Advance(advance) = event {
                self.proven += advance.proofs.len();
                self.collections.extend(advance.received.iter().filter_map(|chunk| chunk.collection.clone()));
                self.received.extend(advance.received.into_iter().map(|chunk| chunk.bytes));
            }
        }
    }

    /// The live messages that came, and with how many of them an epoch began.
    fn live(&self) -> (usize, usize) {
        let live = self.heard.iter().filter_map(|message| LiveMessage::open(message).unwrap());
        let begins: Vec<bool> = live.map(|live| live.begins()).collect();
        (begins.len(), begins.iter().filter(|begins| **begins).count())
    }
}

/// Something of the log's, so that it may be sent.
fn durable<T>(relay: &mut Relay, value: T) -> Durable<T> {
    let request = OpenRequest { channel: Channel(0), space: SPACE, cursor: None, create: false, invitation: None };
    let now = relay.now();
    let answer = relay.hub.log.open(Principal::ANYONE, &request, LogId::from_bytes([9; 16]), now);
    answer.unwrap().map(|_| value)
}

fn settle(relay: &mut Relay, desks: &mut [&mut Desk]) {
    loop {
        let any = desks.iter_mut().fold(false, |any, desk| desk.speak(relay) | any);
        relay.turn();
        desks.iter_mut().for_each(|desk| desk.listen(relay));
        if !any {
            return;
        }
    }
}

fn is_live(message: &[u8], kind: LiveKind) -> bool {
    LiveMessage::open(message).unwrap().is_some_and(|live| live.kind() == kind)
}

#[test]
fn what_is_typed_travels_in_a_few_bytes_both_ways() {
    let mut relay = Relay::new();
    let (mut one, mut two) = (Desk::plain(&mut relay, 1), Desk::plain(&mut relay, 2));
    let mut author = Author::new(1, 1);
    let mut other = author.fork(2);
    let (mut expected_of_one, mut expected_of_two) = (Vec::new(), Vec::new());
    for turn in 0..60 {
        let (desk, author, other, expected) = if turn % 3 == 0 {
            (&mut two, &mut other, &mut author, &mut expected_of_one)
        } else {
            (&mut one, &mut author, &mut other, &mut expected_of_two)
        };
        author.merge(other);
        let change = author.edit(&format!("{turn}"));
        desk.push(&mut relay, SPACE, author.entity, std::slice::from_ref(&change));
        expected.push(change);
        settle(&mut relay, &mut [&mut one, &mut two]);
    }
    assert!(one.error.is_none() && two.error.is_none());
    assert_eq!((&one.received, &two.received), (&expected_of_one, &expected_of_two));
    assert_eq!((one.proven, two.proven), (40, 20), "own changes are named");
    for desk in [&one, &two] {
        let pushes: Vec<_> =
            desk.sent.iter().filter(|message| is_live(message, LiveKind::Push)).map(Vec::len).collect();
        let runs: Vec<_> =
            desk.heard.iter().filter(|message| is_live(message, LiveKind::Chunks)).map(Vec::len).collect();
        assert_eq!((pushes.len(), runs.len()), (desk.proven, 60), "all of it is live");
        let mean = |sizes: &[usize]| sizes[5..].iter().sum::<usize>() as f64 / (sizes.len() - 5) as f64;
        assert!(mean(&pushes) < 25.0 && mean(&runs) < 25.0, "{pushes:?} {runs:?}");
    }
}

#[test]
fn an_entity_that_its_pusher_has_in_another_collection_than_the_log_misleads_nobody() {
    for theirs in ["tasks", "notes"] {
        let mut relay = Relay::new();
        let (mut one, mut two) = (Desk::plain(&mut relay, 1), Desk::plain(&mut relay, 2));
        // Both have made the same entity, and the one whose collection counts was first.
        let (mut mine, mut their, mut next) = (Author::new(1, 1), Author::new(1, 2), Author::new(2, 2));
        assert_eq!(mine.entity, their.entity);
        two.push_in(theirs, &mut relay, SPACE, their.entity, &[their.edit("first")]);
        settle(&mut relay, &mut [&mut one, &mut two]);
        for round in 0..3 {
            one.push(&mut relay, SPACE, mine.entity, &[mine.edit(&format!("{round}"))]);
            settle(&mut relay, &mut [&mut one, &mut two]);
        }
        two.push_in(theirs, &mut relay, SPACE, next.entity, &[next.edit("another")]);
        settle(&mut relay, &mut [&mut one, &mut two]);
        assert!(one.error.is_none() && two.error.is_none(), "{:?} {:?}", one.error, two.error);
        assert_eq!(one.collections, [theirs, theirs].map(|name| name.parse().unwrap()));
        assert_eq!(two.collections, [theirs; 3].map(|name| name.parse().unwrap()));
        assert_eq!(one.proven, 3);
    }
}

#[test]
fn much_at_once_is_a_batch_and_what_follows_is_live_again() {
    let mut relay = Relay::new();
    let (mut one, mut two) = (Desk::plain(&mut relay, 1), Desk::plain(&mut relay, 2));
    let mut author = Author::new(1, 1);
    for (count, is_small, live) in
        [(1, true, 1), (20, true, 1), (21, false, 1), (2, true, 1), (200, false, 0), (1, true, 1)]
    {
        let changes: Vec<_> = (0..count).map(|number| author.edit(&format!("{number} of {count}"))).collect();
        let before = (one.sent.len(), two.live().0, two.received.len());
        one.push(&mut relay, SPACE, author.entity, &changes);
        settle(&mut relay, &mut [&mut one, &mut two]);
        assert_eq!(is_live(&one.sent[before.0], LiveKind::Push), is_small, "{count}");
        assert_eq!(two.live().0 - before.1, live, "{count}");
        assert_eq!(two.received[before.2..], changes);
    }
    assert!(one.error.is_none() && two.error.is_none());
    assert_eq!((one.proven, two.received.len()), (245, 245));
}

#[test]
fn raw_and_filtered_readers_get_none_and_miss_nothing() {
    let mut relay = Relay::new();
    let mut one = Desk::plain(&mut relay, 1);
    let some = Filter::Only(afield_core::filter::Selection {
        collections: ["notes".parse().unwrap()].into(),
        ..Default::default()
    });
    let mut raw = Desk::new(&mut relay, 2, &[SPACE], true, &Filter::Everything);
    let mut filtered = Desk::new(&mut relay, 3, &[SPACE], false, &some);
    let mut author = Author::new(1, 1);
    let changes: Vec<_> = (0..10).map(|number| author.edit(&format!("{number}"))).collect();
    for change in &changes {
        one.push(&mut relay, SPACE, author.entity, std::slice::from_ref(change));
        settle(&mut relay, &mut [&mut one, &mut raw, &mut filtered]);
    }
    assert_eq!((raw.live().0, filtered.live().0), (0, 0));
    assert_eq!((&raw.received, &filtered.received), (&changes, &changes), "R9");
    assert_eq!(one.live().0, 10, "the control");
}

#[test]
fn those_who_come_later_cost_the_others_no_more_epochs_than_they_save() {
    let mut relay = Relay::new();
    let mut desks: Vec<_> = (1..=10).map(|number| Desk::plain(&mut relay, number)).collect();
    let mut author = Author::new(1, 1);
    let mut typed = 0;
    let mut type_once = |relay: &mut Relay, desks: &mut [Desk]| {
        typed += 1;
        let change = author.edit(&format!("{typed}"));
        desks[0].push(relay, SPACE, author.entity, &[change]);
        settle(relay, &mut desks.iter_mut().collect::<Vec<_>>());
    };
    (0..5).for_each(|_| type_once(&mut relay, &mut desks));
    assert!(desks.iter().all(|desk| desk.live() == (5, 1)), "one epoch, from the first keystroke on");
    desks.push(Desk::plain(&mut relay, 11));
    (0..10).for_each(|_| type_once(&mut relay, &mut desks));
    assert_eq!(desks[0].live(), (15, 1), "ten inside would pay for one outside");
    type_once(&mut relay, &mut desks);
    assert_eq!(desks[0].live(), (16, 2), "by now it has lost as much");
    assert_eq!(desks[10].live(), (1, 1));
    assert!(desks.iter().all(|desk| desk.error.is_none()));
    let counts: Vec<_> = desks[1..].iter().map(|desk| desk.received.len()).collect();
    assert_eq!(counts, [16; 10], "R9");
}

#[test]
fn a_flipped_bit_of_a_live_push_ends_the_session_and_stores_nothing() {
    let mut author = Author::new(1, 1);
    let changes: Vec<_> = (0..3).map(|number| author.edit(&format!("{number}"))).collect();
    let mut length = usize::MAX;
    let mut at = 0;
    while at < length {
        let mut relay = Relay::new();
        let mut one = Desk::plain(&mut relay, 1);
        for change in &changes[..2] {
            one.push(&mut relay, SPACE, author.entity, std::slice::from_ref(change));
            settle(&mut relay, &mut [&mut one]);
        }
        one.push(&mut relay, SPACE, author.entity, &changes[2..]);
        let mut message = one.session.poll_transmit().unwrap();
        length = message.len();
        message[at] ^= 1 << (at % 8);
        relay.hub.handle_message(one.id, &message, relay.now());
        relay.turn();
        assert!(relay.is_closed(one.id), "byte {at}");
        assert_eq!(relay.everything(), changes[..2], "byte {at}");
        at += 1;
    }
    assert!(length < 25, "{length} bytes");
}

#[test]
fn a_live_push_that_comes_twice_or_not_at_all_ends_the_session() {
    for (times, survives) in [(0, false), (1, true), (2, false)] {
        let mut relay = Relay::new();
        let spaces = [SPACE, SpaceId::from_bytes([2; 16])];
        let mut one = Desk::new(&mut relay, 1, &spaces, false, &Filter::Everything);
        let (mut author, mut other) = (Author::new(1, 1), Author::new(2, 2));
        let (first, second) = (author.edit("a"), other.edit("b"));
        one.push(&mut relay, SPACE, author.entity, &[first]);
        let message = one.session.poll_transmit().unwrap();
        // A push to another space: nothing but its number says that one is missing before it.
        one.push(&mut relay, spaces[1], other.entity, &[second]);
        let next = one.session.poll_transmit().unwrap();
        let arrived = std::iter::repeat_n(&message, times).chain([&next]);
        arrived.for_each(|message| relay.hub.handle_message(one.id, message, at(0)));
        relay.turn();
        assert_eq!(!relay.is_closed(one.id), survives, "S3: its receipts would be others'");
    }
}

#[test]
fn a_position_that_the_session_was_not_told_of_ends_it() {
    use afield_core::wire::encode_batch_over_log;
    let mut relay = Relay::new();
    let mut one = Desk::plain(&mut relay, 1);
    let mut author = Author::new(1, 1);
    one.push(&mut relay, SPACE, author.entity, &[author.edit("a")]);
    settle(&mut relay, &mut [&mut one]);
    let collection: Collection = "notes".parse().unwrap();
    let next = author.edit("b");
    for (sequence, closes) in [(1, false), (2, true), (0, true), (u64::MAX, true)] {
        let mut device = Desk::plain(&mut relay, 2);
        let chunk =
            BatchChunk { entity: author.entity, collection: &collection, kind: ChunkKind::Change, bytes: &next };
        let batch = encode_batch_over_log([chunk], |_, _| Some(Sequence::new(sequence)));
        let push = Push { number: PushNumber(1), channel: Channel(0), batch: batch.as_slice().into() };
        relay.hub.handle_message(device.id, &wire::encode_to_relay(&ToRelay::Push(push)), relay.now());
        relay.turn();
        device.listen(&mut relay);
        assert_eq!(relay.is_closed(device.id), closes, "R6: {sequence}");
    }
    // The wrong change at the position: what is rebuilt is another one, and the check says so.
    let third = author.edit("c");
    let chunk = BatchChunk { entity: author.entity, collection: &collection, kind: ChunkKind::Change, bytes: &third };
    let batch = encode_batch_over_log([chunk], |_, _| Some(Sequence::new(1)));
    let push = Push { number: PushNumber(2), channel: Channel(0), batch: batch.as_slice().into() };
    relay.hub.handle_message(one.id, &wire::encode_to_relay(&ToRelay::Push(push)), relay.now());
    relay.turn();
    assert!(relay.is_closed(one.id));
    assert_eq!(relay.everything().len(), 2);
}

#[test]
fn a_session_has_streams_and_epochs_on_so_many_channels_and_goes_on_without_on_the_others() {
    let mut relay = Relay::new();
    let spaces: Vec<_> = (1..=20).map(|number| SpaceId::from_bytes([number; 16])).collect();
    let mut one = Desk::new(&mut relay, 1, &spaces, false, &Filter::Everything);
    let mut two = Desk::new(&mut relay, 2, &spaces, false, &Filter::Everything);
    for round in 0..2 {
        for (number, space) in (1..).zip(&spaces) {
            let mut author = Author::new(number, 100 + round);
            one.push(&mut relay, *space, author.entity, &[author.edit("x")]);
            settle(&mut relay, &mut [&mut one, &mut two]);
        }
    }
    assert!(one.error.is_none() && two.error.is_none());
    assert_eq!((one.proven, two.received.len()), (40, 40));
    let pushes = one.sent.iter().filter(|message| is_live(message, LiveKind::Push)).count();
    assert_eq!((pushes, two.live().0), (2 * LIVE_PUSH_CHANNELS_MAX, 2 * LIVE_CHUNKS_CHANNELS_MAX), "R8");
}

#[test]
fn an_epoch_goes_with_the_last_who_is_in_it() {
    let mut relay = Relay::new();
    let (mut one, mut two) = (Desk::plain(&mut relay, 1), Desk::plain(&mut relay, 2));
    let mut author = Author::new(1, 1);
    one.push(&mut relay, SPACE, author.entity, &[author.edit("x")]);
    settle(&mut relay, &mut [&mut one, &mut two]);
    let epoch = |relay: &Relay| relay.hub.spaces.get(&SPACE).and_then(|readers| readers.live.epoch()).is_some();
    assert!(epoch(&relay));
    relay.hub.disconnect(two.id);
    assert!(epoch(&relay), "one is in it");
    // A reader that wants nothing more keeps the space, and no state of it.
    let _idle = Desk::new(&mut relay, 3, &[SPACE], true, &Filter::Everything);
    relay.hub.disconnect(one.id);
    assert!(!epoch(&relay), "R8");
}

#[test]
fn own_chunks_are_named_one_after_the_other_through_refusals_batches_and_epochs() {
    let mut relay = Relay::new();
    let mut one = Desk::plain(&mut relay, 1);
    let (mut author, mut orphaned) = (Author::new(1, 1), Author::new(2, 2));
    let missing = orphaned.edit("never pushed");
    let mut total = 0;
    let mut type_in = |relay: &mut Relay, one: &mut Desk, count: usize| {
        let changes: Vec<_> = (0..count).map(|number| author.edit(&format!("{}", total + number))).collect();
        one.push(relay, SPACE, author.entity, &changes);
        settle(relay, &mut [one]);
        total += count;
        assert!(one.error.is_none());
        assert_eq!(one.proven, total, "each is named once");
    };
    type_in(&mut relay, &mut one, 2);
    // The relay does not take these, in a live push and in a plain one.
    let orphans: Vec<_> = (0..30).map(|number| orphaned.edit(&format!("{number}"))).collect();
    one.push(&mut relay, SPACE, orphaned.entity, &orphans[..3]);
    type_in(&mut relay, &mut one, 1);
    one.push(&mut relay, SPACE, orphaned.entity, &orphans);
    // A batch, and with it the end of the epoch.
    type_in(&mut relay, &mut one, 40);
    let before = one.live();
    type_in(&mut relay, &mut one, 1);
    assert_eq!(one.live(), (before.0 + 1, before.1 + 1), "another epoch begins, and the count goes on");
    // The control: with what was missing they are taken, and named as the others were.
    one.push(&mut relay, SPACE, orphaned.entity, &[missing]);
    one.push(&mut relay, SPACE, orphaned.entity, &orphans[..3]);
    settle(&mut relay, &mut [&mut one]);
    assert_eq!((one.proven, one.received.len()), (48, 0));
}

#[test]
fn an_open_ends_streams_and_epochs_and_nothing_of_before_is_taken_for_what_follows() {
    for listens_first in [true, false] {
        let mut relay = Relay::new();
        let (mut one, mut two) = (Desk::plain(&mut relay, 1), Desk::plain(&mut relay, 2));
        let mut author = Author::new(1, 1);
        let mut other = Author::new(2, 2);
        one.push(&mut relay, SPACE, author.entity, &[author.edit("a")]);
        two.push(&mut relay, SPACE, other.entity, &[other.edit("b")]);
        settle(&mut relay, &mut [&mut one, &mut two]);
        one.push(&mut relay, SPACE, author.entity, &[author.edit("c")]);
        one.speak(&mut relay);
        relay.turn();
        if listens_first {
            two.listen(&mut relay);
        }
        let (cursor, create, filter) = (two.session.received(SPACE), false, Filter::Everything);
        let again = SpaceOpening { space: SPACE, cursor, create, raw: false, filter, partial: false, invitation: None };
        let now = relay.now();
        assert!(two.session.open(again, now));
        let (sent, heard) = (two.sent.len(), two.heard.len());
        two.push(&mut relay, SPACE, other.entity, &[other.edit("d")]);
        two.speak(&mut relay);
        relay.turn();
        two.listen(&mut relay);
        // The stream began anew, so the relay took the push; what was under way for the epoch before is of none.
        let begins = LiveMessage::open(&two.sent[sent + 1]).unwrap().map(|live| live.begins());
        assert_eq!((begins, relay.is_closed(two.id)), (Some(true), false));
        let unread = matches!(two.error, Some(SessionError::Batch { source: BatchError::NotBegun, .. }));
        assert_eq!((two.error.is_none(), unread), (listens_first, !listens_first));
        assert_eq!(two.received.len(), if listens_first { 2 } else { 1 });
        if listens_first {
            assert!(two.heard.len() > heard && two.proven == 2, "the control");
        }
    }
}

#[test]
fn live_messages_that_come_too_early_the_wrong_way_or_for_no_space_end_the_session() {
    let mut author = Author::new(1, 1);
    let (bytes, notes): (_, Collection) = (author.edit("a"), "notes".parse().unwrap());
    let chunk = BatchChunk { entity: author.entity, collection: &notes, kind: ChunkKind::Change, bytes: &bytes };
    let push = |channel| PushStream::new().encode(Channel(channel), PushNumber(1), &[chunk], |_, _| None);
    let start = afield_core::ChainHash::start(LogId::from_bytes([9; 16]));
    let chunks =
        wire::encode_live_chunks(Channel(0), true, std::iter::empty::<&[u8]>(), LiveState::new().chunks_check(&start));
    for (message, is_welcome, ends) in
        [(push(0), true, false), (push(0), false, true), (push(7), true, true), (chunks.clone(), true, true)]
    {
        let mut relay = Relay::new();
        let id = if is_welcome { relay.device(1) } else { relay.connect_as(None) };
        relay.hub.handle_message(id, &message, relay.now());
        relay.turn();
        assert_eq!(relay.is_closed(id), ends);
        assert_eq!(relay.everything().len(), usize::from(!ends));
    }
    for (message, is_welcome, ends) in [(&push(0), true, true), (&chunks, false, true)] {
        let mut relay = Relay::new();
        let mut desk = Desk::plain(&mut relay, 1);
        if !is_welcome {
            let Hello { device, incarnation, predecessors, .. } = hello(1);
            let greeting = Greeting { device, incarnation, predecessors, guest_of: None, token: None };
            desk.session = DeviceSession::new(greeting, [], relay.now());
        }
        desk.hear(message, relay.now());
        assert_eq!(matches!(desk.error, Some(SessionError::Order { .. })), ends, "{:?}", desk.error);
    }
}

#[test]
fn a_stream_or_an_epoch_on_one_channel_more_than_there_may_be_ends_the_session() {
    let mut relay = Relay::new();
    let spaces: Vec<_> = (1..=20).map(|number| SpaceId::from_bytes([number; 16])).collect();
    let mut desk = Desk::new(&mut relay, 1, &spaces, false, &Filter::Everything);
    for (number, space) in spaces.iter().enumerate() {
        let channel = Channel(u32::try_from(number).unwrap());
        let cursor = desk.session.received(*space).unwrap();
        let message = wire::encode_live_chunks(
            channel,
            true,
            std::iter::empty::<&[u8]>(),
            LiveState::new().chunks_check(&cursor.chain),
        );
        desk.hear(&message, relay.now());
        assert_eq!(desk.error.is_some(), number >= LIVE_CHUNKS_CHANNELS_MAX, "R8: {number}");
    }
    assert!(matches!(desk.error, Some(SessionError::Order { .. })));
    let notes: Collection = "notes".parse().unwrap();
    for number in 0..=LIVE_PUSH_CHANNELS_MAX as u8 {
        let mut author = Author::new(number + 1, 1);
        let bytes = author.edit("x");
        let chunk = BatchChunk { entity: author.entity, collection: &notes, kind: ChunkKind::Change, bytes: &bytes };
        let push = PushNumber(u64::from(number) + 1);
        let message = PushStream::new().encode(Channel(number.into()), push, &[chunk], |_, _| None);
        relay.hub.handle_message(desk.id, &message, relay.now());
        relay.turn();
        assert_eq!(relay.is_closed(desk.id), usize::from(number) >= LIVE_PUSH_CHANNELS_MAX, "R8: {number}");
    }
}

#[test]
fn own_chunks_that_were_not_pushed_live_or_were_named_before_end_the_session() {
    let mut author = Author::new(1, 1);
    let changes: Vec<_> = (0..40).map(|number| author.edit(&format!("{number}"))).collect();
    for (live, skip, count, is_right) in [
        (2, 0, 2, true),
        (2, 0, 3, false),
        (2, 1, 1, true),
        (2, 2, 1, false),
        (40, 0, 1, false),
        (2, u64::MAX, 1, false),
    ] {
        let mut relay = Relay::new();
        let mut desk = Desk::plain(&mut relay, 1);
        desk.push(&mut relay, SPACE, author.entity, &changes[..live]);
        let mut cursor = desk.session.received(SPACE).unwrap();
        for bytes in changes.iter().skip(usize::try_from(skip).unwrap_or(0)).take(usize::try_from(count).unwrap()) {
            let hash = afield_core::log::ChunkHash::of(bytes);
            cursor = cursor.then(author.entity, ChunkKind::Change.number(), hash);
        }
        let (item, notes, kind) = (wire::own_item(skip, count), "notes".parse().unwrap(), ChunkKind::Change);
        let mut state = LiveState::new();
        changes.iter().take(1).for_each(|bytes| {
            state.observe(&BatchChunk { entity: author.entity, collection: &notes, kind, bytes });
        });
        let check = state.chunks_check(&cursor.chain);
        let message = wire::encode_live_chunks(Channel(0), true, [&item[..]], check);
        desk.hear(&message, relay.now());
        assert_eq!(desk.error.is_none(), is_right, "{live} pushed, {skip} left out, {count} named: {:?}", desk.error);
        if is_right {
            let again = wire::encode_live_chunks(Channel(0), false, [&wire::own_item(0, 1)[..]], check);
            desk.hear(&again, relay.now());
            assert!(desk.error.is_some(), "there are no more");
        }
    }
}

#[test]
fn fuzz_mutated_live_messages_end_sessions_and_bring_nothing_that_was_not_sent() {
    let mut random = Seeded(7);
    let mut number = || {
        let mut bytes = [0; 8];
        random.fill(&mut bytes);
        u64::from_le_bytes(bytes) as usize
    };
    let (mut ended, mut survived) = (0, 0);
    for _ in 0..60 {
        let mut relay = Relay::new();
        let (mut one, mut two) = (Desk::plain(&mut relay, 1), Desk::plain(&mut relay, 2));
        let mut author = Author::new(1, 1);
        let mut made = Vec::new();
        for turn in 0..6 {
            let change = author.edit(&format!("{turn}"));
            made.push(change.clone());
            one.push(&mut relay, SPACE, author.entity, &[change]);
            while let Some(mut message) = one.session.poll_transmit() {
                if number() % 8 == 0 {
                    mutate(&mut message, &mut number);
                }
                relay.hub.handle_message(one.id, &message, relay.now());
            }
            relay.turn();
            for mut message in relay.raw(two.id) {
                if number() % 8 == 0 {
                    mutate(&mut message, &mut number);
                }
                two.hear(&message, relay.now());
            }
            one.listen(&mut relay);
        }
        let is_prefix = |received: &[Vec<u8>]| received.iter().zip(&made).all(|(received, made)| received == made);
        assert!(is_prefix(&two.received) && is_prefix(&relay.everything()));
        let is_over = two.error.is_some() || relay.is_closed(one.id);
        (ended, survived) = (ended + usize::from(is_over), survived + usize::from(!is_over));
    }
    assert!(ended > 10 && survived > 2, "{ended} ended, {survived} went on");
}

fn mutate(message: &mut Vec<u8>, number: &mut impl FnMut() -> usize) {
    let at = number() % message.len();
    match number() % 4 {
        0 => message.truncate(at),
        1 => message.insert(at, number() as u8),
        2 => message[at] = number() as u8,
        _ => message[at] ^= 1 << (number() % 8),
    }
}
