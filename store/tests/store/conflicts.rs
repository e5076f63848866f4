//! What people have to decide, beside the documents it follows from (D9).

use crate::help::*;
use afield_core::EntityId;
use afield_store::{Arrival, ConflictQuery, ConflictRow, Settled, Settlement, Store, Unsent};

fn query() -> ConflictQuery<'static> {
    ConflictQuery { space: space(1), collection: None, entity: None }
}

fn row(number: u8) -> ConflictRow {
    ConflictRow { conflict: [number; 16], json: format!("{{\"number\":{number}}}") }
}

fn stale(store: &Store) -> Vec<EntityId> {
    let stale = store.reader().entities_with_stale_conflicts(&query()).unwrap();
    stale.into_iter().map(|(entity, _)| entity).collect()
}

fn listed(store: &Store, query: &ConflictQuery<'_>) -> Vec<(EntityId, u8)> {
    let listed = store.reader().conflicts(query).unwrap();
    listed.into_iter().map(|one| (one.entity, one.row.conflict[0])).collect()
}

#[test]
fn what_comes_from_elsewhere_makes_conflicts_stale_and_an_edit_only_those_there_are() {
    let mut store = two_spaces();
    edit(&mut store, entity(1), &[1]);
    assert_eq!(stale(&store), []);
    receive(&mut store, space(1), &[proven(entity(1), 1), carried(entity(1), 2), carried(entity(2), 3)]);
    for (id, change) in [(1, 2), (2, 3)] {
        let applied = [(hash(change), Settled::Applied)];
        store.settle(&[settlement(entity(id), &applied, Some(&projection("merged")))], 1).unwrap();
    }
    assert_eq!(stale(&store), [entity(1), entity(2)]);

    store.put_conflicts(&[(entity(1), vec![row(7), row(5)]), (entity(2), Vec::new())]).unwrap();
    assert_eq!(stale(&store), []);
    assert_eq!(listed(&store, &query()), [(entity(1), 7), (entity(1), 5)]);
    edit(&mut store, entity(1), &[4]);
    edit(&mut store, entity(2), &[5]);
    assert_eq!(stale(&store), [entity(1)]);
    store.put_conflicts(&[(entity(1), vec![row(5)])]).unwrap();
    assert_eq!((listed(&store, &query()), stale(&store)), (vec![(entity(1), 5)], Vec::new()));

    let _ = append(&mut store, space(1), entity(2), &[6], Arrival::Joined).unwrap();
    assert_eq!(stale(&store), [entity(2)]);
    sound(&store);
}

/// How many rows this connection has written.
fn written(store: &mut Store) -> u64 {
    let mut rows = 0;
    store.tamper(|connection| rows = connection.total_changes());
    rows
}

#[test]
fn what_was_worked_out_with_the_verdicts_is_stored_with_them_and_is_not_stale() {
    let mut store = two_spaces();
    receive(&mut store, space(1), &[carried(entity(1), 1), carried(entity(2), 2)]);
    let settle = |store: &mut Store, id, change, conflicts: Option<Vec<ConflictRow>>| {
        let verdicts = [(hash(change), Settled::Applied)];
        let settled = Settlement { conflicts, ..settlement(entity(id), &verdicts, Some(&projection("merged"))) };
        let before = written(store);
        store.settle(&[settled], 1).unwrap();
        written(store) - before
    };
    let without = settle(&mut store, 1, 1, Some(Vec::new()));
    let unknown = settle(&mut store, 2, 2, None);
    assert_eq!((stale(&store), listed(&store, &query())), (vec![entity(2)], Vec::new()));
    assert_eq!(unknown, without + 1, "no row says that there are none");

    receive(&mut store, space(1), &[carried(entity(2), 3)]);
    settle(&mut store, 2, 3, Some(vec![row(7)]));
    assert_eq!((stale(&store), listed(&store, &query())), (Vec::new(), vec![(entity(2), 7)]));
    // A verdict that changes nothing says nothing of conflicts.
    settle(&mut store, 2, 3, Some(Vec::new()));
    assert_eq!(listed(&store, &query()), [(entity(2), 7)]);
    sound(&store);
}

#[test]
fn conflicts_are_listed_and_counted_by_what_they_are_of_and_leave_with_their_space() {
    let mut store = two_spaces();
    for id in [1, 2] {
        edit(&mut store, entity(id), &[id.into()]);
    }
    let _ = append(&mut store, space(2), entity(3), &[3], Arrival::Applied).unwrap();
    let rows = [(entity(1), vec![row(1)]), (entity(2), vec![row(2), row(3)]), (entity(3), vec![row(4)])];
    store.put_conflicts(&rows).unwrap();
    assert_eq!(listed(&store, &query()).len(), 3);
    assert_eq!(listed(&store, &ConflictQuery { entity: Some(entity(1)), ..query() }), [(entity(1), 1)]);
    let (known, other) = (notes(), "others".parse().unwrap());
    assert_eq!(listed(&store, &ConflictQuery { collection: Some(&known), ..query() }).len(), 3);
    assert_eq!(listed(&store, &ConflictQuery { collection: Some(&other), ..query() }), []);
    let count = |store: &Store, number| store.reader().conflict_count(space(number)).unwrap();
    assert_eq!((count(&store, 1), count(&store, 2)), (3, 1));
    let _ = store.leave_space(space(1), Unsent::Discard).unwrap();
    assert_eq!((count(&store, 1), count(&store, 2)), (0, 1));
    sound(&store);
}
