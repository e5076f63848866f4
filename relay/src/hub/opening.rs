//! Opening a space for a session.

use super::{Hub, Readers, seat};
use crate::log::{Log, LogError, Principal};
use afield_core::session::{OpenAnswer, OpenRequest};
use afield_core::wire::{Channel, GoodbyeCode, SpaceCode};
use afield_core::{LogId, Now, Sequence, SessionId, SpaceId};

/// How many spaces are created, or joined by an invitation, in a turn before those who do so have to wait: each is a commit that is synced by
/// itself, and everybody waits for it.
const CREATIONS_PER_TURN_MAX: usize = 8;

impl<L: Log> Hub<L> {
    /// Whether the messages of a session have to wait until after [`Self::serve`]: it is one of those that have created or
    /// joined as many spaces as there may be in one turn, or has given a fresher token in this one, or comes with a token when as many were noted as may be.
    pub fn has_to_wait(&self, id: SessionId) -> bool {
        self.is_refreshed(id)
            || self.has_to_wait_for_notes(id)
            || self.creators.len() >= CREATIONS_PER_TURN_MAX && self.creators.contains(&id)
    }

    pub(super) fn open(&mut self, id: SessionId, request: &OpenRequest, now: Now) {
        // An Open starts anew: the device has forgotten what it pushed on this channel, and offers its outbox again. A commit
        // for it here would let one session ask for as many as it likes in one turn.
        self.drop_pending(|pending| pending.session == id && pending.channel == request.channel);
        let fresh = LogId::new(&mut self.entropy.0);
        let Some(seat) = self.sessions.get_mut(&id) else { return };
        let Some(principal) = seat.principal else { return };
        match seat.subscribe(request.channel, request.space) {
            Ok(None) => {}
            Ok(Some(left)) => self.unsubscribe(id, left),
            Err(seat::OpenTwice) => return self.close(id, GoodbyeCode::Protocol),
        }
        match self.log.open(principal, request, fresh, now) {
            Ok(answer) => {
                let answer = answer.into_inner();
                if request.create && may_be_new(answer) || request.invitation.is_some() && may_be_let_in(answer) {
                    self.creators.push(id);
                }
                self.opened(id, principal, request, answer, now);
            }
            Err(error) => self.read_failed(id, request.channel, request.space, &error),
        }
    }

    fn opened(&mut self, id: SessionId, principal: Principal, request: &OpenRequest, answer: OpenAnswer, now: Now) {
        let space = request.space;
        match answer {
            OpenAnswer::Served { position, head, .. } => {
                let readers = self.spaces.entry(space).or_insert_with(|| Readers::new(head));
                readers.sessions.insert(id);
                readers.head = head;
                if let Some(seat) = self.sessions.get_mut(&id) {
                    seat.unchecked.remove(&space);
                }
                self.note_progress(id, space);
                if position.sequence < head {
                    self.fall_behind(id, space);
                }
            }
            OpenAnswer::Refused(SpaceCode::UnknownOrForbidden) if self.end_if_revoked(id, principal, now) => return,
            OpenAnswer::Reset(_) | OpenAnswer::Refused(_) => self.unsubscribe(id, space),
        }
        if let Some(seat) = self.sessions.get_mut(&id) {
            seat.session.opened(request.channel, answer);
        }
        self.note_stored(id, space);
        self.tell_seen(id, space);
    }

    /// Answers for a space that the log could not open or read: that space alone is not served, unless the storage failed
    /// as a whole.
    pub(super) fn read_failed(&mut self, id: SessionId, channel: Channel, space: SpaceId, error: &LogError) {
        tracing::error!(session = %id, %space, error = error as &dyn std::error::Error, "the log could not answer");
        if error.is_fatal() {
            return self.close(id, GoodbyeCode::Internal);
        }
        self.unsubscribe(id, space);
        if let Some(seat) = self.sessions.get_mut(&id) {
            seat.session.opened(channel, OpenAnswer::Refused(SpaceCode::Unavailable));
            self.dirty.insert(id);
        }
    }
}

/// Whether who came with an invitation may just have become a member with this answer: whether he or she was one makes no difference that
/// matters here.
fn may_be_let_in(answer: OpenAnswer) -> bool {
    !matches!(answer, OpenAnswer::Refused(_))
}

/// Whether a space with this answer may just have been created: whether it was there and empty makes no difference that
/// matters here.
fn may_be_new(answer: OpenAnswer) -> bool {
    match answer {
        OpenAnswer::Served { head, .. } => head == Sequence::ZERO,
        OpenAnswer::Reset(_) => true,
        OpenAnswer::Refused(_) => false,
    }
}
