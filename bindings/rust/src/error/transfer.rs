//! What can go wrong where entities are written out and read in.

use super::{EditError, ReadError};
use crate::driver::EntityError;
use afield_core::EntityId;
use afield_core::document::TaggedJsonError;
use afield_core::id::ParseCollectionError;
use afield_store::StoreError;

/// A file of Automerge's could not be read in as an entity.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use afield::AutomergeFileError;
///
/// let error = home.collection::<()>("notes")?.import_automerge(b"a letter").unwrap_err();
/// assert!(matches!(error, AutomergeFileError::NotADocument));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AutomergeFileError {
    /// The bytes are not what Automerge saves.
    #[error("these bytes are no document that Automerge has saved: save it whole, and read in all of it")]
    NotADocument,
    /// The document has no changes.
    #[error("the document is empty: there is nothing to read in")]
    Empty,
    /// One of its changes is larger than one may be, or says what no device would take in.
    #[error("change {hash} of the document is too large for a device, or would be refused by one; nothing was read in")]
    Change {
        /// The change.
        hash: afield_core::ChangeHash,
    },
    /// It could not be stored.
    #[error("the document could not be stored")]
    Edit(#[from] EditError),
}

/// Entities could not be written out or read in. What was read in before the failure stays.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use afield::TransferError;
///
/// let error = home.import("a letter".as_bytes(), |_| ()).unwrap_err();
/// assert!(matches!(error, TransferError::Line { line: 1, .. })); // what is wrong with it, too
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The file could not be read or written.
    #[error("the file could not be read or written")]
    Io(#[from] std::io::Error),
    /// A line is not what an export writes.
    #[error("line {line} is not an exported entity: {problem}")]
    Line {
        /// The number of the line, from 1.
        line: u64,
        /// What is wrong with it.
        problem: LineProblem,
    },
    /// Entities could not be opened and are missing from the export; all others are in it.
    #[error("the export lacks {}, which could not be opened; the other {written} are in it", super::entities(.skipped.len()))]
    Incomplete {
        /// How many entities were written.
        written: u64,
        /// Those that were not, and why.
        skipped: Vec<SkippedEntity>,
    },
    /// An entity could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An entity could not be written.
    #[error("line {line} could not be stored")]
    Edit {
        /// The number of the line, from 1.
        line: u64,
        /// Why.
        #[source]
        source: EditError,
    },
    /// The store could not be read.
    #[error("the store could not be read")]
    Store(#[from] StoreError),
}

/// An entity that an export had to leave out.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("notes.db");
/// # let replica = afield::Replica::open(&path)?;
/// # let home = replica.create_space("Home")?;
/// # let notes = home.collection::<()>("notes")?.json();
/// # let whole = notes.insert(&serde_json::json!({"title": "Milk"}))?;
/// # let damaged = notes.insert(&serde_json::json!({"title": "Bread"}))?;
/// # let id = home.id();
/// # drop((replica, home, notes));
/// # let connection = rusqlite::Connection::open(&path)?;
/// # let change = "change_row IN (SELECT change_row FROM changes WHERE entity_row = 2)";
/// # connection.execute(&format!("UPDATE bodies SET bytes = zeroblob(40) WHERE {change}"), [])?;
/// # drop(connection);
/// # let home = afield::Replica::open(&path)?.space(id)?;
/// use afield::{SkippedEntity, TransferError};
///
/// let mut lines = Vec::new();
/// let error = home.export(&mut lines, |_| ()).unwrap_err(); // a disk has damaged one of two
/// let TransferError::Incomplete { written: 1, skipped } = error else { panic!("{error}") };
/// let SkippedEntity { collection, entity, error, .. } = &skipped[0];
/// assert_eq!((collection.as_str(), *entity, error.code()), ("notes", damaged, "entity.damaged"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct SkippedEntity {
    /// The name of its collection.
    pub collection: String,
    /// The entity.
    pub entity: EntityId,
    /// Why it could not be opened.
    pub error: EntityError,
}

/// What is wrong with a line of an import.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use afield::{LineProblem, TransferError};
///
/// match home.import("{\"collection\": ".as_bytes(), |_| ()) {
///     Err(TransferError::Line { line: 1, problem: LineProblem::Json { column } }) => assert!(column > 1),
///     other => panic!("{other:?}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineProblem {
    /// It is not JSON of the right form. Only the place is told, never the content.
    #[error("no JSON of the right form at column {column}")]
    Json {
        /// The column, from 1.
        column: usize,
    },
    /// The collection's name is not valid.
    #[error(transparent)]
    Collection(#[from] ParseCollectionError),
    /// The identity is not one.
    #[error(transparent)]
    Id(#[from] afield_core::id::ParseIdError),
    /// A tagged value is not well formed.
    #[error(transparent)]
    Value(#[from] TaggedJsonError),
}
