//! Fresher tokens for live sessions.

use super::Hub;
use super::greet::is_signed;
use super::guard::guarded;
use crate::log::Log;
use afield_core::wire::GoodbyeCode;
use afield_core::{Now, SessionId};

/// How many fresher tokens are taken of a session at once. Each is looked up, and everything that the session has open is read anew, while
/// everybody waits; a device needs one now and then.
const REFRESHES_AT_ONCE_MAX: u64 = 6;
/// How long it takes until one more is taken, in milliseconds.
const REFRESH_AGAIN_MS: u64 = 10_000;
/// When a device comes back that gave more than are taken, in milliseconds: with the newest of them, which counts as it signs in.
const REFRESHED_TOO_OFTEN_RETRY_MS: u64 = 30_000;

/// How many signed tokens that are new here are noted in a turn before those who come with others have to wait: each is a commit that is
/// synced by itself, and everybody waits for it.
const NOTED_PER_TURN_MAX: usize = 8;
/// How many of those who waited with a fresher one come before that: the others are left to who signs in.
const LATE_REFRESHES_PER_TURN_MAX: usize = NOTED_PER_TURN_MAX / 2;

/// How many more fresher tokens are taken of a session, as the time that they cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refreshes {
    left_ms: u64,
    at_ms: u64,
}

impl Refreshes {
    const FULL_MS: u64 = REFRESHES_AT_ONCE_MAX * REFRESH_AGAIN_MS;

    fn full(now: Now) -> Self {
        Self { left_ms: Self::FULL_MS, at_ms: now.monotonic_ms }
    }

    /// Takes one; answers whether there was one left.
    fn take(&mut self, now: Now) -> bool {
        let back_ms = now.monotonic_ms.saturating_sub(self.at_ms);
        self.left_ms = self.left_ms.saturating_add(back_ms).min(Self::FULL_MS);
        self.at_ms = now.monotonic_ms;
        let left_ms = self.left_ms.checked_sub(REFRESH_AGAIN_MS);
        self.left_ms = left_ms.unwrap_or(self.left_ms);
        left_ms.is_some()
    }
}

impl<L: Log> Hub<L> {
    /// Takes a fresher token for a live session; it has to be one of the same user.
    pub(super) fn refresh_token(&mut self, id: SessionId, token: &str, now: Now) {
        self.refreshers.insert(id);
        let Some(seat) = self.sessions.get_mut(&id) else { return };
        if !seat.refreshes.get_or_insert_with(|| Refreshes::full(now)).take(now) {
            return self.close_after(id, GoodbyeCode::RateLimited, Some(REFRESHED_TOO_OFTEN_RETRY_MS));
        }
        if is_signed(token) && self.noted >= NOTED_PER_TURN_MAX {
            seat.fresher = Some(token.to_owned());
            return self.late_refreshers.push_back(id);
        }
        self.take_refresh(id, token, now);
    }

    /// Whether a session has given a fresher token that was taken in this turn, or waits for its turn.
    pub(super) fn is_refreshed(&self, id: SessionId) -> bool {
        let waits = |id| self.sessions.get(&id).is_some_and(|seat| seat.fresher.is_some());
        self.refreshers.contains(&id) || !self.late_refreshers.is_empty() && waits(id)
    }

    /// Whether a session that may be about to sign in has to wait until more signed tokens are noted.
    pub(super) fn has_to_wait_for_notes(&self, id: SessionId) -> bool {
        self.noted >= NOTED_PER_TURN_MAX && self.sessions.get(&id).is_some_and(|seat| seat.principal.is_none())
    }

    /// Takes some of the fresher tokens that had to wait.
    pub(super) fn take_late_refreshes(&mut self, now: Now) {
        for _ in 0..LATE_REFRESHES_PER_TURN_MAX {
            let Some(id) = self.late_refreshers.pop_front() else { return };
            let Some(seat) = self.sessions.get_mut(&id) else { continue };
            let Some(token) = seat.fresher.take().filter(|_| seat.session.is_live()) else { continue };
            let taken = guarded("taking a fresher token", || {
                self.take_refresh(id, &token, now);
                self.settle(id, now);
            });
            if taken.is_none() {
                self.cut(id);
            }
        }
    }

    fn take_refresh(&mut self, id: SessionId, token: &str, now: Now) {
        let Some(seat) = self.sessions.get(&id) else { return };
        let (Some(before), Some(device)) = (seat.principal, seat.named_device()) else { return };
        // Its spaces were named with the welcome.
        match self.authenticate(Some(token), device, 0, now) {
            Ok(Ok((principal, standing))) if principal.user == before.user => {
                self.set_principal(id, principal, &standing);
                // What the new token may read is found out by reading.
                if let Some(seat) = self.sessions.get_mut(&id) {
                    seat.read_everything_anew();
                }
                self.note_seen(id, now);
            }
            Ok(Ok(_)) => self.refuse(id, GoodbyeCode::Unauthorized),
            Ok(Err(code)) => self.refuse(id, code),
            Err(error) => self.not_checked(id, &error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    #[test]
    fn a_session_gives_six_fresher_tokens_at_once_and_then_one_every_ten_seconds() {
        let mut refreshes = Refreshes::full(at(0));
        let mut taken = |ms, tries: usize| (0..tries).filter(|_| refreshes.take(at(ms))).count();
        assert_eq!(taken(0, 10), 6);
        assert_eq!((taken(9_999, 1), taken(10_000, 2)), (0, 1));
        assert_eq!(taken(10_000_000, 10), 6, "no more than that is saved up");
        assert_eq!(taken(0, 1), 0, "a clock that goes back gives nothing");
    }
}
