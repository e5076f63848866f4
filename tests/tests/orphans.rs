//! Changes whose dependencies are missing wait for them, and the check that they are not dropped can fail.
//!
//! Honest devices and one relay never bring an orphan (S5), so a relay is played by hand here that does not check.

use afield::{Driver, EntityId, Existence, Now, Output, SpaceId, Target, Value};
use afield_core::document::{Document, EditContext, LocalChange};
use afield_core::log::ChunkHash;
use afield_core::wire::{self, BatchChunk, Channel, Chunks, Opened, Segment, ToDevice, Welcome};
use afield_core::{ChunkKind, Collection, Cursor, Limits, LogId, SessionId};
use afield_store::{OpenOptions, Origin, Store};
use afield_tests::world::Random;

const NOW: Now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };

/// A relay that sends what it is told to, in any order.
struct CarelessRelay {
    cursor: Cursor,
    entity: EntityId,
}

impl CarelessRelay {
    fn welcome(&self) -> [Vec<u8>; 2] {
        let welcome = Welcome {
            version: wire::PROTOCOL_VERSION,
            session: SessionId::from_bytes([1; 16]),
            limits: Limits::DEFAULT,
            spaces: Vec::new(),
            may_create: true,
        };
        let opened = Opened { channel: Channel(0), log: self.cursor.log };
        [ToDevice::Welcome(welcome), ToDevice::Opened(opened)].map(|frame| wire::encode_to_device(&frame))
    }

    fn chunk(&mut self, change: &LocalChange) -> Vec<u8> {
        let notes: Collection = "notes".parse().unwrap();
        let (entity, kind) = (self.entity, ChunkKind::Change);
        let batch = wire::encode_batch([BatchChunk { entity, collection: &notes, kind, bytes: &change.bytes }]);
        let after = self.cursor.sequence;
        self.cursor = self.cursor.then(entity, kind.number(), ChunkHash::of(&change.bytes));
        let segments = vec![Segment::Batch(&batch)];
        let check = self.cursor.chain.check().into();
        wire::encode_to_device(&ToDevice::Chunks(Chunks { channel: Channel(0), after, segments, check }))
    }
}

/// Two changes of one entity, the second on top of the first.
fn two_changes(entity: EntityId) -> Vec<LocalChange> {
    let mut document = Document::new(entity);
    let context = EditContext { actor: vec![7; 16].into(), now: NOW, fresh: true };
    ["first", "second"]
        .into_iter()
        .flat_map(|title| {
            let edited = document.edit(&context, &Limits::DEFAULT, |edit| edit.put(title, Value::Bool(true)));
            edited.unwrap().changes
        })
        .collect()
}

/// Receives the second change before the first, with something happening in between.
fn received_in_the_wrong_order(between: impl FnOnce(&mut rusqlite::Connection)) -> Option<Value> {
    let entity = EntityId::from_bytes([9; 16]);
    let space = SpaceId::from_bytes([8; 16]);
    let mut relay = CarelessRelay { cursor: Cursor::start(LogId::from_bytes([3; 16])), entity };
    let changes = two_changes(entity);

    let mut store = Store::open_in_memory(&OpenOptions::default()).unwrap();
    let _ = store.create_space(space, "Home", Origin::Joined, NOW.wall_ms).unwrap();
    let driver = connected(Driver::new(store, Box::new(Random::new(1)), NOW).unwrap());
    let mut messages = relay.welcome().to_vec();
    messages.push(relay.chunk(&changes[1]));
    driver.handle_messages(messages.iter().map(Vec::as_slice), NOW).unwrap();
    driver.handle_idle(NOW).unwrap();

    let mut connection = driver.into_store().into_connection().unwrap();
    between(&mut connection);
    let store = Store::from_connection(connection, &OpenOptions::default()).unwrap();
    let driver = connected(Driver::new(store, Box::new(Random::new(2)), NOW).unwrap());
    let messages = [relay.welcome()[0].clone(), relay.chunk(&changes[0])];
    driver.handle_messages(messages.iter().map(Vec::as_slice), NOW).unwrap();
    driver.handle_idle(NOW).unwrap();

    let target = Target { space, collection: "notes".parse().unwrap(), entity, existence: Existence::Required };
    driver.read_document(&target, NOW, Document::read).ok()
}

fn connected(driver: Driver) -> Driver {
    driver.enable_sync(NOW);
    assert_eq!(driver.poll_output(), Some(Output::Connect));
    driver.handle_connected(NOW).unwrap();
    driver
}

fn both() -> Option<Value> {
    let both = ["first", "second"].map(|title| (title.to_owned(), Value::Bool(true)));
    Some(Value::Map(both.into_iter().collect()))
}

#[test]
fn an_orphan_waits_through_a_restart_until_what_it_needs_arrives() {
    assert_eq!(received_in_the_wrong_order(|_| ()), both());
}

#[test]
fn dropping_orphans_is_caught() {
    let dropped = received_in_the_wrong_order(|connection| {
        let deleted = connection.execute("DELETE FROM changes WHERE state = 2", []).unwrap();
        assert_eq!(deleted, 1, "one change was waiting");
    });
    assert_ne!(dropped, both());
}
