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
use crate::transaction::{WriteTransaction, row, rows};
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
    /// Whether both its copies were read again since, right before the first bytes went.
    is_read_again: bool,
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
    /// The first of those that it holds and that are left for [`Covering::Marked`] until the relay has confirmed them.
    pub awaits_mark: Option<ChangeHash>,
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
    /// The first step is synced before it returns. The others are not: they follow from it. Nobody depends on any, so a full
    /// disk leaves the store as it was and ready to write.
    ///
    /// # Errors
    ///
    /// [`EntityError::UnknownEntity`], or the storage failed. A snapshot that was replaced, or has rotted, since is left
    /// alone.
    pub fn cover(&mut self, checked: &mut CheckedSnapshot, covering: Covering) -> Result<Covered, EntityError> {
        let mut covered = Covered::default();
        self.end_scan();
        let mut rest = std::mem::take(&mut checked.remaining);
        let is_kept = self.is_kept_twice(checked)?;
        let is_certain = is_kept && checked.is_read_again;
        let work = |transaction: &mut WriteTransaction<'_>| {
            let found = known(transaction, checked.entity)?;
            if !is_certain && !snapshot::keep_twice(transaction, found.row, checked.entity, &checked.digest)? {
                rest.clear();
            }
            while covered.changes < COVERED_PER_COMMIT_MAX as u64 {
                let Some(change) = rest.pop() else { break };
                match cover(transaction, found.row, change, covering)? {
                    Step::Covered => covered.changes += 1,
                    Step::Passed => {}
                    Step::Ended(hash) => {
                        rest.clear();
                        covered.awaits_mark = Some(hash);
                    }
                }
            }
            Ok::<_, EntityError>(())
        };
        if is_kept { self.write_optional_unsynced(work) } else { self.write_optional(work).map(drop) }?;
        covered.is_done = rest.is_empty();
        checked.remaining = rest;
        checked.is_read_again = true;
        Ok(covered)
    }

    /// Rebuilds the file without what was deleted, and empties its WAL: what compaction and leaving made free goes back to
    /// the system, and nothing of it can be read in the file any more. While it runs it needs as much room again twice,
    /// beside the file and where the system keeps temporary files, and little memory.
    ///
    /// Answers whether the WAL could be emptied, which a reader that is just reading prevents.
    ///
    /// # Errors
    ///
    /// [`StoreError::Poisoned`] after a failure, or the storage failed. After a full disk the store is as it was; a disk
    /// that fails to write or to sync keeps it from writing until a reload (D10).
    pub fn shrink(&mut self) -> Result<bool, StoreError> {
        if self.is_poisoned() {
            return Err(StoreError::Poisoned);
        }
        let rebuilt = self.read(rebuild);
        if rebuilt.as_ref().is_err_and(|error| !error.is_undone_by_a_rollback()) {
            self.poison();
        }
        rebuilt
    }

    /// How much of the store is free, in bytes: [`Store::shrink`] gives it back.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn free_bytes(&self) -> Result<u64, StoreError> {
        self.read(|connection| pages(connection, "freelist_count"))
    }

    /// How large the store is, in bytes, with what is still in its WAL and with its free pages.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn size_bytes(&self) -> Result<u64, StoreError> {
        self.read(|connection| pages(connection, "page_count"))
    }

    /// How many bytes the changes of an entity have together, wherever they stand.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn bytes_of(&self, entity: EntityId) -> Result<u64, StoreError> {
        let sql = "SELECT coalesce(sum(size), 0) FROM changes
                   WHERE entity_row = (SELECT entity_row FROM entities WHERE entity = ?)";
        let bytes = self.read(|connection| row(connection, sql, [entity.as_bytes()], |row| column::count(row, 0)))?;
        Ok(bytes.unwrap_or(0))
    }

    fn is_kept_twice(&self, checked: &CheckedSnapshot) -> Result<bool, StoreError> {
        self.read(|connection| {
            let Some(found) = entity::find(connection, checked.entity)? else { return Ok(false) };
            snapshot::is_kept_twice(connection, found.row, &checked.digest)
        })
    }
}

fn rebuild(connection: &Connection) -> Result<bool, StoreError> {
    // The copy that it is rebuilt from would otherwise stand in memory, as large as the store.
    connection.pragma_update(None, "temp_store", "FILE")?;
    let rebuilt = connection.execute_batch("VACUUM");
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    rebuilt?;
    let is_busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    Ok(is_busy == 0)
}

/// How many bytes so many pages have as this pragma counts.
fn pages(connection: &Connection, pragma: &str) -> Result<u64, StoreError> {
    let pages: u64 = connection.pragma_query_value(None, pragma, |row| row.get::<_, u32>(0))?.into();
    let page_bytes: u64 = connection.pragma_query_value(None, "page_size", |row| row.get::<_, u32>(0))?.into();
    Ok(pages.saturating_mul(page_bytes))
}

/// What became of one change.
enum Step {
    Covered,
    Passed,
    /// This one, and what comes after it, waits for its mark.
    Ended(ChangeHash),
}

/// Lets the bytes of one change go. Whatever happened to it since the check is looked at again.
fn cover(
    transaction: &mut WriteTransaction<'_>,
    entity: EntityRow,
    change: ChangeRow,
    covering: Covering,
) -> Result<Step, StoreError> {
    let sql = "SELECT sequence IS NOT NULL, hash FROM changes WHERE change_row = ? AND entity_row = ? AND state = 0
               AND covered = 0";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, bool>(0)?, column::change_hash(row, 1)?));
    let Some((is_marked, hash)) = transaction.row(sql, (change, entity), read)? else {
        return Ok(Step::Passed);
    };
    if covering == Covering::Marked && !is_marked {
        return Ok(Step::Ended(hash));
    }
    transaction.execute("UPDATE changes SET covered = 1 WHERE change_row = ?", [change])?;
    transaction.execute("DELETE FROM bodies WHERE change_row = ?", [change])?;
    Ok(Step::Covered)
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
    Ok(CheckedSnapshot { entity, digest: slot.digest, is_read_again: false, remaining })
}

fn compared_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<(ChangeRow, ChangeHash, Option<Vec<u8>>)> {
    Ok((row.get(0)?, column::change_hash(row, 1)?, row.get(3)?))
}
