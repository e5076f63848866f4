//! Gathering what is shown, from the store and from what is known of sync.

use super::plan::planned;
use super::whole::{Beside, state_of, whole};
use super::{SpaceStatus, Status, SyncState};
use crate::driver::{Driver, LinkView, SpaceView, View};
use crate::error::counted::{by, count};
use afield_core::policy::Direction;
use afield_core::wire::ChunkCode;
use afield_core::{DeviceId, Now, SpaceId};
use afield_store::{Reader, SpaceFigures, SpaceRecord, StoreError, Synchronous};

/// Gathers the status from the store and what sync shows of itself.
pub(crate) fn gather(
    driver: &Driver,
    reader: &Reader,
    relay: Option<String>,
    synchronous: Synchronous,
    now: Now,
) -> Result<Status, StoreError> {
    of_store(&driver.view(), driver.device(), reader, relay, Some(synchronous), now)
}

/// Gathers the status from the store and what is known of sync.
pub(crate) fn of_store(
    view: &View,
    device: DeviceId,
    reader: &Reader,
    relay: Option<String>,
    synchronous: Option<Synchronous>,
    now: Now,
) -> Result<Status, StoreError> {
    let records = reader.spaces()?.into_iter();
    let settings = reader.sync_settings()?;
    let spaces = records.map(|record| {
        let settings = settings.iter().find(|settings| settings.space == record.space);
        let conflicts = reader.conflict_count(record.space)?;
        let conflicts_behind = reader.conflicts_behind(record.space)?;
        let held_to_send = reader.held_to_send(record.space, now.wall_ms)?.len() as u64;
        let held = reader.held_deletions(record.space)?;
        let held_here = held.iter().filter(|held| !held.is_confirmed).count() as u64;
        let status = space_status(view, reader.figures(record.space)?, record, now);
        let last_error = match status.last_error {
            None if status.state == SyncState::Blocked => refused_changes(reader, status.space)?,
            known => known,
        };
        let direction = reader.space_direction(status.space)?;
        let status = held_back(SpaceStatus {
            conflicts,
            conflicts_behind,
            held_to_send,
            held_here,
            last_error,
            direction,
            ..status
        });
        Ok(planned(view, status, settings, now))
    });
    let spaces: Vec<_> = spaces.collect::<Result<_, StoreError>>()?;
    Ok(whole(view, Beside { device, relay, synchronous }, spaces, now))
}

/// Why the relay refuses changes of some spaces, and of how many entities each.
pub(crate) fn refusals(
    reader: &Reader,
    spaces: impl IntoIterator<Item = SpaceId>,
) -> Result<Vec<(ChunkCode, u64)>, StoreError> {
    let mut refusals: Vec<(ChunkCode, u64)> = Vec::new();
    for space in spaces {
        for block in reader.blocked(space)? {
            match refusals.iter_mut().find(|(code, _)| *code == block.code) {
                Some((_, entities)) => *entities += 1,
                None => refusals.push((block.code, 1)),
            }
        }
    }
    Ok(refusals)
}

/// What a relay refuses of a space, in words for a person.
pub(crate) fn refused_changes(reader: &Reader, space: SpaceId) -> Result<Option<String>, StoreError> {
    let in_words = |(code, entities): (ChunkCode, u64)| {
        let entities = if entities == 1 { "1 entity".to_owned() } else { format!("{entities} entities") };
        format!("changes of {entities}: {code}")
    };
    let refusals: Vec<_> = refusals(reader, [space])?.into_iter().map(in_words).collect();
    Ok(Some(refusals.join("; ")).filter(|words| !words.is_empty()))
}

fn space_status(view: &View, figures: SpaceFigures, record: SpaceRecord, now: Now) -> SpaceStatus {
    let live: Option<&SpaceView> = view.spaces.iter().find(|live| live.space == record.space);
    let refused = live.and_then(|live| live.refused.clone());
    let state = match (view.link, live) {
        (LinkView::Up, Some(_)) if refused.is_some() || figures.blocked > 0 => SyncState::Blocked,
        (LinkView::Up, Some(live)) if !live.in_step => SyncState::Syncing,
        (link, _) => state_of(link),
    };
    let age = |since: i64| u64::try_from(now.wall_ms.saturating_sub(since)).unwrap_or(0);
    SpaceStatus {
        space: record.space,
        name: record.name,
        role: record.role,
        state,
        pending_changes: figures.outbox.changes,
        pending_bytes: figures.outbox.bytes,
        held_back: figures.held_back,
        direction: Direction::Both,
        oldest_pending_age_ms: figures.outbox.oldest_ms.map(age),
        blocked_entities: figures.blocked,
        quarantined: figures.quarantined,
        held_to_send: 0,
        held_here: 0,
        conflicts: 0,
        conflicts_behind: 0,
        sequence: record.cursor.map_or(0, |cursor| cursor.sequence.get()),
        resets: record.resets,
        last_reset_ms: record.last_reset_ms,
        refused: refused.is_some(),
        last_error: refused,
        enabled: true,
        schedule: None,
        next_at_ms: None,
        can_sync_now: false,
        cooldown_ms: None,
        blocked_until_ms: None,
        progress: None,
        last_synced_ms: None,
        why_not: None,
        is_served: view.link == LinkView::Up && live.is_some_and(|live| live.refused.is_none()),
    }
}

/// Says what stands in the way where deletions wait to be confirmed that were made here.
fn held_back(status: SpaceStatus) -> SpaceStatus {
    if status.held_to_send == 0 || matches!(status.state, SyncState::Disabled) {
        return status;
    }
    let state = match status.state {
        SyncState::Idle | SyncState::Syncing => SyncState::Blocked,
        state => state,
    };
    let last_error = status.last_error.or_else(|| Some(waiting(status.held_to_send)));
    SpaceStatus { state, last_error, ..status }
}

fn waiting(deletions: u64) -> String {
    let (words, wait) = (count(deletions, "deletion", "deletions"), by(deletions, "waits", "wait"));
    format!("{words} made here {wait} to be confirmed, and nothing of the space is sent meanwhile")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_deletion_waits_and_two_wait() {
        let rest = "to be confirmed, and nothing of the space is sent meanwhile";
        assert_eq!(waiting(1), format!("1 deletion made here waits {rest}"));
        assert_eq!(waiting(2), format!("2 deletions made here wait {rest}"));
    }
}
