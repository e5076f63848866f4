//! How each space is synced, and the history of what was decided about that.
//!
//! What a person sets is synced like an edit. What only tells how things went is not: it goes to the disk with the next
//! transaction that is, so that no edit waits for one sync more.

use crate::column;
use crate::error::{SpaceError, StoreError};
use crate::reader::Reader;
use crate::space;
use crate::store::Store;
use crate::transaction::{WriteTransaction, rows};
use afield_core::policy::{PUSH_IDS_MAX, PushIds};
use afield_core::{Durable, SpaceId};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

/// How many rows of history are kept: some weeks of a device with a schedule of ten minutes, in some 100 KB.
pub const RUNS_MAX: i64 = 2_000;
/// How long rows of history are kept, in milliseconds: 90 days.
pub const RUN_AGE_MAX_MS: i64 = 90 * 86_400_000;

/// How a space is synced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncSettings {
    /// The space.
    pub space: SpaceId,
    /// Whether it is synced at all while sync is on.
    pub is_enabled: bool,
    /// When; `None` for all the time.
    pub schedule: Option<StoredSchedule>,
    /// When a run was last started for the schedule, or when that was set, in milliseconds since the Unix epoch.
    pub started_ms: Option<i64>,
    /// When the space was last in step with the relay, in milliseconds since the Unix epoch.
    pub last_synced_ms: Option<i64>,
}

/// A schedule as it is stored; this crate does not read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredSchedule {
    /// A cron expression.
    Cron {
        /// The expression.
        expression: String,
        /// The name of its time zone.
        zone: String,
    },
    /// Again and again.
    Every {
        /// After so many milliseconds.
        interval_ms: u64,
    },
}

/// A row of the history: a decision, or a run with its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunRecord {
    /// The number of the row, which grows; ignored where a row is written.
    pub number: i64,
    /// The space; `None` for a device without one.
    pub space: Option<SpaceId>,
    /// What led to the decision.
    pub trigger: String,
    /// The decision.
    pub decision: String,
    /// Why.
    pub reason: String,
    /// Until when it holds, in milliseconds since the Unix epoch, where that is known.
    pub until_ms: Option<i64>,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// How often in a row.
    pub times: u64,
    /// How the run went, where it was one.
    pub outcome: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Changes pushed.
    pub changes_sent: u64,
    /// Changes received.
    pub changes_received: u64,
    /// Bytes of frames sent meanwhile, of whatever space.
    pub bytes_sent: u64,
    /// Bytes of frames received meanwhile, of whatever space.
    pub bytes_received: u64,
    /// What went wrong, in words for a person.
    pub error: Option<String>,
}

/// What is to be stored of how things went, all of it in one transaction.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunNotes<'n> {
    /// Rows to be added to the history.
    pub runs: &'n [RunRecord],
    /// When runs were started for schedules.
    pub started: &'n [(SpaceId, i64)],
    /// When spaces were in step.
    pub synced: &'n [(SpaceId, i64)],
    /// The ids of pushes that were followed, for a space or for the device without one.
    pub pushes: &'n [(Option<SpaceId>, String)],
}

/// Which rows of the history are asked for: those that meet all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunsAsked {
    /// Of one space; `None` for all rows.
    pub space: Option<SpaceId>,
    /// What led to them is one of these; any where there are none.
    pub triggers: Vec<String>,
    /// They went in one of these ways; where there are none, those that were no runs belong to it, too.
    pub outcomes: Vec<String>,
    /// From this moment on, in milliseconds since the Unix epoch.
    pub since_ms: i64,
    /// Before this moment.
    pub until_ms: i64,
    /// At most so many, of the newest.
    pub limit: usize,
}

impl Default for RunsAsked {
    /// All of them.
    fn default() -> Self {
        Self {
            space: None,
            triggers: Vec::new(),
            outcomes: Vec::new(),
            since_ms: i64::MIN,
            until_ms: i64::MAX,
            limit: usize::MAX,
        }
    }
}

impl RunsAsked {
    /// Whether a row that is not stored yet is among those that are asked for, but for the limit.
    pub fn has(&self, run: &RunRecord) -> bool {
        let is_one_of =
            |asked: &[String], name: Option<&String>| asked.is_empty() || name.is_some_and(|name| asked.contains(name));
        (self.space.is_none() || run.space == self.space)
            && is_one_of(&self.triggers, Some(&run.trigger))
            && is_one_of(&self.outcomes, run.outcome.as_ref())
            && (self.since_ms..self.until_ms).contains(&run.at_ms)
    }

    /// The condition, and what is bound to it.
    fn condition(&self) -> (String, Vec<Value>) {
        let mut parts = vec!["at_ms >= ?".to_owned(), "at_ms < ?".to_owned()];
        let mut bound: Vec<Value> = vec![self.since_ms.into(), self.until_ms.into()];
        if let Some(space) = self.space {
            parts.push("space_row = (SELECT space_row FROM spaces WHERE space = ?)".to_owned());
            bound.push(space.as_bytes().to_vec().into());
        }
        for (column, names) in [("cause", &self.triggers), ("outcome", &self.outcomes)] {
            if !names.is_empty() {
                let places = vec!["?"; names.len()].join(", ");
                parts.push(format!("{column} IN ({places})"));
                bound.extend(names.iter().cloned().map(Value::from));
            }
        }
        (parts.join(" AND "), bound)
    }
}

impl Store {
    /// How each space is synced, in the order in which they came.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn sync_settings(&self) -> Result<Vec<SyncSettings>, StoreError> {
        self.read(settings)
    }

    /// The pushes of a space, or of the device without one, that were followed, as far as they are remembered.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn pushes(&self, space: Option<SpaceId>) -> Result<PushIds, StoreError> {
        let ids: Vec<String> = self.read(|connection| match space {
            Some(space) => {
                let of_space = "space_row = (SELECT space_row FROM spaces WHERE space = ?)";
                let sql = format!("SELECT id FROM pushes WHERE {of_space} ORDER BY push_row");
                rows(connection, &sql, [space.as_bytes()], |row| row.get(0))
            }
            None => {
                let sql = "SELECT id FROM pushes WHERE space_row IS NULL ORDER BY push_row";
                rows(connection, sql, [], |row| row.get(0))
            }
        })?;
        let mut pushes = PushIds::default();
        ids.iter().for_each(|id| pushes.note(id));
        Ok(pushes)
    }

    /// Switches sync of a space on or off.
    ///
    /// # Errors
    ///
    /// [`SpaceError::UnknownSpace`], or the storage failed.
    pub fn set_sync_enabled(&mut self, space: SpaceId, is_enabled: bool) -> Result<Durable<()>, SpaceError> {
        self.write(|transaction| {
            let (row, _) = space::find(transaction, space)?.ok_or(SpaceError::UnknownSpace { space })?;
            let sql = "INSERT INTO sync_settings (space_row, enabled) VALUES (?1, ?2)
                       ON CONFLICT (space_row) DO UPDATE SET enabled = ?2";
            transaction.execute(sql, (row, is_enabled))?;
            Ok(())
        })
    }

    /// Gives a space a schedule, or takes it away. What fell due before is forgotten.
    ///
    /// # Errors
    ///
    /// [`SpaceError::UnknownSpace`], or the storage failed.
    pub fn set_schedule(
        &mut self,
        space: SpaceId,
        schedule: Option<&StoredSchedule>,
        at_ms: i64,
    ) -> Result<Durable<()>, SpaceError> {
        let (cron, zone, every_ms) = match schedule {
            Some(StoredSchedule::Cron { expression, zone }) => (Some(expression), Some(zone), None),
            Some(StoredSchedule::Every { interval_ms }) => {
                (None, None, Some(i64::try_from(*interval_ms).unwrap_or(i64::MAX)))
            }
            None => (None, None, None),
        };
        self.write(|transaction| {
            let (row, _) = space::find(transaction, space)?.ok_or(SpaceError::UnknownSpace { space })?;
            let sql =
                "INSERT INTO sync_settings (space_row, cron, zone, every_ms, started_ms) VALUES (?1, ?2, ?3, ?4, ?5)
                       ON CONFLICT (space_row) DO UPDATE SET cron = ?2, zone = ?3, every_ms = ?4, started_ms = ?5";
            transaction.execute(sql, (row, cron, zone, every_ms, at_ms))?;
            Ok(())
        })
    }

    /// Adds rows to the history, notes when runs were started for schedules, when spaces were in step and which pushes were followed, and
    /// lets the oldest rows go. Not synced; spaces that are not here any more are left out.
    ///
    /// # Errors
    ///
    /// The storage failed. Where the transaction is undone for certain, the store goes on.
    pub fn note_runs(&mut self, notes: &RunNotes<'_>, now_ms: i64) -> Result<(), StoreError> {
        let RunNotes { runs, started, synced, pushes } = *notes;
        self.write_optional_unsynced(|transaction| {
            for run in runs {
                let Some(space_row) = row_of(transaction, run.space)? else { continue };
                let sql = "INSERT INTO runs (space_row, cause, decision, reason, until_ms, at_ms, times, outcome,
                           duration_ms, changes_sent, changes_received, bytes_sent, bytes_received, error)
                           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
                let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
                transaction.execute(
                    sql,
                    rusqlite::params![
                        space_row,
                        run.trigger,
                        run.decision,
                        run.reason,
                        run.until_ms,
                        run.at_ms,
                        number(run.times.max(1)),
                        run.outcome,
                        number(run.duration_ms),
                        number(run.changes_sent),
                        number(run.changes_received),
                        number(run.bytes_sent),
                        number(run.bytes_received),
                        run.error
                    ],
                )?;
            }
            let sql =
                "INSERT INTO sync_settings (space_row, started_ms) SELECT space_row, ?2 FROM spaces WHERE space = ?1
                       ON CONFLICT (space_row) DO UPDATE SET started_ms = ?2";
            for (space, at_ms) in started {
                transaction.execute(sql, (space.as_bytes(), at_ms))?;
            }
            let sql = "INSERT INTO sync_settings (space_row, last_synced_ms) SELECT space_row, ?2 FROM spaces
                       WHERE space = ?1 ON CONFLICT (space_row) DO UPDATE SET last_synced_ms = ?2";
            for (space, at_ms) in synced {
                transaction.execute(sql, (space.as_bytes(), at_ms))?;
            }
            for (space, id) in pushes {
                if let Some(space_row) = row_of(transaction, *space)? {
                    note_push(transaction, space_row, id)?;
                }
            }
            if !runs.is_empty() {
                let sql = "DELETE FROM runs WHERE run_row <= (SELECT max(run_row) FROM runs) - ?";
                transaction.execute(sql, [RUNS_MAX])?;
                let sql = "DELETE FROM runs WHERE at_ms < ?";
                transaction.execute(sql, [now_ms.saturating_sub(RUN_AGE_MAX_MS)])?;
            }
            Ok(())
        })
    }
}

/// The row of a space, `None` in it for the device without one; nothing for a space that is not here any more.
fn row_of(transaction: &mut WriteTransaction<'_>, space: Option<SpaceId>) -> Result<Option<Option<i64>>, StoreError> {
    match space {
        None => Ok(Some(None)),
        Some(space) => Ok(space::find(transaction, space)?.map(|(row, _)| Some(row.0))),
    }
}

/// Remembers a push, and forgets the oldest beyond [`PUSH_IDS_MAX`], as [`PushIds::note`] does.
fn note_push(transaction: &mut WriteTransaction<'_>, space_row: Option<i64>, id: &str) -> Result<(), StoreError> {
    let sql = "INSERT INTO pushes (space_row, id) SELECT ?1, ?2
               WHERE NOT EXISTS (SELECT 1 FROM pushes WHERE space_row IS ?1 AND id = ?2)";
    transaction.execute(sql, (space_row, id))?;
    let sql = "DELETE FROM pushes WHERE space_row IS ?1 AND push_row <=
               (SELECT push_row FROM pushes WHERE space_row IS ?1 ORDER BY push_row DESC LIMIT 1 OFFSET ?2)";
    transaction.execute(sql, (space_row, i64::try_from(PUSH_IDS_MAX).unwrap_or(i64::MAX)))?;
    Ok(())
}

impl Reader {
    /// How each space is synced, in the order in which they came.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn sync_settings(&self) -> Result<Vec<SyncSettings>, StoreError> {
        self.read(settings)
    }

    /// The newest rows of the history, the newest first; of one space, or of all.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn runs(&self, space: Option<SpaceId>, limit: usize) -> Result<Vec<RunRecord>, StoreError> {
        self.find_runs(&RunsAsked { space, limit, ..RunsAsked::default() })
    }

    /// Those rows of the history that are asked for, the newest first.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn find_runs(&self, asked: &RunsAsked) -> Result<Vec<RunRecord>, StoreError> {
        let (condition, mut bound) = asked.condition();
        bound.push(i64::try_from(asked.limit).unwrap_or(i64::MAX).into());
        let columns = "SELECT run_row, (SELECT space FROM spaces WHERE spaces.space_row = runs.space_row), cause,
                       decision, reason, until_ms, at_ms, times, outcome, duration_ms, changes_sent, changes_received,
                       bytes_sent, bytes_received, error FROM runs";
        let sql = format!("{columns} WHERE {condition} ORDER BY run_row DESC LIMIT ?");
        self.read(|connection| rows(connection, &sql, params_from_iter(bound), record))
    }
}

fn record(row: &Row<'_>) -> rusqlite::Result<RunRecord> {
    Ok(RunRecord {
        number: row.get(0)?,
        space: row.get::<_, Option<[u8; 16]>>(1)?.map(SpaceId::from_bytes),
        trigger: row.get(2)?,
        decision: row.get(3)?,
        reason: row.get(4)?,
        until_ms: row.get(5)?,
        at_ms: row.get(6)?,
        times: column::count(row, 7)?,
        outcome: row.get(8)?,
        duration_ms: column::count(row, 9)?,
        changes_sent: column::count(row, 10)?,
        changes_received: column::count(row, 11)?,
        bytes_sent: column::count(row, 12)?,
        bytes_received: column::count(row, 13)?,
        error: row.get(14)?,
    })
}

fn settings(connection: &Connection) -> Result<Vec<SyncSettings>, StoreError> {
    let sql = "SELECT space, coalesce(enabled, 1), cron, zone, every_ms, started_ms, last_synced_ms
               FROM spaces LEFT JOIN sync_settings USING (space_row) ORDER BY space_row";
    rows(connection, sql, [], |row| {
        let schedule = match (row.get(2)?, row.get(3)?, row.get::<_, Option<i64>>(4)?) {
            (Some(expression), Some(zone), _) => Some(StoredSchedule::Cron { expression, zone }),
            (_, _, Some(_)) => Some(StoredSchedule::Every { interval_ms: column::count(row, 4)? }),
            _ => None,
        };
        Ok(SyncSettings {
            space: column::space(row, 0)?,
            is_enabled: row.get(1)?,
            schedule,
            started_ms: row.get(5)?,
            last_synced_ms: row.get(6)?,
        })
    })
}
