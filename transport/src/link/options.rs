//! The limits, buffers and intervals of a link.

use afield_core::limits::{FRAME_BYTES_MAX, PING_INTERVAL_MS, SILENT_PEER_TIMEOUT_MS, SLOW_READER_TIMEOUT_MS};
use std::time::Duration;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

const KIB: usize = 1024;

/// The read buffer of a relay's link, in bytes: allocated for as long as the link lives, so 5,000 idle sessions hold
/// 20 MiB. One read takes at most this much, which is plenty for pushes of a few changes.
const READ_BUFFER_BYTES_RELAY: usize = 4 * KIB;
/// The read buffer of a device's link, in bytes: one TLS record. A device has one link and reads whole catch-ups.
const READ_BUFFER_BYTES_DEVICE: usize = 16 * KIB;
/// How many bytes of small messages are gathered before they are written without a flush.
const WRITE_BUFFER_BYTES: usize = 8 * KIB;
/// The largest piece of a message that becomes one WebSocket frame, in bytes: one TLS record.
///
/// The implementation copies a frame into its write buffer and keeps that buffer's capacity for as long as the link
/// lives, and the same for its read buffer. A message sent as one frame of 1 MiB would so cost every session that ever
/// caught up 1 MiB for good. In pieces it costs two dozen KiB, is never copied as a whole, and lets a ping through.
pub(super) const FRAGMENT_BYTES: usize = 16 * KIB;
/// Room in the write buffer for a frame's header and for pings, pongs and a close beside it, in bytes.
const CONTROL_BYTES: usize = KIB;
/// What may arrive without a message becoming complete, beyond twice the largest message, in bytes: read-ahead, headers
/// and control frames.
const BYTES_BETWEEN_MESSAGES: u64 = 64 * 1024;
/// How long the other side may take to answer a close, in milliseconds: it costs nobody anything to give up.
const CLOSE_TIMEOUT_MS: u64 = 2_000;

/// The limits and intervals of a link; the defaults are the protocol's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkOptions {
    /// The largest message in either direction, in bytes. A larger one that arrives is refused before it is buffered.
    pub frame_bytes_max: usize,
    /// How long the peer may be silent before it is pinged, in milliseconds; at most half of the next value is used.
    pub ping_interval_ms: u64,
    /// How long the peer may be silent before the link counts as dead, in milliseconds. Any byte counts as life, so a
    /// slow connection in the middle of a large message is not cut.
    pub silent_peer_timeout_ms: u64,
    /// How long the peer may leave a full connection unread before the link is given up, in milliseconds.
    pub slow_reader_timeout_ms: u64,
    /// How long the peer may take to answer a close, in milliseconds.
    pub close_timeout_ms: u64,
}

impl Default for LinkOptions {
    fn default() -> Self {
        Self {
            frame_bytes_max: FRAME_BYTES_MAX,
            ping_interval_ms: PING_INTERVAL_MS,
            silent_peer_timeout_ms: SILENT_PEER_TIMEOUT_MS,
            slow_reader_timeout_ms: SLOW_READER_TIMEOUT_MS,
            close_timeout_ms: CLOSE_TIMEOUT_MS,
        }
    }
}

impl LinkOptions {
    /// Every setting of the WebSocket implementation, none left to its default.
    pub(crate) fn websocket_config(&self, role: Role) -> WebSocketConfig {
        let read_buffer_bytes = match role {
            Role::Client => READ_BUFFER_BYTES_DEVICE,
            Role::Server => READ_BUFFER_BYTES_RELAY,
        };
        WebSocketConfig::default()
            .read_buffer_size(read_buffer_bytes)
            .write_buffer_size(WRITE_BUFFER_BYTES)
            .max_write_buffer_size(WRITE_BUFFER_BYTES + FRAGMENT_BYTES + CONTROL_BYTES)
            .max_message_size(Some(self.frame_bytes_max))
            .max_frame_size(Some(self.frame_bytes_max))
            .accept_unmasked_frames(false)
    }

    /// How many bytes may arrive before a message is complete. Pieces that hold nothing and pings without end come to
    /// this sooner or later; the pieces of an honest message never do.
    pub(crate) fn bytes_without_message_max(&self) -> u64 {
        (self.frame_bytes_max as u64).saturating_mul(2).saturating_add(BYTES_BETWEEN_MESSAGES)
    }

    pub(super) fn ping_interval(&self) -> Duration {
        Duration::from_millis(self.ping_interval_ms.min(self.silent_peer_timeout_ms / 2))
    }

    /// How long an unanswered ping keeps the link alive.
    pub(super) fn answer_timeout(&self) -> Duration {
        Duration::from_millis(self.silent_peer_timeout_ms).saturating_sub(self.ping_interval())
    }

    pub(super) fn slow_reader_timeout(&self) -> Duration {
        Duration::from_millis(self.slow_reader_timeout_ms)
    }

    pub(super) fn close_timeout(&self) -> Duration {
        Duration::from_millis(self.close_timeout_ms)
    }
}
