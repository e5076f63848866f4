//! Why a document does not do what it was asked to.

use super::DEPTH_MAX;
use super::path::Path;
use super::value::Kind;
use super::verdict::QuarantineReason;
use automerge::{AutomergeError, ChangeHash, LoadChangeError};

/// Why a document was not loaded.
///
/// ```
/// use afield_core::EntityId;
/// use afield_core::document::{Document, LoadError};
///
/// let damaged = b"no document".as_slice();
/// let error = Document::load(EntityId::from_bytes([7; 16]), Some(damaged), []).unwrap_err();
/// assert!(matches!(error, LoadError::Snapshot(_))); // an error, and never an empty document
/// ```
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The snapshot has no bytes.
    #[error("the snapshot is empty")]
    EmptySnapshot,
    /// The snapshot does not load.
    #[error("the snapshot does not load")]
    Snapshot(#[source] AutomergeError),
    /// A change does not parse.
    #[error("change {hash} does not parse")]
    Change {
        /// The hash the change is filed under.
        hash: ChangeHash,
        /// What the engine found.
        #[source]
        source: LoadChangeError,
    },
    /// The bytes of a change have another hash than it is filed under.
    #[error("the bytes filed under change {hash} are not that change")]
    WrongHash {
        /// The hash the change is filed under.
        hash: ChangeHash,
    },
    /// The changes do not apply.
    #[error("the changes do not apply")]
    Apply(#[source] AutomergeError),
    /// Dependencies of the changes are missing.
    #[error("{} dependencies are missing", missing.len())]
    MissingDependencies {
        /// The missing changes.
        missing: Vec<ChangeHash>,
    },
    /// The engine panicked.
    #[error("the engine panicked")]
    Panicked,
}

/// Why one operation of an edit was refused.
///
/// Where an operation fails after it wrote something, the edit as a whole is refused even if the closure goes on.
///
/// ```
/// # use afield_core::document::{Document, EditContext, EditError, OperationError};
/// # use afield_core::{EntityId, Limits, Now};
/// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
/// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
/// document.edit(&by, &Limits::DEFAULT, |edit| edit.splice_text("body", 0, 0, "by train"))?;
/// let beyond = document.edit(&by, &Limits::DEFAULT, |edit| edit.splice_text("body", 9, 0, "!")).unwrap_err();
/// let EditError::Closure(error) = beyond else { panic!("the closure passed it on") };
/// assert!(matches!(error, OperationError::OutOfRange { position: 9, length: 8 }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// The map or list that should hold the place does not exist.
    #[error("nothing stands at step {step} of the path")]
    Absent {
        /// The number of the step, from 0.
        step: usize,
    },
    /// Something else than the operation needs stands there.
    #[error("at step {step} of the path stands {found}, and {needed} is needed")]
    WrongKind {
        /// The number of the step, from 0; as many as the path has for what stands at its end.
        step: usize,
        /// What stands there.
        found: Kind,
        /// What is needed.
        needed: Kind,
    },
    /// A position is beyond the end of a list or text.
    #[error("position {position} is beyond the end, which is at {length}")]
    OutOfRange {
        /// The position, in elements or code points.
        position: usize,
        /// The length, in elements or code points.
        length: usize,
    },
    /// The root map can be neither replaced nor deleted.
    #[error("the root of a document can be neither replaced nor deleted")]
    Root,
    /// The value would stand too deep.
    #[error("the value would nest deeper than {DEPTH_MAX} levels")]
    TooDeep,
    /// One string or one value of bytes is larger than a change may be.
    #[error(
        "the value at {} has {bytes} bytes, and a change has at most {bytes_max}: divide it among several values, use a \
         text, or keep it elsewhere and its address here", path.outline()
    )]
    ValueTooLarge {
        /// The place of the value.
        path: Path,
        /// How many bytes it has.
        bytes: usize,
        /// The most bytes a change may have.
        bytes_max: usize,
    },
    /// The edit writes more than a change may hold.
    #[error(
        "the edit has {bytes} bytes or more, with what it writes at {}, and a change has at most {bytes_max}: make several \
         edits of it", path.outline()
    )]
    TooLarge {
        /// The place of what is too much.
        path: Path,
        /// How many bytes the edit has with it, at the least.
        bytes: usize,
        /// The most bytes a change may have.
        bytes_max: usize,
    },
    /// The edit has more operations than a change may hold.
    #[error(
        "the edit has {operations} operations or more, with what it writes at {}, and a change has at most \
         {operations_max}: make several edits of it", path.outline()
    )]
    TooManyOperations {
        /// The place of what is too much.
        path: Path,
        /// How many operations the edit has with it, at the least: one for each character, element and entry.
        operations: u64,
        /// The most operations a change may have.
        operations_max: u64,
    },
    /// No block stands at a position of a text.
    #[error("no block stands at position {position} of the text")]
    NoBlock {
        /// The position, in code points.
        position: usize,
    },
    /// A mark has to have a scalar as its value, and neither a counter nor NaN.
    #[error("the value of a mark is a scalar that is neither a counter nor NaN, and this is {found}")]
    NoMarkValue {
        /// What it is.
        found: Kind,
    },
    /// The counter would leave its range.
    #[error("the counter would leave the range of 64 bits")]
    CounterOverflow,
    /// The document does not hold the text or the list that the difference starts from.
    #[error("the document no longer holds the value that the difference starts from")]
    Stale,
    /// A conflict was decided since it was listed, or has other sides.
    #[error("the conflict was decided since it was listed, or has other sides; list the conflicts again")]
    Decided,
    /// A conflict does not have the side that was chosen.
    #[error("the conflict has no such side; list it again to see its sides")]
    NoSuchSide,
    /// An earlier operation of the edit failed after it had written something.
    #[error("an operation of the edit failed after it had written something")]
    Halfway,
    /// What was done in the raw view would be quarantined by every other device.
    #[error("other devices would not accept the change")]
    Unsound(#[source] QuarantineReason),
    /// Automerge refused the operation.
    #[error("the engine refused the operation")]
    Engine(#[from] AutomergeError),
}

impl OperationError {
    pub(super) fn wrong_kind(step: usize, found: Kind, needed: Kind) -> Self {
        Self::WrongKind { step, found, needed }
    }
}

/// Why an edit left nothing behind.
///
/// ```
/// # use afield_core::document::{Document, EditContext, EditError, OperationError};
/// # use afield_core::{EntityId, Limits, Now};
/// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
/// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
/// let given_up = document.edit(&by, &Limits::DEFAULT, |edit| {
///     edit.put("title", "Trip").map_err(|error| error.to_string())?;
///     Err::<(), _>("changed my mind".to_owned())
/// });
/// assert!(matches!(given_up, Err(EditError::Closure(reason)) if reason == "changed my mind"));
/// assert!(document.read_at("title").is_ok_and(|title| title.is_none())); // nothing of it was left behind
/// ```
#[derive(Debug, thiserror::Error)]
pub enum EditError<E> {
    /// The closure failed.
    #[error(transparent)]
    Closure(E),
    /// An operation failed halfway and the closure went on, or the change as a whole is too large.
    #[error("the edit as a whole was refused")]
    Refused(#[source] OperationError),
    /// The document has no operation numbers left.
    #[error("the document has reached its highest operation number")]
    Full,
    /// The document saw a panic and has to be loaded again.
    #[error("the document saw a panic and has to be loaded again")]
    Poisoned,
}
