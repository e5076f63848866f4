//! What all of an entity's old part is compared by, for an operator who asks whether a log is whole.

use super::{Archive, Segment};
use crate::log::LogError;
use crate::log::sqlite::row::SpaceRow;
use afield_core::ChunkKind;

/// What a snapshot gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::log::sqlite) enum SnapshotCheck {
    /// There is none.
    Absent,
    /// All that it stands for.
    Whole,
    /// Not the chunk at this position, or nothing at all.
    Damaged(Option<i64>),
}

impl Segment {
    /// Whether some of it was found again from the rest.
    pub(in crate::log::sqlite) fn is_mended(&self) -> bool {
        self.is_mended
    }
}

impl Archive<'_, '_> {
    /// Takes the snapshot of an entity apart, and compares what is in it with the hashes that entered the chain.
    pub(in crate::log::sqlite) fn check_snapshot(&self, entity: i64) -> Result<SnapshotCheck, LogError> {
        if self.snapshot_hash(entity)?.is_none() {
            return Ok(SnapshotCheck::Absent);
        }
        let Some(snapshot) = self.snapshot(entity)? else { return Ok(SnapshotCheck::Damaged(None)) };
        let Some(extracted) = self.extracted(&snapshot) else { return Ok(SnapshotCheck::Damaged(None)) };
        for position in snapshot.positions() {
            let segment = self.outline(position)?;
            let place = segment.as_ref().and_then(|segment| segment.place(position));
            let is_there = place.is_some_and(|place| {
                place.number == entity && place.kind == ChunkKind::Change && extracted.change(place.hash).is_some()
            });
            if !is_there {
                return Ok(SnapshotCheck::Damaged(Some(position)));
            }
        }
        Ok(SnapshotCheck::Whole)
    }

    /// The position at which the last segment of a space ends.
    pub(in crate::log::sqlite) fn packed_end(&self, space: i64) -> Result<i64, LogError> {
        let (before, end) = SpaceRow::positions(space);
        let sql = "SELECT coalesce(max(last), ?1) FROM segments WHERE last > ?1 AND last <= ?2";
        Ok(self.transaction.statement(sql)?.query_row([before, end], |row| row.get(0))?)
    }

    /// Hands over the packed changes of an entity that are readable, in the order of the log, until `take` has enough.
    pub(in crate::log::sqlite) fn packed_changes(
        &self,
        (space, entity): (i64, i64),
        take: &mut dyn FnMut(Vec<u8>) -> bool,
    ) -> Result<(), LogError> {
        let (before, _) = SpaceRow::positions(space);
        for (last, first) in self.segments_by_changes(entity, before)? {
            let Some(segment) = self.segment(last)? else { continue };
            for (position, place) in segment.places_from(first) {
                if place.number == entity
                    && place.kind == ChunkKind::Change
                    && let Some(bytes) = self.bytes(position, place)?
                    && !take(bytes)
                {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
