//! Which snapshots a reader was given.

use super::run::LogSnapshot;
use crate::filter::Filter;
use crate::id::EntityId;
use crate::limits::FETCHES_MAX;
use crate::log::Sequence;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The most entities of one space for which it is remembered. Beyond it everything is forgotten, which costs sending some of it
/// again (invariant R8): some 200 KiB.
const REMEMBERED_MAX: usize = 4_096;

/// Up to which sequence a reader holds everything of an entity, since its session sent it a snapshot that covers that.
///
/// A snapshot stands for every chunk of its entity up to its last sequence, so what the log holds of the entity up to there
/// need not travel again to this reader in this session.
#[derive(Debug, Clone, Default)]
pub struct GivenSnapshots(BTreeMap<EntityId, Sequence>);

impl GivenSnapshots {
    /// Up to where the snapshot that was given stands for an entity's chunks; zero where none was.
    pub fn upto(&self, entity: EntityId) -> Sequence {
        self.0.get(&entity).copied().unwrap_or(Sequence::ZERO)
    }

    /// Notes what was given.
    pub(super) fn note(&mut self, snapshots: &[LogSnapshot]) {
        for snapshot in snapshots {
            if self.0.len() >= REMEMBERED_MAX {
                self.0.clear();
            }
            let covered = self.0.entry(snapshot.entity).or_insert(Sequence::ZERO);
            *covered = snapshot.last.sequence.max(*covered);
        }
    }

    /// Forgets what a reader has behind it.
    pub(super) fn forget_up_to(&mut self, sequence: Sequence) {
        self.0.retain(|_, covered| *covered > sequence);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
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
