//! The projection of an entity: its current fields as JSON, a function of the document (invariant D9).

use super::documents::{OpenEntity, Taken, lock};
use super::{Driver, EntityError};
use afield_core::document::{Document, LoadError, Value};
use afield_core::{EntityId, Now};
use afield_store::Projection;
use automerge::{ROOT, ReadDoc, ScalarValue};
use std::panic::{AssertUnwindSafe, catch_unwind};

pub(crate) use afield_core::document::DELETED_KEY;

/// From how many bytes of JSON on an edit leaves the projection stale, to be written when somebody reads it.
///
/// Reading and writing it grows with the text, and took more than half of the time of a key in 100,000 characters. Up to
/// here it is less than the sync of the edit itself, and lists read what is written.
const EAGER_BYTES_MAX: usize = 8 * 1024;

/// What is remembered of the last projection of an open document.
#[derive(Debug, Clone, Copy)]
pub(super) struct Projected {
    bytes: usize,
    deleted: bool,
}

/// The projection of an open document, for whoever stores it.
pub(super) fn project(open: &mut OpenEntity) -> Projection {
    let projection = projection_of(&open.document);
    open.projected = Some(Projected { bytes: projection.json.len(), deleted: projection.deleted });
    projection
}

/// The projection of an open document that was edited, or `None` where it is large enough to be left stale. Whether an
/// entity is deleted decides which list it is in, so that is never stale.
pub(super) fn project_unless_large(open: &mut OpenEntity) -> Option<Projection> {
    match open.projected {
        Some(last) if last.bytes > EAGER_BYTES_MAX && last.deleted == is_deleted(&open.document) => None,
        _ => Some(project(open)),
    }
}

impl Driver {
    /// What an entity reads as now, where its stored projection is stale; `None` for an unknown entity.
    ///
    /// It is stored, unless somebody has the document out: perhaps the caller, in the middle of a transaction. Then it
    /// is made from what is stored, without what that transaction may still take back.
    ///
    /// # Errors
    ///
    /// The entity could not be opened.
    pub(crate) fn current_projection(&self, entity: EntityId, now: Now) -> Result<Option<Projection>, EntityError> {
        let Some(taken) = self.documents.try_take(entity) else {
            let Some((open, _)) = self.read(entity)? else { return Ok(None) };
            return guarded(entity, || projection_of(&open.document)).map(Some);
        };
        self.project_taken(taken, now)
    }

    /// Brings the stored projection of an entity up to date, after whoever has its document. Within an edit or a reading, which
    /// nobody may wait in, one that somebody has is left as it is, and who watches its collection is told of it when it is back.
    ///
    /// # Errors
    ///
    /// The entity could not be opened.
    pub(crate) fn refresh_projection(&self, entity: EntityId, now: Now) -> Result<(), EntityError> {
        let Some(home) = lock(&self.store).home(entity)? else { return Ok(()) };
        let Some(taken) = self.documents.take_or_be_told(entity, (home.space, home.collection)) else { return Ok(()) };
        self.project_taken(taken, now).map(drop)
    }

    fn project_taken(&self, taken: Taken<'_>, now: Now) -> Result<Option<Projection>, EntityError> {
        let entity = taken.entity();
        let mut taken = self.load(taken, now)?;
        let Some(open) = taken.open.as_deref_mut() else { return Ok(None) };
        let projected = [(entity, guarded(entity, || project(open))?)];
        let mut store = lock(&self.store);
        // After a reload the document may be ahead of the disk. What is not stored stays stale, which costs the next
        // reader as much again and nobody anything else.
        if self.documents.are_current([&taken])
            && let Err(error) = store.project(&projected)
        {
            tracing::debug!(%entity, %error, "a projection could not be stored");
        }
        let [(_, projection)] = projected;
        Ok(Some(projection))
    }
}

/// A panic of the engine costs the entity it read, and no list of others.
fn guarded(entity: EntityId, project: impl FnOnce() -> Projection) -> Result<Projection, EntityError> {
    let projected = catch_unwind(AssertUnwindSafe(project));
    projected.map_err(|_| EntityError::Damaged { entity, source: LoadError::Panicked })
}

/// What queries see of a document.
pub(crate) fn projection_of(document: &Document) -> Projection {
    #[cfg(test)]
    fault::strike();
    let (value, mark) = split_deletion(document.read());
    let deleted_ms = match mark {
        Some(Value::Timestamp(at_ms)) => at_ms,
        _ => 0,
    };
    let updated_ms = document.changed_ms().max(deleted_ms);
    Projection { json: value.to_json().to_string(), deleted: mark.is_some(), updated_ms }
}

/// What queries see of an entity whose changes are nobody's, and read as these fields.
pub(crate) fn projection_of_fields(fields: &Value) -> Projection {
    Projection { json: fields.to_json().to_string(), deleted: false, updated_ms: 0 }
}

pub(super) fn is_deleted(document: &Document) -> bool {
    // The path is one key of the root, which is a map: nothing can be wrong with it.
    document.read_at(DELETED_KEY).is_ok_and(|mark| mark.is_some_and(|mark| !mark.is_null()))
}

/// Whether an entity is deleted in a document as it was at some moment.
pub(crate) fn is_deleted_in(document: &impl ReadDoc) -> bool {
    let mark = document.get(ROOT, DELETED_KEY).ok().flatten();
    mark.is_some_and(|(mark, _)| !matches!(mark.as_scalar(), Some(ScalarValue::Null)))
}

/// Separates the fields of an application from the mark of a deleted entity.
pub(crate) fn split_deleted(value: Value) -> (Value, bool) {
    let (value, mark) = split_deletion(value);
    (value, mark.is_some())
}

/// Separates the fields of an application from the mark of a deleted entity: the moment of its deletion.
pub(crate) fn split_deletion(mut value: Value) -> (Value, Option<Value>) {
    let mark = match &mut value {
        Value::Map(fields) => fields.remove(DELETED_KEY).filter(|mark| *mark != Value::Null),
        _ => None,
    };
    (value, mark)
}

/// An engine that fails where it reads, which no document is known to bring about.
#[cfg(test)]
pub(super) mod fault {
    use std::cell::Cell;

    std::thread_local! {
        static PANICS: Cell<bool> = const { Cell::new(false) };
    }

    /// Whether projecting panics on this thread from now on.
    pub(in crate::driver) fn set(panics: bool) {
        PANICS.set(panics);
    }

    pub(super) fn strike() {
        assert!(!PANICS.get(), "on purpose");
    }
}
