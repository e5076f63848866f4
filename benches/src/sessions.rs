//! Changes through real sessions: devices and a relay's hub in one thread, their messages counted on the way.
//!
//! Sessions and hub are those that devices and relays run. Only the sockets are missing, so a message has the bytes that it
//! has before the WebSocket's header.

use crate::clock::SystemEntropy;
use crate::updates::Update;
use afield_core::session::{
    DeviceEvent, DeviceSession, Greeting, OpenRequest, PushedChunk, SessionError, SpaceOpening,
};
use afield_core::wire::{Channel, LiveKind, LiveMessage, WireError};
use afield_core::{
    ChunkKind, Collection, DeviceId, Durable, Filter, Incarnation, Limits, LogId, Now, SessionId, SpaceId,
};
use afield_relay::hub::{Access, Hub, Output};
use afield_relay::log::{Log, LogError, OpenLogError, Principal, SqliteLog};
use serde::Serialize;
use std::collections::BTreeMap;

/// Between two changes, in milliseconds: nothing that a session sends by the clock falls due in one of them.
const PACE_MS: u64 = 150;

/// The bytes of the messages that carry one change each, in the order in which they went.
#[derive(Debug, Clone, Default)]
pub struct Carried {
    /// From the device of the author to the relay.
    pub pushes: Vec<usize>,
    /// From the relay to a device that made nothing.
    pub chunks: Vec<usize>,
    /// From the relay to the device of the author: where its change stands.
    pub own: Vec<usize>,
    /// From the relay to the device of the author: that its change is stored.
    pub receipts: Vec<usize>,
    /// How many of the pushes and chunks were no live messages.
    pub plain: usize,
}

/// The middle and the mean of sizes, in bytes.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Sizes {
    /// Half of them are at most so large.
    pub median: usize,
    /// Their sum by their number.
    pub mean: f64,
    /// The largest.
    pub largest: usize,
}

impl Sizes {
    /// The figures of these sizes; `None` when there are none.
    pub fn of(sizes: &[usize]) -> Option<Self> {
        let mut sorted = sizes.to_vec();
        sorted.sort_unstable();
        let mean = sizes.iter().sum::<usize>() as f64 / sizes.len() as f64;
        Some(Self { median: *sorted.get(sorted.len() / 2)?, mean, largest: *sorted.last()? })
    }
}

/// The sessions did not carry what they were given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CarryError {
    /// The relay's log could not be opened.
    #[error("the relay's log could not be opened")]
    Open(#[from] OpenLogError),
    /// The relay's log failed.
    #[error("the relay's log failed")]
    Log(#[from] LogError),
    /// A session ended.
    #[error("a session ended")]
    Session(#[from] SessionError),
    /// A message is not one.
    #[error("a message does not open")]
    Message(#[from] WireError),
    /// The relay closed a session.
    #[error("the relay closed a session")]
    Closed,
    /// What came out is not what was put in, in its order.
    #[error("a device got other changes than were pushed")]
    Changed,
}

/// A device's end of a session.
struct Device {
    id: SessionId,
    session: DeviceSession,
    received: Vec<Vec<u8>>,
}

/// A relay, a device for every author, and one more that reads.
struct Room {
    hub: Hub<SqliteLog>,
    devices: Vec<Device>,
    now: Now,
}

/// Takes changes, each of its author, through real sessions one after the other; the next is made when everybody has the one
/// before.
///
/// # Errors
///
/// The sessions did not carry what they were given.
pub fn carry(collection: &Collection, changes: &[Update]) -> Result<Carried, CarryError> {
    let authors = changes.iter().map(|update| update.made.author + 1).max().unwrap_or(0);
    let mut room = Room::new(authors + 1)?;
    let pushes = changes.iter().map(|update| {
        let (entity, hash, bytes) = (update.entity, update.made.hash, update.made.bytes.clone());
        PushedChunk { entity, collection: collection.clone(), kind: ChunkKind::Change, hash, bytes }
    });
    let pushes = room.durable(pushes.collect())?;
    let mut carried = Carried::default();
    for (update, push) in changes.iter().zip(pushes.into_elements()) {
        room.now.monotonic_ms += PACE_MS;
        room.push(update.made.author, push, &mut carried)?;
        for (number, device) in room.devices.iter_mut().enumerate() {
            let received = std::mem::take(&mut device.received);
            let is_right = match number == update.made.author {
                true => received.is_empty() && device.session.unproven(SPACE) == 0,
                false => received == [&update.made.bytes[..]],
            };
            if !is_right {
                return Err(CarryError::Changed);
            }
        }
    }
    Ok(carried)
}

const SPACE: SpaceId = SpaceId::from_bytes([1; 16]);

impl Room {
    fn new(devices: usize) -> Result<Self, CarryError> {
        let log = SqliteLog::open_in_memory()?;
        let hub = Hub::new(log, Access::Open, Limits::DEFAULT, SystemEntropy);
        let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
        let mut room = Self { hub, devices: Vec::new(), now };
        for number in (1..).take(devices) {
            let id = room.hub.connect(None, now);
            let (device, incarnation) = (DeviceId::from_bytes([number; 16]), Incarnation::from_bytes([number; 16]));
            let greeting = Greeting { device, incarnation, predecessors: Vec::new(), guest_of: None, token: None };
            let (cursor, filter) = (None, Filter::Everything);
            let opening = SpaceOpening {
                space: SPACE,
                cursor,
                create: true,
                raw: false,
                filter,
                partial: false,
                invitation: None,
            };
            let session = DeviceSession::new(greeting, [opening], now);
            room.devices.push(Device { id, session, received: Vec::new() });
        }
        room.settle(|_, _| Ok(()))?;
        Ok(room)
    }

    /// Something that may be sent: the log has committed since it was made.
    fn durable<T>(&mut self, value: T) -> Result<Durable<T>, CarryError> {
        let request = OpenRequest { channel: Channel(0), space: SPACE, cursor: None, create: false, invitation: None };
        let fresh = LogId::from_bytes([9; 16]);
        Ok(self.hub.log_mut().open(Principal::ANYONE, &request, fresh, self.now)?.map(|_| value))
    }

    fn push(&mut self, author: usize, push: Durable<PushedChunk>, carried: &mut Carried) -> Result<(), CarryError> {
        let now = self.now;
        let device = self.devices.get_mut(author).ok_or(CarryError::Changed)?;
        device.session.push(SPACE, push.map(|chunk| vec![chunk]), now);
        while let Some(message) = device.session.poll_transmit() {
            carried.plain += usize::from(kind_of(&message)? != Some(LiveKind::Push));
            carried.pushes.push(message.len());
            self.hub.handle_message(device.id, &message, now);
        }
        let last = self.devices.len() - 1;
        self.settle(|number, message| {
            let is_live = kind_of(message)? == Some(LiveKind::Chunks);
            if number == author && !is_live {
                carried.receipts.push(message.len());
            } else if number == author {
                carried.own.push(message.len());
            } else {
                carried.plain += usize::from(!is_live);
                if number == last {
                    carried.chunks.push(message.len());
                }
            }
            Ok(())
        })
    }

    /// Moves messages until nobody has anything to say; tells of each that goes to a device.
    fn settle(&mut self, mut tell: impl FnMut(usize, &[u8]) -> Result<(), CarryError>) -> Result<(), CarryError> {
        let numbers: BTreeMap<_, _> =
            self.devices.iter().enumerate().map(|(number, device)| (device.id, number)).collect();
        loop {
            for device in &mut self.devices {
                while let Some(message) = device.session.poll_transmit() {
                    self.hub.handle_message(device.id, &message, self.now);
                }
            }
            self.hub.commit(self.now);
            while self.hub.serve(usize::MAX, self.now) {}
            let mut is_quiet = true;
            while let Some((id, output)) = self.hub.poll_transmit() {
                is_quiet = false;
                let Output::Message(message) = output else { return Err(CarryError::Closed) };
                self.hub.handle_sent(id, message.len(), self.now);
                let number = numbers.get(&id).copied().ok_or(CarryError::Closed)?;
                tell(number, &message)?;
                self.devices.get_mut(number).ok_or(CarryError::Closed)?.hear(&message, self.now)?;
            }
            if is_quiet {
                return Ok(());
            }
        }
    }
}

impl Device {
    fn hear(&mut self, message: &[u8], now: Now) -> Result<(), CarryError> {
        self.session.handle_message(message, now)?;
        while let Some(event) = self.session.poll_event() {
            if let DeviceEvent::Advance(advance) = event {
                self.received.extend(advance.received.into_iter().map(|chunk| chunk.bytes));
            }
        }
        Ok(())
    }
}

fn kind_of(message: &[u8]) -> Result<Option<LiveKind>, CarryError> {
    Ok(LiveMessage::open(message)?.map(|live| live.kind()))
}
