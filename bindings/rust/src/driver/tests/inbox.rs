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
