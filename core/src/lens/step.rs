//! One difference between two versions of a shape, and reading through it.

use super::Fields;
use crate::document::Value;
use std::collections::BTreeSet;

/// One difference between a version of a collection's shape and the next.
///
/// Built by the functions below and declared with [`Lenses::version`](super::Lenses::version).
///
/// ```
/// use afield_core::document::Value;
/// use afield_core::lens::{Lens, Lenses};
///
/// let second = [Lens::rename("title", "name"), Lens::add("mood", 3)];
/// let shown = Lenses::oldest(1).version(2, second)?.forward(&Value::from([("title", "Call".into())]));
/// assert_eq!(shown, Value::from([("name", Value::from("Call")), ("mood", Value::from(3))]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Lens(pub(super) Step);

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Rename { from: String, to: String },
    Add { field: String, default: Value },
    Remove { field: String, default: Option<Value> },
    Wrap { from: String, to: String },
    Convert(Conversion),
    Inside { field: String, steps: Vec<Lens> },
    Each { field: String, steps: Vec<Lens> },
}

/// How the values of a field become those of another.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Conversion {
    pub(super) from: String,
    pub(super) to: String,
    /// The older value and the newer one, each once.
    pub(super) pairs: Vec<(Value, Value)>,
    /// What older versions read where the newer value is none of the table.
    pub(super) older_default: Value,
    /// What newer versions read where the older value is none of the table.
    pub(super) newer_default: Value,
}

impl Lens {
    /// The field has another name.
    ///
    /// ```
    /// use afield_core::document::Value;
    /// use afield_core::lens::{Lens, Lenses};
    ///
    /// let lenses = Lenses::oldest(1).version(2, [Lens::rename("title", "name")])?;
    /// let shown = lenses.forward(&Value::from([("title", Value::from("Call"))]));
    /// assert_eq!(shown.entry("name"), Some(&Value::from("Call")));
    /// assert_eq!(shown.entry("title"), None);
    /// # Ok::<(), afield_core::lens::DeclareError>(())
    /// ```
    pub fn rename(from: impl Into<String>, to: impl Into<String>) -> Self {
        Self(Step::Rename { from: from.into(), to: to.into() })
    }

    /// The field is new. Where it is absent, it reads as `default`; older versions pass over it, and leave it alone.
    ///
    /// ```
    /// use afield_core::document::Value;
    /// use afield_core::lens::{Lens, Lenses};
    ///
    /// let lenses = Lenses::oldest(1).version(2, [Lens::add("mood", 3)])?;
    /// let shown = lenses.forward(&Value::from([("title", Value::from("Call"))]));
    /// assert_eq!(shown.entry("mood"), Some(&Value::from(3)));
    /// # Ok::<(), afield_core::lens::DeclareError>(())
    /// ```
    pub fn add(field: impl Into<String>, default: impl Into<Value>) -> Self {
        Self(Step::Add { field: field.into(), default: default.into() })
    }

    /// The field is not shown any more, and stays as it is for older versions. An entity made by a newer version has no such
    /// field, unless [`Lens::or_default`] says what older ones read there.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use afield_core::document::Value;
    /// use afield_core::lens::{Lens, Lenses};
    ///
    /// let lenses = Lenses::oldest(1).version(2, [Lens::remove("colour")])?;
    /// let stored = Value::from([("colour", Value::from("red")), ("title", Value::from("Call"))]);
    /// let shown = lenses.forward(&stored);
    /// assert_eq!(shown, Value::from([("title", Value::from("Call"))]));
    /// assert_eq!(lenses.backward(&stored, &shown, &shown)?, stored); // it is still there
    /// # Ok(())
    /// # }
    /// ```
    pub fn remove(field: impl Into<String>) -> Self {
        Self(Step::Remove { field: field.into(), default: None })
    }

    /// What older versions read of a removed field in an entity that a newer version made.
    ///
    /// It says something of [`Lens::remove`] alone, and nothing of the others.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use afield_core::document::Value;
    /// use afield_core::lens::{Lens, Lenses};
    ///
    /// let lenses = Lenses::oldest(1).version(2, [Lens::remove("colour").or_default("white")])?;
    /// let made = lenses.fresh(&Value::from([("title", Value::from("Call"))]))?;
    /// assert_eq!(made.entry("colour"), Some(&Value::from("white")));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn or_default(self, value: impl Into<Value>) -> Self {
        match self.0 {
            Step::Remove { field, .. } => Self(Step::Remove { field, default: Some(value.into()) }),
            other => Self(other),
        }
    }

    /// One value becomes a list of values. Older versions read and write the first one; the others stand under the new
    /// field's own key, which they pass over.
    ///
    /// ```
    /// use afield_core::document::Value;
    /// use afield_core::lens::{Lens, Lenses};
    ///
    /// let lenses = Lenses::oldest(1).version(2, [Lens::wrap("owner", "owners")])?;
    /// let shown = lenses.forward(&Value::from([("owner", Value::from("Ada"))]));
    /// assert_eq!(shown.entry("owners"), Some(&Value::from(vec![Value::from("Ada")])));
    /// # Ok::<(), afield_core::lens::DeclareError>(())
    /// ```
    pub fn wrap(from: impl Into<String>, to: impl Into<String>) -> Self {
        Self(Step::Wrap { from: from.into(), to: to.into() })
    }

    /// The values become others, by a table of older and newer ones.
    ///
    /// A newer value that is none of the table stands under the new field's own key, and older versions read
    /// `older_default`, as long as they leave it at that. An older value that is none of the table reads as `newer_default`,
    /// and stays what it is until a newer version writes another. Values that read as the same JSON are the same: a text or a
    /// string, a counter or a number.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use afield_core::document::Value;
    /// use afield_core::lens::{Lens, Lenses};
    ///
    /// let state = Lens::convert("done", "state", [(false, "open"), (true, "closed")], false, "open");
    /// let lenses = Lenses::oldest(1).version(2, [state])?;
    /// let stored = Value::from([("done", Value::from(true))]);
    /// let shown = lenses.forward(&stored);
    /// assert_eq!(shown.entry("state"), Some(&Value::from("closed")));
    ///
    /// let waits = Value::from([("state", Value::from("waiting"))]); // which version 1 has no word for
    /// let written = lenses.backward(&stored, &shown, &waits)?;
    /// assert_eq!(written.entry("done"), Some(&Value::from(false)));
    /// assert_eq!(lenses.forward(&written), waits);
    /// # Ok(())
    /// # }
    /// ```
    pub fn convert<A: Into<Value>, B: Into<Value>>(
        from: impl Into<String>,
        to: impl Into<String>,
        pairs: impl IntoIterator<Item = (A, B)>,
        older_default: impl Into<Value>,
        newer_default: impl Into<Value>,
    ) -> Self {
        Self(Step::Convert(Conversion {
            from: from.into(),
            to: to.into(),
            pairs: pairs.into_iter().map(|(older, newer)| (older.into(), newer.into())).collect(),
            older_default: older_default.into(),
            newer_default: newer_default.into(),
        }))
    }

    /// The fields of a map within the entity differ.
    ///
    /// ```
    /// use afield_core::document::Value;
    /// use afield_core::lens::{Lens, Lenses};
    ///
    /// let lenses = Lenses::oldest(1).version(2, [Lens::inside("address", [Lens::rename("zip", "postcode")])])?;
    /// let address = Value::from([("zip", Value::from("10115"))]);
    /// let shown = lenses.forward(&Value::from([("address", address)]));
    /// let address = shown.entry("address").unwrap();
    /// assert_eq!(address.entry("postcode"), Some(&Value::from("10115")));
    /// # Ok::<(), afield_core::lens::DeclareError>(())
    /// ```
    pub fn inside(field: impl Into<String>, steps: impl IntoIterator<Item = Self>) -> Self {
        Self(Step::Inside { field: field.into(), steps: steps.into_iter().collect() })
    }

    /// The fields of every map in a list, or of every map that is an entry of a map with free keys, differ.
    ///
    /// ```
    /// use afield_core::document::Value;
    /// use afield_core::lens::{Lens, Lenses};
    ///
    /// let lenses = Lenses::oldest(1).version(2, [Lens::each("steps", [Lens::add("done", false)])])?;
    /// let steps = Value::from(vec![Value::from([("text", Value::from("Mix"))])]);
    /// let shown = lenses.forward(&Value::from([("steps", steps)]));
    /// let steps = shown.entry("steps").and_then(Value::as_list).unwrap();
    /// assert_eq!(steps[0].entry("done"), Some(&Value::from(false)));
    /// # Ok::<(), afield_core::lens::DeclareError>(())
    /// ```
    pub fn each(field: impl Into<String>, steps: impl IntoIterator<Item = Self>) -> Self {
        Self(Step::Each { field: field.into(), steps: steps.into_iter().collect() })
    }

    /// The keys that the older version has for fields of the newer, of which these are all.
    pub(super) fn keys_before(&self, mut keys: BTreeSet<String>) -> BTreeSet<String> {
        match &self.0 {
            Step::Rename { from, to } => {
                if keys.remove(to) {
                    keys.insert(from.clone());
                }
            }
            Step::Remove { field, .. } => drop(keys.insert(field.clone())),
            // What the older key cannot say stands under the newer one.
            Step::Wrap { from, to } | Step::Convert(Conversion { from, to, .. }) => {
                if keys.contains(to) {
                    keys.insert(from.clone());
                }
            }
            Step::Add { .. } | Step::Inside { .. } | Step::Each { .. } => {}
        }
        keys
    }

    /// Shows a map of the older version as one of the newer.
    pub(super) fn forward(&self, mut fields: Fields) -> Fields {
        match &self.0 {
            Step::Rename { from, to } => {
                // What stands under the new name was put there by nobody who knows the field.
                let _ = fields.remove(to);
                if let Some(value) = fields.remove(from) {
                    fields.insert(to.clone(), value);
                }
            }
            Step::Add { field, default } => {
                fields.entry(field.clone()).or_insert_with(|| default.clone());
            }
            Step::Remove { field, .. } => drop(fields.remove(field)),
            Step::Wrap { from, to } => {
                let wrapped = wrapped(fields.remove(from), fields.remove(to));
                if let Some(wrapped) = wrapped {
                    fields.insert(to.clone(), wrapped);
                }
            }
            Step::Convert(conversion) => {
                let converted = conversion.newer(fields.remove(&conversion.from), fields.remove(&conversion.to));
                if let Some(value) = converted {
                    fields.insert(conversion.to.clone(), value);
                }
            }
            Step::Inside { field, steps } => {
                if let Some(Value::Map(inner)) = fields.get_mut(field) {
                    *inner = forward_all(steps, std::mem::take(inner));
                }
            }
            Step::Each { field, steps } => {
                if let Some(value) = fields.get_mut(field) {
                    maps_of(value).for_each(|map| *map = forward_all(steps, std::mem::take(map)));
                }
            }
        }
        fields
    }
}

/// Shows a map through several steps, one after the other.
pub(super) fn forward_all(steps: &[Lens], fields: Fields) -> Fields {
    steps.iter().fold(fields, |fields, step| step.forward(fields))
}

/// The maps among the elements of a list or the entries of a map.
fn maps_of(value: &mut Value) -> impl Iterator<Item = &mut Fields> {
    let (list, map) = match value {
        Value::List(elements) => (Some(elements.iter_mut()), None),
        Value::Map(entries) => (None, Some(entries.values_mut())),
        _ => (None, None),
    };
    list.into_iter().flatten().chain(map.into_iter().flatten()).filter_map(|value| match value {
        Value::Map(fields) => Some(fields),
        _ => None,
    })
}

/// The list that one value and the others beside it make; `None` where neither stands there.
fn wrapped(first: Option<Value>, rest: Option<Value>) -> Option<Value> {
    if first.is_none() && rest.is_none() {
        return None;
    }
    let mut list: Vec<Value> = first.filter(|value| !value.is_null()).into_iter().collect();
    match rest {
        Some(Value::List(rest)) => list.extend(rest),
        Some(Value::Null) | None => {}
        Some(other) => list.push(other),
    }
    Some(Value::List(list))
}

impl Conversion {
    /// The newer value: the one of the table, or the one kept beside where the older value is still what it was left at.
    fn newer(&self, older: Option<Value>, kept: Option<Value>) -> Option<Value> {
        let is_left = older.as_ref().is_none_or(|older| is_same(older, &self.older_default));
        match (older, kept) {
            (_, Some(kept)) if is_left && self.older_of(&kept).is_none() => Some(kept),
            (Some(older), _) => Some(self.newer_of(&older).unwrap_or(&self.newer_default).clone()),
            (None, _) => None,
        }
    }

    pub(super) fn newer_of(&self, older: &Value) -> Option<&Value> {
        self.pairs.iter().find(|(known, _)| is_same(known, older)).map(|(_, newer)| newer)
    }

    pub(super) fn older_of(&self, newer: &Value) -> Option<&Value> {
        self.pairs.iter().find(|(_, known)| is_same(known, newer)).map(|(older, _)| older)
    }
}

/// Whether a table takes two values for one: those that read the same, so that a text is found where the table has a string, and by
/// queries, which know no other difference.
pub(super) fn is_same(one: &Value, other: &Value) -> bool {
    // Numbers are compared as they are written, and so by queries.
    let read = |value: &Value| value.to_json().to_string();
    read(one) == read(other)
}
