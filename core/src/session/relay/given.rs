//! Which snapshots a reader was given.

use super::run::LogSnapshot;
use crate::filter::Filter;
use crate::id::EntityId;
use crate::limits::FETCHES_MAX;
use crate::log::Sequence;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// The most entities of one space for which it is remembered (invariant R8): some 400 KiB. Beyond it those are forgotten whose
/// snapshots reach least far, which costs sending some of it again.
const REMEMBERED_MAX: usize = 4_096;

/// Up to which sequence a reader holds everything of an entity, since its session sent it a snapshot that covers that.
///
/// A snapshot stands for every chunk of its entity up to its last sequence, so what the log holds of the entity up to there
/// need not travel again to this reader in this session.
#[derive(Debug, Clone, Default)]
pub struct GivenSnapshots {
    by_entity: BTreeMap<EntityId, Sequence>,
    /// The same by sequence.
    by_sequence: BTreeSet<(Sequence, EntityId)>,
}

impl GivenSnapshots {
    /// Up to where the snapshot that was given stands for an entity's chunks; zero where none was.
    pub fn upto(&self, entity: EntityId) -> Sequence {
        self.by_entity.get(&entity).copied().unwrap_or(Sequence::ZERO)
    }

    /// Notes what was given.
    pub(super) fn note(&mut self, snapshots: &[LogSnapshot]) {
        for snapshot in snapshots {
            self.note_one(snapshot.entity, snapshot.last.sequence);
        }
    }

    fn note_one(&mut self, entity: EntityId, covered: Sequence) {
        let before = self.by_entity.insert(entity, covered.max(self.upto(entity)));
        self.by_sequence.remove(&(before.unwrap_or(Sequence::ZERO), entity));
        self.by_sequence.insert((self.upto(entity), entity));
        if self.by_entity.len() > REMEMBERED_MAX
            && let Some((_, entity)) = self.by_sequence.pop_first()
        {
            self.by_entity.remove(&entity);
        }
    }

    /// Forgets what a reader has behind it.
    pub(super) fn forget_up_to(&mut self, sequence: Sequence) {
        while let Some((covered, entity)) = self.by_sequence.first().copied()
            && covered <= sequence
        {
            self.by_sequence.pop_first();
            self.by_entity.remove(&entity);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_entity.is_empty()
    }
}

/// What the last pages gave that a device may go on from.
///
/// Who asks for the same from the end of a page on has stored that page; nothing else shows that it has.
#[derive(Debug, Default)]
pub(super) struct GivenPages(VecDeque<GivenPage>);

#[derive(Debug)]
struct GivenPage {
    filter: Arc<Filter>,
    upto: Sequence,
    snapshots: Arc<GivenSnapshots>,
}

impl GivenPages {
    /// What was given before the page that goes on after a sequence.
    pub(super) fn before(&self, filter: &Filter, after: Sequence) -> Arc<GivenSnapshots> {
        let found = self.0.iter().find(|page| page.upto == after && *page.filter == *filter);
        found.map(|page| Arc::clone(&page.snapshots)).unwrap_or_default()
    }

    /// Notes a page that leads from one sequence to another.
    pub(super) fn note(
        &mut self,
        filter: &Arc<Filter>,
        (after, upto): (Sequence, Sequence),
        before: Option<&Arc<GivenSnapshots>>,
        snapshots: &[LogSnapshot],
    ) {
        let is_ambiguous = self.0.iter().any(|page| page.upto == upto && *page.filter == **filter);
        self.0.retain(|page| *page.filter != **filter || (page.upto != after && page.upto != upto));
        let mut given = before.map(|before| GivenSnapshots::clone(before)).unwrap_or_default();
        given.note(snapshots);
        given.forget_up_to(upto);
        if is_ambiguous || given.is_empty() {
            return;
        }
        if self.0.len() >= FETCHES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(GivenPage { filter: Arc::clone(filter), upto, snapshots: Arc::new(given) });
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_is_remembered_up_to_a_limit_and_what_reaches_least_far_goes_first() {
        let mut given = GivenSnapshots::default();
        let entity = |number: usize| EntityId::from_bytes((number as u128).to_be_bytes());
        for number in 1..=REMEMBERED_MAX {
            given.note_one(entity(number), Sequence::new(number as u64));
        }
        given.note_one(entity(1), Sequence::new(9_000));
        given.note_one(entity(2), Sequence::new(1));
        assert_eq!([1, 2, 3].map(|number| given.upto(entity(number)).get()), [9_000, 2, 3]);
        given.note_one(entity(0), Sequence::new(5_000));
        let left = [0, 1, 2, 3].map(|number| given.upto(entity(number)).get());
        assert_eq!(left, [5_000, 9_000, 0, 3], "one of four thousand is forgotten");
        given.forget_up_to(Sequence::new(4_096));
        assert_eq!((given.by_entity.len(), given.by_sequence.len()), (2, 2));
        given.forget_up_to(Sequence::new(9_000));
        assert!(given.is_empty());
    }
}
