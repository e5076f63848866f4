//! An autosurgeon reconciler that has no document and builds a tree.

use super::{
    identity::{hydrate_key, identity},
    path::{FieldPath, Place},
    to_value::ToValueError,
    tree::{Content, Element, Node},
};
use afield_core::document::Value;
use automerge::{ChangeHash, ValueRef};
use autosurgeon::{
    Reconcile, Reconciler,
    reconcile::{CounterReconciler, LoadKey, MapReconciler, SeqReconciler, TextReconciler},
};
use std::{borrow::Cow, cell::Cell, collections::BTreeMap};

/// The node that a value writes, or nothing, as for autosurgeon's `MaybeMissing`.
pub(super) fn build<R: Reconcile>(value: &R) -> Result<Option<Node>, ToValueError> {
    build_as(value, &DESCRIBED)
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
            Content::Leaf(Value::Text(text)) => Ok(TextBuilder { text }),
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

struct MapBuilder<'a> {
    entries: &'a mut BTreeMap<String, Node>,
    /// Whether the type asked which keys there are: then its keys are content, and no error may show them.
    enumerated: Cell<bool>,
    heads: &'static [ChangeHash; 1],
}

impl MapBuilder<'_> {
    fn place(&self, key: &str) -> Place {
        if self.enumerated.get() { Place::FreeKey } else { Place::Field(key.to_owned()) }
    }
}

impl MapReconciler for MapBuilder<'_> {
    type Error = ToValueError;
    type EntriesIter<'e>
        = std::vec::IntoIter<(Cow<'e, str>, ValueRef<'e>)>
    where
        Self: 'e;

    fn entries(&self) -> Self::EntriesIter<'_> {
        self.enumerated.set(true);
        let entries: Vec<_> =
            self.entries.iter().map(|(key, node)| (Cow::Borrowed(key.as_str()), value_ref(node))).collect();
        entries.into_iter()
    }

    fn entry<P: AsRef<str>>(&self, prop: P) -> Option<automerge::Value<'_>> {
        self.entries.get(prop.as_ref()).map(Node::engine_value)
    }

    fn put<R: Reconcile, P: AsRef<str>>(&mut self, prop: P, value: R) -> Result<(), ToValueError> {
        let key = prop.as_ref();
        let within = |error: ToValueError| error.within(self.place(key));
        if says_what_is_implied(&value) {
            if let Some(node) = build_as(&value, &BARE).map_err(within)? {
                self.entries.insert(key.to_owned(), Node { implied: true, ..node });
            }
            return Ok(());
        }
        let built = build_as(&value, self.heads).map_err(within)?;
        let implied = match self.entries.get(key) {
            Some(Node { implied: true, .. }) => self.entries.remove(key),
            _ => None,
        };
        if let Some(node) = built {
            let implied = implied.is_some_and(|implied| implied.same(&node));
            self.entries.insert(key.to_owned(), Node { implied, ..node });
        }
        Ok(())
    }

    fn delete<P: AsRef<str>>(&mut self, prop: P) -> Result<(), ToValueError> {
        self.entries.remove(prop.as_ref());
        Ok(())
    }

    fn hydrate_entry_key<'k, R: Reconcile, P: AsRef<str>>(&self, prop: P) -> Result<LoadKey<R::Key<'k>>, ToValueError> {
        Ok(self.entries.get(prop.as_ref()).map_or(LoadKey::KeyNotFound, key_of::<R>))
    }
}

/// What an entry of a map that is put right after it reads as while it is absent.
pub(super) struct Implied<T>(pub(super) T);

impl<T: Reconcile> Reconcile for Implied<T> {
    /// The key by which the tree knows it: one that is always found and has no content.
    type Key<'a> = ();

    fn reconcile<R: Reconciler>(&self, reconciler: R) -> Result<(), R::Error> {
        self.0.reconcile(reconciler)
    }

    fn key(&self) -> LoadKey<Self::Key<'_>> {
        LoadKey::Found(())
    }
}

fn says_what_is_implied<R: Reconcile>(value: &R) -> bool {
    size_of::<R::Key<'_>>() == 0 && matches!(value.key(), LoadKey::Found(_))
}

struct ListBuilder<'a> {
    elements: &'a mut Vec<Element>,
    heads: &'static [ChangeHash; 1],
}

impl ListBuilder<'_> {
    fn element<R: Reconcile>(&self, index: usize, value: &R) -> Result<Element, ToValueError> {
        let node = build_as(value, self.heads)
            .and_then(|node| node.ok_or_else(|| ToValueError::Nothing { at: FieldPath::default() }))
            .map_err(|error| error.within(Place::Index(index)))?;
        Ok(Element { identity: identity(value, &node), node })
    }
}

impl SeqReconciler for ListBuilder<'_> {
    type Error = ToValueError;
    type ItemIter<'i>
        = std::vec::IntoIter<ValueRef<'i>>
    where
        Self: 'i;

    fn items(&self) -> Self::ItemIter<'_> {
        let items: Vec<_> = self.elements.iter().map(|element| value_ref(&element.node)).collect();
        items.into_iter()
    }

    fn get(&self, index: usize) -> Result<Option<automerge::Value<'_>>, ToValueError> {
        Ok(self.elements.get(index).map(|element| element.node.engine_value()))
    }

    fn hydrate_item_key<'k, R: Reconcile>(&self, index: usize) -> Result<LoadKey<R::Key<'k>>, ToValueError> {
        Ok(self.elements.get(index).map_or(LoadKey::KeyNotFound, |element| key_of::<R>(&element.node)))
    }

    fn insert<R: Reconcile>(&mut self, index: usize, value: R) -> Result<(), ToValueError> {
        if index > self.elements.len() {
            return Err(ToValueError::out_of_range(index, self.elements.len()));
        }
        let element = self.element(index, &value)?;
        self.elements.insert(index, element);
        Ok(())
    }

    fn set<R: Reconcile>(&mut self, index: usize, value: R) -> Result<(), ToValueError> {
        let new = self.element(index, &value)?;
        let length = self.elements.len();
        let element = self.elements.get_mut(index).ok_or_else(|| ToValueError::out_of_range(index, length))?;
        *element = new;
        Ok(())
    }

    fn delete(&mut self, index: usize) -> Result<(), ToValueError> {
        if index >= self.elements.len() {
            return Err(ToValueError::out_of_range(index, self.elements.len()));
        }
        self.elements.remove(index);
        Ok(())
    }

    fn len(&self) -> Result<usize, ToValueError> {
        Ok(self.elements.len())
    }
}

struct TextBuilder<'a> {
    text: &'a mut String,
}

impl TextReconciler for TextBuilder<'_> {
    type Error = ToValueError;

    /// As the engine: a negative count deletes before the position.
    fn splice<S: AsRef<str>>(&mut self, position: usize, delete: isize, insert: S) -> Result<(), ToValueError> {
        let length = self.text.chars().count();
        let (start, end) = match delete {
            0.. => (Some(position), position.checked_add(delete.unsigned_abs())),
            ..0 => (position.checked_sub(delete.unsigned_abs()), Some(position)),
        };
        let (Some(start), Some(end)) = (start, end.filter(|end| *end <= length)) else {
            return Err(ToValueError::out_of_range(position, length));
        };
        let offset = |position| self.text.char_indices().nth(position).map_or(self.text.len(), |(offset, _)| offset);
        let range = offset(start)..offset(end);
        self.text.replace_range(range, insert.as_ref());
        Ok(())
    }

    fn heads(&self) -> &[ChangeHash] {
        &DESCRIBED
    }

    fn update<S: AsRef<str>>(&mut self, text: S) -> Result<(), ToValueError> {
        text.as_ref().clone_into(self.text);
        Ok(())
    }
}

struct CounterBuilder<'a> {
    value: &'a mut i64,
    /// Whether the value was set, and can be incremented.
    known: bool,
}

impl CounterReconciler for CounterBuilder<'_> {
    type Error = ToValueError;

    fn increment(&mut self, by: i64) -> Result<(), ToValueError> {
        if !self.known {
            return Err(ToValueError::BoundCounter { at: FieldPath::default() });
        }
        *self.value = self.value.saturating_add(by);
        Ok(())
    }

    fn set(&mut self, value: i64) -> Result<(), ToValueError> {
        *self.value = value;
        self.known = true;
        Ok(())
    }
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
