//! Signals of a device: what is said to those who are here now, and what they say.

use super::{DeviceEvent, DeviceSession, SpaceChannel, known};
use crate::id::{DeviceId, EntityId, SessionId, SpaceId};
use crate::limits::SIGNAL_BYTES_MAX;
use crate::session::SessionError;
use crate::wire::{self, SignalKind, Signalled, ToRelay};

/// What another session says to those who are here now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedSignal {
    /// The space.
    pub space: SpaceId,
    /// The session that says so.
    pub session: SessionId,
    /// Its device, as the relay has admitted it.
    pub device: DeviceId,
    /// What it says.
    pub kind: SignalKind,
    /// The place: an entity, or the space as a whole.
    pub entity: Option<EntityId>,
    /// What it shows there; empty unless it shows something.
    pub data: Vec<u8>,
}

impl DeviceSession {
    /// Whether signals of a space can be sent now: the relay takes them, and the space is open.
    pub fn takes_signals(&self, space: SpaceId) -> bool {
        self.welcomed && self.has_signals && self.channel(space).is_some_and(SpaceChannel::takes_pushes)
    }

    /// Queues a signal, with what is shown if it shows something; answers whether it could be sent.
    pub fn signal(&mut self, space: SpaceId, kind: SignalKind, entity: Option<EntityId>, data: Option<&[u8]>) -> bool {
        let Some(channel) = self.channel_of.get(&space).copied().filter(|_| self.takes_signals(space)) else {
            return false;
        };
        if data.is_some_and(|data| data.len() > SIGNAL_BYTES_MAX) {
            return false;
        }
        self.send(&ToRelay::Signal(wire::Signal { channel, kind, entity, data: data.map(Into::into) }));
        true
    }

    pub(super) fn handle_signal(
        channels: &mut std::collections::BTreeMap<wire::Channel, SpaceChannel>,
        events: &mut std::collections::VecDeque<DeviceEvent>,
        frame: &Signalled<'_>,
    ) -> Result<(), SessionError> {
        let Signalled { channel, session, device, kind, entity, data } = *frame;
        let space = known(channels, channel, "Signal")?.space();
        let data = data.map(|data| data.to_vec()).unwrap_or_default();
        if data.len() > SIGNAL_BYTES_MAX {
            return Err(SessionError::Order { frame: "Signal", problem: "with more than a signal may show" });
        }
        events.push_back(DeviceEvent::Signalled(Box::new(ReceivedSignal {
            space,
            session,
            device,
            kind,
            entity,
            data,
        })));
        Ok(())
    }
}
