//! Undo and redo of this device's own edits.

use super::edit::PendingWrite;
use super::{DELETED_KEY, Driver, EditFailure, Edited, Target};
use crate::error::EditError;
use afield_core::Now;
use afield_core::document::{Direction, Document, Edit, UndoPlan, Value, device_of};
use afield_store::Arrival;
use automerge::ActorId;

/// How many steps of which nothing is left are passed over to find one that can be undone.
const SPENT_STEPS_MAX: usize = 256;

impl Driver {
    /// Undoes or redoes one step of this device in an entity, beside what others have done since, and stores it as an edit.
    /// `None` when there is no step, or nothing left of any.
    ///
    /// ```
    /// # use afield::store::{OpenOptions, Origin, Store};
    /// # use afield::{Driver, EntityId, Entropy, Existence, Now, SpaceId, Target};
    /// # use afield::document::Direction;
    /// # struct Zeros;
    /// # impl Entropy for Zeros { fn fill(&mut self, bytes: &mut [u8]) { bytes.fill(0) } }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let now = Now { wall_ms: 1_767_225_600_000, monotonic_ms: 0 };
    /// # let mut store = Store::open_in_memory(&OpenOptions::default())?;
    /// # let space = SpaceId::from_bytes([1; 16]);
    /// # let _ = store.create_space(space, "Home", Origin::MadeHere, now.wall_ms)?;
    /// # let driver = Driver::new(store, Box::new(Zeros), now)?;
    /// # let entity = EntityId::from_bytes([2; 16]);
    /// # let target = Target { space, collection: "notes".parse()?, entity, existence: Existence::Either };
    /// driver.edit(&target, now, |edit| edit.put("title", "Milk"))?;
    /// driver.edit(&target, now, |edit| edit.put("title", "Bread"))?;
    /// assert!(driver.undo(&target, now, Direction::Undo)?.is_some());
    /// let title = driver.read_document(&target, now, |document| document.read_at("title"))??;
    /// assert_eq!(title, Some("Milk".into()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Driver::edit`].
    pub fn undo(
        &self,
        target: &Target,
        now: Now,
        direction: Direction,
    ) -> Result<Option<Edited<()>>, EditFailure<EditError>> {
        let mut taken = self.open(self.take(target.entity)?, target, now)?;
        let device = self.device();
        let own = |actor: &ActorId| device_of(actor) == Some(device);
        // What a spent step writes is nothing, so the steps stay those that they were.
        let Some(steps) = taken.open.as_deref().map(|open| open.document.undo_steps(own)) else { return Ok(None) };
        for spent in 0..SPENT_STEPS_MAX {
            let plan = taken.open.as_deref().and_then(|open| steps.plan(&open.document, direction, spent));
            let Some(plan) = plan else { break };
            let revert = |edit: &mut Edit<'_>| revert(edit, &plan, now);
            let ((), changes) = self.change(&mut taken, target, self.label(now), revert)?;
            let entity = taken.entity();
            let Some(open) = taken.open.as_deref_mut().filter(|_| !changes.is_empty()) else { continue };
            let writes = [PendingWrite::of(entity, open, changes, Arrival::Applied)];
            self.append(std::slice::from_mut(&mut taken), &writes, now)?;
            return Ok(Some(Edited { value: (), changes: writes.iter().flat_map(PendingWrite::ids).collect() }));
        }
        Ok(None)
    }

    /// The step of this device that undo or redo comes to.
    pub(crate) fn undo_plan(&self, document: &Document, direction: Direction, skipped: usize) -> Option<UndoPlan> {
        let device = self.device();
        document.undo_plan(direction, skipped, |actor| device_of(actor) == Some(device))
    }
}

/// An entity that the step has made is deleted, as by hand: what others have written in it since is not lost with it.
fn revert(edit: &mut Edit<'_>, plan: &UndoPlan, now: Now) -> Result<(), EditError> {
    if !plan.makes_entity() {
        return Ok(edit.revert(plan)?);
    }
    edit.mark_as_undo(plan);
    if edit.read(DELETED_KEY)?.is_none_or(|mark| mark.is_null()) {
        edit.put(DELETED_KEY, Value::Timestamp(now.wall_ms))?;
    }
    Ok(())
}
