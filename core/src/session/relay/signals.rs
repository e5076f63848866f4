//! Signals of a relay's session: what its device says, and what waits to be told to it.

use super::{RelayRequest, RelaySession};
use crate::id::{DeviceId, EntityId, SessionId, SpaceId};
use crate::limits::SIGNAL_BYTES_MAX;
use crate::session::SessionError;
use crate::wire::{self, Channel, Signal, SignalKind, Signalled, ToDevice};
use std::collections::VecDeque;

/// The most bytes that a session's queue may hold for a signal to follow them: what is durable never waits long for what
/// is not, and what is shown is not old when it arrives.
pub const SIGNAL_QUEUE_BYTES_MAX: usize = 64 * 1024;
/// The most signals that wait for room in a session's queue, which bounds what a slow reader holds here to some 300 KiB
/// (invariant R8).
pub const SIGNALS_WAITING_MAX: usize = 256;

/// What a device says to those who have a space open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalRequest {
    /// The space.
    pub space: SpaceId,
    /// What it says.
    pub kind: SignalKind,
    /// The place: an entity, or the space as a whole.
    pub entity: Option<EntityId>,
    /// What it shows there; `None` unless it shows something.
    pub data: Option<Vec<u8>>,
}

/// Signals that wait until the queue has room for them. Of one place in one session the newest alone does.
#[derive(Debug, Default)]
pub(super) struct WaitingSignals(VecDeque<Waiting>);

#[derive(Debug)]
struct Waiting {
    channel: Channel,
    from: SessionId,
    /// The place; `None` for what is about no place.
    place: Option<Option<EntityId>>,
    message: Vec<u8>,
}

impl WaitingSignals {
    /// Takes one more; answers whether another one had to go for it.
    fn push(&mut self, channel: Channel, from: SessionId, kind: SignalKind, frame: &Signalled<'_>) -> bool {
        let message = wire::encode_to_device(&ToDevice::Signal(*frame));
        let place = matches!(kind, SignalKind::Shows | SignalKind::Clears).then_some(frame.entity);
        if kind == SignalKind::Leaves {
            self.0.retain(|waiting| waiting.channel != channel || waiting.from != from);
        }
        let same = |waiting: &&mut Waiting| (waiting.channel, waiting.from, waiting.place) == (channel, from, place);
        if let Some(older) = self.0.iter_mut().find(same) {
            older.message = message;
            return false;
        }
        let is_full = self.0.len() >= SIGNALS_WAITING_MAX;
        if is_full {
            self.0.pop_front();
        }
        self.0.push_back(Waiting { channel, from, place, message });
        is_full
    }

    pub(super) fn pop(&mut self) -> Option<Vec<u8>> {
        self.0.pop_front().map(|waiting| waiting.message)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl RelaySession {
    pub(super) fn handle_signal(&self, frame: &Signal<'_>) -> Result<Option<RelayRequest>, SessionError> {
        let Signal { channel, kind, entity, data } = *frame;
        let wrong = |problem| Err(SessionError::Order { frame: "Signal", problem });
        match data {
            Some(data) if data.len() > SIGNAL_BYTES_MAX => return wrong("with more than a signal may show"),
            None if kind == SignalKind::Shows => return wrong("that shows nothing"),
            _ => {}
        }
        let data = data.filter(|_| kind == SignalKind::Shows).map(|data| data.to_vec());
        let state = self.opened_channel(channel, "Signal")?.filter(|state| state.told().is_some());
        Ok(state.map(|state| RelayRequest::Signal(SignalRequest { space: state.space(), kind, entity, data })))
    }

    /// Takes what another session says, to be told once the queue is short. Answers whether something older had to go for it.
    pub fn signalled(&mut self, from: SessionId, device: DeviceId, signal: &SignalRequest) -> bool {
        if !self.is_live() {
            return false;
        }
        let SignalRequest { space, kind, entity, data } = signal;
        let channel = self.channels.values().find(|state| state.space() == *space).map(|state| state.channel);
        let Some(channel) = channel else { return false };
        let data = data.as_deref().map(Into::into);
        let frame = Signalled { channel, session: from, device, kind: *kind, entity: *entity, data };
        self.signals.push(channel, from, *kind, &frame)
    }

    /// The next signal, where the queue is short enough for one.
    pub(super) fn next_signal(&mut self) -> Option<Vec<u8>> {
        if self.queued_bytes >= SIGNAL_QUEUE_BYTES_MAX {
            return None;
        }
        let message = self.signals.pop()?;
        self.queued_bytes += message.len();
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(entity: Option<EntityId>, kind: SignalKind, data: Option<&[u8]>) -> Signalled<'_> {
        let (session, device) = (SessionId::from_bytes([1; 16]), DeviceId::from_bytes([1; 16]));
        Signalled { channel: Channel(1), session, device, kind, entity, data: data.map(Into::into) }
    }

    #[test]
    fn of_each_place_the_newest_waits_and_who_leaves_takes_the_rest_along() {
        let (mut waiting, from) = (WaitingSignals::default(), SessionId::from_bytes([1; 16]));
        let mut push = |entity, kind, data| waiting.push(Channel(1), from, kind, &frame(entity, kind, data));
        let (one, two) = (Some(EntityId::from_bytes([1; 16])), Some(EntityId::from_bytes([2; 16])));
        push(one, SignalKind::Shows, Some(b"old"));
        push(two, SignalKind::Shows, Some(b"two"));
        push(None, SignalKind::Asks, None);
        push(one, SignalKind::Shows, Some(b"new"));
        let told: Vec<_> = std::iter::from_fn(|| waiting.pop()).collect();
        let expected = [
            frame(one, SignalKind::Shows, Some(b"new")),
            frame(two, SignalKind::Shows, Some(b"two")),
            frame(None, SignalKind::Asks, None),
        ];
        assert_eq!(told, expected.map(|frame| wire::encode_to_device(&ToDevice::Signal(frame))));

        let mut push = |kind, data| waiting.push(Channel(1), from, kind, &frame(one, kind, data));
        push(SignalKind::Shows, Some(b"old"));
        push(SignalKind::Leaves, None);
        let left = wire::encode_to_device(&ToDevice::Signal(frame(one, SignalKind::Leaves, None)));
        assert_eq!((waiting.pop(), waiting.pop()), (Some(left), None));
    }

    #[test]
    fn what_waits_is_bounded_and_the_oldest_goes() {
        let (mut waiting, from) = (WaitingSignals::default(), SessionId::from_bytes([1; 16]));
        let entity = |number: usize| {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&number.to_le_bytes());
            Some(EntityId::from_bytes(bytes))
        };
        for number in 0..SIGNALS_WAITING_MAX + 1 {
            let frame = frame(entity(number), SignalKind::Shows, Some(b"x"));
            let dropped = waiting.push(Channel(1), from, SignalKind::Shows, &frame);
            assert_eq!(dropped, number == SIGNALS_WAITING_MAX);
        }
        let first = wire::encode_to_device(&ToDevice::Signal(frame(entity(1), SignalKind::Shows, Some(b"x"))));
        assert_eq!((waiting.0.len(), waiting.pop()), (SIGNALS_WAITING_MAX, Some(first)));
    }
}
