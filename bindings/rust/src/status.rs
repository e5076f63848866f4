//! What an interface shows about sync.

use crate::driver::{Driver, LinkView, SpaceView, View};
use afield_core::wire::{ChunkCode, Class};
use afield_core::{DeviceId, Now, SpaceId};
use afield_store::{Reader, SpaceFigures, SpaceRecord, StoreError, Synchronous};
use serde::Serialize;

/// What sync is doing, in one word.
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
    /// When every space was last in step with the relay, in milliseconds since the Unix epoch.
    pub last_synced_ms: Option<i64>,
    /// What went wrong last, in words for a person.
    pub last_error: Option<String>,
    /// When the next attempt is made, in milliseconds from now, where one is due.
    pub retry_in_ms: Option<u64>,
    /// Changes that are not known to be on the relay.
    pub pending_changes: u64,
    /// Chunks that this device could not accept; see `quarantined` of each space.
    pub quarantined: u64,
    /// What went over the wire since sync was switched on.
    pub traffic: Traffic,
    /// What came from others and was merged since the replica was opened.
    pub merged: Merged,
    /// Every space.
    pub spaces: Vec<SpaceStatus>,
}

/// Sync of one space.
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
    /// The age of the oldest of them, in milliseconds.
    pub oldest_pending_age_ms: Option<u64>,
    /// Entities whose changes the relay refused, or that wait behind such a change.
    pub blocked_entities: u64,
    /// Chunks that this device could not accept. Their bytes are kept.
    pub quarantined: u64,
    /// How far this device has the relay's log.
    pub sequence: u64,
    /// How often the relay turned out to have lost history, which this device then repaired.
    pub resets: u64,
    /// What went wrong last, in words for a person.
    pub last_error: Option<String>,
}

/// Messages and bytes, both ways, as frames (the WebSocket's own headers left out).
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
    /// Another store with this device's identity was connected; this one took a new identity.
    DeviceRenamed {
        /// The new identity.
        device: DeviceId,
    },
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
    let spaces = records.map(|record| Ok(space_status(view, reader.figures(record.space)?, record, now)));
    let spaces: Vec<_> = spaces.collect::<Result<_, StoreError>>()?;
    Ok(Status {
        state: overall(view, &spaces),
        device,
        synchronous,
        relay,
        last_synced_ms: view.last_synced_ms,
        last_error: view.last_error.as_ref().map(|(reason, _)| reason.clone()),
        retry_in_ms: view.retry_at_ms.map(|at| at.saturating_sub(now.monotonic_ms)),
        pending_changes: spaces.iter().map(|space| space.pending_changes).sum(),
        quarantined: spaces.iter().map(|space| space.quarantined).sum(),
        traffic: view.traffic,
        merged: view.merged,
        spaces,
    })
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

fn overall(view: &View, spaces: &[SpaceStatus]) -> SyncState {
    match view.link {
        LinkView::Up if spaces.iter().any(|space| space.state == SyncState::Syncing) => SyncState::Syncing,
        LinkView::Up if spaces.iter().any(|space| space.state == SyncState::Blocked) => SyncState::Blocked,
        link => state_of(link),
    }
}

fn state_of(link: LinkView) -> SyncState {
    match link {
        LinkView::Off => SyncState::Disabled,
        LinkView::Waiting => SyncState::Offline,
        LinkView::Up => SyncState::Idle,
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
        oldest_pending_age_ms: figures.outbox.oldest_ms.map(age),
        blocked_entities: figures.blocked,
        quarantined: figures.quarantined,
        sequence: record.cursor.map_or(0, |cursor| cursor.sequence.get()),
        resets: record.resets,
        last_error: refused,
    }
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
