//! One sync, from where a person sits: it runs, it shows how far it is, and it says what moved.

use crate::failure::Failure;
use crate::interrupt;
use crate::output::{Output, TICK};
use crate::remembered::RefusedSpace;
use crate::text;
use afield::{Class, Relay, Replica, Role, SpaceId, Status, SyncError, SyncEvent, SyncState, Traffic};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tokio::sync::broadcast::{self, error::TryRecvError};

/// How long a sync runs before its progress is shown: what is done sooner needs none.
const PATIENCE: Duration = Duration::from_millis(400);
/// How long the word that a change stands in the log may lag behind its receipt, which comes first.
const LAG_MAX: Duration = Duration::from_secs(5);
/// How often that is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What a sync moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Moved {
    /// Changes that the relay has now and had not before, as far as this device knew.
    pub(crate) changes_sent: u64,
    /// Changes that the relay had lost, as after the restore of a backup, and was given again by this device.
    pub(crate) changes_given_back: u64,
    /// Changes that came; unknown where the relay had lost history, since all of it was compared anew then.
    pub(crate) changes_received: Option<u64>,
    /// What went over the wire.
    pub(crate) traffic: Traffic,
    /// How long it took, in milliseconds.
    pub(crate) duration_ms: u64,
    /// Changes that are not known to be on the relay.
    pub(crate) pending_changes: u64,
    /// Invitations that gave a member nothing, and were not used up here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) unneeded_invitations: Vec<Unneeded>,
}

/// An invitation to a space where this device may do as much already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Unneeded {
    space: String,
    role: &'static str,
}

impl Unneeded {
    pub(crate) fn new(space: SpaceId, role: Role) -> Self {
        Self { space: space.to_string(), role: role.as_str() }
    }

    /// What became of the invitation, and how to be let do more.
    pub(crate) fn in_words(&self) -> String {
        let Self { space, role } = self;
        format!(
            "the invitation to the space {space} changed nothing: its relay lets this device in as {role} already, and the invitation gives no more than \
             that, or is good no more; it was not used up here. To do more, ask an owner for an invitation to a higher role, or for `afield-relay \
             space grant`"
        )
    }
}

/// How an attempt to sync ended.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// Whether the relay let this device in, whatever happened afterwards.
    pub(crate) was_let_in: bool,
    /// The spaces that it does not serve.
    pub(crate) refused_spaces: Vec<RefusedSpace>,
    /// Up to when all was in step that can be, in milliseconds since the Unix epoch.
    pub(crate) last_synced_ms: Option<i64>,
    /// What moved, or what went wrong.
    pub(crate) result: Result<Moved, Failure>,
}

/// Gets in step with a relay, and switches sync off again.
pub(crate) fn sync(replica: &Replica, relay: Relay, output: Output) -> Result<Attempt, Failure> {
    let runtime = interrupt::runtime()?;
    // Before anything is begun that would have to be put away.
    let interrupted = {
        let _runtime = runtime.enter();
        interrupt::listen()
    };
    let before = replica.status()?;
    let mut events = replica.events();
    let started = Instant::now();
    replica.connect(relay)?;
    let result = runtime.block_on(async {
        tokio::select! {
            biased;
            () = interrupted => Err(Failure::Interrupted),
            result = in_step(replica) => result,
            never = show(replica, &before, output) => never,
        }
    });
    let after = replica.status();
    replica.disconnect();
    let after = after?;
    let heard = Heard::from(&mut events);
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let moved = Moved::between(&before, &after, &heard, duration_ms);
    let refused = after.spaces.iter().map(|space| space.blocked_entities).sum();
    let result = match result {
        Ok(()) if refused > 0 => Err(refusal(replica, refused)),
        Ok(()) => Ok(moved),
        Err(Failure::Sync(error)) => Err(why(error, &after).into()),
        Err(failure) => Err(failure),
    };
    let (was_let_in, refused_spaces) = (heard.was_let_in, RefusedSpace::of(&after));
    Ok(Attempt { was_let_in, refused_spaces, last_synced_ms: after.last_synced_ms, result })
}

/// Why the relay is not reached, also where the attempt had failed before anybody asked for one: asking then only tells
/// that the next one has to wait.
fn why(error: SyncError, after: &Status) -> SyncError {
    match (error, &after.last_error) {
        (SyncError::Failed { class, sign_in, .. }, Some(reason)) if after.state == SyncState::Offline => {
            SyncError::Failed { reason: reason.clone(), class, sign_in }
        }
        (error, _) => error,
    }
}

/// Why the relay refused changes.
fn refusal(replica: &Replica, entities: u64) -> Failure {
    let codes = replica.refusals().unwrap_or_default();
    // What keeps the others back is not worth more than the one that somebody can do something about.
    let class = codes.iter().map(|(code, _)| code.class()).max_by_key(|class| *class == Class::Quota);
    let reasons = codes.iter().map(|(code, _)| code.to_string()).collect();
    Failure::ChangesRefused { entities, reasons, class: class.unwrap_or(Class::Permanent) }
}

/// What the library told while it synced.
#[derive(Debug, Default)]
struct Heard {
    /// Whether the relay has let this device in.
    was_let_in: bool,
    /// The spaces of which the relay had lost history.
    reset: BTreeSet<SpaceId>,
    /// What was pushed of each space that the relay did not have.
    pushed: BTreeMap<SpaceId, u64>,
    /// Invitations that gave a member nothing.
    unneeded: Vec<Unneeded>,
}

impl Heard {
    fn from(events: &mut broadcast::Receiver<SyncEvent>) -> Self {
        let mut heard = Self::default();
        loop {
            match events.try_recv() {
                // What a listener misses came after the first events, which are those of a session.
                Ok(SyncEvent::Connected) | Err(TryRecvError::Lagged(_)) => heard.was_let_in = true,
                Ok(SyncEvent::Reset { space }) => drop(heard.reset.insert(space)),
                Ok(SyncEvent::InvitationUnneeded { space, role }) => heard.unneeded.push(Unneeded::new(space, role)),
                Ok(
                    SyncEvent::Completed { space: Some(space), figures, .. }
                    | SyncEvent::Failed { space: Some(space), figures, .. },
                ) => *heard.pushed.entry(space).or_default() += figures.changes_sent,
                Ok(_) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return heard,
            }
        }
    }

    /// What was pushed beyond the changes that had waited, in the spaces of which the relay had lost history.
    fn given_back(&self, before: &Status, after: &Status) -> u64 {
        let waiting = |status: &Status, id: SpaceId| {
            status.spaces.iter().find(|space| space.space == id).map_or(0, |space| space.pending_changes)
        };
        let of = |id: &SpaceId| {
            let pushed = self.pushed.get(id).copied().unwrap_or(0);
            pushed.saturating_sub(waiting(before, *id).saturating_sub(waiting(after, *id)))
        };
        self.reset.iter().map(of).sum()
    }
}

/// Waits until the device is in step, and until it knows of each change it sent that it stands in the log.
async fn in_step(replica: &Replica) -> Result<(), Failure> {
    match replica.sync_now().await {
        // What was refused is told with all its reasons.
        Ok(()) | Err(SyncError::Refused { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let since = Instant::now();
    while since.elapsed() < LAG_MAX {
        let status = replica.status()?;
        if status.pending_changes == 0 || status.spaces.iter().any(|space| space.blocked_entities > 0) {
            break;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(())
}

impl Moved {
    fn between(before: &Status, after: &Status, heard: &Heard, duration_ms: u64) -> Self {
        let sequences = |status: &Status| status.spaces.iter().map(|space| space.sequence).sum::<u64>();
        let resets = |status: &Status| status.spaces.iter().map(|space| space.resets).sum::<u64>();
        let changes_sent = before.pending_changes.saturating_sub(after.pending_changes);
        let is_one_log = resets(before) == resets(after);
        // What the log has more than before is what came and what was sent.
        let read = sequences(after).saturating_sub(sequences(before));
        Self {
            changes_sent,
            changes_given_back: heard.given_back(before, after),
            changes_received: is_one_log.then(|| read.saturating_sub(changes_sent)),
            traffic: after.traffic,
            duration_ms,
            pending_changes: after.pending_changes,
            unneeded_invitations: heard.unneeded.clone(),
        }
    }

    /// What moved, in one line, and others where the relay was given back what it had lost, or an invitation has changed nothing.
    pub(crate) fn in_words(&self) -> String {
        let up = text::count(self.changes_sent, "change", "changes");
        let down = self.changes_received.map(|changes| text::count(changes, "change", "changes"));
        let back = match self.changes_given_back {
            0 => String::new(),
            back => {
                format!("\n{} given back to the relay, which had lost history", text::count(back, "change", "changes"))
            }
        };
        let unneeded: String = self.unneeded_invitations.iter().map(|one| format!("\n{}.", one.in_words())).collect();
        format!(
            "↑ {up}, {}   ↓ {}, {}   {}{back}{unneeded}",
            text::bytes(self.traffic.bytes_sent),
            down.as_deref().unwrap_or("the whole log"),
            text::bytes(self.traffic.bytes_received),
            text::duration(self.duration_ms),
        )
    }
}

/// How many changes have gone and come of how many, as far as is known: how many come is known with the first of them.
fn done_of(before: &Status, now: &Status) -> (u64, u64) {
    let up = before.pending_changes;
    let down = now.progress.map(|progress| progress.down).unwrap_or_default();
    let come = down.total.map_or(0, |total| total.chunks);
    (up.saturating_sub(now.pending_changes) + down.done.chunks.min(come), up + come)
}

/// Shows how far a sync is, for as long as it is asked to.
async fn show<T>(replica: &Replica, before: &Status, output: Output) -> T {
    tokio::time::sleep(PATIENCE).await;
    let mut shown = output.progress("{spinner} {msg}", None);
    let mut is_counted = false;
    loop {
        if let Ok(now) = replica.status() {
            let (done, total) = done_of(before, &now);
            if total > 0 && !is_counted {
                is_counted = true;
                shown = output.progress("{spinner} {bar:24} changes: {human_pos}/{human_len}  {msg}", Some(total));
            }
            if is_counted {
                shown.set_length(total);
                shown.set_position(done);
            }
            let Traffic { bytes_sent, bytes_received, .. } = now.traffic;
            shown.set_message(format!("↑ {}  ↓ {}", text::bytes(bytes_sent), text::bytes(bytes_received)));
        }
        tokio::time::sleep(TICK).await;
    }
}
