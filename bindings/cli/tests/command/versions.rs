//! One side is too old: a newer version is wanted.

use crate::running::{Person, Relay, answering};
use serde_json::{Value as Json, json};

#[track_caller]
fn wants_a_newer_version(error: &Json) {
    assert_eq!((&error["code"], &error["class"]), (&json!("upgrade_needed"), &json!("upgrade")), "{error}");
    assert!(error["next"].as_str().unwrap().contains("install the newest afield"), "{error}");
}

/// Sets the number of a store's schema; gives the one it had.
fn set_version(person: &Person, version: i64) -> i64 {
    let store = rusqlite::Connection::open(person.store()).unwrap();
    let before = store.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    store.pragma_update(None, "user_version", version).unwrap();
    before
}

#[test]
fn a_store_that_a_newer_version_wrote_is_left_as_it_is_and_exits_with_8() {
    let person = Person::with_store();
    person.run(["put", "notes", "title=Milk"]).ok();
    let known = set_version(&person, 1_000);
    let before = std::fs::read(person.store()).unwrap();
    let commands: [&[&str]; 5] =
        [&["list", "notes"], &["put", "notes", "title=Bread"], &["init"], &["sync"], &["verify"]];
    for command in commands {
        wants_a_newer_version(&person.run(command.iter().chain(&["--json"])).error(8));
        assert!(person.run(command).failed(8).contains("1000"), "which version it is: {command:?}");
    }
    assert_eq!(std::fs::read(person.store()).unwrap(), before);
    set_version(&person, known);
    assert_eq!(person.titles(), ["Milk"], "the control: nothing else was wrong with it");
}

#[test]
fn a_relay_of_another_version_is_told_and_exits_with_8() {
    let (person, newer) = (Person::with_store(), answering("426 Upgrade Required"));
    wants_a_newer_version(&person.run(["connect", &newer, "--json"]).error(8));
    assert!(person.run(["sync"]).failed(8).contains("version"), "it is remembered, and asked again");
    assert!(person.run(["sync", "--dry-run"]).failed(8).contains("install the newest afield"));
    assert!(person.run(["--quiet", "watch", "notes", "--sync"]).failed(8).contains("version"));

    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::open(folder.path());
    person.run(["connect", &relay.url()]).ok();
    let refused = person.run(["connect", &newer]);
    assert!(refused.failed(8).contains(&relay.url()), "the one that works stays: {refused:?}");
    person.run(["sync"]).ok();
}
