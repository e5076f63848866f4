//! Following a run of the log through the segments that it comes in.

use super::pushes::{Pushed, Pushes};
use super::{ChunkFault, Proof, ReceivedChunk, ReceivedErasure, UnusableSnapshot};
use crate::change::ChangeHeader;
use crate::document::{SnapshotBudget, extract_changes};
use crate::erasure::Erasure;
use crate::id::{Collection, EntityId};
use crate::limits::{ANNOUNCED_IDS_MAX, Limits};
use crate::log::{ChunkHash, ChunkKind, Cursor, Sequence};
use crate::session::SessionError;
use crate::wire::{
    self, BatchChunk, BatchError, ChunkBudget, DecodedChunk, ErasedChunk, LiveItem, LiveMessage, LiveState, Places,
    PushNumber, RawChunk, Segment, SnapshotChunk,
};

/// The limits by which chunks from the log are judged: those of the protocol and not what the relay has in force, so
/// that every device comes to the same verdict.
const RECEIVED: &Limits = &Limits::DEFAULT;

/// Where the chunks of a run stand.
enum Track<'p> {
    /// Each right after the one before, and the chain goes through all of them.
    Chain(Cursor),
    /// Where the relay says.
    Places(Box<dyn Iterator<Item = Sequence> + 'p>),
}

/// A run of the log on its way in.
pub(super) struct Follow<'p> {
    frame: &'static str,
    track: Track<'p>,
    /// One for the whole frame: it may hold thousands of segments, each of which names as much as a frame may.
    budget: ChunkBudget,
    /// What all snapshots may still take.
    snapshots: SnapshotBudget,
    pub(super) received: Vec<ReceivedChunk>,
    pub(super) erasures: Vec<ReceivedErasure>,
    pub(super) proofs: Vec<Proof>,
    pub(super) announced: Vec<(Collection, EntityId)>,
    pub(super) unusable: Vec<UnusableSnapshot>,
}

impl<'p> Follow<'p> {
    /// Starts a run that has everything after a position.
    pub(super) fn chain(frame: &'static str, from: Cursor) -> Self {
        Self::new(frame, Track::Chain(from))
    }

    /// Starts a run that has something at these places after a position.
    pub(super) fn places(frame: &'static str, after: Sequence, places: &'p Places) -> Self {
        Self::new(frame, Track::Places(Box::new(places.sequences(after))))
    }

    fn new(frame: &'static str, track: Track<'p>) -> Self {
        let (budget, snapshots) = (ChunkBudget::WHOLE, SnapshotBudget::WHOLE);
        let (received, erasures, proofs, announced, unusable) = Default::default();
        Self { frame, track, budget, snapshots, received, erasures, proofs, announced, unusable }
    }

    /// Takes the next segment.
    pub(super) fn segment(&mut self, segment: &Segment<'_>, pushes: &mut Pushes) -> Result<(), SessionError> {
        match segment {
            Segment::Own { push, index, count } => {
                self.budget.take_chunks(*count).map_err(|error| self.undecoded(error))?;
                self.own((*push, *index, *count), pushes)
            }
            Segment::Batch(batch) => self.batch(batch),
            Segment::Raw(chunk) => {
                let taken = self.budget.take_chunks(1).and_then(|()| self.budget.take_bytes(chunk.bytes.len()));
                taken.map_err(|error| self.undecoded(error))?;
                self.raw(chunk)
            }
            Segment::Snapshot(snapshot) if self.may_leave_out() => {
                self.snapshot(snapshot);
                Ok(())
            }
            Segment::Announced { collection, entities } if self.may_leave_out() => {
                if self.announced.len().saturating_add(entities.0.len()) > ANNOUNCED_IDS_MAX {
                    return Err(self.order("with more ids than one frame may announce"));
                }
                let collection: Result<Collection, _> = collection.parse();
                let collection = collection.map_err(|_| self.order("that names no collection"))?;
                self.announced.extend(entities.0.iter().map(|entity| (collection.clone(), *entity)));
                Ok(())
            }
            Segment::Erased(chunk) if self.may_leave_out() => self.erased(chunk),
            Segment::Snapshot(_) | Segment::Announced { .. } | Segment::Erased(_) => {
                Err(self.order("with what only a Jump may hold"))
            }
        }
    }

    /// Takes all chunks of a live message, which the state observes.
    pub(super) fn live(
        &mut self,
        message: &LiveMessage<'_>,
        state: &mut LiveState,
        pushes: &mut Pushes,
    ) -> Result<(), SessionError> {
        let mut items = message.items();
        loop {
            let item = state.decode(&mut items, RECEIVED, &mut self.budget, |_| None);
            match item.map_err(|error| self.undecoded(error))? {
                None => return Ok(()),
                Some(LiveItem::Chunk(chunk)) => self.decoded(chunk)?,
                Some(LiveItem::Own { skip, count }) => {
                    for number in 0..count {
                        let skip = if number == 0 { skip } else { 0 };
                        let named = pushes.name_next(skip);
                        let (pushed, kept) = named.ok_or_else(|| self.undecoded(BatchError::UnknownOwn))?;
                        self.proven(&pushed)?;
                        let (entity, kind) = (pushed.entity, ChunkKind::Change);
                        state.observe(&BatchChunk { entity, collection: &kept.collection, kind, bytes: &kept.bytes });
                    }
                }
            }
        }
    }

    /// Ends a run that the chain goes through; gives the cursor behind it.
    pub(super) fn end_of_chain(&self) -> Option<Cursor> {
        match self.track {
            Track::Chain(end) => Some(end),
            Track::Places(_) => None,
        }
    }

    /// Ends a run of places, each of which has to be taken, and none above `upto`.
    pub(super) fn end_of_places(&mut self, upto: Sequence) -> Result<(), SessionError> {
        let is_above = self.received.iter().map(|chunk| (chunk.sequence, chunk.is_placed));
        let is_above = is_above.chain(self.proofs.iter().map(|proof| (proof.sequence, true)));
        let is_above = is_above.chain(self.erasures.iter().filter_map(|erasure| Some((erasure.sequence?, true))));
        let is_beyond = is_above.into_iter().any(|(sequence, is_placed)| is_placed && sequence > upto);
        let is_left = match &mut self.track {
            Track::Places(places) => places.next().is_some(),
            Track::Chain(_) => false,
        };
        if is_beyond || is_left { Err(self.order("whose places are not those of its chunks")) } else { Ok(()) }
    }

    fn may_leave_out(&self) -> bool {
        matches!(self.track, Track::Places(_))
    }

    fn order(&self, problem: &'static str) -> SessionError {
        SessionError::Order { frame: self.frame, problem }
    }

    fn undecoded(&self, source: BatchError) -> SessionError {
        SessionError::Batch { frame: self.frame, source }
    }

    fn place(&mut self, entity: EntityId, kind: u8, hash: ChunkHash) -> Result<Sequence, SessionError> {
        let next = match &mut self.track {
            Track::Chain(at) => {
                *at = at.then(entity, kind, hash);
                Some(at.sequence)
            }
            Track::Places(places) => places.next(),
        };
        next.ok_or_else(|| self.order("with more chunks than places"))
    }

    fn own(&mut self, (push, index, count): (PushNumber, u64, u64), pushes: &mut Pushes) -> Result<(), SessionError> {
        let named = pushes.name(push, index, count);
        let chunks = named.ok_or_else(|| self.order("that names chunks this session did not push"))?;
        chunks.iter().try_for_each(|chunk| self.proven(chunk))
    }

    /// Takes the word that a chunk of this session's pushes stands in the next place.
    fn proven(&mut self, chunk: &Pushed) -> Result<(), SessionError> {
        let sequence = self.place(chunk.entity, chunk.kind.number(), chunk.chunk)?;
        self.proofs.push(Proof { entity: chunk.entity, hash: chunk.hash, sequence });
        Ok(())
    }

    fn batch(&mut self, batch: &[u8]) -> Result<(), SessionError> {
        let chunks = wire::decode_batch_within(batch, RECEIVED, &mut self.budget);
        let chunks = chunks.map_err(|error| self.undecoded(error))?;
        chunks.into_iter().try_for_each(|chunk| self.decoded(chunk))
    }

    /// Follows one chunk that came out of a batch or a live message.
    fn decoded(&mut self, chunk: DecodedChunk) -> Result<(), SessionError> {
        let sequence = self.place(chunk.entity, chunk.kind.number(), ChunkHash::of(&chunk.bytes))?;
        let header = match chunk.kind {
            ChunkKind::Change => chunk.header.map_err(ChunkFault::Change),
            ChunkKind::Erasure => match Erasure::read(chunk.entity, &chunk.bytes) {
                Ok(record) => {
                    let (collection, sequence) = (chunk.collection, Some(sequence));
                    self.erasures.push(ReceivedErasure { record, collection, sequence });
                    return Ok(());
                }
                Err(error) => Err(ChunkFault::Erasure(error)),
            },
            other => Err(ChunkFault::Kind(other.number())),
        };
        self.received.push(ReceivedChunk {
            entity: chunk.entity,
            collection: Some(chunk.collection),
            sequence,
            is_placed: true,
            kind: chunk.kind.number(),
            bytes: chunk.bytes,
            header,
        });
        Ok(())
    }

    /// Follows one chunk that travelled on its own. Whatever is wrong with it concerns this chunk alone.
    fn raw(&mut self, chunk: &RawChunk<'_>) -> Result<(), SessionError> {
        let kind = ChunkKind::from_number(chunk.kind);
        let collection: Option<Collection> = chunk.collection.parse().ok();
        let header = match kind {
            _ if ChunkHash::of(chunk.bytes) != chunk.hash => Err(ChunkFault::Decayed),
            Some(ChunkKind::Change | ChunkKind::Erasure) if collection.is_none() => Err(ChunkFault::Collection),
            Some(ChunkKind::Change) => {
                ChangeHeader::read_in(chunk.entity, chunk.bytes, RECEIVED).map_err(ChunkFault::Change)
            }
            Some(ChunkKind::Erasure) => match (Erasure::read(chunk.entity, chunk.bytes), &collection) {
                (Ok(record), Some(collection)) => {
                    let sequence = Some(self.place(chunk.entity, chunk.kind, chunk.hash)?);
                    self.erasures.push(ReceivedErasure { record, collection: collection.clone(), sequence });
                    return Ok(());
                }
                (Err(error), _) => Err(ChunkFault::Erasure(error)),
                (Ok(_), None) => Err(ChunkFault::Collection),
            },
            _ => Err(ChunkFault::Kind(chunk.kind)),
        };
        let sequence = self.place(chunk.entity, chunk.kind, chunk.hash)?;
        let (entity, kind, bytes) = (chunk.entity, chunk.kind, chunk.bytes.to_vec());
        self.received.push(ReceivedChunk { entity, collection, sequence, is_placed: true, kind, bytes, header });
        Ok(())
    }

    /// Takes an erasure record that stands for chunks which are no more.
    fn erased(&mut self, chunk: &ErasedChunk<'_>) -> Result<(), SessionError> {
        let counted = self.budget.take_chunks(1).and_then(|()| self.budget.take_bytes(chunk.bytes.len()));
        counted.map_err(|error| self.undecoded(error))?;
        let collection = chunk.collection.parse().map_err(|_| self.order("that names no collection"))?;
        let record = Erasure::read(chunk.entity, chunk.bytes);
        let record = record.map_err(|_| self.order("with an erasure record that is none"))?;
        self.erasures.push(ReceivedErasure { record, collection, sequence: None });
        Ok(())
    }

    /// Takes the changes out of a snapshot. Whatever is wrong with it concerns its entity alone.
    fn snapshot(&mut self, snapshot: &SnapshotChunk<'_>) {
        let SnapshotChunk { entity, collection, sequences, check, bytes } = snapshot;
        let parsed: Option<Collection> = collection.parse().ok();
        let extracted = match &parsed {
            None => Err(ChunkFault::Collection),
            Some(_) => {
                let budget = &mut self.snapshots;
                extract_changes(*entity, bytes, sequences.count(), check, budget).map_err(ChunkFault::Snapshot)
            }
        };
        match extracted {
            Ok(changes) => self.received.extend(sequences.iter().zip(changes).map(|(sequence, (header, bytes))| {
                let (entity, collection, kind) = (*entity, parsed.clone(), ChunkKind::Change.number());
                ReceivedChunk { entity, collection, sequence, is_placed: false, kind, bytes, header: Ok(header) }
            })),
            Err(fault) => {
                let (entity, bytes) = (*entity, bytes.to_vec());
                self.unusable.push(UnusableSnapshot { entity, bytes, fault });
            }
        }
    }
}
