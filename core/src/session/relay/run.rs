//! A run of the log on its way to readers.

use super::own::OwnChunk;
use crate::erasure::Erasure;
use crate::id::{Collection, EntityId};
use crate::log::{ChainHash, ChunkHash, ChunkKind, Cursor, Sequence};
use crate::wire::{self, BatchChunk, ErasedChunk, RawChunk, Segment, SequenceRuns, SnapshotChunk};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// One chunk of the log.
#[derive(Debug, Clone)]
pub struct LogEntry {
    /// Its position.
    pub sequence: Sequence,
    /// The chain hash there.
    pub chain: ChainHash,
    /// The entity.
    pub entity: EntityId,
    /// Its collection.
    pub collection: Collection,
    /// What it is.
    pub kind: ChunkKind,
    /// The hash that entered the chain.
    pub hash: ChunkHash,
    /// The bytes as they are readable now.
    pub bytes: Vec<u8>,
}

impl LogEntry {
    /// Whether the bytes are still those that entered the chain.
    pub fn is_intact(&self) -> bool {
        ChunkHash::of(&self.bytes) == self.hash
    }

    fn segment(&self) -> Segment<'_> {
        Segment::Raw(RawChunk {
            entity: self.entity,
            collection: self.collection.as_str(),
            kind: self.kind.number(),
            hash: self.hash,
            bytes: &self.bytes,
        })
    }
}

/// How many times its own length a run is encoded for readers of whom each needs another part of it, before they get it
/// in blocks that they share.
const ALONE_TIMES_MAX: usize = 8;
/// The smallest block that is shared, in chunks. What lies between one and a chunk that is named instead is encoded for
/// its reader.
const BLOCK_CHUNKS: usize = 32;

/// A batch as several readers get it; absent when a defect of the encoder made it panic: then the chunks travel one by one,
/// which needs no encoder.
type Encoded = Option<Arc<[u8]>>;

/// A snapshot that stands in the place of removed chunks.
#[derive(Debug, Clone)]
pub struct LogSnapshot {
    /// The entity.
    pub entity: EntityId,
    /// Its collection.
    pub collection: Collection,
    /// Where its changes stand in the log, in the order in which the saved document holds them.
    pub sequences: SequenceRuns,
    /// Where the last of its changes stands: from the moment at which it is sent, the log has to stay the one that it was up to
    /// there (invariant R4).
    pub last: Cursor,
    /// The [`snapshot_check`](crate::document::snapshot_check) of its changes.
    pub check: [u8; 16],
    /// The saved document, no column of it compressed by itself.
    pub bytes: Vec<u8>,
}

impl LogSnapshot {
    fn segment(&self) -> Segment<'_> {
        Segment::Snapshot(SnapshotChunk {
            entity: self.entity,
            collection: self.collection.as_str(),
            sequences: self.sequences.clone(),
            check: self.check,
            bytes: &self.bytes,
        })
    }
}

/// An erasure record that stands in the place of removed chunks, wherever its own place is.
#[derive(Debug, Clone)]
pub struct LogErasure {
    /// The collection of the entity.
    pub collection: Collection,
    /// The record, as the log holds it.
    pub bytes: Vec<u8>,
    entity: EntityId,
}

impl LogErasure {
    /// What stands for the chunks of an entity of this collection.
    pub fn new(record: Erasure, collection: Collection) -> Self {
        Self { collection, bytes: record.to_bytes().to_vec(), entity: record.entity }
    }

    fn segment(&self) -> Segment<'_> {
        let (entity, collection) = (self.entity, self.collection.as_str());
        Segment::Erased(ErasedChunk { entity, collection, bytes: &self.bytes })
    }
}

/// Chunks of a log, encoded once however many readers get them.
///
/// Readers who pushed some of the chunks themselves get the rest of them. As long as they are few each gets its rest in
/// as few batches as can be; the work for many is in proportion to the run and the readers, and not to their product.
#[derive(Debug)]
pub struct LogRun {
    before: Cursor,
    after: Cursor,
    /// The end of the log as the transaction saw it that the run comes from.
    head: Sequence,
    entries: Vec<LogEntry>,
    /// Whether the entries are everything that the log holds there.
    is_whole: bool,
    snapshots: Vec<LogSnapshot>,
    announced: Vec<(Collection, EntityId)>,
    erasures: Vec<LogErasure>,
    /// Whether each entry may travel in a batch.
    batched: Vec<bool>,
    /// The batches that readers share, by the first entry and the one after the last.
    shared: RefCell<BTreeMap<(usize, usize), Encoded>>,
    /// How many entries were encoded so far, the same one many times.
    encoded: Cell<usize>,
}

impl LogRun {
    /// The run of these entries, which follow `before` without a gap.
    pub fn new(before: Cursor, entries: Vec<LogEntry>) -> Self {
        let after = entries.last().map_or(before, |last| Cursor {
            log: before.log,
            sequence: last.sequence,
            chain: last.chain,
        });
        Self::of(before, after, entries, true)
    }

    /// A run from `before` to `after` of which only these entries travel, the log's own order kept.
    pub fn leaving_out(before: Cursor, after: Cursor, entries: Vec<LogEntry>) -> Self {
        Self::of(before, after, entries, false)
    }

    /// Says where the log ended in the transaction that read the run; at its end where nothing else was said, as for a run
    /// that was just appended.
    #[must_use]
    pub fn within(self, head: Sequence) -> Self {
        Self { head, ..self }
    }

    /// Adds snapshots in the place of chunks that are no more, and entities of which nothing travels.
    #[must_use]
    pub fn with(mut self, snapshots: Vec<LogSnapshot>, announced: Vec<(Collection, EntityId)>) -> Self {
        self.is_whole &= snapshots.is_empty() && announced.is_empty();
        (self.snapshots, self.announced) = (snapshots, announced);
        self
    }

    /// Adds erasure records in the place of chunks that are no more.
    #[must_use]
    pub fn erasing(mut self, erasures: Vec<LogErasure>) -> Self {
        self.is_whole &= erasures.is_empty();
        self.erasures = erasures;
        self
    }

    fn of(before: Cursor, after: Cursor, entries: Vec<LogEntry>, is_whole: bool) -> Self {
        let batched = entries.iter().map(|entry| entry.kind == ChunkKind::Change && entry.is_intact()).collect();
        let (snapshots, announced, erasures, shared, encoded) = Default::default();
        let head = after.sequence;
        Self { before, after, head, entries, is_whole, snapshots, announced, erasures, batched, shared, encoded }
    }

    /// The position before the run.
    pub fn before(&self) -> Cursor {
        self.before
    }

    /// The position at its end.
    pub fn after(&self) -> Cursor {
        self.after
    }

    /// The end of the log as the transaction saw it that the run comes from.
    pub fn head(&self) -> Sequence {
        self.head
    }

    /// Whether nothing follows `before`.
    pub fn is_empty(&self) -> bool {
        self.before.sequence == self.after.sequence
    }

    /// The entries.
    pub fn entries(&self) -> &[LogEntry] {
        &self.entries
    }

    /// Whether the entries are everything that the log holds there.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Entities of which nothing travels.
    pub(super) fn announced(&self) -> &[(Collection, EntityId)] {
        &self.announced
    }

    /// The snapshots that stand in the place of chunks.
    pub fn snapshots(&self) -> &[LogSnapshot] {
        &self.snapshots
    }

    /// The snapshots, as segments.
    pub(super) fn snapshot_segments(&self) -> impl Iterator<Item = Segment<'_>> {
        self.snapshots.iter().map(LogSnapshot::segment)
    }

    /// The erasure records that stand for removed chunks.
    pub fn erasures(&self) -> &[LogErasure] {
        &self.erasures
    }

    /// The erasure records, as segments.
    pub(super) fn erasure_segments(&self) -> impl Iterator<Item = Segment<'_>> {
        self.erasures.iter().map(LogErasure::segment)
    }

    /// The entries whose bytes are no longer those that entered the chain.
    pub fn decayed(&self) -> impl Iterator<Item = &LogEntry> {
        let unbatched = self.entries.iter().zip(&self.batched).filter(|(_, batched)| !**batched);
        unbatched.map(|(entry, _)| entry).filter(|entry| !entry.is_intact())
    }

    /// The parts for a range of entries that all may travel in batches.
    fn batches<'r>(&'r self, range: Range<usize>, parts: &mut Vec<Part<'r>>) {
        if range.is_empty() {
            return;
        }
        let known = self.shared.borrow().contains_key(&(range.start, range.end));
        let whole = range.len() == self.entries.len();
        if known || whole || self.encoded.get() + range.len() <= ALONE_TIMES_MAX * self.entries.len() {
            return self.batch(range, true, parts);
        }
        let blocks_start = range.start.next_multiple_of(BLOCK_CHUNKS).min(range.end);
        let blocks_end = (range.end / BLOCK_CHUNKS * BLOCK_CHUNKS).max(blocks_start);
        self.batch(range.start..blocks_start, false, parts);
        let mut at = blocks_start;
        while at < blocks_end {
            let size = block_size(at, blocks_end);
            self.batch(at..at + size, true, parts);
            at += size;
        }
        self.batch(blocks_end..range.end, false, parts);
    }

    fn batch<'r>(&'r self, range: Range<usize>, is_shared: bool, parts: &mut Vec<Part<'r>>) {
        let entries = self.entries.get(range.clone()).unwrap_or_default();
        if entries.is_empty() {
            return;
        }
        let key = (range.start, range.end);
        let known = self.shared.borrow().get(&key).cloned();
        let batch = known.unwrap_or_else(|| {
            self.encoded.set(self.encoded.get() + entries.len());
            let batch = encode_or_nothing(|| encode(entries));
            if is_shared {
                self.shared.borrow_mut().insert(key, batch.clone());
            }
            batch
        });
        match batch {
            Some(batch) => parts.push(Part::Batch(batch)),
            None => parts.extend(entries.iter().map(Part::Raw)),
        }
    }
}

/// The largest block from `at` that ends by `end` and that other readers cut in the same way: its size is a power of two
/// and divides its place, both in smallest blocks.
fn block_size(at: usize, end: usize) -> usize {
    let (block, left) = (at / BLOCK_CHUNKS, (end - at) / BLOCK_CHUNKS);
    let aligned = if block == 0 { usize::BITS - 1 } else { block.trailing_zeros() };
    BLOCK_CHUNKS << aligned.min(left.max(1).ilog2())
}

fn encode_or_nothing(encode: impl FnOnce() -> Vec<u8>) -> Encoded {
    catch_unwind(AssertUnwindSafe(encode)).ok().map(Arc::from)
}

/// The parts of a `Chunks` frame for one reader.
pub(super) enum Part<'r> {
    Own { push: wire::PushNumber, index: u64, count: u64 },
    Batch(Arc<[u8]>),
    Raw(&'r LogEntry),
}

impl Part<'_> {
    pub(super) fn segment(&self) -> Segment<'_> {
        match self {
            Part::Own { push, index, count } => Segment::Own { push: *push, index: *index, count: *count },
            Part::Batch(batch) => Segment::Batch(batch),
            Part::Raw(entry) => entry.segment(),
        }
    }
}

/// Splits a run for a reader: what it pushed itself is named, the rest of what it wants travels in batches, or one by one
/// where it must.
pub(super) fn parts(
    run: &LogRun,
    raw: bool,
    own: impl Fn(Sequence) -> Option<OwnChunk>,
    wants: impl Fn(&LogEntry) -> bool,
) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, (entry, batched)) in run.entries.iter().zip(&run.batched).enumerate() {
        let named = own(entry.sequence);
        if named.is_none() && !wants(entry) {
            run.batches(start..at, &mut parts);
            start = at + 1;
            continue;
        }
        if named.is_none() && *batched && !raw {
            continue;
        }
        run.batches(start..at, &mut parts);
        start = at + 1;
        match (named, parts.last_mut()) {
            (Some(OwnChunk { push, index }), Some(Part::Own { push: last, index: first, count }))
                if *last == push.number && first.checked_add(*count) == Some(index) =>
            {
                *count += 1;
            }
            (Some(OwnChunk { push, index }), _) => parts.push(Part::Own { push: push.number, index, count: 1 }),
            (None, _) => parts.push(Part::Raw(entry)),
        }
    }
    run.batches(start..run.entries.len(), &mut parts);
    parts
}

fn encode(entries: &[LogEntry]) -> Vec<u8> {
    wire::encode_batch(entries.iter().map(|entry| BatchChunk {
        entity: entry.entity,
        collection: &entry.collection,
        kind: entry.kind,
        bytes: &entry.bytes,
    }))
}

#[cfg(test)]
mod tests;
