//! What a key costs in 100,000 characters, and merging one that another device typed at the same time: in a long text, in
//! an ordinary one, and in a note of a thousand characters for comparison.

use afield_core::document::{Document, Edit, EditContext, Incoming, LocalChange, OperationError, Value, Verdict};
use afield_core::{EntityId, Limits, Now};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::{Duration, Instant};

const FIELD: &str = "body";
const LARGE: usize = 100_000;
const SMALL: usize = 1_000;
/// How many characters one change of the preparation writes.
const PORTION: usize = 10_000;

/// The two forms of a text.
#[derive(Debug, Clone, Copy)]
enum Form {
    Text,
    LongText,
}

impl Form {
    fn empty(self) -> Value {
        match self {
            Self::Text => Value::Text(String::new()),
            Self::LongText => Value::LongText(String::new()),
        }
    }

    fn splice(self, edit: &mut Edit<'_>, position: usize, insert: &str) -> Result<(), OperationError> {
        match self {
            Self::Text => edit.splice_text(FIELD, position, 0, insert),
            Self::LongText => edit.splice_long_text(FIELD, position, 0, insert),
        }
    }
}

/// A device with its copy of the text.
struct Typist {
    document: Document,
    actor: u8,
    form: Form,
    length: usize,
    state: u64,
}

impl Typist {
    fn new(actor: u8, form: Form, length: usize, made: &[LocalChange]) -> Self {
        let mut document = Document::new(EntityId::from_bytes([7; 16]));
        apply(&mut document, made);
        Self { document, actor, form, length, state: u64::from(actor) }
    }

    /// Types one character somewhere.
    fn key(&mut self) -> Vec<LocalChange> {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let position = (self.state >> 33) as usize % self.length;
        self.length += 1;
        let form = self.form;
        edit(&mut self.document, self.actor, |edit| form.splice(edit, position, "x"))
    }
}

fn edit(
    document: &mut Document,
    actor: u8,
    closure: impl FnOnce(&mut Edit<'_>) -> Result<(), OperationError>,
) -> Vec<LocalChange> {
    let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 1 };
    let context = EditContext::new(vec![actor; 16].into(), now);
    document.edit(&context, &Limits::DEFAULT, closure).expect("a valid edit").changes
}

fn apply(document: &mut Document, changes: &[LocalChange]) {
    let incoming: Vec<_> = changes.iter().map(|change| Incoming { hash: change.hash, bytes: &change.bytes }).collect();
    let applied = document.apply_guarded(&incoming, &Limits::DEFAULT).expect("the document is sound");
    assert!(applied.verdicts.iter().all(|verdict| *verdict == Verdict::Applied), "honest changes are applied");
}

/// The changes that make a text of a length.
fn written(form: Form, length: usize) -> Vec<LocalChange> {
    let mut document = Document::new(EntityId::from_bytes([7; 16]));
    let mut made = edit(&mut document, 1, |edit| edit.put(FIELD, form.empty()));
    let sentence = "The quick brown fox jumps over the lazy dog, and nobody knows why.\n";
    let text: Vec<char> = sentence.chars().cycle().take(length).collect();
    for (number, portion) in text.chunks(PORTION).enumerate() {
        let portion: String = portion.iter().collect();
        made.extend(edit(&mut document, 1, |edit| form.splice(edit, number * PORTION, &portion)));
    }
    made
}

const CASES: [(&str, Form, usize); 3] = [
    ("long text of 100,000", Form::LongText, LARGE),
    ("text of 100,000", Form::Text, LARGE),
    ("text of 1,000", Form::Text, SMALL),
];

fn keys(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("one key");
    group.sample_size(10);
    for (name, form, length) in CASES {
        let mut typist = Typist::new(2, form, length, &written(form, length));
        group.bench_function(BenchmarkId::new("typed", name), |bencher| bencher.iter(|| black_box(typist.key())));
    }
    for (name, form, length) in CASES {
        let made = written(form, length);
        let (mut here, mut there) = (Typist::new(2, form, length, &made), Typist::new(3, form, length, &made));
        let mut merged = |count: u64, at_once: bool| {
            let mut spent = Duration::ZERO;
            for _ in 0..count {
                let from_there = there.key();
                let from_here = if at_once { here.key() } else { Vec::new() };
                let start = Instant::now();
                apply(&mut here.document, &from_there);
                spent += start.elapsed();
                apply(&mut there.document, &from_here);
                here.length += 1;
                there.length += from_here.len();
            }
            spent
        };
        group.bench_function(BenchmarkId::new("merged, typed after the last", name), |bencher| {
            bencher.iter_custom(|count| merged(count, false));
        });
        group.bench_function(BenchmarkId::new("merged, typed at once", name), |bencher| {
            bencher.iter_custom(|count| merged(count, true));
        });
    }
    group.finish();
}

criterion_group!(benches, keys);
criterion_main!(benches);
