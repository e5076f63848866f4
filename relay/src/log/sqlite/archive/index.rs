//! Finding the changes of segments: by actor and sequence, and by hash.

use super::{Archive, Place};
use crate::log::LogError;
use afield_core::ChangeHash;
use afield_core::change::ChangeHeader;
use afield_core::{Limits, log::ChunkHash};
use rusqlite::{OptionalExtension, params};

/// The most changes of an entity with the same first eight bytes that are looked at. By chance there is never a second one,
/// and making one takes billions of tries.
const ALIKE_MAX: i64 = 16;

/// The first eight bytes of a hash, as the index has them.
pub(in crate::log::sqlite) fn prefix_of(change: ChangeHash) -> i64 {
    change.0.first_chunk().copied().map(i64::from_be_bytes).unwrap_or_default()
}

/// A change of a segment.
#[derive(Debug)]
pub(in crate::log::sqlite) struct Archived {
    pub(in crate::log::sqlite) position: i64,
    pub(in crate::log::sqlite) hash: ChunkHash,
    /// Its bytes; none when they are readable nowhere.
    pub(in crate::log::sqlite) bytes: Vec<u8>,
}

impl Archive<'_, '_> {
    /// The segment that holds the change with an actor and a sequence, by its last position.
    pub(in crate::log::sqlite) fn segment_of(
        &self,
        entity: i64,
        actor: i64,
        actor_sequence: u64,
    ) -> Result<Option<i64>, LogError> {
        let found: Option<(i64, i64)> = self
            .transaction
            .statement(
                "SELECT first, segment FROM actor_runs WHERE entity = ?1 AND actor = ?2 AND last >= ?3
                ORDER BY last LIMIT 1",
            )?
            .query_row([entity, actor, actor_sequence.cast_signed()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        Ok(found.filter(|(first, _)| *first <= actor_sequence.cast_signed()).map(|(_, segment)| segment))
    }

    /// Whether a change may be in a segment: there is one with the same first bytes.
    pub(in crate::log::sqlite) fn may_hold(&self, entity: i64, change: ChangeHash) -> Result<bool, LogError> {
        let sql = "SELECT 1 FROM change_prefixes WHERE entity = ?1 AND prefix = ?2";
        Ok(self.transaction.statement(sql)?.exists(params![entity, prefix_of(change)])?)
    }

    /// A change of a segment. Where the bytes of one with the same first bytes are gone, it is taken for that one.
    pub(in crate::log::sqlite) fn find_change(
        &self,
        entity: i64,
        change: ChangeHash,
    ) -> Result<Option<Archived>, LogError> {
        let sql = "SELECT position FROM change_prefixes WHERE entity = ?1 AND prefix = ?2 ORDER BY position LIMIT ?3";
        let mut statement = self.transaction.statement(sql)?;
        let positions = statement.query_map([entity, prefix_of(change), ALIKE_MAX], |row| row.get(0))?;
        let mut gone = None;
        for position in positions {
            let position: i64 = position?;
            let Some(segment) = self.segment(position)? else { continue };
            let Some(place) = segment.place(position) else { continue };
            let Place { hash, .. } = *place;
            match self.bytes(position, place)? {
                Some(bytes) if is_change(&bytes, change) => return Ok(Some(Archived { position, hash, bytes })),
                Some(_) => {}
                None => gone = Some(Archived { position, hash, bytes: Vec::new() }),
            }
        }
        Ok(gone)
    }
}

fn is_change(bytes: &[u8], change: ChangeHash) -> bool {
    // A relay may have had other limits when it accepted the change.
    const ANY: Limits = Limits {
        change_bytes_max: usize::MAX,
        change_operations_max: u64::MAX,
        change_dependencies_max: usize::MAX,
        ..Limits::DEFAULT
    };
    ChangeHeader::read(bytes, &ANY).is_ok_and(|header| header.hash == change)
}
