//! What one flipped byte of the old part of a log costs.

use super::*;
use crate::log::WorkFault;
use crate::log::sqlite::archive::replace_document;
use rusqlite::params;

/// Every column of the old part that holds bytes, and whether it holds the chunks themselves.
const COLUMNS: [(&str, &str, bool); 11] = [
    ("segments", "before", false),
    ("segments", "chain", false),
    ("segments", "layout", false),
    ("segments", "held", false),
    ("segments", "body", true),
    ("segment_hashes", "layout", false),
    ("segment_hashes", "hashes", false),
    ("segment_hashes", "parity", false),
    ("snapshots", "head", false),
    ("snapshots", "hash", true),
    ("snapshots", "bytes", true),
];

/// A log of three segments of two entities, of which one may have a snapshot, and rows behind them.
fn office(is_compact: bool) -> (Desk, Vec<DecodedChunk>) {
    office_with(is_compact, is_compact)
}

pub(super) fn office_with(is_covered: bool, is_stripped: bool) -> (Desk, Vec<DecodedChunk>) {
    let mut desk = Desk::new();
    let (mut anna, mut other) = (Author::new(1, 1), Author::new(2, 2));
    let mut pushed = Vec::new();
    for _ in 0..3 {
        let chunks = [anna.chunks(8), other.chunks(8), anna.chunks(2)].concat();
        desk.push(chunks.clone());
        pushed.extend(chunks);
        desk.pack();
    }
    if is_covered {
        let (_, snapshot, strip) = desk.log.whole_tasks(desk.space).unwrap().unwrap().entities[0];
        assert!(matches!(desk.finish(snapshot.whatever_it_saves())[..], [Settled::Covered { chunks: 30 }]));
        if is_stripped {
            assert!(matches!(desk.finish(strip)[..], [Settled::Stripped { segments: 3 }]));
        }
    }
    let fresh = anna.chunks(3);
    desk.push(fresh.clone());
    pushed.extend(fresh);
    (desk, pushed)
}

/// Flips a bit of a value in the `row`th row of a table; answers whether there is such a byte.
fn flip(desk: &Desk, table: &str, column: &str, row: usize, index: usize) -> bool {
    let connection = &desk.log.connection;
    let key = if table == "snapshots" { "entity" } else { "last" };
    let select = format!("SELECT {key}, {column} FROM {table} ORDER BY {key} LIMIT 1 OFFSET ?1");
    let (key_value, mut bytes): (i64, Vec<u8>) =
        connection.query_row(&select, [row as i64], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let Some(byte) = bytes.get_mut(index) else { return false };
    *byte ^= 1 << (index % 8);
    let update = format!("UPDATE {table} SET {column} = ?2 WHERE {key} = ?1");
    assert_eq!(connection.execute(&update, params![key_value, bytes]), Ok(1));
    true
}

pub(super) fn count_decayed(entries: &[LogEntry], number: u8) -> usize {
    let entity = EntityId::from_bytes([number; 16]);
    entries.iter().filter(|entry| entry.entity == entity && !entry.is_intact()).count()
}

#[test]
fn a_flipped_byte_costs_no_more_than_the_bytes_it_is_among_and_a_push_heals_them() {
    for is_compact in [false, true] {
        let (mut desk, pushed) = office(is_compact);
        let start = desk.start();
        let before = desk.all_after(start, usize::MAX);
        assert!(before.iter().all(LogEntry::is_intact), "the control");
        let whole = desk.log.snapshot().unwrap();
        let mut spoiled = 0;
        for (table, column, holds_chunks) in COLUMNS {
            for row in 0..desk.rows(table) as usize {
                // Prime steps, so that every part of long values is met.
                for index in (0..).step_by(if holds_chunks { 61 } else { 41 }) {
                    desk.log.restore(&whole).unwrap();
                    let case = format!("byte {index} of {column} in row {row} of {table}");
                    if !flip(&desk, table, column, row, index) {
                        break;
                    }
                    let read = desk.all_after(start, usize::MAX);
                    let hashes = |entries: &[LogEntry]| -> Vec<_> {
                        entries.iter().map(|entry| (entry.chain, entry.hash, entry.entity)).collect()
                    };
                    assert_eq!(hashes(&read), hashes(&before), "{case}: the chain goes on");
                    let decayed = (count_decayed(&read, 1), count_decayed(&read, 2));
                    spoiled += usize::from(decayed != (0, 0));
                    match (table, holds_chunks) {
                        (_, false) => assert_eq!(decayed, (0, 0), "{case}"),
                        ("snapshots", true) => assert_eq!(decayed, (30, 0), "{case}: that entity alone"),
                        (_, true) => {
                            assert!(decayed.0 <= 10 && decayed.1 <= 8, "{case}: {decayed:?}, that segment alone")
                        }
                    }
                    let verdicts = desk.push(pushed.clone());
                    assert!(verdicts.iter().all(|verdict| matches!(verdict, ChunkVerdict::Duplicate { .. })), "{case}");
                    assert_eq!(told(&desk.all_after(start, usize::MAX)), told(&before), "{case}: R5, healed");
                }
            }
        }
        assert!(spoiled > 10, "{spoiled} flips spoiled something");
    }
}

#[test]
fn what_decayed_beside_its_chunks_is_found_again_and_stored() {
    let (mut desk, _) = office(true);
    let start = desk.start();
    let whole = desk.log.snapshot().unwrap();
    for (table, column, _) in COLUMNS.iter().filter(|(table, _, holds_chunks)| !holds_chunks && *table != "snapshots") {
        if column.starts_with("held") {
            // The body says it, too.
            continue;
        }
        for row in 0..3 {
            desk.log.restore(&whole).unwrap();
            assert!(flip(&desk, table, column, row, 0));
            desk.all_after(start, usize::MAX);
            let read = format!("SELECT {column} FROM {table} ORDER BY last LIMIT 1 OFFSET {row}");
            let stored =
                |desk: &Desk| -> Vec<u8> { desk.log.connection.query_row(&read, [], |row| row.get(0)).unwrap() };
            let mended = stored(&desk);
            desk.log.restore(&whole).unwrap();
            assert_eq!(mended, stored(&desk), "{column} of {table}");
        }
    }
}

#[test]
fn two_damaged_hashes_of_a_segment_refuse_what_needs_it_and_nothing_else() {
    let (mut desk, _) = office(false);
    let start = desk.start();
    let head = desk.told;
    assert!(flip(&desk, "segment_hashes", "hashes", 1, 0) && flip(&desk, "segment_hashes", "hashes", 1, 40));
    let before = desk.run(start);
    assert_eq!(before.entries().len(), 18, "what lies before it is read");
    let next = read_request(desk.space, before.after());
    let error = desk.log.read(desk.principal, &next, at(0)).unwrap_err();
    assert!(error.is_damage(), "R9: {error:?}");
    assert!(matches!(desk.read(head), ReadAnswer::Run { .. }), "who stands behind it goes on");
    assert!(is_stored(&desk.push(vec![Author::new(5, 5).chunk("another entity")])[0]));
}

#[test]
fn a_decayed_dependency_in_a_segment_is_asked_for_and_healed() {
    for is_compact in [false, true] {
        let mut desk = Desk::new();
        let mut author = Author::new(1, 1);
        let chunks = author.chunks(20);
        desk.push(chunks.clone());
        if is_compact {
            drop(desk.compact())
        } else {
            drop(desk.pack())
        }
        let (table, column) = if is_compact { ("snapshots", "bytes") } else { ("segments", "body") };
        assert!(flip(&desk, table, column, 0, 40));
        let next = author.chunk("rests on the last of them");
        let last = chunks[19].clone();
        let missing = vec![last.header.as_ref().unwrap().hash];
        let refused = ChunkVerdict::Refused { code: ChunkCode::MissingDependencies, missing };
        assert_eq!(desk.push(vec![next.clone()]), [refused], "R5");
        let verdicts = desk.push(vec![last, next]);
        assert!(matches!(verdicts[..], [ChunkVerdict::Duplicate { .. }, ChunkVerdict::Stored { .. }]), "{verdicts:?}");
        let start = desk.start();
        let intact = desk.all_after(start, usize::MAX).iter().filter(|entry| entry.is_intact()).count();
        assert_eq!(intact, 2, "what nobody pushed again is still gone");
        // Once all of it has come again, it is packed again.
        assert!(desk.push(chunks).iter().all(|verdict| matches!(verdict, ChunkVerdict::Duplicate { .. })));
        assert!(desk.all_after(start, usize::MAX).iter().all(LogEntry::is_intact));
        desk.push(author.chunks(20));
        let settled = desk.compact();
        assert!(settled.contains(&Settled::Covered { chunks: 41 }), "{settled:?}");
        assert_eq!(desk.rows("chunks"), 0);
        assert!(desk.all_after(start, usize::MAX).iter().all(LogEntry::is_intact));
    }
}

#[test]
fn a_chunk_that_had_decayed_before_it_was_packed_stays_a_row_until_it_is_pushed_again() {
    let mut desk = Desk::new();
    let mut author = Author::new(1, 1);
    let chunks = author.chunks(20);
    desk.push(chunks.clone());
    let sql = "UPDATE chunks SET bytes = zeroblob(9) WHERE position & 0xff = 7";
    assert_eq!(desk.log.connection.execute(sql, []), Ok(1));
    assert!(matches!(desk.pack()[..], [Settled::Packed { chunks: 20 }]));
    assert_eq!(desk.rows("chunks"), 1);
    let start = desk.start();
    let intact = |desk: &mut Desk| desk.all_after(start, usize::MAX).iter().filter(|entry| entry.is_intact()).count();
    assert_eq!(intact(&mut desk), 19);
    // So may its chain hash, which the segment has, too.
    assert_eq!(desk.log.connection.execute("UPDATE chunks SET chain = zeroblob(32)", []), Ok(1));
    assert!(desk.push(chunks).iter().all(|verdict| matches!(verdict, ChunkVerdict::Duplicate { .. })));
    assert_eq!(intact(&mut desk), 20);
    assert!(desk.compact().contains(&Settled::Covered { chunks: 20 }));
    assert_eq!((desk.rows("chunks"), intact(&mut desk)), (0, 20));
}

#[test]
fn a_log_whose_last_chunks_are_packed_opens_and_one_that_contradicts_itself_does_not() {
    let cases = [
        ("UPDATE segments SET body = zeroblob(9)", true),
        ("UPDATE segments SET chain = zeroblob(32)", true),
        ("UPDATE spaces SET chain = zeroblob(32)", true),
        ("UPDATE spaces SET sequence = 3", true),
        ("UPDATE spaces SET sequence = 3, chain = zeroblob(32)", false),
        ("DELETE FROM segments", false),
    ];
    for (sql, opens) in cases {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.sqlite");
        let mut desk = Desk::with(SqliteLog::open(&path).unwrap());
        let mut author = Author::new(1, 1);
        desk.push(author.chunks(20));
        desk.pack();
        desk.log.connection.execute(sql, []).unwrap();
        let opened = SqliteLog::open(&path);
        assert_eq!(opened.is_ok(), opens, "{sql}: {opened:?}");
        if let Ok(log) = opened {
            desk.log = log;
            assert!(matches!(desk.read(desk.told), ReadAnswer::Run { .. }), "{sql}: who stands at the head goes on");
            assert!(is_stored(&desk.push(author.chunks(1))[0]) || sql.contains("body"), "{sql}");
            let start = desk.start();
            assert_eq!(desk.run(start).after(), desk.told, "{sql}: the chain goes on");
        }
    }
}

#[test]
fn what_a_snapshot_does_not_give_back_is_repaired_by_pushes() {
    let other = Author::new(1, 9).chunks(3).iter().fold(automerge::Automerge::new(), |mut document, chunk| {
        document.apply_changes([automerge::Change::from_bytes(chunk.bytes.clone()).unwrap()]).unwrap();
        document
    });
    for (case, saved) in [("it does not load", b"nothing".to_vec()), ("it lacks them", other.save_nocompress())] {
        let mut desk = Desk::new();
        let mut author = Author::new(1, 1);
        let chunks = author.chunks(20);
        desk.push(chunks.clone());
        desk.compact();
        let start = desk.start();
        let intact =
            |desk: &mut Desk| desk.all_after(start, usize::MAX).iter().filter(|entry| entry.is_intact()).count();
        let next = author.chunk("rests on the last of them");
        let rests = vec![chunks[19].header.as_ref().unwrap().hash];
        replace_document(&desk.log.connection, 1, saved);
        // Nobody has found out, for what the snapshot names is answered without taking it apart.
        assert!(is_stored(&desk.push(vec![next.clone()])[0]), "{case}");
        assert_eq!(intact(&mut desk), 1, "{case}: the control");
        let after = author.chunk("and the one after that");
        let mut twin = Author::new(1, 1);
        twin.chunks(20);
        let mut fork = twin.fork(7);
        let missing = ChunkVerdict::Refused { code: ChunkCode::MissingDependencies, missing: rests };
        assert_eq!(desk.push(vec![fork.chunk("rests on the last of them, too")]), [missing], "{case}: R5");
        let mut again = chunks.clone();
        again.push(after);
        let verdicts = desk.push(again);
        let (last, known) = verdicts.split_last().unwrap();
        assert!(known.iter().all(|verdict| matches!(verdict, ChunkVerdict::Duplicate { .. })), "{case}: {known:?}");
        assert!(is_stored(last), "{case}: {last:?}");
        assert_eq!(intact(&mut desk), 22, "{case}: R5, a duplicate is readable");
    }
}

#[test]
fn a_row_that_decayed_with_its_author_before_it_was_packed_is_neither_taken_twice_nor_forked() {
    for (sql, intact) in [
        ("UPDATE chunks SET actor_sequence = 77, actor = 99 WHERE position & 0xff = 7", 20),
        ("UPDATE chunks SET actor_sequence = 77, bytes = zeroblob(9) WHERE position & 0xff = 7", 19),
    ] {
        let mut desk = Desk::new();
        let chunks = Author::new(1, 1).chunks(20);
        desk.push(chunks.clone());
        assert_eq!(desk.log.connection.execute(sql, []), Ok(1));
        assert!(matches!(desk.pack()[..], [Settled::Packed { chunks: 20 }]));
        let start = desk.start();
        let count =
            |desk: &mut Desk| desk.all_after(start, usize::MAX).iter().filter(|entry| entry.is_intact()).count();
        assert_eq!(count(&mut desk), intact, "{sql}: the control");
        let mut forks = Author::new(1, 1);
        let fork: Vec<_> = (0..7).map(|number| forks.chunk(&format!("another {number}"))).collect();
        if intact == 20 {
            let header = fork[6].header.as_ref().unwrap();
            assert_eq!(header.sequence, 7);
            assert_eq!(code(&desk.push(vec![fork[6].clone()])[0]), Some(ChunkCode::ActorForked), "{sql}");
        }
        let verdicts = desk.push(chunks);
        assert!(
            verdicts.iter().all(|verdict| matches!(verdict, ChunkVerdict::Duplicate { .. })),
            "{sql}: {verdicts:?}"
        );
        assert_eq!(count(&mut desk), 20, "{sql}: R5");
    }
}

#[test]
fn no_snapshot_is_made_without_a_leaf_that_an_index_has_lost() {
    for is_lost in [false, true] {
        let mut desk = Desk::new();
        let mut anna = Author::new(1, 1);
        desk.push(anna.chunks(8));
        desk.pack();
        // Nothing of what anna writes rests on it.
        desk.push(anna.fork(2).chunks(8));
        desk.pack();
        desk.push(anna.chunks(8));
        desk.pack();
        let start = desk.start();
        let before = told(&desk.all_after(start, usize::MAX));
        if is_lost {
            let sql = "UPDATE actor_runs SET entity = 9 WHERE actor = 2";
            assert_eq!(desk.log.connection.execute(sql, []), Ok(1));
        }
        let (_, snapshot, strip) = desk.log.whole_tasks(desk.space).unwrap().unwrap().entities[0];
        let settled = desk.finish(snapshot.whatever_it_saves());
        if is_lost {
            assert_eq!(settled, [Settled::Failed(WorkFault::Decayed)]);
        } else {
            assert!(matches!(settled[..], [Settled::Covered { chunks: 24 }]), "the control: {settled:?}");
        }
        desk.finish(strip);
        assert_eq!(told(&desk.all_after(start, usize::MAX)), before, "R5");
        let filter = Filter::nothing().entities([EntityId::from_bytes([1; 16])]);
        for takes_snapshots in [false, true] {
            assert_eq!(paged(&mut desk, &filter, 0, usize::MAX, takes_snapshots).changes.len(), 24, "R9");
        }
    }
}
