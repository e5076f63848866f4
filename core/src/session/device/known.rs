//! Which changes a device knows by their places in the log.

use crate::id::EntityId;
use crate::log::Sequence;
use automerge::ChangeHash;
use std::collections::VecDeque;

/// How many changes a space's session remembers, the newest ones, some 60 bytes each: what is typed now depends on what
/// came a moment ago. What is not remembered is named by its hash.
const KNOWN_MAX: usize = 256;
/// How far behind the end of what this device has of the log a change may stand to be named by its place. The relay keeps
/// what is near the end at hand.
const BEHIND_MAX: u64 = 128;
/// No log is longer, so whoever says that a change stands above is not to be followed. It is the relay's bound.
const SEQUENCE_MAX: u64 = 1 << 40;

/// The newest changes of a space of which the relay has told this session where they stand.
#[derive(Debug, Default)]
pub(super) struct KnownPlaces(VecDeque<(EntityId, ChangeHash, Sequence)>);

impl KnownPlaces {
    pub(super) fn note(&mut self, entity: EntityId, hash: ChangeHash, sequence: Sequence) {
        if sequence.get() > SEQUENCE_MAX {
            return;
        }
        if self.0.len() >= KNOWN_MAX {
            self.0.pop_back();
        }
        self.0.push_front((entity, hash, sequence));
    }

    /// Where a change stands, near the end of what the device has of the log.
    pub(super) fn find(&self, entity: EntityId, hash: ChangeHash, end: Sequence) -> Option<Sequence> {
        let is_it = |known: &&(EntityId, ChangeHash, Sequence)| known.1 == hash && known.0 == entity;
        let sequence = self.0.iter().find(is_it).map(|(_, _, sequence)| *sequence);
        sequence.filter(|sequence| end.get().saturating_sub(sequence.get()) <= BEHIND_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_known_and_the_oldest_make_room() {
        let (entity, other) = (EntityId::from_bytes([1; 16]), EntityId::from_bytes([2; 16]));
        let hash = |number: u64| {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&number.to_le_bytes());
            ChangeHash(hash)
        };
        let mut known = KnownPlaces::default();
        (1..=1_000).for_each(|number| known.note(entity, hash(number), Sequence::new(number)));
        assert_eq!(known.0.len(), KNOWN_MAX, "R8");
        let find = |entity, number, end| known.find(entity, hash(number), Sequence::new(end));
        assert_eq!(find(entity, 1_000, 1_000), Some(Sequence::new(1_000)));
        assert_eq!(find(entity, 745, 800), Some(Sequence::new(745)));
        assert_eq!(find(entity, 744, 800), None, "it had to make room");
        assert_eq!(find(other, 1_000, 1_000), None, "of this entity alone");
        assert_eq!(find(entity, 900, 1_028), Some(Sequence::new(900)));
        assert_eq!(find(entity, 900, 1_029), None, "it is far behind");
        known.note(other, hash(1), Sequence::new((1 << 40) + 1));
        assert_eq!(known.find(other, hash(1), Sequence::new(1)), None, "no log is that long");
    }
}
