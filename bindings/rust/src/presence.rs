//! Who is here now: names, cursors, what somebody looks at. It passes through the relay, and nobody stores it.

use crate::driver::{Driver, Notice, Place, locked};
use crate::entity::Entity;
use crate::replica::Shared;
use crate::space::Space;
use afield_core::limits::SIGNAL_BYTES_MAX;
use afield_core::wire::Class;
use afield_core::{DeviceId, EntityId, SessionId, SpaceId};
use futures_util::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

/// What this device shows to those who are here, and what they show, in a space or in one of its entities.
///
/// It is ephemeral: it lives in memory and travels only while sync is on and a session runs; the relay passes it on and stores
/// nothing of it. What is set is said again every 10 s, and to whoever comes; it is gone for the others when the handle is
/// dropped, when this device loses its connection, and at the latest 30 s after it was last heard. A cursor may be set with
/// every key: what follows faster than 75 ms is left out, but for the newest. A relay that is asked for more drops it and goes on.
///
/// The device of a [`Peer`] is the one that the relay has admitted; a name, a colour or a cursor is what the app puts into the state.
/// While no handle and no watch of a space exists, nothing is sent for it, and nothing comes.
///
/// It is not `Clone`, since what it shows is gone with it: another one ([`Space::presence`](crate::Space::presence)) shows another thing.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use afield::Replica;
/// # use serde_json::json;
/// # let replica = Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// # let notes = home.collection::<()>("notes")?;
/// # let id = notes.json().insert(&json!({}))?;
/// let here = home.presence();
/// here.set(&json!({"name": "Ada", "colour": "teal"}))?;           // until it is cleared, replaced or dropped
/// for peer in here.peers() {
///     println!("{} on {}", peer.state["name"], peer.device);
/// }
///
/// let note = notes.entity(id)?;
/// let body = note.text("body");
/// body.splice(0, 0, "milk, bread")?;
/// let cursor = note.presence();                                    // who is in this very note, and where
/// cursor.set(&json!({"at": body.cursor_at(4)?}))?;                 // stays before ", bread", whatever others type
/// # assert!(here.peers().is_empty() && cursor.peers().is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "what is shown is gone when this is dropped"]
pub struct Presence {
    party: Party,
    place: Place,
    shared: Arc<Shared>,
}

/// What another session shows, in one place.
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
/// use serde_json::json;
///
/// let (here, mut watch) = (there.presence(), home.presence().watch());
/// here.set(&json!({"name": "Ada"}))?;
/// for replica in [&laptop, &phone] {
///     replica.connect(afield::Relay::new(relay.url()))?;
/// }
/// # runtime.block_on(async {
/// let ada = loop {
///     let peers = watch.changed().await.expect("the replica is open");
///     if let Some(peer) = peers.into_iter().next() {
///         break peer;
///     }
/// };
/// assert_eq!((ada.state, ada.device, ada.entity), (json!({"name": "Ada"}), phone.device(), None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # laptop.disconnect();
/// # phone.disconnect();
/// # runtime.block_on(relay.shutdown());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Peer {
    /// Its device.
    pub device: DeviceId,
    /// Its session with the relay: one person may have several devices, and a device has another session after each connect.
    pub session: SessionId,
    /// The entity in which it shows this; `None` for the space as a whole.
    pub entity: Option<EntityId>,
    /// What it shows.
    pub state: Json,
    /// How long ago it was last heard: at most 30 s.
    pub heard: Duration,
}

impl Peer {
    /// What it shows, as a value of the app.
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
    /// # for replica in [&laptop, &phone] {
    /// #     replica.connect(afield::Relay::new(relay.url()))?;
    /// #     runtime.block_on(replica.sync_now())?;
    /// # }
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Here {
    ///     name: String,
    /// }
    ///
    /// let here = home.presence(); // on the laptop
    /// here.set(&Here { name: "Ada".into() })?;
    /// let mut watch = there.presence().watch(); // on the phone
    /// # runtime.block_on(async {
    /// let mut peers = Vec::new();
    /// while peers.is_empty() {
    ///     peers = watch.changed().await.ok_or("the replica was closed")?;
    /// }
    /// assert_eq!(peers[0].get::<Here>()?.name, "Ada");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// It is of another shape, as another version of the app may show it.
    pub fn get<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        T::deserialize(&self.state)
    }
}

/// Something cannot be shown. What was shown before still is.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use afield::PresenceError;
///
/// let here = home.presence();
/// let too_much = here.set(&"x".repeat(100_000)).unwrap_err();
/// assert!(matches!(too_much, PresenceError::TooLarge { bytes, bytes_max, .. } if bytes > bytes_max));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PresenceError {
    /// It is larger than others would take.
    #[error(
        "what is to be shown in space {space} has {bytes} bytes as JSON, and at most {bytes_max} are taken: show less, and keep the rest in an entity"
    )]
    TooLarge {
        /// The space.
        space: SpaceId,
        /// How large it is, in bytes of JSON.
        bytes: usize,
        /// How large it may be.
        bytes_max: usize,
    },
    /// It cannot be written as JSON.
    #[error("what is to be shown in space {space} cannot be written as JSON: its keys have to be strings")]
    Json {
        /// The space.
        space: SpaceId,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl PresenceError {
    /// What would help.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let home = afield::Replica::open_in_memory()?.create_space("Home")?;
    /// let here = home.presence();
    /// let error = here.set(&"x".repeat(2_000)).unwrap_err();
    /// assert_eq!(error.class(), afield::Class::Permanent, "so much is never taken: show less");
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
    /// # let home = afield::Replica::open_in_memory()?.create_space("Home")?;
    /// let here = home.presence();
    /// assert_eq!(here.set(&"x".repeat(2_000)).unwrap_err().code(), "presence.too_large");
    /// # Ok(())
    /// # }
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "presence.too_large",
            Self::Json { .. } => "presence.json",
        }
    }
}

impl Presence {
    fn new(shared: Arc<Shared>, space: SpaceId, place: Place) -> Self {
        Self { party: Party::join(&shared, space), place, shared }
    }

    /// Shows something from now on, in place of what this handle showed. Of several handles of one place others see what was set last; once
    /// that is taken back, what was set before it and still stands. Offline it is kept, and
    /// shown with the next connection. In an entity of a collection that sends nothing on this device
    /// ([`Direction`](crate::Direction)) it stays here, as long as that is so: where nothing goes either way, and where changes only come in
    /// and the entity was never sent.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use serde_json::json;
    /// # let home = afield::Replica::open_in_memory()?.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk" }))?;
    /// let here = home.presence();
    /// here.set(&json!({ "name": "Ada", "colour": "teal" }))?;
    /// here.set(&json!({ "name": "Ada", "colour": "red" }))?; // in its place
    /// let typing = notes.entity(id)?.presence();
    /// typing.set(&json!({ "name": "Ada", "is_typing": true }))?; // beside it, in this note
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// It has more than 1 KiB as JSON, or cannot be written so.
    pub fn set(&self, state: &(impl Serialize + ?Sized)) -> Result<(), PresenceError> {
        let space = self.party.space;
        let data = serde_json::to_vec(state).map_err(|source| PresenceError::Json { space, source })?;
        if data.len() > SIGNAL_BYTES_MAX {
            return Err(PresenceError::TooLarge { space, bytes: data.len(), bytes_max: SIGNAL_BYTES_MAX });
        }
        self.shared.driver.show_presence(space, self.place, self.party.number, data);
        self.shared.wake();
        Ok(())
    }

    /// Shows nothing any more; others are still heard.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use serde_json::json;
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
    /// # for replica in [&laptop, &phone] {
    /// #     replica.connect(afield::Relay::new(relay.url()))?;
    /// #     runtime.block_on(replica.sync_now())?;
    /// # }
    /// let here = home.presence(); // on the laptop
    /// here.set(&json!({ "name": "Ada" }))?;
    /// let mut watch = there.presence().watch(); // on the phone
    /// # runtime.block_on(async {
    /// while watch.changed().await.ok_or("the replica was closed")?.is_empty() {}
    /// here.clear();
    /// while !watch.changed().await.ok_or("the replica was closed")?.is_empty() {} // until Ada is gone
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn clear(&self) {
        self.shared.driver.clear_presence(self.party.space, self.party.number);
        self.shared.wake();
    }

    /// What others show now: in the space and all its entities, or in this one entity.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use serde_json::json;
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
    /// # for replica in [&laptop, &phone] {
    /// #     replica.connect(afield::Relay::new(relay.url()))?;
    /// #     runtime.block_on(replica.sync_now())?;
    /// # }
    /// let here = home.presence(); // on the laptop
    /// here.set(&json!({ "name": "Ada" }))?;
    /// let seen = there.presence(); // on the phone
    /// # runtime.block_on(async {
    /// # let mut watch = seen.watch();
    /// # while watch.changed().await.ok_or("the replica was closed")?.is_empty() {}
    /// for peer in seen.peers() {
    ///     println!("{} is here, on {}", peer.state["name"], peer.device);
    /// }
    /// assert_eq!((seen.peers().len(), seen.peers()[0].device), (1, laptop.device()));
    /// assert!(here.peers().is_empty(), "what is one's own is not among them");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn peers(&self) -> Vec<Peer> {
        peers(&self.shared, self.party.space, self.place)
    }

    /// Tells when others show something else. It goes on hearing when this handle is dropped.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let home = afield::Replica::open_in_memory()?.create_space("Home")?;
    /// let mut watch = home.presence().watch(); // the handle may go
    /// assert_eq!(watch.take(), Some(vec![]), "nobody is here yet");
    /// # Ok(())
    /// # }
    /// ```
    pub fn watch(&self) -> PresenceWatch {
        let space = self.party.space;
        let party = Party::join(&self.shared, space);
        PresenceWatch { notice: self.shared.driver.watch_presence(space), party, place: self.place }
    }
}

/// What others show now, and again each time it has become something else.
///
/// What happens faster than it is read adds up: the newest is what counts. Reads in three ways: [`PresenceWatch::take`] at once,
/// [`PresenceWatch::changed`] as a future, or as a [`Stream`]. It keeps no replica open, and ends when the replica is closed. It is not
/// `Clone`, since what is new is read once: who else wants to know calls [`Presence::watch`] again.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// let mut watch = home.presence().watch();
/// assert!(watch.take().is_none_or(|peers| peers.is_empty())); // nobody else is here
/// drop((replica, home));
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// assert!(watch.changed().await.is_none()); // it keeps no replica open
/// # });
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a watch that is dropped tells nothing"]
pub struct PresenceWatch {
    notice: Arc<Mutex<Notice>>,
    party: Party,
    place: Place,
}

impl PresenceWatch {
    /// What others show, if it may be something else than at the last look, without waiting; the first look always has it.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let home = afield::Replica::open_in_memory()?.create_space("Home")?;
    /// let mut watch = home.presence().watch();
    /// assert_eq!(watch.take(), Some(vec![]), "the first look");
    /// assert_eq!(watch.take(), None, "nobody came or went since");
    /// # Ok(())
    /// # }
    /// ```
    pub fn take(&mut self) -> Option<Vec<Peer>> {
        let has_changed = std::mem::take(&mut locked(&self.notice).changed);
        has_changed.then(|| self.party.shared.upgrade()).flatten().map(|shared| self.peers(&shared))
    }

    /// Waits until others show something else; the first time it is told at once. `None` when the replica was closed.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use serde_json::json;
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
    /// # for replica in [&laptop, &phone] {
    /// #     replica.connect(afield::Relay::new(relay.url()))?;
    /// #     runtime.block_on(replica.sync_now())?;
    /// # }
    /// let here = home.presence(); // on the laptop
    /// here.set(&json!({ "name": "Ada" }))?;
    /// let mut watch = there.presence().watch(); // on the phone
    /// # runtime.block_on(async {
    /// while let Some(peers) = watch.changed().await {
    ///     println!("{} are here", peers.len());
    ///     if peers.iter().any(|peer| peer.state["name"] == "Ada") {
    ///         break;
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn changed(&mut self) -> Option<Vec<Peer>> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    fn peers(&self, shared: &Shared) -> Vec<Peer> {
        peers(shared, self.party.space, self.place)
    }
}

impl Stream for PresenceWatch {
    type Item = Vec<Peer>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut notice = locked(&self.notice);
        if notice.closed {
            return Poll::Ready(None);
        }
        if !std::mem::take(&mut notice.changed) {
            notice.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        drop(notice);
        Poll::Ready(self.party.shared.upgrade().map(|shared| self.peers(&shared)))
    }
}

/// Somebody on this device who shows or watches something, until it is dropped.
#[derive(Debug)]
struct Party {
    shared: Weak<Shared>,
    space: SpaceId,
    number: u64,
}

impl Party {
    fn join(shared: &Arc<Shared>, space: SpaceId) -> Self {
        let number = shared.driver.join_presence(space);
        shared.wake();
        Self { shared: Arc::downgrade(shared), space, number }
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.driver.leave_presence(self.space, self.number);
            shared.wake();
        }
    }
}

fn peers(shared: &Shared, space: SpaceId, place: Place) -> Vec<Peer> {
    let (driver, now): (&Driver, _) = (&shared.driver, shared.now());
    let shown = driver.who_is_here(space).into_iter().filter(|shown| place.is_none() || shown.place == place);
    let peer = shown.map(|shown| Peer {
        device: shown.device,
        session: shown.session,
        entity: shown.place,
        state: Json::clone(&shown.state),
        heard: Duration::from_millis(now.monotonic_ms.saturating_sub(shown.heard_ms)),
    });
    peer.collect()
}

impl Space {
    /// Who is here: what others show in this space and its entities, and what this device shows in the space as a whole.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let home = afield::Replica::open_in_memory()?.create_space("Home")?;
    /// let here = home.presence();
    /// here.set(&serde_json::json!({ "name": "Ada" }))?; // until `here` is dropped
    /// assert!(here.peers().is_empty(), "offline nobody is heard");
    /// # Ok(())
    /// # }
    /// ```
    pub fn presence(&self) -> Presence {
        Presence::new(self.shared.clone(), self.id(), None)
    }
}

impl Entity {
    /// Who is in this entity, and where: cursors, selections, who is typing.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use serde_json::json;
    /// # let home = afield::Replica::open_in_memory()?.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "body": { "$text": "milk, bread" } }))?;
    /// let note = notes.entity(id)?;
    /// let here = note.presence();
    /// here.set(&json!({ "name": "Ada", "at": note.text("body").cursor_at(4)? }))?;
    /// println!("{} others are in this note", here.peers().len());
    /// # Ok(())
    /// # }
    /// ```
    pub fn presence(&self) -> Presence {
        Presence::new(self.shared.clone(), self.target.space, Some(self.target.entity))
    }
}
