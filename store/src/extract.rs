//! The bytes of covered changes, taken out of their entity's snapshot.
//!
//! The one place where the store looks into a document: what it holds is asked for by hash, and every byte is the one that
//! was stored, since a change's hash is that of its bytes.

use crate::column::EntityRow;
use crate::error::StoreError;
use crate::snapshot::{self, First, Slot};
use afield_core::document::Document;
use afield_core::{ChangeHash, EntityId};
use rusqlite::Connection;

/// Every change of one entity's snapshot, in the memory that their bytes take.
#[derive(Debug)]
pub(crate) struct Extracted {
    pub(crate) entity: EntityId,
    pub(crate) heads: Vec<ChangeHash>,
    /// In the order of the hashes: where the bytes begin, and how many they are.
    index: Vec<(ChangeHash, usize, usize)>,
    bytes: Vec<u8>,
}

impl Extracted {
    /// What the entity's snapshot holds, from the first of its copies that can be read.
    ///
    /// # Errors
    ///
    /// [`StoreError::SnapshotDamaged`] when neither can, or the storage failed.
    pub(crate) fn of_entity(
        connection: &Connection,
        entity_row: EntityRow,
        entity: EntityId,
    ) -> Result<Self, StoreError> {
        let mut extracted = None;
        snapshot::each_sound(connection, entity_row, entity, First::Confirmed, |slot| {
            extracted = slot.and_then(|slot| Self::of_slot(entity, &slot));
            extracted.is_none()
        })?;
        extracted.ok_or(StoreError::SnapshotDamaged { entity })
    }

    /// What a snapshot holds; `None` when it does not load.
    pub(crate) fn of_slot(entity: EntityId, slot: &Slot) -> Option<Self> {
        let document = Document::load(entity, Some(&slot.snapshot.bytes), []).ok()?;
        let heads = document.heads();
        let changes = document.changes_since(&[]);
        drop(document);
        let mut extracted = Self { entity, heads, index: Vec::with_capacity(changes.len()), bytes: Vec::new() };
        for (hash, bytes) in changes {
            extracted.index.push((hash, extracted.bytes.len(), bytes.len()));
            extracted.bytes.extend_from_slice(&bytes);
        }
        extracted.index.sort_unstable();
        Some(extracted)
    }

    /// How many changes there are.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// The bytes of a change.
    pub(crate) fn bytes_of(&self, hash: &ChangeHash) -> Option<&[u8]> {
        let at = self.index.binary_search_by(|(other, _, _)| other.cmp(hash)).ok()?;
        let (_, start, length) = self.index.get(at)?;
        self.bytes.get(*start..start.checked_add(*length)?)
    }

    /// The bytes of a change that the snapshot stands for.
    ///
    /// # Errors
    ///
    /// [`StoreError::SnapshotDamaged`] when it does not hold that change.
    pub(crate) fn require(&self, hash: &ChangeHash) -> Result<Vec<u8>, StoreError> {
        let found = self.bytes_of(hash).map(<[u8]>::to_vec);
        found.ok_or(StoreError::SnapshotDamaged { entity: self.entity })
    }
}
