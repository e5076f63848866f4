//! `backup`: one file that holds the log, made beside a relay.

use super::filled::{Desk, log_file, readable};
use super::{Serving, done, failure, json, names, path};
use std::fs;
#[cfg(target_os = "linux")]
use std::io::Write;
#[cfg(target_os = "linux")]
use std::path::Path;
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

/// The variable of the environment that makes a test fail where no disk can be mounted for it.
#[cfg(target_os = "linux")]
const MOUNTS_REQUIRED: &str = "AFIELD_REQUIRE_MOUNTS";

/// Runs a script of the shell with a small disk of its own at a folder: `$1` is that, and what follows are `more`. Nobody else sees the disk.
///
/// `None` where this system mounts nothing for this user, which is said, and an error where [`MOUNTS_REQUIRED`] is set.
#[cfg(target_os = "linux")]
fn with_disk(disk: &Path, bytes: u64, script: &str, more: &[&Path]) -> Option<std::process::Output> {
    use std::io::Write as _;
    let unshare = |user: &[&str]| {
        let mut command = std::process::Command::new("unshare");
        command.args(user).arg("--mount");
        command
    };
    let mounts = |user: &&[&str]| unshare(user).arg("true").output().is_ok_and(|output| output.status.success());
    let Some(user) = [&["--map-root-user"][..], &[]].into_iter().find(mounts) else {
        let wanted = "this test mounts a small disk: install util-linux (unshare), and run it as root or where users may have namespaces of \
            their own (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0)";
        assert!(std::env::var_os(MOUNTS_REQUIRED).is_none(), "{MOUNTS_REQUIRED} is set: {wanted}");
        // Not `println!`, which nobody sees of a test that passes.
        let notice = format!("\nNOT TESTED: {wanted}; {MOUNTS_REQUIRED}=1 makes this an error\n");
        let _ = std::io::stderr().write_all(notice.as_bytes());
        return None;
    };
    fs::create_dir(disk).unwrap();
    let script = format!("mount -t tmpfs -o size={bytes} none \"$1\" && {script}");
    Some(unshare(user).args(["sh", "-c", &script, "sh"]).arg(disk).args(more).output().unwrap())
}

#[cfg(target_os = "linux")]
const PROGRAM: &str = env!("CARGO_BIN_EXE_afield-relay");

/// The log of a folder, with more than two megabytes; how large it is.
#[cfg(target_os = "linux")]
fn filled(data: &Path) -> u64 {
    Desk::open(data, 1).write("content", 8_000);
    let bytes = fs::metadata(log_file(data)).unwrap().len();
    assert!(bytes > 2 << 20, "the control: {bytes}");
    bytes
}

#[cfg(target_os = "linux")]
#[test]
fn a_backup_that_does_not_fit_on_its_disk_is_refused_with_both_figures_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (data, disk) = (folder.path().join("data"), folder.path().join("disk"));
    let needed = filled(&data);
    let script = "{ \"$3\" backup \"$1/backup\" --data \"$2\" --json; echo $?; ls -A \"$1\"; }";
    let Some(output) = with_disk(&disk, 1 << 20, script, &[&data, Path::new(PROGRAM)]) else { return };
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1\n", "nothing is left of the copy");
    let error: serde_json::Value = serde_json::from_slice(&output.stderr).expect("one object");
    let words = error["error"].as_str().unwrap();
    assert!(words.contains(path(&disk)) && words.contains(&format!("it takes {needed} B, and 1048576 B are free")));
    assert!(!words.contains("stay free"), "the log is elsewhere: {error}");
    assert!(error["next"].as_str().unwrap().contains("another disk"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_backup_on_the_disk_of_the_log_leaves_what_the_relay_needs_to_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let (data, disk) = (folder.path().join("data"), folder.path().join("disk"));
    let bytes = filled(&data);
    // Two of them fit, and leave a fifth.
    let run = |variable: &str| {
        let script = format!(
            "cp -r \"$2\" \"$1/data\" && {variable} \"$3\" backup \"$1/backup\" --data \"$1/data\" --json; echo $?; ls -A \"$1\""
        );
        with_disk(&disk, bytes * 5 / 2, &script, &[&data, Path::new(PROGRAM)])
    };
    let Some(refused) = run("AFIELD_DISK_FREE_MIN_PERCENT=30") else { return };
    assert_eq!(String::from_utf8_lossy(&refused.stdout), "1\ndata\n");
    let error: serde_json::Value = serde_json::from_slice(&refused.stderr).expect("one object");
    let words = error["error"].as_str().unwrap();
    assert!(words.contains(&format!("it takes {bytes} B")) && words.contains("stay free"), "{error}");
    assert!(error["next"].as_str().unwrap().contains("AFIELD_DISK_FREE_MIN_PERCENT=0"), "{error}");
    fs::remove_dir(&disk).unwrap();
    let made = run("AFIELD_DISK_FREE_MIN_PERCENT=10").expect("it was mounted before");
    let told = String::from_utf8_lossy(&made.stdout);
    assert!(told.contains("0\nbackup\ndata\n"), "the control: {told} {}", String::from_utf8_lossy(&made.stderr));
}

/// Where this names a folder, the test is the part of it that runs beside a small disk.
#[cfg(target_os = "linux")]
const SMALL_DISK: &str = "AFIELD_TEST_SMALL_DISK";

#[cfg(target_os = "linux")]
#[test]
fn a_backup_whose_disk_fills_up_on_the_way_names_that_one_and_leaves_nothing() {
    use afield_relay::operations::{BackupError, BackupOptions, back_up};
    use afield_relay::server::DataFolder;

    if let (Some(disk), Some(data)) = (std::env::var_os(SMALL_DISK), std::env::var_os("AFIELD_TEST_DATA")) {
        let (disk, data) = (Path::new(&disk), DataFolder::existing(data.into()).unwrap());
        let mut filler = fs::File::create(disk.join("filler")).unwrap();
        let fill = &mut |_, _| while filler.write_all(&[7; 4096]).is_ok() {};
        let error = back_up(&data, &disk.join("backup"), BackupOptions::default(), fill).unwrap_err();
        assert!(matches!(&error, BackupError::Full { folder, .. } if folder == disk), "{error:?}");
        assert_eq!(error.to_string(), format!("the disk that holds {} is full", disk.display()));
        assert_eq!(names(disk), ["filler"], "nothing is left of the copy");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (data, disk) = (folder.path().join("data"), folder.path().join("disk"));
    let bytes = filled(&data);
    let name = std::thread::current().name().unwrap().to_owned();
    let script = format!("{SMALL_DISK}=\"$1\" AFIELD_TEST_DATA=\"$2\" \"$3\" --exact {name}");
    let program = std::env::current_exe().unwrap();
    let Some(output) = with_disk(&disk, bytes + (1 << 20), &script, &[&data, &program]) else { return };
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("1 passed"), "{told} {}", String::from_utf8_lossy(&output.stderr));
}
