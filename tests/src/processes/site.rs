//! A relay process and replicas of this process that use it.

use super::device::Program;
use super::proxy::Proxy;
use super::relay::{Access, RelayProcess};
use afield::{Collection, EntityId, Relay, Replica, SyncEvent};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// How long a replica may take to get in step with a relay that runs (S1), and an event to come: the longest wait before a retry, twice.
const SYNC_TIMEOUT: Duration = Duration::from_secs(120);

/// A relay process and replicas of this process that use it, with their files in a folder that is removed at the end.
#[derive(Debug)]
pub struct Site {
    /// The relay.
    pub relay: RelayProcess,
    runtime: Runtime,
    folder: tempfile::TempDir,
}

impl Site {
    /// Starts a relay.
    ///
    /// # Panics
    ///
    /// It does not start.
    pub fn start(program: &Program, access: Access) -> Self {
        Self::start_with_options(program, access, &[])
    }

    /// Starts a relay with more options of `serve`.
    ///
    /// # Panics
    ///
    /// It does not start.
    pub fn start_with_options(program: &Program, access: Access, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let relay = RelayProcess::start_with_options(program, &folder.path().join("relay"), access, options);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { relay, runtime, folder }
    }

    /// A file of a device.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Opens a device's store, making it where there is none.
    ///
    /// # Panics
    ///
    /// It does not open.
    pub fn replica(&self, name: &str) -> Replica {
        Replica::open(self.path(name)).expect("the store opens")
    }

    /// Gets a replica in step with the relay, connecting it first where it is not, and trying again while that fails. What
    /// the relay refuses is left behind.
    ///
    /// # Panics
    ///
    /// It does not get in step within two minutes.
    pub fn sync(&self, replica: &Replica) {
        if replica.status().expect("a status").relay.is_none() {
            replica.connect(Relay::new(self.relay.url())).expect("the address is one");
        }
        let deadline = Instant::now() + SYNC_TIMEOUT;
        while let Err(error) = self.try_sync(replica) {
            if let afield::SyncError::Refused { .. } = error {
                return;
            }
            assert!(Instant::now() < deadline, "a device does not get in step with the relay (S1): {error}");
        }
    }

    /// Tries once to get a connected replica in step with the relay.
    ///
    /// # Errors
    ///
    /// The attempt failed.
    pub fn try_sync(&self, replica: &Replica) -> Result<(), afield::SyncError> {
        self.runtime.block_on(replica.sync_now())
    }

    /// Syncs all replicas, and then each once more for what the others have brought.
    ///
    /// # Panics
    ///
    /// As [`Self::sync`].
    pub fn sync_all(&self, replicas: &[&Replica]) {
        replicas.iter().for_each(|replica| self.sync(replica));
        replicas.iter().for_each(|replica| self.sync(replica));
    }

    /// Has a replica connect through a door that keeps everything back, asks it for some work, and lets that through then.
    ///
    /// So the first session knows of the work, and what goes through the door is what the work costs: a session that had
    /// been opened before it was asked for would have to ask the relay once more.
    ///
    /// # Panics
    ///
    /// The replica cannot connect.
    pub fn work_through<T>(
        &self,
        door: &Proxy,
        replica: &Replica,
        token: Option<&str>,
        work: impl AsyncFnOnce(&Replica) -> T,
    ) -> T {
        replica.disconnect();
        door.hold();
        let relay = Relay::new(door.url());
        replica.connect(token.into_iter().fold(relay, Relay::token)).expect("the address is one");
        let opening = async { door.release() };
        self.block_on(async { tokio::join!(biased; work(replica), opening) }).0
    }

    /// Waits for an event, and gives it.
    ///
    /// # Panics
    ///
    /// It does not come within two minutes, or the replica is gone.
    pub fn hear(&self, events: &mut Receiver<SyncEvent>, is_it: impl Fn(&SyncEvent) -> bool) -> SyncEvent {
        let listening = async {
            loop {
                match events.recv().await {
                    Ok(event) if is_it(&event) => return event,
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        };
        self.block_on(async { tokio::time::timeout(SYNC_TIMEOUT, listening).await }).expect("the event comes")
    }

    /// Waits for an event, and gives all up to it.
    ///
    /// # Panics
    ///
    /// It does not come within two minutes, one before it was missed, or the replica is gone.
    pub fn hear_all(&self, events: &mut Receiver<SyncEvent>, is_it: impl Fn(&SyncEvent) -> bool) -> Vec<SyncEvent> {
        let listening = async {
            let mut heard = Vec::new();
            while !heard.last().is_some_and(&is_it) {
                heard.push(events.recv().await.expect("nothing is missed"));
            }
            heard
        };
        self.block_on(async { tokio::time::timeout(SYNC_TIMEOUT, listening).await }).expect("the event comes")
    }

    /// Waits for something asynchronous.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }
}

/// The hashes of an entity's changes.
///
/// # Panics
///
/// The entity cannot be read.
pub fn changes_of<T>(collection: &Collection<T>, id: EntityId) -> BTreeSet<String> {
    let entity = collection.entity(id).expect("the entity is there");
    let hashes = entity.raw(|document| {
        document.get_changes(&[]).iter().map(|change| change.hash().to_string()).collect::<BTreeSet<_>>()
    });
    hashes.expect("the entity can be read")
}
