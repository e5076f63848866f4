//! The old part of the logs: segments, and the snapshots that stand for chunks of them.
//!
//! Fresh chunks are rows. What lies some way behind the head is packed into *segments*: a batch of some hundred chunks,
//! with whose they are, their hashes and an index beside it. The chunks of one entity may then give way to a *snapshot*, from which
//! each is extracted as it was. The hashes stay, so the chain can be followed whatever becomes of the bytes.
//!
//! A chunk below the end of the last segment is looked for in the body of its segment, then in the snapshot of its entity,
//! then as a row: a row stands there where a chunk had decayed before it was packed, or was pushed again after it had.

mod body;
mod cache;
mod checked;
mod commit;
mod compress;
mod disk;
mod erased;
mod gather;
mod held;
mod index;
mod keeper;
mod kept;
mod layout;
mod segment;
mod snapshot;
mod tasks;
mod whole;
mod work;

pub use commit::Settled;
pub use disk::DiskUse;
pub use keeper::Keeper;
pub use snapshot::SnapshotFault;
pub use whole::WholeTasks;
pub use work::{Prepared, Task, Work, WorkFault};

pub(super) use cache::Cache;
pub(super) use checked::SnapshotCheck;
pub(super) use commit::MendedArchive;
pub(super) use index::{Archived, Found, Miscounted, secret_of};
pub(super) use segment::{Place, Segment};
pub(super) use tasks::Tasks;

use super::row::SpaceRow;
use super::transaction::SqliteTransaction;
use crate::log::{Inconsistency, LogError};
use afield_core::log::ChunkHash;
use afield_core::{ChainHash, Collection, Cursor, EntityId, LogId};
use cache::Doubt;
use erased::Erasures;
use rusqlite::{OptionalExtension, Row};
use segment::SegmentRow;
use snapshot::Traveller;
pub(super) use snapshot::{Snapshot, Travelling};
#[cfg(test)]
pub(super) use snapshot::{outgrow_frames, replace_document};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The old part of the logs, as one transaction sees it.
pub(super) struct Archive<'t, 'c> {
    pub(super) transaction: &'t SqliteTransaction<'c>,
    cache: Cache,
    /// The segments that this transaction has used, by their last positions.
    segments: AtHand,
    /// Those of which it used what stands beside the bodies.
    outlines: AtHand,
    entities: RefCell<BTreeMap<i64, Option<Named>>>,
    snapshots: RefCell<BTreeMap<i64, Option<Arc<Snapshot>>>>,
    travellers: RefCell<BTreeMap<i64, Option<Traveller>>>,
    erasures: RefCell<Erasures>,
    /// Entities of which this transaction found that another number of chunks is in segments than their rows say.
    miscounted: RefCell<Vec<Miscounted>>,
    /// How many snapshots this transaction has taken apart.
    extractions: Cell<usize>,
    /// The secret of the file, once it was used.
    secret: Cell<Option<[u8; 32]>>,
}

/// Segments by their last positions.
type AtHand = RefCell<BTreeMap<i64, Arc<Segment>>>;

/// An entity's id, and its collection where its name parses.
type Named = (EntityId, Option<Collection>);

/// The most segments that one transaction keeps for itself: what a whole run of the log spans.
const SEGMENTS_AT_HAND_MAX: usize = 32;

impl<'t, 'c> Archive<'t, 'c> {
    pub(super) fn new(transaction: &'t SqliteTransaction<'c>, cache: &Cache) -> Self {
        let (segments, outlines, entities, snapshots, travellers) = Default::default();
        let (erasures, miscounted) = Default::default();
        let (cache, extractions, secret) = (cache.clone(), Cell::new(0), Cell::new(None));
        Self {
            transaction,
            cache,
            segments,
            outlines,
            entities,
            snapshots,
            travellers,
            erasures,
            miscounted,
            extractions,
            secret,
        }
    }

    /// The segment that holds a position, if one does.
    ///
    /// # Errors
    ///
    /// It is damaged beyond what can be found again, or the storage failed.
    pub(super) fn segment(&self, position: i64) -> Result<Option<Arc<Segment>>, LogError> {
        if let Some(segment) = at_hand(&self.segments, position) {
            return Ok(Some(segment));
        }
        let Some(row) = self.segment_row(position)? else { return Ok(None) };
        let key = row.key();
        let segment = match self.cache.segment(&key) {
            Some(segment) => segment,
            None => {
                let segment = Arc::new(self.read_segment(row)?);
                if !segment.is_mended {
                    self.cache.keep_segment(key, Arc::clone(&segment));
                }
                segment
            }
        };
        keep_at_hand(&self.segments, &segment);
        Ok(Some(segment))
    }

    /// Whether the log is to have something at a position behind its last segment and has not: a segment is lost.
    fn is_lost(&self, position: i64) -> Result<bool, LogError> {
        let sequence = SpaceRow::sequence(position).get().cast_signed();
        let sql = "SELECT 1 FROM spaces WHERE number = ?1 AND ?2 > 0 AND sequence >= ?2
            AND NOT EXISTS (SELECT 1 FROM chunks WHERE position = ?3)";
        Ok(self.transaction.statement(sql)?.exists([SpaceRow::number_of(position), sequence, position])?)
    }

    /// The segment that holds a position, where it was decoded lately.
    pub(super) fn decoded(&self, position: i64) -> Result<Option<Arc<Segment>>, LogError> {
        if let Some(segment) = at_hand(&self.segments, position) {
            return Ok(Some(segment));
        }
        Ok(self.segment_row(position)?.and_then(|row| self.cache.segment(&row.key())))
    }

    /// The segment that holds a position, if one does, with the bytes of its chunks only where it was read already.
    ///
    /// # Errors
    ///
    /// It is damaged beyond what can be found again, or the storage failed.
    pub(super) fn outline(&self, position: i64) -> Result<Option<Arc<Segment>>, LogError> {
        let known = at_hand(&self.segments, position).or_else(|| at_hand(&self.outlines, position));
        if known.is_some() {
            return Ok(known);
        }
        let Some(row) = self.segment_row(position)? else { return Ok(None) };
        let segment = match self.cache.segment(&row.key()) {
            Some(segment) => segment,
            None => Arc::new(self.read_outline(&row)?),
        };
        keep_at_hand(&self.outlines, &segment);
        Ok(Some(segment))
    }

    fn segment_row(&self, position: i64) -> Result<Option<SegmentRow>, LogError> {
        let (before, end) = SpaceRow::positions(SpaceRow::number_of(position));
        if position <= before {
            return Ok(None);
        }
        let mut statement = self.transaction.statement(segment::SEGMENT)?;
        let row = statement.query_row([position, end], SegmentRow::read).optional()?;
        // Below the end of the last segment every position is in one.
        if row.as_ref().is_some_and(|row| row.first > position) {
            return Err(missing(position));
        }
        Ok(row)
    }

    /// What this transaction has used of which something was found again.
    pub(super) fn mended(&self) -> MendedArchive {
        let mended: BTreeMap<i64, Arc<Segment>> = [&self.outlines, &self.segments]
            .iter()
            .flat_map(|segments| segments.borrow().clone())
            .filter(|(_, segment)| segment.is_mended)
            .collect();
        let segments = mended.into_values().collect();
        MendedArchive { segments, counts: self.miscounted.take() }
    }

    /// The chain hash behind a sequence that a segment holds.
    pub(super) fn chain_at(&self, position: i64) -> Result<Option<ChainHash>, LogError> {
        let segment = self.outline(position)?;
        Ok(segment.and_then(|segment| segment.place(position).map(|place| place.chain)))
    }

    /// The bytes of a segment's chunk; `None` when they are readable nowhere.
    pub(super) fn bytes(&self, position: i64, place: &Place) -> Result<Option<Vec<u8>>, LogError> {
        if place.bytes.is_some() {
            return Ok(place.bytes.clone());
        }
        if let Some(snapshot) = self.named(position, place)?
            && let Some(extracted) = self.extracted(&snapshot)
        {
            if let Some(bytes) = extracted.change(place.hash) {
                return Ok(Some(bytes.to_vec()));
            }
            self.cache.note_doubt(snapshot.hash, Doubt::Lacks);
        }
        self.row_bytes(position, place)
    }

    /// The bytes of the chunk in an [outline](Self::outline): only now is the body of the segment decoded, where it has the chunk.
    pub(super) fn bytes_at(&self, position: i64, place: &Place) -> Result<Option<Vec<u8>>, LogError> {
        if place.bytes.is_some() {
            return Ok(place.bytes.clone());
        }
        let segment = self.segment(position)?;
        self.bytes(position, segment.as_ref().and_then(|segment| segment.place(position)).unwrap_or(place))
    }

    /// Whether the bytes of the chunk in an [outline](Self::outline) are readable now (R5).
    pub(super) fn is_readable(&self, segment: &Segment, position: i64, place: &Place) -> Result<bool, LogError> {
        // That the body or a snapshot holds the change was shown before it took its place; its hash says that it is still the
        // same. So what is offered again in bulk, as after a restored backup, has no body decoded.
        Ok(place.bytes.is_some()
            || segment.holds(position)
            || self.covering(position, place)?.is_some()
            || self.bytes_at(position, place)?.is_some())
    }

    /// The intact snapshot that stands for a segment's chunk. One that was found not to give back all that it stands for is none.
    pub(super) fn covering(&self, position: i64, place: &Place) -> Result<Option<Arc<Snapshot>>, LogError> {
        Ok(self.named(position, place)?.filter(|snapshot| self.cache.doubt(&snapshot.hash).is_none()))
    }

    /// The intact snapshot that names a segment's chunk among those for which it stands.
    fn named(&self, position: i64, place: &Place) -> Result<Option<Arc<Snapshot>>, LogError> {
        Ok(self.snapshot(place.number)?.filter(|snapshot| snapshot.names(position)))
    }

    /// Whether the bytes of the chunk at a position may be had in this transaction: one answer takes one snapshot apart, and the
    /// next one goes on, so that nobody waits for more than that.
    pub(super) fn has_turn(&self, position: i64) -> Result<bool, LogError> {
        if self.extractions.get() == 0 {
            return Ok(true);
        }
        let segment = self.segment(position)?;
        let Some(place) = segment.as_ref().and_then(|segment| segment.place(position)) else { return Ok(true) };
        if place.bytes.is_some() {
            return Ok(true);
        }
        let named = self.named(position, place)?;
        Ok(named.is_none_or(|snapshot| {
            self.cache.extracted(&snapshot.hash).is_some() || self.cache.doubt(&snapshot.hash) == Some(Doubt::Load)
        }))
    }

    /// The bytes of a chunk that stands as a row below the end of the last segment.
    fn row_bytes(&self, position: i64, place: &Place) -> Result<Option<Vec<u8>>, LogError> {
        let bytes: Option<Vec<u8>> = self
            .transaction
            .statement("SELECT bytes FROM chunks WHERE position = ?1")?
            .query_row([position], |row| row.get(0))
            .optional()?;
        Ok(bytes.filter(|bytes| ChunkHash::of(bytes) == place.hash))
    }

    /// The id of the entity in a row.
    fn entity_id(&self, number: i64) -> Result<Option<EntityId>, LogError> {
        Ok(self.entity(number)?.map(|(id, _)| id))
    }

    /// The collection of the entity in a row.
    pub(super) fn collection(&self, number: i64) -> Result<Collection, LogError> {
        let collection = self.entity(number)?.and_then(|(_, collection)| collection);
        collection.ok_or(LogError::Inconsistent(Inconsistency::Collection))
    }

    fn entity(&self, number: i64) -> Result<Option<Named>, LogError> {
        if let Some(known) = self.entities.borrow().get(&number) {
            return Ok(known.clone());
        }
        let sql = "SELECT e.id, k.name FROM entities e LEFT JOIN collections k ON k.number = e.collection
            WHERE e.number = ?1";
        let named = self.transaction.statement(sql)?.query_row([number], read_named).optional()?;
        self.entities.borrow_mut().insert(number, named.clone());
        Ok(named)
    }

    /// The end of the last segment of a space.
    pub(super) fn end(&self, space: i64, log: LogId) -> Result<Cursor, LogError> {
        let (before, end) = SpaceRow::positions(space);
        let found = self
            .transaction
            .statement(
                "SELECT s.last, s.chain FROM segments s JOIN segment_hashes h ON h.last = s.last
                WHERE s.last > ?1 AND s.last <= ?2 ORDER BY s.last DESC LIMIT 1",
            )?
            .query_row([before, end], |row| Ok((row.get(0)?, ChainHash::from_bytes(row.get(1)?))))
            .optional()?;
        Ok(found.map_or_else(
            || Cursor::start(log),
            |(last, chain)| Cursor { log, sequence: SpaceRow::sequence(last), chain },
        ))
    }

    /// The chain hash that the segment which ends at a position names, or the start of the log.
    fn chain_behind(&self, position: i64) -> Result<Option<ChainHash>, LogError> {
        if SpaceRow::sequence(position).get() == 0 {
            let log: Option<[u8; 16]> = self
                .transaction
                .statement("SELECT log FROM spaces WHERE number = ?1")?
                .query_row([SpaceRow::number_of(position)], |row| row.get(0))
                .optional()?;
            return Ok(log.map(|log| ChainHash::start(LogId::from_bytes(log))));
        }
        let mut statement = self.transaction.statement("SELECT chain FROM segments WHERE last = ?1")?;
        Ok(statement.query_row([position], |row| row.get(0).map(ChainHash::from_bytes)).optional()?)
    }

    /// The chain hash that the segment which starts at a position names as the one before it.
    fn chain_before(&self, position: i64) -> Result<Option<ChainHash>, LogError> {
        let sql = "SELECT s.last + 1 - length(h.hashes) / 32, s.before
            FROM segments s JOIN segment_hashes h ON h.last = s.last WHERE s.last >= ?1 ORDER BY s.last LIMIT 1";
        let mut statement = self.transaction.statement(sql)?;
        let found: Option<(i64, [u8; 32])> =
            statement.query_row([position], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        Ok(found.filter(|(first, _)| *first == position).map(|(_, before)| ChainHash::from_bytes(before)))
    }

    /// Whether the row behind a position follows from a chain hash there, or the space ends there with it.
    fn row_follows(&self, position: i64, chain: ChainHash) -> Result<bool, LogError> {
        let next = SpaceRow::sequence(position).next();
        let found = self
            .transaction
            .statement(
                "SELECT e.id, c.kind, c.hash, c.chain FROM chunks c JOIN entities e ON e.number = c.entity
                WHERE c.position = ?1",
            )?
            .query_row([position + 1], |row| {
                let (entity, hash) = (EntityId::from_bytes(row.get(0)?), ChunkHash::from_bytes(row.get(2)?));
                Ok(chain.then(next, entity, row.get(1)?, hash) == ChainHash::from_bytes(row.get(3)?))
            })
            .optional()?;
        if let Some(follows) = found {
            return Ok(follows);
        }
        let mut statement = self.transaction.statement("SELECT sequence, chain FROM spaces WHERE number = ?1")?;
        let head: Option<(i64, [u8; 32])> =
            statement.query_row([SpaceRow::number_of(position)], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        Ok(head == Some((SpaceRow::sequence(position).get().cast_signed(), *chain.as_bytes())))
    }
}

/// Where something is to be that is not there, nothing is said of what it was (R9).
pub(super) fn missing(position: i64) -> LogError {
    LogError::Inconsistent(Inconsistency::Gap(SpaceRow::sequence(position).get()))
}

/// The segment of these that holds a position.
fn at_hand(segments: &AtHand, position: i64) -> Option<Arc<Segment>> {
    let segments = segments.borrow();
    let found = segments.range(position..).next().map(|(_, segment)| Arc::clone(segment));
    found.filter(|segment| segment.first <= position)
}

fn keep_at_hand(segments: &AtHand, segment: &Arc<Segment>) {
    let mut segments = segments.borrow_mut();
    if segments.len() >= SEGMENTS_AT_HAND_MAX {
        segments.clear();
    }
    segments.insert(segment.last, Arc::clone(segment));
}

fn read_named(row: &Row<'_>) -> rusqlite::Result<Named> {
    let name = row.get_ref(1)?.as_str().ok().and_then(|name| name.parse().ok());
    Ok((EntityId::from_bytes(row.get(0)?), name))
}
