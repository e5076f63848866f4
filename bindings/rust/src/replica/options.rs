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
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("notes.db");
/// use afield::{Replica, Synchronous};
/// use std::time::Duration;
///
/// let replica = Replica::options()
///     .synchronous(Synchronous::Normal) // a power failure may cost the last edits
///     .writer_wait(Duration::from_secs(1))
///     .open(&path)?;
/// assert_eq!(replica.status()?.synchronous, Some(Synchronous::Normal));
/// # Ok(())
/// # }
/// ```
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
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// use afield::{Replica, Synchronous};
    ///
    /// let replica = Replica::options().synchronous(Synchronous::Normal).open(path)?;
    /// assert_eq!(replica.status()?.synchronous, Some(Synchronous::Normal));
    /// # Ok(())
    /// # }
    /// ```
    pub fn synchronous(mut self, synchronous: Synchronous) -> Self {
        self.store.synchronous = synchronous;
        self
    }

    /// How long to wait for another process that has the file open for writing: five seconds by default.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// use afield::{OpenError, Replica, ReplicaError};
    /// use std::time::Duration;
    ///
    /// let _first = Replica::open(&path)?;
    /// let second = Replica::options().writer_wait(Duration::ZERO).open(&path); // is told at once
    /// assert!(matches!(second, Err(ReplicaError::Open(OpenError::Locked { .. }))));
    /// # Ok(())
    /// # }
    /// ```
    pub fn writer_wait(mut self, wait: Duration) -> Self {
        self.store.writer_wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// Whether changes from others are redone as edits where that gives the same bytes: [`Replay::On`] by default.
    ///
    /// Documents and verdicts are the same either way. In a long text [`Replay::Off`] costs tens of milliseconds for what
    /// others type.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// use afield::{Replay, Replica};
    ///
    /// // To see whether replay is at fault when something goes wrong.
    /// let replica = Replica::options().replay(Replay::Off).open(path)?;
    /// assert_eq!(replica.status()?.merged.replayed, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn replay(mut self, replay: Replay) -> Self {
        self.replay = replay;
        self
    }

    /// Who edits: see [`Replica::set_author`].
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// let replica = afield::Replica::options().author("Anna").open(path)?;
    /// let notes = replica.create_space("Home")?.collection::<()>("notes")?;
    /// let id = notes.json().insert(&serde_json::json!({ "title": "Trip" }))?;
    /// let page = notes.history(id, &afield::Point::Now, 1)?;
    /// assert_eq!(page.changes[0].attribution.author.as_deref(), Some("Anna"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn author(mut self, author: impl Into<String>) -> Self {
        self.author = Some(author.into());
        self
    }

    /// Opens the store file, making it where there is none.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// use afield::Replica;
    ///
    /// let replica = Replica::options().author("Anna").open(&path)?;
    /// replica.create_space("Home")?;
    /// drop(replica);
    /// assert_eq!(Replica::options().open(&path)?.spaces()?[0].name(), "Home");
    /// # Ok(())
    /// # }
    /// ```
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
