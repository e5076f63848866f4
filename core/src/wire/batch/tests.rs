use super::*;
use crate::change::leb::{Reader, write_unsigned};
use crate::change::{frame_body, hash_of, samples};
use crate::limits::{BATCH_CHUNKS_MAX, Limits};
use crate::log::Sequence;
use crate::wire::compress::{InflateError, inflate, with_magic};
use crate::wire::histories::{history, steps};
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ObjType, ROOT};
use proptest::prelude::*;

const LIMITS: Limits = Limits::DEFAULT;

fn entity(byte: u8) -> EntityId {
    EntityId::from_bytes([byte; 16])
}

fn collection(name: &str) -> Collection {
    name.parse().unwrap()
}

fn change<'a>(entity: EntityId, collection: &'a Collection, bytes: &'a [u8]) -> BatchChunk<'a> {
    BatchChunk { entity, collection, kind: ChunkKind::Change, bytes }
}

fn survives(chunks: &[BatchChunk<'_>]) -> Vec<DecodedChunk> {
    let batch = encode_batch(chunks.iter().copied());
    let decoded = decode_batch(&batch, &LIMITS).unwrap();
    assert_eq!(decoded.len(), chunks.len());
    for (decoded, chunk) in decoded.iter().zip(chunks) {
        assert_eq!(decoded.entity, chunk.entity);
        assert_eq!(&decoded.collection, chunk.collection);
        assert_eq!(decoded.kind, chunk.kind);
        assert_eq!(decoded.bytes, chunk.bytes);
        if chunk.kind == ChunkKind::Change {
            assert_eq!(decoded.header, ChangeHeader::read(chunk.bytes, &LIMITS));
        }
    }
    decoded
}

/// Keystrokes at the end of one text, and a backspace now and then.
fn keystrokes(count: usize) -> Vec<Vec<u8>> {
    let mut document = samples::document(5);
    let text = document.put_object(ROOT, "text", ObjType::Text).unwrap();
    let first = samples::commit(&mut document, 1_760_000_000_000);
    let mut changes = vec![first];
    for key in 1..count {
        let length = automerge::ReadDoc::length(&document, &text);
        if key % 20 == 19 {
            document.splice_text(&text, length - 1, 1, "").unwrap();
        } else {
            let letter = "some words that a person types ".chars().nth(key % 31).unwrap();
            document.splice_text(&text, length, 0, &letter.to_string()).unwrap();
        }
        changes.push(samples::commit(&mut document, 1_760_000_000_000 + key as i64 * 150 + (key * key % 90) as i64));
    }
    changes
}

fn batch_of(changes: &[Vec<u8>]) -> Vec<u8> {
    let notes = collection("notes");
    encode_batch(changes.iter().map(|bytes| change(entity(1), &notes, bytes)))
}

/// A batch in the plain codec around a section that somebody made up.
fn forged(section: &[u8], ids: &[u8]) -> Vec<u8> {
    let mut batch = vec![CODEC_PLAIN];
    write_unsigned(&mut batch, section.len() as u64);
    batch.extend_from_slice(section);
    batch.extend_from_slice(ids);
    batch.extend_from_slice(&[0; CHECK_BYTES]);
    batch
}

/// The same batch in the plain codec, so that damage reaches the section.
fn plain(batch: &[u8]) -> Vec<u8> {
    let mut reader = Reader::new(batch, 0);
    if reader.byte() == Ok(CODEC_PLAIN) {
        return batch.to_vec();
    }
    let stated = reader.unsigned().unwrap();
    let compressed = reader.unsigned().unwrap();
    let frame = reader.take(compressed).unwrap();
    let section = inflate(&with_magic(frame), usize::try_from(stated).unwrap()).unwrap();
    let mut batch = vec![CODEC_PLAIN];
    write_unsigned(&mut batch, stated);
    [&batch[..], &section, reader.rest()].concat()
}

fn refused(batch: &[u8]) -> BatchError {
    decode_batch(batch, &LIMITS).unwrap_err()
}

#[test]
fn changes_of_every_kind_survive_a_batch() {
    let notes = collection("notes");
    let changes = samples::every_kind();
    let chunks: Vec<_> = changes.iter().map(|bytes| change(entity(1), &notes, bytes)).collect();
    survives(&chunks);
    for chunk in &chunks {
        survives(&[*chunk]);
    }
    survives(&[]);
}

#[test]
fn a_value_that_compresses_as_far_as_is_allowed_still_decodes() {
    let notes = collection("notes");
    for length in 1..=12_000 {
        let mut document = samples::document(1);
        document.put(ROOT, "k", "a".repeat(length)).unwrap();
        let bytes = samples::commit(&mut document, 1_700_000_000_000);
        let batch = encode_batch([change(entity(1), &notes, &bytes)]);
        assert!(decode_batch(&batch, &LIMITS).is_ok(), "{length}");
    }
}

#[test]
fn the_order_of_chunks_is_kept_whatever_it_is() {
    let (notes, tasks) = (collection("notes"), collection("tasks"));
    let changes = samples::every_kind();
    let mut chunks: Vec<_> = changes.iter().map(|bytes| change(entity(1), &notes, bytes)).collect();
    chunks.reverse();
    survives(&chunks);
    let twice: Vec<_> = chunks.iter().chain(&chunks).copied().collect();
    survives(&twice);
    let interleaved: Vec<_> = changes
        .iter()
        .flat_map(|bytes| {
            [change(entity(1), &notes, bytes), change(entity(2), &tasks, bytes), change(entity(1), &tasks, bytes)]
        })
        .collect();
    survives(&interleaved);
}

#[test]
fn other_kinds_and_what_the_parser_refuses_travel_as_they_are() {
    let notes = collection("notes");
    let good = samples::every_kind().swap_remove(0);
    let mut document = samples::document(1);
    document.put(ROOT, "long", "deflate me ".repeat(1000)).unwrap();
    document.commit();
    let deflated = document.get_last_local_change().unwrap().bytes().into_owned();
    let bomb = frame_body(b"hostile", hash_of(b"hostile"));
    let snapshot = document.save();
    let of_kind = |kind, bytes| BatchChunk { kind, ..change(entity(3), &notes, bytes) };
    let decoded = survives(&[
        change(entity(1), &notes, &good),
        change(entity(1), &notes, &deflated),
        change(entity(1), &notes, &bomb),
        of_kind(ChunkKind::Snapshot, &snapshot),
        of_kind(ChunkKind::Sealed, &good),
        change(entity(1), &notes, b""),
        change(entity(1), &notes, &good),
    ]);
    let verdicts: Vec<bool> = decoded.iter().map(|chunk| chunk.header.is_ok()).collect();
    assert_eq!(verdicts, [true, false, false, false, false, false, true]);
    assert_eq!(decoded[4].header, Err(ChangeError::NotAChange { kind: ChunkKind::Sealed }));
}

#[test]
fn a_change_above_the_readers_limits_does_not_fail_the_batch() {
    let changes = samples::every_kind();
    let batch = batch_of(&changes);
    let longest = changes.iter().map(Vec::len).max().unwrap();
    let limits = Limits { change_bytes_max: longest - 1, change_operations_max: 8, ..LIMITS };
    let decoded = decode_batch(&batch, &limits).unwrap();
    assert!(decoded.iter().zip(&changes).all(|(decoded, bytes)| decoded.bytes == *bytes));
    assert!(decoded.iter().zip(&changes).all(|(decoded, bytes)| decoded.header == ChangeHeader::read(bytes, &limits)));
    assert!(decoded.iter().any(|chunk| matches!(chunk.header, Err(ChangeError::TooLarge { .. }))));
    assert!(decoded.iter().any(|chunk| matches!(chunk.header, Err(ChangeError::TooMany { .. }))));
    assert!(decoded.iter().any(|chunk| chunk.header.is_ok()));
}

#[test]
fn keystrokes_take_a_few_bytes_each() {
    let raw: usize = keystrokes(1_000).iter().map(Vec::len).sum();
    assert!(raw > 100_000);
    let ten = batch_of(&keystrokes(10)).len();
    assert!(ten <= 18 * 10, "{ten} bytes for ten");
    let thousand = batch_of(&keystrokes(1_000)).len();
    assert!(thousand <= 2_500, "{thousand} bytes for a thousand");
}

#[test]
fn large_batches_are_compressed_and_small_ones_are_not() {
    assert_eq!(batch_of(&keystrokes(5))[0], CODEC_PLAIN);
    assert_eq!(batch_of(&keystrokes(500))[0], CODEC_ZSTD);
}

#[test]
fn a_batch_is_the_same_every_time() {
    let changes = samples::every_kind();
    assert_eq!(batch_of(&changes), batch_of(&changes));
}

#[test]
fn a_truncated_batch_is_refused_at_every_byte() {
    for batch in [batch_of(&samples::every_kind()), batch_of(&keystrokes(12)), batch_of(&keystrokes(300))] {
        assert!(decode_batch(&batch, &LIMITS).is_ok());
        for length in 0..batch.len() {
            assert!(decode_batch(&batch[..length], &LIMITS).is_err());
        }
        assert!(decode_batch(&[&batch[..], &[0]].concat(), &LIMITS).is_err());
    }
}

#[test]
fn a_flipped_byte_is_noticed_anywhere() {
    // Some bytes of a zstd frame mean the same with another value; what is decoded then is the same too.
    let large = batch_of(&samples::every_kind());
    for batch in [plain(&large), large, batch_of(&keystrokes(12)), batch_of(&keystrokes(300))] {
        let chunks = decode_batch(&batch, &LIMITS).unwrap();
        for position in 0..batch.len() {
            for flip in [1, 0x80, 0xff] {
                let mut flipped = batch.clone();
                flipped[position] ^= flip;
                if let Ok(decoded) = decode_batch(&flipped, &LIMITS) {
                    assert_eq!(decoded, chunks);
                }
            }
        }
    }
}

#[test]
fn the_check_covers_entity_collection_kind_and_bytes() {
    let (notes, tasks) = (collection("notes"), collection("tasks"));
    let changes = samples::every_kind();
    let check = |chunk: BatchChunk<'_>| {
        let batch = encode_batch([chunk]);
        batch[batch.len() - CHECK_BYTES..].to_vec()
    };
    let one = change(entity(1), &notes, &changes[0]);
    let others = [
        change(entity(2), &notes, &changes[0]),
        change(entity(1), &tasks, &changes[0]),
        change(entity(1), &notes, &changes[1]),
        BatchChunk { kind: ChunkKind::Sealed, ..one },
    ];
    assert_eq!(check(one), check(one));
    assert!(others.into_iter().all(|other| check(other) != check(one)));
}

#[test]
fn an_unknown_codec_and_trailing_bytes_are_named() {
    let mut batch = batch_of(&keystrokes(3));
    batch[0] = 9;
    assert_eq!(refused(&batch), BatchError::UnknownCodec { found: 9 });

    let empty_section = [0, 0, 0, 0, 0, 0, 0];
    assert_eq!(refused(&forged(&empty_section, &[])), BatchError::WrongCheck);
    let trailing =
        |field| move |error| matches!(error, BatchError::Trailing { field: found, found: 1, .. } if found == field);
    assert!(trailing(BatchField::Bytes)(refused(&forged(&[0, 0, 0, 0, 0, 0, 0, 7], &[]))));
    assert!(trailing(BatchField::Ids)(refused(&forged(&empty_section, &[7]))));
}

#[test]
fn what_the_tables_hold_must_be_used() {
    let unused_entity = [0, 0, 0, 1, 0, 0, 0];
    assert!(matches!(refused(&forged(&unused_entity, &[1; 16])), BatchError::TooMany { .. }));
    let unused_actor = [0, 0, 0, 0, 1, 0, 0];
    assert!(matches!(refused(&forged(&unused_actor, &[1; 16])), BatchError::Trailing { .. }));
    let unused_hash = [0, 0, 0, 0, 0, 1, 0];
    assert!(matches!(refused(&forged(&unused_hash, &[1; 32])), BatchError::Trailing { .. }));
}

#[test]
fn giant_counts_are_refused_before_anything_is_allocated() {
    let giant = |at: usize| {
        let mut section = Vec::new();
        for count in 0..7 {
            write_unsigned(&mut section, if count == at { u64::MAX >> 1 } else { 0 });
        }
        refused(&forged(&section, &[]))
    };
    for at in 0..7 {
        assert!(matches!(giant(at), BatchError::TooMany { .. }), "count {at}");
    }
    let mut batch = vec![CODEC_PLAIN];
    write_unsigned(&mut batch, u64::MAX);
    assert!(matches!(refused(&batch), BatchError::Inflate(InflateError::TooLarge { .. })));
}

#[test]
fn a_batch_of_too_many_chunks_is_refused() {
    let notes = collection("notes");
    let raw = |count| encode_batch((0..count).map(|_| change(entity(1), &notes, b"x")));
    assert_eq!(decode_batch(&raw(BATCH_CHUNKS_MAX), &LIMITS).map(|chunks| chunks.len()), Ok(BATCH_CHUNKS_MAX));
    let maximum = BATCH_CHUNKS_MAX as u64;
    let found = maximum + 1;
    assert_eq!(refused(&raw(BATCH_CHUNKS_MAX + 1)), BatchError::TooMany { field: BatchField::Count, found, maximum });
}

#[test]
fn the_batches_of_a_frame_share_one_budget() {
    let notes = collection("notes");
    let chunks = |count, bytes: usize| {
        let bytes = vec![7; bytes];
        encode_batch((0..count).map(|_| BatchChunk { bytes: &bytes, ..change(entity(1), &notes, b"") }))
    };
    let decode =
        |batch: &[u8], budget: &mut ChunkBudget| decode_batch_within(batch, &LIMITS, budget).map(|chunks| chunks.len());
    let mut budget = ChunkBudget::WHOLE;
    assert_eq!(decode(&chunks(BATCH_CHUNKS_MAX - 1, 1), &mut budget), Ok(BATCH_CHUNKS_MAX - 1));
    assert_eq!(decode(&chunks(1, 1), &mut budget), Ok(1));
    let none_left = BatchError::TooMany { field: BatchField::Count, found: 1, maximum: 0 };
    assert_eq!(decode(&chunks(1, 1), &mut budget), Err(none_left));
    let half = chunks(1, BATCH_OUTPUT_BYTES_MAX / 2);
    let mut budget = ChunkBudget::WHOLE;
    assert_eq!([decode(&half, &mut budget), decode(&half, &mut budget)], [Ok(1), Ok(1)]);
    assert_eq!(decode(&chunks(1, 1), &mut budget), Err(BatchError::OverBudget { maximum: BATCH_OUTPUT_BYTES_MAX }));
}

#[test]
fn a_batch_that_expands_beyond_the_budget_is_refused() {
    // Every change repeats one message: a few bytes a row become a megabyte and more.
    let message = "words ".repeat(100);
    let mut document = samples::document(1);
    let changes: Vec<_> = (0..3_000)
        .map(|key| {
            document.put(ROOT, "key", key).unwrap();
            document.commit_with(CommitOptions::default().with_time(1).with_message(message.as_str()));
            document.get_last_local_change().unwrap().raw_bytes().to_vec()
        })
        .collect();
    let within = &changes[..1_500];
    assert!(within.iter().map(Vec::len).sum::<usize>() < BATCH_OUTPUT_BYTES_MAX);
    assert!(decode_batch(&batch_of(within), &LIMITS).is_ok());
    let batch = batch_of(&changes);
    assert!(batch.len() < 20_000, "{}", batch.len());
    assert_eq!(refused(&batch), BatchError::OverBudget { maximum: BATCH_OUTPUT_BYTES_MAX });
}

#[test]
fn a_zstd_bomb_is_refused_before_it_inflates() {
    let zeros = vec![0; BATCH_SECTION_BYTES_MAX];
    let frame = zstd::bulk::compress(&zeros, 3).unwrap();
    let batch = |stated: u64| {
        let mut batch = vec![CODEC_ZSTD];
        write_unsigned(&mut batch, stated);
        write_unsigned(&mut batch, frame.len() as u64 - 4);
        batch.extend_from_slice(&frame[4..]);
        batch.extend_from_slice(&[0; CHECK_BYTES]);
        batch
    };
    let stated = zeros.len() as u64;
    let too_large = |error| matches!(error, BatchError::Inflate(InflateError::TooLarge { .. }));
    assert!(too_large(refused(&batch(stated))), "beyond the ratio");
    assert!(too_large(refused(&batch(stated + 1))), "beyond the size");
    assert!(matches!(refused(&batch(500)), BatchError::Inflate(_)));
}

#[test]
fn a_text_that_compresses_too_well_still_survives() {
    let notes = collection("notes");
    let mut document = samples::document(1);
    document.put(ROOT, "blank", " ".repeat(300_000)).unwrap();
    document.commit();
    let bytes = document.get_last_local_change().unwrap().raw_bytes().to_vec();
    survives(&[change(entity(1), &notes, &bytes)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn histories_of_many_actors_and_entities_survive(steps in steps(), size in 1_usize..40) {
        let collections = ["notes", "tasks", "notes"].map(collection);
        for changes in history(&steps).chunks(size) {
            let chunks: Vec<_> = changes
                .iter()
                .map(|(index, bytes)| change(entity(*index as u8), &collections[*index], bytes))
                .collect();
            survives(&chunks);
        }
    }

    #[test]
    fn histories_survive_when_the_reader_knows_the_log(steps in steps(), size in 1_usize..40, gap in 1_u64..5) {
        let collections = ["notes", "tasks", "notes"].map(collection);
        let all = history(&steps);
        let log: Vec<_> = all
            .iter()
            .map(|(index, bytes)| (entity(*index as u8), ChangeHeader::read(bytes, &LIMITS).unwrap().hash))
            .collect();
        for (number, changes) in all.chunks(size).enumerate() {
            let chunks: Vec<_> = changes
                .iter()
                .map(|(index, bytes)| change(entity(*index as u8), &collections[*index], bytes))
                .collect();
            // Every `gap`th change before the batch is known by its place.
            let known_at = |entity, hash| {
                let place = log[..number * size].iter().position(|known| *known == (entity, hash))? as u64;
                place.is_multiple_of(gap).then_some(Sequence::new(place + 1))
            };
            let resolve = |sequence: Sequence| log.get(sequence.get() as usize - 1).copied();
            let batch = encode_batch_over_log(chunks.iter().copied(), known_at);
            let decoded = decode_batch_over_log(&batch, &LIMITS, &mut { ChunkBudget::WHOLE }, resolve).unwrap();
            prop_assert!(decoded.iter().map(|chunk| &chunk.bytes[..]).eq(chunks.iter().map(|chunk| chunk.bytes)));
            prop_assert!(decoded.iter().map(|chunk| chunk.entity).eq(chunks.iter().map(|chunk| chunk.entity)));
            prop_assert!(batch.len() <= encode_batch(chunks.iter().copied()).len());
        }
    }
}

#[test]
fn a_dependency_known_by_its_position_takes_no_hash_and_names_the_entity() {
    let notes = collection("notes");
    let changes = keystrokes(3);
    let hash = ChangeHeader::read(&changes[1], &LIMITS).unwrap().hash;
    let chunk = change(entity(1), &notes, &changes[2]);
    let batch = encode_batch_over_log([chunk], |of, known| {
        assert_eq!((of, known), (entity(1), hash));
        Some(Sequence::new(700))
    });
    let decode = |entity, hash: Option<automerge::ChangeHash>| {
        let mut asked = Vec::new();
        let decoded = decode_batch_over_log(&batch, &LIMITS, &mut { ChunkBudget::WHOLE }, |sequence| {
            asked.push(sequence);
            hash.map(|hash| (entity, hash))
        });
        assert_eq!(asked, [Sequence::new(700)]);
        decoded
    };
    let decoded = decode(entity(1), Some(hash)).unwrap();
    assert_eq!((decoded[0].entity, &decoded[0].bytes), (entity(1), &changes[2]));
    assert_eq!(decode(entity(1), None), Err(BatchError::UnknownPosition { sequence: 700 }));
    assert_eq!(decode(entity(2), Some(hash)), Err(BatchError::WrongCheck));
    assert_eq!(decode_batch(&batch, &LIMITS), Err(BatchError::UnknownPosition { sequence: 700 }));
    let by_hash = encode_batch([chunk]).len();
    assert!(batch.len() + 42 <= by_hash, "{} and {by_hash} bytes", batch.len());
}

#[test]
fn what_is_kept_is_compressed_further_and_read_by_the_same_decoder() {
    let (notes, changes) = (collection("notes"), keystrokes(1_000));
    let chunks = || changes.iter().map(|bytes| change(entity(1), &notes, bytes));
    let kept = encode_batch_at_rest(chunks());
    assert!(kept.len() <= encode_batch(chunks()).len());
    let decoded = decode_batch(&kept, &LIMITS).unwrap();
    assert!(decoded.iter().map(|chunk| &chunk.bytes).eq(&changes));
}

proptest! {
    // How many cases are tried comes from the environment variable PROPTEST_CASES.

    #[test]
    fn fuzz_no_section_panics_or_expands_beyond_the_budget(
        section in proptest::collection::vec(any::<u8>(), 0..400),
        ids in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let _ = decode_batch(&section, &LIMITS);
        let _ = decode_batch(&forged(&section, &ids), &LIMITS);
    }

    #[test]
    fn fuzz_no_damaged_batch_panics_or_expands_beyond_the_budget(
        size in 1_usize..12,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        let changes = samples::every_kind();
        let mut batch = plain(&batch_of(&changes[..size]));
        for (position, byte) in damage {
            let position = position.index(batch.len());
            batch[position] = byte;
        }
        if let Some(cut) = cut {
            batch.truncate(cut.index(batch.len()));
        }
        if let Ok(chunks) = decode_batch(&batch, &LIMITS) {
            prop_assert!(chunks.iter().map(|chunk| chunk.bytes.len()).sum::<usize>() <= BATCH_OUTPUT_BYTES_MAX);
        }
    }
}
