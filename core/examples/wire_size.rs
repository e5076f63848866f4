//! Prints how many bytes a change takes on the wire, for real editing histories cut into batches of different sizes.
//!
//! `cargo run --release -p afield-core --example wire_size [folder]`, where the folder holds `friendsforever.json.gz` and
//! `automerge-paper.json.gz` of <https://github.com/josephg/editing-traces>; it is `../shared/data` when not given.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a command beside the library, which stays pure"
)]
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use afield_core::change::ChangeHeader;
use afield_core::wire::{BatchChunk, decode_batch, encode_batch};
use afield_core::{ChangeHash, ChunkKind, Collection, EntityId, Limits};
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, AutoCommit, Change, ObjType, ROOT};
use serde_json::Value;
use std::collections::BTreeMap;
use std::error::Error;
use std::io::Read;
use std::path::Path;

/// How many keystrokes are replayed of a history.
const KEYSTROKES_MAX: usize = 20_000;
const BATCH_SIZES: [usize; 5] = [1, 10, 20, 100, 1_000];

type Entry = (EntityId, Vec<u8>);

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "../shared/data".to_owned());
    for name in ["friendsforever", "automerge-paper"] {
        let path = Path::new(&folder).join(format!("{name}.json.gz"));
        if path.exists() {
            report(name, &history(&path)?)?;
        } else {
            println!("{name}: skipped, {} is not there", path.display());
        }
    }
    report("map-updates", &map_updates()?)
}

fn report(name: &str, entries: &[Entry]) -> Result<(), Box<dyn Error>> {
    let collection: Collection = "notes".parse()?;
    let raw: usize = entries.iter().map(|(_, bytes)| bytes.len()).sum();
    let started = now();
    for (_, bytes) in entries {
        ChangeHeader::read(bytes, &Limits::DEFAULT)?;
    }
    let header = ratio_us(started.elapsed(), entries.len());
    println!(
        "{name}: {} changes, {:.1} bytes a change raw, header read in {header:.2} us",
        entries.len(),
        ratio(raw, entries.len())
    );
    for size in BATCH_SIZES {
        let batches: Vec<&[Entry]> = entries.chunks_exact(size).collect();
        let chunk = |(entity, bytes): &'_ Entry| (*entity, bytes.clone());
        let batches: Vec<Vec<Entry>> = batches.iter().map(|batch| batch.iter().map(chunk).collect()).collect();
        let started = now();
        let encoded: Vec<Vec<u8>> = batches
            .iter()
            .map(|batch| {
                encode_batch(batch.iter().map(|(entity, bytes)| BatchChunk {
                    entity: *entity,
                    collection: &collection,
                    kind: ChunkKind::Change,
                    bytes,
                }))
            })
            .collect();
        let encoding = started.elapsed();
        let started = now();
        for (batch, encoded) in batches.iter().zip(&encoded) {
            let decoded = decode_batch(encoded, &Limits::DEFAULT)?;
            let same = decoded.iter().zip(batch).all(|(decoded, (_, bytes))| decoded.bytes == *bytes);
            assert!(same && decoded.len() == batch.len(), "a batch gives back what was put in");
        }
        let decoding = started.elapsed();
        let changes = batches.len() * size;
        let bytes: usize = encoded.iter().map(Vec::len).sum();
        println!(
            "  batches of {size:>5}: {:>6.2} bytes a change, encode {:.2} us, decode {:.2} us",
            ratio(bytes, changes),
            ratio_us(encoding, changes),
            ratio_us(decoding, changes),
        );
    }
    Ok(())
}

fn ratio(total: usize, count: usize) -> f64 {
    total as f64 / count.max(1) as f64
}

fn ratio_us(total: std::time::Duration, count: usize) -> f64 {
    total.as_secs_f64() * 1e6 / count.max(1) as f64
}

#[expect(clippy::disallowed_methods, reason = "an example measures")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// Times as a person types: 100 to 300 ms between two keystrokes, from a fixed generator.
struct Clock {
    time_ms: i64,
    state: u64,
}

impl Clock {
    fn new() -> Self {
        Self { time_ms: 1_760_000_000_000, state: 7 }
    }

    fn next(&mut self, span: u64) -> u64 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) % span
    }

    fn tick(&mut self) -> CommitOptions {
        self.time_ms += 100 + self.next(201).cast_signed();
        CommitOptions::default().with_time(self.time_ms)
    }
}

#[expect(clippy::disallowed_methods, reason = "the actor is given right after")]
fn document(actor: [u8; 16]) -> AutoCommit {
    AutoCommit::new().with_actor(ActorId::from(actor))
}

fn actor(number: u64, clock: &mut Clock) -> [u8; 16] {
    let mut bytes = [0; 16];
    let words = [clock.next(u64::from(u32::MAX)) << 20 | number, clock.next(u64::from(u32::MAX)) << 27 | number];
    bytes.iter_mut().zip(words.iter().flat_map(|word| word.to_le_bytes())).for_each(|(byte, random)| *byte = random);
    bytes
}

/// Replays a history with one document for each author, each transaction made when the document holds its parents.
fn history(path: &Path) -> Result<Vec<Entry>, Box<dyn Error>> {
    let mut json = String::new();
    flate2::read::GzDecoder::new(&std::fs::read(path)?[..]).read_to_string(&mut json)?;
    let trace: Value = serde_json::from_str(&json)?;
    let transactions = trace.get("txns").and_then(Value::as_array).ok_or("no transactions")?;
    let mut replay = Replay { clock: Clock::new(), authors: BTreeMap::new(), changes: Vec::new(), parents: Vec::new() };
    for transaction in transactions.iter().take(KEYSTROKES_MAX) {
        replay.transaction(transaction)?;
    }
    let entity = EntityId::from_bytes(*uuid::Uuid::parse_str("0199c5ee-4000-7a61-9d2e-5f4a3b2c1d0e")?.as_bytes());
    Ok(replay.changes.iter().map(|change| (entity, change.raw_bytes().to_vec())).collect())
}

struct Author {
    document: AutoCommit,
    held: Vec<bool>,
}

struct Replay {
    clock: Clock,
    authors: BTreeMap<u64, Author>,
    changes: Vec<Change>,
    parents: Vec<Vec<usize>>,
}

impl Replay {
    fn transaction(&mut self, transaction: &Value) -> Result<(), Box<dyn Error>> {
        let number = transaction.get("agent").and_then(Value::as_u64).unwrap_or(0);
        let parents = transaction.get("parents").and_then(Value::as_array).map_or_else(Vec::new, |parents| {
            parents.iter().filter_map(Value::as_u64).map(|parent| parent as usize).collect::<Vec<_>>()
        });
        if !self.authors.contains_key(&number) {
            let document = document(actor(number, &mut self.clock));
            self.authors.insert(number, Author { document, held: Vec::new() });
        }
        let author = self.authors.get_mut(&number).ok_or("the author has just been added")?;
        let mut missing = missing(author, &self.parents, &parents);
        missing.sort_unstable();
        if !missing.is_empty() {
            let changes = missing.iter().filter_map(|index| self.changes.get(*index)).cloned();
            author.document.apply_changes(changes)?;
        }
        let text = match automerge::ReadDoc::get(&author.document, ROOT, "text")? {
            Some((_, text)) => text,
            None => author.document.put_object(ROOT, "text", ObjType::Text)?,
        };
        for patch in transaction.get("patches").and_then(Value::as_array).into_iter().flatten() {
            let number = |index: usize| patch.get(index).and_then(Value::as_u64).unwrap_or(0);
            let inserted = patch.get(2).and_then(Value::as_str).unwrap_or("");
            author.document.splice_text(&text, number(0) as usize, number(1) as isize, inserted)?;
        }
        let hash: Option<ChangeHash> = author.document.commit_with(self.clock.tick());
        let change = author.document.get_last_local_change().filter(|change| Some(change.hash()) == hash);
        let index = self.changes.len();
        author.held.resize(index + 1, false);
        author.held.iter_mut().skip(index).for_each(|held| *held = true);
        self.changes.push(change.ok_or("a transaction without an edit")?);
        self.parents.push(parents);
        Ok(())
    }
}

/// The ancestors that an author does not hold yet; marks them as held.
fn missing(author: &mut Author, parents: &[Vec<usize>], wanted: &[usize]) -> Vec<usize> {
    author.held.resize(parents.len(), false);
    let mut missing = Vec::new();
    let mut open = wanted.to_vec();
    while let Some(index) = open.pop() {
        if let Some(held @ false) = author.held.get_mut(index) {
            *held = true;
            missing.push(index);
            open.extend(parents.get(index).into_iter().flatten());
        }
    }
    missing
}

/// 4,000 updates of single fields of 1,000 map entities by two devices.
fn map_updates() -> Result<Vec<Entry>, Box<dyn Error>> {
    let mut clock = Clock::new();
    let devices = [actor(1, &mut clock), actor(2, &mut clock)];
    let mut documents = Vec::new();
    let mut entries = Vec::new();
    for number in 0..1_000 {
        let mut id = actor(number, &mut clock);
        id.iter_mut().zip([0x01, 0x99, 0xc5, 0xee, 0x40]).for_each(|(byte, fixed)| *byte = fixed);
        let entity = EntityId::from_bytes(id);
        let mut one = document(*devices.first().ok_or("two devices")?);
        for field in ["title", "body", "done", "due", "owner"] {
            one.put(ROOT, field, format!("{field} of entity {number}"))?;
        }
        one.commit_with(clock.tick());
        let mut two = document(*devices.last().ok_or("two devices")?);
        two.merge(&mut one)?;
        documents.push((entity, [one, two]));
    }
    for update in 0..4_000 {
        let index = clock.next(1_000) as usize;
        let (entity, replicas) = documents.get_mut(index).ok_or("as many documents as that")?;
        let [one, two] = replicas;
        let (writer, reader) = if clock.next(2) == 0 { (one, two) } else { (two, one) };
        let field = ["title", "body", "done", "due", "owner"].get(clock.next(5) as usize).copied().unwrap_or("title");
        writer.put(ROOT, field, format!("value {update}"))?;
        writer.commit_with(clock.tick());
        let change = writer.get_last_local_change().ok_or("a change was made")?;
        entries.push((*entity, change.raw_bytes().to_vec()));
        reader.merge(writer)?;
    }
    Ok(entries)
}
