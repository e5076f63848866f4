//! Moments of an entity's history.

use super::View;
use crate::change::is_derived;
use crate::document::engine::{self, operations_of};
use crate::document::read::{Object, read_object};
use crate::document::{Document, Value};
use automerge::{Automerge, ChangeHash};
use std::collections::BTreeSet;

/// A moment of an entity's history.
///
/// A history has branches, so a moment is a set of changes: those, and all that they rest on.
///
/// ```
/// # use afield_core::document::{Document, EditContext, Point, Value};
/// # use afield_core::{EntityId, Limits, Now};
/// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
/// # let at = |wall_ms| EditContext::new([1_u8; 16].into(), Now { wall_ms, monotonic_ms: 0 });
/// document.edit(&at(1_000), &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
/// let second = document.edit(&at(5_000), &Limits::DEFAULT, |edit| edit.put("title", "Night trip"))?.changes[0].hash;
/// let (old, new) = (Value::from([("title", "Trip".into())]), Value::from([("title", "Night trip".into())]));
/// assert_eq!(document.read_as_of(&Point::Before(second))?, old);
/// assert_eq!(document.read_as_of(&Point::TimeMs(4_999))?, old);
/// assert_eq!((document.read_as_of(&Point::After(second))?, document.read_as_of(&Point::Now)?), (new.clone(), new));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Point {
    /// With all that this device holds.
    #[default]
    Now,
    /// Right after a change was made, as whoever made it saw the entity.
    After(ChangeHash),
    /// Right before a change was made, as whoever made it saw the entity.
    Before(ChangeHash),
    /// With these changes; no change at all is the beginning, when there was nothing.
    Heads(Vec<ChangeHash>),
    /// With the changes whose authors' clocks said this many milliseconds since the Unix epoch or less, but for those that rest on later
    /// ones.
    TimeMs(i64),
}

/// Why a moment is none of an entity's history.
///
/// ```
/// # use afield_core::document::{Document, EditContext, Point, PointError};
/// # use afield_core::{ChangeHash, EntityId, Limits, Now};
/// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
/// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_000, monotonic_ms: 0 });
/// document.edit(&by, &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
/// let hash = ChangeHash([9; 32]); // of another entity, or not here yet
/// assert_eq!(document.read_as_of(&Point::After(hash)).unwrap_err(), PointError::UnknownChange { hash });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PointError {
    /// This device does not hold a change.
    #[error("change {hash} is none of this entity's, or has not arrived here yet")]
    UnknownChange {
        /// The change.
        hash: ChangeHash,
    },
    /// The entity did not exist yet.
    #[error("the entity did not exist yet at that moment")]
    NothingYet,
}

impl Document {
    /// The changes that stand for a moment: with all that they rest on, they are what was there.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext, Point};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let at = |wall_ms| EditContext::new([1_u8; 16].into(), Now { wall_ms, monotonic_ms: 0 });
    /// let first = document.edit(&at(1_000), &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?.changes[0].hash;
    /// document.edit(&at(5_000), &Limits::DEFAULT, |edit| edit.put("title", "Night trip"))?;
    /// assert_eq!(document.heads_at(&Point::After(first))?, [first]);
    /// assert_eq!(document.heads_at(&Point::TimeMs(3_000))?, [first]);
    /// assert_eq!(document.heads_at(&Point::Now)?, document.heads());
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
    pub fn heads_at(&self, point: &Point) -> Result<Vec<ChangeHash>, PointError> {
        let engine = self.automerge();
        let known = |hash: &ChangeHash| match engine::holds(engine, hash) {
            true => Ok(*hash),
            false => Err(PointError::UnknownChange { hash: *hash }),
        };
        match point {
            Point::Now => Ok(engine.get_heads()),
            Point::After(hash) => known(hash).map(|hash| vec![hash]),
            Point::Before(hash) => {
                let change = engine.get_change_meta_by_hash(hash);
                Ok(change.ok_or(PointError::UnknownChange { hash: *hash })?.deps)
            }
            Point::Heads(heads) => heads.iter().map(known).collect(),
            Point::TimeMs(time_ms) => {
                let heads = heads_at_time(engine, *time_ms);
                if heads.is_empty() { Err(PointError::NothingYet) } else { Ok(heads) }
            }
        }
    }

    /// The changes that stand for the document without some: with all that they rest on, they are the others. Whatever rests on one that is
    /// left out has to be left out, too.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_000, monotonic_ms: 0 });
    /// let first = document.edit(&by, &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?.changes[0].hash;
    /// let second = document.edit(&by, &Limits::DEFAULT, |edit| edit.put("done", true))?.changes[0].hash;
    /// assert_eq!(document.heads_without(|hash| *hash == second), [first]);
    /// assert!(document.heads_without(|_| true).is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// The document is poisoned.
    pub fn heads_without(&self, is_left_out: impl Fn(&ChangeHash) -> bool) -> Vec<ChangeHash> {
        let engine = self.automerge();
        let (mut left, mut seen, mut heads) = (engine.get_heads(), BTreeSet::new(), BTreeSet::new());
        while let Some(hash) = left.pop() {
            if !is_left_out(&hash) {
                heads.insert(hash);
            } else if seen.insert(hash) {
                left.extend(engine.get_change_meta_by_hash(&hash).into_iter().flat_map(|change| change.deps));
            }
        }
        heads.into_iter().collect()
    }

    /// The document as it was at a moment, to be read like one that is there now.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext, Point};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let at = |wall_ms| EditContext::new([1_u8; 16].into(), Now { wall_ms, monotonic_ms: 0 });
    /// use automerge::{ROOT, ReadDoc};
    ///
    /// let first = document.edit(&at(1_000), &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?.changes[0].hash;
    /// document.edit(&at(5_000), &Limits::DEFAULT, |edit| edit.put("done", true))?;
    /// let view = document.view(&Point::After(first))?;
    /// assert_eq!(view.keys(ROOT).collect::<Vec<_>>(), ["title"]);
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
    pub fn view(&self, point: &Point) -> Result<View<'_, Automerge>, PointError> {
        Ok(View::new(self.automerge(), self.heads_at(point)?))
    }

    /// Reads the whole document as it was at a moment.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext, Point};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let at = |wall_ms| EditContext::new([1_u8; 16].into(), Now { wall_ms, monotonic_ms: 0 });
    /// let first = document.edit(&at(1_000), &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?.changes[0].hash;
    /// document.edit(&at(5_000), &Limits::DEFAULT, |edit| edit.put("title", "Night trip"))?;
    /// assert_eq!(document.read_as_of(&Point::After(first))?.entry("title"), Some(&"Trip".into()));
    /// assert_eq!(document.read_as_of(&Point::Now)?, document.read());
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
    pub fn read_as_of(&self, point: &Point) -> Result<Value, PointError> {
        match point {
            Point::Now => Ok(self.read()),
            _ => Ok(read_object(&self.view(point)?, &Object::ROOT)),
        }
    }
}

/// The last changes up to a time.
fn heads_at_time(engine: &Automerge, time_ms: i64) -> Vec<ChangeHash> {
    let (mut there, mut heads) = (BTreeSet::new(), BTreeSet::new());
    // Whoever made a change had what it rests on, whatever the clocks say; so nothing is there before all of that is.
    for change in engine.get_changes_meta(&[]) {
        let is_derived = is_derived(change.actor.to_bytes());
        // What every device makes alike has no time, and is there with what it rests on; an import from the beginning.
        let is_early = is_derived || change.timestamp <= time_ms;
        if !is_early || !change.deps.iter().all(|hash| there.contains(hash)) {
            continue;
        }
        there.insert(change.hash);
        // What creates a container shows nothing until something rests on it.
        if is_derived && operations_of(&change) <= 1 {
            continue;
        }
        for dependency in change.deps {
            heads.remove(&dependency);
        }
        heads.insert(change.hash);
    }
    heads.into_iter().collect()
}
