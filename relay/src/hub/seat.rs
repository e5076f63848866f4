//! What the hub keeps beside a session's state machine.

use crate::log::Principal;
use afield_core::session::{PageRequest, ReadRequest, RelaySession};
use afield_core::wire::Channel;
use afield_core::{DeviceId, Incarnation, Now, Sequence, SpaceId};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// A session and its place in the hub's indexes.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) session: RelaySession,
    /// On whose behalf it acts; absent until it was welcomed.
    pub(super) principal: Option<Principal>,
    /// The name of the user; absent where anyone may do everything.
    pub(super) user: Option<String>,
    /// Who is speaking; absent until it was welcomed.
    pub(super) device: Option<(DeviceId, Incarnation)>,
    /// The device in whose name it only looks, where it does.
    pub(super) guest_of: Option<DeviceId>,
    /// Where its link comes from, where there is such a place.
    pub(super) address: Option<IpAddr>,
    /// When it was welcomed.
    pub(super) welcomed: Option<Now>,
    /// Whether the relay ended it.
    pub(super) is_ended: bool,
    /// When its device was heard last, in milliseconds since the Unix epoch.
    pub(super) heard_wall_ms: i64,
    /// The spaces that were opened, by their channel.
    pub(super) channels: BTreeMap<Channel, SpaceId>,
    /// The spaces whose log has to be read for this session.
    pub(super) behind: BTreeSet<SpaceId>,
    /// The spaces that the session may not be allowed to read any more: it hears nothing of them before a read has shown it.
    pub(super) unchecked: BTreeSet<SpaceId>,
    /// What it pushed last, by space.
    pub(super) own_runs: BTreeMap<SpaceId, super::held::OwnRun>,
    /// The spaces in which it is another way than is written down.
    pub(super) unwritten: BTreeSet<SpaceId>,
    /// How many more signals are taken of it; absent before the first.
    pub(super) signals: Option<super::signals::Allowance>,
    /// A fresher token that waits for its turn.
    pub(super) fresher: Option<String>,
    /// How many more fresher tokens are taken of it; absent before the first.
    pub(super) refreshes: Option<super::refresh::Refreshes>,
    /// The channel that was read last: the next one behind it is next.
    last_read: Option<Channel>,
    /// Whether a page was read last that the device asked for, and not a run.
    was_page: bool,
    /// Whether it stands in the queue of those that may read on.
    pub(super) is_ready: bool,
    /// Its entry in the hub's deadlines.
    pub(super) deadline: Option<u64>,
    /// Its entry in the hub's expiries.
    pub(super) expires_wall_ms: Option<i64>,
}

/// What to read next for a session.
#[derive(Debug)]
pub(super) enum Next {
    /// What follows where it stands.
    Run(ReadRequest),
    /// What it asked for.
    Page(PageRequest),
}

/// A space was opened on two channels of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OpenTwice;

impl Seat {
    pub(super) fn new(session: RelaySession) -> Self {
        Self {
            session,
            principal: None,
            user: None,
            device: None,
            guest_of: None,
            address: None,
            welcomed: None,
            is_ended: false,
            heard_wall_ms: 0,
            channels: BTreeMap::new(),
            behind: BTreeSet::new(),
            unchecked: BTreeSet::new(),
            own_runs: BTreeMap::new(),
            unwritten: BTreeSet::new(),
            signals: None,
            fresher: None,
            refreshes: None,
            last_read: None,
            was_page: false,
            is_ready: false,
            deadline: None,
            expires_wall_ms: None,
        }
    }

    /// Binds a channel to a space; answers with the space that the channel stood for before, if that was another.
    pub(super) fn subscribe(&mut self, channel: Channel, space: SpaceId) -> Result<Option<SpaceId>, OpenTwice> {
        if self.channels.iter().any(|(other, bound)| *bound == space && *other != channel) {
            return Err(OpenTwice);
        }
        self.behind.remove(&space);
        // The log may be another one by now.
        self.own_runs.remove(&space);
        Ok(self.channels.insert(channel, space).filter(|before| *before != space))
    }

    /// Notes that nothing may be delivered in any space before the log was read, which checks membership and position.
    ///
    /// A channel that was reset or refused reads nothing anyhow until it is opened again.
    pub(super) fn read_everything_anew(&mut self) {
        self.behind.extend(self.channels.values());
        self.unchecked.extend(self.channels.values());
    }

    /// What to read next: runs and pages in turn; `None` when there is nothing, or the queue is full.
    pub(super) fn next(&mut self) -> Option<Next> {
        let page = if self.was_page { None } else { self.session.next_page() };
        self.was_page = page.is_some();
        match page {
            Some(page) => Some(Next::Page(page)),
            None => self.next_read().map(Next::Run).or_else(|| self.session.next_page().map(Next::Page)),
        }
    }

    /// What to read next, each space in its turn; `None` when there is nothing, or the queue is full.
    fn next_read(&mut self) -> Option<ReadRequest> {
        let wanted = |space| if self.behind.contains(&space) { Sequence::new(u64::MAX) } else { Sequence::ZERO };
        let reads = self.session.reads(wanted);
        let next = reads.iter().find(|read| self.last_read.is_none_or(|last| read.channel > last));
        let next = next.or(reads.first()).cloned();
        self.last_read = next.as_ref().map(|read| read.channel);
        next
    }

    /// The device that it is known by to those who run the relay, and by which its token is judged: a guest's is the one that it is a guest of.
    pub(super) fn named_device(&self) -> Option<DeviceId> {
        self.device.map(|(device, _)| self.guest_of.unwrap_or(device))
    }

    pub(super) fn device_key(&self) -> Option<(i64, DeviceId)> {
        Some((self.principal?.user, self.device?.0))
    }
}
