use super::*;
use crate::log::{ChainHash, ChunkHash, ChunkKind};
use crate::session::LogSnapshot;
use crate::wire::{FetchNumber, SequenceRuns};

fn at(number: u8) -> Cursor {
    let (sequence, chain) = (Sequence::new(u64::from(number)), ChainHash::from_bytes([number; 32]));
    Cursor { log: LogId::from_bytes([1; 16]), sequence, chain }
}

fn live() -> RelayChannel {
    let (channel, space, filter) = (Channel(0), SpaceId::from_bytes([1; 16]), Filter::Everything);
    let opening = Opening { channel, space, without_cursor: false, raw: false, filter, partial: false };
    let mut state = RelayChannel::new(opening);
    state.opened(OpenAnswer::Served { position: at(5), head: at(120).sequence, role: Role::Owner });
    state
}

fn snapshot(last: u8) -> LogSnapshot {
    LogSnapshot {
        entity: EntityId::from_bytes([1; 16]),
        collection: "notes".parse().unwrap(),
        sequences: SequenceRuns::of([at(last).sequence]),
        last: at(last),
        check: [0; 16],
        bytes: Vec::new(),
    }
}

fn entry(number: u8) -> LogEntry {
    LogEntry {
        sequence: at(number).sequence,
        chain: at(number).chain,
        entity: EntityId::from_bytes([1; 16]),
        collection: "notes".parse().unwrap(),
        kind: ChunkKind::Change,
        hash: ChunkHash::of(b"x"),
        bytes: b"x".to_vec(),
    }
}

#[test]
fn whatever_tells_of_a_sequence_is_checked_by_every_answer_that_follows() {
    let mut state = live();
    assert_eq!(state.told(), Some(at(5)), "the control");
    state.deliver_run(&LogRun::leaving_out(at(5), at(50), Vec::new()).with(vec![snapshot(100)], Vec::new()));
    assert_eq!(state.told(), Some(at(100)), "R4: a snapshot covers more than the cursor passes");
    let page = |entries, snapshots| {
        let run = LogRun::leaving_out(at(0), at(120), entries).with(snapshots, Vec::new());
        PageAnswer::Page { run, done: true, unknown: Vec::new() }
    };
    let request = |number| PageRequest {
        channel: Channel(0),
        space: SpaceId::from_bytes([1; 16]),
        number: FetchNumber(number),
        position: at(50),
        told: at(100),
        filter: Arc::new(Filter::Everything),
        after: Sequence::ZERO,
        snapshots: Some(Arc::default()),
        bytes_max: BATCH_BYTES_MAX,
    };
    state.deliver_page(&request(1), &page(vec![entry(90), entry(110)], Vec::new()));
    assert_eq!(state.told(), Some(at(110)), "R4: a page stands above the cursor");
    state.deliver_page(&request(2), &page(Vec::new(), vec![snapshot(115)]));
    assert_eq!(state.told(), Some(at(115)));
    let request = state.read(at(120).sequence).unwrap();
    assert_eq!((request.position, request.told), (at(50), at(115)), "and where it stands is another matter");
}
