//! How many connections there is room for.

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

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn no_more_connections_are_promised_than_there_are_descriptors() {
        assert_eq!(within_descriptors(1), 1);
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        if let Some(limit) = limit {
            assert!(within_descriptors(usize::MAX) < usize::try_from(limit).unwrap());
        }
    }
}
