//! What became of an entity, and undo.

use crate::running::Person;
use serde_json::json;
use std::time::{SystemTime, UNIX_EPOCH};

#[test]
fn a_log_tells_who_and_why_and_an_edit_is_undone_and_redone() {
    let person = Person::with_store();
    let id = person.run(["put", "notes", "title=Milk", "--author", "Anna"]).ok().to_owned();
    person.run(["edit", "notes", &id, "title=Bread", "--author", "Anna", "--message", "we have milk"]).ok();
    let log = person.run(["log", "notes", &id, "--json"]).json_lines();
    assert_eq!(log.len(), 2);
    assert_eq!((&log[0]["author"], &log[0]["message"]), (&json!("Anna"), &json!("we have milk")));
    let last = log[0]["change"].as_str().unwrap();
    let before = format!("before:{}", &last[..12]);
    assert_eq!(person.run(["at", "notes", &id, &before]).ok(), r#"{"title":"Milk"}"#);
    let diff = person.run(["diff", "notes", &id, "--json"]).json();
    assert_eq!(diff, json!({"path": "title", "change": "replaced", "before": "Milk", "after": "Bread"}));

    assert_eq!(person.run(["undo", "notes", &id, "--json"]).json()["changed"], json!(true));
    assert_eq!(person.titles(), ["Milk"]);
    assert!(person.run(["log", "notes", &id]).ok().contains("undo "));
    person.run(["redo", "notes", &id]).ok();
    assert_eq!(person.titles(), ["Bread"]);
    assert_eq!(person.run(["redo", "notes", &id, "--json"]).json()["changed"], json!(false));
    let refused = person.run(["restore", "notes", &id, "--to", &before]).failed(7).to_owned();
    assert!(refused.contains("1 place of entity") && refused.contains("--yes"), "{refused}");
    assert_eq!(person.titles(), ["Bread"], "nothing is written that nobody confirmed");
    person.run(["restore", "notes", &id, "--to", &before, "--yes"]).ok();
    assert_eq!(person.titles(), ["Milk"]);
    person.run(["restore", "notes", &id, "--to", &before]).ok();
    person.run(["at", "notes", &id, "@5"]).failed(3);
    person.run(["at", "notes", &id, "ffffffff"]).failed(3);
    assert_eq!(person.run(["at", "notes", &id, "yesterday"]).code, 2);
}

fn wall_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A moment after all that was done, and before all that is done from then on.
fn moment_between() -> i64 {
    let moved_from = |from: i64| loop {
        match wall_ms() {
            now if now > from => return now,
            _ => std::hint::spin_loop(),
        }
    };
    let between = moved_from(wall_ms());
    moved_from(between);
    between
}

#[test]
fn an_entity_is_shown_as_it_was_at_a_moment_and_before_its_first_edit_there_is_none() {
    let person = Person::with_store();
    let before = moment_between();
    let id = person.run(["put", "notes", "title=Milk", "price:=3"]).ok().to_owned();
    let between = moment_between();
    person.run(["edit", "notes", &id, "title=Bread"]).ok();
    let after = moment_between();
    person.run(["edit", "notes", &id, "price:=4"]).ok();

    let at = |at_ms: i64| person.run(["at", "notes", &id, &format!("@{at_ms}"), "--json"]);
    let log = person.run(["log", "notes", &id, "--json"]).json_lines();
    let times: Vec<i64> = log.iter().rev().map(|change| change["at_ms"].as_i64().unwrap()).collect();
    assert!(before < times[0] && times[0] < between && between < times[1] && times[1] < after, "{times:?}");
    let then = [json!({"title": "Milk", "price": 3}), json!({"title": "Bread", "price": 3})];
    assert_eq!([at(between).json(), at(after).json()], then);
    assert_eq!([at(times[0]).json(), at(times[1]).json()], then, "an edit is there from its own moment on");
    assert_eq!(at(times[1] - 1).json(), then[0]);
    assert_eq!(at(i64::MAX).json(), json!({"title": "Bread", "price": 4}));
    for too_early in [times[0] - 1, before, 0, i64::MIN] {
        assert_eq!(at(too_early).error(3)["code"], "not_found");
    }
}
