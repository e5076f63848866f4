//! The projection of an entity: its current fields as JSON, a function of the document (invariant D9).

use afield_core::document::{Document, Value};
use afield_store::Projection;

/// The key at the root of a document that says since when it is deleted, in milliseconds since the Unix epoch.
///
/// Deleting is an ordinary edit, so it merges, can be undone, and an edit made meanwhile elsewhere is not lost.
pub(crate) const DELETED_KEY: &str = "_afield_deleted";

/// The projection of a document's current state.
pub(super) fn projection_of(document: &Document) -> Projection {
    let (value, deleted) = split_deleted(document.read());
    let engine = document.automerge();
    let times = document.heads().into_iter().filter_map(|head| engine.get_change_meta_by_hash(&head));
    let updated_ms = times.map(|change| change.timestamp).max().unwrap_or(0);
    Projection { json: value.to_json().to_string(), deleted, updated_ms }
}

/// Separates the fields of an application from the mark of a deleted entity.
pub(crate) fn split_deleted(mut value: Value) -> (Value, bool) {
    let deleted = match &mut value {
        Value::Map(fields) => fields.remove(DELETED_KEY).is_some_and(|mark| mark != Value::Null),
        _ => false,
    };
    (value, deleted)
}
