//! What recorded histories take on a relay's disk: as fresh chunks, packed into segments, and behind a snapshot.
//!
//! The changes are the library's own, one for each keystroke, appended to the relay's real log. After each step the whole log
//! is read and compared byte for byte, and pushed again, which a device does after a Reset. The exit code is 1 when a
//! target is missed.

use afield_benches::history::History;
use afield_benches::report::{Progress, exit_code, grouped, write_table};
use afield_benches::typing::{Typed, type_again};
use afield_core::change::ChangeHeader;
use afield_core::session::{
    AppendAnswer, AppendRequest, ChunkVerdict, OpenAnswer, OpenRequest, ReadAnswer, ReadRequest,
};
use afield_core::wire::{BatchChunk, Channel, DecodedChunk, PushNumber, encode_batch};
use afield_core::{ChunkKind, Collection, Cursor, EntityId, Limits, LogId, Now, SpaceId};
use afield_relay::log::{DiskUse, Log, Principal, Settled, SqliteLog, Task};
use automerge::{Automerge, Change};
use clap::Parser;
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// How many changes share a push.
const PUSH_CHANGES: usize = 1_000;
/// What a segment may take, in bytes a change.
const SEGMENTS_TARGET_BYTES: f64 = 1_500_000.0 / 259_778.0;
/// How many times what the engine saves a snapshot and all that is left beside it may take.
const SNAPSHOT_TARGET: f64 = 1.3;
/// Where the engine saves fewer bytes than these, what an empty log takes is no part of what is judged: its tables, a page
/// or more each, outweigh so small a history.
const SMALL_BYTES: usize = 256 << 10;
/// How many changes a segment could have.
const SEGMENT_SIZES: [usize; 4] = [256, 512, 1_024, 4_096];
/// The space of all of them.
const SPACE: SpaceId = SpaceId::from_bytes([5; 16]);
/// The log measures no time by it.
const NOW: Now = Now { wall_ms: 0, monotonic_ms: 0 };

/// Measure what recorded histories take on a relay's disk; fails when that is more than is aimed for.
#[derive(Debug, Parser)]
struct Arguments {
    /// Recorded histories, such as friendsforever.json.gz
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Stop after so many keystrokes of each history
    #[arg(long, value_name = "COUNT")]
    keystrokes: Option<usize>,
}

/// More than is aimed for.
#[derive(Debug, thiserror::Error)]
#[error("{0} of the targets are missed")]
struct Missed(usize);

/// The log does not do what a relay needs of it.
#[derive(Debug, thiserror::Error)]
#[error("the log {0}")]
struct Broken(&'static str);

fn main() -> ExitCode {
    exit_code("at_rest", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let mut missed = 0;
    for file in &arguments.files {
        let mut history = History::read(file)?;
        history.transactions.truncate(arguments.keystrokes.unwrap_or(usize::MAX));
        let progress = Progress::start("typing", history.transactions.len() as u64);
        let Typed { entity, root, keystrokes } = type_again(&history, Some(progress))?;
        let changes = root.into_iter().chain(keystrokes).map(|made| made.bytes).collect();
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        missed += measure(&name, entity, changes)?;
    }
    if missed == 0 { Ok(()) } else { Err(Missed(missed).into()) }
}

fn measure(name: &str, entity: EntityId, changes: Vec<Vec<u8>>) -> Result<usize, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let log = SqliteLog::open(&folder.path().join("log.sqlite"))?;
    let mut bench = Bench { log, chunks: chunks(entity, changes)?, start: Cursor::start(LogId::from_bytes([6; 16])) };
    bench.open()?;
    let mut rows = vec![
        ["", "fresh", "segments", "snapshot", "hashes", "other", "done in", "read in", "pushed again in"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let began = Instant::now();
    let empty = bench.log.disk_use()?;
    bench.push(is_stored)?;
    rows.push(bench.row("appended", began)?.0);
    let tasks = bench.log.whole_tasks(SPACE)?.ok_or(Broken("has lost the space"))?;
    let began = Instant::now();
    bench.finish(tasks.rows)?;
    let (row, packed) = bench.row("packed", began)?;
    rows.push(row);
    let began = Instant::now();
    for (_, snapshot, strip) in tasks.entities {
        bench.finish(snapshot)?;
        bench.finish(strip)?;
    }
    let (row, covered) = bench.row("behind a snapshot", began)?;
    rows.push(row);
    let saved = bench.saved()?;
    let sizes = SEGMENT_SIZES.map(|size| format!("{size}: {:.2}", bench.batch_bytes(size)));
    let count = bench.chunks.len() as f64;
    let without_hashes = |used: &DiskUse| (used.rows + used.segments + used.snapshots + used.other) as f64;
    let (empty, at_rest, behind) = (without_hashes(&empty), without_hashes(&packed), without_hashes(&covered));
    let (left_out, judged) = if saved < SMALL_BYTES { (empty, "all but those") } else { (0.0, "all of it") };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{name}: {} changes, bytes on the disk\n", grouped(count as u64))?;
    write_table(&mut out, &rows)?;
    writeln!(
        out,
        "\n  batches of so many changes, bytes a change: {}\n  packed: {:.2} B a change without hashes, {:.2} of them what an empty log \
        takes (target {SEGMENTS_TARGET_BYTES:.2} for {judged})\n  save() takes {} B; behind a snapshot the log takes {:.2} times \
        that without hashes, {:.2} of them what an empty one takes (target {SNAPSHOT_TARGET} for {judged})\n",
        sizes.join(", "),
        at_rest / count,
        empty / count,
        grouped(saved as u64),
        behind / saved as f64,
        empty / saved as f64,
    )?;
    let is_missed =
        [(at_rest - left_out) / count > SEGMENTS_TARGET_BYTES, behind - left_out > SNAPSHOT_TARGET * saved as f64];
    Ok(is_missed.into_iter().filter(|missed| *missed).count())
}

fn chunks(entity: EntityId, changes: Vec<Vec<u8>>) -> Result<Vec<DecodedChunk>, Box<dyn Error>> {
    let collection: Collection = "notes".parse()?;
    let chunk = |bytes: Vec<u8>| DecodedChunk {
        entity,
        collection: collection.clone(),
        kind: ChunkKind::Change,
        header: ChangeHeader::read_in(entity, &bytes, &Limits::DEFAULT),
        bytes,
    };
    Ok(changes.into_iter().map(chunk).collect())
}

struct Bench {
    log: SqliteLog,
    chunks: Vec<DecodedChunk>,
    start: Cursor,
}

/// What a verdict is asked.
type Check = fn(&ChunkVerdict) -> bool;

fn is_stored(verdict: &ChunkVerdict) -> bool {
    matches!(verdict, ChunkVerdict::Stored { .. })
}

fn is_duplicate(verdict: &ChunkVerdict) -> bool {
    matches!(verdict, ChunkVerdict::Duplicate { .. })
}

impl Bench {
    fn open(&mut self) -> Result<(), Box<dyn Error>> {
        let request = OpenRequest { channel: Channel(0), space: SPACE, cursor: None, create: true, invitation: None };
        match self.log.open(Principal::ANYONE, &request, self.start.log, NOW)?.into_inner() {
            OpenAnswer::Served { .. } => Ok(()),
            _ => Err(Broken("does not serve a new space").into()),
        }
    }

    fn push(&mut self, check: Check) -> Result<(), Box<dyn Error>> {
        for chunks in self.chunks.chunks(PUSH_CHANGES) {
            let (push, chunks) = (PushNumber(1), chunks.to_vec());
            let request = AppendRequest { channel: Channel(0), space: SPACE, push, told: self.start, chunks };
            let appended = self.log.append(vec![(Principal::ANYONE, request)], NOW)?.into_inner();
            for answer in appended.answers {
                let AppendAnswer::Verdicts(verdicts) = answer else { return Err(Broken("refuses a push").into()) };
                if !verdicts.iter().all(check) {
                    return Err(Broken("answers a push otherwise than it should").into());
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self, task: Task) -> Result<(), Box<dyn Error>> {
        while let Some(work) = self.log.gather(task)? {
            if let Settled::Failed(fault) = self.log.settle(work.run())?.into_inner() {
                return if fault.is_failure() { Err(fault.into()) } else { Ok(()) };
            }
        }
        Ok(())
    }

    /// Reads everything and compares it byte for byte.
    fn read(&mut self) -> Result<(), Box<dyn Error>> {
        let (mut position, mut done) = (self.start, 0);
        loop {
            let channel = Channel(0);
            let request = ReadRequest {
                channel,
                space: SPACE,
                position,
                told: position,
                bytes_max: 768 << 10,
                filter: std::sync::Arc::default(),
                snapshots: None,
            };
            let answer = self.log.read(Principal::ANYONE, &request, NOW)?.into_inner();
            let ReadAnswer::Run { run, .. } = answer else {
                return Err(Broken("does not know its own position").into());
            };
            if run.entries().is_empty() {
                break;
            }
            let expected = self.chunks.iter().skip(done);
            if run.entries().iter().zip(expected).any(|(entry, chunk)| entry.bytes != chunk.bytes) {
                return Err(Broken("gives other bytes than were appended").into());
            }
            position = run.after();
            done += run.entries().len();
        }
        if done == self.chunks.len() { Ok(()) } else { Err(Broken("gives less than was appended").into()) }
    }

    fn row(&mut self, name: &str, began: Instant) -> Result<(Vec<String>, DiskUse), Box<dyn Error>> {
        let seconds = |began: Instant| format!("{:.1} s", began.elapsed().as_secs_f64());
        let done_in = seconds(began);
        let began = Instant::now();
        self.read()?;
        let read_in = seconds(began);
        let began = Instant::now();
        self.push(is_duplicate)?;
        let pushed_in = seconds(began);
        self.log.give_back()?;
        let used = self.log.disk_use()?;
        let parts = [used.rows, used.segments, used.snapshots, used.hashes, used.other].map(grouped);
        let row = [name.to_owned()].into_iter().chain(parts).chain([done_in, read_in, pushed_in]);
        Ok((row.collect(), used))
    }

    /// How many bytes a change takes in batches of so many.
    fn batch_bytes(&self, size: usize) -> f64 {
        let batch = |chunks: &[DecodedChunk]| {
            let chunks = chunks.iter().map(|chunk| BatchChunk {
                entity: chunk.entity,
                collection: &chunk.collection,
                kind: chunk.kind,
                bytes: &chunk.bytes,
            });
            encode_batch(chunks).len()
        };
        let bytes: usize = self.chunks.chunks(size).map(batch).sum();
        bytes as f64 / self.chunks.len().max(1) as f64
    }

    /// How many bytes the engine saves the document in.
    fn saved(&self) -> Result<usize, Box<dyn Error>> {
        let mut document = Automerge::new();
        let changes = self.chunks.iter().map(|chunk| Change::from_bytes(chunk.bytes.clone()));
        document.apply_changes(changes.collect::<Result<Vec<_>, _>>()?)?;
        Ok(document.save().len())
    }
}
