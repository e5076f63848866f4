//! Values of any form.

use super::scalars::stored_as;
use super::{As, By, Field};
use crate::typed::{LongText, beside};
use afield_core::document::Value;
use automerge::{ObjId, ObjType, ScalarValue};
use autosurgeon::{
    Hydrate, HydrateError, Prop, ReadDoc, Reconcile, Reconciler,
    reconcile::{CounterReconciler, NoKey, TextReconciler},
};
use std::collections::BTreeMap;

impl Field for Value {
    type Key<'a> = NoKey;

    /// By calls of itself as deep as the document is, which the engine's checks bound.
    fn read<D: ReadDoc>(document: &D, object: &ObjId, property: Prop<'_>) -> Result<Self, HydrateError> {
        let Some((value, id)) = document.get(object, &property)? else {
            return Err(HydrateError::unexpected("a value", "nothing".to_owned()));
        };
        Ok(match value {
            automerge::Value::Object(ObjType::Map | ObjType::Table) => {
                if let Some(text @ Self::LongText(_)) = beside::ask(document, &id)? {
                    return Ok(text);
                }
                let entries = BTreeMap::<String, As<Self>>::hydrate_map(document, &id)?;
                Self::Map(entries.into_iter().map(|(key, As(value))| (key, value)).collect())
            }
            automerge::Value::Object(ObjType::List) => {
                let elements = Vec::<As<Self>>::hydrate_seq(document, &id)?;
                Self::List(elements.into_iter().map(|As(value)| value).collect())
            }
            automerge::Value::Object(ObjType::Text) => beside::ask(document, &id)?.unwrap_or_default(),
            automerge::Value::Scalar(scalar) => match scalar.as_ref() {
                ScalarValue::Null => Self::Null,
                ScalarValue::Boolean(value) => Self::Bool(*value),
                ScalarValue::Int(value) => Self::Int(*value),
                ScalarValue::Uint(value) => Self::Uint(*value),
                ScalarValue::F64(value) => Self::F64(*value),
                ScalarValue::Str(text) => Self::Str(text.to_string()),
                ScalarValue::Bytes(bytes) | ScalarValue::Unknown { bytes, .. } => Self::Bytes(bytes.clone()),
                ScalarValue::Timestamp(millis) => Self::Timestamp(*millis),
                ScalarValue::Counter(counter) => Self::Counter(counter.into()),
            },
        })
    }

    fn write<R: Reconciler>(&self, mut reconciler: R) -> Result<(), R::Error> {
        match self {
            Self::Null => reconciler.none(),
            Self::Bool(value) => reconciler.boolean(*value),
            Self::Int(value) => reconciler.i64(*value),
            Self::Uint(value) => reconciler.u64(*value),
            Self::F64(value) => reconciler.f64(*value),
            Self::Str(text) => reconciler.str(text),
            Self::Bytes(bytes) => reconciler.bytes(bytes),
            Self::Timestamp(millis) => reconciler.timestamp(*millis),
            Self::Counter(value) => reconciler.counter()?.set(*value),
            Self::Text(text) => reconciler.text()?.update(text),
            Self::RichText(text) => text.write(reconciler),
            Self::LongText(text) => LongText::from(text.as_str()).write(reconciler),
            Self::List(elements) => elements.iter().map(By).collect::<Vec<_>>().reconcile(reconciler),
            Self::Map(entries) => {
                let entries = entries.iter().map(|(key, value)| (key.as_str(), By(value)));
                entries.collect::<BTreeMap<_, _>>().reconcile(reconciler)
            }
        }
    }
}

// Plain JSON, in which a key that begins with `$` is a key.
stored_as! {
    serde_json::Value as Value:
        |json| Value::from_json(json), |value| Some(value.to_json());
}
