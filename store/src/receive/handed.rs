//! What another device had not sent, handed over in a file.

use super::{Stored, UnreadableChunk, quarantine_chunk};
use crate::column::{ChangeState, SpaceRow};
use crate::entity::{MetEntities, Provenance, insert_change};
use crate::erase;
use crate::error::{SpaceError, StoreError};
use crate::held;
use crate::settle::Reason;
use crate::space;
use crate::store::Store;
use crate::transaction::WriteTransaction;
use afield_core::{ChangeHash, ChunkKind, Collection, Durable, EntityId, Erasure, Sequence, SpaceId};
use std::collections::BTreeSet;

/// A change that another device had not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandedChange<'a> {
    /// The entity.
    pub entity: EntityId,
    /// Its collection, which counts only when the store does not know the entity yet.
    pub collection: &'a Collection,
    /// The hash of the change, computed from the bytes.
    pub hash: ChangeHash,
    /// The bytes, uncompressed, as they were hashed.
    pub bytes: &'a [u8],
}

/// Some of what another device had not sent of a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handed<'a> {
    /// The space.
    pub space: SpaceId,
    /// Its changes.
    pub changes: &'a [HandedChange<'a>],
    /// Its erasure records.
    pub erasures: &'a [(Erasure, &'a Collection)],
    /// What is no change: it is kept and quarantined. The sequence counts for nothing.
    pub unreadable: &'a [UnreadableChunk<'a>],
}

/// What taking some of it over has brought.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TakenOver {
    /// How many changes and erasure records the store did not hold.
    pub added: u64,
    /// The entities of which changes came that the store did not hold.
    pub fresh: BTreeSet<EntityId>,
    /// The entities that were erased, each of which something was held.
    pub erased: Vec<EntityId>,
    /// The entities whose erasure records are held back by a guard.
    pub held: Vec<EntityId>,
    /// How many changes were quarantined because their entity lives in another space.
    pub foreign: u64,
}

impl Store {
    /// Stores what another device had not sent, with its place in the outbox, in one transaction (the outbox rule, D5); the
    /// changes still have to be applied ([`Store::pending`]). No relay is known to have them, so a direction counts for them as
    /// for what is made here.
    ///
    /// What is held already is left alone, so the same again changes nothing (S3).
    ///
    /// # Errors
    ///
    /// [`SpaceError::UnknownSpace`], or the storage failed. Nothing is stored then.
    pub fn take_over(&mut self, handed: &Handed<'_>, at_ms: i64) -> Result<TakenOver, SpaceError> {
        if !handed.erasures.is_empty() {
            self.extracted = None;
        }
        self.write(|transaction| take_over(transaction, handed, at_ms)).map(Durable::into_inner)
    }
}

fn take_over(transaction: &mut WriteTransaction<'_>, handed: &Handed<'_>, at_ms: i64) -> Result<TakenOver, SpaceError> {
    let space = handed.space;
    let (space_row, _) = space::find(transaction, space)?.ok_or(SpaceError::UnknownSpace { space })?;
    let (mut met, mut taken) = (MetEntities::default(), TakenOver::default());
    for change in handed.changes {
        match take_change(transaction, &mut met, (space, space_row), change, at_ms)? {
            Stored::Added => {
                taken.added += 1;
                taken.fresh.insert(change.entity);
            }
            Stored::Foreign => taken.foreign += 1,
            Stored::Held => {}
        }
    }
    for chunk in handed.unreadable {
        quarantine_chunk(transaction, space_row, chunk, None, at_ms)?;
    }
    for (record, collection) in handed.erasures {
        take_erasure(transaction, &mut met, space_row, (*record, collection), &mut taken, at_ms)?;
    }
    Ok(taken)
}

fn take_change(
    transaction: &mut WriteTransaction<'_>,
    met: &mut MetEntities,
    space: (SpaceId, SpaceRow),
    change: &HandedChange<'_>,
    at_ms: i64,
) -> Result<Stored, StoreError> {
    let HandedChange { entity, collection, hash, bytes } = *change;
    if met.find(transaction, entity)?.is_none() && erase::is_erased(transaction, space.1, entity)? {
        return Ok(Stored::Held);
    }
    let found = met.find_or_create(transaction, entity, space, collection)?;
    if found.space_row != space.1 {
        let (kind, reason) = (ChunkKind::Change.number(), Reason::FOREIGN_ENTITY);
        let chunk = UnreadableChunk { entity, kind, sequence: Sequence::ZERO, reason, bytes };
        quarantine_chunk(transaction, space.1, &chunk, None, at_ms)?;
        return Ok(Stored::Foreign);
    }
    let is_new = insert_change(transaction, &found, (hash, bytes), (ChangeState::Received, Provenance::Here), at_ms)?;
    Ok(if is_new { Stored::Added } else { Stored::Held })
}

fn take_erasure(
    transaction: &mut WriteTransaction<'_>,
    met: &mut MetEntities,
    space: SpaceRow,
    (record, collection): (Erasure, &Collection),
    taken: &mut TakenOver,
    at_ms: i64,
) -> Result<(), StoreError> {
    let entity = record.entity;
    if erase::is_erased(transaction, space, entity)? {
        return Ok(());
    }
    if held::hold_purge(transaction, space, record, None, at_ms)? {
        taken.held.push(entity);
        return Ok(());
    }
    taken.added += 1;
    taken.fresh.remove(&entity);
    if erase::take_over(transaction, met, space, (record, collection), at_ms)? {
        taken.erased.push(entity);
    }
    Ok(())
}
