//! `afield explain`

use crate::arguments::Global;
use crate::context;
use crate::failure::{Failure, after_sign_in};
use crate::hint::Hints;
use crate::output::Output;
use crate::remembered::{LastState, Remembered};
use crate::text;
use afield::{Direction, Explanation, SignInReason, SpaceStatus};

pub(super) fn run(global: &Global, output: Output) -> Result<(), Failure> {
    let replica = context::view(global)?;
    let mut explanations = replica.explain()?;
    let remembered = Remembered::read(&global.store)?;
    let is_synced = |space: &&SpaceStatus| space.enabled && space.direction != Direction::LocalOnly;
    for space in replica.status()?.spaces.iter().filter(is_synced) {
        let Some(explanation) = explanations.iter_mut().find(|one| one.space == space.space) else { continue };
        match &remembered {
            Some(remembered) => between_commands(explanation, space, remembered),
            None => "nothing until a relay is connected: `afield connect URL`".clone_into(&mut explanation.next),
        }
    }
    for explanation in &mut explanations {
        explanation.now = global.hints.in_text(&explanation.now);
        explanation.next = global.hints.in_text(&explanation.next);
    }
    output.list(&explanations, || page(&explanations, &global.hints, output.width()))
}

/// Says what holds of a space that a relay is remembered for: the library knows of none between two commands.
fn between_commands(explanation: &mut Explanation, space: &SpaceStatus, remembered: &Remembered) {
    let mut parts = vec![standing(space, remembered)];
    if space.pending_changes > 0 {
        let changes = text::count(space.pending_changes, "change waits", "changes wait");
        parts.push(format!("{changes} to be sent"));
    }
    if space.held_back > 0 {
        let changes = text::count(space.held_back, "change is", "changes are");
        parts.push(format!("{changes} held back (`afield direction` says why)"));
    }
    for (deletions, whose) in [(space.held_to_send, "made here"), (space.held_here, "by others")] {
        if deletions > 0 {
            let (deletions, wait) =
                (text::count(deletions, "deletion", "deletions"), if deletions == 1 { "waits" } else { "wait" });
            parts.push(format!("{deletions} {whose} {wait} to be confirmed"));
        }
    }
    explanation.now = parts.join("; ");
    explanation.next = next(space, remembered);
}

/// Why the relay does not serve the space alone.
fn refusal<'r>(space: &SpaceStatus, remembered: &'r Remembered) -> Option<&'r str> {
    // What waits for somebody here is remembered, too, and is not the relay's doing.
    if space.held_to_send + space.held_here > 0 {
        return None;
    }
    let id = space.space.to_string();
    remembered.spaces.iter().find(|refused| refused.id == id).map(|refused| refused.reason.as_str())
}

/// What went wrong with the relay as a whole.
fn failure(remembered: &Remembered) -> Option<(LastState, &str)> {
    let error = remembered.last_error.as_ref().filter(|_| remembered.spaces.is_empty())?;
    Some((error.state, &error.reason))
}

/// Why somebody has to sign in.
fn sign_in(remembered: &Remembered) -> SignInReason {
    let told = remembered.last_error.as_ref().and_then(|error| error.sign_in);
    told.unwrap_or(SignInReason::TokenRefused)
}

fn standing(space: &SpaceStatus, remembered: &Remembered) -> String {
    let last = match space.last_synced_ms.or(remembered.last_synced_ms) {
        Some(at_ms) => {
            let ago = text::ago(u64::try_from(context::wall_ms().saturating_sub(at_ms)).unwrap_or(0));
            format!("in step as of {ago}")
        }
        None => "never in step yet".to_owned(),
    };
    if let Some(reason) = refusal(space, remembered) {
        return format!("the relay does not serve it: {reason}");
    }
    match failure(remembered) {
        _ if space.blocked_entities > 0 => {
            let entities = text::count(space.blocked_entities, "entity", "entities");
            format!("the relay refuses changes of {entities}; {last}")
        }
        Some((LastState::NeedsSignIn, _)) => format!("{}; {last}", sign_in(remembered)),
        Some((LastState::Offline, reason)) => format!("the relay was not reached: {reason}; {last}"),
        // What waits to be confirmed is counted beside this.
        Some((LastState::Blocked, _)) if space.held_to_send + space.held_here > 0 => last,
        Some((LastState::Blocked, reason)) => format!("something is kept back: {reason}; {last}"),
        None => last,
    }
}

fn next(space: &SpaceStatus, remembered: &Remembered) -> String {
    if refusal(space, remembered).is_some() {
        let made = "sync the device that made the space first, or ask who runs the relay whether this token may use it";
        return format!("{made}; then `afield sync`");
    }
    match failure(remembered) {
        Some((LastState::NeedsSignIn, _)) => {
            return after_sign_in(sign_in(remembered)).to_owned();
        }
        _ if space.held_to_send + space.held_here > 0 => {
            let sent = if space.held_to_send > 0 { "; no sync of the space begins until then" } else { "" };
            let (deletions, them) = match space.held_to_send + space.held_here {
                1 => ("deletion", "it"),
                _ => ("deletions", "them"),
            };
            return format!("`afield confirm` shows the {deletions}, and lets {them} go{sent}");
        }
        _ if space.blocked_entities > 0 => {
            return "`afield status` says why; `afield sync` offers them again".to_owned();
        }
        Some((LastState::Offline, _)) => return "`afield sync` tries again".to_owned(),
        Some((LastState::Blocked, _)) | None => {}
    }
    let does = match (space.pending_changes > 0, space.direction.receives()) {
        (true, true) => "sends what waits, and fetches what others wrote",
        (true, false) => "sends what waits, and fetches nothing",
        (false, true) => "fetches what others wrote",
        (false, false) => "has nothing to send, and fetches nothing",
    };
    let schedule = space.schedule.as_ref().map(|schedule| format!("; while sync is on, its schedule: {schedule}"));
    let stays = if schedule.is_none() { "; `afield status --watch --sync` stays in step" } else { "" };
    format!("`afield sync` {does}{}{stays}", schedule.unwrap_or_default())
}

fn page(explanations: &[Explanation], hints: &Hints, width: usize) -> String {
    if explanations.is_empty() {
        return hints.in_text("no space yet: `afield space create NAME`");
    }
    let below = |line: &str| format!("  {}", text::wrapped(line, width.saturating_sub(2), 4));
    let lines = explanations.iter().flat_map(|explanation| {
        let title = format!("{}: {}", text::printable(&explanation.name), explanation.now);
        let directions = explanation.directions.iter().map(|words| below(&format!("directions: {words}")));
        std::iter::once(text::wrapped(&title, width, 2))
            .chain(directions)
            .chain([below(&format!("next: {}", explanation.next))])
            .chain(explanation.last.iter().map(|line| below(line)))
    });
    lines.collect::<Vec<_>>().join("\n")
}
