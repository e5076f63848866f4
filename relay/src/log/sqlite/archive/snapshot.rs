//! Snapshots: what stands for the chunks of an entity, and how they are made and taken apart.

use super::cache::CacheKey;
use super::kept::{Journey, Kept, runs_of};
use super::{Archive, Place};
use crate::log::LogError;
use crate::log::sqlite::row::{SpaceRow, count};
use crate::log::sqlite::run::SnapshotCost;
use afield_core::document::{SnapshotBudget, extract_changes, measure_snapshot, snapshot_check};
use afield_core::log::ChunkHash;
use afield_core::session::LogSnapshot;
use afield_core::wire::PLACES_RUNS_MAX;
use afield_core::{Cursor, EntityId, LogId, Sequence};
use automerge::{Automerge, Change};
use rusqlite::{OptionalExtension, Row};
use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A snapshot whose bytes are those that were stored.
#[derive(Debug)]
pub(in crate::log::sqlite) struct Snapshot {
    /// The position of the last chunk that it covers.
    pub(in crate::log::sqlite) covered: i64,
    /// The BLAKE3 of the bytes.
    pub(super) hash: CacheKey,
    /// What [`Kept`] is made of.
    pub(super) bytes: Vec<u8>,
}

/// A snapshot that readers get as it is.
#[derive(Debug, Clone, Copy)]
pub(in crate::log::sqlite) struct Traveller {
    /// The position of the last chunk that it covers.
    pub(in crate::log::sqlite) covered: i64,
    /// How many chunks it covers.
    changes: u64,
}

/// A snapshot on its way to a reader, and what room it takes.
#[derive(Debug)]
pub(in crate::log::sqlite) struct Travelling {
    pub(in crate::log::sqlite) snapshot: LogSnapshot,
    pub(in crate::log::sqlite) cost: SnapshotCost,
}

/// A reader gets a snapshot where at least one in so many of its changes is news to it, and the chunks where less is.
const NEWS_SHARE: u64 = 4;

/// A chunk that a snapshot is to stand for.
#[derive(Debug)]
pub(super) struct Covered {
    pub(super) sequence: Sequence,
    pub(super) hash: ChunkHash,
    pub(super) bytes: Vec<u8>,
}

/// A snapshot that was made.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) bytes: Vec<u8>,
    pub(super) travels: bool,
}

/// The changes of a snapshot.
#[derive(Debug)]
pub(super) struct Extracted(HashMap<ChunkHash, Box<[u8]>>);

impl Extracted {
    pub(super) fn change(&self, hash: ChunkHash) -> Option<&[u8]> {
        self.0.get(&hash).map(|bytes| &bytes[..])
    }

    /// About how much memory it holds.
    pub(super) fn memory_bytes(&self) -> usize {
        let bytes: usize = self.0.values().map(|bytes| bytes.len()).sum();
        bytes + self.0.capacity() * size_of::<(ChunkHash, Box<[u8]>)>()
    }
}

/// Why no snapshot can stand for an entity's changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotFault {
    /// A change is none that the engine reads, or lacks what it depends on.
    #[error("the engine does not take a change")]
    Change,
    /// What the engine saves it does not load.
    #[error("the engine does not load what it saved")]
    Load,
    /// Other changes come out of the snapshot than went in.
    #[error("other changes come out of the snapshot than went in")]
    Differs,
    /// The engine panicked.
    #[error("the engine panicked")]
    Panicked,
}

/// Makes the snapshot of an entity's changes, in the order of the log, and shows that each comes out of it byte for byte.
///
/// # Errors
///
/// It does not, or the engine fails in another way: what others wrote may make it.
pub(super) fn make(entity: EntityId, chunks: &[Covered]) -> Result<Made, SnapshotFault> {
    let made = catch_unwind(AssertUnwindSafe(|| try_make(entity, chunks)));
    made.unwrap_or(Err(SnapshotFault::Panicked))
}

fn try_make(entity: EntityId, chunks: &[Covered]) -> Result<Made, SnapshotFault> {
    let saved = {
        let mut parsed = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            parsed.push(Change::from_bytes(chunk.bytes.clone()).map_err(|_| SnapshotFault::Change)?);
        }
        let mut document = Automerge::new();
        document.apply_changes(parsed).map_err(|_| SnapshotFault::Change)?;
        document.save_nocompress()
    };
    let expected: HashMap<ChunkHash, &Covered> = chunks.iter().map(|chunk| (chunk.hash, chunk)).collect();
    let document = Automerge::load(&saved).map_err(|_| SnapshotFault::Load)?;
    let (mut hashes, mut sequences, mut changes_bytes) = (Vec::new(), Vec::new(), 0);
    for change in document.get_changes(&[]) {
        let bytes = change.raw_bytes();
        let found = expected.get(&ChunkHash::of(bytes)).filter(|chunk| chunk.bytes == bytes);
        sequences.push(found.ok_or(SnapshotFault::Differs)?.sequence);
        hashes.push(change.hash());
        changes_bytes += bytes.len();
    }
    drop(document);
    if sequences.iter().collect::<BTreeSet<_>>().len() != chunks.len() || sequences.len() != chunks.len() {
        return Err(SnapshotFault::Differs);
    }
    let check = snapshot_check(entity, hashes);
    let journey = measure_snapshot(&saved).ok().map(|extent| {
        let runs = runs_of(sequences);
        Journey { runs, check, changes_bytes, extent }
    });
    let journey = journey.filter(|journey| travels(entity, &saved, journey, chunks.len() as u64));
    let travels = journey.is_some();
    let bytes = Kept { saved, journey }.encode().ok_or(SnapshotFault::Differs)?;
    Ok(Made { bytes, travels })
}

impl Journey {
    fn cost(&self, saved: &[u8]) -> SnapshotCost {
        SnapshotCost::of(saved.len(), self.runs.len(), self.extent, self.changes_bytes)
    }
}

/// Whether a reader may be given a snapshot as it is: it fits a frame, and devices take the changes out of it.
fn travels(entity: EntityId, saved: &[u8], journey: &Journey, changes: u64) -> bool {
    journey.runs.len() <= PLACES_RUNS_MAX
        && journey.cost(saved).fits_a_frame()
        && extract_changes(entity, saved, changes, &journey.check, &mut SnapshotBudget::WHOLE.clone()).is_ok()
}

/// The changes of a snapshot; `None` when the engine does not load it.
fn extract(snapshot: &[u8]) -> Option<Extracted> {
    let extracted = catch_unwind(AssertUnwindSafe(|| {
        let document = Automerge::load(&Kept::decode(snapshot)?.saved).ok()?;
        let changes = document.get_changes(&[]);
        drop(document);
        let changes = changes.into_iter().map(|change| {
            let bytes: Box<[u8]> = change.raw_bytes().into();
            (ChunkHash::of(&bytes), bytes)
        });
        Some(Extracted(changes.collect()))
    }));
    extracted.ok().flatten()
}

impl Archive<'_, '_> {
    /// The snapshot of an entity, as long as its bytes are those that were stored.
    pub(in crate::log::sqlite) fn snapshot(&self, entity: i64) -> Result<Option<Arc<Snapshot>>, LogError> {
        if let Some(known) = self.snapshots.borrow().get(&entity) {
            return Ok(known.clone());
        }
        let found = self
            .transaction
            .statement("SELECT covered, hash, bytes FROM snapshots WHERE entity = ?1")?
            .query_row([entity], read)
            .optional()?;
        let snapshot = found.filter(|snapshot| {
            let is_intact = blake3::hash(&snapshot.bytes).as_bytes() == &snapshot.hash;
            if !is_intact {
                tracing::warn!(
                    "a snapshot has decayed on the disk; its chunks are repaired when devices push them again"
                );
            }
            is_intact
        });
        let snapshot = snapshot.map(Arc::new);
        self.snapshots.borrow_mut().insert(entity, snapshot.clone());
        Ok(snapshot)
    }

    /// The snapshot of an entity that readers may get as it is, where there is one.
    pub(in crate::log::sqlite) fn traveller(&self, entity: i64) -> Result<Option<Traveller>, LogError> {
        if let Some(known) = self.travellers.borrow().get(&entity) {
            return Ok(*known);
        }
        let read = |row: &Row<'_>| Ok(Traveller { covered: row.get(0)?, changes: count(row, 1)? });
        let found = self
            .transaction
            .statement("SELECT covered, changes FROM snapshots WHERE entity = ?1 AND travels")?
            .query_row([entity], read)
            .optional()?;
        self.travellers.borrow_mut().insert(entity, found);
        Ok(found)
    }

    /// Whether a snapshot is what a reader had best get that stands at a position.
    pub(in crate::log::sqlite) fn is_news(
        &self,
        entity: i64,
        traveller: Traveller,
        after: i64,
    ) -> Result<bool, LogError> {
        if after >= traveller.covered {
            return Ok(false);
        }
        if SpaceRow::sequence(after) == Sequence::ZERO {
            return Ok(true);
        }
        let sql = "SELECT coalesce(sum(last - first + 1), 0) FROM actor_runs WHERE entity = ?1 AND segment > ?2";
        let news = self.transaction.statement(sql)?.query_row([entity, after], |row| count(row, 0))?;
        Ok(news.saturating_mul(NEWS_SHARE) >= traveller.changes)
    }

    /// A snapshot as it travels; `None` when it has decayed.
    pub(in crate::log::sqlite) fn travelling(&self, log: LogId, place: &Place) -> Result<Option<Travelling>, LogError> {
        let Some(snapshot) = self.snapshot(place.number)? else { return Ok(None) };
        let Some(chain) = self.chain_at(snapshot.covered)? else { return Ok(None) };
        let Some(Kept { saved, journey: Some(journey) }) = Kept::decode(&snapshot.bytes) else { return Ok(None) };
        let cost = journey.cost(&saved);
        let snapshot = LogSnapshot {
            entity: place.entity,
            collection: self.collection(place.number)?,
            sequences: journey.sequences(),
            last: Cursor { log, sequence: SpaceRow::sequence(snapshot.covered), chain },
            check: journey.check,
            bytes: saved,
        };
        Ok(Some(Travelling { snapshot, cost }))
    }

    /// The changes of a snapshot; `None` when the engine of this version does not load it.
    pub(super) fn extracted(&self, snapshot: &Snapshot) -> Option<Arc<Extracted>> {
        if let Some(extracted) = self.cache.extracted(&snapshot.hash) {
            return Some(extracted);
        }
        let extracted = Arc::new(extract(&snapshot.bytes)?);
        self.cache.keep_extracted(snapshot.hash, Arc::clone(&extracted));
        Some(extracted)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Snapshot> {
    Ok(Snapshot { covered: row.get(0)?, hash: row.get(1)?, bytes: row.get(2)? })
}
