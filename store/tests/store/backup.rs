//! Backups of a store that is in use: complete, consistent, and in nobody's way.

use crate::help::*;
use afield_store::{BackupError, Covering, OpenOptions, Store};
use std::fs;

#[test]
fn a_backup_is_the_store_at_one_moment_and_the_writer_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("a.db"), folder.path().join("copy.db"));
    let mut store = Store::open(&path, &OpenOptions::default()).unwrap();
    prepare(&mut store);
    let many: Vec<u32> = (0..6_000).collect();
    edit(&mut store, entity(1), &many);
    edit(&mut store, entity(2), &[9_001, 9_002, 9_003]);
    compact(&mut store, entity(2), Covering::All).unwrap();
    let before = outbox(&mut store, space(1));
    let reader = store.reader();
    let (mut steps, mut last) = (0_u16, None);
    reader
        .backup(&copy, |progress| {
            steps += 1;
            assert!(!copy.exists(), "it has its name only once it is complete");
            edit(&mut store, entity(100 + steps), &[20_000 + u32::from(steps)]);
            last = Some(progress);
        })
        .unwrap();
    assert!(steps > 1, "the control: the writer wrote between steps");
    assert!(last.is_some_and(|progress| progress.done == progress.total && progress.total > 1_000_000));
    assert!(!folder.path().join("copy.db-partial-0").exists());

    let mut copied = Store::open(&copy, &OpenOptions::default()).unwrap();
    sound(&copied);
    assert_eq!(outbox(&mut copied, space(1)), before);
    assert_eq!(outbox(&mut store, space(1)).len(), before.len() + usize::from(steps));
}

#[test]
fn a_backup_overwrites_nothing_and_leaves_nothing_where_it_fails() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.db");
    let mut store = two_spaces();
    edit(&mut store, entity(1), &[1]);
    fs::write(&copy, "something of a person's").unwrap();
    assert!(matches!(store.reader().backup(&copy, |_| ()), Err(BackupError::Exists)));
    assert_eq!(fs::read(&copy).unwrap(), b"something of a person's");
    let nowhere = folder.path().join("missing").join("copy.db");
    assert!(matches!(store.reader().backup(&nowhere, |_| ()), Err(BackupError::Place(_))));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);

    fs::remove_file(&copy).unwrap();
    store.reader().backup(&copy, |_| ()).unwrap();
    let mut copied = Store::open(&copy, &OpenOptions::default()).unwrap();
    assert_eq!(outbox(&mut copied, space(1)), hashes(&[1]));
    sound(&copied);
}

#[test]
fn a_backup_that_is_given_up_leaves_the_name_free() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.db");
    let store = two_spaces();
    let given_up = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        store.reader().backup(&copy, |_| panic!("whoever watches the progress gives up"))
    }));
    assert!(given_up.is_err());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    store.reader().backup(&copy, |_| ()).unwrap();
}

#[test]
fn what_a_killed_backup_left_keeps_no_other_back_and_what_a_store_left_does() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.db");
    let mut store = two_spaces();
    edit(&mut store, entity(1), &[1]);
    fs::write(folder.path().join("copy.db-partial-0"), "half of a backup").unwrap();
    for ending in ["wal", "journal"] {
        let left = folder.path().join(format!("copy.db-{ending}"));
        fs::write(&left, "what would be played into the copy").unwrap();
        assert!(matches!(store.reader().backup(&copy, |_| ()), Err(BackupError::Exists)), "{ending}");
        fs::remove_file(left).unwrap();
    }
    store.reader().backup(&copy, |_| ()).unwrap();
    let mut copied = Store::open(&copy, &OpenOptions::default()).unwrap();
    assert_eq!(outbox(&mut copied, space(1)), hashes(&[1]));
}

#[test]
fn who_is_told_how_far_a_backup_is_may_read_a_store_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let store = two_spaces();
    let (reader, mut spaces) = (store.reader(), 0);
    store.reader().backup(folder.path().join("copy.db"), |_| spaces = reader.spaces().unwrap().len()).unwrap();
    assert_eq!(spaces, 2);
}
