//! `backup`: one file that holds the log, made beside a relay.

use super::filled::{Desk, log_file, readable};
use super::{Serving, done, failure, json, names, path};
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[test]
fn backups_beside_a_relay_are_whole_and_hold_what_was_there_when_they_began() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut desk = Desk::open(&data, 1);
    desk.write("before", 2_000);
    let _relay = Serving::start(&data);
    let (space, written, is_over) = (desk.space, AtomicUsize::new(2_000), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                desk.write("meanwhile", 5);
                written.fetch_add(5, Ordering::SeqCst);
            }
        });
        for number in 0..4 {
            let file = folder.path().join(format!("backup-{number}"));
            let before = written.load(Ordering::SeqCst);
            let told = json(&data, &["backup", path(&file)]);
            let after = written.load(Ordering::SeqCst) + 5;
            assert_eq!(told[0]["bytes"].as_u64(), Some(fs::metadata(&file).unwrap().len()));
            let found = readable(&file, space);
            assert!((before..=after).contains(&found), "{before} <= {found} <= {after}");
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_file_that_is_there_is_replaced_only_when_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("backup"));
    let mut desk = Desk::open(&data, 1);
    desk.write("one", 3);
    assert!(done(&data, &["backup", path(&file)]).status.success());
    desk.write("two", 4);
    let before = fs::read(&file).unwrap();
    let (code, error) = failure(&data, &["backup", path(&file)]);
    assert_eq!(code, Some(2));
    assert!(error["next"].as_str().unwrap().contains("--force"));
    assert_eq!(fs::read(&file).unwrap(), before);
    json(&data, &["backup", "--force", path(&file)]);
    assert_eq!(readable(&file, desk.space), 7);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    for place in [log_file(&data), folder.path().to_owned()] {
        assert_eq!(failure(&data, &["backup", "--force", path(&place)]).0, Some(2), "{}", place.display());
    }
    assert_eq!(readable(&log_file(&data), desk.space), 7, "the log is what it was");
    assert_eq!(failure(&folder.path().join("typo"), &["backup", path(&file)]).0, Some(4));
}

#[test]
fn a_log_that_is_not_whole_makes_no_backup_and_leaves_the_older_one() {
    let folder = tempfile::tempdir().unwrap();
    let (data, backups) = (folder.path().join("data"), folder.path().join("backups"));
    fs::create_dir(&backups).unwrap();
    let file = backups.join("backup");
    let mut desk = Desk::open(&data, 1);
    desk.write("one", 2_000);
    drop(desk);
    json(&data, &["backup", path(&file)]);
    let good = fs::read(&file).unwrap();
    let mut bytes = fs::read(log_file(&data)).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 3 * 4096].fill(0xa5);
    fs::write(log_file(&data), &bytes).unwrap();
    let (code, error) = failure(&data, &["backup", "--force", path(&file)]);
    assert_eq!(code, Some(1));
    assert!(error["next"].as_str().unwrap().contains("restore"), "{error}");
    assert_eq!(fs::read(&file).unwrap(), good);
    assert_eq!(names(&backups), ["backup"]);
}

#[test]
fn one_backup_of_a_folder_is_made_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("backup"));
    Desk::open(&data, 1).write("one", 3);
    json(&data, &["backup", path(&file)]);
    let lock = fs::File::open(data.join("backup.lock")).unwrap();
    lock.try_lock().unwrap();
    let (code, error) = failure(&data, &["backup", "--force", path(&file)]);
    assert_eq!((code, &error["code"]), (Some(3), &serde_json::Value::from("in_use")));
    drop(lock);
    json(&data, &["backup", "--force", path(&file)]);
}

/// A disk of one megabyte is mounted for this one command, where this system lets somebody who is not root do that.
#[cfg(target_os = "linux")]
#[test]
fn a_backup_that_finds_its_own_disk_full_names_that_one() {
    let folder = tempfile::tempdir().unwrap();
    let (data, disk) = (folder.path().join("data"), folder.path().join("disk"));
    fs::create_dir(&disk).unwrap();
    Desk::open(&data, 1).write("content", 8_000);
    assert!(fs::metadata(log_file(&data)).unwrap().len() > 2 << 20, "the control: it does not fit");
    let with_disk = |script: &str| {
        let mut command = std::process::Command::new("unshare");
        let script = format!("mount -t tmpfs -o size=1m none \"$1\" && {script}");
        command.args(["--map-root-user", "--mount", "sh", "-c", &script, "sh", path(&disk), path(&data)]);
        command.arg(env!("CARGO_BIN_EXE_afield-relay")).output()
    };
    if !with_disk("true").is_ok_and(|output| output.status.success()) {
        return;
    }
    let output = with_disk("{ \"$3\" backup \"$1/backup\" --data \"$2\" --json; ls -A \"$1\"; }").unwrap();
    let error: serde_json::Value = serde_json::from_slice(&output.stderr).expect("one object");
    let words = error["error"].as_str().unwrap();
    assert!(words.contains(path(&disk)) && words.contains("is full") && !words.contains("log"), "{error}");
    assert!(error["next"].as_str().unwrap().contains("another disk"), "{error}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "nothing is left of the copy");
}
