//! The open documents of a replica: a bounded cache from which one caller at a time takes a document out.
//!
//! Whoever runs an application's closure holds documents meanwhile, and the closure may come back for others. So that
//! nobody waits in a circle, such a thread never waits for a document ([`Documents::enter`]), and whoever merges takes
//! many out without waiting ([`Documents::try_take`]). Only a transaction waits while it holds others, and there is one
//! at a time.

use super::projection::Projected;
use afield_core::document::Document;
use afield_core::{Collection, EntityId, SpaceId};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// How many documents stay open when nobody uses them: about 10 MiB of small ones, at 18 KiB each.
pub(super) const DOCUMENTS_OPEN_MAX: usize = 512;

/// An entity whose document is in memory.
pub(super) struct OpenEntity {
    pub(super) document: Document,
    pub(super) space: SpaceId,
    pub(super) collection: Collection,
    /// How many changes were stored since the last snapshot.
    pub(super) since_snapshot: usize,
    /// What was last projected of it while it was open.
    pub(super) projected: Option<Projected>,
}

#[derive(Default)]
struct Slot {
    state: Mutex<SlotState>,
    returned: Condvar,
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
    by_entity: BTreeMap<EntityId, (Arc<Slot>, u64)>,
    by_use: BTreeMap<u64, EntityId>,
    uses: u64,
}

/// The cache. Taking a document out locks that entity alone; others wait until it is put back.
#[derive(Default)]
pub(super) struct Documents {
    slots: Mutex<Slots>,
    /// How often everything was forgotten.
    generation: AtomicU64,
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
    }

    /// Whether these documents may still be stored: not once everything has been forgotten. Ask while the store is
    /// locked, which it is while everything is forgotten.
    pub(super) fn are_current<'t, 'd: 't>(&self, taken: impl IntoIterator<Item = &'t Taken<'d>>) -> bool {
        let generation = self.generation.load(Ordering::Relaxed);
        taken.into_iter().all(|taken| taken.generation == generation)
    }

    fn slot(&self, entity: EntityId) -> (Arc<Slot>, u64) {
        let mut slots = lock(&self.slots);
        slots.uses += 1;
        let now = slots.uses;
        let (slot, used) = slots.by_entity.entry(entity).or_insert_with(|| (Arc::default(), now));
        let (slot, before) = (slot.clone(), std::mem::replace(used, now));
        slots.by_use.remove(&before);
        slots.by_use.insert(now, entity);
        (slot, self.generation.load(Ordering::Relaxed))
    }

    fn put_back(&self, slot: &Arc<Slot>, open: Option<Box<OpenEntity>>) {
        let mut state = lock(&slot.state);
        state.entity = open;
        state.taken = false;
        drop(state);
        slot.returned.notify_one();
        self.evict();
    }

    fn evict(&self) {
        let mut slots = lock(&self.slots);
        let Slots { by_entity, by_use, .. } = &mut *slots;
        let surplus = by_entity.len().saturating_sub(DOCUMENTS_OPEN_MAX);
        if surplus == 0 {
            return;
        }
        // A slot that somebody holds or waits for has a second reference; it is passed over.
        let idle = |entity: &EntityId| by_entity.get(entity).is_some_and(|(slot, _)| Arc::strong_count(slot) == 1);
        let victims: Vec<_> =
            by_use.iter().filter(|(_, entity)| idle(entity)).take(surplus).map(|(at, entity)| (*at, *entity)).collect();
        for (at, entity) in victims {
            by_use.remove(&at);
            by_entity.remove(&entity);
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
        self.documents.put_back(&slot, open);
    }
}

/// Locks, whoever panicked before: the state behind these locks is consistent between statements.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
