//! Push notifications and webhooks: which were followed, so that one that comes again is dropped, also after a restart.
//!
//! One counts as followed once a run that began after it, or went on then, has brought everything that the relay had. So a process that
//! ends between the decision and the end of the run, and a run that the relay refuses, leave it to be followed when it is delivered once
//! more, and at worst one leads to two runs. What a lost connection cut off comes again by itself, and is waited for.

use super::Synchronization;
use super::history::End;
use super::plan::Plan;
use crate::driver::Driver;
use crate::driver::documents::lock;
use afield_core::SpaceId;
use afield_core::policy::{Decision, PushIds, Reason};
use afield_store::StoreError;

impl Plan {
    /// The pushes that are not to be followed once more.
    pub(super) fn known_pushes(&self) -> PushIds {
        let mut known = self.pushes.clone();
        self.unfollowed.iter().for_each(|id| known.note(id));
        known
    }

    /// Takes over how a run ended; answers which pushes it has followed.
    pub(super) fn follow_pushes(&mut self, end: End<'_>, is_everything_here: bool) -> PushIds {
        match end {
            End::InStep | End::Refused(_) if is_everything_here => {
                let followed = std::mem::take(&mut self.unfollowed);
                followed.iter().for_each(|id| self.pushes.note(id));
                followed
            }
            // The run that is tried again follows them.
            End::Lost(_) => PushIds::default(),
            // Nothing was done for them, and nothing is tried again before the schedule, or somebody, asks for it.
            End::InStep | End::Refused(_) | End::Stopped(_) => {
                self.unfollowed = PushIds::default();
                PushIds::default()
            }
        }
    }
}

impl Synchronization {
    /// Notes what was decided about a push.
    pub(super) fn note_push(&mut self, space: Option<SpaceId>, id: &str, decision: Decision) {
        let Some(plan) = self.plan_mut(space) else { return };
        match (decision, decision.reason()) {
            (Decision::Block { .. }, _) | (_, Reason::DuplicatePush) => {}
            (Decision::Start { .. }, _) | (_, Reason::Running) => plan.unfollowed.note(id),
            // There is nothing that a run would do for it.
            _ => {
                plan.pushes.note(id);
                self.history.followed(space, id);
            }
        }
    }
}

impl Driver {
    /// Reads which pushes were followed while this device had no space.
    pub(super) fn load_lone_pushes(&self, sync: &mut Synchronization) -> Result<(), StoreError> {
        sync.lone.pushes = lock(&self.store).pushes(None)?;
        Ok(())
    }
}
