//! The status as a page for a person.

use super::{Refused, Shown, ShownSpace, State};
use crate::context;
use crate::failure::after_sign_in;
use crate::identity;
use crate::text;
use afield::{Role, SyncState};
use console::style;

/// How wide the names on the left are, with the blanks behind them.
const NAME_WIDTH: usize = 9;

/// The whole page; no line is wider than this unless a single word is.
pub(super) fn in_words(shown: &Shown, width: usize) -> String {
    let size = shown.store_bytes.map(|size| format!(" ({})", text::bytes(size))).unwrap_or_default();
    let is_wide = NAME_WIDTH + shown.device.len() <= width;
    let relay = shown.relay.as_deref().unwrap_or("none: `afield connect URL` starts syncing");
    let mut lines = vec![
        ("store", format!("{}{size}", shown.store)),
        ("device", if is_wide { shown.device.clone() } else { identity::end_of(&shown.device) }),
        ("relay", relay.to_owned()),
        ("sync", sync_in_words(shown)),
    ];
    if let Some(error) = &shown.last_error {
        lines.push(("", with_names(error, &shown.spaces)));
    }
    if let Some(why) = shown.sign_in {
        lines.push(("next", after_sign_in(why).to_owned()));
    }
    if let Some(traffic) = shown.traffic {
        let (up, down) = (text::bytes(traffic.bytes_sent), text::bytes(traffic.bytes_received));
        lines.push(("traffic", format!("↑ {up}   ↓ {down}")));
    }
    lines.push(("waiting", waiting_in_words(shown)));
    for Refused { reason, entities, .. } in &shown.refusals {
        let entities = text::count(*entities, "entity", "entities");
        lines.push(("refused", format!("changes of {entities}: {reason}")));
        lines.push(("", "the relay does not take them; they stay stored here".to_owned()));
    }
    if shown.quarantined > 0 {
        let (one, many) = ("chunk from others did not fit and was", "chunks from others did not fit and were");
        let chunks = text::count(shown.quarantined, one, many);
        lines.push(("refused", format!("{chunks} put aside, unchanged")));
    }
    let conflicts = text::count(shown.conflicts, "conflict", "conflicts");
    let behind = text::count(shown.conflicts_behind, "entity", "entities");
    match (shown.conflicts, shown.conflicts_behind) {
        (0, 0) => {}
        (_, 0) => lines.push(("decide", format!("{conflicts}: see `afield conflicts`"))),
        (0, _) => lines.push(("decide", format!("{behind} may hold conflicts: `afield conflicts` works them out"))),
        (..) => {
            let more = format!("{conflicts}, and {behind} may hold more: `afield conflicts` works them out");
            lines.push(("decide", more));
        }
    }
    if shown.held > 0 {
        let deletions = text::count(shown.held, "deletion", "deletions");
        let them = if shown.held == 1 { "it" } else { "them" };
        lines.push(("decide", format!("{deletions}: `afield confirm` shows {them}, and lets {them} go")));
    }
    let mut page = String::new();
    for (name, value) in lines {
        let below = format!("\n{}", " ".repeat(NAME_WIDTH));
        let value = text::wrapped(&value, width.saturating_sub(NAME_WIDTH), 0).replace('\n', &below);
        let value = if name.is_empty() { style(value).yellow() } else { style(value) };
        page.push_str(&format!("{}{value}\n", style(format!("{name:<NAME_WIDTH$}")).cyan()));
    }
    page.push('\n');
    page.push_str(&spaces_in_words(&shown.spaces, shown.last_error.as_deref(), width));
    page
}

/// The status in one line, for each change of it.
pub(super) fn in_a_line(shown: &Shown) -> String {
    let mut line = format!("{}, waiting: {}", shown.state.word(), waiting_in_words(shown));
    if let Some(error) = &shown.last_error {
        line.push_str(&format!(" ({error})"));
    }
    if shown.blocked_entities > 0 {
        line.push_str(&format!(", refused: {}", text::count(shown.blocked_entities, "entity", "entities")));
    }
    if shown.quarantined > 0 {
        line.push_str(&format!(", put aside: {}", text::count(shown.quarantined, "chunk", "chunks")));
    }
    let sequences = shown.spaces.iter().map(|space| space.sequence).sum();
    line.push_str(&format!(", log: {}", text::number(sequences)));
    line
}

fn sync_in_words(shown: &Shown) -> String {
    let last = match shown.last_synced_ms {
        Some(at) => {
            let ago_ms = u64::try_from(context::wall_ms().saturating_sub(at)).unwrap_or(0);
            format!("in step {}", text::ago(ago_ms))
        }
        None => "never in step yet".to_owned(),
    };
    match (shown.state, &shown.last_error) {
        (State::Disabled, _) => "off".to_owned(),
        (State::Live(SyncState::Idle), _) => "on, in step".to_owned(),
        (State::Live(SyncState::Syncing), _) => "on, syncing".to_owned(),
        (State::Live(_), _) => {
            let retry = shown.retry_in_ms.map(|ms| format!("; trying again in {}", text::duration(ms)));
            format!("{}, {last}{}", shown.state.word(), retry.unwrap_or_default())
        }
        (_, Some(_)) => format!("{last}; since then:"),
        (_, None) => last,
    }
}

fn waiting_in_words(shown: &Shown) -> String {
    let changes = shown.pending_changes;
    let held_back = shown.spaces.iter().map(|space| space.held_back).sum::<u64>();
    if changes == 0 && held_back > 0 {
        let held_back = text::count(held_back, "change", "changes");
        return format!("nothing, but for {held_back} held back (`afield direction` says why)");
    }
    if changes == 0 {
        let is_known = shown.last_synced_ms.is_some() && shown.spaces.iter().all(|space| space.error.is_none());
        let all = if is_known { ": the relay has every change of this device" } else { "" };
        return format!("nothing{all}");
    }
    let oldest =
        shown.oldest_pending_age_ms.map(|age| format!(", the oldest from {}", text::ago(age))).unwrap_or_default();
    format!("{}{oldest}", text::count(changes, "change", "changes"))
}

/// A space that was joined without a name has its id for one, which stands there already.
fn name(space: &ShownSpace) -> &str {
    if space.name == space.id { "" } else { &space.name }
}

/// An error in which spaces have their names, or the ends of their ids, for a person who reads both below.
fn with_names(error: &str, spaces: &[ShownSpace]) -> String {
    spaces.iter().fold(error.to_owned(), |error, space| {
        let short = if name(space).is_empty() { identity::end_of(&space.id) } else { format!("{:?}", space.name) };
        error.replace(&space.id, &text::printable(&short))
    })
}

fn spaces_in_words(spaces: &[ShownSpace], last_error: Option<&str>, width: usize) -> String {
    if spaces.is_empty() {
        return style("no space yet: `afield space create NAME`").dim().to_string();
    }
    let row = |space: &ShownSpace| {
        let (waiting, log) = (text::number(space.pending_changes), text::number(space.sequence));
        vec![text::printable(name(space)), space.state.word(), waiting, log, identity::end_of(&space.id)]
    };
    let rows: Vec<_> = spaces.iter().map(row).collect();
    let mut page = text::whole_table(&["space", "sync", "waiting", "log", "id ends in"], &rows, width);
    for space in spaces {
        let mut notes = Vec::new();
        notes.extend(space.error.clone().filter(|error| Some(error.as_str()) != last_error));
        if space.role == Some(Role::Reader.as_str()) {
            notes.push("this device may only read".to_owned());
        }
        if !space.enabled {
            notes.push("switched off".to_owned());
        }
        if let Some(schedule) = &space.schedule {
            let next = text::next(space.next_at_ms, context::wall_ms());
            notes.push(format!("synced by schedule: {schedule}{next}"));
        }
        if space.held_back > 0 {
            let changes = text::count(space.held_back, "change", "changes");
            notes.push(format!("{changes} held back (`afield direction` says why)"));
        }
        if space.resets > 0 {
            let times = text::count(space.resets, "time", "times");
            notes.push(format!("the relay had lost history {times}, and was given all of it again"));
        }
        if !notes.is_empty() {
            let who = if name(space).is_empty() { identity::end_of(&space.id) } else { space.name.clone() };
            page.push_str(&text::wrapped(&format!("{}: {}", text::printable(&who), notes.join("; ")), width, 2));
            page.push('\n');
        }
    }
    page
}
