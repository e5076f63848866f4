//! A world of devices and a relay in one thread, with virtual time and a seeded network.

mod check;
mod device;
mod disk;
mod filter;
mod kinds;
mod listener;
mod live;
mod log;
mod loss;
mod network;
mod people;
mod presence;
mod purge;
mod question;
mod random;
mod record;
mod relay;
mod run;
mod trace;

pub use check::{Checks, Violation};
pub use device::DeviceSabotage;
pub use disk::DiskFaults;
pub use filter::filter_of;
pub use log::Sabotage;
pub use network::NetworkFaults;
pub use random::Random;
pub use relay::{RelayDiskFaults, RelayPace};
pub use trace::Trace;

use afield::{ChangeHash, Driver, EntityId, Existence, Output, Path, SpaceId, SyncEvent, Target, Value};
use afield_core::wire::Class;
use afield_core::{Collection, Now};
use afield_store::{ListQuery, OpenOptions, Origin, Store, SyncMoment};
use disk::Disk;
use network::{Lane, Wire};
use question::Question;
use record::Record;
use relay::RelayNode;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use tokio::sync::broadcast;

/// A device of the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Device(usize);

/// A change, by entity and hash; or an erasure record, by the hash of its chunk.
pub type ChangeId = (EntityId, ChangeHash);

struct DeviceNode {
    driver: Option<Driver>,
    /// The database of a device whose process is dead.
    disk: Option<rusqlite::Connection>,
    /// The database as a power failure would leave it, while that is not what it is.
    synced: Arc<Mutex<Option<Vec<u8>>>>,
    /// When a device that has been given messages finds that no more have come.
    idle_at: Option<u64>,
    wire: Option<Wire>,
    /// The lanes of the connection before.
    earlier: Option<(Lane, Lane)>,
    /// When an attempt to connect is answered.
    connecting_at: Option<u64>,
    online: bool,
    /// Whether messages to the relay, and to the device, are on their way for ever.
    stalled: (bool, bool),
    /// It has had a filter, so that what the cursor has passed need not be here, nor what came by itself be marked.
    was_filtered: bool,
    /// How far the device's wall clock is off, in milliseconds.
    clock_skew_ms: i64,
    random: Random,
    faults: Disk,
    /// Lost for good, with everything on it.
    is_lost: bool,
    /// A power failure has taken marks back since all devices were last at rest.
    may_lack_marks: bool,
    /// What the running process says of its sync, and what it and those before it have said.
    events: Option<broadcast::Receiver<SyncEvent>>,
    heard: Vec<SyncEvent>,
    /// Who waits to be in step with the relay.
    questions: Vec<Question>,
}

/// A world of devices and a relay.
pub struct World {
    random: Random,
    now_ms: u64,
    space: SpaceId,
    devices: Vec<DeviceNode>,
    relay: RelayNode,
    network: NetworkFaults,
    /// Whether the network has ever done what no WebSocket does: lost, doubled or changed one message and gone on.
    is_unfaithful: bool,
    /// Edits that had returned: they are durable on their device (D1).
    returned: BTreeSet<ChangeId>,
    /// What devices have seen a receipt for.
    acknowledged: BTreeSet<ChangeId>,
    /// What was acknowledged since the relay's database was last replaced.
    acknowledged_since_restore: BTreeSet<ChangeId>,
    /// What lost devices held: it may be gone, where no other device holds it and the relay has lost it too.
    held_by_lost: BTreeSet<ChangeId>,
    /// The collection of each entity made here.
    collections: BTreeMap<EntityId, Collection>,
    /// Which change each number of an actor stands for (D6).
    numbers: BTreeMap<(EntityId, Vec<u8>, u64), ChangeHash>,
    /// What somebody asked to be purged. Where that failed, the disk may have kept the record all the same.
    purged: BTreeSet<EntityId>,
    /// What the relay's log has ever held.
    record: Record,
    /// What was found broken and not told yet.
    found: Option<Violation>,
    checks: Checks,
    /// How often what happened that a history is made of.
    happened: BTreeMap<&'static str, u64>,
    /// Earlier states of the relay's database, and how many commits of a thousand are kept.
    ring: Vec<Vec<u8>>,
    ring_rate: u32,
    reloads: u64,
    /// How many live messages went over connections that are no more, to the relay and from it.
    live_messages: (u64, u64),
    compacts_often: bool,
    /// How often the relay's database was replaced.
    replaced: u64,
    trace: Trace,
    sabotage: Option<DeviceSabotage>,
}

/// The wall clock of a world starts here: 2026-01-01 in milliseconds since the Unix epoch.
const EPOCH_MS: i64 = 1_767_225_600_000;
/// How long a world may take to come to rest once faults have stopped (invariant S1), in virtual milliseconds.
const SETTLE_MS: u64 = 30 * 60 * 1000;

/// How long nothing may happen before a world counts as at rest, in virtual milliseconds.
const QUIET_MS: u64 = 60_000;

impl World {
    /// A world without devices yet.
    pub fn new(seed: u64) -> Self {
        Self::with(seed, None)
    }

    /// A world whose relay is broken in one way.
    pub fn with(seed: u64, sabotage: Option<Sabotage>) -> Self {
        let mut random = Random::new(seed);
        let start = Now { wall_ms: EPOCH_MS, monotonic_ms: 0 };
        let space = SpaceId::new(start, &mut random);
        let relay = RelayNode::new(random.fork(), sabotage);
        Self {
            random,
            now_ms: 0,
            space,
            devices: Vec::new(),
            relay,
            network: NetworkFaults::NONE,
            is_unfaithful: false,
            returned: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
            acknowledged_since_restore: BTreeSet::new(),
            held_by_lost: BTreeSet::new(),
            collections: BTreeMap::new(),
            numbers: BTreeMap::new(),
            purged: BTreeSet::new(),
            record: Record::default(),
            found: None,
            checks: Checks::All,
            happened: BTreeMap::new(),
            ring: Vec::new(),
            ring_rate: 0,
            reloads: 0,
            live_messages: (0, 0),
            compacts_often: false,
            replaced: 0,
            trace: Trace::default(),
            sabotage: None,
        }
    }

    /// Keeps every line of the trace, for reading.
    pub fn keep_trace(&mut self) {
        self.trace = Trace::readable();
    }

    /// Breaks the devices in one way.
    pub fn sabotage_devices(&mut self, sabotage: DeviceSabotage) {
        self.sabotage = Some(sabotage);
        // Orphans come from a log in the wrong order, and that would be caught before they are dropped.
        self.record.is_disordered = sabotage == DeviceSabotage::OrphansDropped;
    }

    /// Says what is looked at.
    pub fn set_checks(&mut self, checks: Checks) {
        self.checks = checks;
    }

    /// How often each kind of content was edited, and each thing happened that a history may hold.
    pub fn happened(&self) -> &BTreeMap<&'static str, u64> {
        &self.happened
    }

    fn count(&mut self, what: &'static str) {
        *self.happened.entry(what).or_default() += 1;
    }

    /// The trace so far.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Adds devices that share the world's space, each with sync switched on.
    pub fn devices<const N: usize>(&mut self) -> [Device; N] {
        std::array::from_fn(|_| self.add_device())
    }

    /// Adds one device; the first one makes the space, the others join it.
    pub fn add_device(&mut self) -> Device {
        let mut store = Store::open_in_memory(&OpenOptions::default()).expect("a store opens in memory");
        let origin = if self.devices.is_empty() { Origin::MadeHere } else { Origin::Joined };
        let _ = store.create_space(self.space, "world", origin, EPOCH_MS).expect("a new store takes a space");
        self.add(store)
    }

    /// Adds a device whose store file is a copy of another's as it is now, identity included. The other has to be running.
    pub fn copy_device(&mut self, original: Device) -> Device {
        let driver = self.driver(original).expect("the device is running");
        let mut bytes = Vec::new();
        driver.with_store(|store| store.tamper(|connection| bytes = image(connection)));
        self.add(Store::from_connection(opened(&bytes), &OpenOptions::default()).expect("a copy of a store opens"))
    }

    fn add(&mut self, store: Store) -> Device {
        let device = Device(self.devices.len());
        let mut random = self.random.fork();
        let faults = Disk::new(random.fork());
        self.devices.push(DeviceNode {
            driver: None,
            disk: None,
            synced: Arc::default(),
            idle_at: None,
            wire: None,
            earlier: None,
            connecting_at: None,
            online: true,
            stalled: (false, false),
            was_filtered: false,
            clock_skew_ms: 0,
            random,
            faults,
            is_lost: false,
            may_lack_marks: false,
            events: None,
            heard: Vec::new(),
            questions: Vec::new(),
        });
        self.start(device, store);
        device
    }

    /// Every device that is not lost.
    pub fn all(&self) -> impl Iterator<Item = Device> + use<> {
        let devices = self.devices.iter().enumerate().filter(|(_, node)| !node.is_lost);
        devices.map(|(index, _)| Device(index)).collect::<Vec<_>>().into_iter()
    }

    /// The world's space.
    pub fn space(&self) -> SpaceId {
        self.space
    }

    /// What the network does from now on.
    pub fn set_network(&mut self, faults: NetworkFaults) {
        self.network = faults;
        self.is_unfaithful |= faults.is_unfaithful();
    }

    /// Keeps so many in a thousand of the states that the relay's database has after its commits.
    pub fn keep_snapshots(&mut self, rate: u32) {
        self.ring_rate = rate;
    }

    /// Lets every device compact as often as makes sense in a short history: one with every change, others more seldom.
    pub fn compact_often(&mut self) {
        self.compacts_often = true;
        self.all().filter_map(|device| Some((device, self.driver(device)?))).for_each(|(device, driver)| {
            compact_often(device, driver);
        });
    }

    /// What a device's disk does from now on.
    pub fn set_disk(&mut self, device: Device, faults: DiskFaults) {
        self.devices[device.0].faults.set(faults);
    }

    /// What the relay's disk does from now on.
    pub fn set_relay_disk(&mut self, faults: RelayDiskFaults) {
        self.relay.set_disk(faults);
    }

    /// Sets the relay's wall clock off by so much.
    pub fn skew_relay_clock(&mut self, by_ms: i64) {
        self.relay.clock_skew_ms = by_ms;
    }

    /// Sets a device's wall clock off by so much; nothing but labels may depend on it (invariant S4).
    pub fn skew_clock(&mut self, device: Device, by_ms: i64) {
        self.devices[device.0].clock_skew_ms = by_ms;
    }

    /// Lets virtual time pass, and with it everything that is due.
    pub fn run(&mut self, ms: u64) {
        self.run_until(self.now_ms + ms);
    }

    /// Stops all faults, brings everybody back, and lets time pass until nothing is left to do.
    ///
    /// # Panics
    ///
    /// The world does not come to rest, or breaks an invariant (S1, S2, R2, D3, D5).
    pub fn settle(&mut self) {
        if let Err(violation) = self.try_settle() {
            panic!("{violation}");
        }
    }

    /// As [`World::settle`], giving what was broken.
    ///
    /// # Errors
    ///
    /// The invariant that does not hold.
    pub fn try_settle(&mut self) -> Result<(), Violation> {
        // A connection that has swallowed a message and goes on exists in this simulator only, and so does a space that
        // is left alone because of what came over one; they end with their fault.
        let is_unfaithful = std::mem::take(&mut self.is_unfaithful);
        self.network = NetworkFaults::NONE;
        self.relay.heal();
        self.start_relay();
        for device in self.all() {
            self.set_disk(device, DiskFaults::NONE);
            self.stall(device, false, false);
            self.restart(device);
            self.go_online(device);
            if is_unfaithful {
                self.switch_sync_on_anew(device);
            }
        }
        let deadline = self.now_ms + SETTLE_MS;
        // A relay looks now and then whether its database was replaced under idle sessions.
        self.run(QUIET_MS);
        while self.now_ms < deadline && !self.is_at_rest() {
            self.run(1_000);
        }
        self.check_settled()?;
        self.devices.iter_mut().for_each(|node| node.may_lack_marks = false);
        Ok(())
    }

    fn is_at_rest(&self) -> bool {
        self.relay.is_quiet()
            && self.devices.iter().filter(|device| !device.is_lost).all(|device| {
                device.wire.as_ref().is_some_and(Wire::is_quiet)
                    && device.driver.as_ref().is_some_and(Driver::is_in_step)
            })
    }

    fn now(&self) -> Now {
        Now { wall_ms: EPOCH_MS + self.now_ms as i64, monotonic_ms: self.now_ms }
    }

    fn now_on(&self, device: Device) -> Now {
        let now = self.now();
        Now { wall_ms: now.wall_ms + self.devices[device.0].clock_skew_ms, ..now }
    }

    fn driver(&self, device: Device) -> Option<&Driver> {
        self.devices[device.0].driver.as_ref()
    }

    fn start(&mut self, device: Device, store: Store) {
        let node = &mut self.devices[device.0];
        let faults = node.faults.clone();
        let (entropy, skew_ms) = (node.random.fork(), node.clock_skew_ms);
        let now = Now { wall_ms: EPOCH_MS + self.now_ms as i64 + skew_ms, monotonic_ms: self.now_ms };
        // The opening itself works; what fails later strikes through the hook.
        let driver = Driver::new(store, Box::new(entropy), now).expect("a store that opens can be used");
        if self.compacts_often {
            compact_often(device, &driver);
        }
        let synced = node.synced.clone();
        let is_synced = node.synced.clone();
        driver.with_store(|store| {
            store.inject(Box::new(move |point| faults.strike(point)));
            store.watch_syncs(Box::new(move |moment| match moment {
                SyncMoment::BeforeUnsynced(connection) => {
                    lock(&synced).get_or_insert_with(|| image(connection));
                }
                SyncMoment::Synced => *lock(&is_synced) = None,
            }));
        });
        node.events = Some(driver.events());
        node.driver = Some(driver);
        if node.online {
            self.enable(device);
        }
    }

    fn enable(&mut self, device: Device) {
        let now = self.now_on(device);
        if let Some(driver) = self.driver(device) {
            driver.enable_sync(now);
        }
        self.drain(device);
    }
}

/// One device compacts with every change, one now and then, one seldom.
fn compact_often(device: Device, driver: &Driver) {
    const CHANGES: [usize; 3] = [1, 5, 20];
    driver.compact_from(CHANGES[device.0 % CHANGES.len()]);
}

/// The bytes of a database.
fn image(connection: &mut rusqlite::Connection) -> Vec<u8> {
    connection.serialize("main").expect("a database in memory can be copied").to_vec()
}

/// A copy of a database that nobody writes.
fn copied(database: &rusqlite::Connection) -> rusqlite::Connection {
    let mut copy = rusqlite::Connection::open_in_memory().expect("a database opens in memory");
    let backup = rusqlite::backup::Backup::new(database, &mut copy).expect("a database in memory can be copied");
    backup.run_to_completion(i32::MAX, std::time::Duration::ZERO, None).expect("a database in memory can be copied");
    drop(backup);
    copy
}

/// A database with these bytes.
fn opened(image: &[u8]) -> rusqlite::Connection {
    let mut copy = rusqlite::Connection::open_in_memory().expect("a database opens in memory");
    copy.deserialize_read_exact("main", image, image.len(), false).expect("a copy of a database is one");
    copy
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics under this lock")
}
