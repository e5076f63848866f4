use super::*;
use crate::log::Quotas;
use crate::testing::{Author, decoded};
use afield_core::ChunkKind;

#[test]
fn appended_chunks_get_sequences_without_gaps_and_the_chain_that_any_reader_computes() {
    let mut desk = Desk::new();
    let chunks = Author::new(1, 1).chunks(5);
    let mut expected = desk.start();
    let verdicts = desk.push(chunks.clone());
    for (number, (chunk, verdict)) in (1..).zip(chunks.iter().zip(&verdicts)) {
        expected = expected.then(chunk.entity, chunk.kind.number(), hash(chunk));
        let stored =
            ChunkVerdict::Stored { sequence: Sequence::new(number), chain: expected.chain, is_as_pushed: true };
        assert_eq!(*verdict, stored, "R2");
    }
    assert_eq!(desk.push(vec![Author::new(2, 2).chunk("more")]).iter().filter_map(sequence).collect::<Vec<_>>(), [6]);
}

#[test]
fn a_push_that_comes_again_changes_nothing() {
    let mut desk = Desk::new();
    let chunks = Author::new(1, 1).chunks(3);
    let first = desk.push(chunks.clone());
    let again = desk.push(chunks);
    let as_duplicates = first.into_iter().map(|verdict| match verdict {
        ChunkVerdict::Stored { sequence, chain, .. } => ChunkVerdict::Duplicate { sequence, chain },
        other => other,
    });
    assert_eq!(again, as_duplicates.collect::<Vec<_>>(), "S3");
    let start = desk.start();
    assert_eq!(desk.run(start).entries().len(), 3);
    let twice_in_one = Author::new(2, 2).chunk("x");
    let verdicts = desk.push(vec![twice_in_one.clone(), twice_in_one]);
    assert!(matches!(verdicts[..], [ChunkVerdict::Stored { .. }, ChunkVerdict::Duplicate { .. }]));
}

#[test]
fn a_chunk_that_is_no_change_is_refused_with_its_reason_and_the_log_stays() {
    let mut desk = Desk::new();
    let good = Author::new(1, 1).chunk("good");
    let mut flipped = good.bytes.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let mut snapshot = good.clone();
    snapshot.kind = ChunkKind::Snapshot;
    for (chunk, expected) in [
        (decoded(good.entity, &flipped), ChunkCode::WrongChecksum),
        (decoded(good.entity, b"x"), ChunkCode::Malformed),
        (snapshot, ChunkCode::UnsupportedKind),
    ] {
        assert_eq!(desk.push(vec![chunk]).iter().map(code).collect::<Vec<_>>(), [Some(expected)]);
    }
    assert_eq!(desk.push(vec![good]).iter().filter_map(sequence).collect::<Vec<_>>(), [1], "the control");
}

#[test]
fn a_change_waits_for_its_dependencies_which_the_refusal_names() {
    let mut desk = Desk::new();
    let mut author = Author::new(1, 1);
    let first = author.chunk("first");
    let second = author.chunk("second");
    let wanted = first.header.as_ref().unwrap().hash;
    let verdicts = desk.push(vec![second.clone()]);
    assert_eq!(verdicts, [ChunkVerdict::Refused { code: ChunkCode::MissingDependencies, missing: vec![wanted] }]);
    // The same change in another entity does not help: dependencies belong to their entity.
    let mut elsewhere = first.clone();
    elsewhere.entity = Author::new(9, 9).entity;
    assert!(desk.push(vec![elsewhere]).iter().all(is_stored));
    assert_eq!(code(&desk.push(vec![second.clone()])[0]), Some(ChunkCode::MissingDependencies));
    assert!(desk.push(vec![first, second]).iter().all(is_stored), "the control");
}

#[test]
fn one_refused_chunk_blocks_the_later_ones_of_its_entity_and_nothing_else() {
    let mut desk = Desk::new();
    let (mut one, mut other) = (Author::new(1, 1), Author::new(2, 2));
    let missing = one.chunk("never sent");
    let chunks = vec![one.chunk("orphan"), other.chunk("fine"), one.chunk("behind it"), other.chunk("fine, too")];
    let codes: Vec<_> = desk.push(chunks.clone()).iter().map(code).collect();
    assert_eq!(codes, [Some(ChunkCode::MissingDependencies), None, Some(ChunkCode::Blocked), None]);
    desk.push(vec![missing]);
    assert!(desk.push(chunks).iter().all(|verdict| code(verdict).is_none()), "the control: the block ends");
}

#[test]
fn an_actor_and_sequence_never_name_two_changes() {
    let mut desk = Desk::new();
    let mut author = Author::new(1, 1);
    let base = author.chunk("base");
    let mut copy = author.fork(1);
    let (won, lost) = (author.chunk("one future"), copy.chunk("another future"));
    assert!(desk.push(vec![base, won.clone()]).iter().all(is_stored));
    assert_eq!(code(&desk.push(vec![lost.clone()])[0]), Some(ChunkCode::ActorForked));
    assert!(matches!(desk.push(vec![won])[..], [ChunkVerdict::Duplicate { .. }]), "the change in the log wins");
    let mut elsewhere = Author::new(3, 1);
    assert!(is_stored(&desk.push(vec![elsewhere.chunk("the same actor in another entity")])[0]));
}

/// A change of one operation that numbers it so far above the next number.
fn leaping(author: &mut Author, by: u64) -> Vec<u8> {
    let mut change = automerge::Change::try_from(author.edit("far").as_slice()).unwrap().decode();
    change.start_op = change.start_op.checked_add(by).unwrap();
    automerge::Change::from(change).raw_bytes().to_vec()
}

#[test]
fn the_changes_of_an_entity_leave_out_numbers_of_operations_once() {
    let log = SqliteLog::open_in_memory().unwrap().with_quotas(Quotas { start_op_leap_max: 3, ..Quotas::DEFAULT });
    let mut desk = Desk::with(log);
    let mut author = Author::new(1, 1);
    assert!(is_stored(&desk.push(vec![author.chunk("1")])[0]));
    let entity = author.entity;
    let mut push = |bytes: &[u8]| code(&desk.push(vec![decoded(entity, bytes)])[0]);
    assert_eq!(push(&leaping(&mut author.fork(2), 4)), Some(ChunkCode::StartOpLeap));
    assert_eq!(push(&leaping(&mut author.fork(3), 3)), None, "the control: as much as may be left out");
    assert_eq!(push(&leaping(&mut author.fork(4), 4)), None, "counted from what was accepted, two operations by now");
    let mut on_top = author.fork(5);
    assert_eq!(push(&leaping(&mut on_top, 9)), Some(ChunkCode::StartOpLeap), "a leap is not renewed by the last one");
}

#[test]
fn a_full_space_refuses_more_and_still_knows_what_it_has() {
    let mut author = Author::new(1, 1);
    let chunks = author.chunks(3);
    let bytes: usize = chunks[..2].iter().map(|chunk| chunk.bytes.len()).sum();
    let by_count = Quotas { space_chunks_max: 2, ..Quotas::DEFAULT };
    let by_bytes = Quotas { space_bytes_max: bytes as u64, ..Quotas::DEFAULT };
    for quotas in [by_count, by_bytes] {
        let mut desk = Desk::with(SqliteLog::open_in_memory().unwrap().with_quotas(quotas));
        let codes: Vec<_> = desk.push(chunks.clone()).iter().map(code).collect();
        assert_eq!(codes, [None, None, Some(ChunkCode::Quota)]);
        assert!(matches!(desk.push(chunks[..1].to_vec())[..], [ChunkVerdict::Duplicate { .. }]));
        desk.log.quotas = Quotas::DEFAULT;
        assert!(is_stored(&desk.push(chunks[2..].to_vec())[0]), "the control");
    }
}

#[test]
fn the_first_accepted_binding_of_an_entity_to_a_collection_wins() {
    let mut desk = Desk::new();
    let mut author = Author::new(1, 1);
    let (first, mut second) = (author.chunk("1"), author.chunk("2"));
    second.collection = "tasks".parse().unwrap();
    let mut other = Author::new(2, 2).chunk("other");
    other.collection = "tasks".parse().unwrap();
    desk.push(vec![first, second, other]);
    let start = desk.start();
    let names: Vec<_> = desk.run(start).entries().iter().map(|entry| entry.collection.to_string()).collect();
    assert_eq!(names, ["notes", "notes", "tasks"]);
}

#[test]
fn many_sessions_share_one_commit() {
    let mut desk = Desk::new();
    let before = desk.log.write_transactions();
    let batch: Vec<_> = (1..=50)
        .map(|number| (desk.principal, desk.request(vec![Author::new(number, number).chunk("hello")])))
        .collect();
    let Appended { answers, runs } = desk.log.append(batch, at(0)).unwrap().into_inner();
    assert_eq!(desk.log.write_transactions() - before, 1);
    let given: Vec<_> = answers
        .iter()
        .map(|answer| match answer {
            AppendAnswer::Verdicts(verdicts) => verdicts.iter().filter_map(sequence).sum::<u64>(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(given, (1..=50).collect::<Vec<_>>());
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].1.entries().len(), 50);
    assert_eq!(runs[0].1.before(), desk.start());
}

#[test]
fn what_was_appended_is_split_into_runs_that_follow_each_other_and_fit_a_frame() {
    use afield_core::limits::{BATCH_BYTES_MAX, FRAME_BYTES_MAX};
    let mut desk = Desk::new();
    let long = "x".repeat(300 * 1024);
    let chunks: Vec<_> = (1..=7).map(|number| Author::new(number, number).chunk(&format!("{number}{long}"))).collect();
    let request = desk.request(chunks);
    let Appended { runs, .. } = desk.log.append(vec![(desk.principal, request)], at(0)).unwrap().into_inner();
    let mut expected = desk.start();
    for (_, run) in &runs {
        assert_eq!(run.before(), expected);
        let bytes: usize = run.entries().iter().map(|entry| entry.bytes.len()).sum();
        assert!(bytes <= BATCH_BYTES_MAX && bytes + run.entries().len() * 128 <= FRAME_BYTES_MAX);
        expected = run.after();
    }
    assert_eq!((runs.len(), expected.sequence.get()), (4, 7));
}

#[test]
fn an_entity_of_one_space_says_nothing_about_another() {
    let mut desk = Desk::new();
    let chunk = Author::new(1, 1).chunk("x");
    desk.push(vec![chunk.clone()]);
    let other = SpaceId::from_bytes([2; 16]);
    let told = create(&mut desk.log, desk.principal, other, 2);
    let answer = append(&mut desk.log, desk.principal, request(other, told, vec![chunk]));
    assert!(matches!(answer, AppendAnswer::Verdicts(verdicts) if is_stored(&verdicts[0])), "R6");
}
