//! What was deleted here and waits to be sent, and what the outbox would send.

use crate::column::{self, SpaceRow};
use crate::entity::{self, EntityHome, FoundEntity};
use crate::error::StoreError;
use crate::reader::Reader;
use crate::transaction::{WriteTransaction, rows};
use afield_core::erasure::ERASURE_BYTES;
use afield_core::{ChangeHash, Collection, EntityId, Erasure, SpaceId};
use rusqlite::Connection;
use std::collections::BTreeMap;

/// For how long what was sent still counts beside what is to be sent, in milliseconds: a minute. So a device that deletes one entity
/// after another while its session stands is stopped as one is that deletes them all at once.
pub(crate) const DELETIONS_COUNT_MS: i64 = 60_000;

/// What was deleted or purged here and is not known to be on a relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsentDeletion {
    /// The entity.
    pub entity: EntityId,
    /// Its collection.
    pub collection: Collection,
    /// Whether it was purged.
    pub is_purge: bool,
    /// The change that deleted it, or what stands for its erasure record.
    pub hash: ChangeHash,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Whether somebody has confirmed it.
    pub is_confirmed: bool,
}

/// What the outbox holds of one entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedPush {
    /// The entity.
    pub entity: EntityId,
    /// Its collection.
    pub collection: Collection,
    /// Changes; 0 where it was purged.
    pub changes: u64,
    /// Their bytes, as they are stored, or those of the erasure record.
    pub bytes: u64,
    /// Whether it was purged.
    pub is_purge: bool,
    /// Whether nothing of it is known to have been on a relay.
    pub is_new: bool,
}

impl Reader {
    /// What was deleted or purged here, in a space, and is not known to be on a relay, in the order of ids. The deletion of an entity of
    /// which nothing is known to be on a relay is not among it: nobody loses anything by that. A purge always is, since what a relay
    /// has is not always known yet, and afterwards nobody could ask.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn unsent_deletions(&self, space: SpaceId) -> Result<Vec<UnsentDeletion>, StoreError> {
        self.read(|connection| unsent(connection, space))
    }

    /// Where an entity lives; `None` where the store does not know it.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn home(&self, entity: EntityId) -> Result<Option<EntityHome>, StoreError> {
        Ok(self.read(|connection| entity::find(connection, entity))?.map(|found| found.home))
    }

    /// The changes of an entity that no relay is known to have, and whether each is held back here.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn only_here(&self, entity: EntityId) -> Result<BTreeMap<ChangeHash, bool>, StoreError> {
        let sql = "SELECT hash, held FROM changes JOIN entities USING (entity_row)
                   WHERE entity = ?1 AND sequence IS NULL AND logged = 0";
        let found = self.read(|connection| {
            rows(connection, sql, [entity.as_bytes()], |row| Ok((column::change_hash(row, 0)?, row.get(1)?)))
        })?;
        Ok(found.into_iter().collect())
    }

    /// What the outbox of a space holds, by entity, in the order of ids; what is kept back there, too, since each session tries that
    /// again.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn planned_pushes(&self, space: SpaceId) -> Result<Vec<PlannedPush>, StoreError> {
        self.read(|connection| {
            let mut planned = BTreeMap::new();
            for covered in [0, 1] {
                for push in rows(connection, &unsent_of(covered), [space.as_bytes()], push)? {
                    let entity: EntityId = push.entity;
                    let known = planned.entry(entity).or_insert(PlannedPush { changes: 0, bytes: 0, ..push.clone() });
                    (known.changes, known.bytes) = (known.changes + push.changes, known.bytes + push.bytes);
                }
            }
            let sql = "SELECT entity, collection FROM erasures
                       WHERE space_row = (SELECT space_row FROM spaces WHERE space = ?1) AND sequence IS NULL AND held = 0";
            let purges = rows(connection, sql, [space.as_bytes()], |row| {
                let (entity, collection) = (column::entity(row, 0)?, column::collection(row, 1)?);
                Ok(PlannedPush {
                    entity,
                    collection,
                    changes: 0,
                    bytes: ERASURE_BYTES as u64,
                    is_purge: true,
                    is_new: false,
                })
            })?;
            planned.extend(purges.into_iter().map(|purge| (purge.entity, purge)));
            Ok(planned.into_values().collect())
        })
    }
}

/// What of the outbox is covered by a snapshot, or is not; each is read along an index of its own.
fn unsent_of(covered: u8) -> String {
    format!(
        "SELECT entity, collection, count(*), sum(size), NOT EXISTS
         (SELECT 1 FROM changes AS other WHERE other.entity_row = changes.entity_row
          AND (other.sequence IS NOT NULL OR other.logged = 1))
         FROM changes JOIN entities USING (entity_row)
         WHERE changes.space_row = (SELECT space_row FROM spaces WHERE space = ?1)
         AND sequence IS NULL AND held = 0 AND covered = {covered}
         GROUP BY changes.entity_row"
    )
}

fn push(row: &rusqlite::Row<'_>) -> rusqlite::Result<PlannedPush> {
    Ok(PlannedPush {
        entity: column::entity(row, 0)?,
        collection: column::collection(row, 1)?,
        changes: column::count(row, 2)?,
        bytes: column::count(row, 3)?,
        is_purge: false,
        is_new: row.get(4)?,
    })
}

pub(crate) fn unsent(connection: &Connection, space: SpaceId) -> Result<Vec<UnsentDeletion>, StoreError> {
    let sql = "SELECT entity, collection, purge, hash, at_ms, confirmed FROM deletions
               WHERE space_row = (SELECT space_row FROM spaces WHERE space = ?1) AND sent = 0
               AND (purge = 1 OR EXISTS
                    (SELECT 1 FROM changes WHERE changes.entity_row = deletions.entity_row
                     AND (sequence IS NOT NULL OR logged = 1)))
               AND NOT EXISTS (SELECT 1 FROM changes WHERE changes.entity_row = deletions.entity_row
                               AND changes.hash = deletions.hash AND held = 1)
               AND NOT EXISTS (SELECT 1 FROM erasures WHERE erasures.space_row = deletions.space_row
                               AND erasures.entity = deletions.entity AND held = 1)
               ORDER BY entity";
    rows(connection, sql, [space.as_bytes()], |row| {
        Ok(UnsentDeletion {
            entity: column::entity(row, 0)?,
            collection: column::collection(row, 1)?,
            is_purge: row.get(2)?,
            hash: column::change_hash(row, 3)?,
            at_ms: row.get(4)?,
            is_confirmed: row.get(5)?,
        })
    })
}

/// Notes that a change deletes an entity that was there; call it before the projection that says so is stored.
pub(crate) fn note_deletion(
    transaction: &mut WriteTransaction<'_>,
    entity: &FoundEntity,
    (id, hash): (EntityId, ChangeHash),
    at_ms: i64,
) -> Result<(), StoreError> {
    forget_counted(transaction, at_ms)?;
    let sql = "INSERT INTO deletions (space_row, entity, entity_row, collection, purge, hash, at_ms)
               SELECT space_row, ?2, entity_row, collection, 0, ?3, ?4 FROM projections
               WHERE entity_row = ?1 AND deleted = 0
               ON CONFLICT (space_row, entity) DO UPDATE SET hash = excluded.hash, confirmed = 0, sent = 0,
               at_ms = excluded.at_ms";
    transaction.execute(sql, (entity.row, id.as_bytes(), hash.0, at_ms))?;
    Ok(())
}

/// Notes that an entity was purged here, of which nothing else is left.
pub(crate) fn note_purge(
    transaction: &mut WriteTransaction<'_>,
    space: SpaceRow,
    (record, collection): (Erasure, &Collection),
    at_ms: i64,
) -> Result<(), StoreError> {
    forget_counted(transaction, at_ms)?;
    let sql = "INSERT INTO deletions (space_row, entity, collection, purge, hash, at_ms) VALUES (?, ?, ?, 1, ?, ?)
               ON CONFLICT (space_row, entity) DO NOTHING";
    let values = (space, record.entity.as_bytes(), collection.as_str(), record.hash().0, at_ms);
    transaction.execute(sql, values)?;
    Ok(())
}

pub(crate) const FORGET_COUNTED: &str = "DELETE FROM deletions WHERE sent = 1 AND at_ms < ?";

/// Forgets what was sent so long ago that it counts no more.
fn forget_counted(transaction: &mut WriteTransaction<'_>, at_ms: i64) -> Result<(), StoreError> {
    transaction.execute(FORGET_COUNTED, [at_ms.saturating_sub(DELETIONS_COUNT_MS)])?;
    Ok(())
}
