//! What an interface shows about sync.

mod event;
mod gather;
mod plan;
mod whole;

pub use event::{RunFigures, SyncEvent};
pub(crate) use gather::{gather, of_store, refusals, refused_changes};

use crate::sign_in::SignInReason;
use afield_core::policy::{Direction, Reason};
use afield_core::{DeviceId, Role, SpaceId};
use afield_store::Synchronous;
use serde::Serialize;

/// What sync is doing, in one word.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use afield::SyncState;
///
/// let light = |state| match state {
///     SyncState::Idle => "green",
///     SyncState::Syncing => "turning",
///     SyncState::Disabled | SyncState::Offline => "grey",
///     _ => "red", // and `last_error` beside it
/// };
/// assert_eq!(light(replica.status()?.state), "grey");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SyncState {
    /// Sync is off: no task, socket or timer exists. Of a space: it is switched off, or all of it stays on this device.
    Disabled,
    /// Connected, and nothing is left to do.
    Idle,
    /// Connected, and changes are on their way in either direction.
    Syncing,
    /// The relay cannot be reached, or does not take this device now; the next attempt comes by itself.
    Offline,
    /// Something keeps a space or an entity back; `last_error` says what.
    Blocked,
    /// The relay wants a token, or a fresher one.
    NeedsSignIn,
    /// Trying again does not help; `last_error` says what would.
    Error,
}

/// Sync as a whole: what an interface shows, or decides by, and nothing else.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// # let notes = home.collection::<()>("notes")?.json();
/// use afield::SyncState;
///
/// notes.insert(&serde_json::json!({"title": "Milk"}))?;
/// let status = replica.status()?;
/// assert_eq!((status.state, status.pending_changes), (SyncState::Disabled, 1));
/// assert!(!status.can_sync_now && status.last_error.is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// What sync is doing: with the spaces that are synced, as one word. `Syncing` where any is, else `Offline` where any is, else
    /// `Blocked` where any is.
    pub state: SyncState,
    /// This device. An interface marks it in lists of devices and authors.
    #[serde(serialize_with = "as_text")]
    pub device: DeviceId,
    /// When an edit counts as stored on this device; `None` where the store is only read. A person who may lose the last edits has to
    /// be able to see it.
    #[serde(serialize_with = "in_a_word")]
    pub synchronous: Option<Synchronous>,
    /// The address of the relay, where sync is on. An interface shows with whom one syncs.
    pub relay: Option<String>,
    /// Up to when every space that is synced was in step with the relay, in milliseconds since the Unix epoch: the earliest of the
    /// spaces, where each was in step once.
    pub last_synced_ms: Option<i64>,
    /// What went wrong last, in words for a person: with the connection, or else with the first space that has something to tell.
    pub last_error: Option<String>,
    /// Why somebody has to sign in, where the state is [`SyncState::NeedsSignIn`]. It decides which form an interface shows: for a new token,
    /// or none while the account is closed.
    pub sign_in: Option<SignInReason>,
    /// When the next attempt is made, in milliseconds from now, where one is due. Beside "offline" it says that nobody has to do anything.
    pub retry_in_ms: Option<u64>,
    /// Whether "sync now" would start something in any space.
    pub can_sync_now: bool,
    /// How long "sync now" still rests, in milliseconds, where it would start nothing in any space.
    pub cooldown_ms: Option<u64>,
    /// When the first space goes on by itself, in milliseconds since the Unix epoch, where all that are synced are kept back.
    pub blocked_until_ms: Option<i64>,
    /// How far the runs are that go on, together.
    pub progress: Option<Progress>,
    /// Sessions and attempts that failed in a row. An interface leaves a person alone with the first, and speaks of the tenth.
    pub failures: u32,
    /// The age of the oldest change that is not known to be on the relay, in milliseconds.
    pub oldest_pending_age_ms: Option<u64>,
    /// Changes that are not known to be on the relay.
    pub pending_changes: u64,
    /// Chunks that this device could not accept; see `quarantined` of each space.
    pub quarantined: u64,
    /// What people have to decide, as far as it was worked out.
    pub conflicts: u64,
    /// Entities whose conflicts are still to be worked out: only where this is 0, `conflicts` is all there is, and an inbox need not
    /// say "at least".
    pub conflicts_behind: u64,
    /// What went over the wire since sync was switched on. People whose connection is paid by the byte ask for it.
    pub traffic: Traffic,
    /// What came from others and was merged since the replica was opened. An interface says with it that there is something new.
    pub merged: Merged,
    /// Every space, for an interface that shows each.
    pub spaces: Vec<SpaceStatus>,
}

/// Sync of one space: what an interface shows, or decides by, and nothing else.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// # let notes = home.collection::<()>("notes")?.json();
/// notes.insert(&serde_json::json!({"title": "Milk"}))?;
/// let space = &replica.status()?.spaces[0];
/// assert_eq!((space.space, space.name.as_str(), space.pending_changes), (home.id(), "Home", 1));
/// assert!(space.enabled && space.schedule.is_none()); // in step all the time, once connected
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SpaceStatus {
    /// The space. A person gives this id to whoever is to join it.
    #[serde(serialize_with = "as_text")]
    pub space: SpaceId,
    /// Its name on this device, which a list of spaces shows.
    pub name: String,
    /// What this device may do with it, as the relay said when it was in step last; `None` while the space has never been on a relay. An
    /// interface lets nobody write for nothing who may only read.
    #[serde(serialize_with = "as_name")]
    pub role: Option<Role>,
    /// What sync is doing with it.
    pub state: SyncState,
    /// Changes that are not known to be on the relay.
    pub pending_changes: u64,
    /// Their bytes, with which somebody on a slow connection sees how long it will take.
    pub pending_bytes: u64,
    /// Changes that the directions of their collections keep on this device ([`Space::set_direction`](crate::Space::set_direction));
    /// they are not pending. Whoever sees no pending changes has to see that these are nowhere else.
    pub held_back: u64,
    /// The age of the oldest of them, in milliseconds.
    pub oldest_pending_age_ms: Option<u64>,
    /// Which way its changes go as a whole: a space of which nothing is taken from others only sends. "In step" means something else then,
    /// and an interface says so.
    pub direction: Direction,
    /// Entities whose changes the relay refused, or that wait behind such a change. An interface warns that they are on this device alone
    /// ([`Replica::refusals`](crate::Replica::refusals) has the reasons).
    pub blocked_entities: u64,
    /// Chunks that this device could not accept. Their bytes are kept.
    pub quarantined: u64,
    /// Entities that were deleted here, more than may be unasked: nothing of the space is sent until somebody has confirmed it, and no
    /// session begins for it alone, so that nothing comes either where none stands. An interface asks for that.
    pub held_to_send: u64,
    /// Entities that others deleted, and that stay until somebody has confirmed it, or until a run is over. An interface asks for that, too.
    pub held_here: u64,
    /// What people have to decide, as far as it was worked out ([`Space::conflicts`](crate::Space::conflicts) does the rest).
    pub conflicts: u64,
    /// Entities of which that was not worked out since something came: those with long histories wait until somebody lists conflicts. An
    /// inbox shows that there may be more.
    pub conflicts_behind: u64,
    /// How far this device has the relay's log. Two people who compare it see on whose device something is missing.
    pub sequence: u64,
    /// How often the relay turned out to have lost history, which this device then repaired. Whoever hosts the relay has to learn of it.
    pub resets: u64,
    /// When that turned out the last time, in milliseconds since the Unix epoch: it is repaired once `last_synced_ms` is not before it, and
    /// an interface stops warning.
    pub last_reset_ms: Option<i64>,
    /// What went wrong last, in words for a person.
    pub last_error: Option<String>,
    /// Whether the relay does not serve the space, as `last_error` says: it knows no such space, or this device may not use it. An interface
    /// offers to ask for access, or to leave the space.
    pub refused: bool,
    /// Whether the space is synced at all while sync is on: the switch beside it.
    pub enabled: bool,
    /// Its schedule, in words, to be shown and changed; `None` for a space that is to be in step all the time.
    pub schedule: Option<String>,
    /// When the schedule is due, in milliseconds since the Unix epoch: "next at".
    pub next_at_ms: Option<i64>,
    /// Whether "sync now" would start something.
    pub can_sync_now: bool,
    /// How long "sync now" still rests, in milliseconds.
    pub cooldown_ms: Option<u64>,
    /// Until when the space is kept back, in milliseconds since the Unix epoch, where that ends by itself.
    pub blocked_until_ms: Option<i64>,
    /// How far the run is that goes on.
    pub progress: Option<Progress>,
    /// When the space was last in step with the relay, in milliseconds since the Unix epoch.
    pub last_synced_ms: Option<i64>,
    /// What keeps another attempt back.
    #[serde(skip)]
    pub(crate) why_not: Option<Reason>,
    /// Whether a session serves it now.
    #[serde(skip)]
    pub(crate) is_served: bool,
}

impl SpaceStatus {
    /// Whether it takes part in sync as soon as that is on.
    pub(crate) fn is_synced(&self) -> bool {
        self.enabled && self.direction != Direction::LocalOnly
    }
}

/// How far a run is.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use afield::Progress;
///
/// /// What stands beside a bar; nothing while no run goes on.
/// fn words(progress: Option<Progress>) -> Option<String> {
///     let Progress { up, down, .. } = progress?;
///     Some(format!("{} sent, {} received", up.done.chunks, down.done.chunks))
/// }
/// assert_eq!(words(replica.status()?.progress), None); // sync is off
/// assert_eq!(words(Some(Progress::default())).as_deref(), Some("0 sent, 0 received"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Progress {
    /// What goes to the relay: it counts as done once it is known to stand in the log.
    pub up: Way,
    /// What comes from the relay.
    pub down: Way,
}

/// One way of a run.
///
/// ```
/// use afield::Way;
///
/// /// How full a bar is; `None` as long as nobody knows how much it is.
/// fn part(way: &Way) -> Option<f64> {
///     way.total.map(|total| way.done.bytes as f64 / total.bytes.max(1) as f64)
/// }
/// assert_eq!(part(&Way::default()), None);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Way {
    /// What is done.
    pub done: Amount,
    /// All there is to do, as far as is known by now. How much comes from a relay is known with the first of it, its bytes by what has
    /// come; with a [filter](crate::Filter) it can turn out to be less.
    pub total: Option<Amount>,
}

/// So many chunks, and their bytes.
///
/// ```
/// use afield::Amount;
///
/// let nothing = Amount::default();
/// assert_eq!((nothing.chunks, nothing.bytes), (0, 0));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Amount {
    /// How many chunks.
    pub chunks: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Messages and bytes, both ways, as frames (the WebSocket's own headers left out).
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
/// notes.insert(&serde_json::json!({"title": "Milk"}))?;
/// laptop.connect(afield::Relay::new(relay.url()))?;
/// # runtime.block_on(laptop.sync_now())?;
/// let traffic = laptop.status()?.traffic;
/// assert_eq!(traffic.sessions, 1);
/// assert!(traffic.messages_sent > 0 && traffic.bytes_sent > 0);
/// # laptop.disconnect();
/// # runtime.block_on(relay.shutdown());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Traffic {
    /// Sessions started.
    pub sessions: u64,
    /// Messages sent.
    pub messages_sent: u64,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Messages received.
    pub messages_received: u64,
    /// Bytes received.
    pub bytes_received: u64,
}

/// How many changes of others became part of documents.
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
/// notes.insert(&serde_json::json!({"title": "Milk"}))?;
/// # sync(&laptop)?;
/// # sync(&phone)?;
/// assert_eq!(phone.status()?.merged.changes, 1); // what others wrote
/// assert_eq!(laptop.status()?.merged.changes, 0);
/// # runtime.block_on(relay.shutdown());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Merged {
    /// All of them.
    pub changes: u64,
    /// Those that were redone as edits, which costs the same in a short and in a long text. Of long texts that are slow to arrive it says
    /// whether merging is why.
    pub replayed: u64,
}

impl Merged {
    pub(crate) fn add(&mut self, more: &Self) {
        self.changes += more.changes;
        self.replayed += more.replayed;
    }
}

fn as_text<T: std::fmt::Display, S: serde::Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn as_name<S: serde::Serializer>(role: &Option<Role>, serializer: S) -> Result<S::Ok, S::Error> {
    role.map(Role::as_str).serialize(serializer)
}

fn in_a_word<S: serde::Serializer>(synchronous: &Option<Synchronous>, serializer: S) -> Result<S::Ok, S::Error> {
    let word = synchronous.map(|synchronous| match synchronous {
        Synchronous::Full => "full",
        Synchronous::Normal => "normal",
    });
    word.serialize(serializer)
}
