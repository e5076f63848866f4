//! Who watches what people have to decide, against a relay that is played by hand.

use super::hand::{Desk, NOW, conflicting};
use super::*;
use crate::driver::strategies::Settled;
use crate::watch::Subject;
use afield_core::ErasureReason;
use afield_core::document::Path;
use afield_core::document::strategy::Strategy;
use std::collections::BTreeSet;

const ENTITY: EntityId = EntityId::from_bytes([9; 16]);

/// A device that has received a conflict and began anew since.
fn in_conflict() -> Desk {
    let desk = Desk::new();
    desk.driver.enable_sync(NOW);
    let mut relay = desk.connect(NOW);
    let mut messages = vec![relay.welcome(), relay.opened()];
    messages.extend(conflicting(ENTITY).iter().map(|bytes| relay.chunk(ENTITY, bytes)));
    messages.push(relay.caught_up());
    desk.receive(&messages, NOW);
    let desk = desk.restart(NOW);
    let count = desk.driver.with_store(|store| store.reader().conflict_count(desk.space)).unwrap();
    assert_eq!(count, 1, "the control: there is something to decide");
    desk
}

#[test]
fn who_watches_is_told_that_a_conflict_has_ended_also_after_a_restart() {
    let desk = in_conflict();
    let mut watch = desk.driver.observers.watch(Subject::Conflicts(desk.space));
    desk.edit_again(ENTITY, "decided");
    assert_eq!(watch.take(), BTreeSet::from([ENTITY]));
    desk.edit_again(ENTITY, "and edited");
    assert_eq!(watch.take(), BTreeSet::new(), "nothing was left to end");

    let without = desk.restart(NOW);
    let mut watch = without.driver.observers.watch(Subject::Conflicts(without.space));
    without.edit_again(ENTITY, "again");
    assert_eq!(watch.take(), BTreeSet::new(), "nor is there after a restart");
}

#[test]
fn who_watches_is_told_that_an_entity_with_a_conflict_was_purged() {
    let desk = in_conflict();
    let mut watch = desk.driver.observers.watch(Subject::Conflicts(desk.space));
    let _ = desk.driver.purge(desk.space, &[ENTITY], ErasureReason::ASKED, NOW).unwrap();
    assert_eq!(watch.take(), BTreeSet::from([ENTITY]));
}

#[test]
fn what_a_strategy_left_to_people_is_decided_once_another_one_is_set() {
    let desk = in_conflict();
    let (notes, count) = ("notes".parse().unwrap(), || {
        desk.driver.with_store(|store| store.reader().conflict_count(desk.space)).unwrap()
    });
    let set = |strategy| desk.driver.set_strategy(desk.space, &notes, &Path::ROOT, strategy, NOW).unwrap();
    set(Strategy::PreferThis);
    assert_eq!(count(), 1, "this device is no side of it");
    let taken = desk.driver.documents.wait_for(ENTITY);
    let open = taken.open.as_deref().unwrap();
    assert!(matches!(&open.settled, Settled::At(heads, _) if *heads == open.document.heads()), "it was looked at");
    drop(taken);
    set(Strategy::Newest);
    assert_eq!(count(), 0);
}

/// A device on which the newest write holds, and what brings a conflict to it.
fn following() -> (Desk, Vec<Vec<u8>>, HandRelay) {
    let desk = Desk::new();
    desk.driver.set_strategy(desk.space, &"notes".parse().unwrap(), &Path::ROOT, Strategy::Newest, NOW).unwrap();
    desk.driver.enable_sync(NOW);
    let mut relay = desk.connect(NOW);
    let mut messages = vec![relay.welcome(), relay.opened()];
    messages.extend(conflicting(ENTITY).iter().map(|bytes| relay.chunk(ENTITY, bytes)));
    (desk, messages, relay)
}

fn conflicts(desk: &Desk) -> u64 {
    desk.driver.with_store(|store| store.reader().conflict_count(desk.space)).unwrap()
}

/// Lets this many commits through and none after them.
fn fail_after(desk: &Desk, commits: usize) {
    let mut left = commits;
    desk.driver.with_store(|store| {
        store.inject(Box::new(move |point| {
            if point != FaultPoint::BeforeCommit {
                return None;
            }
            let is_over = left == 0;
            left = left.saturating_sub(1);
            is_over.then_some(Fault::Io)
        }));
    });
}

#[test]
fn what_a_strategy_decides_is_decided_wherever_the_process_ends_in_between() {
    let mut left_open = 0;
    for commits in 0..8 {
        let (desk, mut messages, relay) = following();
        messages.push(relay.caught_up());
        fail_after(&desk, commits);
        let has_failed =
            desk.try_receive(&messages, NOW).is_err() | desk.driver.with_store(|store| store.is_poisoned());
        desk.driver.with_store(|store| {
            store.inject(Box::new(|_| None));
            store.reload().unwrap();
        });
        left_open += usize::from(conflicts(&desk) > 0);
        let desk = desk.restart(NOW);
        let all = conflicting(ENTITY);
        // The relay says everything that was not stored, and that this is all.
        let known = desk.driver.with_store(|store| store.space(desk.space)).unwrap().unwrap().cursor;
        desk.driver.enable_sync(NOW);
        let mut relay = match known {
            Some(cursor) => desk.connect_from(cursor, NOW),
            None => desk.connect(NOW),
        };
        let mut messages = vec![relay.welcome()];
        messages.extend(known.is_none().then(|| relay.opened()));
        let done = known.map_or(0, |cursor| cursor.sequence.get() as usize);
        messages.extend(all.iter().skip(done).map(|bytes| relay.chunk(ENTITY, bytes)));
        messages.push(relay.caught_up());
        desk.receive(&messages, NOW);
        let changes = desk.driver.read_document(&desk.target(ENTITY), NOW, |document| document.change_count());
        assert_eq!((conflicts(&desk), changes.unwrap()), (0, 4), "after {commits} commits, which failed: {has_failed}");
    }
    assert!(left_open > 0, "the control: the end came between a merge and what follows from it");
}

#[test]
fn what_a_strategy_decides_is_decided_after_the_store_has_failed_for_a_while() {
    let mut left_open = 0;
    for commits in 0..8 {
        let (desk, messages, relay) = following();
        fail_after(&desk, commits);
        let _ = desk.try_receive(&messages, NOW);
        desk.driver.with_store(|store| store.inject(Box::new(|_| None)));
        desk.driver.reload(NOW).unwrap();
        left_open += usize::from(conflicts(&desk) > 0);
        let _ = desk.try_receive(&[relay.caught_up()], NOW);
        desk.driver.settle_what_was_left(NOW);
        assert_eq!(conflicts(&desk), 0, "after {commits} commits");
    }
    assert!(left_open > 0, "the control: it failed between a merge and what follows from it");
}
