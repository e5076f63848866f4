//! What differs between two values, place by place, for people to read.

use crate::document::difference::{self, ListStep, list_steps};
use crate::document::hunks::text_hunks;
use crate::document::{Document, Path, Point, PointError, Step, Value};

/// One place where two moments of an entity differ.
///
/// ```
/// use afield_core::document::{Changed, Value, differences};
///
/// let before = Value::from([("title", Value::from("Trip"))]);
/// let after = Value::from([("title", Value::from("Trip")), ("days", Value::from(3))]);
/// let found = differences(&before, &after);
/// assert_eq!(found[0].path.to_string(), "days");
/// assert_eq!(found[0].changed, Changed::Added { after: 3.into() });
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The place. Elements of lists have the index they have at the later moment; those that are gone, the one they had.
    pub path: Path,
    /// What differs.
    pub changed: Changed,
}

/// What differs at one place.
///
/// ```
/// use afield_core::document::{Changed, Value, differences};
///
/// let before = Value::from([("title", Value::from("Trip")), ("days", Value::from(3))]);
/// let after = Value::from([("title", Value::from("Journey"))]);
/// let lines: Vec<_> = differences(&before, &after).iter().map(|difference| match &difference.changed {
///     Changed::Removed { .. } => format!("- {}", difference.path),
///     Changed::Added { .. } => format!("+ {}", difference.path),
///     _ => format!("~ {}", difference.path),
/// }).collect();
/// assert_eq!(lines, ["- days", "~ title"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Changed {
    /// Something stands there now, and did not before.
    Added {
        /// What stands there.
        after: Value,
    },
    /// Something stood there before, and does not any more.
    Removed {
        /// What stood there.
        before: Value,
    },
    /// Something else stands there now.
    Replaced {
        /// What stood there.
        before: Value,
        /// What stands there now.
        after: Value,
    },
    /// Characters of a text were deleted and inserted.
    Text {
        /// Where, from first to last; at least one.
        hunks: Vec<TextHunk>,
    },
}

/// Characters that went out of a text, and those that came in their place.
///
/// ```
/// use afield_core::document::{Changed, TextHunk, Value, differences};
///
/// let text = |text: &str| Value::from([("body", Value::Text(text.into()))]);
/// let found = differences(&text("by night train"), &text("by day train"));
/// let Changed::Text { hunks } = &found[0].changed else { panic!("a text was changed") };
/// assert!(hunks.iter().all(|TextHunk { position, .. }| (3..8).contains(position))); // between "by " and " train"
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextHunk {
    /// Where in the earlier text, in Unicode code points.
    pub position: usize,
    /// What was deleted there.
    pub deleted: String,
    /// What was inserted there.
    pub inserted: String,
}

impl Document {
    /// What differs between two moments.
    ///
    /// ```
    /// # use afield_core::document::{Changed, Document, EditContext, Point};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let at = |wall_ms| EditContext::new([1_u8; 16].into(), Now { wall_ms, monotonic_ms: 0 });
    /// let first = document.edit(&at(1_000), &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?.changes[0].hash;
    /// document.edit(&at(5_000), &Limits::DEFAULT, |edit| edit.put("title", "Night trip"))?;
    /// let found = document.differences(&Point::After(first), &Point::Now)?;
    /// assert_eq!(found[0].path.to_string(), "title");
    /// assert!(matches!(&found[0].changed, Changed::Replaced { after, .. } if after.as_str() == Some("Night trip")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`PointError`].
    ///
    /// # Panics
    ///
    /// The document is poisoned.
    pub fn differences(&self, from: &Point, to: &Point) -> Result<Vec<Difference>, PointError> {
        Ok(differences(&self.read_as_of(from)?, &self.read_as_of(to)?))
    }
}

/// What has to change for one value to become another, in the order of their keys and elements.
///
/// ```
/// use afield_core::document::{Changed, Value, differences};
///
/// let before = Value::from([("title", Value::from("Trip")), ("body", Value::Text("by train".into()))]);
/// let after = Value::from([("title", Value::from("Trip")), ("body", Value::Text("by night train".into()))]);
/// let found = differences(&before, &after);
/// assert_eq!(found[0].path.to_string(), "body");
/// assert!(matches!(&found[0].changed, Changed::Text { hunks } if hunks[0].inserted == "night "));
/// ```
pub fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(&mut Path::ROOT.clone(), Some(before), Some(after), &mut found);
    found
}

fn compare(path: &mut Path, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Difference>) {
    let changed = match (before, after) {
        (None, None) => return,
        (None, Some(after)) => Changed::Added { after: after.clone() },
        (Some(before), None) => Changed::Removed { before: before.clone() },
        (Some(before), Some(after)) if before == after => return,
        (Some(Value::Map(before)), Some(Value::Map(after))) => {
            for key in difference::keys(before, after) {
                path.push(Step::Key(key.clone()));
                compare(path, before.get(key), after.get(key), found);
                path.pop();
            }
            return;
        }
        (Some(Value::List(before)), Some(Value::List(after))) => return compare_lists(path, before, after, found),
        (Some(before), Some(after)) => match text_changed(before, after) {
            Some(hunks) => Changed::Text { hunks },
            None => Changed::Replaced { before: before.clone(), after: after.clone() },
        },
    };
    found.push(Difference { path: path.clone(), changed });
}

fn compare_lists(path: &mut Path, before: &[Value], after: &[Value], found: &mut Vec<Difference>) {
    let (mut old_index, mut new_index) = (0, 0);
    for step in list_steps(before, after) {
        let (old, new) = (before.get(old_index), after.get(new_index));
        let (index, old, new) = match step {
            ListStep::Keep | ListStep::Edit { .. } => (new_index, old, new),
            ListStep::Delete { .. } => (old_index, old, None),
            ListStep::Insert { .. } => (new_index, None, new),
        };
        path.push(Step::Index(index));
        compare(path, old, new, found);
        path.pop();
        old_index += usize::from(step.inserted().is_none());
        new_index += usize::from(step.deleted().is_none());
    }
}

/// The characters that differ; `None` where something else is no text, or more than characters differs.
fn text_changed(before: &Value, after: &Value) -> Option<Vec<TextHunk>> {
    let is_text = |value: &Value| matches!(value, Value::Text(_) | Value::RichText(_) | Value::LongText(_));
    if !is_text(before) || !is_text(after) {
        return None;
    }
    let (old, new) = (before.as_str()?, after.as_str()?);
    let hunks = text_hunks(old, new);
    let characters: Vec<char> = old.chars().collect();
    let hunk = |hunk: crate::document::hunks::Hunk| {
        let deleted = characters.get(hunk.position..hunk.position + hunk.delete).unwrap_or_default();
        TextHunk { position: hunk.position, deleted: deleted.iter().collect(), inserted: hunk.insert }
    };
    if hunks.is_empty() { None } else { Some(hunks.into_iter().map(hunk).collect()) }
}
