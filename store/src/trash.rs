//! The trash: what is deleted, and is purged once it has been so for as long as its space keeps anything.

use crate::column;
use crate::error::{PurgeError, StoreError};
use crate::reader::Reader;
use crate::space;
use crate::store::Store;
use crate::transaction::{row, rows};
use afield_core::{Durable, EntityId, SpaceId};
use rusqlite::Connection;

/// What of the trash of a space has been there for long enough.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expired {
    /// Entities that may be purged, in the order of their ids.
    pub entities: Vec<EntityId>,
    /// Those of which is not known whether somebody edited them beside their deletion: whoever holds the documents works it out
    /// ([`Store::put_conflicts`]).
    pub unclear: Vec<EntityId>,
}

/// The deleted entities of a space that are old enough by what happened to them, of which nothing waits to be merged and whose projection
/// is current.
const DELETED: &str = "SELECT entity_row, entity FROM projections JOIN entities USING (entity_row)
     WHERE projections.space_row = (SELECT space_row FROM spaces WHERE space = ?1) AND deleted = 1 AND stale = 0 AND updated_ms <= ?2
     AND NOT EXISTS (SELECT 1 FROM changes WHERE state <> 0 AND state = 1 AND changes.entity_row = projections.entity_row)";

impl Store {
    /// Says for how long what is deleted in a space is kept, in milliseconds; `None` for ever.
    ///
    /// # Errors
    ///
    /// [`PurgeError::UnknownSpace`], or the storage failed.
    pub fn set_trash_retention(&mut self, space: SpaceId, keep_ms: Option<u64>) -> Result<Durable<()>, PurgeError> {
        self.write(|transaction| {
            let (space_row, _) = space::find(transaction, space)?.ok_or(PurgeError::UnknownSpace { space })?;
            transaction.execute("DELETE FROM trash WHERE space_row = ?", [space_row])?;
            if let Some(keep_ms) = keep_ms {
                let keep_ms = i64::try_from(keep_ms).unwrap_or(i64::MAX);
                let sql = "INSERT INTO trash (space_row, retention_ms) VALUES (?, ?)";
                transaction.execute(sql, (space_row, keep_ms))?;
            }
            Ok(())
        })
    }

    /// The deleted entities of a space to which nothing happened after `before_ms`, and which this device has known as deleted
    /// since then, both in milliseconds since the Unix epoch: so neither the clock of whoever deleted them nor that of this device takes
    /// them away early by itself (S4). What somebody edited beside the deletion is left to people.
    ///
    /// What is deleted is known as such from the first call on; the transaction is not synced, since the next one would note it again.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn expired(&mut self, space: SpaceId, before_ms: i64, now_ms: i64) -> Result<Expired, StoreError> {
        self.write_unsynced(|transaction| {
            let sql = "INSERT OR IGNORE INTO trashed (entity_row, known_ms) SELECT entity_row, ?2 FROM projections
                       WHERE space_row = (SELECT space_row FROM spaces WHERE space = ?1) AND deleted = 1";
            transaction.execute(sql, (space.as_bytes(), now_ms))?;
            transaction.read(|connection| expired(connection, space, before_ms))
        })
    }
}

impl Reader {
    /// For how long what is deleted in a space is kept, in milliseconds; `None` for ever.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn trash_retention(&self, space: SpaceId) -> Result<Option<u64>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT retention_ms FROM trash JOIN spaces USING (space_row) WHERE space = ?";
            row(connection, sql, [space.as_bytes()], |row| column::count(row, 0))
        })
    }

    /// The deleted entities of a space to which nothing happened after a moment, in milliseconds since the Unix epoch, in the order of
    /// their ids. One that has moved on without its projection, or of which something waits to be merged, is not among them.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn deleted_before(&self, space: SpaceId, before_ms: i64) -> Result<Vec<EntityId>, StoreError> {
        let sql = format!("SELECT entity FROM ({DELETED}) ORDER BY entity");
        self.read(|connection| rows(connection, &sql, (space.as_bytes(), before_ms), |row| column::entity(row, 0)))
    }
}

fn expired(connection: &Connection, space: SpaceId, before_ms: i64) -> Result<Expired, StoreError> {
    let sql = format!(
        "SELECT entity, EXISTS (SELECT 1 FROM conflicts_stale WHERE conflicts_stale.entity_row = found.entity_row)
         FROM ({DELETED}) AS found JOIN trashed USING (entity_row)
         WHERE known_ms <= ?2 AND NOT EXISTS (SELECT 1 FROM conflicts WHERE conflicts.entity_row = found.entity_row
         AND json ->> '$.kind' = 'entity') ORDER BY entity"
    );
    let read = |row: &rusqlite::Row<'_>| Ok((column::entity(row, 0)?, row.get(1)?));
    let found: Vec<(EntityId, bool)> = rows(connection, &sql, (space.as_bytes(), before_ms), read)?;
    let (unclear, clear): (Vec<_>, Vec<_>) = found.into_iter().partition(|(_, is_stale)| *is_stale);
    let ids = |found: Vec<(EntityId, bool)>| found.into_iter().map(|(entity, _)| entity).collect();
    Ok(Expired { entities: ids(clear), unclear: ids(unclear) })
}
