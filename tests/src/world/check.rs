//! What must always hold, checked from outside.

use super::{ChangeId, Device, World};
use crate::contents::LogContents;
use afield::{Driver, EntityId};
use afield_core::session::Proof;
use afield_core::{ChangeHash, Sequence, SpaceId};
use afield_store::Store;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Its number in the list of invariants.
    pub invariant: &'static str,
    /// What was found.
    pub found: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} does not hold: {}", self.invariant, self.found)
    }
}

impl Violation {
    /// The outcome of a check that found it.
    pub(crate) fn of<T>(invariant: &'static str, found: String) -> Result<T, Self> {
        Err(Self { invariant, found })
    }
}

/// Marks changes whatever the cursor says: the fault of a device that clears its outbox on receipt.
pub(super) fn mark_all(store: &mut Store, space: SpaceId, changes: &[ChangeId]) {
    let cursor = store.space(space).expect("the store can be read").and_then(|record| record.cursor);
    let Some(sequence) = cursor.map(|cursor| cursor.sequence).filter(|sequence| *sequence > Sequence::ZERO) else {
        return;
    };
    let proofs: Vec<_> =
        changes.iter().map(|(entity, hash)| Proof { entity: *entity, hash: *hash, sequence }).collect();
    store.mark(space, &proofs).expect("the store can be written");
}

impl World {
    /// Checks what has to hold at any moment: the stores (D2, D3, D5) and what the relay has acknowledged (R1).
    ///
    /// # Errors
    ///
    /// The invariant that does not hold.
    pub fn check(&mut self) -> Result<(), Violation> {
        for device in self.all() {
            if let Some(driver) = self.driver(device) {
                let found = driver.with_store(|store| store.verify()).expect("the store can be read");
                if let Some(violation) = found.first() {
                    return Violation::of("D5", format!("device {}: {violation}", device.0));
                }
            }
        }
        Ok(())
    }

    /// Checks that everything acknowledged in the relay's present lineage is on its disk (R1).
    ///
    /// # Errors
    ///
    /// A change with a receipt is not there.
    pub fn check_acknowledged(&mut self) -> Result<(), Violation> {
        let Some(contents) = self.contents() else {
            return match self.acknowledged_since_restore.len() {
                0 => Ok(()),
                count => Violation::of("R1", format!("{count} acknowledged changes, and the relay has no such space")),
            };
        };
        let stored = contents.changes();
        match self.acknowledged_since_restore.iter().find(|change| !stored.contains_key(change)) {
            Some((entity, hash)) => {
                Violation::of("R1", format!("change {hash} of {entity} has a receipt and is not on the relay's disk"))
            }
            None => Ok(()),
        }
    }

    /// Checks what has to hold once a world has come to rest.
    pub(super) fn check_settled(&mut self) -> Result<(), Violation> {
        self.check()?;
        for device in self.all() {
            if !self.driver(device).is_some_and(Driver::is_in_step) {
                let found = format!(
                    "device {} is not in step after all faults have stopped: {driver:?}",
                    device.0,
                    driver = self.driver(device)
                );
                return Violation::of("S1", found);
            }
        }
        let Some(contents) = self.contents() else {
            return Violation::of("S1", "the relay has no log of the space".to_owned());
        };
        contents.check()?;
        let stored = contents.changes();
        if let Some((entity, hash)) = self.acknowledged.iter().find(|change| !stored.contains_key(change)) {
            return Violation::of("S2", format!("acknowledged change {hash} of {entity} is lost on the relay"));
        }
        for device in self.all() {
            self.check_device(device, &contents, &stored)?;
        }
        self.check_equal_heads()
    }

    fn check_device(
        &self,
        device: Device,
        contents: &LogContents,
        stored: &BTreeMap<ChangeId, Sequence>,
    ) -> Result<(), Violation> {
        let Some(driver) = self.driver(device) else { return Ok(()) };
        let (record, held) = driver.with_store(|store| {
            (store.space(self.space).expect("the store can be read"), store.marks(self.space).expect("it can be read"))
        });
        let cursor = record.and_then(|record| record.cursor);
        if cursor != Some(contents.head()) {
            return Violation::of(
                "R9",
                format!("device {} stands at {cursor:?}, the log ends at {:?}", device.0, contents.head()),
            );
        }
        for (entity, hash, mark) in &held {
            match (stored.get(&(*entity, *hash)), mark) {
                (Some(sequence), Some(mark)) if sequence == mark => {}
                (None, _) => {
                    return Violation::of("S2", format!("device {} holds {hash}, the relay does not", device.0));
                }
                (Some(sequence), mark) => {
                    let found = format!("device {} marks {hash} at {mark:?}, it stands at {sequence}", device.0);
                    return Violation::of("D5", found);
                }
            }
        }
        let held: BTreeSet<ChangeId> = held.iter().map(|(entity, hash, _)| (*entity, *hash)).collect();
        match stored.keys().find(|change| !held.contains(change)) {
            Some((entity, hash)) => Violation::of("R9", format!("device {} lacks change {hash} of {entity}", device.0)),
            None => Ok(()),
        }
    }

    fn check_equal_heads(&self) -> Result<(), Violation> {
        let mut expected: Option<BTreeMap<EntityId, Vec<ChangeHash>>> = None;
        for device in self.all() {
            let heads = self.heads(device);
            match &expected {
                Some(expected) if *expected != heads => {
                    return Violation::of("S1", format!("device {} has other heads than device 0", device.0));
                }
                Some(_) => {}
                None => expected = Some(heads),
            }
        }
        Ok(())
    }

    /// The heads of every entity on a device.
    pub fn heads(&self, device: Device) -> BTreeMap<EntityId, Vec<ChangeHash>> {
        let entities = self.entities(device);
        entities.into_iter().filter_map(|entity| Some((entity, self.heads_of(device, entity)?))).collect()
    }

    fn contents(&mut self) -> Option<LogContents> {
        let (space, now) = (self.space, self.now());
        self.relay.with_log(|log| LogContents::read(log, space, now))
    }
}
