//! What others did to the file, as far as it concerns sessions.

use super::SqliteLog;
use super::transaction::{Purpose, SqliteTransaction};
use crate::log::LogError;
use rusqlite::OptionalExtension;

/// What was seen last of what others do to the file.
#[derive(Debug, Default)]
pub(super) struct Foreign {
    /// SQLite's number of the last commit by somebody else that was looked at; absent before the first.
    looked_at: Option<u32>,
    commits: Commits,
    /// How many commits of upkeep this value made since.
    own_upkeep: i64,
    /// How many changes there were that concern sessions.
    changes: u64,
}

/// The counters of the file.
#[derive(Debug, Default, Clone, Copy)]
struct Commits {
    upkeep: i64,
    administration: i64,
}

impl Commits {
    fn read(transaction: &SqliteTransaction<'_>) -> Result<Self, LogError> {
        let mut statement = transaction.statement("SELECT upkeep, administration FROM file WHERE number = 1")?;
        let read = |row: &rusqlite::Row<'_>| Ok(Self { upkeep: row.get(0)?, administration: row.get(1)? });
        // Where the row is gone, no commit counts as upkeep.
        Ok(statement.query_row([], read).optional()?.unwrap_or_default())
    }
}

impl Foreign {
    /// Notes that this value committed upkeep.
    pub(super) fn kept_up(&mut self) {
        self.own_upkeep = self.own_upkeep.saturating_add(1);
    }

    /// Notes that this value committed so many changes that others are told of: it knows of them itself.
    pub(super) fn administered(&mut self, changes: i64) {
        self.commits.administration = self.commits.administration.saturating_add(changes);
    }

    /// Forgets what was seen: another file is open, or another state of it.
    pub(super) fn forget(&mut self) {
        *self = Self { changes: self.changes, ..Self::default() };
    }
}

/// How many changes were counted that others are told of. What a transaction adds to it is known at its end alone: triggers count, row by row.
pub(super) fn administration(transaction: &SqliteTransaction<'_>) -> Result<i64, LogError> {
    Commits::read(transaction).map(|commits| commits.administration)
}

/// Counts a commit that leaves what is served as it was.
pub(super) fn note_upkeep(transaction: &SqliteTransaction<'_>) -> Result<(), LogError> {
    transaction.statement("UPDATE file SET upkeep = upkeep + 1")?.execute([])?;
    Ok(())
}

/// Counts a commit that sessions have to hear of, whatever upkeep is committed beside it: a `purge` appends records and then does upkeep,
/// before the relay has looked at the file.
pub(super) fn note_administration(transaction: &SqliteTransaction<'_>) -> Result<(), LogError> {
    transaction.statement("UPDATE file SET administration = administration + 1")?.execute([])?;
    Ok(())
}

impl SqliteLog {
    /// How many changes of others there were that concern sessions. A commit of somebody else is one, unless it was counted
    /// as upkeep and nothing was administered meanwhile.
    pub(super) fn foreign_changes(&mut self) -> Result<u64, LogError> {
        let sql = "PRAGMA data_version";
        let last: u32 = self.connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        if self.foreign.looked_at == Some(last) {
            return Ok(self.foreign.changes);
        }
        let transaction = self.begin(Purpose::Read)?;
        let commits = Commits::read(&transaction);
        // Of the state that this transaction sees.
        let last: u32 = transaction.statement(sql)?.query_row([], |row| row.get(0))?;
        drop(transaction);
        let Foreign { looked_at, commits: before, own_upkeep, .. } = self.foreign;
        let is_upkeep = commits.as_ref().is_ok_and(|now| {
            now.administration == before.administration
                && now.upkeep.saturating_sub(before.upkeep).saturating_sub(own_upkeep) > 0
        });
        let changes = self.foreign.changes + u64::from(looked_at.is_some() && !is_upkeep);
        // Where the counters cannot be read, whatever somebody commits counts.
        let commits = commits.or_else(|error| if error.is_damage() { Ok(Commits::default()) } else { Err(error) })?;
        self.foreign = Foreign { looked_at: Some(last), commits, own_upkeep: 0, changes };
        Ok(changes)
    }
}
