//! Frames as the tests' devices make and understand them.

use afield_core::wire::{
    self, BatchChunk, Channel, GoodbyeCode, Hello, Message, Open, PROTOCOL_VERSION, Push, PushNumber, ReceiptRun,
    Segment, SpaceCode, ToDevice, ToRelay,
};
use afield_core::{ChunkKind, Collection, Cursor, DeviceId, EntityId, Incarnation, Limits, LogId, Sequence, SpaceId};

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
    Goodbye(GoodbyeCode),
}

/// A part of a run of the log.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Own { push: u64, index: u64, count: u64 },
    Batch(Vec<Vec<u8>>),
    Raw(Vec<u8>),
    Announced(Vec<EntityId>),
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Own { push, index, count } => write!(f, "own {push}/{index}+{count}"),
            Self::Batch(chunks) => write!(f, "batch of {:?} bytes", chunks.iter().map(Vec::len).collect::<Vec<_>>()),
            Self::Raw(bytes) => write!(f, "raw, {} bytes", bytes.len()),
            Self::Announced(entities) => write!(f, "{entities:?}"),
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
    })
}

/// What a device understands of a message.
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
    let part = |segment: &Segment<'_>| match segment {
        Segment::Own { push, index, count } => Part::Own { push: push.0, index: *index, count: *count },
        Segment::Raw(chunk) => Part::Raw(chunk.bytes.to_vec()),
        Segment::Announced { entities, .. } => Part::Announced(entities.0.clone()),
        Segment::Snapshot(_) => unreachable!("this relay makes no snapshots"),
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
                Part::Own { .. } | Part::Announced(_) => {}
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
