//! A newer relay that is killed while it brings an older log to its schema.

use super::super::device::Device;
use super::super::filled::{Desk, log_file, readable};
use super::super::purge::MARK;
use super::super::{Serving, json, relay};
use super::{copied, files_of, kill_and_complete, put};
use afield_core::SpaceId;
use rusqlite::Connection;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// The way from each version of the schema to the next. One that is added to the relay is added here, too: the test says so.
const STEPS: [&str; 6] = [
    concat!(
        include_str!("../../../src/log/sqlite/schema_1.sql"),
        include_str!("../../../src/log/sqlite/schema_1/erasures.sql")
    ),
    include_str!("../../../src/log/sqlite/schema_2.sql"),
    include_str!("../../../src/log/sqlite/schema_3.sql"),
    include_str!("../../../src/log/sqlite/schema_4.sql"),
    include_str!("../../../src/log/sqlite/schema_5.sql"),
    include_str!("../../../src/log/sqlite/schema_6.sql"),
];
/// How often a relay is killed at each of them.
const KILLS: u64 = 4;
/// So many users make a step long enough to be killed in.
const USERS: i64 = 20_000;
/// What is in the space: packed, and fresh.
const CHUNKS: usize = 750;
const SPACE: SpaceId = SpaceId::from_bytes([1; 16]);

/// A log of this version with a space, users, tokens and devices; gives the token of the one who owns the space.
fn filled(data: &Path) -> String {
    let mut desk = Desk::open(data, 1);
    desk.write(MARK, 700);
    json(data, &["compact"]);
    desk.write(MARK, CHUNKS - 700);
    let made = json(data, &["token", "create"]);
    let token = made.first().and_then(|made| made.get("token")?.as_str()).unwrap().to_owned();
    drop(desk);
    let mut log = Connection::open(log_file(data)).unwrap();
    let rows = log.transaction().unwrap();
    for number in 2..2 + USERS {
        for sql in [
            "INSERT INTO users (number, name, created_ms) VALUES (?1, ?1, 0)",
            "INSERT INTO tokens (number, user, hash, may_create, read_only, restricted, created_ms)
                VALUES (?1, ?1, randomblob(32), 1, 0, 0, 0)",
            "INSERT INTO devices (user, id, token, first_seen_ms, last_seen_ms) VALUES (?1, randomblob(16), ?1, 0, 0)",
            "INSERT INTO shown_tokens (user, device, token) SELECT user, id, token FROM devices WHERE user = ?1",
        ] {
            rows.prepare_cached(sql).unwrap().execute([number]).unwrap();
        }
    }
    rows.commit().unwrap();
    token
}

/// The names of all that a schema has, and of the tables in it.
fn schema(log: &Connection, kind: &str) -> Vec<String> {
    let sql = "SELECT name FROM sqlite_schema WHERE type LIKE ?1 AND name NOT LIKE 'sqlite_%' ORDER BY name";
    let mut statement = log.prepare(sql).unwrap();
    statement.query_map([kind], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// What an older relay would have of a log: its tables with what they have in common with the newer ones. Some of it is in the WAL alone.
fn as_of(version: usize, data: &Path, current: &Path) -> (Vec<(String, Vec<u8>)>, Vec<String>) {
    std::fs::create_dir_all(data).unwrap();
    let log = Connection::open(log_file(data)).unwrap();
    log.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA foreign_keys = 0").unwrap();
    STEPS.iter().take(version).for_each(|step| log.execute_batch(step).unwrap());
    log.execute_batch("PRAGMA application_id = 0x4166526c; PRAGMA journal_mode = WAL").unwrap();
    log.pragma_update(None, "user_version", version as i64).unwrap();
    log.execute("ATTACH ?1 AS newer", [current.to_str().unwrap()]).unwrap();
    let mut tables = schema(&log, "table");
    // Triggers count in it what is copied.
    tables.sort_by_key(|table| table == "file");
    for table in tables {
        let sql = format!("SELECT group_concat(name) FROM pragma_table_info('{table}', 'main')");
        let columns: String = log.query_row(&sql, [], |row| row.get(0)).unwrap();
        log.execute_batch(&format!(
            "BEGIN; DELETE FROM main.{table};
            INSERT INTO main.{table} ({columns}) SELECT {columns} FROM newer.{table}; COMMIT"
        ))
        .unwrap();
    }
    log.execute_batch("DETACH newer").unwrap();
    let files = files_of(data);
    assert!(files.iter().any(|(name, bytes)| name.ends_with("-wal") && !bytes.is_empty()), "the control");
    (files, schema(&log, "%"))
}

fn serve(data: &Path) -> Command {
    relay(data, &["serve", "--listen", "127.0.0.1:0", "--json", "--log", "off"])
}

#[test]
fn a_relay_that_is_killed_while_it_brings_an_older_log_to_its_schema_has_not_begun_or_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let current = folder.path().join("current");
    let token = filled(&current);
    let newest = Connection::open(log_file(&current)).unwrap();
    let newest_version: i64 = newest.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(newest_version, STEPS.len() as i64, "this test knows all versions");
    let (new, data) = (schema(&newest, "%"), folder.path().join("data"));
    drop(newest);
    for version in 1..STEPS.len() {
        let (files, old) = as_of(version, &folder.path().join(format!("version {version}")), &log_file(&current));
        assert_ne!(old, new, "the control");
        kill_and_complete(
            KILLS,
            || put(&data, &files),
            || serve(&data),
            || {
                let (_folder, file) = copied(&data);
                let log = Connection::open(file).unwrap();
                let number = |sql: &str| log.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
                let is_done = number("PRAGMA user_version") == newest_version;
                assert!(is_done || number("PRAGMA user_version") == version as i64);
                assert_eq!(&schema(&log, "%"), if is_done { &new } else { &old }, "of version {version}");
                assert_eq!(number("SELECT count(*) FROM users"), USERS + 1);
                assert_eq!(number("SELECT count(*) FROM tokens"), USERS + 1);
            },
            |_| {
                let since = Instant::now();
                let serving = Serving::start(&data);
                let took = since.elapsed();
                drop(Device::connect(serving.url(), Some(&token), 3, SPACE));
                took
            },
            || {
                assert_eq!(json(&data, &["verify"])[0]["problems"], 0, "of version {version}");
                assert_eq!(readable(&log_file(&data), SPACE), CHUNKS);
                let devices = if version == 1 { 0 } else { USERS };
                assert!(json(&data, &["device", "list", "--user", "2"]).len() as i64 == devices.min(1));
            },
        );
    }
}
