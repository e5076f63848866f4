//! What is due, noted where it comes about: nothing is swept but once, when the file is opened.

use super::gather::HOT_CHUNKS;
use super::segment::SEGMENT_CHUNKS_MAX;
use super::work::{Eagerness, Target, Task};
use crate::log::LogError;
use crate::log::sqlite::transaction::SqliteTransaction;
use afield_core::Sequence;
use std::collections::{BTreeMap, BTreeSet};

/// The most failures that are remembered.
const FAILURES_MAX: usize = 16_384;

/// The tasks that may be due.
#[derive(Debug, Default)]
pub(in crate::log::sqlite) struct Tasks {
    due: BTreeSet<Task>,
    /// What cannot be done, and for entities how many changes they had: with twice as many it is tried again.
    failed: BTreeMap<Target, u64>,
    is_scanned: bool,
}

impl Tasks {
    /// The next task. The first call looks through the spaces.
    pub(in crate::log::sqlite) fn next(&mut self) -> Option<Task> {
        self.due.pop_first()
    }

    pub(super) fn is_scanned(&self) -> bool {
        self.is_scanned
    }

    /// Finds what an earlier process left.
    pub(super) fn scan(&mut self, transaction: &SqliteTransaction<'_>) -> Result<(), LogError> {
        let mut spaces = transaction.statement("SELECT number FROM spaces WHERE sequence >= ?1")?;
        let due_from = HOT_CHUNKS.cast_signed() + SEGMENT_CHUNKS_MAX as i64;
        for space in spaces.query_map([due_from], |row| row.get(0))? {
            self.add(Target::Segment { space: space? });
        }
        let mut entities = transaction.statement("SELECT entity FROM snapshots WHERE stripped < covered")?;
        for entity in entities.query_map([], |row| row.get(0))? {
            self.add(Target::Strip { entity: entity? });
        }
        self.is_scanned = true;
        Ok(())
    }

    /// Notes that a space has grown: once for every segment's worth of chunks.
    pub(in crate::log::sqlite) fn grown(&mut self, space: i64, before: Sequence, after: Sequence) {
        let segments = |sequence: Sequence| sequence.get() / SEGMENT_CHUNKS_MAX as u64;
        if segments(before) != segments(after) && after.get() > HOT_CHUNKS {
            self.add(Target::Segment { space });
        }
    }

    pub(super) fn add(&mut self, target: Target) {
        if !self.failed.contains_key(&target) {
            self.due.insert(Task { target, eagerness: Eagerness::Usual });
        }
    }

    /// Notes that a snapshot of an entity with so many changes is worth a try.
    pub(super) fn add_entity(&mut self, entity: i64, changes: u64) {
        let target = Target::Snapshot { entity };
        if self.failed.get(&target).is_some_and(|failed| changes >= failed.saturating_mul(2)) {
            self.failed.remove(&target);
        }
        self.add(target);
    }

    pub(super) fn fail(&mut self, target: Target, changes: u64) {
        if self.failed.len() < FAILURES_MAX {
            self.failed.insert(target, changes);
        }
    }
}
