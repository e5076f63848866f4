//! Why a replica that is moved by hand does not go on.

use super::ANSWER_TIMEOUT;
use afield::{EditFailure, OperationError};
use afield_core::wire;
use afield_transport::LinkError;

/// Why a replica that is moved by hand does not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandError {
    /// The store cannot be opened.
    #[error("the store cannot be opened")]
    Open(#[from] afield::OpenError),
    /// The space cannot be made.
    #[error("the space cannot be made")]
    Space(#[from] afield_store::SpaceError),
    /// The driver failed.
    #[error("the replica failed")]
    Driver(#[from] afield::DriverError),
    /// The store cannot be read.
    #[error("the store cannot be read")]
    Store(#[from] afield_store::StoreError),
    /// An edit failed.
    #[error("an edit failed")]
    Edit(#[from] EditFailure<OperationError>),
    /// The entity cannot be read.
    #[error("the entity cannot be read")]
    Read(#[from] afield::EntityError),
    /// A path leads nowhere.
    #[error("the text cannot be read")]
    Text(#[from] OperationError),
    /// The relay's address is none.
    #[error("the relay's address is not valid")]
    Address(#[from] afield_transport::ParseAddressError),
    /// The relay cannot be reached.
    #[error("the relay cannot be reached")]
    Connect(#[from] afield_transport::ConnectError),
    /// The connection broke.
    #[error("the connection broke")]
    Link(#[from] LinkError),
    /// The relay sent a frame that does not parse.
    #[error("the relay sent a frame that does not parse")]
    Wire(#[from] wire::WireError),
    /// The relay sent a batch that does not parse.
    #[error("the relay sent a batch that does not parse")]
    Batch(#[from] wire::BatchError),
    /// The session ended.
    #[error("the relay ended the session")]
    Ended,
    /// Nothing came in time.
    #[error("the relay says nothing for {} s", ANSWER_TIMEOUT.as_secs())]
    Silent,
    /// A frame brings more than what was to be handed on.
    #[error("a frame brings {brings} changes, of which only {wanted} may be handed on")]
    Together {
        /// How many changes it brings.
        brings: usize,
        /// How many were wanted.
        wanted: usize,
    },
    /// A keystroke made more or fewer changes than one.
    #[error("a transaction of the history became {0} changes instead of one")]
    Changes(usize),
}
