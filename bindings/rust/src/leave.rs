//! Leaving a space, and why its changes are refused: what a person does who looks after a store.

use crate::driver::{Driver, NotInStep};
use crate::error::{SpaceError, SyncError};
use crate::replica::Replica;
use crate::space::Space;
use crate::status;
use afield_core::SpaceId;
use afield_core::wire::{ChunkCode, Class};
use afield_store::{StoreError, Unsent};

/// What was removed with a space that was left.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// # let notes = home.collection::<()>("notes")?.json();
/// notes.insert(&serde_json::json!({"title": "Milk"}))?;
/// let left = replica.leave_space_discarding(home.id())?;
/// assert_eq!((left.entities, left.changes, left.unsent), (1, 1, 1)); // what is gone, since no relay had it
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeftSpace {
    /// Entities, deleted ones included.
    pub entities: u64,
    /// Changes.
    pub changes: u64,
    /// Those of them that no relay was known to hold; 0 unless they were to be discarded.
    pub unsent: u64,
    /// Whether the store file was rebuilt, so that nothing of the space can be read in it any more. A full disk, or another
    /// process that was just reading, prevents that, and a large store of which the space was a small part is not rebuilt
    /// unasked; [`Replica::compact`] does it later.
    pub is_erased: bool,
}

impl Replica {
    /// Leaves a space: everything of it is removed from this device, and from the store file, and its sync stops. Other
    /// devices and the relay keep it, and joining it again brings it back.
    ///
    /// Handles of the space and what is in it find nothing any more.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use afield::{Replica, SpaceError};
    ///
    /// let replica = Replica::open_in_memory()?;
    /// let space = replica.create_space("Home")?;
    /// space.collection::<()>("notes")?.json().insert(&serde_json::json!({"title": "never synced"}))?;
    ///
    /// assert!(matches!(replica.leave_space(space.id()), Err(SpaceError::Unsent { changes: 1, .. })));
    /// let left = replica.leave_space_discarding(space.id())?;
    /// assert_eq!((left.entities, left.unsent), (1, 1));
    /// assert!(replica.spaces()?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SpaceError::Unsent`] says how many changes no relay is known to hold, and nothing is removed then; no such space
    /// is here, or the store failed.
    pub fn leave_space(&self, id: SpaceId) -> Result<LeftSpace, SpaceError> {
        self.leave(id, Unsent::Keep)
    }

    /// Leaves a space as [`Replica::leave_space`] does, also where it has changes that no relay is known to hold: these are
    /// gone for good, unless another device holds them.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// home.collection::<()>("notes")?.json().insert(&serde_json::json!({ "title": "never synced" }))?;
    /// let left = replica.leave_space_discarding(home.id())?;
    /// assert_eq!((left.entities, left.unsent), (1, 1));
    /// assert!(replica.space(home.id()).is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// No such space is here, or the store failed.
    pub fn leave_space_discarding(&self, id: SpaceId) -> Result<LeftSpace, SpaceError> {
        self.leave(id, Unsent::Discard)
    }

    fn leave(&self, id: SpaceId, unsent: Unsent) -> Result<LeftSpace, SpaceError> {
        if Driver::is_inside_an_edit() {
            return Err(SpaceError::Nested);
        }
        let left = self.shared.driver.leave_space(id, unsent, self.shared.now());
        self.shared.wake();
        match left {
            Ok((left, is_erased)) => {
                let afield_store::Left { entities, changes, unsent } = left;
                Ok(LeftSpace { entities, changes, unsent, is_erased })
            }
            Err(afield_store::SpaceError::UnknownSpace { .. }) => Err(SpaceError::Unknown(id)),
            Err(afield_store::SpaceError::UnsentChanges { space, changes }) => {
                Err(SpaceError::Unsent { space, changes })
            }
            Err(afield_store::SpaceError::OnlyCopy { space, changes }) => Err(SpaceError::OnlyCopy { space, changes }),
            Err(error) => Err(error.into()),
        }
    }

    /// Why the relay refuses changes, and of how many entities each.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// for (code, entities) in replica.refusals()? {
    ///     println!("changes of {entities} entities wait here: {code}");
    /// }
    /// assert!(replica.refusals()?.is_empty()); // no relay was asked yet
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn refusals(&self) -> Result<Vec<(ChunkCode, u64)>, StoreError> {
        let spaces = self.shared.reader.spaces()?;
        status::refusals(&self.shared.reader, spaces.into_iter().map(|record| record.space))
    }

    /// That no deletion waits to be confirmed: the first that does is told of.
    pub(crate) fn nothing_held(&self) -> Result<(), SyncError> {
        let failed = |error: StoreError| SyncError::from(NotInStep::new(error.to_string(), error.class()));
        let (reader, now) = (&self.shared.reader, self.shared.now());
        for record in reader.spaces().map_err(failed)? {
            let space = record.space;
            let sent = reader.held_to_send(space, now.wall_ms).map_err(failed)?.len() as u64;
            let here = reader.held_deletions(space).map_err(failed)?.iter().filter(|held| held.is_over).count() as u64;
            match (sent, here) {
                (0, 0) => {}
                (0, deletions) => return Err(SyncError::Held { space, deletions, received: true }),
                (deletions, _) => return Err(SyncError::Held { space, deletions, received: false }),
            }
        }
        Ok(())
    }

    /// That the relay refuses nothing.
    pub(crate) fn refused(&self) -> Result<(), SyncError> {
        let failed = |error: StoreError| SyncError::from(NotInStep::new(error.to_string(), error.class()));
        let refusals = self.refusals().map_err(failed)?;
        let entities = refusals.iter().map(|(_, entities)| usize::try_from(*entities).unwrap_or(usize::MAX)).sum();
        // What keeps the others back is not worth more than the one that somebody can do something about.
        match refusals.into_iter().max_by_key(|(code, _)| code.class() == Class::Quota) {
            None => Ok(()),
            Some((code, _)) => Err(SyncError::Refused { entities, code }),
        }
    }
}

impl Space {
    /// Leaves the space, as [`Replica::leave_space`] does.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// let trial = replica.create_space("Trial")?;
    /// assert_eq!(trial.leave()?.entities, 0);
    /// assert_eq!(replica.spaces()?.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Replica::leave_space`].
    pub fn leave(self) -> Result<LeftSpace, SpaceError> {
        Replica::on_shared(&self.shared).leave_space(self.id())
    }
}
