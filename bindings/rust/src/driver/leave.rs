//! Leaving a space: it ends in the store, in memory and in sync at once.

use super::documents::lock;
use super::{Driver, NotInStep};
use afield_core::wire::Class;
use afield_core::{Now, SpaceId};
use afield_store::{Left, SpaceError, Store, StoreError, Unsent};

/// The size up to which a store is rebuilt when a space is left, in bytes, whatever became free: some 100 ms.
const REBUILT_ANYWAY_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// The share of a larger one that has to be free.
const FREE_PARTS_OF: u64 = 4;

impl Driver {
    /// Removes a space with all that is held of it. A session that runs ends, and the next one begins without it.
    ///
    /// Answers what was removed, and whether the file was rebuilt so that nothing of it can be read there any more. What was
    /// removed is overwritten in any case; what had been deleted before may be readable in a file that was not rebuilt.
    ///
    /// # Errors
    ///
    /// No such space is here, it has changes that no relay holds and that are to be kept, or the store failed; then
    /// nothing has changed.
    pub(crate) fn leave_space(&self, space: SpaceId, unsent: Unsent, now: Now) -> Result<(Left, bool), SpaceError> {
        let mut sync = lock(&self.sync);
        let mut store = lock(&self.store);
        let mut of_space = Vec::new();
        for entity in self.documents.known() {
            // What the store does not know yet is being made; it is refused when it is to be stored.
            if store.home(entity)?.is_none_or(|home| home.space == space) {
                of_space.push(entity);
            }
        }
        let left = store.leave_space(space, unsent)?.into_inner();
        // While the store is locked, so that nothing of it can be stored again.
        self.documents.forget(&of_space);
        drop(store);
        lock(&self.edited).remove(&space);
        self.forget_seen(Some(space));
        self.forget_presence(Some(space));
        self.forget_guards_of(space);
        self.disappoint_those_who_wait_for(space);
        sync.plans.remove(&space);
        sync.aside.remove(&space);
        if sync.spaces.remove(&space).is_some() {
            self.restart_session(&mut sync, now);
        }
        // What comes now takes long and concerns nobody else's space.
        drop(sync);
        let is_erased = self.rebuild_when_worth_it().unwrap_or_else(|error| {
            tracing::warn!(%space, %error, "the space is left, but the file could not be rebuilt without its traces");
            false
        });
        Ok((left, is_erased))
    }

    pub(super) fn rebuild_when_worth_it(&self) -> Result<bool, StoreError> {
        let mut store = lock(&self.store);
        if !is_worth_rebuilding(&store)? {
            // What the transaction overwrote stands in the WAL as it was until then.
            let is_empty = store.empty_wal()?;
            tracing::debug!(is_empty, "the store is not rebuilt: little of it became free");
            return Ok(false);
        }
        let is_erased = store.shrink()?;
        self.growth.end_rest();
        Ok(is_erased)
    }

    /// Tells those who wait for something of a space that it is gone.
    fn disappoint_those_who_wait_for(&self, space: SpaceId) {
        let not = NotInStep { reason: "the space was left".to_owned(), class: Class::Permanent };
        self.disappoint_fetchers(space, &not);
        let store = lock(&self.store);
        // Where the store cannot be read, they are told when it can be.
        self.acknowledgements.forget(|entity| store.home(entity).is_ok_and(|home| home.is_none()));
        drop(store);
        if let Err(error) = self.tell_sightings() {
            tracing::warn!(%space, %error, "who waits for another device to have a change was not told that it is gone");
        }
    }
}

fn is_worth_rebuilding(store: &Store) -> Result<bool, StoreError> {
    let bytes = store.size_bytes()?;
    Ok(bytes <= REBUILT_ANYWAY_BYTES_MAX || store.free_bytes()? >= bytes / FREE_PARTS_OF)
}
