//! What is told of the making of a sandbox: how far it is, and why there is none.

use crate::driver::DriverError;
use crate::error::{ConnectError, ReplicaError, SyncError};
use afield_core::wire::Class;
use afield_store::{BackupError, OpenError, StoreError};
use std::io;

/// How far the making of a sandbox is.
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
/// use afield::SandboxProgress;
///
/// let (tell, told) = std::sync::mpsc::channel(); // it is told on another thread
/// let progress = move |progress| {
///     if let SandboxProgress::Copying { done, total } = progress {
///         let _ = tell.send(100 * done / total);
///     }
/// };
/// # runtime.block_on(async {
/// let copy = folder.path().join("copy.db");
/// let sandbox = laptop.sandbox_with(afield::Relay::new(relay.url()), copy, progress).await?;
/// assert_eq!(told.iter().last(), Some(100)); // percent
/// # sandbox.remove()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # runtime.block_on(relay.shutdown());
/// # Ok(())
/// # }
/// ```
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
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// # let folder = tempfile::tempdir()?;
/// use afield::{Relay, SandboxError};
///
/// let nobody = Relay::new("ws://127.0.0.1:9"); // nobody listens there
/// let error = replica.sandbox_with(nobody, folder.path().join("copy.db"), |_| ()).await.unwrap_err();
/// assert!(matches!(error, SandboxError::Unreached { class: afield::Class::Retry, .. }));
/// # Ok(())
/// # }
/// ```
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
            Self::Disabled | Self::Place(_) => Class::Permanent,
            Self::Closed => Class::Retry,
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
