//! What passes beside autosurgeon's traits, for which they have no words: texts with marks, texts in parts, and which entry of a
//! map is the data of an enum's variant.
//!
//! A reader asks for the text of an object while it says that it wants the whole value, and the document at the bottom of
//! the views ([`Reading`](super::reading::Reading)) lays it beside its answer. A writer lays the value beside the string
//! that it writes, or says that what it puts is a variant, and the builder of a tree takes it. All are single calls without anything between them, on one thread.

use afield_core::document::Value;
use automerge::{AutomergeError, ObjId};
use autosurgeon::ReadDoc;
use std::cell::{Cell, RefCell};

thread_local! {
    static IS_ASKED: Cell<bool> = const { Cell::new(false) };
    static BESIDE: RefCell<Option<Value>> = const { RefCell::new(None) };
    static IS_VARIANT: Cell<bool> = const { Cell::new(false) };
}

/// Reads the text that an object is, with all that a value can say of it; `None` when it is no text, or the document is
/// not one that answers.
pub(super) fn ask<D: ReadDoc>(document: &D, object: &ObjId) -> Result<Option<Value>, AutomergeError> {
    IS_ASKED.set(true);
    let answered = document.text(object);
    let was_heard = !IS_ASKED.replace(false);
    match BESIDE.take() {
        value if was_heard => Ok(value),
        _ => answered.map(|text| Some(Value::Text(text))),
    }
}

/// Lays a value beside the answer to a call, if it is asked for. Tells whether it was.
pub(super) fn answer(value: impl FnOnce() -> Option<Value>) -> bool {
    let is_asked = IS_ASKED.replace(false);
    if is_asked {
        BESIDE.set(value());
    }
    is_asked
}

/// Lays a value beside the string that `write` writes.
pub(super) fn offer<T>(value: Value, write: impl FnOnce() -> T) -> T {
    BESIDE.set(Some(value));
    let written = write();
    // Another reconciler than ours writes the string.
    BESIDE.take();
    written
}

/// Takes the value that stands beside a string that is written.
pub(super) fn take() -> Option<Value> {
    BESIDE.take()
}

/// Says that the entry which `put` puts into a map is the data of an enum's variant.
pub(super) fn as_variant<T>(put: impl FnOnce() -> T) -> T {
    IS_VARIANT.set(true);
    let answer = put();
    // Another reconciler than ours puts it.
    IS_VARIANT.set(false);
    answer
}

/// Whether the entry that is being put is the data of a variant; asked before anything in it is written.
pub(super) fn take_variant() -> bool {
    IS_VARIANT.replace(false)
}
