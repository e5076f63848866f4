//! What is due, what is put in place and what is not.

use super::*;
use crate::log::WorkFault;
use afield_core::document::{Hostile, HostileChange};
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn what_is_old_is_packed_by_itself_and_what_is_fresh_stays() {
    let mut desk = Desk::new();
    let mut author = Author::new(1, 1);
    desk.push(author.letters(600));
    assert_eq!(desk.usual(), [], "too few are old enough");
    desk.push(author.letters(500));
    let packed = Settled::Packed { chunks: 512 };
    assert_eq!(desk.usual(), [packed], "256 stay, and less than a segment behind them");
    assert_eq!(desk.rows("chunks"), 588);
    let start = desk.start();
    let entries = desk.all_after(start, usize::MAX);
    assert_eq!(entries.len(), 1_100);
    assert!(entries.iter().all(LogEntry::is_intact));
    desk.push(author.letters(1_500));
    let settled = desk.usual();
    assert_eq!(settled.iter().filter(|settled| **settled == packed).count(), 3);
    assert!(settled.iter().any(|settled| matches!(settled, Settled::Covered { chunks: 1_024.. })), "{settled:?}");
    assert_eq!(desk.all_after(start, usize::MAX).len(), 2_600);
}

#[test]
fn what_is_old_is_read_and_packed_while_others_write_and_is_put_in_place_behind_what_they_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let mut desk = Desk::with(SqliteLog::open(&path).unwrap());
    let mut author = Author::new(1, 1);
    desk.push(author.letters(800));
    let task = desk.log.next_task().unwrap().unwrap();
    let mut keeper = desk.log.keeper().unwrap().unwrap();
    let writer = rusqlite::Connection::open(&path).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let work = keeper.gather(task).expect("it waits for nobody who writes").unwrap();
    writer.execute_batch("COMMIT").unwrap();
    desk.log.connection().busy_timeout(std::time::Duration::ZERO).unwrap();
    let verdicts = desk.push(author.letters(10));
    assert!(verdicts.iter().all(is_stored), "and nobody who writes waits for it");
    assert_eq!(desk.log.settle(work.run()).unwrap().into_inner(), Settled::Packed { chunks: 512 });
    assert_eq!(desk.rows("chunks"), 298);
}

#[test]
fn what_was_left_undone_is_found_when_the_log_is_opened_again() {
    let mut desk = Desk::new();
    desk.push(Author::new(1, 1).chunks(1_200));
    let Desk { log, principal, space, told } = desk;
    let log = SqliteLog::from_connection(log.into_connection()).unwrap();
    let mut desk = Desk { log, principal, space, told };
    assert_eq!(desk.usual(), [Settled::Packed { chunks: 512 }]);

    desk.pack();
    let task = desk.log.whole_tasks(space).unwrap().unwrap().entities[0].1.whatever_it_saves();
    assert!(matches!(desk.finish(task)[..], [Settled::Covered { .. }]));
    let log = SqliteLog::from_connection(desk.log.into_connection()).unwrap();
    let mut desk = Desk { log, principal, space, told };
    assert!(matches!(desk.usual()[..], [Settled::Stripped { segments: 3 }]), "the segments lose what it stands for");
    assert_eq!(desk.usual(), []);
}

#[test]
fn what_was_prepared_for_another_state_of_the_log_is_not_put_in_place() {
    let (mut desk, _) = busy();
    let backup = desk.log.snapshot().unwrap();
    let tasks = desk.log.whole_tasks(desk.space).unwrap().unwrap();
    let rows = tasks.rows.whatever_it_saves();
    let stale = desk.log.gather(rows).unwrap().unwrap().run();
    desk.push(Author::new(7, 7).chunks(20));
    assert!(matches!(desk.pack()[..], [Settled::Packed { chunks: 56 }]));
    assert_eq!(desk.log.settle(stale).unwrap().into_inner(), Settled::Stale, "its rows are packed already");

    // A restored backup, written past what was read: the same rows by number, and other chunks.
    let (task, lost) = (tasks.entities[0].1.whatever_it_saves(), desk.told);
    let stale = desk.log.gather(task).unwrap().unwrap().run();
    desk.log.restore(&backup).unwrap();
    assert_eq!(desk.log.settle(stale).unwrap().into_inner(), Settled::Stale);
    desk.told = desk.start();
    desk.told = desk.run(desk.told).after();
    let stale = desk.log.gather(rows).unwrap().unwrap().run();
    desk.log.restore(&backup).unwrap();
    let same = desk.log.gather(rows).unwrap().unwrap().run();
    assert_eq!(desk.log.settle(same).unwrap().into_inner(), Settled::Packed { chunks: 36 }, "the control");
    assert_eq!(desk.log.settle(stale).unwrap().into_inner(), Settled::Stale, "twice is once");
    assert!(matches!(desk.read(lost), ReadAnswer::Reset(_)));
}

#[test]
fn a_failed_commit_leaves_the_rows_or_the_segment_and_the_log_reads_the_same() {
    for point in [FaultPoint::BeforeCommit, FaultPoint::AfterCommit] {
        for fault in [Fault::Error, Fault::Crash] {
            for failing in 0..6 {
                let (mut desk, pushed) = busy();
                let start = desk.start();
                let before = told(&desk.all_after(start, usize::MAX));
                let mut commits = 0;
                desk.log.inject_faults(move |at| {
                    commits += i32::from(at == point);
                    (at == point && commits == failing + 1).then_some(fault)
                });
                let failed = try_compact(&mut desk).is_err();
                let Desk { log, principal, space, told: last } = desk;
                let log = SqliteLog::from_connection(log.into_connection()).unwrap();
                let mut desk = Desk { log, principal, space, told: last };
                assert_eq!(told(&desk.all_after(start, usize::MAX)), before, "{point:?}, {fault:?}, commit {failing}");
                assert!(desk.push(pushed).iter().all(|verdict| matches!(verdict, ChunkVerdict::Duplicate { .. })));
                desk.compact();
                assert_eq!(told(&desk.all_after(start, usize::MAX)), before);
                assert_eq!((desk.rows("chunks"), desk.rows("snapshots")), (0, 2), "and goes on where it stopped");
                assert!(failed || failing >= 5, "five commits make it: commit {failing}");
            }
        }
    }
}

fn try_compact(desk: &mut Desk) -> Result<(), LogError> {
    let tasks = desk.log.whole_tasks(desk.space)?.expect("the space is there");
    let mut all = vec![tasks.rows.whatever_it_saves()];
    let snapshots = tasks.entities.into_iter();
    all.extend(snapshots.flat_map(|(_, snapshot, strip)| [snapshot.whatever_it_saves(), strip]));
    for task in all {
        while let Some(work) = desk.log.gather(task)? {
            let _ = desk.log.settle(work.run())?;
        }
    }
    Ok(())
}

#[test]
fn changes_that_the_engine_does_not_take_stay_as_they_are_and_hold_up_nothing_else() {
    let Hostile { entity, honest, changes } = Hostile::all();
    let (mut refused, mut covered) = (0, 0);
    for HostileChange { name, bytes, .. } in changes {
        let mut desk = Desk::new();
        let mut pushed: Vec<_> = honest.iter().map(|bytes| decoded(entity, bytes)).collect();
        pushed.push(decoded(entity, &bytes));
        // Some are refused by their header already.
        desk.push(pushed);
        desk.push(Author::new(2, 2).chunks(20));
        let start = desk.start();
        let before = told(&desk.all_after(start, usize::MAX));
        let settled = desk.compact();
        refused += settled.iter().filter(|done| matches!(done, Settled::Failed(WorkFault::Snapshot(_)))).count();
        covered += usize::from(settled.contains(&Settled::Covered { chunks: 20 }));
        assert_eq!(told(&desk.all_after(start, usize::MAX)), before, "{name}");
    }
    assert!(refused > 5, "{refused} were refused by the engine");
    assert!(covered > refused, "and the other entity was compacted beside all of them");
}

#[test]
fn the_file_becomes_smaller_when_its_rows_are_packed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let mut desk = Desk::with(SqliteLog::open(&path).unwrap());
    let mut author = Author::new(1, 1);
    for _ in 0..10 {
        desk.push(author.chunks(1_000));
    }
    desk.log.shorten_wal().unwrap();
    let before = std::fs::metadata(&path).unwrap().len();
    let rows = desk.log.disk_use().unwrap().rows;
    assert!(rows > 2_000_000, "{rows}");
    desk.compact();
    desk.log.give_back().unwrap();
    let used = desk.log.disk_use().unwrap();
    let after = std::fs::metadata(&path).unwrap().len();
    assert!(after < before / 2, "{after} of {before}: {used:?}");
    assert!(used.segments + used.snapshots < 400_000, "{used:?}");
    assert_eq!(used.free, 0);
    let start = desk.start();
    assert_eq!(desk.all_after(start, usize::MAX).len(), 10_000);
}

#[test]
fn one_commit_of_work_on_what_is_old_changes_little_however_much_is_due() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::with(SqliteLog::open(&folder.path().join("log.sqlite")).unwrap());
    let mut author = Author::new(1, 1);
    for _ in 0..10 {
        desk.push(author.chunks(1_000));
    }
    let pages =
        |log: &SqliteLog| log.connection.pragma_query_value(None, "page_count", |row| row.get::<_, i64>(0)).unwrap();
    let (mut packed, mut stripped, mut given_back) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(task) = desk.log.next_task().unwrap() {
        let Some(work) = desk.log.gather(task).unwrap() else { continue };
        let before = pages(&desk.log);
        match desk.log.settle(work.run()).unwrap().into_inner() {
            Settled::Packed { chunks } => packed.push(chunks),
            Settled::Stripped { segments } => stripped.push(segments),
            _ => {}
        }
        given_back.push(before - pages(&desk.log));
    }
    assert!(packed.len() > 16 && packed.iter().all(|chunks| *chunks <= 512), "{packed:?}");
    assert!(stripped.contains(&16) && stripped.iter().all(|segments| *segments <= 16), "{stripped:?}");
    assert!(given_back.contains(&64) && given_back.iter().all(|pages| *pages <= 64), "{given_back:?}");
}

#[test]
fn a_snapshot_that_ended_its_process_twice_is_not_tried_before_its_entity_has_doubled() {
    let mut desk = Desk::new();
    let mut author = Author::new(1, 1);
    desk.push(author.letters(1_200));
    desk.pack();
    // No snapshot stands for the last 256.
    let mut other = Author::new(2, 2);
    desk.push(other.letters(256));
    for opened in 0..4 {
        desk = opened_again(desk);
        // What is due is found when the log is opened; nothing settles it.
        let mut found = 0;
        while let Some(task) = desk.log.next_task().unwrap() {
            found += usize::from(desk.log.gather(task).unwrap().is_some());
        }
        assert_eq!(found, usize::from(opened < 2), "opened {opened} times");
    }
    desk.push(author.letters(1_200));
    desk.pack();
    desk.push(other.letters(256));
    let mut desk = opened_again(desk);
    let settled = desk.usual();
    assert!(settled.contains(&Settled::Covered { chunks: 2_400 }), "{settled:?}");
    assert_eq!(desk.rows("snapshot_tries"), 0);
}

#[test]
fn a_segment_that_could_not_be_packed_is_tried_again_when_its_space_has_grown() {
    let mut desk = Desk::new();
    let mut author = Author::new(1, 1);
    desk.push(author.letters(1_000));
    let spoil = "UPDATE chunks SET hash = zeroblob(32), chain = zeroblob(32) WHERE position & 0xff = 9";
    let whole = desk.log.snapshot().unwrap();
    desk.log.connection.execute(spoil, []).unwrap();
    assert_eq!(desk.usual(), [Settled::Failed(WorkFault::Decayed)]);
    let mut source = rusqlite::Connection::open_in_memory().unwrap();
    source.deserialize_read_exact(rusqlite::MAIN_DB, &whole[..], whole.len(), false).unwrap();
    let read = |position: i64| -> (Vec<u8>, Vec<u8>) {
        let sql = "SELECT hash, chain FROM chunks WHERE position = ?1";
        source.query_row(sql, [position], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    let mut statement = desk.log.connection.prepare("SELECT position FROM chunks WHERE position & 0xff = 9").unwrap();
    let spoiled: Vec<i64> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    drop(statement);
    for position in spoiled {
        let (hash, chain) = read(position);
        let sql = "UPDATE chunks SET hash = ?2, chain = ?3 WHERE position = ?1";
        desk.log.connection.execute(sql, rusqlite::params![position, hash, chain]).unwrap();
    }
    assert_eq!(desk.usual(), [], "nothing has grown");
    desk.push(author.letters(512));
    assert_eq!(desk.usual()[..2], [Settled::Packed { chunks: 512 }, Settled::Packed { chunks: 512 }]);
}

#[test]
fn what_the_storage_did_not_take_is_due_again_when_its_space_has_grown() {
    let mut desk = Desk::new();
    let mut author = Author::new(1, 1);
    desk.push(author.letters(3_000));
    let fails = Arc::new(AtomicBool::new(false));
    let seen = fails.clone();
    desk.log.inject_faults(move |at| {
        (at == FaultPoint::BeforeCommit && seen.load(Ordering::Relaxed)).then_some(Fault::Error)
    });
    let mut failed = 0;
    while let Some(task) = desk.log.next_task().unwrap() {
        // The snapshot stands, and what it stands for cannot be taken out of the segments.
        fails.store(desk.rows("snapshots") == 1, Ordering::Relaxed);
        let Some(work) = desk.log.gather(task).unwrap() else { continue };
        failed += usize::from(desk.log.settle(work.run()).is_err());
    }
    let unstripped = |desk: &Desk| desk.rows("snapshots WHERE stripped < covered");
    assert!(failed > 0);
    assert_eq!(unstripped(&desk), 1);
    fails.store(false, Ordering::Relaxed);
    assert_eq!(desk.usual(), [], "nothing has grown");
    desk.push(author.letters(512));
    assert!(desk.usual().iter().any(|settled| matches!(settled, Settled::Stripped { .. })));
    assert_eq!(unstripped(&desk), 0);
}

#[test]
fn a_snapshot_that_fits_no_frame_is_made_for_an_operator_only() {
    let mut desk = Desk::new();
    let mut author = Author::new(1, 1);
    for number in 0..22 {
        let chunks = (0..50).map(|part| author.chunk(&crate::testing::noise(number * 50 + part, 1_000)));
        let chunks: Vec<_> = chunks.collect();
        assert!(desk.push(chunks).iter().all(is_stored));
    }
    desk.pack();
    desk.push(Author::new(2, 2).letters(256));
    let mut desk = opened_again(desk);
    assert_eq!(desk.usual(), [Settled::Failed(WorkFault::StaysBehind)]);
    assert!(desk.compact().contains(&Settled::Covered { chunks: 1_100 }), "the control");
}

#[test]
fn changes_that_expand_to_too_many_keys_are_not_taken_to_the_engine() {
    use automerge::transaction::{CommitOptions, Transactable};
    for (changes, is_refused) in [(17_usize, false), (50, true)] {
        let mut document = automerge::AutoCommit::new().with_actor(automerge::ActorId::from([1; 16]));
        let entity = EntityId::from_bytes([1; 16]);
        let commit = |document: &mut automerge::AutoCommit| {
            document.commit_with(CommitOptions::default().with_time(0)).unwrap();
            decoded(entity, document.get_last_local_change().unwrap().raw_bytes())
        };
        let list = document.put_object(automerge::ROOT, "maps", automerge::ObjType::List).unwrap();
        let maps: Vec<_> =
            (0..20).map(|index| document.insert_object(&list, index, automerge::ObjType::Map).unwrap()).collect();
        let mut chunks = vec![commit(&mut document)];
        for number in 0..changes {
            let key = format!("{number}{}", "k".repeat(90_000));
            maps.iter().for_each(|map| document.put(map, &key, number as i64).unwrap());
            chunks.push(commit(&mut document));
        }
        let header = chunks[1].header.as_ref().unwrap();
        assert!(header.text_bytes > 1_700_000 && header.bytes_len < 100_000, "{header:?}");
        let mut desk = Desk::new();
        for chunks in chunks.chunks(5) {
            assert!(desk.push(chunks.to_vec()).iter().all(is_stored));
        }
        let settled = desk.compact();
        let refused = settled.contains(&Settled::Failed(WorkFault::TooLarge));
        let covered = settled.iter().any(|settled| matches!(settled, Settled::Covered { .. }));
        assert_eq!((refused, covered), (is_refused, !is_refused), "{changes} changes: {settled:?}");
    }
}

#[test]
fn what_devices_name_by_its_place_is_found_without_a_snapshot_whoever_compacts() {
    let mut desk = Desk::new();
    let chunks = Author::new(1, 1).letters(3_000);
    desk.push(chunks.clone());
    let tasks = desk.log.whole_tasks(desk.space).unwrap().unwrap();
    let (_, snapshot, strip) = tasks.entities[0];
    let settled: Vec<_> = [tasks.rows, snapshot, strip].into_iter().flat_map(|task| desk.finish(task)).collect();
    assert!(settled.iter().any(|settled| matches!(settled, Settled::Covered { .. })), "the control: {settled:?}");
    for (sequence, chunk) in (1..).zip(&chunks).skip(3_000 - 256) {
        let found = desk
            .log
            .change_at(desk.principal, desk.space, Sequence::new(sequence), &mut NamesLeft::default(), at(0))
            .unwrap();
        assert_eq!(found, Some((chunk.entity, chunk.header.as_ref().unwrap().hash)), "sequence {sequence}");
    }
    let tasks = desk.log.whole_tasks(desk.space).unwrap().unwrap();
    assert_eq!(desk.finish(tasks.rows), [], "it is done");
    assert_eq!(desk.rows("chunks"), 0, "the last ones are packed, and no snapshot stands for them");
    let covered = "SELECT covered & 0xffffffff FROM snapshots";
    assert_eq!(desk.log.connection.query_row(covered, [], |row| row.get::<_, i64>(0)).unwrap(), 3_000 - 256);
}

#[test]
fn what_compacts_beside_a_relay_concerns_nobody_and_whatever_else_is_done_meanwhile_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let mut desk = Desk::with(SqliteLog::open(&path).unwrap());
    let mut author = Author::new(1, 1);
    desk.push(author.chunks(40));
    let mut last = desk.log.foreign_version().unwrap();
    let mut changed = |desk: &mut Desk| {
        let before = std::mem::replace(&mut last, desk.log.foreign_version().unwrap());
        before != last
    };
    let Desk { principal, space, told, .. } = desk;
    let mut beside = Desk { log: SqliteLog::open(&path).unwrap(), principal, space, told };
    assert!(!beside.compact().is_empty());
    beside.log.give_back().unwrap();
    assert!(!changed(&mut desk), "what is served is as it was");
    // The relay does the same meanwhile.
    desk.push(author.chunks(40));
    assert!(!desk.pack().is_empty());
    assert!(!changed(&mut desk));

    for case in ["revoked", "appended", "written past the log"] {
        desk.push(author.chunks(20));
        beside.told = desk.told;
        assert!(!beside.pack().is_empty(), "{case}");
        desk.push(author.chunks(20));
        assert!(!desk.pack().is_empty(), "{case}");
        match case {
            "revoked" => beside.log.revoke_token(1, at(0)).unwrap(),
            "appended" => {
                assert!(!changed(&mut desk), "{case}, the control");
                let request = beside.request(vec![author.chunk("appended by another")]);
                append(&mut beside.log, Principal::ANYONE, request);
            }
            _ => {
                assert!(!changed(&mut desk), "{case}, the control");
                assert_eq!(beside.log.connection.execute("UPDATE spaces SET created_ms = 0", []), Ok(1));
            }
        }
        assert!(changed(&mut desk), "{case}: R4, R7");
        desk.principal = Principal::ANYONE;
        desk.told = desk.run(desk.told).after();
    }
}

#[test]
fn a_relay_hears_of_a_purge_beside_it_and_of_its_own_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let mut desk = Desk::with(SqliteLog::open(&path).unwrap());
    let (mut author, mut other) = (Author::new(1, 1), Author::new(2, 2));
    desk.push([author.chunks(40), other.chunks(40)].concat());
    desk.compact();
    let Desk { principal, space, told, .. } = desk;
    let mut beside = Desk { log: SqliteLog::open(&path).unwrap(), principal, space, told };
    let version = desk.log.foreign_version().unwrap();
    beside.log.purge_entities(space, &[author.entity], at(0)).unwrap();
    beside.log.give_back().unwrap();
    let after = desk.log.foreign_version().unwrap();
    assert_ne!(after, version, "the upkeep that follows a purge does not hide it");

    desk.log.purge_entities(space, &[other.entity], at(0)).unwrap();
    assert_eq!(desk.log.foreign_version().unwrap(), after, "its own it knows");
    desk.told = desk.run(desk.told).after();
    desk.push(Author::new(3, 3).chunks(40));
    assert!(!beside.pack().is_empty());
    assert_eq!(desk.log.foreign_version().unwrap(), after, "and does not take it for one of others later");
}

#[test]
fn a_task_whose_beginning_could_not_be_noted_is_taken_up_again() {
    let mut desk = Desk::new();
    let mut author = Author::new(1, 1);
    desk.push(author.letters(1_200));
    desk.pack();
    let mut desk = opened_again(desk);
    let mut failed = false;
    desk.log.inject_faults(move |at| {
        let fails = !failed && at == FaultPoint::BeforeCommit;
        failed |= fails;
        fails.then_some(Fault::Error)
    });
    assert!((0..3).any(|_| desk.log.next_task().is_err()), "the control");
    assert_eq!(desk.log.next_task().unwrap(), None, "it is not tried again and again");
    desk.push(Author::new(2, 2).letters(1_100));
    let settled = desk.usual();
    // Whether it pays is another matter.
    assert!(settled.iter().any(|settled| !matches!(settled, Settled::Packed { .. })), "{settled:?}");
}
