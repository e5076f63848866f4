//! A transaction over many entities is one commit, seen from outside by the system calls of a real device.

use afield_tests::processes::agent::Command;
use afield_tests::processes::{DeviceProcess, Program, Trace, count_syncs, required_tracer};

#[test]
fn a_transaction_over_many_entities_is_one_sync_of_the_disk() {
    let Some(tracer) = required_tracer() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = folder.path().canonicalize().expect("the folder is there");
    let trace = Trace::of_syncs(&tracer, at.join("device.trace"));
    let program = Program::new(env!("CARGO_BIN_EXE_device_process"));
    let mut device = DeviceProcess::start_traced(&program, &at.join("device.db"), &trace);
    device.request(&Command::MakeSpace);
    let mut syncs_of = |command: &Command| {
        let before = count_syncs(trace.file()).expect("the trace is there");
        device.request(command);
        count_syncs(trace.file()).expect("the trace is there") - before
    };
    // Each round of changes is a transaction over all of the entities.
    assert_eq!(syncs_of(&Command::Populate { entities: 1, changes: 1 }), 1);
    assert_eq!(syncs_of(&Command::Populate { entities: 40, changes: 1 }), 1);
    assert_eq!(syncs_of(&Command::Populate { entities: 40, changes: 3 }), 3, "the control: three transactions");
}
