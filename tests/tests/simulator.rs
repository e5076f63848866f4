//! Random histories, and the proof that they can fail.

use afield_tests::history::{Plan, play};
use afield_tests::world::Sabotage;
use std::process::Command;

/// How many histories a test run plays; `histories --seeds 10000` plays more.
const HISTORIES: u64 = 150;
/// How many histories a broken device or relay may survive before it has to be caught.
const PATIENCE: u64 = 200;

#[test]
fn random_histories_lose_nothing_and_converge() {
    for seed in 0..HISTORIES {
        if let Err(failure) = play(seed, &Plan::STANDARD) {
            panic!("{failure}");
        }
    }
}

fn is_caught(plan: &Plan) -> bool {
    (0..PATIENCE).any(|seed| play(seed, plan).is_err())
}

#[test]
fn a_receipt_before_the_commit_is_caught() {
    assert!(is_caught(&Plan { sabotage: Some(Sabotage::ReceiptBeforeCommit), ..Plan::STANDARD }));
}

#[test]
fn a_chain_that_is_not_checked_is_caught() {
    assert!(is_caught(&Plan { sabotage: Some(Sabotage::ChainNotChecked), ..Plan::STANDARD }));
}

#[test]
fn an_outbox_cleared_on_receipt_is_caught() {
    assert!(is_caught(&Plan { clear_outbox_on_receipt: true, ..Plan::STANDARD }));
}

#[test]
fn the_same_seed_gives_the_same_trace_in_two_processes() {
    let trace = |seed: u64| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_histories"));
        let output = command.args(["--seed", &seed.to_string()]).output().expect("the command runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stdout).expect("a hash is text")
    };
    assert_eq!(trace(7), trace(7));
    assert_ne!(trace(7), trace(8), "a trace says nothing if all are equal");
}
