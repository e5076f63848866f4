//! From the wire to the store, and from there into the documents.

use super::{Link, Synchronization};
use crate::driver::acknowledged::Acknowledged;
use crate::driver::documents::lock;
use crate::driver::{Driver, DriverError};
use crate::status::SyncEvent;
use afield_core::document::VERDICT_RULES;
use afield_core::session::{Advance, DeviceEvent, Proof, ReceivedChunk};
use afield_core::wire::ChunkCode;
use afield_core::{ChangeHash, EntityId, Now, SpaceId};
use afield_store::{Block, Reason, ReceivedChange, Run, UnreadableChunk};

/// How many entities may wait to be merged while messages keep coming, so that a long catch-up shows as it goes: about
/// 5 s of merging.
const UNMERGED_ENTITIES_MAX: usize = 50_000;
/// Why a chunk is quarantined that is not a change at all.
const UNREADABLE: Reason = Reason { number: 1, rules: VERDICT_RULES };

impl Driver {
    /// Handles messages of the relay, in order: stores what they bring, the chunks of all messages in as few transactions
    /// as can be.
    ///
    /// What was stored is merged by [`Driver::handle_idle`], to be called once no more messages have arrived: merging
    /// costs in proportion to the document once per batch, so that one batch per entity is made of all that queued
    /// meanwhile. It is merged here only where somebody is about to be told that the space is caught up, and whenever
    /// very much has come.
    ///
    /// # Errors
    ///
    /// The store failed; the session ended and is tried again later.
    pub fn handle_messages<'m>(
        &self,
        messages: impl IntoIterator<Item = &'m [u8]>,
        now: Now,
    ) -> Result<(), DriverError> {
        let mut sync = lock(&self.sync);
        let result = self.take_in(&mut sync, messages, now);
        let result = result.and_then(|()| self.pump(&mut sync, now));
        if let Err(error) = &result {
            self.store_failed(&mut sync, error, now);
        }
        self.publish(&sync, now);
        result
    }

    fn take_in<'m>(
        &self,
        sync: &mut Synchronization,
        messages: impl IntoIterator<Item = &'m [u8]>,
        now: Now,
    ) -> Result<(), DriverError> {
        let mut pending = None;
        let mut failure = None;
        for message in messages {
            sync.traffic.messages_received += 1;
            sync.traffic.bytes_received += message.len() as u64;
            let Some(session) = sync.session() else { break };
            let handled = session.handle_message(message, now);
            while let Some(event) = sync.session().and_then(afield_core::session::DeviceSession::poll_event) {
                self.handle_event(sync, event, &mut pending, now)?;
            }
            if let Err(error) = handled {
                failure = Some(error);
                break;
            }
        }
        self.flush(sync, &mut pending, now)?;
        if sync.unmerged.len() >= UNMERGED_ENTITIES_MAX {
            self.merge_received(sync, now)?;
        }
        if let Some(error) = failure {
            self.broken(sync, &error, now);
        }
        Ok(())
    }

    /// Whether something was stored that is not merged yet: call [`Driver::handle_idle`] once nothing more has arrived.
    pub fn wants_idle(&self) -> bool {
        !lock(&self.sync).unmerged.is_empty()
    }

    /// Merges what was received into the documents, one batch per entity, and tells who watches them.
    ///
    /// # Errors
    ///
    /// The store failed; the session ended and is tried again later.
    pub fn handle_idle(&self, now: Now) -> Result<(), DriverError> {
        let mut sync = lock(&self.sync);
        let result = self.merge_received(&mut sync, now);
        match &result {
            Ok(()) => self.note_in_step(&mut sync, now),
            Err(error) => self.store_failed(&mut sync, error, now),
        }
        self.publish(&sync, now);
        result
    }

    pub(super) fn merge_received(&self, sync: &mut Synchronization, now: Now) -> Result<(), DriverError> {
        let result = self.merge(std::mem::take(&mut sync.unmerged), now);
        // The next session merges what the store could not take now.
        sync.is_behind |= result.is_err();
        result
    }

    fn handle_event(
        &self,
        sync: &mut Synchronization,
        event: DeviceEvent,
        pending: &mut Option<Advance>,
        now: Now,
    ) -> Result<(), DriverError> {
        match event {
            DeviceEvent::Advance(advance) => {
                if pending.as_ref().is_some_and(|pending| pending.space != advance.space) {
                    self.flush(sync, pending, now)?;
                }
                match pending {
                    Some(pending) => lengthen(pending, advance),
                    None => *pending = Some(advance),
                }
                return Ok(());
            }
            DeviceEvent::Receipted { changes, .. } => {
                changes.iter().for_each(|proof| self.acknowledgements.tell(proof.hash, Acknowledged::Durable));
                return Ok(());
            }
            _ => self.flush(sync, pending, now)?,
        }
        match event {
            DeviceEvent::Welcome(welcome) => {
                sync.backoff.succeeded();
                sync.last_error = None;
                let _ = lock(&self.store).confirm(self.incarnation)?;
                tracing::info!(session = %welcome.session, "sync.started");
                self.emit(SyncEvent::Connected);
            }
            DeviceEvent::Opened { space, cursor } => {
                let _ = lock(&self.store).set_log(space, cursor.log)?;
            }
            DeviceEvent::Proven { space, proofs } => self.mark(space, &proofs)?,
            DeviceEvent::Reset { space, cursor } => self.reset(sync, space, cursor.log)?,
            DeviceEvent::CaughtUp { space } => {
                self.merge_received(sync, now)?;
                tracing::debug!(%space, "sync.completed");
                if let Some(state) = sync.spaces.get_mut(&space) {
                    state.refusals.succeeded();
                    state.closes = (0, 0);
                    state.raw = false;
                }
                self.emit(SyncEvent::CaughtUp { space });
            }
            DeviceEvent::ChunkRefused { space, entity, hash, code, missing } => {
                self.refused(sync, Refusal { space, entity, hash, code, missing }, now)?;
            }
            DeviceEvent::SpaceRefused { space, code, retry_after_ms } => {
                tracing::warn!(%space, %code, "sync.blocked: the relay does not serve the space");
                if let Some(state) = sync.spaces.get_mut(&space) {
                    state.refused = Some(code.to_string());
                    let wait_ms = state.refusals.failed(retry_after_ms, &mut **lock(&self.entropy));
                    state.ask_again_ms = Some(now.monotonic_ms.saturating_add(wait_ms));
                }
                self.emit(SyncEvent::SpaceRefused { space, code });
            }
            DeviceEvent::Advance(_) | DeviceEvent::Receipted { .. } => {}
        }
        Ok(())
    }

    /// Stores what has come so far of one space: chunks, proofs and cursor in one transaction (invariant D2).
    fn flush(&self, sync: &mut Synchronization, pending: &mut Option<Advance>, now: Now) -> Result<(), DriverError> {
        let Some(advance) = pending.take() else { return Ok(()) };
        let Advance { space, from, to, received, proofs } = advance;
        let (changes, unreadable): (Vec<_>, Vec<_>) =
            received.iter().partition(|chunk| chunk.header.is_ok() && chunk.collection.is_some());
        for chunk in &unreadable {
            self.tell_unreadable(space, chunk);
        }
        let changes: Vec<_> = changes.into_iter().filter_map(received_change).collect();
        let unreadable: Vec<_> = unreadable.into_iter().map(unreadable_chunk).collect();
        let run = Run {
            space,
            expected: from,
            cursor_after: to,
            received: &changes,
            unreadable: &unreadable,
            proofs: &proofs,
        };
        let outcome = lock(&self.store).receive(&run, now.wall_ms)?;
        if outcome.foreign > 0 {
            tracing::warn!(%space, chunks = outcome.foreign, "quarantined chunks of entities that live in another space");
        }
        sync.unmerged.extend(outcome.fresh);
        proofs.iter().for_each(|proof| self.acknowledgements.tell(proof.hash, Acknowledged::Durable));
        if let Some(state) = sync.spaces.get_mut(&space)
            && to.sequence.get() > state.closes.0
        {
            state.closes = (to.sequence.get(), 0);
        }
        Ok(())
    }

    fn tell_unreadable(&self, space: SpaceId, chunk: &ReceivedChunk) {
        let reason = chunk.header.as_ref().err().map_or_else(String::new, ToString::to_string);
        tracing::warn!(%space, entity = %chunk.entity, sequence = %chunk.sequence, reason, "quarantined a chunk");
        self.emit(SyncEvent::Quarantined { space, entity: chunk.entity, reason });
    }

    fn mark(&self, space: SpaceId, proofs: &[Proof]) -> Result<(), DriverError> {
        lock(&self.store).mark(space, proofs)?;
        Ok(())
    }

    /// The Reset of the outbox rule: one transaction, then everything held is offered again.
    fn reset(&self, sync: &mut Synchronization, space: SpaceId, log: afield_core::LogId) -> Result<(), DriverError> {
        let cursor = lock(&self.store).reset(space, log)?;
        tracing::warn!(%space, %log, "the relay had lost history of this space: everything held here is offered again");
        if let Link::Up { session } = &mut sync.link {
            session.reopen(space, &cursor);
        }
        Self::rescan(sync, space);
        self.emit(SyncEvent::Reset { space });
        Ok(())
    }

    fn refused(&self, sync: &mut Synchronization, refusal: Refusal, now: Now) -> Result<(), DriverError> {
        let Refusal { space, entity, hash, code, missing } = refusal;
        let first_time = sync.spaces.get_mut(&space).is_some_and(|state| state.repaired.insert(entity));
        let mut store = lock(&self.store);
        if code == ChunkCode::MissingDependencies && first_time && store.held(entity, &missing)?.len() == missing.len()
        {
            let _ = store.unmark(entity, &missing)?;
            drop(store);
            Self::rescan(sync, space);
            return Ok(());
        }
        if code != ChunkCode::Blocked {
            let _ = store.block(&Block { entity, code, hash, missing, since_ms: now.wall_ms })?;
            tracing::warn!(%space, %entity, change = %hash, %code, "the relay refused a change; the entity's later changes wait");
            self.emit(SyncEvent::ChangeRefused { space, entity, code });
        }
        self.acknowledgements.tell(hash, Acknowledged::Refused(code));
        Ok(())
    }

    fn store_failed(&self, sync: &mut Synchronization, error: &DriverError, now: Now) {
        if let Link::Up { .. } = sync.link {
            let ended = afield_core::session::SessionError::Ended {
                code: afield_core::wire::GoodbyeCode::Internal,
                retry_after_ms: None,
            };
            self.broken(sync, &ended, now);
        }
        sync.last_error = Some((error.to_string(), error.class()));
    }
}

/// Appends the run that follows.
fn lengthen(run: &mut Advance, next: Advance) {
    run.to = next.to;
    run.received.extend(next.received);
    run.proofs.extend(next.proofs);
}

fn received_change(chunk: &ReceivedChunk) -> Option<ReceivedChange<'_>> {
    let (Ok(header), Some(collection)) = (&chunk.header, &chunk.collection) else { return None };
    let ReceivedChunk { entity, sequence, bytes, .. } = chunk;
    Some(ReceivedChange { entity: *entity, collection, hash: header.hash, sequence: *sequence, bytes })
}

fn unreadable_chunk(chunk: &ReceivedChunk) -> UnreadableChunk<'_> {
    let ReceivedChunk { entity, sequence, kind, bytes, .. } = chunk;
    UnreadableChunk { entity: *entity, kind: *kind, sequence: *sequence, reason: UNREADABLE, bytes }
}

struct Refusal {
    space: SpaceId,
    entity: EntityId,
    hash: ChangeHash,
    code: ChunkCode,
    missing: Vec<ChangeHash>,
}
