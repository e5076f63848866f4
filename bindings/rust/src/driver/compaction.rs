//! Compaction of what the store holds: when it runs, and how far it may go at once.
//!
//! An entity that has grown by a quarter since its last snapshot, and by enough to be worth it, is saved anew; the bytes of
//! its changes go once that was read back from the disk and compared. Growing in proportion keeps the cost of all saves
//! together in proportion to the number of changes.
//!
//! While sync is on, its thread does it when nothing has arrived: no edit waits for it, except for one of that very entity
//! while it is being saved. While sync is off there is no such thread, so an edit compacts its own entity, and never another,
//! unless that is large: then [`Driver::compact_all`] does, or sync once it is on.

use super::documents::{Busy, Documents, OpenEntity, Taken, lock};
use super::sync::Link;
use super::{Driver, EntityError};
use afield_core::{EntityId, Now};
use afield_store::{CheckedSnapshot, Covering, Snapshot, SnapshotError, StoreError};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, TryLockError};

/// How many changes have to come since the last snapshot: a save is many times smaller than its changes from about 40 on.
const GROWTH_MIN: usize = 64;
/// How many changes have to be there for [`Driver::compact_all`]: two saved documents are smaller than these.
const CHANGES_MIN: u64 = 16;
/// The largest document that is compacted in the time of an edit, in changes: some 50 ms, once in a thousand edits.
const IN_EDIT_CHANGES_MAX: u64 = 5_000;
/// How many entities are remembered that have grown; one more is noted again by its next edit.
const GROWN_MAX: usize = 4_096;

/// The entities that have grown.
pub(super) struct Growth {
    /// Those that are to be compacted.
    grown: Mutex<BTreeSet<EntityId>>,
    /// Those of which the relay had not confirmed everything when they were compacted: they are looked at again later.
    unconfirmed: Mutex<BTreeSet<EntityId>>,
    growth_min: AtomicUsize,
}

impl Default for Growth {
    fn default() -> Self {
        let (grown, unconfirmed) = Default::default();
        Self { grown, unconfirmed, growth_min: AtomicUsize::new(GROWTH_MIN) }
    }
}

/// How far [`crate::Replica::compact`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompactionProgress {
    /// Entities that are done.
    pub done: u64,
    /// Entities in all.
    pub total: u64,
}

/// What [`crate::Replica::compact`] has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Compacted {
    /// Entities that are held more compactly now.
    pub entities: u64,
    /// Changes whose bytes are kept in a snapshot alone now.
    pub changes: u64,
    /// Entities that were passed over since they are damaged or somebody edits them, or their snapshot would not do.
    pub passed_over: u64,
    /// The size of the store before, in bytes.
    pub bytes_before: u64,
    /// The size of the store afterwards, in bytes.
    pub bytes_after: u64,
}

/// An entity was not compacted; everything of it is as it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompactError {
    #[error(transparent)]
    Entity(#[from] EntityError),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error("the snapshot could not be stored")]
    Store(#[from] afield_store::EntityError),
    #[error("the engine could not save the document")]
    DoesNotSave,
}

impl CompactError {
    /// The store itself failed, so that going on with other entities makes no sense.
    fn into_store_error(self) -> Result<StoreError, Self> {
        let error = match self {
            Self::Entity(EntityError::Store(error))
            | Self::Snapshot(SnapshotError::Store(error))
            | Self::Store(afield_store::EntityError::Store(error)) => error,
            other => return Err(other),
        };
        if error.is_damage() { Err(Self::Entity(EntityError::Store(error))) } else { Ok(error) }
    }
}

impl Driver {
    /// Compacts what has grown by so many changes already, for tests of short histories.
    #[doc(hidden)]
    pub fn compact_from(&self, changes: usize) {
        self.growth.growth_min.store(changes, Ordering::Relaxed);
    }

    /// Remembers an open entity that has grown enough to be compacted.
    pub(super) fn note_growth(&self, open: &OpenEntity) {
        let enough = self.growth.growth_min.load(Ordering::Relaxed);
        if open.since_snapshot >= enough && open.since_snapshot as u64 >= open.document.change_count() / 4 {
            self.growth.note(open.document.entity());
        }
    }

    /// Whether [`Driver::compact_next`] has something to do.
    pub(super) fn wants_compaction(&self) -> bool {
        !lock(&self.growth.grown).is_empty()
    }

    /// Looks again, later on, at those of which the relay had not confirmed everything.
    pub(super) fn reconsider_compaction(&self) {
        let mut unconfirmed = std::mem::take(&mut *lock(&self.growth.unconfirmed));
        lock(&self.growth.grown).append(&mut unconfirmed);
    }

    /// Compacts one of the entities that have grown; one that cannot be is tried again when it has grown further.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub(super) fn compact_next(&self, now: Now) -> Result<(), StoreError> {
        let Some(entity) = lock(&self.growth.grown).pop_first() else { return Ok(()) };
        // Somebody may be editing it: then that edit notes it again.
        let Some(taken) = self.documents.try_take(entity) else { return Ok(()) };
        self.log_failure(entity, self.compact(taken, Patience::Waits, now))
    }

    /// Compacts an entity that was just edited, while there is nobody else to do it.
    pub(crate) fn compact_edited(&self, entity: EntityId, now: Now) {
        let is_grown = self.wants_compaction() && lock(&self.growth.grown).contains(&entity);
        if !is_grown || Documents::is_inside() {
            return;
        }
        let Some(taken) = self.documents.try_take(entity) else { return };
        if taken.open.as_ref().is_none_or(|open| open.document.change_count() > IN_EDIT_CHANGES_MAX) {
            return;
        }
        lock(&self.growth.grown).remove(&entity);
        // The edit is stored, whatever becomes of this; a store that fails now says so with the next one.
        if let Err(error) = self.log_failure(entity, self.compact(taken, Patience::None, now)) {
            tracing::error!(%entity, %error, "the store failed while the entity was compacted");
        }
    }

    /// Compacts every entity of which it saves room, one after the other, and then the file itself.
    ///
    /// # Errors
    ///
    /// The store failed. An entity that cannot be compacted is passed over.
    pub(crate) fn compact_all(
        &self,
        now: impl Fn() -> Now,
        mut progress: impl FnMut(CompactionProgress),
    ) -> Result<Compacted, StoreError> {
        let reader = lock(&self.store).reader();
        let mut done = Compacted { bytes_before: lock(&self.store).size_bytes()?, ..Compacted::default() };
        let entities = reader.compactable(CHANGES_MIN)?;
        let total = entities.len() as u64;
        for (number, entity) in (1..).zip(entities) {
            let compacted = match self.documents.take(entity) {
                Ok(taken) => self.compact(taken, Patience::Waits, now()),
                Err(Busy) => Err(EntityError::Busy { entity }.into()),
            };
            match compacted {
                Ok(0) => {}
                Ok(changes) => (done.entities, done.changes) = (done.entities + 1, done.changes + changes),
                failed => {
                    self.log_failure(entity, failed)?;
                    done.passed_over += 1;
                }
            }
            progress(CompactionProgress { done: number, total });
        }
        let mut store = lock(&self.store);
        store.shrink()?;
        done.bytes_after = store.size_bytes()?;
        Ok(done)
    }

    /// Saves an entity where anything came since the last time, reads that back and lets the bytes go that it covers;
    /// answers how many changes gave theirs up.
    fn compact(&self, taken: Taken<'_>, patience: Patience, now: Now) -> Result<u64, CompactError> {
        let entity = taken.entity();
        let mut taken = self.load(taken, now)?;
        let Some(open) = taken.open.as_deref_mut() else { return Ok(0) };
        let is_saved = open.since_snapshot == 0;
        if !is_saved {
            // Nothing is known that passes the guarded apply and cannot be saved; this is for the unknown.
            let saved = catch_unwind(AssertUnwindSafe(|| open.document.save()));
            let bytes = saved.map_err(|_| CompactError::DoesNotSave)?;
            let snapshot = Snapshot { heads: open.document.heads(), changes: open.document.change_count(), bytes };
            let mut store = lock(&self.store);
            if !self.documents.are_current([&taken]) {
                // What memory holds is not what is stored any more.
                return Ok(0);
            }
            let _ = store.save_snapshot(entity, &snapshot)?;
            drop(store);
            if let Some(open) = taken.open.as_deref_mut() {
                open.since_snapshot = 0;
            }
        }
        // From here on it may be edited: what comes now is not covered.
        drop(taken);
        let reader = lock(&self.store).reader();
        let checked = match reader.check_snapshot(entity) {
            Ok(checked) => checked,
            Err(SnapshotError::Missing { .. }) if is_saved => return Ok(0),
            Err(error) => {
                if !matches!(error, SnapshotError::Store(_)) {
                    let _ = lock(&self.store).drop_snapshot(entity)?;
                }
                return Err(error.into());
            }
        };
        self.cover(entity, checked, patience)
    }

    /// Lets the bytes go, in steps that others may come between.
    fn cover(&self, entity: EntityId, mut checked: CheckedSnapshot, patience: Patience) -> Result<u64, CompactError> {
        let mut changes = 0;
        loop {
            // Held so that no session starts in between: it would pass over what changes its place in the outbox.
            let sync = match (patience, self.sync.try_lock()) {
                (_, Ok(sync)) => sync,
                (Patience::Waits, _) | (_, Err(TryLockError::Poisoned(_))) => lock(&self.sync),
                (Patience::None, Err(TryLockError::WouldBlock)) => {
                    self.growth.note(entity);
                    return Ok(changes);
                }
            };
            let covering = if matches!(sync.link, Link::Up { .. }) { Covering::Marked } else { Covering::All };
            let covered = lock(&self.store).cover(&mut checked, covering)?;
            drop(sync);
            changes += covered.changes;
            if covered.is_done {
                if covered.awaits_marks {
                    self.growth.note_unconfirmed(entity);
                }
                return Ok(changes);
            }
        }
    }

    /// Logs what concerns the entity alone.
    ///
    /// # Errors
    ///
    /// The store failed.
    fn log_failure(&self, entity: EntityId, compacted: Result<u64, CompactError>) -> Result<(), StoreError> {
        let Err(error) = compacted else { return Ok(()) };
        let error = match error.into_store_error() {
            Ok(error) => return Err(error),
            Err(error) => error,
        };
        tracing::warn!(%entity, %error, "the entity could not be compacted; nothing of it has changed");
        Ok(())
    }
}

impl Growth {
    pub(super) fn note(&self, entity: EntityId) {
        note_in(&self.grown, entity);
    }

    fn note_unconfirmed(&self, entity: EntityId) {
        note_in(&self.unconfirmed, entity);
    }
}

fn note_in(entities: &Mutex<BTreeSet<EntityId>>, entity: EntityId) {
    let mut entities = lock(entities);
    if entities.len() < GROWN_MAX {
        entities.insert(entity);
    }
}

/// Whether somebody may be kept waiting for sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    Waits,
    None,
}
