//! Changes that are in the log already.

use super::super::archive::Found;
use super::super::chain;
use super::super::row::SpaceRow;
use super::rows::{Entity, Room, Rows, refused};
use crate::log::LogError;
use afield_core::change::ChangeHeader;
use afield_core::log::ChunkHash;
use afield_core::session::ChunkVerdict;
use afield_core::wire::{ChunkCode, DecodedChunk};
use afield_core::{ChainHash, ChangeHash, Cursor};
use rusqlite::{OptionalExtension, params};

/// A change that is in the log already.
pub(super) struct Known {
    position: i64,
    change: ChangeHash,
    hash: ChunkHash,
    chain: ChainHash,
    bytes: Vec<u8>,
}

impl Rows<'_, '_> {
    /// Finds the change that has this actor and sequence in an entity.
    pub(super) fn known(&self, entity: i64, actor: i64, actor_sequence: u64) -> Result<Option<Known>, LogError> {
        let found = self
            .transaction
            .statement(
                "SELECT position, change, hash, chain, bytes FROM chunks
                WHERE entity = ?1 AND actor = ?2 AND actor_sequence = ?3",
            )?
            .query_row([entity, actor, actor_sequence.cast_signed()], |row| {
                Ok(Known {
                    position: row.get(0)?,
                    change: ChangeHash(row.get(1)?),
                    hash: ChunkHash::from_bytes(row.get(2)?),
                    chain: ChainHash::from_bytes(row.get(3)?),
                    bytes: row.get(4)?,
                })
            })
            .optional();
        Ok(found?)
    }

    /// Answers for a change whose actor and sequence are taken: by itself, or by another one.
    pub(super) fn answer_known(
        &mut self,
        space: &SpaceRow,
        entity: &mut Entity,
        known: Known,
        (header, chunk): (&ChangeHeader, &DecodedChunk),
    ) -> Result<ChunkVerdict, LogError> {
        let hash = ChunkHash::of(&chunk.bytes);
        // Either hash covers all of the bytes, so one of them is enough where the other has decayed.
        if known.change != header.hash && known.hash != hash {
            return Ok(refused(ChunkCode::ActorForked));
        }
        // What was pushed is what was accepted. Where the disk has something else by now it is repaired before anybody
        // is told that the change is durable (R5).
        let sequence = SpaceRow::sequence(known.position);
        let stored = Cursor { log: space.head.log, sequence, chain: known.chain };
        let chain = chain::verified(&self.archive, space, stored, (chunk.entity, chunk.kind, hash))?;
        if known.bytes != *chunk.bytes || (known.hash, known.change, known.chain) != (hash, header.hash, chain) {
            if let Room::None(code) = self.room {
                return Ok(refused(code));
            }
            tracing::warn!(sequence = sequence.get(), "a decayed chunk was repaired by a push");
            self.transaction
                .statement("UPDATE chunks SET bytes = ?2, hash = ?3, change = ?4, chain = ?5 WHERE position = ?1")?
                .execute(params![known.position, &chunk.bytes[..], hash.as_bytes(), header.hash.0, chain.as_bytes()])?;
        }
        let decay = (chunk.entity, known.position);
        if self.decayed.holds(decay) {
            self.intact.push(decay);
        }
        entity.known.insert(header.hash);
        Ok(ChunkVerdict::Duplicate { sequence, chain })
    }

    /// Answers for a change that a segment holds, or whose actor and sequence are taken there by another one; `None` when neither
    /// is so. Either of the two indexes tells it, so that one may decay.
    pub(super) fn answer_archived(
        &mut self,
        entity: &mut Entity,
        actor: i64,
        header: &ChangeHeader,
        chunk: &DecodedChunk,
    ) -> Result<Option<ChunkVerdict>, LogError> {
        // The hashes of a segment are those that the chain leads through, whatever has become of the bytes.
        let hash = ChunkHash::of(&chunk.bytes);
        let segment = self.archive.segment_of(entity.number, actor, header.sequence)?;
        let found = self.archive.find_chunk(entity.number, segment, (header.hash, hash))?;
        let Some((Found { segment, position }, place)) = found.as_ref().and_then(|found| Some((found, found.place()?)))
        else {
            let Some(segment) = segment else { return Ok(None) };
            let is_taken = self.archive.is_taken(entity.number, &header.actor, header.sequence, segment)?;
            return Ok(is_taken.then(|| refused(ChunkCode::ActorForked)));
        };
        let (position, sequence) = (*position, SpaceRow::sequence(*position));
        if !self.archive.is_readable(segment, position, place)? {
            if let Room::None(code) = self.room {
                return Ok(Some(refused(code)));
            }
            tracing::warn!(sequence = sequence.get(), "a decayed chunk was repaired by a push");
            // A row may stand there whose bytes have decayed, and with them whose it was.
            self.transaction
                .statement(
                    "INSERT OR REPLACE INTO chunks (position, entity, kind, actor, actor_sequence, change, hash, chain, bytes)
                    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                )?
                .execute(params![
                    position,
                    entity.number,
                    place.kind.number(),
                    actor,
                    header.sequence.cast_signed(),
                    header.hash.0,
                    hash.as_bytes(),
                    place.chain.as_bytes(),
                    &chunk.bytes[..],
                ])?;
        }
        if self.room == Room::Free {
            self.archive.index(entity.number, header.hash, position)?;
        }
        let decay = (chunk.entity, position);
        if self.decayed.holds(decay) {
            self.intact.push(decay);
        }
        entity.known.insert(header.hash);
        Ok(Some(ChunkVerdict::Duplicate { sequence, chain: place.chain }))
    }
}
