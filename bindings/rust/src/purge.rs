//! Purging: taking something away for good, here, on the relay, and on every device.

use crate::collection::Collection;
use crate::driver::{Driver, EntityError};
use crate::error::counted;
use crate::replica::Shared;
use crate::space::Space;
use afield_core::wire::Class;
use afield_core::{Collection as CollectionName, EntityId, ErasureReason, SpaceId};
use afield_store::{DeletedBefore, EntityHome, StoreError};
use std::collections::BTreeSet;
use std::time::Duration;

/// Whether somebody has confirmed that what is purged is to be gone for good.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// # let notes = home.collection::<()>("notes")?.json();
/// use afield::{Confirm, PurgeError};
///
/// let id = notes.insert(&serde_json::json!({}))?;
/// let notes = home.collection::<()>("notes")?;
/// assert!(matches!(notes.purge(id, Confirm::Ask), Err(PurgeError::Unconfirmed { .. }))); // what would go; nothing has
/// assert_eq!(notes.purge(id, Confirm::Yes)?.entities, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Confirm {
    /// Nobody has: nothing is purged, and [`PurgeError::Unconfirmed`] says what would be.
    Ask,
    /// Somebody has.
    Yes,
}

/// What is purged.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// # let notes = home.collection::<()>("notes")?.json();
/// use afield::Confirm;
///
/// let id = notes.insert(&serde_json::json!({}))?;
/// let purged = home.collection::<()>("notes")?.purge(id, Confirm::Yes)?;
/// assert_eq!((purged.entities, purged.changes, purged.unsent), (1, 1, 1)); // no relay had it
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Purged {
    /// Entities, without those that had been purged before.
    pub entities: u64,
    /// Their changes.
    pub changes: u64,
    /// Those of them that no relay was known to hold.
    pub unsent: u64,
    /// Entities that stay in the trash because they are not this device's to purge: it may only read the space, or their collection only
    /// comes in. Only where the trash is emptied: an entity that was named is refused.
    pub skipped: u64,
}

/// Nothing was purged.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// # let notes = home.collection::<()>("notes")?.json();
/// use afield::{Confirm, PurgeError};
///
/// let id = notes.insert(&serde_json::json!({}))?;
/// let asked = home.collection::<()>("notes")?.purge(id, Confirm::Ask);
/// let Err(PurgeError::Unconfirmed { extent, .. }) = asked else { panic!("nobody has confirmed it") };
/// assert_eq!((extent.entities, extent.changes), (1, 1)); // for the question that a person is asked
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PurgeError {
    /// Nobody has confirmed it.
    #[error(
        "this would delete {} of {} for good: on this device now, on the relay and on every device of space {space} with the next sync; nothing brings {} back. Confirm it to do so", counted::count(.extent.changes, "change", "changes"), counted::count(.extent.entities, "entity", "entities"), counted::by(.extent.changes, "it", "them")
    )]
    Unconfirmed {
        /// The space.
        space: SpaceId,
        /// What would be purged.
        extent: Purged,
    },
    /// An entity is not what it was taken for.
    #[error(transparent)]
    Entity(#[from] EntityError),
    /// It was to be done inside an edit or a transaction, for which sync may be waiting.
    #[error("nothing can be purged inside an edit or a transaction; purge it after that")]
    Nested,
    /// This device may only read the space: the relay would not take the purge from it, and others would keep what was gone here.
    #[error(
        "this device may only read the space {space}, so others would keep what was purged here; ask somebody who may write to it to purge it"
    )]
    ReadOnly {
        /// The space.
        space: SpaceId,
    },
    /// The collection only comes in: nobody would be told of the purge, and others would keep what was gone here.
    #[error(
        "{collection} of the space {space} only come in here, so others would keep what was purged here; purge on a device that sends them, or let them go both ways"
    )]
    OnlyComesIn {
        /// The space.
        space: SpaceId,
        /// The collection.
        collection: CollectionName,
    },
    /// The store could not be read or written.
    #[error("the store could not be read or written")]
    Store(#[source] afield_store::PurgeError),
}

impl PurgeError {
    /// What would help.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let home = afield::Replica::open_in_memory()?.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// use afield::{Class, Confirm};
    ///
    /// let id = notes.insert(&serde_json::json!({ "title": "a secret" }))?;
    /// let error = home.purge([id], Confirm::Ask).unwrap_err();
    /// assert_eq!(error.class(), Class::Permanent, "asking again does not help: somebody has to confirm it");
    /// # Ok(())
    /// # }
    /// ```
    pub fn class(&self) -> Class {
        match self {
            Self::Unconfirmed { .. } | Self::Nested | Self::ReadOnly { .. } | Self::OnlyComesIn { .. } => {
                Class::Permanent
            }
            Self::Entity(error) => error.class(),
            Self::Store(error) => error.class(),
        }
    }

    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let home = afield::Replica::open_in_memory()?.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// use afield::{Confirm, EntityId};
    ///
    /// let id = notes.insert(&serde_json::json!({ "title": "a secret" }))?;
    /// assert_eq!(home.purge([id], Confirm::Ask).unwrap_err().code(), "purge.unconfirmed");
    /// let nobody = EntityId::from_bytes([7; 16]);
    /// assert_eq!(home.purge([nobody], Confirm::Yes).unwrap_err().code(), "entity.missing");
    /// # Ok(())
    /// # }
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unconfirmed { .. } => "purge.unconfirmed",
            Self::Nested => "purge.nested",
            Self::ReadOnly { .. } => "purge.read_only",
            Self::OnlyComesIn { .. } => "purge.only_comes_in",
            Self::Entity(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }
}

impl From<afield_store::PurgeError> for PurgeError {
    fn from(error: afield_store::PurgeError) -> Self {
        match error {
            afield_store::PurgeError::ReadOnly { space } => Self::ReadOnly { space },
            afield_store::PurgeError::OnlyComesIn { space, collection } => Self::OnlyComesIn { space, collection },
            error => Self::Store(error),
        }
    }
}

impl From<StoreError> for PurgeError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.into())
    }
}

impl<T> Collection<T> {
    /// Purges an entity: unlike [`Collection::delete`] this takes it away for good, with its whole history, from this device at once, and
    /// from the relay and all other devices with the next sync. What others write in it meanwhile goes, too.
    ///
    /// Copies outside of sync, such as a backup or an export made before, are not reached. One that is restored loses the entity again
    /// with its next sync.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use afield::{Confirm, PurgeError, Replica};
    ///
    /// let replica = Replica::open_in_memory()?;
    /// let notes = replica.create_space("Home")?.collection::<()>("notes")?;
    /// let id = notes.json().insert(&serde_json::json!({"title": "a secret"}))?;
    ///
    /// let Err(PurgeError::Unconfirmed { extent, .. }) = notes.purge(id, Confirm::Ask) else { panic!() };
    /// assert_eq!((extent.entities, extent.changes), (1, 1));
    /// notes.purge(id, Confirm::Yes)?;
    /// assert_eq!(notes.json().read(id).unwrap_err().code(), "entity.purged");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`PurgeError::Unconfirmed`] says what would be purged; the entity is not in the collection, or others have it and this device may
    /// only read the space or the collection [only comes in](Space::set_direction); or the store failed.
    pub fn purge(&self, id: EntityId, confirm: Confirm) -> Result<Purged, PurgeError> {
        let home = self.shared.driver.with_store(|store| store.home(id))?;
        match home {
            Some(home) if home.space == self.space() && home.collection.as_str() != self.name() => {
                let expected = self.target(id, crate::driver::Existence::Required).collection;
                Err(EntityError::OtherCollection { entity: id, expected, found: home.collection }.into())
            }
            _ => purge(&self.shared, self.space(), &[id], (ErasureReason::ASKED, confirm)),
        }
    }

    /// Purges what was deleted in the collection, as [`Space::purge_deleted`] does in the space.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&serde_json::json!({ "title": "Milk" }))?;
    /// use afield::Confirm;
    /// use std::time::Duration;
    ///
    /// notes.delete(id)?;
    /// let todos = home.collection::<()>("todos")?;
    /// assert_eq!(todos.purge_deleted(Duration::ZERO, Confirm::Yes)?.entities, 0);
    /// assert_eq!(notes.purge_deleted(Duration::ZERO, Confirm::Yes)?.entities, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Space::purge_deleted`].
    pub fn purge_deleted(&self, older_than: Duration, confirm: Confirm) -> Result<Purged, PurgeError> {
        let DeletedBefore { entities, skipped } = expired(&self.shared, self.space(), older_than)?;
        let of_collection = |ids: Vec<EntityId>| {
            let home = |id| Ok::<_, StoreError>((id, self.shared.reader.home(id)?));
            let homes = ids.into_iter().map(home).collect::<Result<Vec<_>, _>>()?;
            let is_here = |home: &EntityHome| home.collection.as_str() == self.name();
            let here = homes.into_iter().filter(|(_, home)| home.as_ref().is_some_and(is_here));
            Ok::<Vec<_>, StoreError>(here.map(|(id, _)| id).collect())
        };
        let deleted = DeletedBefore { entities: of_collection(entities)?, skipped: of_collection(skipped)? };
        purge_deleted(&self.shared, self.space(), deleted, confirm)
    }
}

impl Space {
    /// Purges entities as [`Collection::purge`] does, all or none.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk" }))?;
    /// use afield::{Confirm, PurgeError};
    ///
    /// let Err(PurgeError::Unconfirmed { extent, .. }) = home.purge([id], Confirm::Ask) else { panic!() };
    /// assert_eq!(extent.entities, 1);
    /// home.purge([id], Confirm::Yes)?;
    /// assert!(notes.ids()?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`PurgeError::Unconfirmed`] says what would be purged; one of them is not in the space, or others have it and this device may
    /// only read the space or the collection [only comes in](Space::set_direction); or the store failed.
    pub fn purge(&self, ids: impl IntoIterator<Item = EntityId>, confirm: Confirm) -> Result<Purged, PurgeError> {
        let ids: BTreeSet<_> = ids.into_iter().collect();
        let ids: Vec<_> = ids.into_iter().collect();
        purge(&self.shared, self.id(), &ids, (ErasureReason::ASKED, confirm))
    }

    /// Purges what was [deleted](Collection::delete) and to which nothing has happened for so long since, by the clocks of those who wrote
    /// it; everything in the trash where that is zero. What is not this device's to purge is passed over ([`Purged::skipped`]).
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk" }))?;
    /// use std::time::Duration;
    ///
    /// notes.delete(id)?;
    /// assert_eq!(home.purge_deleted(Duration::ZERO, afield::Confirm::Yes)?.entities, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`PurgeError::Unconfirmed`] says what would be purged; or the store failed.
    pub fn purge_deleted(&self, older_than: Duration, confirm: Confirm) -> Result<Purged, PurgeError> {
        let deleted = expired(&self.shared, self.id(), older_than)?;
        purge_deleted(&self.shared, self.id(), deleted, confirm)
    }

    /// What [`Space::purge_deleted`] purges.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk" }))?;
    /// use std::time::Duration;
    ///
    /// notes.delete(id)?;
    /// assert_eq!(home.expired_deleted(Duration::ZERO)?, [id]);
    /// assert!(home.expired_deleted(Duration::from_secs(3_600))?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn expired_deleted(&self, older_than: Duration) -> Result<Vec<EntityId>, EntityError> {
        Ok(expired(&self.shared, self.id(), older_than)?.entities)
    }

    /// Says for how long this device leaves what is deleted in the space in the trash; `None`, which is so at first, for ever. What was
    /// deleted for longer is purged, which is for good and for every device, whatever those have set: by
    /// [`Replica::maintain`](crate::Replica::maintain) and [`Replica::compact`](crate::Replica::compact), and never without one of these
    /// calls: once the device has known it as deleted for so long, from the first of them on, and unless somebody edited it beside its
    /// deletion and nobody has decided that ([`Space::conflicts`]). What a relay may have is purged with the next sync after that call,
    /// once everything is here: somebody else may have restored it meanwhile.
    ///
    /// So that no clock that jumps takes anything away, the time between two of these calls counts for no more than a day, and for no more
    /// than half of what is set here: a device that makes them less often keeps what is deleted for longer.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// let replica = afield::Replica::open_in_memory()?;
    /// let home = replica.create_space("Home")?;
    /// let notes = home.collection::<()>("notes")?;
    /// let id = notes.json().insert(&serde_json::json!({"title": "old"}))?;
    /// notes.delete(id)?;
    ///
    /// home.set_trash_retention(Some(Duration::ZERO))?;
    /// assert_eq!(replica.maintain()?.purged.entities, 1);
    /// assert!(notes.deleted()?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The space is not on this device, or the store failed.
    pub fn set_trash_retention(&self, keep: Option<Duration>) -> Result<(), PurgeError> {
        let keep_ms = keep.map(|keep| u64::try_from(keep.as_millis()).unwrap_or(u64::MAX));
        let _ = self.shared.driver.with_store(|store| store.set_trash_retention(self.id(), keep_ms))?;
        Ok(())
    }

    /// For how long what is deleted in the space is kept by this device; `None` for ever.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// assert_eq!(home.trash_retention()?, None, "for ever");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn trash_retention(&self) -> Result<Option<Duration>, StoreError> {
        Ok(self.shared.reader.trash_retention(self.id())?.map(Duration::from_millis))
    }
}

/// Purges what was deleted for longer than its space keeps anything. Answers what was purged, and how many entities wait for the relay's
/// word that everything is here, which is asked for where a session stands.
pub(crate) fn empty_trash(shared: &Shared) -> Result<(Purged, u64), PurgeError> {
    let (mut all, mut waiting) = (Purged::default(), 0);
    for record in shared.reader.spaces()? {
        let Some(keep_ms) = shared.reader.trash_retention(record.space)? else { continue };
        let expired = shared.driver.expired(record.space, keep_ms, shared.now())?;
        all.skipped += expired.skipped.len() as u64;
        waiting += expired.waiting.len() as u64;
        if expired.entities.is_empty() {
            continue;
        }
        if Driver::is_inside_an_edit() {
            return Err(PurgeError::Nested);
        }
        let done = shared.driver.purge_expired(record.space, &expired.entities, keep_ms, shared.now())?;
        shared.wake();
        let Purged { entities, changes, unsent, .. } = purged(done);
        (all.entities, all.changes, all.unsent) = (all.entities + entities, all.changes + changes, all.unsent + unsent);
    }
    if waiting > 0 && !Driver::is_inside_an_edit() {
        shared.driver.ask_for_trash(shared.now()).map_err(EntityError::from)?;
        shared.wake();
    }
    Ok((all, waiting))
}

/// The deleted entities of a space to which nothing has happened for so long.
fn expired(shared: &Shared, space: SpaceId, older_than: Duration) -> Result<DeletedBefore, EntityError> {
    let now = shared.now();
    shared.driver.project_deleted(space, now)?;
    Ok(shared.reader.deleted_before(space, before_ms(older_than, now.wall_ms))?)
}

fn purge_deleted(
    shared: &Shared,
    space: SpaceId,
    deleted: DeletedBefore,
    confirm: Confirm,
) -> Result<Purged, PurgeError> {
    let skipped = deleted.skipped.len() as u64;
    if deleted.entities.is_empty() && skipped > 0 {
        // There is nothing to confirm.
        return Ok(Purged { skipped, ..Purged::default() });
    }
    match purge(shared, space, &deleted.entities, (ErasureReason::TRASH, confirm)) {
        Ok(done) => Ok(Purged { skipped, ..done }),
        Err(PurgeError::Unconfirmed { space, extent }) => {
            Err(PurgeError::Unconfirmed { space, extent: Purged { skipped, ..extent } })
        }
        Err(error) => Err(error),
    }
}

fn before_ms(older_than: Duration, now_ms: i64) -> i64 {
    let older_ms = i64::try_from(older_than.as_millis()).unwrap_or(i64::MAX);
    // Nobody's clock is right to the millisecond: zero means all of them.
    if older_ms == 0 { i64::MAX } else { now_ms.saturating_sub(older_ms) }
}

fn purge(
    shared: &Shared,
    space: SpaceId,
    ids: &[EntityId],
    (reason, confirm): (ErasureReason, Confirm),
) -> Result<Purged, PurgeError> {
    if Driver::is_inside_an_edit() {
        return Err(PurgeError::Nested);
    }
    if confirm == Confirm::Ask {
        let extent = shared.driver.with_store(|store| {
            store.may_purge(space, ids)?;
            for id in ids {
                check(space, *id, store.home(*id)?.map(|home| home.space), store.erasure(space, *id)?.is_some())?;
            }
            Ok::<_, PurgeError>(purged(store.count_purged(ids)?))
        })?;
        return Err(PurgeError::Unconfirmed { space, extent });
    }
    let done = match shared.driver.purge(space, ids, reason, shared.now()) {
        Ok(done) => purged(done),
        Err(afield_store::PurgeError::UnknownEntity { entity }) => {
            return Err(EntityError::Missing { entity, space }.into());
        }
        Err(afield_store::PurgeError::OtherSpace { entity, space: found }) => {
            return Err(EntityError::OtherSpace { entity, expected: space, found }.into());
        }
        Err(error) => return Err(error.into()),
    };
    shared.wake();
    Ok(done)
}

/// Checks that an entity can be purged, or was.
fn check(space: SpaceId, entity: EntityId, home: Option<SpaceId>, is_purged: bool) -> Result<(), EntityError> {
    match home {
        Some(found) if found != space => Err(EntityError::OtherSpace { entity, expected: space, found }),
        None if !is_purged => Err(EntityError::Missing { entity, space }),
        _ => Ok(()),
    }
}

fn purged(of_store: afield_store::Purged) -> Purged {
    let afield_store::Purged { entities, changes, unsent } = of_store;
    Purged { entities, changes, unsent, skipped: 0 }
}
