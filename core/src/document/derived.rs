//! Derived creation: the change that creates an absent container is the same bytes on every device.
//!
//! Two devices that each create a text under one key make two texts, of which one is hidden. A container that an edit
//! finds absent is therefore created by a change that depends on nothing but the entity and the place, so that
//! concurrent creations are one change and everything written into it merges.

use crate::id::EntityId;
use automerge::legacy::{Key, ObjectId, Op, OpId, OpType, SortedVec};
use automerge::{ActorId, Change, ChangeHash, ExpandedChange, ObjId, ObjType, ScalarValue};
use std::num::NonZeroU64;

const CONTEXT: &[u8] = b"afield derived object 1";

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

    /// The name that enters the actor. It never changes: the bytes of derived changes depend on it.
    fn name(self) -> &'static [u8] {
        match self {
            Self::Map => b"map",
            Self::List => b"list",
            Self::Text => b"text",
            Self::Counter => b"counter",
        }
    }
}

/// Makes the change that creates a container at a key of a map.
///
/// Its actor is the first 16 bytes of BLAKE3 over the context, the entity, the parent's operation (its actor with its
/// length, and its counter; 0 and 0 for the root), the length of the key, the key, and the container's name. Lengths
/// and the counter are 8 bytes, little-endian. Its sequence is 1, its time 0, and it has no message. It depends on the
/// change that created the parent alone and is numbered right after it.
pub(super) fn derived_change(entity: EntityId, parent: &Parent, key: &str, container: Container) -> Change {
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
    Change::from(ExpandedChange {
        operations: vec![operation],
        actor_id: actor(entity, parent, key, container),
        hash: None,
        seq: 1,
        start_op,
        time: 0,
        message: None,
        deps: dependencies,
        extra_bytes: Vec::new(),
        author: None,
    })
}

/// The operation that created an object, unless it is the root.
pub(super) fn operation_id(object: &ObjId) -> Option<OpId> {
    match object {
        ObjId::Root => None,
        ObjId::Id(counter, actor, _) => Some(OpId(*counter, actor.clone())),
    }
}

fn actor(entity: EntityId, parent: &Parent, key: &str, container: Container) -> ActorId {
    let (parent_actor, parent_counter) = match parent {
        Parent::Root => (&[][..], 0),
        Parent::Created { id, .. } => (id.actor().to_bytes(), id.counter()),
    };
    let mut hasher = blake3::Hasher::new();
    hasher.update(CONTEXT).update(entity.as_bytes());
    hasher.update(&(parent_actor.len() as u64).to_le_bytes()).update(parent_actor);
    hasher.update(&parent_counter.to_le_bytes());
    hasher.update(&(key.len() as u64).to_le_bytes()).update(key.as_bytes());
    hasher.update(container.name());
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    ActorId::from(bytes)
}
