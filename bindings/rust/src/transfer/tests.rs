use super::*;
use afield_core::ChangeHash;
use afield_store::{Arrival, EntityWrite, NewChange};
use serde_json::json;

fn space_in(folder: &tempfile::TempDir, name: &str) -> Space {
    Replica::open(folder.path().join(name)).unwrap().create_space("Home").unwrap()
}

fn target(space: &Space, entity: EntityId) -> Target {
    space.target(&"notes".parse().unwrap(), entity, Existence::Required)
}

fn exported(space: &Space) -> Vec<u8> {
    let mut file = Vec::new();
    space.export(&mut file, |_| ()).unwrap();
    file
}

/// All changes of an entity, in causal order.
fn changes(space: &Space, entity: EntityId) -> Vec<(ChangeHash, Vec<u8>)> {
    space.shared.read_document(&target(space, entity), |document| document.changes_since(&[])).unwrap()
}

fn heads(space: &Space, entity: EntityId) -> Vec<ChangeHash> {
    space.shared.read_document(&target(space, entity), Document::heads).unwrap()
}

/// Lets changes of an entity arrive, as if another device had sent them.
fn deliver(space: &Space, entity: EntityId, changes: &[(ChangeHash, Vec<u8>)]) {
    let received = |(hash, bytes)| NewChange { hash, bytes, arrival: Arrival::Received };
    let changes: Vec<_> = changes.iter().map(|(hash, bytes)| received((*hash, bytes.as_slice()))).collect();
    let collection = "notes".parse().unwrap();
    let write = EntityWrite { space: space.id(), entity, collection: &collection, changes: &changes, projection: None };
    let now = space.shared.now();
    let _ = space.shared.driver.with_store(|store| store.append(&[write], now.wall_ms)).unwrap();
    space.shared.driver.reload(now).unwrap();
}

/// A note that Ada has read in, and its line.
fn imported(value: &serde_json::Value) -> (tempfile::TempDir, Space, EntityId, Vec<u8>) {
    let id: EntityId = "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d01".parse().unwrap();
    let line = json!({"collection": "notes", "id": id.to_string(), "value": value}).to_string();
    let folder = tempfile::tempdir().unwrap();
    let ada = space_in(&folder, "ada.db");
    assert_eq!(ada.import(line.as_bytes(), |_| ()).unwrap().changed, 1);
    let file = exported(&ada);
    (folder, ada, id, file)
}

#[test]
fn an_import_over_a_part_of_the_same_import_on_another_device_doubles_nothing() {
    let small = json!({
        "body": {"$text": "hello"}, "count": {"$counter": 3}, "list": ["a", {"text": {"$text": "b"}}],
        "story": {"$longtext": "once"},
    });
    let large = json!({"body": {"$text": "hello"}, "parts": vec!["y".repeat(60_000); 12]});
    for value in [small, large] {
        let (folder, ada, id, file) = imported(&value);
        let all = changes(&ada, id);
        assert!(all.len() > 2, "{}", all.len());
        for held in 0..=all.len() {
            let ben = space_in(&folder, &format!("{held}.db"));
            let (first, rest) = all.split_at(held);
            if held > 0 {
                deliver(&ben, id, first);
            }
            ben.import(file.as_slice(), |_| ()).unwrap();
            assert!(exported(&ben) == file, "{held} of {}", all.len());
            deliver(&ben, id, rest);
            assert_eq!(heads(&ben, id), heads(&ada, id), "{held} of {}", all.len());
            assert!(exported(&ben) == file, "{held} of {}", all.len());
        }
    }
}

#[test]
fn an_import_over_what_somebody_has_written_since_is_an_edit_of_this_device() {
    let (folder, ada, id, file) = imported(&json!({"body": {"$text": "hello"}, "title": "x"}));
    let others = ada.collection::<()>("notes").unwrap().json().edit(id, |note| note["title"] = json!("y")).unwrap();
    assert_eq!(others.changes().count(), 1);
    let all = changes(&ada, id);
    let ben = space_in(&folder, "ben.db");
    deliver(&ben, id, &all);
    assert_eq!(ben.import(file.as_slice(), |_| ()).unwrap().changed, 1);
    assert!(exported(&ben) == file);
    let after = changes(&ben, id);
    assert_eq!(after.get(..all.len()), Some(all.as_slice()), "all that was there is there");
    assert_eq!(after.len(), all.len() + 1);
}

#[test]
fn an_entity_that_a_file_names_twice_is_what_its_last_line_says() {
    let (folder, _, id, first) = imported(&json!({"body": {"$text": "hello"}, "title": "x"}));
    let other: EntityId = "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d02".parse().unwrap();
    let line = |id: EntityId, title: &str| {
        json!({"collection": "notes", "id": id.to_string(), "value": {"title": title}}).to_string()
    };
    let file = [String::from_utf8(first).unwrap(), line(other, "a"), line(id, "y"), line(id, "z")].join("\n");
    let ben = space_in(&folder, "ben.db");
    let read = ben.import(file.as_bytes(), |_| ()).unwrap();
    assert_eq!((read.entities, read.changed), (4, 2));
    let notes = ben.collection::<()>("notes").unwrap().json();
    assert_eq!(notes.list().unwrap(), [(id, json!({"title": "z"})), (other, json!({"title": "a"}))]);
    let written = exported(&ben);
    let again = space_in(&folder, "again.db");
    assert_eq!(again.import(written.as_slice(), |_| ()).unwrap().changed, 2);
}

#[test]
fn what_an_import_lets_queries_read_is_what_the_documents_say() {
    let value = json!({
        "body": {"$text": "hello"}, "count": {"$counter": 3}, "due": {"$timestamp": 5}, "list": ["a", {"deep": [1, null]}],
        "map": {"inner": {"$text": "b"}, "large": {"$uint": 5}}, "number": 0.5, "bytes": {"$bytes": "00ff"},
    });
    let (_folder, ada, id, _) = imported(&value);
    let projected = || ada.shared.reader.projection(id).unwrap().unwrap();
    let (before, read) = (projected(), ada.shared.read_document(&target(&ada, id), Document::read).unwrap());
    assert_eq!(before.projection.json, read.to_json().to_string());
    Replica::on_shared(&ada.shared).rebuild(|_| ()).unwrap();
    assert_eq!(projected(), before);
}

#[test]
fn a_line_of_an_entity_that_was_purged_is_refused_and_named() {
    let (_folder, ada, id, file) = imported(&json!({"title": "x"}));
    let notes = ada.collection::<()>("notes").unwrap();
    let _ = notes.purge(id, crate::Confirm::Yes).unwrap();
    let line = |number: u32| {
        format!(
            "{{\"collection\":\"notes\",\"id\":\"0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d{number:02}\",\"value\":{{}}}}\n"
        )
    };
    let file = format!("{}{}{}", line(50), String::from_utf8(file).unwrap(), line(51));
    let refused = ada.import(file.as_bytes(), |_| ()).unwrap_err();
    assert!(matches!(refused, TransferError::Edit { line: 2, .. }), "{refused:?}");
    assert!(std::error::Error::source(&refused).unwrap().to_string().contains("purged"), "{refused:?}");
    assert!(notes.ids().unwrap().is_empty(), "nothing of that portion is stored");
}
