//! The device's half of a session.

mod channel;
mod exchange;
mod follow;
mod known;
mod live;
mod pushes;
mod signals;
mod telling;

pub use exchange::{
    Advance, ChunkFault, DeviceEvent, FetchRequest, FetchedPage, Greeting, Proof, PushRoom, PushedChunk, ReceivedChunk,
    ReceivedErasure, SpaceOpening, UnusableSnapshot,
};
pub use signals::ReceivedSignal;

use super::SessionError;
use crate::durable::Durable;
use crate::filter::Filter;
use crate::id::SpaceId;
use crate::limits::{
    BATCH_BYTES_MAX, BATCH_CHUNKS_MAX, EARLY_OPENS_BYTES_MAX, FETCHES_MAX, HANDSHAKE_TIMEOUT_MS, Limits,
    SILENT_PEER_TIMEOUT_MS, SPACES_PER_SESSION_MAX, UNAUTHENTICATED_BYTES_MAX,
};
use crate::log::{Cursor, Sequence};
use crate::time::Now;
use crate::wire::{
    self, Channel, FetchNumber, Goodbye, GoodbyeCode, Hello, LIVE_CHUNKS_CHANNELS_MAX, LIVE_PUSH_CHANNELS_MAX,
    LiveKind, LiveMessage, Message, PROTOCOL_VERSION, PushNumber, ToDevice, ToRelay, Welcome,
};
use channel::SpaceChannel;
use live::PushForm;
use std::collections::{BTreeMap, VecDeque};

/// The device's half of one session.
///
/// Call order: [`Self::new`] queues `Hello` and an `Open` per space, of which large ones wait for `Welcome`; then, in any order, [`Self::handle_message`] for
/// every message and [`Self::push`] while [`Self::push_room`] allows. After each call drain [`Self::poll_event`] and
/// [`Self::poll_transmit`]. Any error ends the session: send what [`Self::close`] gives, drop it, and connect anew.
#[derive(Debug)]
pub struct DeviceSession {
    limits: Limits,
    welcomed: bool,
    /// Whether the relay takes signals.
    has_signals: bool,
    handshake_deadline_ms: u64,
    /// When the relay last said something, or was last asked something.
    heard_ms: u64,
    channels: BTreeMap<Channel, SpaceChannel>,
    channel_of: BTreeMap<SpaceId, Channel>,
    next_push: u64,
    pushes_plainly: bool,
    only_looks: bool,
    next_fetch: u64,
    fetches: BTreeMap<FetchNumber, Channel>,
    pushes: BTreeMap<PushNumber, Channel>,
    transmit: VecDeque<Vec<u8>>,
    /// A fresher token than the one that the session began with, which a relay takes from whoever is welcome.
    fresher_token: Option<wire::Authenticate>,
    /// What is sent once the session is welcome: at most an `Open` and a `Filter` for a channel.
    held: VecDeque<Held>,
    early_bytes: usize,
    events: VecDeque<DeviceEvent>,
    fault: Option<SpaceId>,
}

/// A message that waits until the session is welcome.
#[derive(Debug)]
struct Held {
    channel: Channel,
    is_open: bool,
    message: Vec<u8>,
}

impl DeviceSession {
    /// Starts a session: queues `Hello`, a token where one is given, and an `Open` per space.
    pub fn new(greeting: Greeting, openings: impl IntoIterator<Item = SpaceOpening>, now: Now) -> Self {
        let mut session = Self {
            limits: Limits::DEFAULT,
            welcomed: false,
            has_signals: false,
            handshake_deadline_ms: now.monotonic_ms.saturating_add(HANDSHAKE_TIMEOUT_MS),
            heard_ms: now.monotonic_ms,
            channels: BTreeMap::new(),
            channel_of: BTreeMap::new(),
            next_push: 1,
            pushes_plainly: false,
            only_looks: greeting.guest_of.is_some(),
            next_fetch: 1,
            fetches: BTreeMap::new(),
            pushes: BTreeMap::new(),
            transmit: VecDeque::new(),
            fresher_token: None,
            held: VecDeque::new(),
            early_bytes: 0,
            events: VecDeque::new(),
            fault: None,
        };
        if let Some(token) = greeting.token {
            session.send(&ToRelay::Authenticate(wire::Authenticate { token }));
        }
        session.send(&ToRelay::Hello(Hello {
            versions: vec![PROTOCOL_VERSION],
            device: greeting.device,
            incarnation: greeting.incarnation,
            predecessors: greeting.predecessors,
            guest_of: greeting.guest_of,
        }));
        for opening in openings {
            session.open(opening, now);
        }
        session
    }

    /// Gives the relay a fresher token than the one that the session began with; before `Welcome` it waits for that. The relay answers
    /// nothing where it takes the token, and otherwise ends the session.
    pub fn authenticate(&mut self, token: String) {
        let frame = wire::Authenticate { token };
        if self.welcomed {
            self.send(&ToRelay::Authenticate(frame));
        } else {
            self.fresher_token = Some(frame);
        }
    }

    /// Opens one more space, or the same space again; answers whether it was opened, which a space beyond
    /// [`SPACES_PER_SESSION_MAX`] is not.
    pub fn open(&mut self, mut opening: SpaceOpening, now: Now) -> bool {
        if self.only_looks {
            (opening.create, opening.partial, opening.invitation) = (false, true, None);
        }
        if self.channels.len() >= SPACES_PER_SESSION_MAX && !self.channel_of.contains_key(&opening.space) {
            return false;
        }
        self.ask(now);
        let next = Channel(u32::try_from(self.channels.len()).unwrap_or(u32::MAX));
        let channel = *self.channel_of.entry(opening.space).or_insert(next);
        self.pushes.retain(|_, of| *of != channel);
        self.fetches.retain(|_, of| *of != channel);
        let frame = SpaceChannel::open_frame(channel, &opening);
        let tells = opening.filter == Filter::Everything && !opening.partial;
        self.channels.insert(channel, SpaceChannel::new(opening.space, opening.cursor, tells));
        self.held.retain(|held| held.channel != channel);
        self.send_or_hold(channel, &ToRelay::Open(frame));
        true
    }

    /// Opens a space again after the Reset that its event asked for was stored; from there on everything that the filter
    /// includes is on its way.
    pub fn reopen(&mut self, space: SpaceId, cursor: &Durable<Cursor>, filter: Filter, now: Now) {
        let cursor = Some(*cursor.get());
        self.open(
            SpaceOpening { space, cursor, create: true, raw: false, filter, partial: false, invitation: None },
            now,
        );
    }

    /// Puts another filter in the place of the one that a space was opened with. `partial` says whether some of what it
    /// names is not here up to the cursor.
    pub fn set_filter(&mut self, space: SpaceId, filter: Filter, partial: bool) {
        let Some(channel) = self.channel_of.get(&space).copied() else { return };
        let partial = partial || self.only_looks;
        let Some(state) = self.channels.get_mut(&channel) else { return };
        state.telling.switch(filter == Filter::Everything && !partial);
        self.held.retain(|held| held.channel != channel || held.is_open);
        self.send_or_hold(channel, &ToRelay::Filter(wire::NewFilter { channel, filter, partial }));
    }

    /// Asks for what the log holds of some entities; the filter of the session includes them from now on. `None` when the space
    /// is not open, or as much is asked for as may be at once.
    pub fn fetch(&mut self, space: SpaceId, request: FetchRequest, now: Now) -> Option<FetchNumber> {
        let channel = self.channel_of.get(&space).copied()?;
        let is_open = self.channels.get(&channel).is_some_and(SpaceChannel::takes_pushes);
        if !is_open || !self.welcomed || self.fetches.len() >= FETCHES_MAX {
            return None;
        }
        self.ask(now);
        let number = FetchNumber(self.next_fetch);
        self.next_fetch = self.next_fetch.saturating_add(1);
        let FetchRequest { filter, after, changes } = request.clone();
        self.send(&ToRelay::Fetch(wire::Fetch { channel, number, filter, after, changes }));
        self.fetches.insert(number, channel);
        if let Some(state) = self.channels.get_mut(&channel) {
            state.fetch(number, request);
        }
        Some(number)
    }

    /// Notes that everything up to this sequence is stored, to be told the relay now or soon.
    pub fn stored(&mut self, space: SpaceId, sequence: Sequence, now: Now) {
        let Some(channel) = self.channel_of.get(&space) else { return };
        if let Some(state) = self.channels.get_mut(channel) {
            state.telling.note(sequence);
        }
        self.tell_progress(now);
    }

    /// How many places of the log of a space are on their way, as the relay said last: those that are not in the filter too, and a relay
    /// may say nothing of it. `None` before anything of the space has come.
    pub fn left(&self, space: SpaceId) -> Option<u64> {
        self.channels.get(self.channel_of.get(&space)?)?.left()
    }

    /// Asks the relay whether anything durable is still on its way: a space that is caught up is so again once all of it
    /// has arrived. Does nothing for a space that is not caught up, which is told anyhow.
    pub fn catch_up(&mut self, space: SpaceId, now: Now) {
        let Some(channel) = self.channel_of.get(&space).copied() else { return };
        if self.is_caught_up(space) {
            self.ask(now);
        }
        if self.channels.get_mut(&channel).is_some_and(SpaceChannel::catch_up) {
            self.send(&ToRelay::CatchUp(wire::CatchUp { channel }));
        }
    }

    /// The number of the next push.
    pub fn next_push(&self) -> PushNumber {
        PushNumber(self.next_push)
    }

    /// Pushes everything in plain frames from here on, which name nothing by its position in the log: for the session after
    /// one that the relay ended because it could not read a frame, so that a defect costs bytes and no change is stuck.
    pub fn push_plainly(&mut self) {
        self.pushes_plainly = true;
    }

    /// Whether the relay has accepted the session.
    pub fn is_welcome(&self) -> bool {
        self.welcomed
    }

    /// The limits that the relay has in force for what is pushed to it.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether the space is open, and everything has arrived that was durable at its opening, or when
    /// [`Self::catch_up`] asked.
    pub fn is_caught_up(&self, space: SpaceId) -> bool {
        self.channel(space).is_some_and(SpaceChannel::is_caught_up)
    }

    /// How many changes of the space were pushed and have no receipt yet.
    pub fn in_flight(&self, space: SpaceId) -> usize {
        self.channel(space).map_or(0, SpaceChannel::in_flight)
    }

    /// How many changes of the space have a receipt, and a place in the log that the cursor has not reached yet.
    pub fn unproven(&self, space: SpaceId) -> usize {
        self.channel(space).map_or(0, SpaceChannel::unproven)
    }

    /// How far the log of the space was verified in this session, stored or not.
    pub fn received(&self, space: SpaceId) -> Option<Cursor> {
        self.channel(space).and_then(SpaceChannel::received)
    }

    /// How much was asked for of the space and not answered yet.
    pub fn fetches(&self, space: SpaceId) -> usize {
        self.channel(space).map_or(0, SpaceChannel::fetches)
    }

    /// The space that the frame which ended the session was about, where it was about one.
    pub fn fault(&self) -> Option<SpaceId> {
        self.fault
    }

    /// How much may be pushed to the space now; `None` when nothing.
    ///
    /// Before `Welcome` the first pushes travel with `Hello`, within what a relay accepts unauthenticated.
    pub fn push_room(&self, space: SpaceId) -> Option<PushRoom> {
        if self.only_looks {
            return None;
        }
        let number = self.channel_of.get(&space)?;
        let channel = self.channels.get(number)?;
        // `Open` precedes every push of its space.
        if !channel.takes_pushes() || self.held.iter().any(|held| held.channel == *number) {
            return None;
        }
        let (chunks, bytes) = self
            .channels
            .values()
            .fold((0, 0), |(chunks, bytes), channel| (chunks + channel.in_flight(), bytes + channel.in_flight_bytes()));
        let bytes_max = if self.welcomed { self.limits.in_flight_bytes_max } else { UNAUTHENTICATED_BYTES_MAX / 4 };
        let room = PushRoom {
            chunks: self.limits.in_flight_chunks_max.saturating_sub(chunks).min(BATCH_CHUNKS_MAX),
            bytes: bytes_max.saturating_sub(bytes).min(BATCH_BYTES_MAX),
        };
        (room.chunks > 0 && room.bytes > 0).then_some(room)
    }

    /// Queues chunks of the outbox as one push: what is small as a live one, of a few bytes.
    ///
    /// Only what is durable here may be sent, hence [`Durable`].
    pub fn push(&mut self, space: SpaceId, chunks: Durable<Vec<PushedChunk>>, now: Now) {
        let chunks = chunks.into_inner();
        let Some(channel) = self.channel_of.get(&space).copied() else { return };
        if chunks.is_empty() || self.only_looks {
            return;
        }
        self.ask(now);
        let number = PushNumber(self.next_push);
        self.next_push = self.next_push.saturating_add(1);
        let streams = self.channels.values().filter(|state| state.stream.is_some()).count();
        let form = match (self.pushes_plainly, streams < LIVE_PUSH_CHANNELS_MAX) {
            (true, _) => PushForm::Plain,
            (false, may_begin) => PushForm::Best { may_begin },
        };
        if let Some(state) = self.channels.get_mut(&channel) {
            self.transmit.push_back(state.push(channel, number, chunks, form));
            self.pushes.insert(number, channel);
        }
    }

    /// Handles one message from the relay.
    ///
    /// # Errors
    ///
    /// The session is over: the message did not parse, did not fit, or was the relay's `Goodbye`.
    pub fn handle_message(&mut self, message: &[u8], now: Now) -> Result<(), SessionError> {
        self.heard_ms = now.monotonic_ms;
        if let Some(live) = LiveMessage::open(message)? {
            return self.handle_live(&live);
        }
        let message = Message::open(message)?;
        let frame = message.to_device()?;
        let name = frame.name();
        if !self.welcomed && !matches!(frame, ToDevice::Welcome(_) | ToDevice::Goodbye(_)) {
            return Err(SessionError::Order { frame: name, problem: "before Welcome" });
        }
        let Self { channels, events, pushes, fetches, .. } = self;
        let channel = match &frame {
            ToDevice::Opened(frame) => Some(frame.channel),
            ToDevice::Chunks(frame) => Some(frame.channel),
            ToDevice::CaughtUp(frame) => Some(frame.channel),
            ToDevice::Jump(frame) => Some(frame.channel),
            ToDevice::Receipt(frame) => pushes.get(&frame.push).copied(),
            ToDevice::Fetched(frame) => fetches.get(&frame.number).copied(),
            _ => None,
        };
        let space = channel.and_then(|channel| channels.get(&channel)).map(SpaceChannel::space);
        let handled = match frame {
            ToDevice::Goodbye(Goodbye { code, retry_after_ms }) => Err(SessionError::Ended { code, retry_after_ms }),
            ToDevice::Welcome(welcome) => self.handle_welcome(welcome),
            ToDevice::Opened(frame) => known(channels, frame.channel, name)?.handle_opened(frame, events),
            ToDevice::Chunks(frame) => known(channels, frame.channel, name)?.handle_chunks(frame, events),
            ToDevice::CaughtUp(frame) => known(channels, frame.channel, name)?.handle_caught_up(frame, now, events),
            ToDevice::Receipt(frame) => {
                let channel = pushes.remove(&frame.push).and_then(|channel| channels.get_mut(&channel));
                let problem = "for a push that is not in flight";
                channel.ok_or(SessionError::Order { frame: name, problem })?.handle_receipt(frame, events)
            }
            ToDevice::Jump(frame) => known(channels, frame.channel, name)?.handle_jump(&frame, events),
            ToDevice::Fetched(frame) => {
                let channel = fetches.remove(&frame.number).and_then(|channel| channels.get_mut(&channel));
                let problem = "for something that was not asked for";
                channel.ok_or(SessionError::Order { frame: name, problem })?.handle_fetched(frame, events)
            }
            ToDevice::Signal(frame) => Self::handle_signal(channels, events, &frame),
            ToDevice::Seen(frame) => {
                known(channels, frame.channel, name)?.handle_seen(frame, events);
                Ok(())
            }
            // What was asked for gets no answer after either.
            ToDevice::Reset(frame) => {
                fetches.retain(|_, of| *of != frame.channel);
                known(channels, frame.channel, name)?.handle_reset(frame, events);
                Ok(())
            }
            ToDevice::Refused(frame) => {
                fetches.retain(|_, of| *of != frame.channel);
                known(channels, frame.channel, name)?.handle_refused(frame, events);
                Ok(())
            }
        };
        if handled.is_err() {
            self.fault = space;
        }
        handled
    }

    fn handle_live(&mut self, message: &LiveMessage<'_>) -> Result<(), SessionError> {
        let frame = live::FRAME;
        match message.kind() {
            LiveKind::Push => return Err(SessionError::Order { frame: "live Push", problem: "from a relay" }),
            LiveKind::Chunks if !self.welcomed => {
                return Err(SessionError::Order { frame, problem: "before Welcome" });
            }
            LiveKind::Chunks => {}
        }
        let Self { channels, events, .. } = self;
        let readers = channels.values().filter(|state| state.reading.is_some()).count();
        let state = known(channels, message.channel(), frame)?;
        let handled = state.handle_live(message, readers < LIVE_CHUNKS_CHANNELS_MAX, events);
        if handled.is_err() {
            self.fault = Some(state.space());
        }
        handled
    }

    /// Takes the word that a message is on its way, in either direction: on a slow line a large one takes longer than a
    /// relay may be silent.
    pub fn handle_progress(&mut self, now: Now) {
        self.heard_ms = now.monotonic_ms;
    }

    /// Handles the passing of time.
    ///
    /// # Errors
    ///
    /// The relay did not complete the handshake in time, or owes an answer and has been silent for too long.
    pub fn handle_timeout(&mut self, now: Now) -> Result<(), SessionError> {
        self.tell_progress(now);
        match self.patience_ms() {
            Some(deadline_ms) if now.monotonic_ms < deadline_ms => Ok(()),
            Some(_) if self.welcomed => Err(SessionError::Silent),
            Some(_) => Err(SessionError::HandshakeTimeout),
            None => Ok(()),
        }
    }

    /// The moment at which [`Self::handle_timeout`] wants to be called, on the monotonic clock.
    pub fn poll_timeout(&self) -> Option<u64> {
        let tellings = self.channels.values().filter_map(|channel| channel.telling.due_ms());
        tellings.filter(|_| self.welcomed).chain(self.patience_ms()).min()
    }

    /// Until when the relay may be silent.
    fn patience_ms(&self) -> Option<u64> {
        if !self.welcomed {
            return Some(self.handshake_deadline_ms);
        }
        let is_owed_an_answer = self.channels.values().any(SpaceChannel::awaits_the_relay);
        is_owed_an_answer.then(|| self.heard_ms.saturating_add(SILENT_PEER_TIMEOUT_MS))
    }

    fn tell_progress(&mut self, now: Now) {
        if !self.welcomed {
            return;
        }
        let due =
            self.channels.iter_mut().filter_map(|(channel, state)| Some((*channel, state.telling.take_due(now)?)));
        let due: Vec<_> = due.collect();
        for (channel, sequence) in due {
            self.send(&ToRelay::Progress(wire::Progress { channel, sequence }));
        }
    }

    /// The next message to send.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmit.pop_front()
    }

    /// The next thing to do.
    pub fn poll_event(&mut self) -> Option<DeviceEvent> {
        self.events.pop_front()
    }

    /// The message that ends the session.
    pub fn close(code: GoodbyeCode) -> Vec<u8> {
        wire::encode_to_relay(&ToRelay::Goodbye(Goodbye { code, retry_after_ms: None }))
    }

    fn handle_welcome(&mut self, welcome: Welcome) -> Result<(), SessionError> {
        if self.welcomed {
            return Err(SessionError::Order { frame: "Welcome", problem: "twice" });
        }
        if welcome.version != PROTOCOL_VERSION {
            return Err(SessionError::Ended { code: GoodbyeCode::Upgrade, retry_after_ms: None });
        }
        if !welcome.limits.are_workable() {
            return Err(SessionError::Order {
                frame: "Welcome",
                problem: "with limits under which no change can be sent",
            });
        }
        (self.welcomed, self.has_signals) = (true, welcome.signals);
        // First, so that what was held is answered by what the fresher token may do.
        if let Some(frame) = self.fresher_token.take() {
            self.send(&ToRelay::Authenticate(frame));
        }
        self.transmit.extend(self.held.drain(..).map(|held| held.message));
        self.limits = welcome.limits;
        self.events.push_back(DeviceEvent::Welcome(Box::new(welcome)));
        Ok(())
    }

    fn channel(&self, space: SpaceId) -> Option<&SpaceChannel> {
        self.channel_of.get(&space).and_then(|channel| self.channels.get(channel))
    }

    /// Notes that the relay owes an answer from now on, unless it owes one already.
    fn ask(&mut self, now: Now) {
        if !self.channels.values().any(SpaceChannel::awaits_the_relay) {
            self.heard_ms = now.monotonic_ms;
        }
    }

    /// Sends what is about a channel; before the session is welcome no more than a relay takes from a stranger.
    fn send_or_hold(&mut self, channel: Channel, frame: &ToRelay<'_>) {
        let message = wire::encode_to_relay(frame);
        let is_held = self.held.iter().any(|held| held.channel == channel);
        let early_bytes = self.early_bytes.saturating_add(message.len());
        if self.welcomed || !is_held && early_bytes <= EARLY_OPENS_BYTES_MAX {
            self.early_bytes = early_bytes;
            self.transmit.push_back(message);
        } else {
            let is_open = matches!(frame, ToRelay::Open(_));
            self.held.push_back(Held { channel, is_open, message });
        }
    }

    fn send(&mut self, frame: &ToRelay<'_>) {
        self.transmit.push_back(wire::encode_to_relay(frame));
    }
}

fn known<'c>(
    channels: &'c mut BTreeMap<Channel, SpaceChannel>,
    channel: Channel,
    frame: &'static str,
) -> Result<&'c mut SpaceChannel, SessionError> {
    channels.get_mut(&channel).ok_or(SessionError::Order { frame, problem: "for a space that is not open" })
}
