//! Where a relay is.

use crate::SYNC_PATH;
use afield_core::wire::Class;
use http::Uri;
use rustls_pki_types::ServerName;
use std::{fmt, str::FromStr};
use url::{Host, Url};

/// The address of a relay: `wss://host[:port][/prefix]`, or `ws://` where the host is this machine.
///
/// `https://` and `http://` mean the same as `wss://` and `ws://`. The sync endpoint is always at [`SYNC_PATH`] behind
/// the prefix; an address that already ends with that path is the same address.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RelayAddress {
    secure: bool,
    host: Host<String>,
    port: u16,
    prefix: Box<str>,
    endpoint: Uri,
}

/// The text is not the address of a relay. The text itself is withheld: it may hold a password.
///
/// ```
/// use afield_transport::{ParseAddressError, RelayAddress};
///
/// let refused = |text: &str| text.parse::<RelayAddress>().unwrap_err();
/// assert_eq!(refused("ftp://relay.example.com"), ParseAddressError::Scheme);
/// assert_eq!(refused("ws://relay.example.com"), ParseAddressError::PlainTextToAnotherMachine);
/// assert_eq!(refused("wss://ada:secret@relay.example.com"), ParseAddressError::Credentials);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseAddressError {
    /// The text is not a URL at all.
    #[error("not a URL; the address of a relay looks like wss://relay.example.com")]
    NotAUrl(#[source] url::ParseError),
    /// The scheme is none of the four.
    #[error("the address of a relay starts with wss:// (or with ws:// where the relay runs on this machine)")]
    Scheme,
    /// `ws://` to another machine.
    #[error(
        "ws:// is not encrypted and is allowed to this machine only (localhost, 127.0.0.1, [::1]): use wss://, and for \
         a relay with its own certificate authority add its root certificate"
    )]
    PlainTextToAnotherMachine,
    /// A user name or a password in the URL.
    #[error("no user name or password belongs into the address of a relay: give the token apart from it")]
    Credentials,
    /// A query or a fragment in the URL.
    #[error("nothing after '?' or '#' belongs into the address of a relay: give the token apart from it")]
    Query,
    /// Port 0, which nothing listens on.
    #[error("port 0 is not a port that a relay can listen on")]
    Port,
    /// A prefix that cannot stand in an HTTP request.
    #[error("the path of the address has characters that an HTTP request cannot carry")]
    Path,
}

impl ParseAddressError {
    /// What would help: nothing but another address.
    ///
    /// ```
    /// let error = "ftp://relay.example.com".parse::<afield_transport::RelayAddress>().unwrap_err();
    /// assert_eq!(error.class(), afield_core::wire::Class::Permanent);
    /// ```
    pub fn class(&self) -> Class {
        Class::Permanent
    }

    /// A name that stays the same from version to version.
    ///
    /// ```
    /// let error = "ftp://relay.example.com".parse::<afield_transport::RelayAddress>().unwrap_err();
    /// assert_eq!(error.code(), "address.scheme");
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAUrl(_) => "address.not_a_url",
            Self::Scheme => "address.scheme",
            Self::PlainTextToAnotherMachine => "address.plain_text",
            Self::Credentials => "address.credentials",
            Self::Query => "address.query",
            Self::Port => "address.port",
            Self::Path => "address.path",
        }
    }
}

impl RelayAddress {
    /// Whether the connection is encrypted; it always is unless the relay is on this machine.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    pub(crate) fn host(&self) -> &Host<String> {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The URI of the sync endpoint, which becomes the request line.
    pub(crate) fn endpoint(&self) -> &Uri {
        &self.endpoint
    }

    /// What stands in the `Host` header.
    pub(crate) fn authority(&self) -> String {
        if self.port == default_port(self.secure) {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The name that the relay's certificate must be for.
    pub(crate) fn server_name(&self) -> Option<ServerName<'static>> {
        match &self.host {
            Host::Domain(name) => ServerName::try_from(name.clone()).ok(),
            Host::Ipv4(address) => Some(ServerName::IpAddress((*address).into())),
            Host::Ipv6(address) => Some(ServerName::IpAddress((*address).into())),
        }
    }
}

impl FromStr for RelayAddress {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = match Url::parse(text.trim()) {
            // "relay.example.com" and "127.0.0.1:8080" are the address without its scheme.
            Err(url::ParseError::RelativeUrlWithoutBase) => return Err(ParseAddressError::Scheme),
            other => other.map_err(ParseAddressError::NotAUrl)?,
        };
        let secure = match url.scheme() {
            "wss" | "https" => true,
            "ws" | "http" => false,
            _ => return Err(ParseAddressError::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ParseAddressError::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(ParseAddressError::Query);
        }
        let host = url.host().ok_or(ParseAddressError::NotAUrl(url::ParseError::EmptyHost))?.to_owned();
        if !secure && !is_this_machine(&host) {
            return Err(ParseAddressError::PlainTextToAnotherMachine);
        }
        let port = url.port().unwrap_or(default_port(secure));
        if port == 0 {
            return Err(ParseAddressError::Port);
        }
        let path = url.path().trim_end_matches('/');
        let prefix = path.strip_suffix(SYNC_PATH).unwrap_or(path).trim_end_matches('/');
        let scheme = if secure { "wss" } else { "ws" };
        let endpoint = Uri::try_from(format!("{scheme}://{host}:{port}{prefix}{SYNC_PATH}"))
            .map_err(|_| ParseAddressError::Path)?;
        Ok(Self { secure, host, port, prefix: prefix.into(), endpoint })
    }
}

impl fmt::Display for RelayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "wss" } else { "ws" };
        write!(f, "{scheme}://{}{}", self.authority(), self.prefix)
    }
}

impl fmt::Debug for RelayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

const fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

fn is_this_machine(host: &Host<String>) -> bool {
    match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, ParseAddressError> {
        text.parse::<RelayAddress>().map(|address| address.to_string())
    }

    #[test]
    fn every_way_to_write_an_address_gives_the_same_one() {
        for text in ["wss://relay.example.com", "https://relay.example.com/", "WSS://Relay.Example.com:443/v1/sync"] {
            assert_eq!(parse(text).as_deref(), Ok("wss://relay.example.com"));
        }
        assert_eq!(parse("wss://example.com:8443/team/afield/").as_deref(), Ok("wss://example.com:8443/team/afield"));
        let address: RelayAddress = "https://example.com/team".parse().unwrap();
        assert_eq!(address.endpoint().path(), "/team/v1/sync");
        assert_eq!(address.to_string().parse(), Ok(address));
    }

    #[test]
    fn plain_text_is_for_this_machine_only() {
        for text in ["ws://localhost:8080", "ws://127.0.0.1:8080", "ws://127.9.9.9:1", "http://[::1]:8080"] {
            assert!(parse(text).is_ok_and(|address| address.starts_with("ws://")), "{text}");
        }
        for text in ["ws://relay.example.com", "http://192.168.0.7:8080", "ws://localhost.example.com", "ws://[::2]"] {
            assert_eq!(parse(text), Err(ParseAddressError::PlainTextToAnotherMachine), "{text}");
        }
        assert!(ParseAddressError::PlainTextToAnotherMachine.to_string().contains("use wss://"));
    }

    #[test]
    fn secrets_in_a_url_are_refused_and_not_repeated() {
        assert_eq!(parse("wss://user:hunter2@example.com"), Err(ParseAddressError::Credentials));
        assert_eq!(parse("wss://example.com?token=hunter2"), Err(ParseAddressError::Query));
        assert_eq!(parse("wss://example.com#hunter2"), Err(ParseAddressError::Query));
        for text in ["wss://a:hunter2@x:99999", "wss://hunter2 x", "hunter2"] {
            let error = text.parse::<RelayAddress>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "S6");
        }
    }

    #[test]
    fn what_is_no_address_says_what_one_looks_like() {
        for text in ["", "relay.example.com", "localhost:8080", "127.0.0.1:8080", "ftp://example.com", "file:///x"] {
            assert!(parse(text).is_err_and(|error| error.to_string().contains("wss://")), "{text}");
        }
        assert_eq!(parse("ws://localhost:0"), Err(ParseAddressError::Port));
    }
}
