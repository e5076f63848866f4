//! Why bytes are not a change.

use super::leb::ReadFault;
use crate::log::ChunkKind;
use crate::wire::ChunkCode;
use std::fmt;

/// A field of a change, for errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeField {
    /// The four bytes that every chunk of Automerge's starts with.
    Magic,
    /// The first four bytes of the hash.
    Checksum,
    /// The type of chunk.
    ChunkType,
    /// The length of the body.
    Length,
    /// The hashes of the changes that this one follows.
    Dependencies,
    /// The author's actor id.
    Actor,
    /// The number of the change among its actor's.
    Sequence,
    /// The counter of the first operation.
    StartOp,
    /// The time at which the change was made.
    Time,
    /// The message of the commit.
    Message,
    /// Other actors that the operations refer to.
    OtherActors,
    /// The list of columns.
    Columns,
    /// The data of the columns.
    ColumnData,
    /// The operations.
    Operations,
}

impl fmt::Display for ChangeField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Magic => "magic bytes",
            Self::Checksum => "checksum",
            Self::ChunkType => "chunk type",
            Self::Length => "length",
            Self::Dependencies => "dependencies",
            Self::Actor => "actor",
            Self::Sequence => "sequence",
            Self::StartOp => "start operation",
            Self::Time => "time",
            Self::Message => "message",
            Self::OtherActors => "other actors",
            Self::Columns => "column list",
            Self::ColumnData => "column data",
            Self::Operations => "operations",
        })
    }
}

/// What is wrong with a column of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ColumnFault {
    /// The column is deflated, which would inflate without a cap.
    #[error("it is deflated")]
    Deflated,
    /// Raw values stand without their metadata.
    #[error("raw values stand without their metadata")]
    LoneValues,
    /// A run holds nothing.
    #[error("a run holds nothing")]
    EmptyRun,
    /// A null stands where a value is required.
    #[error("a null stands where a value is required")]
    Null,
    /// The column's data ends inside an item.
    #[error("{needed} bytes needed, {found} found")]
    Truncated {
        /// How many bytes the item needs.
        needed: u64,
        /// How many are left.
        found: usize,
    },
    /// A number is longer than it need be, or does not fit its type.
    #[error("a number is not in its shortest form or does not fit")]
    BadNumber,
    /// The runs expand to more values than there are operations.
    #[error("its runs hold more than the {maximum} values it may have")]
    TooLong {
        /// The most values that the column may expand to.
        maximum: u64,
    },
    /// The texts of the change would take too many bytes once the runs are expanded.
    #[error("its texts take {found} bytes, at most {maximum} are allowed")]
    TooMuchText {
        /// How many bytes the texts take up to the end of this column.
        found: u64,
        /// The most that is allowed.
        maximum: u64,
    },
    /// The column has fewer or more values than what counts them says.
    #[error("{needed} values or bytes needed, {found} found")]
    WrongLength {
        /// How many there should be.
        needed: u64,
        /// How many there are.
        found: u64,
    },
    /// A value refers to an actor that the change does not name.
    #[error("it refers to actor {found} of {maximum}")]
    UnknownActor {
        /// The index.
        found: u64,
        /// How many actors the change names.
        maximum: u64,
    },
}

/// Why bytes are not a change that Afield accepts.
///
/// Offsets count bytes from the start of the chunk. No variant holds content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The bytes end inside a field.
    #[error("the change ends in its {field} at byte {offset}: {needed} bytes needed, {found} found")]
    Truncated {
        /// What was being read.
        field: ChangeField,
        /// Where.
        offset: usize,
        /// How many bytes it needs.
        needed: u64,
        /// How many are left.
        found: usize,
    },
    /// A number is longer than it need be, or does not fit its type.
    #[error("the {field} at byte {offset} is not a number in its shortest form, or does not fit")]
    BadNumber {
        /// What was being read.
        field: ChangeField,
        /// Where.
        offset: usize,
    },
    /// Bytes follow the change.
    #[error("{found} bytes follow the change at byte {offset}")]
    Trailing {
        /// Where the change ends.
        offset: usize,
        /// How many bytes follow.
        found: usize,
    },
    /// The bytes do not start as a chunk of Automerge's does.
    #[error("the bytes do not start as a chunk of Automerge's does")]
    WrongMagic,
    /// The chunk is not an uncompressed change: a document (0), a deflated change (2), a bundle (3) or something newer.
    #[error("the chunk has type {found}; only an uncompressed change (1) is accepted")]
    WrongChunkType {
        /// The type.
        found: u8,
    },
    /// The checksum does not fit the bytes.
    #[error("the checksum does not fit the bytes: {needed:02x?} needed, {found:02x?} found")]
    WrongChecksum {
        /// The first bytes of the hash that was computed.
        needed: [u8; 4],
        /// The checksum that the chunk states.
        found: [u8; 4],
    },
    /// The change is larger than allowed.
    #[error("the change has {found} bytes, at most {maximum} are allowed")]
    TooLarge {
        /// How many bytes it has.
        found: usize,
        /// How many are allowed.
        maximum: usize,
    },
    /// The change holds more of something than allowed.
    #[error("the {field} at byte {offset} number {found}, at most {maximum} are allowed")]
    TooMany {
        /// What there is too much of.
        field: ChangeField,
        /// Where.
        offset: usize,
        /// How many there are.
        found: u64,
        /// How many are allowed.
        maximum: u64,
    },
    /// A number lies outside its range.
    #[error("the {field} at byte {offset} is {found}, which is not between {minimum} and {maximum}")]
    OutOfRange {
        /// Which number.
        field: ChangeField,
        /// Where.
        offset: usize,
        /// The number.
        found: u64,
        /// The least that is allowed.
        minimum: u64,
        /// The most that is allowed.
        maximum: u64,
    },
    /// Items that Automerge writes sorted and once are not.
    #[error("the {field} at byte {offset} are not sorted, or one stands twice")]
    NotSorted {
        /// Which items.
        field: ChangeField,
        /// Where.
        offset: usize,
    },
    /// The message is not UTF-8.
    #[error("the message at byte {offset} is not UTF-8")]
    MessageNotUtf8 {
        /// Where.
        offset: usize,
    },
    /// A column is broken.
    #[error("column {column:#x} is broken at byte {offset}: {fault}")]
    BadColumn {
        /// Automerge's number of the column.
        column: u32,
        /// Where.
        offset: usize,
        /// How.
        #[source]
        fault: ColumnFault,
    },
    /// The actor has the form that is reserved for derived changes, and is not the one that this change of this entity
    /// would have.
    #[error("the change is derived and has the wrong actor")]
    WrongDerivedActor,
    /// The chunk is of a kind that holds no change.
    #[error("the chunk is not a change: {kind:?}")]
    NotAChange {
        /// The kind.
        kind: ChunkKind,
    },
}

impl ChangeError {
    /// What a relay answers about such a chunk.
    pub fn code(&self) -> ChunkCode {
        match self {
            Self::WrongChecksum { .. } => ChunkCode::WrongChecksum,
            Self::TooLarge { .. } => ChunkCode::TooLarge,
            Self::TooMany { field: ChangeField::Operations, .. } => ChunkCode::TooManyOperations,
            Self::TooMany { field: ChangeField::Dependencies, .. } => ChunkCode::TooManyDependencies,
            Self::OutOfRange { field: ChangeField::StartOp, .. } => ChunkCode::StartOpLeap,
            Self::BadColumn { .. } => ChunkCode::BadColumns,
            Self::NotAChange { .. } => ChunkCode::UnsupportedKind,
            Self::WrongDerivedActor => ChunkCode::WrongActor,
            _ => ChunkCode::Malformed,
        }
    }

    pub(super) fn reading(field: ChangeField, offset: usize, fault: ReadFault) -> Self {
        match fault {
            ReadFault::End { needed, found } => Self::Truncated { field, offset, needed, found },
            ReadFault::Number => Self::BadNumber { field, offset },
        }
    }
}

impl From<ReadFault> for ColumnFault {
    fn from(fault: ReadFault) -> Self {
        match fault {
            ReadFault::End { needed, found } => Self::Truncated { needed, found },
            ReadFault::Number => Self::BadNumber,
        }
    }
}
