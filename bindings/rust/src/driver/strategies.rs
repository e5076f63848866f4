//! Conflicts that a strategy decides: settled once what brought them is merged and stored.
//!
//! The two are not one transaction, so what is merged is noted until it was looked at: in memory, and of what was merged before the process
//! began by the stored conflicts themselves.

use super::conflicts::found_in;
use super::documents::{Documents, OpenEntity, lock};
use super::edit::{EditFailure, PendingWrite};
use super::{Driver, EntityError};
use afield_core::document::strategy::Strategy;
use afield_core::document::{Conflict, LoadError, LocalChange, OperationError, Path};
use afield_core::policy::Direction;
use afield_core::wire::ChunkCode;
use afield_core::{ChangeHash, Collection, EntityId, Now, Role, SpaceId};
use afield_store::{Arrival, ConflictQuery, SpaceError, StoreError, StoredStrategy};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

/// What of an open document was last looked at to decide by strategies.
#[derive(Debug, Clone, Default)]
pub(super) enum Settled {
    /// Nothing.
    #[default]
    Nothing,
    /// All that there was at these heads, by the strategies as they were when they had been set so often.
    At(Vec<ChangeHash>, u64),
}

/// What strategies have not been asked about yet.
#[derive(Debug, Default)]
pub(super) struct Unasked {
    /// What was merged since.
    entities: BTreeSet<EntityId>,
    /// Whether that is not known of what is stored: the process may have ended between a merge and what follows from it.
    anything: bool,
}

/// The strategies of a collection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Strategies(Vec<(Path, Strategy)>);

impl Strategies {
    /// Reads what is stored; what a newer version wrote and this one does not know is left to people.
    pub(crate) fn read<'s>(stored: impl IntoIterator<Item = &'s StoredStrategy>) -> Self {
        let read = |stored: &StoredStrategy| {
            let field = if stored.field.is_empty() { Path::ROOT } else { stored.field.parse().ok()? };
            Some((field, stored.strategy.parse().unwrap_or(Strategy::Manual)))
        };
        Self(stored.into_iter().filter_map(read).collect())
    }

    /// The strategy of a place: that of the longest path that leads there.
    pub(crate) fn of(&self, place: &Path) -> Strategy {
        let leads_there = |(field, _): &&(Path, Strategy)| place.steps().starts_with(field.steps());
        let longest = self.0.iter().filter(leads_there).max_by_key(|(field, _)| field.steps().len());
        longest.map(|(_, strategy)| *strategy).unwrap_or_default()
    }

    /// Whether any of them decides anything.
    fn settle_anything(&self) -> bool {
        self.0.iter().any(|(_, strategy)| strategy.settles())
    }
}

impl Driver {
    /// Says how the conflicts of a field of a collection, or of all its fields, are decided from now on, and decides those that there are.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Driver, Entropy, Now, SpaceId, Strategy};
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// let tasks = "tasks".parse()?;
    /// driver.set_strategy(space, &tasks, &"state".into(), Strategy::Newest, now)?;
    /// let stored = driver.with_store(|store| store.strategies(space, Some(&tasks)))?;
    /// assert_eq!((stored[0].field.as_str(), stored[0].strategy.as_str()), ("state", "newest"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The space is unknown, or the store failed.
    pub fn set_strategy(
        &self,
        space: SpaceId,
        collection: &Collection,
        field: &Path,
        strategy: Strategy,
        now: Now,
    ) -> Result<(), SpaceError> {
        // Merge is a strategy of its own for a field, beside another one for all.
        let is_default = strategy == Strategy::Merge && field.steps().is_empty();
        let name = (!is_default).then(|| strategy.name());
        let field = if field.steps().is_empty() { String::new() } else { field.to_string() };
        let _ = lock(&self.store).set_strategy(space, collection, &field, name)?;
        self.strategies_set.fetch_add(1, Ordering::Relaxed);
        self.settle_standing(space, Some(collection), now)?;
        Ok(())
    }

    /// Decides what strategies decide of all that stands in conflict in a space, or in one of its collections: after something has changed
    /// that decides whether they do.
    pub(super) fn settle_standing(
        &self,
        space: SpaceId,
        collection: Option<&Collection>,
        now: Now,
    ) -> Result<(), StoreError> {
        if !lock(&self.store).has_strategies()? {
            return Ok(());
        }
        let query = ConflictQuery { space, collection, entity: None };
        if let Err(error) = self.refresh_conflicts(&query, now) {
            tracing::warn!(%space, %error, "the conflicts that there are could not be looked at");
        }
        let reader = lock(&self.store).reader();
        let listed = reader.conflicts(&query)?;
        // What could not be looked at is stale, and not listed.
        let stale = reader.entities_with_stale_conflicts(&query)?;
        let entities =
            listed.into_iter().map(|listed| listed.entity).chain(stale.into_iter().map(|(entity, _)| entity));
        self.ask_strategies(entities);
        self.settle_by_strategy(now);
        Ok(())
    }

    /// Notes that it is not known what of that which is stored was merged and not looked at.
    pub(super) fn ask_strategies_about_anything(&self) {
        lock(&self.unasked).anything = true;
    }

    /// Decides what strategies decide of what was merged before the process began, if that was not done yet, and of what was merged since.
    pub(crate) fn settle_what_was_left(&self, now: Now) {
        let anything = std::mem::take(&mut lock(&self.unasked).anything);
        if anything && let Err(error) = self.settle_what_stands(now) {
            tracing::warn!(%error, "conflicts that strategies decide could not be looked for");
            self.ask_strategies_about_anything();
        }
        self.settle_by_strategy(now);
    }

    fn settle_what_stands(&self, now: Now) -> Result<(), StoreError> {
        if !lock(&self.store).has_strategies()? {
            return Ok(());
        }
        let spaces = lock(&self.store).spaces()?;
        for record in spaces {
            let stored = lock(&self.store).strategies(record.space, None)?;
            let collections: BTreeSet<&Collection> = stored.iter().map(|stored| &stored.collection).collect();
            for collection in collections {
                self.settle_standing(record.space, Some(collection), now)?;
            }
        }
        Ok(())
    }

    /// Notes entities in which others may have begun conflicts, to be looked at once their documents are free.
    pub(super) fn ask_strategies(&self, entities: impl IntoIterator<Item = EntityId>) {
        lock(&self.unasked).entities.extend(entities);
    }

    /// Decides what strategies decide in entities that others have changed. What cannot be decided now is listed, and looked at again
    /// when others change the entity once more; where it was the store that failed, or somebody has the document, with the next merge.
    pub(super) fn settle_by_strategy(&self, now: Now) {
        // Whoever runs an application's closure has documents, and may not wait for others.
        let is_nothing_due = lock(&self.unasked).entities.is_empty();
        if is_nothing_due || Documents::is_inside() || lock(&self.store).is_poisoned() {
            return;
        }
        let entities = std::mem::take(&mut lock(&self.unasked).entities);
        match lock(&self.store).has_strategies() {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(%error, "conflicts stay as they are");
                return self.ask_strategies(entities);
            }
        }
        for entity in entities {
            let Err(error) = self.settle_entity(entity, now) else { continue };
            tracing::warn!(%entity, %error, "conflicts that a strategy decides stay as they are");
            let is_over = match &error {
                EditFailure::Entity(error) => error.is_of_this_entity_alone(),
                EditFailure::Document(_) => true,
                EditFailure::Store(_) => false,
            };
            if !is_over {
                self.ask_strategies([entity]);
            }
        }
    }

    fn settle_entity(&self, entity: EntityId, now: Now) -> Result<(), EditFailure<OperationError>> {
        // Asked before the strategies are read: what is set after that is followed once more.
        let set = self.strategies_set.load(Ordering::Relaxed);
        let Some(strategies) = self.strategies_of(entity).map_err(EntityError::from)? else { return Ok(()) };
        let mut taken = self.load(self.take(entity)?, now)?;
        // What loading has merged is looked at now.
        lock(&self.unasked).entities.remove(&entity);
        let Some(open) = taken.open.as_deref_mut() else { return Ok(()) };
        let changes = self.settle_open(open, (&strategies, set))?;
        if changes.is_empty() {
            return Ok(());
        }
        open.since_snapshot += changes.len();
        tracing::info!(%entity, settled = changes.len(), "decided conflicts by strategy");
        let writes = [PendingWrite::of(entity, open, changes, Arrival::Applied)];
        self.append(std::slice::from_mut(&mut taken), &writes, now)?;
        Ok(())
    }

    /// The strategies of an entity's collection, where they decide anything and what this device writes leaves it.
    fn strategies_of(&self, entity: EntityId) -> Result<Option<Strategies>, StoreError> {
        let store = lock(&self.store);
        let Some(home) = store.home(entity)? else { return Ok(None) };
        let strategies = Strategies::read(&store.strategies(home.space, Some(&home.collection))?);
        if !strategies.settle_anything() {
            return Ok(None);
        }
        // Who may only read decides nothing for others, and need not pile up what nobody takes; nor need those who take in only.
        let is_reader = store.space(home.space)?.is_some_and(|record| record.role == Some(Role::Reader));
        let is_refused =
            || Ok::<_, StoreError>(store.blocked(home.space)?.iter().any(|block| block.code == ChunkCode::ReadOnly));
        let directions = store.reader().directions(home.space)?;
        let takes_in_only = |(collection, direction): &(Collection, Direction)| {
            *collection == home.collection && *direction == Direction::PullOnly
        };
        let decides = !is_reader && !directions.iter().any(takes_in_only) && !is_refused()?;
        Ok(decides.then_some(strategies))
    }

    fn settle_open(
        &self,
        open: &mut OpenEntity,
        (strategies, set): (&Strategies, u64),
    ) -> Result<Vec<LocalChange>, EditFailure<OperationError>> {
        let entity = open.document.entity();
        let damaged = |_| EntityError::Damaged { entity, source: LoadError::Panicked };
        let settled = std::mem::take(&mut open.settled);
        let found = catch_unwind(AssertUnwindSafe(|| unsettled_in(open, &settled, set))).map_err(damaged)?;
        let mut is_all_done = true;
        let mut changes = Vec::new();
        for conflict in &found {
            let strategy = strategies.of(&conflict.path);
            let Some(settlement) = open.document.settlement(conflict, strategy, self.side()) else { continue };
            let settled = open.document.settle(&settlement, &self.limits);
            match settled {
                Ok(edited) => changes.extend(edited.changes),
                // The others are decided all the same.
                Err(error) if !open.document.is_poisoned() => {
                    is_all_done = false;
                    tracing::warn!(%entity, %error, "a conflict that a strategy decides stays as it is");
                }
                Err(error) => return Err(EditFailure::Document(error)),
            }
        }
        if is_all_done {
            open.settled = Settled::At(open.document.heads(), set);
        }
        Ok(changes)
    }
}

/// The conflicts of an open document that strategies may decide. What was left to people stays so until somebody writes beside it, so
/// that while nobody does a merge costs what is new, and not all that stands in conflict.
fn unsettled_in(open: &mut OpenEntity, settled: &Settled, set: u64) -> Vec<Conflict> {
    match settled {
        Settled::At(heads, at) if *at == set && open.document.conflicts_since(heads).is_empty() => Vec::new(),
        // Whether one can be decided may rest on what was there before.
        _ => found_in(open),
    }
}
