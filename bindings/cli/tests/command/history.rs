//! What became of an entity, and undo.

use crate::running::{Person, Relay};
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

/// Where a change stands in the log and how it is shown, but for its hash.
fn shown(person: &Person, id: &str) -> Vec<Vec<String>> {
    let log = person.run(["log", "notes", id]);
    log.ok().lines().map(|line| line.split('\t').skip(1).map(str::to_owned).collect()).collect()
}

#[test]
fn what_an_import_brought_is_in_the_log_by_nobody_and_at_no_time() {
    let person = Person::with_store();
    let ids = ["0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e", "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0f"];
    let values = [r#"{"title":"Milk","body":{"$text":"two"},"tags":["a"]}"#, r#"{"body":{"$text":""}}"#];
    let lines =
        ids.iter().zip(values).map(|(id, value)| format!(r#"{{"collection":"notes","id":"{id}","value":{value}}}"#));
    person.run_with(["import", "-"], &lines.collect::<Vec<_>>().join("\n")).ok();
    assert!(person.run(["log", "--help"]).ok().contains("What an import brought or a strategy settled"));
    let by_nobody = ["", "nobody", "an import"];
    assert_eq!(shown(&person, ids[0]), [by_nobody], "without the text and the list that it needed room for");
    assert_eq!(shown(&person, ids[1]), [by_nobody], "an empty text alone is something");
    let log = person.run(["log", "notes", ids[0], "--json"]).json();
    let none = json!(null);
    let attribution = ["at_ms", "author", "device", "message"].map(|key| &log[key]);
    assert_eq!((attribution, &log["derived"]), ([&none; 4], &json!("import")), "{log}");

    let brought = log["change"].as_str().unwrap().to_owned();
    let whole = r#"{"body":"two","tags":["a"],"title":"Milk"}"#;
    assert_eq!(person.run(["at", "notes", ids[0], &brought[..8]]).ok(), whole);
    let diff = person.run(["diff", "notes", ids[0], "--json"]).json_lines();
    assert!(diff.iter().any(|change| change["path"] == "title" && change["change"] == "added"), "{diff:?}");
    person.run(["edit", "notes", ids[0], "title=Bread"]).ok();
    let log = person.run(["log", "notes", ids[0], "--json"]).json_lines();
    assert_eq!(log.iter().map(|change| &change["derived"]).collect::<Vec<_>>(), [&none, &json!("import")]);
    assert!(log[0]["at_ms"].as_i64().is_some(), "the control: an edit has a time");
    assert_eq!(person.run(["undo", "notes", ids[0]]).ok(), "Undone.");
    assert_eq!(person.run(["get", "notes", ids[0]]).ok(), whole);
    assert!(person.run(["undo", "notes", ids[0]]).ok().contains("nothing to undo"), "it is nobody's to undo");
}

#[test]
fn the_many_lists_of_an_import_take_no_lines_of_the_log_for_the_room_that_they_need() {
    let person = Person::with_store();
    let id = "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e";
    let lists: serde_json::Map<_, _> = (0..150).map(|number| (format!("list{number}"), json!(["a"]))).collect();
    let line = json!({"collection": "notes", "id": id, "value": lists}).to_string();
    person.run_with(["import", "-"], &line).ok();
    for limit in ["1", "50"] {
        let log = person.run(["log", "notes", id, "--limit", limit]);
        assert_eq!(log.ok().lines().count(), 1, "of {limit}: {}", log.out);
    }
    assert_eq!(person.run(["diff", "notes", id, "--json"]).json_lines().len(), 150, "what it brought");
    for number in 0..3 {
        person.run(["edit", "notes", id, &format!("title={number}")]).ok();
    }
    assert_eq!(shown(&person, id).len(), 4);
    assert_eq!(person.run(["log", "notes", id, "--limit", "2"]).ok().lines().count(), 2);
}

#[test]
fn what_a_strategy_settled_is_in_the_log_of_both_by_nobody_and_the_same() {
    let (folder, ada) = (tempfile::tempdir().unwrap(), Person::with_store());
    let relay = Relay::open(folder.path());
    let id = ada.run(["put", "notes", "title=Milk", "body~=long"]).ok().to_owned();
    assert_eq!(shown(&ada, &id).len(), 1, "the room for a text is no edit of anybody");
    ada.run(["conflicts", "strategy", "notes", "title", "newest"]).ok();
    ada.run(["connect", &relay.url()]).ok();
    let ben = Person::joining(&ada.space());
    ben.run(["connect", &relay.url()]).ok();
    ben.run(["conflicts", "strategy", "notes", "title", "newest"]).ok();
    ada.run(["edit", "notes", &id, "title=Bread"]).ok();
    ben.run(["edit", "notes", &id, "title=Eggs"]).ok();
    for person in [&ada, &ben, &ada, &ben] {
        person.run(["sync"]).ok();
    }
    let settled = |person: &Person| {
        let log = person.run(["log", "notes", &id, "--json"]).json_lines();
        log.into_iter().filter(|change| change["derived"] == "settlement").collect::<Vec<_>>()
    };
    assert_eq!((settled(&ada).len(), settled(&ada)), (1, settled(&ben)));
    assert_eq!(shown(&ada, &id)[0], ["", "nobody", "settled by a strategy"], "the newest");
    assert_eq!(shown(&ada, &id).len(), 4);
}
