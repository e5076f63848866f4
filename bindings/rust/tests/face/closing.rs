//! What becomes of handles when the replica is gone.

use afield::{Durability, Replica, WaitError};
use serde_json::json;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A replica that waits for nobody.
fn reopen(path: &std::path::Path) -> Result<Replica, afield::ReplicaError> {
    Replica::options().writer_wait(Duration::ZERO).open(path)
}

/// What a future answers at once.
fn poll<T>(future: impl Future<Output = T>) -> Poll<T> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_write_keeps_no_store_open_and_waiting_for_it_ends_with_the_replica() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.db");
    let replica = Replica::open(&path).unwrap();
    let notes = replica.create_space("Home").unwrap().collection::<()>("notes").unwrap();
    let id = notes.json().insert(&json!({"title": "Milk"})).unwrap();
    let write = notes.json().put(id, &json!({"title": "Bread"})).unwrap();

    let mut waiting = pin!(write.wait(Durability::Relay));
    let mut context = Context::from_waker(Waker::noop());
    assert!(waiting.as_mut().poll(&mut context).is_pending(), "the control: no relay has answered");
    drop((replica, notes));
    assert!(matches!(waiting.as_mut().poll(&mut context), Poll::Ready(Err(WaitError::Closed))));
    assert!(matches!(poll(write.wait(Durability::Relay)), Poll::Ready(Err(WaitError::Closed))));
    assert!(matches!(poll(write.wait(Durability::Local)), Poll::Ready(Ok(()))));
    reopen(&path).unwrap();
}

#[test]
fn a_watch_keeps_no_store_open_and_ends_with_the_replica() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.db");
    let replica = Replica::open(&path).unwrap();
    let notes = replica.create_space("Home").unwrap().collection::<()>("notes").unwrap();
    let mut watch = notes.watch();
    assert!(poll(watch.changed()).is_pending());
    let id = notes.json().insert(&json!({"title": "Milk"})).unwrap();
    drop(replica);
    assert!(matches!(reopen(&path), Err(afield::ReplicaError::Open(afield::OpenError::Locked { .. }))), "the control");
    drop(notes);
    assert_eq!(poll(watch.changed()), Poll::Ready(Some([id].into())), "what happened before is told first");
    assert_eq!(poll(watch.changed()), Poll::Ready(None));
    reopen(&path).unwrap();
}
