//! What both ends remember of the rows before, to predict the next one from.

use crate::change::leb::{unzigzag, zigzag};
use crate::wire::row::place::{Edit, Place};
use automerge::ChangeHash;
use std::collections::BTreeMap;

/// The code of a table's next entry that has not been named yet.
const NEXT_UNSEEN: u64 = 1;
/// The smallest code that names something seen before.
const SEEN: u64 = 2;

/// How far a number is from the one that would follow the last.
pub(super) fn step(number: u64, last: &mut u64) -> u64 {
    let expected = last.wrapping_add(1);
    *last = number;
    zigzag(number.wrapping_sub(expected).cast_signed())
}

/// The inverse of [`step`].
pub(super) fn after_step(step: u64, last: &mut u64) -> u64 {
    *last = last.wrapping_add(1).wrapping_add(unzigzag(step).cast_unsigned());
    *last
}

/// A dependency of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dependency {
    /// The row with this index among the entity's.
    Row(usize),
    /// The outside hash with this index.
    Outside(usize),
}

/// Where an actor stands in an entity, as far as the batch has told.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Position {
    /// The sequence of its last change.
    pub(super) sequence: u64,
    /// The index of its last row among the entity's.
    pub(super) last_row: Option<usize>,
    /// Where its last edit left off.
    pub(super) place: Place,
}

#[derive(Debug, Default)]
struct Entity {
    last_actor: Option<usize>,
    rows: Vec<(ChangeHash, u64)>,
}

/// What both ends remember.
#[derive(Debug, Default)]
pub(super) struct Model {
    entities: Vec<Entity>,
    positions: BTreeMap<(usize, usize), Position>,
    outside: Vec<u64>,
    last_actor: Option<usize>,
    last_time_ms: i64,
}

/// A row that has been coded.
#[derive(Debug)]
pub(super) struct CodedRow<'r> {
    pub(super) entity: usize,
    pub(super) actor: usize,
    pub(super) hash: ChangeHash,
    pub(super) sequence: u64,
    pub(super) start_op: u64,
    pub(super) operations: u64,
    pub(super) time_ms: i64,
    pub(super) dependencies: &'r [Dependency],
    /// Where the row edits, as far as its columns were taken apart.
    pub(super) edit: Option<Edit>,
}

impl Model {
    /// Makes room for an entity.
    pub(super) fn add_entity(&mut self) {
        self.entities.push(Entity::default());
    }

    /// Makes room for an outside hash.
    pub(super) fn add_outside(&mut self) {
        self.outside.push(0);
    }

    /// Who is expected to write next.
    pub(super) fn actor(&self, entity: usize) -> Option<usize> {
        self.entities.get(entity).and_then(|entity| entity.last_actor).or(self.last_actor)
    }

    /// Where an actor stands in an entity.
    pub(super) fn position(&self, entity: usize, actor: usize) -> Position {
        self.positions.get(&(entity, actor)).copied().unwrap_or_default()
    }

    /// The row that is expected to be the only dependency; none when the entity has no rows yet.
    pub(super) fn dependency(&self, entity: usize, position: &Position) -> Option<usize> {
        position.last_row.or_else(|| self.rows(entity).checked_sub(1))
    }

    /// How many rows an entity has.
    pub(super) fn rows(&self, entity: usize) -> usize {
        self.entities.get(entity).map_or(0, |entity| entity.rows.len())
    }

    /// The hash of a row.
    pub(super) fn hash(&self, entity: usize, row: usize) -> Option<ChangeHash> {
        self.entities.get(entity)?.rows.get(row).map(|(hash, _)| *hash)
    }

    /// The first operation that is expected: the one after the highest of all dependencies.
    pub(super) fn start_op(&self, entity: usize, dependencies: &[Dependency]) -> u64 {
        let highest = dependencies.iter().map(|dependency| match dependency {
            Dependency::Row(row) => {
                self.entities.get(entity).and_then(|entity| entity.rows.get(*row)).map_or(0, |(_, max_op)| *max_op)
            }
            Dependency::Outside(index) => self.outside.get(*index).copied().unwrap_or(0),
        });
        highest.max().unwrap_or(0).wrapping_add(1)
    }

    /// How far a time is from the one that is expected.
    pub(super) fn time_difference(&self, time_ms: i64) -> u64 {
        zigzag(time_ms.wrapping_sub(self.last_time_ms))
    }

    /// The inverse of [`Model::time_difference`].
    pub(super) fn time_ms(&self, difference: u64) -> i64 {
        self.last_time_ms.wrapping_add(unzigzag(difference))
    }

    /// Remembers a row.
    pub(super) fn record(&mut self, row: &CodedRow<'_>) {
        let mut position = self.position(row.entity, row.actor);
        let max_op = row.start_op.wrapping_add(row.operations).wrapping_sub(1);
        position.sequence = row.sequence;
        position.last_row = Some(self.rows(row.entity));
        if let Some(edit) = &row.edit {
            position.place.follow(edit, max_op);
        }
        self.positions.insert((row.entity, row.actor), position);
        self.estimate_outside(row);
        if let Some(entity) = self.entities.get_mut(row.entity) {
            entity.last_actor = Some(row.actor);
            entity.rows.push((row.hash, max_op));
        }
        self.last_actor = Some(row.actor);
        self.last_time_ms = row.time_ms;
    }

    /// A change with outside dependencies alone starts after the highest of them: good to know for the next one.
    fn estimate_outside(&mut self, row: &CodedRow<'_>) {
        if row.dependencies.iter().any(|dependency| matches!(dependency, Dependency::Row(_))) {
            return;
        }
        for dependency in row.dependencies {
            if let Dependency::Outside(index) = dependency
                && let Some(max_op @ 0) = self.outside.get_mut(*index)
            {
                *max_op = row.start_op.wrapping_sub(1);
            }
        }
    }
}

/// A table whose entries are named in the order of their first use.
#[derive(Debug, Default)]
pub(super) struct Seen {
    seen: usize,
    total: usize,
}

impl Seen {
    /// A table of `total` entries, none of them named yet.
    pub(super) fn of(total: usize) -> Self {
        Self { seen: 0, total }
    }

    /// Resolves a code: 0 is what was predicted (or the next unseen entry where nothing was), 1 the next unseen entry,
    /// and above that the entries seen. `None` when there is no such entry.
    pub(super) fn resolve(&mut self, code: u64, predicted: Option<usize>) -> Option<usize> {
        match (code, predicted) {
            (0, Some(predicted)) => Some(predicted),
            (0 | NEXT_UNSEEN, _) => {
                let next = self.seen;
                self.seen += usize::from(next < self.total);
                (next < self.total).then_some(next)
            }
            _ => usize::try_from(code - SEEN).ok().filter(|index| *index < self.seen),
        }
    }

    /// Names an entry by its index: one named before or the next one.
    pub(super) fn name(&mut self, index: u64) -> Option<usize> {
        let index = usize::try_from(index).ok().filter(|index| *index <= self.seen && *index < self.total)?;
        self.seen += usize::from(index == self.seen);
        Some(index)
    }

    /// How many entries have been named.
    pub(super) fn count(&self) -> usize {
        self.seen
    }

    /// Whether every entry has been named.
    pub(super) fn is_complete(&self) -> bool {
        self.seen == self.total
    }
}

/// The code of an entry. `is_new` when it is named for the first time.
pub(super) fn code(index: usize, is_new: bool, predicted: Option<usize>) -> u64 {
    match predicted {
        None if is_new => 0,
        Some(predicted) if predicted == index => 0,
        _ if is_new => NEXT_UNSEEN,
        _ => SEEN + index as u64,
    }
}

/// The code of an entity: 0 for the same as in the row before, else one more than how far it is from the entry after
/// that one in the table.
pub(super) fn entity_code(index: usize, last: Option<usize>) -> u64 {
    match last {
        Some(last) if last != index => 1 + zigzag(index as i64 - (last as i64 + 1)),
        _ => 0,
    }
}

/// The inverse of [`entity_code`]: `seen` entities have been named, and the next one may be.
pub(super) fn resolve_entity(code: u64, seen: usize, last: Option<usize>) -> Option<usize> {
    let index = match (code.checked_sub(1), last) {
        (None, Some(last)) => return Some(last),
        (None, None) => 0,
        (Some(distance), last) => {
            let next = last.map_or(0, |last| last as i64 + 1);
            next.checked_add(unzigzag(distance))?
        }
    };
    usize::try_from(index).ok().filter(|index| *index <= seen)
}
