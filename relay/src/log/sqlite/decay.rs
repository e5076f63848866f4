//! Chunks whose bytes on the disk are no longer those that were accepted.

use super::row::SpaceRow;
use afield_core::SpaceId;
use afield_core::session::LogRun;
use std::collections::BTreeSet;

/// The most chunks that are noted at once. A disk that lost more needs a restored backup, which devices then repair; what
/// is noted is some hundred KiB.
const NOTED_MAX: usize = 16_384;

/// The positions of chunks that were found to have decayed, since the file was opened.
///
/// They count as missing: whoever pushes a change that depends on one is asked for it, and its bytes are replaced.
#[derive(Debug, Default)]
pub(super) struct Decayed(BTreeSet<i64>);

impl Decayed {
    /// Notes what has decayed of a run that was read, and tells the operator once about each.
    pub(super) fn note(&mut self, space: &SpaceRow, id: SpaceId, run: &LogRun) {
        for entry in run.decayed() {
            if self.0.len() < NOTED_MAX && self.0.insert(space.position(entry.sequence)) {
                tracing::warn!(
                    space = %id,
                    entity = %entry.entity,
                    sequence = entry.sequence.get(),
                    "a chunk has decayed on the disk; it is repaired when a device pushes it again"
                );
            }
        }
    }

    pub(super) fn holds(&self, position: i64) -> bool {
        self.0.contains(&position)
    }

    /// Forgets those whose bytes were found intact or replaced, once that is durable.
    pub(super) fn forget(&mut self, positions: &[i64]) {
        for position in positions {
            self.0.remove(position);
        }
    }
}
