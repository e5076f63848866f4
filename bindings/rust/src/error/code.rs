//! The names of errors, for programs: `area.what`, and never changed once released.

use super::{
    AutomergeFileError, ConnectError, EditError, FetchError, FilterError, LineProblem, ReadError, RefreshTokenError,
    ReplicaError, SpaceError, SyncError, TransferError,
};
use crate::driver::{DriverError, EditFailure, EntityError};
use crate::write::WaitError;
use afield_core::wire::Class;
use std::io;

impl ReplicaError {
    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// std::fs::write(&path, "a letter")?;
    /// let error = afield::Replica::open(&path).unwrap_err();
    /// assert_eq!(error.code(), "open.not_a_store");
    /// # Ok(())
    /// # }
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Open(error) => error.code(),
            Self::Driver(error) => error.code(),
        }
    }
}

impl DriverError {
    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    ///
    /// ```
    /// use afield::{DriverError, StoreError};
    ///
    /// // What a driver answers while its store refuses writes after a failure.
    /// let error = DriverError::from(StoreError::Poisoned);
    /// assert_eq!(error.code(), "store.poisoned");
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Receive(error) => error.code(),
            Self::Space(error) => error.code(),
            Self::Mark(error) => error.code(),
            Self::Entity(error) => error.code(),
            Self::Reload(error) => error.code(),
        }
    }
}

impl EntityError {
    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// let id = home.collection::<()>("notes")?.json().insert(&serde_json::json!({ "title": "Milk" }))?;
    /// let error = home.collection::<()>("tasks")?.entity(id).unwrap_err();
    /// assert_eq!(error.code(), "entity.other_collection");
    /// # Ok(())
    /// # }
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "entity.missing",
            Self::OtherSpace { .. } => "entity.other_space",
            Self::NotHere { .. } => "entity.not_here",
            Self::NotYet { .. } => "entity.not_yet",
            Self::Busy { .. } => "entity.busy",
            Self::Purged { .. } => "entity.purged",
            Self::Nested => "transaction.nested",
            Self::OtherCollection { .. } => "entity.other_collection",
            Self::Damaged { .. } => "entity.damaged",
            Self::Store(error) => error.code(),
            Self::Driver(error) => error.code(),
        }
    }
}

impl<E> EditFailure<E> {
    /// A name that stays the same from version to version; that of the cause where this only passes it on.
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
    /// let target = Target { space, collection: "notes".parse()?, entity, existence: Existence::Required };
    /// let failure = driver.edit(&target, now, |edit| edit.put("title", "Milk")).unwrap_err();
    /// assert_eq!(failure.code(), "entity.missing");
    /// # Ok(())
    /// # }
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Entity(error) => error.code(),
            Self::Document(_) => "edit.refused",
            Self::Store(error) => error.code(),
        }
    }
}

impl ReadError {
    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    ///
    /// ```
    /// # use afield::{Replica, model};
    /// # use serde_json::json;
    /// # #[model]
    /// # #[derive(Debug)]
    /// # struct Note { title: String }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = Replica::open_in_memory()?.create_space("Home")?.collection::<Note>("notes")?;
    /// let id = notes.json().insert(&json!({ "title": 5 }))?;
    /// let error = notes.read(id).unwrap_err();
    /// assert_eq!(error.code(), "read.shape");
    /// # Ok(())
    /// # }
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Entity(error) => error.code(),
            Self::Shape { .. } => "read.shape",
            Self::Path { .. } => "read.path",
            Self::Point { .. } => "history.point",
            Self::Store(error) => error.code(),
        }
    }
}

impl EditError {
    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&serde_json::json!({}))?;
    /// # let note = notes.entity(id)?;
    /// let error = note.text("body").splice(7, 0, "milk").unwrap_err(); // beyond the end
    /// assert_eq!(error.code(), "edit.operation");
    /// # Ok(())
    /// # }
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Entity(error) => error.code(),
            Self::Operation(_) => "edit.operation",
            Self::Refused(_) => "edit.refused",
            Self::Shape(_) => "read.shape",
            Self::Value(_) => "edit.value",
            Self::NotAnObject { .. } => "edit.not_an_object",
            Self::Json(_) => "edit.json",
            Self::Lens(_) => "edit.lens",
            Self::Point { .. } => "history.point",
            Self::Unconfirmed { .. } => "edit.unconfirmed",
            Self::Aborted(_) => "edit.aborted",
            Self::Store(error) => error.code(),
        }
    }
}

impl SpaceError {
    /// What would help.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// use afield::{Class, SpaceId};
    ///
    /// let error = replica.space(SpaceId::from_bytes([7; 16])).unwrap_err();
    /// assert_eq!(error.class(), Class::Permanent); // until it is joined
    /// # Ok(())
    /// # }
    /// ```
    pub fn class(&self) -> Class {
        match self {
            Self::Unknown(_) | Self::Unsent { .. } | Self::OnlyCopy { .. } | Self::Collection(_) | Self::Nested => {
                Class::Permanent
            }
            Self::Field(error) => error.class(),
            Self::Store(error) => error.class(),
        }
    }

    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// home.collection::<()>("notes")?.json().insert(&serde_json::json!({ "title": "never synced" }))?;
    /// let error = replica.leave_space(home.id()).unwrap_err();
    /// assert_eq!(error.code(), "space.unsent");
    /// # Ok(())
    /// # }
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "space.unknown",
            Self::Unsent { .. } => "space.unsent",
            Self::OnlyCopy { .. } => "space.only_copy",
            Self::Collection(_) => "space.collection_name",
            Self::Nested => "space.nested",
            Self::Field(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }
}

impl FetchError {
    /// What would help.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let photo = afield::EntityId::from_bytes([7; 16]);
    /// let error = home.fetch([photo]).await.unwrap_err();
    /// assert_eq!(error.class(), afield::Class::Permanent); // sync is off: connect first
    /// # Ok(())
    /// # }
    /// ```
    pub fn class(&self) -> Class {
        match self {
            Self::Filter(error) => error.class(),
            Self::Sync(error) => error.class(),
        }
    }

    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let photo = afield::EntityId::from_bytes([7; 16]);
    /// let error = home.fetch([photo]).await.unwrap_err();
    /// assert_eq!(error.code(), "sync.disabled");
    /// # Ok(())
    /// # }
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Filter(error) => error.code(),
            Self::Sync(error) => error.code(),
        }
    }
}

impl FilterError {
    /// What would help.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// use afield::{Class, Filter};
    ///
    /// let error = home.set_filter(Filter::collections(["my notes"])).unwrap_err(); // no name has a space
    /// assert_eq!(error.class(), Class::Permanent);
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
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// use afield::Filter;
    ///
    /// let error = home.set_filter(Filter::collections(["my notes"])).unwrap_err(); // no name has a space
    /// assert_eq!(error.code(), "filter.collection_name");
    /// # Ok(())
    /// # }
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Collection(_) => "filter.collection_name",
            Self::Nested => "filter.nested",
            Self::Store(error) => error.code(),
        }
    }
}

impl ConnectError {
    /// What would help.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// use afield::{Class, Relay};
    ///
    /// let error = replica.connect(Relay::new("relay.example.org")).unwrap_err(); // neither `wss://` nor `ws://`
    /// assert_eq!(error.class(), Class::Permanent);
    /// # Ok(())
    /// # }
    /// ```
    pub fn class(&self) -> Class {
        match self {
            Self::Address(_) | Self::Token(_) => Class::Permanent,
            Self::Thread(_) => Class::Retry,
        }
    }

    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// let relay = afield::Relay::new("wss://relay.example.org").token("two words");
    /// assert_eq!(replica.connect(relay).unwrap_err().code(), "connect.token");
    /// # Ok(())
    /// # }
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Address(_) => "connect.address",
            Self::Token(_) => "connect.token",
            Self::Thread(_) => "connect.thread",
        }
    }
}

impl RefreshTokenError {
    /// What would help.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// let error = replica.refresh_token("afield_fresher").unwrap_err(); // sync is off
    /// assert_eq!(error.class(), afield::Class::Permanent);
    /// # Ok(())
    /// # }
    /// ```
    pub fn class(&self) -> Class {
        Class::Permanent
    }

    /// A name that stays the same from version to version.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// assert_eq!(replica.refresh_token("two words").unwrap_err().code(), "refresh.token");
    /// # Ok(())
    /// # }
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Off => "refresh.off",
            Self::Token(_) => "refresh.token",
        }
    }
}

impl SyncError {
    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// let error = replica.sync_now().await.unwrap_err();
    /// assert_eq!(error.code(), "sync.disabled");
    /// # Ok(())
    /// # }
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Disabled => "sync.disabled",
            Self::Failed { .. } => "sync.failed",
            Self::Refused { .. } => "sync.refused",
            Self::Held { .. } => "sync.held",
            Self::Closed => "sync.closed",
        }
    }
}

impl AutomergeFileError {
    /// What would help.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// let error = notes.import_automerge(b"a letter").unwrap_err();
    /// assert_eq!(error.class(), afield::Class::Permanent);
    /// # Ok(())
    /// # }
    /// ```
    pub fn class(&self) -> Class {
        match self {
            Self::NotADocument | Self::Empty | Self::Change { .. } => Class::Permanent,
            Self::Edit(error) => error.class(),
        }
    }

    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// let nothing = afield::automerge::AutoCommit::new().save();
    /// let error = notes.import_automerge(&nothing).unwrap_err();
    /// assert_eq!(error.code(), "automerge.empty");
    /// # Ok(())
    /// # }
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotADocument => "automerge.document",
            Self::Empty => "automerge.empty",
            Self::Change { .. } => "automerge.change",
            Self::Edit(error) => error.code(),
        }
    }
}

impl TransferError {
    /// What would help.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// let error = home.import("a letter".as_bytes(), |_| ()).unwrap_err();
    /// assert_eq!(error.class(), afield::Class::Permanent);
    /// # Ok(())
    /// # }
    /// ```
    pub fn class(&self) -> Class {
        match self {
            Self::Io(error) if error.kind() == io::ErrorKind::StorageFull => Class::Quota,
            Self::Io(_) | Self::Incomplete { .. } => Class::Permanent,
            Self::Line { problem, .. } => problem.class(),
            Self::Read(error) => error.class(),
            Self::Edit { source, .. } => source.class(),
            Self::Store(error) => error.class(),
        }
    }

    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// home.collection::<()>("notes")?.json().insert(&serde_json::json!({ "title": "Milk" }))?;
    /// let mut room = [0; 16]; // no entity has room in it
    /// let error = home.export(&mut room[..], |_| ()).unwrap_err();
    /// assert_eq!(error.code(), "transfer.io");
    /// # Ok(())
    /// # }
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io(_) => "transfer.io",
            Self::Line { problem, .. } => problem.code(),
            Self::Incomplete { .. } => "transfer.incomplete",
            Self::Read(error) => error.code(),
            Self::Edit { source, .. } => source.code(),
            Self::Store(error) => error.code(),
        }
    }
}

impl LineProblem {
    /// What would help: nothing but another line.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// use afield::{Class, TransferError};
    ///
    /// let Err(TransferError::Line { line, problem }) = home.import("a letter".as_bytes(), |_| ()) else { panic!() };
    /// assert_eq!((line, problem.class()), (1, Class::Permanent));
    /// # Ok(())
    /// # }
    /// ```
    pub fn class(&self) -> Class {
        Class::Permanent
    }

    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// use afield::TransferError;
    ///
    /// let file = r#"{"collection":"notes","id":"7","value":{"title":"Milk"}}"#;
    /// let Err(TransferError::Line { problem, .. }) = home.import(file.as_bytes(), |_| ()) else { panic!() };
    /// assert_eq!(problem.code(), "line.id");
    /// # Ok(())
    /// # }
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Json { .. } => "line.json",
            Self::Collection(_) => "line.collection_name",
            Self::Id(_) => "line.id",
            Self::Value(_) => "line.value",
        }
    }
}

impl WaitError {
    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// use afield::Durability;
    ///
    /// let notes = home.collection::<()>("notes")?;
    /// let id = notes.json().insert(&serde_json::json!({ "title": "Milk" }))?;
    /// let write = notes.delete(id)?;
    /// replica.leave_space_discarding(home.id())?;
    /// let error = write.wait(Durability::Relay).await.unwrap_err();
    /// assert_eq!(error.code(), "wait.gone");
    /// # Ok(())
    /// # }
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "wait.refused",
            Self::HeldBack { .. } => "wait.held_back",
            Self::Closed => "wait.closed",
            Self::Gone { .. } => "wait.gone",
            Self::Store(error) => error.code(),
        }
    }
}
