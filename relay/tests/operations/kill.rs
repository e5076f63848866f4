//! The program killed at random moments: what is there then is the old state or the new one, and the same command again completes.
//!
//! `AFIELD_KILLS=100` kills each command that often; `AFIELD_SEED` repeats a run.

mod migration;
mod purge;

use super::filled::{Desk, log_file, readable};
use super::purge::MARK;
use super::{json, names, path, relay};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How often each command is killed.
const KILLS: u64 = 8;

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Repeatable randomness (splitmix64).
struct Seeded(u64);

impl Seeded {
    #[expect(clippy::print_stdout, reason = "a failure is repeated with its seed")]
    fn new() -> Self {
        let seed = from_environment("AFIELD_SEED").unwrap_or_else(|| u64::from(std::process::id()) ^ 0x5eed);
        println!("AFIELD_SEED={seed}");
        Self(seed)
    }

    /// A part of a time.
    fn part_of(&mut self, whole: Duration) -> Duration {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        whole.mul_f64((mixed >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

/// Runs a command to its end; gives how long that took.
fn run(mut command: Command) -> Duration {
    let since = Instant::now();
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    since.elapsed()
}

/// Starts a command and kills it after some time, unless it has ended by then.
fn killed_after(mut command: Command, time: Duration) {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let since = Instant::now();
    while since.elapsed() < time && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    // It may have ended.
    let _ = child.kill();
    child.wait().unwrap();
}

/// Kills a command at random moments, each time beginning with `fresh` files; looks at what is left, and lets it run again.
fn kill_often(fresh: impl Fn(), command: impl Fn() -> Command, look: impl Fn(), check_done: impl Fn()) {
    kill_and_complete(KILLS, fresh, &command, look, |_| run(command()), check_done);
}

/// The same for what is not simply run again: `complete` is given what was seen, or nothing where nothing was killed, and gives how long it
/// took, which is as long as a killed one may run.
fn kill_and_complete<T>(
    kills: u64,
    fresh: impl Fn(),
    command: impl Fn() -> Command,
    look: impl Fn() -> T,
    complete: impl Fn(Option<T>) -> Duration,
    check_done: impl Fn(),
) {
    let mut seeded = Seeded::new();
    fresh();
    let whole = complete(None);
    check_done();
    for _ in 0..from_environment("AFIELD_KILLS").unwrap_or(kills) {
        fresh();
        killed_after(command(), seeded.part_of(whole.mul_f64(1.1)));
        complete(Some(look()));
        check_done();
    }
}

/// Puts files in a folder, in the place of all that are there.
fn put(folder: &Path, files: &[(String, Vec<u8>)]) {
    // It may not be there yet.
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).unwrap();
    files.iter().for_each(|(name, bytes)| fs::write(folder.join(name), bytes).unwrap());
}

/// A log of so many chunks in spaces 1 and 2, as files, while it is open: some of it is in the WAL alone.
fn log_of(folder: &Path, chunks: usize) -> Vec<(String, Vec<u8>)> {
    let data = folder.join(format!("log of {chunks}"));
    let (mut first, mut second) = (Desk::open(&data, 1), Desk::open(&data, 2));
    first.write(MARK, chunks);
    second.write("second", chunks);
    files_of(&data)
}

/// The files of a log, as they are while something has it open.
fn files_of(data: &Path) -> Vec<(String, Vec<u8>)> {
    let files = names(data).into_iter().filter(|name| !name.ends_with("-shm"));
    files.map(|name| (name.clone(), fs::read(data.join(name)).unwrap())).collect()
}

/// The log's file, copied with its WAL, so that looking at it changes nothing.
fn copied(data: &Path) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    for name in ["log.sqlite", "log.sqlite-wal"] {
        if data.join(name).exists() {
            fs::copy(data.join(name), folder.path().join(name)).unwrap();
        }
    }
    let file = log_file(folder.path());
    (folder, file)
}

fn chunks_in(data: &Path, number: u8) -> usize {
    let (_folder, file) = copied(data);
    readable(&file, afield_core::SpaceId::from_bytes([number; 16]))
}

#[test]
fn a_backup_that_is_killed_leaves_the_older_one_or_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let (data, backups) = (folder.path().join("data"), folder.path().join("backups"));
    let older = log_of(folder.path(), 100);
    put(&data, &older);
    fs::create_dir(&backups).unwrap();
    let file = backups.join("backup");
    json(&data, &["backup", path(&file)]);
    let old = fs::read(&file).unwrap();
    put(&data, &log_of(folder.path(), 3_000));
    kill_often(
        || put(&backups, &[("backup".to_owned(), old.clone())]),
        || relay(&data, &["backup", "--force", path(&file)]),
        || {
            let copy = folder.path().join("looked at");
            fs::copy(&file, &copy).unwrap();
            assert!([100, 3_000].contains(&readable(&copy, afield_core::SpaceId::from_bytes([1; 16]))));
        },
        || {
            assert_eq!(names(&backups), ["backup"]);
            json(&data, &["verify", path(&file)]);
            assert!(fs::metadata(&file).unwrap().len() > old.len() as u64);
        },
    );
}

#[test]
fn a_restore_that_is_killed_leaves_the_log_that_was_there_or_the_backup() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("backup"));
    put(&data, &log_of(folder.path(), 3_000));
    json(&data, &["token", "create"]);
    json(&data, &["backup", path(&file)]);
    let late = log_of(folder.path(), 200);
    kill_often(
        || put(&data, &late),
        || relay(&data, &["restore", "--replace", path(&file)]),
        || assert!([200, 3_000].contains(&chunks_in(&data, 1)), "{:?}", names(&data)),
        || {
            assert_eq!(chunks_in(&data, 1), 3_000);
            assert!(json(&data, &["token", "list"]).iter().all(|token| token["revoked_ms"].is_i64()), "R7");
            json(&data, &["verify"]);
            assert!(!names(&data).iter().any(|name| name.contains("restoring")));
        },
    );
}
