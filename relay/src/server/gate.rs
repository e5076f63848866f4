//! Who may connect at all: asked of each connection as it is accepted, before it costs TLS, a request or a place.

use super::places::{OfAddress, PerAddress};
use super::throttle::{Refused, Throttle, TooMany, counted_as};
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Which addresses may connect how often, and hold how many connections that were not welcomed yet.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) throttle: Arc<Throttle>,
    pub(super) proxies: Vec<IpNet>,
    /// Absent where nobody's address is known.
    pub(super) unwelcomed: Option<Arc<PerAddress>>,
}

/// Why a connection is sent away, and when it may come back.
pub(super) type SentAway = (Refused, TooMany);

impl Gate {
    /// Counts a connection that was just accepted, unless it is one of a proxy that is trusted: whom that stands for is in its request.
    /// The place is its address's until it was welcomed.
    pub(super) fn accept(&self, peer: IpAddr) -> Result<Option<OfAddress>, SentAway> {
        if self.is_proxy(peer) { Ok(None) } else { self.let_in(peer) }
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

    /// Whether it is believed for whom this address asks.
    pub(super) fn is_proxy(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.proxies.iter().any(|network| network.contains(&peer))
    }
}
