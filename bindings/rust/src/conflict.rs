//! The conflict inbox: what people did to one place without knowing of each other, and how one of them decides it.

use crate::collection::Collection;
use crate::driver::{Driver, Edited, EntityError, Existence, Strategies, Target};
use crate::entity::Entity;
use crate::error::{EditError, ReadError, SpaceError};
use crate::query::Shown;
use crate::read_only::ReadOnlySpace;
use crate::replica::Shared;
use crate::space::Space;
use crate::watch::{Subject, Watch};
use crate::write::Write;
use afield_core::document::strategy::Strategy;
use afield_core::document::{
    Choice, Conflict as Found, ConflictId, ConflictKind, Document, OperationError, Path, Step, Value,
};
use afield_core::{ChangeHash, Collection as Name, DeviceId, EntityId, SpaceId};
use afield_store::{CONFLICT_BYTES, ConflictQuery, ConflictRow, EntityHome, FieldPath, ListedConflict, Reader};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// One of the sides of a [`Conflict`].
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
/// use serde_json::json;
///
/// let id = notes.insert(&json!({"title": "Milk"}))?;
/// # sync(&laptop)?;
/// # sync(&phone)?;
/// phone.set_author(Some("Ada"));
/// notes_there.edit(id, |note| note["title"] = json!("Cheese"))?;
/// notes.edit(id, |note| note["title"] = json!("Bread"))?; // meanwhile
/// # sync(&phone)?;
/// # sync(&laptop)?;
/// let sides = &home.conflicts()?[0].values;
/// assert!(sides[0].wins && !sides[1].wins); // the first is what the entity shows
/// let by_ada = sides.iter().find(|side| side.author.as_deref() == Some("Ada")).expect("it is one of them");
/// assert_eq!((&by_ada.value, by_ada.device), (&Some("Cheese".into()), Some(phone.device())));
/// # runtime.block_on(relay.shutdown());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ConflictValue {
    /// What the side made of the place; `None` where it deleted it. Of an entity that was edited beside its deletion, the fields
    /// that were.
    pub value: Option<Value>,
    /// The change that did it.
    pub change: ChangeHash,
    /// Who did it, where their device had been told a name.
    pub author: Option<String>,
    /// On which device; `None` for what is the same on every device, as of an import.
    pub device: Option<DeviceId>,
    /// When, by the clock of whoever did it, in milliseconds since the Unix epoch; 0 where nobody did, as in an import.
    pub at_ms: i64,
    /// Whether this is what the entity shows.
    pub wins: bool,
}

/// A place of an entity to which people did different things without knowing of each other.
///
/// Automerge shows one of the values, the same on every device, and nothing is lost: the others are kept here until somebody
/// decides. The list is the same on every device that holds the same changes.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use afield::{Choice, Replica};
/// use serde_json::{Value, json};
///
/// # let replica = Replica::open_in_memory()?;
/// let home = replica.create_space("Home")?;
/// let notes = home.collection::<Value>("notes")?;
/// let id = notes.json().insert(&json!({ "title": "Shopping" }))?;
/// // Nobody else has written the title meanwhile, so there is nothing to decide.
/// assert!(notes.entity(id)?.conflicts()?.is_empty());
/// for conflict in home.conflicts()? {
///     println!("{} of {}: {:?}", conflict.path, conflict.entity, conflict.values);
///     conflict.resolve(&Choice::Keep(0))?;
/// }
/// # Ok(())
/// # }
/// ```
///
/// What it is stands in the fields of [`ReadConflict`], which are its own, too.
#[derive(Debug, Clone)]
pub struct Conflict {
    found: ReadConflict,
    shared: Arc<Shared>,
    target: Target,
}

impl Deref for Conflict {
    type Target = ReadConflict;

    fn deref(&self) -> &ReadConflict {
        &self.found
    }
}

/// What a conflict is, as it is also read beside whoever writes: [`Collection::conflicts`] gives the [`Conflict`] that can be decided.
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
/// use afield::{ConflictKind, Strategy};
/// use serde_json::json;
///
/// let id = notes.insert(&json!({"title": "Milk"}))?;
/// # sync(&laptop)?;
/// # sync(&phone)?;
/// notes_there.edit(id, |note| note["title"] = json!("Cheese"))?;
/// notes.edit(id, |note| note["title"] = json!("Bread"))?; // meanwhile
/// # sync(&phone)?;
/// # sync(&laptop)?;
/// let conflict = &home.conflicts()?[0];
/// assert_eq!((conflict.entity, conflict.path.to_string(), conflict.values.len()), (id, "title".into(), 2));
/// assert_eq!((conflict.kind, conflict.strategy), (ConflictKind::Values, Strategy::Merge));
/// # runtime.block_on(relay.shutdown());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ReadConflict {
    /// Its name, the same on every device.
    pub id: ConflictId,
    /// The entity.
    pub entity: EntityId,
    /// The entity's collection.
    pub collection: String,
    /// Where in the entity; the root for the entity as a whole.
    pub path: Path,
    /// What kind of conflict it is.
    pub kind: ConflictKind,
    /// How this device decides conflicts of this place ([`Collection::on_conflict`]): a listed one waits for a person all the same.
    pub strategy: Strategy,
    /// The sides: what the entity shows is the first.
    pub values: Vec<ConflictValue>,
}

impl Conflict {
    /// Decides the conflict by one ordinary edit, which ends it on every device that it reaches.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let home = afield::Replica::open_in_memory()?.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// # use afield::automerge::{AutoCommit, ROOT, transaction::Transactable};
    /// # let mut anna = AutoCommit::new();
    /// # anna.put(&ROOT, "title", "Trip")?;
    /// # let mut ben = anna.fork();
    /// # anna.put(&ROOT, "title", "Night trip")?;
    /// # ben.put(&ROOT, "title", "Day trip")?;
    /// # anna.merge(&mut ben)?;
    /// # let id = notes.import_automerge(&anna.save())?;
    /// use afield::Choice;
    ///
    /// // Two people have given the note a title without knowing of each other.
    /// let conflict = notes.entity(id)?.conflicts()?.remove(0);
    /// conflict.resolve(&Choice::Value("Day and night trip".into()))?; // or `Keep` one of the sides
    /// assert_eq!(notes.json().read(id)?["title"], "Day and night trip");
    /// assert_eq!(conflict.resolve(&Choice::Keep(0)).unwrap_err().code(), "edit.operation"); // it is decided
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// It was decided since it was listed, or has other sides now, or not the one that was chosen: then nothing was written. Or
    /// the entity could not be opened, the value is too large, or the store failed.
    pub fn resolve(&self, choice: &Choice) -> Result<Write, EditError> {
        let all = self.shared.read_document(&self.target, Document::conflicts)?;
        let is_as_listed = |found: &&Found| {
            let changes = found.values.iter().map(|side| (side.change, side.wins));
            found.id == self.id && changes.eq(self.values.iter().map(|side| (side.change, side.wins)))
        };
        let found = all.iter().find(is_as_listed).ok_or(EditError::Operation(OperationError::Decided))?;
        let Edited { changes, .. } = self.shared.edit(&self.target, |edit| Ok(edit.resolve(found, choice)?))?;
        Ok(self.shared.write(changes))
    }
}

impl Space {
    /// What people have to decide in this space, in the order of collections, entities and places.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let home = afield::Replica::open_in_memory()?.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// # use afield::automerge::{AutoCommit, ROOT, transaction::Transactable};
    /// # let mut anna = AutoCommit::new();
    /// # anna.put(&ROOT, "title", "Trip")?;
    /// # let mut ben = anna.fork();
    /// # anna.put(&ROOT, "title", "Night trip")?;
    /// # ben.put(&ROOT, "title", "Day trip")?;
    /// # anna.merge(&mut ben)?;
    /// # let id = notes.import_automerge(&anna.save())?;
    /// // Two people have given a note a title without knowing of each other.
    /// for conflict in home.conflicts()? {
    ///     println!("{} of {}", conflict.path, conflict.entity);
    ///     for side in &conflict.values {
    ///         println!("{} {:?}", if side.wins { "shown:" } else { "or:" }, side.value);
    ///     }
    /// }
    /// assert_eq!(home.conflicts()?[0].values.len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn conflicts(&self) -> Result<Vec<Conflict>, ReadError> {
        self.shared.conflicts(&ConflictQuery { space: self.id(), collection: None, entity: None })
    }

    /// How conflicts are decided on this device, where that is not left to Automerge and people, in the order of collections and fields.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// notes.on_conflict(afield::Strategy::Newest)?;
    /// assert_eq!(home.conflict_strategies()?[0].strategy, afield::Strategy::Newest);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn conflict_strategies(&self) -> Result<Vec<ConflictStrategy>, ReadError> {
        strategies(&self.shared.reader, self.id())
    }

    /// Tells of the entities whose conflicts may have changed. Those of an entity with a long history are worked out when they
    /// are listed, so it is told of whenever others have changed it.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let home = afield::Replica::open_in_memory()?.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// # use afield::automerge::{AutoCommit, ROOT, transaction::Transactable};
    /// # let mut anna = AutoCommit::new();
    /// # anna.put(&ROOT, "title", "Trip")?;
    /// # let mut ben = anna.fork();
    /// # anna.put(&ROOT, "title", "Night trip")?;
    /// # ben.put(&ROOT, "title", "Day trip")?;
    /// # anna.merge(&mut ben)?;
    /// # let id = notes.import_automerge(&anna.save())?;
    /// use afield::Choice;
    ///
    /// // Two people have given a note a title without knowing of each other.
    /// let conflict = home.conflicts()?.remove(0);
    /// let mut watch = home.watch_conflicts();
    /// conflict.resolve(&Choice::Keep(0))?;
    /// assert!(watch.take().contains(&id), "the inbox has one less");
    /// # Ok(())
    /// # }
    /// ```
    pub fn watch_conflicts(&self) -> Watch {
        self.shared.driver.observers.watch(Subject::Conflicts(self.id()))
    }
}

impl<T> Collection<T> {
    /// What people have to decide in this collection, in the order of entities and places.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// assert!(notes.conflicts()?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn conflicts(&self) -> Result<Vec<Conflict>, ReadError> {
        self.shared.conflicts(&ConflictQuery { space: self.space(), collection: Some(&self.name), entity: None })
    }

    /// Says how conflicts in this collection are decided on this device from now on, where no field says otherwise, and decides those
    /// that there are. It is remembered.
    ///
    /// - [`Strategy::Merge`], as at first: the entity shows what Automerge chose, and the conflict is listed.
    /// - [`Strategy::Manual`]: the same, and listed as to be decided by a person ([`ReadConflict::strategy`]), until one resolves it, or a device
    ///   whose own strategy decides it: what is left to people is declared on every device.
    /// - [`Strategy::Newest`]: the value with the latest time, by the clocks of those who wrote.
    /// - [`Strategy::PreferThis`]: what this device wrote; [`Strategy::PreferOther`]: what others wrote. Where this device had no part in
    ///   it, the conflict is listed.
    ///
    /// A device that may only read the space, or takes in only of the collection ([`Direction::PullOnly`](crate::Direction::PullOnly)), decides
    /// nothing, and lists the conflict; once it may write or sends, it decides what is listed then.
    ///
    /// What is decided so is an edit that every device takes over: devices that hold the same make the same one, and devices with
    /// opposing strategies stop after a few and list the conflict. Decided are conflicts of [`ConflictKind::Values`] between values that
    /// are replaced as a whole. A value beside its deletion, what merges inside (texts, lists, maps, counters), what was lost within
    /// something that is gone, and a deleted entity are for people in any case.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// use afield::Strategy;
    ///
    /// let home = replica.create_space("Home")?;
    /// let notes = home.collection::<serde_json::Value>("notes")?;
    /// notes.on_conflict(Strategy::Newest)?;
    /// notes.on_conflict_in("title", Strategy::Manual)?;
    /// assert_eq!(home.conflict_strategies()?.len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// It is inside an edit or a transaction, or the store failed.
    pub fn on_conflict(&self, strategy: Strategy) -> Result<(), SpaceError> {
        self.set_strategy(&Path::ROOT, strategy)
    }

    fn set_strategy(&self, field: &Path, strategy: Strategy) -> Result<(), SpaceError> {
        if Driver::is_inside_an_edit() {
            return Err(SpaceError::Nested);
        }
        let now = self.shared.now();
        self.shared.driver.set_strategy(self.space(), &self.name, field, strategy, now)?;
        self.shared.wake();
        Ok(())
    }
}

impl<T: Shown> Collection<T> {
    /// As [`Collection::on_conflict`], for a field of its entities and all that stands in it. A string is one field, dots and all; what
    /// stands deeper is `Path::from("price").key("amount")`, or `"price.amount".parse::<Path>()?`.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// notes.on_conflict_in("title", afield::Strategy::Manual)?;
    /// assert_eq!(home.conflict_strategies()?.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`Collection::on_conflict`]; and the type has no such field, as for [`Collection::index`]. `collection::<()>` takes any.
    pub fn on_conflict_in(&self, field: impl Into<Path>, strategy: Strategy) -> Result<(), SpaceError> {
        let field = field.into();
        if let Some(Step::Key(name)) = field.steps().first()
            && let Some(known) = self.stored_fields()
        {
            FieldPath::named(name).check_known(Some(&known)).map_err(SpaceError::Field)?;
        }
        self.set_strategy(&field, strategy)
    }
}

/// How the conflicts of a collection, or of one of its fields, are decided on this device.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use afield::{Path, Strategy};
///
/// home.collection::<()>("notes")?.on_conflict_in("title", Strategy::Newest)?;
/// let said = &home.conflict_strategies()?[0];
/// assert_eq!((said.collection.as_str(), &said.field, said.strategy), ("notes", &Path::from("title"), Strategy::Newest));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConflictStrategy {
    /// The collection.
    pub collection: String,
    /// The field; the root for all that have none of their own.
    pub field: Path,
    /// How.
    pub strategy: Strategy,
}

impl Entity {
    /// What people have to decide in this entity, in the order of places.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let home = afield::Replica::open_in_memory()?.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// # use afield::automerge::{AutoCommit, ROOT, transaction::Transactable};
    /// # let mut anna = AutoCommit::new();
    /// # anna.put(&ROOT, "title", "Trip")?;
    /// # let mut ben = anna.fork();
    /// # anna.put(&ROOT, "title", "Night trip")?;
    /// # ben.put(&ROOT, "title", "Day trip")?;
    /// # anna.merge(&mut ben)?;
    /// # let id = notes.import_automerge(&anna.save())?;
    /// // Two people have given the note a title without knowing of each other.
    /// let conflict = notes.entity(id)?.conflicts()?.remove(0);
    /// assert_eq!((conflict.path.to_string().as_str(), conflict.values.len()), ("title", 2));
    /// let shown = conflict.values[0].value.as_ref().map(|value| value.to_json());
    /// assert_eq!(shown, Some(notes.json().read(id)?["title"].clone()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn conflicts(&self) -> Result<Vec<Conflict>, ReadError> {
        self.shared.conflicts(&ConflictQuery { space: self.target.space, collection: None, entity: Some(self.id()) })
    }
}

impl ReadOnlySpace {
    /// What people have to decide in this space, or in one of its collections, in the order of collections, entities and places.
    ///
    /// Nothing is stored from here: what nobody has worked out yet is worked out each time.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let home = afield::Replica::open(&path)?.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// # use afield::automerge::{AutoCommit, ROOT, transaction::Transactable};
    /// # let mut anna = AutoCommit::new();
    /// # anna.put(&ROOT, "title", "Trip")?;
    /// # let mut ben = anna.fork();
    /// # anna.put(&ROOT, "title", "Night trip")?;
    /// # ben.put(&ROOT, "title", "Day trip")?;
    /// # anna.merge(&mut ben)?;
    /// # let id = notes.import_automerge(&anna.save())?;
    /// // Two people have given a note a title without knowing of each other.
    /// let beside = afield::ReadOnlyReplica::open(&path)?.spaces()?.remove(0);
    /// assert_eq!(beside.conflicts(None)?[0].entity, id);
    /// assert_eq!(beside.conflicts(Some(&"notes".parse()?))?.len(), 1);
    /// assert!(beside.conflicts(Some(&"photos".parse()?))?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn conflicts(&self, collection: Option<&Name>) -> Result<Vec<ReadConflict>, ReadError> {
        let query = ConflictQuery { space: self.id(), collection, entity: None };
        let mut listed = self.reader.conflicts(&query)?;
        for (entity, collection) in self.reader.entities_with_stale_conflicts(&query)? {
            let found = match self.document(entity, None) {
                Ok(document) => catch_unwind(AssertUnwindSafe(|| {
                    let row = |found: &Found| ConflictRow { conflict: *id_of(found), json: to_json(&document, found) };
                    document.conflicts().iter().map(row).collect::<Vec<_>>()
                })),
                Err(EntityError::Store(error)) if !error.is_damage() => return Err(error.into()),
                Err(_) => continue,
            };
            // What cannot be opened or worked out is listed as it last was.
            let Ok(found) = found else { continue };
            let home = EntityHome { space: self.id(), collection };
            listed.retain(|one| one.entity != entity);
            listed.extend(found.into_iter().map(|row| ListedConflict { entity, home: home.clone(), row }));
        }
        // Those of one entity stand together already, in the order of places.
        listed.sort_by(|one, other| (&one.home.collection, one.entity).cmp(&(&other.home.collection, other.entity)));
        read_all(&self.reader, self.id(), listed)
    }

    /// Whether the conflicts of some entities are to be worked out yet, so that [`SpaceStatus::conflicts`](crate::SpaceStatus::conflicts)
    /// counts them as they last were: [`Space::conflicts`] does that, and stores it.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let home = afield::Replica::open(&path)?.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// # use afield::automerge::{AutoCommit, ROOT, transaction::Transactable};
    /// # let mut anna = AutoCommit::new();
    /// # anna.put(&ROOT, "title", "Trip")?;
    /// # let mut ben = anna.fork();
    /// # anna.put(&ROOT, "title", "Night trip")?;
    /// # ben.put(&ROOT, "title", "Day trip")?;
    /// # anna.merge(&mut ben)?;
    /// # for number in 0..300 {
    /// #     anna.put(&ROOT, "opened", number)?;
    /// #     anna.commit();
    /// # }
    /// # let id = notes.import_automerge(&anna.save())?;
    /// // A note with a conflict and a long history was read in a moment ago.
    /// let beside = afield::ReadOnlyReplica::open(&path)?.spaces()?.remove(0);
    /// assert!(beside.conflicts_are_behind(None)?);
    /// assert_eq!(home.conflicts()?.len(), 1); // by the process that writes
    /// assert!(!beside.conflicts_are_behind(None)?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn conflicts_are_behind(&self, collection: Option<&Name>) -> Result<bool, ReadError> {
        let query = ConflictQuery { space: self.id(), collection, entity: None };
        Ok(!self.reader.entities_with_stale_conflicts(&query)?.is_empty())
    }

    /// As [`Space::conflict_strategies`].
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// use afield::Strategy;
    ///
    /// home.collection::<()>("notes")?.on_conflict_in("title", Strategy::Newest)?;
    /// let beside = afield::ReadOnlyReplica::open(&path)?.spaces()?.remove(0);
    /// let found = beside.conflict_strategies()?.remove(0);
    /// assert_eq!((found.collection.as_str(), found.field.to_string().as_str()), ("notes", "title"));
    /// assert_eq!(found.strategy, Strategy::Newest);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn conflict_strategies(&self) -> Result<Vec<ConflictStrategy>, ReadError> {
        strategies(&self.reader, self.id())
    }
}

impl Shared {
    fn conflicts(self: &Arc<Self>, query: &ConflictQuery<'_>) -> Result<Vec<Conflict>, ReadError> {
        self.driver.settle_what_was_left(self.now());
        self.driver.refresh_conflicts(query, self.now())?;
        let listed = self.reader.conflicts(query)?;
        let homes: BTreeMap<EntityId, Name> =
            listed.iter().map(|listed| (listed.entity, listed.home.collection.clone())).collect();
        let found = read_all(&self.reader, query.space, listed)?.into_iter();
        let own = |found: ReadConflict| {
            let (entity, collection) = (found.entity, homes.get(&found.entity)?.clone());
            let target = Target { space: query.space, collection, entity, existence: Existence::Required };
            Some(Conflict { found, shared: self.clone(), target })
        };
        Ok(found.filter_map(own).collect())
    }
}

fn strategies(reader: &Reader, space: SpaceId) -> Result<Vec<ConflictStrategy>, ReadError> {
    let stored = reader.strategies(space)?.into_iter();
    let read = |stored: afield_store::StoredStrategy| {
        let field = if stored.field.is_empty() { Path::ROOT } else { stored.field.parse().ok()? };
        let (collection, strategy) = (stored.collection.as_str().to_owned(), stored.strategy.parse().ok()?);
        Some(ConflictStrategy { collection, field, strategy })
    };
    Ok(stored.filter_map(read).collect())
}

pub(crate) fn id_of(found: &Found) -> &[u8; CONFLICT_BYTES] {
    found.id.as_bytes()
}

/// Describes a conflict for the store: a function of the document (invariant D9).
pub(crate) fn to_json(document: &Document, found: &Found) -> String {
    let sides = found.values.iter().map(|side| {
        // A settlement is nobody's: what people want to know is whose write it chose.
        let write = document.settled_write(&side.change).unwrap_or(side.change);
        let made = document.attribution(&write);
        let (author, device) = made.as_ref().map_or((None, None), |made| (made.author.as_deref(), made.device));
        let (at_ms, device) = (made.as_ref().map_or(0, |made| made.at_ms), device.map(|device| device.to_string()));
        let value = side.value.as_ref().map(|value| json!([value.to_tagged_json()]));
        let (change, wins) = (side.change.to_string(), side.wins);
        json!({ "value": value, "change": change, "author": author, "device": device, "at_ms": at_ms, "wins": wins })
    });
    let values: Vec<Json> = sides.collect();
    json!({ "path": found.path.to_string(), "kind": found.kind.name(), "values": values }).to_string()
}

fn read_all(reader: &Reader, space: SpaceId, listed: Vec<ListedConflict>) -> Result<Vec<ReadConflict>, ReadError> {
    let stored = reader.strategies(space)?;
    let strategy_of = |found: &ReadConflict| {
        let of_collection = stored.iter().filter(|stored| stored.collection.as_str() == found.collection);
        Strategies::read(of_collection).of(&found.path)
    };
    let found = listed.into_iter().filter_map(read);
    Ok(found.map(|found| ReadConflict { strategy: strategy_of(&found), ..found }).collect())
}

/// Reads what [`to_json`] wrote; nothing else stands in the store.
fn read(listed: ListedConflict) -> Option<ReadConflict> {
    let ListedConflict { entity, home, row } = listed;
    let json: Json = serde_json::from_str(&row.json).ok()?;
    let kinds = [ConflictKind::Values, ConflictKind::Deleted, ConflictKind::Lost, ConflictKind::Entity];
    let name = json.get("kind")?.as_str()?;
    let values = json.get("values")?.as_array()?.iter().map(read_side).collect::<Option<_>>()?;
    Some(ReadConflict {
        id: ConflictId::from_bytes(row.conflict),
        entity,
        collection: home.collection.as_str().to_owned(),
        path: json.get("path")?.as_str()?.parse().ok()?,
        kind: kinds.into_iter().find(|kind| kind.name() == name)?,
        strategy: Strategy::default(),
        values,
    })
}

fn read_side(json: &Json) -> Option<ConflictValue> {
    let value = match json.get("value")?.as_array() {
        Some(value) => Some(Value::from_tagged_json(value.first()?).ok()?),
        None => None,
    };
    Some(ConflictValue {
        value,
        change: json.get("change")?.as_str()?.parse().ok()?,
        author: json.get("author")?.as_str().map(str::to_owned),
        device: json.get("device")?.as_str().and_then(|device| device.parse().ok()),
        at_ms: json.get("at_ms")?.as_i64()?,
        wins: json.get("wins")?.as_bool()?,
    })
}
