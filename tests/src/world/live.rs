//! The live messages on a wire, understood by somebody who is neither of its ends.

use super::ChangeId;
use super::check::Violation;
use super::record::{Place, Record};
use crate::contents::name_of;
use afield::{ChangeHash, EntityId};
use afield_core::log::ChunkHash;
use afield_core::wire::{
    self, BatchChunk, BatchError, ChunkBudget, DecodedChunk, LiveCheck, LiveItem, LiveMessage, LiveState, Push,
    PushNumber, PushStream,
};
use afield_core::{ChainHash, ChunkKind, Cursor, Limits, Sequence};
use std::collections::BTreeMap;

/// A chunk, by all that a chain takes in of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) change: ChangeId,
    kind: ChunkKind,
    hash: ChunkHash,
}

impl Named {
    /// The chunk with these bytes; `None` where they are none.
    pub(super) fn of(entity: EntityId, kind: ChunkKind, bytes: &[u8]) -> Option<Self> {
        Some(Self { change: name_of(entity, kind, bytes)?, kind, hash: ChunkHash::of(bytes) })
    }

    /// Whether it is a change, and no erasure record.
    pub(super) fn is_change(&self) -> bool {
        self.kind == ChunkKind::Change
    }

    /// What stands for a chunk of which nothing is known.
    pub(super) const UNKNOWN: Self = Self {
        change: (EntityId::from_bytes([0; 16]), ChangeHash([0; 32])),
        kind: ChunkKind::Change,
        hash: ChunkHash::from_bytes([0; 32]),
    };

    /// The position behind it, where it stands at this one.
    pub(super) fn behind(&self, cursor: Cursor) -> Cursor {
        cursor.then(self.change.0, self.kind.number(), self.hash)
    }
}

/// What both streams of one wire have observed, and where the relay said that changes stand.
#[derive(Debug, Default)]
pub(super) struct Live {
    stream: PushStream,
    last_push: u64,
    places: BTreeMap<Sequence, ChangeId>,
    /// What went in live pushes since the device opened the space.
    pushed: BTreeMap<ChangeId, DecodedChunk>,
    /// What went before, as long as the relay has not taken the `Open`.
    pushed_before: BTreeMap<ChangeId, DecodedChunk>,
    reading: Option<LiveState>,
    /// How many live pushes went before the `Open`, and how many the relay has been given.
    before_open: u64,
    taken: u64,
    pushes: u64,
    runs: u64,
}

impl Live {
    /// How many live messages went each way: pushes, and live chunks.
    pub(super) fn messages(&self) -> (u64, u64) {
        (self.pushes, self.runs)
    }

    /// Notes that the relay has told where a change stands.
    pub(super) fn tell(&mut self, change: ChangeId, sequence: Sequence) {
        self.places.insert(sequence, change);
    }

    /// Notes that the device opens the space: its stream ends.
    pub(super) fn opened(&mut self) {
        self.stream = PushStream::new();
        self.pushed_before.append(&mut self.pushed);
        self.before_open = self.pushes;
    }

    /// Notes that the relay is given a live push.
    pub(super) fn push_taken(&mut self) {
        self.taken += 1;
    }

    /// Notes that the relay takes the `Open`, up to which it goes on as before.
    pub(super) fn open_taken(&mut self) {
        self.reading = None;
        // On a network that keeps no order, some of them may still come.
        if self.taken >= self.before_open {
            self.pushed_before.clear();
        }
    }

    /// Notes that the reader gets something that is not live.
    pub(super) fn leave_epoch(&mut self) {
        self.reading = None;
    }

    /// Takes a live push as the device sends it; nothing when it names what a message of an earlier session told, and the log
    /// holds that no more.
    pub(super) fn pushed_live(&mut self, message: &LiveMessage<'_>, record: &Record) -> Option<(PushNumber, Pushed)> {
        self.last_push += 1;
        self.pushes += 1;
        let (number, mut places) = (PushNumber(self.last_push), Places::of(&self.places, record));
        let chunks = self.stream.decode(message, number, &Limits::DEFAULT, |sequence| places.find(sequence));
        let chunks = places.understood(chunks)?;
        let changes: Vec<_> = chunks.iter().map(|chunk| named(chunk).expect("a device pushes changes")).collect();
        self.pushed.extend(changes.iter().map(|named| named.change).zip(chunks));
        Some((number, changes))
    }

    /// Takes a plain push as the device sends it; nothing as for a live one.
    pub(super) fn pushed(&mut self, push: &Push<'_>, record: &Record) -> Option<Pushed> {
        self.last_push = push.number.0;
        let mut places = Places::of(&self.places, record);
        let chunks = chunks_of(push, &mut places);
        let chunks = places.understood(chunks)?;
        self.stream = PushStream::new();
        Some(chunks.iter().map(|chunk| named(chunk).expect("a device pushes changes")).collect())
    }

    /// What live chunks end with that lead to this position of the chain; `None` for a reader in no epoch.
    pub(super) fn check(&self, chain: &ChainHash) -> Option<LiveCheck> {
        self.reading.as_ref().map(|state| state.chunks_check(chain))
    }

    /// What a plain push brings; nothing when that cannot be read.
    pub(super) fn understood(&self, push: &Push<'_>, record: &Record) -> Option<Pushed> {
        chunks_of(push, &mut Places::of(&self.places, record)).ok()?.iter().map(named).collect()
    }

    /// Takes live chunks as the relay sends them; `place` gives what the log holds so many places after the reader.
    ///
    /// # Errors
    ///
    /// They name as the reader's own what it did not push live, or belong to no epoch (R9).
    pub(super) fn read<'p>(
        &mut self,
        message: &LiveMessage<'_>,
        place: impl Fn(u64) -> Option<&'p Place>,
    ) -> Result<Pushed, Violation> {
        self.runs += 1;
        if message.begins() {
            self.reading = Some(LiveState::new());
        }
        // What is left of it after a violation explains nothing.
        let Some(mut state) = self.reading.take() else {
            return Violation::of("R9", "live chunks for a reader in no epoch".to_owned());
        };
        let (mut items, mut budget, mut brought) = (message.items(), ChunkBudget::WHOLE, Vec::new());
        loop {
            let item = state.decode(&mut items, &Limits::DEFAULT, &mut budget, |_| None);
            match item {
                Err(error) => {
                    return Violation::of("R9", format!("live chunks that their epoch does not explain: {error}"));
                }
                Ok(None) => {
                    self.reading = Some(state);
                    return Ok(brought);
                }
                Ok(Some(LiveItem::Chunk(chunk))) => {
                    brought.push(named(&chunk).expect("an honest relay serves changes"));
                }
                Ok(Some(LiveItem::Own { count, .. })) => {
                    for _ in 0..count {
                        let held = place(brought.len() as u64);
                        let pushed = |change| self.pushed.get(change).or_else(|| self.pushed_before.get(change));
                        let Some(own) = held.and_then(|place| pushed(&place.change)) else {
                            let found = format!("a reader is told that {held:?} is its own, who did not push it live");
                            return Violation::of("R9", found);
                        };
                        let DecodedChunk { entity, collection, kind, bytes, .. } = own;
                        state.observe(&BatchChunk { entity: *entity, collection, kind: *kind, bytes });
                        brought.extend(named(own));
                    }
                }
            }
        }
    }
}

/// The chunks of a push.
pub(super) type Pushed = Vec<Named>;

/// What stands at a position: as the relay has told on this wire, or, where a message of an earlier session told it, as it stands
/// in the log.
struct Places<'p> {
    told: &'p BTreeMap<Sequence, ChangeId>,
    record: &'p Record,
    /// Whether something was asked for that was not told on this wire.
    is_guess: bool,
}

impl<'p> Places<'p> {
    fn of(told: &'p BTreeMap<Sequence, ChangeId>, record: &'p Record) -> Self {
        Self { told, record, is_guess: false }
    }

    fn find(&mut self, sequence: Sequence) -> Option<ChangeId> {
        let told = self.told.get(&sequence).copied();
        self.is_guess |= told.is_none();
        told.or_else(|| self.record.present()?.place(sequence.get().checked_sub(1)?).map(|place| place.change))
    }

    /// What a push brings, which has to be readable unless it was guessed what it names.
    fn understood(self, chunks: Result<Vec<DecodedChunk>, BatchError>) -> Option<Vec<DecodedChunk>> {
        match chunks {
            Ok(chunks) => Some(chunks),
            Err(_) if self.is_guess => None,
            Err(error) => panic!("a device sends pushes that name what it was told of: {error:?}"),
        }
    }
}

fn chunks_of(push: &Push<'_>, places: &mut Places<'_>) -> Result<Vec<DecodedChunk>, BatchError> {
    let budget = &mut { ChunkBudget::WHOLE };
    wire::decode_batch_over_log(push.batch, &Limits::DEFAULT, budget, |sequence| places.find(sequence))
}

fn named(chunk: &DecodedChunk) -> Option<Named> {
    Named::of(chunk.entity, chunk.kind, &chunk.bytes)
}
