//! Reading a store beside whoever writes it.

use crate::clock::SystemClock;
use crate::driver::{EntityError, View, document_of, projection_of, split_deletion};
use crate::error::{ReadError, ReplicaError, SpaceError, TransferError};
use crate::status::{self, Status};
use crate::transfer::{self, Transferred};
use afield_core::document::{Document, Value};
use afield_core::wire::ChunkCode;
use afield_core::{Collection as Name, DeviceId, EntityId, SpaceId};
use afield_store::{Commits, ListQuery, LoadFrom, Reader, StoreError, Violation};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// A store that is only read: it works beside the one process that writes, and never waits for it.
///
/// Each call sees one committed state, and what a writer has received and not merged yet is not seen. Nothing is ever
/// written, so a store of an older version has to be opened by [`crate::Replica::open`] once before.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("notes.db");
/// let replica = afield::Replica::open(&path)?;
/// let id = replica.create_space("Home")?.collection::<()>("notes")?.json().insert(&serde_json::json!({"n": 1}))?;
///
/// let beside = afield::ReadOnlyReplica::open(&path)?; // in any process
/// let home = beside.spaces()?.remove(0);
/// assert_eq!(home.read("notes", id)?.json(), serde_json::json!({"n": 1}));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ReadOnlyReplica {
    reader: Reader,
}

/// A space of a store that is only read.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("notes.db");
/// use afield::{ReadOnlyReplica, Replica};
///
/// let replica = Replica::open(&path)?; // perhaps another process
/// replica.create_space("Home")?.collection::<()>("notes")?.json().insert(&serde_json::json!({"n": 1}))?;
/// let home = ReadOnlyReplica::open(&path)?.spaces()?.remove(0);
/// assert_eq!((home.name(), home.ids("notes")?.len()), ("Home", 1));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ReadOnlySpace {
    pub(crate) reader: Reader,
    id: SpaceId,
    name: String,
}

/// An entity as it was read.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("notes.db");
/// use afield::{ReadOnlyReplica, Replica};
///
/// let replica = Replica::open(&path)?; // perhaps another process
/// let notes = replica.create_space("Home")?.collection::<()>("notes")?;
/// let id = notes.json().insert(&serde_json::json!({"title": "Milk"}))?;
/// notes.delete(id)?;
/// let note = ReadOnlyReplica::open(&path)?.spaces()?[0].read("notes", id)?;
/// assert_eq!((note.json(), note.is_deleted()), (serde_json::json!({"title": "Milk"}), true));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ReadEntity {
    value: Value,
    /// The mark of its deletion.
    deletion: Option<Value>,
}

impl ReadOnlyReplica {
    /// Opens a store file for reading.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// use afield::ReadOnlyReplica;
    ///
    /// let beside = ReadOnlyReplica::open(&path)?; // while this or another process writes
    /// assert_eq!(beside.spaces()?[0].name(), "Home");
    /// assert!(ReadOnlyReplica::open(folder.path().join("other.db")).is_err(), "no file is made");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The file is no store of Afield's, from another version, or cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ReplicaError> {
        let reader = Reader::open(path.as_ref())?;
        Ok(Self { reader })
    }

    pub(crate) fn reader(&self) -> &Reader {
        &self.reader
    }

    /// This device's identity.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// let beside = afield::ReadOnlyReplica::open(&path)?;
    /// assert_eq!(beside.device()?, replica.device());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read, or nobody has written to it yet.
    pub fn device(&self) -> Result<DeviceId, StoreError> {
        self.reader.device()?.ok_or(StoreError::Closed)
    }

    /// All spaces of this device, in the order in which they came.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// # notes.insert(&serde_json::json!({ "title": "Milk" }))?;
    /// let beside = afield::ReadOnlyReplica::open(&path)?;
    /// for space in beside.spaces()? {
    ///     println!("{} has {:?}", space.name(), space.collections()?);
    /// }
    /// assert_eq!(beside.spaces()?[0].id(), home.id());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn spaces(&self) -> Result<Vec<ReadOnlySpace>, StoreError> {
        let space = |record: afield_store::SpaceRecord| ReadOnlySpace {
            reader: self.reader.clone(),
            id: record.space,
            name: record.name,
        };
        Ok(self.reader.spaces()?.into_iter().map(space).collect())
    }

    /// What is stored and what waits. Sync is another process's, so it counts as switched off.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// use afield::{ReadOnlyReplica, SyncState};
    ///
    /// notes.insert(&serde_json::json!({ "title": "Milk" }))?;
    /// let status = ReadOnlyReplica::open(&path)?.status()?;
    /// assert_eq!((status.state, status.pending_changes), (SyncState::Disabled, 1));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn status(&self) -> Result<Status, StoreError> {
        let now = SystemClock::new().now();
        status::of_store(&View::default(), self.device()?, &self.reader, None, None, now)
    }

    /// Watches for commits to the store from now on, of whatever process: looking costs next to nothing, and what changed
    /// is found by reading again.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// let beside = afield::ReadOnlyReplica::open(&path)?;
    /// let mut commits = beside.commits()?;
    /// assert!(!commits.have_come()?);
    /// let id = notes.insert(&serde_json::json!({ "title": "Milk" }))?; // by whatever process
    /// assert!(commits.have_come()?, "so that it is time to read again");
    /// assert_eq!(beside.spaces()?[0].ids("notes")?, [id]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn commits(&self) -> Result<Commits, StoreError> {
        self.reader.commits()?.ok_or(StoreError::Closed)
    }

    /// Checks the file and what must hold in it, and changes nothing. Reads all of it, so it is for after damage.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// let beside = afield::ReadOnlyReplica::open(&path)?;
    /// for violation in beside.verify()? {
    ///     println!("{violation}");
    /// }
    /// assert!(beside.verify()?.is_empty(), "nothing is damaged");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read, which is how a damaged one may answer too.
    pub fn verify(&self) -> Result<Vec<Violation>, StoreError> {
        self.reader.verify()
    }
}

impl ReadOnlySpace {
    /// The space's identity.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// let space = afield::ReadOnlyReplica::open(&path)?.spaces()?.remove(0);
    /// assert_eq!(space.id(), home.id());
    /// # Ok(())
    /// # }
    /// ```
    pub fn id(&self) -> SpaceId {
        self.id
    }

    /// The space's name on this device.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// let space = afield::ReadOnlyReplica::open(&path)?.spaces()?.remove(0);
    /// assert_eq!(space.name(), "Home");
    /// # Ok(())
    /// # }
    /// ```
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The collections that hold entities, in order, with how many of theirs are not deleted.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// # use serde_json::json;
    /// let milk = notes.insert(&json!({ "title": "Milk" }))?;
    /// notes.insert(&json!({ "title": "Bread" }))?;
    /// home.collection::<()>("notes")?.delete(milk)?;
    /// let space = afield::ReadOnlyReplica::open(&path)?.spaces()?.remove(0);
    /// assert_eq!(space.collections()?, [("notes".to_owned(), 1)]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn collections(&self) -> Result<Vec<(String, u64)>, ReadError> {
        let counts = self.reader.collections(self.id)?.into_iter();
        Ok(counts.map(|count| (count.collection.as_str().to_owned(), count.entities)).collect())
    }

    /// The entities of a collection that are not deleted, in the order of their making to the millisecond.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// let id = notes.insert(&serde_json::json!({ "title": "Milk" }))?;
    /// let space = afield::ReadOnlyReplica::open(&path)?.spaces()?.remove(0);
    /// assert_eq!(space.ids("notes")?, [id]);
    /// assert!(space.ids("photos")?.is_empty(), "there are none");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The name of the collection is not valid, or the store could not be read.
    pub fn ids(&self, collection: &str) -> Result<Vec<EntityId>, SpaceError> {
        let collection: Name = collection.parse()?;
        Ok(self.reader.ids(&self.all_of(&collection, false))?)
    }

    /// The entities of [`ReadOnlySpace::ids`] as JSON values. One that cannot be opened is shown as it last was.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// # use serde_json::json;
    /// let id = notes.insert(&json!({ "title": "Milk" }))?;
    /// let space = afield::ReadOnlyReplica::open(&path)?.spaces()?.remove(0);
    /// assert_eq!(space.list("notes")?, [(id, json!({ "title": "Milk" }))]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`ReadOnlySpace::ids`].
    pub fn list(&self, collection: &str) -> Result<Vec<(EntityId, serde_json::Value)>, SpaceError> {
        self.shown(collection, false)
    }

    /// The deleted entities of a collection as JSON values, as [`ReadOnlySpace::list`] shows the others.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// # use serde_json::json;
    /// let id = notes.insert(&json!({ "title": "Milk" }))?;
    /// home.collection::<()>("notes")?.delete(id)?;
    /// let space = afield::ReadOnlyReplica::open(&path)?.spaces()?.remove(0);
    /// assert_eq!(space.deleted("notes")?, [(id, json!({ "title": "Milk" }))]);
    /// assert!(space.list("notes")?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`ReadOnlySpace::ids`].
    pub fn deleted(&self, collection: &str) -> Result<Vec<(EntityId, serde_json::Value)>, SpaceError> {
        self.shown(collection, true)
    }

    fn shown(&self, collection: &str, deleted: bool) -> Result<Vec<(EntityId, serde_json::Value)>, SpaceError> {
        let collection: Name = collection.parse()?;
        let mut rows = self.reader.list(&self.all_of(&collection, deleted))?;
        // A writer leaves the projection of a large entity to whoever reads it, and nothing is stored from here.
        for row in rows.iter_mut().filter(|row| row.stale) {
            match self.document(row.entity, None) {
                Ok(document) => row.projection = projection_of(&document),
                Err(EntityError::Store(error)) if !error.is_damage() => return Err(error.into()),
                Err(_) => {}
            }
        }
        let rows = rows.into_iter();
        Ok(rows.map(|row| (row.entity, crate::collection::parse_projection(&row.projection.json))).collect())
    }

    /// Reads an entity, a deleted one too.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// # use serde_json::json;
    /// let id = notes.insert(&json!({ "title": "Milk" }))?;
    /// let space = afield::ReadOnlyReplica::open(&path)?.spaces()?.remove(0);
    /// let note = space.read("notes", id)?;
    /// assert_eq!((note.json(), note.is_deleted()), (json!({ "title": "Milk" }), false));
    /// assert_eq!(space.read("photos", id).unwrap_err().code(), "entity.other_collection");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// There is no such entity in this collection, nothing of it can be shown yet, or its stored changes are damaged.
    pub fn read(&self, collection: &str, entity: EntityId) -> Result<ReadEntity, ReadError> {
        let (value, deletion) = split_deletion(self.document(entity, Some(collection))?.read());
        Ok(ReadEntity { value, deletion })
    }

    /// Why the relay refuses changes of this space, and of how many entities each.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use afield_relay::{hub, log, server};
    /// # let folder = tempfile::tempdir()?;
    /// # let options = server::RelayOptions {
    /// #     access: hub::Access::Open,
    /// #     listen: "127.0.0.1:0".parse()?,
    /// #     quotas: log::Quotas { space_chunks_max: 1, ..log::Quotas::DEFAULT },
    /// #     ..server::RelayOptions::new(folder.path().join("relay"))
    /// # };
    /// # let runtime = tokio::runtime::Runtime::new()?;
    /// # let relay = runtime.block_on(server::Relay::start(options))?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let notes = replica.create_space("Home")?.collection::<()>("notes")?.json();
    /// # replica.connect(afield::Relay::new(relay.url()))?;
    /// use afield::ChunkCode;
    /// # use serde_json::json;
    ///
    /// notes.insert(&json!({ "title": "Milk" }))?;
    /// # runtime.block_on(replica.sync_now())?;
    /// notes.insert(&json!({ "title": "Bread" }))?; // for which the relay has no room
    /// # assert!(runtime.block_on(replica.sync_now()).is_err());
    /// let space = afield::ReadOnlyReplica::open(&path)?.spaces()?.remove(0);
    /// assert_eq!(space.refusals()?, [(ChunkCode::Quota, 1)]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn refusals(&self) -> Result<Vec<(ChunkCode, u64)>, StoreError> {
        status::refusals(&self.reader, [self.id])
    }

    /// Writes every entity of the space out, as [`crate::Space::export`] does.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// notes.insert(&serde_json::json!({ "title": "Milk" }))?;
    /// let space = afield::ReadOnlyReplica::open(&path)?.spaces()?.remove(0);
    /// let mut file = Vec::new();
    /// let written = space.export(&mut file, |entities| println!("{entities} entities"))?;
    /// assert_eq!(written.entities, 1);
    /// assert_eq!(file.iter().filter(|byte| **byte == b'\n').count(), 1, "a line for each");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`crate::Space::export`].
    pub fn export(&self, out: impl Write, progress: impl FnMut(u64)) -> Result<Transferred, TransferError> {
        let read = |_: &Name, entity| Ok(self.document(entity, None)?.read());
        transfer::export(&self.reader, self.id, read, out, progress)
    }

    pub(crate) fn document(&self, entity: EntityId, expected: Option<&str>) -> Result<Document, EntityError> {
        let missing = EntityError::Missing { entity, space: self.id };
        let stored = self.reader.load(entity, LoadFrom::Snapshot)?.filter(|stored| stored.space == self.id);
        let Some(stored) = stored else { return Err(missing) };
        if let Some(Ok(expected)) = expected.map(str::parse::<Name>)
            && stored.collection != expected
        {
            return Err(EntityError::OtherCollection { entity, expected, found: stored.collection });
        }
        let document = document_of(entity, stored).or_else(|error| {
            // A snapshot only makes opening quicker: what it stands for is all there.
            let Some(stored) = self.reader.load(entity, LoadFrom::Changes)? else { return Err(missing) };
            document_of(entity, stored).map_err(|_| EntityError::Damaged { entity, source: error })
        })?;
        // What has arrived so far makes no document: an empty one in its place would look like data that is gone.
        if document.change_count() == 0 { Err(EntityError::NotYet { entity }) } else { Ok(document) }
    }

    /// A space, whether or not it is in the store.
    pub(crate) fn of(reader: Reader, id: SpaceId) -> Self {
        Self { reader, id, name: String::new() }
    }

    /// The fields of an entity; none of one that is not there, or of which nothing can be shown.
    pub(crate) fn fields(&self, collection: &str, entity: EntityId) -> Result<Value, ReadError> {
        match self.document(entity, Some(collection)) {
            Ok(document) => Ok(split_deletion(document.read()).0),
            Err(EntityError::Missing { .. } | EntityError::NotYet { .. }) => Ok(Value::Map(BTreeMap::new())),
            Err(error) => Err(error.into()),
        }
    }

    fn all_of<'c>(&self, collection: &'c Name, deleted: bool) -> ListQuery<'c> {
        let (collection, deleted) = (Some(collection), Some(deleted));
        ListQuery { space: self.id, collection, deleted, after: None, limit: usize::MAX }
    }
}

impl ReadEntity {
    /// Whether it is deleted.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// let id = notes.insert(&serde_json::json!({ "title": "Milk" }))?;
    /// home.collection::<()>("notes")?.delete(id)?;
    /// let space = afield::ReadOnlyReplica::open(&path)?.spaces()?.remove(0);
    /// assert!(space.read("notes", id)?.is_deleted());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_deleted(&self) -> bool {
        self.deletion.is_some()
    }

    /// When it was deleted, in milliseconds since the Unix epoch by the clock of the device that did so; `None` when it
    /// is not deleted.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// let id = notes.insert(&serde_json::json!({ "title": "Milk" }))?;
    /// let space = afield::ReadOnlyReplica::open(&path)?.spaces()?.remove(0);
    /// assert_eq!(space.read("notes", id)?.deleted_at_ms(), None);
    /// home.collection::<()>("notes")?.delete(id)?;
    /// assert!(space.read("notes", id)?.deleted_at_ms().is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub fn deleted_at_ms(&self) -> Option<i64> {
        match self.deletion {
            Some(Value::Timestamp(at_ms)) => Some(at_ms),
            _ => None,
        }
    }

    /// Its fields, texts as strings and counters as numbers.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// # use serde_json::json;
    /// let id = notes.insert(&json!({ "title": "Milk", "body": { "$text": "two bottles" } }))?;
    /// let space = afield::ReadOnlyReplica::open(&path)?.spaces()?.remove(0);
    /// assert_eq!(space.read("notes", id)?.json(), json!({ "title": "Milk", "body": "two bottles" }));
    /// # Ok(())
    /// # }
    /// ```
    pub fn json(&self) -> serde_json::Value {
        self.value.to_json()
    }

    /// Its fields as an export writes them, with the kind of every field.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// # use serde_json::json;
    /// let id = notes.insert(&json!({ "title": "Milk", "body": { "$text": "two bottles" } }))?;
    /// let space = afield::ReadOnlyReplica::open(&path)?.spaces()?.remove(0);
    /// let tagged = space.read("notes", id)?.tagged_json();
    /// assert_eq!(tagged, json!({ "title": "Milk", "body": { "$text": "two bottles" } }));
    /// # Ok(())
    /// # }
    /// ```
    pub fn tagged_json(&self) -> serde_json::Value {
        self.value.to_tagged_json()
    }
}
