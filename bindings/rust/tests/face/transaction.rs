//! Edits of several entities that are stored together or not at all.

use afield::{EditError, EntityError, Replica, Space, TransferError, model};
use serde_json::json;

#[model]
#[derive(Debug, Clone, PartialEq)]
struct Task {
    title: String,
    done: bool,
}

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

#[test]
fn a_transaction_reads_what_it_has_written() {
    let (replica, home) = home();
    let (tasks, notes) = (home.collection::<Task>("tasks").unwrap(), home.collection::<()>("notes").unwrap().json());
    let milk = tasks.insert(&Task { title: "Milk".into(), done: false }).unwrap();
    let ((bread, note), write) = replica
        .transaction(|tx| {
            tx.edit(&tasks, milk, |task| task.done = true)?;
            assert!(tx.read(&tasks, milk)?.done);
            let bread = tx.insert(&tasks, &Task { title: "Bread".into(), done: false })?;
            assert_eq!(tx.read(&tasks, bread)?.title, "Bread");
            let note = tx.insert_json(&notes, &json!({"body": {"$text": "one"}}))?;
            tx.edit_json(&notes, note, |note| note["body"] = json!({"$text": "one, two"}))?;
            assert_eq!(tx.read_json(&notes, note)?, json!({"body": "one, two"}));
            tx.delete(&tasks, bread)?;
            tx.delete(&tasks, milk)?;
            tx.restore(&tasks, milk)?;
            Ok((bread, note))
        })
        .unwrap();
    assert_eq!((tasks.ids().unwrap(), tasks.deleted().unwrap()), (vec![milk], vec![bread]));
    assert_eq!(notes.read(note).unwrap(), json!({"body": "one, two"}));
    assert!(write.changes().any(|(entity, _)| entity == bread));
}

#[test]
fn nothing_remains_of_a_transaction_that_answers_an_error_of_its_own() {
    #[derive(Debug, PartialEq, thiserror::Error)]
    #[error("the date has passed")]
    struct Passed;
    let (replica, home) = home();
    let tasks = home.collection::<Task>("tasks").unwrap();
    let milk = tasks.insert(&Task { title: "Milk".into(), done: false }).unwrap();
    let late = |task: &mut Task| {
        task.done = true;
        Err::<(), _>(Passed)
    };
    let failures = [
        tasks.try_edit(milk, late).unwrap_err(),
        replica.transaction(|tx| tx.try_edit(&tasks, milk, late)).unwrap_err(),
        replica
            .transaction(|tx| {
                tx.edit(&tasks, milk, |task| task.done = true)?;
                tx.delete(&tasks, milk)?;
                Err::<(), _>(EditError::aborted(Passed))
            })
            .unwrap_err(),
        home.collection::<()>("tasks")
            .unwrap()
            .json()
            .try_edit(milk, |task| {
                task["done"] = json!(true);
                Err::<(), _>(Passed)
            })
            .unwrap_err(),
    ];
    for failure in failures {
        let EditError::Aborted(source) = failure else { panic!("{failure:?}") };
        assert_eq!(source.downcast_ref::<Passed>(), Some(&Passed));
    }
    assert!(!tasks.read(milk).unwrap().done);
    let (title, write) = tasks.try_edit(milk, |task| Ok::<_, Passed>(std::mem::take(&mut task.title))).unwrap();
    assert_eq!((title.as_str(), tasks.read(milk).unwrap().title.as_str()), ("Milk", ""), "the control");
    assert_eq!(write.changes().count(), 1);
}

#[test]
fn the_message_of_a_collection_stands_beside_every_edit_through_it() {
    let (replica, home) = home();
    let notes = home.collection::<()>("notes").unwrap();
    let said = notes.with_message("why");
    let id = replica.transaction(|tx| tx.insert_json(&said.json(), &json!({ "title": "Milk" }))).unwrap().0;
    let _ = replica.transaction(|tx| tx.edit_json(&said.json(), id, |note| note["title"] = json!("Bread"))).unwrap();
    let _ = replica.transaction(|tx| tx.edit_fields(&said, id, |edit| Ok(edit.put("done", true)?))).unwrap();
    let _ = said.entity(id).unwrap().text("body").splice(0, 0, "from the shop").unwrap();
    let _ = said.entity(id).unwrap().map(afield::Path::ROOT).put("count", 3).unwrap();
    let _ = said.delete(id).unwrap();
    let _ = replica.transaction(|tx| tx.restore(&said, id)).unwrap();
    let _ = notes.json().edit(id, |note| note["title"] = json!("Tea")).unwrap();
    let page = notes.history(id, &afield::Point::Now, 100).unwrap();
    let messages: Vec<_> = page.changes.iter().map(|change| change.attribution.message.as_deref()).collect();
    let others = messages.iter().filter(|message| **message != Some("why")).count();
    // The last edit, and the creation of the text, which is the same on every device.
    assert_eq!((messages.len() - others, others), (7, 2), "{messages:?}");
}
