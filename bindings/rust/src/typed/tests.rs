//! The promises of the typed layer, one module for each side of it.

mod absence;
mod fields;
mod lists;
mod merging;
mod models;
mod reading;
mod texts;
mod writing;

use super::{Patch, before_edit, difference, from_document, to_tree};
use afield_core::{
    EntityId, Limits, Now,
    document::{Document, EditContext, LocalChange, Path, Value},
};
use automerge::{AutoCommit, ObjType, ROOT, TextEncoding, transaction::Transactable};
use autosurgeon::{Hydrate, Reconcile};
use serde_json::{Value as Json, json};

/// A document with the content of a JSON object; see [`put`] for what JSON has no words for.
fn document(content: Json) -> AutoCommit {
    let mut document = AutoCommit::new_with_encoding(TextEncoding::UnicodeCodePoint);
    let Json::Object(entries) = content else { panic!("the root of a document is a map") };
    for (key, value) in entries {
        put(&mut document, &ROOT, key.into(), &value, false);
    }
    document
}

/// Writes JSON, where `{"$text": …}`, `{"$counter": …}` and so on give the kinds that JSON does not have.
fn put(document: &mut AutoCommit, object: &automerge::ObjId, prop: automerge::Prop, value: &Json, insert: bool) {
    let value = Value::from_tagged_json(value).unwrap();
    put_value(document, object, prop, &value, insert);
}

fn put_value(document: &mut AutoCommit, object: &automerge::ObjId, prop: automerge::Prop, value: &Value, insert: bool) {
    use automerge::ScalarValue;
    let kind = match value {
        Value::Map(_) => Some(ObjType::Map),
        Value::List(_) => Some(ObjType::List),
        Value::Text(_) => Some(ObjType::Text),
        _ => None,
    };
    let index = match &prop {
        automerge::Prop::Seq(index) => *index,
        automerge::Prop::Map(_) => 0,
    };
    if let Some(kind) = kind {
        let id = match insert {
            true => document.insert_object(object, index, kind),
            false => document.put_object(object, prop, kind),
        };
        let id = id.unwrap();
        match value {
            Value::Map(entries) => {
                entries.iter().for_each(|(key, value)| put_value(document, &id, key.as_str().into(), value, false));
            }
            Value::List(elements) => {
                for (index, value) in elements.iter().enumerate() {
                    put_value(document, &id, index.into(), value, true);
                }
            }
            Value::Text(text) => document.splice_text(&id, 0, 0, text).unwrap(),
            _ => {}
        }
        return;
    }
    let scalar = match value {
        Value::Bool(value) => ScalarValue::Boolean(*value),
        Value::Int(value) => ScalarValue::Int(*value),
        Value::Uint(value) => ScalarValue::Uint(*value),
        Value::F64(value) => ScalarValue::F64(*value),
        Value::Str(text) => ScalarValue::Str(text.as_str().into()),
        Value::Bytes(bytes) => ScalarValue::Bytes(bytes.clone()),
        Value::Timestamp(millis) => ScalarValue::Timestamp(*millis),
        Value::Counter(value) => ScalarValue::counter(*value),
        _ => ScalarValue::Null,
    };
    match insert {
        true => document.insert(object, index, scalar).unwrap(),
        false => document.put(object, prop, scalar).unwrap(),
    }
}

/// What a typed edit writes: reads the model, changes it and gives the patches.
fn edit<T: Hydrate + Reconcile>(
    document: &(impl autosurgeon::ReadDoc + automerge::ReadDoc),
    change: impl FnOnce(&mut T),
) -> Vec<Patch> {
    let mut model: T = from_document(document).unwrap();
    let before = before_edit(document, &model).unwrap();
    change(&mut model);
    difference(&before, &to_tree(&model).unwrap())
}

/// The content of a document after patches, as JSON.
fn patched(document: &AutoCommit, patches: &[Patch]) -> Json {
    let mut document = stored(document);
    write(&mut document, 1, patches);
    words(&document.read())
}

/// The same document in the hands of core.
fn stored(document: &AutoCommit) -> Document {
    Document::load(EntityId::from_bytes([1; 16]), Some(&document.clone().save()), []).unwrap()
}

/// Writes patches as an edit of one device, and gives the changes it made.
fn write(document: &mut Document, device: u8, patches: &[Patch]) -> Vec<LocalChange> {
    let now = Now { wall_ms: 0, monotonic_ms: 0 };
    let context = EditContext::new(vec![device; 16].into(), now);
    let edited =
        document.edit(&context, &Limits::default(), |edit| patches.iter().try_for_each(|patch| patch.apply(edit)));
    edited.unwrap().changes
}

/// A value as JSON with tags, but for the kind of an integer, which is not part of what it says.
fn words(value: &Value) -> Json {
    fn plain(json: Json) -> Json {
        match json {
            Json::Object(mut entries) if entries.contains_key("$uint") => entries.remove("$uint").unwrap(),
            Json::Object(entries) => entries.into_iter().map(|(key, value)| (key, plain(value))).collect(),
            Json::Array(elements) => elements.into_iter().map(plain).collect(),
            other => other,
        }
    }
    plain(value.to_tagged_json())
}

/// The one assignment that a list of patches is, with its path and values.
fn assignment(patches: &[Patch]) -> (String, Json, Json) {
    match patches {
        [Patch::Assign { path, before, after }] => (path.to_string(), words(before), words(after)),
        other => panic!("expected one assignment, not {other:?}"),
    }
}

fn tagged<T: Reconcile>(model: &T) -> Json {
    words(&super::to_value(model).unwrap())
}

fn path(text: &str) -> Path {
    text.parse().unwrap()
}

#[test]
fn the_documents_of_these_tests_hold_what_they_are_told() {
    let content = json!({"a": [1, {"b": {"$text": "ö"}}], "c": {"$counter": 2}, "d": null});
    assert_eq!(words(&stored(&document(content.clone())).read()), content);
}
