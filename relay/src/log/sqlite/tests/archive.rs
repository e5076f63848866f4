//! What segments and snapshots promise: whatever is packed, the log reads and answers the same.

mod damage;
mod indexes;
mod model;
mod numbers;
mod work;

use super::*;
use crate::log::sqlite::archive::outgrow_frames;
use crate::log::{Log, NamesLeft, Settled, Task};
use crate::testing::{Author, decoded};
use afield_core::session::{LogEntry, PageAnswer, PageRequest};
use afield_core::wire::FetchNumber;
use afield_core::{EntityId, Filter};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Desk {
    /// Does a task until nothing is left of it, and says what became of it.
    pub(super) fn finish(&mut self, task: Task) -> Vec<Settled> {
        let mut settled = Vec::new();
        while let Some(work) = self.log.gather(task).unwrap() {
            let done = self.log.settle(work.run()).unwrap().into_inner();
            settled.push(done);
            if matches!(done, Settled::Failed(_)) {
                break;
            }
            assert!(settled.len() < 1_000, "it never ends: {done:?}");
        }
        settled
    }

    /// Packs all rows of the desk's space, however few.
    pub(super) fn pack(&mut self) -> Vec<Settled> {
        let tasks = self.log.whole_tasks(self.space).unwrap().expect("the space is there");
        self.finish(tasks.rows.whatever_it_saves())
    }

    /// Packs all rows, and lets snapshots stand for everything that they can.
    pub(super) fn compact(&mut self) -> Vec<Settled> {
        let mut settled = self.pack();
        let tasks = self.log.whole_tasks(self.space).unwrap().expect("the space is there");
        for (_, snapshot, strip) in tasks.entities {
            settled.extend(self.finish(snapshot.whatever_it_saves()));
            settled.extend(self.finish(strip));
        }
        settled
    }

    /// Does everything that is due by itself.
    pub(super) fn usual(&mut self) -> Vec<Settled> {
        let mut settled = Vec::new();
        while let Some(task) = self.log.next_task().unwrap() {
            if let Some(work) = self.log.gather(task).unwrap() {
                settled.push(self.log.settle(work.run()).unwrap().into_inner());
            }
        }
        settled
    }

    pub(super) fn rows(&self, table: &str) -> i64 {
        self.log.connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    }

    /// What a reader gets after a position that takes snapshots and has none.
    fn compact_run(&mut self, position: Cursor, bytes_max: usize) -> LogRun {
        let wanted = ReadRequest { bytes_max, snapshots: Some(Arc::default()), ..read_request(self.space, position) };
        match self.log.read(self.principal, &wanted, at(0)).unwrap().into_inner() {
            ReadAnswer::Run { run, .. } => run,
            other => panic!("{other:?}"),
        }
    }

    /// Everything after a position, page by page.
    pub(super) fn all_after(&mut self, mut position: Cursor, bytes_max: usize) -> Vec<LogEntry> {
        let mut entries = Vec::new();
        loop {
            let wanted = ReadRequest { bytes_max, ..read_request(self.space, position) };
            let answer = self.log.read(self.principal, &wanted, at(0)).unwrap().into_inner();
            let ReadAnswer::Run { run, .. } = answer else { panic!("{answer:?}") };
            if run.entries().is_empty() {
                return entries;
            }
            position = run.after();
            entries.extend(run.entries().iter().cloned());
        }
    }
}

/// An entry as it can be compared.
type Told = (u64, [u8; 32], EntityId, ChunkHash, Vec<u8>);

/// Entries as they can be compared.
pub(super) fn told(entries: &[LogEntry]) -> Vec<Told> {
    let told = |entry: &LogEntry| {
        (entry.sequence.get(), *entry.chain.as_bytes(), entry.entity, entry.hash, entry.bytes.clone())
    };
    entries.iter().map(told).collect()
}

/// Two authors of one entity, one of another, and what they pushed.
fn busy() -> (Desk, Vec<DecodedChunk>) {
    let mut desk = Desk::new();
    let (mut anna, mut other) = (Author::new(1, 1), Author::new(2, 2));
    let mut pushed = anna.chunks(5);
    let mut ben = anna.fork(3);
    for round in 0..10 {
        pushed.extend([anna.chunk(&format!("anna {round}")), ben.chunk(&format!("ben {round}"))]);
        pushed.push(other.chunk(&format!("other {round}")));
    }
    anna.merge(&mut ben);
    pushed.push(anna.chunk("both"));
    assert!(desk.push(pushed.clone()).iter().all(is_stored));
    (desk, pushed)
}

#[test]
fn a_change_is_found_by_its_position_unless_that_takes_a_snapshot_apart() {
    let (mut desk, pushed) = busy();
    let expected: Vec<_> =
        pushed.iter().map(|chunk| Some((chunk.entity, chunk.header.as_ref().unwrap().hash))).collect();
    let head = expected.len() as u64;
    let found = |desk: &mut Desk, principal: Principal, sequence: u64| {
        desk.log.change_at(principal, desk.space, Sequence::new(sequence), &mut NamesLeft::default(), at(0)).unwrap()
    };
    for step in 0..3 {
        match step {
            0 => {}
            1 => drop(desk.pack()),
            _ => drop(desk.compact()),
        }
        let principal = desk.principal;
        let all: Vec<_> = (1..=head).map(|sequence| found(&mut desk, principal, sequence)).collect();
        let given_up = vec![None; expected.len()];
        assert_eq!(all, if step < 2 { &expected } else { &given_up }[..], "step {step}");
        let nowhere = [0, head + 1, u64::MAX].map(|sequence| found(&mut desk, principal, sequence));
        assert_eq!(nowhere, [None; 3], "step {step}");
    }
    assert_eq!(desk.rows("snapshots"), 2, "the control: nothing stands as it was pushed");
    let of_stranger = NewToken { user: Some("stranger".to_owned()), ..NewToken::default() };
    let stranger = principal(&mut desk.log, &of_stranger, 2);
    assert_eq!(found(&mut desk, stranger, 1), None, "R6");
}

#[test]
fn the_names_of_one_push_have_two_segments_decoded_at_the_most() {
    let mut desk = Desk::new();
    let mut author = Author::new(1, 1);
    for _ in 0..4 {
        desk.push(author.chunks(16));
        desk.pack();
    }
    desk.push(author.chunks(2));
    let mut desk = opened_again(desk);
    let (principal, space) = (desk.principal, desk.space);
    let mut left = NamesLeft::default();
    let mut found = |left: &mut NamesLeft, sequence: u64| {
        desk.log.change_at(principal, space, Sequence::new(sequence), left, at(0)).unwrap().is_some()
    };
    let asked = [66, 1, 16, 17, 33, 2, 18, 49, 65];
    assert_eq!(
        asked.map(|sequence| found(&mut left, sequence)),
        [true, true, true, true, false, true, true, false, true]
    );
    assert!(found(&mut NamesLeft::default(), 33), "the control: another push");
    assert!(found(&mut left, 34), "what was decoded lately costs nothing");
}

#[test]
fn a_packed_log_reads_the_same_from_every_position_and_in_pages_of_any_size() {
    let (mut desk, _) = busy();
    let start = desk.start();
    let before = desk.all_after(start, usize::MAX);
    for step in 0..3 {
        match step {
            0 => assert!(matches!(desk.pack()[..], [Settled::Packed { chunks: 36 }])),
            1 => assert!(desk.compact().contains(&Settled::Covered { chunks: 26 })),
            _ => assert_eq!(desk.compact(), [], "nothing is left to do"),
        }
        assert_eq!(desk.rows("chunks"), 0);
        for bytes_max in [1, 300, usize::MAX] {
            assert_eq!(told(&desk.all_after(start, bytes_max)), told(&before), "step {step}");
        }
        for (index, entry) in before.iter().enumerate() {
            let cursor = Cursor { log: start.log, sequence: entry.sequence, chain: entry.chain };
            assert_eq!(told(&desk.all_after(cursor, usize::MAX)), told(&before[index + 1..]), "R9");
            let stranger = Cursor { chain: afield_core::ChainHash::from_bytes([9; 32]), ..cursor };
            assert!(matches!(desk.read(stranger), ReadAnswer::Reset(_)), "R4");
        }
    }
    assert_eq!(desk.rows("snapshots"), 2);
}

#[test]
fn a_reader_that_takes_snapshots_gets_one_for_every_sequence_that_it_passes() {
    let (mut desk, _) = busy();
    let start = desk.start();
    let before = desk.all_after(start, usize::MAX);
    desk.pack();
    let (_, snapshot, _) = desk.log.whole_tasks(desk.space).unwrap().unwrap().entities[0];
    assert!(matches!(desk.finish(snapshot.whatever_it_saves())[..], [Settled::Covered { chunks: 26 }]));
    desk.push(Author::new(3, 3).chunks(2));
    let covered = EntityId::from_bytes([1; 16]);
    for bytes_max in [1, 500, usize::MAX] {
        for first in std::iter::once(start).chain(before.iter().map(|entry| cursor_of(start, entry))) {
            let (mut position, mut given) = (first, 0);
            while position.sequence < desk.told.sequence {
                let run = desk.compact_run(position, bytes_max);
                let mut stand: BTreeMap<u64, Vec<u8>> =
                    run.entries().iter().map(|entry| (entry.sequence.get(), entry.bytes.clone())).collect();
                for snapshot in run.snapshots() {
                    assert_eq!((snapshot.entity, snapshot.last.sequence), (covered, Sequence::new(36)));
                    let changes = automerge::Automerge::load(&snapshot.bytes).unwrap().get_changes(&[]);
                    let changes = changes.iter().map(|change| change.raw_bytes().to_vec());
                    stand.extend(snapshot.sequences.iter().map(Sequence::get).zip(changes));
                    given += 1;
                }
                assert!(run.after().sequence > position.sequence, "it goes on");
                for sequence in position.sequence.get() + 1..=run.after().sequence.get().min(36) {
                    assert_eq!(stand.get(&sequence), Some(&before[sequence as usize - 1].bytes), "R9");
                }
                position = run.after();
            }
            assert_eq!(position, desk.told, "the chain leads over what was removed");
            assert!(given > 0 || first.sequence >= Sequence::new(36), "the control");
        }
    }
    let stranger = Cursor { chain: afield_core::ChainHash::from_bytes([9; 32]), ..desk.told };
    let wanted = ReadRequest { snapshots: Some(Arc::default()), ..read_request(desk.space, stranger) };
    let answer = desk.log.read(desk.principal, &wanted, at(0)).unwrap().into_inner();
    assert!(matches!(answer, ReadAnswer::Reset(_)), "R4");
}

fn cursor_of(start: Cursor, entry: &LogEntry) -> Cursor {
    Cursor { log: start.log, sequence: entry.sequence, chain: entry.chain }
}

pub(super) fn page_request(
    desk: &Desk,
    filter: &Filter,
    after: Sequence,
    bytes_max: usize,
    takes_snapshots: bool,
) -> PageRequest {
    PageRequest {
        channel: Channel(0),
        space: desk.space,
        number: FetchNumber(1),
        position: desk.start(),
        told: desk.start(),
        filter: Arc::new(filter.clone()),
        after,
        snapshots: takes_snapshots.then(Arc::default),
        bytes_max,
    }
}

/// Asks for entities page by page after a sequence, and gives the changes that came by their sequences.
fn paged(desk: &mut Desk, filter: &Filter, after: u64, bytes_max: usize, takes_snapshots: bool) -> Paged {
    let (mut after, mut paged) = (Sequence::new(after), Paged::default());
    loop {
        let request = page_request(desk, filter, after, bytes_max, takes_snapshots);
        let answer = desk.log.page(desk.principal, &request, at(0)).unwrap().into_inner();
        let PageAnswer::Page { run, done, .. } = answer else { panic!("{answer:?}") };
        for entry in run.entries() {
            assert!(entry.sequence > after && entry.sequence <= run.after().sequence);
            assert_eq!(paged.changes.insert(entry.sequence.get(), entry.bytes.clone()), None, "each travels once");
        }
        for snapshot in run.snapshots() {
            let changes = automerge::Automerge::load(&snapshot.bytes).unwrap().get_changes(&[]);
            let changes = changes.iter().map(|change| change.raw_bytes().to_vec());
            paged.changes.extend(snapshot.sequences.iter().map(Sequence::get).zip(changes));
        }
        paged.snapshots += run.snapshots().len();
        if done {
            return paged;
        }
        assert!(run.after().sequence > after, "it goes on");
        after = run.after().sequence;
    }
}

#[derive(Default)]
struct Paged {
    changes: BTreeMap<u64, Vec<u8>>,
    snapshots: usize,
}

#[test]
fn pages_bring_the_same_of_an_entity_wherever_its_chunks_stand() {
    let (mut desk, _) = busy();
    let start = desk.start();
    let entities = [1, 2, 3].map(|number| EntityId::from_bytes([number; 16]));
    let mut given = 0;
    for step in ["rows", "segments and rows", "snapshots, segments and rows"] {
        match step {
            "segments and rows" => drop(desk.pack()),
            "snapshots, segments and rows" => drop(desk.compact()),
            _ => {}
        }
        desk.push(Author::new(3, 30 + u8::try_from(step.len()).unwrap()).chunks(3));
        let all = desk.all_after(start, usize::MAX);
        for wanted in [&entities[..1], &entities[1..], &entities[..]] {
            for filter in [
                Filter::nothing().entities(wanted.iter().copied()),
                Filter::collections(["none".parse().unwrap()]).entities(wanted.iter().copied()),
            ] {
                for after in [0, 1, 20, 36, 37] {
                    let expected = all.iter().filter(|entry| wanted.contains(&entry.entity));
                    let expected = expected.filter(|entry| entry.sequence.get() > after);
                    let expected: BTreeMap<_, _> =
                        expected.map(|entry| (entry.sequence.get(), entry.bytes.clone())).collect();
                    for bytes_max in [1, 500, usize::MAX] {
                        let plain = paged(&mut desk, &filter, after, bytes_max, false);
                        assert!(plain.changes == expected && plain.snapshots == 0, "{step}, after {after}: R9");
                        let mut compact = paged(&mut desk, &filter, after, bytes_max, true);
                        // A snapshot brings the whole of what it stands for.
                        compact.changes.retain(|sequence, _| *sequence > after);
                        assert!(compact.changes == expected, "{step}, after {after}: R9");
                        given += compact.snapshots;
                    }
                }
            }
        }
    }
    assert!(given > 20, "the control: {given}");
}

#[test]
fn a_snapshot_that_has_decayed_is_not_sent() {
    let (mut desk, _) = busy();
    desk.compact();
    let start = desk.start();
    assert_eq!(desk.compact_run(start, usize::MAX).snapshots().len(), 2, "the control");
    desk.log.connection.execute("UPDATE snapshots SET bytes = zeroblob(length(bytes))", []).unwrap();
    let run = desk.compact_run(start, usize::MAX);
    assert!(run.snapshots().is_empty());
    assert_eq!(run.decayed().count(), 36, "its chunks are told as what has decayed");
}

#[test]
fn a_snapshot_that_fits_no_frame_any_more_is_not_sent() {
    for fits in [true, false] {
        let (mut desk, _) = busy();
        desk.compact();
        if !fits {
            outgrow_frames(&desk.log.connection);
        }
        let start = desk.start();
        let run = desk.compact_run(start, usize::MAX);
        assert_eq!(run.snapshots().len(), if fits { 2 } else { 0 });
        let filter = Filter::nothing().entities([1, 2].map(|number| EntityId::from_bytes([number; 16])));
        let paged = paged(&mut desk, &filter, 0, usize::MAX, true);
        assert_eq!((paged.changes.len(), paged.snapshots), (36, if fits { 2 } else { 0 }), "R9");
        assert!(desk.compact_run(start, usize::MAX).after() == desk.told, "what was taken apart is kept: R9");
    }
}

#[test]
fn duplicates_forks_and_missing_dependencies_are_answered_as_before() {
    let (mut desk, pushed) = busy();
    let expected = desk.push(pushed.clone());
    // Another document of the same actor: its changes have the same sequences and other hashes.
    let forked = Author::new(1, 1).chunk("another first change");
    let mut builder = Author::new(1, 9);
    let absent = builder.chunk("never pushed");
    let orphan = builder.chunk("rests on it");
    let named = vec![absent.header.as_ref().unwrap().hash];
    for step in 0..3 {
        match step {
            0 => {}
            1 => drop(desk.pack()),
            _ => drop(desk.compact()),
        }
        assert_eq!(desk.push(pushed.clone()), expected, "R5, step {step}");
        assert_eq!(code(&desk.push(vec![forked.clone()])[0]), Some(ChunkCode::ActorForked), "step {step}");
        let missing = ChunkVerdict::Refused { code: ChunkCode::MissingDependencies, missing: named.clone() };
        assert_eq!(desk.push(vec![orphan.clone()]), [missing], "step {step}");
    }
    assert!(desk.push(vec![absent, orphan]).iter().all(is_stored), "the control");
}

#[test]
fn a_change_that_rests_on_packed_ones_is_taken_and_packed_in_its_turn() {
    let mut desk = Desk::new();
    let mut author = Author::new(1, 1);
    for round in 0..4 {
        assert!(desk.push(author.chunks(20)).iter().all(is_stored), "round {round}");
        assert!(!desk.compact().is_empty());
    }
    let start = desk.start();
    assert_eq!(desk.all_after(start, usize::MAX).len(), 80);
    assert_eq!((desk.rows("chunks"), desk.rows("segments"), desk.rows("snapshots")), (0, 4, 1));
    let empty: i64 =
        desk.log.connection.query_row("SELECT count(*) FROM segments WHERE body = x''", [], |row| row.get(0)).unwrap();
    assert_eq!(empty, 4, "the snapshot took the place of all bodies");
}

/// The same log, opened again.
fn opened_again(desk: Desk) -> Desk {
    let Desk { log, principal, space, told } = desk;
    Desk { log: SqliteLog::from_connection(log.into_connection()).unwrap(), principal, space, told }
}

#[test]
fn one_answer_takes_one_snapshot_apart_and_the_next_one_goes_on() {
    let (mut desk, _) = busy();
    let start = desk.start();
    let before = told(&desk.all_after(start, usize::MAX));
    desk.compact();
    let mut desk = opened_again(desk);
    let first = desk.run(start);
    assert!(!first.entries().is_empty() && first.after().sequence < desk.told.sequence, "{:?}", first.after());
    assert_eq!(told(&desk.all_after(start, usize::MAX)), before, "R9");
    assert_eq!(desk.run(start).after(), desk.told, "what was taken apart is kept");
}

#[test]
fn a_dependency_that_begins_like_a_change_of_a_segment_is_none() {
    let mut desk = Desk::new();
    let mut author = Author::new(1, 1);
    let chunks = author.chunks(20);
    desk.push(chunks.clone());
    let chunk = author.chunk("rests on the last of them");
    for step in ["packed", "behind a snapshot"] {
        if step == "packed" {
            drop(desk.pack())
        } else {
            drop(desk.compact())
        }
        let mut forged = chunk.clone();
        let header = forged.header.as_mut().unwrap();
        header.dependencies[0].0[8] ^= 1;
        let named = header.dependencies.clone();
        let missing = ChunkVerdict::Refused { code: ChunkCode::MissingDependencies, missing: named };
        assert_eq!(desk.push(vec![forged]), [missing], "{step}");
    }
    assert!(is_stored(&desk.push(vec![chunk])[0]), "the control");
}
