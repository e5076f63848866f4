//! The wires between devices and the relay.

use super::random::Random;
use super::trace::Trace;
use afield_core::SessionId;
use std::collections::VecDeque;

/// What the network does to messages; each rate is in a thousand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkFaults {
    /// The longest delay of a message, in milliseconds.
    pub delay_ms: u64,
    /// A message is lost, and with it everything after it, as on a broken connection.
    pub cut: u32,
    /// A message comes twice, which a WebSocket never does; the protocol has to bear it all the same (S3).
    pub duplicate: u32,
    /// A message overtakes the one before it, which a WebSocket never does either.
    pub reorder: u32,
    /// One message is lost and those after it are not, which a WebSocket never does either.
    pub drop: u32,
    /// One end of a cut connection does not notice for a while.
    pub half_open: u32,
}

impl NetworkFaults {
    /// A network that only takes its time.
    pub const NONE: Self = Self { delay_ms: 20, cut: 0, duplicate: 0, reorder: 0, drop: 0, half_open: 0 };

    /// Whether it does what no WebSocket does, so that a session may break through no fault of either end.
    pub(super) fn is_unfaithful(&self) -> bool {
        self.duplicate > 0 || self.reorder > 0 || self.drop > 0
    }
}

/// A message on its way.
#[derive(Debug, Clone)]
pub(super) struct InFlight {
    pub(super) at_ms: u64,
    pub(super) message: Vec<u8>,
}

/// One direction of a wire: first in, first out, unless a fault says otherwise.
#[derive(Debug, Default)]
pub(super) struct Lane {
    queue: VecDeque<InFlight>,
}

impl Lane {
    /// Takes a message. Answers whether the wire breaks here.
    pub(super) fn send(&mut self, message: Vec<u8>, now_ms: u64, faults: &NetworkFaults, random: &mut Random) -> bool {
        if random.chance(faults.cut) {
            return true;
        }
        if random.chance(faults.drop) {
            return false;
        }
        let earliest = self.queue.back().map_or(now_ms, |last| last.at_ms.max(now_ms));
        let at_ms = earliest + random.between(0, faults.delay_ms);
        if random.chance(faults.duplicate) {
            self.queue.push_back(InFlight { at_ms, message: message.clone() });
        }
        self.queue.push_back(InFlight { at_ms, message });
        if random.chance(faults.reorder) && self.queue.len() >= 2 {
            let last = self.queue.len() - 1;
            let (one, two) = (self.queue[last - 1].at_ms, self.queue[last].at_ms);
            self.queue.swap(last - 1, last);
            (self.queue[last - 1].at_ms, self.queue[last].at_ms) = (one, two);
        }
        false
    }

    pub(super) fn next_at(&self) -> Option<u64> {
        self.queue.front().map(|message| message.at_ms)
    }

    pub(super) fn take(&mut self) -> Option<Vec<u8>> {
        self.queue.pop_front().map(|message| message.message)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

/// A connection between a device and the relay.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) session: SessionId,
    pub(super) to_relay: Lane,
    pub(super) to_device: Lane,
    /// Who is told what by a receipt, and what the relay serves.
    pub(super) listener: super::listener::Listener,
}

impl Wire {
    pub(super) fn new(session: SessionId) -> Self {
        Self {
            session,
            to_relay: Lane::default(),
            to_device: Lane::default(),
            listener: super::listener::Listener::default(),
        }
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.to_relay.is_empty() && self.to_device.is_empty()
    }

    pub(super) fn note(&self, trace: &mut Trace) {
        trace.note("session", self.session.as_bytes());
    }
}
