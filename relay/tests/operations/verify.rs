//! `verify`: every kind of damage is found, and told by its place and not by its content.

use super::filled::{Desk, log_file};
use super::{Serving, done, json, path, relay};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// What stands in all changes of these tests.
const CONTENT: &str = "entirely private";

/// A folder with a space that is packed, up to 1,500 chunks, and 100 fresh ones behind.
fn packed(data: &Path) -> Desk {
    let mut desk = Desk::open(data, 1);
    desk.write(CONTENT, 1_500);
    json(data, &["compact"]);
    desk.write(CONTENT, 100);
    desk
}

#[test]
fn a_log_that_is_whole_is_read_to_the_end_also_beside_a_relay_and_as_a_backup() {
    let folder = tempfile::tempdir().unwrap();
    let (data, backup) = (folder.path().join("data"), folder.path().join("backup"));
    let mut desk = packed(&data);
    let _relay = Serving::start(&data);
    desk.write(CONTENT, 10);
    json(&data, &["backup", path(&backup)]);
    for command in [&["verify"][..], &["verify", path(&backup)]] {
        let lines = json(&data, command);
        assert_eq!(lines.len(), 1, "{lines:?}");
        let figure = |name: &str| lines[0][name].as_u64().unwrap();
        assert_eq!((figure("spaces"), figure("chunks"), figure("problems")), (1, 1_610, 0));
        assert_eq!((figure("snapshots"), figure("documents"), figure("documents_skipped")), (1, 1, 0));
    }
    assert_eq!(done(&folder.path().join("typo"), &["verify"]).status.code(), Some(4));
}

#[test]
fn all_damage_is_found_and_told_without_content() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let desk = packed(&data);
    let (space, entity) = (desk.space.to_string(), desk.entity.to_string());
    drop(desk);
    let whole = fs::read(log_file(&data)).unwrap();
    let at = |sequence: u64| (1_u64 << 40) + sequence;
    let first_segment = "(SELECT min(last) FROM segments)";
    for (statement, problem, sequence) in [
        (format!("UPDATE chunks SET bytes = zeroblob(100) WHERE position = {}", at(1_550)), "bytes", Some(1_550)),
        (format!("DELETE FROM chunks WHERE position = {}", at(1_560)), "gap", Some(1_560)),
        (format!("UPDATE chunks SET chain = randomblob(32) WHERE position = {}", at(1_570)), "chain", Some(1_570)),
        (format!("UPDATE chunks SET change = randomblob(32) WHERE position = {}", at(1_580)), "index", Some(1_580)),
        ("UPDATE spaces SET chain = randomblob(32)".to_owned(), "chain", Some(1_600)),
        (
            format!("UPDATE segment_hashes SET hashes = randomblob(length(hashes)) WHERE last = {first_segment}"),
            "segment",
            Some(1),
        ),
        (format!("DELETE FROM segments WHERE last = {first_segment}"), "segment", Some(1)),
        ("DELETE FROM change_prefixes".to_owned(), "index", Some(1)),
        ("UPDATE entities SET runs_check = 7".to_owned(), "index", None),
        ("UPDATE snapshots SET bytes = randomblob(length(bytes))".to_owned(), "snapshot", None),
        ("PRAGMA foreign_keys = OFF; INSERT INTO members VALUES (77, 88, 1)".to_owned(), "reference", None),
    ] {
        fs::write(log_file(&data), &whole).unwrap();
        let connection = rusqlite::Connection::open(log_file(&data)).unwrap();
        connection.execute_batch(&statement).unwrap();
        drop(connection);
        let output = relay(&data, &["verify", "--json"]).output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(6), "{statement}: {told}");
        assert!(!told.contains(CONTENT) && !String::from_utf8(output.stderr).unwrap().contains(CONTENT), "S6");
        let lines: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let found = lines.iter().find(|line| line["problem"] == problem && line["sequence"].as_u64() == sequence);
        let found = found.unwrap_or_else(|| panic!("{statement}: {told}"));
        assert!(found["next"].is_string());
        assert!(problem == "reference" || found["space"] == space.as_str(), "{statement}: {found}");
        if ["bytes", "index", "snapshot"].contains(&problem) {
            assert_eq!(found["entity"], entity.as_str(), "{statement}");
        }
    }
    // Pages that are no pages any more.
    let mut bytes = whole.clone();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4 * 4096].fill(0xa5);
    fs::write(log_file(&data), &bytes).unwrap();
    let output = done(&data, &["verify"]);
    assert_eq!(output.status.code(), Some(6), "{}", String::from_utf8_lossy(&output.stdout));
    let told = [output.stdout, output.stderr].concat();
    assert!(String::from_utf8(told).unwrap().contains("restore FILE --replace"));
    fs::write(log_file(&data), &whole).unwrap();
    json(&data, &["verify"]);
}
