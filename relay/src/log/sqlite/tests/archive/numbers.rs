//! What one flipped bit of a number of the old part of a log costs.

use super::damage::{count_decayed, office_with};
use super::*;
use rusqlite::params;

/// Every column of the old part that holds numbers, and how many of its rows are looked at.
const NUMBERS: [(&str, &str, usize); 16] = [
    ("segments", "last", 3),
    ("segment_hashes", "last", 3),
    ("actor_runs", "entity", 6),
    ("actor_runs", "actor", 6),
    ("actor_runs", "last", 6),
    ("actor_runs", "first", 6),
    ("actor_runs", "segment", 6),
    ("change_prefixes", "entity", 5),
    ("change_prefixes", "prefix", 5),
    ("change_prefixes", "position", 5),
    ("snapshots", "entity", 1),
    ("snapshots", "covered", 1),
    ("snapshots", "stripped", 1),
    ("snapshots", "changes", 1),
    ("snapshots", "travels", 1),
    ("entities", "archived", 2),
];

/// Flips a bit of a number in the `row`th of so many rows, taken from all of a table; answers whether the table takes it.
pub(super) fn flip_number(desk: &Desk, (table, column, rows): (&str, &str, usize), row: usize, bit: u32) -> bool {
    let connection = &desk.log.connection;
    let keys = match table {
        "actor_runs" => "entity, actor, last",
        "change_prefixes" => "entity, prefix, position",
        "snapshots" => "entity, entity, entity",
        "entities" => "number, number, number",
        _ => "last, last, last",
    };
    let offset = row as i64 * desk.rows(table) / rows as i64;
    let select = format!("SELECT {keys} FROM {table} ORDER BY 1, 3, 2 LIMIT 1 OFFSET ?1");
    let read = |row: &rusqlite::Row<'_>| Ok([row.get(0)?, row.get(1)?, row.get(2)?]);
    let [a, b, c]: [i64; 3] = connection.query_row(&select, [offset], read).unwrap();
    let update =
        format!("UPDATE {table} SET {column} = ({column} | ?4) - ({column} & ?4) WHERE ({keys}) = (?1, ?2, ?3)");
    connection.execute(&update, params![a, b, c, 1_i64 << bit]) == Ok(1)
}

/// Everything after a position page by page, unless damage is reported on the way.
fn try_all_after(desk: &mut Desk, mut position: Cursor, case: &str) -> Result<Vec<LogEntry>, LogError> {
    let mut entries = Vec::new();
    loop {
        let answer = desk.log.read(desk.principal, &read_request(desk.space, position), at(0))?.into_inner();
        let ReadAnswer::Run { run, .. } = answer else { panic!("{case}: {answer:?} (R9)") };
        if run.entries().is_empty() {
            return Ok(entries);
        }
        position = run.after();
        entries.extend(run.entries().iter().cloned());
    }
}

/// Packs and compacts as far as it goes.
fn compact_what_can_be(desk: &mut Desk, case: &str) {
    let tasks = desk.log.whole_tasks(desk.space).unwrap().unwrap();
    let entities = tasks.entities.iter().flat_map(|(_, snapshot, strip)| [snapshot.whatever_it_saves(), *strip]);
    for task in std::iter::once(tasks.rows.whatever_it_saves()).chain(entities) {
        for round in 0.. {
            assert!(round < 100, "{case}: it never ends");
            let work = match desk.log.gather(task) {
                Ok(Some(work)) => work,
                Ok(None) => break,
                Err(error) => panic!("{case}: {error:?}"),
            };
            match desk.log.settle(work.run()) {
                Ok(settled) if matches!(settled.get(), Settled::Failed(_) | Settled::Stale) => break,
                Ok(_) => {}
                Err(error) if error.is_damage() => break,
                Err(error) => panic!("{case}: {error:?}"),
            }
        }
    }
}

#[test]
fn a_flipped_bit_of_a_number_loses_nothing_and_no_reader_begins_anew() {
    for (is_covered, is_stripped) in [(false, false), (true, false), (true, true)] {
        let (mut desk, pushed) = office_with(is_covered, is_stripped);
        let start = desk.start();
        let before = desk.all_after(start, usize::MAX);
        let sequences: Vec<_> = desk.push(pushed.clone()).iter().map(sequence).collect();
        let whole = desk.log.snapshot().unwrap();
        let (mut flipped, mut refused) = (0, 0);
        for column in NUMBERS {
            let (table, name, rows) = column;
            for (row, bit) in (0..rows).flat_map(|row| [0, 1, 4, 33].map(|bit| (row, bit))) {
                desk.log.restore(&whole).unwrap();
                let case = format!(
                    "bit {bit} of {name} in row {row} of {table}, covered: {is_covered}, stripped: {is_stripped}"
                );
                if desk.rows(table) == 0 || !flip_number(&desk, column, row, bit) {
                    continue;
                }
                flipped += 1;
                for entry in before.iter().step_by(5) {
                    let cursor = cursor_of(start, entry);
                    match desk.log.read(desk.principal, &read_request(desk.space, cursor), at(0)) {
                        Ok(answer) => assert!(matches!(answer.get(), ReadAnswer::Run { .. }), "{case}: R9"),
                        Err(error) => assert!(error.is_damage(), "{case}: {error:?}"),
                    }
                }
                let is_segment = name == "last" && table.starts_with("segment");
                // The key by which its snapshot is found is gone with it.
                let is_lost = (table, name, is_stripped) == ("snapshots", "entity", true);
                let read = match try_all_after(&mut desk, start, &case) {
                    Ok(read) => read,
                    Err(error) => {
                        assert!(error.is_damage() && is_segment, "{case}: {error:?}");
                        refused += 1;
                        continue;
                    }
                };
                assert_eq!(read.len(), before.len(), "{case}: R9");
                assert_eq!(count_decayed(&read, 1), if is_lost { 30 } else { 0 }, "{case}");
                assert_eq!(count_decayed(&read, 2), 0, "{case}");
                for takes_snapshots in [false, true] {
                    let filter = Filter::nothing().entities([EntityId::from_bytes([1; 16])]);
                    let told = paged(&mut desk, &filter, 0, usize::MAX, takes_snapshots && !is_lost);
                    assert_eq!(told.changes.len(), 33, "{case}: R9");
                }
                let verdicts = desk.push(pushed.clone());
                assert_eq!(verdicts.iter().map(sequence).collect::<Vec<_>>(), sequences, "{case}: R5, nothing twice");
                compact_what_can_be(&mut desk, &case);
                assert_eq!(told(&desk.all_after(start, usize::MAX)), told(&before), "{case}: R5, compacted");
                let verdicts = desk.push(pushed.clone());
                assert_eq!(verdicts.iter().map(sequence).collect::<Vec<_>>(), sequences, "{case}: R5, compacted");
                let filter = Filter::nothing().entities([EntityId::from_bytes([1; 16])]);
                let told = paged(&mut desk, &filter, 0, usize::MAX, true);
                assert_eq!(told.changes.len(), 33, "{case}: R9, compacted");
            }
        }
        assert!(flipped > 120 && refused > 0, "{flipped} flips, {refused} refused");
    }
}
