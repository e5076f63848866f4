//! A reader of the log for the thread that does the work.

use super::{Archive, Cache, Task, Work};
use crate::log::LogError;
use crate::log::sqlite::identity::FileIdentity;
use crate::log::sqlite::schema;
use crate::log::sqlite::transaction::{Faults, Purpose, SqliteTransaction};
use rusqlite::Connection;
use std::path::{Path, PathBuf};

/// Reads what tasks need beside the log that appends, with a connection of its own that only reads.
#[derive(Debug)]
pub struct Keeper {
    path: PathBuf,
    connection: Connection,
    identity: Option<FileIdentity>,
    cache: Cache,
    faults: Faults,
}

impl Keeper {
    pub(super) fn open(path: &Path) -> Result<Self, LogError> {
        let (connection, identity) = connect(path)?;
        let (cache, faults) = (Cache::default(), Faults::default());
        Ok(Self { path: path.to_owned(), connection, identity, cache, faults })
    }

    /// Reads what a task needs; `None` when nothing is to be done.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn gather(&mut self, task: Task) -> Result<Option<Work>, LogError> {
        if FileIdentity::of(&self.path) != self.identity {
            // Closed before another file is opened: both would use the WAL of that path, and closing one drops the locks of
            // both.
            self.connection = Connection::open_in_memory()?;
            self.identity = None;
            (self.connection, self.identity) = connect(&self.path)?;
        }
        let transaction = SqliteTransaction::begin(&mut self.connection, &mut self.faults, Purpose::Read)?;
        Archive::new(&transaction, &self.cache).gather(task)
    }
}

fn connect(path: &Path) -> Result<(Connection, Option<FileIdentity>), LogError> {
    let identity = FileIdentity::of(path);
    Ok((schema::open_to_read(path)?, identity))
}
