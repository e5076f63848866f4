//! A run of the log: `Chunks`, and the segments that it comes in.

use super::{ChainCheck, Channel, PushNumber};
use crate::id::EntityId;
use crate::log::{ChunkHash, Sequence};
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
}

/// A part of a [`Chunks`] frame.
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
        }
    }
}

impl<'b, C> Decode<'b, C> for Segment<'b> {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
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
            _ => Err(minicbor::decode::Error::message("unknown kind of segment").at(position)),
        }
    }
}
