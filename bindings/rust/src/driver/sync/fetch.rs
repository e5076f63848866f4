//! What of a space is wanted here, and what of that is still to be fetched.

use super::directions::let_go_of_page;
use super::receive::stored_erasure;
use super::{Link, SpaceSync, Synchronization};
use crate::driver::documents::lock;
use crate::driver::{Driver, DriverError, NotInStep};
use crate::status::SyncEvent;
use afield_core::filter::Filter;
use afield_core::limits::FETCH_ENTITIES_MAX;
use afield_core::policy::Trigger;
use afield_core::session::{FetchRequest, FetchedPage};
use afield_core::wire::Class;
use afield_core::{Collection, EntityId, Now, SpaceId};
use afield_store::{Backfill, FilterError, LeftOut, Page, Store, StoreError, Wanted};
use std::collections::BTreeSet;
use tokio::sync::oneshot;

/// What became of entities that were asked for: those that the relay does not know.
pub(crate) type FetchAnswer = Result<Vec<EntityId>, NotInStep>;

/// Somebody who waits for entities.
#[derive(Debug)]
pub(super) struct Fetcher {
    space: SpaceId,
    waiting: BTreeSet<EntityId>,
    unknown: Vec<EntityId>,
    sender: oneshot::Sender<FetchAnswer>,
}

impl Fetcher {
    /// Whether it waits for entities of this space.
    pub(super) fn is_of(&self, space: SpaceId) -> bool {
        self.space == space
    }

    /// Ends the wait.
    pub(super) fn disappoint(self, not: NotInStep) {
        // Who gave up has dropped its end, which is no failure.
        let _ = self.sender.send(Err(not));
    }

    /// Takes the word that nothing is left to be fetched of these entities; gives itself back while it waits for others.
    fn came(mut self, space: SpaceId, came: &BTreeSet<EntityId>, unknown: &[EntityId]) -> Option<Self> {
        if self.space == space {
            let news: Vec<_> = self.waiting.intersection(came).copied().collect();
            self.unknown.extend(news.iter().filter(|entity| unknown.contains(entity)));
            self.waiting.retain(|entity| !came.contains(entity));
        }
        if self.waiting.is_empty() {
            let _ = self.sender.send(Ok(self.unknown));
            return None;
        }
        Some(self)
    }
}

/// How a space is asked for: its filter, and whether some of what that names is still to be fetched.
pub(super) fn asked(store: &Store, space: SpaceId) -> Result<(Filter, bool), StoreError> {
    Ok((store.asked_filter(space)?, !store.backfills(space)?.is_empty()))
}

impl Driver {
    /// Asks for something else of a space from now on; what is here stays here.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Driver, Entropy, Now, SpaceId};
    /// # use afield::document::Filter;
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// let filter = Filter::collections(["notes".parse()?]);
    /// driver.set_filter(space, &filter, now)?;
    /// assert_eq!(driver.with_store(|store| store.filter(space))?, filter);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The filter is too long, the space unknown, or the store failed.
    pub fn set_filter(&self, space: SpaceId, filter: &Filter, now: Now) -> Result<(), FilterError> {
        let mut sync = self.turn();
        let is_up = matches!(sync.link, Link::Up { .. });
        let _ = lock(&self.store).set_filter(space, filter, !is_up)?;
        Ok(self.ask_anew(&mut sync, space, now)?)
    }

    /// Takes back what [`Driver::want_entities`] asked for; what is here stays here.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Driver, EntityId, Entropy, Now, SpaceId};
    /// # use afield::document::Filter;
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// # let entity = EntityId::from_bytes([2; 16]);
    /// # driver.set_filter(space, &Filter::collections(["notes".parse()?]), now)?;
    /// driver.want_entities(space, &[entity], now)?;
    /// driver.unwant_entities(space, &[entity], now)?; // the photo is not looked at any more
    /// let filter = driver.with_store(|store| store.filter(space))?;
    /// assert!(!filter.includes(entity, &"photos".parse()?));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The space is unknown, or the store failed.
    pub fn unwant_entities(&self, space: SpaceId, entities: &[EntityId], now: Now) -> Result<(), FilterError> {
        let mut sync = self.turn();
        let _ = lock(&self.store).unwant_entities(space, entities)?;
        Ok(self.ask_anew(&mut sync, space, now)?)
    }

    /// Tells a session that runs what a space is asked for now.
    pub(super) fn ask_anew(&self, sync: &mut Synchronization, space: SpaceId, now: Now) -> Result<(), StoreError> {
        let (filter, partial) = asked(&lock(&self.store), space)?;
        if let Some(session) = sync.session() {
            session.set_filter(space, filter, partial);
        }
        self.fetch_more(sync, space, now);
        Ok(())
    }

    /// Asks for entities, which are wanted from now on; [`SyncEvent::Fetched`] tells when something of that is here.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Driver, EntityId, Entropy, Now, SpaceId};
    /// # use afield::document::Filter;
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// # let entity = EntityId::from_bytes([2; 16]);
    /// driver.set_filter(space, &Filter::collections(["notes".parse()?]), now)?;
    /// driver.want_entities(space, &[entity], now)?; // one photo that somebody looks at
    /// let filter = driver.with_store(|store| store.filter(space))?;
    /// assert!(filter.includes(entity, &"photos".parse()?));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The filter would be too long, the space is unknown, or the store failed.
    pub fn want_entities(&self, space: SpaceId, entities: &[EntityId], now: Now) -> Result<(), FilterError> {
        self.fetch(space, entities, now).map(drop)
    }

    /// Asks for entities, which are wanted from now on, and tells once all of them are here; `None` when they are.
    ///
    /// # Errors
    ///
    /// The filter would be too long, the space is unknown, or the store failed.
    pub(crate) fn fetch(
        &self,
        space: SpaceId,
        entities: &[EntityId],
        now: Now,
    ) -> Result<Option<oneshot::Receiver<FetchAnswer>>, FilterError> {
        let mut sync = self.turn();
        let waiting: BTreeSet<EntityId> =
            lock(&self.store).want_entities(space, entities)?.into_inner().into_iter().collect();
        if waiting.is_empty() {
            return Ok(None);
        }
        let (sender, receiver) = oneshot::channel();
        let mut waiters = lock(&self.waiters);
        waiters.fetchers.retain(|fetcher| !fetcher.sender.is_closed());
        waiters.fetchers.push(Fetcher { space, waiting, unknown: Vec::new(), sender });
        drop(waiters);
        self.fetch_more(&mut sync, space, now);
        Ok(Some(receiver))
    }

    /// Looks for what is to be fetched of a space, now that this has changed.
    fn fetch_more(&self, sync: &mut Synchronization, space: SpaceId, now: Now) {
        if let Some(state) = sync.spaces.get_mut(&space) {
            state.are_fetches_known = false;
        }
        // Sync may be about to be switched on: whoever waits is told when it is switched off, and not before it has begun.
        if matches!(sync.link, Link::Off) {
            return;
        }
        // What is asked for is stored, and asked for again in the next session where this one fails.
        let result = self.run_for_fetchers(sync, space, now).and_then(|()| self.pump(sync, now));
        let _ = self.finish(sync, result, now);
    }

    /// Somebody who waits for entities of a space with a schedule wants it synced now.
    fn run_for_fetchers(&self, sync: &mut Synchronization, space: SpaceId, now: Now) -> Result<(), DriverError> {
        let is_somebody_there = lock(&self.waiters).fetchers.iter().any(|fetcher| fetcher.space == space);
        if !is_somebody_there || sync.is_wanted(space) {
            return Ok(());
        }
        let decision = self.ask_policy(sync, Some(space), &Trigger::Manual, now)?;
        if !decision.is_start() {
            let not = NotInStep::new(decision.reason().to_string(), Class::Retry);
            self.disappoint_fetchers(space, &not);
        }
        Ok(())
    }

    /// Asks the relay for what is still to be fetched, as much as may be asked for at once.
    pub(super) fn pump_fetches(&self, sync: &mut Synchronization, now: Now) -> Result<(), DriverError> {
        let Synchronization { link: Link::Up { session, .. }, spaces, .. } = sync else { return Ok(()) };
        for (space, state) in spaces.iter_mut().filter(|(_, state)| !state.are_fetches_known && !state.blocked) {
            let (backfills, left_out) = {
                let store = lock(&self.store);
                (store.backfills(*space)?, store.left_out(*space)?)
            };
            state.has_backfills = !backfills.is_empty();
            let mut open: Vec<Backfill> =
                backfills.into_iter().filter(|backfill| !state.is_being_fetched(backfill)).collect();
            while let Some(some) = together(&mut open) {
                let Some(request) = request(&some, &left_out) else { break };
                match session.fetch(*space, request, now) {
                    Some(number) => drop(state.fetches.insert(number, some)),
                    None => {
                        open.extend(some);
                        break;
                    }
                }
            }
            state.are_fetches_known = open.is_empty();
        }
        Ok(())
    }

    /// Stores a page of what was asked for, and tells those who wait for it once that was all.
    pub(super) fn take_page(
        &self,
        sync: &mut Synchronization,
        mut page: FetchedPage,
        now: Now,
    ) -> Result<(), DriverError> {
        let_go_of_page(&lock(&self.store), &mut page)?;
        let FetchedPage { space, number, received, erasures, announced, unusable, upto, done, unknown, cursor, .. } =
            page;
        let Some(state) = sync.spaces.get_mut(&space) else { return Ok(()) };
        let backfills = state.fetches.remove(&number).unwrap_or_default();
        state.are_fetches_known = false;
        let mut arrived = Self::arrived(&received, &unusable);
        let faults = std::mem::take(&mut arrived.faults);
        // What cannot be had as changes either is left in the quarantine.
        let as_changes = backfills.iter().any(|backfill| backfill.changes);
        let refetched: Vec<_> = unusable.iter().map(|snapshot| snapshot.entity).filter(|_| !as_changes).collect();
        let records: Vec<_> = erasures.iter().map(stored_erasure).collect();
        let stored = Page {
            space,
            cursor,
            received: &arrived.changes,
            erasures: &records,
            unreadable: &arrived.unreadable,
            left_out: LeftOut { announced: &announced, refetched: &refetched },
            backfills: &backfills,
            upto,
            done,
            unknown: &unknown,
        };
        let mut store = lock(&self.store);
        let outcome = store.receive_page(&stored, now.wall_ms)?;
        self.forget_erased(&mut store, &outcome.erased);
        drop(store);
        self.note_taken(space, &outcome);
        self.note_held_purges(space, &outcome.held);
        Self::tell_unreadable(sync, space, faults);
        self.tell_erased(sync, space, (&outcome.erased, &erasures));
        self.note_marked(arrived.changes.iter().map(|change| change.hash));
        sync.unmerged.extend(outcome.fresh);
        sync.unmerged_bytes = sync.unmerged_bytes.saturating_add(arrived.bytes);
        self.note_received(sync, space, (received.len(), outcome.added), arrived.bytes, now);
        if done {
            self.merge_received(sync, now)?;
        }
        let rest = lock(&self.store).backfills(space)?;
        let is_pending = |entity: &EntityId| rest.iter().any(|rest| rest.wanted == Wanted::Entity(*entity));
        let came = backfills.iter().filter_map(|backfill| match backfill.wanted {
            Wanted::Entity(entity) => Some(entity),
            _ => None,
        });
        let came: BTreeSet<_> = came.filter(|entity| !is_pending(entity)).collect();
        self.answer_fetchers(space, &came, &unknown);
        if !done {
            return Ok(());
        }
        sync.say(SyncEvent::Fetched { space });
        self.tell_complete(sync, space, rest.is_empty())
    }

    fn answer_fetchers(&self, space: SpaceId, came: &BTreeSet<EntityId>, unknown: &[EntityId]) {
        let mut waiters = lock(&self.waiters);
        let fetchers = std::mem::take(&mut waiters.fetchers);
        waiters.fetchers = fetchers.into_iter().filter_map(|fetcher| fetcher.came(space, came, unknown)).collect();
    }

    /// Ends the wait of those who wait for entities of a space.
    pub(in crate::driver) fn disappoint_fetchers(&self, space: SpaceId, not: &NotInStep) {
        let mut waiters = lock(&self.waiters);
        let fetchers = std::mem::take(&mut waiters.fetchers);
        let (over, rest): (Vec<_>, Vec<_>) = fetchers.into_iter().partition(|fetcher| fetcher.is_of(space));
        waiters.fetchers = rest;
        over.into_iter().for_each(|fetcher| fetcher.disappoint(not.clone()));
    }

    /// Answers those who wait for entities that no page will bring: a Reset, another filter, or the log itself has taken
    /// the place of what was to be fetched, or the space is refused.
    pub(super) fn settle_fetchers(&self, sync: &mut Synchronization) -> Result<(), DriverError> {
        let waiting = lock(&self.waiters).fetchers.iter().map(|fetcher| fetcher.space).collect::<BTreeSet<_>>();
        for space in waiting {
            let Synchronization { link: Link::Up { session, .. }, spaces, unmerged, .. } = &*sync else {
                return Ok(());
            };
            let Some(state) = spaces.get(&space) else { continue };
            if let Some(reason) = &state.refused {
                let reason = format!("space {space}: {reason}");
                self.disappoint_fetchers(space, &NotInStep::new(reason, Class::Permanent));
                continue;
            }
            if !session.is_caught_up(space) || !unmerged.is_empty() {
                continue;
            }
            self.settle_fetchers_of(space)?;
        }
        Ok(())
    }

    fn settle_fetchers_of(&self, space: SpaceId) -> Result<(), DriverError> {
        let store = lock(&self.store);
        let rest = store.backfills(space)?;
        // In which collection an entity is that is not here nobody knows.
        let is_any_pending = rest.iter().any(|rest| matches!(rest.wanted, Wanted::Everything | Wanted::Collection(_)));
        if is_any_pending {
            return Ok(());
        }
        let pending: BTreeSet<_> = rest.into_iter().map(|rest| rest.wanted).collect();
        let (mut came, mut unknown) = (BTreeSet::new(), Vec::new());
        for fetcher in lock(&self.waiters).fetchers.iter().filter(|fetcher| fetcher.space == space) {
            for entity in fetcher.waiting.iter().filter(|entity| !pending.contains(&Wanted::Entity(**entity))) {
                came.insert(*entity);
                if store.home(*entity)?.is_none() {
                    unknown.push(*entity);
                }
            }
        }
        drop(store);
        if !came.is_empty() {
            self.answer_fetchers(space, &came, &unknown);
        }
        Ok(())
    }

    /// Says that a space of which everything is wanted lacks nothing any more.
    fn tell_complete(&self, sync: &mut Synchronization, space: SpaceId, is_complete: bool) -> Result<(), DriverError> {
        if is_complete
            && lock(&self.store).asked_filter(space)? == Filter::Everything
            && let Some(session) = sync.session()
        {
            session.set_filter(space, Filter::Everything, false);
        }
        Ok(())
    }
}

impl SpaceSync {
    fn is_being_fetched(&self, backfill: &Backfill) -> bool {
        self.fetches.values().flatten().any(|other| other.is_same_request(backfill))
    }
}

/// Takes out what can be asked for together: what is here up to the same sequence, and comes in the same form.
fn together(open: &mut Vec<Backfill>) -> Option<Vec<Backfill>> {
    let first = open.first()?.clone();
    let fits = |backfill: &Backfill| {
        let alike = (backfill.after, backfill.changes) == (first.after, first.changes);
        // Entities are looked up one by one, collections are looked for in the whole log.
        alike && matches!(backfill.wanted, Wanted::Entity(_)) == matches!(first.wanted, Wanted::Entity(_))
    };
    let (some, rest): (Vec<_>, Vec<_>) = std::mem::take(open).into_iter().partition(fits);
    let mut some = some;
    *open = some.split_off(some.len().min(FETCH_ENTITIES_MAX));
    open.extend(rest);
    Some(some)
}

fn request(backfills: &[Backfill], left_out: &BTreeSet<Collection>) -> Option<FetchRequest> {
    let first = backfills.first()?;
    let filter = Wanted::filter(backfills.iter().map(|backfill| backfill.wanted.clone()));
    Some(FetchRequest { filter: filter.without(left_out), after: first.after, changes: first.changes })
}
