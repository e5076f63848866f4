//! Why a link was closed in good order.

use std::fmt;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, frame::Utf8Bytes, frame::coding};

/// Why a link was closed in good order: the status code of a WebSocket close frame (RFC 6455, section 7.4).
///
/// What a device should do is said by the `Goodbye` frame that stands before; this is what proxies and tools see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseCode {
    /// The work is done (1000).
    Done,
    /// The end is going away, or the device switched sync off (1001).
    GoingAway,
    /// The peer broke the protocol (1002).
    Protocol,
    /// The peer sent a text message (1003).
    Text,
    /// The peer is not allowed to go on (1008).
    Policy,
    /// The peer sent a message above the limit (1009).
    TooLarge,
    /// This end failed (1011).
    Internal,
    /// The relay restarts (1012).
    Restarting,
    /// The relay has too much to do (1013).
    Overloaded,
    /// The peer gave no code.
    Unstated,
    /// A code that only the peer knows.
    Other(u16),
}

impl CloseCode {
    /// The number on the wire; 1005 where there is none.
    pub const fn number(self) -> u16 {
        match self {
            Self::Done => 1000,
            Self::GoingAway => 1001,
            Self::Protocol => 1002,
            Self::Text => 1003,
            Self::Unstated => 1005,
            Self::Policy => 1008,
            Self::TooLarge => 1009,
            Self::Internal => 1011,
            Self::Restarting => 1012,
            Self::Overloaded => 1013,
            Self::Other(number) => number,
        }
    }

    /// The code with this number.
    pub const fn from_number(number: u16) -> Self {
        match number {
            1000 => Self::Done,
            1001 => Self::GoingAway,
            1002 => Self::Protocol,
            1003 => Self::Text,
            1005 => Self::Unstated,
            1008 => Self::Policy,
            1009 => Self::TooLarge,
            1011 => Self::Internal,
            1012 => Self::Restarting,
            1013 => Self::Overloaded,
            other => Self::Other(other),
        }
    }

    /// The frame to send. The reason text stays empty: the code says it all, and a text could carry content.
    pub(super) fn to_frame(self) -> Option<CloseFrame> {
        let code = coding::CloseCode::from(self.number());
        code.is_allowed().then_some(CloseFrame { code, reason: Utf8Bytes::from_static("") })
    }

    pub(super) fn from_frame(frame: Option<&CloseFrame>) -> Self {
        frame.map_or(Self::Unstated, |frame| Self::from_number(frame.code.into()))
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Done => "done",
            Self::GoingAway => "going away",
            Self::Protocol => "the protocol was broken",
            Self::Text => "a text message came",
            Self::Policy => "not allowed to go on",
            Self::TooLarge => "a message was too large",
            Self::Internal => "internal error",
            Self::Restarting => "restarting",
            Self::Overloaded => "overloaded",
            Self::Unstated => "no reason given",
            Self::Other(number) => return write!(f, "close code {number}"),
        };
        f.write_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_survive_their_frames() {
        for number in (1000..=1015).chain([3000, 4999]) {
            assert_eq!(CloseCode::from_number(number).number(), number);
        }
        assert_eq!(CloseCode::from_frame(CloseCode::TooLarge.to_frame().as_ref()), CloseCode::TooLarge);
        assert_eq!(CloseCode::from_frame(CloseCode::Unstated.to_frame().as_ref()), CloseCode::Unstated);
        assert!(CloseCode::Other(7).to_frame().is_none(), "a code that RFC 6455 forbids is not sent");
    }
}
