//! How a store is opened.

use std::time::Duration;

/// How long a second writer waits by default, in milliseconds: as long as a person waits for a window to open.
pub const WRITER_WAIT_MS: u64 = 5_000;

/// When a commit counts as done.
///
/// ```
/// use afield_store::Synchronous;
///
/// assert_eq!(Synchronous::default(), Synchronous::Full); // an edit that returned survives a power failure
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Synchronous {
    /// After the sync of the WAL: what has been committed survives a power failure.
    #[default]
    Full,
    /// After the write: a power failure may lose the last commits, never their order or the file.
    Normal,
}

/// How a store is opened.
///
/// The store reads no clock and waits only through `park`, so that tests and the simulator decide both.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// When a commit counts as done.
    pub synchronous: Synchronous,
    /// How long to wait for another writer to end, in milliseconds, counted by the lengths of the parks.
    pub writer_wait_ms: u64,
    /// How to wait.
    pub park: fn(Duration),
    /// The moment of the opening by the caller's wall clock, in milliseconds since the Unix epoch; other writers see it.
    pub opened_ms: i64,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            synchronous: Synchronous::default(),
            writer_wait_ms: WRITER_WAIT_MS,
            park: std::thread::sleep,
            opened_ms: 0,
        }
    }
}
