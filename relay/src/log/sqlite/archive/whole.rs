//! All that can be done to a log, for an operator who asks for it.

use super::Keeper;
use super::commit::{free_pages, run_pragma};
use super::work::{Eagerness, Target, Task};
use crate::log::LogError;
use crate::log::sqlite::SqliteLog;
use crate::log::sqlite::foreign;
use crate::log::sqlite::schema;
use crate::log::sqlite::transaction::Purpose;
use afield_core::{Commit, EntityId, SpaceId};
use rusqlite::OptionalExtension;
use std::time::Duration;

/// How many pages are given back at once, 2 MiB of them: a relay beside it waits for that to write.
const GIVEN_BACK_PAGES: i64 = 512;
/// How long others have the file to themselves before the next ones.
const GIVE_BACK_PAUSE: Duration = Duration::from_millis(20);

/// What makes the log of a space as small as it can be.
#[derive(Debug)]
pub struct WholeTasks {
    /// Packs all rows.
    pub rows: Task,
    /// For every entity its snapshot, and what follows it.
    pub entities: Vec<(EntityId, Task, Task)>,
}

impl SqliteLog {
    /// A reader of this log for another thread; `None` when it lives in memory.
    ///
    /// # Errors
    ///
    /// The file cannot be opened.
    pub fn keeper(&self) -> Option<Result<Keeper, LogError>> {
        self.path.as_deref().map(Keeper::open)
    }

    /// All spaces, in the order in which they were created.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn space_ids(&mut self) -> Result<Vec<SpaceId>, LogError> {
        let transaction = self.begin(Purpose::Read)?;
        let mut statement = transaction.statement("SELECT id FROM spaces ORDER BY number")?;
        let spaces = statement.query_map([], |row| row.get(0).map(SpaceId::from_bytes))?;
        Ok(spaces.collect::<Result<_, _>>()?)
    }

    /// The task that packs all rows of a space, and those that make snapshots of its entities; `None` where there is no such
    /// space. Each is to be repeated until nothing is left to do.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn whole_tasks(&mut self, space: SpaceId) -> Result<Option<WholeTasks>, LogError> {
        let transaction = self.begin(Purpose::Read)?;
        let found: Option<i64> = transaction
            .statement("SELECT number FROM spaces WHERE id = ?1")?
            .query_row([space.as_bytes()], |row| row.get(0))
            .optional()?;
        let Some(number) = found else { return Ok(None) };
        let task = |target| Task { target, eagerness: Eagerness::Everything };
        let mut statement =
            transaction.statement("SELECT number, id FROM entities WHERE space = ?1 ORDER BY number")?;
        let rows = statement.query_map([number], |row| Ok((row.get(0)?, EntityId::from_bytes(row.get(1)?))))?;
        let entities = rows.map(|row| {
            let (entity, id): (i64, EntityId) = row?;
            Ok((id, task(Target::Snapshot { entity }), task(Target::Strip { entity })))
        });
        let entities = entities.collect::<Result<_, LogError>>()?;
        Ok(Some(WholeTasks { rows: task(Target::Segment { space: number }), entities }))
    }

    /// Gives free pages of the file back to the file system, all of them.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn give_back(&mut self) -> Result<(), LogError> {
        let mut free = i64::MAX;
        loop {
            let mut transaction = self.begin(Purpose::Write)?;
            let left = free_pages(&transaction)?;
            if left == 0 || left >= free {
                break;
            }
            free = left;
            run_pragma(&transaction, &format!("PRAGMA incremental_vacuum({GIVEN_BACK_PAGES})"))?;
            foreign::note_upkeep(&transaction)?;
            transaction.commit()?;
            drop(transaction);
            self.foreign.kept_up();
            if free > GIVEN_BACK_PAGES {
                std::thread::sleep(GIVE_BACK_PAUSE);
            }
        }
        self.shorten_wal().map(drop)
    }

    /// Empties the WAL of what was erased, where nobody reads it just now; otherwise it is tried again with the next task. What
    /// was erased is durable and served to nobody meanwhile.
    pub(in crate::log::sqlite) fn empty_wal(&mut self) {
        let emptied = schema::without_waiting(&self.connection, |connection| {
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
        });
        match emptied {
            Ok(is_busy) => self.tasks.note_wal(is_busy != 0),
            Err(error) => {
                self.tasks.note_wal(true);
                tracing::warn!(error = &error as &dyn std::error::Error, "the WAL still holds what was erased");
            }
        }
    }

    /// Brings the WAL into the file and empties it; answers whether it could, which takes a moment in which nobody reads it.
    ///
    /// It waits for nobody: whoever waits for readers has the lock of writers meanwhile. Most of it is brought into the file before, with
    /// that lock left to others.
    pub(in crate::log::sqlite) fn shorten_wal(&mut self) -> Result<bool, LogError> {
        let is_busy = schema::without_waiting(&self.connection, |connection| {
            connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0))
        })?;
        Ok(!is_busy)
    }
}
