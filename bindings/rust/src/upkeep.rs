//! Looking after a store: keeping it small, and copies of it.

use crate::driver::{Compacted, CompactionProgress, Driver, DriverError};
use crate::purge::{PurgeError, Purged, empty_trash};
use crate::read_only::ReadOnlyReplica;
use crate::replica::Replica;
use afield_core::SpaceId;
use afield_core::policy::{Decision, Trigger};
use afield_core::wire::Class;
use afield_store::{BackupError, BackupProgress, StoreError};
use std::path::Path;

/// What [`Replica::maintain`] has done.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// # let notes = home.collection::<()>("notes")?.json();
/// notes.insert(&serde_json::json!({"title": "Milk"}))?;
/// let done = replica.maintain()?; // once a day, say
/// assert_eq!(done.purged.entities, 0); // nothing was in the trash for long
/// assert_eq!(done.sync[0].0, home.id());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Maintained {
    /// What had been in the trash for longer than its space keeps anything.
    pub purged: Purged,
    /// How many entities have been there for that long, too, and are purged with the next sync of their space, once everything is here:
    /// a relay has them, so somebody else may have restored them meanwhile.
    pub waiting: u64,
    /// What takes less room now.
    pub compacted: Compacted,
    /// What was decided about syncing each space, in the order of [`Replica::spaces`].
    pub sync: Vec<(SpaceId, Decision)>,
}

/// Something that is due could not be done.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use afield::{EditError, MaintainError};
///
/// replica.transaction(|_| {
///     // Sync may be waiting for this very transaction.
///     assert!(matches!(replica.maintain(), Err(MaintainError::Nested)));
///     Ok::<_, EditError>(())
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MaintainError {
    /// Sync may be waiting for the edit inside which this was called.
    #[error("nothing can be maintained inside an edit or a transaction; do it after that")]
    Nested,
    /// The trash was not emptied.
    #[error(transparent)]
    Purge(PurgeError),
    /// The store could not be read, or made smaller.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A sync could not be asked for.
    #[error(transparent)]
    Sync(DriverError),
}

impl MaintainError {
    /// What to do about it.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let notes = replica.create_space("Home")?.collection::<()>("notes")?.json();
    /// # let id = notes.insert(&serde_json::json!({}))?;
    /// use afield::Class;
    ///
    /// notes.edit(id, |_| {
    ///     let error = replica.maintain().unwrap_err();
    ///     assert_eq!(error.class(), Class::Permanent); // ask after the edit
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn class(&self) -> Class {
        match self {
            Self::Nested => Class::Permanent,
            Self::Purge(error) => error.class(),
            Self::Store(error) => error.class(),
            Self::Sync(error) => error.class(),
        }
    }

    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let notes = replica.create_space("Home")?.collection::<()>("notes")?.json();
    /// # let id = notes.insert(&serde_json::json!({}))?;
    /// notes.edit(id, |_| {
    ///     assert_eq!(replica.maintain().unwrap_err().code(), "maintain.nested");
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Nested => "maintain.nested",
            Self::Purge(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Sync(error) => error.code(),
        }
    }
}

impl Replica {
    /// Does what is due, to be called now and then, such as once a day: purges what was deleted for longer than
    /// [`Space::set_trash_retention`](crate::Space::set_trash_retention) says, which is nothing where nothing was said, or has it purged by the next sync
    /// where others may have restored it meanwhile; compacts as
    /// [`Replica::compact`] does; and asks for a sync of each space with [`Trigger::Maintenance`], which starts one where changes wait or
    /// the space was not in step for a day, whatever its schedule. With sync off nothing is started.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// use afield::{Decision, Reason};
    ///
    /// let done = replica.maintain()?;
    /// assert_eq!(done.purged.entities, 0);
    /// assert_eq!(done.sync, [(home.id(), Decision::block(Reason::SyncOff, None))]); // no relay is connected
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// It was called inside an edit or a transaction, or the store failed.
    pub fn maintain(&self) -> Result<Maintained, MaintainError> {
        if Driver::is_inside_an_edit() {
            return Err(MaintainError::Nested);
        }
        let (purged, waiting) = empty_trash(&self.shared).map_err(MaintainError::Purge)?;
        let compacted = self.shared.driver.compact_all(|| self.shared.now(), |_| {})?;
        let mut sync = Vec::new();
        // Last, so that what was purged just now goes out with it.
        for record in self.shared.reader.spaces()? {
            let decision = self.shared.driver.request(Some(record.space), &Trigger::Maintenance, self.shared.now());
            sync.push((record.space, decision.map_err(MaintainError::Sync)?));
        }
        self.shared.wake();
        Ok(Maintained { purged, waiting, compacted, sync })
    }

    /// Keeps everything in less room: entities with long histories as one saved document each, and the file without what
    /// became free. What was deleted for longer than [`crate::Space::set_trash_retention`] says is purged first, where anything was said.
    /// Nothing else of a history is lost, and editing and sync go on meanwhile but for the rebuilding of the file.
    ///
    /// This also happens by itself, bit by bit: while sync is on, when nothing else is to be done; while it is off, with
    /// the edits of entities that are not large. So call it where neither is enough, such as after an import, and at a
    /// moment when somebody can wait. For the file it needs as much free room as the store takes twice:
    /// beside it, and where the system keeps temporary files.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// use afield::Replica;
    ///
    /// let replica = Replica::open(folder.path().join("notes.db"))?;
    /// let notes = replica.create_space("Home")?.collection::<()>("notes")?;
    /// let id = notes.json().insert(&serde_json::json!({"title": ""}))?;
    /// for round in 0..20 {
    ///     notes.json().edit(id, |note| note["title"] = round.into())?;
    /// }
    /// let compacted = replica.compact(|progress| println!("{} of {}", progress.done, progress.total))?;
    /// assert_eq!((compacted.entities, compacted.changes), (1, 21));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store failed. An entity that is damaged, or that somebody edits just then, is passed over.
    pub fn compact(&self, progress: impl FnMut(CompactionProgress)) -> Result<Compacted, StoreError> {
        match empty_trash(&self.shared) {
            Err(PurgeError::Store(afield_store::PurgeError::Store(error))) => return Err(error),
            // It is tried again with the next compaction.
            Err(error) => tracing::warn!(%error, "the trash was not emptied"),
            Ok(_) => {}
        }
        self.shared.driver.compact_all(|| self.shared.now(), progress)
    }

    /// Copies the whole store, as it is at this moment, into a new file, while everything goes on; the file is synced and
    /// complete when this returns, and does not exist before.
    ///
    /// Any number of copies may be opened, also at the same time as the store: each opening writes under a new name of its
    /// author, so that no two ever make different changes under one number, and what a restored copy lacks comes back with
    /// the next sync. When the relay sees two that call themselves the same device, the later one takes a new identity by
    /// itself, which [`crate::SyncEvent::DeviceRenamed`] tells.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// use afield::Replica;
    ///
    /// let replica = Replica::open(folder.path().join("notes.db"))?;
    /// replica.create_space("Home")?;
    /// let copy = folder.path().join("copy.db");
    /// replica.backup(&copy)?;
    /// assert_eq!(Replica::open(&copy)?.spaces()?[0].name(), "Home");
    /// assert!(replica.backup(&copy).is_err(), "nothing is overwritten");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Something stands at that place, it cannot be written, or the store cannot be read; nothing new stands there then.
    pub fn backup(&self, path: impl AsRef<Path>) -> Result<(), BackupError> {
        self.backup_with(path, |_| {})
    }

    /// Makes a backup as [`Replica::backup`] does, and tells how far it is.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let replica = afield::Replica::open(folder.path().join("notes.db"))?;
    /// # replica.create_space("Home")?;
    /// let copy = folder.path().join("copy.db");
    /// replica.backup_with(&copy, |progress| println!("{} of {} bytes", progress.done, progress.total))?;
    /// assert_eq!(afield::ReadOnlyReplica::open(&copy)?.spaces()?[0].name(), "Home");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Replica::backup`].
    pub fn backup_with(&self, path: impl AsRef<Path>, progress: impl FnMut(BackupProgress)) -> Result<(), BackupError> {
        self.shared.reader.backup(path, progress)
    }
}

impl ReadOnlyReplica {
    /// Makes a backup as [`Replica::backup`] does, beside whoever writes, and tells how far it is.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// let copy = folder.path().join("copy.db");
    /// let beside = afield::ReadOnlyReplica::open(&path)?; // while this or another process writes
    /// beside.backup_with(&copy, |progress| println!("{} of {} bytes", progress.done, progress.total))?;
    /// assert_eq!(afield::ReadOnlyReplica::open(&copy)?.spaces()?[0].name(), "Home");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Replica::backup`].
    pub fn backup_with(&self, path: impl AsRef<Path>, progress: impl FnMut(BackupProgress)) -> Result<(), BackupError> {
        self.reader().backup(path, progress)
    }
}
