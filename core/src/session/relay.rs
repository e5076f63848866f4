//! The relay's half of a session.

mod channel;
mod exchange;
mod given;
mod live;
mod own;
mod pushing;
mod run;
mod signals;

use super::SessionError;
use crate::durable::Durable;
use crate::filter::Filter;
use crate::id::{SessionId, SpaceId};
use crate::limits::{
    FETCH_ENTITIES_MAX, FETCHES_MAX, HANDSHAKE_TIMEOUT_MS, Limits, SEND_QUEUE_BYTES_MAX, SESSION_FILTER_ENTITIES_MAX,
    SLOW_READER_TIMEOUT_MS, SPACES_PER_SESSION_MAX, UNAUTHENTICATED_BYTES_MAX,
};
use crate::log::Sequence;
use crate::time::Now;
use crate::wire::{
    self, Channel, Goodbye, GoodbyeCode, LIVE_CHUNKS_CHANNELS_MAX, LiveMessage, Message, PROTOCOL_VERSION, PushNumber,
    SpaceCode, ToDevice, ToRelay, Welcome,
};
use channel::{Opening, RelayChannel};
pub use exchange::{
    AppendAnswer, AppendRequest, ChunkVerdict, OpenAnswer, OpenRequest, PageAnswer, PageRequest, ReadAnswer,
    ReadRequest, RelayRequest, WelcomeAnswer,
};
pub use given::GivenSnapshots;
pub use live::{LiveEpoch, LiveFeed, LiveRun, LiveStanding};
use pushing::Resolve;
pub use run::{LogEntry, LogErasure, LogRun, LogSnapshot};
use signals::WaitingSignals;
pub use signals::{SIGNAL_QUEUE_BYTES_MAX, SIGNALS_WAITING_MAX, SignalRequest};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Greeting,
    Welcoming,
    Live,
    Closed,
}

/// The relay's half of one session.
///
/// Call [`Self::handle_message`] for every message and answer its request; ask [`Self::reads`] what to read whenever a
/// log grew or the queue shrank; drain [`Self::poll_transmit`] and report what the link took with
/// [`Self::handle_sent`]. After [`Self::is_closed`] send what is queued and close the link.
#[derive(Debug)]
pub struct RelaySession {
    id: SessionId,
    phase: Phase,
    limits: Limits,
    token: Option<String>,
    /// Boxed, since a node of the tree has room for eleven, and most sessions have one.
    channels: BTreeMap<Channel, Box<RelayChannel>>,
    /// What the device asked for and did not get yet, oldest first.
    fetches: VecDeque<(wire::Fetch, Arc<Filter>)>,
    /// The number that the next push has to have.
    next_push: u64,
    /// Whether the device only looks, in the name of another one.
    is_guest: bool,
    unauthenticated_bytes: usize,
    handshake_deadline_ms: u64,
    transmit: VecDeque<Vec<u8>>,
    /// What others say, as long as the queue is too long for it.
    signals: WaitingSignals,
    queued_bytes: usize,
    stalled_since_ms: Option<u64>,
}

impl RelaySession {
    /// Starts a session for a link that has just come up; `token` is the one of the `Authorization` header.
    pub fn new(id: SessionId, token: Option<String>, limits: Limits, now: Now) -> Self {
        Self {
            id,
            phase: Phase::Greeting,
            limits,
            token,
            channels: BTreeMap::new(),
            fetches: VecDeque::new(),
            next_push: 1,
            is_guest: false,
            unauthenticated_bytes: 0,
            handshake_deadline_ms: now.monotonic_ms.saturating_add(HANDSHAKE_TIMEOUT_MS),
            transmit: VecDeque::new(),
            signals: WaitingSignals::default(),
            queued_bytes: 0,
            stalled_since_ms: None,
        }
    }

    /// The session's id.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Whether the session is over once its queue is sent.
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Whether the device was accepted.
    pub fn is_live(&self) -> bool {
        self.phase == Phase::Live
    }

    /// Bytes queued for the link and not reported as sent.
    pub fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// The spaces this session reads.
    pub fn spaces(&self) -> impl Iterator<Item = SpaceId> {
        self.channels.values().map(|state| state.space())
    }

    /// Handles one message from the device. `resolve` finds the entity and the hash of the change at a position of a space's
    /// log; it is asked for positions that the session was told of, at most [`LOG_NAMES_MAX`](crate::limits::LOG_NAMES_MAX) times.
    ///
    /// # Errors
    ///
    /// The message did not parse or did not fit, or was the device's `Goodbye`; call [`Self::close`] with the error's code.
    pub fn handle_message(
        &mut self,
        message: &[u8],
        resolve: Resolve<'_>,
    ) -> Result<Option<RelayRequest>, SessionError> {
        if self.phase == Phase::Closed {
            return Ok(None);
        }
        if self.phase == Phase::Greeting {
            self.unauthenticated_bytes = self.unauthenticated_bytes.saturating_add(message.len());
            if self.unauthenticated_bytes > UNAUTHENTICATED_BYTES_MAX {
                return Err(SessionError::Order { frame: "first", problem: "with too many bytes before Hello" });
            }
        }
        if let Some(live) = LiveMessage::open(message)? {
            self.check_pushes("live Push")?;
            return self.handle_live(&live, resolve);
        }
        let message = Message::open(message)?;
        let frame = message.to_relay()?;
        let name = frame.name();
        match (self.phase, frame) {
            (_, ToRelay::Goodbye(Goodbye { code, retry_after_ms })) => {
                Err(SessionError::Ended { code, retry_after_ms })
            }
            (Phase::Greeting, ToRelay::Authenticate(frame)) => {
                self.token = Some(frame.token);
                Ok(None)
            }
            (Phase::Greeting, ToRelay::Hello(hello)) => {
                if !hello.versions.contains(&PROTOCOL_VERSION) {
                    return Err(SessionError::Ended { code: GoodbyeCode::Upgrade, retry_after_ms: None });
                }
                self.phase = Phase::Welcoming;
                self.is_guest = hello.guest_of.is_some();
                Ok(Some(RelayRequest::Hello { token: self.token.take(), hello }))
            }
            (Phase::Live, ToRelay::Authenticate(frame)) => Ok(Some(RelayRequest::Token { token: frame.token })),
            (Phase::Live, ToRelay::Open(frame)) => Ok(self.handle_open(frame)),
            (Phase::Live, ToRelay::Push(frame)) => {
                self.check_pushes("Push")?;
                self.handle_push(&frame, resolve)
            }
            (Phase::Live, ToRelay::CatchUp(frame)) => self.handle_catch_up(frame),
            (Phase::Live, ToRelay::Filter(frame)) => self.handle_filter(frame),
            (Phase::Live, ToRelay::Fetch(frame)) => self.handle_fetch(frame),
            (Phase::Live, ToRelay::Progress(frame)) => self.handle_progress(frame),
            (Phase::Live, ToRelay::Signal(frame)) => self.handle_signal(&frame),
            (Phase::Live, ToRelay::Hello(_)) => Err(SessionError::Order { frame: name, problem: "twice" }),
            _ => Err(SessionError::Order { frame: name, problem: "before Welcome" }),
        }
    }

    /// Accepts the device.
    pub fn welcome(&mut self, answer: WelcomeAnswer) {
        self.phase = Phase::Live;
        let WelcomeAnswer { spaces, may_create } = answer;
        let (session, limits) = (self.id, self.limits);
        let (version, signals) = (PROTOCOL_VERSION, true);
        self.send(&ToDevice::Welcome(Welcome { version, session, limits, spaces, may_create, signals }));
    }

    /// Takes the log's answer to an `Open`.
    pub fn opened(&mut self, channel: Channel, answer: OpenAnswer) {
        if let Some(state) = self.channels.get_mut(&channel) {
            let frames = state.opened(answer);
            frames.into_iter().for_each(|frame| self.send(&frame));
        }
    }

    /// Takes the end of the log as the answer to a `CatchUp`, which is told once a read has got there.
    pub fn catch_up(&mut self, channel: Channel, head: Sequence) {
        if let Some(state) = self.channels.get_mut(&channel) {
            state.catch_up(head);
        }
    }

    /// Takes the log's answer to a `Push`, once it is durable.
    pub fn appended(&mut self, channel: Channel, push: PushNumber, answer: Durable<AppendAnswer>) {
        let frames = self.channels.get_mut(&channel).map(|state| state.appended(push, answer));
        frames.into_iter().flatten().for_each(|frame| self.send(&frame));
    }

    /// Whether a receipt told of something that the session was not led past: read for it once more.
    pub fn owes_a_jump(&self, space: SpaceId) -> bool {
        self.channels.values().any(|state| state.space() == space && state.owes_a_jump())
    }

    /// What to read now, given the head of each log as far as the caller knows it.
    ///
    /// Nothing while the queue is full: a slow reader costs its own progress only (invariant R8).
    pub fn reads(&self, head: impl Fn(SpaceId) -> Sequence) -> Vec<ReadRequest> {
        let room = SEND_QUEUE_BYTES_MAX.saturating_sub(self.queued_bytes);
        if self.phase != Phase::Live || room == 0 {
            return Vec::new();
        }
        self.channels.values().filter_map(|state| state.read(head(state.space()))).collect()
    }

    /// Takes the log's answer to a [`ReadRequest`].
    pub fn deliver(&mut self, channel: Channel, answer: &Durable<ReadAnswer>) {
        if let Some(state) = self.channels.get_mut(&channel) {
            let encoded = state.deliver(answer.get());
            encoded.into_iter().for_each(|message| self.queue(message));
        }
    }

    /// Whether the device asked for something that it did not get yet.
    pub fn wants_pages(&self) -> bool {
        !self.fetches.is_empty()
    }

    /// What to read next of what the device asked for; nothing while the queue is full. Answer with [`Self::deliver_page`].
    pub fn next_page(&mut self) -> Option<PageRequest> {
        if self.phase != Phase::Live || self.queued_bytes >= SEND_QUEUE_BYTES_MAX {
            return None;
        }
        loop {
            let (fetch, filter) = self.fetches.front()?;
            let page = self.channels.get(&fetch.channel).and_then(|state| state.page(fetch, filter));
            if page.is_some() {
                return page;
            }
            // The space was reset or refused: nothing of it is answered until it is opened again.
            self.fetches.pop_front();
        }
    }

    /// Takes the log's answer to a [`PageRequest`].
    pub fn deliver_page(&mut self, request: &PageRequest, answer: &Durable<PageAnswer>) {
        self.fetches.retain(|(fetch, _)| fetch.number != request.number);
        if let Some(state) = self.channels.get_mut(&request.channel) {
            let message = state.deliver_page(request, answer.get());
            self.queue(message);
        }
    }

    /// How far the device has stored a space of which it has everything; `None` for any other.
    pub fn stored(&self, space: SpaceId) -> Option<Sequence> {
        self.channels.values().find(|state| state.space() == space).and_then(|state| state.stored())
    }

    /// Whether there would be something to tell of another device that has stored a space up to a sequence.
    pub fn wants_to_hear(&self, space: SpaceId, sequence: Sequence) -> bool {
        self.channels.values().any(|state| state.space() == space && state.news(sequence).is_some())
    }

    /// Takes the word that another device has stored a space up to a sequence. Answers whether there was something to tell.
    pub fn seen(&mut self, space: SpaceId, sequence: Sequence) -> bool {
        let state = self.channels.values_mut().find(|state| state.space() == space);
        let frame = state.and_then(|state| state.seen(sequence));
        frame.iter().for_each(|frame| self.send(frame));
        frame.is_some()
    }

    /// Takes a run that was just appended, for a reader that stands right before it. Answers whether it fitted.
    ///
    /// The run comes from the transaction that appended it, so the check of position and told needs no other read. `live` is
    /// the same run for those who are in the epoch.
    pub fn deliver_fresh(&mut self, space: SpaceId, run: &Durable<LogRun>, live: Option<&LiveRun>) -> bool {
        if self.phase != Phase::Live || self.queued_bytes >= SEND_QUEUE_BYTES_MAX {
            return false;
        }
        let mut fitted = false;
        let mut messages = Vec::new();
        let has_room = self.has_room_for_epoch();
        for state in self.channels.values_mut().filter(|state| state.space() == space) {
            if state.stands_before(run.get()) {
                match live.and_then(|live| state.live_chunks(run.get(), live, has_room)) {
                    Some(message) => {
                        messages.push(message);
                        messages.extend(state.caught_up().iter().map(wire::encode_to_device));
                    }
                    None => messages.extend(state.deliver_run(run.get())),
                }
                fitted = true;
            }
        }
        messages.into_iter().for_each(|message| self.queue(message));
        fitted
    }

    /// What becomes of a run that was just appended on its way to this reader, given the present epoch of the space's
    /// [`LiveFeed`].
    pub fn live_standing(&self, space: SpaceId, run: &LogRun, epoch: Option<&LiveEpoch>) -> LiveStanding {
        if self.phase != Phase::Live || self.is_queue_full() {
            return LiveStanding::Apart;
        }
        let state = self.channels.values().find(|state| state.space() == space);
        state.map_or(LiveStanding::Apart, |state| state.live_standing(run, epoch, self.has_room_for_epoch()))
    }

    /// Whether one more channel may be in an epoch (invariant R8).
    fn has_room_for_epoch(&self) -> bool {
        self.channels.values().filter(|state| state.epoch.is_some()).count() < LIVE_CHUNKS_CHANNELS_MAX
    }

    /// Ends the session with a `Goodbye`.
    pub fn close(&mut self, code: GoodbyeCode, retry_after_ms: Option<u64>) {
        if self.phase != Phase::Closed {
            self.send(&ToDevice::Goodbye(Goodbye { code, retry_after_ms }));
            self.phase = Phase::Closed;
            self.signals.clear();
        }
    }

    /// The next message for the link; signals last.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmit.pop_front().or_else(|| self.next_signal())
    }

    /// Takes the link's word that it has written so many bytes of messages, which need not be whole ones: any progress
    /// shows that the peer reads.
    pub fn handle_sent(&mut self, bytes: usize, now: Now) {
        if bytes > 0 {
            self.queued_bytes = self.queued_bytes.saturating_sub(bytes);
            self.stalled_since_ms = self.is_queue_full().then_some(now.monotonic_ms);
        }
    }

    /// Starts the clock of a full queue that nobody empties, unless it runs.
    pub fn start_clock(&mut self, now: Now) {
        if self.is_queue_full() && self.stalled_since_ms.is_none() {
            self.stalled_since_ms = Some(now.monotonic_ms);
        }
    }

    fn is_queue_full(&self) -> bool {
        self.queued_bytes >= SEND_QUEUE_BYTES_MAX
    }

    /// Handles the passing of time: closes a session that does not greet, or does not read.
    pub fn handle_timeout(&mut self, now: Now) {
        self.start_clock(now);
        let Some(deadline_ms) = self.poll_timeout() else { return };
        if now.monotonic_ms < deadline_ms {
            return;
        }
        let code = if self.phase == Phase::Live { GoodbyeCode::SlowReader } else { GoodbyeCode::TimedOut };
        self.close(code, None);
    }

    /// The moment at which [`Self::handle_timeout`] wants to be called, on the monotonic clock.
    pub fn poll_timeout(&self) -> Option<u64> {
        match self.phase {
            Phase::Greeting | Phase::Welcoming => Some(self.handshake_deadline_ms),
            Phase::Live if self.is_queue_full() => {
                self.stalled_since_ms.map(|since| since.saturating_add(SLOW_READER_TIMEOUT_MS))
            }
            Phase::Live | Phase::Closed => None,
        }
    }

    /// Checks that the device may push at all.
    fn check_pushes(&self, frame: &'static str) -> Result<(), SessionError> {
        if self.is_guest {
            Err(SessionError::Order { frame, problem: "from a guest, which only looks" })
        } else {
            Ok(())
        }
    }

    fn handle_open(&mut self, frame: wire::Open) -> Option<RelayRequest> {
        let wire::Open { channel, space, cursor, create, raw, filter, partial, invitation } = frame;
        if self.is_full() && !self.channels.contains_key(&channel) {
            let code = SpaceCode::Quota;
            self.send(&ToDevice::Refused(wire::Refused { channel, code, retry_after_ms: None }));
            return None;
        }
        self.fetches.retain(|(fetch, _)| fetch.channel != channel);
        let has_room = self.has_room_for(channel, &filter);
        let filter = if has_room { filter } else { Filter::nothing() };
        let without_cursor = cursor.is_none();
        let mut state = RelayChannel::new(Opening { channel, space, without_cursor, raw, filter, partial });
        let refused = (!has_room).then(|| state.refuse(SpaceCode::Quota));
        self.channels.insert(channel, Box::new(state));
        if let Some(refused) = refused {
            self.send(&refused);
            return None;
        }
        // Who only looks makes nothing, and joins nothing.
        let (create, invitation) = (create && !self.is_guest, invitation.filter(|_| !self.is_guest));
        Some(RelayRequest::Open(OpenRequest { channel, space, cursor, create, invitation }))
    }

    /// Whether the session may keep this filter for a channel (invariant R8).
    fn has_room_for(&self, channel: Channel, filter: &Filter) -> bool {
        let others = self.channels.iter().filter(|(other, _)| **other != channel);
        let taken: usize = others.map(|(_, state)| state.filter().entity_count()).sum();
        filter.is_within_limits() && taken.saturating_add(filter.entity_count()) <= SESSION_FILTER_ENTITIES_MAX
    }

    fn handle_filter(&mut self, frame: wire::NewFilter) -> Result<Option<RelayRequest>, SessionError> {
        let wire::NewFilter { channel, filter, partial } = frame;
        if self.opened_channel(channel, "Filter")?.is_none_or(|state| state.told().is_none()) {
            return Ok(None);
        }
        Ok(self.put_filter(channel, filter, Some(partial)))
    }

    fn handle_fetch(&mut self, frame: wire::Fetch) -> Result<Option<RelayRequest>, SessionError> {
        if self.opened_channel(frame.channel, "Fetch")?.is_none_or(|state| state.told().is_none()) {
            return Ok(None);
        }
        // A channel that was reset or refused since answers none of them.
        let channels = &self.channels;
        self.fetches.retain(|(of, _)| channels.get(&of.channel).is_some_and(|state| state.told().is_some()));
        if self.fetches.len() >= FETCHES_MAX || frame.filter.entity_count() > FETCH_ENTITIES_MAX {
            return Err(SessionError::Order { frame: "Fetch", problem: "beyond what may be asked for at once" });
        }
        let Some(state) = self.channels.get(&frame.channel) else { return Ok(None) };
        let mut filter = state.filter().clone();
        filter.widen(&frame.filter);
        let space = state.space();
        let request = if filter == *state.filter() {
            Some(RelayRequest::Read { space })
        } else {
            self.put_filter(frame.channel, filter, None)
        };
        if request.is_some() {
            let wanted = Arc::new(frame.filter.clone());
            self.fetches.push_back((frame, wanted));
        }
        Ok(request)
    }

    fn put_filter(&mut self, channel: Channel, filter: Filter, partial: Option<bool>) -> Option<RelayRequest> {
        let has_room = self.has_room_for(channel, &filter);
        let state = self.channels.get_mut(&channel)?;
        if has_room {
            let partial = partial.unwrap_or(state.is_partial());
            state.set_filter(filter, partial);
            return Some(RelayRequest::Read { space: state.space() });
        }
        let refused = state.refuse(SpaceCode::Quota);
        self.send(&refused);
        None
    }

    fn handle_progress(&mut self, frame: wire::Progress) -> Result<Option<RelayRequest>, SessionError> {
        if self.opened_channel(frame.channel, "Progress")?.is_none() {
            return Ok(None);
        }
        let Some(state) = self.channels.get_mut(&frame.channel) else { return Ok(None) };
        state.note_stored(frame.sequence);
        Ok(Some(RelayRequest::Stored { space: state.space() }))
    }

    /// Whether no more spaces fit this session.
    fn is_full(&self) -> bool {
        self.channels.len() >= SPACES_PER_SESSION_MAX
    }

    /// The channel that a frame names; `None` when the frame is to be ignored.
    fn opened_channel(&self, channel: Channel, frame: &'static str) -> Result<Option<&RelayChannel>, SessionError> {
        match self.channels.get(&channel) {
            Some(state) => Ok(Some(state)),
            // A channel that was refused for want of room is not remembered, and a device pushes without waiting.
            None if self.is_full() => Ok(None),
            None => Err(SessionError::Order { frame, problem: "for a space that is not open" }),
        }
    }

    fn handle_catch_up(&self, frame: wire::CatchUp) -> Result<Option<RelayRequest>, SessionError> {
        let wire::CatchUp { channel } = frame;
        let state = self.opened_channel(channel, "CatchUp")?.filter(|state| state.told().is_some());
        Ok(state.map(|state| RelayRequest::CatchUp { channel, space: state.space() }))
    }

    fn send(&mut self, frame: &ToDevice<'_>) {
        self.queue(wire::encode_to_device(frame));
    }

    fn queue(&mut self, message: Vec<u8>) {
        self.queued_bytes += message.len();
        self.transmit.push_back(message);
    }
}
