use super::*;
use crate::change::{ChangeError, ChangeHeader, frame_body, hash_of, samples};
use crate::id::{Collection, EntityId, LogId};
use crate::limits::Limits;
use crate::log::{ChainHash, ChunkHash, ChunkKind, Sequence};
use crate::wire::batch::{BATCH_OUTPUT_BYTES_MAX, BatchChunk, BatchError, ChunkBudget, DecodedChunk};
use crate::wire::frame::Channel;
use crate::wire::histories::{history, steps};
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ChangeHash, ObjType, ROOT};
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

fn nothing(_: Sequence) -> Option<(EntityId, ChangeHash)> {
    None
}

fn decode(state: &mut LiveState, items: &[u8]) -> Result<Vec<LiveItem>, BatchError> {
    let (mut items, mut budget, mut decoded) = (LiveItems::new(items), ChunkBudget::WHOLE, Vec::new());
    while let Some(item) = state.decode(&mut items, &LIMITS, &mut budget, nothing)? {
        decoded.push(item);
    }
    Ok(decoded)
}

fn is(decoded: &DecodedChunk, chunk: &BatchChunk<'_>) -> bool {
    let same = (decoded.entity, &decoded.collection, decoded.kind, &decoded.bytes[..])
        == (chunk.entity, chunk.collection, chunk.kind, chunk.bytes);
    let header = chunk.kind != ChunkKind::Change || decoded.header == ChangeHeader::read(chunk.bytes, &LIMITS);
    same && header
}

/// A writer, its reader, and one who comes by the same chunks in another way.
#[derive(Default)]
struct Stream {
    writer: LiveState,
    reader: LiveState,
    observer: LiveState,
}

impl Stream {
    /// Sends a chunk; whatever the form, all three hold the same state afterwards.
    fn send(&mut self, chunk: &BatchChunk<'_>) -> (Vec<u8>, DecodedChunk) {
        let item = self.writer.encode(chunk, |_, _| None);
        let decoded = decode(&mut self.reader, &item).unwrap();
        self.observer.observe(chunk);
        let [LiveItem::Chunk(decoded)] = &decoded[..] else { panic!("one item is one chunk") };
        assert!(is(decoded, chunk));
        let state = format!("{:?}", self.writer);
        assert_eq!(format!("{:?}", self.reader), state);
        assert_eq!(format!("{:?}", self.observer), state);
        (item, decoded.clone())
    }
}

/// Keystrokes in one text with a backspace now and then, each 100 to 190 ms after the one before.
fn keystrokes(count: usize) -> Vec<Vec<u8>> {
    let mut document = samples::document(5);
    let text = document.put_object(ROOT, "text", ObjType::Text).unwrap();
    let mut changes = vec![samples::commit(&mut document, 1_760_000_000_000)];
    let mut time = 1_760_000_000_000;
    for key in 1..count {
        let length = automerge::ReadDoc::length(&document, &text);
        match key % 20 {
            19 => document.splice_text(&text, length - 1, 1, "").unwrap(),
            _ => document.splice_text(&text, length, 0, "w").unwrap(),
        }
        time += 100 + (key * key % 90) as i64;
        changes.push(samples::commit(&mut document, time));
    }
    changes
}

#[test]
fn changes_of_every_kind_survive_and_leave_the_same_state_behind() {
    let (notes, tasks) = (collection("notes"), collection("tasks"));
    let mut stream = Stream::default();
    for bytes in &samples::every_kind() {
        stream.send(&change(entity(1), &notes, bytes));
        stream.send(&change(entity(2), &tasks, bytes));
        stream.send(&change(entity(1), &tasks, bytes));
    }
    for bytes in samples::every_kind().iter().rev() {
        stream.send(&change(entity(1), &notes, bytes));
    }
}

#[test]
fn other_kinds_and_what_the_parser_refuses_travel_as_they_are() {
    let notes = collection("notes");
    let good = samples::every_kind().swap_remove(0);
    let hostile = frame_body(b"hostile", hash_of(b"hostile"));
    let of_kind = |kind, bytes| BatchChunk { kind, ..change(entity(3), &notes, bytes) };
    let mut stream = Stream::default();
    for (chunk, is_change) in [
        (of_kind(ChunkKind::Snapshot, b"snapshot"), false),
        (change(entity(1), &notes, &good), true),
        (change(entity(1), &notes, &hostile), false),
        (of_kind(ChunkKind::Sealed, &good), false),
        (change(entity(1), &notes, b""), false),
        (change(entity(3), &notes, &good), true),
    ] {
        let (item, decoded) = stream.send(&chunk);
        assert_eq!(decoded.header.is_ok(), is_change);
        assert_eq!(item[0] & control::OTHER == 0, is_change);
    }
}

#[test]
fn a_keystroke_takes_a_few_bytes() {
    let notes = collection("notes");
    let mut stream = PushStream::new();
    let sizes: Vec<usize> = keystrokes(400)
        .iter()
        .map(|bytes| stream.encode(Channel(1), &[change(entity(1), &notes, bytes)], |_, _| None).len())
        .collect();
    let settled = &sizes[40..];
    let mean = settled.iter().sum::<usize>() as f64 / settled.len() as f64;
    assert!(mean <= 10.0, "{mean} bytes");
    assert!(settled.iter().all(|size| *size <= 13), "{:?}", settled.iter().max());
}

#[test]
fn what_falls_out_of_the_tables_falls_out_on_both_sides() {
    let collections: Vec<Collection> = (0..40).map(|number| collection(&format!("kind{number}"))).collect();
    let mut stream = Stream::default();
    for number in 0..400_usize {
        let mut document = samples::document((number % 90) as u8);
        let text = document.put_object(ROOT, format!("text{}", number % 70), ObjType::Text).unwrap();
        document.splice_text(&text, 0, 0, &"é".repeat(number % 60)).unwrap();
        (0..number % 30).for_each(|key| document.put(ROOT, format!("key{key}"), key as i64).unwrap());
        let bytes = samples::commit(&mut document, 7 * number as i64);
        let place = number * 7 % 300;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&(place as u64).to_le_bytes());
        stream.send(&change(EntityId::from_bytes(id), &collections[place % 40], &bytes));
    }
    let state = &stream.reader;
    let lengths = [
        (state.entities.len(), LIVE_ENTITIES_MAX),
        (state.collections.len(), LIVE_COLLECTIONS_MAX),
        (state.actors.len(), LIVE_ACTORS_MAX),
        (state.heads.len(), LIVE_HEADS_MAX),
        (state.rows.len(), LIVE_ROWS_MAX),
        (state.texts.len(), LIVE_TEXTS_MAX),
    ];
    for (length, maximum) in lengths {
        assert_eq!(length, maximum);
    }
    assert!(state.shapes.len() <= LIVE_SHAPES_MAX);
    assert!(state.shapes.iter().map(|known| known.shape.parts()).sum::<usize>() <= LIVE_PARTS_MAX);
}

#[test]
fn a_full_state_takes_less_than_60_kib() {
    use super::tables::{Actor, Entity, Head, KnownShape, Row, Text};
    use crate::wire::row::shape::Shape;
    let counts = 2 * size_of::<usize>();
    let collection = counts + size_of::<Collection>() + crate::id::COLLECTION_BYTES_MAX;
    let (shape, part) = Shape::bytes_max();
    // The definition of a run takes at most ten bytes, and the last value of a slot eight.
    let part = part + 10;
    let tables = [
        LIVE_ENTITIES_MAX * (size_of::<Entity>() + collection),
        LIVE_COLLECTIONS_MAX * (size_of::<usize>() + collection),
        LIVE_ACTORS_MAX * (size_of::<Actor>() + counts + crate::limits::ACTOR_BYTES_MAX),
        LIVE_HEADS_MAX * size_of::<Head>(),
        LIVE_ROWS_MAX * size_of::<Row>(),
        LIVE_SHAPES_MAX * (size_of::<KnownShape>() + counts + shape) + LIVE_PARTS_MAX * part,
        LIVE_TEXTS_MAX * (size_of::<Text>() + LIVE_TEXT_BYTES_MAX),
        size_of::<LiveState>() + 2 * LIVE_TEXT_BYTES_MAX,
    ];
    assert!(tables.iter().sum::<usize>() < 60 * 1024, "{tables:?}");
}

#[test]
fn a_change_of_more_than_a_row_names_travels_as_it_is() {
    let notes = collection("notes");
    let mut document = samples::document(200);
    let text = document.put_object(ROOT, "text", ObjType::Text).unwrap();
    let mut stream = Stream::default();
    stream.send(&change(entity(1), &notes, &samples::commit(&mut document, 1)));
    for actor in 0..=LIVE_OTHERS_MAX as u8 {
        let mut other = samples::document(actor);
        other.merge(&mut document).unwrap();
        other.splice_text(&text, 0, 0, "x").unwrap();
        stream.send(&change(entity(1), &notes, &samples::commit(&mut other, 2)));
        document.merge(&mut other).unwrap();
    }
    // Whoever made the text is another actor, too.
    for (delete, is_row) in [(LIVE_OTHERS_MAX - 1, true), (LIVE_OTHERS_MAX, false)] {
        let mut document = document.clone().with_actor([201; 16].into());
        document.splice_text(&text, 0, delete as isize, "").unwrap();
        let (item, _) = stream.send(&change(entity(1), &notes, &samples::commit(&mut document, 3)));
        assert_eq!(item[0] & control::OTHER == 0, is_row);
    }
}

#[test]
fn what_another_device_wrote_is_named_by_its_place_in_the_log() {
    let notes = collection("notes");
    let (mut one, mut two) = (samples::document(1), samples::document(2));
    let text = one.put_object(ROOT, "text", ObjType::Text).unwrap();
    let mut log = vec![samples::commit(&mut one, 1_000)];
    two.merge(&mut one).unwrap();
    let (mut device, mut relay) = (PushStream::new(), PushStream::new());
    let (mut bytes, mut pushes) = (0, 0);
    for turn in 0..200_i64 {
        let (document, other) = if turn % 3 == 0 { (&mut two, &mut one) } else { (&mut one, &mut two) };
        if turn % 4 == 0 {
            document.merge(other).unwrap();
        }
        document.splice_text(&text, 0, 0, "x").unwrap();
        let change_bytes = samples::commit(document, 1_000 + 150 * turn);
        if turn % 3 != 0 {
            let chunk = change(entity(1), &notes, &change_bytes);
            let place = |hash: &ChangeHash| {
                log.iter().position(|bytes| ChangeHeader::read(bytes, &LIMITS).unwrap().hash == *hash)
            };
            let known_at = |of, hash| {
                assert_eq!(of, entity(1));
                place(&hash).map(|place| Sequence::new(place as u64 + 1))
            };
            let message = device.encode(Channel(3), &[chunk], known_at);
            let resolve = |sequence: Sequence| {
                let bytes = log.get(usize::try_from(sequence.get()).ok()?.checked_sub(1)?)?;
                Some((entity(1), ChangeHeader::read(bytes, &LIMITS).ok()?.hash))
            };
            let opened = LiveMessage::open(&message).unwrap().unwrap();
            assert_eq!((opened.kind(), opened.channel(), opened.begins()), (LiveKind::Push, Channel(3), pushes == 0));
            let decoded = relay.decode(&opened, &LIMITS, resolve).unwrap();
            assert!(is(&decoded[0], &chunk));
            bytes += message.len();
            pushes += 1;
        }
        log.push(change_bytes);
    }
    assert!(bytes <= 16 * pushes, "{bytes} bytes for {pushes}");
}

#[test]
fn a_place_that_the_relay_does_not_know_or_that_holds_another_change_is_refused() {
    let notes = collection("notes");
    let changes = keystrokes(3);
    let hash = |at: usize| ChangeHeader::read(&changes[at], &LIMITS).unwrap().hash;
    let chunk = change(entity(1), &notes, &changes[2]);
    let message = PushStream::new().encode(Channel(1), &[chunk], |_, _| Some(Sequence::new(9)));
    let opened = LiveMessage::open(&message).unwrap().unwrap();
    let decode = |found| PushStream::new().decode(&opened, &LIMITS, |_| found);
    assert!(is(&decode(Some((entity(1), hash(1)))).unwrap()[0], &chunk));
    assert_eq!(decode(None), Err(BatchError::UnknownPosition { sequence: 9 }));
    assert_eq!(decode(Some((entity(1), hash(0)))), Err(BatchError::WrongCheck));
    assert_eq!(decode(Some((entity(2), hash(1)))), Err(BatchError::WrongCheck));
}

#[test]
fn a_stream_begins_with_its_first_message_and_a_lost_one_is_noticed_at_the_next() {
    let notes = collection("notes");
    let changes = keystrokes(4);
    let mut device = PushStream::new();
    let messages: Vec<_> = changes
        .iter()
        .map(|bytes| device.encode(Channel(1), &[change(entity(1), &notes, bytes)], |_, _| None))
        .collect();
    let open = |at: usize| LiveMessage::open(&messages[at]).unwrap().unwrap();
    let mut relay = PushStream::new();
    assert_eq!(relay.decode(&open(1), &LIMITS, nothing), Err(BatchError::NotBegun));
    assert!(!relay.has_begun());
    assert!((0..4).all(|at| relay.decode(&open(at), &LIMITS, nothing).is_ok()));
    assert!(relay.decode(&open(0), &LIMITS, nothing).is_ok(), "a stream may begin again");
    assert!(relay.decode(&open(2), &LIMITS, nothing).is_err(), "a message was lost");
    let mut relay = PushStream::new();
    assert!(relay.decode(&open(0), &LIMITS, nothing).is_ok());
    relay.observe(&change(entity(1), &notes, &changes[1]));
    assert!(relay.decode(&open(2), &LIMITS, nothing).is_ok(), "a plain Push is observed");
}

#[test]
fn readers_of_a_space_share_what_is_encoded_and_the_author_is_told_by_name() {
    let notes = collection("notes");
    let (mut one, mut two) = (samples::document(1), samples::document(2));
    let text = one.put_object(ROOT, "text", ObjType::Text).unwrap();
    let mut log = vec![(1, samples::commit(&mut one, 1_000))];
    for turn in 0..60_i64 {
        let (author, document, other) = if turn % 2 == 0 { (2, &mut two, &mut one) } else { (1, &mut one, &mut two) };
        document.merge(other).unwrap();
        document.splice_text(&text, 0, 0, "x").unwrap();
        log.push((author, samples::commit(document, 1_000 + 150 * turn)));
    }
    let (mut relay, mut chain) = (LiveState::new(), ChainHash::start(LogId::from_bytes([4; 16])));
    // The readers are the two authors and somebody else.
    let mut readers = [(1, LiveState::new()), (2, LiveState::new()), (3, LiveState::new())];
    let mut bytes = 0;
    for (number, (author, written)) in log.iter().enumerate() {
        let chunk = change(entity(1), &notes, written);
        let item = relay.encode(&chunk, |_, _| None);
        let sequence = Sequence::new(number as u64 + 1);
        chain = chain.then(sequence, chunk.entity, chunk.kind.number(), ChunkHash::of(written));
        for (reader, state) in &mut readers {
            let own = own_item(0, 1);
            let item = if reader == author { &own } else { &item };
            let message = encode_live_chunks(Channel(1), number == 0, [&item[..]], &chain);
            let opened = LiveMessage::open(&message).unwrap().unwrap();
            assert_eq!((opened.kind(), opened.begins()), (LiveKind::Chunks, number == 0));
            assert!(opened.fits_chain(&chain) && !opened.fits_chain(&ChainHash::start(LogId::from_bytes([5; 16]))));
            match state.decode(&mut opened.items(), &LIMITS, &mut { ChunkBudget::WHOLE }, nothing).unwrap() {
                Some(LiveItem::Own { skip: 0, count: 1 }) if reader == author => state.observe(&chunk),
                Some(LiveItem::Chunk(decoded)) if reader != author => assert!(is(&decoded, &chunk)),
                other => panic!("{other:?}"),
            }
            assert_eq!(format!("{state:?}"), format!("{relay:?}"));
            bytes += message.len();
        }
    }
    assert!(bytes <= 14 * 3 * log.len(), "{bytes} bytes");
}

#[test]
fn own_chunks_are_named_by_how_many_are_left_out_and_named() {
    for (skip, count, length) in [(0, 1, 1), (0, 2, 3), (3, 1, 3), (200, 300, 5)] {
        let item = own_item(skip, count);
        assert_eq!(item.len(), length);
        assert_eq!(decode(&mut LiveState::new(), &item), Ok(vec![LiveItem::Own { skip, count }]));
    }
    assert!(decode(&mut LiveState::new(), &own_item(0, 0)).is_err());
    assert!(decode(&mut LiveState::new(), &own_item(0, u64::MAX)).is_err());
}

#[test]
fn a_truncated_or_extended_message_is_refused_at_every_byte() {
    let notes = collection("notes");
    for changes in [samples::every_kind(), keystrokes(30)] {
        let chunks: Vec<_> = changes.iter().map(|bytes| change(entity(1), &notes, bytes)).collect();
        let message = PushStream::new().encode(Channel(1), &chunks, |_, _| None);
        let decode = |message: &[u8]| match LiveMessage::open(message) {
            Ok(Some(opened)) => PushStream::new().decode(&opened, &LIMITS, nothing).is_ok(),
            _ => false,
        };
        assert!(decode(&message));
        assert!((0..message.len()).all(|length| !decode(&message[..length])));
        assert!(!decode(&[&message[..], &[0]].concat()));
    }
}

#[test]
fn a_flipped_byte_is_noticed_anywhere() {
    let notes = collection("notes");
    for changes in [samples::every_kind(), keystrokes(30)] {
        let chunks: Vec<_> = changes.iter().map(|bytes| change(entity(1), &notes, bytes)).collect();
        let message = PushStream::new().encode(Channel(1), &chunks, |_, _| None);
        // The first two bytes say what the message is and which channel it is on.
        for position in 2..message.len() {
            for flip in [1, 0x80, 0xff] {
                let mut flipped = message.clone();
                flipped[position] ^= flip;
                let opened = LiveMessage::open(&flipped).unwrap().unwrap();
                assert!(PushStream::new().decode(&opened, &LIMITS, nothing).is_err(), "byte {position}");
            }
        }
    }
}

#[test]
fn a_message_that_expands_beyond_the_budget_is_refused() {
    let notes = collection("notes");
    let key = "k".repeat(LIVE_TEXT_BYTES_MAX);
    let mut document = samples::document(1);
    let changes: Vec<_> = (0..9_000_i64)
        .map(|value| {
            document.put(ROOT, &key, value % 50).unwrap();
            document.commit_with(CommitOptions::default().with_time(1).with_message(key.as_str()));
            document.get_last_local_change().unwrap().raw_bytes().to_vec()
        })
        .collect();
    let message = |count| {
        let chunks: Vec<_> = changes[..count].iter().map(|bytes| change(entity(1), &notes, bytes)).collect();
        PushStream::new().encode(Channel(1), &chunks, |_, _| None)
    };
    let refused = |message: &[u8]| {
        let opened = LiveMessage::open(message).unwrap().unwrap();
        PushStream::new().decode(&opened, &LIMITS, nothing).map(|chunks| chunks.len())
    };
    assert_eq!(refused(&message(1_000)), Ok(1_000));
    let large = message(8_000);
    assert!(large.len() < BATCH_OUTPUT_BYTES_MAX / 10, "{}", large.len());
    assert_eq!(refused(&large), Err(BatchError::OverBudget { maximum: BATCH_OUTPUT_BYTES_MAX }));
}

#[test]
fn rows_that_are_no_changes_and_unknown_flags_are_refused() {
    let notes = collection("notes");
    let item = LiveState::new().encode(&change(entity(1), &notes, &keystrokes(1)[0]), |_, _| None);
    assert!(decode(&mut LiveState::new(), &item).is_ok());
    assert!(decode(&mut LiveState::new(), &[0, 0]).is_err(), "nothing is expected yet");
    assert!(decode(&mut LiveState::new(), &[control::OTHER | 1 << 7]).is_err());
    assert!(decode(&mut LiveState::new(), &[control::RARE, 1 << 7]).is_err());
    let mut broken = item;
    broken.pop();
    assert!(matches!(
        decode(&mut LiveState::new(), &broken),
        Err(BatchError::Truncated { .. } | BatchError::BadRow(_))
    ));
}

#[test]
fn a_change_above_the_readers_limits_does_not_fail_the_message() {
    let notes = collection("notes");
    let changes = samples::every_kind();
    let limits = Limits { change_operations_max: 8, change_bytes_max: 400, ..LIMITS };
    let (mut writer, mut reader) = (LiveState::new(), LiveState::new());
    let mut refused = 0;
    for bytes in &changes {
        let item = writer.encode(&change(entity(1), &notes, bytes), |_, _| None);
        let decoded = reader.decode(&mut LiveItems::new(&item), &limits, &mut { ChunkBudget::WHOLE }, nothing);
        let Ok(Some(LiveItem::Chunk(decoded))) = decoded else { panic!("{decoded:?}") };
        assert_eq!((&decoded.bytes, &decoded.header), (bytes, &ChangeHeader::read(bytes, &limits)));
        refused +=
            usize::from(matches!(decoded.header, Err(ChangeError::TooLarge { .. } | ChangeError::TooMany { .. })));
    }
    assert!(0 < refused && refused < changes.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn histories_of_many_actors_and_entities_survive(steps in steps()) {
        let collections = ["notes", "tasks", "notes"].map(collection);
        let mut stream = Stream::default();
        for (index, bytes) in history(&steps) {
            stream.send(&change(entity(index as u8), &collections[index], &bytes));
        }
    }
}

proptest! {
    // How many cases are tried comes from the environment variable PROPTEST_CASES.

    #[test]
    fn fuzz_no_items_panic_or_expand_beyond_the_budget(items in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&mut LiveState::new(), &items);
        if let Ok(Some(message)) = LiveMessage::open(&[&[2, 3], &items[..]].concat()) {
            let _ = PushStream::new().decode(&message, &LIMITS, |_| Some((entity(1), ChangeHash([7; 32]))));
        }
    }

    #[test]
    fn fuzz_no_damaged_items_panic_or_expand_beyond_the_budget(
        size in 1_usize..16,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        let notes = collection("notes");
        let mut writer = LiveState::new();
        let changes = samples::every_kind();
        let mut items = Vec::new();
        for bytes in changes.iter().take(size) {
            items.extend(writer.encode(&change(entity(1), &notes, bytes), |_, _| None));
        }
        for (position, byte) in damage {
            let position = position.index(items.len());
            items[position] = byte;
        }
        if let Some(cut) = cut {
            items.truncate(cut.index(items.len()));
        }
        if let Ok(items) = decode(&mut LiveState::new(), &items) {
            let bytes = items.iter().map(|item| match item {
                LiveItem::Chunk(chunk) => chunk.bytes.len(),
                LiveItem::Own { .. } => 0,
            });
            prop_assert!(bytes.sum::<usize>() <= BATCH_OUTPUT_BYTES_MAX);
        }
    }
}
