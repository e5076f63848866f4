//! Compaction: the bytes of changes go once a snapshot that holds them was read back from the disk and compared.
//!
//! The rows of the changes stay, with their hashes, states and marks, so that duplicates are known and held = marked +
//! outbox (D5) is what it was. Whoever needs the bytes again gets them out of the snapshot, byte for byte.

use crate::column::{self, ChangeRow, EntityRow};
use crate::entity;
use crate::error::{EntityError, SnapshotError, StoreError};
use crate::extract::Extracted;
use crate::reader::Reader;
use crate::settle::known;
use crate::snapshot;
use crate::store::Store;
use crate::transaction::{WriteTransaction, rows};
use afield_core::change::ChangeHeader;
use afield_core::{ChangeHash, EntityId, Limits};
use rusqlite::Connection;

/// How many changes are covered in one transaction: some 10 ms in which nobody else writes.
const COVERED_PER_COMMIT_MAX: usize = 4_096;

/// Which changes lose their bytes to a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Covering {
    /// All that it holds.
    All,
    /// Those in front of the first that is in the outbox: while a session goes through the outbox, what it has still to
    /// offer keeps its place.
    Marked,
}

/// A snapshot that was read back and compared with every change that it stands for: the word that their bytes may go.
#[derive(Debug)]
pub struct CheckedSnapshot {
    entity: EntityId,
    digest: [u8; 32],
    /// What is not covered yet, from the last to the first.
    remaining: Vec<ChangeRow>,
}

/// What one step of covering has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Covered {
    /// How many changes gave their bytes up.
    pub changes: u64,
    /// Whether nothing more is to be done with this snapshot.
    pub is_done: bool,
    /// Whether some that it holds are left for [`Covering::Marked`] until the relay has confirmed them.
    pub awaits_marks: bool,
}

impl Reader {
    /// Reads the newest snapshot of an entity back and compares it with every change that it stands for: it loads, has its
    /// heads, holds exactly the applied changes, and gives each of them byte for byte.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] says what does not agree; then no bytes may go.
    pub fn check_snapshot(&self, entity: EntityId) -> Result<CheckedSnapshot, SnapshotError> {
        self.read(|connection| Ok(check(connection, entity)))?
    }

    /// The entities of which at least so many changes that were applied are not covered, in the order of their ids: what
    /// there is to compact.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn compactable(&self, changes_min: u64) -> Result<Vec<EntityId>, StoreError> {
        let changes_min = i64::try_from(changes_min).unwrap_or(i64::MAX);
        let sql = "SELECT entity FROM entities WHERE (SELECT count(*) FROM changes WHERE changes.entity_row
                   = entities.entity_row AND covered = 0 AND state = 0) >= ? ORDER BY entity";
        self.read(|connection| rows(connection, sql, [changes_min], |row| column::entity(row, 0)))
    }
}

impl Store {
    /// Confirms a snapshot that was read back, keeps it twice, and lets the bytes of changes that it holds go, as many as
    /// one transaction may take; call it again until it is done.
    ///
    /// The first step is synced before it returns. The others are not: they follow from it.
    ///
    /// # Errors
    ///
    /// [`EntityError::UnknownEntity`], or the storage failed. A snapshot that was replaced since is left alone.
    pub fn cover(&mut self, checked: &mut CheckedSnapshot, covering: Covering) -> Result<Covered, EntityError> {
        let mut covered = Covered::default();
        let mut rest = std::mem::take(&mut checked.remaining);
        let work = |transaction: &mut WriteTransaction<'_>| {
            let found = known(transaction, checked.entity)?;
            if !confirm(transaction, found.row, &checked.digest)? {
                rest.clear();
            }
            while covered.changes < COVERED_PER_COMMIT_MAX as u64 {
                let Some(change) = rest.pop() else { break };
                match cover(transaction, found.row, change, covering)? {
                    Step::Covered => covered.changes += 1,
                    Step::Passed => {}
                    Step::Ended => {
                        rest.clear();
                        covered.awaits_marks = true;
                    }
                }
            }
            Ok::<_, EntityError>(())
        };
        let is_confirmed = self.is_confirmed(checked)?;
        if is_confirmed { self.write_unsynced(work) } else { self.write(work).map(drop) }?;
        covered.is_done = rest.is_empty();
        checked.remaining = rest;
        Ok(covered)
    }

    /// Rebuilds the file without what was deleted, and empties its WAL: what compaction and leaving made free goes back to
    /// the system, and nothing of it can be read in the file any more. It needs as much room again while it runs.
    ///
    /// Answers whether the WAL could be emptied, which a reader that is just reading prevents.
    ///
    /// # Errors
    ///
    /// [`StoreError::Poisoned`] after a failure, or the storage failed; the store is then as it was.
    pub fn shrink(&mut self) -> Result<bool, StoreError> {
        if self.is_poisoned() {
            return Err(StoreError::Poisoned);
        }
        self.read(|connection| {
            connection.execute_batch("VACUUM")?;
            let is_busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
            Ok(is_busy == 0)
        })
    }

    /// How large the store is, in bytes, with what is still in its WAL and with its free pages.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn size_bytes(&self) -> Result<u64, StoreError> {
        self.read(|connection| {
            let pages: u64 = connection.pragma_query_value(None, "page_count", |row| row.get::<_, u32>(0))?.into();
            let page_bytes: u64 = connection.pragma_query_value(None, "page_size", |row| row.get::<_, u32>(0))?.into();
            Ok(pages.saturating_mul(page_bytes))
        })
    }

    fn is_confirmed(&self, checked: &CheckedSnapshot) -> Result<bool, StoreError> {
        self.read(|connection| {
            let sql = "SELECT 1 FROM snapshots WHERE digest = ? AND confirmed = 1
                       AND entity_row = (SELECT entity_row FROM entities WHERE entity = ?)";
            Ok(connection.prepare_cached(sql)?.exists((checked.digest, checked.entity.as_bytes()))?)
        })
    }
}

/// What became of one change.
enum Step {
    Covered,
    Passed,
    Ended,
}

/// Lets the bytes of one change go. Whatever happened to it since the check is looked at again.
fn cover(
    transaction: &mut WriteTransaction<'_>,
    entity: EntityRow,
    change: ChangeRow,
    covering: Covering,
) -> Result<Step, StoreError> {
    let sql = "SELECT sequence IS NOT NULL FROM changes WHERE change_row = ? AND entity_row = ? AND state = 0
               AND covered = 0";
    let Some(is_marked) = transaction.row(sql, (change, entity), |row| row.get::<_, bool>(0))? else {
        return Ok(Step::Passed);
    };
    if covering == Covering::Marked && !is_marked {
        return Ok(Step::Ended);
    }
    transaction.execute("UPDATE changes SET covered = 1 WHERE change_row = ?", [change])?;
    transaction.execute("DELETE FROM bodies WHERE change_row = ?", [change])?;
    Ok(Step::Covered)
}

/// Says of a snapshot that it was read back, and copies it into the other slot; false when it is not there any more.
fn confirm(transaction: &mut WriteTransaction<'_>, entity: EntityRow, digest: &[u8; 32]) -> Result<bool, StoreError> {
    let sql = "SELECT count(*), coalesce(sum(confirmed), 0), coalesce(min(slot), 0) FROM snapshots
               WHERE entity_row = ? AND digest = ?";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let (copies, confirmed, slot): (i64, i64, i64) = transaction.row(sql, (entity, digest), read)?.unwrap_or_default();
    if copies == 0 {
        return Ok(false);
    }
    if confirmed < 2 {
        let sql = "UPDATE snapshots SET confirmed = 1 WHERE entity_row = ? AND digest = ?";
        transaction.execute(sql, (entity, digest))?;
    }
    if copies < 2 {
        let sql = "INSERT OR REPLACE INTO snapshots (entity_row, slot, confirmed, upto, changes, heads, digest, bytes)
                   SELECT entity_row, 1 - slot, 1, upto, changes, heads, digest, bytes FROM snapshots
                   WHERE entity_row = ? AND slot = ?";
        transaction.execute(sql, (entity, slot))?;
    }
    Ok(true)
}

fn check(connection: &Connection, entity: EntityId) -> Result<CheckedSnapshot, SnapshotError> {
    let found = entity::find(connection, entity)?.ok_or(SnapshotError::Missing { entity })?;
    let newest = snapshot::newest(connection, &found, entity)?;
    let slot = newest.ok_or(SnapshotError::Missing { entity })?;
    let extracted = Extracted::of_slot(entity, &slot).ok_or(SnapshotError::DoesNotLoad { entity })?;
    if extracted.heads != slot.snapshot.heads {
        return Err(SnapshotError::HeadsDiffer { entity });
    }
    let sql = "SELECT change_row, hash, covered, bytes FROM changes LEFT JOIN bodies USING (change_row)
               WHERE entity_row = ? AND state = 0 AND change_row <= ? ORDER BY change_row DESC";
    let mut statement = connection.prepare_cached(sql).map_err(StoreError::from)?;
    let mut stored = statement.query((found.row, slot.upto)).map_err(StoreError::from)?;
    let (mut remaining, mut compared) = (Vec::new(), 0);
    while let Some(row) = stored.next().map_err(StoreError::from)? {
        let (change, hash, body) = compared_row(row).map_err(StoreError::from)?;
        let bytes = extracted.bytes_of(&hash).ok_or(SnapshotError::ChangeMissing { entity, hash })?;
        let is_same = match &body {
            Some(body) => body == bytes,
            // Its bytes went earlier, and its hash is that of its bytes.
            None => ChangeHeader::read(bytes, &Limits::DEFAULT).is_ok_and(|header| header.hash == hash),
        };
        if !is_same {
            return Err(SnapshotError::ChangeDiffers { entity, hash });
        }
        remaining.extend(body.map(|_| change));
        compared += 1;
    }
    if compared != extracted.len() {
        return Err(SnapshotError::HoldsOthers { entity });
    }
    Ok(CheckedSnapshot { entity, digest: slot.digest, remaining })
}

fn compared_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<(ChangeRow, ChangeHash, Option<Vec<u8>>)> {
    Ok((row.get(0)?, column::change_hash(row, 1)?, row.get(3)?))
}
