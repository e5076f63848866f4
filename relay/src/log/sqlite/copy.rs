//! Copies of a log's file: made beside a relay that appends, and checked before anybody relies on one.

use super::account::take_sessions_out;
use super::heads;
use super::schema::{self, OpenLogError};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// How many pages are copied between two words about how far it is: a megabyte.
const PAGES_PER_STEP: i32 = 256;
/// How long to wait for somebody who is about to write into the copy, which nobody is meant to.
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// What a log holds, in figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogFigures {
    /// The version of its schema.
    pub version: i64,
    /// How large its file is, in bytes.
    pub bytes: u64,
    /// How many spaces it has.
    pub spaces: u64,
    /// How many chunks they hold.
    pub chunks: u64,
    /// How many users it has, the default one among them.
    pub users: u64,
    /// How many tokens it has, revoked ones among them.
    pub tokens: u64,
}

impl LogFigures {
    /// Whether anything would be missed that is not there in a new log.
    pub fn is_empty(&self) -> bool {
        self.spaces == 0 && self.tokens == 0 && self.users <= 1
    }
}

/// How many bytes a copy of a log takes that is made now, with what is in the WAL alone.
///
/// # Errors
///
/// The log could not be read.
pub(crate) fn bytes_to_copy(log: &Path) -> Result<u64, OpenLogError> {
    bytes(&schema::open_to_read(log)?)
}

fn bytes(connection: &Connection) -> Result<u64, OpenLogError> {
    let sql = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
    Ok(connection.query_row(sql, [], |row| row.get::<_, i64>(0).map(i64::cast_unsigned))?)
}

/// Copies a log into an empty file as it is at one moment, while others append to it. Tells how many bytes are done, of how many.
///
/// What is copied is one state from the first page to the last: the reader holds its snapshot, or the copy would begin anew with every
/// commit beside it and never end on a busy relay. The WAL grows meanwhile by what is committed.
///
/// # Errors
///
/// The log could not be read, or the copy could not be written.
pub(crate) fn copy_file(log: &Path, copy: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(), OpenLogError> {
    let source = schema::open_to_read(log)?;
    if schema::identify(&source)? == 0 {
        return Err(OpenLogError::Empty);
    }
    source.execute_batch("BEGIN")?;
    source.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    let page_bytes: u64 = source.pragma_query_value(None, "page_size", |row| row.get(0).map(i64::cast_unsigned))?;
    let mut target = Connection::open_with_flags(copy, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // A copy that is not finished is thrown away, so it needs no journal, and one sync at the end.
    target.pragma_update_and_check(None, "journal_mode", "OFF", |_| Ok(()))?;
    target.pragma_update(None, "synchronous", "OFF")?;
    let backup = Backup::new(&source, &mut target)?;
    loop {
        let step = backup.step(PAGES_PER_STEP)?;
        let pages = |count: i32| u64::try_from(count).unwrap_or(0);
        let (left, all) = (pages(backup.progress().remaining), pages(backup.progress().pagecount));
        progress(all.saturating_sub(left).saturating_mul(page_bytes), all.saturating_mul(page_bytes));
        match step {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            _ => std::thread::sleep(BUSY_PAUSE),
        }
    }
}

/// Checks that a file is a whole log of a version that this program knows, and makes it one file that needs none beside it. The sessions of
/// the relay that ran are taken out of it.
///
/// # Errors
///
/// It is none, or is damaged. A chunk that has decayed in the log has decayed in the copy, too, and costs itself alone.
pub(crate) fn check_copy(path: &Path) -> Result<LogFigures, OpenLogError> {
    let mut connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    match schema::identify(&connection)? {
        0 => return Err(OpenLogError::Foreign),
        found if found > schema::supported() => {
            return Err(OpenLogError::Newer { found, supported: schema::supported() });
        }
        _ => {}
    }
    connection.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
    heads::check_pages(&connection)?;
    heads::check(&mut connection)?;
    take_sessions_out(&connection)?;
    figures(&connection)
}

/// What the log in a file holds, read beside whoever uses it.
///
/// # Errors
///
/// The file is no log, or cannot be read.
pub(crate) fn figures_of(path: &Path) -> Result<LogFigures, OpenLogError> {
    let connection = schema::open_to_read(path)?;
    match schema::identify(&connection)? {
        0 => Ok(LogFigures { version: 0, bytes: 0, spaces: 0, chunks: 0, users: 0, tokens: 0 }),
        _ => figures(&connection),
    }
}

pub(super) fn figures(connection: &Connection) -> Result<LogFigures, OpenLogError> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0).map(i64::cast_unsigned));
    Ok(LogFigures {
        version: connection.pragma_query_value(None, "user_version", |row| row.get(0))?,
        bytes: bytes(connection)?,
        spaces: number("SELECT count(*) FROM spaces")?,
        chunks: number("SELECT coalesce(sum(chunks), 0) FROM spaces")?,
        users: number("SELECT count(*) FROM users")?,
        tokens: number("SELECT count(*) FROM tokens")?,
    })
}

/// Brings the WAL of a log into its file, and keeps everybody else out until the value is dropped: what is in the file then is all
/// of the log.
///
/// # Errors
///
/// Somebody uses the log, or file and WAL do not belong together: then nothing of the one went into the other.
pub(crate) fn fold(path: &Path) -> Result<Connection, OpenLogError> {
    let connection = schema::open_file_again(path)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    connection.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
    connection.execute_batch("BEGIN EXCLUSIVE")?;
    Ok(connection)
}
