//! What this device has not sent, given to another one, and what another one had not sent, taken in.

use super::Synchronization;
use super::receive::UNREADABLE;
use crate::driver::documents::lock;
use crate::driver::{Driver, DriverError};
use afield_core::session::ReceivedErasure;
use afield_core::wire::DecodedChunk;
use afield_core::{ChunkKind, Erasure, Now, Sequence, SpaceId};
use afield_store::{Handed, HandedChange, TakenOver, UnreadableChunk};

impl Driver {
    /// Stores some of what another device had not sent of a space, with its place in the outbox, and merges it as what came from
    /// elsewhere (invariant D7); a session that stands sends it. Nothing of a space that is not here is taken: `None`.
    pub(crate) fn take_over(
        &self,
        space: SpaceId,
        chunks: &[DecodedChunk],
        now: Now,
    ) -> Result<Option<TakenOver>, DriverError> {
        let mut sync = self.turn();
        if lock(&self.store).space(space)?.is_none() {
            return Ok(None);
        }
        let mut taken = TakenOver::default();
        let result = self.store_handed(&mut sync, space, chunks, &mut taken, now);
        let result = result.and_then(|()| self.merge_received(&mut sync, now));
        let result = result.and_then(|()| self.judge_what_is_over(&mut sync, now));
        if taken.added > 0 {
            lock(&self.edited).insert(space);
        }
        let result = result.and_then(|()| self.pump(&mut sync, now));
        self.finish(&mut sync, result, now)?;
        drop(sync);
        if !taken.erased.is_empty() {
            // What comes now takes long, and concerns nobody else's entities.
            self.erase_traces(now);
        }
        Ok(Some(taken))
    }

    fn store_handed(
        &self,
        sync: &mut Synchronization,
        space: SpaceId,
        chunks: &[DecodedChunk],
        taken: &mut TakenOver,
        now: Now,
    ) -> Result<(), DriverError> {
        let Sorted { changes, erasures, unreadable } = sorted(chunks);
        let records: Vec<_> = erasures.iter().map(|erasure| (erasure.record, &erasure.collection)).collect();
        let handed = Handed { space, changes: &changes, erasures: &records, unreadable: &unreadable };
        let mut store = lock(&self.store);
        *taken = store.take_over(&handed, now.wall_ms)?;
        self.forget_erased(&mut store, &taken.erased);
        drop(store);
        self.note_held_purges(space, &taken.held);
        let faults = unreadable.iter().map(|chunk| (chunk.entity, "it is no change".to_owned())).collect();
        Self::tell_unreadable(sync, space, faults);
        self.tell_erased(sync, space, (&taken.erased, &erasures));
        if taken.foreign > 0 {
            tracing::warn!(%space, chunks = taken.foreign, "quarantined chunks of entities that live in another space");
        }
        sync.unmerged.extend(taken.fresh.iter().copied());
        Ok(())
    }
}

/// What was handed over, as the store takes it.
struct Sorted<'c> {
    changes: Vec<HandedChange<'c>>,
    erasures: Vec<ReceivedErasure>,
    unreadable: Vec<UnreadableChunk<'c>>,
}

fn sorted(chunks: &[DecodedChunk]) -> Sorted<'_> {
    let (mut changes, mut erasures, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
    for chunk in chunks {
        let DecodedChunk { entity, collection, kind, bytes, header } = chunk;
        match (kind, header) {
            (ChunkKind::Change, Ok(header)) => {
                changes.push(HandedChange { entity: *entity, collection, hash: header.hash, bytes });
            }
            (ChunkKind::Erasure, _) if let Ok(record) = Erasure::read(*entity, bytes) => {
                erasures.push(ReceivedErasure { record, collection: collection.clone(), sequence: None });
            }
            _ => unreadable.push(UnreadableChunk {
                entity: *entity,
                kind: kind.number(),
                sequence: Sequence::ZERO,
                reason: UNREADABLE,
                bytes,
            }),
        }
    }
    Sorted { changes, erasures, unreadable }
}
