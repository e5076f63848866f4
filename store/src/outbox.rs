//! The outbox: what the device holds and its cursor's log prefix is not known to hold (D5).

use crate::column::{self, ChangeRow, ChangeState, EntityRow};
use crate::directions;
use crate::entity::{MetEntities, mark_change};
use crate::erase;
use crate::error::{EntityError, MarkError, StoreError};
use crate::extract::Extracted;
use crate::settle::known;
use crate::space;
use crate::store::Store;
use crate::transaction::{row, rows};
use afield_core::session::Proof;
use afield_core::wire::ChunkCode;
use afield_core::{ChangeHash, ChunkKind, Collection, Durable, EntityId, Sequence, SpaceId};
use rusqlite::{Connection, Row};
use std::borrow::Cow;

/// A place in the order of an outbox: first erasure records; then what is covered, entity by entity, so that each snapshot is loaded once; then
/// what waits for nothing, as it came; then what waits for other changes.
///
/// What is covered rests on nothing of its entity that is not. What waits would be refused wherever its dependencies are
/// missing too, and must keep back nothing that is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OutboxPosition {
    pub(crate) erased: i64,
    pub(crate) covered: (EntityRow, ChangeRow),
    pub(crate) ready: ChangeRow,
    pub(crate) waiting: ChangeRow,
}

impl OutboxPosition {
    /// Before everything.
    pub const START: Self =
        Self { erased: 0, covered: (EntityRow(0), ChangeRow(0)), ready: ChangeRow(0), waiting: ChangeRow(0) };

    /// The place behind everything that is covered: while a scan goes on nothing is covered that it has still to offer
    /// ([`crate::Covering::Marked`]), so it need not look there again.
    const COVERED_END: (EntityRow, ChangeRow) = (EntityRow(i64::MAX), ChangeRow(i64::MAX));
}

/// A change that is to be pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxChunk {
    /// Its place; the next page starts after the last one.
    pub position: OutboxPosition,
    /// The entity.
    pub entity: EntityId,
    /// Its collection.
    pub collection: Collection,
    /// What it is: a change or an erasure record.
    pub kind: ChunkKind,
    /// The hash of the change, or what stands for the record.
    pub hash: ChangeHash,
    /// What became of it here. Whatever that is, a relay that has lost it is offered it again (S2).
    pub state: ChangeState,
    /// The bytes, as stored.
    pub bytes: Vec<u8>,
}

/// How much an outbox holds, blocked entities included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutboxSize {
    /// How many changes.
    pub changes: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the oldest was stored, in milliseconds since the Unix epoch.
    pub oldest_ms: Option<i64>,
}

/// Why the outbox of one entity waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The entity.
    pub entity: EntityId,
    /// The relay's reason.
    pub code: ChunkCode,
    /// The change that it refused.
    pub hash: ChangeHash,
    /// The dependencies that it lacks, where that is the reason.
    pub missing: Vec<ChangeHash>,
    /// Since when, in milliseconds since the Unix epoch.
    pub since_ms: i64,
}

impl Store {
    /// A page of a space's outbox, in the order of [`OutboxPosition`], without the entities that are blocked; what comes
    /// back is durable and may be sent.
    ///
    /// It ends after `chunks_max` changes or before the change that would pass `bytes_max`, but holds at least one
    /// change when there is any, however large.
    ///
    /// # Errors
    ///
    /// [`StoreError::Poisoned`] after a failure, or the storage failed. An unknown space has an empty outbox.
    pub fn outbox(
        &mut self,
        space: SpaceId,
        after: OutboxPosition,
        chunks_max: usize,
        bytes_max: usize,
    ) -> Result<Durable<Vec<OutboxChunk>>, StoreError> {
        if self.is_poisoned() {
            return Err(StoreError::Poisoned);
        }
        // Between two scans more may have been covered.
        let mut extracted = self.extracted.take().filter(|_| after != OutboxPosition::START);
        // Not within a transaction: one in which a damaged copy of a snapshot was met does not end well, and nobody else
        // writes meanwhile.
        let max = (chunks_max, bytes_max);
        let page = self.read(|connection| page(connection, (space, Blocked::Without), after, max, &mut extracted));
        self.extracted = extracted;
        let page = page?;
        self.read_durable(|_| Ok(page))
    }

    /// As [`Store::outbox`], with the entities that are blocked: what no relay is known to have, for another device. The scan of a
    /// session is disturbed by it in nothing but what was taken out of a snapshot for it.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn unsent(
        &mut self,
        space: SpaceId,
        after: OutboxPosition,
        chunks_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<OutboxChunk>, StoreError> {
        let mut extracted = self.extracted.take().filter(|_| after != OutboxPosition::START);
        let max = (chunks_max, bytes_max);
        let page = self.read(|connection| page(connection, (space, Blocked::With), after, max, &mut extracted));
        self.extracted = extracted;
        page
    }

    /// Ends the scan of an outbox that may be in the middle of a snapshot, and frees what was taken out of that.
    pub fn end_scan(&mut self) {
        self.extracted = None;
    }

    /// How much a space's outbox holds.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn outbox_size(&self, space: SpaceId) -> Result<OutboxSize, StoreError> {
        self.read(|connection| size(connection, space))
    }

    /// Marks held changes as standing in the log prefix that the cursor names, which takes them out of the outbox. The
    /// transaction is not synced: marks that a power failure takes back are found again when the changes are pushed.
    /// Proofs about changes that the store does not hold are left out; answers how many it does hold.
    ///
    /// # Errors
    ///
    /// [`MarkError::AboveCursor`], also for sequence 0, and [`MarkError::UnknownSpace`], with nothing marked; or the
    /// storage failed.
    pub fn mark(&mut self, space: SpaceId, proofs: &[Proof]) -> Result<u64, MarkError> {
        self.write_unsynced(|transaction| {
            let (space_row, cursor) = space::find(transaction, space)?.ok_or(MarkError::UnknownSpace { space })?;
            let upto = cursor.map_or(Sequence::ZERO, |cursor| cursor.sequence);
            let mut met = MetEntities::default();
            let mut held = 0;
            for Proof { entity, hash, sequence } in proofs.iter().copied() {
                if sequence == Sequence::ZERO || sequence > upto {
                    return Err(MarkError::AboveCursor { sequence });
                }
                if let Some(found) = met.find(transaction, entity)?.filter(|found| found.space_row == space_row) {
                    held += u64::from(mark_change(transaction, &found, hash, sequence)?);
                } else {
                    held += u64::from(erase::prove(transaction, space_row, (entity, hash, sequence))?);
                }
            }
            Ok(held)
        })
    }

    /// Puts changes back into the outbox, after the log has turned out not to hold them, or holds them back where the direction of the
    /// collection says so.
    ///
    /// # Errors
    ///
    /// [`EntityError::UnknownEntity`], or the storage failed.
    pub fn unmark(&mut self, entity: EntityId, hashes: &[ChangeHash]) -> Result<Durable<()>, EntityError> {
        self.write(|transaction| {
            let found = known(transaction, entity)?;
            let held = directions::holds(found.direction, true);
            for hash in hashes {
                let sql = "UPDATE changes SET sequence = NULL, logged = 1, held = ? WHERE entity_row = ? AND hash = ?";
                transaction.execute(sql, (held, found.row, hash.0))?;
            }
            Ok(())
        })
    }

    /// Holds the outbox of entities back, visibly, because the relay refused a change of each (D4). The first reason of
    /// an entity stays: later refusals follow from it.
    ///
    /// The transaction is not synced: a new session asks again anyway.
    ///
    /// # Errors
    ///
    /// [`EntityError::UnknownEntity`], or the storage failed.
    pub fn block(&mut self, blocks: &[Block]) -> Result<(), EntityError> {
        self.write_unsynced(|transaction| {
            for block in blocks {
                let found = known(transaction, block.entity)?;
                let sql = "INSERT INTO blocks (entity_row, space_row, code, hash, missing, since_ms)
                           VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (entity_row) DO NOTHING";
                let missing = column::hashes_sql(&block.missing);
                let (code, hash) = (block.code.number(), block.hash.0);
                transaction.execute(sql, (found.row, found.space_row, code, hash, missing, block.since_ms))?;
            }
            Ok(())
        })
    }

    /// Why the outbox of one entity is held back, where it is.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn block_of(&self, entity: EntityId) -> Result<Option<Block>, StoreError> {
        let sql = "SELECT entity, code, hash, missing, since_ms FROM blocks JOIN entities USING (entity_row)
                   WHERE entity = ?";
        self.read(|connection| row(connection, sql, [entity.as_bytes()], block))
    }

    /// Lets the outbox of every entity go on, as each session does at its start; what the relay still refuses is held back
    /// again, so the transaction is not synced.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn unblock_all(&mut self) -> Result<(), StoreError> {
        let sql = "SELECT 1 FROM blocks UNION ALL SELECT 1 FROM erasures WHERE refused IS NOT NULL AND sequence IS NULL LIMIT 1";
        if self.read(|connection| row(connection, sql, [], |_| Ok(())))?.is_none() {
            return Ok(());
        }
        self.write_unsynced(|transaction| {
            transaction.execute("DELETE FROM blocks", [])?;
            let sql =
                "UPDATE erasures SET refused = NULL, refused_ms = NULL WHERE refused IS NOT NULL AND sequence IS NULL";
            transaction.execute(sql, [])?;
            Ok(())
        })
    }

    /// Lets the outbox of every entity of a space go on, as [`unblock_all`](Self::unblock_all) does for all spaces.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn unblock(&mut self, space: SpaceId) -> Result<(), StoreError> {
        self.write_unsynced(|transaction| {
            let sql = "DELETE FROM blocks WHERE space_row = (SELECT space_row FROM spaces WHERE space = ?)";
            transaction.execute(sql, [space.as_bytes()])?;
            let sql =
                "UPDATE erasures SET refused = NULL, refused_ms = NULL WHERE refused IS NOT NULL AND sequence IS NULL
                       AND space_row = (SELECT space_row FROM spaces WHERE space = ?)";
            transaction.execute(sql, [space.as_bytes()])?;
            Ok(())
        })
    }

    /// The entities of a space whose outbox is held back, and those of which the relay did not take the erasure record.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn blocked(&self, space: SpaceId) -> Result<Vec<Block>, StoreError> {
        self.read(|connection| blocked(connection, space))
    }
}

/// Whether a page has what is of entities that are blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blocked {
    Without,
    With,
}

impl Blocked {
    /// One of the queries below, as it is to be asked.
    fn query(self, sql: &'static str) -> Cow<'static, str> {
        match self {
            Self::Without => Cow::Borrowed(sql),
            Self::With => Cow::Owned(sql.replace("NOT IN (SELECT entity_row FROM blocks)", "IS NOT NULL")),
        }
    }
}

pub(crate) const COVERED: &str =
    "SELECT changes.entity_row, change_row, entity, collection, hash, state, size FROM changes JOIN entities USING (entity_row)
    WHERE changes.space_row = (SELECT space_row FROM spaces WHERE space = ?1) AND sequence IS NULL AND covered = 1 AND held = 0
    AND (changes.entity_row, change_row) > (?2, ?3) AND changes.entity_row NOT IN (SELECT entity_row FROM blocks)
    ORDER BY changes.entity_row, change_row LIMIT ?4";

pub(crate) const READY: &str = "SELECT change_row, entity, collection, hash, state, bytes
    FROM changes JOIN entities USING (entity_row) JOIN bodies USING (change_row)
    WHERE changes.space_row = (SELECT space_row FROM spaces WHERE space = ?1) AND sequence IS NULL AND covered = 0 AND held = 0
    AND state <> 2 AND change_row > ?2 AND entity_row NOT IN (SELECT entity_row FROM blocks)
    ORDER BY change_row LIMIT ?3";

/// The few that wait are found by their state, so that asking for them costs nothing where there are none.
pub(crate) const WAITING: &str = "SELECT change_row, entity, collection, hash, state, bytes
    FROM changes INDEXED BY changes_unsettled JOIN entities USING (entity_row) JOIN bodies USING (change_row)
    WHERE changes.space_row = (SELECT space_row FROM spaces WHERE space = ?1) AND sequence IS NULL AND held = 0 AND state = 2 AND state <> 0
    AND change_row > ?2 AND entity_row NOT IN (SELECT entity_row FROM blocks)
    ORDER BY change_row LIMIT ?3";

fn page(
    connection: &Connection,
    (space, blocked): (SpaceId, Blocked),
    after: OutboxPosition,
    max: (usize, usize),
    extracted: &mut Option<Extracted>,
) -> Result<Vec<OutboxChunk>, StoreError> {
    let found = erase::outbox(connection, space, after, max)?;
    if !found.is_empty() {
        return Ok(found);
    }
    let found = covered_page(connection, (space, blocked), after, max, extracted)?;
    if !found.is_empty() {
        return Ok(found);
    }
    // No more of it is asked for in this scan.
    *extracted = None;
    let after = OutboxPosition { covered: OutboxPosition::COVERED_END, ..after };
    let ready = |row| OutboxPosition { ready: row, ..after };
    let found = page_of(connection, &blocked.query(READY), (space, after.ready), max, ready)?;
    if !found.is_empty() {
        return Ok(found);
    }
    let waiting = |row| OutboxPosition { waiting: row, ..after };
    page_of(connection, &blocked.query(WAITING), (space, after.waiting), max, waiting)
}

/// A page of what is covered, with its bytes out of the snapshots. What a damaged snapshot held is left out: that entity
/// keeps nobody else's changes back, and what is in its outbox stays there.
fn covered_page(
    connection: &Connection,
    (space, blocked): (SpaceId, Blocked),
    after: OutboxPosition,
    (chunks_max, bytes_max): (usize, usize),
    extracted: &mut Option<Extracted>,
) -> Result<Vec<OutboxChunk>, StoreError> {
    let mut statement = connection.prepare_cached(&blocked.query(COVERED))?;
    let limit = i64::try_from(chunks_max).unwrap_or(i64::MAX);
    let (mut page, mut bytes_total, mut at, mut damaged) = (Vec::new(), 0_usize, after.covered, None);
    loop {
        let mut found = statement.query((space.as_bytes(), at.0, at.1, limit))?;
        let mut is_end = true;
        while let Some(row) = found.next()? {
            is_end = false;
            at = (row.get(0)?, row.get(1)?);
            let entity = column::entity(row, 2)?;
            if damaged == Some(entity) {
                continue;
            }
            let size: usize = column::number(row, 6)?;
            bytes_total = bytes_total.saturating_add(size);
            if bytes_total > bytes_max && !page.is_empty() {
                return Ok(page);
            }
            let hash = column::change_hash(row, 4)?;
            let bytes = match extract(connection, (at.0, entity), &hash, extracted) {
                Ok(bytes) => bytes,
                Err(error @ StoreError::SnapshotDamaged { .. }) => {
                    tracing::error!(%entity, %error, "its covered changes cannot be sent");
                    damaged = Some(entity);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let position = OutboxPosition { covered: at, ..after };
            let (collection, state) = (column::collection(row, 3)?, row.get(5)?);
            let kind = ChunkKind::Change;
            page.push(OutboxChunk { position, entity, collection, kind, hash, state, bytes });
        }
        // A whole page of what cannot be read is not the end.
        if is_end || !page.is_empty() {
            return Ok(page);
        }
    }
}

/// The bytes of a covered change. What was taken out of the entity's snapshot earlier is asked first; where that lacks it,
/// the snapshot may be another one since.
fn extract(
    connection: &Connection,
    (row, entity): (EntityRow, EntityId),
    hash: &ChangeHash,
    extracted: &mut Option<Extracted>,
) -> Result<Vec<u8>, StoreError> {
    if let Some(bytes) = extracted.as_ref().filter(|held| held.entity == entity).and_then(|held| held.bytes_of(hash)) {
        return Ok(bytes.to_vec());
    }
    // Not two in memory at once.
    *extracted = None;
    extracted.insert(Extracted::of_entity(connection, row, entity)?).require(hash)
}

fn page_of(
    connection: &Connection,
    sql: &str,
    (space, after): (SpaceId, ChangeRow),
    (chunks_max, bytes_max): (usize, usize),
    position: impl Fn(ChangeRow) -> OutboxPosition,
) -> Result<Vec<OutboxChunk>, StoreError> {
    let limit = i64::try_from(chunks_max).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(sql)?;
    let mut found = statement.query((space.as_bytes(), after, limit))?;
    let (mut page, mut bytes_total) = (Vec::new(), 0_usize);
    while let Some(row) = found.next()? {
        bytes_total = bytes_total.saturating_add(row.get_ref(5)?.as_blob().map_err(rusqlite::Error::from)?.len());
        if bytes_total > bytes_max && !page.is_empty() {
            break;
        }
        page.push(OutboxChunk {
            position: position(row.get(0)?),
            entity: column::entity(row, 1)?,
            collection: column::collection(row, 2)?,
            kind: ChunkKind::Change,
            hash: column::change_hash(row, 3)?,
            state: row.get(4)?,
            bytes: row.get(5)?,
        });
    }
    Ok(page)
}

pub(crate) fn size(connection: &Connection, space: SpaceId) -> Result<OutboxSize, StoreError> {
    let sql = "SELECT coalesce(sum(changes), 0), coalesce(sum(bytes), 0), min(oldest_ms) FROM (
               SELECT count(*) AS changes, sum(size) AS bytes, min(at_ms) AS oldest_ms FROM changes
               WHERE space_row = (SELECT space_row FROM spaces WHERE space = ?1) AND sequence IS NULL AND covered = 0 AND held = 0
               UNION ALL SELECT count(*), sum(size), min(at_ms) FROM changes
               WHERE space_row = (SELECT space_row FROM spaces WHERE space = ?1) AND sequence IS NULL AND covered = 1 AND held = 0)";
    let size = row(connection, sql, [space.as_bytes()], |row| {
        Ok(OutboxSize { changes: column::count(row, 0)?, bytes: column::count(row, 1)?, oldest_ms: row.get(2)? })
    })?;
    let (size, erased) = (size.unwrap_or_default(), erase::outbox_size(connection, space)?);
    let oldest_ms = [size.oldest_ms, erased.oldest_ms].into_iter().flatten().min();
    Ok(OutboxSize { changes: size.changes + erased.changes, bytes: size.bytes + erased.bytes, oldest_ms })
}

/// How many changes and erasure records of a space are held back.
pub(crate) fn held_back(connection: &Connection, space: SpaceId) -> Result<u64, StoreError> {
    let sql = "WITH this AS (SELECT space_row FROM spaces WHERE space = ?)
               SELECT (SELECT count(*) FROM changes JOIN this USING (space_row) WHERE held = 1)
               + (SELECT count(*) FROM erasures JOIN this USING (space_row) WHERE held = 1)";
    Ok(row(connection, sql, [space.as_bytes()], |row| column::count(row, 0))?.unwrap_or_default())
}

pub(crate) fn blocked(connection: &Connection, space: SpaceId) -> Result<Vec<Block>, StoreError> {
    let sql = "SELECT entity, code, hash, missing, since_ms FROM blocks JOIN entities USING (entity_row)
               WHERE blocks.space_row = (SELECT space_row FROM spaces WHERE space = ?) ORDER BY entity";
    let mut blocked = rows(connection, sql, [space.as_bytes()], block)?;
    blocked.extend(erase::refused(connection, space)?);
    blocked.sort_by_key(|block| block.entity);
    Ok(blocked)
}

fn block(row: &Row<'_>) -> rusqlite::Result<Block> {
    Ok(Block {
        entity: column::entity(row, 0)?,
        code: ChunkCode::from_number(column::number(row, 1)?),
        hash: column::change_hash(row, 2)?,
        missing: column::hashes(row, 3)?,
        since_ms: row.get(4)?,
    })
}
