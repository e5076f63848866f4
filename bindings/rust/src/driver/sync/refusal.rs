//! What the relay refused: repaired where this device can, and otherwise kept back, visibly.

use super::{Link, Synchronization};
use crate::driver::documents::lock;
use crate::driver::{Acknowledged, Driver, DriverError};
use crate::status::SyncEvent;
use afield_core::wire::{ChunkCode, PushNumber};
use afield_core::{ChangeHash, EntityId, Now, SpaceId};
use afield_store::{Block, ChangeState};
use std::collections::{BTreeMap, BTreeSet};

/// A change that the relay refused.
pub(super) struct Refusal {
    pub(super) space: SpaceId,
    pub(super) push: PushNumber,
    pub(super) entity: EntityId,
    pub(super) hash: ChangeHash,
    pub(super) code: ChunkCode,
    pub(super) missing: Vec<ChangeHash>,
}

impl Driver {
    /// Files the refusals of one turn, in their order, the blocks that follow in one transaction.
    ///
    /// A relay that lacks dependencies which this device holds is offered them once in a session, with what rests on
    /// them.
    pub(super) fn file_refusals(
        &self,
        sync: &mut Synchronization,
        refusals: Vec<Refusal>,
        now: Now,
    ) -> Result<(), DriverError> {
        let mut blocks = Vec::new();
        let mut purged: BTreeMap<SpaceId, BTreeSet<EntityId>> = BTreeMap::new();
        for refusal in refusals {
            if is_in_repair(sync, &refusal) || self.repair(sync, &refusal)? {
                continue;
            }
            let Refusal { space, entity, hash, code, missing, .. } = refusal;
            self.acknowledgements.tell(hash, Acknowledged::Refused(code));
            // What follows a refused change is kept back by the block of that change, and what waits here for others
            // is sent last and holds nothing up.
            let state = lock(&self.store).standing(entity, hash)?.map(|(state, _)| state);
            if code == ChunkCode::Purged {
                purged.entry(space).or_default().insert(entity);
            }
            if state.is_none() || purged.get(&space).is_some_and(|purged| purged.contains(&entity)) {
                sync.did_not_move(space, 1);
            }
            if code == ChunkCode::Purged {
                continue;
            }
            if state.is_none() {
                // It was purged here while it was on its way, or is the word that something was: nothing waits behind it.
                if lock(&self.store).refuse_erasure(space, (entity, hash), code, now.wall_ms)? {
                    tracing::warn!(%space, %entity, %code, "the relay refused to purge what was purged here");
                    sync.say(SyncEvent::ChangeRefused { space, entity, code });
                } else {
                    tracing::debug!(%space, %entity, %code, "the relay refused what is not here any more");
                }
                continue;
            }
            if code != ChunkCode::Blocked && state != Some(ChangeState::Waiting) {
                tracing::warn!(%space, %entity, change = %hash, %code, "the relay refused a change; the entity's later changes wait");
                sync.say(SyncEvent::ChangeRefused { space, entity, code });
                blocks.push(Block { entity, code, hash, missing, since_ms: now.wall_ms });
            }
        }
        if !blocks.is_empty() {
            lock(&self.store).block(&blocks)?;
        }
        for (space, entities) in purged {
            self.purge_refused(sync, space, &entities.into_iter().collect::<Vec<_>>(), now)?;
        }
        Ok(())
    }

    /// Puts the dependencies that the relay lacks back into the outbox, where all of them are held and this was not
    /// tried before in this session. Answers whether it did.
    fn repair(&self, sync: &mut Synchronization, refusal: &Refusal) -> Result<bool, DriverError> {
        let Refusal { space, entity, code, missing, .. } = refusal;
        if *code != ChunkCode::MissingDependencies {
            return Ok(false);
        }
        let mut store = lock(&self.store);
        let Synchronization { spaces, link: Link::Up { session, .. }, .. } = sync else { return Ok(false) };
        let Some(state) = spaces.get_mut(space) else { return Ok(false) };
        if state.repaired.contains_key(entity) || store.held(*entity, missing)?.len() != missing.len() {
            return Ok(false);
        }
        state.repaired.insert(*entity, session.next_push());
        let _ = store.unmark(*entity, missing)?;
        drop(store);
        Self::rescan(sync, *space);
        Ok(true)
    }
}

/// Whether a change is on its way again, behind what it lacked: it was refused in a push from before the repair.
fn is_in_repair(sync: &Synchronization, refusal: &Refusal) -> bool {
    let state = sync.spaces.get(&refusal.space);
    let repaired_from = state.and_then(|state| state.repaired.get(&refusal.entity));
    repaired_from.is_some_and(|from| refusal.push < *from)
        && matches!(refusal.code, ChunkCode::MissingDependencies | ChunkCode::Blocked)
}
