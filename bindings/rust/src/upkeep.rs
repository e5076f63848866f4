//! Looking after a store: keeping it small, and copies of it.

use crate::driver::{Compacted, CompactionProgress};
use crate::purge::PurgeError;
use crate::read_only::ReadOnlyReplica;
use crate::replica::Replica;
use afield_store::{BackupError, BackupProgress, StoreError};
use std::path::Path;

impl Replica {
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
        match crate::purge::empty_trash(&self.shared) {
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
