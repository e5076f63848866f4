//! Which changes a device knows by their places in the log.

use crate::id::EntityId;
use crate::log::Sequence;
use automerge::ChangeHash;
use std::collections::VecDeque;

/// How many changes a space's session remembers, the newest ones, some 60 bytes each: what is typed now depends on what
/// came a moment ago. What is not remembered is named by its hash.
const KNOWN_MAX: usize = 256;

/// The newest changes of a space of which the relay has told this session where they stand.
#[derive(Debug, Default)]
pub(super) struct KnownPlaces(VecDeque<(EntityId, ChangeHash, Sequence)>);

impl KnownPlaces {
    pub(super) fn note(&mut self, entity: EntityId, hash: ChangeHash, sequence: Sequence) {
        if self.0.len() >= KNOWN_MAX {
            self.0.pop_back();
        }
        self.0.push_front((entity, hash, sequence));
    }

    pub(super) fn find(&self, entity: EntityId, hash: ChangeHash) -> Option<Sequence> {
        let is_it = |known: &&(EntityId, ChangeHash, Sequence)| known.1 == hash && known.0 == entity;
        self.0.iter().find(is_it).map(|(_, _, sequence)| *sequence)
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
        assert_eq!(known.find(entity, hash(1_000)), Some(Sequence::new(1_000)));
        assert_eq!(known.find(entity, hash(745)), Some(Sequence::new(745)));
        assert_eq!(known.find(entity, hash(744)), None);
        assert_eq!(known.find(other, hash(1_000)), None, "of this entity alone");
    }
}
