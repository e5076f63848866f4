//! The relay's end: from an HTTP request to a link, behind any HTTP server.

use crate::SUBPROTOCOL;
use crate::link::{Link, LinkOptions, Side, WatchedStream};
use http::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Method, Response, StatusCode, Version, request};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");
/// The one version of the WebSocket protocol there is (RFC 6455, section 4.1).
const WEBSOCKET_VERSION: HeaderValue = HeaderValue::from_static("13");

/// How a relay treats a link that it accepted.
#[derive(Debug, Clone, Copy, Default)]
pub struct ServerOptions {
    /// How many bytes the peer may send until [`Link::admit`]; no such limit where the request itself was authenticated.
    /// It holds for everything that arrives, also for a message that is not complete.
    pub bytes_until_admitted_max: Option<u64>,
    /// Limits and intervals.
    pub link: LinkOptions,
}

/// Why a request is not upgraded to a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeRefusal {
    /// The request is not a `GET`.
    #[error("the sync endpoint takes GET requests only")]
    Method,
    /// The request does not ask for a WebSocket.
    #[error("the sync endpoint speaks WebSocket only")]
    NotAWebSocket,
    /// The request asks for another version of WebSocket.
    #[error("the sync endpoint speaks version 13 of the WebSocket protocol only")]
    WebSocketVersion,
    /// The handshake key is missing or is not 16 bytes in base64.
    #[error("the Sec-WebSocket-Key header is missing or wrong")]
    Key,
    /// The request does not offer [`SUBPROTOCOL`].
    #[error("the sync endpoint speaks the WebSocket subprotocol {SUBPROTOCOL} only")]
    Subprotocol,
}

impl UpgradeRefusal {
    /// The HTTP status to answer with. 426 tells a device of another version to upgrade.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAWebSocket | Self::WebSocketVersion | Self::Subprotocol => StatusCode::UPGRADE_REQUIRED,
            Self::Key => StatusCode::BAD_REQUEST,
        }
    }

    /// The answer, with the headers that RFC 9110 asks for and without a body.
    pub fn response(self) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        match self {
            Self::Method => {
                headers.insert(http::header::ALLOW, HeaderValue::from_static("GET"));
            }
            Self::NotAWebSocket | Self::WebSocketVersion | Self::Subprotocol => {
                headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
                headers.insert(UPGRADE, WEBSOCKET);
                headers.insert(SEC_WEBSOCKET_VERSION, WEBSOCKET_VERSION);
                headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
            }
            Self::Key => {}
        }
        response
    }
}

/// Checks a request for the sync endpoint and makes the answer that switches to a WebSocket.
///
/// Who may connect is not its business: check path, origin and token around it. Send the answer, take the upgraded
/// stream from the HTTP server and give it to [`accept`].
///
/// # Errors
///
/// When the request is not a WebSocket handshake that offers [`SUBPROTOCOL`]; the refusal knows its answer.
pub fn upgrade_response(request: &request::Parts) -> Result<Response<()>, UpgradeRefusal> {
    if request.method != Method::GET {
        return Err(UpgradeRefusal::Method);
    }
    let headers = &request.headers;
    let asks_for_websocket = request.version >= Version::HTTP_11
        && lists(headers, &CONNECTION, |item| item.eq_ignore_ascii_case("upgrade"))
        && lists(headers, &UPGRADE, |item| item.eq_ignore_ascii_case("websocket"));
    if !asks_for_websocket {
        return Err(UpgradeRefusal::NotAWebSocket);
    }
    if headers.get(SEC_WEBSOCKET_VERSION) != Some(&WEBSOCKET_VERSION) {
        return Err(UpgradeRefusal::WebSocketVersion);
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).filter(|key| is_key(key.as_bytes())).ok_or(UpgradeRefusal::Key)?;
    if !lists(headers, &SEC_WEBSOCKET_PROTOCOL, |item| item == SUBPROTOCOL) {
        return Err(UpgradeRefusal::Subprotocol);
    }
    let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes()))
        .expect("base64 has only characters that a header value may have");
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    response.headers_mut().insert(UPGRADE, WEBSOCKET);
    response.headers_mut().insert(SEC_WEBSOCKET_ACCEPT, accept);
    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    Ok(response)
}

/// Makes a link of a stream that an HTTP server has upgraded with [`upgrade_response`].
///
/// It must be called inside a tokio runtime with time enabled. The stream should send without delay (`TCP_NODELAY`).
pub async fn accept(upgraded: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, options: ServerOptions) -> Link {
    let stream = WatchedStream::new(upgraded, options.link.bytes_without_message_max());
    let config = options.link.websocket_config(Role::Server);
    let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    let link = Link::over(socket, Side::Relay, options.link);
    link.limit_until_admitted(options.bytes_until_admitted_max);
    link
}

/// Whether a header that holds a comma-separated list, perhaps over several lines, has such an item.
fn lists(headers: &HeaderMap, name: &HeaderName, wanted: impl Fn(&str) -> bool) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|item| wanted(item.trim()))
}

/// Whether this is 16 bytes in base64.
fn is_key(key: &[u8]) -> bool {
    key.len() == 24
        && key.strip_suffix(b"==").is_some_and(|digits| {
            digits.iter().all(|digit| digit.is_ascii_alphanumeric() || matches!(digit, b'+' | b'/'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 6455, section 1.3, with our subprotocol.
    fn handshake(change: impl FnOnce(&mut request::Parts)) -> Result<Response<()>, UpgradeRefusal> {
        let request = http::Request::get("/v1/sync")
            .header(CONNECTION, "keep-alive, Upgrade")
            .header(UPGRADE, "WebSocket")
            .header(SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_PROTOCOL, "chat, afield.1")
            .body(());
        let mut parts = request.unwrap().into_parts().0;
        change(&mut parts);
        upgrade_response(&parts)
    }

    #[test]
    fn the_example_of_the_standard_is_answered_as_the_standard_says() {
        let response = handshake(|_| {}).unwrap();
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(response.headers()[SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(response.headers()[SEC_WEBSOCKET_PROTOCOL], SUBPROTOCOL);
    }

    #[test]
    fn each_part_of_the_handshake_is_needed() {
        let without = |name: HeaderName| handshake(|parts| drop(parts.headers.remove(name))).unwrap_err();
        assert_eq!(without(CONNECTION), UpgradeRefusal::NotAWebSocket);
        assert_eq!(without(UPGRADE), UpgradeRefusal::NotAWebSocket);
        assert_eq!(without(SEC_WEBSOCKET_KEY), UpgradeRefusal::Key);
        assert_eq!(without(SEC_WEBSOCKET_VERSION), UpgradeRefusal::WebSocketVersion);
        assert_eq!(without(SEC_WEBSOCKET_PROTOCOL), UpgradeRefusal::Subprotocol);
        let with = |name: HeaderName, value: &'static str| {
            handshake(|parts| drop(parts.headers.insert(name, HeaderValue::from_static(value)))).unwrap_err()
        };
        assert_eq!(with(SEC_WEBSOCKET_KEY, "c2hvcnQ="), UpgradeRefusal::Key);
        assert_eq!(with(SEC_WEBSOCKET_PROTOCOL, "afield.10, Afield.1"), UpgradeRefusal::Subprotocol);
        assert_eq!(handshake(|parts| parts.method = Method::POST).unwrap_err(), UpgradeRefusal::Method);
        assert_eq!(handshake(|parts| parts.version = Version::HTTP_10).unwrap_err(), UpgradeRefusal::NotAWebSocket);
    }

    #[test]
    fn a_refusal_says_what_would_be_accepted() {
        let response = UpgradeRefusal::Subprotocol.response();
        assert_eq!(response.status(), StatusCode::UPGRADE_REQUIRED);
        assert_eq!(response.headers()[SEC_WEBSOCKET_PROTOCOL], SUBPROTOCOL);
        assert_eq!(UpgradeRefusal::Method.response().headers()[http::header::ALLOW], "GET");
    }
}
