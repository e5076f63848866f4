//! Signals: what is told to those who are here now, and is stored nowhere.

use super::Channel;
use crate::id::{DeviceId, EntityId, SessionId};
use minicbor::bytes::ByteSlice;
use minicbor::{Decode, Encode};

/// What a signal says of the session that sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SignalKind {
    /// It wants to hear from now on, and asks the others to show once more what they show.
    Asks,
    /// It shows something in a place: the newest is what counts there.
    Shows,
    /// It shows nothing in that place any more.
    Clears,
    /// It shows nothing anywhere, and hears nothing any more.
    Leaves,
    /// What a later version says; it is ignored.
    Unknown(u16),
}

impl SignalKind {
    const fn number(self) -> u16 {
        match self {
            Self::Asks => 0,
            Self::Shows => 1,
            Self::Clears => 2,
            Self::Leaves => 3,
            Self::Unknown(number) => number,
        }
    }

    const fn from_number(number: u16) -> Self {
        match number {
            0 => Self::Asks,
            1 => Self::Shows,
            2 => Self::Clears,
            3 => Self::Leaves,
            other => Self::Unknown(other),
        }
    }
}

impl<C> Encode<C> for SignalKind {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.u16(self.number())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for SignalKind {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        d.u16().map(Self::from_number)
    }
}

/// What a device says to those who have a space open now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Signal<'b> {
    /// The space.
    #[n(0)]
    pub channel: Channel,
    /// What it says.
    #[n(1)]
    pub kind: SignalKind,
    /// The place: an entity, or the space as a whole where it is absent.
    #[n(2)]
    pub entity: Option<EntityId>,
    /// What is shown there, at most [`SIGNAL_BYTES_MAX`](crate::limits::SIGNAL_BYTES_MAX) bytes.
    #[b(3)]
    pub data: Option<&'b ByteSlice>,
}

/// What another session has said, on its way to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Signalled<'b> {
    /// The space.
    #[n(0)]
    pub channel: Channel,
    /// The session that says so.
    #[n(1)]
    pub session: SessionId,
    /// Its device, as the relay has admitted it.
    #[n(2)]
    pub device: DeviceId,
    /// What it says.
    #[n(3)]
    pub kind: SignalKind,
    /// The place: an entity, or the space as a whole where it is absent.
    #[n(4)]
    pub entity: Option<EntityId>,
    /// What is shown there.
    #[b(5)]
    pub data: Option<&'b ByteSlice>,
}
