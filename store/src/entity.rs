//! Entities, their changes as rows, and their projections: what appending, receiving and settling share.

use crate::column::{self, ChangeState, EntityRow, SpaceRow, sequence_sql};
use crate::directions;
use crate::error::StoreError;
use crate::transaction::{WriteTransaction, row};
use afield_core::policy::Direction;
use afield_core::{ChangeHash, Collection, EntityId, Sequence, SpaceId};
use rusqlite::Connection;
use std::collections::BTreeMap;

/// What a document reads as, kept beside it for queries. It is a function of the document (D9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Projection {
    /// The document as JSON text.
    pub json: String,
    /// Whether the entity counts as deleted.
    pub deleted: bool,
    /// When it was last changed, in milliseconds since the Unix epoch, as the document says.
    pub updated_ms: i64,
}

/// Where an entity lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityHome {
    /// Its space.
    pub space: SpaceId,
    /// Its collection.
    pub collection: Collection,
}

/// An entity's row and home, as one transaction sees them.
#[derive(Debug, Clone)]
pub(crate) struct FoundEntity {
    pub(crate) row: EntityRow,
    pub(crate) space_row: SpaceRow,
    pub(crate) home: EntityHome,
    /// Which way the changes of its collection go.
    pub(crate) direction: Direction,
}

/// The entities that a transaction has met, so that each is looked up once.
#[derive(Debug, Default)]
pub(crate) struct MetEntities(BTreeMap<EntityId, FoundEntity>);

impl MetEntities {
    /// The entity, made in this space and collection when the store does not know it.
    pub(crate) fn find_or_create(
        &mut self,
        transaction: &mut WriteTransaction<'_>,
        entity: EntityId,
        (space, space_row): (SpaceId, SpaceRow),
        collection: &Collection,
    ) -> Result<FoundEntity, StoreError> {
        if let Some(found) = self.find(transaction, entity)? {
            return Ok(found);
        }
        let sql = "INSERT INTO entities (space_row, entity, collection) VALUES (?, ?, ?) RETURNING entity_row";
        let row = transaction.insert(sql, (space_row, entity.as_bytes(), collection.as_str()))?;
        let home = EntityHome { space, collection: collection.clone() };
        let direction = directions::of_collection(transaction, space_row, collection)?;
        let made = FoundEntity { row: EntityRow(row), space_row, home, direction };
        self.0.insert(entity, made.clone());
        Ok(made)
    }

    /// Forgets an entity that was removed.
    pub(crate) fn forget(&mut self, entity: EntityId) {
        self.0.remove(&entity);
    }

    /// The entity, when the store knows it.
    pub(crate) fn find(
        &mut self,
        transaction: &mut WriteTransaction<'_>,
        entity: EntityId,
    ) -> Result<Option<FoundEntity>, StoreError> {
        if let Some(found) = self.0.get(&entity) {
            return Ok(Some(found.clone()));
        }
        let found = transaction.read(|connection| find(connection, entity))?;
        if let Some(found) = &found {
            self.0.insert(entity, found.clone());
        }
        Ok(found)
    }
}

/// The entity, when the store knows it.
pub(crate) fn find(connection: &Connection, entity: EntityId) -> Result<Option<FoundEntity>, StoreError> {
    let sql = "SELECT entity_row, space_row, space, collection, direction FROM entities JOIN spaces USING (space_row)
               LEFT JOIN directions USING (space_row, collection) WHERE entity = ?";
    row(connection, sql, [entity.as_bytes()], |row| {
        let home = EntityHome { space: column::space(row, 2)?, collection: column::collection(row, 3)? };
        let direction = directions::direction(row, 4)?;
        Ok(FoundEntity { row: row.get(0)?, space_row: row.get(1)?, home, direction })
    })
}

/// Where a change comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Provenance {
    /// It was made or brought here, and no relay is known to have it.
    Here,
    /// It stands in the log: the mark where that is at or below the cursor.
    Log(Option<Sequence>),
}

/// Remembers which numbers of changes were given, before some of them are removed; the parameter is whose they are.
pub(crate) const KEEP_NUMBERS: &str = "UPDATE change_floor SET change_row = max(change_row,
     (SELECT coalesce(max(change_row), 0) FROM changes)) WHERE ? IS NOT NULL";

/// Adds a change unless it is held already; says whether it is new.
pub(crate) fn insert_change(
    transaction: &mut WriteTransaction<'_>,
    entity: &FoundEntity,
    (hash, bytes): (ChangeHash, &[u8]),
    (state, provenance): (ChangeState, Provenance),
    at_ms: i64,
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO changes (change_row, entity_row, space_row, hash, state, sequence, at_ms, size, logged, held)
               VALUES (max((SELECT coalesce(max(change_row), 0) FROM changes), (SELECT change_row FROM change_floor)) + 1,
               ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (entity_row, hash) DO NOTHING";
    let sequence = match provenance {
        Provenance::Here => None,
        Provenance::Log(mark) => mark.map(sequence_sql),
    };
    let logged = sequence.is_none() && provenance != Provenance::Here;
    let held = sequence.is_none() && directions::holds(entity.direction, logged);
    let size = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let values = (entity.row, entity.space_row, hash.0, state, sequence, at_ms, size, logged, held);
    if transaction.execute(sql, values)? == 0 {
        return Ok(false);
    }
    transaction.execute("INSERT INTO bodies (change_row, bytes) VALUES (last_insert_rowid(), ?)", [bytes])?;
    Ok(true)
}

/// Marks a change of this entity; says whether it is held. A mark that stands already stays.
pub(crate) fn mark_change(
    transaction: &mut WriteTransaction<'_>,
    entity: &FoundEntity,
    hash: ChangeHash,
    sequence: Sequence,
) -> Result<bool, StoreError> {
    let sql = "SELECT sequence IS NOT NULL FROM changes WHERE entity_row = ? AND hash = ?";
    let Some(is_marked) = transaction.row(sql, (entity.row, hash.0), |row| row.get::<_, bool>(0))? else {
        return Ok(false);
    };
    if !is_marked {
        let sql = "UPDATE changes SET sequence = ?3, held = 0 WHERE entity_row = ?1 AND hash = ?2";
        transaction.execute(sql, (entity.row, hash.0, sequence_sql(sequence)))?;
    }
    Ok(true)
}

/// Notes that a change that is held stands in the log above the cursor: it is no secret of this device any more.
pub(crate) fn note_logged(
    transaction: &mut WriteTransaction<'_>,
    entity: &FoundEntity,
    hash: ChangeHash,
) -> Result<(), StoreError> {
    let sql = "UPDATE changes SET logged = 1, held = ?3 WHERE entity_row = ?1 AND hash = ?2 AND sequence IS NULL AND logged = 0";
    let held = directions::holds(entity.direction, true);
    transaction.execute(sql, (entity.row, hash.0, held))?;
    Ok(())
}

/// Writes what the document reads as now.
pub(crate) fn project(
    transaction: &mut WriteTransaction<'_>,
    entity: &FoundEntity,
    projection: &Projection,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO projections (entity_row, space_row, collection, stale, deleted, updated_ms, json)
               VALUES (?, ?, ?, 0, ?, ?, ?)
               ON CONFLICT (entity_row) DO UPDATE SET stale = 0, deleted = excluded.deleted,
               updated_ms = excluded.updated_ms, json = excluded.json";
    let Projection { json, deleted, updated_ms } = projection;
    let collection = entity.home.collection.as_str();
    transaction.execute(sql, (entity.row, entity.space_row, collection, deleted, updated_ms, json))?;
    Ok(())
}

/// Says in the same transaction that the document has moved on without its projection.
pub(crate) fn make_stale(
    transaction: &mut WriteTransaction<'_>,
    entity: &FoundEntity,
    at_ms: i64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO projections (entity_row, space_row, collection, stale, deleted, updated_ms, json)
               VALUES (?, ?, ?, 1, 0, ?, NULL)
               ON CONFLICT (entity_row) DO UPDATE SET stale = 1 WHERE stale = 0";
    transaction.execute(sql, (entity.row, entity.space_row, entity.home.collection.as_str(), at_ms))?;
    Ok(())
}
