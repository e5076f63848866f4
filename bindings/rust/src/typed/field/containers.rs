//! Pointers, lists and tuples.

use super::{As, By, Field, Key, unfit};
use crate::typed::support::{AsList, End, list_under, option, required};
use automerge::{ObjId, Value};
use autosurgeon::{
    Hydrate, HydrateError, Prop, ReadDoc, Reconcile, ReconcileError, Reconciler,
    reconcile::{LoadKey, NoKey},
};
use std::{collections::VecDeque, rc::Rc, sync::Arc};

impl<T: Field> Field for Option<T> {
    type Key<'a> = T::Key<'a>;

    fn read<D: ReadDoc>(document: &D, object: &ObjId, property: Prop<'_>) -> Result<Self, HydrateError> {
        option(document, object, property, T::read::<D>)
    }

    fn read_map<D: ReadDoc>(document: &D, map: &ObjId) -> Result<Self, HydrateError> {
        T::read_map(document, map).map(Some)
    }

    fn write<R: Reconciler>(&self, mut reconciler: R) -> Result<(), R::Error> {
        match self {
            Some(value) => value.write(reconciler),
            None => reconciler.none(),
        }
    }

    fn key(&self) -> LoadKey<Self::Key<'_>> {
        self.as_ref().map_or(LoadKey::KeyNotFound, T::key)
    }

    fn read_key<'a, D: ReadDoc>(
        document: &D,
        object: &ObjId,
        property: Prop<'_>,
    ) -> Result<LoadKey<Self::Key<'a>>, ReconcileError> {
        match document.get(object, &property)? {
            Some((Value::Scalar(scalar), _)) if scalar.is_null() => Ok(LoadKey::KeyNotFound),
            Some(_) => T::read_key(document, object, property),
            None => Ok(LoadKey::KeyNotFound),
        }
    }

    fn erased(key: Self::Key<'_>) -> Option<Key> {
        T::erased(key)
    }
}

/// Types that are what they point to.
macro_rules! pointers {
    ($($pointer:ident),+) => {$(
        impl<T: Field> Field for $pointer<T> {
            type Key<'a> = T::Key<'a>;

            fn read<D: ReadDoc>(document: &D, object: &ObjId, property: Prop<'_>) -> Result<Self, HydrateError> {
                T::read(document, object, property).map(Self::new)
            }

            fn read_map<D: ReadDoc>(document: &D, map: &ObjId) -> Result<Self, HydrateError> {
                T::read_map(document, map).map(Self::new)
            }

            fn write<R: Reconciler>(&self, reconciler: R) -> Result<(), R::Error> {
                T::write(self, reconciler)
            }

            fn key(&self) -> LoadKey<Self::Key<'_>> {
                T::key(self)
            }

            fn read_key<'a, D: ReadDoc>(
                document: &D,
                object: &ObjId,
                property: Prop<'_>,
            ) -> Result<LoadKey<Self::Key<'a>>, ReconcileError> {
                T::read_key(document, object, property)
            }

            fn erased(key: Self::Key<'_>) -> Option<Key> {
                T::erased(key)
            }
        }
    )+};
}

pointers!(Box, Rc, Arc);

fn read_elements<T: Field, D: ReadDoc>(
    document: &D,
    object: &ObjId,
    property: Prop<'_>,
) -> Result<impl ExactSizeIterator<Item = T>, HydrateError> {
    Vec::<As<T>>::hydrate(document, object, property).map(|elements| elements.into_iter().map(|As(element)| element))
}

fn write_elements<'e, T: Field + 'e, R: Reconciler>(
    elements: impl IntoIterator<Item = &'e T>,
    reconciler: R,
) -> Result<(), R::Error> {
    elements.into_iter().map(By).collect::<Vec<_>>().reconcile(reconciler)
}

impl<T: Field> Field for Vec<T> {
    type Key<'a> = NoKey;

    fn read<D: ReadDoc>(document: &D, object: &ObjId, property: Prop<'_>) -> Result<Self, HydrateError> {
        read_elements(document, object, property).map(Iterator::collect)
    }

    fn write<R: Reconciler>(&self, reconciler: R) -> Result<(), R::Error> {
        write_elements(self, reconciler)
    }
}

impl<T: Field> Field for VecDeque<T> {
    type Key<'a> = NoKey;

    fn read<D: ReadDoc>(document: &D, object: &ObjId, property: Prop<'_>) -> Result<Self, HydrateError> {
        read_elements(document, object, property).map(Iterator::collect)
    }

    fn write<R: Reconciler>(&self, reconciler: R) -> Result<(), R::Error> {
        write_elements(self, reconciler)
    }
}

impl<T: Field, const N: usize> Field for [T; N] {
    type Key<'a> = NoKey;

    fn read<D: ReadDoc>(document: &D, object: &ObjId, property: Prop<'_>) -> Result<Self, HydrateError> {
        let elements: Vec<T> = read_elements(document, object, property.clone())?.collect();
        elements.try_into().map_err(|_| unfit(document, object, &property, "a list of another length"))
    }

    fn write<R: Reconciler>(&self, mut reconciler: R) -> Result<(), R::Error> {
        crate::typed::support::set_all(&mut reconciler.seq()?, self)
    }
}

/// Tuples, each element known by its position.
macro_rules! tuples {
    ($(($($type:ident $index:tt),+))+) => {$(
        impl<$($type: Field),+> Field for ($($type,)+) {
            type Key<'a> = NoKey;

            fn read<Doc: ReadDoc>(document: &Doc, object: &ObjId, property: Prop<'_>) -> Result<Self, HydrateError> {
                let list = list_under(document, object, property)?;
                Ok(($(
                    required(document, &list, Prop::Index($index), "an element of a tuple", $type::read::<Doc>)?,
                )+))
            }

            fn write<Rec: Reconciler>(&self, reconciler: Rec) -> Result<(), Rec::Error> {
                AsList(chain!(self, $($index),+)).reconcile(reconciler)
            }
        }
    )+};
}

/// The elements of a tuple as a chain of fields.
macro_rules! chain {
    ($tuple:ident $(,)?) => { End };
    ($tuple:ident, $index:tt $(, $rest:tt)*) => {
        $tuple.$index.entry(stringify!($index), None, chain!($tuple, $($rest),*))
    };
}

tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
}
