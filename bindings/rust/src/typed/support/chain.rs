//! How fields are written.

use crate::typed::{
    field::{By, Field},
    reconciler::{Implied, is_described},
};
use automerge::ObjId;
use autosurgeon::{
    Prop, ReadDoc, Reconcile, ReconcileError, Reconciler,
    reconcile::{LoadKey, MapReconciler, NoKey, SeqReconciler},
};
use std::{borrow::Borrow, fmt};

/// The end of a chain of fields.
#[derive(Debug)]
pub struct End;

/// A field, and the fields behind it.
pub(in crate::typed) struct Entry<T, B, Rest> {
    name: &'static str,
    value: B,
    absent: Option<fn() -> T>,
    rest: Rest,
}

impl<T, B: Borrow<T>, Rest> Entry<T, B, Rest> {
    /// Puts a field before others; `absent` gives what it reads as while it is absent, unless that is an error.
    pub(in crate::typed) fn new(name: &'static str, value: B, absent: Option<fn() -> T>, rest: Rest) -> Self {
        Self { name, value, absent, rest }
    }
}

impl<T, B, Rest> fmt::Debug for Entry<T, B, Rest> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A field that is stored as a value of another type, before others.
pub fn stored_as<T: Field>(name: &'static str, value: T, absent: Option<fn() -> T>, rest: impl Fields) -> impl Fields {
    Entry::new(name, value, absent, rest)
}

/// Fields that can be written one by one.
pub trait Fields {
    /// Puts every field under its name, and before it, if asked for, what its absence says.
    fn put<M: MapReconciler>(&self, map: &mut M, described: bool) -> Result<(), M::Error>;

    /// Writes every field at its position.
    fn set<S: SeqReconciler>(&self, list: &mut S, index: usize) -> Result<(), S::Error>;
}

impl Fields for End {
    fn put<M: MapReconciler>(&self, _: &mut M, _: bool) -> Result<(), M::Error> {
        Ok(())
    }

    fn set<S: SeqReconciler>(&self, _: &mut S, _: usize) -> Result<(), S::Error> {
        Ok(())
    }
}

impl<T: Field, B: Borrow<T>, Rest: Fields> Fields for Entry<T, B, Rest> {
    fn put<M: MapReconciler>(&self, map: &mut M, described: bool) -> Result<(), M::Error> {
        if let Some(absent) = self.absent.filter(|_| described) {
            map.put(self.name, Implied(absent()))?;
        }
        map.put(self.name, By(self.value.borrow()))?;
        self.rest.put(map, described)
    }

    fn set<S: SeqReconciler>(&self, list: &mut S, index: usize) -> Result<(), S::Error> {
        set(list, index, self.value.borrow())?;
        self.rest.set(list, index + 1)
    }
}

/// Writes every element at its position.
pub fn set_all<T: Field, S: SeqReconciler>(list: &mut S, elements: &[T]) -> Result<(), S::Error> {
    elements.iter().enumerate().try_for_each(|(index, element)| set(list, index, element))?;
    (elements.len()..list.len()?).rev().try_for_each(|behind| list.delete(behind))
}

fn set<T: Field, S: SeqReconciler>(list: &mut S, index: usize, value: &T) -> Result<(), S::Error> {
    if index < list.len()? { list.set(index, Positional(value)) } else { list.insert(index, Positional(value)) }
}

/// Fields as a map.
#[derive(Debug)]
pub struct AsMap<F>(pub F);

impl<F: Fields> Reconcile for AsMap<F> {
    type Key<'a> = NoKey;

    fn reconcile<R: Reconciler>(&self, mut reconciler: R) -> Result<(), R::Error> {
        let described = is_described(reconciler.heads());
        self.0.put(&mut reconciler.map()?, described)
    }
}

/// Fields as a list in which each is known by its position.
#[derive(Debug)]
pub struct AsList<F>(pub F);

impl<F: Fields> Reconcile for AsList<F> {
    type Key<'a> = NoKey;

    fn reconcile<R: Reconciler>(&self, mut reconciler: R) -> Result<(), R::Error> {
        self.0.set(&mut reconciler.seq()?, 0)
    }
}

/// An element whose identity is its position: its key is the same whatever it holds.
struct Positional<'a, T>(&'a T);

impl<T: Field> Reconcile for Positional<'_, T> {
    type Key<'a> = ();

    fn reconcile<R: Reconciler>(&self, reconciler: R) -> Result<(), R::Error> {
        self.0.write(reconciler)
    }

    fn hydrate_key<'a, D: ReadDoc>(_: &D, _: &ObjId, _: Prop<'_>) -> Result<LoadKey<Self::Key<'a>>, ReconcileError> {
        Ok(LoadKey::Found(()))
    }

    fn key(&self) -> LoadKey<Self::Key<'_>> {
        LoadKey::Found(())
    }
}
