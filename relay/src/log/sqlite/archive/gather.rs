//! Reading what a task needs.

use super::erased::StoredErasure;
use super::held::Held;
use super::segment::SEGMENT_CHUNKS_MAX;
use super::snapshot::{self, Covered, SnapshotFault};
use super::work::{
    Eagerness, Job, KeptChunk, OldRow, RowsHash, SegmentJob, SnapshotJob, StripJob, StripSegment, Target, Task, Work,
    WorkFault, share,
};
use super::{Archive, Place};
use crate::log::LogError;
use crate::log::sqlite::chain;
use crate::log::sqlite::read;
use crate::log::sqlite::row::{SpaceRow, count};
use afield_core::change::ChangeHeader;
use afield_core::limits::BATCH_BYTES_MAX;
use afield_core::session::LogEntry;
use afield_core::{ChangeHash, ChunkKind, Cursor, Limits, LogId, Sequence};
use rusqlite::{OptionalExtension, Row};
use std::collections::HashSet;

/// How many chunks before the head stay rows: what devices depend on, name by its place and ask for again is mostly among them, and
/// is found without decoding anything. An operator who asks for everything has them packed, too; no snapshot stands for them,
/// since what is named by its place would have to be taken out of it, up to 128 chunks behind the head for each message.
pub(super) const HOT_CHUNKS: u64 = 256;
/// The fewest rows that are packed when an operator asks for everything.
const PACKED_MIN: usize = 16;
/// The fewest chunks of an entity behind its last snapshot that a new one is tried for.
const SNAPSHOT_CHUNKS_MIN: u64 = 1_024;
/// The fewest when an operator asks for everything.
const SNAPSHOT_CHUNKS_ASKED_MIN: u64 = 8;
/// The most changes of an entity that are taken into memory: some hundreds of bytes each.
const SNAPSHOT_CHANGES_MAX: u64 = 400_000;
/// The most changes that a relay makes a snapshot of by itself. A reader that takes no snapshots has them extracted in the
/// hub's thread, once for as long as they are kept, and everybody else waits for that.
const SNAPSHOT_CHANGES_USUAL_MAX: u64 = 20_000;
/// The most bytes of them.
const SNAPSHOT_BYTES_MAX: usize = 64 << 20;
/// The most operations of them: what a change of a hundred bytes claims to expand to counts.
const SNAPSHOT_OPERATIONS_MAX: u64 = 2_000_000;
/// The most operations, and predecessors named by them.
const SNAPSHOT_WEIGHT_MAX: u64 = 2 * SNAPSHOT_OPERATIONS_MAX;
/// The most bytes of their keys, each counted as often as it is repeated.
const SNAPSHOT_TEXT_BYTES_MAX: u64 = 64 << 20;
/// The most segments that lose the chunks of an entity in one step.
const STRIPPED_MAX: usize = 16;

/// The rows behind a position, as [`read::entry`] reads them, and more of each.
const ROWS: &str = "
    SELECT c.position, e.id, k.name, c.kind, c.hash, c.chain, c.bytes, c.entity, c.actor, c.actor_sequence, c.change
    FROM chunks c JOIN entities e ON e.number = c.entity JOIN collections k ON k.number = e.collection
    WHERE c.position > ?1 AND c.position <= ?2 ORDER BY c.position LIMIT ?3";

impl Archive<'_, '_> {
    /// Reads what a task needs; `None` when nothing is to be done.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub(in crate::log::sqlite) fn gather(&self, task: Task) -> Result<Option<Work>, LogError> {
        let job = match task.target {
            Target::Segment { space } => self.gather_segment(task, space),
            Target::Snapshot { entity } => self.gather_snapshot(task, entity),
            Target::Strip { entity } => self.gather_strip(task, entity),
        };
        match job {
            Ok(job) => Ok(job.map(Work)),
            Err(error) if error.is_damage() => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "old chunks are damaged, and stay as they are"
                );
                Ok(Some(Work(Job::Hopeless(task, WorkFault::Decayed))))
            }
            Err(error) => Err(error),
        }
    }

    fn gather_segment(&self, task: Task, number: i64) -> Result<Option<Job>, LogError> {
        let Some(space) = SpaceRow::by_number(self.transaction, number)? else { return Ok(None) };
        let before = self.verified_end(&space)?;
        let head = space.head.sequence.get();
        let cold = head.saturating_sub(HOT_CHUNKS);
        let (upto, packed_min) = match task.eagerness {
            Eagerness::Usual => (cold, SEGMENT_CHUNKS_MAX),
            // A segment ends where the hot ones begin, so that a snapshot may stand for all behind them.
            Eagerness::Everything if cold >= before.sequence.get().saturating_add(PACKED_MIN as u64) => (cold, 1),
            Eagerness::Everything => (head, PACKED_MIN),
            Eagerness::Whatever => (head, 1),
        };
        if upto <= before.sequence.get() {
            return Ok(None);
        }
        let mut statement = self.transaction.statement(ROWS)?;
        let (from, to) = (space.position(before.sequence), space.position(Sequence::new(upto)));
        let mut found = statement.query((from, to, SEGMENT_CHUNKS_MAX as i64))?;
        let mut rows: Vec<OldRow> = Vec::new();
        let mut hash = RowsHash::default();
        let (mut bytes, mut is_full) = (0, false);
        while let Some(row) = found.next()? {
            let old = old_row(row)?;
            bytes += old.entry.bytes.len();
            if bytes > BATCH_BYTES_MAX && !rows.is_empty() {
                is_full = true;
                break;
            }
            add_row(&mut hash, row)?;
            rows.push(old);
        }
        if rows.is_empty() || !is_full && rows.len() < packed_min {
            return Ok(None);
        }
        for row in &mut rows {
            row.is_erased = row.entry.kind == ChunkKind::Change && self.erasure(row.entity)?.is_some();
        }
        let (rows, rows_hash) = (self.followed(&space, before, rows)?, hash.finish());
        Ok(Some(Job::Segment(SegmentJob { task, space: number, before, rows, rows_hash })))
    }

    /// Follows the chain through rows; a hash that has decayed in one of them is found again.
    fn followed(&self, space: &SpaceRow, before: Cursor, mut rows: Vec<OldRow>) -> Result<Vec<OldRow>, LogError> {
        let last = rows.last().map_or(before.sequence, |row| row.entry.sequence);
        let next = read::row_after(self.transaction, space, last)?;
        let mut entries: Vec<LogEntry> = rows.iter().map(|row| row.entry.clone()).collect();
        chain::follow(space, before, &mut entries, next.as_ref())?;
        for (row, entry) in rows.iter_mut().zip(entries) {
            if let Ok(header) = ChangeHeader::read(&entry.bytes, &Limits::DEFAULT)
                && entry.is_intact()
            {
                // The bytes are what the chain names: beside them the index would only repeat what may have decayed.
                row.change = header.hash;
                row.actor_sequence = header.sequence;
                row.actor = self.actor(header.actor.to_bytes())?.unwrap_or(row.actor);
            }
            row.entry = entry;
        }
        Ok(rows)
    }

    fn actor(&self, id: &[u8]) -> Result<Option<i64>, LogError> {
        let mut statement = self.transaction.statement("SELECT number FROM actors WHERE id = ?1")?;
        Ok(statement.query_row([id], |row| row.get(0)).optional()?)
    }

    /// The end of the last segment, with the chain hash that its chunks lead to.
    fn verified_end(&self, space: &SpaceRow) -> Result<Cursor, LogError> {
        let end = self.end(space.number, space.head.log)?;
        let chain = self.chain_at(space.position(end.sequence))?.unwrap_or(end.chain);
        Ok(Cursor { chain, ..end })
    }

    /// How many changes of an entity each of its segments holds, by the segment's last position.
    fn segments_of(&self, entity: i64) -> Result<Vec<(i64, u64)>, LogError> {
        let mut statement = self.transaction.statement(
            "SELECT segment, sum(last - first + 1) FROM actor_runs WHERE entity = ?1 GROUP BY segment ORDER BY segment",
        )?;
        let rows = statement.query_map([entity], |row| Ok((row.get(0)?, count(row, 1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Whether a snapshot of an entity is worth a try of which so many chunks are in segments.
    pub(super) fn pays(&self, entity: i64, total: u64, eagerness: Eagerness) -> Result<bool, LogError> {
        let covered: Option<u64> = self
            .transaction
            .statement("SELECT changes FROM snapshots WHERE entity = ?1")?
            .query_row([entity], |row| count(row, 0))
            .optional()?;
        let covered = covered.unwrap_or_default();
        Ok(match eagerness {
            // With the chunks of the last snapshot doubled, all snapshots together cost in proportion to the chunks.
            Eagerness::Usual => total.saturating_sub(covered) >= covered.max(SNAPSHOT_CHUNKS_MIN),
            Eagerness::Everything | Eagerness::Whatever => total > covered && total >= SNAPSHOT_CHUNKS_ASKED_MIN,
        })
    }

    /// How many chunks of an entity are in segments, as its row says.
    pub(super) fn changes_of(&self, entity: i64) -> Result<u64, LogError> {
        let mut statement = self.transaction.statement("SELECT archived FROM entities WHERE number = ?1")?;
        Ok(statement.query_row([entity], |row| count(row, 0)).optional()?.unwrap_or_default())
    }

    fn gather_snapshot(&self, task: Task, entity: i64) -> Result<Option<Job>, LogError> {
        if self.erasure(entity)?.is_some() {
            return Ok(None);
        }
        let found: Option<(i64, [u8; 16], u64)> = self
            .transaction
            .statement(
                "SELECT e.space, s.log, e.operations FROM entities e JOIN spaces s ON s.number = e.space
                WHERE e.number = ?1",
            )?
            .query_row([entity], |row| Ok((row.get(0)?, row.get(1)?, count(row, 2)?)))
            .optional()?;
        let Some((space, log, operations)) = found else { return Ok(None) };
        let mut segments = self.segments_of(entity)?;
        if task.eagerness != Eagerness::Whatever {
            let Some(row) = SpaceRow::by_number(self.transaction, space)? else { return Ok(None) };
            let cold = row.position(Sequence::new(row.head.sequence.get().saturating_sub(HOT_CHUNKS)));
            segments.retain(|(last, _)| *last <= cold);
        }
        let total = segments.iter().fold(0, |sum: u64, (_, chunks)| sum.saturating_add(*chunks));
        if !self.pays(entity, total, task.eagerness)? {
            return Ok(None);
        }
        let changes_max = match task.eagerness {
            Eagerness::Usual => SNAPSHOT_CHANGES_USUAL_MAX,
            Eagerness::Everything | Eagerness::Whatever => SNAPSHOT_CHANGES_MAX,
        };
        if total > changes_max || operations > SNAPSHOT_OPERATIONS_MAX {
            return Ok(Some(Job::Hopeless(task, WorkFault::TooLarge)));
        }
        let old = self.snapshot_hash(entity)?;
        let mut frees_bytes = self.snapshot(entity)?.map_or(0, |snapshot| snapshot.bytes.len());
        let mut chunks: Vec<Covered> = Vec::new();
        let (mut bytes_left, mut covered, mut end) = (SNAPSHOT_BYTES_MAX, 0, None);
        let (mut weight, mut text_bytes) = (0_u64, 0_u64);
        for (last, _) in segments {
            let Some(segment) = self.segment(last)?.filter(|segment| segment.last == last) else {
                return Ok(Some(Job::Hopeless(task, WorkFault::Decayed)));
            };
            frees_bytes += share(&segment, entity);
            end = Some((segment.last, segment.chain()));
            for (position, place) in segment.places_from(segment.first).filter(|(_, place)| place.number == entity) {
                if place.kind != ChunkKind::Change {
                    return Ok(None);
                }
                let Some(bytes) = self.bytes(position, place)? else {
                    return Ok(Some(Job::Hopeless(task, WorkFault::Decayed)));
                };
                let Some(left) = bytes_left.checked_sub(bytes.len()) else {
                    return Ok(Some(Job::Hopeless(task, WorkFault::TooLarge)));
                };
                (bytes_left, covered) = (left, position);
                let Some(more) = snapshot::expanded(&bytes) else {
                    return Ok(Some(Job::Hopeless(task, WorkFault::Snapshot(SnapshotFault::Change))));
                };
                (weight, text_bytes) = (weight.saturating_add(more.0), text_bytes.saturating_add(more.1));
                if weight > SNAPSHOT_WEIGHT_MAX || text_bytes > SNAPSHOT_TEXT_BYTES_MAX {
                    return Ok(Some(Job::Hopeless(task, WorkFault::TooLarge)));
                }
                let (sequence, hash, (weight, text_bytes)) = (SpaceRow::sequence(position), place.hash, more);
                chunks.push(Covered { sequence, hash, bytes, weight, text_bytes });
            }
        }
        // What tells how many there are may have decayed, and would have the same snapshot made again and again.
        if !self.pays(entity, chunks.len() as u64, task.eagerness)? {
            return Ok(None);
        }
        if !self.is_all(entity, covered, &chunks)? {
            return Ok(Some(Job::Hopeless(task, WorkFault::Decayed)));
        }
        let (Some(end), Some(id), log) = (end, self.entity_id(entity)?, LogId::from_bytes(log)) else {
            return Ok(None);
        };
        let job = SnapshotJob { task, entity, space, log, end, covered, old, frees_bytes, id, chunks };
        Ok(Some(Job::Snapshot(job)))
    }

    /// Whether these are all chunks of an entity up to a position: those that the index of its changes has, and those for which its
    /// snapshot stands. What tells its segments may have decayed, and a snapshot without one of its chunks would be the end of
    /// that chunk.
    fn is_all(&self, entity: i64, covered: i64, chunks: &[Covered]) -> Result<bool, LogError> {
        let (before, _) = SpaceRow::positions(SpaceRow::number_of(covered));
        let positions: HashSet<i64> = chunks.iter().map(|chunk| before | chunk.sequence.get().cast_signed()).collect();
        if self.snapshot(entity)?.is_some_and(|old| old.positions().any(|position| !positions.contains(&position))) {
            return Ok(false);
        }
        let mut statement =
            self.transaction.statement("SELECT position FROM change_prefixes WHERE entity = ?1 AND position <= ?2")?;
        for position in statement.query_map([entity, covered], |row| row.get(0))? {
            if !positions.contains(&position?) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The hash of an entity's snapshot, whether it is intact or not.
    pub(super) fn snapshot_hash(&self, entity: i64) -> Result<Option<[u8; 32]>, LogError> {
        let mut statement = self.transaction.statement("SELECT hash FROM snapshots WHERE entity = ?1")?;
        Ok(statement.query_row([entity], |row| row.get(0)).optional()?)
    }

    fn gather_strip(&self, task: Task, entity: i64) -> Result<Option<Job>, LogError> {
        // The space may have been purged meanwhile, and be on its way out of the file.
        let sql = "SELECT 1 FROM entities e JOIN spaces s ON s.number = e.space WHERE e.number = ?1";
        if !self.transaction.statement(sql)?.exists([entity])? {
            return Ok(None);
        }
        if let Some(erasure) = self.erasure(entity)? {
            return self.gather_erased(task, entity, &erasure);
        }
        let stripped: Option<i64> = self
            .transaction
            .statement("SELECT stripped FROM snapshots WHERE entity = ?1")?
            .query_row([entity], |row| row.get(0))
            .optional()?;
        let (Some(stripped), Some(snapshot)) = (stripped, self.snapshot(entity)?) else { return Ok(None) };
        if stripped >= snapshot.covered {
            return Ok(None);
        }
        // Only what comes out of it may go.
        let Some(extracted) = self.extracted(&snapshot) else {
            return Ok(Some(Job::Hopeless(task, WorkFault::Snapshot(SnapshotFault::Load))));
        };
        let mut statement = self.transaction.statement(
            "SELECT DISTINCT segment FROM actor_runs WHERE entity = ?1 AND segment > ?2 ORDER BY segment LIMIT ?3",
        )?;
        let found = statement.query_map((entity, stripped, STRIPPED_MAX as i64), |row| row.get(0))?;
        let found = found.collect::<Result<Vec<i64>, _>>()?;
        let mut upto = if found.len() < STRIPPED_MAX { snapshot.covered } else { 0 };
        let mut segments = Vec::new();
        for last in found {
            upto = upto.max(last);
            // A run that has decayed may point into another one, which then is there by its own end.
            let Some(segment) = self.segment(last)?.filter(|segment| segment.last == last) else { continue };
            if segment.first > snapshot.covered {
                // Everything from here on stands behind the snapshot.
                upto = upto.max(snapshot.covered);
                break;
            }
            let is_superfluous = |position: i64, place: &Place| {
                place.number == entity && snapshot.names(position) && extracted.change(place.hash).is_some()
            };
            let mut places = segment.places_from(segment.first);
            if places.any(|(position, place)| place.bytes.is_some() && is_superfluous(position, place)) {
                let is_kept =
                    |(position, place): (i64, &Place)| place.bytes.is_some() && !is_superfluous(position, place);
                let kept = self.kept(segment.places_from(segment.first).filter(|place| is_kept(*place)))?;
                let held = Held::of(segment.places_from(segment.first).map(is_kept));
                segments.push(StripSegment { last: segment.last, old_body: segment.body_hash, kept, held });
            }
        }
        Ok(Some(Job::Strip(StripJob { task, entity, snapshot: Some(snapshot.hash), segments, upto })))
    }

    /// Reads the segments that may still hold chunks of a purged entity.
    fn gather_erased(&self, task: Task, entity: i64, erasure: &StoredErasure) -> Result<Option<Job>, LogError> {
        if erasure.cleared >= erasure.position {
            return Ok(None);
        }
        let (before, _) = SpaceRow::positions(SpaceRow::number_of(erasure.position));
        let found = self.segments_by_changes(entity, erasure.cleared.max(before))?;
        let upto = if found.len() <= STRIPPED_MAX {
            erasure.position
        } else {
            found.get(STRIPPED_MAX - 1).map_or(erasure.position, |(last, _)| *last)
        };
        let mut segments = Vec::new();
        for (last, _) in found.into_iter().take(STRIPPED_MAX) {
            let Some(segment) = self.segment(last)?.filter(|segment| segment.last == last) else { continue };
            let is_erased = |place: &Place| place.number == entity && place.kind == ChunkKind::Change;
            let has_bytes = |place: &&Place| place.bytes.is_some();
            // A body of which nothing can be read any more may hold it all the same.
            let is_unreadable = segment.body_bytes > 0 && !segment.places.iter().any(|place| has_bytes(&place));
            if is_unreadable || segment.places.iter().filter(has_bytes).any(is_erased) {
                let is_kept = |(_, place): (i64, &Place)| place.bytes.is_some() && !is_erased(place);
                let kept = self.kept(segment.places_from(segment.first).filter(|place| is_kept(*place)))?;
                let held = Held::of(segment.places_from(segment.first).map(is_kept));
                segments.push(StripSegment { last, old_body: segment.body_hash, kept, held });
            }
        }
        Ok(Some(Job::Strip(StripJob { task, entity, snapshot: None, segments, upto })))
    }

    /// Chunks that stay in the body of a segment.
    fn kept<'p>(&self, places: impl Iterator<Item = (i64, &'p Place)>) -> Result<Vec<KeptChunk>, LogError> {
        let kept = places.filter_map(|(_, place)| place.bytes.as_ref().map(|bytes| (place, bytes)));
        kept.map(|(place, bytes)| {
            let collection = self.collection(place.number)?;
            Ok(KeptChunk { entity: place.entity, collection, kind: place.kind, bytes: bytes.clone() })
        })
        .collect()
    }
}

fn old_row(row: &Row<'_>) -> Result<OldRow, LogError> {
    Ok(OldRow {
        position: row.get(0)?,
        entry: read::entry(row)?,
        entity: row.get(7)?,
        actor: row.get(8)?,
        actor_sequence: count(row, 9)?,
        change: ChangeHash(row.get(10)?),
        is_erased: false,
    })
}

/// Adds a row to what is compared when the segment takes its place. The chain hash covers bytes, entity id and kind.
fn add_row(hash: &mut RowsHash, row: &Row<'_>) -> Result<(), LogError> {
    let numbers = [row.get(0)?, row.get(3)?, row.get(7)?, row.get(8)?, row.get(9)?];
    hash.add(numbers, [row.get(4)?, row.get(5)?, row.get(10)?]);
    Ok(())
}

/// The rows of a range as they were compared.
pub(super) fn rows_hash(archive: &Archive<'_, '_>, first: i64, last: i64) -> Result<[u8; 32], LogError> {
    let mut statement = archive.transaction.statement(
        "SELECT position, 0, 0, kind, hash, chain, 0, entity, actor, actor_sequence, change FROM chunks
        WHERE position >= ?1 AND position <= ?2 ORDER BY position",
    )?;
    let mut rows = statement.query([first, last])?;
    let mut hash = RowsHash::default();
    while let Some(row) = rows.next()? {
        add_row(&mut hash, row)?;
    }
    Ok(hash.finish())
}
