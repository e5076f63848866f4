//! Purges in a world, and what has to have become of what was purged.

use super::{ChangeId, Device, Violation, World};
use afield::EntityId;
use afield_core::{Erasure, ErasureReason};
use afield_store::PurgeError;
use std::collections::BTreeSet;

/// The erasure record of an entity, as it is named among changes.
pub(super) fn record_of(entity: EntityId) -> ChangeId {
    (entity, Erasure { entity, reason: ErasureReason::ASKED }.hash())
}

impl World {
    /// Purges an entity, unless the device is dead or does not have it. Answers whether the record is stored.
    pub fn purge(&mut self, device: Device, entity: EntityId) -> bool {
        self.trace.note("purge", entity.as_bytes());
        let (now, space) = (self.now_on(device), self.space);
        let Some(driver) = self.driver(device) else { return false };
        let purged = driver.purge(space, &[entity], ErasureReason::ASKED, now);
        let is_purged = purged.is_ok();
        match purged {
            Ok(_) => {
                self.purged.insert(entity);
                self.returned.insert(record_of(entity));
                self.count("a purge");
            }
            // A failed commit may have happened.
            Err(PurgeError::Store(_)) => {
                self.purged.insert(entity);
                self.crash_or_reload(device);
            }
            Err(PurgeError::UnknownEntity { .. }) if !self.holds_changes_of(device, entity) => {}
            Err(error) => {
                self.find(Violation::of("D8", format!("device {} cannot purge {entity}: {error}", device.0)));
            }
        }
        self.wake(device);
        is_purged
    }

    /// Whether a device holds a change of an entity.
    pub(super) fn holds_changes_of(&self, device: Device, entity: EntityId) -> bool {
        self.holdings(device).iter().any(|held| held.0 == entity && *held != record_of(entity))
    }

    /// Whether a device, or the log, knows that an entity was purged.
    pub(super) fn is_purged_for(&self, holdings: &BTreeSet<ChangeId>, entity: EntityId) -> bool {
        let is_logged = self.record.present().is_some_and(|present| present.erasure(entity).is_some());
        is_logged || holdings.contains(&record_of(entity))
    }

    /// Checks that of what the log says was purged nothing is anywhere.
    pub(super) fn check_purged(&self, purged: &BTreeSet<EntityId>) -> Result<(), Violation> {
        for device in self.all() {
            let (held, listed) = (self.holdings(device), self.listed(device, None));
            for entity in purged {
                if !held.contains(&record_of(*entity)) {
                    let found = format!("device {} does not know that {entity} was purged", device.0);
                    return Violation::of("R9", found);
                }
                if self.holds_changes_of(device, *entity)
                    || listed.contains(entity)
                    || self.value(device, *entity).is_some()
                {
                    return Violation::of("S2", format!("device {} still has {entity}, which was purged", device.0));
                }
            }
        }
        Ok(())
    }
}
