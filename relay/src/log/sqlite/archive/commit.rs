//! Putting in place what was prepared, where the log is still as it was read.

use super::gather::rows_hash;
use super::held::Held;
use super::index::{Miscounted, run_check};
use super::segment::{Segment, parity};
use super::snapshot::Head;
use super::work::{
    Eagerness, NewBody, NewSegment, NewSnapshot, Outcome, Prepared, Stripped, Target, Task, Work, WorkFault,
};
use super::{Archive, tasks};
use crate::log::LogError;
use crate::log::sqlite::SqliteLog;
use crate::log::sqlite::foreign;
use crate::log::sqlite::row::SpaceRow;
use crate::log::sqlite::transaction::{Purpose, SqliteTransaction};
use afield_core::{ChunkKind, Commit, Durable, Sequence};
use rusqlite::{OptionalExtension, Row, params};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const INSERT_SEGMENT: &str = "
    INSERT INTO segments (last, before, chain, layout, held, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

/// How many free pages the file keeps for what is appended next: half a megabyte.
const FREE_PAGES_KEPT: i64 = 128;
/// How many pages one commit gives back to the file system, each of which may have to be moved: more than come free when a segment
/// takes the place of its rows.
const FREED_PAGES: i64 = 64;

/// What became of prepared work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settled {
    /// Rows have become a segment.
    Packed {
        /// How many.
        chunks: u64,
    },
    /// A snapshot stands for chunks.
    Covered {
        /// For how many.
        chunks: u64,
    },
    /// Segments hold the chunks no more that a snapshot stands for.
    Stripped {
        /// How many segments.
        segments: u64,
    },
    /// The log is no longer as it was read; nothing was done.
    Stale,
    /// It cannot be done.
    Failed(WorkFault),
}

/// What was found again of the old part, to be stored.
#[derive(Debug, Default)]
pub(in crate::log::sqlite) struct MendedArchive {
    /// Segments of which something was found again from the rest.
    pub(super) segments: Vec<Arc<Segment>>,
    pub(super) counts: Vec<Miscounted>,
}

impl MendedArchive {
    pub(in crate::log::sqlite) fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.counts.is_empty()
    }
}

impl SqliteLog {
    pub(in crate::log::sqlite) fn next_due(&mut self) -> Result<Option<Task>, LogError> {
        if !self.tasks.is_scanned() {
            // Another file may be opened first, with tasks of its own.
            let left = self.begin(Purpose::Read).and_then(|transaction| tasks::left_behind(&transaction))?;
            self.tasks.scanned(left);
        }
        if self.tasks.is_wal_due() {
            self.empty_wal();
        }
        while let Some(task) = self.tasks.next() {
            let Target::Snapshot { entity } = task.target else { return Ok(Some(task)) };
            match self.begin_try(entity) {
                Ok(true) => return Ok(Some(task)),
                Ok(false) => {}
                Err(error) => {
                    self.tasks.put_off(task.target);
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    /// Notes that a snapshot is tried before it is; answers whether it may be.
    fn begin_try(&mut self, entity: i64) -> Result<bool, LogError> {
        let cache = self.cache.clone();
        let mut transaction = self.begin(Purpose::Write)?;
        let chunks = Archive::new(&transaction, &cache).changes_of(entity)?;
        let may_be = tasks::note_try(&transaction, entity, chunks)?;
        if may_be {
            transaction.commit()?;
        }
        Ok(may_be)
    }

    pub(in crate::log::sqlite) fn gather_work(&mut self, task: Task) -> Result<Option<Work>, LogError> {
        let cache = self.cache.clone();
        let transaction = self.begin(Purpose::Read)?;
        Archive::new(&transaction, &cache).gather(task)
    }

    pub(in crate::log::sqlite) fn settle_work(&mut self, prepared: Prepared) -> Result<Durable<Settled>, LogError> {
        let cache = self.cache.clone();
        let target = prepared.target();
        let is_erasing = matches!(&prepared.0, Outcome::Strip(stripped) if stripped.snapshot.is_none());
        let settled = self.begin(Purpose::Write).and_then(|mut transaction| {
            let (settled, next) = put_in_place(&Archive::new(&transaction, &cache), prepared)?;
            give_back_some(&transaction)?;
            foreign::note_upkeep(&transaction)?;
            Ok((Durable::commit(&mut transaction, settled)?, next))
        });
        if settled.is_err() {
            self.tasks.put_off(target);
        }
        settled.map(|(settled, next)| {
            self.foreign.kept_up();
            next.0.into_iter().for_each(|target| self.tasks.add(target));
            if is_erasing {
                self.tasks.note_wal(true);
                self.empty_wal();
            }
            settled
        })
    }

    /// Stores what was found again of the old part.
    pub(in crate::log::sqlite) fn store_mended_archive(&mut self, mended: &MendedArchive) {
        let stored = self.try_store_archive(mended);
        if let Err(error) = self.watched(stored) {
            tracing::error!(error = &error as &dyn std::error::Error, "what was found again could not be stored");
        }
    }

    fn try_store_archive(&mut self, mended: &MendedArchive) -> Result<(), LogError> {
        let mut transaction = self.begin(Purpose::Write)?;
        for Miscounted { entity, chunks } in &mended.counts {
            transaction.statement("UPDATE entities SET archived = ?2 WHERE number = ?1")?.execute([entity, chunks])?;
        }
        for segment in &mended.segments {
            let sequence = SpaceRow::sequence(segment.first).get();
            tracing::warn!(sequence, "a segment of the log has decayed on the disk in a part that was found again");
            transaction
                .statement("UPDATE segments SET before = ?2, chain = ?3, layout = ?4 WHERE last = ?1")?
                .execute(params![
                    segment.last,
                    segment.before.as_bytes(),
                    segment.chain().as_bytes(),
                    segment.layout()
                ])?;
            store_hashes(&transaction, segment)?;
        }
        transaction.commit()
    }
}

/// What is due after a commit.
#[derive(Debug, Default)]
struct Next(Vec<Target>);

fn put_in_place(archive: &Archive<'_, '_>, Prepared(outcome): Prepared) -> Result<(Settled, Next), LogError> {
    match outcome {
        Outcome::Segment(new) => put_segment(archive, &new),
        Outcome::Snapshot(new) => put_snapshot(archive, &new),
        Outcome::Strip(stripped) => put_stripped(archive, &stripped),
        Outcome::Failed(task, fault) => {
            if fault.is_failure() {
                tracing::warn!(error = &fault as &dyn std::error::Error, "old chunks stay as they are");
            }
            // What has decayed may be pushed again, and is tried as often as what ended its process.
            if let (Target::Snapshot { entity }, Eagerness::Usual) = (task.target, task.eagerness)
                && fault != WorkFault::Decayed
            {
                tasks::note_failure(archive.transaction, entity, archive.changes_of(entity)?)?;
            }
            Ok((Settled::Failed(fault), Next::default()))
        }
    }
}

fn put_segment(archive: &Archive<'_, '_>, new: &NewSegment) -> Result<(Settled, Next), LogError> {
    let again = match new.task.eagerness {
        Eagerness::Usual => vec![new.task.target],
        Eagerness::Everything | Eagerness::Whatever => Vec::new(),
    };
    let stale = Next(again.clone());
    let NewSegment { segment, before, .. } = new;
    // The same lineage, the same place in it, and exactly the rows that were read: their chain hashes name their past.
    let Some(space) = SpaceRow::by_number(archive.transaction, new.space)? else { return Ok((Settled::Stale, stale)) };
    if space.head.log != before.log
        || archive.end(new.space, before.log)?.sequence != before.sequence
        || rows_hash(archive, segment.first, segment.last)? != new.rows_hash
        || holds_erased(archive, segment)?
    {
        return Ok((Settled::Stale, stale));
    }
    let transaction = archive.transaction;
    let held = segment.held.clone().unwrap_or_else(|| Held::of([]));
    transaction.statement(INSERT_SEGMENT)?.execute(params![
        segment.last,
        segment.before.as_bytes(),
        segment.chain().as_bytes(),
        segment.layout(),
        held.stored(&segment.body_hash),
        new.body
    ])?;
    store_hashes(transaction, segment)?;
    let mut archived: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
    new.segment.places.iter().for_each(|place| archived.entry(place.number).or_default().0 += 1);
    // A row of an index may stand there that has decayed; it must not keep the log from being packed.
    for run in &new.runs {
        let check = run_check([run.actor, run.first.cast_signed(), run.last.cast_signed(), segment.last]);
        let (_, sum) = archived.entry(run.entity).or_default();
        *sum = sum.wrapping_add(check);
        transaction
            .statement(
                "INSERT OR REPLACE INTO actor_runs (entity, actor, last, first, segment) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute([run.entity, run.actor, run.last.cast_signed(), run.first.cast_signed(), segment.last])?;
    }
    let mut changes = Vec::with_capacity(new.changes.len());
    for (entity, change, position) in &new.changes {
        changes.push([*entity, archive.prefix_of(*change)?, *position]);
    }
    changes.sort_unstable();
    for change in changes {
        transaction
            .statement("INSERT OR IGNORE INTO change_prefixes (entity, prefix, position) VALUES (?1, ?2, ?3)")?
            .execute(change)?;
    }
    let mut from = segment.first;
    for kept in new.kept.iter().copied().chain(std::iter::once(segment.last + 1)) {
        transaction.statement("DELETE FROM chunks WHERE position >= ?1 AND position < ?2")?.execute([from, kept])?;
        from = kept + 1;
    }
    let mut next = again;
    for (entity, (chunks, check)) in archived {
        // SQLite's sums do not wrap around.
        let sql = "SELECT runs_check FROM entities WHERE number = ?1";
        let sum: Option<i64> = transaction.statement(sql)?.query_row([entity], |row| row.get(0)).optional()?;
        transaction
            .statement("UPDATE entities SET archived = archived + ?2, runs_check = ?3 WHERE number = ?1")?
            .execute([entity, chunks, check.wrapping_add(sum.unwrap_or_default())])?;
        if archive.pays(entity, archive.changes_of(entity)?, Eagerness::Usual)? {
            next.push(Target::Snapshot { entity });
        }
    }
    Ok((Settled::Packed { chunks: segment.places.len() as u64 }, Next(next)))
}

/// Whether a body that was prepared has chunks of an entity that was purged since.
fn holds_erased(archive: &Archive<'_, '_>, segment: &Segment) -> Result<bool, LogError> {
    for (position, place) in segment.places_from(segment.first).filter(|(_, place)| place.kind == ChunkKind::Change) {
        if segment.holds(position) && archive.erasure(place.number)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn store_hashes(transaction: &SqliteTransaction<'_>, segment: &Segment) -> Result<(), LogError> {
    let hashes = segment.hashes();
    transaction
        .statement("INSERT OR REPLACE INTO segment_hashes (last, layout, hashes, parity) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![segment.last, segment.layout(), hashes, parity(&hashes)])?;
    Ok(())
}

fn put_snapshot(archive: &Archive<'_, '_>, new: &NewSnapshot) -> Result<(Settled, Next), LogError> {
    let (last, chain) = new.end;
    // The chain hash behind the last segment names every chunk up to there, and so each that the snapshot was shown to hold.
    let is_same = SpaceRow::by_number(archive.transaction, new.space)?.is_some_and(|space| space.head.log == new.log)
        && archive.outline(last)?.is_some_and(|segment| {
            segment.last == last
                && segment.chain() == chain
                && segment.place(new.covered).is_some_and(|place| place.number == new.entity)
        })
        && archive.snapshot_hash(new.entity)? == new.old
        && archive.erasure(new.entity)?.is_none();
    let transaction = archive.transaction;
    tasks::forget_tries(transaction, new.entity)?;
    if !is_same {
        return Ok((Settled::Stale, Next::default()));
    }
    let changes = new.changes.len() as u64;
    let head = Head {
        entity: new.entity,
        covered: new.covered,
        changes,
        travels: new.made.travels,
        hash: *blake3::hash(&new.made.bytes).as_bytes(),
    };
    transaction
        .statement(
            "INSERT INTO snapshots (entity, covered, stripped, changes, hash, bytes, travels, head)
            VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6, ?7)
            ON CONFLICT DO UPDATE SET covered = ?2, changes = ?3, hash = ?4, bytes = ?5, travels = ?6, head = ?7",
        )?
        .execute(params![
            head.entity,
            head.covered,
            changes.cast_signed(),
            head.hash,
            new.made.bytes,
            head.travels,
            head.hash(),
        ])?;
    // Rows below it stood for chunks that had decayed. Only what it names goes.
    let named: BTreeSet<Sequence> = new.changes.iter().copied().collect();
    let mut statement = transaction.statement("SELECT position FROM chunks WHERE entity = ?1 AND position <= ?2")?;
    let rows = statement.query_map([new.entity, new.covered], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
    for position in rows.into_iter().filter(|position| named.contains(&SpaceRow::sequence(*position))) {
        transaction.statement("DELETE FROM chunks WHERE position = ?1")?.execute([position])?;
    }
    Ok((Settled::Covered { chunks: changes }, Next(vec![Target::Strip { entity: new.entity }])))
}

/// A row of a segment, as it is on the disk.
struct StoredSegment {
    before: [u8; 32],
    chain: [u8; 32],
    layout: Vec<u8>,
    body: Vec<u8>,
}

impl StoredSegment {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { before: row.get(0)?, chain: row.get(1)?, layout: row.get(2)?, body: row.get(3)? })
    }
}

fn put_stripped(archive: &Archive<'_, '_>, stripped: &Stripped) -> Result<(Settled, Next), LogError> {
    let Stripped { entity, snapshot, bodies, upto } = stripped;
    let again = Next(vec![Target::Strip { entity: *entity }]);
    // What the segments lose was found in this very snapshot, and its bytes have to be the same now.
    let is_same = match snapshot {
        Some(snapshot) => archive.snapshot(*entity)?.is_some_and(|stands| stands.hash == *snapshot),
        None => archive.erasure(*entity)?.is_some(),
    };
    if !is_same {
        return Ok((Settled::Stale, Next::default()));
    }
    let transaction = archive.transaction;
    let mut rows = Vec::with_capacity(bodies.len());
    for NewBody { last, old, held, body } in bodies {
        let mut statement =
            transaction.statement("SELECT before, chain, layout, body FROM segments WHERE last = ?1")?;
        let stored = statement.query_row([last], StoredSegment::read).optional()?;
        let Some(stored) = stored.filter(|stored| blake3::hash(&stored.body).as_bytes() == old) else {
            return Ok((Settled::Stale, again));
        };
        rows.push((last, stored, held.stored(blake3::hash(body).as_bytes()), body));
    }
    // Not updated in place, and all of them deleted first: so the rows that are left, of some hundred bytes, come to stand in
    // few pages one behind the other.
    for (last, ..) in &rows {
        transaction.statement("DELETE FROM segments WHERE last = ?1")?.execute([last])?;
    }
    for (last, StoredSegment { before, chain, layout, .. }, held, body) in &rows {
        transaction.statement(INSERT_SEGMENT)?.execute(params![last, before, chain, layout, held, body])?;
    }
    let done = match snapshot {
        Some(_) => "UPDATE snapshots SET stripped = ?2 WHERE entity = ?1",
        None => "UPDATE erasures SET cleared = ?2 WHERE entity = ?1",
    };
    transaction.statement(done)?.execute([entity, upto])?;
    Ok((Settled::Stripped { segments: bodies.len() as u64 }, again))
}

/// Gives some of the file's free pages back, where it has more of them than it soon uses.
fn give_back_some(transaction: &SqliteTransaction<'_>) -> Result<(), LogError> {
    if free_pages(transaction)? >= FREE_PAGES_KEPT + FREED_PAGES {
        run_pragma(transaction, &format!("PRAGMA incremental_vacuum({FREED_PAGES})"))?;
    }
    Ok(())
}

/// How many pages of the file are not used.
pub(super) fn free_pages(transaction: &SqliteTransaction<'_>) -> Result<i64, LogError> {
    Ok(transaction.statement("PRAGMA freelist_count")?.query_row([], |row| row.get(0))?)
}

/// Runs a statement that does a part of its work at every step.
pub(super) fn run_pragma(transaction: &SqliteTransaction<'_>, sql: &str) -> Result<(), LogError> {
    let mut statement = transaction.statement(sql)?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}
