//! What an interface shows about sync.

mod plan;

use crate::driver::{Driver, LinkView, SpaceView, View};
use crate::sign_in::SignInReason;
use afield_core::policy::{Decision, Direction, Reason, Trigger};
use afield_core::wire::{ChunkCode, Class};
use afield_core::{DeviceId, Now, SpaceId};
use afield_store::{Reader, SpaceFigures, SpaceRecord, StoreError, Synchronous};
use plan::{is_on, of_all, planned};
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
    /// Sync is off: no task, socket or timer exists.
    Disabled,
    /// Connected, and nothing is left to do.
    Idle,
    /// Connected, and changes are on their way in either direction.
    Syncing,
    /// The relay cannot be reached; the next attempt comes by itself.
    Offline,
    /// Something keeps a space or an entity back; `last_error` says what.
    Blocked,
    /// The relay wants a token, or a fresher one.
    NeedsSignIn,
    /// Trying again does not help; `last_error` says what would.
    Error,
}

/// Sync as a whole.
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
    /// What sync is doing.
    pub state: SyncState,
    /// This device.
    #[serde(serialize_with = "as_text")]
    pub device: DeviceId,
    /// When an edit counts as stored on this device; `None` where the store is only read.
    #[serde(serialize_with = "in_a_word")]
    pub synchronous: Option<Synchronous>,
    /// The address of the relay, where sync is on.
    pub relay: Option<String>,
    /// When every space was last in step with the relay, in milliseconds since the Unix epoch; as long as that was not so since the store
    /// was opened, the earliest of what is known of each from before.
    pub last_synced_ms: Option<i64>,
    /// What went wrong last, in words for a person.
    pub last_error: Option<String>,
    /// Why somebody has to sign in, where the state is [`SyncState::NeedsSignIn`].
    pub sign_in: Option<SignInReason>,
    /// When the next attempt is made, in milliseconds from now, where one is due.
    pub retry_in_ms: Option<u64>,
    /// Whether "sync now" would start something in any space.
    pub can_sync_now: bool,
    /// How long "sync now" still rests in every space, in milliseconds.
    pub cooldown_ms: Option<u64>,
    /// Until when every space is kept back, in milliseconds since the Unix epoch, where that ends by itself.
    pub blocked_until_ms: Option<i64>,
    /// How far the runs are that go on, together.
    pub progress: Option<Progress>,
    /// Sessions and attempts that failed in a row.
    pub failures: u32,
    /// The age of the oldest change that is not known to be on the relay, in milliseconds.
    pub oldest_pending_age_ms: Option<u64>,
    /// Changes that are not known to be on the relay.
    pub pending_changes: u64,
    /// Chunks that this device could not accept; see `quarantined` of each space.
    pub quarantined: u64,
    /// What people have to decide, as far as it was worked out.
    pub conflicts: u64,
    /// Entities whose conflicts are still to be worked out: only where this is 0, `conflicts` is all there is.
    pub conflicts_behind: u64,
    /// What went over the wire since sync was switched on.
    pub traffic: Traffic,
    /// What came from others and was merged since the replica was opened.
    pub merged: Merged,
    /// Every space.
    pub spaces: Vec<SpaceStatus>,
}

/// Sync of one space.
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
    /// The space.
    #[serde(serialize_with = "as_text")]
    pub space: SpaceId,
    /// Its name on this device.
    pub name: String,
    /// What sync is doing with it.
    pub state: SyncState,
    /// Changes that are not known to be on the relay.
    pub pending_changes: u64,
    /// Their bytes.
    pub pending_bytes: u64,
    /// Changes that the directions of their collections keep on this device ([`Space::set_direction`](crate::Space::set_direction));
    /// they are not pending.
    pub held_back: u64,
    /// The age of the oldest of them, in milliseconds.
    pub oldest_pending_age_ms: Option<u64>,
    /// Which way its changes go as a whole: a space of which nothing is taken from others only sends.
    pub direction: Direction,
    /// Entities whose changes the relay refused, or that wait behind such a change.
    pub blocked_entities: u64,
    /// Chunks that this device could not accept. Their bytes are kept.
    pub quarantined: u64,
    /// Entities that were deleted here, more than may be unasked: nothing of the space is sent until somebody has confirmed it.
    pub held_to_send: u64,
    /// Entities that others deleted, and that stay until somebody has confirmed it, or until a run is over.
    pub held_here: u64,
    /// What people have to decide, as far as it was worked out ([`Space::conflicts`](crate::Space::conflicts) does the rest).
    pub conflicts: u64,
    /// Entities of which that was not worked out since something came: those with long histories wait until somebody lists conflicts.
    pub conflicts_behind: u64,
    /// How far this device has the relay's log.
    pub sequence: u64,
    /// How often the relay turned out to have lost history, which this device then repaired.
    pub resets: u64,
    /// When that turned out the last time, in milliseconds since the Unix epoch: it is repaired once `last_synced_ms` is not before it.
    pub last_reset_ms: Option<i64>,
    /// What went wrong last, in words for a person.
    pub last_error: Option<String>,
    /// Whether the relay does not serve the space, as `last_error` says: it knows no such space, or this device may not use it.
    pub refused: bool,
    /// Whether the space is synced at all while sync is on.
    pub enabled: bool,
    /// Its schedule, in words; `None` for a space that is to be in step all the time.
    pub schedule: Option<String>,
    /// When the schedule is due, in milliseconds since the Unix epoch.
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
    /// Those that were redone as edits, which costs the same in a short and in a long text.
    pub replayed: u64,
}

impl Merged {
    pub(crate) fn add(&mut self, more: &Self) {
        self.changes += more.changes;
        self.replayed += more.replayed;
    }
}

/// Something that happened in sync, for those who listen.
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
/// use afield::SyncEvent;
///
/// notes.insert(&serde_json::json!({"title": "Milk"}))?;
/// let mut events = laptop.events();
/// laptop.connect(afield::Relay::new(relay.url()))?;
/// # runtime.block_on(async {
/// let sent = loop {
///     match events.recv().await? {
///         SyncEvent::Completed { space, figures, .. } if space == Some(home.id()) => break figures.changes_sent,
///         SyncEvent::Failed { reason, .. } => panic!("{reason}"),
///         _ => {}
///     }
/// };
/// assert_eq!(sent, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # laptop.disconnect();
/// # runtime.block_on(relay.shutdown());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyncEvent {
    /// A session with the relay stands.
    Connected,
    /// The session ended; the next attempt comes by itself unless the class says otherwise.
    Disconnected {
        /// Why, in words for a person.
        reason: String,
        /// What would help.
        class: Class,
    },
    /// The space is in step with the relay, up to what was durable when it was opened.
    CaughtUp {
        /// The space.
        space: SpaceId,
    },
    /// Something that was asked for of the space is here.
    Fetched {
        /// The space.
        space: SpaceId,
    },
    /// The relay had lost history of this space: everything held here is offered to it again.
    Reset {
        /// The space.
        space: SpaceId,
    },
    /// A change or chunk from others was not accepted; its bytes are kept.
    Quarantined {
        /// The space.
        space: SpaceId,
        /// The entity.
        entity: afield_core::EntityId,
        /// Why.
        reason: String,
    },
    /// The relay refused a change; later changes of the entity wait behind it.
    ChangeRefused {
        /// The space.
        space: SpaceId,
        /// The entity.
        entity: afield_core::EntityId,
        /// Why.
        code: afield_core::wire::ChunkCode,
    },
    /// An entity was purged, here or by another device: nothing of it is left.
    Purged {
        /// The space.
        space: SpaceId,
        /// The entity.
        entity: afield_core::EntityId,
    },
    /// The relay does not serve the space.
    SpaceRefused {
        /// The space.
        space: SpaceId,
        /// Why.
        code: afield_core::wire::SpaceCode,
    },
    /// Three sessions in a row broke at the same place in the space's log; it is left alone until sync is switched on anew.
    SpaceBlocked {
        /// The space.
        space: SpaceId,
    },
    /// Somebody named a trigger, and the policy decided. Edits are not told of one by one.
    Requested {
        /// The space; `None` for a device without one.
        space: Option<SpaceId>,
        /// What happened.
        trigger: Trigger,
        /// What that leads to.
        decision: Decision,
    },
    /// A run began.
    Started {
        /// The space; `None` for a device without one.
        space: Option<SpaceId>,
        /// What led to it.
        trigger: Trigger,
        /// Why that does.
        reason: Reason,
    },
    /// A run goes on; told now and then.
    Progress {
        /// The space.
        space: SpaceId,
        /// Changes pushed.
        changes_sent: u64,
        /// Changes that came, also those that were here already, as when a filter was widened.
        changes_received: u64,
        /// Their bytes.
        bytes_received: u64,
    },
    /// A trigger led to nothing, since something stands in the way.
    Blocked {
        /// The space; `None` for a device without one.
        space: Option<SpaceId>,
        /// What.
        reason: Reason,
        /// When that ends by itself, in milliseconds since the Unix epoch, where it does.
        blocked_until_ms: Option<i64>,
    },
    /// More was deleted than may be unasked: it waits until somebody has confirmed it, see [`Space::held`](crate::Space::held).
    Held {
        /// The space.
        space: SpaceId,
        /// How many entities.
        deletions: u64,
        /// Whether others deleted them, and they are still there here; otherwise they were deleted here, and nothing of the space is
        /// sent meanwhile.
        received: bool,
    },
    /// A run is in step: both sides have everything.
    Completed {
        /// The space; `None` for a device without one.
        space: Option<SpaceId>,
        /// What led to it.
        trigger: Trigger,
        /// What it moved.
        figures: RunFigures,
    },
    /// A run ended without being in step.
    Failed {
        /// The space; `None` for a device without one.
        space: Option<SpaceId>,
        /// What led to it.
        trigger: Trigger,
        /// Why, in words for a person.
        reason: String,
        /// Sessions and attempts that failed in a row; where the relay refused something, or a guard held it back, runs of the space in a
        /// row of which it did.
        failures: u32,
        /// What it moved.
        figures: RunFigures,
    },
    /// So many sessions and attempts in a row have failed, or so many runs of one space were refused something: see
    /// `Replica::tell_after_failures`.
    FailingRepeatedly {
        /// The space; `None` where there was no session for any.
        space: Option<SpaceId>,
        /// How many.
        failures: u32,
        /// Why the last did, in words for a person.
        reason: String,
    },
    /// Another store with this device's identity was connected; this one took a new identity.
    DeviceRenamed {
        /// The new identity.
        device: DeviceId,
    },
}

/// What a run moved, and how long it took.
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
/// let run = home.runs(10)?.into_iter().find(|run| run.outcome.as_deref() == Some("completed")).expect("there was one");
/// assert_eq!((run.figures.changes_sent, run.figures.changes_received), (1, 0));
/// assert!(run.figures.bytes_sent > 0);
/// # runtime.block_on(relay.shutdown());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RunFigures {
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Changes and erasure records pushed, without what the relay had already, and without changes of what turned out to be purged.
    pub changes_sent: u64,
    /// Changes received that were not here, without those of what is purged.
    pub changes_received: u64,
    /// Bytes of frames sent meanwhile, of whatever space.
    pub bytes_sent: u64,
    /// Bytes of frames received meanwhile, of whatever space.
    pub bytes_received: u64,
}

/// Gathers the status from the store and what sync shows of itself.
pub(crate) fn gather(
    driver: &Driver,
    reader: &Reader,
    relay: Option<String>,
    synchronous: Synchronous,
    now: Now,
) -> Result<Status, StoreError> {
    of_store(&driver.view(), driver.device(), reader, relay, Some(synchronous), now)
}

/// Gathers the status from the store and what is known of sync.
pub(crate) fn of_store(
    view: &View,
    device: DeviceId,
    reader: &Reader,
    relay: Option<String>,
    synchronous: Option<Synchronous>,
    now: Now,
) -> Result<Status, StoreError> {
    let records = reader.spaces()?.into_iter();
    let settings = reader.sync_settings()?;
    let spaces = records.map(|record| {
        let settings = settings.iter().find(|settings| settings.space == record.space);
        let conflicts = reader.conflict_count(record.space)?;
        let conflicts_behind = reader.conflicts_behind(record.space)?;
        let held_to_send = reader.held_to_send(record.space, now.wall_ms)?.len() as u64;
        let held = reader.held_deletions(record.space)?;
        let held_here = held.iter().filter(|held| !held.is_confirmed).count() as u64;
        let status = space_status(view, reader.figures(record.space)?, record, now);
        let last_error = match status.last_error {
            None if status.state == SyncState::Blocked => refused_changes(reader, status.space)?,
            known => known,
        };
        let direction = reader.space_direction(status.space)?;
        let status = held_back(SpaceStatus {
            conflicts,
            conflicts_behind,
            held_to_send,
            held_here,
            last_error,
            direction,
            ..status
        });
        Ok(planned(view, status, settings, now))
    });
    let spaces: Vec<_> = spaces.collect::<Result<_, StoreError>>()?;
    Ok(Status {
        state: overall(view, &spaces),
        device,
        synchronous,
        relay,
        last_synced_ms: view.last_synced_ms.or_else(|| synced_before(&spaces)),
        last_error: view
            .last_error
            .as_ref()
            .map(|(reason, _)| reason.clone())
            .or_else(|| spaces.iter().find_map(|space| space.last_error.clone())),
        sign_in: view.sign_in,
        retry_in_ms: view.retry_at_ms.map(|at| at.saturating_sub(now.monotonic_ms)),
        can_sync_now: spaces.iter().any(|space| space.can_sync_now) || spaces.is_empty() && is_on(view),
        cooldown_ms: of_all(spaces.iter().map(|space| space.cooldown_ms)),
        blocked_until_ms: of_all(spaces.iter().map(|space| space.blocked_until_ms)),
        progress: plan::together(spaces.iter().filter_map(|space| space.progress)),
        failures: view.failures,
        oldest_pending_age_ms: spaces.iter().filter_map(|space| space.oldest_pending_age_ms).max(),
        pending_changes: spaces.iter().map(|space| space.pending_changes).sum(),
        quarantined: spaces.iter().map(|space| space.quarantined).sum(),
        conflicts: spaces.iter().map(|space| space.conflicts).sum(),
        conflicts_behind: spaces.iter().map(|space| space.conflicts_behind).sum(),
        traffic: view.traffic,
        merged: view.merged,
        spaces,
    })
}

/// Up to when every space that is synced was in step before this opening, as the store remembers it of each.
fn synced_before(spaces: &[SpaceStatus]) -> Option<i64> {
    let synced = spaces.iter().filter(|space| space.enabled && space.direction != Direction::LocalOnly);
    of_all(synced.map(|space| space.last_synced_ms))
}

/// Why the relay refuses changes of some spaces, and of how many entities each.
pub(crate) fn refusals(
    reader: &Reader,
    spaces: impl IntoIterator<Item = SpaceId>,
) -> Result<Vec<(ChunkCode, u64)>, StoreError> {
    let mut refusals: Vec<(ChunkCode, u64)> = Vec::new();
    for space in spaces {
        for block in reader.blocked(space)? {
            match refusals.iter_mut().find(|(code, _)| *code == block.code) {
                Some((_, entities)) => *entities += 1,
                None => refusals.push((block.code, 1)),
            }
        }
    }
    Ok(refusals)
}

/// What a relay refuses of a space, in words for a person.
pub(crate) fn refused_changes(reader: &Reader, space: SpaceId) -> Result<Option<String>, StoreError> {
    let in_words = |(code, entities): (ChunkCode, u64)| {
        let entities = if entities == 1 { "1 entity".to_owned() } else { format!("{entities} entities") };
        format!("changes of {entities}: {code}")
    };
    let refusals: Vec<_> = refusals(reader, [space])?.into_iter().map(in_words).collect();
    Ok(Some(refusals.join("; ")).filter(|words| !words.is_empty()))
}

fn overall(view: &View, spaces: &[SpaceStatus]) -> SyncState {
    match view.link {
        LinkView::Up if spaces.iter().any(|space| space.state == SyncState::Syncing) => SyncState::Syncing,
        LinkView::Up | LinkView::Resting if spaces.iter().any(|space| space.state == SyncState::Blocked) => {
            SyncState::Blocked
        }
        link => state_of(link),
    }
}

fn state_of(link: LinkView) -> SyncState {
    match link {
        LinkView::Off => SyncState::Disabled,
        LinkView::Waiting => SyncState::Offline,
        LinkView::Up | LinkView::Resting => SyncState::Idle,
        LinkView::Stopped(Class::SignIn) => SyncState::NeedsSignIn,
        LinkView::Stopped(_) => SyncState::Error,
    }
}

fn space_status(view: &View, figures: SpaceFigures, record: SpaceRecord, now: Now) -> SpaceStatus {
    let live: Option<&SpaceView> = view.spaces.iter().find(|live| live.space == record.space);
    let refused = live.and_then(|live| live.refused.clone());
    let state = match (view.link, live) {
        (LinkView::Up, Some(_)) if refused.is_some() || figures.blocked > 0 => SyncState::Blocked,
        (LinkView::Up, Some(live)) if !live.in_step => SyncState::Syncing,
        (link, _) => state_of(link),
    };
    let age = |since: i64| u64::try_from(now.wall_ms.saturating_sub(since)).unwrap_or(0);
    SpaceStatus {
        space: record.space,
        name: record.name,
        state,
        pending_changes: figures.outbox.changes,
        pending_bytes: figures.outbox.bytes,
        held_back: figures.held_back,
        direction: Direction::Both,
        oldest_pending_age_ms: figures.outbox.oldest_ms.map(age),
        blocked_entities: figures.blocked,
        quarantined: figures.quarantined,
        held_to_send: 0,
        held_here: 0,
        conflicts: 0,
        conflicts_behind: 0,
        sequence: record.cursor.map_or(0, |cursor| cursor.sequence.get()),
        resets: record.resets,
        last_reset_ms: record.last_reset_ms,
        refused: refused.is_some(),
        last_error: refused,
        enabled: true,
        schedule: None,
        next_at_ms: None,
        can_sync_now: false,
        cooldown_ms: None,
        blocked_until_ms: None,
        progress: None,
        last_synced_ms: None,
        why_not: None,
    }
}

/// Says what stands in the way where deletions wait to be confirmed that were made here.
fn held_back(status: SpaceStatus) -> SpaceStatus {
    if status.held_to_send == 0 || matches!(status.state, SyncState::Disabled) {
        return status;
    }
    let state = match status.state {
        SyncState::Idle | SyncState::Syncing => SyncState::Blocked,
        state => state,
    };
    let held = status.held_to_send;
    let words = format!("{held} deletions made here wait to be confirmed, and nothing of the space is sent meanwhile");
    SpaceStatus { state, last_error: status.last_error.or(Some(words)), ..status }
}

fn as_text<T: std::fmt::Display, S: serde::Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn in_a_word<S: serde::Serializer>(synchronous: &Option<Synchronous>, serializer: S) -> Result<S::Ok, S::Error> {
    let word = synchronous.map(|synchronous| match synchronous {
        Synchronous::Full => "full",
        Synchronous::Normal => "normal",
    });
    word.serialize(serializer)
}
