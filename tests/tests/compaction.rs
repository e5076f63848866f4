//! SIGKILL at random moments while a relay's log is compacted under load: whatever a receipt was given for reads as before, and a
//! reader that pages through meanwhile misses nothing (R1, R2, R9, S1, S2).
//!
//! `AFIELD_KILLS=50 cargo test -p afield-tests --test compaction` kills fifty times instead of ten; `AFIELD_SEED` repeats a
//! run's choices.

use afield::{Collection, EntityId, Relay, Replica, SpaceId};
use afield_core::wire::{Message, Segment, ToDevice};
use afield_tests::processes::agent::Command;
use afield_tests::processes::{Access, DeviceProcess, Program, Proxy, RelayProcess, Site};
use afield_tests::world::Random;
use serde_json::json;
use std::collections::BTreeSet;
use std::process::Child;
use std::time::{Duration, Instant};

/// How many times relay and compaction are killed, unless told otherwise.
const KILLS: usize = 10;
/// A kill comes at most so many receipts after everything runs again.
const RECEIPTS_BETWEEN_KILLS: usize = 40;
const ENTITIES: usize = 7;
/// How often the log is compacted until that makes snapshots, at most.
const ROUNDS_MAX: usize = 50;
/// What every entity starts with: enough that a compaction takes several commits.
const CHANGES: usize = 60;

fn from_environment(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is a number, not {value}")))
}

/// What a compaction did.
#[derive(Debug, Default)]
struct Compacted {
    packed: u64,
    snapshots: u64,
}

/// Waits for a compaction, and gives what it says that it did.
fn finished(compaction: Child) -> Compacted {
    let output = compaction.wait_with_output().expect("the process ends");
    assert!(output.status.success(), "the compaction failed");
    let mut all = Compacted::default();
    for line in String::from_utf8(output.stdout).expect("text").lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let number = |name: &str| line[name].as_u64().unwrap_or_default();
        all.packed += number("packed");
        all.snapshots += number("snapshots");
    }
    all
}

fn changes(device: &mut DeviceProcess) -> BTreeSet<(String, String)> {
    serde_json::from_value(device.request(&Command::Changes)).expect("a list of pairs")
}

fn connect(device: &mut DeviceProcess, relay: &RelayProcess) {
    device.request(&Command::Connect { url: relay.url(), token: None });
}

/// What the log on the dead relay's disk holds, every chunk intact and in the chain.
fn on_disk(relay: &RelayProcess, space: SpaceId) -> BTreeSet<(String, String)> {
    let contents = relay.contents(space).expect("the space is on the relay's disk");
    contents.check().expect("a log without gaps, of intact chunks");
    contents.names().collect()
}

#[test]
fn what_has_a_receipt_survives_sigkill_of_a_relay_whose_log_is_compacted_under_load() {
    let seed = from_environment("AFIELD_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let kills = from_environment("AFIELD_KILLS").map_or(KILLS, |kills| usize::try_from(kills).expect("a small number"));
    println!("AFIELD_SEED={seed} AFIELD_KILLS={kills}");
    let mut random = Random::new(seed);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = Program::new(env!("CARGO_BIN_EXE_device_process"));
    let relay_program = Program::new(env!("CARGO_BIN_EXE_relay_process"));
    let mut relay = RelayProcess::start(&relay_program, &folder.path().join("relay"), Access::Open);
    let mut devices: Vec<_> =
        ["anna.db", "ben.db"].iter().map(|name| DeviceProcess::start(&program, &folder.path().join(name))).collect();
    let [anna, ben] = devices.as_mut_slice() else { panic!("two devices") };
    let id = anna.request(&Command::MakeSpace).as_str().expect("an id").to_owned();
    anna.request(&Command::Populate { entities: ENTITIES, changes: CHANGES });
    ben.request(&Command::JoinSpace { space: id.clone() });
    let space: SpaceId = id.parse().expect("an id");
    for device in &mut devices {
        connect(device, &relay);
        device.sync();
        device.request(&Command::Load);
    }
    // How long one takes that is left alone and makes snapshots says when to kill the others.
    let mut whole = Duration::ZERO;
    let mut rounds = (0..ROUNDS_MAX).map(|_| {
        devices.iter_mut().for_each(|device| device.wait_for_receipts(RECEIPTS_BETWEEN_KILLS));
        let began = Instant::now();
        let done = finished(relay.start_compacting());
        whole = began.elapsed();
        done
    });
    let first = rounds.find(|done| done.snapshots > 1).expect("a snapshot saves room at last");
    assert!(first.packed > 0, "{first:?}");
    let (mut cut_short, mut receipts) = (0, BTreeSet::new());
    for _ in 0..kills {
        for device in &mut devices {
            device.wait_for_receipts(1 + random.below(RECEIPTS_BETWEEN_KILLS));
        }
        let mut compaction = relay.start_compacting();
        // The kill may come anywhere in the work.
        let moment = u64::try_from(whole.as_micros()).expect("a short time");
        std::thread::sleep(Duration::from_micros(random.between(0, moment * 5 / 4)));
        cut_short += usize::from(compaction.try_wait().is_ok_and(|ended| ended.is_none()));
        relay.kill();
        let _ = compaction.kill();
        compaction.wait().expect("it is dead");
        for device in &mut devices {
            device.wait_for_edits(1 + random.below(10));
            device.catch_up();
            receipts.extend(device.seen().receipts.clone());
        }
        let left = on_disk(&relay, space);
        let lost: Vec<_> = receipts.difference(&left).collect();
        assert!(lost.is_empty(), "{} changes with a receipt are not on disk (R1): {:?}", lost.len(), lost.first());
        relay.restart();
        devices.iter_mut().for_each(DeviceProcess::sync_soon);
    }
    println!("{cut_short} of {kills} compactions were cut short");
    assert!(kills < KILLS || cut_short > 0, "no kill met a compaction, so this shows nothing");
    for device in &mut devices {
        device.request(&Command::Rest);
    }
    for _ in 0..2 {
        devices.iter_mut().for_each(DeviceProcess::sync);
    }
    // A newcomer reads everything while all of it is compacted.
    let compaction = relay.start_compacting();
    let mut fresh = DeviceProcess::start(&program, &folder.path().join("fresh.db"));
    fresh.request(&Command::JoinSpace { space: id });
    connect(&mut fresh, &relay);
    fresh.sync();
    println!("the first compaction: {first:?}, the last: {:?}", finished(compaction));
    let on_relay = changes(&mut fresh);
    for device in &mut devices {
        let status = device.request(&Command::Status);
        assert_eq!(status["pending_changes"], 0, "nothing is left to send");
        assert_eq!(status["spaces"][0]["resets"], 0, "no history was lost (R1)");
        assert!(changes(device) == on_relay, "all devices hold the same changes (S1)");
    }
    relay.kill();
    assert!(on_disk(&relay, space) == on_relay, "and so does the log");
    assert!(receipts.is_subset(&on_relay) && receipts.len() > 2, "S2");
}

/// How often the log is compacted before a device reads all of it, and how many edits come before each time. Small segments
/// are what a snapshot saves room in, whatever the edits are.
const ROUNDS: usize = 12;
const EDITS: usize = 50;

#[test]
fn a_fresh_device_reads_a_compacted_log_in_one_round_trip_and_as_a_snapshot() {
    let site = Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Open);
    let author = site.replica("author.db");
    let home = author.create_space("home").expect("a space");
    let notes: Collection<()> = home.collection("notes").expect("a collection");
    let id = notes.json().insert(&json!({ "title": "none" })).expect("a note");
    author.connect(Relay::new(site.relay.url())).expect("the address is one");
    let mut edits = 0..;
    let mut snapshots = 0;
    for round in 0..ROUNDS {
        let mut title = String::new();
        for number in edits.by_ref().take(EDITS) {
            title = format!("edit {number}");
            notes.json().put(id, &json!({ "title": title })).expect("an edit");
        }
        site.sync(&author);
        if round == 0 {
            let frames = read_by_a_fresh_device(&site, "before.db", (home.id(), id), &title);
            assert_eq!(frames[..4], ["Welcome", "Opened", "Chunks", "CaughtUp"], "the control");
        }
        snapshots += finished(site.relay.start_compacting()).snapshots;
        if round == ROUNDS - 1 {
            let frames = read_by_a_fresh_device(&site, "after.db", (home.id(), id), &title);
            assert_eq!(frames[..4], ["Welcome", "Opened", "Jump with a snapshot", "CaughtUp"], "{snapshots} snapshots");
            // That another device has it all is told whenever that is known.
            assert!(frames[4..].iter().all(|frame| *frame == "Seen"), "{frames:?}");
        }
    }
}

fn name_of(message: &[u8]) -> &'static str {
    let message = Message::open(message).expect("an honest relay's message");
    match message.to_device().expect("an honest relay's frame") {
        ToDevice::Welcome(_) => "Welcome",
        ToDevice::Opened(_) => "Opened",
        ToDevice::Chunks(_) => "Chunks",
        ToDevice::CaughtUp(_) => "CaughtUp",
        ToDevice::Seen(_) => "Seen",
        ToDevice::Jump(jump) => match jump.segments[..] {
            [Segment::Snapshot(_), ..] => "Jump with a snapshot",
            _ => "Jump",
        },
        _ => "another frame",
    }
}

/// Has a new device read everything over a line that keeps what the relay says, and names its frames.
fn read_by_a_fresh_device(site: &Site, name: &str, (space, id): (SpaceId, EntityId), title: &str) -> Vec<&'static str> {
    let device = site.replica(name);
    let copy = device.join_space(space).expect("a space");
    let door = Proxy::start_keeping(site.relay.address()).expect("a port");
    site.work_through(&door, &device, None, Replica::catch_up).expect("it catches up");
    let notes: Collection<()> = copy.collection("notes").expect("a collection");
    assert_eq!(notes.json().read(id).expect("the note is there"), json!({ "title": title }));
    assert_eq!(device.status().expect("a status").pending_changes, 0, "what came is proven");
    let figures = door.figures();
    assert_eq!((figures.asked, figures.asked_after_first_answer), (2, 0), "Hello and Open: {figures:?}");
    door.to_device().iter().map(|message| name_of(message)).collect()
}
