//! What the hub promises, over the real log and the real frames.

mod access;
mod authorisation;
mod counts;
mod delivery;
mod failures;
mod filters;
mod guests;
mod live;
mod presence;
mod removal;
mod roster;
mod signals;
mod snapshots;
mod storage;

use super::*;
use crate::log::accounts::{Accounts, NewToken};
use crate::log::{SqliteLog, Token};
use crate::testing::frames::{Part, Reader, SPACE, Seen, foreign, hello, open, own, push_message, stored, understand};
use crate::testing::{Author, Seeded, at};
use afield_core::wire::{
    self, BatchChunk, ChunkCode, Hello, Message, Open, Push, ReceiptRun, SpaceCode, ToDevice, ToRelay,
};
use afield_core::{ChunkKind, Collection, Cursor, Incarnation, LogId};

/// A hub over a log in memory, its clock, and what every link has taken.
struct Relay {
    hub: Hub<SqliteLog>,
    now_ms: u64,
    token: Token,
    links: BTreeMap<SessionId, Wire>,
}

/// One link.
#[derive(Default)]
struct Wire {
    messages: Vec<Vec<u8>>,
    reader: Reader,
    closed: bool,
    /// Whether the link takes bytes from the hub.
    stuck: bool,
    unsent: usize,
}

impl Relay {
    fn new() -> Self {
        Self::with(SqliteLog::open_in_memory().unwrap())
    }

    fn with(mut log: SqliteLog) -> Self {
        let token = Token::new(&mut Seeded(1));
        log.create_token(&token, &NewToken { may_create: true, ..NewToken::default() }, at(0)).unwrap();
        let hub = Hub::new(log, Access::Tokens, Limits::DEFAULT, Seeded(2));
        Self { hub, now_ms: 0, token, links: BTreeMap::new() }
    }

    fn now(&self) -> Now {
        at(self.now_ms)
    }

    fn connect_as(&mut self, token: Option<&str>) -> SessionId {
        let id = self.hub.connect(token.map(str::to_owned), self.now());
        self.links.insert(id, Wire::default());
        id
    }

    fn send(&mut self, id: SessionId, frame: ToRelay<'_>) {
        self.hub.handle_message(id, &wire::encode_to_relay(&frame), self.now());
    }

    /// A device that said hello and opened the space, and has read everything.
    fn device(&mut self, number: u8) -> SessionId {
        let token = self.token.reveal().to_owned();
        let id = self.connect_as(Some(&token));
        self.send(id, ToRelay::Hello(hello(number)));
        self.send(id, open(SPACE, None));
        self.turn();
        self.seen(id);
        id
    }

    fn push(&mut self, id: SessionId, number: u64, author: &mut Author, values: &[&str]) {
        let chunks: Vec<_> = values.iter().map(|value| author.edit(value)).collect();
        self.push_bytes(id, number, author.entity, &chunks);
    }

    fn push_bytes(&mut self, id: SessionId, number: u64, entity: afield_core::EntityId, chunks: &[Vec<u8>]) {
        self.hub.handle_message(id, &push_message(number, entity, chunks), self.now());
    }

    /// One turn of the server's thread, with all the reading there is to do.
    fn turn(&mut self) {
        self.hub.commit(self.now());
        while self.hub.serve(4, self.now()) | self.drain() {}
    }

    /// Hands out everything; answers whether there was anything, for a link that took it makes room for more.
    fn drain(&mut self) -> bool {
        let mut any = false;
        while let Some((id, output)) = self.hub.poll_transmit() {
            any = true;
            let link = self.links.get_mut(&id).expect("output goes to a link that is there");
            assert!(!link.closed, "nothing comes after the close");
            match output {
                Output::Close => link.closed = true,
                Output::Message(message) => {
                    link.unsent += message.len();
                    link.messages.push(message);
                }
            }
            if !link.stuck {
                let bytes = std::mem::take(&mut link.unsent);
                self.hub.handle_sent(id, bytes, at(self.now_ms));
            }
        }
        any
    }

    fn unstick(&mut self, id: SessionId) {
        let link = self.links.get_mut(&id).unwrap();
        link.stuck = false;
        let bytes = std::mem::take(&mut link.unsent);
        self.hub.handle_sent(id, bytes, self.now());
    }

    fn pass(&mut self, ms: u64) {
        self.now_ms += ms;
        self.hub.handle_timeout(self.now());
        self.turn();
    }

    fn raw(&mut self, id: SessionId) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.links.get_mut(&id).unwrap().messages)
    }

    fn seen(&mut self, id: SessionId) -> Vec<Seen> {
        let messages = self.raw(id);
        let reader = &mut self.links.get_mut(&id).unwrap().reader;
        messages.iter().map(|message| reader.understand(message)).collect()
    }

    fn is_closed(&self, id: SessionId) -> bool {
        self.links[&id].closed
    }

    /// All changes that a new device gets.
    fn everything(&mut self) -> Vec<Vec<u8>> {
        let token = self.token.reveal().to_owned();
        let id = self.connect_as(Some(&token));
        self.send(id, ToRelay::Hello(hello(250)));
        self.send(id, open(SPACE, None));
        self.turn();
        let seen = self.seen(id);
        assert!(matches!(seen.last(), Some(Seen::CaughtUp(_))), "{seen:?}");
        self.hub.disconnect(id);
        foreign(&seen)
    }
}
