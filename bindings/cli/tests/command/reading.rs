//! Reading beside a process that writes.

use crate::running::Person;
use serde_json::json;
use std::process::Stdio;

#[test]
fn reading_commands_work_while_another_process_has_the_store() {
    let person = Person::with_store();
    let ran = person.run(["put", "notes", "title=Milk", "body~=Hello"]);
    let id = ran.ok();
    let mut holder = person.command(["import", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let holding = person.folder().join("store.db-holder");
    while !holding.exists() {
        assert!(holder.try_wait().unwrap().is_none(), "the holder ended before it held anything");
        std::thread::yield_now();
    }
    let beside = |arguments: &[&str]| person.run(["--wait", "0", "--json"].iter().chain(arguments));
    assert_eq!(beside(&["get", "notes", &id[30..]]).json()["value"], json!({"title": "Milk", "body": "Hello"}));
    assert_eq!(beside(&["list"]).json(), json!({"collection": "notes", "entities": 1}));
    assert_eq!(beside(&["list", "notes"]).json()["value"]["title"], "Milk");
    assert_eq!(beside(&["status"]).json()["pending_changes"], 1);
    assert_eq!(beside(&["space", "list"]).json()["name"], "Home");
    assert!(beside(&["export"]).ok().contains("Milk"));
    assert_eq!(beside(&["guard"]).json()["deletions"], json!(null));
    assert_eq!(beside(&["guard", "--collection", "notes"]).json()["share"], json!(null));
    assert_eq!(beside(&["confirm"]).json()["list"], json!([]));
    assert_eq!(beside(&["schedule"]).json()["schedule"], json!(null));
    assert_eq!(beside(&["conflicts"]).ok(), "");
    assert_eq!(beside(&["conflicts", "notes"]).ok(), "");
    assert_eq!(beside(&["conflicts", "strategy"]).ok(), "");
    beside(&["put", "notes", "title=Bread"]).error(6);
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
    beside(&["put", "notes", "title=Bread"]).ok();
    assert_eq!(person.titles(), ["Bread", "Milk"], "the control: what is written is read");
}
