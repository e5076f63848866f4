//! Export and import.

use afield::{EntityError, EntityId, Replica, TransferError};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn lines(file: &[u8]) -> Vec<Value> {
    std::str::from_utf8(file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn an_export_passes_over_what_is_damaged_and_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.db");
    let replica = Replica::open(&path).unwrap();
    let home = replica.create_space("Home").unwrap();
    let notes = home.collection::<()>("notes").unwrap().json();
    let ids: Vec<EntityId> = (0..3).map(|number| notes.insert(&json!({ "number": number })).unwrap()).collect();
    let id = home.id();
    drop((replica, home, notes));
    let connection = rusqlite::Connection::open(&path).unwrap();
    assert_eq!(connection.execute("UPDATE changes SET bytes = zeroblob(40) WHERE entity_row = 2", []).unwrap(), 1);
    drop(connection);

    let home = Replica::open(&path).unwrap().space(id).unwrap();
    let mut file = Vec::new();
    let error = home.export(&mut file, |_| ()).unwrap_err();
    let TransferError::Incomplete { written: 2, skipped } = error else { panic!("{error:?}") };
    assert_eq!(skipped.iter().map(|one| one.entity).collect::<Vec<_>>(), [ids[1]]);
    assert!(matches!(skipped[0].error, EntityError::Damaged { .. }) && skipped[0].collection == "notes");
    let numbers: BTreeSet<_> = lines(&file).iter().map(|line| line["value"]["number"].as_i64()).collect();
    assert_eq!(numbers, [Some(0), Some(2)].into());
}

#[test]
fn an_entity_that_is_deleted_or_restored_during_an_export_is_in_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::open(folder.path().join("notes.db")).unwrap();
    let home = replica.create_space("Home").unwrap();
    let notes = home.collection::<()>("notes").unwrap();
    let ids: Vec<EntityId> = (0..4).map(|number| notes.json().insert(&json!({ "number": number })).unwrap()).collect();
    notes.delete(ids[3]).unwrap();
    let mut file = Vec::new();
    let done = home.export(&mut file, |entities| {
        if entities == 1 {
            ids.iter().for_each(|id| drop(notes.delete(*id).unwrap()));
            notes.restore(ids[3]).unwrap();
            notes.json().insert(&json!({"number": "made meanwhile"})).unwrap();
        }
    });
    assert_eq!(done.unwrap().entities, 4);
    let found: BTreeSet<_> = lines(&file).iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(found, ids.iter().map(ToString::to_string).collect());
    let is_deleted = |line: &Value| line["deleted"] == json!(true);
    assert!(lines(&file).iter().skip(1).all(|line| is_deleted(line) == (line["id"] != json!(ids[3].to_string()))));
}

#[test]
fn the_lines_of_an_export_are_in_the_order_that_is_promised() {
    let replica = Replica::open_in_memory().unwrap();
    let home = replica.create_space("Home").unwrap();
    let insert = |collection: &str| {
        let collection = home.collection::<()>(collection).unwrap();
        collection.json().insert(&json!({})).unwrap().to_string()
    };
    let (note, mut tasks) = (insert("notes"), [insert("tasks"), insert("tasks"), insert("tasks")]);
    home.collection::<()>("tasks").unwrap().delete(tasks[0].parse().unwrap()).unwrap();
    tasks.sort();
    let mut file = Vec::new();
    home.export(&mut file, |_| ()).unwrap();
    let ids: Vec<_> = lines(&file).iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect();
    let [first, second, third] = tasks;
    assert_eq!(ids, [note, first, second, third], "by collection, then by id, whether deleted or not");
}

#[test]
fn deleted_entities_can_be_listed_and_restored() {
    let replica = Replica::open_in_memory().unwrap();
    let notes = replica.create_space("Home").unwrap().collection::<()>("notes").unwrap();
    let [milk, bread] = ["Milk", "Bread"].map(|title| notes.json().insert(&json!({ "title": title })).unwrap());
    notes.delete(bread).unwrap();
    assert_eq!((notes.ids().unwrap(), notes.deleted().unwrap()), (vec![milk], vec![bread]));
    assert_eq!(notes.json().read(notes.deleted().unwrap()[0]).unwrap(), json!({"title": "Bread"}));
    notes.restore(bread).unwrap();
    assert_eq!(notes.deleted().unwrap(), []);
    assert_eq!(BTreeSet::from_iter(notes.ids().unwrap()), [milk, bread].into());
}
