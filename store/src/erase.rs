//! Purging: nothing of an entity stays but the record that says so.
//!
//! The record follows the outbox rule as a change does (D5): it is marked, or in the outbox.

use crate::ChangeState;
use crate::column::{self, SpaceRow, sequence_sql};
use crate::directions;
use crate::entity::{self, MetEntities, Provenance};
use crate::error::{PurgeError, StoreError};
use crate::guard;
use crate::outbox::{Block, OutboxChunk, OutboxPosition, OutboxSize};
use crate::space;
use crate::store::Store;
use crate::transaction::{WriteTransaction, row, rows};
use afield_core::erasure::ERASURE_BYTES;
use afield_core::wire::ChunkCode;
use afield_core::{ChangeHash, ChunkKind, Collection, Durable, EntityId, Erasure, ErasureReason, Sequence, SpaceId};
use rusqlite::{Connection, Row};

/// An erasure record as it came from the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceivedErasure<'a> {
    /// The record.
    pub record: Erasure,
    /// The collection of its entity.
    pub collection: &'a Collection,
    /// Where it stands in the log; absent where it came for what is no more, and its own place is still to come.
    pub sequence: Option<Sequence>,
}

/// What was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Purged {
    /// Entities, without those that had been purged before.
    pub entities: u64,
    /// Their changes.
    pub changes: u64,
    /// Those of them that no relay was known to hold.
    pub unsent: u64,
}

/// In the order in which nothing refers to what is gone; bodies go with their changes. What else stores anything of an entity by its
/// row belongs here.
const REMOVALS: [&str; 10] = [
    "DELETE FROM trashed WHERE entity_row = ?",
    "DELETE FROM conflicts WHERE entity_row = ?",
    "DELETE FROM conflicts_stale WHERE entity_row = ?",
    "DELETE FROM blocks WHERE entity_row = ?",
    "DELETE FROM snapshots WHERE entity_row = ?",
    "DELETE FROM snapshots_second WHERE entity_row = ?",
    "DELETE FROM projections WHERE entity_row = ?",
    entity::KEEP_NUMBERS,
    "DELETE FROM changes WHERE entity_row = ?",
    "DELETE FROM entities WHERE entity_row = ?",
];

/// What is stored by an entity's id.
const REMOVALS_BY_ID: [&str; 6] = [
    "DELETE FROM deletions WHERE space_row = ? AND entity = ?",
    "DELETE FROM held_deletions WHERE space_row = ? AND entity = ?",
    "DELETE FROM quarantine WHERE space_row = ? AND entity = ?",
    "DELETE FROM announced WHERE space_row = ? AND entity = ?",
    "DELETE FROM wanted WHERE space_row = ? AND kind = 1 AND name = ?",
    "DELETE FROM backfills WHERE space_row = ? AND kind = 1 AND name = ?",
];

impl Store {
    /// Erases entities of a space, all in one transaction that overwrites what it deletes: their changes, what was saved and
    /// projected of them, their place in the outbox. What stays is an erasure record of each, in the outbox. One that was purged
    /// before is passed over.
    ///
    /// The WAL may still hold what was there: [`Store::empty_wal`] takes that away.
    ///
    /// # Errors
    ///
    /// [`PurgeError::UnknownEntity`], [`PurgeError::OtherSpace`] and [`PurgeError::UnknownSpace`] with nothing erased; or the
    /// storage failed.
    pub fn purge(
        &mut self,
        space: SpaceId,
        entities: &[EntityId],
        reason: ErasureReason,
        at_ms: i64,
    ) -> Result<Durable<Purged>, PurgeError> {
        self.extracted = None;
        self.write(|transaction| {
            let (space_row, _) = space::find(transaction, space)?.ok_or(PurgeError::UnknownSpace { space })?;
            let mut purged = Purged::default();
            for entity in entities.iter().copied() {
                let Some(found) = transaction.read(|connection| entity::find(connection, entity))? else {
                    if is_erased(transaction, space_row, entity)? {
                        continue;
                    }
                    return Err(PurgeError::UnknownEntity { entity });
                };
                if found.space_row != space_row {
                    return Err(PurgeError::OtherSpace { entity, space: found.home.space });
                }
                let counted = transaction.read(|connection| counted(connection, &[entity]))?;
                purged = purged.plus(counted);
                let record = Erasure { entity, reason };
                note(transaction, space_row, (record, &found.home.collection), Provenance::Here, at_ms)?;
                remove(transaction, space_row, entity)?;
                guard::note_purge(transaction, space_row, (record, &found.home.collection), at_ms)?;
            }
            Ok(purged)
        })
    }

    /// Why an entity of a space was purged; `None` where it was not.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn erasure(&self, space: SpaceId, entity: EntityId) -> Result<Option<ErasureReason>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT reason FROM erasures JOIN spaces USING (space_row) WHERE space = ? AND entity = ?";
            let found = row(connection, sql, (space.as_bytes(), entity.as_bytes()), |row| column::number(row, 0))?;
            Ok(found.and_then(ErasureReason::from_number))
        })
    }

    /// Notes that the relay did not take the erasure record of an entity, visibly ([`Store::blocked`]); it stays in the outbox, and the next
    /// session offers it again. The first reason stays. Says whether there is such a record and it was not noted before.
    ///
    /// The transaction is not synced: a new session asks again anyway.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn refuse_erasure(
        &mut self,
        space: SpaceId,
        (entity, hash): (EntityId, ChangeHash),
        code: ChunkCode,
        since_ms: i64,
    ) -> Result<bool, StoreError> {
        let Some(reason) = self.erasure(space, entity)? else { return Ok(false) };
        if (Erasure { entity, reason }).hash() != hash {
            return Ok(false);
        }
        self.write_unsynced(|transaction| {
            let sql = "UPDATE erasures SET refused = ?3, refused_ms = ?4 WHERE entity = ?2 AND sequence IS NULL AND refused IS NULL
                       AND space_row = (SELECT space_row FROM spaces WHERE space = ?1)";
            Ok(transaction.execute(sql, (space.as_bytes(), entity.as_bytes(), code.number(), since_ms))? > 0)
        })
    }

    /// What [`Store::purge`] would erase with these entities.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn count_purged(&self, entities: &[EntityId]) -> Result<Purged, StoreError> {
        self.read(|connection| counted(connection, entities))
    }
}

impl Purged {
    fn plus(self, other: Self) -> Self {
        let Self { entities, changes, unsent } = self;
        Self { entities: entities + other.entities, changes: changes + other.changes, unsent: unsent + other.unsent }
    }
}

fn counted(connection: &Connection, entities: &[EntityId]) -> Result<Purged, StoreError> {
    let sql = "SELECT count(*), count(*) FILTER (WHERE sequence IS NULL) FROM changes WHERE entity_row = ?";
    let mut purged = Purged::default();
    for entity in entities {
        let Some(found) = entity::find(connection, *entity)? else { continue };
        let counted = row(connection, sql, [found.row], |row| Ok((column::count(row, 0)?, column::count(row, 1)?)))?;
        let (changes, unsent) = counted.unwrap_or_default();
        purged = purged.plus(Purged { entities: 1, changes, unsent });
    }
    Ok(purged)
}

/// Stores a record; the one in the log takes the place of one with another reason.
fn note(
    transaction: &mut WriteTransaction<'_>,
    space: SpaceRow,
    (record, collection): (Erasure, &Collection),
    provenance: Provenance,
    at_ms: i64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO erasures (space_row, entity, collection, reason, logged, held, sequence, at_ms)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (space_row, entity) DO UPDATE SET reason = excluded.reason,
               logged = max(logged, excluded.logged), sequence = coalesce(sequence, excluded.sequence),
               held = coalesce(sequence, excluded.sequence) IS NULL AND excluded.held";
    let mark = match provenance {
        Provenance::Here => None,
        Provenance::Log(mark) => mark.map(sequence_sql),
    };
    let logged = mark.is_none() && provenance != Provenance::Here;
    let direction = directions::of_collection(transaction, space, collection)?;
    let held = mark.is_none() && directions::holds(direction, logged);
    let Erasure { entity, reason } = record;
    let values = (space, entity.as_bytes(), collection.as_str(), reason.number(), logged, held, mark, at_ms);
    transaction.execute(sql, values)?;
    Ok(())
}

/// Removes all that is held of an entity in a space; says whether there was anything.
fn remove(transaction: &mut WriteTransaction<'_>, space: SpaceRow, entity: EntityId) -> Result<bool, StoreError> {
    let mut removed = 0;
    for sql in REMOVALS_BY_ID {
        removed += transaction.execute(sql, (space, entity.as_bytes()))?;
    }
    let found = transaction.read(|connection| entity::find(connection, entity))?;
    if let Some(found) = found.filter(|found| found.space_row == space) {
        for sql in REMOVALS {
            removed += transaction.execute(sql, [found.row])?;
        }
    }
    Ok(removed > 0)
}

/// Stores a record of the log and erases what is held of its entity; says whether there was anything. It is marked where it stands at or
/// below a sequence.
pub(crate) fn receive(
    transaction: &mut WriteTransaction<'_>,
    met: &mut MetEntities,
    space: SpaceRow,
    (erasure, marked_upto): (&ReceivedErasure<'_>, Sequence),
    at_ms: i64,
) -> Result<bool, StoreError> {
    let ReceivedErasure { record, collection, sequence } = *erasure;
    let mark = sequence.filter(|sequence| *sequence <= marked_upto && *sequence > Sequence::ZERO);
    note(transaction, space, (record, collection), Provenance::Log(mark), at_ms)?;
    met.forget(record.entity);
    remove(transaction, space, record.entity)
}

/// Stores a record that no relay is known to have, and erases what is held of its entity; says whether there was anything.
pub(crate) fn take_over(
    transaction: &mut WriteTransaction<'_>,
    met: &mut MetEntities,
    space: SpaceRow,
    record: (Erasure, &Collection),
    at_ms: i64,
) -> Result<bool, StoreError> {
    note(transaction, space, record, Provenance::Here, at_ms)?;
    met.forget(record.0.entity);
    remove(transaction, space, record.0.entity)
}

/// Whether an entity of a space was purged.
pub(crate) fn is_erased(
    transaction: &mut WriteTransaction<'_>,
    space: SpaceRow,
    entity: EntityId,
) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM erasures WHERE space_row = ? AND entity = ?";
    Ok(transaction.row(sql, (space, entity.as_bytes()), |_| Ok(()))?.is_some())
}

/// Takes the word that something of an entity stands in the log: says whether the entity was purged, and marks its record where the word
/// is about that.
pub(crate) fn prove(
    transaction: &mut WriteTransaction<'_>,
    space: SpaceRow,
    (entity, hash, sequence): (EntityId, ChangeHash, Sequence),
) -> Result<bool, StoreError> {
    let sql = "SELECT reason FROM erasures WHERE space_row = ? AND entity = ?";
    let found: Option<u8> = transaction.row(sql, (space, entity.as_bytes()), |row| column::number(row, 0))?;
    let Some(reason) = found.and_then(ErasureReason::from_number) else { return Ok(false) };
    if (Erasure { entity, reason }).hash() == hash {
        let sql =
            "UPDATE erasures SET sequence = ?3, held = 0 WHERE space_row = ?1 AND entity = ?2 AND sequence IS NULL";
        transaction.execute(sql, (space, entity.as_bytes(), sequence_sql(sequence)))?;
    }
    Ok(true)
}

/// The records of a space, with their marks.
pub(crate) fn marks(
    connection: &Connection,
    space: SpaceId,
) -> Result<Vec<(EntityId, ChangeHash, Option<Sequence>)>, StoreError> {
    let sql = "SELECT entity, reason, erasures.sequence FROM erasures JOIN spaces USING (space_row) WHERE space = ?
               ORDER BY erasure_row";
    rows(connection, sql, [space.as_bytes()], |row| {
        let record = record(row)?;
        Ok((record.entity, record.hash(), column::mark(row, 2)?))
    })
}

/// The record of a row that begins with entity and reason.
fn record(row: &Row<'_>) -> rusqlite::Result<Erasure> {
    let reason = ErasureReason::from_number(column::number(row, 1)?).unwrap_or(ErasureReason::ASKED);
    Ok(Erasure { entity: column::entity(row, 0)?, reason })
}

/// The records of a space that the relay did not take.
pub(crate) fn refused(connection: &Connection, space: SpaceId) -> Result<Vec<Block>, StoreError> {
    let sql = "SELECT entity, reason, refused, coalesce(refused_ms, at_ms) FROM erasures
               WHERE space_row = (SELECT space_row FROM spaces WHERE space = ?) AND refused IS NOT NULL AND sequence IS NULL";
    rows(connection, sql, [space.as_bytes()], |row| {
        let record = record(row)?;
        let code = ChunkCode::from_number(column::number(row, 2)?);
        let (entity, hash) = (record.entity, record.hash());
        Ok(Block { entity, code, hash, missing: Vec::new(), since_ms: row.get(3)? })
    })
}

/// A page of the records in the outbox.
pub(crate) fn outbox(
    connection: &Connection,
    space: SpaceId,
    after: OutboxPosition,
    (chunks_max, bytes_max): (usize, usize),
) -> Result<Vec<OutboxChunk>, StoreError> {
    let sql = "SELECT entity, reason, collection, erasure_row FROM erasures
               WHERE space_row = (SELECT space_row FROM spaces WHERE space = ?1) AND sequence IS NULL AND held = 0 AND erasure_row > ?2
               ORDER BY erasure_row LIMIT ?3";
    let limit = i64::try_from(chunks_max.min(bytes_max / ERASURE_BYTES).max(1)).unwrap_or(i64::MAX);
    let found = rows(connection, sql, (space.as_bytes(), after.erased, limit), |row| {
        let record = record(row)?;
        Ok(OutboxChunk {
            position: OutboxPosition { erased: row.get(3)?, ..after },
            entity: record.entity,
            collection: column::collection(row, 2)?,
            kind: ChunkKind::Erasure,
            hash: record.hash(),
            state: ChangeState::Applied,
            bytes: record.to_bytes().to_vec(),
        })
    })?;
    Ok(if chunks_max == 0 { Vec::new() } else { found })
}

/// How many records the outbox of a space holds, as a part of its size.
pub(crate) fn outbox_size(connection: &Connection, space: SpaceId) -> Result<OutboxSize, StoreError> {
    let sql = "SELECT count(*), min(at_ms) FROM erasures
               WHERE space_row = (SELECT space_row FROM spaces WHERE space = ?) AND sequence IS NULL AND held = 0";
    let size = row(connection, sql, [space.as_bytes()], |row| {
        let changes = column::count(row, 0)?;
        Ok(OutboxSize { changes, bytes: changes * ERASURE_BYTES as u64, oldest_ms: row.get(1)? })
    })?;
    Ok(size.unwrap_or_default())
}
