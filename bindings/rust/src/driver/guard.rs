//! Guards: a sync that would delete much waits until somebody has confirmed it, on the side that sends and on the side that receives.
//!
//! What is received is stored as ever, and the cursor moves (invariant D2). Where merging it deletes an entity that was there, what was
//! merged is thrown away again and the entity's changes wait (invariant D7), until the run is over and what was found is judged, or until
//! somebody has confirmed it. No other entity waits for that.

use super::documents::{OpenEntity, lock};
use super::merge::{Outcome, Unsettled, merge_one};
use super::projection::{DELETED_KEY, is_deleted};
use super::sync::{Link, Synchronization};
use super::{Driver, DriverError};
use crate::status::SyncEvent;
use afield_core::policy::Trigger;
use afield_core::{ChangeHash, Collection, EntityId, Now, SpaceId};
use afield_store::{DeletionLimits, HeldDeletion, Store, StoreError};
use automerge::ReadDoc;
use std::collections::{BTreeMap, BTreeSet};

/// For how long deletions that were let through unasked count beside those that come, in milliseconds: a minute. So others who delete
/// one entity after another while the session stands are stopped as those are who delete them all at once.
const PASSED_COUNT_MS: u64 = 60_000;

/// What guards are in force, and what they hold.
#[derive(Debug, Default)]
pub(super) struct Guards {
    /// The spaces in which not everything may be deleted unasked.
    spaces: BTreeSet<SpaceId>,
    /// Entities of which received changes are held back, and whether they are let through now.
    held: BTreeMap<EntityId, Held>,
    /// What was found and is not stored yet.
    found: Vec<(SpaceId, HeldDeletion)>,
    /// What is held no more, and still is in the store.
    let_go: Vec<EntityId>,
    /// Spaces of which something is held that was not judged yet.
    unjudged: BTreeSet<SpaceId>,
    /// What was let through unasked a moment ago: when, by the monotonic clock, and what.
    passed: BTreeMap<SpaceId, Vec<(u64, Collection, EntityId)>>,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    space: SpaceId,
    is_let_through: bool,
}

impl Driver {
    /// Reads what guards are in force and what they hold, when the store was opened, or opened again.
    pub(super) fn load_guards(&self) -> Result<(), StoreError> {
        let store = lock(&self.store);
        let spaces: BTreeSet<_> = store.guarded_spaces()?.into_iter().collect();
        let (mut held, mut unjudged) = (BTreeMap::new(), spaces.clone());
        for (space, entity, is_let_through) in store.held_entities()? {
            held.insert(entity, Held { space, is_let_through });
            unjudged.insert(space);
        }
        drop(store);
        let mut guards = lock(&self.guards);
        let passed = std::mem::take(&mut guards.passed);
        *guards = Guards { spaces, held, unjudged, passed, ..Guards::default() };
        Ok(())
    }

    /// Says how much may be deleted unasked in a space, or in one of its collections. What is held is judged anew.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Driver, Entropy, Now, SpaceId};
    /// # use afield::store::DeletionLimits;
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// let limits = DeletionLimits { deletions: Some(50), share: Some(0.2) };
    /// driver.set_guard(space, None, Some(limits), now)?;
    /// driver.set_guard(space, Some(&"drafts".parse()?), Some(DeletionLimits::default()), now)?; // any number of them
    /// assert_eq!(driver.with_store(|store| store.guarded_spaces())?, [space]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// No such space is here, or the store failed.
    pub fn set_guard(
        &self,
        space: SpaceId,
        collection: Option<&Collection>,
        limits: Option<DeletionLimits>,
        now: Now,
    ) -> Result<(), DriverError> {
        let mut sync = self.turn();
        let mut store = lock(&self.store);
        let _ = store.set_guard(space, collection, limits)?;
        let spaces = store.guarded_spaces()?.into_iter().collect();
        drop(store);
        let mut guards = lock(&self.guards);
        guards.spaces = spaces;
        guards.unjudged.insert(space);
        drop(guards);
        let judged = self.judge_held(&mut sync, space, now);
        self.go_on(&mut sync, space, judged, now)
    }

    /// Lets through what was shown to somebody, and nothing else: deletions that wait to be sent, and such of others that wait here.
    /// Answers how many.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Driver, EntityId, Entropy, Existence, Now, SpaceId, Target};
    /// # use afield::document::ErasureReason;
    /// # use afield::store::DeletionLimits;
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
    /// # driver.edit(&target, now, |edit| edit.put("title", "Milk"))?;
    /// let nothing_unasked = DeletionLimits { deletions: Some(0), share: None };
    /// driver.set_guard(space, None, Some(nothing_unasked), now)?;
    /// driver.purge(space, &[entity], ErasureReason::ASKED, now)?;
    ///
    /// let held = driver.with_store(|store| store.held_to_send(space, now.wall_ms))?; // to be shown to somebody
    /// let to_send: Vec<_> = held.iter().map(|deletion| (deletion.entity, deletion.hash)).collect();
    /// assert_eq!(driver.confirm_deletions(space, &to_send, &[], now)?, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// No such space is here, or the store failed.
    pub fn confirm_deletions(
        &self,
        space: SpaceId,
        to_send: &[(EntityId, ChangeHash)],
        received: &[(EntityId, ChangeHash)],
        now: Now,
    ) -> Result<u64, DriverError> {
        let mut sync = self.turn();
        let mut store = lock(&self.store);
        let sent = store.confirm_unsent(space, to_send)?.into_inner();
        let held = store.confirm_held(space, received)?.into_inner();
        drop(store);
        let followed = self.follow_confirmed(&mut sync, space, now);
        self.go_on(&mut sync, space, followed, now)?;
        Ok(sent + held)
    }

    /// Goes on with a space of which something has been let through.
    fn go_on(
        &self,
        sync: &mut Synchronization,
        space: SpaceId,
        result: Result<(), DriverError>,
        now: Now,
    ) -> Result<(), DriverError> {
        let result = result.and_then(|()| {
            self.look_at_guard(sync, space, now)?;
            if matches!(sync.link, Link::Off) {
                return Ok(());
            }
            Self::rescan(sync, space);
            self.ask_policy(sync, Some(space), &Trigger::StartUp, now)?;
            self.pump(sync, now)
        });
        self.finish(sync, result, now)
    }

    /// Whether what was deleted here holds back what the space would send, at this moment of the store.
    pub(super) fn holds_back(&self, store: &mut Store, space: SpaceId, now: Now) -> Result<bool, StoreError> {
        Ok(self.is_guarded(space) && !store.hold_to_send(space, now.wall_ms)?.is_empty())
    }

    /// Looks whether what was deleted here is held back from being sent, and tells where that is new.
    pub(super) fn look_at_guard(
        &self,
        sync: &mut Synchronization,
        space: SpaceId,
        now: Now,
    ) -> Result<bool, StoreError> {
        let held =
            if self.is_guarded(space) { lock(&self.store).hold_to_send(space, now.wall_ms)? } else { Vec::new() };
        if sync.set_needs_confirmation(space, !held.is_empty()) && !held.is_empty() {
            tracing::warn!(%space, deletions = held.len(), "much was deleted here: nothing of the space is sent until somebody confirms it");
            sync.say(SyncEvent::Held { space, deletions: held.len() as u64, received: false });
        }
        Ok(!held.is_empty())
    }

    /// Whether a guard watches a space.
    fn is_guarded(&self, space: SpaceId) -> bool {
        lock(&self.guards).spaces.contains(&space)
    }

    /// Whether received changes of an entity wait until somebody lets them through.
    pub(super) fn is_held_back(&self, entity: EntityId) -> bool {
        lock(&self.guards).held.get(&entity).is_some_and(|held| !held.is_let_through)
    }

    /// Merges what was received of an entity, unless that deletes it and a guard watches: then what was merged is thrown away, and
    /// the changes wait as they are stored.
    pub(super) fn merge_or_hold(&self, one: &mut Unsettled<'_>) -> Option<Outcome> {
        let entity = one.taken.entity();
        let held = lock(&self.guards).held.get(&entity).copied();
        let is_watched = one.taken.open.as_deref().is_some_and(|open| {
            let may = held.is_some_and(|held| held.is_let_through);
            !may && self.is_guarded(open.space) && is_there(open)
        });
        let outcome = merge_one(one, self.replay)?;
        let deletion = match one.taken.open.as_deref().filter(|_| is_watched) {
            Some(open) if is_deleted(&open.document) => Some((open.space, deletion_of(entity, open))),
            _ => None,
        };
        let mut guards = lock(&self.guards);
        match deletion {
            None => {
                if held.is_some() {
                    // It is followed, or is none any more: whoever deleted it has taken that back.
                    guards.held.remove(&entity);
                    guards.let_go.push(entity);
                }
                Some(outcome)
            }
            Some((space, deletion)) => {
                guards.held.insert(entity, Held { space, is_let_through: false });
                guards.unjudged.insert(space);
                guards.found.push((space, deletion));
                // What memory holds now is not to be seen by anybody: it is loaded anew without what waits.
                one.taken.open = None;
                None
            }
        }
    }

    /// Stores what merging has found to be held.
    pub(super) fn store_found(&self) -> Result<(), DriverError> {
        let found = std::mem::take(&mut lock(&self.guards).found);
        if found.is_empty() { Ok(()) } else { Ok(lock(&self.store).hold(&found)?) }
    }

    /// Forgets what is held no more, once its verdicts are stored.
    pub(super) fn forget_let_go(&self) -> Result<(), DriverError> {
        let let_go = std::mem::take(&mut lock(&self.guards).let_go);
        if let_go.is_empty() { Ok(()) } else { Ok(lock(&self.store).forget_held(&let_go)?) }
    }

    /// Notes that purges of a space are held, to be judged at the end of the run.
    pub(super) fn note_held_purges(&self, space: SpaceId, held: &[EntityId]) {
        if !held.is_empty() {
            lock(&self.guards).unjudged.insert(space);
        }
    }

    /// Forgets what is held of entities that are gone.
    pub(super) fn forget_held(&self, entities: impl Iterator<Item = EntityId>) {
        let mut guards = lock(&self.guards);
        for entity in entities {
            guards.held.remove(&entity);
        }
    }

    /// Forgets the guards of a space that was left.
    pub(super) fn forget_guards_of(&self, space: SpaceId) {
        let mut guards = lock(&self.guards);
        guards.held.retain(|_, held| held.space != space);
        guards.spaces.remove(&space);
        guards.unjudged.remove(&space);
        guards.passed.remove(&space);
    }

    /// Holds the purge of an entity back of which the relay says that it was purged, where a guard watches; says whether it did.
    pub(super) fn hold_refused_purge(&self, space: SpaceId, entity: EntityId, now: Now) -> Result<bool, StoreError> {
        if !self.is_guarded(space) {
            return Ok(false);
        }
        let is_held = lock(&self.store).hold_purge(space, entity, now.wall_ms)?;
        self.note_held_purges(space, if is_held { std::slice::from_ref(&entity) } else { &[] });
        Ok(is_held)
    }

    /// Judges what is held of spaces whose run is over: those that have caught up, and of which nothing is left to be merged.
    pub(super) fn judge_what_is_over(&self, sync: &mut Synchronization, now: Now) -> Result<(), DriverError> {
        let unjudged = lock(&self.guards).unjudged.clone();
        for space in unjudged.into_iter().filter(|space| sync.is_here(*space)).collect::<Vec<_>>() {
            self.judge_held(sync, space, now)?;
        }
        Ok(())
    }

    /// Judges what is held of a space: it is too much, and waits for somebody, or it is followed.
    fn judge_held(&self, sync: &mut Synchronization, space: SpaceId, now: Now) -> Result<(), DriverError> {
        let passed = self.passed(space, now);
        let (over, free) = lock(&self.store).judge_held(space, &passed)?;
        let mut guards = lock(&self.guards);
        guards.unjudged.remove(&space);
        let counts = guards.passed.entry(space).or_default();
        for held in &free {
            counts.push((now.monotonic_ms, held.collection.clone(), held.entity));
        }
        drop(guards);
        if !over.is_empty() {
            tracing::warn!(%space, deletions = over.len(), "others deleted much: it is not followed here until somebody confirms it");
            sync.say(SyncEvent::Held { space, deletions: over.len() as u64, received: true });
        }
        self.follow_confirmed(sync, space, now)
    }

    /// The entities of each collection of a space whose deletions were let through unasked a moment ago.
    pub(crate) fn passed(&self, space: SpaceId, now: Now) -> BTreeMap<Collection, BTreeSet<EntityId>> {
        let mut guards = lock(&self.guards);
        let counts = guards.passed.entry(space).or_default();
        counts.retain(|(at_ms, ..)| now.monotonic_ms.saturating_sub(*at_ms) < PASSED_COUNT_MS);
        let mut passed: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (_, collection, entity) in counts.iter() {
            passed.entry(collection.clone()).or_default().insert(*entity);
        }
        passed
    }

    /// Follows what is confirmed of a space: merges the changes that waited, and erases what was purged.
    fn follow_confirmed(&self, sync: &mut Synchronization, space: SpaceId, now: Now) -> Result<(), DriverError> {
        let confirmed: Vec<_> =
            lock(&self.store).held_deletions(space)?.into_iter().filter(|held| held.is_confirmed).collect();
        if confirmed.is_empty() {
            return Ok(());
        }
        let (purges, deletions): (Vec<_>, Vec<_>) = confirmed.into_iter().partition(|held| held.is_purge);
        let deleted: BTreeSet<_> = deletions.iter().map(|held| held.entity).collect();
        let mut guards = lock(&self.guards);
        for entity in &deleted {
            guards.held.insert(*entity, Held { space, is_let_through: true });
        }
        drop(guards);
        self.merge(deleted.clone(), now)?;
        // Where nothing was left to merge, nothing was let go either.
        self.forget_held(deleted.iter().copied());
        let gone: Vec<_> = deleted.into_iter().collect();
        lock(&self.store).forget_held(&gone)?;
        if purges.is_empty() {
            return Ok(());
        }
        let mut store = lock(&self.store);
        let erased = store.follow_purges(space, now.wall_ms)?;
        self.forget_erased(&mut store, &erased);
        drop(store);
        let of = |entity: &EntityId| purges.iter().find(|held| held.entity == *entity);
        let gone: Vec<_> = erased.iter().filter_map(|entity| Some((*entity, of(entity)?.collection.clone()))).collect();
        self.tell_purged(sync, space, &gone);
        self.note_edit(space);
        Ok(())
    }
}

/// Whether an entity is there for those who look, and not deleted.
fn is_there(open: &OpenEntity) -> bool {
    open.document.change_count() > 0 && !is_deleted(&open.document)
}

/// Who deleted an entity, when, and by which change.
fn deletion_of(entity: EntityId, open: &OpenEntity) -> HeldDeletion {
    let engine = open.document.automerge();
    let found = engine.get(automerge::ROOT, DELETED_KEY).ok().flatten();
    let change = found.and_then(|(_, operation)| engine.hash_for_opid(&operation));
    let attribution = change.and_then(|change| open.document.attribution(&change));
    HeldDeletion {
        entity,
        collection: open.collection.clone(),
        is_purge: false,
        hash: change.unwrap_or(ChangeHash([0; 32])),
        device: attribution.as_ref().and_then(|attribution| attribution.device),
        author: attribution.as_ref().and_then(|attribution| attribution.author.clone()),
        at_ms: attribution.map_or(0, |attribution| attribution.at_ms),
        is_over: false,
        is_confirmed: false,
    }
}
