//! What ends a link before its time.

use afield_core::wire::Class;
use std::{fmt, io, sync::Arc};
use tokio_tungstenite::tungstenite::error::{CapacityError, Error as WebSocketError, ProtocolError};

/// A link failed, or a message cannot be sent on it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The link was closed in good order, by either side.
    #[error("the link is closed")]
    Closed,
    /// The connection broke: cut, reset, or ended without a close.
    #[error("the connection was lost")]
    Lost(#[source] Arc<io::Error>),
    /// The message to send is above the limit. Nothing was sent and the link goes on.
    #[error("a message of {bytes} bytes is above the limit of {bytes_max}")]
    MessageTooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The peer sent a message above the limit.
    #[error("the peer sent a message above the limit of {bytes_max} bytes")]
    PeerMessageTooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// The peer sent a text message.
    #[error("the peer sent a text message, where only binary ones have a meaning")]
    Text,
    /// The peer broke the WebSocket protocol.
    #[error("the peer broke the WebSocket protocol")]
    Protocol(#[source] ProtocolViolation),
    /// The peer sent pings, empty pieces or the like without end.
    #[error("the peer sent more than {bytes_max} bytes without a message")]
    Flood {
        /// The limit.
        bytes_max: u64,
    },
    /// The peer sent more than it may before it is admitted.
    #[error("the peer sent more than {bytes_max} bytes before it was admitted")]
    NotAdmitted {
        /// The limit.
        bytes_max: u64,
    },
    /// The peer said nothing and did not answer a ping.
    #[error("the peer was silent for {silent_ms} ms")]
    SilentPeer {
        /// The limit.
        silent_ms: u64,
    },
    /// The peer left a full connection unread.
    #[error("the peer read nothing for {stalled_ms} ms")]
    SlowReader {
        /// The limit.
        stalled_ms: u64,
    },
}

impl LinkError {
    /// What a device should do about it: come back later, except where the message itself is the trouble.
    pub fn class(&self) -> Class {
        match self {
            Self::MessageTooLarge { .. } => Class::Permanent,
            _ => Class::Retry,
        }
    }

    pub(super) fn lost(error: io::Error) -> Self {
        Self::Lost(Arc::new(error))
    }
}

impl From<WebSocketError> for LinkError {
    fn from(error: WebSocketError) -> Self {
        match error {
            WebSocketError::ConnectionClosed
            | WebSocketError::AlreadyClosed
            | WebSocketError::Protocol(ProtocolError::SendAfterClosing) => Self::Closed,
            WebSocketError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                Self::lost(io::ErrorKind::UnexpectedEof.into())
            }
            WebSocketError::Io(error) => Self::lost(error),
            WebSocketError::Capacity(CapacityError::MessageTooLong { max_size, .. }) => {
                Self::PeerMessageTooLarge { bytes_max: max_size }
            }
            // This error repeats the bytes of a text message that is not text: they must go no further (S6).
            WebSocketError::Utf8(_) => Self::Text,
            other => Self::Protocol(ProtocolViolation::from(other)),
        }
    }
}

/// How the WebSocket protocol was broken.
#[derive(Debug, Clone)]
pub struct ProtocolViolation(Arc<WebSocketError>);

impl From<WebSocketError> for ProtocolViolation {
    fn from(error: WebSocketError) -> Self {
        Self(Arc::new(error))
    }
}

impl fmt::Display for ProtocolViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            WebSocketError::Utf8(_) => f.write_str("bytes that are not UTF-8"),
            other => fmt::Display::fmt(other, f),
        }
    }
}

impl std::error::Error for ProtocolViolation {}
