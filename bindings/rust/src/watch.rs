//! Watching entities and collections.

use afield_core::{Collection, EntityId, SpaceId};
use futures_util::Stream;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

/// What a watcher looks at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// One entity.
    Entity(EntityId),
    /// All entities of a collection in a space.
    Collection(SpaceId, Collection),
}

#[derive(Debug, Default)]
struct Pending {
    changed: BTreeSet<EntityId>,
    waker: Option<Waker>,
    closed: bool,
}

/// A stream of the entities that changed, by this device or by others.
///
/// Changes that happen faster than they are read add up to one item: the set of entities, each once. So a slow reader
/// costs at most one id per entity, and never the writer's time.
///
/// Reads in three ways: [`Watch::take`] at once, [`Watch::changed`] as a future, or as a [`Stream`].
#[derive(Debug)]
pub struct Watch {
    pending: Arc<Mutex<Pending>>,
}

impl Watch {
    /// The entities that changed since the last look, without waiting; empty when none did.
    pub fn take(&mut self) -> BTreeSet<EntityId> {
        std::mem::take(&mut lock(&self.pending).changed)
    }

    /// Waits until something has changed; `None` when the replica was closed.
    pub async fn changed(&mut self) -> Option<BTreeSet<EntityId>> {
        std::future::poll_fn(|context| self.poll_changed(context)).await
    }

    fn poll_changed(&mut self, context: &mut Context<'_>) -> Poll<Option<BTreeSet<EntityId>>> {
        let mut pending = lock(&self.pending);
        if !pending.changed.is_empty() {
            return Poll::Ready(Some(std::mem::take(&mut pending.changed)));
        }
        if pending.closed {
            return Poll::Ready(None);
        }
        pending.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Stream for Watch {
    type Item = BTreeSet<EntityId>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_changed(context)
    }
}

/// Everybody who watches.
#[derive(Debug, Default)]
pub(crate) struct Observers {
    by_subject: Mutex<BTreeMap<Subject, Vec<Weak<Mutex<Pending>>>>>,
}

impl Observers {
    pub(crate) fn watch(&self, subject: Subject) -> Watch {
        let pending = Arc::<Mutex<Pending>>::default();
        let mut by_subject = lock(&self.by_subject);
        let watchers = by_subject.entry(subject).or_default();
        watchers.retain(|watcher| watcher.strong_count() > 0);
        watchers.push(Arc::downgrade(&pending));
        Watch { pending }
    }

    /// Tells those who watch the entity or its collection. Costs nothing per watcher of anything else.
    pub(crate) fn changed(&self, space: SpaceId, collection: &Collection, entity: EntityId) {
        let mut by_subject = lock(&self.by_subject);
        if by_subject.is_empty() {
            return;
        }
        for subject in [Subject::Entity(entity), Subject::Collection(space, collection.clone())] {
            let Some(watchers) = by_subject.get_mut(&subject) else { continue };
            watchers.retain(|watcher| {
                let Some(pending) = watcher.upgrade() else { return false };
                let mut pending = lock(&pending);
                pending.changed.insert(entity);
                pending.waker.take().into_iter().for_each(Waker::wake);
                true
            });
            if watchers.is_empty() {
                by_subject.remove(&subject);
            }
        }
    }
}

impl Drop for Observers {
    fn drop(&mut self) {
        for watcher in lock(&self.by_subject).values().flatten().filter_map(Weak::upgrade) {
            let mut pending = lock(&watcher);
            pending.closed = true;
            pending.waker.take().into_iter().for_each(Waker::wake);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_add_up_until_they_are_read_and_only_for_the_subject() {
        let observers = Observers::default();
        let (space, notes): (_, Collection) = (SpaceId::from_bytes([1; 16]), "notes".parse().unwrap());
        let (one, two) = (EntityId::from_bytes([1; 16]), EntityId::from_bytes([2; 16]));
        let mut all = observers.watch(Subject::Collection(space, notes.clone()));
        let mut only_one = observers.watch(Subject::Entity(one));
        for entity in [one, two, one] {
            observers.changed(space, &notes, entity);
        }
        assert_eq!(all.take(), BTreeSet::from([one, two]));
        assert_eq!(only_one.take(), BTreeSet::from([one]));
        assert!(all.take().is_empty());
        drop(only_one);
        observers.changed(space, &notes, one);
        assert!(!lock(&observers.by_subject).contains_key(&Subject::Entity(one)), "a dropped watcher is forgotten");
    }
}
