//! Whether a store holds together.

use crate::running::Person;
use serde_json::json;

#[test]
fn a_store_that_holds_together_is_said_to_and_one_that_does_not_exits_with_6() {
    let person = Person::with_store();
    person.run(["put", "notes", "title=Milk"]).ok();
    let before = std::fs::read(person.store()).unwrap();
    assert!(person.run(["verify"]).ok().contains("holds together"));
    let told = person.run(["verify", "--json"]).json();
    assert_eq!((&told["ok"], &told["violations"]), (&json!(true), &json!([])), "{told}");
    assert_eq!(std::fs::read(person.store()).unwrap(), before, "it changes nothing");

    let store = rusqlite::Connection::open(person.store()).unwrap();
    assert_eq!(store.execute("UPDATE changes SET sequence = 7", []).unwrap(), 1);
    drop(store);
    let ran = person.run(["verify", "--json"]);
    let told: serde_json::Value = serde_json::from_str(ran.out.trim_end()).unwrap();
    let violations = told["violations"].as_array().unwrap();
    assert!(ran.code == 6 && told["ok"] == json!(false) && !violations.is_empty(), "{ran:?}");
    let error: serde_json::Value = serde_json::from_str(ran.err.trim_end()).unwrap();
    assert_eq!((&error["code"], &error["class"]), (&json!("store_unusable"), &json!("permanent")));
    let ran = person.run(["verify"]);
    assert!(ran.failed(6).contains("`afield") && ran.failed(6).contains("export`"), "{ran:?}");
    assert_eq!(ran.out.lines().count(), violations.len(), "a line for each: {ran:?}");
}

#[test]
fn a_store_is_verified_beside_whoever_writes_it() {
    let person = Person::with_store();
    let mut command = person.command(["import", "-"]);
    let mut holder = command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn().unwrap();
    while !person.folder().join("store.db-holder").exists() {
        assert!(holder.try_wait().unwrap().is_none(), "the holder ended before it held anything");
        std::thread::yield_now();
    }
    person.run(["--wait", "0", "verify"]).ok();
    person.run(["--wait", "0", "put", "notes", "title=Milk"]).failed(6);
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
}
