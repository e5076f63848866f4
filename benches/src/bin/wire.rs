//! Bytes a change on the recorded histories, WebSocket headers and masks included.
//!
//! The changes are the library's own, one for each keystroke, with times as a person types. They travel in the frames
//! that a device and a relay send, through a link that counts what each message takes on the wire. The exit code is 1 when
//! a target is missed, a history is not there, or none is long enough to show anything.

use afield_benches::history::History;
use afield_benches::report::{Progress, exit_code, grouped, write_table};
use afield_benches::typing::{Keystroke, Typed, type_again};
use afield_core::log::ChunkKind;
use afield_core::wire::{self, BatchChunk, ChainCheck, Channel, Chunks, Push, PushNumber, Segment, ToDevice, ToRelay};
use afield_core::{Collection, Sequence};
use afield_transport::memory_pair;
use clap::Parser;
use serde::Serialize;
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// The sizes of the batches: a keystroke by itself, a pause in typing, a catch-up.
const BATCH_SIZES: [usize; 3] = [1, 10, 1_000];
/// What is aimed for, in bytes a change, at these sizes of a batch.
const TARGETS: [(usize, f64); 2] = [(10, 34.0), (1_000, 8.0)];

/// Measure how many bytes a change takes on the wire; fails when that is more than is aimed for.
#[derive(Debug, Parser)]
struct Arguments {
    /// Recorded histories, such as friendsforever.json.gz
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Stop after so many keystrokes of each history
    #[arg(long, value_name = "COUNT")]
    keystrokes: Option<usize>,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    history: String,
    changes: u64,
    /// The changes as Automerge encodes them, in bytes a change.
    raw_bytes: f64,
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    batch: usize,
    /// In `Push` frames, masked, in bytes a change.
    push_bytes: f64,
    /// In `Chunks` frames, in bytes a change.
    chunks_bytes: f64,
    target_bytes: Option<f64>,
}

fn main() -> ExitCode {
    exit_code("wire", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    let (mut compared, mut missed) = (0, 0);
    for file in &arguments.files {
        let mut history = History::read(file)?;
        history.transactions.truncate(arguments.keystrokes.unwrap_or(usize::MAX));
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let report = measure(name, &history)?;
        compared += report.rows.iter().filter(|row| row.target_bytes.is_some()).count();
        missed += report.rows.iter().filter(|row| row.is_missed()).count();
        if arguments.json {
            writeln!(out, "{}", serde_json::to_string(&report)?)?;
        } else {
            report.write(&mut out)?;
        }
    }
    match (compared, missed) {
        (0, _) => Err(NotReached::TooShort.into()),
        (_, 0) => Ok(()),
        (_, missed) => Err(NotReached::Targets(missed).into()),
    }
}

/// What is aimed for is not shown to be reached.
#[derive(Debug, thiserror::Error)]
enum NotReached {
    #[error("{0} of the targets are missed")]
    Targets(usize),
    #[error("no history is long enough for a batch with a target")]
    TooShort,
}

fn measure(name: String, history: &History) -> Result<Report, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let progress = Progress::start("typing", history.transactions.len() as u64);
    let Typed { entity, keystrokes: made, .. } = type_again(history, Some(progress))?;
    let collection: Collection = "notes".parse()?;
    let batch = |changes: &[&Keystroke]| {
        wire::encode_batch(changes.iter().map(|made| BatchChunk {
            entity,
            collection: &collection,
            kind: ChunkKind::Change,
            bytes: &made.bytes,
        }))
    };
    let in_order: Vec<&Keystroke> = made.iter().collect();
    let mut rows = Vec::new();
    for size in BATCH_SIZES {
        let mut pushes = Vec::new();
        for author in 0..history.authors() {
            let own: Vec<&Keystroke> = made.iter().filter(|made| made.author == author).collect();
            for (number, changes) in (1..).zip(own.chunks_exact(size)) {
                let batch = batch(changes);
                let push = Push { number: PushNumber(number), channel: Channel(0), batch: batch.as_slice().into() };
                pushes.push(wire::encode_to_relay(&ToRelay::Push(push)));
            }
        }
        let runs = in_order.chunks_exact(size).enumerate().map(|(number, changes)| {
            let after = Sequence::new((number * size) as u64);
            // The leading bytes of a hash take the same room whatever they are.
            let (segments, check) = (batch(changes), ChainCheck::from([0xaf; 8]));
            let segments = vec![Segment::Batch(&segments)];
            wire::encode_to_device(&ToDevice::Chunks(Chunks { channel: Channel(0), after, segments, check }))
        });
        let (pushed, chunks) = (pushes.len() * size, (in_order.len() / size) * size);
        if pushed == 0 {
            // No author of this history has typed so much.
            continue;
        }
        let (push_bytes, chunks_bytes) = runtime.block_on(on_the_wire(pushes, runs.collect()))?;
        rows.push(Row {
            batch: size,
            push_bytes: push_bytes as f64 / pushed as f64,
            chunks_bytes: chunks_bytes as f64 / chunks as f64,
            target_bytes: TARGETS.iter().find(|(of, _)| *of == size).map(|(_, bytes)| *bytes),
        });
    }
    let raw: usize = made.iter().map(|made| made.bytes.len()).sum();
    Ok(Report { history: name, changes: made.len() as u64, raw_bytes: raw as f64 / made.len().max(1) as f64, rows })
}

/// Sends messages both ways and gives the bytes they take with their headers and masks.
async fn on_the_wire(
    to_relay: Vec<Vec<u8>>,
    to_device: Vec<Vec<u8>>,
) -> Result<(u64, u64), afield_transport::LinkError> {
    let (mut device, mut relay) = memory_pair(1);
    for message in to_relay {
        device.send(message.into()).await?;
        relay.receive().await?;
    }
    for message in to_device {
        relay.send(message.into()).await?;
        device.receive().await?;
    }
    Ok((device.statistics().bytes_sent, relay.statistics().bytes_sent))
}

impl Row {
    /// Whether changes in batches of this size take more than is aimed for.
    fn is_missed(&self) -> bool {
        self.target_bytes.is_some_and(|target| self.push_bytes > target || self.chunks_bytes > target)
    }
}

impl Report {
    fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let Self { history, changes, raw_bytes, rows } = self;
        writeln!(out, "{history}: {} changes, {raw_bytes:.1} B a change as Automerge encodes them", grouped(*changes))?;
        let mut table = vec![["changes a batch", "Push, masked", "Chunks", "target"].map(str::to_owned).to_vec()];
        table.extend(rows.iter().map(|row| {
            vec![
                grouped(row.batch as u64),
                format!("{:.1} B", row.push_bytes),
                format!("{:.1} B", row.chunks_bytes),
                row.target_bytes.map_or_else(String::new, |bytes| format!("{bytes:.0} B")),
            ]
        }));
        write_table(out, &table)
    }
}
