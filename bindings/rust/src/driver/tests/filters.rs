//! Filters, snapshots in the place of changes, and what another device has, against a relay played by hand.

use super::hand::{Desk, HandRelay, NOW, changes};
use super::*;
use afield_core::document::{Document, Incoming, snapshot_check};
use afield_core::wire::{
    self, BatchChunk, Channel, Fetch, Fetched, Jump, Places, PushNumber, Receipt, ReceiptRun, Seen, Segment,
    SequenceRuns, SnapshotChunk, ToDevice, ToRelay,
};
use afield_core::{ChainHash, ChunkKind, Cursor, Filter, Limits, Sequence};

pub(super) const ENTITY: EntityId = EntityId::from_bytes([9; 16]);

pub(super) fn at(number: u64) -> Sequence {
    Sequence::new(number)
}

/// Changes of [`ENTITY`] with their hashes, and the document that they make, saved.
fn saved(count: usize) -> (Vec<(ChangeHash, Vec<u8>)>, Vec<u8>) {
    let changes = changes(ENTITY, count).into_iter();
    let hash = |bytes: &[u8]| afield_core::change::ChangeHeader::read(bytes, &Limits::DEFAULT).unwrap().hash;
    let changes: Vec<_> = changes.map(|bytes| (hash(&bytes), bytes)).collect();
    let incoming = changes.iter().map(|(hash, bytes)| Incoming { hash: *hash, bytes });
    let document = Document::load(ENTITY, None, incoming).unwrap();
    let saved = document.automerge().save_nocompress();
    (changes, saved)
}

fn snapshot<'s>(hashes: &[(ChangeHash, Vec<u8>)], saved: &'s [u8], sequences: &[u64]) -> Segment<'s> {
    Segment::Snapshot(SnapshotChunk {
        entity: ENTITY,
        collection: "notes",
        sequences: SequenceRuns::of(sequences.iter().copied().map(Sequence::new)),
        check: snapshot_check(ENTITY, hashes.iter().map(|(hash, _)| *hash)),
        bytes: saved,
    })
}

/// A frame that leads from one position to another.
pub(super) fn jump(before: Cursor, upto: u64, segments: Vec<Segment<'_>>) -> (Vec<u8>, Cursor) {
    let chain = ChainHash::from_bytes([upto as u8; 32]);
    let after = Cursor { log: before.log, sequence: at(upto), chain };
    let (channel, check, places) = (Channel(0), before.chain.check().into(), Places::default());
    let frame = Jump { channel, after: before.sequence, check, segments, places, upto: at(upto), chain, left: None };
    (wire::encode_to_device(&ToDevice::Jump(frame)), after)
}

/// A device that is connected and caught up with an empty log.
pub(super) fn connected() -> (Desk, HandRelay) {
    let desk = Desk::new();
    desk.driver.enable_sync(NOW);
    let relay = desk.connect(NOW);
    desk.receive(&[relay.welcome(), relay.opened(), relay.caught_up()], NOW);
    (desk, relay)
}

impl Desk {
    fn marks(&self) -> Vec<Option<u64>> {
        let marks = self.driver.with_store(|store| store.marks(self.space)).unwrap();
        marks.into_iter().map(|(.., mark)| mark.map(Sequence::get)).collect()
    }

    fn is_readable(&self) -> bool {
        self.driver.read_document(&self.target(ENTITY), NOW, |_| ()).is_ok()
    }

    /// What the device asks for.
    pub(super) fn fetches(&self) -> Vec<Fetch> {
        let mut fetches = Vec::new();
        while let Some(output) = self.driver.poll_output() {
            let Output::Transmit(message) = output else { continue };
            if let Some(ToRelay::Fetch(fetch)) = super::hand::frame(&message) {
                fetches.push(fetch);
            }
        }
        fetches
    }
}

#[test]
fn a_snapshot_gives_every_change_its_place_and_proves_none_above_the_cursor() {
    let (desk, relay) = connected();
    let (changes, saved) = saved(3);
    let (message, after) = jump(relay.at(), 5, vec![snapshot(&changes, &saved, &[2, 4, 7])]);
    desk.receive(&[message], NOW);
    assert!(desk.is_readable());
    assert_eq!(desk.stored(ENTITY), changes.iter().map(|(_, bytes)| bytes.clone()).collect::<Vec<_>>());
    let mut marks = desk.marks();
    marks.sort_unstable();
    assert_eq!(marks, [None, Some(2), Some(4)], "D5: what stands above the cursor is in the outbox");
    let (message, _) = jump(after, 9, Vec::new());
    desk.receive(&[message], NOW);
    let mut marks = desk.marks();
    marks.sort_unstable();
    assert_eq!(marks, [Some(2), Some(4), Some(7)]);
    assert_eq!(desk.driver.with_store(|store| store.verify()).unwrap(), []);
}

#[test]
fn a_snapshot_that_is_not_usable_is_fetched_as_changes_and_the_cursor_passes_it() {
    let (desk, relay) = connected();
    let (changes, mut saved) = saved(3);
    let last = saved.len() - 1;
    saved[last] ^= 1;
    desk.fetches();
    let (message, after) = jump(relay.at(), 3, vec![snapshot(&changes, &saved, &[1, 2, 3])]);
    desk.receive(&[message], NOW);
    let cursor = desk.driver.with_store(|store| store.space(desk.space)).unwrap().unwrap().cursor;
    assert_eq!((cursor, desk.is_readable()), (Some(after), false));
    assert!(!desk.driver.is_in_step(), "something is still to come");
    let fetches = desk.fetches();
    let [fetch] = &fetches[..] else { panic!("{fetches:?}") };
    assert_eq!((fetch.changes, fetch.after), (true, Sequence::ZERO));
    assert_eq!(fetch.filter, Filter::nothing().entities([ENTITY]));

    let notes = "notes".parse().unwrap();
    let kind = ChunkKind::Change;
    let chunks = changes.iter().map(|(_, bytes)| BatchChunk { entity: ENTITY, collection: &notes, kind, bytes });
    let batch = wire::encode_batch(chunks);
    let page = ToDevice::Fetched(Fetched {
        number: fetch.number,
        segments: vec![Segment::Batch(&batch)],
        places: Places::of(Sequence::ZERO, (1..=3).map(Sequence::new)),
        upto: at(3),
        done: true,
        unknown: wire::EntityIds::default(),
    });
    desk.receive(&[wire::encode_to_device(&page)], NOW);
    assert!(desk.is_readable() && desk.driver.is_in_step());
    assert_eq!(desk.marks(), [Some(1), Some(2), Some(3)]);
    let quarantined = desk.driver.with_store(|store| store.reader().quarantined(desk.space)).unwrap();
    assert_eq!(quarantined.len(), 1, "D8: its bytes are kept");
}

#[test]
fn a_jump_that_does_not_start_at_the_cursor_ends_the_session_and_stores_nothing() {
    let (desk, relay) = connected();
    let (changes, saved) = saved(1);
    let elsewhere = Cursor { chain: ChainHash::from_bytes([1; 32]), ..relay.at() };
    let (message, _) = jump(elsewhere, 1, vec![snapshot(&changes, &saved, &[1])]);
    desk.receive(&[message], NOW);
    assert!(desk.marks().is_empty() && !desk.driver.is_in_step());
    let cursor = desk.driver.with_store(|store| store.space(desk.space)).unwrap().unwrap().cursor;
    assert_eq!(cursor, Some(relay.at()), "D3");
}

#[test]
fn another_device_has_a_change_when_the_relay_says_so_and_not_before() {
    let (desk, relay) = connected();
    let (entity, hashes) = desk.edit("title");
    desk.driver.handle_wake(NOW).unwrap();
    let mut seen = desk.driver.seen_elsewhere(entity, hashes[0]).unwrap();
    let tell = |sequence| wire::encode_to_device(&ToDevice::Seen(Seen { channel: Channel(0), sequence: at(sequence) }));
    desk.receive(&[tell(1)], NOW);
    assert!(seen.try_recv().is_err(), "nobody knows yet where the change stands");
    let runs = vec![ReceiptRun::Stored { first: at(1), count: 1 }];
    let receipt = wire::encode_to_device(&ToDevice::Receipt(Receipt { push: PushNumber(1), runs }));
    let (jump, after) = jump(relay.at(), 1, Vec::new());
    desk.receive(&[receipt, jump], NOW);
    assert_eq!(seen.try_recv(), Ok(()));

    let again = desk.edit_again(entity, "another title");
    desk.driver.handle_wake(NOW).unwrap();
    let mut seen = desk.driver.seen_elsewhere(entity, again[0]).unwrap();
    let runs = vec![ReceiptRun::Stored { first: at(2), count: 1 }];
    let receipt = wire::encode_to_device(&ToDevice::Receipt(Receipt { push: PushNumber(2), runs }));
    let (jump, _) = self::jump(after, 2, Vec::new());
    desk.receive(&[receipt, jump], NOW);
    assert!(seen.try_recv().is_err(), "the other device has the first only");
    desk.receive(&[tell(2)], NOW);
    assert_eq!(seen.try_recv(), Ok(()));
}

#[test]
fn who_waits_to_have_caught_up_does_not_wait_for_what_is_to_be_sent() {
    let desk = Desk::new();
    desk.edit("title");
    desk.driver.enable_sync(NOW);
    let (mut caught_up, mut in_step) = (desk.driver.when_caught_up(), desk.driver.when_in_step());
    let relay = desk.connect(NOW);
    desk.receive(&[relay.welcome(), relay.opened()], NOW);
    assert!(caught_up.try_recv().is_err());
    desk.receive(&[relay.caught_up()], NOW);
    assert!(matches!(caught_up.try_recv(), Ok(Ok(()))));
    assert!(in_step.try_recv().is_err(), "there is no receipt yet");
}

#[test]
fn progress_is_told_once_something_of_others_is_stored() {
    let (desk, mut relay) = connected();
    let told = || {
        let mut told = Vec::new();
        while let Some(output) = desk.driver.poll_output() {
            let Output::Transmit(message) = output else { continue };
            if let Some(ToRelay::Progress(frame)) = super::hand::frame(&message) {
                told.push(frame.sequence.get());
            }
        }
        told
    };
    assert!(told().is_empty());
    let changes = changes(ENTITY, 2);
    let earlier = EntityId::from_bytes([10; 16]);
    let first = relay.chunk(earlier, &super::hand::changes(earlier, 1)[0]);
    desk.receive(&[first], NOW);
    for moment in [400, 800] {
        desk.driver.handle_timeout(super::hand::later(NOW, moment)).unwrap();
    }
    assert_eq!(told(), [1], "what came first is told after a rest");
    let later = super::hand::later(NOW, 2_000);
    let message = relay.chunk(ENTITY, &changes[0]);
    desk.receive(&[message], later);
    assert_eq!(told(), [2]);
    let message = relay.chunk(ENTITY, &changes[1]);
    desk.receive(&[message], later);
    assert_eq!(told(), [0; 0], "not at once again");
    let due = desk.driver.poll_timeout().unwrap();
    desk.driver.handle_timeout(super::hand::later(NOW, due)).unwrap();
    assert_eq!(told(), [3]);
}
