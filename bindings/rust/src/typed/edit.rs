//! Edits of entities as Rust types: value before against value after.

use super::{Tree, before_edit, difference, difference::nulls, read::read, reading::Reading, to_tree, tree::Content};
use crate::error::EditError;
use afield_core::document::{Edit, Path, Value};
use automerge::transaction::Transactable;
use autosurgeon::{Hydrate, Reconcile};
use std::collections::BTreeMap;

/// Reads the entity as a `T`, lets `change` edit it, and writes what differs.
pub(crate) fn edit<T: Hydrate + Reconcile, R>(
    document: &mut Edit<'_>,
    change: impl FnOnce(&mut T) -> R,
) -> Result<R, EditError> {
    let reader = document.reader();
    let reading = Reading::new(reader, reader.base_heads());
    let mut model = read::<T, _>(&reading).map_err(EditError::Shape)?;
    let before = before_edit(&reading, &model).map_err(EditError::Value)?;
    let answer = change(&mut model);
    let after = to_tree(&model)?;
    refuse_without_fields(&after)?;
    for patch in difference(&before, &after) {
        patch.apply(document)?;
    }
    Ok(answer)
}

/// Writes a new entity.
///
/// # Errors
///
/// The model is no map, as an enum's variant without data, or its value is too deep or too large.
pub(crate) fn insert(document: &mut Edit<'_>, tree: &Tree) -> Result<(), EditError> {
    refuse_without_fields(tree)?;
    let nothing = Value::Map(BTreeMap::new());
    document.assign(Path::ROOT, &nothing, &tree.value())?;
    nulls(tree).iter().try_for_each(|null| null.apply(document))?;
    // Without any field it has to be marked as there.
    crate::collection::insert(document, &nothing)
}

pub(crate) fn refuse_without_fields(tree: &Tree) -> Result<(), EditError> {
    match tree.0.content {
        Content::Map(_) => Ok(()),
        _ => Err(EditError::NotAnObject { found: tree.value().kind() }),
    }
}
