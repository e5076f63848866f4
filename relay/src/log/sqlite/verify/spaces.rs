//! The log of a space, from its start to its head.

use super::{Damage, LogProblem, Named, Reader, Verified};
use crate::log::LogError;
use crate::log::sqlite::archive::{Archive, Place, Segment};
use crate::log::sqlite::row::{SpaceRow, count};
use afield_core::change::ChangeHeader;
use afield_core::log::ChunkHash;
use afield_core::{ChainHash, ChunkKind, Cursor, EntityId, Limits, Sequence};
use rusqlite::OptionalExtension;
use std::sync::Arc;

/// How many rows one transaction reads, or how many segments' worth of chunks.
const ROWS_PER_PORTION: i64 = 1_024;

/// The rows of a space's log from a position on.
const ROWS: &str = "
    SELECT c.position, e.id, c.kind, c.hash, c.chain, c.bytes, c.change, c.actor_sequence, a.id, c.entity
    FROM chunks c LEFT JOIN entities e ON e.number = c.entity AND e.space = ?3 LEFT JOIN actors a ON a.number = c.actor
    WHERE c.position >= ?1 AND c.position <= ?2 ORDER BY c.position LIMIT ?4";

/// A chunk as a row has it.
struct ChunkRow {
    position: i64,
    entity: Option<EntityId>,
    kind: u8,
    hash: ChunkHash,
    chain: ChainHash,
    bytes: Vec<u8>,
    change: Vec<u8>,
    actor_sequence: u64,
    actor: Option<Vec<u8>>,
    number: i64,
}

/// One transaction's part of the way.
struct Portion<'a, 't, 'c> {
    archive: Archive<'t, 'c>,
    space: SpaceRow,
    named: Named,
    verified: &'a mut Verified,
}

impl Reader {
    pub(super) fn check_space(
        &mut self,
        named: Named,
        total: u64,
        verified: &mut Verified,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), LogError> {
        let mut reached: Option<Cursor> = None;
        loop {
            let (transaction, cache) = self.begin()?;
            // It may have been purged meanwhile.
            let Some(space) = SpaceRow::by_number(&transaction, named.0)? else { return Ok(()) };
            let cursor = reached.unwrap_or(Cursor::start(space.head.log));
            let archive = Archive::new(&transaction, &cache);
            let mut portion = Portion { archive, space, named, verified };
            if cursor.sequence >= space.head.sequence {
                if cursor != space.head {
                    portion.note(Damage::Chain, cursor.sequence, None);
                }
                return Ok(());
            }
            let next = portion.follow(cursor)?;
            verified.chunks += next.sequence.get().saturating_sub(cursor.sequence.get());
            progress(verified.chunks, total);
            reached = Some(next);
        }
    }
}

impl Portion<'_, '_, '_> {
    fn note(&mut self, damage: Damage, sequence: Sequence, entity: Option<EntityId>) {
        let space = Some(self.named.1);
        self.verified.note(LogProblem { damage, space, sequence: Some(sequence.get()), entity });
    }

    /// Follows the chain behind a position; gives how far it came, which is further in any case.
    fn follow(&mut self, cursor: Cursor) -> Result<Cursor, LogError> {
        let position = self.space.position(cursor.sequence.next());
        match self.archive.segment(position) {
            Ok(Some(segment)) => self.follow_segment(cursor, &segment),
            Ok(None) => self.follow_rows(cursor, position),
            Err(error) if error.is_damage() => {
                self.note(Damage::Segment, cursor.sequence.next(), None);
                self.behind_segment(position)
            }
            Err(error) => Err(error),
        }
    }

    /// Where it goes on behind a segment that cannot be read: as the next row has it.
    fn behind_segment(&self, position: i64) -> Result<Cursor, LogError> {
        let (_, end) = SpaceRow::positions(self.space.number);
        let found: Option<(i64, [u8; 32])> = self
            .archive
            .transaction
            .statement("SELECT last, chain FROM segments WHERE last >= ?1 AND last <= ?2 ORDER BY last LIMIT 1")?
            .query_row([position, end], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        Ok(found.map_or(self.space.head, |(last, chain)| Cursor {
            log: self.space.head.log,
            sequence: SpaceRow::sequence(last),
            chain: ChainHash::from_bytes(chain),
        }))
    }

    fn follow_segment(&mut self, mut cursor: Cursor, segment: &Arc<Segment>) -> Result<Cursor, LogError> {
        let first = self.space.position(cursor.sequence.next());
        if segment.is_mended() {
            self.note(Damage::Decayed, cursor.sequence.next(), None);
        }
        for (position, place) in segment.places_from(first) {
            let after = cursor.then(place.entity, place.kind.number(), place.hash);
            if after.chain != place.chain {
                self.note(Damage::Chain, after.sequence, Some(place.entity));
            }
            cursor = Cursor { chain: place.chain, ..after };
            self.check_place(position, place)?;
        }
        Ok(cursor)
    }

    fn check_place(&mut self, position: i64, place: &Place) -> Result<(), LogError> {
        let sequence = SpaceRow::sequence(position);
        if place.kind != ChunkKind::Change || self.is_erased(place.number)? {
            return Ok(());
        }
        let bytes = match self.archive.bytes(position, place) {
            Ok(bytes) => bytes.filter(|bytes| ChunkHash::of(bytes) == place.hash),
            Err(error) if error.is_damage() => None,
            Err(error) => return Err(error),
        };
        let Some(bytes) = bytes else {
            self.note(Damage::Bytes, sequence, Some(place.entity));
            return Ok(());
        };
        let Ok(header) = ChangeHeader::read(&bytes, &Limits::DEFAULT) else { return Ok(()) };
        if !self.archive.may_hold(place.number, header.hash)? {
            self.note(Damage::Index, sequence, Some(place.entity));
        }
        Ok(())
    }

    fn is_erased(&self, entity: i64) -> Result<bool, LogError> {
        Ok(self.archive.erasure(entity)?.is_some())
    }

    fn follow_rows(&mut self, mut cursor: Cursor, position: i64) -> Result<Cursor, LogError> {
        for row in self.rows(position)? {
            let expected = self.space.position(cursor.sequence.next());
            let sequence = SpaceRow::sequence(row.position);
            if row.position != expected {
                self.note(Damage::Gap, cursor.sequence.next(), None);
            }
            if let Some(entity) = row.entity {
                let after = cursor.then(entity, row.kind, row.hash);
                if row.position == expected && after.chain != row.chain {
                    self.note(Damage::Chain, sequence, Some(entity));
                }
            } else {
                self.note(Damage::Reference, sequence, None);
            }
            self.check_row(&row, sequence)?;
            cursor = Cursor { sequence, chain: row.chain, ..cursor };
        }
        if self.space.position(cursor.sequence.next()) == position {
            // Nothing is left up to the head.
            self.note(Damage::Gap, cursor.sequence.next(), None);
            return Ok(self.space.head);
        }
        Ok(cursor)
    }

    fn check_row(&mut self, row: &ChunkRow, sequence: Sequence) -> Result<(), LogError> {
        let is_change = row.kind == ChunkKind::Change.number();
        if is_change && self.is_erased(row.number)? {
            return Ok(());
        }
        if ChunkHash::of(&row.bytes) != row.hash {
            self.note(Damage::Bytes, sequence, row.entity);
        } else if is_change && let Ok(header) = ChangeHeader::read(&row.bytes, &Limits::DEFAULT) {
            let is_indexed = row.change == header.hash.0
                && row.actor_sequence == header.sequence
                && row.actor.as_deref() == Some(header.actor.to_bytes());
            if !is_indexed {
                self.note(Damage::Index, sequence, row.entity);
            }
        }
        Ok(())
    }

    fn rows(&self, position: i64) -> Result<Vec<ChunkRow>, LogError> {
        let end = self.space.position(self.space.head.sequence);
        let mut statement = self.archive.transaction.statement(ROWS)?;
        let rows = statement.query_map([position, end, self.space.number, ROWS_PER_PORTION], |row| {
            Ok(ChunkRow {
                position: row.get(0)?,
                entity: row.get::<_, Option<_>>(1)?.map(EntityId::from_bytes),
                kind: row.get(2)?,
                hash: ChunkHash::from_bytes(row.get(3)?),
                chain: ChainHash::from_bytes(row.get(4)?),
                bytes: row.get(5)?,
                change: row.get(6)?,
                actor_sequence: count(row, 7)?,
                actor: row.get(8)?,
                number: row.get(9)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
