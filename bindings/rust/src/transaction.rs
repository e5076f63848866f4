//! Edits of several entities in one commit.

use crate::collection::{Collection, JsonCollection};
use crate::driver::{EditFailure, Existence, Target, TransactionScope, projection_of_fields, split_deleted};
use crate::error::{EditError, ReadError};
use crate::replica::Shared;
use crate::typed;
use afield_core::document::{Document, Edit, LocalChange, Value, brought};
use afield_core::{ChangeHash, EntityId, Limits};
use autosurgeon::{Hydrate, Reconcile};
use std::error::Error;

/// Edits of several entities that are stored together or not at all.
///
/// [`crate::Replica::transaction`] hands it out. What it reads, it reads with its own edits, and an entity that it has
/// touched stays as it is for everybody else until the end.
///
/// ```
/// # use afield::{EditError, Replica, model};
/// #[model]
/// struct Account {
///     balance: i64,
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let replica = Replica::open_in_memory()?;
/// let accounts = replica.create_space("Home")?.collection::<Account>("accounts")?;
/// let mine = accounts.insert(&Account { balance: 10 })?;
/// let (yours, _write) = replica.transaction(|tx| {
///     tx.edit(&accounts, mine, |account| account.balance -= 4)?;
///     if tx.read(&accounts, mine)?.balance < 0 {
///         return Err(EditError::aborted("there is not that much")); // nothing of it remains
///     }
///     tx.insert(&accounts, &Account { balance: 4 })
/// })?;
/// assert_eq!(accounts.read(mine)?.balance + accounts.read(yours)?.balance, 10);
/// # Ok(())
/// # }
/// ```
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
    /// ```
    /// # use afield::{Replica, model};
    /// # #[model]
    /// # struct Note { title: String }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = Replica::open_in_memory()?;
    /// # let notes = replica.create_space("Home")?.collection::<Note>("notes")?;
    /// # let id = notes.insert(&Note { title: "Milk".into() })?;
    /// let (other, _) = replica.transaction(|transaction| transaction.insert(&notes, &Note { title: "Bread".into() }))?;
    /// assert_eq!(notes.read(other)?.title, "Bread");
    /// # Ok(())
    /// # }
    /// ```
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
        let tree = typed::to_tree(value)?;
        self.change(
            collection.target(id, Existence::Fresh),
            collection.saying(|edit| collection.shape.insert_typed(edit, &tree)),
        )?;
        Ok(id)
    }

    /// Makes a new entity, as [`JsonCollection::insert`].
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let notes = replica.create_space("Home")?.collection::<()>("notes")?.json();
    /// # let id = notes.insert(&json!({ "title": "Milk" }))?;
    /// let (other, _) = replica.transaction(|transaction| transaction.insert_json(&notes, &json!({ "title": "Bread" })))?;
    /// assert_eq!(notes.read(other)?, json!({ "title": "Bread" }));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The value is no object or too large.
    pub fn insert_json(
        &mut self,
        collection: &JsonCollection,
        value: &serde_json::Value,
    ) -> Result<EntityId, EditError> {
        self.make(&collection.of, crate::collection::object(value)?)
    }

    /// Edits an entity, as [`Collection::edit`].
    ///
    /// ```
    /// # use afield::{Replica, model};
    /// # #[model]
    /// # struct Note { title: String }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = Replica::open_in_memory()?;
    /// # let notes = replica.create_space("Home")?.collection::<Note>("notes")?;
    /// # let id = notes.insert(&Note { title: "Milk".into() })?;
    /// replica.transaction(|transaction| transaction.edit(&notes, id, |note| note.title = "Bread".into()))?;
    /// assert_eq!(notes.read(id)?.title, "Bread");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// There is no such entity, it does not have the shape of `T`, or the edit is too large.
    pub fn edit<T: Hydrate + Reconcile>(
        &mut self,
        collection: &Collection<T>,
        id: EntityId,
        edit: impl FnOnce(&mut T),
    ) -> Result<(), EditError> {
        self.change(
            collection.target(id, Existence::Required),
            collection.saying(|document| collection.shape.edit_typed(document, edit)),
        )
    }

    /// Edits an entity, as [`Collection::try_edit`]. A failure takes back this edit alone: pass it on to give the whole
    /// transaction up.
    ///
    /// ```
    /// # use afield::{Replica, model};
    /// # #[model]
    /// # struct Note { title: String }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = Replica::open_in_memory()?;
    /// # let notes = replica.create_space("Home")?.collection::<Note>("notes")?;
    /// # let id = notes.insert(&Note { title: "Milk".into() })?;
    /// let given_up = replica.transaction(|transaction| {
    ///     transaction.try_edit(&notes, id, |note| {
    ///         note.title = "Bread".into();
    ///         Err::<(), _>("there is none")
    ///     })
    /// });
    /// assert!(given_up.is_err() && notes.read(id)?.title == "Milk");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`EditError::Aborted`] with what `edit` answered; otherwise as [`Transaction::edit`].
    pub fn try_edit<T: Hydrate + Reconcile, R, E: Into<Box<dyn Error + Send + Sync>>>(
        &mut self,
        collection: &Collection<T>,
        id: EntityId,
        edit: impl FnOnce(&mut T) -> Result<R, E>,
    ) -> Result<R, EditError> {
        let target = collection.target(id, Existence::Required);
        self.change(
            target,
            collection.saying(|document| collection.shape.edit_typed(document, edit)?.map_err(EditError::aborted)),
        )
    }

    /// Edits an entity, as [`JsonCollection::edit`].
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let notes = replica.create_space("Home")?.collection::<()>("notes")?.json();
    /// # let id = notes.insert(&json!({ "title": "Milk" }))?;
    /// replica.transaction(|transaction| transaction.edit_json(&notes, id, |note| note["title"] = "Bread".into()))?;
    /// assert_eq!(notes.read(id)?, json!({ "title": "Bread" }));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// There is no such entity, or the edit is too large.
    pub fn edit_json(
        &mut self,
        collection: &JsonCollection,
        id: EntityId,
        edit: impl FnOnce(&mut serde_json::Value),
    ) -> Result<(), EditError> {
        let target = collection.of.target(id, Existence::Required);
        self.change(target, collection.of.saying(|document| collection.of.shape.edit_json(document, edit)))
    }

    /// Makes an entity have a value, as [`JsonCollection::put`].
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let notes = replica.create_space("Home")?.collection::<()>("notes")?.json();
    /// # let id = notes.insert(&json!({ "title": "Milk" }))?;
    /// replica.transaction(|transaction| transaction.put_json(&notes, id, &json!({ "name": "Bread" })))?;
    /// assert_eq!(notes.read(id)?, json!({ "name": "Bread" }));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The value is no object or too large, or the entity lives elsewhere.
    pub fn put_json(
        &mut self,
        collection: &JsonCollection,
        id: EntityId,
        value: &serde_json::Value,
    ) -> Result<(), EditError> {
        let after = crate::collection::object(value)?;
        let target = collection.of.target(id, Existence::Either);
        self.change(target, collection.of.saying(|edit| collection.of.shape.put(edit, &after)))
    }

    /// Edits an entity by field and path, as [`crate::Entity::edit`].
    ///
    /// ```
    /// # use afield::{Replica, model};
    /// # #[model]
    /// # struct Note { title: String }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = Replica::open_in_memory()?;
    /// # let notes = replica.create_space("Home")?.collection::<Note>("notes")?;
    /// # let id = notes.insert(&Note { title: "Milk".into() })?;
    /// replica.transaction(|transaction| transaction.edit_fields(&notes, id, |edit| Ok(edit.put("title", "Bread")?)))?;
    /// assert_eq!(notes.read(id)?.title, "Bread");
    /// # Ok(())
    /// # }
    /// ```
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
        self.change(collection.target(id, Existence::Required), collection.saying(edit))
    }

    /// Marks an entity as deleted, as [`Collection::delete`].
    ///
    /// ```
    /// # use afield::{Replica, model};
    /// # #[model]
    /// # struct Note { title: String }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = Replica::open_in_memory()?;
    /// # let notes = replica.create_space("Home")?.collection::<Note>("notes")?;
    /// # let id = notes.insert(&Note { title: "Milk".into() })?;
    /// replica.transaction(|transaction| transaction.delete(&notes, id))?;
    /// assert_eq!(notes.deleted()?, [id]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// There is no such entity.
    pub fn delete<T>(&mut self, collection: &Collection<T>, id: EntityId) -> Result<(), EditError> {
        let at_ms = self.shared.now().wall_ms;
        let target = collection.target(id, Existence::Required);
        self.change(target, collection.saying(|edit| crate::collection::delete(edit, at_ms)))
    }

    /// Takes a deletion back, as [`Collection::restore`].
    ///
    /// ```
    /// # use afield::{Replica, model};
    /// # #[model]
    /// # struct Note { title: String }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = Replica::open_in_memory()?;
    /// # let notes = replica.create_space("Home")?.collection::<Note>("notes")?;
    /// # let id = notes.insert(&Note { title: "Milk".into() })?;
    /// notes.delete(id)?;
    /// replica.transaction(|transaction| transaction.restore(&notes, id))?;
    /// assert_eq!(notes.ids()?, [id]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// There is no such entity.
    pub fn restore<T>(&mut self, collection: &Collection<T>, id: EntityId) -> Result<(), EditError> {
        self.change(collection.target(id, Existence::Required), collection.saying(crate::collection::restore))
    }

    /// Reads an entity, with what this transaction has made of it.
    ///
    /// ```
    /// # use afield::{Replica, model};
    /// # #[model]
    /// # struct Note { title: String }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = Replica::open_in_memory()?;
    /// # let notes = replica.create_space("Home")?.collection::<Note>("notes")?;
    /// # let id = notes.insert(&Note { title: "Milk".into() })?;
    /// replica.transaction(|transaction| {
    ///     transaction.edit(&notes, id, |note| note.title = "Bread".into())?;
    ///     assert_eq!(transaction.read(&notes, id)?.title, "Bread");
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// There is no such entity, or it does not have the shape of `T`.
    pub fn read<T: Hydrate + Reconcile>(&mut self, collection: &Collection<T>, id: EntityId) -> Result<T, ReadError> {
        let target = collection.target(id, Existence::Required);
        let value = self.scope.0.read(&target, |document| collection.shape.read_typed(document))?;
        value.map_err(|source| ReadError::Shape { entity: id, source })
    }

    /// Reads an entity as [`JsonCollection::read`] does, with what this transaction has made of it.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let notes = replica.create_space("Home")?.collection::<()>("notes")?.json();
    /// # let id = notes.insert(&json!({ "title": "Milk" }))?;
    /// replica.transaction(|transaction| {
    ///     transaction.edit_json(&notes, id, |note| note["title"] = "Bread".into())?;
    ///     assert_eq!(transaction.read_json(&notes, id)?["title"], "Bread");
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// There is no such entity.
    pub fn read_json(&mut self, collection: &JsonCollection, id: EntityId) -> Result<serde_json::Value, ReadError> {
        let target = collection.of.target(id, Existence::Required);
        let fields = split_deleted(self.scope.0.read(&target, Document::read)?).0;
        Ok(collection.of.shape.show(fields).to_json())
    }

    fn make<T>(&mut self, collection: &Collection<T>, fields: Value) -> Result<EntityId, EditError> {
        let id = self.shared.fresh_entity();
        self.change(
            collection.target(id, Existence::Fresh),
            collection.saying(|edit| collection.shape.insert_json(edit, &fields)),
        )?;
        Ok(id)
    }

    pub(crate) fn change<R>(
        &mut self,
        target: Target,
        edit: impl FnOnce(&mut Edit<'_>) -> Result<R, EditError>,
    ) -> Result<R, EditError> {
        self.scope.0.edit(&target, edit).map_err(|failure: EditFailure<EditError>| failure.into())
    }

    /// The fields of an entity; `None` where nothing of it is here.
    pub(crate) fn fields_of(&mut self, target: &Target) -> Result<Option<Value>, EditError> {
        let fields = |document: &Document| match document.change_count() {
            0 => None,
            _ => Some(split_deleted(document.read()).0),
        };
        self.scope.0.read(target, fields).map_err(|error| EditFailure::<EditError>::from(error).into())
    }

    /// Adds to an entity what it lacks of the changes of a document; `false` where it holds others, too, and stays as it is.
    pub(crate) fn extend(
        &mut self,
        target: &Target,
        document: Document,
        changes: Vec<LocalChange>,
    ) -> Result<bool, EditError> {
        let extended = self.scope.0.extend(target, document, changes);
        extended.map_err(|error| EditFailure::<EditError>::from(error).into())
    }

    /// Stores an entity with these fields as everybody makes it who holds nothing of it. Says whether it did: not where something
    /// is here, or where they have to be made in a document.
    pub(crate) fn bring(&mut self, target: &Target, fields: &Value) -> Result<bool, EditError> {
        let make = || Some((brought(target.entity, fields, &Limits::DEFAULT)?, projection_of_fields(fields)));
        self.scope.0.bring(target, make).map_err(|error| EditFailure::<EditError>::from(error).into())
    }

    pub(crate) fn commit(self) -> Result<Vec<(EntityId, ChangeHash)>, EditError> {
        self.scope.0.commit().map_err(|failure: EditFailure<EditError>| failure.into())
    }
}
