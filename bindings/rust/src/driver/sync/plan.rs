//! What is known of each space beside its session: whether and when it is synced, and the run that goes on.

use super::{Link, Synchronization};
use crate::driver::documents::lock;
use crate::driver::{Driver, DriverError};
use crate::schedule::Schedule;
use afield_core::policy::{Direction, Hold, Job, Need, PushIds, Reason, State, Trigger};
use afield_core::wire::Class;
use afield_core::{Now, SpaceId};
use afield_store::{OutboxSize, StoreError, SyncSettings};
use std::collections::btree_map::Entry;

/// How long nobody looks at the wall clock at the most while a schedule waits, in milliseconds: clocks are set, and
/// devices sleep, and the monotonic clock knows of neither.
const SCHEDULE_LOOK_MAX_MS: u64 = 60_000;

/// How a space is synced, and how that goes.
#[derive(Debug, Clone)]
pub(in crate::driver) struct Plan {
    pub(super) is_enabled: bool,
    /// Which way its changes go as a whole, as of the last look.
    pub(super) direction: Direction,
    pub(super) schedule: Option<Schedule>,
    pub(super) due_ms: Option<i64>,
    /// The moment from which that was counted, by the wall clock.
    pub(super) counted_from_ms: i64,
    /// What was started and is not in step yet.
    pub(super) run: Option<Run>,
    /// Whether a run for the schedule was started and failed.
    pub(super) is_owed: bool,
    /// How many runs in a row the relay, or a guard, has refused something of.
    pub(super) refusals: u32,
    pub(super) manual_at_ms: Option<u64>,
    pub(super) in_step_at_ms: Option<u64>,
    pub(super) last_synced_ms: Option<i64>,
    /// The pushes that were followed.
    pub(super) pushes: PushIds,
    /// Those that the run which goes on, or is owed, is to follow.
    pub(super) unfollowed: PushIds,
    /// Whether what was deleted here waits for somebody to confirm that it may be sent.
    pub(super) needs_confirmation: bool,
}

/// A run that goes on.
#[derive(Debug, Clone)]
pub(in crate::driver) struct Run {
    pub(super) trigger: Trigger,
    pub(super) reason: Reason,
    pub(super) started: Now,
    /// Bytes of frames sent and received when it was started.
    pub(super) bytes_before: (u64, u64),
    /// Changes pushed and received in its session when it was started.
    pub(super) changes_before: (u64, u64),
    pub(in crate::driver) pending_before: OutboxSize,
    /// Changes received and their bytes.
    pub(in crate::driver) received: (u64, u64),
    /// When its progress was last told.
    pub(super) told_ms: Option<u64>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            is_enabled: true,
            direction: Direction::Both,
            schedule: None,
            due_ms: None,
            counted_from_ms: i64::MIN,
            run: None,
            is_owed: false,
            refusals: 0,
            manual_at_ms: None,
            in_step_at_ms: None,
            last_synced_ms: None,
            pushes: PushIds::default(),
            unfollowed: PushIds::default(),
            needs_confirmation: false,
        }
    }
}

impl Plan {
    fn of(settings: &SyncSettings) -> Self {
        let stored = settings.schedule.as_ref();
        let schedule = stored.and_then(|stored| match Schedule::of_store(stored) {
            Ok(schedule) => Some(schedule),
            Err(error) => {
                // Rather too often than never.
                tracing::warn!(space = %settings.space, %error, "the schedule cannot be followed: the space is synced all the time");
                None
            }
        });
        let counted_from_ms = settings.started_ms.unwrap_or(0);
        let due_ms = schedule.as_ref().and_then(|schedule| schedule.next_after(counted_from_ms));
        let (is_enabled, last_synced_ms) = (settings.is_enabled, settings.last_synced_ms);
        Self { is_enabled, schedule, due_ms, counted_from_ms, last_synced_ms, ..Self::default() }
    }

    /// Whether a session is to serve the space now.
    pub(super) fn is_wanted(&self) -> bool {
        self.is_enabled && self.direction != Direction::LocalOnly && (self.schedule.is_none() || self.run.is_some())
    }
}

impl Driver {
    /// Takes over what spaces there are and how they are synced; what is known of them already stays.
    pub(super) fn refresh_plans(&self, sync: &mut Synchronization) -> Result<(), StoreError> {
        let store = lock(&self.store);
        let settings = store.sync_settings()?;
        sync.plans.retain(|space, _| settings.iter().any(|known| known.space == *space));
        for known in &settings {
            let plan = match sync.plans.entry(known.space) {
                Entry::Occupied(plan) => plan.into_mut(),
                Entry::Vacant(place) => {
                    let pushes = store.pushes(Some(known.space))?;
                    place.insert(Plan { pushes, ..Plan::of(known) })
                }
            };
            plan.direction = store.space_direction(known.space)?;
        }
        Ok(())
    }

    /// Changes how a space is synced, as it was stored.
    pub(super) fn replan(&self, sync: &mut Synchronization, space: SpaceId) -> Result<(), StoreError> {
        self.refresh_plans(sync)?;
        let settings = lock(&self.store).sync_settings()?.into_iter().find(|known| known.space == space);
        if let (Some(plan), Some(settings)) = (sync.plans.get_mut(&space), settings) {
            let fresh = Plan::of(&settings);
            (plan.is_enabled, plan.schedule) = (fresh.is_enabled, fresh.schedule);
            (plan.due_ms, plan.counted_from_ms) = (fresh.due_ms, fresh.counted_from_ms);
            plan.is_owed &= plan.schedule.is_some();
        }
        Ok(())
    }

    /// What the policy is to know of a space before a trigger.
    pub(super) fn policy_state(
        &self,
        sync: &Synchronization,
        space: Option<SpaceId>,
        trigger: &Trigger,
    ) -> Result<State, DriverError> {
        let mut state = sync.state_of(space);
        if let (Trigger::LocalEdit, Some(space)) = (trigger, space) {
            // It may be the first of its collection. With any other trigger the plan was just refreshed.
            state.direction = lock(&self.store).space_direction(space)?;
        }
        state.has_pending = match (trigger, space) {
            (Trigger::LocalEdit, _) => true,
            (_, Some(space)) if state.direction == Direction::PushOnly => {
                lock(&self.store).outbox_size(space)?.changes > 0
            }
            (Trigger::Manual | Trigger::Maintenance, Some(space)) => lock(&self.store).outbox_size(space)?.changes > 0,
            _ => false,
        };
        Ok(state)
    }
}

impl Synchronization {
    pub(super) fn plan(&self, space: Option<SpaceId>) -> Option<&Plan> {
        match space {
            Some(space) => self.plans.get(&space),
            None => Some(&self.lone),
        }
    }

    pub(super) fn plan_mut(&mut self, space: Option<SpaceId>) -> Option<&mut Plan> {
        match space {
            Some(space) => self.plans.get_mut(&space),
            None => Some(&mut self.lone),
        }
    }

    /// Notes whether what was deleted here waits for somebody to confirm it; answers whether that is new.
    pub(in crate::driver) fn set_needs_confirmation(&mut self, space: SpaceId, is_needed: bool) -> bool {
        let Some(plan) = self.plans.get_mut(&space) else { return false };
        std::mem::replace(&mut plan.needs_confirmation, is_needed) != is_needed
    }

    /// Whether what was deleted here waits for somebody to confirm it, and nothing else is left to do for the space.
    pub(super) fn is_held(&self, space: SpaceId) -> bool {
        self.plans.get(&space).is_some_and(|plan| plan.needs_confirmation) && self.is_here(space)
    }

    /// Whether a session is to serve the space now.
    pub(super) fn is_wanted(&self, space: SpaceId) -> bool {
        self.plans.get(&space).is_none_or(Plan::is_wanted)
    }

    /// Those that a trigger for all is for: every space, or the device alone where it has none.
    pub(super) fn everyone(&self) -> Vec<Option<SpaceId>> {
        if self.plans.is_empty() { vec![None] } else { self.plans.keys().copied().map(Some).collect() }
    }

    /// What is known of a space, but for its outbox, which the store knows.
    pub(super) fn state_of(&self, space: Option<SpaceId>) -> State {
        let nothing = Plan { is_enabled: false, ..Plan::default() };
        let plan = self.plan(space).unwrap_or(&nothing);
        let mut state = State {
            is_on: !matches!(self.link, Link::Off),
            is_enabled: plan.is_enabled,
            direction: plan.direction,
            due_ms: plan.schedule.as_ref().map(|_| plan.due_ms.unwrap_or(i64::MAX)),
            is_owed: plan.is_owed,
            manual_at_ms: plan.manual_at_ms,
            in_step_at_ms: plan.in_step_at_ms,
            last_synced_ms: plan.last_synced_ms,
            pushes: plan.known_pushes(),
            needs_confirmation: plan.needs_confirmation,
            ..State::default()
        };
        match &self.link {
            Link::Off | Link::Resting => {}
            Link::Waiting { until_ms, hold } => {
                (state.back_off_until_ms, state.hold) = (Some(*until_ms), *hold);
            }
            Link::Connecting if plan.is_wanted() => state.job = Job::Running,
            Link::Connecting => {}
            Link::Up { .. } => match space.map(|space| self.spaces.get(&space)) {
                Some(None) => {}
                Some(Some(served)) if served.blocked => state.need = Some(Need::Help),
                Some(Some(served)) if served.refused.is_some() => {
                    state.hold = served.ask_again_ms.map(|until_ms| Hold::Refused { until_ms });
                    state.job = Job::Live;
                }
                _ if plan.run.is_some() => state.job = Job::Running,
                _ => state.job = Job::Live,
            },
            Link::Stopped { class } => {
                state.need = Some(match class {
                    Class::SignIn => Need::SignIn,
                    Class::Upgrade => Need::Upgrade,
                    _ => Need::Help,
                });
            }
        }
        state
    }

    /// Counts schedules from now on that were counted from a later moment: the wall clock was ahead then and has been corrected, and
    /// they would wait until it is there again.
    pub(super) fn correct_schedules(&mut self, now: Now) {
        for (space, plan) in &mut self.plans {
            if let Some(schedule) = plan.schedule.as_ref().filter(|_| now.wall_ms < plan.counted_from_ms) {
                plan.due_ms = schedule.next_after(now.wall_ms);
                plan.counted_from_ms = now.wall_ms;
                self.history.counted_from(*space, now.wall_ms);
            }
        }
    }

    /// Looks when a schedule is to be looked at again.
    pub(super) fn look_at_schedules(&mut self, now: Now) {
        self.correct_schedules(now);
        let due = self.plans.values().filter(|plan| plan.is_enabled && plan.run.is_none());
        let due = due.filter_map(|plan| plan.schedule.as_ref().and(plan.due_ms));
        self.look_at_ms = due.min().map(|due_ms| {
            // What is due and was held back is due again when that ends, and looked at now and then.
            let wait_ms = u64::try_from(due_ms.saturating_sub(now.wall_ms)).ok().filter(|wait_ms| *wait_ms > 0);
            now.monotonic_ms.saturating_add(wait_ms.unwrap_or(SCHEDULE_LOOK_MAX_MS).min(SCHEDULE_LOOK_MAX_MS))
        });
    }

    /// The spaces whose schedule is due.
    pub(super) fn due(&self, now: Now) -> Vec<SpaceId> {
        let is_due = |plan: &Plan| {
            plan.schedule.is_some() && plan.run.is_none() && plan.due_ms.is_some_and(|due_ms| due_ms <= now.wall_ms)
        };
        self.plans.iter().filter(|(_, plan)| plan.is_enabled && is_due(plan)).map(|(space, _)| *space).collect()
    }
}
