//! Spaces that this device was invited to.

use super::{Link, SpaceSync, Synchronization};
use crate::driver::documents::lock;
use crate::driver::{Driver, DriverError};
use afield_core::wire::SpaceCode;
use afield_core::{Now, SpaceId};

/// What a person is told where the relay does not know a space for this token although the device came with an invitation.
const NOT_LET_IN: &str = "the relay knows no such space for this token: the invitation was used, withdrawn, is too old, or is not for this relay; ask for another one";

/// The same where this side only looks, and so has not said the invitation.
const NOT_YET: &str = "the relay knows no such space for this token yet; a sync uses the invitation";

impl Driver {
    /// Notes that an invitation to a space was stored. Waits for nobody: whoever stored it may be inside a transaction, for which sync waits.
    pub(crate) fn note_invitation(&self, space: SpaceId) {
        lock(&self.invited).insert(space);
        self.note_edit(space);
    }

    /// Asks the relay at once for spaces that it had refused, and to which the device was invited since. Of one that is being opened the
    /// answer is waited for.
    pub(super) fn ask_for_invited(&self, sync: &mut Synchronization, now: Now) -> Result<(), DriverError> {
        let invited = lock(&self.invited).clone();
        if invited.is_empty() {
            return Ok(());
        }
        for space in invited {
            if let (Link::Up { session, .. }, Some(state)) = (&sync.link, sync.spaces.get_mut(&space)) {
                if session.is_caught_up(space) {
                    // Who is let in already needs no invitation, which may serve somebody else.
                    let _ = lock(&self.store).forget_invitation(space)?;
                } else if state.refused.is_some() && !state.blocked {
                    state.ask_again_ms = Some(now.monotonic_ms);
                } else if !state.blocked {
                    continue;
                }
            }
            lock(&self.invited).remove(&space);
        }
        self.ask_again_when_due(sync, now)
    }

    /// Forgets the invitation to a space that the relay serves.
    pub(super) fn forget_invitation(&self, space: SpaceId, state: &mut SpaceSync) -> Result<(), DriverError> {
        if std::mem::take(&mut state.is_invited) {
            let _ = lock(&self.store).forget_invitation(space)?;
        }
        Ok(())
    }

    /// Why the relay does not serve a space, in words for a person.
    pub(super) fn reason_of(&self, code: SpaceCode, state: &SpaceSync) -> String {
        match (code, state.is_invited, &self.looks) {
            (SpaceCode::UnknownOrForbidden, true, None) => NOT_LET_IN.to_owned(),
            (SpaceCode::UnknownOrForbidden, true, Some(_)) => NOT_YET.to_owned(),
            (code, ..) => code.to_string(),
        }
    }
}
