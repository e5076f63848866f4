//! A replica whose messages are moved by hand.
//!
//! It is the library's own [`Driver`] on its own store file, connected to a real relay. What is different from
//! `afield::Replica` is only who moves the messages: here the caller decides when the ones that bring work of others
//! are handed on, and so what the replica holds when somebody edits.

mod error;

pub use error::HandError;

use crate::clock::{Clock, SystemEntropy};
use afield::{Driver, EntityId, Existence, Output, SpaceId, Target, Value};
use afield_core::document::Document;
use afield_core::wire::{self, BatchChunk, ChunkBudget, LiveItem, LiveMessage, LiveState, Message, Segment, ToDevice};
use afield_core::{ChangeHash, ChunkKind, Collection, Limits};
use afield_store::{OpenOptions, Origin, Store};
use afield_transport::{ClientOptions, LinkError, LinkMeter, LinkReceiver, LinkSender, LinkStatistics, RelayAddress};
use bytes::Bytes;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;
use tokio::runtime::Handle;

/// How long a relay on this machine may take to say the next thing that somebody waits for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// How many receipts are handed on together. Each hand-over is a commit of the store, as it is for a busy replica.
const RECEIPTS_TOGETHER: usize = 256;
/// The field that holds the text.
const TEXT: &str = "text";

/// A replica whose messages are moved by hand.
#[derive(Debug)]
pub struct HandDriven {
    driver: Driver,
    clock: Clock,
    target: Target,
    runtime: Handle,
    wire: Option<Wire>,
    /// What is understood of the messages before they are handed on.
    reading: Reading,
    /// What has arrived and is held back, in order.
    held: VecDeque<Held>,
    /// How many changes of others have arrived, held back or not.
    arrived: usize,
    /// How many changes of others were handed on.
    taken: usize,
}

#[derive(Debug)]
struct Wire {
    sender: LinkSender,
    meter: LinkMeter,
    messages: Receiver<Result<Bytes, LinkError>>,
}

#[derive(Debug)]
struct Held {
    message: Bytes,
    /// How many changes of others it brings.
    foreign: usize,
}

impl HandDriven {
    /// Opens a store file with one space, in which `entity` holds the text.
    ///
    /// # Errors
    ///
    /// The store cannot be opened or written.
    pub fn open(
        path: &Path,
        (space, origin): (SpaceId, Origin),
        entity: EntityId,
        runtime: &Handle,
    ) -> Result<Self, HandError> {
        let clock = Clock::new();
        let mut store = Store::open(path, &OpenOptions::default())?;
        let _ = store.create_space(space, "replay", origin, clock.now().wall_ms)?;
        let driver = Driver::new(store, Box::new(SystemEntropy), clock.now())?;
        let collection: Collection = "texts".parse().expect("a name of letters is valid");
        let target = Target { space, collection, entity, existence: Existence::Required };
        let (held, reading, runtime) = (VecDeque::new(), Reading::default(), runtime.clone());
        Ok(Self { driver, clock, target, runtime, wire: None, held, reading, arrived: 0, taken: 0 })
    }

    /// Connects and says hello; the answers are handed on by the calls that follow.
    ///
    /// # Errors
    ///
    /// The relay cannot be reached.
    pub fn connect(&mut self, url: &str) -> Result<(), HandError> {
        let address: RelayAddress = url.parse()?;
        self.driver.enable_sync(self.clock.now());
        let link = self.runtime.block_on(afield_transport::connect(&address, ClientOptions::default()))?;
        let meter = link.meter();
        let (sender, receiver) = link.split();
        let (arrived, messages) = mpsc::channel();
        self.runtime.spawn(receive(receiver, arrived));
        self.wire = Some(Wire { sender, meter, messages });
        self.move_outputs()?;
        Ok(())
    }

    /// Makes the entity with its empty text, or finds the text empty.
    ///
    /// # Errors
    ///
    /// The edit could not be stored.
    pub fn create(&mut self) -> Result<(), HandError> {
        let target = Target { existence: Existence::Fresh, ..self.target.clone() };
        let edited = self.driver.edit(&target, self.clock.now(), |edit| edit.put(TEXT, Value::Text(String::new())))?;
        self.note_own(&edited.changes)?;
        self.wake()
    }

    /// Deletes and inserts characters as one edit, stores it, and pushes it by itself.
    ///
    /// # Errors
    ///
    /// The edit could not be made or stored, or the connection broke.
    pub fn splice(&mut self, position: usize, delete: usize, insert: &str) -> Result<ChangeHash, HandError> {
        let splice = |edit: &mut afield_core::document::Edit<'_>| edit.splice_text(TEXT, position, delete, insert);
        let edited = self.driver.edit(&self.target, self.clock.now(), splice)?;
        let [(_, hash)] = *edited.changes.as_slice() else { return Err(HandError::Changes(edited.changes.len())) };
        self.note_own(&edited.changes)?;
        self.wake()?;
        self.listen()?;
        if self.held.len() >= RECEIPTS_TOGETHER {
            self.hand_on(self.taken)?;
        }
        Ok(hash)
    }

    /// Hands on what others did until the replica holds exactly `count` of their changes, waiting for what is not here.
    ///
    /// # Errors
    ///
    /// The relay put more together than may be handed on, or the connection broke.
    pub fn take(&mut self, count: usize) -> Result<(), HandError> {
        if self.taken < count {
            self.await_arrival(count)?;
            self.hand_on(count)?;
        }
        match self.taken {
            taken if taken == count => Ok(()),
            taken => Err(HandError::Together {
                brings: self.held.front().map_or(0, |held| held.foreign),
                wanted: count - taken,
            }),
        }
    }

    /// Waits until `count` changes of others have arrived, without handing them on.
    ///
    /// # Errors
    ///
    /// They do not come, or the connection broke.
    pub fn await_arrival(&mut self, count: usize) -> Result<(), HandError> {
        self.listen()?;
        while self.arrived < count {
            self.await_one()?;
        }
        Ok(())
    }

    /// Hands on everything until the replica is in step with the relay.
    ///
    /// # Errors
    ///
    /// The connection broke.
    pub fn settle(&mut self) -> Result<(), HandError> {
        loop {
            self.listen()?;
            self.hand_on(usize::MAX)?;
            if self.driver.is_in_step() {
                return Ok(());
            }
            if self.held.is_empty() {
                self.await_one()?;
            }
        }
    }

    /// The heads of the entity.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn heads(&self) -> Result<Vec<ChangeHash>, HandError> {
        Ok(self.driver.read_document(&self.target, self.clock.now(), Document::heads)?)
    }

    /// The text.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn text(&self) -> Result<String, HandError> {
        let read = self.driver.read_document(&self.target, self.clock.now(), |document| document.read_at(TEXT))?;
        Ok(read?.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// From now on, what is counted as work of others starts at 0.
    pub fn start_counting(&mut self) {
        (self.arrived, self.taken) = (0, 0);
    }

    /// What went over the wire, with WebSocket headers and masks.
    pub fn statistics(&self) -> LinkStatistics {
        self.wire.as_ref().map(|wire| wire.meter.read()).unwrap_or_default()
    }

    /// Notes changes of its own, which live chunks name without bringing them.
    fn note_own(&mut self, changes: &[(EntityId, ChangeHash)]) -> Result<(), HandError> {
        for (entity, hash) in changes {
            let stored = self.driver.with_store(|store| store.change(*entity, *hash))?;
            self.reading.own.extend(stored.map(|change| change.bytes));
        }
        Ok(())
    }

    /// Gives the wire a chance to send what an edit has put into the outbox.
    fn wake(&mut self) -> Result<(), HandError> {
        self.driver.handle_wake(self.clock.now())?;
        self.move_outputs()
    }

    /// Hands on what is held, in order, up to `count` changes of others, in one call as a replica does.
    fn hand_on(&mut self, count: usize) -> Result<(), HandError> {
        let mut taken = self.taken;
        let mut messages = Vec::new();
        while let Some(held) = self.held.front().filter(|held| taken.saturating_add(held.foreign) <= count) {
            taken += held.foreign;
            messages.extend(self.held.pop_front().map(|held| held.message));
        }
        if messages.is_empty() {
            return Ok(());
        }
        self.driver.handle_messages(messages.iter().map(AsRef::as_ref), self.clock.now())?;
        while self.driver.wants_idle() {
            self.driver.handle_idle(self.clock.now())?;
        }
        self.taken = taken;
        self.move_outputs()
    }

    /// Takes from the wire what has arrived, without waiting and without handing it on.
    fn listen(&mut self) -> Result<(), HandError> {
        while let Some(arrived) = self.wire.as_ref().and_then(|wire| wire.messages.try_recv().ok()) {
            self.hold(arrived?)?;
        }
        Ok(())
    }

    fn await_one(&mut self) -> Result<(), HandError> {
        let wire = self.wire.as_ref().ok_or(HandError::Ended)?;
        match wire.messages.recv_timeout(ANSWER_TIMEOUT) {
            Ok(message) => self.hold(message?),
            Err(RecvTimeoutError::Timeout) => Err(HandError::Silent),
            Err(RecvTimeoutError::Disconnected) => Err(HandError::Ended),
        }
    }

    fn hold(&mut self, message: Bytes) -> Result<(), HandError> {
        let foreign = self.reading.foreign_changes(&message, &self.target)?;
        self.arrived += foreign;
        self.held.push_back(Held { message, foreign });
        Ok(())
    }

    fn move_outputs(&mut self) -> Result<(), HandError> {
        let mut is_fed = false;
        while let Some(output) = self.driver.poll_output() {
            match (output, &mut self.wire) {
                (Output::Connect, _) => self.driver.handle_connected(self.clock.now())?,
                (Output::Transmit(message), Some(wire)) => {
                    is_fed = true;
                    self.runtime.block_on(wire.sender.feed(message.into()))?;
                }
                (Output::Transmit(_), None) | (Output::Disconnect, _) => return Err(HandError::Ended),
            }
        }
        if let (true, Some(wire)) = (is_fed, &mut self.wire) {
            self.runtime.block_on(wire.sender.flush())?;
        }
        Ok(())
    }
}

/// What is understood of messages that bring chunks.
#[derive(Debug, Default)]
struct Reading {
    /// The epoch of live chunks, once one has begun.
    state: Option<LiveState>,
    /// The changes that were made here and that nothing has named yet, oldest first.
    own: VecDeque<Vec<u8>>,
}

impl Reading {
    /// How many changes of others a message brings.
    fn foreign_changes(&mut self, message: &[u8], target: &Target) -> Result<usize, HandError> {
        if let Some(live) = LiveMessage::open(message)? {
            return self.of_live(&live, target);
        }
        let message = Message::open(message)?;
        let segments = match message.to_device()? {
            ToDevice::Chunks(chunks) => chunks.segments,
            ToDevice::Jump(jump) => jump.segments,
            _ => return Ok(0),
        };
        self.state = None;
        let mut foreign = 0;
        for segment in &segments {
            foreign += match segment {
                Segment::Own { count, .. } => {
                    self.own.drain(..self.own.len().min(usize::try_from(*count).unwrap_or(usize::MAX)));
                    0
                }
                Segment::Announced { .. } | Segment::Erased(_) => 0,
                Segment::Raw(_) => 1,
                Segment::Snapshot(snapshot) => usize::try_from(snapshot.sequences.count()).unwrap_or(usize::MAX),
                Segment::Batch(batch) => wire::decode_batch(batch, &Limits::DEFAULT)?.len(),
            };
        }
        Ok(foreign)
    }

    fn of_live(&mut self, message: &LiveMessage<'_>, target: &Target) -> Result<usize, HandError> {
        if message.begins() {
            self.state = Some(LiveState::new());
        }
        let state = self.state.as_mut().ok_or(HandError::Ended)?;
        let (mut items, mut budget, mut foreign) = (message.items(), ChunkBudget::WHOLE, 0);
        while let Some(item) = state.decode(&mut items, &Limits::DEFAULT, &mut budget, |_| None)? {
            let LiveItem::Own { count, .. } = item else {
                foreign += 1;
                continue;
            };
            for _ in 0..count {
                let bytes = self.own.pop_front().ok_or(HandError::Ended)?;
                let (entity, collection, kind) = (target.entity, &target.collection, ChunkKind::Change);
                state.observe(&BatchChunk { entity, collection, kind, bytes: &bytes });
            }
        }
        Ok(foreign)
    }
}

/// Takes messages off the connection as they come, so that the relay never waits for this end.
async fn receive(mut receiver: LinkReceiver, arrived: Sender<Result<Bytes, LinkError>>) {
    while let Some(message) = receiver.receive().await.transpose() {
        let is_over = message.is_err();
        if arrived.send(message).is_err() || is_over {
            return;
        }
    }
}
