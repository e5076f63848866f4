//! Where chunks of some entities stand, in the order of the log, at a cost in proportion to what is taken.

use super::archive::{Archive, missing};
use super::row::SpaceRow;
use crate::log::LogError;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// The segments that hold chunks of an entity: their ends, and where they start by how many hashes of 32 bytes they have.
const SEGMENTS: &str = "
    SELECT DISTINCT r.segment, r.segment + 1 - length(h.hashes) / 32
    FROM actor_runs r LEFT JOIN segment_hashes h ON h.last = r.segment
    WHERE r.entity = ?1 AND r.segment > ?2 ORDER BY r.segment LIMIT ?3";
/// Where an entity's chunks stand. The index has all that is asked for, and the order of the table would lead through chunks
/// of everybody.
const POSITIONS: &str = "
    SELECT position FROM chunks INDEXED BY chunks_by_actor WHERE entity = ?1 AND position > ?2
    ORDER BY position LIMIT ?3";
/// How many segments or positions of an entity are looked up at first: many are asked for at once, and most of them have few.
const LOOKED_UP_MIN: usize = 4;
/// How many are looked up at once later on.
const LOOKED_UP_MAX: usize = 256;

/// What stands at a position for who asks for its entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    /// A chunk.
    Chunk,
    /// The first chunk of an entity that its snapshot stands for; the others are passed.
    Snapshot,
}

/// An entity that is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// Its row.
    pub(super) number: i64,
    /// The position up to which it is there already.
    pub(super) after: i64,
    pub(super) takes_snapshots: bool,
}

/// The positions of chunks of some entities, merged into the order of the log, some of each looked up at a time.
pub(super) struct Positions<'a, 't, 'c> {
    archive: &'a Archive<'t, 'c>,
    entities: Vec<Entity>,
    /// The next position of each entity that has more, or the one where the segment starts that is to be looked at next, with the
    /// entity's place among them.
    next: BinaryHeap<Reverse<(i64, usize)>>,
    /// The last position that a segment holds.
    archived: i64,
    looked_up: usize,
}

/// An entity on the way through its positions.
struct Entity {
    number: i64,
    /// Found and not taken.
    ahead: VecDeque<(i64, Item)>,
    /// Segments that were looked up and not looked at: their ends, and where they start.
    segments: VecDeque<(i64, i64)>,
    /// Everything up to here was found, or need not be.
    last: i64,
    /// Up to where its snapshot stands for its chunks, until the first of them was found.
    covered: Option<i64>,
    stage: Stage,
    size: usize,
}

/// Where an entity's next positions are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Segments,
    Rows,
    Nowhere,
}

impl<'a, 't, 'c> Positions<'a, 't, 'c> {
    pub(super) fn of(
        archive: &'a Archive<'t, 'c>,
        space: &SpaceRow,
        asked: impl IntoIterator<Item = Asked>,
    ) -> Result<Self, LogError> {
        let mut entities = Vec::new();
        for asked in asked {
            entities.push(Entity::of(archive, asked)?);
        }
        let archived = space.position(archive.end(space.number, space.head.log)?.sequence);
        let next = BinaryHeap::with_capacity(entities.len());
        let mut positions = Self { archive, entities, next, archived, looked_up: 0 };
        for place in 0..positions.entities.len() {
            positions.look_up(place)?;
        }
        Ok(positions)
    }

    /// The next position, and what stands there; `None` when there are no more.
    pub(super) fn next(&mut self) -> Result<Option<(i64, Item)>, LogError> {
        while let Some(Reverse((_, place))) = self.next.pop() {
            let Some(entity) = self.entities.get_mut(place) else { continue };
            let found = entity.ahead.pop_front();
            if found.is_none() {
                entity.look_at_segment(self.archive)?;
            }
            self.look_up(place)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// How many positions and segments were looked up so far.
    #[cfg(test)]
    pub(super) fn looked_up(&self) -> usize {
        self.looked_up
    }

    /// Puts what comes next of an entity among what is to come.
    fn look_up(&mut self, place: usize) -> Result<(), LogError> {
        let Some(entity) = self.entities.get_mut(place) else { return Ok(()) };
        while entity.next().is_none() && entity.stage != Stage::Nowhere {
            self.looked_up += entity.look_up(self.archive, self.archived)?;
        }
        self.next.extend(entity.next().map(|position| Reverse((position, place))));
        Ok(())
    }
}

impl Entity {
    fn of(archive: &Archive<'_, '_>, asked: Asked) -> Result<Self, LogError> {
        let Asked { number, after, takes_snapshots } = asked;
        let mut covered = None;
        if takes_snapshots
            && let Some(traveller) = archive.traveller(number)?
            && archive.is_news(number, traveller, after)?
        {
            covered = Some(traveller.covered);
        }
        let (mut stage, mut segments) = (Stage::Segments, VecDeque::new());
        if !archive.knows_runs(number)? {
            (stage, segments) = (Stage::Rows, archive.segments_by_changes(number, after)?.into());
        }
        Ok(Self { number, ahead: VecDeque::new(), segments, last: after, covered, stage, size: LOOKED_UP_MIN })
    }

    /// Its next position, or where the segment starts in which it is to be looked for.
    fn next(&self) -> Option<i64> {
        let ahead = self.ahead.front().map(|(position, _)| *position);
        ahead.or_else(|| self.segments.front().map(|(_, first)| *first))
    }

    /// Looks up what follows; answers how much that is.
    fn look_up(&mut self, archive: &Archive<'_, '_>, archived: i64) -> Result<usize, LogError> {
        let (number, size) = (self.number, self.size);
        let limit = i64::try_from(size).unwrap_or(i64::MAX);
        let found = match self.stage {
            Stage::Segments => {
                let mut statement = archive.transaction.statement(SEGMENTS)?;
                let mut rows = statement.query([number, self.last, limit])?;
                while let Some(row) = rows.next()? {
                    let (last, first): (i64, Option<i64>) = (row.get(0)?, row.get(1)?);
                    self.segments.push_back((last, first.ok_or_else(|| missing(last))?));
                }
                self.segments.len()
            }
            Stage::Rows => {
                let mut statement = archive.transaction.statement(POSITIONS)?;
                // A row that a segment has, too, was found there.
                let mut rows = statement.query([number, self.last.max(archived), limit])?;
                while let Some(row) = rows.next()? {
                    self.last = row.get(0)?;
                    self.ahead.push_back((self.last, Item::Chunk));
                }
                self.ahead.len()
            }
            Stage::Nowhere => 0,
        };
        // Where fewer rows are found than were asked for, there are no more. Segments are asked for until there are none.
        (self.stage, self.size) = match self.stage {
            Stage::Segments if found == 0 => (Stage::Rows, LOOKED_UP_MIN),
            Stage::Rows | Stage::Nowhere if found < size => (Stage::Nowhere, size),
            stage => (stage, (2 * size).min(LOOKED_UP_MAX)),
        };
        Ok(found)
    }

    /// Finds its chunks in the next of its segments.
    fn look_at_segment(&mut self, archive: &Archive<'_, '_>) -> Result<(), LogError> {
        let Some((last, first)) = self.segments.pop_front() else { return Ok(()) };
        let segment = archive.outline(last)?.filter(|segment| segment.last() == last).ok_or_else(|| missing(last))?;
        let places = segment.places_from(first.max(self.last + 1));
        for (position, _) in places.filter(|(_, place)| place.number == self.number) {
            if position <= self.last {
                continue;
            }
            match self.covered.take_if(|covered| *covered >= position) {
                None => self.ahead.push_back((position, Item::Chunk)),
                Some(covered) => {
                    self.ahead.push_back((position, Item::Snapshot));
                    self.last = covered;
                }
            }
        }
        self.last = self.last.max(last);
        while self.segments.front().is_some_and(|(last, _)| *last <= self.last) {
            self.segments.pop_front();
        }
        Ok(())
    }
}
