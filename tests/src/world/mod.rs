//! A world of devices and a relay in one thread, with virtual time and a seeded network.

mod check;
mod log;
mod network;
mod random;
mod relay;
mod tap;
mod trace;

pub use check::Violation;
pub use log::Sabotage;
pub use network::NetworkFaults;
pub use random::Random;
pub use tap::ChangeId;
pub use trace::Trace;

use afield::{Driver, EntityId, Output, SpaceId};
use afield::{Existence, Path, Target, Value};
use afield_core::wire::Class;
use afield_core::{Collection, Now};
use afield_store::{Fault, FaultPoint, ListQuery, OpenOptions, Origin, Store, SyncMoment};
use network::Wire;
use relay::RelayNode;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// A device of the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Device(usize);

/// What can go wrong with a device's disk, in a thousand commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskFaults {
    /// The process dies before a commit.
    pub crash_before_commit: u32,
    /// The process dies right after a commit, before anybody learns of it.
    pub crash_after_commit: u32,
    /// The disk is full before a commit.
    pub full: u32,
}

impl DiskFaults {
    /// A disk that works.
    pub const NONE: Self = Self { crash_before_commit: 0, crash_after_commit: 0, full: 0 };
}

struct DeviceNode {
    driver: Option<Driver>,
    /// The database of a device whose process is dead.
    disk: Option<rusqlite::Connection>,
    /// The database as a power failure would leave it, while that is not what it is.
    synced: Arc<Mutex<Option<Vec<u8>>>>,
    /// When a device that has been given messages finds that no more have come.
    idle_at: Option<u64>,
    wire: Option<Wire>,
    /// When an attempt to connect is answered.
    connecting_at: Option<u64>,
    online: bool,
    /// How far the device's wall clock is off, in milliseconds.
    clock_skew_ms: i64,
    random: Random,
    faults: Arc<Mutex<(DiskFaults, Random)>>,
}

/// A world of devices and a relay.
pub struct World {
    random: Random,
    now_ms: u64,
    space: SpaceId,
    devices: Vec<DeviceNode>,
    relay: RelayNode,
    network: NetworkFaults,
    acknowledged: BTreeSet<ChangeId>,
    /// What was acknowledged since the relay's database was last replaced.
    acknowledged_since_restore: BTreeSet<ChangeId>,
    trace: Trace,
    /// Marks whatever a receipt names, without waiting for the cursor: a fault that the checks have to notice.
    clear_outbox_on_receipt: bool,
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
            acknowledged: BTreeSet::new(),
            acknowledged_since_restore: BTreeSet::new(),
            trace: Trace::default(),
            clear_outbox_on_receipt: false,
        }
    }

    /// Keeps every line of the trace, for reading.
    pub fn keep_trace(&mut self) {
        self.trace = Trace::readable();
    }

    /// Breaks the devices: whatever a receipt names leaves the outbox.
    pub fn clear_outbox_on_receipt(&mut self) {
        self.clear_outbox_on_receipt = true;
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
        let device = Device(self.devices.len());
        let mut random = self.random.fork();
        let faults = Arc::new(Mutex::new((DiskFaults::NONE, random.fork())));
        let mut store = Store::open_in_memory(&OpenOptions::default()).expect("a store opens in memory");
        let origin = if device.0 == 0 { Origin::MadeHere } else { Origin::Joined };
        let _ = store.create_space(self.space, "world", origin, EPOCH_MS).expect("a new store takes a space");
        self.devices.push(DeviceNode {
            driver: None,
            disk: None,
            synced: Arc::default(),
            idle_at: None,
            wire: None,
            connecting_at: None,
            online: true,
            clock_skew_ms: 0,
            random,
            faults,
        });
        self.start(device, store);
        device
    }

    /// Every device.
    pub fn all(&self) -> impl Iterator<Item = Device> + use<> {
        (0..self.devices.len()).map(Device)
    }

    /// The world's space.
    pub fn space(&self) -> SpaceId {
        self.space
    }

    /// What the network does from now on.
    pub fn set_network(&mut self, faults: NetworkFaults) {
        self.network = faults;
    }

    /// What a device's disk does from now on.
    pub fn set_disk(&mut self, device: Device, faults: DiskFaults) {
        lock(&self.devices[device.0].faults).0 = faults;
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
        // A connection that has swallowed a message and goes on exists in this simulator only; it ends with its fault.
        let has_swallowed = self.network.drop > 0;
        self.network = NetworkFaults::NONE;
        self.relay.heal();
        self.start_relay();
        for device in self.all() {
            self.set_disk(device, DiskFaults::NONE);
            self.restart(device);
            self.go_online(device);
            if has_swallowed {
                self.break_connection(device);
            }
        }
        let deadline = self.now_ms + SETTLE_MS;
        // A relay looks now and then whether its database was replaced under idle sessions.
        self.run(QUIET_MS);
        while self.now_ms < deadline && !self.is_at_rest() {
            self.run(1_000);
        }
        self.check_settled()
    }

    fn is_at_rest(&self) -> bool {
        self.relay.is_quiet()
            && self.devices.iter().all(|device| {
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
        let synced = node.synced.clone();
        let is_synced = node.synced.clone();
        driver.with_store(|store| {
            store.inject(Box::new(move |point| disk_fault(&faults, point)));
            store.watch_syncs(Box::new(move |moment| match moment {
                SyncMoment::BeforeUnsynced(connection) => {
                    lock(&synced).get_or_insert_with(|| image(connection));
                }
                SyncMoment::Synced => *lock(&is_synced) = None,
            }));
        });
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

/// The bytes of a database.
fn image(connection: &mut rusqlite::Connection) -> Vec<u8> {
    connection.serialize("main").expect("a database in memory can be copied").to_vec()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics under this lock")
}

fn disk_fault(faults: &Mutex<(DiskFaults, Random)>, point: FaultPoint) -> Option<Fault> {
    let (faults, random) = &mut *lock(faults);
    match point {
        FaultPoint::BeforeCommit if random.chance(faults.crash_before_commit) => Some(Fault::Crash),
        FaultPoint::BeforeCommit if random.chance(faults.full) => Some(Fault::DiskFull),
        FaultPoint::AfterCommit if random.chance(faults.crash_after_commit) => Some(Fault::Crash),
        _ => None,
    }
}

mod device;
mod run;
