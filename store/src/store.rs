//! The store: opening, the one way to write, and what happens after a failure.

use crate::connection::{self, SharedConnection};
use crate::error::{OpenError, StoreError};
use crate::extract::Extracted;
use crate::fault::{FaultHook, Faults, SyncHook, SyncMoment};
use crate::lock::{self, WriterLock};
use crate::options::{OpenOptions, Synchronous};
use crate::reader::Reader;
use crate::schema;
use crate::transaction::{Failure, WriteTransaction};
use afield_core::Durable;
use rusqlite::{Connection, TransactionBehavior};
use std::mem;
use std::path::{Path, PathBuf};

/// The device's store: the only writer of its file.
///
/// Every method that writes is one transaction; those that store what cannot be found again give a [`Durable`] value
/// after its synced commit. After a failure of the storage every writing method answers [`StoreError::Poisoned`] until
/// [`Store::reload`] (D10); reading goes on.
/// Errors that say that the caller asked for something impossible leave the store as it was and sound.
#[derive(Debug)]
pub struct Store {
    shared: SharedConnection,
    place: Place,
    options: OpenOptions,
    is_poisoned: bool,
    had_wal: bool,
    faults: Faults,
    /// The snapshot that the scan of an outbox is in the middle of.
    pub(crate) extracted: Option<Extracted>,
}

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Somebody wants it done, and is told whether it is.
    Needed,
    /// It only makes something cheaper.
    Optional,
    /// It writes nothing.
    ReadOnly,
}

impl Kind {
    fn behavior(self) -> TransactionBehavior {
        match self {
            Self::Needed | Self::Optional => TransactionBehavior::Immediate,
            Self::ReadOnly => TransactionBehavior::Deferred,
        }
    }
}

#[derive(Debug)]
enum Place {
    Memory,
    File { path: PathBuf, _lock: WriterLock },
}

impl Store {
    /// Opens a store file for writing, creating it when there is none.
    ///
    /// # Errors
    ///
    /// [`OpenError::Locked`] when another writer keeps the store for longer than the options wait;
    /// [`OpenError::NotAStore`], [`OpenError::Newer`] and [`OpenError::ReadOnly`] with the file untouched;
    /// [`OpenError::Store`] when the storage fails.
    pub fn open(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Self, OpenError> {
        // Where a lock file stands the file was a store already, and may be open now, perhaps in this very process: looking
        // into it here would take the locks of SQLite away, since POSIX drops all that a process has on a file whenever
        // it closes the file. Whether it still is a store is asked of SQLite, before anything is written.
        if !lock::stands_beside(path.as_ref()) {
            schema::refuse_foreign_file(path.as_ref())?;
        }
        let path = lock::real_path(path.as_ref())?;
        let lock = WriterLock::take(&path, options)?;
        let had_wal = lock::has_wal(&path);
        let connection = connection::open_writer(&path, options)?;
        Ok(Self { had_wal, ..Self::new(connection, Place::File { path, _lock: lock }, options) })
    }

    /// Opens a store that lives in memory and ends with it.
    ///
    /// # Errors
    ///
    /// [`OpenError::SqliteTooOld`], or the storage failed.
    pub fn open_in_memory(options: &OpenOptions) -> Result<Self, OpenError> {
        Self::from_connection(Connection::open_in_memory()?, options)
    }

    /// Makes a store of an open connection, which gets no lock of its own; an open transaction in it rolls back.
    ///
    /// With [`Store::into_connection`] the simulator crashes a device and starts it again on the same database.
    ///
    /// # Errors
    ///
    /// As for [`Store::open`], without the lock.
    pub fn from_connection(connection: Connection, options: &OpenOptions) -> Result<Self, OpenError> {
        Ok(Self::new(connection::adopt_writer(connection, options)?, Place::Memory, options))
    }

    /// Ends the store and gives its connection back; readers of a store in memory answer [`StoreError::Closed`] then.
    ///
    /// # Errors
    ///
    /// [`StoreError::Closed`] when a failed reload has left no connection.
    pub fn into_connection(self) -> Result<Connection, StoreError> {
        self.shared.slot().take().ok_or(StoreError::Closed)
    }

    /// Starts again from what is on disk, after which the store writes again.
    ///
    /// Whatever the caller holds in memory of this store must be thrown away with it: a write that failed may or may
    /// not be on disk.
    ///
    /// # Errors
    ///
    /// As for [`Store::open`]; the store refuses everything then until a later reload succeeds.
    pub fn reload(&mut self) -> Result<(), OpenError> {
        let mut slot = self.shared.slot();
        let old = slot.take();
        let fresh = match &self.place {
            Place::Memory => connection::adopt_writer(old.ok_or(StoreError::Closed)?, &self.options)?,
            Place::File { path, .. } => {
                // Closed before the new one opens, so that nothing of the old page cache is believed.
                drop(old);
                connection::open_writer(path, &self.options)?
            }
        };
        *slot = Some(fresh);
        drop(slot);
        self.is_poisoned = false;
        self.extracted = None;
        Ok(())
    }

    /// A reader beside this writer: cheap to clone, usable from any thread.
    ///
    /// Readers of a file have connections of their own and never wait for the writer; readers of a store in memory take
    /// turns with it.
    pub fn reader(&self) -> Reader {
        match &self.place {
            Place::Memory => Reader::of_memory(self.shared.clone()),
            Place::File { path, .. } => Reader::of_file(path.clone()),
        }
    }

    /// The file, with every link on the way to it followed; `None` for a store in memory.
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Memory => None,
            Place::File { path, .. } => Some(path),
        }
    }

    /// Whether its WAL held anything when it was opened: it was not closed, or somebody was reading then.
    pub fn had_wal(&self) -> bool {
        self.had_wal
    }

    /// When a commit of this store counts as done.
    pub fn synchronous(&self) -> Synchronous {
        self.options.synchronous
    }

    /// Whether an earlier failure keeps the store from writing until it is reloaded (D10).
    pub fn is_poisoned(&self) -> bool {
        self.is_poisoned
    }

    /// Lets faults strike in writes, for the simulator and the crash tests.
    #[doc(hidden)]
    pub fn inject(&mut self, hook: FaultHook) {
        self.faults.hook = Some(hook);
    }

    /// Tells what is synced and what is not, for tests of what a power failure leaves.
    #[doc(hidden)]
    pub fn watch_syncs(&mut self, watch: SyncHook) {
        self.faults.syncs = Some(watch);
    }

    /// Lets a test break what this store guards, past all guards: to show that its checks can fail.
    #[doc(hidden)]
    pub fn tamper(&mut self, damage: impl FnOnce(&mut Connection)) {
        if let Some(connection) = self.shared.slot().as_mut() {
            damage(connection);
        }
    }

    /// Runs one transaction and commits it. Whatever fails, nothing of it remains, and a failure of the storage or a
    /// panic poisons the store.
    pub(crate) fn write<T, E: From<StoreError>>(
        &mut self,
        work: impl FnOnce(&mut WriteTransaction<'_>) -> Result<T, E>,
    ) -> Result<Durable<T>, E> {
        self.transact(Kind::Needed, work, |transaction, value| Durable::commit(transaction, value))
    }

    /// Runs one transaction of something that costs nobody anything when it is not done. Where the storage fails and the
    /// rollback undoes it for certain, as on a full disk, the store goes on: what somebody asks for may still fit.
    pub(crate) fn write_optional<T, E: From<StoreError>>(
        &mut self,
        work: impl FnOnce(&mut WriteTransaction<'_>) -> Result<T, E>,
    ) -> Result<Durable<T>, E> {
        self.transact(Kind::Optional, work, |transaction, value| Durable::commit(transaction, value))
    }

    /// Runs one such transaction whose commit is not synced; see [`Store::write_unsynced`].
    pub(crate) fn write_optional_unsynced<T, E: From<StoreError>>(
        &mut self,
        work: impl FnOnce(&mut WriteTransaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.unsynced(Kind::Optional, work)
    }

    /// Runs one transaction whose commit is not synced: the next synced one takes it along.
    ///
    /// A power failure before that takes it back, with every other such transaction after it. So what it says has to
    /// follow from what was synced before it, and it stores no bytes of a change. Nothing of it is [`Durable`].
    pub(crate) fn write_unsynced<T, E: From<StoreError>>(
        &mut self,
        work: impl FnOnce(&mut WriteTransaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.unsynced(Kind::Needed, work)
    }

    fn unsynced<T, E: From<StoreError>>(
        &mut self,
        kind: Kind,
        work: impl FnOnce(&mut WriteTransaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.sync_commits(Synchronous::Normal)?;
        let result = self.transact(kind, work, |transaction, value| {
            transaction.finish_unsynced()?;
            Ok(value)
        });
        self.sync_commits(self.options.synchronous)?;
        result
    }

    /// Reads what is committed, as something that may be sent: refused once the store is poisoned, since what a failed
    /// commit left readable need not be on disk.
    pub(crate) fn read_durable<T, E: From<StoreError>>(
        &mut self,
        work: impl FnOnce(&mut WriteTransaction<'_>) -> Result<T, E>,
    ) -> Result<Durable<T>, E> {
        self.transact(Kind::ReadOnly, work, |transaction, value| Durable::commit(transaction, value))
    }

    /// Runs a query on the writer's connection.
    pub(crate) fn read<T>(&self, query: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.shared.read(query)
    }

    fn transact<T, U, E: From<StoreError>>(
        &mut self,
        kind: Kind,
        work: impl FnOnce(&mut WriteTransaction<'_>) -> Result<T, E>,
        commit: impl for<'t> FnOnce(&mut WriteTransaction<'t>, T) -> Result<U, StoreError>,
    ) -> Result<U, E> {
        // Set until the end has been reached, so that a panic counts as a failure too.
        if mem::replace(&mut self.is_poisoned, true) {
            return Err(StoreError::Poisoned.into());
        }
        let mut slot = self.shared.slot();
        let connection = slot.as_mut().ok_or(StoreError::Closed)?;
        let mut transaction = WriteTransaction::begin(connection, &mut self.faults, kind.behavior())?;
        let result = work(&mut transaction).and_then(|value| Ok(commit(&mut transaction, value)?));
        let failure = transaction.failure();
        drop(transaction);
        self.is_poisoned = match failure {
            None => false,
            Some(Failure::Undone) => kind != Kind::Optional || !connection.is_autocommit(),
            Some(Failure::InDoubt) => true,
        };
        result
    }

    /// Keeps the store from writing until it is reloaded.
    pub(crate) fn poison(&mut self) {
        self.is_poisoned = true;
    }

    /// Says how the commits from now on are synced. The connection of a failed store stays as it is: a reload opens a
    /// new one.
    fn sync_commits(&mut self, synchronous: Synchronous) -> Result<(), StoreError> {
        if self.is_poisoned || self.options.synchronous == Synchronous::Normal {
            return Ok(());
        }
        let mut slot = self.shared.slot();
        let connection = slot.as_mut().ok_or(StoreError::Closed)?;
        if synchronous == Synchronous::Normal {
            self.faults.tell(SyncMoment::BeforeUnsynced(connection));
        }
        let result = connection::set_synchronous(connection, synchronous);
        self.is_poisoned = result.is_err();
        result
    }

    fn new(connection: Connection, place: Place, options: &OpenOptions) -> Self {
        Self {
            shared: SharedConnection::new(connection),
            place,
            options: options.clone(),
            is_poisoned: false,
            had_wal: false,
            faults: Faults::default(),
            extracted: None,
        }
    }
}
