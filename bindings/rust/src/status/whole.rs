//! The one status of all spaces, made of those of each.

use super::{Amount, Progress, SpaceStatus, Status, SyncState, Way};
use crate::driver::{LinkView, View};
use afield_core::wire::Class;
use afield_core::{DeviceId, Now};
use afield_store::Synchronous;

/// What is shown of a replica beside its spaces.
pub(super) struct Beside {
    pub(super) device: DeviceId,
    pub(super) relay: Option<String>,
    pub(super) synchronous: Option<Synchronous>,
}

/// Makes the status of all spaces. Those that are switched off, or stay on this device, count with what they hold, and not where it is
/// about when, and whether, there is a sync.
pub(super) fn whole(view: &View, beside: Beside, spaces: Vec<SpaceStatus>, now: Now) -> Status {
    let Beside { device, relay, synchronous } = beside;
    let synced: Vec<_> = spaces.iter().filter(|space| space.is_synced()).collect();
    let is_off = matches!(view.link, LinkView::Off | LinkView::Stopped(_));
    let can_sync_now = spaces.iter().any(|space| space.can_sync_now) || spaces.is_empty() && !is_off;
    let error_of_link = view.last_error.as_ref().map(|(reason, _)| reason.clone());
    Status {
        state: state(view.link, &synced),
        device,
        synchronous,
        relay,
        last_synced_ms: last_synced(&synced),
        last_error: error_of_link.or_else(|| spaces.iter().find_map(|space| space.last_error.clone())),
        sign_in: view.sign_in,
        retry_in_ms: view.retry_at_ms.map(|at| at.saturating_sub(now.monotonic_ms)),
        can_sync_now,
        cooldown_ms: synced.iter().filter_map(|space| space.cooldown_ms).min().filter(|_| !can_sync_now),
        blocked_until_ms: blocked_until(&synced),
        progress: together(spaces.iter().filter_map(|space| space.progress)),
        failures: view.failures,
        oldest_pending_age_ms: spaces.iter().filter_map(|space| space.oldest_pending_age_ms).max(),
        pending_changes: spaces.iter().map(|space| space.pending_changes).sum(),
        quarantined: spaces.iter().map(|space| space.quarantined).sum(),
        conflicts: spaces.iter().map(|space| space.conflicts).sum(),
        conflicts_behind: spaces.iter().map(|space| space.conflicts_behind).sum(),
        traffic: view.traffic,
        merged: view.merged,
        spaces,
    }
}

/// The state of a space that nothing particular is known of.
pub(super) fn state_of(link: LinkView) -> SyncState {
    match link {
        LinkView::Off => SyncState::Disabled,
        LinkView::Waiting => SyncState::Offline,
        LinkView::Up | LinkView::Resting => SyncState::Idle,
        LinkView::Stopped(Class::SignIn) => SyncState::NeedsSignIn,
        LinkView::Stopped(_) => SyncState::Error,
    }
}

/// What happens counts before what is tried again by itself, and that before what waits for somebody.
fn state(link: LinkView, synced: &[&SpaceStatus]) -> SyncState {
    if synced.is_empty() || matches!(link, LinkView::Off | LinkView::Stopped(_)) {
        return state_of(link);
    }
    let is_any = |state: &SyncState| synced.iter().any(|space| space.state == *state);
    let told = [SyncState::Syncing, SyncState::Offline, SyncState::Blocked];
    told.into_iter().find(is_any).unwrap_or(SyncState::Idle)
}

/// Up to when every one was in step, where each was once.
fn last_synced(synced: &[&SpaceStatus]) -> Option<i64> {
    let moments: Option<Vec<_>> = synced.iter().map(|space| space.last_synced_ms).collect();
    moments?.into_iter().min()
}

/// When the first goes on by itself, as long as none does.
fn blocked_until(synced: &[&SpaceStatus]) -> Option<i64> {
    let is_all = synced.iter().all(|space| space.why_not.is_some());
    synced.iter().filter_map(|space| space.blocked_until_ms).min().filter(|_| is_all)
}

/// The progress of all runs; `None` where none goes on.
fn together(runs: impl Iterator<Item = Progress>) -> Option<Progress> {
    let add = |one: Amount, other: Amount| Amount { chunks: one.chunks + other.chunks, bytes: one.bytes + other.bytes };
    let both = |one: Way, other: Way| Way {
        done: add(one.done, other.done),
        total: one.total.zip(other.total).map(|(one, other)| add(one, other)),
    };
    runs.reduce(|one, other| Progress { up: both(one.up, other.up), down: both(one.down, other.down) })
}

#[cfg(test)]
mod tests;
