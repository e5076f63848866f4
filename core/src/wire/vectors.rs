//! Holds the vectors and tables of `PROTOCOL.md`.

use super::{
    Authenticate, BATCH_OUTPUT_BYTES_MAX, BATCH_SECTION_BYTES_MAX, BatchChunk, CatchUp, CaughtUp, Channel, ChunkBudget,
    ChunkCode, Chunks, EntityIds, ErasedChunk, Fetch, FetchNumber, Fetched, Goodbye, GoodbyeCode, Hello, Jump,
    LiveItem, LiveItems, LiveMessage, LiveState, Message, NewFilter, Open, Opened, Places, Progress, Push, PushNumber,
    PushStream, RawChunk, Receipt, ReceiptRun, Refused, Reset, Seen, Segment, SequenceRuns, Signal, SignalKind,
    Signalled, SnapshotChunk, SpaceCode, ToDevice, ToRelay, Welcome, WireError, decode_batch, decode_batch_over_log,
    encode_batch, encode_batch_over_log, encode_live_chunks, encode_to_device, encode_to_relay, own_item,
};
use crate::change::{ChangeHeader, samples};
use crate::document::{Document, EditContext, Incoming, OperationError, QuarantineReason, Value, Verdict};
use crate::erasure::{Erasure, ErasureReason};
use crate::filter::Filter;
use crate::id::{COLLECTION_BYTES_MAX, Collection, DeviceId, EntityId, Incarnation, LogId, SessionId, SpaceId};
use crate::limits::{self, Limits};
use crate::log::{ChainHash, ChunkHash, ChunkKind, Cursor, Sequence};
use crate::role::Role;
use crate::time::Now;
use crate::wire;
use automerge::legacy::{Key, ObjectId, Op, OpType, SortedVec};
use automerge::transaction::Transactable;
use automerge::{ActorId, Change, ChangeHash, ExpandedChange, ObjType, ROOT, ScalarValue};
use std::collections::BTreeMap;
use std::num::NonZeroU64;

const LEAP: u64 = limits::START_OP_LEAP_MAX;

/// The entities of the compressed batch.
const ENTITIES: [u8; 30] = {
    let mut entities = [6; 30];
    let mut index = 1;
    while index < 30 {
        entities[index] = entities[index - 1] + 1;
        index += 1;
    }
    entities
};

const PROTOCOL: &str = include_str!("PROTOCOL.md");

/// The blocks of a kind in the text, by name.
fn blocks(kind: &str) -> BTreeMap<&'static str, String> {
    PROTOCOL
        .split("```")
        .skip(1)
        .step_by(2)
        .filter_map(|block| {
            let (head, body) = block.split_once('\n')?;
            let name = head.strip_prefix(kind)?.strip_prefix(' ')?;
            Some((name, body.trim_end().to_owned()))
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn vector(name: &str) -> Vec<u8> {
    let text: String = blocks("vector").remove(name).unwrap().split_whitespace().collect();
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// Two keystrokes into a text.
fn changes() -> [Vec<u8>; 2] {
    let [first, second, _] = keystrokes();
    [first, second]
}

/// Three keystrokes into a text.
fn keystrokes() -> [Vec<u8>; 3] {
    let mut document = samples::document(1);
    let text = document.put_object(ROOT, "text", ObjType::Text).unwrap();
    document.splice_text(&text, 0, 0, "a").unwrap();
    let first = samples::commit(&mut document, 1_760_000_000_000);
    document.splice_text(&text, 1, 0, "b").unwrap();
    let second = samples::commit(&mut document, 1_760_000_000_200);
    document.splice_text(&text, 2, 0, "c").unwrap();
    let third = samples::commit(&mut document, 1_760_000_000_371);
    [first, second, third]
}

fn entity(byte: u8) -> EntityId {
    EntityId::from_bytes([byte; 16])
}

fn frames_to_relay() -> [(&'static str, ToRelay<'static>); 18] {
    let open = |cursor, create, filter| {
        let (channel, space) = (Channel(1), SpaceId::from_bytes([5; 16]));
        ToRelay::Open(Open { channel, space, cursor, create, raw: false, filter, partial: false, invitation: None })
    };
    let cursor = Cursor::start(LogId::from_bytes([4; 16]));
    let name = |name: &str| name.parse().unwrap();
    let notes = Filter::collections([name("notes")]);
    let filter = notes.clone().entities([entity(6)]).announcing([name("photos")]);
    let one = Filter::nothing().entities([entity(6), entity(7)]);
    let but = || Filter::Everything.without(&[name("photos")].into());
    let (channel, number) = (Channel(1), FetchNumber(1));
    [
        (
            "hello",
            ToRelay::Hello(Hello {
                versions: vec![1],
                device: DeviceId::from_bytes([1; 16]),
                incarnation: Incarnation::from_bytes([2; 16]),
                predecessors: vec![Incarnation::from_bytes([3; 16])],
                guest_of: None,
            }),
        ),
        (
            "hello-guest",
            ToRelay::Hello(Hello {
                versions: vec![1],
                device: DeviceId::from_bytes([1; 16]),
                incarnation: Incarnation::from_bytes([2; 16]),
                predecessors: vec![],
                guest_of: Some(DeviceId::from_bytes([4; 16])),
            }),
        ),
        ("authenticate", ToRelay::Authenticate(Authenticate { token: "token".into() })),
        ("open", open(Some(cursor), false, Filter::Everything)),
        ("open-first", open(None, true, Filter::Everything)),
        ("open-filter", open(Some(cursor), false, filter)),
        ("open-invited", open_invited()),
        ("open-except", open(Some(cursor), false, but())),
        ("push", ToRelay::Push(Push { number: PushNumber(1), channel, batch: (&b"batch"[..]).into() })),
        ("fetch", ToRelay::Fetch(Fetch { channel, number, filter: one, after: Sequence::new(300), changes: false })),
        ("progress", ToRelay::Progress(Progress { channel, sequence: Sequence::new(300) })),
        ("catch-up", ToRelay::CatchUp(CatchUp { channel })),
        (
            "fetch-except",
            ToRelay::Fetch(Fetch { channel, number, filter: but(), after: Sequence::new(300), changes: false }),
        ),
        ("filter", ToRelay::Filter(NewFilter { channel, filter: notes, partial: true })),
        ("signal-asks", ToRelay::Signal(Signal { channel, kind: SignalKind::Asks, entity: None, data: None })),
        (
            "signal-shows",
            ToRelay::Signal(Signal {
                channel,
                kind: SignalKind::Shows,
                entity: Some(entity(6)),
                data: Some(SHOWN.into()),
            }),
        ),
        ("filter-except", ToRelay::Filter(NewFilter { channel, filter: but(), partial: true })),
        ("goodbye", ToRelay::Goodbye(Goodbye { code: GoodbyeCode::RateLimited, retry_after_ms: Some(5_000) })),
    ]
}

/// The first `Open` of somebody who was invited, with a code as short as may be.
fn open_invited() -> ToRelay<'static> {
    let (channel, space, filter) = (Channel(1), SpaceId::from_bytes([5; 16]), Filter::Everything);
    let (cursor, create, raw, partial, invitation) = (None, false, false, false, "code".parse().ok());
    ToRelay::Open(Open { channel, space, cursor, create, raw, filter, partial, invitation })
}

/// What is shown in the signals of the vectors.
const SHOWN: &[u8] = br#"{"at":5}"#;

fn refused(missing: usize) -> ReceiptRun {
    let missing = vec![ChangeHash([8; 32]); missing];
    ReceiptRun::Refused { code: ChunkCode::MissingDependencies, count: 1, missing }
}

/// The record that somebody asked for of the entity of the vectors.
const ERASURE: Erasure = Erasure { entity: EntityId::from_bytes([6; 16]), reason: ErasureReason::ASKED };
const ERASURE_BYTES: &[u8] = &[1, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 1];

fn frames_to_device() -> [(&'static str, ToDevice<'static>); 17] {
    let (channel, log) = (Channel(1), LogId::from_bytes([4; 16]));
    let own = Segment::Own { push: PushNumber(1), index: 0, count: 2 };
    let raw = Segment::Raw(RawChunk {
        entity: entity(6),
        collection: "notes",
        kind: 1,
        hash: ChunkHash::of(b"chunk"),
        bytes: b"chunk",
    });
    let segments = vec![own, Segment::Batch(b"batch"), raw];
    let chunks = Chunks { channel, after: Sequence::ZERO, segments, check: [9; 8].into(), left: None };
    let chunks_on = Chunks { left: Some(1_000), ..chunks.clone() };
    let sequences = [2, 3, 1].map(Sequence::new);
    let snapshot = SnapshotChunk {
        entity: entity(6),
        collection: "notes",
        sequences: SequenceRuns::of(sequences),
        check: [9; 16],
        bytes: b"saved",
    };
    let announced = Segment::Announced { collection: "photos", entities: EntityIds(vec![entity(7)]) };
    let jump = Jump {
        channel,
        after: Sequence::ZERO,
        check: [9; 8].into(),
        segments: vec![announced, Segment::Snapshot(snapshot), Segment::Batch(b"batch")],
        places: Places::of(Sequence::ZERO, [4, 5, 300].map(Sequence::new)),
        upto: Sequence::new(305),
        chain: ChainHash::from_bytes([8; 32]),
        left: None,
    };
    let jump_on = Jump { left: Some(1_000), ..jump.clone() };
    let erased = ErasedChunk { entity: entity(6), collection: "notes", bytes: ERASURE_BYTES };
    let jump_erased = Jump {
        channel,
        after: Sequence::new(300),
        check: [9; 8].into(),
        segments: vec![Segment::Erased(erased)],
        places: Places::default(),
        upto: Sequence::new(305),
        chain: ChainHash::from_bytes([8; 32]),
        left: None,
    };
    let (session, device) = (SessionId::from_bytes([7; 16]), DeviceId::from_bytes([1; 16]));
    let signalled = |kind, entity, data| ToDevice::Signal(Signalled { channel, session, device, kind, entity, data });
    let stored = ReceiptRun::Stored { first: Sequence::new(300), count: 2 };
    let duplicate = ReceiptRun::Duplicate { first: Sequence::new(7), count: 1 };
    [
        (
            "welcome",
            ToDevice::Welcome(Welcome {
                version: 1,
                session: SessionId::from_bytes([7; 16]),
                limits: Limits::DEFAULT,
                spaces: vec![SpaceId::from_bytes([5; 16])],
                may_create: true,
                signals: true,
            }),
        ),
        ("opened", ToDevice::Opened(Opened { channel, log, role: None })),
        ("opened-reader", ToDevice::Opened(Opened { channel, log, role: Some(Role::Reader) })),
        ("chunks", ToDevice::Chunks(chunks)),
        ("chunks-left", ToDevice::Chunks(chunks_on)),
        (
            "caught-up",
            ToDevice::CaughtUp(CaughtUp { channel, sequence: Sequence::new(4), check: [9; 8].into(), role: None }),
        ),
        (
            "caught-up-reader",
            ToDevice::CaughtUp(CaughtUp {
                channel,
                sequence: Sequence::new(4),
                check: [9; 8].into(),
                role: Some(Role::Reader),
            }),
        ),
        ("receipt", ToDevice::Receipt(Receipt { push: PushNumber(1), runs: vec![stored, duplicate, refused(1)] })),
        ("reset", ToDevice::Reset(Reset { channel, log })),
        ("seen", ToDevice::Seen(Seen { channel, sequence: Sequence::new(300) })),
        ("jump", ToDevice::Jump(jump)),
        ("jump-left", ToDevice::Jump(jump_on)),
        ("jump-erased", ToDevice::Jump(jump_erased)),
        (
            "fetched",
            ToDevice::Fetched(Fetched {
                number: FetchNumber(1),
                segments: vec![Segment::Batch(b"batch")],
                places: Places::of(Sequence::new(300), [Sequence::new(301)]),
                upto: Sequence::new(305),
                done: true,
                unknown: EntityIds(vec![entity(7)]),
            }),
        ),
        ("signalled-shows", signalled(SignalKind::Shows, Some(entity(6)), Some(SHOWN.into()))),
        ("signalled-leaves", signalled(SignalKind::Leaves, None, None)),
        ("refused", ToDevice::Refused(Refused { channel, code: SpaceCode::UnknownOrForbidden, retry_after_ms: None })),
    ]
}

fn compressed_receipt() -> ToDevice<'static> {
    ToDevice::Receipt(Receipt { push: PushNumber(1), runs: vec![refused(40)] })
}

fn batch_chunks<'a>(collection: &'a Collection, changes: &'a [Vec<u8>], entities: &[u8]) -> Vec<BatchChunk<'a>> {
    let chunk = |id, bytes| BatchChunk { entity: entity(id), collection, kind: ChunkKind::Change, bytes };
    entities.iter().flat_map(|id| changes.iter().map(|bytes| chunk(*id, bytes))).collect()
}

/// A change that puts a null at the root of an empty document, with its operation numbered so.
fn leaping(start_op: u64) -> Vec<u8> {
    let operation = Op {
        action: OpType::Put(ScalarValue::Null),
        obj: ObjectId::Root,
        key: Key::Map("k".into()),
        pred: SortedVec::new(),
        insert: false,
    };
    let change = Change::from(ExpandedChange {
        operations: vec![operation],
        actor_id: ActorId::from([1; 16]),
        hash: None,
        seq: 1,
        start_op: NonZeroU64::new(start_op).unwrap(),
        time: 0,
        message: None,
        deps: vec![],
        extra_bytes: vec![],
        author: None,
    });
    change.raw_bytes().to_vec()
}

/// The derived changes of one edit.
fn derived() -> Vec<Vec<u8>> {
    let mut document = Document::new(EntityId::from_bytes(*b"0123456789abcdef"));
    let now = Now { wall_ms: 0, monotonic_ms: 0 };
    let context = EditContext::new(ActorId::from([1; 16]), now);
    let edited = document.edit::<_, OperationError>(&context, &Limits::DEFAULT, |edit| {
        edit.splice_text("é", 0, 0, "x")?;
        edit.put("map", Value::from([("text", Value::Text("y".into()))]))
    });
    let changes = edited.unwrap().changes;
    changes.into_iter().filter(|change| change.derived).map(|change| change.bytes).collect()
}

/// Every vector that this crate writes, by name.
fn written() -> BTreeMap<&'static str, String> {
    let changes = changes();
    let notes = "notes".parse().unwrap();
    let start = Cursor::start(LogId::from_bytes([4; 16]));
    let chunk = ChunkHash::of(&changes[0]);
    let mut written: BTreeMap<_, _> = frames_to_relay()
        .iter()
        .map(|(name, frame)| (*name, encode_to_relay(frame)))
        .chain(frames_to_device().iter().map(|(name, frame)| (*name, encode_to_device(frame))))
        .collect();
    written.insert("compressed", encode_to_device(&compressed_receipt()));
    written.insert("chain-0", start.chain.as_bytes().to_vec());
    written.insert("chunk-hash", chunk.as_bytes().to_vec());
    written.insert("chain-1", start.then(entity(6), ChunkKind::Change.number(), chunk).chain.as_bytes().to_vec());
    written.insert("change", changes[0].clone());
    written.insert("change-2", changes[1].clone());
    written.insert("erasure", ERASURE.to_bytes().to_vec());
    written.insert("erasure-hash", ERASURE.hash().0.to_vec());
    written.insert("leap-most", leaping(LEAP + 1));
    written.insert("leap-too-far", leaping(LEAP + 2));
    written.extend(["derived-text", "derived-map", "derived-nested"].into_iter().zip(derived()));
    written.insert("batch", encode_batch(batch_chunks(&notes, &changes, &[6])));
    written.insert("batch-compressed", encode_batch(batch_chunks(&notes, &changes, &ENTITIES)));
    written.extend(live());
    written.into_iter().map(|(name, bytes)| (name, hex(&bytes))).collect()
}

/// The vectors of live messages, and what goes with them.
fn live() -> [(&'static str, Vec<u8>); 6] {
    let (keystrokes, notes) = (keystrokes(), "notes".parse().unwrap());
    let chunks = batch_chunks(&notes, &keystrokes, &[6]);
    let known_at = |_, _| Some(Sequence::new(2));
    let mut stream = PushStream::new();
    let mut space = LiveState::new();
    let rows: Vec<_> = chunks.iter().map(|chunk| space.encode(chunk, |_, _| None)).collect();
    let items = [&own_item(0, 1)[..], &rows[1], &rows[2]];
    [
        ("change-3", keystrokes[2].clone()),
        ("live-push", stream.encode(Channel(1), PushNumber(1), &chunks[..2], |_, _| None)),
        ("live-push-next", stream.encode(Channel(1), PushNumber(2), &chunks[2..], |_, _| None)),
        ("live-push-over-log", PushStream::new().encode(Channel(1), PushNumber(1), &chunks[2..], known_at)),
        ("batch-over-log", encode_batch_over_log(chunks[2..].iter().copied(), known_at)),
        ("live-chunks", encode_live_chunks(Channel(1), true, items, space.chunks_check(&chain_after(&chunks)))),
    ]
}

/// The chain hash of the log `04…04` after these chunks.
fn chain_after(chunks: &[BatchChunk<'_>]) -> ChainHash {
    let start = Cursor::start(LogId::from_bytes([4; 16]));
    let then = |cursor: Cursor, chunk: &BatchChunk<'_>| {
        cursor.then(chunk.entity, chunk.kind.number(), ChunkHash::of(chunk.bytes))
    };
    chunks.iter().fold(start, then).chain
}

#[test]
fn every_vector_of_the_protocol_is_what_this_crate_writes() {
    let mut stated = blocks("vector");
    let stated: BTreeMap<_, String> =
        stated.iter_mut().map(|(name, text)| (*name, text.split_whitespace().collect())).collect();
    let is_zstd = |name: &&str| ["compressed", "batch-compressed"].contains(name);
    for (name, bytes) in written().iter().filter(|(name, _)| !is_zstd(name)) {
        assert_eq!(stated.get(name), Some(bytes), "vector {name}");
    }
    assert!(stated.keys().eq(written().keys()), "no vector stands in the text that nothing checks");
}

#[test]
fn the_record_of_the_protocol_reads_as_what_it_is() {
    assert_eq!(Erasure::read(entity(6), &vector("erasure")), Ok(ERASURE));
    assert_eq!(vector("erasure"), ERASURE_BYTES);
}

#[test]
fn the_verdicts_in_the_protocol_are_given() {
    let verdict = |name| {
        let bytes = vector(name);
        let hash = ChangeHeader::read(&bytes, &Limits::DEFAULT).unwrap().hash;
        let incoming = [Incoming { hash, bytes: &bytes }];
        Document::new(entity(6)).apply_guarded(&incoming, &Limits::DEFAULT).unwrap().verdicts.remove(0)
    };
    assert_eq!(verdict("leap-most"), Verdict::Applied);
    assert_eq!(verdict("leap-too-far"), Verdict::Quarantined(QuarantineReason::StartOpTooHigh));
    assert_eq!(verdict("derived-text"), Verdict::Quarantined(QuarantineReason::WrongActor), "of another entity");
}

#[test]
fn every_frame_of_the_protocol_decodes() {
    for (name, frame) in frames_to_relay() {
        assert_eq!(Message::open(&vector(name)).unwrap().to_relay(), Ok(frame));
    }
    for (name, frame) in frames_to_device() {
        assert_eq!(Message::open(&vector(name)).unwrap().to_device(), Ok(frame));
    }
    let compressed = vector("compressed");
    assert_eq!(compressed[0], 1);
    assert_eq!(Message::open(&compressed).unwrap().to_device(), Ok(compressed_receipt()));
}

#[test]
fn every_batch_of_the_protocol_decodes() {
    let changes = [vector("change"), vector("change-2")];
    let notes = "notes".parse().unwrap();
    for (name, codec, entities) in [("batch", 1, &[6][..]), ("batch-compressed", 2, &ENTITIES)] {
        let batch = vector(name);
        assert_eq!(batch[0], codec);
        let decoded = decode_batch(&batch, &Limits::DEFAULT).unwrap();
        let expected = batch_chunks(&notes, &changes, entities);
        assert_eq!(decoded.len(), expected.len());
        for (decoded, expected) in decoded.iter().zip(expected) {
            assert_eq!((decoded.entity, &decoded.bytes[..]), (expected.entity, expected.bytes));
            assert!(decoded.header.is_ok());
        }
    }
}

#[test]
fn every_live_message_of_the_protocol_decodes() {
    let changes = [vector("change"), vector("change-2"), vector("change-3")];
    let notes = "notes".parse().unwrap();
    let chunks = batch_chunks(&notes, &changes, &[6]);
    let second = ChangeHeader::read(&changes[1], &Limits::DEFAULT).unwrap().hash;
    let resolve = |sequence| (sequence == Sequence::new(2)).then_some((entity(6), second));
    let decode = |stream: &mut PushStream, number, name| {
        let message = vector(name);
        let opened = LiveMessage::open(&message).unwrap().unwrap();
        let decoded = stream.decode(&opened, PushNumber(number), &Limits::DEFAULT, resolve).unwrap();
        decoded.into_iter().map(|chunk| chunk.bytes).collect::<Vec<_>>()
    };
    let mut stream = PushStream::new();
    assert_eq!(decode(&mut stream, 1, "live-push"), changes[..2]);
    assert_eq!(decode(&mut stream, 2, "live-push-next"), changes[2..]);
    assert_eq!(decode(&mut PushStream::new(), 1, "live-push-over-log"), changes[2..]);
    let batch = vector("batch-over-log");
    let decoded = decode_batch_over_log(&batch, &Limits::DEFAULT, &mut { ChunkBudget::WHOLE }, resolve).unwrap();
    assert_eq!((decoded[0].entity, &decoded[0].bytes), (entity(6), &changes[2]));

    let message = vector("live-chunks");
    let opened = LiveMessage::open(&message).unwrap().unwrap();
    assert!(opened.begins());
    let (mut state, mut items, mut budget) = (LiveState::new(), opened.items(), ChunkBudget::WHOLE);
    let mut next = || state_item(&mut state, &mut items, &mut budget, &chunks[0]);
    assert_eq!([next(), next(), next(), next()], [None, Some(changes[1].clone()), Some(changes[2].clone()), None]);
    assert!(opened.fits(state.chunks_check(&chain_after(&chunks))));
    assert_eq!(Message::open(&message), Err(WireError::UnknownEnvelope { found: 3 }), "a live message is no frame");
}

/// The bytes of the next chunk; none when it is the reader's own, which is observed, and at the end.
fn state_item(
    state: &mut LiveState,
    items: &mut LiveItems<'_>,
    budget: &mut ChunkBudget,
    own: &BatchChunk<'_>,
) -> Option<Vec<u8>> {
    match state.decode(items, &Limits::DEFAULT, budget, |_| None).unwrap()? {
        LiveItem::Chunk(chunk) => Some(chunk.bytes),
        LiveItem::Own { skip, count } => {
            assert_eq!((skip, count), (0, 1));
            state.observe(own);
            None
        }
    }
}

#[test]
fn the_header_in_the_protocol_is_what_is_read() {
    let bytes = vector("change");
    let header = ChangeHeader::read(&bytes, &Limits::DEFAULT).unwrap();
    let read = format!(
        "hash {}\nactor {}\nsequence {}\nstart operation {}\noperations {}\ntime {}\ndependencies {}\nbytes {}",
        header.hash,
        header.actor.to_hex_string(),
        header.sequence,
        header.start_op,
        header.operations,
        header.time_ms,
        header.dependencies.len(),
        header.bytes_len,
    );
    assert_eq!(blocks("header").remove("change"), Some(read));
}

#[test]
fn the_tables_of_codes_are_complete() {
    let section = |title: &str| PROTOCOL.split(title).nth(1).and_then(|rest| rest.split("\n\n").nth(1)).unwrap();
    let row = |number: u16, code: String, class: String| format!("| {number} | {code} | {class} |");
    let check = |title: &str, rows: Vec<String>| {
        let stated: Vec<&str> = section(title).lines().skip(2).collect();
        assert_eq!(stated, rows);
    };
    macro_rules! rows {
        ($codes:ty) => {
            <$codes>::ALL
                .iter()
                .map(|code| row(code.number(), format!("{code:?}"), format!("{:?}", code.class())))
                .collect()
        };
    }
    check("Why a session ends:", rows!(GoodbyeCode));
    check("Why a space is not served:", rows!(SpaceCode));
    check("Why a chunk is refused:", rows!(ChunkCode));
}

#[test]
fn the_table_of_limits_states_the_constants() {
    macro_rules! limits {
        ($($constant:ident),* $(,)?) => { [$((stringify!($constant), limits::$constant as u64)),*] };
    }
    let constants = limits![
        FRAME_BYTES_MAX,
        CHANGE_BYTES_MAX,
        INFLATED_BYTES_MAX,
        INFLATED_RATIO_MAX,
        CHANGE_OPERATIONS_MAX,
        CHANGE_DEPENDENCIES_MAX,
        CHANGE_ACTORS_MAX,
        CHANGE_TEXT_BYTES_MAX,
        ACTOR_BYTES_MAX,
        START_OP_LEAP_MAX,
        IN_FLIGHT_CHUNKS_MAX,
        IN_FLIGHT_BYTES_MAX,
        SEND_QUEUE_BYTES_MAX,
        BATCH_CHUNKS_MAX,
        BATCH_BYTES_MAX,
        FILTER_COLLECTIONS_MAX,
        FILTER_ENTITIES_MAX,
        SESSION_FILTER_ENTITIES_MAX,
        FETCH_ENTITIES_MAX,
        FETCHES_MAX,
        ANNOUNCED_IDS_MAX,
        EARLY_OPENS_BYTES_MAX,
        PROGRESS_INTERVAL_MS,
        PROGRESS_CHUNKS_MAX,
        SIGNAL_BYTES_MAX,
        SIGNAL_INTERVAL_MS,
        SIGNAL_REPEAT_MS,
        SIGNAL_EXPIRY_MS,
        SIGNAL_ANSWER_SPREAD_MS,
        SPACES_PER_SESSION_MAX,
        TOKEN_BYTES_MAX,
        INVITATION_BYTES_MAX,
        UNAUTHENTICATED_BYTES_MAX,
        PREDECESSORS_MAX,
        LOG_NAMES_MAX,
        LOG_NAMES_BEHIND_MAX,
        HANDSHAKE_TIMEOUT_MS,
        PING_INTERVAL_MS,
        SILENT_PEER_TIMEOUT_MS,
        SLOW_READER_TIMEOUT_MS,
    ];
    let others = [
        ("BATCH_OUTPUT_BYTES_MAX", BATCH_OUTPUT_BYTES_MAX as u64),
        ("BATCH_SECTION_BYTES_MAX", BATCH_SECTION_BYTES_MAX as u64),
        ("COLLECTION_BYTES_MAX", COLLECTION_BYTES_MAX as u64),
        ("LIVE_ENTITIES_MAX", wire::LIVE_ENTITIES_MAX as u64),
        ("LIVE_COLLECTIONS_MAX", wire::LIVE_COLLECTIONS_MAX as u64),
        ("LIVE_ACTORS_MAX", wire::LIVE_ACTORS_MAX as u64),
        ("LIVE_OTHERS_MAX", wire::LIVE_OTHERS_MAX as u64),
        ("LIVE_HEADS_MAX", wire::LIVE_HEADS_MAX as u64),
        ("LIVE_ROWS_MAX", wire::LIVE_ROWS_MAX as u64),
        ("LIVE_SHAPES_MAX", wire::LIVE_SHAPES_MAX as u64),
        ("LIVE_SHAPE_PARTS_MAX", wire::LIVE_SHAPE_PARTS_MAX as u64),
        ("LIVE_PARTS_MAX", wire::LIVE_PARTS_MAX as u64),
        ("LIVE_TEXTS_MAX", wire::LIVE_TEXTS_MAX as u64),
        ("LIVE_TEXT_BYTES_MAX", wire::LIVE_TEXT_BYTES_MAX as u64),
        ("LIVE_PUSH_CHANNELS_MAX", wire::LIVE_PUSH_CHANNELS_MAX as u64),
        ("LIVE_CHUNKS_CHANNELS_MAX", wire::LIVE_CHUNKS_CHANNELS_MAX as u64),
    ];
    let table = PROTOCOL.split("## 11. Limits").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    for (name, value) in constants.iter().chain(&others) {
        assert!(table.contains(&format!("| {name} | {value} |")), "{name} is {value}");
    }
    let rows = table.lines().filter(|line| line.starts_with("| ")).count() - 2;
    assert_eq!(rows, constants.len() + others.len(), "no limit stands in the text that nothing checks");
}
