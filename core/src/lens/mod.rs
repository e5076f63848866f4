//! Schemas that move: versions of a collection's shape, and the way between them.
//!
//! A document stays in the shape of the oldest declared version. A newer version of an application reads and writes it
//! through [`Lenses`], so that old and new versions edit one entity at the same time and merge as if there were one: both
//! write the same document. What the older shape has no place for stands beside it, under the newer field's own key, and
//! what the newer shape does not show stays as it is.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `step` | one difference between two versions, and reading through it |
//! | `back` | writing through a step |
//! | `declare` | [`Lenses`], and refusing what could not be taken back |
//! | `origin` | where the fields of the newest version come from, for queries |
//!
//! What always holds, for every value `base` of the document and `shown = forward(base)`:
//!
//! - writing back what was read changes nothing: `backward(base, shown, shown) == base`;
//! - what is written is read again: `forward(backward(base, shown, after)) == after`, where the version can name `after`;
//! - fields that no step names pass through both ways.
//!
//! The idea of editing one document through lenses is that of Cambria (Litt, van Hardenberg, Henry, 2020), whose documents
//! hold the changes of every version; here they hold one shape, so that a device that knows no lens needs none.

mod back;
mod declare;
mod origin;
mod step;
#[cfg(test)]
mod tests;

pub use declare::{DeclareError, Lenses};
pub use origin::{Asked, Origin, Reshaped};
pub use step::Lens;

use crate::document::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A value cannot be written through the lenses, and nothing of the edit was.
///
/// ```
/// use afield_core::document::Value;
/// use afield_core::lens::{Lens, LensError, Lenses};
///
/// let lenses = Lenses::oldest(1).version(2, [Lens::rename("title", "name")])?;
/// let stored = Value::from([("title", "Call".into())]);
/// let after = Value::from([("name", "Call".into()), ("title", "Dr".into())]); // the older version would read it as the name
/// let error = lenses.backward(&stored, &lenses.forward(&stored), &after).unwrap_err();
/// assert_eq!(error, LensError::Hidden { field: "title".into() });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LensError {
    /// The field's key is where an older version keeps another field, or one that this version does not show.
    #[error(
        "`{field}` is no field of this version: an older version keeps another one under that key; use another name"
    )]
    Hidden {
        /// The field.
        field: String,
    },
    /// The value of an entity is no map.
    #[error("an entity is a map of fields")]
    NotAMap,
}

impl Lenses {
    /// Shows a document in the newest version's shape.
    ///
    /// ```
    /// use afield_core::document::Value;
    /// use afield_core::lens::{Lens, Lenses};
    ///
    /// let lenses = Lenses::oldest(1).version(2, [Lens::rename("title", "name")])?;
    /// let stored = Value::from([("title", Value::from("Call"))]);
    /// assert_eq!(lenses.forward(&stored), Value::from([("name", Value::from("Call"))]));
    /// # Ok::<(), afield_core::lens::DeclareError>(())
    /// ```
    pub fn forward(&self, base: &Value) -> Value {
        let Value::Map(base) = base else { return base.clone() };
        Value::Map(self.steps().fold(base.clone(), |shape, step| step.forward(shape)))
    }

    /// The keys under which documents hold the fields of the newest version that have these names, with those that it shows no more.
    ///
    /// ```
    /// use afield_core::lens::{Lens, Lenses};
    ///
    /// let lenses = Lenses::oldest(1)
    ///     .version(2, [Lens::rename("title", "name"), Lens::remove("colour")])?
    ///     .version(3, [Lens::wrap("owner", "owners"), Lens::add("due", 0)])?;
    /// let keys = lenses.keys_of(["name", "owners", "due"]);
    /// assert_eq!(Vec::from_iter(keys), ["colour", "due", "owner", "owners", "title"]);
    /// # Ok::<(), afield_core::lens::DeclareError>(())
    /// ```
    pub fn keys_of(&self, names: impl IntoIterator<Item = impl Into<String>>) -> BTreeSet<String> {
        let names = names.into_iter().map(Into::into).collect();
        self.steps().rev().fold(names, |keys, step| step.keys_before(keys))
    }

    /// Gives what the document holds once `shown`, read from `base`, has become `after`.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use afield_core::document::Value;
    /// use afield_core::lens::{Lens, Lenses};
    ///
    /// let lenses = Lenses::oldest(1).version(2, [Lens::rename("title", "name")])?;
    /// let stored = Value::from([("title", Value::from("Call"))]);
    /// let after = Value::from([("name", Value::from("Call Ada"))]);
    /// let written = lenses.backward(&stored, &lenses.forward(&stored), &after)?;
    /// assert_eq!(written, Value::from([("title", Value::from("Call Ada"))]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The newest version has no such field: see [`LensError`].
    pub fn backward(&self, base: &Value, shown: &Value, after: &Value) -> Result<Value, LensError> {
        let (Value::Map(base), Value::Map(after)) = (base, after) else { return Err(LensError::NotAMap) };
        debug_assert_eq!(&self.forward(&Value::Map(base.clone())), shown, "`shown` is what was read from `base`");
        let mut shapes = vec![base.clone()];
        for step in self.steps() {
            let last = shapes.last().cloned().unwrap_or_default();
            shapes.push(step.forward(last));
        }
        let mut after = after.clone();
        for (index, step) in self.steps().enumerate().collect::<Vec<_>>().into_iter().rev() {
            let (Some(older), Some(newer)) = (shapes.get(index), shapes.get(index + 1)) else { continue };
            after = step.backward(older, newer, after)?;
        }
        Ok(Value::Map(after))
    }

    /// Gives what a new entity's document holds, so that every version reads what it needs.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use afield_core::document::Value;
    /// use afield_core::lens::{Lens, Lenses};
    ///
    /// let lenses = Lenses::oldest(1).version(2, [Lens::remove("priority").or_default(3)])?;
    /// let made = lenses.fresh(&Value::from([("title", Value::from("Call"))]))?;
    /// assert_eq!(made.entry("priority"), Some(&Value::from(3))); // for those who still read it
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Lenses::backward`].
    pub fn fresh(&self, value: &Value) -> Result<Value, LensError> {
        let Value::Map(value) = value else { return Err(LensError::NotAMap) };
        let steps: Vec<_> = self.steps().collect();
        let made = steps.iter().rev().try_fold(value.clone(), |value, step| step.fresh(value))?;
        Ok(Value::Map(made))
    }
}

/// The fields of a map.
type Fields = BTreeMap<String, Value>;
