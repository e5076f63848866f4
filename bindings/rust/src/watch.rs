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
    /// What people have to decide in a space.
    Conflicts(SpaceId),
}

#[derive(Debug, Default)]
struct Pending {
    changed: BTreeSet<EntityId>,
    waker: Option<Waker>,
    closed: bool,
}

type Watchers = BTreeMap<Subject, Vec<Weak<Mutex<Pending>>>>;

/// A stream of the entities that changed, by this device or by others.
///
/// Changes that happen faster than they are read add up to one item: the set of entities, each once. So a slow reader
/// costs at most one id per entity, and never the writer's time.
///
/// Reads in three ways: [`Watch::take`] at once, [`Watch::changed`] as a future, or as a [`Stream`]. It keeps no replica
/// open, and ends when the replica is closed. It is not `Clone`, since each change is read once: who else wants to know watches again.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// # let notes = home.collection::<()>("notes")?.json();
/// let mut changes = home.collection::<()>("notes")?.watch();
/// let id = notes.insert(&serde_json::json!({"title": "Milk"}))?;
/// notes.edit(id, |note| note["title"] = "Bread".into())?;
/// assert_eq!(Vec::from_iter(changes.take()), [id]); // once, however often it changed
/// assert!(changes.take().is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Watch {
    pending: Arc<Mutex<Pending>>,
    subject: Subject,
    observers: Weak<Mutex<Watchers>>,
}

impl Watch {
    /// The entities that changed since the last look, without waiting; empty when none did.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// let mut watch = notes.watch();
    /// let id = notes.json().insert(&json!({ "title": "Milk" }))?;
    /// assert!(watch.take().contains(&id));
    /// # Ok(())
    /// # }
    /// ```
    pub fn take(&mut self) -> BTreeSet<EntityId> {
        std::mem::take(&mut lock(&self.pending).changed)
    }

    /// Waits until something has changed; `None` when the replica was closed.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// let mut watch = notes.watch();
    /// let id = notes.json().insert(&serde_json::json!({ "title": "Milk" }))?;
    /// assert!(watch.changed().await.is_some_and(|changed| changed.contains(&id)));
    ///
    /// drop(notes); // the last handle of the replica
    /// assert_eq!(watch.changed().await, None);
    /// # Ok(())
    /// # }
    /// ```
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

impl Drop for Watch {
    fn drop(&mut self) {
        let Some(observers) = self.observers.upgrade() else { return };
        let mut watchers = lock(&observers);
        let Some(of_subject) = watchers.get_mut(&self.subject) else { return };
        of_subject.retain(|watcher| !std::ptr::eq(watcher.as_ptr(), Arc::as_ptr(&self.pending)));
        if of_subject.is_empty() {
            watchers.remove(&self.subject);
        }
    }
}

/// Everybody who watches. Wakers are called without a lock held: what they wake may drop its watch at once.
#[derive(Debug, Default)]
pub(crate) struct Observers(Arc<Mutex<Watchers>>);

impl Observers {
    /// The same watchers, for another part of what they watch.
    pub(crate) fn share(&self) -> Self {
        Self(self.0.clone())
    }

    pub(crate) fn watch(&self, subject: Subject) -> Watch {
        let pending = Arc::<Mutex<Pending>>::default();
        lock(&self.0).entry(subject.clone()).or_default().push(Arc::downgrade(&pending));
        Watch { pending, subject, observers: Arc::downgrade(&self.0) }
    }

    /// Tells those who watch the entity or its collection. Costs nothing per watcher of anything else.
    pub(crate) fn changed(&self, space: SpaceId, collection: &Collection, entity: EntityId) {
        let mut told = Vec::new();
        {
            let watchers = lock(&self.0);
            if watchers.is_empty() {
                return;
            }
            for subject in [Subject::Entity(entity), Subject::Collection(space, collection.clone())] {
                told.extend(watchers.get(&subject).into_iter().flatten().filter_map(Weak::upgrade));
            }
        }
        tell(told, |pending| {
            pending.changed.insert(entity);
        });
    }
}

impl Observers {
    /// What somebody watches.
    pub(crate) fn subjects(&self) -> Vec<Subject> {
        lock(&self.0).keys().cloned().collect()
    }

    /// Tells those who watch a subject of many entities at once.
    pub(crate) fn tell_all(&self, subject: &Subject, entities: &BTreeSet<EntityId>) {
        if entities.is_empty() {
            return;
        }
        let told = {
            let watchers = lock(&self.0);
            watchers.get(subject).into_iter().flatten().filter_map(Weak::upgrade).collect()
        };
        tell(told, |pending| pending.changed.extend(entities));
    }

    /// Tells those who watch what people have to decide.
    pub(crate) fn conflicts_changed(&self, space: SpaceId, entity: EntityId) {
        let told = {
            let watchers = lock(&self.0);
            watchers.get(&Subject::Conflicts(space)).into_iter().flatten().filter_map(Weak::upgrade).collect()
        };
        tell(told, |pending| {
            pending.changed.insert(entity);
        });
    }
}

impl Drop for Observers {
    fn drop(&mut self) {
        let all = lock(&self.0).values().flatten().filter_map(Weak::upgrade).collect();
        tell(all, |pending| pending.closed = true);
    }
}

fn tell(watchers: Vec<Arc<Mutex<Pending>>>, what: impl Fn(&mut Pending)) {
    for watcher in watchers {
        let waker = {
            let mut pending = lock(&watcher);
            what(&mut pending);
            pending.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
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
    }

    #[test]
    fn a_dropped_watch_is_forgotten_at_once_and_its_fellows_are_not() {
        let observers = Observers::default();
        let one = EntityId::from_bytes([1; 16]);
        let (first, mut second) = (observers.watch(Subject::Entity(one)), observers.watch(Subject::Entity(one)));
        drop(first);
        observers.changed(SpaceId::from_bytes([1; 16]), &"notes".parse().unwrap(), one);
        assert_eq!(second.take(), BTreeSet::from([one]));
        drop(second);
        assert!(lock(&observers.0).is_empty(), "nothing is kept of an entity that was once watched");
    }
}
