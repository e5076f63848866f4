//! Opening an entity, and finding what has still to be applied.

use crate::column::{self, ChangeRow, ChangeState};
use crate::entity::{self, EntityHome, FoundEntity};
use crate::erase;
use crate::error::StoreError;
use crate::extract::Extracted;
use crate::snapshot::{self, Snapshot};
use crate::store::Store;
use crate::transaction::{row, rows};
use afield_core::{ChangeHash, Collection, EntityId, Sequence, SpaceId};
use rusqlite::Connection;

/// A change as the store holds it. The bytes are not verified here: whoever parses them compares with the hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredChange {
    /// The hash under which it was stored.
    pub hash: ChangeHash,
    /// What became of it.
    pub state: ChangeState,
    /// Where it stands in the log prefix that the cursor names; `None` while it is in the outbox.
    pub sequence: Option<Sequence>,
    /// When it was stored, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// What it takes to open an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntity {
    /// Its space.
    pub space: SpaceId,
    /// Its collection.
    pub collection: Collection,
    /// The saved document, if there is one and it was asked for.
    pub snapshot: Option<Snapshot>,
    /// In the order in which they came: the applied changes that the snapshot does not hold, and every change that is
    /// not applied.
    pub changes: Vec<StoredChange>,
}

/// What to open an entity from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadFrom {
    /// The snapshot, if there is one, and what came after it.
    Snapshot,
    /// Every change, for when the snapshot does not load or is not to be trusted (D8); covered ones out of the snapshot,
    /// where it is sound.
    Changes,
}

/// How much of one entity waits for dependencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WaitingSize {
    /// How many changes.
    pub changes: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Store {
    /// What it takes to open an entity; `None` when the store does not know it.
    ///
    /// # Errors
    ///
    /// The storage failed; nothing is ever answered as empty instead (D8).
    pub fn load(&self, entity: EntityId, from: LoadFrom) -> Result<Option<StoredEntity>, StoreError> {
        self.read(|connection| load(connection, entity, from))
    }

    /// Entities with changes that were received or wait for others, in the order of their ids: what has to be applied
    /// after a start.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn pending(&self, after: Option<EntityId>, limit: usize) -> Result<Vec<EntityId>, StoreError> {
        self.read(|connection| ids_after(connection, PENDING, after, limit))
    }

    /// Entities whose projection is older than their document, in the order of their ids.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn stale(&self, after: Option<EntityId>, limit: usize) -> Result<Vec<EntityId>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT entity FROM entities WHERE entity_row IN
                       (SELECT entity_row FROM projections WHERE stale = 1) AND entity > ? ORDER BY entity LIMIT ?";
            ids_after(connection, sql, after, limit)
        })
    }

    /// The changes of an entity that were received or wait for others, in the order in which they came: what the
    /// guarded apply has still to decide.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn unsettled(&self, entity: EntityId) -> Result<Vec<StoredChange>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT hash, state, sequence, at_ms, bytes FROM changes JOIN bodies USING (change_row)
                       WHERE state <> 0 AND state IN (1, 2) AND entity_row = (SELECT entity_row FROM entities WHERE entity = ?) ORDER BY change_row";
            rows(connection, sql, [entity.as_bytes()], stored_change)
        })
    }

    /// Every change and erasure record of a space that this device holds, with its mark; a record by its [`Erasure::hash`](afield_core::Erasure::hash).
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn marks(&self, space: SpaceId) -> Result<Vec<(EntityId, ChangeHash, Option<Sequence>)>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT entity, hash, changes.sequence FROM changes JOIN entities USING (entity_row)
                       JOIN spaces ON spaces.space_row = changes.space_row WHERE space = ? ORDER BY change_row";
            let mut marks = rows(connection, sql, [space.as_bytes()], |row| {
                Ok((column::entity(row, 0)?, column::change_hash(row, 1)?, column::mark(row, 2)?))
            })?;
            marks.extend(erase::marks(connection, space)?);
            Ok(marks)
        })
    }

    /// The space and the collection of an entity; `None` when the store does not know it.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn home(&self, entity: EntityId) -> Result<Option<EntityHome>, StoreError> {
        Ok(self.read(|connection| entity::find(connection, entity))?.map(|found| found.home))
    }

    /// Those of these changes that the store holds, in whatever state.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn held(&self, entity: EntityId, hashes: &[ChangeHash]) -> Result<Vec<ChangeHash>, StoreError> {
        self.read(|connection| {
            let Some(found) = entity::find(connection, entity)? else { return Ok(Vec::new()) };
            let sql = "SELECT 1 FROM changes WHERE entity_row = ? AND hash = ?";
            let mut statement = connection.prepare_cached(sql)?;
            let mut held = Vec::new();
            for hash in hashes {
                if statement.exists((found.row, hash.0))? {
                    held.push(*hash);
                }
            }
            Ok(held)
        })
    }

    /// One change; `None` when the store does not hold it. A covered one costs the loading of its entity's snapshot.
    ///
    /// # Errors
    ///
    /// [`StoreError::SnapshotDamaged`], or the storage failed.
    pub fn change(&self, entity: EntityId, hash: ChangeHash) -> Result<Option<StoredChange>, StoreError> {
        self.read(|connection| {
            let Some(found) = entity::find(connection, entity)? else { return Ok(None) };
            let sql = "SELECT hash, state, sequence, at_ms, bytes FROM changes LEFT JOIN bodies USING (change_row)
                       WHERE entity_row = ? AND hash = ?";
            let stored = row(connection, sql, (found.row, hash.0), stored_row)?;
            stored.map(|stored| with_bytes(connection, &found, entity, &mut None, stored)).transpose()
        })
    }

    /// What became of a change, and its mark; `None` when the store does not hold it. Its bytes are not read.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn standing(
        &self,
        entity: EntityId,
        hash: ChangeHash,
    ) -> Result<Option<(ChangeState, Option<Sequence>)>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT state, sequence FROM changes WHERE hash = ?2
                       AND entity_row = (SELECT entity_row FROM entities WHERE entity = ?1)";
            row(connection, sql, (entity.as_bytes(), hash.0), |row| Ok((row.get(0)?, column::sequence(row, 1)?)))
        })
    }

    /// How much of an entity waits for dependencies, against the limit on that.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn waiting(&self, entity: EntityId) -> Result<WaitingSize, StoreError> {
        self.read(|connection| {
            let size = row(connection, WAITING, [entity.as_bytes()], |row| {
                Ok(WaitingSize { changes: column::count(row, 0)?, bytes: column::count(row, 1)? })
            })?;
            Ok(size.unwrap_or_default())
        })
    }
}

// A partial index answers only where its own condition stands in the query, hence "state <> 0" beside what is meant.
pub(crate) const PENDING: &str = "SELECT entity FROM entities WHERE entity_row IN
    (SELECT entity_row FROM changes WHERE state <> 0 AND state IN (1, 2))
    AND entity > ? ORDER BY entity LIMIT ?";

pub(crate) const WAITING: &str = "SELECT count(*), coalesce(sum(size), 0) FROM changes WHERE state <> 0 AND state = 2
    AND entity_row = (SELECT entity_row FROM entities WHERE entity = ?)";

// Each of the two inner queries is answered by an index alone; together they name the rows in their order, so that no
// bytes are read that are not wanted and none are sorted.
pub(crate) const CHANGES: &str = "SELECT hash, state, sequence, at_ms, bytes
    FROM changes LEFT JOIN bodies USING (change_row) WHERE change_row IN
    (SELECT change_row FROM changes WHERE entity_row = ?1 AND change_row > ?2
    UNION SELECT change_row FROM changes WHERE state <> 0 AND state IN (1, 2, 3) AND entity_row = ?1)
    ORDER BY change_row";

pub(crate) fn load(
    connection: &Connection,
    entity: EntityId,
    from: LoadFrom,
) -> Result<Option<StoredEntity>, StoreError> {
    let Some(found) = entity::find(connection, entity)? else { return Ok(None) };
    let saved = match from {
        LoadFrom::Snapshot => snapshot::newest(connection, &found, entity)?,
        LoadFrom::Changes => None,
    };
    let (upto, snapshot) = saved.map_or((ChangeRow(0), None), |slot| (slot.upto, Some(slot.snapshot)));
    let stored = rows(connection, CHANGES, (found.row, upto), stored_row)?;
    let mut extracted = None;
    let with_bytes = |stored| with_bytes(connection, &found, entity, &mut extracted, stored);
    let changes = stored.into_iter().map(with_bytes).collect::<Result<_, _>>()?;
    let EntityHome { space, collection } = found.home;
    Ok(Some(StoredEntity { space, collection, snapshot, changes }))
}

/// A row of changes with its body, which a covered one does not have.
type StoredRow = (StoredChange, bool);

/// Gives a covered change the bytes that its entity's snapshot holds, which is loaded once.
fn with_bytes(
    connection: &Connection,
    found: &FoundEntity,
    entity: EntityId,
    extracted: &mut Option<Extracted>,
    (mut stored, has_body): StoredRow,
) -> Result<StoredChange, StoreError> {
    if !has_body {
        let extracted = match extracted {
            Some(extracted) => extracted,
            None => extracted.insert(Extracted::of_entity(connection, found.row, entity)?),
        };
        stored.bytes = extracted.require(&stored.hash)?;
    }
    Ok(stored)
}

fn stored_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<StoredRow> {
    let bytes: Option<Vec<u8>> = row.get(4)?;
    let has_body = bytes.is_some();
    let stored = StoredChange {
        hash: column::change_hash(row, 0)?,
        state: row.get(1)?,
        sequence: column::sequence(row, 2)?,
        at_ms: row.get(3)?,
        bytes: bytes.unwrap_or_default(),
    };
    Ok((stored, has_body))
}

fn stored_change(row: &rusqlite::Row<'_>) -> rusqlite::Result<StoredChange> {
    stored_row(row).map(|(stored, _)| stored)
}

fn ids_after(
    connection: &Connection,
    sql: &str,
    after: Option<EntityId>,
    limit: usize,
) -> Result<Vec<EntityId>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    // Every id is greater than no bytes at all.
    let after = after.as_ref().map_or(&[][..], |entity| entity.as_bytes());
    rows(connection, sql, (after, limit), |row| column::entity(row, 0))
}
