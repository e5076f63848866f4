//! Who waits for the relay's word about a change.

use super::documents::lock;
use afield_core::{ChangeHash, EntityId};
use std::collections::BTreeMap;
use std::sync::Mutex;
use tokio::sync::oneshot;

/// What became of a change at the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acknowledged {
    /// The relay has it on stable storage.
    Durable,
    /// The relay refused it, or an earlier change of its entity.
    Refused(afield_core::wire::ChunkCode),
    /// The direction of its collection keeps it here.
    HeldBack,
}

/// Waiters by change.
#[derive(Debug, Default)]
pub(super) struct Acknowledgements {
    waiters: Mutex<BTreeMap<ChangeHash, OfChange>>,
}

/// The entity of a change, and who waits for the word about it.
type OfChange = (EntityId, Vec<oneshot::Sender<Acknowledged>>);

impl Acknowledgements {
    /// Registers interest in a change. Register first and look into the store second, so that nothing falls between.
    pub(super) fn wait(&self, entity: EntityId, hash: ChangeHash) -> oneshot::Receiver<Acknowledged> {
        let (sender, receiver) = oneshot::channel();
        let mut waiters = lock(&self.waiters);
        let (_, of_change) = waiters.entry(hash).or_insert_with(|| (entity, Vec::new()));
        of_change.retain(|waiter| !waiter.is_closed());
        of_change.push(sender);
        receiver
    }

    /// Tells those who wait for any of the changes that the relay has them.
    pub(super) fn tell_durable(&self, hashes: impl IntoIterator<Item = ChangeHash>) {
        // The common case takes the lock once and looks nothing up.
        if !lock(&self.waiters).is_empty() {
            hashes.into_iter().for_each(|hash| self.tell(hash, Acknowledged::Durable));
        }
    }

    /// Drops the senders of those who wait for changes of entities that are gone, which tells them so.
    pub(super) fn forget(&self, is_gone: impl Fn(EntityId) -> bool) {
        lock(&self.waiters).retain(|_, (entity, _)| !is_gone(*entity));
    }

    /// Drops the senders of those who wait for a change that is not here any more, which tells them so.
    pub(super) fn forget_change(&self, hash: ChangeHash) {
        drop(lock(&self.waiters).remove(&hash));
    }

    /// The changes that somebody waits for.
    pub(super) fn waited_for(&self) -> Vec<(EntityId, ChangeHash)> {
        lock(&self.waiters).iter().map(|(hash, (entity, _))| (*entity, *hash)).collect()
    }

    /// Tells those who wait for the change.
    pub(super) fn tell(&self, hash: ChangeHash, word: Acknowledged) {
        for waiter in lock(&self.waiters).remove(&hash).into_iter().flat_map(|(_, waiters)| waiters) {
            // A waiter that gave up has dropped its end, which is no failure.
            let _ = waiter.send(word);
        }
    }
}
