//! A transaction over many entities is one commit, seen from outside by the system calls of a real device.

use afield_tests::processes::agent::Command;
use afield_tests::processes::{DeviceProcess, Program, TRACER_REQUIRED, Trace, count_syncs, required_tracer};
use std::process::{Command as Process, Output};

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

/// This program again, for one test, on a system that seems to have no `strace`.
fn without_a_tracer(test: &str, is_required: bool) -> Output {
    let mut again = Process::new(std::env::current_exe().unwrap());
    again.args(["--exact", test, "--test-threads=2"]).env("PATH", "").env_remove(TRACER_REQUIRED);
    if is_required {
        again.env(TRACER_REQUIRED, "1");
    }
    again.output().expect("this program starts")
}

#[test]
fn a_test_that_could_not_trace_says_so_loudly_and_fails_where_it_has_to() {
    let test = "a_transaction_over_many_entities_is_one_sync_of_the_disk";
    let passed = without_a_tracer(test, false);
    let told = String::from_utf8(passed.stderr).unwrap();
    assert!(passed.status.success(), "{told}");
    assert!(told.contains(&format!("NOT TESTED: {test} has looked at nothing")), "{told}");
    assert!(told.contains("apt-get install strace") && told.contains(TRACER_REQUIRED), "{told}");
    assert!(!without_a_tracer(test, true).status.success());
}
