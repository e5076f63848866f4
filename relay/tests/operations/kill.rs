//! The program killed at random moments: what is there then is the old state or the new one, and the same command again completes.
//!
//! `AFIELD_KILLS=100` kills each command that often; `AFIELD_SEED` repeats a run.

use super::filled::{Desk, log_file, readable};
use super::purge::{MARK, holders};
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
    let mut seeded = Seeded::new();
    fresh();
    let whole = run(command());
    check_done();
    for _ in 0..from_environment("AFIELD_KILLS").unwrap_or(KILLS) {
        fresh();
        killed_after(command(), seeded.part_of(whole.mul_f64(1.1)));
        look();
        run(command());
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
    let files = names(&data).into_iter().filter(|name| !name.ends_with("-shm"));
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

#[test]
fn a_purge_that_is_killed_leaves_all_of_the_space_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let files = log_of(folder.path(), 3_000);
    put(&data, &files);
    assert!(!holders(&data, MARK).is_empty(), "the control");
    let space = afield_core::SpaceId::from_bytes([1; 16]).to_string();
    kill_often(
        || put(&data, &files),
        || relay(&data, &["purge", "space", &space, "--confirm"]),
        || {
            assert!([0, 3_000].contains(&chunks_in(&data, 1)));
            assert_eq!(chunks_in(&data, 2), 3_000, "and of no other");
        },
        || {
            json(&data, &["verify"]);
            assert!(!Desk::is_served(&data, 1));
            let holders = holders(&data, MARK);
            assert!(holders.is_empty(), "{holders:?}");
        },
    );
}

#[test]
fn a_purge_of_an_entity_that_is_killed_takes_all_of_it_away_when_it_is_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    put(&data, &log_of(folder.path(), 3_000));
    json(&data, &["compact"]);
    let files: Vec<_> =
        names(&data).into_iter().map(|name| (name.clone(), fs::read(data.join(name)).unwrap())).collect();
    let id = afield_core::SpaceId::from_bytes([1; 16]).to_string();
    let entity = afield_core::EntityId::from_bytes([1; 16]).to_string();
    kill_often(
        || put(&data, &files),
        || relay(&data, &["purge", "entity", &id, &entity, "--confirm"]),
        || assert_eq!(chunks_in(&data, 2), 3_000, "others are as they were"),
        || {
            assert_eq!(json(&data, &["verify"])[0]["documents"], 1, "one is left");
            assert_eq!(chunks_in(&data, 1), 1, "the record");
        },
    );
}

#[test]
fn a_migration_of_the_schema_that_is_killed_is_not_begun_or_done() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut old = rusqlite::Connection::open(folder.path().join("old")).unwrap();
    old.execute_batch(include_str!("../../src/log/sqlite/schema_1.sql")).unwrap();
    old.execute_batch(include_str!("../../src/log/sqlite/schema_1/erasures.sql")).unwrap();
    let rows = old.transaction().unwrap();
    for number in 2..40_000_i64 {
        let user = "INSERT INTO users (number, name, created_ms) VALUES (?1, ?1, 0)";
        rows.prepare_cached(user).unwrap().execute([number]).unwrap();
        let token = "INSERT INTO tokens (user, hash, may_create, read_only, restricted, created_ms)
            VALUES (?1, randomblob(32), 1, 0, 0, 0)";
        rows.prepare_cached(token).unwrap().execute([number]).unwrap();
    }
    rows.commit().unwrap();
    old.execute_batch("PRAGMA application_id = 0x4166526c; PRAGMA user_version = 1").unwrap();
    drop(old);
    let files = [("log.sqlite".to_owned(), fs::read(folder.path().join("old")).unwrap())];
    kill_often(
        || put(&data, &files),
        || relay(&data, &["user", "disable", "2"]),
        || {
            let (_folder, file) = copied(&data);
            let copy = rusqlite::Connection::open(file).unwrap();
            let number = |sql: &str| copy.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
            let version = number("PRAGMA user_version");
            let tables = "SELECT count(*) FROM sqlite_schema WHERE name IN ('devices', 'purged_spaces', 'purged_owners', 'sessions')";
            let has_tables = number(tables);
            assert!([(1, 0), (6, 4)].contains(&(version, has_tables)), "{version}, {has_tables}");
            assert_eq!(number("SELECT count(*) FROM users"), 39_999);
        },
        || {
            json(&data, &["verify"]);
        },
    );
}
