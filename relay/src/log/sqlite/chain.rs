//! Following the chain through what is read: a hash that has decayed in the table is found again, or nothing is sent.

use super::SqliteLog;
use super::archive::Archive;
use super::read;
use super::row::SpaceRow;
use super::transaction::Purpose;
use crate::log::{Inconsistency, LogError};
use afield_core::log::ChunkHash;
use afield_core::session::LogEntry;
use afield_core::{ChainHash, ChunkKind, Commit, Cursor, EntityId, Sequence};
use rusqlite::{OptionalExtension, params};

/// A row whose hash or chain hash was not what it had been.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mended {
    position: i64,
    hash: ChunkHash,
    chain: ChainHash,
}

impl Mended {
    /// The row of an entry that is as it had been.
    pub(super) fn of(space: &SpaceRow, entry: &LogEntry) -> Self {
        Self { position: space.position(entry.sequence), hash: entry.hash, chain: entry.chain }
    }
}

/// Follows the chain from `before` through entries in the order of the log; `next` is the row after them, where one was read.
///
/// A row holds its chain hash and all that leads to it from the one before, so where one of them has decayed the others say
/// what it was. A reader would find the chain broken there, and be kept from everything behind it.
///
/// # Errors
///
/// More than one of them has decayed.
pub(super) fn follow(
    space: &SpaceRow,
    before: Cursor,
    entries: &mut [LogEntry],
    next: Option<&LogEntry>,
) -> Result<Vec<Mended>, LogError> {
    let mut mended = Vec::new();
    let mut cursor = before;
    let mut rest = entries;
    while let Some((entry, following)) = rest.split_first_mut() {
        let (entity, kind) = (entry.entity, entry.kind.number());
        let mut after = cursor.then(entity, kind, entry.hash);
        if after.chain != entry.chain {
            let hash = ChunkHash::of(&entry.bytes);
            let by_bytes = cursor.then(entity, kind, hash);
            if by_bytes.chain == entry.chain {
                (entry.hash, after) = (hash, by_bytes);
            } else if !leads_on(space, after, following.first().or(next)) {
                return Err(LogError::Inconsistent(Inconsistency::Chain(entry.sequence.get())));
            }
            entry.chain = after.chain;
            mended.push(Mended::of(space, entry));
        }
        cursor = after;
        rest = following;
    }
    Ok(mended)
}

/// Finds the hash of one row again by its bytes and the position before it, where the chain hash of the row agrees.
pub(super) fn find_hash(space: &SpaceRow, before: Cursor, entry: &mut LogEntry) -> Option<Mended> {
    let hash = ChunkHash::of(&entry.bytes);
    let after = before.then(entry.entity, entry.kind.number(), hash);
    (after.sequence == entry.sequence && after.chain == entry.chain).then(|| {
        entry.hash = hash;
        Mended::of(space, entry)
    })
}

/// The chain hash behind a row, as what stands around it says: it follows from the position before, or leads on to what is next.
/// One that has decayed must be told to nobody: once it was found again, it would be another history's.
///
/// # Errors
///
/// What stands there agrees with neither, or the storage failed.
pub(super) fn verified(
    archive: &Archive<'_, '_>,
    space: &SpaceRow,
    stored: Cursor,
    (entity, kind, hash): (EntityId, ChunkKind, ChunkHash),
) -> Result<ChainHash, LogError> {
    let after = position_before(archive, space, stored.sequence)?.then(entity, kind.number(), hash);
    if after == stored {
        return Ok(stored.chain);
    }
    // A row that stands below the end of the last segment has its chain hash there, too.
    if archive.chain_at(space.position(stored.sequence))? == Some(after.chain) {
        return Ok(after.chain);
    }
    let next = read::row_after(archive.transaction, space, stored.sequence)?;
    let leads_on = |at: &Cursor| leads_on(space, *at, next.as_ref());
    let found = [stored, after].into_iter().find(leads_on).map(|at| at.chain);
    found.ok_or(LogError::Inconsistent(Inconsistency::Chain(stored.sequence.get())))
}

/// The position before a sequence of the log, with the chain hash that is stored for it.
pub(super) fn position_before(
    archive: &Archive<'_, '_>,
    space: &SpaceRow,
    sequence: Sequence,
) -> Result<Cursor, LogError> {
    let log = space.head.log;
    let sequence = Sequence::new(sequence.get().saturating_sub(1));
    let position = space.position(sequence);
    let mut chain = archive.chain_at(position)?;
    if chain.is_none() {
        let mut statement = archive.transaction.statement("SELECT chain FROM chunks WHERE position = ?1")?;
        chain = statement.query_row([position], |row| row.get(0).map(ChainHash::from_bytes)).optional()?;
    }
    Ok(Cursor { log, sequence, chain: chain.unwrap_or_else(|| ChainHash::start(log)) })
}

/// Whether a position is the one that the row after it, or the head of the space, follows from.
pub(super) fn leads_on(space: &SpaceRow, cursor: Cursor, next: Option<&LogEntry>) -> bool {
    if cursor.sequence == space.head.sequence {
        return cursor == space.head;
    }
    next.is_some_and(|next| cursor.then(next.entity, next.kind.number(), next.hash).chain == next.chain)
}

impl SqliteLog {
    /// Stores what was found again. Where the disk does not take it, it is found again by the next reader.
    pub(super) fn store_mended(&mut self, mended: &[Mended]) {
        for row in mended {
            let sequence = SpaceRow::sequence(row.position).get();
            tracing::warn!(sequence, "a hash in the log has decayed on the disk; it was found again from the chain");
        }
        let stored = self.try_store_mended(mended);
        if let Err(error) = self.watched(stored) {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a hash that was found again could not be stored"
            );
        }
    }

    fn try_store_mended(&mut self, mended: &[Mended]) -> Result<(), LogError> {
        let mut transaction = self.begin(Purpose::Write)?;
        for Mended { position, hash, chain } in mended {
            transaction.statement("UPDATE chunks SET hash = ?2, chain = ?3 WHERE position = ?1")?.execute(params![
                position,
                hash.as_bytes(),
                chain.as_bytes()
            ])?;
        }
        transaction.commit()
    }
}
