//! The connection to the relay, as the driver sees it.

use super::fetch::asked;
use super::history::End;
use super::plan::Plan;
use super::{Output, SpaceSync, Synchronization};
use crate::driver::documents::lock;
use crate::driver::{Driver, DriverError, NotInStep};
use crate::sign_in::SignInReason;
use crate::status::SyncEvent;
use afield_core::limits::{CLOSES_AT_ONE_CURSOR_MAX, SPACES_PER_SESSION_MAX};
use afield_core::policy::backoff::RECONNECT_MAX_MS;
use afield_core::policy::{Hold, Reason, Trigger, Wait};
use afield_core::session::{DeviceSession, Greeting, SessionError, SpaceOpening};
use afield_core::wire::{Class, GoodbyeCode};
use afield_core::{DeviceId, Filter, Now, Role, SpaceId};
use afield_store::{Origin, OutboxPosition, SpaceRecord};

/// How long a session has to live for the wait before the next to start small again, in milliseconds: as long as the
/// longest wait.
const STEADY_SESSION_MS: u64 = RECONNECT_MAX_MS;

/// The connection to the relay.
#[derive(Debug)]
pub(in crate::driver) enum Link {
    /// Sync is off.
    Off,
    /// Sync is on, and no session is wanted.
    Resting,
    /// The next attempt is due at this moment of the monotonic clock, and not wanted by the relay before what it asked for.
    Waiting { until_ms: u64, hold: Option<Hold> },
    /// Somebody was asked to connect.
    Connecting,
    /// A session runs, since this moment of the monotonic clock.
    Up { session: Box<DeviceSession>, since_ms: u64 },
    /// Trying again does not help until sync is switched on anew.
    Stopped { class: Class },
}

impl Driver {
    /// Switches sync on: the next [`Driver::poll_output`] asks to connect.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Driver, Entropy, Now, Output, SpaceId};
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// driver.enable_sync(now);
    /// assert_eq!(driver.poll_output(), Some(Output::Connect));
    /// # Ok(())
    /// # }
    /// ```
    pub fn enable_sync(&self, now: Now) {
        let mut sync = self.turn();
        self.merge_leftovers(&mut sync, now);
        let is_behind = sync.is_behind || !sync.unmerged.is_empty();
        self.close_history(&mut sync, now);
        let happened = std::mem::take(&mut sync.happened);
        *sync = Synchronization { is_behind, happened, ..Synchronization::new() };
        sync.link = Link::Resting;
        let known = self.load_lone_pushes(&mut sync).map_err(DriverError::from);
        if let Err(error) = known.and_then(|()| self.ask_policy(&mut sync, None, &Trigger::StartUp, now)) {
            self.lost(&mut sync, error.to_string(), error.class(), None, now);
        }
        self.publish(&mut sync, now);
        self.keep_history(&mut sync, now);
    }

    /// Switches sync off and forgets everything that belongs to a session.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Driver, Entropy, Now, Output, SpaceId};
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// driver.enable_sync(now);
    /// driver.handle_connected(now)?;
    /// driver.disable_sync(now);
    /// let outputs: Vec<_> = std::iter::from_fn(|| driver.poll_output()).collect();
    /// assert_eq!(outputs.last(), Some(&Output::Disconnect));
    /// assert_eq!(driver.poll_timeout(), None); // nothing is left to wait for
    /// # Ok(())
    /// # }
    /// ```
    pub fn disable_sync(&self, now: Now) {
        let mut sync = self.turn();
        if let Link::Up { .. } = sync.link {
            sync.transmit(DeviceSession::close(GoodbyeCode::Done));
            sync.outputs.push_back(Output::Disconnect);
        }
        sync.link = Link::Off;
        self.forget_seen(None);
        self.forget_presence(None);
        lock(&self.store).end_scan();
        for space in sync.everyone() {
            self.end_run(&mut sync, space, End::Stopped("sync was switched off"), now);
        }
        sync.spaces.clear();
        (sync.look_at_ms, sync.failures) = (None, 0);
        self.merge_leftovers(&mut sync, now);
        self.close_history(&mut sync, now);
        self.publish(&mut sync, now);
    }

    /// Asks for an attempt now, whatever the back-off says, but not before the moment that the relay named. While connected
    /// it asks the relay on behalf of those who wait, and while sync is off it does nothing.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Class, Driver, Entropy, Now, Output, SpaceId};
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// driver.enable_sync(now);
    /// assert_eq!(driver.poll_output(), Some(Output::Connect));
    /// driver.handle_connect_failed("no network".into(), Class::Retry, None, now);
    ///
    /// driver.hurry(now)?; // a person wants it now
    /// assert_eq!(driver.poll_output(), Some(Output::Connect));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn hurry(&self, now: Now) -> Result<(), DriverError> {
        let mut sync = self.turn();
        // Whoever came before the session began has been asked for with its `Open`s.
        let is_due = lock(&self.waiters).is_question_due();
        let decided = self.ask_policy_and_relay(&mut sync, None, &Trigger::Manual, is_due, now);
        if let Ok(decision) = &decided {
            // A person's wish goes before the jitter that was put on top of what the relay asked for.
            if let (Link::Waiting { until_ms, hold: Some(hold) }, Reason::RelayAsked | Reason::BudgetSpent) =
                (&mut sync.link, decision.reason())
            {
                *until_ms = now.monotonic_ms.max(hold.until_ms());
            }
            self.disappoint_unless_started(&mut sync, *decision, now);
        }
        let result = decided.and_then(|_| self.pump(&mut sync, now));
        self.finish(&mut sync, result, now)
    }

    /// Takes the word that the connection asked for stands: starts a session.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Driver, Entropy, Now, Output, SpaceId};
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// driver.enable_sync(now);
    /// assert_eq!(driver.poll_output(), Some(Output::Connect));
    /// driver.handle_connected(now)?; // once the socket is open
    /// assert!(matches!(driver.poll_output(), Some(Output::Transmit(_)))); // the first message of the session
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read or written; the connection is closed and tried again later.
    pub fn handle_connected(&self, now: Now) -> Result<(), DriverError> {
        let mut sync = self.turn();
        if !matches!(sync.link, Link::Connecting) {
            sync.outputs.push_back(Output::Disconnect);
            return Ok(());
        }
        let result = self.start_session(&mut sync, now);
        if let (Err(error), Link::Connecting) = (&result, &sync.link) {
            sync.outputs.push_back(Output::Disconnect);
            self.lost(&mut sync, error.to_string(), Class::Retry, None, now);
        }
        self.finish(&mut sync, result, now)
    }

    /// Takes the word that the connection asked for could not be made.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Class, Driver, Entropy, Now, SpaceId, Wait};
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// driver.enable_sync(now);
    /// let wait = Wait::Asked(5_000); // `503` with `Retry-After: 5`
    /// driver.handle_connect_failed("busy".into(), Class::Retry, Some(wait), now);
    /// assert!(driver.poll_timeout() >= Some(5_000)); // the next attempt
    /// # Ok(())
    /// # }
    /// ```
    pub fn handle_connect_failed(&self, reason: String, class: Class, wait: Option<Wait>, now: Now) {
        let mut sync = self.turn();
        if matches!(sync.link, Link::Connecting) {
            sync.refusal = (class == Class::SignIn).then_some(SignInReason::TokenRefused);
            self.lost(&mut sync, reason, class, wait, now);
        }
        self.publish(&mut sync, now);
    }

    /// Takes the word that the connection broke.
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
    /// driver.enable_sync(now);
    /// driver.handle_connected(now)?;
    /// driver.handle_disconnected("the socket was closed".into(), now);
    /// assert!(driver.poll_timeout().is_some()); // the next attempt comes by itself
    /// # Ok(())
    /// # }
    /// ```
    pub fn handle_disconnected(&self, reason: String, now: Now) {
        let mut sync = self.turn();
        if matches!(sync.link, Link::Up { .. } | Link::Connecting) {
            self.lost(&mut sync, reason, Class::Retry, None, now);
        }
        self.publish(&mut sync, now);
    }

    /// Takes the word that a message is on its way, in either direction, as on a slow line: the relay is not silent.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Driver, Entropy, Now, SpaceId};
    /// # use afield_core::wire::{self, Channel, Opened, ToDevice, Welcome};
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
    /// # driver.enable_sync(now);
    /// # driver.handle_connected(now)?;
    /// # driver.handle_messages([welcome.as_slice(), opened.as_slice()], now)?;
    /// let patience_ms = driver.poll_timeout();
    /// driver.handle_progress(Now { monotonic_ms: 20_000, ..now }); // half of a large message is here
    /// assert!(driver.poll_timeout() > patience_ms);
    /// # Ok(())
    /// # }
    /// ```
    pub fn handle_progress(&self, now: Now) {
        if let Some(session) = lock(&self.sync).session() {
            session.handle_progress(now);
        }
    }

    /// Handles the passing of time.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Class, Driver, Entropy, Now, Output, SpaceId};
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// driver.enable_sync(now);
    /// assert_eq!(driver.poll_output(), Some(Output::Connect));
    /// driver.handle_connect_failed("no network".into(), Class::Retry, None, now);
    ///
    /// let monotonic_ms = driver.poll_timeout().unwrap(); // sleep until then
    /// driver.handle_timeout(Now { monotonic_ms, ..now })?;
    /// assert_eq!(driver.poll_output(), Some(Output::Connect));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn handle_timeout(&self, now: Now) -> Result<(), DriverError> {
        self.look_at_traces(now);
        let mut sync = self.turn();
        let followed = self.follow_the_clocks(&mut sync, now);
        if let (Err(error), Link::Waiting { .. }) = (&followed, &sync.link) {
            // Nothing can be decided while the store fails, and it is not asked again at once.
            self.lost(&mut sync, error.to_string(), error.class(), None, now);
        }
        if let Some(Err(error)) = sync.session().map(|session| session.handle_timeout(now)) {
            self.broken(&mut sync, &error, now);
        }
        let result = followed.and_then(|()| self.ask_again_when_due(&mut sync, now));
        let result = result.and_then(|()| self.pump(&mut sync, now));
        self.finish(&mut sync, result, now)
    }

    /// The moment of the monotonic clock at which [`Driver::handle_timeout`] wants to be called.
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
    /// assert_eq!(driver.poll_timeout(), None); // sync is off
    /// driver.enable_sync(now);
    /// driver.handle_connect_failed("no network".into(), Class::Retry, None, now);
    /// assert!(driver.poll_timeout().is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub fn poll_timeout(&self) -> Option<u64> {
        let sync = lock(&self.sync);
        let of_link = match &sync.link {
            Link::Waiting { until_ms, .. } => Some(*until_ms),
            Link::Up { session, .. } => {
                let ask_again = sync.spaces.values().filter_map(|state| state.ask_again_ms);
                ask_again.chain(session.poll_timeout()).chain(self.presence_due_ms()).min()
            }
            Link::Resting | Link::Connecting => None,
            Link::Off | Link::Stopped { .. } => return None,
        };
        of_link.into_iter().chain(sync.look_at_ms).chain(self.traces_due_ms()).min()
    }

    /// The next thing to do for whoever moves this driver's messages.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Driver, Entropy, Now, Output, SpaceId};
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// let mut sent = Vec::new();
    /// driver.enable_sync(now);
    /// while let Some(output) = driver.poll_output() {
    ///     match output {
    ///         Output::Connect => driver.handle_connected(now)?, // once the socket is open
    ///         Output::Transmit(message) => sent.push(message),
    ///         Output::Disconnect => break,
    ///     }
    /// }
    /// assert!(!sent.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn poll_output(&self) -> Option<Output> {
        lock(&self.sync).outputs.pop_front()
    }

    /// Asks again for spaces that the relay refused: somebody may have created them, or let this device in.
    pub(super) fn ask_again_when_due(&self, sync: &mut Synchronization, now: Now) -> Result<(), DriverError> {
        let Synchronization { link: Link::Up { session, .. }, spaces, .. } = sync else { return Ok(()) };
        for (space, state) in spaces {
            if state.ask_again_ms.is_none_or(|at| at > now.monotonic_ms) {
                continue;
            }
            let store = lock(&self.store);
            let (record, asked) = (store.space(*space)?, asked(&store, *space)?);
            drop(store);
            (state.ask_again_ms, state.refused) = (None, None);
            (state.outbox, state.outbox_empty) = (OutboxPosition::START, false);
            state.forget_fetches();
            if let Some(record) = record {
                state.open(session, &record, asked, now);
            }
        }
        Ok(())
    }

    fn start_session(&self, sync: &mut Synchronization, now: Now) -> Result<(), DriverError> {
        // First, for nothing can be stored before.
        self.reload_when_poisoned(sync)?;
        if sync.is_behind {
            self.merge_pending(now)?;
            sync.is_behind = false;
        }
        self.refresh_plans(sync)?;
        let mut store = lock(&self.store);
        // Announced before it is told, so that whatever the relay knows of stands among the predecessors after a crash.
        let _ = store.announce(self.incarnation)?;
        let identity = store.identity()?.ok_or(afield_store::StoreError::Closed)?;
        let mut before = std::mem::take(&mut sync.spaces);
        store.unblock_all()?;
        let mut records = store.spaces()?;
        before.append(&mut sync.aside);
        for record in &records {
            let known = before.remove(&record.space).unwrap_or_default();
            if !sync.is_wanted(record.space) {
                sync.aside.insert(record.space, known);
                continue;
            }
            let state = SpaceSync {
                closes: known.closes,
                raw: known.raw,
                blocked: known.blocked,
                // What keeps the space back is not forgotten with the session that found it.
                refused: known.refused.filter(|_| known.blocked),
                refusals: known.refusals,
                ..Default::default()
            };
            sync.spaces.insert(record.space, state);
        }
        records.retain(|record| sync.spaces.get(&record.space).is_some_and(|state| !state.blocked));
        let asked: Vec<_> = records.iter().map(|record| asked(&store, record.space)).collect::<Result<_, _>>()?;
        drop(store);
        let greeting = Greeting {
            device: identity.device,
            incarnation: self.incarnation,
            predecessors: identity.announced.into_iter().filter(|earlier| *earlier != self.incarnation).collect(),
            guest_of: self.looks.as_ref().map(crate::driver::Looking::side),
            token: sync.fresher_token.clone(),
        };
        sync.is_token_untried = false;
        sync.traffic.sessions += 1;
        let mut session = Box::new(DeviceSession::new(greeting, [], now));
        if sync.was_unreadable {
            session.push_plainly();
        }
        for (record, asked) in records.iter().zip(asked) {
            if let Some(state) = sync.spaces.get_mut(&record.space) {
                state.open(&mut session, record, asked, now);
            }
        }
        for space in sync.everyone() {
            if sync.plan(space).is_some_and(Plan::is_wanted) {
                self.begin_run(sync, space, &Trigger::Retry, Reason::Wanted, now)?;
            }
        }
        sync.link = Link::Up { session, since_ms: now.monotonic_ms };
        // Each `Open` asks for whoever waits by now.
        lock(&self.waiters).ask();
        self.pump(sync, now)
    }

    /// Lets a store that has failed go on from what is on disk, so that a disk that is well again needs nobody's help.
    fn reload_when_poisoned(&self, sync: &mut Synchronization) -> Result<(), DriverError> {
        if !lock(&self.store).is_poisoned() {
            return Ok(());
        }
        tracing::warn!("the store had failed: going on from what is on disk");
        sync.is_behind = true;
        self.forget_and_reload().map_err(DriverError::Reload)?;
        // What could not be stored of what is held is found again.
        Ok(self.load_guards()?)
    }

    /// Ends a session that this side cannot go on with.
    pub(super) fn broken(&self, sync: &mut Synchronization, error: &SessionError, now: Now) {
        if let Link::Up { session, .. } = &sync.link
            && let Some(space) = session.fault()
        {
            let sequence = session.received(space).map_or(0, |cursor| cursor.sequence.get());
            self.count_close(sync, space, sequence, error);
        }
        let (code, wait) = match error {
            SessionError::Ended { code: GoodbyeCode::RateLimited, retry_after_ms } => {
                (GoodbyeCode::RateLimited, retry_after_ms.map(Wait::Limited))
            }
            SessionError::Ended { code, retry_after_ms } => (*code, retry_after_ms.map(Wait::Asked)),
            other => {
                sync.transmit(DeviceSession::close(other.code()));
                (other.code(), None)
            }
        };
        sync.was_unreadable |= matches!(error, SessionError::Ended { code: GoodbyeCode::BadFrame, .. });
        if code == GoodbyeCode::CopiedDevice {
            self.take_new_identity(sync, now);
        }
        sync.outputs.push_back(Output::Disconnect);
        sync.refusal = SignInReason::of(code);
        let reason = sync.refusal.map_or_else(|| error.to_string(), |why| why.to_string());
        self.lost(sync, reason, code.class(), wait, now);
    }

    fn count_close(&self, sync: &mut Synchronization, space: SpaceId, sequence: u64, error: &SessionError) {
        let Some(state) = sync.spaces.get_mut(&space) else { return };
        state.closes = if state.closes.0 == sequence { (sequence, state.closes.1 + 1) } else { (sequence, 1) };
        state.raw = matches!(error, SessionError::Batch { .. } | SessionError::Chain { .. });
        if state.closes.1 >= CLOSES_AT_ONE_CURSOR_MAX {
            state.blocked = true;
            state.refused = Some(error.to_string());
            tracing::warn!(%space, sequence, %error, "sessions keep breaking at one place of the log");
            sync.say(SyncEvent::SpaceBlocked { space });
        }
    }

    fn take_new_identity(&self, sync: &mut Synchronization, now: Now) {
        let device = DeviceId::new(now, &mut **lock(&self.entropy));
        match lock(&self.store).adopt_device(device, now.wall_ms) {
            Ok(_) => {
                // What is edited from now on names the new identity.
                let mut actor = lock(&self.actor);
                *lock(&self.device) = device;
                *actor = None;
                drop(actor);
                tracing::warn!(%device, "another store with this device's identity is connected: took a new identity");
                sync.say(SyncEvent::DeviceRenamed { device });
            }
            Err(error) => tracing::error!(%error, "could not store a new device identity"),
        }
    }

    /// The connection is gone: waits, or stops where trying again does not help.
    pub(super) fn lost(&self, sync: &mut Synchronization, reason: String, class: Class, wait: Option<Wait>, now: Now) {
        if let Link::Up { since_ms, .. } = sync.link
            && now.monotonic_ms.saturating_sub(since_ms) >= STEADY_SESSION_MS
        {
            sync.backoff.succeeded();
        }
        // The word may be about the token before the one that was given last, which is tried then, once.
        let is_about_old_token = class == Class::SignIn && std::mem::take(&mut sync.is_token_untried);
        let class = if is_about_old_token { Class::Retry } else { class };
        self.end_runs(sync, &reason, now);
        // What was moved in that session counts for no run to come.
        sync.spaces.values_mut().for_each(|space| (space.sent, space.received) = (0, 0));
        let is_wanted = |plan: &Plan| plan.is_wanted() || plan.is_owed;
        let is_anything_wanted = sync.everyone().into_iter().any(|space| sync.plan(space).is_some_and(is_wanted));
        sync.link = match class {
            Class::Retry | Class::Quota if !is_anything_wanted => Link::Resting,
            Class::Retry if is_about_old_token => Link::Waiting { until_ms: now.monotonic_ms, hold: None },
            Class::Retry | Class::Quota => {
                let wait_ms = sync.backoff.failed(wait.map(Wait::ms), &mut **lock(&self.entropy));
                let until_ms = now.monotonic_ms.saturating_add(wait_ms);
                Link::Waiting { until_ms, hold: wait.and_then(|wait| wait.hold(now)) }
            }
            Class::SignIn | Class::Upgrade | Class::Permanent => Link::Stopped { class },
        };
        self.forget_seen(None);
        self.forget_presence(None);
        lock(&self.store).end_scan();
        sync.look_at_schedules(now);
        tracing::info!(reason, ?class, "the session, or the attempt at one, ended");
        sync.last_error = Some((reason.clone(), class));
        self.merge_leftovers(sync, now);
        sync.disappointment = Some(NotInStep { reason: reason.clone(), class, sign_in: sync.sign_in() });
        sync.say(SyncEvent::Disconnected { reason, class });
    }

    /// Merges what was stored before the session ended.
    pub(super) fn merge_leftovers(&self, sync: &mut Synchronization, now: Now) {
        if let Err(error) = self.merge_received(sync, now) {
            tracing::error!(%error, "what was received is stored, and could not be merged yet");
        }
    }
}

impl Synchronization {
    pub(super) fn transmit(&mut self, message: Vec<u8>) {
        self.traffic.messages_sent += 1;
        self.traffic.bytes_sent += message.len() as u64;
        self.outputs.push_back(Output::Transmit(message));
    }
}

impl SpaceSync {
    /// Opens the space in a session, unless that has as many as it may.
    pub(super) fn open(&mut self, session: &mut DeviceSession, record: &SpaceRecord, asked: (Filter, bool), now: Now) {
        self.has_been_reset = record.resets > 0;
        self.is_invited = record.invitation.is_some();
        self.role_before = record.role.filter(|_| self.is_invited && !record.is_lost);
        if !session.open(opening(record, self.raw, asked), now) {
            self.refused = Some(format!("a session serves {SPACES_PER_SESSION_MAX} spaces, and this is one more"));
        }
    }

    /// Forgets what was asked for: the space is opened anew, and it is asked for again.
    pub(super) fn forget_fetches(&mut self) {
        self.fetches.clear();
        self.are_fetches_known = false;
    }
}

/// Whether the relay may create a space that it lacks: where it was made here and no relay has had it, and where a relay has said that this
/// device's user owns it. Who creates it owns it, so that one which a relay has lost is created by its owners alone: others, and who has
/// not been told yet, wait until it is there.
pub(super) fn may_create(record: &SpaceRecord) -> bool {
    match record.role {
        Some(role) => role == Role::Owner,
        None => record.origin == Origin::MadeHere,
    }
}

/// How a space is opened.
fn opening(record: &SpaceRecord, raw: bool, (filter, partial): (Filter, bool)) -> SpaceOpening {
    let create = may_create(record);
    let invitation = record.invitation.clone();
    SpaceOpening { space: record.space, cursor: record.cursor, create, raw, filter, partial, invitation }
}

#[cfg(test)]
mod tests;
