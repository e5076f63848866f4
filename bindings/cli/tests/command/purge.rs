//! `afield purge` and `afield trash --empty`.

use crate::running::Person;
use serde_json::json;

#[test]
fn a_purge_is_refused_with_what_it_would_do_until_it_is_confirmed() {
    let person = Person::with_store();
    let id = person.run(["put", "notes", "title=Milk"]).ok().to_owned();
    let kept = person.run(["put", "notes", "title=Bread"]).ok().to_owned();
    person.run(["put", "notes", &id, "title=Cream"]).ok();

    let refused = person.run(["purge", "notes", &id]);
    let told = refused.failed(7);
    assert!(told.contains("2 changes of 1 entities for good") && told.contains("--yes"), "{told}");
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
    assert!(told.contains("of 1 entities for good"), "{told}");
    let emptied = |arguments: &[&str]| {
        let line = ["--json", "trash", "--empty", "--yes"];
        person.run(line.iter().chain(arguments)).json()["entities"].clone()
    };
    assert_eq!(emptied(&["--older-than", "30d"]), 0);
    person.run(["trash", "--empty", "--older-than", "soon", "--yes"]).failed(2);
    person.run(["trash", "--yes"]).failed(2);
    assert_eq!(emptied(&["tasks"]), 0, "of another collection");
    assert_eq!(person.run(["--json", "trash"]).json()["id"], *id, "the control: it is still there");
    assert_eq!(emptied(&["notes"]), 1);
    assert_eq!(person.run(["trash"]).ok(), "");
    assert_eq!(person.titles(), ["Bread"]);
}
