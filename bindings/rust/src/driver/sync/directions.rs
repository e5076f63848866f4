//! Which way the changes of a collection go: what is let go of that came all the same, and what changes with the direction.

use super::Link;
use crate::driver::documents::lock;
use crate::driver::{Acknowledged, Driver};
use afield_core::policy::Direction;
use afield_core::session::{Advance, FetchedPage, ReceivedChunk};
use afield_core::{Collection, Now, SpaceId};
use afield_store::{DirectionError, SpaceError, Store, StoreError};
use std::collections::BTreeSet;

impl Driver {
    /// Says which way the changes of a collection go from now on, also while a session runs; what was handed to it before may still go.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Direction, Driver, Entropy, Now, SpaceId};
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// let drafts = "drafts".parse()?;
    /// driver.set_direction(space, &drafts, Direction::LocalOnly, now)?;
    /// assert!(driver.with_store(|store| store.left_out(space))?.contains(&drafts)); // of what the relay is asked for
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The space is unknown, too many collections take nothing from the relay, or the store failed.
    pub fn set_direction(
        &self,
        space: SpaceId,
        collection: &Collection,
        direction: Direction,
        now: Now,
    ) -> Result<(), DirectionError> {
        let mut sync = self.turn();
        let is_up = matches!(sync.link, Link::Up { .. });
        let _ = lock(&self.store).set_direction(space, collection, direction, !is_up)?;
        self.tell_held_back()?;
        // What is released may stand before what was offered last.
        Self::rescan(&mut sync, space);
        self.ask_anew(&mut sync, space, now)?;
        self.planned_anew(&mut sync, space, now).map_err(|error| match error {
            SpaceError::Store(error) => DirectionError::Store(error),
            _ => DirectionError::UnknownSpace { space },
        })?;
        drop(sync);
        // Who takes in only decides nothing.
        Ok(self.settle_standing(space, Some(collection), now)?)
    }

    /// Tells those who wait for the relay to have a change that it is held back.
    fn tell_held_back(&self) -> Result<(), StoreError> {
        for (entity, hash) in self.acknowledgements.waited_for() {
            if lock(&self.store).is_held_back(entity, hash)? {
                self.acknowledgements.tell(hash, Acknowledged::HeldBack);
            }
        }
        Ok(())
    }
}

/// Lets go of what a run has brought of collections that were left out: it was on its way when they were, or the relay does not know
/// how to leave them out.
pub(super) fn let_go(store: &Store, advance: &mut Advance) -> Result<(), StoreError> {
    let left_out = store.left_out(advance.space)?;
    if left_out.is_empty() {
        return Ok(());
    }
    let (received, proofs) = (advance.received.len(), advance.proofs.len());
    advance.received.retain(|chunk| is_wanted(&left_out, chunk));
    advance.announced.retain(|(collection, _)| !left_out.contains(collection));
    // What a snapshot brought ahead of the cursor was let go, too, and is proven when the cursor comes there.
    let mut held = Vec::new();
    for proof in std::mem::take(&mut advance.proofs) {
        let is_here = store.standing(proof.entity, proof.hash)?.is_some();
        let may_be_let_go =
            || Ok::<_, StoreError>(store.home(proof.entity)?.is_none_or(|home| left_out.contains(&home.collection)));
        if is_here || store.erasure(advance.space, proof.entity)?.is_some() || !may_be_let_go()? {
            held.push(proof);
        }
    }
    advance.proofs = held;
    advance.is_whole &= (advance.received.len(), advance.proofs.len()) == (received, proofs);
    Ok(())
}

/// Lets go of what a page has brought of collections that were left out since it was asked for, or of which nobody knew that an
/// entity is in them.
pub(super) fn let_go_of_page(store: &Store, page: &mut FetchedPage) -> Result<(), StoreError> {
    let left_out = store.left_out(page.space)?;
    page.received.retain(|chunk| is_wanted(&left_out, chunk));
    page.announced.retain(|(collection, _)| !left_out.contains(collection));
    Ok(())
}

fn is_wanted(left_out: &BTreeSet<Collection>, chunk: &ReceivedChunk) -> bool {
    chunk.collection.as_ref().is_none_or(|collection| !left_out.contains(collection))
}
