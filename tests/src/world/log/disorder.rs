//! A log in the wrong order: what one transaction appended is turned around before anybody is told of it.

use afield_core::session::{AppendAnswer, ChunkVerdict, LogEntry, LogRun};
use afield_core::{ChainHash, Sequence, SpaceId};
use afield_relay::log::{Appended, SqliteLog};
use rusqlite::Connection;
use std::collections::BTreeMap;

/// Turns around what was just appended, on disk and in the answers; each change becomes a run of its own.
pub(super) fn reverse(log: &mut SqliteLog, appended: Appended) -> Appended {
    let Appended { mut answers, runs } = appended;
    let mut spaces: BTreeMap<SpaceId, Vec<LogRun>> = BTreeMap::new();
    for (space, run) in runs {
        spaces.entry(space).or_default().push(run);
    }
    let empty = SqliteLog::open_in_memory().expect("a log opens in memory");
    let connection = std::mem::replace(log, empty).into_connection();
    let mut reversed = Vec::new();
    for (space, runs) in spaces {
        let Some(first) = runs.first() else { continue };
        let before = first.before();
        let old: Vec<&LogEntry> = runs.iter().flat_map(|run| run.entries()).collect();
        let mut moved = BTreeMap::new();
        let mut cursor = before;
        for entry in old.into_iter().rev() {
            let behind = cursor.then(entry.entity, entry.kind.number(), entry.hash);
            let entry_now = LogEntry { sequence: behind.sequence, chain: behind.chain, ..entry.clone() };
            moved.insert(entry.sequence, (behind.sequence, behind.chain));
            reversed.push((space, LogRun::new(cursor, vec![entry_now])));
            cursor = behind;
        }
        move_rows(&connection, space, &moved);
        answers.iter_mut().for_each(|answer| correct(answer, &moved));
    }
    *log = SqliteLog::from_connection(connection).expect("what was committed opens again");
    Appended { answers, runs: reversed }
}

type Moved = BTreeMap<Sequence, (Sequence, ChainHash)>;

fn move_rows(connection: &Connection, space: SpaceId, moved: &Moved) {
    let execute = |sql: &str, values: (i64, &[u8], i64)| {
        connection.execute(sql, values).expect("the log can be written");
    };
    let number = "SELECT number FROM spaces WHERE id = ?";
    let number: i64 = connection.query_row(number, [space.as_bytes()], |row| row.get(0)).expect("the space is there");
    let position = |sequence: &Sequence| number << 40 | i64::try_from(sequence.get()).expect("a short log");
    // By way of negative positions, so that no two rows ever share one.
    for (from, (to, chain)) in moved {
        let sql = "UPDATE chunks SET position = -?1, chain = ?2 WHERE position = ?3";
        execute(sql, (position(to), chain.as_bytes(), position(from)));
    }
    connection
        .execute("UPDATE chunks SET position = -position WHERE position < 0", [])
        .expect("the log can be written");
    if let Some((_, chain)) = moved.values().max_by_key(|(sequence, _)| *sequence) {
        let sql = "UPDATE spaces SET chain = ? WHERE id = ?";
        connection.execute(sql, (chain.as_bytes(), space.as_bytes())).expect("the log can be written");
    }
}

fn correct(answer: &mut AppendAnswer, moved: &Moved) {
    let AppendAnswer::Verdicts(verdicts) = answer else { return };
    for verdict in verdicts {
        if let ChunkVerdict::Stored { sequence, chain, .. } | ChunkVerdict::Duplicate { sequence, chain } = verdict
            && let Some((to, chain_there)) = moved.get(sequence)
        {
            (*sequence, *chain) = (*to, *chain_there);
        }
    }
}
