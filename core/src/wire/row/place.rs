//! Where an actor's last edit in an entity left off: what the next one is predicted from.

use super::shape::Slot;

/// Where an actor's last edit in an entity left off. Actors are as in [`super::shape::Slot::is_actor`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::wire) struct Place {
    /// The counter of the element after which the next edit is expected.
    pub(in crate::wire) cursor: u64,
    /// Who made that element.
    pub(in crate::wire) cursor_actor: u64,
    /// The counter of the object of the last edit, once one had an object.
    pub(in crate::wire) object: Option<u64>,
    /// Who made that object.
    pub(in crate::wire) object_actor: Option<u64>,
}

/// What a row says about where the next edit may be.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::wire) struct Edit {
    /// The counter of the element that the first operation refers to, where it is one of a list or text.
    pub(in crate::wire) element: Option<u64>,
    /// Who made that element.
    pub(in crate::wire) element_actor: Option<u64>,
    /// The counter of the object that the first operation is in.
    pub(in crate::wire) object: Option<u64>,
    /// Who made that object.
    pub(in crate::wire) object_actor: Option<u64>,
    /// Whether any operation inserts.
    pub(in crate::wire) inserts: bool,
}

impl Place {
    /// Goes on after an edit whose last operation is `max_op`.
    pub(in crate::wire) fn follow(&mut self, edit: &Edit, max_op: u64) {
        self.object = edit.object.or(self.object);
        self.object_actor = edit.object_actor.or(self.object_actor);
        if edit.inserts {
            (self.cursor, self.cursor_actor) = (max_op, AUTHOR);
        } else if let Some(element) = edit.element {
            self.cursor = element.wrapping_sub(1);
            self.cursor_actor = edit.element_actor.unwrap_or(self.cursor_actor);
        }
    }
}

/// The author of the change itself, where an actor is meant.
pub(in crate::wire) const AUTHOR: u64 = 0;

/// What the slots of one row are predicted from, apart from the last row of the same shape.
#[derive(Debug, Clone, Copy)]
pub(in crate::wire) struct RowContext {
    /// The counter of the first operation.
    pub(in crate::wire) start_op: u64,
    /// Where the last edit of this actor in this entity left off.
    pub(in crate::wire) place: Place,
    /// The element that this row has named, and who made it.
    key: u64,
    key_actor: u64,
}

impl RowContext {
    /// The context of a row that starts with this operation.
    pub(in crate::wire) fn new(start_op: u64, place: Place) -> Self {
        Self { start_op, place, key: 0, key_actor: AUTHOR }
    }

    /// What a number counts from, and what it is predicted to be when counted from there. `last` is the number of the
    /// last row with this shape, counted in the same way.
    pub(in crate::wire) fn predict(&self, slot: Slot, last: u64) -> (u64, u64) {
        match slot {
            Slot::Same | Slot::Lengths(_) | Slot::Actor | Slot::Text => (0, last),
            Slot::Object => (0, self.place.object.unwrap_or(last)),
            Slot::ObjectActor => (0, self.place.object_actor.unwrap_or(last)),
            Slot::FromStart => (self.start_op, last),
            Slot::Cursor => (self.place.cursor, 0),
            Slot::CursorActor => (0, self.place.cursor_actor),
            Slot::Key => (self.key, 0),
            Slot::KeyActor => (0, self.key_actor),
        }
    }

    /// Notes a value that later ones of the same row are predicted from.
    pub(in crate::wire) fn note(&mut self, slot: Slot, value: u64) {
        match slot {
            Slot::Cursor => self.key = value,
            Slot::CursorActor => self.key_actor = value,
            _ => {}
        }
    }
}
