//! Panics stay where they happen: a defect ends the session or the turn concerned, and never the relay.

use super::Hub;
use crate::log::Log;
use afield_core::SessionId;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Does something that a defect could make panic; `None` when it did. What it was working on is not to be trusted after
/// that: a session is cut, a transaction was rolled back when it was dropped.
pub(super) fn guarded<T>(doing: &'static str, work: impl FnOnce() -> T) -> Option<T> {
    let done = catch_unwind(AssertUnwindSafe(work)).ok();
    if done.is_none() {
        // The panic's message may hold content, and stays out of this log.
        tracing::error!(doing, "a defect made the relay panic");
    }
    done
}

impl<L: Log> Hub<L> {
    /// Ends a session whose state cannot be trusted, without a word to the device; what it pushed before is still
    /// committed.
    pub(super) fn cut(&mut self, id: SessionId) {
        if self.sessions.contains_key(&id) {
            self.forget(id);
            self.cut.push(id);
        }
    }
}
