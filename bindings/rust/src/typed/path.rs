//! Where in an entity something stands.

use std::fmt;

/// The place of a value, as an error may show it: names of fields and positions, never content (invariant S6).
///
/// Keys of a map with free keys, such as a `HashMap`, are content: they are shown as `*`.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use afield::{ReadError, model, typed::FromDocumentError};
///
/// #[model]
/// #[derive(Debug)]
/// struct Task { steps: Vec<u32> }
///
/// let tasks = home.collection::<Task>("tasks")?;
/// let id = tasks.json().insert(&serde_json::json!({"steps": [1, "two"]}))?;
/// match tasks.read(id).unwrap_err() {
///     ReadError::Shape { source: FromDocumentError::Mismatch { at, .. }, .. } => assert_eq!(at.to_string(), "steps[1]"),
///     other => panic!("{other}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldPath(Vec<Place>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Field(String),
    FreeKey,
    Index(usize),
}

impl FieldPath {
    pub(super) fn from_places(places: Vec<Place>) -> Self {
        Self(places)
    }

    /// The same place, seen from the container that holds this path's start.
    pub(super) fn within(mut self, place: Place) -> Self {
        self.0.insert(0, place);
        self
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("the entity");
        }
        for (position, place) in self.0.iter().enumerate() {
            match place {
                Place::Index(index) => write!(f, "[{index}]")?,
                Place::Field(_) | Place::FreeKey if position > 0 => f.write_str(".")?,
                Place::Field(_) | Place::FreeKey => {}
            }
            match place {
                Place::Field(name) => f.write_str(name)?,
                Place::FreeKey => f.write_str("*")?,
                Place::Index(_) => {}
            }
        }
        Ok(())
    }
}
