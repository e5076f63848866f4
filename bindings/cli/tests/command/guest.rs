//! What only looks at a relay leaves no trace of a device there.

use crate::running::{Person, Relay};
use std::time::{Duration, Instant};

/// The devices that the relay lists, once this one is among them.
fn listed_with(relay: &Relay, person: &Person) -> Vec<String> {
    let device = person.run(["status", "--json"]).json()["device"].as_str().unwrap().to_owned();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let listed = relay.administer(&["device", "list"]);
        let listed: Vec<_> = listed.iter().map(|device| device["id"].as_str().unwrap().to_owned()).collect();
        if listed.contains(&device) {
            return listed;
        }
        assert!(Instant::now() < deadline, "the relay does not list device {device}");
    }
}

#[test]
fn doctor_and_a_dry_run_are_no_devices_of_their_own_and_end_with_the_one_they_look_for() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::with_tokens(folder.path());
    let token = relay.token(&["--user", "ada"]);
    let person = Person::with_store();
    person.run(["put", "notes", "title=Milk"]).ok();
    person.run(["connect", &relay.url(), "--token", &token]).ok();
    let before = listed_with(&relay, &person);
    assert_eq!(before.len(), 1, "the control");
    person.run(["put", "notes", "title=Bread"]).ok();
    person.run(["doctor"]).ok();
    person.run(["sync", "--dry-run"]).ok();
    // Who comes later is written down no sooner than those before.
    let other = Person::joining(&person.space());
    other.run(["connect", &relay.url(), "--token", &token]).ok();
    let after = listed_with(&relay, &other);
    assert_eq!(after.len(), 2, "the other one, and nobody else: {after:?}");
    assert!(before.iter().all(|device| after.contains(device)), "{before:?} {after:?}");

    relay.administer(&["device", "sign-out", "ada", &before[0]]);
    let doctor = person.run(["doctor"]);
    assert!(doctor.code == 1 && doctor.out.contains("this device was signed out"), "{doctor:?}");
    assert!(person.run(["sync", "--dry-run"]).failed(5).contains("signed out"));
}
