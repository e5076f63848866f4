//! How a replica is opened.

use super::Replica;
use crate::clock::SystemClock;
use crate::error::ReplicaError;
use crate::plan::discard_abandoned;
use afield_core::document::Replay;
use afield_store::{OpenOptions, Store, Synchronous};
use std::path::Path;
use std::time::Duration;

/// How a replica is opened; [`Replica::options`] begins the line.
#[derive(Debug, Clone, Default)]
#[must_use = "nothing is opened before `open`"]
pub struct ReplicaOptions {
    store: OpenOptions,
    replay: Replay,
    author: Option<String>,
}

impl ReplicaOptions {
    /// When an edit counts as stored: [`Synchronous::Full`], unless something else is chosen here.
    ///
    /// With [`Synchronous::Normal`] an edit returns some milliseconds sooner, and a power failure may take the last ones
    /// back. A change that others have already received comes back with the next sync; [`crate::Status`] shows the choice.
    pub fn synchronous(mut self, synchronous: Synchronous) -> Self {
        self.store.synchronous = synchronous;
        self
    }

    /// How long to wait for another process that has the file open for writing: five seconds by default.
    pub fn writer_wait(mut self, wait: Duration) -> Self {
        self.store.writer_wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// Whether changes from others are redone as edits where that gives the same bytes: [`Replay::On`] by default.
    ///
    /// Documents and verdicts are the same either way. In a long text [`Replay::Off`] costs tens of milliseconds for what
    /// others type.
    pub fn replay(mut self, replay: Replay) -> Self {
        self.replay = replay;
        self
    }

    /// Who edits: see [`Replica::set_author`].
    pub fn author(mut self, author: impl Into<String>) -> Self {
        self.author = Some(author.into());
        self
    }

    /// Opens the store file, making it where there is none.
    ///
    /// # Errors
    ///
    /// As [`Replica::open`].
    pub fn open(self, path: impl AsRef<Path>) -> Result<Replica, ReplicaError> {
        let clock = SystemClock::new();
        let options = OpenOptions { opened_ms: clock.now().wall_ms, ..self.store };
        let store = Store::open(path.as_ref(), &options)?;
        store.path().into_iter().for_each(discard_abandoned);
        let replica = Replica::on(store, clock, self.replay)?;
        replica.set_author(self.author.as_deref());
        Ok(replica)
    }
}
