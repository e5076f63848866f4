//! A copy of a store that takes in what the relay has, and sends nothing: to look at before the store itself does.

use crate::clock::{SystemClock, SystemEntropy};
use crate::connection::Connection;
use crate::driver::{Driver, DriverError, LinkView, NotInStep, Took};
use crate::error::{ConnectError, ReadError, ReplicaError, SyncError};
use crate::plan::{PlannedWay, received_way};
use crate::read_only::{ReadOnlyReplica, ReadOnlySpace};
use crate::relay::Relay;
use crate::replica::{Replica, Shared};
use crate::status::SyncEvent;
use afield_core::document::{Difference, differences};
use afield_core::wire::Class;
use afield_core::{DeviceId, EntityId, SpaceId};
use afield_store::{BackupError, BackupProgress, OpenError, OpenOptions, Reader, Store, StoreError};
use afield_transport::{ClientOptions, RelayAddress};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::{broadcast, oneshot};

/// What stands beside a store's file while somebody writes to it, or after.
const BESIDE: [&str; 5] = ["", "-wal", "-shm", "-lock", "-holder"];

/// A copy of a store that has taken in what the relay has. Nothing of it was sent, and nothing of it is here: the store stays as it is.
///
/// It is a file of its own, with the identity of a device of its own, and stays until [`Sandbox::remove`].
#[derive(Debug)]
pub struct Sandbox {
    shared: Arc<Shared>,
    path: PathBuf,
    copy: ReadOnlyReplica,
    pub(crate) took: BTreeMap<SpaceId, Took>,
    refused: BTreeMap<SpaceId, String>,
}

/// How far the making of a sandbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SandboxProgress {
    /// The store is copied.
    Copying {
        /// Bytes that are copied.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// The copy takes in what the relay has; how much that is, a relay does not say beforehand.
    Receiving {
        /// Changes that came.
        changes: u64,
        /// Their bytes.
        bytes: u64,
    },
}

/// A sandbox could not be made. Nothing is left of it, and nothing was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// Sync is off, and no relay was named.
    #[error("sync is off; connect to a relay first, or name one")]
    Disabled,
    /// The address or the token cannot be one.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The store could not be copied: a copy takes as much room as the store.
    #[error("the store could not be copied")]
    Copy(#[from] BackupError),
    /// The folder for the copy could not be made.
    #[error("there is no place for a copy of the store")]
    Place(#[source] io::Error),
    /// The copy could not be opened.
    #[error("the copy of the store could not be opened")]
    Open(#[from] ReplicaError),
    /// The relay was not reached, or does not let this device in.
    #[error("what the relay has is not known: {reason}")]
    Unreached {
        /// Why, in words for a person.
        reason: String,
        /// What would help.
        class: Class,
    },
    /// The store could not be read.
    #[error("the store could not be read")]
    Store(#[from] StoreError),
    /// It ended before it was done.
    #[error("the making of the copy ended before it was done")]
    Closed,
}

impl SandboxError {
    /// What would help.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("look.db");
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # replica.create_space("Home")?;
    /// use afield::{Class, Relay};
    ///
    /// let nobody = Relay::new("ws://127.0.0.1:9");
    /// let error = replica.sandbox_with(nobody, &path, |_| ()).await.unwrap_err();
    /// assert_eq!(error.class(), Class::Retry);
    /// assert!(!path.exists(), "nothing is left of it");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })
    /// # }
    /// ```
    pub fn class(&self) -> Class {
        match self {
            Self::Disabled | Self::Place(_) | Self::Closed => Class::Permanent,
            Self::Connect(error) => error.class(),
            Self::Copy(error) => error.class(),
            Self::Open(error) => error.class(),
            Self::Unreached { class, .. } => *class,
            Self::Store(error) => error.class(),
        }
    }

    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// assert_eq!(replica.sandbox("look.db").await.unwrap_err().code(), "sync.disabled"); // no relay is connected
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })
    /// # }
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Disabled => SyncError::Disabled.code(),
            Self::Connect(error) => error.code(),
            Self::Copy(error) => error.code(),
            Self::Place(_) => "sandbox.place",
            Self::Open(error) => error.code(),
            Self::Unreached { .. } => "sandbox.unreached",
            Self::Store(error) => error.code(),
            Self::Closed => "sandbox.closed",
        }
    }
}

impl From<OpenError> for SandboxError {
    fn from(error: OpenError) -> Self {
        Self::Open(error.into())
    }
}

impl From<DriverError> for SandboxError {
    fn from(error: DriverError) -> Self {
        Self::Open(error.into())
    }
}

impl Replica {
    /// Copies the store into a new file and lets the copy take in what the relay has of every space, without sending anything and
    /// without changing anything here: what a sync would make of this device can be looked at first.
    ///
    /// The copy comes to the relay as a device that nobody knows, with the address and the token of the connection that stands, and
    /// no change counts as being on another device because the copy has it. It takes as much room as the store, and what comes
    /// besides. The work is done on a thread of its own, which ends with it, or when the future is dropped.
    ///
    /// ```no_run
    /// # async fn look(replica: afield::Replica) -> Result<(), Box<dyn std::error::Error>> {
    /// let sandbox = replica.sandbox("look.db").await?;
    /// for space in sandbox.replica().spaces()? {
    ///     println!("{} would have {:?}", space.name(), space.collections()?);
    /// }
    /// sandbox.remove()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Sync is off, something stands at that place, the store cannot be copied, or the relay was not reached.
    pub async fn sandbox(&self, path: impl AsRef<Path>) -> Result<Sandbox, SandboxError> {
        let parts = self.shared.relay_parts().ok_or(SandboxError::Disabled)?;
        made(&self.shared, (parts, None), path.as_ref().to_owned(), |_| {}).await
    }

    /// Makes a sandbox as [`Replica::sandbox`] does, with a relay that this replica need not be connected to, and tells how far it is.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use afield_relay::{hub, server};
    /// # let folder = tempfile::tempdir()?;
    /// # let options = server::RelayOptions {
    /// #     access: hub::Access::Open,
    /// #     listen: "127.0.0.1:0".parse()?,
    /// #     ..server::RelayOptions::new(folder.path().join("relay"))
    /// # };
    /// # let runtime = tokio::runtime::Runtime::new()?;
    /// # let relay = runtime.block_on(server::Relay::start(options))?;
    /// # let (laptop, phone) = (afield::Replica::open_in_memory()?, afield::Replica::open_in_memory()?);
    /// # let home = laptop.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// # let id = notes.insert(&serde_json::json!({ "title": "Milk" }))?;
    /// # let there = phone.join_space(home.id())?.collection::<()>("notes")?.json();
    /// # for replica in [&laptop, &phone] {
    /// #     replica.connect(afield::Relay::new(relay.url()))?;
    /// #     runtime.block_on(replica.sync_now())?;
    /// # }
    /// # laptop.disconnect();
    /// # there.edit(id, |note| note["title"] = "Bread".into())?;
    /// # runtime.block_on(phone.sync_now())?;
    /// # let path = folder.path().join("look.db");
    /// use afield::{Relay, SandboxProgress};
    /// # runtime.block_on(async {
    ///
    /// // A phone has changed the title of the note from Milk to Bread meanwhile.
    /// let told = |progress| match progress {
    ///     SandboxProgress::Copying { done, total } => println!("{done} of {total} bytes are copied"),
    ///     SandboxProgress::Receiving { changes, .. } => println!("{changes} changes came"),
    ///     _ => {}
    /// };
    /// let sandbox = laptop.sandbox_with(Relay::new(relay.url()), &path, told).await?;
    /// assert_eq!(sandbox.replica().spaces()?[0].read("notes", id)?.json()["title"], "Bread");
    /// assert_eq!(notes.read(id)?["title"], "Milk", "here nothing has changed");
    /// sandbox.remove()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Replica::sandbox`], or the address or the token cannot be one.
    pub async fn sandbox_with(
        &self,
        relay: Relay,
        path: impl AsRef<Path>,
        progress: impl FnMut(SandboxProgress) + Send + 'static,
    ) -> Result<Sandbox, SandboxError> {
        let parts = relay.into_parts()?;
        made(&self.shared, (parts, None), path.as_ref().to_owned(), progress).await
    }
}

impl Sandbox {
    /// The copy, to be read like any store.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use afield_relay::{hub, server};
    /// # let folder = tempfile::tempdir()?;
    /// # let options = server::RelayOptions {
    /// #     access: hub::Access::Open,
    /// #     listen: "127.0.0.1:0".parse()?,
    /// #     ..server::RelayOptions::new(folder.path().join("relay"))
    /// # };
    /// # let runtime = tokio::runtime::Runtime::new()?;
    /// # let relay = runtime.block_on(server::Relay::start(options))?;
    /// # let (laptop, phone) = (afield::Replica::open_in_memory()?, afield::Replica::open_in_memory()?);
    /// # let home = laptop.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// # let id = notes.insert(&serde_json::json!({ "title": "Milk" }))?;
    /// # let there = phone.join_space(home.id())?.collection::<()>("notes")?.json();
    /// # for replica in [&laptop, &phone] {
    /// #     replica.connect(afield::Relay::new(relay.url()))?;
    /// #     runtime.block_on(replica.sync_now())?;
    /// # }
    /// # laptop.disconnect();
    /// # there.edit(id, |note| note["title"] = "Bread".into())?;
    /// # runtime.block_on(phone.sync_now())?;
    /// # let path = folder.path().join("look.db");
    /// # let sandbox = laptop.sandbox_with(afield::Relay::new(relay.url()), &path, |_| ());
    /// # let sandbox = runtime.block_on(sandbox)?;
    /// // A phone has changed the title of the note from Milk to Bread meanwhile.
    /// let copy = sandbox.replica().spaces()?.remove(0);
    /// assert_eq!(copy.read("notes", id)?.json()["title"], "Bread");
    /// assert_eq!(notes.read(id)?["title"], "Milk", "here nothing has changed");
    /// # Ok(())
    /// # }
    /// ```
    pub fn replica(&self) -> &ReadOnlyReplica {
        &self.copy
    }

    /// Where it is.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use afield_relay::{hub, server};
    /// # let folder = tempfile::tempdir()?;
    /// # let options = server::RelayOptions {
    /// #     access: hub::Access::Open,
    /// #     listen: "127.0.0.1:0".parse()?,
    /// #     ..server::RelayOptions::new(folder.path().join("relay"))
    /// # };
    /// # let runtime = tokio::runtime::Runtime::new()?;
    /// # let relay = runtime.block_on(server::Relay::start(options))?;
    /// # let (laptop, phone) = (afield::Replica::open_in_memory()?, afield::Replica::open_in_memory()?);
    /// # let home = laptop.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// # let id = notes.insert(&serde_json::json!({ "title": "Milk" }))?;
    /// # let there = phone.join_space(home.id())?.collection::<()>("notes")?.json();
    /// # for replica in [&laptop, &phone] {
    /// #     replica.connect(afield::Relay::new(relay.url()))?;
    /// #     runtime.block_on(replica.sync_now())?;
    /// # }
    /// # laptop.disconnect();
    /// # there.edit(id, |note| note["title"] = "Bread".into())?;
    /// # runtime.block_on(phone.sync_now())?;
    /// # let path = folder.path().join("look.db");
    /// # let sandbox = laptop.sandbox_with(afield::Relay::new(relay.url()), &path, |_| ());
    /// # let sandbox = runtime.block_on(sandbox)?;
    /// println!("look at it with `afield --store {} list`", sandbox.path().display());
    /// assert_eq!(sandbox.path(), path);
    /// # Ok(())
    /// # }
    /// ```
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What came of a space that is not here.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use afield_relay::{hub, server};
    /// # let folder = tempfile::tempdir()?;
    /// # let options = server::RelayOptions {
    /// #     access: hub::Access::Open,
    /// #     listen: "127.0.0.1:0".parse()?,
    /// #     ..server::RelayOptions::new(folder.path().join("relay"))
    /// # };
    /// # let runtime = tokio::runtime::Runtime::new()?;
    /// # let relay = runtime.block_on(server::Relay::start(options))?;
    /// # let (laptop, phone) = (afield::Replica::open_in_memory()?, afield::Replica::open_in_memory()?);
    /// # let home = laptop.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// # let id = notes.insert(&serde_json::json!({ "title": "Milk" }))?;
    /// # let there = phone.join_space(home.id())?.collection::<()>("notes")?.json();
    /// # for replica in [&laptop, &phone] {
    /// #     replica.connect(afield::Relay::new(relay.url()))?;
    /// #     runtime.block_on(replica.sync_now())?;
    /// # }
    /// # laptop.disconnect();
    /// # there.edit(id, |note| note["title"] = "Bread".into())?;
    /// # runtime.block_on(phone.sync_now())?;
    /// # let path = folder.path().join("look.db");
    /// # let sandbox = laptop.sandbox_with(afield::Relay::new(relay.url()), &path, |_| ());
    /// # let sandbox = runtime.block_on(sandbox)?;
    /// // A phone has changed the title of the note from Milk to Bread meanwhile.
    /// let came = sandbox.received(home.id())?;
    /// assert_eq!((came.changes, came.list[0].entity), (1, id));
    /// assert_eq!(came.list[0].effect, afield::PlannedEffect::Changed);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// A store could not be read.
    pub fn received(&self, space: SpaceId) -> Result<PlannedWay, StoreError> {
        let passed = self.shared.driver.passed(space, self.shared.now());
        received_way(&self.shared.reader, self.copy.reader(), space, (self.took.get(&space), &passed))
    }

    /// Why the relay does not serve a space, where it does not: one that was made here and never synced is not known to it.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use afield_relay::{hub, server};
    /// # let folder = tempfile::tempdir()?;
    /// # let options = server::RelayOptions {
    /// #     access: hub::Access::Open,
    /// #     listen: "127.0.0.1:0".parse()?,
    /// #     ..server::RelayOptions::new(folder.path().join("relay"))
    /// # };
    /// # let runtime = tokio::runtime::Runtime::new()?;
    /// # let relay = runtime.block_on(server::Relay::start(options))?;
    /// # let (laptop, phone) = (afield::Replica::open_in_memory()?, afield::Replica::open_in_memory()?);
    /// # let home = laptop.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// # let id = notes.insert(&serde_json::json!({ "title": "Milk" }))?;
    /// # let there = phone.join_space(home.id())?.collection::<()>("notes")?.json();
    /// # for replica in [&laptop, &phone] {
    /// #     replica.connect(afield::Relay::new(relay.url()))?;
    /// #     runtime.block_on(replica.sync_now())?;
    /// # }
    /// # laptop.disconnect();
    /// # there.edit(id, |note| note["title"] = "Bread".into())?;
    /// # runtime.block_on(phone.sync_now())?;
    /// # let path = folder.path().join("look.db");
    /// let attic = laptop.create_space("Attic")?; // which no relay has seen
    /// # let sandbox = laptop.sandbox_with(afield::Relay::new(relay.url()), &path, |_| ());
    /// # let sandbox = runtime.block_on(sandbox)?;
    /// for space in laptop.spaces()? {
    ///     if let Some(reason) = sandbox.refused(space.id()) {
    ///         println!("{}: {reason}", space.name());
    ///     }
    /// }
    /// assert!(sandbox.refused(attic.id()).is_some() && sandbox.refused(home.id()).is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn refused(&self, space: SpaceId) -> Option<&str> {
        self.refused.get(&space).map(String::as_str)
    }

    /// What differs between an entity as it is here and as it is in the sandbox, place by place. One that is not there at all, or not any
    /// more, counts as one without fields.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use afield_relay::{hub, server};
    /// # let folder = tempfile::tempdir()?;
    /// # let options = server::RelayOptions {
    /// #     access: hub::Access::Open,
    /// #     listen: "127.0.0.1:0".parse()?,
    /// #     ..server::RelayOptions::new(folder.path().join("relay"))
    /// # };
    /// # let runtime = tokio::runtime::Runtime::new()?;
    /// # let relay = runtime.block_on(server::Relay::start(options))?;
    /// # let (laptop, phone) = (afield::Replica::open_in_memory()?, afield::Replica::open_in_memory()?);
    /// # let home = laptop.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// # let id = notes.insert(&serde_json::json!({ "title": "Milk" }))?;
    /// # let there = phone.join_space(home.id())?.collection::<()>("notes")?.json();
    /// # for replica in [&laptop, &phone] {
    /// #     replica.connect(afield::Relay::new(relay.url()))?;
    /// #     runtime.block_on(replica.sync_now())?;
    /// # }
    /// # laptop.disconnect();
    /// # there.edit(id, |note| note["title"] = "Bread".into())?;
    /// # runtime.block_on(phone.sync_now())?;
    /// # let path = folder.path().join("look.db");
    /// # let sandbox = laptop.sandbox_with(afield::Relay::new(relay.url()), &path, |_| ());
    /// # let sandbox = runtime.block_on(sandbox)?;
    /// use afield::Changed;
    ///
    /// // A phone has changed the title of the note from Milk to Bread meanwhile.
    /// let differences = sandbox.differences(home.id(), "notes", id)?;
    /// assert_eq!((differences.len(), differences[0].path.to_string()), (1, "title".to_owned()));
    /// assert!(matches!(&differences[0].changed, Changed::Replaced { after, .. } if *after == "Bread".into()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The entity could not be read, here or there.
    pub fn differences(&self, space: SpaceId, collection: &str, id: EntityId) -> Result<Vec<Difference>, ReadError> {
        let here = ReadOnlySpace::of(self.shared.reader.clone(), space).fields(collection, id)?;
        let there = ReadOnlySpace::of(self.copy.reader().clone(), space).fields(collection, id)?;
        Ok(differences(&here, &there))
    }

    /// Deletes the copy.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use afield_relay::{hub, server};
    /// # let folder = tempfile::tempdir()?;
    /// # let options = server::RelayOptions {
    /// #     access: hub::Access::Open,
    /// #     listen: "127.0.0.1:0".parse()?,
    /// #     ..server::RelayOptions::new(folder.path().join("relay"))
    /// # };
    /// # let runtime = tokio::runtime::Runtime::new()?;
    /// # let relay = runtime.block_on(server::Relay::start(options))?;
    /// # let (laptop, phone) = (afield::Replica::open_in_memory()?, afield::Replica::open_in_memory()?);
    /// # let home = laptop.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// # let id = notes.insert(&serde_json::json!({ "title": "Milk" }))?;
    /// # let there = phone.join_space(home.id())?.collection::<()>("notes")?.json();
    /// # for replica in [&laptop, &phone] {
    /// #     replica.connect(afield::Relay::new(relay.url()))?;
    /// #     runtime.block_on(replica.sync_now())?;
    /// # }
    /// # laptop.disconnect();
    /// # there.edit(id, |note| note["title"] = "Bread".into())?;
    /// # runtime.block_on(phone.sync_now())?;
    /// # let path = folder.path().join("look.db");
    /// # let sandbox = laptop.sandbox_with(afield::Relay::new(relay.url()), &path, |_| ());
    /// # let sandbox = runtime.block_on(sandbox)?;
    /// sandbox.remove()?;
    /// assert!(!path.exists());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// A file of it could not be deleted.
    pub fn remove(self) -> io::Result<()> {
        let Self { path, copy, .. } = self;
        // Some systems delete no file that somebody has open.
        drop(copy);
        remove_files(&path)
    }
}

/// Where a relay is, and the space that a sandbox is for; all of them where none is named.
pub(crate) type For = ((RelayAddress, ClientOptions), Option<SpaceId>);

/// Makes a sandbox.
pub(crate) async fn made(
    shared: &Arc<Shared>,
    (parts, space): For,
    path: PathBuf,
    progress: impl FnMut(SandboxProgress) + Send + 'static,
) -> Result<Sandbox, SandboxError> {
    let (sender, answer) = oneshot::channel();
    let work = Work { reader: shared.reader.clone(), clock: shared.clock, parts, space, path, sender };
    let thread = std::thread::Builder::new().name("afield-sandbox".to_owned());
    let thread = thread.spawn(move || work.run(progress)).map_err(ConnectError::Thread)?;
    // Whoever gives up finds nothing of it afterwards: the thread notices, takes away what it has made, and is waited for.
    let _thread = Joined(Some(thread));
    let Looked { path, copy, took, refused } = answer.await.map_err(|_| SandboxError::Closed)??;
    Ok(Sandbox { shared: shared.clone(), path, copy, took, refused })
}

/// A thread that has ended once this is dropped.
struct Joined(Option<JoinHandle<()>>);

impl Drop for Joined {
    fn drop(&mut self) {
        // What it panicked with was told by the panic hook.
        self.0.take().map(JoinHandle::join);
    }
}

/// What the thread gives back.
struct Looked {
    path: PathBuf,
    copy: ReadOnlyReplica,
    took: BTreeMap<SpaceId, Took>,
    refused: BTreeMap<SpaceId, String>,
}

/// What the thread does, so that neither copying nor merging holds up an application's tasks.
struct Work {
    reader: Reader,
    clock: SystemClock,
    parts: (RelayAddress, ClientOptions),
    space: Option<SpaceId>,
    path: PathBuf,
    sender: oneshot::Sender<Result<Looked, SandboxError>>,
}

impl Work {
    fn run(self, mut progress: impl FnMut(SandboxProgress)) {
        let Self { reader, clock, parts, space, path, mut sender } = self;
        let copied = reader.backup_while(&path, |BackupProgress { done, total }| {
            progress(SandboxProgress::Copying { done, total });
            !sender.is_closed()
        });
        match copied {
            Ok(true) => {}
            // Nobody waits for it any more.
            Ok(false) => return,
            Err(error) => {
                let _ = sender.send(Err(error.into()));
                return;
            }
        }
        let looked = look(&path, clock, (parts, space), &mut sender, &mut progress);
        if looked.is_err() {
            discard(&path);
        }
        // Whoever gave up wants no file either.
        if let Err(Ok(unwanted)) = sender.send(looked) {
            let path = unwanted.path.clone();
            drop(unwanted);
            discard(&path);
        }
    }
}

/// Opens the copy as a device of its own, and lets it take in what the relay has.
fn look(
    path: &Path,
    clock: SystemClock,
    ((address, options), space): For,
    sender: &mut oneshot::Sender<Result<Looked, SandboxError>>,
    progress: &mut impl FnMut(SandboxProgress),
) -> Result<Looked, SandboxError> {
    let now = clock.now();
    let mut store = Store::open(path, &OpenOptions { opened_ms: now.wall_ms, ..OpenOptions::default() })?;
    // It comes to the relay as nobody's, and decides by strategy as the device does of which it has the store.
    let device = DeviceId::new(now, &mut SystemEntropy);
    let side = store.identity()?.map_or(device, |identity| identity.device);
    let _ = store.adopt_device(device, now.wall_ms)?;
    let others: Vec<_> = store.spaces()?.into_iter().map(|record| record.space).collect();
    for other in others.into_iter().filter(|other| space.is_some_and(|space| space != *other)) {
        let _ = store.set_sync_enabled(other, false).map_err(DriverError::from)?;
    }
    // Where nobody is asked, the copy shows what would be once somebody has confirmed it.
    let _ = store.forget_guards()?;
    let driver = Arc::new(Driver::only_looking(store, Box::new(SystemEntropy), now, side)?);
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(ConnectError::Thread)?;
    let connection = Connection::start(driver.clone(), clock, address, options).map_err(ConnectError::Thread)?;
    let waiting = driver.when_caught_up();
    connection.hurry();
    let answer = runtime.block_on(wait(waiting, driver.events(), sender, progress));
    let view = driver.view();
    drop(connection);
    let refused: BTreeMap<_, _> =
        view.spaces.into_iter().filter_map(|space| Some((space.space, space.refused?))).collect();
    match answer? {
        Err(NotInStep { reason, class }) if view.link != LinkView::Up || refused.is_empty() => {
            return Err(SandboxError::Unreached { reason, class });
        }
        // What is refused is told of each space.
        _ => {}
    }
    let took = driver.taken_in()?;
    drop(driver);
    let copy = ReadOnlyReplica::open(path)?;
    Ok(Looked { path: path.to_owned(), copy, took, refused })
}

/// Waits until everything is there, and tells how far that is.
async fn wait(
    mut waiting: oneshot::Receiver<Result<(), NotInStep>>,
    mut events: broadcast::Receiver<SyncEvent>,
    sender: &mut oneshot::Sender<Result<Looked, SandboxError>>,
    progress: &mut impl FnMut(SandboxProgress),
) -> Result<Result<(), NotInStep>, SandboxError> {
    loop {
        tokio::select! {
            biased;
            answer = &mut waiting => return answer.map_err(|_| SandboxError::Closed),
            () = sender.closed() => return Err(SandboxError::Closed),
            event = events.recv() => match event {
                Ok(SyncEvent::Progress { changes_received: changes, bytes_received: bytes, .. }) => {
                    progress(SandboxProgress::Receiving { changes, bytes });
                }
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return Err(SandboxError::Closed),
            },
        }
    }
}

fn discard(path: &Path) {
    if let Err(error) = remove_files(path) {
        tracing::warn!(%error, "a copy of the store that nobody needs could not be deleted");
    }
}

fn remove_files(path: &Path) -> io::Result<()> {
    for ending in BESIDE {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
