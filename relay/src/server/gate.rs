//! Who may connect at all: asked of each connection as it is accepted, before it costs TLS, a request or a place.

use super::origin;
use super::places::{OfAddress, PerAddress};
use super::throttle::{Refused, Throttle, TooMany, counted_as};
use http::HeaderMap;
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Which addresses may connect how often, and hold how many connections that were not welcomed yet.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) throttle: Arc<Throttle>,
    pub(super) proxies: Vec<IpNet>,
    /// Whether a connection of a proxy counts as the proxy's own until it has asked for somebody, as at the administration, where whoever is
    /// on the machine of a proxy could otherwise hold all places by asking for nothing.
    pub(super) proxies_count: bool,
    /// Connections to the administration, which welcomes nobody, count to their end. Absent where nobody's address is known.
    pub(super) unwelcomed: Option<Arc<PerAddress>>,
    /// Whether it was said already that a proxy asks for others that nobody was told of, or nothing is to be said.
    pub(super) proxy_is_told: AtomicBool,
}

/// Why a connection is sent away, and when it may come back.
pub(super) type SentAway = (Refused, TooMany);

impl Gate {
    /// Counts a connection that was just accepted, unless it is one of a proxy that is trusted and does not count itself: whom that stands
    /// for is in its request. The place is its address's until it was welcomed.
    pub(super) fn accept(&self, peer: IpAddr) -> Result<Option<OfAddress>, SentAway> {
        if !self.proxies_count && self.is_proxy(peer) { Ok(None) } else { self.let_in(peer) }
    }

    /// Counts a connection of an address.
    pub(super) fn let_in(&self, address: IpAddr) -> Result<Option<OfAddress>, SentAway> {
        self.throttle.connect(address).map_err(|wait| (Refused::Rate, wait))?;
        let Some(unwelcomed) = &self.unwelcomed else { return Ok(None) };
        match unwelcomed.take(counted_as(address)) {
            Some(place) => Ok(Some(place)),
            None => Err((Refused::Handshakes, TooMany::after(Duration::ZERO))),
        }
    }

    /// The address that a request is from.
    pub(super) fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if self.finds_unknown_proxy(peer, headers) {
            tracing::warn!(
                "a proxy on this machine asks for others, and all of them count as one address: set trusted_proxies, to \"127.0.0.1, ::1\""
            );
        }
        origin::client_address(peer, headers, &self.proxies)
    }

    /// Whether this is the first request of a proxy on this machine that the configuration says nothing of. Others than this machine may
    /// write such headers as they like.
    fn finds_unknown_proxy(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        self.proxies.is_empty()
            && peer.to_canonical().is_loopback()
            && origin::names_a_client(headers)
            && !self.proxy_is_told.swap(true, Ordering::Relaxed)
    }

    /// Whether it is believed for whom this address asks.
    pub(super) fn is_proxy(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.proxies.iter().any(|network| network.contains(&peer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(proxies: &[&str], is_told: bool) -> Gate {
        Gate {
            throttle: Throttle::unlimited(),
            proxies: proxies.iter().map(|network| network.parse().unwrap()).collect(),
            proxies_count: false,
            unwelcomed: None,
            proxy_is_told: AtomicBool::new(is_told),
        }
    }

    #[test]
    fn all_addresses_of_a_network_of_64_bits_have_the_places_of_one() {
        let gate = Gate { unwelcomed: Some(PerAddress::new(1)), ..gate(&[], false) };
        let accept = |text: &str| gate.accept(text.parse().unwrap());
        let held = accept("2001:db8:0:1::1").unwrap().expect("it has a place");
        assert!(matches!(accept("2001:db8:0:1:ffff::2"), Err((Refused::Handshakes, _))));
        assert!(accept("2001:db8:0:2::1").unwrap().is_some(), "another network");
        drop(held);
        assert!(accept("2001:db8:0:1:ffff::2").unwrap().is_some(), "it is free again");
    }

    fn headers(name: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(name), http::HeaderValue::from_static("for=192.0.2.1"))])
    }

    #[test]
    fn a_proxy_on_this_machine_that_nobody_was_told_of_is_named_once() {
        let here = IpAddr::from([127, 0, 0, 1]);
        for header in ["forwarded", "x-forwarded-for"] {
            let gate = gate(&[], false);
            assert!(!gate.finds_unknown_proxy(here, &headers("user-agent")));
            assert!(!gate.finds_unknown_proxy(IpAddr::from([192, 0, 2, 9]), &headers(header)), "anybody may write one");
            assert!(gate.finds_unknown_proxy(here, &headers(header)), "{header}");
            assert!(!gate.finds_unknown_proxy(here, &headers(header)), "one line is enough");
        }
        assert!(!gate(&["127.0.0.1/32"], false).finds_unknown_proxy(here, &headers("forwarded")));
        assert!(!gate(&[], true).finds_unknown_proxy(here, &headers("forwarded")), "it was said at the start");
    }
}
