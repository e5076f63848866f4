//! Who is here, written down for commands beside the relay.
//!
//! What is written is what has changed, with the devices that were here and in the same commit; an idle session costs nothing.

use super::Hub;
use super::roster::{KEPT_MAX, NOTED_AT_ONCE_MAX, NOTED_WITHIN_MS};
use crate::log::{Log, SessionNote, SessionNotes, SpaceNote};
use afield_core::{SessionId, SpaceId};
use std::collections::{BTreeSet, VecDeque};

/// Sessions that are another way than is written down.
#[derive(Debug, Default)]
pub(super) struct Presence {
    /// Whether nothing holds of what is written down.
    anew: bool,
    /// Whether sessions are written down: while the relay runs, where anybody could look.
    is_on: bool,
    /// Those that began or are over: they come first, so that a list names who is here.
    moved: BTreeSet<SessionId>,
    /// Those whose devices have stored more, in turn: some at a time, however many there are.
    ahead: VecDeque<SessionId>,
}

impl Presence {
    /// Whether somebody came or left who is not written down.
    pub(super) fn is_urgent(&self) -> bool {
        !self.moved.is_empty()
    }

    /// Whether everything is written down.
    pub(super) fn is_written(&self) -> bool {
        !self.anew && self.moved.is_empty() && self.ahead.is_empty()
    }
}

impl<L: Log> Hub<L> {
    /// Writes down which sessions there are, for commands beside the relay.
    #[must_use]
    pub fn with_written_sessions(mut self) -> Self {
        self.roster.presence.is_on = true;
        self
    }

    /// Notes that a session began, is over, or took a fresher token.
    pub(super) fn note_session(&mut self, id: SessionId, due_ms: u64) {
        let presence = &mut self.roster.presence;
        if !presence.is_on {
            return;
        }
        presence.moved.insert(id);
        if presence.moved.len() > KEPT_MAX {
            // Nothing can be written for long, and sessions come and go: when it can, all that are here are written.
            presence.moved.clear();
            presence.anew = true;
        }
        self.write_roster_at(due_ms);
    }

    /// Notes that a session is another way in a space: it opened or left it, or its device has stored more of it.
    pub(super) fn note_progress(&mut self, id: SessionId, space: SpaceId) {
        let Some(seat) = self.sessions.get_mut(&id).filter(|_| self.roster.presence.is_on) else { return };
        let is_first = seat.unwritten.is_empty();
        seat.unwritten.insert(space);
        if is_first {
            self.roster.presence.ahead.push_back(id);
        }
        // The next check is some moment ahead, and this is told without the time.
        self.write_roster_at(self.check_due_ms.saturating_add(NOTED_WITHIN_MS / 2));
    }

    /// Has everything forgotten that is written down of sessions, as the relay stops.
    pub(super) fn forget_written_sessions(&mut self) {
        let was_on = self.roster.presence.is_on;
        self.roster.presence = Presence { anew: was_on, ..Presence::default() };
    }

    /// What is to be written down next.
    pub(super) fn take_session_notes(&mut self) -> SessionNotes {
        let presence = &mut self.roster.presence;
        let anew = std::mem::take(&mut presence.anew);
        if anew && presence.is_on {
            presence.moved.extend(self.sessions.keys());
            self.sessions.values_mut().for_each(|seat| seat.unwritten.extend(seat.channels.values()));
        }
        let mut notes = SessionNotes { anew, ..SessionNotes::default() };
        while notes.here.len() + notes.gone.len() < NOTED_AT_ONCE_MAX
            && let Some(id) = self.roster.presence.moved.pop_first()
        {
            match self.session_note(id) {
                Some(note) => notes.here.push(note),
                // A table that begins anew has none of them.
                None if anew => {}
                None => notes.gone.push(id),
            }
        }
        let ahead = self.roster.presence.ahead.len().min(NOTED_AT_ONCE_MAX.saturating_sub(notes.here.len()));
        let ahead: Vec<SessionId> = self.roster.presence.ahead.drain(..ahead).collect();
        let is_ahead = |hub: &Self, id| hub.sessions.get(&id).is_some_and(|seat| !seat.unwritten.is_empty());
        for id in ahead {
            // It may have been written down with those that came, or has left.
            if is_ahead(self, id) {
                notes.here.extend(self.session_note(id));
            }
        }
        notes
    }

    /// What is to be written down of a session; `None` of one that was not welcomed, or is over.
    fn session_note(&mut self, id: SessionId) -> Option<SessionNote> {
        let Self { sessions, spaces, .. } = self;
        let seat = sessions.get_mut(&id)?;
        let (principal, device, welcomed) = (seat.principal?, seat.named_device()?, seat.welcomed?);
        let changed = std::mem::take(&mut seat.unwritten);
        let is_open = |space: &SpaceId| spaces.get(space).is_some_and(|readers| readers.sessions.contains(&id));
        let spaces = changed.into_iter().map(|space| SpaceNote {
            space,
            is_open: is_open(&space),
            stored: seat.held(space).map(afield_core::Sequence::get),
        });
        Some(SessionNote {
            id,
            user: principal.token.map(|_| principal.user),
            device,
            token: principal.token,
            address: seat.address.map(|address| address.to_string()),
            since_wall_ms: welcomed.wall_ms,
            heard_wall_ms: seat.heard_wall_ms,
            queued_bytes: seat.session.queued_bytes() as u64,
            spaces: spaces.collect(),
        })
    }

    /// Keeps for the next time what could not be written.
    pub(super) fn keep_session_notes(&mut self, notes: &SessionNotes) {
        self.roster.presence.anew |= notes.anew;
        for note in &notes.here {
            if let Some(seat) = self.sessions.get_mut(&note.id) {
                seat.unwritten.extend(note.spaces.iter().map(|note| note.space));
            }
        }
        let moved = notes.here.iter().map(|note| note.id).chain(notes.gone.iter().copied());
        self.roster.presence.moved.extend(moved);
    }
}
