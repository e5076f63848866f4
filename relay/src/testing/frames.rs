//! Frames as the tests' devices make and understand them.

use afield_core::document::{SnapshotBudget, extract_changes};
use afield_core::wire::{
    self, BatchChunk, Channel, ChunkBudget, GoodbyeCode, Hello, LiveItem, LiveMessage, LiveState, Message, Open,
    PROTOCOL_VERSION, Push, PushNumber, ReceiptRun, Segment, SignalKind, SpaceCode, ToDevice, ToRelay,
};
use afield_core::{
    ChunkKind, Collection, Cursor, DeviceId, EntityId, Incarnation, Limits, LogId, Sequence, SessionId, SpaceId,
};
use std::collections::BTreeMap;

/// What a device understood of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    Welcome(Vec<SpaceId>),
    Opened(LogId),
    Chunks { after: u64, parts: Vec<Part> },
    Jump { after: u64, upto: u64, places: Vec<u64>, parts: Vec<Part> },
    Fetched { number: u64, upto: u64, done: bool, unknown: usize, places: Vec<u64>, parts: Vec<Part> },
    Stored(u64),
    CaughtUp(u64),
    Receipt(u64, Vec<ReceiptRun>),
    Reset(LogId),
    Refused(SpaceCode),
    Signal { session: SessionId, device: DeviceId, kind: SignalKind, entity: Option<EntityId>, data: Vec<u8> },
    Goodbye(GoodbyeCode),
}

/// A part of a run of the log.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Own { push: u64, index: u64, count: u64 },
    Batch(Vec<Vec<u8>>),
    Raw(Vec<u8>),
    Announced(Vec<EntityId>),
    Erased(EntityId),
    Snapshot(Vec<Vec<u8>>),
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Own { push, index, count } => write!(f, "own {push}/{index}+{count}"),
            Self::Batch(chunks) => write!(f, "batch of {:?} bytes", chunks.iter().map(Vec::len).collect::<Vec<_>>()),
            Self::Raw(bytes) => write!(f, "raw, {} bytes", bytes.len()),
            Self::Announced(entities) => write!(f, "{entities:?}"),
            Self::Erased(entity) => write!(f, "erased {entity:?}"),
            Self::Snapshot(changes) => write!(f, "snapshot of {} changes", changes.len()),
        }
    }
}

/// The space that most tests use.
pub(crate) const SPACE: SpaceId = SpaceId::from_bytes([1; 16]);

/// The greeting of the device whose id is sixteen times `device`.
pub(crate) fn hello(device: u8) -> Hello {
    Hello {
        versions: vec![PROTOCOL_VERSION],
        device: DeviceId::from_bytes([device; 16]),
        incarnation: Incarnation::from_bytes([device; 16]),
        predecessors: Vec::new(),
        guest_of: None,
    }
}

/// Opens a space on channel 0.
pub(crate) fn open(space: SpaceId, cursor: Option<Cursor>) -> ToRelay<'static> {
    ToRelay::Open(Open {
        channel: Channel(0),
        space,
        cursor,
        create: true,
        raw: false,
        filter: afield_core::Filter::Everything,
        partial: false,
        invitation: None,
    })
}

/// A device as far as it takes to understand live chunks.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// Where it stands in each channel, and the epoch that it is in.
    channels: BTreeMap<Channel, (u64, Option<LiveState>)>,
}

impl Reader {
    /// What the device understands of a message; live chunks as the `Chunks` that they mean.
    pub(crate) fn understand(&mut self, message: &[u8]) -> Seen {
        if let Some(live) = LiveMessage::open(message).unwrap() {
            return self.understand_live(&live);
        }
        let seen = understand(message);
        let channel = match Message::open(message).unwrap().to_device().unwrap() {
            ToDevice::Opened(frame) => frame.channel,
            ToDevice::CaughtUp(frame) => frame.channel,
            ToDevice::Chunks(frame) => frame.channel,
            ToDevice::Jump(frame) => frame.channel,
            ToDevice::Reset(frame) => frame.channel,
            ToDevice::Refused(frame) => frame.channel,
            _ => return seen,
        };
        let (position, state) = self.channels.entry(channel).or_default();
        match &seen {
            Seen::CaughtUp(at) => *position = *at,
            Seen::Chunks { after, parts } => (*position, *state) = (after + count(parts), None),
            Seen::Jump { upto, .. } => (*position, *state) = (*upto, None),
            _ => (*position, *state) = (0, None),
        }
        seen
    }

    fn understand_live(&mut self, live: &LiveMessage<'_>) -> Seen {
        let (position, state) = self.channels.entry(live.channel()).or_default();
        if live.begins() {
            *state = Some(LiveState::new());
        }
        let state = state.as_mut().expect("a relay sends live chunks in an epoch only");
        let (mut items, mut budget, mut chunks) = (live.items(), ChunkBudget::WHOLE, Vec::new());
        while let Some(item) = state.decode(&mut items, &Limits::DEFAULT, &mut budget, |_| None).unwrap() {
            match item {
                LiveItem::Chunk(chunk) => chunks.push(chunk.bytes),
                LiveItem::Own { .. } => panic!("the devices of these tests make no live pushes"),
            }
        }
        let (after, parts) = (*position, vec![Part::Batch(chunks)]);
        *position += count(&parts);
        Seen::Chunks { after, parts }
    }
}

fn count(parts: &[Part]) -> u64 {
    let count = |part: &Part| match part {
        Part::Own { count, .. } => *count,
        Part::Batch(chunks) => chunks.len() as u64,
        Part::Raw(_) => 1,
        Part::Announced(_) | Part::Snapshot(_) | Part::Erased(_) => 0,
    };
    parts.iter().map(count).sum()
}

/// What a device understands of a message that is no live one.
pub(crate) fn understand(message: &[u8]) -> Seen {
    let message = Message::open(message).unwrap();
    match message.to_device().unwrap() {
        ToDevice::Goodbye(frame) => Seen::Goodbye(frame.code),
        ToDevice::Welcome(frame) => Seen::Welcome(frame.spaces),
        ToDevice::Opened(frame) => Seen::Opened(frame.log),
        ToDevice::CaughtUp(frame) => Seen::CaughtUp(frame.sequence.get()),
        ToDevice::Receipt(frame) => Seen::Receipt(frame.push.0, frame.runs),
        ToDevice::Reset(frame) => Seen::Reset(frame.log),
        ToDevice::Refused(frame) => Seen::Refused(frame.code),
        ToDevice::Seen(frame) => Seen::Stored(frame.sequence.get()),
        ToDevice::Signal(frame) => {
            let data = frame.data.map(|data| data.to_vec()).unwrap_or_default();
            let afield_core::wire::Signalled { session, device, kind, entity, .. } = frame;
            Seen::Signal { session, device, kind, entity, data }
        }
        ToDevice::Chunks(frame) => Seen::Chunks { after: frame.after.get(), parts: parts(&frame.segments) },
        ToDevice::Jump(frame) => Seen::Jump {
            after: frame.after.get(),
            upto: frame.upto.get(),
            places: frame.places.sequences(frame.after).map(Sequence::get).collect(),
            parts: parts(&frame.segments),
        },
        ToDevice::Fetched(frame) => Seen::Fetched {
            number: frame.number.0,
            upto: frame.upto.get(),
            done: frame.done,
            unknown: frame.unknown.0.len(),
            // Those of a first page.
            places: frame.places.sequences(Sequence::ZERO).map(Sequence::get).collect(),
            parts: parts(&frame.segments),
        },
    }
}

fn parts(segments: &[Segment<'_>]) -> Vec<Part> {
    // One for the whole message, as devices count.
    let mut budget = SnapshotBudget::WHOLE;
    let part = |segment: &Segment<'_>| match segment {
        Segment::Own { push, index, count } => Part::Own { push: push.0, index: *index, count: *count },
        Segment::Raw(chunk) => Part::Raw(chunk.bytes.to_vec()),
        Segment::Announced { entities, .. } => Part::Announced(entities.0.clone()),
        Segment::Erased(chunk) => Part::Erased(chunk.entity),
        Segment::Snapshot(snapshot) => {
            let afield_core::wire::SnapshotChunk { entity, sequences, check, bytes, .. } = snapshot;
            let changes = extract_changes(*entity, bytes, sequences.count(), check, &mut budget).unwrap();
            Part::Snapshot(changes.into_iter().map(|(_, bytes)| bytes).collect())
        }
        Segment::Batch(batch) => {
            let chunks = wire::decode_batch(batch, &Limits::DEFAULT).unwrap();
            Part::Batch(chunks.into_iter().map(|chunk| chunk.bytes.to_vec()).collect())
        }
    };
    segments.iter().map(part).collect()
}

/// The changes that came in batches or on their own.
pub(crate) fn foreign(seen: &[Seen]) -> Vec<Vec<u8>> {
    let mut changes = Vec::new();
    for frame in seen {
        let (Seen::Chunks { parts, .. } | Seen::Jump { parts, .. } | Seen::Fetched { parts, .. }) = frame else {
            continue;
        };
        for part in parts {
            match part {
                Part::Batch(chunks) => changes.extend(chunks.iter().cloned()),
                Part::Raw(bytes) => changes.push(bytes.clone()),
                Part::Snapshot(snapshot) => changes.extend(snapshot.iter().cloned()),
                Part::Own { .. } | Part::Announced(_) | Part::Erased(_) => {}
            }
        }
    }
    changes
}

/// A receipt for chunks that were stored in a row.
pub(crate) fn stored(first: u64, count: u64) -> Vec<ReceiptRun> {
    vec![ReceiptRun::Stored { first: Sequence::new(first), count }]
}

/// A run that consists of chunks of one push of the reader.
pub(crate) fn own(push: u64, index: u64, count: u64) -> Vec<Part> {
    vec![Part::Own { push, index, count }]
}

/// A push of changes of one entity on channel 0, encoded.
pub(crate) fn push_message(number: u64, entity: EntityId, chunks: &[Vec<u8>]) -> Vec<u8> {
    let collection: Collection = "notes".parse().unwrap();
    let kind = ChunkKind::Change;
    let batch =
        wire::encode_batch(chunks.iter().map(|bytes| BatchChunk { entity, collection: &collection, kind, bytes }));
    let push = Push { number: PushNumber(number), channel: Channel(0), batch: batch.as_slice().into() };
    wire::encode_to_relay(&ToRelay::Push(push))
}
