//! A copy of a store that takes in what the relay has, and sends nothing: to look at before the store itself does.

mod copy;
mod error;

pub(crate) use copy::{For, made};
pub use error::{SandboxError, SandboxProgress};

use crate::driver::Took;
use crate::error::ReadError;
use crate::plan::{PlannedWay, received_way};
use crate::read_only::{ReadOnlyReplica, ReadOnlySpace};
use crate::relay::Relay;
use crate::replica::{Replica, Shared};
use afield_core::document::{Difference, differences};
use afield_core::{EntityId, SpaceId};
use afield_store::StoreError;
use copy::remove_files;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A copy of a store that has taken in what the relay has. Nothing of it was sent, and nothing of it is here: the store stays as it is.
///
/// It is a file of its own, with the identity of a device of its own, and stays until [`Sandbox::remove`]. It is not `Clone`, since there
/// is one file to remove; what reads it is ([`Sandbox::replica`]).
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
/// # let there = phone.join_space(home.id())?;
/// # let (notes, notes_there) = (home.collection::<()>("notes")?.json(), there.collection::<()>("notes")?.json());
/// # let sync = |replica: &afield::Replica| -> Result<(), Box<dyn std::error::Error>> {
/// #     replica.connect(afield::Relay::new(relay.url()))?;
/// #     let _ = runtime.block_on(replica.sync_now());
/// #     replica.disconnect();
/// #     Ok(())
/// # };
/// notes.insert(&serde_json::json!({"title": "Milk"}))?;
/// # sync(&laptop)?;
/// let copy = folder.path().join("copy.db");
/// # runtime.block_on(async {
/// let sandbox = phone.sandbox_with(afield::Relay::new(relay.url()), &copy, |_| ()).await?;
/// assert_eq!(sandbox.replica().spaces()?[0].ids("notes")?.len(), 1); // what a sync would bring
/// assert!(there.collection::<()>("notes")?.ids()?.is_empty()); // and has not
/// sandbox.remove()?;
/// assert!(!copy.exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # runtime.block_on(relay.shutdown());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Sandbox {
    shared: Arc<Shared>,
    path: PathBuf,
    copy: ReadOnlyReplica,
    pub(crate) took: BTreeMap<SpaceId, Took>,
    refused: BTreeMap<SpaceId, String>,
}

impl Replica {
    /// Copies the store into a new file and lets the copy take in what the relay has of every space, without sending anything and
    /// without changing anything here: what a sync would make of this device can be looked at first.
    ///
    /// The copy comes to the relay as a guest in the name of this device, with the address and the token of the connection that stands: no
    /// other device is listed there, and no change counts as being on another device because the copy has it. It takes as much room as the store, and what comes
    /// besides. The work is done on a thread of its own, which ends with it, or when the future is dropped.
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
    /// # let there = phone.join_space(home.id())?.collection::<()>("notes")?;
    /// # for replica in [&laptop, &phone] {
    /// #     replica.connect(afield::Relay::new(relay.url()))?;
    /// #     runtime.block_on(replica.sync_now())?;
    /// # }
    /// # home.set_schedule(Some(afield::Schedule::every(std::time::Duration::from_secs(3_600))?))?;
    /// # there.json().edit(id, |note| note["title"] = "Bread".into())?;
    /// # runtime.block_on(phone.sync_now())?;
    /// # let path = folder.path().join("look.db");
    /// # runtime.block_on(async {
    /// // The space is synced every hour, and a phone has changed the title meanwhile.
    /// let sandbox = laptop.sandbox(&path).await?;
    /// let there = sandbox.replica().spaces()?.remove(0);
    /// assert_eq!(there.list("notes")?[0].1["title"], "Bread");
    /// assert_eq!(notes.read(id)?["title"], "Milk"); // the store stays as it is
    /// sandbox.remove()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
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
