//! The one way to a sync: somebody names a trigger, the policy decides, and what it starts is started here.

use super::history::End;
use super::plan::{Plan, Run};
use super::{Link, Output, SpaceSync, Synchronization};
use crate::driver::documents::lock;
use crate::driver::{Driver, DriverError, NotInStep};
use crate::schedule::Schedule;
use crate::status::SyncEvent;
use afield_core::policy::{Decision, Reason, TraceLine, Trigger, evaluate};
use afield_core::session::DeviceSession;
use afield_core::wire::{Class, GoodbyeCode};
use afield_core::{Now, SpaceId};
use afield_store::{OutboxSize, SpaceError};

/// Takes each decision as it is made.
pub(in crate::driver) type Recorder = Box<dyn FnMut(&TraceLine) + Send>;

impl Driver {
    /// Says that something has happened after which a space, or every one, may be out of step. The policy decides whether
    /// that leads to a sync; of several decisions the one that starts something is answered, or else one that skips.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Decision, Driver, Entropy, Now, Reason, SpaceId, Trigger};
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// let decision = driver.request(Some(space), &Trigger::Manual, now)?;
    /// assert_eq!(decision, Decision::block(Reason::SyncOff, None));
    ///
    /// driver.enable_sync(now);
    /// let decision = driver.request(Some(space), &Trigger::Manual, now)?;
    /// assert_eq!(decision, Decision::skip(Reason::Running, None)); // it is about to connect
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn request(&self, space: Option<SpaceId>, trigger: &Trigger, now: Now) -> Result<Decision, DriverError> {
        let mut sync = self.turn();
        let decided = self.ask_policy(&mut sync, space, trigger, now);
        let (decision, result) = match decided {
            Ok(decision) => (decision, self.pump(&mut sync, now)),
            Err(error) => (Decision::skip(Reason::NothingToDo, None), Err(error)),
        };
        self.finish(&mut sync, result, now)?;
        Ok(decision)
    }

    /// Hands every decision of the policy from now on to `recorder`, as a line that can be replayed.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Driver, Entropy, Now, SpaceId, TraceLine, Trigger};
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// let (sender, lines) = std::sync::mpsc::channel();
    /// driver.record_policy(move |line| drop(sender.send(line.to_string()))); // or into a file
    /// driver.request(Some(space), &Trigger::NetworkBack, now)?;
    /// let line = TraceLine::parse(&lines.try_recv()?)?;
    /// assert_eq!(line.replay(), line.decision);
    /// # Ok(())
    /// # }
    /// ```
    pub fn record_policy(&self, recorder: impl FnMut(&TraceLine) + Send + 'static) {
        *lock(&self.recorder) = Some(Box::new(recorder));
    }

    /// Switches sync of a space on or off; a run of it that goes on ends.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Driver, Entropy, Now, Reason, SpaceId, Trigger};
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// driver.enable_sync(now);
    /// driver.set_sync_enabled(space, false, now)?;
    /// let decision = driver.request(Some(space), &Trigger::Manual, now)?;
    /// assert_eq!(decision.reason(), Reason::SpaceDisabled);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// No such space is here, or the store failed.
    pub fn set_sync_enabled(&self, space: SpaceId, is_enabled: bool, now: Now) -> Result<(), SpaceError> {
        let mut sync = self.turn();
        let _ = lock(&self.store).set_sync_enabled(space, is_enabled)?;
        if !is_enabled {
            let not = NotInStep::new(Reason::SpaceDisabled.to_string(), Class::Permanent);
            self.disappoint_fetchers(space, &not);
        }
        self.planned_anew(&mut sync, space, now)
    }

    /// Gives a space a schedule, or takes it away; without one it is in step all the time.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Decision, Driver, Entropy, Now, Reason, Schedule, SpaceId, Trigger};
    /// # use std::time::Duration;
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// let schedule = Schedule::every(Duration::from_secs(600))?;
    /// driver.set_schedule(space, Some(&schedule), now)?;
    /// driver.enable_sync(now);
    /// let decision = driver.request(Some(space), &Trigger::LocalEdit, now)?;
    /// assert_eq!(decision, Decision::skip(Reason::WaitsForSchedule, Some(600_000)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// No such space is here, or the store failed.
    pub fn set_schedule(&self, space: SpaceId, schedule: Option<&Schedule>, now: Now) -> Result<(), SpaceError> {
        let mut sync = self.turn();
        let stored = schedule.map(Schedule::stored);
        let _ = lock(&self.store).set_schedule(space, stored.as_ref(), now.wall_ms)?;
        self.planned_anew(&mut sync, space, now)
    }

    pub(super) fn planned_anew(&self, sync: &mut Synchronization, space: SpaceId, now: Now) -> Result<(), SpaceError> {
        self.replan(sync, space)?;
        sync.look_at_schedules(now);
        if matches!(sync.link, Link::Off) {
            return Ok(());
        }
        let is_enabled = sync.plans.get(&space).is_some_and(|plan| plan.is_enabled);
        if is_enabled {
            let result = self.ask_policy(sync, Some(space), &Trigger::StartUp, now).and_then(|_| self.pump(sync, now));
            // What could not be started is tried again like any session.
            let _ = self.finish(sync, result, now);
        } else {
            self.end_run(sync, Some(space), End::Stopped(&Reason::SpaceDisabled.to_string()), now);
            if sync.spaces.remove(&space).is_some() {
                self.restart_session(sync, now);
            }
            let _ = self.finish(sync, Ok(()), now);
        }
        Ok(())
    }

    /// Asks the policy for a space or for all, and starts what it says.
    pub(in crate::driver) fn ask_policy(
        &self,
        sync: &mut Synchronization,
        space: Option<SpaceId>,
        trigger: &Trigger,
        now: Now,
    ) -> Result<Decision, DriverError> {
        self.ask_policy_and_relay(sync, space, trigger, true, now)
    }

    /// Asks the policy; where the session has everything already, what is left of a sync is a question to the relay, unless
    /// those who wait have been asked for before.
    pub(super) fn ask_policy_and_relay(
        &self,
        sync: &mut Synchronization,
        space: Option<SpaceId>,
        trigger: &Trigger,
        is_question_due: bool,
        now: Now,
    ) -> Result<Decision, DriverError> {
        let is_known = space.is_some_and(|space| sync.plans.contains_key(&space));
        if *trigger != Trigger::LocalEdit || !is_known {
            self.refresh_plans(sync)?;
        }
        sync.correct_schedules(now);
        let asked = space.map_or_else(|| sync.everyone(), |space| vec![Some(space)]);
        let mut strongest: Option<Decision> = None;
        let mut is_question = false;
        for space in asked {
            if let Some(space) = space {
                self.look_at_guard(sync, space, now)?;
            }
            let state = self.policy_state(sync, space, trigger)?;
            let decision = self.decide(&state, trigger, now);
            self.note_decision(sync, space, trigger, decision, now);
            if let Trigger::Push { id } = trigger {
                sync.note_push(space, id, decision);
            }
            if decision.is_start() {
                is_question |= self.start(sync, space, trigger, decision.reason(), now)?;
            }
            strongest = Some(strongest.map_or(decision, |before| stronger(before, decision)));
        }
        if is_question && is_question_due {
            self.ask_whether_all_is_here(sync, now);
        }
        sync.look_at_schedules(now);
        Ok(strongest.unwrap_or(Decision::skip(Reason::NothingToDo, None)))
    }

    fn decide(&self, state: &afield_core::policy::State, trigger: &Trigger, now: Now) -> Decision {
        match &mut *lock(&self.recorder) {
            Some(recorder) => {
                let line = TraceLine::record(state, trigger, now);
                recorder(&line);
                line.decision
            }
            None => evaluate(state, trigger, now),
        }
    }

    /// Starts a run of a space, in the session that stands or in the next one. Answers whether the session has the space
    /// already, so that there is nothing to do but ask.
    fn start(
        &self,
        sync: &mut Synchronization,
        space: Option<SpaceId>,
        trigger: &Trigger,
        reason: Reason,
        now: Now,
    ) -> Result<bool, DriverError> {
        let served = space.and_then(|space| sync.spaces.get(&space)).filter(|_| matches!(sync.link, Link::Up { .. }));
        let is_served = served.is_some() || space.is_none() && matches!(sync.link, Link::Up { .. });
        if let Some(plan) = sync.plan_mut(space).filter(|_| *trigger == Trigger::Manual) {
            plan.manual_at_ms = Some(now.monotonic_ms);
        }
        self.begin_run(sync, space, trigger, reason, now)?;
        match (&sync.link, space) {
            (Link::Waiting { .. } | Link::Resting, _) => {
                sync.link = Link::Connecting;
                sync.outputs.push_back(Output::Connect);
            }
            (Link::Up { .. }, Some(space)) if !is_served => self.open_new_space(sync, space, now)?,
            _ => {}
        }
        Ok(is_served)
    }

    /// Notes that a run of a space begins, unless one goes on.
    pub(super) fn begin_run(
        &self,
        sync: &mut Synchronization,
        space: Option<SpaceId>,
        trigger: &Trigger,
        reason: Reason,
        now: Now,
    ) -> Result<(), DriverError> {
        let pending_before = match space {
            Some(space) if *trigger != Trigger::LocalEdit => lock(&self.store).outbox_size(space)?,
            _ => OutboxSize::default(),
        };
        let served = space.and_then(|space| sync.spaces.get(&space)).filter(|_| matches!(sync.link, Link::Up { .. }));
        let changes_before = served.map_or((0, 0), SpaceSync::moved);
        let bytes_before = (sync.traffic.bytes_sent, sync.traffic.bytes_received);
        let Some(plan) = sync.plan_mut(space).filter(|plan| plan.run.is_none()) else { return Ok(()) };
        let (trigger, started, received, told_ms) = (trigger.clone(), now, (0, 0), None);
        let name = trigger.name();
        let event = SyncEvent::Started { space, trigger: trigger.clone(), reason };
        plan.run =
            Some(Run { trigger, reason, started, bytes_before, changes_before, pending_before, received, told_ms });
        if let (Some(schedule), Some(space)) = (&plan.schedule, space) {
            (plan.due_ms, plan.counted_from_ms) = (schedule.next_after(now.wall_ms), now.wall_ms);
            sync.history.started(space, now.wall_ms);
        }
        tracing::info!(
            space = space.map(tracing::field::display),
            trigger = name,
            reason = reason.name(),
            "sync.started"
        );
        sync.say(event);
        Ok(())
    }

    /// Leaves spaces whose runs are over, once no other run goes on and nobody waits: ends the session, or begins one
    /// without them where others are to be in step all the time. Answers whether it did.
    pub(super) fn leave_what_is_done(&self, sync: &mut Synchronization, now: Now) -> bool {
        let is_up = matches!(sync.link, Link::Up { .. });
        let is_done = |space: &SpaceId| !sync.is_wanted(*space);
        if !is_up
            || !sync.spaces.keys().any(is_done)
            || !sync.is_nothing_left()
            || lock(&self.waiters).is_somebody_there()
        {
            return false;
        }
        let over: Vec<_> = sync.spaces.keys().copied().filter(is_done).collect();
        for space in over {
            if let Some(state) = sync.spaces.remove(&space) {
                sync.aside.insert(space, state);
            }
        }
        self.restart_session(sync, now);
        true
    }

    /// Ends a session that stands; what is wanted begins the next one.
    pub(in crate::driver) fn restart_session(&self, sync: &mut Synchronization, now: Now) {
        if let Link::Up { .. } = sync.link {
            sync.transmit(DeviceSession::close(GoodbyeCode::Done));
            sync.outputs.push_back(Output::Disconnect);
            sync.link = Link::Resting;
            self.forget_seen(None);
            self.forget_presence(None);
            lock(&self.store).end_scan();
            self.merge_leftovers(sync, now);
            if let Err(error) = self.begin_anew(sync, now) {
                self.lost(sync, error.to_string(), error.class(), None, now);
            }
        }
    }
}

impl Driver {
    /// Begins the session that follows one which ended for no failure, for what is wanted all the time or in the middle
    /// of a run.
    fn begin_anew(&self, sync: &mut Synchronization, now: Now) -> Result<(), DriverError> {
        self.refresh_plans(sync)?;
        for space in sync.everyone() {
            if sync.plan(space).is_some_and(Plan::is_wanted) {
                self.ask_policy(sync, space, &Trigger::Retry, now)?;
            }
        }
        Ok(())
    }

    /// Follows the clocks: what waits after a failure, and schedules.
    pub(super) fn follow_the_clocks(&self, sync: &mut Synchronization, now: Now) -> Result<(), DriverError> {
        if matches!(sync.link, Link::Waiting { until_ms, .. } if until_ms <= now.monotonic_ms) {
            self.ask_policy(sync, None, &Trigger::Retry, now)?;
            if let Link::Waiting { .. } = sync.link {
                sync.link = Link::Resting;
            }
        }
        if sync.look_at_ms.is_some_and(|at_ms| at_ms <= now.monotonic_ms) {
            for space in sync.due(now) {
                self.ask_policy(sync, Some(space), &Trigger::Schedule, now)?;
            }
            sync.look_at_schedules(now);
        }
        Ok(())
    }

    /// Tells those who wait why nothing is started for them.
    pub(super) fn disappoint_unless_started(&self, sync: &mut Synchronization, decision: Decision, now: Now) {
        let (Link::Waiting { .. } | Link::Resting) = sync.link else { return };
        if decision.is_start() {
            return;
        }
        let left_ms = decision.until_ms(now.wall_ms).map(|until_ms| until_ms.saturating_sub(now.wall_ms).max(0));
        let left_s = left_ms.map(|left_ms| u64::try_from(left_ms).unwrap_or(0).div_ceil(1_000));
        let sign_in = sync.sign_in().filter(|_| decision.reason() == Reason::SignInNeeded);
        let reason = match (decision.reason(), left_s) {
            (Reason::RelayAsked, Some(left_s)) => format!("the relay asks to be left alone for another {left_s} s"),
            (reason, Some(left_s)) => format!("{reason}; ask again in {left_s} s"),
            (reason, None) => sign_in.map_or_else(|| reason.to_string(), |why| why.to_string()),
        };
        let class = match decision.reason() {
            Reason::SignInNeeded => Class::SignIn,
            Reason::UpgradeNeeded => Class::Upgrade,
            _ if left_s.is_some() => Class::Retry,
            _ => Class::Permanent,
        };
        sync.disappointment = Some(NotInStep { reason, class, sign_in });
    }
}

/// What starts something tells more than what skips, and that more than what is blocked.
fn stronger(one: Decision, other: Decision) -> Decision {
    let rank = |decision: &Decision| match decision {
        Decision::Start { .. } => 2,
        Decision::Skip { .. } => 1,
        _ => 0,
    };
    if rank(&other) > rank(&one) { other } else { one }
}
