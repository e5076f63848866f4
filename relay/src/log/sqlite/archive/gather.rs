//! Reading what a task needs.

use super::segment::SEGMENT_CHUNKS_MAX;
use super::snapshot::Covered;
use super::work::{
    Eagerness, Job, KeptChunk, OldRow, RowsHash, SegmentJob, SnapshotJob, StripJob, StripSegment, Target, Task, Work,
    WorkFault, share,
};
use super::{Archive, Segment};
use crate::log::LogError;
use crate::log::sqlite::chain;
use crate::log::sqlite::read;
use crate::log::sqlite::row::{SpaceRow, count};
use afield_core::change::ChangeHeader;
use afield_core::limits::BATCH_BYTES_MAX;
use afield_core::session::LogEntry;
use afield_core::{ChangeHash, ChunkKind, Cursor, Limits, LogId, Sequence};
use rusqlite::{OptionalExtension, Row};

/// How many chunks before the head stay rows: what devices depend on and ask for again is mostly among them, and is found
/// without decoding anything.
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
        let (upto, packed_min) = match task.eagerness {
            Eagerness::Usual => (head.saturating_sub(HOT_CHUNKS), SEGMENT_CHUNKS_MAX),
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
                row.change = header.hash;
            }
            row.entry = entry;
        }
        Ok(rows)
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

    /// Whether a snapshot of an entity is worth a try.
    pub(super) fn pays(&self, entity: i64, eagerness: Eagerness) -> Result<bool, LogError> {
        let total = self.changes_of(entity)?;
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

    /// How many changes of an entity are in segments.
    pub(super) fn changes_of(&self, entity: i64) -> Result<u64, LogError> {
        let sql = "SELECT coalesce(sum(last - first + 1), 0) FROM actor_runs WHERE entity = ?1";
        Ok(self.transaction.statement(sql)?.query_row([entity], |row| count(row, 0))?)
    }

    fn gather_snapshot(&self, task: Task, entity: i64) -> Result<Option<Job>, LogError> {
        let found: Option<(i64, [u8; 16], u64)> = self
            .transaction
            .statement(
                "SELECT e.space, s.log, e.operations FROM entities e JOIN spaces s ON s.number = e.space
                WHERE e.number = ?1",
            )?
            .query_row([entity], |row| Ok((row.get(0)?, row.get(1)?, count(row, 2)?)))
            .optional()?;
        let Some((space, log, operations)) = found else { return Ok(None) };
        if !self.pays(entity, task.eagerness)? {
            return Ok(None);
        }
        let segments = self.segments_of(entity)?;
        let total: u64 = segments.iter().map(|(_, chunks)| chunks).sum();
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
        for (last, _) in segments {
            let Some(segment) = self.segment(last)? else { continue };
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
                chunks.push(Covered { sequence: SpaceRow::sequence(position), hash: place.hash, bytes });
            }
        }
        let (Some(end), Some(id), log) = (end, self.entity_id(entity)?, LogId::from_bytes(log)) else {
            return Ok(None);
        };
        let job = SnapshotJob { task, entity, space, log, end, covered, old, frees_bytes, id, chunks };
        Ok(Some(Job::Snapshot(job)))
    }

    /// The hash of an entity's snapshot, whether it is intact or not.
    pub(super) fn snapshot_hash(&self, entity: i64) -> Result<Option<[u8; 32]>, LogError> {
        let mut statement = self.transaction.statement("SELECT hash FROM snapshots WHERE entity = ?1")?;
        Ok(statement.query_row([entity], |row| row.get(0)).optional()?)
    }

    fn gather_strip(&self, task: Task, entity: i64) -> Result<Option<Job>, LogError> {
        let stripped: Option<i64> = self
            .transaction
            .statement("SELECT stripped FROM snapshots WHERE entity = ?1 AND stripped < covered")?
            .query_row([entity], |row| row.get(0))
            .optional()?;
        let (Some(stripped), Some(snapshot)) = (stripped, self.snapshot(entity)?) else { return Ok(None) };
        let mut statement = self.transaction.statement(
            "SELECT DISTINCT segment FROM actor_runs WHERE entity = ?1 AND segment > ?2 ORDER BY segment LIMIT ?3",
        )?;
        let found = statement.query_map((entity, stripped, STRIPPED_MAX as i64), |row| row.get(0))?;
        let found = found.collect::<Result<Vec<i64>, _>>()?;
        let mut upto = if found.len() < STRIPPED_MAX { snapshot.covered } else { 0 };
        let mut segments = Vec::new();
        for last in found {
            let Some(segment) = self.segment(last)?.filter(|segment| segment.first <= snapshot.covered) else {
                // Everything from here on stands behind the snapshot.
                upto = upto.max(snapshot.covered);
                break;
            };
            upto = upto.max(last);
            if segment.places.iter().any(|place| place.number == entity && place.bytes.is_some()) {
                segments.push(StripSegment { last, old_body: segment.body_hash, kept: self.kept(&segment, entity)? });
            }
        }
        Ok(Some(Job::Strip(StripJob { task, entity, covered: snapshot.covered, segments, upto })))
    }

    /// The chunks of a segment's body that are not of an entity.
    fn kept(&self, segment: &Segment, entity: i64) -> Result<Vec<KeptChunk>, LogError> {
        let places = segment.places.iter().filter(|place| place.number != entity);
        let kept = places.filter_map(|place| place.bytes.as_ref().map(|bytes| (place, bytes)));
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
