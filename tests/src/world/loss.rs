//! What can be lost for good: devices, and states of the relay.

use super::*;

/// How many of the kept states are recent ones.
const RECENT: usize = 3;

impl World {
    /// Loses a device for good, with everything on it.
    pub fn lose(&mut self, device: Device) {
        self.restart(device);
        let held = self.holdings(device);
        self.crash(device);
        self.trace.note("lost for good", &[device.0 as u8]);
        let node = &mut self.devices[device.0];
        (node.is_lost, node.disk) = (true, None);
        self.held_by_lost.extend(held);
        self.forget_what_is_lost();
    }

    /// Whether a device may be lost and the rest still has to end well: somebody else has to know the relay's log.
    pub fn may_lose(&self, device: Device) -> bool {
        let knows = |other: &Device| {
            let cursor = |driver: &Driver| driver.with_store(|store| store.space(self.space));
            let record = self.driver(*other).map(|driver| cursor(driver).expect("the store can be read"));
            record.flatten().is_some_and(|record| record.cursor.is_some())
        };
        self.all().filter(|other| *other != device).any(|other| knows(&other))
    }

    /// A copy of the relay's database.
    pub fn snapshot_relay(&mut self) -> Vec<u8> {
        self.relay.snapshot()
    }

    /// Puts an earlier copy of the relay's database back, while sessions live.
    pub fn restore_relay(&mut self, snapshot: &[u8]) {
        self.trace.note("relay restored", &[]);
        self.acknowledged_since_restore.clear();
        self.relay.restore(snapshot);
        self.record.replaced();
        self.replaced += 1;
        self.look_at_relay();
        self.forget_what_is_lost();
    }

    /// Puts a kept state of the relay's database back; what there is now is kept, too, so that this may be undone.
    pub fn restore_relay_to_a_kept_state(&mut self, random: &mut Random) {
        if self.ring.is_empty() {
            return;
        }
        let present = self.snapshot_relay();
        // As often a backup that was just made as any other.
        let newest = self.ring.len() - random.below(RECENT.min(self.ring.len())) - 1;
        let index = if random.chance(500) { newest } else { random.below(self.ring.len()) };
        let earlier = std::mem::replace(&mut self.ring[index], present);
        self.restore_relay(&earlier);
    }

    /// Takes note of what is on the relay's disk.
    pub(super) fn look_at_relay(&mut self) {
        if self.relay.is_dying() {
            self.crash_relay();
        }
        self.record.look();
        if self.relay.take_changed() || self.record.present().is_none() {
            let now = self.now();
            let read = self.record.update(self.relay.disk(), self.space, now);
            self.find(read);
            if self.random.chance(self.ring_rate) {
                let snapshot = self.relay.snapshot();
                self.ring.push(snapshot);
            }
        }
    }

    /// What only a lost device held, and a relay that has lost it since, is nowhere any more; nobody can ask for it. Neither can anybody
    /// ask for what was purged by a device that was lost with the record.
    fn forget_what_is_lost(&mut self) {
        if self.held_by_lost.is_empty() {
            return;
        }
        let was_purged = |change: &&ChangeId| self.purged.contains(&change.0);
        let purged: Vec<_> = self.returned.iter().chain(&self.acknowledged).filter(was_purged).copied().collect();
        self.held_by_lost.extend(purged);
        let mut somewhere: BTreeSet<ChangeId> = BTreeSet::new();
        for device in self.all() {
            somewhere.extend(self.holdings(device));
        }
        somewhere.extend(self.record.present().iter().flat_map(|present| present.changes().keys().copied()));
        let gone: BTreeSet<_> = self.held_by_lost.difference(&somewhere).copied().collect();
        self.returned.retain(|change| !gone.contains(change));
        self.acknowledged.retain(|change| !gone.contains(change));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_device_with_a_dead_process_holds_is_not_lost_with_another() {
        let mut world = World::new(1);
        let [ada, ben] = world.devices();
        let backup = world.snapshot_relay();
        world.create(ada, "notes");
        world.settle();
        let returned = world.returned.clone();
        assert!(!returned.is_empty());
        world.crash_relay();
        world.crash(ben);
        world.restore_relay(&backup);
        world.lose(ada);
        assert_eq!(world.returned, returned, "it is on the other's disk");
        world.lose(ben);
        assert!(world.returned.is_empty(), "the control: now nobody has it");
    }
}
