//! Lenses, version by version, and refusing what could not be taken back.

use super::step::{Conversion, Lens, Step, is_same};
use crate::document::Value;
use crate::wire::Class;
use std::collections::BTreeSet;

/// The way between the shape in which a collection's documents stand, its oldest declared version, and the newest.
///
/// ```
/// use afield_core::document::Value;
/// use afield_core::lens::{Lens, Lenses};
///
/// let lenses = Lenses::oldest(1)
///     .version(2, [Lens::rename("title", "name"), Lens::add("mood", 3)])?
///     .version(3, [Lens::convert("done", "state", [(false, "open"), (true, "closed")], false, "open")])?;
/// let stored = Value::from([("title", Value::from("Call")), ("done", Value::from(true))]);
/// let shown = lenses.forward(&stored);
/// assert_eq!(shown.entry("name"), Some(&Value::from("Call")));
/// assert_eq!(shown.entry("state"), Some(&Value::from("closed")));
/// # Ok::<(), afield_core::lens::DeclareError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Lenses {
    oldest: u32,
    versions: Vec<(u32, Vec<Lens>)>,
}

/// A lens cannot be declared, since what it shows could not be written back.
///
/// ```
/// use afield_core::lens::{DeclareError, Lens, Lenses};
///
/// let error = Lenses::oldest(1).version(2, [Lens::rename("title", "name")]).and_then(|lenses| {
///     lenses.version(3, [Lens::add("name", "")]) // there is one by that name already
/// }).unwrap_err();
/// assert!(matches!(error, DeclareError::Taken { version: 3, field } if field == "name"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeclareError {
    /// Versions come in order, and each once.
    #[error("version {version} comes after version {last}: declare versions in ascending order")]
    Order {
        /// The version.
        version: u32,
        /// The one before it.
        last: u32,
    },
    /// A field has no name.
    #[error("version {version} names a field by an empty name")]
    NoName {
        /// The version.
        version: u32,
    },
    /// Two fields would be one: what is written to either could not be told apart.
    #[error(
        "version {version} is not invertible: `{field}` is taken by another field of this or an older version, which would be hidden or overwritten; use another name"
    )]
    Taken {
        /// The version.
        version: u32,
        /// The field.
        field: String,
    },
    /// The field is not there any more in the version that the lens begins at.
    #[error(
        "version {version} works on `{field}`, which an older version renamed, converted or removed; use the name it has now"
    )]
    Gone {
        /// The version.
        version: u32,
        /// The field.
        field: String,
    },
    /// The step takes the field for a single value or for a map, and an older one made a list of it.
    #[error(
        "version {version} takes `{field}` for a single value, which a `wrap` made a list of: put this step before the wrap, or work on the elements with `each`; a table converts the list only if its older values and their default are lists"
    )]
    Wrapped {
        /// The version.
        version: u32,
        /// The field.
        field: String,
    },
    /// The step takes a field as a whole in which an older one has reshaped what stands there; what is kept beside has not been.
    #[error(
        "version {version} takes `{field}` as a whole, in which an older step reshapes what stands there: put a `wrap` before that step, which is an `each` then; convert the fields within; and do not mix `inside` and `each`"
    )]
    Reshaped {
        /// The version.
        version: u32,
        /// The field.
        field: String,
    },
    /// Two older values would read as one newer one, or one as two.
    #[error("version {version} is not invertible: the table of `{field}` has a value twice on one side")]
    NotOneToOne {
        /// The version.
        version: u32,
        /// The field of the older version.
        field: String,
    },
    /// What is read for values without a counterpart could not be told from a real one.
    #[error("version {version} is not invertible: the defaults of `{field}` have to be values of its table")]
    Default {
        /// The version.
        version: u32,
        /// The field of the older version.
        field: String,
    },
}

impl DeclareError {
    /// What would help: another declaration.
    ///
    /// ```
    /// use afield_core::lens::{Lens, Lenses};
    /// use afield_core::wire::Class;
    ///
    /// let mistake = Lenses::oldest(2).version(1, [Lens::rename("title", "name")]).unwrap_err();
    /// assert_eq!(mistake.class(), Class::Permanent);
    /// ```
    pub fn class(&self) -> Class {
        Class::Permanent
    }

    /// A short name for programs that stays the same in later versions.
    ///
    /// ```
    /// use afield_core::lens::{Lens, Lenses};
    ///
    /// let mistake = Lenses::oldest(1).version(2, [Lens::rename("title", "name"), Lens::remove("title")]).unwrap_err();
    /// assert_eq!(mistake.code(), "lens.gone");
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Order { .. } => "lens.order",
            Self::NoName { .. } => "lens.no_name",
            Self::Taken { .. } => "lens.taken",
            Self::Gone { .. } => "lens.gone",
            Self::Wrapped { .. } => "lens.wrapped",
            Self::Reshaped { .. } => "lens.reshaped",
            Self::NotOneToOne { .. } => "lens.not_one_to_one",
            Self::Default { .. } => "lens.default",
        }
    }
}

impl Lenses {
    /// Begins with the oldest version that any device may use: documents stand in its shape.
    ///
    /// ```
    /// use afield_core::lens::Lenses;
    ///
    /// let lenses = Lenses::oldest(3); // nobody uses versions 1 and 2 any more
    /// assert_eq!((lenses.oldest_version(), lenses.newest()), (3, 3));
    /// ```
    pub fn oldest(version: u32) -> Self {
        Self { oldest: version, versions: Vec::new() }
    }

    /// Adds a version, and how it differs from the one before.
    ///
    /// ```
    /// use afield_core::lens::{DeclareError, Lens, Lenses};
    ///
    /// let lenses = Lenses::oldest(1).version(2, [Lens::rename("title", "name")])?;
    /// assert_eq!(lenses.newest(), 2);
    ///
    /// let twice = Lenses::oldest(1).version(2, [Lens::rename("title", "name"), Lens::rename("label", "name")]);
    /// assert!(matches!(twice, Err(DeclareError::Taken { version: 2, .. })));
    /// # Ok::<(), afield_core::lens::DeclareError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the lens shows could not be written back: see [`DeclareError`].
    pub fn version(mut self, version: u32, lenses: impl IntoIterator<Item = Lens>) -> Result<Self, DeclareError> {
        let last = self.newest();
        if version <= last {
            return Err(DeclareError::Order { version, last });
        }
        self.versions.push((version, lenses.into_iter().collect()));
        let mut names = Names { version, ..Names::default() };
        for (version, steps) in &self.versions {
            names.version = *version;
            steps.iter().try_for_each(|step| names.take(step))?;
        }
        Ok(self)
    }

    /// The version in whose shape the documents stand.
    ///
    /// ```
    /// use afield_core::lens::{Lens, Lenses};
    ///
    /// let lenses = Lenses::oldest(1).version(2, [Lens::add("mood", 3)])?;
    /// assert_eq!(lenses.oldest_version(), 1);
    /// # Ok::<(), afield_core::lens::DeclareError>(())
    /// ```
    pub fn oldest_version(&self) -> u32 {
        self.oldest
    }

    /// The version in whose shape is read and written.
    ///
    /// ```
    /// use afield_core::lens::{Lens, Lenses};
    ///
    /// let lenses = Lenses::oldest(1).version(2, [Lens::add("mood", 3)])?;
    /// assert_eq!(lenses.newest(), 2);
    /// # Ok::<(), afield_core::lens::DeclareError>(())
    /// ```
    pub fn newest(&self) -> u32 {
        self.versions.last().map_or(self.oldest, |(version, _)| *version)
    }

    /// Whether nothing differs.
    ///
    /// ```
    /// use afield_core::lens::{Lens, Lenses};
    ///
    /// assert!(Lenses::oldest(1).is_empty());
    /// assert!(!Lenses::oldest(1).version(2, [Lens::add("mood", 3)])?.is_empty());
    /// # Ok::<(), afield_core::lens::DeclareError>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.steps().next().is_none()
    }

    pub(super) fn steps(&self) -> impl DoubleEndedIterator<Item = &Lens> {
        self.versions.iter().flat_map(|(_, steps)| steps)
    }
}

/// What is known of the names of one map's fields, at a step.
#[derive(Default)]
struct Names {
    version: u32,
    /// Keys of the document that a step has taken for good: the newest version has no field of that name.
    hidden: BTreeSet<String>,
    /// Keys that steps have made fields of, or found fields under.
    made: BTreeSet<String>,
    /// Those under which a list stands, whatever is written, since a step wraps what is there.
    lists: BTreeSet<String>,
    /// The steps within a field so far, and whether they are those of each map in it.
    within: Vec<Within>,
}

struct Within {
    field: String,
    is_each: bool,
    steps: Vec<Lens>,
}

impl Names {
    fn take(&mut self, lens: &Lens) -> Result<(), DeclareError> {
        match &lens.0 {
            Step::Rename { from, to } => {
                self.is_there(from)?;
                let is_list = self.lists.contains(from);
                self.replace(from, to)?;
                if is_list {
                    self.lists.insert(to.clone());
                }
                Ok(())
            }
            Step::Wrap { from, to } => {
                self.is_there(from)?;
                // Of an absent or empty list in a list nothing could tell which of the two it was.
                self.is_single(from)?;
                self.is_whole(from)?;
                self.replace(from, to)?;
                self.lists.insert(to.clone());
                Ok(())
            }
            Step::Convert(conversion) => {
                let from = &conversion.from;
                self.is_there(from)?;
                self.is_one_to_one(conversion)?;
                self.is_whole(from)?;
                // What is written back is one of the table: it would come out of the wrap as a list, which the table does not have.
                if !conversion.pairs.iter().all(|(older, _)| matches!(older, Value::List(_))) {
                    self.is_single(from)?;
                }
                self.replace(from, &conversion.to)
            }
            Step::Add { field, .. } => self.make(field),
            Step::Remove { field, .. } => {
                self.is_there(field)?;
                self.hide(field);
                Ok(())
            }
            Step::Inside { field, steps } => {
                self.is_there(field)?;
                self.is_single(field)?;
                self.take_within(field, false, steps)
            }
            Step::Each { field, steps } => {
                self.is_there(field)?;
                self.take_within(field, true, steps)
            }
        }
    }

    fn take_within(&mut self, field: &str, is_each: bool, steps: &[Lens]) -> Result<(), DeclareError> {
        // A later step that makes a field of this name would hide it.
        self.made.insert(field.to_owned());
        let position = self.within.iter().position(|known| known.field == field);
        let mut all = position.map(|position| self.within.remove(position));
        if all.as_ref().is_some_and(|known| known.is_each != is_each) {
            return Err(self.reshaped(field));
        }
        let within = all.get_or_insert_with(|| Within { field: field.to_owned(), is_each, steps: Vec::new() });
        within.steps.extend(steps.iter().cloned());
        let mut inner = Self { version: self.version, ..Self::default() };
        within.steps.iter().try_for_each(|step| inner.take(step))?;
        self.within.extend(all);
        Ok(())
    }

    fn replace(&mut self, from: &str, to: &str) -> Result<(), DeclareError> {
        if from == to {
            return Err(self.taken(to));
        }
        self.make(to)?;
        self.hide(from);
        // What is known of the maps below goes with the name.
        self.within.iter_mut().filter(|known| known.field == from).for_each(|known| to.clone_into(&mut known.field));
        Ok(())
    }

    fn hide(&mut self, field: &str) {
        self.made.remove(field);
        self.lists.remove(field);
        self.hidden.insert(field.to_owned());
    }

    fn make(&mut self, field: &str) -> Result<(), DeclareError> {
        if field.is_empty() {
            return Err(DeclareError::NoName { version: self.version });
        }
        if self.hidden.contains(field) || !self.made.insert(field.to_owned()) {
            return Err(self.taken(field));
        }
        Ok(())
    }

    fn is_there(&self, field: &str) -> Result<(), DeclareError> {
        if field.is_empty() {
            return Err(DeclareError::NoName { version: self.version });
        }
        if self.hidden.contains(field) {
            return Err(DeclareError::Gone { version: self.version, field: field.to_owned() });
        }
        Ok(())
    }

    fn is_single(&self, field: &str) -> Result<(), DeclareError> {
        if self.lists.contains(field) {
            return Err(DeclareError::Wrapped { version: self.version, field: field.to_owned() });
        }
        Ok(())
    }

    fn is_whole(&self, field: &str) -> Result<(), DeclareError> {
        if self.within.iter().any(|known| known.field == field) { Err(self.reshaped(field)) } else { Ok(()) }
    }

    fn is_one_to_one(&self, conversion: &Conversion) -> Result<(), DeclareError> {
        let field = || conversion.from.clone();
        let twice = |values: Vec<&Value>| {
            values
                .iter()
                .enumerate()
                .any(|(index, value)| values.iter().skip(index + 1).any(|other| is_same(other, value)))
        };
        let (older, newer): (Vec<_>, Vec<_>) = conversion.pairs.iter().map(|(older, newer)| (older, newer)).unzip();
        if twice(older) || twice(newer) {
            return Err(DeclareError::NotOneToOne { version: self.version, field: field() });
        }
        let is_known = conversion.newer_of(&conversion.older_default).is_some()
            && conversion.older_of(&conversion.newer_default).is_some();
        if is_known { Ok(()) } else { Err(DeclareError::Default { version: self.version, field: field() }) }
    }

    fn reshaped(&self, field: &str) -> DeclareError {
        DeclareError::Reshaped { version: self.version, field: field.to_owned() }
    }

    fn taken(&self, field: &str) -> DeclareError {
        DeclareError::Taken { version: self.version, field: field.to_owned() }
    }
}
