//! A run of the log on its way to readers.

use crate::id::{Collection, EntityId};
use crate::log::{ChainHash, ChunkHash, ChunkKind, Cursor, Sequence};
use crate::wire::{self, BatchChunk, RawChunk, Segment};
use std::cell::OnceCell;

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

/// Consecutive chunks of a log, encoded at most once however many readers get them.
#[derive(Debug)]
pub struct LogRun {
    before: Cursor,
    entries: Vec<LogEntry>,
    /// Whether each entry may travel in a batch.
    batched: Vec<bool>,
    whole: OnceCell<Vec<u8>>,
}

impl LogRun {
    /// The run of these entries, which follow `before` without a gap.
    pub fn new(before: Cursor, entries: Vec<LogEntry>) -> Self {
        let batched = entries.iter().map(|entry| entry.kind == ChunkKind::Change && entry.is_intact()).collect();
        Self { before, entries, batched, whole: OnceCell::new() }
    }

    /// The position before the first entry.
    pub fn before(&self) -> Cursor {
        self.before
    }

    /// The position after the last entry.
    pub fn after(&self) -> Cursor {
        self.entries.last().map_or(self.before, |last| Cursor {
            log: self.before.log,
            sequence: last.sequence,
            chain: last.chain,
        })
    }

    /// The entries.
    pub fn entries(&self) -> &[LogEntry] {
        &self.entries
    }

    /// The batch of all entries, when all may travel in one; encoded on first use.
    fn whole_batch(&self) -> Option<&[u8]> {
        (!self.entries.is_empty() && self.batched.iter().all(|batched| *batched))
            .then(|| self.whole.get_or_init(|| encode(&self.entries)).as_slice())
    }
}

/// The parts of a `Chunks` frame for one reader.
pub(super) enum Part<'r> {
    Own { push: wire::PushNumber, index: u64, count: u64 },
    Shared(&'r [u8]),
    Batch(Vec<u8>),
    Raw(&'r LogEntry),
}

impl Part<'_> {
    pub(super) fn segment(&self) -> Segment<'_> {
        match self {
            Part::Own { push, index, count } => Segment::Own { push: *push, index: *index, count: *count },
            Part::Shared(batch) => Segment::Batch(batch),
            Part::Batch(batch) => Segment::Batch(batch),
            Part::Raw(entry) => entry.segment(),
        }
    }
}

/// Splits a run for a reader: what it pushed itself is named, the rest travels in batches, or one by one where it must.
pub(super) fn parts(
    run: &LogRun,
    raw: bool,
    own: impl Fn(Sequence) -> Option<(wire::PushNumber, u64)>,
) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut pending: &[LogEntry] = &[];
    let mut start = 0;
    for (at, (entry, batched)) in run.entries.iter().zip(&run.batched).enumerate() {
        let named = own(entry.sequence);
        if named.is_none() && *batched && !raw {
            pending = run.entries.get(start..=at).unwrap_or_default();
            continue;
        }
        flush(run, &mut pending, &mut parts);
        start = at + 1;
        match (named, parts.last_mut()) {
            (Some((push, index)), Some(Part::Own { push: last, index: first, count }))
                if *last == push && first.checked_add(*count) == Some(index) =>
            {
                *count += 1;
            }
            (Some((push, index)), _) => parts.push(Part::Own { push, index, count: 1 }),
            (None, _) => parts.push(Part::Raw(entry)),
        }
    }
    flush(run, &mut pending, &mut parts);
    parts
}

fn flush<'r>(run: &'r LogRun, pending: &mut &'r [LogEntry], parts: &mut Vec<Part<'r>>) {
    let entries = std::mem::take(pending);
    if entries.is_empty() {
        return;
    }
    let shared = (entries.len() == run.entries.len()).then(|| run.whole_batch()).flatten();
    parts.push(shared.map_or_else(|| Part::Batch(encode(entries)), Part::Shared));
}

fn encode(entries: &[LogEntry]) -> Vec<u8> {
    wire::encode_batch(entries.iter().map(|entry| BatchChunk {
        entity: entry.entity,
        collection: &entry.collection,
        kind: entry.kind,
        bytes: &entry.bytes,
    }))
}
