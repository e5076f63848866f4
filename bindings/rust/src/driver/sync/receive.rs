//! From the wire to the store, and from there into the documents.

use super::directions::let_go;
use super::fetch::asked;
use super::link::may_create;
use super::refusal::Refusal;
use super::{Link, Synchronization};
use crate::driver::documents::lock;
use crate::driver::merge::ENTITIES_PER_SETTLEMENT_MAX;
use crate::driver::{Driver, DriverError};
use crate::status::SyncEvent;
use afield_core::document::VERDICT_RULES;
use afield_core::filter::Filter;
use afield_core::limits::SPACES_PER_SESSION_MAX;
use afield_core::session::{Advance, DeviceEvent, Proof, ReceivedChunk, SessionError, UnusableSnapshot};
use afield_core::wire::{GoodbyeCode, SpaceCode};
use afield_core::{ChunkKind, EntityId, LogId, Now, Role, Sequence, SpaceId};
use afield_store::{LeftOut, Reason, ReceivedChange, ReceivedErasure, Run, UnreadableChunk};

/// How many entities and bytes may wait to be merged while messages keep coming, so that a long catch-up shows as it
/// goes: some seconds of merging.
const UNMERGED_ENTITIES_MAX: usize = 25_000;
const UNMERGED_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Why a chunk is quarantined that is not a change at all.
pub(super) const UNREADABLE: Reason = Reason { number: 1, rules: VERDICT_RULES };

impl Driver {
    /// Handles messages of the relay, in order: stores what they bring, the chunks of all messages in as few transactions
    /// as can be.
    ///
    /// What was stored is merged by [`Driver::handle_idle`], to be called once no more messages have arrived: merging
    /// costs in proportion to the document once per batch, so that one batch per entity is made of all that queued
    /// meanwhile. It is merged here only where somebody is about to be told that the space is caught up, and whenever
    /// very much has come.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Driver, Entropy, Now, SpaceId};
    /// # use afield_core::wire::{self, Goodbye, GoodbyeCode, ToDevice};
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// driver.enable_sync(now);
    /// driver.handle_connected(now)?;
    /// let goodbye = Goodbye { code: GoodbyeCode::GoingAway, retry_after_ms: Some(5_000) };
    /// let message = wire::encode_to_device(&ToDevice::Goodbye(goodbye)); // as a socket brings it
    /// driver.handle_messages([message.as_slice()], now)?;
    /// assert!(driver.poll_timeout() >= Some(5_000)); // then it comes back by itself
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store failed; the session ended and is tried again later.
    pub fn handle_messages<'m>(
        &self,
        messages: impl IntoIterator<Item = &'m [u8]>,
        now: Now,
    ) -> Result<(), DriverError> {
        let mut sync = self.turn();
        let result = self.take_in(&mut sync, messages, now);
        let result = result.and_then(|()| self.judge_what_is_over(&mut sync, now));
        let result = result.and_then(|()| self.pump(&mut sync, now));
        self.finish(&mut sync, result, now)
    }

    fn take_in<'m>(
        &self,
        sync: &mut Synchronization,
        messages: impl IntoIterator<Item = &'m [u8]>,
        now: Now,
    ) -> Result<(), DriverError> {
        let mut step = Step::default();
        let mut failure = None;
        for message in messages {
            sync.traffic.messages_received += 1;
            sync.traffic.bytes_received += message.len() as u64;
            let Some(session) = sync.session() else { break };
            let handled = session.handle_message(message, now);
            while let Some(event) = sync.session().and_then(afield_core::session::DeviceSession::poll_event) {
                self.handle_event(sync, event, &mut step, now)?;
            }
            if let Err(error) = handled {
                failure = Some(error);
                break;
            }
        }
        self.flush(sync, &mut step, now)?;
        self.file_refusals(sync, step.refusals, now)?;
        if sync.unmerged.len() >= UNMERGED_ENTITIES_MAX || sync.unmerged_bytes >= UNMERGED_BYTES_MAX {
            self.merge_received(sync, now)?;
        }
        if let Some(error) = failure {
            self.broken(sync, &error, now);
        }
        Ok(())
    }

    /// Whether something was stored that is not merged yet, or has grown enough to be compacted: call [`Driver::handle_idle`] once nothing more has arrived.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Driver, EntityId, Entropy, Now, SpaceId};
    /// # use afield_core::wire::{self, Channel, Opened, ToDevice, Welcome};
    /// # use afield_core::{Cursor, Limits, LogId};
    /// # use afield_core::document::{Document, EditContext};
    /// # use afield_core::log::{ChunkHash, ChunkKind};
    /// # use afield_core::wire::{BatchChunk, Chunks, Segment};
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// # let entity = EntityId::from_bytes([2; 16]);
    /// # let cursor = Cursor::start(LogId::from_bytes([3; 16]));
    /// # let welcome = wire::encode_to_device(&ToDevice::Welcome(Welcome {
    /// #     version: wire::PROTOCOL_VERSION,
    /// #     session: afield::SessionId::from_bytes([4; 16]),
    /// #     limits: Limits::DEFAULT,
    /// #     spaces: Vec::new(),
    /// #     may_create: true,
    /// #     signals: true,
    /// # }));
    /// # let opened = wire::encode_to_device(&ToDevice::Opened(Opened { channel: Channel(0), log: cursor.log, role: None }));
    /// # let mut theirs = Document::new(entity);
    /// # let context = EditContext { fresh: true, ..EditContext::new(vec![7; 16].into(), now) };
    /// # let made = theirs.edit(&context, &Limits::DEFAULT, |edit| edit.put("title", "Milk"))?;
    /// # let (bytes, kind) = (made.changes[0].bytes.as_slice(), ChunkKind::Change);
    /// # let batch = wire::encode_batch([BatchChunk { entity, collection: &"notes".parse()?, kind, bytes }]);
    /// # let check = cursor.then(entity, kind.number(), ChunkHash::of(bytes)).chain.check().into();
    /// # let (channel, after, segments) = (Channel(0), cursor.sequence, vec![Segment::Batch(&batch)]);
    /// # let chunks = Chunks { channel, after, segments, check, left: None };
    /// # let chunks = wire::encode_to_device(&ToDevice::Chunks(chunks));
    /// # driver.enable_sync(now);
    /// # driver.handle_connected(now)?;
    /// # driver.handle_messages([welcome.as_slice(), opened.as_slice()], now)?;
    /// driver.handle_messages([chunks.as_slice()], now)?; // of the relay, with what somebody else wrote
    /// assert!(driver.wants_idle());
    /// driver.handle_idle(now)?;
    /// assert!(!driver.wants_idle());
    /// # Ok(())
    /// # }
    /// ```
    pub fn wants_idle(&self) -> bool {
        let sync = lock(&self.sync);
        let is_on = !matches!(sync.link, Link::Off);
        !sync.unmerged.is_empty()
            || !lock(&self.unfinished).is_empty()
            || is_on && (self.wants_compaction() || self.are_traces_due())
    }

    /// Merges what was received into some of the documents, one batch per entity, and tells who watches them; once nothing
    /// is left to merge, compacts an entity that has grown.
    ///
    /// Call it again while [`Driver::wants_idle`] says so, and look for messages in between: an entity whose next changes
    /// arrive before its turn is merged once and not once per message.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Driver, EntityId, Entropy, Existence, Now, SpaceId, Target};
    /// # use afield_core::wire::{self, Channel, Opened, ToDevice, Welcome};
    /// # use afield_core::{Cursor, Limits, LogId};
    /// # use afield_core::document::{Document, EditContext};
    /// # use afield_core::log::{ChunkHash, ChunkKind};
    /// # use afield_core::wire::{BatchChunk, Chunks, Segment};
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// # let entity = EntityId::from_bytes([2; 16]);
    /// # let target = Target { space, collection: "notes".parse()?, entity, existence: Existence::Either };
    /// # let cursor = Cursor::start(LogId::from_bytes([3; 16]));
    /// # let welcome = wire::encode_to_device(&ToDevice::Welcome(Welcome {
    /// #     version: wire::PROTOCOL_VERSION,
    /// #     session: afield::SessionId::from_bytes([4; 16]),
    /// #     limits: Limits::DEFAULT,
    /// #     spaces: Vec::new(),
    /// #     may_create: true,
    /// #     signals: true,
    /// # }));
    /// # let opened = wire::encode_to_device(&ToDevice::Opened(Opened { channel: Channel(0), log: cursor.log, role: None }));
    /// # let mut theirs = Document::new(entity);
    /// # let context = EditContext { fresh: true, ..EditContext::new(vec![7; 16].into(), now) };
    /// # let made = theirs.edit(&context, &Limits::DEFAULT, |edit| edit.put("title", "Milk"))?;
    /// # let (bytes, kind) = (made.changes[0].bytes.as_slice(), ChunkKind::Change);
    /// # let batch = wire::encode_batch([BatchChunk { entity, collection: &"notes".parse()?, kind, bytes }]);
    /// # let check = cursor.then(entity, kind.number(), ChunkHash::of(bytes)).chain.check().into();
    /// # let (channel, after, segments) = (Channel(0), cursor.sequence, vec![Segment::Batch(&batch)]);
    /// # let chunks = Chunks { channel, after, segments, check, left: None };
    /// # let chunks = wire::encode_to_device(&ToDevice::Chunks(chunks));
    /// # driver.enable_sync(now);
    /// # driver.handle_connected(now)?;
    /// # driver.handle_messages([welcome.as_slice(), opened.as_slice()], now)?;
    /// driver.handle_messages([chunks.as_slice()], now)?; // of the relay, with what somebody else wrote
    /// while driver.wants_idle() {
    ///     driver.handle_idle(now)?; // looking for messages in between
    /// }
    /// let title = driver.read_document(&target, now, |document| document.read_at("title"))??;
    /// assert_eq!(title, Some("Milk".into()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store failed; the session ended and is tried again later.
    pub fn handle_idle(&self, now: Now) -> Result<(), DriverError> {
        let mut sync = self.turn();
        if sync.unmerged.is_empty() && lock(&self.unfinished).is_empty() {
            // Nothing has arrived that somebody waits to see. Saving a document needs no lock but its own.
            drop(sync);
            if self.are_traces_due() {
                self.erase_traces(now);
                return Ok(());
            }
            let Err(error) = self.compact_next(now) else { return Ok(()) };
            return self.finish(&mut self.turn(), Err(error.into()), now);
        }
        let result = self.merge_some(&mut sync, ENTITIES_PER_SETTLEMENT_MAX, now);
        let result = result.and_then(|()| self.judge_what_is_over(&mut sync, now));
        let result = result.and_then(|()| self.pump(&mut sync, now));
        if result.is_ok() {
            self.note_in_step(&mut sync, now);
        }
        self.finish(&mut sync, result, now)
    }

    /// Merges everything received.
    pub(super) fn merge_received(&self, sync: &mut Synchronization, now: Now) -> Result<(), DriverError> {
        self.merge_some(sync, usize::MAX, now)
    }

    fn merge_some(&self, sync: &mut Synchronization, entities_max: usize, now: Now) -> Result<(), DriverError> {
        sync.unmerged.append(&mut lock(&self.unfinished));
        let later = sync.unmerged.iter().nth(entities_max).copied();
        let later = later.map(|first| sync.unmerged.split_off(&first)).unwrap_or_default();
        let result = self.merge(std::mem::replace(&mut sync.unmerged, later), now);
        // One merge does a bounded amount of work for an entity: the next turn goes on with the rest.
        sync.unmerged.append(&mut lock(&self.unfinished));
        if result.is_err() {
            // The next session merges what the store could not take now.
            sync.is_behind = true;
            sync.unmerged.clear();
        }
        if sync.unmerged.is_empty() {
            sync.unmerged_bytes = 0;
        }
        result
    }

    fn handle_event(
        &self,
        sync: &mut Synchronization,
        event: DeviceEvent,
        step: &mut Step,
        now: Now,
    ) -> Result<(), DriverError> {
        match event {
            DeviceEvent::Advance(advance) => {
                if step.run.as_ref().is_some_and(|run| run.space != advance.space) {
                    self.flush(sync, step, now)?;
                }
                match &mut step.run {
                    Some(run) => lengthen(run, advance),
                    None => step.run = Some(advance),
                }
                return Ok(());
            }
            DeviceEvent::Receipted { space, changes, stored } => {
                sync.did_not_move(space, changes.len().saturating_sub(stored));
                self.acknowledgements.tell_durable(changes.iter().map(|proof| proof.hash));
                self.tell_progress(sync, space, now);
                return Ok(());
            }
            DeviceEvent::Signalled(signal) => {
                self.hear(*signal, now);
                return Ok(());
            }
            _ => self.flush(sync, step, now)?,
        }
        match event {
            DeviceEvent::Welcome(welcome) => {
                sync.last_error = None;
                let _ = lock(&self.store).confirm(self.incarnation)?;
                tracing::info!(session = %welcome.session, "the session stands");
                sync.say(SyncEvent::Connected);
            }
            DeviceEvent::Opened { space, cursor, role } => {
                let _ = lock(&self.store).set_log(space, cursor.log, role)?;
                self.invitation_is_served(sync, (space, role))?;
            }
            DeviceEvent::Proven { space, proofs } => self.mark(space, &proofs)?,
            DeviceEvent::Fetched(page) => self.take_page(sync, *page, now)?,
            DeviceEvent::Seen { space, sequence } => self.note_seen(space, sequence)?,
            DeviceEvent::Reset { space, cursor, unanswered } => {
                sync.did_not_move(space, unanswered);
                self.forget_presence(Some(space));
                self.reset(sync, space, cursor.log, now)?;
            }
            DeviceEvent::CaughtUp { space, role } => {
                self.merge_received(sync, now)?;
                self.invitation_is_served(sync, (space, role))?;
                // What was refused before is filed first: a role that is higher now lifts it.
                self.file_refusals(sync, std::mem::take(&mut step.refusals), now)?;
                self.note_role(sync, space, role, now)?;
                self.settle_what_was_left(now);
                sync.backoff.succeeded();
                tracing::debug!(%space, "caught up");
                if let Some(state) = sync.spaces.get_mut(&space) {
                    state.refusals.succeeded();
                    state.closes = (0, 0);
                    (state.raw, state.is_told) = (false, true);
                }
                sync.say(SyncEvent::CaughtUp { space });
            }
            DeviceEvent::ChunkRefused { space, push, entity, hash, code, missing } => {
                step.refusals.push(Refusal { space, push, entity, hash, code, missing });
            }
            DeviceEvent::SpaceRefused { space, code, retry_after_ms } => {
                tracing::warn!(%space, %code, "the relay does not serve the space");
                self.note_lost(sync, space, code)?;
                self.forget_presence(Some(space));
                if let Some(state) = sync.spaces.get_mut(&space) {
                    state.refused = Some(self.reason_of(code, state));
                    let wait_ms = state.refusals.failed(retry_after_ms, &mut **lock(&self.entropy));
                    state.ask_again_ms = Some(now.monotonic_ms.saturating_add(wait_ms));
                    state.relay_asked_until_ms = retry_after_ms.map(|wait_ms| now.monotonic_ms.saturating_add(wait_ms));
                }
                sync.say(SyncEvent::SpaceRefused { space, code });
            }
            DeviceEvent::Advance(_) | DeviceEvent::Receipted { .. } | DeviceEvent::Signalled(_) => {}
        }
        Ok(())
    }

    /// Stores that the relay knows no such space for this device any more, where that is new. To an owner's device, which would have made
    /// it again, a relay that has no room for one more answers with `Quota`: so it does where a session has too many spaces or its filters name
    /// too many entities, of which this device knows.
    fn note_lost(&self, sync: &Synchronization, space: SpaceId, code: SpaceCode) -> Result<(), DriverError> {
        let mut store = lock(&self.store);
        let Some(record) = store.space(space)? else { return Ok(()) };
        let is_unknown = match code {
            SpaceCode::UnknownOrForbidden => true,
            SpaceCode::Quota => {
                let (filter, _) = asked(&store, space)?;
                let names_entities = matches!(&filter, Filter::Only(selection) if !selection.entities.is_empty());
                may_create(&record) && sync.spaces.len() <= SPACES_PER_SESSION_MAX && !names_entities
            }
            _ => false,
        };
        if is_unknown && record.cursor.is_some() && !record.is_lost {
            let _ = store.set_lost(space)?;
        }
        Ok(())
    }

    /// Stores what the relay says that this device may do with a space, where that is new. What was refused of somebody who could only
    /// read goes on where he or she may write now, and what strategies decide is decided.
    fn note_role(&self, sync: &mut Synchronization, space: SpaceId, role: Role, now: Now) -> Result<(), DriverError> {
        let mut store = lock(&self.store);
        let Some(record) = store.space(space)? else { return Ok(()) };
        if !record.is_lost && record.role == Some(role) {
            return Ok(());
        }
        store.set_role(space, role)?;
        tracing::info!(%space, %role, "what this device may do with the space was told");
        if record.role == Some(Role::Reader) && role > Role::Reader {
            store.unblock(space)?;
            drop(store);
            Self::rescan(sync, space);
            self.settle_standing(space, None, now)?;
        }
        Ok(())
    }

    /// Stores what has come so far of one space: chunks, proofs and cursor in one transaction (invariant D2).
    fn flush(&self, sync: &mut Synchronization, step: &mut Step, now: Now) -> Result<(), DriverError> {
        let Some(mut advance) = step.run.take() else { return Ok(()) };
        let_go(&lock(&self.store), &mut advance)?;
        let Advance { space, from, to, received, erasures, proofs, is_whole, announced, unusable } = advance;
        let Arrived { changes, unreadable, bytes, faults } = Self::arrived(&received, &unusable);
        let refetched: Vec<_> = unusable.iter().map(|snapshot| snapshot.entity).collect();
        let left_out = LeftOut { announced: &announced, refetched: &refetched };
        let records: Vec<_> = erasures.iter().map(stored_erasure).collect();
        let run = Run {
            space,
            expected: from,
            cursor_after: to,
            received: &changes,
            erasures: &records,
            unreadable: &unreadable,
            proofs: &proofs,
            left_out: (!is_whole).then_some(left_out),
        };
        let mut store = lock(&self.store);
        let outcome = store.receive(&run, now.wall_ms)?;
        self.forget_erased(&mut store, &outcome.erased);
        drop(store);
        self.note_taken(space, &outcome);
        self.note_held_purges(space, &outcome.held);
        Self::tell_unreadable(sync, space, faults);
        self.tell_erased(sync, space, (&outcome.erased, &erasures));
        if outcome.foreign > 0 {
            tracing::warn!(%space, chunks = outcome.foreign, "quarantined chunks of entities that live in another space");
        }
        sync.unmerged.extend(outcome.fresh);
        sync.unmerged_bytes = sync.unmerged_bytes.saturating_add(bytes);
        self.note_received(sync, space, (received.len(), outcome.added), bytes, now);
        // Also what this device made and pushed in an earlier session comes back as anybody's.
        let durable = proofs.iter().map(|proof| proof.hash).chain(changes.iter().map(|change| change.hash));
        self.note_marked(durable.clone());
        self.acknowledgements.tell_durable(durable);
        if let Some(state) = sync.spaces.get_mut(&space) {
            state.are_fetches_known &= refetched.is_empty();
            if to.sequence.get() > state.closes.0 {
                state.closes = (to.sequence.get(), 0);
            }
        }
        if !refetched.is_empty() {
            // It does not have all of the log any more up to the cursor, and must not be counted among those that do.
            let filter = lock(&self.store).asked_filter(space)?;
            if let Some(session) = sync.session() {
                session.set_filter(space, filter, true);
            }
        }
        // What this device pushed itself is news to nobody, unless it gave a relay back what others had made.
        let is_news = !received.is_empty()
            || !erasures.is_empty()
            || sync.spaces.get(&space).is_some_and(|state| state.has_been_reset);
        if let Some(session) = sync.session().filter(|_| is_news) {
            session.stored(space, to.sequence, now);
        }
        Ok(self.tell_sightings()?)
    }

    /// Sorts what came into changes and what is none.
    pub(super) fn arrived<'r>(received: &'r [ReceivedChunk], unusable: &'r [UnusableSnapshot]) -> Arrived<'r> {
        let (changes, unreadable): (Vec<_>, Vec<_>) =
            received.iter().partition(|chunk| chunk.header.is_ok() && chunk.collection.is_some());
        let why = |chunk: &ReceivedChunk| chunk.header.as_ref().err().map_or_else(String::new, ToString::to_string);
        let faults = unreadable.iter().map(|chunk| (chunk.entity, why(chunk)));
        let faults =
            faults.chain(unusable.iter().map(|snapshot| (snapshot.entity, snapshot.fault.to_string()))).collect();
        let snapshots = unusable.iter().map(|snapshot| UnreadableChunk {
            entity: snapshot.entity,
            kind: ChunkKind::Snapshot.number(),
            sequence: Sequence::ZERO,
            reason: UNREADABLE,
            bytes: &snapshot.bytes,
        });
        Arrived {
            changes: changes.into_iter().filter_map(received_change).collect(),
            unreadable: unreadable.into_iter().map(unreadable_chunk).chain(snapshots).collect(),
            bytes: received.iter().map(|chunk| chunk.bytes.len()).sum(),
            faults,
        }
    }

    /// Tells of what was put into the quarantine because it is no change.
    pub(super) fn tell_unreadable(sync: &mut Synchronization, space: SpaceId, faults: Vec<(EntityId, String)>) {
        for (entity, reason) in faults {
            tracing::warn!(%space, %entity, reason, "quarantined a chunk");
            sync.say(SyncEvent::Quarantined { space, entity, reason });
        }
    }

    fn mark(&self, space: SpaceId, proofs: &[Proof]) -> Result<(), DriverError> {
        lock(&self.store).mark(space, proofs)?;
        self.note_marked(proofs.iter().map(|proof| proof.hash));
        Ok(self.tell_sightings()?)
    }

    /// The Reset of the outbox rule: one transaction, then everything held is offered again.
    fn reset(&self, sync: &mut Synchronization, space: SpaceId, log: LogId, now: Now) -> Result<(), DriverError> {
        let cursor = lock(&self.store).reset(space, log, now.wall_ms)?;
        let filter = lock(&self.store).asked_filter(space)?;
        self.forget_seen(Some(space));
        tracing::warn!(%space, %log, "the relay had lost history of this space: everything held here is offered again");
        if let Some(session) = sync.session() {
            session.reopen(space, &cursor, filter, now);
        }
        if let Some(state) = sync.spaces.get_mut(&space) {
            state.forget_fetches();
            state.has_been_reset = true;
        }
        Self::rescan(sync, space);
        sync.say(SyncEvent::Reset { space });
        Ok(())
    }

    /// Ends what was asked of sync: a failure of the store ends the session, which is tried again later, and whoever
    /// looks or waits is told how things stand.
    pub(in crate::driver) fn finish(
        &self,
        sync: &mut Synchronization,
        result: Result<(), DriverError>,
        now: Now,
    ) -> Result<(), DriverError> {
        if let Err(error) = &result {
            if let Link::Up { .. } = sync.link {
                let ended = SessionError::Ended { code: GoodbyeCode::Internal, retry_after_ms: None };
                self.broken(sync, &ended, now);
            }
            sync.last_error = Some((error.to_string(), error.class()));
        }
        self.publish(sync, now);
        if self.leave_what_is_done(sync, now) {
            self.publish(sync, now);
        }
        self.keep_history(sync, now);
        result
    }
}

/// What the messages of one call have brought and is not stored yet.
#[derive(Default)]
struct Step {
    run: Option<Advance>,
    refusals: Vec<Refusal>,
}

/// Appends the run that follows.
fn lengthen(run: &mut Advance, next: Advance) {
    run.to = next.to;
    run.received.extend(next.received);
    run.erasures.extend(next.erasures);
    run.proofs.extend(next.proofs);
    run.is_whole &= next.is_whole;
    run.announced.extend(next.announced);
    run.unusable.extend(next.unusable);
}

/// An erasure record, as the store takes it.
pub(super) fn stored_erasure(erasure: &afield_core::session::ReceivedErasure) -> ReceivedErasure<'_> {
    let afield_core::session::ReceivedErasure { record, collection, sequence } = erasure;
    ReceivedErasure { record: *record, collection, sequence: *sequence }
}

/// What came, as the store takes it.
pub(super) struct Arrived<'r> {
    pub(super) changes: Vec<ReceivedChange<'r>>,
    pub(super) unreadable: Vec<UnreadableChunk<'r>>,
    /// How many bytes it has.
    pub(super) bytes: usize,
    /// Why something is no change.
    pub(super) faults: Vec<(EntityId, String)>,
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
