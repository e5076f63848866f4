//! Deciding a conflict by an ordinary edit.

use super::standing::{operations_at, prop_at};
use super::{Conflict, ConflictKind, ConflictValue, Id, Key, Register};
use crate::document::create::container_of;
use crate::document::edit::Edit;
use crate::document::error::OperationError;
use crate::document::operations::Place;
use crate::document::read::Object;
use crate::document::value::Value;
use automerge::legacy::{ElementId, Key as LegacyKey, Op, OpType};
use automerge::transaction::Transactable;
use automerge::{ObjType, Prop, ReadDoc, ScalarValue};

impl ConflictValue {
    /// Whether it stands, and others may be writing into it: so it cannot be written again without losing what they write.
    fn stays_where_it_is(&self) -> bool {
        let is_written_into = |value: &Value| container_of(value).is_some() || matches!(value, Value::Counter(_));
        self.operation.is_some() && self.value.as_ref().is_some_and(is_written_into)
    }
}

/// How a conflict is decided.
///
/// ```
/// # use afield_core::document::{Choice, Document, EditContext, Incoming};
/// # use afield_core::{EntityId, Limits, Now};
/// # let entity = EntityId::from_bytes([7; 16]);
/// # let (mut document, mut other) = (Document::new(entity), Document::new(entity));
/// # let by = |actor: u8| EditContext::new([actor; 16].into(), Now { wall_ms: 1_000, monotonic_ms: 0 });
/// # document.edit(&by(1), &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
/// # other.edit(&by(2), &Limits::DEFAULT, |edit| edit.put("title", "Journey"))?;
/// # let changes = other.changes_since(&[]);
/// # let incoming: Vec<_> = changes.iter().map(|(hash, bytes)| Incoming { hash: *hash, bytes }).collect();
/// # document.apply_guarded(&incoming, &Limits::DEFAULT)?;
/// let conflict = document.conflicts().remove(0); // "Trip" or "Journey", and `Choice::Keep(0)` would take the one that is shown
/// let neither = Choice::Value("Trip, by train".into());
/// document.edit(&by(1), &Limits::DEFAULT, |edit| edit.resolve(&conflict, &neither))?;
/// assert_eq!(document.read_at("title")?, Some("Trip, by train".into()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The side with this number among [`Conflict::values`], from 0, is what holds: a map, list, text or counter that stands stays as
    /// it is, with all that others write into it meanwhile; a plain value, and what is gone, is written again; what one side
    /// deleted is deleted.
    Keep(usize),
    /// Another value is written.
    Value(Value),
}

impl Edit<'_> {
    /// Decides a conflict of the document, as part of this edit. It is gone on every device that has the edit.
    ///
    /// ```
    /// # use afield_core::document::{Choice, Document, EditContext, Incoming};
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
    /// # document.apply_guarded(&incoming, &Limits::DEFAULT)?;
    /// let conflict = document.conflicts().remove(0);
    /// document.edit(&by(1), &Limits::DEFAULT, |edit| edit.resolve(&conflict, &Choice::Keep(1)))?;
    /// assert_eq!(document.read_at("title")?, conflict.values[1].value);
    /// assert!(document.conflicts().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The place does not hold any more what the conflict says, or was decided since ([`OperationError::Decided`]); the conflict
    /// has no such side, or its entity as a whole is to become another value ([`OperationError::NoSuchSide`]); or the value is
    /// too deep or too large.
    pub fn resolve(&mut self, conflict: &Conflict, choice: &Choice) -> Result<(), OperationError> {
        let side = match choice {
            Choice::Keep(number) => Some(conflict.values.get(*number).ok_or(OperationError::NoSuchSide)?),
            Choice::Value(_) => None,
        };
        self.operation(|edit| {
            if conflict.kind == ConflictKind::Entity {
                let side = side.ok_or(OperationError::NoSuchSide)?;
                return edit.settle_entity(&conflict.register, side.value.is_none());
            }
            edit.refuse_stale(conflict)?;
            let standing = operations_at(edit.reader(), &conflict.register);
            match (side, choice) {
                (Some(side), _) if side.value.is_none() || side.stays_where_it_is() => {
                    let others = standing.into_iter().filter(|id| side.operation.as_ref() != Some(id));
                    let settled: Vec<Id> = others.chain(conflict.gone.iter().cloned()).collect();
                    edit.settle_register(&conflict.register, &settled)
                }
                (Some(side), _) => edit.write_anew(conflict, side.value.as_ref().unwrap_or(&Value::Null)),
                (None, Choice::Value(value)) => edit.write_anew(conflict, value),
                (None, Choice::Keep(_)) => Err(OperationError::NoSuchSide),
            }
        })
    }

    fn refuse_stale(&self, conflict: &Conflict) -> Result<(), OperationError> {
        let standing = operations_at(self.reader(), &conflict.register);
        let mut expected = conflict.values.iter().filter_map(|side| side.operation.as_ref());
        let is_there = expected.all(|id| standing.contains(id));
        let is_empty = conflict.values.iter().all(|side| side.operation.is_none());
        if is_there && is_empty == standing.is_empty() { Ok(()) } else { Err(OperationError::Decided) }
    }

    /// Writes a value to a register in place of all that stands there.
    fn write_anew(&mut self, conflict: &Conflict, value: &Value) -> Result<(), OperationError> {
        let register = &conflict.register;
        self.check_value(&conflict.path, value)?;
        let prop = prop_at(self.reader(), register, None).ok_or(OperationError::Decided)?;
        let parent = match &register.key {
            Key::Map(_) => Object { id: register.object(), kind: ObjType::Map },
            Key::Element(_) => Object { id: register.object(), kind: ObjType::List },
        };
        let depth = conflict.path.steps().len();
        let is_gone = operations_at(self.reader(), register).is_empty();
        match &prop {
            Prop::Seq(index) if is_gone => self.insert_value(&parent, depth.saturating_sub(1), *index, value)?,
            _ => {
                // An absent field would get the container that every device makes by itself, which decides nothing.
                self.charge(0, &parent.id, Some(&prop))?;
                if !is_gone && matches!(prop, Prop::Map(_)) {
                    self.writing(&parent.id).delete(&parent.id, prop.clone())?;
                }
                self.put_scalar(&parent.id, &prop, ScalarValue::Null)?;
                if !value.is_null() {
                    self.write(&Place { parent, prop, depth }, value)?;
                }
            }
        }
        self.settle_register(register, &conflict.gone)
    }

    /// Says whether the entity is deleted, anew.
    fn settle_entity(&mut self, register: &Register, deleted: bool) -> Result<(), OperationError> {
        let Key::Map(key) = &register.key else { return Err(OperationError::Decided) };
        let object = register.object();
        let marks = self.reader().get_all(&object, key.as_str())?;
        let latest = marks.iter().filter_map(|(mark, _)| mark.as_scalar()).find_map(|mark| match mark {
            ScalarValue::Timestamp(at_ms) => Some(*at_ms),
            _ => None,
        });
        let mark = match latest.filter(|_| deleted) {
            Some(at_ms) => ScalarValue::Timestamp(at_ms),
            None if deleted => return Err(OperationError::Decided),
            None => ScalarValue::Null,
        };
        let is_marked = !marks.is_empty();
        self.charge(0, &object, None)?;
        if is_marked {
            self.writing(&object).delete(&object, key.as_str())?;
        }
        Ok(self.writing(&object).put(&object, key.as_str(), mark)?)
    }

    /// Takes some operations of a register away and leaves the others: what they wrote stays as it is. An operation that is
    /// gone already is named so that the settling is a write of the register.
    fn settle_register(&mut self, register: &Register, settled: &[Id]) -> Result<(), OperationError> {
        if settled.is_empty() {
            return Ok(());
        }
        let key = match &register.key {
            Key::Map(key) => LegacyKey::Map(key.as_str().into()),
            Key::Element(element) => LegacyKey::Seq(ElementId::Id(element.operation())),
        };
        let pred = settled.iter().map(Id::operation).collect();
        let operation = Op { action: OpType::Delete, obj: register.legacy_object(), key, pred, insert: false };
        self.apply_operation(operation, &register.object())
    }
}
