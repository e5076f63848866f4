//! Panics stay where they happen: a defect ends the session or the turn concerned, and never the relay.

use super::Hub;
use super::Output;
use crate::log::Log;
use afield_core::SessionId;
use afield_core::wire::{self, Goodbye, GoodbyeCode, ToDevice};
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
    /// Ends a session whose state cannot be trusted: the device is told that what it sent could not be read, so that it
    /// sends it in another form. What it pushed before is still committed.
    pub(super) fn cut(&mut self, id: SessionId) {
        if self.sessions.contains_key(&id) {
            self.forget(id);
            let goodbye = Goodbye { code: GoodbyeCode::BadFrame, retry_after_ms: None };
            self.cut.push_back((id, Output::Message(wire::encode_to_device(&ToDevice::Goodbye(goodbye)))));
            self.cut.push_back((id, Output::Close));
        }
    }
}
