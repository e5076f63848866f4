//! What is due, noted where it comes about: nothing is swept but once, when the file is opened.

use super::gather::HOT_CHUNKS;
use super::segment::SEGMENT_CHUNKS_MAX;
use super::work::{Eagerness, Target, Task};
use crate::log::LogError;
use crate::log::sqlite::row::count;
use crate::log::sqlite::transaction::SqliteTransaction;
use afield_core::Sequence;
use rusqlite::OptionalExtension;
use std::collections::BTreeSet;

/// How often a snapshot of an entity is tried that was not made. The first time the process may have been stopped meanwhile.
const TRIES_MAX: i64 = 2;

/// The entities that have enough chunks for a snapshot behind their last one, as `pays` has it.
const TO_COVER: &str = "
    SELECT e.number FROM entities e LEFT JOIN snapshots s ON s.entity = e.number
    WHERE e.archived >= 1024 AND e.archived - coalesce(s.changes, 0) >= max(coalesce(s.changes, 0), 1024)";

/// The tasks that may be due.
#[derive(Debug, Default)]
pub(in crate::log::sqlite) struct Tasks {
    due: BTreeSet<Task>,
    /// Those whose beginning or end the storage did not take; they are due again when a space has grown.
    put_off: BTreeSet<Task>,
    is_scanned: bool,
    /// Whether the WAL may still hold what was erased.
    wal_is_due: bool,
}

impl Tasks {
    /// The next task.
    pub(in crate::log::sqlite) fn next(&mut self) -> Option<Task> {
        self.due.pop_first()
    }

    pub(super) fn is_scanned(&self) -> bool {
        self.is_scanned
    }

    /// Notes what an earlier process left.
    pub(super) fn scanned(&mut self, left: Vec<Target>) {
        left.into_iter().for_each(|target| self.add(target));
        self.is_scanned = true;
    }

    /// Notes that a space has grown: once for every segment's worth of chunks.
    pub(in crate::log::sqlite) fn grown(&mut self, space: i64, before: Sequence, after: Sequence) {
        let segments = |sequence: Sequence| sequence.get() / SEGMENT_CHUNKS_MAX as u64;
        if segments(before) != segments(after) && after.get() > HOT_CHUNKS {
            self.add(Target::Segment { space });
            self.due.append(&mut self.put_off);
        }
    }

    /// Notes that entities were erased: segments may still hold their chunks, and the WAL what rows had.
    pub(in crate::log::sqlite) fn erased(&mut self, entities: &[i64]) {
        entities.iter().for_each(|entity| self.add(Target::Strip { entity: *entity }));
        self.wal_is_due |= !entities.is_empty();
    }

    /// Notes that something was erased, or that the WAL was emptied since.
    pub(in crate::log::sqlite) fn note_wal(&mut self, is_due: bool) {
        self.wal_is_due = is_due;
    }

    /// Whether the WAL may still hold what was erased.
    pub(in crate::log::sqlite) fn is_wal_due(&self) -> bool {
        self.wal_is_due
    }

    /// Puts off what the storage did not take.
    pub(super) fn put_off(&mut self, target: Target) {
        self.put_off.insert(Task { target, eagerness: Eagerness::Usual });
    }

    pub(super) fn add(&mut self, target: Target) {
        self.due.insert(Task { target, eagerness: Eagerness::Usual });
    }
}

/// Finds what an earlier process left.
pub(super) fn left_behind(transaction: &SqliteTransaction<'_>) -> Result<Vec<Target>, LogError> {
    let due_from = HOT_CHUNKS.cast_signed() + SEGMENT_CHUNKS_MAX as i64;
    let numbers = |sql: &str| -> Result<Vec<i64>, LogError> {
        let mut statement = transaction.statement(sql)?;
        let numbers = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(numbers)
    };
    let mut left: Vec<Target> = Vec::new();
    let spaces = numbers(&format!("SELECT number FROM spaces WHERE sequence >= {due_from}"))?;
    left.extend(spaces.into_iter().map(|space| Target::Segment { space }));
    let entities = numbers("SELECT entity FROM snapshots WHERE stripped < covered")?;
    left.extend(entities.into_iter().map(|entity| Target::Strip { entity }));
    let erased = numbers("SELECT entity FROM erasures WHERE cleared < position")?;
    left.extend(erased.into_iter().map(|entity| Target::Strip { entity }));
    left.extend(numbers(TO_COVER)?.into_iter().map(|entity| Target::Snapshot { entity }));
    Ok(left)
}

/// Notes that a snapshot of an entity is tried which has so many chunks in segments; answers whether it may be: not where it was
/// tried often enough, and the entity has not doubled since.
pub(super) fn note_try(transaction: &SqliteTransaction<'_>, entity: i64, chunks: u64) -> Result<bool, LogError> {
    let mut statement = transaction.statement("SELECT chunks, tries FROM snapshot_tries WHERE entity = ?1")?;
    let tried = statement.query_row([entity], |row| Ok((count(row, 0)?, row.get::<_, i64>(1)?))).optional()?;
    let tried = tried.filter(|(before, _)| chunks < before.saturating_mul(2));
    if tried.is_some_and(|(_, tries)| tries >= TRIES_MAX) {
        return Ok(false);
    }
    let (chunks, tries) = tried.map_or((chunks, 1), |(before, tries)| (before, tries.saturating_add(1)));
    store_tries(transaction, entity, chunks, tries)?;
    Ok(true)
}

/// Notes that no snapshot can be made of an entity as it is.
pub(super) fn note_failure(transaction: &SqliteTransaction<'_>, entity: i64, chunks: u64) -> Result<(), LogError> {
    store_tries(transaction, entity, chunks, TRIES_MAX)
}

/// Notes that a try came to an end by which nothing is shown.
pub(super) fn forget_tries(transaction: &SqliteTransaction<'_>, entity: i64) -> Result<(), LogError> {
    transaction.statement("DELETE FROM snapshot_tries WHERE entity = ?1")?.execute([entity])?;
    Ok(())
}

fn store_tries(transaction: &SqliteTransaction<'_>, entity: i64, chunks: u64, tries: i64) -> Result<(), LogError> {
    transaction
        .statement("INSERT OR REPLACE INTO snapshot_tries (entity, chunks, tries) VALUES (?1, ?2, ?3)")?
        .execute([entity, chunks.cast_signed(), tries])?;
    Ok(())
}
