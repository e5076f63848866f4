//! Purging: an entity ends in the store, in memory and in sync at once, whoever asked for it.

use super::documents::lock;
use super::sync::Synchronization;
use super::{Driver, DriverError};
use crate::status::SyncEvent;
use afield_core::session::ReceivedErasure;
use afield_core::{Collection, EntityId, ErasureReason, Now, SpaceId};
use afield_store::{PurgeError, Purged, Store, StoreError};

/// How long after an attempt to empty the WAL the next one is made, in milliseconds, when somebody was reading: at first, and at the most.
/// SQLite waits some seconds for readers each time, and edits with it.
const TRACES_WAIT_MIN_MS: u64 = 60_000;
const TRACES_WAIT_MAX_MS: u64 = 3_600_000;

/// Whether pages of the file, or its WAL, may still hold what was purged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Traces {
    /// They hold nothing.
    #[default]
    None,
    /// They may, and it is time to look, after so long a wait.
    Due { waited_ms: u64 },
    /// They do, and are looked at again at this moment of the monotonic clock, after so long a wait.
    Later { at_ms: u64, wait_ms: u64 },
}

/// What is purged.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purging<'e> {
    /// These.
    These(&'e [EntityId]),
    /// What has been in the trash for so long and is this device's to purge, of these or all: a restore may have come since somebody looked.
    Expired { among: Option<&'e [EntityId]>, keep_ms: u64, is_in_step: bool },
}

impl Driver {
    /// Erases entities of a space from this device and puts their erasure records into the outbox, which takes them to the relay and
    /// to every other device.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Driver, EntityId, Entropy, Existence, Now, SpaceId, Target};
    /// # use afield::document::ErasureReason;
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// # let entity = EntityId::from_bytes([2; 16]);
    /// # let target = Target { space, collection: "notes".parse()?, entity, existence: Existence::Either };
    /// driver.edit(&target, now, |edit| edit.put("title", "Milk"))?;
    /// let purged = driver.purge(space, &[entity], ErasureReason::ASKED, now)?;
    /// assert_eq!(purged.entities, 1);
    /// let error = driver.read_document(&target, now, |_| ()).unwrap_err();
    /// assert_eq!(error.code(), "entity.purged");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// One of them is not in the space, or not this device's to purge ([`Store::may_purge`]), or the store failed; then nothing has changed.
    pub fn purge(
        &self,
        space: SpaceId,
        entities: &[EntityId],
        reason: ErasureReason,
        now: Now,
    ) -> Result<Purged, PurgeError> {
        let mut sync = self.turn();
        // Neither a role nor a direction changes while this has its turn.
        lock(&self.store).may_purge(space, entities)?;
        let purged = self.purge_with(&mut sync, space, Purging::These(entities), reason, now)?;
        drop(sync);
        // What comes now takes long, and concerns nobody else's entities.
        self.erase_traces(now);
        Ok(purged)
    }

    /// Erases what the relay says was purged, where anything of it is here.
    pub(super) fn purge_refused(
        &self,
        sync: &mut Synchronization,
        space: SpaceId,
        entities: &[EntityId],
        now: Now,
    ) -> Result<(), DriverError> {
        let mut here = Vec::new();
        for entity in entities {
            // It may have been purged here while it was on its way.
            let is_here = lock(&self.store).home(*entity)?.is_some_and(|home| home.space == space);
            if is_here && !self.hold_refused_purge(space, *entity, now)? {
                here.push(*entity);
            }
        }
        match self.purge_with(sync, space, Purging::These(&here), ErasureReason::ASKED, now) {
            Ok(_) => {}
            Err(PurgeError::Store(error)) => return Err(error.into()),
            Err(error) => tracing::warn!(%space, %error, "what the relay says was purged could not be erased"),
        }
        *lock(&self.traces) = Traces::Due { waited_ms: 0 };
        Ok(())
    }

    pub(super) fn purge_with(
        &self,
        sync: &mut Synchronization,
        space: SpaceId,
        purging: Purging<'_>,
        reason: ErasureReason,
        now: Now,
    ) -> Result<Purged, PurgeError> {
        let mut store = lock(&self.store);
        let entities = match purging {
            Purging::These(entities) => entities.to_vec(),
            Purging::Expired { among, keep_ms, is_in_step } => {
                let still = store.expired(space, keep_ms, is_in_step, now.wall_ms)?.entities;
                still.into_iter().filter(|entity| among.is_none_or(|among| among.contains(entity))).collect()
            }
        };
        if entities.is_empty() {
            return Ok(Purged::default());
        }
        let entities = entities.as_slice();
        let mut gone = Vec::new();
        for entity in entities {
            gone.extend(store.home(*entity)?.map(|home| (*entity, home.collection)));
        }
        let purged = store.purge(space, entities, reason, now.wall_ms)?.into_inner();
        // While the store is locked, so that nothing of them can be stored again.
        self.documents.forget(entities);
        empty_wal(&mut store);
        drop(store);
        self.tell_purged(sync, space, &gone);
        self.note_edit(space);
        Ok(purged)
    }

    /// Lets go of what memory holds of entities that the log says were purged; call it while the store is locked that has erased them.
    pub(super) fn forget_erased(&self, store: &mut Store, erased: &[EntityId]) {
        if !erased.is_empty() {
            self.documents.forget(erased);
            empty_wal(store);
            *lock(&self.traces) = Traces::Due { waited_ms: 0 };
        }
    }

    /// Tells of what a run of the log has erased here.
    pub(super) fn tell_erased(
        &self,
        sync: &mut Synchronization,
        space: SpaceId,
        (erased, erasures): (&[EntityId], &[ReceivedErasure]),
    ) {
        let of = |entity: &EntityId| erasures.iter().find(|erasure| erasure.record.entity == *entity);
        let gone: Vec<_> = erased.iter().filter_map(|entity| Some((*entity, of(entity)?.collection.clone()))).collect();
        self.tell_purged(sync, space, &gone);
    }

    pub(super) fn tell_purged(&self, sync: &mut Synchronization, space: SpaceId, gone: &[(EntityId, Collection)]) {
        if gone.is_empty() {
            return;
        }
        let is_gone = |entity: EntityId| gone.iter().any(|(one, _)| *one == entity);
        self.acknowledgements.forget(is_gone);
        self.forget_held(gone.iter().map(|(entity, _)| *entity));
        for (entity, collection) in gone {
            sync.unmerged.remove(entity);
            lock(&self.unfinished).remove(entity);
            self.observers.changed(space, collection, *entity);
            // Whatever was to be decided about it is gone with it.
            self.observers.conflicts_changed(space, *entity);
            tracing::info!(%space, %entity, "an entity was purged");
            sync.say(SyncEvent::Purged { space, entity: *entity });
        }
        if let Err(error) = self.tell_sightings() {
            tracing::warn!(%space, %error, "who waits for another device to have a change was not told that it is gone");
        }
    }

    /// Whether pages of the file, or its WAL, may still hold what was purged, and it is time to rebuild it.
    pub(super) fn are_traces_due(&self) -> bool {
        matches!(*lock(&self.traces), Traces::Due { .. })
    }

    /// When traces are to be looked at again that somebody who was reading kept, on the monotonic clock.
    pub(super) fn traces_due_ms(&self) -> Option<u64> {
        match *lock(&self.traces) {
            Traces::Later { at_ms, .. } => Some(at_ms),
            Traces::None | Traces::Due { .. } => None,
        }
    }

    /// Notes that it may be time to look at traces again.
    pub(super) fn look_at_traces(&self, now: Now) {
        let mut traces = lock(&self.traces);
        if let Traces::Later { at_ms, wait_ms } = *traces
            && at_ms <= now.monotonic_ms
        {
            *traces = Traces::Due { waited_ms: wait_ms };
        }
    }

    /// Rebuilds the file where that is worth it, so that nothing of what was purged can be read in it: SQLite overwrites what it deletes,
    /// but for copies that it made when it moved rows from page to page. What somebody who reads keeps in the WAL is tried again later.
    pub(super) fn erase_traces(&self, now: Now) {
        let waited_ms = std::mem::take(&mut *lock(&self.traces)).waited_ms();
        let is_wal_empty = self.rebuild_when_worth_it().map(|rebuilt| rebuilt.is_wal_empty);
        if let Err(error) = &is_wal_empty {
            tracing::warn!(%error, "what was purged is gone, but the file could not be rebuilt without its traces");
        }
        if !is_wal_empty.unwrap_or(false) {
            self.keep_traces(waited_ms, now);
        }
    }

    /// Notes that the WAL could not be emptied, after so long a wait.
    pub(super) fn keep_traces(&self, waited_ms: u64, now: Now) {
        let wait_ms = waited_ms.saturating_mul(2).clamp(TRACES_WAIT_MIN_MS, TRACES_WAIT_MAX_MS);
        let mut traces = lock(&self.traces);
        if *traces == Traces::None {
            *traces = Traces::Later { at_ms: now.monotonic_ms.saturating_add(wait_ms), wait_ms };
        }
    }
}

impl Traces {
    /// What a store that was just opened may hold: a WAL that nobody emptied, as when a process was killed.
    pub(super) fn of(store: &Store) -> Self {
        if store.had_wal() { Self::Due { waited_ms: 0 } } else { Self::None }
    }

    fn waited_ms(self) -> u64 {
        match self {
            Self::Due { waited_ms } | Self::Later { wait_ms: waited_ms, .. } => waited_ms,
            Self::None => 0,
        }
    }
}

/// Takes what was there before out of the WAL. A reader that is just reading keeps it until the next time.
fn empty_wal(store: &mut Store) {
    match store.empty_wal() {
        Ok(true) => {}
        Ok(false) => tracing::debug!("somebody reads the store: its WAL still holds what was purged"),
        Err(error) => {
            let error: StoreError = error;
            tracing::warn!(%error, "the WAL still holds what was purged");
        }
    }
}
