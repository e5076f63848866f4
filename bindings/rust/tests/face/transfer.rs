//! Export and import.

use afield::{EntityError, EntityId, JsonCollection, ReadError, ReadOnlyReplica, Replica, Space, TransferError};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn exported(space: &Space) -> Vec<u8> {
    let mut file = Vec::new();
    space.export(&mut file, |_| ()).unwrap();
    file
}

fn three_notes(home: &Space) -> (JsonCollection, Vec<EntityId>) {
    let notes = home.collection::<()>("notes").unwrap().json();
    let ids = (0..3).map(|number| notes.insert(&json!({ "number": number })).unwrap()).collect();
    (notes, ids)
}

fn lines(file: &[u8]) -> Vec<Value> {
    std::str::from_utf8(file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn an_export_passes_over_what_is_damaged_and_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.db");
    let replica = Replica::open(&path).unwrap();
    let home = replica.create_space("Home").unwrap();
    let (notes, ids) = three_notes(&home);
    let id = home.id();
    drop((replica, home, notes));
    let connection = rusqlite::Connection::open(&path).unwrap();
    assert_eq!(connection.execute("UPDATE bodies SET bytes = zeroblob(40) WHERE change_row IN (SELECT change_row FROM changes WHERE entity_row = 2)", []).unwrap(), 1);
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

#[test]
fn an_entity_of_more_than_one_change_comes_through_an_export_and_an_import() {
    const PIECE: usize = 50_000;
    let replica = Replica::open_in_memory().unwrap();
    let home = replica.create_space("Home").unwrap();
    let notes = home.collection::<()>("notes").unwrap();
    let id =
        notes.json().insert(&json!({"title": "Long", "due": null, "parts": [{"body": {"$text": ""}}, null]})).unwrap();
    let small = notes.json().insert(&json!({"title": "Short"})).unwrap();
    let note = notes.entity(id).unwrap();
    for piece in 0..6 {
        let characters: String = "äß€😀".chars().cycle().skip(piece).take(PIECE).collect();
        note.text("body").splice(piece * PIECE / 2, 0, &characters).unwrap();
        note.text(afield::Path::from("parts").index(0).key("body")).splice(piece * PIECE, 0, &characters).unwrap();
    }
    for length in [50_000, 100_000, 150_000_i64] {
        let numbers = afield::Value::List((0..length).map(afield::Value::from).collect());
        note.edit(|edit| Ok(edit.assign("numbers", &afield::Value::Null, &numbers)?)).unwrap();
    }
    let whole = notes.json().read_tagged(id).unwrap();
    assert_eq!(whole["body"]["$text"].as_str().unwrap().chars().count(), 6 * PIECE);
    assert_eq!(whole["numbers"].as_array().unwrap().len(), 150_000);

    let file = exported(&home);
    let other = Replica::open_in_memory().unwrap().create_space("Home").unwrap();
    let there = other.collection::<()>("notes").unwrap().json();
    assert_eq!(other.import(file.as_slice(), |_| ()).unwrap().changed, 2);
    assert!(exported(&other) == file, "the export of the import is the same");
    assert_eq!(there.read(small).unwrap(), json!({"title": "Short"}));
    assert_eq!(other.import(file.as_slice(), |_| ()).unwrap().changed, 0, "reading it twice changes nothing");

    there.put(id, &json!({"title": "Long", "parts": [{"body": {"$text": ""}}]})).unwrap();
    assert_eq!(other.import(file.as_slice(), |_| ()).unwrap().changed, 1);
    assert!(exported(&other) == file, "what differs is written into what is there");
}

/// The histories of the entities of a space: their heads.
fn histories(space: &Space) -> Vec<Vec<afield::automerge::ChangeHash>> {
    let notes = space.collection::<()>("notes").unwrap();
    let heads = |id| notes.entity(id).unwrap().raw(|document| document.get_heads()).unwrap();
    notes.ids().unwrap().into_iter().map(heads).collect()
}

#[test]
fn two_devices_that_import_one_file_before_they_have_met_write_one_history() {
    let home = Replica::open_in_memory().unwrap().create_space("Home").unwrap();
    let notes = home.collection::<()>("notes").unwrap().json();
    let everything = json!({
        "body": {"$text": "hello"}, "count": {"$counter": 3}, "empty": null, "list": ["a", {"text": {"$text": "b"}}],
        "story": {"$longtext": "line\n".repeat(1_000)}, "title": "x",
        "page": {"$richtext": [{"block": {"type": "heading"}}, {"text": "one", "marks": {"bold": true}}]},
    });
    notes.insert(&everything).unwrap();
    notes.insert(&json!({})).unwrap();
    // One that takes more than one change.
    let parts = vec![json!({"$text": "y".repeat(20_000)}); 4];
    let large = notes.insert(&json!({"parts": &parts, "small": 1})).unwrap();
    notes.edit(large, |value| value["parts"].as_array_mut().unwrap().extend(parts)).unwrap();
    let file = exported(&home);
    let [ada, ben] = [(); 2].map(|()| Replica::open_in_memory().unwrap().create_space("Home").unwrap());
    for space in [&ada, &ben] {
        assert_eq!(space.import(file.as_slice(), |_| ()).unwrap().changed, 3);
        assert!(exported(space) == file);
        assert_eq!(space.import(file.as_slice(), |_| ()).unwrap().changed, 0);
    }
    assert_eq!(histories(&ada), histories(&ben));
    let ids = ada.collection::<()>("notes").unwrap().ids().unwrap();
    let body = |space: &Space| {
        drop(space.collection::<()>("notes").unwrap().entity(ids[0]).unwrap().text("body").splice(0, 0, ">"))
    };
    body(&ada);
    body(&ben);
    assert_ne!(histories(&ada), histories(&ben), "the control: what each then writes is its own");
}

#[test]
fn an_entity_that_was_deleted_is_imported_with_its_mark() {
    let home = Replica::open_in_memory().unwrap().create_space("Home").unwrap();
    let notes = home.collection::<()>("notes").unwrap();
    for value in [json!({"title": "Milk"}), json!({})] {
        let id = notes.json().insert(&value).unwrap();
        notes.delete(id).unwrap();
    }
    let file = exported(&home);
    let other = Replica::open_in_memory().unwrap().create_space("Home").unwrap();
    assert_eq!(other.import(file.as_slice(), |_| ()).unwrap().changed, 2);
    assert!(exported(&other) == file);
    assert_eq!(other.import(file.as_slice(), |_| ()).unwrap().changed, 0);
}

#[test]
fn a_string_that_no_change_can_hold_is_refused_with_the_line_and_stores_nothing_of_its_commit() {
    let home = Replica::open_in_memory().unwrap().create_space("Home").unwrap();
    let line = |id: u8, value: &Value| {
        format!(r#"{{"collection":"notes","id":"0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0{id}","value":{value}}}"#)
    };
    let file = [line(1, &json!({"title": "Milk"})), line(2, &json!({"title": "x".repeat(600_000)}))].join("\n");
    let error = home.import(file.as_bytes(), |_| ()).unwrap_err();
    assert!(matches!(error, TransferError::Edit { line: 2, .. }), "{error:?}");
    assert_eq!(home.collection::<()>("notes").unwrap().ids().unwrap(), []);
    let text = line(2, &json!({"title": {"$text": "x".repeat(600_000)}}));
    assert_eq!(home.import(text.as_bytes(), |_| ()).unwrap().changed, 1, "as a text it can be in many");
}

fn any_fields() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-c]{0,3}".prop_map(Value::from),
    ];
    let fields = |value: BoxedStrategy<Value>| {
        prop::collection::btree_map("[a-c]{1,2}", value, 0..4).prop_map(|fields| fields.into_iter().collect::<Value>())
    };
    let value = leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from), fields(inner.boxed())]
    });
    fields(value.boxed())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_value_survives_a_put_an_edit_an_export_and_an_import(first in any_fields(), second in any_fields()) {
        let home = Replica::open_in_memory().unwrap().create_space("Home").unwrap();
        let notes = home.collection::<()>("notes").unwrap().json();
        let id = notes.insert(&first).unwrap();
        prop_assert_eq!(&notes.read(id).unwrap(), &first);
        let before = exported(&home);
        notes.put(id, &second).unwrap();
        prop_assert_eq!(&notes.read(id).unwrap(), &second);
        prop_assert_eq!(notes.put(id, &second).unwrap().changes().count(), 0, "again changes nothing");
        let after = exported(&home);

        let other = Replica::open_in_memory().unwrap().create_space("Home").unwrap();
        for file in [&before, &after, &before] {
            other.import(file.as_slice(), |_| ()).unwrap();
            prop_assert_eq!(lines(&exported(&other)), lines(file));
            prop_assert_eq!(other.import(file.as_slice(), |_| ()).unwrap().changed, 0);
        }
        notes.edit(id, |value| *value = first.clone()).unwrap();
        prop_assert_eq!(&notes.read(id).unwrap(), &first);
    }
}

/// Fields of every kind, as an export writes them.
fn any_tagged_fields() -> impl Strategy<Value = Value> {
    let kind = prop::sample::select(vec!["$text", "$longtext"]);
    let leaf = prop_oneof![
        (kind, "[ab\n]{0,6}").prop_map(|(tag, text)| json!({ tag: text })),
        (1usize..4).prop_map(|lines| json!({ "$longtext": "a line\n".repeat(lines * 100) })),
        any::<bool>().prop_map(|is_bold| json!({ "$richtext": [
            { "block": { "type": "heading" } }, { "text": "ab", "marks": { "bold": is_bold } }, { "text": "c" },
        ]})),
        (-3i64..3).prop_map(|number| json!({ "$counter": number })),
        (0i64..3).prop_map(|number| json!({ "$timestamp": number })),
        (0i64..3).prop_map(Value::from),
        Just(json!({ "$bytes": "00ff" })),
        "[ab]{0,3}".prop_map(Value::from),
        Just(Value::Null),
    ];
    let fields = |value: BoxedStrategy<Value>| {
        prop::collection::btree_map("[a-c]", value, 0..4).prop_map(|fields| fields.into_iter().collect::<Value>())
    };
    let value = leaf.prop_recursive(3, 16, 4, move |inner| {
        prop_oneof![prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from), fields(inner.boxed())]
    });
    fields(value.boxed())
}

fn plain(tagged: &Value) -> Value {
    afield::Value::from_tagged_json(tagged).unwrap().to_json()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_value_of_any_kind_takes_the_place_of_one_of_any_other(
        first in any_tagged_fields(), second in any_tagged_fields(),
    ) {
        let home = Replica::open_in_memory().unwrap().create_space("Home").unwrap();
        let notes = home.collection::<()>("notes").unwrap().json();
        let id = notes.insert(&first).unwrap();
        prop_assert_eq!(notes.read(id).unwrap(), plain(&first));
        let before = exported(&home);
        notes.put(id, &second).unwrap();
        prop_assert_eq!(notes.read(id).unwrap(), plain(&second));
        notes.put(id, &second).unwrap();
        prop_assert_eq!(notes.read(id).unwrap(), plain(&second));
        let after = exported(&home);

        let [other, twin] = [(); 2].map(|()| Replica::open_in_memory().unwrap().create_space("Home").unwrap());
        for space in [&other, &twin] {
            space.import(before.as_slice(), |_| ()).unwrap();
            prop_assert_eq!(lines(&exported(space)), lines(&before));
        }
        prop_assert_eq!(histories(&other), histories(&twin), "two importers that have not met");
        other.import(after.as_slice(), |_| ()).unwrap();
        prop_assert_eq!(other.collection::<()>("notes").unwrap().json().read(id).unwrap(), plain(&second));
    }
}

#[test]
fn an_export_names_an_entity_of_which_nothing_can_be_shown_yet() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.db");
    let replica = Replica::open(&path).unwrap();
    let home = replica.create_space("Home").unwrap();
    let (notes, ids) = three_notes(&home);
    notes.put(ids[1], &json!({"number": "one"})).unwrap();
    let id = home.id();
    drop((replica, home, notes));
    let connection = rusqlite::Connection::open(&path).unwrap();
    let waits = "DELETE FROM changes WHERE change_row = (SELECT min(change_row) FROM changes WHERE entity_row = 2);
                 UPDATE changes SET state = 2 WHERE entity_row = 2;
                 DELETE FROM projections WHERE entity_row = 2;";
    connection.execute_batch(waits).unwrap();
    drop(connection);

    let is_named = |exported: Result<_, TransferError>, file: &[u8]| {
        let error = exported.unwrap_err();
        let TransferError::Incomplete { written: 2, skipped } = error else { panic!("{error:?}") };
        assert_eq!(skipped.iter().map(|one| one.entity).collect::<Vec<_>>(), [ids[1]]);
        assert!(matches!(skipped[0].error, EntityError::NotYet { .. }), "{:?}", skipped[0].error);
        assert_eq!(lines(file).len(), 2);
    };
    let beside = ReadOnlyReplica::open(&path).unwrap().spaces().unwrap().remove(0);
    let mut file = Vec::new();
    is_named(beside.export(&mut file, |_| ()), &file);
    let nothing_yet = beside.read("notes", ids[1]).unwrap_err();
    assert!(matches!(nothing_yet, ReadError::Entity(EntityError::NotYet { .. })), "{nothing_yet:?}");
    let home = Replica::open(&path).unwrap().space(id).unwrap();
    let mut file = Vec::new();
    is_named(home.export(&mut file, |_| ()), &file);
}
