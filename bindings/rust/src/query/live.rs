//! Queries that tell when their answer is another one.

use super::{Query, QueryError};
use crate::collection::{Collection, Shape};
use crate::replica::Shared;
use crate::watch::{Subject, Watch};
use afield_core::{Collection as Name, EntityId, SpaceId};
use afield_store::{MatchedEntity, Probe};
use futures_util::Stream;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

/// How many entities may have changed at once before asking anew is cheaper than looking at each.
const PROBES_MAX: usize = 256;

/// The answer to a query now, and again each time it has become another one.
///
/// Nothing is read when other collections change. For each entity that was written, one look at its row tells whether it belongs
/// to the answer; the query is asked anew only where a limit lets others take the place of what has left, where there is an
/// offset, and where hundreds of entities have changed at once. [`LiveQuery::work`] counts both. An answer is read on the thread that
/// asks for it, within milliseconds.
///
/// Reads in three ways: [`LiveQuery::take`] at once, [`LiveQuery::next_answer`] as a future, or as a [`Stream`]. It keeps no replica
/// open, and ends when the replica is closed. After an error it goes on with the next change. It is not `Clone`, since each answer is
/// read once: who else wants to know watches the [`Query`] again.
///
/// An answer of JSON values is another one where its entities or their JSON are others; one of a model's values also where an entity in
/// it was written at all, since marks and blocks of rich texts are no part of JSON.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let tasks = replica.create_space("Home")?.collection::<()>("tasks")?.json();
/// use serde_json::json;
///
/// let first = tasks.insert(&json!({"title": "sow", "done": false}))?;
/// let mut open = tasks.query("done = 0", ())?.watch()?;
/// assert_eq!(open.take().transpose()?.map(|tasks| tasks.len()), Some(1), "the answer now");
/// tasks.insert(&json!({"title": "rest", "done": true}))?;
/// assert!(open.take().is_none(), "it is no other by that");
/// tasks.edit(first, |task| task["done"] = true.into())?;
/// assert_eq!(open.take().transpose()?.map(|tasks| tasks.len()), Some(0));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a live query that is dropped tells nothing"]
pub struct LiveQuery<V> {
    watch: Watch,
    shared: Weak<Shared>,
    place: (SpaceId, Name),
    shape: Shape,
    query: afield_store::Query,
    shown: Shown,
    /// Whether an entity that is shown and was written makes another answer, also where its JSON is the same.
    counts_writes: bool,
    work: LiveWork,
    answer: fn(&Collection<()>, &[MatchedEntity]) -> Result<V, QueryError>,
}

/// What the last answer was made of.
#[derive(Debug)]
enum Shown {
    /// There was none yet.
    Nothing,
    /// It was an error: the query is asked again when something has changed.
    Failed,
    /// These entities.
    Answer(Vec<MatchedEntity>),
}

/// What a live query has read so far.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// let tasks = home.collection::<()>("tasks")?.json();
/// let mut open = tasks.query("done = 0", ())?.watch()?;
/// assert!(open.take().is_some());
/// for n in 0..10 {
///     tasks.insert(&serde_json::json!({"n": n, "done": true}))?;
/// }
/// assert!(open.take().is_none());
/// let work = open.work();
/// assert_eq!((work.runs, work.probes), (1, 10)); // ten rows were looked at, and nothing was asked anew
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LiveWork {
    /// How many times the query was asked, the first time included.
    pub runs: u64,
    /// How many rows were looked at, one by one.
    pub probes: u64,
}

impl<V> LiveQuery<V> {
    pub(super) fn of<T>(
        query: &Query<T>,
        counts_writes: bool,
        answer: fn(&Collection<()>, &[MatchedEntity]) -> Result<V, QueryError>,
    ) -> Result<Self, QueryError> {
        let (ready, place) = (query.ready()?, query.place.clone());
        let Some(of) = &query.of else { return Err(QueryError::Nested) };
        let subject = Subject::Collection(place.0, place.1.clone());
        // Before the first answer is read, so that nothing is missed between the two.
        let watch = of.shared.driver.observers.watch(subject);
        let (shared, shape, work) = (Arc::downgrade(&of.shared), of.shape.clone(), LiveWork::default());
        let shown = Shown::Nothing;
        Ok(Self { watch, shared, place, shape, query: ready, shown, counts_writes, work, answer })
    }

    /// The answer, if it is another one than at the last look, without waiting; the first look always has one.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use serde_json::json;
    /// # let tasks = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("tasks")?.json();
    /// let mut open = tasks.query("done = 0", ())?.watch()?;
    /// assert!(open.take().is_some(), "the first look");
    /// assert!(open.take().is_none(), "nothing has changed since");
    /// tasks.insert(&json!({ "title": "sow", "done": false }))?;
    /// assert_eq!(open.take().transpose()?.map(|tasks| tasks.len()), Some(1));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `None` is no error: nothing has changed, or the replica was closed. What is in `Some` may be one ([`QueryError`]), where the answer
    /// could not be read; the query goes on with the next change.
    pub fn take(&mut self) -> Option<Result<V, QueryError>> {
        let changed = self.watch.take();
        self.look(changed)
    }

    /// Waits for the next answer; the first one is there at once. `None` when the replica was closed.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// # use serde_json::json;
    /// # let tasks = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("tasks")?.json();
    /// let mut open = tasks.query("done = 0", ())?.watch()?;
    /// assert_eq!(open.next_answer().await.transpose()?.map(|tasks| tasks.len()), Some(0));
    /// tasks.insert(&json!({ "title": "sow", "done": false }))?;
    /// assert_eq!(open.next_answer().await.transpose()?.map(|tasks| tasks.len()), Some(1));
    /// drop(tasks); // the last handle of the replica
    /// assert!(open.next_answer().await.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// What is in `Some` may be one ([`QueryError`]), where the answer could not be read; the query goes on with the next change.
    pub async fn next_answer(&mut self) -> Option<Result<V, QueryError>> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// What was read for it so far.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use serde_json::json;
    /// # let tasks = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("tasks")?.json();
    /// let mut open = tasks.query("done = 0", ())?.watch()?;
    /// let _ = open.take();
    /// tasks.insert(&json!({ "title": "rest", "done": true }))?;
    /// assert!(open.take().is_none());
    /// assert_eq!((open.work().runs, open.work().probes), (1, 1), "asked once, and then one row looked at");
    /// # Ok(())
    /// # }
    /// ```
    pub fn work(&self) -> LiveWork {
        self.work
    }

    fn look(&mut self, changed: BTreeSet<EntityId>) -> Option<Result<V, QueryError>> {
        let shared = self.shared.upgrade()?;
        let answered = self.update(&shared, &changed).and_then(|is_other| match &self.shown {
            Shown::Answer(shown) if is_other => {
                let mut of = Collection::new(shared, self.place.0, self.place.1.clone());
                of.shape = self.shape.clone();
                (self.answer)(&of, shown).map(Some)
            }
            _ => Ok(None),
        });
        if answered.is_err() {
            self.shown = Shown::Failed;
        }
        answered.transpose()
    }

    /// Brings what is shown up to date, and says whether it is something else now.
    fn update(&mut self, shared: &Shared, changed: &BTreeSet<EntityId>) -> Result<bool, QueryError> {
        let is_first = matches!(self.shown, Shown::Nothing);
        if changed.is_empty() && !is_first {
            return Ok(false);
        }
        let Shown::Answer(mut shown) = std::mem::replace(&mut self.shown, Shown::Failed) else {
            return self.ask(shared, None, changed);
        };
        if self.query.offset_of() > 0 || changed.len() > PROBES_MAX {
            return self.ask(shared, Some(shown), changed);
        }
        // What a limit keeps short may have to be asked anew half way, and is compared with what it was.
        let before = self.query.limit_of().map(|_| shown.clone());
        let mut is_other = false;
        for entity in changed {
            let probe = self.probe(shared, *entity)?;
            match self.place(&mut shown, *entity, probe) {
                Placed::AsBefore => {}
                Placed::Otherwise => is_other = true,
                Placed::Unknown => return self.ask(shared, before, changed),
            }
        }
        self.shown = Shown::Answer(shown);
        Ok(is_other)
    }

    fn ask(
        &mut self,
        shared: &Shared,
        before: Option<Vec<MatchedEntity>>,
        changed: &BTreeSet<EntityId>,
    ) -> Result<bool, QueryError> {
        self.work.runs += 1;
        shared.refresh(self.place.0, &self.place.1)?;
        let found = shared.reader.query(&self.query)?;
        let is_same = before.is_some_and(|before| {
            before.len() == found.len()
                && before.iter().zip(&found).all(|(one, other)| one.entity == other.entity && one.json == other.json)
                && !(self.counts_writes && found.iter().any(|one| changed.contains(&one.entity)))
        });
        self.shown = Shown::Answer(found);
        Ok(!is_same)
    }

    fn probe(&mut self, shared: &Shared, entity: EntityId) -> Result<Probe, QueryError> {
        self.work.probes += 1;
        let probe = shared.reader.probe(&self.query, entity, false)?;
        if probe != Probe::Stale {
            return Ok(probe);
        }
        shared.refresh_one(entity)?;
        self.work.probes += 1;
        Ok(shared.reader.probe(&self.query, entity, true)?)
    }

    /// Puts an entity where it belongs in what is shown.
    fn place(&self, shown: &mut Vec<MatchedEntity>, entity: EntityId, probe: Probe) -> Placed {
        // Where fewer are shown than may be, all that there are are shown.
        let is_full = self.query.limit_of().is_some_and(|limit| shown.len() as u64 >= limit);
        let at = shown.iter().position(|one| one.entity == entity);
        match (at, probe) {
            (None, Probe::Other | Probe::Stale) => Placed::AsBefore,
            (Some(_), Probe::Other | Probe::Stale) if is_full => Placed::Unknown,
            (Some(at), Probe::Other | Probe::Stale) => {
                shown.remove(at);
                Placed::Otherwise
            }
            (None, Probe::Matches(found)) => {
                let to = self.position(shown, &found);
                if is_full && to == shown.len() {
                    return Placed::AsBefore;
                }
                shown.insert(to, found);
                if is_full {
                    shown.pop();
                }
                Placed::Otherwise
            }
            (Some(at), Probe::Matches(found)) => {
                let old = shown.remove(at);
                let to = self.position(shown, &found);
                let moved_down = self.query.compare(&old, &found) == Ordering::Less;
                // Behind the last one that is shown there may be others before it.
                let is_unknown = is_full && to == shown.len() && moved_down;
                let is_same = at == to && old.json == found.json && !self.counts_writes;
                shown.insert(to, found);
                match (is_unknown, is_same) {
                    (true, _) => Placed::Unknown,
                    (false, true) => Placed::AsBefore,
                    (false, false) => Placed::Otherwise,
                }
            }
        }
    }

    fn position(&self, shown: &[MatchedEntity], found: &MatchedEntity) -> usize {
        shown.partition_point(|one| self.query.compare(one, found) == Ordering::Less)
    }
}

/// What an entity that has changed does to what is shown.
enum Placed {
    /// Nothing.
    AsBefore,
    /// It is something else now.
    Otherwise,
    /// Only the query can tell.
    Unknown,
}

impl<V> Stream for LiveQuery<V> {
    type Item = Result<V, QueryError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if matches!(this.shown, Shown::Nothing)
            && let Some(first) = this.take()
        {
            return Poll::Ready(Some(first));
        }
        loop {
            match Pin::new(&mut this.watch).poll_next(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(changed)) => {
                    if let Some(answer) = this.look(changed) {
                        return Poll::Ready(Some(answer));
                    }
                }
            }
        }
    }
}
