//! What a purge leaves in the store: the record, in the outbox until it is proven, and nothing else.

use crate::help::*;
use afield_core::policy::Direction;
use afield_core::wire::ChunkCode;
use afield_core::{ChunkKind, Cursor, EntityId, Erasure, ErasureReason, Role, Sequence, SpaceId, log::ChunkHash};
use afield_store::{
    AppendError, Arrival, Block, ConflictRow, Covering, Expired, LeftOut, OpenOptions, OutboxPosition, OutboxSize,
    Projection, Proof, PurgeError, Purged, Reason, ReceivedErasure, Run, RunOutcome, Settled, SpaceError, Store,
    Unsent,
};
use proptest::prelude::*;
use std::fs;

fn asked(entity: EntityId) -> Erasure {
    Erasure { entity, reason: ErasureReason::ASKED }
}

/// Stores a run of the log that has this record alone, in its place or for what is no more.
pub(crate) fn receive_record(store: &mut Store, space: SpaceId, record: Erasure, is_placed: bool) -> RunOutcome {
    let expected = cursor(store, space);
    let cursor_after = expected.then(record.entity, ChunkKind::Erasure.number(), ChunkHash::of(&record.to_bytes()));
    let sequence = is_placed.then_some(cursor_after.sequence);
    let collection = notes();
    let erasures = [ReceivedErasure { record, collection: &collection, sequence }];
    let left_out = (!is_placed).then_some(LeftOut::default());
    let run = Run {
        space,
        expected,
        cursor_after,
        received: &[],
        erasures: &erasures,
        unreadable: &[],
        proofs: &[],
        left_out,
    };
    store.receive(&run, AT_MS).unwrap()
}

#[test]
fn a_purge_takes_everything_and_its_record_is_in_the_outbox_until_it_is_proven() {
    let mut store = two_spaces();
    let (one, two) = (entity(1), entity(2));
    for id in [one, two] {
        let number = if id == one { 10 } else { 20 };
        edit(&mut store, id, &[number, number + 1]);
        receive(&mut store, space(1), &[proven(id, number), carried(id, number + 2), carried(id, number + 3)]);
        let reason = Settled::Quarantined(Reason { number: 7, rules: 1 });
        store
            .settle(&[settlement(id, &[(hash(number + 2), Settled::Applied), (hash(number + 3), reason)], None)], AT_MS)
            .unwrap();
        compact(&mut store, id, Covering::All).unwrap();
        let block = Block { entity: id, code: ChunkCode::Quota, hash: hash(number), missing: vec![], since_ms: AT_MS };
        store.block(&[block]).unwrap();
    }
    sound(&store);
    let counted = store.count_purged(&[one]).unwrap();
    let purged = store.purge(space(1), &[one], ErasureReason::ASKED, AT_MS).unwrap().into_inner();
    assert_eq!((purged, counted), (Purged { entities: 1, changes: 4, unsent: 1 }, purged));
    sound(&store);
    assert!(store.home(one).unwrap().is_none() && store.home(two).unwrap().is_some());
    assert_eq!(store.erasure(space(1), one).unwrap(), Some(ErasureReason::ASKED));
    assert_eq!(store.erasure(space(1), two).unwrap(), None);

    let refused = append(&mut store, space(1), one, &[14], Arrival::Applied).unwrap_err();
    assert!(matches!(refused, AppendError::Purged { entity } if entity == one) && refused.code() == "entity.purged");
    assert_eq!(receive(&mut store, space(1), &[carried(one, 15)]).added, 0, "what comes later is dropped");
    assert_eq!(outbox(&mut store, space(1)), [asked(one).hash()], "what is blocked waits");
    let again = store.purge(space(1), &[one], ErasureReason::TRASH, AT_MS).unwrap().into_inner();
    assert_eq!(again, Purged::default());

    // A receipt for a change of it, from a push of before, is not one for the record.
    let at = cursor(&store, space(1)).sequence;
    store.mark(space(1), &[Proof { entity: one, hash: hash(11), sequence: at }]).unwrap();
    assert_eq!(store.outbox_size(space(1)).unwrap().changes, 1 + 1);
    store.mark(space(1), &[Proof { entity: one, hash: asked(one).hash(), sequence: at }]).unwrap();
    assert_eq!(outbox(&mut store, space(1)), []);
    let _ = store.reset(space(1), log(9), 0).unwrap();
    assert!(outbox(&mut store, space(1)).contains(&asked(one).hash()), "a relay that lost it is told again");
    sound(&store);
    let left = store.leave_space(space(1), Unsent::Keep).unwrap_err();
    assert!(matches!(left, SpaceError::UnsentChanges { changes: 5, .. }), "{left:?}");
    let _ = store.leave_space(space(1), Unsent::Discard).unwrap();
    sound(&store);
}

#[test]
fn a_record_of_the_log_erases_what_is_here_and_takes_the_place_of_one_with_another_reason() {
    let mut store = two_spaces();
    edit(&mut store, entity(1), &[1]);
    let of_trash = Erasure { entity: entity(1), reason: ErasureReason::TRASH };
    let ahead = receive_record(&mut store, space(1), of_trash, false);
    assert_eq!(ahead.erased, [entity(1)]);
    assert_eq!(outbox(&mut store, space(1)), [of_trash.hash()], "its own place is still to come");
    let placed = receive_record(&mut store, space(1), asked(entity(1)), true);
    assert_eq!((placed.erased, outbox(&mut store, space(1))), (vec![], vec![]));
    assert_eq!(store.erasure(space(1), entity(1)).unwrap(), Some(ErasureReason::ASKED));
    sound(&store);

    // It is told of what was never here, too, and nobody else's entity is touched.
    let _ = append(&mut store, space(2), entity(2), &[2], Arrival::Applied).unwrap();
    for id in [2, 3] {
        assert!(receive_record(&mut store, space(1), asked(entity(id)), true).erased.is_empty());
    }
    assert!(store.home(entity(2)).unwrap().is_some(), "it lives in another space");
    let refused = append(&mut store, space(1), entity(3), &[3], Arrival::Applied).unwrap_err();
    assert!(matches!(refused, AppendError::Purged { .. }));
    sound(&store);
}

#[test]
fn what_cannot_be_purged_is_named_and_nothing_is_purged() {
    let mut store = two_spaces();
    edit(&mut store, entity(1), &[1]);
    let _ = append(&mut store, space(2), entity(2), &[2], Arrival::Applied).unwrap();
    let purge = |store: &mut Store, space, entities: &[EntityId]| {
        store.purge(space, entities, ErasureReason::ASKED, AT_MS).unwrap_err()
    };
    let unknown = purge(&mut store, space(1), &[entity(1), entity(9)]);
    assert!(matches!(unknown, PurgeError::UnknownEntity { entity: id } if id == entity(9)));
    let elsewhere = purge(&mut store, space(1), &[entity(1), entity(2)]);
    assert!(matches!(elsewhere, PurgeError::OtherSpace { space: found, .. } if found == space(2)));
    assert!(matches!(purge(&mut store, space(5), &[entity(1)]), PurgeError::UnknownSpace { .. }));
    assert!(store.home(entity(1)).unwrap().is_some());
    assert_eq!(outbox(&mut store, space(1)), hashes(&[1]));
}

#[test]
fn what_was_purged_cannot_be_read_in_the_file_or_its_wal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut store = Store::open(&path, &OpenOptions::default()).unwrap();
    prepare(&mut store);
    let secret = "a sentence of the entity that is purged";
    let is_in_files = || {
        fs::read_dir(folder.path()).unwrap().any(|file| {
            let bytes = fs::read(file.unwrap().path()).unwrap();
            let has = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
            has(secret.as_bytes()) || has(b"the bytes of change 0000000001")
        })
    };
    for id in 1..40 {
        edit(&mut store, entity(id), &[u32::from(id), 100 + u32::from(id)]);
    }
    let shown = Projection { json: format!("\"{}\"", secret.repeat(300)), deleted: false, updated_ms: AT_MS };
    store.project(&[(entity(1), shown)]).unwrap();
    store.project(&[(entity(1), projection(secret))]).unwrap();
    compact(&mut store, entity(1), Covering::All).unwrap();
    assert!(is_in_files(), "the control: it is there to be found");
    let _ = store.purge(space(1), &[entity(1)], ErasureReason::ASKED, AT_MS).unwrap();
    assert!(store.empty_wal().unwrap());
    assert!(!is_in_files());
    store.reader().backup(folder.path().join("copy.db"), |_| {}).unwrap();
    assert!(!is_in_files(), "a backup made afterwards has nothing of it");
    sound(&store);
}

#[test]
fn the_trash_keeps_what_is_not_old_enough_and_what_has_moved_on() {
    let mut store = two_spaces();
    let deleted = |updated_ms| Projection { json: "{}".into(), deleted: true, updated_ms };
    for (id, updated_ms) in [(1, 100), (2, 200), (3, 100), (4, 100)] {
        edit(&mut store, entity(id), &[u32::from(id)]);
        store.project(&[(entity(id), deleted(updated_ms))]).unwrap();
    }
    store.project(&[(entity(3), projection("restored"))]).unwrap();
    receive(&mut store, space(1), &[carried(entity(4), 40)]);
    let reader = store.reader();
    assert_eq!(reader.deleted_before(space(1), 150).unwrap().entities, [entity(1)]);
    assert_eq!(reader.deleted_before(space(1), 200).unwrap().entities, [entity(1), entity(2)]);
    assert_eq!(reader.trash_retention(space(1)).unwrap(), None, "nothing is purged that nobody asked for");
    let _ = store.set_trash_retention(space(1), Some(5)).unwrap();
    let _ = store.set_trash_retention(space(1), Some(7)).unwrap();
    assert_eq!(reader.trash_retention(space(1)).unwrap(), Some(7));
    let _ = store.set_trash_retention(space(1), None).unwrap();
    assert_eq!(reader.trash_retention(space(1)).unwrap(), None);
}

proptest! {
    /// Whatever happens to entities and in whatever order, a record is held once it came, and is marked or in the outbox.
    #[test]
    fn a_record_that_is_held_is_marked_or_in_the_outbox(acts in prop::collection::vec((0..6_u8, 1..4_u16), 1..30)) {
        let mut store = two_spaces();
        let mut gone = std::collections::BTreeSet::new();
        for (number, (act, id)) in (1_u32..).zip(acts) {
            let id = entity(id);
            match act {
                0 => prop_assert_eq!(
                    append(&mut store, space(1), id, &[number], Arrival::Applied).is_err(), gone.contains(&id)),
                1 => drop(receive(&mut store, space(1), &[carried(id, number)])),
                2 => {
                    let known = store.home(id).unwrap().is_some();
                    let purged = store.purge(space(1), &[id], ErasureReason::ASKED, AT_MS);
                    prop_assert_eq!(purged.is_ok(), known || gone.contains(&id));
                    gone.extend(known.then_some(id));
                }
                3 | 4 => {
                    receive_record(&mut store, space(1), asked(id), act == 3);
                    gone.insert(id);
                }
                _ => drop(store.reset(space(1), log(u8::try_from(number).unwrap()), 0).unwrap()),
            }
            prop_assert_eq!(store.verify().unwrap(), []);
            let outbox = outbox(&mut store, space(1));
            for id in &gone {
                prop_assert!(store.home(*id).unwrap().is_none() && store.erasure(space(1), *id).unwrap().is_some());
            }
            if act == 5 {
                prop_assert!(gone.iter().all(|id| outbox.contains(&asked(*id).hash())));
            }
            let OutboxSize { changes, .. } = store.outbox_size(space(1)).unwrap();
            prop_assert_eq!(changes, outbox.len() as u64);
        }
    }
}

#[test]
fn a_run_that_names_a_record_in_no_place_of_its_own_is_refused() {
    let mut store = two_spaces();
    let expected = cursor(&store, space(1));
    let cursor_after = Cursor { sequence: expected.sequence.plus(2), ..expected };
    let collection = notes();
    let erasures =
        [ReceivedErasure { record: asked(entity(1)), collection: &collection, sequence: Some(Sequence::new(2)) }];
    let run = Run {
        space: space(1),
        expected,
        cursor_after,
        received: &[],
        erasures: &erasures,
        unreadable: &[],
        proofs: &[],
        left_out: None,
    };
    assert!(store.receive(&run, AT_MS).is_err(), "sequence 1 is named by nothing");
    assert_eq!(cursor(&store, space(1)), expected);
}

#[test]
fn the_trash_keeps_what_this_device_has_not_known_as_deleted_for_long_and_what_people_have_to_decide() {
    let mut store = two_spaces();
    let deleted = |deleted| Projection { json: "{}".into(), deleted, updated_ms: 100 };
    for id in 1..=4 {
        edit(&mut store, entity(id), &[u32::from(id)]);
        store.project(&[(entity(id), deleted(true))]).unwrap();
    }
    let row = |kind: &str| ConflictRow { conflict: [1; 16], json: format!(r#"{{"kind":"{kind}"}}"#) };
    store.put_conflicts(&[(entity(2), vec![row("entity")]), (entity(3), vec![row("values")])]).unwrap();
    let _ = append(&mut store, space(1), entity(4), &[40], Arrival::Joined).unwrap();
    store.project(&[(entity(4), deleted(true))]).unwrap();
    let mut expired = |keep_ms, now_ms| {
        let Expired { entities, unclear, .. } = store.expired(space(1), keep_ms, true, now_ms).unwrap();
        (entities, unclear)
    };
    assert_eq!(expired(900, 1_000), (vec![], vec![]), "whatever the clocks of others say");
    assert_eq!(expired(1_000, 1_500), (vec![], vec![]), "half of it has passed here");
    assert_eq!(expired(1_951, 2_050), (vec![], vec![]), "and not enough elsewhere");
    assert_eq!(expired(1_000, 2_050), (vec![entity(1), entity(3)], vec![entity(4)]));
    assert_eq!(store.reader().deleted_before(space(1), 100).unwrap().entities.len(), 4, "who asks is shown all of it");
    store.put_conflicts(&[(entity(4), vec![])]).unwrap();
    store.project(&[(entity(1), deleted(false))]).unwrap();
    let mut expired = |keep_ms, now_ms| store.expired(space(1), keep_ms, true, now_ms).unwrap().entities;
    assert_eq!(expired(1_000, 2_060), [entity(3), entity(4)]);
    store.project(&[(entity(1), deleted(true))]).unwrap();
    let mut expired = |keep_ms, now_ms| store.expired(space(1), keep_ms, true, now_ms).unwrap().entities;
    assert_eq!(expired(1_000, 2_100), [entity(3), entity(4)], "counted anew");
    assert_eq!(expired(1_000, 2_600), [entity(3), entity(4)]);
    assert_eq!(expired(1_000, 3_100), [entity(1), entity(3), entity(4)]);
    sound(&store);
}

const DAY_MS: i64 = 86_400_000;
const MONTH_MS: u64 = 30 * 86_400_000;

/// A store of which one entity is in the trash, deleted and looked at first at this moment.
fn with_one_in_the_trash(now_ms: i64) -> Store {
    let mut store = two_spaces();
    edit(&mut store, entity(1), &[1]);
    store.project(&[(entity(1), Projection { json: "{}".into(), deleted: true, updated_ms: now_ms })]).unwrap();
    assert_eq!(store.expired(space(1), MONTH_MS, true, now_ms).unwrap(), Expired::default());
    store
}

#[test]
fn a_clock_that_jumps_ahead_and_back_empties_no_trash() {
    let start_ms = 1_767_225_600_000;
    let mut store = with_one_in_the_trash(start_ms);
    let minute_ms = 60_000;
    for jump_ms in [365 * DAY_MS, -365 * DAY_MS, 3_650 * DAY_MS] {
        for minutes in 1..5 {
            let now_ms = start_ms + jump_ms + minutes * minute_ms;
            let expired = store.expired(space(1), MONTH_MS, true, now_ms).unwrap();
            assert_eq!(expired, Expired::default(), "{jump_ms} ms, after {minutes} minutes");
        }
    }
    // The control: where the days pass one by one, a month is enough.
    let mut store = with_one_in_the_trash(start_ms);
    let mut after_days =
        |days: i64| store.expired(space(1), MONTH_MS, true, start_ms + days * DAY_MS).unwrap().entities;
    assert!((1..30).all(|days| after_days(days).is_empty()));
    assert_eq!(after_days(30), [entity(1)]);
}

#[test]
fn a_clock_that_jumps_ahead_empties_no_trash_that_is_kept_for_an_hour() {
    let (start_ms, hour_ms) = (1_767_225_600_000, 3_600_000);
    let mut store = with_one_in_the_trash(start_ms);
    let mut at = |now_ms: i64| store.expired(space(1), 3_600_000, true, now_ms).unwrap().entities;
    assert!(at(start_ms + 365 * DAY_MS).is_empty() && at(start_ms + 365 * DAY_MS + 60_000).is_empty());
    assert_eq!(at(start_ms + 365 * DAY_MS + hour_ms), [entity(1)], "the control: an hour later");
}

#[test]
fn a_trash_that_others_know_of_waits_for_the_word_of_the_relay() {
    let start_ms = 1_767_225_600_000;
    let mut store = with_one_in_the_trash(start_ms);
    let _ = store.set_trash_retention(space(1), Some(0)).unwrap();
    assert!(store.space(space(1)).unwrap().unwrap().cursor.is_some(), "the control: a relay has the space");
    let looked = store.expired(space(1), 0, false, start_ms).unwrap();
    assert_eq!((looked.entities, looked.waiting), (vec![], vec![entity(1)]));
    assert_eq!(store.wants_trash_emptied(space(1)).unwrap(), Some(0));
    let looked = store.expired(space(1), 0, true, start_ms).unwrap();
    assert_eq!((looked.entities, looked.waiting), (vec![entity(1)], vec![]));
    assert_eq!(store.wants_trash_emptied(space(1)).unwrap(), None);

    let _ = store.set_direction(space(1), &notes(), Direction::LocalOnly, true).unwrap();
    assert_eq!(store.expired(space(1), 0, false, start_ms).unwrap().entities, [entity(1)], "it never leaves");
}

#[test]
fn what_the_relay_has_is_not_purged_by_who_may_only_read_or_only_take_in() {
    let mut store = two_spaces();
    edit(&mut store, entity(1), &[1]);
    receive(&mut store, space(1), &[proven(entity(1), 1)]);
    edit(&mut store, entity(2), &[2]);
    for id in [entity(1), entity(2)] {
        store.project(&[(id, Projection { json: "{}".into(), deleted: true, updated_ms: 100 })]).unwrap();
    }
    let both = [entity(1), entity(2)];
    assert!(store.may_purge(space(1), &both).is_ok(), "the control");
    store.set_role(space(1), Role::Reader).unwrap();
    assert!(matches!(store.may_purge(space(1), &both), Err(PurgeError::ReadOnly { .. })));
    assert!(store.may_purge(space(1), &both[1..]).is_ok(), "nobody else has it");
    let found = store.reader().deleted_before(space(1), 100).unwrap();
    assert_eq!((found.entities, found.skipped), (vec![entity(2)], vec![entity(1)]));
    assert_eq!(store.expired(space(1), 0, true, 1_000).unwrap().skipped, [entity(1)]);

    store.set_role(space(1), Role::Writer).unwrap();
    let _ = store.set_direction(space(1), &notes(), Direction::PullOnly, true).unwrap();
    assert!(matches!(store.may_purge(space(1), &both), Err(PurgeError::OnlyComesIn { .. })));
    assert!(store.may_purge(space(1), &both[1..]).is_ok(), "nobody else has it");
    let _ = store.set_direction(space(1), &notes(), Direction::LocalOnly, true).unwrap();
    assert!(store.may_purge(space(1), &both).is_ok(), "what was cut off from the others is this device's alone");
}

#[test]
fn what_is_written_after_a_removal_stands_behind_what_was_offered_before_it() {
    let mut store = two_spaces();
    edit(&mut store, entity(1), &[1]);
    let _ = append(&mut store, space(2), entity(2), &[2], Arrival::Applied).unwrap();
    edit(&mut store, entity(3), &[3]);
    let offered = store.outbox(space(1), OutboxPosition::START, usize::MAX, usize::MAX).unwrap().into_inner();
    let mut after = offered.last().unwrap().position;
    let next = |store: &mut Store, after: &mut OutboxPosition| -> Vec<_> {
        let mut found = Vec::new();
        loop {
            let page = store.outbox(space(1), *after, usize::MAX, usize::MAX).unwrap().into_inner();
            let Some(last) = page.last() else { return found };
            *after = last.position;
            found.extend(page.iter().map(|chunk| chunk.hash));
        }
    };
    let _ = store.purge(space(1), &[entity(3)], ErasureReason::ASKED, AT_MS).unwrap();
    edit(&mut store, entity(4), &[4]);
    assert!(next(&mut store, &mut after).contains(&hash(4)), "a number is given once");
    let _ = append(&mut store, space(2), entity(2), &[5], Arrival::Applied).unwrap();
    let _ = store.leave_space(space(2), Unsent::Discard).unwrap();
    edit(&mut store, entity(4), &[6]);
    assert_eq!(next(&mut store, &mut after), [hash(6)]);
    sound(&store);
}
