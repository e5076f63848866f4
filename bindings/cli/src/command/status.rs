//! `afield status`

use crate::arguments::Global;
use crate::context;
use crate::failure::{Failure, word_of};
use crate::output::Output;
use crate::remembered::{LastError, LastState, Remembered};
use crate::text;
use afield::{ChunkCode, ReadOnlySpace, SpaceStatus};
use console::style;
use serde::{Serialize, Serializer};

/// What is known without asking the relay: nothing here is newer than the last sync.
#[derive(Debug, Serialize)]
struct Shown {
    store: String,
    store_bytes: Option<u64>,
    device: String,
    relay: Option<String>,
    state: State,
    last_synced_ms: Option<i64>,
    last_error: Option<String>,
    pending_changes: u64,
    oldest_pending_age_ms: Option<u64>,
    blocked_entities: u64,
    refusals: Vec<Refused>,
    quarantined: u64,
    spaces: Vec<ShownSpace>,
}

/// Why the relay refuses changes of a space.
#[derive(Debug, Serialize)]
struct Refused {
    space: String,
    code: u16,
    reason: String,
    class: &'static str,
    entities: u64,
}

impl Refused {
    fn of(space: &ReadOnlySpace, code: ChunkCode, entities: u64) -> Self {
        let class = word_of(code.class());
        Self { space: space.id().to_string(), code: code.number(), reason: code.to_string(), class, entities }
    }
}

#[derive(Debug, Serialize)]
struct ShownSpace {
    id: String,
    name: String,
    pending_changes: u64,
    oldest_pending_age_ms: Option<u64>,
    blocked_entities: u64,
    quarantined: u64,
    sequence: u64,
    resets: u64,
}

/// What sync is between two runs of this command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Disabled,
    Idle,
    Failed(LastState),
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Disabled => serializer.serialize_str("disabled"),
            Self::Idle => serializer.serialize_str("idle"),
            Self::Failed(state) => state.serialize(serializer),
        }
    }
}

pub(super) fn run(global: &Global, output: Output) -> Result<(), Failure> {
    let replica = context::view(global)?;
    let status = replica.status()?;
    let remembered = Remembered::read(&global.store)?;
    let mut refusals = Vec::new();
    for space in replica.spaces()? {
        refusals.extend(space.refusals()?.into_iter().map(|(code, entities)| Refused::of(&space, code, entities)));
    }
    let spaces: Vec<_> = status.spaces.into_iter().map(ShownSpace::from).collect();
    let blocked_entities = spaces.iter().map(|space| space.blocked_entities).sum();
    let last_error = remembered.as_ref().and_then(|remembered| remembered.last_error.clone());
    let shown = Shown {
        store: global.store.display().to_string(),
        store_bytes: std::fs::metadata(&global.store).ok().map(|file| file.len()),
        device: status.device.to_string(),
        state: state_of(remembered.as_ref(), last_error.as_ref(), blocked_entities),
        last_synced_ms: remembered.as_ref().and_then(|remembered| remembered.last_synced_ms),
        last_error: last_error.map(|error| error.reason),
        relay: remembered.map(|remembered| remembered.address),
        pending_changes: status.pending_changes,
        oldest_pending_age_ms: spaces.iter().filter_map(|space| space.oldest_pending_age_ms).max(),
        blocked_entities,
        refusals,
        quarantined: status.quarantined,
        spaces,
    };
    output.result(&shown, || in_words(&shown, output))
}

fn state_of(remembered: Option<&Remembered>, last_error: Option<&LastError>, blocked_entities: u64) -> State {
    match (remembered, last_error) {
        (None, _) => State::Disabled,
        (Some(_), Some(error)) => State::Failed(error.state),
        (Some(_), None) if blocked_entities > 0 => State::Failed(LastState::Blocked),
        (Some(_), None) => State::Idle,
    }
}

impl From<SpaceStatus> for ShownSpace {
    fn from(space: SpaceStatus) -> Self {
        Self {
            id: space.space.to_string(),
            name: space.name,
            pending_changes: space.pending_changes,
            oldest_pending_age_ms: space.oldest_pending_age_ms,
            blocked_entities: space.blocked_entities,
            quarantined: space.quarantined,
            sequence: space.sequence,
            resets: space.resets,
        }
    }
}

fn in_words(shown: &Shown, output: Output) -> String {
    let size = shown.store_bytes.map(|size| format!(" ({})", text::bytes(size))).unwrap_or_default();
    let relay = shown.relay.as_deref().unwrap_or("none: `afield connect URL` starts syncing");
    let mut lines = vec![
        ("store", format!("{}{size}", shown.store)),
        ("device", shown.device.clone()),
        ("relay", relay.to_owned()),
        ("sync", sync_in_words(shown)),
    ];
    if let Some(error) = &shown.last_error {
        lines.push(("", style(error).yellow().to_string()));
    }
    lines.push(("waiting", waiting_in_words(shown)));
    for Refused { reason, entities, .. } in &shown.refusals {
        let entities = text::count(*entities, "entity", "entities");
        lines.push(("refused", format!("by the relay, changes of {entities}: {reason}; they stay stored here")));
    }
    if shown.quarantined > 0 {
        let chunks = text::count(shown.quarantined, "chunk", "chunks");
        lines.push(("refused", format!("{chunks} from others did not fit and were put aside, unchanged")));
    }
    let lines = lines.into_iter().map(|(name, value)| format!("{}{value}", style(format!("{name:<9}")).cyan()));
    let mut page = lines.collect::<Vec<_>>().join("\n");
    page.push_str("\n\n");
    page.push_str(&spaces_in_words(&shown.spaces, output));
    page
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
        (_, Some(_)) => format!("{last}; since then:"),
        (_, None) => last,
    }
}

fn waiting_in_words(shown: &Shown) -> String {
    let changes = shown.pending_changes;
    if changes == 0 {
        let all = if shown.last_synced_ms.is_some() { ": the relay has every change of this device" } else { "" };
        return format!("nothing{all}");
    }
    let oldest =
        shown.oldest_pending_age_ms.map(|age| format!(", the oldest from {}", text::ago(age))).unwrap_or_default();
    format!("{}{oldest}", text::count(changes, "change", "changes"))
}

fn spaces_in_words(spaces: &[ShownSpace], output: Output) -> String {
    let row = |space: &ShownSpace| {
        let resets = if space.resets > 0 { text::count(space.resets, "repair", "repairs") } else { String::new() };
        vec![
            space.id.clone(),
            text::number(space.pending_changes),
            text::number(space.sequence),
            resets,
            text::printable(&space.name),
        ]
    };
    let rows: Vec<_> = spaces.iter().map(row).collect();
    if rows.is_empty() {
        return style("no space yet: `afield space create NAME`").dim().to_string();
    }
    text::table(&["space", "waiting", "log", "", "name"], &rows, output.width())
}
