//! Live chunks: one state for all readers at the head of a space.

use super::channel::RelayChannel;
use super::run::LogRun;
use crate::durable::Durable;
use crate::log::{ChunkKind, Cursor};
use crate::session::size::{are_some, is_few};
use crate::wire::{BatchChunk, LiveCheck, LiveState, encode_live_chunks, own_item};
use std::borrow::Cow;
use std::sync::{Arc, Mutex, Weak};

/// What the readers of an epoch have observed. Each of them holds it, so that it goes with the last (invariant R8).
#[derive(Debug, Clone)]
pub struct LiveEpoch(Arc<Mutex<Observed>>);

#[derive(Debug)]
struct Observed {
    state: LiveState,
    /// The position behind what was observed last.
    at: Cursor,
}

impl PartialEq for LiveEpoch {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl LiveEpoch {
    /// Encodes chunks that follow what was observed; `None` when they do not.
    fn encode(&self, run: &LogRun) -> Option<(Vec<Vec<u8>>, LiveCheck)> {
        // A state in which an encoder panicked is not to be trusted.
        let mut observed = self.0.lock().ok()?;
        if observed.at != run.before() {
            return None;
        }
        let chunks = run.entries().iter().map(|entry| BatchChunk {
            entity: entry.entity,
            collection: &entry.collection,
            kind: entry.kind,
            bytes: &entry.bytes,
        });
        let items = chunks.map(|chunk| observed.state.encode(&chunk, |_, _| None)).collect();
        observed.at = run.after();
        Some((items, observed.state.chunks_check(&run.after().chain)))
    }
}

/// What becomes of a fresh run on its way to a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveStanding {
    /// The reader is in the present epoch.
    Member,
    /// It is not, and could be in the next.
    Outsider,
    /// It gets the run in another way, or not now.
    Apart,
}

/// A fresh run as those who are in an epoch get it.
#[derive(Debug)]
pub struct LiveRun {
    epoch: LiveEpoch,
    /// Whether the epoch begins with it.
    begins: bool,
    /// One item for each chunk.
    items: Vec<Vec<u8>>,
    /// What messages that bring the run end with.
    check: LiveCheck,
}

/// The live chunks of one space: each is encoded once, for all readers that are in the epoch.
///
/// For every run that was just appended, ask all readers for their standing
/// ([`RelaySession::live_standing`](super::RelaySession::live_standing)), then [`Self::encode`], then hand the run and what came out to all.
#[derive(Debug, Default)]
pub struct LiveFeed {
    epoch: Weak<Mutex<Observed>>,
    /// How many messages went to readers outside since the epoch began.
    missed: usize,
}

impl LiveFeed {
    /// The present epoch, while anybody is in it.
    pub fn epoch(&self) -> Option<LiveEpoch> {
        self.epoch.upgrade().map(LiveEpoch)
    }

    /// Whether a run may be live chunks for anybody: it is not large, and every chunk of it may travel with others.
    pub fn takes(run: &LogRun) -> bool {
        let (chunks, bytes) = run.size();
        are_some(chunks, bytes) && run.is_all_batched()
    }

    /// Encodes a run that was just appended, for so many members of the present epoch and so many outsiders; `None` when it
    /// is better sent in another way, which ends the epoch.
    ///
    /// A new epoch costs each member about as much more as an outsider loses by one message outside. So one begins once
    /// those outside have lost as much as it costs: however many come and go, the members pay no more for it than it
    /// saves.
    pub fn encode(&mut self, run: &Durable<LogRun>, members: usize, outsiders: usize) -> Option<LiveRun> {
        let run = run.get();
        let missed = self.missed.saturating_add(outsiders);
        let present = self.epoch().filter(|_| members > 0);
        // Until everything is encoded there is none.
        *self = Self::default();
        if !Self::takes(run) {
            return None;
        }
        let (chunks, bytes) = run.size();
        let begins = outsiders > 0 && missed > members && is_few(chunks, bytes);
        let epoch = if begins {
            LiveEpoch(Arc::new(Mutex::new(Observed { state: LiveState::new(), at: run.before() })))
        } else {
            present?
        };
        let (items, check) = epoch.encode(run)?;
        *self = Self { epoch: Arc::downgrade(&epoch.0), missed: if begins { 0 } else { missed } };
        Some(LiveRun { epoch, begins, items, check })
    }
}

impl RelayChannel {
    /// What becomes of a run on its way to this reader, given the present epoch and whether one more channel of the session may
    /// be in one.
    pub(super) fn live_standing(&self, run: &LogRun, epoch: Option<&LiveEpoch>, has_room: bool) -> LiveStanding {
        if !self.takes_live(run) {
            LiveStanding::Apart
        } else if epoch.is_some() && self.epoch.as_ref() == epoch {
            LiveStanding::Member
        } else if has_room || self.epoch.is_some() {
            LiveStanding::Outsider
        } else {
            LiveStanding::Apart
        }
    }

    /// Whether live chunks can bring this run to the reader.
    fn takes_live(&self, run: &LogRun) -> bool {
        self.reads_everything_from(run) && self.stands_before(run) && self.follows_own(run)
    }

    /// Whether the reader's own chunks of a run are of live pushes, and each comes after the one before.
    fn follows_own(&self, run: &LogRun) -> bool {
        let mut next = self.next_own;
        run.entries().iter().filter_map(|entry| self.own.find(entry.sequence)).all(|own| {
            let follows = own.push.is_live && own.ordinal() >= next;
            next = own.ordinal().saturating_add(1);
            follows
        })
    }

    /// The message that brings a run, if the reader is in the epoch or comes to it with this run.
    pub(super) fn live_chunks(&mut self, run: &LogRun, live: &LiveRun, has_room: bool) -> Option<Vec<u8>> {
        let present = (!live.begins).then_some(&live.epoch);
        match self.live_standing(run, present, has_room) {
            LiveStanding::Member => {}
            LiveStanding::Outsider if live.begins => {}
            LiveStanding::Outsider | LiveStanding::Apart => return None,
        }
        let (mut items, mut next_own) = (Vec::new(), self.next_own);
        let mut named: Option<(u64, u64)> = None;
        let end = |named: &mut Option<(u64, u64)>| named.take().map(|(skip, count)| Cow::Owned(own_item(skip, count)));
        for (entry, item) in run.entries().iter().zip(&live.items) {
            let Some(own) = self.own.find(entry.sequence) else {
                items.extend(end(&mut named));
                items.push(Cow::Borrowed(item.as_slice()));
                continue;
            };
            let skip = own.ordinal().saturating_sub(next_own);
            next_own = own.ordinal().saturating_add(1);
            match &mut named {
                Some((_, count)) if skip == 0 => *count += 1,
                _ => {
                    items.extend(end(&mut named));
                    named = Some((skip, 1));
                }
            }
        }
        items.extend(end(&mut named));
        let message = encode_live_chunks(self.channel, live.begins, items.iter().map(|item| &**item), live.check);
        self.pass_live(run, live.epoch.clone());
        Some(message)
    }
}

impl LogRun {
    /// How many chunks, and how many bytes they have.
    fn size(&self) -> (usize, usize) {
        (self.entries().len(), self.entries().iter().map(|entry| entry.bytes.len()).sum())
    }

    /// Whether every chunk may travel with others, and none was left out.
    fn is_all_batched(&self) -> bool {
        self.is_whole()
            && self.entries().iter().all(|entry| entry.kind == ChunkKind::Change)
            && self.decayed().next().is_none()
    }
}
