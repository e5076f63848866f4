//! Texts with marks and blocks as fields of models.

use super::{Field, beside};
use afield_core::document::{RichText, Value};
use automerge::{ObjId, ObjType};
use autosurgeon::{
    HydrateError, Prop, ReadDoc, Reconciler,
    reconcile::{NoKey, TextReconciler},
};

impl Field for RichText {
    type Key<'a> = NoKey;

    /// Reads a text, a long one, or a string that the JSON view may have written.
    fn read<D: ReadDoc>(document: &D, object: &ObjId, property: Prop<'_>) -> Result<Self, HydrateError> {
        let found = match document.get(object, &property)? {
            Some((automerge::Value::Object(ObjType::Text | ObjType::Map), id)) => beside::ask(document, &id)?,
            Some((automerge::Value::Scalar(scalar), _)) => scalar.as_str().map(Value::from),
            _ => None,
        };
        let text = found.and_then(|found| found.to_rich_text());
        text.ok_or_else(|| HydrateError::unexpected("a text", "a value that is none".to_owned()))
    }

    fn write<R: Reconciler>(&self, mut reconciler: R) -> Result<(), R::Error> {
        let mut text = reconciler.text()?;
        beside::offer(Value::from(self.clone()), || text.update(self.as_str()))
    }
}
