//! A look at the structure of a CBOR payload before anything is decoded from it.
//!
//! Unknown map keys are skipped by the decoder, which keeps a stack of its own for nested arrays of unknown length, and
//! lists are collected item by item: both stay small because of what is refused here.

use super::envelope::{CborFault, WireError};
use crate::change::leb::{ReadFault, Reader};
use crate::limits::BATCH_CHUNKS_MAX;

/// How deep the items of a frame may nest; the frames of this version reach 5.
pub(super) const DEPTH_MAX: usize = 16;
/// The most items of one array or map of a frame: a receipt may name an outcome for each chunk of a push.
pub const ITEMS_MAX: usize = BATCH_CHUNKS_MAX;

/// Checks that the payload is one complete item of known lengths, nothing after it, and no deeper or longer than the
/// limits. The work is linear in the bytes and takes no memory.
pub(super) fn check(payload: &[u8]) -> Result<(), WireError> {
    let mut reader = Reader::new(payload, 0);
    let mut open = [0_u64; DEPTH_MAX];
    let mut depth = 0;
    let mut items = 1_u64;
    loop {
        while items == 0 {
            if depth == 0 {
                return match reader.remaining() {
                    0 => Ok(()),
                    found => Err(WireError::Trailing { offset: reader.offset(), found }),
                };
            }
            depth -= 1;
            items = open.get(depth).copied().unwrap_or(0);
        }
        let offset = reader.offset();
        let (major, argument) = head(&mut reader)?;
        let children = match major {
            2 | 3 => {
                reader.take(argument).map_err(|fault| truncated(offset, fault))?;
                0
            }
            4 => argument,
            5 => argument.saturating_mul(2),
            // A tag is followed by the item that it belongs to.
            6 => continue,
            _ => 0,
        };
        items -= 1;
        if children == 0 {
            continue;
        }
        if argument > ITEMS_MAX as u64 {
            return Err(WireError::TooManyItems { offset, found: argument, maximum: ITEMS_MAX as u64 });
        }
        if children > reader.remaining() as u64 {
            return Err(WireError::Truncated { offset, needed: children, found: reader.remaining() });
        }
        let slot = open.get_mut(depth).ok_or(WireError::TooDeep { offset, maximum: DEPTH_MAX })?;
        *slot = items;
        depth += 1;
        items = children;
    }
}

/// Reads the head of an item: its major type and the number in it.
fn head(reader: &mut Reader<'_>) -> Result<(u8, u64), WireError> {
    let offset = reader.offset();
    let first = reader.byte().map_err(|fault| truncated(offset, fault))?;
    let argument = match first & 0x1f {
        small @ 0..=23 => Ok(u64::from(small)),
        24 => reader.array().map(|[byte]| u64::from(byte)),
        25 => reader.array().map(|bytes| u64::from(u16::from_be_bytes(bytes))),
        26 => reader.array().map(|bytes| u64::from(u32::from_be_bytes(bytes))),
        27 => reader.array().map(u64::from_be_bytes),
        31 => return Err(WireError::BadCbor { offset, fault: CborFault::UnknownLength }),
        _ => return Err(WireError::BadCbor { offset, fault: CborFault::Reserved }),
    };
    Ok((first >> 5, argument.map_err(|fault| truncated(offset, fault))?))
}

fn truncated(offset: usize, fault: ReadFault) -> WireError {
    match fault {
        ReadFault::End { needed, found } => WireError::Truncated { offset, needed, found },
        ReadFault::Number => WireError::BadCbor { offset, fault: CborFault::Reserved },
    }
}
