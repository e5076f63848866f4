//! The passing of time, and changes of the storage that no session made.

use super::Hub;
use super::seen::Farthest;
use crate::log::Log;
use afield_core::wire::GoodbyeCode;
use afield_core::{Now, Sequence, SessionId};

/// How often the storage is asked whether somebody else changed it, in milliseconds: a fifth of the 5 s within which a
/// revocation reaches every live session.
const FOREIGN_CHECK_INTERVAL_MS: u64 = 1_000;

impl<L: Log> Hub<L> {
    /// The moment at which [`Self::handle_timeout`] wants to be called, on the monotonic clock; `None` where nothing is
    /// to come.
    pub fn poll_timeout(&self) -> Option<u64> {
        if self.sessions.is_empty() {
            return self.roster_due();
        }
        let first = self.deadlines.first().map(|(deadline, _)| *deadline);
        [first, self.roster_due(), Some(self.check_due_ms)].into_iter().flatten().min()
    }

    /// Handles the passing of time: silent and slow peers, ended tokens, and what others did to the storage.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some((deadline, id)) = self.deadlines.first().copied()
            && deadline <= now.monotonic_ms
        {
            self.deadlines.pop_first();
            if let Some(seat) = self.sessions.get_mut(&id) {
                seat.deadline = None;
                let was_closed = seat.session.is_closed();
                seat.session.handle_timeout(now);
                if !was_closed && seat.session.is_closed() {
                    self.note_end(id, GoodbyeCode::TimedOut);
                }
                self.settle(id, now);
            }
        }
        if self.roster_due().is_some_and(|due_ms| due_ms <= now.monotonic_ms) {
            self.write_roster(now);
        }
        if now.monotonic_ms >= self.check_due_ms {
            self.check_foreign(now);
        }
    }

    fn end_expired(&mut self, now: Now) {
        while let Some((expiry, id)) = self.expiries.first().copied()
            && expiry <= now.wall_ms
        {
            self.expiries.pop_first();
            if let Some(seat) = self.sessions.get_mut(&id) {
                seat.expires_wall_ms = None;
                self.close(id, GoodbyeCode::TokenExpired);
            }
        }
    }

    /// Ends the sessions whose tokens have expired, and asks whether the storage was changed from elsewhere. If so every
    /// session is checked against it anew: whether its token is still good, and with the next read whether it may still
    /// read and whether its positions still belong to the log (R4, R6, R7).
    ///
    /// Every commit does both before it delivers: on a busy relay the next check that is due is always a moment ahead.
    pub(super) fn check_foreign(&mut self, now: Now) {
        self.end_expired(now);
        self.check_due_ms = now.monotonic_ms.saturating_add(FOREIGN_CHECK_INTERVAL_MS);
        let version = match self.log.foreign_version() {
            Ok(version) => Some(version),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the log could not be checked for changes");
                None
            }
        };
        let before = std::mem::replace(&mut self.foreign_version, version);
        if version.is_some() && (before == version || self.sessions.is_empty()) {
            return;
        }
        for readers in self.spaces.values_mut() {
            readers.head = Sequence::new(u64::MAX);
            readers.farthest = Farthest::default();
        }
        let ids: Vec<SessionId> = self.sessions.keys().copied().collect();
        for id in ids {
            let Some(seat) = self.sessions.get_mut(&id) else { continue };
            let Some(principal) = seat.principal else { continue };
            seat.read_everything_anew();
            if !self.end_if_revoked(id, principal, now) {
                self.settle(id, now);
            }
        }
    }
}
