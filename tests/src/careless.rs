//! One device and a relay that is played by hand: it checks nothing and sends what it is told to, damaged and in any order.

use crate::world::Random;
use afield::{Driver, EntityId, Existence, Now, Output, SpaceId, SyncEvent, Target, Value};
use afield_core::document::Document;
use afield_core::log::ChunkHash;
use afield_core::wire::{
    self, BatchChunk, CaughtUp, Channel, Chunks, LiveMessage, LiveState, Message, Open, Opened, RawChunk, Segment,
    ToDevice, ToRelay, Welcome,
};
use afield_core::{ChunkKind, Collection, Cursor, Limits, LogId, SessionId};
use afield_store::{OpenOptions, Origin, Store};
use std::collections::VecDeque;
use tokio::sync::broadcast;

/// The wall clock at the start: 2026-01-01.
pub const START: Now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };

/// A log that lies in the hand of a test: what follows its cursor is whatever the test appends.
#[derive(Debug, Clone)]
pub struct CarelessLog {
    channel: Channel,
    cursor: Cursor,
}

impl CarelessLog {
    /// An empty log for the space of this channel.
    pub fn new(channel: u32, log: u8) -> Self {
        Self { channel: Channel(channel), cursor: Cursor::start(LogId::from_bytes([log; 16])) }
    }

    /// The same log in a session that opened it as this.
    #[must_use]
    pub fn opened_as(&self, open: &Open) -> Self {
        Self { channel: open.channel, ..self.clone() }
    }

    /// The answer to an `Open` without a cursor.
    pub fn opened(&self) -> Vec<u8> {
        wire::encode_to_device(&ToDevice::Opened(Opened { channel: self.channel, log: self.cursor.log, role: None }))
    }

    /// Appends changes, and gives the frame that brings them as one batch.
    pub fn batch(&mut self, changes: &[(EntityId, &[u8])]) -> Vec<u8> {
        let (after, collection) = (self.cursor.sequence, notes());
        let kind = ChunkKind::Change;
        let chunks =
            changes.iter().map(|(entity, bytes)| BatchChunk { entity: *entity, collection: &collection, kind, bytes });
        let batch = wire::encode_batch(chunks);
        self.advance(changes);
        self.chunks(after, vec![Segment::Batch(&batch)])
    }

    /// Appends changes, and gives the frame that brings each on its own.
    pub fn raw(&mut self, changes: &[(EntityId, &[u8])]) -> Vec<u8> {
        self.decayed(changes, |bytes| bytes.to_vec())
    }

    /// Appends changes, and gives the frame that brings each on its own, as a disk has left it.
    pub fn decayed(&mut self, changes: &[(EntityId, &[u8])], mut decay: impl FnMut(&[u8]) -> Vec<u8>) -> Vec<u8> {
        let after = self.cursor.sequence;
        let found: Vec<Vec<u8>> = changes.iter().map(|(_, bytes)| decay(bytes)).collect();
        let segments = changes.iter().zip(&found).map(|((entity, bytes), found)| {
            let (kind, hash) = (ChunkKind::Change.number(), ChunkHash::of(bytes));
            Segment::Raw(RawChunk { entity: *entity, collection: "notes", kind, hash, bytes: found })
        });
        let segments = segments.collect();
        self.advance(changes);
        self.chunks(after, segments)
    }

    /// Appends changes, and gives the live chunks that bring them; the state is that of the epoch, which begins with the first
    /// message.
    pub fn live(&mut self, state: &mut Option<LiveState>, changes: &[(EntityId, &[u8])]) -> Vec<u8> {
        let (begins, state) = (state.is_none(), state.get_or_insert_default());
        let (collection, kind) = (notes(), ChunkKind::Change);
        let items = changes.iter().map(|(entity, bytes)| {
            state.encode(&BatchChunk { entity: *entity, collection: &collection, kind, bytes }, |_, _| None)
        });
        let items: Vec<_> = items.collect();
        self.advance(changes);
        let check = state.chunks_check(&self.cursor.chain);
        wire::encode_live_chunks(self.channel, begins, items.iter().map(Vec::as_slice), check)
    }

    /// The word that everything has been sent.
    pub fn caught_up(&self) -> Vec<u8> {
        let Cursor { sequence, chain, .. } = self.cursor;
        let frame = CaughtUp { channel: self.channel, sequence, check: chain.check().into(), role: None };
        wire::encode_to_device(&ToDevice::CaughtUp(frame))
    }

    fn advance(&mut self, changes: &[(EntityId, &[u8])]) {
        for (entity, bytes) in changes {
            self.cursor = self.cursor.then(*entity, ChunkKind::Change.number(), ChunkHash::of(bytes));
        }
    }

    fn chunks(&self, after: afield_core::Sequence, segments: Vec<Segment<'_>>) -> Vec<u8> {
        let check = self.cursor.chain.check().into();
        wire::encode_to_device(&ToDevice::Chunks(Chunks { channel: self.channel, after, segments, check, left: None }))
    }
}

/// A real driver in virtual time, connected to whatever the test says.
pub struct LoneDevice {
    driver: Driver,
    now: Now,
    spaces: Vec<SpaceId>,
    events: broadcast::Receiver<SyncEvent>,
    heard: Vec<SyncEvent>,
    outputs: VecDeque<Output>,
    is_up: bool,
    connects: usize,
}

impl LoneDevice {
    /// A device that has joined so many spaces, with sync on.
    ///
    /// # Panics
    ///
    /// The store in memory fails.
    pub fn new(spaces: u8) -> Self {
        let mut store = Store::open_in_memory(&OpenOptions::default()).expect("a store opens in memory");
        let spaces: Vec<_> = (1..=spaces).map(|number| SpaceId::from_bytes([number; 16])).collect();
        for space in &spaces {
            let _ = store.create_space(*space, "space", Origin::Joined, START.wall_ms).expect("a store takes a space");
        }
        let driver = Driver::new(store, Box::new(Random::new(1)), START).expect("a store that opens can be used");
        Self::of(driver, START, spaces)
    }

    fn of(driver: Driver, now: Now, spaces: Vec<SpaceId>) -> Self {
        let events = driver.events();
        driver.enable_sync(now);
        let (heard, outputs) = (Vec::new(), VecDeque::new());
        Self { driver, now, spaces, events, heard, outputs, is_up: false, connects: 0 }
    }

    /// Ends the process and starts another one on the same store.
    ///
    /// # Panics
    ///
    /// The store in memory fails.
    pub fn restart(self, between: impl FnOnce(&mut rusqlite::Connection)) -> Self {
        let mut connection =
            self.driver.into_store().into_connection().expect("a store in memory keeps its connection");
        between(&mut connection);
        let store =
            Store::from_connection(connection, &OpenOptions::default()).expect("what was committed opens again");
        let driver = Driver::new(store, Box::new(Random::new(2)), self.now).expect("a store that opens can be used");
        Self::of(driver, self.now, self.spaces)
    }

    /// Lets time pass until the device connects, at most so long, and welcomes it; gives what it opens, or nothing when
    /// it does not come.
    ///
    /// # Panics
    ///
    /// The store in memory fails.
    pub fn connect(&mut self, within_ms: u64) -> Option<Vec<Open>> {
        let deadline = self.now.monotonic_ms + within_ms;
        loop {
            match self.next_output() {
                Some(Output::Connect) => break,
                Some(_) => {}
                None => {
                    let at = self.driver.poll_timeout().filter(|at| *at <= deadline)?;
                    self.now.monotonic_ms = self.now.monotonic_ms.max(at);
                    self.driver.handle_timeout(self.now).expect("the store works");
                }
            }
        }
        self.connects += 1;
        self.is_up = true;
        self.driver.handle_connected(self.now).expect("the store works");
        let mut opens = Vec::new();
        while let Some(output) = self.next_output() {
            let Output::Transmit(message) = output else { continue };
            if LiveMessage::open(&message).expect("a device sends well-formed messages").is_some() {
                continue;
            }
            let message = Message::open(&message).expect("a device sends well-formed messages");
            if let ToRelay::Open(open) = message.to_relay().expect("a device sends well-formed frames") {
                opens.push(open);
            }
        }
        let welcome = Welcome {
            version: wire::PROTOCOL_VERSION,
            session: SessionId::from_bytes([1; 16]),
            limits: Limits::DEFAULT,
            spaces: Vec::new(),
            may_create: true,
            signals: true,
        };
        assert!(self.deliver(&wire::encode_to_device(&ToDevice::Welcome(welcome))), "a device takes its welcome");
        Some(opens)
    }

    /// Hands the device a message and lets it merge; answers whether the session goes on.
    ///
    /// # Panics
    ///
    /// The store in memory fails.
    pub fn deliver(&mut self, message: &[u8]) -> bool {
        if self.is_up {
            self.driver.handle_messages([message], self.now).expect("the store works");
            while self.driver.wants_idle() {
                self.driver.handle_idle(self.now).expect("the store works");
            }
            while let Some(output) = self.driver.poll_output() {
                self.is_up &= output != Output::Disconnect;
                self.outputs.push_back(output);
            }
        }
        self.is_up
    }

    fn next_output(&mut self) -> Option<Output> {
        self.outputs.pop_front().or_else(|| self.driver.poll_output())
    }

    /// How long it has been watched, in milliseconds.
    pub fn watched_ms(&self) -> u64 {
        self.now.monotonic_ms
    }

    /// How often it has connected.
    pub fn connects(&self) -> usize {
        self.connects
    }

    /// What it has said so far.
    pub fn events(&mut self) -> &[SyncEvent] {
        self.heard.extend(std::iter::from_fn(|| self.events.try_recv().ok()));
        &self.heard
    }

    /// The spaces, in the order of their channels.
    pub fn spaces(&self) -> &[SpaceId] {
        &self.spaces
    }

    /// How many chunks of a space it has put into quarantine.
    ///
    /// # Panics
    ///
    /// The store cannot be read.
    pub fn quarantined(&self, space: SpaceId) -> usize {
        self.driver.with_store(|store| store.reader().quarantined(space)).expect("the store can be read").len()
    }

    /// What an entity reads as; nothing when it is not there.
    pub fn read(&self, space: SpaceId, entity: EntityId) -> Option<Value> {
        let target = Target { space, collection: notes(), entity, existence: Existence::Required };
        self.driver.read_document(&target, self.now, Document::read).ok()
    }

    /// Sets a field of an entity; answers whether it is stored.
    pub fn put(&self, space: SpaceId, entity: EntityId, key: &str, value: Value) -> bool {
        let target = Target { space, collection: notes(), entity, existence: Existence::Required };
        self.driver.edit(&target, self.now, |edit| edit.put(key, value)).is_ok()
    }

    /// Checks that the store is sound.
    ///
    /// # Panics
    ///
    /// It is not.
    pub fn assert_sound(&self) {
        let found = self.driver.with_store(|store| store.verify()).expect("the store can be read");
        assert!(found.is_empty(), "{found:?}");
    }
}

fn notes() -> Collection {
    "notes".parse().expect("a valid name")
}
