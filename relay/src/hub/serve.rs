//! Reading the log for sessions that are behind, each at its own pace.

use super::Hub;
use super::guard::guarded;
use super::seat::Next;
use crate::log::Log;
use crate::spans;
use afield_core::session::{PageAnswer, PageRequest, ReadAnswer, ReadRequest};
use afield_core::wire::SpaceCode;
use afield_core::{Durable, Now, SessionId, SpaceId};

impl<L: Log> Hub<L> {
    /// Reads on for sessions that are behind: at most `budget` runs, one session after the other, so that neither a
    /// long catch-up nor many of them keep appends waiting. Answers whether more could be read right now.
    pub fn serve(&mut self, budget: usize, now: Now) -> bool {
        let more = self.serve_some(budget, now);
        self.stamp_events(now);
        more
    }

    fn serve_some(&mut self, budget: usize, now: Now) -> bool {
        self.creators.clear();
        self.refreshers.clear();
        self.noted = 0;
        self.take_late_refreshes(now);
        for _ in 0..budget {
            let Some(id) = self.ready.pop_front() else { break };
            let Some(seat) = self.sessions.get_mut(&id) else { continue };
            seat.is_ready = false;
            let (Some(principal), Some(next)) = (seat.principal, seat.next()) else { continue };
            let _span = match &next {
                Next::Run(request) => spans::read(id, request.space),
                Next::Page(request) => spans::read(id, request.space),
            }
            .entered();
            let served = guarded("reading for a session", || {
                match &next {
                    Next::Run(request) => match self.log.read(principal, request, now) {
                        Ok(answer) => self.deliver(id, request, &answer, now),
                        Err(error) => self.read_failed(id, request.channel, request.space, &error),
                    },
                    Next::Page(request) => match self.log.page(principal, request, now) {
                        Ok(answer) => self.deliver_page(id, request, &answer, now),
                        Err(error) => self.read_failed(id, request.channel, request.space, &error),
                    },
                }
                self.settle(id, now);
            });
            if served.is_none() {
                self.cut(id);
            }
        }
        !self.ready.is_empty() || !self.late_refreshers.is_empty()
    }

    fn deliver(&mut self, id: SessionId, request: &ReadRequest, answer: &Durable<ReadAnswer>, now: Now) {
        let space = request.space;
        match answer.get() {
            ReadAnswer::Run { run, .. } => {
                if let Some(readers) = self.spaces.get_mut(&space) {
                    if let Some(seat) = self.sessions.get_mut(&id) {
                        seat.unchecked.remove(&space);
                    }
                    // It may have been unknown, and a reader of whom the filter leaves out the end never reads nothing.
                    readers.head = run.head();
                    if run.after().sequence >= readers.head
                        && let Some(seat) = self.sessions.get_mut(&id)
                    {
                        seat.behind.remove(&space);
                    }
                }
            }
            ReadAnswer::Refused(SpaceCode::UnknownOrForbidden) => {
                let principal = self.sessions.get(&id).and_then(|seat| seat.principal);
                if principal.is_some_and(|principal| self.end_if_revoked(id, principal, now)) {
                    return;
                }
                self.unsubscribe(id, space);
            }
            ReadAnswer::Reset(_) | ReadAnswer::Refused(_) => self.unsubscribe(id, space),
        }
        if let Some(seat) = self.sessions.get_mut(&id) {
            seat.session.deliver(request.channel, answer);
        }
        self.note_stored(id, space);
        self.tell_seen(id, space);
    }

    fn deliver_page(&mut self, id: SessionId, request: &PageRequest, answer: &Durable<PageAnswer>, now: Now) {
        match answer.get() {
            PageAnswer::Page { .. } => {}
            PageAnswer::Refused(SpaceCode::UnknownOrForbidden) => {
                let principal = self.sessions.get(&id).and_then(|seat| seat.principal);
                if principal.is_some_and(|principal| self.end_if_revoked(id, principal, now)) {
                    return;
                }
                self.unsubscribe(id, request.space);
            }
            PageAnswer::Reset(_) | PageAnswer::Refused(_) => self.unsubscribe(id, request.space),
        }
        if let Some(seat) = self.sessions.get_mut(&id) {
            seat.session.deliver_page(request, answer);
        }
    }

    /// Notes that a session has to read a space's log.
    pub(super) fn fall_behind(&mut self, id: SessionId, space: SpaceId) {
        if let Some(seat) = self.sessions.get_mut(&id) {
            seat.behind.insert(space);
            self.enqueue(id);
        }
    }

    /// Queues a session that is behind and has room, unless it is queued already.
    pub(super) fn enqueue(&mut self, id: SessionId) {
        if let Some(seat) = self.sessions.get_mut(&id)
            && !seat.is_ready
            && (!seat.behind.is_empty() || seat.session.wants_pages())
            && seat.session.queued_bytes() < afield_core::limits::SEND_QUEUE_BYTES_MAX
            && seat.session.is_live()
        {
            seat.is_ready = true;
            self.ready.push_back(id);
        }
    }
}
