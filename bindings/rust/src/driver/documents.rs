//! The open documents of a replica: a bounded cache from which one caller at a time takes a document out.

use afield_core::document::Document;
use afield_core::{Collection, EntityId, SpaceId};
use std::collections::BTreeMap;
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
}

impl Documents {
    /// Takes the entity's document, waiting for whoever has it. It goes back when the guard is dropped.
    pub(super) fn take(&self, entity: EntityId) -> Taken<'_> {
        let slot = {
            let mut slots = lock(&self.slots);
            slots.uses += 1;
            let now = slots.uses;
            let (slot, used) = slots.by_entity.entry(entity).or_insert_with(|| (Arc::default(), now));
            let (slot, before) = (slot.clone(), std::mem::replace(used, now));
            slots.by_use.remove(&before);
            slots.by_use.insert(now, entity);
            slot
        };
        let mut state = lock(&slot.state);
        while state.taken {
            state = slot.returned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.taken = true;
        let open = state.entity.take();
        drop(state);
        Taken { documents: self, entity, slot, open }
    }

    /// Forgets every document that nobody has taken, and lets those that are taken not come back.
    pub(super) fn clear(&self) {
        let mut slots = lock(&self.slots);
        slots.by_entity.clear();
        slots.by_use.clear();
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
