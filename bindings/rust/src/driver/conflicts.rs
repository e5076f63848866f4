//! The conflicts of entities: worked out of the documents, stored for lists and counts (invariant D9).
//!
//! What comes from elsewhere makes what is stored stale in the same transaction. Of documents with few changes it is worked out
//! at once; of all others when somebody lists it, so that a key that others type into a long text costs nothing here.

use super::documents::{OpenEntity, Taken, lock};
use super::{Driver, EntityError};
use crate::conflict;
use afield_core::document::{Document, LoadError};
use afield_core::{ChangeHash, EntityId, Now};
use afield_store::{ConflictQuery, ConflictRow};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Up to how many changes of a document its conflicts are worked out whenever something was merged: a few milliseconds.
const EAGER_CHANGES_MAX: u64 = 256;

/// What is known of the conflicts of an open document.
#[derive(Debug, Clone, Default)]
pub(super) enum KnownConflicts {
    /// Nothing.
    #[default]
    Unknown,
    /// There were none when the document had these heads.
    NoneAt(Vec<ChangeHash>),
    /// There were some.
    Some,
}

impl KnownConflicts {
    /// Whether there were some.
    pub(super) fn are_any(&self) -> bool {
        matches!(self, Self::Some)
    }
}

/// Works the conflicts of an open document out.
fn conflicts_of(open: &mut OpenEntity) -> Vec<ConflictRow> {
    let found = found_in(open);
    rows(&open.document, &found)
}

/// Works the conflicts of an open document out where it is small, and says whether those who watch are to be told: there are some, or
/// were, or may be.
pub(super) fn worked_out(open: &mut OpenEntity) -> (Option<Vec<ConflictRow>>, bool) {
    if open.document.change_count() > EAGER_CHANGES_MAX {
        return (None, true);
    }
    let were_some = open.conflicts.are_any();
    match catch_unwind(AssertUnwindSafe(|| conflicts_of(open))) {
        Ok(rows) => {
            let are_some = !rows.is_empty();
            (Some(rows), were_some || are_some)
        }
        Err(_) => (None, false),
    }
}

/// Works the conflicts of an open document out, as the document says them.
pub(super) fn found_in(open: &mut OpenEntity) -> Vec<afield_core::document::Conflict> {
    let found = match &open.conflicts {
        KnownConflicts::NoneAt(heads) => open.document.conflicts_since(heads),
        KnownConflicts::Unknown | KnownConflicts::Some => open.document.conflicts(),
    };
    open.conflicts =
        if found.is_empty() { KnownConflicts::NoneAt(open.document.heads()) } else { KnownConflicts::Some };
    found
}

fn rows(document: &Document, found: &[afield_core::document::Conflict]) -> Vec<ConflictRow> {
    let row = |found| ConflictRow { conflict: *conflict::id_of(found), json: conflict::to_json(document, found) };
    found.iter().map(row).collect()
}

impl Driver {
    /// Works out and stores the conflicts of the entities of a query where what is stored is stale.
    ///
    /// # Errors
    ///
    /// The store could not be read, or an entity could not be opened for a reason that is not its own.
    pub(crate) fn refresh_conflicts(&self, query: &ConflictQuery<'_>, now: Now) -> Result<(), EntityError> {
        let stale = lock(&self.store).reader().entities_with_stale_conflicts(query)?;
        for (entity, _) in stale {
            match self.refresh_conflicts_of(entity, now) {
                // What cannot be opened is listed as it last was.
                Err(error) if !error.is_of_this_entity_alone() => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn refresh_conflicts_of(&self, entity: EntityId, now: Now) -> Result<(), EntityError> {
        let damaged = |_| EntityError::Damaged { entity, source: LoadError::Panicked };
        // Somebody has the document out, perhaps the caller within a transaction: it stays stale until it is put back.
        let Some(taken) = self.documents.try_take(entity) else { return Ok(()) };
        let mut taken = self.load(taken, now)?;
        let Some(open) = taken.open.as_deref_mut() else { return Ok(()) };
        let found = catch_unwind(AssertUnwindSafe(|| conflicts_of(open))).map_err(damaged)?;
        self.put_conflicts(&[&taken], vec![(entity, found)]);
        Ok(())
    }

    /// Works out and stores what is left of the conflicts of documents that somebody has taken out and edited, and what has come with
    /// changes of others that were joined to some of them, where they are small; and tells those who watch.
    pub(super) fn store_conflicts(&self, taken: &mut [Taken<'_>], joined: &BTreeSet<EntityId>) {
        let mut found = Vec::new();
        let mut told = Vec::new();
        for one in taken.iter_mut() {
            let entity = one.entity();
            let concerns = |open: &&mut OpenEntity| open.conflicts.are_any() || joined.contains(&entity);
            let Some(open) = one.open.as_deref_mut().filter(concerns) else { continue };
            let (rows, is_in_conflict) = worked_out(open);
            told.extend(Some((open.space, entity)).filter(|_| is_in_conflict));
            found.extend(rows.map(|rows| (entity, rows)));
        }
        let taken: Vec<&Taken<'_>> = taken.iter().collect();
        self.put_conflicts(&taken, found);
        for (space, entity) in told {
            self.observers.conflicts_changed(space, entity);
        }
    }

    /// Stores conflicts. What is not stored stays stale, which costs the next reader as much again and nobody anything else.
    fn put_conflicts(&self, taken: &[&Taken<'_>], found: Vec<(EntityId, Vec<ConflictRow>)>) {
        if found.is_empty() {
            return;
        }
        let mut store = lock(&self.store);
        if self.documents.are_current(taken.iter().copied())
            && let Err(error) = store.put_conflicts(&found)
        {
            tracing::debug!(%error, "conflicts could not be stored");
        }
    }
}
