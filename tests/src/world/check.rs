//! What must always hold, checked from outside.

use super::purge::record_of;
use super::record::Place;
use super::{ChangeId, Device, World};
use crate::contents::LogContents;
use afield::{ChangeHash, Driver, EntityId};
use afield_core::{ChunkKind, Filter, Sequence, SpaceId};
use afield_store::{OutboxPosition, Store};
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

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checks {
    /// Everything, after every step.
    All,
    /// Only what has become of it in the end: nothing is lost, and all are equal. It shows what a fault does that
    /// would otherwise be found before it has done anything.
    Outcome,
}

impl World {
    /// Checks what has to hold at any moment: the stores (D2, D3, D5) and what the relay has acknowledged (R1).
    ///
    /// # Errors
    ///
    /// The invariant that does not hold.
    pub fn check(&mut self) -> Result<(), Violation> {
        if let Some(found) = self.found.take() {
            return Err(found);
        }
        if self.checks == Checks::Outcome {
            return Ok(());
        }
        for device in self.all() {
            if let Some(driver) = self.driver(device) {
                let found = driver.with_store(|store| store.verify()).expect("the store can be read");
                if let Some(violation) = found.first() {
                    return Violation::of(violation.invariant(), format!("device {}: {violation}", device.0));
                }
                self.check_store(device, driver)?;
            }
        }
        Ok(())
    }

    /// Keeps what was found broken until the next check.
    pub(super) fn find(&mut self, checked: Result<(), Violation>) {
        if let (Err(violation), Checks::All) = (checked, self.checks) {
            self.found.get_or_insert(violation);
        }
    }

    /// Holds a store against the record: the cursor and the marks name what the log holds there, everything up to the
    /// cursor is held, and the outbox is what is held and not marked (D2, D3, D5).
    fn check_store(&self, device: Device, driver: &Driver) -> Result<(), Violation> {
        let (space, outbox, blocked) = driver.with_store(|store| {
            let space = store.space(self.space).expect("the store can be read");
            // Nothing may be sent before a failed store has been reloaded, so it has no outbox until then.
            let outbox = outbox_of(store, self.space);
            (space, outbox, store.blocked(self.space).expect("the store can be read"))
        });
        let cursor = space.and_then(|record| record.cursor);
        let held = self.held(device);
        let history = match cursor {
            None => None,
            Some(cursor) => match self.record.history_of(cursor) {
                Some(history) => Some((history, cursor)),
                None => {
                    return Violation::of("D3", format!("device {} stands at {cursor:?}, which no log held", device.0));
                }
            },
        };
        let may_lack = self.devices[device.0].may_lack_marks;
        for (entity, hash, mark) in &held {
            let stands = history.and_then(|(history, cursor)| {
                history.sequence(&(*entity, *hash)).filter(|sequence| *sequence <= cursor.sequence)
            });
            // What the cursor passed while it was not asked for is offered to the relay, and marked by what that answers.
            let may_lack = may_lack || self.devices[device.0].was_filtered;
            let is_unread = |mark| history.is_some_and(|(history, _)| history.is_unread(mark));
            if *mark != stands && !(mark.is_none() && may_lack) && !mark.is_some_and(is_unread) {
                let found = format!("device {} marks {hash} at {mark:?}, it stands at {stands:?}", device.0);
                return Violation::of("D5", found);
            }
        }
        if let Some((history, cursor)) = history {
            let held: BTreeSet<ChangeId> = held.iter().map(|(entity, hash, _)| (*entity, *hash)).collect();
            let asked = self.asked(driver);
            let lacks = |place: &&Place| match place.kind {
                ChunkKind::Change => {
                    !held.contains(&place.change)
                        && !held.contains(&record_of(place.change.0))
                        && asked.must_have(place.change.0, &place.collection)
                }
                // Erasure records ignore filters.
                _ => !held.contains(&place.change),
            };
            if let Some(place) = history.prefix(cursor).find(lacks) {
                return Violation::of("D2", format!("device {} is behind {place:?}, which it does not hold", device.0));
            }
        }
        let Some(outbox) = outbox else { return Ok(()) };
        let blocked: BTreeSet<EntityId> = blocked.into_iter().map(|block| block.entity).collect();
        let is_held_back = |entity: &EntityId, hash: &ChangeHash| {
            driver.with_store(|store| store.is_held_back(*entity, *hash)).expect("the store can be read")
        };
        let unmarked = held
            .iter()
            .filter(|(entity, hash, mark)| mark.is_none() && !blocked.contains(entity) && !is_held_back(entity, hash));
        let unmarked: BTreeSet<ChangeId> = unmarked.map(|(entity, hash, _)| (*entity, *hash)).collect();
        if outbox != unmarked {
            let found =
                format!("device {}: {} changes unmarked, {} to be sent", device.0, unmarked.len(), outbox.len());
            return Violation::of("D5", found);
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
        let stored = contents.chunks();
        let is_lost = |change: &&ChangeId| !stored.contains_key(change) && !stored.contains_key(&record_of(change.0));
        match self.acknowledged_since_restore.iter().find(is_lost) {
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
        if self.checks == Checks::All {
            let now = self.now();
            self.record.compare(self.relay.disk(), self.space, now)?;
        }
        let stored = contents.chunks();
        let is_lost = |change: &&ChangeId| !stored.contains_key(change) && !stored.contains_key(&record_of(change.0));
        if let Some((entity, hash)) = self.acknowledged.iter().find(is_lost) {
            return Violation::of("S2", format!("acknowledged change {hash} of {entity} is lost on the relay"));
        }
        if let Some((entity, hash)) = self.returned.iter().find(is_lost) {
            return Violation::of("D1", format!("change {hash} of {entity} is lost, and its edit had returned"));
        }
        for device in self.all() {
            self.check_device(device, &contents, &stored)?;
        }
        self.check_purged(&contents.purged())?;
        self.check_heads(&contents)?;
        self.check_contents()?;
        self.check_shown()
    }

    fn check_device(
        &self,
        device: Device,
        contents: &LogContents,
        stored: &BTreeMap<ChangeId, Sequence>,
    ) -> Result<(), Violation> {
        let Some(driver) = self.driver(device) else { return Ok(()) };
        let (record, quarantined) = driver.with_store(|store| {
            let quarantined = store.reader().quarantined(self.space).expect("the store can be read");
            (store.space(self.space).expect("the store can be read"), quarantined.len())
        });
        if quarantined > 0 {
            return Violation::of("D7", format!("device {} has quarantined {quarantined} honest chunks", device.0));
        }
        let held = self.held(device);
        let cursor = record.and_then(|record| record.cursor);
        let asked = self.asked(driver);
        if !asked.is_complete() {
            return Violation::of("S1", format!("device {} still has something to fetch", device.0));
        }
        // A reader that wants nothing of what follows need not be told of it.
        let is_behind = cursor.is_some_and(|cursor| contents.places().any(|(place, ..)| place == cursor));
        if cursor != Some(contents.head()) && (asked.filter == Filter::Everything || !is_behind) {
            return Violation::of(
                "R9",
                format!("device {} stands at {cursor:?}, the log ends at {:?}", device.0, contents.head()),
            );
        }
        for (entity, hash, mark) in &held {
            match (stored.get(&(*entity, *hash)), mark) {
                (Some(sequence), Some(mark)) if sequence == mark => {}
                (Some(_), _) if self.checks == Checks::Outcome => {}
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
        let collections = contents.collections();
        let is_wanted =
            |entity: &EntityId| collections.get(entity).is_some_and(|collection| asked.must_have(*entity, collection));
        match stored.keys().find(|change| is_wanted(&change.0) && !held.contains(change)) {
            Some((entity, hash)) => Violation::of("R9", format!("device {} lacks change {hash} of {entity}", device.0)),
            None => Ok(()),
        }
    }

    /// Checks that every device shows all entities, each with those changes as its heads that nothing in the log follows.
    fn check_heads(&self, contents: &LogContents) -> Result<(), Violation> {
        let (expected, collections) = (contents.heads(), contents.collections());
        for device in self.all() {
            let Some(driver) = self.driver(device) else { continue };
            let filter = self.asked(driver).filter;
            let listed: BTreeSet<EntityId> = self.listed(device, None).into_iter().collect();
            if let Some(entity) = listed.iter().find(|entity| !expected.contains_key(entity)) {
                return Violation::of("D9", format!("device {} lists {entity}, of which nothing is known", device.0));
            }
            let is_wanted = |entity: &EntityId| {
                collections.get(entity).is_some_and(|collection| filter.includes(*entity, collection))
            };
            for (entity, heads) in expected.iter().filter(|(entity, _)| is_wanted(entity)) {
                if !listed.contains(entity) {
                    return Violation::of("D9", format!("device {} does not list {entity}", device.0));
                }
                match self.heads_of(device, *entity) {
                    Ok(found) if found == *heads => {}
                    Ok(found) => {
                        let found = format!("device {}: heads of {entity} are {found:?}, not {heads:?}", device.0);
                        return Violation::of("S1", found);
                    }
                    Err(error) => {
                        return Violation::of("D8", format!("device {} cannot open {entity}: {error}", device.0));
                    }
                }
            }
        }
        Ok(())
    }

    fn contents(&mut self) -> Option<LogContents> {
        let (space, now) = (self.space, self.now());
        LogContents::read(self.relay.disk(), space, now)
    }
}

/// All pages of a store's outbox; `None` while nothing may be sent.
fn outbox_of(store: &mut Store, space: SpaceId) -> Option<BTreeSet<ChangeId>> {
    let (mut found, mut after) = (BTreeSet::new(), OutboxPosition::START);
    loop {
        let page = store.outbox(space, after, usize::MAX, usize::MAX).ok()?.into_inner();
        let Some(last) = page.last() else { return Some(found) };
        after = last.position;
        found.extend(page.iter().map(|chunk| (chunk.entity, chunk.hash)));
    }
}
