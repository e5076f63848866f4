//! Commands of a user who may not look into the data folder, or not write where something is to be made.

#![cfg(unix)]

use super::doctor::about;
use super::{json, names, path, relay};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Output;

/// Users that are not root, whether there are some of those numbers or not.
const OWNER: u32 = 54_321;
const STRANGER: u32 = 54_322;

/// A folder with a relay's data, whose owner the one who runs a command is not.
struct Closed {
    /// Where everything is; everybody may look there.
    folder: tempfile::TempDir,
    data: PathBuf,
    /// The owner of the data, and who runs commands. Both are the same where the tests do not run as root: then the rights alone keep out.
    owner: u32,
    stranger: Option<u32>,
}

impl Closed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let data = folder.path().join("data");
        json(&data, &["token", "create"]);
        if chown(&data, Some(OWNER), Some(OWNER)).is_ok() {
            chown(data.join("log.sqlite"), Some(OWNER), Some(OWNER)).unwrap();
            return Self { folder, data, owner: OWNER, stranger: Some(STRANGER) };
        }
        let owner = fs::metadata(&data).unwrap().uid();
        Self { folder, data, owner, stranger: None }
    }

    /// Sets the rights of a folder or a file. Where no other user can run the commands, nobody has any.
    fn allow(&self, path: &Path, mode: u32) {
        let mode = if self.stranger.is_some() { mode } else { mode & 0o077 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn run(&self, data: &Path, arguments: &[&str]) -> Output {
        let mut command = relay(data, arguments);
        if let Some(user) = self.stranger {
            command.uid(user).gid(user);
        }
        command.arg("--json").output().unwrap()
    }

    fn who(&self) -> u32 {
        self.stranger.unwrap_or(self.owner)
    }
}

impl Drop for Closed {
    fn drop(&mut self) {
        // So that it can be removed by who is not root, too.
        let _ = fs::set_permissions(&self.data, fs::Permissions::from_mode(0o700));
    }
}

fn error(output: &Output) -> Value {
    assert!(!output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stderr).unwrap_or_else(|_| panic!("one object: {output:?}"))
}

#[test]
fn who_may_not_look_into_the_folder_is_told_so_and_as_whom_to_run_it() {
    let closed = Closed::new();
    let (data, backup) = (&closed.data, closed.folder.path().join("backup"));
    json(data, &["backup", path(&backup)]);
    fs::set_permissions(&backup, fs::Permissions::from_mode(0o644)).unwrap();
    let commands = [
        &["token", "list"][..],
        &["token", "create"],
        &["user", "create", "ada"],
        &["user", "list"],
        &["space", "list"],
        &["session", "list"],
        &["device", "list"],
        &["compact"],
        &["verify"],
        &["backup", "/nowhere/backup"],
        &["restore", path(&backup)],
        &["serve", "--listen", "127.0.0.1:0", "--log", "off"],
    ];
    // The folder, and then its file alone.
    for (closing, mode) in [(data.clone(), 0o700), (data.join("log.sqlite"), 0o600)] {
        fs::set_permissions(data, fs::Permissions::from_mode(0o755)).unwrap();
        closed.allow(&closing, mode);
        for command in commands {
            let output = closed.run(data, command);
            let told = error(&output);
            let (error, next) = (told["error"].as_str().unwrap(), told["next"].as_str().unwrap_or_default());
            assert_eq!(output.status.code(), Some(1), "{command:?}: {told}");
            assert!(
                error.contains(&format!("user {} may not look into", closed.who())) && error.contains(path(data)),
                "{command:?}: {told}"
            );
            assert!(error.contains(&format!("user {}", closed.owner)), "whose it is: {command:?}: {told}");
            assert!(next.contains("as the user whose folder it is"), "{command:?}: {told}");
        }
        let output = closed.run(data, &["doctor"]);
        assert_eq!(output.status.code(), Some(6), "{output:?}");
        let found = String::from_utf8(output.stdout).unwrap();
        let findings: Vec<Value> = found.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (level, words) = about(&findings, "folder");
        assert!(level == "problem" && words.contains("may not look into") && words.contains("as the user"), "{words}");
    }
    fs::set_permissions(data.join("log.sqlite"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(json(data, &["token", "list"]).len(), 1, "the control: nothing is gone, and nothing was made");
}

#[test]
fn a_log_that_cannot_be_opened_is_told_with_its_file_what_is_in_the_way_and_what_to_do() {
    let closed = Closed::new();
    let (log, shared) = (closed.data.join("log.sqlite"), closed.data.join("log.sqlite-shm"));
    fs::write(&shared, "").unwrap();
    if let Some(user) = closed.stranger {
        for own in [&closed.data, &log, &closed.data.join("relay.lock")] {
            // Not all of them are there.
            let _ = chown(own, Some(user), Some(user));
        }
        chown(&shared, Some(closed.owner), Some(closed.owner)).unwrap();
    }
    let serve = ["serve", "--listen", "127.0.0.1:0", "--log", "off"];
    // What a command of root left, and then a log that may be read alone.
    for (file, mode) in [(&shared, 0o600), (&log, 0o444)] {
        closed.allow(file, mode);
        if file == &log {
            fs::remove_file(&shared).unwrap();
            fs::set_permissions(&log, fs::Permissions::from_mode(0o444)).unwrap();
        }
        for command in [&serve[..], &["token", "list"]] {
            let told = error(&closed.run(&closed.data, command));
            let words = told["error"].as_str().unwrap();
            assert!(words.contains(&format!("the log {} could not be opened", path(&log))), "{command:?}: {told}");
            assert!(words.contains(&format!("user {} may not write {}", closed.who(), path(file))), "{told}");
            assert!(!words.contains("code 14"), "{told}");
            assert!(told["next"].as_str().unwrap().contains("chown -R --reference=FOLDER FOLDER"), "{told}");
        }
    }
    // What SQLite made beside the log has its rights.
    for name in names(&closed.data).iter().filter(|name| name.starts_with("log.sqlite")) {
        fs::set_permissions(closed.data.join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let listed = closed.run(&closed.data, &["token", "list"]);
    assert!(listed.status.success(), "the control: {listed:?}");

    let taken = closed.folder.path().join("taken");
    fs::create_dir_all(taken.join("log.sqlite")).unwrap();
    let told = error(&json_of(&taken, &serve));
    let expected = format!("{} is no file", path(&taken.join("log.sqlite")));
    assert!(told["error"].as_str().unwrap().contains(&expected), "{told}");
    assert!(told["next"].as_str().unwrap().contains("another folder"), "{told}");
}

fn json_of(data: &Path, arguments: &[&str]) -> Output {
    relay(data, arguments).arg("--json").output().unwrap()
}

#[test]
fn what_is_no_folder_of_a_relay_is_told_as_before() {
    let closed = Closed::new();
    let told = closed.run(&closed.folder.path().join("typo"), &["token", "list"]);
    assert_eq!(told.status.code(), Some(4));
    assert!(error(&told)["error"].as_str().unwrap().contains("there is no relay's data in"));
}

#[test]
fn who_may_not_write_where_a_file_is_to_be_made_is_told_so_and_where_to_make_it() {
    let closed = Closed::new();
    if let Some(user) = closed.stranger {
        for of_relay in ["", "log.sqlite", "relay.lock", "backup.lock"] {
            // Not all of them are there.
            let _ = chown(closed.data.join(of_relay), Some(user), Some(user));
        }
    }
    let place = closed.folder.path().join("place");
    fs::create_dir(&place).unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o555)).unwrap();
    let file = place.join("file");
    for (command, next) in
        [(&["token", "create", "--output"][..], "umask 077; afield-relay token create"), (&["backup"], "folder")]
    {
        let told = error(&closed.run(&closed.data, &[command, &[path(&file)]].concat()));
        let words = told["error"].as_str().unwrap();
        let expected = format!("user {} may not write into {}", closed.who(), path(&place));
        assert!(words.contains(&expected), "{command:?}: {told}");
        assert!(told["next"].as_str().is_some_and(|told| told.contains(next)), "{command:?}: {told}");
    }
    let made = closed.run(&closed.data, &["token", "list"]);
    assert_eq!(String::from_utf8(made.stdout).unwrap().lines().count(), 1, "no token was made that nobody has");
}
