//! `connect` where the system gives no thread, also inside a runtime, in which another runtime must not be dropped.

#![cfg(target_os = "linux")]
use afield::{ConnectError, Relay, Replica, SyncState};
use std::process::Command;
use tokio::runtime::Builder;

/// A stack that no system gives to a thread, in bytes.
const STACK_TOO_LARGE: &str = "4611686018427387904";

#[test]
fn a_thread_that_the_system_does_not_give_is_an_error_inside_a_runtime_too() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "connects_where_there_are_no_threads", "--ignored", "--test-threads", "1"]);
    let output = command.env("RUST_MIN_STACK", STACK_TOO_LARGE).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "runs in a process without threads, started by a_thread_that_the_system_does_not_give_is_an_error_inside_a_runtime_too"]
fn connects_where_there_are_no_threads() {
    assert!(std::thread::Builder::new().spawn(|| ()).is_err(), "the control: there is none to be had");
    let replica = Replica::open_in_memory().unwrap();
    let refused = || {
        let refused = replica.connect(Relay::new("ws://127.0.0.1:9")).unwrap_err();
        assert!(matches!(refused, ConnectError::Thread(_)), "{refused:?}");
        assert_eq!(replica.status().unwrap().state, SyncState::Disabled);
    };
    refused();
    Builder::new_current_thread().enable_all().build().unwrap().block_on(async { refused() });
}
