//! What can go wrong in sync.

use super::{FilterError, counted};
use crate::driver::NotInStep;
use crate::sign_in::SignInReason;
use afield_core::SpaceId;
use afield_core::wire::{ChunkCode, Class};

/// Entities could not be fetched yet. They are asked for again with the next connection.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use afield::{EntityId, FetchError, SyncError};
///
/// let photo = EntityId::from_bytes([7; 16]);
/// let error = home.fetch([photo]).await.unwrap_err();
/// assert!(matches!(error, FetchError::Sync(SyncError::Disabled))); // it comes with the next connection
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// That they are wanted could not be stored.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// Sync is off, or the relay was not reached, or does not serve the space.
    #[error("the entities are not here yet, and will be fetched with the next connection")]
    Sync(#[from] SyncError),
}

/// Sync could not be switched on.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use afield::{ConnectError, ParseAddressError, Relay};
///
/// match replica.connect(Relay::new("ws://relay.example.org")) {
///     Err(ConnectError::Address(ParseAddressError::PlainTextToAnotherMachine)) => {} // `wss://` it has to be
///     other => panic!("{other:?}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address is not one of a relay.
    #[error(transparent)]
    Address(#[from] afield_transport::ParseAddressError),
    /// The token cannot be one.
    #[error(transparent)]
    Token(#[from] afield_transport::ParseTokenError),
    /// The system gave no thread.
    #[error("the system gave no thread for sync")]
    Thread(#[source] std::io::Error),
}

/// A fresher token was not taken.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use afield::RefreshTokenError;
///
/// let error = replica.refresh_token("afield_0123456789abcdef").unwrap_err();
/// assert_eq!(error, RefreshTokenError::Off); // `connect` with it instead
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefreshTokenError {
    /// Sync is off, so that there is no token to replace.
    #[error("sync is off; connect to a relay with this token")]
    Off,
    /// The token cannot be one.
    #[error(transparent)]
    Token(#[from] afield_transport::ParseTokenError),
}

/// Waiting to be in step with the relay ended without that.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use afield::{Relay, SyncError};
///
/// replica.connect(Relay::new("ws://127.0.0.1:9"))?; // nobody listens there
/// match replica.sync_now().await {
///     Err(SyncError::Failed { class, .. }) => assert_eq!(class, afield::Class::Retry), // by itself
///     other => panic!("{other:?}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// Sync is off.
    #[error("sync is off; connect to a relay first")]
    Disabled,
    /// The relay was not reached, or does not serve a space. What is pending stays stored and is sent later.
    #[error("not in step with the relay: {reason}; what is pending is stored here and will be sent later")]
    Failed {
        /// Why, in words for a person.
        reason: String,
        /// What would help.
        class: Class,
        /// Why somebody has to sign in, where that is it and the relay said so.
        sign_in: Option<SignInReason>,
    },
    /// Everything that the relay takes is there, and it refuses changes of some entities, which wait. `Replica::refusals`
    /// has all the reasons.
    #[error("the relay refuses changes of {}: {code}; they are stored here and are offered again by each session", super::entities(*.entities))]
    Refused {
        /// How many entities it refuses changes of.
        entities: usize,
        /// Why, for the reason that somebody can most likely do something about.
        code: ChunkCode,
    },
    /// More was deleted than may be unasked: see [`Space::held`](crate::Space::held).
    #[error(
        "{} of space {space} {} to be confirmed: {}", counted::count(*.deletions, "deletion", "deletions"), counted::by(*.deletions, "waits", "wait"), counted::whose(*.deletions, *.received)
    )]
    Held {
        /// The space.
        space: SpaceId,
        /// How many.
        deletions: u64,
        /// Whether others made them; otherwise they were made here.
        received: bool,
    },
    /// The replica was closed meanwhile.
    #[error("the replica was closed")]
    Closed,
}

impl From<NotInStep> for SyncError {
    fn from(NotInStep { reason, class, sign_in }: NotInStep) -> Self {
        Self::Failed { reason, class, sign_in }
    }
}

impl SyncError {
    /// What would help.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// use afield::{Class, Relay};
    ///
    /// replica.connect(Relay::new("ws://127.0.0.1:9"))?; // nobody listens there
    /// let error = replica.sync_now().await.unwrap_err();
    /// assert_eq!(error.class(), Class::Retry);
    /// # Ok(())
    /// # }
    /// ```
    pub fn class(&self) -> Class {
        match self {
            Self::Disabled | Self::Held { .. } => Class::Permanent,
            // What is here is synced once the replica is opened again.
            Self::Closed => Class::Retry,
            Self::Failed { class, .. } => *class,
            Self::Refused { code, .. } => code.class(),
        }
    }
}
