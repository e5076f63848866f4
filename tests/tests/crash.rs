//! SIGKILL at random moments under load, relay and device: whatever a receipt was given for is there afterwards, and
//! all devices end equal (S1, S2).
//!
//! Every device survives and would repair a relay that lost something, so each killed relay's own disk is looked at
//! before it starts again (R1), and no device may ever be told of lost history.
//!
//! `AFIELD_KILLS=50 cargo test -p afield-tests --test crash` kills each fifty times instead of ten; `AFIELD_SEED` repeats
//! a run's choices.

use afield::SpaceId;
use afield_store::{OpenOptions, Store};
use afield_tests::processes::agent::Command;
use afield_tests::processes::{Access, DeviceProcess, LoadSeen, Program, RelayProcess};
use afield_tests::world::Random;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// How many times the relay is killed, and a device, unless told otherwise.
const KILLS: usize = 10;
/// A kill comes at most so many receipts after everything runs again.
const RECEIPTS_BETWEEN_KILLS: usize = 40;
/// The longest moment that is let pass before a kill, in microseconds: some commits long.
const MOMENT_US: u64 = 30_000;
/// Not a multiple of the number of kinds of edit, so that every entity sees every kind.
const ENTITIES: usize = 7;

struct Crash {
    relay: RelayProcess,
    program: Program,
    stores: Vec<PathBuf>,
    devices: Vec<DeviceProcess>,
    /// What the devices said, also those that are dead.
    seen: LoadSeen,
    space: SpaceId,
    /// What the relay's disk held after the first kill.
    first_left: BTreeSet<(String, String)>,
    random: Random,
    _folder: tempfile::TempDir,
}

impl Crash {
    fn start(seed: u64) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let program = Program::new(env!("CARGO_BIN_EXE_device_process"));
        let relay_program = Program::new(env!("CARGO_BIN_EXE_relay_process"));
        let relay = RelayProcess::start(&relay_program, &folder.path().join("relay"), Access::Open);
        let stores: Vec<PathBuf> = ["anna.db", "ben.db"].iter().map(|name| folder.path().join(name)).collect();
        let mut devices: Vec<_> = stores.iter().map(|store| DeviceProcess::start(&program, store)).collect();
        let [anna, ben] = devices.as_mut_slice() else { panic!("two devices") };
        let space = anna.request(&Command::MakeSpace).as_str().expect("an id").to_owned();
        anna.request(&Command::Populate { entities: ENTITIES, changes: 1 });
        ben.request(&Command::JoinSpace { space: space.clone() });
        let space = space.parse().expect("an id");
        let (seen, random) = (LoadSeen::default(), Random::new(seed));
        let first_left = BTreeSet::new();
        let mut crash = Self { relay, program, stores, devices, seen, space, first_left, random, _folder: folder };
        for device in &mut crash.devices {
            connect(device, &crash.relay);
            device.sync();
            device.request(&Command::Load);
        }
        crash
    }

    /// Lets both devices work for a random while with receipts coming in.
    fn work(&mut self) {
        for device in &mut self.devices {
            device.wait_for_receipts(1 + self.random.below(RECEIPTS_BETWEEN_KILLS));
        }
    }

    /// Lets a random moment pass, so that a kill comes anywhere in the work and not only right after a receipt.
    fn let_pass(&mut self) {
        std::thread::sleep(Duration::from_micros(self.random.between(0, MOMENT_US)));
    }

    fn kill_relay(&mut self) {
        self.let_pass();
        self.relay.kill();
        // The devices go on without it: what they do now exists nowhere else.
        for device in &mut self.devices {
            device.wait_for_edits(1 + self.random.below(10));
        }
        self.check_disk();
        self.relay.restart();
        // Their next attempts come by themselves within seconds; asking saves those.
        self.devices.iter_mut().for_each(DeviceProcess::sync_soon);
    }

    /// Checks that the dead relay's disk holds every change that any device has seen a receipt for (R1).
    fn check_disk(&mut self) {
        for device in &mut self.devices {
            device.catch_up();
            self.seen.extend(device.seen().clone());
        }
        let left = self.relay.contents(self.space).expect("the space is on the relay's disk");
        left.check().expect("a log without gaps");
        let left: BTreeSet<_> = left.names().collect();
        let lost: Vec<_> = self.seen.receipts.difference(&left).collect();
        assert!(lost.is_empty(), "{} changes with a receipt are not on disk (R1): {:?}", lost.len(), lost.first());
        if self.first_left.is_empty() {
            self.first_left = left;
        }
    }

    fn relay_holds(&self) -> BTreeSet<(String, String)> {
        self.relay.contents(self.space).expect("the space is on the relay's disk").names().collect()
    }

    fn kill_device(&mut self) {
        let victim = self.random.below(self.devices.len());
        self.let_pass();
        self.seen.extend(self.devices.remove(victim).kill());
        let mut device = DeviceProcess::start(&self.program, &self.stores[victim]);
        connect(&mut device, &self.relay);
        device.request(&Command::Load);
        self.devices.insert(victim, device);
    }

    /// Kills a device that works and compacts at once, and looks at what is on its disk before it goes on.
    fn kill_compacting_device(&mut self) {
        let victim = self.random.below(self.devices.len());
        self.let_pass();
        let seen = self.devices.remove(victim).kill();
        let stored = seen.stored.clone();
        self.seen.extend(seen);
        let store = Store::open(&self.stores[victim], &OpenOptions::default()).expect("the store opens again");
        assert_eq!(store.verify().expect("the store can be read"), [], "no half state");
        drop(store);
        let mut device = DeviceProcess::start(&self.program, &self.stores[victim]);
        let held = changes(&mut device);
        let lost: Vec<_> = stored.difference(&held).collect();
        assert!(lost.is_empty(), "{} edits that had returned are gone (D1)", lost.len());
        connect(&mut device, &self.relay);
        device.request(&Command::Load);
        device.request(&Command::CompactOn);
        self.devices.insert(victim, device);
    }

    /// Lets everything come to rest and compares what every device, and a new one, holds.
    fn check(mut self) {
        for device in &mut self.devices {
            device.request(&Command::Rest);
        }
        // A second round brings everyone what the others pushed in the first.
        for _ in 0..2 {
            self.devices.iter_mut().for_each(DeviceProcess::sync);
        }
        let mut fresh = DeviceProcess::start(&self.program, &self.stores[0].with_file_name("fresh.db"));
        fresh.request(&Command::JoinSpace { space: self.space.to_string() });
        connect(&mut fresh, &self.relay);
        fresh.sync();
        let on_relay = changes(&mut fresh);
        for device in &mut self.devices {
            let status = device.request(&Command::Status);
            assert_eq!(status["pending_changes"], 0, "nothing is left to send");
            assert_eq!(status["spaces"][0]["resets"], 0, "a SIGKILL alone loses no history (R1)");
            self.seen.extend(device.seen().clone());
            assert!(changes(device) == on_relay, "all devices hold the same changes (S1)");
        }
        let LoadSeen { stored, receipts } = &self.seen;
        let lost: Vec<_> = receipts.difference(&on_relay).collect();
        assert!(lost.is_empty(), "{} changes with a receipt are gone (S2), such as {:?}", lost.len(), lost.first());
        let lost: Vec<_> = stored.difference(&on_relay).collect();
        assert!(lost.is_empty(), "{} edits that had returned are gone (D1), such as {:?}", lost.len(), lost.first());
        assert!(!receipts.is_subset(&self.first_left), "the control: a disk without the later receipts is told apart");
        assert!(receipts.len() > self.devices.len() && receipts.is_subset(stored), "the load made receipts");
        println!("{} edits, {} receipts, {} changes in the end", stored.len(), receipts.len(), on_relay.len());
    }
}

fn connect(device: &mut DeviceProcess, relay: &RelayProcess) {
    device.request(&Command::Connect { url: relay.url(), token: None });
}

fn changes(device: &mut DeviceProcess) -> BTreeSet<(String, String)> {
    serde_json::from_value(device.request(&Command::Changes)).expect("a list of pairs")
}

fn from_environment(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is a number, not {value}")))
}

#[test]
fn a_device_that_is_killed_while_it_compacts_loses_nothing_and_leaves_no_half_state() {
    let seed = from_environment("AFIELD_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let kills = from_environment("AFIELD_KILLS").map_or(KILLS, |kills| usize::try_from(kills).expect("a small number"));
    println!("AFIELD_SEED={seed} AFIELD_KILLS={kills}");
    let mut crash = Crash::start(seed);
    for device in &mut crash.devices {
        device.request(&Command::CompactOn);
    }
    for _ in 0..kills {
        crash.work();
        crash.kill_compacting_device();
    }
    crash.work();
    // The control: there was something to compact, and it was.
    let mut covered = 0;
    for (device, store) in crash.devices.iter_mut().zip(&crash.stores) {
        device.request(&Command::Rest);
        let store = rusqlite::Connection::open(store).expect("a store opens beside its writer");
        let sql = "SELECT count(*) FROM changes WHERE covered = 1";
        covered += store.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("the store can be read");
    }
    assert!(covered > 0);
    for device in &mut crash.devices {
        device.request(&Command::Load);
    }
    crash.first_left = crash.relay_holds();
    crash.work();
    crash.check();
}

#[test]
fn what_has_a_receipt_survives_sigkill_of_relay_and_devices_under_load() {
    let seed = from_environment("AFIELD_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let kills = from_environment("AFIELD_KILLS").map_or(KILLS, |kills| usize::try_from(kills).expect("a small number"));
    println!("AFIELD_SEED={seed} AFIELD_KILLS={kills}");
    let mut crash = Crash::start(seed);
    for _ in 0..kills {
        crash.work();
        crash.kill_relay();
        crash.work();
        crash.kill_device();
    }
    crash.work();
    crash.check();
}
