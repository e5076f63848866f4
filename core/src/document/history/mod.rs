//! What became of an entity, change by change: who, when, and what it was at any moment.
//!
//! Nothing here loads or copies a document. Automerge keeps every operation, so the past is read where it is.

mod changed;
mod point;
#[cfg(test)]
mod tests;
mod view;
mod walk;

pub use changed::{Changed, Difference, TextHunk, differences};
pub use point::{Point, PointError};
pub use view::View;
pub(super) use walk::Walk;

use super::Document;
use super::attribution::Attribution;
use super::undo::Undoes;
use automerge::ChangeHash;

/// The longest pause, in milliseconds, within what is shown as one sitting: five minutes, as editors of documents do.
pub const SITTING_PAUSE_MAX_MS: i64 = 5 * 60 * 1_000;

/// The most changes that are shown as one sitting. A longer run of typing is shown as several.
pub const SITTING_CHANGES_MAX: usize = 4_096;

/// One change of an entity's history.
///
/// ```
/// # use afield_core::document::{Document, EditContext, Point};
/// # use afield_core::{EntityId, Limits, Now};
/// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
/// # let at = |wall_ms| EditContext::new([1_u8; 16].into(), Now { wall_ms, monotonic_ms: 0 });
/// let first = document.edit(&at(1_000), &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?.changes[0].hash;
/// document.edit(&at(5_000), &Limits::DEFAULT, |edit| edit.put("title", "Night trip"))?;
/// let newest = document.history(&Point::Now, 1)?.changes.remove(0);
/// assert_eq!((newest.attribution.at_ms, newest.operations), (5_000, 1));
/// assert_eq!(newest.dependencies, [first]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryChange {
    /// Its identity.
    pub hash: ChangeHash,
    /// Who made it, when, and on which device; without a message where that says what is undone.
    pub attribution: Attribution,
    /// How many operations it has; none where it only joins what several had written.
    pub operations: u64,
    /// The changes that its author had before it.
    pub dependencies: Vec<ChangeHash>,
    /// What it undoes or redoes, if that is what it was made for.
    pub undoes: Option<Undoes>,
}

/// A stretch of an entity's history, from the newest change back.
///
/// ```
/// # use afield_core::document::{Document, EditContext, Point};
/// # use afield_core::{EntityId, Limits, Now};
/// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
/// # let at = |wall_ms| EditContext::new([1_u8; 16].into(), Now { wall_ms, monotonic_ms: 0 });
/// document.edit(&at(1_000), &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
/// document.edit(&at(5_000), &Limits::DEFAULT, |edit| edit.put("title", "Night trip"))?;
/// let newer = document.history(&Point::Now, 1)?;
/// let older = document.history(&newer.next.expect("there is another page"), 1)?;
/// assert_eq!((older.changes[0].attribution.at_ms, older.next), (1_000, None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryPage {
    /// The changes; each comes before those that it depends on.
    pub changes: Vec<HistoryChange>,
    /// Where the next page begins; `None` where this is the last.
    pub next: Option<Point>,
}

/// Changes of one actor in a row, without a long pause: what people take for one edit, or one sitting.
///
/// ```
/// # use afield_core::document::{Document, EditContext, Point};
/// # use afield_core::{EntityId, Limits, Now};
/// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
/// # let at = |wall_ms| EditContext::new([1_u8; 16].into(), Now { wall_ms, monotonic_ms: 0 });
/// for (ms, title) in [(1_000, "T"), (1_500, "Tr"), (2_000, "Trip"), (90_000_000, "Night trip")] {
///     document.edit(&at(ms), &Limits::DEFAULT, |edit| edit.put("title", title))?;
/// }
/// let sittings = document.history(&Point::Now, 100)?.sittings();
/// assert_eq!(sittings.iter().map(|sitting| sitting.changes.len()).collect::<Vec<_>>(), [1, 3]); // a day lies between
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sitting {
    /// The changes, from the newest back; at least one.
    pub changes: Vec<HistoryChange>,
}

impl Document {
    /// At most `limit` changes, from a moment back.
    ///
    /// The time it takes grows with the limit, not with the history.
    ///
    /// ```
    /// # use afield_core::document::{Document, Point};
    /// # let document = Document::new(afield_core::EntityId::from_bytes([0; 16]));
    /// let mut from = Some(Point::Now);
    /// while let Some(point) = from {
    ///     let page = document.history(&point, 100)?;
    ///     // … page.changes
    ///     from = page.next;
    /// }
    /// # Ok::<(), afield_core::document::PointError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`PointError`].
    ///
    /// # Panics
    ///
    /// The document is poisoned.
    pub fn history(&self, from: &Point, limit: usize) -> Result<HistoryPage, PointError> {
        let mut walk = Walk::new(self.automerge(), self.heads_at(from)?);
        let changes =
            walk.by_ref().take(limit.max(1)).map(|change| HistoryChange::of(self.automerge(), change)).collect();
        let next = walk.rest();
        Ok(HistoryPage { changes, next: if next.is_empty() { None } else { Some(Point::Heads(next)) } })
    }
}

impl HistoryPage {
    /// The changes as sittings, from the newest back: a run by one actor, in which nobody paused for more than
    /// [`SITTING_PAUSE_MAX_MS`]. What creates containers, and is nobody's, belongs to the change that rests on it.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext, Point};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let at = |wall_ms| EditContext::new([1_u8; 16].into(), Now { wall_ms, monotonic_ms: 0 });
    /// for minute in [0, 1, 2, 60] {
    ///     document.edit(&at(minute * 60_000), &Limits::DEFAULT, |edit| edit.put("minute", minute))?;
    /// }
    /// let sittings = document.history(&Point::Now, 100)?.sittings();
    /// assert_eq!(sittings.iter().map(|sitting| sitting.changes.len()).collect::<Vec<_>>(), [1, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sittings(&self) -> Vec<Sitting> {
        let mut sittings: Vec<Sitting> = Vec::new();
        for change in &self.changes {
            match sittings.last_mut() {
                Some(sitting) if sitting.goes_on_with(change) => sitting.changes.push(change.clone()),
                _ => sittings.push(Sitting { changes: vec![change.clone()] }),
            }
        }
        sittings
    }
}

impl HistoryChange {
    /// Whether it is nobody's, but the same on every device: it creates a container, or belongs to an import.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext, Point};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// document.edit(&by, &Limits::DEFAULT, |edit| edit.splice_text("body", 0, 0, "milk"))?;
    /// let page = document.history(&Point::Now, 100)?;
    /// let derived: Vec<bool> = page.changes.iter().map(|change| change.is_derived()).collect();
    /// assert_eq!(derived, [false, true], "the characters, and before them the text that holds them");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_derived(&self) -> bool {
        crate::change::is_derived(self.attribution.actor.to_bytes())
    }
}

impl Sitting {
    /// Its oldest change.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext, Point};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let at = |wall_ms| EditContext::new([1_u8; 16].into(), Now { wall_ms, monotonic_ms: 0 });
    /// let first = document.edit(&at(1_000), &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?.changes[0].hash;
    /// document.edit(&at(5_000), &Limits::DEFAULT, |edit| edit.put("title", "Night trip"))?;
    /// let sittings = document.history(&Point::Now, 100)?.sittings();
    /// assert_eq!(sittings[0].first().map(|change| change.hash), Some(first));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn first(&self) -> Option<&HistoryChange> {
        self.changes.last()
    }

    /// Its newest change.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext, Point};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let at = |wall_ms| EditContext::new([1_u8; 16].into(), Now { wall_ms, monotonic_ms: 0 });
    /// document.edit(&at(1_000), &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// document.edit(&at(5_000), &Limits::DEFAULT, |edit| edit.put("title", "Night trip"))?;
    /// let sittings = document.history(&Point::Now, 100)?.sittings();
    /// assert_eq!(sittings[0].last().map(|change| change.attribution.at_ms), Some(5_000));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn last(&self) -> Option<&HistoryChange> {
        self.changes.first()
    }

    fn goes_on_with(&self, earlier: &HistoryChange) -> bool {
        if self.changes.len() >= SITTING_CHANGES_MAX {
            return false;
        }
        let Some(next) = self.changes.iter().rev().find(|change| !change.is_derived()) else {
            return earlier.is_derived();
        };
        earlier.is_derived()
            || (earlier.attribution.actor == next.attribution.actor
                && earlier.undoes.is_some() == next.undoes.is_some()
                && next.attribution.at_ms.saturating_sub(earlier.attribution.at_ms) <= SITTING_PAUSE_MAX_MS)
    }
}
