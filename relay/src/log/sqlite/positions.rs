//! Where chunks of some entities stand, in the order of the log, at a cost in proportion to what is taken.

use super::row::SpaceRow;
use super::transaction::SqliteTransaction;
use crate::log::LogError;
use afield_core::Sequence;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Where an entity's chunks stand. The index has all that is asked for, and the order of the table would lead through chunks
/// of everybody.
const POSITIONS: &str = "
    SELECT position FROM chunks INDEXED BY chunks_by_actor WHERE entity = ?1 AND position > ?2
    ORDER BY position LIMIT ?3";
/// How many positions of an entity are looked up at first: many are asked for at once, and most of them have few.
const LOOKED_UP_MIN: usize = 4;
/// How many are looked up at once later on.
const LOOKED_UP_MAX: usize = 256;

/// The positions of chunks of some entities, merged into the order of the log, some of each looked up at a time.
pub(super) struct Positions<'t, 'c> {
    transaction: &'t SqliteTransaction<'c>,
    entities: Vec<Entity>,
    /// The next position of each entity that has more, with its place among them.
    next: BinaryHeap<Reverse<(i64, usize)>>,
    looked_up: usize,
}

/// An entity on the way through its positions.
struct Entity {
    number: i64,
    /// Looked up and not taken.
    ahead: VecDeque<i64>,
    last: i64,
    size: usize,
}

impl<'t, 'c> Positions<'t, 'c> {
    /// Starts after a sequence, with the entities of these rows.
    pub(super) fn of(
        transaction: &'t SqliteTransaction<'c>,
        space: &SpaceRow,
        numbers: impl IntoIterator<Item = i64>,
        after: Sequence,
    ) -> Result<Self, LogError> {
        let last = space.position(after);
        let entity = |number| Entity { number, ahead: VecDeque::new(), last, size: LOOKED_UP_MIN };
        let entities: Vec<_> = numbers.into_iter().map(entity).collect();
        let mut positions =
            Self { transaction, next: BinaryHeap::with_capacity(entities.len()), entities, looked_up: 0 };
        for place in 0..positions.entities.len() {
            positions.look_up(place)?;
        }
        Ok(positions)
    }

    /// The next position; `None` when there are no more.
    pub(super) fn next(&mut self) -> Result<Option<i64>, LogError> {
        let Some(Reverse((position, place))) = self.next.pop() else { return Ok(None) };
        self.look_up(place)?;
        Ok(Some(position))
    }

    /// How many were looked up so far.
    #[cfg(test)]
    pub(super) fn looked_up(&self) -> usize {
        self.looked_up
    }

    /// Puts the next position of an entity among those to come.
    fn look_up(&mut self, place: usize) -> Result<(), LogError> {
        let Some(entity) = self.entities.get_mut(place) else { return Ok(()) };
        if entity.ahead.is_empty() && entity.size > 0 {
            let size = entity.size;
            let mut statement = self.transaction.statement(POSITIONS)?;
            let limit = i64::try_from(size).unwrap_or(i64::MAX);
            let mut rows = statement.query([entity.number, entity.last, limit])?;
            while let Some(row) = rows.next()? {
                entity.last = row.get(0)?;
                entity.ahead.push_back(entity.last);
            }
            self.looked_up += entity.ahead.len();
            // Fewer than asked for were the last.
            entity.size = if entity.ahead.len() < size { 0 } else { (2 * size).min(LOOKED_UP_MAX) };
        }
        self.next.extend(entity.ahead.pop_front().map(|position| Reverse((position, place))));
        Ok(())
    }
}
