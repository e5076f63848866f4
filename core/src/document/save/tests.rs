use crate::document::apply::hostile::{self, Victim};
use crate::document::test_kit::*;
use crate::document::*;
use crate::{EntityId, Limits};
use automerge::{Change, ReadDoc};

/// A document into which a change came that prevents saving, past every check, and the change.
fn poisoned() -> (Document, ChangeHash) {
    let mut document = Victim::new().document;
    let (_, _, expanded) = hostile::kinds(&Victim::new())
        .into_iter()
        .find(|(name, ..)| *name == "mark without begin")
        .expect("this kind poisons a save");
    let poison = Change::from(expanded);
    let mut engine = document.engine.take().unwrap();
    engine.apply_changes([poison.clone()]).unwrap();
    document.sequences.note(poison.actor_id(), poison.seq(), poison.len() as u64);
    document.engine = Some(engine);
    (document, poison.hash())
}

#[test]
fn a_change_that_poisons_the_save_is_taken_out_and_what_depends_on_it_waits() {
    let (mut document, poison) = poisoned();
    let mut other = Victim::new().document;
    let innocent = edit(&mut other, 7, |edit| edit.put("innocent", 1));
    assert_eq!(deliver(&mut document, &innocent), [Verdict::Applied]);
    let dependent = edit(&mut document, 8, |edit| edit.put("dependent", 1));
    assert!(Document::load(ENTITY, Some(&document.save()), []).is_err(), "the save is poisoned");

    let revoked = document.verify_save().unwrap();
    let waiting = Verdict::Waiting { missing: vec![poison] };
    let expected = [
        Revoked { hash: poison, verdict: Verdict::Quarantined(QuarantineReason::PoisonsSave) },
        Revoked { hash: dependent[0].hash, verdict: waiting.clone() },
    ];
    assert_eq!(revoked, expected);
    assert_eq!(document.read_at("innocent").unwrap(), Some(Value::Int(1)));
    assert_eq!(document.read_at("dependent").unwrap(), None);
    assert!(!document.has(&poison));
    assert_eq!(document.change_count(), document.automerge().stats().num_changes);
    assert_eq!(deliver(&mut document, &dependent), [waiting]);
    hostile::use_fully(&mut document, 9);
}

#[test]
fn the_guarded_apply_verifies_the_save_when_the_document_has_doubled() {
    let (mut document, poison) = poisoned();
    let mut other = Victim::new().document;
    let small = edit(&mut other, 7, |edit| edit.put("small", 1));
    let large = edit(&mut other, 7, |edit| edit.put("large", vec![Value::Int(1); 1_200]));
    let apply = |document: &mut Document, changes: &[LocalChange]| {
        let incoming: Vec<_> =
            changes.iter().map(|change| Incoming { hash: change.hash, bytes: &change.bytes }).collect();
        document.apply_guarded(&incoming, &Limits::DEFAULT).unwrap()
    };
    assert_eq!(apply(&mut document, &small).revoked, []);
    let applied = apply(&mut document, &large);
    assert!(applied.verdicts.iter().all(|verdict| *verdict == Verdict::Applied));
    assert_eq!(applied.revoked.iter().map(|revoked| revoked.hash).collect::<Vec<_>>(), [poison]);
    assert_eq!(applied.after, document.heads());
    hostile::use_fully(&mut document, 9);
}

#[test]
fn a_good_document_passes_the_check_unchanged() {
    let mut document = Victim::new().document;
    let (heads, read) = (document.heads(), document.read());
    assert_eq!(document.verify_save(), Ok(vec![]));
    assert_eq!((document.heads(), document.read()), (heads, read));
}

#[test]
fn a_document_loads_from_a_snapshot_changes_or_both_in_any_order() {
    let mut document = Document::new(ENTITY);
    let mut changes = edit(&mut document, 1, |edit| edit.splice_text("body", 0, 0, "hé"));
    let snapshot = document.save();
    changes.extend(edit(&mut document, 1, |edit| edit.splice_text("body", 2, 0, "llo")));
    let incoming = |changes: &[LocalChange]| -> Vec<(ChangeHash, Vec<u8>)> {
        changes.iter().rev().map(|change| (change.hash, change.bytes.clone())).collect()
    };
    for (snapshot, changes) in [
        (None, incoming(&changes)),
        (Some(snapshot.as_slice()), incoming(&changes[2..])),
        (Some(snapshot.as_slice()), incoming(&changes)),
        (Some(document.save().as_slice()), vec![]),
    ] {
        let incoming = changes.iter().map(|(hash, bytes)| Incoming { hash: *hash, bytes });
        let mut loaded = Document::load(ENTITY, snapshot, incoming).unwrap();
        assert_eq!((loaded.heads(), loaded.read()), (document.heads(), document.read()));
        assert_eq!((loaded.change_count(), loaded.max_op()), (document.change_count(), document.max_op()));
        let next = edit(&mut loaded, 1, |edit| edit.put("x", 1));
        assert_eq!(next[0].sequence, 3, "the actor goes on where it was");
    }
}

/// Invariant D8: a failed load never gives an empty document.
#[test]
fn a_load_that_fails_gives_no_document() {
    let mut document = Document::new(ENTITY);
    let changes = edit(&mut document, 1, |edit| edit.splice_text("body", 0, 0, &"hello".repeat(20)));
    let more = edit(&mut document, 1, |edit| edit.put("a", 1));
    let snapshot = document.save();
    for position in 0..snapshot.len() {
        let mut flipped = snapshot.clone();
        flipped[position] ^= 0x10;
        assert!(Document::load(ENTITY, Some(&flipped), []).is_err(), "byte {position}");
        if position > 0 {
            assert!(Document::load(ENTITY, Some(&snapshot[..position]), []).is_err(), "cut at {position}");
        }
    }
    let load = |hash: ChangeHash, bytes: &[u8]| Document::load(ENTITY, None, [Incoming { hash, bytes }]);
    let (first, last) = (&changes[0], &more[0]);
    for position in 0..first.bytes.len() {
        let mut flipped = first.bytes.clone();
        flipped[position] ^= 0x10;
        assert!(load(first.hash, &flipped).is_err(), "byte {position}");
    }
    assert!(matches!(load(last.hash, &first.bytes), Err(LoadError::WrongHash { .. })));
    assert!(
        matches!(load(last.hash, &last.bytes), Err(LoadError::MissingDependencies { missing }) if missing == [changes[1].hash])
    );
    assert!(Document::load(ENTITY, Some(&[]), []).is_err(), "an empty snapshot is no snapshot");
    assert!(load(first.hash, &first.bytes).is_ok(), "positive control");
}

#[test]
fn the_same_edits_of_another_entity_derive_other_changes() {
    let hashes = |entity: u8| {
        let mut document = Document::new(EntityId::from_bytes([entity; 16]));
        edit(&mut document, 1, |edit| edit.splice_text("body", 0, 0, "x"))
            .iter()
            .map(|change| change.hash)
            .collect::<Vec<_>>()
    };
    assert_ne!(hashes(1), hashes(2));
    assert_eq!(hashes(1), hashes(1));
}
