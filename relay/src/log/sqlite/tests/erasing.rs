//! What an erasure record takes away, and what it leaves: the chain, and an answer for everybody.

use super::*;
use crate::log::Settled;
use crate::testing::{Author, decoded, noise};
use afield_core::session::{PageAnswer, PageRequest};
use afield_core::wire::FetchNumber;
use afield_core::{ChunkKind, EntityId, Erasure, ErasureReason, Filter};
use std::path::Path;
use std::sync::Arc;

fn record(entity: EntityId, reason: ErasureReason) -> DecodedChunk {
    let bytes = Erasure { entity, reason }.to_bytes();
    DecodedChunk { kind: ChunkKind::Erasure, ..decoded(entity, &bytes) }
}

/// The files of a folder that hold some bytes.
fn holders(folder: &Path, needle: &[u8]) -> Vec<String> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let holds =
        |path: &std::path::PathBuf| std::fs::read(path).unwrap().windows(needle.len()).any(|window| window == needle);
    files.filter(holds).map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

/// Follows a log from a position on, as a reader with a filter does; gives the sequences that it was told of, and says of how many
/// removed chunks nothing stood in the answer that led over them.
fn follow(desk: &mut Desk, filter: &Filter, bytes_max: usize, removed: &[Sequence]) -> (Vec<u64>, usize) {
    let (mut position, mut told, mut unexplained) = (desk.start(), Vec::new(), 0);
    loop {
        let filter = Arc::new(filter.clone());
        let wanted = ReadRequest { bytes_max, filter, ..read_request(desk.space, position) };
        let answer = desk.log.read(desk.principal, &wanted, at(0)).unwrap().into_inner();
        let ReadAnswer::Run { run, .. } = answer else { panic!("{answer:?}") };
        if run.is_empty() {
            return (told, unexplained);
        }
        let led_over = |sequence: &&Sequence| **sequence > position.sequence && **sequence <= run.after().sequence;
        if run.erasures().is_empty() {
            unexplained += removed.iter().filter(led_over).count();
        }
        told.extend(run.entries().iter().map(|entry| entry.sequence.get()));
        assert!(run.entries().iter().all(afield_core::session::LogEntry::is_intact));
        position = run.after();
    }
}

#[test]
fn a_record_is_appended_once_and_nothing_of_its_entity_after_it() {
    let mut desk = Desk::new();
    let (mut author, mut other) = (Author::new(1, 1), Author::new(2, 2));
    let pushed = author.chunks(3);
    desk.push(pushed.clone());
    desk.push(other.chunks(2));
    let verdicts =
        desk.push(vec![record(author.entity, ErasureReason::ASKED), author.chunk("later"), other.chunk("x")]);
    assert_eq!(sequence(&verdicts[0]), Some(6));
    assert_eq!(code(&verdicts[1]), Some(ChunkCode::Purged));
    assert_eq!(sequence(&verdicts[2]), Some(7), "nobody else is held back");
    for again in [ErasureReason::ASKED, ErasureReason::TRASH] {
        let verdicts = desk.push(vec![record(author.entity, again)]);
        assert!(matches!(verdicts[..], [ChunkVerdict::Duplicate { sequence, .. }] if sequence == Sequence::new(6)));
    }
    for chunk in pushed {
        assert_eq!(
            code(&desk.push(vec![chunk])[0]),
            Some(ChunkCode::Purged),
            "what it had is not durable any more (R5)"
        );
    }
    let unknown = EntityId::from_bytes([9; 16]);
    assert_eq!(sequence(&desk.push(vec![record(unknown, ErasureReason::ASKED)])[0]), Some(8));
    let mut broken = record(EntityId::from_bytes([8; 16]), ErasureReason::ASKED);
    broken.bytes.pop();
    assert_eq!(code(&desk.push(vec![broken])[0]), Some(ChunkCode::Malformed));
}

#[test]
fn pages_of_single_entities_come_to_a_record_at_its_own_place_however_small_they_are() {
    let mut desk = Desk::new();
    let (mut gone, mut other) = (Author::new(1, 1), Author::new(2, 2));
    desk.push(gone.chunks(3));
    desk.push(other.chunks(2));
    desk.push(vec![record(gone.entity, ErasureReason::ASKED)]);
    desk.push(other.chunks(2));
    let filter = Filter::nothing().entities([gone.entity, other.entity]);
    for pack in [false, true] {
        if pack {
            desk.pack();
        }
        for (bytes_max, pages_min) in [(1, 5), (usize::MAX, 1)] {
            let (mut after, mut pages, mut came) = (Sequence::ZERO, 0, Vec::new());
            loop {
                let request = super::archive::page_request(&desk, &filter, after, bytes_max, false);
                let answer = desk.log.page(desk.principal, &request, at(0)).unwrap().into_inner();
                let PageAnswer::Page { run, done, .. } = answer else { panic!("{answer:?}") };
                came.extend(run.entries().iter().map(|entry| (entry.sequence.get(), entry.entity, entry.kind)));
                (after, pages) = (run.after().sequence, pages + 1);
                if done {
                    break;
                }
            }
            let change = |sequence| (sequence, other.entity, ChunkKind::Change);
            let erased = (6, gone.entity, ChunkKind::Erasure);
            assert_eq!(came, [change(4), change(5), erased, change(7), change(8)], "packed: {pack}");
            assert!(pages >= pages_min, "{pages} pages");
        }
    }
}

#[test]
fn a_full_space_lets_purge_what_it_has_and_stores_no_record_of_what_it_never_had() {
    let mut author = Author::new(1, 1);
    let chunks = author.chunks(2);
    let bytes: usize = chunks.iter().map(|chunk| chunk.bytes.len()).sum();
    let by_count = Quotas { space_chunks_max: 2, ..Quotas::DEFAULT };
    let by_bytes = Quotas { space_bytes_max: bytes as u64, ..Quotas::DEFAULT };
    for quotas in [by_count, by_bytes] {
        let mut desk = Desk::with(SqliteLog::open_in_memory().unwrap().with_quotas(quotas));
        desk.push(chunks.clone());
        let unknown = record(EntityId::from_bytes([9; 16]), ErasureReason::ASKED);
        assert_eq!(code(&desk.push(vec![unknown])[0]), Some(ChunkCode::Quota));
        assert!(is_stored(&desk.push(vec![record(author.entity, ErasureReason::ASKED)])[0]));
    }
}

#[test]
fn no_answer_leads_over_what_was_removed_without_the_record() {
    for is_packed in [false, true] {
        let mut desk = Desk::new();
        let (mut author, mut other) = (Author::new(1, 1), Author::new(2, 2));
        for _ in 0..4 {
            desk.push(author.chunks(5));
            desk.push(other.chunks(5));
        }
        if is_packed {
            desk.compact();
        }
        let head = desk.told;
        desk.push(vec![record(author.entity, ErasureReason::ASKED)]);
        desk.push(other.chunks(3));
        let removed: Vec<_> = (1..=40).filter(|at| (at - 1) / 5 % 2 == 0).map(Sequence::new).collect();
        let left: Vec<u64> = (1..=44).filter(|at| !removed.contains(&Sequence::new(*at))).collect();
        for round in 0..2 {
            for bytes_max in [1, 300, usize::MAX] {
                let (told, unexplained) = follow(&mut desk, &Filter::Everything, bytes_max, &removed);
                assert_eq!((&told, unexplained), (&left, 0), "packed: {is_packed}, round {round}");
            }
            let only_other = Filter::nothing().entities([other.entity]);
            let (told, _) = follow(&mut desk, &only_other, usize::MAX, &[]);
            assert_eq!(told, left, "an erasure record ignores filters");
            desk.pack();
            desk.usual();
        }
        let opened = open(&mut desk.log, desk.principal, desk.space, Some(head), false);
        assert!(matches!(opened, OpenAnswer::Served { position, .. } if position == head), "the chain is what it was");
        // Whoever asks for the entity gets the record, and no chunk without its bytes.
        let page = PageRequest {
            channel: Channel(0),
            space: desk.space,
            number: FetchNumber(1),
            position: desk.told,
            told: desk.told,
            filter: Arc::new(Filter::nothing().entities([author.entity])),
            after: Sequence::ZERO,
            snapshots: Some(Arc::default()),
            bytes_max: usize::MAX,
        };
        let answer = desk.log.page(desk.principal, &page, at(0)).unwrap().into_inner();
        let PageAnswer::Page { run, done: true, unknown } = answer else { panic!("{answer:?}") };
        assert_eq!((sequences(&run), unknown), (vec![Sequence::new(41)], vec![]));
    }
}

#[test]
fn the_content_is_in_no_file_whether_it_was_fresh_packed_or_behind_a_snapshot() {
    // Rows; segments; a snapshot, before and after the segments lost what it stands for.
    for (form, marker) in [(0, "fresh"), (1, "packed"), (2, "covered"), (3, "stripped")] {
        let folder = tempfile::tempdir().unwrap();
        let mut desk = Desk::with(SqliteLog::open(&folder.path().join("log.sqlite")).unwrap());
        let (mut author, mut other) = (Author::new(1, 1), Author::new(2, 2));
        // So that the bytes stand in what is packed as they are.
        let secret = noise(7, 400);
        desk.push(other.chunks(4));
        desk.push([author.chunks(4), vec![author.chunk(&secret)], author.chunks(4)].concat());
        desk.push(other.chunks(4));
        if form > 0 {
            desk.pack();
        }
        if form > 1 {
            let tasks = desk.log.whole_tasks(desk.space).unwrap().unwrap();
            let (_, snapshot, strip) = tasks.entities.into_iter().find(|(id, ..)| *id == author.entity).unwrap();
            assert!(matches!(desk.finish(snapshot.whatever_it_saves())[..], [Settled::Covered { chunks: 9 }]));
            if form > 2 {
                desk.finish(strip);
            }
            assert_eq!(desk.rows("snapshots"), 1);
        } else {
            assert!(!holders(folder.path(), &secret.as_bytes()[..40]).is_empty() || form == 1, "{marker}: the control");
        }
        desk.push(vec![record(author.entity, ErasureReason::ASKED)]);
        assert_eq!(desk.rows("snapshots"), 0);
        desk.usual();
        assert_eq!(desk.rows("erasures WHERE cleared < position"), 0, "{marker}");
        for part in [&secret.as_bytes()[..40], &secret.as_bytes()[200..240]] {
            assert_eq!(holders(folder.path(), part), Vec::<String>::new(), "{marker}");
        }
        let held: Vec<Vec<u8>> = {
            let mut statement = desk.log.connection.prepare("SELECT body FROM segments").unwrap();
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        for body in held.iter().filter(|body| !body.is_empty()) {
            let chunks = afield_core::wire::decode_batch(body, &afield_core::Limits::DEFAULT).unwrap();
            assert!(chunks.iter().all(|chunk| chunk.entity != author.entity), "{marker}");
        }
        let start = desk.start();
        assert_eq!(desk.all_after(start, usize::MAX).len(), 8 + 1, "{marker}: what others wrote is there");
        // Opened again, nothing is left to be done.
        let path = folder.path().join("log.sqlite");
        let Desk { log, .. } = desk;
        drop(log);
        let mut log = SqliteLog::open(&path).unwrap();
        assert_eq!(log.next_task().unwrap(), None);
    }
}

#[test]
fn what_was_prepared_before_an_erasure_is_not_put_in_place_after_it() {
    let mut desk = Desk::new();
    let (mut author, mut other) = (Author::new(1, 1), Author::new(2, 2));
    desk.push([author.chunks(12), other.chunks(4)].concat());
    let tasks = desk.log.whole_tasks(desk.space).unwrap().unwrap();
    let pack = desk.log.gather(tasks.rows.whatever_it_saves()).unwrap().unwrap().run();
    desk.pack();
    let tasks = desk.log.whole_tasks(desk.space).unwrap().unwrap();
    let cover = desk.log.gather(tasks.entities[0].1.whatever_it_saves()).unwrap().unwrap().run();
    desk.push([author.chunks(4), other.chunks(4)].concat());
    let tasks = desk.log.whole_tasks(desk.space).unwrap().unwrap();
    let late = desk.log.gather(tasks.rows.whatever_it_saves()).unwrap().unwrap().run();
    desk.push(vec![record(author.entity, ErasureReason::ASKED)]);
    for prepared in [pack, cover, late] {
        assert_eq!(desk.log.settle(prepared).unwrap().into_inner(), Settled::Stale);
    }
    desk.compact();
    assert_eq!((desk.rows("snapshots WHERE entity = 1"), desk.rows("erasures WHERE cleared < position")), (0, 0));
    let start = desk.start();
    assert_eq!(desk.all_after(start, usize::MAX).len(), 8 + 1, "the control: the others, and the record");
}
