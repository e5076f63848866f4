//! Positions in a space's log: sequence, chain hash and cursor.

use crate::id::{EntityId, LogId};
use minicbor::{Decode, Encode};
use std::fmt;

/// A position in a log, from 1, without gaps; 0 is the position before the first chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Sequence(#[n(0)] u64);

impl Sequence {
    /// The position before the first chunk.
    pub const ZERO: Self = Self(0);

    /// The position with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number of the position.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The position `count` chunks later. Saturates, which no log reaches.
    #[must_use]
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }

    /// The next position.
    #[must_use]
    pub const fn next(self) -> Self {
        self.plus(1)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What a chunk is; the number is part of the chain and of the wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ChunkKind {
    /// One Automerge change, uncompressed.
    Change = 1,
    /// A snapshot that covers changes. Reserved: a relay of this version refuses it.
    Snapshot = 2,
    /// An [erasure record](crate::Erasure): its entity was purged.
    Erasure = 3,
    /// An encrypted chunk. Reserved: a relay of this version refuses it.
    Sealed = 4,
}

impl ChunkKind {
    /// The kind with this number, if there is one.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Change),
            2 => Some(Self::Snapshot),
            3 => Some(Self::Erasure),
            4 => Some(Self::Sealed),
            _ => None,
        }
    }

    /// The number of the kind.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// BLAKE3 of a chunk's bytes as the relay accepted them, before batching or compression.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChunkHash([u8; 32]);

impl ChunkHash {
    /// The hash of these bytes.
    pub fn of(chunk: &[u8]) -> Self {
        Self(*blake3::hash(chunk).as_bytes())
    }

    /// A hash that was computed earlier.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of the hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The chain hash at a sequence: it names the whole history of the log up to there.
///
/// `chain(0) = BLAKE3(log id)`, and `chain(n) = BLAKE3(chain(n-1) ‖ n ‖ entity id ‖ kind ‖ chunk hash)` with `n` as
/// eight little-endian bytes and the kind as one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainHash([u8; 32]);

/// How many leading bytes of a chain hash travel with a `Chunks` or `CaughtUp` frame as a check.
///
/// The reader computes the whole hash itself; eight bytes make an accidental match a matter of 2⁻⁶⁴.
pub const CHAIN_CHECK_BYTES: usize = 8;

impl ChainHash {
    /// The chain hash before the first chunk of a log.
    pub fn start(log: LogId) -> Self {
        Self(*blake3::hash(log.as_bytes()).as_bytes())
    }

    /// The chain hash after one more chunk, which stands at `sequence` and whose kind has this number.
    ///
    /// The kind is a number and not a [`ChunkKind`], so that a chunk of a later version can be followed too.
    #[must_use]
    pub fn then(self, sequence: Sequence, entity: EntityId, kind: u8, chunk: ChunkHash) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0);
        hasher.update(&sequence.get().to_le_bytes());
        hasher.update(entity.as_bytes());
        hasher.update(&[kind]);
        hasher.update(chunk.as_bytes());
        Self(*hasher.finalize().as_bytes())
    }

    /// A hash that was computed earlier.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of the hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The leading bytes that travel as a check.
    pub fn check(&self) -> [u8; CHAIN_CHECK_BYTES] {
        let mut check = [0; CHAIN_CHECK_BYTES];
        check.copy_from_slice(self.0.split_at(CHAIN_CHECK_BYTES).0);
        check
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.check().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChunkHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

macro_rules! bytes_32_cbor {
    ($name:ident) => {
        impl<C> Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.bytes(&self.0)?.ok()
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                let position = d.position();
                <[u8; 32]>::try_from(d.bytes()?).map(Self).map_err(|_| {
                    minicbor::decode::Error::message(concat!(stringify!($name), " needs 32 bytes")).at(position)
                })
            }
        }
    };
}

bytes_32_cbor!(ChainHash);
bytes_32_cbor!(ChunkHash);

/// How far a device has a log: which log, which sequence, and the chain hash there.
///
/// A relay serves incrementally only from a cursor that matches its log; any other is answered with a Reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(map)]
pub struct Cursor {
    /// The lineage of the log.
    #[n(0)]
    pub log: LogId,
    /// The last sequence that the device has.
    #[n(1)]
    pub sequence: Sequence,
    /// The chain hash at that sequence.
    #[n(2)]
    pub chain: ChainHash,
}

impl Cursor {
    /// The position before the first chunk of a log.
    pub fn start(log: LogId) -> Self {
        Self { log, sequence: Sequence::ZERO, chain: ChainHash::start(log) }
    }

    /// The cursor after one more chunk of the kind with this number.
    #[must_use]
    pub fn then(self, entity: EntityId, kind: u8, chunk: ChunkHash) -> Self {
        let sequence = self.sequence.next();
        Self { log: self.log, sequence, chain: self.chain.then(sequence, entity, kind, chunk) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_names_position_entity_kind_and_bytes() {
        let start = Cursor::start(LogId::from_bytes([1; 16]));
        let entity = EntityId::from_bytes([2; 16]);
        let chunk = ChunkHash::of(b"chunk");
        let one = start.then(entity, ChunkKind::Change.number(), chunk);
        assert_eq!(one.sequence, Sequence::new(1));
        let others = [
            Cursor::start(LogId::from_bytes([9; 16])).then(entity, ChunkKind::Change.number(), chunk),
            start.then(EntityId::from_bytes([9; 16]), ChunkKind::Change.number(), chunk),
            start.then(entity, ChunkKind::Snapshot.number(), chunk),
            start.then(entity, ChunkKind::Change.number(), ChunkHash::of(b"other")),
        ];
        assert!(others.iter().all(|other| other.chain != one.chain));
        assert_ne!(one.then(entity, ChunkKind::Change.number(), chunk).chain, one.chain);
    }
}
