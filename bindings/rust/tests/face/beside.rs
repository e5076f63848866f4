//! Reading a store beside whoever writes it.

use afield::{ReadOnlyReplica, Replica};
use serde_json::json;

#[test]
fn a_list_beside_the_writer_shows_large_entities_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.db");
    let replica = Replica::open(&path).unwrap();
    let notes = replica.create_space("Home").unwrap().collection::<()>("notes").unwrap();
    let body = "x".repeat(20_000);
    let large = notes.json().insert(&json!({"body": {"$text": body}, "title": "before"})).unwrap();
    let small = notes.json().insert(&json!({"title": "before"})).unwrap();
    for id in [large, small] {
        notes.json().edit(id, |note| note["title"] = json!("after")).unwrap();
    }
    let beside = ReadOnlyReplica::open(&path).unwrap().spaces().unwrap().remove(0);
    let listed = beside.list("notes").unwrap();
    assert_eq!(listed.len(), 2);
    for (id, note) in &listed {
        assert_eq!(note["title"], "after", "{id}");
        assert_eq!(*note, beside.read("notes", *id).unwrap().json());
    }
    assert_eq!(listed, notes.json().list().unwrap(), "as the writer lists them");
}

#[test]
fn a_reader_is_told_of_commits_and_of_the_moment_of_a_deletion() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.db");
    let replica = Replica::open(&path).unwrap();
    let notes = replica.create_space("Home").unwrap().collection::<()>("notes").unwrap();
    let id = notes.json().insert(&json!({"title": "Milk"})).unwrap();
    let beside = ReadOnlyReplica::open(&path).unwrap();
    let mut commits = beside.commits().unwrap();
    let home = beside.spaces().unwrap().remove(0);
    assert_eq!(home.read("notes", id).unwrap().deleted_at_ms(), None);
    assert!(!commits.have_come().unwrap());
    let _ = notes.delete(id).unwrap();
    assert!(commits.have_come().unwrap());
    let deleted = home.read("notes", id).unwrap();
    assert!(deleted.is_deleted() && deleted.deleted_at_ms() > Some(1_700_000_000_000), "{deleted:?}");
    let _ = notes.restore(id).unwrap();
    assert_eq!(home.read("notes", id).unwrap().deleted_at_ms(), None);
    assert_eq!(beside.verify().unwrap(), []);
}
