//! An autosurgeon reconciler that has no document and builds a tree.

mod leaves;
mod list;
mod map;

use super::{
    field::Field,
    identity::hydrate_key,
    path::FieldPath,
    to_value::ToValueError,
    tree::{Content, Node},
};
use afield_core::document::Value;
use automerge::{ChangeHash, ValueRef};
use autosurgeon::{Reconcile, Reconciler, reconcile::LoadKey};
use leaves::{CounterBuilder, TextBuilder};
use list::ListBuilder;
use map::MapBuilder;
use std::{cell::Cell, collections::BTreeMap};

/// The node that a value writes, or nothing, as for autosurgeon's `MaybeMissing`.
pub(super) fn build<R: Reconcile>(value: &R) -> Result<Option<Node>, ToValueError> {
    build_as(value, &DESCRIBED)
}

/// Bytes that are equal for equal values and different for others, or nothing where the value cannot be had.
pub(super) fn token<R: Reconcile>(value: &R) -> Option<Vec<u8>> {
    let node = build_as(value, &BARE).ok()??;
    let mut token = Vec::new();
    node.write_token(&mut token);
    Some(token)
}

fn build_as<R: Reconcile>(value: &R, heads: &'static [ChangeHash; 1]) -> Result<Option<Node>, ToValueError> {
    let mut slot = None;
    value.reconcile(Builder { slot: &mut slot, heads })?;
    Ok(slot)
}

/// A place in the tree that is being written.
struct Builder<'a> {
    slot: &'a mut Option<Node>,
    heads: &'static [ChangeHash; 1],
}

impl Builder<'_> {
    fn set(&mut self, value: Value) -> Result<(), ToValueError> {
        *self.slot = Some(Node::leaf(value));
        Ok(())
    }

    /// What stands here if it is of the wanted kind, else `fresh`.
    fn content(&mut self, wanted: fn(&Content) -> bool, fresh: Content) -> &mut Content {
        let kept = self.slot.take().filter(|node| wanted(&node.content));
        &mut self.slot.insert(kept.unwrap_or(Node::new(fresh))).content
    }
}

/// The heads of a tree whose maps are told what absence reads as. Never those of a document, so that what was read
/// from one is told apart (see [`ToValueError::BoundText`]).
static DESCRIBED: [ChangeHash; 1] = [ChangeHash([0; 32])];

/// The heads of a tree that only says what absence reads as, and so needs no such description itself.
static BARE: [ChangeHash; 1] = [ChangeHash([1; 32])];

/// Whether these are the heads of a tree that wants to know what absence reads as: see [`Implied`].
pub(super) fn is_described(heads: &[ChangeHash]) -> bool {
    heads == DESCRIBED
}

impl Reconciler for Builder<'_> {
    type Error = ToValueError;
    type Map<'m>
        = MapBuilder<'m>
    where
        Self: 'm;
    type Seq<'m>
        = ListBuilder<'m>
    where
        Self: 'm;
    type Text<'m>
        = TextBuilder<'m>
    where
        Self: 'm;
    type Counter<'m>
        = CounterBuilder<'m>
    where
        Self: 'm;

    fn none(&mut self) -> Result<(), ToValueError> {
        self.set(Value::Null)
    }

    fn bytes<B: AsRef<[u8]>>(&mut self, value: B) -> Result<(), ToValueError> {
        self.set(Value::Bytes(value.as_ref().to_vec()))
    }

    fn timestamp(&mut self, value: i64) -> Result<(), ToValueError> {
        self.set(Value::Timestamp(value))
    }

    fn boolean(&mut self, value: bool) -> Result<(), ToValueError> {
        self.set(Value::Bool(value))
    }

    fn str<S: AsRef<str>>(&mut self, value: S) -> Result<(), ToValueError> {
        self.set(Value::Str(value.as_ref().to_owned()))
    }

    fn u64(&mut self, value: u64) -> Result<(), ToValueError> {
        self.set(Value::Uint(value))
    }

    fn i64(&mut self, value: i64) -> Result<(), ToValueError> {
        self.set(Value::Int(value))
    }

    fn f64(&mut self, value: f64) -> Result<(), ToValueError> {
        self.set(Value::F64(value))
    }

    fn map(&mut self) -> Result<MapBuilder<'_>, ToValueError> {
        let heads = self.heads;
        match self.content(|content| matches!(content, Content::Map(_)), Content::Map(BTreeMap::new())) {
            Content::Map(entries) => Ok(MapBuilder { entries, enumerated: Cell::new(false), heads }),
            _ => Err(ToValueError::Nothing { at: FieldPath::default() }),
        }
    }

    fn seq(&mut self) -> Result<ListBuilder<'_>, ToValueError> {
        let heads = self.heads;
        match self.content(|content| matches!(content, Content::List(_)), Content::List(Vec::new())) {
            Content::List(elements) => Ok(ListBuilder { elements, heads }),
            _ => Err(ToValueError::Nothing { at: FieldPath::default() }),
        }
    }

    fn text(&mut self) -> Result<TextBuilder<'_>, ToValueError> {
        let wanted = |content: &Content| matches!(content, Content::Leaf(Value::Text(_)));
        match self.content(wanted, Content::Leaf(Value::Text(String::new()))) {
            Content::Leaf(value @ Value::Text(_)) => Ok(TextBuilder { value }),
            _ => Err(ToValueError::Nothing { at: FieldPath::default() }),
        }
    }

    fn counter(&mut self) -> Result<CounterBuilder<'_>, ToValueError> {
        let known = matches!(self.slot, Some(Node { content: Content::Leaf(Value::Counter(_)), .. }));
        let wanted = |content: &Content| matches!(content, Content::Leaf(Value::Counter(_)));
        match self.content(wanted, Content::Leaf(Value::Counter(0))) {
            Content::Leaf(Value::Counter(value)) => Ok(CounterBuilder { value, known }),
            _ => Err(ToValueError::Nothing { at: FieldPath::default() }),
        }
    }

    fn heads(&self) -> &[ChangeHash] {
        self.heads
    }
}

/// What an entry of a map that is put right after it reads as while it is absent.
pub(super) struct Implied<T>(pub(super) T);

impl<T: Field> Reconcile for Implied<T> {
    /// The key by which the tree knows it: one that is always found and has no content.
    type Key<'a> = ();

    fn reconcile<R: Reconciler>(&self, reconciler: R) -> Result<(), R::Error> {
        self.0.write(reconciler)
    }

    fn key(&self) -> LoadKey<Self::Key<'_>> {
        LoadKey::Found(())
    }
}

fn says_what_is_implied<R: Reconcile>(value: &R) -> bool {
    size_of::<R::Key<'_>>() == 0 && matches!(value.key(), LoadKey::Found(_))
}

fn key_of<'k, R: Reconcile>(node: &Node) -> LoadKey<R::Key<'k>> {
    hydrate_key::<R>(node).map_or(LoadKey::KeyNotFound, |read| read.key)
}

fn value_ref(node: &Node) -> ValueRef<'static> {
    match node.engine_value() {
        automerge::Value::Object(kind) => ValueRef::Object(kind),
        automerge::Value::Scalar(scalar) => ValueRef::from(scalar.into_owned()),
    }
}
