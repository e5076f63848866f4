//! From the newest changes back.

use super::HistoryChange;
use crate::document::attribution;
use crate::document::engine::operations_of;
use crate::document::undo::Undoes;
use automerge::{Automerge, ChangeHash, ChangeMetadata};
use std::collections::{BTreeMap, BTreeSet};

/// The changes of a document from some heads back, each before those that it depends on.
pub(in crate::document) struct Walk<'e> {
    engine: &'e Automerge,
    queue: BTreeMap<Rank, ChangeMetadata<'e>>,
    seen: BTreeSet<ChangeHash>,
}

/// A change has a higher rank than those that it depends on: its operations are numbered after all of theirs. One without
/// operations, which joins others, has the number of the last of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    max_op: u64,
    joins: bool,
    sequence: u64,
    hash: ChangeHash,
}

impl<'e> Walk<'e> {
    pub(in crate::document) fn new(engine: &'e Automerge, heads: Vec<ChangeHash>) -> Self {
        let mut walk = Self { engine, queue: BTreeMap::new(), seen: BTreeSet::new() };
        walk.queue(heads);
        walk
    }

    /// The changes that the next steps begin with.
    pub(super) fn rest(self) -> Vec<ChangeHash> {
        self.queue.into_values().map(|change| change.hash).collect()
    }

    fn queue(&mut self, hashes: Vec<ChangeHash>) {
        for hash in hashes {
            if self.seen.insert(hash)
                && let Some(change) = self.engine.get_change_meta_by_hash(&hash)
            {
                let joins = operations_of(&change) == 0;
                let rank = Rank { max_op: change.max_op, joins, sequence: change.seq, hash };
                self.queue.insert(rank, change);
            }
        }
    }
}

impl<'e> Iterator for Walk<'e> {
    type Item = ChangeMetadata<'e>;

    fn next(&mut self) -> Option<Self::Item> {
        let (_, change) = self.queue.pop_last()?;
        self.queue(change.deps.clone());
        Some(change)
    }
}

impl HistoryChange {
    pub(super) fn of(engine: &Automerge, change: ChangeMetadata<'_>) -> Self {
        let mut attribution = attribution::of_change(engine, &change);
        let undoes = attribution.message.as_deref().and_then(Undoes::parse);
        attribution.message = attribution.message.filter(|_| undoes.is_none());
        let operations = operations_of(&change);
        Self { hash: change.hash, attribution, operations, undoes, dependencies: change.deps }
    }
}
