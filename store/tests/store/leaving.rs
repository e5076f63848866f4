//! Leaving a space: nothing of it stays, and nothing else goes.

use crate::help::*;
use afield_core::Role;
use afield_store::{Arrival, Covering, Left, OpenOptions, Origin, Projection, SpaceError, Store, Unsent};
use std::fs;

/// Text that stands in the file only where the space does.
const SECRET: &str = "a sentence of the space that is left";

fn is_in_files(path: &std::path::Path) -> bool {
    let folder = path.parent().unwrap();
    fs::read_dir(folder).unwrap().any(|file| {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes())
    })
}

#[test]
fn a_space_with_unsent_changes_is_left_only_when_they_are_to_be_discarded() {
    let mut store = two_spaces();
    edit(&mut store, entity(1), &[1, 2]);
    receive(&mut store, space(1), &[proven(entity(1), 1)]);
    let error = store.leave_space(space(1), Unsent::Keep).unwrap_err();
    assert!(matches!(error, SpaceError::UnsentChanges { changes: 1, .. }), "{error:?}");
    assert!(store.space(space(1)).unwrap().is_some());
    receive(&mut store, space(1), &[proven(entity(1), 2)]);
    let left = store.leave_space(space(1), Unsent::Keep).unwrap().into_inner();
    assert_eq!(left, Left { entities: 1, changes: 2, unsent: 0 });
    assert!(matches!(store.leave_space(space(1), Unsent::Discard), Err(SpaceError::UnknownSpace { .. })));
    sound(&store);
}

#[test]
fn what_is_left_cannot_be_read_in_the_file_or_its_wal_where_the_file_is_not_rebuilt() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut store = Store::open(&path, &OpenOptions::default()).unwrap();
    prepare(&mut store);
    let secret = Projection { json: format!("\"{}\"", SECRET.repeat(400)), deleted: false, updated_ms: AT_MS };
    edit(&mut store, entity(1), &[1, 2]);
    store.project(&[(entity(1), secret)]).unwrap();
    let _ = store.leave_space(space(1), Unsent::Discard).unwrap();
    assert!(is_in_files(&path), "the control: it stands in the WAL");
    assert!(store.empty_wal().unwrap());
    assert!(!is_in_files(&path));
    sound(&store);
}

#[test]
fn what_is_left_cannot_be_read_in_the_file_and_another_space_stays_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut store = Store::open(&path, &OpenOptions::default()).unwrap();
    prepare(&mut store);
    for id in 1..40 {
        edit(&mut store, entity(id), &[u32::from(id), 100 + u32::from(id)]);
    }
    let shown = |text: String| Projection { json: text, deleted: false, updated_ms: AT_MS };
    store
        .project(&[(entity(1), shown(format!("\"{}\"", SECRET.repeat(400)))), (entity(2), shown(SECRET.into()))])
        .unwrap();
    // An earlier state that a later one has written over, and a compacted entity.
    store.project(&[(entity(1), shown(SECRET.into()))]).unwrap();
    compact(&mut store, entity(3), Covering::All).unwrap();
    let _ = append(&mut store, space(2), entity(50), &[500, 501], Arrival::Applied).unwrap();
    let others = store.marks(space(2)).unwrap();
    assert!(is_in_files(&path), "the control: it is there to be found");

    let left = store.leave_space(space(1), Unsent::Discard).unwrap().into_inner();
    assert_eq!((left.entities, left.changes, left.unsent), (39, 78, 78));
    assert!(store.shrink().unwrap());
    assert!(!is_in_files(&path));
    assert_eq!(store.marks(space(2)).unwrap(), others);
    sound(&store);
    drop(store);
    let mut store = Store::open(&path, &OpenOptions::default()).unwrap();
    assert_eq!(store.spaces().unwrap().len(), 1);
    // Coming back starts from nothing.
    let _ = store.create_space(space(1), "again", Origin::Joined, AT_MS).unwrap();
    let _ = store.set_log(space(1), log(1), Role::Owner).unwrap();
    receive(&mut store, space(1), &[carried(entity(1), 1)]);
    assert_eq!(store.held(entity(1), &hashes(&[1, 101])).unwrap(), hashes(&[1]));
    sound(&store);
}

#[test]
fn a_reader_in_the_middle_of_reading_keeps_the_traces_and_that_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut store = Store::open(&path, &OpenOptions::default()).unwrap();
    prepare(&mut store);
    edit(&mut store, entity(1), &[1]);
    let other = beside(&path);
    other.busy_timeout(std::time::Duration::ZERO).unwrap();
    other.execute_batch("BEGIN; SELECT count(*) FROM changes").unwrap();
    let _ = store.leave_space(space(1), Unsent::Discard).unwrap();
    let connection = store.into_connection().unwrap();
    connection.busy_timeout(std::time::Duration::ZERO).unwrap();
    let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
    assert_eq!(busy, 1, "what Store::shrink would answer with false, after the time that SQLite waits");
    other.execute_batch("COMMIT").unwrap();
    let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
    assert_eq!(busy, 0);
}
