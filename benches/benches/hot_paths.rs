//! The hot paths one by one: edit, append, encode, decode, apply, catch up.

use afield::{Driver, EntityId, Existence, Replica, SpaceId, Target, Value};
use afield_benches::clock::SystemEntropy;
use afield_benches::loopback::Loopback;
use afield_benches::typing::{TEXT, Typed, actor_of, apply, steady, type_again};
use afield_core::document::{Document, EditContext};
use afield_core::log::ChunkKind;
use afield_core::wire::{
    BatchChunk, Channel, LiveMessage, LiveState, PushNumber, PushStream, decode_batch, encode_batch,
};
use afield_core::{Collection, Limits, Now};
use afield_store::{Arrival, EntityWrite, NewChange, OpenOptions, Origin, Store, Synchronous};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;
use std::hint::black_box;

/// How long the text is that is edited: as a note is.
const KEYSTROKES: usize = 1_000;
/// How long a text is that should have been split into blocks.
const LARGE_TEXT: usize = 100_000;
/// How many small entities a fresh device catches up with.
const ENTITIES: usize = 1_000;
const NOW: Now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 1 };

fn typed() -> Typed {
    type_again(&steady(KEYSTROKES), None).expect("the history is consistent")
}

fn document(typed: &Typed, keystrokes: usize) -> Document {
    let mut document = Document::new(typed.entity);
    apply(&mut document, typed.root.iter().chain(typed.keystrokes.iter().take(keystrokes)))
        .expect("changes of our own");
    document
}

fn collection() -> Collection {
    "notes".parse().expect("a name of letters is valid")
}

fn edit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("edit");
    let typed = typed();
    let saved = document(&typed, KEYSTROKES).save();
    let load = || Document::load(typed.entity, Some(&saved), []).expect("what was saved loads");
    let context = EditContext::new(actor_of(1).expect("a small number"), NOW);
    group.bench_function("one field of a small entity", |bencher| {
        let mut document = Document::new(typed.entity);
        let mut number = 0;
        bencher.iter(|| {
            number += 1;
            document
                .edit(&context, &Limits::DEFAULT, |edit| edit.put("done", Value::Int(number)))
                .expect("a valid edit")
        });
    });
    group.bench_function("one keystroke in a text of 1,000", |bencher| {
        bencher.iter_batched_ref(
            load,
            |document| {
                let keystroke = document.edit(&context, &Limits::DEFAULT, |edit| edit.splice_text(TEXT, 500, 0, "x"));
                keystroke.expect("a valid edit")
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append");
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, synchronous) in [("synced (the disk's price)", Synchronous::Full), ("not synced", Synchronous::Normal)] {
        let options = OpenOptions { synchronous, ..OpenOptions::default() };
        let mut store = Store::open(folder.path().join(name), &options).expect("a new store opens");
        let (space, entity) = (SpaceId::from_bytes([1; 16]), EntityId::from_bytes([2; 16]));
        let _ = store.create_space(space, "home", Origin::MadeHere, NOW.wall_ms).expect("a new store takes a space");
        let mut document = Document::new(entity);
        let context = EditContext::new(actor_of(1).expect("a small number"), NOW);
        let (collection, mut number) = (collection(), 0);
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || {
                    number += 1;
                    let edited = document.edit(&context, &Limits::DEFAULT, |edit| edit.put("done", Value::Int(number)));
                    edited.expect("a valid edit").changes.pop().expect("one change")
                },
                |change| {
                    let changes = [NewChange { hash: change.hash, bytes: &change.bytes, arrival: Arrival::Applied }];
                    let write =
                        EntityWrite { space, entity, collection: &collection, changes: &changes, projection: None };
                    store.append(&[write], NOW.wall_ms).expect("the store works")
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// A key in a text, with its projection: read by nobody, and read after every key as each edit once did.
fn keystroke(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("keystroke, stored and projected, not synced");
    let folder = tempfile::tempdir().expect("a temporary folder");
    for letters in [1_000, LARGE_TEXT] {
        let replica = Replica::options().synchronous(Synchronous::Normal).open(folder.path().join(letters.to_string()));
        let replica = replica.expect("a new store opens");
        let home = replica.create_space("home").expect("a new store takes a space");
        let notes = home.collection::<()>("notes").expect("a valid name");
        let id = notes.json().insert(&json!({ TEXT: { "$text": "x".repeat(letters / 2) } })).expect("the store works");
        let note = notes.entity(id).expect("it was just made");
        // In two halves: one change holds no more operations.
        note.text(TEXT).splice(0, 0, &"x".repeat(letters / 2)).expect("the store works");
        group.bench_function(format!("in a text of {letters}"), |bencher| {
            bencher.iter(|| note.text(TEXT).splice(letters / 2, 1, "y").expect("the store works"));
        });
        group.bench_function(format!("in a text of {letters}, listed after each"), |bencher| {
            bencher.iter(|| {
                note.text(TEXT).splice(letters / 2, 1, "y").expect("the store works");
                notes.json().list().expect("the store works")
            });
        });
    }
    group.finish();
}

fn wire(criterion: &mut Criterion) {
    let (typed, collection) = (typed(), collection());
    let encode = |size: usize| {
        encode_batch(typed.keystrokes.iter().take(size).map(|keystroke| BatchChunk {
            entity: typed.entity,
            collection: &collection,
            kind: ChunkKind::Change,
            bytes: &keystroke.bytes,
        }))
    };
    for size in [1, 10, KEYSTROKES] {
        let mut group = criterion.benchmark_group("wire");
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(format!("encode a batch of {size}"), |bencher| bencher.iter(|| encode(black_box(size))));
        let batch = encode(size);
        group.bench_function(format!("decode a batch of {size}"), |bencher| {
            bencher.iter(|| decode_batch(black_box(&batch), &Limits::DEFAULT).expect("a batch of our own"));
        });
        group.finish();
    }
}

/// Every keystroke a message of its own, over the state of its stream.
fn live(criterion: &mut Criterion) {
    let (typed, collection) = (typed(), collection());
    let chunks: Vec<_> = typed
        .keystrokes
        .iter()
        .map(|made| {
            let (entity, collection, kind) = (typed.entity, &collection, ChunkKind::Change);
            BatchChunk { entity, collection, kind, bytes: &made.bytes }
        })
        .collect();
    let encode = || {
        let mut stream = PushStream::new();
        chunks.iter().map(|chunk| stream.encode(Channel(0), PushNumber(1), &[*chunk], |_, _| None)).collect::<Vec<_>>()
    };
    let mut group = criterion.benchmark_group("live");
    group.throughput(Throughput::Elements(KEYSTROKES as u64));
    group.bench_function("encode 1,000 keystrokes one by one", |bencher| bencher.iter(|| black_box(encode())));
    let messages = encode();
    group.bench_function("decode 1,000 keystrokes one by one", |bencher| {
        bencher.iter(|| {
            let mut stream = PushStream::new();
            for message in &messages {
                let opened = LiveMessage::open(black_box(message)).expect("a message of our own");
                let opened = opened.expect("a live message");
                black_box(
                    stream.decode(&opened, PushNumber(1), &Limits::DEFAULT, |_| None).expect("a message of our own"),
                );
            }
        });
    });
    group.bench_function("observe 1,000 keystrokes", |bencher| {
        bencher.iter(|| {
            let mut state = LiveState::new();
            chunks.iter().for_each(|chunk| state.observe(black_box(chunk)));
            state
        });
    });
    group.finish();
}

fn apply_remote(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("apply");
    let typed = typed();
    for size in [1, 100, KEYSTROKES] {
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(format!("{size} keystrokes of somebody else, guarded"), |bencher| {
            bencher.iter_batched_ref(
                || document(&typed, KEYSTROKES - size),
                |document| {
                    apply(document, typed.keystrokes.iter().skip(KEYSTROKES - size)).expect("changes of our own")
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn catch_up(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("catch up");
    let space = SpaceId::from_bytes([1; 16]);
    let device = |origin| {
        let mut store = Store::open_in_memory(&OpenOptions::default()).expect("a store opens in memory");
        let _ = store.create_space(space, "home", origin, NOW.wall_ms).expect("a new store takes a space");
        Driver::new(store, Box::new(SystemEntropy), NOW).expect("a new store opens")
    };
    let author = device(Origin::MadeHere);
    for number in 0..ENTITIES {
        let entity = EntityId::new(NOW, &mut SystemEntropy);
        let target = Target { space, collection: collection(), entity, existence: Existence::Fresh };
        let edited = author.edit(&target, NOW, |edit| {
            edit.put("title", Value::Str(format!("Task number {number}")))?;
            edit.put("done", Value::Bool(false))
        });
        edited.expect("a valid edit");
    }
    let mut relay = Loopback::start().expect("a log opens in memory");
    relay.sync(&author).expect("the author syncs");
    group.sample_size(10).throughput(Throughput::Elements(ENTITIES as u64));
    group.bench_function("a fresh device, 1,000 small entities, without disk and sockets", |bencher| {
        bencher.iter_batched_ref(
            || device(Origin::Joined),
            |fresh| relay.sync(fresh).expect("the device syncs"),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(hot_paths, edit, append, keystroke, wire, live, apply_remote, catch_up);
criterion_main!(hot_paths);
