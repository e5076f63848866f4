//! Appending, settling, loading, snapshots and projections (D1, D7, D8, D9).

use crate::help::*;
use afield_store::{
    AppendError, Arrival, ChangeState, EntityError, EntityWrite, ListQuery, LoadFrom, NewChange, Projection, Reason,
    Settled, Snapshot, Store,
};
use std::ops::ControlFlow;

const BAD: Reason = Reason { number: 3, rules: 2 };

fn states(store: &Store, id: u16, from: LoadFrom) -> Vec<(afield_core::ChangeHash, ChangeState)> {
    let stored = store.load(entity(id), from).unwrap().unwrap();
    stored.changes.into_iter().map(|change| (change.hash, change.state)).collect()
}

fn snapshot(changes: u64) -> Snapshot {
    Snapshot { heads: hashes(&[90, 91]), changes, bytes: b"a saved document".to_vec() }
}

#[test]
fn an_edit_stores_the_change_its_place_in_the_outbox_and_the_projection_together() {
    let mut store = two_spaces();
    let shown = Projection { json: "{\"title\":\"é\"}".into(), deleted: false, updated_ms: 12 };
    let content = bytes(1);
    let changes = [NewChange { hash: hash(1), bytes: &content, arrival: Arrival::Applied }];
    let write = EntityWrite {
        space: space(1),
        entity: entity(1),
        collection: &notes(),
        changes: &changes,
        projection: Some(&shown),
    };
    assert_eq!(store.append(&[write], AT_MS).unwrap().into_inner(), 1);
    let found = store.reader().projection(entity(1)).unwrap().unwrap();
    assert_eq!((&found.projection, found.stale, found.home.space), (&shown, false, space(1)));
    let stored = store.load(entity(1), LoadFrom::Snapshot).unwrap().unwrap();
    assert_eq!((stored.space, stored.collection, stored.snapshot), (space(1), notes(), None));
    assert_eq!((&stored.changes[0].bytes, stored.changes[0].sequence), (&content, None));
    assert_eq!(outbox(&mut store, space(1)), hashes(&[1]));
    assert_eq!(store.append(&[write], AT_MS).unwrap().into_inner(), 0);
    sound(&store);
}

#[test]
fn several_entities_are_written_together_or_not_at_all() {
    let mut store = two_spaces();
    let _ = append(&mut store, space(2), entity(9), &[9], Arrival::Applied).unwrap();
    let (notes, tasks) = (notes(), "tasks".parse().unwrap());
    let contents: Vec<_> = (0..3).map(bytes).collect();
    let changes: Vec<_> = contents
        .iter()
        .zip(0..)
        .map(|(bytes, number)| NewChange { hash: hash(number), bytes, arrival: Arrival::Applied })
        .collect();
    let good = |id: u16| EntityWrite {
        space: space(1),
        entity: entity(id),
        collection: &notes,
        changes: &changes,
        projection: None,
    };
    let refuse = |store: &mut Store, bad: EntityWrite<'_>| store.append(&[good(1), bad], AT_MS).unwrap_err();
    let error = refuse(&mut store, EntityWrite { entity: entity(9), ..good(2) });
    assert!(matches!(error, AppendError::OtherSpace { space: found, .. } if found == space(2)), "{error:?}");
    let error = refuse(&mut store, EntityWrite { space: space(5), ..good(2) });
    assert!(matches!(error, AppendError::UnknownSpace { .. }), "{error:?}");
    let error = refuse(&mut store, EntityWrite { collection: &tasks, ..good(1) });
    assert!(matches!(error, AppendError::OtherCollection { .. }), "{error:?}");
    assert_eq!(store.home(entity(1)).unwrap(), None);
    assert!(!store.is_poisoned());

    assert_eq!(store.append(&[good(1), good(2)], AT_MS).unwrap().into_inner(), 6);
    assert_eq!(store.stale(None, 9).unwrap(), [entity(1), entity(2)]);
    sound(&store);
}

#[test]
fn a_received_change_is_pending_until_it_is_settled() {
    let mut store = two_spaces();
    receive(&mut store, space(1), &[carried(entity(2), 2), carried(entity(1), 1), carried(entity(1), 3)]);
    assert_eq!(store.pending(None, 9).unwrap(), [entity(1), entity(2)]);
    assert_eq!(store.pending(Some(entity(1)), 9).unwrap(), [entity(2)]);
    assert_eq!(store.pending(None, 1).unwrap(), [entity(1)]);
    assert_eq!(store.reader().projection(entity(1)).unwrap(), None);

    store
        .settle(
            &[settlement(
                entity(1),
                &[(hash(1), Settled::Applied), (hash(3), Settled::Waiting)],
                Some(&projection("x")),
            )],
            AT_MS,
        )
        .unwrap();
    assert_eq!(store.pending(None, 9).unwrap(), [entity(1), entity(2)]);
    assert_eq!(store.waiting(entity(1)).unwrap().changes, 1);
    assert_eq!(store.waiting(entity(1)).unwrap().bytes, bytes(3).len() as u64);
    store.settle(&[settlement(entity(1), &[(hash(3), Settled::Quarantined(BAD))], None)], AT_MS).unwrap();
    assert_eq!(store.pending(None, 9).unwrap(), [entity(2)]);
    assert!(!store.reader().projection(entity(1)).unwrap().unwrap().stale);

    store.settle(&[settlement(entity(2), &[(hash(2), Settled::Applied)], None)], AT_MS).unwrap();
    assert_eq!(store.stale(None, 9).unwrap(), [entity(2)]);
    store.project(&[(entity(2), projection("y"))]).unwrap();
    assert_eq!(store.stale(None, 9).unwrap(), []);
    sound(&store);
}

#[test]
fn a_verdict_on_what_the_store_does_not_hold_is_refused_whole() {
    let mut store = two_spaces();
    receive(&mut store, space(1), &[carried(entity(1), 1)]);
    let verdicts = [(hash(1), Settled::Applied), (hash(2), Settled::Applied)];
    let error = store.settle(&[settlement(entity(1), &verdicts, Some(&projection("x")))], AT_MS).unwrap_err();
    assert!(matches!(error, EntityError::UnknownChange { hash: found, .. } if found == hash(2)), "{error:?}");
    assert_eq!(store.reader().projection(entity(1)).unwrap(), None);
    assert_eq!(states(&store, 1, LoadFrom::Changes), [(hash(1), ChangeState::Received)]);
    assert!(matches!(store.settle(&[settlement(entity(8), &[], None)], AT_MS), Err(EntityError::UnknownEntity { .. })));
}

#[test]
fn the_quarantine_keeps_the_bytes_and_lets_a_change_out_again() {
    let mut store = two_spaces();
    receive(&mut store, space(1), &[carried(entity(1), 1)]);
    let bad = [(hash(1), Settled::Quarantined(BAD))];
    store.settle(&[settlement(entity(1), &bad, None)], AT_MS).unwrap();
    store.settle(&[settlement(entity(1), &bad, None)], AT_MS + 9).unwrap();
    let found = store.reader().quarantined(space(1)).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].reason, found[0].is_change, found[0].at_ms), (BAD, true, AT_MS));
    assert_eq!((found[0].hash, found[0].sequence), (hash(1).0, Some(sequence(1))));
    assert_eq!(store.change(entity(1), hash(1)).unwrap().unwrap().bytes, bytes(1));
    sound(&store);

    store.settle(&[settlement(entity(1), &[(hash(1), Settled::Applied)], Some(&projection("x")))], AT_MS).unwrap();
    assert_eq!(store.reader().quarantined(space(1)).unwrap(), []);
    assert_eq!(store.change(entity(1), hash(2)).unwrap(), None);
    sound(&store);
}

#[test]
fn an_edit_that_makes_what_was_received_already_applies_it() {
    let mut store = two_spaces();
    receive(&mut store, space(1), &[carried(entity(1), 1)]);
    edit(&mut store, entity(1), &[1, 2]);
    assert_eq!(
        states(&store, 1, LoadFrom::Changes),
        [(hash(1), ChangeState::Applied), (hash(2), ChangeState::Applied)]
    );
    assert_eq!(outbox(&mut store, space(1)), hashes(&[2]));
    sound(&store);
}

#[test]
fn a_snapshot_spares_what_it_holds_and_nothing_else() {
    let mut store = two_spaces();
    edit(&mut store, entity(1), &[1, 2]);
    receive(&mut store, space(1), &[carried(entity(1), 3)]);
    edit(&mut store, entity(1), &[4]);
    let error = store.save_snapshot(entity(1), &snapshot(4)).unwrap_err();
    assert!(matches!(error, EntityError::SnapshotDiffers { snapshot: 4, stored: 3 }), "{error:?}");
    let _ = store.save_snapshot(entity(1), &snapshot(3)).unwrap();
    edit(&mut store, entity(1), &[5]);
    edit(&mut store, entity(2), &[6]);

    let stored = store.load(entity(1), LoadFrom::Snapshot).unwrap().unwrap();
    assert_eq!(stored.snapshot, Some(snapshot(3)));
    let after = [(hash(3), ChangeState::Received), (hash(5), ChangeState::Applied)];
    assert_eq!(states(&store, 1, LoadFrom::Snapshot), after);
    assert_eq!(states(&store, 1, LoadFrom::Changes).len(), 5);

    // What was below the snapshot and not in it must not be lost when it is applied later.
    store.settle(&[settlement(entity(1), &[(hash(3), Settled::Applied)], None)], AT_MS).unwrap();
    let after = [(hash(5), ChangeState::Applied), (hash(3), ChangeState::Applied)];
    assert_eq!(states(&store, 1, LoadFrom::Snapshot), after);
    sound(&store);

    let _ = store.drop_snapshot(entity(1)).unwrap();
    assert_eq!(states(&store, 1, LoadFrom::Snapshot).len(), 5);
}

#[test]
fn a_snapshot_does_not_outlive_a_change_that_turned_out_bad() {
    let mut store = two_spaces();
    edit(&mut store, entity(1), &[1, 2]);
    let _ = store.save_snapshot(entity(1), &snapshot(2)).unwrap();
    store.settle(&[settlement(entity(1), &[(hash(2), Settled::Quarantined(BAD))], None)], AT_MS).unwrap();
    assert_eq!(store.load(entity(1), LoadFrom::Snapshot).unwrap().unwrap().snapshot, None);
    assert_eq!(store.stale(None, 9).unwrap(), [entity(1)]);
    assert_eq!(outbox(&mut store, space(1)), hashes(&[1, 2]));
    sound(&store);
}

#[test]
fn an_unknown_entity_is_nothing_rather_than_an_empty_one() {
    let store = two_spaces();
    assert_eq!(store.load(entity(1), LoadFrom::Snapshot).unwrap(), None);
    assert_eq!(store.held(entity(1), &hashes(&[1])).unwrap(), []);
    assert_eq!(store.reader().projection(entity(1)).unwrap(), None);
}

#[test]
fn lists_are_ordered_by_id_paged_and_filtered() {
    let mut store = two_spaces();
    for id in [5, 1, 4, 2, 3] {
        edit(&mut store, entity(id), &[u32::from(id)]);
    }
    let _ = append(&mut store, space(2), entity(8), &[8], Arrival::Applied).unwrap();
    let gone = Projection { deleted: true, ..projection("gone") };
    store.project(&[(entity(2), gone)]).unwrap();
    let reader = store.reader();
    let (notes, tasks) = (notes(), "tasks".parse().unwrap());
    let all = ListQuery { space: space(1), collection: Some(&notes), deleted: None, after: None, limit: usize::MAX };
    let list = |query: ListQuery<'_>| -> Vec<_> {
        let listed: Vec<_> = reader.list(&query).unwrap().into_iter().map(|found| found.entity).collect();
        assert_eq!(reader.ids(&query).unwrap(), listed, "the same by ids alone");
        let mut handed_out = Vec::new();
        let visit = |entity, home: afield_store::EntityHome| {
            assert_eq!((home.space, home.collection), (space(1), self::notes()));
            handed_out.push(entity);
            ControlFlow::Continue(())
        };
        reader.for_each_home(&query, visit).unwrap();
        assert_eq!(handed_out, listed, "the same one by one");
        listed
    };
    assert_eq!(list(all), [1, 2, 3, 4, 5].map(entity));
    assert_eq!(list(ListQuery { deleted: Some(false), ..all }), [1, 3, 4, 5].map(entity));
    assert_eq!(list(ListQuery { deleted: Some(true), collection: None, ..all }), [entity(2)]);
    assert_eq!(list(ListQuery { after: Some(entity(2)), limit: 2, ..all }), [3, 4].map(entity));
    assert_eq!(list(ListQuery { collection: Some(&tasks), ..all }), []);
    let counted = reader.collections(space(1)).unwrap();
    assert_eq!((counted.len(), counted[0].entities, counted[0].deleted), (1, 4, 1));
    let figures = reader.figures(space(1)).unwrap();
    assert_eq!((figures.entities, figures.outbox.changes, figures.quarantined), (5, 5, 0));

    let mut seen = 0;
    let stop = |_| {
        seen += 1;
        if seen == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    reader.for_each(&all, stop).unwrap();
    assert_eq!(seen, 3);
}

#[test]
fn a_rebuilt_projection_is_stale_until_it_is_written_and_shows_the_same_then() {
    let mut store = two_spaces();
    edit(&mut store, entity(1), &[1]);
    let before = store.reader().projection(entity(1)).unwrap().unwrap();
    let _ = store.make_projections_stale().unwrap();
    assert!(store.reader().projection(entity(1)).unwrap().unwrap().stale);
    store.project(&[(entity(1), before.projection.clone())]).unwrap();
    assert_eq!(store.reader().projection(entity(1)).unwrap().unwrap(), before);
}

#[test]
fn an_export_sees_one_state_while_the_writer_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = Store::open(folder.path().join("a.db"), &afield_store::OpenOptions::default()).unwrap();
    prepare(&mut file);
    for mut store in [file, two_spaces()] {
        for id in 0..50 {
            edit(&mut store, entity(id), &[u32::from(id)]);
        }
        let reader = store.reader();
        let query =
            ListQuery { space: space(1), collection: Some(&notes()), deleted: None, after: None, limit: usize::MAX };
        let mut seen = 0;
        let visit = |_| {
            edit(&mut store, entity(100 + seen), &[1_000 + u32::from(seen)]);
            seen += 1;
            ControlFlow::Continue(())
        };
        reader.for_each(&query, visit).unwrap();
        assert_eq!((seen, reader.list(&query).unwrap().len()), (50, 100));
        sound(&store);
    }
}

#[test]
fn what_was_quarantined_is_judged_again_by_newer_rules_or_when_its_reason_is_gone() {
    let mut store = two_spaces();
    receive(&mut store, space(1), &[carried(entity(1), 1), carried(entity(1), 2), carried(entity(2), 3)]);
    let crowded = Reason { number: 2, rules: 4 };
    let verdicts = |changes: &[(u32, Reason)]| -> Vec<_> {
        changes.iter().map(|(change, reason)| (hash(*change), Settled::Quarantined(*reason))).collect()
    };
    let quarantined = [
        settlement(entity(1), &verdicts(&[(1, crowded), (2, Reason { number: 7, rules: 3 })]), None),
        settlement(entity(2), &verdicts(&[(3, crowded)]), None),
    ];
    store.settle(&quarantined, AT_MS).unwrap();
    assert_eq!(store.pending(None, 9).unwrap(), []);

    assert_eq!(store.retry_quarantined(entity(1), 2).unwrap(), 1);
    assert_eq!(store.pending(None, 9).unwrap(), [entity(1)]);
    assert_eq!(store.reader().quarantined(space(1)).unwrap().len(), 2);

    assert_eq!(store.retry_judged_before(3).unwrap(), 0);
    assert_eq!(store.retry_judged_before(4).unwrap(), 1);
    assert_eq!(store.retry_judged_before(5).unwrap(), 1);
    assert_eq!(store.pending(None, 9).unwrap(), [entity(1), entity(2)]);
    assert_eq!(store.reader().quarantined(space(1)).unwrap(), []);
    sound(&store);
}
