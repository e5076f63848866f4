//! How many connections there is room for: of all addresses together, and of one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many connections beyond the limit are answered over HTTP, so that a relay with many devices still says that it is
/// alive. No device syncs on them, and each is over within the time of a handshake.
pub(super) const SPARE_PLACES: usize = 16;
/// How many file descriptors are kept for the log's files, the listener and the runtime.
#[cfg(unix)]
const DESCRIPTORS_KEPT: usize = 64;

/// The number of connections that were asked for, or fewer where the system gives this process no more file descriptors.
#[cfg(unix)]
pub(super) fn within_descriptors(wanted: usize) -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let Some(descriptors) = limit.and_then(|limit| usize::try_from(limit).ok()) else { return wanted };
    let places = descriptors.saturating_sub(DESCRIPTORS_KEPT + SPARE_PLACES).max(1);
    if places < wanted {
        tracing::warn!(wanted, places, "the limit of open files (RLIMIT_NOFILE) allows fewer connections: raise it");
    }
    places.min(wanted)
}

/// The number of connections that were asked for.
#[cfg(not(unix))]
pub(super) fn within_descriptors(wanted: usize) -> usize {
    wanted
}

/// So many places for each address.
#[derive(Debug)]
pub(super) struct PerAddress {
    max: usize,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// One of the places of an address; dropped it is free again.
#[derive(Debug)]
pub(super) struct OfAddress {
    places: Arc<PerAddress>,
    address: IpAddr,
}

impl PerAddress {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, taken: Mutex::default() })
    }

    /// Takes a place of an address, where it has one left.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Option<OfAddress> {
        let mut all = self.taken();
        let taken = all.entry(address).or_default();
        if *taken >= self.max {
            return None;
        }
        *taken += 1;
        Some(OfAddress { places: Arc::clone(self), address })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OfAddress {
    fn drop(&mut self) {
        let mut all = self.places.taken();
        match all.get_mut(&self.address) {
            Some(taken) if *taken > 1 => *taken -= 1,
            // What is remembered is in proportion to who is here.
            _ => drop(all.remove(&self.address)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_places_again_as_soon_as_they_are_free_and_is_forgotten_then() {
        let places = PerAddress::new(2);
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let (first, second) = (places.take(one).unwrap(), places.take(one).unwrap());
        assert!(places.take(one).is_none());
        let others = places.take(other).expect("the others are not concerned");
        drop(first);
        let third = places.take(one).expect("it is free again");
        assert!(places.take(one).is_none(), "and no other than that");
        drop((second, third, others));
        assert!(places.taken().is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn no_more_connections_are_promised_than_there_are_descriptors() {
        assert_eq!(within_descriptors(1), 1);
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        if let Some(limit) = limit {
            assert!(within_descriptors(usize::MAX) < usize::try_from(limit).unwrap());
        }
    }
}
