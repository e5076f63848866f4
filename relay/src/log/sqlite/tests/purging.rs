//! What a purge of a space keeps from others, and for how long: not for the whole of it.

use super::*;
use crate::testing::Author;
use rusqlite::Connection;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// More chunks than one transaction takes away.
const CHUNKS: usize = 2_000;

fn number(connection: &Connection, sql: &str) -> usize {
    connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap().try_into().unwrap()
}

/// How many rows are left of all spaces.
fn rows(path: &Path) -> usize {
    let connection = Connection::open(path).unwrap();
    let tables = ["chunks", "segments", "segment_hashes", "change_prefixes", "actor_runs", "entities", "actors"];
    tables.iter().map(|table| number(&connection, &format!("SELECT count(*) FROM {table}"))).sum()
}

/// A space of which some is packed and some is not.
fn filled(path: &Path) -> Desk {
    let mut desk = Desk::with(SqliteLog::open(path).unwrap());
    desk.push(Author::new(1, 1).letters(CHUNKS));
    desk.compact();
    for actor in 2..=40 {
        desk.push(Author::new(actor, actor).letters(CHUNKS / 40));
    }
    desk
}

#[test]
fn a_purged_space_is_blocked_first_and_then_taken_away_in_short_transactions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let mut desk = filled(&path);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (noted, file) = (Arc::clone(&seen), path.clone());
    desk.log.inject_faults(move |at| {
        if at == FaultPoint::AfterCommit {
            let beside = Connection::open(&file).unwrap();
            beside.busy_timeout(std::time::Duration::ZERO).unwrap();
            beside.execute("UPDATE file SET upkeep = upkeep", []).expect("nobody has to wait between two of them");
            noted.lock().unwrap().push((rows(&file), number(&beside, "SELECT count(*) FROM spaces")));
        }
        None
    });
    let before = rows(&path);
    let found = desk.log.purge_space(desk.space, at(0)).unwrap().unwrap();
    assert!(found.chunks > CHUNKS as u64 && before > CHUNKS, "the control: {found:?}, {before} rows");
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen.first(), Some(&(before, 0)), "nobody is served the space, and all of it is still there");
    assert_eq!(seen.last().map(|(rows, _)| *rows), Some(0));
    for step in seen.windows(2) {
        let [(before, _), (after, _)] = step else { unreachable!() };
        assert!(before - after <= 4_096, "{before} rows, then {after}");
    }
    assert!(verify(&path, &mut |_, _| {}).unwrap().problems.is_empty());
    assert_eq!(desk.log.purge_space(desk.space, at(0)).unwrap(), None, "it was purged already");
}

#[test]
fn a_purge_that_was_stopped_goes_on_where_it_was_and_what_is_left_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    for stopped_after in [1, 3, 7] {
        // A file of SQLite, and what stands beside it.
        for name in ["log.sqlite", "log.sqlite-wal", "log.sqlite-shm"] {
            let _ = std::fs::remove_file(folder.path().join(name));
        }
        let mut desk = filled(&path);
        let mut commits = 0;
        desk.log.inject_faults(move |at| {
            commits += usize::from(at == FaultPoint::AfterCommit);
            (commits == stopped_after).then_some(Fault::Crash)
        });
        desk.log.purge_space(desk.space, at(0)).unwrap_err();
        let left = rows(&path);
        assert!(left > 0, "the control");
        let mut log = SqliteLog::open(&path).unwrap();
        assert!(verify(&path, &mut |_, _| {}).unwrap().problems.is_empty(), "after {stopped_after}");
        while let Some(task) = log.next_task().unwrap() {
            assert!(log.gather(task).unwrap().is_none(), "{task:?}: nothing is worked on that is on its way out");
        }
        assert_eq!(log.purge_space(desk.space, at(0)).unwrap(), None);
        assert_eq!(rows(&path), 0, "after {stopped_after}");
    }
}

#[test]
fn names_that_are_used_again_while_a_purge_looks_for_unused_ones_stay() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let mut desk = filled(&path);
    let mut other = SqliteLog::open(&path).unwrap();
    let fresh = SpaceId::from_bytes([9; 16]);
    let told = create(&mut other, Principal::ANYONE, fresh, 9);
    let mut chunks = Some(Author::new(1, 1).letters(3));
    let connection = Connection::open(&path).unwrap();
    desk.log.inject_faults(move |point| {
        // The unused names are known, and those of collections are gone: the ones of actors are next.
        let is_due = point == FaultPoint::AfterCommit && number(&connection, "SELECT count(*) FROM collections") == 0;
        if is_due && let Some(chunks) = chunks.take() {
            append(&mut other, Principal::ANYONE, request(fresh, told, chunks));
        }
        None
    });
    desk.log.purge_space(desk.space, at(0)).unwrap();
    assert!(verify(&path, &mut |_, _| {}).unwrap().problems.is_empty());
    let connection = Connection::open(&path).unwrap();
    assert_eq!(number(&connection, "SELECT count(*) FROM actors"), 1);
    assert_eq!(number(&connection, "SELECT count(*) FROM collections"), 1);
}
