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
use afield_core::{ChangeHash, EntityId, Now};
use afield_store::{CheckedSnapshot, Covering, Snapshot, SnapshotError, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, TryLockError};

/// How many changes have to come since the last snapshot: a save is many times smaller than its changes from about 40 on.
const GROWTH_MIN: usize = 64;
/// How many changes have to be there for [`Driver::compact_all`]: two saved documents are smaller than these.
const CHANGES_MIN: u64 = 16;
/// The largest document that is compacted in the time of an edit, in changes: some 50 ms, once in a thousand edits.
const IN_EDIT_CHANGES_MAX: u64 = 5_000;
/// The same in bytes of its changes, for a few large ones take as long as many small ones.
const IN_EDIT_BYTES_MAX: u64 = 1024 * 1024;
/// How many entities are remembered that have grown; one more is noted again by its next edit.
const GROWN_MAX: usize = 4_096;

/// The entities that have grown.
pub(super) struct Growth {
    /// Those that are to be compacted.
    grown: Mutex<BTreeSet<EntityId>>,
    /// Those of which the relay had not confirmed everything when they were compacted, by the change whose mark they wait for.
    unconfirmed: Mutex<BTreeMap<ChangeHash, EntityId>>,
    growth_min: AtomicUsize,
    /// Whether there was no room for it, or the disk failed: nothing is tried again by itself before room was made.
    is_resting: AtomicBool,
}

impl Default for Growth {
    fn default() -> Self {
        let (grown, unconfirmed, is_resting) = Default::default();
        Self { grown, unconfirmed, growth_min: AtomicUsize::new(GROWTH_MIN), is_resting }
    }
}

/// How far [`crate::Replica::compact`] is.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// # let notes = home.collection::<()>("notes")?.json();
/// let id = notes.insert(&serde_json::json!({"n": 0}))?;
/// for n in 1..50 {
///     notes.edit(id, |note| note["n"] = n.into())?;
/// }
/// let mut seen = Vec::new();
/// replica.compact(|progress| seen.push((progress.done, progress.total)))?;
/// assert_eq!(seen.last(), Some(&(1, 1))); // the one entity
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompactionProgress {
    /// Entities that are done.
    pub done: u64,
    /// Entities in all.
    pub total: u64,
}

/// What [`crate::Replica::compact`] has done.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// # let notes = home.collection::<()>("notes")?.json();
/// let id = notes.insert(&serde_json::json!({"n": 0}))?;
/// for n in 1..50 {
///     notes.edit(id, |note| note["n"] = n.into())?;
/// }
/// let compacted = replica.compact(|_| ())?;
/// assert_eq!((compacted.entities, compacted.passed_over), (1, 0)); // nothing was damaged, or being edited
/// assert_eq!(notes.read(id)?["n"], 49);
/// # Ok(())
/// # }
/// ```
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
        !self.growth.is_resting() && !lock(&self.growth.grown).is_empty()
    }

    /// Looks again at the entities whose compaction ended at one of these changes, now that they are marked.
    pub(super) fn note_marked(&self, hashes: impl IntoIterator<Item = ChangeHash>) {
        let mut unconfirmed = lock(&self.growth.unconfirmed);
        if !unconfirmed.is_empty() {
            hashes.into_iter().filter_map(|hash| unconfirmed.remove(&hash)).for_each(|entity| self.growth.note(entity));
        }
    }

    /// Compacts one of the entities that have grown; one that cannot be is tried again when it has grown further.
    ///
    /// # Errors
    ///
    /// The store failed, and writes nothing until it is reloaded.
    pub(super) fn compact_next(&self, now: Now) -> Result<(), StoreError> {
        let Some(entity) = lock(&self.growth.grown).pop_first() else { return Ok(()) };
        // Somebody may be editing it: then that edit notes it again.
        let Some(taken) = self.documents.try_take(entity) else { return Ok(()) };
        self.rest_after_failure(entity, self.compact(taken, Patience::Waits, now))
    }

    /// Compacts an entity that was just edited, while there is nobody else to do it.
    pub(crate) fn compact_edited(&self, entity: EntityId, now: Now) {
        let is_grown = self.wants_compaction() && lock(&self.growth.grown).contains(&entity);
        if !is_grown || Documents::is_inside() {
            return;
        }
        let Some(taken) = self.documents.try_take(entity) else { return };
        // One that takes too long for an edit is left to sync, and noted again by the next edit that finds it grown.
        lock(&self.growth.grown).remove(&entity);
        if taken.open.as_ref().is_none_or(|open| open.document.change_count() > IN_EDIT_CHANGES_MAX)
            || lock(&self.store).bytes_of(entity).map_or(true, |bytes| bytes > IN_EDIT_BYTES_MAX)
        {
            return;
        }
        // The edit is stored, whatever becomes of this; a store that fails now says so with the next one.
        if let Err(error) = self.rest_after_failure(entity, self.compact(taken, Patience::None, now)) {
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
        // Sync may be waiting for what this thread has, so that waiting for sync could last for ever.
        let patience = if Documents::is_inside() { Patience::None } else { Patience::Waits };
        for (number, entity) in (1..).zip(entities) {
            let compacted = match self.documents.take(entity) {
                Ok(taken) => self.compact(taken, patience, now()),
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
        self.growth.end_rest();
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
                // The error has the lock already.
                (_, Err(TryLockError::Poisoned(poisoned))) => poisoned.into_inner(),
                (Patience::Waits, Err(TryLockError::WouldBlock)) => lock(&self.sync),
                (Patience::None, Err(TryLockError::WouldBlock)) => {
                    self.growth.note(entity);
                    return Ok(changes);
                }
            };
            let covering = if matches!(sync.link, Link::Up { .. }) { Covering::Marked } else { Covering::All };
            let covered = lock(&self.store).cover(&mut checked, covering)?;
            if let Some(hash) = covered.awaits_mark {
                // While no mark can come in between.
                self.growth.note_unconfirmed(entity, hash);
            }
            drop(sync);
            changes += covered.changes;
            if covered.is_done {
                return Ok(changes);
            }
        }
    }

    /// Logs what concerns the entity alone, and rests where the disk is full or fails. What was tried is undone, and edits go
    /// on where the store does.
    ///
    /// # Errors
    ///
    /// The store failed, and writes nothing until it is reloaded.
    fn rest_after_failure(&self, entity: EntityId, compacted: Result<u64, CompactError>) -> Result<(), StoreError> {
        let Err(error) = self.log_failure(entity, compacted) else { return Ok(()) };
        self.growth.rest_after(&error);
        if lock(&self.store).is_poisoned() {
            return Err(error);
        }
        tracing::warn!(%entity, %error, "the entity could not be compacted; nothing of it has changed");
        Ok(())
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
        let mut grown = lock(&self.grown);
        if grown.len() < GROWN_MAX {
            grown.insert(entity);
        }
    }

    fn note_unconfirmed(&self, entity: EntityId, awaited: ChangeHash) {
        let mut unconfirmed = lock(&self.unconfirmed);
        if unconfirmed.len() < GROWN_MAX {
            unconfirmed.insert(awaited, entity);
        }
    }

    /// Whether nothing is compacted, or saved for quicker opening, by itself.
    pub(super) fn is_resting(&self) -> bool {
        self.is_resting.load(Ordering::Relaxed)
    }

    /// Begins to rest where the disk is full or fails: what is tried again at once fails again.
    pub(super) fn rest_after(&self, error: &StoreError) {
        if matches!(error, StoreError::DiskFull(_) | StoreError::Io(_))
            && !self.is_resting.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(%error, "nothing is compacted by itself until room was made or the store is opened anew");
        }
    }

    /// Goes on once there is room.
    pub(super) fn end_rest(&self) {
        self.is_resting.store(false, Ordering::Relaxed);
    }
}

/// Whether somebody may be kept waiting for sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    Waits,
    None,
}
