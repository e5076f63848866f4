//! Who waits until another device has a change.

use super::Driver;
use super::documents::lock;
use afield_core::{ChangeHash, EntityId, Sequence, SpaceId};
use afield_store::{Store, StoreError};
use std::collections::BTreeMap;
use std::sync::Mutex;
use tokio::sync::oneshot;

/// How far other devices have the logs, as this session was told, and who waits for more.
#[derive(Debug, Default)]
pub(super) struct Sightings {
    seen: Mutex<BTreeMap<SpaceId, Sequence>>,
    waiters: Mutex<Vec<Waiter>>,
}

#[derive(Debug)]
struct Waiter {
    entity: EntityId,
    hash: ChangeHash,
    sender: oneshot::Sender<()>,
}

impl Driver {
    /// Where the word will arrive that another device has stored a change, which has to be in the log.
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub(crate) fn seen_elsewhere(
        &self,
        entity: EntityId,
        hash: ChangeHash,
    ) -> Result<oneshot::Receiver<()>, StoreError> {
        let (sender, receiver) = oneshot::channel();
        lock(&self.sightings.waiters).push(Waiter { entity, hash, sender });
        self.tell_sightings()?;
        Ok(receiver)
    }

    /// Notes how far another device has a log.
    pub(super) fn note_seen(&self, space: SpaceId, sequence: Sequence) -> Result<(), StoreError> {
        lock(&self.sightings.seen).insert(space, sequence);
        self.tell_sightings()
    }

    /// Forgets how far others have the log of a space, or any log: a relay says it anew in every session.
    pub(super) fn forget_seen(&self, space: Option<SpaceId>) {
        let mut seen = lock(&self.sightings.seen);
        match space {
            Some(space) => drop(seen.remove(&space)),
            None => seen.clear(),
        }
    }

    /// Tells those who wait for what another device has by now.
    pub(super) fn tell_sightings(&self) -> Result<(), StoreError> {
        // Nearly always nobody waits, and nothing is looked up.
        let waiters = std::mem::take(&mut *lock(&self.sightings.waiters));
        let mut rest = Vec::new();
        let mut result = Ok(());
        for waiter in waiters.into_iter().filter(|waiter| !waiter.sender.is_closed()) {
            match self.is_seen(&lock(&self.store), &waiter) {
                Ok(Some(true)) => drop(waiter.sender.send(())),
                Ok(Some(false)) => rest.push(waiter),
                // Its sender is dropped, which says so.
                Ok(None) => {}
                Err(error) => {
                    rest.push(waiter);
                    result = Err(error);
                }
            }
        }
        lock(&self.sightings.waiters).append(&mut rest);
        result
    }

    /// Whether another device has what somebody waits for; `None` when it is not here any more.
    fn is_seen(&self, store: &Store, waiter: &Waiter) -> Result<Option<bool>, StoreError> {
        // Not the change itself: a covered one costs the loading of its entity's snapshot.
        let standing = store.standing(waiter.entity, waiter.hash)?;
        let (Some(home), Some((_, mark))) = (store.home(waiter.entity)?, standing) else { return Ok(None) };
        let seen = lock(&self.sightings.seen).get(&home.space).copied();
        Ok(Some(mark.is_some_and(|sequence| Some(sequence) <= seen)))
    }
}
