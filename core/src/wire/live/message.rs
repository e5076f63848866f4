//! The messages of the live form: a leading byte, a channel, items and a check, without CBOR.

use super::control;
use super::decode::LiveItems;
use super::push::check_of;
use crate::change::leb::{ReadFault, Reader, write_unsigned};
use crate::limits::FRAME_BYTES_MAX;
use crate::log::ChainHash;
use crate::wire::envelope::WireError;
use crate::wire::frame::Channel;

/// How many leading bytes of a hash a live message ends with. The hash covers all that the stream observed before, too,
/// so that a message with a wrong one that fits by chance, once in 2³², is found out by the next.
pub const LIVE_CHECK_BYTES: usize = 4;

const LIVE_PUSH: u8 = 2;
const LIVE_CHUNKS: u8 = 3;

/// What a live message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveKind {
    /// Chunks from a device: a `Push` whose number is one more than that of the push before.
    Push,
    /// A run of the log from a relay: `Chunks` after the device's cursor.
    Chunks,
}

/// A live message, opened but not decoded.
#[derive(Debug, Clone)]
pub struct LiveMessage<'b> {
    kind: LiveKind,
    channel: Channel,
    begins: bool,
    items: &'b [u8],
    check: [u8; LIVE_CHECK_BYTES],
}

impl<'b> LiveMessage<'b> {
    /// Opens a WebSocket message; `None` when it is not a live one.
    ///
    /// # Errors
    ///
    /// The message is too large, ends too early, or its channel does not fit.
    pub fn open(message: &'b [u8]) -> Result<Option<Self>, WireError> {
        let kind = match message.first() {
            Some(&LIVE_PUSH) => LiveKind::Push,
            Some(&LIVE_CHUNKS) => LiveKind::Chunks,
            _ => return Ok(None),
        };
        if message.len() > FRAME_BYTES_MAX {
            return Err(WireError::TooLarge { found: message.len(), maximum: FRAME_BYTES_MAX });
        }
        let mut reader = Reader::new(message.get(1..).unwrap_or_default(), 0);
        let word = reader.unsigned().map_err(|fault| match fault {
            ReadFault::End { needed, found } => WireError::Truncated { offset: 0, needed, found },
            ReadFault::Number => WireError::BadChannel,
        })?;
        let channel = Channel(u32::try_from(word >> 1).map_err(|_| WireError::BadChannel)?);
        let offset = reader.offset();
        let rest = reader.rest();
        let end = WireError::Truncated { offset, needed: LIVE_CHECK_BYTES as u64, found: rest.len() };
        let (items, check) = rest.split_last_chunk::<LIVE_CHECK_BYTES>().ok_or(end)?;
        Ok(Some(Self { kind, channel, begins: word & 1 != 0, items, check: *check }))
    }

    /// What the message is.
    pub fn kind(&self) -> LiveKind {
        self.kind
    }

    /// The space.
    pub fn channel(&self) -> Channel {
        self.channel
    }

    /// Whether the stream begins with this message: both ends start from a new state.
    pub fn begins(&self) -> bool {
        self.begins
    }

    /// The items.
    pub fn items(&self) -> LiveItems<'b> {
        LiveItems::new(self.items)
    }

    /// Whether this is the chain hash after the last chunk of the message.
    pub fn fits_chain(&self, chain: &ChainHash) -> bool {
        self.fits(chain.as_bytes())
    }

    pub(super) fn fits(&self, hash: &[u8; 32]) -> bool {
        self.check == check_of(hash)
    }
}

/// Puts items that [`super::LiveState::encode`] and [`own_item`] wrote into one message for a reader.
pub fn encode_live_chunks<'i>(
    channel: Channel,
    begins: bool,
    items: impl IntoIterator<Item = &'i [u8]>,
    chain_after: &ChainHash,
) -> Vec<u8> {
    let items: Vec<u8> = items.into_iter().flatten().copied().collect();
    encode_live(LiveKind::Chunks, channel, begins, &items, chain_after.as_bytes())
}

/// The item that names chunks the reader pushed itself: `count` of them, after `skip` ones that the log did not take.
pub fn own_item(skip: u64, count: u64) -> Vec<u8> {
    if (skip, count) == (0, 1) {
        return vec![control::OTHER | control::OWN];
    }
    let mut item = vec![control::OTHER | control::OWN | control::FIELDS];
    write_unsigned(&mut item, count);
    write_unsigned(&mut item, skip);
    item
}

pub(super) fn encode_live(kind: LiveKind, channel: Channel, begins: bool, items: &[u8], hash: &[u8; 32]) -> Vec<u8> {
    let mut message = Vec::with_capacity(2 + items.len() + LIVE_CHECK_BYTES);
    message.push(match kind {
        LiveKind::Push => LIVE_PUSH,
        LiveKind::Chunks => LIVE_CHUNKS,
    });
    write_unsigned(&mut message, u64::from(channel.0) << 1 | u64::from(begins));
    message.extend_from_slice(items);
    message.extend_from_slice(&check_of(hash));
    message
}
