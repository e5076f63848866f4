//! Signals: what sessions say to those who are here now. They pass through memory and leave nothing there, nor on the disk.

use super::{Hub, Readers};
use crate::log::Log;
use afield_core::session::SignalRequest;
use afield_core::wire::SignalKind;
use afield_core::{DeviceId, Now, SessionId, SpaceId};

/// How many signals a relay takes of one session a second, unless told otherwise: three people's cursors, at the pace at which a
/// device moves one.
pub const SIGNALS_PER_SECOND: u32 = 50;
/// How many it takes at once: all places of a device that answers a newcomer.
pub const SIGNALS_BURST: u32 = 150;

/// How many signals a relay takes of one session; what comes above it is dropped, and the session goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignalRate {
    /// How many a second, over time; 0 for none at all.
    pub per_second: u32,
    /// How many at once.
    pub burst: u32,
}

impl SignalRate {
    /// What a relay takes unless told otherwise.
    pub const DEFAULT: Self = Self { per_second: SIGNALS_PER_SECOND, burst: SIGNALS_BURST };
}

impl Default for SignalRate {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What one signal takes out of an allowance.
const SIGNAL_COST: u64 = 1_000;

/// How many more signals are taken of a session now, in thousandths; so many come back each millisecond as are allowed a second.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance {
    left: u64,
    at_ms: u64,
}

impl Allowance {
    pub(super) fn full(rate: SignalRate, now: Now) -> Self {
        Self { left: u64::from(rate.burst) * SIGNAL_COST, at_ms: now.monotonic_ms }
    }

    /// Takes one signal out of it; answers whether there was one left.
    fn take(&mut self, rate: SignalRate, now: Now) -> bool {
        let back = now.monotonic_ms.saturating_sub(self.at_ms).saturating_mul(u64::from(rate.per_second));
        self.left = self.left.saturating_add(back).min(u64::from(rate.burst) * SIGNAL_COST);
        self.at_ms = now.monotonic_ms;
        let left = self.left.checked_sub(SIGNAL_COST);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }
}

/// A session that has sent a signal in a space, and so hears those of others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listener {
    device: DeviceId,
    /// Whether it has shown something, so that others have to be told when it leaves.
    has_shown: bool,
}

impl<L: Log> Hub<L> {
    /// Sets how many signals are taken of one session.
    #[must_use]
    pub fn with_signal_rate(mut self, rate: SignalRate) -> Self {
        self.signal_rate = rate;
        self
    }

    /// How many signals were dropped since the start: above the rate of their session, or for want of room at a reader's.
    pub fn signals_dropped(&self) -> u64 {
        self.signals_dropped
    }

    /// Passes on what a session says, to those who may read the space now (invariants R6 and R7).
    pub(super) fn signal(&mut self, id: SessionId, signal: &SignalRequest, now: Now) {
        let (space, rate) = (signal.space, self.signal_rate);
        let Some(seat) = self.sessions.get_mut(&id) else { return };
        let Some((device, _)) = seat.device else { return };
        let is_within = seat.signals.get_or_insert_with(|| Allowance::full(rate, now)).take(rate, now);
        let Some(readers) = self.spaces.get_mut(&space).filter(|readers| readers.sessions.contains(&id)) else {
            return;
        };
        if signal.kind == SignalKind::Leaves {
            return self.leave(id, space);
        }
        let listener = readers.listeners.entry(id).or_insert(Listener { device, has_shown: false });
        let is_worth_telling = match signal.kind {
            SignalKind::Asks => true,
            SignalKind::Shows => is_within,
            SignalKind::Clears => listener.has_shown,
            SignalKind::Leaves | SignalKind::Unknown(_) => false,
        };
        listener.has_shown |= signal.kind == SignalKind::Shows && is_within;
        if !is_within {
            self.signals_dropped = self.signals_dropped.saturating_add(1);
            return;
        }
        if is_worth_telling {
            self.check_for_changes(now);
            // What may have been taken from the session since is found out first; it says it again soon.
            if self.sessions.get(&id).is_some_and(|seat| !seat.session.is_closed() && !seat.unchecked.contains(&space))
            {
                self.tell_listeners((id, device), signal);
            }
        }
    }

    /// Takes a session out of those that hear what is said in a space; the others are told, where it has shown something.
    pub(super) fn leave(&mut self, id: SessionId, space: SpaceId) {
        let left = self.spaces.get_mut(&space).and_then(|readers: &mut Readers| readers.listeners.remove(&id));
        if let Some(Listener { device, has_shown: true }) = left {
            let signal = SignalRequest { space, kind: SignalKind::Leaves, entity: None, data: None };
            self.tell_listeners((id, device), &signal);
        }
    }

    fn tell_listeners(&mut self, (from, device): (SessionId, DeviceId), signal: &SignalRequest) {
        let Self { sessions, spaces, dirty, signals_dropped, .. } = self;
        let Some(readers) = spaces.get(&signal.space) else { return };
        for id in readers.listeners.keys().filter(|id| **id != from) {
            let Some(seat) = sessions.get_mut(id).filter(|seat| !seat.unchecked.contains(&signal.space)) else {
                continue;
            };
            *signals_dropped = signals_dropped.saturating_add(u64::from(seat.session.signalled(from, device, signal)));
            dirty.insert(*id);
        }
    }

    /// Looks whether permissions may have changed since the last look: then each session is checked before it hears anything.
    fn check_for_changes(&mut self, now: Now) {
        if self.log.foreign_version().ok().is_none_or(|version| self.foreign_version != Some(version)) {
            self.check_foreign(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_is_a_burst_and_then_so_many_a_second() {
        let at = |monotonic_ms| Now { wall_ms: 0, monotonic_ms };
        let rate = SignalRate { per_second: 10, burst: 3 };
        let mut allowance = Allowance::full(rate, at(0));
        let mut taken = |ms, tries: usize| (0..tries).filter(|_| allowance.take(rate, at(ms))).count();
        assert_eq!(taken(0, 5), 3);
        assert_eq!((taken(99, 1), taken(100, 2)), (0, 1), "one comes back in 100 ms");
        assert_eq!(taken(1_000_000, 5), 3, "no more than a burst is saved up");
        assert_eq!(taken(0, 1), 0, "a clock that goes back gives nothing");
        let none = SignalRate { per_second: 0, burst: 0 };
        assert!(!Allowance::full(none, at(0)).take(none, at(1_000_000)));
    }
}
