mod properties;

use super::batch::Batch;
use super::hostile;
use crate::Limits;
use crate::document::effort::Effort;
use crate::document::test_kit::*;
use crate::document::*;
use automerge::legacy::{Key, ObjectId, Op, OpType, SortedVec};
use automerge::{ActorId, Change, ExpandedChange, ScalarValue};
use std::collections::BTreeMap;
use std::num::NonZeroU64;

type Bytes = (ChangeHash, Vec<u8>);

fn bytes(changes: &[LocalChange]) -> Vec<Bytes> {
    changes.iter().map(|change| (change.hash, change.bytes.clone())).collect()
}

fn apply(document: &mut Document, changes: &[Bytes]) -> Applied {
    let incoming: Vec<_> = changes.iter().map(|(hash, bytes)| Incoming { hash: *hash, bytes }).collect();
    document.apply_guarded(&incoming, &Limits::DEFAULT).unwrap()
}

/// An effort that is never spent.
const UNBOUNDED: Effort =
    Effort { portion_weight_max: u64::MAX, weight: u64::MAX, failures: u32::MAX, passed_over: u64::MAX };

/// Hands changes in until each is decided; gives the last verdict of each and the number of calls.
fn apply_until_decided(document: &mut Document, changes: &[Bytes], effort: Effort) -> (Vec<Verdict>, usize) {
    let mut verdicts = vec![Verdict::Undecided; changes.len()];
    for calls in 1.. {
        let open: Vec<usize> = (0..changes.len()).filter(|index| verdicts[*index] == Verdict::Undecided).collect();
        let incoming: Vec<_> =
            open.iter().map(|index| Incoming { hash: changes[*index].0, bytes: &changes[*index].1 }).collect();
        let applied = document.apply_within(&incoming, &Limits::DEFAULT, effort).unwrap();
        assert_eq!(applied.revoked, []);
        assert!(applied.verdicts.iter().any(|verdict| *verdict != Verdict::Undecided), "each call decides something");
        for (index, verdict) in open.into_iter().zip(applied.verdicts) {
            verdicts[index] = verdict;
        }
        if !verdicts.contains(&Verdict::Undecided) {
            return (verdicts, calls);
        }
    }
    unreachable!("each call decides something")
}

/// A change that puts one number at the root.
fn forged(actor: u8, seq: u64, start_op: u64, deps: Vec<ChangeHash>, value: i64) -> Bytes {
    let operation = Op {
        action: OpType::Put(ScalarValue::Int(value)),
        obj: ObjectId::Root,
        key: Key::Map("forged".into()),
        pred: SortedVec::new(),
        insert: false,
    };
    let change = Change::from(ExpandedChange {
        operations: vec![operation],
        actor_id: ActorId::from([actor; 16]),
        hash: None,
        seq,
        start_op: NonZeroU64::new(start_op).unwrap(),
        time: 0,
        message: None,
        deps,
        extra_bytes: vec![],
        author: None,
    });
    (change.hash(), change.raw_bytes().to_vec())
}

/// A chain of changes that each insert a character into one text.
fn typed(count: usize) -> (Document, Vec<Bytes>) {
    let mut document = Document::new(ENTITY);
    let mut changes = Vec::new();
    for position in 0..count {
        changes.extend(bytes(&edit(&mut document, 1, |edit| edit.splice_text("body", position, 0, "é"))));
    }
    (document, changes)
}

#[test]
fn changes_wait_for_missing_dependencies_outside_the_document() {
    let (whole, changes) = typed(4);
    let mut document = Document::new(ENTITY);
    let applied = apply(&mut document, &changes[2..]);
    let waiting = |dependency: usize| Verdict::Waiting { missing: vec![changes[dependency].0] };
    assert_eq!(applied.verdicts[..2], [waiting(1), waiting(2)]);
    assert_eq!((document.change_count(), document.heads()), (0, vec![]));
    assert_eq!(document.automerge().get_missing_deps(&[]), []);
    let applied = apply(&mut document, &changes);
    assert!(applied.verdicts.iter().all(|verdict| *verdict == Verdict::Applied));
    assert_eq!((applied.before, applied.after), (vec![], whole.heads()));
    assert_eq!(document.read(), whole.read());
}

#[test]
fn nothing_but_the_derived_change_stands_under_its_actor() {
    let mut author = Document::new(ENTITY);
    let derived = bytes(&edit(&mut author, 1, |edit| edit.splice_text("body", 0, 0, "x"))).swap_remove(0);
    let decoded = Change::try_from(derived.1.as_slice()).unwrap().decode();
    let wrong = Verdict::Quarantined(QuarantineReason::WrongActor);
    type Alter = fn(&mut ExpandedChange);
    let alterations: [Alter; 5] = [
        |change| change.time = 1,
        |change| change.seq = 2,
        |change| change.extra_bytes = vec![200],
        |change| change.operations[0].key = Key::Map("other".into()),
        |change| change.start_op = NonZeroU64::new(2).unwrap(),
    ];
    for alter in alterations {
        let mut squatted = decoded.clone();
        alter(&mut squatted);
        let squatted = Change::from(squatted);
        let both = [(squatted.hash(), squatted.raw_bytes().to_vec()), derived.clone()];
        assert_eq!(apply(&mut Document::new(ENTITY), &both).verdicts, [wrong.clone(), Verdict::Applied]);
    }
    let mut elsewhere = Document::new(crate::EntityId::from_bytes([1; 16]));
    assert_eq!(apply(&mut elsewhere, &[derived]).verdicts, [wrong]);
}

#[test]
fn a_change_that_comes_again_is_held() {
    let (_, changes) = typed(2);
    let mut document = Document::new(ENTITY);
    let twice: Vec<Bytes> = changes.iter().rev().chain(&changes).cloned().collect();
    let (first, second) = (vec![Verdict::Applied; changes.len()], vec![Verdict::Held; changes.len()]);
    assert_eq!(apply(&mut document, &twice).verdicts, [first, second.clone()].concat());
    assert_eq!(apply(&mut document, &changes).verdicts, second);
}

#[test]
fn of_two_changes_with_one_actor_and_sequence_the_one_the_log_has_first_stays() {
    let (first, second) = (forged(5, 1, 1, vec![], 1), forged(5, 1, 1, vec![], 2));
    let after_second = forged(6, 1, 2, vec![second.0], 3);
    let mut document = Document::new(ENTITY);
    let verdicts = apply(&mut document, &[first.clone(), second.clone(), after_second.clone()]).verdicts;
    let forked = Verdict::Quarantined(QuarantineReason::ActorForked);
    assert_eq!(verdicts, [Verdict::Applied, forked.clone(), Verdict::Waiting { missing: vec![second.0] }]);
    assert_eq!(apply(&mut document, &[second, after_second]).verdicts[0], forked);
    assert_eq!(document.heads(), [first.0]);
}

#[test]
fn a_fork_of_a_change_that_the_engine_fails_on_is_not_held_against_the_other() {
    let victim = hostile::Victim::new();
    let (name, _, expanded) = hostile::kinds(&victim)
        .into_iter()
        .find(|(_, expected, _)| *expected == hostile::Expected::Engine)
        .expect("the engine fails on some kind of change");
    let bad = Change::from(expanded.clone());
    let good = Change::from(ExpandedChange { operations: vec![], ..expanded });
    let mut document = victim.document;
    let both = [&bad, &good].map(|change| (change.hash(), change.raw_bytes().to_vec()));
    let verdicts = apply(&mut document, &both).verdicts;
    assert!(matches!(verdicts[0], Verdict::Quarantined(_)), "{name}: {verdicts:?}");
    assert_eq!(verdicts[1], Verdict::Applied);
}

#[test]
fn bytes_that_are_not_the_change_they_claim_to_be_are_quarantined_and_disturb_nothing() {
    let (whole, changes) = typed(3);
    let (hash, good) = &changes[1];
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let snapshot = whole.save();
    let cases: [(ChangeHash, &[u8], QuarantineReason); 6] = [
        (*hash, &flipped, QuarantineReason::WrongHash),
        (*hash, &changes[2].1, QuarantineReason::WrongHash),
        (*hash, &good[..good.len() - 1], QuarantineReason::Malformed),
        (*hash, &[], QuarantineReason::Malformed),
        (*hash, &[good.as_slice(), &[0]].concat(), QuarantineReason::Malformed),
        (*hash, &snapshot, QuarantineReason::NotAChange),
    ];
    for (hash, bad, reason) in cases {
        let mut document = Document::new(ENTITY);
        let mut incoming = vec![Incoming { hash, bytes: bad }];
        incoming.extend(changes.iter().map(|(hash, bytes)| Incoming { hash: *hash, bytes }));
        let verdicts = document.apply_guarded(&incoming, &Limits::DEFAULT).unwrap().verdicts;
        assert_eq!(verdicts[0], Verdict::Quarantined(reason));
        assert!(verdicts[1..].iter().all(|verdict| *verdict == Verdict::Applied), "{verdicts:?}");
        assert_eq!(document.heads(), whole.heads());
    }
}

#[test]
fn what_is_made_inside_an_element_that_was_deleted_meanwhile_is_applied() {
    let mut author = Document::new(ENTITY);
    let first = bytes(&edit(&mut author, 1, |edit| edit.insert("list", 0, Value::from([("a", Value::Int(1))]))));
    let mut other = Document::new(ENTITY);
    let _ = apply(&mut other, &first);
    let deleted = bytes(&edit(&mut other, 2, |edit| edit.delete(Path::from("list").index(0))));
    let inner = Path::from("list").index(0).key("inner");
    let made = bytes(&edit(&mut author, 1, |edit| edit.put(inner, Value::from([("b", Value::Text("c".into()))]))));
    let all = [first, deleted, made].concat();
    let mut document = Document::new(ENTITY);
    for change in &all {
        assert_eq!(apply(&mut document, std::slice::from_ref(change)).verdicts, [Verdict::Applied]);
    }
    assert_eq!(document.read(), Value::from([("list", Value::List(vec![]))]));
}

#[test]
fn the_limits_of_a_change_are_kept() {
    let mut author = Document::new(ENTITY);
    let changes = bytes(&edit(&mut author, 1, |edit| edit.put("a", "x".repeat(500))));
    let many = bytes(&edit(&mut author, 1, |edit| edit.splice_text("b", 0, 0, &"x".repeat(50))));
    let limits = Limits { change_bytes_max: 400, change_operations_max: 40, ..Limits::DEFAULT };
    let verdict = |changes: &[Bytes]| {
        let incoming: Vec<_> = changes.iter().map(|(hash, bytes)| Incoming { hash: *hash, bytes }).collect();
        Document::new(ENTITY).apply_guarded(&incoming, &limits).unwrap().verdicts.pop().unwrap()
    };
    assert_eq!(verdict(&changes), Verdict::Quarantined(QuarantineReason::TooLarge));
    assert_eq!(verdict(&many), Verdict::Quarantined(QuarantineReason::TooManyOperations));
}

#[test]
fn a_run_length_bomb_is_refused_without_being_expanded() {
    let operations = |count: usize| {
        let operation = |_| Op {
            action: OpType::Put(ScalarValue::Null),
            obj: ObjectId::Root,
            key: Key::Map("k".into()),
            pred: SortedVec::new(),
            insert: false,
        };
        Change::from(ExpandedChange { operations: (0..count).map(operation).collect(), ..honest_change() })
    };
    fn honest_change() -> ExpandedChange {
        Change::try_from(forged(5, 1, 1, vec![], 1).1.as_slice()).unwrap().decode()
    }
    let bomb = operations(200_000);
    assert!(bomb.raw_bytes().len() < 200, "{}", bomb.raw_bytes().len());
    let verdicts = apply(&mut Document::new(ENTITY), &[(bomb.hash(), bomb.raw_bytes().to_vec())]).verdicts;
    assert_eq!(verdicts, [Verdict::Quarantined(QuarantineReason::TooManyOperations)]);
}

#[test]
fn changes_of_many_operations_are_expanded_a_portion_at_a_time() {
    let operation = |_| Op {
        action: OpType::Put(ScalarValue::Null),
        obj: ObjectId::Root,
        key: Key::Map("k".into()),
        pred: SortedVec::new(),
        insert: false,
    };
    let mut chain: Vec<Bytes> = Vec::new();
    for number in 0..6_u64 {
        let change = Change::from(ExpandedChange {
            operations: (0..10_000).map(operation).collect(),
            actor_id: ActorId::from([66; 16]),
            hash: None,
            seq: number + 1,
            start_op: NonZeroU64::new(number * 10_000 + 1).unwrap(),
            time: 0,
            // Long enough for the engine to deflate the change wherever it writes it.
            message: Some("m".repeat(300)),
            deps: chain.last().map(|(hash, _)| *hash).into_iter().collect(),
            extra_bytes: vec![],
            author: None,
        });
        assert!(change.raw_bytes().len() < 500);
        chain.push((change.hash(), change.raw_bytes().to_vec()));
    }
    let mut document = Document::new(ENTITY);
    let incoming: Vec<_> = chain.iter().map(|(hash, bytes)| Incoming { hash: *hash, bytes }).collect();
    let mut effort = Effort { portion_weight_max: 20_000, ..UNBOUNDED };
    let mut batch = Batch::read(ENTITY, &incoming, document.automerge(), &Limits::DEFAULT);
    let ready = batch.ready(document.automerge(), &document.sequences, &Limits::DEFAULT, &mut effort);
    assert_eq!(ready.len(), 2);
    let (verdicts, calls) = apply_until_decided(&mut document, &chain, Effort { weight: 25_000, ..effort });
    assert_eq!((verdicts, calls), (vec![Verdict::Applied; 6], 2));
    let loaded = Document::load(ENTITY, None, incoming).unwrap();
    assert_eq!((loaded.heads(), loaded.read()), (document.heads(), document.read()));
}

#[test]
fn many_changes_that_the_engine_fails_on_take_several_calls_and_good_ones_are_applied() {
    let victim = hostile::Victim::new();
    let snapshot = victim.document.save();
    let (_, _, expanded) = hostile::kinds(&victim)
        .into_iter()
        .find(|(_, expected, _)| *expected == hostile::Expected::Engine)
        .expect("the engine fails on some kind of change");
    let by = |actor: u8, operations: bool| {
        let operations = if operations { expanded.operations.clone() } else { vec![] };
        let change =
            Change::from(ExpandedChange { operations, actor_id: ActorId::from([actor; 16]), ..expanded.clone() });
        (change.hash(), change.raw_bytes().to_vec())
    };
    let changes: Vec<Bytes> = (100..180).map(|actor| by(actor, actor % 4 != 0)).collect();
    let mut at_once = Document::load(ENTITY, Some(&snapshot), []).unwrap();
    let (expected, calls) = apply_until_decided(&mut at_once, &changes, UNBOUNDED);
    assert_eq!(calls, 1);
    assert_eq!(expected.iter().filter(|verdict| **verdict == Verdict::Applied).count(), 20);
    let mut document = Document::load(ENTITY, Some(&snapshot), []).unwrap();
    let (verdicts, calls) = apply_until_decided(&mut document, &changes, Effort::default());
    assert!(calls > 1, "60 failing changes are more than one call tries");
    assert_eq!((verdicts, document.heads()), (expected, at_once.heads()));
}

/// Invariant D7: what changes leave out in the numbers of operations adds up over all that a change depends on.
#[test]
fn changes_leap_once_however_many_there_are() {
    let leap = Limits::DEFAULT.start_op_leap_max;
    let honest = forged(1, 1, 1, vec![], 1);
    let most = forged(2, 1, leap + 2, vec![honest.0], 2);
    let beside = forged(3, 1, leap + 1, vec![], 3);
    let next = forged(2, 2, leap + 3, vec![most.0], 4);
    let again = forged(2, 3, leap + 5, vec![next.0], 5);
    let joined = forged(4, 1, leap + 4, vec![most.0.min(beside.0), most.0.max(beside.0)], 6);
    let too_far = forged(4, 1, leap + 5, vec![most.0.min(beside.0), most.0.max(beside.0)], 6);
    let all = [honest, most, beside, next, again, joined];
    let high = Verdict::Quarantined(QuarantineReason::StartOpTooHigh);
    let expected: Vec<Verdict> = (0..6).map(|at| if at == 4 { high.clone() } else { Verdict::Applied }).collect();
    let mut at_once = Document::new(ENTITY);
    assert_eq!(apply(&mut at_once, &all).verdicts, expected);
    assert_eq!(
        apply(&mut at_once, std::slice::from_ref(&too_far)).verdicts,
        [Verdict::Quarantined(QuarantineReason::ActorForked)]
    );
    let mut one_by_one = Document::new(ENTITY);
    for (change, expected) in all.iter().zip(&expected).take(5) {
        assert_eq!(apply(&mut one_by_one, std::slice::from_ref(change)).verdicts, std::slice::from_ref(expected));
    }
    let mut loaded = Document::load(ENTITY, Some(&one_by_one.save()), []).unwrap();
    for document in [&mut one_by_one, &mut loaded] {
        assert_eq!(apply(document, std::slice::from_ref(&too_far)).verdicts, std::slice::from_ref(&high));
        assert_eq!(apply(document, &all[5..]).verdicts, [Verdict::Applied]);
        edit(document, 9, |edit| edit.put("still", "writable"));
    }
}

#[test]
fn any_flipped_bit_below_a_mended_checksum_leaves_a_usable_document() {
    let victim = hostile::Victim::new();
    let snapshot = victim.document.save();
    let mut author = Document::load(ENTITY, Some(&snapshot), []).unwrap();
    let change = edit(&mut author, 3, |edit| {
        edit.splice_text("body", 2, 1, "aß")?;
        edit.put("title", "b")?;
        edit.insert("list", 1, Value::from([("x", Value::Int(1))]))?;
        edit.increment("n", 2)?;
        edit.delete("map")
    });
    let [change] = change.as_slice() else { panic!("one change was expected") };
    let mut verdicts = BTreeMap::new();
    for position in 9..change.bytes.len() {
        for bit in 0..8 {
            let mut mutated = change.bytes.clone();
            mutated[position] ^= 1 << bit;
            let Some(hash) = mend(&mut mutated) else { continue };
            let mut document = Document::load(ENTITY, Some(&snapshot), []).unwrap();
            let applied = document.apply_guarded(&[Incoming { hash, bytes: &mutated }], &Limits::DEFAULT).unwrap();
            *verdicts.entry(format!("{:?}", applied.verdicts[0]).split(' ').next().unwrap().to_owned()).or_insert(0) +=
                1;
            let used = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| hostile::use_fully(&mut document, 4)));
            if applied.verdicts == [Verdict::Applied] {
                assert!(used.is_ok() || !usable_kinds(&document), "byte {position}, bit {bit}: {mutated:?}",);
            } else {
                assert!(used.is_ok(), "byte {position}, bit {bit}: {mutated:?}");
            }
        }
    }
    assert!(verdicts.len() > 4, "{verdicts:?}");
}

/// Whether what `use_fully` edits is still of the kind that it expects.
fn usable_kinds(document: &Document) -> bool {
    let kind = |key: &str| document.read().entry(key).map(Value::kind);
    kind("body") == Some(Kind::Text) && kind("list") == Some(Kind::List) && kind("map") == Some(Kind::Map)
}

/// Gives mutated bytes the length of their body and the checksum they should have, if their head still stands.
fn mend(bytes: &mut [u8]) -> Option<ChangeHash> {
    use sha2::{Digest, Sha256};
    let hash: [u8; 32] = Sha256::digest(bytes.get(8..)?).into();
    bytes.get_mut(4..8)?.copy_from_slice(&hash[..4]);
    Some(ChangeHash(hash))
}
