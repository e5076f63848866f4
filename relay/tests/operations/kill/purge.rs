//! `purge` killed on its way.

use super::super::filled::Desk;
use super::super::purge::{MARK, holders};
use super::super::{json, relay};
use super::{KILLS, chunks_in, copied, files_of, kill_and_complete, kill_often, log_of, put};
use std::path::Path;
use std::time::{Duration, Instant};

/// Who is to be forgotten.
const NAME: &str = "somebody-to-forget";
/// So many tokens and devices of that user make the one transaction long enough to be killed in.
const TOKENS: i64 = 4_000;

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
            is_nowhere(&data, MARK);
        },
    );
}

#[test]
fn a_purge_of_an_entity_that_is_killed_serves_all_of_it_or_nothing_and_takes_it_away_when_it_is_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (mut first, mut second) = (Desk::open(&data, 1), Desk::open(&data, 2));
    first.write(MARK, 3_000);
    second.write("second", 500);
    json(&data, &["compact"]);
    // Of what is packed nothing can be read in the file; of these it can, and some stand in the WAL alone.
    first.write(MARK, 200);
    let files = files_of(&data);
    put(&data, &files);
    assert!(holders(&data, MARK).contains(&"log.sqlite-wal".to_owned()), "the control");
    let (space, entity) = (first.space.to_string(), first.entity.to_string());
    drop((first, second));
    kill_often(
        || put(&data, &files),
        || relay(&data, &["purge", "entity", &space, &entity, "--confirm"]),
        || {
            let left = chunks_in(&data, 1);
            assert!([3_200, 1].contains(&left), "all of it, or the record alone: {left}");
            assert_eq!(chunks_in(&data, 2), 500, "others are as they were");
            let (copy, _) = copied(&data);
            assert_eq!(json(copy.path(), &["verify"])[0]["problems"], 0, "also with some of it still packed");
        },
        || {
            assert_eq!(json(&data, &["verify"])[0]["documents"], 1, "one is left");
            assert_eq!((chunks_in(&data, 1), chunks_in(&data, 2)), (1, 500), "the record");
            assert_eq!(uncleared(&data), 0);
            is_nowhere(&data, MARK);
        },
    );
}

/// How many purged entities are still packed with others, as `doctor` counts them.
fn uncleared(data: &Path) -> i64 {
    let (_folder, file) = copied(data);
    let log = rusqlite::Connection::open(file).unwrap();
    log.query_row("SELECT count(*) FROM erasures WHERE cleared < position", [], |row| row.get(0)).unwrap()
}

/// No file of the folder has these bytes: not the log, not its WAL.
fn is_nowhere(data: &Path, needle: &str) {
    let holders = holders(data, needle);
    assert!(holders.is_empty(), "{needle}: {holders:?}");
}

/// What a killed purge of a user has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// The user, with all that was the user's.
    Everything,
    /// Nothing of the user, and something of the spaces that were to go, too.
    SomeOfSpaces,
    Nothing,
}

/// A log of a user who alone owns space 1 and writes in space 2, some of it in the WAL alone.
fn of_a_user(data: &Path) -> Vec<(String, Vec<u8>)> {
    let (mut first, mut second) = (Desk::open(data, 1), Desk::open(data, 2));
    first.write(MARK, 2_000);
    second.write("second", 500);
    let (one, two) = (first.space.to_string(), second.space.to_string());
    json(data, &["user", "create", NAME]);
    json(data, &["space", "grant", &one, NAME, "owner"]);
    json(data, &["space", "remove", &one, "default"]);
    json(data, &["space", "grant", &two, NAME, "writer"]);
    json(data, &["compact"]);
    let mut log = rusqlite::Connection::open(data.join("log.sqlite")).unwrap();
    // As the relay does: else what moves from one page to another stays where it was, too.
    log.pragma_update_and_check(None, "secure_delete", true, |_| Ok(())).unwrap();
    let rows = log.transaction().unwrap();
    for number in 1..=TOKENS {
        let token = "INSERT INTO tokens (number, user, hash, name, may_create, read_only, restricted, created_ms)
            VALUES (?1, 2, randomblob(32), 'token of ' || ?2, 1, 0, 0, 0)";
        rows.prepare_cached(token).unwrap().execute((number, NAME)).unwrap();
        let device = "INSERT INTO devices (user, id, name, token, first_seen_ms, last_seen_ms)
            VALUES (2, randomblob(16), 'device of ' || ?2, ?1, 0, 0)";
        rows.prepare_cached(device).unwrap().execute((number, NAME)).unwrap();
    }
    rows.commit().unwrap();
    first.write(MARK, 100);
    files_of(data)
}

/// What is left of the user, which is all or nothing, and of space 1.
fn left_of_the_user(data: &Path) -> Left {
    let (_folder, file) = copied(data);
    let log = rusqlite::Connection::open(file).unwrap();
    let count = |sql: &str| log.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let of_user = [
        format!("SELECT count(*) FROM users WHERE name = '{NAME}' AND purged_ms IS NULL"),
        format!("SELECT count(*) FROM tokens WHERE user = 2 AND revoked_ms IS NULL AND name = 'token of {NAME}'"),
        format!("SELECT count(*) FROM devices WHERE user = 2 AND name = 'device of {NAME}'"),
        "SELECT count(*) FROM members WHERE user = 2".to_owned(),
    ]
    .map(|sql| count(&sql));
    if of_user == [1, TOKENS, TOKENS, 2] {
        return Left::Everything;
    }
    assert_eq!(of_user, [0; 4], "all of the user or nothing");
    assert_eq!(count("SELECT count(*) FROM tokens WHERE user = 2 AND (revoked_ms IS NULL OR name IS NOT NULL)"), 0);
    let of_space = count(
        "SELECT EXISTS (SELECT 1 FROM purged_spaces) AND
            ((SELECT count(*) FROM entities WHERE space = 1)
            + (SELECT count(*) FROM chunks WHERE position < 2 << 40)
            + (SELECT count(*) FROM segments WHERE last < 2 << 40)
            + (SELECT count(*) FROM segment_hashes WHERE last < 2 << 40)) > 0",
    );
    if of_space > 0 { Left::SomeOfSpaces } else { Left::Nothing }
}

/// Purges the user, and says what it had to say.
fn purge_user(data: &Path, arguments: &[&str], left: Left) -> Duration {
    let since = Instant::now();
    let output = relay(data, arguments).output().unwrap();
    let took = since.elapsed();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let (code, begin) = match left {
        Left::Everything => (0, "Purged the user, with 4000 tokens and 4000 devices"),
        Left::SomeOfSpaces => (0, "There is no user of this name. What an earlier purge had begun is finished."),
        Left::Nothing => (4, ""),
    };
    assert!(output.status.code() == Some(code) && out.starts_with(begin), "{left:?}: {out}{err}");
    assert!(left != Left::Nothing || err.contains("there is no such user"), "{err}");
    took
}

#[test]
fn a_purge_of_a_user_that_is_killed_forgets_all_or_nothing_and_is_completed_by_the_same_command() {
    let folder = tempfile::tempdir().unwrap();
    let (data, kept) = (folder.path().join("data"), folder.path().join("kept"));
    let files = of_a_user(&kept);
    put(&data, &files);
    assert!(holders(&data, NAME).contains(&"log.sqlite-wal".to_owned()) && !holders(&data, MARK).is_empty());
    for with_spaces in [false, true] {
        let spaces: &[&str] = if with_spaces { &["--with-spaces"] } else { &[] };
        let arguments = [&["purge", "user", NAME, "--confirm"], spaces].concat();
        kill_and_complete(
            KILLS,
            || put(&data, &files),
            || relay(&data, &arguments),
            || {
                let left = left_of_the_user(&data);
                let served = if with_spaces && left != Left::Everything { 0 } else { 2_100 };
                assert_eq!(chunks_in(&data, 1), served, "{left:?}");
                assert_eq!(chunks_in(&data, 2), 500, "of no other");
                left
            },
            |left| purge_user(&data, &arguments, left.unwrap_or(Left::Everything)),
            || {
                assert_eq!(left_of_the_user(&data), Left::Nothing);
                assert_eq!(json(&data, &["verify"])[0]["problems"], 0);
                is_nowhere(&data, NAME);
                if with_spaces {
                    assert!(!Desk::is_served(&data, 1));
                    is_nowhere(&data, MARK);
                } else {
                    assert_eq!(chunks_in(&data, 1), 2_100, "what the user owned stays");
                }
                assert_eq!(chunks_in(&data, 2), 500);
            },
        );
    }
}
