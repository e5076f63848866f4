//! The relay's log of one space as it is on disk, read from outside.

use crate::world::{ChangeId, Violation};
use afield::EntityId;
use afield_core::change::ChangeHeader;
use afield_core::session::{LogEntry, OpenAnswer, OpenRequest, ReadAnswer, ReadRequest};
use afield_core::wire::Channel;
use afield_core::{
    ChainHash, ChangeHash, ChunkKind, Collection, Cursor, Erasure, Limits, LogId, Now, Sequence, SpaceId,
};
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
        let open = OpenRequest { channel: Channel(0), space, cursor: None, create: false, invitation: None };
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
                snapshots: None,
            };
            let answer = log.read(Principal::ANYONE, &request, now).expect("the log can be read").into_inner();
            let ReadAnswer::Run { run, .. } = answer else { return None };
            if run.is_empty() {
                return Some(entries);
            }
            position = run.after();
            entries.extend(run.entries().iter().cloned());
        }
    }

    /// Every change and erasure record, with the place where it stands.
    pub fn chunks(&self) -> BTreeMap<ChangeId, Sequence> {
        self.entries.iter().map(|entry| (name_of_entry(entry), entry.sequence)).collect()
    }

    /// The entities that were purged.
    pub fn purged(&self) -> BTreeSet<EntityId> {
        let records = self.entries.iter().filter(|entry| entry.kind == ChunkKind::Erasure);
        records.map(|entry| entry.entity).collect()
    }

    /// Every change as the processes of tests write it: entity and hash.
    pub fn names(&self) -> impl Iterator<Item = (String, String)> {
        self.entries.iter().map(name_of_entry).map(|(entity, hash)| (entity.to_string(), hash.to_string()))
    }

    /// The position behind the last entry.
    pub fn head(&self) -> Cursor {
        self.entries.last().map_or(self.start, |last| Cursor {
            log: self.start.log,
            sequence: last.sequence,
            chain: last.chain,
        })
    }

    /// Checks that there are no gaps but those that purges made, no change of what was purged, and a chain that names every chunk (R2).
    ///
    /// # Errors
    ///
    /// It is not so.
    pub fn check(&self) -> Result<(), Violation> {
        let (mut cursor, purged) = (self.start, self.purged());
        let last = self.entries.iter().rev().find(|entry| entry.kind == ChunkKind::Erasure);
        if cursor.chain != ChainHash::start(cursor.log) {
            return Violation::of("R2", "the chain does not start at the log's id".to_owned());
        }
        for entry in &self.entries {
            let before = cursor.sequence;
            cursor = cursor.then(entry.entity, entry.kind.number(), entry.hash);
            if entry.sequence > cursor.sequence && last.is_some_and(|last| last.sequence >= entry.sequence) {
                cursor = Cursor { sequence: entry.sequence, chain: entry.chain, ..cursor };
            }
            if (entry.sequence, entry.chain) != (cursor.sequence, cursor.chain) || !entry.is_intact() {
                return Violation::of("R2", format!("sequence {} does not follow {before}", entry.sequence));
            }
            if entry.kind == ChunkKind::Change && purged.contains(&entry.entity) {
                return Violation::of("R2", format!("the log holds a change of {}, which was purged", entry.entity));
            }
        }
        Ok(())
    }

    /// The heads of every entity that was not purged: the changes on which no other depends.
    pub fn heads(&self) -> BTreeMap<EntityId, BTreeSet<ChangeHash>> {
        let changes = || self.entries.iter().filter(|entry| entry.kind == ChunkKind::Change);
        let headers = || changes().map(|entry| (entry.entity, header_of(entry)));
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
            let (entity, hash) = name_of_entry(entry);
            (cursor, entity, hash)
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

/// What names a chunk: a change its hash, an erasure record what stands for that. `None` for bytes that are neither.
pub(crate) fn name_of(entity: EntityId, kind: ChunkKind, bytes: &[u8]) -> Option<ChangeId> {
    let hash = match kind {
        ChunkKind::Change => ChangeHeader::read(bytes, &Limits::DEFAULT).ok()?.hash,
        ChunkKind::Erasure => Erasure::read(entity, bytes).ok()?.hash(),
        ChunkKind::Snapshot | ChunkKind::Sealed => return None,
    };
    Some((entity, hash))
}

fn name_of_entry(entry: &LogEntry) -> ChangeId {
    name_of(entry.entity, entry.kind, &entry.bytes).expect("a relay stores well-formed chunks")
}

fn header_of(entry: &LogEntry) -> ChangeHeader {
    ChangeHeader::read(&entry.bytes, &Limits::DEFAULT).expect("a relay stores well-formed changes")
}
