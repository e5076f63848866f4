//! Why bytes are not a batch, or not the items of a live message.

use crate::change::ChangeError;
use crate::change::leb::ReadFault;
use crate::wire::compress::InflateError;
use std::fmt;

/// A part of a batch, for errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BatchField {
    /// The codec byte.
    Codec,
    /// The length of the section.
    Length,
    /// How many chunks there are.
    Count,
    /// Which streams of numbers are present.
    Presence,
    /// A stream of numbers.
    Stream,
    /// The names of collections.
    Collections,
    /// The shapes of changes.
    Shapes,
    /// The values of the operations.
    Values,
    /// The bytes of texts and values.
    Bytes,
    /// The table of ids: entities, actors and outside dependencies.
    Ids,
    /// The check at the end.
    Check,
    /// What a row says before its ids and columns.
    Control,
}

impl fmt::Display for BatchField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Codec => "codec",
            Self::Length => "length",
            Self::Count => "count of chunks",
            Self::Presence => "presence mask",
            Self::Stream => "stream of numbers",
            Self::Collections => "collection names",
            Self::Shapes => "shapes",
            Self::Values => "values of operations",
            Self::Bytes => "bytes of texts and values",
            Self::Ids => "table of ids",
            Self::Check => "check",
            Self::Control => "head of a row",
        })
    }
}

/// Why bytes are not a batch, or not the items of a live message. No variant holds content.
///
/// Offsets count bytes within the section for the fields that stand in it (which may be compressed), and within the
/// batch for the others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// The codec is of a later version.
    #[error("the batch has codec {found}, which this version does not know")]
    UnknownCodec {
        /// The codec byte.
        found: u8,
    },
    /// The bytes end inside a field.
    #[error("the batch ends in its {field} at byte {offset}: {needed} bytes needed, {found} found")]
    Truncated {
        /// What was being read.
        field: BatchField,
        /// Where.
        offset: usize,
        /// How many bytes it needs.
        needed: u64,
        /// How many are left.
        found: usize,
    },
    /// A number is longer than it need be, or does not fit.
    #[error("a number of the {field} at byte {offset} is not in its shortest form or does not fit")]
    BadNumber {
        /// What was being read.
        field: BatchField,
        /// Where.
        offset: usize,
    },
    /// Bytes follow a field that must be the last.
    #[error("{found} bytes follow the {field} at byte {offset}")]
    Trailing {
        /// What should have been the end.
        field: BatchField,
        /// Where it ends.
        offset: usize,
        /// How many bytes follow.
        found: usize,
    },
    /// There is more of something than allowed.
    #[error("the {field} number {found}, at most {maximum} are allowed")]
    TooMany {
        /// What there is too much of.
        field: BatchField,
        /// How many there are.
        found: u64,
        /// How many are allowed.
        maximum: u64,
    },
    /// A reference does not point backwards to something that the batch has named.
    #[error("a reference of the {field} is {found}, only {maximum} stand before it")]
    BadReference {
        /// What it refers to.
        field: BatchField,
        /// The reference.
        found: u64,
        /// How many there are.
        maximum: u64,
    },
    /// A collection's name is not one.
    #[error("a collection's name is not valid")]
    BadCollection,
    /// The kind of a chunk is of a later version.
    #[error("a chunk has kind {found}, which this version does not know")]
    UnknownKind {
        /// The number.
        found: u64,
    },
    /// The chunks would take more bytes than a batch may hold.
    #[error("the chunks take more than the {maximum} bytes that a batch may hold")]
    OverBudget {
        /// How many bytes are allowed.
        maximum: usize,
    },
    /// A dependency is named by a position of the log at which the reader knows no change of this entity.
    #[error("a dependency stands at position {sequence} of the log, where no change of its entity is known")]
    UnknownPosition {
        /// The position.
        sequence: u64,
    },
    /// A row of a live message is not a change.
    #[error("a row of a live message is not a change: {0}")]
    BadRow(#[source] ChangeError),
    /// A live message does not begin its stream, and none before it did.
    #[error("a live message came before the one that begins its stream")]
    NotBegun,
    /// The section does not inflate.
    #[error("the batch does not inflate: {0}")]
    Inflate(#[from] InflateError),
    /// The chunks are not the ones that were encoded.
    #[error("the check at the end of the batch does not fit its chunks")]
    WrongCheck,
}

impl BatchError {
    pub(in crate::wire) fn reading(field: BatchField, offset: usize, fault: ReadFault) -> Self {
        match fault {
            ReadFault::End { needed, found } => Self::Truncated { field, offset, needed, found },
            ReadFault::Number => Self::BadNumber { field, offset },
        }
    }
}
