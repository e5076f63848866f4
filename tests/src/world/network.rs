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
    /// Messages arrive at the multiples of so many milliseconds only: the more, the more of them a device finds at once.
    pub bunch_ms: u64,
    /// A message is lost, and with it everything after it, as on a broken connection.
    pub cut: u32,
    /// A message comes twice, which a WebSocket never does; the protocol has to bear it all the same (S3).
    pub duplicate: u32,
    /// A message overtakes the one before it, which a WebSocket never does either.
    pub reorder: u32,
    /// One message is lost and those after it are not, which a WebSocket never does either.
    pub drop: u32,
    /// A bit of a message that carries chunks changes on its way, which neither TLS nor TCP lets through. Frames without
    /// chunks carry no checksum and rest on the connection's.
    pub flip: u32,
    /// A message of the earlier session comes to a device before a message, which no connection does. Receipts do not:
    /// they name a push by its number in its session, and nothing but the connection says which session that is.
    pub replay: u32,
    /// One end of a cut connection does not notice for a while.
    pub half_open: u32,
}

impl NetworkFaults {
    /// A network that only takes its time.
    pub const NONE: Self =
        Self { delay_ms: 20, bunch_ms: 1, cut: 0, duplicate: 0, reorder: 0, drop: 0, flip: 0, replay: 0, half_open: 0 };

    /// Whether it does what no WebSocket does, so that a session may break through no fault of either end.
    pub(super) fn is_unfaithful(&self) -> bool {
        self.duplicate + self.reorder + self.drop + self.flip + self.replay > 0
    }
}

/// What a message carries, as far as faults go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cargo {
    /// Chunks in batches, which carry a checksum.
    Chunks,
    /// Something else that may come again in a later session.
    Replayable,
    /// Anything else.
    Other,
}

/// A message on its way.
#[derive(Debug, Clone)]
pub(super) struct InFlight {
    pub(super) at_ms: u64,
    pub(super) message: Vec<u8>,
    /// Whether the other end did not send it so, or not in this session.
    pub(super) is_forged: bool,
}

/// One direction of a wire: first in, first out, unless a fault says otherwise.
#[derive(Debug, Default)]
pub(super) struct Lane {
    queue: VecDeque<InFlight>,
    /// Some messages of this session, and of the one before it.
    sent: Vec<Vec<u8>>,
    earlier: Vec<Vec<u8>>,
}

/// How many messages of a session may be replayed in the next.
const REPLAYABLE_MAX: usize = 16;

impl Lane {
    /// Takes a message. Answers whether the wire breaks here.
    pub(super) fn send(
        &mut self,
        message: Vec<u8>,
        cargo: Cargo,
        now_ms: u64,
        faults: &NetworkFaults,
        random: &mut Random,
    ) -> bool {
        if random.chance(faults.cut) {
            return true;
        }
        if random.chance(faults.drop) {
            return false;
        }
        let earliest = self.queue.back().map_or(now_ms, |last| last.at_ms.max(now_ms));
        let at_ms = (earliest + random.between(0, faults.delay_ms)).next_multiple_of(faults.bunch_ms.max(1));
        if cargo != Cargo::Other && self.sent.len() < REPLAYABLE_MAX {
            self.sent.push(message.clone());
        }
        if !self.earlier.is_empty() && random.chance(faults.replay) {
            let message = self.earlier[random.below(self.earlier.len())].clone();
            self.queue.push_back(InFlight { at_ms, message, is_forged: true });
        }
        let mut message = InFlight { at_ms, message, is_forged: false };
        if random.chance(faults.duplicate) {
            self.queue.push_back(message.clone());
        }
        if cargo == Cargo::Chunks && random.chance(faults.flip) {
            let at = random.below(message.message.len());
            message.message[at] ^= 1 << random.below(8);
            message.is_forged = true;
        }
        self.queue.push_back(message);
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

    pub(super) fn take(&mut self) -> Option<InFlight> {
        self.queue.pop_front()
    }

    /// Takes the first message, and of those that have arrived by now so many that there are at most `max`.
    pub(super) fn take_arrived(&mut self, max: usize, now_ms: u64) -> Vec<InFlight> {
        let arrived = self.queue.iter().skip(1).take_while(|message| message.at_ms <= now_ms).count() + 1;
        self.queue.drain(..arrived.min(max).min(self.queue.len())).collect()
    }

    /// The same lane in a new session.
    fn renewed(self) -> Self {
        Self { queue: VecDeque::new(), sent: Vec::new(), earlier: self.sent }
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
    /// A new connection, by which something of an earlier one may come.
    pub(super) fn new(session: SessionId, earlier: Option<(Lane, Lane)>) -> Self {
        let (to_relay, to_device) = earlier.unwrap_or_default();
        let listener = super::listener::Listener::default();
        Self {
            session,
            to_relay: Lane { earlier: Vec::new(), ..to_relay.renewed() },
            to_device: to_device.renewed(),
            listener,
        }
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.to_relay.is_empty() && self.to_device.is_empty()
    }

    pub(super) fn note(&self, trace: &mut Trace) {
        trace.note("session", self.session.as_bytes());
    }
}
