//! Erasure records: the word that an entity was purged, for good and everywhere.
//!
//! A record says nothing that is not in its entity and its reason, so two devices that purge the same entity for the same
//! reason make the same bytes, and either is a duplicate of the other.

use crate::id::EntityId;
use crate::log::ChunkHash;
use automerge::ChangeHash;

/// The version of the form.
const VERSION: u8 = 1;
/// How many bytes a record has: version, entity and reason.
pub const ERASURE_BYTES: usize = 18;

/// Why an entity was purged. The number of a later version is kept as it is.
///
/// ```
/// use afield_core::ErasureReason;
///
/// let reason = ErasureReason::TRASH;
/// let words = if reason == ErasureReason::ASKED { "somebody purged it" } else { "it was in the trash for long" };
/// assert_eq!(words, "it was in the trash for long");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErasureReason(u8);

impl ErasureReason {
    /// Somebody asked for it.
    ///
    /// ```
    /// assert_eq!(afield_core::ErasureReason::ASKED.number(), 1);
    /// ```
    pub const ASKED: Self = Self(1);
    /// It was in the trash for longer than that keeps anything.
    ///
    /// ```
    /// assert_eq!(afield_core::ErasureReason::TRASH.number(), 2);
    /// ```
    pub const TRASH: Self = Self(2);

    /// The reason with this number; `None` for 0, which none has.
    ///
    /// ```
    /// use afield_core::ErasureReason;
    ///
    /// assert_eq!(ErasureReason::from_number(1), Some(ErasureReason::ASKED));
    /// assert_eq!(ErasureReason::from_number(0), None);
    /// assert!(ErasureReason::from_number(200).is_some()); // of a later version
    /// ```
    pub const fn from_number(number: u8) -> Option<Self> {
        if number == 0 { None } else { Some(Self(number)) }
    }

    /// The number of the reason.
    ///
    /// ```
    /// use afield_core::ErasureReason;
    ///
    /// assert_eq!(ErasureReason::TRASH.number(), 2);
    /// ```
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// An erasure record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Erasure {
    /// The entity that is no more.
    pub entity: EntityId,
    /// Why.
    pub reason: ErasureReason,
}

/// Why bytes are not an erasure record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ErasureError {
    /// They are of another length.
    #[error("an erasure record has {ERASURE_BYTES} bytes, and this one {found}")]
    Length {
        /// How many there are.
        found: usize,
    },
    /// A form of a later version.
    #[error("the erasure record has version {found}, and this side knows {VERSION}")]
    Version {
        /// Its version.
        found: u8,
    },
    /// It is about another entity than the one it is filed under.
    #[error("the erasure record names another entity")]
    OtherEntity,
    /// Its reason is 0.
    #[error("the erasure record names no reason")]
    NoReason,
}

impl Erasure {
    /// The record as a chunk.
    ///
    /// ```
    /// use afield_core::{EntityId, Erasure, ErasureReason};
    ///
    /// let entity = EntityId::from_bytes([6; 16]);
    /// let record = Erasure { entity, reason: ErasureReason::ASKED };
    /// assert_eq!(Erasure::read(entity, &record.to_bytes()), Ok(record));
    /// ```
    pub fn to_bytes(self) -> [u8; ERASURE_BYTES] {
        let mut bytes = [VERSION; ERASURE_BYTES];
        let (head, reason) = bytes.split_at_mut(ERASURE_BYTES - 1);
        head.split_at_mut(1).1.copy_from_slice(self.entity.as_bytes());
        reason.fill(self.reason.0);
        bytes
    }

    /// Reads the record that is filed under an entity.
    ///
    /// ```
    /// use afield_core::erasure::ErasureError;
    /// use afield_core::{EntityId, Erasure, ErasureReason};
    ///
    /// let entity = EntityId::from_bytes([6; 16]);
    /// let record = Erasure { entity, reason: ErasureReason::ASKED };
    /// assert_eq!(Erasure::read(entity, &record.to_bytes()), Ok(record));
    ///
    /// let other = EntityId::from_bytes([7; 16]);
    /// assert_eq!(Erasure::read(other, &record.to_bytes()), Err(ErasureError::OtherEntity));
    /// ```
    ///
    /// # Errors
    ///
    /// See [`ErasureError`].
    pub fn read(entity: EntityId, bytes: &[u8]) -> Result<Self, ErasureError> {
        let found = bytes.len();
        let bytes: &[u8; ERASURE_BYTES] = bytes.try_into().map_err(|_| ErasureError::Length { found })?;
        let [version, named @ .., reason] = bytes;
        if *version != VERSION {
            return Err(ErasureError::Version { found: *version });
        }
        if named != entity.as_bytes() {
            return Err(ErasureError::OtherEntity);
        }
        let reason = ErasureReason::from_number(*reason).ok_or(ErasureError::NoReason)?;
        Ok(Self { entity, reason })
    }

    /// What stands for the record where a change is named by its hash: that of its chunk.
    ///
    /// ```
    /// use afield_core::{EntityId, Erasure, ErasureReason};
    ///
    /// let entity = EntityId::from_bytes([6; 16]);
    /// let record = Erasure { entity, reason: ErasureReason::ASKED };
    /// let other = Erasure { reason: ErasureReason::TRASH, ..record };
    /// assert_ne!(record.hash(), other.hash());
    /// ```
    pub fn hash(self) -> ChangeHash {
        ChangeHash(*ChunkHash::of(&self.to_bytes()).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ENTITY: EntityId = EntityId::from_bytes([6; 16]);

    #[test]
    fn a_record_is_the_same_bytes_for_the_same_entity_and_reason_and_no_other() {
        let record = Erasure { entity: ENTITY, reason: ErasureReason::ASKED };
        assert_eq!(record.to_bytes(), Erasure { ..record }.to_bytes());
        assert_eq!(Erasure::read(ENTITY, &record.to_bytes()), Ok(record), "the control");
        let other = EntityId::from_bytes([7; 16]);
        assert_eq!(Erasure::read(other, &record.to_bytes()), Err(ErasureError::OtherEntity));
        let of_trash = Erasure { reason: ErasureReason::TRASH, ..record };
        assert_ne!((of_trash.to_bytes(), of_trash.hash()), (record.to_bytes(), record.hash()));
        let mut bytes = record.to_bytes();
        bytes[0] = 2;
        assert_eq!(Erasure::read(ENTITY, &bytes), Err(ErasureError::Version { found: 2 }));
        bytes = record.to_bytes();
        bytes[ERASURE_BYTES - 1] = 0;
        assert_eq!(Erasure::read(ENTITY, &bytes), Err(ErasureError::NoReason));
        assert_eq!(Erasure::read(ENTITY, &bytes[1..]), Err(ErasureError::Length { found: 17 }));
    }

    proptest! {
        #[test]
        fn fuzz_whatever_reads_as_a_record_is_written_as_the_same_bytes(
            bytes in prop::collection::vec(any::<u8>(), 0..40),
            reason in any::<u8>(),
        ) {
            let mut good = Erasure { entity: ENTITY, reason: ErasureReason::ASKED }.to_bytes();
            good[ERASURE_BYTES - 1] = reason;
            for bytes in [&bytes[..], &good] {
                if let Ok(record) = Erasure::read(ENTITY, bytes) {
                    prop_assert_eq!(&record.to_bytes()[..], bytes);
                }
            }
        }
    }
}
