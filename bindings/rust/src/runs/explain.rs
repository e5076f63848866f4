//! Why a space is or is not synced, in words for a person.

use super::Run;
use crate::status::{SpaceStatus, Status, SyncState};
use afield_core::policy::Reason;
use afield_core::{Now, SpaceId};
use serde::Serialize;
use std::fmt;

/// How many of the last decisions an explanation shows.
const SHOWN_RUNS: usize = 5;
/// How far from a run what was asked for is still answered by it, in milliseconds: the cool-down of "sync now" is as long.
const ECHO_MS: i64 = 5_000;

/// What was decided last about syncing a space and why, and what comes next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The space.
    #[serde(serialize_with = "as_text")]
    pub space: SpaceId,
    /// Its name on this device.
    pub name: String,
    /// How things stand, in words.
    pub now: String,
    /// What comes next and when, in words.
    pub next: String,
    /// When that is, in milliseconds since the Unix epoch, where it is known.
    pub next_at_ms: Option<i64>,
    /// The last decisions, the newest first. That nothing more was to be done for what a run did anyway is none of them.
    pub runs: Vec<Run>,
    /// The same in words.
    pub last: Vec<String>,
}

impl Explanation {
    /// Explains a space from its newest decisions, the newest first.
    pub(super) fn of(status: &Status, space: &SpaceStatus, runs: Vec<Run>, now: Now) -> Self {
        let (next, next_at_ms) = next(status, space, now);
        let runs = without_echoes(runs);
        Self {
            space: space.space,
            name: space.name.clone(),
            now: standing(status, space, now),
            next,
            next_at_ms,
            last: runs.iter().map(|run| in_words(run, now)).collect(),
            runs,
        }
    }
}

/// Leaves out what was asked for while a run did it, or right before or after: one sync is one line.
fn without_echoes(mut runs: Vec<Run>) -> Vec<Run> {
    let done: Vec<_> = runs
        .iter()
        .filter(|run| run.outcome.is_some())
        .map(|run| {
            let ms = i64::try_from(run.figures.duration_ms).unwrap_or(i64::MAX);
            run.at_ms.saturating_sub(ECHO_MS)..=run.at_ms.saturating_add(ms).saturating_add(ECHO_MS)
        })
        .collect();
    let is_asked = |run: &Run| run.outcome.is_none() && ["manual", "start_up"].contains(&run.trigger.as_str());
    let is_answered = |run: &Run| run.decision == "skip" || run.reason == Reason::BackOff.name();
    let is_echo = |run: &Run| is_asked(run) && is_answered(run) && done.iter().any(|done| done.contains(&run.at_ms));
    runs.retain(|run| !is_echo(run));
    // What keeps one sync back is told once, though switching it on and asking for it are both answered so.
    runs.dedup_by(|older, newer| {
        let is_near = newer.at_ms.saturating_sub(older.at_ms) <= ECHO_MS;
        is_near && is_asked(older) && is_asked(newer) && older.trigger != newer.trigger && older.reason == newer.reason
    });
    runs.truncate(SHOWN_RUNS);
    runs
}

fn standing(status: &Status, space: &SpaceStatus, now: Now) -> String {
    let error = || space.last_error.as_ref().or(status.last_error.as_ref()).map(|error| format!(": {error}"));
    let state = match space.state {
        SyncState::Disabled if !space.enabled => Reason::SpaceDisabled.to_string(),
        SyncState::Disabled => "sync is off".to_owned(),
        SyncState::Idle if space.schedule.is_some() => "it waits for its schedule".to_owned(),
        SyncState::Idle => "it is in step, and stays so".to_owned(),
        SyncState::Syncing => "it is being synced".to_owned(),
        SyncState::Offline => format!("the relay is not reached{}", error().unwrap_or_default()),
        SyncState::Blocked => format!("something is kept back{}", error().unwrap_or_default()),
        SyncState::NeedsSignIn => Reason::SignInNeeded.to_string(),
        SyncState::Error => format!("trying again does not help{}", error().unwrap_or_default()),
    };
    let pending = match space.pending_changes {
        0 => String::new(),
        1 => "; 1 change waits to be sent".to_owned(),
        many => format!("; {many} changes wait to be sent"),
    };
    let held = match (space.held_to_send, space.held_here) {
        (0, 0) => String::new(),
        (0, here) => format!("; {here} deletions by others wait to be confirmed"),
        (sent, 0) => format!("; {sent} deletions made here wait to be confirmed"),
        (sent, here) => format!("; {sent} deletions made here and {here} by others wait to be confirmed"),
    };
    let last = space.last_synced_ms.map(|at_ms| format!("; last in step {} ago", duration(now.wall_ms - at_ms)));
    format!("{state}{pending}{held}{}", last.unwrap_or_default())
}

fn next(status: &Status, space: &SpaceStatus, now: Now) -> (String, Option<i64>) {
    let retry_at_ms = status.retry_in_ms.map(|ms| now.wall_ms.saturating_add(i64::try_from(ms).unwrap_or(i64::MAX)));
    match (space.state, space.schedule.as_deref()) {
        (SyncState::Disabled, _) if !space.enabled => ("nothing until it is switched on".to_owned(), None),
        (SyncState::Disabled, Some(schedule)) => {
            (format!("nothing until sync is on; then as its schedule says: {schedule}"), space.next_at_ms)
        }
        (SyncState::Disabled, None) => ("nothing until a relay is connected".to_owned(), None),
        (SyncState::Blocked, _) if space.held_to_send > 0 => {
            ("nothing is sent until somebody confirms it".to_owned(), None)
        }
        (SyncState::NeedsSignIn, _) => ("nothing until somebody signs in".to_owned(), None),
        (SyncState::Error, _) => ("nothing until sync is switched on anew".to_owned(), None),
        (SyncState::Offline, _) => {
            let left = retry_at_ms.map(|at_ms| format!(" in {}", duration(at_ms - now.wall_ms)));
            (format!("the next attempt comes by itself{}", left.unwrap_or_default()), retry_at_ms)
        }
        (_, Some(schedule)) => {
            let left = space.next_at_ms.map(|at_ms| format!(", in {}", duration(at_ms - now.wall_ms)));
            (format!("its schedule: {schedule}{}", left.unwrap_or_default()), space.next_at_ms)
        }
        (_, None) => ("what is edited goes out at once, and what others send is merged as it comes".to_owned(), None),
    }
}

fn in_words(run: &Run, now: Now) -> String {
    let when = format!("{} ago", duration(now.wall_ms - run.at_ms));
    let trigger = match run.trigger.as_str() {
        "local_edit" => "something was edited",
        "timer" => "the application's timer",
        "schedule" => "the schedule",
        "manual" => "somebody asked",
        "network_back" => "the network was back",
        "push" => "a notification",
        "start_up" => "sync was switched on",
        "retry" => "another attempt",
        "maintenance" => "maintenance",
        other => other,
    };
    let why = run.reason.parse::<Reason>().map_or_else(|_| run.reason.clone(), |reason| reason.to_string());
    let figures = &run.figures;
    let what = match (run.decision.as_str(), run.outcome.as_deref()) {
        (_, Some("completed")) => {
            format!(
                "in step after {} ms ({} sent, {} received)",
                figures.duration_ms, figures.changes_sent, figures.changes_received
            )
        }
        (_, Some(outcome)) => format!("{outcome}: {}", run.error.as_deref().unwrap_or("for no known reason")),
        ("block", None) => format!("kept back, since {why}"),
        (_, None) => format!("nothing done, since {why}"),
    };
    let times = if run.times > 1 { format!(", {} times", run.times) } else { String::new() };
    format!("{when}: {trigger}: {what}{times}")
}

/// A length of time in its largest unit.
fn duration(ms: i64) -> String {
    let seconds = ms.max(0) / 1_000;
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.name, self.now)?;
        writeln!(f, "  next: {}", self.next)?;
        self.last.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

fn as_text<S: serde::Serializer>(space: &SpaceId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(space)
}
