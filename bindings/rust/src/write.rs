//! What an edit gives back: a handle to wait for how far it has got.

use crate::driver::{Acknowledged, Driver};
use afield_core::wire::{ChunkCode, Class};
use afield_core::{ChangeHash, EntityId};
use std::sync::Weak;

/// How far a change has got.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// # let notes = home.collection::<()>("notes")?.json();
/// use afield::Durability;
///
/// let id = notes.insert(&serde_json::json!({"title": "Milk"}))?;
/// let write = notes.edit(id, |note| note["title"] = "Bread".into())?;
/// write.wait(Durability::Local).await?; // at once, and without a network: it was, when `edit` returned
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// On this device's stable storage: true of every edit that has returned.
    Local,
    /// On the relay's stable storage: the relay gave a receipt.
    Relay,
    /// On the stable storage of another device as well, one that keeps everything of the space: the relay told so. Devices
    /// with a filter do not count, since they need not have it.
    AnotherDevice,
}

/// Waiting for the relay's word failed.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// # let notes = home.collection::<()>("notes")?.json();
/// use afield::{Direction, Durability, WaitError};
///
/// home.set_direction("notes", Direction::LocalOnly)?;
/// let id = notes.insert(&serde_json::json!({"title": "Milk"}))?;
/// let write = notes.edit(id, |note| note["title"] = "Bread".into())?;
/// match write.wait(Durability::Relay).await {
///     Err(WaitError::HeldBack { entity }) => assert_eq!(entity, id), // it would wait for ever
///     other => panic!("{other:?}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The relay refused the change; later changes of the entity wait behind it.
    #[error("the relay refused a change of entity {entity}: {code}")]
    Refused {
        /// The entity.
        entity: EntityId,
        /// Why.
        code: ChunkCode,
    },
    /// The direction of its collection keeps the change on this device.
    #[error(
        "the change of entity {entity} stays on this device, as the direction of its collection says; it is sent once that is another one"
    )]
    HeldBack {
        /// The entity.
        entity: EntityId,
    },
    /// The replica was closed before the relay answered. The change stays in the outbox.
    #[error(
        "the replica was closed before the relay answered; the change is stored here and will be sent when it is opened again"
    )]
    Closed,
    /// The space of the entity was left meanwhile, and the change is not on this device any more.
    #[error("the space of entity {entity} was left, and its change is not on this device any more")]
    Gone {
        /// The entity.
        entity: EntityId,
    },
    /// The store could not be read.
    #[error("the store could not be read")]
    Store(#[from] afield_store::StoreError),
}

impl WaitError {
    /// What would help.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// use afield::{Class, Direction, Durability};
    ///
    /// home.set_direction("drafts", Direction::LocalOnly)?;
    /// let drafts = home.collection::<()>("drafts")?;
    /// let id = drafts.json().insert(&serde_json::json!({ "title": "Plan" }))?;
    /// let write = drafts.delete(id)?;
    /// let error = write.wait(Durability::Relay).await.unwrap_err();
    /// assert_eq!(error.class(), Class::Permanent); // while its direction is that one
    /// # Ok(())
    /// # }
    /// ```
    pub fn class(&self) -> Class {
        match self {
            Self::Refused { code, .. } => code.class(),
            Self::Closed => Class::Retry,
            Self::Gone { .. } | Self::HeldBack { .. } => Class::Permanent,
            Self::Store(error) => error.class(),
        }
    }
}

/// An edit that is stored on this device, whatever becomes of this value.
///
/// It does not keep the replica open: once the last handle of that is gone, [`Write::wait`] answers
/// [`WaitError::Closed`].
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
/// use afield::Durability;
///
/// let id = notes.insert(&serde_json::json!({"title": "Milk"}))?;
/// laptop.connect(afield::Relay::new(relay.url()))?;
/// let write = notes.edit(id, |note| note["title"] = "Bread".into())?; // it is on this device's disk
/// # runtime.block_on(async {
/// write.wait(Durability::Relay).await?; // and now on the relay's
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # laptop.disconnect();
/// # runtime.block_on(relay.shutdown());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Write {
    pub(crate) driver: Weak<Driver>,
    pub(crate) changes: Vec<(EntityId, ChangeHash)>,
}

impl Write {
    /// The changes that the edit made; empty when it altered nothing.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// use serde_json::json;
    ///
    /// let id = notes.json().insert(&json!({ "title": "Milk" }))?;
    /// let write = notes.json().edit(id, |note| note["title"] = "Bread".into())?;
    /// let changed: Vec<_> = write.changes().map(|(entity, _)| entity).collect();
    /// assert_eq!(changed, [id]);
    /// let again = notes.json().edit(id, |note| note["title"] = "Bread".into())?;
    /// assert_eq!(again.changes().count(), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn changes(&self) -> impl Iterator<Item = (EntityId, ChangeHash)> {
        self.changes.iter().copied()
    }

    /// Waits until the edit has got as far as asked.
    ///
    /// [`Durability::AnotherDevice`] waits for as long as no other device that keeps everything of the space is connected to
    /// the relay, or has been since anybody else was. A relay that restarts hears of it from each device that comes back.
    ///
    /// [`Durability::Relay`] waits for as long as the relay is out of reach, sync is off, or somebody has to sign in, which
    /// `Replica::events` and `Replica::status` tell; wrap it in a time-out of your own to give up.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&serde_json::json!({ "title": "Milk" }))?;
    /// use afield::Durability;
    /// use std::time::Duration;
    /// use tokio::time::timeout;
    ///
    /// let write = notes.json().edit(id, |note| note["title"] = "Bread".into())?;
    /// write.wait(Durability::Local).await?; // true at once
    ///
    /// // With sync off no relay will answer: give up, while the change waits here to be sent.
    /// let answer = timeout(Duration::from_millis(10), write.wait(Durability::Relay)).await;
    /// assert!(answer.is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The relay refused a change, its collection's direction keeps it here, the replica was closed, the space was left, or the store could not be read.
    pub async fn wait(&self, durability: Durability) -> Result<(), WaitError> {
        if durability == Durability::Local {
            return Ok(());
        }
        for (entity, hash) in &self.changes {
            // The driver is let go before waiting: its end is one of the answers.
            let word = self.driver.upgrade().ok_or(WaitError::Closed)?.acknowledged(*entity, *hash)?;
            match word {
                None => {}
                Some(word) => match word.await {
                    Ok(Acknowledged::Durable) => {}
                    Ok(Acknowledged::Refused(code)) => return Err(WaitError::Refused { entity: *entity, code }),
                    Ok(Acknowledged::HeldBack) => return Err(WaitError::HeldBack { entity: *entity }),
                    Err(_) => return Err(self.no_word(*entity)),
                },
            }
        }
        if durability == Durability::AnotherDevice {
            for (entity, hash) in &self.changes {
                let seen = self.driver.upgrade().ok_or(WaitError::Closed)?.seen_elsewhere(*entity, *hash)?;
                seen.await.map_err(|_| self.no_word(*entity))?;
            }
        }
        Ok(())
    }

    /// Why no word will come of a change.
    fn no_word(&self, entity: EntityId) -> WaitError {
        if self.driver.upgrade().is_some() { WaitError::Gone { entity } } else { WaitError::Closed }
    }
}
