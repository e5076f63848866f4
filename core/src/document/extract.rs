//! Taking every change out of a saved document that came from elsewhere, byte for byte.

use super::engine;
use crate::change::leb::{ReadFault, Reader};
use crate::change::{ChangeError, ChangeHeader, Column, ColumnType, HASH_BYTES, scan};
use crate::id::EntityId;
use crate::limits::{INFLATED_BYTES_MAX, Limits};
use automerge::ChangeHash;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The most operations of the snapshots of one message: four times what a long article takes. Beyond it changes travel.
const OPERATIONS_MAX: u64 = 1_000_000;
/// The most changes of the snapshots of one message: [`INFLATED_BYTES_MAX`] in changes of 64 bytes, hardly any being smaller.
const CHANGES_MAX: u64 = (INFLATED_BYTES_MAX / 64) as u64;
/// How many values a group may hold for each of its rows on average: dependencies and successors are rarely more than one.
const GROUPED_VALUES_PER_ROW: u64 = 4;
/// The most columns of each of the two kinds: Automerge 0.12 writes at most 16.
const COLUMNS_MAX: u64 = 32;
/// The number of the column whose runs count the operations.
const ACTION: u32 = crate::change::ACTION;
/// The number of the column whose runs count the changes: their actors.
const CHANGE_ACTOR: u32 = 0x01;
const DEFLATED: u32 = 0x08;
const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
const DOCUMENT: u8 = 0;

/// Why no changes can be taken out of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotFault {
    /// The bytes are no saved document, or more than one.
    #[error("the bytes are not one saved document")]
    NotADocument,
    /// A column is compressed by itself, or is of a kind that no document has.
    #[error("column {column} of the saved document is compressed or unknown")]
    Column {
        /// Its number.
        column: u32,
    },
    /// It would expand to more than is allowed.
    #[error("the saved document expands to {found} of what may be {maximum}")]
    TooLarge {
        /// How much, at the least.
        found: u64,
        /// How much is allowed.
        maximum: u64,
    },
    /// Its runs are broken.
    #[error("a column of the saved document is broken")]
    Runs(#[source] ChangeError),
    /// Automerge does not load it.
    #[error("the saved document does not load")]
    Load,
    /// It does not hold as many changes as were promised.
    #[error("the saved document holds {found} changes and not {needed}")]
    Count {
        /// How many were promised.
        needed: u64,
        /// How many there are.
        found: u64,
    },
    /// A change in it is not one that is accepted.
    #[error("a change of the saved document is not one that is accepted")]
    Change(#[source] ChangeError),
    /// Its changes are others than those that were promised.
    #[error("the changes of the saved document are not those that were promised")]
    Check,
}

impl From<ReadFault> for SnapshotFault {
    fn from(_: ReadFault) -> Self {
        Self::NotADocument
    }
}

/// The check of a snapshot: the leading bytes of BLAKE3 over the entity's id and the hashes of its changes in order.
///
/// ```
/// # use afield_core::document::{Document, EditContext, snapshot_check};
/// # use afield_core::{EntityId, Limits, Now};
/// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
/// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
/// document.edit(&by, &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
/// let hashes = document.changes_since(&[]).into_iter().map(|(hash, _)| hash);
/// let check = snapshot_check(document.entity(), hashes);
/// assert_ne!(check, snapshot_check(document.entity(), []));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn snapshot_check(entity: EntityId, hashes: impl IntoIterator<Item = ChangeHash>) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(entity.as_bytes());
    for hash in hashes {
        hasher.update(&hash.0);
    }
    let mut check = [0; 16];
    check.copy_from_slice(hasher.finalize().as_bytes().split_at(16).0);
    check
}

/// What the snapshots of one message may still take: a message may hold thousands of them, each of which expands to much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotBudget {
    operations: u64,
    changes: u64,
    bytes: usize,
}

impl SnapshotBudget {
    /// That of a whole message.
    pub const WHOLE: Self = Self { operations: OPERATIONS_MAX, changes: CHANGES_MAX, bytes: INFLATED_BYTES_MAX };

    /// Takes what a snapshot was counted to hold, and the bytes of its changes; answers whether there was room. Where there was
    /// not, nothing is taken.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext, SnapshotBudget, measure_snapshot};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// document.edit(&by, &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
    /// let extent = measure_snapshot(&document.save())?;
    /// let mut budget = SnapshotBudget::WHOLE;
    /// assert!(budget.take_snapshot(extent, 100));
    /// assert!(!budget.take_snapshot(extent, usize::MAX));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn take_snapshot(&mut self, extent: SnapshotExtent, changes_bytes: usize) -> bool {
        let mut left = *self;
        let fits = left.take(extent).is_ok() && left.take_bytes(changes_bytes).is_ok();
        if fits {
            *self = left;
        }
        fits
    }

    /// Takes what a saved document was counted to hold, before anything of it is expanded.
    fn take(&mut self, extent: SnapshotExtent) -> Result<(), SnapshotFault> {
        for (found, maximum) in [
            (extent.operations, self.operations),
            (extent.changes, self.changes),
            (extent.text_bytes, self.bytes as u64),
        ] {
            if found > maximum {
                return Err(SnapshotFault::TooLarge { found, maximum });
            }
        }
        self.operations -= extent.operations;
        self.changes -= extent.changes;
        Ok(())
    }

    fn take_bytes(&mut self, bytes: usize) -> Result<(), SnapshotFault> {
        let maximum = self.bytes as u64;
        let left = self.bytes.checked_sub(bytes);
        // One that did not fit leaves nothing to those after it.
        self.bytes = left.unwrap_or(0);
        left.map(drop).ok_or(SnapshotFault::TooLarge { found: bytes as u64, maximum })
    }
}

/// What a saved document holds, as counted from its runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotExtent {
    /// How many operations.
    pub operations: u64,
    /// How many changes.
    pub changes: u64,
    /// How many bytes of keys and messages, each counted as often as it is repeated.
    pub text_bytes: u64,
}

/// Takes every change out of a saved document, in the order in which it holds them, each as it was made. `count` is how many
/// it has to hold, and `check` the [`snapshot_check`] of their hashes.
///
/// What the document expands to is counted before Automerge sees it, and every change is read and hashed anew. It is all taken
/// from the `budget`, which is one for a message.
///
/// ```
/// # use afield_core::document::{Document, EditContext, SnapshotBudget, extract_changes, snapshot_check};
/// # use afield_core::{EntityId, Limits, Now};
/// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
/// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
/// let edited = document.edit(&by, &Limits::DEFAULT, |edit| edit.put("title", "Trip"))?;
/// let check = snapshot_check(document.entity(), document.changes_since(&[]).into_iter().map(|(hash, _)| hash));
/// let mut budget = SnapshotBudget::WHOLE;
/// let taken = extract_changes(document.entity(), &document.save(), 1, &check, &mut budget)?;
/// assert_eq!(taken[0].1, edited.changes[0].bytes);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// The bytes are not such a document. Nothing of it is to be believed then.
pub fn extract_changes(
    entity: EntityId,
    saved: &[u8],
    count: u64,
    check: &[u8; 16],
    budget: &mut SnapshotBudget,
) -> Result<Vec<(ChangeHeader, Vec<u8>)>, SnapshotFault> {
    let extent = measure_snapshot(saved)?;
    if extent.changes != count {
        return Err(SnapshotFault::Count { needed: count, found: extent.changes });
    }
    budget.take(extent)?;
    let loaded = catch_unwind(AssertUnwindSafe(|| {
        let engine = engine::load(saved).map_err(|_| SnapshotFault::Load)?;
        let changes = engine.get_changes(&[]);
        changes.iter().map(|change| taken_out(entity, change.raw_bytes(), budget)).collect()
    }));
    let changes: Vec<(ChangeHeader, Vec<u8>)> = loaded.unwrap_or(Err(SnapshotFault::Load))?;
    let found = changes.len() as u64;
    if found != count {
        return Err(SnapshotFault::Count { needed: count, found });
    }
    if snapshot_check(entity, changes.iter().map(|(header, _)| header.hash)) != *check {
        return Err(SnapshotFault::Check);
    }
    Ok(changes)
}

fn taken_out(
    entity: EntityId,
    bytes: &[u8],
    budget: &mut SnapshotBudget,
) -> Result<(ChangeHeader, Vec<u8>), SnapshotFault> {
    budget.take_bytes(bytes.len())?;
    let header = ChangeHeader::read_in(entity, bytes, &Limits::DEFAULT).map_err(SnapshotFault::Change)?;
    Ok((header, bytes.to_vec()))
}

/// Counts what a saved document expands to, without expanding it.
///
/// ```
/// # use afield_core::document::{Document, EditContext, measure_snapshot};
/// # use afield_core::{EntityId, Limits, Now};
/// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
/// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
/// document.edit(&by, &Limits::DEFAULT, |edit| {
///     edit.put("title", "Trip")?;
///     edit.put("done", false)
/// })?;
/// let extent = measure_snapshot(&document.save())?;
/// assert_eq!((extent.changes, extent.operations), (1, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// The bytes are not such a document.
pub fn measure_snapshot(saved: &[u8]) -> Result<SnapshotExtent, SnapshotFault> {
    let mut reader = Reader::new(saved, 0);
    if reader.array()? != MAGIC {
        return Err(SnapshotFault::NotADocument);
    }
    let _checksum: [u8; 4] = reader.array()?;
    if reader.byte()? != DOCUMENT || reader.unsigned()? != reader.remaining() as u64 {
        return Err(SnapshotFault::NotADocument);
    }
    let actors = reader.count(1)?;
    for _ in 0..actors {
        let length = reader.unsigned()?;
        reader.take(length)?;
    }
    let heads = reader.count(HASH_BYTES as u64)?;
    reader.take(heads.saturating_mul(HASH_BYTES as u64))?;
    let (changes, operations) = (columns(&mut reader)?, columns(&mut reader)?);
    let (changes, messages_bytes) = measure_columns(&changes, &mut reader, CHANGE_ACTOR, actors)?;
    let (operations, keys_bytes) = measure_columns(&operations, &mut reader, ACTION, actors)?;
    Ok(SnapshotExtent { operations, changes, text_bytes: messages_bytes.saturating_add(keys_bytes) })
}

/// Reads the numbers and lengths of columns.
fn columns(reader: &mut Reader<'_>) -> Result<Vec<(u32, u64)>, SnapshotFault> {
    let found = reader.count(2)?;
    if found > COLUMNS_MAX {
        return Err(SnapshotFault::TooLarge { found, maximum: COLUMNS_MAX });
    }
    let column = |reader: &mut Reader<'_>| {
        let number = u32::try_from(reader.unsigned()?).map_err(|_| SnapshotFault::NotADocument)?;
        if number & DEFLATED != 0 {
            return Err(SnapshotFault::Column { column: number });
        }
        Ok((number, reader.unsigned()?))
    };
    (0..found).map(|_| column(reader)).collect()
}

/// Walks the runs of columns that each have a row for every value of the one with the number `rows`; answers how many
/// rows that are, and how many bytes of text they hold.
fn measure_columns(
    columns: &[(u32, u64)],
    reader: &mut Reader<'_>,
    rows: u32,
    actors: u64,
) -> Result<(u64, u64), SnapshotFault> {
    let mut read = Vec::with_capacity(columns.len());
    for (number, length) in columns {
        let offset = reader.offset();
        read.push(Column { number: *number, offset, data: reader.take(*length)? });
    }
    let Some(counted) = read.iter().find(|column| column.number == rows) else { return Ok((0, 0)) };
    let rows = scan(counted, actors, OPERATIONS_MAX, &mut |_| {}).map_err(SnapshotFault::Runs)?.values;
    let grouped_max = rows.saturating_mul(GROUPED_VALUES_PER_ROW);
    let mut text_bytes = 0_u64;
    let mut group = None;
    for column in &read {
        let id = column.number >> 4;
        let maximum = group.filter(|(of, _)| *of == id).map_or(rows, |(_, values)| values);
        match column.column_type() {
            ColumnType::Group => {
                let extent = scan(column, actors, rows, &mut |_| {}).map_err(SnapshotFault::Runs)?;
                if extent.sum > grouped_max {
                    return Err(SnapshotFault::TooLarge { found: extent.sum, maximum: grouped_max });
                }
                group = Some((id, extent.sum));
            }
            ColumnType::Value => {}
            _ => {
                let extent = scan(column, actors, maximum, &mut |_| {}).map_err(SnapshotFault::Runs)?;
                if column.column_type() == ColumnType::Text {
                    text_bytes = text_bytes.saturating_add(extent.sum);
                }
            }
        }
    }
    let maximum = INFLATED_BYTES_MAX as u64;
    if text_bytes > maximum {
        return Err(SnapshotFault::TooLarge { found: text_bytes, maximum });
    }
    Ok((rows, text_bytes))
}

#[cfg(test)]
mod tests;
