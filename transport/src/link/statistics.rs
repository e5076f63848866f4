//! What went over a link.

use super::options::FRAGMENT_BYTES;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What went over a link so far.
///
/// Bytes are those of whole messages with the headers and masks of their WebSocket frames, without pings, pongs and
/// closes, and before TLS. A received message is counted as this crate sends it; a foreign peer that cuts messages
/// differently differs by some bytes of header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkStatistics {
    /// Messages sent.
    pub messages_sent: u64,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Messages received.
    pub messages_received: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// Writes to the connection, each a system call where there is no TLS; always 0 in memory.
    pub writes: u64,
    /// Bytes that the connection took in those writes, also of messages that are not complete, and of pings, pongs and
    /// closes: what shows that a slow peer goes on reading; always 0 in memory.
    pub bytes_written: u64,
    /// Bytes that came over the connection, counted in the same way; always 0 in memory.
    pub bytes_read: u64,
}

/// Reads a link's statistics while others use the link; clones read the same link.
#[derive(Debug, Clone)]
pub struct LinkMeter(Arc<Counters>);

#[derive(Debug)]
struct Counters {
    side: Side,
    messages_sent: AtomicU64,
    bytes_sent: AtomicU64,
    messages_received: AtomicU64,
    bytes_received: AtomicU64,
    writes: AtomicU64,
    bytes_written: AtomicU64,
    bytes_read: AtomicU64,
}

/// Which end of a link this is: only what a device sends is masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Device,
    Relay,
}

impl LinkMeter {
    /// The statistics at this moment.
    pub fn read(&self) -> LinkStatistics {
        LinkStatistics {
            messages_sent: self.0.messages_sent.load(Relaxed),
            bytes_sent: self.0.bytes_sent.load(Relaxed),
            messages_received: self.0.messages_received.load(Relaxed),
            bytes_received: self.0.bytes_received.load(Relaxed),
            writes: self.0.writes.load(Relaxed),
            bytes_written: self.0.bytes_written.load(Relaxed),
            bytes_read: self.0.bytes_read.load(Relaxed),
        }
    }

    pub(super) fn new(side: Side) -> Self {
        Self(Arc::new(Counters {
            side,
            messages_sent: AtomicU64::new(0),
            bytes_sent: AtomicU64::new(0),
            messages_received: AtomicU64::new(0),
            bytes_received: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            bytes_written: AtomicU64::new(0),
            bytes_read: AtomicU64::new(0),
        }))
    }

    pub(super) fn sent(&self, payload_bytes: usize) {
        self.0.messages_sent.fetch_add(1, Relaxed);
        self.0.bytes_sent.fetch_add(message_bytes(payload_bytes, self.0.side == Side::Device), Relaxed);
    }

    pub(super) fn received(&self, payload_bytes: usize) {
        self.0.messages_received.fetch_add(1, Relaxed);
        self.0.bytes_received.fetch_add(message_bytes(payload_bytes, self.0.side == Side::Relay), Relaxed);
    }

    pub(super) fn wrote(&self, bytes: usize) {
        self.0.writes.fetch_add(1, Relaxed);
        self.0.bytes_written.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn read_bytes(&self, bytes: usize) {
        self.0.bytes_read.fetch_add(bytes as u64, Relaxed);
    }
}

/// The bytes of a message on the wire: its pieces, each with its header and mask.
fn message_bytes(payload_bytes: usize, masked: bool) -> u64 {
    let whole_pieces = payload_bytes / FRAGMENT_BYTES;
    let rest = payload_bytes % FRAGMENT_BYTES;
    let last = if rest > 0 || whole_pieces == 0 { frame_bytes(rest, masked) } else { 0 };
    whole_pieces as u64 * frame_bytes(FRAGMENT_BYTES, masked) + last
}

/// The bytes of one frame: RFC 6455, section 5.2.
fn frame_bytes(payload_bytes: usize, masked: bool) -> u64 {
    let length_bytes = match payload_bytes {
        0..=125 => 0,
        126..=65_535 => 2,
        _ => 8,
    };
    2 + length_bytes + if masked { 4 } else { 0 } + payload_bytes as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_masks_are_counted() {
        assert_eq!(message_bytes(0, false), 2);
        assert_eq!(message_bytes(125, true), 125 + 6);
        assert_eq!(message_bytes(126, true), 126 + 8);
        assert_eq!(message_bytes(FRAGMENT_BYTES, false), FRAGMENT_BYTES as u64 + 4);
        assert_eq!(message_bytes(FRAGMENT_BYTES * 2 + 1, true), FRAGMENT_BYTES as u64 * 2 + 16 + 1 + 6);
        assert_eq!(frame_bytes(65_536, false), 65_536 + 10);
    }
}
