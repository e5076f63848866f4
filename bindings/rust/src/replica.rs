//! The running library on a device.

mod options;

pub use options::ReplicaOptions;

use crate::clock::{SystemClock, SystemEntropy};
use crate::connection::Connection;
use crate::driver::{Driver, EditFailure, Edited, EntityError, Target};
use crate::error::{ConnectError, EditError, ReadError, RefreshTokenError, ReplicaError, SpaceError, SyncError};
use crate::relay::Relay;
use crate::space::Space;
use crate::status::{Status, SyncEvent};
use crate::transaction::Transaction;
use crate::write::Write;
use afield_core::document::{Document, Edit, Replay};
use afield_core::policy::Reason;
use afield_core::{ChangeHash, Collection as Name, DeviceId, EntityId, Invitation, Now, SpaceId};
use afield_store::{
    ListQuery, OpenError, OpenOptions, Origin, ProjectedEntity, Reader, Store, StoreError, Synchronous,
};
use afield_transport::{ClientOptions, RelayAddress};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;

/// The running library on a device: one store file, its open entities and its sync.
///
/// Opening needs no network, no configuration and no runtime, and starts no task, thread or timer. Handles are cheap to
/// clone and can be used from any thread; the last one to be dropped, be it of a space, a collection or an entity,
/// switches sync off and closes the file. A [`Write`] or a [`crate::Watch`] keeps nothing open.
///
/// One process at a time may write to a store file; a second one waits five seconds and is then told who holds it.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("notes.db");
/// use afield::Replica;
///
/// let replica = Replica::open(&path)?; // made where there is none
/// let home = replica.create_space("Home")?;
/// drop(replica);
/// assert!(home.collection::<()>("notes")?.ids()?.is_empty()); // a handle of a space keeps it open
/// drop(home);
/// assert_eq!(Replica::open(&path)?.spaces()?.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Replica {
    pub(crate) shared: Arc<Shared>,
}

/// What all handles share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Every edit looks here, so nobody waits for anything while holding it.
    connection: Mutex<Option<Connection>>,
    /// Held while sync is switched on or off, which waits for the thread to end; taken before `connection`.
    switching: Mutex<()>,
    pub(crate) driver: Arc<Driver>,
    pub(crate) reader: Reader,
    pub(crate) clock: SystemClock,
    synchronous: Synchronous,
}

impl Replica {
    /// Opens a store file, making it where there is none.
    ///
    /// While it is open there are files beside it: SQLite's `-wal` and `-shm`, in which what was committed last may stand, and `-lock` and
    /// `-holder`, which say that it is open and by whom. So copy a store with [`Replica::backup`], and never the file alone while it is open.
    /// Once the last handle is gone everything is in the one file, and beside it there is an empty `-lock`.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// let replica = afield::Replica::open(folder.path().join("notes.db"))?;
    /// assert!(replica.spaces()?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The file is held by another process, damaged, read-only, no store of Afield's, or from a newer version.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ReplicaError> {
        Self::options().open(path)
    }

    /// Opens a store file with options of your own: [`ReplicaOptions::open`] ends the line.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// use afield::{Replica, Synchronous};
    ///
    /// let replica = Replica::options().synchronous(Synchronous::Normal).open(path)?;
    /// assert_eq!(replica.status()?.synchronous, Some(Synchronous::Normal));
    /// # Ok(())
    /// # }
    /// ```
    pub fn options() -> ReplicaOptions {
        ReplicaOptions::default()
    }

    /// Opens a store that lives in memory and is gone with the last handle: for tests and examples.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// assert!(replica.spaces()?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// SQLite failed.
    pub fn open_in_memory() -> Result<Self, ReplicaError> {
        Self::on(Store::open_in_memory(&OpenOptions::default())?, SystemClock::new(), Replay::default())
    }

    fn on(store: Store, clock: SystemClock, replay: Replay) -> Result<Self, ReplicaError> {
        let (reader, synchronous) = (store.reader(), store.synchronous());
        let driver = Arc::new(Driver::new(store, Box::new(SystemEntropy), clock.now())?.with_replay(replay));
        let (connection, switching) = Default::default();
        let shared = Shared { connection, switching, driver, reader, clock, synchronous };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// This device's identity.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// println!("this is device {}", replica.device());
    /// # Ok(())
    /// # }
    /// ```
    pub fn device(&self) -> DeviceId {
        self.shared.driver.device()
    }

    /// Makes a space, offline. A relay adopts it when the replica first connects.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// let home = replica.create_space("Home")?;
    /// assert_eq!(home.name(), "Home");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store failed.
    pub fn create_space(&self, name: &str) -> Result<Space, SpaceError> {
        let id = self.shared.driver.fresh_id(self.shared.now(), SpaceId::new);
        self.add_space(id, name, Origin::MadeHere)
    }

    /// Joins a space that was made on another device. Its entities arrive with the next sync; it can be edited at once.
    ///
    /// Joining a space that is here already gives that space.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// let other = afield::Replica::open_in_memory()?;
    /// let joined = other.join_space(home.id())?;
    /// assert_eq!(joined.id(), home.id());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store failed.
    pub fn join_space(&self, id: SpaceId) -> Result<Space, SpaceError> {
        self.join_space_as(id, &id.to_string())
    }

    /// Joins a space as [`Replica::join_space`] does, under a name of its own on this device.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// let other = afield::Replica::open_in_memory()?;
    /// assert_eq!(other.join_space_as(home.id(), "At home")?.name(), "At home");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store failed.
    pub fn join_space_as(&self, id: SpaceId, name: &str) -> Result<Space, SpaceError> {
        match self.space(id) {
            Err(SpaceError::Unknown(_)) => self.add_space(id, name, Origin::Joined),
            found => found,
        }
    }

    /// Joins a space that somebody invited this person to. The next sync makes whoever is signed in a member of it, and its entities arrive; it can be
    /// edited at once.
    ///
    /// The invitation is kept in the store file until the relay serves the space, and so also in copies and backups of the file that are made meanwhile. A space
    /// that is here already takes it, and keeps its name: so another invitation takes the place of one that was used up, and who was taken out of a
    /// space comes back. Where the relay goes on knowing no such space, [`SpaceStatus::last_error`](crate::SpaceStatus::last_error) says so, and that
    /// another invitation is needed.
    ///
    /// A member whose role is lower than the invitation's gets that role: [`SpaceStatus::role`](crate::SpaceStatus::role). To any other member it gives nothing, it is
    /// not used up, and [`SyncEvent::InvitationUnneeded`](crate::SyncEvent::InvitationUnneeded) says so where this device had the space before.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let phone = afield::Replica::open_in_memory()?;
    /// use afield::Invitation;
    ///
    /// # let text = "afield_invitation_0123456789abcdef_0192f0c17a3e7b6c8d2e5f4a3b2c1d0e";
    /// let invitation: Invitation = text.parse()?; // as the relay's `space invite` shows it
    /// let home = phone.join_invited(&invitation, "Our home")?;
    /// assert_eq!((home.id(), home.name()), (invitation.space(), "Our home"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store failed.
    pub fn join_invited(&self, invitation: &Invitation, name: &str) -> Result<Space, SpaceError> {
        let (space, at_ms) = (invitation.space(), self.shared.now().wall_ms);
        let kept = self.shared.driver.with_store(|store| store.join_invited(invitation, name, at_ms));
        let _ = kept.map_err(afield_store::SpaceError::from)?;
        self.shared.driver.note_invitation(space);
        self.shared.wake();
        self.space(space)
    }

    /// A space of this device.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// assert_eq!(replica.space(home.id())?.name(), "Home");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// No such space is here, or the store could not be read.
    pub fn space(&self, id: SpaceId) -> Result<Space, SpaceError> {
        let record = self.shared.driver.with_store(|store| store.space(id))?.ok_or(SpaceError::Unknown(id))?;
        Ok(Space::new(self.shared.clone(), id, record.name))
    }

    /// All spaces of this device, in the order in which they came.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// let names: Vec<String> = replica.spaces()?.iter().map(|space| space.name().to_owned()).collect();
    /// assert_eq!(names, ["Home"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn spaces(&self) -> Result<Vec<Space>, SpaceError> {
        let records = self.shared.driver.with_store(|store| store.spaces())?;
        Ok(records.into_iter().map(|record| Space::new(self.shared.clone(), record.space, record.name)).collect())
    }

    /// Edits several entities in one commit and one fsync: all of it is stored, or nothing.
    ///
    /// Only one transaction runs at a time, and what comes from others is merged before or after it. Edit through the
    /// transaction alone while it runs: any other edit of an entity that it has touched is refused, and any other reading
    /// of one gives it as it is stored.
    ///
    /// To give it up for a reason of your own, answer [`EditError::aborted`].
    ///
    /// ```
    /// # use afield::{Replica, model};
    /// # #[model]
    /// # struct Note { title: String }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = Replica::open_in_memory()?;
    /// # let notes = replica.create_space("Home")?.collection::<Note>("notes")?;
    /// # let id = notes.insert(&Note { title: "Milk".into() })?;
    /// let (other, _write) = replica.transaction(|transaction| {
    ///     transaction.edit(&notes, id, |note| note.title = "Milk and bread".into())?;
    ///     transaction.insert(&notes, &Note { title: "Butter".into() })
    /// })?;
    /// assert_eq!((notes.read(id)?.title.as_str(), notes.read(other)?.title.as_str()), ("Milk and bread", "Butter"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// What `edit` answers, and nothing remains then; or the store failed, for which see [`EditError::Store`].
    pub fn transaction<R>(
        &self,
        edit: impl FnOnce(&mut Transaction<'_>) -> Result<R, EditError>,
    ) -> Result<(R, Write), EditError> {
        let mut transaction = Transaction::start(&self.shared)?;
        let value = edit(&mut transaction)?;
        let changes = transaction.commit()?;
        if !self.shared.wake()
            && let [(first, _), ..] = changes.as_slice()
        {
            // Of all that a transaction edits, one entity: the others have their turn with their own next edits.
            self.shared.driver.compact_edited(*first, self.shared.now());
        }
        Ok((value, self.shared.write(changes)))
    }

    /// Switches sync on. Returns at once; [`Replica::status`] and [`Replica::events`] tell how it goes.
    ///
    /// Sync runs on a thread of its own, which lives until [`Replica::disconnect`], so that storing and merging never
    /// hold up an application's async tasks. Connecting again replaces the relay, and ends the old connection as
    /// [`Replica::disconnect`] does: so that is nothing to do within a transaction or an edit either.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// use afield::Relay;
    ///
    /// replica.connect(Relay::new("ws://127.0.0.1:9").token("afield_token"))?;
    /// assert!(replica.status()?.relay.is_some());
    /// replica.disconnect();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The address or the token cannot be one, or the system gave no thread.
    pub fn connect(&self, relay: Relay) -> Result<(), ConnectError> {
        let (address, options) = relay.into_parts()?;
        let _switching = lock(&self.shared.switching);
        // The old connection ends before the new one starts: a device has one session.
        self.shared.end_connection();
        let (driver, clock) = (self.shared.driver.clone(), self.shared.clock);
        let connection = Connection::start(driver, clock, address, options).map_err(ConnectError::Thread)?;
        *lock(&self.shared.connection) = Some(connection);
        Ok(())
    }

    /// Replaces the token that [`Replica::connect`] was given by a fresher one, without connecting anew: a session that stands goes
    /// on with it, and so does every later one. Where the relay waits for somebody to sign in
    /// ([`SyncState::NeedsSignIn`](crate::SyncState::NeedsSignIn)), the replica connects at once.
    ///
    /// Returns at once. A token of somebody else, or one that is not good, ends the session: [`Replica::status`] and
    /// [`Replica::events`] tell so, and what is unsent stays here.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// use afield::Relay;
    ///
    /// replica.connect(Relay::new("ws://127.0.0.1:9").token("afield_token"))?;
    /// replica.refresh_token("afield_fresher")?; // before the first one expires
    ///
    /// replica.disconnect();
    /// assert_eq!(replica.refresh_token("afield_fresher").unwrap_err().code(), "refresh.off");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Sync is off, or the token cannot be one.
    pub fn refresh_token(&self, token: impl AsRef<str>) -> Result<(), RefreshTokenError> {
        let token = token.as_ref().parse()?;
        let mut connection = lock(&self.shared.connection);
        connection.as_mut().ok_or(RefreshTokenError::Off)?.refresh_token(token);
        Ok(())
    }

    /// Switches sync off and leaves nothing behind: when this returns, no socket or timer is left, and no thread but one
    /// that the system's resolver may still hold, which then ends with its answer.
    ///
    /// It waits for what sync is storing or merging at that moment. So do not call it within a transaction or an edit,
    /// which sync may be waiting for; edits and [`Replica::status`] on other threads go on meanwhile.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// replica.connect(afield::Relay::new("ws://127.0.0.1:9"))?;
    /// replica.disconnect();
    /// assert!(replica.status()?.relay.is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn disconnect(&self) {
        let _switching = lock(&self.shared.switching);
        self.shared.end_connection();
    }

    /// Tries to get in step with the relay now, and waits until every space is: everything durable there has arrived,
    /// and everything stored here has its receipt.
    ///
    /// It costs one round trip: also where nothing is left to do the relay is asked, so that what others had stored when
    /// this was called is here when it returns. Spaces with a schedule are opened for it and left again; where these are all,
    /// nothing is pending, and it was asked for within the last five seconds, it says so instead (of [`Class`] `Retry`).
    ///
    /// [`Class`]: crate::Class
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
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # replica.create_space("Home")?.collection::<()>("notes")?.json().insert(&serde_json::json!({}))?;
    /// # runtime.block_on(async {
    /// replica.connect(afield::Relay::new(relay.url()))?;
    /// replica.sync_now().await?;
    /// assert_eq!(replica.status()?.pending_changes, 0); // everything is here and there
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Sync is off, the relay could not be reached, it does not serve a space, or it refuses changes; or deletions wait to be
    /// confirmed ([`Space::held`]). Beside those that others made everything else went its way. Of a space in which they were made here
    /// nothing was sent, and where no session stands that has the space, and no other space needs one, nothing was received either.
    pub async fn sync_now(&self) -> Result<(), SyncError> {
        let waiting = {
            let connection = lock(&self.shared.connection);
            let Some(connection) = connection.as_ref() else { return Err(SyncError::Disabled) };
            let waiting = self.shared.driver.when_in_step();
            connection.hurry();
            waiting
        };
        match waiting.await {
            Ok(Ok(())) => self.nothing_held().and_then(|()| self.refused()),
            // Nothing was started for it.
            Ok(Err(not)) if not.reason == Reason::ConfirmationNeeded.to_string() => {
                self.nothing_held().and(Err(not.into()))
            }
            Ok(Err(not)) => Err(not.into()),
            Err(_) => Err(SyncError::Closed),
        }
    }

    /// Waits until everything is stored and merged here that the relay has when it is asked, of what this device wants of
    /// each space. What is pending here may still be on its way, for which see [`Replica::sync_now`].
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
    /// # let id = home.collection::<()>("notes")?.json().insert(&serde_json::json!({}))?;
    /// # let notes = phone.join_space(home.id())?.collection::<()>("notes")?;
    /// # laptop.connect(afield::Relay::new(relay.url()))?;
    /// # runtime.block_on(laptop.sync_now())?;
    /// # runtime.block_on(async {
    /// phone.connect(afield::Relay::new(relay.url()))?;
    /// phone.catch_up().await?;
    /// assert_eq!(notes.ids()?, [id]); // what a laptop had sent
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Sync is off, the relay could not be reached, or it does not serve a space; or no session stands, and none is begun because deletions
    /// that were made here wait to be confirmed ([`Space::held`]).
    pub async fn catch_up(&self) -> Result<(), SyncError> {
        let waiting = {
            let connection = lock(&self.shared.connection);
            let Some(connection) = connection.as_ref() else { return Err(SyncError::Disabled) };
            let waiting = self.shared.driver.when_caught_up();
            connection.hurry();
            waiting
        };
        match waiting.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not)) => Err(not.into()),
            Err(_) => Err(SyncError::Closed),
        }
    }

    /// What sync is doing.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// let status = replica.status()?;
    /// assert_eq!((status.state, status.pending_changes), (afield::SyncState::Disabled, 0));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn status(&self) -> Result<Status, StoreError> {
        let relay = lock(&self.shared.connection).as_ref().map(|connection| connection.address().to_string());
        let Shared { driver, reader, synchronous, .. } = &*self.shared;
        crate::status::gather(driver, reader, relay, *synchronous, self.shared.now())
    }

    /// What happens in sync from now on. A listener that falls behind misses the oldest events.
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
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # replica.create_space("Home")?;
    /// # runtime.block_on(async {
    /// let mut events = replica.events();
    /// replica.connect(afield::Relay::new(relay.url()))?;
    /// while !matches!(events.recv().await?, afield::SyncEvent::Completed { .. }) {}
    /// assert!(replica.status()?.last_synced_ms.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn events(&self) -> broadcast::Receiver<SyncEvent> {
        self.shared.driver.events()
    }

    /// Goes on from what is on disk after the store has failed: everything in memory is thrown away.
    ///
    /// The edit that failed is on disk or is not, all of it or nothing: read before you repeat it.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// // After an error that says that the store failed:
    /// replica.reload()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The file cannot be opened; editing stays refused.
    pub fn reload(&self) -> Result<(), OpenError> {
        self.shared.driver.reload(self.shared.now())?;
        if let Some(connection) = lock(&self.shared.connection).as_ref() {
            connection.wake();
        }
        Ok(())
    }

    pub(crate) fn on_shared(shared: &Arc<Shared>) -> Self {
        Self { shared: shared.clone() }
    }

    fn add_space(&self, id: SpaceId, name: &str, origin: Origin) -> Result<Space, SpaceError> {
        let at_ms = self.shared.now().wall_ms;
        let _ = self.shared.driver.with_store(|store| store.create_space(id, name, origin, at_ms))?;
        self.shared.driver.note_edit(id);
        self.shared.wake();
        Ok(Space::new(self.shared.clone(), id, name.to_owned()))
    }
}

impl Shared {
    pub(crate) fn now(&self) -> Now {
        self.clock.now()
    }

    pub(crate) fn fresh_entity(&self) -> EntityId {
        self.driver.fresh_id(self.now(), EntityId::new)
    }

    pub(crate) fn edit<R>(
        &self,
        target: &Target,
        edit: impl FnOnce(&mut Edit<'_>) -> Result<R, EditError>,
    ) -> Result<Edited<R>, EditError> {
        let edited =
            self.driver.edit(target, self.now(), edit).map_err(|failure: EditFailure<EditError>| failure.into());
        if edited.is_ok() && !self.wake() {
            self.driver.compact_edited(target.entity, self.now());
        }
        edited
    }

    pub(crate) fn read_document<R>(
        &self,
        target: &Target,
        read: impl FnOnce(&Document) -> R,
    ) -> Result<R, EntityError> {
        self.driver.read_document(target, self.now(), read)
    }

    pub(crate) fn write(&self, changes: Vec<(EntityId, ChangeHash)>) -> Write {
        Write { driver: Arc::downgrade(&self.driver), changes }
    }

    pub(crate) fn list(
        &self,
        space: SpaceId,
        collection: &Name,
        deleted: bool,
    ) -> Result<Vec<ProjectedEntity>, ReadError> {
        let mut rows = self.reader.list(&all_of(space, collection, deleted))?;
        for row in rows.iter_mut().filter(|row| row.stale) {
            match self.driver.current_projection(row.entity, self.now()) {
                Ok(Some(projection)) => (row.projection, row.stale) = (projection, false),
                // What cannot be opened is shown as it last was, as it is where nothing was stale.
                Ok(None) => {}
                Err(error) if error.is_of_this_entity_alone() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(rows)
    }

    pub(crate) fn ids(&self, space: SpaceId, collection: &Name, deleted: bool) -> Result<Vec<EntityId>, ReadError> {
        Ok(self.reader.ids(&all_of(space, collection, deleted))?)
    }

    pub(crate) fn collections(&self, space: SpaceId) -> Result<Vec<Name>, ReadError> {
        Ok(self.reader.collections(space)?.into_iter().map(|count| count.collection).collect())
    }

    /// Ends the connection. The thread may be waiting for an edit that is about to wake it, so the lock that waking
    /// takes is free again before the thread is waited for.
    fn end_connection(&self) {
        let connection = lock(&self.connection).take();
        drop(connection);
    }

    /// The address of the relay, and how to connect to it; `None` while sync is off.
    pub(crate) fn relay_parts(&self) -> Option<(RelayAddress, ClientOptions)> {
        lock(&self.connection).as_ref().map(Connection::parts)
    }

    pub(crate) fn is_connected(&self) -> bool {
        lock(&self.connection).is_some()
    }

    /// Wakes sync; false when it is off.
    pub(crate) fn wake(&self) -> bool {
        let connection = lock(&self.connection);
        connection.as_ref().map(Connection::wake).is_some()
    }
}

pub(crate) fn all_of(space: SpaceId, collection: &Name, deleted: bool) -> ListQuery<'_> {
    let (collection, deleted) = (Some(collection), Some(deleted));
    ListQuery { space, collection, deleted, after: None, limit: usize::MAX }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
