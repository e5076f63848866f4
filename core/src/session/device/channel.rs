//! One space within a device's session.

use super::follow::Follow;
use super::known::KnownPlaces;
use super::pushes::{Pushed, Pushes};
use super::telling::Telling;
use super::{Advance, DeviceEvent, FetchRequest, FetchedPage, Proof, ReceivedChunk, SpaceOpening};
use crate::filter::Filter;
use crate::id::{EntityId, SpaceId};
use crate::log::{Cursor, Sequence};
use crate::role::Role;
use crate::session::SessionError;
use crate::time::Now;
use crate::wire::{
    CaughtUp, Channel, Chunks, FetchNumber, Fetched, Jump, LiveState, Open, Opened, PushStream, Receipt, ReceiptRun,
    Refused, Reset, Seen,
};
use automerge::ChangeHash;
use std::collections::{BTreeMap, VecDeque};

/// The most changes that are noted as standing above the cursor, some 100 bytes each. What is not noted is offered to the relay
/// once more, which says where it stands.
const ABOVE_MAX: usize = 65_536;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// `Open` was sent; the cursor is not confirmed.
    Opening,
    /// The relay serves from the cursor.
    Live,
    /// A Reset is being stored; nothing is pushed until the space is opened again.
    Resetting,
    /// The relay does not serve the space.
    Refused,
}

/// One space within a device's session.
#[derive(Debug)]
pub(super) struct SpaceChannel {
    space: SpaceId,
    phase: Phase,
    /// Verified so far; the stored cursor may be behind it.
    received: Option<Cursor>,
    caught_up: bool,
    /// How many places of the log are on their way, as the relay said last.
    left: Option<u64>,
    pub(super) pushes: Pushes,
    /// The stream of live pushes, once it has begun.
    pub(super) stream: Option<Box<PushStream>>,
    /// Where changes stand of which the relay has told this session.
    pub(super) known: KnownPlaces,
    /// What was observed since the epoch of live chunks began in which this reader is.
    pub(super) reading: Option<Box<LiveState>>,
    /// Receipts of this session above `received`, and what snapshots brought from there: they prove a place in the log once
    /// the cursor reaches them.
    receipts: BTreeMap<Sequence, (EntityId, ChangeHash)>,
    /// What was asked for and not answered yet.
    fetches: BTreeMap<FetchNumber, FetchRequest>,
    /// How far the relay knows that this device has stored the log.
    pub(super) telling: Telling,
}

impl SpaceChannel {
    /// A space that is being opened at a position; `tells` says whether the device says how far it has stored the log.
    pub(super) fn new(space: SpaceId, cursor: Option<Cursor>, tells: bool) -> Self {
        Self {
            space,
            phase: Phase::Opening,
            received: cursor,
            caught_up: false,
            left: None,
            pushes: Pushes::default(),
            stream: None,
            known: KnownPlaces::default(),
            reading: None,
            receipts: BTreeMap::new(),
            fetches: BTreeMap::new(),
            telling: Telling::new(cursor.map_or(Sequence::ZERO, |cursor| cursor.sequence), tells),
        }
    }

    pub(super) fn open_frame(channel: Channel, opening: &SpaceOpening) -> Open {
        let SpaceOpening { space, cursor, create, raw, filter, partial, invitation } = opening.clone();
        Open { channel, space, cursor, create, raw, filter, partial, invitation }
    }

    /// How many places of the log are on their way, as far as the relay has said.
    pub(super) fn left(&self) -> Option<u64> {
        self.left
    }

    pub(super) fn space(&self) -> SpaceId {
        self.space
    }

    pub(super) fn is_caught_up(&self) -> bool {
        self.caught_up && self.phase == Phase::Live
    }

    /// Whether the relay owes an answer: to an `Open`, a push, or the rest of a catch-up.
    pub(super) fn awaits_the_relay(&self) -> bool {
        match self.phase {
            Phase::Opening => true,
            Phase::Live => !self.caught_up || self.in_flight() > 0 || !self.fetches.is_empty(),
            Phase::Resetting | Phase::Refused => false,
        }
    }

    /// Takes back that everything has arrived; answers whether the relay is to be asked.
    pub(super) fn catch_up(&mut self) -> bool {
        let is_caught_up = self.is_caught_up();
        self.caught_up &= !is_caught_up;
        is_caught_up
    }

    pub(super) fn takes_pushes(&self) -> bool {
        matches!(self.phase, Phase::Opening | Phase::Live)
    }

    pub(super) fn in_flight(&self) -> usize {
        self.pushes.in_flight()
    }

    pub(super) fn in_flight_bytes(&self) -> usize {
        self.pushes.in_flight_bytes()
    }

    pub(super) fn unproven(&self) -> usize {
        self.receipts.len()
    }

    pub(super) fn received(&self) -> Option<Cursor> {
        self.received
    }

    pub(super) fn fetches(&self) -> usize {
        self.fetches.len()
    }

    pub(super) fn fetch(&mut self, number: FetchNumber, request: FetchRequest) {
        self.fetches.insert(number, request);
    }

    pub(super) fn handle_opened(
        &mut self,
        frame: Opened,
        events: &mut VecDeque<DeviceEvent>,
    ) -> Result<(), SessionError> {
        if self.phase != Phase::Opening || self.received.is_some() {
            return Err(SessionError::Order { frame: "Opened", problem: "for a space that has a cursor" });
        }
        let cursor = Cursor::start(frame.log);
        self.phase = Phase::Live;
        self.received = Some(cursor);
        let role = frame.role.unwrap_or(Role::Owner);
        events.push_back(DeviceEvent::Opened { space: self.space, cursor, role });
        Ok(())
    }

    pub(super) fn handle_reset(&mut self, frame: Reset, events: &mut VecDeque<DeviceEvent>) {
        let cursor = Cursor::start(frame.log);
        let unanswered = self.in_flight();
        *self = Self::new(self.space, Some(cursor), false);
        self.phase = Phase::Resetting;
        events.push_back(DeviceEvent::Reset { space: self.space, cursor, unanswered });
    }

    pub(super) fn handle_refused(&mut self, frame: Refused, events: &mut VecDeque<DeviceEvent>) {
        *self = Self::new(self.space, self.received, false);
        self.phase = Phase::Refused;
        let Refused { code, retry_after_ms, .. } = frame;
        events.push_back(DeviceEvent::SpaceRefused { space: self.space, code, retry_after_ms });
    }

    pub(super) fn handle_chunks(
        &mut self,
        frame: Chunks<'_>,
        events: &mut VecDeque<DeviceEvent>,
    ) -> Result<(), SessionError> {
        let from = self.position("Chunks")?;
        if frame.after != from.sequence {
            return Err(SessionError::Gap { expected: from.sequence.get(), found: frame.after.get() });
        }
        let mut follow = Follow::chain("Chunks", from);
        frame.segments.iter().try_for_each(|segment| follow.segment(segment, &mut self.pushes))?;
        let to = follow.end_of_chain().unwrap_or(from);
        if to.chain.check() != *frame.check {
            return Err(SessionError::Chain { sequence: to.sequence.get() });
        }
        self.reading = None;
        self.left = Some(frame.left.unwrap_or(0));
        self.advance(from, to, follow, events);
        Ok(())
    }

    pub(super) fn handle_jump(
        &mut self,
        frame: &Jump<'_>,
        events: &mut VecDeque<DeviceEvent>,
    ) -> Result<(), SessionError> {
        let from = self.position("Jump")?;
        if frame.after != from.sequence {
            return Err(SessionError::Gap { expected: from.sequence.get(), found: frame.after.get() });
        }
        if from.chain.check() != *frame.check {
            return Err(SessionError::Chain { sequence: from.sequence.get() });
        }
        if frame.upto <= frame.after {
            return Err(SessionError::Order { frame: "Jump", problem: "that leads nowhere" });
        }
        let mut follow = Follow::places("Jump", frame.after, &frame.places);
        frame.segments.iter().try_for_each(|segment| follow.segment(segment, &mut self.pushes))?;
        follow.end_of_places(frame.upto)?;
        let to = Cursor { log: from.log, sequence: frame.upto, chain: frame.chain };
        self.reading = None;
        self.left = Some(frame.left.unwrap_or(0));
        self.advance(from, to, follow, events);
        Ok(())
    }

    /// Moves on to what a run has led to.
    pub(super) fn advance(&mut self, from: Cursor, to: Cursor, follow: Follow<'_>, events: &mut VecDeque<DeviceEvent>) {
        let is_whole = follow.end_of_chain().is_some();
        let Follow { received, erasures, mut proofs, announced, unusable, .. } = follow;
        self.phase = Phase::Live;
        self.received = Some(to);
        // What was stored below is named by no run to come, whether one has named it or not.
        self.pushes.passed(to.sequence);
        self.note_above(&received);
        for chunk in received.iter().filter(|chunk| chunk.is_placed) {
            if let Ok(header) = &chunk.header {
                self.known.note(chunk.entity, header.hash, chunk.sequence);
            }
        }
        let above = self.receipts.split_off(&to.sequence.next());
        let reached = std::mem::replace(&mut self.receipts, above);
        proofs.extend(reached.into_iter().map(|(sequence, (entity, hash))| Proof { entity, hash, sequence }));
        proofs.sort_by_key(|proof| (proof.sequence, proof.hash));
        proofs.dedup();
        let space = self.space;
        events.push_back(DeviceEvent::Advance(Advance {
            space,
            from,
            to,
            received,
            erasures,
            proofs,
            is_whole,
            announced,
            unusable,
        }));
    }

    /// Notes where changes stand that a snapshot brought ahead of the cursor: it may come once only, and the relay sees to it
    /// that they still stand there when the cursor passes them. What a page brings as chunks comes again by then.
    fn note_above(&mut self, received: &[ReceivedChunk]) {
        let reached = self.received.map_or(Sequence::ZERO, |cursor| cursor.sequence);
        let room = ABOVE_MAX.saturating_sub(self.receipts.len());
        let above = received.iter().filter(|chunk| !chunk.is_placed && chunk.sequence > reached).take(room);
        let places = above.filter_map(|chunk| Some((chunk.sequence, (chunk.entity, chunk.header.as_ref().ok()?.hash))));
        self.receipts.extend(places);
    }

    pub(super) fn handle_fetched(
        &mut self,
        frame: Fetched<'_>,
        events: &mut VecDeque<DeviceEvent>,
    ) -> Result<(), SessionError> {
        let cursor = self.position("Fetched")?;
        let order = SessionError::Order { frame: "Fetched", problem: "for something that was not asked for" };
        let request = self.fetches.remove(&frame.number).ok_or(order)?;
        if frame.upto < request.after || (frame.upto == request.after && !frame.done) {
            return Err(SessionError::Order { frame: "Fetched", problem: "that leads nowhere" });
        }
        let mut follow = Follow::places("Fetched", request.after, &frame.places);
        // Nothing is named here that this session pushed: what is fetched need not have been pushed by it.
        let mut pushes = Pushes::default();
        frame.segments.iter().try_for_each(|segment| follow.segment(segment, &mut pushes))?;
        follow.end_of_places(frame.upto)?;
        let Follow { received, erasures, announced, unusable, .. } = follow;
        self.note_above(&received);
        let asked = match &request.filter {
            Filter::Only(selection) => &selection.entities,
            Filter::Everything | Filter::AllBut(_) => &std::collections::BTreeSet::new(),
        };
        let unknown = frame.unknown.0.into_iter().filter(|entity| asked.contains(entity)).collect();
        let (number, upto, done) = (frame.number, frame.upto, frame.done);
        let space = self.space;
        let page = FetchedPage {
            space,
            number,
            request,
            received,
            erasures,
            announced,
            unusable,
            upto,
            done,
            unknown,
            cursor,
        };
        events.push_back(DeviceEvent::Fetched(Box::new(page)));
        Ok(())
    }

    pub(super) fn handle_seen(&self, frame: Seen, events: &mut VecDeque<DeviceEvent>) {
        events.push_back(DeviceEvent::Seen { space: self.space, sequence: frame.sequence });
    }

    pub(super) fn handle_caught_up(
        &mut self,
        frame: CaughtUp,
        now: Now,
        events: &mut VecDeque<DeviceEvent>,
    ) -> Result<(), SessionError> {
        let at = self.position("CaughtUp")?;
        if frame.sequence != at.sequence {
            return Err(SessionError::Gap { expected: at.sequence.get(), found: frame.sequence.get() });
        }
        if at.chain.check() != *frame.check {
            return Err(SessionError::Chain { sequence: at.sequence.get() });
        }
        self.phase = Phase::Live;
        (self.caught_up, self.left) = (true, Some(0));
        self.telling.caught_up(now);
        let role = frame.role.unwrap_or(Role::Owner);
        events.push_back(DeviceEvent::CaughtUp { space: self.space, role });
        Ok(())
    }

    pub(super) fn handle_receipt(
        &mut self,
        frame: Receipt,
        events: &mut VecDeque<DeviceEvent>,
    ) -> Result<(), SessionError> {
        let order = SessionError::Order { frame: "Receipt", problem: "that does not fit its push" };
        let is_untaken = |run: &&ReceiptRun| !matches!(run, ReceiptRun::Stored { .. });
        let answered = count(frame.runs.iter()).zip(count(frame.runs.iter().filter(is_untaken)));
        let receipted = answered.and_then(|(all, untaken)| self.pushes.receipted(frame.push, all, untaken));
        let Some(chunks) = receipted else { return Err(order) };
        let mut chunks = chunks.iter();
        let (mut changes, mut stored, mut last) = (Vec::new(), 0, Sequence::ZERO);
        for run in frame.runs {
            let count = usize::try_from(run_length(&run)).unwrap_or(usize::MAX);
            match run {
                ReceiptRun::Stored { first, .. } => {
                    last = last.max(first.plus(run_length(&run).saturating_sub(1)));
                    stored += count;
                    changes.extend(proofs(first, chunks.by_ref().take(count)));
                }
                ReceiptRun::Duplicate { first, .. } => changes.extend(proofs(first, chunks.by_ref().take(count))),
                ReceiptRun::Refused { code, missing, .. } => {
                    for chunk in chunks.by_ref().take(count) {
                        let Pushed { entity, hash, .. } = *chunk;
                        let (space, push, missing) = (self.space, frame.push, missing.clone());
                        events.push_back(DeviceEvent::ChunkRefused { space, push, entity, hash, code, missing });
                    }
                }
            }
        }
        self.pushes.stored_up_to(frame.push, last, self.received.map(|cursor| cursor.sequence));
        changes.iter().for_each(|proof| self.known.note(proof.entity, proof.hash, proof.sequence));
        self.receipted(changes, stored, events);
        Ok(())
    }

    /// Splits receipts into those that the cursor has reached, which prove a place in the log, and those above it.
    fn receipted(&mut self, changes: Vec<Proof>, stored: usize, events: &mut VecDeque<DeviceEvent>) {
        let reached = self.received.map_or(Sequence::ZERO, |cursor| cursor.sequence);
        let (proofs, above): (Vec<Proof>, Vec<Proof>) = changes.iter().partition(|proof| proof.sequence <= reached);
        self.receipts.extend(above.into_iter().map(|proof| (proof.sequence, (proof.entity, proof.hash))));
        if !proofs.is_empty() {
            events.push_back(DeviceEvent::Proven { space: self.space, proofs });
        }
        if !changes.is_empty() {
            events.push_back(DeviceEvent::Receipted { space: self.space, changes, stored });
        }
    }

    /// The end of what the device has of the log.
    pub(super) fn end(&self) -> Sequence {
        self.received.map_or(Sequence::ZERO, |cursor| cursor.sequence)
    }

    pub(super) fn position(&self, frame: &'static str) -> Result<Cursor, SessionError> {
        match (self.phase, self.received) {
            (Phase::Opening | Phase::Live, Some(cursor)) => Ok(cursor),
            _ => Err(SessionError::Order { frame, problem: "for a space without a cursor" }),
        }
    }
}

/// How many chunks runs of a receipt are about.
fn count<'r>(mut runs: impl Iterator<Item = &'r ReceiptRun>) -> Option<u64> {
    runs.try_fold(0_u64, |sum, run| sum.checked_add(run_length(run)))
}

fn run_length(run: &ReceiptRun) -> u64 {
    match run {
        ReceiptRun::Stored { count, .. } | ReceiptRun::Duplicate { count, .. } | ReceiptRun::Refused { count, .. } => {
            *count
        }
    }
}

fn proofs<'c>(first: Sequence, chunks: impl Iterator<Item = &'c Pushed>) -> impl Iterator<Item = Proof> {
    (0..).zip(chunks).map(move |(offset, chunk)| Proof {
        entity: chunk.entity,
        hash: chunk.hash,
        sequence: first.plus(offset),
    })
}
