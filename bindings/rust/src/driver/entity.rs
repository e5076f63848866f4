//! From the store into memory.

use super::Driver;
use super::conflicts::KnownConflicts;
use super::documents::{OpenEntity, Taken, lock};
use super::merge::Unsettled;
use super::strategies::Settled;
use afield_core::document::{Document, Incoming, LoadError};
use afield_core::wire::Class;
use afield_core::{EntityId, Now, SpaceId};
use afield_store::{ChangeState, LoadFrom, Snapshot, StoreError, StoredChange, StoredEntity};

/// How many changes come after a snapshot before the next is worth its cost: about 10 ms of loading.
const SNAPSHOT_CHANGES_MIN: usize = 1_000;

/// An entity could not be opened. All others can.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// # let notes = home.collection::<()>("notes")?.json();
/// use afield::{Confirm, EntityError, ReadError};
///
/// let id = notes.insert(&serde_json::json!({"title": "Milk"}))?;
/// home.collection::<()>("notes")?.purge(id, Confirm::Yes)?;
/// match notes.read(id) {
///     Err(ReadError::Entity(EntityError::Purged { entity })) => assert_eq!(entity, id), // and it never comes back
///     other => panic!("{other:?}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EntityError {
    /// No such entity is in the space.
    #[error("there is no entity {entity} in space {space}")]
    Missing {
        /// The entity.
        entity: EntityId,
        /// The space.
        space: SpaceId,
    },
    /// The entity is not on this device, and may exist all the same: the filter of the space leaves it out, or what it asks for
    /// has not been fetched yet.
    #[error(
        "entity {entity} is not on this device, whose filter of space {space} does not ask for it or has not been answered yet; `fetch` brings it, where it exists"
    )]
    NotHere {
        /// The entity.
        entity: EntityId,
        /// The space.
        space: SpaceId,
    },
    /// The entity lives in another space of this device; an identity names one entity, wherever it lives.
    #[error("entity {entity} lives in space {found}, not {expected}")]
    OtherSpace {
        /// The entity.
        entity: EntityId,
        /// The space it was looked for in.
        expected: SpaceId,
        /// The space it lives in.
        found: SpaceId,
    },
    /// The entity belongs to another collection.
    #[error("entity {entity} belongs to collection {found}, not {expected}")]
    OtherCollection {
        /// The entity.
        entity: EntityId,
        /// The collection it was looked for in.
        expected: afield_core::Collection,
        /// The collection it is in.
        found: afield_core::Collection,
    },
    /// Of this entity only changes have arrived that wait for others, or that are quarantined.
    #[error(
        "nothing of entity {entity} can be shown yet: what has arrived waits for other changes or is quarantined, as `status` tells; nothing is lost"
    )]
    NotYet {
        /// The entity.
        entity: EntityId,
    },
    /// The entity was purged, by this device or another.
    #[error("entity {entity} was purged for good, here and everywhere; make a new one")]
    Purged {
        /// The entity.
        entity: EntityId,
    },
    /// A closure of an edit or a transaction edits an entity that somebody has, perhaps the closure's own caller.
    #[error(
        "entity {entity} is being edited, and this thread is inside another edit, so waiting for it could last for ever; edit it before or after, or both in one transaction"
    )]
    Busy {
        /// The entity.
        entity: EntityId,
    },
    /// A transaction was started inside an edit or a transaction.
    #[error("a transaction cannot start inside an edit or another transaction; use the one that runs")]
    Nested,
    /// The stored changes of this entity are damaged. Nothing was deleted.
    #[error(
        "the stored changes of entity {entity} are damaged; nothing was deleted, and other entities are not affected"
    )]
    Damaged {
        /// The entity.
        entity: EntityId,
        /// What was found.
        #[source]
        source: LoadError,
    },
    /// The store could not be read.
    #[error("the store could not be read")]
    Store(#[from] StoreError),
    /// What had been received before could not be merged.
    #[error("what had been received before could not be stored")]
    Driver(#[source] Box<super::DriverError>),
}

impl From<super::DriverError> for EntityError {
    fn from(error: super::DriverError) -> Self {
        match error {
            super::DriverError::Store(error) => Self::Store(error),
            error => Self::Driver(Box::new(error)),
        }
    }
}

impl EntityError {
    /// What would help.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// let unknown = afield::EntityId::from_bytes([7; 16]);
    /// let error = home.collection::<()>("notes")?.entity(unknown).unwrap_err();
    /// assert_eq!(error.class(), afield::Class::Permanent);
    /// # Ok(())
    /// # }
    /// ```
    pub fn class(&self) -> Class {
        match self {
            Self::Busy { .. } | Self::NotYet { .. } | Self::NotHere { .. } => Class::Retry,
            Self::Missing { .. }
            | Self::OtherSpace { .. }
            | Self::OtherCollection { .. }
            | Self::Nested
            | Self::Purged { .. }
            | Self::Damaged { .. } => Class::Permanent,
            Self::Store(error) => error.class(),
            Self::Driver(error) => error.class(),
        }
    }

    /// Whether nothing but this entity is unusable, so that it can be passed over.
    pub(crate) fn is_of_this_entity_alone(&self) -> bool {
        match self {
            Self::Damaged { .. } | Self::NotYet { .. } => true,
            Self::Store(error) => error.is_damage(),
            _ => false,
        }
    }
}

impl Driver {
    /// Makes sure that a taken entity is in memory, unless the store does not know it.
    ///
    /// Changes that were received and not merged before the last end of the process are merged now. Where the store takes
    /// nothing, the entity is read as it was stored: reading goes on when writing does not.
    pub(super) fn load<'d>(&self, mut taken: Taken<'d>, now: Now) -> Result<Taken<'d>, EntityError> {
        if taken.open.is_some() {
            return Ok(taken);
        }
        let entity = taken.entity();
        let Some((open, changes)) = self.read(entity)? else { return Ok(taken) };
        taken.open = Some(Box::new(open));
        // What a guard holds back is looked at when more comes, or when somebody lets it through.
        let changes = if self.is_held_back(entity) { Vec::new() } else { changes };
        let mut unsettled = [Unsettled { taken, changes }];
        let settled = self.settle(&mut unsettled, now);
        let [Unsettled { mut taken, .. }] = unsettled;
        if let Err(error) = &settled {
            tracing::warn!(%entity, %error, "received changes wait: the store does not take what becomes of them");
        }
        // What a panic left of a document is read by nobody either, and one that was taken away is there all the same.
        if settled.is_err() || taken.open.as_ref().is_none_or(|open| open.document.is_poisoned()) {
            taken.open = self.read(entity)?.map(|(open, _)| Box::new(open));
        }
        Ok(taken)
    }

    /// Builds the document from what was applied; gives what was not beside it. `None` for an unknown entity.
    pub(super) fn read(&self, entity: EntityId) -> Result<Option<(OpenEntity, Vec<StoredChange>)>, EntityError> {
        let damaged = |source| EntityError::Damaged { entity, source };
        let Some(stored) = lock(&self.store).load(entity, LoadFrom::Snapshot)? else { return Ok(None) };
        let has_snapshot = stored.snapshot.is_some();
        let (mut open, unsettled) = match build(entity, stored) {
            Err(error) if has_snapshot => {
                // What it stands for is all there, or can be read out of an older one that covers it.
                tracing::warn!(%entity, %error, "the snapshot does not load: it is dropped, and every change is read");
                let dropped = lock(&self.store).drop_snapshot(entity).map(drop);
                dropped.unwrap_or_else(|error| tracing::warn!(%entity, %error, "the snapshot could not be dropped"));
                let Some(stored) = lock(&self.store).load(entity, LoadFrom::Changes)? else { return Ok(None) };
                build(entity, stored).map_err(damaged)?
            }
            built => built.map_err(damaged)?,
        };
        self.save_snapshot_when_due(&mut open);
        self.note_growth(&open);
        Ok(Some((open, unsettled)))
    }

    /// Saves a snapshot of what took long to open: opening then reads what came after it alone, also where nobody edits it.
    ///
    /// A quarter of all changes has to be new, so that the cost of all snapshots together stays in proportion to the
    /// number of changes. It is compacted later. Without one an entity opens more slowly and otherwise the same, so a failure is only logged; a
    /// store that refuses writes is not tried.
    fn save_snapshot_when_due(&self, open: &mut OpenEntity) {
        let changes = open.document.change_count();
        let is_due = open.since_snapshot >= SNAPSHOT_CHANGES_MIN && open.since_snapshot as u64 >= changes / 4;
        if !is_due || self.growth.is_resting() || lock(&self.store).is_poisoned() {
            return;
        }
        let entity = open.document.entity();
        let snapshot = Snapshot { heads: open.document.heads(), changes, bytes: open.document.save() };
        match lock(&self.store).save_snapshot(entity, &snapshot) {
            Ok(_) => {
                open.since_snapshot = 0;
                self.growth.note(entity);
            }
            Err(error) => {
                if let afield_store::EntityError::Store(error) = &error {
                    self.growth.rest_after(error);
                }
                tracing::warn!(%entity, %error, "the snapshot could not be saved");
            }
        }
    }
}

fn build(entity: EntityId, stored: StoredEntity) -> Result<(OpenEntity, Vec<StoredChange>), LoadError> {
    let StoredEntity { space, collection, snapshot, changes } = stored;
    let (applied, others): (Vec<_>, Vec<_>) =
        changes.into_iter().partition(|change| change.state == ChangeState::Applied);
    let unsettled = others.into_iter().filter(|change| change.state != ChangeState::Quarantined).collect();
    let since_snapshot = applied.len();
    let snapshot = snapshot.as_ref().map(|snapshot| snapshot.bytes.as_slice());
    let incoming = applied.iter().map(|change| Incoming { hash: change.hash, bytes: &change.bytes });
    let document = Document::load(entity, snapshot, incoming)?;
    Ok((
        OpenEntity {
            document,
            space,
            collection,
            since_snapshot,
            projected: None,
            conflicts: KnownConflicts::default(),
            settled: Settled::default(),
        },
        unsettled,
    ))
}

/// The document that a store holds, as far as it was applied.
pub(crate) fn document_of(entity: EntityId, stored: StoredEntity) -> Result<Document, LoadError> {
    Ok(build(entity, stored)?.0.document)
}
