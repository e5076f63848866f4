//! A driver that only looks: it takes in and merges what the relay has, sends nothing, and remembers what it took in.

use super::documents::lock;
use super::{Driver, DriverError};
use afield_core::{DeviceId, EntityId, Entropy, Now, SpaceId};
use afield_store::{Brought, RunOutcome, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

/// What was taken in of a space.
#[derive(Debug, Clone, Default)]
pub(crate) struct Took {
    /// What had not been here, by entity.
    pub(crate) brought: BTreeMap<EntityId, Brought>,
    /// What was here and is purged.
    pub(crate) erased: BTreeSet<EntityId>,
}

/// What a driver that only looks knows beside its store.
#[derive(Debug)]
pub(super) struct Looking {
    /// The device whose store it has a copy of, and which it decides for.
    side: DeviceId,
    took: Mutex<BTreeMap<SpaceId, Took>>,
}

impl Looking {
    pub(super) fn side(&self) -> DeviceId {
        self.side
    }
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
    pub(crate) fn taken_in(&self) -> BTreeMap<SpaceId, Took> {
        self.looks.as_ref().map(|looks| lock(&looks.took).clone()).unwrap_or_default()
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
}
