//! Where the fields of the newest version come from, so that a query of a store can ask for them by the names that they have there.

use super::step::{Conversion, Lens, Step};
use super::{Fields, Lenses};
use crate::document::Value;
use std::collections::BTreeSet;

/// How a field of the newest version is made of what stands in a document.
///
/// Whoever follows it gets what [`Lenses::forward`] shows there.
///
/// ```
/// use afield_core::lens::{Lens, Lenses, Origin};
///
/// let lenses = Lenses::oldest(1).version(2, [Lens::rename("title", "name"), Lens::wrap("owner", "owners")])?;
/// assert_eq!(lenses.origin(&["name"])?, Origin::Stored(vec!["title".to_owned()]));
/// assert!(matches!(lenses.origin(&["owners"])?, Origin::Wrapped { .. }));
/// assert_eq!(lenses.origin(&["title"])?, Origin::Nothing); // which has another name by now
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// What stands under these keys, one in the other.
    Stored(Vec<String>),
    /// No version shows anything there.
    Nothing,
    /// What stands under these keys in something else, where that is a map.
    Within {
        /// In what.
        of: Box<Origin>,
        /// The keys.
        keys: Vec<String>,
    },
    /// Something, or a value where it is absent.
    Defaulted {
        /// The something.
        of: Box<Origin>,
        /// In what the field stands, which has to be a map to have the value; the document itself always is one.
        inside: Option<Box<Origin>>,
        /// The value.
        default: Value,
    },
    /// A list of one value, unless that is absent or null, and of what stands beside it; nothing where both are absent.
    Wrapped {
        /// The one.
        first: Box<Origin>,
        /// What stands beside: a list of the others, null, or one more.
        rest: Box<Origin>,
    },
    /// A value by a table: see [`Lens::convert`]. Values are compared by their JSON.
    Converted {
        /// The value that is looked up.
        older: Box<Origin>,
        /// What is shown instead, where it is none of the newer values and the older one is absent or its default.
        kept: Box<Origin>,
        /// Older and newer values.
        table: Vec<(Value, Value)>,
        /// What older versions read where the newer value is none of the table.
        older_default: Value,
        /// What is shown where the older value is none of the table.
        newer_default: Value,
    },
}

/// What lenses make of a whole map, or of each in a list, is no field that could be asked for.
///
/// ```
/// use afield_core::lens::{Lens, Lenses};
///
/// let lenses = Lenses::oldest(1).version(2, [Lens::inside("address", [Lens::rename("zip", "code")])])?;
/// assert!(lenses.origin(&["address", "code"]).is_ok());
/// assert_eq!(lenses.origin(&["address"]).unwrap_err().field, "address");
/// # Ok::<(), afield_core::lens::DeclareError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("lenses make what stands in `{field}`, which is no one field of a document")]
pub struct Reshaped {
    /// The field, or the one in which it stands.
    pub field: String,
}

/// What is found under keys before some steps.
type Before<'b> = dyn Fn(&[String], Asked) -> Result<Origin, Reshaped> + 'b;

/// What of a field is asked for: the less of it, the more fields have an answer.
///
/// ```
/// use afield_core::lens::{Asked, Lens, Lenses};
///
/// let lenses = Lenses::oldest(1).version(2, [Lens::each("steps", [Lens::rename("what", "text")])])?;
/// assert!(lenses.origin_of(&["steps"], Asked::Value).is_err());
/// assert!(lenses.origin_of(&["steps"], Asked::Extent).is_ok()); // there are as many as before
/// # Ok::<(), afield_core::lens::DeclareError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Its value.
    Value,
    /// Its keys, or which of its elements are no maps: what an [`Lens::each`] leaves as it is.
    Elements,
    /// Whether it is there, its kind, and of a list the length: what an [`Lens::inside`] leaves as it is, too.
    Extent,
}

impl Lenses {
    /// How a field of the newest version, or one within it, is made of what stands in the document.
    ///
    /// ```
    /// use afield_core::lens::{Lens, Lenses, Origin};
    ///
    /// let lenses = Lenses::oldest(1).version(2, [Lens::inside("address", [Lens::rename("zip", "code")])])?;
    /// let stored = Origin::Stored(vec!["address".to_owned(), "zip".to_owned()]);
    /// assert_eq!(lenses.origin(&["address", "code"])?, stored);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Reshaped`].
    pub fn origin(&self, keys: &[impl AsRef<str>]) -> Result<Origin, Reshaped> {
        self.origin_of(keys, Asked::Value)
    }

    /// As [`Lenses::origin`], of something that has the same as the field of what is asked for.
    ///
    /// ```
    /// use afield_core::lens::{Asked, Lens, Lenses, Origin};
    ///
    /// let lenses = Lenses::oldest(1).version(2, [Lens::inside("address", [Lens::rename("zip", "code")])])?;
    /// assert_eq!(lenses.origin_of(&["address"], Asked::Extent)?, Origin::Stored(vec!["address".to_owned()]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Reshaped`].
    pub fn origin_of(&self, keys: &[impl AsRef<str>], asked: Asked) -> Result<Origin, Reshaped> {
        let steps: Vec<_> = self.steps().collect();
        let keys: Vec<_> = keys.iter().map(|key| key.as_ref().to_owned()).collect();
        origin(&steps, &keys, asked, &|keys, _| Ok(Origin::Stored(keys.to_vec())))
    }

    /// The path that a stored field has in the newest version; `None` where that shows it no more, or something that is made of it.
    ///
    /// ```
    /// use afield_core::lens::{Lens, Lenses};
    ///
    /// let lenses = Lenses::oldest(1).version(2, [Lens::rename("title", "name"), Lens::remove("colour")])?;
    /// assert_eq!(lenses.shown_path(&["title"]), Some(vec!["name".to_owned()]));
    /// assert_eq!(lenses.shown_path(&["colour"]), None);
    /// # Ok::<(), afield_core::lens::DeclareError>(())
    /// ```
    pub fn shown_path(&self, keys: &[impl AsRef<str>]) -> Option<Vec<String>> {
        let keys = keys.iter().map(|key| key.as_ref().to_owned()).collect();
        shown_path(self.steps(), keys)
    }

    /// The name of the field of the newest version in which a stored field is shown; `None` where that has none.
    ///
    /// ```
    /// use afield_core::lens::{Lens, Lenses};
    ///
    /// let lenses = Lenses::oldest(1).version(2, [Lens::wrap("owner", "owners"), Lens::remove("colour")])?;
    /// assert_eq!(lenses.name_of("owner").as_deref(), Some("owners"));
    /// assert_eq!(lenses.name_of("colour"), None);
    /// # Ok::<(), afield_core::lens::DeclareError>(())
    /// ```
    pub fn name_of(&self, stored: &str) -> Option<String> {
        self.steps().try_fold(stored.to_owned(), |name, step| match &step.0 {
            Step::Rename { from, to } | Step::Wrap { from, to } | Step::Convert(Conversion { from, to, .. })
                if *from == name =>
            {
                Some(to.clone())
            }
            Step::Rename { to: field, .. } | Step::Remove { field, .. } if *field == name => None,
            _ => Some(name),
        })
    }

    /// The names that the newest version may show of documents with these keys.
    ///
    /// ```
    /// use afield_core::lens::{Lens, Lenses};
    ///
    /// let lenses = Lenses::oldest(1).version(2, [Lens::rename("title", "name"), Lens::add("due", 0)])?;
    /// assert_eq!(Vec::from_iter(lenses.names_of(["title", "done"])), ["done", "due", "name"]);
    /// # Ok::<(), afield_core::lens::DeclareError>(())
    /// ```
    pub fn names_of(&self, keys: impl IntoIterator<Item = impl Into<String>>) -> BTreeSet<String> {
        let document: Fields = keys.into_iter().map(|key| (key.into(), Value::Null)).collect();
        match self.forward(&Value::Map(document)) {
            Value::Map(shown) => shown.into_keys().collect(),
            _ => BTreeSet::new(),
        }
    }
}

/// How what stands under these keys after some steps is made of what stood there before.
fn origin(steps: &[&Lens], keys: &[String], asked: Asked, before: &Before<'_>) -> Result<Origin, Reshaped> {
    let (Some((step, earlier)), Some((name, inner))) = (steps.split_last(), keys.split_first()) else {
        return before(keys, asked);
    };
    let of = |keys: &[String], asked| origin(earlier, keys, asked, before);
    let field = |name: &String| of(std::slice::from_ref(name), Asked::Value).map(Box::new);
    let within = |made: Origin| match inner {
        [] => made,
        keys => Origin::Within { of: Box::new(made), keys: keys.to_vec() },
    };
    match &step.0 {
        Step::Rename { from, to } if to == name => {
            let keys: Vec<_> = std::iter::once(from).chain(inner).cloned().collect();
            of(&keys, asked)
        }
        Step::Wrap { from, to } if to == name => Ok(within(Origin::Wrapped { first: field(from)?, rest: field(to)? })),
        Step::Convert(Conversion { from, to, pairs, older_default, newer_default }) if to == name => {
            let (older, kept, table) = (field(from)?, field(to)?, pairs.clone());
            let (older_default, newer_default) = (older_default.clone(), newer_default.clone());
            Ok(within(Origin::Converted { older, kept, table, older_default, newer_default }))
        }
        Step::Rename { from: gone, .. }
        | Step::Wrap { from: gone, .. }
        | Step::Convert(Conversion { from: gone, .. })
        | Step::Remove { field: gone, .. }
            if gone == name =>
        {
            Ok(Origin::Nothing)
        }
        Step::Add { field: added, default } if added == name => {
            let inside = match before(&[], Asked::Extent)? {
                Origin::Stored(keys) if keys.is_empty() => None,
                map => Some(Box::new(map)),
            };
            Ok(within(Origin::Defaulted { of: field(added)?, inside, default: default.clone() }))
        }
        Step::Each { field: map, .. } if map == name && inner.is_empty() && asked != Asked::Value => of(keys, asked),
        Step::Inside { field: map, .. } if map == name && inner.is_empty() && asked == Asked::Extent => of(keys, asked),
        Step::Inside { field: map, steps } if map == name && !inner.is_empty() => {
            let steps: Vec<_> = steps.iter().collect();
            origin(&steps, inner, asked, &|keys, asked| {
                let keys: Vec<_> = std::iter::once(map).chain(keys).cloned().collect();
                of(&keys, asked)
            })
        }
        Step::Inside { field: map, .. } | Step::Each { field: map, .. } if map == name => {
            Err(Reshaped { field: map.clone() })
        }
        _ => of(keys, asked),
    }
}

fn shown_path<'s>(steps: impl Iterator<Item = &'s Lens>, keys: Vec<String>) -> Option<Vec<String>> {
    steps.into_iter().try_fold(keys, |keys, step| {
        let (name, inner) = keys.split_first()?;
        match &step.0 {
            Step::Rename { from, to } if from == name => Some(std::iter::once(to).chain(inner).cloned().collect()),
            Step::Inside { field, steps } if field == name && !inner.is_empty() => {
                let shown = shown_path(steps.iter(), inner.to_vec())?;
                Some(std::iter::once(name.clone()).chain(shown).collect())
            }
            Step::Wrap { from, to } | Step::Convert(Conversion { from, to, .. }) if from == name || to == name => None,
            Step::Rename { to: field, .. }
            | Step::Remove { field, .. }
            | Step::Add { field, .. }
            | Step::Inside { field, .. }
            | Step::Each { field, .. }
                if field == name =>
            {
                None
            }
            _ => Some(keys),
        }
    })
}
