//! One space within a device's session.

use super::{Advance, ChunkFault, DeviceEvent, Proof, PushedChunk, ReceivedChunk, SpaceOpening};
use crate::change::ChangeHeader;
use crate::id::{Collection, EntityId, SpaceId};
use crate::limits::Limits;
use crate::log::{ChunkHash, ChunkKind, Cursor, Sequence};
use crate::session::SessionError;
use crate::wire::{
    self, BatchError, CaughtUp, Channel, ChunkBudget, Chunks, Open, Opened, PushNumber, RawChunk, Receipt, ReceiptRun,
    Refused, Reset, Segment,
};
use automerge::ChangeHash;
use std::collections::{BTreeMap, VecDeque};

/// What the session remembers of a pushed chunk: enough to follow the chain when the log names it.
#[derive(Debug, Clone, Copy)]
struct Pushed {
    entity: EntityId,
    hash: ChangeHash,
    chunk: ChunkHash,
    bytes: usize,
}

#[derive(Debug)]
struct PushRecord {
    chunks: Vec<Pushed>,
    /// How many chunks neither were refused nor stood in the log yet.
    unseen: usize,
    receipted: bool,
}

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
    pushes: BTreeMap<PushNumber, PushRecord>,
    in_flight_chunks: usize,
    in_flight_bytes: usize,
    /// Receipts of this session above `received`: they prove a place in the log once the cursor reaches them.
    receipts: BTreeMap<Sequence, (EntityId, ChangeHash)>,
}

impl SpaceChannel {
    pub(super) fn new(opening: SpaceOpening) -> Self {
        Self {
            space: opening.space,
            phase: Phase::Opening,
            received: opening.cursor,
            caught_up: false,
            pushes: BTreeMap::new(),
            in_flight_chunks: 0,
            in_flight_bytes: 0,
            receipts: BTreeMap::new(),
        }
    }

    pub(super) fn open_frame(channel: Channel, opening: &SpaceOpening) -> Open {
        Open { channel, space: opening.space, cursor: opening.cursor, create: opening.create, raw: opening.raw }
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
            Phase::Live => !self.caught_up || self.in_flight_chunks > 0,
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
        self.in_flight_chunks
    }

    pub(super) fn in_flight_bytes(&self) -> usize {
        self.in_flight_bytes
    }

    pub(super) fn unproven(&self) -> usize {
        self.receipts.len()
    }

    pub(super) fn received(&self) -> Option<Cursor> {
        self.received
    }

    pub(super) fn pushed(&mut self, number: PushNumber, chunks: Vec<PushedChunk>) {
        let chunks: Vec<_> = chunks
            .into_iter()
            .map(|chunk| Pushed {
                entity: chunk.entity,
                hash: chunk.hash,
                chunk: ChunkHash::of(&chunk.bytes),
                bytes: chunk.bytes.len(),
            })
            .collect();
        self.in_flight_chunks += chunks.len();
        self.in_flight_bytes += chunks.iter().map(|chunk| chunk.bytes).sum::<usize>();
        self.pushes.insert(number, PushRecord { unseen: chunks.len(), chunks, receipted: false });
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
        events.push_back(DeviceEvent::Opened { space: self.space, cursor });
        Ok(())
    }

    pub(super) fn handle_reset(&mut self, frame: Reset, events: &mut VecDeque<DeviceEvent>) {
        let cursor = Cursor::start(frame.log);
        *self = Self::new(SpaceOpening { space: self.space, cursor: Some(cursor), create: true, raw: false });
        self.phase = Phase::Resetting;
        events.push_back(DeviceEvent::Reset { space: self.space, cursor });
    }

    pub(super) fn handle_refused(&mut self, frame: Refused, events: &mut VecDeque<DeviceEvent>) {
        *self = Self::new(SpaceOpening { space: self.space, cursor: self.received, create: false, raw: false });
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
        // One for the whole frame: it may hold thousands of segments, each of which names as much as a frame may.
        let mut budget = ChunkBudget::WHOLE;
        let mut advance = Advance { space: self.space, from, to: from, received: Vec::new(), proofs: Vec::new() };
        for segment in &frame.segments {
            match segment {
                Segment::Own { push, index, count } => {
                    budget.take_chunks(*count).map_err(undecoded)?;
                    self.follow_own(*push, *index, *count, &mut advance)?;
                }
                Segment::Batch(batch) => follow_batch(batch, &mut budget, &mut advance)?,
                Segment::Raw(chunk) => {
                    budget.take_chunks(1).and_then(|()| budget.take_bytes(chunk.bytes.len())).map_err(undecoded)?;
                    follow_raw(chunk, &mut advance);
                }
            }
        }
        if advance.to.chain.check() != *frame.check {
            return Err(SessionError::Chain { sequence: advance.to.sequence.get() });
        }
        self.phase = Phase::Live;
        self.received = Some(advance.to);
        let above = self.receipts.split_off(&advance.to.sequence.next());
        let reached = std::mem::replace(&mut self.receipts, above);
        advance.proofs.extend(reached.into_iter().map(|(sequence, (entity, hash))| Proof { entity, hash, sequence }));
        advance.proofs.sort_by_key(|proof| (proof.sequence, proof.hash));
        advance.proofs.dedup();
        events.push_back(DeviceEvent::Advance(advance));
        Ok(())
    }

    pub(super) fn handle_caught_up(
        &mut self,
        frame: CaughtUp,
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
        self.caught_up = true;
        events.push_back(DeviceEvent::CaughtUp { space: self.space });
        Ok(())
    }

    pub(super) fn handle_receipt(
        &mut self,
        frame: Receipt,
        events: &mut VecDeque<DeviceEvent>,
    ) -> Result<(), SessionError> {
        let order = SessionError::Order { frame: "Receipt", problem: "that does not fit its push" };
        let Some(record) = self.pushes.get_mut(&frame.push) else { return Err(order) };
        let answered = frame.runs.iter().try_fold(0_u64, |sum, run| sum.checked_add(run_length(run)));
        if record.receipted || answered != Some(record.chunks.len() as u64) {
            return Err(order);
        }
        record.receipted = true;
        self.in_flight_chunks -= record.chunks.len();
        self.in_flight_bytes -= record.chunks.iter().map(|chunk| chunk.bytes).sum::<usize>();
        let mut chunks = record.chunks.iter();
        let mut changes = Vec::new();
        for run in frame.runs {
            let count = usize::try_from(run_length(&run)).unwrap_or(usize::MAX);
            match run {
                ReceiptRun::Stored { first, .. } => changes.extend(proofs(first, chunks.by_ref().take(count))),
                ReceiptRun::Duplicate { first, .. } => {
                    record.unseen = record.unseen.saturating_sub(count);
                    changes.extend(proofs(first, chunks.by_ref().take(count)));
                }
                ReceiptRun::Refused { code, missing, .. } => {
                    record.unseen = record.unseen.saturating_sub(count);
                    for chunk in chunks.by_ref().take(count) {
                        let Pushed { entity, hash, .. } = *chunk;
                        let (space, push, missing) = (self.space, frame.push, missing.clone());
                        events.push_back(DeviceEvent::ChunkRefused { space, push, entity, hash, code, missing });
                    }
                }
            }
        }
        if record.unseen == 0 {
            self.pushes.remove(&frame.push);
        }
        self.receipted(changes, events);
        Ok(())
    }

    /// Splits receipts into those that the cursor has reached, which prove a place in the log, and those above it.
    fn receipted(&mut self, changes: Vec<Proof>, events: &mut VecDeque<DeviceEvent>) {
        let reached = self.received.map_or(Sequence::ZERO, |cursor| cursor.sequence);
        let (proofs, above): (Vec<Proof>, Vec<Proof>) = changes.iter().partition(|proof| proof.sequence <= reached);
        self.receipts.extend(above.into_iter().map(|proof| (proof.sequence, (proof.entity, proof.hash))));
        if !proofs.is_empty() {
            events.push_back(DeviceEvent::Proven { space: self.space, proofs });
        }
        if !changes.is_empty() {
            events.push_back(DeviceEvent::Receipted { space: self.space, changes });
        }
    }

    fn position(&self, frame: &'static str) -> Result<Cursor, SessionError> {
        match (self.phase, self.received) {
            (Phase::Opening | Phase::Live, Some(cursor)) => Ok(cursor),
            _ => Err(SessionError::Order { frame, problem: "for a space without a cursor" }),
        }
    }

    fn follow_own(
        &mut self,
        push: PushNumber,
        index: u64,
        count: u64,
        advance: &mut Advance,
    ) -> Result<(), SessionError> {
        let order = SessionError::Order { frame: "Chunks", problem: "that names chunks this session did not push" };
        let Some(record) = self.pushes.get_mut(&push) else { return Err(order) };
        let start = usize::try_from(index).unwrap_or(usize::MAX);
        let end = usize::try_from(index.saturating_add(count)).unwrap_or(usize::MAX);
        let Some(chunks) = record.chunks.get(start..end) else { return Err(order) };
        for chunk in chunks {
            advance.to = advance.to.then(chunk.entity, ChunkKind::Change.number(), chunk.chunk);
            advance.proofs.push(Proof { entity: chunk.entity, hash: chunk.hash, sequence: advance.to.sequence });
        }
        record.unseen = record.unseen.saturating_sub(chunks.len());
        if record.unseen == 0 && record.receipted {
            self.pushes.remove(&push);
        }
        Ok(())
    }
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

/// The limits by which chunks from the log are judged: those of the protocol and not what the relay has in force, so
/// that every device comes to the same verdict.
const RECEIVED: &Limits = &Limits::DEFAULT;

fn undecoded(source: BatchError) -> SessionError {
    SessionError::Batch { frame: "Chunks", source }
}

fn follow_batch(batch: &[u8], budget: &mut ChunkBudget, advance: &mut Advance) -> Result<(), SessionError> {
    let chunks = wire::decode_batch_within(batch, RECEIVED, budget).map_err(undecoded)?;
    for chunk in chunks {
        advance.to = advance.to.then(chunk.entity, chunk.kind.number(), ChunkHash::of(&chunk.bytes));
        let header = match chunk.kind {
            ChunkKind::Change => chunk.header.map_err(ChunkFault::Change),
            other => Err(ChunkFault::Kind(other.number())),
        };
        advance.received.push(ReceivedChunk {
            entity: chunk.entity,
            collection: Some(chunk.collection),
            sequence: advance.to.sequence,
            kind: chunk.kind.number(),
            bytes: chunk.bytes,
            header,
        });
    }
    Ok(())
}

/// Follows one chunk that travelled on its own. Whatever is wrong with it concerns this chunk alone.
fn follow_raw(chunk: &RawChunk<'_>, advance: &mut Advance) {
    let kind = ChunkKind::from_number(chunk.kind);
    let collection: Option<Collection> = chunk.collection.parse().ok();
    let header = match kind {
        _ if ChunkHash::of(chunk.bytes) != chunk.hash => Err(ChunkFault::Decayed),
        Some(ChunkKind::Change) if collection.is_none() => Err(ChunkFault::Collection),
        Some(ChunkKind::Change) => {
            ChangeHeader::read_in(chunk.entity, chunk.bytes, RECEIVED).map_err(ChunkFault::Change)
        }
        _ => Err(ChunkFault::Kind(chunk.kind)),
    };
    advance.to = advance.to.then(chunk.entity, chunk.kind, chunk.hash);
    advance.received.push(ReceivedChunk {
        entity: chunk.entity,
        collection,
        sequence: advance.to.sequence,
        kind: chunk.kind,
        bytes: chunk.bytes.to_vec(),
        header,
    });
}
