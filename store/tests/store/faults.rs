//! Crashes, full disks and failing ones: all or nothing, and no writing on after a failure (D10).

use crate::help::*;
use afield_core::wire::{ChunkCode, Class};
use afield_core::{DeviceId, Incarnation, Role};
use afield_store::{
    Arrival, Block, Covering, Fault, FaultPoint, OpenOptions, Origin, Proof, Reason, Settled, Snapshot, Store,
    StoreError, Unsent,
};
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

/// Every method that writes, on a store that `furnished` made, with the text of its error.
pub(crate) type Operation = fn(&mut Store) -> Result<(), String>;

fn done<T, E: std::fmt::Display>(result: Result<T, E>) -> Result<(), String> {
    result.map(drop).map_err(|error| error.to_string())
}

pub(crate) const OPERATIONS: [(&str, Operation); 20] = [
    ("adopt_device", |store| done(store.adopt_device(DeviceId::from_bytes([9; 16]), 1))),
    ("announce", |store| done(store.announce(Incarnation::from_bytes([9; 16])))),
    ("confirm", |store| done(store.confirm(Incarnation::from_bytes([2; 16])))),
    ("create_space", |store| done(store.create_space(space(9), "x", Origin::Joined, 1))),
    ("rename_space", |store| done(store.rename_space(space(1), "x"))),
    ("set_log", |store| done(store.set_log(space(3), log(3), Role::Owner))),
    ("reset", |store| done(store.reset(space(1), log(8), 0))),
    ("append", |store| done(append(store, space(1), entity(7), &[70, 71], Arrival::Applied))),
    ("receive", |store| {
        let expected = cursor(store, space(1));
        let places = [carried(entity(8), 80), proven(entity(1), 1), carried(entity(20), 81)];
        done(receive_after(store, space(1), expected, &places))
    }),
    ("settle", |store| {
        let verdicts = [
            (hash(4), Settled::Applied),
            (hash(5), Settled::Quarantined(Reason { number: 1, rules: 1 })),
            (hash(1), Settled::Waiting),
        ];
        done(store.settle(&[settlement(entity(1), &verdicts, Some(&projection("new")))], AT_MS))
    }),
    ("project", |store| done(store.project(&[(entity(1), projection("new"))]))),
    ("make_projections_stale", |store| done(store.make_projections_stale())),
    ("mark", |store| done(store.mark(space(1), &[Proof { entity: entity(3), hash: hash(6), sequence: sequence(3) }]))),
    ("unmark", |store| done(store.unmark(entity(1), &hashes(&[4, 5])))),
    ("block", |store| {
        let block = Block { entity: entity(1), code: ChunkCode::Quota, hash: hash(1), missing: vec![], since_ms: 1 };
        done(store.block(std::slice::from_ref(&block)))
    }),
    ("unblock_all", |store| done(store.unblock_all())),
    ("save_snapshot", |store| {
        done(store.save_snapshot(entity(2), &Snapshot { heads: hashes(&[3]), changes: 1, bytes: vec![1; 9] }))
    }),
    ("drop_snapshot", |store| done(store.drop_snapshot(entity(1)))),
    ("cover", |store| {
        let mut checked = store.reader().check_snapshot(entity(1)).unwrap();
        done(store.cover(&mut checked, Covering::All))
    }),
    ("leave_space", |store| done(store.leave_space(space(1), Unsent::Discard))),
];

/// Two spaces in sync, with edits, received changes, a snapshot, a block and a foreign chunk; and one never synced.
pub(crate) fn furnished() -> Store {
    let mut store = two_spaces();
    let _ = store.create_space(space(3), "new", Origin::MadeHere, AT_MS).unwrap();
    let _ = store.adopt_device(DeviceId::from_bytes([1; 16]), AT_MS).unwrap();
    for number in 1..4 {
        let _ = store.announce(Incarnation::from_bytes([number; 16])).unwrap();
    }
    edit(&mut store, entity(1), &[1, 2]);
    edit(&mut store, entity(2), &[3]);
    let _ = append(&mut store, space(2), entity(20), &[20], Arrival::Applied).unwrap();
    receive(&mut store, space(1), &[carried(entity(1), 4), carried(entity(1), 5), carried(entity(3), 6)]);
    let _ = store.unmark(entity(3), &hashes(&[6])).unwrap();
    let saved = saved(&store, entity(1));
    let _ = store.save_snapshot(entity(1), &saved).unwrap();
    let block = Block { entity: entity(2), code: ChunkCode::Quota, hash: hash(3), missing: vec![], since_ms: 1 };
    store.block(std::slice::from_ref(&block)).unwrap();
    store
}

pub(crate) fn at(point: FaultPoint, fault: Fault) -> afield_store::FaultHook {
    Box::new(move |here| (here == point).then_some(fault))
}

#[test]
fn a_crash_or_error_at_any_statement_leaves_all_or_nothing() {
    let before = dump(&furnished().into_connection().unwrap());
    for (name, operation) in OPERATIONS {
        let mut whole = furnished();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        whole.inject(Box::new(move |point| {
            log.lock().unwrap().push(point);
            None
        }));
        operation(&mut whole).unwrap_or_else(|error| panic!("{name}: {error}"));
        sound(&whole);
        let after = dump(&whole.into_connection().unwrap());
        assert_ne!(after, before, "{name} writes nothing, so the faults below could not be seen");

        let points = seen.lock().unwrap().clone();
        assert!(points.ends_with(&[FaultPoint::BeforeCommit, FaultPoint::AfterCommit]), "{name}: {points:?}");
        for point in points {
            for fault in [Fault::Crash, Fault::DiskFull, Fault::Io] {
                let mut store = furnished();
                store.inject(at(point, fault));
                assert!(operation(&mut store).is_err(), "{name} at {point:?} {fault:?}");
                let store = Store::from_connection(store.into_connection().unwrap(), &OpenOptions::default()).unwrap();
                sound(&store);
                let expected = if point == FaultPoint::AfterCommit { &after } else { &before };
                let found = dump(&store.into_connection().unwrap());
                assert_eq!(&found, expected, "{name} at {point:?} {fault:?}");
            }
        }
    }
}

#[test]
fn after_a_failure_the_store_reads_but_does_not_write_or_send_until_it_is_reloaded() {
    let mut store = furnished();
    store.inject(at(FaultPoint::BeforeCommit, Fault::Io));
    let error = append(&mut store, space(1), entity(7), &[70], Arrival::Applied).unwrap_err();
    assert_eq!(error.class(), Class::Retry);
    assert!(store.is_poisoned());
    store.inject(Box::new(|_| None));

    for (name, operation) in OPERATIONS {
        let error = operation(&mut store).unwrap_err();
        assert_eq!(error, StoreError::Poisoned.to_string(), "{name}");
    }
    let page = store.outbox(space(1), afield_store::OutboxPosition::START, 9, 9);
    assert!(matches!(page, Err(StoreError::Poisoned)), "{page:?}");
    assert_eq!(store.held(entity(1), &hashes(&[1])).unwrap(), hashes(&[1]));

    store.reload().unwrap();
    edit(&mut store, entity(7), &[70]);
    assert!(!store.is_poisoned());
    sound(&store);
}

#[test]
fn a_file_reloads_under_its_lock() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let impatient = OpenOptions { writer_wait_ms: 0, ..OpenOptions::default() };
    let mut store = Store::open(&path, &impatient).unwrap();
    prepare(&mut store);
    store.inject(at(FaultPoint::AfterCommit, Fault::Crash));
    let error = append(&mut store, space(1), entity(1), &[1], Arrival::Applied).unwrap_err();
    assert!(error.to_string().contains("crashed"), "{error}");
    store.inject(Box::new(|_| None));
    store.reload().unwrap();
    assert!(Store::open(&path, &impatient).is_err());
    assert_eq!(outbox(&mut store, space(1)), hashes(&[1]));
    edit(&mut store, entity(1), &[2]);
    sound(&store);
}

#[test]
fn a_panic_in_the_middle_of_a_write_rolls_back_and_poisons() {
    let mut store = furnished();
    store.inject(Box::new(|point| match point {
        FaultPoint::BeforeStatement(2) => panic!("a bug in the middle of a transaction"),
        _ => None,
    }));
    let outcome = catch_unwind(AssertUnwindSafe(|| append(&mut store, space(1), entity(7), &[70], Arrival::Applied)));
    assert!(outcome.is_err());
    assert!(store.is_poisoned());
    store.inject(Box::new(|_| None));
    store.reload().unwrap();
    assert_eq!(store.home(entity(7)).unwrap(), None);
    sound(&store);
}

#[test]
fn an_open_transaction_of_a_crashed_device_rolls_back() {
    let connection = furnished().into_connection().unwrap();
    let before = dump(&connection);
    connection.execute_batch("BEGIN; DELETE FROM changes").unwrap();
    let store = Store::from_connection(connection, &OpenOptions::default()).unwrap();
    assert_eq!(dump(&store.into_connection().unwrap()), before);
}

#[test]
fn a_disk_that_is_really_full_is_said_to_be_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let connection = Connection::open(folder.path().join("a.db")).unwrap();
    let mut store = Store::from_connection(connection, &OpenOptions::default()).unwrap();
    prepare(&mut store);
    edit(&mut store, entity(1), &[1]);
    let connection = store.into_connection().unwrap();
    let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    connection.pragma_update_and_check(None, "max_page_count", pages + 3, |_| Ok(())).unwrap();
    let mut store = Store::from_connection(connection, &OpenOptions::default()).unwrap();

    let many: Vec<u32> = (100..400).collect();
    let error = append(&mut store, space(1), entity(2), &many, Arrival::Applied).unwrap_err();
    assert_eq!(error.class(), Class::Quota);
    assert!(error.to_string().contains("no room"), "{error}");
    assert!(store.is_poisoned());
    assert_eq!(store.home(entity(2)).unwrap(), None);

    let connection = store.into_connection().unwrap();
    connection.pragma_update_and_check(None, "max_page_count", 1_000_000, |_| Ok(())).unwrap();
    let mut store = Store::from_connection(connection, &OpenOptions::default()).unwrap();
    edit(&mut store, entity(2), &many);
    assert_eq!(outbox(&mut store, space(1)).len(), 301);
    sound(&store);
}

#[test]
fn a_file_that_another_program_keeps_locked_is_said_to_be_busy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut store = Store::open(&path, &OpenOptions::default()).unwrap();
    prepare(&mut store);
    let connection = store.into_connection().unwrap();
    let mut store = Store::from_connection(connection, &OpenOptions::default()).unwrap();
    let other = beside(&path);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = append(&mut store, space(1), entity(1), &[1], Arrival::Applied).unwrap_err();
    assert_eq!(error.class(), Class::Retry);
    assert!(error.to_string().contains("busy"), "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    store.reload().unwrap();
    edit(&mut store, entity(1), &[1]);
}

#[test]
fn an_error_text_holds_no_content() {
    let mut store = two_spaces();
    store.inject(at(FaultPoint::BeforeStatement(2), Fault::DiskFull));
    let error = append(&mut store, space(1), entity(1), &[1], Arrival::Applied).unwrap_err();
    let mut texts = vec![format!("{error:?}"), error.to_string()];
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        texts.push(inner.to_string());
        source = inner.source();
    }
    assert!(texts.iter().all(|text| !text.contains("bytes of change") && !text.contains("title")), "{texts:?}");
}

#[test]
fn a_reader_of_a_store_in_memory_ends_with_it() {
    let store = furnished();
    let reader = store.reader();
    assert_eq!(reader.spaces().unwrap().len(), 3);
    drop(store.into_connection().unwrap());
    assert!(matches!(reader.spaces(), Err(StoreError::Closed)));
}

#[test]
fn a_full_disk_that_only_compaction_meets_keeps_nobody_from_writing_and_a_failing_one_does() {
    for (name, operation) in
        OPERATIONS.into_iter().filter(|(name, _)| ["save_snapshot", "drop_snapshot", "cover"].contains(name))
    {
        for point in [FaultPoint::BeforeStatement(1), FaultPoint::BeforeCommit] {
            for (fault, goes_on) in [(Fault::DiskFull, true), (Fault::Io, false), (Fault::Crash, false)] {
                let mut store = furnished();
                let before = format!("{:?}", store.load(entity(1), afield_store::LoadFrom::Changes));
                store.inject(at(point, fault));
                assert!(operation(&mut store).is_err(), "{name} at {point:?} {fault:?}");
                store.inject(Box::new(|_| None));
                assert_eq!(store.is_poisoned(), !goes_on, "{name} at {point:?} {fault:?}");
                assert_eq!(format!("{:?}", store.load(entity(1), afield_store::LoadFrom::Changes)), before);
                let appended = append(&mut store, space(1), entity(7), &[70], Arrival::Applied);
                assert_eq!(appended.is_ok(), goes_on, "{name} at {point:?} {fault:?}");
                if goes_on {
                    operation(&mut store).unwrap_or_else(|error| panic!("{name}: {error}"));
                    sound(&store);
                }
            }
        }
    }
    // The control: what somebody asks for is in doubt after the same failure.
    let mut store = furnished();
    store.inject(at(FaultPoint::BeforeCommit, Fault::DiskFull));
    assert!(append(&mut store, space(1), entity(7), &[70], Arrival::Applied).is_err());
    assert!(store.is_poisoned());
}
