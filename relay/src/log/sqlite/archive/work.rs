//! The work on the old part of a log between reading and writing it: pure, and so for any thread.

use super::body;
use super::cache::CacheKey;
use super::held::Held;
use super::segment::{Place, Segment};
use super::snapshot::{self, Covered, Made, SnapshotFault};
use afield_core::session::LogEntry;
use afield_core::wire::BatchChunk;
use afield_core::{ChainHash, ChangeHash, ChunkKind, Collection, Cursor, EntityId, LogId, Sequence};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A piece of work on the old part of a log that may be due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Task {
    pub(super) target: Target,
    pub(super) eagerness: Eagerness,
}

/// What a task is about, by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    /// A snapshot that stands, or an erasure record: the chunks leave the segments.
    Strip {
        /// The entity.
        entity: i64,
    },
    /// The oldest rows of a space become a segment.
    Segment {
        /// The space.
        space: i64,
    },
    /// The chunks of an entity give way to a snapshot.
    Snapshot {
        /// The entity.
        entity: i64,
    },
}

/// How much a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Eagerness {
    /// What pays, some way behind the head.
    Usual,
    /// Everything that makes the log smaller, for an operator who asked for it.
    Everything,
    /// Everything that can be done, whatever it saves.
    Whatever,
}

/// What a task needs, read from the log.
#[derive(Debug)]
pub struct Work(pub(super) Job);

#[derive(Debug)]
pub(super) enum Job {
    Segment(SegmentJob),
    Snapshot(SnapshotJob),
    Strip(StripJob),
    Hopeless(Task, WorkFault),
}

/// What has been prepared, to be put in place.
#[derive(Debug)]
pub struct Prepared(pub(super) Outcome);

#[derive(Debug)]
pub(super) enum Outcome {
    Segment(Box<NewSegment>),
    Snapshot(NewSnapshot),
    Strip(Stripped),
    Failed(Task, WorkFault),
}

/// Why a task cannot be done. A snapshot is not tried again before its entity has twice as many chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkFault {
    /// The encoder panicked, or what it wrote does not decode to the same.
    #[error("what was packed does not come out as it went in")]
    Pack,
    /// No snapshot can stand for the entity.
    #[error("no snapshot can stand for the entity's changes")]
    Snapshot(#[source] SnapshotFault),
    /// A snapshot would not make the log smaller by as much as it has to.
    #[error("a snapshot would save too little")]
    SavesLittle,
    /// A snapshot would fit no frame, so that whoever reads its chunks would have to have them taken out of it.
    #[error("no reader could be given the snapshot as it is")]
    StaysBehind,
    /// The entity is larger than what is taken into memory.
    #[error("the entity is too large")]
    TooLarge,
    /// Some of what the task needs has decayed.
    #[error("some of it has decayed")]
    Decayed,
}

impl WorkFault {
    /// Whether something is wrong, and it is not just not worth it.
    pub fn is_failure(self) -> bool {
        !matches!(self, Self::SavesLittle | Self::StaysBehind)
    }
}

/// A row that becomes part of a segment.
#[derive(Debug)]
pub(super) struct OldRow {
    pub(super) position: i64,
    pub(super) entry: LogEntry,
    pub(super) entity: i64,
    pub(super) actor: i64,
    pub(super) actor_sequence: u64,
    pub(super) change: ChangeHash,
    /// Whether its bytes are gone since its entity was purged.
    pub(super) is_erased: bool,
}

#[derive(Debug)]
pub(super) struct SegmentJob {
    pub(super) task: Task,
    pub(super) space: i64,
    /// The end of the segment before.
    pub(super) before: Cursor,
    pub(super) rows: Vec<OldRow>,
    /// What the rows were when they were read.
    pub(super) rows_hash: CacheKey,
}

/// A segment that is to take the place of rows.
#[derive(Debug)]
pub(super) struct NewSegment {
    pub(super) task: Task,
    pub(super) space: i64,
    pub(super) segment: Segment,
    pub(super) before: Cursor,
    pub(super) body: Vec<u8>,
    pub(super) rows_hash: CacheKey,
    pub(super) runs: Vec<ActorRun>,
    /// Entity, hash and position of every change.
    pub(super) changes: Vec<(i64, ChangeHash, i64)>,
    /// Rows that stay, since they have decayed.
    pub(super) kept: Vec<i64>,
}

/// Changes of one actor in a segment, without a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ActorRun {
    pub(super) entity: i64,
    pub(super) actor: i64,
    pub(super) first: u64,
    pub(super) last: u64,
}

#[derive(Debug)]
pub(super) struct SnapshotJob {
    pub(super) task: Task,
    pub(super) entity: i64,
    pub(super) space: i64,
    pub(super) log: LogId,
    /// The last segment that holds a chunk of the entity, and the chain hash behind it.
    pub(super) end: (i64, ChainHash),
    /// The position of the entity's last chunk in it.
    pub(super) covered: i64,
    /// The hash of the snapshot that stands there.
    pub(super) old: Option<CacheKey>,
    /// About how many bytes on the disk the snapshot would free.
    pub(super) frees_bytes: usize,
    pub(super) id: EntityId,
    pub(super) chunks: Vec<Covered>,
}

/// A snapshot that is to stand for chunks.
#[derive(Debug)]
pub(super) struct NewSnapshot {
    pub(super) entity: i64,
    pub(super) space: i64,
    pub(super) log: LogId,
    pub(super) end: (i64, ChainHash),
    pub(super) covered: i64,
    pub(super) old: Option<CacheKey>,
    /// The sequences of its changes.
    pub(super) changes: Vec<Sequence>,
    pub(super) made: Made,
}

#[derive(Debug)]
pub(super) struct StripJob {
    pub(super) task: Task,
    pub(super) entity: i64,
    /// The hash of the snapshot that stands for what they lose; absent where the entity was purged.
    pub(super) snapshot: Option<CacheKey>,
    pub(super) segments: Vec<StripSegment>,
    /// How far the segments are done with these.
    pub(super) upto: i64,
}

/// A segment that loses the chunks of an entity.
#[derive(Debug)]
pub(super) struct StripSegment {
    pub(super) last: i64,
    pub(super) old_body: CacheKey,
    pub(super) kept: Vec<KeptChunk>,
    pub(super) held: Held,
}

/// A chunk that stays in a segment's body.
#[derive(Debug)]
pub(super) struct KeptChunk {
    pub(super) entity: EntityId,
    pub(super) collection: Collection,
    pub(super) kind: ChunkKind,
    pub(super) bytes: Vec<u8>,
}

/// The body that a segment gets.
#[derive(Debug)]
pub(super) struct NewBody {
    /// The last position of the segment.
    pub(super) last: i64,
    /// The hash of the body as it was.
    pub(super) old: CacheKey,
    pub(super) held: Held,
    pub(super) body: Vec<u8>,
}

/// Bodies without the chunks of an entity.
#[derive(Debug)]
pub(super) struct Stripped {
    pub(super) entity: i64,
    /// The hash of the snapshot that stands for what they lose; absent where the entity was purged.
    pub(super) snapshot: Option<CacheKey>,
    pub(super) bodies: Vec<NewBody>,
    /// How far the segments are done with these.
    pub(super) upto: i64,
}

impl Task {
    /// The same task, done whatever it saves: small logs of tests save nothing.
    #[doc(hidden)]
    #[must_use]
    pub fn whatever_it_saves(self) -> Self {
        Self { eagerness: Eagerness::Whatever, ..self }
    }
}

impl Prepared {
    /// What it was prepared for.
    pub(super) fn target(&self) -> Target {
        match &self.0 {
            Outcome::Segment(new) => new.task.target,
            Outcome::Snapshot(new) => Target::Snapshot { entity: new.entity },
            Outcome::Strip(stripped) => Target::Strip { entity: stripped.entity },
            Outcome::Failed(task, _) => task.target,
        }
    }
}

impl Work {
    /// Does the work. It takes no look at the log, and a panic of the engine or the encoder ends in a fault.
    pub fn run(self) -> Prepared {
        let Self(job) = self;
        let (task, done) = match job {
            Job::Segment(job) => (job.task, job.run().map(|segment| Outcome::Segment(Box::new(segment)))),
            Job::Snapshot(job) => (job.task, job.run().map(Outcome::Snapshot)),
            Job::Strip(job) => (job.task, job.run().map(Outcome::Strip)),
            Job::Hopeless(task, fault) => (task, Err(fault)),
        };
        Prepared(done.unwrap_or_else(|fault| Outcome::Failed(task, fault)))
    }
}

/// Encodes chunks, and shows that they come out as they went in.
fn pack(chunks: &[BatchChunk<'_>]) -> Result<Vec<u8>, WorkFault> {
    let body = catch_unwind(AssertUnwindSafe(|| body::encode(chunks))).map_err(|_| WorkFault::Pack)?;
    let decoded = body::decode(&body).ok_or(WorkFault::Pack)?;
    let is_same = decoded.len() == chunks.len()
        && decoded.iter().zip(chunks).all(|(decoded, chunk)| {
            (decoded.entity, decoded.kind, &decoded.bytes[..]) == (chunk.entity, chunk.kind, chunk.bytes)
        });
    if is_same { Ok(body) } else { Err(WorkFault::Pack) }
}

impl SegmentJob {
    fn run(self) -> Result<NewSegment, WorkFault> {
        let Self { task, space, before, rows, rows_hash } = self;
        let (intact, decayed): (Vec<&OldRow>, Vec<&OldRow>) = rows.iter().partition(|row| row.entry.is_intact());
        let chunks: Vec<BatchChunk<'_>> = intact
            .iter()
            .map(|row| BatchChunk {
                entity: row.entry.entity,
                collection: &row.entry.collection,
                kind: row.entry.kind,
                bytes: &row.entry.bytes,
            })
            .collect();
        let body = pack(&chunks)?;
        let kept = decayed.iter().filter(|row| !row.is_erased).map(|row| row.position).collect();
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Err(WorkFault::Pack) };
        let places = rows.iter().map(|row| Place {
            number: row.entity,
            entity: row.entry.entity,
            kind: row.entry.kind,
            hash: row.entry.hash,
            chain: row.entry.chain,
            bytes: None,
        });
        let segment = Segment {
            first: first.position,
            last: last.position,
            before: before.chain,
            places: places.collect(),
            is_mended: false,
            held: Some(Held::of(rows.iter().map(|row| row.entry.is_intact()))),
            body_hash: *blake3::hash(&body).as_bytes(),
            body_bytes: body.len(),
        };
        let changes = rows.iter().map(|row| (row.entity, row.change, row.position)).collect();
        let runs = actor_runs(&rows);
        Ok(NewSegment { task, space, segment, before, body, rows_hash, runs, changes, kept })
    }
}

fn actor_runs(rows: &[OldRow]) -> Vec<ActorRun> {
    let mut numbers: Vec<_> = rows.iter().map(|row| (row.entity, row.actor, row.actor_sequence)).collect();
    numbers.sort_unstable();
    let mut runs: Vec<ActorRun> = Vec::new();
    for (entity, actor, number) in numbers {
        match runs.last_mut() {
            Some(run) if (run.entity, run.actor) == (entity, actor) && run.last.checked_add(1) == Some(number) => {
                run.last = number;
            }
            _ => runs.push(ActorRun { entity, actor, first: number, last: number }),
        }
    }
    runs
}

impl SnapshotJob {
    fn run(self) -> Result<NewSnapshot, WorkFault> {
        let Self { task, entity, space, log, end, covered, old, frees_bytes, id, chunks } = self;
        let made = snapshot::make(id, covered, &chunks).map_err(WorkFault::Snapshot)?;
        if task.eagerness == Eagerness::Usual && !made.travels {
            return Err(WorkFault::StaysBehind);
        }
        let bytes_max = match task.eagerness {
            Eagerness::Usual => frees_bytes / 2,
            Eagerness::Everything => frees_bytes,
            Eagerness::Whatever => usize::MAX,
        };
        if made.bytes.len() > bytes_max {
            return Err(WorkFault::SavesLittle);
        }
        let changes = chunks.iter().map(|chunk| chunk.sequence).collect();
        Ok(NewSnapshot { entity, space, log, end, covered, old, changes, made })
    }
}

impl KeptChunk {
    fn as_batched(&self) -> BatchChunk<'_> {
        let Self { entity, collection, kind, bytes } = self;
        BatchChunk { entity: *entity, collection, kind: *kind, bytes }
    }
}

impl StripJob {
    fn run(self) -> Result<Stripped, WorkFault> {
        let Self { entity, snapshot, segments, upto, .. } = self;
        let mut bodies = Vec::with_capacity(segments.len());
        for StripSegment { last, old_body, kept, held } in segments {
            let chunks: Vec<_> = kept.iter().map(KeptChunk::as_batched).collect();
            bodies.push(NewBody { last, old: old_body, held, body: pack(&chunks)? });
        }
        Ok(Stripped { entity, snapshot, bodies, upto })
    }
}

/// What several rows are together, so that a change of any of them is noticed.
#[derive(Default)]
pub(super) struct RowsHash(blake3::Hasher);

impl RowsHash {
    /// Adds a row by its numbers and hashes, as they are stored.
    pub(super) fn add(&mut self, numbers: [i64; 5], hashes: [[u8; 32]; 3]) {
        for number in numbers {
            self.0.update(&number.to_le_bytes());
        }
        for hash in hashes {
            self.0.update(&hash);
        }
    }

    pub(super) fn finish(&self) -> CacheKey {
        *self.0.finalize().as_bytes()
    }
}

/// What the chunks of an entity take of a segment's body, by what they have raw.
pub(super) fn share(segment: &Segment, entity: i64) -> usize {
    let raw = |of_all: bool| -> usize {
        let places = segment.places.iter().filter(|place| of_all || place.number == entity);
        places.filter_map(|place| place.bytes.as_ref()).map(Vec::len).sum()
    };
    segment.body_bytes.saturating_mul(raw(false)).checked_div(raw(true)).unwrap_or_default()
}
