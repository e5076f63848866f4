//! `afield status`

mod page;
mod watch;

use crate::arguments::{Global, StatusArguments};
use crate::context;
use crate::failure::{Failure, word_of};
use crate::output::Output;
use crate::remembered::{LastState, Remembered};
use afield::{ChunkCode, ReadOnlyReplica, Role, SignInReason, SpaceId, SpaceStatus, Status, SyncState, Traffic};
use serde::{Serialize, Serializer};
use std::path::Path;

/// What is known without asking the relay: nothing here is newer than the last sync, unless sync is on.
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
    conflicts: u64,
    conflicts_behind: u64,
    /// Deletions that wait to be confirmed, both ways.
    held: u64,
    /// What went over the wire, while sync is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    traffic: Option<Traffic>,
    /// When the next attempt is made, where sync is on and one is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_in_ms: Option<u64>,
    /// Why somebody has to sign in, where that is it.
    #[serde(skip_serializing_if = "Option::is_none")]
    sign_in: Option<SignInReason>,
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
    fn of(space: SpaceId, code: ChunkCode, entities: u64) -> Self {
        let class = word_of(code.class());
        Self { space: space.to_string(), code: code.number(), reason: code.to_string(), class, entities }
    }
}

#[derive(Debug, Serialize)]
struct ShownSpace {
    id: String,
    name: String,
    role: Option<&'static str>,
    state: State,
    error: Option<String>,
    pending_changes: u64,
    held_back: u64,
    oldest_pending_age_ms: Option<u64>,
    blocked_entities: u64,
    quarantined: u64,
    conflicts: u64,
    conflicts_behind: u64,
    held: u64,
    sequence: u64,
    resets: u64,
    last_reset_ms: Option<i64>,
    enabled: bool,
    schedule: Option<String>,
    next_at_ms: Option<i64>,
    last_synced_ms: Option<i64>,
}

/// What sync is; the words are those of the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No relay is remembered.
    Disabled,
    /// In step when sync was last on.
    Idle,
    /// Something was wrong when sync was last on.
    Failed(LastState),
    /// Sync is on.
    Live(SyncState),
}

impl State {
    fn word(self) -> String {
        let json = serde_json::to_value(self).ok();
        json.as_ref().and_then(serde_json::Value::as_str).unwrap_or("unknown").replace('_', " ")
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Disabled => serializer.serialize_str("disabled"),
            Self::Idle => serializer.serialize_str("idle"),
            Self::Failed(state) => state.serialize(serializer),
            Self::Live(state) => state.serialize(serializer),
        }
    }
}

pub(super) fn run(arguments: &StatusArguments, global: &Global, output: Output) -> Result<(), Failure> {
    if arguments.watch {
        return watch::run(arguments.sync, global, output);
    }
    let shown = Shown::gather(&context::view(global)?, None, &global.store)?;
    output.result(&shown, || page::in_words(&shown, output.width()))
}

impl Shown {
    /// Gathers what is known of a store; `live` is what sync says of itself while it is on.
    fn gather(replica: &ReadOnlyReplica, live: Option<Status>, store: &Path) -> Result<Self, Failure> {
        let remembered = Remembered::read(store)?;
        let mut refusals = Vec::new();
        for space in replica.spaces()? {
            let of_space = space.refusals()?.into_iter();
            refusals.extend(of_space.map(|(code, entities)| Refused::of(space.id(), code, entities)));
        }
        let is_live = live.is_some();
        let live_synced_ms = live.as_ref().and_then(|status| status.last_synced_ms);
        let status = match live {
            Some(status) => status,
            None => replica.status()?,
        };
        let last_error = match &remembered {
            Some(remembered) if !is_live => remembered.last_error.as_ref().map(|error| error.reason.clone()),
            _ => status.last_error.clone(),
        };
        let sign_in = match &remembered {
            Some(remembered) if !is_live => remembered.last_error.as_ref().and_then(|error| error.sign_in),
            _ => status.sign_in,
        };
        let before = Before { remembered: remembered.as_ref(), refusals: &refusals, is_live };
        let spaces: Vec<_> = status.spaces.iter().map(|space| before.space(space)).collect();
        let blocked_entities = spaces.iter().map(|space| space.blocked_entities).sum();
        Ok(Self {
            store: store.display().to_string(),
            store_bytes: std::fs::metadata(store).ok().map(|file| file.len()),
            device: status.device.to_string(),
            state: before.overall(&status, blocked_entities),
            // What the store remembers of its spaces may be of a relay that it was connected to before.
            last_synced_ms: live_synced_ms.or(remembered.as_ref().and_then(|known| known.last_synced_ms)),
            last_error,
            relay: remembered.map(|remembered| remembered.address),
            pending_changes: status.pending_changes,
            oldest_pending_age_ms: spaces.iter().filter_map(|space| space.oldest_pending_age_ms).max(),
            blocked_entities,
            refusals,
            quarantined: status.quarantined,
            conflicts: status.conflicts,
            conflicts_behind: status.conflicts_behind,
            held: spaces.iter().map(|space| space.held).sum(),
            traffic: is_live.then_some(status.traffic),
            retry_in_ms: status.retry_in_ms,
            sign_in,
            spaces,
        })
    }
}

/// What is known from before.
struct Before<'s> {
    remembered: Option<&'s Remembered>,
    refusals: &'s [Refused],
    is_live: bool,
}

impl Before<'_> {
    fn overall(&self, status: &Status, blocked_entities: u64) -> State {
        match self.remembered {
            _ if self.is_live => State::Live(status.state),
            None => State::Disabled,
            Some(Remembered { last_error: Some(error), .. }) => State::Failed(error.state),
            Some(_) if blocked_entities > 0 => State::Failed(LastState::Blocked),
            Some(_) => State::Idle,
        }
    }

    fn space(&self, space: &SpaceStatus) -> ShownSpace {
        let id = space.space.to_string();
        let (state, error) = self.state(space, &id);
        ShownSpace {
            id,
            name: space.name.clone(),
            role: space.role.map(Role::as_str),
            state,
            error,
            pending_changes: space.pending_changes,
            held_back: space.held_back,
            oldest_pending_age_ms: space.oldest_pending_age_ms,
            blocked_entities: space.blocked_entities,
            quarantined: space.quarantined,
            conflicts: space.conflicts,
            conflicts_behind: space.conflicts_behind,
            held: space.held_to_send + space.held_here,
            sequence: space.sequence,
            resets: space.resets,
            last_reset_ms: space.last_reset_ms,
            enabled: space.enabled,
            schedule: space.schedule.clone(),
            next_at_ms: space.next_at_ms,
            last_synced_ms: space.last_synced_ms,
        }
    }

    /// What keeps a space back, from what is about it alone to what is about all of them.
    fn state(&self, space: &SpaceStatus, id: &str) -> (State, Option<String>) {
        let refused = self.refusals.iter().filter(|refused| refused.space == id).map(|refused| refused.reason.as_str());
        let mut refused = refused.collect::<Vec<_>>();
        refused.dedup();
        let refused = (!refused.is_empty()).then(|| refused.join("; "));
        if self.is_live {
            return (State::Live(space.state), space.last_error.clone().or(refused));
        }
        let Some(remembered) = self.remembered else { return (State::Disabled, None) };
        let of_space = remembered.spaces.iter().find(|refused| refused.id == id).map(|refused| refused.reason.clone());
        if let Some(error) = of_space.or(refused) {
            return (State::Failed(LastState::Blocked), Some(error));
        }
        match &remembered.last_error {
            // What was wrong was about other spaces.
            Some(_) if !remembered.spaces.is_empty() => (State::Idle, None),
            Some(error) => (State::Failed(error.state), Some(error.reason.clone())),
            None => (State::Idle, None),
        }
    }
}
