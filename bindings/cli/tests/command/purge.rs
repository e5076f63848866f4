//! `afield purge` and `afield trash --empty`.

use crate::running::{Person, Relay};
use serde_json::json;

#[test]
fn a_purge_is_refused_with_what_it_would_do_until_it_is_confirmed() {
    let person = Person::with_store();
    let id = person.run(["put", "notes", "title=Milk"]).ok().to_owned();
    let kept = person.run(["put", "notes", "title=Bread"]).ok().to_owned();
    person.run(["put", "notes", &id, "title=Cream"]).ok();

    let refused = person.run(["purge", "notes", &id]);
    let told = refused.failed(7);
    assert!(told.contains("2 changes of 1 entity for good") && told.contains("--yes"), "{told}");
    assert_eq!(person.run(["purge", "notes", &id, "--json"]).error(7)["code"], "refused");
    assert_eq!(person.titles(), ["Bread", "Cream"], "nothing was deleted");

    let done = person.run(["--json", "purge", "notes", &id[30..], "--yes"]).json();
    assert_eq!(done, json!({"entities": 1, "changes": 2}));
    assert_eq!(person.titles(), ["Bread"]);
    let told = person.run(["put", "notes", &id, "title=again"]).failed(3).to_owned();
    assert!(told.contains("purged for good"), "{told}");
    assert_eq!(person.run(["--json", "purge", "notes", &id, "--yes"]).json(), json!({"entities": 0, "changes": 0}));
    person.run(["purge", "tasks", &kept, "--yes"]).failed(3);
    assert_eq!(person.titles(), ["Bread"], "it is in another collection");
}

#[test]
fn the_trash_is_emptied_of_what_is_old_enough_and_only_when_that_is_confirmed() {
    let person = Person::with_store();
    let id = person.run(["put", "notes", "title=Milk"]).ok().to_owned();
    person.run(["put", "notes", "title=Bread"]).ok();
    person.run(["delete", "notes", &id]).ok();

    let told = person.run(["trash", "--empty"]).failed(7).to_owned();
    assert!(told.contains("of 1 entity for good"), "{told}");
    let emptied = |arguments: &[&str]| {
        let line = ["--json", "trash", "--empty", "--yes"];
        person.run(line.iter().chain(arguments)).json()["entities"].clone()
    };
    assert_eq!(emptied(&["--older-than", "30d"]), 0);
    assert_eq!(person.run(["trash", "--empty", "--older-than", "soon", "--yes"]).code, 2);
    assert_eq!(person.run(["trash", "--yes"]).code, 2);
    assert_eq!(emptied(&["tasks"]), 0, "of another collection");
    assert_eq!(person.run(["--json", "trash"]).json()["id"], *id, "the control: it is still there");
    assert_eq!(emptied(&["notes"]), 1);
    assert_eq!(person.run(["trash"]).ok(), "");
    assert_eq!(person.titles(), ["Bread"]);
}

#[test]
fn what_a_guard_holds_is_shown_and_goes_once_it_is_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::open(folder.path());
    let ada = Person::with_store();
    let ids: Vec<_> = (0..4).map(|number| ada.run(["put", "notes", &format!("n={number}")]).ok().to_owned()).collect();
    ada.run(["connect", &relay.url()]).ok();
    let ben = Person::joining(&ada.space());
    ben.run(["connect", &relay.url()]).ok();
    assert!(ada.run(["guard"]).ok().contains("unasked"));
    assert_eq!(ada.run(["guard", "--share", "200%"]).code, 2);
    let set = ada.run(["guard", "--deletions", "2", "--share", "20%", "--json"]).json();
    assert_eq!((&set["deletions"], &set["share"]), (&json!(2), &json!(0.2)));
    ben.run(["guard", "--deletions", "2"]).ok();
    assert!(ada.run(["confirm"]).ok().contains("nothing waits"));

    for id in &ids[..3] {
        ada.run(["delete", "notes", id]).ok();
    }
    let error = ada.run(["sync", "--json"]).error(7);
    assert!(error["next"].as_str().unwrap().contains("confirm` shows them"), "{error}");
    let explained = ada.run(["explain", "--json"]).json();
    assert!(explained["now"].as_str().unwrap().contains("3 deletions made here wait to be confirmed"), "{explained}");
    assert_eq!(ada.run(["status", "--json"]).json()["held"], 3);
    assert!(ada.run(["status"]).ok().contains("`afield confirm`"));
    let ran = ada.run(["confirm", "--json"]);
    assert_eq!(ran.code, 7, "nobody can be asked");
    let shown: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(shown["list"].as_array().unwrap().len(), 3);
    assert_eq!((&shown["list"][0]["way"], &shown["list"][0]["collection"]), (&json!("send"), &json!("notes")));
    ada.run(["confirm", "--yes", "--token", "0000000000000000"]).failed(7);
    let token = shown["token"].as_str().unwrap();
    let done = ada.run(["confirm", "--yes", "--token", token, "--json"]).json();
    assert_eq!(done["confirmed"], 3);
    ada.run(["sync"]).ok();

    ben.run(["sync"]).failed(7);
    let listed = || ben.run(["list", "notes", "--json"]).json_lines().len();
    assert_eq!(listed(), 4, "what others deleted is there");
    let ran = ben.run(["confirm"]);
    assert!(ran.code == 7 && ran.out.contains("3 deletions by others"), "{}", ran.out);
    ben.run(["confirm", "--yes"]).ok();
    assert_eq!(listed(), 1);
    ben.run(["sync"]).ok();
}
