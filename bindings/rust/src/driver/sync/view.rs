//! What sync shows of itself.

use super::plan::Plan;
use super::{Link, SpaceSync, Synchronization, Waiting};
use crate::driver::documents::lock;
use crate::driver::{Driver, LinkView, NotInStep, PlanView, SpaceView, View};
use afield_core::session::DeviceSession;
use afield_core::wire::Class;
use afield_core::{Now, SpaceId};

impl Driver {
    /// Copies what sync is doing for those who look, tells those who listen, and answers those who wait for it.
    pub(in crate::driver) fn publish(&self, sync: &mut Synchronization, now: Now) {
        let (link, retry_at_ms) = match &sync.link {
            Link::Off => (LinkView::Off, None),
            Link::Resting => (LinkView::Resting, None),
            Link::Waiting { until_ms, .. } => (LinkView::Waiting, Some(*until_ms)),
            Link::Connecting => (LinkView::Waiting, Some(now.monotonic_ms)),
            Link::Up { .. } => (LinkView::Up, None),
            Link::Stopped { class } => (LinkView::Stopped(*class), None),
        };
        let spaces = sync
            .spaces
            .iter()
            .map(|(space, state)| SpaceView {
                space: *space,
                in_step: sync.is_in_step(*space),
                refused: state.refused.clone(),
            })
            .collect();
        *lock(&self.view) = View {
            link,
            traffic: sync.traffic,
            merged: *lock(&self.merged),
            last_error: sync.last_error.clone(),
            sign_in: sync.sign_in(),
            retry_at_ms,
            spaces,
            plans: sync.plans.iter().map(|(space, plan)| sync.plan_view(*space, plan)).collect(),
            failures: sync.failures,
        };
        self.tell_what_happened(sync);
        self.answer_waiters(sync, now);
    }

    /// Notes of each space that is in step with the relay when it was.
    pub(super) fn note_in_step(&self, sync: &mut Synchronization, now: Now) {
        self.end_runs_in_step(sync, now);
    }

    /// Whether sync is on and nothing is left to do in any space.
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
    /// driver.handle_connected(now)?;
    /// assert!(!driver.is_in_step());
    /// driver.handle_messages([welcome.as_slice(), opened.as_slice(), caught_up.as_slice()], now)?; // of the relay
    /// assert!(driver.is_in_step());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_in_step(&self) -> bool {
        lock(&self.sync).are_all_in_step()
    }

    /// Whether a space is left alone because sessions kept breaking at one place of its log.
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
    /// # let other = Cursor::start(LogId::from_bytes([9; 16]));
    /// # let (channel, sequence, check) = (Channel(0), other.sequence, other.chain.check().into());
    /// # let wrong = wire::encode_to_device(&ToDevice::CaughtUp(wire::CaughtUp { channel, sequence, check, role: None }));
    /// driver.enable_sync(now);
    /// for minute in [0, 1, 2] {
    ///     let now = Now { monotonic_ms: minute * 60_000, ..now };
    ///     driver.handle_timeout(now)?; // wants to connect again
    ///     driver.handle_connected(now)?;
    ///     driver.handle_messages([welcome.as_slice(), opened.as_slice(), wrong.as_slice()], now)?; // of the relay
    /// }
    /// assert!(driver.has_blocked_spaces());
    /// # Ok(())
    /// # }
    /// ```
    pub fn has_blocked_spaces(&self) -> bool {
        lock(&self.sync).spaces.values().any(|state| state.blocked)
    }

    fn answer_waiters(&self, sync: &mut Synchronization, now: Now) {
        let mut waiters = lock(&self.waiters);
        let is_up = matches!(sync.link, Link::Up { .. });
        if is_up && sync.disappointment.is_none() && !lock(&self.edited).is_empty() {
            // Whoever made that edit wakes the driver, and what is said before does not hold for it.
            return;
        }
        match (sync.disappointment.take(), &sync.link) {
            (Some(not), _) => waiters.disappoint(not),
            (None, Link::Up { .. }) if sync.is_everything_here() => {
                // What is refused now is asked for again later; whoever waits is told why that may take long.
                let is_refused = sync.spaces.values().any(|state| state.refused.is_some());
                let answer = if is_refused { Err(sync.refusal()) } else { Ok(()) };
                waiters.answer(Waiting::CaughtUp, &answer);
                if sync.is_nothing_left() {
                    // What the relay could not read has gone in another form.
                    sync.was_unreadable = false;
                    waiters.answer(Waiting::InStep, &answer);
                }
                if waiters.is_question_due() {
                    waiters.ask();
                    drop(waiters);
                    self.ask_the_relay(sync, now);
                }
            }
            // While a retry is due nobody is disappointed: whoever asks after a failure asks for that retry.
            (None, Link::Up { .. } | Link::Connecting | Link::Waiting { .. } | Link::Resting) => {}
            (None, Link::Off) => {
                waiters.disappoint(NotInStep::new("sync is off", Class::Permanent));
            }
            (None, Link::Stopped { class }) => {
                let reason = sync.last_error.as_ref().map_or_else(String::new, |(reason, _)| reason.clone());
                waiters.disappoint(NotInStep { reason, class: *class, sign_in: sync.sign_in() });
            }
        }
    }

    /// Asks whether anything is still on its way here, unless that is asked already; who waits to know is answered by it, too.
    pub(in crate::driver) fn ask_whether_all_is_here(&self, sync: &mut Synchronization, now: Now) {
        if sync.is_everything_here() {
            lock(&self.waiters).ask();
            self.ask_the_relay(sync, now);
        }
    }

    /// Asks whether anything is still on its way here.
    pub(super) fn ask_the_relay(&self, sync: &mut Synchronization, now: Now) {
        let Synchronization { link: Link::Up { session, .. }, spaces, .. } = sync else { return };
        spaces.keys().for_each(|space| session.catch_up(*space, now));
        sync.flush_session();
        // With nobody to ask, the answer is there.
        if sync.is_everything_here() {
            self.answer_waiters(sync, now);
        }
    }
}

impl Synchronization {
    fn plan_view(&self, space: SpaceId, plan: &Plan) -> PlanView {
        PlanView {
            space,
            state: self.state_of(Some(space)),
            run: plan.run.as_ref().map(|run| (run.pending_before, run.received)),
            left: match &self.link {
                Link::Up { session, .. } => session.left(space),
                _ => None,
            },
            due_ms: plan.schedule.as_ref().and(plan.due_ms),
            last_synced_ms: plan.last_synced_ms,
        }
    }

    fn are_all_in_step(&self) -> bool {
        self.is_welcome() && self.spaces.keys().all(|space| self.is_in_step(*space))
    }

    /// Whether every space is in step or refused.
    pub(super) fn is_nothing_left(&self) -> bool {
        self.is_welcome()
            && self
                .spaces
                .iter()
                .all(|(space, state)| state.refused.is_some() || self.is_in_step(*space) || self.is_held(*space))
    }

    /// Whether of every space everything is merged here that the relay told of, or the space is refused.
    pub(super) fn is_everything_here(&self) -> bool {
        self.is_welcome() && self.spaces.iter().all(|(space, state)| state.refused.is_some() || self.is_here(*space))
    }

    /// Whether everything that is wanted of the space has arrived and is merged, as far as was told.
    pub(in crate::driver) fn is_here(&self, space: SpaceId) -> bool {
        let (Link::Up { session, .. }, Some(state)) = (&self.link, self.spaces.get(&space)) else { return false };
        let nothing_to_fetch = state.are_fetches_known && !state.has_backfills && session.fetches(space) == 0;
        session.is_caught_up(space) && nothing_to_fetch && self.unmerged.is_empty()
    }

    /// The spaces of which the relay has said that it sent everything, and everything is here: each once for each time that it did.
    pub(in crate::driver) fn told_of_everything(&mut self) -> Vec<SpaceId> {
        let is_told = |(space, state): (&SpaceId, &SpaceSync)| state.is_told.then_some(*space);
        let told: Vec<_> = self.spaces.iter().filter_map(is_told).filter(|space| self.is_here(*space)).collect();
        for state in self.spaces.iter_mut().filter(|(space, _)| told.contains(space)).map(|(_, state)| state) {
            state.is_told = false;
        }
        told
    }

    pub(super) fn is_welcome(&self) -> bool {
        matches!(&self.link, Link::Up { session, .. } if session.is_welcome())
    }

    /// Whether nothing is left to do for the space in this session.
    pub(super) fn is_in_step(&self, space: SpaceId) -> bool {
        let (Link::Up { session, .. }, Some(state)) = (&self.link, self.spaces.get(&space)) else { return false };
        let session: &DeviceSession = session;
        // With a receipt alone a change still counts as pending, and somebody who waited would be shown a number.
        let nothing_pending = state.outbox_empty && session.in_flight(space) == 0 && session.unproven(space) == 0;
        self.is_here(space) && nothing_pending
    }

    fn refusal(&self) -> NotInStep {
        let refused = self.spaces.iter().find_map(|(space, state)| Some((space, state.refused.as_ref()?)));
        let reason = refused.map_or_else(String::new, |(space, reason)| format!("space {space}: {reason}"));
        NotInStep::new(reason, Class::Permanent)
    }
}
