//! Edits of several entities that are stored together or not at all.

use afield::{EditError, EntityError, Replica, Space, TransferError};
use serde_json::json;

fn home() -> (Replica, Space) {
    let replica = Replica::open_in_memory().unwrap();
    let home = replica.create_space("Home").unwrap();
    (replica, home)
}

#[test]
fn every_touch_of_a_transaction_is_checked_and_not_the_first_alone() {
    let (replica, home) = home();
    let (notes, tasks) = (home.collection::<()>("notes").unwrap(), home.collection::<()>("tasks").unwrap());
    let work = replica.create_space("Work").unwrap().collection::<()>("notes").unwrap();
    let id = notes.json().insert(&json!({"title": "Milk"})).unwrap();
    let (answers, _) = replica
        .transaction(|tx| {
            tx.put_json(&notes.json(), id, &json!({"title": "Bread"}))?;
            let there = tx.put_json(&tasks.json(), id, &json!({"title": "overwritten"}));
            let elsewhere = tx.put_json(&work.json(), id, &json!({"title": "overwritten"}));
            Ok((there, elsewhere))
        })
        .unwrap();
    assert!(matches!(answers.0, Err(EditError::Entity(EntityError::OtherCollection { .. }))), "{answers:?}");
    let Err(EditError::Entity(EntityError::OtherSpace { found, expected, .. })) = answers.1 else {
        panic!("{answers:?}")
    };
    assert_eq!((found, expected), (home.id(), work.space()));
    assert_eq!(notes.json().read(id).unwrap(), json!({"title": "Bread"}), "the control: what fits is stored");
}

#[test]
fn a_failed_attempt_to_make_an_entity_does_not_stand_in_the_way_of_the_next() {
    let (replica, home) = home();
    let (notes, tasks) = (home.collection::<()>("notes").unwrap(), home.collection::<()>("tasks").unwrap());
    let id = "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e".parse().unwrap();
    let too_large = json!({ "title": "x".repeat(1 << 20) });
    replica
        .transaction(|tx| {
            assert!(tx.put_json(&notes.json(), id, &too_large).is_err());
            tx.put_json(&tasks.json(), id, &json!({"title": "Milk"}))
        })
        .unwrap();
    assert_eq!(tasks.json().read(id).unwrap(), json!({"title": "Milk"}));
}

#[test]
fn an_import_names_the_space_in_which_an_entity_lives_already() {
    let (replica, home) = home();
    home.collection::<()>("notes").unwrap().json().insert(&json!({"title": "Milk"})).unwrap();
    let mut file = Vec::new();
    home.export(&mut file, |_| ()).unwrap();
    let error = replica.create_space("Work").unwrap().import(file.as_slice(), |_| ()).unwrap_err();
    let TransferError::Edit { line: 1, source } = &error else { panic!("{error:?}") };
    assert!(source.to_string().contains(&format!("lives in space {}", home.id())), "{source}");
}
