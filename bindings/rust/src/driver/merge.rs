//! Merging what came from others, in a guarded way.

use super::conflicts::worked_out;
use super::documents::{Documents, OpenEntity, Taken, lock};
use super::projection::project_unless_large;
use super::{Driver, DriverError, EntityError};
use crate::status::{Merged, SyncEvent};
use afield_core::document::{Incoming, Replay, VERDICT_RULES, Verdict};
use afield_core::limits::{WAITING_BYTES_MAX, WAITING_CHUNKS_MAX};
use afield_core::{ChangeHash, EntityId, Limits, Now};
use afield_store::{ChangeState, Reason, Settled, Settlement, StoreError, StoredChange};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How many entities share one transaction when their received changes are settled: each is kept from being edited while
/// the others are merged, a few milliseconds for small ones.
pub(super) const ENTITIES_PER_SETTLEMENT_MAX: usize = 32;
/// The reason number of a chunk that is one too many of those that wait for dependencies.
const TOO_MANY_WAITING: u16 = 2;
/// The reason numbers of the document's own verdicts start here.
const DOCUMENT_REASONS: u16 = 100;

/// A document taken out, with the stored changes that are not part of it yet.
pub(super) struct Unsettled<'d> {
    pub(super) taken: Taken<'d>,
    pub(super) changes: Vec<StoredChange>,
}

impl Driver {
    /// Merges everything received for these entities: one batch per entity, one transaction for many entities.
    ///
    /// An entity that cannot be opened keeps its received changes in the store and disturbs no other.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub(super) fn merge(&self, entities: BTreeSet<EntityId>, now: Now) -> Result<(), DriverError> {
        let mut entities: Vec<_> = entities.into_iter().collect();
        while !entities.is_empty() {
            let roomier = self.merge_once(&entities, now)?;
            entities.clear();
            for entity in roomier {
                if lock(&self.store).retry_quarantined(entity, TOO_MANY_WAITING)? > 0 {
                    entities.push(entity);
                }
            }
        }
        // What came is stored by now, whatever becomes of this.
        self.settle_by_strategy(now);
        Ok(())
    }

    /// Answers with the entities in which changes no longer wait, so that there is room for others to wait.
    fn merge_once(&self, entities: &[EntityId], now: Now) -> Result<Vec<EntityId>, DriverError> {
        let mut roomier = Vec::new();
        for some in entities.chunks(ENTITIES_PER_SETTLEMENT_MAX) {
            let mut unsettled = Vec::with_capacity(some.len());
            let mut busy = Vec::new();
            for entity in some {
                match self.documents.try_take(*entity) {
                    Some(taken) => unsettled.extend(self.received(taken)?),
                    None => busy.push(*entity),
                }
            }
            roomier.extend(self.settle(&mut unsettled, now)?);
            drop(unsettled);
            // Whoever has one of these may be waiting for one of the others, so they are waited for one at a time.
            for entity in busy {
                let mut unsettled: Vec<_> = self.received(self.documents.wait_for(entity))?.into_iter().collect();
                roomier.extend(self.settle(&mut unsettled, now)?);
            }
        }
        Ok(roomier)
    }

    /// What has to be merged into a document; nothing when the entity cannot be opened, which disturbs no other.
    fn received<'d>(&self, taken: Taken<'d>) -> Result<Option<Unsettled<'d>>, DriverError> {
        let entity = taken.entity();
        match self.unsettled(taken) {
            Ok(found) => Ok(found),
            Err(EntityError::Store(error)) if !error.is_damage() => Err(error.into()),
            Err(error) => {
                tracing::error!(%entity, %error, "received changes wait: the entity cannot be opened");
                Ok(None)
            }
        }
    }

    /// Merges what was received before the last end of the process.
    pub(super) fn merge_pending(&self, now: Now) -> Result<(), DriverError> {
        let mut after = None;
        loop {
            let pending = lock(&self.store).pending(after, ENTITIES_PER_SETTLEMENT_MAX)?;
            let Some(last) = pending.last() else { return Ok(()) };
            after = Some(*last);
            self.merge(pending.into_iter().filter(|entity| !self.is_held_back(*entity)).collect(), now)?;
        }
    }

    /// What the store holds for an entity beyond its document, loading the document first where that is needed.
    fn unsettled<'d>(&self, mut taken: Taken<'d>) -> Result<Option<Unsettled<'d>>, EntityError> {
        let changes = match taken.open {
            Some(_) => lock(&self.store).unsettled(taken.entity())?,
            None => match self.read(taken.entity())? {
                None => return Ok(None),
                Some((open, changes)) => {
                    taken.open = Some(Box::new(open));
                    changes
                }
            },
        };
        Ok(Some(Unsettled { taken, changes }))
    }

    /// Merges, and stores every verdict with the projections in one transaction (invariant D9). Answers with the entities
    /// in which changes no longer wait.
    pub(super) fn settle(&self, unsettled: &mut [Unsettled<'_>], now: Now) -> Result<Vec<EntityId>, DriverError> {
        let outcomes: Vec<_> = unsettled.iter_mut().filter_map(|one| self.merge_or_hold(one)).collect();
        self.store_found()?;
        if outcomes.iter().any(|outcome| outcome.has_revoked) {
            // The engine forgets the numbers of what is taken out of a document again, and none may be given twice (D6).
            *lock(&self.actor) = None;
        }
        let of = |is_so: fn(&Outcome) -> bool| -> Vec<EntityId> {
            outcomes.iter().filter(|outcome| is_so(outcome)).map(|outcome| outcome.settlement.entity).collect()
        };
        let (unfinished, changed) = (of(|outcome| outcome.is_unfinished), of(|outcome| outcome.is_changed));
        let mut merged = Merged::default();
        outcomes.iter().for_each(|outcome| merged.add(&outcome.merged));
        let in_conflict = of(|outcome| outcome.is_in_conflict);
        let settlements: Vec<_> = outcomes.into_iter().map(|outcome| outcome.settlement).collect();
        if settlements.is_empty() {
            return Ok(Vec::new());
        }
        let mut store = lock(&self.store);
        let settled = if self.documents.are_current(unsettled.iter().map(|one| &one.taken)) {
            store.settle(&settlements, now.wall_ms).map_err(DriverError::from)
        } else {
            Err(StoreError::Reloaded.into())
        };
        drop(store);
        if let Err(error) = settled {
            // Memory is ahead of the disk now: it is thrown away and read again (invariant D10).
            unsettled.iter_mut().for_each(|one| one.taken.open = None);
            return Err(error);
        }
        // Before anything else can fail: what is stored is looked at sooner or later.
        self.ask_strategies(changed.iter().copied());
        self.forget_let_go()?;
        lock(&self.unfinished).extend(unfinished);
        lock(&self.merged).add(&merged);
        // Whoever is told may read at once, on this thread, which has the documents.
        let _inside = Documents::enter();
        for one in unsettled.iter().filter(|one| in_conflict.contains(&one.taken.entity())) {
            if let Some(open) = &one.taken.open {
                self.observers.conflicts_changed(open.space, one.taken.entity());
            }
        }
        let mut told = settlements.iter().peekable();
        for one in unsettled.iter() {
            // Settlements come in the order of the documents; a document without one is passed over.
            let Some(settlement) = told.next_if(|settlement| settlement.entity == one.taken.entity()) else { continue };
            if let Some(open) = &one.taken.open {
                self.tell(settlement, open, changed.contains(&settlement.entity));
            }
        }
        for open in unsettled.iter().filter_map(|one| one.taken.open.as_deref()) {
            self.note_growth(open);
        }
        let roomier: Vec<_> = unsettled.iter().filter(|one| one.no_longer_waits(&settlements)).collect();
        // What waited was not sent, or refused without a word, and can be sent now.
        let spaces = roomier.iter().filter_map(|one| one.taken.open.as_ref()).map(|open| open.space);
        lock(&self.edited).extend(spaces);
        Ok(roomier.iter().map(|one| one.taken.entity()).collect())
    }

    fn tell(&self, settlement: &Settlement, open: &OpenEntity, is_changed: bool) {
        if is_changed {
            self.observers.changed(open.space, &open.collection, settlement.entity);
        }
        for (hash, settled) in &settlement.verdicts {
            if let Settled::Quarantined(Reason { number: reason, .. }) = settled {
                let (space, entity) = (open.space, settlement.entity);
                tracing::warn!(%space, %entity, change = %hash, reason, "quarantined a change");
                self.emit(SyncEvent::Quarantined { space, entity, reason: format!("reason {reason}") });
            }
        }
    }
}

impl Unsettled<'_> {
    /// Whether a change that waited is part of the document now.
    fn no_longer_waits(&self, settlements: &[Settlement]) -> bool {
        let waited = |hash: &ChangeHash| {
            self.changes.iter().any(|change| change.hash == *hash && change.state == ChangeState::Waiting)
        };
        let entity = self.taken.entity();
        let of_this = settlements.iter().filter(|settlement| settlement.entity == entity);
        let mut applied = of_this.flat_map(|settlement| &settlement.verdicts);
        self.changes.iter().any(|change| change.state == ChangeState::Waiting)
            && applied.any(|(hash, settled)| *settled == Settled::Applied && waited(hash))
    }
}

/// What became of the received changes of one entity.
pub(super) struct Outcome {
    settlement: Settlement,
    merged: Merged,
    /// Whether the document differs from before.
    is_changed: bool,
    /// Whether some are still to be decided, with the next turn.
    is_unfinished: bool,
    /// Whether some were part of the document before, and are not any more.
    has_revoked: bool,
    /// Whether somebody has something to decide about it, or had, or may have.
    is_in_conflict: bool,
}

pub(super) fn merge_one(unsettled: &mut Unsettled<'_>, replay: Replay) -> Option<Outcome> {
    let Unsettled { taken, changes } = unsettled;
    let open = taken.open.as_deref_mut().filter(|_| !changes.is_empty())?;
    let incoming: Vec<_> = changes.iter().map(|change| Incoming { hash: change.hash, bytes: &change.bytes }).collect();
    open.document.set_replay(replay);
    // Verdicts have to be the same on every device, so the protocol's limits decide and not one relay's.
    let Ok(applied) = open.document.apply_guarded(&incoming, &Limits::DEFAULT) else {
        // A document that saw a panic is not put back; its changes stay received and are tried when it is loaded anew.
        return None;
    };
    let mut waiting = WaitingRoom::default();
    let mut is_unfinished = false;
    let mut verdicts = Vec::with_capacity(changes.len());
    for (change, verdict) in changes.iter().zip(applied.verdicts) {
        match verdict {
            // It stays as it is in the store: received, or waiting.
            Verdict::Undecided => is_unfinished = true,
            verdict => verdicts.push((change.hash, waiting.settle(change.bytes.len(), verdict))),
        }
    }
    let merged = verdicts.iter().filter(|(_, settled)| *settled == Settled::Applied).count();
    // Earlier changes with which the document could not be saved: they are taken out and filed anew.
    let has_revoked = !applied.revoked.is_empty();
    let is_changed = merged > 0 || has_revoked;
    for revoked in applied.revoked {
        is_unfinished |= revoked.verdict == Verdict::Undecided;
        verdicts.push((revoked.hash, waiting.settle(0, revoked.verdict)));
    }
    open.since_snapshot += merged;
    let read = catch_unwind(AssertUnwindSafe(|| {
        if merged > 0 && changes.iter().any(|change| change.state == ChangeState::Waiting) {
            in_causal_order(&mut verdicts, &open.document.changes_since(&applied.before));
        }
        // Without one the store calls what it has stale, as after an edit.
        if is_changed { project_unless_large(open) } else { None }
    }));
    let Ok(projection) = read else {
        // What cannot be read is not kept either: its changes stay received, and it is loaded anew.
        taken.open = None;
        return None;
    };
    let (conflicts, is_in_conflict) = if is_changed { worked_out(open) } else { (None, false) };
    let settlement = Settlement { entity: taken.entity(), verdicts, projection, conflicts };
    let merged = Merged { changes: merged as u64, replayed: applied.replayed as u64 };
    Some(Outcome { settlement, merged, is_changed, is_unfinished, has_revoked, is_in_conflict })
}

/// Puts what was applied into the order in which it was: the outbox sends in that order (invariant D4).
fn in_causal_order(verdicts: &mut [(ChangeHash, Settled)], applied: &[(ChangeHash, Vec<u8>)]) {
    let order: BTreeMap<_, _> = applied.iter().enumerate().map(|(index, (hash, _))| (*hash, index)).collect();
    verdicts.sort_by_key(|(hash, _)| order.get(hash).copied().unwrap_or(usize::MAX));
}

/// What waits for dependencies, within its limits.
#[derive(Default)]
struct WaitingRoom {
    changes: usize,
    bytes: usize,
}

impl WaitingRoom {
    fn settle(&mut self, bytes: usize, verdict: Verdict) -> Settled {
        match verdict {
            Verdict::Applied | Verdict::Held => Settled::Applied,
            Verdict::Undecided => Settled::Waiting,
            Verdict::Quarantined(reason) => quarantined(DOCUMENT_REASONS + reason as u16),
            Verdict::Waiting { .. } => {
                self.changes += 1;
                self.bytes += bytes;
                let is_full = self.changes > WAITING_CHUNKS_MAX || self.bytes > WAITING_BYTES_MAX;
                if is_full { quarantined(TOO_MANY_WAITING) } else { Settled::Waiting }
            }
        }
    }
}

fn quarantined(number: u16) -> Settled {
    Settled::Quarantined(Reason { number, rules: VERDICT_RULES })
}
