//! A driver that only looks: it takes in and merges what the relay has, sends nothing, and remembers what it took in.

use super::documents::lock;
use super::{Driver, DriverError};
use afield_core::{ChangeHash, DeviceId, EntityId, Entropy, Now, SpaceId};
use afield_store::{Brought, RunOutcome, Store, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

/// What was taken in of a space.
#[derive(Debug, Clone, Default)]
pub(crate) struct Took {
    /// What had not been here, by entity.
    pub(crate) brought: BTreeMap<EntityId, Brought>,
    /// What was here and is purged.
    pub(crate) erased: BTreeSet<EntityId>,
    /// Changes that decided conflicts by strategy, and their bytes.
    settled: BTreeMap<(EntityId, ChangeHash), u64>,
    /// Whether the relay turned out to have lost history of the space.
    pub(crate) was_reset: bool,
}

impl Took {
    /// What deciding conflicts by strategy has added to be sent, by entity.
    pub(crate) fn settled(&self) -> BTreeMap<EntityId, Brought> {
        let mut settled: BTreeMap<EntityId, Brought> = BTreeMap::new();
        for ((entity, _), bytes) in &self.settled {
            let of_entity = settled.entry(*entity).or_default();
            (of_entity.changes, of_entity.bytes) = (of_entity.changes + 1, of_entity.bytes + bytes);
        }
        settled
    }
}

/// What a driver that only looks knows beside its store.
#[derive(Debug)]
pub(super) struct Looking {
    /// The device whose store it has a copy of, and which it decides for.
    side: DeviceId,
    took: Mutex<BTreeMap<SpaceId, Took>>,
}

impl Driver {
    /// Starts on a store that is a copy of that of another device, as [`Driver::new`] does: it sends nothing, decides as that device does,
    /// and remembers what it takes in.
    pub(crate) fn only_looking(
        store: Store,
        entropy: Box<dyn Entropy>,
        now: Now,
        side: DeviceId,
    ) -> Result<Self, DriverError> {
        Self::started(store, entropy, now, Some(Looking { side, took: Mutex::default() }))
    }

    /// The device whose side strategies take.
    pub(super) fn side(&self) -> DeviceId {
        self.looks.as_ref().map_or_else(|| self.device(), |looks| looks.side)
    }

    /// What was taken in by a driver that only looks.
    pub(crate) fn taken_in(&self) -> Result<BTreeMap<SpaceId, Took>, StoreError> {
        let mut took = self.looks.as_ref().map(|looks| lock(&looks.took).clone()).unwrap_or_default();
        let store = lock(&self.store);
        for took in took.values_mut() {
            for (entity, hash) in took.settled.keys().copied().collect::<Vec<_>>() {
                // Somebody else may have decided the same, and what is held back goes nowhere.
                let is_unsent = store.standing(entity, hash)?.is_some_and(|(_, sequence)| sequence.is_none());
                if !is_unsent || store.is_held_back(entity, hash)? {
                    took.settled.remove(&(entity, hash));
                }
            }
        }
        Ok(took)
    }

    /// Notes what a run or a page has brought, where somebody only looks.
    pub(super) fn note_taken(&self, space: SpaceId, outcome: &RunOutcome) {
        let Some(looks) = &self.looks else { return };
        let mut looks = lock(&looks.took);
        let took = looks.entry(space).or_default();
        for (entity, more) in &outcome.brought {
            let known = took.brought.entry(*entity).or_default();
            (known.changes, known.bytes) = (known.changes + more.changes, known.bytes + more.bytes);
        }
        for entity in &outcome.erased {
            took.brought.remove(entity);
            took.erased.insert(*entity);
        }
    }

    /// Notes changes that decided conflicts by strategy, and their bytes, where somebody only looks.
    pub(super) fn note_settled(&self, space: SpaceId, entity: EntityId, made: &[(ChangeHash, usize)]) {
        if let Some(looks) = &self.looks {
            let mut looks = lock(&looks.took);
            let settled = made.iter().map(|(hash, bytes)| ((entity, *hash), *bytes as u64));
            looks.entry(space).or_default().settled.extend(settled);
        }
    }

    /// Notes that the relay had lost history, where somebody only looks.
    pub(super) fn note_taken_anew(&self, space: SpaceId) {
        if let Some(looks) = &self.looks {
            lock(&looks.took).entry(space).or_default().was_reset = true;
        }
    }
}
