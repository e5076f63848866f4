//! Where a request is from: which address, whatever stands between, and which page.

use http::{HeaderMap, HeaderValue};
use ipnet::IpNet;
use std::net::IpAddr;

/// What a proxy says of the address that it was asked from.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The same as RFC 7239 has it, which is not read: proxies pass on what others wrote there.
const FORWARDED: &str = "forwarded";

/// The pages whose browsers may connect: all, unless some are listed, for a token is nothing that a browser adds by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    listed: Vec<String>,
}

impl Origins {
    /// Those that are listed, such as `https://app.example`.
    pub fn new(listed: impl IntoIterator<Item = String>) -> Self {
        Self { listed: listed.into_iter().collect() }
    }

    /// Whether the page of an `Origin` header is one of them.
    pub(super) fn include(&self, origin: &HeaderValue) -> bool {
        self.listed.is_empty() || self.listed.iter().any(|listed| listed.as_bytes() == origin.as_bytes())
    }
}

/// The address that a request is from. What a header says of it counts as far as proxies say it that are trusted: the last address in
/// their chain that is none of them.
pub(super) fn client_address(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
    let is_proxy = |address: &IpAddr| proxies.iter().any(|network| network.contains(address));
    let mut nearest = peer.to_canonical();
    let listed: Vec<&str> = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .map(str::trim)
        .collect();
    for text in listed.iter().rev() {
        if !is_proxy(&nearest) {
            break;
        }
        // What is no address was not written by a proxy that knows better.
        let Ok(address) = text.parse::<IpAddr>() else { break };
        nearest = address.to_canonical();
    }
    nearest
}

/// Whether a request says that it is somebody else's.
pub(super) fn names_a_client(headers: &HeaderMap) -> bool {
    headers.contains_key(FORWARDED_FOR) || headers.contains_key(FORWARDED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(peer: &str, forwarded: &[&str], proxies: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, value.parse().unwrap());
        }
        let proxies: Vec<IpNet> = proxies.iter().map(|network| network.parse().unwrap()).collect();
        client_address(peer.parse().unwrap(), &headers, &proxies).to_string()
    }

    #[test]
    fn a_header_counts_as_far_as_trusted_proxies_say_it() {
        let proxies = ["10.0.0.0/8", "127.0.0.1/32"];
        for (peer, forwarded, address) in [
            ("198.51.100.7", &["192.0.2.1"][..], "198.51.100.7"),
            ("10.0.0.1", &["192.0.2.1"], "192.0.2.1"),
            ("10.0.0.1", &["203.0.113.9, 192.0.2.1"], "192.0.2.1"),
            ("10.0.0.1", &["203.0.113.9, 192.0.2.1, 10.1.1.1"], "192.0.2.1"),
            ("10.0.0.1", &["203.0.113.9", "192.0.2.1", "10.1.1.1"], "192.0.2.1"),
            ("10.0.0.1", &["192.0.2.1, nonsense"], "10.0.0.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["10.2.2.2"], "10.2.2.2"),
            ("::ffff:10.0.0.1", &["2001:db8::1"], "2001:db8::1"),
        ] {
            assert_eq!(from(peer, forwarded, &proxies), address, "{peer} {forwarded:?}");
        }
        assert_eq!(from("10.0.0.1", &["192.0.2.1"], &[]), "10.0.0.1", "without configuration nobody is trusted");
    }

    #[test]
    fn a_page_is_one_of_those_that_are_listed_to_the_letter() {
        let origin = |text: &str| text.parse::<HeaderValue>().unwrap();
        let listed = Origins::new(["https://app.example".to_owned()]);
        assert!(listed.include(&origin("https://app.example")));
        for other in ["http://app.example", "https://app.example:8443", "https://app.example.evil", "null"] {
            assert!(!listed.include(&origin(other)), "{other}");
            assert!(Origins::default().include(&origin(other)));
        }
    }
}
