//! Which way the changes of a collection go.

use crate::driver::Driver;
use crate::error::ReadError;
use crate::read_only::ReadOnlySpace;
use crate::replica::Shared;
use crate::space::Space;
use afield_core::id::ParseCollectionError;
use afield_core::policy::Direction;
use afield_core::wire::Class;
use afield_core::{Collection, SpaceId};
use afield_store::Reader;
use serde::Serialize;

/// Whose writes count where the changes of a collection do not go both ways.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use afield::{Direction, SourceOfTruth};
///
/// home.set_direction("prices", Direction::PullOnly)?;
/// assert_eq!(home.directions()?[0].source_of_truth, SourceOfTruth::Relay); // what is written here, nobody else sees
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SourceOfTruth {
    /// Everybody's: what devices write is merged.
    Everyone,
    /// This device's: what others write does not come here.
    ThisDevice,
    /// The relay's: what this device writes is seen here alone.
    Relay,
}

impl SourceOfTruth {
    /// Whose writes count under a direction: both ways everybody's, push only and local only this device's, pull only the relay's.
    ///
    /// ```
    /// use afield::{Direction, SourceOfTruth};
    ///
    /// assert_eq!(SourceOfTruth::of(Direction::PullOnly), SourceOfTruth::Relay);
    /// assert_eq!(SourceOfTruth::of(Direction::PushOnly), SourceOfTruth::ThisDevice);
    /// ```
    pub fn of(direction: Direction) -> Self {
        match direction {
            Direction::Both => Self::Everyone,
            Direction::PushOnly | Direction::LocalOnly => Self::ThisDevice,
            Direction::PullOnly => Self::Relay,
        }
    }
}

/// A collection with the direction of its changes.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use afield::Direction;
///
/// home.set_direction("drafts", Direction::LocalOnly)?;
/// let drafts = &home.directions()?[0];
/// assert_eq!((drafts.collection.as_str(), drafts.direction), ("drafts", Direction::LocalOnly));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CollectionDirection {
    /// The name of the collection.
    pub collection: String,
    /// Which way its changes go.
    pub direction: Direction,
    /// Whose writes count.
    pub source_of_truth: SourceOfTruth,
}

/// The direction of a collection could not be set.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use afield::{Direction, DirectionError};
///
/// let error = home.set_direction("my drafts", Direction::LocalOnly).unwrap_err();
/// assert!(matches!(error, DirectionError::Collection(_))); // no name of a collection has a space in it
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectionError {
    /// The name of the collection is not valid.
    #[error(transparent)]
    Collection(#[from] ParseCollectionError),
    /// It was to be set inside an edit or a transaction, for which sync may be waiting.
    #[error("a direction cannot be set inside an edit or a transaction; set it after that")]
    Nested,
    /// Too many collections take nothing from the relay, the space is not on this device, or the store failed.
    #[error(transparent)]
    Store(#[from] afield_store::DirectionError),
}

impl DirectionError {
    /// What would help.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// use afield::{Class, Direction};
    ///
    /// let set = || home.set_direction("prices", Direction::PullOnly);
    /// let (error, _) = replica.transaction(|_| Ok(set().unwrap_err()))?;
    /// assert_eq!(error.class(), Class::Permanent, "it is never done there: set it after the transaction");
    /// # Ok(())
    /// # }
    /// ```
    pub fn class(&self) -> Class {
        match self {
            Self::Collection(_) | Self::Nested => Class::Permanent,
            Self::Store(error) => error.class(),
        }
    }

    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let home = afield::Replica::open_in_memory()?.create_space("Home")?;
    /// use afield::Direction;
    ///
    /// let error = home.set_direction("my prices", Direction::PullOnly).unwrap_err();
    /// assert_eq!(error.code(), "direction.collection_name"); // no blanks
    /// # Ok(())
    /// # }
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Collection(_) => "direction.collection_name",
            Self::Nested => "direction.nested",
            Self::Store(error) => error.code(),
        }
    }
}

impl Space {
    /// Says which way the changes of a collection go on this device from now on, whether or not it has entities yet. It is remembered,
    /// holds for this device alone, and may be changed at any time, also while sync runs.
    ///
    /// - [`Direction::Both`], as at first: what devices write is merged.
    /// - [`Direction::PushOnly`]: what is written here goes out, and what others write is not asked for. This device is the source of
    ///   truth. Purges come all the same: they are final.
    /// - [`Direction::PullOnly`]: what others write comes here, and what is written here stays. The relay is the source of truth. What
    ///   is written here is stored and shown as ever, and counted as [`held_back`](crate::SpaceStatus::held_back). A relay that has
    ///   lost history is given back what came from it, and nothing that was held back.
    /// - [`Direction::LocalOnly`]: neither; nothing of it leaves the device, not even that it exists.
    ///
    /// Where changes may go again, what was held back is sent, and what was not asked for is fetched: both sides end equal, as if
    /// they had been offline for that long. What was handed to a session that runs may still go out when the direction is set.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// use afield::{Direction, SourceOfTruth};
    ///
    /// let home = replica.create_space("Home")?;
    /// home.set_direction("prices", Direction::PullOnly)?;
    /// assert_eq!(home.direction("prices")?, Direction::PullOnly);
    /// assert_eq!(home.directions()?[0].source_of_truth, SourceOfTruth::Relay);
    ///
    /// home.collection::<()>("prices")?.json().insert(&serde_json::json!({ "bread": 3 }))?;
    /// let status = replica.status()?;
    /// assert_eq!((status.pending_changes, status.spaces[0].held_back), (0, 1));
    ///
    /// home.set_direction("prices", Direction::Both)?;
    /// assert_eq!(replica.status()?.pending_changes, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The name is not valid, more than 256 collections would take nothing from the relay, it is inside an edit or a transaction, or the
    /// store failed.
    pub fn set_direction(&self, collection: &str, direction: Direction) -> Result<(), DirectionError> {
        if Driver::is_inside_an_edit() {
            return Err(DirectionError::Nested);
        }
        let Shared { driver, .. } = &*self.shared;
        driver.set_direction(self.id(), &collection.parse()?, direction, self.shared.now())?;
        self.shared.wake();
        Ok(())
    }

    /// Which way the changes of a collection go on this device.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// assert_eq!(home.direction("notes")?, afield::Direction::Both);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn direction(&self, collection: &str) -> Result<Direction, ReadError> {
        direction(&self.shared.reader, self.id(), collection)
    }

    /// The collections whose changes do not go both ways on this device, and whose writes count there, in the order of their names.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// home.set_direction("notes", afield::Direction::PullOnly)?;
    /// assert_eq!(home.directions()?.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn directions(&self) -> Result<Vec<CollectionDirection>, ReadError> {
        directions(&self.shared.reader, self.id())
    }
}

impl ReadOnlySpace {
    /// As [`Space::direction`].
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// use afield::{Direction, ReadOnlyReplica};
    ///
    /// home.set_direction("drafts", Direction::LocalOnly)?;
    /// let beside = ReadOnlyReplica::open(&path)?.spaces()?.remove(0);
    /// assert_eq!((beside.direction("drafts")?, beside.direction("notes")?), (Direction::LocalOnly, Direction::Both));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn direction(&self, collection: &str) -> Result<Direction, ReadError> {
        direction(&self.reader, self.id(), collection)
    }

    /// As [`Space::directions`].
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = afield::Replica::open(&path)?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?.json();
    /// use afield::{Direction, ReadOnlyReplica, SourceOfTruth};
    ///
    /// home.set_direction("drafts", Direction::LocalOnly)?;
    /// let beside = ReadOnlyReplica::open(&path)?.spaces()?.remove(0);
    /// let directions = beside.directions()?;
    /// assert_eq!((directions.len(), directions[0].collection.as_str()), (1, "drafts"));
    /// assert_eq!(directions[0].source_of_truth, SourceOfTruth::ThisDevice);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn directions(&self) -> Result<Vec<CollectionDirection>, ReadError> {
        directions(&self.reader, self.id())
    }
}

fn direction(reader: &Reader, space: SpaceId, collection: &str) -> Result<Direction, ReadError> {
    let found = reader.directions(space)?.into_iter().find(|(name, _)| name.as_str() == collection);
    Ok(found.map(|(_, direction)| direction).unwrap_or_default())
}

fn directions(reader: &Reader, space: SpaceId) -> Result<Vec<CollectionDirection>, ReadError> {
    let listed = |(collection, direction): (Collection, Direction)| CollectionDirection {
        collection: collection.as_str().to_owned(),
        direction,
        source_of_truth: SourceOfTruth::of(direction),
    };
    Ok(reader.directions(space)?.into_iter().map(listed).collect())
}
