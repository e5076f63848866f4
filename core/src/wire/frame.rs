//! The frames of a session, as values. `PROTOCOL.md` beside this file is the normative text.

mod chunks;
mod except;
mod jump;
mod receipt;
mod selection;
mod signal;

pub use chunks::{Chunks, ErasedChunk, RawChunk, Segment, SequenceRuns, SnapshotChunk};
pub use jump::{Jump, PLACES_RUNS_MAX, Places};
pub use receipt::{Receipt, ReceiptRun};
pub use selection::{EntityIds, Fetch, FetchNumber, Fetched, NewFilter};
pub use signal::{Signal, SignalKind, Signalled};

use super::code::{GoodbyeCode, SpaceCode};
use crate::filter::Filter;
use crate::id::{DeviceId, Incarnation, LogId, SessionId, SpaceId};
use crate::invitation::InvitationCode;
use crate::limits::Limits;
use crate::log::{CHAIN_CHECK_BYTES, Cursor, Sequence};
use crate::role::Role;
use minicbor::bytes::{ByteArray, ByteSlice};
use minicbor::data::Type;
use minicbor::{Decode, Decoder, Encode, Encoder};

/// The version of the protocol that this crate speaks.
pub const PROTOCOL_VERSION: u16 = 1;

/// A device's short name for a space within one session, chosen by the device in `Open`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Channel(#[n(0)] pub u32);

/// A push within one session, numbered from 1 by the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct PushNumber(#[n(0)] pub u64);

/// The leading bytes of a chain hash.
pub type ChainCheck = ByteArray<CHAIN_CHECK_BYTES>;

/// The first frame of a device.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Hello {
    /// Versions of the protocol that the device speaks.
    #[n(0)]
    pub versions: Vec<u16>,
    /// Who is speaking.
    #[n(1)]
    pub device: DeviceId,
    /// This opening of the device's store.
    #[n(2)]
    pub incarnation: Incarnation,
    /// Earlier openings of the same store that may have reached the relay, newest last.
    #[n(3)]
    #[cbor(default)]
    pub predecessors: Vec<Incarnation>,
    /// The device that this session is a guest of: it only looks, in that one's name.
    #[n(4)]
    pub guest_of: Option<DeviceId>,
}

/// A bearer token, where it could not come in the `Authorization` header, or a fresher one later.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Authenticate {
    /// The token.
    #[n(0)]
    pub token: String,
}

impl std::fmt::Debug for Authenticate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authenticate { token: withheld }")
    }
}

/// Starts, or starts again, the exchange about one space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// The short name for the space from now on.
    pub channel: Channel,
    /// The space.
    pub space: SpaceId,
    /// How far the device has the log; absent when it never had any.
    pub cursor: Option<Cursor>,
    /// Whether the relay may create the space: it was made on this device, or had been on a relay before.
    pub create: bool,
    /// Asks for every chunk on its own instead of in batches, after a batch did not decode.
    pub raw: bool,
    /// What is wanted of the space.
    pub filter: Filter,
    /// Whether some of what the filter names is not here up to the cursor, and is still to be fetched.
    pub partial: bool,
    /// An invitation to the space, for a device whose user may not be a member yet.
    pub invitation: Option<InvitationCode>,
}

/// Chunks of one space for the log, in causal order per entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Push<'b> {
    /// The number of this push.
    #[n(0)]
    pub number: PushNumber,
    /// The space.
    #[n(1)]
    pub channel: Channel,
    /// The chunks, as a batch.
    #[b(2)]
    pub batch: &'b ByteSlice,
}

/// Asks for one more `CaughtUp`, for the log as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct CatchUp {
    /// The space.
    #[n(0)]
    pub channel: Channel,
}

/// Says how far the device has stored the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Progress {
    /// The space.
    #[n(0)]
    pub channel: Channel,
    /// The sequence of its stored cursor.
    #[n(1)]
    pub sequence: Sequence,
}

/// Another device, which wants everything of the space, has stored its log up to here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Seen {
    /// The space.
    #[n(0)]
    pub channel: Channel,
    /// The last sequence that it has stored.
    #[n(1)]
    pub sequence: Sequence,
}

/// The last frame of either side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Goodbye {
    /// Why.
    #[n(0)]
    pub code: GoodbyeCode,
    /// The earliest moment to come back, in milliseconds from now.
    #[n(1)]
    pub retry_after_ms: Option<u64>,
}

/// The relay's answer to a good `Hello`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Welcome {
    /// The version that both sides speak from now on.
    #[n(0)]
    pub version: u16,
    /// The session.
    #[n(1)]
    pub session: SessionId,
    /// The limits in force.
    #[n(2)]
    pub limits: Limits,
    /// The spaces that this token may use.
    #[n(3)]
    #[cbor(default)]
    pub spaces: Vec<SpaceId>,
    /// Whether this token may create a space.
    #[n(4)]
    #[cbor(default)]
    pub may_create: bool,
    /// Whether the relay takes signals, which an older one does not know.
    #[n(5)]
    #[cbor(default)]
    pub signals: bool,
}

/// The log of a space that was opened without a cursor: the device's cursor is now this log's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Opened {
    /// The space.
    #[n(0)]
    pub channel: Channel,
    /// The lineage of its log.
    #[n(1)]
    pub log: LogId,
    /// What the session may do with the space; absent for all that there is to do, which an owner may.
    #[n(2)]
    pub role: Option<Role>,
}

/// Everything that was durable when `Open` or `CatchUp` was taken has been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct CaughtUp {
    /// The space.
    #[n(0)]
    pub channel: Channel,
    /// The position.
    #[n(1)]
    pub sequence: Sequence,
    /// The leading bytes of the chain hash there.
    #[n(2)]
    pub check: ChainCheck,
    /// What the session may do with the space, when its log was read last; absent for all that there is to do, which an owner may.
    #[n(3)]
    pub role: Option<Role>,
}

/// The device's position does not belong to the relay's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Reset {
    /// The space.
    #[n(0)]
    pub channel: Channel,
    /// The lineage of the relay's log.
    #[n(1)]
    pub log: LogId,
}

/// The space is not served in this session; all others are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Refused {
    /// The space.
    #[n(0)]
    pub channel: Channel,
    /// Why.
    #[n(1)]
    pub code: SpaceCode,
    /// The earliest moment to ask again, in milliseconds from now.
    #[n(2)]
    pub retry_after_ms: Option<u64>,
}

macro_rules! frames {
    ($(#[$doc:meta])* $name:ident { $($(#[$frame_doc:meta])* $frame:ident($body:ty) = $number:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $name<'b> {
            $($(#[$frame_doc])* $frame($body),)*
        }

        impl<C> Encode<C> for $name<'_> {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut Encoder<W>,
                ctx: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.array(2)?;
                match self {
                    $(Self::$frame(body) => e.u8($number)?.encode_with(body, ctx)?.ok(),)*
                }
            }
        }

        impl<'b> $name<'b> {
            /// The name of the frame, for logs.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$frame(_) => stringify!($frame),)*
                }
            }

            /// Reads the body of the frame with this number; `None` when no such frame is known.
            pub(super) fn decode_body(
                number: u64,
                d: &mut Decoder<'b>,
            ) -> Result<Option<Self>, minicbor::decode::Error> {
                Ok(match number {
                    $($number => Some(Self::$frame(d.decode()?)),)*
                    _ => None,
                })
            }
        }
    };
}

frames! {
    /// A frame from a device to a relay.
    ToRelay {
        /// Who is speaking.
        Hello(Hello) = 1,
        /// A bearer token.
        Authenticate(Authenticate) = 2,
        /// Start with a space.
        Open(Open) = 3,
        /// Chunks for the log.
        Push(Push<'b>) = 4,
        /// What the log holds of some entities.
        Fetch(Fetch) = 5,
        /// How far the device has stored the log.
        Progress(Progress) = 6,
        /// What is said to those who are here now.
        Signal(Signal<'b>) = 7,
        /// The session ends.
        Goodbye(Goodbye) = 8,
        /// Tell once more when everything is there.
        CatchUp(CatchUp) = 9,
        /// Another filter.
        Filter(NewFilter) = 10,
    }
}

frames! {
    /// A frame from a relay to a device.
    ToDevice {
        /// The session ends.
        Goodbye(Goodbye) = 8,
        /// The session stands.
        Welcome(Welcome) = 16,
        /// The log of a space opened without a cursor.
        Opened(Opened) = 17,
        /// A run of the log.
        Chunks(Chunks<'b>) = 18,
        /// Nothing more for now.
        CaughtUp(CaughtUp) = 19,
        /// What became of a push.
        Receipt(Receipt) = 20,
        /// The position does not belong to the log.
        Reset(Reset) = 21,
        /// The space is not served.
        Refused(Refused) = 22,
        /// How far another device has stored the log.
        Seen(Seen) = 23,
        /// What another session says.
        Signal(Signalled<'b>) = 24,
        /// A run of the log of which not everything travels.
        Jump(Jump<'b>) = 25,
        /// A page of what was asked for.
        Fetched(Fetched<'b>) = 26,
    }
}

/// Whether the next item is an array of two whose first element is a frame number; reads both heads.
pub(super) fn frame_number(d: &mut Decoder<'_>) -> Result<u64, minicbor::decode::Error> {
    let position = d.position();
    if d.datatype()? != Type::Array || d.array()? != Some(2) {
        return Err(minicbor::decode::Error::message("a frame is an array of its number and its body").at(position));
    }
    d.u64()
}
