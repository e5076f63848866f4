//! The file: its identity, its versions and the way from one to the next.

use super::heads;
use super::reach::{self, InTheWay};
use afield_core::SpaceId;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags};
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The mark of this kind of file in SQLite's header: `AfRl`.
const APPLICATION_ID: i32 = 0x4166_526c;
/// The oldest SQLite that may be used: earlier ones could corrupt a WAL file when two processes checkpoint it at once
/// (release notes of SQLite 3.51.3).
const SQLITE_VERSION_MIN: i32 = 3_051_003;
/// How long a statement waits for another process (a `token` command beside the server), in milliseconds.
const BUSY_TIMEOUT_MS: u64 = 5_000;
/// How many prepared statements are kept: more than this crate has.
const STATEMENTS_MAX: usize = 64;
/// How much of the file is kept in memory, in KiB: the indexes of some million chunks, whose inner pages and ends every append
/// touches in no order.
const CACHE_KIB: i64 = 64 * 1024;
/// How much of the file a reader beside the log keeps in memory, in KiB.
const READER_CACHE_KIB: i64 = 4 * 1024;
/// How large the WAL file may stay after a checkpoint, in bytes.
const WAL_BYTES_KEPT_MAX: i64 = 16 << 20;

/// The way from each version to the next, oldest first. A released step is never edited.
const MIGRATIONS: &[&str] = &[
    concat!(include_str!("schema_1.sql"), include_str!("schema_1/erasures.sql")),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
    include_str!("schema_5.sql"),
    include_str!("schema_6.sql"),
];

/// How a backup is put in place. By hand it is easily done wrong: SQLite would replay the newer WAL of the file that was there over it.
const RESTORE: &str = "with the relay stopped, `restore FILE --replace` puts a backup in its place (by hand, delete the files beside it that end in -wal and -shm first); devices will repair what it lacks";

/// Why a log could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenLogError {
    /// The SQLite library is too old to be trusted with a WAL file.
    #[error("SQLite {found} is too old: {needed} or newer is needed", found = version(*found), needed = version(SQLITE_VERSION_MIN))]
    SqliteTooOld {
        /// Its version, as SQLite numbers it.
        found: i32,
    },
    /// The file is a database of something else.
    #[error("the file is not a relay's log: it belongs to another application")]
    Foreign,
    /// The file was written by a newer version of this program.
    #[error("the log has version {found}, and this program knows versions up to {supported}: use a newer afield-relay")]
    Newer {
        /// The version of the file.
        found: i64,
        /// The newest version that this program knows.
        supported: i64,
    },
    /// The file was written by an older version of this program, and is not to be changed.
    #[error(
        "the log has version {found}, and this program makes version {supported}: stop an older relay that runs on it; then any other command brings it there"
    )]
    Older {
        /// The version of the file.
        found: i64,
        /// The version that this program makes.
        supported: i64,
    },
    /// The file was written by an older version of this program, which runs on it: it would not know what this one makes of it.
    #[error(
        "the log has version {found}, this program makes version {supported}, and a relay runs on it: stop it, or start it again with this version"
    )]
    BesideRelay {
        /// The version of the file.
        found: i64,
        /// The version that this program makes.
        supported: i64,
    },
    /// The file was written by an older version of this program, and nobody can be kept out while it is changed.
    #[error("the data folder cannot be locked, which bringing the log to a newer version takes")]
    Lock(#[source] io::Error),
    /// The file is damaged, or not a database.
    #[error("the log's file is damaged or not a database: {RESTORE}")]
    Damaged(#[source] rusqlite::Error),
    /// A space ends elsewhere than its rows do: parts of the file are older than others.
    #[error(
        "the log's file contradicts itself (space {space} ends elsewhere than its rows do), as where a backup stands beside what belongs to another file: {RESTORE}"
    )]
    Contradiction {
        /// The space.
        space: SpaceId,
    },
    /// The pages of the file do not belong together.
    #[error(
        "the log's file does not belong to the WAL beside it, as where a backup was put in its place, or is damaged: {RESTORE}"
    )]
    Torn,
    /// The file has been emptied since it was opened first.
    #[error("the log's file is empty, although it was a log before: see whether its volume is mounted")]
    Empty,
    /// The file may not be written.
    #[error("the log's file is read-only")]
    ReadOnly,
    /// The disk has no room left.
    #[error("the disk that holds the log is full")]
    Full(#[source] rusqlite::Error),
    /// The log could not be opened, or not be written.
    #[error("the log {} could not be opened: {why}", file.display())]
    NotOpened {
        /// Its file.
        file: PathBuf,
        /// What is in the way.
        why: InTheWay,
    },
    /// A file could not be opened.
    #[error("the log's file could not be opened")]
    Unreachable(#[source] rusqlite::Error),
    /// What was committed last could not be synced.
    #[error("the log's WAL file could not be synced to the disk")]
    Sync(#[source] io::Error),
    /// The storage failed in another way.
    #[error("the log's storage failed")]
    Storage(#[source] rusqlite::Error),
}

impl From<rusqlite::Error> for OpenLogError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(error),
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            Some(ErrorCode::DiskFull) => Self::Full(error),
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => Self::Unreachable(error),
            _ => Self::Storage(error),
        }
    }
}

/// Opens the file, creating it where it is not there.
pub(super) fn open_file(path: &Path) -> Result<Connection, OpenLogError> {
    open_file_with(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)
}

/// Opens a file that was a log a moment ago. Where it is gone, or nothing is in it, nothing is made in its place: what is
/// mounted there may have gone away, and to an empty log every device would be a stranger.
pub(super) fn open_file_again(path: &Path) -> Result<Connection, OpenLogError> {
    if std::fs::metadata(path).is_ok_and(|file| file.len() == 0) {
        return Err(OpenLogError::Empty);
    }
    open_file_with(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
}

fn open_file_with(path: &Path, access: OpenFlags) -> Result<Connection, OpenLogError> {
    open_whole(path, access).map_err(|error| reach::explained(path, error))
}

fn open_whole(path: &Path, access: OpenFlags) -> Result<Connection, OpenLogError> {
    let has_wal = std::fs::metadata(wal_of(path)).is_ok_and(|wal| wal.len() > 0);
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    if connection.is_readonly(MAIN_DB)? {
        return Err(OpenLogError::ReadOnly);
    }
    // Until it is clear that file and WAL belong together, nothing of the WAL goes into the file: not even when it is closed.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let mut connection = prepare(connection)?;
    if has_wal {
        heads::check_pages(&connection)?;
    }
    heads::check(&mut connection)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    sync_wal(&connection)?;
    Ok(connection)
}

/// Opens the file of a log that is open, for reading beside it.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(Duration::from_millis(BUSY_TIMEOUT_MS))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    Ok(connection)
}

/// Runs a statement that is to wait for nobody else.
pub(super) fn without_waiting<T>(
    connection: &Connection,
    run: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    connection.busy_timeout(Duration::ZERO)?;
    let answer = run(connection);
    connection.busy_timeout(Duration::from_millis(BUSY_TIMEOUT_MS))?;
    answer
}

/// The WAL of a database file.
pub(super) fn wal_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// Brings what a crash left in the WAL to the disk. SQLite takes it from the system's memory as committed, although it may
/// never have been synced; answers name it as durable from here on (R1).
fn sync_wal(connection: &Connection) -> Result<(), OpenLogError> {
    let checkpoint = without_waiting(connection, |connection| {
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0))
    });
    if checkpoint == Ok(false) {
        return Ok(());
    }
    // Somebody reads it, or the disk is full: the WAL stays, and is synced where it is.
    let wal = connection.path().map(|path| wal_of(Path::new(path)));
    let synced = wal.map_or(Ok(()), |wal| OpenOptions::new().write(true).open(wal).and_then(|wal| wal.sync_all()));
    match synced {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(OpenLogError::Sync(error)),
        _ => Ok(()),
    }
}

/// Checks a connection's database and brings it to the current version.
pub(super) fn prepare(mut connection: Connection) -> Result<Connection, OpenLogError> {
    let found = rusqlite::version_number();
    if found < SQLITE_VERSION_MIN {
        return Err(OpenLogError::SqliteTooOld { found });
    }
    connection.busy_timeout(Duration::from_millis(BUSY_TIMEOUT_MS))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // Without this promise SQLite compiles a prepared statement anew whenever a value is bound that could change its
    // plan: an eighth of the work on a live edit.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    let supported = supported();
    // Nothing is changed before it is clear that the file is ours: not even its journal mode.
    let found = identify(&connection)?;
    if found > supported {
        return Err(OpenLogError::Newer { found, supported });
    }
    if found == 0 {
        // Pages that come free go back to the file system step by step; it can be chosen for an empty file only.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    // WAL with FULL: a commit returns after the WAL was synced (invariant R1).
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT_MAX)?;
    // What is deleted is overwritten, always: what a purge takes away may have stood elsewhere before it was packed.
    connection.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    // A flipped bit in a record must not make SQLite read beyond it.
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // A failing disk under a memory map is a signal that kills the process; a failing read is an error.
    connection.pragma_update(None, "mmap_size", 0)?;
    // What a statement sorts stays off the disk, which may be full while reads go on.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    migrate(&mut connection)?;
    Ok(connection)
}

/// The version of the log in a file, and the one that this program makes, where it is an older one and has to be brought there.
///
/// # Errors
///
/// There is something that cannot be read, so that nobody knows which version it has.
pub(crate) fn older_version(path: &Path) -> Result<Option<(i64, i64)>, OpenLogError> {
    if matches!(path.try_exists(), Ok(false)) {
        return Ok(None);
    }
    let mut connection = open_to_read(path)?;
    // What is asked for belongs together also where somebody makes the log just now.
    let moment = connection.transaction()?;
    let found = identify(&moment)?;
    Ok((1..supported()).contains(&found).then(|| (found, supported())))
}

/// The newest version that this program knows.
pub(super) fn supported() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// The version of the file: 0 when it is empty.
pub(super) fn identify(connection: &Connection) -> Result<i64, OpenLogError> {
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let objects: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (application, version, objects) {
        (APPLICATION_ID, version, _) if version > 0 => Ok(version),
        (0, 0, 0) => Ok(0),
        _ => Err(OpenLogError::Foreign),
    }
}

fn migrate(connection: &mut Connection) -> Result<(), OpenLogError> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    // Read again under the lock: another process may have been first.
    let found = identify(&transaction)?;
    let done = usize::try_from(found).unwrap_or(0);
    for step in MIGRATIONS.iter().skip(done) {
        transaction.execute_batch(step)?;
    }
    if done < MIGRATIONS.len() {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", supported())?;
    }
    Ok(transaction.commit()?)
}

fn version(number: i32) -> String {
    format!("{}.{}.{}", number / 1_000_000, number / 1_000 % 1_000, number % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.sqlite");
        (folder, path)
    }

    #[test]
    fn a_new_file_is_marked_and_syncs_every_commit() {
        let (_folder, path) = file();
        let connection = open_file(&path).unwrap();
        let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(pragma("application_id"), i64::from(APPLICATION_ID));
        assert_eq!(pragma("user_version"), MIGRATIONS.len() as i64);
        assert_eq!(pragma("synchronous"), 2, "FULL (R1)");
        let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
        drop(connection);
        open_file(&path).expect("it opens again");
    }

    #[test]
    fn every_step_of_the_schema_leads_to_the_same_place_as_a_new_file() {
        let schema = |connection: &Connection| -> Vec<String> {
            let mut statement = connection.prepare("SELECT sql FROM sqlite_schema ORDER BY name").unwrap();
            let rows = statement.query_map([], |row| row.get::<_, Option<String>>(0)).unwrap();
            rows.filter_map(Result::unwrap).collect()
        };
        let fresh = prepare(Connection::open_in_memory().unwrap()).unwrap();
        for version in 1..=MIGRATIONS.len() {
            let old = Connection::open_in_memory().unwrap();
            MIGRATIONS[..version].iter().for_each(|step| old.execute_batch(step).unwrap());
            old.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
            old.pragma_update(None, "user_version", version as i64).unwrap();
            assert_eq!(schema(&prepare(old).unwrap()), schema(&fresh));
        }
        assert!(!schema(&fresh).is_empty());
    }

    #[test]
    fn of_many_who_open_an_older_log_at_once_one_brings_it_to_this_version_and_all_open_it() {
        const OPENERS: usize = 8;
        for _ in 0..5 {
            let (_folder, path) = file();
            let old = Connection::open(&path).unwrap();
            old.execute_batch(MIGRATIONS[0]).unwrap();
            old.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
            old.pragma_update(None, "user_version", 1).unwrap();
            drop(old);
            let start = std::sync::Barrier::new(OPENERS);
            let versions = std::thread::scope(|scope| {
                let openers: Vec<_> = (0..OPENERS)
                    .map(|_| {
                        scope.spawn(|| {
                            start.wait();
                            identify(&open_file(&path).unwrap()).unwrap()
                        })
                    })
                    .collect();
                openers.into_iter().map(|opener| opener.join().unwrap()).collect::<Vec<_>>()
            });
            assert_eq!(versions, [supported(); OPENERS]);
        }
    }

    #[test]
    fn a_foreign_a_newer_and_a_damaged_file_are_told_apart_and_left_alone() {
        let (_folder, path) = file();
        let write = |sql: &str| Connection::open(&path).unwrap().execute_batch(sql).unwrap();

        write("CREATE TABLE theirs (x)");
        let before = std::fs::read(&path).unwrap();
        assert!(matches!(open_file(&path), Err(OpenLogError::Foreign)));
        assert_eq!(std::fs::read(&path).unwrap(), before);

        std::fs::remove_file(&path).unwrap();
        drop(open_file(&path).unwrap());
        write("PRAGMA user_version = 999");
        assert!(matches!(open_file(&path), Err(OpenLogError::Newer { found: 999, supported: 6 })));
        write("PRAGMA user_version = 6");
        open_file(&path).expect("the control: only the version was wrong");

        std::fs::write(&path, [7; 4096]).unwrap();
        assert!(matches!(open_file(&path), Err(OpenLogError::Damaged(_))));
    }

    #[test]
    fn a_read_only_file_and_one_out_of_reach_are_told_apart() {
        let (folder, path) = file();
        drop(open_file(&path).unwrap());
        let read_only = open_file_with(&path, OpenFlags::SQLITE_OPEN_READ_ONLY);
        assert!(matches!(read_only, Err(OpenLogError::ReadOnly)));
        let nowhere = open_file(&folder.path().join("no such folder/log.sqlite"));
        assert!(matches!(nowhere, Err(OpenLogError::NotOpened { why: InTheWay::NoFolder { .. }, .. })));
        let taken = folder.path().join("taken");
        std::fs::create_dir(&taken).unwrap();
        assert!(matches!(open_file(&taken), Err(OpenLogError::NotOpened { why: InTheWay::NoFile { .. }, .. })));
        open_file(&path).expect("the control");
    }

    /// The path of the file beside a database that holds what was committed last.
    fn wal(path: &Path) -> std::path::PathBuf {
        path.with_extension("sqlite-wal")
    }

    /// A log of so many actors as a kill leaves it, with the last of them in its WAL.
    fn killed(actors: i64) -> (tempfile::TempDir, std::path::PathBuf) {
        let (_folder, path) = file();
        let connection = open_file(&path).unwrap();
        (1..=actors).for_each(|id| drop(connection.execute("INSERT INTO actors (id) VALUES (?1)", [id.to_le_bytes()])));
        let (folder, copy) = file();
        std::fs::copy(&path, &copy).unwrap();
        std::fs::copy(wal(&path), wal(&copy)).unwrap();
        assert!(std::fs::metadata(wal(&copy)).unwrap().len() > 0);
        (folder, copy)
    }

    fn actors(connection: &Connection) -> i64 {
        connection.query_row("SELECT count(*) FROM actors", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn what_a_crash_left_in_the_wal_is_synced_before_anybody_hears_of_it() {
        let (_folder, path) = killed(3);
        let connection = open_file(&path).unwrap();
        assert_eq!(actors(&connection), 3);
        assert_eq!(std::fs::metadata(wal(&path)).unwrap().len(), 0, "R1: it is in the file, and the file is synced");
    }

    #[test]
    fn a_log_opens_beside_a_process_that_reads_it_all_the_time() {
        let (_folder, path) = killed(3);
        let reader = Connection::open(&path).unwrap();
        reader.execute_batch("BEGIN").unwrap();
        assert_eq!(actors(&reader), 3);
        let since = std::time::Instant::now();
        assert_eq!(actors(&open_file(&path).unwrap()), 3);
        assert!(since.elapsed() < Duration::from_millis(BUSY_TIMEOUT_MS), "and waits for nobody");
    }
}
