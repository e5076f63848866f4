//! A run of a space's log, stored together with the cursor behind it.

mod handed;

pub use handed::{Handed, HandedChange, TakenOver};

use crate::column::{ChangeState, SpaceRow, sequence_sql};
use crate::entity::{MetEntities, Provenance, insert_change, mark_change, note_logged};
use crate::erase::{self, ReceivedErasure};
use crate::error::{ReceiveError, StoreError};
use crate::filter::{self, Backfill, Wanted};
use crate::held;
use crate::settle::Reason;
use crate::space;
use crate::store::Store;
use crate::transaction::WriteTransaction;
use afield_core::log::ChunkHash;
use afield_core::session::Proof;
use afield_core::{ChangeHash, ChunkKind, Collection, Cursor, Durable, EntityId, Sequence, SpaceId};
use std::collections::{BTreeMap, BTreeSet};

/// A change as it came in a run of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceivedChange<'a> {
    /// The entity.
    pub entity: EntityId,
    /// Its collection, which counts only when the store does not know the entity yet.
    pub collection: &'a Collection,
    /// The hash of the change, computed from the bytes.
    pub hash: ChangeHash,
    /// Where it stands in the log. Above the cursor it is no mark yet.
    pub sequence: Sequence,
    /// The bytes, uncompressed, as they were hashed.
    pub bytes: &'a [u8],
}

/// A chunk of the log that is no change: it is kept and quarantined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnreadableChunk<'a> {
    /// The entity that the log names.
    pub entity: EntityId,
    /// The number of the chunk's kind.
    pub kind: u8,
    /// Where it stands in the log.
    pub sequence: Sequence,
    /// Why it cannot be read.
    pub reason: Reason,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// A run of a space's log: every sequence after `expected` up to `cursor_after`, each named once, by a change, by an
/// unreadable chunk, or by the proof that the store holds it already. A run that leaves something out names less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run<'a> {
    /// The space.
    pub space: SpaceId,
    /// The cursor that the run follows.
    pub expected: Cursor,
    /// The cursor behind it.
    pub cursor_after: Cursor,
    /// Its changes.
    pub received: &'a [ReceivedChange<'a>],
    /// Its erasure records, and those that stand for what is no more.
    pub erasures: &'a [ReceivedErasure<'a>],
    /// Its chunks that are no changes.
    pub unreadable: &'a [UnreadableChunk<'a>],
    /// Held changes that stand in the run, and receipts at or below the cursor behind it.
    pub proofs: &'a [Proof],
    /// What a run has instead of some of its sequences; `None` where it names all of them.
    pub left_out: Option<LeftOut<'a>>,
}

/// What stands for what a run does not name: it was not asked for, or a snapshot covers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LeftOut<'a> {
    /// Entities that are known to exist.
    pub announced: &'a [(Collection, EntityId)],
    /// Entities whose snapshot was not usable, so that their changes are to be fetched.
    pub refetched: &'a [EntityId],
}

/// A page of what was asked for, wherever the cursor stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<'a> {
    /// The space.
    pub space: SpaceId,
    /// A position of the log up to which what the page brings is proven to stand where it says.
    pub cursor: Cursor,
    /// Its changes.
    pub received: &'a [ReceivedChange<'a>],
    /// Its erasure records, and those that stand for what is no more.
    pub erasures: &'a [ReceivedErasure<'a>],
    /// Its chunks that are no changes.
    pub unreadable: &'a [UnreadableChunk<'a>],
    /// What stands for what it does not bring.
    pub left_out: LeftOut<'a>,
    /// What it answers.
    pub backfills: &'a [Backfill],
    /// The sequence up to which that is here now.
    pub upto: Sequence,
    /// Whether that was all.
    pub done: bool,
    /// Entities that were asked for and that the relay does not know; nothing of them is left to be fetched.
    pub unknown: &'a [EntityId],
}

/// What came of an entity that the store did not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Brought {
    /// Changes.
    pub changes: u64,
    /// Their bytes, as they are stored.
    pub bytes: u64,
}

/// What a run brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOutcome {
    /// The cursor now.
    pub cursor: Cursor,
    /// The entities of which changes came that the store did not hold, each once, in the order of the log.
    pub fresh: Vec<EntityId>,
    /// The entities that were erased, each of which something was held.
    pub erased: Vec<EntityId>,
    /// The entities whose erasure records are held back by a guard.
    pub held: Vec<EntityId>,
    /// How many changes the store did not hold, without those of entities that the run erased.
    pub added: u64,
    /// Those changes by entity, with their bytes.
    pub brought: BTreeMap<EntityId, Brought>,
    /// How many changes were quarantined because their entity lives in another space.
    pub foreign: u64,
}

impl RunOutcome {
    fn at(cursor: Cursor) -> Self {
        let (fresh, erased, held, brought) = (Vec::new(), Vec::new(), Vec::new(), BTreeMap::new());
        Self { cursor, fresh, erased, held, added: 0, brought, foreign: 0 }
    }
}

impl Store {
    /// Stores a run of the log and moves the cursor behind it, in one transaction (D2); the changes still have to be
    /// applied ([`Store::pending`]).
    ///
    /// A run that brings chunks is synced. One that only names what the store holds already is not: a power failure takes
    /// its cursor and its marks back together, and the relay serves it again.
    ///
    /// Changes that are held are marked and otherwise left alone, so the same run again changes nothing (S3).
    ///
    /// # Errors
    ///
    /// Nothing is stored and the cursor stays when the run does not follow the stored cursor
    /// ([`ReceiveError::CursorMoved`]), does not name every sequence ([`ReceiveError::Gap`]), names one outside of itself
    /// ([`ReceiveError::OutOfRun`], D3), calls something held that is not ([`ReceiveError::NotHeld`], D2), or when the
    /// storage fails.
    pub fn receive(&mut self, run: &Run<'_>, at_ms: i64) -> Result<RunOutcome, ReceiveError> {
        match run.left_out {
            None => check_contiguous(run)?,
            Some(_) => check_within(run)?,
        }
        let left_out = run.left_out.unwrap_or_default();
        if run.received.is_empty()
            && run.erasures.is_empty()
            && run.unreadable.is_empty()
            && left_out == LeftOut::default()
        {
            return self.write_unsynced(|transaction| store_run(transaction, run, at_ms));
        }
        if !run.erasures.is_empty() {
            self.extracted = None;
        }
        self.write(|transaction| store_run(transaction, run, at_ms)).map(Durable::into_inner)
    }
}

impl Store {
    /// Stores a page of what was asked for, with how far that is here now, in one transaction. The cursor stays; what stands
    /// above it goes to the outbox until the cursor has passed it (the outbox rule, D5).
    ///
    /// # Errors
    ///
    /// [`ReceiveError::CursorMoved`] when the page is about another log than the cursor's, or about more of it;
    /// [`ReceiveError::UnknownSpace`], or the storage failed. Nothing is stored then.
    pub fn receive_page(&mut self, page: &Page<'_>, at_ms: i64) -> Result<RunOutcome, ReceiveError> {
        if !page.erasures.is_empty() {
            self.extracted = None;
        }
        let stored = self.write(|transaction| store_page(transaction, page, at_ms));
        stored.map(Durable::into_inner)
    }
}

fn store_page(transaction: &mut WriteTransaction<'_>, page: &Page<'_>, at_ms: i64) -> Result<RunOutcome, ReceiveError> {
    let space = page.space;
    let (space_row, stored) = space::find(transaction, space)?.ok_or(ReceiveError::UnknownSpace { space })?;
    let cursor = stored.filter(|stored| stored.log == page.cursor.log && page.cursor.sequence <= stored.sequence);
    let cursor = cursor.ok_or(ReceiveError::CursorMoved { stored })?;
    let outcome = RunOutcome::at(cursor);
    let mut arrival = Arriving { space: (space, space_row), met: MetEntities::default(), at_ms, outcome };
    arrival.store(transaction, page.received, page.unreadable, page.cursor.sequence)?;
    arrival.leave_out(transaction, &page.left_out)?;
    arrival.erase(transaction, page.erasures, page.cursor.sequence)?;
    filter::move_backfills(transaction, page.backfills, page.upto, page.done)?;
    filter::forget_unknown(transaction, space_row, page.backfills, page.unknown)?;
    Ok(arrival.outcome)
}

/// Chunks on their way into a space.
struct Arriving {
    space: (SpaceId, SpaceRow),
    met: MetEntities,
    at_ms: i64,
    outcome: RunOutcome,
}

impl Arriving {
    /// Stores chunks; what stands at or below a sequence is marked.
    fn store(
        &mut self,
        transaction: &mut WriteTransaction<'_>,
        received: &[ReceivedChange<'_>],
        unreadable: &[UnreadableChunk<'_>],
        marked_upto: Sequence,
    ) -> Result<(), StoreError> {
        for change in received {
            let mark = Some(change.sequence).filter(|sequence| *sequence <= marked_upto);
            let stored = store_change(transaction, &mut self.met, self.space, (change, mark), self.at_ms)?;
            self.outcome.added += u64::from(stored == Stored::Added);
            self.outcome.foreign += u64::from(stored == Stored::Foreign);
            if stored == Stored::Added {
                let brought = self.outcome.brought.entry(change.entity).or_insert_with(|| {
                    self.outcome.fresh.push(change.entity);
                    Brought::default()
                });
                brought.changes += 1;
                brought.bytes += change.bytes.len() as u64;
            }
        }
        for chunk in unreadable {
            let mark = Some(chunk.sequence).filter(|sequence| *sequence <= marked_upto);
            quarantine_chunk(transaction, self.space.1, chunk, mark, self.at_ms)?;
        }
        Ok(())
    }

    /// Erases what was purged, also what came of it just now; what stands at or below a sequence is marked.
    fn erase(
        &mut self,
        transaction: &mut WriteTransaction<'_>,
        erasures: &[ReceivedErasure<'_>],
        marked_upto: Sequence,
    ) -> Result<(), StoreError> {
        for erasure in erasures {
            let mark = erasure.sequence.filter(|sequence| *sequence <= marked_upto && *sequence > Sequence::ZERO);
            if held::hold_purge(transaction, self.space.1, erasure.record, mark, self.at_ms)? {
                self.outcome.held.push(erasure.record.entity);
                continue;
            }
            if erase::receive(transaction, &mut self.met, self.space.1, (erasure, marked_upto), self.at_ms)? {
                self.outcome.erased.push(erasure.record.entity);
            }
        }
        let erased: BTreeSet<_> = self.outcome.erased.iter().copied().collect();
        self.outcome.fresh.retain(|entity| !erased.contains(entity));
        for entity in &erased {
            // Who asks what the run brought is not told of what is gone again.
            self.outcome.added -= self.outcome.brought.remove(entity).map_or(0, |brought| brought.changes);
        }
        Ok(())
    }

    /// Notes what stands for what did not come.
    fn leave_out(&self, transaction: &mut WriteTransaction<'_>, left_out: &LeftOut<'_>) -> Result<(), StoreError> {
        filter::announce(transaction, self.space.1, left_out.announced)?;
        for entity in left_out.refetched {
            filter::add_backfill(transaction, self.space.1, &Wanted::Entity(*entity), Sequence::ZERO, true)?;
        }
        Ok(())
    }
}

fn store_run(transaction: &mut WriteTransaction<'_>, run: &Run<'_>, at_ms: i64) -> Result<RunOutcome, ReceiveError> {
    let space = run.space;
    let (space_row, stored) = space::find(transaction, space)?.ok_or(ReceiveError::UnknownSpace { space })?;
    if stored != Some(run.expected) {
        return Err(ReceiveError::CursorMoved { stored });
    }
    let outcome = RunOutcome::at(run.cursor_after);
    let mut arrival = Arriving { space: (space, space_row), met: MetEntities::default(), at_ms, outcome };
    arrival.store(transaction, run.received, run.unreadable, run.cursor_after.sequence)?;
    arrival.leave_out(transaction, &run.left_out.unwrap_or_default())?;
    arrival.erase(transaction, run.erasures, run.cursor_after.sequence)?;
    mark_proofs(transaction, &mut arrival.met, space_row, run)?;
    space::move_cursor(transaction, space_row, run.cursor_after)?;
    Ok(arrival.outcome)
}

/// Checks that a run which leaves something out leads on, and claims nothing above its end to be held (D3).
fn check_within(run: &Run<'_>) -> Result<(), ReceiveError> {
    let (first, last) = (run.expected.sequence, run.cursor_after.sequence);
    if run.cursor_after.log != run.expected.log || last < first {
        return Err(ReceiveError::OutOfRun { sequence: last });
    }
    let mut proofs = run.proofs.iter().map(|proof| proof.sequence);
    // A snapshot may bring what the cursor has passed already, or has not reached; nothing stands at 0.
    let mut content = run.received.iter().map(|change| change.sequence);
    let outside = proofs.find(|sequence| *sequence == Sequence::ZERO || *sequence > last);
    let outside = outside.or_else(|| content.find(|sequence| *sequence == Sequence::ZERO));
    outside.map_or(Ok(()), |sequence| Err(ReceiveError::OutOfRun { sequence }))
}

/// Checks that the run names every sequence of its range and none above it (D3).
fn check_contiguous(run: &Run<'_>) -> Result<(), ReceiveError> {
    let (first, last) = (run.expected.sequence, run.cursor_after.sequence);
    let content = run.received.iter().map(|change| change.sequence);
    let content = content.chain(run.unreadable.iter().map(|chunk| chunk.sequence));
    let content = content.chain(run.erasures.iter().filter_map(|erasure| erasure.sequence));
    let mut named = Vec::new();
    for sequence in content {
        if sequence <= first || sequence > last {
            return Err(ReceiveError::OutOfRun { sequence });
        }
        named.push(sequence);
    }
    for Proof { sequence, .. } in run.proofs {
        if *sequence == Sequence::ZERO || *sequence > last {
            return Err(ReceiveError::OutOfRun { sequence: *sequence });
        }
        if *sequence > first {
            named.push(*sequence);
        }
    }
    named.sort_unstable();
    named.dedup();
    let mut next = first.next();
    for sequence in named {
        if sequence != next {
            return Err(ReceiveError::Gap { sequence: next });
        }
        next = next.next();
    }
    if run.cursor_after.log != run.expected.log || last < first {
        return Err(ReceiveError::OutOfRun { sequence: last });
    }
    if next <= last { Err(ReceiveError::Gap { sequence: next }) } else { Ok(()) }
}

/// What storing a change came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stored {
    Added,
    Held,
    Foreign,
}

fn store_change(
    transaction: &mut WriteTransaction<'_>,
    met: &mut MetEntities,
    space: (SpaceId, SpaceRow),
    (change, mark): (&ReceivedChange<'_>, Option<Sequence>),
    at_ms: i64,
) -> Result<Stored, StoreError> {
    let ReceivedChange { entity, collection, hash, sequence, bytes } = *change;
    if met.find(transaction, entity)?.is_none() && erase::is_erased(transaction, space.1, entity)? {
        return Ok(Stored::Held);
    }
    let found = met.find_or_create(transaction, entity, space, collection)?;
    if found.space_row != space.1 {
        let (kind, reason) = (ChunkKind::Change.number(), Reason::FOREIGN_ENTITY);
        let chunk = UnreadableChunk { entity, kind, sequence, reason, bytes };
        quarantine_chunk(transaction, space.1, &chunk, mark, at_ms)?;
        return Ok(Stored::Foreign);
    }
    if insert_change(transaction, &found, (hash, bytes), (ChangeState::Received, Provenance::Log(mark)), at_ms)? {
        return Ok(Stored::Added);
    }
    match mark {
        Some(mark) => drop(mark_change(transaction, &found, hash, mark)?),
        None => note_logged(transaction, &found, hash)?,
    }
    Ok(Stored::Held)
}

fn quarantine_chunk(
    transaction: &mut WriteTransaction<'_>,
    space: SpaceRow,
    chunk: &UnreadableChunk<'_>,
    mark: Option<Sequence>,
    at_ms: i64,
) -> Result<(), StoreError> {
    if erase::is_erased(transaction, space, chunk.entity)? {
        return Ok(());
    }
    // After a reset the same chunk may come again, at another place.
    let sql = "INSERT INTO quarantine (space_row, entity, hash, kind, reason, rules, sequence, at_ms, bytes)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
               ON CONFLICT (space_row, entity, hash) DO UPDATE SET sequence = coalesce(excluded.sequence, sequence),
               reason = excluded.reason, rules = excluded.rules WHERE bytes IS NOT NULL";
    let UnreadableChunk { entity, kind, reason, bytes, .. } = *chunk;
    let (hash, sequence) = (ChunkHash::of(bytes), mark.filter(|mark| *mark > Sequence::ZERO).map(sequence_sql));
    let Reason { number, rules } = reason;
    let values = (space, entity.as_bytes(), hash.as_bytes(), kind, number, rules, sequence, at_ms, bytes);
    transaction.execute(sql, values)?;
    Ok(())
}

fn mark_proofs(
    transaction: &mut WriteTransaction<'_>,
    met: &mut MetEntities,
    space_row: SpaceRow,
    run: &Run<'_>,
) -> Result<(), ReceiveError> {
    for proof in run.proofs {
        let Proof { entity, hash, sequence } = *proof;
        let found = met.find(transaction, entity)?.filter(|found| found.home.space == run.space);
        let is_held = match found {
            Some(found) => mark_change(transaction, &found, hash, sequence)?,
            None => erase::prove(transaction, space_row, (entity, hash, sequence))?,
        };
        // A receipt below the run may be about something this store has lost; the cursor passed it long ago.
        if !is_held && sequence > run.expected.sequence {
            return Err(ReceiveError::NotHeld { entity, hash, sequence });
        }
    }
    Ok(())
}
