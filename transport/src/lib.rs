//! Whole binary messages over WebSockets: bytes and addresses, not documents.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `address` | [`RelayAddress`]: where a relay is, parsed once; plain text only on this machine |
//! | `token` | [`Token`]: a bearer token that no log shows, and [`bearer_token`] for the relay's end |
//! | `connect` | [`Client`] and [`connect`]: TCP, TLS and the WebSocket upgrade under one time limit |
//! | `upgrade` | [`upgrade_response`] and [`accept`]: the relay's end, behind any HTTP server |
//! | `link` | [`Link`]: the same two-way message stream at both ends and in memory ([`memory_pair`]) |
//!
//! What holds here:
//!
//! - **Bounded (R8).** A message above the limit is refused before it is buffered; every buffer of a link has a named
//!   size; bytes that never become a message, a peer that does not read and a peer that falls silent each end the link.
//! - **Encrypted.** `ws://` is refused except on loopback, where it also connects to loopback addresses only. The token
//!   travels in the `Authorization` header and never in a URL.
//! - **Quiet (S6, S7).** Errors hold no content and no token. Without a link there is no socket and no timer.
//!
//! Deliberately absent: frames and their meaning (`afield_core::wire`), tasks (a link works only while it is polled, so
//! its owner decides where it runs), and reconnecting (its owner asks `afield_core::policy::backoff` when, and the error's
//! class whether). HTTP proxies are not spoken to.

mod address;
mod connect;
mod link;
mod token;
mod upgrade;

pub use address::{ParseAddressError, RelayAddress};
pub use connect::{Client, ClientOptions, ConnectError, connect};
pub use link::{
    CloseCode, Link, LinkError, LinkMeter, LinkOptions, LinkReceiver, LinkSender, LinkStatistics, ProtocolViolation,
    memory_pair,
};
pub use token::{ParseTokenError, Token, bearer_token};
pub use upgrade::{ServerOptions, UpgradeRefusal, accept, upgrade_response};

/// The WebSocket subprotocol that both ends must agree on; its number is the major version of the protocol.
pub const SUBPROTOCOL: &str = "afield.1";
/// The path of the sync endpoint, behind the prefix of a relay's address.
pub const SYNC_PATH: &str = "/v1/sync";
/// The crates of the WebSocket implementation, which print whole messages and requests at `debug` and `trace`.
const LOG_TARGETS_WITH_CONTENT: [&str; 2] = ["tungstenite", "tokio_tungstenite"];

/// Whether a log record of this target and level holds no content and no token (invariant S6).
///
/// A program that collects `log` records filters with this, whatever level it was asked for: the WebSocket implementation
/// prints whole messages and requests at `debug` and `trace`.
pub fn may_be_logged(target: &str, level: tracing::Level) -> bool {
    let crate_name = target.split_once("::").map_or(target, |(crate_name, _)| crate_name);
    level <= tracing::Level::INFO || !LOG_TARGETS_WITH_CONTENT.contains(&crate_name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn the_layers_that_print_messages_are_heard_from_info_upwards() {
        for target in ["tungstenite", "tungstenite::protocol::frame", "tokio_tungstenite::compat"] {
            assert!(!may_be_logged(target, Level::TRACE) && !may_be_logged(target, Level::DEBUG), "{target}");
            assert!(may_be_logged(target, Level::INFO) && may_be_logged(target, Level::ERROR), "{target}");
        }
        assert!(may_be_logged("afield_transport::link", Level::TRACE), "the control");
    }
}
