//! Why the driver could not go on.

use afield_core::wire::Class;
use afield_store::{EntityError, MarkError, OpenError, ReceiveError, SpaceError, StoreError};

/// The store failed while messages were handled. The session has ended and is tried again later.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A run of the log could not be stored.
    #[error(transparent)]
    Receive(#[from] ReceiveError),
    /// A space could not be changed.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// Changes could not be marked.
    #[error(transparent)]
    Mark(#[from] MarkError),
    /// An entity could not be changed.
    #[error(transparent)]
    Entity(#[from] EntityError),
    /// The store had failed, and could not be opened again.
    #[error("the store had failed, and could not be opened again")]
    Reload(#[source] OpenError),
}

impl DriverError {
    /// What would help.
    ///
    /// ```
    /// use afield::{Class, DriverError, StoreError};
    ///
    /// // What a driver answers while its store refuses writes after a failure.
    /// let error = DriverError::from(StoreError::Poisoned);
    /// assert_eq!(error.class(), Class::Retry); // after `Driver::reload`
    /// ```
    pub fn class(&self) -> Class {
        match self {
            Self::Store(error) => error.class(),
            Self::Receive(error) => error.class(),
            Self::Space(error) => error.class(),
            Self::Mark(error) => error.class(),
            Self::Entity(error) => error.class(),
            Self::Reload(error) => error.class(),
        }
    }
}
