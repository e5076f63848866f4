//! The way of an edit: one document, one transaction of the store, then those who watch.

use super::conflicts::KnownConflicts;
use super::documents::{Busy, Documents, Inside, OpenEntity, Taken, lock};
use super::projection::project_unless_large;
use super::strategies::Settled;
use super::{Driver, EntityError};
use afield_core::document::{Document, Edit, EditContext, EditError as DocumentError, Incoming, LocalChange};
use afield_core::wire::Class;
use afield_core::{ChangeHash, Collection, EntityId, Now, SpaceId};
use afield_store::{AppendError, Arrival, EntityWrite, NewChange, Projection, Store, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::MutexGuard;

/// What an edit expects of its entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existence {
    /// It exists.
    Required,
    /// Its identity was just made, so nobody else creates it concurrently.
    Fresh,
    /// It is created when it does not exist; others may be creating it too.
    Either,
}

/// The entity of an edit.
#[derive(Debug, Clone)]
pub struct Target {
    /// The space.
    pub space: SpaceId,
    /// The collection.
    pub collection: Collection,
    /// The entity.
    pub entity: EntityId,
    /// What is expected of it.
    pub existence: Existence,
}

impl Target {
    /// Checks that an entity lives where it is looked for, and that there is something to show of it where it has to exist.
    fn check(&self, open: &OpenEntity) -> Result<(), EntityError> {
        if open.space != self.space {
            return Err(EntityError::OtherSpace { entity: self.entity, expected: self.space, found: open.space });
        }
        if open.collection != self.collection {
            return Err(EntityError::OtherCollection {
                entity: self.entity,
                expected: self.collection.clone(),
                found: open.collection.clone(),
            });
        }
        // What has arrived so far makes no document: an empty one in its place would look like data that is gone.
        if self.existence == Existence::Required && open.document.change_count() == 0 {
            return Err(EntityError::NotYet { entity: self.entity });
        }
        Ok(())
    }

    fn missing(&self) -> EntityError {
        EntityError::Missing { entity: self.entity, space: self.space }
    }
}

/// An edit that is durable on this device.
#[derive(Debug)]
pub struct Edited<T> {
    /// What the closure returned.
    pub value: T,
    /// The changes, in causal order; none when nothing was written.
    pub changes: Vec<(EntityId, ChangeHash)>,
}

/// An edit failed. Nothing of it remains in memory, and on disk only if the store failed while it wrote.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditFailure<E> {
    /// The entity could not be opened.
    #[error(transparent)]
    Entity(#[from] EntityError),
    /// The closure failed, or the document refused the edit.
    #[error(transparent)]
    Document(DocumentError<E>),
    /// The edit could not be stored for certain; see [`Driver::reload`], after which it is there or not.
    #[error("the edit could not be stored")]
    Store(#[source] AppendError),
}

impl<E> From<AppendError> for EditFailure<E> {
    fn from(error: AppendError) -> Self {
        match error {
            // Nothing is wrong with the store.
            AppendError::Purged { entity } => Self::Entity(EntityError::Purged { entity }),
            error => Self::Store(error),
        }
    }
}

impl<E> EditFailure<E> {
    /// What would help.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Store};
    /// # use afield::{Driver, EntityId, Entropy, Existence, Now, SpaceId, Target};
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 0, monotonic_ms: 0 };
    /// # let store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// # let (space, entity) = (SpaceId::from_bytes([1; 16]), EntityId::from_bytes([2; 16]));
    /// let target = Target { space, collection: "notes".parse()?, entity, existence: Existence::Fresh };
    /// let failure = driver.edit(&target, now, |edit| edit.insert("tags", 3, "shop")).unwrap_err(); // beyond the end
    /// assert_eq!(failure.class(), afield::Class::Permanent);
    /// # Ok(())
    /// # }
    /// ```
    pub fn class(&self) -> Class {
        match self {
            Self::Entity(error) => error.class(),
            // The document is loaded anew at the next touch.
            Self::Document(DocumentError::Poisoned) => Class::Retry,
            Self::Document(_) => Class::Permanent,
            Self::Store(error) => error.class(),
        }
    }
}

impl Driver {
    /// Edits one entity and stores the change, the outbox and the projection in one transaction (invariant D1).
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Driver, EntityId, Entropy, Existence, Now, SpaceId, Target};
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// # let entity = EntityId::from_bytes([2; 16]);
    /// let target = Target { space, collection: "notes".parse()?, entity, existence: Existence::Fresh };
    /// let edited = driver.edit(&target, now, |edit| edit.put("title", "Milk"))?;
    /// assert_eq!(edited.changes[0].0, entity); // durable, and in the outbox
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The entity could not be opened or the closure failed, and nothing of the edit remains; or the store failed, and
    /// after a reload the edit is there or not.
    pub fn edit<T, E>(
        &self,
        target: &Target,
        now: Now,
        edit: impl FnOnce(&mut Edit<'_>) -> Result<T, E>,
    ) -> Result<Edited<T>, EditFailure<E>> {
        let mut taken = self.open(self.take(target.entity)?, target, now)?;
        let (value, changes) = self.change(&mut taken, target, self.label(now), edit)?;
        let entity = taken.entity();
        let Some(open) = taken.open.as_deref_mut().filter(|_| !changes.is_empty()) else {
            return Ok(Edited { value, changes: Vec::new() });
        };
        let writes = [PendingWrite::of(entity, open, changes, Arrival::Applied)];
        self.append(std::slice::from_mut(&mut taken), &writes, now)?;
        // Opening it may have merged what others wrote.
        drop(taken);
        self.settle_by_strategy(now);
        Ok(Edited { value, changes: writes.iter().flat_map(PendingWrite::ids).collect() })
    }

    /// Whether the calling thread runs the closure of an edit or a transaction, which sync may be waiting for: so it must not
    /// wait for sync.
    pub(crate) fn is_inside_an_edit() -> bool {
        Documents::is_inside()
    }

    /// Starts a transaction over several entities. Only one runs at a time.
    ///
    /// # Errors
    ///
    /// This thread runs an edit or a transaction already.
    pub(crate) fn transaction(&self, now: Now) -> Result<TransactionScope<'_>, EntityError> {
        if Documents::is_inside() {
            return Err(EntityError::Nested);
        }
        let many = lock(&self.many);
        let _inside = Documents::enter();
        let (now, open, joined, brought) = (self.label(now), BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        Ok(TransactionScope { driver: self, now, open, joined, brought, _inside, _many: many })
    }

    /// Reads an entity's document; within an edit or a transaction, one that somebody else has is read as it is stored.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Driver, EntityId, Entropy, Existence, Now, SpaceId, Target};
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// # let entity = EntityId::from_bytes([2; 16]);
    /// # let target = Target { space, collection: "notes".parse()?, entity, existence: Existence::Either };
    /// driver.edit(&target, now, |edit| edit.put("title", "Milk"))?;
    /// let title = driver.read_document(&target, now, |document| document.read_at("title"))??;
    /// assert_eq!(title, Some("Milk".into()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The entity could not be opened.
    pub fn read_document<T>(
        &self,
        target: &Target,
        now: Now,
        read: impl FnOnce(&Document) -> T,
    ) -> Result<T, EntityError> {
        let Ok(taken) = self.documents.take(target.entity) else {
            let Some((open, _)) = self.read(target.entity)? else { return Err(self.absent(target)?) };
            target.check(&open)?;
            return Ok(read(&open.document));
        };
        let taken = self.open(taken, target, now)?;
        let open = taken.open.as_ref().ok_or(target.missing())?;
        let _inside = Documents::enter();
        Ok(read(&open.document))
    }

    /// Why an entity is not in the store: it does not exist, as far as this device has to know, or it is not here.
    fn absent(&self, target: &Target) -> Result<EntityError, EntityError> {
        let Target { space, collection, entity, .. } = target;
        if lock(&self.store).erasure(*space, *entity)?.is_some() {
            return Ok(EntityError::Purged { entity: *entity });
        }
        let is_elsewhere = lock(&self.store).may_be_elsewhere(*space, collection, *entity)?;
        Ok(if is_elsewhere { EntityError::NotHere { entity: *entity, space: *space } } else { target.missing() })
    }

    pub(super) fn take(&self, entity: EntityId) -> Result<Taken<'_>, EntityError> {
        self.documents.take(entity).map_err(|Busy| EntityError::Busy { entity })
    }

    pub(super) fn open<'d>(&self, mut taken: Taken<'d>, target: &Target, now: Now) -> Result<Taken<'d>, EntityError> {
        if target.existence != Existence::Fresh {
            taken = self.load(taken, now)?;
        }
        match taken.open.as_deref() {
            Some(open) => target.check(open)?,
            None if target.existence == Existence::Required => return Err(self.absent(target)?),
            None => {
                // A fresh identity cannot have been purged.
                if target.existence == Existence::Either
                    && lock(&self.store).erasure(target.space, target.entity)?.is_some()
                {
                    return Err(EntityError::Purged { entity: target.entity });
                }
                taken.open = Some(Box::new(OpenEntity {
                    document: Document::new(target.entity),
                    space: target.space,
                    collection: target.collection.clone(),
                    since_snapshot: 0,
                    projected: None,
                    conflicts: KnownConflicts::NoneAt(Vec::new()),
                    settled: Settled::default(),
                }));
            }
        }
        Ok(taken)
    }

    pub(super) fn change<T, E>(
        &self,
        taken: &mut Taken<'_>,
        target: &Target,
        now: Now,
        edit: impl FnOnce(&mut Edit<'_>) -> Result<T, E>,
    ) -> Result<(T, Vec<LocalChange>), EditFailure<E>> {
        let fresh = target.existence == Existence::Fresh;
        let open = taken.open.as_deref_mut().ok_or(target.missing())?;
        let _inside = Documents::enter();
        match open.document.edit(&EditContext { fresh, ..self.edit_context(now) }, &self.limits, edit) {
            Ok(edited) => {
                open.since_snapshot += edited.changes.len();
                Ok((edited.value, edited.changes))
            }
            Err(error) => {
                // An entity that this edit would have created does not exist now.
                if open.document.change_count() == 0 {
                    taken.open = None;
                }
                Err(EditFailure::Document(error))
            }
        }
    }

    /// Stores writes in one transaction, then tells those who watch. On failure memory is thrown away (invariant D10).
    pub(super) fn append(&self, taken: &mut [Taken<'_>], writes: &[PendingWrite], now: Now) -> Result<(), AppendError> {
        let changes: Vec<Vec<NewChange<'_>>> = writes.iter().map(PendingWrite::new_changes).collect();
        let rows: Vec<_> = writes.iter().zip(&changes).map(|(write, changes)| write.row(changes)).collect();
        let mut store = lock(&self.store);
        let appended = if self.documents.are_current(&*taken) {
            store.append(&rows, now.wall_ms).map(drop)
        } else {
            Err(outdated(&store, writes))
        };
        if appended.is_ok() {
            look_for_conflicts(&store, taken);
        }
        drop(store);
        if let Err(error) = appended {
            taken.iter_mut().for_each(|one| one.open = None);
            return Err(error);
        }
        // Whoever is told may read at once, on this thread, which has the documents.
        let _inside = Documents::enter();
        // An edit can end what was in conflict, and never begins a conflict; what others had written may bring some.
        let joined = writes.iter().filter(|write| write.arrival == Arrival::Joined).map(|write| write.entity).collect();
        self.store_conflicts(taken, &joined);
        for open in taken.iter().filter_map(|one| one.open.as_deref()) {
            self.note_growth(open);
        }
        for write in writes {
            self.note_edit(write.space);
            self.observers.changed(write.space, &write.collection, write.entity);
        }
        Ok(())
    }
}

/// What is about to be stored of one entity.
pub(super) struct PendingWrite {
    space: SpaceId,
    entity: EntityId,
    collection: Collection,
    changes: Vec<LocalChange>,
    /// `None` leaves what is stored stale.
    projection: Option<Projection>,
    arrival: Arrival,
}

impl PendingWrite {
    pub(super) fn of(entity: EntityId, open: &mut OpenEntity, changes: Vec<LocalChange>, arrival: Arrival) -> Self {
        let (space, collection, projection) = (open.space, open.collection.clone(), project_unless_large(open));
        Self { space, entity, collection, changes, projection, arrival }
    }

    /// The document of an entity of which these are all changes.
    fn open(&self) -> Result<OpenEntity, EntityError> {
        let incoming = self.changes.iter().map(|change| Incoming { hash: change.hash, bytes: &change.bytes });
        let damaged = |source| EntityError::Damaged { entity: self.entity, source };
        Ok(OpenEntity {
            document: Document::load(self.entity, None, incoming).map_err(damaged)?,
            space: self.space,
            collection: self.collection.clone(),
            since_snapshot: self.changes.len(),
            projected: None,
            conflicts: KnownConflicts::default(),
            settled: Settled::default(),
        })
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = (EntityId, ChangeHash)> {
        self.changes.iter().map(|change| (self.entity, change.hash))
    }

    fn new_changes(&self) -> Vec<NewChange<'_>> {
        self.changes.iter().map(|change| new_change(change, self.arrival)).collect()
    }

    fn row<'w>(&'w self, changes: &'w [NewChange<'w>]) -> EntityWrite<'w> {
        EntityWrite {
            space: self.space,
            entity: self.entity,
            collection: &self.collection,
            changes,
            projection: self.projection.as_ref(),
        }
    }
}

/// Why documents may not be stored that were let go of since they were opened: one of them was purged, by whoever did so and where, or
/// all were read anew.
fn outdated(store: &Store, writes: &[PendingWrite]) -> AppendError {
    for PendingWrite { space, entity, .. } in writes {
        match store.erasure(*space, *entity) {
            Ok(Some(_)) => return AppendError::Purged { entity: *entity },
            Ok(None) => {}
            Err(error) => return error.into(),
        }
    }
    StoreError::Reloaded.into()
}

/// Learns of entities that were opened whether anybody has to decide anything about them.
fn look_for_conflicts(store: &Store, taken: &mut [Taken<'_>]) {
    let opened = taken.iter_mut().filter_map(|one| one.open.as_deref_mut());
    for open in opened.filter(|open| matches!(open.conflicts, KnownConflicts::Unknown)) {
        match store.may_have_conflicts(open.document.entity()) {
            Ok(true) => open.conflicts = KnownConflicts::Some,
            // An edit begins none.
            Ok(false) => open.conflicts = KnownConflicts::NoneAt(open.document.heads()),
            Err(error) => tracing::debug!(%error, "whether an edit has ended a conflict is not known"),
        }
    }
}

fn new_change(change: &LocalChange, arrival: Arrival) -> NewChange<'_> {
    NewChange { hash: change.hash, bytes: &change.bytes, arrival }
}

/// Edits of several entities that are stored together or not at all.
pub(crate) struct TransactionScope<'d> {
    driver: &'d Driver,
    now: Now,
    open: BTreeMap<EntityId, (Taken<'d>, Vec<LocalChange>)>,
    /// Those into which changes came whose authors may not have known all that the document held.
    joined: BTreeSet<EntityId>,
    /// Those that came whole, of which nothing was here; they are not opened.
    brought: BTreeMap<EntityId, (Taken<'d>, PendingWrite)>,
    _inside: Inside,
    _many: MutexGuard<'d, ()>,
}

impl<'d> TransactionScope<'d> {
    /// Edits one entity in memory.
    pub(crate) fn edit<T, E>(
        &mut self,
        target: &Target,
        edit: impl FnOnce(&mut Edit<'_>) -> Result<T, E>,
    ) -> Result<T, EditFailure<E>> {
        let (driver, now) = (self.driver, self.now);
        let (taken, changes) = self.touch(target)?;
        let (value, made) = driver.change(taken, target, now, edit)?;
        changes.extend(made);
        Ok(value)
    }

    /// Puts a document in the place of an entity's where it holds all that the entity's does; `changes` are all of its
    /// changes, in causal order, and those that are new are stored. Says whether it does.
    pub(crate) fn extend(
        &mut self,
        target: &Target,
        document: Document,
        changes: Vec<LocalChange>,
    ) -> Result<bool, EntityError> {
        let (taken, made) = self.touch(target)?;
        let open = taken.open.as_deref_mut().ok_or(target.missing())?;
        if !open.document.heads().iter().all(|head| document.has(head)) {
            return Ok(false);
        }
        let before = std::mem::replace(&mut open.document, document);
        let stored = made.len();
        made.extend(changes.into_iter().filter(|change| !before.has(&change.hash)));
        open.since_snapshot += made.len() - stored;
        self.joined.insert(target.entity);
        Ok(true)
    }

    /// Stores an entity of which nothing is here as changes that nobody else can have other ones of, without opening it;
    /// `make` gives them with what they read as. Says whether it did, which it does not where something is here.
    pub(crate) fn bring(
        &mut self,
        target: &Target,
        make: impl FnOnce() -> Option<(Vec<LocalChange>, Projection)>,
    ) -> Result<bool, EntityError> {
        if self.open.contains_key(&target.entity) || self.brought.contains_key(&target.entity) {
            return Ok(false);
        }
        let taken = self.driver.load(self.driver.documents.wait_for(target.entity), self.now)?;
        if taken.open.is_none() {
            if lock(&self.driver.store).erasure(target.space, target.entity)?.is_some() {
                return Err(EntityError::Purged { entity: target.entity });
            }
            if let Some((changes, projection)) = make() {
                let (space, entity, collection) = (target.space, target.entity, target.collection.clone());
                let (projection, arrival) = (Some(projection), Arrival::Applied);
                let write = PendingWrite { space, entity, collection, changes, projection, arrival };
                self.brought.insert(entity, (taken, write));
                return Ok(true);
            }
        }
        self.open.insert(target.entity, (taken, Vec::new()));
        Ok(false)
    }

    /// Reads one entity, with what this transaction has made of it; until the end it stays as it was read.
    pub(crate) fn read<T>(&mut self, target: &Target, read: impl FnOnce(&Document) -> T) -> Result<T, EntityError> {
        let (taken, _) = self.touch(target)?;
        let open = taken.open.as_deref().ok_or(target.missing())?;
        Ok(read(&open.document))
    }

    /// Takes an entity out for the rest of the transaction, and checks at every touch that it is the one that is meant.
    fn touch(&mut self, target: &Target) -> Result<&mut (Taken<'d>, Vec<LocalChange>), EntityError> {
        if let Some((mut taken, write)) = self.brought.remove(&target.entity) {
            taken.open = Some(Box::new(write.open()?));
            self.open.insert(target.entity, (taken, write.changes));
        }
        let touched = self.open.get(&target.entity).map(|(taken, _)| taken.open.as_deref());
        if let Some(Some(open)) = touched {
            target.check(open)?;
        } else {
            // What an earlier edit failed to create is looked for anew, as if that had never been tried.
            let touched = self.open.remove(&target.entity).map(|(taken, _)| taken);
            let taken = touched.unwrap_or_else(|| self.driver.documents.wait_for(target.entity));
            let taken = self.driver.open(taken, target, self.now)?;
            self.open.insert(target.entity, (taken, Vec::new()));
        }
        self.open.get_mut(&target.entity).ok_or(target.missing())
    }

    /// Stores everything in one transaction.
    pub(crate) fn commit<E>(mut self) -> Result<Vec<(EntityId, ChangeHash)>, EditFailure<E>> {
        let joined = std::mem::take(&mut self.joined);
        let (mut taken, changes): (Vec<_>, Vec<_>) = std::mem::take(&mut self.open).into_values().unzip();
        let mut writes: Vec<_> = taken
            .iter_mut()
            .zip(changes)
            .filter(|(_, changes)| !changes.is_empty())
            .filter_map(|(taken, changes)| {
                let entity = taken.entity();
                let arrival = if joined.contains(&entity) { Arrival::Joined } else { Arrival::Applied };
                Some(PendingWrite::of(entity, taken.open.as_deref_mut()?, changes, arrival))
            })
            .collect();
        for (one, write) in std::mem::take(&mut self.brought).into_values() {
            taken.push(one);
            writes.push(write);
        }
        if !writes.is_empty() {
            self.driver.append(&mut taken, &writes, self.now)?;
            self.driver.ask_strategies(joined);
        }
        drop(taken);
        let (driver, now) = (self.driver, self.now);
        // What the strategies decide is no part of the transaction, and needs the documents that it has.
        drop(self);
        driver.settle_by_strategy(now);
        Ok(writes.iter().flat_map(PendingWrite::ids).collect())
    }
}

impl Drop for TransactionScope<'_> {
    fn drop(&mut self) {
        // What was edited and not stored exists in memory only: it is thrown away.
        for (taken, changes) in self.open.values_mut() {
            if !changes.is_empty() || taken.open.as_deref().is_some_and(|open| open.document.change_count() == 0) {
                taken.open = None;
            }
        }
    }
}
