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
