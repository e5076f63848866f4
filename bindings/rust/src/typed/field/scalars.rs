//! Values without parts.

use super::Field;
use crate::typed::{Bytes, Counter, Text, Timestamp};
use automerge::{ObjId, ScalarValue, Value};
use autosurgeon::{
    HydrateError, Prop, ReadDoc, Reconciler,
    bytes::{ByteArray, ByteVec},
    reconcile::NoKey,
};
use std::{borrow::Cow, rc::Rc, sync::Arc, time::SystemTime};

crate::surgical_field!(bool, u8, u16, u32, u64, i8, i16, i32, i64, f32, f64, String);
crate::surgical_field!(Text, Counter, Timestamp, Bytes);
crate::surgical_field!(autosurgeon::Text, autosurgeon::Counter, ByteVec);

impl<const N: usize> Field for ByteArray<N> {
    crate::surgical_field!(@functions);
}

/// What is stored as a value of another type: how it becomes one, and what becomes of one that was read.
macro_rules! stored_as {
    ($($type:ty as $stored:ty: |$value:ident| $write:expr, |$read:ident| $parse:expr;)+) => {$(
        impl Field for $type {
            type Key<'a> = NoKey;

            fn read<D: ReadDoc>(document: &D, object: &ObjId, property: Prop<'_>) -> Result<Self, HydrateError> {
                let $read = <$stored as Field>::read(document, object, property.clone())?;
                let parsed: Option<Self> = $parse;
                parsed.ok_or_else(|| $crate::typed::field::unfit(document, object, &property, stringify!($type)))
            }

            fn write<R: Reconciler>(&self, reconciler: R) -> Result<(), R::Error> {
                let $value = self;
                Field::write(&$write, reconciler)
            }
        }
    )+};
}
pub(super) use stored_as;

stored_as! {
    usize as u64: |value| *value as u64, |read| read.try_into().ok();
    isize as i64: |value| *value as i64, |read| read.try_into().ok();
    char as String: |value| value.to_string(), |read| only_character(&read);
    SystemTime as Timestamp: |value| Timestamp::from(*value), |read| read.to_system_time();
}

fn only_character(text: &str) -> Option<char> {
    let mut characters = text.chars();
    characters.next().filter(|_| characters.next().is_none())
}

/// Owned strings of other forms.
macro_rules! strings {
    ($($type:ty),+) => {$(
        impl Field for $type {
            type Key<'a> = NoKey;

            fn read<D: ReadDoc>(document: &D, object: &ObjId, property: Prop<'_>) -> Result<Self, HydrateError> {
                <String as Field>::read(document, object, property).map(Self::from)
            }

            fn write<R: Reconciler>(&self, mut reconciler: R) -> Result<(), R::Error> {
                reconciler.str(&**self)
            }
        }
    )+};
}

strings!(Cow<'static, str>, Box<str>, Rc<str>, Arc<str>);

/// Reads 16 bytes from a string, as the field's type writes them, or from bytes.
pub(super) fn read_id<T, D: ReadDoc>(
    document: &D,
    object: &ObjId,
    property: Prop<'_>,
    expected: &str,
    parse: impl Fn(&str) -> Option<T>,
    from_bytes: impl Fn([u8; 16]) -> T,
) -> Result<T, HydrateError> {
    let read = match document.get(object, &property)? {
        Some((Value::Scalar(scalar), _)) => match scalar.as_ref() {
            ScalarValue::Str(text) => parse(text),
            ScalarValue::Bytes(bytes) => bytes.as_slice().try_into().ok().map(from_bytes),
            _ => None,
        },
        _ => None,
    };
    read.ok_or_else(|| HydrateError::unexpected(expected, "a value that does not fit".to_owned()))
}
