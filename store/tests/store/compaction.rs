//! Compaction: bytes go, and everything that was held still is, byte for byte (D5, D8).

use crate::help::*;
use afield_core::EntityId;
use afield_store::{
    ChangeState, Covering, EntityError, LoadFrom, Reason, Settled, Snapshot, SnapshotError, Store, StoreError,
    Violation,
};

const MANY: [u32; 9] = [1, 2, 3, 4, 5, 6, 7, 8, 9];

fn bodies(store: &mut Store) -> i64 {
    number(store, "SELECT count(*) FROM bodies")
}

fn number(store: &mut Store, sql: &str) -> i64 {
    let mut found = 0;
    store.tamper(|connection| found = connection.query_row(sql, [], |row| row.get(0)).unwrap());
    found
}

/// Flips a bit in a copy of the only snapshot.
fn flip(store: &mut Store, slot: usize, at: usize) {
    store.tamper(|connection| {
        let table = SNAPSHOTS[slot];
        let sql = format!("SELECT bytes FROM {table}");
        let mut bytes: Vec<u8> = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
        let at = at % bytes.len();
        bytes[at] ^= 0x10;
        connection.execute(&format!("UPDATE {table} SET bytes = ?"), [bytes]).unwrap();
    });
}

/// Spoils the copies that are confirmed, or those that are not; says how many.
fn rot(store: &mut Store, confirmed: bool) -> usize {
    let mut rotten = 0;
    store.tamper(|connection| {
        let sql = |table| format!("UPDATE {table} SET bytes = zeroblob(9) WHERE confirmed = ?");
        rotten = SNAPSHOTS.iter().map(|table| connection.execute(&sql(table), [confirmed]).unwrap()).sum();
    });
    rotten
}

const COPIES: &str = "SELECT (SELECT count(*) FROM snapshots) + (SELECT count(*) FROM snapshots_second)";

fn everything(store: &Store, id: EntityId) -> Vec<afield_store::StoredChange> {
    store.load(id, LoadFrom::Changes).unwrap().unwrap().changes
}

#[test]
fn covered_changes_keep_hash_state_mark_and_place_and_give_every_byte_back() {
    let mut store = two_spaces();
    receive(&mut store, space(1), &[carried(entity(1), 1), carried(entity(2), 20)]);
    store.settle(&[settlement(entity(1), &[(hash(1), Settled::Applied)], Some(&projection("one")))], AT_MS).unwrap();
    edit(&mut store, entity(1), &MANY[1..]);
    let (before, size) = (everything(&store, entity(1)), store.outbox_size(space(1)).unwrap());
    let marks = store.marks(space(1)).unwrap();

    assert_eq!(compact(&mut store, entity(1), Covering::All), Ok(9));
    assert_eq!(bodies(&mut store), 1, "of the other entity");
    assert_eq!(everything(&store, entity(1)), before);
    assert_eq!(store.load(entity(1), LoadFrom::Snapshot).unwrap().unwrap().changes, []);
    assert_eq!((store.marks(space(1)).unwrap(), store.outbox_size(space(1)).unwrap()), (marks, size));
    assert_eq!(store.held(entity(1), &hashes(&MANY)).unwrap(), hashes(&MANY));
    assert_eq!(store.change(entity(1), hash(7)).unwrap().unwrap().bytes, bytes(7));
    assert_eq!(outbox(&mut store, space(1)), hashes(&MANY[1..]));
    assert!(outbox_chunks(&mut store, space(1)).iter().zip(&MANY[1..]).all(|(chunk, of)| chunk.bytes == bytes(*of)));
    sound(&store);

    // What is appended or received again is known, and what is new is not covered.
    edit(&mut store, entity(1), &[2, 10]);
    assert_eq!((everything(&store, entity(1)).len(), bodies(&mut store)), (10, 2));
    sound(&store);
}

#[test]
fn a_reset_offers_what_is_covered_entity_by_entity_and_before_what_rests_on_it() {
    let mut store = two_spaces();
    for (one, two) in MANY.iter().zip(11..) {
        edit(&mut store, entity(1), &[*one]);
        edit(&mut store, entity(2), &[two]);
    }
    compact(&mut store, entity(1), Covering::All).unwrap();
    compact(&mut store, entity(2), Covering::All).unwrap();
    edit(&mut store, entity(1), &[30]);
    edit(&mut store, entity(3), &[31]);
    let _ = store.reset(space(1), log(9), 0).unwrap();
    let expected: Vec<u32> = (1..10).chain(11..20).chain([30, 31]).collect();
    assert_eq!(outbox(&mut store, space(1)), hashes(&expected));
    for (chunks_max, bytes_max) in [(4, usize::MAX), (usize::MAX, 3 * bytes(1).len()), (1, 1)] {
        let (mut seen, mut after) = (Vec::new(), afield_store::OutboxPosition::START);
        loop {
            let page = store.outbox(space(1), after, chunks_max, bytes_max).unwrap().into_inner();
            let Some(last) = page.last() else { break };
            assert!(page.len() <= chunks_max && (page.len() == 1 || page.len() * bytes(1).len() <= bytes_max));
            after = last.position;
            seen.extend(page.into_iter().map(|chunk| chunk.hash));
        }
        assert_eq!(seen, hashes(&expected));
    }
}

#[test]
fn while_a_session_goes_through_the_outbox_nothing_in_it_changes_its_place() {
    let mut store = two_spaces();
    receive(&mut store, space(1), &[carried(entity(1), 1), carried(entity(1), 2)]);
    let applied = [(hash(1), Settled::Applied), (hash(2), Settled::Applied)];
    store.settle(&[settlement(entity(1), &applied, Some(&projection("two")))], AT_MS).unwrap();
    edit(&mut store, entity(1), &[3, 4]);
    receive(&mut store, space(1), &[carried(entity(1), 5)]);
    store.settle(&[settlement(entity(1), &[(hash(5), Settled::Applied)], None)], AT_MS).unwrap();

    // The last one is marked, but stands behind others that are not.
    assert_eq!(compact(&mut store, entity(1), Covering::Marked), Ok(2));
    assert_eq!((outbox(&mut store, space(1)), bodies(&mut store)), (hashes(&[3, 4]), 3));
    sound(&store);
    assert_eq!(compact(&mut store, entity(1), Covering::All), Ok(3));
    sound(&store);
}

#[test]
fn a_snapshot_that_does_not_hold_what_it_stands_for_covers_nothing() {
    let mut store = two_spaces();
    edit(&mut store, entity(1), &MANY);
    let good = saved(&store, entity(1));
    let mut other = two_spaces();
    edit(&mut other, entity(1), &[1, 2, 3, 4, 5, 6, 7, 8, 90]);
    let foreign = saved(&other, entity(1));
    edit(&mut other, entity(1), &[91]);
    let more = saved(&other, entity(1));
    let check = |store: &Store| store.reader().check_snapshot(entity(1)).map(drop);
    assert!(matches!(check(&store), Err(SnapshotError::Missing { .. })));

    let _ = store.save_snapshot(entity(1), &Snapshot { bytes: vec![1; 99], ..good.clone() }).unwrap();
    assert!(matches!(check(&store), Err(SnapshotError::DoesNotLoad { .. })));
    let _ = store.save_snapshot(entity(1), &Snapshot { heads: hashes(&[1]), ..good.clone() }).unwrap();
    assert!(matches!(check(&store), Err(SnapshotError::HeadsDiffer { .. })));
    let _ = store.save_snapshot(entity(1), &foreign).unwrap();
    assert!(matches!(check(&store), Err(SnapshotError::ChangeMissing { .. })));
    let _ = store.save_snapshot(entity(1), &Snapshot { changes: 9, ..more }).unwrap();
    assert!(matches!(check(&store), Err(SnapshotError::ChangeMissing { .. } | SnapshotError::HoldsOthers { .. })));
    let _ = store.save_snapshot(entity(1), &good).unwrap();
    store.tamper(|connection| {
        connection.execute("UPDATE bodies SET bytes = zeroblob(length(bytes)) WHERE change_row = 4", []).unwrap();
    });
    assert!(matches!(check(&store), Err(SnapshotError::ChangeDiffers { .. })));
    assert_eq!(bodies(&mut store), 9);
}

#[test]
fn a_word_about_a_snapshot_that_was_replaced_lets_nothing_go() {
    let mut store = two_spaces();
    edit(&mut store, entity(1), &MANY);
    let snapshot = saved(&store, entity(1));
    let _ = store.save_snapshot(entity(1), &snapshot).unwrap();
    let mut checked = store.reader().check_snapshot(entity(1)).unwrap();
    edit(&mut store, entity(1), &[10]);
    let snapshot = saved(&store, entity(1));
    for _ in 0..2 {
        let _ = store.save_snapshot(entity(1), &snapshot).unwrap();
    }
    let covered = store.cover(&mut checked, Covering::All).unwrap();
    assert_eq!((covered.changes, covered.is_done, bodies(&mut store)), (0, true, 10));
    assert_eq!(compact(&mut store, entity(1), Covering::All), Ok(10));
}

#[test]
fn a_flipped_byte_in_either_copy_loses_nothing_and_is_told_and_mended_by_the_next_snapshot() {
    for slot in [0, 1] {
        for at in (0..2_000).step_by(97) {
            let mut store = two_spaces();
            edit(&mut store, entity(1), &MANY);
            compact(&mut store, entity(1), Covering::All).unwrap();
            sound(&store);
            flip(&mut store, slot, at);
            assert_eq!(store.verify().unwrap(), [Violation::SnapshotDamaged { entity: entity(1) }]);
            let stored = store.load(entity(1), LoadFrom::Snapshot).unwrap().unwrap();
            assert_eq!((stored.snapshot.unwrap().changes, stored.changes.len()), (9, 0));
            assert_eq!(outbox(&mut store, space(1)), hashes(&MANY));
            edit(&mut store, entity(1), &[10]);
            assert_eq!(compact(&mut store, entity(1), Covering::All), Ok(1));
            sound(&store);
        }
    }
}

#[test]
fn when_both_copies_are_damaged_that_entity_says_so_and_nothing_else_is_touched() {
    let mut store = two_spaces();
    edit(&mut store, entity(1), &MANY);
    compact(&mut store, entity(1), Covering::All).unwrap();
    edit(&mut store, entity(2), &[20]);
    flip(&mut store, 0, 50);
    flip(&mut store, 1, 60);
    for from in [LoadFrom::Snapshot, LoadFrom::Changes] {
        let error = store.load(entity(1), from).unwrap_err();
        assert!(matches!(error, StoreError::SnapshotDamaged { entity: of } if of == entity(1)), "{error:?}");
    }
    assert!(matches!(store.change(entity(1), hash(1)), Err(StoreError::SnapshotDamaged { .. })));
    assert!(!store.verify().unwrap().is_empty());
    // The outbox of others goes on, and the store writes.
    assert_eq!(outbox(&mut store, space(1)), hashes(&[20]));
    assert_eq!(store.outbox_size(space(1)).unwrap().changes, 10);
    edit(&mut store, entity(2), &[21]);
    let _ = store.drop_snapshot(entity(1)).unwrap();
    assert_eq!(number(&mut store, COPIES), 2, "nothing is deleted (D8)");
}

#[test]
fn until_a_new_snapshot_is_confirmed_the_one_before_it_stays() {
    let mut store = two_spaces();
    edit(&mut store, entity(1), &MANY);
    compact(&mut store, entity(1), Covering::All).unwrap();
    for change in 10..14 {
        edit(&mut store, entity(1), &[change]);
        // Several are saved and none is confirmed, as when the process ends each time.
        let snapshot = saved(&store, entity(1));
        let _ = store.save_snapshot(entity(1), &snapshot).unwrap();
        sound(&store);
    }
    assert_eq!(rot(&mut store, false), 1);
    let stored = store.load(entity(1), LoadFrom::Snapshot).unwrap().unwrap();
    assert_eq!((stored.snapshot.unwrap().changes, stored.changes.len()), (9, 4));
    let _ = store.drop_snapshot(entity(1)).unwrap();
    sound(&store);
    assert_eq!(everything(&store, entity(1)).len(), 13);
}

#[test]
fn a_confirmed_copy_that_rots_beside_one_that_was_never_confirmed_loses_nothing() {
    let mut store = two_spaces();
    edit(&mut store, entity(1), &MANY);
    compact(&mut store, entity(1), Covering::All).unwrap();
    let snapshot = saved(&store, entity(1));
    let _ = store.save_snapshot(entity(1), &snapshot).unwrap();
    assert_eq!(rot(&mut store, true), 1);
    assert_eq!(store.load(entity(1), LoadFrom::Snapshot).unwrap().unwrap().snapshot, Some(snapshot));
    assert_eq!(everything(&store, entity(1)).len(), 9);
    assert_eq!(outbox(&mut store, space(1)), hashes(&MANY));
    let snapshot = saved(&store, entity(1));
    let _ = store.save_snapshot(entity(1), &snapshot).unwrap();
    sound(&store);
    let _ = store.drop_snapshot(entity(1)).unwrap();
    assert_eq!(number(&mut store, COPIES), 2, "neither is confirmed, so none may go");
    compact(&mut store, entity(1), Covering::All).unwrap();
    sound(&store);
}

#[test]
fn a_change_that_a_snapshot_alone_holds_cannot_be_taken_out_of_the_document() {
    let mut store = two_spaces();
    edit(&mut store, entity(1), &MANY);
    compact(&mut store, entity(1), Covering::All).unwrap();
    edit(&mut store, entity(1), &[10]);
    let bad =
        |change| [settlement(entity(1), &[(hash(change), Settled::Quarantined(Reason { number: 1, rules: 1 }))], None)];
    let error = store.settle(&bad(3), AT_MS).unwrap_err();
    assert!(matches!(error, EntityError::Covered { hash: of, .. } if of == hash(3)), "{error:?}");
    assert!(!store.is_poisoned());
    sound(&store);
    // What came later can, and what is covered stays so.
    store.settle(&bad(10), AT_MS).unwrap();
    let states: Vec<_> = everything(&store, entity(1)).into_iter().map(|change| change.state).collect();
    assert_eq!((states.len(), states[9], bodies(&mut store)), (10, ChangeState::Quarantined, 1));
    sound(&store);
}

#[test]
fn checks_find_bytes_that_are_neither_kept_nor_covered() {
    let mut store = two_spaces();
    edit(&mut store, entity(1), &MANY);
    sound(&store);
    store.tamper(|connection| {
        let _ = connection.execute("DELETE FROM bodies WHERE change_row = 3", []).unwrap();
    });
    assert_eq!(store.verify().unwrap(), [Violation::BytesDiffer { entity: entity(1) }]);

    let mut store = two_spaces();
    edit(&mut store, entity(1), &MANY);
    compact(&mut store, entity(1), Covering::All).unwrap();
    store.tamper(|connection| {
        for table in SNAPSHOTS {
            assert_eq!(connection.execute(&format!("DELETE FROM {table}"), []).unwrap(), 1);
        }
    });
    let found = store.verify().unwrap();
    assert!(found.contains(&Violation::BytesDiffer { entity: entity(1) }), "{found:?}");
    assert!(found.contains(&Violation::SnapshotDiffers { entity: entity(1) }), "{found:?}");
}

#[test]
fn what_there_is_to_compact_is_what_is_applied_and_not_covered() {
    let mut store = two_spaces();
    edit(&mut store, entity(1), &MANY);
    edit(&mut store, entity(2), &[20]);
    receive(&mut store, space(1), &[carried(entity(3), 31), carried(entity(3), 32)]);
    assert_eq!(store.reader().compactable(1).unwrap(), [entity(1), entity(2)]);
    assert_eq!(store.reader().compactable(9).unwrap(), [entity(1)]);
    compact(&mut store, entity(1), Covering::All).unwrap();
    assert_eq!(store.reader().compactable(1).unwrap(), [entity(2)]);
}

#[test]
fn a_scan_that_starts_anew_finds_what_was_covered_since_the_last_one_ended_in_its_middle() {
    let mut store = two_spaces();
    edit(&mut store, entity(1), &MANY);
    compact(&mut store, entity(1), Covering::All).unwrap();
    let start = afield_store::OutboxPosition::START;
    let page = store.outbox(space(1), start, 1, usize::MAX).unwrap().into_inner();
    assert_eq!(page.len(), 1, "the scan is in the middle of the snapshot");

    edit(&mut store, entity(1), &[10, 11]);
    compact(&mut store, entity(1), Covering::All).unwrap();
    let (mut seen, mut after) = (Vec::new(), start);
    while let Some(chunk) = store.outbox(space(1), after, 1, usize::MAX).unwrap().into_inner().pop() {
        after = chunk.position;
        seen.push(chunk.hash);
    }
    assert_eq!(seen, hashes(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]));
}

#[test]
fn what_rots_between_the_check_and_the_covering_covers_nothing_and_is_not_copied() {
    for (before, slot) in [(false, 0), (true, 0), (true, 1)] {
        let mut store = two_spaces();
        edit(&mut store, entity(1), &MANY);
        if before {
            compact(&mut store, entity(1), Covering::All).unwrap();
            edit(&mut store, entity(1), &[10]);
        }
        let snapshot = saved(&store, entity(1));
        let _ = store.save_snapshot(entity(1), &snapshot).unwrap();
        let mut checked = store.reader().check_snapshot(entity(1)).unwrap();
        flip(&mut store, slot, 70);
        let covered = store.cover(&mut checked, Covering::All).unwrap();
        // Where the rot met the other one, the sound one takes its place and covers what it holds.
        let is_sound = before && slot == 1;
        assert_eq!((covered.changes, covered.is_done), (u64::from(is_sound), true), "{before} {slot}");
        assert_eq!(bodies(&mut store), if before { i64::from(!is_sound) } else { 9 });
        let all = if before { [&MANY[..], &[10]].concat() } else { MANY.to_vec() };
        assert_eq!(
            everything(&store, entity(1)).into_iter().map(|change| change.hash).collect::<Vec<_>>(),
            hashes(&all)
        );
    }
}

#[test]
fn a_sound_snapshot_is_not_dropped_for_a_confirmed_one_that_rotted() {
    let mut store = two_spaces();
    edit(&mut store, entity(1), &MANY);
    compact(&mut store, entity(1), Covering::All).unwrap();
    let snapshot = saved(&store, entity(1));
    let _ = store.save_snapshot(entity(1), &snapshot).unwrap();
    // The one in slot 1 was confirmed, and the new one in slot 0 was not.
    flip(&mut store, 1, 40);
    let _ = store.drop_snapshot(entity(1)).unwrap();
    assert_eq!(everything(&store, entity(1)).len(), 9);
}
