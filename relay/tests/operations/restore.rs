//! `restore`: a backup in the place of the log.

use super::filled::{Desk, log_file, readable};
use super::{Serving, done, failure, json, names, path};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// A folder with a log of so many chunks, a token and an invitation, and a backup of it.
fn with_backup(folder: &Path, chunks: usize) -> (PathBuf, PathBuf, Desk) {
    let (data, file) = (folder.join("data"), folder.join("backup"));
    let mut desk = Desk::open(&data, 1);
    desk.write("early", chunks);
    json(&data, &["token", "create", "--name", "phone"]);
    json(&data, &["space", "invite", &desk.space.to_string()]);
    json(&data, &["backup", path(&file)]);
    (data, file, desk)
}

fn is_good(data: &Path) -> bool {
    json(data, &["token", "list"]).iter().all(|token| token["revoked_ms"] == Value::Null)
}

#[test]
fn a_restored_backup_brings_no_access_back_unless_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file, desk) = with_backup(folder.path(), 10);
    assert!(done(&data, &["token", "revoke", "1"]).status.success());
    let other = folder.path().join("other/deep");
    let told = json(&other, &["restore", path(&file)]);
    assert_eq!((&told[0]["chunks"], &told[0]["revoked_tokens"]), (&Value::from(10), &Value::from(1)));
    assert_eq!((&told[0]["withdrawn_invitations"], &told[0]["kept"]), (&Value::from(1), &Value::Null));
    assert!(!is_good(&other), "R7");
    assert!(json(&other, &["space", "invitations", &desk.space.to_string()])[0]["withdrawn_ms"].is_i64());
    assert_eq!(readable(&log_file(&other), desk.space), 10);

    let kept = folder.path().join("kept");
    let told = json(&kept, &["restore", "--keep-access", path(&file)]);
    assert_eq!(told[0]["revoked_tokens"], Value::Null);
    assert!(is_good(&kept), "the control");
    let said = done(&folder.path().join("words"), &["restore", path(&file)]);
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("token create") && said.contains("everybody is signed out"), "{said}");
    assert!(said.contains("members") && said.contains("closed accounts"), "{said}");
    assert!(said.contains("with the devices of their owners") && said.contains("space grant"), "{said}");
    for told in [&json(&folder.path().join("told"), &["restore", path(&file)]), &told] {
        let warning = told[0]["warning"].as_str().unwrap();
        assert!(warning.contains("members") && warning.contains("closed accounts"), "{warning}");
        assert!(told[0]["newer_spaces"].as_str().unwrap().contains("with the devices of their owners"), "{told:?}");
    }
}

#[test]
fn a_log_that_holds_something_is_replaced_only_when_that_is_asked_for_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file, mut desk) = with_backup(folder.path(), 10);
    desk.write("late", 20);
    let (code, error) = failure(&data, &["restore", path(&file)]);
    assert_eq!(code, Some(2));
    assert!(error["next"].as_str().unwrap().contains("--replace"));
    assert_eq!(readable(&log_file(&data), desk.space), 30);
    let space = desk.space;
    // What stands in the WAL alone is a part of the log.
    let (code, _) = failure(&data, &["restore", "--replace", path(&file)]);
    assert_eq!(code, Some(3), "this process uses the log");
    drop(desk);
    let told = json(&data, &["restore", "--replace", path(&file)]);
    assert_eq!(readable(&log_file(&data), space), 10);
    let kept = PathBuf::from(told[0]["kept"].as_str().unwrap());
    assert_eq!(readable(&kept, space), 30, "the one that was there");
    let told = json(&data, &["restore", "--replace", path(&file)]);
    assert_ne!(told[0]["kept"].as_str(), kept.to_str(), "a name is given once");
    json(&data, &["restore", "--replace", path(&kept)]);
    assert_eq!(readable(&log_file(&data), space), 30, "and back");

    let fresh = folder.path().join("fresh");
    drop(afield_relay::server::DataFolder::create(fresh.clone()).unwrap().open_log().unwrap());
    assert_eq!(json(&fresh, &["restore", path(&file)])[0]["kept"], Value::Null, "an empty log is nobody's loss");
}

#[test]
fn nothing_is_restored_under_a_relay_that_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file, desk) = with_backup(folder.path(), 10);
    drop(desk);
    let relay = Serving::start(&data);
    let (code, error) = failure(&data, &["restore", "--replace", path(&file)]);
    assert_eq!((code, &error["code"]), (Some(3), &Value::from("in_use")));
    drop(relay);
    json(&data, &["restore", "--replace", path(&file)]);
    // One that starts has the lock some moments before it opens the log.
    let lock = fs::File::open(data.join("relay.lock")).unwrap();
    lock.try_lock().unwrap();
    let (code, error) = failure(&data, &["restore", "--replace", path(&file)]);
    assert_eq!((code, &error["code"]), (Some(3), &Value::from("in_use")));
    drop(lock);
    json(&data, &["restore", "--replace", path(&file)]);
}

#[test]
fn what_is_no_whole_backup_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file, desk) = with_backup(folder.path(), 2_000);
    let good = fs::read(&file).unwrap();
    let bad = folder.path().join("bad");
    let damaged = {
        let mut bytes = good.clone();
        let middle = bytes.len() / 2 / 4096 * 4096;
        bytes[middle..middle + 3 * 4096].fill(0xa5);
        bytes
    };
    let newer = {
        let mut bytes = good.clone();
        bytes[60..64].copy_from_slice(&999_u32.to_be_bytes());
        bytes
    };
    let foreign = {
        let mut bytes = good.clone();
        bytes[68..72].copy_from_slice(&7_u32.to_be_bytes());
        bytes
    };
    drop(desk);
    let before = fs::read(log_file(&data)).unwrap();
    let cut = good[..good.len() / 2 / 4096 * 4096].to_vec();
    for (what, bytes) in [
        ("damaged", damaged),
        ("newer", newer),
        ("foreign", foreign),
        ("cut", cut),
        ("empty", vec![]),
        ("text", b"hello".to_vec()),
    ] {
        fs::write(&bad, bytes).unwrap();
        let (code, error) = failure(&data, &["restore", "--replace", path(&bad)]);
        assert_eq!(code, Some(1), "{what}: {error}");
        assert_eq!(fs::read(log_file(&data)).unwrap(), before, "{what}");
        let left = names(&data).into_iter().find(|name| name.contains("restoring") || name.contains("replaced"));
        assert_eq!(left, None, "{what}");
    }
    assert_eq!(failure(&data, &["restore", path(&folder.path().join("typo"))]).0, Some(4));
    fs::copy(&file, &bad).unwrap();
    fs::write(folder.path().join("bad-wal"), b"what was committed last").unwrap();
    assert_eq!(failure(&data, &["restore", "--replace", path(&bad)]).0, Some(2), "it is a log and no backup");
    json(&data, &["restore", "--replace", path(&file)]);
}

#[test]
fn a_log_that_cannot_be_opened_any_more_is_replaced_too() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file, desk) = with_backup(folder.path(), 100);
    let space = desk.space;
    drop(desk);
    fs::write(log_file(&data), vec![7; 8192]).unwrap();
    let wal = data.join("log.sqlite-wal");
    fs::write(&wal, b"of another log").unwrap();
    assert_eq!(failure(&data, &["restore", path(&file)]).0, Some(2), "it may hold something");
    let told = json(&data, &["restore", "--replace", path(&file)]);
    let kept = PathBuf::from(told[0]["kept"].as_str().unwrap());
    assert_eq!(fs::read(&kept).unwrap(), vec![7; 8192]);
    assert_eq!(fs::read(kept.with_file_name("log.sqlite.replaced-1-wal")).unwrap(), b"of another log");
    assert_eq!(readable(&log_file(&data), space), 100);
}
