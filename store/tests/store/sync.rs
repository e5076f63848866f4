//! The outbox rule and the cursor (D2, D3, D5), repetition (S3), blocks (D4).

use crate::help::*;
use afield_core::wire::ChunkCode;
use afield_core::{ChangeHash, ChunkKind};
use afield_store::{
    Arrival, Block, EntityError, Handed, HandedChange, MarkError, OutboxChunk, OutboxPosition, Proof, Reason,
    ReceiveError, ReceivedChange, Run, Settled, Snapshot, Store, UnreadableChunk,
};

#[test]
fn an_edit_is_in_the_outbox_until_the_cursor_passes_it() {
    let mut store = two_spaces();
    edit(&mut store, entity(1), &[1]);
    edit(&mut store, entity(2), &[2]);
    edit(&mut store, entity(1), &[3]);
    assert_eq!(outbox(&mut store, space(1)), hashes(&[1, 2, 3]));
    let size = store.outbox_size(space(1)).unwrap();
    assert_eq!((size.changes, size.bytes, size.oldest_ms), (3, 3 * bytes(1).len() as u64, Some(AT_MS)));

    receive(&mut store, space(1), &[proven(entity(1), 1), carried(entity(2), 2)]);
    assert_eq!(outbox(&mut store, space(1)), hashes(&[3]));
    assert_eq!(outbox(&mut store, space(2)), []);
    sound(&store);
}

#[test]
fn a_receipt_marks_only_at_or_below_the_cursor() {
    let mut store = two_spaces();
    edit(&mut store, entity(1), &[1, 2]);
    receive(&mut store, space(1), &[carried(entity(2), 9)]);
    let proof = |change, number| Proof { entity: entity(1), hash: hash(change), sequence: sequence(number) };
    for number in [0, 2] {
        let error = store.mark(space(1), &[proof(1, 1), proof(2, number)]).unwrap_err();
        assert!(matches!(error, MarkError::AboveCursor { sequence: found } if found == sequence(number)));
    }
    assert_eq!(outbox(&mut store, space(1)), hashes(&[1, 2]));

    receive(&mut store, space(1), &[proven(entity(1), 1)]);
    let stranger = Proof { entity: entity(7), hash: hash(7), sequence: sequence(1) };
    assert_eq!(store.mark(space(1), &[proof(1, 2), stranger]).unwrap(), 1);
    assert_eq!(outbox(&mut store, space(1)), hashes(&[2]));

    let _ = store.unmark(entity(1), &[hash(1)]).unwrap();
    assert_eq!(outbox(&mut store, space(1)), hashes(&[1, 2]));
    sound(&store);
}

#[test]
fn the_same_run_again_is_refused_and_changes_nothing() {
    let mut store = two_spaces();
    let start = cursor(&store, space(1));
    let places = [carried(entity(1), 1), carried(entity(2), 2), carried(entity(1), 3)];
    let outcome = receive(&mut store, space(1), &places);
    assert_eq!((outcome.fresh, outcome.added, outcome.foreign), (vec![entity(1), entity(2)], 3, 0));
    let before = dump(&store.into_connection().unwrap());

    let mut store = two_spaces();
    receive(&mut store, space(1), &places);
    let error = receive_after(&mut store, space(1), start, &places).unwrap_err();
    assert!(matches!(error, ReceiveError::CursorMoved { stored: Some(stored) } if stored == outcome.cursor));
    assert_eq!(dump(&store.into_connection().unwrap()), before);
}

#[test]
fn a_run_behind_the_cursor_of_known_changes_adds_none_of_them() {
    let mut store = two_spaces();
    let places = [carried(entity(1), 1), carried(entity(2), 2)];
    receive(&mut store, space(1), &places);
    let _ = store.reset(space(1), log(8), 0).unwrap();
    let outcome = receive(&mut store, space(1), &places);
    assert_eq!((outcome.added, outcome.fresh), (0, vec![]));
    assert_eq!(outbox(&mut store, space(1)), []);
    sound(&store);
}

#[test]
fn a_run_must_name_every_sequence_and_none_outside() {
    let mut store = two_spaces();
    edit(&mut store, entity(1), &[5]);
    let (notes, content) = (notes(), bytes(1));
    let expected = cursor(&store, space(1));
    let places = [carried(entity(1), 1), carried(entity(1), 2), carried(entity(1), 3)];
    let cursor_after = cursor_behind(expected, &places);
    let at = |change, number| ReceivedChange {
        entity: entity(1),
        collection: &notes,
        hash: hash(change),
        sequence: sequence(number),
        bytes: &content,
    };
    let proof = |number| Proof { entity: entity(1), hash: hash(5), sequence: sequence(number) };
    let unreadable = |number| UnreadableChunk {
        entity: entity(1),
        kind: 99,
        sequence: sequence(number),
        reason: Reason { number: 1, rules: 1 },
        bytes: b"?",
    };
    let mut receive = |received: &[ReceivedChange<'_>], unreadable: &[UnreadableChunk<'_>], proofs: &[Proof]| {
        store.receive(
            &Run {
                space: space(1),
                expected,
                cursor_after,
                received,
                erasures: &[],
                unreadable,
                proofs,
                left_out: None,
            },
            AT_MS,
        )
    };
    let gap = |result: Result<_, ReceiveError>| match result {
        Err(ReceiveError::Gap { sequence }) => sequence.get(),
        other => panic!("{other:?}"),
    };
    assert_eq!(gap(receive(&[], &[], &[])), 1);
    assert_eq!(gap(receive(&[at(1, 1)], &[unreadable(2)], &[])), 3);
    assert_eq!(gap(receive(&[at(1, 1)], &[], &[proof(3)])), 2);
    assert!(matches!(receive(&[at(1, 1), at(2, 2), at(3, 4)], &[], &[]), Err(ReceiveError::OutOfRun { .. })));
    assert!(matches!(receive(&[at(1, 0)], &[], &[]), Err(ReceiveError::OutOfRun { .. })));
    assert!(matches!(receive(&[], &[], &[proof(0)]), Err(ReceiveError::OutOfRun { .. })));
    assert!(receive(&[at(1, 1)], &[unreadable(2)], &[proof(3)]).is_ok());
    assert_eq!(cursor(&store, space(1)), cursor_after);
    sound(&store);
}

#[test]
fn the_cursor_does_not_pass_a_change_that_is_called_known_and_is_not_held() {
    let mut store = two_spaces();
    edit(&mut store, entity(1), &[1]);
    let before = cursor(&store, space(1));
    for stranger in [proven(entity(1), 2), proven(entity(2), 1)] {
        let places = [carried(entity(3), 3), stranger];
        let error = receive_after(&mut store, space(1), before, &places).unwrap_err();
        assert!(matches!(error, ReceiveError::NotHeld { sequence: found, .. } if found == sequence(2)), "{error:?}");
    }
    assert_eq!((cursor(&store, space(1)), store.home(entity(3)).unwrap()), (before, None));
    receive(&mut store, space(1), &[carried(entity(3), 3), proven(entity(1), 1)]);
    sound(&store);
}

#[test]
fn a_run_for_an_unknown_space_or_another_log_stores_nothing() {
    let mut store = two_spaces();
    let other = afield_core::Cursor::start(log(9));
    let error = receive_after(&mut store, space(1), other, &[carried(entity(1), 1)]).unwrap_err();
    assert!(matches!(error, ReceiveError::CursorMoved { .. }));
    let error = receive_after(&mut store, space(5), other, &[carried(entity(1), 1)]).unwrap_err();
    assert!(matches!(error, ReceiveError::UnknownSpace { .. }));
    assert_eq!(store.home(entity(1)).unwrap(), None);
    assert!(!store.is_poisoned());
}

#[test]
fn a_change_of_an_entity_of_another_space_is_quarantined_and_disturbs_nothing() {
    let mut store = two_spaces();
    edit(&mut store, entity(1), &[1]);
    let outcome = receive(&mut store, space(2), &[carried(entity(1), 2), carried(entity(5), 3)]);
    assert_eq!((outcome.foreign, outcome.fresh), (1, vec![entity(5)]));
    let reader = store.reader();
    let quarantined = reader.quarantined(space(2)).unwrap();
    assert_eq!(quarantined.len(), 1);
    assert_eq!((quarantined[0].reason, quarantined[0].is_change), (Reason::FOREIGN_ENTITY, false));
    assert_eq!((quarantined[0].entity, quarantined[0].sequence), (entity(1), Some(sequence(1))));
    assert_eq!(quarantined[0].kind, ChunkKind::Change.number());
    assert_eq!(reader.quarantined(space(1)).unwrap(), []);
    assert_eq!(store.held(entity(1), &hashes(&[1, 2])).unwrap(), hashes(&[1]));
    assert_eq!(outbox(&mut store, space(1)), hashes(&[1]));
    sound(&store);

    // The same chunk in another log is still one chunk.
    let _ = store.reset(space(2), log(6), 0).unwrap();
    assert_eq!(reader.quarantined(space(2)).unwrap()[0].sequence, None);
    receive(&mut store, space(2), &[carried(entity(5), 3), carried(entity(1), 2)]);
    let quarantined = reader.quarantined(space(2)).unwrap();
    assert_eq!((quarantined.len(), quarantined[0].sequence), (1, Some(sequence(2))));
}

#[test]
fn the_outbox_comes_in_pages_and_never_stalls_at_a_large_change() {
    let mut store = two_spaces();
    edit(&mut store, entity(1), &[1, 2, 3]);
    edit(&mut store, entity(2), &[4, 5]);
    let one = bytes(1).len();
    for (chunks_max, bytes_max) in [(2, usize::MAX), (usize::MAX, 2 * one), (usize::MAX, 1), (1, 1)] {
        let (mut seen, mut after) = (Vec::new(), OutboxPosition::START);
        loop {
            let page = store.outbox(space(1), after, chunks_max, bytes_max).unwrap().into_inner();
            let Some(last) = page.last() else { break };
            assert!(page.len() <= chunks_max && (page.len() == 1 || page.len() * one <= bytes_max));
            assert!(page.iter().all(|chunk| chunk.collection == notes() && !chunk.bytes.is_empty()));
            after = last.position;
            seen.extend(page.into_iter().map(|chunk| chunk.hash));
        }
        assert_eq!(seen, hashes(&[1, 2, 3, 4, 5]));
    }
}

#[test]
fn a_blocked_entity_holds_back_its_own_outbox_alone_and_says_why() {
    let mut store = two_spaces();
    edit(&mut store, entity(1), &[1, 2]);
    edit(&mut store, entity(2), &[3]);
    let block = Block {
        entity: entity(1),
        code: ChunkCode::MissingDependencies,
        hash: hash(1),
        missing: hashes(&[8, 9]),
        since_ms: 4,
    };
    store.block(std::slice::from_ref(&block)).unwrap();
    assert_eq!(outbox(&mut store, space(1)), hashes(&[3]));
    assert_eq!(store.outbox_size(space(1)).unwrap().changes, 3);
    assert_eq!(store.blocked(space(1)).unwrap(), std::slice::from_ref(&block));
    assert_eq!(store.reader().blocked(space(1)).unwrap(), std::slice::from_ref(&block));
    store.unblock_all().unwrap();
    assert_eq!(outbox(&mut store, space(1)), hashes(&[1, 2, 3]));
    let unknown = Block { entity: entity(9), ..block };
    assert!(matches!(store.block(std::slice::from_ref(&unknown)), Err(EntityError::UnknownEntity { .. })));
}

#[test]
fn what_is_unsent_has_what_is_blocked_too() {
    let mut store = two_spaces();
    edit(&mut store, entity(1), &[1]);
    edit(&mut store, entity(2), &[2]);
    let (code, missing) = (ChunkCode::Quota, Vec::new());
    store.block(&[Block { entity: entity(1), code, hash: hash(1), missing, since_ms: AT_MS }]).unwrap();
    let unsent = store.unsent(space(1), OutboxPosition::START, usize::MAX, usize::MAX).unwrap();
    assert_eq!(unsent.iter().map(|chunk| chunk.hash).collect::<Vec<_>>(), [hash(1), hash(2)]);
    let outbox = store.outbox(space(1), OutboxPosition::START, usize::MAX, usize::MAX).unwrap().into_inner();
    assert_eq!(outbox.iter().map(|chunk| chunk.hash).collect::<Vec<_>>(), [hash(2)], "the control");
}

#[test]
fn what_is_taken_over_is_in_the_outbox_until_the_cursor_passes_it() {
    let (mut store, notes) = (two_spaces(), notes());
    let (first, second) = (bytes(1), bytes(2));
    let change = |number, bytes| HandedChange { entity: entity(1), collection: &notes, hash: hash(number), bytes };
    let changes = [change(1, first.as_slice()), change(2, second.as_slice())];
    let handed = Handed { space: space(1), changes: &changes, erasures: &[], unreadable: &[] };
    let taken = store.take_over(&handed, AT_MS).unwrap();
    assert_eq!((taken.added, taken.fresh.len()), (2, 1));
    assert_eq!(store.take_over(&handed, AT_MS).unwrap().added, 0, "the same again changes nothing");
    assert_eq!(store.pending(None, 9).unwrap(), [entity(1)], "it is still to be applied");
    assert_eq!(outbox(&mut store, space(1)), hashes(&[1, 2]));
    sound(&store);
    receive(&mut store, space(1), &[proven(entity(1), 1), proven(entity(1), 2)]);
    assert_eq!(outbox(&mut store, space(1)), []);
    let elsewhere = Handed { space: space(9), ..handed };
    assert!(matches!(store.take_over(&elsewhere, AT_MS), Err(afield_store::SpaceError::UnknownSpace { .. })));
}

#[test]
fn a_change_that_waits_for_others_is_offered_after_all_that_does_not() {
    let mut store = two_spaces();
    let _ = append(&mut store, space(1), entity(1), &[2], Arrival::Received).unwrap();
    store.settle(&[settlement(entity(1), &[(hash(2), Settled::Waiting)], None)], AT_MS).unwrap();
    let _ = append(&mut store, space(1), entity(1), &[3], Arrival::Applied).unwrap();
    let first = store.outbox(space(1), OutboxPosition::START, 9, 1 << 20).unwrap().into_inner();
    assert_eq!(first.iter().map(|chunk| chunk.hash).collect::<Vec<_>>(), hashes(&[3]));
    let _ = append(&mut store, space(1), entity(1), &[4], Arrival::Applied).unwrap();
    let after = |store: &mut Store, page: &[OutboxChunk]| {
        store.outbox(space(1), page.last().unwrap().position, 9, 1 << 20).unwrap().into_inner()
    };
    let second = after(&mut store, &first);
    let third = after(&mut store, &second);
    assert_eq!([second[0].hash, third[0].hash], [hash(4), hash(2)]);
    // The scan goes on behind what it has seen, also after what waits.
    let _ = append(&mut store, space(1), entity(1), &[5], Arrival::Applied).unwrap();
    let fourth = after(&mut store, &third);
    assert_eq!(fourth.iter().map(|chunk| chunk.hash).collect::<Vec<_>>(), hashes(&[5]));
    assert_eq!(after(&mut store, &fourth), []);
}

#[test]
fn a_change_that_waited_is_offered_behind_what_it_waited_for() {
    let mut store = two_spaces();
    let _ = append(&mut store, space(1), entity(1), &[2], Arrival::Received).unwrap();
    store.settle(&[settlement(entity(1), &[(hash(2), Settled::Waiting)], None)], AT_MS).unwrap();
    let _ = append(&mut store, space(1), entity(1), &[1], Arrival::Received).unwrap();
    let both = [(hash(1), Settled::Applied), (hash(2), Settled::Applied)];
    store.settle(&[settlement(entity(1), &both, Some(&projection("both")))], AT_MS).unwrap();
    assert_eq!(outbox(&mut store, space(1)), hashes(&[1, 2]));
    sound(&store);
}

/// The outbox after a Reset: everything held, in the order in which it has to be sent (D4, D5).
fn offered_again(store: &mut Store) -> Vec<ChangeHash> {
    let _ = store.reset(space(1), log(9), 0).unwrap();
    outbox(store, space(1))
}

fn settle_applied(store: &mut Store, changes: &[u32]) {
    let verdicts: Vec<_> = changes.iter().map(|change| (hash(*change), Settled::Applied)).collect();
    store.settle(&[settlement(entity(1), &verdicts, None)], AT_MS).unwrap();
}

#[test]
fn what_was_received_before_a_snapshot_and_settled_after_it_stays_in_front_of_what_rests_on_it() {
    let mut store = two_spaces();
    receive(&mut store, space(1), &[carried(entity(1), 1)]);
    receive(&mut store, space(1), &[carried(entity(1), 2)]);
    settle_applied(&mut store, &[1]);
    let snapshot = Snapshot { heads: vec![hash(1)], changes: 1, bytes: vec![1] };
    let _ = store.save_snapshot(entity(1), &snapshot).unwrap();
    receive(&mut store, space(1), &[carried(entity(1), 3)]);
    settle_applied(&mut store, &[2, 3]);
    assert_eq!(offered_again(&mut store), hashes(&[1, 2, 3]));
    sound(&store);
}

#[test]
fn an_edit_between_receiving_and_settling_does_not_stand_between_what_was_received() {
    let mut store = two_spaces();
    receive(&mut store, space(1), &[carried(entity(1), 1)]);
    settle_applied(&mut store, &[1]);
    receive(&mut store, space(1), &[carried(entity(1), 2)]);
    edit(&mut store, entity(1), &[9]);
    let snapshot = Snapshot { heads: vec![hash(9)], changes: 2, bytes: vec![1] };
    let _ = store.save_snapshot(entity(1), &snapshot).unwrap();
    receive(&mut store, space(1), &[carried(entity(1), 3)]);
    settle_applied(&mut store, &[2, 3]);
    assert_eq!(offered_again(&mut store), hashes(&[1, 9, 2, 3]));
    sound(&store);
}

#[test]
fn what_waited_stands_behind_what_it_waited_for_also_when_it_came_from_the_log() {
    let mut store = two_spaces();
    receive(&mut store, space(1), &[carried(entity(1), 2)]);
    store.settle(&[settlement(entity(1), &[(hash(2), Settled::Waiting)], None)], AT_MS).unwrap();
    receive(&mut store, space(1), &[carried(entity(1), 1), carried(entity(1), 3), carried(entity(1), 4)]);
    // A first settlement decides about some, and the next about what rests on them.
    settle_applied(&mut store, &[1, 2]);
    settle_applied(&mut store, &[3]);
    settle_applied(&mut store, &[4]);
    assert_eq!(offered_again(&mut store), hashes(&[1, 2, 3, 4]));
    sound(&store);
}
