//! Damaged files: errors, never panics, and never a sound verdict on a damaged page.

use crate::help::*;
use afield_core::wire::Class;
use afield_store::{Covering, ListQuery, LoadFrom, OpenError, OpenOptions, Reader, Settled, Store, StoreError};
use std::fs;
use std::path::Path;

const PAGE_BYTES: usize = 4_096;

fn furnish(path: &Path) -> usize {
    let mut store = Store::open(path, &OpenOptions::default()).unwrap();
    prepare(&mut store);
    for id in 0..40 {
        let changes: Vec<u32> = (0..20).map(|change| u32::from(id) * 100 + change).collect();
        edit(&mut store, entity(id), &changes);
    }
    drop(store);
    fs::metadata(path).unwrap().len() as usize
}

/// Reads and writes everywhere; says whether anything was found to be wrong.
fn notices_damage(path: &Path) -> bool {
    let mut store = match Store::open(path, &OpenOptions { writer_wait_ms: 0, ..OpenOptions::default() }) {
        Ok(store) => store,
        Err(OpenError::Store(error)) => {
            assert_eq!(error.class(), Class::Permanent, "{error:?}");
            return true;
        }
        Err(OpenError::NotAStore | OpenError::Newer { .. } | OpenError::ReadOnly) => return true,
        Err(other) => panic!("{other:?}"),
    };
    let mut bad = !matches!(store.verify(), Ok(violations) if violations.is_empty());
    for id in 0..40 {
        bad |= store.load(entity(id), LoadFrom::Changes).is_err();
    }
    let query = ListQuery { space: space(1), collection: None, deleted: None, after: None, limit: usize::MAX };
    bad |= Reader::open(path).is_err() || store.reader().list(&query).is_err();
    bad |= store.outbox(space(1), afield_store::OutboxPosition::START, usize::MAX, usize::MAX).is_err();
    let appended = append(&mut store, space(1), entity(3), &[9_999], afield_store::Arrival::Applied);
    bad | appended.is_err()
}

#[test]
fn a_sound_file_is_found_sound() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    furnish(&path);
    assert!(!notices_damage(&path));
}

#[test]
fn a_page_whose_head_is_overwritten_is_an_error_and_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let pages = furnish(&path) / PAGE_BYTES;
    let good = fs::read(&path).unwrap();
    assert!(pages > 20);
    for page in 0..pages {
        let mut bad = good.clone();
        bad[page * PAGE_BYTES..][..64].fill(0x5a);
        let damaged = folder.path().join(format!("{page}.db"));
        fs::write(&damaged, bad).unwrap();
        assert!(notices_damage(&damaged), "page {page}");
    }
}

#[test]
fn a_flipped_byte_anywhere_never_panics_or_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let size = furnish(&path);
    let good = fs::read(&path).unwrap();
    let mut noticed = 0;
    // A step that is prime to the page size, so that every part of a page is met.
    for (index, at) in (0..size).step_by(1_511).enumerate() {
        let mut bad = good.clone();
        bad[at] ^= 0xff;
        let damaged = folder.path().join(format!("{index}.db"));
        fs::write(&damaged, bad).unwrap();
        noticed += usize::from(notices_damage(&damaged));
        fs::remove_file(&damaged).unwrap();
    }
    // A flip within the bytes of a change is for their hash to find.
    assert!(noticed > 0);
}

#[test]
fn a_truncated_file_is_damaged_or_no_store_and_never_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let size = furnish(&path);
    let good = fs::read(&path).unwrap();
    for length in [1, 99, 100, PAGE_BYTES, PAGE_BYTES + 7, size / 2, size - PAGE_BYTES] {
        let short = folder.path().join(format!("{length}.db"));
        fs::write(&short, &good[..length]).unwrap();
        assert!(notices_damage(&short), "{length}");
    }
}

#[test]
fn damage_found_while_writing_poisons_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    furnish(&path);
    let root: i64 = beside(&path)
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'changes'", [], |row| row.get(0))
        .unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[(root as usize - 1) * PAGE_BYTES..][..64].fill(0x5a);
    fs::write(&path, bytes).unwrap();
    let mut store = Store::open(&path, &OpenOptions::default()).unwrap();
    let error = append(&mut store, space(1), entity(99), &[1], afield_store::Arrival::Applied).unwrap_err();
    assert!(matches!(error, afield_store::AppendError::Store(StoreError::Corrupt(_))), "{error:?}");
    assert!(store.is_poisoned());
    assert!(matches!(store.load(entity(1), LoadFrom::Changes), Err(StoreError::Corrupt(_))));
}

/// The pages of the file that hold snapshots, counted from 1.
fn snapshot_pages(path: &Path) -> Vec<usize> {
    let connection = rusqlite::Connection::open(path).unwrap();
    let mut statement = connection.prepare("SELECT pageno FROM dbstat WHERE name LIKE 'snapshots%'").unwrap();
    statement.query_map([], |row| row.get::<_, u32>(0)).unwrap().map(|page| page.unwrap() as usize).collect()
}

#[test]
fn a_damaged_page_of_one_copy_of_a_snapshot_costs_nothing_but_room_and_stops_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut store = Store::open(&path, &OpenOptions::default()).unwrap();
    prepare(&mut store);
    // One whose copies fit into a page together, and one whose copies each take several.
    let (small, large): (Vec<u32>, Vec<u32>) = ((1..10).collect(), (100..400).collect());
    edit(&mut store, entity(1), &small);
    edit(&mut store, entity(2), &large);
    edit(&mut store, entity(3), &[50]);
    for number in [1, 2] {
        compact(&mut store, entity(number), Covering::All).unwrap();
    }
    drop(store);
    let (good, pages) = (fs::read(&path).unwrap(), snapshot_pages(&path));
    assert!(pages.len() > 8, "{pages:?}");
    let (mut noticed, mut of_each) = (0, 0);
    for page in pages {
        for at in [1, 100] {
            let mut bad = good.clone();
            bad[(page - 1) * PAGE_BYTES + at] ^= 0xff;
            let damaged = folder.path().join(format!("{page}-{at}.db"));
            fs::write(&damaged, bad).unwrap();
            let mut store = Store::open(&damaged, &OpenOptions::default()).unwrap();
            noticed += usize::from(!store.verify().is_ok_and(|found| found.is_empty()));
            of_each += 1;
            for (id, changes) in [(entity(1), &small), (entity(2), &large)] {
                let stored = store.load(id, LoadFrom::Snapshot).unwrap().unwrap();
                assert_eq!(stored.snapshot.unwrap().changes, changes.len() as u64, "page {page} at {at}");
            }
            receive(&mut store, space(1), &[carried(entity(1), 60)]);
            store.settle(&[settlement(entity(1), &[(hash(60), Settled::Applied)], None)], AT_MS).unwrap();
            let _ = store.reset(space(1), log(9), 0).unwrap();
            assert_eq!(outbox(&mut store, space(1)).len(), small.len() + large.len() + 2, "page {page} at {at}");
            for (number, change) in [(1, 10), (2, 400), (3, 51)] {
                edit(&mut store, entity(number), &[change]);
                let saved = saved(&store, entity(number));
                let is_saved = store.save_snapshot(entity(number), &saved).is_ok();
                if is_saved && let Ok(mut checked) = store.reader().check_snapshot(entity(number)) {
                    let _ = store.cover(&mut checked, Covering::All);
                }
                assert!(!store.is_poisoned(), "page {page} at {at}");
            }
            assert_eq!(outbox(&mut store, space(1)).len(), small.len() + large.len() + 5, "page {page} at {at}");
            // A space is left, or stays as it is.
            let is_left = store.leave_space(space(1), afield_store::Unsent::Discard).is_ok();
            assert!(!store.is_poisoned(), "page {page} at {at}");
            assert_eq!(store.space(space(1)).unwrap().is_none(), is_left, "page {page} at {at}");
        }
    }
    assert!(noticed * 2 > of_each, "{noticed} of {of_each} flips are seen by the checks");
}
