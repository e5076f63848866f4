//! `purge`: what is gone is in no file, and does not come back.

use super::filled::{Desk, log_file, readable};
use super::{Serving, done, failure, json, names};
use afield_core::session::ChunkVerdict;
use afield_core::wire::ChunkCode;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// What is looked for in the files.
pub(crate) const MARK: &str = "marked-for-purge";

/// The files of a folder that hold some bytes.
pub(crate) fn holders(data: &Path, needle: &str) -> Vec<String> {
    let holds = |name: &String| {
        fs::read(data.join(name)).unwrap().windows(needle.len()).any(|window| window == needle.as_bytes())
    };
    names(data).into_iter().filter(holds).collect()
}

/// A folder with two spaces, of which the first has marked content, packed and fresh.
fn two_spaces(data: &Path) -> (Desk, Desk) {
    let (mut marked, mut other) = (Desk::open(data, 1), Desk::open(data, 2));
    marked.write(MARK, 700);
    other.write("of somebody else", 50);
    json(data, &["compact"]);
    marked.write(MARK, 30);
    other.write("of somebody else", 5);
    assert!(!holders(data, MARK).is_empty(), "the control");
    (marked, other)
}

#[test]
fn nothing_is_purged_before_it_is_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (marked, _other) = two_spaces(&data);
    done(&data, &["user", "create", "ada"]);
    let (space, entity) = (marked.space.to_string(), marked.entity.to_string());
    for command in [&["purge", "entity", &space, &entity][..], &["purge", "space", &space], &["purge", "user", "ada"]] {
        let output = done(&data, command);
        assert_eq!(output.status.code(), Some(2), "{command:?}");
        assert!(String::from_utf8(output.stdout).unwrap().starts_with("Would purge"), "{command:?}");
        assert!(String::from_utf8(output.stderr).unwrap().contains("--confirm"), "{command:?}");
    }
    assert_eq!(readable(&log_file(&data), marked.space), 730);
    let unknown = "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e";
    for missing in [
        &["purge", "entity", unknown, &entity, "--confirm"][..],
        &["purge", "entity", &space, unknown, "--confirm"],
        &["purge", "space", unknown, "--confirm"],
        &["purge", "user", "nobody", "--confirm"],
    ] {
        assert_eq!(failure(&data, missing).0, Some(4), "{missing:?}");
    }
}

#[test]
fn a_purged_entity_is_in_no_file_and_is_not_pushed_again() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (mut marked, other) = two_spaces(&data);
    let (space, entity) = (marked.space.to_string(), marked.entity.to_string());
    for _ in 0..2 {
        json(&data, &["purge", "entity", &space, &entity, "--confirm"]);
        assert_eq!(holders(&data, MARK), Vec::<String>::new());
    }
    let verdicts = marked.push("again", 1);
    assert!(
        matches!(verdicts[..], [ChunkVerdict::Refused { code: ChunkCode::Purged, .. }]),
        "it cannot be brought back: {verdicts:?}"
    );
    let verified = json(&data, &["verify"]);
    assert_eq!(verified[0]["chunks"], Value::from(730 + 1 + 55), "the record is in the chain");
    assert_eq!(readable(&log_file(&data), other.space), 55);
}

#[test]
fn a_purged_space_is_in_no_file_and_is_not_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (marked, other) = two_spaces(&data);
    let relay = Serving::start(&data);
    let space = marked.space.to_string();
    json(&data, &["token", "create", "--space", &space]);
    json(&data, &["space", "invite", &space]);
    for _ in 0..2 {
        json(&data, &["purge", "space", &space, "--confirm"]);
        assert_eq!(holders(&data, MARK), Vec::<String>::new());
    }
    assert!(!Desk::is_served(&data, 1), "its id stays blocked");
    assert!(Desk::is_served(&data, 2) && Desk::is_served(&data, 3), "the controls: another one, and a new one");
    let spaces = json(&data, &["space", "list"]);
    assert_eq!(spaces.len(), 2);
    assert_eq!(readable(&log_file(&data), other.space), 55);
    assert_eq!(json(&data, &["verify"])[0]["problems"], 0);
    drop(relay);
    drop((marked, other));
    drop(Serving::start(&data));
    assert!(!Desk::is_served(&data, 1));
}

/// Leaves the first space as a process does that is killed when the space is blocked, and before anything is taken away.
fn block(data: &Path) {
    let log = rusqlite::Connection::open(log_file(data)).unwrap();
    log.execute_batch(
        "PRAGMA foreign_keys = 0;
        BEGIN;
        INSERT INTO purged_spaces (id, number, purged_ms) SELECT id, number, 0 FROM spaces WHERE number = 1;
        DELETE FROM members WHERE space = 1;
        DELETE FROM spaces WHERE number = 1;
        COMMIT;",
    )
    .unwrap();
    drop(log);
    assert!(!Desk::is_served(data, 1) && !holders(data, MARK).is_empty(), "the control");
}

#[test]
fn any_other_purge_completes_one_that_was_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (marked, other) = two_spaces(&data);
    let (space, entity) = (other.space.to_string(), other.entity.to_string());
    drop(marked);
    block(&data);
    json(&data, &["purge", "entity", &space, &entity, "--confirm"]);
    assert_eq!(holders(&data, MARK), Vec::<String>::new());
    assert_eq!(json(&data, &["verify"])[0]["problems"], 0);
}

#[test]
fn a_purge_of_a_user_with_spaces_that_was_stopped_is_completed_by_the_same_command() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    drop(two_spaces(&data));
    // The user is forgotten in the transaction that blocks the spaces, so there is nobody of that name any more.
    block(&data);
    assert_eq!(failure(&data, &["purge", "user", "ada", "--with-spaces"]).0, Some(4));
    assert!(!holders(&data, MARK).is_empty(), "the control: nothing is taken away before it is confirmed");
    let told = json(&data, &["purge", "user", "ada", "--with-spaces", "--confirm"]);
    assert_eq!((&told[0]["finished_earlier"], &told[0]["purged"]), (&true.into(), &false.into()), "{told:?}");
    assert_eq!(holders(&data, MARK), Vec::<String>::new());
    assert_eq!(failure(&data, &["purge", "user", "ada", "--with-spaces", "--confirm"]).0, Some(4), "nothing was left");
    assert!(!Desk::is_served(&data, 1) && Desk::is_served(&data, 2));
    assert_eq!(json(&data, &["verify"])[0]["problems"], 0);
}

#[test]
fn a_purged_user_is_forgotten_and_its_spaces_stay_unless_they_are_to_go_too() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (marked, other) = two_spaces(&data);
    let (first, second) = (marked.space.to_string(), other.space.to_string());
    let name = "somebody-to-forget";
    let own = |name: &str| {
        json(&data, &["user", "create", name]);
        json(&data, &["token", "create", "--user", name, "--name", &format!("phone of {name}")]);
        json(&data, &["space", "grant", &first, name, "owner"]);
    };
    own(name);
    json(&data, &["space", "grant", &second, name, "writer"]);
    json(&data, &["space", "remove", &first, "default"]);
    assert!(!holders(&data, name).is_empty(), "the control");
    let told = json(&data, &["purge", "user", name, "--confirm"]);
    assert_eq!((&told[0]["tokens"], &told[0]["sole_spaces"]), (&Value::from(1), &Value::from(vec![first.clone()])));
    assert_eq!(holders(&data, name), Vec::<String>::new());
    assert_eq!(readable(&log_file(&data), marked.space), 730, "what it owned stays");
    assert!(json(&data, &["space", "members", &first]).is_empty());
    assert_eq!(json(&data, &["space", "members", &second]).len(), 1);
    assert!(json(&data, &["token", "list"])[0]["revoked_ms"].is_i64());
    assert_eq!(failure(&data, &["purge", "user", name, "--confirm"]).0, Some(4), "it is forgotten");

    own("another");
    json(&data, &["purge", "user", "another", "--with-spaces", "--confirm"]);
    assert_eq!(holders(&data, MARK), Vec::<String>::new());
    assert!(!Desk::is_served(&data, 1) && Desk::is_served(&data, 2));
    assert_eq!(json(&data, &["verify"])[0]["problems"], 0);
}
