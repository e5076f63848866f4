//! Changes that no honest device makes, with valid checksums.

// Built outside of tests too, for those of other crates, which need a part of it.
#![cfg_attr(not(test), allow(dead_code))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::document::test_kit::*;
use crate::document::*;
use automerge::legacy::{ElementId, Key, MarkData, ObjectId, Op, OpId, OpType, SortedVec};
use automerge::marks::{ExpandMark, Mark};
use automerge::transaction::Transactable;
use automerge::{ActorId, Change, ExpandedChange, ObjId, ObjType, ROOT, ReadDoc, ScalarValue};
use std::num::NonZeroU64;

/// What should become of a change, in every build of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::document) enum Expected {
    /// It is odd, but harms nobody.
    Applied,
    /// A rule refuses it.
    Rule(QuarantineReason),
    /// The engine fails on it, one way or the other.
    Engine,
}

impl Expected {
    fn is(self, verdict: &Verdict) -> bool {
        use QuarantineReason::{Panicked, PoisonsSave, ReadBackDiffers, Rejected};
        match (self, verdict) {
            (Self::Applied, Verdict::Applied) => true,
            (Self::Rule(expected), Verdict::Quarantined(reason)) => expected == *reason,
            (Self::Engine, Verdict::Quarantined(Panicked | PoisonsSave | ReadBackDiffers | Rejected)) => true,
            _ => false,
        }
    }
}

/// Hostile changes, each on top of the same honest ones, for tests of other crates.
#[cfg(feature = "test-support")]
#[derive(Debug)]
pub struct Hostile {
    /// The entity of all of them.
    pub entity: EntityId,
    /// What honest devices made, in causal order.
    pub honest: Vec<Vec<u8>>,
    /// What follows it, one at a time.
    pub changes: Vec<HostileChange>,
}

/// A change that no honest device makes.
#[cfg(feature = "test-support")]
#[derive(Debug)]
pub struct HostileChange {
    /// What is wrong with it.
    pub name: &'static str,
    /// Whether it is odd only, and applied all the same.
    pub is_applied: bool,
    /// Its bytes, with a valid checksum.
    pub bytes: Vec<u8>,
}

#[cfg(feature = "test-support")]
impl Hostile {
    /// Every kind.
    pub fn all() -> Self {
        let victim = Victim::new();
        let honest = victim.document.changes_since(&[]).into_iter().map(|(_, bytes)| bytes).collect();
        let changes = kinds(&victim).into_iter().map(|(name, expected, expanded)| HostileChange {
            name,
            is_applied: expected == Expected::Applied,
            bytes: Change::from(expanded).raw_bytes().to_vec(),
        });
        Self { entity: ENTITY, honest, changes: changes.collect() }
    }
}

/// A document with one of everything, and the operations that made it.
pub(in crate::document) struct Victim {
    pub(in crate::document) document: Document,
    text: OpId,
    list: OpId,
    map: OpId,
    title: OpId,
    letter: OpId,
    element: OpId,
    counter: OpId,
    mark: OpId,
}

impl Victim {
    pub(in crate::document) fn new() -> Self {
        let mut document = Document::new(ENTITY);
        edit(&mut document, 1, |edit| {
            edit.put("title", "a")?;
            edit.put("body", Value::Text("hello".into()))?;
            edit.put("list", vec![Value::Int(1), Value::Int(2)])?;
            edit.put("map", Value::from([("k", Value::Int(1))]))?;
            edit.put("n", Value::Counter(5))
        });
        edit(&mut document, 1, |edit| {
            edit.raw(|transaction| {
                let (_, text) = transaction.get(ROOT, "body")?.expect("it was just put");
                transaction.mark(&text, Mark::new("bold".into(), true, 1, 3), ExpandMark::Both)
            })
        });
        edit(&mut document, 2, |edit| edit.put("gone", 1));
        edit(&mut document, 2, |edit| edit.delete("gone"));
        let id = |object: &ObjId, prop: automerge::Prop| {
            let (_, id) = document.automerge().get(object, prop).unwrap().unwrap();
            (operation(&id), id)
        };
        let (text, text_object) = id(&ROOT, "body".into());
        let (list, list_object) = id(&ROOT, "list".into());
        let (map, _) = id(&ROOT, "map".into());
        let marked = document.changes_since(&[]).iter().find_map(|(_, bytes)| {
            let change = Change::try_from(bytes.as_slice()).unwrap().decode();
            let index = change.operations.iter().position(check::is_mark)?;
            Some(OpId(change.start_op.get() + index as u64, change.actor_id))
        });
        Self {
            mark: marked.unwrap(),
            text,
            list,
            map,
            title: id(&ROOT, "title".into()).0,
            letter: id(&text_object, 1.into()).0,
            element: id(&list_object, 1.into()).0,
            counter: id(&ROOT, "n".into()).0,
            document,
        }
    }

    /// A change that depends on everything, before anything bad is done to it.
    fn change(&self, operations: Vec<Op>) -> ExpandedChange {
        ExpandedChange {
            operations,
            actor_id: ActorId::from([66; 16]),
            hash: None,
            seq: 1,
            start_op: NonZeroU64::new(self.document.max_op() + 1).unwrap(),
            time: 0,
            message: None,
            deps: self.document.heads(),
            extra_bytes: vec![],
            author: None,
        }
    }
}

fn operation(id: &ObjId) -> OpId {
    match id {
        ObjId::Id(counter, actor, _) => OpId(*counter, actor.clone()),
        ObjId::Root => panic!("the root has no operation"),
    }
}

fn op(obj: ObjectId, key: Key, action: OpType, pred: Vec<OpId>, insert: bool) -> Op {
    Op { action, obj, key, pred: SortedVec::from(pred), insert }
}

fn root(key: &str, action: OpType, pred: Vec<OpId>) -> Op {
    op(ObjectId::Root, Key::Map(key.into()), action, pred, false)
}

fn put(value: i64) -> OpType {
    OpType::Put(ScalarValue::Int(value))
}

fn letter(text: &str) -> OpType {
    OpType::Put(ScalarValue::Str(text.into()))
}

fn after(id: &OpId) -> Key {
    Key::Seq(ElementId::Id(id.clone()))
}

fn mark(begin: bool) -> OpType {
    if begin {
        OpType::MarkBegin(MarkData { name: "bold".into(), value: ScalarValue::Boolean(true), expand: false })
    } else {
        OpType::MarkEnd(false)
    }
}

/// Hostile and odd changes, each alone in what is wrong with it.
pub(in crate::document) fn kinds(victim: &Victim) -> Vec<(&'static str, Expected, ExpandedChange)> {
    use Expected::{Applied, Engine, Rule};
    use QuarantineReason::*;
    let Victim { text, list, map, title, letter: second, element, counter, mark: marked, .. } = victim;
    let (text_id, list_id) = (text.clone(), list.clone());
    let in_text = || ObjectId::Id(text.clone());
    let in_list = || ObjectId::Id(list.clone());
    let in_map = || ObjectId::Id(map.clone());
    let me = ActorId::from([66; 16]);
    let start = victim.document.max_op() + 1;
    let own = |offset: u64| OpId(start + offset, me.clone());
    let stranger = OpId(3, ActorId::from([77; 16]));
    let one = |operation: Op| victim.change(vec![operation]);
    let head = || Key::Seq(ElementId::Head);
    let map_key = |key: &str| Key::Map(key.into());
    let with = |mut change: ExpandedChange, alter: &dyn Fn(&mut ExpandedChange)| {
        alter(&mut change);
        change
    };
    vec![
        ("predecessor of an unknown actor", Rule(UnknownReference), one(root("title", put(1), vec![stranger.clone()]))),
        (
            "predecessor above all operations",
            Rule(UnknownReference),
            one(root("title", put(1), vec![OpId(900, title.1.clone())])),
        ),
        ("predecessor in another object", Engine, one(root("title", put(1), vec![second.clone()]))),
        ("predecessor of another key", Engine, one(root("title", put(1), vec![counter.clone()]))),
        ("predecessor is itself", Rule(UnknownReference), one(root("title", put(1), vec![own(0)]))),
        ("predecessor twice", Applied, one(root("title", put(1), vec![title.clone(), title.clone()]))),
        (
            "object of an unknown actor",
            Rule(UnknownReference),
            one(op(ObjectId::Id(stranger.clone()), map_key("a"), put(1), vec![], false)),
        ),
        (
            "object is a scalar",
            Rule(WrongObject),
            one(op(ObjectId::Id(title.clone()), map_key("a"), put(1), vec![], false)),
        ),
        (
            "object is made by itself",
            Rule(UnknownReference),
            one(op(ObjectId::Id(own(0)), map_key("a"), OpType::Make(ObjType::Map), vec![], false)),
        ),
        (
            "object is made later",
            Rule(UnknownReference),
            victim.change(vec![
                op(ObjectId::Id(own(1)), map_key("a"), put(1), vec![], false),
                root("late", OpType::Make(ObjType::Map), vec![]),
            ]),
        ),
        ("increment of a string", Applied, one(root("title", OpType::Increment(1), vec![title.clone()]))),
        ("increment of nothing", Rule(BadOperation), one(root("title", OpType::Increment(1), vec![]))),
        (
            "increment to the limit",
            Rule(BadOperation),
            one(root("n", OpType::Increment(i64::MAX), vec![counter.clone()])),
        ),
        (
            "increment beyond the limit",
            Rule(BadOperation),
            victim.change(vec![
                root("n", OpType::Increment(i64::MAX), vec![counter.clone()]),
                root("n", OpType::Increment(i64::MAX), vec![counter.clone()]),
            ]),
        ),
        ("deletion of nothing", Rule(BadOperation), one(root("title", OpType::Delete, vec![]))),
        ("deletion inserted", Rule(BadOperation), one(op(in_list(), head(), OpType::Delete, vec![], true))),
        ("map key in a list", Rule(WrongObject), one(op(in_list(), map_key("a"), put(1), vec![], false))),
        ("map key in a text", Rule(WrongObject), one(op(in_text(), map_key("a"), put(1), vec![], false))),
        ("element in a map", Rule(WrongObject), one(op(in_map(), after(element), put(1), vec![], true))),
        ("element in the root", Rule(WrongObject), one(op(ObjectId::Root, head(), put(1), vec![], true))),
        ("insertion under a map key", Rule(BadOperation), one(op(in_map(), map_key("a"), put(1), vec![], true))),
        ("element of another list", Engine, one(op(in_list(), after(second), put(1), vec![], true))),
        (
            "update of an element of another list",
            Engine,
            one(op(in_list(), after(second), put(1), vec![second.clone()], false)),
        ),
        ("element is a map entry", Engine, one(op(in_list(), after(title), put(1), vec![], true))),
        (
            "element is made later",
            Rule(UnknownReference),
            victim.change(vec![
                op(in_list(), after(&own(1)), put(1), vec![], true),
                op(in_list(), head(), put(2), vec![], true),
            ]),
        ),
        ("element is itself", Rule(UnknownReference), one(op(in_list(), after(&own(0)), put(1), vec![], true))),
        (
            "element is an own map entry",
            Engine,
            victim.change(vec![root("x", put(1), vec![]), op(in_list(), after(&own(0)), put(1), vec![], true)]),
        ),
        ("update of the head", Rule(BadOperation), one(op(in_list(), head(), put(1), vec![], false))),
        ("update without predecessor", Applied, one(op(in_list(), after(element), put(1), vec![], false))),
        (
            "update with the predecessor of another element",
            Engine,
            one(op(in_text(), after(second), letter("x"), vec![element.clone()], false)),
        ),
        (
            "insertion with predecessor",
            Rule(BadOperation),
            one(op(in_list(), after(element), put(1), vec![element.clone()], true)),
        ),
        ("mark without end", Rule(BadOperation), one(op(in_text(), after(second), mark(true), vec![], true))),
        ("mark without begin", Rule(BadOperation), one(op(in_text(), after(second), mark(false), vec![], true))),
        (
            "mark end before begin",
            Rule(BadOperation),
            victim.change(vec![
                op(in_text(), head(), mark(false), vec![], true),
                op(in_text(), after(second), mark(true), vec![], true),
            ]),
        ),
        (
            "mark begin, then end in front of it",
            Engine,
            victim.change(vec![
                op(in_text(), after(second), mark(true), vec![], true),
                op(in_text(), head(), mark(false), vec![], true),
            ]),
        ),
        (
            "mark begin and end apart",
            Rule(BadOperation),
            victim.change(vec![
                op(in_text(), head(), mark(true), vec![], true),
                root("between", put(1), vec![]),
                op(in_text(), after(second), mark(false), vec![], true),
            ]),
        ),
        (
            "mark ended twice",
            Rule(BadOperation),
            victim.change(vec![
                op(in_text(), head(), mark(true), vec![], true),
                op(in_text(), after(second), mark(false), vec![], true),
                op(in_text(), after(second), mark(false), vec![], true),
            ]),
        ),
        (
            "marks begun twice",
            Rule(BadOperation),
            victim.change(vec![
                op(in_text(), head(), mark(true), vec![], true),
                op(in_text(), head(), mark(true), vec![], true),
                op(in_text(), after(second), mark(false), vec![], true),
            ]),
        ),
        (
            "mark in a list",
            Rule(WrongObject),
            victim.change(vec![
                op(in_list(), head(), mark(true), vec![], true),
                op(in_list(), after(element), mark(false), vec![], true),
            ]),
        ),
        ("mark in a map", Rule(WrongObject), one(op(in_map(), map_key("k"), mark(true), vec![], false))),
        (
            "mark in place of a letter",
            Rule(BadOperation),
            one(op(in_text(), after(second), mark(true), vec![second.clone()], false)),
        ),
        (
            "mark that is updated",
            Rule(BadOperation),
            victim.change(vec![
                op(in_text(), head(), mark(true), vec![], true),
                op(in_text(), after(second), mark(false), vec![], true),
                op(in_text(), after(&own(0)), letter("x"), vec![own(0)], false),
            ]),
        ),
        (
            "mark of an earlier change that is updated",
            Rule(BadOperation),
            one(op(in_text(), after(marked), letter("x"), vec![marked.clone()], false)),
        ),
        (
            "mark of an earlier change that is updated without predecessor",
            Rule(BadOperation),
            one(op(in_text(), after(marked), letter("x"), vec![], false)),
        ),
        (
            "mark of an earlier change that is deleted",
            Applied,
            one(op(in_text(), after(marked), OpType::Delete, vec![marked.clone()], false)),
        ),
        ("insertion after a mark", Applied, one(op(in_text(), after(marked), letter("x"), vec![], true))),
        (
            "mark that is deleted",
            Rule(BadOperation),
            victim.change(vec![
                op(in_text(), head(), mark(true), vec![], true),
                op(in_text(), after(second), mark(false), vec![], true),
                op(in_text(), after(&own(0)), OpType::Delete, vec![own(0)], false),
            ]),
        ),
        ("map inside a text", Applied, one(op(in_text(), after(second), OpType::Make(ObjType::Map), vec![], true))),
        (
            "list inside a text",
            Rule(WrongObject),
            one(op(in_text(), after(second), OpType::Make(ObjType::List), vec![], true)),
        ),
        (
            "text inside a text",
            Rule(WrongObject),
            one(op(in_text(), after(second), OpType::Make(ObjType::Text), vec![], true)),
        ),
        (
            "map in place of a letter",
            Applied,
            one(op(in_text(), after(second), OpType::Make(ObjType::Map), vec![second.clone()], false)),
        ),
        ("number inside a text", Applied, one(op(in_text(), after(second), put(7), vec![], true))),
        ("nothing inside a text", Applied, one(op(in_text(), after(second), letter(""), vec![], true))),
        ("word inside a text", Applied, one(op(in_text(), after(second), letter("word"), vec![], true))),
        (
            "counter inside a text",
            Applied,
            victim.change(vec![
                op(in_text(), after(second), OpType::Put(ScalarValue::counter(1)), vec![], true),
                op(in_text(), after(&own(0)), OpType::Increment(2), vec![own(0)], false),
            ]),
        ),
        (
            "table",
            Rule(BadOperation),
            victim.change(vec![
                root("table", OpType::Make(ObjType::Table), vec![]),
                op(ObjectId::Id(own(0)), map_key("a"), put(1), vec![], false),
            ]),
        ),
        ("empty key", Applied, one(root("", put(1), vec![]))),
        (
            "unknown kind of value",
            Applied,
            one(root("u", OpType::Put(ScalarValue::Unknown { type_code: 14, bytes: vec![1, 2] }), vec![])),
        ),
        ("value that is not a number", Applied, one(root("f", OpType::Put(ScalarValue::F64(f64::NAN)), vec![]))),
        ("no operations", Applied, victim.change(vec![])),
        (
            "no operations, but numbers left out",
            Rule(StartOpTooHigh),
            with(victim.change(vec![]), &|change| change.start_op = NonZeroU64::new(start + 1).unwrap()),
        ),
        (
            "first operation too low",
            Rule(StartOpTooLow),
            with(one(root("t", put(1), vec![])), &|change| change.start_op = NonZeroU64::MIN),
        ),
        (
            "operations that exist already",
            Rule(StartOpTooLow),
            with(victim.change(vec![root("t", put(1), vec![]), root("u", put(2), vec![])]), &|change| {
                change.start_op = NonZeroU64::new(start - 1).unwrap()
            }),
        ),
        (
            "first operation far too high",
            Rule(StartOpTooHigh),
            with(one(root("t", put(1), vec![])), &|change| {
                change.start_op = NonZeroU64::new(start + 5_000_000).unwrap()
            }),
        ),
        (
            "first operation at the end",
            Rule(StartOpTooHigh),
            with(one(root("t", put(1), vec![])), &|change| {
                change.start_op = NonZeroU64::new(u64::from(u32::MAX)).unwrap()
            }),
        ),
        (
            "operations beyond the end",
            Rule(StartOpTooHigh),
            with(victim.change(vec![root("t", put(1), vec![]), root("u", put(1), vec![])]), &|change| {
                change.start_op = NonZeroU64::new(u64::from(u32::MAX)).unwrap()
            }),
        ),
        (
            "first operation beyond 32 bits",
            Rule(StartOpTooHigh),
            with(one(root("t", put(1), vec![])), &|change| change.start_op = NonZeroU64::new(1 << 40).unwrap()),
        ),
        (
            "dependency twice",
            Rule(Malformed),
            with(one(root("t", put(1), vec![])), &|change| {
                change.deps = [change.deps.clone(), change.deps.clone()].concat()
            }),
        ),
        ("sequence 0", Rule(Malformed), with(one(root("t", put(1), vec![])), &|change| change.seq = 0)),
        ("sequence with a gap", Rule(SequenceGap), with(one(root("t", put(1), vec![])), &|change| change.seq = 5)),
        (
            "sequence beyond 32 bits",
            Rule(Malformed),
            with(one(root("t", put(1), vec![])), &|change| change.seq = (1 << 32) + 1),
        ),
        (
            "sequence of an actor it does not depend on",
            Rule(ActorForked),
            with(one(root("t", put(1), vec![])), &|change| {
                change.actor_id = ActorId::from([1; 16]);
                change.seq = 3;
                change.deps = vec![];
            }),
        ),
        (
            "author in a later change",
            Rule(MisplacedAuthor),
            with(one(root("t", put(1), vec![])), &|change| {
                change.actor_id = ActorId::from([2; 16]);
                change.seq = 3;
                change.extra_bytes = vec![1, 2, 5, 5];
            }),
        ),
        (
            "author in the first change",
            Applied,
            with(one(root("t", put(1), vec![])), &|change| change.extra_bytes = vec![1, 2, 5, 5]),
        ),
        ("extra bytes", Applied, with(one(root("t", put(1), vec![])), &|change| change.extra_bytes = vec![200; 40])),
        (
            "empty actor",
            Rule(Malformed),
            with(one(root("t", put(1), vec![])), &|change| change.actor_id = ActorId::from(&[][..])),
        ),
        (
            "long actor",
            Rule(Malformed),
            with(one(root("t", put(1), vec![])), &|change| change.actor_id = ActorId::from(vec![7; 1_000])),
        ),
        (
            "nobody's actor",
            Applied,
            with(one(root("t", put(1), vec![])), &|change| change.actor_id = ActorId::from([0; 16])),
        ),
        (
            "time before all time",
            Rule(TimeOutOfRange),
            with(one(root("t", put(1), vec![])), &|change| change.time = i64::MIN),
        ),
        (
            "nested too deep",
            Rule(TooDeep),
            victim.change(
                (0..(DEPTH_MAX as u64 + 1))
                    .map(|level| {
                        let obj = if level == 0 { ObjectId::Root } else { ObjectId::Id(own(level - 1)) };
                        op(obj, map_key("d"), OpType::Make(ObjType::Map), vec![], false)
                    })
                    .collect(),
            ),
        ),
        (
            "nested far too deep",
            Rule(TooDeep),
            victim.change(
                (0..50_000)
                    .map(|level| {
                        let obj = if level == 0 { ObjectId::Root } else { ObjectId::Id(own(level - 1)) };
                        op(obj, map_key("d"), OpType::Make(ObjType::Map), vec![], false)
                    })
                    .collect(),
            ),
        ),
        (
            "control: a good change",
            Applied,
            victim.change(vec![
                root("t", put(1), vec![]),
                op(ObjectId::Id(text_id.clone()), after(second), letter("x"), vec![], true),
                op(ObjectId::Id(list_id.clone()), after(element), OpType::Delete, vec![element.clone()], false),
            ]),
        ),
    ]
}

/// Uses a document as an application would: edits everything, saves, loads and reads.
pub(in crate::document) fn use_fully(document: &mut Document, actor: u8) {
    edit(document, actor, |edit| {
        edit.put("title", "after")?;
        edit.put("t", 5)?;
        let text = edit.read("body")?;
        let length = text.as_ref().and_then(Value::as_str).unwrap_or_default().chars().count();
        for position in (0..=length).rev() {
            edit.splice_text("body", position, 0, "ä")?;
        }
        edit.splice_text("body", 0, 2, "")?;
        edit.insert("list", 0, "new")?;
        edit.put(Path::from("list").index(1), 3)?;
        edit.delete(Path::from("list").index(0))?;
        edit.put(Path::from("map").key("k"), 2)?;
        edit.increment("n", 1)
    });
    let loaded = Document::load(document.entity(), Some(&document.save()), []).unwrap();
    assert_eq!(loaded.heads(), document.heads());
    assert_eq!(loaded.read(), document.read());
    assert_eq!(document.verify_save(), Ok(vec![]));
}

#[test]
fn hostile_changes_with_a_valid_checksum_are_quarantined_and_the_document_stays_usable() {
    let victim = Victim::new();
    let snapshot = victim.document.save();
    for (name, expected, expanded) in kinds(&victim) {
        let hostile = Change::from(expanded);
        let mut document = Document::load(ENTITY, Some(&snapshot), []).unwrap();
        let mut other = Document::load(ENTITY, Some(&snapshot), []).unwrap();
        let innocent = edit(&mut other, 3, |edit| {
            edit.splice_text("body", 2, 1, "XY")?;
            edit.put("innocent", 1)
        });
        let mut incoming: Vec<_> =
            innocent.iter().map(|change| Incoming { hash: change.hash, bytes: &change.bytes }).collect();
        incoming.insert(0, Incoming { hash: hostile.hash(), bytes: hostile.raw_bytes() });
        let verdicts = document.apply_guarded(&incoming, &Limits::DEFAULT).unwrap().verdicts;
        assert!(expected.is(&verdicts[0]), "{name}: {:?} instead of {expected:?}", verdicts[0]);
        assert!(verdicts[1..].iter().all(|verdict| *verdict == Verdict::Applied), "{name}: {verdicts:?}");
        let alone = other.apply_guarded(&incoming[..1], &Limits::DEFAULT).unwrap().verdicts;
        assert!(expected.is(&alone[0]), "{name}: {:?} alone", alone[0]);
        assert_eq!(document.heads(), other.heads(), "{name}");
        // Automerge's own assertions, in builds that have them, do not expect a deleted mark when the text is edited next.
        if cfg!(debug_assertions) && name == "mark of an earlier change that is deleted" {
            continue;
        }
        let used = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| use_fully(&mut document, 4)));
        assert!(used.is_ok(), "{name}");
    }
}
