//! What an element of a list is known by.

use crate::typed::field::Key;
use automerge::{ObjId, ObjType, Value};
use autosurgeon::{HydrateError, Prop, ReadDoc, ReconcileError, reconcile::LoadKey};

/// The key that a field of the map at a property is.
pub fn key_under<T, D: ReadDoc>(
    document: &D,
    object: &ObjId,
    property: Prop<'_>,
    name: &str,
    read: impl Fn(&D, &ObjId, Prop<'_>) -> Result<T, HydrateError>,
    key: impl Fn(&T) -> LoadKey<Key>,
) -> Result<LoadKey<Key>, ReconcileError> {
    let Some((Value::Object(ObjType::Map | ObjType::Table), map)) = document.get(object, &property)? else {
        return Ok(LoadKey::KeyNotFound);
    };
    match read(document, &map, name.into()) {
        Ok(value) => Ok(key(&value)),
        Err(HydrateError::Automerge(error)) => Err(error.into()),
        Err(_) => Ok(LoadKey::KeyNotFound),
    }
}
