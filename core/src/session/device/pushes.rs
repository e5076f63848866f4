//! What a device has pushed to a space in this session, until the log has told of it.

use super::PushedChunk;
use crate::id::{Collection, EntityId};
use crate::log::{ChunkHash, ChunkKind, Sequence};
use crate::wire::PushNumber;
use automerge::ChangeHash;
use std::collections::BTreeMap;

/// The most bytes of live pushes that are kept of one space, until live chunks have named them; with as many kept the next
/// pushes are plain ones, of which nothing is kept. A relay names what it has appended at once, so that a device that
/// stands at the head keeps a few hundred.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// What the session remembers of a pushed chunk: enough to follow the chain when the log names it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pushed {
    pub(super) entity: EntityId,
    pub(super) kind: ChunkKind,
    pub(super) hash: ChangeHash,
    pub(super) chunk: ChunkHash,
    bytes: usize,
}

/// A chunk as it was pushed.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) collection: Collection,
    pub(super) bytes: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct PushRecord {
    pub(super) chunks: Vec<Pushed>,
    /// The chunks themselves, where they went in a live push; each until it is named.
    kept: Vec<Option<Kept>>,
    /// How many chunks were pushed to the space before.
    first: u64,
    /// How many chunks neither were refused nor stood in the log yet.
    unseen: usize,
    receipted: bool,
    /// The last sequence at which the receipt says that one of them was stored.
    last: Sequence,
}

/// The pushes of one space.
#[derive(Debug, Default)]
pub(super) struct Pushes {
    records: BTreeMap<PushNumber, PushRecord>,
    /// The records by their first chunk, counted over all chunks that were pushed to the space.
    by_first: BTreeMap<u64, PushNumber>,
    count: u64,
    /// The chunk after the last one that the log has named.
    next_own: u64,
    kept_bytes: usize,
    in_flight_chunks: usize,
    in_flight_bytes: usize,
}

impl Pushes {
    /// Whether so many bytes more may be kept.
    pub(super) fn may_keep(&self, bytes: usize) -> bool {
        self.kept_bytes.saturating_add(bytes) <= KEPT_BYTES_MAX
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight_chunks
    }

    pub(super) fn in_flight_bytes(&self) -> usize {
        self.in_flight_bytes
    }

    /// Notes a push; the chunks of a live one are kept.
    pub(super) fn add(&mut self, number: PushNumber, chunks: Vec<PushedChunk>, is_live: bool) {
        let pushed = |chunk: &PushedChunk| Pushed {
            entity: chunk.entity,
            kind: chunk.kind,
            hash: chunk.hash,
            chunk: ChunkHash::of(&chunk.bytes),
            bytes: chunk.bytes.len(),
        };
        let pushed: Vec<_> = chunks.iter().map(pushed).collect();
        let bytes = pushed.iter().map(|chunk| chunk.bytes).sum::<usize>();
        self.in_flight_chunks += pushed.len();
        self.in_flight_bytes += bytes;
        let mut kept = Vec::new();
        if is_live {
            self.kept_bytes += bytes;
            let keep = |chunk: PushedChunk| Some(Kept { collection: chunk.collection, bytes: chunk.bytes });
            kept.extend(chunks.into_iter().map(keep));
        }
        let (first, unseen) = (self.count, pushed.len());
        self.count += pushed.len() as u64;
        self.by_first.insert(first, number);
        let (receipted, last) = (false, Sequence::ZERO);
        self.records.insert(number, PushRecord { chunks: pushed, kept, first, unseen, receipted, last });
    }

    /// Takes chunks that the log has named by their push.
    pub(super) fn name(&mut self, push: PushNumber, index: u64, count: u64) -> Option<Vec<Pushed>> {
        let record = self.records.get_mut(&push)?;
        let (start, end) = (usize::try_from(index).ok()?, usize::try_from(index.checked_add(count)?).ok()?);
        let chunks = record.chunks.get(start..end)?.to_vec();
        let dropped = record.kept.get_mut(start..end).unwrap_or_default().iter_mut().filter_map(Option::take);
        self.kept_bytes -= dropped.map(|kept| kept.bytes.len()).sum::<usize>();
        self.next_own = record.first.saturating_add(index).saturating_add(count);
        self.saw(push, chunks.len());
        Some(chunks)
    }

    /// Takes the chunk that live chunks have named, `skip` after the one before it; `None` when there is none, or it was not
    /// in a live push.
    pub(super) fn name_next(&mut self, skip: u64) -> Option<(Pushed, Kept)> {
        let at = self.next_own.checked_add(skip)?;
        let (first, number) = self.by_first.range(..=at).next_back().map(|(first, number)| (*first, *number))?;
        let record = self.records.get_mut(&number)?;
        let index = usize::try_from(at - first).ok()?;
        let pushed = *record.chunks.get(index)?;
        let kept = record.kept.get_mut(index)?.take()?;
        self.kept_bytes -= kept.bytes.len();
        self.next_own = at + 1;
        self.saw(number, 1);
        Some((pushed, kept))
    }

    /// Notes that so many chunks of a push stand in the log, or never will because of it.
    fn saw(&mut self, push: PushNumber, count: usize) {
        let Some(record) = self.records.get_mut(&push) else { return };
        record.unseen = record.unseen.saturating_sub(count);
        if record.unseen == 0 && record.receipted {
            self.forget(push);
        }
    }

    /// Takes the word that the receipt of a push has come, which says of so many of its chunks that the log does not take
    /// them now; gives the chunks. `None` when it is not in flight, or the receipt is one of another number of chunks.
    pub(super) fn receipted(&mut self, push: PushNumber, answered: u64, untaken: u64) -> Option<Vec<Pushed>> {
        let record = self.records.get_mut(&push)?;
        if record.receipted || answered != record.chunks.len() as u64 {
            return None;
        }
        record.receipted = true;
        let chunks = record.chunks.clone();
        self.in_flight_chunks -= chunks.len();
        self.in_flight_bytes -= chunks.iter().map(|chunk| chunk.bytes).sum::<usize>();
        self.saw(push, usize::try_from(untaken).unwrap_or(usize::MAX));
        Some(chunks)
    }

    /// Notes the last sequence at which a push that has its receipt was stored; one that the reader has passed already is
    /// named no more.
    pub(super) fn stored_up_to(&mut self, push: PushNumber, last: Sequence, passed: Option<Sequence>) {
        if let Some(record) = self.records.get_mut(&push) {
            record.last = last;
            if passed.is_some_and(|passed| last <= passed) {
                self.forget(push);
            }
        }
    }

    /// Forgets what was stored up to a sequence: no run to come names it, whether one has named it or not.
    pub(super) fn passed(&mut self, sequence: Sequence) {
        let is_passed = |record: &PushRecord| record.receipted && record.last <= sequence;
        let passed: Vec<_> =
            self.records.iter().filter(|(_, record)| is_passed(record)).map(|(push, _)| *push).collect();
        passed.into_iter().for_each(|push| self.forget(push));
    }

    fn forget(&mut self, push: PushNumber) {
        if let Some(record) = self.records.remove(&push) {
            self.by_first.remove(&record.first);
            self.kept_bytes -= record.kept.iter().flatten().map(|kept| kept.bytes.len()).sum::<usize>();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(numbers: std::ops::Range<u8>) -> Vec<PushedChunk> {
        let chunk = |number| PushedChunk {
            entity: EntityId::from_bytes([1; 16]),
            collection: "notes".parse().unwrap(),
            kind: ChunkKind::Change,
            hash: ChangeHash([number; 32]),
            bytes: vec![number; 100],
        };
        numbers.map(chunk).collect()
    }

    fn named(pushes: &mut Pushes, skip: u64) -> Option<u8> {
        pushes.name_next(skip).map(|(pushed, kept)| {
            assert_eq!(kept.bytes, [pushed.hash.0[0]; 100]);
            pushed.hash.0[0]
        })
    }

    #[test]
    fn chunks_are_named_one_after_the_other_whatever_pushes_they_are_of() {
        let mut pushes = Pushes::default();
        pushes.add(PushNumber(3), chunks(0..2), true);
        pushes.add(PushNumber(4), chunks(2..5), false);
        pushes.add(PushNumber(7), chunks(5..9), true);
        assert_eq!([named(&mut pushes, 0), named(&mut pushes, 0)], [Some(0), Some(1)]);
        assert_eq!(named(&mut pushes, 0), None, "a plain push is named by its number");
        assert_eq!(pushes.name(PushNumber(4), 0, 3).unwrap().len(), 3);
        assert_eq!([named(&mut pushes, 1), named(&mut pushes, 0)], [Some(6), Some(7)], "one was not taken");
        assert_eq!(named(&mut pushes, 1), None, "no more were pushed");
    }

    #[test]
    fn what_is_kept_has_a_bound_and_is_let_go_with_its_push() {
        let mut pushes = Pushes::default();
        pushes.add(PushNumber(1), chunks(0..3), true);
        assert_eq!(pushes.kept_bytes, 300);
        assert!(pushes.may_keep(KEPT_BYTES_MAX - 300) && !pushes.may_keep(KEPT_BYTES_MAX - 299), "R8");
        assert!(pushes.receipted(PushNumber(1), 2, 0).is_none(), "three were pushed");
        // One is refused, one is a duplicate, one is stored.
        assert_eq!(pushes.receipted(PushNumber(1), 3, 2).unwrap().len(), 3);
        assert!(pushes.receipted(PushNumber(1), 3, 2).is_none(), "twice");
        assert_eq!((pushes.in_flight(), pushes.in_flight_bytes(), pushes.kept_bytes), (0, 0, 300));
        assert_eq!(named(&mut pushes, 1), Some(1));
        assert!(pushes.records.is_empty() && pushes.by_first.is_empty());
        assert_eq!(pushes.kept_bytes, 0);
    }
}
