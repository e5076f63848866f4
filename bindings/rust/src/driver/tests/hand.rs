//! A relay played by hand, and a device beside it.

use crate::driver::{Driver, DriverError, EditFailure, Existence, Output, Target};
use afield_core::change::ChangeHeader;
use afield_core::document::{DELETED_KEY, Document, EditContext, Incoming, OperationError, Value};
use afield_core::log::ChunkHash;
use afield_core::wire::{
    self, BatchChunk, CaughtUp, Channel, ChunkCode, Chunks, Goodbye, GoodbyeCode, Opened, PushNumber, Receipt,
    ReceiptRun, Segment, ToDevice, ToRelay, Welcome,
};
use afield_core::{
    ChainHash, ChangeHash, ChunkKind, Collection, Cursor, EntityId, Entropy, Limits, LogId, Now, Sequence, SessionId,
    SpaceId,
};
use afield_store::{OpenOptions, Origin, Store};

pub(super) const NOW: Now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };

pub(super) fn later(now: Now, ms: u64) -> Now {
    Now { wall_ms: now.wall_ms + i64::try_from(ms).unwrap(), monotonic_ms: now.monotonic_ms + ms }
}

/// The `Fetch` or `Progress` that a message of the device is.
pub(super) fn frame(message: &[u8]) -> Option<ToRelay<'static>> {
    if wire::LiveMessage::open(message).unwrap().is_some() {
        return None;
    }
    match wire::Message::open(message).unwrap().to_relay().unwrap() {
        ToRelay::Fetch(frame) => Some(ToRelay::Fetch(frame)),
        ToRelay::Progress(frame) => Some(ToRelay::Progress(frame)),
        _ => None,
    }
}

/// Counts, so that a test is the same each time.
struct Counting(u8);

impl Entropy for Counting {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_mul(29).wrapping_add(71);
            *byte = self.0;
        }
    }
}

fn notes() -> Collection {
    "notes".parse().unwrap()
}

/// Changes of an entity by somebody else, each on top of the one before.
pub(super) fn changes(entity: EntityId, count: usize) -> Vec<Vec<u8>> {
    let mut document = Document::new(entity);
    let context = EditContext { fresh: true, ..EditContext::new(vec![7; 16].into(), NOW) };
    let mut made = Vec::new();
    for number in 0..count {
        let value = Value::Int(i64::try_from(number).unwrap());
        let edited = document.edit(&context, &Limits::DEFAULT, |edit| edit.put("number", value)).unwrap();
        made.extend(edited.changes.into_iter().map(|change| change.bytes));
    }
    made
}

/// The making of an entity with a title, and what two others who know that, and not of each other, write there.
pub(super) fn conflicting(entity: EntityId) -> [Vec<u8>; 3] {
    let mut made = Document::new(entity);
    let write = |document: &mut Document, actor: u8, title: &str| {
        let context = EditContext { fresh: true, ..EditContext::new(vec![actor; 16].into(), NOW) };
        let value = Value::Str(title.to_owned());
        let edited = document.edit(&context, &Limits::DEFAULT, |edit| edit.put("title", value)).unwrap();
        edited.changes.into_iter().next().unwrap()
    };
    let first = write(&mut made, 5, "first");
    let known = || {
        let incoming = Incoming { hash: first.hash, bytes: &first.bytes };
        Document::load(entity, None, [incoming]).unwrap()
    };
    let (one, other) = (write(&mut known(), 6, "one"), write(&mut known(), 7, "other"));
    [first.bytes, one.bytes, other.bytes]
}

/// A change that deletes an entity of which these are all changes.
pub(super) fn deletion(entity: EntityId, changes: &[Vec<u8>]) -> Vec<u8> {
    let hashes: Vec<_> =
        changes.iter().map(|bytes| ChangeHeader::read(bytes, &Limits::DEFAULT).unwrap().hash).collect();
    let incoming = changes.iter().zip(hashes).map(|(bytes, hash)| Incoming { hash, bytes });
    let mut document = Document::load(entity, None, incoming).unwrap();
    let context = EditContext::new(vec![4; 16].into(), NOW);
    let mark = Value::Timestamp(NOW.wall_ms);
    let edited = document.edit(&context, &Limits::DEFAULT, |edit| edit.put(DELETED_KEY, mark)).unwrap();
    edited.changes.into_iter().next().unwrap().bytes
}

/// A device with one space.
pub(super) struct Desk {
    pub(super) driver: Driver,
    pub(super) space: SpaceId,
}

impl Desk {
    pub(super) fn new() -> Self {
        let mut store = Store::open_in_memory(&OpenOptions::default()).unwrap();
        let space = SpaceId::from_bytes([8; 16]);
        let _ = store.create_space(space, "Home", Origin::Joined, NOW.wall_ms).unwrap();
        Self { driver: Driver::new(store, Box::new(Counting(1)), NOW).unwrap(), space }
    }

    /// What the device is after its process has ended and begun again.
    pub(super) fn restart(self, now: Now) -> Self {
        let Self { driver, space } = self;
        Self { driver: Driver::new(driver.into_store(), Box::new(Counting(9)), now).unwrap(), space }
    }

    pub(super) fn add_space(&self, number: u16) -> SpaceId {
        let mut id = [5; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        let space = SpaceId::from_bytes(id);
        let made = self.driver.with_store(|store| store.create_space(space, "more", Origin::Joined, NOW.wall_ms));
        let _ = made.unwrap();
        space
    }

    pub(super) fn target(&self, entity: EntityId) -> Target {
        Target { space: self.space, collection: notes(), entity, existence: Existence::Required }
    }

    /// Makes an entity with a title.
    pub(super) fn edit(&self, title: &str) -> (EntityId, Vec<ChangeHash>) {
        let entity = EntityId::from_bytes([3; 16]);
        let target = Target { existence: Existence::Fresh, ..self.target(entity) };
        let value = Value::Str(title.to_owned());
        let edited = self.driver.edit(&target, NOW, |edit| edit.put("title", value)).unwrap();
        (entity, edited.changes.into_iter().map(|(_, hash)| hash).collect())
    }

    pub(super) fn try_edit(
        &self,
        entity: EntityId,
        title: &str,
    ) -> Result<Vec<ChangeHash>, EditFailure<OperationError>> {
        let value = Value::Str(title.to_owned());
        let edited = self.driver.edit(&self.target(entity), NOW, |edit| edit.put("title", value))?;
        Ok(edited.changes.into_iter().map(|(_, hash)| hash).collect())
    }

    pub(super) fn edit_again(&self, entity: EntityId, title: &str) -> Vec<ChangeHash> {
        self.try_edit(entity, title).unwrap()
    }

    /// The bytes of the changes that the store holds of an entity.
    pub(super) fn stored(&self, entity: EntityId) -> Vec<Vec<u8>> {
        let stored = self.driver.with_store(|store| store.load(entity, afield_store::LoadFrom::Changes)).unwrap();
        stored.unwrap().changes.into_iter().map(|change| change.bytes).collect()
    }

    /// Answers the wish to connect.
    pub(super) fn connect(&self, now: Now) -> HandRelay {
        self.connect_from(Cursor::start(LogId::from_bytes([3; 16])), now)
    }

    /// Answers the wish to connect, with a relay that has told the device so much.
    pub(super) fn connect_from(&self, cursor: Cursor, now: Now) -> HandRelay {
        while let Some(output) = self.driver.poll_output() {
            if output == Output::Connect {
                return self.connected(cursor, now);
            }
        }
        panic!("the device does not want to connect");
    }

    /// Connects a device whose wish was heard, to a relay that has told it so much.
    pub(super) fn connected(&self, cursor: Cursor, now: Now) -> HandRelay {
        self.driver.handle_connected(now).unwrap();
        HandRelay { cursor, before: cursor }
    }

    /// Connects to a relay whose log holds the changes of an entity, and no others.
    pub(super) fn get_in_step(&self, entity: EntityId) -> HandRelay {
        self.driver.enable_sync(NOW);
        let mut relay = self.connect(NOW);
        let mut messages = vec![relay.welcome(), relay.opened()];
        messages.extend(self.stored(entity).iter().map(|bytes| relay.chunk(entity, bytes)));
        messages.push(relay.caught_up());
        self.receive(&messages, NOW);
        relay
    }

    pub(super) fn receive(&self, messages: &[Vec<u8>], now: Now) {
        self.try_receive(messages, now).unwrap();
    }

    pub(super) fn try_receive(&self, messages: &[Vec<u8>], now: Now) -> Result<(), DriverError> {
        self.driver.handle_messages(messages.iter().map(Vec::as_slice), now)?;
        self.driver.handle_idle(now)
    }
}

/// A relay that says what it is told to say, about the first space of a session.
pub(super) struct HandRelay {
    cursor: Cursor,
    before: Cursor,
}

impl HandRelay {
    pub(super) fn welcome(&self) -> Vec<u8> {
        wire::encode_to_device(&ToDevice::Welcome(Welcome {
            version: wire::PROTOCOL_VERSION,
            session: SessionId::from_bytes([1; 16]),
            limits: Limits::DEFAULT,
            spaces: Vec::new(),
            may_create: true,
            signals: true,
        }))
    }

    pub(super) fn opened(&self) -> Vec<u8> {
        wire::encode_to_device(&ToDevice::Opened(Opened { channel: Channel(0), log: self.cursor.log, role: None }))
    }

    pub(super) fn goodbye(&self, code: GoodbyeCode) -> Vec<u8> {
        self.goodbye_until(code, None)
    }

    pub(super) fn goodbye_until(&self, code: GoodbyeCode, retry_after_ms: Option<u64>) -> Vec<u8> {
        wire::encode_to_device(&ToDevice::Goodbye(Goodbye { code, retry_after_ms }))
    }

    pub(super) fn caught_up(&self) -> Vec<u8> {
        self.caught_up_with(self.cursor.chain)
    }

    fn caught_up_with(&self, chain: ChainHash) -> Vec<u8> {
        let frame =
            CaughtUp { channel: Channel(0), sequence: self.cursor.sequence, check: chain.check().into(), role: None };
        wire::encode_to_device(&ToDevice::CaughtUp(frame))
    }

    pub(super) fn wrong_caught_up(&self) -> Vec<u8> {
        self.caught_up_with(ChainHash::start(LogId::from_bytes([99; 16])))
    }

    /// The next chunk of the log.
    pub(super) fn chunk(&mut self, entity: EntityId, bytes: &[u8]) -> Vec<u8> {
        self.chunk_before(entity, bytes, None)
    }

    /// The next chunk of the log, with how many are left.
    pub(super) fn chunk_before(&mut self, entity: EntityId, bytes: &[u8], left: Option<u64>) -> Vec<u8> {
        let (notes, kind) = (notes(), ChunkKind::Change);
        let batch = wire::encode_batch([BatchChunk { entity, collection: &notes, kind, bytes }]);
        self.before = self.cursor;
        self.cursor = self.cursor.then(entity, kind.number(), ChunkHash::of(bytes));
        let (after, segments) = (self.before.sequence, vec![Segment::Batch(&batch)]);
        let check = self.cursor.chain.check().into();
        wire::encode_to_device(&ToDevice::Chunks(Chunks { channel: Channel(0), after, segments, check, left }))
    }

    pub(super) fn refusal(&self, push: u64, count: usize, code: ChunkCode) -> Vec<u8> {
        refused(push, count, code, Vec::new())
    }

    /// The refusal of a push for want of other changes.
    pub(super) fn lacking(&self, push: u64, count: usize, missing: &[ChangeHash]) -> Vec<u8> {
        refused(push, count, ChunkCode::MissingDependencies, missing.to_vec())
    }

    /// Where the log ends.
    pub(super) fn at(&self) -> Cursor {
        self.cursor
    }

    /// Where the log stood before the last chunk.
    pub(super) fn before_last(&self) -> Cursor {
        self.before
    }

    pub(super) fn position(&self) -> Sequence {
        self.cursor.sequence
    }
}

fn refused(push: u64, count: usize, code: ChunkCode, missing: Vec<ChangeHash>) -> Vec<u8> {
    let mut runs = vec![ReceiptRun::Refused { count: 1, code, missing }];
    if count > 1 {
        let (count, missing) = (count as u64 - 1, Vec::new());
        runs.push(ReceiptRun::Refused { count, code: ChunkCode::Blocked, missing });
    }
    wire::encode_to_device(&ToDevice::Receipt(Receipt { push: PushNumber(push), runs }))
}
