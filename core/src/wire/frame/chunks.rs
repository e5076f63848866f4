//! A run of the log: `Chunks`, and the segments that runs come in.

use super::{ChainCheck, Channel, EntityIds, PushNumber};
use crate::id::EntityId;
use crate::log::{ChunkHash, Sequence};
use minicbor::decode::Error;
use minicbor::{Decode, Decoder, Encode, Encoder};

/// A run of the log, right after the device's cursor.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Chunks<'b> {
    /// The space.
    #[n(0)]
    pub channel: Channel,
    /// The sequence before the first chunk.
    #[n(1)]
    pub after: Sequence,
    /// The chunks in the order of the log.
    #[b(2)]
    pub segments: Vec<Segment<'b>>,
    /// The leading bytes of the chain hash after the last chunk; the receiver computes the whole.
    #[n(3)]
    pub check: ChainCheck,
    /// How many places of the log follow before `CaughtUp` is due; absent where none do. People are shown how far a device is by
    /// it, and nothing else depends on it.
    #[n(4)]
    pub left: Option<u64>,
}

/// A part of a run of the log. [`Chunks`] has the first three kinds only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment<'b> {
    /// Chunks that this session pushed itself, named by push and index.
    Own {
        /// The push.
        push: PushNumber,
        /// The index of the first chunk in it.
        index: u64,
        /// How many chunks in a row.
        count: u64,
    },
    /// A batch of changes.
    Batch(&'b [u8]),
    /// One chunk on its own, with what the relay's chain says about it.
    Raw(RawChunk<'b>),
    /// A snapshot in the place of the changes that it covers. It takes none of the places of the run.
    Snapshot(SnapshotChunk<'b>),
    /// Entities that are known to exist, of which nothing travels. They take none of the places of the run.
    Announced {
        /// Their collection.
        collection: &'b str,
        /// Their ids.
        entities: EntityIds,
    },
    /// The erasure record that stands for chunks which are no more. It takes none of the places of the run.
    Erased(ErasedChunk<'b>),
}

/// An erasure record that stands for the removed chunks of its entity, wherever its own place in the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErasedChunk<'b> {
    /// The entity.
    pub entity: EntityId,
    /// The collection of the entity.
    pub collection: &'b str,
    /// The record.
    pub bytes: &'b [u8],
}

/// A saved document in the place of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotChunk<'b> {
    /// The entity.
    pub entity: EntityId,
    /// The collection of the entity.
    pub collection: &'b str,
    /// Where its changes stand in the log, in the order in which the saved document holds them.
    pub sequences: SequenceRuns,
    /// The leading bytes of BLAKE3 over the entity's id and the hashes of the changes in that order.
    pub check: [u8; 16],
    /// The saved document.
    pub bytes: &'b [u8],
}

/// Sequences in any order, as runs that rise by one: how far each starts above the end of the one before, and its length.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SequenceRuns(Vec<(i64, u64)>);

impl SequenceRuns {
    /// The runs of these sequences.
    pub fn of(sequences: impl IntoIterator<Item = Sequence>) -> Self {
        let mut runs: Vec<(i64, u64)> = Vec::new();
        let mut next = Sequence::ZERO.next();
        for sequence in sequences {
            let step = sequence.get().wrapping_sub(next.get()).cast_signed();
            match (step, runs.last_mut()) {
                (0, Some((_, count))) => *count += 1,
                (step, _) => runs.push((step, 1)),
            }
            next = sequence.next();
        }
        Self(runs)
    }

    /// How many sequences there are.
    pub fn count(&self) -> u64 {
        self.0.iter().fold(0, |sum: u64, (_, count)| sum.saturating_add(*count))
    }

    /// The sequences, in order.
    pub fn iter(&self) -> impl Iterator<Item = Sequence> {
        let runs = self.0.iter().scan(1_u64, |next, (step, count)| {
            let first = next.saturating_add_signed(*step);
            *next = first.saturating_add(*count);
            Some((Sequence::new(first), *count))
        });
        runs.flat_map(|(first, count)| (0..count).map(move |offset| first.plus(offset)))
    }
}

impl<C> Encode<C> for SequenceRuns {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(2 * self.0.len() as u64)?;
        self.0.iter().try_for_each(|(step, count)| e.i64(*step)?.u64(*count)?.ok())
    }
}

impl<'b, C> Decode<'b, C> for SequenceRuns {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, Error> {
        let position = d.position();
        let items = d.array()?.unwrap_or(0);
        if items % 2 != 0 {
            return Err(Error::message("runs of sequences are pairs").at(position));
        }
        let mut next = 1_u64;
        let mut runs = Vec::new();
        for _ in 0..items / 2 {
            let (step, count) = (d.i64()?, d.u64()?);
            let first = next.checked_add_signed(step).filter(|first| *first > 0 && count > 0);
            let end = first.and_then(|first| first.checked_add(count));
            next = end.ok_or(Error::message("a run of sequences is out of range").at(position))?;
            runs.push((step, count));
        }
        Ok(Self(runs))
    }
}

/// One chunk outside a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawChunk<'b> {
    /// The entity.
    pub entity: EntityId,
    /// The collection of the entity.
    pub collection: &'b str,
    /// The number of the kind.
    pub kind: u8,
    /// The hash that entered the chain; the bytes need not fit it when the relay's disk has decayed.
    pub hash: ChunkHash,
    /// The bytes.
    pub bytes: &'b [u8],
}

impl<C> Encode<C> for Segment<'_> {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        match self {
            Self::Own { push, index, count } => {
                e.array(4)?.u8(0)?.encode_with(push, ctx)?.u64(*index)?.u64(*count)?.ok()
            }
            Self::Batch(batch) => e.array(2)?.u8(1)?.bytes(batch)?.ok(),
            Self::Raw(chunk) => e
                .array(6)?
                .u8(2)?
                .encode_with(chunk.entity, ctx)?
                .str(chunk.collection)?
                .u8(chunk.kind)?
                .encode_with(chunk.hash, ctx)?
                .bytes(chunk.bytes)?
                .ok(),
            Self::Snapshot(snapshot) => e
                .array(6)?
                .u8(3)?
                .encode_with(snapshot.entity, ctx)?
                .str(snapshot.collection)?
                .encode_with(&snapshot.sequences, ctx)?
                .bytes(&snapshot.check)?
                .bytes(snapshot.bytes)?
                .ok(),
            Self::Announced { collection, entities } => {
                e.array(3)?.u8(4)?.str(collection)?.encode_with(entities, ctx)?.ok()
            }
            Self::Erased(ErasedChunk { entity, collection, bytes }) => {
                e.array(4)?.u8(5)?.encode_with(entity, ctx)?.str(collection)?.bytes(bytes)?.ok()
            }
        }
    }
}

impl<'b, C> Decode<'b, C> for Segment<'b> {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, Error> {
        let position = d.position();
        match (d.array()?, d.u8()?) {
            (Some(4), 0) => Ok(Self::Own { push: d.decode_with(ctx)?, index: d.u64()?, count: d.u64()? }),
            (Some(2), 1) => Ok(Self::Batch(d.bytes()?)),
            (Some(6), 2) => Ok(Self::Raw(RawChunk {
                entity: d.decode_with(ctx)?,
                collection: d.str()?,
                kind: d.u8()?,
                hash: d.decode_with(ctx)?,
                bytes: d.bytes()?,
            })),
            (Some(6), 3) => Ok(Self::Snapshot(SnapshotChunk {
                entity: d.decode_with(ctx)?,
                collection: d.str()?,
                sequences: d.decode_with(ctx)?,
                check: check(d)?,
                bytes: d.bytes()?,
            })),
            (Some(3), 4) => Ok(Self::Announced { collection: d.str()?, entities: d.decode_with(ctx)? }),
            (Some(4), 5) => {
                Ok(Self::Erased(ErasedChunk { entity: d.decode_with(ctx)?, collection: d.str()?, bytes: d.bytes()? }))
            }
            _ => Err(Error::message("unknown kind of segment").at(position)),
        }
    }
}

fn check(d: &mut Decoder<'_>) -> Result<[u8; 16], Error> {
    let position = d.position();
    d.bytes()?.try_into().map_err(|_| Error::message("the check of a snapshot needs 16 bytes").at(position))
}
