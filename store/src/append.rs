//! Local changes and imported ones.

use crate::column::ChangeState;
use crate::conflicts;
use crate::entity::{FoundEntity, MetEntities, Projection, Provenance, insert_change, make_stale, project};
use crate::erase;
use crate::error::{AppendError, StoreError};
use crate::guard;
use crate::settle::{Order, Settled, settle_change};
use crate::space;
use crate::store::Store;
use crate::transaction::WriteTransaction;
use afield_core::{ChangeHash, Collection, Durable, EntityId, SpaceId};

/// How a change that is appended relates to the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arrival {
    /// The document holds it: an edit made here.
    Applied,
    /// It has still to go through the guarded apply: an import.
    Received,
    /// The document holds it, and its author may not have known all that the document holds: an import.
    Joined,
}

/// A change to append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewChange<'a> {
    /// Its hash.
    pub hash: ChangeHash,
    /// Its bytes, uncompressed, as they were hashed.
    pub bytes: &'a [u8],
    /// How it relates to the document.
    pub arrival: Arrival,
}

/// What is written of one entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntityWrite<'a> {
    /// The space of the entity.
    pub space: SpaceId,
    /// The entity; made when the store does not know it.
    pub entity: EntityId,
    /// Its collection.
    pub collection: &'a Collection,
    /// The changes, in causal order: the outbox sends them in this order (D4).
    pub changes: &'a [NewChange<'a>],
    /// What the document reads as with them. `None` marks the projection as stale in the same transaction, when a
    /// change was applied: somebody who types into a large text need not rewrite its JSON at each key.
    pub projection: Option<&'a Projection>,
}

impl Store {
    /// Stores changes of any number of entities, with their places in the outbox and their projections, in one
    /// transaction (D1); answers how many of the changes the store did not hold before.
    ///
    /// For one change of a known entity that is three reading statements, three writing ones, and one sync of the WAL.
    ///
    /// # Errors
    ///
    /// [`AppendError::UnknownSpace`], [`AppendError::OtherSpace`] and [`AppendError::OtherCollection`] name what does
    /// not fit, and nothing is stored; or the storage failed.
    pub fn append(&mut self, writes: &[EntityWrite<'_>], at_ms: i64) -> Result<Durable<u64>, AppendError> {
        self.write(|transaction| {
            let mut met = MetEntities::default();
            let mut added = 0;
            for write in writes {
                added += append_entity(transaction, &mut met, write, at_ms)?;
            }
            Ok(added)
        })
    }
}

fn append_entity(
    transaction: &mut WriteTransaction<'_>,
    met: &mut MetEntities,
    write: &EntityWrite<'_>,
    at_ms: i64,
) -> Result<u64, AppendError> {
    let entity = fitting_entity(transaction, met, write)?;
    let (mut added, mut is_document_changed, mut order) = (0, false, Order::default());
    for change in write.changes {
        let state = match change.arrival {
            Arrival::Applied | Arrival::Joined => ChangeState::Applied,
            Arrival::Received => ChangeState::Received,
        };
        is_document_changed |= state == ChangeState::Applied;
        if insert_change(transaction, &entity, (change.hash, change.bytes), (state, Provenance::Here), at_ms)? {
            added += 1;
        } else if state == ChangeState::Applied {
            // A derived change can have come from another device before this one made it.
            settle_change(transaction, &entity, &mut order, write.entity, (change.hash, Settled::Applied), at_ms)?;
        }
    }
    order.finish(transaction, &entity)?;
    if write.changes.iter().any(|change| change.arrival == Arrival::Joined) {
        conflicts::make_stale(transaction, entity.row)?;
    } else if is_document_changed {
        conflicts::make_stale_if_any(transaction, entity.row)?;
    }
    match write.projection {
        Some(projection) => {
            if projection.deleted
                && let Some(last) = write.changes.last()
            {
                guard::note_deletion(transaction, &entity, (write.entity, last.hash), at_ms)?;
            }
            project(transaction, &entity, projection)?;
        }
        None if is_document_changed => make_stale(transaction, &entity, at_ms)?,
        None => {}
    }
    Ok(added)
}

fn fitting_entity(
    transaction: &mut WriteTransaction<'_>,
    met: &mut MetEntities,
    write: &EntityWrite<'_>,
) -> Result<FoundEntity, AppendError> {
    let EntityWrite { space, entity, collection, .. } = *write;
    let found = match met.find(transaction, entity)? {
        Some(found) => found,
        None => {
            let (space_row, _) = space::find(transaction, space)?.ok_or(AppendError::UnknownSpace { space })?;
            if erase::is_erased(transaction, space_row, entity)? {
                return Err(AppendError::Purged { entity });
            }
            met.find_or_create(transaction, entity, (space, space_row), collection)?
        }
    };
    if found.home.space != space {
        return Err(AppendError::OtherSpace { entity, space: found.home.space });
    }
    if found.home.collection != *collection {
        return Err(AppendError::OtherCollection { entity, collection: found.home.collection });
    }
    Ok(found)
}

impl From<crate::error::EntityError> for AppendError {
    fn from(error: crate::error::EntityError) -> Self {
        match error {
            crate::error::EntityError::Store(error) => Self::Store(error),
            // Only a change that the same statement has just found to be held is settled here.
            _ => Self::Store(StoreError::from(rusqlite::Error::QueryReturnedNoRows)),
        }
    }
}
