//! What devices say, as bytes, and which verbs of the table are about it.

use super::*;
use afield_core::wire::{Fetch, FetchNumber, LiveKind, LiveMessage, LiveState, NewFilter, Progress, PushStream};
use afield_core::wire::{Signal, SignalKind};
use afield_core::{Erasure, ErasureReason, Filter};

/// The place in which something is shown.
const NOTE: EntityId = EntityId::from_bytes([1; 16]);

/// The verbs with which a message is tried. None of the matches has a wildcard: a frame, a kind of chunk or of signal that is new
/// is in the table before this compiles.
pub(super) fn verbs_of(message: &[u8]) -> Vec<Verb> {
    if let Some(live) = LiveMessage::open(message).unwrap() {
        return match live.kind() {
            LiveKind::Push => vec![Verb::PushLive],
            LiveKind::Chunks => vec![Verb::SendChunks],
        };
    }
    let message = Message::open(message).unwrap();
    match message.to_relay().unwrap() {
        ToRelay::Hello(_) => vec![Verb::Hello, Verb::HelloAgain],
        ToRelay::Authenticate(_) => vec![Verb::Fresher, Verb::Anothers, Verb::Wrong],
        ToRelay::Open(_) => {
            vec![Verb::Open, Verb::Adopt, Verb::Unknown, Verb::Create, Verb::Hear, Verb::Invited, Verb::Guess]
        }
        ToRelay::Push(push) => {
            let chunks = wire::decode_batch(push.batch, &Limits::DEFAULT).unwrap();
            chunks.iter().flat_map(|chunk| verbs_of_chunk(chunk.kind)).collect()
        }
        ToRelay::Fetch(_) => vec![Verb::Fetch],
        ToRelay::Progress(_) => vec![Verb::Progress],
        ToRelay::Signal(signal) => match signal.kind {
            SignalKind::Asks => vec![Verb::Ask],
            SignalKind::Shows => vec![Verb::Show],
            SignalKind::Clears => vec![Verb::Clear],
            SignalKind::Leaves => vec![Verb::Leave],
            SignalKind::Unknown(_) => vec![Verb::SignalOfLater],
        },
        ToRelay::Goodbye(_) => vec![Verb::Goodbye],
        ToRelay::CatchUp(_) => vec![Verb::CatchUp],
        ToRelay::Filter(_) => vec![Verb::Filter],
    }
}

fn verbs_of_chunk(kind: ChunkKind) -> Vec<Verb> {
    match kind {
        ChunkKind::Change => vec![Verb::Push, Verb::InvitedPush],
        ChunkKind::Snapshot => vec![Verb::PushSnapshot],
        ChunkKind::Erasure => vec![Verb::Erase],
        ChunkKind::Sealed => vec![Verb::PushSealed],
    }
}

/// Everything that a device says about a space that it has opened on channel 0, in an order in which each may come; the pushes
/// are numbered from 1.
pub(super) fn about_a_space(space: SpaceId) -> Vec<Vec<u8>> {
    let mut author = Author::new(9, 9);
    let mut said = vec![
        open_of(space, false),
        catch_up(),
        fetch(),
        progress(),
        signal(SignalKind::Asks),
        signal(SignalKind::Shows),
        signal(SignalKind::Clears),
        signal(SignalKind::Unknown(9)),
        signal(SignalKind::Leaves),
        filter(),
        push_message(1, author.entity, &[author.edit("x")]),
        push_live(2),
    ];
    let kinds = [ChunkKind::Snapshot, ChunkKind::Erasure, ChunkKind::Sealed];
    said.extend(kinds.into_iter().zip(3..).map(|(kind, number)| push_of(kind, number)));
    said.push(open_of(space, false));
    said
}

/// The Hello of a device, or of a guest of another one.
pub(super) fn greeting(device: u8, guest_of: Option<u8>) -> Vec<u8> {
    let guest_of = guest_of.map(|device| hello(device).device);
    wire::encode_to_relay(&ToRelay::Hello(Hello { guest_of, ..hello(device) }))
}

pub(super) fn open_of(space: SpaceId, create: bool) -> Vec<u8> {
    wire::encode_to_relay(&ToRelay::Open(Open { create, ..opening(space) }))
}

pub(super) fn open_with(space: SpaceId, code: &str) -> Vec<u8> {
    wire::encode_to_relay(&ToRelay::Open(Open { invitation: code.parse().ok(), ..opening(space) }))
}

pub(super) fn open_elsewhere(space: SpaceId) -> Vec<u8> {
    wire::encode_to_relay(&ToRelay::Open(Open { channel: Channel(1), create: true, ..opening(space) }))
}

fn opening(space: SpaceId) -> Open {
    let (channel, filter) = (Channel(0), Filter::Everything);
    Open { channel, space, cursor: None, create: false, raw: false, filter, partial: false, invitation: None }
}

pub(super) fn authenticate(token: &str) -> Vec<u8> {
    wire::encode_to_relay(&ToRelay::Authenticate(wire::Authenticate { token: token.to_owned() }))
}

pub(super) fn goodbye() -> Vec<u8> {
    wire::encode_to_relay(&ToRelay::Goodbye(wire::Goodbye { code: GoodbyeCode::Replaced, retry_after_ms: None }))
}

pub(super) fn signal(kind: SignalKind) -> Vec<u8> {
    let entity = matches!(kind, SignalKind::Shows | SignalKind::Clears).then_some(NOTE);
    let data = (kind == SignalKind::Shows).then(|| b"here".as_slice().into());
    wire::encode_to_relay(&ToRelay::Signal(Signal { channel: Channel(0), kind, entity, data }))
}

pub(super) fn fetch() -> Vec<u8> {
    let (filter, after) = (Filter::Everything, Sequence::ZERO);
    let fetch = Fetch { channel: Channel(0), number: FetchNumber(1), filter, after, changes: false };
    wire::encode_to_relay(&ToRelay::Fetch(fetch))
}

pub(super) fn filter() -> Vec<u8> {
    let filter = NewFilter { channel: Channel(0), filter: Filter::Everything, partial: false };
    wire::encode_to_relay(&ToRelay::Filter(filter))
}

pub(super) fn progress() -> Vec<u8> {
    wire::encode_to_relay(&ToRelay::Progress(Progress { channel: Channel(0), sequence: Sequence::new(1) }))
}

pub(super) fn catch_up() -> Vec<u8> {
    wire::encode_to_relay(&ToRelay::CatchUp(wire::CatchUp { channel: Channel(0) }))
}

/// A change, as the first live push of a session that has pushed nothing, or as a later one.
pub(super) fn push_live(number: u64) -> Vec<u8> {
    let (mut author, collection) = (Author::new(8, 8), "notes".parse().unwrap());
    let (entity, kind, bytes) = (author.entity, ChunkKind::Change, author.edit("live"));
    let chunk = BatchChunk { entity, collection: &collection, kind, bytes: &bytes };
    PushStream::new().encode(Channel(0), PushNumber(number), &[chunk], |_, _| None)
}

/// A chunk of a kind, about what the owner wrote.
pub(super) fn push_of(kind: ChunkKind, number: u64) -> Vec<u8> {
    let (entity, collection) = (NOTE, "notes".parse().unwrap());
    let erasure = Erasure { entity, reason: ErasureReason::ASKED }.to_bytes();
    let bytes = match kind {
        ChunkKind::Erasure => &erasure[..],
        ChunkKind::Change | ChunkKind::Snapshot | ChunkKind::Sealed => b"of a later version",
    };
    let batch = wire::encode_batch([BatchChunk { entity, collection: &collection, kind, bytes }]);
    let push = Push { number: PushNumber(number), channel: Channel(0), batch: batch.as_slice().into() };
    wire::encode_to_relay(&ToRelay::Push(push))
}

/// What only relays send.
pub(super) fn live_chunks() -> Vec<u8> {
    let start = afield_core::ChainHash::start(LogId::from_bytes([9; 16]));
    let check = LiveState::new().chunks_check(&start);
    wire::encode_live_chunks(Channel(0), true, std::iter::empty::<&[u8]>(), check)
}
