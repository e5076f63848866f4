//! The open documents of a replica: a bounded cache from which one caller at a time takes a document out.
//!
//! Whoever runs an application's closure holds documents meanwhile, and the closure may come back for others. So that
//! nobody waits in a circle, such a thread never waits for a document ([`Documents::enter`]), and whoever merges takes
//! many out without waiting ([`Documents::try_take`]). Only a transaction waits while it holds others, and there is one
//! at a time.

use super::conflicts::KnownConflicts;
use super::projection::Projected;
use super::strategies::Settled;
use crate::watch::Observers;
use afield_core::document::Document;
use afield_core::{Collection, EntityId, SpaceId};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// How many documents stay open when nobody uses them: about 10 MiB of small ones.
pub(super) const DOCUMENTS_OPEN_MAX: usize = 512;

/// How many bytes they may take together, by estimate: a few long notes, or many small ones. The one that was used last
/// stays, whatever its size, or each key in it would load it anew.
pub(super) const DOCUMENTS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What an open document takes however little it holds, in bytes; estimated from a few measurements.
const DOCUMENT_BYTES: usize = 18 * 1024;
/// What each operation and each change adds to that, in bytes; estimated from a recorded history of 260,000 keystrokes, with
/// what allocating and freeing leaves behind.
const OPERATION_BYTES: usize = 64;
const CHANGE_BYTES: usize = 160;

/// An entity whose document is in memory.
pub(super) struct OpenEntity {
    pub(super) document: Document,
    pub(super) space: SpaceId,
    pub(super) collection: Collection,
    /// How many changes were stored since the last snapshot.
    pub(super) since_snapshot: usize,
    /// What was last projected of it while it was open.
    pub(super) projected: Option<Projected>,
    /// What is known of its conflicts.
    pub(super) conflicts: KnownConflicts,
    /// What was last looked at to decide by strategies.
    pub(super) settled: Settled,
}

impl OpenEntity {
    /// How much memory it takes, by estimate.
    fn bytes(&self) -> usize {
        let times = |count: u64, bytes: usize| usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(bytes);
        let operations = times(self.document.operation_count(), OPERATION_BYTES);
        let changes = times(self.document.change_count(), CHANGE_BYTES);
        DOCUMENT_BYTES.saturating_add(operations).saturating_add(changes)
    }
}

#[derive(Default)]
struct Slot {
    state: Mutex<SlotState>,
    returned: Condvar,
    /// Whether what is held of the entity is not to be stored any more.
    is_forgotten: AtomicBool,
}

#[derive(Default)]
struct SlotState {
    entity: Option<Box<OpenEntity>>,
    taken: bool,
}

impl SlotState {
    fn take(&mut self) -> Option<Box<OpenEntity>> {
        self.taken = true;
        self.entity.take()
    }
}

#[derive(Default)]
struct Slots {
    by_entity: BTreeMap<EntityId, Kept>,
    by_use: BTreeMap<u64, EntityId>,
    uses: u64,
    /// The sum of what all of them take.
    bytes: usize,
}

/// A slot, when it was last used, and what it takes.
struct Kept {
    slot: Arc<Slot>,
    used: u64,
    bytes: usize,
}

/// The cache. Taking a document out locks that entity alone; others wait until it is put back.
#[derive(Default)]
pub(super) struct Documents {
    slots: Mutex<Slots>,
    /// How often everything was forgotten.
    generation: AtomicU64,
    missed: Missed,
}

/// Entities that somebody who watches could not read since they were taken out, and where they live.
#[derive(Default)]
struct Missed {
    entities: Mutex<BTreeMap<EntityId, (SpaceId, Collection)>>,
    is_any: AtomicBool,
    observers: Observers,
}

thread_local! {
    /// How many closures of an application, each with documents taken out, this thread is inside of.
    static INSIDE: Cell<usize> = const { Cell::new(0) };
}

/// Somebody else has taken the document out, and waiting for it might be waiting for oneself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Busy;

/// While this lives, its thread runs an application's closure.
#[derive(Debug)]
pub(super) struct Inside(());

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.with(|inside| inside.set(inside.get().saturating_sub(1)));
    }
}

impl Documents {
    /// A cache that tells watchers of entities that they could not read when those are back.
    pub(super) fn telling(observers: Observers) -> Self {
        Self { missed: Missed { observers, ..Missed::default() }, ..Self::default() }
    }

    /// Says that the calling thread runs an application's closure until the guard is dropped.
    pub(super) fn enter() -> Inside {
        INSIDE.with(|inside| inside.set(inside.get() + 1));
        Inside(())
    }

    /// Whether the calling thread runs an application's closure.
    pub(super) fn is_inside() -> bool {
        INSIDE.with(Cell::get) > 0
    }

    /// Takes the entity's document, waiting for whoever has it. It goes back when the guard is dropped.
    ///
    /// # Errors
    ///
    /// Somebody has it, and the calling thread runs an application's closure.
    pub(super) fn take(&self, entity: EntityId) -> Result<Taken<'_>, Busy> {
        if Self::is_inside() { self.try_take(entity).ok_or(Busy) } else { Ok(self.wait_for(entity)) }
    }

    /// Takes the entity's document as [`Documents::take`] does, or has those who watch its collection told of it once it is back.
    pub(super) fn take_or_be_told(&self, entity: EntityId, home: (SpaceId, Collection)) -> Option<Taken<'_>> {
        if let Ok(taken) = self.take(entity) {
            return Some(taken);
        }
        self.missed.note(entity, home);
        // It may have come back before that was noted. Others may have noted it, too, so that stays.
        self.try_take(entity)
    }

    /// Takes the entity's document, waiting for whoever has it, for a transaction and for those who hold no other.
    pub(super) fn wait_for(&self, entity: EntityId) -> Taken<'_> {
        let (slot, generation) = self.slot(entity);
        let mut state = lock(&slot.state);
        while state.taken {
            state = slot.returned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let open = state.take();
        drop(state);
        Taken { documents: self, entity, slot, generation, open }
    }

    /// Takes the entity's document unless somebody has it.
    pub(super) fn try_take(&self, entity: EntityId) -> Option<Taken<'_>> {
        let (slot, generation) = self.slot(entity);
        let mut state = lock(&slot.state);
        if state.taken {
            return None;
        }
        let open = state.take();
        drop(state);
        Some(Taken { documents: self, entity, slot, generation, open })
    }

    /// Forgets every document that nobody has taken, and lets those that are taken not come back.
    pub(super) fn clear(&self) {
        let mut slots = lock(&self.slots);
        self.generation.fetch_add(1, Ordering::Relaxed);
        slots.by_entity.clear();
        slots.by_use.clear();
        slots.bytes = 0;
    }

    /// The entities that have a place here.
    pub(super) fn known(&self) -> Vec<EntityId> {
        lock(&self.slots).by_entity.keys().copied().collect()
    }

    /// Forgets these entities; what is taken of them now may not be stored any more. Call it while the store is locked.
    pub(super) fn forget(&self, entities: &[EntityId]) {
        let mut slots = lock(&self.slots);
        for entity in entities {
            if let Some(kept) = slots.remove(entity) {
                kept.slot.is_forgotten.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Whether these documents may still be stored: not once they or all have been forgotten. Ask while the store is
    /// locked, which it is while everything is forgotten.
    pub(super) fn are_current<'t, 'd: 't>(&self, taken: impl IntoIterator<Item = &'t Taken<'d>>) -> bool {
        let generation = self.generation.load(Ordering::Relaxed);
        let is_current =
            |taken: &Taken<'_>| taken.generation == generation && !taken.slot.is_forgotten.load(Ordering::Relaxed);
        taken.into_iter().all(is_current)
    }

    fn slot(&self, entity: EntityId) -> (Arc<Slot>, u64) {
        let mut slots = lock(&self.slots);
        slots.uses += 1;
        let now = slots.uses;
        let kept = slots.by_entity.entry(entity);
        let kept = kept.or_insert_with(|| Kept { slot: Arc::default(), used: now, bytes: 0 });
        let (slot, before) = (kept.slot.clone(), std::mem::replace(&mut kept.used, now));
        slots.by_use.remove(&before);
        slots.by_use.insert(now, entity);
        (slot, self.generation.load(Ordering::Relaxed))
    }

    fn put_back(&self, entity: EntityId, slot: Arc<Slot>, open: Option<Box<OpenEntity>>) {
        let bytes = open.as_ref().map_or(0, |open| open.bytes());
        lock(&self.slots).note_bytes(entity, &slot, bytes);
        let mut state = lock(&slot.state);
        state.entity = open;
        state.taken = false;
        drop(state);
        slot.returned.notify_one();
        drop(slot);
        self.evict();
        if let Some((space, collection)) = self.missed.remove(entity) {
            // Whoever is told may read at once, on this thread, which may have other documents.
            let _inside = Self::enter();
            self.missed.observers.changed(space, &collection, entity);
        }
    }

    fn evict(&self) {
        let mut slots = lock(&self.slots);
        let (mut count, mut bytes) = (slots.by_entity.len(), slots.bytes);
        if count <= DOCUMENTS_OPEN_MAX && bytes <= DOCUMENTS_BYTES_MAX {
            return;
        }
        let last = slots.uses;
        let mut victims = Vec::new();
        for (used, entity) in &slots.by_use {
            if count <= DOCUMENTS_OPEN_MAX && bytes <= DOCUMENTS_BYTES_MAX {
                break;
            }
            // A slot that somebody holds or waits for has a second reference; it is passed over.
            let idle = |kept: &&Kept| Arc::strong_count(&kept.slot) == 1 && *used != last;
            if let Some(kept) = slots.by_entity.get(entity).filter(idle) {
                (count, bytes) = (count - 1, bytes.saturating_sub(kept.bytes));
                victims.push(*entity);
            }
        }
        for entity in victims {
            slots.remove(&entity);
        }
    }
}

impl Missed {
    fn note(&self, entity: EntityId, home: (SpaceId, Collection)) {
        lock(&self.entities).insert(entity, home);
        self.is_any.store(true, Ordering::Release);
    }

    fn remove(&self, entity: EntityId) -> Option<(SpaceId, Collection)> {
        if !self.is_any.load(Ordering::Acquire) {
            return None;
        }
        let mut entities = lock(&self.entities);
        let home = entities.remove(&entity);
        self.is_any.store(!entities.is_empty(), Ordering::Release);
        home
    }
}

impl Slots {
    fn remove(&mut self, entity: &EntityId) -> Option<Kept> {
        let kept = self.by_entity.remove(entity)?;
        self.by_use.remove(&kept.used);
        self.bytes = self.bytes.saturating_sub(kept.bytes);
        Some(kept)
    }

    /// Notes what an entity takes now, unless its slot is another one since.
    fn note_bytes(&mut self, entity: EntityId, slot: &Arc<Slot>, bytes: usize) {
        if let Some(kept) = self.by_entity.get_mut(&entity).filter(|kept| Arc::ptr_eq(&kept.slot, slot)) {
            self.bytes = self.bytes.saturating_sub(kept.bytes).saturating_add(bytes);
            kept.bytes = bytes;
        }
    }
}

/// An entity taken out of the cache.
pub(super) struct Taken<'d> {
    documents: &'d Documents,
    entity: EntityId,
    slot: Arc<Slot>,
    generation: u64,
    /// The document, once it is loaded. Set it to `None` to throw the in-memory state away.
    pub(super) open: Option<Box<OpenEntity>>,
}

impl Taken<'_> {
    /// The entity.
    pub(super) fn entity(&self) -> EntityId {
        self.entity
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        // A panic while the document was out leaves it in an unknown state: it is loaded again from the store.
        let open = if std::thread::panicking() { None } else { self.open.take() };
        let open = open.filter(|open| !open.document.is_poisoned());
        let slot = std::mem::take(&mut self.slot);
        self.documents.put_back(self.entity, slot, open);
    }
}

/// Locks, whoever panicked before: the state behind these locks is consistent between statements.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use afield_core::document::EditContext;
    use afield_core::{Limits, Now};
    use automerge::ActorId;
    use std::convert::Infallible;

    fn id(number: u16) -> EntityId {
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        EntityId::from_bytes(bytes)
    }

    fn open(entity: EntityId, characters: usize) -> Option<Box<OpenEntity>> {
        let mut document = Document::new(entity);
        let now = Now { wall_ms: 0, monotonic_ms: 0 };
        let context = EditContext { fresh: true, ..EditContext::new(ActorId::from([1; 16].as_slice()), now) };
        let edit = |edit: &mut afield_core::document::Edit<'_>| {
            edit.splice_text("body", 0, 0, &"x".repeat(characters)).unwrap();
            Ok::<_, Infallible>(())
        };
        let _ = document.edit(&context, &Limits::DEFAULT, edit).unwrap();
        let (space, collection) = (SpaceId::from_bytes([1; 16]), "notes".parse().unwrap());
        Some(Box::new(OpenEntity {
            document,
            space,
            collection,
            since_snapshot: 0,
            projected: None,
            conflicts: KnownConflicts::default(),
            settled: Settled::default(),
        }))
    }

    fn use_one(documents: &Documents, number: u16, characters: usize) -> bool {
        let mut taken = documents.wait_for(id(number));
        let was_open = taken.open.is_some();
        if !was_open {
            taken.open = open(id(number), characters);
        }
        was_open
    }

    #[test]
    fn large_documents_make_room_for_others_by_their_size_and_not_by_their_number() {
        let documents = Documents::default();
        let large = 50_000;
        let each = open(id(0), large).unwrap().bytes();
        let fit = DOCUMENTS_BYTES_MAX / each;
        assert!((2..DOCUMENTS_OPEN_MAX / 2).contains(&fit), "{fit} of {each} bytes");
        for number in 0..(fit as u16 + 3) {
            assert!(!use_one(&documents, number, large));
        }
        assert_eq!(documents.known().len(), fit);
        assert!(use_one(&documents, fit as u16 + 2, large), "the last one is still open");
        assert!(!use_one(&documents, 0, large), "the first one is not");
        let slots = lock(&documents.slots);
        assert_eq!(slots.bytes, slots.by_entity.values().map(|kept| kept.bytes).sum::<usize>());
    }

    #[test]
    fn small_documents_are_bounded_by_their_number() {
        let documents = Documents::default();
        for number in 0..(DOCUMENTS_OPEN_MAX as u16 + 9) {
            let mut taken = documents.wait_for(id(number));
            taken.open = open(id(number), 1);
        }
        assert_eq!(documents.known().len(), DOCUMENTS_OPEN_MAX);
    }

    #[test]
    fn what_is_forgotten_while_it_is_taken_is_not_stored_and_does_not_come_back() {
        let documents = Documents::default();
        use_one(&documents, 1, 1);
        let (taken, other) = (documents.wait_for(id(1)), documents.wait_for(id(2)));
        assert!(taken.open.is_some() && documents.are_current([&taken, &other]));
        documents.forget(&[id(1)]);
        assert!(!documents.are_current([&taken, &other]) && documents.are_current([&other]));
        drop(taken);
        assert!(documents.wait_for(id(1)).open.is_none());
    }
}
