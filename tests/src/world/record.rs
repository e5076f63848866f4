//! What the relay's log has ever held, written down by somebody who is neither the relay nor one of its readers.
//!
//! It is read from the disk after each commit and computes the chain itself, so that whatever a store or a frame says
//! about a place of the log can be held against it. What a purge has taken out of the log stays written down here.

use super::ChangeId;
use super::check::Violation;
use crate::contents::{LogContents, name_of};
use afield::EntityId;
use afield_core::change::ChangeHeader;
use afield_core::log::ChunkHash;
use afield_core::session::LogEntry;
use afield_core::{ChangeHash, ChunkKind, Collection, Cursor, Limits, LogId, Now, Sequence, SpaceId};
use afield_relay::log::SqliteLog;
use std::collections::BTreeMap;

/// One place of a log: the cursor behind it, and what stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) cursor: Cursor,
    /// The change, or the erasure record by [`afield_core::Erasure::hash`].
    pub(super) change: ChangeId,
    pub(super) kind: ChunkKind,
    pub(super) collection: Collection,
    pub(super) chunk: ChunkHash,
}

/// One history of the log. A restored backup begins another one, which shares what the backup holds.
#[derive(Debug, Clone)]
pub(super) struct History {
    start: Cursor,
    /// Nothing for a place whose chunk was taken away in the commit that appended it, so that nobody has ever read it.
    places: Vec<Option<Place>>,
    head: Cursor,
    sequences: BTreeMap<ChangeId, Sequence>,
    /// Where the erasure records of entities stand.
    erasures: BTreeMap<EntityId, Sequence>,
}

impl History {
    fn of(start: Cursor) -> Result<Self, Violation> {
        if start != Cursor::start(start.log) {
            return Violation::of("R2", format!("the log does not start at its id: {start:?}"));
        }
        let (places, sequences, erasures) = Default::default();
        Ok(Self { start, places, head: start, sequences, erasures })
    }

    /// The position before the first place.
    pub(super) fn start(&self) -> Cursor {
        self.start
    }

    /// The position behind the last place.
    pub(super) fn head(&self) -> Cursor {
        self.head
    }

    /// Whether a position belongs to this history; `None` where nobody has read what stands there.
    pub(super) fn holds(&self, position: Cursor) -> Option<bool> {
        let Some(before) = position.sequence.get().checked_sub(1) else { return Some(position == self.start) };
        match usize::try_from(before).ok().and_then(|index| self.places.get(index)) {
            None => Some(false),
            Some(None) if position.log == self.start.log => None,
            Some(place) => Some(place.as_ref().is_some_and(|place| place.cursor == position)),
        }
    }

    /// The place with this number, counted from 0.
    pub(super) fn place(&self, index: u64) -> Option<&Place> {
        self.places.get(usize::try_from(index).ok()?)?.as_ref()
    }

    /// Whether an entity had been purged before whatever the relay has done last, so that nothing of it may be served.
    pub(super) fn was_erased(&self, entity: EntityId, head_before: Sequence) -> bool {
        self.erasure(entity).is_some_and(|record| record <= head_before)
    }

    /// Whether the log holds this sequence, and nobody has read what stood there before it was taken away.
    pub(super) fn is_unread(&self, sequence: Sequence) -> bool {
        let index = sequence.get().checked_sub(1).and_then(|before| usize::try_from(before).ok());
        index.is_some_and(|index| self.places.get(index).is_some_and(Option::is_none))
    }

    /// The places up to a position that belongs to this history.
    pub(super) fn prefix(&self, position: Cursor) -> impl Iterator<Item = &Place> {
        self.places.iter().take(position.sequence.get() as usize).flatten()
    }

    /// The places after one sequence up to another.
    pub(super) fn between(&self, after: Sequence, upto: Sequence) -> impl Iterator<Item = &Place> {
        self.places.get(after.get() as usize..upto.get() as usize).unwrap_or_default().iter().flatten()
    }

    /// Where a change stands.
    pub(super) fn sequence(&self, change: &ChangeId) -> Option<Sequence> {
        self.sequences.get(change).copied()
    }

    pub(super) fn changes(&self) -> &BTreeMap<ChangeId, Sequence> {
        &self.sequences
    }

    /// Where the erasure record of an entity stands.
    pub(super) fn erasure(&self, entity: EntityId) -> Option<Sequence> {
        self.erasures.get(&entity).copied()
    }

    /// Whether what stands at a place was taken away.
    pub(super) fn is_erased(&self, place: &Place) -> bool {
        place.kind == ChunkKind::Change && self.erasures.contains_key(&place.change.0)
    }

    fn push(&mut self, entry: &LogEntry, ordered: bool) -> Result<(), Violation> {
        let chunk = ChunkHash::of(&entry.bytes);
        let cursor = Cursor { log: self.start.log, sequence: entry.sequence, chain: entry.chain };
        // Behind what nobody has read, the chain is whatever the log says.
        let is_next = match self.places.last() {
            Some(None) => entry.sequence.get() == self.places.len() as u64 + 1,
            _ => cursor == self.head.then(entry.entity, entry.kind.number(), chunk),
        };
        if !is_next {
            return Violation::of("R2", format!("sequence {} does not follow {}", entry.sequence, self.head.sequence));
        }
        if entry.kind == ChunkKind::Change {
            let header =
                ChangeHeader::read(&entry.bytes, &Limits::DEFAULT).expect("a relay stores well-formed changes");
            let stands_before = |hash: &&ChangeHash| self.sequences.contains_key(&(entry.entity, **hash));
            if let Some(missing) = header.dependencies.iter().find(|hash| !stands_before(hash)).filter(|_| ordered) {
                return Violation::of("S5", format!("{} stands before {missing}, which it depends on", header.hash));
            }
            if let Some(erased) = self.erasure(entry.entity) {
                let found = format!("{} stands at {} after the erasure at {erased}", header.hash, entry.sequence);
                return Violation::of("R2", found);
            }
        }
        let change = name_of(entry.entity, entry.kind, &entry.bytes).expect("a relay stores well-formed chunks");
        let collection = entry.collection.clone();
        self.put(Place { cursor, change, kind: entry.kind, collection, chunk })
    }

    fn put(&mut self, place: Place) -> Result<(), Violation> {
        let Place { cursor, change, kind, .. } = place;
        if let Some(first) = self.sequences.insert(change, cursor.sequence) {
            return Violation::of("R2", format!("{} stands at {first} and at {}", change.1, cursor.sequence));
        }
        if kind == ChunkKind::Erasure {
            self.erasures.insert(change.0, cursor.sequence);
        }
        self.head = cursor;
        self.places.push(Some(place));
        Ok(())
    }
}

/// Every history that the relay's log of a space has had.
#[derive(Debug, Default)]
pub(super) struct Record {
    histories: Vec<History>,
    /// In which history a place is found.
    known: BTreeMap<Position, usize>,
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

    /// The history in which a position was a position once, as far as anybody can tell.
    pub(super) fn history_of(&self, position: Cursor) -> Option<&History> {
        let known = self.known.get(&key(position)).and_then(|index| self.histories.get(*index));
        known.or_else(|| self.histories.iter().rev().find(|history| history.holds(position) != Some(false)))
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

    /// Checks that the log holds what was written down, from its start on (R2), but for what was purged.
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
        let kept = present.places.iter().flatten().filter(|place| !present.is_erased(place));
        if contents.start() == present.start && found.eq(kept.map(|place| (place.cursor, place.change))) {
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
            if entry.sequence.get() > self.histories[index].places.len() as u64 + 1 {
                self.pass_erased(index, entry, entries)?;
            }
            self.histories[index].push(entry, !self.is_disordered)?;
            self.known.insert(key(self.histories[index].head()), index);
        }
        Ok(())
    }

    /// Takes down places before an entry that a purge has emptied: as an earlier history has them that leads to the same chain, or
    /// as places that nobody has read.
    fn pass_erased(&mut self, index: usize, entry: &LogEntry, entries: &[LogEntry]) -> Result<(), Violation> {
        let head = self.histories[index].head;
        if !entries.iter().any(|later| later.kind == ChunkKind::Erasure && later.sequence >= entry.sequence) {
            let found =
                format!("the log goes on at {} after {}, and nothing was purged", entry.sequence, head.sequence);
            return Violation::of("R2", found);
        }
        let here = Cursor { log: head.log, sequence: entry.sequence, chain: entry.chain };
        let upto = (entry.sequence.get() - 1) as usize;
        let known = self.known.get(&key(here)).map(|known| self.histories[*known].places[..upto].to_vec());
        let history = &mut self.histories[index];
        let from = history.places.len();
        for place in known.into_iter().flatten().skip(from) {
            match place {
                Some(place) => history.put(place)?,
                None => history.places.push(None),
            }
        }
        history.places.resize(upto, None);
        Ok(())
    }
}

/// A position, as a key.
type Position = (LogId, Sequence, [u8; 32]);

fn key(position: Cursor) -> Position {
    (position.log, position.sequence, *position.chain.as_bytes())
}
