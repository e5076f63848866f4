//! Reading a document, or a document with a transaction open, into values.

use super::error::OperationError;
use super::long_text;
use super::path::Step;
use super::rich::{BLOCK_CHARACTER, Block, RichText};
use super::value::{Kind, Value};
use automerge::marks::Mark;
use automerge::{ObjId, ObjType, Prop, ROOT, ReadDoc, ScalarValue, ScalarValueRef, Value as Found, ValueRef};
use std::collections::BTreeMap;

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
    Ok(document.get(parent, prop)?.map(|(found, id)| identified(&found, &id)))
}

/// What the engine has found, and under which identity.
pub(super) fn identified(found: &Found<'_>, id: &ObjId) -> Standing {
    match found {
        Found::Object(kind) => Standing::Object(Object { id: id.clone(), kind: *kind }),
        Found::Scalar(scalar) => Standing::Scalar(scalar_value(scalar)),
    }
}

/// Follows steps from the root to what stands there; `None` when something on the way is absent.
///
/// An index in a text leads to the block that stands there.
///
/// # Errors
///
/// A key is looked for in what is no map, or an index in what is no list or text.
pub(super) fn follow(document: &impl ReadDoc, steps: &[Step]) -> Result<Option<Standing>, OperationError> {
    let mut place = Standing::Object(Object::ROOT);
    for (number, step) in steps.iter().enumerate() {
        let prop = match (&place, step) {
            (Standing::Object(Object { kind: ObjType::Map | ObjType::Table, .. }), Step::Key(key)) => {
                Prop::from(key.as_str())
            }
            (Standing::Object(Object { kind: ObjType::List | ObjType::Text, .. }), Step::Index(index)) => {
                Prop::from(*index)
            }
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
        ObjType::Text => read_text(document, &object.id),
        ObjType::Map | ObjType::Table => match long_text::read(document, &object.id) {
            Some(text) => Value::LongText(text),
            None => Value::Map(entries(document, &object.id)),
        },
        ObjType::List => Value::List(
            document
                .list_range(&object.id, ..)
                .map(|element| read_value(document, &element.value, || element.id()))
                .collect(),
        ),
    }
}

/// Reads a text, plain, rich or long; `None` when the object is none.
///
/// It reads from whatever the engine reads from, for views of documents that know no marks and no parts.
///
/// ```
/// # use afield_core::document::{Document, EditContext, Value, text_of};
/// # use afield_core::{EntityId, Limits, Now};
/// # use automerge::ReadDoc;
/// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
/// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
/// document.edit(&by, &Limits::DEFAULT, |edit| edit.splice_text("body", 0, 0, "milk"))?;
/// let (_, body) = document.automerge().get(automerge::ROOT, "body")?.expect("it was just written");
/// assert_eq!(text_of(document.automerge(), &body), Some(Value::Text("milk".into())));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn text_of(document: &impl ReadDoc, object: &ObjId) -> Option<Value> {
    match document.object_type(object).ok()? {
        ObjType::Text => Some(read_text(document, object)),
        // The rest of one that another device has begun may not have arrived yet.
        ObjType::Map if document.length(object) == 0 => Some(Value::LongText(String::new())),
        ObjType::Map => long_text::read(document, object).map(Value::LongText),
        _ => None,
    }
}

/// Reads a text: a plain one, or a rich one where it has marks or blocks.
pub(super) fn read_text(document: &impl ReadDoc, text: &ObjId) -> Value {
    let Characters { text, marks, maps } = read_characters(document, text);
    if marks.is_empty() && maps.is_empty() {
        return Value::Text(text);
    }
    let block = |(position, id): (usize, ObjId)| (position, Block::from(entries(document, &id)));
    let blocks = maps.into_iter().map(block).collect();
    let marks = marks.iter().map(|mark| (mark.name.to_string(), mark.start..mark.end, scalar_value(&mark.value)));
    Value::from(RichText::assemble(text, blocks, marks))
}

/// A text by itself.
pub(super) struct Characters {
    text: String,
    marks: Vec<Mark>,
    /// The maps that stand among the characters, with their positions.
    maps: Vec<(usize, ObjId)>,
}

/// Reads a text without what stands in the maps among its characters.
pub(super) fn read_characters(document: &impl ReadDoc, text: &ObjId) -> Characters {
    let characters = document.text(text).unwrap_or_default();
    let marks = document.marks(text).unwrap_or_default();
    let maps = maps_within(document, text, &characters);
    Characters { text: characters, marks, maps }
}

/// The maps that stand among the characters of a text, with their positions.
pub(super) fn maps_within(document: &impl ReadDoc, text: &ObjId, characters: &str) -> Vec<(usize, ObjId)> {
    let places = characters.chars().enumerate().filter(|(_, character)| *character == BLOCK_CHARACTER);
    let maps = places.filter_map(|(position, _)| match standing(document, text, position) {
        Ok(Some(Standing::Object(Object { id, kind: ObjType::Map }))) => Some((position, id)),
        _ => None,
    });
    maps.collect()
}

fn entries(document: &impl ReadDoc, map: &ObjId) -> BTreeMap<String, Value> {
    let entries = document.map_range(map, ..);
    entries.map(|entry| (entry.key.to_string(), read_value(document, &entry.value, || entry.id()))).collect()
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
        ValueRef::Scalar(scalar) => scalar_ref(scalar),
    }
}

/// The value of a scalar as the engine's iterators give it.
pub(super) fn scalar_ref(scalar: &ScalarValueRef<'_>) -> Value {
    match scalar {
        ScalarValueRef::Bytes(bytes) | ScalarValueRef::Unknown { bytes, .. } => Value::Bytes(bytes.to_vec()),
        ScalarValueRef::Str(text) => Value::Str(text.to_string()),
        ScalarValueRef::Int(number) => Value::Int(*number),
        ScalarValueRef::Uint(number) => Value::Uint(*number),
        ScalarValueRef::F64(number) => Value::F64(*number),
        ScalarValueRef::Counter(number) => Value::Counter(*number),
        ScalarValueRef::Timestamp(number) => Value::Timestamp(*number),
        ScalarValueRef::Boolean(value) => Value::Bool(*value),
        ScalarValueRef::Null => Value::Null,
    }
}

/// The value of a scalar; one of a kind that a later Automerge added reads as its bytes.
pub(super) fn scalar_value(scalar: &ScalarValue) -> Value {
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
