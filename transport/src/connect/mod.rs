//! The device's end: TCP, TLS and the WebSocket upgrade under one time limit.

mod dial;
mod error;

pub use error::ConnectError;

use crate::SUBPROTOCOL;
use crate::address::RelayAddress;
use crate::link::{ByteStream, Link, LinkOptions, Side, WatchedStream};
use crate::token::Token;
use afield_core::limits::HANDSHAKE_TIMEOUT_MS;
use http::Request;
use http::header::{
    AUTHORIZATION, CONNECTION, HOST, HeaderValue, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls_pki_types::CertificateDer;
use rustls_platform_verifier::Verifier;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// How a device connects.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// The bearer token, if there is one.
    pub token: Option<Token>,
    /// Root certificates that are trusted beside the platform's.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// How long everything from the name look-up to the upgraded WebSocket may take, in milliseconds.
    pub handshake_timeout_ms: u64,
    /// Limits and intervals of the link.
    pub link: LinkOptions,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            token: None,
            extra_roots: Vec::new(),
            handshake_timeout_ms: HANDSHAKE_TIMEOUT_MS,
            link: LinkOptions::default(),
        }
    }
}

/// Connects to relays again and again: keeps the trusted roots and the TLS sessions between connections.
///
/// Making one costs nothing; the platform's trust store is read at the first encrypted connection.
#[derive(Debug)]
pub struct Client {
    options: ClientOptions,
    tls: OnceLock<Arc<ClientConfig>>,
}

/// Connects to a relay once; see [`Client::connect`].
///
/// # Errors
///
/// As [`Client::connect`].
pub async fn connect(address: &RelayAddress, options: ClientOptions) -> Result<Link, ConnectError> {
    Client::new(options).connect(address).await
}

impl Client {
    /// A client with these options. It opens nothing.
    pub fn new(options: ClientOptions) -> Self {
        Self { options, tls: OnceLock::new() }
    }

    /// Sets the token of later connections.
    pub fn set_token(&mut self, token: Option<Token>) {
        self.options.token = token;
    }

    /// Connects to a relay and agrees on the protocol with it. Dropping the future leaves nothing behind.
    ///
    /// # Errors
    ///
    /// A [`ConnectError`] that says how far it came; its class says whether trying again helps.
    pub async fn connect(&self, address: &RelayAddress) -> Result<Link, ConnectError> {
        let after_ms = self.options.handshake_timeout_ms;
        tokio::time::timeout(Duration::from_millis(after_ms), self.handshake(address))
            .await
            .unwrap_or(Err(ConnectError::TimedOut { after_ms }))
            .inspect(|_| tracing::debug!(%address, "connected"))
            .inspect_err(|error| tracing::debug!(%address, %error, "not connected"))
    }

    async fn handshake(&self, address: &RelayAddress) -> Result<Link, ConnectError> {
        if !address.is_secure() {
            return self.upgrade(address, dial::dial(address).await?).await;
        }
        let connector = TlsConnector::from(self.tls_config()?);
        let stream = dial::dial(address).await?;
        let name = address.server_name().ok_or_else(|| ConnectError::Address(io::ErrorKind::InvalidInput.into()))?;
        let encrypted = connector.connect(name, stream).await.map_err(ConnectError::from_io)?;
        self.upgrade(address, encrypted).await
    }

    async fn upgrade(&self, address: &RelayAddress, stream: impl ByteStream + 'static) -> Result<Link, ConnectError> {
        let options = self.options.link;
        let stream = WatchedStream::new(stream, options.bytes_without_message_max());
        let config = options.websocket_config(Role::Client);
        let (socket, _) = client_async_with_config(self.request(address), stream, Some(config))
            .await
            .map_err(ConnectError::from_handshake)?;
        Ok(Link::over(socket, Side::Device, options))
    }

    fn request(&self, address: &RelayAddress) -> Request<()> {
        let mut request = Request::new(());
        *request.uri_mut() = address.endpoint().clone();
        let headers = request.headers_mut();
        let header = |text: String| {
            HeaderValue::try_from(text).expect("a parsed host and base64 have only characters that a header may have")
        };
        headers.insert(HOST, header(address.authority()));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        headers.insert(SEC_WEBSOCKET_KEY, header(generate_key()));
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
        if let Some(token) = &self.options.token {
            headers.insert(AUTHORIZATION, token.authorization());
        }
        request
    }

    /// The TLS configuration, made once: reading the platform's roots takes milliseconds, and it remembers sessions.
    fn tls_config(&self) -> Result<Arc<ClientConfig>, ConnectError> {
        if let Some(config) = self.tls.get() {
            return Ok(Arc::clone(config));
        }
        let provider = Arc::new(ring::default_provider());
        let verifier = Verifier::new_with_extra_roots(self.options.extra_roots.iter().cloned(), Arc::clone(&provider))
            .map_err(ConnectError::TrustStore)?;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(ConnectError::TrustStore)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        // A proxy that would rather speak HTTP/2 has to know that this connection cannot.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::clone(self.tls.get_or_init(|| Arc::new(config))))
    }
}
