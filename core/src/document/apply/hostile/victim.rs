//! The document that hostile changes come into, and what they are made of.

use crate::document::test_kit::*;
use crate::document::*;
use automerge::legacy::{ElementId, Key, MarkData, ObjectId, Op, OpId, OpType, SortedVec};
use automerge::marks::{ExpandMark, Mark};
use automerge::transaction::Transactable;
use automerge::{ActorId, Change, ExpandedChange, ObjId, ROOT, ReadDoc, ScalarValue};
use std::num::NonZeroU64;

/// The actor of hostile changes.
pub(super) const ME: [u8; 16] = [66; 16];

/// A document with one of everything, and the operations that made it.
pub(in crate::document) struct Victim {
    pub(in crate::document) document: Document,
    pub(super) text: OpId,
    pub(super) list: OpId,
    pub(super) map: OpId,
    pub(super) title: OpId,
    pub(super) letter: OpId,
    pub(super) element: OpId,
    pub(super) counter: OpId,
    pub(super) mark: OpId,
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
    pub(super) fn change(&self, operations: Vec<Op>) -> ExpandedChange {
        ExpandedChange {
            operations,
            actor_id: ActorId::from(ME),
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

pub(super) fn op(obj: ObjectId, key: Key, action: OpType, pred: Vec<OpId>, insert: bool) -> Op {
    Op { action, obj, key, pred: SortedVec::from(pred), insert }
}

pub(super) fn root(key: &str, action: OpType, pred: Vec<OpId>) -> Op {
    op(ObjectId::Root, Key::Map(key.into()), action, pred, false)
}

pub(super) fn put(value: i64) -> OpType {
    OpType::Put(ScalarValue::Int(value))
}

pub(super) fn letter(text: &str) -> OpType {
    OpType::Put(ScalarValue::Str(text.into()))
}

pub(super) fn after(id: &OpId) -> Key {
    Key::Seq(ElementId::Id(id.clone()))
}

pub(super) fn mark(begin: bool) -> OpType {
    if begin {
        OpType::MarkBegin(MarkData { name: "bold".into(), value: ScalarValue::Boolean(true), expand: false })
    } else {
        OpType::MarkEnd(false)
    }
}

/// The beginning of a mark whose value is NaN.
pub(super) fn nan_mark() -> OpType {
    OpType::MarkBegin(MarkData { name: "bold".into(), value: ScalarValue::F64(f64::NAN), expand: false })
}
