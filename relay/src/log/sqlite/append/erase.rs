//! Erasure records: what they take away, in the transaction that gives them their place.

use super::super::chain;
use super::super::row::{SEQUENCE_MAX, SpaceRow};
use super::rows::{Room, Rows, Space, refused};
use crate::log::LogError;
use afield_core::Erasure;
use afield_core::session::ChunkVerdict;
use afield_core::wire::{ChunkCode, DecodedChunk};

/// What stands in the place of the actor of an erasure record. No change has an empty one.
const NO_ACTOR: &[u8] = &[];
/// The actor sequence of an erasure record: an entity has one.
const ONLY: u64 = 1;

impl Rows<'_, '_> {
    /// Appends the erasure record of an entity, unless it has one, and takes the bytes of its chunks away. A quota keeps nobody from
    /// purging what is here; a record of what never was fills the space as any chunk does.
    pub(super) fn append_erasure(&mut self, space: &mut Space, chunk: &DecodedChunk) -> Result<ChunkVerdict, LogError> {
        let Ok(record) = Erasure::read(chunk.entity, &chunk.bytes) else { return Ok(refused(ChunkCode::Malformed)) };
        self.load_entity(space, chunk.entity)?;
        let known = space.entities.get(&chunk.entity).and_then(Option::as_ref);
        if let Some(position) = known.and_then(|entity| entity.erased) {
            let sequence = SpaceRow::sequence(position);
            let chain = chain::position_before(&self.archive, &space.row, sequence.next())?.chain;
            return Ok(ChunkVerdict::Duplicate { sequence, chain });
        }
        if space.row.head.sequence.get() >= SEQUENCE_MAX || known.is_none() && self.is_full(space, chunk) {
            return Ok(refused(ChunkCode::Quota));
        }
        if let Room::None(code) = self.room {
            return Ok(refused(code));
        }
        let actor = self.intern_actor(NO_ACTOR)?;
        if known.is_none() {
            let created = self.create_entity(space.row.number, 0, chunk)?;
            space.entities.insert(chunk.entity, Some(created));
        }
        let position = space.row.position(space.row.head.sequence.next());
        let Some(entity) = space.entities.get_mut(&chunk.entity).and_then(Option::as_mut) else {
            return Ok(refused(ChunkCode::Unavailable));
        };
        entity.erased = Some(position);
        let (number, collection) = (entity.number, entity.collection.clone());
        self.erase(number, position, record)?;
        self.insert((space, number, collection), (actor, ONLY, record.hash()), chunk)
    }

    /// Takes away what rows and a snapshot hold of an entity. Its segments are rewritten by a [task](crate::log::Task).
    fn erase(&mut self, entity: i64, position: i64, record: Erasure) -> Result<(), LogError> {
        for sql in [
            "UPDATE chunks SET bytes = x'' WHERE entity = ?1 AND bytes <> x''",
            "DELETE FROM snapshots WHERE entity = ?1",
            "DELETE FROM snapshot_tries WHERE entity = ?1",
        ] {
            self.transaction.statement(sql)?.execute([entity])?;
        }
        self.transaction
            .statement("INSERT OR REPLACE INTO erasures (entity, position, reason, cleared) VALUES (?1, ?2, ?3, 0)")?
            .execute((entity, position, record.reason.number()))?;
        self.erased.push(entity);
        Ok(())
    }
}
