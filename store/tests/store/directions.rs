//! What the direction of a collection keeps here, and what it lets go when it is another one.

use crate::help::*;
use afield_core::filter::Filter;
use afield_core::policy::Direction;
use afield_core::{Collection, ErasureReason, Sequence};
use afield_store::{Arrival, Covering, DirectionError, Store, Unsent, Wanted};

fn direct(store: &mut Store, direction: Direction) {
    let _ = store.set_direction(space(1), &notes(), direction, false).unwrap();
    sound(store);
}

fn held_back(store: &Store) -> u64 {
    store.reader().figures(space(1)).unwrap().held_back
}

#[test]
fn what_was_made_here_is_held_back_and_what_stood_in_a_log_is_not() {
    let mut store = two_spaces();
    let (one, two) = (entity(1), entity(2));
    edit(&mut store, one, &[1, 2]);
    receive(&mut store, space(1), &[proven(one, 1), carried(one, 3)]);
    direct(&mut store, Direction::PullOnly);
    edit(&mut store, one, &[4]);
    let _ = append(&mut store, space(1), two, &[5], Arrival::Received).unwrap();
    assert_eq!((outbox(&mut store, space(1)), held_back(&store)), (vec![], 3), "2, 4 and 5");
    assert!(store.is_held_back(one, hash(4)).unwrap() && !store.is_held_back(one, hash(1)).unwrap());
    // A log that is lost is given back what stood in it, twice as well as once, whatever was compacted meanwhile.
    for number in [7, 8] {
        let _ = store.reset(space(1), log(number), 0).unwrap();
        assert_eq!(outbox(&mut store, space(1)), hashes(&[1, 3]));
        assert_eq!(held_back(&store), 3);
        sound(&store);
    }
    // What comes back from the log is no secret any more.
    receive(&mut store, space(1), &[carried(one, 1), carried(one, 3), carried(one, 4)]);
    assert_eq!((outbox(&mut store, space(1)), held_back(&store)), (vec![], 2));
    let _ = store.reset(space(1), log(9), 0).unwrap();
    let mut offered = outbox(&mut store, space(1));
    offered.sort_unstable();
    let mut expected = hashes(&[1, 3, 4]);
    expected.sort_unstable();
    assert_eq!(offered, expected);
    direct(&mut store, Direction::Both);
    assert_eq!((outbox(&mut store, space(1)).len(), held_back(&store)), (5, 0));
    assert_eq!(store.outbox_size(space(1)).unwrap().changes, 5);
}

#[test]
fn of_a_local_collection_nothing_is_offered_and_other_collections_and_spaces_are_left_alone() {
    let mut store = two_spaces();
    edit(&mut store, entity(1), &[1, 2]);
    receive(&mut store, space(1), &[proven(entity(1), 1)]);
    let _ = append(&mut store, space(2), entity(2), &[3], Arrival::Applied).unwrap();
    direct(&mut store, Direction::LocalOnly);
    let _ = store.reset(space(1), log(7), 0).unwrap();
    compact(&mut store, entity(1), Covering::All).unwrap();
    sound(&store);
    assert_eq!((outbox(&mut store, space(1)), held_back(&store)), (vec![], 2));
    assert_eq!(outbox(&mut store, space(2)), hashes(&[3]));
    assert!(store.left_out(space(1)).unwrap().contains(&notes()) && store.left_out(space(2)).unwrap().is_empty());
    direct(&mut store, Direction::PullOnly);
    assert_eq!((outbox(&mut store, space(1)), held_back(&store)), (hashes(&[1]), 1));
    direct(&mut store, Direction::PushOnly);
    assert_eq!((outbox(&mut store, space(1)), held_back(&store)), (hashes(&[1, 2]), 0));
}

#[test]
fn an_erasure_record_is_held_back_like_a_change_and_so_nothing_is_left_behind_unasked() {
    let mut store = two_spaces();
    edit(&mut store, entity(1), &[1]);
    direct(&mut store, Direction::PullOnly);
    let _ = store.purge(space(1), &[entity(1)], ErasureReason::ASKED, AT_MS).unwrap();
    assert_eq!((outbox(&mut store, space(1)), held_back(&store)), (vec![], 1));
    assert_eq!(store.outbox_size(space(1)).unwrap().changes, 0);
    let _ = store.reset(space(1), log(7), 0).unwrap();
    assert_eq!(outbox(&mut store, space(1)), []);
    assert_eq!(store.leave_space(space(1), Unsent::Keep).unwrap_err().code(), "space.unsent");
    direct(&mut store, Direction::Both);
    assert_eq!((outbox(&mut store, space(1)).len(), held_back(&store)), (1, 0));
    let _ = store.leave_space(space(1), Unsent::Discard).unwrap();
    sound(&store);
}

#[test]
fn what_is_not_asked_for_is_left_out_of_the_filter_and_fetched_anew_when_it_is() {
    let mut store = two_spaces();
    receive(&mut store, space(1), &[carried(entity(1), 1)]);
    direct(&mut store, Direction::PushOnly);
    let without: Filter = Filter::Everything.without(&[notes()].into());
    assert_eq!(store.asked_filter(space(1)).unwrap(), without);
    assert_eq!(store.filter(space(1)).unwrap(), Filter::Everything, "what is wanted is what it was");
    direct(&mut store, Direction::Both);
    assert_eq!(store.asked_filter(space(1)).unwrap(), Filter::Everything);
    let backfills = store.backfills(space(1)).unwrap();
    assert_eq!(backfills.len(), 1);
    assert_eq!((&backfills[0].wanted, backfills[0].after), (&Wanted::Collection(notes()), Sequence::ZERO));
    direct(&mut store, Direction::LocalOnly);
    assert_eq!(store.backfills(space(1)).unwrap(), []);
    // A filter that names it does not bring it either, and nor does its entity by itself.
    let filter = Filter::collections([notes()]).entities([entity(1)]);
    let _ = store.set_filter(space(1), &filter, false).unwrap();
    assert_eq!(store.asked_filter(space(1)).unwrap(), Filter::nothing());
    assert_eq!(store.want_entities(space(1), &[entity(1)]).unwrap().into_inner(), []);
    assert_eq!(store.space_direction(space(1)).unwrap(), Direction::LocalOnly);
    direct(&mut store, Direction::PullOnly);
    assert_eq!(store.asked_filter(space(1)).unwrap(), filter);
    assert_eq!(store.space_direction(space(1)).unwrap(), Direction::PullOnly);
}

#[test]
fn what_is_to_be_fetched_anew_stays_so_whatever_filter_is_set_meanwhile() {
    let only_notes: Filter = Filter::collections([notes()]);
    for filter in [Filter::Everything, only_notes, Filter::collections([notes(), "tasks".parse().unwrap()])] {
        let mut store = two_spaces();
        receive(&mut store, space(1), &[carried(entity(1), 1)]);
        direct(&mut store, Direction::PushOnly);
        direct(&mut store, Direction::Both);
        let pending = |store: &Store| -> Vec<(Wanted, Sequence)> {
            let backfills = store.backfills(space(1)).unwrap();
            backfills.into_iter().map(|backfill| (backfill.wanted, backfill.after)).collect()
        };
        assert_eq!(pending(&store), [(Wanted::Collection(notes()), Sequence::ZERO)], "the control");
        let _ = store.set_filter(space(1), &filter, true).unwrap();
        assert_eq!(pending(&store), [(Wanted::Collection(notes()), Sequence::ZERO)], "{filter:?}");
        // What is not wanted is not fetched, and is missing from the start when it is wanted again.
        let _ = store.set_filter(space(1), &Filter::nothing(), true).unwrap();
        assert_eq!(pending(&store), []);
        let _ = store.set_filter(space(1), &Filter::Everything, true).unwrap();
        assert_eq!(pending(&store), [(Wanted::Everything, Sequence::ZERO)]);
    }
}

#[test]
fn what_a_log_turns_out_not_to_hold_stays_here_where_nothing_is_to_leave() {
    for (direction, sent) in
        [(Direction::Both, vec![hash(1)]), (Direction::PullOnly, vec![hash(1)]), (Direction::LocalOnly, vec![])]
    {
        let mut store = two_spaces();
        edit(&mut store, entity(1), &[1]);
        receive(&mut store, space(1), &[proven(entity(1), 1)]);
        direct(&mut store, direction);
        let _ = store.unmark(entity(1), &[hash(1)]).unwrap();
        assert_eq!(outbox(&mut store, space(1)), sent, "{direction:?}");
        sound(&store);
    }
}

#[test]
fn collections_that_take_nothing_have_a_bound() {
    let mut store = two_spaces();
    let name = |number: usize| -> Collection { format!("collection-{number}").parse().unwrap() };
    for number in 0..256 {
        let _ = store.set_direction(space(1), &name(number), Direction::PushOnly, false).unwrap();
    }
    let one_more = store.set_direction(space(1), &name(256), Direction::LocalOnly, false).unwrap_err();
    assert!(matches!(one_more, DirectionError::TooMany { maximum: 256 }));
    let _ = store.set_direction(space(1), &name(256), Direction::PullOnly, false).unwrap();
    assert_eq!(store.reader().directions(space(1)).unwrap().len(), 257);
    let unknown = store.set_direction(space(9), &notes(), Direction::PullOnly, false).unwrap_err();
    assert_eq!(unknown.code(), "space.unknown");
}
