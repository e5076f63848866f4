//! An edit returns only after the sync of its transaction (D1), seen from outside by the system calls of a real device.
//!
//! The device syncs meanwhile, since its marks share the connection with its edits and are not synced.

use afield_tests::processes::agent::Command;
use afield_tests::processes::{
    Access, DeviceProcess, Program, RelayProcess, SystemCall, Trace, read_trace, required_tracer,
};
use std::path::Path;

/// How many receipts are waited for, and so how often at least marks come between edits.
const RECEIPTS: usize = 50;
/// The fewest edits that these are receipts for: one edit makes at most two changes.
const EDITS_MIN: usize = RECEIPTS / 2;

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
