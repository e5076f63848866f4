//! What the log promises, on the real database.

mod access;
mod accounts;
mod appending;
mod archive;
mod damage;
mod erasing;
mod faults;
mod forgetting;
mod inviting;
mod paging;
mod purging;
mod reading;
mod signed;

use super::*;
use crate::log::Token;
use crate::log::accounts::{Accounts, NewToken};
use crate::testing::{Seeded, at};
use afield_core::log::ChunkHash;
use afield_core::session::{AppendAnswer, ChunkVerdict, LogRun};
use afield_core::wire::{Channel, ChunkCode, DecodedChunk, PushNumber, SpaceCode};
use afield_core::{Cursor, Sequence, SpaceId};

/// The device of every principal of these tests.
const DEVICE: DeviceId = DeviceId::from_bytes([42; 16]);

/// A log with one space, and what a session that uses it was told.
struct Desk {
    log: SqliteLog,
    principal: Principal,
    space: SpaceId,
    told: Cursor,
}

impl Desk {
    fn new() -> Self {
        Self::with(SqliteLog::open_in_memory().unwrap())
    }

    fn with(mut log: SqliteLog) -> Self {
        let principal = principal(&mut log, &NewToken { may_create: true, ..NewToken::default() }, 1);
        let space = SpaceId::from_bytes([1; 16]);
        let told = create(&mut log, principal, space, 1);
        Self { log, principal, space, told }
    }

    fn request(&self, chunks: Vec<DecodedChunk>) -> AppendRequest {
        request(self.space, self.told, chunks)
    }

    fn append(&mut self, chunks: Vec<DecodedChunk>) -> AppendAnswer {
        let request = self.request(chunks);
        append(&mut self.log, self.principal, request)
    }

    /// Appends, and takes the last position that it was told.
    fn push(&mut self, chunks: Vec<DecodedChunk>) -> Vec<ChunkVerdict> {
        let AppendAnswer::Verdicts(verdicts) = self.append(chunks) else { panic!("refused as a whole") };
        for verdict in &verdicts {
            if let ChunkVerdict::Stored { sequence, chain, .. } = verdict {
                self.told = Cursor { log: self.told.log, sequence: *sequence, chain: *chain };
            }
        }
        verdicts
    }

    fn read(&mut self, position: Cursor) -> ReadAnswer {
        let request = read_request(self.space, position);
        self.log.read(self.principal, &request, at(0)).unwrap().into_inner()
    }

    fn run(&mut self, position: Cursor) -> LogRun {
        match self.read(position) {
            ReadAnswer::Run { run, .. } => run,
            other => panic!("no run but {other:?}"),
        }
    }

    fn start(&self) -> Cursor {
        Cursor::start(self.told.log)
    }
}

fn principal(log: &mut SqliteLog, new: &NewToken, seed: u64) -> Principal {
    let token = Token::new(&mut Seeded(seed));
    // It may be there already.
    new.user.iter().for_each(|user| drop(log.create_user(user, at(0))));
    log.create_token(&token, new, at(0)).unwrap();
    match log.authenticate(&token.hash(), DEVICE, at(0)).unwrap() {
        Authentication::Good(principal) => principal,
        other => panic!("a new token is {other:?}"),
    }
}

fn open(log: &mut SqliteLog, principal: Principal, space: SpaceId, cursor: Option<Cursor>, create: bool) -> OpenAnswer {
    let request = OpenRequest { channel: Channel(0), space, cursor, create, invitation: None };
    log.open(principal, &request, LogId::from_bytes([77; 16]), at(0)).unwrap().into_inner()
}

fn create(log: &mut SqliteLog, principal: Principal, space: SpaceId, lineage: u8) -> Cursor {
    let request = OpenRequest { channel: Channel(0), space, cursor: None, create: true, invitation: None };
    match log.open(principal, &request, LogId::from_bytes([lineage; 16]), at(0)).unwrap().into_inner() {
        OpenAnswer::Served { position, .. } => position,
        other => panic!("a new space is {other:?}"),
    }
}

fn request(space: SpaceId, told: Cursor, chunks: Vec<DecodedChunk>) -> AppendRequest {
    AppendRequest { channel: Channel(0), space, push: PushNumber(1), told, chunks }
}

fn append(log: &mut SqliteLog, principal: Principal, request: AppendRequest) -> AppendAnswer {
    let Appended { mut answers, .. } = log.append(vec![(principal, request)], at(0)).unwrap().into_inner();
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

fn read_request(space: SpaceId, position: Cursor) -> ReadRequest {
    ReadRequest {
        channel: Channel(0),
        space,
        position,
        told: position,
        bytes_max: usize::MAX,
        filter: std::sync::Arc::default(),
        snapshots: None,
    }
}

fn is_stored(verdict: &ChunkVerdict) -> bool {
    matches!(verdict, ChunkVerdict::Stored { .. })
}

fn code(verdict: &ChunkVerdict) -> Option<ChunkCode> {
    match verdict {
        ChunkVerdict::Refused { code, .. } => Some(*code),
        _ => None,
    }
}

fn sequence(verdict: &ChunkVerdict) -> Option<u64> {
    match verdict {
        ChunkVerdict::Stored { sequence, .. } | ChunkVerdict::Duplicate { sequence, .. } => Some(sequence.get()),
        ChunkVerdict::Refused { .. } => None,
    }
}

fn hash(chunk: &DecodedChunk) -> ChunkHash {
    ChunkHash::of(&chunk.bytes)
}

fn sequences(run: &LogRun) -> Vec<Sequence> {
    run.entries().iter().map(|entry| entry.sequence).collect()
}
