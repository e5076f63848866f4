//! Which way the changes of a collection go.

use crate::running::{Person, Relay};
use serde_json::json;

#[test]
fn a_direction_is_set_shown_listed_and_taken_back() {
    let person = Person::with_store();
    assert_eq!(person.run(["direction"]).ok(), "", "nothing is one way yet");
    let set = person.run(["direction", "prices", "pull", "--json"]).json();
    assert_eq!(set, json!({ "collection": "prices", "direction": "pull_only", "source_of_truth": "relay" }));
    assert_eq!(person.run(["direction", "prices", "--json"]).json(), set);
    assert_eq!(person.run(["direction", "--json"]).json(), set, "a line for each");
    let table = person.run(["direction"]);
    assert!(table.ok().contains("prices") && table.ok().contains("the relay"), "{}", table.ok());
    person.run(["direction", "prices", "both"]).ok();
    assert_eq!(person.run(["direction", "prices", "--json"]).json()["direction"], "both");
    assert_eq!(person.run(["direction", "prices", "sideways"]).code, 2);
    person.run(["direction", "no such name\n", "pull"]).failed(2);
}

#[test]
fn what_is_held_back_is_shown_and_sent_once_it_may_go() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::open(folder.path());
    let person = Person::with_store();
    person.run(["direction", "notes", "local"]).ok();
    person.run(["put", "notes", "title=Milk"]).ok();
    person.run(["connect", &relay.url()]).ok();
    let status = || person.run(["status", "--json"]).json()["spaces"][0].clone();
    assert_eq!((&status()["pending_changes"], &status()["held_back"]), (&json!(0), &json!(1)));
    assert_eq!(status()["sequence"], 0, "the relay has nothing");
    assert!(person.run(["status"]).ok().contains("1 change held back"));
    person.run(["direction", "notes", "push"]).ok();
    person.run(["sync"]).ok();
    assert_eq!((&status()["sequence"], &status()["held_back"]), (&json!(1), &json!(0)));
}

#[test]
fn a_status_does_not_say_that_the_relay_has_what_is_held_back() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::open(folder.path());
    let person = Person::with_store();
    person.run(["connect", &relay.url()]).ok();
    assert!(person.run(["status"]).ok().contains("the relay has every change"), "the control");
    person.run(["direction", "drafts", "local"]).ok();
    person.run(["put", "drafts", "title=Mine"]).ok();
    let status = person.run(["status"]);
    assert!(!status.ok().contains("every change") && status.out.contains("1 change held back"), "{status:?}");
}
