//! The envelope of a frame: one WebSocket message, plain or zstd.

use super::cbor;
use super::code::GoodbyeCode;
use super::compress::{InflateError, check_stated, deflate, inflate};
use super::frame::{ToDevice, ToRelay, frame_number};
use crate::limits::FRAME_BYTES_MAX;
use minicbor::{Decoder, Encode};
use std::borrow::Cow;
use std::fmt;

const PLAIN: u8 = 0;
const ZSTD: u8 = 1;
/// The number of the frame that is a push.
const PUSH: u8 = 4;
/// The smallest payload that is tried with zstd: below it nothing is gained (`PROTOCOL.md`).
const COMPRESS_BYTES_MIN: usize = 200;

/// Why a message is not a frame. No variant holds content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The message has more bytes than a frame may have.
    #[error("the message has {found} bytes, at most {maximum} are allowed")]
    TooLarge {
        /// How many bytes it has.
        found: usize,
        /// How many are allowed.
        maximum: usize,
    },
    /// The leading byte is of a later version.
    #[error("the message starts with envelope {found}, which this version does not know")]
    UnknownEnvelope {
        /// The leading byte.
        found: u8,
    },
    /// The channel of a live message is no number of a channel.
    #[error("a live message names no channel")]
    BadChannel,
    /// The frame number is of a later version.
    #[error("frame {number} is not known to this version")]
    UnknownFrame {
        /// The number.
        number: u64,
    },
    /// The message ends inside an item.
    #[error("the message ends in the item at byte {offset} of its payload: {needed} bytes needed, {found} found")]
    Truncated {
        /// Where the item starts.
        offset: usize,
        /// How many bytes it needs.
        needed: u64,
        /// How many are left.
        found: usize,
    },
    /// Bytes follow the frame.
    #[error("{found} bytes follow the frame at byte {offset} of the payload")]
    Trailing {
        /// Where the frame ends.
        offset: usize,
        /// How many bytes follow.
        found: usize,
    },
    /// Items nest too deep.
    #[error("the item at byte {offset} of the payload nests deeper than {maximum}")]
    TooDeep {
        /// Where the item starts.
        offset: usize,
        /// How deep items may nest.
        maximum: usize,
    },
    /// An array or map is too long.
    #[error("the list at byte {offset} of the payload has {found} items, at most {maximum} are allowed")]
    TooManyItems {
        /// Where the list starts.
        offset: usize,
        /// How many items it states.
        found: u64,
        /// How many are allowed.
        maximum: u64,
    },
    /// The payload is not the CBOR that a frame is made of.
    #[error("the payload is not a frame at byte {offset}: {fault}")]
    BadCbor {
        /// Where.
        offset: usize,
        /// How.
        #[source]
        fault: CborFault,
    },
    /// The body of a frame does not have the fields that its number promises.
    #[error("the body of frame {number} is wrong at byte {offset} of the payload: {fault}")]
    BadBody {
        /// The number of the frame.
        number: u64,
        /// Where.
        offset: usize,
        /// How.
        #[source]
        fault: CborFault,
    },
    /// The payload does not inflate.
    #[error("the payload does not inflate: {0}")]
    Inflate(#[from] InflateError),
}

/// What is wrong with an item of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CborFault {
    /// A list or string of unknown length.
    #[error("a length is not stated")]
    UnknownLength,
    /// A form that CBOR reserves.
    #[error("a reserved form")]
    Reserved,
    /// An item of another type is needed.
    #[error("an item of another type is needed")]
    WrongType,
    /// A required field is absent.
    #[error("a required field is absent")]
    MissingField,
    /// The value of an item lies outside its range or has the wrong length.
    #[error("a value is outside its range")]
    BadValue,
}

impl WireError {
    /// The code with which the session closes.
    pub fn goodbye(&self) -> GoodbyeCode {
        match self {
            Self::UnknownEnvelope { .. } | Self::UnknownFrame { .. } => GoodbyeCode::Upgrade,
            _ => GoodbyeCode::BadFrame,
        }
    }

    fn of_body(number: u64, end: usize, error: &minicbor::decode::Error) -> Self {
        let fault = if error.is_type_mismatch() || error.is_tag_mismatch() {
            CborFault::WrongType
        } else if error.is_missing_value() {
            CborFault::MissingField
        } else {
            CborFault::BadValue
        };
        Self::BadBody { number, offset: error.position().unwrap_or(end), fault }
    }
}

/// A received message whose payload has been inflated and looked over, but not decoded.
#[derive(Clone, PartialEq, Eq)]
pub struct Message<'b> {
    payload: Cow<'b, [u8]>,
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message {{ {} bytes }}", self.payload.len())
    }
}

impl<'b> Message<'b> {
    /// Opens one WebSocket message.
    ///
    /// # Errors
    ///
    /// The envelope is unknown, the payload does not inflate to its stated size, or it is not one item of CBOR that
    /// keeps the limits.
    pub fn open(message: &'b [u8]) -> Result<Self, WireError> {
        if message.len() > FRAME_BYTES_MAX {
            return Err(WireError::TooLarge { found: message.len(), maximum: FRAME_BYTES_MAX });
        }
        let end = WireError::Truncated { offset: 0, needed: 1, found: 0 };
        let (envelope, rest) = message.split_first().ok_or(end)?;
        let payload = match *envelope {
            PLAIN => Cow::Borrowed(rest),
            ZSTD => {
                let end = WireError::Truncated { offset: 0, needed: 4, found: rest.len() };
                let (stated, frame) = rest.split_first_chunk::<4>().ok_or(end)?;
                let stated = check_stated(u32::from_le_bytes(*stated).into(), frame.len())?;
                Cow::Owned(inflate(frame, stated)?)
            }
            found => return Err(WireError::UnknownEnvelope { found }),
        };
        cbor::check(&payload)?;
        Ok(Self { payload })
    }

    /// The frame, on the relay's end.
    ///
    /// # Errors
    ///
    /// The payload is not a frame that a device may send.
    pub fn to_relay(&self) -> Result<ToRelay<'_>, WireError> {
        self.decode(ToRelay::decode_body)
    }

    /// The frame, on the device's end.
    ///
    /// # Errors
    ///
    /// The payload is not a frame that a relay may send.
    pub fn to_device(&self) -> Result<ToDevice<'_>, WireError> {
        self.decode(ToDevice::decode_body)
    }

    fn decode<'m, F>(
        &'m self,
        decode_body: impl FnOnce(u64, &mut Decoder<'m>) -> Result<Option<F>, minicbor::decode::Error>,
    ) -> Result<F, WireError> {
        let mut decoder = Decoder::new(&self.payload);
        let number = frame_number(&mut decoder).map_err(|error| WireError::BadCbor {
            offset: error.position().unwrap_or(0),
            fault: CborFault::WrongType,
        })?;
        decode_body(number, &mut decoder)
            .map_err(|error| WireError::of_body(number, decoder.position(), &error))?
            .ok_or(WireError::UnknownFrame { number })
    }
}

/// Whether a message from a device may be a push, by its first bytes: what a relay counts before it decodes anything.
///
/// Of what is not written in the shortest form it says yes.
///
/// ```
/// use afield_core::wire::{Authenticate, ToRelay, encode_to_relay, may_be_push};
///
/// let message = encode_to_relay(&ToRelay::Authenticate(Authenticate { token: "secret".to_owned() }));
/// assert!(!may_be_push(&message));
/// ```
pub fn may_be_push(message: &[u8]) -> bool {
    // An array of two items whose first is a number below 24 (RFC 8949, 3.1).
    !matches!(message, [PLAIN, 0x82, number, ..] if *number < 24 && *number != PUSH)
}

/// Encodes a frame from a device as one WebSocket message.
pub fn encode_to_relay(frame: &ToRelay<'_>) -> Vec<u8> {
    seal(frame, matches!(frame, ToRelay::Push(_)))
}

/// Encodes a frame from a relay as one WebSocket message.
pub fn encode_to_device(frame: &ToDevice<'_>) -> Vec<u8> {
    seal(frame, matches!(frame, ToDevice::Chunks(_)))
}

/// Batches are compressed themselves, so a frame that carries one stays plain.
fn seal(frame: &impl Encode<()>, carries_batch: bool) -> Vec<u8> {
    let mut message = vec![PLAIN];
    minicbor::encode(frame, &mut message).expect("a vector takes whatever is written to it");
    let payload = message.get(1..).unwrap_or_default();
    if carries_batch || payload.len() <= COMPRESS_BYTES_MIN {
        return message;
    }
    match compressed(payload) {
        Some(compressed) if compressed.len() < message.len() => compressed,
        _ => message,
    }
}

fn compressed(payload: &[u8]) -> Option<Vec<u8>> {
    let stated = u32::try_from(payload.len()).ok()?;
    let frame = deflate(&[payload])?;
    Some([&[ZSTD][..], &stated.to_le_bytes(), &frame].concat())
}

#[cfg(test)]
mod tests;
