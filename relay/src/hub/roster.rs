//! Who is here, for those who run the relay.

use super::Hub;
use super::presence::Presence;
use crate::log::accounts::{AccountError, SessionFilter};
use crate::log::{Log, Page, Part, SeenDevice, SessionNotes, SessionPlace, TokenHash};
use afield_core::{DeviceId, Now, SessionId, SpaceId};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// How long it takes at most until a device that signed in is written down, in milliseconds: many that come at once are one
/// transaction.
pub(super) const NOTED_WITHIN_MS: u64 = 2_000;
/// How many devices are written down at once, so that appends do not wait long.
pub(super) const NOTED_AT_ONCE_MAX: usize = 1_000;

/// How many wait at most to be written down once more, where that failed: what is kept in memory is bounded however long it fails (R8).
pub(super) const KEPT_MAX: usize = 10_000;

/// Devices that were here, and sessions that are, as far as they are not written down yet.
#[derive(Debug, Default)]
pub(super) struct Roster {
    /// By user, device and token: a device that takes a fresher token meanwhile has shown both.
    seen: BTreeMap<(i64, DeviceId, TokenHash), SeenDevice>,
    pub(super) presence: Presence,
    /// When they are written down, on the monotonic clock.
    due_ms: Option<u64>,
}

/// A live session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSummary {
    /// Its id, as it stands in the log lines of both sides.
    pub id: SessionId,
    /// The name of its user; absent where anyone may do everything.
    pub user: Option<String>,
    /// Its device.
    pub device: DeviceId,
    /// Where it comes from.
    pub address: Option<IpAddr>,
    /// Since when it is here, in milliseconds since the Unix epoch.
    pub since_wall_ms: i64,
    /// When its device was heard last, in milliseconds since the Unix epoch.
    pub heard_wall_ms: i64,
    /// How many bytes wait to be sent to it.
    pub queued_bytes: u64,
    /// How far it is in each space that it has open.
    pub spaces: Vec<SpaceProgress>,
}

/// How far a session's device is in a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpaceProgress {
    /// The space.
    pub space: SpaceId,
    /// The last sequence that the device has stored, where it has said so.
    pub stored: Option<u64>,
    /// The last sequence of the log.
    pub head: u64,
    /// How many sequences lie between them.
    pub lag: u64,
}

impl<L: Log> Hub<L> {
    /// Lists the sessions that were welcomed, oldest first.
    pub fn sessions(&self) -> Vec<SessionSummary> {
        self.places().into_iter().filter_map(|place| self.summary(place.id)).collect()
    }

    /// Lists a part of the sessions that were welcomed, oldest first.
    ///
    /// # Errors
    ///
    /// The part begins nowhere.
    pub(crate) fn list_sessions(
        &self,
        filter: &SessionFilter,
        part: &Part,
    ) -> Result<Page<SessionSummary>, AccountError> {
        let after = SessionPlace::before(part)?;
        let places = self.places().into_iter().filter(|place| *place > after && self.is_listed(place.id, filter));
        let places: Vec<_> = places.take(part.limit.saturating_add(1)).collect();
        let listed = places.into_iter().filter_map(|place| Some((place, self.summary(place.id)?)));
        Ok(Page::of(listed.collect(), part))
    }

    /// Whether a filter lets a session through, as [`Accounts::list_sessions`](crate::log::accounts::Accounts::list_sessions) reads it.
    fn is_listed(&self, id: SessionId, filter: &SessionFilter) -> bool {
        let Some(seat) = self.sessions.get(&id) else { return false };
        let SessionFilter { user, device, space } = filter;
        (user.is_none() || *user == seat.user)
            && (device.is_none() || *device == seat.named_device())
            && space.is_none_or(|space| self.has_open(id, space))
    }

    /// Whether a session is served a space now.
    pub(super) fn has_open(&self, id: SessionId, space: SpaceId) -> bool {
        self.spaces.get(&space).is_some_and(|readers| readers.sessions.contains(&id))
    }

    /// The places of the sessions that were welcomed, oldest first.
    fn places(&self) -> Vec<SessionPlace> {
        let places = self.sessions.iter().filter_map(|(id, seat)| {
            Some(SessionPlace { since_wall_ms: seat.device.and(seat.welcomed)?.wall_ms, id: *id })
        });
        let mut places: Vec<_> = places.collect();
        places.sort();
        places
    }

    fn summary(&self, id: SessionId) -> Option<SessionSummary> {
        let seat = self.sessions.get(&id)?;
        let (device, welcomed) = (seat.named_device()?, seat.welcomed?);
        // One that it was refused is not open, whoever else has it open.
        let open = seat.channels.values().filter(|space| self.has_open(id, **space));
        Some(SessionSummary {
            id,
            user: seat.user.clone(),
            device,
            address: seat.address,
            since_wall_ms: welcomed.wall_ms,
            heard_wall_ms: seat.heard_wall_ms,
            queued_bytes: seat.session.queued_bytes() as u64,
            spaces: open.filter_map(|space| self.progress(seat, *space)).collect(),
        })
    }

    fn progress(&self, seat: &super::Seat, space: SpaceId) -> Option<SpaceProgress> {
        let readers = self.spaces.get(&space)?;
        let stored = seat.held(space).map(afield_core::Sequence::get);
        // Until the next read the end may be unknown.
        let head = if readers.head.get() == u64::MAX { stored.unwrap_or_default() } else { readers.head.get() };
        Some(SpaceProgress { space, stored, head, lag: head.saturating_sub(stored.unwrap_or_default()) })
    }

    /// Writes down now which devices were here, for whoever is about to do something with one of them.
    pub fn note_devices(&mut self, now: Now) {
        self.write_roster(now);
    }

    /// Writes down now which devices were here, and last of all those that are here under this name and id: where a user has very many, one
    /// that came long ago is forgotten although it is still here.
    pub fn note_live_device(&mut self, user: &str, device: DeviceId, now: Now) {
        self.write_roster(now);
        let is_meant = |seat: &super::Seat| {
            seat.welcomed.is_some() && seat.user.as_deref() == Some(user) && seat.named_device() == Some(device)
        };
        let live = self.sessions.values().filter(|seat| is_meant(seat));
        let live = live.filter_map(|seat| seen_device(seat, now.wall_ms));
        let live: Vec<SeenDevice> = live.collect();
        self.write_notes(live, SessionNotes::default(), now);
    }

    /// Looks now whether somebody changed who may do what, instead of within a second.
    pub fn look_for_changes(&mut self, now: Now) {
        self.check_foreign(now);
    }

    /// Notes that a session's device is here.
    pub(super) fn note_seen(&mut self, id: SessionId, now: Now) {
        self.note_device(id, now.wall_ms, now.monotonic_ms.saturating_add(NOTED_WITHIN_MS));
        self.note_session(id, now.monotonic_ms.saturating_add(NOTED_WITHIN_MS));
    }

    /// Notes when a session's device was heard last, as it leaves.
    pub(super) fn note_left(&mut self, id: SessionId) {
        let heard = self.sessions.get(&id).filter(|seat| seat.welcomed.is_some()).map(|seat| seat.heard_wall_ms);
        if let Some(heard_wall_ms) = heard {
            // The next check is some moment ahead, and this is told without the time.
            self.note_device(id, heard_wall_ms, self.check_due_ms);
            self.note_session(id, self.check_due_ms);
        }
    }

    fn note_device(&mut self, id: SessionId, seen_wall_ms: i64, due_ms: u64) {
        let Some(seen) = self.sessions.get(&id).and_then(|seat| seen_device(seat, seen_wall_ms)) else { return };
        self.roster.seen.insert((seen.user, seen.device, seen.token), seen);
        self.write_roster_at(due_ms);
    }

    /// Has the roster written down at a moment on the monotonic clock, unless it is sooner.
    pub(super) fn write_roster_at(&mut self, due_ms: u64) {
        self.roster.due_ms.get_or_insert(due_ms);
    }

    /// When devices are to be written down, on the monotonic clock.
    pub(super) fn roster_due(&self) -> Option<u64> {
        self.roster.due_ms
    }

    /// Writes down which devices were here, and what has changed of the sessions that are. Where that fails it is tried again: what a device
    /// has shown ends with its sign-out only if it was noted.
    pub(super) fn write_roster(&mut self, now: Now) {
        self.roster.due_ms = None;
        let mut seen = Vec::new();
        while seen.len() < NOTED_AT_ONCE_MAX
            && let Some((_, device)) = self.roster.seen.pop_first()
        {
            seen.push(device);
        }
        let sessions = self.take_session_notes();
        if !self.write_notes(seen, sessions, now) {
            return;
        }
        if !self.roster.seen.is_empty() || self.roster.presence.is_urgent() {
            self.roster.due_ms = Some(now.monotonic_ms);
        } else if !self.roster.presence.is_written() {
            self.roster.due_ms = Some(now.monotonic_ms.saturating_add(NOTED_WITHIN_MS));
        }
    }

    /// Writes down some devices and sessions; answers whether that went well. Where it did not they are kept for the next time.
    fn write_notes(&mut self, seen: Vec<SeenDevice>, sessions: SessionNotes, now: Now) -> bool {
        if seen.is_empty() && sessions.is_empty() {
            return true;
        }
        let Err(error) = self.log.note_roster(&seen, &sessions) else { return true };
        tracing::warn!(error = &error as &dyn std::error::Error, "who was here, and who is, could not be noted");
        self.keep_session_notes(&sessions);
        for device in seen {
            if self.roster.seen.len() >= KEPT_MAX {
                tracing::warn!("too many devices wait to be noted: some are forgotten until they come again");
                break;
            }
            // One that was noted meanwhile is newer.
            self.roster.seen.entry((device.user, device.device, device.token)).or_insert(device);
        }
        self.roster.due_ms = Some(now.monotonic_ms.saturating_add(NOTED_WITHIN_MS));
        false
    }
}

/// The device of a session, where it signed in with a token.
fn seen_device(seat: &super::Seat, seen_wall_ms: i64) -> Option<SeenDevice> {
    let (principal, device) = (seat.principal?, seat.named_device()?);
    let address = seat.address.map(|address| address.to_string());
    Some(SeenDevice { user: principal.user, device, token: principal.token?, address, seen_wall_ms })
}
