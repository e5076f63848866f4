//! What happens in sync, as a stream tells it.

use afield_core::policy::{Decision, Reason, Trigger};
use afield_core::wire::Class;
use afield_core::{DeviceId, Role, SpaceId};
use serde::Serialize;

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
    /// An invitation changed nothing, and was not used up here: this device may do as much in the space already, or it is good no more. Who
    /// is to do more needs one to a higher role, or an owner's grant.
    InvitationUnneeded {
        /// The space.
        space: SpaceId,
        /// What this device may do there.
        role: Role,
    },
    /// Another store with this device's identity was connected; this one took a new identity. What was written before is from now on that
    /// of another device: `Collection::undo` does not take it back, and it is not this device's side for
    /// [`Strategy::PreferThis`](crate::Strategy::PreferThis).
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
