use super::*;
use crate::filter::Filter;
use crate::id::{DeviceId, EntityId, Incarnation, LogId, SessionId, SpaceId};
use crate::limits::{INFLATED_BYTES_MAX, INVITATION_BYTES_MAX, Limits};
use crate::log::{ChainHash, ChunkHash, Cursor, Sequence};
use crate::wire::{
    Authenticate, CaughtUp, Channel, ChunkCode, Chunks, EntityIds, Fetch, FetchNumber, Fetched, Goodbye, Hello, Jump,
    NewFilter, Open, Opened, Places, Progress, Push, PushNumber, RawChunk, Receipt, ReceiptRun, Refused, Reset, Seen,
    Segment, SequenceRuns, Signal, SignalKind, Signalled, SnapshotChunk, SpaceCode, Welcome,
};
use automerge::ChangeHash;
use proptest::prelude::*;

fn from_device() -> Vec<ToRelay<'static>> {
    let log = LogId::from_bytes([4; 16]);
    vec![
        ToRelay::Hello(Hello {
            versions: vec![1],
            device: DeviceId::from_bytes([1; 16]),
            incarnation: Incarnation::from_bytes([2; 16]),
            predecessors: vec![Incarnation::from_bytes([3; 16])],
            guest_of: Some(DeviceId::from_bytes([4; 16])),
        }),
        ToRelay::Authenticate(Authenticate { token: "secret".into() }),
        ToRelay::Open(Open {
            channel: Channel(7),
            space: SpaceId::from_bytes([5; 16]),
            cursor: Some(Cursor::start(log)),
            create: true,
            raw: false,
            filter: crate::filter::Filter::Everything,
            partial: false,
            invitation: None,
        }),
        ToRelay::Open(Open {
            channel: Channel(7),
            space: SpaceId::from_bytes([5; 16]),
            cursor: None,
            create: false,
            raw: false,
            filter: crate::filter::Filter::Everything,
            partial: false,
            invitation: "an invitation".parse().ok(),
        }),
        ToRelay::Push(Push { number: PushNumber(9), channel: Channel(7), batch: (&b"batch"[..]).into() }),
        ToRelay::Fetch(Fetch {
            channel: Channel(7),
            number: FetchNumber(3),
            filter: Filter::nothing().entities([EntityId::from_bytes([6; 16])]).announcing(["notes".parse().unwrap()]),
            after: Sequence::new(9),
            changes: true,
        }),
        ToRelay::Filter(NewFilter { channel: Channel(7), filter: Filter::nothing(), partial: true }),
        ToRelay::Filter(NewFilter {
            channel: Channel(7),
            filter: Filter::Everything.without(&["notes".parse().unwrap()].into()),
            partial: false,
        }),
        ToRelay::Progress(Progress { channel: Channel(7), sequence: Sequence::new(9) }),
        ToRelay::Goodbye(Goodbye { code: GoodbyeCode::Done, retry_after_ms: None }),
        ToRelay::Signal(Signal { channel: Channel(7), kind: SignalKind::Asks, entity: None, data: None }),
        ToRelay::Signal(Signal {
            channel: Channel(7),
            kind: SignalKind::Shows,
            entity: Some(EntityId::from_bytes([6; 16])),
            data: Some((&b"{}"[..]).into()),
        }),
    ]
}

fn from_relay() -> Vec<ToDevice<'static>> {
    let chunk = RawChunk {
        entity: EntityId::from_bytes([6; 16]),
        collection: "notes",
        kind: 1,
        hash: ChunkHash::of(b"chunk"),
        bytes: b"chunk",
    };
    let segments =
        vec![Segment::Own { push: PushNumber(1), index: 2, count: 3 }, Segment::Batch(b"batch"), Segment::Raw(chunk)];
    let snapshot = SnapshotChunk {
        entity: EntityId::from_bytes([6; 16]),
        collection: "notes",
        sequences: SequenceRuns::of([Sequence::new(2), Sequence::new(1)]),
        check: [1; 16],
        bytes: b"saved",
    };
    let announced =
        Segment::Announced { collection: "photos", entities: EntityIds(vec![EntityId::from_bytes([7; 16])]) };
    let refused =
        ReceiptRun::Refused { code: ChunkCode::MissingDependencies, count: 1, missing: vec![ChangeHash([8; 32])] };
    vec![
        ToDevice::Goodbye(Goodbye { code: GoodbyeCode::RateLimited, retry_after_ms: Some(5_000) }),
        ToDevice::Welcome(Welcome {
            version: 1,
            session: SessionId::from_bytes([7; 16]),
            limits: Limits::DEFAULT,
            spaces: vec![SpaceId::from_bytes([5; 16])],
            may_create: true,
            signals: true,
        }),
        ToDevice::Opened(Opened { channel: Channel(1), log: LogId::from_bytes([4; 16]), role: None }),
        ToDevice::Chunks(Chunks {
            channel: Channel(1),
            after: Sequence::new(3),
            segments,
            check: [9; 8].into(),
            left: Some(7),
        }),
        ToDevice::CaughtUp(CaughtUp {
            channel: Channel(1),
            sequence: Sequence::new(9),
            check: [1; 8].into(),
            role: None,
        }),
        ToDevice::Seen(Seen { channel: Channel(1), sequence: Sequence::new(9) }),
        ToDevice::Jump(Jump {
            channel: Channel(1),
            after: Sequence::new(3),
            check: [9; 8].into(),
            segments: vec![Segment::Snapshot(snapshot.clone()), announced.clone()],
            places: Places::of(Sequence::new(3), [Sequence::new(5)]),
            upto: Sequence::new(6),
            chain: ChainHash::start(LogId::from_bytes([4; 16])),
            left: Some(9),
        }),
        ToDevice::Fetched(Fetched {
            number: FetchNumber(3),
            segments: vec![Segment::Snapshot(snapshot), announced],
            places: Places::default(),
            upto: Sequence::new(6),
            done: true,
            unknown: EntityIds(vec![EntityId::from_bytes([6; 16])]),
        }),
        ToDevice::Receipt(Receipt {
            push: PushNumber(1),
            runs: vec![
                ReceiptRun::Stored { first: Sequence::new(1), count: 2 },
                ReceiptRun::Duplicate { first: Sequence::new(7), count: 1 },
                refused,
            ],
        }),
        ToDevice::Reset(Reset { channel: Channel(1), log: LogId::from_bytes([4; 16]) }),
        ToDevice::Refused(Refused { channel: Channel(1), code: SpaceCode::Quota, retry_after_ms: None }),
        ToDevice::Signal(Signalled {
            channel: Channel(1),
            session: SessionId::from_bytes([7; 16]),
            device: DeviceId::from_bytes([1; 16]),
            kind: SignalKind::Unknown(300),
            entity: Some(EntityId::from_bytes([6; 16])),
            data: Some((&b"{}"[..]).into()),
        }),
    ]
}

fn messages() -> Vec<Vec<u8>> {
    from_device().iter().map(encode_to_relay).chain(from_relay().iter().map(encode_to_device)).collect()
}

fn decode(message: &[u8]) -> Result<(), WireError> {
    let opened = Message::open(message)?;
    opened.to_relay().map(drop).or_else(|_| opened.to_device().map(drop))
}

fn plain(payload: &[u8]) -> Vec<u8> {
    [&[PLAIN], payload].concat()
}

#[test]
fn an_invitation_is_bounded_and_no_form_of_its_frame_shows_it() {
    let open = |code: &str| {
        let code = cbor_text(code);
        // channel 1, space 5…5, invitation
        plain(&[&b"\x82\x03\xa3\x00\x01\x01\x50"[..], &[5; 16], &[8], &code].concat())
    };
    for good in [1, INVITATION_BYTES_MAX] {
        let message = open(&"s".repeat(good));
        let message = Message::open(&message).unwrap();
        let frame = message.to_relay().unwrap();
        let ToRelay::Open(Open { invitation: Some(code), .. }) = &frame else { panic!("it is an Open with a code") };
        assert_eq!(code.expose().len(), good);
        assert!(!format!("{frame:?}").contains("ss"), "S6: {frame:?}");
    }
    for bad in [0, INVITATION_BYTES_MAX + 1] {
        assert!(Message::open(&open(&"s".repeat(bad))).unwrap().to_relay().is_err(), "{bad} bytes");
    }
}

/// A text as CBOR.
fn cbor_text(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    minicbor::encode(text, &mut bytes).unwrap();
    bytes
}

#[test]
fn frames_survive_the_envelope() {
    for frame in from_device() {
        let message = encode_to_relay(&frame);
        assert_eq!(Message::open(&message).unwrap().to_relay(), Ok(frame));
    }
    for frame in from_relay() {
        let message = encode_to_device(&frame);
        assert_eq!(Message::open(&message).unwrap().to_device(), Ok(frame));
    }
}

#[test]
fn a_truncated_frame_is_refused_at_every_byte_and_a_trailing_byte_too() {
    for message in messages() {
        assert_eq!(decode(&message), Ok(()));
        for length in 0..message.len() {
            assert!(decode(&message[..length]).is_err());
        }
        let trailing = [&message[..], &[0]].concat();
        assert_eq!(
            decode(&trailing),
            Err(WireError::Trailing { offset: message.len() - 1, found: 1 }),
            "all of these are plain"
        );
    }
}

#[test]
fn what_a_later_version_added_closes_with_upgrade_and_unknown_fields_are_ignored() {
    for frame in [27, 28, 300] {
        let mut payload = Vec::new();
        minicbor::Encoder::new(&mut payload).array(2).unwrap().u16(frame).unwrap().map(0).unwrap();
        let message = plain(&payload);
        let opened = Message::open(&message).unwrap();
        let error = opened.to_relay().unwrap_err();
        assert_eq!(error, WireError::UnknownFrame { number: frame.into() });
        assert_eq!(error.goodbye(), GoodbyeCode::Upgrade);
        assert_eq!(opened.to_device().unwrap_err(), error);
    }
    let error = decode(&[2, 0]).unwrap_err();
    assert_eq!(error, WireError::UnknownEnvelope { found: 2 });
    assert_eq!(error.goodbye(), GoodbyeCode::Upgrade);

    let mut payload = Vec::new();
    let mut encoder = minicbor::Encoder::new(&mut payload);
    encoder.array(2).unwrap().u8(8).unwrap().map(2).unwrap();
    encoder.u8(0).unwrap().u8(1).unwrap();
    encoder.u8(99).unwrap().array(1).unwrap().map(1).unwrap().str("new").unwrap().bytes(b"field").unwrap();
    let message = plain(&payload);
    let opened = Message::open(&message).unwrap();
    let goodbye = Goodbye { code: GoodbyeCode::Done, retry_after_ms: None };
    assert_eq!(opened.to_relay(), Ok(ToRelay::Goodbye(goodbye)));
}

#[test]
fn an_absent_field_and_a_wrong_type_are_told_apart() {
    let body = |write: fn(&mut minicbor::Encoder<&mut Vec<u8>>)| {
        let mut payload = Vec::new();
        let mut encoder = minicbor::Encoder::new(&mut payload);
        encoder.array(2).unwrap().u8(8).unwrap();
        write(&mut encoder);
        match decode(&plain(&payload)) {
            Err(WireError::BadBody { number: 8, fault, .. }) => fault,
            other => panic!("a bad body expected, {other:?} found"),
        }
    };
    assert_eq!(
        body(|encoder| {
            encoder.map(0).unwrap();
        }),
        CborFault::MissingField
    );
    assert_eq!(
        body(|encoder| {
            encoder.map(1).unwrap().u8(0).unwrap().str("x").unwrap();
        }),
        CborFault::WrongType
    );
    assert_eq!(
        body(|encoder| {
            encoder.map(1).unwrap().u8(0).unwrap().u32(70_000).unwrap();
        }),
        CborFault::BadValue
    );
}

#[test]
fn a_run_of_refusals_names_missing_dependencies_for_one_chunk_only() {
    let opened = |count, missing| {
        let run = ReceiptRun::Refused { code: ChunkCode::MissingDependencies, count, missing };
        let receipt = ToDevice::Receipt(Receipt { push: PushNumber(1), runs: vec![run] });
        Message::open(&encode_to_device(&receipt)).unwrap().to_device().is_ok()
    };
    let hash = || vec![ChangeHash([8; 32])];
    assert!(opened(1, hash()) && opened(2, vec![]));
    assert!(!opened(2, hash()) && !opened(0, hash()));
}

#[test]
fn large_control_frames_are_compressed_and_batches_are_not() {
    let missing = vec![ChangeHash([8; 32]); 40];
    let run = ReceiptRun::Refused { code: ChunkCode::MissingDependencies, count: 1, missing };
    let receipt = ToDevice::Receipt(Receipt { push: PushNumber(1), runs: vec![run] });
    let message = encode_to_device(&receipt);
    assert_eq!(message[0], ZSTD);
    assert!(message.len() < 200);
    assert_eq!(Message::open(&message).unwrap().to_device(), Ok(receipt));
    let batch = vec![0; 1_000];
    let push = ToRelay::Push(Push { number: PushNumber(1), channel: Channel(1), batch: (&batch[..]).into() });
    assert_eq!(encode_to_relay(&push)[0], PLAIN);
    for message in messages() {
        assert_eq!(message[0], PLAIN, "nothing is gained for frames this small");
    }
}

#[test]
fn a_zstd_bomb_is_refused_before_it_inflates() {
    let zeros = vec![0; 64 << 20];
    let frame = zstd::bulk::compress(&zeros, 3).unwrap();
    let message = |stated: usize| {
        let stated = u32::try_from(stated).unwrap();
        [&[ZSTD][..], &stated.to_le_bytes(), &frame].concat()
    };
    let inflate_error = |message: &[u8]| match Message::open(message) {
        Err(WireError::Inflate(error)) => error,
        other => panic!("an inflate error expected, {other:?} found"),
    };
    let maximum = frame.len() * 100;
    assert!(maximum < INFLATED_BYTES_MAX);
    let stated = zeros.len() as u64;
    assert_eq!(inflate_error(&message(zeros.len())), InflateError::TooLarge { found: stated, maximum });
    assert!(matches!(inflate_error(&message(1_000)), InflateError::NotZstd | InflateError::WrongSize { .. }));
}

#[test]
fn hostile_structure_is_refused_before_it_is_decoded() {
    let error = |payload: &[u8]| decode(&plain(payload)).unwrap_err();
    assert!(matches!(error(&vec![0x81; 100_000]), WireError::TooDeep { maximum: cbor::DEPTH_MAX, .. }));
    assert!(matches!(error(&[0x82, 0x01, 0x9f]), WireError::BadCbor { offset: 2, fault: CborFault::UnknownLength }));
    let giant_array = [0x82, 0x01, 0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    assert!(matches!(error(&giant_array), WireError::TooManyItems { .. }));
    assert!(matches!(error(&[0x82, 0x01, 0x99, 0x10, 0x00]), WireError::Truncated { needed: 4096, found: 0, .. }));
    assert!(matches!(error(&[0x82, 0x01, 0x5b, 0xff, 0, 0, 0, 0, 0, 0, 0]), WireError::Truncated { .. }));
    assert!(matches!(error(&[0x1c]), WireError::BadCbor { fault: CborFault::Reserved, .. }));
    assert_eq!(error(&[]).goodbye(), GoodbyeCode::BadFrame);
    let too_large = vec![0; FRAME_BYTES_MAX + 1];
    let maximum = FRAME_BYTES_MAX;
    assert_eq!(decode(&too_large), Err(WireError::TooLarge { found: maximum + 1, maximum }));
}

#[test]
fn errors_and_debug_output_keep_content_out() {
    let message = encode_to_relay(&from_device()[1]);
    let opened = Message::open(&message).unwrap();
    assert!(!format!("{opened:?} {:?}", opened.to_relay()).contains("secret"));
    let mut payload = Vec::new();
    minicbor::Encoder::new(&mut payload).array(2).unwrap().u8(3).unwrap().str("secret").unwrap();
    let error = decode(&plain(&payload)).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("secret"));
}

proptest! {
    #[test]
    fn fuzz_no_message_panics(message in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&message);
        let _ = decode(&plain(&message));
    }

    #[test]
    fn fuzz_a_flipped_byte_never_panics(index in 0_usize..22, position in any::<prop::sample::Index>(), flip in 1_u8..) {
        let mut message = messages()[index].clone();
        let position = position.index(message.len());
        message[position] ^= flip;
        let _ = decode(&message);
    }
}

#[test]
fn a_push_is_told_from_the_other_frames_by_its_first_bytes() {
    for frame in from_device() {
        let message = encode_to_relay(&frame);
        let is_large = message.first() == Some(&1);
        assert_eq!(may_be_push(&message), matches!(frame, ToRelay::Push(_)) || is_large, "{frame:?}");
    }
    // The number of a push in more bytes than it needs, a live push, a compressed frame, and nothing.
    for other in [&[0, 0x82, 0x18, 4][..], &[0, 0x9f, 4], &[2, 0], &[1, 0], &[]] {
        assert!(may_be_push(other), "{other:?}");
    }
}
