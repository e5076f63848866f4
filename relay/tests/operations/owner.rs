//! Whose the files are that a command makes which root runs on the folder of the relay's user.

#![cfg(unix)]
#![expect(clippy::print_stderr, reason = "a test that looked at nothing says so")]

use super::doctor::{about, examined};
use super::filled::Desk;
use super::{done, json, names, path};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

/// A user that is not root, whether there is one of that number or not.
const USER: u32 = 54_321;

/// Gives the folder to the relay's user; only root may. Answers whether it is given.
fn give(folder: &Path) -> bool {
    let is_given = chown(folder, Some(USER), Some(USER)).is_ok();
    if !is_given {
        eprintln!("nothing was looked at: only root gives a folder away");
    }
    is_given
}

/// The files of a folder that are not the user's alone.
fn strange(folder: &Path) -> Vec<String> {
    let is_strange = |name: &String| {
        let found = fs::metadata(folder.join(name)).unwrap();
        (found.uid(), found.gid(), found.permissions().mode() & 0o777) != (USER, USER, 0o600)
    };
    names(folder).into_iter().filter(is_strange).collect()
}

#[test]
fn what_root_makes_in_the_folder_is_its_owners() {
    let folder = tempfile::tempdir().unwrap();
    let (source, data, file) = (folder.path().join("source"), folder.path().join("data"), folder.path().join("backup"));
    Desk::open(&source, 1).write("content", 100);
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
    if !give(&data) {
        return;
    }
    json(&data, &["token", "create"]);
    json(&data, &["compact"]);
    json(&data, &["backup", path(&file)]);
    assert_eq!(strange(&data), [""; 0], "{:?}", names(&data));
    assert_ne!(fs::metadata(&file).unwrap().uid(), USER, "a backup is of whoever made it");

    json(&source, &["backup", "--force", path(&file)]);
    json(&data, &["restore", "--replace", path(&file)]);
    assert!(names(&data).iter().any(|name| name.contains(".replaced-")), "the control: there was a log");
    assert_eq!(strange(&data), [""; 0], "{:?}", names(&data));
    assert!(names(&data).contains(&"relay.lock".to_owned()), "the control: locks are looked at, too");
    assert_eq!(about(&examined(&data, &[]).0, "folder").0, "good");
}

#[test]
fn what_the_relays_user_may_not_open_is_told_with_the_way_to_mend_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    json(&data, &["token", "create"]);
    assert_eq!(about(&examined(&data, &[]).0, "folder").0, "good", "the control: all of it is of one user");
    if !give(&data) {
        return;
    }
    let (findings, code) = examined(&data, &[]);
    let (level, words) = about(&findings, "folder");
    assert_eq!((code, level.as_str()), (Some(6), "problem"), "{words}");
    assert!(
        words.contains("log.sqlite") && words.contains(&format!("user {USER}")) && words.contains("chown"),
        "{words}"
    );
    // As it says.
    let mended = std::process::Command::new("chown").arg("-R").arg(USER.to_string()).arg(&data).status().unwrap();
    assert!(mended.success() && done(&data, &["doctor"]).status.success());
}
