//! The relay's database replaced by an older copy that is then written past the old cursors, and by an empty one: the
//! devices are told (Reset), repair it, lose nothing, and say so in an event (R4, R9, S2).

use afield::{Collection, Path, Replica, Space, SyncEvent, Value};
use afield_relay::operations::{BackupOptions, RestoreOptions, back_up, restore};
use afield_relay::server::{DataFolder, SystemClock};
use afield_tests::processes::{Access, Program, Site, changes_of};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::PathBuf;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::TryRecvError;

struct Bench {
    site: Site,
}

/// A device, and what it has said.
struct Device {
    replica: Replica,
    space: Space,
    notes: Collection<()>,
    events: broadcast::Receiver<SyncEvent>,
}

impl Bench {
    fn start() -> Self {
        Self { site: Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Open) }
    }

    /// A device with a store file of its own; the first makes the space, the others join it.
    fn device(&self, name: &str, first: Option<&Device>) -> Device {
        let replica = self.site.replica(name);
        let space = match first {
            None => replica.create_space("home"),
            Some(first) => replica.join_space(first.space.id()),
        };
        let space = space.expect("a space");
        let notes = space.collection("notes").expect("a collection");
        let events = replica.events();
        Device { replica, space, notes, events }
    }

    /// Syncs all devices until everyone has what the others brought.
    fn sync_all(&self, devices: &[&Device]) {
        self.site.sync_all(&devices.iter().map(|device| &device.replica).collect::<Vec<_>>());
    }

    /// Stops the relay and gives the files of its log.
    fn stop_and_copy(&mut self) -> Vec<(PathBuf, Vec<u8>)> {
        self.site.relay.stop();
        self.files().into_iter().map(|path| (path.clone(), std::fs::read(path).expect("a file of the log"))).collect()
    }

    /// Replaces the stopped relay's files.
    fn replace(&mut self, files: &[(PathBuf, Vec<u8>)]) {
        for path in self.files() {
            std::fs::remove_file(path).expect("a file of the log");
        }
        for (path, bytes) in files {
            std::fs::write(path, bytes).expect("a file of the log");
        }
        self.site.relay.restart();
    }

    fn files(&self) -> Vec<PathBuf> {
        let folder = std::fs::read_dir(self.site.relay.folder()).expect("the data folder");
        folder.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file()).collect()
    }

    /// Checks that all devices, and a new one, hold the same changes, all of these among them.
    fn check(&self, devices: &[&Device], made: &BTreeSet<String>) {
        let fresh = self.device("fresh.db", devices.first().copied());
        self.site.sync(&fresh.replica);
        let on_relay = fresh.changes();
        let lost: Vec<_> = made.difference(&on_relay).collect();
        assert!(lost.is_empty(), "{} of {} changes did not reach the relay again (S2)", lost.len(), made.len());
        for device in devices {
            assert_eq!(device.changes(), on_relay, "all devices hold the same changes (S1)");
        }
    }
}

impl Device {
    /// Makes a note, and gives its changes.
    fn write(&self, title: &str) -> BTreeSet<String> {
        let id = self.notes.json().insert(&json!({ "title": title })).expect("the note is stored");
        let entity = self.notes.entity(id).expect("the note is there");
        let write = entity.map(Path::ROOT).put("read", Value::Bool(true)).expect("the edit is stored");
        assert_eq!(write.changes().count(), 1);
        changes_of(&self.notes, id)
    }

    fn changes(&self) -> BTreeSet<String> {
        self.notes.ids().expect("the ids").into_iter().flat_map(|id| changes_of(&self.notes, id)).collect()
    }

    fn has_been_reset(&mut self) -> bool {
        let space = self.space.id();
        let mut next = || loop {
            match self.events.try_recv() {
                Err(TryRecvError::Lagged(_)) => {}
                other => return other.ok(),
            }
        };
        std::iter::from_fn(&mut next).any(|event| event == SyncEvent::Reset { space })
    }

    fn resets(&self) -> u64 {
        self.replica.status().expect("a status").spaces.iter().map(|space| space.resets).sum()
    }
}

#[test]
fn an_older_copy_written_past_the_old_cursors_is_noticed_and_repaired() {
    let mut bench = Bench::start();
    let mut anna = bench.device("anna.db", None);
    let mut ben = bench.device("ben.db", Some(&anna));
    let mut made: BTreeSet<String> = (0..10).flat_map(|number| anna.write(&format!("early {number}"))).collect();
    bench.sync_all(&[&anna, &ben]);
    let backup = bench.stop_and_copy();
    bench.site.relay.restart();
    made.extend((0..10).flat_map(|number| ben.write(&format!("late {number}"))));
    bench.sync_all(&[&anna, &ben]);
    let cursor = anna.replica.status().unwrap().spaces[0].sequence;
    assert!(!anna.has_been_reset() && !ben.has_been_reset(), "the control: a restart alone is no loss of history");
    [&anna, &ben].into_iter().for_each(|device| device.replica.disconnect());

    bench.site.relay.stop();
    bench.replace(&backup);
    let carol = bench.device("carol.db", Some(&anna));
    made.extend((0..40).flat_map(|number| carol.write(&format!("elsewhere {number}"))));
    bench.site.sync(&carol.replica);
    let written = carol.replica.status().unwrap().spaces[0].sequence;
    assert!(written > cursor, "the log is written past the old cursors: {written} and {cursor}");

    bench.sync_all(&[&anna, &ben, &carol]);
    assert!(anna.has_been_reset() && ben.has_been_reset(), "both are told");
    assert_eq!((anna.resets(), ben.resets()), (1, 1), "once");
    bench.check(&[&anna, &ben, &carol], &made);
}

#[test]
fn a_backup_made_beside_the_relay_and_restored_is_repaired_by_the_devices() {
    let mut bench = Bench::start();
    let mut anna = bench.device("anna.db", None);
    let mut ben = bench.device("ben.db", Some(&anna));
    let mut made: BTreeSet<String> = (0..10).flat_map(|number| anna.write(&format!("early {number}"))).collect();
    bench.sync_all(&[&anna, &ben]);
    let data = bench.site.relay.folder().to_owned();
    let folder = tempfile::tempdir().expect("a folder");
    let backup = folder.path().join("backup");
    let source = DataFolder::existing(data.clone()).expect("the relay's folder");
    let copied =
        back_up(&source, &backup, BackupOptions::default(), &mut |_, _| {}).expect("a backup of a relay that runs");
    made.extend((0..10).flat_map(|number| ben.write(&format!("late {number}"))));
    bench.sync_all(&[&anna, &ben]);

    bench.site.relay.stop();
    let options = RestoreOptions { replaces: true, keeps_access: false };
    let restored = restore(data, &backup, options, SystemClock::start().now(), &mut |_, _| {}).expect("it is restored");
    assert_eq!(restored.figures.chunks, copied.chunks);
    assert!(restored.kept.is_some(), "the log that was there is kept");
    bench.site.relay.restart();
    made.extend(anna.write("after"));
    bench.sync_all(&[&anna, &ben]);
    // Who comes second finds the log as it knew it, where the first has brought everything back in the same order.
    assert!(anna.has_been_reset() | ben.has_been_reset(), "who comes first is told");
    bench.check(&[&anna, &ben], &made);
}

#[test]
fn an_empty_relay_is_filled_again() {
    let mut bench = Bench::start();
    let mut anna = bench.device("anna.db", None);
    let mut ben = bench.device("ben.db", Some(&anna));
    let mut made: BTreeSet<String> = (0..10).flat_map(|number| anna.write(&format!("one {number}"))).collect();
    made.extend((0..10).flat_map(|number| ben.write(&format!("two {number}"))));
    bench.sync_all(&[&anna, &ben]);

    bench.site.relay.stop();
    bench.replace(&[]);
    made.extend(ben.write("after"));
    // The devices were connected all the while and come back by themselves.
    bench.sync_all(&[&anna, &ben]);
    assert!(anna.has_been_reset() && ben.has_been_reset(), "both are told");
    bench.check(&[&anna, &ben], &made);
}

#[test]
fn what_a_lost_device_wrote_reaches_the_relay_again_through_another_one() {
    let mut bench = Bench::start();
    let anna = bench.device("anna.db", None);
    let mut ben = bench.device("ben.db", Some(&anna));
    let made: BTreeSet<String> = (0..10).flat_map(|number| anna.write(&format!("note {number}"))).collect();
    bench.sync_all(&[&anna, &ben]);
    drop(anna);

    bench.site.relay.stop();
    bench.replace(&[]);
    bench.site.sync(&ben.replica);
    assert!(ben.has_been_reset(), "the survivor is told");
    bench.check(&[&ben], &made);
}
