//! Hostile and odd changes, each alone in what is wrong with it.

use super::Expected;
use super::victim::{ME, Victim, after, letter, mark, nan_mark, op, put, root};
use crate::document::*;
use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType};
use automerge::{ActorId, ExpandedChange, ObjType, ScalarValue};
use std::num::NonZeroU64;

/// A name, what should become of the change, and the change.
type Hostile = (&'static str, Expected, ExpandedChange);

/// All of them.
pub(in crate::document) fn kinds(victim: &Victim) -> Vec<Hostile> {
    [references(victim), texts(victim), headers(victim)].concat()
}

/// Operations that refer to what is not there, or stand where they cannot.
fn references(victim: &Victim) -> Vec<Hostile> {
    use Expected::{Applied, Engine, Rule};
    use QuarantineReason::{BadOperation, UnknownReference, WrongObject};
    let Victim { title, letter: second, element, counter, .. } = victim;
    let in_text = || ObjectId::Id(victim.text.clone());
    let in_list = || ObjectId::Id(victim.list.clone());
    let in_map = || ObjectId::Id(victim.map.clone());
    let head = || Key::Seq(ElementId::Head);
    let map_key = |key: &str| Key::Map(key.into());
    let own = |offset: u64| OpId(victim.document.max_op() + 1 + offset, ActorId::from(ME));
    let one = |operation: Op| victim.change(vec![operation]);
    let stranger = OpId(3, ActorId::from([77; 16]));
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
        ("predecessor twice", Rule(BadOperation), one(root("title", put(1), vec![title.clone(), title.clone()]))),
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
            Rule(BadOperation),
            one(op(in_text(), after(second), letter("x"), vec![element.clone()], false)),
        ),
        (
            "insertion with predecessor",
            Rule(BadOperation),
            one(op(in_list(), after(element), put(1), vec![element.clone()], true)),
        ),
    ]
}

/// Marks, and what may stand in a text.
fn texts(victim: &Victim) -> Vec<Hostile> {
    use Expected::{Applied, Engine, Rule};
    use QuarantineReason::{BadOperation, WrongObject};
    let Victim { letter: second, element, mark: marked, .. } = victim;
    let in_text = || ObjectId::Id(victim.text.clone());
    let in_list = || ObjectId::Id(victim.list.clone());
    let in_map = || ObjectId::Id(victim.map.clone());
    let head = || Key::Seq(ElementId::Head);
    let map_key = |key: &str| Key::Map(key.into());
    let own = |offset: u64| OpId(victim.document.max_op() + 1 + offset, ActorId::from(ME));
    let one = |operation: Op| victim.change(vec![operation]);
    vec![
        ("mark without end", Rule(BadOperation), one(op(in_text(), after(second), mark(true), vec![], true))),
        (
            "mark with a value that does not equal itself",
            Rule(BadOperation),
            victim.change(vec![
                op(in_text(), head(), nan_mark(), vec![], true),
                op(in_text(), after(second), mark(false), vec![], true),
            ]),
        ),
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
            Rule(BadOperation),
            one(op(in_text(), after(second), OpType::Make(ObjType::Map), vec![second.clone()], false)),
        ),
        (
            "letter in place of a letter",
            Rule(BadOperation),
            one(op(in_text(), after(second), letter("q"), vec![second.clone()], false)),
        ),
        ("letter beside a letter", Rule(BadOperation), one(op(in_text(), after(second), letter("q"), vec![], false))),
        ("number inside a text", Applied, one(op(in_text(), after(second), put(7), vec![], true))),
        ("nothing inside a text", Applied, one(op(in_text(), after(second), letter(""), vec![], true))),
        ("word inside a text", Applied, one(op(in_text(), after(second), letter("word"), vec![], true))),
        (
            "counter inside a text",
            Rule(BadOperation),
            victim.change(vec![
                op(in_text(), after(second), OpType::Put(ScalarValue::counter(1)), vec![], true),
                op(in_text(), after(&own(0)), OpType::Increment(2), vec![own(0)], false),
            ]),
        ),
    ]
}

/// Values and nesting, and what is wrong with a change as a whole.
fn headers(victim: &Victim) -> Vec<Hostile> {
    use Expected::{Applied, Rule};
    use QuarantineReason::{
        ActorForked, BadOperation, Malformed, MisplacedAuthor, SequenceGap, StartOpTooHigh, StartOpTooLow,
        TimeOutOfRange, TooDeep,
    };
    let Victim { letter: second, element, text, list, .. } = victim;
    let map_key = |key: &str| Key::Map(key.into());
    let own = |offset: u64| OpId(victim.document.max_op() + 1 + offset, ActorId::from(ME));
    let one = |operation: Op| victim.change(vec![operation]);
    let with = |mut change: ExpandedChange, alter: &dyn Fn(&mut ExpandedChange)| {
        alter(&mut change);
        change
    };
    let start = victim.document.max_op() + 1;
    vec![
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
                op(ObjectId::Id(text.clone()), after(second), letter("x"), vec![], true),
                op(ObjectId::Id(list.clone()), after(element), OpType::Delete, vec![element.clone()], false),
            ]),
        ),
    ]
}
