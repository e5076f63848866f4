//! Why a space is or is not synced, in words for a person.

use super::Run;
use crate::sign_in::SignInReason;
use crate::status::{SpaceStatus, Status, SyncState};
use afield_core::policy::{Direction, Reason};
use afield_core::{Collection, Now, SpaceId};
use serde::Serialize;
use std::fmt;

/// How many of the last decisions an explanation shows.
const SHOWN_RUNS: usize = 5;
/// How far from a run what was asked for is still answered by it, in milliseconds: the cool-down of "sync now" is as long.
const ECHO_MS: i64 = 5_000;

/// How many names of collections a sentence has.
const NAMES_MAX: usize = 3;

/// What was decided last about syncing a space and why, and what comes next.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// home.request(afield::Trigger::Manual)?;
/// let explanation = &replica.explain()?[0];
/// assert_eq!((explanation.space, explanation.name.as_str()), (home.id(), "Home"));
/// assert_eq!(explanation.runs[0].reason, "sync_off"); // for programs
/// assert!(explanation.last[0].contains("sync is off")); // for people
/// # Ok(())
/// # }
/// ```
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
    /// Which of its collections do not go both ways, in words; `None` where all do.
    pub directions: Option<String>,
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
    /// Explains a space from the directions of its collections and its newest decisions, the newest first.
    pub(super) fn of(
        status: &Status,
        space: &SpaceStatus,
        directions: &[(Collection, Direction)],
        runs: Vec<Run>,
        now: Now,
    ) -> Self {
        let (next, next_at_ms) = next(status, space, now);
        let runs = without_echoes(runs);
        Self {
            space: space.space,
            name: space.name.clone(),
            now: standing(status, space, &runs, now),
            directions: one_way(directions),
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

/// How things stand, beginning with what counts most.
fn standing(status: &Status, space: &SpaceStatus, runs: &[Run], now: Now) -> String {
    let error = || space.last_error.as_ref().or(status.last_error.as_ref()).map(|error| format!(": {error}"));
    let error = || error().unwrap_or_default();
    let mut parts = vec![match space.state {
        // Whatever else there is, it would change nothing.
        _ if space.direction == Direction::LocalOnly => Reason::LocalOnly.to_string(),
        SyncState::Disabled if !space.enabled => Reason::SpaceDisabled.to_string(),
        SyncState::Disabled => "sync is off".to_owned(),
        SyncState::Idle if space.schedule.is_some() => "it waits for its schedule".to_owned(),
        SyncState::Idle => in_step(space),
        SyncState::Syncing => "it is being synced".to_owned(),
        SyncState::Offline => match space.why_not {
            Some(Reason::RelayAsked | Reason::BudgetSpent) => format!("no attempt is made for a while{}", error()),
            _ => format!("the relay is not reached{}", error()),
        },
        SyncState::Blocked if is_broken(space) => format!("its log cannot be followed any further{}", error()),
        SyncState::Blocked if space.refused => format!("the relay does not serve it{}", error()),
        SyncState::Blocked if space.held_to_send > 0 && (space.is_served || !space.direction.receives()) => {
            "nothing of it is sent".to_owned()
        }
        SyncState::Blocked if space.held_to_send > 0 => "nothing of it is sent or received".to_owned(),
        SyncState::Blocked => format!("the relay refuses some of it{}", error()),
        SyncState::NeedsSignIn => {
            status.sign_in.map_or_else(|| Reason::SignInNeeded.to_string(), |why| why.to_string())
        }
        SyncState::Error => format!("trying again does not help{}", error()),
    }];
    let last_run = runs.iter().find(|run| run.outcome.is_some()).filter(|_| space.state == SyncState::Idle);
    if let Some(Run { outcome: Some(outcome), error: Some(error), .. }) = last_run
        && space.schedule.is_some()
        && outcome != "completed"
    {
        parts.push(format!("the run before {}: {error}", if outcome == "refused" { "was refused" } else { "failed" }));
    }
    match space.pending_changes {
        0 => {}
        1 => parts.push("1 change waits to be sent".to_owned()),
        many => parts.push(format!("{many} changes wait to be sent")),
    }
    match space.held_back {
        0 => {}
        1 => parts.push("1 change stays on this device, as the direction of its collection says".to_owned()),
        many => parts.push(format!("{many} changes stay on this device, as the directions of their collections say")),
    }
    let deletions = |many: u64| format!("{many} deletion{}", if many == 1 { "" } else { "s" });
    let wait = |many: u64| if many == 1 { "waits to be confirmed" } else { "wait to be confirmed" };
    match (space.held_to_send, space.held_here) {
        (0, 0) => {}
        (0, here) => parts.push(format!("{} by others {}", deletions(here), wait(here))),
        (sent, 0) => parts.push(format!("{} made here {}", deletions(sent), wait(sent))),
        (sent, here) => {
            let both = sent.saturating_add(here);
            parts.push(format!("{} made here and {here} by others {}", deletions(sent), wait(both)));
        }
    }
    if let Some(at_ms) = space.last_synced_ms {
        parts.push(format!("last in step {} ago", duration(now.wall_ms - at_ms)));
    }
    parts.join("; ")
}

/// That nothing is left to do, as far as anything is done at all.
fn in_step(space: &SpaceStatus) -> String {
    match space.direction {
        Direction::PushOnly if space.pending_changes == 0 => "the relay has all that is to be sent".to_owned(),
        Direction::PushOnly => "it is sent only".to_owned(),
        _ => "it is in step, and stays so".to_owned(),
    }
}

/// Whether sessions kept breaking at one place of its log.
fn is_broken(space: &SpaceStatus) -> bool {
    space.refused && space.why_not == Some(Reason::Stopped)
}

fn next(status: &Status, space: &SpaceStatus, now: Now) -> (String, Option<i64>) {
    let left = |at_ms: Option<i64>| at_ms.map(|at_ms| format!(" in {}", duration(at_ms - now.wall_ms)));
    let retry_at_ms = status.retry_in_ms.map(|ms| now.wall_ms.saturating_add(i64::try_from(ms).unwrap_or(i64::MAX)));
    let never = |words: &str| (words.to_owned(), None);
    match (space.state, space.schedule.as_deref()) {
        _ if space.direction == Direction::LocalOnly => {
            never("nothing, as long as the directions of its collections and its filter stay as they are")
        }
        (SyncState::Disabled, _) if !space.enabled => never("nothing until it is switched on"),
        (SyncState::Disabled, _) if space.held_to_send > 0 => {
            never("nothing until a relay is connected and somebody has confirmed what was deleted here")
        }
        (SyncState::Disabled, Some(schedule)) => {
            (format!("nothing until sync is on; then as its schedule says: {schedule}"), space.next_at_ms)
        }
        (SyncState::Disabled, None) => never("nothing until a relay is connected"),
        (SyncState::NeedsSignIn, _) if status.sign_in == Some(SignInReason::AccountClosed) => {
            never("nothing until the account is open and a token was given again")
        }
        (SyncState::NeedsSignIn, _) => never("nothing until somebody signs in"),
        (SyncState::Error, _) => never("nothing until sync is switched on anew"),
        (SyncState::Blocked, _) if is_broken(space) => never("nothing until sync is switched on anew"),
        (SyncState::Blocked, _) if space.refused => {
            let at_ms = space.blocked_until_ms;
            (format!("it is asked for again by itself{}", left(at_ms).unwrap_or_default()), at_ms)
        }
        (SyncState::Blocked, _) if space.held_to_send > 0 => never(until_confirmed(space)),
        (SyncState::Offline, _) => {
            (format!("the next attempt comes by itself{}", left(retry_at_ms).unwrap_or_default()), retry_at_ms)
        }
        (_, Some(schedule)) => {
            let left = left(space.next_at_ms).map(|left| format!(",{left}")).unwrap_or_default();
            (format!("its schedule: {schedule}{left}; {}", goes(space.direction, true)), space.next_at_ms)
        }
        (SyncState::Blocked, None) => {
            let goes = goes(space.direction, false);
            never(&format!("what is refused is offered again with the next session; of the rest, {goes}"))
        }
        (_, None) => never(goes(space.direction, false)),
    }
}

/// What goes on while deletions that were made here wait for somebody: the session that stands, and none after it. One that another
/// space needs serves this one, too.
fn until_confirmed(space: &SpaceStatus) -> &'static str {
    match (space.direction.receives(), space.is_served) {
        (false, _) => "nothing is sent until somebody confirms it",
        (true, true) => {
            "nothing is sent until somebody confirms it; what others send is merged as long as this connection stands, \
             and none is made for this space before that"
        }
        (true, false) => {
            "no connection is made for this space until somebody confirms it: nothing is sent before that, and nothing received"
        }
    }
}

/// What a sync does, by the way in which the changes of a space go.
fn goes(direction: Direction, is_scheduled: bool) -> &'static str {
    match (direction, is_scheduled) {
        (Direction::Both, false) => "what is edited goes out at once, and what others send is merged as it comes",
        (Direction::Both, true) => "what was edited goes out then, and what others sent is merged",
        (Direction::PushOnly, false) => "what is edited goes out at once, and nothing is taken from others",
        (Direction::PushOnly, true) => "what was edited goes out then, and nothing is taken from others",
        (Direction::PullOnly, false) => {
            "what others send is merged as it comes, and what is edited stays on this device"
        }
        (Direction::PullOnly, true) => "what others sent is merged then, and what was edited stays on this device",
        (Direction::LocalOnly, _) => "nothing goes either way",
    }
}

/// Which collections do not go both ways.
fn one_way(directions: &[(Collection, Direction)]) -> Option<String> {
    let words = |direction, one: &str, many: &str| {
        let names: Vec<_> =
            directions.iter().filter(|(_, of)| *of == direction).map(|(name, _)| name.as_str()).collect();
        let shown = names.get(..NAMES_MAX).unwrap_or(&names).join(", ");
        match names.len() {
            0 => None,
            1 => Some(format!("{shown} {one}")),
            2..=NAMES_MAX => Some(format!("{shown} {many}")),
            count => Some(format!("{shown} and {} more {many}", count - NAMES_MAX)),
        }
    };
    let parts = [
        words(Direction::PushOnly, "is only sent", "are only sent"),
        words(Direction::PullOnly, "is only received", "are only received"),
        words(Direction::LocalOnly, "stays on this device", "stay on this device"),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join("; "))
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
    let reason = run.reason.parse::<Reason>();
    let why = reason.map_or_else(|_| run.reason.clone(), |reason| reason.to_string());
    // Whoever asked is named as the trigger.
    let begun = if reason == Ok(Reason::Asked) { String::new() } else { format!("; begun since {why}") };
    let figures = &run.figures;
    let what = match (run.decision.as_str(), run.outcome.as_deref()) {
        (_, Some("completed")) => {
            format!(
                "in step after {} ms ({} sent, {} received){begun}",
                figures.duration_ms, figures.changes_sent, figures.changes_received
            )
        }
        (_, Some(outcome)) => format!("{outcome}: {}{begun}", run.error.as_deref().unwrap_or("for no known reason")),
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
        self.directions.iter().try_for_each(|directions| writeln!(f, "  directions: {directions}"))?;
        writeln!(f, "  next: {}", self.next)?;
        self.last.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

fn as_text<S: serde::Serializer>(space: &SpaceId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(space)
}

#[cfg(test)]
mod tests;
