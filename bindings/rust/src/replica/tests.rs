mod large;

use super::*;
use afield_store::{Fault, FaultPoint};
use std::sync::mpsc::channel;
use std::time::Duration;

/// Far longer than what is waited for takes, so that only what never comes runs into it.
const NEVER: Duration = Duration::from_secs(10);

#[test]
fn edits_and_the_status_do_not_wait_for_a_disconnect() {
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::open(folder.path().join("notes.db")).unwrap();
    let notes = replica.create_space("Home").unwrap().collection::<()>("notes").unwrap().json();
    let (release, held) = channel();
    *lock(&replica.shared.connection) = Some(Connection::held_by(held));

    let (told, done) = channel();
    let leaving = replica.clone();
    let disconnecting = std::thread::spawn(move || leaving.disconnect());
    let editing = replica.clone();
    let working = std::thread::spawn(move || {
        // Until the disconnect has begun to wait, in whichever way it does.
        while lock_is_free_and_full(&editing.shared.connection) {
            std::thread::yield_now();
        }
        notes.insert(&serde_json::json!({"title": "Milk"})).unwrap();
        told.send(editing.status().unwrap().state).unwrap();
    });
    let state = done.recv_timeout(NEVER);
    drop(release);
    disconnecting.join().unwrap();
    working.join().unwrap();
    assert_eq!(state.expect("an edit and the status went on"), crate::SyncState::Disabled);
}

fn lock_is_free_and_full(connection: &Mutex<Option<Connection>>) -> bool {
    connection.try_lock().is_ok_and(|connection| connection.is_some())
}

#[test]
fn an_edit_whose_storing_failed_may_be_there_after_a_reload_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::open(folder.path().join("notes.db")).unwrap();
    let notes = replica.create_space("Home").unwrap().collection::<()>("notes").unwrap();
    let points = [(FaultPoint::BeforeCommit, 0), (FaultPoint::AfterCommit, 1)];
    for (strikes_at, kept) in points {
        let before = notes.ids().unwrap().len();
        replica.shared.driver.with_store(|store| {
            store.inject(Box::new(move |point| (point == strikes_at).then_some(Fault::Io)));
        });
        let failed = notes.json().insert(&serde_json::json!({"title": "Milk"})).unwrap_err();
        replica.shared.driver.with_store(|store| store.inject(Box::new(|_| None)));
        assert!(matches!(failed, EditError::Store(_)), "{failed:?}");
        assert!(failed.to_string().contains("see whether it is there"), "{failed}");
        let EditError::Store(refused) = notes.json().insert(&serde_json::json!({})).unwrap_err() else { panic!() };
        assert!(refused.to_string().contains("Replica::reload"), "{refused}");
        replica.reload().unwrap();
        assert_eq!(notes.ids().unwrap().len() - before, kept);
        let id = notes.json().insert(&serde_json::json!({"title": "Bread"})).unwrap();
        assert!(notes.ids().unwrap().contains(&id), "the control: writing works again");
    }
}
