//! The relay's log of one space as it is on disk, read from outside.

use crate::world::{ChangeId, Violation};
use afield::EntityId;
use afield_core::change::ChangeHeader;
use afield_core::session::{LogEntry, OpenAnswer, OpenRequest, ReadAnswer, ReadRequest};
use afield_core::wire::Channel;
use afield_core::{ChainHash, ChangeHash, Collection, Cursor, Limits, LogId, Now, Sequence, SpaceId};
use afield_relay::log::{Log, Principal};
use std::collections::{BTreeMap, BTreeSet};

/// The relay's log of one space as it is on disk.
#[derive(Debug, Clone)]
pub struct LogContents {
    start: Cursor,
    entries: Vec<LogEntry>,
}

impl LogContents {
    /// Reads a whole log; `None` when it has no such space.
    ///
    /// # Panics
    ///
    /// The log cannot be read.
    pub fn read(log: &mut dyn Log, space: SpaceId, now: Now) -> Option<Self> {
        let open = OpenRequest { channel: Channel(0), space, cursor: None, create: false };
        let fresh = LogId::from_bytes([0; 16]);
        let answer = log.open(Principal::ANYONE, &open, fresh, now).expect("the log can be read").into_inner();
        let OpenAnswer::Served { position: start, .. } = answer else { return None };
        let entries = Self::read_on(log, space, start, now).expect("the log's own start belongs to it");
        Some(Self { start, entries })
    }

    /// Reads what follows a position; `None` when the log does not hold the position.
    ///
    /// # Panics
    ///
    /// The log cannot be read.
    pub fn read_on(log: &mut dyn Log, space: SpaceId, from: Cursor, now: Now) -> Option<Vec<LogEntry>> {
        let (mut position, mut entries) = (from, Vec::new());
        loop {
            let request = ReadRequest {
                channel: Channel(0),
                space,
                position,
                told: position,
                bytes_max: 1 << 20,
                filter: std::sync::Arc::default(),
            };
            let answer = log.read(Principal::ANYONE, &request, now).expect("the log can be read").into_inner();
            let ReadAnswer::Run(run) = answer else { return None };
            if run.is_empty() {
                return Some(entries);
            }
            position = run.after();
            entries.extend(run.entries().iter().cloned());
        }
    }

    /// Every change, with the place where it stands.
    pub fn changes(&self) -> BTreeMap<ChangeId, Sequence> {
        self.entries.iter().map(|entry| ((entry.entity, hash_of(entry)), entry.sequence)).collect()
    }

    /// Every change as the processes of tests write it: entity and hash.
    pub fn names(&self) -> impl Iterator<Item = (String, String)> {
        self.entries.iter().map(|entry| (entry.entity.to_string(), hash_of(entry).to_string()))
    }

    /// The position behind the last entry.
    pub fn head(&self) -> Cursor {
        self.entries.last().map_or(self.start, |last| Cursor {
            log: self.start.log,
            sequence: last.sequence,
            chain: last.chain,
        })
    }

    /// Checks that there are no gaps, and a chain that names every chunk (R2).
    ///
    /// # Errors
    ///
    /// It is not so.
    pub fn check(&self) -> Result<(), Violation> {
        let mut cursor = self.start;
        if cursor.chain != ChainHash::start(cursor.log) {
            return Violation::of("R2", "the chain does not start at the log's id".to_owned());
        }
        for entry in &self.entries {
            cursor = cursor.then(entry.entity, entry.kind.number(), entry.hash);
            if (entry.sequence, entry.chain) != (cursor.sequence, cursor.chain) || !entry.is_intact() {
                return Violation::of("R2", format!("sequence {} does not follow {}", entry.sequence, cursor.sequence));
            }
        }
        Ok(())
    }

    /// The heads of every entity: the changes on which no other depends.
    pub fn heads(&self) -> BTreeMap<EntityId, BTreeSet<ChangeHash>> {
        let headers = || self.entries.iter().map(|entry| (entry.entity, header_of(entry)));
        let mut heads: BTreeMap<EntityId, BTreeSet<ChangeHash>> = BTreeMap::new();
        for (entity, header) in headers() {
            heads.entry(entity).or_default().insert(header.hash);
        }
        for (entity, header) in headers() {
            let of_entity = heads.entry(entity).or_default();
            of_entity.retain(|hash| !header.dependencies.contains(hash));
        }
        heads
    }

    /// The entries, with the cursor behind each.
    pub fn places(&self) -> impl Iterator<Item = (Cursor, EntityId, ChangeHash)> {
        self.entries.iter().map(|entry| {
            let cursor = Cursor { log: self.start.log, sequence: entry.sequence, chain: entry.chain };
            (cursor, entry.entity, hash_of(entry))
        })
    }

    /// The collection of every entity.
    pub fn collections(&self) -> BTreeMap<EntityId, Collection> {
        self.entries.iter().map(|entry| (entry.entity, entry.collection.clone())).collect()
    }

    /// The entries.
    pub fn entries(&self) -> &[LogEntry] {
        &self.entries
    }

    /// The position before the first entry.
    pub fn start(&self) -> Cursor {
        self.start
    }
}

fn hash_of(entry: &LogEntry) -> ChangeHash {
    header_of(entry).hash
}

fn header_of(entry: &LogEntry) -> ChangeHeader {
    ChangeHeader::read(&entry.bytes, &Limits::DEFAULT).expect("a relay stores well-formed changes")
}
