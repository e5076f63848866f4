//! How much of the disk stays free: below that nothing is appended, so that reads and what an operator does go on. A backup on the same disk does not
//! take it either.

use afield_core::Now;
use std::io;
use std::path::Path;

/// How often it is looked at, in milliseconds.
const LOOK_INTERVAL_MS: u64 = 1_000;

/// How much of a disk is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Space {
    pub(crate) free_bytes: u64,
    pub(crate) total_bytes: u64,
}

/// How much of the disk has to be free for anything to be appended.
#[derive(Debug)]
pub(super) struct Floor {
    percent: u8,
    look: fn(&Path) -> io::Result<Space>,
    /// Whether less was free, and when that was looked at, on the monotonic clock.
    found: Option<(u64, bool)>,
}

impl Floor {
    pub(super) const fn of(percent: u8) -> Self {
        Self { percent, look: space_at, found: None }
    }

    #[cfg(test)]
    pub(super) fn looking(percent: u8, look: fn(&Path) -> io::Result<Space>) -> Self {
        Self { percent, look, found: None }
    }

    /// Whether less of the disk of a file is free than has to be. Where that cannot be told, the disk itself will say.
    pub(super) fn is_reached(&mut self, file: &Path, now: Now) -> bool {
        if self.percent == 0 {
            return false;
        }
        if let Some((looked_ms, is_reached)) = self.found
            && now.monotonic_ms < looked_ms.saturating_add(LOOK_INTERVAL_MS)
        {
            return is_reached;
        }
        let was_reached = self.found.is_some_and(|(_, is_reached)| is_reached);
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let is_reached = (self.look)(folder).is_ok_and(|space| {
            u128::from(space.free_bytes) * 100 < u128::from(space.total_bytes) * u128::from(self.percent)
        });
        if is_reached != was_reached {
            let percent = self.percent;
            if is_reached {
                tracing::error!(
                    percent,
                    "less of the disk is free than has to be: nothing is appended until there is room"
                );
            } else {
                tracing::info!(percent, "enough of the disk is free again");
            }
        }
        self.found = Some((now.monotonic_ms, is_reached));
        is_reached
    }
}

/// How much of the disk of a folder is free, for who is not its superuser.
#[cfg(unix)]
pub(crate) fn space_at(folder: &Path) -> io::Result<Space> {
    let found = rustix::fs::statvfs(folder)?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok(Space { free_bytes: bytes(found.f_bavail), total_bytes: bytes(found.f_blocks) })
}

#[cfg(not(unix))]
pub(crate) fn space_at(_: &Path) -> io::Result<Space> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn the_floor_is_looked_at_once_a_second_and_what_is_unknown_is_none() {
        static FREE: AtomicU64 = AtomicU64::new(5);
        static LOOKS: AtomicU64 = AtomicU64::new(0);
        let mut floor = Floor::looking(5, |_| {
            LOOKS.fetch_add(1, Ordering::Relaxed);
            Ok(Space { free_bytes: FREE.load(Ordering::Relaxed), total_bytes: 100 })
        });
        let file = Path::new("log.sqlite");
        assert!(!floor.is_reached(file, at(0)), "as much as has to be");
        FREE.store(4, Ordering::Relaxed);
        assert!(!floor.is_reached(file, at(999)) && floor.is_reached(file, at(1_000)));
        FREE.store(50, Ordering::Relaxed);
        assert!(floor.is_reached(file, at(1_999)) && !floor.is_reached(file, at(2_000)));
        assert_eq!(LOOKS.load(Ordering::Relaxed), 3);
        assert!(!Floor::looking(5, |_| Err(io::ErrorKind::Other.into())).is_reached(file, at(0)));
        assert!(!Floor::looking(0, |_| panic!("nothing has to be free")).is_reached(file, at(0)));
    }

    #[cfg(unix)]
    #[test]
    fn a_real_disk_says_what_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let space = space_at(folder.path()).unwrap();
        assert!(space.free_bytes > 0 && space.free_bytes <= space.total_bytes, "{space:?}");
    }
}
