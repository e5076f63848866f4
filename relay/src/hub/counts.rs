//! What has happened since the start, in numbers: for whoever watches the relay.

use super::Hub;
use crate::log::Log;
use afield_core::Sequence;
use afield_core::session::{AppendAnswer, ChunkVerdict};
use afield_core::wire::GoodbyeCode;
use std::collections::BTreeMap;

/// What has happened since the start, and what there is now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sessions that are welcome now.
    pub sessions: u64,
    /// Spaces that somebody has open now.
    pub spaces: u64,
    /// Bytes that wait to be sent, of all sessions.
    pub queued_bytes: u64,
    /// Sequences that lie between what devices have stored and the ends of the logs, of all sessions and spaces.
    pub lag: u64,
    /// Sessions that were welcomed.
    pub welcomed: u64,
    /// Sessions that ended with a goodbye, by its code: the one that the relay told, or `Done` where the device said it.
    pub ended: BTreeMap<String, u64>,
    /// Bytes of messages that devices sent.
    pub received_bytes: u64,
    /// Bytes of messages for devices.
    pub sent_bytes: u64,
    /// Pushes that were answered.
    pub pushes: u64,
    /// Chunks that were stored.
    pub stored: u64,
    /// Chunks that were in the log already.
    pub duplicates: u64,
    /// Chunks that were refused, by the code that their devices were told.
    pub refused: BTreeMap<String, u64>,
    /// Transactions in which something was appended.
    pub commits: u64,
    /// Transactions that failed.
    pub failed_commits: u64,
    /// Signals that were dropped.
    pub signals_dropped: u64,
}

impl Counts {
    /// Counts the end of a session.
    pub(super) fn end(&mut self, code: GoodbyeCode) {
        *self.ended.entry(format!("{code:?}")).or_default() += 1;
    }

    /// Counts what became of a push.
    pub(super) fn answer(&mut self, answer: &AppendAnswer) {
        self.pushes += 1;
        let AppendAnswer::Verdicts(verdicts) = answer else { return };
        for verdict in verdicts {
            match verdict {
                ChunkVerdict::Stored { .. } => self.stored += 1,
                ChunkVerdict::Duplicate { .. } => self.duplicates += 1,
                ChunkVerdict::Refused { code, .. } => *self.refused.entry(format!("{code:?}")).or_default() += 1,
            }
        }
    }
}

impl<L: Log> Hub<L> {
    /// How many transactions there were in which something was appended.
    pub(crate) fn counts_appends(&self) -> u64 {
        self.counts.commits
    }

    /// What has happened since the start, and what there is now.
    pub fn counts(&self) -> Counts {
        let live = || self.sessions.values().filter(|seat| seat.welcomed.is_some());
        let lag =
            live().flat_map(|seat| seat.channels.values().map(move |space| (seat, space))).map(|(seat, space)| {
                let head = self.spaces.get(space).map_or(Sequence::ZERO, |readers| readers.head);
                let stored = seat.held(*space).unwrap_or(Sequence::ZERO);
                // Until the next read the end may be unknown.
                if head.get() == u64::MAX { 0 } else { head.get().saturating_sub(stored.get()) }
            });
        Counts {
            sessions: live().count() as u64,
            spaces: self.spaces.len() as u64,
            queued_bytes: live().map(|seat| seat.session.queued_bytes() as u64).sum(),
            lag: lag.sum(),
            signals_dropped: self.signals_dropped(),
            ..self.counts.clone()
        }
    }
}
