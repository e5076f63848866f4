//! How much may be deleted unasked.

use crate::running::{Person, Relay};
use serde_json::{Value as Json, json};
use std::ffi::OsStr;

/// What a guard is: how many deletions, and which share.
fn guard(person: &Person, more: &[&str]) -> (Json, Json) {
    let told = person.run(["guard", "--json"].iter().chain(more)).json();
    (told["deletions"].clone(), told["share"].clone())
}

#[test]
fn what_is_said_of_a_guard_adds_to_what_was_said_before() {
    let person = Person::with_store();
    assert_eq!(guard(&person, &["--deletions", "50"]), (json!(50), Json::Null));
    assert_eq!(guard(&person, &["--share", "20%"]), (json!(50), json!(0.2)), "the 50 stay");
    assert_eq!(guard(&person, &["--deletions", "7"]), (json!(7), json!(0.2)));
    assert_eq!(guard(&person, &[]), (json!(7), json!(0.2)));
    assert_eq!(guard(&person, &["--off"]), (Json::Null, Json::Null));
    assert_eq!(guard(&person, &["--share", "30%"]), (Json::Null, json!(0.3)), "and nothing comes back");
}

#[test]
fn a_collection_has_a_guard_of_its_own_until_that_is_taken_away() {
    let person = Person::with_store();
    guard(&person, &["--deletions", "50"]);
    let of_drafts = |more: &[&str]| guard(&person, &[&["--collection", "drafts"], more].concat());
    assert_eq!(of_drafts(&[]), (json!(50), Json::Null), "that of the space");
    assert_eq!(of_drafts(&["--share", "20%"]), (json!(50), json!(0.2)), "what held before still holds");
    assert_eq!(of_drafts(&["--off"]), (Json::Null, Json::Null));
    guard(&person, &["--deletions", "5"]);
    assert_eq!(of_drafts(&[]), (Json::Null, Json::Null), "it is its own");
    assert_eq!(of_drafts(&["--inherit"]), (json!(5), Json::Null));
    guard(&person, &["--deletions", "6"]);
    assert_eq!(of_drafts(&[]), (json!(6), Json::Null), "it follows the space again");
    assert_eq!(person.run(["guard", "--inherit"]).code, 2, "a space has nothing to inherit from");
    assert_eq!(person.run(["guard", "--collection", "drafts", "--inherit", "--off"]).code, 2);
}

#[test]
fn deletions_that_wait_are_shown_with_what_they_would_take_and_who_made_them() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::open(folder.path());
    let ada = Person::with_store();
    let titles = ["Milk", "Bread", "Salt"];
    let ids = titles.map(|title| ada.run(["put", "notes", &format!("title={title}")]).ok().to_owned());
    ada.run(["connect", &relay.url()]).ok();
    let ben = Person::joining(&ada.space());
    ben.run(["connect", &relay.url()]).ok();
    for person in [&ada, &ben] {
        guard(person, &["--deletions", "1"]);
    }
    for id in &ids {
        ada.run(["delete", "notes", id]).ok();
    }
    assert!(ada.run(["sync"]).err.contains(&ada.proposed("confirm")));
    let waits = ada.run(["confirm"]);
    assert!(titles.iter().all(|title| waits.out.contains(&format!("title: {title}"))), "{waits:?}");
    assert!(waits.out.contains("this device"), "{waits:?}");
    let explained = ada.run(["explain", "--json"]).json();
    assert!(explained["now"].as_str().unwrap().contains("3 deletions made here wait to be confirmed"), "{explained}");
    assert!(explained["next"].as_str().unwrap().contains(&ada.proposed("confirm")), "{explained}");
    ada.run(["confirm", "--yes"]).ok();
    ada.run(["sync"]).ok();
    ben.run(["sync"]).failed(7);
    let waits = ben.run(["confirm"]);
    let device = ada.run(["status", "--json"]).json()["device"].as_str().unwrap().to_owned();
    assert!(titles.iter().all(|title| waits.out.contains(&format!("title: {title}"))), "{waits:?}");
    assert!(waits.out.contains(&device[24..]) && !waits.out.contains(&device), "its end is enough: {waits:?}");
    let explained = ben.run(["explain", "--json"]).json();
    assert!(explained["now"].as_str().unwrap().contains("3 deletions by others wait to be confirmed"), "{explained}");
    assert!(!explained["now"].as_str().unwrap().contains("does not serve"), "{explained}");
    assert!(explained["next"].as_str().unwrap().contains(&ben.proposed("confirm")), "{explained}");
}

#[test]
fn what_waits_to_be_confirmed_is_told_by_doctor_and_by_a_dry_run() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::open(folder.path());
    let ada = Person::with_store();
    let ids = ["Milk", "Bread"].map(|title| ada.run(["put", "notes", &format!("title={title}")]).ok().to_owned());
    ada.run(["connect", &relay.url()]).ok();
    let ben = Person::joining(&ada.space());
    ben.run(["connect", &relay.url()]).ok();
    guard(&ben, &["--deletions", "1"]);
    for id in &ids {
        ada.run(["delete", "notes", id]).ok();
    }
    ada.run(["sync"]).ok();
    ben.run(["sync"]).failed(7);
    let doctor = ben.run(["doctor"]);
    assert!(
        doctor.ok().contains("2 deletions by others") && doctor.out.contains(&ben.proposed("confirm")),
        "{doctor:?}"
    );
    assert!(!doctor.out.contains("does not serve"), "{doctor:?}");
    let planned = ben.run(["sync", "--dry-run"]);
    assert!(planned.ok().lines().all(|line| line.chars().count() <= 80), "{planned:?}");
    assert!(planned.ok().contains("2 deletions by others"), "{planned:?}");
    assert_eq!(ben.run(["sync", "--dry-run", "--json"]).json()["held_here"], 2);
    ben.run(["confirm", "--yes"]).ok();
    ben.run(["sync"]).ok();
    assert!(!ben.run(["doctor"]).ok().contains("deletions"), "the control: nothing waits");
}

#[test]
fn a_single_deletion_that_waits_is_told_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::open(folder.path());
    let ada = Person::with_store();
    let id = ada.run(["put", "notes", "title=Milk"]).ok().to_owned();
    ada.run(["connect", &relay.url()]).ok();
    let ben = Person::joining(&ada.space());
    ben.run(["connect", &relay.url()]).ok();
    for person in [&ada, &ben] {
        guard(person, &["--deletions", "0"]);
    }
    ada.run(["delete", "notes", &id]).ok();
    for (person, waits) in [(&ada, "1 deletion made here waits"), (&ben, "1 deletion by others waits")] {
        person.run(["sync"]).failed(7);
        let commands: [&[&str]; 5] = [&["sync"], &["confirm"], &["explain"], &["doctor"], &["guard"]];
        let told = commands.map(|command| {
            let ran = person.run(command);
            let words = format!("{} {}", ran.out, ran.err);
            (command, words.split_whitespace().collect::<Vec<_>>().join(" "))
        });
        let status = person.run(["status"]);
        assert!(status.ok().contains("1 deletion: `") && status.out.contains("shows it, and lets it go"), "{status:?}");
        let (dry, unsent) = (["sync", "--dry-run"], folder.path().join("unsent"));
        let written = person.run([OsStr::new("hand-over"), unsent.as_os_str()]);
        let more = [(&dry[..], person.run(dry).out), (&["hand-over"], written.out)];
        for (command, words) in told.iter().chain(&more) {
            let plurals = ["1 deletions", "1 changes", "shows them", "lets them", "let them", "these entities", "They"];
            let wrong = plurals.into_iter().chain(["deletion wait ", "here wait ", "others wait "]);
            assert_eq!(wrong.into_iter().find(|wrong| words.contains(wrong)), None, "{command:?}: {words}");
            let is_about_it = !["guard", "hand-over"].contains(&command[0]) && *command != dry;
            assert!(!is_about_it || words.contains("1 deletion"), "{command:?}: {words}");
        }
        for (command, words) in told.iter().filter(|(command, _)| [["explain"], ["doctor"]].contains(&[command[0]])) {
            assert!(words.contains(waits), "{command:?}: {words}");
        }
        person.run(["confirm", "--yes"]).ok();
        person.run(["sync"]).ok();
    }
    guard(&ada, &["--deletions", "1"]);
    assert!(ada.run(["guard"]).ok().contains("more than 1 deletion waits"));
}

#[test]
fn what_is_no_number_is_said_in_words() {
    let person = Person::with_store();
    for (wrong, expected) in [(["--deletions", "some"], "a whole number"), (["--share", "some"], "such as 20%")] {
        let ran = person.run([&["guard"], wrong.as_slice()].concat());
        assert!(ran.code == 2 && ran.err.contains(expected), "{ran:?}");
    }
    let help = person.run(["conflicts", "strategy", "--help"]);
    assert!(help.ok().contains("\n  merge ") && help.out.contains("\n  manual "), "both are aligned: {help:?}");
    assert_eq!(guard(&person, &["--deletions", "5", "--share", "20%"]), (json!(5), json!(0.2)), "the control");
}
