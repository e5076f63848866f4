//! Edits of several entities in one commit.

use crate::collection::{Collection, JsonCollection};
use crate::driver::{EditFailure, Existence, Target, TransactionScope};
use crate::error::EditError;
use crate::replica::Shared;
use crate::typed;
use afield_core::document::Edit;
use afield_core::{ChangeHash, EntityId};
use autosurgeon::{Hydrate, Reconcile};

/// Edits of several entities that are stored together or not at all.
#[derive(Debug)]
pub struct Transaction<'s> {
    shared: &'s Shared,
    scope: Scope<'s>,
}

struct Scope<'s>(TransactionScope<'s>);

impl std::fmt::Debug for Scope<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TransactionScope")
    }
}

impl<'s> Transaction<'s> {
    pub(crate) fn start(shared: &'s Shared) -> Result<Self, EditError> {
        Ok(Self { shared, scope: Scope(shared.driver.transaction(shared.now())?) })
    }

    /// Makes a new entity.
    ///
    /// # Errors
    ///
    /// The value is too large or cannot be written to a document.
    pub fn insert<T: Hydrate + Reconcile>(
        &mut self,
        collection: &Collection<T>,
        value: &T,
    ) -> Result<EntityId, EditError> {
        let id = self.shared.fresh_entity();
        let tree = typed::to_value(value)?;
        self.change(collection.target(id, Existence::Fresh), |edit| crate::collection::insert(edit, &tree))?;
        Ok(id)
    }

    /// Edits an entity, as [`Collection::edit`].
    ///
    /// # Errors
    ///
    /// There is no such entity, it does not have the shape of `T`, or the edit is too large.
    pub fn edit<T: Hydrate + Reconcile, R>(
        &mut self,
        collection: &Collection<T>,
        id: EntityId,
        edit: impl FnOnce(&mut T) -> R,
    ) -> Result<R, EditError> {
        self.change(collection.target(id, Existence::Required), |document| typed::edit(document, edit))
    }

    /// Makes an entity have a value, as [`JsonCollection::put`].
    ///
    /// # Errors
    ///
    /// The value is no object or too large.
    pub fn put_json(
        &mut self,
        collection: &JsonCollection,
        id: EntityId,
        value: &serde_json::Value,
    ) -> Result<(), EditError> {
        let after = crate::collection::object(value)?;
        let target = collection.of.target(id, Existence::Either);
        self.change(target, |edit| crate::collection::put(edit, after))
    }

    /// Edits an entity by field and path, as [`crate::Entity::edit`].
    ///
    /// # Errors
    ///
    /// There is no such entity, or what `edit` answers.
    pub fn edit_fields<T, R>(
        &mut self,
        collection: &Collection<T>,
        id: EntityId,
        edit: impl FnOnce(&mut Edit<'_>) -> Result<R, EditError>,
    ) -> Result<R, EditError> {
        self.change(collection.target(id, Existence::Required), edit)
    }

    pub(crate) fn change<R>(
        &mut self,
        target: Target,
        edit: impl FnOnce(&mut Edit<'_>) -> Result<R, EditError>,
    ) -> Result<R, EditError> {
        self.scope.0.edit(&target, edit).map_err(|failure: EditFailure<EditError>| failure.into())
    }

    pub(crate) fn commit(self) -> Result<Vec<(EntityId, ChangeHash)>, EditError> {
        self.scope.0.commit().map_err(|failure: EditFailure<EditError>| failure.into())
    }
}
