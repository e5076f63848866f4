//! How a field is read, and what its absence says.

use crate::typed::field::{Field, unfit};
use automerge::ObjId;
use autosurgeon::{HydrateError, Prop, ReadDoc};
use std::fmt;

/// A type with a value for what is absent.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no default, and an absent field needs one",
    label = "an old entity may not have this field",
    note = "derive or implement `Default` for it, or mark the field `#[model(default = \"path::to::function\")]` or \
            `#[model(required)]`"
)]
pub trait Absent: Sized {
    /// The value of what is absent.
    fn absent() -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Default> Absent for T {
    fn absent() -> Self {
        T::default()
    }
}

/// Reads a field; when it is absent, or null and its type has no reading for null, it has the default given.
pub fn defaulted<T, D: ReadDoc>(
    document: &D,
    object: &ObjId,
    property: Prop<'_>,
    expected: &'static str,
    read: impl Fn(&D, &ObjId, Prop<'_>) -> Result<T, HydrateError>,
    default: impl FnOnce() -> T,
) -> Result<T, HydrateError> {
    // Looked at first and read once: a field that is read again whenever it does not fit is read twice as often with
    // each level above it.
    match document.get(object, &property)? {
        None => Ok(default()),
        // A type with a reading for null, such as an `Option`, has the word before the default has it.
        Some((automerge::Value::Scalar(scalar), _)) if scalar.is_null() => {
            Ok(read(document, object, property).unwrap_or_else(|_| default()))
        }
        Some(_) => required(document, object, property, expected, read),
    }
}

/// Reads a field that must be there.
pub fn required<T, D: ReadDoc>(
    document: &D,
    object: &ObjId,
    property: Prop<'_>,
    expected: &'static str,
    read: impl Fn(&D, &ObjId, Prop<'_>) -> Result<T, HydrateError>,
) -> Result<T, HydrateError> {
    read(document, object, property).map_err(|error| match error {
        // The type that could not be read is known here, and the place by what was read last.
        HydrateError::Unexpected(_) => mismatch(Mismatch::Type(expected)),
        other => other,
    })
}

/// Reads what is null or of a type.
pub fn option<T, D: ReadDoc>(
    document: &D,
    object: &ObjId,
    property: Prop<'_>,
    read: impl Fn(&D, &ObjId, Prop<'_>) -> Result<T, HydrateError>,
) -> Result<Option<T>, HydrateError> {
    match document.get(object, &property)? {
        None => Err(HydrateError::unexpected("null or a value", "nothing".to_owned())),
        Some((automerge::Value::Scalar(scalar), _)) if scalar.is_null() => Ok(None),
        Some(_) => read(document, object, property).map(Some),
    }
}

/// Reads a field that is stored as a value of another type.
pub fn converted<T, F: Field, E, D: ReadDoc>(
    document: &D,
    object: &ObjId,
    property: Prop<'_>,
    read: impl Fn(F) -> Result<T, E>,
) -> Result<T, HydrateError> {
    let stored = F::read(document, object, property.clone())?;
    // The error may quote content, and is not passed on.
    read(stored).map_err(|_| unfit(document, object, &property, "what the field's module reads"))
}

/// The error for a variant that this version of the enum does not have.
pub fn unknown_variant(expected: &'static str) -> HydrateError {
    mismatch(Mismatch::Variant(expected))
}

/// What was expected where something else was found; travels in the only variant of autosurgeon's error that can
/// carry a type.
#[derive(Debug, Clone, Copy)]
pub(in crate::typed) enum Mismatch {
    Type(&'static str),
    Variant(&'static str),
}

pub(super) fn mismatch(mismatch: Mismatch) -> HydrateError {
    HydrateError::ParseMapKey(Box::new(mismatch))
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Type(expected) | Self::Variant(expected)) = self;
        write!(f, "expected {expected}")
    }
}

impl std::error::Error for Mismatch {}
