//! What was decided, how runs went, and who is told.

use super::{Link, Synchronization};
use crate::driver::Driver;
use crate::driver::documents::lock;
use crate::runs::RunOutcome;
use crate::status::{RunFigures, SyncEvent};
use afield_core::policy::{Decision, Reason, Trigger};
use afield_core::{Now, SpaceId};
use afield_store::{RunNotes, RunRecord, RunsAsked, StoreError};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

/// How many rows wait in memory for the next transaction at the most: nothing but edits while nothing runs makes many.
const ROWS_MAX: usize = 64;
/// How often the progress of a run is told at the most, in milliseconds: what an interface can show.
const PROGRESS_EVERY_MS: u64 = 250;

/// What is to be stored of the history. The last row of each space stays open, so that what follows and is the same
/// counts up and is no row more: a relay that cannot be reached for a week is one row.
#[derive(Debug, Default)]
pub(in crate::driver) struct History {
    open: BTreeMap<Option<SpaceId>, RunRecord>,
    closed: Vec<RunRecord>,
    started: Vec<(SpaceId, i64)>,
    synced: BTreeMap<SpaceId, i64>,
    pushes: Vec<(Option<SpaceId>, String)>,
    is_due: bool,
}

/// How a run ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum End<'r> {
    /// Both sides have everything.
    InStep,
    /// The session, or the attempt at one, failed.
    Lost(&'r str),
    /// The relay does not serve the space, or does not take some of its changes.
    Refused(&'r str),
    /// Somebody switched it off.
    Stopped(&'r str),
}

impl<'r> End<'r> {
    fn error(self) -> Option<&'r str> {
        match self {
            Self::InStep => None,
            Self::Lost(reason) | Self::Refused(reason) | Self::Stopped(reason) => Some(reason),
        }
    }

    fn outcome(self) -> RunOutcome {
        match self {
            Self::InStep => RunOutcome::Completed,
            Self::Lost(_) => RunOutcome::Failed,
            Self::Refused(_) => RunOutcome::Refused,
            Self::Stopped(_) => RunOutcome::Stopped,
        }
    }
}

impl History {
    pub(super) fn started(&mut self, space: SpaceId, at_ms: i64) {
        self.started.push((space, at_ms));
    }

    /// Notes from when on a schedule counts, which is stored soon, or the next opening would count from another moment.
    pub(super) fn counted_from(&mut self, space: SpaceId, at_ms: i64) {
        self.started(space, at_ms);
        self.is_due = true;
    }

    /// Notes a push that was followed, which is stored soon, or the next opening would follow it once more.
    pub(super) fn followed(&mut self, space: Option<SpaceId>, id: &str) {
        self.pushes.push((space, id.to_owned()));
        self.is_due = true;
    }

    /// The rows that may still count up, of those that are asked for, the newest first.
    fn open_rows(&self, asked: &RunsAsked) -> Vec<RunRecord> {
        let mut rows: Vec<_> = self.open.values().filter(|row| asked.has(row)).cloned().collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.at_ms));
        rows
    }

    fn note(&mut self, row: RunRecord) {
        match self.open.get_mut(&row.space) {
            Some(open) if is_same(open, &row) => {
                open.times = open.times.saturating_add(1);
                open.at_ms = row.at_ms;
                open.until_ms = row.until_ms;
            }
            _ => {
                let is_run = row.outcome.is_some();
                self.closed.extend(self.open.insert(row.space, row));
                self.is_due |= is_run || self.closed.len() >= ROWS_MAX;
            }
        }
    }
}

/// Whether a row only says once more what another says. A run that moved something is always one of its own.
fn is_same(one: &RunRecord, other: &RunRecord) -> bool {
    let words = |row: &RunRecord| {
        let RunRecord { trigger, decision, reason, outcome, error, .. } = row;
        (trigger.clone(), decision.clone(), reason.clone(), outcome.clone(), error.clone())
    };
    let moved = other.changes_sent + other.changes_received;
    moved == 0 && other.outcome.as_deref() != Some("completed") && words(one) == words(other)
}

/// Says in the log how a run ended, with the figures that those who listen are told.
fn trace_end(space: Option<SpaceId>, trigger: &str, end: End<'_>, failures: u32, figures: &RunFigures) {
    let space = space.map(tracing::field::display);
    let RunFigures { duration_ms, changes_sent, changes_received, bytes_sent, bytes_received } = *figures;
    match end.error() {
        None => tracing::info!(
            space,
            trigger,
            duration_ms,
            changes_sent,
            changes_received,
            bytes_sent,
            bytes_received,
            "sync.completed"
        ),
        Some(reason) => tracing::info!(
            space,
            trigger,
            reason,
            failures,
            duration_ms,
            changes_sent,
            changes_received,
            bytes_sent,
            bytes_received,
            "sync.failed"
        ),
    }
}

impl Driver {
    /// Notes what the policy has decided, and tells those who listen. A local edit that goes at once is counted and not told:
    /// it would be told with every key.
    pub(super) fn note_decision(
        &self,
        sync: &mut Synchronization,
        space: Option<SpaceId>,
        trigger: &Trigger,
        decision: Decision,
        now: Now,
    ) {
        let (name, reason) = (decision.name(), decision.reason());
        let (retry_after_ms, blocked_until_ms) = match decision {
            Decision::Skip { retry_after_ms, .. } => (retry_after_ms, None),
            Decision::Block { blocked_until_ms, .. } => (None, blocked_until_ms),
            _ => (None, None),
        };
        if *trigger != Trigger::LocalEdit {
            tracing::debug!(
                space = space.map(tracing::field::display),
                trigger = trigger.name(),
                decision = name,
                reason = reason.name(),
                retry_after_ms,
                blocked_until_ms,
                "sync.request"
            );
            sync.say(SyncEvent::Requested { space, trigger: trigger.clone(), decision });
        }
        if decision.is_start() {
            return;
        }
        if matches!(decision, Decision::Block { .. }) && *trigger != Trigger::LocalEdit {
            let of_space = space.map(tracing::field::display);
            tracing::info!(space = of_space, reason = reason.name(), blocked_until_ms, "sync.blocked");
            sync.say(SyncEvent::Blocked { space, reason, blocked_until_ms });
        }
        sync.history.note(RunRecord {
            space,
            trigger: trigger.name().to_owned(),
            decision: name.to_owned(),
            reason: reason.name().to_owned(),
            until_ms: decision.until_ms(now.wall_ms),
            at_ms: now.wall_ms,
            times: 1,
            ..RunRecord::default()
        });
    }

    /// Notes which runs are in step.
    pub(super) fn end_runs_in_step(&self, sync: &mut Synchronization, now: Now) {
        if !matches!(sync.link, Link::Up { .. }) {
            return;
        }
        for space in sync.everyone() {
            let is_there = match space {
                Some(space) => sync.is_in_step(space),
                None => sync.is_welcome(),
            };
            let refused = space.and_then(|space| sync.spaces.get(&space)).and_then(|state| state.refused.clone());
            if let Some(reason) = refused {
                self.end_run(sync, space, End::Refused(&reason), now);
                continue;
            }
            if !is_there && space.is_some_and(|space| sync.is_held(space)) {
                self.end_run(sync, space, End::Refused(&Reason::ConfirmationNeeded.to_string()), now);
                continue;
            }
            let Some(plan) = sync.plan_mut(space).filter(|_| is_there) else { continue };
            plan.in_step_at_ms = Some(now.monotonic_ms);
            plan.last_synced_ms = Some(now.wall_ms);
            plan.is_owed = false;
            let has_run = plan.run.is_some();
            if let Some(space) = space {
                sync.history.synced.insert(space, now.wall_ms);
            }
            if has_run {
                sync.failures = 0;
                // Nothing is left to do also while the relay does not take some of what is here.
                let refused = space.and_then(|space| self.refused_changes(space));
                self.end_run(sync, space, refused.as_deref().map_or(End::InStep, End::Refused), now);
            }
        }
    }

    /// Ends the run of a space, if one goes on.
    pub(super) fn end_run(&self, sync: &mut Synchronization, space: Option<SpaceId>, end: End<'_>, now: Now) {
        let traffic = (sync.traffic.bytes_sent, sync.traffic.bytes_received);
        let served = space.and_then(|space| sync.spaces.get(&space)).map(super::SpaceSync::moved);
        let is_here = space.map_or_else(|| sync.is_welcome(), |space| sync.is_here(space));
        let Some(plan) = sync.plan_mut(space) else { return };
        let Some(run) = plan.run.take() else { return };
        let followed = plan.follow_pushes(end, is_here);
        // What the relay refuses is asked for with the next run, and no sooner.
        plan.is_owed = matches!(end, End::Lost(_)) && plan.schedule.is_some() && plan.is_enabled;
        plan.refusals = match end {
            End::Refused(_) => plan.refusals.saturating_add(1),
            End::InStep => 0,
            End::Lost(_) | End::Stopped(_) => plan.refusals,
        };
        let refusals = plan.refusals;
        followed.iter().for_each(|id| sync.history.followed(space, id));
        let failures = if matches!(end, End::Refused(_)) { refusals } else { sync.failures };
        let (sent, received) = served.unwrap_or(run.changes_before);
        let figures = RunFigures {
            duration_ms: now.monotonic_ms.saturating_sub(run.started.monotonic_ms),
            changes_sent: sent.saturating_sub(run.changes_before.0),
            changes_received: received.saturating_sub(run.changes_before.1),
            bytes_sent: traffic.0.saturating_sub(run.bytes_before.0),
            bytes_received: traffic.1.saturating_sub(run.bytes_before.1),
        };
        trace_end(space, run.trigger.name(), end, failures, &figures);
        match end.error() {
            None => sync.say(SyncEvent::Completed { space, trigger: run.trigger.clone(), figures }),
            Some(reason) => {
                let (trigger, reason) = (run.trigger.clone(), reason.to_owned());
                sync.say(SyncEvent::Failed { space, trigger, reason, failures, figures });
            }
        }
        if let End::Refused(reason) = end {
            self.tell_repeated(sync, space, failures, reason);
        }
        sync.history.note(RunRecord {
            space,
            trigger: run.trigger.name().to_owned(),
            decision: "start".to_owned(),
            reason: run.reason.name().to_owned(),
            at_ms: run.started.wall_ms,
            times: 1,
            outcome: Some(end.outcome().name().to_owned()),
            duration_ms: figures.duration_ms,
            changes_sent: figures.changes_sent,
            changes_received: figures.changes_received,
            bytes_sent: figures.bytes_sent,
            bytes_received: figures.bytes_received,
            error: end.error().map(str::to_owned),
            ..RunRecord::default()
        });
        sync.look_at_schedules(now);
    }

    /// What the relay refuses of a space, in words for a person.
    fn refused_changes(&self, space: SpaceId) -> Option<String> {
        let reader = lock(&self.store).reader();
        crate::status::refused_changes(&reader, space).ok().flatten()
    }

    /// Ends every run because the session, or the attempt at one, did; tells when that has happened often in a row.
    pub(super) fn end_runs(&self, sync: &mut Synchronization, reason: &str, now: Now) {
        sync.failures = sync.failures.saturating_add(1);
        for space in sync.everyone() {
            self.end_run(sync, space, End::Lost(reason), now);
        }
        self.tell_repeated(sync, None, sync.failures, reason);
    }

    /// Tells that syncing has failed often in a row, each time it has done so as often again.
    fn tell_repeated(&self, sync: &mut Synchronization, space: Option<SpaceId>, failures: u32, reason: &str) {
        let told_after = self.failures_told.load(Relaxed);
        if told_after > 0 && failures.is_multiple_of(told_after) {
            tracing::warn!(
                space = space.map(tracing::field::display),
                failures,
                reason,
                "sync.failed: again and again"
            );
            sync.say(SyncEvent::FailingRepeatedly { space, failures, reason: reason.to_owned() });
        }
    }

    /// Notes how many chunks a run has received and how many changes of them were not here, and tells of it now and then. What was
    /// here already, or was purged, has to travel and is part of the progress; the history counts what it brought.
    pub(super) fn note_received(
        &self,
        sync: &mut Synchronization,
        space: SpaceId,
        (chunks, added): (usize, u64),
        bytes: usize,
        now: Now,
    ) {
        if let Some(state) = sync.spaces.get_mut(&space) {
            state.received = state.received.saturating_add(added);
        }
        let Some(run) = sync.plans.get_mut(&space).and_then(|plan| plan.run.as_mut()) else { return };
        run.received.0 = run.received.0.saturating_add(chunks as u64);
        run.received.1 = run.received.1.saturating_add(bytes as u64);
        self.tell_progress(sync, space, now);
    }

    /// Tells how far a run is, now and then.
    pub(super) fn tell_progress(&self, sync: &mut Synchronization, space: SpaceId, now: Now) {
        let sent = sync.spaces.get(&space).map_or(0, |state| state.moved().0);
        let Some(run) = sync.plans.get_mut(&space).and_then(|plan| plan.run.as_mut()) else { return };
        if run.told_ms.is_some_and(|told_ms| now.monotonic_ms.saturating_sub(told_ms) < PROGRESS_EVERY_MS) {
            return;
        }
        run.told_ms = Some(now.monotonic_ms);
        let changes_sent = sent.saturating_sub(run.changes_before.0);
        let (changes_received, bytes_received) = run.received;
        tracing::debug!(%space, changes_sent, changes_received, bytes_received, "sync.progress");
        sync.say(SyncEvent::Progress { space, changes_sent, changes_received, bytes_received });
    }

    /// Stores what has come together, where a run has ended.
    pub(super) fn keep_history(&self, sync: &mut Synchronization, now: Now) {
        if std::mem::take(&mut sync.history.is_due) {
            self.store_history(sync, now);
        }
    }

    fn store_history(&self, sync: &mut Synchronization, now: Now) {
        let History { closed, started, synced, pushes, .. } = &mut sync.history;
        let (rows, started) = (std::mem::take(closed), std::mem::take(started));
        let synced: Vec<_> = std::mem::take(synced).into_iter().collect();
        let pushes = std::mem::take(pushes);
        if rows.is_empty() && started.is_empty() && synced.is_empty() && pushes.is_empty() {
            return;
        }
        let notes = RunNotes { runs: &rows, started: &started, synced: &synced, pushes: &pushes };
        let mut store = lock(&self.store);
        if store.is_poisoned() {
            return;
        }
        if let Err(error) = store.note_runs(&notes, now.wall_ms) {
            // The history tells how things went, and nothing rests on it.
            tracing::warn!(%error, "the history of syncing has a gap: it could not be stored");
        }
    }

    /// Stores all of the history, also what may still count up.
    pub(super) fn close_history(&self, sync: &mut Synchronization, now: Now) {
        let open = std::mem::take(&mut sync.history.open);
        sync.history.closed.extend(open.into_values());
        self.store_history(sync, now);
    }

    /// The newest rows of the history, the newest first: see [`Self::find_runs`].
    pub(crate) fn runs(&self, space: Option<SpaceId>, limit: usize, now: Now) -> Result<Vec<RunRecord>, StoreError> {
        self.find_runs(&RunsAsked { space, limit, ..RunsAsked::default() }, now)
    }

    /// Those rows of the history that are asked for, the newest first. Such as may still count up come from memory, and go on counting.
    pub(crate) fn find_runs(&self, asked: &RunsAsked, now: Now) -> Result<Vec<RunRecord>, StoreError> {
        let mut sync = self.turn();
        self.store_history(&mut sync, now);
        let open = sync.history.open_rows(asked);
        let reader = lock(&self.store).reader();
        // While sync is held, so that no row is stored meanwhile and comes twice.
        let mut rows = reader.find_runs(asked)?;
        drop(sync);
        for row in open {
            let place = rows.iter().position(|stored| stored.at_ms <= row.at_ms).unwrap_or(rows.len());
            rows.insert(place, row);
        }
        rows.truncate(asked.limit);
        Ok(rows)
    }
}
