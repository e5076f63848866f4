//! The shape in which a collection is read and written: that of its documents, or a newer version's through lenses.
//!
//! A newer shape is read from a document that is made of what the lenses show and is gone afterwards: so types are read,
//! and edited, by the same code in every shape. What an edit made of it is taken back through the lenses, and what differs
//! then is written as an edit of JSON is.

use super::{assign, edit_json, fields, insert, mark_existing, object, with_what_json_lacks};
use crate::driver::{EditFailure, split_deleted};
use crate::error::EditError;
use crate::typed::{self, FromDocumentError, Tree};
use afield_core::document::{Document, Edit, EditContext, EditError as DocumentError, OperationError, Path, Value};
use afield_core::lens::Lenses;
use afield_core::{EntityId, Limits, Now};
use autosurgeon::{Hydrate, Reconcile};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The shape in which a collection is read and written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shape(Option<Arc<Lenses>>);

impl Shape {
    pub(super) fn through(lenses: Lenses) -> Self {
        Self(Some(Arc::new(lenses)).filter(|lenses| !lenses.is_empty()))
    }

    pub(crate) fn lenses(&self) -> Option<&Lenses> {
        self.0.as_deref()
    }

    /// The lenses, for whoever keeps them.
    pub(crate) fn shared_lenses(&self) -> Option<Arc<Lenses>> {
        self.0.clone()
    }

    /// Writes a new entity of a type.
    pub(crate) fn insert_typed(&self, edit: &mut Edit<'_>, tree: &Tree) -> Result<(), EditError> {
        let Some(lenses) = self.lenses() else { return typed::insert(edit, tree) };
        typed::refuse_without_fields(tree)?;
        // What is null in a new entity is left out, as its absence says the same.
        let nothing = Value::Map(BTreeMap::new());
        edit.assign(Path::ROOT, &nothing, &lenses.fresh(&without_nulls(tree.value()))?)?;
        insert(edit, &nothing)
    }

    /// Writes a new entity of JSON.
    pub(crate) fn insert_json(&self, edit: &mut Edit<'_>, fields: &Value) -> Result<(), EditError> {
        match self.lenses() {
            None => insert(edit, fields),
            Some(lenses) => insert(edit, &lenses.fresh(fields)?),
        }
    }

    /// Lets `change` edit the entity as a `T`, and writes what differs.
    pub(crate) fn edit_typed<T: Hydrate + Reconcile, R>(
        &self,
        document: &mut Edit<'_>,
        change: impl FnOnce(&mut T) -> R,
    ) -> Result<R, EditError> {
        let Some(lenses) = self.lenses() else { return typed::edit(document, change) };
        let base = fields(document)?;
        let shown = lenses.forward(&base);
        let mut shape = document_of(&shown).map_err(|error| FromDocumentError::Shown(Box::new(error)))?;
        let edited = shape.edit(&nobody(), &unlimited(), |edit| typed::edit(edit, change));
        let answer = edited.map_err(|error| EditError::from(EditFailure::Document(error)))?.value;
        write(document, lenses, &base, &shown, &shape.read())?;
        Ok(answer)
    }

    /// Lets `edit` change the entity as JSON, and writes what differs.
    pub(crate) fn edit_json<R>(
        &self,
        document: &mut Edit<'_>,
        edit: impl FnOnce(&mut serde_json::Value) -> R,
    ) -> Result<R, EditError> {
        let Some(lenses) = self.lenses() else { return edit_json(document, edit) };
        let base = fields(document)?;
        let shown = lenses.forward(&base);
        let mut json = shown.to_tagged_json();
        let answer = edit(&mut json);
        write(document, lenses, &base, &shown, &object(&json)?)?;
        Ok(answer)
    }

    /// Makes an entity have these fields and no others, but for those that this shape does not show.
    pub(crate) fn put(&self, edit: &mut Edit<'_>, after: &Value) -> Result<(), EditError> {
        let Some(lenses) = self.lenses() else { return super::put(edit, after) };
        let base = fields(edit)?;
        let shown = lenses.forward(&base);
        let is_new = base == Value::Map(BTreeMap::new());
        if is_new {
            assign(edit, &Path::ROOT, &base, &lenses.fresh(after)?)?;
        } else {
            write(edit, lenses, &base, &shown, &with_what_json_lacks(&shown, after))?;
        }
        mark_existing(edit)
    }

    /// Reads an entity as a `T`.
    pub(crate) fn read_typed<T: Hydrate + Reconcile>(&self, document: &Document) -> Result<T, FromDocumentError> {
        match self.lenses() {
            None => typed::from_document(document.automerge()),
            Some(_) => self.read_value(document.read()),
        }
    }

    /// Reads what a document reads as as a `T`.
    pub(crate) fn read_value<T: Hydrate + Reconcile>(&self, value: Value) -> Result<T, FromDocumentError> {
        let shown = self.show(split_deleted(value).0);
        let shape = document_of(&shown).map_err(|error| FromDocumentError::Shown(Box::new(error)))?;
        typed::from_document(shape.automerge())
    }

    /// Shows the fields of an entity.
    pub(crate) fn show(&self, fields: Value) -> Value {
        self.lenses().map_or(fields.clone(), |lenses| lenses.forward(&fields))
    }

    /// Shows a projected entity, in which texts are strings and counters numbers.
    pub(crate) fn show_json(&self, json: serde_json::Value) -> serde_json::Value {
        let Some(lenses) = self.lenses() else { return json };
        lenses.forward(&Value::from_json(&json)).to_json()
    }
}

fn write(
    document: &mut Edit<'_>,
    lenses: &Lenses,
    base: &Value,
    shown: &Value,
    after: &Value,
) -> Result<(), EditError> {
    if shown == after {
        return Ok(());
    }
    assign(document, &Path::ROOT, base, &lenses.backward(base, shown, after)?)
}

/// A document that holds these fields, for as long as they are read from it.
fn document_of(shown: &Value) -> Result<Document, DocumentError<OperationError>> {
    let mut document = Document::new(EntityId::from_bytes([0; 16]));
    let nothing = Value::Map(BTreeMap::new());
    let _ = document.edit(&nobody(), &unlimited(), |edit| {
        edit.assign(Path::ROOT, &nothing, shown)?;
        write_nulls(edit, &Path::ROOT, shown)
    })?;
    Ok(document)
}

/// Writes the nulls that an assignment leaves out, and which a type may tell from what is absent.
fn write_nulls(edit: &mut Edit<'_>, path: &Path, value: &Value) -> Result<(), OperationError> {
    match value {
        Value::Null => edit.put(path, Value::Null),
        Value::Map(entries) => {
            let mut entries = entries.iter().filter(|(_, value)| may_hold_nulls(value));
            entries.try_for_each(|(key, value)| write_nulls(edit, &path.clone().key(key), value))
        }
        Value::List(elements) => {
            let mut elements = elements.iter().enumerate().filter(|(_, value)| matches!(value, Value::Map(_)));
            elements.try_for_each(|(index, value)| write_nulls(edit, &path.clone().index(index), value))
        }
        _ => Ok(()),
    }
}

fn may_hold_nulls(value: &Value) -> bool {
    matches!(value, Value::Null | Value::Map(_) | Value::List(_))
}

fn without_nulls(value: Value) -> Value {
    let Value::Map(entries) = value else { return value };
    let entries = entries.into_iter().filter(|(_, value)| !value.is_null());
    Value::Map(entries.map(|(key, value)| (key, without_nulls(value))).collect())
}

/// Nobody sees the changes of such a document.
fn nobody() -> EditContext {
    EditContext { fresh: true, ..EditContext::new([0; 1].as_slice().into(), Now { wall_ms: 0, monotonic_ms: 0 }) }
}

/// What is shown may take more than one change of the entity, and was not made by one.
fn unlimited() -> Limits {
    const OPERATIONS_MAX: u64 = 1 << 30;
    Limits { change_bytes_max: usize::MAX, change_operations_max: OPERATIONS_MAX, ..Limits::DEFAULT }
}
