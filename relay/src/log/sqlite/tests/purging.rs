//! What a purge of a space keeps from others, and for how long: not for the whole of it.

use super::*;
use crate::log::accounts::AccountError;
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
        assert!(before - after <= 2_048, "{before} rows, then {after}");
    }
    assert!(verify(&path, &mut |_, _| {}).unwrap().problems.is_empty());
    assert_eq!(desk.log.purge_space(desk.space, at(0)).unwrap(), None, "it was purged already");
    let again = desk.log.create_space(desk.space, "default", LogId::from_bytes([8; 16]), at(0));
    assert!(matches!(again, Err(AccountError::SpacePurged(id)) if id == desk.space), "{again:?}");
}

/// What is left of the first space, table by table: how many rows, and how many bytes of content in them.
fn left(log: &Connection) -> [(usize, usize); 7] {
    [
        "SELECT count(*), coalesce(sum(length(bytes)), 0) FROM chunks WHERE position < 2 << 40",
        "SELECT count(*), coalesce(sum(length(body)), 0) FROM segments",
        "SELECT count(*), coalesce(sum(length(hashes)), 0) FROM segment_hashes",
        "SELECT count(*), coalesce(sum(length(bytes)), 0) FROM snapshots",
        "SELECT count(*), 0 FROM change_prefixes",
        "SELECT count(*), 0 FROM actor_runs",
        "SELECT count(*), 0 FROM entities WHERE space = 1",
    ]
    .map(|sql| {
        let found = log.query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)));
        let (rows, bytes) = found.unwrap();
        (rows.try_into().unwrap(), bytes.try_into().unwrap())
    })
}

/// A space with more of everything than one transaction takes away, and the largest of it of 3 MiB each. Nothing can read it.
fn heavy(path: &Path) -> Desk {
    let desk = Desk::with(SqliteLog::open(path).unwrap());
    let first = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i <";
    let heavy = "zeroblob(3 << 20)";
    desk.log
        .connection()
        .execute_batch(&format!(
            "BEGIN;
            INSERT INTO collections VALUES (1, 'notes');
            INSERT INTO actors VALUES (1, x'01');
            {first} 900) INSERT INTO entities (number, space, id, collection, operations)
                SELECT i, 1, CAST(i AS BLOB), 1, 0 FROM n;
            {first} 2500) INSERT INTO chunks SELECT (1 << 40) + i, 1, 0, 1, i, x'', x'', x'',
                iif(i < 4, {heavy}, x'01') FROM n;
            {first} 3) INSERT INTO segments SELECT (1 << 40) + 4000 + i, x'', x'', x'', x'', {heavy} FROM n;
            {first} 3) INSERT INTO segment_hashes SELECT (1 << 40) + 4000 + i, x'', {heavy}, x'' FROM n;
            {first} 3) INSERT INTO snapshots SELECT i, 0, 0, 0, 0, x'', x'', {heavy} FROM n;
            {first} 2500) INSERT INTO change_prefixes SELECT 7, i, i FROM n;
            {first} 2500) INSERT INTO actor_runs SELECT 8, 1, i, i, 0 FROM n;
            COMMIT;"
        ))
        .unwrap();
    desk
}

#[test]
fn a_purge_takes_little_at_a_time_and_leaves_the_file_to_others_in_between() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let mut desk = heavy(&path);
    let (mut relay, purged, goes_on) = (SqliteLog::open(&path).unwrap(), desk.space, SpaceId::from_bytes([2; 16]));
    let told = create(&mut relay, Principal::ANYONE, goes_on, 2);
    let (blocked_told, late, mut others) = (desk.told, Author::new(3, 3).chunk("late"), Author::new(2, 2));
    let connection = Connection::open(&path).unwrap();
    let before = left(&connection);
    let steps = Arc::new(Mutex::new(Vec::new()));
    let (noted, mut began) = (Arc::clone(&steps), std::time::Instant::now());
    let mut committed = began;
    desk.log.inject_faults(move |point| {
        if point == FaultPoint::BeforeCommit {
            began = std::time::Instant::now();
            return None;
        }
        let rested = began.duration_since(committed);
        let refused = append(&mut relay, Principal::ANYONE, request(purged, blocked_told, vec![late.clone()]));
        assert!(
            matches!(refused, AppendAnswer::Refused(SpaceCode::UnknownOrForbidden)),
            "R7: it takes no push meanwhile"
        );
        let taken = append(&mut relay, Principal::ANYONE, request(goes_on, told, others.letters(1)));
        assert!(matches!(taken, AppendAnswer::Verdicts(verdicts) if verdicts.iter().all(is_stored)));
        noted.lock().unwrap().push((left(&connection), relay.foreign_version().unwrap(), rested));
        committed = std::time::Instant::now();
        None
    });
    desk.log.purge_space(purged, at(0)).unwrap().unwrap();
    let steps = steps.lock().unwrap().clone();
    let (blocked, done) = (steps.first().unwrap(), steps.last().unwrap());
    assert_eq!((blocked.0, done.0), (before, [(0, 0); 7]));
    assert!(
        steps.iter().all(|(_, version, _)| *version == blocked.1),
        "sessions are looked at once, and not with each step"
    );
    for (step, pair) in steps.windows(2).enumerate() {
        let [(before, ..), (after, _, rested)] = pair else { unreachable!() };
        let gone: Vec<_> =
            before.iter().zip(after).map(|(before, after)| (before.0 - after.0, before.1 - after.1)).collect();
        let [chunks, segments, hashes, snapshots, prefixes, runs, entities] = gone[..] else { unreachable!() };
        assert!(chunks.0 + segments.0 + hashes.0 <= 1_024 && prefixes.0 + runs.0 <= 1_024, "step {step}: {gone:?}");
        assert!(entities.0 <= 256, "step {step}: {gone:?}");
        let bytes = chunks.1 + segments.1 + hashes.1 + snapshots.1;
        assert!(bytes <= 6 << 20, "step {step}: {bytes} bytes");
        // The first is right behind the one that blocks the space.
        let is_behind_another = step > 0 && steps[step - 1].0 != *before;
        assert!(!is_behind_another || *rested >= std::time::Duration::from_millis(30), "step {step}: {rested:?}");
    }
    let watches: bool = desk.log.connection().pragma_query_value(None, "foreign_keys", |row| row.get(0)).unwrap();
    assert!(watches, "references are watched again");
}

#[test]
fn a_purge_that_was_stopped_anywhere_goes_on_where_it_was_and_what_is_left_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let space = filled(&whole).space;
    for stopped_after in 1.. {
        let path = folder.path().join(format!("stopped after {stopped_after}"));
        std::fs::copy(&whole, &path).unwrap();
        let mut log = SqliteLog::open(&path).unwrap();
        let mut commits = 0;
        log.inject_faults(move |at| {
            commits += usize::from(at == FaultPoint::AfterCommit);
            (commits == stopped_after).then_some(Fault::Crash)
        });
        if log.purge_space(space, at(0)).is_ok() {
            assert!(stopped_after > 7, "the control: there are many transactions, and not {stopped_after}");
            break;
        }
        drop(log);
        let mut log = SqliteLog::open(&path).unwrap();
        assert!(verify(&path, &mut |_, _| {}).unwrap().problems.is_empty(), "after {stopped_after}");
        while let Some(task) = log.next_task().unwrap() {
            assert!(log.gather(task).unwrap().is_none(), "{task:?}: nothing is worked on that is on its way out");
        }
        assert_eq!(log.purge_space(space, at(0)).unwrap(), None);
        assert_eq!(rows(&path), 0, "after {stopped_after}");
    }
}

#[test]
fn all_spaces_that_only_a_purged_user_owns_go_with_it_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let mut desk = Desk::with(SqliteLog::open(&path).unwrap());
    desk.push(Author::new(1, 1).letters(3));
    let ada = principal(
        &mut desk.log,
        &NewToken { user: Some("ada".to_owned()), may_create: true, ..NewToken::default() },
        2,
    );
    let [one, two, shared] = [11, 12, 13].map(|number| {
        let space = SpaceId::from_bytes([number; 16]);
        let told = create(&mut desk.log, ada, space, number);
        let chunks = Author::new(number, number).letters(3);
        append(&mut desk.log, ada, request(space, told, chunks));
        space
    });
    desk.log.grant(shared, "default", crate::log::accounts::Role::Owner, at(0)).unwrap();
    let purged = desk.log.purge_user("ada", true, at(1)).unwrap();
    assert_eq!(purged.sole_spaces, [one, two]);
    let spaces: Vec<SpaceId> = desk.log.spaces().unwrap().into_iter().map(|space| space.id).collect();
    assert_eq!(spaces, [desk.space, shared]);
    let connection = Connection::open(&path).unwrap();
    assert_eq!(number(&connection, "SELECT count(*) FROM chunks"), 6, "what was in them is gone");
    assert_eq!(number(&connection, "SELECT count(*) FROM purged_spaces"), 2);
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

#[test]
fn what_members_tokens_sessions_and_invitations_had_of_a_purged_space_goes_with_it_and_of_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let mut desk = Desk::with(SqliteLog::open(&path).unwrap());
    let stays = SpaceId::from_bytes([2; 16]);
    create(&mut desk.log, desk.principal, stays, 2);
    for (seed, space) in [(10, desk.space), (20, stays)] {
        let role = crate::log::accounts::Role::Reader;
        let invitation = crate::log::accounts::NewInvitation { space, role, expires_wall_ms: at(1_000).wall_ms };
        desk.log.invite(&Token::invitation(space, &mut Seeded(seed)), invitation, at(0)).unwrap();
        let token = NewToken { spaces: vec![space], ..NewToken::default() };
        desk.log.create_token(&Token::new(&mut Seeded(seed + 1)), &token, at(0)).unwrap();
    }
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "INSERT INTO sessions (id, user, device, since_ms, heard_ms, queued_bytes) VALUES (x'01', 1, x'01', 0, 0, 0);
            INSERT INTO session_spaces (session, space) SELECT x'01', number FROM spaces",
        )
        .unwrap();
    let kept = || {
        ["members", "session_spaces", "invitations", "token_spaces"]
            .map(|table| number(&connection, &format!("SELECT count(*) FROM {table}")))
    };
    assert_eq!(kept(), [2; 4], "the control");
    desk.log.purge_space(desk.space, at(1)).unwrap().unwrap();
    assert_eq!(kept(), [1; 4]);
    assert_eq!(desk.log.members(stays).unwrap().len(), 1);
    assert_eq!(desk.log.invitations(stays).unwrap().len(), 1);
    assert!(verify(&path, &mut |_, _| {}).unwrap().problems.is_empty());
}
