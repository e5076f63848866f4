//! The changes of an entity that is brought by an import and that nobody here holds anything of, made without a document.
//!
//! They are what [`Document::edit_derived`](super::Document::edit_derived) makes of the same fields, byte by byte: every container below
//! a key of a map by a derived change, and one change with all the rest. What takes more than that, or is seldom, is left to it. An
//! engine that is filled and asked for each change again takes several times as long.

use super::create::{container_of, engine_scalar};
use super::derived::{BLANK_ACTOR, Container, Parent, derived_content, under_derived_bytes};
use super::edit::LocalChange;
use super::value::Value;
use super::{DELETED_KEY, DEPTH_MAX, INCREMENT_MAX};
use crate::change::ChangeHeader;
use crate::id::EntityId;
use crate::limits::Limits;
use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType, SortedVec};
use automerge::{ActorId, Change, ChangeHash, ExpandedChange, ScalarValue};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;

/// The changes of an entity with these fields, in causal order; `None` where they have to be made in a document, which also says
/// what is wrong with them.
///
/// ```
/// # use afield_core::document::{Document, Value, brought};
/// # use afield_core::{EntityId, Limits};
/// let entity = EntityId::from_bytes([7; 16]);
/// let fields = Value::from([("title", Value::from("Trip"))]);
/// let changes = brought(entity, &fields, &Limits::DEFAULT).expect("plain fields");
/// let mut document = Document::new(entity);
/// document.edit_derived(&Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
/// assert_eq!(document.heads(), [changes[0].hash]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn brought(entity: EntityId, fields: &Value, limits: &Limits) -> Option<Vec<LocalChange>> {
    let entries = fields.as_map().filter(|entries| !entries.is_empty() && !entries.contains_key(DELETED_KEY))?;
    if !is_plain(fields, 0) {
        return None;
    }
    let mut containers = Containers { entity, limits, changes: Vec::new(), heads: BTreeSet::new(), max_op: 0 };
    let places = containers.map(&Parent::Root, entries)?;
    if containers.heads.len() >= limits.change_dependencies_max {
        return None;
    }
    let actor = ActorId::from(BLANK_ACTOR);
    let start_op = containers.max_op + 1;
    let mut content = Content { actor, next_op: start_op, operations: Vec::new(), content_bytes: 0, limits };
    content.map(&ObjectId::Root, entries, &places)?;
    let Containers { mut changes, heads, .. } = containers;
    if !content.operations.is_empty() {
        let expanded = ExpandedChange {
            operations: content.operations,
            actor_id: content.actor,
            hash: None,
            seq: 1,
            start_op: NonZeroU64::new(start_op)?,
            time: 0,
            message: None,
            deps: heads.into_iter().collect(),
            extra_bytes: Vec::new(),
            author: None,
        };
        changes.push(finish(entity, expanded, limits)?.0);
    }
    Some(changes)
}

/// A change under the actor that follows from it, and its last operation; `None` where nobody would accept it.
fn finish(entity: EntityId, expanded: ExpandedChange, limits: &Limits) -> Option<(LocalChange, u64)> {
    let bytes = under_derived_bytes(entity, &Change::from(expanded), limits)?;
    let header = ChangeHeader::read_in(entity, &bytes, limits).ok()?;
    let ChangeHeader { hash, actor, sequence, start_op, operations, .. } = header;
    Some((LocalChange { hash, bytes, actor, sequence, derived: true }, start_op.get() + operations - 1))
}

/// What stands at the keys of a map that derived changes created there.
type Places = BTreeMap<String, Standing>;

/// What a derived change created: its operation, and what in turn stands below its keys.
struct Standing {
    id: OpId,
    below: Places,
}

/// Makes the derived changes.
struct Containers<'l> {
    entity: EntityId,
    limits: &'l Limits,
    changes: Vec<LocalChange>,
    /// Those on which no other depends.
    heads: BTreeSet<ChangeHash>,
    max_op: u64,
}

impl Containers<'_> {
    /// Those of the entries of a map.
    fn map(&mut self, parent: &Parent, entries: &BTreeMap<String, Value>) -> Option<Places> {
        let mut places = Places::new();
        for (key, value) in entries {
            let container = match value {
                Value::Counter(_) => Some(Container::Counter),
                other => container_of(other),
            };
            if let Some(container) = container {
                let standing = self.create(parent, key, container, value)?;
                places.insert(key.clone(), standing);
            }
        }
        Some(places)
    }

    fn create(&mut self, parent: &Parent, key: &str, container: Container, value: &Value) -> Option<Standing> {
        let content = derived_content(parent, key, container);
        let (change, max_op) = finish(self.entity, content, self.limits)?;
        if let Parent::Created { change, .. } = parent {
            self.heads.remove(change);
        }
        self.heads.insert(change.hash);
        self.max_op = self.max_op.max(max_op);
        let id = OpId(max_op, change.actor.clone());
        let made = Parent::Created { id: id.clone(), change: change.hash, max_op };
        self.changes.push(change);
        let below = match value {
            Value::Map(entries) => self.map(&made, entries)?,
            _ => Places::new(),
        };
        Some(Standing { id, below })
    }
}

/// Collects the operations of the change with all the rest.
struct Content<'l> {
    actor: ActorId,
    next_op: u64,
    operations: Vec<Op>,
    content_bytes: usize,
    limits: &'l Limits,
}

impl Content<'_> {
    /// What the entries of a map that stands there take, beyond the containers.
    fn map(&mut self, map: &ObjectId, entries: &BTreeMap<String, Value>, places: &Places) -> Option<()> {
        for (key, value) in entries {
            let Some(standing) = places.get(key) else {
                let scalar = self.scalar(value)?;
                self.push(map, Key::Map(key.as_str().into()), OpType::Put(scalar), None)?;
                continue;
            };
            let object = ObjectId::Id(standing.id.clone());
            match value {
                Value::Counter(0) => {}
                Value::Counter(number) => {
                    let before = Some(standing.id.clone());
                    self.push(map, Key::Map(key.as_str().into()), OpType::Increment(*number), before)?;
                }
                Value::Map(entries) => self.map(&object, entries, &standing.below)?,
                Value::List(elements) => self.list(&object, elements)?,
                Value::Text(text) => self.text(&object, text)?,
                _ => return None,
            }
        }
        Some(())
    }

    fn list(&mut self, list: &ObjectId, elements: &[Value]) -> Option<()> {
        let mut after = ElementId::Head;
        for element in elements {
            let action = self.action(element)?;
            let id = self.insert(list, &mut after, action)?;
            self.fill(&ObjectId::Id(id), element)?;
        }
        Some(())
    }

    /// Fills what an operation of this change has made.
    fn fill(&mut self, object: &ObjectId, value: &Value) -> Option<()> {
        match value {
            Value::Text(text) => self.text(object, text),
            Value::List(elements) => self.list(object, elements),
            Value::Map(entries) => entries.iter().try_for_each(|(key, value)| {
                let action = self.action(value)?;
                let id = self.push(object, Key::Map(key.as_str().into()), action, None)?;
                self.fill(&ObjectId::Id(id), value)
            }),
            _ => Some(()),
        }
    }

    /// What makes a value where nobody else can be making it.
    fn action(&mut self, value: &Value) -> Option<OpType> {
        match container_of(value).and_then(Container::object_type) {
            Some(kind) => Some(OpType::Make(kind)),
            None => self.scalar(value).map(OpType::Put),
        }
    }

    fn text(&mut self, text: &ObjectId, characters: &str) -> Option<()> {
        self.charge(characters.len())?;
        let mut after = ElementId::Head;
        let mut buffer = [0; 4];
        for character in characters.chars() {
            let character: &str = character.encode_utf8(&mut buffer);
            self.insert(text, &mut after, OpType::Put(ScalarValue::Str(character.into())))?;
        }
        Some(())
    }

    fn insert(&mut self, sequence: &ObjectId, after: &mut ElementId, action: OpType) -> Option<OpId> {
        let id = self.push(sequence, Key::Seq(after.clone()), action, None)?;
        *after = ElementId::Id(id.clone());
        Some(id)
    }

    fn push(&mut self, object: &ObjectId, key: Key, action: OpType, before: Option<OpId>) -> Option<OpId> {
        if self.operations.len() as u64 >= self.limits.change_operations_max {
            return None;
        }
        let insert = matches!(key, Key::Seq(_));
        let pred: SortedVec<OpId> = before.into_iter().collect();
        self.operations.push(Op { action, obj: object.clone(), key, pred, insert });
        let id = OpId(self.next_op, self.actor.clone());
        self.next_op += 1;
        Some(id)
    }

    fn scalar(&mut self, value: &Value) -> Option<ScalarValue> {
        match value {
            Value::Str(text) => self.charge(text.len())?,
            Value::Bytes(bytes) => self.charge(bytes.len())?,
            _ => {}
        }
        Some(engine_scalar(value))
    }

    fn charge(&mut self, bytes: usize) -> Option<()> {
        self.content_bytes = self.content_bytes.saturating_add(bytes);
        (self.content_bytes <= self.limits.change_bytes_max).then_some(())
    }
}

/// Whether a value is made here; containers stand at most [`DEPTH_MAX`] steps away from the root. Long and rich texts have
/// forms of their own, and nulls and large counters are seldom.
fn is_plain(value: &Value, depth: usize) -> bool {
    match value {
        Value::LongText(_) | Value::RichText(_) => false,
        Value::Counter(number) => number.unsigned_abs() <= INCREMENT_MAX.unsigned_abs(),
        Value::Text(_) => depth <= DEPTH_MAX,
        Value::List(elements) => depth <= DEPTH_MAX && elements.iter().all(|element| is_plain(element, depth + 1)),
        Value::Map(entries) => {
            let is_plain =
                |(key, value): (&String, &Value)| !key.is_empty() && !value.is_null() && is_plain(value, depth + 1);
            depth <= DEPTH_MAX && entries.iter().all(is_plain)
        }
        _ => true,
    }
}
