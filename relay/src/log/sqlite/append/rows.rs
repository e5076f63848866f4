//! One chunk at a time: the checks and statements of an append.

use super::super::archive::{Archive, Archived};
use super::super::decay::{Decay, Decayed};
use super::super::row::{SEQUENCE_MAX, SpaceRow, count};
use super::super::transaction::SqliteTransaction;
use crate::log::{Inconsistency, LogError, Quotas};
use afield_core::change::ChangeHeader;
use afield_core::log::ChunkHash;
use afield_core::session::{ChunkVerdict, LogEntry};
use afield_core::wire::{ChunkCode, DecodedChunk};
use afield_core::{ChangeHash, ChunkKind, Collection, Cursor, EntityId, Limits};
use rusqlite::{OptionalExtension, params};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Whether the disk takes more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Free,
    /// It does not, and this is what a chunk is told that would have to be written.
    None(ChunkCode),
}

/// A space's log as far as this transaction has brought it.
pub(super) struct Space {
    pub(super) row: SpaceRow,
    pub(super) before: Cursor,
    pub(super) entries: Vec<LogEntry>,
    pub(super) entities: BTreeMap<EntityId, Option<Entity>>,
}

/// What the log knows of an entity.
pub(super) struct Entity {
    pub(super) number: i64,
    pub(super) collection: Collection,
    /// How many operations its accepted changes have.
    pub(super) operations: u64,
    /// Whether `operations` is to be written back.
    pub(super) raised: bool,
    /// Changes that this transaction appended or met.
    pub(super) known: BTreeSet<ChangeHash>,
    /// Where its erasure record stands, once it was purged.
    pub(super) erased: Option<i64>,
}

/// A chunk as the disk has it.
struct Stored {
    position: i64,
    is_intact: bool,
    /// Its bytes, where they were asked for or had to be read.
    bytes: Vec<u8>,
}

/// The most changes that are looked through for one that has decayed, by one push and entity: some milliseconds.
const ANCESTORS_MAX: usize = 1_024;
/// The most bytes of them that are read.
const ANCESTOR_BYTES_MAX: usize = 4 << 20;

/// The statements of an append, and what one transaction learned of rows that spaces share.
pub(super) struct Rows<'t, 'c> {
    pub(super) transaction: &'t SqliteTransaction<'c>,
    pub(super) archive: Archive<'t, 'c>,
    pub(super) room: Room,
    pub(super) decayed: &'t Decayed,
    /// What was noted as decayed, and whose bytes are intact with this transaction.
    pub(super) intact: Vec<Decay>,
    /// What this transaction found decayed.
    pub(super) found: Vec<Decay>,
    /// The rows of entities that this transaction has erased.
    pub(super) erased: Vec<i64>,
    quotas: &'t Quotas,
    actors: BTreeMap<Vec<u8>, Option<i64>>,
    collections: BTreeMap<Collection, i64>,
}

impl<'t, 'c> Rows<'t, 'c> {
    pub(super) fn new(archive: Archive<'t, 'c>, quotas: &'t Quotas, decayed: &'t Decayed, room: Room) -> Self {
        let transaction = archive.transaction;
        let (actors, collections) = (BTreeMap::new(), BTreeMap::new());
        let (intact, found, erased) = Default::default();
        Self { transaction, archive, room, decayed, intact, found, erased, quotas, actors, collections }
    }

    /// Checks one chunk, and appends it when nothing speaks against it.
    pub(super) fn append(&mut self, space: &mut Space, chunk: &DecodedChunk) -> Result<ChunkVerdict, LogError> {
        match chunk.kind {
            ChunkKind::Change => {}
            ChunkKind::Erasure => return self.append_erasure(space, chunk),
            ChunkKind::Snapshot | ChunkKind::Sealed => return Ok(refused(ChunkCode::UnsupportedKind)),
        }
        let header = match &chunk.header {
            Ok(header) => header,
            Err(error) => return Ok(refused(error.code())),
        };
        self.load_entity(space, chunk.entity)?;
        // Also what the log had: its bytes are no more, so nobody is told that they are durable (R5).
        if space.entities.get(&chunk.entity).and_then(Option::as_ref).is_some_and(|entity| entity.erased.is_some()) {
            return Ok(refused(ChunkCode::Purged));
        }
        let actor = self.actor(header.actor.to_bytes())?;
        let row = space.row;
        let mut entity = space.entities.get_mut(&chunk.entity).and_then(Option::as_mut);
        if let (Some(entity), Some(actor)) = (&mut entity, actor) {
            if let Some(known) = self.known(entity.number, actor, header.sequence)? {
                return self.answer_known(&row, entity, known, (header, chunk));
            }
            if let Some(verdict) = self.answer_archived(entity, actor, header, chunk)? {
                return Ok(verdict);
            }
        }
        let missing = self.missing(&space.row, chunk.entity, entity.as_deref_mut(), &header.dependencies)?;
        if !missing.is_empty() {
            return Ok(ChunkVerdict::Refused { code: ChunkCode::MissingDependencies, missing });
        }
        // Honest changes number their operations on from what they follow, so no number is above how many there are.
        // Against the highest number every change could leap anew, and some thousands would close the entity for ever.
        let operations = entity.map_or(0, |entity| entity.operations);
        if header.start_op.get() - 1 > operations.saturating_add(self.quotas.start_op_leap_max) {
            return Ok(refused(ChunkCode::StartOpLeap));
        }
        if space.row.head.sequence.get() >= SEQUENCE_MAX || self.is_full(space, chunk) {
            return Ok(refused(ChunkCode::Quota));
        }
        if let Room::None(code) = self.room {
            return Ok(refused(code));
        }
        self.store(space, header, chunk)
    }

    fn store(
        &mut self,
        space: &mut Space,
        header: &ChangeHeader,
        chunk: &DecodedChunk,
    ) -> Result<ChunkVerdict, LogError> {
        let actor = self.intern_actor(header.actor.to_bytes())?;
        let entity = match space.entities.get_mut(&chunk.entity).and_then(Option::as_mut) {
            Some(entity) => {
                entity.operations = entity.operations.saturating_add(header.operations);
                entity.raised |= header.operations > 0;
                entity
            }
            None => {
                let created = self.create_entity(space.row.number, header.operations, chunk)?;
                space.entities.entry(chunk.entity).or_insert(None).insert(created)
            }
        };
        entity.known.insert(header.hash);
        let (number, collection) = (entity.number, entity.collection.clone());
        self.insert((space, number, collection), (actor, header.sequence, header.hash), chunk)
    }

    /// Gives a chunk of an entity the next place.
    pub(super) fn insert(
        &self,
        (space, entity, collection): (&mut Space, i64, Collection),
        (actor, actor_sequence, change): (i64, u64, ChangeHash),
        chunk: &DecodedChunk,
    ) -> Result<ChunkVerdict, LogError> {
        let hash = ChunkHash::of(&chunk.bytes);
        let head = space.row.head.then(chunk.entity, chunk.kind.number(), hash);
        self.transaction
            .statement(
                "INSERT INTO chunks (position, entity, kind, actor, actor_sequence, change, hash, chain, bytes)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                space.row.position(head.sequence),
                entity,
                chunk.kind.number(),
                actor,
                actor_sequence.cast_signed(),
                change.0,
                hash.as_bytes(),
                head.chain.as_bytes(),
                &chunk.bytes[..],
            ])?;
        let is_as_pushed = collection == chunk.collection;
        space.row.head = head;
        space.row.chunks += 1;
        space.row.bytes += chunk.bytes.len() as u64;
        space.entries.push(LogEntry {
            sequence: head.sequence,
            chain: head.chain,
            entity: chunk.entity,
            collection,
            kind: chunk.kind,
            hash,
            bytes: chunk.bytes.to_vec(),
        });
        Ok(ChunkVerdict::Stored { sequence: head.sequence, chain: head.chain, is_as_pushed })
    }

    pub(super) fn load_entity(&self, space: &mut Space, id: EntityId) -> Result<(), LogError> {
        if space.entities.contains_key(&id) {
            return Ok(());
        }
        let found: Option<(i64, u64, String, Option<i64>)> = self
            .transaction
            .statement(
                "SELECT e.number, e.operations, k.name, x.position FROM entities e
                JOIN collections k ON k.number = e.collection LEFT JOIN erasures x ON x.entity = e.number
                WHERE e.space = ?1 AND e.id = ?2",
            )?
            .query_row(params![space.row.number, id.as_bytes()], |row| {
                Ok((row.get(0)?, count(row, 1)?, row.get(2)?, row.get(3)?))
            })
            .optional()?;
        let entity = match found {
            None => None,
            Some((number, operations, name, erased)) => {
                let parsed = name.parse().map_err(|_| LogError::Inconsistent(Inconsistency::Collection));
                let (collection, raised, known) = (parsed?, false, BTreeSet::new());
                Some(Entity { number, operations, collection, raised, known, erased })
            }
        };
        space.entities.insert(id, entity);
        Ok(())
    }

    /// Creates an entity with the collection of its first accepted chunk, which binds it for good.
    pub(super) fn create_entity(
        &mut self,
        space: i64,
        operations: u64,
        chunk: &DecodedChunk,
    ) -> Result<Entity, LogError> {
        let collection = self.intern_collection(&chunk.collection)?;
        self.transaction
            .statement("INSERT INTO entities (space, id, collection, operations) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![space, chunk.entity.as_bytes(), collection, operations.cast_signed()])?;
        let number = self.transaction.last_insert_rowid();
        let (collection, known) = (chunk.collection.clone(), BTreeSet::new());
        Ok(Entity { number, collection, operations, raised: false, known, erased: None })
    }

    /// Whether a space has no room for another chunk.
    pub(super) fn is_full(&self, space: &Space, chunk: &DecodedChunk) -> bool {
        let SpaceRow { chunks, bytes, .. } = space.row;
        chunks >= self.quotas.space_chunks_max
            || bytes.saturating_add(chunk.bytes.len() as u64) > self.quotas.space_bytes_max
    }

    /// Which of these dependencies are not in the log for the entity, or have decayed there: whoever builds on one has it,
    /// and sends it again when asked. Where chunks of the entity are known to have decayed, what the dependencies rest on
    /// is looked through too; but nothing else is named, for a device repairs only where it has all that is named.
    fn missing(
        &mut self,
        space: &SpaceRow,
        id: EntityId,
        entity: Option<&mut Entity>,
        dependencies: &[ChangeHash],
    ) -> Result<Vec<ChangeHash>, LogError> {
        let Some(entity) = entity else { return Ok(dependencies.to_vec()) };
        let mut absent = Vec::new();
        for change in dependencies.iter().filter(|change| !entity.known.contains(change)) {
            // An index answers it, so that what lacks something costs little however often it comes.
            if !self.holds(entity.number, *change)? {
                absent.push(*change);
            }
        }
        if !absent.is_empty() {
            return Ok(absent);
        }
        let looks_further = self.decayed.holds_any(space, id);
        let mut queue: VecDeque<ChangeHash> = dependencies.iter().copied().collect();
        let mut bytes_left = ANCESTOR_BYTES_MAX;
        let (mut seen, mut missing) = (BTreeSet::new(), Vec::new());
        while let Some(change) = queue.pop_front() {
            if entity.known.contains(&change) || !seen.insert(change) {
                continue;
            }
            let Some(stored) = self.stored(entity.number, change, looks_further)? else {
                missing.push(change);
                continue;
            };
            if !stored.is_intact {
                self.found.push((id, stored.position));
                missing.push(change);
            } else if looks_further && seen.len() + queue.len() < ANCESTORS_MAX && stored.bytes.len() <= bytes_left {
                bytes_left -= stored.bytes.len();
                let header = ChangeHeader::read(&stored.bytes, &Limits::DEFAULT);
                queue.extend(header.map(|header| header.dependencies).unwrap_or_default());
            }
        }
        if missing.is_empty() {
            entity.known.extend(seen);
        }
        Ok(missing)
    }

    fn holds(&self, entity: i64, change: ChangeHash) -> Result<bool, LogError> {
        let sql = "SELECT 1 FROM chunks WHERE entity = ?1 AND substr(change, 1, 8) = ?2 AND change = ?3";
        Ok(self.transaction.statement(sql)?.exists(params![entity, change.0.split_at(8).0, change.0])?
            || self.archive.may_hold(entity, change)?)
    }

    fn stored(&self, entity: i64, change: ChangeHash, wants_bytes: bool) -> Result<Option<Stored>, LogError> {
        let found = self
            .transaction
            .statement(
                "SELECT position, hash, bytes FROM chunks
                WHERE entity = ?1 AND substr(change, 1, 8) = ?2 AND change = ?3",
            )?
            .query_row(params![entity, change.0.split_at(8).0, change.0], |row| {
                let (position, hash, bytes): (i64, _, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(Stored { position, is_intact: ChunkHash::of(&bytes) == ChunkHash::from_bytes(hash), bytes })
            })
            .optional()?;
        if found.is_some() {
            return Ok(found);
        }
        let archived = self.archive.find_change(entity, change, wants_bytes)?;
        let stored = |Archived { position, is_readable, bytes }| Stored { position, is_intact: is_readable, bytes };
        Ok(archived.map(stored))
    }

    fn actor(&mut self, id: &[u8]) -> Result<Option<i64>, LogError> {
        if let Some(known) = self.actors.get(id) {
            return Ok(*known);
        }
        let mut statement = self.transaction.statement("SELECT number FROM actors WHERE id = ?1")?;
        let number = statement.query_row([id], |row| row.get(0)).optional()?;
        self.actors.insert(id.to_vec(), number);
        Ok(number)
    }

    pub(super) fn intern_actor(&mut self, id: &[u8]) -> Result<i64, LogError> {
        if let Some(number) = self.actor(id)? {
            return Ok(number);
        }
        self.transaction.statement("INSERT INTO actors (id) VALUES (?1)")?.execute([id])?;
        let number = self.transaction.last_insert_rowid();
        self.actors.insert(id.to_vec(), Some(number));
        Ok(number)
    }

    fn intern_collection(&mut self, collection: &Collection) -> Result<i64, LogError> {
        if let Some(number) = self.collections.get(collection) {
            return Ok(*number);
        }
        let mut select = self.transaction.statement("SELECT number FROM collections WHERE name = ?1")?;
        let found: Option<i64> = select.query_row([collection.as_str()], |row| row.get(0)).optional()?;
        let number = match found {
            Some(number) => number,
            None => {
                let mut insert = self.transaction.statement("INSERT INTO collections (name) VALUES (?1)")?;
                insert.execute([collection.as_str()])?;
                self.transaction.last_insert_rowid()
            }
        };
        self.collections.insert(collection.clone(), number);
        Ok(number)
    }
}

/// A refusal without more to say.
pub(super) fn refused(code: ChunkCode) -> ChunkVerdict {
    ChunkVerdict::Refused { code, missing: Vec::new() }
}
