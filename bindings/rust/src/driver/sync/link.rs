//! The connection to the relay, as the driver sees it.

use super::{Output, Synchronization};
use crate::driver::documents::lock;
use crate::driver::{Driver, DriverError};
use crate::status::SyncEvent;
use afield_core::limits::CLOSES_AT_ONE_CURSOR_MAX;
use afield_core::session::{DeviceSession, Greeting, SessionError, SpaceOpening};
use afield_core::wire::{Class, GoodbyeCode};
use afield_core::{DeviceId, Now, SpaceId};
use afield_store::{Origin, OutboxPosition, SpaceRecord};

/// The connection to the relay.
#[derive(Debug)]
pub(in crate::driver) enum Link {
    /// Sync is off.
    Off,
    /// The next attempt is due at this moment of the monotonic clock.
    Waiting { until_ms: u64 },
    /// Somebody was asked to connect.
    Connecting,
    /// A session runs.
    Up { session: Box<DeviceSession> },
    /// Trying again does not help until sync is switched on anew.
    Stopped { class: Class },
}

impl Driver {
    /// Switches sync on: the next [`Driver::poll_output`] asks to connect.
    pub fn enable_sync(&self, now: Now) {
        let mut sync = lock(&self.sync);
        self.merge_leftovers(&mut sync, now);
        *sync = Synchronization { is_behind: sync.is_behind, ..Synchronization::new() };
        sync.link = Link::Waiting { until_ms: now.monotonic_ms };
        self.connect_when_due(&mut sync, now);
        self.publish(&sync, now);
    }

    /// Switches sync off and forgets everything that belongs to a session.
    pub fn disable_sync(&self, now: Now) {
        let mut sync = lock(&self.sync);
        if let Link::Up { .. } = sync.link {
            sync.transmit(DeviceSession::close(GoodbyeCode::Done));
            sync.outputs.push_back(Output::Disconnect);
        }
        sync.link = Link::Off;
        sync.spaces.clear();
        self.merge_leftovers(&mut sync, now);
        self.publish(&sync, now);
    }

    /// Asks for an attempt now, whatever the back-off says. Does nothing while sync is off or connected.
    pub fn hurry(&self, now: Now) {
        let mut sync = lock(&self.sync);
        if let Link::Waiting { until_ms } = &mut sync.link {
            *until_ms = now.monotonic_ms;
            self.connect_when_due(&mut sync, now);
        }
        self.publish(&sync, now);
    }

    /// Takes the word that the connection asked for stands: starts a session.
    ///
    /// # Errors
    ///
    /// The store could not be read or written; the connection is closed and tried again later.
    pub fn handle_connected(&self, now: Now) -> Result<(), DriverError> {
        let mut sync = lock(&self.sync);
        if !matches!(sync.link, Link::Connecting) {
            sync.outputs.push_back(Output::Disconnect);
            return Ok(());
        }
        let result = self.start_session(&mut sync, now);
        if let Err(error) = &result {
            self.lost(&mut sync, error.to_string(), Class::Retry, None, now);
        }
        self.publish(&sync, now);
        result
    }

    /// Takes the word that the connection asked for could not be made.
    pub fn handle_connect_failed(&self, reason: String, class: Class, retry_after_ms: Option<u64>, now: Now) {
        let mut sync = lock(&self.sync);
        if matches!(sync.link, Link::Connecting) {
            self.lost(&mut sync, reason, class, retry_after_ms, now);
        }
        self.publish(&sync, now);
    }

    /// Takes the word that the connection broke.
    pub fn handle_disconnected(&self, reason: String, now: Now) {
        let mut sync = lock(&self.sync);
        if matches!(sync.link, Link::Up { .. } | Link::Connecting) {
            self.lost(&mut sync, reason, Class::Retry, None, now);
        }
        self.publish(&sync, now);
    }

    /// Handles the passing of time.
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn handle_timeout(&self, now: Now) -> Result<(), DriverError> {
        let mut sync = lock(&self.sync);
        self.connect_when_due(&mut sync, now);
        if let Some(Err(error)) = sync.session().map(|session| session.handle_timeout(now)) {
            self.broken(&mut sync, &error, now);
        }
        let result = self.ask_again_when_due(&mut sync, now).and_then(|()| self.pump(&mut sync, now));
        self.publish(&sync, now);
        result
    }

    /// The moment of the monotonic clock at which [`Driver::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<u64> {
        let sync = lock(&self.sync);
        match &sync.link {
            Link::Waiting { until_ms } => Some(*until_ms),
            Link::Up { session } => {
                let ask_again = sync.spaces.values().filter_map(|state| state.ask_again_ms);
                ask_again.chain(session.poll_timeout()).min()
            }
            Link::Off | Link::Connecting | Link::Stopped { .. } => None,
        }
    }

    /// The next thing to do for whoever moves this driver's messages.
    pub fn poll_output(&self) -> Option<Output> {
        lock(&self.sync).outputs.pop_front()
    }

    fn connect_when_due(&self, sync: &mut Synchronization, now: Now) {
        if matches!(sync.link, Link::Waiting { until_ms } if now.monotonic_ms >= until_ms) {
            sync.link = Link::Connecting;
            sync.outputs.push_back(Output::Connect);
        }
    }

    /// Asks again for spaces that the relay refused: somebody may have created them, or let this device in.
    fn ask_again_when_due(&self, sync: &mut Synchronization, now: Now) -> Result<(), DriverError> {
        let Synchronization { link: Link::Up { session }, spaces, .. } = sync else { return Ok(()) };
        for (space, state) in spaces {
            if state.ask_again_ms.take_if(|at| *at <= now.monotonic_ms).is_none() {
                continue;
            }
            if let Some(record) = lock(&self.store).space(*space)? {
                (state.refused, state.outbox, state.outbox_empty) = (None, OutboxPosition::START, false);
                session.open(opening(&record, state.raw));
            }
        }
        Ok(())
    }

    fn start_session(&self, sync: &mut Synchronization, now: Now) -> Result<(), DriverError> {
        if std::mem::take(&mut sync.is_behind)
            && let Err(error) = self.merge_pending(now)
        {
            sync.is_behind = true;
            return Err(error);
        }
        let mut store = lock(&self.store);
        // Announced before it is told, so that whatever the relay knows of stands among the predecessors after a crash.
        let _ = store.announce(self.incarnation)?;
        let identity = store.identity()?.ok_or(afield_store::StoreError::Closed)?;
        let mut openings = Vec::new();
        let mut before = std::mem::take(&mut sync.spaces);
        for record in store.spaces()? {
            let _ = store.unblock_all(record.space)?;
            let known = before.remove(&record.space).unwrap_or_default();
            let state = super::SpaceSync {
                closes: known.closes,
                raw: known.raw,
                blocked: known.blocked,
                refusals: known.refusals,
                ..Default::default()
            };
            if !state.blocked {
                openings.push(opening(&record, state.raw));
            }
            sync.spaces.insert(record.space, state);
        }
        drop(store);
        let greeting = Greeting {
            device: identity.device,
            incarnation: self.incarnation,
            predecessors: identity.announced.into_iter().filter(|earlier| *earlier != self.incarnation).collect(),
            token: sync.token_in_frame.clone(),
        };
        sync.traffic.sessions += 1;
        sync.link = Link::Up { session: Box::new(DeviceSession::new(greeting, openings, now)) };
        self.pump(sync, now)
    }

    /// Ends a session that this side cannot go on with.
    pub(super) fn broken(&self, sync: &mut Synchronization, error: &SessionError, now: Now) {
        if let Link::Up { session } = &sync.link
            && let Some(space) = session.fault()
        {
            let sequence = session.received(space).map_or(0, |cursor| cursor.sequence.get());
            self.count_close(sync, space, sequence, error);
        }
        let (code, retry_after_ms) = match error {
            SessionError::Ended { code, retry_after_ms } => (*code, *retry_after_ms),
            other => {
                sync.transmit(DeviceSession::close(other.code()));
                (other.code(), None)
            }
        };
        if code == GoodbyeCode::CopiedDevice {
            self.take_new_identity(now);
        }
        sync.outputs.push_back(Output::Disconnect);
        self.lost(sync, error.to_string(), code.class(), retry_after_ms, now);
    }

    fn count_close(&self, sync: &mut Synchronization, space: SpaceId, sequence: u64, error: &SessionError) {
        let Some(state) = sync.spaces.get_mut(&space) else { return };
        state.closes = if state.closes.0 == sequence { (sequence, state.closes.1 + 1) } else { (sequence, 1) };
        state.raw = matches!(error, SessionError::Batch { .. } | SessionError::Chain { .. });
        if state.closes.1 >= CLOSES_AT_ONE_CURSOR_MAX {
            state.blocked = true;
            state.refused = Some(error.to_string());
            tracing::warn!(%space, sequence, %error, "sync.blocked: sessions keep breaking at one place of the log");
            self.emit(SyncEvent::SpaceBlocked { space });
        }
    }

    fn take_new_identity(&self, now: Now) {
        let device = DeviceId::new(now, &mut **lock(&self.entropy));
        match lock(&self.store).adopt_device(device, now.wall_ms) {
            Ok(_) => {
                *lock(&self.device) = device;
                tracing::warn!(%device, "another store with this device's identity is connected: took a new identity");
                self.emit(SyncEvent::DeviceRenamed { device });
            }
            Err(error) => tracing::error!(%error, "could not store a new device identity"),
        }
    }

    /// The connection is gone: waits, or stops where trying again does not help.
    fn lost(&self, sync: &mut Synchronization, reason: String, class: Class, retry_after_ms: Option<u64>, now: Now) {
        sync.link = match class {
            Class::Retry | Class::Quota => {
                let wait_ms = sync.backoff.failed(retry_after_ms, &mut **lock(&self.entropy));
                Link::Waiting { until_ms: now.monotonic_ms.saturating_add(wait_ms) }
            }
            Class::SignIn | Class::Upgrade | Class::Permanent => Link::Stopped { class },
        };
        tracing::info!(reason, ?class, "sync.failed");
        sync.last_error = Some((reason.clone(), class));
        self.merge_leftovers(sync, now);
        self.emit(SyncEvent::Disconnected { reason, class });
    }

    /// Merges what was stored before the session ended.
    fn merge_leftovers(&self, sync: &mut Synchronization, now: Now) {
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

/// How a space is opened: the relay may create it when it was made here, or when a relay has had it before.
pub(super) fn opening(record: &SpaceRecord, raw: bool) -> SpaceOpening {
    let create = record.origin == Origin::MadeHere || record.cursor.is_some();
    SpaceOpening { space: record.space, cursor: record.cursor, create, raw }
}
