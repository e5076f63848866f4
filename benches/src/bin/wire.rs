//! Bytes a change in the messages of device and relay, envelope, ids, hashes and checks included, WebSocket headers not.
//!
//! The changes are the library's own, one for each keystroke, with times as a person types. They are pushed as each
//! author's own device would, which knows what the other wrote by its place in the log, and read by a third device and
//! by the authors themselves; keystrokes also go through real sessions, one by one. Everything is decoded again and
//! compared. The exit code is 1 when a target is missed, a history is not there, or none is long enough to show anything.

use afield_benches::history::History;
use afield_benches::report::{Progress, exit_code, grouped, write_table};
use afield_benches::sessions::{Sizes, carry};
use afield_benches::typing::type_again;
use afield_benches::updates::{Update, update_fields};
use afield_core::change::ChangeHeader;
use afield_core::log::{ChainHash, ChunkHash, ChunkKind};
use afield_core::wire::{
    self, BatchChunk, BatchError, ChainCheck, Channel, ChunkBudget, Chunks, LiveItem, LiveMessage, LiveState, Push,
    PushNumber, PushStream, Segment, ToDevice, ToRelay, WireError,
};
use afield_core::{ChangeHash, Collection, EntityId, Limits, LogId, Sequence};
use clap::Parser;
use serde::Serialize;
use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// How many changes go together: a keystroke by itself, a pause in typing, a while offline, a catch-up.
const TOGETHER: [usize; 4] = [1, 10, 100, 1_000];
/// What is aimed for, in bytes a change: alone in the live form, and by the thousand in batches.
const LIVE_TARGET: (usize, f64) = (1, 16.0);
const BATCH_TARGET: (usize, f64) = (1_000, 4.0);
/// How many entities the updates of fields are of.
const UPDATED_ENTITIES: usize = 1_000;

/// Measure how many bytes a change takes on the wire; fails when that is more than is aimed for.
#[derive(Debug, Parser)]
struct Arguments {
    /// Recorded histories, such as friendsforever.json.gz
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Stop after so many keystrokes of each history
    #[arg(long, value_name = "COUNT")]
    keystrokes: Option<usize>,
    /// Measure so many updates of single fields of 1,000 entities by two devices, too; they have no target
    #[arg(long, value_name = "COUNT")]
    updates: Option<usize>,
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
    /// One change a message through real sessions, for what was typed.
    session: Option<Session>,
}

/// The messages of real sessions with one change each, in bytes before the WebSocket's header.
#[derive(Debug, Serialize)]
struct Session {
    push: Option<Sizes>,
    chunks: Option<Sizes>,
    own: Option<Sizes>,
    receipt: Option<Sizes>,
    /// Pushes and chunks that were no live messages.
    plain: usize,
    target_bytes: f64,
}

#[derive(Debug, Serialize)]
struct Row {
    form: &'static str,
    together: usize,
    /// From each author's device, in bytes a change.
    push_bytes: Option<f64>,
    /// To a third device, in bytes a change.
    chunks_bytes: Option<f64>,
    /// To the authors' devices, which have their own changes, in bytes a change.
    own_bytes: Option<f64>,
    target_bytes: Option<f64>,
}

/// What is aimed for is not shown to be reached.
#[derive(Debug, thiserror::Error)]
enum NotReached {
    #[error("{0} of the targets are missed")]
    Targets(usize),
    #[error("no history is long enough for a batch with a target")]
    TooShort,
}

/// What was sent does not come out again.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("a live message does not open: {0}")]
    Message(#[from] WireError),
    #[error("changes do not decode: {0}")]
    Batch(#[from] BatchError),
    #[error("changes are not the same after they were sent")]
    Changed,
}

fn main() -> ExitCode {
    exit_code("wire", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    let (mut compared, mut missed) = (0, 0);
    let mut show = |report: &Report| -> Result<(), Box<dyn Error>> {
        if arguments.json {
            writeln!(out, "{}", serde_json::to_string(report)?)?;
        } else {
            report.write(&mut out)?;
        }
        Ok(())
    };
    for file in &arguments.files {
        let mut history = History::read(file)?;
        history.transactions.truncate(arguments.keystrokes.unwrap_or(usize::MAX));
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let progress = Progress::start("typing", history.transactions.len() as u64);
        let typed = type_again(&history, Some(progress))?;
        let made = typed.root.into_iter().chain(typed.keystrokes);
        let log = Log::of(made.map(|made| Update { entity: typed.entity, made }).collect())?;
        let report = log.measure(name, true)?;
        compared += report.rows.iter().filter(|row| row.target_bytes.is_some()).count();
        missed += report.rows.iter().filter(|row| row.is_missed()).count();
        missed += report.session.iter().filter(|session| session.is_missed()).count();
        show(&report)?;
    }
    if let Some(updates) = arguments.updates {
        let log = Log::of(update_fields(UPDATED_ENTITIES, updates)?)?;
        show(&log.measure("updates of fields".to_owned(), false)?)?;
    }
    match (compared, missed) {
        (0, _) => Err(NotReached::TooShort.into()),
        (_, 0) => Ok(()),
        (_, missed) => Err(NotReached::Targets(missed).into()),
    }
}

/// The log of one space, in the order in which its changes were made.
struct Log {
    collection: Collection,
    changes: Vec<Update>,
    positions: BTreeMap<(EntityId, ChangeHash), Sequence>,
    chain: Vec<ChainHash>,
}

/// Bytes in messages, and the changes in them.
#[derive(Default)]
struct Sum {
    bytes: usize,
    changes: usize,
}

impl Sum {
    fn add(&mut self, message: &[u8], changes: usize) {
        self.bytes += message.len();
        self.changes += changes;
    }

    /// Bytes a change; `None` when nobody made so many changes as go together.
    fn mean(&self) -> Option<f64> {
        (self.changes > 0).then(|| self.bytes as f64 / self.changes as f64)
    }
}

impl Log {
    fn of(changes: Vec<Update>) -> Result<Self, Box<dyn Error>> {
        let mut chain = vec![ChainHash::start(LogId::from_bytes([4; 16]))];
        let mut positions = BTreeMap::new();
        for (Update { entity, made }, sequence) in changes.iter().zip(1..) {
            ChangeHeader::read(&made.bytes, &Limits::DEFAULT)?;
            positions.insert((*entity, made.hash), Sequence::new(sequence));
            let last = chain.last().copied().unwrap_or(ChainHash::start(LogId::from_bytes([4; 16])));
            let kind = ChunkKind::Change.number();
            chain.push(last.then(Sequence::new(sequence), *entity, kind, ChunkHash::of(&made.bytes)));
        }
        Ok(Self { collection: "notes".parse()?, changes, positions, chain })
    }

    fn chunk<'a>(&'a self, update: &'a Update) -> BatchChunk<'a> {
        let (collection, kind) = (&self.collection, ChunkKind::Change);
        BatchChunk { entity: update.entity, collection, kind, bytes: &update.made.bytes }
    }

    fn chunks<'a>(&'a self, updates: &[&'a Update]) -> Vec<BatchChunk<'a>> {
        updates.iter().map(|update| self.chunk(update)).collect()
    }

    fn known_at(&self, entity: EntityId, hash: ChangeHash) -> Option<Sequence> {
        self.positions.get(&(entity, hash)).copied()
    }

    fn resolve(&self, sequence: Sequence) -> Option<(EntityId, ChangeHash)> {
        let place = usize::try_from(sequence.get()).ok()?.checked_sub(1)?;
        self.changes.get(place).map(|update| (update.entity, update.made.hash))
    }

    fn authors(&self) -> usize {
        self.changes.iter().map(|update| update.made.author + 1).max().unwrap_or(0)
    }

    /// What one author made.
    fn own(&self, author: usize) -> Vec<&Update> {
        self.changes.iter().filter(|update| update.made.author == author).collect()
    }

    fn measure(&self, history: String, has_targets: bool) -> Result<Report, Box<dyn Error>> {
        let target = |(at, bytes): (usize, f64), together| (has_targets && at == together).then_some(bytes);
        let mut rows = Vec::new();
        for together in TOGETHER {
            rows.push(Row {
                form: "live",
                together,
                push_bytes: self.live_pushes(together)?.mean(),
                chunks_bytes: self.live_chunks(together, None)?.mean(),
                own_bytes: self.live_chunks_of_authors(together)?.mean(),
                target_bytes: target(LIVE_TARGET, together),
            });
        }
        for together in TOGETHER {
            rows.push(Row {
                form: "batch",
                together,
                push_bytes: self.pushes(together)?.mean(),
                chunks_bytes: self.batches(together)?.mean(),
                own_bytes: None,
                target_bytes: target(BATCH_TARGET, together),
            });
        }
        rows.push(Row {
            form: "kept by the relay",
            together: BATCH_TARGET.0,
            push_bytes: None,
            chunks_bytes: self.at_rest(BATCH_TARGET.0)?.mean(),
            own_bytes: None,
            target_bytes: None,
        });
        rows.retain(|row| row.push_bytes.is_some() || row.chunks_bytes.is_some());
        let raw: usize = self.changes.iter().map(|update| update.made.bytes.len()).sum();
        let raw_bytes = raw as f64 / self.changes.len().max(1) as f64;
        let session = if has_targets { Some(self.session()?) } else { None };
        Ok(Report { history, changes: self.changes.len() as u64, raw_bytes, rows, session })
    }

    /// What each keystroke takes through real sessions.
    fn session(&self) -> Result<Session, Box<dyn Error>> {
        let carried = carry(&self.collection, &self.changes)?;
        let [push, chunks, own, receipt] =
            [&carried.pushes, &carried.chunks, &carried.own, &carried.receipts].map(|sizes| Sizes::of(sizes));
        Ok(Session { push, chunks, own, receipt, plain: carried.plain, target_bytes: LIVE_TARGET.1 })
    }

    /// What each author's device pushes, over a stream of its own.
    fn live_pushes(&self, together: usize) -> Result<Sum, Broken> {
        let mut sum = Sum::default();
        for author in 0..self.authors() {
            let (mut device, mut relay) = (PushStream::new(), PushStream::new());
            for (number, updates) in (1..).map(PushNumber).zip(self.own(author).chunks_exact(together)) {
                let chunks = self.chunks(updates);
                let message = device.encode(Channel(0), number, &chunks, |entity, hash| self.known_at(entity, hash));
                let opened = LiveMessage::open(&message)?.ok_or(Broken::Changed)?;
                let decoded = relay.decode(&opened, number, &Limits::DEFAULT, |sequence| self.resolve(sequence))?;
                if !decoded.iter().map(|chunk| &chunk.bytes[..]).eq(chunks.iter().map(|chunk| chunk.bytes)) {
                    return Err(Broken::Changed);
                }
                sum.add(&message, updates.len());
            }
        }
        Ok(sum)
    }

    /// What the authors' devices read.
    fn live_chunks_of_authors(&self, together: usize) -> Result<Sum, Broken> {
        let mut sum = Sum::default();
        for author in 0..self.authors() {
            let read = self.live_chunks(together, Some(author))?;
            sum.bytes += read.bytes;
            sum.changes += read.changes;
        }
        Ok(sum)
    }

    /// What a device reads that made all changes of `reader`, or none.
    fn live_chunks(&self, together: usize, reader: Option<usize>) -> Result<Sum, Broken> {
        let (mut relay, mut device) = (LiveState::new(), LiveState::new());
        let mut sum = Sum::default();
        let ends = self.chain.iter().skip(together).step_by(together);
        for (number, (updates, chain)) in self.changes.chunks_exact(together).zip(ends).enumerate() {
            let is_own = |update: &&Update| reader == Some(update.made.author);
            let rows: Vec<_> = updates.iter().map(|update| relay.encode(&self.chunk(update), |_, _| None)).collect();
            let mut items = Vec::new();
            let mut place = 0;
            while let Some(update) = updates.get(place) {
                let own = updates.iter().skip(place).take_while(is_own).count();
                match rows.get(place) {
                    Some(row) if !is_own(&update) => items.push(row.clone()),
                    _ => items.push(wire::own_item(0, own as u64)),
                }
                place += own.max(1);
            }
            let check = relay.chunks_check(chain);
            let message = wire::encode_live_chunks(Channel(0), number == 0, items.iter().map(Vec::as_slice), check);
            self.read(&message, updates, &mut device)?;
            sum.add(&message, updates.len());
        }
        Ok(sum)
    }

    /// Reads a message as its reader does, and compares.
    fn read(&self, message: &[u8], updates: &[Update], device: &mut LiveState) -> Result<(), Broken> {
        let opened = LiveMessage::open(message)?.ok_or(Broken::Changed)?;
        let (mut items, mut budget) = (opened.items(), ChunkBudget::WHOLE);
        let mut left = updates.iter();
        while let Some(item) = device.decode(&mut items, &Limits::DEFAULT, &mut budget, |_| None)? {
            match item {
                LiveItem::Own { count, .. } => {
                    for _ in 0..count {
                        device.observe(&self.chunk(left.next().ok_or(Broken::Changed)?));
                    }
                }
                LiveItem::Chunk(chunk) if left.next().is_some_and(|update| update.made.bytes == chunk.bytes) => {}
                LiveItem::Chunk(_) => return Err(Broken::Changed),
            }
        }
        if left.next().is_some() { Err(Broken::Changed) } else { Ok(()) }
    }

    /// What each author's device pushes in batches.
    fn pushes(&self, together: usize) -> Result<Sum, Broken> {
        let mut sum = Sum::default();
        for author in 0..self.authors() {
            for (number, updates) in (1..).zip(self.own(author).chunks_exact(together)) {
                let chunks = self.chunks(updates);
                let batch =
                    wire::encode_batch_over_log(chunks.iter().copied(), |entity, hash| self.known_at(entity, hash));
                self.compare(&batch, &chunks)?;
                let push = Push { number: PushNumber(number), channel: Channel(0), batch: batch.as_slice().into() };
                sum.add(&wire::encode_to_relay(&ToRelay::Push(push)), updates.len());
            }
        }
        Ok(sum)
    }

    /// What a device reads in batches.
    fn batches(&self, together: usize) -> Result<Sum, Broken> {
        let mut sum = Sum::default();
        for (number, updates) in self.changes.chunks_exact(together).enumerate() {
            let chunks: Vec<_> = updates.iter().map(|update| self.chunk(update)).collect();
            let batch = wire::encode_batch(chunks.iter().copied());
            self.compare(&batch, &chunks)?;
            let after = Sequence::new((number * together) as u64);
            // The leading bytes of a hash take the same room whatever they are.
            let (segments, check) = (vec![Segment::Batch(&batch)], ChainCheck::from([0xaf; 8]));
            let frame = ToDevice::Chunks(Chunks { channel: Channel(0), after, segments, check, left: None });
            sum.add(&wire::encode_to_device(&frame), updates.len());
        }
        Ok(sum)
    }

    /// What the relay keeps.
    fn at_rest(&self, together: usize) -> Result<Sum, Broken> {
        let mut sum = Sum::default();
        for updates in self.changes.chunks_exact(together) {
            let chunks: Vec<_> = updates.iter().map(|update| self.chunk(update)).collect();
            let batch = wire::encode_batch_at_rest(chunks.iter().copied());
            self.compare(&batch, &chunks)?;
            sum.add(&batch, updates.len());
        }
        Ok(sum)
    }

    fn compare(&self, batch: &[u8], chunks: &[BatchChunk<'_>]) -> Result<(), Broken> {
        let mut budget = ChunkBudget::WHOLE;
        let resolve = |sequence| self.resolve(sequence);
        let decoded = wire::decode_batch_over_log(batch, &Limits::DEFAULT, &mut budget, resolve)?;
        let is_same = decoded.iter().map(|chunk| &chunk.bytes[..]).eq(chunks.iter().map(|chunk| chunk.bytes));
        if is_same { Ok(()) } else { Err(Broken::Changed) }
    }
}

impl Row {
    /// Whether changes in this form take more than is aimed for.
    fn is_missed(&self) -> bool {
        let bytes = [self.push_bytes, self.chunks_bytes, self.own_bytes];
        self.target_bytes.is_some_and(|target| bytes.into_iter().flatten().any(|bytes| bytes > target))
    }
}

impl Session {
    /// Whether a keystroke takes more than is aimed for on its way to the relay or from it.
    fn is_missed(&self) -> bool {
        [self.push, self.chunks].iter().flatten().any(|sizes| sizes.mean > self.target_bytes)
    }

    fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        writeln!(out, "through real sessions, one keystroke a message; {} were no live messages:", self.plain)?;
        let mut table = vec![["message", "median", "mean", "largest", "target"].map(str::to_owned).to_vec()];
        for (name, sizes, has_target) in [
            ("to the relay", self.push, true),
            ("to a reader", self.chunks, true),
            ("to the author", self.own, false),
            ("receipt", self.receipt, false),
        ] {
            let Some(Sizes { median, mean, largest }) = sizes else { continue };
            let target = if has_target { format!("{:.0} B", self.target_bytes) } else { String::new() };
            let [median, largest] = [median, largest].map(|bytes| format!("{bytes} B"));
            table.push(vec![name.to_owned(), median, format!("{mean:.1} B"), largest, target]);
        }
        write_table(out, &table)
    }
}

impl Report {
    fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let Self { history, changes, raw_bytes, rows, session } = self;
        writeln!(out, "{history}: {} changes, {raw_bytes:.1} B a change as Automerge encodes them", grouped(*changes))?;
        let heads = ["form", "together", "Push", "Chunks", "to the authors", "target"];
        let mut table = vec![heads.map(str::to_owned).to_vec()];
        let cell = |bytes: Option<f64>| bytes.map_or_else(String::new, |bytes| format!("{bytes:.1} B"));
        table.extend(rows.iter().map(|row| {
            vec![
                row.form.to_owned(),
                grouped(row.together as u64),
                cell(row.push_bytes),
                cell(row.chunks_bytes),
                cell(row.own_bytes),
                row.target_bytes.map_or_else(String::new, |bytes| format!("{bytes:.0} B")),
            ]
        }));
        write_table(out, &table)?;
        session.as_ref().map_or(Ok(()), |session| session.write(out))
    }
}
