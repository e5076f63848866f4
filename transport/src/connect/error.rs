//! Why a device is not connected.

use crate::SUBPROTOCOL;
use crate::link::ProtocolViolation;
use afield_core::policy::Wait;
use afield_core::policy::backoff::{RECONNECT_MAX_MS, RETRY_AFTER_MAX_MS};
use afield_core::wire::Class;
use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use std::io;
use tokio_tungstenite::tungstenite::error::{Error as WebSocketError, ProtocolError};

/// The connection to a relay was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The host's name leads to no address: it is wrong, or there is no network.
    #[error("the name of the relay's host was not found")]
    Address(#[source] io::Error),
    /// No address of the host took the connection.
    #[error("the relay cannot be reached")]
    Unreachable(#[source] io::Error),
    /// TLS failed, most often because the certificate is not trusted or is for another name.
    #[error(
        "the relay's certificate, or its encryption, cannot be accepted (for this name, in date, of an authority trusted here)"
    )]
    Tls(#[source] rustls::Error),
    /// An added root certificate cannot be used, or the platform has no trust store.
    #[error("no trusted root certificates could be set up")]
    TrustStore(#[source] rustls::Error),
    /// The relay, or a server in its place, answered with an HTTP status.
    #[error("{} (HTTP status {})", refusal_text(*.status), .status.as_u16())]
    Refused {
        /// The status.
        status: StatusCode,
        /// The earliest moment to come back, in milliseconds from now.
        retry_after_ms: Option<u64>,
    },
    /// The server speaks WebSocket, but not this version of the protocol.
    #[error("the server does not speak {SUBPROTOCOL}")]
    Subprotocol,
    /// What answered is not a relay.
    #[error("what answered is not a relay")]
    NotARelay(#[source] ProtocolViolation),
    /// The connection broke during the handshake.
    #[error("the connection broke before it was ready")]
    Cut(#[source] io::Error),
    /// The whole handshake took too long.
    #[error("the relay did not answer within {after_ms} ms")]
    TimedOut {
        /// The limit.
        after_ms: u64,
    },
}

impl ConnectError {
    /// What a device should do about it.
    ///
    /// A certificate that is not trusted is tried again, and so is an answer that no relay gives: a hotel's sign-in page
    /// and a proxy whose relay restarts look the same and pass by themselves.
    pub fn class(&self) -> Class {
        match self {
            Self::Address(_)
            | Self::Unreachable(_)
            | Self::Tls(_)
            | Self::NotARelay(_)
            | Self::Cut(_)
            | Self::TimedOut { .. } => Class::Retry,
            Self::Refused { status, .. } => refusal_class(*status),
            Self::Subprotocol => Class::Upgrade,
            Self::TrustStore(_) => Class::Permanent,
        }
    }

    /// How long to wait at least before the next attempt, and why: what the relay named, and the longest wait of the back-off
    /// after an answer that no relay gives.
    pub fn wait(&self) -> Option<Wait> {
        match self {
            Self::Refused { status, retry_after_ms: Some(ms) } if *status == StatusCode::TOO_MANY_REQUESTS => {
                Some(Wait::Limited(*ms))
            }
            Self::Refused { retry_after_ms: Some(ms), .. } => Some(Wait::Asked(*ms)),
            Self::Refused { status, .. } if is_odd(*status) => Some(Wait::Unasked(RECONNECT_MAX_MS)),
            Self::NotARelay(_) => Some(Wait::Unasked(RECONNECT_MAX_MS)),
            _ => None,
        }
    }

    /// The earliest moment to come back, in milliseconds from now; see [`Self::wait`].
    pub fn retry_after_ms(&self) -> Option<u64> {
        self.wait().map(Wait::ms)
    }

    /// An I/O error below the WebSocket; TLS hides its own errors in these.
    pub(super) fn from_io(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(tls) => Self::Tls(tls.clone()),
            None => Self::Cut(error),
        }
    }

    pub(super) fn from_handshake(error: WebSocketError) -> Self {
        match error {
            WebSocketError::Http(response) => {
                Self::Refused { status: response.status(), retry_after_ms: parse_retry_after(response.headers()) }
            }
            WebSocketError::Protocol(ProtocolError::SecWebSocketSubProtocolError(_)) => Self::Subprotocol,
            WebSocketError::Protocol(ProtocolError::HandshakeIncomplete) => {
                Self::Cut(io::ErrorKind::UnexpectedEof.into())
            }
            WebSocketError::Io(error) => Self::from_io(error),
            other => Self::NotARelay(ProtocolViolation::from(other)),
        }
    }
}

fn refusal_class(status: StatusCode) -> Class {
    match status {
        StatusCode::UNAUTHORIZED => Class::SignIn,
        StatusCode::UPGRADE_REQUIRED => Class::Upgrade,
        _ => Class::Retry,
    }
}

/// Whether neither a relay answers so, nor a proxy whose relay is away for a moment.
fn is_odd(status: StatusCode) -> bool {
    let is_for_a_moment = status.is_server_error()
        || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS].contains(&status);
    refusal_class(status) == Class::Retry && !is_for_a_moment
}

fn refusal_text(status: StatusCode) -> &'static str {
    match (status, refusal_class(status)) {
        (_, Class::SignIn) => "the relay did not accept the token: sign in again",
        (_, Class::Upgrade) => "the relay speaks another version of the protocol: the older side has to be upgraded",
        (StatusCode::TOO_MANY_REQUESTS, _) => "the relay asks for fewer connections",
        _ if !is_odd(status) => "the relay cannot take connections now",
        (StatusCode::NOT_FOUND, _) => "there is no relay at this address: check its path",
        _ if status.is_redirection() => {
            "the server points elsewhere, and redirects are not followed: check the address"
        }
        _ if status.is_success() => "the server is not a relay: check the address",
        _ => "the server refused the connection: check the address",
    }
}

/// Reads `Retry-After` in seconds. A date there is passed over: it depends on two clocks that may differ, and the
/// device's own back-off serves as well.
fn parse_retry_after(headers: &HeaderMap) -> Option<u64> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(seconds.saturating_mul(1_000).min(RETRY_AFTER_MAX_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_says_what_to_do() {
        let table = [
            (401, Class::SignIn),
            (426, Class::Upgrade),
            (429, Class::Retry),
            (503, Class::Retry),
            (502, Class::Retry),
        ];
        for status in [200, 301, 400, 403, 404] {
            let error = ConnectError::Refused { status: StatusCode::from_u16(status).unwrap(), retry_after_ms: None };
            let told = (error.class(), error.wait());
            assert_eq!(
                told,
                (Class::Retry, Some(Wait::Unasked(RECONNECT_MAX_MS))),
                "one odd answer does not end sync: {error}"
            );
            assert!(error.to_string().contains("check"), "{error}");
        }
        for (status, class) in table {
            let status = StatusCode::from_u16(status).unwrap();
            let error = ConnectError::Refused { status, retry_after_ms: None };
            assert_eq!(error.class(), class, "{error}");
            assert!(error.to_string().ends_with(&format!("(HTTP status {})", status.as_u16())));
        }
    }

    #[test]
    fn a_limit_of_this_device_is_told_from_a_relay_that_has_no_time() {
        let wait = |status, retry_after_ms| ConnectError::Refused { status, retry_after_ms }.wait();
        assert_eq!(wait(StatusCode::TOO_MANY_REQUESTS, Some(7_000)), Some(Wait::Limited(7_000)));
        assert_eq!(wait(StatusCode::SERVICE_UNAVAILABLE, Some(7_000)), Some(Wait::Asked(7_000)));
        assert_eq!(wait(StatusCode::NOT_FOUND, Some(7_000)), Some(Wait::Asked(7_000)), "it was named");
        assert_eq!(wait(StatusCode::TOO_MANY_REQUESTS, None), None, "the back-off alone");
    }

    #[test]
    fn retry_after_is_read_in_seconds_and_capped() {
        let read = |value: &'static str| {
            parse_retry_after(&HeaderMap::from_iter([(RETRY_AFTER, http::HeaderValue::from_static(value))]))
        };
        assert_eq!(read("7"), Some(7_000));
        assert_eq!(read("99999999999999999"), Some(RETRY_AFTER_MAX_MS));
        assert_eq!(read("Wed, 21 Oct 2015 07:28:00 GMT"), None);
        assert_eq!(read("-1"), None);
        assert_eq!(parse_retry_after(&HeaderMap::new()), None);
    }
}
