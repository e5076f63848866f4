//! Devices that ask to be in step with the relay, and what the answer has to mean.

use super::check::Violation;
use super::purge::record_of;
use super::{ChangeId, Device, World};
use afield::{EntityId, NotInStep};
use std::collections::BTreeSet;
use tokio::sync::oneshot;

/// Somebody on a device who waits to be in step with the relay.
pub(super) struct Question {
    answer: oneshot::Receiver<Result<(), NotInStep>>,
    /// What stood in the relay's log when it was asked, and what the device held.
    stored: BTreeSet<ChangeId>,
    held: BTreeSet<ChangeId>,
    /// How often the relay's database had been replaced by then.
    replaced: u64,
}

impl World {
    /// Asks a device to be in step with the relay. When it says that it is, it has to hold what the log holds now, and
    /// the log what the device holds now.
    pub fn sync_now(&mut self, device: Device) {
        let now = self.now_on(device);
        let stored = self.record.present().map(|present| present.changes().keys().copied().collect());
        let (stored, replaced, held) = (stored.unwrap_or_default(), self.replaced, self.holdings(device));
        let Some(driver) = self.driver(device) else { return };
        let answer = driver.when_in_step();
        let failed = driver.hurry(now).is_err();
        self.devices[device.0].questions.push(Question { answer, stored, held, replaced });
        if failed {
            self.crash_or_reload(device);
        }
        self.drain(device);
    }

    /// Whether somebody on a device still waits to be in step.
    pub fn is_asking(&self, device: Device) -> bool {
        !self.devices[device.0].questions.is_empty()
    }

    /// Takes the answers, and checks those that say that everything is there.
    pub(super) fn take_answers(&mut self, device: Device) {
        let mut answered = Vec::new();
        self.devices[device.0].questions.retain_mut(|question| match question.answer.try_recv() {
            Err(oneshot::error::TryRecvError::Empty) => true,
            Err(oneshot::error::TryRecvError::Closed) | Ok(Err(_)) => false,
            Ok(Ok(())) => {
                let (stored, held) = (std::mem::take(&mut question.stored), std::mem::take(&mut question.held));
                answered.push((stored, held, question.replaced));
                false
            }
        });
        let replaced = self.replaced;
        // What the relay has lost since is not to be had from it.
        answered.retain(|(_, _, before)| *before == replaced);
        for (stored, held, _) in answered {
            let asked = self.driver(device).map(|driver| self.asked(driver));
            let is_wanted = |entity: &EntityId| {
                let collection = self.collections.get(entity);
                collection.zip(asked.as_ref()).is_none_or(|(collection, asked)| asked.must_have(*entity, collection))
            };
            let holdings = self.holdings(device);
            let is_here = |change: &&ChangeId| self.is_purged_for(&holdings, change.0) || !is_wanted(&change.0);
            if let Some((entity, hash)) = stored.difference(&holdings).find(|change| !is_here(change)) {
                let found = format!("device {} says it is in step, without {hash} of {entity}", device.0);
                self.find(Violation::of("R9", found));
            }
            let log = self.record.present().map(|present| present.changes());
            let is_logged = |change: &&ChangeId| {
                log.is_some_and(|log| log.contains_key(change) || log.contains_key(&record_of(change.0)))
            };
            if let Some((entity, hash)) = held.iter().find(|change| !is_logged(change)) {
                let found = format!("device {} says it is in step, and the log lacks {hash} of {entity}", device.0);
                self.find(Violation::of("R1", found));
            }
        }
    }

    /// The changes and erasure records that a device holds, whether its process lives or not.
    pub(super) fn holdings(&self, device: Device) -> BTreeSet<ChangeId> {
        self.held(device).into_iter().map(|(entity, hash, _)| (entity, hash)).collect()
    }
}
