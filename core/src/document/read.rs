//! Reading a document, or a document with a transaction open, into values.

use super::error::OperationError;
use super::path::Step;
use super::value::{Kind, Value};
use automerge::{ObjId, ObjType, Prop, ROOT, ReadDoc, ScalarValue, ScalarValueRef, Value as Found, ValueRef};

/// An object of a document and its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) id: ObjId,
    pub(super) kind: ObjType,
}

impl Object {
    /// The root map.
    pub(super) const ROOT: Self = Self { id: ROOT, kind: ObjType::Map };
}

/// What stands at one key or index: a scalar, or an object.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Standing {
    Scalar(Value),
    Object(Object),
}

impl Standing {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Scalar(value) => value.kind(),
            Self::Object(object) => object_kind(object.kind),
        }
    }
}

/// The kind of value that an object of this type is.
pub(super) fn object_kind(kind: ObjType) -> Kind {
    match kind {
        ObjType::Map | ObjType::Table => Kind::Map,
        ObjType::List => Kind::List,
        ObjType::Text => Kind::Text,
    }
}

/// Reads what stands at a key or index of an object; of several concurrent values the one that Automerge shows.
pub(super) fn standing(
    document: &impl ReadDoc,
    parent: &ObjId,
    prop: impl Into<Prop>,
) -> Result<Option<Standing>, OperationError> {
    Ok(document.get(parent, prop)?.map(|(found, id)| match found {
        Found::Object(kind) => Standing::Object(Object { id, kind }),
        Found::Scalar(scalar) => Standing::Scalar(scalar_value(&scalar)),
    }))
}

/// Follows steps from the root to what stands there; `None` when something on the way is absent.
///
/// # Errors
///
/// A key is looked for in what is no map, or an index in what is no list.
pub(super) fn follow(document: &impl ReadDoc, steps: &[Step]) -> Result<Option<Standing>, OperationError> {
    let mut place = Standing::Object(Object::ROOT);
    for (number, step) in steps.iter().enumerate() {
        let prop = match (&place, step) {
            (Standing::Object(Object { kind: ObjType::Map | ObjType::Table, .. }), Step::Key(key)) => {
                Prop::from(key.as_str())
            }
            (Standing::Object(Object { kind: ObjType::List, .. }), Step::Index(index)) => Prop::from(*index),
            (Standing::Scalar(Value::Null), _) => return Ok(None),
            (_, Step::Key(_)) => return Err(OperationError::wrong_kind(number, place.kind(), Kind::Map)),
            (_, Step::Index(_)) => return Err(OperationError::wrong_kind(number, place.kind(), Kind::List)),
        };
        let Standing::Object(object) = &place else { return Ok(None) };
        match standing(document, &object.id, prop)? {
            Some(next) => place = next,
            None => return Ok(None),
        }
    }
    Ok(Some(place))
}

/// Reads an object with everything below it.
///
/// The recursion is bounded: changes that nest deeper than [`super::DEPTH_MAX`] are never applied.
pub(super) fn read_object(document: &impl ReadDoc, object: &Object) -> Value {
    match object.kind {
        ObjType::Text => Value::Text(document.text(&object.id).unwrap_or_default()),
        ObjType::Map | ObjType::Table => Value::Map(
            document
                .map_range(&object.id, ..)
                .map(|entry| (entry.key.to_string(), read_value(document, &entry.value, || entry.id())))
                .collect(),
        ),
        ObjType::List => Value::List(
            document
                .list_range(&object.id, ..)
                .map(|element| read_value(document, &element.value, || element.id()))
                .collect(),
        ),
    }
}

/// Reads what stands somewhere, with everything below it.
pub(super) fn read_standing(document: &impl ReadDoc, standing: Standing) -> Value {
    match standing {
        Standing::Scalar(value) => value,
        Standing::Object(object) => read_object(document, &object),
    }
}

fn read_value(document: &impl ReadDoc, value: &ValueRef<'_>, id: impl FnOnce() -> ObjId) -> Value {
    match value {
        ValueRef::Object(kind) => read_object(document, &Object { id: id(), kind: *kind }),
        ValueRef::Scalar(scalar) => match scalar {
            ScalarValueRef::Bytes(bytes) | ScalarValueRef::Unknown { bytes, .. } => Value::Bytes(bytes.to_vec()),
            ScalarValueRef::Str(text) => Value::Str(text.to_string()),
            ScalarValueRef::Int(number) => Value::Int(*number),
            ScalarValueRef::Uint(number) => Value::Uint(*number),
            ScalarValueRef::F64(number) => Value::F64(*number),
            ScalarValueRef::Counter(number) => Value::Counter(*number),
            ScalarValueRef::Timestamp(number) => Value::Timestamp(*number),
            ScalarValueRef::Boolean(value) => Value::Bool(*value),
            ScalarValueRef::Null => Value::Null,
        },
    }
}

/// The value of a scalar; one of a kind that a later Automerge added reads as its bytes.
fn scalar_value(scalar: &ScalarValue) -> Value {
    match scalar {
        ScalarValue::Bytes(bytes) | ScalarValue::Unknown { bytes, .. } => Value::Bytes(bytes.clone()),
        ScalarValue::Str(text) => Value::Str(text.to_string()),
        ScalarValue::Int(number) => Value::Int(*number),
        ScalarValue::Uint(number) => Value::Uint(*number),
        ScalarValue::F64(number) => Value::F64(*number),
        ScalarValue::Counter(counter) => Value::Counter(i64::from(counter)),
        ScalarValue::Timestamp(number) => Value::Timestamp(*number),
        ScalarValue::Boolean(value) => Value::Bool(*value),
        ScalarValue::Null => Value::Null,
    }
}
