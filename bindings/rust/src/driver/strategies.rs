//! Conflicts that a strategy decides: settled once what brought them is merged and stored.

use super::conflicts::found_in;
use super::documents::{OpenEntity, lock};
use super::edit::{EditFailure, PendingWrite};
use super::{Driver, EntityError};
use afield_core::document::strategy::Strategy;
use afield_core::document::{Conflict, LoadError, LocalChange, OperationError, Path};
use afield_core::wire::ChunkCode;
use afield_core::{ChangeHash, Collection, EntityId, Now, SpaceId};
use afield_store::{Arrival, ConflictQuery, SpaceError, StoreError, StoredStrategy};
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
        let query = ConflictQuery { space, collection: Some(collection), entity: None };
        if let Err(error) = self.refresh_conflicts(&query, now) {
            tracing::warn!(%space, %error, "the conflicts that there are could not be looked at");
        }
        let mut entities: Vec<EntityId> = {
            let reader = lock(&self.store).reader();
            reader.conflicts(&query)?.into_iter().map(|listed| listed.entity).collect()
        };
        entities.dedup();
        self.settle_by_strategy(&entities, now);
        Ok(())
    }

    /// Decides what strategies decide in entities that others have changed. What cannot be decided now is listed, and looked at again
    /// when others change the entity once more.
    pub(super) fn settle_by_strategy(&self, entities: &[EntityId], now: Now) {
        match lock(&self.store).has_strategies() {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => return tracing::warn!(%error, "conflicts stay as they are"),
        }
        for entity in entities {
            if let Err(error) = self.settle_entity(*entity, now) {
                tracing::warn!(%entity, %error, "conflicts that a strategy decides stay as they are");
            }
        }
    }

    fn settle_entity(&self, entity: EntityId, now: Now) -> Result<(), EditFailure<OperationError>> {
        // Asked before the strategies are read: what is set after that is followed once more.
        let set = self.strategies_set.load(Ordering::Relaxed);
        let Some(strategies) = self.strategies_of(entity).map_err(EntityError::from)? else { return Ok(()) };
        let mut taken = self.load(self.documents.wait_for(entity), now)?;
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

    /// The strategies of an entity's collection, where they decide anything and this device may write.
    fn strategies_of(&self, entity: EntityId) -> Result<Option<Strategies>, StoreError> {
        let store = lock(&self.store);
        let Some(home) = store.home(entity)? else { return Ok(None) };
        let strategies = Strategies::read(&store.strategies(home.space, Some(&home.collection))?);
        if !strategies.settle_anything() {
            return Ok(None);
        }
        // Who may only read decides nothing for others, and need not pile up what nobody takes.
        let may_write = !store.blocked(home.space)?.iter().any(|block| block.code == ChunkCode::ReadOnly);
        Ok(may_write.then_some(strategies))
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
