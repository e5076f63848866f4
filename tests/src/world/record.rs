//! What the relay's log has ever held, written down by somebody who is neither the relay nor one of its readers.
//!
//! It is read from the disk after each commit and computes the chain itself, so that whatever a store or a frame says
//! about a place of the log can be held against it.

use super::ChangeId;
use super::check::Violation;
use crate::contents::LogContents;
use afield_core::change::ChangeHeader;
use afield_core::log::ChunkHash;
use afield_core::session::LogEntry;
use afield_core::{ChangeHash, Collection, Cursor, Limits, LogId, Now, Sequence, SpaceId};
use afield_relay::log::SqliteLog;
use std::collections::BTreeMap;

/// One place of a log: the cursor behind it, and what stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) cursor: Cursor,
    pub(super) change: ChangeId,
    pub(super) collection: Collection,
    pub(super) chunk: ChunkHash,
}

/// One history of the log. A restored backup begins another one, which shares what the backup holds.
#[derive(Debug, Clone)]
pub(super) struct History {
    start: Cursor,
    places: Vec<Place>,
    sequences: BTreeMap<ChangeId, Sequence>,
}

impl History {
    fn of(start: Cursor) -> Result<Self, Violation> {
        if start != Cursor::start(start.log) {
            return Violation::of("R2", format!("the log does not start at its id: {start:?}"));
        }
        Ok(Self { start, places: Vec::new(), sequences: BTreeMap::new() })
    }

    /// The position before the first place.
    pub(super) fn start(&self) -> Cursor {
        self.start
    }

    /// The position behind the last place.
    pub(super) fn head(&self) -> Cursor {
        self.places.last().map_or(self.start, |place| place.cursor)
    }

    /// Whether a position belongs to this history.
    pub(super) fn holds(&self, position: Cursor) -> bool {
        match position.sequence.get().checked_sub(1) {
            None => position == self.start,
            Some(before) => self.place(before).is_some_and(|place| place.cursor == position),
        }
    }

    /// The place with this number, counted from 0.
    pub(super) fn place(&self, index: u64) -> Option<&Place> {
        self.places.get(usize::try_from(index).ok()?)
    }

    /// The places up to a position that belongs to this history.
    pub(super) fn prefix(&self, position: Cursor) -> &[Place] {
        self.places.get(..position.sequence.get() as usize).unwrap_or_default()
    }

    /// The places after one sequence up to another.
    pub(super) fn between(&self, after: Sequence, upto: Sequence) -> &[Place] {
        self.places.get(after.get() as usize..upto.get() as usize).unwrap_or_default()
    }

    /// Where a change stands.
    pub(super) fn sequence(&self, change: &ChangeId) -> Option<Sequence> {
        self.sequences.get(change).copied()
    }

    pub(super) fn changes(&self) -> &BTreeMap<ChangeId, Sequence> {
        &self.sequences
    }

    fn push(&mut self, entry: &LogEntry, ordered: bool) -> Result<(), Violation> {
        let (head, chunk) = (self.head(), ChunkHash::of(&entry.bytes));
        let cursor = head.then(entry.entity, entry.kind.number(), chunk);
        if (entry.sequence, entry.chain) != (cursor.sequence, cursor.chain) {
            return Violation::of("R2", format!("sequence {} does not follow {}", entry.sequence, head.sequence));
        }
        let header = ChangeHeader::read(&entry.bytes, &Limits::DEFAULT).expect("a relay stores well-formed changes");
        let stands_before = |hash: &&ChangeHash| self.sequences.contains_key(&(entry.entity, **hash));
        if let Some(missing) = header.dependencies.iter().find(|hash| !stands_before(hash)).filter(|_| ordered) {
            return Violation::of("S5", format!("{} stands before {missing}, which it depends on", header.hash));
        }
        let change = (entry.entity, header.hash);
        if let Some(first) = self.sequences.insert(change, cursor.sequence) {
            return Violation::of("R2", format!("{} stands at {first} and at {}", header.hash, cursor.sequence));
        }
        self.places.push(Place { cursor, change, collection: entry.collection.clone(), chunk });
        Ok(())
    }
}

/// Every history that the relay's log of a space has had.
#[derive(Debug, Default)]
pub(super) struct Record {
    histories: Vec<History>,
    /// In which history a place is found.
    known: BTreeMap<(LogId, Sequence, [u8; 32]), usize>,
    /// Where the present history ended before the last look at the log.
    head_before: Sequence,
    /// Whether the database was replaced, so that what it holds has to be read anew.
    is_replaced: bool,
    /// Whether dependencies need not stand before their dependants: the fault of one sabotage.
    pub(super) is_disordered: bool,
}

impl Record {
    /// The history that is on the relay's disk; `None` while the space is not.
    pub(super) fn present(&self) -> Option<&History> {
        self.histories.last().filter(|_| !self.is_replaced)
    }

    /// The history in which a position was a position once.
    pub(super) fn history_of(&self, position: Cursor) -> Option<&History> {
        if position.sequence == Sequence::ZERO {
            return self.histories.iter().find(|history| history.start == position);
        }
        self.known.get(&key(position)).and_then(|index| self.histories.get(*index))
    }

    /// Where the present history ended before whatever the relay has done last.
    pub(super) fn head_before(&self) -> Sequence {
        self.head_before
    }

    /// Notes that the log is about to be looked at again.
    pub(super) fn look(&mut self) {
        self.head_before = self.present().map_or(Sequence::ZERO, |present| present.head().sequence);
    }

    /// Notes that the database was replaced by another copy.
    pub(super) fn replaced(&mut self) {
        self.is_replaced = true;
    }

    /// Writes down what the log holds now beyond what it held before.
    ///
    /// # Errors
    ///
    /// What was there before is not there any more, or something else is (R2), or what came does not belong there.
    pub(super) fn update(&mut self, log: &mut SqliteLog, space: SpaceId, now: Now) -> Result<(), Violation> {
        if self.present().is_none() {
            return self.read_anew(log, space, now);
        }
        let Some(last) = self.histories.len().checked_sub(1) else { return Ok(()) };
        let head = self.histories[last].head();
        let Some(entries) = LogContents::read_on(log, space, head, now) else {
            return Violation::of("R2", format!("the log does not hold {head:?} any more"));
        };
        self.lengthen(last, &entries)
    }

    /// Checks that the log holds what was written down, from its start on (R2).
    ///
    /// # Errors
    ///
    /// It does not.
    pub(super) fn compare(&mut self, log: &mut SqliteLog, space: SpaceId, now: Now) -> Result<(), Violation> {
        let Some(present) = self.present() else { return Ok(()) };
        let Some(contents) = LogContents::read(log, space, now) else {
            return Violation::of("R2", "the log is not there any more".to_owned());
        };
        let found = contents.places().map(|(cursor, entity, change)| (cursor, (entity, change)));
        if contents.start() == present.start
            && found.eq(present.places.iter().map(|place| (place.cursor, place.change)))
        {
            Ok(())
        } else {
            Violation::of("R2", "a sequence is bound to something else than before".to_owned())
        }
    }

    fn read_anew(&mut self, log: &mut SqliteLog, space: SpaceId, now: Now) -> Result<(), Violation> {
        let Some(contents) = LogContents::read(log, space, now) else { return Ok(()) };
        self.is_replaced = false;
        self.histories.push(History::of(contents.start())?);
        self.lengthen(self.histories.len() - 1, contents.entries())
    }

    fn lengthen(&mut self, index: usize, entries: &[LogEntry]) -> Result<(), Violation> {
        for entry in entries {
            self.histories[index].push(entry, !self.is_disordered)?;
            self.known.insert(key(self.histories[index].head()), index);
        }
        Ok(())
    }
}

fn key(position: Cursor) -> (LogId, Sequence, [u8; 32]) {
    (position.log, position.sequence, *position.chain.as_bytes())
}
