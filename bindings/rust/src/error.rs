//! The errors of the library: one enum for the operations that can fail in the same ways, each with what would help and a name that
//! stays.

mod code;
pub(crate) mod counted;
mod sync;
mod transfer;

pub use sync::{ConnectError, FetchError, RefreshTokenError, SyncError};
pub use transfer::{AutomergeFileError, LineProblem, SkippedEntity, TransferError};

use crate::driver::{DriverError, EditFailure, EntityError};
use crate::typed::{FromDocumentError, ToValueError};
use afield_core::document::{EditError as DocumentError, OperationError, PointError, TaggedJsonError};
use afield_core::id::ParseCollectionError;
use afield_core::lens::LensError;
use afield_core::wire::Class;
use afield_core::{EntityId, SpaceId};
use afield_store::{AppendError, OpenError, StoreError};

/// A replica could not be opened.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("notes.db");
/// use afield::{OpenError, Replica, ReplicaError};
///
/// std::fs::write(&path, "a letter")?;
/// match Replica::open(&path) {
///     Err(ReplicaError::Open(OpenError::NotAStore)) => {} // ask for another file
///     other => panic!("{other:?}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplicaError {
    /// The store could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What had been received before could not be merged.
    #[error("what had been received before could not be merged")]
    Driver(#[from] DriverError),
}

impl ReplicaError {
    /// What would help.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// use afield::{Class, Replica};
    /// use std::time::Duration;
    ///
    /// let _first = Replica::open(&path)?;
    /// let error = Replica::options().writer_wait(Duration::ZERO).open(&path).unwrap_err();
    /// assert_eq!(error.class(), Class::Retry); // once the first has closed it
    /// # Ok(())
    /// # }
    /// ```
    pub fn class(&self) -> Class {
        match self {
            Self::Open(error) => error.class(),
            Self::Driver(error) => error.class(),
        }
    }
}

/// An entity could not be read.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use afield::{ReadError, model};
///
/// #[model]
/// #[derive(Debug)]
/// struct Note { title: String }
///
/// let notes = home.collection::<Note>("notes")?;
/// let id = notes.json().insert(&serde_json::json!({"title": 5}))?; // as another app may have written it
/// let error = notes.read(id).unwrap_err();
/// assert!(matches!(&error, ReadError::Shape { entity, .. } if *entity == id));
/// assert!(std::error::Error::source(&error).is_some_and(|source| source.to_string().contains("title")));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The entity could not be opened.
    #[error(transparent)]
    Entity(#[from] EntityError),
    /// The entity does not have the shape of the type.
    #[error("entity {entity} does not have the shape of the type")]
    Shape {
        /// The entity.
        entity: EntityId,
        /// Where they differ.
        #[source]
        source: FromDocumentError,
    },
    /// A path leads into something that is no map or list.
    #[error("entity {entity} has nothing readable at that path")]
    Path {
        /// The entity.
        entity: EntityId,
        /// Where it ends.
        #[source]
        source: OperationError,
    },
    /// A moment is none of the entity's history, or the entity did not exist yet.
    #[error("entity {entity} cannot be shown as it was at that moment")]
    Point {
        /// The entity.
        entity: EntityId,
        /// Why.
        #[source]
        source: PointError,
    },
    /// The store could not be read.
    #[error("the store could not be read")]
    Store(#[from] StoreError),
}

impl ReadError {
    /// What would help.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let photo = afield::EntityId::from_bytes([7; 16]);
    /// use afield::{Class, Filter};
    ///
    /// home.set_filter(Filter::collections(["notes"]))?;
    /// let error = home.collection::<()>("photos")?.json().read(photo).unwrap_err();
    /// assert_eq!(error.class(), Class::Retry); // the filter leaves it out, and `fetch` would bring it
    /// # Ok(())
    /// # }
    /// ```
    pub fn class(&self) -> Class {
        match self {
            Self::Entity(error) => error.class(),
            Self::Shape { .. } | Self::Path { .. } | Self::Point { .. } => Class::Permanent,
            Self::Store(error) => error.class(),
        }
    }

    /// Whether it is about one entity, so that others may be read all the same.
    pub(crate) fn is_of_entity(&self) -> bool {
        match self {
            Self::Entity(error) => !matches!(error, EntityError::Store(_) | EntityError::Driver(_)),
            Self::Shape { .. } | Self::Path { .. } | Self::Point { .. } => true,
            Self::Store(_) => false,
        }
    }
}

/// An edit failed. Nothing of it remains, unless it is [`EditError::Store`], which leaves that open.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// # let notes = home.collection::<()>("notes")?.json();
/// use afield::EditError;
///
/// let id = notes.insert(&serde_json::json!({"title": "Milk"}))?;
/// let error = notes.edit(id, |note| *note = "no object".into()).unwrap_err();
/// assert!(matches!(error, EditError::NotAnObject { .. }));
/// assert_eq!(notes.read(id)?["title"], "Milk"); // nothing of it was written
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The entity could not be opened.
    #[error(transparent)]
    Entity(#[from] EntityError),
    /// An operation does not fit the document.
    #[error("the operation does not fit the document")]
    Operation(#[from] OperationError),
    /// The edit as a whole was refused.
    #[error("the edit was refused")]
    Refused(#[source] Box<DocumentError<EditError>>),
    /// The entity does not have the shape of the type.
    #[error("the entity does not have the shape of the type")]
    Shape(#[from] FromDocumentError),
    /// The value cannot be written to a document.
    #[error("the value cannot be written to a document")]
    Value(#[from] ToValueError),
    /// An entity has to be a map of its fields, which neither other JSON than an object nor an enum's variant without
    /// data is.
    #[error("an entity is an object of its fields, and this is {found}")]
    NotAnObject {
        /// What it is.
        found: afield_core::document::Kind,
    },
    /// A tagged JSON value is not well formed.
    #[error(transparent)]
    Json(TaggedJsonError),
    /// The value cannot be written through the lenses of the collection.
    #[error("the value cannot be written through the lenses of its collection")]
    Lens(#[from] LensError),
    /// A moment is none of the entity's history, or the entity did not exist yet.
    #[error("entity {entity} cannot be what it was at that moment")]
    Point {
        /// The entity.
        entity: EntityId,
        /// Why.
        #[source]
        source: PointError,
    },
    /// Nobody has confirmed that an entity is to be what it was: nothing was written.
    #[error(
        "this would write {} of entity {entity} as {}{}, over what was written there since. Confirm it to do so; undo takes it back", counted::count(*.places, "place", "places"), counted::by(*.places, "it was", "they were"), if *.is_deleted { " and take its deletion back" } else { "" }
    )]
    Unconfirmed {
        /// The entity.
        entity: EntityId,
        /// How many places differ.
        places: u64,
        /// Whether the entity is deleted, and would be there again.
        is_deleted: bool,
    },
    /// The closure of a `try_edit` or of a transaction gave an error of its own.
    #[error("the edit was given up")]
    Aborted(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The edit, or its whole transaction, could not be stored for certain: a disk that fails while it is written may
    /// have kept it, all of it or nothing.
    ///
    /// Writing is refused from then on. [`crate::Replica::reload`] goes back to what is on disk; after it, read whether
    /// the edit is there before you repeat it. An edit that sets a value can simply be repeated; an insert that was
    /// kept and is repeated makes the entity twice.
    #[error("the edit could not be stored; reload the replica, and see whether it is there before you repeat it")]
    Store(#[from] AppendError),
}

impl EditError {
    /// What would help.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&serde_json::json!({}))?;
    /// # let note = notes.entity(id)?;
    /// let error = note.text("body").splice(7, 0, "milk").unwrap_err(); // beyond the end
    /// assert_eq!(error.class(), afield::Class::Permanent);
    /// # Ok(())
    /// # }
    /// ```
    pub fn class(&self) -> Class {
        match self {
            Self::Entity(error) => error.class(),
            Self::Store(error) => error.class(),
            // The document is loaded anew at the next touch.
            Self::Refused(error) if matches!(**error, DocumentError::Poisoned) => Class::Retry,
            _ => Class::Permanent,
        }
    }
}

impl EditError {
    /// Whether it writes more than one change may hold, so that several may do. A single string or value of bytes that is too
    /// large is not divided by that.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&serde_json::json!({}))?;
    /// # let note = notes.entity(id)?;
    /// use afield::Bytes;
    ///
    /// let photo = Bytes::from(vec![0; 300_000]);
    /// let both = note.edit(|edit| {
    ///     edit.put("front", photo.clone())?;
    ///     Ok(edit.put("back", photo.clone())?)
    /// });
    /// assert!(both.unwrap_err().is_too_large());
    ///
    /// note.edit(|edit| Ok(edit.put("front", photo.clone())?))?; // one by one they are stored
    /// note.edit(|edit| Ok(edit.put("back", photo)?))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_too_large(&self) -> bool {
        let operation = self.operation();
        matches!(operation, Some(OperationError::TooLarge { .. } | OperationError::TooManyOperations { .. }))
    }

    /// Whether a single string or value of bytes is larger than a change may be: a string could be a text, which several
    /// changes can hold.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&serde_json::json!({}))?;
    /// # let note = notes.entity(id)?;
    /// let book = "Once upon a time. ".repeat(30_000);
    /// let error = note.map(afield::Path::ROOT).put("book", book.as_str()).unwrap_err();
    /// assert!(error.has_too_large_value() && !error.is_too_large());
    ///
    /// note.long_text("book").splice(0, 0, &book[..90_000])?; // a text takes it part by part
    /// # Ok(())
    /// # }
    /// ```
    pub fn has_too_large_value(&self) -> bool {
        matches!(self.operation(), Some(OperationError::ValueTooLarge { .. }))
    }

    fn operation(&self) -> Option<&OperationError> {
        match self {
            Self::Operation(operation) => Some(operation),
            Self::Refused(error) => match &**error {
                DocumentError::Refused(operation) => Some(operation),
                _ => None,
            },
            _ => None,
        }
    }

    /// Gives an edit or a transaction up for a reason of the application's: nothing of it remains.
    ///
    /// An error that is an [`EditError`] already stays what it is.
    ///
    /// ```
    /// # use afield::{EditError, Replica, model};
    /// # #[model]
    /// # struct Note { title: String }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = Replica::open_in_memory()?;
    /// # let notes = replica.create_space("Home")?.collection::<Note>("notes")?;
    /// let given_up = replica.transaction(|transaction| {
    ///     transaction.insert(&notes, &Note { title: "Milk".into() })?;
    ///     Err::<(), _>(EditError::aborted("the shop is closed"))
    /// });
    /// assert!(matches!(given_up, Err(EditError::Aborted(_))));
    /// assert!(notes.ids()?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn aborted(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        match reason.into().downcast::<Self>() {
            Ok(error) => *error,
            Err(reason) => Self::Aborted(reason),
        }
    }
}

/// So that the closure of an edit or a transaction may read, and pass on what that answers.
impl From<ReadError> for EditError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Entity(error) => Self::Entity(error),
            ReadError::Shape { source, .. } => Self::Shape(source),
            ReadError::Path { source, .. } => Self::Operation(source),
            ReadError::Store(error) => Self::Entity(EntityError::Store(error)),
            ReadError::Point { entity, source } => Self::Point { entity, source },
        }
    }
}

impl From<EditFailure<EditError>> for EditError {
    fn from(failure: EditFailure<EditError>) -> Self {
        match failure {
            EditFailure::Entity(error) => Self::Entity(error),
            EditFailure::Document(DocumentError::Closure(error)) => error,
            EditFailure::Document(error) => Self::Refused(Box::new(error)),
            EditFailure::Store(error) => Self::Store(error),
        }
    }
}

/// A space could not be made, joined or found.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use afield::SpaceError;
///
/// home.collection::<()>("notes")?.json().insert(&serde_json::json!({"title": "never sent"}))?;
/// match replica.leave_space(home.id()) {
///     Err(SpaceError::Unsent { changes, .. }) => assert_eq!(changes, 1), // sync first, or `leave_space_discarding`
///     other => panic!("{other:?}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpaceError {
    /// No such space is on this device.
    #[error("space {0} is not on this device; join it first")]
    Unknown(SpaceId),
    /// The space has changes that no relay is known to hold, and would lose them by being left.
    #[error(
        "{} of space {space} {} on no relay yet; sync first, or leave the space discarding {}", counted::count(*.changes, "change", "changes"), counted::by(*.changes, "is", "are"), counted::by(*.changes, "it", "them")
    )]
    Unsent {
        /// The space.
        space: SpaceId,
        /// How many.
        changes: u64,
    },
    /// The relay serves the space no longer, for this device or at all, so that what is here may be the only copy. A sync does not
    /// help: export it, or wait until a device of an owner has brought the space back.
    #[error(
        "the relay has no space {space} for this device any more, and {} here may be nowhere else; export what matters, let a device of an owner sync and bring the space back, or leave it discarding {}", counted::count(*.changes, "change", "changes"), counted::by(*.changes, "it", "them")
    )]
    OnlyCopy {
        /// The space.
        space: SpaceId,
        /// How many.
        changes: u64,
    },
    /// The name of a collection is not valid.
    #[error(transparent)]
    Collection(#[from] ParseCollectionError),
    /// The type of the collection has no such field.
    #[error(transparent)]
    Field(afield_store::QueryError),
    /// A space was to be left inside an edit or a transaction, for which sync may be waiting.
    #[error("a space cannot be left inside an edit or a transaction; leave it after that")]
    Nested,
    /// The store could not be read or written.
    #[error("the store could not be read or written")]
    Store(#[source] afield_store::SpaceError),
}

impl From<afield_store::SpaceError> for SpaceError {
    fn from(error: afield_store::SpaceError) -> Self {
        Self::Store(error)
    }
}

impl From<StoreError> for SpaceError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.into())
    }
}

/// A filter could not be put in force.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use afield::{Filter, FilterError};
///
/// let error = home.set_filter(Filter::collections(["my notes"])).unwrap_err();
/// assert!(matches!(error, FilterError::Collection(_))); // no name of a collection has a space in it
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// The name of a collection is not valid.
    #[error(transparent)]
    Collection(#[from] ParseCollectionError),
    /// It was to be done inside an edit or a transaction, for which sync may be waiting.
    #[error("what is kept here cannot be changed inside an edit or a transaction; change it after that")]
    Nested,
    /// It is too long, the space is not on this device, or the store could not be read or written.
    #[error(transparent)]
    Store(#[from] afield_store::FilterError),
}

fn entities(count: usize) -> String {
    if count == 1 { "1 entity".to_owned() } else { format!("{count} entities") }
}

#[cfg(test)]
mod tests;
