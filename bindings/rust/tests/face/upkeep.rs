//! Keeping a store small, copies of it, and leaving a space.

use afield::{BackupError, Path, Replica, SpaceError};
use serde_json::json;
use std::path::Path as File;

fn count(store: &File, sql: &str) -> i64 {
    rusqlite::Connection::open(store).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

const BODIES: &str = "SELECT count(*) FROM bodies";
const COVERED: &str = "SELECT count(*) FROM changes WHERE covered = 1";

#[test]
fn an_entity_that_is_edited_long_is_compacted_by_itself_while_sync_is_off_and_keeps_its_history() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.db");
    let replica = Replica::open(&path).unwrap();
    let notes = replica.create_space("Home").unwrap().collection::<()>("notes").unwrap();
    let (long, short) =
        (notes.json().insert(&json!({"n": 0})).unwrap(), notes.json().insert(&json!({"n": 0})).unwrap());
    let edit = |id, number: i64| notes.entity(id).unwrap().map(Path::ROOT).put("n", number).map(drop).unwrap();
    let changes = |id| notes.entity(id).unwrap().raw(|document| document.get_changes(&[])).unwrap();
    edit(short, 1);
    for number in 1..=200 {
        edit(long, number);
    }
    let bodies = count(&path, BODIES);
    assert!(bodies < 2 + 1 + 64, "{bodies} changes are kept one by one");
    assert_eq!(count(&path, "SELECT count(*) FROM changes"), 203);
    let held = changes(long);
    drop((replica, notes));

    let replica = Replica::open(&path).unwrap();
    let notes = replica.spaces().unwrap().remove(0).collection::<()>("notes").unwrap();
    let again = notes.entity(long).unwrap().raw(|document| document.get_changes(&[])).unwrap();
    let bytes = |changes: &[afield::automerge::Change]| -> std::collections::BTreeMap<_, _> {
        changes.iter().map(|change| (change.hash(), change.raw_bytes().to_vec())).collect()
    };
    assert_eq!((again.len(), bytes(&again)), (201, bytes(&held)));
    assert_eq!(notes.json().read(long).unwrap(), json!({"n": 200}));
    assert_eq!(replica.status().unwrap().pending_changes, 203, "what is compacted is still to be sent");
}

#[test]
fn compacting_makes_the_file_smaller_tells_how_far_it_is_and_does_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.db");
    let replica = Replica::open(&path).unwrap();
    let notes = replica.create_space("Home").unwrap().collection::<()>("notes").unwrap();
    let ids: Vec<_> = (0..8).map(|number| notes.json().insert(&json!({"n": number})).unwrap()).collect();
    let (_, _) = replica
        .transaction(|transaction| {
            for round in 1_000..1_400_i64 {
                for id in &ids {
                    transaction.edit_fields(&notes, *id, |edit| Ok(edit.put("n", afield::Value::Int(round))?))?;
                }
            }
            Ok(())
        })
        .unwrap();
    let mut told = Vec::new();
    let compacted = replica.compact(|progress| told.push((progress.done, progress.total))).unwrap();
    // Of all that the transaction edited, it compacted one.
    assert_eq!((told.first(), told.last()), (Some(&(1, 7)), Some(&(7, 7))));
    assert_eq!((compacted.entities, compacted.changes, compacted.passed_over), (7, 7 * 401, 0));
    assert!(compacted.bytes_after > 0 && compacted.bytes_after < compacted.bytes_before, "{compacted:?}");
    assert_eq!((count(&path, BODIES), count(&path, COVERED)), (0, 8 * 401));
    let again = replica.compact(|_| ()).unwrap();
    assert_eq!((again.entities, again.changes), (0, 0));
    assert!(ids.iter().all(|id| notes.json().read(*id).unwrap() == json!({"n": 1_399})));
}

#[test]
fn a_snapshot_that_rots_is_read_from_its_other_copy_and_a_second_one_costs_that_entity_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.db");
    let replica = Replica::open(&path).unwrap();
    let home = replica.create_space("Home").unwrap();
    let notes = home.collection::<()>("notes").unwrap();
    let (long, short) =
        (notes.json().insert(&json!({"n": 0})).unwrap(), notes.json().insert(&json!({"n": 5})).unwrap());
    for number in 0..30_i64 {
        let _ = notes.entity(long).unwrap().map(Path::ROOT).put("n", number).unwrap();
    }
    replica.compact(|_| ()).unwrap();
    drop((replica, home, notes));
    for (slot, table) in (0..).zip(["snapshots", "snapshots_second"]) {
        let connection = rusqlite::Connection::open(&path).unwrap();
        let rot = format!("UPDATE {table} SET bytes = zeroblob(length(bytes))");
        assert_eq!(connection.execute(&rot, []).unwrap(), 1);
        drop(connection);
        let replica = Replica::open(&path).unwrap();
        let notes = replica.spaces().unwrap().remove(0).collection::<()>("notes").unwrap();
        let read = notes.json().read(long);
        assert_eq!(read.is_ok(), slot == 0, "{read:?}");
        assert_eq!(notes.json().read(short).unwrap(), json!({"n": 5}));
        notes.json().edit(short, |note| note["n"] = json!(5 + slot)).unwrap();
        assert_eq!(notes.json().edit(long, |note| note["n"] = json!(1)).is_ok(), slot == 0);
        if slot == 1 {
            let error = read.unwrap_err();
            let afield::ReadError::Entity(error) = error else { panic!("{error:?}") };
            assert_eq!(error.code(), "store.snapshot_damaged");
            assert_eq!(replica.compact(|_| ()).unwrap().passed_over, 0, "too little of it is left to compact");
        }
    }
}

#[test]
fn a_backup_made_while_open_is_complete_and_may_be_used_beside_the_original() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("notes.db"), folder.path().join("copy.db"));
    let original = Replica::open(&path).unwrap();
    let notes = original.create_space("Home").unwrap().collection::<()>("notes").unwrap();
    let id = notes.json().insert(&json!({"n": 0, "title": "before"})).unwrap();
    let mut told = 0;
    original.backup_with(&copy, |_| told += 1).unwrap();
    assert!(told > 0);
    assert!(matches!(original.backup(&copy), Err(BackupError::Exists)));
    notes.json().edit(id, |note| note["title"] = json!("original")).unwrap();

    let copied = Replica::open(&copy).unwrap();
    let copied_notes = copied.spaces().unwrap().remove(0).collection::<()>("notes").unwrap();
    assert_eq!(copied_notes.json().read(id).unwrap(), json!({"n": 0, "title": "before"}));
    copied_notes.json().edit(id, |note| note["n"] = json!(1)).unwrap();
    // Both went on from the same state, and no number stands for two changes (D6).
    let numbers = |notes: &afield::Collection<()>| {
        notes
            .entity(id)
            .unwrap()
            .raw(|document| {
                document
                    .get_changes(&[])
                    .iter()
                    .map(|change| ((change.actor_id().clone(), change.seq()), change.hash()))
                    .collect::<std::collections::BTreeMap<_, _>>()
            })
            .unwrap()
    };
    let (one, other) = (numbers(&notes), numbers(&copied_notes));
    assert!(one.iter().all(|(number, hash)| other.get(number).is_none_or(|same| same == hash)));
    assert_eq!(one.keys().filter(|number| !other.contains_key(number)).count(), 1, "the control: both made a change");
}

#[test]
fn leaving_a_space_tells_what_would_be_lost_and_forgets_what_is_in_memory() {
    let replica = Replica::open_in_memory().unwrap();
    let home = replica.create_space("Home").unwrap();
    let other = replica.create_space("Other").unwrap();
    let kept = other.collection::<()>("notes").unwrap();
    let kept_id = kept.json().insert(&json!({"title": "kept"})).unwrap();
    let notes = home.collection::<()>("notes").unwrap();
    let id = notes.json().insert(&json!({"title": "open in memory"})).unwrap();
    let deleted = notes.json().insert(&json!({"title": "deleted"})).unwrap();
    let _ = notes.delete(deleted).unwrap();
    let error = home.clone().leave().unwrap_err();
    assert!(matches!(error, SpaceError::Unsent { changes: 3, .. }), "{error:?}");
    assert!(error.to_string().contains('3'), "{error}");
    assert_eq!(notes.json().read(id).unwrap(), json!({"title": "open in memory"}));

    let left = replica.leave_space_discarding(home.id()).unwrap();
    assert_eq!((left.entities, left.changes, left.unsent, left.is_erased), (2, 3, 3, true));
    assert!(matches!(replica.space(home.id()), Err(SpaceError::Unknown(_))));
    assert!(notes.json().read(id).is_err() && notes.json().insert(&json!({})).is_err());
    assert_eq!(kept.json().read(kept_id).unwrap(), json!({"title": "kept"}));
    // Coming back starts from nothing, also for whoever kept a handle.
    let again = replica.join_space(home.id()).unwrap();
    assert!(again.collections().unwrap().is_empty() && notes.json().read(id).is_err());
    assert!(replica.leave_space(home.id()).is_ok(), "an empty space has nothing to lose");
}

#[test]
fn what_is_deleted_is_listed_and_comes_back_as_it_was() {
    let replica = Replica::open_in_memory().unwrap();
    let notes = replica.create_space("Home").unwrap().collection::<()>("notes").unwrap();
    let (one, two) = (notes.json().insert(&json!({"n": 1})).unwrap(), notes.json().insert(&json!({"n": 2})).unwrap());
    let _ = notes.delete(one).unwrap();
    assert_eq!((notes.ids().unwrap(), notes.deleted().unwrap()), (vec![two], vec![one]));
    assert!(notes.entity(one).unwrap().is_deleted().unwrap());
    let _ = notes.restore(one).unwrap();
    // Ids of one millisecond are in no order.
    let both = [one.min(two), one.max(two)].to_vec();
    assert_eq!((notes.ids().unwrap(), notes.deleted().unwrap()), (both, vec![]));
    assert_eq!(notes.json().read(one).unwrap(), json!({"n": 1}));
}

#[test]
fn what_waits_for_sync_is_refused_inside_an_edit_and_compacting_there_waits_for_nobody() {
    let replica = Replica::open_in_memory().unwrap();
    let home = replica.create_space("Home").unwrap();
    let notes = home.collection::<()>("notes").unwrap();
    let id = notes.json().insert(&json!({"n": 0})).unwrap();
    notes
        .json()
        .edit(id, |note| {
            let left = replica.leave_space_discarding(home.id());
            assert!(matches!(&left, Err(SpaceError::Nested)), "{left:?}");
            let filtered = home.set_filter(afield::Filter::everything());
            assert!(matches!(&filtered, Err(afield::FilterError::Nested)), "{filtered:?}");
            assert!(replica.compact(|_| ()).is_ok());
            assert!(matches!(replica.maintain(), Err(afield::MaintainError::Nested)));
            note["n"] = json!(1);
        })
        .unwrap();
    assert_eq!(notes.json().read(id).unwrap(), json!({"n": 1}));
    // The control: outside of it they are done.
    home.set_filter(afield::Filter::everything()).unwrap();
    replica.maintain().unwrap();
    replica.leave_space_discarding(home.id()).unwrap();
}

#[test]
fn a_store_that_is_closed_is_one_file_with_everything_and_an_empty_lock_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copied) = (folder.path().join("notes.db"), folder.path().join("alone.db"));
    let names = || {
        let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).collect::<std::collections::BTreeSet<_>>()
    };
    let replica = Replica::open(&path).unwrap();
    let notes = replica.create_space("Home").unwrap().collection::<()>("notes").unwrap();
    let id = notes.json().insert(&json!({"title": "Milk"})).unwrap();
    let open = ["notes.db", "notes.db-holder", "notes.db-lock", "notes.db-shm", "notes.db-wal"];
    assert_eq!(names(), open.map(str::to_owned).into());
    drop((notes, replica));
    assert_eq!(names(), ["notes.db", "notes.db-lock"].map(str::to_owned).into());
    assert_eq!(std::fs::metadata(folder.path().join("notes.db-lock")).unwrap().len(), 0);
    std::fs::copy(&path, &copied).unwrap();
    let replica = Replica::open(&copied).unwrap();
    let home = &replica.spaces().unwrap()[0];
    assert_eq!(home.collection::<()>("notes").unwrap().json().read(id).unwrap()["title"], "Milk");
}
