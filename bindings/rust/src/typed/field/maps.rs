//! Maps and sets, by keys of the document.

use super::{As, By, Field, MapKey, unfit};
use automerge::{ObjId, ObjType, Value};
use autosurgeon::{HydrateError, Prop, ReadDoc, Reconcile, Reconciler, map_with_parseable_keys, reconcile::NoKey};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
    hash::{BuildHasher, Hash},
    str::FromStr,
};

/// A key that was read.
struct Parsed<K>(K);

impl<K: MapKey> FromStr for Parsed<K> {
    type Err = NotAKey;
    fn from_str(key: &str) -> Result<Self, NotAKey> {
        K::from_key(key).map(Self).ok_or(NotAKey)
    }
}

/// A key is not one of the map's key type.
#[derive(Debug)]
struct NotAKey;

impl fmt::Display for NotAKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a key of this map")
    }
}

impl std::error::Error for NotAKey {}

/// What is read from each entry of a map.
struct Entries<K, V>(Vec<(K, V)>);

impl<K, V> FromIterator<(Parsed<K>, As<V>)> for Entries<K, V> {
    fn from_iter<I: IntoIterator<Item = (Parsed<K>, As<V>)>>(entries: I) -> Self {
        Self(entries.into_iter().map(|(Parsed(key), As(value))| (key, value)).collect())
    }
}

fn entries_under<K: MapKey, V: Field, D: ReadDoc>(
    document: &D,
    object: &ObjId,
    property: Prop<'_>,
) -> Result<Vec<(K, V)>, HydrateError> {
    let entries: Entries<K, V> = map_with_parseable_keys::hydrate(document, object, property)?;
    Ok(entries.0)
}

fn write_entries<'e, K: MapKey + 'e, V: Field + 'e, R: Reconciler>(
    entries: impl IntoIterator<Item = (&'e K, &'e V)>,
    reconciler: R,
) -> Result<(), R::Error> {
    let entries = entries.into_iter().map(|(key, value)| (key.to_key(), By(value)));
    entries.collect::<BTreeMap<Cow<'_, str>, _>>().reconcile(reconciler)
}

impl<K: MapKey + Ord, V: Field> Field for BTreeMap<K, V> {
    type Key<'a> = NoKey;

    fn read<D: ReadDoc>(document: &D, object: &ObjId, property: Prop<'_>) -> Result<Self, HydrateError> {
        entries_under(document, object, property).map(Self::from_iter)
    }

    fn write<R: Reconciler>(&self, reconciler: R) -> Result<(), R::Error> {
        write_entries(self, reconciler)
    }
}

impl<K: MapKey + Eq + Hash, V: Field, S: BuildHasher + Default> Field for HashMap<K, V, S> {
    type Key<'a> = NoKey;

    fn read<D: ReadDoc>(document: &D, object: &ObjId, property: Prop<'_>) -> Result<Self, HydrateError> {
        entries_under(document, object, property).map(Self::from_iter)
    }

    fn write<R: Reconciler>(&self, reconciler: R) -> Result<(), R::Error> {
        write_entries(self, reconciler)
    }
}

/// The elements of a set: the keys of a map, or the strings of a list, which the JSON view may have written.
fn elements_under<K: MapKey, D: ReadDoc>(
    document: &D,
    object: &ObjId,
    property: Prop<'_>,
) -> Result<Vec<K>, HydrateError> {
    if let Some((Value::Object(ObjType::List), _)) = document.get(object, &property)? {
        let elements: Vec<String> = Field::read(document, object, property.clone())?;
        let parsed = elements.iter().map(|element| K::from_key(element)).collect::<Option<_>>();
        return parsed.ok_or_else(|| unfit(document, object, &property, "a set"));
    }
    let entries = entries_under::<K, bool, D>(document, object, property)?;
    Ok(entries.into_iter().filter_map(|(element, is_in)| is_in.then_some(element)).collect())
}

fn write_set<'e, K: MapKey + 'e, R: Reconciler>(
    elements: impl IntoIterator<Item = &'e K>,
    reconciler: R,
) -> Result<(), R::Error> {
    write_entries(elements.into_iter().map(|element| (element, &true)), reconciler)
}

impl<K: MapKey + Ord> Field for BTreeSet<K> {
    type Key<'a> = NoKey;

    fn read<D: ReadDoc>(document: &D, object: &ObjId, property: Prop<'_>) -> Result<Self, HydrateError> {
        elements_under(document, object, property).map(Self::from_iter)
    }

    fn write<R: Reconciler>(&self, reconciler: R) -> Result<(), R::Error> {
        write_set(self, reconciler)
    }
}

impl<K: MapKey + Eq + Hash, S: BuildHasher + Default> Field for HashSet<K, S> {
    type Key<'a> = NoKey;

    fn read<D: ReadDoc>(document: &D, object: &ObjId, property: Prop<'_>) -> Result<Self, HydrateError> {
        elements_under(document, object, property).map(Self::from_iter)
    }

    fn write<R: Reconciler>(&self, reconciler: R) -> Result<(), R::Error> {
        write_set(self, reconciler)
    }
}
