//! Some transactions are not synced, on the same connection as those that are (D1): none of them may leave it that way.

use crate::faults::{OPERATIONS, Operation, at, furnished};
use crate::help::*;
use afield_store::{Fault, FaultPoint, OpenOptions, Proof, Store, SyncMoment, Synchronous};
use std::sync::{Arc, Mutex};

/// What SQLite calls `synchronous=FULL`.
const FULL: i64 = 2;

fn synchronous(store: Store) -> i64 {
    let connection = store.into_connection().unwrap();
    connection.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap()
}

/// Whether each of its commits was told to be synced or not.
fn watch(store: &mut Store) -> Arc<Mutex<Vec<&'static str>>> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&told);
    store.watch_syncs(Box::new(move |moment| {
        log.lock().unwrap().push(match moment {
            SyncMoment::BeforeUnsynced(_) => "not synced",
            SyncMoment::Synced => "synced",
        });
    }));
    told
}

/// The operations that are not synced.
fn unsynced() -> Vec<(&'static str, Operation)> {
    let is_unsynced = |operation: &Operation| {
        let mut store = furnished();
        let told = watch(&mut store);
        operation(&mut store).unwrap();
        let told = told.lock().unwrap().clone();
        told == ["not synced"]
    };
    let mut all = OPERATIONS.to_vec();
    all.push(("receive what is held", |store| {
        let expected = cursor(store, space(1));
        receive_after(store, space(1), expected, &[proven(entity(1), 1)]).map(drop).map_err(|error| error.to_string())
    }));
    all.into_iter().filter(|(_, operation)| is_unsynced(operation)).collect()
}

#[test]
fn after_every_unsynced_transaction_commits_are_synced_again_whether_it_failed_or_not() {
    let operations = unsynced();
    let names: Vec<_> = operations.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["settle", "project", "mark", "block", "unblock_all", "receive what is held"]);
    for (name, operation) in operations {
        let mut store = furnished();
        operation(&mut store).unwrap();
        assert_eq!(synchronous(store), FULL, "{name}");
        for point in [FaultPoint::BeforeStatement(1), FaultPoint::BeforeCommit, FaultPoint::AfterCommit] {
            let mut store = furnished();
            store.inject(at(point, Fault::Io));
            assert!(operation(&mut store).is_err(), "{name} at {point:?}");
            store.inject(Box::new(|_| None));
            store.reload().unwrap();
            assert_eq!(synchronous(store), FULL, "{name} at {point:?}, reloaded");
        }
    }
}

#[test]
fn an_unsynced_transaction_that_is_refused_leaves_commits_synced() {
    let mut store = furnished();
    let above = Proof { entity: entity(3), hash: hash(6), sequence: sequence(99) };
    assert!(store.mark(space(1), &[above]).is_err());
    assert!(store.mark(space(9), &[]).is_err());
    assert!(store.settle(&[settlement(entity(99), &[], None)], AT_MS).is_err());
    let expected = cursor(&store, space(1));
    assert!(receive_after(&mut store, space(1), expected, &[proven(entity(99), 1)]).is_err());
    assert!(!store.is_poisoned(), "a refusal is no failure of the storage");
    assert_eq!(synchronous(store), FULL);
}

#[test]
fn an_edit_between_unsynced_transactions_is_told_to_be_synced() {
    let mut store = furnished();
    let told = watch(&mut store);
    let proof = Proof { entity: entity(3), hash: hash(6), sequence: sequence(3) };
    store.mark(space(1), &[proof]).unwrap();
    edit(&mut store, entity(7), &[70]);
    store.mark(space(1), &[proof]).unwrap();
    assert_eq!(*told.lock().unwrap(), ["not synced", "synced", "not synced"]);
}

#[test]
fn a_commit_that_is_not_synced_is_not_told_to_be() {
    let options = OpenOptions { synchronous: Synchronous::Normal, ..OpenOptions::default() };
    let mut store = Store::open_in_memory(&options).unwrap();
    prepare(&mut store);
    let told = watch(&mut store);
    edit(&mut store, entity(7), &[70]);
    assert_eq!(*told.lock().unwrap(), [""; 0]);
}
