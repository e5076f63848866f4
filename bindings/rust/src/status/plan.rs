//! What an interface shows of how a space is synced.

use super::{Amount, Progress, SpaceStatus, SyncState, Way};
use crate::driver::{LinkView, PlanView, View};
use crate::schedule::Schedule;
use afield_core::Now;
use afield_core::policy::{Decision, Trigger, cool_down_ms, evaluate, waits_for_schedule};
use afield_store::SyncSettings;

/// Adds how the space is synced to what else is shown of it.
pub(super) fn planned(view: &View, status: SpaceStatus, settings: Option<&SyncSettings>, now: Now) -> SpaceStatus {
    let Some(settings) = settings else { return status };
    let live = view.plans.iter().find(|plan| plan.space == status.space);
    let schedule = settings.schedule.as_ref().and_then(|stored| Schedule::of_store(stored).ok());
    let next_at_ms = match live {
        Some(live) => live.due_ms,
        None => schedule.as_ref().and_then(|schedule| schedule.next_after(settings.started_ms.unwrap_or(0))),
    };
    let status = SpaceStatus { enabled: settings.is_enabled, ..status };
    let waits = live.is_some_and(|live| waits_for_schedule(&live.state, now));
    let state = match view.link {
        _ if !status.is_synced() => SyncState::Disabled,
        // Others are being connected for, or not reached, and this one is not due, or nothing is begun for it.
        LinkView::Waiting if status.held_to_send > 0 => SyncState::Blocked,
        LinkView::Waiting if waits => SyncState::Idle,
        _ => status.state,
    };
    let manual = live.map(|live| {
        let has_pending = status.pending_changes > 0;
        let state = afield_core::policy::State { has_pending, ..live.state.clone() };
        (evaluate(&state, &Trigger::Manual, now), cool_down_ms(&state, now))
    });
    let (why_not, blocked_until_ms) = match live.map(|live| evaluate(&live.state, &Trigger::Retry, now)) {
        Some(Decision::Block { reason, blocked_until_ms }) => (Some(reason), blocked_until_ms),
        _ => (None, None),
    };
    SpaceStatus {
        state,
        schedule: schedule.map(|schedule| schedule.to_string()),
        next_at_ms,
        can_sync_now: manual.is_some_and(|(decision, _)| decision.is_start()),
        cooldown_ms: manual.and_then(|(_, left_ms)| left_ms),
        blocked_until_ms,
        why_not,
        progress: live.and_then(|live| progress(live, &status)),
        last_synced_ms: live.and_then(|live| live.last_synced_ms).or(settings.last_synced_ms),
        ..status
    }
}

fn progress(live: &PlanView, status: &SpaceStatus) -> Option<Progress> {
    let (before, received) = live.run?;
    let total =
        Amount { chunks: before.changes.max(status.pending_changes), bytes: before.bytes.max(status.pending_bytes) };
    let done = Amount {
        chunks: total.chunks.saturating_sub(status.pending_changes),
        bytes: total.bytes.saturating_sub(status.pending_bytes),
    };
    let received = Amount { chunks: received.0, bytes: received.1 };
    let total_of = |left: u64| {
        let chunks = received.chunks.saturating_add(left);
        // What is on its way is taken to be as large as what has come.
        let bytes = u128::from(received.bytes) * u128::from(chunks) / u128::from(received.chunks.max(1));
        Amount { chunks, bytes: u64::try_from(bytes).unwrap_or(u64::MAX) }
    };
    let down = Way { done: received, total: live.left.map(total_of) };
    Some(Progress { up: Way { done, total: Some(total) }, down })
}
