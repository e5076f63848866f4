//! An edit returns only after the sync of its transaction (D1), seen from outside by the system calls of a real device.
//!
//! The device syncs meanwhile, since its marks share the connection with its edits and are not synced.

use afield::EntityId;
use afield_tests::processes::agent::Command;
use afield_tests::processes::{
    Access, DeviceProcess, Program, RelayProcess, SystemCall, Trace, read_trace, required_tracer,
};
use serde_json::json;
use std::path::{Path, PathBuf};

/// How many receipts are waited for, and so how often at least marks come between edits.
const RECEIPTS: usize = 50;
/// The fewest edits that these are receipts for: one edit makes at most two changes.
const EDITS_MIN: usize = RECEIPTS / 2;

/// How many tasks live through everything that can be written.
const LIVES: u64 = 5;

/// What a device has done, in order, as far as edits go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The WAL of its store was written to.
    Written,
    /// A sync of the WAL began.
    SyncBegun,
    /// It ended, and what was written before it began is on disk.
    Synced,
    /// An edit had returned.
    Returned,
}

/// Gives how many edits returned, and how many of them without a sync of something written after the edit before.
///
/// It holds for a device that makes one edit after the other: then the transaction of an edit is written after the
/// edit before it had returned.
fn check(steps: &[Step]) -> (usize, usize) {
    let (mut returned, mut unsynced) = (0, 0);
    let (mut is_written, mut is_covered, mut is_synced) = (false, false, false);
    for step in steps {
        match step {
            Step::Written => is_written = true,
            Step::SyncBegun => is_covered = is_written,
            Step::Synced => is_synced |= is_covered,
            Step::Returned => {
                returned += 1;
                unsynced += usize::from(!is_synced);
                (is_written, is_covered, is_synced) = (false, false, false);
            }
        }
    }
    (returned, unsynced)
}

/// Reads the steps out of a trace. A write counts from its end, a sync from its start to its end, a word from its start.
fn steps(calls: &[SystemCall], wal: &Path) -> Vec<Step> {
    let mut placed = Vec::new();
    for call in calls {
        if call.target().is_some_and(|target| Path::new(&target) == wal) {
            match call.is_sync() {
                true if call.result == Some(0) => {
                    placed.push((call.started, Step::SyncBegun));
                    placed.push((call.ended, Step::Synced));
                }
                true => {}
                false => placed.push((call.ended, Step::Written)),
            }
        } else if call.name == "write" && call.bytes().starts_with(br#"{"stored":"#) {
            placed.push((call.started, Step::Returned));
        }
    }
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, step)| step).collect()
}

#[test]
fn no_edit_returns_before_its_sync_has_returned() {
    let Some(tracer) = required_tracer() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = folder.path().canonicalize().expect("the folder is there");
    let trace = Trace::of_writes(&tracer, at.join("device.trace"));
    let relay_program = Program::new(env!("CARGO_BIN_EXE_relay_process"));
    let relay = RelayProcess::start(&relay_program, &at.join("relay"), Access::Open);
    let program = Program::new(env!("CARGO_BIN_EXE_device_process"));
    let mut device = DeviceProcess::start_traced(&program, &at.join("device.db"), &trace);
    device.request(&Command::MakeSpace);
    device.request(&Command::Populate { entities: 3, changes: 1 });
    device.request(&Command::Connect { url: relay.url(), token: None });
    device.sync();
    device.request(&Command::Load);
    device.wait_for_receipts(RECEIPTS);
    device.request(&Command::Rest);
    let pending = device.request(&Command::Status)["pending_changes"].as_u64().expect("a number");
    assert!(pending < device.seen().stored.len() as u64, "marks came between the edits");
    drop(device);

    let calls = read_trace(trace.file()).expect("the trace is there");
    let steps = steps(&calls, &at.join("device.db-wal"));
    let (returned, unsynced) = check(&steps);
    assert!(returned >= EDITS_MIN, "the trace shows {returned} edits");
    assert_eq!(unsynced, 0, "of {returned} edits (D1)");
}

/// A device without a relay, traced, with a space.
struct Traced {
    device: DeviceProcess,
    trace: Trace,
    folder: tempfile::TempDir,
}

impl Traced {
    fn start(tracer: &Path, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = folder.path().canonicalize().expect("the folder is there");
        let trace = Trace::of_writes(tracer, at.join("device.trace"));
        let arguments = arguments.iter().map(ToString::to_string).collect();
        let program = Program { arguments, ..Program::new(env!("CARGO_BIN_EXE_device_process")) };
        let mut device = DeviceProcess::start_traced(&program, &at.join("device.db"), &trace);
        device.request(&Command::MakeSpace);
        Self { device, trace, folder }
    }

    /// What was done to the WAL so far, and what was said to be stored.
    fn steps(&self) -> Vec<Step> {
        let at = self.folder.path().canonicalize().expect("the folder is there");
        steps(&read_trace(self.trace.file()).expect("the trace is there"), &at.join("device.db-wal"))
    }

    /// How often the WAL was synced so far.
    fn syncs(&self) -> usize {
        self.steps().iter().filter(|step| **step == Step::Synced).count()
    }

    /// As many lines as this, each an entity of its own, in a file that can be read in.
    fn lines(&self, count: usize, deleted: bool) -> PathBuf {
        let line = |number: usize| {
            let id = EntityId::from_bytes((number as u128 + 1).to_be_bytes());
            let value = json!({ "title": format!("task {number}") });
            json!({ "collection": "notes", "id": id.to_string(), "deleted": deleted, "value": value }).to_string()
        };
        let path = self.folder.path().join(format!("{count}-{deleted}.jsonl"));
        std::fs::write(&path, (0..count).map(|number| line(number) + "\n").collect::<String>()).expect("a file");
        path
    }
}

#[test]
fn nothing_that_writes_returns_before_its_sync_has_returned() {
    let Some(tracer) = required_tracer() else { return };
    let mut traced = Traced::start(&tracer, &[]);
    let edits = traced.device.request(&Command::Live { tasks: LIVES }).as_u64().expect("a number");
    assert_eq!(traced.device.request(&Command::Status)["synchronous"], "full");
    let (returned, unsynced) = check(&traced.steps());
    assert!(returned as u64 == edits && edits >= 8 * LIVES, "the trace shows {returned} edits of {edits}");
    assert_eq!(unsynced, 0, "of {returned} insertions, edits, deletions and what takes them back (D1)");
}

#[test]
fn an_import_syncs_once_for_every_500_lines() {
    let Some(tracer) = required_tracer() else { return };
    let mut traced = Traced::start(&tracer, &[]);
    for (deleted, lines, changed, commits) in [(false, 1_500, 1_500, 3), (false, 1_500, 0, 0), (true, 501, 501, 2)] {
        let (file, before) = (traced.lines(lines, deleted), traced.syncs());
        assert_eq!(traced.device.request(&Command::Import { file }), json!(changed));
        assert_eq!(traced.syncs() - before, commits, "{lines} lines, of which {changed} differed");
    }
}

#[test]
fn with_normal_no_commit_waits_for_a_sync_and_status_says_so() {
    let Some(tracer) = required_tracer() else { return };
    let mut traced = Traced::start(&tracer, &["--normal"]);
    assert_eq!(traced.device.request(&Command::Status)["synchronous"], "normal");
    // The head of a WAL is synced when it is begun, whatever the choice, so that this has happened before.
    traced.device.request(&Command::Populate { entities: 1, changes: 1 });
    let before = traced.steps().len();
    let edits = traced.device.request(&Command::Live { tasks: LIVES }).as_u64().expect("a number");
    let file = traced.lines(600, false);
    assert_eq!(traced.device.request(&Command::Import { file }), json!(600));
    let steps = traced.steps().split_off(before);
    let (returned, unsynced) = check(&steps);
    assert!(returned as u64 == edits && edits >= 8 * LIVES, "the trace shows {returned} edits of {edits}");
    assert!(steps.contains(&Step::Written), "the control: it was written to");
    assert_eq!((steps.contains(&Step::SyncBegun), unsynced), (false, returned));
}

#[test]
fn an_edit_that_returns_before_its_sync_would_be_noticed() {
    use Step::{Returned, SyncBegun, Synced, Written};
    let whole = [Written, SyncBegun, Synced, Returned];
    assert_eq!(check(&[whole, whole].concat()), (2, 0));
    assert_eq!(check(&[Written, Returned, SyncBegun, Synced]), (1, 1));
    assert_eq!(check(&[SyncBegun, Written, Synced, Returned]), (1, 1), "that sync began before the write");
    assert_eq!(check(&[&whole[..], &[Written, Returned]].concat()), (2, 1), "and that one was of the edit before");
    assert_eq!(check(&[&whole[..], &[SyncBegun, Synced, Returned]].concat()), (2, 1));
}
