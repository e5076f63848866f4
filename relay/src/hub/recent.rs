//! What happened last, for whoever looks at the relay now: who came and went, what was refused, and what an administrator did.
//!
//! Kept in memory and in bounds, and only where somebody can ask. It holds names, ids, addresses and codes; no content and no
//! tokens (invariant S6).

use super::Hub;
use crate::log::Log;
use afield_core::session::{AppendAnswer, ChunkVerdict};
use afield_core::wire::{ChunkCode, GoodbyeCode};
use afield_core::{DeviceId, Now, SessionId};
use std::collections::VecDeque;
use std::net::IpAddr;

/// How many events are kept.
const EVENTS_MAX: usize = 200;
/// Among how many of the last events one that says the same is looked for. Whoever tries again and again is one event then, and
/// pushes nothing else out.
const ALIKE_WITHIN: usize = 16;

/// Something that happened, once or several times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentEvent {
    /// Its number, from 1 on since the relay's start; it keeps it when it happens again.
    pub number: u64,
    /// When it happened last, in milliseconds since the Unix epoch.
    pub wall_ms: i64,
    /// How many times.
    pub times: u64,
    /// What it was.
    pub what: Occurrence,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Occurrence {
    /// A device was welcomed.
    SignedIn(Party),
    /// A device ended its session, or its connection broke.
    Left(Party),
    /// The relay ended a session.
    Ended(Party, GoodbyeCode),
    /// Somebody was sent away before a welcome.
    TurnedAway(Option<IpAddr>, GoodbyeCode),
    /// Changes of a device were refused.
    ChunkRefused(Party, ChunkCode),
    /// Nothing can be appended, for this reason.
    CannotAppend(String),
    /// Something can be appended again.
    CanAppend,
    /// The old part of a log was packed, or a snapshot came to stand for it.
    Compacted,
    /// An administrator revoked the token of this number.
    TokenRevoked(i64),
    /// An administrator signed out a device of this user.
    DeviceSignedOut(String, DeviceId),
    /// An administrator signed out everything of a user.
    UserSignedOut(String),
    /// An administrator closed the account of a user.
    AccountClosed(String),
    /// An administrator opened the account of a user again.
    AccountOpened(String),
}

/// Who it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// The name of the user; absent where anyone may do everything.
    pub user: Option<String>,
    /// The device.
    pub device: DeviceId,
    /// Where it came from.
    pub address: Option<IpAddr>,
}

/// The last events.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// Oldest first.
    events: VecDeque<RecentEvent>,
    noted: u64,
    /// How many at the end have no time yet: not everything that happens is told what time it is.
    unstamped: usize,
}

impl Recent {
    fn note(&mut self, what: Occurrence) {
        let alike = self.events.iter().rev().take(ALIKE_WITHIN).position(|event| event.what == what);
        let position = alike.and_then(|from_end| self.events.len().checked_sub(from_end + 1));
        let event = match position.and_then(|position| self.events.remove(position)) {
            Some(event) => {
                // One that had no time yet stood among the last ones, and stands there again.
                let was_unstamped = alike.is_some_and(|from_end| from_end < self.unstamped);
                self.unstamped += usize::from(!was_unstamped);
                RecentEvent { times: event.times + 1, ..event }
            }
            None => {
                self.noted += 1;
                self.unstamped += 1;
                RecentEvent { number: self.noted, wall_ms: 0, times: 1, what }
            }
        };
        if self.events.len() >= EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event);
        self.unstamped = self.unstamped.min(self.events.len());
    }

    fn stamp(&mut self, now: Now) {
        let unstamped = std::mem::take(&mut self.unstamped);
        self.events.iter_mut().rev().take(unstamped).for_each(|event| event.wall_ms = now.wall_ms);
    }
}

impl<L: Log> Hub<L> {
    /// Keeps what happens from now on for [`Self::recent_events`].
    #[must_use]
    pub fn with_recent_events(mut self) -> Self {
        self.recent = Some(Recent::default());
        self
    }

    /// The last things that happened, newest first; none where nothing is kept.
    pub fn recent_events(&mut self, now: Now) -> Vec<RecentEvent> {
        self.stamp_events(now);
        self.recent.iter().flat_map(|recent| recent.events.iter().rev().cloned()).collect()
    }

    /// Notes that something happened.
    pub(crate) fn note_event(&mut self, what: Occurrence) {
        if let Some(recent) = &mut self.recent {
            recent.note(what);
        }
    }

    /// Gives what was noted in this turn its time.
    pub(super) fn stamp_events(&mut self, now: Now) {
        if let Some(recent) = &mut self.recent {
            recent.stamp(now);
        }
    }

    /// Counts and notes that the relay ends a session.
    pub(super) fn note_end(&mut self, id: SessionId, code: GoodbyeCode) {
        self.counts.end(code);
        let what = match self.party(id) {
            Some(party) => Occurrence::Ended(party, code),
            None => Occurrence::TurnedAway(self.sessions.get(&id).and_then(|seat| seat.address), code),
        };
        self.note_event(what);
        if let Some(seat) = self.sessions.get_mut(&id) {
            seat.is_ended = true;
        }
    }

    /// Notes that a session ends that the relay did not end.
    pub(super) fn note_gone(&mut self, id: SessionId) {
        let is_ended = self.sessions.get(&id).is_none_or(|seat| seat.is_ended);
        if let Some(party) = self.party(id).filter(|_| !is_ended) {
            self.note_event(Occurrence::Left(party));
        }
    }

    /// Notes that a session was welcomed.
    pub(super) fn note_welcome(&mut self, id: SessionId) {
        if let Some(party) = self.party(id) {
            self.note_event(Occurrence::SignedIn(party));
        }
    }

    /// Notes what was refused of a push.
    pub(super) fn note_refusals(&mut self, id: SessionId, answer: &AppendAnswer) {
        let AppendAnswer::Verdicts(verdicts) = answer else { return };
        for verdict in verdicts {
            if let ChunkVerdict::Refused { code, .. } = verdict
                && let Some(party) = self.party(id)
            {
                self.note_event(Occurrence::ChunkRefused(party, *code));
            }
        }
    }

    /// Who is at the other end of a session; `None` where that was not welcomed, or nothing is kept.
    fn party(&self, id: SessionId) -> Option<Party> {
        self.recent.as_ref()?;
        let seat = self.sessions.get(&id)?;
        seat.welcomed?;
        Some(Party { user: seat.user.clone(), device: seat.named_device()?, address: seat.address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    fn told(recent: &Recent) -> Vec<(u64, i64, u64)> {
        recent.events.iter().map(|event| (event.number, event.wall_ms, event.times)).collect()
    }

    #[test]
    fn what_happens_again_is_one_event_with_its_last_time() {
        let mut recent = Recent::default();
        recent.note(Occurrence::TokenRevoked(1));
        recent.note(Occurrence::CanAppend);
        recent.stamp(at(1_000));
        let first = at(1_000).wall_ms;
        assert_eq!(told(&recent), [(1, first, 1), (2, first, 1)]);
        recent.note(Occurrence::Compacted);
        recent.note(Occurrence::TokenRevoked(1));
        recent.note(Occurrence::TokenRevoked(1));
        recent.stamp(at(2_000));
        let second = at(2_000).wall_ms;
        assert_eq!(told(&recent), [(2, first, 1), (3, second, 1), (1, second, 3)]);
        recent.stamp(at(3_000));
        assert_eq!(told(&recent), [(2, first, 1), (3, second, 1), (1, second, 3)], "a time is given once");
    }

    #[test]
    fn the_last_events_are_kept_and_no_more() {
        let mut recent = Recent::default();
        for number in 0..3 * EVENTS_MAX as i64 {
            recent.note(Occurrence::TokenRevoked(number));
        }
        recent.stamp(at(1_000));
        assert_eq!(recent.events.len(), EVENTS_MAX);
        assert_eq!(recent.events.back().unwrap().number, 3 * EVENTS_MAX as u64);
        assert!(recent.events.iter().all(|event| event.wall_ms == at(1_000).wall_ms));
    }
}
