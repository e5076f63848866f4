//! Who waits for the relay's word about a change.

use super::documents::lock;
use afield_core::ChangeHash;
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
}

/// Waiters by change.
#[derive(Debug, Default)]
pub(super) struct Acknowledgements {
    waiters: Mutex<BTreeMap<ChangeHash, Vec<oneshot::Sender<Acknowledged>>>>,
}

impl Acknowledgements {
    /// Registers interest in a change. Register first and look into the store second, so that nothing falls between.
    pub(super) fn wait(&self, hash: ChangeHash) -> oneshot::Receiver<Acknowledged> {
        let (sender, receiver) = oneshot::channel();
        let mut waiters = lock(&self.waiters);
        let of_change = waiters.entry(hash).or_default();
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

    /// Tells those who wait for the change.
    pub(super) fn tell(&self, hash: ChangeHash, word: Acknowledged) {
        for waiter in lock(&self.waiters).remove(&hash).into_iter().flatten() {
            // A waiter that gave up has dropped its end, which is no failure.
            let _ = waiter.send(word);
        }
    }
}
