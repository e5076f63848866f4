//! What people have to decide: concurrent writes to one place, and edits of what somebody else took away meanwhile.
//!
//! Nothing here is stored in the document: the conflicts of a document are a pure function of the set of its changes, so
//! every device that holds the same changes lists the same, whatever order they came in.
//!
//! A *register* is a key of a map or an element of a list. A write of it sets or deletes it. Two writes are concurrent where
//! neither was made by somebody who held the other. A register is in conflict
//!
//! - when it has several values at once ([`ConflictKind::Values`]). Equal scalars are one value: there is nothing to decide.
//!   Two maps, lists, texts or counters are two values even where they read the same, since what is written into one is not in the other;
//! - when it has a value, and a deletion of it is concurrent to that value; or when it has none, since people who at the same time
//!   kept different ones of several maps, lists, texts or counters took the others away ([`ConflictKind::Deleted`]);
//! - when it was deleted or written anew by people of whom none had seen what somebody else wrote into the map, list, text
//!   or counter that stood there ([`ConflictKind::Lost`]). Of nested ones that are gone the outermost counts: its
//!   place can be named;
//! - when the entity is marked as deleted and the same holds for anything in it, or when one side marked it and another
//!   took the mark away ([`ConflictKind::Entity`]).
//!
//! It ends with the next write of that register by somebody who has seen both sides. What merges is no conflict: increments,
//! characters and marks of texts, insertions into lists; the blocks within a text merge with it. Containers that are created
//! by derived changes are no writes: they are the same on every device. What is deleted inside something that somebody else
//! deletes is agreement.
//!
//! | what | costs |
//! | --- | --- |
//! | an edit that knows all the document holds | nothing: it can end conflicts and never begin one |
//! | [`Document::conflicts_since`] | the headers of all changes, and the operations of those that are concurrent to a new one |
//! | [`Document::conflicts`] | the headers, and the operations of all changes after the last point up to which nothing was concurrent |

mod gathered;
mod judge;
mod region;
mod resolve;
mod standing;
pub mod strategy;

use super::path::Path;
use super::value::Value;
use super::{Document, engine};
use crate::id::EntityId;
use automerge::legacy::{ObjectId, OpId};
use automerge::{ActorId, ChangeHash, ObjId};
use std::fmt;
use std::str::FromStr;

pub use resolve::Choice;

/// The key at the root of a document that says since when its entity is deleted, in milliseconds since the Unix epoch.
///
/// Deleting is an ordinary edit, so it merges, can be undone, and an edit made meanwhile elsewhere is not lost.
pub const DELETED_KEY: &str = "_afield_deleted";

/// How many bytes name a conflict.
const ID_BYTES: usize = 16;

/// Names a conflict: the same on every device, and as long as the same place is in conflict.
///
/// ```
/// use afield_core::document::ConflictId;
///
/// let written = "0123456789abcdef0123456789abcdef"; // as an inbox shows it, on any device
/// let id: ConflictId = written.parse().expect("32 hexadecimal digits");
/// assert_eq!(id.to_string(), written);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConflictId([u8; ID_BYTES]);

/// The text is not the name of a conflict: 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the name of a conflict is 32 hexadecimal digits")]
pub struct ParseConflictIdError;

/// What kind of conflict it is.
///
/// ```
/// # use afield_core::document::{ConflictKind, Document, EditContext, Incoming};
/// # use afield_core::{EntityId, Limits, Now};
/// # let entity = EntityId::from_bytes([7; 16]);
/// # let (mut document, mut other) = (Document::new(entity), Document::new(entity));
/// # let by = |actor: u8| EditContext::new([actor; 16].into(), Now { wall_ms: 1_000, monotonic_ms: 0 });
/// document.edit(&by(1), &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
/// other.edit(&by(2), &Limits::DEFAULT, |edit| edit.put("title", "Journey"))?; // elsewhere, meanwhile
/// # let changes = other.changes_since(&[]);
/// # let incoming: Vec<_> = changes.iter().map(|(hash, bytes)| Incoming { hash: *hash, bytes }).collect();
/// # document.apply_guarded(&incoming, &Limits::DEFAULT)?;
/// assert_eq!(document.conflicts()[0].kind, ConflictKind::Values);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConflictKind {
    /// Several values were written to one place.
    Values,
    /// A value was written to a place that somebody else deleted, and is shown; or one was kept there beside which somebody else kept
    /// or deleted something, and nothing is shown.
    Deleted,
    /// Something was edited that somebody else deleted or wrote anew as a whole; the edit is not shown.
    Lost,
    /// The entity was edited or restored by one and deleted by another.
    Entity,
}

impl ConflictKind {
    /// What it is called in JSON.
    ///
    /// ```
    /// use afield_core::document::ConflictKind;
    ///
    /// assert_eq!(ConflictKind::Values.name(), "values");
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            Self::Values => "values",
            Self::Deleted => "deleted",
            Self::Lost => "lost",
            Self::Entity => "entity",
        }
    }
}

/// One of the sides of a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictValue {
    /// What the side made of the place; `None` where it deleted it.
    ///
    /// Of an entity that was edited, the fields that were.
    pub value: Option<Value>,
    /// The change that did it; of several, the latest by its own clock.
    pub change: ChangeHash,
    /// Whether this is what the document shows.
    pub wins: bool,
    /// The operation, where its value still stands at the place.
    operation: Option<Id>,
}

/// A place of a document at which people did different things without knowing of each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Its name.
    pub id: ConflictId,
    /// Where; the root for the entity as a whole. For an element of a list that is gone, where it would be put back.
    pub path: Path,
    /// What kind of conflict it is.
    pub kind: ConflictKind,
    /// The sides: what the document shows is the first.
    pub values: Vec<ConflictValue>,
    register: Register,
    /// Operations of the place that are gone, for a settling operation to name.
    gone: Vec<Id>,
}

impl Document {
    /// The conflicts of the document, in the order of their places.
    ///
    /// ```
    /// # use afield_core::document::{ConflictKind, Document, EditContext, Incoming};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let entity = EntityId::from_bytes([7; 16]);
    /// # let (mut document, mut other) = (Document::new(entity), Document::new(entity));
    /// # let by = |actor: u8| {
    /// #     let now = Now { wall_ms: 1_000 * i64::from(actor), monotonic_ms: 0 };
    /// #     EditContext::new([actor; 16].into(), now)
    /// # };
    /// document.edit(&by(1), &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// other.edit(&by(2), &Limits::DEFAULT, |edit| edit.put("title", "Journey"))?;
    /// # let changes = other.changes_since(&[]);
    /// # let incoming: Vec<_> = changes.iter().map(|(hash, bytes)| Incoming { hash: *hash, bytes }).collect();
    /// # document.apply_guarded(&incoming, &Limits::DEFAULT)?;
    /// let conflict = document.conflicts().remove(0);
    /// assert_eq!((conflict.kind, conflict.path.to_string()), (ConflictKind::Values, "title".to_owned()));
    /// assert_eq!(conflict.values[0].value, document.read_at("title")?);
    /// assert!(conflict.values[0].wins && !conflict.values[1].wins);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// The document is poisoned.
    pub fn conflicts(&self) -> Vec<Conflict> {
        let engine = self.automerge();
        judge::conflicts(self.entity, engine, region::Region::of(engine))
    }

    /// The conflicts of the document, of which there were none when it had these heads.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext, Incoming};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let entity = EntityId::from_bytes([7; 16]);
    /// # let (mut document, mut other) = (Document::new(entity), Document::new(entity));
    /// # let by = |actor: u8| {
    /// #     let now = Now { wall_ms: 1_000 * i64::from(actor), monotonic_ms: 0 };
    /// #     EditContext::new([actor; 16].into(), now)
    /// # };
    /// # document.edit(&by(1), &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// # other.edit(&by(2), &Limits::DEFAULT, |edit| edit.put("title", "Journey"))?;
    /// # let changes = other.changes_since(&[]);
    /// # let incoming: Vec<_> = changes.iter().map(|(hash, bytes)| Incoming { hash: *hash, bytes }).collect();
    /// let before = document.heads();
    /// # document.apply_guarded(&incoming, &Limits::DEFAULT)?;
    /// assert_eq!(document.conflicts_since(&before).len(), 1);
    /// assert!(document.conflicts_since(&document.heads()).is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// The document is poisoned.
    pub fn conflicts_since(&self, heads: &[ChangeHash]) -> Vec<Conflict> {
        let engine = self.automerge();
        let known = heads.iter().all(|head| engine::holds(engine, head));
        let region = if known { region::Region::since(engine, heads) } else { region::Region::of(engine) };
        judge::conflicts(self.entity, engine, region)
    }
}

/// An operation: its number, and its actor. They are in the order in which Automerge has later ones win.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Id(u64, ActorId);

impl Id {
    fn of(id: &OpId) -> Self {
        Self(id.counter(), id.actor().clone())
    }

    fn of_object(id: &ObjId) -> Option<Self> {
        match id {
            ObjId::Root => None,
            ObjId::Id(counter, actor, _) => Some(Self(*counter, actor.clone())),
        }
    }

    fn operation(&self) -> OpId {
        OpId(self.0, self.1.clone())
    }

    /// Names the object that the operation made. The third part is a hint that the engine does not rely on.
    fn object(&self) -> ObjId {
        ObjId::Id(self.0, self.1.clone(), 0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.0, self.1)
    }
}

/// A key of a map or an element of a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Register {
    /// The map or list; the root map where there is none.
    object: Option<Id>,
    key: Key,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Map(String),
    /// The operation that inserted the element.
    Element(Id),
}

impl Register {
    /// The mark of a deleted entity.
    fn deletion() -> Self {
        Self { object: None, key: Key::Map(DELETED_KEY.to_owned()) }
    }

    fn object(&self) -> ObjId {
        object_of(self.object.as_ref())
    }

    fn legacy_object(&self) -> ObjectId {
        self.object.as_ref().map_or(ObjectId::Root, |id| ObjectId::Id(id.operation()))
    }

    fn conflict_id(&self, entity: EntityId) -> ConflictId {
        const CONTEXT: &[u8] = b"afield conflict 1";
        let mut hasher = blake3::Hasher::new();
        let mut add = |id: &Id| {
            let actor = id.1.to_bytes();
            hasher.update(&id.0.to_le_bytes()).update(&(actor.len() as u64).to_le_bytes()).update(actor);
        };
        let mut tag = [0_u8; 2];
        if let Some(object) = &self.object {
            tag[0] = 1;
            add(object);
        }
        match &self.key {
            Key::Map(key) => {
                hasher.update(key.as_bytes());
            }
            Key::Element(element) => {
                tag[1] = 1;
                add(element);
            }
        }
        hasher.update(CONTEXT).update(entity.as_bytes()).update(&tag);
        let mut id = [0; ID_BYTES];
        hasher.finalize_xof().fill(&mut id);
        ConflictId(id)
    }
}

fn object_of(object: Option<&Id>) -> ObjId {
    object.map_or(ObjId::Root, Id::object)
}

impl ConflictId {
    /// The name with these bytes.
    ///
    /// ```
    /// use afield_core::document::ConflictId;
    ///
    /// assert_eq!(ConflictId::from_bytes([0xa5; 16]).to_string(), "a5".repeat(16));
    /// ```
    pub const fn from_bytes(bytes: [u8; ID_BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    ///
    /// ```
    /// use afield_core::document::ConflictId;
    ///
    /// let id: ConflictId = "a5".repeat(16).parse()?;
    /// assert_eq!(id.as_bytes(), &[0xa5; 16]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn as_bytes(&self) -> &[u8; ID_BYTES] {
        &self.0
    }
}

impl fmt::Display for ConflictId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for ConflictId {
    type Err = ParseConflictIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.len() == 2 * ID_BYTES && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| digits);
        number.map(|number| Self(number.to_be_bytes())).ok_or(ParseConflictIdError)
    }
}

#[cfg(test)]
mod tests;
