//! The log in one SQLite file: WAL, `synchronous=FULL`, one transaction for every answer.

mod account;
mod append;
mod archive;
mod chain;
mod copy;
mod decay;
mod floor;
mod foreign;
mod heads;
mod health;
mod identity;
mod page;
mod positions;
mod purge;
mod reach;
mod read;
mod reader;
mod room;
mod row;
mod run;
mod schema;
mod transaction;
mod verify;

pub use account::EndedAccess;
pub use archive::{DiskUse, Keeper, Prepared, Settled, SnapshotFault, Task, WholeTasks, Work, WorkFault};
pub use copy::LogFigures;
pub(crate) use copy::{bytes_to_copy, check_copy, copy_file, figures_of, fold};
pub(crate) use floor::{Space, space_at};
pub use purge::{PurgeError, PurgedSpace, PurgedUser};
pub use reach::InTheWay;
pub use schema::OpenLogError;
pub(crate) use schema::older_version;
pub use transaction::{Fault, FaultPoint};
pub use verify::{Damage, LogProblem, Verified, VerifyError, verify};

pub(super) use account::DEFAULT_USER;

use super::{
    Appended, Authentication, Ended, Log, LogError, NamesLeft, Principal, Quotas, SeenDevice, SessionNotes,
    SignedClaims, Standing, TokenHash,
};
use afield_core::session::{AppendRequest, OpenAnswer, OpenRequest, PageAnswer, PageRequest, ReadAnswer, ReadRequest};
use afield_core::{ChangeHash, Commit, DeviceId, Durable, EntityId, LogId, Now, Sequence, SpaceId};
use archive::{Cache, Tasks};
use decay::Decayed;
use floor::Floor;
use foreign::Foreign;
pub(crate) use health::{LogHealth, MoreHealth, health};
pub(crate) use identity::FileIdentity;
use rusqlite::backup::Backup;
use rusqlite::{Connection, MAIN_DB};
use std::path::{Path, PathBuf};
use std::time::Duration;
use transaction::{Faults, Purpose, SqliteTransaction};

/// How many pages a copy takes per step: all, for nothing else uses the log meanwhile.
const PAGES_PER_STEP: i32 = i32::MAX;

/// A log in one SQLite file.
///
/// One value owns the file's appends; other processes may administer tokens beside it.
#[derive(Debug)]
pub struct SqliteLog {
    connection: Connection,
    path: Option<PathBuf>,
    /// The file that is open.
    identity: Option<FileIdentity>,
    /// [`schema::open_file_again`], but for a test of what does not open.
    reopen: fn(&Path) -> Result<Connection, OpenLogError>,
    quotas: Quotas,
    floor: Floor,
    faults: Faults,
    decayed: Decayed,
    cache: Cache,
    tasks: Tasks,
    /// How often this value changed what [`Log::foreign_version`] speaks about.
    administered: u64,
    foreign: Foreign,
    /// The storage failed: the file is opened again before it is used again, so that nothing half known is trusted.
    failed: bool,
}

impl SqliteLog {
    /// Opens the log in this file, creating it where it is not there.
    ///
    /// # Errors
    ///
    /// The file is foreign, damaged, read-only, newer than this program or out of reach.
    pub fn open(path: &Path) -> Result<Self, OpenLogError> {
        Ok(Self::of(schema::open_file(path)?, Some(path.to_owned())))
    }

    /// Opens an empty log that lives in memory.
    ///
    /// # Errors
    ///
    /// The SQLite library is too old or failed.
    pub fn open_in_memory() -> Result<Self, OpenLogError> {
        Self::from_connection(Connection::open_in_memory()?)
    }

    /// Opens the log behind a connection, as after a crash that left the file alone.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn from_connection(connection: Connection) -> Result<Self, OpenLogError> {
        Ok(Self::of(schema::prepare(connection)?, None))
    }

    /// Gives up the log but not its storage. Whatever was not committed is gone.
    pub fn into_connection(self) -> Connection {
        self.connection
    }

    /// Sets how much spaces and users may hold.
    #[must_use]
    pub fn with_quotas(mut self, quotas: Quotas) -> Self {
        self.quotas = quotas;
        self
    }

    /// Sets how much of the disk has to be free for anything to be appended, in percent; nothing unless it is set.
    #[must_use]
    pub fn with_disk_free_min_percent(mut self, percent: u8) -> Self {
        self.floor = Floor::of(percent);
        self
    }

    /// Copies the whole log as the bytes of a database file.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn snapshot(&mut self) -> Result<Vec<u8>, LogError> {
        let mut copy = Connection::open_in_memory()?;
        Backup::new(&self.connection, &mut copy)?.run_to_completion(PAGES_PER_STEP, Duration::ZERO, None)?;
        let mut bytes = copy.serialize(MAIN_DB)?.to_vec();
        // The two version numbers of SQLite's file header ("1 for legacy; 2 for WAL"): a database in memory has no WAL.
        bytes.iter_mut().skip(18).take(2).for_each(|version| *version = 1);
        Ok(bytes)
    }

    /// Replaces the whole log by a [`Self::snapshot`].
    ///
    /// # Errors
    ///
    /// The bytes are not a snapshot of a log, or the storage failed.
    pub fn restore(&mut self, snapshot: &[u8]) -> Result<(), OpenLogError> {
        let mut copy = Connection::open_in_memory()?;
        copy.deserialize_read_exact(MAIN_DB, snapshot, snapshot.len(), false)?;
        let copy = schema::prepare(copy)?;
        account::take_sessions_out(&copy)?;
        Backup::new(&copy, &mut self.connection)?.run_to_completion(PAGES_PER_STEP, Duration::ZERO, None)?;
        self.decayed = Decayed::default();
        self.tasks = Tasks::default();
        self.administered += 1;
        self.foreign.forget();
        Ok(())
    }

    /// How many transactions that may write were committed: one per group of pushes, whatever their number.
    pub fn write_transactions(&self) -> u64 {
        self.faults.write_transactions
    }

    /// Calls `hook` around every commit that writes, and does as it says.
    #[doc(hidden)]
    pub fn inject_faults(&mut self, hook: impl FnMut(FaultPoint) -> Option<Fault> + Send + 'static) {
        self.faults.hook = Some(Box::new(hook));
    }

    /// The connection, for tests that damage or fill what is behind it.
    #[cfg(test)]
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    fn of(connection: Connection, path: Option<PathBuf>) -> Self {
        let identity = path.as_deref().and_then(FileIdentity::of);
        Self {
            connection,
            path,
            identity,
            reopen: schema::open_file_again,
            quotas: Quotas::DEFAULT,
            floor: Floor::of(0),
            faults: Faults::default(),
            decayed: Decayed::default(),
            cache: Cache::default(),
            tasks: Tasks::default(),
            administered: 0,
            foreign: Foreign::default(),
            failed: false,
        }
    }

    fn begin(&mut self, purpose: Purpose) -> Result<SqliteTransaction<'_>, LogError> {
        if let Purpose::Write = purpose {
            self.give_up_replaced_file();
        }
        if self.failed
            && let Some(path) = self.path.clone()
        {
            match self.open_again(&path) {
                // The disk takes nothing any more: what was open before still reads what it read.
                Err(LogError::Reopen(error)) if self.is_read_only(&path, &error) => match purpose {
                    Purpose::Read => {}
                    Purpose::Write => return Err(LogError::ReadOnly(room::read_only())),
                },
                opened => opened?,
            }
        }
        SqliteTransaction::begin(&mut self.connection, &mut self.faults, purpose)
    }

    fn is_read_only(&self, path: &Path, error: &OpenLogError) -> bool {
        matches!(error, OpenLogError::ReadOnly) && FileIdentity::of(path) == self.identity
    }

    fn open_again(&mut self, path: &Path) -> Result<(), LogError> {
        let identity = FileIdentity::of(path);
        if identity != self.identity {
            // Closed before another file is opened: both would use the WAL of that path, and closing one drops the locks of
            // both.
            self.connection = Connection::open_in_memory()?;
            self.identity = None;
        }
        self.connection = (self.reopen)(path).map_err(|error| LogError::Reopen(Box::new(error)))?;
        self.identity = identity;
        self.failed = false;
        self.decayed = Decayed::default();
        self.tasks = Tasks::default();
        self.administered += 1;
        self.foreign.forget();
        Ok(())
    }

    /// Gives up a file that another was put in the place of, or that is gone: what is appended to it nobody would ever read.
    fn give_up_replaced_file(&mut self) {
        if let Some(path) = &self.path
            && !self.failed
            && FileIdentity::of(path) != self.identity
        {
            tracing::error!(path = %path.display(), "the log's file was replaced or is gone: what is there now is opened");
            self.failed = true;
        }
    }

    /// Commits something that concerns nobody: that takes the lock, room in the WAL and a sync, as an append does. It has to change a row,
    /// since SQLite writes no page for one that is set to what it was, and such a commit succeeds on a full disk, too.
    fn try_to_write(&mut self, now: Now) -> Result<(), LogError> {
        if self.is_below_floor(now) {
            return Err(LogError::Reserved);
        }
        let mut transaction = self.begin(Purpose::Write)?;
        foreign::note_upkeep(&transaction)?;
        transaction.commit()?;
        drop(transaction);
        self.foreign.kept_up();
        Ok(())
    }

    fn is_below_floor(&mut self, now: Now) -> bool {
        self.path.as_deref().is_some_and(|path| self.floor.is_reached(path, now))
    }

    fn watched<T>(&mut self, result: Result<T, LogError>) -> Result<T, LogError> {
        let result = result.map_err(|error| room::explained(error, self.path.as_deref()));
        result.inspect_err(|error| self.note_failure(error))
    }

    fn note_failure(&mut self, error: &LogError) {
        self.failed |= matches!(error, LogError::Storage(_));
    }
}

impl Log for SqliteLog {
    fn authenticate(&mut self, token: &TokenHash, device: DeviceId, now: Now) -> Result<Authentication, LogError> {
        let found =
            self.begin(Purpose::Read).and_then(|transaction| account::authenticate(&transaction, token, device, now));
        self.watched(found)
    }

    fn authenticate_signed(
        &mut self,
        token: &TokenHash,
        claims: &SignedClaims,
        device: DeviceId,
        now: Now,
    ) -> Result<Authentication, LogError> {
        let result = self.take_signed(token, claims, device, now);
        self.watched(result)
    }

    fn standing(&mut self, principal: Principal, spaces_max: usize, now: Now) -> Result<Option<Standing>, LogError> {
        let result = self
            .begin(Purpose::Read)
            .and_then(|transaction| account::standing(&transaction, principal, spaces_max, now));
        self.watched(result)
    }

    fn ended(&mut self, principal: Principal, now: Now) -> Result<Option<Ended>, LogError> {
        let result = self.begin(Purpose::Read).and_then(|transaction| account::ended(&transaction, principal, now));
        self.watched(result)
    }

    fn note_roster(&mut self, seen: &[SeenDevice], sessions: &SessionNotes) -> Result<(), LogError> {
        let result = self.write_roster(seen, sessions);
        self.watched(result)
    }

    fn open(
        &mut self,
        principal: Principal,
        request: &OpenRequest,
        fresh: LogId,
        now: Now,
    ) -> Result<Durable<OpenAnswer>, LogError> {
        let result = self.open_space(principal, request, fresh, now);
        self.watched(result)
    }

    fn append(&mut self, requests: Vec<(Principal, AppendRequest)>, now: Now) -> Result<Durable<Appended>, LogError> {
        let result = self.append_batch(&requests, now);
        self.watched(result)
    }

    fn read(&mut self, principal: Principal, request: &ReadRequest, now: Now) -> Result<Durable<ReadAnswer>, LogError> {
        let result = self.read_run(principal, request, now);
        self.watched(result)
    }

    fn page(&mut self, principal: Principal, request: &PageRequest, now: Now) -> Result<Durable<PageAnswer>, LogError> {
        let result = self.read_page(principal, request, now);
        self.watched(result)
    }

    fn change_at(
        &mut self,
        principal: Principal,
        space: SpaceId,
        sequence: Sequence,
        left: &mut NamesLeft,
        now: Now,
    ) -> Result<Option<(EntityId, ChangeHash)>, LogError> {
        let result = self.read_change_at(principal, (space, sequence), left, now);
        self.watched(result)
    }

    fn check_writable(&mut self, now: Now) -> Result<(), LogError> {
        let result = self.try_to_write(now);
        self.watched(result)
    }

    fn next_task(&mut self) -> Result<Option<Task>, LogError> {
        let result = self.next_due();
        self.watched(result)
    }

    fn gather(&mut self, task: Task) -> Result<Option<Work>, LogError> {
        let result = self.gather_work(task);
        self.watched(result)
    }

    fn settle(&mut self, prepared: Prepared) -> Result<Durable<Settled>, LogError> {
        let result = self.settle_work(prepared);
        self.watched(result)
    }

    fn foreign_version(&mut self) -> Result<u64, LogError> {
        self.give_up_replaced_file();
        if self.failed {
            drop(self.begin(Purpose::Read)?);
        }
        let others = self.foreign_changes()?;
        Ok(self.administered.saturating_add(others))
    }
}

#[cfg(test)]
mod tests;
