//! What became of stored changes, and the projections that follow from it.

use crate::column::{ChangeRow, ChangeState};
use crate::conflicts::{self, ConflictRow};
use crate::entity::{self, FoundEntity, Projection, make_stale, project};
use crate::error::{EntityError, StoreError};
use crate::snapshot;
use crate::store::Store;
use crate::transaction::{WriteTransaction, rows};
use afield_core::{ChangeHash, ChunkKind, Durable, EntityId};

/// Why something is in the quarantine: the number of a reason, and the version of the rules that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reason {
    /// The number of the reason.
    pub number: u16,
    /// The version of the rules; a later version may judge otherwise and tries again.
    pub rules: u16,
}

impl Reason {
    /// The entity lives in another space of this store. Numbers from 1,000 up are the store's own.
    pub const FOREIGN_ENTITY: Self = Self { number: 1_000, rules: 1 };
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Settled {
    /// It is part of the document.
    Applied,
    /// Dependencies are missing, or wait themselves.
    Waiting,
    /// It was refused.
    Quarantined(Reason),
}

/// What became of the changes of one entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// The entity.
    pub entity: EntityId,
    /// The verdicts.
    pub verdicts: Vec<(ChangeHash, Settled)>,
    /// What its document reads as now; `None` when it did not change.
    pub projection: Option<Projection>,
    /// What people have to decide about it now; `None` where that was not worked out.
    pub conflicts: Option<Vec<ConflictRow>>,
}

impl Store {
    /// Notes what the guarded apply decided about changes of any number of entities, with what the documents read as
    /// now and what is to be decided about them, in one transaction (D9); without a projection, or without conflicts, those that
    /// there are become stale when a verdict changed the document.
    ///
    /// The transaction is not synced: what a power failure takes back is found again by [`Store::pending`].
    ///
    /// The verdicts of an entity come in the order in which its changes were applied, and the outbox keeps that order (D4).
    /// Repeating a verdict changes nothing. Bytes stay whatever the verdict (D8).
    ///
    /// # Errors
    ///
    /// [`EntityError::UnknownEntity`] and [`EntityError::UnknownChange`] with nothing stored, and [`EntityError::Covered`]
    /// for a change that is to leave a document whose snapshot alone holds it; or the storage failed.
    pub fn settle(&mut self, settlements: &[Settlement], at_ms: i64) -> Result<(), EntityError> {
        // Before the transaction: nothing can be written in one in which a damaged page of a snapshot was met.
        let saved = self.read(|connection| {
            let upto = |settlement: &Settlement| match entity::find(connection, settlement.entity)? {
                Some(found) => snapshot::upto_max(connection, found.row),
                None => Ok(ChangeRow(0)),
            };
            settlements.iter().map(upto).collect::<Result<Vec<_>, _>>()
        })?;
        self.write_unsynced(|transaction| {
            for (Settlement { entity, verdicts, projection, conflicts }, saved) in settlements.iter().zip(saved) {
                let found = known(transaction, *entity)?;
                let (mut is_document_changed, mut order) = (false, Order { saved: Some(saved), ..Order::default() });
                for (hash, settled) in verdicts {
                    is_document_changed |=
                        settle_change(transaction, &found, &mut order, *entity, (*hash, *settled), at_ms)?;
                }
                order.finish(transaction, &found)?;
                match conflicts.as_deref().filter(|_| is_document_changed) {
                    Some(conflicts) => conflicts::put(transaction, found.row, conflicts)?,
                    None if is_document_changed => conflicts::make_stale(transaction, found.row)?,
                    None => {}
                }
                match projection {
                    Some(projection) => project(transaction, &found, projection)?,
                    None if is_document_changed => make_stale(transaction, &found, at_ms)?,
                    None => {}
                }
            }
            Ok(())
        })
    }

    /// Takes changes of an entity out of the quarantine that were put there for one reason, to wait until they are judged
    /// again; answers how many. As for [`Store::settle`], the transaction is not synced.
    ///
    /// # Errors
    ///
    /// [`EntityError::UnknownEntity`], or the storage failed.
    pub fn retry_quarantined(&mut self, entity: EntityId, reason: u16) -> Result<usize, EntityError> {
        self.write_unsynced(|transaction| {
            let found = known(transaction, entity)?;
            let sql = "UPDATE changes SET state = 2 WHERE entity_row = ?1 AND state = 3 AND hash IN
                       (SELECT hash FROM quarantine WHERE space_row = ?2 AND entity = ?3 AND reason = ?4
                       AND bytes IS NULL)";
            let retried = transaction.execute(sql, (found.row, found.space_row, entity.as_bytes(), reason))?;
            let sql = "DELETE FROM quarantine WHERE space_row = ?1 AND entity = ?2 AND reason = ?3 AND bytes IS NULL";
            transaction.execute(sql, (found.space_row, entity.as_bytes(), reason))?;
            Ok(retried)
        })
    }

    /// Takes the changes out of the quarantine that older rules put there, to be judged by newer ones; answers how many.
    /// As for [`Store::settle`], the transaction is not synced.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn retry_judged_before(&mut self, rules: u16) -> Result<usize, StoreError> {
        self.write_unsynced(|transaction| {
            let sql = "UPDATE changes SET state = 2 WHERE state = 3 AND state <> 0 AND change_row IN
                       (SELECT change_row FROM quarantine JOIN entities USING (entity)
                       JOIN changes ON changes.entity_row = entities.entity_row AND changes.hash = quarantine.hash
                       WHERE quarantine.bytes IS NULL AND rules < ?1)";
            let retried = transaction.execute(sql, [rules])?;
            transaction.execute("DELETE FROM quarantine WHERE bytes IS NULL AND rules < ?1", [rules])?;
            Ok(retried)
        })
    }

    /// Writes projections alone: those that were stale, or all of them to rebuild what queries read.
    ///
    /// The transaction is not synced: what a power failure takes back is stale again.
    ///
    /// # Errors
    ///
    /// [`EntityError::UnknownEntity`] with nothing stored; or the storage failed.
    pub fn project(&mut self, projections: &[(EntityId, Projection)]) -> Result<(), EntityError> {
        self.write_unsynced(|transaction| {
            for (entity, projection) in projections {
                let found = known(transaction, *entity)?;
                project(transaction, &found, projection)?;
            }
            Ok(())
        })
    }

    /// Says that everything that is projected has to be projected anew, because the rules for it changed.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn make_projections_stale(&mut self) -> Result<Durable<()>, StoreError> {
        self.write(|transaction| {
            transaction.execute("UPDATE projections SET stale = 1 WHERE stale = 0", [])?;
            Ok(())
        })
    }
}

/// Gives one change its state; says whether the document differs by it.
pub(crate) fn settle_change(
    transaction: &mut WriteTransaction<'_>,
    entity: &FoundEntity,
    order: &mut Order,
    id: EntityId,
    (hash, settled): (ChangeHash, Settled),
    at_ms: i64,
) -> Result<bool, EntityError> {
    let sql = "SELECT change_row, state FROM changes WHERE entity_row = ? AND hash = ?";
    let found = transaction.row(sql, (entity.row, hash.0), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (change, before): (ChangeRow, ChangeState) = found.ok_or(EntityError::UnknownChange { entity: id, hash })?;
    let after = match settled {
        Settled::Applied => ChangeState::Applied,
        Settled::Waiting => ChangeState::Waiting,
        Settled::Quarantined(_) => ChangeState::Quarantined,
    };
    if before == ChangeState::Quarantined && after != ChangeState::Quarantined {
        let sql = "DELETE FROM quarantine WHERE space_row = ? AND entity = ? AND hash = ?";
        transaction.execute(sql, (entity.space_row, id.as_bytes(), hash.0))?;
    }
    if let Settled::Quarantined(reason) = settled {
        let sql = "INSERT INTO quarantine (space_row, entity, hash, kind, reason, rules, sequence, at_ms, bytes)
                   SELECT space_row, ?2, hash, ?3, ?4, ?5, NULL, ?6, NULL FROM changes WHERE change_row = ?1
                   ON CONFLICT (space_row, entity, hash) DO UPDATE SET reason = excluded.reason,
                   rules = excluded.rules WHERE bytes IS NULL";
        let kind = ChunkKind::Change.number();
        transaction.execute(sql, (change, id.as_bytes(), kind, reason.number, reason.rules, at_ms))?;
    }
    if before == after {
        return Ok(false);
    }
    if after == ChangeState::Applied {
        order.keep(transaction, entity, change, before)?;
    }
    if before == ChangeState::Applied {
        // The saved document holds what the document no longer does.
        snapshot::forget_those_with(transaction, entity, id, (change, hash))?;
    }
    let sql = "UPDATE changes SET state = ?3 WHERE entity_row = ?1 AND hash = ?2";
    transaction.execute(sql, (entity.row, hash.0, after))?;
    Ok(before == ChangeState::Applied || after == ChangeState::Applied)
}

/// Keeps the rows of an entity's applied changes in an order in which they can be applied again (D4).
///
/// What arrives in good order stands in it already. What waited, and what stands below a snapshot that was saved without
/// it, moves to the end; and so does then whatever may rest on it: what was applied after it, and all that is not
/// settled yet.
#[derive(Debug, Default)]
pub(crate) struct Order {
    has_moved: bool,
    /// The row up to which a snapshot stands for everything; absent until it was looked up.
    saved: Option<ChangeRow>,
}

impl Order {
    fn keep(
        &mut self,
        transaction: &mut WriteTransaction<'_>,
        entity: &FoundEntity,
        change: ChangeRow,
        before: ChangeState,
    ) -> Result<(), StoreError> {
        let saved = match self.saved {
            Some(saved) => saved,
            None => *self.saved.insert(transaction.read(|connection| snapshot::upto_max(connection, entity.row))?),
        };
        self.has_moved |= before != ChangeState::Received || change <= saved;
        if self.has_moved {
            move_to_end(transaction, change)?;
        }
        Ok(())
    }

    /// Ends the settlement of the entity.
    pub(crate) fn finish(self, transaction: &mut WriteTransaction<'_>, entity: &FoundEntity) -> Result<(), StoreError> {
        if !self.has_moved {
            return Ok(());
        }
        let sql = "SELECT change_row FROM changes WHERE state <> 0 AND state IN (1, 2) AND entity_row = ?
                   ORDER BY change_row";
        let unsettled = transaction.read(|connection| rows(connection, sql, [entity.row], |row| row.get(0)))?;
        unsettled.into_iter().try_for_each(|change| move_to_end(transaction, change))
    }
}

fn move_to_end(transaction: &mut WriteTransaction<'_>, change: ChangeRow) -> Result<(), StoreError> {
    let sql = "UPDATE changes SET change_row = max((SELECT max(change_row) FROM changes), (SELECT change_row FROM change_floor)) + 1
               WHERE change_row = ?";
    transaction.execute(sql, [change])?;
    Ok(())
}

pub(crate) fn known(transaction: &mut WriteTransaction<'_>, entity: EntityId) -> Result<FoundEntity, EntityError> {
    transaction.read(|connection| entity::find(connection, entity))?.ok_or(EntityError::UnknownEntity { entity })
}
