//! The relay's whole behaviour, without threads, sockets or clocks.

mod commit;
mod counts;
mod greet;
mod guard;
mod held;
mod live;
mod opening;
mod presence;
mod recent;
mod refresh;
mod roster;
mod seat;
mod seen;
mod serve;
mod signals;
mod watch;

use crate::log::{Log, Principal};
use crate::signed::SignedTokens;
use crate::spans;
use afield_core::limits::SEND_QUEUE_BYTES_MAX;
use afield_core::session::{AppendRequest, LiveFeed, RelayRequest, RelaySession};
use afield_core::time::random_bytes;
use afield_core::wire::{Channel, DecodedChunk, GoodbyeCode, PushNumber};
use afield_core::{DeviceId, Entropy, Limits, Now, Sequence, SessionId, SpaceId};
pub use counts::Counts;
use guard::guarded;
use recent::Recent;
pub use recent::{Occurrence, Party, RecentEvent};
use roster::Roster;
pub use roster::{SessionSummary, SpaceProgress};
use seat::Seat;
use seen::Farthest;
use signals::Listener;
pub use signals::{SIGNALS_BURST, SIGNALS_PER_SECOND, SignalRate};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use tracing::Span;

/// The most bytes that one session's queue may hold before the session ends as a slow reader.
///
/// [`SEND_QUEUE_BYTES_MAX`] stops what is read from the log; receipts for what the device pushes go on above it, and a
/// device that pushes without ever reading them ends here (invariant R8).
const QUEUE_BYTES_END: usize = 4 * SEND_QUEUE_BYTES_MAX;
/// The most memory that pushes which wait for one commit hold before it is made at once, in bytes: a transaction of this
/// size still takes well below a second.
const PENDING_BYTES_MAX: usize = 32 << 20;
/// The earliest moment at which a session that a stopping relay sent away comes back, in milliseconds.
const GOING_AWAY_RETRY_MIN_MS: u64 = 500;
/// How far those moments are spread, in milliseconds, so that they do not all come back at once.
const GOING_AWAY_RETRY_SPREAD_MS: u64 = 4_500;

/// For how long the answer to whether something could be appended counts, in milliseconds: each try is a sync of the disk, and
/// anyone may ask.
const READINESS_KEPT_MS: u64 = 1_000;

/// Who may use the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Whoever shows a token.
    Tokens,
    /// Anyone: for trials on one machine.
    Open,
}

/// Nothing can be appended now; the log says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the relay cannot append now")]
pub struct NotReady;

/// Where a link comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The address of the device, or of the proxy before it; absent where there is none.
    pub address: Option<IpAddr>,
    /// When its connection began, on the monotonic clock: the time for the handshake counts from there.
    pub began_ms: u64,
}

/// Something for a session's link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// A message to send. Report it with [`Hub::handle_sent`] once the link has taken it.
    Message(Vec<u8>),
    /// The session is over: close the link. The hub has forgotten it.
    Close,
}

/// The relay's whole behaviour: sessions, group commit, delivery, access.
///
/// One thread or the simulator drives it. Per turn: any number of [`Self::connect`], [`Self::handle_message`],
/// [`Self::handle_sent`] and [`Self::disconnect`], and [`Self::handle_timeout`] when [`Self::poll_timeout`] is due;
/// then one [`Self::commit`], then [`Self::serve`] with a budget, then drain [`Self::poll_transmit`]. Nothing is sent
/// that is not durable, for receipts are made by the commit alone (invariant R1). Messages of a session that
/// [`Self::has_to_wait`] are better kept for the next turn.
#[derive(Debug)]
pub struct Hub<L> {
    log: L,
    access: Access,
    limits: Limits,
    entropy: EntropyBox,
    /// Boxed, since nodes of a tree that grows at its end stay half empty.
    sessions: BTreeMap<SessionId, Box<Seat>>,
    /// The current session of every device, per user: knowing another user's device id ends nothing.
    devices: BTreeMap<(i64, DeviceId), SessionId>,
    spaces: BTreeMap<SpaceId, Readers>,
    pending: Vec<Pending>,
    pending_bytes: usize,
    /// [`QUEUE_BYTES_END`], but for a test that has no patience to reach it.
    queue_bytes_end: usize,
    /// The sessions that created spaces in this turn, once for each.
    creators: Vec<SessionId>,
    /// The sessions that gave a fresher token in this turn.
    refreshers: BTreeSet<SessionId>,
    /// How many signed tokens were noted in this turn.
    noted: usize,
    /// The sessions whose fresher tokens wait for a turn that has room for what is noted.
    late_refreshers: VecDeque<SessionId>,
    /// Sessions that were forgotten and whose links do not know it.
    cut: VecDeque<(SessionId, Output)>,
    /// Sessions that may have output.
    dirty: BTreeSet<SessionId>,
    /// Sessions that may read on, in turn.
    ready: VecDeque<SessionId>,
    /// When a session wants to be told the time, on the monotonic clock.
    deadlines: BTreeSet<(u64, SessionId)>,
    /// When a session's token expires, on the wall clock.
    expiries: BTreeSet<(i64, SessionId)>,
    /// The last answer of [`Log::foreign_version`]; absent before the first.
    foreign_version: Option<u64>,
    /// When to ask again, on the monotonic clock.
    check_due_ms: u64,
    signal_rate: SignalRate,
    signals_dropped: u64,
    roster: Roster,
    counts: Counts,
    /// Which signed tokens are taken; none where absent.
    signed: Option<SignedTokens>,
    sessions_per_user_max: usize,
    /// Where those came from whose tokens were wrong, since that was asked last.
    refused: Vec<IpAddr>,
    /// Whether something could be appended, and when that was tried last, on the monotonic clock.
    readiness: Option<(u64, Result<(), NotReady>)>,
    /// Why nothing could be appended when that was tried last.
    not_ready_because: Option<String>,
    /// What happened last; absent where nobody can ask.
    recent: Option<Recent>,
}

/// The sessions that read one space.
#[derive(Debug)]
struct Readers {
    /// The last sequence of the log as far as known; the highest number there is when it has to be found out.
    head: Sequence,
    sessions: BTreeSet<SessionId>,
    /// The chunks that are appended now, encoded once for all of them.
    live: LiveFeed,
    /// How far devices have stored the log.
    farthest: Farthest,
    /// The sessions that hear what is said to those who are here.
    listeners: BTreeMap<SessionId, Listener>,
}

/// A push that waits for the commit.
#[derive(Debug)]
struct Pending {
    session: SessionId,
    channel: Channel,
    push: PushNumber,
    principal: Principal,
    request: AppendRequest,
    /// Ends with it.
    span: Span,
}

impl Pending {
    /// The memory that it holds, in bytes. Some hundred compressed bytes decode into thousands of empty chunks, so that the
    /// bytes of its chunks alone would bound nothing (invariant R8).
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.request.chunks.iter().map(chunk_bytes).sum::<usize>()
    }
}

fn chunk_bytes(chunk: &DecodedChunk) -> usize {
    let dependencies = chunk.header.as_ref().map_or(0, |header| size_of_val(&header.dependencies[..]));
    size_of::<DecodedChunk>() + chunk.collection.as_str().len() + chunk.bytes.len() + dependencies
}

struct EntropyBox(Box<dyn Entropy>);

impl std::fmt::Debug for EntropyBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entropy")
    }
}

impl<L: Log> Hub<L> {
    /// Starts without sessions.
    pub fn new(log: L, access: Access, limits: Limits, entropy: impl Entropy + 'static) -> Self {
        Self {
            log,
            access,
            limits,
            entropy: EntropyBox(Box::new(entropy)),
            sessions: BTreeMap::new(),
            devices: BTreeMap::new(),
            spaces: BTreeMap::new(),
            pending: Vec::new(),
            pending_bytes: 0,
            queue_bytes_end: QUEUE_BYTES_END,
            creators: Vec::new(),
            refreshers: BTreeSet::new(),
            noted: 0,
            late_refreshers: VecDeque::new(),
            cut: VecDeque::new(),
            dirty: BTreeSet::new(),
            ready: VecDeque::new(),
            deadlines: BTreeSet::new(),
            expiries: BTreeSet::new(),
            foreign_version: None,
            check_due_ms: 0,
            signal_rate: SignalRate::DEFAULT,
            signals_dropped: 0,
            roster: Roster::default(),
            counts: Counts::default(),
            signed: None,
            sessions_per_user_max: usize::MAX,
            refused: Vec::new(),
            readiness: None,
            not_ready_because: None,
            recent: None,
        }
    }

    /// Takes tokens that an app's backend signed, too.
    #[must_use]
    pub fn with_signed_tokens(mut self, signed: SignedTokens) -> Self {
        self.signed = Some(signed);
        self
    }

    /// Sets how many devices of one user may be here at once.
    #[must_use]
    pub fn with_sessions_per_user(mut self, max: usize) -> Self {
        self.sessions_per_user_max = max;
        self
    }

    /// Who writes in a session: the row of its user, and its device; `None` until it was welcomed.
    pub(crate) fn writer(&self, id: SessionId) -> Option<(i64, DeviceId)> {
        self.sessions.get(&id).filter(|seat| seat.welcomed.is_some())?.device_key()
    }

    /// Where those came from whose tokens were wrong, since this was asked last.
    pub(crate) fn take_refused(&mut self) -> Vec<IpAddr> {
        std::mem::take(&mut self.refused)
    }

    /// Takes a link that has just come up; `token` is the one of its `Authorization` header.
    pub fn connect(&mut self, token: Option<String>, now: Now) -> SessionId {
        self.connect_from(token, Origin { address: None, began_ms: now.monotonic_ms }, now)
    }

    /// Takes a link of which more is known.
    pub fn connect_from(&mut self, token: Option<String>, origin: Origin, now: Now) -> SessionId {
        if self.sessions.is_empty() {
            // Nobody was here whom a change could have concerned.
            self.foreign_version = self.log.foreign_version().ok();
        }
        let id = SessionId::new(&mut self.entropy.0);
        let began = Now { monotonic_ms: origin.began_ms, ..now };
        let mut seat = Seat::new(RelaySession::new(id, token, self.limits, began));
        seat.address = origin.address;
        self.sessions.insert(id, Box::new(seat));
        self.settle(id, now);
        id
    }

    /// Takes one message of a device.
    pub fn handle_message(&mut self, id: SessionId, message: &[u8], now: Now) {
        if let Some(seat) = self.sessions.get_mut(&id) {
            seat.heard_wall_ms = now.wall_ms;
        }
        self.counts.received_bytes += message.len() as u64;
        let handled = guarded("handling a message", || {
            match self.understand(id, message, now) {
                Ok(None) => {}
                Ok(Some(request)) => self.handle_request(id, request, now),
                Err(error) => {
                    tracing::debug!(session = %id, error = &error as &dyn std::error::Error, "a session ends");
                    self.close(id, error.code());
                }
            }
            self.settle(id, now);
        });
        if handled.is_none() {
            self.cut(id);
        }
    }

    /// Takes the link's word that it has written so many bytes of messages.
    pub fn handle_sent(&mut self, id: SessionId, bytes: usize, now: Now) {
        if let Some(seat) = self.sessions.get_mut(&id) {
            seat.session.handle_sent(bytes, now);
            self.settle(id, now);
        }
    }

    /// Takes the end of a link. What it pushed before is still committed.
    pub fn disconnect(&mut self, id: SessionId) {
        self.forget(id);
    }

    /// Ends all sessions, with everything that was pushed committed first; drain [`Self::poll_transmit`] after it.
    pub fn shutdown(&mut self, now: Now) {
        self.commit(now);
        self.forget_written_sessions();
        self.write_roster(now);
        let ids: Vec<SessionId> = self.sessions.keys().copied().collect();
        for id in ids {
            let jitter = u64::from_le_bytes(random_bytes(&mut self.entropy.0)) % GOING_AWAY_RETRY_SPREAD_MS;
            self.close_after(id, GoodbyeCode::GoingAway, Some(GOING_AWAY_RETRY_MIN_MS + jitter));
        }
    }

    /// The next thing for a link.
    pub fn poll_transmit(&mut self) -> Option<(SessionId, Output)> {
        if let Some(last) = self.cut.pop_front() {
            return Some(last);
        }
        loop {
            let id = *self.dirty.first()?;
            if let Some(seat) = self.sessions.get_mut(&id) {
                if let Some(message) = seat.session.poll_transmit() {
                    self.counts.sent_bytes += message.len() as u64;
                    return Some((id, Output::Message(message)));
                }
                if seat.session.is_closed() {
                    self.forget(id);
                    return Some((id, Output::Close));
                }
            }
            self.dirty.remove(&id);
        }
    }

    /// Whether something could be appended now. It is tried at most once a second, however often it is asked.
    ///
    /// # Errors
    ///
    /// Nothing could be appended.
    pub fn readiness(&mut self, now: Now) -> Result<(), NotReady> {
        if self.readiness.is_none_or(|(tried_ms, _)| now.monotonic_ms >= tried_ms.saturating_add(READINESS_KEPT_MS)) {
            let tried = self.log.check_writable(now);
            if let Err(error) = &tried {
                tracing::warn!(error = error as &dyn std::error::Error, "nothing could be appended");
            }
            let because = tried.as_ref().err().map(ToString::to_string);
            if because != self.not_ready_because {
                self.note_event(because.clone().map_or(Occurrence::CanAppend, Occurrence::CannotAppend));
            }
            self.not_ready_because = because;
            self.readiness = Some((now.monotonic_ms, tried.map_err(|_| NotReady)));
        }
        self.readiness.map_or(Err(NotReady), |(_, tried)| tried)
    }

    /// Why nothing could be appended when [`Self::readiness`] tried last.
    pub fn not_ready_because(&self) -> Option<&str> {
        self.not_ready_because.as_deref()
    }

    /// How many sessions there are.
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// The log, to administer it; what changes in it reaches the sessions with the next check.
    pub fn log_mut(&mut self) -> &mut L {
        &mut self.log
    }

    /// Gives up everything but the log, as a crash does: what was pending is gone.
    pub fn into_log(self) -> L {
        self.log
    }

    fn handle_request(&mut self, id: SessionId, request: RelayRequest, now: Now) {
        match request {
            RelayRequest::Hello { token, hello } => self.greet(id, token, &hello, now),
            RelayRequest::Token { token } => self.refresh_token(id, &token, now),
            RelayRequest::Open(request) => self.open(id, &request, now),
            RelayRequest::CatchUp { channel, space } => {
                let head = self.spaces.get(&space).map_or(Sequence::ZERO, |readers| readers.head);
                if let Some(seat) = self.sessions.get_mut(&id) {
                    seat.session.catch_up(channel, head);
                }
                // The read checks position and membership, as every answer does (invariant R4).
                self.fall_behind(id, space);
            }
            RelayRequest::Read { space } => self.fall_behind(id, space),
            RelayRequest::Stored { space } => {
                self.note_stored(id, space);
                self.note_progress(id, space);
            }
            RelayRequest::Signal(signal) => self.signal(id, &signal, now),
            RelayRequest::Append(request) => {
                let Some(principal) = self.sessions.get(&id).and_then(|seat| seat.principal) else { return };
                let (channel, push) = (request.channel, request.push);
                let span = spans::tell_push(id, request.space, request.chunks.len());
                let pending = Pending { session: id, channel, push, principal, request, span };
                self.pending_bytes += pending.bytes();
                self.pending.push(pending);
                if self.pending_bytes > PENDING_BYTES_MAX {
                    self.commit(now);
                }
            }
        }
    }

    /// Gives up pushes that wait for the commit.
    fn drop_pending(&mut self, is_void: impl Fn(&Pending) -> bool) {
        let mut dropped_bytes = 0;
        self.pending.retain(|pending| {
            let void = is_void(pending);
            dropped_bytes += if void { pending.bytes() } else { 0 };
            !void
        });
        self.pending_bytes -= dropped_bytes;
    }

    fn close(&mut self, id: SessionId, code: GoodbyeCode) {
        self.close_after(id, code, None);
    }

    fn close_after(&mut self, id: SessionId, code: GoodbyeCode, retry_after_ms: Option<u64>) {
        if self.sessions.get(&id).is_some_and(|seat| !seat.session.is_closed()) {
            tracing::debug!(session = %id, %code, "the relay ends a session");
            self.note_end(id, code);
        }
        if let Some(seat) = self.sessions.get_mut(&id) {
            seat.session.close(code, retry_after_ms);
            self.dirty.insert(id);
        }
    }

    /// Stops delivering a space to a session.
    fn unsubscribe(&mut self, id: SessionId, space: SpaceId) {
        if let Some(seat) = self.sessions.get_mut(&id) {
            seat.behind.remove(&space);
            seat.unchecked.remove(&space);
            seat.own_runs.remove(&space);
        }
        self.leave(id, space);
        let Some(readers) = self.spaces.get_mut(&space) else { return };
        let was_open = readers.sessions.remove(&id);
        if readers.sessions.is_empty() {
            self.spaces.remove(&space);
        }
        if was_open {
            self.note_progress(id, space);
        }
    }

    /// Brings the indexes in line with a session after anything happened to it.
    fn settle(&mut self, id: SessionId, now: Now) {
        let Some(seat) = self.sessions.get_mut(&id) else { return };
        if seat.session.queued_bytes() > 0 {
            // Whether it has run out is found when time passes, with everything heard that came meanwhile.
            seat.session.start_clock(now);
        }
        if seat.session.queued_bytes() > self.queue_bytes_end {
            self.close(id, GoodbyeCode::SlowReader);
        }
        let Some(seat) = self.sessions.get_mut(&id) else { return };
        let deadline = seat.session.poll_timeout();
        if deadline != seat.deadline {
            seat.deadline.and_then(|old| self.deadlines.take(&(old, id)));
            seat.deadline = deadline;
            self.deadlines.extend(deadline.map(|new| (new, id)));
        }
        self.dirty.insert(id);
        self.enqueue(id);
    }

    /// Removes a session from everything but the pushes it made.
    fn forget(&mut self, id: SessionId) {
        self.note_left(id);
        self.note_gone(id);
        let Some(seat) = self.sessions.remove(&id) else { return };
        seat.deadline.and_then(|deadline| self.deadlines.take(&(deadline, id)));
        seat.expires_wall_ms.and_then(|expiry| self.expiries.take(&(expiry, id)));
        self.dirty.remove(&id);
        for space in seat.channels.values() {
            self.unsubscribe(id, *space);
        }
        if let Some(key) = seat.device_key()
            && self.devices.get(&key) == Some(&id)
        {
            self.devices.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests;
