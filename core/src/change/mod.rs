//! A change's header, read from raw bytes without a document.
//!
//! There is one parser of Automerge's change format: the header reader and the wire's batches both stand on
//! it. It never inflates and never expands a run, so its work is linear in the bytes whatever they claim.

mod columns;
mod derived;
mod error;
pub(crate) mod leb;
mod parts;

pub use error::{ChangeError, ChangeField, ColumnFault};

pub(crate) use columns::{ACTION, COLUMNS_MAX, Column, ColumnList, ColumnType, Token, scan};
pub(crate) use derived::{DERIVED_ACTOR_BYTES, is_derived as is_derived_actor};
pub(crate) use parts::{HASH_BYTES, Parts, frame_body, framed_bytes, hash_of};

use crate::id::EntityId;
use crate::limits::Limits;
use automerge::{ActorId, ChangeHash};
use std::num::NonZeroU64;

/// What the world outside a document needs to know of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeHeader {
    /// The identity of the change: SHA-256, computed from the bytes.
    pub hash: ChangeHash,
    /// Who made it.
    pub actor: ActorId,
    /// Its number among the changes of its actor, from 1.
    pub sequence: u64,
    /// The counter of its first operation.
    pub start_op: NonZeroU64,
    /// How many operations it holds; none when it only joins heads.
    pub operations: u64,
    /// How many earlier operations those name that they supersede.
    pub predecessors: u64,
    /// How many bytes its keys have, each counted as often as a run repeats it.
    pub text_bytes: u64,
    /// When it was made by the wall clock of its author, in milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// The changes that it follows, sorted.
    pub dependencies: Vec<ChangeHash>,
    /// How many bytes the change has.
    pub bytes_len: usize,
}

impl ChangeHeader {
    /// Reads and checks the change that `bytes` are, whole and with nothing after it, as a change of `entity`.
    ///
    /// Beyond [`ChangeHeader::read`] the actor of a derived change has to be the one that its bytes and the entity give,
    /// so that every relay and device refuses anything else under such an actor.
    ///
    /// # Errors
    ///
    /// What is wrong, and where.
    pub fn read_in(entity: EntityId, bytes: &[u8], limits: &Limits) -> Result<Self, ChangeError> {
        Parts::read(bytes, limits)?.header_in(entity, bytes.len())
    }

    /// Reads and checks the change that `bytes` are, whatever entity it is of. Who takes a change in knows its entity
    /// and uses [`ChangeHeader::read_in`].
    ///
    /// What passes is an uncompressed change with a good checksum, every number in its shortest form, dependencies,
    /// other actors and columns sorted, and columns whose runs reach no further than its operations. That its
    /// operations make sense only a document can tell.
    ///
    /// # Errors
    ///
    /// What is wrong, and where.
    pub fn read(bytes: &[u8], limits: &Limits) -> Result<Self, ChangeError> {
        Parts::read(bytes, limits).map(|parts| Self::of(&parts, bytes.len()))
    }

    /// How much the change expands to: a run of a few bytes may stand for 100,000 operations or predecessors.
    pub fn weight(&self) -> u64 {
        self.operations.saturating_add(self.predecessors)
    }

    /// The counter of the last operation; the one before the first where there is none.
    pub fn max_op(&self) -> u64 {
        self.start_op.get() - 1 + self.operations
    }

    pub(crate) fn of(parts: &Parts<'_>, bytes_len: usize) -> Self {
        Self {
            hash: parts.hash,
            actor: ActorId::from(parts.actor),
            sequence: parts.sequence,
            start_op: parts.start_op,
            operations: parts.operations,
            predecessors: parts.predecessors,
            text_bytes: parts.text_bytes,
            time_ms: parts.time_ms,
            dependencies: parts.dependencies().collect(),
            bytes_len,
        }
    }
}

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
