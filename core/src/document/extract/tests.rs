use super::*;
use crate::change::samples;
use automerge::transaction::Transactable;
use automerge::{Automerge, ObjType, ROOT, ReadDoc};
use proptest::prelude::*;

fn entity() -> EntityId {
    EntityId::from_bytes([6; 16])
}

/// A document that two writers made, its changes in its own order, and its compact form.
fn saved(keystrokes: usize) -> (Vec<Vec<u8>>, Vec<u8>) {
    let mut first = samples::document(1);
    let text = first.put_object(ROOT, "text", ObjType::Text).unwrap();
    samples::commit(&mut first, 0);
    let mut second = first.fork().with_actor(automerge::ActorId::from([2; 16]));
    for at in 0..keystrokes {
        first.splice_text(&text, at, 0, "a").unwrap();
        samples::commit(&mut first, at as i64);
        second.put(ROOT, format!("key {}", at % 7), format!("a value that is long enough, {at}")).unwrap();
        samples::commit(&mut second, at as i64);
    }
    first.merge(&mut second).unwrap();
    let changes = first.get_changes(&[]).into_iter().map(|change| change.raw_bytes().to_vec()).collect();
    (changes, first.save_nocompress())
}

fn check(changes: &[Vec<u8>]) -> [u8; 16] {
    let hash = |bytes: &Vec<u8>| ChangeHeader::read(bytes, &Limits::DEFAULT).unwrap().hash;
    snapshot_check(entity(), changes.iter().map(hash))
}

fn extracted(saved: &[u8], changes: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, SnapshotFault> {
    let found =
        extract_changes(entity(), saved, changes.len() as u64, &check(changes), &mut SnapshotBudget::WHOLE.clone())?;
    Ok(found.into_iter().map(|(_, bytes)| bytes).collect())
}

#[test]
fn every_change_comes_out_byte_for_byte_and_in_order() {
    for keystrokes in [0, 1, 300] {
        let (changes, saved) = saved(keystrokes);
        assert_eq!(extracted(&saved, &changes), Ok(changes));
    }
}

#[test]
fn a_snapshot_that_lacks_a_change_or_has_another_is_refused() {
    let (changes, saved) = saved(3);
    let fewer = &changes[..changes.len() - 1];
    assert!(matches!(extracted(&saved, fewer), Err(SnapshotFault::Count { .. })));
    let (elsewhere, count) = (EntityId::from_bytes([7; 16]), changes.len() as u64);
    let mut room = SnapshotBudget::WHOLE;
    let other = extract_changes(elsewhere, &saved, count, &check(&changes), &mut room);
    assert_eq!(other, Err(SnapshotFault::Check), "it is of another entity");
    let bytes = changes.iter().map(Vec::len).sum::<usize>().saturating_sub(1);
    let cramped = extract_changes(
        entity(),
        &saved,
        count,
        &check(&changes),
        &mut SnapshotBudget { bytes, ..SnapshotBudget::WHOLE },
    );
    assert!(matches!(cramped, Err(SnapshotFault::TooLarge { .. })));
    assert!(extracted(&saved, &changes).is_ok(), "the control");
}

#[test]
fn the_snapshots_of_one_message_share_its_budget_and_nothing_is_loaded_once_it_is_spent() {
    let (changes, saved) = saved(300);
    let (count, check) = (changes.len() as u64, check(&changes));
    let extent = measure(&saved).unwrap();
    assert!(extent.operations >= 300 && extent.changes == count, "{extent:?}");
    let twice =
        SnapshotBudget { operations: 2 * extent.operations, changes: 2 * extent.changes, ..SnapshotBudget::WHOLE };
    for tight in [
        twice,
        SnapshotBudget { operations: 2 * extent.operations, ..SnapshotBudget::WHOLE },
        SnapshotBudget { changes: 2 * extent.changes, ..SnapshotBudget::WHOLE },
    ] {
        let mut budget = tight;
        for _ in 0..2 {
            assert!(extract_changes(entity(), &saved, count, &check, &mut budget).is_ok(), "the control");
        }
        let third = extract_changes(entity(), &saved, count, &check, &mut budget);
        assert!(matches!(third, Err(SnapshotFault::TooLarge { maximum: 0, .. })), "R8: {third:?}");
    }
}

#[test]
fn what_is_compressed_concatenated_or_cut_is_refused_before_automerge_sees_it() {
    let (changes, saved) = saved(300);
    let engine = Automerge::load(&saved).unwrap();
    assert!(engine.get(ROOT, "text").unwrap().is_some());
    assert!(matches!(extracted(&engine.save(), &changes), Err(SnapshotFault::Column { .. })));
    let twice = [&saved[..], &saved[..]].concat();
    assert_eq!(extracted(&twice, &changes), Err(SnapshotFault::NotADocument));
    assert_eq!(extracted(&saved[..saved.len() - 1], &changes), Err(SnapshotFault::NotADocument));
    assert_eq!(extracted(&[], &changes), Err(SnapshotFault::NotADocument));
}

#[test]
fn runs_that_reach_too_far_are_counted_and_not_expanded() {
    // A document without actors and heads, of one change column that is one run of 2⁴⁰ zeros.
    let mut run = vec![0, 0, 1, 0x01];
    let mut data = Vec::new();
    crate::change::leb::write_signed(&mut data, 1 << 40);
    data.push(0);
    run.push(u8::try_from(data.len()).unwrap());
    run.push(0);
    run.extend(data);
    let mut bomb = [&MAGIC[..], &[0; 4], &[DOCUMENT, u8::try_from(run.len()).unwrap()]].concat();
    bomb.extend(run);
    assert!(matches!(measure(&bomb), Err(SnapshotFault::Runs(_))));
}

proptest! {
    #[test]
    fn damaged_bytes_end_in_an_error_and_never_in_other_changes(at in 0_usize..4_000, bit in 0_u8..8) {
        let (changes, mut saved) = saved(20);
        let at = at % saved.len();
        saved[at] ^= 1 << bit;
        if let Ok(found) = extracted(&saved, &changes) {
            prop_assert_eq!(found, changes);
        }
    }

    #[test]
    fn anything_at_all_is_taken_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let framed = [&MAGIC[..], &[0; 4], &[DOCUMENT, 0x80 | (bytes.len() as u8 & 0x7f), (bytes.len() >> 7) as u8], &bytes[..]].concat();
        let _ = measure(&framed);
        let _ = measure(&bytes);
    }
}
