//! Taking changes back: maps, and what stands in one place of a map or list.

use super::{Remade, Segment};
use crate::document::DELETED_KEY;
use crate::document::edit::Edit;
use crate::document::error::OperationError;
use crate::document::history::View;
use crate::document::long_text::PART_HOLDS_PARTS;
use crate::document::operations::Place;
use crate::document::read::{Object, Standing, identified, read_object};
use crate::document::value::Value;
use automerge::transaction::OwnedTransaction;
use automerge::{ObjId, ObjType, Prop, ReadDoc};

/// What is taken back, and what is known about it.
pub(super) struct Reverting<'p> {
    pub(super) segment: &'p Segment,
    pub(super) remade: &'p Remade,
}

/// What stands somewhere, and the operation that put it there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Slot {
    pub(super) id: ObjId,
    pub(super) standing: Standing,
}

impl Slot {
    fn is_null(&self) -> bool {
        self.standing == Standing::Scalar(Value::Null)
    }

    fn counter(&self) -> Option<i64> {
        match self.standing {
            Standing::Scalar(Value::Counter(count)) => Some(count),
            _ => None,
        }
    }

    fn object(&self) -> Option<&Object> {
        match &self.standing {
            Standing::Object(object) => Some(object),
            Standing::Scalar(_) => None,
        }
    }
}

impl Reverting<'_> {
    /// Whether anything at all was done to what stands in one place before and after.
    pub(super) fn may_differ(&self, before: Option<&Slot>, after: Option<&Slot>) -> bool {
        let is_on_the_way =
            |slot: &Slot| slot.object().is_some_and(|object| self.segment.on_the_way.contains(&object.id));
        before != after || after.is_some_and(is_on_the_way)
    }
}

impl Edit<'_> {
    pub(super) fn revert_segment(&mut self, segment: &Segment, remade: &Remade) -> Result<(), OperationError> {
        self.revert_object(&Reverting { segment, remade }, &ObjId::Root, &Object::ROOT, 0)
    }

    /// Takes back what was done to an object, in the object that stands for it now, `depth` steps away from the root.
    fn revert_object(
        &mut self,
        reverting: &Reverting<'_>,
        old: &ObjId,
        present: &Object,
        depth: usize,
    ) -> Result<(), OperationError> {
        match present.kind {
            ObjType::Map | ObjType::Table => self.revert_map(reverting, old, present, depth),
            ObjType::List => self.revert_list(reverting, old, present, depth),
            ObjType::Text => self.revert_text(reverting, old, present, depth),
        }
    }

    pub(super) fn revert_map(
        &mut self,
        reverting: &Reverting<'_>,
        old: &ObjId,
        present: &Object,
        depth: usize,
    ) -> Result<(), OperationError> {
        let after = self.after(reverting);
        let mut keys = reverting.segment.touched.get(old).cloned().unwrap_or_default();
        let around = after.map_range(old, ..).filter(|entry| reverting.segment.on_the_way.contains(&entry.id()));
        keys.extend(around.map(|entry| entry.key.to_string()));
        // That a part of a long text has others in it stays so, since they stay, too.
        keys.remove(PART_HOLDS_PARTS);
        for key in keys {
            let before = slot(&self.before(reverting), old, key.as_str())?;
            let after = slot(&self.after(reverting), old, key.as_str())?;
            let place = Place { parent: present.clone(), prop: Prop::from(key), depth: depth + 1 };
            self.revert_slot(reverting, &place, before.as_ref(), after.as_ref())?;
        }
        Ok(())
    }

    /// Takes back what was done to one place: what stood there before and after, and what stands there now.
    pub(super) fn revert_slot(
        &mut self,
        reverting: &Reverting<'_>,
        place: &Place,
        before: Option<&Slot>,
        after: Option<&Slot>,
    ) -> Result<(), OperationError> {
        let present = slot(self.reader(), &place.parent.id, place.prop.clone())?;
        match (before, after, &present) {
            (Some(before), Some(after), Some(present)) if before.id == after.id => {
                return self.revert_within(reverting, place, before, after, present);
            }
            // What others added to a counter that the edit made is not the edit's.
            (None, Some(after), Some(present)) if present.id == after.id && present.counter() != after.counter() => {
                return self.add_difference(place, present, after.counter(), Some(0));
            }
            (None, None, _) => return Ok(()),
            _ => {}
        }
        if !self.still_shows(reverting, after, present.as_ref()) {
            return Ok(());
        }
        let others = self.value_of_others(place, after, present.as_ref())?;
        match others.or_else(|| before.map(|before| self.content(reverting, &before.standing))) {
            Some(value) => self.write(place, &value),
            // Whoever takes a deletion back says that the entity is there, also to those who delete it meanwhile: a mark that is removed says
            // nothing beside theirs.
            None if is_deletion_mark(place) => match present {
                Some(present) if !present.is_null() => self.write(place, &Value::Null),
                _ => Ok(()),
            },
            None if present.is_some() => self.remove(place),
            None => Ok(()),
        }
    }

    /// Takes back what was done within what stands in one place before and after.
    fn revert_within(
        &mut self,
        reverting: &Reverting<'_>,
        place: &Place,
        before: &Slot,
        after: &Slot,
        present: &Slot,
    ) -> Result<(), OperationError> {
        if present.id != after.id && !self.is_remade(reverting, &present.id) {
            return Ok(());
        }
        match (after.object(), present.object()) {
            (Some(old), Some(now)) if reverting.segment.on_the_way.contains(&old.id) && old.kind == now.kind => {
                self.revert_object(reverting, &old.id, now, place.depth)
            }
            _ => self.add_difference(place, present, after.counter(), before.counter()),
        }
    }

    /// Adds to a counter what it takes to get from one number to another.
    fn add_difference(
        &mut self,
        place: &Place,
        present: &Slot,
        from: Option<i64>,
        to: Option<i64>,
    ) -> Result<(), OperationError> {
        let (Some(current), Some(from), Some(to)) = (present.counter(), from, to) else { return Ok(()) };
        self.add(place, current, to.checked_sub(from).ok_or(OperationError::CounterOverflow)?)
    }

    /// Whether a place shows what the changes left there.
    fn still_shows(&self, reverting: &Reverting<'_>, after: Option<&Slot>, present: Option<&Slot>) -> bool {
        let is_nothing = |slot: Option<&Slot>| slot.is_none_or(Slot::is_null);
        match (after, present) {
            (Some(after), Some(present)) if after.id == present.id => true,
            (
                Some(Slot { standing: Standing::Object(after), .. }),
                Some(Slot { id, standing: Standing::Object(now) }),
            ) => after.kind == now.kind && self.is_remade(reverting, id),
            (Some(after), Some(present)) => after.standing == present.standing,
            _ => is_nothing(after) && is_nothing(present),
        }
    }

    /// What others wrote to a place at the same time, and would be shown if the edit had never been.
    fn value_of_others(
        &self,
        place: &Place,
        after: Option<&Slot>,
        present: Option<&Slot>,
    ) -> Result<Option<Value>, OperationError> {
        let known = |id: &ObjId| [after, present].iter().flatten().any(|slot| slot.id == *id);
        let all = self.reader().get_all(&place.parent.id, place.prop.clone())?;
        let other = all.into_iter().rev().find(|(_, id)| !known(id));
        Ok(other.map(|(found, id)| match Slot::of(&found, id).standing {
            Standing::Scalar(value) => value,
            Standing::Object(object) => read_object(self.reader(), &object),
        }))
    }

    /// What stood somewhere, to be put back. An object has in it what others have written to it since, unless the changes
    /// that are taken back wrote to it, too.
    pub(super) fn content(&self, reverting: &Reverting<'_>, standing: &Standing) -> Value {
        match standing {
            Standing::Scalar(value) => value.clone(),
            Standing::Object(object) if reverting.segment.on_the_way.contains(&object.id) => {
                read_object(&self.before(reverting), object)
            }
            Standing::Object(object) => read_object(self.reader(), object),
        }
    }

    /// Whether something was made by an undo or a redo, this one among them.
    pub(super) fn is_remade(&self, reverting: &Reverting<'_>, id: &ObjId) -> bool {
        reverting.remade.has(id) || self.is_own(id)
    }

    pub(super) fn before(&self, reverting: &Reverting<'_>) -> View<'_, OwnedTransaction> {
        View::new(self.reader(), reverting.segment.before.clone())
    }

    pub(super) fn after(&self, reverting: &Reverting<'_>) -> View<'_, OwnedTransaction> {
        View::new(self.reader(), reverting.segment.after.clone())
    }
}

impl Slot {
    fn of(found: &automerge::Value<'_>, id: ObjId) -> Self {
        Self { standing: identified(found, &id), id }
    }
}

/// Whether a place is the mark that says since when the entity is deleted.
fn is_deletion_mark(place: &Place) -> bool {
    place.parent.id == ObjId::Root && place.prop == Prop::Map(DELETED_KEY.to_owned())
}

fn slot(document: &impl ReadDoc, object: &ObjId, prop: impl Into<Prop>) -> Result<Option<Slot>, OperationError> {
    Ok(document.get(object, prop)?.map(|(found, id)| Slot::of(&found, id)))
}
