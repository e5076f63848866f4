use super::*;
use crate::change::samples;
use crate::id::{EntityId, LogId};
use crate::limits::Limits;
use crate::wire::PushNumber;
use automerge::ROOT;
use automerge::transaction::Transactable;
use std::collections::BTreeSet;

/// A run of so many changes, each by another writer of another entity.
fn run(count: u16) -> LogRun {
    let before = Cursor::start(LogId::from_bytes([4; 16]));
    let mut position = before;
    let entries = (0..count).map(|number| {
        let mut document = samples::document(1);
        document.put(ROOT, "title", i64::from(number)).unwrap();
        let bytes = samples::commit(&mut document, 0);
        let mut id = [6; 16];
        id[14..].copy_from_slice(&number.to_be_bytes());
        let (entity, hash) = (EntityId::from_bytes(id), ChunkHash::of(&bytes));
        position = position.then(entity, ChunkKind::Change.number(), hash);
        let (sequence, chain) = (position.sequence, position.chain);
        let collection = "notes".parse().unwrap();
        LogEntry { sequence, chain, entity, collection, kind: ChunkKind::Change, hash, bytes }
    });
    LogRun::new(before, entries.collect())
}

/// What a reader understands who pushed one chunk of a run, with every chunk it pushed itself as `None`.
fn understood(parts: &[Part<'_>]) -> Vec<Option<Vec<u8>>> {
    let mut understood = Vec::new();
    for part in parts {
        match part {
            Part::Own { count, .. } => understood.extend((0..*count).map(|_| None)),
            Part::Raw(entry) => understood.push(Some(entry.bytes.clone())),
            Part::Batch(batch) => {
                let chunks = wire::decode_batch(batch, &Limits::DEFAULT).unwrap();
                understood.extend(chunks.into_iter().map(|chunk| Some(chunk.bytes.to_vec())));
            }
        }
    }
    understood
}

fn parts_without(run: &LogRun, own: usize) -> Vec<Part<'_>> {
    let own = run.entries()[own].sequence;
    parts(run, false, |sequence| (sequence == own).then_some((PushNumber(1), 0)), |_| true)
}

#[test]
fn what_each_of_many_pushers_gets_of_the_others_costs_no_more_the_more_they_are() {
    let run = run(1_000);
    for own in 0..run.entries().len() {
        let parts = parts_without(&run, own);
        assert!(parts.len() <= 32, "{} parts", parts.len());
        if own % 37 == 0 {
            let expected: Vec<_> =
                (0..).zip(run.entries()).map(|(at, entry)| (at != own).then(|| entry.bytes.clone())).collect();
            assert!(understood(&parts) == expected, "R9: everything once and in order, without chunk {own}");
        }
    }
    // Each alone would be a thousand times the run.
    assert!(run.encoded.get() <= 100 * run.entries().len(), "{} entries were encoded", run.encoded.get());
}

#[test]
fn all_who_pushed_nothing_share_one_batch_and_a_few_pushers_get_theirs_whole() {
    let run = run(50);
    let whole: BTreeSet<*const u8> = (0..10)
        .map(|_| match &parts(&run, false, |_| None, |_| true)[..] {
            [Part::Batch(batch)] => batch.as_ptr(),
            parts => panic!("{} parts", parts.len()),
        })
        .collect();
    assert_eq!((whole.len(), run.encoded.get()), (1, 50));
    assert!(matches!(parts_without(&run, 20)[..], [Part::Batch(_), Part::Own { .. }, Part::Batch(_)]));
}

#[test]
fn a_decayed_chunk_costs_its_readers_no_encoding_each() {
    let mut run = run(50);
    run.entries[20].bytes[30] ^= 1;
    let run = LogRun::new(run.before, run.entries);
    for _ in 0..20 {
        let parts = parts(&run, false, |_| None, |_| true);
        assert!(matches!(parts[..], [Part::Batch(_), Part::Raw(_), Part::Batch(_)]));
    }
    assert_eq!(run.encoded.get(), 49);
}

#[test]
fn an_encoder_that_panics_leaves_chunks_that_travel_one_by_one() {
    assert_eq!(encode_or_nothing(|| panic!("injected")), None);
    assert_eq!(encode_or_nothing(|| vec![1]).as_deref(), Some(&[1][..]), "the control");
    let run = run(3);
    run.shared.borrow_mut().insert((0, 3), None);
    let parts = parts(&run, false, |_| None, |_| true);
    assert!(matches!(parts[..], [Part::Raw(_), Part::Raw(_), Part::Raw(_)]));
    assert_eq!(understood(&parts).len(), 3);
}
