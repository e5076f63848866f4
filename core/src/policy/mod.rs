//! When to sync: what is known of a space, what happened, and the time give a decision with its reason.
//!
//! [`evaluate`] is a pure function, and the only place that decides. Nobody else reads time stamps, budgets or states to
//! find out whether a space is to be synced: who has a reason names it as a [`Trigger`], and gets a [`Decision`].
//!
//! The first row that fits decides, from above:
//!
//! | state | trigger | decision |
//! | --- | --- | --- |
//! | sync is off | any | `Block(SyncOff)` |
//! | the space is switched off | any | `Block(SpaceDisabled)` |
//! | the space is kept on this device | any | `Block(LocalOnly)` |
//! | the relay wants a person to sign in | any | `Block(SignInNeeded)` |
//! | one side is too old; trying again does not help | any | `Block(UpgradeNeeded)`, `Block(Stopped)` |
//! | a person has to confirm what would be deleted | any | `Block(ConfirmationNeeded)` |
//! | any | a push whose id came before | `Skip(DuplicatePush)` |
//! | pull only; push only | a local edit; a push | `Skip(NothingToDo)` |
//! | a job of the space runs | any | `Skip(Running)` |
//! | the relay asked to be left alone, or its budget is spent | any | `Block(RelayAsked)`, `Block(BudgetSpent)` until then |
//! | the relay does not serve the space | any | `Block(SpaceRefused)` until it is asked for again |
//! | the session stands | "sync now", the network is back | `Start(Asked)`: a question, and no connection |
//! | the session stands | any other | `Skip(Live)`: what there is goes at once |
//! | "sync now" was followed less than 5 s ago, and not stale | "sync now" | `Skip(CoolDown)` until then, or until it is stale |
//! | waits after a failure | "sync now", the network is back | `Start(Asked)` |
//! | waits after a failure | any other | `Block(BackOff)` until then |
//! | push only, and nothing is pending | any but "sync now" | `Skip(NothingToDo)` |
//! | without a schedule | any | `Start(Wanted)` |
//! | with a schedule | "sync now", a push | `Start(Asked)` |
//! | a run failed and is owed | any | `Start(Owed)` |
//! | the schedule is due | start-up | `Start(MissedSchedule)` |
//! | the schedule is due | any other | `Start(Due)` |
//! | the schedule is not due | a local edit | `Skip(WaitsForSchedule)` until then |
//! | the schedule is not due | maintenance, with changes pending or not in step for a day | `Start(Stale)` |
//! | the schedule is not due | maintenance, otherwise | `Skip(NothingToDo)` |
//! | the schedule is not due | any other | `Skip(NotDue)` until then |
//!
//! A day is over where either clock says so; a wall clock that was set back to before the last time in step counts as such.
//!
//! "Stale" is a space that was never in step, or not for [`STALE_AFTER_MS`], or has changes pending: a person who asks for
//! it again at once has a reason.

pub mod backoff;
mod decision;
mod state;
mod trace;
mod trigger;
mod wait;

pub use decision::{Decision, Reason};
pub use state::{Direction, Hold, Job, Need, State};
pub use trace::{TraceError, TraceLine};
pub use trigger::{PUSH_ID_BYTES_MAX, PUSH_IDS_MAX, PushIds, Trigger};
pub use wait::Wait;

use crate::Now;

/// How long "sync now" rests after it was followed, in milliseconds: what a person can tell apart, and what keeps a
/// button that is pressed again and again from costing a connection each time.
pub const MANUAL_COOL_DOWN_MS: u64 = 5_000;

/// From when on a space that was in step counts as stale, in milliseconds: a minute, as the longest back-off.
pub const STALE_AFTER_MS: u64 = 60_000;

/// From when on maintenance syncs a space whose schedule is not due, in milliseconds: a day.
pub const MAINTENANCE_STALE_MS: u64 = 86_400_000;

/// Decides what a trigger leads to, given what is known of a space; see the module's table.
///
/// ```
/// use afield_core::Now;
/// use afield_core::policy::{Decision, Reason, State, Trigger, evaluate};
///
/// let now = Now { wall_ms: 0, monotonic_ms: 0 };
/// let on = State { is_on: true, ..State::default() };
/// assert_eq!(evaluate(&on, &Trigger::LocalEdit, now), Decision::start(Reason::Wanted));
/// let off = State::default();
/// assert_eq!(evaluate(&off, &Trigger::LocalEdit, now), Decision::block(Reason::SyncOff, None));
/// ```
pub fn evaluate(state: &State, trigger: &Trigger, now: Now) -> Decision {
    standing_in_the_way(state)
        .or_else(|| nothing_for_it(state, trigger))
        .or_else(|| held_by_the_relay(state, now))
        .or_else(|| with_a_session(state, trigger))
        .or_else(|| resting(state, trigger, now))
        .unwrap_or_else(|| by_schedule(state, trigger, now))
}

/// What only a person, or a setting, can take away.
fn standing_in_the_way(state: &State) -> Option<Decision> {
    let reason = match state {
        State { is_on: false, .. } => Reason::SyncOff,
        State { is_enabled: false, .. } => Reason::SpaceDisabled,
        State { direction: Direction::LocalOnly, .. } => Reason::LocalOnly,
        State { need: Some(Need::SignIn), .. } => Reason::SignInNeeded,
        State { need: Some(Need::Upgrade), .. } => Reason::UpgradeNeeded,
        State { need: Some(Need::Help), .. } => Reason::Stopped,
        State { needs_confirmation: true, .. } => Reason::ConfirmationNeeded,
        _ => return None,
    };
    Some(Decision::block(reason, None))
}

fn nothing_for_it(state: &State, trigger: &Trigger) -> Option<Decision> {
    let reason = match (trigger, state.direction, state.job) {
        (Trigger::Push { id }, _, _) if state.pushes.has(id) => Reason::DuplicatePush,
        (Trigger::LocalEdit, Direction::PullOnly, _) => Reason::NothingToDo,
        (Trigger::Push { .. }, Direction::PushOnly, _) => Reason::NothingToDo,
        (_, _, Job::Running) => Reason::Running,
        _ => return None,
    };
    Some(Decision::skip(reason, None))
}

fn held_by_the_relay(state: &State, now: Now) -> Option<Decision> {
    let (until_ms, reason) = match state.hold? {
        Hold::RetryAfter { until_ms } => (until_ms, Reason::RelayAsked),
        Hold::Budget { until_ms } => (until_ms, Reason::BudgetSpent),
        Hold::Refused { until_ms } => (until_ms, Reason::SpaceRefused),
    };
    (until_ms > now.monotonic_ms).then(|| Decision::block(reason, Some(wall_ms(until_ms, now))))
}

fn with_a_session(state: &State, trigger: &Trigger) -> Option<Decision> {
    let is_live = state.job == Job::Live;
    is_live.then(|| match trigger {
        Trigger::Manual | Trigger::NetworkBack => Decision::start(Reason::Asked),
        _ => Decision::skip(Reason::Live, None),
    })
}

/// The rests between two attempts, and who may end them.
fn resting(state: &State, trigger: &Trigger, now: Now) -> Option<Decision> {
    if *trigger == Trigger::Manual
        && let Some(left_ms) = cool_down_ms(state, now)
    {
        return Some(Decision::skip(Reason::CoolDown, Some(left_ms)));
    }
    if let Some(until_ms) = state.back_off_until_ms.filter(|until_ms| *until_ms > now.monotonic_ms) {
        return Some(match trigger {
            Trigger::Manual | Trigger::NetworkBack => Decision::start(Reason::Asked),
            _ => Decision::block(Reason::BackOff, Some(wall_ms(until_ms, now))),
        });
    }
    let is_nothing_left = state.direction == Direction::PushOnly && !state.has_pending && *trigger != Trigger::Manual;
    is_nothing_left.then(|| Decision::skip(Reason::NothingToDo, None))
}

fn by_schedule(state: &State, trigger: &Trigger, now: Now) -> Decision {
    let Some(due_ms) = state.due_ms else { return Decision::start(Reason::Wanted) };
    let left_ms = u64::try_from(due_ms.saturating_sub(now.wall_ms)).ok().filter(|left_ms| *left_ms > 0);
    match (trigger, left_ms) {
        (Trigger::Manual | Trigger::Push { .. }, _) => Decision::start(Reason::Asked),
        _ if state.is_owed => Decision::start(Reason::Owed),
        (Trigger::StartUp, None) => Decision::start(Reason::MissedSchedule),
        (_, None) => Decision::start(Reason::Due),
        (Trigger::LocalEdit, left_ms) => Decision::skip(Reason::WaitsForSchedule, left_ms),
        (Trigger::Maintenance, _) if state.has_pending || is_forgotten(state, now) => Decision::start(Reason::Stale),
        (Trigger::Maintenance, _) => Decision::skip(Reason::NothingToDo, None),
        (_, left_ms) => Decision::skip(Reason::NotDue, left_ms),
    }
}

/// How long "sync now" still rests, in milliseconds: until [`MANUAL_COOL_DOWN_MS`] are over, or the space is stale before
/// that; `None` where it does not.
///
/// ```
/// use afield_core::Now;
/// use afield_core::policy::{State, cool_down_ms};
///
/// let state = State { is_on: true, manual_at_ms: Some(1_000), in_step_at_ms: Some(1_000), ..State::default() };
/// assert_eq!(cool_down_ms(&state, Now { wall_ms: 0, monotonic_ms: 2_000 }), Some(4_000)); // of five seconds
/// assert_eq!(cool_down_ms(&state, Now { wall_ms: 0, monotonic_ms: 6_000 }), None);
/// ```
pub fn cool_down_ms(state: &State, now: Now) -> Option<u64> {
    let stale_at_ms = state.in_step_at_ms?.saturating_add(STALE_AFTER_MS);
    let until_ms = state.manual_at_ms?.saturating_add(MANUAL_COOL_DOWN_MS).min(stale_at_ms);
    let left_ms = until_ms.saturating_sub(now.monotonic_ms);
    (left_ms > 0 && !state.has_pending && state.job != Job::Live).then_some(left_ms)
}

/// Whether a space has nothing to do before its schedule is due: nothing runs, and no run before is owed.
///
/// ```
/// use afield_core::Now;
/// use afield_core::policy::{State, waits_for_schedule};
///
/// let now = Now { wall_ms: 1_000, monotonic_ms: 0 };
/// let nightly = State { due_ms: Some(9_000), ..State::default() };
/// assert!(waits_for_schedule(&nightly, now));
/// assert!(!waits_for_schedule(&State { is_owed: true, ..nightly }, now)); // what failed is tried again before that
/// assert!(!waits_for_schedule(&State::default(), now)); // to be in step all the time
/// ```
pub fn waits_for_schedule(state: &State, now: Now) -> bool {
    state.due_ms.is_some_and(|due_ms| due_ms > now.wall_ms) && state.job != Job::Running && !state.is_owed
}

/// Whether the space was not in step for [`MAINTENANCE_STALE_MS`], by either clock: the monotonic one stands while a device sleeps and
/// begins with the process, and the other one is set by people. One that was set back leads to a sync too much, and to none too few.
fn is_forgotten(state: &State, now: Now) -> bool {
    let by_monotonic = state.in_step_at_ms.map(|at_ms| now.monotonic_ms.saturating_sub(at_ms) >= MAINTENANCE_STALE_MS);
    let by_wall = state.last_synced_ms.map(|at_ms| {
        let age_ms = u64::try_from(now.wall_ms.saturating_sub(at_ms));
        age_ms.map_or(true, |age_ms| age_ms >= MAINTENANCE_STALE_MS)
    });
    match (by_monotonic, by_wall) {
        (None, None) => true,
        (one, other) => one == Some(true) || other == Some(true),
    }
}

/// A moment of the monotonic clock as one that can be shown and stored.
fn wall_ms(monotonic_ms: u64, now: Now) -> i64 {
    let left_ms = i64::try_from(monotonic_ms.saturating_sub(now.monotonic_ms)).unwrap_or(i64::MAX);
    now.wall_ms.saturating_add(left_ms)
}

#[cfg(test)]
mod tests;
