//! What was deleted here is known until it is on a relay, and what others deleted can be held back.

use crate::help::*;
use crate::purging::receive_record;
use afield_core::{EntityId, Erasure, ErasureReason};
use afield_store::{
    Arrival, DeletionLimits, EntityWrite, HeldDeletion, NewChange, OpenOptions, Projection, Proof, SHARE_DELETIONS_MIN,
    Store, Unsent,
};
use std::collections::{BTreeMap, BTreeSet};

const ONE_AT_MOST: DeletionLimits = DeletionLimits { deletions: Some(1), share: None };

/// Writes a change after which an entity is deleted, or there.
fn write(store: &mut Store, id: EntityId, number: u32, deleted: bool) {
    let bytes = bytes(number);
    let changes = [NewChange { hash: hash(number), bytes: &bytes, arrival: Arrival::Applied }];
    let projection = Projection { deleted, ..projection("note") };
    let collection = notes();
    let (projection, collection) = (Some(&projection), &collection);
    let write = EntityWrite { space: space(1), entity: id, collection, changes: &changes, projection };
    let _ = store.append(&[write], AT_MS).unwrap();
}

/// An entity that a relay has, deleted here by a change with the next number.
fn deleted(store: &mut Store, id: EntityId, number: u32) {
    write(store, id, number, false);
    receive(store, space(1), &[proven(id, number)]);
    write(store, id, number + 1, true);
}

fn unsent(store: &Store) -> Vec<EntityId> {
    store.reader().unsent_deletions(space(1)).unwrap().into_iter().map(|deletion| deletion.entity).collect()
}

fn held(store: &Store) -> Vec<HeldDeletion> {
    store.held_deletions(space(1)).unwrap()
}

#[test]
fn a_deletion_counts_until_it_is_on_a_relay_or_taken_back_and_only_where_a_relay_has_the_entity() {
    let mut store = two_spaces();
    let (one, two, three) = (entity(1), entity(2), entity(3));
    deleted(&mut store, one, 10);
    deleted(&mut store, two, 20);
    write(&mut store, three, 30, false);
    write(&mut store, three, 31, true);
    assert_eq!(unsent(&store), [one, two], "nobody loses what no relay has");
    // Writing on in what is deleted is no other deletion.
    write(&mut store, one, 12, true);
    receive(&mut store, space(1), &[proven(one, 11)]);
    assert_eq!(unsent(&store), [two]);
    write(&mut store, two, 22, false);
    assert_eq!(unsent(&store), []);
    write(&mut store, two, 23, true);
    assert_eq!(unsent(&store), [two]);
    let _ = store.reset(space(1), log(9), 0).unwrap();
    assert_eq!(unsent(&store), [two], "what waited goes on waiting when the relay has lost what it had");
    assert!(store.reader().planned_pushes(space(1)).unwrap().iter().any(|push| push.entity == one && !push.is_new));
    receive(&mut store, space(1), &[proven(two, 23)]);
    assert_eq!(unsent(&store), []);
    let _ = store.reset(space(1), log(10), 0).unwrap();
    assert_eq!(unsent(&store), [], "who deleted something is not asked again because a relay lost what it had");
    sound(&store);
}

#[test]
fn a_purge_counts_until_its_record_is_proven() {
    let mut store = two_spaces();
    let one = entity(1);
    deleted(&mut store, one, 10);
    let _ = store.purge(space(1), &[one], ErasureReason::ASKED, AT_MS).unwrap();
    let listed = store.reader().unsent_deletions(space(1)).unwrap();
    assert!(listed.len() == 1 && listed[0].is_purge && listed[0].entity == one);
    let record = Erasure { entity: one, reason: ErasureReason::ASKED };
    let sequence = cursor(&store, space(1)).sequence;
    store.mark(space(1), &[Proof { entity: one, hash: record.hash(), sequence }]).unwrap();
    assert_eq!(unsent(&store), []);
    sound(&store);
}

#[test]
fn what_is_too_much_to_send_is_held_until_exactly_that_is_confirmed() {
    let mut store = two_spaces();
    let _ = store.set_guard(space(1), None, Some(ONE_AT_MOST)).unwrap();
    deleted(&mut store, entity(1), 10);
    assert!(store.held_to_send(space(1), AT_MS).unwrap().is_empty(), "one is few enough");
    deleted(&mut store, entity(2), 20);
    let shown = store.held_to_send(space(1), AT_MS).unwrap();
    assert_eq!(shown.len(), 2);
    let named: Vec<_> = shown.iter().map(|deletion| (deletion.entity, deletion.hash)).collect();
    let other = [(entity(1), hash(99))];
    assert_eq!(
        store.confirm_unsent(space(1), &other).unwrap().into_inner(),
        0,
        "another deletion of it is another one"
    );
    assert_eq!(store.confirm_unsent(space(1), &named).unwrap().into_inner(), 2);
    assert!(store.held_to_send(space(1), AT_MS).unwrap().is_empty());
    // What went unasked before somebody looked counts no more.
    receive(&mut store, space(1), &[proven(entity(1), 11), proven(entity(2), 21)]);
    deleted(&mut store, entity(5), 50);
    assert!(store.held_to_send(space(1), AT_MS).unwrap().is_empty(), "one more is few enough");
    receive(&mut store, space(1), &[proven(entity(5), 51)]);
    deleted(&mut store, entity(6), 60);
    let shown = store.held_to_send(space(1), AT_MS).unwrap();
    assert_eq!(shown.iter().map(|deletion| deletion.entity).collect::<Vec<_>>(), [entity(6)]);
    let _ = store.confirm_unsent(space(1), &[(entity(6), shown[0].hash)]).unwrap();
    deleted(&mut store, entity(7), 70);
    assert!(store.held_to_send(space(1), AT_MS).unwrap().is_empty());
    receive(&mut store, space(1), &[proven(entity(6), 61), proven(entity(7), 71)]);
    // Those that went a moment ago count, and later no more.
    let _ = store.set_guard(space(1), None, None).unwrap();
    deleted(&mut store, entity(3), 30);
    receive(&mut store, space(1), &[proven(entity(3), 31)]);
    deleted(&mut store, entity(4), 40);
    let _ = store.set_guard(space(1), Some(&notes()), Some(ONE_AT_MOST)).unwrap();
    assert_eq!(store.held_to_send(space(1), AT_MS + 1_000).unwrap().len(), 1);
    assert_eq!(store.held_to_send(space(1), AT_MS + 61_000).unwrap().len(), 0);
}

#[test]
fn what_was_held_once_stays_held_until_it_is_confirmed_taken_back_or_judged_by_another_guard() {
    let later = AT_MS + 120_000;
    for step in ["confirm", "take back", "another guard"] {
        let mut store = two_spaces();
        let _ = store.set_guard(space(1), None, Some(ONE_AT_MOST)).unwrap();
        deleted(&mut store, entity(1), 10);
        receive(&mut store, space(1), &[proven(entity(1), 11)]);
        deleted(&mut store, entity(2), 20);
        let shown = store.hold_to_send(space(1), AT_MS).unwrap();
        assert_eq!(shown.len(), 1, "with the one that went a moment ago");
        assert_eq!(store.hold_to_send(space(1), later).unwrap(), shown, "{step}");
        let store_again =
            |store: Store| Store::from_connection(store.into_connection().unwrap(), &OpenOptions::default());
        let mut store = store_again(store).unwrap();
        assert_eq!(store.held_to_send(space(1), later).unwrap(), shown, "after a restart, too");
        match step {
            "confirm" => {
                let named = [(shown[0].entity, shown[0].hash)];
                assert_eq!(store.confirm_unsent(space(1), &named).unwrap().into_inner(), 1);
            }
            "take back" => write(&mut store, entity(2), 22, false),
            _ => drop(store.set_guard(space(1), None, Some(ONE_AT_MOST)).unwrap()),
        }
        assert_eq!(store.hold_to_send(space(1), later).unwrap(), [], "{step}");
        sound(&store);
    }
}

#[test]
fn what_would_be_held_is_what_is_held_then() {
    let of = |ids: &[u16]| BTreeMap::from([(notes(), ids.iter().map(|id| entity(*id)).collect::<BTreeSet<_>>())]);
    let deletion = |id: u16| HeldDeletion {
        entity: entity(id),
        collection: notes(),
        is_purge: false,
        hash: hash(u32::from(id)),
        device: None,
        author: None,
        at_ms: AT_MS,
        is_over: false,
        is_confirmed: false,
    };
    let limits = DeletionLimits { deletions: Some(2), share: None };
    // What is held before, what comes, and what was let through unasked, of which nothing counts twice.
    type Ids = &'static [u16];
    let cases: [(Ids, Ids, Ids, bool); 7] = [
        (&[], &[1, 2], &[], false),
        (&[], &[1, 2], &[6], true),
        (&[], &[1, 2], &[2], false),
        (&[1], &[2], &[], false),
        (&[1], &[2, 3], &[], true),
        (&[1, 2], &[1, 2], &[], false),
        (&[1, 2], &[2], &[6], true),
    ];
    for (held_before, comes, let_through, is_held) in cases {
        let mut store = two_spaces();
        (1..=5).for_each(|id| write(&mut store, entity(id), u32::from(id) * 10, false));
        let _ = store.set_guard(space(1), None, Some(limits)).unwrap();
        let passed = BTreeMap::from([(notes(), let_through.iter().map(|id| entity(*id)).collect())]);
        store.hold(&held_before.iter().map(|id| (space(1), deletion(*id))).collect::<Vec<_>>()).unwrap();
        let case = format!("{held_before:?} {comes:?} {let_through:?}");
        assert_eq!(store.reader().would_hold(space(1), &of(comes), &passed).unwrap(), is_held, "{case}");
        store.hold(&comes.iter().map(|id| (space(1), deletion(*id))).collect::<Vec<_>>()).unwrap();
        let (over, _) = store.judge_held(space(1), &passed).unwrap();
        assert_eq!(!over.is_empty(), is_held, "{case}");
        assert_eq!(
            store.reader().would_hold(space(1), &of(&[]), &BTreeMap::new()).unwrap(),
            is_held,
            "what waits goes on waiting"
        );
    }
}

#[test]
fn a_purge_by_others_that_is_held_leaves_everything_until_it_is_followed() {
    let mut store = two_spaces();
    let (one, two) = (entity(1), entity(2));
    let _ = store.set_guard(space(1), None, Some(ONE_AT_MOST)).unwrap();
    for (id, number) in [(one, 10), (two, 20)] {
        write(&mut store, id, number, false);
        receive(&mut store, space(1), &[proven(id, number)]);
    }
    let record = |entity| Erasure { entity, reason: ErasureReason::ASKED };
    for id in [one, two] {
        let outcome = receive_record(&mut store, space(1), record(id), true);
        assert_eq!((outcome.held, outcome.erased), (vec![id], vec![]));
    }
    assert!(store.home(one).unwrap().is_some() && store.erasure(space(1), one).unwrap().is_none());
    let (over, free) = store.judge_held(space(1), &BTreeMap::new()).unwrap();
    assert_eq!((over.len(), free.len()), (2, 0));
    let (over, free) = store.judge_held(space(1), &BTreeMap::new()).unwrap();
    assert_eq!((over.len(), free.len()), (0, 0), "that there are too many is told once");
    sound(&store);
    let named = [(one, record(one).hash())];
    assert_eq!(store.confirm_held(space(1), &named).unwrap().into_inner(), 1);
    assert_eq!(store.follow_purges(space(1), AT_MS).unwrap(), [one]);
    assert!(store.home(one).unwrap().is_none() && store.erasure(space(1), one).unwrap().is_some());
    assert_eq!(outbox(&mut store, space(1)), [], "its record is marked, where it stands in the log");
    assert_eq!(held(&store).iter().map(|held| held.entity).collect::<Vec<_>>(), [two]);
    let (_, free) = store.judge_held(space(1), &BTreeMap::new()).unwrap();
    assert!(free.is_empty(), "what somebody is to look at waits, however little is left of it");
    sound(&store);

    // Followed after a Reset, its record is one that the relay has to be told of.
    let _ = store.reset(space(1), log(9), 0).unwrap();
    let named = [(two, record(two).hash())];
    let _ = store.confirm_held(space(1), &named).unwrap();
    assert_eq!(store.follow_purges(space(1), AT_MS).unwrap(), [two]);
    assert!(outbox(&mut store, space(1)).contains(&record(two).hash()));
    sound(&store);
    let _ = store.leave_space(space(1), Unsent::Discard).unwrap();
    assert_eq!(held(&store), []);
}

#[test]
fn what_a_run_brings_few_of_is_let_through_and_counts_for_a_while() {
    let mut store = two_spaces();
    let _ = store.set_guard(space(1), None, Some(ONE_AT_MOST)).unwrap();
    let (one, two) = (entity(1), entity(2));
    for (id, number) in [(one, 10), (two, 20)] {
        write(&mut store, id, number, false);
        receive(&mut store, space(1), &[proven(id, number)]);
    }
    let deletion = |entity| HeldDeletion {
        entity,
        collection: notes(),
        is_purge: false,
        hash: hash(99),
        device: None,
        author: Some("Anna".to_owned()),
        at_ms: AT_MS,
        is_over: false,
        is_confirmed: false,
    };
    store.hold(&[(space(1), deletion(one))]).unwrap();
    let (over, free) = store.judge_held(space(1), &BTreeMap::new()).unwrap();
    assert_eq!((over, free), (vec![], vec![deletion(one)]));
    assert_eq!(held(&store), [HeldDeletion { is_confirmed: true, ..deletion(one) }]);
    store.forget_held(&[one]).unwrap();
    store.hold(&[(space(1), deletion(two))]).unwrap();
    let (over, free) = store.judge_held(space(1), &BTreeMap::from([(notes(), BTreeSet::from([one]))])).unwrap();
    assert_eq!((over, free), (vec![deletion(two)], vec![]));
    // A guard that is set anew judges anew.
    let _ = store.set_guard(space(1), None, None).unwrap();
    let (over, free) = store.judge_held(space(1), &BTreeMap::new()).unwrap();
    assert_eq!((over.len(), free.len()), (0, 1));
}

#[test]
fn a_purge_of_what_is_in_the_trash_is_judged_alike_by_who_sends_it_and_who_receives_it() {
    // Of so many that are there and so many in the trash, a trash that is emptied is this part of both together.
    let (there, trash) = (12, 11);
    for (share, is_held) in [(0.5, false), (0.4, true)] {
        let limits = DeletionLimits { deletions: None, share: Some(share) };
        let [mut sender, mut receiver] = [two_spaces(), two_spaces()];
        let emptied: Vec<_> = (1..=trash).map(entity).collect();
        for store in [&mut sender, &mut receiver] {
            for id in 1..=there + trash {
                write(store, entity(id), u32::from(id) * 10, false);
                receive(store, space(1), &[proven(entity(id), u32::from(id) * 10)]);
            }
            for id in 1..=trash {
                write(store, entity(id), u32::from(id) * 10 + 1, true);
                receive(store, space(1), &[proven(entity(id), u32::from(id) * 10 + 1)]);
            }
            let _ = store.set_guard(space(1), None, Some(limits)).unwrap();
        }
        let _ = sender.purge(space(1), &emptied, ErasureReason::TRASH, AT_MS).unwrap();
        assert_eq!(!sender.held_to_send(space(1), AT_MS).unwrap().is_empty(), is_held, "sent, of a share of {share}");

        let planned = BTreeMap::from([(notes(), emptied.iter().copied().collect())]);
        let would_hold = receiver.reader().would_hold(space(1), &planned, &BTreeMap::new()).unwrap();
        assert_eq!(would_hold, is_held, "planned, of a share of {share}");
        for id in &emptied {
            receive_record(&mut receiver, space(1), Erasure { entity: *id, reason: ErasureReason::TRASH }, true);
        }
        let (over, _) = receiver.judge_held(space(1), &BTreeMap::new()).unwrap();
        assert_eq!(!over.is_empty(), is_held, "received, of a share of {share}");
    }
}

#[test]
fn a_number_and_a_share_hold_each_by_itself() {
    let limits = |deletions, share| DeletionLimits { deletions, share };
    assert!(!limits(None, None).are_exceeded_by(u64::MAX, 0) && limits(None, None).is_off());
    assert!(limits(Some(0), None).are_exceeded_by(1, 1_000) && !limits(Some(0), None).are_exceeded_by(0, 0));
    assert!(limits(Some(5), Some(1.0)).are_exceeded_by(6, 0) && !limits(Some(5), Some(1.0)).are_exceeded_by(5, 0));
    let half = limits(None, Some(0.5));
    assert!(half.are_exceeded_by(SHARE_DELETIONS_MIN + 1, SHARE_DELETIONS_MIN));
    assert!(!half.are_exceeded_by(SHARE_DELETIONS_MIN, SHARE_DELETIONS_MIN), "not more than half");
    assert!(!half.are_exceeded_by(SHARE_DELETIONS_MIN - 1, 0), "of a few, one is a large share");
}

#[test]
fn what_would_be_sent_is_what_the_outbox_holds() {
    let mut store = two_spaces();
    let (one, two) = (entity(1), entity(2));
    deleted(&mut store, one, 10);
    write(&mut store, two, 20, false);
    write(&mut store, two, 21, false);
    let planned = store.reader().planned_pushes(space(1)).unwrap();
    let of = |planned: &afield_store::PlannedPush| (planned.entity, planned.changes, planned.is_purge, planned.is_new);
    assert_eq!(planned.iter().map(of).collect::<Vec<_>>(), [(one, 1, false, false), (two, 2, false, true)]);
    let size = store.outbox_size(space(1)).unwrap();
    assert_eq!(planned.iter().map(|push| push.bytes).sum::<u64>(), size.bytes);
    let _ = store.purge(space(1), &[one], ErasureReason::ASKED, AT_MS).unwrap();
    let planned = store.reader().planned_pushes(space(1)).unwrap();
    assert_eq!(planned.iter().map(of).collect::<Vec<_>>(), [(one, 0, true, false), (two, 2, false, true)]);
    assert_eq!(planned.iter().map(|push| push.bytes).sum::<u64>(), store.outbox_size(space(1)).unwrap().bytes);
}
