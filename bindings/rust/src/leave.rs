//! Leaving a space, and why its changes are refused: what a person does who looks after a store.

use crate::error::{SpaceError, SyncError};
use crate::replica::Replica;
use crate::status;
use afield_core::SpaceId;
use afield_core::wire::{ChunkCode, Class};
use afield_store::StoreError;

impl Replica {
    /// Leaves a space that holds nothing here and was never on a relay, such as one that was joined by a mistyped id.
    /// Switch sync off before.
    ///
    /// # Errors
    ///
    /// [`SpaceError::InUse`] when the space holds entities or has been on a relay, or while sync is on; no such space is
    /// here, or the store failed.
    pub fn leave_space(&self, id: SpaceId) -> Result<(), SpaceError> {
        if self.is_connected() {
            return Err(SpaceError::InUse(id));
        }
        match self.shared.driver.with_store(|store| store.remove_empty_space(id)) {
            Ok(_) => Ok(()),
            Err(afield_store::SpaceError::UnknownSpace { .. }) => Err(SpaceError::Unknown(id)),
            Err(afield_store::SpaceError::SpaceInUse { .. }) => Err(SpaceError::InUse(id)),
            Err(error) => Err(error.into()),
        }
    }

    /// Why the relay refuses changes, and of how many entities each.
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn refusals(&self) -> Result<Vec<(ChunkCode, u64)>, StoreError> {
        let spaces = self.shared.reader.spaces()?;
        status::refusals(&self.shared.reader, spaces.into_iter().map(|record| record.space))
    }

    /// That the relay refuses nothing.
    pub(crate) fn refused(&self) -> Result<(), SyncError> {
        let failed = |error: StoreError| SyncError::Failed { reason: error.to_string(), class: error.class() };
        let refusals = self.refusals().map_err(failed)?;
        let entities = refusals.iter().map(|(_, entities)| usize::try_from(*entities).unwrap_or(usize::MAX)).sum();
        // What keeps the others back is not worth more than the one that somebody can do something about.
        match refusals.into_iter().max_by_key(|(code, _)| code.class() == Class::Quota) {
            None => Ok(()),
            Some((code, _)) => Err(SyncError::Refused { entities, code }),
        }
    }
}
