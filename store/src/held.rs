//! Guards: how much may be deleted unasked, and what waits until somebody has confirmed it.

use crate::column::{self, SpaceRow, sequence_sql};
use crate::entity::{self, MetEntities};
use crate::erase::{self, ReceivedErasure};
use crate::error::{SpaceError, StoreError};
use crate::guard::{DELETIONS_COUNT_MS, UnsentDeletion, unsent};
use crate::over::stuck;
use crate::reader::Reader;
use crate::space;
use crate::store::Store;
use crate::transaction::{WriteTransaction, row, rows};
use afield_core::{ChangeHash, Collection, DeviceId, Durable, EntityId, Erasure, ErasureReason, Sequence, SpaceId};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};

/// From how many deletions on a share is looked at: of a few entities, one is a large share.
pub const SHARE_DELETIONS_MIN: u64 = 10;

/// How much may be deleted unasked, in one collection. More than either holds all of it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct DeletionLimits {
    /// So many entities; `None` for any number.
    pub deletions: Option<u64>,
    /// Such a part of the entities that were there, from 0 to 1, of at least [`SHARE_DELETIONS_MIN`]; `None` for all of them.
    pub share: Option<f64>,
}

/// A deletion by others that is held back here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldDeletion {
    /// The entity.
    pub entity: EntityId,
    /// Its collection.
    pub collection: Collection,
    /// Whether it is purged.
    pub is_purge: bool,
    /// The change that deletes it, or what stands for its erasure record.
    pub hash: ChangeHash,
    /// The device that deletes it, where that is known.
    pub device: Option<DeviceId>,
    /// Who deletes it, where that is known.
    pub author: Option<String>,
    /// When, in milliseconds since the Unix epoch: by the clock of who deletes it, or when the record came.
    pub at_ms: i64,
    /// Whether there are too many, and it waits for somebody; otherwise it waits for the end of a run.
    pub is_over: bool,
    /// Whether somebody has confirmed it, and it is about to be followed.
    pub is_confirmed: bool,
}

impl DeletionLimits {
    /// Whether so many deletions are too many, of so many entities that are there beside those.
    pub fn are_exceeded_by(&self, deletions: u64, others: u64) -> bool {
        let is_number = self.deletions.is_some_and(|deletions_max| deletions > deletions_max);
        let all = deletions.saturating_add(others);
        #[expect(clippy::cast_precision_loss, reason = "a share of more than 2^53 entities need not be exact")]
        let part = deletions as f64 / all.max(1) as f64;
        is_number || deletions >= SHARE_DELETIONS_MIN && self.share.is_some_and(|share_max| part > share_max)
    }

    /// Whether anything is held by it.
    pub fn is_off(&self) -> bool {
        self.deletions.is_none() && self.share.is_none()
    }
}

impl Store {
    /// Says how much may be deleted unasked in a collection of a space, or in every one that has no limits of its own; `None` takes
    /// what was said back.
    ///
    /// # Errors
    ///
    /// [`SpaceError::UnknownSpace`], or the storage failed.
    pub fn set_guard(
        &mut self,
        space: SpaceId,
        collection: Option<&Collection>,
        limits: Option<DeletionLimits>,
    ) -> Result<Durable<()>, SpaceError> {
        self.write(|transaction| {
            let (row, _) = space::find(transaction, space)?.ok_or(SpaceError::UnknownSpace { space })?;
            let name = collection.map_or("", Collection::as_str);
            transaction.execute("DELETE FROM guards WHERE space_row = ? AND collection = ?", (row, name))?;
            if let Some(DeletionLimits { deletions, share }) = limits {
                let deletions = deletions.map(|deletions| i64::try_from(deletions).unwrap_or(i64::MAX));
                let sql = "INSERT INTO guards (space_row, collection, deletions, share) VALUES (?, ?, ?, ?)";
                transaction.execute(sql, (row, name, deletions, share))?;
            }
            // It is judged anew.
            for sql in [
                "UPDATE held_deletions SET over = 0 WHERE space_row = ?",
                "UPDATE deletions SET over = 0 WHERE space_row = ?",
            ] {
                transaction.execute(sql, [row])?;
            }
            Ok(())
        })
    }

    /// The spaces in which not everything may be deleted unasked.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn guarded_spaces(&self) -> Result<Vec<SpaceId>, StoreError> {
        let sql = "SELECT DISTINCT space FROM guards JOIN spaces USING (space_row)
                   WHERE deletions IS NOT NULL OR share IS NOT NULL";
        self.read(|connection| rows(connection, sql, [], |row| column::space(row, 0)))
    }

    /// Takes the guards of every space away, and leaves what is held as it is.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn forget_guards(&mut self) -> Result<Durable<()>, StoreError> {
        self.write(|transaction| transaction.execute("DELETE FROM guards", []).map(drop))
    }

    /// What was deleted here and is held back from being sent, in the order of ids; nothing where it is not too much.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn held_to_send(&self, space: SpaceId, now_ms: i64) -> Result<Vec<UnsentDeletion>, StoreError> {
        self.read(|connection| to_send(connection, space, now_ms))
    }

    /// Lets deletions be sent, and no others than those with these hashes. Answers how many.
    ///
    /// # Errors
    ///
    /// [`SpaceError::UnknownSpace`], or the storage failed.
    pub fn confirm_unsent(
        &mut self,
        space: SpaceId,
        deletions: &[(EntityId, ChangeHash)],
    ) -> Result<Durable<u64>, SpaceError> {
        let sql =
            "UPDATE deletions SET confirmed = 1 WHERE space_row = ? AND entity = ? AND hash = ? AND confirmed = 0";
        self.confirm_by(sql, space, deletions, |transaction, row| {
            // Somebody has looked now: what went unasked before that counts no more.
            let sql = "UPDATE deletions SET confirmed = 1 WHERE space_row = ? AND sent = 1 AND confirmed = 0";
            transaction.execute(sql, [row]).map(drop)
        })
    }

    /// Lets deletions by others through, and no others than those with these hashes; [`Store::follow_purges`] follows the purges among
    /// them. Answers how many.
    ///
    /// # Errors
    ///
    /// [`SpaceError::UnknownSpace`], or the storage failed.
    pub fn confirm_held(
        &mut self,
        space: SpaceId,
        deletions: &[(EntityId, ChangeHash)],
    ) -> Result<Durable<u64>, SpaceError> {
        let sql =
            "UPDATE held_deletions SET confirmed = 1 WHERE space_row = ? AND entity = ? AND hash = ? AND confirmed = 0";
        self.confirm_by(sql, space, deletions, |_, _| Ok(()))
    }

    fn confirm_by(
        &mut self,
        sql: &'static str,
        space: SpaceId,
        deletions: &[(EntityId, ChangeHash)],
        also: impl FnOnce(&mut WriteTransaction<'_>, SpaceRow) -> Result<(), StoreError>,
    ) -> Result<Durable<u64>, SpaceError> {
        self.write(|transaction| {
            let (row, _) = space::find(transaction, space)?.ok_or(SpaceError::UnknownSpace { space })?;
            let mut confirmed = 0;
            for (entity, hash) in deletions {
                confirmed += transaction.execute(sql, (row, entity.as_bytes(), hash.0))? as u64;
            }
            if confirmed > 0 {
                also(transaction, row)?;
            }
            Ok(confirmed)
        })
    }

    /// Holds deletions by others back: their entities' received changes are not merged until they are let through. What is held
    /// already takes the newer word.
    ///
    /// The transaction is not synced: what a power failure takes back is found again when the changes are merged.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn hold(&mut self, deletions: &[(SpaceId, HeldDeletion)]) -> Result<(), StoreError> {
        self.write_unsynced(|transaction| {
            for (space, held) in deletions {
                let HeldDeletion { entity, collection, hash, device, author, at_ms, .. } = held;
                let sql = "INSERT INTO held_deletions (space_row, entity, collection, purge, hash, device, author, at_ms, over)
                           SELECT space_row, ?2, ?3, 0, ?4, ?5, ?6, ?7, 0 FROM spaces WHERE space = ?1
                           ON CONFLICT (space_row, entity) DO UPDATE SET hash = excluded.hash, device = excluded.device,
                           author = excluded.author, at_ms = excluded.at_ms WHERE purge = 0 AND confirmed = 0";
                let device = device.map(|device| *device.as_bytes());
                let values = (space.as_bytes(), entity.as_bytes(), collection.as_str(), hash.0, device, author, at_ms);
                transaction.execute(sql, values)?;
            }
            Ok(())
        })
    }

    /// Holds the purge of an entity back of which the relay says that it was purged.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn hold_purge(&mut self, space: SpaceId, entity: EntityId, at_ms: i64) -> Result<bool, StoreError> {
        self.write_unsynced(|transaction| {
            let Some((row, _)) = space::find(transaction, space)? else { return Ok(false) };
            let record = Erasure { entity, reason: ErasureReason::ASKED };
            hold_purge(transaction, row, record, None, at_ms)
        })
    }

    /// What others deleted and is held back here, in the order of ids.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn held_deletions(&self, space: SpaceId) -> Result<Vec<HeldDeletion>, StoreError> {
        self.read(|connection| held(connection, space))
    }

    /// Every entity of which received changes are held back, with its space, and whether they are let through.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn held_entities(&self) -> Result<Vec<(SpaceId, EntityId, bool)>, StoreError> {
        let sql = "SELECT space, entity, confirmed FROM held_deletions JOIN spaces USING (space_row) WHERE purge = 0";
        self.read(|connection| {
            rows(connection, sql, [], |row| Ok((column::space(row, 0)?, column::entity(row, 1)?, row.get(2)?)))
        })
    }

    /// Judges what is held of a space at the end of a run: where it is too much it waits for somebody from now on, and otherwise it
    /// is confirmed. `passed` are deletions that were let through unasked a moment ago, by collection, which count, too; an entity that was
    /// deleted and then purged counts once, as on the side that sends.
    ///
    /// Answers what is too much now and was not before, and what is confirmed.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn judge_held(
        &mut self,
        space: SpaceId,
        passed: &BTreeMap<Collection, BTreeSet<EntityId>>,
    ) -> Result<(Vec<HeldDeletion>, Vec<HeldDeletion>), StoreError> {
        let held: Vec<_> = self.held_deletions(space)?.into_iter().filter(|held| !held.is_confirmed).collect();
        if held.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let mut by_collection: BTreeMap<Collection, Vec<HeldDeletion>> = BTreeMap::new();
        for held in held {
            by_collection.entry(held.collection.clone()).or_default().push(held);
        }
        let judged = self.write_unsynced(|transaction| {
            let (mut over, mut free) = (Vec::new(), Vec::new());
            for (collection, held) in by_collection {
                let mut counted: BTreeSet<_> = held.iter().map(|held| held.entity).collect();
                counted.extend(passed.get(&collection).into_iter().flatten());
                let count = counted.len() as u64;
                // What somebody is to look at stays so, whatever part of it was confirmed.
                let exceeds = held.iter().any(|held| held.is_over)
                    || transaction.read(|connection| {
                        let living = living(connection, space, held.iter().map(|held| held.entity))?;
                        let others = there(connection, space, &collection)?.saturating_sub(living);
                        Ok(limits_of(connection, space, &collection)?.are_exceeded_by(count, others))
                    })?;
                let sql = if exceeds {
                    "UPDATE held_deletions SET over = 1 WHERE over = 0 AND entity = ?2
                     AND space_row = (SELECT space_row FROM spaces WHERE space = ?1)"
                } else {
                    "UPDATE held_deletions SET confirmed = 1 WHERE entity = ?2
                     AND space_row = (SELECT space_row FROM spaces WHERE space = ?1)"
                };
                for one in held {
                    transaction.execute(sql, (space.as_bytes(), one.entity.as_bytes()))?;
                    match exceeds {
                        true if !one.is_over => over.push(one),
                        true => {}
                        false => free.push(one),
                    }
                }
            }
            Ok::<_, StoreError>((over, free))
        })?;
        Ok(judged)
    }

    /// Follows the erasure records of a space that were held and are confirmed: what is held of their entities is erased. Answers the
    /// entities.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn follow_purges(&mut self, space: SpaceId, at_ms: i64) -> Result<Vec<EntityId>, StoreError> {
        self.extracted = None;
        let followed = self.write(|transaction| {
            let Some((space_row, cursor)) = space::find(transaction, space)? else { return Ok(Vec::new()) };
            let upto = cursor.map_or(Sequence::ZERO, |cursor| cursor.sequence);
            let sql = "SELECT entity, collection, reason, sequence FROM held_deletions
                       WHERE space_row = ? AND purge = 1 AND confirmed = 1 ORDER BY entity";
            let found = transaction.read(|connection| {
                rows(connection, sql, [space_row], |row| {
                    let reason = ErasureReason::from_number(column::number(row, 2)?).unwrap_or(ErasureReason::ASKED);
                    let record = Erasure { entity: column::entity(row, 0)?, reason };
                    Ok((record, column::collection(row, 1)?, column::sequence(row, 3)?))
                })
            })?;
            let mut met = MetEntities::default();
            let mut erased = Vec::new();
            for (record, collection, sequence) in found {
                let erasure = ReceivedErasure { record, collection: &collection, sequence };
                // It is not held any more by the row that confirms it.
                if erase::receive(transaction, &mut met, space_row, (&erasure, upto), at_ms)? {
                    erased.push(record.entity);
                }
            }
            Ok::<_, StoreError>(erased)
        })?;
        Ok(followed.into_inner())
    }

    /// Forgets that deletions of entities were held: they are followed, or are none any more.
    ///
    /// The transaction is not synced: what a power failure brings back is found to be done again.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn forget_held(&mut self, entities: &[EntityId]) -> Result<(), StoreError> {
        self.write_unsynced(|transaction| {
            for entity in entities {
                transaction
                    .execute("DELETE FROM held_deletions WHERE entity = ? AND purge = 0", [entity.as_bytes()])?;
            }
            Ok(())
        })
    }
}

impl Reader {
    /// How much may be deleted unasked: in collections of a space by their names, and in all others.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn guards(&self, space: SpaceId) -> Result<(DeletionLimits, BTreeMap<Collection, DeletionLimits>), StoreError> {
        self.read(|connection| {
            let sql = "SELECT collection, deletions, share FROM guards JOIN spaces USING (space_row)
                       WHERE space = ? AND collection <> ''";
            let of_collections =
                rows(connection, sql, [space.as_bytes()], |row| Ok((column::collection(row, 0)?, limits(row, 1)?)))?;
            let sql =
                "SELECT deletions, share FROM guards JOIN spaces USING (space_row) WHERE space = ? AND collection = ''";
            let of_others = row(connection, sql, [space.as_bytes()], |row| limits(row, 0))?;
            Ok((of_others.unwrap_or_default(), of_collections.into_iter().collect()))
        })
    }

    /// What was deleted here and is held back from being sent: see [`Store::held_to_send`].
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn held_to_send(&self, space: SpaceId, now_ms: i64) -> Result<Vec<UnsentDeletion>, StoreError> {
        self.read(|connection| to_send(connection, space, now_ms))
    }

    /// What others deleted and is held back here, in the order of ids.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn held_deletions(&self, space: SpaceId) -> Result<Vec<HeldDeletion>, StoreError> {
        self.read(|connection| held(connection, space))
    }
}

fn limits(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<DeletionLimits> {
    let deletions: Option<i64> = row.get(first)?;
    let deletions = deletions.map(|deletions| u64::try_from(deletions).unwrap_or(0));
    Ok(DeletionLimits { deletions, share: row.get(first + 1)? })
}

pub(crate) fn limits_of(
    connection: &Connection,
    space: SpaceId,
    collection: &Collection,
) -> Result<DeletionLimits, StoreError> {
    let sql = "SELECT deletions, share FROM guards JOIN spaces USING (space_row)
               WHERE space = ? AND collection IN (?, '') ORDER BY collection DESC LIMIT 1";
    let found = row(connection, sql, (space.as_bytes(), collection.as_str()), |row| limits(row, 0))?;
    Ok(found.unwrap_or_default())
}

/// How many entities of a collection are there and not deleted.
pub(crate) fn there(connection: &Connection, space: SpaceId, collection: &Collection) -> Result<u64, StoreError> {
    let sql = "SELECT (SELECT count(*) FROM entities WHERE space_row = spaces.space_row AND collection = ?2)
               - (SELECT count(*) FROM projections WHERE space_row = spaces.space_row AND collection = ?2 AND deleted = 1)
               FROM spaces WHERE space = ?1";
    let found = row(connection, sql, (space.as_bytes(), collection.as_str()), |row| column::count(row, 0))?;
    Ok(found.unwrap_or(0))
}

/// How many of some entities are among those that [`there`] counts: a purge of what is in the trash takes away nothing that was there.
pub(crate) fn living(
    connection: &Connection,
    space: SpaceId,
    entities: impl IntoIterator<Item = EntityId>,
) -> Result<u64, StoreError> {
    let sql = "SELECT 1 FROM entities WHERE entity = ?2 AND space_row = (SELECT space_row FROM spaces WHERE space = ?1)
               AND NOT EXISTS (SELECT 1 FROM projections WHERE projections.entity_row = entities.entity_row AND deleted = 1)";
    let mut living = 0;
    for entity in entities {
        let found = row(connection, sql, (space.as_bytes(), entity.as_bytes()), |_| Ok(()))?;
        living += u64::from(found.is_some());
    }
    Ok(living)
}

/// Those of all collections, where those of one are too many: nothing of the space is sent then.
fn to_send(connection: &Connection, space: SpaceId, now_ms: i64) -> Result<Vec<UnsentDeletion>, StoreError> {
    let unsent: Vec<_> = unsent(connection, space)?.into_iter().filter(|deletion| !deletion.is_confirmed).collect();
    let stuck = stuck(connection, space)?;
    if unsent.iter().any(|deletion| stuck.contains(&deletion.entity)) {
        return Ok(unsent);
    }
    let mut counts: BTreeMap<Collection, u64> = BTreeMap::new();
    unsent.iter().for_each(|deletion| *counts.entry(deletion.collection.clone()).or_default() += 1);
    for (collection, count) in counts {
        let limits = limits_of(connection, space, &collection)?;
        if limits.is_off() {
            continue;
        }
        let sql = "SELECT count(*) FROM deletions WHERE space_row = (SELECT space_row FROM spaces WHERE space = ?)
                   AND collection = ? AND sent = 1 AND confirmed = 0 AND at_ms > ?";
        let since_ms = now_ms.saturating_sub(DELETIONS_COUNT_MS);
        let values = (space.as_bytes(), collection.as_str(), since_ms);
        let sent = row(connection, sql, values, |row| column::count(row, 0))?.unwrap_or(0);
        if limits.are_exceeded_by(count + sent, there(connection, space, &collection)?) {
            return Ok(unsent);
        }
    }
    Ok(Vec::new())
}

pub(crate) fn held(connection: &Connection, space: SpaceId) -> Result<Vec<HeldDeletion>, StoreError> {
    let sql = "SELECT entity, collection, purge, hash, device, author, at_ms, over, confirmed FROM held_deletions
               WHERE space_row = (SELECT space_row FROM spaces WHERE space = ?) ORDER BY entity";
    rows(connection, sql, [space.as_bytes()], |row| {
        Ok(HeldDeletion {
            entity: column::entity(row, 0)?,
            collection: column::collection(row, 1)?,
            is_purge: row.get(2)?,
            hash: column::change_hash(row, 3)?,
            device: row.get::<_, Option<[u8; 16]>>(4)?.map(DeviceId::from_bytes),
            author: row.get(5)?,
            at_ms: row.get(6)?,
            is_over: row.get(7)?,
            is_confirmed: row.get(8)?,
        })
    })
}

/// Holds an erasure record back where its entity is here and a guard watches its collection, unless somebody has let it through; says
/// whether it did.
pub(crate) fn hold_purge(
    transaction: &mut WriteTransaction<'_>,
    space: SpaceRow,
    record: Erasure,
    mark: Option<Sequence>,
    at_ms: i64,
) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM guards WHERE space_row = ? AND (deletions IS NOT NULL OR share IS NOT NULL)";
    if transaction.row(sql, [space], |_| Ok(()))?.is_none() {
        return Ok(false);
    }
    let entity = record.entity;
    let found = transaction.read(|connection| entity::find(connection, entity))?;
    let Some(found) = found.filter(|found| found.space_row == space) else { return Ok(false) };
    let limits = transaction.read(|connection| limits_of(connection, found.home.space, &found.home.collection))?;
    let sql = "SELECT confirmed FROM held_deletions WHERE space_row = ? AND entity = ? AND purge = 1";
    let held: Option<bool> = transaction.row(sql, (space, entity.as_bytes()), |row| row.get(0))?;
    if limits.is_off() || held == Some(true) {
        return Ok(false);
    }
    let sql = "INSERT INTO held_deletions (space_row, entity, collection, purge, hash, reason, sequence, at_ms, over)
               VALUES (?, ?, ?, 1, ?, ?, ?, ?, 0)
               ON CONFLICT (space_row, entity) DO UPDATE SET purge = 1, hash = excluded.hash, reason = excluded.reason,
               sequence = coalesce(sequence, excluded.sequence), device = NULL, author = NULL,
               at_ms = iif(purge = 1, at_ms, excluded.at_ms), confirmed = 0";
    let (hash, reason, mark) = (record.hash().0, record.reason.number(), mark.map(sequence_sql));
    let collection = found.home.collection.as_str();
    transaction.execute(sql, (space, entity.as_bytes(), collection, hash, reason, mark, at_ms))?;
    Ok(true)
}
