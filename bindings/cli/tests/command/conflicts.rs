//! What two people did to one field without knowing of each other, and how one of them decides it.

use crate::running::{Person, Relay};
use serde_json::{Value, json};

/// Two people who have both changed the title of one note, and know of it.
fn two_titles() -> (tempfile::TempDir, Relay, Person, Person, String) {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::open(folder.path());
    let ada = Person::with_store();
    let id = ada.run(["put", "notes", "title=Milk"]).ok().to_owned();
    ada.run(["connect", &relay.url()]).ok();
    let ben = Person::joining(&ada.space());
    ben.run(["connect", &relay.url()]).ok();
    assert!(ada.run(["conflicts"]).ok().is_empty());
    ada.run(["put", "notes", &id, "title=Adas"]).ok();
    ben.run(["put", "notes", &id, "title=Bens"]).ok();
    for person in [&ada, &ben, &ada] {
        person.run(["sync"]).ok();
    }
    (folder, relay, ada, ben, id)
}

#[test]
fn a_conflict_is_listed_alike_by_both_and_what_one_decides_holds_for_both() {
    let (_folder, _relay, ada, ben, id) = two_titles();
    let listed: Value = ada.run(["conflicts", "--json"]).json();
    assert_eq!(listed, ben.run(["conflicts", "notes", "--json"]).json());
    assert_eq!((&listed["entity"], &listed["path"], &listed["kind"]), (&json!(id), &json!("title"), &json!("values")));
    let titles = [&listed["values"][0]["value"], &listed["values"][1]["value"]];
    assert!(titles.contains(&&json!("Adas")) && titles.contains(&&json!("Bens")), "{listed}");
    assert_eq!(ada.run(["conflicts"]).ok().lines().count(), 2, "a line for each side");
    assert_eq!(ada.run(["status", "--json"]).json()["conflicts"], 1);
    assert!(ada.run(["status"]).ok().contains("1 conflict"));

    ben.run(["resolve", "notes", &id, "title", "--keep", "2"]).ok();
    for person in [&ben, &ada] {
        person.run(["sync"]).ok();
        assert!(person.run(["conflicts"]).ok().is_empty());
        assert_eq!(person.run(["status", "--json"]).json()["conflicts"], 0);
        assert_eq!(person.run(["get", "notes", &id, "--json"]).json()["value"]["title"], *titles[1]);
    }
}

#[test]
fn a_status_does_not_claim_to_know_of_every_conflict_before_it_does() {
    let (_folder, _relay, ada, ben, id) = two_titles();
    ben.run(["resolve", "notes", &id, "title", "--keep", "2"]).ok();
    // A history as long as it is once somebody has typed for a while.
    let replica = afield::Replica::open(ben.store()).unwrap();
    let notes = replica.spaces().unwrap()[0].collection::<()>("notes").unwrap().json();
    for round in 0..300 {
        let _ = notes.edit(id.parse().unwrap(), |note| note["round"] = round.into()).unwrap();
    }
    drop((notes, replica));
    for person in [&ben, &ada] {
        person.run(["sync"]).ok();
        person.run(["conflicts"]).ok();
    }
    ada.run(["put", "notes", &id, "title=Left"]).ok();
    ben.run(["put", "notes", &id, "title=Right"]).ok();
    for person in [&ada, &ben] {
        person.run(["sync"]).ok();
    }
    let counted = || {
        let status = ben.run(["status", "--json"]).json();
        assert_eq!(status["conflicts_behind"], status["spaces"][0]["conflicts_behind"], "{status}");
        (status["conflicts"].clone(), status["conflicts_behind"].clone())
    };
    assert_eq!(counted(), (json!(0), json!(1)));
    assert!(ben.run(["status"]).ok().contains("1 entity may hold conflicts"));
    assert!(!ben.run(["conflicts"]).ok().is_empty());
    assert_eq!(counted(), (json!(1), json!(0)));
    assert!(ben.run(["status"]).ok().contains("1 conflict: see"));
}

#[test]
fn what_cannot_be_decided_is_refused_with_a_word_on_what_there_is() {
    let (_folder, _relay, ada, _ben, id) = two_titles();
    assert!(ada.run(["resolve", "notes", &id, "body", "--keep", "1"]).failed(3).contains("conflicts` shows"));
    assert_eq!(ada.run(["resolve", "notes", &id, "title", "--keep", "0"]).code, 2);
    assert!(ada.run(["resolve", "notes", &id, "title", "--keep", "3"]).failed(2).contains("conflicts` numbers"));
    assert_eq!(ada.run(["resolve", "notes", &id, "title"]).code, 2);
    ada.run(["resolve", "notes", &id, "--value", "{"]).failed(2);
    ada.run(["resolve", "notes", &id, "--value", "\"Both\""]).ok();
    assert_eq!(ada.run(["get", "notes", &id, "--json"]).json()["value"]["title"], "Both");
    assert!(ada.run(["resolve", "notes", &id, "--keep", "1"]).failed(3).contains("conflicts` shows"));
}

#[test]
fn a_strategy_decides_what_nobody_has_to_and_is_listed() {
    let (_folder, _relay, ada, ben, id) = two_titles();
    assert_eq!(ada.run(["conflicts", "strategy"]).ok(), "", "nothing was said yet");
    let said = ada.run(["conflicts", "strategy", "notes", "title", "manual", "--json"]).json();
    assert_eq!(said, json!({ "collection": "notes", "field": "title", "strategy": "manual" }));
    assert_eq!(ada.run(["conflicts", "--json"]).json()["strategy"], "manual", "it waits for a person");
    assert_eq!(ada.run(["conflicts", "strategy", "--json"]).json(), said);
    ada.run(["conflicts", "strategy", "notes", "title", "prefer-this"]).ok();
    assert!(ada.run(["conflicts"]).ok().is_empty(), "it decides what there is");
    for person in [&ada, &ben] {
        person.run(["sync"]).ok();
        assert!(person.run(["conflicts"]).ok().is_empty());
        assert_eq!(person.run(["get", "notes", &id, "--json"]).json()["value"]["title"], "Adas");
    }
    ada.run(["conflicts", "strategy", "notes", "latest"]).failed(2);
    assert_eq!(ada.run(["conflicts", "strategy", "notes", "title", "first", "newest"]).code, 2);
}

#[test]
fn a_choice_that_is_not_plain_is_told_with_what_there_is_and_how_to_write_it() {
    let (_folder, _relay, ada, ben, id) = two_titles();
    let quoted = ada.run(["resolve", "notes", &id, "--value", "Both of them"]);
    assert!(quoted.failed(2).contains("--value '\"Both of them\"'"), "{quoted:?}");
    for (person, place) in [(&ada, "place=Porto"), (&ben, "place=Rome")] {
        person.run(["put", "notes", &id, place]).ok();
    }
    for person in [&ada, &ben, &ada] {
        person.run(["sync"]).ok();
    }
    let both = ada.run(["resolve", "notes", &id, "--keep", "1"]);
    assert!(both.err.contains("2 conflicts: ") && both.err.contains("place") && both.err.contains("title"), "{both:?}");
    assert!(ada.run(["resolve", "notes", &id, "place", "--keep", "1"]).ok().contains("There is 1 more"));
}

#[test]
fn a_value_for_a_whole_entity_is_refused_with_what_decides_it() {
    let (_folder, _relay, ada, ben, id) = two_titles();
    ada.run(["resolve", "notes", &id, "--keep", "1"]).ok();
    for person in [&ada, &ben] {
        person.run(["sync"]).ok();
    }
    ada.run(["delete", "notes", &id]).ok();
    ben.run(["put", "notes", &id, "title=Edited"]).ok();
    for person in [&ada, &ben, &ada] {
        person.run(["sync"]).ok();
    }
    let value = ada.run(["resolve", "notes", &id, "--value", "\"Both\""]);
    assert!(value.failed(2).contains("--keep NUMBER") && !value.err.contains("no such side"), "{value:?}");
    ada.run(["resolve", "notes", &id, "--keep", "1"]).ok();
    assert!(ada.run(["conflicts"]).ok().is_empty());
}
