//! Edits of entities as Rust types: value before against value after.

use super::{Tree, before_edit, difference, difference::nulls, from_document, to_tree, tree::Content};
use crate::error::EditError;
use afield_core::document::{Edit, Path, Value};
use automerge::iter::{ListRange, MapRange};
use automerge::transaction::{OwnedTransaction, Transactable};
use automerge::{AutomergeError, ChangeHash, ObjId, ObjType, Parents, Prop};
use autosurgeon::{Hydrate, ReadDoc, Reconcile};
use std::{collections::BTreeMap, ops::RangeBounds};

/// Reads the entity as a `T`, lets `change` edit it, and writes what differs.
pub(crate) fn edit<T: Hydrate + Reconcile, R>(
    document: &mut Edit<'_>,
    change: impl FnOnce(&mut T) -> R,
) -> Result<R, EditError> {
    let reading = Reading(document.reader());
    let mut model = from_document::<T, _>(&reading).map_err(EditError::Shape)?;
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

fn refuse_without_fields(tree: &Tree) -> Result<(), EditError> {
    match tree.0.content {
        Content::Map(_) => Ok(()),
        _ => Err(EditError::NotAnObject { found: tree.value().kind() }),
    }
}

/// A transaction, as autosurgeon reads documents.
struct Reading<'t>(&'t OwnedTransaction);

impl ReadDoc for Reading<'_> {
    type Parents<'a>
        = Parents<'a>
    where
        Self: 'a;

    fn get_heads(&self) -> Vec<ChangeHash> {
        Transactable::base_heads(self.0)
    }

    fn get<P: Into<Prop>>(
        &self,
        obj: &ObjId,
        prop: P,
    ) -> Result<Option<(automerge::Value<'_>, ObjId)>, AutomergeError> {
        automerge::ReadDoc::get(self.0, obj, prop)
    }

    fn object_type<O: AsRef<ObjId>>(&self, obj: O) -> Option<ObjType> {
        automerge::ReadDoc::object_type(self.0, obj).ok()
    }

    fn map_range<'a, O, R>(&'a self, obj: O, range: R) -> MapRange<'a>
    where
        R: RangeBounds<String> + 'a,
        O: AsRef<ObjId>,
    {
        automerge::ReadDoc::map_range(self.0, obj, range)
    }

    fn list_range<O: AsRef<ObjId>, R: RangeBounds<usize>>(&self, obj: O, range: R) -> ListRange<'_> {
        automerge::ReadDoc::list_range(self.0, obj, range)
    }

    fn length<O: AsRef<ObjId>>(&self, obj: O) -> usize {
        automerge::ReadDoc::length(self.0, obj)
    }

    fn text<O: AsRef<ObjId>>(&self, obj: O) -> Result<String, AutomergeError> {
        automerge::ReadDoc::text(self.0, obj)
    }

    fn parents<O: AsRef<ObjId>>(&self, obj: O) -> Result<Self::Parents<'_>, AutomergeError> {
        automerge::ReadDoc::parents(self.0, obj)
    }

    fn is_empty(&self) -> bool {
        automerge::ReadDoc::length(self.0, automerge::ROOT) == 0
    }
}
