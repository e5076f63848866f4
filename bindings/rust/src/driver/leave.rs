//! Leaving a space: it ends in the store, in memory and in sync at once.

use super::documents::lock;
use super::{Driver, NotInStep};
use afield_core::wire::Class;
use afield_core::{Now, SpaceId};
use afield_store::{Left, SpaceError, Unsent};

impl Driver {
    /// Removes a space with all that is held of it. A session that runs ends, and the next one begins without it.
    ///
    /// Answers what was removed, and whether the file was rebuilt so that nothing of it can be read there any more.
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
        let is_erased = store.shrink().unwrap_or_else(|error| {
            tracing::warn!(%space, %error, "the space is left, but the file could not be rebuilt without its traces");
            false
        });
        drop(store);
        lock(&self.edited).remove(&space);
        let reason = "the space was left".to_owned();
        self.disappoint_fetchers(space, &NotInStep { reason, class: Class::Permanent });
        if sync.spaces.remove(&space).is_some() {
            self.restart_session(&mut sync, now);
        }
        Ok((left, is_erased))
    }
}
