//! Snapshots: what stands for the chunks of an entity, and how they are made and taken apart.

use super::Archive;
use super::cache::CacheKey;
use crate::log::LogError;
use afield_core::log::ChunkHash;
use automerge::{Automerge, Change};
use rusqlite::{OptionalExtension, Row};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A snapshot whose bytes are those that were stored.
#[derive(Debug)]
pub(in crate::log::sqlite) struct Snapshot {
    /// The position of the last chunk that it covers.
    pub(in crate::log::sqlite) covered: i64,
    /// How many chunks it covers.
    pub(in crate::log::sqlite) changes: u64,
    /// The BLAKE3 of the bytes.
    pub(super) hash: CacheKey,
    pub(in crate::log::sqlite) bytes: Vec<u8>,
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

/// Makes the snapshot of changes, in the order of the log, and shows that each comes out of it byte for byte.
///
/// # Errors
///
/// It does not, or the engine fails in another way: what others wrote may make it.
pub(super) fn make(changes: &[(ChunkHash, Vec<u8>)]) -> Result<Vec<u8>, SnapshotFault> {
    let made = catch_unwind(AssertUnwindSafe(|| try_make(changes)));
    made.unwrap_or(Err(SnapshotFault::Panicked))
}

fn try_make(changes: &[(ChunkHash, Vec<u8>)]) -> Result<Vec<u8>, SnapshotFault> {
    let bytes = {
        let mut parsed = Vec::with_capacity(changes.len());
        for (_, bytes) in changes {
            parsed.push(Change::from_bytes(bytes.clone()).map_err(|_| SnapshotFault::Change)?);
        }
        let mut document = Automerge::new();
        document.apply_changes(parsed).map_err(|_| SnapshotFault::Change)?;
        document.save()
    };
    let extracted = try_extract(&bytes).ok_or(SnapshotFault::Load)?;
    let is_same = extracted.0.len() == changes.len()
        && changes.iter().all(|(hash, bytes)| extracted.change(*hash) == Some(&bytes[..]));
    if is_same { Ok(bytes) } else { Err(SnapshotFault::Differs) }
}

/// The changes of a snapshot; `None` when the engine does not load it.
fn extract(snapshot: &[u8]) -> Option<Extracted> {
    catch_unwind(AssertUnwindSafe(|| try_extract(snapshot))).ok().flatten()
}

fn try_extract(snapshot: &[u8]) -> Option<Extracted> {
    let document = Automerge::load(snapshot).ok()?;
    let changes = document.get_changes(&[]);
    drop(document);
    let changes = changes.into_iter().map(|change| {
        let bytes: Box<[u8]> = change.raw_bytes().into();
        (ChunkHash::of(&bytes), bytes)
    });
    Some(Extracted(changes.collect()))
}

impl Archive<'_, '_> {
    /// The snapshot of an entity, as long as its bytes are those that were stored.
    pub(in crate::log::sqlite) fn snapshot(&self, entity: i64) -> Result<Option<Arc<Snapshot>>, LogError> {
        if let Some(known) = self.snapshots.borrow().get(&entity) {
            return Ok(known.clone());
        }
        let found = self
            .transaction
            .statement("SELECT covered, changes, hash, bytes FROM snapshots WHERE entity = ?1")?
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
    let changes: i64 = row.get(1)?;
    Ok(Snapshot { covered: row.get(0)?, changes: changes.cast_unsigned(), hash: row.get(2)?, bytes: row.get(3)? })
}
