//! Out of one store and into another.

use crate::running::Person;
use serde_json::json;

#[test]
fn an_export_read_into_another_store_is_the_same_export_again() {
    let (from, to) = (Person::with_store(), Person::with_store());
    from.run(["put", "notes", "title=Milk", "body~=Hello wörld", "votes+=3"]).ok();
    let ran = from.run([
        "put",
        "tasks",
        r#"{"due": {"$timestamp": 5}, "raw": {"$bytes": "00ff"}, "n": [1, null], "on": {"due": null}}"#,
    ]);
    from.run(["delete", "tasks", ran.ok()]).ok();
    let file = from.folder().join("all.jsonl");
    let written = from.run(["export", "--output", file.to_str().unwrap(), "--json"]).json();
    assert_eq!(written["entities"], 2);
    let read = to.run(["import", file.to_str().unwrap(), "--json"]).json();
    assert_eq!(read, json!({"entities": 2, "changed": 2}));
    let exported = from.run(["export"]);
    assert_eq!(exported.ok(), std::fs::read_to_string(&file).unwrap().trim_end());
    assert_eq!(to.run(["export"]).ok(), exported.ok());
    let again = to.run_with(["import", "-", "--json"], &exported.out).json();
    assert_eq!(again, json!({"entities": 2, "changed": 0}), "reading it twice changes nothing");
}

#[test]
fn a_line_that_is_no_entity_is_named_by_its_number_and_not_by_its_content() {
    let person = Person::with_store();
    let good = r#"{"collection":"notes","id":"0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e","value":{"title":"Milk"}}"#;
    let ran = person.run_with(["import", "-"], &format!("{good}\nsecret\n"));
    assert!(ran.failed(1).contains("line 2") && !ran.err.contains("secret"), "{ran:?}");
    person.run_with(["import", "-"], good).ok();
    assert_eq!(person.titles(), ["Milk"]);
    let large = good.replace("Milk", &"x".repeat(600_000));
    let ran = person.run_with(["import", "-"], &large);
    assert!(ran.failed(1).contains("line 1") && ran.err.contains("$text"), "{}", ran.err);
    let text = large.replace(r#""title":"x"#, r#""title":{"$text":"x"#).replace(r#"x"}}"#, r#"x"}}}"#);
    assert_eq!(person.run_with(["import", "-", "--json"], &text).json(), json!({"entities": 1, "changed": 1}));
}

#[cfg(unix)]
#[test]
fn an_export_follows_links_and_writes_to_devices_as_they_are() {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
    let person = Person::with_store();
    person.run(["put", "notes", "title=Milk"]).ok();
    let [real, link] = ["real.jsonl", "link.jsonl"].map(|name| person.folder().join(name));
    std::fs::write(&real, "older").unwrap();
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&real, &link).unwrap();
    person.run(["export", "--output", link.to_str().unwrap()]).ok();
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(std::fs::read_to_string(&real).unwrap().contains("Milk"));
    assert_eq!(std::fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
    person.run(["export", "--output", "/dev/null"]).ok();
    assert!(std::fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    assert!(person.run(["export", "--output", "-"]).ok().contains("Milk"));
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let person = Person::with_store();
    assert!(person.run(["import", "/nowhere/file"]).failed(3).contains("/nowhere/file"));
    assert!(person.run(["export", "--output", "/nowhere/file"]).failed(3).contains("/nowhere/file"));
}

#[test]
fn a_damaged_entity_costs_an_export_that_entity_and_is_named() {
    let person = Person::with_store();
    person.run(["put", "notes", "title=Milk"]).ok();
    let damaged = person.run(["put", "notes", "title=Bread"]).ok().to_owned();
    person.run(["put", "notes", "title=Eggs"]).ok();
    let store = rusqlite::Connection::open(person.store()).unwrap();
    let sql = "UPDATE bodies SET bytes = zeroblob(40) WHERE change_row IN (SELECT change_row FROM changes WHERE entity_row = 2)";
    assert_eq!(store.execute(sql, []).unwrap(), 1);
    drop(store);
    let file = person.folder().join("all.jsonl");
    let ran = person.run(["export", "--output", file.to_str().unwrap()]);
    assert!(ran.code == 6 && ran.err.contains(&format!("notes {damaged}")), "{ran:?}");
    let written = std::fs::read_to_string(&file).unwrap();
    assert_eq!(written.lines().count(), 2, "all others are written: {written}");
    let ran = person.run(["export"]);
    assert_eq!((ran.code, &ran.out), (6, &written), "to a pipe as to a file");
    let ran = person.run(["export", "--json"]);
    assert_eq!(ran.code, 6);
    let told: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!(told["skipped"], json!([{"collection": "notes", "id": damaged}]));
}

#[test]
fn an_export_that_fails_leaves_the_older_file() {
    let person = Person::with_store();
    person.run(["put", "notes", "title=Milk"]).ok();
    let folder = person.folder().join("out");
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("all.jsonl");
    std::fs::write(&file, "older").unwrap();
    let mut bytes = std::fs::read(person.store()).unwrap();
    bytes[4096..].iter_mut().for_each(|byte| *byte ^= 0x5a);
    std::fs::write(person.store(), bytes).unwrap();
    assert_ne!(person.run(["export", "--output", file.to_str().unwrap()]).code, 0);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "older");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "nothing half written stays behind");
}
