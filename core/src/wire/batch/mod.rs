//! Batches: changes as rows that name only what was not predicted.
//!
//! `PROTOCOL.md` has the format byte by byte. A batch is a codec byte, a section of tables and streams (which may be
//! compressed), the ids that no compression makes smaller, and a check over what the batch carries.

mod decode;
mod encode;
mod error;
mod model;
mod numbers;
mod section;
mod shapes;
mod slots;

pub use decode::{decode_batch, decode_batch_over_log, decode_batch_within};
pub use encode::{encode_batch, encode_batch_at_rest, encode_batch_over_log};
pub use error::{BatchError, BatchField};

use crate::change::{ChangeError, ChangeHeader};
use crate::id::{Collection, EntityId};
use crate::limits::{BATCH_BYTES_MAX, BATCH_CHUNKS_MAX, CHANGE_BYTES_MAX};
use crate::log::ChunkKind;

/// The most bytes that the chunks of a batch may take when it is decoded: a batch that its writer closed with the change
/// that crossed [`BATCH_BYTES_MAX`] still decodes.
pub const BATCH_OUTPUT_BYTES_MAX: usize = BATCH_BYTES_MAX + CHANGE_BYTES_MAX;
/// The most bytes of a batch's section before compression: rows are smaller than the changes they stand for.
pub const BATCH_SECTION_BYTES_MAX: usize = BATCH_OUTPUT_BYTES_MAX;

const CODEC_PLAIN: u8 = 1;
const CODEC_ZSTD: u8 = 2;
const CHECK_BYTES: usize = 16;
/// How many bytes an actor id is taken to have: what differs is stated.
const ACTOR_BYTES: i64 = 16;

/// What the chunks of one batch, or of all segments of one frame, may still take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkBudget {
    chunks: usize,
    bytes: usize,
}

impl ChunkBudget {
    /// The whole of it: [`BATCH_CHUNKS_MAX`] chunks of [`BATCH_OUTPUT_BYTES_MAX`] bytes together.
    pub const WHOLE: Self = Self { chunks: BATCH_CHUNKS_MAX, bytes: BATCH_OUTPUT_BYTES_MAX };

    /// How many bytes are left.
    pub(in crate::wire) fn bytes_left(&self) -> usize {
        self.bytes
    }

    /// Takes chunks that are about to be remembered.
    ///
    /// # Errors
    ///
    /// There are more than are left.
    pub fn take_chunks(&mut self, found: u64) -> Result<(), BatchError> {
        let left = usize::try_from(found).ok().and_then(|found| self.chunks.checked_sub(found));
        let maximum = self.chunks as u64;
        self.chunks = left.ok_or(BatchError::TooMany { field: BatchField::Count, found, maximum })?;
        Ok(())
    }

    /// Takes the bytes of a chunk that is about to be copied or built.
    ///
    /// # Errors
    ///
    /// There are more than are left.
    pub fn take_bytes(&mut self, bytes: usize) -> Result<(), BatchError> {
        let left = self.bytes.checked_sub(bytes);
        self.bytes = left.ok_or(BatchError::OverBudget { maximum: BATCH_OUTPUT_BYTES_MAX })?;
        Ok(())
    }
}

/// A chunk to be put into a batch.
#[derive(Debug, Clone, Copy)]
pub struct BatchChunk<'a> {
    /// The entity.
    pub entity: EntityId,
    /// The collection of the entity.
    pub collection: &'a Collection,
    /// What the chunk is.
    pub kind: ChunkKind,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// A chunk that a batch held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodedChunk {
    /// The entity.
    pub entity: EntityId,
    /// The collection of the entity.
    pub collection: Collection,
    /// What the chunk is.
    pub kind: ChunkKind,
    /// The bytes, as they were put in.
    pub bytes: Vec<u8>,
    /// The header of the change; an error where the chunk is not a change that the limits allow.
    pub header: Result<ChangeHeader, ChangeError>,
}

/// What stands at the end of a batch: BLAKE3 over all that its chunks are, since hashes do not travel with rows and do
/// not cover entity and collection.
#[derive(Default)]
struct Check(blake3::Hasher);

impl Check {
    /// Adds a chunk. `id` is the hash of a change that came as a row, and BLAKE3 of the bytes of what came raw.
    fn chunk(&mut self, entity: EntityId, collection: &Collection, kind: ChunkKind, id: &[u8; 32]) {
        let name = collection.as_str().as_bytes();
        self.0.update(entity.as_bytes()).update(&[kind.number()]).update(id);
        self.0.update(&(name.len() as u64).to_le_bytes()).update(name);
    }

    fn finish(&self) -> [u8; CHECK_BYTES] {
        let mut check = [0; CHECK_BYTES];
        self.0.finalize_xof().fill(&mut check);
        check
    }
}

/// The streams of numbers of a section, in their order on the wire, which is also that of the bits of the presence mask.
///
/// The form comes first, since the others count the rows; a stream that counts the numbers of another comes after it.
/// The most common ones come early, so that the mask is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
enum Stream {
    Form,
    Sequence,
    StartOp,
    Dependencies,
    DependencyReference,
    Actor,
    Entity,
    Others,
    OtherReference,
    Message,
    Extra,
    EntityPrefix,
    EntityCollection,
    ActorLength,
    OutsidePosition,
    TimeHigh,
}

const STREAMS: usize = Stream::TimeHigh as usize + 1;
/// The bit of the presence mask for the low bytes of the times, which are bytes and not numbers.
const TIME_LOW_BIT: usize = STREAMS;

/// The smallest code of an entity's prefix that names the outside change of which it is the entity.
const PREFIX_OUTSIDE: u64 = 17;

/// What form a chunk has in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A row whose columns have this shape.
    Shape(usize),
    /// A row that carries its columns as they are.
    Verbatim,
    /// The bytes as they are.
    Raw,
}

const FORM_LAST: u64 = 0;
const FORM_NEW_SHAPE: u64 = 1;
const FORM_VERBATIM: u64 = 2;
const FORM_RAW: u64 = 3;
const FORM_SHAPE: u64 = 4;

#[cfg(test)]
mod tests;
