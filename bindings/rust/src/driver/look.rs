//! A driver that only looks: it takes in and merges what the relay has, sends nothing, and remembers what it took in.

use super::Driver;
use super::documents::lock;
use afield_core::{EntityId, SpaceId};
use afield_store::{Brought, RunOutcome};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

/// What was taken in of a space.
#[derive(Debug, Clone, Default)]
pub(crate) struct Took {
    /// What had not been here, by entity.
    pub(crate) brought: BTreeMap<EntityId, Brought>,
    /// What was here and is purged.
    pub(crate) erased: BTreeSet<EntityId>,
    /// Whether the relay turned out to have lost history of the space.
    pub(crate) was_reset: bool,
}

impl Driver {
    /// Sends nothing from now on, and remembers what it takes in: for a store that is a copy. Call it before sync is switched on.
    pub(crate) fn only_looking(self) -> Self {
        Self { looks: Some(Mutex::default()), ..self }
    }

    /// What was taken in by a driver that only looks.
    pub(crate) fn taken_in(&self) -> BTreeMap<SpaceId, Took> {
        self.looks.as_ref().map(|looks| lock(looks).clone()).unwrap_or_default()
    }

    /// Notes what a run or a page has brought, where somebody only looks.
    pub(super) fn note_taken(&self, space: SpaceId, outcome: &RunOutcome) {
        let Some(looks) = &self.looks else { return };
        let mut looks = lock(looks);
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

    /// Notes that the relay had lost history, where somebody only looks.
    pub(super) fn note_taken_anew(&self, space: SpaceId) {
        if let Some(looks) = &self.looks {
            lock(looks).entry(space).or_default().was_reset = true;
        }
    }
}
