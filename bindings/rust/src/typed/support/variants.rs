//! Variants of enums, and lists that stand for several fields.

use super::reading::{Mismatch, mismatch};
use crate::typed::beside;
use automerge::ObjId;
use autosurgeon::{HydrateError, Prop, ReadDoc, Reconcile, ReconcileError, Reconciler, reconcile::MapReconciler};

/// The variant among `names` that was written last into an enum's map, when one is there.
///
/// Concurrent edits can leave several. The order is the engine's own for concurrent values, so every device reads the
/// same, and a later edit is always seen.
pub fn latest_variant<D: ReadDoc>(document: &D, map: &ObjId, names: &[&str]) -> Result<Option<usize>, HydrateError> {
    let mut latest: Option<(usize, ObjId)> = None;
    for (index, name) in names.iter().enumerate() {
        let Some((_, id)) = document.get(map, *name)? else { continue };
        if latest.as_ref().is_none_or(|(_, latest)| is_later(&id, latest)) {
            latest = Some((index, id));
        }
    }
    Ok(latest.map(|(index, _)| index))
}

fn is_later(id: &ObjId, other: &ObjId) -> bool {
    match (id, other) {
        (ObjId::Id(counter, actor, _), ObjId::Id(other_counter, other_actor, _)) => {
            (counter, actor) > (other_counter, other_actor)
        }
        (ObjId::Id(..), ObjId::Root) => true,
        (ObjId::Root, _) => false,
    }
}

/// The variant with data at a property, and the enum's map.
pub fn variant_at<D: ReadDoc>(
    document: &D,
    object: &ObjId,
    property: Prop<'_>,
    names: &[&str],
) -> Result<Option<(usize, ObjId)>, ReconcileError> {
    let Some((automerge::Value::Object(automerge::ObjType::Map), map)) = document.get(object, &property)? else {
        return Ok(None);
    };
    match latest_variant(document, &map, names) {
        Ok(variant) => Ok(variant.map(|variant| (variant, map))),
        Err(HydrateError::Automerge(error)) => Err(error.into()),
        Err(_) => Ok(None),
    }
}

/// The map that holds the named fields of a variant.
pub fn map_at<D: ReadDoc>(document: &D, object: &ObjId, name: &str) -> Result<ObjId, HydrateError> {
    match document.get(object, name)? {
        Some((automerge::Value::Object(automerge::ObjType::Map | automerge::ObjType::Table), map)) => Ok(map),
        _ => Err(mismatch(Mismatch::Type("a map of the variant's fields"))),
    }
}

/// The list that holds the unnamed fields of a variant.
pub fn list_at<D: ReadDoc>(document: &D, object: &ObjId, name: &str) -> Result<ObjId, HydrateError> {
    list(document, object, name.into())?.ok_or_else(|| mismatch(Mismatch::Type("a list of the variant's fields")))
}

/// The list that holds the elements of a tuple.
pub fn list_under<D: ReadDoc>(document: &D, object: &ObjId, property: Prop<'_>) -> Result<ObjId, HydrateError> {
    list(document, object, property)?.ok_or_else(|| HydrateError::unexpected("a list", "something else".to_owned()))
}

fn list<D: ReadDoc>(document: &D, object: &ObjId, property: Prop<'_>) -> Result<Option<ObjId>, HydrateError> {
    match document.get(object, &property)? {
        Some((automerge::Value::Object(automerge::ObjType::List), list)) => Ok(Some(list)),
        _ => Ok(None),
    }
}

/// Writes a variant without data.
pub fn put_unit<R: Reconciler>(mut reconciler: R, name: &str) -> Result<(), R::Error> {
    reconciler.str(name)
}

/// Writes a variant with data, in place of any other variant in `names` and of nothing else.
pub fn put_variant<R: Reconciler, V: Reconcile>(
    mut reconciler: R,
    names: &[&str],
    name: &str,
    data: V,
) -> Result<(), R::Error> {
    let mut map = reconciler.map()?;
    for other in names.iter().filter(|other| **other != name) {
        if map.entry(other).is_some() {
            map.delete(other)?;
        }
    }
    beside::as_variant(|| map.put(name, data))
}
