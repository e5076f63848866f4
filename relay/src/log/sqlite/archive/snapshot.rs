//! Snapshots: what stands for the chunks of an entity, and how they are made and taken apart.

use super::cache::{CacheKey, Doubt};
use super::index::ANY;
use super::kept::{Journey, Kept, KeptHead, Names, runs_of};
use super::{Archive, Place};
use crate::log::LogError;
use crate::log::sqlite::row::{SpaceRow, count};
use crate::log::sqlite::run::SnapshotCost;
use afield_core::change::ChangeHeader;
use afield_core::document::{SnapshotBudget, extract_changes, measure_snapshot, snapshot_check};
use afield_core::log::ChunkHash;
use afield_core::session::LogSnapshot;
use afield_core::wire::PLACES_RUNS_MAX;
use afield_core::{Cursor, EntityId, LogId, Sequence};
use automerge::{ActorId, Automerge, Change};
use rusqlite::{OptionalExtension, Row};
use std::collections::{BTreeSet, HashMap, HashSet};
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
    names: Names,
    changes: u64,
    travels: bool,
}

impl Snapshot {
    /// What the bytes are that were stored with a hash; `None` when they have decayed, or are another entity's.
    fn of(entity: EntityId, hash: CacheKey, bytes: Vec<u8>) -> Option<Self> {
        let head = KeptHead::decode(&mut &bytes[..]).filter(|_| blake3::hash(&bytes).as_bytes() == &hash)?;
        if head.entity != entity {
            return None;
        }
        let (names, changes, travels) = (Names::of(&head), head.changes(), head.journey.is_some());
        Some(Self { covered: head.covered, hash, bytes, names, changes, travels })
    }

    /// Whether it stands for the chunk at a position.
    pub(in crate::log::sqlite) fn names(&self, position: i64) -> bool {
        SpaceRow::number_of(position) == SpaceRow::number_of(self.covered)
            && self.names.hold(SpaceRow::sequence(position))
    }

    /// The positions for which it stands, in the order of the log.
    pub(super) fn positions(&self) -> impl Iterator<Item = i64> {
        let (before, _) = SpaceRow::positions(SpaceRow::number_of(self.covered));
        self.names.iter().map(move |sequence| before | sequence.get().cast_signed())
    }
}

/// The columns of a snapshot that are believed without its bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) entity: i64,
    pub(super) covered: i64,
    pub(super) changes: u64,
    pub(super) travels: bool,
    pub(super) hash: CacheKey,
}

impl Head {
    /// The hash of all of them.
    pub(super) fn hash(&self) -> CacheKey {
        let Self { entity, covered, changes, travels, hash } = self;
        let mut hasher = blake3::Hasher::new();
        for number in [*entity, *covered, changes.cast_signed(), i64::from(*travels)] {
            hasher.update(&number.to_le_bytes());
        }
        *hasher.update(hash).finalize().as_bytes()
    }
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

/// The most snapshots that one transaction keeps for itself, and the most bytes of them.
const SNAPSHOTS_AT_HAND_MAX: usize = 256;
const SNAPSHOT_BYTES_AT_HAND_MAX: usize = 8 << 20;

/// A reader gets a snapshot where at least one in so many of its changes is news to it, and the chunks where less is.
const NEWS_SHARE: u64 = 4;

/// A chunk that a snapshot is to stand for.
#[derive(Debug)]
pub(super) struct Covered {
    pub(super) sequence: Sequence,
    pub(super) hash: ChunkHash,
    pub(super) bytes: Vec<u8>,
    /// How many operations and predecessors it expands to, and how many bytes of keys.
    pub(super) weight: u64,
    pub(super) text_bytes: u64,
}

/// The most operations, and predecessors named by them, that are taken to the engine at once, unless a single change has
/// more: expanded, each takes some 200 bytes. Devices do the same.
const PORTION_WEIGHT_MAX: u64 = 200_000;
/// The most bytes of keys of them, each counted as often as it is repeated.
const PORTION_TEXT_BYTES_MAX: u64 = 8 << 20;
/// The most that the number of changes may be, times that of the actors they name: for every sixteenth change the engine keeps four
/// bytes for each of these, so 64 MiB.
const CLOCKS_MAX: u64 = 1 << 28;

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
    /// It would take too much memory.
    #[error("so many changes of so many actors take too much memory")]
    TooLarge,
    /// The engine panicked.
    #[error("the engine panicked")]
    Panicked,
}

/// Makes the snapshot of an entity's changes, in the order of the log, and shows that each comes out of it byte for byte.
///
/// # Errors
///
/// It does not, or the engine fails in another way: what others wrote may make it.
pub(super) fn make(entity: EntityId, covered: i64, chunks: &[Covered]) -> Result<Made, SnapshotFault> {
    let made = catch_unwind(AssertUnwindSafe(|| try_make(entity, covered, chunks)));
    made.unwrap_or(Err(SnapshotFault::Panicked))
}

/// Applies changes portion by portion, since a few bytes of a change may stand for a hundred thousand operations.
fn apply(chunks: &[Covered]) -> Result<Automerge, SnapshotFault> {
    let mut document = Automerge::new();
    let mut actors: HashSet<ActorId> = HashSet::new();
    let mut rest = chunks;
    while !rest.is_empty() {
        let (mut weight, mut text_bytes, mut portion) = (0_u64, 0_u64, Vec::new());
        while let Some((chunk, behind)) = rest.split_first() {
            weight = weight.saturating_add(chunk.weight);
            text_bytes = text_bytes.saturating_add(chunk.text_bytes);
            if !portion.is_empty() && (weight > PORTION_WEIGHT_MAX || text_bytes > PORTION_TEXT_BYTES_MAX) {
                break;
            }
            let change = Change::from_bytes(chunk.bytes.clone()).map_err(|_| SnapshotFault::Change)?;
            for actor in change.other_actor_ids().iter().chain([change.actor_id()]) {
                if !actors.contains(actor) {
                    actors.insert(actor.clone());
                }
            }
            portion.push(change);
            rest = behind;
        }
        if (actors.len() as u64).saturating_mul(chunks.len() as u64) > CLOCKS_MAX {
            return Err(SnapshotFault::TooLarge);
        }
        document.apply_changes(portion).map_err(|_| SnapshotFault::Change)?;
    }
    Ok(document)
}

fn try_make(entity: EntityId, covered: i64, chunks: &[Covered]) -> Result<Made, SnapshotFault> {
    let saved = apply(chunks)?.save_nocompress();
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
    let mut head = KeptHead { entity, covered, runs: runs_of(sequences), journey: None };
    let journey = measure_snapshot(&saved).ok().map(|extent| Journey { check, changes_bytes, extent });
    head.journey = journey.filter(|journey| travels(&head, &saved, journey));
    let travels = head.journey.is_some();
    let bytes = Kept { head, saved }.encode().ok_or(SnapshotFault::Differs)?;
    Ok(Made { bytes, travels })
}

/// What a snapshot costs a frame, and those who take its changes out.
fn cost(head: &KeptHead, saved: &[u8], journey: &Journey) -> SnapshotCost {
    SnapshotCost::of(saved.len(), head.runs.len(), journey.extent, journey.changes_bytes)
}

/// Whether a reader may be given a snapshot as it is: it fits a frame, and devices take the changes out of it.
fn travels(head: &KeptHead, saved: &[u8], journey: &Journey) -> bool {
    head.runs.len() <= PLACES_RUNS_MAX
        && cost(head, saved, journey).fits_a_frame()
        && extract_changes(head.entity, saved, head.changes(), &journey.check, &mut SnapshotBudget::WHOLE.clone())
            .is_ok()
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
        let found: Option<(CacheKey, Vec<u8>)> = self
            .transaction
            .statement("SELECT hash, bytes FROM snapshots WHERE entity = ?1")?
            .query_row([entity], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let mut snapshot = None;
        if let Some((hash, bytes)) = found {
            let id = self.entity_id(entity)?;
            snapshot = id.and_then(|id| Snapshot::of(id, hash, bytes)).map(Arc::new);
            if snapshot.is_none() {
                tracing::warn!(
                    "a snapshot has decayed on the disk; its chunks are repaired when devices push them again"
                );
            }
        }
        let mut snapshots = self.snapshots.borrow_mut();
        let bytes: usize = snapshots.values().flatten().map(|snapshot| snapshot.bytes.len()).sum();
        if snapshots.len() >= SNAPSHOTS_AT_HAND_MAX || bytes >= SNAPSHOT_BYTES_AT_HAND_MAX {
            snapshots.clear();
        }
        snapshots.insert(entity, snapshot.clone());
        Ok(snapshot)
    }

    /// The snapshot of an entity that readers may get as it is, where there is one.
    pub(in crate::log::sqlite) fn traveller(&self, entity: i64) -> Result<Option<Traveller>, LogError> {
        if let Some(known) = self.travellers.borrow().get(&entity) {
            return Ok(*known);
        }
        let read = |row: &Row<'_>| {
            let head = Head {
                entity,
                covered: row.get(0)?,
                changes: count(row, 1)?,
                travels: row.get::<_, i64>(2)? == 1,
                hash: row.get(3)?,
            };
            Ok((head, row.get::<_, CacheKey>(4)?))
        };
        let found = self
            .transaction
            .statement("SELECT covered, changes, travels, hash, head FROM snapshots WHERE entity = ?1")?
            .query_row([entity], read)
            .optional()?;
        let found = match found {
            None => None,
            Some((head, hash)) if head.hash() == hash => Some((head.covered, head.changes, head.travels)),
            // One of the columns has decayed; the bytes say what it was.
            Some(_) => self.snapshot(entity)?.map(|found| (found.covered, found.changes, found.travels)),
        };
        let found = found.filter(|(.., travels)| *travels);
        let traveller = found.map(|(covered, changes, _)| Traveller { covered, changes });
        self.travellers.borrow_mut().insert(entity, traveller);
        Ok(traveller)
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

    /// A snapshot as it travels; `None` when it has decayed, or no frame holds it any more.
    pub(in crate::log::sqlite) fn travelling(&self, log: LogId, place: &Place) -> Result<Option<Travelling>, LogError> {
        let Some(snapshot) = self.snapshot(place.number)? else { return Ok(None) };
        let Some(chain) = self.chain_at(snapshot.covered)? else { return Ok(None) };
        let Some(Kept { head, saved }) = Kept::decode(&snapshot.bytes) else { return Ok(None) };
        let Some(journey) = head.journey else { return Ok(None) };
        let cost = cost(&head, &saved, &journey);
        // What a frame holds, and what readers take out of one, may have been more when it was made.
        if !cost.fits_a_frame() {
            return Ok(None);
        }
        let snapshot = LogSnapshot {
            entity: place.entity,
            collection: self.collection(place.number)?,
            sequences: head.sequences(),
            last: Cursor { log, sequence: SpaceRow::sequence(snapshot.covered), chain },
            check: journey.check,
            bytes: saved,
        };
        Ok(Some(Travelling { snapshot, cost }))
    }

    /// The changes of a snapshot; `None` when the engine of this version does not load it, which is remembered.
    pub(super) fn extracted(&self, snapshot: &Snapshot) -> Option<Arc<Extracted>> {
        if let Some(extracted) = self.cache.extracted(&snapshot.hash) {
            return Some(extracted);
        }
        if self.cache.doubt(&snapshot.hash) == Some(Doubt::Load) {
            return None;
        }
        self.extractions.set(self.extractions.get() + 1);
        let Some(extracted) = extract(&snapshot.bytes).map(Arc::new) else {
            tracing::warn!("a snapshot does not load; its chunks are repaired when devices push them again");
            self.cache.note_doubt(snapshot.hash, Doubt::Load);
            return None;
        };
        self.cache.keep_extracted(snapshot.hash, Arc::clone(&extracted));
        Some(extracted)
    }
}

/// What is to be known of a chunk before it is taken to the engine: how many operations and predecessors it expands to, and how
/// many bytes of keys. `None` when it is no change.
pub(super) fn expanded(bytes: &[u8]) -> Option<(u64, u64)> {
    ChangeHeader::read(bytes, &ANY).ok().map(|header| (header.weight(), header.text_bytes))
}

/// Puts a document in the place of the one that a snapshot is, under hashes that fit it.
#[cfg(test)]
pub(in crate::log::sqlite) fn replace_document(connection: &rusqlite::Connection, entity: i64, saved: Vec<u8>) {
    let sql = "SELECT covered, changes, travels, bytes FROM snapshots WHERE entity = ?1";
    let read = |row: &Row<'_>| Ok((row.get(0)?, count(row, 1)?, row.get(2)?, row.get::<_, Vec<u8>>(3)?));
    let (covered, changes, travels, bytes) = connection.query_row(sql, [entity], read).unwrap();
    let kept = Kept { saved, ..Kept::decode(&bytes).unwrap() };
    let bytes = kept.encode().unwrap();
    let head = Head { entity, covered, changes, travels, hash: *blake3::hash(&bytes).as_bytes() };
    let sql = "UPDATE snapshots SET bytes = ?2, hash = ?3, head = ?4 WHERE entity = ?1";
    assert_eq!(connection.execute(sql, rusqlite::params![entity, bytes, head.hash, head.hash()]), Ok(1));
}

/// Has all snapshots say that more has to be taken out of them than readers take, as after a change of limits.
#[cfg(test)]
pub(in crate::log::sqlite) fn outgrow_frames(connection: &rusqlite::Connection) {
    let mut statement = connection.prepare("SELECT entity, covered, changes, travels, bytes FROM snapshots").unwrap();
    let read = |row: &Row<'_>| {
        Ok((row.get::<_, i64>(0)?, row.get(1)?, count(row, 2)?, row.get(3)?, row.get::<_, Vec<u8>>(4)?))
    };
    for found in statement.query_map([], read).unwrap() {
        let (entity, covered, changes, travels, bytes) = found.unwrap();
        let mut kept = Kept::decode(&bytes).unwrap();
        kept.head.journey.as_mut().unwrap().changes_bytes = usize::MAX / 2;
        let bytes = kept.encode().unwrap();
        let head = Head { entity, covered, changes, travels, hash: *blake3::hash(&bytes).as_bytes() };
        let sql = "UPDATE snapshots SET bytes = ?2, hash = ?3, head = ?4 WHERE entity = ?1";
        assert_eq!(connection.execute(sql, rusqlite::params![entity, bytes, head.hash, head.hash()]), Ok(1));
    }
}
