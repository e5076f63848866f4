//! How a connection is opened and configured.

use crate::error::{OpenError, StoreError};
use crate::options::{OpenOptions, Synchronous};
use crate::schema::{self, SchemaVersion};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The oldest SQLite that is accepted, as SQLite numbers its versions: older ones can corrupt a WAL when a checkpoint
/// and a reset of the WAL coincide.
pub const SQLITE_VERSION_MIN: i32 = 3_051_003;

/// The version of the SQLite that this program was built with.
///
/// ```
/// assert!(afield_store::sqlite_version().starts_with("3."));
/// ```
pub fn sqlite_version() -> &'static str {
    rusqlite::version()
}

/// How many prepared statements a connection keeps: all of this crate's.
const STATEMENTS_MAX: usize = 96;

/// How long SQLite waits for another process's lock, in milliseconds. In WAL mode only recovery and the checkpoint of a
/// last closing connection make anybody wait.
const BUSY_TIMEOUT_MS: u64 = 5_000;

/// A connection that the store and, where the database is in memory, its readers share. Taken out, it leaves `None`.
#[derive(Debug, Clone)]
pub(crate) struct SharedConnection(Arc<Mutex<Option<Connection>>>);

impl SharedConnection {
    pub(crate) fn new(connection: Connection) -> Self {
        Self(Arc::new(Mutex::new(Some(connection))))
    }

    /// The slot. A panic of another thread left no transaction open: dropping one rolls it back.
    pub(crate) fn slot(&self) -> MutexGuard<'_, Option<Connection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a query on it.
    pub(crate) fn read<T>(&self, query: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        query(self.slot().as_ref().ok_or(StoreError::Closed)?)
    }
}

/// Opens a file for writing, makes it a store if it is empty, and brings it to the newest schema.
pub(crate) fn open_writer(path: &Path, options: &OpenOptions) -> Result<Connection, OpenError> {
    check_sqlite()?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    configure(&connection)?;
    // Nothing is written, not even the journal mode, before the file is known to be ours.
    schema::version(&connection)?;
    if connection.is_readonly("main")? {
        return Err(OpenError::ReadOnly);
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    set_synchronous(&connection, options.synchronous)?;
    // After a large transaction the WAL shrinks to this many bytes again.
    connection.pragma_update(None, "journal_size_limit", 16 * 1024 * 1024)?;
    schema::migrate(&mut connection)?;
    Ok(connection)
}

/// Prepares a connection that somebody else opened, which in practice is one in memory.
pub(crate) fn adopt_writer(mut connection: Connection, options: &OpenOptions) -> Result<Connection, OpenError> {
    check_sqlite()?;
    if !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    configure(&connection)?;
    schema::version(&connection)?;
    set_synchronous(&connection, options.synchronous)?;
    schema::migrate(&mut connection)?;
    Ok(connection)
}

/// Opens a file for reading beside whoever writes it.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, OpenError> {
    check_sqlite()?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    configure(&connection)?;
    connection.pragma_update(None, "query_only", true)?;
    // Readers are several, and what they read in turn is mostly not what they read before: 4 MiB each.
    connection.pragma_update(None, "cache_size", -4 * 1024)?;
    let (found, known) = (schema::version(&connection)?, SchemaVersion::NEWEST);
    if found < known {
        return Err(OpenError::Older { found, known });
    }
    Ok(connection)
}

fn check_sqlite() -> Result<(), OpenError> {
    let found = rusqlite::version_number();
    if found < SQLITE_VERSION_MIN {
        return Err(OpenError::SqliteTooOld { found, needed: SQLITE_VERSION_MIN });
    }
    Ok(())
}

fn configure(connection: &Connection) -> Result<(), OpenError> {
    connection.busy_timeout(Duration::from_millis(BUSY_TIMEOUT_MS))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // Without this promise SQLite compiles a prepared statement anew whenever a value is bound that could change its
    // plan, which made opening an entity three times as slow.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // A failing disk under a memory map is a signal that kills the process; a failing read is an error.
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // A damaged page is noticed when it is read rather than when it is used.
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // What is deleted is overwritten, always: what a purge takes away may have stood elsewhere in the file before.
    connection.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    // 16 MiB, negative because SQLite counts pages otherwise: the hash index of some 300,000 changes.
    connection.pragma_update(None, "cache_size", -16 * 1024)?;
    Ok(())
}

/// Says how the commits from now on are synced; not within a transaction.
pub(crate) fn set_synchronous(connection: &Connection, synchronous: Synchronous) -> Result<(), StoreError> {
    let level = match synchronous {
        Synchronous::Full => "FULL",
        Synchronous::Normal => "NORMAL",
    };
    Ok(connection.pragma_update(None, "synchronous", level)?)
}

/// Whether the commits from now on are synced, by SQLite's own word.
pub(crate) fn is_synchronous(connection: &Connection) -> Result<bool, StoreError> {
    const FULL: i64 = 2;
    Ok(connection.pragma_query_value(None, "synchronous", |row| row.get::<_, i64>(0))? >= FULL)
}
