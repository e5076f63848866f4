//! Filters of the world's devices: what they ask for, and what has to be there because of it.

use super::*;
use afield_core::Filter;
use afield_core::filter::Selection;
use afield_core::policy::Direction;
use afield_store::{Backfill, FilterError, Wanted};

/// What a device asks for and has been given, as far as it says itself.
pub(super) struct Asked {
    pub(super) filter: Filter,
    backfills: Vec<Backfill>,
}

impl Asked {
    /// Whether everything of an entity up to the cursor has to be there.
    pub(super) fn must_have(&self, entity: EntityId, collection: &Collection) -> bool {
        let pending = |backfill: &Backfill| match &backfill.wanted {
            Wanted::Everything => true,
            Wanted::Collection(pending) => pending == collection,
            Wanted::Entity(pending) => *pending == entity,
            Wanted::Announced(_) => false,
        };
        self.filter.includes(entity, collection) && !self.backfills.iter().any(pending)
    }

    /// Whether nothing is left to be fetched.
    pub(super) fn is_complete(&self) -> bool {
        self.backfills.is_empty()
    }
}

impl World {
    /// Puts a filter in force on a device, unless its process is dead. A disk that fails leaves the one before.
    pub fn set_filter(&mut self, device: Device, filter: &Filter) {
        self.trace.note("filter", format!("{filter:?}").as_bytes());
        let (now, space) = (self.now_on(device), self.space);
        let Some(driver) = self.driver(device) else { return };
        let is_set = driver.set_filter(space, filter, now).is_ok();
        // A failed commit may have happened.
        self.devices[device.0].was_filtered |= *filter != Filter::Everything || !is_set;
        if is_set && *filter != Filter::Everything {
            self.count("a filter");
        }
        if !is_set {
            self.crash_or_reload(device);
        }
        self.drain(device);
    }

    /// Says which way the changes of a collection go on a device, unless its process is dead. A disk that fails leaves what was.
    pub fn set_direction(&mut self, device: Device, collection: &str, direction: Direction) {
        self.trace.note("direction", format!("{collection} {direction:?}").as_bytes());
        let (now, space) = (self.now_on(device), self.space);
        let collection = collection.parse().expect("a valid name");
        let Some(driver) = self.driver(device) else { return };
        let is_set = driver.set_direction(space, &collection, direction, now).is_ok();
        // What is let go of is passed by the cursor, as what a filter leaves out.
        self.devices[device.0].was_filtered |= direction != Direction::Both || !is_set;
        if is_set && direction != Direction::Both {
            self.count("a direction");
        }
        if !is_set {
            self.crash_or_reload(device);
        }
        self.drain(device);
    }

    /// Asks for an entity on a device, and waits for nothing.
    pub fn fetch(&mut self, device: Device, entity: EntityId) {
        self.trace.note("fetch", entity.as_bytes());
        if self.driver(device).is_some() && !self.entities(device).contains(&entity) {
            self.count("a fetch of what is not here");
        }
        self.want(device, |driver, space, now| driver.want_entities(space, &[entity], now));
    }

    /// Gives up what was fetched of an entity.
    pub fn unfetch(&mut self, device: Device, entity: EntityId) {
        self.trace.note("unfetch", entity.as_bytes());
        self.want(device, |driver, space, now| driver.unwant_entities(space, &[entity], now));
    }

    fn want(&mut self, device: Device, want: impl FnOnce(&Driver, SpaceId, Now) -> Result<(), FilterError>) {
        let (now, space) = (self.now_on(device), self.space);
        let Some(driver) = self.driver(device) else { return };
        if want(driver, space, now).is_err() {
            self.crash_or_reload(device);
        }
        self.drain(device);
    }

    /// The filter of a device whose process is alive.
    pub fn filter(&self, device: Device) -> Filter {
        self.asked(self.driver(device).expect("the device is running")).filter
    }

    /// The entities that a device knows of and does not have.
    pub fn not_here(&self, device: Device) -> Vec<EntityId> {
        let driver = self.driver(device).expect("the device is running");
        let found = driver.with_store(|store| store.reader().not_here(self.space)).expect("the store can be read");
        found.into_iter().map(|(_, entity)| entity).collect()
    }

    /// Why an entity cannot be read on a device, as a code.
    pub fn read_error(&self, device: Device, entity: EntityId) -> Option<&'static str> {
        let driver = self.driver(device).expect("the device is running");
        let target = self.target(entity, Existence::Required);
        driver.read_document(&target, self.now_on(device), |_| ()).err().map(|error| error.code())
    }

    /// Holds back everything on its way to the relay, or to a device, until this says otherwise: a partition in one direction.
    pub fn stall(&mut self, device: Device, to_relay: bool, to_device: bool) {
        if to_relay != to_device {
            self.count("a partition in one direction");
        }
        self.devices[device.0].stalled = (to_relay, to_device);
    }

    /// How many entities a device keeps as one saved document, with no change beside it.
    pub fn compacted(&self, device: Device) -> usize {
        let Some(driver) = self.driver(device) else { return 0 };
        let left = driver.with_store(|store| store.reader().compactable(1)).expect("the store can be read");
        self.entities(device).iter().filter(|entity| !left.contains(entity)).count()
    }

    /// Every entity that was made in this world.
    pub fn made(&self) -> Vec<EntityId> {
        self.collections.keys().copied().collect()
    }

    /// How many bytes of changes a device holds.
    pub fn held_bytes(&self, device: Device) -> usize {
        let driver = self.driver(device).expect("the device is running");
        let of = |(entity, hash): (EntityId, ChangeHash)| {
            driver.with_store(|store| store.change(entity, hash)).expect("the store can be read")
        };
        let held = self.held(device).into_iter().map(|(entity, hash, _)| (entity, hash));
        held.filter_map(of).map(|change| change.bytes.len()).sum()
    }

    pub(super) fn asked(&self, driver: &Driver) -> Asked {
        driver.with_store(|store| {
            let filter = store.asked_filter(self.space).expect("the store can be read");
            let backfills = store.backfills(self.space).expect("the store can be read");
            Asked { filter, backfills }
        })
    }
}

/// A filter by the names of collections, and single entities.
pub fn filter_of(collections: &[&str], entities: &[EntityId], announced: &[&str]) -> Filter {
    let names = |names: &[&str]| names.iter().map(|name| name.parse().expect("a valid name")).collect();
    let (collections, announced) = (names(collections), names(announced));
    Filter::Only(Selection { collections, entities: entities.iter().copied().collect(), announced })
}
