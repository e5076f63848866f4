//! What makes a list element the same one before and after an edit.
//!
//! autosurgeon lets a type name its key, but only as an opaque value that can be compared. Its type is fixed at the
//! place where the element is written, while two trees are compared later and without types. So the element's own
//! `hydrate_key` is run over the value just written, and what it read is the identity.

use super::tree::{Content, Node, write_tagged};
use automerge::{
    ActorId, AutomergeError, ChangeHash, ObjId, ObjType, ROOT,
    iter::{ListRange, MapRange},
};
use autosurgeon::{Prop, ReadDoc, Reconcile, ReconcileError, reconcile::LoadKey};
use std::{cell::RefCell, ops::RangeBounds};

/// What an element is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Identity {
    /// Its place in the list, as in a tuple.
    Position,
    /// Its key.
    Key {
        /// What the key reads.
        token: Vec<u8>,
        /// The places in the element at which it reads.
        places: Vec<Vec<automerge::Prop>>,
    },
    /// Its key reads what the document does not hold, and so would that of every element older than the key.
    Unknown,
}

impl Identity {
    /// Whether the document holds what the key of `element` reads.
    pub(super) fn is_held(&self, element: &Node) -> bool {
        let Self::Key { places, .. } = self else { return true };
        places
            .iter()
            .all(|place| place.iter().try_fold(element, |node, prop| child(node, prop)).is_some_and(Node::is_held))
    }
}

/// The identity of `value`, which was written as `node`.
///
/// A scalar has none: it is its own identity, and is compared as such.
pub(super) fn identity<R: Reconcile>(value: &R, node: &Node) -> Option<Identity> {
    let LoadKey::Found(own) = value.key() else { return None };
    let Read { key, token, places } = hydrate_key::<R>(node).ok()?;
    match key {
        LoadKey::Found(key) if own == key => {}
        _ => return None,
    }
    if token.is_empty() {
        // A key that reads nothing of the element can only be its place.
        Some(Identity::Position)
    } else {
        matches!(node.content, Content::Map(_)).then_some(Identity::Key { token, places })
    }
}

/// A key, and what its type read to find it.
pub(super) struct Read<K> {
    pub(super) key: LoadKey<K>,
    token: Vec<u8>,
    places: Vec<Vec<automerge::Prop>>,
}

/// Runs the type's own reading of its key over a value, and tells what it read.
pub(super) fn hydrate_key<'k, R: Reconcile>(node: &Node) -> Result<Read<R::Key<'k>>, ReconcileError> {
    let probe = Probe { element: node, objects: RefCell::default(), trace: RefCell::default() };
    let key = R::hydrate_key(&probe, &ROOT, Prop::Index(0))?;
    let places = probe.objects.into_inner().into_iter().map(|(place, _)| place).collect();
    Ok(Read { key, token: probe.trace.into_inner(), places })
}

/// One value, shown to autosurgeon as the only element of a list, with a record of what was read.
struct Probe<'n> {
    element: &'n Node,
    /// The values told so far and their places in the element; the id of an object is its position here.
    objects: RefCell<Vec<(Vec<automerge::Prop>, &'n Node)>>,
    trace: RefCell<Vec<u8>>,
}

impl<'n> Probe<'n> {
    fn object(&self, id: &ObjId) -> Option<&'n Node> {
        let ObjId::Id(position, ..) = id else { return None };
        self.objects.borrow().get(usize::try_from(*position).ok()?).map(|(_, node)| *node)
    }

    fn place(&self, id: &ObjId, prop: &automerge::Prop) -> Vec<automerge::Prop> {
        let ObjId::Id(position, ..) = id else { return Vec::new() };
        let objects = self.objects.borrow();
        let around = usize::try_from(*position).ok().and_then(|position| objects.get(position));
        around.into_iter().flat_map(|(place, _)| place).chain([prop]).cloned().collect()
    }

    fn children(&self, id: &ObjId) -> usize {
        match self.object(id).map(|node| &node.content) {
            None => usize::from(*id == ROOT),
            Some(Content::List(elements)) => elements.len(),
            Some(Content::Map(entries)) => entries.len(),
            Some(Content::Leaf(_)) => self.text(id).map_or(0, |text| text.chars().count()),
        }
    }

    fn child(&self, id: &ObjId, prop: &automerge::Prop) -> Option<&'n Node> {
        match (self.object(id), prop) {
            (None, automerge::Prop::Seq(0)) => Some(self.element),
            (object, prop) => child(object?, prop),
        }
    }
}

fn child<'n>(node: &'n Node, prop: &automerge::Prop) -> Option<&'n Node> {
    match (&node.content, prop) {
        (Content::Map(entries), automerge::Prop::Map(key)) => entries.get(key),
        (Content::List(elements), automerge::Prop::Seq(index)) => elements.get(*index).map(|element| &element.node),
        _ => None,
    }
}

impl ReadDoc for Probe<'_> {
    type Parents<'a>
        = std::iter::Empty<automerge::Parent>
    where
        Self: 'a;

    fn get_heads(&self) -> Vec<ChangeHash> {
        Vec::new()
    }

    fn get<P: Into<automerge::Prop>>(
        &self,
        object: &ObjId,
        prop: P,
    ) -> Result<Option<(automerge::Value<'_>, ObjId)>, AutomergeError> {
        let prop = prop.into();
        let mut trace = self.trace.borrow_mut();
        match &prop {
            automerge::Prop::Map(key) => write_tagged(b'.', key.as_bytes(), &mut trace),
            automerge::Prop::Seq(index) => write_tagged(b'#', &index.to_be_bytes(), &mut trace),
        }
        let Some(node) = self.child(object, &prop) else {
            trace.push(b'-');
            return Ok(None);
        };
        let place = self.place(object, &prop);
        let mut objects = self.objects.borrow_mut();
        let id = ObjId::Id(u64::try_from(objects.len()).unwrap_or(u64::MAX), ActorId::from([]), 0);
        objects.push((place, node));
        match node.engine_value() {
            automerge::Value::Object(kind) => write_tagged(b'o', kind.to_string().as_bytes(), &mut trace),
            automerge::Value::Scalar(_) => node.write_token(&mut trace),
        }
        Ok(Some((node.engine_value(), id)))
    }

    fn object_type<O: AsRef<ObjId>>(&self, object: O) -> Option<ObjType> {
        match self.object(object.as_ref()).map(Node::engine_value) {
            None => (*object.as_ref() == ROOT).then_some(ObjType::List),
            Some(automerge::Value::Object(kind)) => Some(kind),
            Some(automerge::Value::Scalar(_)) => None,
        }
    }

    /// Nothing: the engine's iterators cannot be made here. A key that enumerates a map is not recognised.
    fn map_range<'a, O, R>(&'a self, _: O, _: R) -> MapRange<'a>
    where
        R: RangeBounds<String> + 'a,
        O: AsRef<ObjId>,
    {
        MapRange::default()
    }

    /// Nothing, as `map_range`.
    fn list_range<O: AsRef<ObjId>, R: RangeBounds<usize>>(&self, _: O, _: R) -> ListRange<'_> {
        ListRange::default()
    }

    fn length<O: AsRef<ObjId>>(&self, object: O) -> usize {
        let length = self.children(object.as_ref());
        write_tagged(b'n', &length.to_be_bytes(), &mut self.trace.borrow_mut());
        length
    }

    fn text<O: AsRef<ObjId>>(&self, object: O) -> Result<String, AutomergeError> {
        match self.object(object.as_ref()).map(|node| &node.content) {
            Some(Content::Leaf(afield_core::document::Value::Text(text))) => {
                write_tagged(b'x', text.as_bytes(), &mut self.trace.borrow_mut());
                Ok(text.clone())
            }
            _ => Err(AutomergeError::NotAnObject),
        }
    }

    fn parents<O: AsRef<ObjId>>(&self, _: O) -> Result<Self::Parents<'_>, AutomergeError> {
        Ok(std::iter::empty())
    }

    fn is_empty(&self) -> bool {
        false
    }
}
