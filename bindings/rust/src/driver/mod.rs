//! The device's behaviour: one store, its open documents and its sync.
//!
//! Everything here is synchronous and takes time and randomness as arguments. `Replica` calls it with the system's
//! clock and a thread that moves its messages; the simulator calls it with virtual time. Neither has logic of its own.
//!
//! Locks are taken in this order and never against it: `sync`, then `many` (a transaction, the only one to wait for a
//! document while it has others), then documents, then `store`. An edit takes one document and the store; it waits for
//! sync only while that very document is being merged.

mod acknowledged;
mod compaction;
mod conflicts;
mod documents;
mod edit;
mod entity;
mod error;
mod guard;
mod leave;
mod look;
mod merge;
mod presence;
mod projection;
mod purge;
mod seen;
mod strategies;
mod sync;
#[cfg(test)]
mod tests;
mod trash;
mod undo;

pub(crate) use acknowledged::Acknowledged;
pub use compaction::{Compacted, CompactionProgress};
pub(crate) use edit::TransactionScope;
pub use edit::{EditFailure, Edited, Existence, Target};
pub use entity::EntityError;
pub(crate) use entity::document_of;

pub use error::DriverError;
pub(crate) use look::Took;
pub(crate) use presence::{Notice, Place, locked};
pub(crate) use projection::{
    DELETED_KEY, is_deleted_in, projection_of, projection_of_fields, split_deleted, split_deletion,
};
pub(crate) use strategies::Strategies;
pub use sync::Output;

use crate::sign_in::SignInReason;
use crate::status::{Merged, SyncEvent, Traffic};
use crate::watch::Observers;
use acknowledged::Acknowledgements;
use afield_core::document::{AUTHOR_BYTES_MAX, EditContext, Replay, VERDICT_RULES, fresh_actor};
use afield_core::policy::State;
use afield_core::wire::Class;
use afield_core::{ChangeHash, DeviceId, EntityId, Entropy, Incarnation, Limits, Now, SpaceId};
use afield_store::{OpenError, OutboxSize, Store, StoreError};
use automerge::ActorId;
use compaction::Growth;
use documents::{Documents, lock};
use look::Looking;
use purge::Traces;
use seen::Sightings;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use sync::{Synchronization, Waiters, Waiting};
use tokio::sync::{broadcast, oneshot};

/// How many events a listener may fall behind before it misses some.
const EVENTS_MAX: usize = 1_024;
/// After how many failures in a row that is told, unless another number is asked for: with the back-off, half a minute.
const FAILURES_TOLD: u32 = 5;

/// How many milliseconds behind the last edit a clock has to be to have been set back, rather than read twice.
const CLOCK_SET_BACK_MIN_MS: i64 = 1_000;

/// The device's behaviour.
pub struct Driver {
    sync: Mutex<Synchronization>,
    many: Mutex<()>,
    documents: Documents,
    growth: Growth,
    store: Mutex<Store>,
    entropy: Mutex<Box<dyn Entropy>>,
    /// Made at the first edit of this opening of the store (invariant D6).
    actor: Mutex<Option<ActorId>>,
    author: Mutex<Option<Arc<str>>>,
    /// What the last edit of this opening was labelled with, in milliseconds since the Unix epoch.
    labelled_ms: Mutex<i64>,
    incarnation: Incarnation,
    limits: Limits,
    pub(crate) observers: Observers,
    acknowledgements: Acknowledgements,
    sightings: Sightings,
    presences: presence::Presences,
    /// Spaces whose outbox has grown since the last look.
    edited: Mutex<BTreeSet<SpaceId>>,
    /// Spaces to which an invitation was stored since sync last looked at them.
    invited: Mutex<BTreeSet<SpaceId>>,
    /// What `status` shows, so that it need not wait for sync to pause.
    view: Mutex<View>,
    events: broadcast::Sender<SyncEvent>,
    device: Mutex<DeviceId>,
    /// Entities of which a merge left some changes to the next one. Held for a moment at a time, inside all other locks.
    unfinished: Mutex<BTreeSet<EntityId>>,
    waiters: Mutex<Waiters>,
    replay: Replay,
    merged: Mutex<Merged>,
    traces: Mutex<Traces>,
    recorder: Mutex<Option<sync::request::Recorder>>,
    failures_told: AtomicU32,
    guards: Mutex<guard::Guards>,
    /// What was merged and strategies have not been asked about. Held for a moment at a time, inside all other locks.
    unasked: Mutex<strategies::Unasked>,
    /// How often strategies were set.
    strategies_set: AtomicU64,
    /// Of a driver that only looks.
    looks: Option<Looking>,
}

/// Why waiting for the relay ended without being in step with it.
#[derive(Debug, Clone)]
pub struct NotInStep {
    /// What stands in the way.
    pub reason: String,
    /// What to do about it.
    pub class: Class,
    /// Why somebody has to sign in, where that is it and the relay said so.
    pub sign_in: Option<SignInReason>,
}

impl NotInStep {
    pub(crate) fn new(reason: impl Into<String>, class: Class) -> Self {
        Self { reason: reason.into(), class, sign_in: None }
    }
}

/// A copy of what sync is doing.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    pub(crate) link: LinkView,
    pub(crate) traffic: Traffic,
    pub(crate) merged: Merged,
    pub(crate) last_error: Option<(String, Class)>,
    pub(crate) sign_in: Option<SignInReason>,
    pub(crate) retry_at_ms: Option<u64>,
    pub(crate) spaces: Vec<SpaceView>,
    pub(crate) plans: Vec<PlanView>,
    pub(crate) failures: u32,
}

/// How a space is synced, for `status`.
#[derive(Debug, Clone)]
pub(crate) struct PlanView {
    pub(crate) space: SpaceId,
    pub(crate) state: State,
    /// What was pending when the run that goes on began, and the changes and bytes that it has received.
    pub(crate) run: Option<(OutboxSize, (u64, u64))>,
    /// How many changes are on their way from the relay, as far as it has said.
    pub(crate) left: Option<u64>,
    pub(crate) due_ms: Option<i64>,
    pub(crate) last_synced_ms: Option<i64>,
}

/// The connection, for `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum LinkView {
    #[default]
    Off,
    Resting,
    Waiting,
    Up,
    Stopped(Class),
}

/// A space in the running session, for `status`.
#[derive(Debug, Clone)]
pub(crate) struct SpaceView {
    pub(crate) space: SpaceId,
    pub(crate) in_step: bool,
    pub(crate) refused: Option<String>,
}

impl Driver {
    /// Starts on an open store: a new incarnation, and a new actor at the first edit. A new store gets its identity.
    ///
    /// What was received and not merged before the last end of the process is merged now.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use afield::store::{OpenOptions, Store};
    /// use afield::{Driver, Entropy, Now};
    ///
    /// struct System;
    /// impl Entropy for System {
    ///     fn fill(&mut self, bytes: &mut [u8]) {
    ///         getrandom::fill(bytes).expect("the system gives random bytes");
    ///     }
    /// }
    ///
    /// let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// let driver = Driver::new(Store::open_in_memory(&OpenOptions::default())?, Box::new(System), now)?;
    /// let device = driver.device();
    /// let again = Driver::new(driver.into_store(), Box::new(System), now)?; // as after a restart
    /// assert_eq!(again.device(), device);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read, or a new one not be written.
    pub fn new(store: Store, entropy: Box<dyn Entropy>, now: Now) -> Result<Self, DriverError> {
        Self::started(store, entropy, now, None)
    }

    fn started(
        mut store: Store,
        mut entropy: Box<dyn Entropy>,
        now: Now,
        looks: Option<Looking>,
    ) -> Result<Self, DriverError> {
        let incarnation = Incarnation::new(&mut *entropy);
        let device = match store.identity()? {
            Some(identity) => identity.device,
            None => {
                let device = DeviceId::new(now, &mut *entropy);
                let _ = store.adopt_device(device, now.wall_ms)?;
                device
            }
        };
        let traces = Traces::of(&store);
        let observers = Observers::default();
        let driver = Self {
            sync: Mutex::new(Synchronization::new()),
            unfinished: Mutex::default(),
            many: Mutex::default(),
            documents: Documents::telling(observers.share()),
            growth: Growth::default(),
            store: Mutex::new(store),
            entropy: Mutex::new(entropy),
            actor: Mutex::default(),
            author: Mutex::default(),
            labelled_ms: Mutex::new(i64::MIN),
            incarnation,
            limits: Limits::DEFAULT,
            observers,
            acknowledgements: Acknowledgements::default(),
            sightings: Sightings::default(),
            presences: presence::Presences::default(),
            edited: Mutex::default(),
            invited: Mutex::default(),
            view: Mutex::default(),
            events: broadcast::channel(EVENTS_MAX).0,
            waiters: Mutex::default(),
            replay: Replay::default(),
            merged: Mutex::default(),
            traces: Mutex::new(traces),
            recorder: Mutex::default(),
            failures_told: AtomicU32::new(FAILURES_TOLD),
            guards: Mutex::default(),
            unasked: Mutex::default(),
            strategies_set: AtomicU64::new(0),
            looks,
            device: Mutex::new(device),
        };
        driver.load_guards()?;
        driver.catch_up_with_the_store(now);
        Ok(driver)
    }

    /// Says whether changes from elsewhere are redone as edits where that gives the same bytes; they are by default.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Store};
    /// # use afield::{Driver, Entropy, Now, Replay};
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let store = Store::open_in_memory(&OpenOptions::default())?;
    /// let driver = Driver::new(store, Box::new(Zeros), now)?.with_replay(Replay::Off); // to compare the two
    /// # drop(driver);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_replay(self, replay: Replay) -> Self {
        Self { replay, ..self }
    }

    /// This device's identity.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Store};
    /// # use afield::{Driver, Entropy, Now};
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// let identity = driver.with_store(|store| store.identity())?.unwrap();
    /// assert_eq!(driver.device(), identity.device);
    /// # Ok(())
    /// # }
    /// ```
    pub fn device(&self) -> DeviceId {
        *lock(&self.device)
    }

    /// Gives the store back. Everything that lived in memory is gone, as after a crash.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Driver, Entropy, Now, SpaceId};
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// let store = driver.into_store();
    /// assert_eq!(store.spaces()?[0].name, "Home");
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_store(self) -> Store {
        self.store.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Runs `f` with the store.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Store};
    /// # use afield::{Driver, Entropy, Now, SpaceId};
    /// # use afield::store::Origin;
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// let space = SpaceId::from_bytes([1; 16]);
    /// let _ = driver.with_store(|store| store.create_space(space, "Home", Origin::MadeHere, now.wall_ms))?;
    /// assert_eq!(driver.with_store(|store| store.spaces())?[0].name, "Home");
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_store<T>(&self, f: impl FnOnce(&mut Store) -> T) -> T {
        f(&mut lock(&self.store))
    }

    /// Goes on from what is on disk after the store has failed (invariant D10), with a new actor (invariant D6).
    ///
    /// What is being edited meanwhile cannot be stored any more: it rests on what memory held before.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Driver, EntityId, Entropy, Existence, Now, SpaceId, Target};
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// # let entity = EntityId::from_bytes([2; 16]);
    /// # let target = Target { space, collection: "notes".parse()?, entity, existence: Existence::Either };
    /// driver.edit(&target, now, |edit| edit.put("title", "Milk"))?;
    /// driver.reload(now)?; // once a write has failed, such as for a full disk, and there is room again
    /// let title = driver.read_document(&target, now, |document| document.read_at("title"))??;
    /// assert_eq!(title, Some("Milk".into()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store cannot be opened again; it stays closed to writes.
    pub fn reload(&self, now: Now) -> Result<(), OpenError> {
        self.forget_and_reload()?;
        self.load_guards().map_err(OpenError::from)?;
        self.catch_up_with_the_store(now);
        // What failed may have been stored all the same, and then nobody has noted it for the outbox.
        let spaces = lock(&self.store).spaces().map_err(OpenError::from);
        lock(&self.edited).extend(spaces?.iter().map(|record| record.space));
        Ok(())
    }

    /// Throws away what memory holds of the store and opens it again.
    fn forget_and_reload(&self) -> Result<(), OpenError> {
        let mut store = lock(&self.store);
        self.documents.clear();
        *lock(&self.actor) = None;
        store.reload()
    }

    /// Merges what was received and not merged before the end of the process, or before the store failed. Where the
    /// store does not take it, each entity is merged when it is opened, or all with the next session.
    fn catch_up_with_the_store(&self, now: Now) {
        self.ask_strategies_about_anything();
        let retried = lock(&self.store).retry_judged_before(VERDICT_RULES).map_err(DriverError::from);
        if let Err(error) = retried.and_then(|_| self.merge_pending(now)) {
            tracing::warn!(%error, "what was received before is stored, and could not be merged yet");
            lock(&self.sync).is_behind = true;
        }
    }

    /// Says after how many failures in a row [`SyncEvent::FailingRepeatedly`] is told, and again after each so many; 0 for
    /// never.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Class, Driver, Entropy, Now, SpaceId, SyncEvent};
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// driver.tell_after_failures(1);
    /// let mut events = driver.events();
    /// driver.enable_sync(now);
    /// driver.handle_connect_failed("no network".into(), Class::Retry, None, now);
    /// let mut told = std::iter::from_fn(|| events.try_recv().ok());
    /// assert!(told.any(|event| matches!(event, SyncEvent::FailingRepeatedly { failures: 1, .. })));
    /// # Ok(())
    /// # }
    /// ```
    pub fn tell_after_failures(&self, failures: u32) {
        self.failures_told.store(failures, Ordering::Relaxed);
    }

    /// What happens in sync from now on.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Class, Driver, Entropy, Now, SpaceId, SyncEvent};
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// let mut events = driver.events();
    /// driver.enable_sync(now);
    /// driver.handle_connect_failed("no network".into(), Class::Retry, None, now);
    /// let mut told = std::iter::from_fn(|| events.try_recv().ok());
    /// assert!(told.any(|event| matches!(event, SyncEvent::Disconnected { class: Class::Retry, .. })));
    /// # Ok(())
    /// # }
    /// ```
    pub fn events(&self) -> broadcast::Receiver<SyncEvent> {
        self.events.subscribe()
    }

    /// Makes a new identity for an entity or a space.
    pub(crate) fn fresh_id<T>(&self, now: Now, make: fn(Now, &mut (dyn Entropy + 'static)) -> T) -> T {
        make(now, &mut **lock(&self.entropy))
    }

    /// Where the relay's word about a change will arrive; `None` when the change is known to be on the relay. Where an
    /// earlier change of the entity was refused, that word is there at once. It never comes, and the sender is dropped, where
    /// the change is not here any more.
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub(crate) fn acknowledged(
        &self,
        entity: EntityId,
        hash: ChangeHash,
    ) -> Result<Option<oneshot::Receiver<Acknowledged>>, StoreError> {
        let word = self.acknowledgements.wait(entity, hash);
        let store = lock(&self.store);
        match store.standing(entity, hash)? {
            Some((_, Some(_))) => {
                self.acknowledgements.tell(hash, Acknowledged::Durable);
                return Ok(None);
            }
            Some((_, None)) => {}
            None => self.acknowledgements.forget_change(hash),
        }
        if store.is_held_back(entity, hash)? {
            self.acknowledgements.tell(hash, Acknowledged::HeldBack);
        } else if let Some(block) = store.block_of(entity)? {
            self.acknowledgements.tell(hash, Acknowledged::Refused(block.code));
        }
        Ok(Some(word))
    }

    /// Tells once every space is in step with the relay as it stands from now on, or why that did not come about; call
    /// [`Driver::hurry`] after it.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Class, Driver, Entropy, Now, SpaceId};
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// driver.enable_sync(now);
    /// let mut in_step = driver.when_in_step();
    /// driver.hurry(now)?;
    /// driver.handle_connect_failed("no network".into(), Class::Retry, None, now);
    /// assert_eq!(in_step.try_recv()?.unwrap_err().reason, "no network");
    /// # Ok(())
    /// # }
    /// ```
    pub fn when_in_step(&self) -> oneshot::Receiver<Result<(), NotInStep>> {
        lock(&self.waiters).wait(Waiting::InStep)
    }

    /// Tells once everything is stored and merged here that the relay has of every space from now on, or why that did not
    /// come about; call [`Driver::hurry`] after it.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Driver, Entropy, Now, SpaceId};
    /// # use afield_core::wire::{self, CaughtUp, Channel, Opened, ToDevice, Welcome};
    /// # use afield_core::{Cursor, Limits, LogId};
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// # let cursor = Cursor::start(LogId::from_bytes([3; 16]));
    /// # let welcome = wire::encode_to_device(&ToDevice::Welcome(Welcome {
    /// #     version: wire::PROTOCOL_VERSION,
    /// #     session: afield::SessionId::from_bytes([4; 16]),
    /// #     limits: Limits::DEFAULT,
    /// #     spaces: Vec::new(),
    /// #     may_create: true,
    /// #     signals: true,
    /// # }));
    /// # let opened = wire::encode_to_device(&ToDevice::Opened(Opened { channel: Channel(0), log: cursor.log, role: None }));
    /// # let (channel, sequence, check) = (Channel(0), cursor.sequence, cursor.chain.check().into());
    /// # let caught_up = wire::encode_to_device(&ToDevice::CaughtUp(CaughtUp { channel, sequence, check, role: None }));
    /// driver.enable_sync(now);
    /// let mut caught_up_with_all = driver.when_caught_up();
    /// driver.hurry(now)?;
    /// driver.handle_connected(now)?;
    /// driver.handle_messages([welcome.as_slice(), opened.as_slice(), caught_up.as_slice()], now)?; // of the relay
    /// assert!(caught_up_with_all.try_recv()?.is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn when_caught_up(&self) -> oneshot::Receiver<Result<(), NotInStep>> {
        lock(&self.waiters).wait(Waiting::CaughtUp)
    }

    pub(crate) fn view(&self) -> View {
        lock(&self.view).clone()
    }

    /// Notes that a space's outbox has grown; whoever moves messages should call [`Driver::handle_wake`].
    pub(crate) fn note_edit(&self, space: SpaceId) {
        lock(&self.edited).insert(space);
    }

    fn emit(&self, event: SyncEvent) {
        // Nobody listening is no failure.
        let _ = self.events.send(event);
    }

    /// Names who edits from now on, or nobody, in every entity that is edited. At most
    /// [`AUTHOR_BYTES_MAX`](afield_core::document::AUTHOR_BYTES_MAX) bytes of it are kept.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Driver, EntityId, Entropy, Existence, Now, SpaceId, Target};
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// # let entity = EntityId::from_bytes([2; 16]);
    /// # let target = Target { space, collection: "notes".parse()?, entity, existence: Existence::Either };
    /// driver.set_author(Some("Ada"));
    /// let edited = driver.edit(&target, now, |edit| edit.put("title", "Milk"))?;
    /// let (_, change) = edited.changes[0];
    /// let made = driver.read_document(&target, now, |document| document.attribution(&change))?.unwrap();
    /// assert_eq!(made.author.as_deref(), Some("Ada"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_author(&self, author: Option<&str>) {
        let mut actor = lock(&self.actor);
        let author = author.map(|name| {
            let end = (0..=AUTHOR_BYTES_MAX.min(name.len())).rev().find(|end| name.is_char_boundary(*end));
            name.get(..end.unwrap_or(0)).unwrap_or_default()
        });
        let author = author.filter(|name| !name.is_empty());
        let mut present = lock(&self.author);
        if present.as_deref() != author {
            // An actor has one author.
            *actor = None;
            *present = author.map(Arc::from);
        }
    }

    /// Who edits, and when: under the actor of this opening, which is made at the first edit.
    fn edit_context(&self, now: Now) -> EditContext {
        let mut actor = lock(&self.actor);
        let actor = actor.get_or_insert_with(|| fresh_actor(self.device(), &mut **lock(&self.entropy))).clone();
        EditContext { author: lock(&self.author).clone(), ..EditContext::new(actor, now) }
    }

    /// The moment that an edit is labelled with: no two edits of this opening have the same, so that those of one
    /// transaction, which do, can be told from others when they are undone.
    fn label(&self, now: Now) -> Now {
        let mut last = lock(&self.labelled_ms);
        let is_set_back = now.wall_ms < last.saturating_sub(CLOCK_SET_BACK_MIN_MS);
        *last = if is_set_back { now.wall_ms } else { now.wall_ms.max(last.saturating_add(1)) };
        Now { wall_ms: *last, ..now }
    }
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver")
            .field("incarnation", &self.incarnation)
            .field("view", &*lock(&self.view))
            .finish_non_exhaustive()
    }
}
