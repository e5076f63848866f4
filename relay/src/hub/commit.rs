//! One transaction for everything that was pushed, then receipts, then delivery.

use super::guard::guarded;
use super::{Hub, Pending};
use crate::log::{Appended, Log, Principal};
use crate::spans;
use afield_core::session::{AppendAnswer, AppendRequest, LogRun};
use afield_core::wire::{Channel, GoodbyeCode, PushNumber, SpaceCode};
use afield_core::{Durable, Now, Sequence, SessionId, SpaceId};
use std::collections::BTreeSet;
use tracing::Span;

/// Where the answer to a push goes.
#[derive(Debug, Clone, Copy)]
struct Address {
    session: SessionId,
    channel: Channel,
    push: PushNumber,
    principal: Principal,
    space: SpaceId,
}

impl<L: Log> Hub<L> {
    /// Appends everything that was pushed, in one transaction, and only then answers and delivers (R1).
    pub fn commit(&mut self, now: Now) {
        if self.pending.is_empty() {
            return;
        }
        self.pending_bytes = 0;
        let pending = std::mem::take(&mut self.pending);
        let (pushes, (addresses, requests)): (Vec<_>, (Vec<_>, Vec<_>)) =
            pending.into_iter().map(Pending::apart).unzip();
        let appended = spans::commit(&pushes).in_scope(|| guarded("appending", || self.log.append(requests, now)));
        match appended {
            Some(Ok(appended)) => {
                self.counts.commits += 1;
                self.appended(addresses, appended, now);
            }
            failed => {
                self.counts.failed_commits += 1;
                if let Some(Err(error)) = failed {
                    tracing::error!(error = &error as &dyn std::error::Error, "the log could not append");
                }
                for address in &addresses {
                    self.close(address.session, GoodbyeCode::Internal);
                    self.settle(address.session, now);
                }
                // A commit that answered with an error may have happened.
                addresses.iter().for_each(|address| self.find_head_again(address.space));
            }
        }
        spans::answered(pushes);
    }

    fn appended(&mut self, addresses: Vec<Address>, appended: Durable<Appended>, now: Now) {
        let (answers, runs) = appended.map(|appended| (appended.answers, appended.runs)).split();
        let mut doubtful = BTreeSet::new();
        let mut pushers = BTreeSet::new();
        for (address, answer) in addresses.into_iter().zip(answers.into_elements()) {
            if matches!(answer.get(), AppendAnswer::Refused(SpaceCode::Unavailable)) {
                doubtful.insert(address.space);
            }
            let (session, space) = (address.session, address.space);
            pushers.insert((session, space));
            self.counts.answer(answer.get());
            self.note_refusals(session, answer.get());
            if guarded("answering a push", || self.answer_push(address, answer, now)).is_none() {
                self.cut(session);
            }
        }
        // Whoever lost access in the meantime gets nothing of what follows (R6, R7).
        self.check_foreign(now);
        for run in runs.into_elements() {
            let (space, run) = keyed(run);
            self.deliver_fresh(space, &run, now);
        }
        doubtful.into_iter().for_each(|space| self.find_head_again(space));
        // A receipt may be for what another device has stored long ago.
        pushers.into_iter().for_each(|(session, space)| self.tell_seen(session, space));
    }

    /// Lets all readers of a space look for what may have been appended to it without their being told (R9).
    fn find_head_again(&mut self, space: SpaceId) {
        let Some(readers) = self.spaces.get_mut(&space) else { return };
        readers.head = Sequence::new(u64::MAX);
        let ids: Vec<SessionId> = readers.sessions.iter().copied().collect();
        ids.into_iter().for_each(|id| self.fall_behind(id, space));
    }

    fn answer_push(&mut self, address: Address, answer: Durable<AppendAnswer>, now: Now) {
        let Address { session, channel, push, principal, space } = address;
        // Nothing follows a Goodbye.
        if self.sessions.get(&session).is_none_or(|seat| seat.session.is_closed()) {
            return;
        }
        match answer.get() {
            AppendAnswer::Verdicts(_) => {}
            AppendAnswer::Refused(SpaceCode::UnknownOrForbidden) if self.end_if_revoked(session, principal, now) => {
                return;
            }
            AppendAnswer::Reset(_) | AppendAnswer::Refused(_) => self.unsubscribe(session, space),
        }
        if let Some(seat) = self.sessions.get_mut(&session) {
            seat.note_own(space, answer.get());
            seat.session.appended(channel, push, answer);
            if seat.session.owes_a_jump(space) {
                seat.behind.insert(space);
            }
            self.settle(session, now);
            self.note_progress(session, space);
        }
    }

    /// Hands a run that was just appended to those who stand right before it; the others read on from the log.
    fn deliver_fresh(&mut self, space: SpaceId, run: &Durable<LogRun>, now: Now) {
        let Some(readers) = self.spaces.get_mut(&space) else { return };
        readers.head = run.get().after().sequence;
        let ids: Vec<SessionId> = readers.sessions.iter().copied().collect();
        let live = self.encode_live(space, &ids, run);
        for id in ids {
            let Some(seat) = self.sessions.get_mut(&id) else { continue };
            // Who has to read on has to be checked against the log first, so it gets nothing fresh meanwhile.
            let is_behind = seat.behind.contains(&space);
            match guarded("delivering", || !is_behind && seat.session.deliver_fresh(space, run, live.as_ref())) {
                Some(true) => {}
                Some(false) => {
                    seat.behind.insert(space);
                }
                None => {
                    self.cut(id);
                    continue;
                }
            }
            self.settle(id, now);
        }
    }
}

impl Pending {
    fn apart(self) -> (Span, (Address, (Principal, AppendRequest))) {
        let Self { session, channel, push, principal, request, span } = self;
        let address = Address { session, channel, push, principal, space: request.space };
        (span, (address, (principal, request)))
    }
}

fn keyed(run: Durable<(SpaceId, LogRun)>) -> (SpaceId, Durable<LogRun>) {
    let (space, run) = run.split();
    (space.into_inner(), run)
}
