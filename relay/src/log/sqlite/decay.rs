//! Chunks whose bytes on the disk are no longer those that were accepted.

use super::row::SpaceRow;
use afield_core::EntityId;
use afield_core::session::LogRun;
use std::collections::BTreeSet;

/// The most chunks that are noted at once. A disk that lost more needs a restored backup, which devices then repair; what
/// is noted is some hundred KiB.
const NOTED_MAX: usize = 16_384;

/// The chunks that were found to have decayed since the file was opened: their entities, and their positions.
///
/// They count as missing: whoever pushes a change that rests on one is asked for it, and its bytes are replaced.
#[derive(Debug, Default)]
pub(super) struct Decayed(BTreeSet<Decay>);

/// The entity and the position of a chunk that has decayed.
pub(super) type Decay = (EntityId, i64);

impl Decayed {
    /// Notes what has decayed of a run that was read.
    pub(super) fn note_read(&mut self, space: &SpaceRow, run: &LogRun) {
        run.decayed().for_each(|entry| self.note((entry.entity, space.position(entry.sequence))));
    }

    /// Notes a chunk, and tells the operator once.
    pub(super) fn note(&mut self, decay: Decay) {
        let (entity, position) = decay;
        if self.0.len() < NOTED_MAX && self.0.insert(decay) {
            tracing::warn!(
                %entity,
                sequence = SpaceRow::sequence(position).get(),
                "a chunk has decayed on the disk; it is repaired when a device pushes it again"
            );
        }
    }

    pub(super) fn holds(&self, decay: Decay) -> bool {
        self.0.contains(&decay)
    }

    /// Whether any chunk of an entity of a space was noted.
    pub(super) fn holds_any(&self, space: &SpaceRow, entity: EntityId) -> bool {
        let (before, end) = SpaceRow::positions(space.number);
        self.0.range((entity, before)..=(entity, end)).next().is_some()
    }

    /// Forgets those whose bytes were found intact or replaced, once that is durable.
    pub(super) fn forget(&mut self, intact: &[Decay]) {
        for decay in intact {
            self.0.remove(decay);
        }
    }
}
