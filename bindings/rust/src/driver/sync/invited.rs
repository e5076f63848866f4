//! Spaces that this device was invited to.

use super::{Link, SpaceSync, Synchronization};
use crate::driver::documents::lock;
use crate::driver::{Driver, DriverError};
use crate::status::SyncEvent;
use afield_core::wire::SpaceCode;
use afield_core::{Now, Role, SpaceId};

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

    /// Asks the relay for spaces to which the device was invited since it opened them: at once for one that it had refused, unless it asked to be
    /// left alone for a while. Of one that is being opened the answer is waited for. One that it serves is opened again, in a new session,
    /// since the invitation may be for a higher role: what is under way belongs to the old exchange.
    pub(super) fn ask_for_invited(&self, sync: &mut Synchronization, now: Now) -> Result<(), DriverError> {
        let invited = lock(&self.invited).clone();
        if invited.is_empty() {
            return Ok(());
        }
        let mut is_session_too_old = false;
        for space in invited {
            if let (Link::Up { session, .. }, Some(state)) = (&sync.link, sync.spaces.get_mut(&space)) {
                if session.is_caught_up(space) {
                    is_session_too_old |= self.may_get_more(sync, space)?;
                } else if state.refused.is_some() && !state.blocked {
                    state.ask_again_ms = Some(now.monotonic_ms.max(state.relay_asked_until_ms.unwrap_or(0)));
                } else if !state.blocked {
                    continue;
                }
            }
            lock(&self.invited).remove(&space);
        }
        if is_session_too_old {
            self.restart_session(sync, now);
        }
        self.ask_again_when_due(sync, now)
    }

    /// Whether an invitation is kept that may let this device do more in a space that the relay serves. Nobody does more than an owner, who leaves
    /// it to somebody else.
    fn may_get_more(&self, sync: &mut Synchronization, space: SpaceId) -> Result<bool, DriverError> {
        let mut store = lock(&self.store);
        let Some(record) = store.space(space)?.filter(|record| record.invitation.is_some()) else { return Ok(false) };
        if record.role == Some(Role::Owner) {
            let _ = store.forget_invitation(space)?;
            drop(store);
            Self::tell_unneeded(sync, space, Role::Owner);
            return Ok(false);
        }
        Ok(true)
    }

    fn tell_unneeded(sync: &mut Synchronization, space: SpaceId, role: Role) {
        tracing::info!(%space, %role, "an invitation changed nothing: this device may do as much already");
        sync.say(SyncEvent::InvitationUnneeded { space, role });
    }

    /// Forgets the invitation to a space that the relay serves, and says so where it has given a member nothing.
    pub(super) fn invitation_is_served(
        &self,
        sync: &mut Synchronization,
        (space, role): (SpaceId, Role),
    ) -> Result<(), DriverError> {
        let Some(state) = sync.spaces.get_mut(&space).filter(|state| state.is_invited) else { return Ok(()) };
        let _ = lock(&self.store).forget_invitation(space)?;
        state.is_invited = false;
        if state.role_before.take().is_some_and(|before| role <= before) {
            Self::tell_unneeded(sync, space, role);
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
