//! The conflict inbox: what people did to one place without knowing of each other, and how one of them decides it.

use crate::collection::Collection;
use crate::driver::{Edited, Existence, Target};
use crate::entity::Entity;
use crate::error::{EditError, ReadError};
use crate::replica::Shared;
use crate::space::Space;
use crate::watch::{Subject, Watch};
use crate::write::Write;
use afield_core::document::{
    Choice, Conflict as Found, ConflictId, ConflictKind, Document, OperationError, Path, Value,
};
use afield_core::{ChangeHash, DeviceId, EntityId, SpaceId};
use afield_store::{CONFLICT_BYTES, ConflictQuery, ListedConflict};
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// One of the sides of a [`Conflict`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ConflictValue {
    /// What the side made of the place; `None` where it deleted it. Of an entity that was edited beside its deletion, the fields
    /// that were.
    pub value: Option<Value>,
    /// The change that did it.
    pub change: ChangeHash,
    /// Who did it, where their device had been told a name.
    pub author: Option<String>,
    /// On which device; `None` for what is the same on every device, as of an import.
    pub device: Option<DeviceId>,
    /// When, by the clock of whoever did it, in milliseconds since the Unix epoch; 0 where nobody did, as in an import.
    pub at_ms: i64,
    /// Whether this is what the entity shows.
    pub wins: bool,
}

/// A place of an entity to which people did different things without knowing of each other.
///
/// Automerge shows one of the values, the same on every device, and nothing is lost: the others are kept here until somebody
/// decides. The list is the same on every device that holds the same changes.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use afield::{Choice, Replica};
/// use serde_json::{Value, json};
///
/// # let replica = Replica::open_in_memory()?;
/// let home = replica.create_space("Home")?;
/// let notes = home.collection::<Value>("notes")?;
/// let id = notes.json().insert(&json!({ "title": "Shopping" }))?;
/// // Nobody else has written the title meanwhile, so there is nothing to decide.
/// assert!(notes.entity(id)?.conflicts()?.is_empty());
/// for conflict in home.conflicts()? {
///     println!("{} of {}: {:?}", conflict.path, conflict.entity, conflict.values);
///     conflict.resolve(&Choice::Keep(0))?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Conflict {
    /// Its name, the same on every device.
    pub id: ConflictId,
    /// The entity.
    pub entity: EntityId,
    /// The entity's collection.
    pub collection: String,
    /// Where in the entity; the root for the entity as a whole.
    pub path: Path,
    /// What kind of conflict it is.
    pub kind: ConflictKind,
    /// The sides: what the entity shows is the first.
    pub values: Vec<ConflictValue>,
    shared: Arc<Shared>,
    target: Target,
}

impl Conflict {
    /// Decides the conflict by one ordinary edit, which ends it on every device that it reaches.
    ///
    /// # Errors
    ///
    /// It was decided since it was listed, or has other sides now, or not the one that was chosen: then nothing was written. Or
    /// the entity could not be opened, the value is too large, or the store failed.
    pub fn resolve(&self, choice: &Choice) -> Result<Write, EditError> {
        let all = self.shared.read_document(&self.target, Document::conflicts)?;
        let is_as_listed = |found: &&Found| {
            let changes = found.values.iter().map(|side| (side.change, side.wins));
            found.id == self.id && changes.eq(self.values.iter().map(|side| (side.change, side.wins)))
        };
        let found = all.iter().find(is_as_listed).ok_or(EditError::Operation(OperationError::Decided))?;
        let Edited { changes, .. } = self.shared.edit(&self.target, |edit| Ok(edit.resolve(found, choice)?))?;
        Ok(self.shared.write(changes))
    }
}

impl Space {
    /// What people have to decide in this space, in the order of collections, entities and places.
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn conflicts(&self) -> Result<Vec<Conflict>, ReadError> {
        self.shared.conflicts(&ConflictQuery { space: self.id(), collection: None, entity: None })
    }

    /// Tells of the entities whose conflicts may have changed. Those of an entity with a long history are worked out when they
    /// are listed, so it is told of whenever others have changed it.
    pub fn watch_conflicts(&self) -> Watch {
        self.shared.driver.observers.watch(Subject::Conflicts(self.id()))
    }
}

impl<T> Collection<T> {
    /// What people have to decide in this collection, in the order of entities and places.
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn conflicts(&self) -> Result<Vec<Conflict>, ReadError> {
        self.shared.conflicts(&ConflictQuery { space: self.space(), collection: Some(&self.name), entity: None })
    }
}

impl Entity {
    /// What people have to decide in this entity, in the order of places.
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn conflicts(&self) -> Result<Vec<Conflict>, ReadError> {
        self.shared.conflicts(&ConflictQuery { space: self.target.space, collection: None, entity: Some(self.id()) })
    }
}

impl Shared {
    fn conflicts(self: &Arc<Self>, query: &ConflictQuery<'_>) -> Result<Vec<Conflict>, ReadError> {
        self.driver.refresh_conflicts(query, self.now())?;
        Ok(self.reader.conflicts(query)?.into_iter().filter_map(|listed| read(self, query.space, listed)).collect())
    }
}

pub(crate) fn id_of(found: &Found) -> &[u8; CONFLICT_BYTES] {
    found.id.as_bytes()
}

/// Describes a conflict for the store: a function of the document (invariant D9).
pub(crate) fn to_json(document: &Document, found: &Found) -> String {
    let sides = found.values.iter().map(|side| {
        let made = document.attribution(&side.change);
        let (author, device) = made.as_ref().map_or((None, None), |made| (made.author.as_deref(), made.device));
        let (at_ms, device) = (made.as_ref().map_or(0, |made| made.at_ms), device.map(|device| device.to_string()));
        let value = side.value.as_ref().map(|value| json!([value.to_tagged_json()]));
        let (change, wins) = (side.change.to_string(), side.wins);
        json!({ "value": value, "change": change, "author": author, "device": device, "at_ms": at_ms, "wins": wins })
    });
    let values: Vec<Json> = sides.collect();
    json!({ "path": found.path.to_string(), "kind": found.kind.name(), "values": values }).to_string()
}

/// Reads what [`to_json`] wrote; nothing else stands in the store.
fn read(shared: &Arc<Shared>, space: SpaceId, listed: ListedConflict) -> Option<Conflict> {
    let ListedConflict { entity, home, row } = listed;
    let json: Json = serde_json::from_str(&row.json).ok()?;
    let kinds = [ConflictKind::Values, ConflictKind::Deleted, ConflictKind::Lost, ConflictKind::Entity];
    let name = json.get("kind")?.as_str()?;
    let values = json.get("values")?.as_array()?.iter().map(read_side).collect::<Option<_>>()?;
    Some(Conflict {
        id: ConflictId::from_bytes(row.conflict),
        entity,
        collection: home.collection.as_str().to_owned(),
        path: json.get("path")?.as_str()?.parse().ok()?,
        kind: kinds.into_iter().find(|kind| kind.name() == name)?,
        values,
        shared: shared.clone(),
        target: Target { space, collection: home.collection, entity, existence: Existence::Required },
    })
}

fn read_side(json: &Json) -> Option<ConflictValue> {
    let value = match json.get("value")?.as_array() {
        Some(value) => Some(Value::from_tagged_json(value.first()?).ok()?),
        None => None,
    };
    Some(ConflictValue {
        value,
        change: json.get("change")?.as_str()?.parse().ok()?,
        author: json.get("author")?.as_str().map(str::to_owned),
        device: json.get("device")?.as_str().and_then(|device| device.parse().ok()),
        at_ms: json.get("at_ms")?.as_i64()?,
        wins: json.get("wins")?.as_bool()?,
    })
}
