//! Changes that are in the log already.

use super::super::row::SpaceRow;
use super::rows::{Room, Rows, refused};
use crate::log::LogError;
use afield_core::change::ChangeHeader;
use afield_core::log::ChunkHash;
use afield_core::session::ChunkVerdict;
use afield_core::wire::{ChunkCode, DecodedChunk};
use afield_core::{ChainHash, ChangeHash};
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
        &self,
        known: Known,
        header: &ChangeHeader,
        chunk: &DecodedChunk,
    ) -> Result<ChunkVerdict, LogError> {
        if known.change != header.hash {
            return Ok(refused(ChunkCode::ActorForked));
        }
        // The change's hash covers all of its bytes, so what was pushed is what was accepted. Where the disk has
        // something else by now it is repaired before anybody is told that the change is durable (R5).
        let hash = ChunkHash::of(&chunk.bytes);
        if known.bytes != *chunk.bytes || known.hash != hash {
            if let Room::None(code) = self.room {
                return Ok(refused(code));
            }
            tracing::warn!(
                sequence = SpaceRow::sequence(known.position).get(),
                "a decayed chunk was repaired by a push"
            );
            self.transaction
                .statement("UPDATE chunks SET bytes = ?2, hash = ?3 WHERE position = ?1")?
                .execute(params![known.position, &chunk.bytes[..], hash.as_bytes()])?;
        }
        Ok(ChunkVerdict::Duplicate { sequence: SpaceRow::sequence(known.position), chain: known.chain })
    }
}
