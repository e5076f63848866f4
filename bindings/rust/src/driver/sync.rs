//! The device's side of sync: when to connect, what to send, and what to do with what comes.

mod directions;
mod fetch;
mod hand_over;
mod history;
mod invited;
mod link;
mod outbox;
pub(super) mod plan;
mod pushes;
mod receive;
mod refusal;
pub(super) mod request;
mod sign_in;
mod turn;
mod view;
mod waiters;

pub(super) use link::Link;
pub(super) use waiters::{Waiters, Waiting};

use super::NotInStep;
use crate::sign_in::SignInReason;
use crate::status::{SyncEvent, Traffic};
use afield_core::policy::backoff::Backoff;
use afield_core::session::DeviceSession;
use afield_core::wire::{Class, FetchNumber, PushNumber};
use afield_core::{EntityId, Role, SpaceId};
use afield_store::{Backfill, OutboxPosition};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What the driver wants from whoever moves its messages.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Connect to the relay, then call [`crate::Driver::handle_connected`] or [`crate::Driver::handle_connect_failed`].
    Connect,
    /// Send this message.
    Transmit(Vec<u8>),
    /// Close the connection once everything before it is sent.
    Disconnect,
}

/// The state of sync between calls.
pub(super) struct Synchronization {
    pub(super) link: Link,
    pub(super) backoff: Backoff,
    pub(super) spaces: BTreeMap<SpaceId, SpaceSync>,
    /// Entities of which chunks were stored and not merged yet.
    pub(super) unmerged: BTreeSet<EntityId>,
    /// How many bytes those chunks have.
    pub(super) unmerged_bytes: usize,
    /// Whether merging failed, so that it is not known any more which entities wait for it.
    pub(super) is_behind: bool,
    pub(super) outputs: VecDeque<Output>,
    pub(super) traffic: Traffic,
    pub(super) last_error: Option<(String, Class)>,
    /// Why the relay last did not let this device in.
    pub(super) refusal: Option<SignInReason>,
    /// That an attempt failed, to be told to those who wait once everybody can see it.
    pub(super) disappointment: Option<NotInStep>,
    /// The token that was given since sync was switched on: sessions begin with it, whatever their connection was made with.
    pub(super) fresher_token: Option<String>,
    /// Whether no session has begun with it yet, so that the end of one for want of signing in may be about the token before.
    pub(super) is_token_untried: bool,
    /// Whether the relay ended the session before because it could not read a frame: the next one pushes plainly.
    pub(super) was_unreadable: bool,
    /// How each space is synced.
    pub(super) plans: BTreeMap<SpaceId, plan::Plan>,
    /// The same for a device without a space.
    pub(super) lone: plan::Plan,
    /// What is known of spaces that the session does not serve.
    pub(super) aside: BTreeMap<SpaceId, SpaceSync>,
    pub(super) history: history::History,
    /// Sessions and attempts that failed in a row.
    pub(super) failures: u32,
    /// When the schedules are to be looked at, on the monotonic clock.
    pub(super) look_at_ms: Option<u64>,
    /// What has happened and is not told yet.
    pub(super) happened: Vec<SyncEvent>,
}

/// What is known of a space in this session.
#[derive(Debug)]
pub(super) struct SpaceSync {
    /// Where the scan of the outbox goes on; forgotten with the session, so that every session offers all of it.
    pub(super) outbox: OutboxPosition,
    /// Whether the scan has reached the end of the outbox and nothing was added since.
    pub(super) outbox_empty: bool,
    /// Whether all that is to be fetched has been asked for, and nothing was added since.
    pub(super) are_fetches_known: bool,
    /// Whether anything was still to be fetched at the last look.
    pub(super) has_backfills: bool,
    /// What was asked for in this session and not answered yet.
    pub(super) fetches: BTreeMap<FetchNumber, Vec<Backfill>>,
    /// Whether a relay ever had lost history of it, so that what this device pushes may be what others made.
    pub(super) has_been_reset: bool,
    /// Whether it was opened with an invitation.
    pub(super) is_invited: bool,
    /// What this device could do there before, where it was opened with an invitation although the relay served it.
    pub(super) role_before: Option<Role>,
    /// Entities for which missing dependencies are sent again in this session, from this push on.
    pub(super) repaired: BTreeMap<EntityId, PushNumber>,
    /// Sessions that broke in a row at this sequence.
    pub(super) closes: (u64, u32),
    /// Ask for every chunk on its own in the next session.
    pub(super) raw: bool,
    /// Not served in this session, with the reason for a person.
    pub(super) refused: Option<String>,
    /// How long to wait before asking for a refused space again.
    pub(super) refusals: Backoff,
    /// When to ask for a refused space again, on the monotonic clock: somebody else may create it meanwhile.
    pub(super) ask_again_ms: Option<u64>,
    /// Before when the relay has asked not to be asked for it again, whatever there is to ask with.
    pub(super) relay_asked_until_ms: Option<u64>,
    /// Changes pushed and received in this session.
    pub(super) sent: u64,
    pub(super) received: u64,
    /// Whether the relay has said that it sent everything, and nobody has looked at the trash since.
    pub(super) is_told: bool,
    /// Broke too often at one cursor; not opened until sync is switched on anew.
    pub(super) blocked: bool,
}

impl Default for SpaceSync {
    fn default() -> Self {
        Self {
            outbox: OutboxPosition::START,
            outbox_empty: false,
            are_fetches_known: false,
            has_backfills: false,
            fetches: BTreeMap::new(),
            has_been_reset: false,
            is_invited: false,
            role_before: None,
            repaired: BTreeMap::new(),
            closes: (0, 0),
            raw: false,
            refused: None,
            refusals: Backoff::default(),
            ask_again_ms: None,
            relay_asked_until_ms: None,
            sent: 0,
            received: 0,
            is_told: false,
            blocked: false,
        }
    }
}

impl SpaceSync {
    /// Changes pushed and received in this session.
    pub(super) fn moved(&self) -> (u64, u64) {
        (self.sent, self.received)
    }
}

impl Synchronization {
    pub(super) fn new() -> Self {
        Self {
            link: Link::Off,
            backoff: Backoff::default(),
            spaces: BTreeMap::new(),
            unmerged: BTreeSet::new(),
            unmerged_bytes: 0,
            is_behind: false,
            outputs: VecDeque::new(),
            traffic: Traffic::default(),
            last_error: None,
            refusal: None,
            disappointment: None,
            fresher_token: None,
            is_token_untried: false,
            was_unreadable: false,
            plans: BTreeMap::new(),
            lone: plan::Plan::default(),
            aside: BTreeMap::new(),
            history: history::History::default(),
            failures: 0,
            look_at_ms: None,
            happened: Vec::new(),
        }
    }

    fn session(&mut self) -> Option<&mut DeviceSession> {
        match &mut self.link {
            Link::Up { session, .. } => Some(session),
            _ => None,
        }
    }

    /// Takes back that chunks were sent: the log had them already, or will never have them.
    fn did_not_move(&mut self, space: SpaceId, chunks: usize) {
        if let Some(state) = self.spaces.get_mut(&space) {
            state.sent = state.sent.saturating_sub(chunks as u64);
        }
    }

    /// Hands on what the session wants to send.
    fn flush_session(&mut self) {
        while let Some(message) = self.session().and_then(DeviceSession::poll_transmit) {
            self.transmit(message);
        }
    }
}
