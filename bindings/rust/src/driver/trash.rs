//! The trash: what has been there for long enough is purged, and what others may have restored meanwhile only once the relay has said that
//! everything is here.

use super::documents::lock;
use super::purge::{Purging, Traces};
use super::sync::Synchronization;
use super::{Driver, DriverError, EntityError};
use afield_core::{EntityId, ErasureReason, Now, SpaceId};
use afield_store::{ConflictQuery, Expired, PurgeError, Purged};

impl Driver {
    /// Purges entities that were in the trash for long enough when somebody looked, and are still: a restore may have come since.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Driver, EntityId, Entropy, Existence, Now, SpaceId, Target, Value};
    /// # use afield_core::document::DELETED_KEY;
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
    /// # driver.edit(&target, now, |edit| edit.put("title", "Milk"))?;
    /// # let month_ms = 30 * 86_400_000_u64;
    /// let deleted = Value::Timestamp(now.wall_ms);
    /// driver.edit(&target, now, |edit| edit.put(DELETED_KEY, deleted))?;
    /// let look = |now: Now| driver.with_store(|store| store.expired(space, month_ms, false, now.wall_ms));
    /// assert!(look(now)?.entities.is_empty()); // it is known as deleted from now on
    ///
    /// let after = |days: i64| Now { wall_ms: now.wall_ms + days * 86_400_000, ..now };
    /// for days in 1..30 {
    ///     assert!(look(after(days))?.entities.is_empty()); // no look counts for more than a day
    /// }
    /// let expired = look(after(31))?.entities;
    /// let purged = driver.purge_expired(space, &expired, month_ms, after(31))?;
    /// assert_eq!(purged.entities, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// No such space is here, or the store failed; then nothing is purged.
    pub fn purge_expired(
        &self,
        space: SpaceId,
        entities: &[EntityId],
        keep_ms: u64,
        now: Now,
    ) -> Result<Purged, PurgeError> {
        let mut sync = self.turn();
        let purging = Purging::Expired { among: Some(entities), keep_ms, is_in_step: false };
        let purged = self.purge_with(&mut sync, space, purging, ErasureReason::TRASH, now)?;
        drop(sync);
        self.erase_traces(now);
        Ok(purged)
    }

    /// What has been in the trash of a space for so long, with what has to be known for that brought up to date first.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub(crate) fn expired(&self, space: SpaceId, keep_ms: u64, now: Now) -> Result<Expired, EntityError> {
        self.project_deleted(space, now)?;
        let find = || lock(&self.store).expired(space, keep_ms, false, now.wall_ms);
        let found = find()?;
        if found.unclear.is_empty() {
            return Ok(found);
        }
        for entity in found.unclear {
            self.refresh_conflicts(&ConflictQuery { space, collection: None, entity: Some(entity) }, now)?;
        }
        Ok(find()?)
    }

    /// Projects the deleted entities of a space of which it was left for whoever reads them: until then nobody knows when anything
    /// last happened to them, and the trash would keep them for ever.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub(crate) fn project_deleted(&self, space: SpaceId, now: Now) -> Result<(), EntityError> {
        let stale = lock(&self.store).reader().stale_deleted(space)?;
        for entity in stale {
            match self.refresh_projection(entity, now) {
                // What cannot be opened stays where it is.
                Err(error) if !error.is_of_this_entity_alone() => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Asks the relay whether everything is here, where a session stands, so that what waits in the trash for that word is purged.
    /// Without one the next session brings it.
    ///
    /// # Errors
    ///
    /// The store failed; the session ended and is tried again later.
    pub(crate) fn ask_for_trash(&self, now: Now) -> Result<(), DriverError> {
        let mut sync = self.turn();
        self.ask_whether_all_is_here(&mut sync, now);
        let result = self.pump(&mut sync, now);
        self.finish(&mut sync, result, now)
    }

    /// Purges what waited in the trash for the word of the relay that everything is here: it has come, and everything is merged.
    pub(super) fn empty_told_trash(&self, sync: &mut Synchronization, now: Now) -> Result<(), DriverError> {
        let told = sync.told_of_everything();
        // Who only looks purges nothing: it shows what others have done.
        for space in told.into_iter().filter(|_| self.looks.is_none()) {
            let Some(keep_ms) = lock(&self.store).wants_trash_emptied(space)? else { continue };
            let purging = Purging::Expired { among: None, keep_ms, is_in_step: true };
            match self.purge_with(sync, space, purging, ErasureReason::TRASH, now) {
                Ok(purged) if purged.entities > 0 => *lock(&self.traces) = Traces::Due { waited_ms: 0 },
                Ok(_) => {}
                Err(PurgeError::Store(error)) => return Err(error.into()),
                Err(error) => tracing::warn!(%space, %error, "the trash was not emptied"),
            }
        }
        Ok(())
    }
}
