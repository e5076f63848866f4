//! Why an operation on a store failed: one enum per operation, each with a class.
//!
//! No text here holds content, keys or names of entities' fields (S6): SQLite's own messages name tables and columns.

mod operation;

pub use operation::{
    AppendError, DirectionError, EntityError, FilterError, MarkError, PurgeError, ReceiveError, SnapshotError,
    SpaceError,
};

use crate::lock::Holder;
use crate::schema::SchemaVersion;
use afield_core::EntityId;
use afield_core::wire::Class;
use rusqlite::{ErrorCode, ffi};
use std::io;

/// The storage failed, or the store may not be used any more. Any operation can answer with it.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use afield_core::wire::Class;
/// use afield_store::{OpenOptions, Store, StoreError};
///
/// let store = Store::open_in_memory(&OpenOptions::default())?;
/// let reader = store.reader();
/// let _connection = store.into_connection()?; // and with it the store is closed
/// let error = reader.spaces().unwrap_err();
/// assert!(matches!(error, StoreError::Closed));
/// assert_eq!(error.class(), Class::Retry); // with another handle
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A page or a value of the file is not what was written there.
    #[error("the store file is damaged")]
    Corrupt(#[source] rusqlite::Error),
    /// The disk, or the size allowed for the file, is full.
    #[error("there is no room left on the disk of the store")]
    DiskFull(#[source] rusqlite::Error),
    /// Another program held the file for longer than the wait that the options allow.
    #[error("another program keeps the store file busy")]
    Busy(#[source] rusqlite::Error),
    /// The file or its folder may not be written.
    #[error("the store file is read-only")]
    ReadOnly(#[source] rusqlite::Error),
    /// The file does not exist or may not be opened.
    #[error("the store file cannot be opened")]
    CannotOpen(#[source] rusqlite::Error),
    /// The operating system failed to read, write or sync.
    #[error("reading or writing the store file failed")]
    Io(#[source] rusqlite::Error),
    /// SQLite answered with something that no operation of this crate should cause.
    #[error("SQLite failed in an unexpected way")]
    Unexpected(#[source] rusqlite::Error),
    /// Both copies of an entity's snapshot are damaged, and changes that they alone held cannot be read. Nothing was
    /// deleted, and no other entity is affected; other devices, or a backup, may still hold the changes.
    #[error(
        "both copies of the snapshot of entity {entity} are damaged; nothing was deleted, and other entities are not affected"
    )]
    SnapshotDamaged {
        /// The entity.
        entity: EntityId,
    },
    /// An earlier write failed: what memory holds may differ from the disk, so nothing is written until a reload (D10).
    /// This write has left nothing behind; the earlier one may be on disk.
    #[error("nothing is written after a storage error until Replica::reload has gone back to what is on disk")]
    Poisoned,
    /// The store was reloaded while something was being made of what it held before; make it again.
    #[error("the store was reloaded meanwhile, and what was to be written rests on what it held before: do it again")]
    Reloaded,
    /// An injected crash; only the simulator's faults cause it.
    #[error("the device crashed")]
    Crashed,
    /// The store's connection was taken or closed while this reader lived.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// What to do about it: wait (`Retry`), make room (`Quota`), or nothing that helps by itself (`Permanent`).
    ///
    /// ```
    /// use afield_core::wire::Class;
    /// use afield_store::StoreError;
    ///
    /// assert_eq!(StoreError::Closed.class(), Class::Retry); // with another handle
    /// ```
    pub fn class(&self) -> Class {
        match self {
            Self::Busy(_) | Self::Io(_) | Self::Poisoned | Self::Reloaded | Self::Crashed | Self::Closed => {
                Class::Retry
            }
            Self::DiskFull(_) => Class::Quota,
            Self::Corrupt(_)
            | Self::ReadOnly(_)
            | Self::CannotOpen(_)
            | Self::Unexpected(_)
            | Self::SnapshotDamaged { .. } => Class::Permanent,
        }
    }

    /// A name that stays the same from version to version.
    ///
    /// ```
    /// assert_eq!(afield_store::StoreError::Closed.code(), "store.closed");
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Corrupt(_) => "store.corrupt",
            Self::SnapshotDamaged { .. } => "store.snapshot_damaged",
            Self::DiskFull(_) => "store.disk_full",
            Self::Busy(_) => "store.busy",
            Self::ReadOnly(_) => "store.read_only",
            Self::CannotOpen(_) => "store.cannot_open",
            Self::Io(_) => "store.io",
            Self::Unexpected(_) => "store.unexpected",
            Self::Poisoned => "store.poisoned",
            Self::Reloaded => "store.reloaded",
            Self::Crashed => "store.crashed",
            Self::Closed => "store.closed",
        }
    }

    /// Whether it is about what is stored of some entities, so that others may be used all the same.
    ///
    /// ```
    /// use afield_core::EntityId;
    /// use afield_store::StoreError;
    ///
    /// assert!(StoreError::SnapshotDamaged { entity: EntityId::from_bytes([7; 16]) }.is_damage()); // of that one alone
    /// assert!(!StoreError::Poisoned.is_damage());
    /// ```
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Corrupt(_) | Self::SnapshotDamaged { .. })
    }

    /// Whether a transaction that fails with it is undone for certain, once it is rolled back. What fails while it is written
    /// or synced may be on disk all the same.
    pub(crate) fn is_undone_by_a_rollback(&self) -> bool {
        matches!(
            self,
            Self::DiskFull(_) | Self::Corrupt(_) | Self::SnapshotDamaged { .. } | Self::Busy(_) | Self::ReadOnly(_)
        )
    }

    pub(crate) fn injected(code: std::ffi::c_int) -> Self {
        Self::from(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error as E;
        match &error {
            // A value of the wrong type or size was not written by this crate.
            E::FromSqlConversionFailure(..)
            | E::IntegralValueOutOfRange(..)
            | E::Utf8Error(..)
            | E::InvalidColumnType(..) => return Self::Corrupt(error),
            _ => {}
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt(error),
            Some(ErrorCode::DiskFull) => Self::DiskFull(error),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
                Self::Busy(error)
            }
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::ReadOnly(error),
            Some(ErrorCode::CannotOpen) => Self::CannotOpen(error),
            Some(ErrorCode::SystemIoFailure) => Self::Io(error),
            _ => Self::Unexpected(error),
        }
    }
}

/// A store could not be opened.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("notes.db");
/// use afield_store::{OpenError, OpenOptions, Store};
///
/// std::fs::write(&path, "a letter")?;
/// let error = Store::open(&path, &OpenOptions::default()).unwrap_err();
/// assert!(matches!(error, OpenError::NotAStore)); // and the letter is as it was
/// assert_eq!(std::fs::read_to_string(&path)?, "a letter");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The SQLite library is older than [`crate::SQLITE_VERSION_MIN`]; older ones can corrupt a WAL.
    #[error("SQLite {found} is too old: {needed} or newer is needed")]
    SqliteTooOld {
        /// SQLite's version number, as in 3051003.
        found: i32,
        /// The oldest one accepted.
        needed: i32,
    },
    /// The file is something else: not SQLite, or another program's database.
    #[error("the file is not an Afield store")]
    NotAStore,
    /// A newer version of the library wrote the file.
    #[error("the store has schema version {found}; this library knows versions up to {known}")]
    Newer {
        /// The file's version.
        found: SchemaVersion,
        /// The newest version this library knows.
        known: SchemaVersion,
    },
    /// The file has to be migrated first, which only a writer does.
    #[error("the store has schema version {found} and has to be opened once for writing to reach {known}")]
    Older {
        /// The file's version.
        found: SchemaVersion,
        /// The version this library reads.
        known: SchemaVersion,
    },
    /// Another writer has the store.
    #[error("the store is in use{}", holder_text(.holder.as_ref()))]
    Locked {
        /// Who; `None` where it had not yet said.
        holder: Option<Holder>,
    },
    /// The file or its folder may not be written.
    #[error("the store file or its folder is read-only")]
    ReadOnly,
    /// The folder does not exist or cannot be used.
    #[error("the folder of the store cannot be used")]
    Folder(#[source] io::Error),
    /// The storage failed.
    #[error(transparent)]
    Store(StoreError),
}

fn holder_text(holder: Option<&Holder>) -> String {
    holder.map(|holder| format!(" by {holder}")).unwrap_or_default()
}

impl OpenError {
    /// What to do about it.
    ///
    /// ```
    /// use afield_core::wire::Class;
    /// use afield_store::OpenError;
    ///
    /// assert_eq!(OpenError::Locked { holder: None }.class(), Class::Retry); // once the other program has ended
    /// ```
    pub fn class(&self) -> Class {
        match self {
            Self::Locked { .. } => Class::Retry,
            Self::SqliteTooOld { .. } | Self::Newer { .. } | Self::Older { .. } => Class::Upgrade,
            Self::NotAStore | Self::ReadOnly | Self::Folder(_) => Class::Permanent,
            Self::Store(error) => error.class(),
        }
    }

    /// A name that stays the same from version to version.
    ///
    /// ```
    /// assert_eq!(afield_store::OpenError::NotAStore.code(), "open.not_a_store");
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::SqliteTooOld { .. } => "open.sqlite_too_old",
            Self::NotAStore => "open.not_a_store",
            Self::Newer { .. } => "open.newer",
            Self::Older { .. } => "open.older",
            Self::Locked { .. } => "open.locked",
            Self::ReadOnly => "open.read_only",
            Self::Folder(_) => "open.folder",
            Self::Store(error) => error.code(),
        }
    }
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::ReadOnly(_) => Self::ReadOnly,
            other => Self::Store(other),
        }
    }
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        // A file whose first page is no database has never been ours; damage further in keeps its own name.
        if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) {
            return Self::NotAStore;
        }
        Self::from(StoreError::from(error))
    }
}

impl From<OpenError> for StoreError {
    /// A reader that opens one more connection to a store that it has open: only the storage can have failed, unless
    /// somebody put another file in its place, and then the store is no longer there.
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Store(error) => error,
            _ => Self::Closed,
        }
    }
}

#[cfg(test)]
mod tests;
