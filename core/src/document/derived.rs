//! Derived creation: the change that creates an absent container is the same bytes on every device.
//!
//! Two devices that each create a text under one key make two texts, of which one is hidden. A container that an edit
//! finds absent is therefore created by a change that depends on nothing but the entity and the place, so that
//! concurrent creations are one change and everything written into it merges.
//!
//! Content that several devices bring to one entity from the same source, as an import does, is written in the same way:
//! under an actor that follows from it.

use crate::change::{DERIVED_ACTOR_BYTES, Parts};
use crate::id::EntityId;
use crate::limits::Limits;
use automerge::legacy::{Key, ObjectId, Op, OpId, OpType, SortedVec};
use automerge::{ActorId, Change, ChangeHash, ExpandedChange, ObjId, ObjType, ScalarValue};
use std::num::NonZeroU64;

/// What a derived change creates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    Map,
    List,
    Text,
    Counter,
}

/// The object that a derived change creates something in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Parent {
    /// The root map, which no change created.
    Root,
    /// An object that a change created.
    Created {
        /// The operation that created it.
        id: OpId,
        /// The change that holds the operation.
        change: ChangeHash,
        /// The last operation of that change.
        max_op: u64,
    },
}

impl Container {
    /// The type of object, unless it is a counter, which is a scalar.
    pub(super) fn object_type(self) -> Option<ObjType> {
        match self {
            Self::Map => Some(ObjType::Map),
            Self::List => Some(ObjType::List),
            Self::Text => Some(ObjType::Text),
            Self::Counter => None,
        }
    }
}

/// Makes the change that creates a container at a key of a map.
///
/// It has one operation, sequence 1, time 0 and no message, depends on the change that created the parent alone, and is
/// numbered right after it. Its actor is the hash of the entity and of all the rest, so that nobody can put other bytes
/// under it: `PROTOCOL.md` has the bytes.
pub(super) fn derived_change(entity: EntityId, parent: &Parent, key: &str, container: Container) -> Change {
    let mut expanded = derived_content(parent, key, container);
    let blank = Change::from(expanded.clone());
    // Nothing but the actor changes in the body: the columns name the author by its place, which is the first.
    let actor = Parts::read(blank.raw_bytes(), &Limits::DEFAULT).map(|parts| parts.derived_actor(entity));
    // A key may be longer than a change: whoever asked for the change finds that out by checking its header.
    expanded.actor_id = ActorId::from(actor.unwrap_or([0; DERIVED_ACTOR_BYTES]));
    Change::from(expanded)
}

/// The change that creates a container at a key of a map, under an actor that stands in for its own.
pub(super) fn derived_content(parent: &Parent, key: &str, container: Container) -> ExpandedChange {
    let (object, dependencies, start_op) = match parent {
        Parent::Root => (ObjectId::Root, Vec::new(), NonZeroU64::MIN),
        Parent::Created { id, change, max_op } => {
            (ObjectId::Id(id.clone()), vec![*change], NonZeroU64::MIN.saturating_add(*max_op))
        }
    };
    let action = match container.object_type() {
        Some(kind) => OpType::Make(kind),
        None => OpType::Put(ScalarValue::counter(0)),
    };
    let operation = Op { action, obj: object, key: Key::Map(key.into()), pred: SortedVec::new(), insert: false };
    ExpandedChange {
        operations: vec![operation],
        actor_id: ActorId::from([blank_actor(parent)]),
        hash: None,
        seq: 1,
        start_op,
        time: 0,
        message: None,
        deps: dependencies,
        extra_bytes: Vec::new(),
        author: None,
    }
}

/// The actor of a change whose own is not known yet: no other has one of so many zeros.
pub(super) const BLANK_ACTOR: [u8; DERIVED_ACTOR_BYTES] = [0; DERIVED_ACTOR_BYTES];

/// The change under the actor that follows from the entity and all the rest of it; `None` where it is no change that
/// anybody would accept.
pub(super) fn under_derived_actor(entity: EntityId, change: &Change, limits: &Limits) -> Option<Change> {
    Change::from_bytes(under_derived_bytes(entity, change, limits)?).ok()
}

/// The bytes of [`under_derived_actor`].
pub(super) fn under_derived_bytes(entity: EntityId, change: &Change, limits: &Limits) -> Option<Vec<u8>> {
    let parts = Parts::read(change.raw_bytes(), limits).ok()?;
    Some(parts.under(&parts.derived_actor(entity)))
}

/// An actor to stand in for the one that is not known yet, and that is not the parent's: that one the change names.
fn blank_actor(parent: &Parent) -> u8 {
    match parent {
        Parent::Created { id, .. } if id.actor().to_bytes() == [0] => 1,
        _ => 0,
    }
}

/// The operation that created an object, unless it is the root.
pub(super) fn operation_id(object: &ObjId) -> Option<OpId> {
    match object {
        ObjId::Root => None,
        ObjId::Id(counter, actor, _) => Some(OpId(*counter, actor.clone())),
    }
}
