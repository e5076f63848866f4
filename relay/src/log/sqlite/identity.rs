//! Which file a path leads to.

use std::path::Path;

/// A file, whatever it is called: its device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileIdentity(u64, u64);

impl FileIdentity {
    /// The file that a path leads to; `None` when there is none.
    #[cfg(unix)]
    pub(crate) fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(path).ok().map(|file| Self(file.dev(), file.ino()))
    }

    /// The same for every path: elsewhere a file that is open cannot be replaced.
    #[cfg(not(unix))]
    pub(crate) fn of(_: &Path) -> Option<Self> {
        Some(Self(0, 0))
    }
}
