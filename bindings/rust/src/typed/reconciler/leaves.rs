//! Texts and counters.

use super::DESCRIBED;
use crate::typed::{beside, path::FieldPath, to_value::ToValueError};
use afield_core::document::Value;
use automerge::ChangeHash;
use autosurgeon::reconcile::{CounterReconciler, TextReconciler};

pub(super) struct TextBuilder<'a> {
    /// A text.
    pub(super) value: &'a mut Value,
}

impl TextReconciler for TextBuilder<'_> {
    type Error = ToValueError;

    /// As the engine: a negative count deletes before the position.
    fn splice<S: AsRef<str>>(&mut self, position: usize, delete: isize, insert: S) -> Result<(), ToValueError> {
        let mut text = self.value.as_str().unwrap_or_default().to_owned();
        let length = text.chars().count();
        let (start, end) = match delete {
            0.. => (Some(position), position.checked_add(delete.unsigned_abs())),
            ..0 => (position.checked_sub(delete.unsigned_abs()), Some(position)),
        };
        let (Some(start), Some(end)) = (start, end.filter(|end| *end <= length)) else {
            return Err(ToValueError::out_of_range(position, length));
        };
        let offset = |position| text.char_indices().nth(position).map_or(text.len(), |(offset, _)| offset);
        let range = offset(start)..offset(end);
        text.replace_range(range, insert.as_ref());
        *self.value = Value::Text(text);
        Ok(())
    }

    fn heads(&self) -> &[ChangeHash] {
        &DESCRIBED
    }

    fn update<S: AsRef<str>>(&mut self, text: S) -> Result<(), ToValueError> {
        *self.value = beside::take().unwrap_or_else(|| Value::Text(text.as_ref().to_owned()));
        Ok(())
    }
}

pub(super) struct CounterBuilder<'a> {
    pub(super) value: &'a mut i64,
    /// Whether the value was set, and can be incremented.
    pub(super) known: bool,
}

impl CounterReconciler for CounterBuilder<'_> {
    type Error = ToValueError;

    fn increment(&mut self, by: i64) -> Result<(), ToValueError> {
        if !self.known {
            return Err(ToValueError::BoundCounter { at: FieldPath::default() });
        }
        *self.value = self.value.saturating_add(by);
        Ok(())
    }

    fn set(&mut self, value: i64) -> Result<(), ToValueError> {
        *self.value = value;
        self.known = true;
        Ok(())
    }
}
