//! The live messages on a wire, understood by somebody who is neither of its ends.

use super::ChangeId;
use super::check::Violation;
use super::record::{Place, Record};
use afield_core::change::ChangeHeader;
use afield_core::log::ChunkHash;
use afield_core::wire::{
    self, BatchChunk, ChunkBudget, DecodedChunk, LiveCheck, LiveItem, LiveMessage, LiveState, Push, PushNumber,
    PushStream,
};
use afield_core::{ChainHash, Limits, Sequence};
use std::collections::BTreeMap;

/// What both streams of one wire have observed, and where the relay said that changes stand.
#[derive(Debug, Default)]
pub(super) struct Live {
    stream: PushStream,
    last_push: u64,
    places: BTreeMap<Sequence, ChangeId>,
    /// What went in live pushes.
    pushed: BTreeMap<ChangeId, DecodedChunk>,
    reading: Option<LiveState>,
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

    /// Notes that the device opens the space: its streams end.
    pub(super) fn opened(&mut self) {
        (self.stream, self.reading) = (PushStream::new(), None);
        (self.places, self.pushed) = (BTreeMap::new(), BTreeMap::new());
    }

    /// Notes that the reader gets something that is not live.
    pub(super) fn leave_epoch(&mut self) {
        self.reading = None;
    }

    /// Takes a live push as the device sends it.
    pub(super) fn pushed_live(
        &mut self,
        message: &LiveMessage<'_>,
        record: &Record,
    ) -> (PushNumber, Vec<(ChangeId, ChunkHash)>) {
        self.last_push += 1;
        self.pushes += 1;
        let Self { stream, places, .. } = self;
        let number = PushNumber(self.last_push);
        let chunks = stream.decode(message, number, &Limits::DEFAULT, |sequence| found(places, record, sequence));
        let chunks = chunks.expect("a device sends live pushes that name what it was told of");
        let changes: Vec<_> = chunks.iter().map(|chunk| identity(chunk).expect("a device pushes changes")).collect();
        self.pushed.extend(changes.iter().map(|(change, _)| *change).zip(chunks));
        (number, changes)
    }

    /// Takes a plain push as the device sends it.
    pub(super) fn pushed(&mut self, push: &Push<'_>, record: &Record) -> Vec<(ChangeId, ChunkHash)> {
        self.last_push = push.number.0;
        let chunks = self.chunks_of(push, record).expect("a device sends well-formed batches");
        self.stream = PushStream::new();
        chunks.iter().map(|chunk| identity(chunk).expect("a device pushes changes")).collect()
    }

    /// What live chunks end with that lead to this position of the chain; `None` for a reader in no epoch.
    pub(super) fn check(&self, chain: &ChainHash) -> Option<LiveCheck> {
        self.reading.as_ref().map(|state| state.chunks_check(chain))
    }

    /// What a plain push brings; nothing when that cannot be read.
    pub(super) fn understood(&self, push: &Push<'_>, record: &Record) -> Option<Vec<(ChangeId, ChunkHash)>> {
        self.chunks_of(push, record)?.iter().map(identity).collect()
    }

    fn chunks_of(&self, push: &Push<'_>, record: &Record) -> Option<Vec<DecodedChunk>> {
        let resolve = |sequence| found(&self.places, record, sequence);
        wire::decode_batch_over_log(push.batch, &Limits::DEFAULT, &mut { ChunkBudget::WHOLE }, resolve).ok()
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
    ) -> Result<Vec<(ChangeId, ChunkHash)>, Violation> {
        self.runs += 1;
        if message.begins() {
            self.reading = Some(LiveState::new());
        }
        let Some(state) = &mut self.reading else {
            return Violation::of("R9", "live chunks for a reader in no epoch".to_owned());
        };
        let (mut items, mut budget, mut brought) = (message.items(), ChunkBudget::WHOLE, Vec::new());
        loop {
            let item = state.decode(&mut items, &Limits::DEFAULT, &mut budget, |_| None);
            match item.expect("a relay sends live chunks that the epoch explains") {
                None => return Ok(brought),
                Some(LiveItem::Chunk(chunk)) => brought.push(identity(&chunk).expect("an honest relay serves changes")),
                Some(LiveItem::Own { count, .. }) => {
                    for _ in 0..count {
                        let held = place(brought.len() as u64);
                        let Some(own) = held.and_then(|place| self.pushed.get(&place.change)) else {
                            let found = format!("a reader is told that {held:?} is its own, who did not push it live");
                            return Violation::of("R9", found);
                        };
                        let DecodedChunk { entity, collection, kind, bytes, .. } = own;
                        state.observe(&BatchChunk { entity: *entity, collection, kind: *kind, bytes });
                        brought.extend(identity(own));
                    }
                }
            }
        }
    }
}

/// The change at a position: as the relay has told on this wire, or, where a message of an earlier session told it, as it
/// stands in the log.
fn found(places: &BTreeMap<Sequence, ChangeId>, record: &Record, sequence: Sequence) -> Option<ChangeId> {
    let present = || record.present()?.place(sequence.get().checked_sub(1)?).map(|place| place.change);
    places.get(&sequence).copied().or_else(present)
}

fn identity(chunk: &DecodedChunk) -> Option<(ChangeId, ChunkHash)> {
    let header = ChangeHeader::read(&chunk.bytes, &Limits::DEFAULT).ok()?;
    Some(((chunk.entity, header.hash), ChunkHash::of(&chunk.bytes)))
}
