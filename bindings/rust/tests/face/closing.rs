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

#[test]
fn who_watches_is_told_that_the_space_was_left() {
    let replica = Replica::open_in_memory().unwrap();
    let (home, other) = (replica.create_space("Home").unwrap(), replica.create_space("Other").unwrap());
    let notes = home.collection::<()>("notes").unwrap();
    let others = other.collection::<()>("notes").unwrap();
    let insert = |notes: &afield::Collection<()>| notes.json().insert(&json!({"title": "Milk"})).unwrap();
    let (id, gone, kept) = (insert(&notes), insert(&notes), insert(&others));
    let _ = notes.delete(gone).unwrap();
    let mut live = notes.json().query("", ()).unwrap().watch().unwrap();
    let (mut watch, mut entity, mut conflicts) =
        (notes.watch(), notes.entity(id).unwrap().watch(), home.watch_conflicts());
    let (mut elsewhere, mut stays) = (others.watch(), others.entity(kept).unwrap().watch());
    assert_eq!(live.take().unwrap().unwrap().len(), 1);
    let _ = replica.leave_space_discarding(home.id()).unwrap();
    assert_eq!(live.take().unwrap().unwrap(), []);
    assert_eq!(watch.take(), [id, gone].into());
    assert_eq!(entity.take(), [id].into());
    assert_eq!(conflicts.take(), [].into(), "there was none");
    assert!(elsewhere.take().is_empty() && stays.take().is_empty(), "another space");
}
