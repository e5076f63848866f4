//! What became of an entity, and undo.

use crate::running::Person;
use serde_json::json;

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
