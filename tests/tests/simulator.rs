//! Random histories, and the proof that they can fail.

use afield_tests::history::{Plan, play, play_in};
use afield_tests::world::{Checks, DeviceSabotage, Sabotage, World};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// How many live messages a history has at least on average, each way: of its hundred steps 45 are edits, and a device that is
/// away, or does not run, pushes together what it made meanwhile, so a third of them. Each goes on to all who are there.
const LIVE_MIN: u64 = 15;
/// How many histories a test run plays; `histories --seeds 10000` plays more.
const HISTORIES: u64 = 300;
/// How many histories a broken device or relay may survive before it has to be caught.
const PATIENCE: u64 = 200;
/// How many histories with a fault that must do no harm have to end well.
const CONTROLS: u64 = 20;
/// How many histories are played in two processes each.
const TRACED: u64 = 20;

/// What histories hold beside content of every kind.
const HAPPENINGS: [&str; 5] =
    ["a partition in one direction", "a filter", "a fetch of what is not here", "a compacted entity", "a purge"];

/// Every kind of content merges on three devices, whatever the schedule, and whatever happens to network, disks and relay.
#[test]
fn random_histories_lose_nothing_and_converge() {
    let mut happened: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut pushes, mut runs) = (0, 0);
    for seed in 0..HISTORIES {
        let mut world = World::new(seed);
        if let Err(failure) = play_in(&mut world, seed, &Plan::STANDARD) {
            panic!("{failure}");
        }
        let (more_pushes, more_runs) = world.live_messages();
        (pushes, runs) = (pushes + more_pushes, runs + more_runs);
        for (what, count) in world.happened() {
            *happened.entry(what).or_default() += count;
        }
        let compacted: usize = world.all().map(|device| world.compacted(device)).sum();
        *happened.entry("a compacted entity").or_default() += compacted as u64;
    }
    for what in World::kinds().chain(World::changes_of_mind()).chain(HAPPENINGS) {
        let count = happened.get(what).copied().unwrap_or_default();
        assert!(count >= HISTORIES / 100, "{what}: {count} times in {HISTORIES} histories");
    }
    assert!(pushes > LIVE_MIN * HISTORIES && runs > LIVE_MIN * HISTORIES, "{pushes} live pushes and {runs} live runs");
}

/// Plays histories until one breaks an invariant, which has to be this one.
fn assert_caught(plan: &Plan, invariant: &str) {
    assert_caught_as_one_of(plan, &[invariant]);
}

/// Plays histories until one breaks an invariant, which has to be one of these.
fn assert_caught_as_one_of(plan: &Plan, invariants: &[&str]) {
    let failure = (0..PATIENCE).find_map(|seed| play(seed, plan).err());
    let failure = failure.unwrap_or_else(|| panic!("{plan:?} is not caught"));
    assert!(invariants.contains(&failure.violation.invariant), "{failure}");
}

/// What is broken does nothing but what it is meant to: everything else stays as it is.
fn assert_ends_well(plan: &Plan) {
    for seed in 0..CONTROLS {
        if let Err(failure) = play(seed, plan) {
            panic!("{failure}");
        }
    }
}

#[test]
fn a_receipt_before_the_commit_is_caught() {
    assert_caught(&Plan { sabotage: Some(Sabotage::ReceiptBeforeCommit), ..Plan::STANDARD }, "R1");
}

#[test]
fn a_chain_that_is_not_checked_is_caught() {
    assert_caught(&Plan { sabotage: Some(Sabotage::ChainNotChecked), ..Plan::STANDARD }, "R4");
}

#[test]
fn an_outbox_cleared_on_receipt_is_caught_before_it_loses_anything() {
    let device_sabotage = Some(DeviceSabotage::OutboxClearedOnReceipt);
    assert_caught(&Plan { device_sabotage, ..Plan::STANDARD }, "D5");
}

#[test]
fn an_outbox_cleared_on_receipt_loses_changes_and_that_is_caught() {
    // The loss needs a backup put back between a receipt and the page that follows it, so backups are put back often.
    let restored = Plan { restores: Some(600), checks: Checks::Outcome, ..Plan::STANDARD };
    assert_ends_well(&restored);
    // What is lost was acknowledged, or its edit had returned and the backup was older than its receipt.
    let sabotaged = Plan { device_sabotage: Some(DeviceSabotage::OutboxClearedOnReceipt), ..restored };
    assert_caught_as_one_of(&sabotaged, &["S2", "D1"]);
}

#[test]
fn edits_that_are_not_synced_are_caught() {
    // What is lost with the power was nowhere else, or on a relay that has lost it since.
    let plan = Plan { device_sabotage: Some(DeviceSabotage::NeverSynced), ..Plan::STANDARD };
    assert_caught_as_one_of(&plan, &["D1", "S2"]);
}

#[test]
fn orphans_that_are_dropped_are_caught() {
    // Without restored backups: after one, each device would offer its changes in the order of the log, and be refused.
    let sabotage = Some(Sabotage::WrongOrder);
    let orphans = Plan { sabotage, restores: Some(0), checks: Checks::Outcome, ..Plan::STANDARD };
    assert_ends_well(&orphans);
    let dropped = Plan { device_sabotage: Some(DeviceSabotage::OrphansDropped), ..orphans };
    assert_caught(&dropped, "R9");
    assert_caught(&Plan { checks: Checks::All, ..dropped }, "D2");
}

#[test]
fn a_dependency_that_comes_after_its_dependant_is_caught() {
    assert_caught(&Plan { sabotage: Some(Sabotage::WrongOrder), ..Plan::STANDARD }, "S5");
}

#[test]
fn a_purge_that_is_forgotten_is_caught() {
    let purged = Plan { purges: Some(100), ..Plan::STANDARD };
    assert_ends_well(&purged);
    let forgotten = Plan { device_sabotage: Some(DeviceSabotage::ErasuresForgotten), ..purged };
    // The device lacks what its cursor has passed, or has it again and does not know that the log does.
    assert_caught_as_one_of(&forgotten, &["D2", "D5"]);
    // The entity is back, or the purge never came to the others.
    assert_caught_as_one_of(&Plan { checks: Checks::Outcome, ..forgotten }, &["D1", "R9", "S2"]);
}

#[test]
fn the_same_seed_gives_the_same_trace_in_two_processes() {
    let trace = |seed: u64| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_histories"));
        let output = command.args(["--seed", &seed.to_string()]).output().expect("the command runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stdout).expect("a hash is text")
    };
    let traces: BTreeSet<String> = (0..TRACED)
        .map(|seed| {
            let traced = trace(seed);
            assert_eq!(traced, trace(seed), "seed {seed}");
            traced
        })
        .collect();
    assert_eq!(traces.len() as u64, TRACED, "a trace says nothing if all are equal");
}

#[test]
fn too_few_histories_in_the_time_given_are_a_failure() {
    let played = |at_least: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_histories"));
        let output = command.args(["--seeds", "5", "--steps", "1", "--seconds", "0", "--at-least", at_least]).output();
        output.expect("the command runs").status.success()
    };
    assert!(!played("5"));
    assert!(played("0"), "the control: nothing else is wrong");
}
