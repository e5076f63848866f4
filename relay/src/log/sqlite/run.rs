//! How much of a log fits one `Chunks` frame.

use afield_core::limits::{BATCH_BYTES_MAX, BATCH_CHUNKS_MAX, FRAME_BYTES_MAX};
use afield_core::session::{LogEntry, LogRun};
use afield_core::{Cursor, SpaceId};

/// What a chunk costs in a frame beside its bytes where it cannot travel in a batch: entity, collection, kind, hash and
/// CBOR's heads, at most.
const RAW_SEGMENT_BYTES_MAX: usize = 128;
/// What a frame costs beside its segments.
const FRAME_HEAD_BYTES_MAX: usize = 1024;

/// What is left of a run's room.
#[derive(Debug, Clone, Copy)]
pub(super) struct RunRoom {
    empty: bool,
    chunks: usize,
    bytes: usize,
    frame_bytes: usize,
}

impl RunRoom {
    /// The room of a run that may hold so many bytes, raw.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            empty: true,
            chunks: BATCH_CHUNKS_MAX,
            bytes: bytes_max,
            frame_bytes: FRAME_BYTES_MAX - FRAME_HEAD_BYTES_MAX,
        }
    }

    /// Takes the room for one more chunk; answers whether there was. The first always has room.
    ///
    /// Each is counted as if it travelled on its own: then the frame fits whatever form its chunks take.
    pub(super) fn take(&mut self, chunk_bytes: usize) -> bool {
        let framed = chunk_bytes.saturating_add(RAW_SEGMENT_BYTES_MAX);
        if !self.empty && (self.chunks == 0 || self.bytes < chunk_bytes || self.frame_bytes < framed) {
            return false;
        }
        self.empty = false;
        self.chunks = self.chunks.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(chunk_bytes);
        self.frame_bytes = self.frame_bytes.saturating_sub(framed);
        true
    }
}

/// What the id of an entity costs in a frame, with its share of the name of a collection.
const ID_BYTES_MAX: usize = 32;

impl RunRoom {
    /// Takes the room for the id of an entity of which nothing travels; answers whether there was.
    pub(super) fn take_id(&mut self) -> bool {
        let left = self.frame_bytes.checked_sub(ID_BYTES_MAX);
        self.frame_bytes = left.unwrap_or(self.frame_bytes);
        left.is_some()
    }
}

/// Splits what was appended to a log after `before` into runs that fit a frame each.
pub(super) fn split(space: SpaceId, before: Cursor, entries: Vec<LogEntry>) -> Vec<(SpaceId, LogRun)> {
    let mut runs = Vec::new();
    let mut before = before;
    let mut pending = Vec::new();
    let mut room = RunRoom::new(BATCH_BYTES_MAX);
    for entry in entries {
        if !room.take(entry.bytes.len()) {
            let run = LogRun::new(before, std::mem::take(&mut pending));
            before = run.after();
            runs.push((space, run));
            room = RunRoom::new(BATCH_BYTES_MAX);
            room.take(entry.bytes.len());
        }
        pending.push(entry);
    }
    if !pending.is_empty() {
        runs.push((space, LogRun::new(before, pending)));
    }
    runs
}
