//! What people have to decide about entities, kept beside the documents for lists and counts (D9).
//!
//! Whoever holds a document works its conflicts out; here they are rows that are current or said to be stale. Both are told in the
//! transaction that stores the change: what came from elsewhere can begin a conflict, and what was edited here, knowing all that
//! the document holds, can only end one. So an edit of an entity without conflicts costs one look at an index.

use crate::column::{self, EntityRow};
use crate::entity::EntityHome;
use crate::error::{EntityError, StoreError};
use crate::reader::Reader;
use crate::settle::known;
use crate::store::Store;
use crate::transaction::{WriteTransaction, row, rows};
use afield_core::{Collection, EntityId, SpaceId};
use rusqlite::Connection;

/// How many bytes name a conflict.
pub const CONFLICT_BYTES: usize = 16;

/// A conflict of an entity, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictRow {
    /// Its name.
    pub conflict: [u8; CONFLICT_BYTES],
    /// What it is, as JSON text.
    pub json: String,
}

/// A conflict in a list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedConflict {
    /// The entity.
    pub entity: EntityId,
    /// Its space and collection.
    pub home: EntityHome,
    /// The conflict.
    pub row: ConflictRow,
}

/// Which conflicts to list: those of a space, of one of its collections, of one entity.
#[derive(Debug, Clone, Copy)]
pub struct ConflictQuery<'a> {
    /// The space.
    pub space: SpaceId,
    /// Only those of this collection.
    pub collection: Option<&'a Collection>,
    /// Only those of this entity.
    pub entity: Option<EntityId>,
}

impl Store {
    /// Writes the conflicts of entities in the place of those that were known of them, in one transaction.
    ///
    /// The transaction is not synced: what a power failure takes back is stale again.
    ///
    /// # Errors
    ///
    /// [`EntityError::UnknownEntity`] with nothing stored; or the storage failed.
    pub fn put_conflicts(&mut self, entities: &[(EntityId, Vec<ConflictRow>)]) -> Result<(), EntityError> {
        self.write_unsynced(|transaction| {
            for (entity, conflicts) in entities {
                let found = known(transaction, *entity)?;
                put(transaction, found.row, conflicts)?;
            }
            Ok(())
        })
    }

    /// Whether conflicts of an entity are stored, or it is not known whether there are any.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn may_have_conflicts(&self, entity: EntityId) -> Result<bool, StoreError> {
        let sql = "WITH this AS (SELECT entity_row FROM entities WHERE entity = ?)
                   SELECT EXISTS (SELECT 1 FROM conflicts JOIN this USING (entity_row))
                   OR EXISTS (SELECT 1 FROM conflicts_stale JOIN this USING (entity_row))";
        Ok(self.read(|connection| row(connection, sql, [entity.as_bytes()], |row| row.get(0)))?.unwrap_or(false))
    }
}

impl Reader {
    /// Conflicts as they are stored, in the order of collections, entities and places; none of an entity that is stale
    /// ([`Reader::entities_with_stale_conflicts`]) can be relied upon.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn conflicts(&self, query: &ConflictQuery<'_>) -> Result<Vec<ListedConflict>, StoreError> {
        let ConflictQuery { space, collection, entity } = query;
        self.read(|connection| {
            let sql = format!(
                "SELECT entity, ?1, collection, conflict, json {} ORDER BY collection, entity, place",
                asked("conflicts", *entity)
            );
            let values =
                (space.as_bytes(), collection.map(Collection::as_str), entity.as_ref().map(EntityId::as_bytes));
            rows(connection, &sql, values, |row| {
                let home = EntityHome { space: column::space(row, 1)?, collection: column::collection(row, 2)? };
                let row_of = ConflictRow { conflict: row.get(3)?, json: row.get(4)? };
                Ok(ListedConflict { entity: column::entity(row, 0)?, home, row: row_of })
            })
        })
    }

    /// The entities whose conflicts are older than their documents, of those that a query names, in the order of their ids.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn entities_with_stale_conflicts(
        &self,
        query: &ConflictQuery<'_>,
    ) -> Result<Vec<(EntityId, Collection)>, StoreError> {
        let ConflictQuery { space, collection, entity } = query;
        self.read(|connection| {
            let sql = format!("SELECT entity, collection {} ORDER BY entity", asked("conflicts_stale", *entity));
            let values =
                (space.as_bytes(), collection.map(Collection::as_str), entity.as_ref().map(EntityId::as_bytes));
            rows(connection, &sql, values, |row| Ok((column::entity(row, 0)?, column::collection(row, 1)?)))
        })
    }

    /// How many conflicts of a space are stored.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn conflict_count(&self, space: SpaceId) -> Result<u64, StoreError> {
        self.read(|connection| count(connection, "conflicts", space))
    }

    /// How many entities of a space there are whose conflicts are older than their documents, as
    /// [`Reader::entities_with_stale_conflicts`] lists them.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn conflicts_behind(&self, space: SpaceId) -> Result<u64, StoreError> {
        self.read(|connection| count(connection, "conflicts_stale", space))
    }
}

/// The part of a query that finds the rows of a space, a collection or an entity in one of the tables of conflicts. Few entities have
/// any, so these are gone through and not the entities, whatever the planner thinks of their number.
pub(crate) fn asked(table: &str, entity: Option<EntityId>) -> String {
    let from = match entity {
        None => format!("FROM {table} CROSS JOIN entities USING (entity_row) WHERE ?3 IS NULL"),
        Some(_) => format!("FROM entities CROSS JOIN {table} USING (entity_row) WHERE entity = ?3"),
    };
    format!(
        "{from} AND entities.space_row = (SELECT space_row FROM spaces WHERE space = ?1)
         AND (?2 IS NULL OR collection = ?2)"
    )
}

/// The rows of a space in one of the tables of conflicts.
fn count(connection: &Connection, table: &str, space: SpaceId) -> Result<u64, StoreError> {
    let sql = format!(
        "SELECT count(*) FROM {table} CROSS JOIN entities USING (entity_row)
         WHERE space_row = (SELECT space_row FROM spaces WHERE space = ?)"
    );
    Ok(row(connection, &sql, [space.as_bytes()], |row| column::count(row, 0))?.unwrap_or(0))
}

/// Writes the conflicts of an entity in the place of those that were known.
pub(crate) fn put(
    transaction: &mut WriteTransaction<'_>,
    entity: EntityRow,
    conflicts: &[ConflictRow],
) -> Result<(), StoreError> {
    transaction.execute("DELETE FROM conflicts WHERE entity_row = ?", [entity])?;
    transaction.execute("DELETE FROM conflicts_stale WHERE entity_row = ?", [entity])?;
    let sql = "INSERT INTO conflicts (entity_row, place, conflict, json) VALUES (?, ?, ?, ?)";
    for (place, ConflictRow { conflict, json }) in (0_i64..).zip(conflicts) {
        transaction.execute(sql, (entity, place, conflict, json))?;
    }
    Ok(())
}

/// Says that something came into a document that its author may not have known all of.
pub(crate) fn make_stale(transaction: &mut WriteTransaction<'_>, entity: EntityRow) -> Result<(), StoreError> {
    transaction.execute("INSERT OR IGNORE INTO conflicts_stale (entity_row) VALUES (?)", [entity])?;
    Ok(())
}

/// Says that a document was edited by somebody who knew all that it holds.
pub(crate) fn make_stale_if_any(transaction: &mut WriteTransaction<'_>, entity: EntityRow) -> Result<(), StoreError> {
    // Most have none, and are looked up only.
    let sql = "SELECT 1 FROM conflicts WHERE entity_row = ? LIMIT 1";
    if transaction.row(sql, [entity], |_| Ok(()))?.is_some() { make_stale(transaction, entity) } else { Ok(()) }
}
