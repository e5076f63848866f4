//! Guards against mass deletion: more than was allowed waits until somebody has looked at it.

use crate::clock::SystemClock;
use crate::collection::Collection;
use crate::driver::{Driver, DriverError};
use crate::error::EditError;
use crate::read_only::ReadOnlySpace;
use crate::space::Space;
use afield_core::id::ParseCollectionError;
use afield_core::log::ChunkHash;
use afield_core::wire::Class;
use afield_core::{ChangeHash, Collection as Name, DeviceId, EntityId, SpaceId};
use afield_store::{DeletionLimits, Reader, StoreError, UnsentDeletion};
use serde::Serialize;

/// How many bytes of a hash stand for a list: nobody has to find another list by chance among those that one device shows.
const TOKEN_BYTES: usize = 8;

/// How much of one collection may be deleted unasked, by this device or by others; more than either number holds all of it.
///
/// Deletions count together that go or come in one run, and while a session stands those of the last minute.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use afield::Guard;
///
/// home.set_guard(Guard { deletions: Some(100), share: Some(0.5) })?; // more than 100, or half of them, waits for somebody
/// assert_eq!(home.guard()?.deletions, Some(100));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Guard {
    /// So many entities; `None` for any number.
    pub deletions: Option<u64>,
    /// Such a part of the entities that were there, from 0 to 1, where at least 10 are deleted; `None` for all of them.
    pub share: Option<f64>,
}

impl Guard {
    /// Everything may be deleted unasked, as in a space for which nothing was said: an app that never asks must not stop syncing.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// use afield::Guard;
    ///
    /// assert_eq!(home.guard()?, Guard::OFF); // until somebody sets one
    /// assert_eq!(Guard::default(), Guard::OFF);
    /// # Ok(())
    /// # }
    /// ```
    pub const OFF: Self = Self { deletions: None, share: None };
}

/// Which way a deletion goes that is held back.
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
/// use afield::{Guard, HeldWay};
///
/// let id = notes.insert(&serde_json::json!({}))?;
/// # sync(&laptop)?;
/// # sync(&phone)?;
/// home.set_guard(Guard { deletions: Some(0), share: None })?;
/// there.set_guard(Guard { deletions: Some(0), share: None })?;
/// home.collection::<()>("notes")?.delete(id)?;
/// let held = home.held()?;
/// assert_eq!(held.list[0].way, HeldWay::Send); // nothing of the space is sent until it is confirmed
/// home.confirm(&held)?;
/// # sync(&laptop)?;
/// # sync(&phone)?;
/// assert_eq!(there.held()?.list[0].way, HeldWay::Receive); // and there it stays until somebody confirms it there
/// # runtime.block_on(relay.shutdown());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HeldWay {
    /// It was made here, and is not sent; nor is anything else of the space.
    Send,
    /// It came from others, and the entity is there here as it was; all others go on.
    Receive,
}

/// A deletion that waits for somebody.
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
/// use afield::Guard;
///
/// let id = notes.insert(&serde_json::json!({}))?;
/// # sync(&laptop)?;
/// home.set_guard(Guard { deletions: Some(0), share: None })?;
/// home.collection::<()>("notes")?.delete(id)?;
/// let held = &home.held()?.list[0];
/// assert_eq!((held.entity, held.collection.as_str(), held.purged), (id, "notes", false));
/// assert_eq!(held.device, Some(laptop.device()));
/// # runtime.block_on(relay.shutdown());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HeldEntity {
    /// The entity.
    #[serde(serialize_with = "as_text")]
    pub entity: EntityId,
    /// Its collection.
    pub collection: String,
    /// Which way it goes.
    pub way: HeldWay,
    /// Whether it was purged: gone for good once it is confirmed.
    pub purged: bool,
    /// The device that deleted it, where that is known.
    #[serde(serialize_with = "some_as_text")]
    pub device: Option<DeviceId>,
    /// Who deleted it, where that is known.
    pub author: Option<String>,
    /// When, in milliseconds since the Unix epoch, by the clock of who deleted it; of a purge by others, when it came.
    pub at_ms: i64,
    #[serde(skip)]
    hash: ChangeHash,
}

/// The deletions of a space that wait for somebody, as they were when they were asked for.
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
/// use afield::Guard;
///
/// let id = notes.insert(&serde_json::json!({}))?;
/// # sync(&laptop)?;
/// home.set_guard(Guard { deletions: Some(0), share: None })?;
/// home.collection::<()>("notes")?.delete(id)?;
/// let held = home.held()?; // what a person is shown
/// assert_eq!(held.list.len(), 1);
/// assert_eq!(home.confirm(&held)?, 1); // and exactly that is confirmed
/// assert!(home.held()?.list.is_empty());
/// # runtime.block_on(relay.shutdown());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Held {
    /// The space.
    #[serde(serialize_with = "as_text")]
    pub space: SpaceId,
    /// The deletions, those to be sent first, each in the order of ids.
    pub list: Vec<HeldEntity>,
    /// Stands for exactly this list: another one has another.
    pub token: String,
}

/// A guard could not be set or read, or a deletion not be confirmed.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use afield::{Guard, GuardError};
///
/// let error = home.set_guard(Guard { deletions: None, share: Some(50.0) }).unwrap_err(); // half of them is 0.5
/// assert!(matches!(error, GuardError::Share { found } if found == 50.0));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError {
    /// The name of the collection is not valid.
    #[error(transparent)]
    Collection(#[from] ParseCollectionError),
    /// A share is a number from 0 to 1.
    #[error("a share is a number from 0 to 1, and this is {found}")]
    Share {
        /// The number.
        found: f64,
    },
    /// It was to be done inside an edit or a transaction, for which sync may be waiting.
    #[error("guards cannot be set, nor deletions confirmed, inside an edit or a transaction; do it after that")]
    Nested,
    /// An entity that was to be kept could not be restored.
    #[error("an entity that was to be kept could not be restored")]
    Restore(#[from] EditError),
    /// The store could not be read or written, or the space is not on this device.
    #[error("the store could not be read or written")]
    Driver(#[from] DriverError),
}

impl GuardError {
    /// What would help.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let home = afield::Replica::open_in_memory()?.create_space("Home")?;
    /// use afield::{Class, Guard};
    ///
    /// let error = home.set_guard(Guard { deletions: None, share: Some(20.0) }).unwrap_err();
    /// assert_eq!(error.class(), Class::Permanent, "a fifth is 0.2");
    /// # Ok(())
    /// # }
    /// ```
    pub fn class(&self) -> Class {
        match self {
            Self::Collection(_) | Self::Share { .. } | Self::Nested => Class::Permanent,
            Self::Restore(error) => error.class(),
            Self::Driver(error) => error.class(),
        }
    }

    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let home = afield::Replica::open_in_memory()?.create_space("Home")?;
    /// use afield::Guard;
    ///
    /// assert_eq!(home.set_guard(Guard { deletions: None, share: Some(20.0) }).unwrap_err().code(), "guard.share");
    /// assert_eq!(home.guard_of("my notes").unwrap_err().code(), "guard.collection_name");
    /// # Ok(())
    /// # }
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Collection(_) => "guard.collection_name",
            Self::Share { .. } => "guard.share",
            Self::Nested => "guard.nested",
            Self::Restore(error) => error.code(),
            Self::Driver(error) => error.code(),
        }
    }
}

impl From<StoreError> for GuardError {
    fn from(error: StoreError) -> Self {
        Self::Driver(error.into())
    }
}

impl Space {
    /// Says how much may be deleted unasked in every collection of the space that has no guard of its own, by this device and by others.
    /// It is [`Guard::OFF`] at first, and stays as it was set on this device.
    ///
    /// What is more waits. On the device that deletes, nothing of the space is sent; a session that stands, or that another space needs,
    /// goes on receiving, and none is begun for this space alone ([`Reason::ConfirmationNeeded`](crate::Reason::ConfirmationNeeded)): after a
    /// restart, a lost connection or by a schedule nothing comes in before somebody has confirmed. On one that receives, the entities stay as they were and can be
    /// edited, and everything else goes on: [`Space::held`] has the list, and [`Space::confirm`] lets it go. Purges count as deletions.
    /// Whoever restores what was deleted takes it off the list, here and at others; setting a guard judges anew what waits.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// use afield::Guard;
    ///
    /// let home = replica.create_space("Home")?;
    /// home.set_guard(Guard { deletions: Some(50), share: Some(0.2) })?;
    /// home.set_guard_of("drafts", Some(Guard::OFF))?;
    /// assert_eq!(home.guard_of("notes")?.deletions, Some(50));
    /// assert_eq!(home.guard_of("drafts")?, Guard::OFF);
    /// assert!(home.held()?.list.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The share is no number from 0 to 1, the space is not on this device, or the store failed.
    pub fn set_guard(&self, guard: Guard) -> Result<(), GuardError> {
        self.put_guard(None, Some(guard))
    }

    /// Gives a collection a guard of its own, or takes that away.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// home.set_guard_of("notes", Some(afield::Guard { deletions: Some(10), share: None }))?;
    /// assert_eq!(home.guard_of("notes")?.deletions, Some(10));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Space::set_guard`], or the name is not valid.
    pub fn set_guard_of(&self, collection: &str, guard: Option<Guard>) -> Result<(), GuardError> {
        self.put_guard(Some(collection.parse()?), guard)
    }

    /// How much may be deleted unasked in collections that have no guard of their own.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// assert_eq!(home.guard()?, afield::Guard::OFF);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn guard(&self) -> Result<Guard, GuardError> {
        guard(&self.shared.reader, self.id())
    }

    /// How much may be deleted unasked in a collection.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// home.set_guard(afield::Guard { deletions: Some(50), share: None })?;
    /// assert_eq!(home.guard_of("notes")?.deletions, Some(50), "that of the space, where it has none of its own");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The name is not valid, or the store could not be read.
    pub fn guard_of(&self, collection: &str) -> Result<Guard, GuardError> {
        guard_of(&self.shared.reader, self.id(), collection)
    }

    /// The deletions that wait for somebody, both ways. Those of others are told of as they come, also where the run may turn out to
    /// bring few enough of them.
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
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// # let ids = [notes.json().insert(&serde_json::json!({}))?, notes.json().insert(&serde_json::json!({}))?];
    /// # replica.connect(afield::Relay::new(relay.url()))?;
    /// # runtime.block_on(replica.sync_now())?;
    /// # replica.disconnect();
    /// use afield::{Guard, HeldWay};
    ///
    /// home.set_guard(Guard { deletions: Some(1), share: None })?;
    /// for id in ids {
    ///     notes.delete(id)?; // two notes that the relay has
    /// }
    /// let held = home.held()?;
    /// for entity in &held.list {
    ///     println!("{} of {} was deleted by {:?}", entity.entity, entity.collection, entity.device);
    /// }
    /// assert_eq!((held.list.len(), held.list[0].way), (2, HeldWay::Send));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn held(&self) -> Result<Held, GuardError> {
        held(&self.shared.reader, self.id(), self.shared.driver.device(), self.shared.now().wall_ms)
    }

    /// Lets deletions go that were shown to somebody: what was deleted here is sent with all that waited behind it, and what others
    /// deleted is deleted here. A deletion that came after the list was made counts anew. Answers how many went.
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
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// # let ids = [notes.json().insert(&serde_json::json!({}))?, notes.json().insert(&serde_json::json!({}))?];
    /// # replica.connect(afield::Relay::new(relay.url()))?;
    /// # runtime.block_on(replica.sync_now())?;
    /// # replica.disconnect();
    /// # home.set_guard(afield::Guard { deletions: Some(1), share: None })?;
    /// for id in ids {
    ///     notes.delete(id)?; // one more than may be unasked
    /// }
    /// let held = home.held()?; // show it to somebody, and then
    /// assert_eq!(home.confirm(&held)?, 2);
    /// assert!(home.held()?.list.is_empty(), "they go with the next sync");
    /// assert!(notes.ids()?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// It is inside an edit or a transaction, the space is not on this device, or the store failed.
    pub fn confirm(&self, held: &Held) -> Result<u64, GuardError> {
        if Driver::is_inside_an_edit() {
            return Err(GuardError::Nested);
        }
        let of = |way| {
            let list = held.list.iter().filter(move |entity| entity.way == way && held.space == self.id());
            list.map(|entity| (entity.entity, entity.hash)).collect::<Vec<_>>()
        };
        let (sent, received) = (of(HeldWay::Send), of(HeldWay::Receive));
        let confirmed = self.shared.driver.confirm_deletions(self.id(), &sent, &received, self.shared.now())?;
        self.shared.wake();
        Ok(confirmed)
    }

    /// Keeps entities whose deletions were shown to somebody: each is restored by an ordinary edit, which goes to everybody; one that others
    /// deleted is deleted here first, for the moment between the two. What was purged cannot be kept, and is left as it is. Answers
    /// how many were restored.
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
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// # let ids = [notes.json().insert(&serde_json::json!({}))?, notes.json().insert(&serde_json::json!({}))?];
    /// # replica.connect(afield::Relay::new(relay.url()))?;
    /// # runtime.block_on(replica.sync_now())?;
    /// # replica.disconnect();
    /// # home.set_guard(afield::Guard { deletions: Some(1), share: None })?;
    /// for id in ids {
    ///     notes.delete(id)?; // one more than may be unasked
    /// }
    /// let held = home.held()?; // show it to somebody, and then
    /// assert_eq!(home.keep(&held)?, 2);
    /// assert!(home.held()?.list.is_empty());
    /// assert_eq!(notes.ids()?.len(), 2, "they are there again");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Space::confirm`], or an entity could not be restored; those before it are.
    pub fn keep(&self, held: &Held) -> Result<u64, GuardError> {
        let list: Vec<_> = held.list.iter().filter(|held| !held.purged).cloned().collect();
        let received = list.iter().filter(|held| held.way == HeldWay::Receive).cloned().collect();
        self.confirm(&Held { space: held.space, list: received, token: String::new() })?;
        let mut kept = 0;
        for HeldEntity { entity, collection, .. } in list.iter().filter(|_| held.space == self.id()) {
            let collection = Collection::<()>::new(self.shared.clone(), self.id(), collection.parse()?);
            let _ = collection.restore(*entity)?;
            kept += 1;
        }
        Ok(kept)
    }

    fn put_guard(&self, collection: Option<Name>, guard: Option<Guard>) -> Result<(), GuardError> {
        if Driver::is_inside_an_edit() {
            return Err(GuardError::Nested);
        }
        if let Some(found) = guard.and_then(|guard| guard.share).filter(|share| !(0.0..=1.0).contains(share)) {
            return Err(GuardError::Share { found });
        }
        let limits = guard.map(|Guard { deletions, share }| DeletionLimits { deletions, share });
        self.shared.driver.set_guard(self.id(), collection.as_ref(), limits, self.shared.now())?;
        self.shared.wake();
        Ok(())
    }
}

impl ReadOnlySpace {
    /// As [`Space::guard`].
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// use afield::Guard;
    ///
    /// home.set_guard(Guard { deletions: Some(50), share: Some(0.2) })?;
    /// let beside = afield::ReadOnlyReplica::open(&path)?.spaces()?.remove(0);
    /// assert_eq!(beside.guard()?, Guard { deletions: Some(50), share: Some(0.2) });
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn guard(&self) -> Result<Guard, GuardError> {
        guard(&self.reader, self.id())
    }

    /// As [`Space::guard_of`].
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// use afield::Guard;
    ///
    /// home.set_guard(Guard { deletions: Some(50), share: None })?;
    /// home.set_guard_of("drafts", Some(Guard::OFF))?;
    /// let beside = afield::ReadOnlyReplica::open(&path)?.spaces()?.remove(0);
    /// assert_eq!((beside.guard_of("notes")?.deletions, beside.guard_of("drafts")?), (Some(50), Guard::OFF));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The name is not valid, or the store could not be read.
    pub fn guard_of(&self, collection: &str) -> Result<Guard, GuardError> {
        guard_of(&self.reader, self.id(), collection)
    }

    /// As [`Space::held`]: [`Space::confirm`] takes the list, too.
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
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&serde_json::json!({}))?;
    /// # replica.connect(afield::Relay::new(relay.url()))?;
    /// # runtime.block_on(replica.sync_now())?;
    /// # replica.disconnect();
    /// use afield::{Guard, ReadOnlyReplica};
    ///
    /// home.set_guard(Guard { deletions: Some(0), share: None })?;
    /// notes.delete(id)?; // a note that the relay has
    /// let held = ReadOnlyReplica::open(&path)?.spaces()?.remove(0).held()?;
    /// assert_eq!((held.list[0].entity, held.list[0].device), (id, Some(replica.device())));
    /// assert_eq!(home.confirm(&held)?, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn held(&self) -> Result<Held, GuardError> {
        let device = self.reader.device()?.ok_or(StoreError::Closed)?;
        held(&self.reader, self.id(), device, SystemClock::new().now().wall_ms)
    }
}

fn guard(reader: &Reader, space: SpaceId) -> Result<Guard, GuardError> {
    Ok(reader.guards(space)?.0.into())
}

fn guard_of(reader: &Reader, space: SpaceId, collection: &str) -> Result<Guard, GuardError> {
    let name: Name = collection.parse()?;
    let (of_others, of_collections) = reader.guards(space)?;
    Ok(of_collections.get(&name).copied().unwrap_or(of_others).into())
}

fn held(reader: &Reader, space: SpaceId, device: DeviceId, wall_ms: i64) -> Result<Held, GuardError> {
    let sent = reader.held_to_send(space, wall_ms)?.into_iter();
    let mut list: Vec<_> = sent.map(|deletion| HeldEntity::of_own(deletion, device)).collect();
    let received = reader.held_deletions(space)?.into_iter().filter(|held| !held.is_confirmed);
    list.extend(received.map(HeldEntity::of_others));
    Ok(Held { space, token: token(&list), list })
}

impl From<DeletionLimits> for Guard {
    fn from(limits: DeletionLimits) -> Self {
        Self { deletions: limits.deletions, share: limits.share }
    }
}

impl HeldEntity {
    fn of_own(deletion: UnsentDeletion, device: DeviceId) -> Self {
        let UnsentDeletion { entity, collection, is_purge, hash, at_ms, .. } = deletion;
        let collection = collection.as_str().to_owned();
        let (way, device) = (HeldWay::Send, Some(device));
        Self { entity, collection, way, purged: is_purge, device, author: None, at_ms, hash }
    }

    fn of_others(held: afield_store::HeldDeletion) -> Self {
        let afield_store::HeldDeletion { entity, collection, is_purge, hash, device, author, at_ms, .. } = held;
        let collection = collection.as_str().to_owned();
        Self { entity, collection, way: HeldWay::Receive, purged: is_purge, device, author, at_ms, hash }
    }
}

/// What stands for a list.
fn token(list: &[HeldEntity]) -> String {
    let mut bytes = Vec::new();
    for held in list {
        bytes.push(u8::from(held.way == HeldWay::Receive));
        bytes.extend_from_slice(held.entity.as_bytes());
        bytes.extend_from_slice(&held.hash.0);
    }
    let hash = ChunkHash::of(&bytes);
    hash.as_bytes().iter().take(TOKEN_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

fn as_text<T: std::fmt::Display, S: serde::Serializer>(id: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

fn some_as_text<T: std::fmt::Display, S: serde::Serializer>(id: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match id {
        Some(id) => serializer.collect_str(id),
        None => serializer.serialize_none(),
    }
}
