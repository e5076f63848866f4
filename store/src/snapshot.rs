//! Saved documents: for quick opening, and, once they are confirmed, in the place of the bytes of the changes they hold.
//!
//! An entity has up to two, in two slots. A new one takes the place of one of them and is not believed in before it was
//! read back ([`crate::Reader::check_snapshot`]); once it is confirmed it stands in both. So at every moment one copy may
//! be damaged and nothing is lost (D8).

use crate::column::{self, ChangeRow, EntityRow};
use crate::entity::FoundEntity;
use crate::error::{EntityError, StoreError};
use crate::settle::known;
use crate::store::Store;
use crate::transaction::{WriteTransaction, row, rows};
use afield_core::{ChangeHash, Durable, EntityId};
use rusqlite::{Connection, Row};

/// A saved document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its heads.
    pub heads: Vec<ChangeHash>,
    /// How many changes it holds.
    pub changes: u64,
    /// The saved bytes.
    pub bytes: Vec<u8>,
}

/// A snapshot in its place, with a digest that fits.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    pub(crate) upto: ChangeRow,
    pub(crate) digest: [u8; 32],
    pub(crate) snapshot: Snapshot,
}

/// Which slot to read first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum First {
    /// The one that holds most.
    Newest,
    /// One that was read back. One that was not may do, too, where only a hash is asked for.
    Confirmed,
}

impl Store {
    /// Keeps a saved document, to open the entity quickly. It must hold every applied change of the entity and no other,
    /// which is checked by number; the changes themselves stay until [`Store::cover`].
    ///
    /// # Errors
    ///
    /// [`EntityError::SnapshotDiffers`] when changes were applied since it was saved; [`EntityError::UnknownEntity`],
    /// or the storage failed.
    pub fn save_snapshot(&mut self, entity: EntityId, snapshot: &Snapshot) -> Result<Durable<()>, EntityError> {
        self.write(|transaction| {
            let found = known(transaction, entity)?;
            // What is received and not part of it yet stays above it.
            let sql = "SELECT coalesce(max(change_row), 0), count(*) FROM changes WHERE entity_row = ?1 AND change_row
                       NOT IN (SELECT change_row FROM changes WHERE state <> 0 AND state IN (1, 2, 3) AND entity_row = ?1)";
            let counted = transaction.row(sql, [found.row], |row| Ok((row.get(0)?, column::count(row, 1)?)))?;
            let (upto, stored): (ChangeRow, u64) = counted.unwrap_or((ChangeRow(0), 0));
            if stored != snapshot.changes {
                return Err(EntityError::SnapshotDiffers { snapshot: snapshot.changes, stored });
            }
            let slot = transaction.read(|connection| slot_to_replace(connection, found.row, entity))?;
            let sql = "INSERT OR REPLACE INTO snapshots (entity_row, slot, confirmed, upto, changes, heads, digest, bytes)
                       VALUES (?, ?, 0, ?, ?, ?, ?, ?)";
            let changes = i64::try_from(stored).unwrap_or(i64::MAX);
            let digest = digest(entity, upto, snapshot);
            let heads = column::hashes_sql(&snapshot.heads);
            transaction.execute(sql, (found.row, slot, upto, changes, heads, digest, &snapshot.bytes))?;
            Ok(())
        })
    }

    /// Forgets what was saved of an entity, which costs nothing but a slower opening. What covers changes stays.
    ///
    /// # Errors
    ///
    /// [`EntityError::UnknownEntity`], or the storage failed.
    pub fn drop_snapshot(&mut self, entity: EntityId) -> Result<Durable<()>, EntityError> {
        self.write(|transaction| {
            let found = known(transaction, entity)?;
            let sql = "DELETE FROM snapshots WHERE entity_row = ?1
                       AND (NOT EXISTS (SELECT 1 FROM changes WHERE entity_row = ?1 AND covered = 1)
                       OR confirmed = 0 AND EXISTS (SELECT 1 FROM snapshots WHERE entity_row = ?1 AND confirmed = 1))";
            transaction.execute(sql, [found.row])?;
            Ok(())
        })
    }
}

/// The newest snapshot whose digest fits; `None` where there is none and none is needed.
///
/// # Errors
///
/// [`StoreError::SnapshotDamaged`] when changes are covered and nothing is left that holds them.
pub(crate) fn newest(
    connection: &Connection,
    found: &FoundEntity,
    entity: EntityId,
) -> Result<Option<Slot>, StoreError> {
    let (mut fits, mut is_damaged) = (None, false);
    each_sound(connection, found.row, entity, First::Newest, |slot| {
        is_damaged |= slot.is_none();
        fits = slot;
        fits.is_none()
    })?;
    let covered = |above: ChangeRow| {
        let sql = "SELECT 1 FROM changes WHERE entity_row = ? AND covered = 1 AND change_row > ? LIMIT 1";
        Ok::<_, StoreError>(row(connection, sql, (found.row, above), |_| Ok(()))?.is_some())
    };
    if is_damaged {
        tracing::warn!(%entity, "a saved document is damaged; its other copy, or the changes themselves, are read");
    }
    // Only where something is amiss can a change be covered by nothing that is left.
    let is_lost = match &fits {
        None => covered(ChangeRow(0))?,
        Some(slot) => is_damaged && covered(slot.upto)?,
    };
    if is_lost { Err(StoreError::SnapshotDamaged { entity }) } else { Ok(fits) }
}

/// Shows the snapshots of an entity, `None` for one that is damaged, until told to stop.
pub(crate) fn each_sound(
    connection: &Connection,
    entity_row: EntityRow,
    entity: EntityId,
    first: First,
    mut go_on: impl FnMut(Option<Slot>) -> bool,
) -> Result<(), StoreError> {
    let sql = match first {
        First::Newest => {
            "SELECT upto, changes, heads, digest, bytes FROM snapshots WHERE entity_row = ?
             ORDER BY upto DESC, snapshot_row DESC"
        }
        First::Confirmed => {
            "SELECT upto, changes, heads, digest, bytes FROM snapshots WHERE entity_row = ?
             ORDER BY confirmed DESC, upto DESC, snapshot_row DESC"
        }
    };
    let mut statement = connection.prepare_cached(sql)?;
    let mut found = statement.query([entity_row])?;
    while let Some(row) = found.next()? {
        if !go_on(sound(row, entity)) {
            break;
        }
    }
    Ok(())
}

/// A slot whose digest fits. What is not even of the right type is damaged, too.
fn sound(row: &Row<'_>, entity: EntityId) -> Option<Slot> {
    let read = || {
        let (changes, heads) = (column::count(row, 1)?, column::hashes(row, 2)?);
        let (upto, digest) = (row.get(0)?, row.get(3)?);
        Ok::<_, rusqlite::Error>(Slot { upto, digest, snapshot: Snapshot { heads, changes, bytes: row.get(4)? } })
    };
    read().ok().filter(|slot| slot.digest == digest(entity, slot.upto, &slot.snapshot))
}

/// Where the next snapshot goes: into the place that is worth least, and never into the last that is sound.
fn slot_to_replace(connection: &Connection, entity_row: EntityRow, entity: EntityId) -> Result<i64, StoreError> {
    let sql = "SELECT upto, changes, heads, digest, bytes, slot, confirmed FROM snapshots WHERE entity_row = ?";
    let found = rows(connection, sql, [entity_row], |row| {
        let worth = if sound(row, entity).is_none() { Worth::None } else { Worth::of(row.get(6)?) };
        Ok((row.get::<_, i64>(5)?, worth))
    })?;
    let worth = |number: i64| found.iter().find(|(slot, _)| *slot == number).map_or(Worth::None, |(_, worth)| *worth);
    Ok(i64::from(worth(1) < worth(0)))
}

/// What would be lost with a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    None,
    Unconfirmed,
    Confirmed,
}

impl Worth {
    fn of(is_confirmed: bool) -> Self {
        if is_confirmed { Self::Confirmed } else { Self::Unconfirmed }
    }
}

fn digest(entity: EntityId, upto: ChangeRow, snapshot: &Snapshot) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(entity.as_bytes());
    hasher.update(&upto.0.to_le_bytes());
    hasher.update(&snapshot.changes.to_le_bytes());
    hasher.update(&(snapshot.heads.len() as u64).to_le_bytes());
    for head in &snapshot.heads {
        hasher.update(&head.0);
    }
    hasher.update(&snapshot.bytes);
    *hasher.finalize().as_bytes()
}

/// Forgets the snapshots that hold a change which is no longer part of the document.
///
/// # Errors
///
/// [`EntityError::Covered`] when changes are covered by one of them: they would be lost with it.
pub(crate) fn forget_those_with(
    transaction: &mut WriteTransaction<'_>,
    entity: &FoundEntity,
    id: EntityId,
    (change, hash): (ChangeRow, ChangeHash),
) -> Result<(), EntityError> {
    let is_needed = transaction.read(|connection| {
        let sql = "SELECT max(change_row) FROM changes WHERE entity_row = ? AND covered = 1";
        let covered = row(connection, sql, [entity.row], |row| row.get::<_, Option<ChangeRow>>(0))?.flatten();
        let Some(covered) = covered else { return Ok(false) };
        let mut stays = false;
        each_sound(connection, entity.row, id, First::Confirmed, |slot| {
            stays = slot.is_some_and(|slot| slot.upto >= covered && slot.upto < change);
            !stays
        })?;
        Ok(!stays)
    })?;
    if is_needed {
        return Err(EntityError::Covered { entity: id, hash });
    }
    transaction.execute("DELETE FROM snapshots WHERE entity_row = ? AND upto >= ?", (entity.row, change))?;
    Ok(())
}
