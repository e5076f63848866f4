//! A relay that lost history, and what a person is told of its repair.

use crate::running::{Person, Relay};
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_file()).collect()
}

/// Somebody with three notes that a relay had, which has only the first of them now.
fn after_a_loss(folder: &Path) -> (Relay, Person) {
    let relay = Relay::open(folder);
    let person = Person::with_store();
    person.run(["put", "notes", "title=Milk"]).ok();
    person.run(["connect", &relay.url()]).ok();
    let start_again = relay.kill();
    let kept: Vec<_> = files_of(folder).into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    let relay = start_again();
    person.run(["put", "notes", "title=Bread"]).ok();
    person.run(["put", "notes", "title=Eggs"]).ok();
    let synced = person.run(["sync", "--json"]).json();
    assert_eq!((&synced["changes_sent"], &synced["changes_given_back"]), (&json!(2), &json!(0)), "the control");
    let start_again = relay.kill();
    files_of(folder).into_iter().for_each(|path| std::fs::remove_file(path).unwrap());
    kept.into_iter().for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
    (start_again(), person)
}

#[test]
fn what_a_device_gives_back_to_a_relay_that_lost_it_is_told_apart_from_what_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let (_relay, person) = after_a_loss(folder.path());
    person.run(["put", "notes", "title=Butter"]).ok();
    let synced = person.run(["sync", "--json"]).json();
    assert_eq!((&synced["changes_sent"], &synced["changes_given_back"]), (&json!(1), &json!(2)), "{synced}");

    let folder = tempfile::tempdir().unwrap();
    let (relay, person) = after_a_loss(folder.path());
    let ran = person.run(["sync"]);
    assert!(ran.ok().contains("2 changes given back to the relay, which had lost history"), "{ran:?}");
    let ran = person.run(["sync"]);
    assert!(!ran.ok().contains("given back"), "once: {ran:?}");
    let other = Person::joining(&person.space());
    other.run(["connect", &relay.url()]).ok();
    assert_eq!(other.titles(), ["Bread", "Eggs", "Milk"]);
}

#[test]
fn a_loss_that_is_repaired_is_no_warning_of_the_doctor_any_more() {
    let history = |person: &Person| {
        let ran = person.run(["doctor", "--json"]);
        let checks = ran.out.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
        checks.into_iter().find(|check| check["check"] == "history")
    };
    let folder = tempfile::tempdir().unwrap();
    let (_relay, person) = after_a_loss(folder.path());
    assert_eq!(history(&person), None, "nobody knows of it yet");
    person.run(["sync"]).ok();
    let told = history(&person).expect("it is told");
    assert_eq!((&told["level"], &told["next"]), (&json!("ok"), &Json::Null), "{told}");
    let found = told["found"].as_str().unwrap();
    assert!(found.contains("1 time, last") && found.contains("was given all of it again"), "{found}");
    let spaces = person.run(["status", "--json"]).json()["spaces"].clone();
    assert!(spaces[0]["last_reset_ms"].as_i64() <= spaces[0]["last_synced_ms"].as_i64(), "{spaces}");

    // The control: as it is when the session broke off right after the word of the loss.
    let store = rusqlite::Connection::open(person.store()).unwrap();
    assert_eq!(store.execute("UPDATE sync_settings SET last_synced_ms = last_synced_ms - 60000", []).unwrap(), 1);
    drop(store);
    let told = history(&person).expect("it is told");
    assert!(told["level"] == "warn" && told["next"].as_str().unwrap().contains("afield"), "{told}");
}
