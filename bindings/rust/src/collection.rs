//! Collections: the entities of one type in a space.

mod json;
mod listing;
mod shape;

pub use json::JsonCollection;
pub(crate) use json::{assign, fields, mark_deleted, mark_existing, object, parse_projection, put};
use json::{edit_json, with_what_json_lacks};
pub use listing::Listing;
pub(crate) use shape::Shape;

use crate::driver::{Edited, EntityError, Existence, Target};
use crate::entity::Entity;
use crate::error::{EditError, ReadError};
use crate::replica::{Shared, all_of};
use crate::typed;
use crate::watch::{Subject, Watch};
use crate::write::Write;
use afield_core::document::{Edit, Path, Value};
use afield_core::lens::Lenses;
use afield_core::{Collection as Name, EntityId, SpaceId};
use afield_store::ListQuery;
use autosurgeon::{Hydrate, Reconcile};
use std::error::Error;
use std::marker::PhantomData;
use std::sync::Arc;

/// The entities of one collection in a space, seen as values of `T`.
///
/// `T` is a struct, or an enum whose variants hold data, with the [`model`](crate::model) attribute, or
/// [`serde_json::Value`] through [`Collection::json`]. Cloning is cheap; every method is synchronous and works without a network.
///
/// ```
/// use afield::{Replica, Text, model};
///
/// #[model]
/// #[derive(Debug, Clone, PartialEq)]
/// struct Note {
///     title: String,
///     body: Text,
///     done: bool,
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let replica = Replica::open_in_memory()?;
/// let notes = replica.create_space("Home")?.collection::<Note>("notes")?;
/// let id = notes.insert(&Note { title: "Shopping".into(), body: "milk".into(), done: false })?;
/// notes.edit(id, |note| note.done = true)?;
/// assert!(notes.read(id)?.done);
/// # Ok(())
/// # }
/// ```
pub struct Collection<T> {
    pub(crate) shared: Arc<Shared>,
    space: SpaceId,
    pub(crate) name: Name,
    pub(crate) shape: Shape,
    /// What edits made through it say of themselves.
    message: Option<Arc<str>>,
    _type: PhantomData<fn() -> T>,
}

impl<T> Clone for Collection<T> {
    fn clone(&self) -> Self {
        self.seen_as()
    }
}

impl<T> std::fmt::Debug for Collection<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Collection").field("space", &self.space).field("name", &self.name).finish()
    }
}

impl<T> Collection<T> {
    pub(crate) fn new(shared: Arc<Shared>, space: SpaceId, name: Name) -> Self {
        Self { shared, space, name, shape: Shape::default(), message: None, _type: PhantomData }
    }

    pub(crate) fn seen_as<U>(&self) -> Collection<U> {
        let (shared, space, name) = (self.shared.clone(), self.space, self.name.clone());
        let (shape, message) = (self.shape.clone(), self.message.clone());
        Collection { shared, space, name, shape, message, _type: PhantomData }
    }

    /// The same collection in the shape of a newer version of the application: read and written through lenses, while its
    /// documents stay in the shape of the oldest version, which others may still use.
    ///
    /// Versions edit one entity at the same time and lose nothing: each field of the older shape that the newer has, too, is
    /// one field, and the others stand beside one another.
    ///
    /// [Queries](crate::Query), indexes and search fields go by the names and values of the newest version, too. Everything else goes by
    /// the documents as they are, in the shape of the oldest version, and by its names: [`Collection::entity`], expressions of full text
    /// that name a field, conflicts and their strategies, and differences.
    ///
    /// ```
    /// use afield::{Lens, Lenses, Replica, model};
    ///
    /// #[model]
    /// struct TaskOfVersion1 {
    ///     title: String,
    ///     done: bool,
    /// }
    ///
    /// #[model]
    /// struct Task {
    ///     name: String,
    ///     state: String,
    ///     tags: Vec<String>,
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let home = Replica::open_in_memory()?.create_space("Home")?;
    /// let old = home.collection::<TaskOfVersion1>("tasks")?;
    /// let id = old.insert(&TaskOfVersion1 { title: "Call".into(), done: false })?;
    ///
    /// let lenses = Lenses::oldest(1).version(2, [
    ///     Lens::rename("title", "name"),
    ///     Lens::convert("done", "state", [(false, "open"), (true, "closed")], false, "open"),
    ///     Lens::add("tags", vec![]),
    /// ])?;
    /// let tasks = home.collection::<Task>("tasks")?.through(lenses);
    /// tasks.edit(id, |task| task.name = "Call Ada".into())?;
    /// old.edit(id, |task| task.done = true)?;
    /// assert_eq!(tasks.read(id)?.state, "closed");
    /// assert_eq!(tasks.query("state = 'closed'", ())?.order_by("name").ids()?, [id]);
    /// assert_eq!(old.read(id)?.title, "Call Ada");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn through(&self, lenses: Lenses) -> Self {
        Self { shape: Shape::through(lenses), ..self.seen_as() }
    }

    /// The collection's name.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// assert_eq!(notes.name(), "notes");
    /// # Ok(())
    /// # }
    /// ```
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// The space it belongs to.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// assert_eq!(home.collection::<()>("notes")?.space(), home.id());
    /// # Ok(())
    /// # }
    /// ```
    pub fn space(&self) -> SpaceId {
        self.space
    }

    /// The same collection, seen as JSON values.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// let id = notes.json().insert(&json!({ "title": "Milk" }))?;
    /// assert_eq!(notes.json().read(id)?, json!({ "title": "Milk" }));
    /// # Ok(())
    /// # }
    /// ```
    pub fn json(&self) -> JsonCollection {
        JsonCollection { of: self.seen_as() }
    }

    /// The same collection, whose edits say this of themselves: why they were made, for whoever reads the entity's
    /// [history](Collection::history). It travels with the change to all devices.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// let id = notes.with_message("for the weekend").json().insert(&json!({ "title": "Milk" }))?;
    /// let page = notes.history(id, &afield::Point::Now, 1)?;
    /// assert_eq!(page.changes[0].attribution.message.as_deref(), Some("for the weekend"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_message(&self, message: &str) -> Self {
        Self { message: Some(message.into()), ..self.clone() }
    }

    /// One entity, by field and path: texts, lists, maps, counters, and the document itself.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// let id = notes.json().insert(&json!({ "title": "Milk" }))?;
    /// let note = notes.entity(id)?;
    /// note.map(afield::Path::ROOT).put("done", true)?;
    /// assert_eq!(notes.json().read(id)?, json!({ "title": "Milk", "done": true }));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// There is no such entity in this collection.
    pub fn entity(&self, id: EntityId) -> Result<Entity, EntityError> {
        let target = self.target(id, Existence::Required);
        self.shared.read_document(&target, |_| ())?;
        Ok(Entity { shared: self.shared.clone(), target, message: self.message.clone() })
    }

    /// The entities that are not deleted, in the order of their making to the millisecond.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// let id = notes.json().insert(&json!({ "title": "Milk" }))?;
    /// assert_eq!(notes.ids()?, [id]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn ids(&self) -> Result<Vec<EntityId>, ReadError> {
        self.shared.ids(self.space, &self.name, false)
    }

    /// At most `limit` of [`Collection::ids`], those that follow `after`: for collections of which not even the ids are
    /// wanted in memory at once.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let notes = replica.create_space("Home")?.collection::<()>("notes")?;
    /// # for _ in 0..5 { notes.json().insert(&serde_json::json!({}))?; }
    /// let (mut seen, mut after) = (0, None);
    /// loop {
    ///     let page = notes.ids_after(after, 2)?;
    ///     let Some(last) = page.last() else { break };
    ///     after = Some(*last);
    ///     seen += page.len();
    /// }
    /// assert_eq!(seen, 5);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn ids_after(&self, after: Option<EntityId>, limit: usize) -> Result<Vec<EntityId>, ReadError> {
        let query = ListQuery { after, limit, ..all_of(self.space, &self.name, false) };
        Ok(self.shared.reader.ids(&query)?)
    }

    /// The entities that are deleted, in the order of their making to the millisecond: what [`Collection::restore`] takes
    /// back.
    ///
    /// Each can still be read with [`Collection::read`] and watched, and an edit made elsewhere meanwhile is in it.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// let id = notes.json().insert(&json!({ "title": "Milk" }))?;
    /// notes.delete(id)?;
    /// assert_eq!((notes.ids()?, notes.deleted()?), (vec![], vec![id]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn deleted(&self) -> Result<Vec<EntityId>, ReadError> {
        self.shared.ids(self.space, &self.name, true)
    }

    /// Marks an entity as deleted. An ordinary edit: it merges, and [`Collection::restore`] takes it back.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// let id = notes.json().insert(&json!({ "title": "Milk" }))?;
    /// notes.delete(id)?;
    /// assert!(notes.ids()?.is_empty());
    /// notes.restore(id)?;
    /// assert_eq!(notes.json().read(id)?, json!({ "title": "Milk" }));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The entity could not be opened, or the edit could not be stored.
    pub fn delete(&self, id: EntityId) -> Result<Write, EditError> {
        let at_ms = self.shared.now().wall_ms;
        self.change(id, |edit| delete(edit, at_ms))
    }

    /// Takes a deletion back.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// let id = notes.json().insert(&json!({ "title": "Milk" }))?;
    /// notes.delete(id)?;
    /// notes.restore(id)?;
    /// assert_eq!(notes.ids()?, [id]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The entity could not be opened, or the edit could not be stored.
    pub fn restore(&self, id: EntityId) -> Result<Write, EditError> {
        self.change(id, restore)
    }

    /// Tells whenever entities of the collection change, by this device or by others.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let notes = replica.create_space("Home")?.collection::<()>("notes")?;
    /// # let runtime = tokio::runtime::Runtime::new()?;
    /// # runtime.block_on(async {
    /// let mut watch = notes.watch();
    /// let id = notes.json().insert(&serde_json::json!({ "title": "Milk" }))?;
    /// assert!(watch.changed().await.is_some_and(|changed| changed.contains(&id)));
    /// # drop(notes);
    ///
    /// drop(replica);
    /// assert!(watch.changed().await.is_none()); // a loop over it ends with the replica
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn watch(&self) -> Watch {
        self.shared.driver.observers.watch(Subject::Collection(self.space, self.name.clone()))
    }

    pub(crate) fn target_name(&self) -> &Name {
        &self.name
    }

    pub(crate) fn target(&self, entity: EntityId, existence: Existence) -> Target {
        Target { space: self.space, collection: self.name.clone(), entity, existence }
    }

    pub(crate) fn change<R>(
        &self,
        id: EntityId,
        change: impl FnOnce(&mut Edit<'_>) -> Result<R, EditError>,
    ) -> Result<Write, EditError> {
        self.change_for(id, change).map(|(_, write)| write)
    }

    fn change_for<R>(
        &self,
        id: EntityId,
        change: impl FnOnce(&mut Edit<'_>) -> Result<R, EditError>,
    ) -> Result<(R, Write), EditError> {
        let Edited { value, changes } = self.store(&self.target(id, Existence::Required), change)?;
        Ok((value, self.shared.write(changes)))
    }

    /// Stores an edit with the message of this collection.
    fn store<R>(
        &self,
        target: &Target,
        change: impl FnOnce(&mut Edit<'_>) -> Result<R, EditError>,
    ) -> Result<Edited<R>, EditError> {
        self.shared.edit(target, self.saying(change))
    }

    /// An edit with the message of this collection.
    pub(crate) fn saying<R>(
        &self,
        change: impl FnOnce(&mut Edit<'_>) -> Result<R, EditError>,
    ) -> impl FnOnce(&mut Edit<'_>) -> Result<R, EditError> {
        move |edit| {
            if let Some(message) = &self.message {
                edit.set_message(message);
            }
            change(edit)
        }
    }
}

impl<T: Hydrate + Reconcile> Collection<T> {
    /// Makes a new entity. It is stored when this returns.
    ///
    /// ```
    /// # use afield::{Replica, model};
    /// # #[model]
    /// # struct Note { title: String }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = Replica::open_in_memory()?.create_space("Home")?.collection::<Note>("notes")?;
    /// let id = notes.insert(&Note { title: "Milk".into() })?;
    /// assert_eq!(notes.read(id)?.title, "Milk");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The value is too large or cannot be written to a document, or the store failed.
    pub fn insert(&self, value: &T) -> Result<EntityId, EditError> {
        let id = self.shared.fresh_entity();
        let tree = typed::to_tree(value)?;
        self.store(&self.target(id, Existence::Fresh), |edit| self.shape.insert_typed(edit, &tree))?;
        Ok(id)
    }

    /// Edits an entity: what `edit` changes in the value becomes operations, and nothing else.
    ///
    /// Fields that the type does not know, and fields that others change meanwhile, are left alone. Another edit of the
    /// same entity from within `edit` is refused. An edit that can fail, or that gives something back, is a
    /// [`Collection::try_edit`].
    ///
    /// ```
    /// # use afield::{Replica, model};
    /// # #[model]
    /// # struct Note { title: String }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = Replica::open_in_memory()?.create_space("Home")?.collection::<Note>("notes")?;
    /// let id = notes.insert(&Note { title: "Milk".into() })?;
    /// notes.edit(id, |note| note.title.push_str(" and bread"))?;
    /// assert_eq!(notes.read(id)?.title, "Milk and bread");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// There is no such entity, it does not have the shape of `T`, the edit is too large, or the store failed.
    pub fn edit(&self, id: EntityId, edit: impl FnOnce(&mut T)) -> Result<Write, EditError> {
        self.change(id, |document| self.shape.edit_typed(document, edit))
    }

    /// Edits an entity as [`Collection::edit`] does, unless `edit` answers an error: then nothing of it remains.
    ///
    /// ```
    /// # use afield::{EditError, Replica, model};
    /// #[model]
    /// struct Account {
    ///     balance: u64,
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let accounts = Replica::open_in_memory()?.create_space("Home")?.collection::<Account>("accounts")?;
    /// let id = accounts.insert(&Account { balance: 10 })?;
    /// let withdraw = |amount: u64| {
    ///     accounts.try_edit(id, |account| {
    ///         account.balance = account.balance.checked_sub(amount).ok_or("there is not that much")?;
    ///         Ok::<_, &str>(account.balance)
    ///     })
    /// };
    /// let (left, _write) = withdraw(4)?;
    /// assert_eq!(left, 6);
    /// assert!(matches!(withdraw(7), Err(EditError::Aborted(_))));
    /// assert_eq!(accounts.read(id)?.balance, 6);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`EditError::Aborted`] with what `edit` answered; otherwise as [`Collection::edit`].
    pub fn try_edit<R, E: Into<Box<dyn Error + Send + Sync>>>(
        &self,
        id: EntityId,
        edit: impl FnOnce(&mut T) -> Result<R, E>,
    ) -> Result<(R, Write), EditError> {
        self.change_for(id, |document| self.shape.edit_typed(document, edit)?.map_err(EditError::aborted))
    }

    /// Reads an entity.
    ///
    /// ```
    /// # use afield::{Replica, model};
    /// # #[model]
    /// # struct Note { title: String }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = Replica::open_in_memory()?.create_space("Home")?.collection::<Note>("notes")?;
    /// let id = notes.insert(&Note { title: "Milk".into() })?;
    /// assert_eq!(notes.read(id)?.title, "Milk");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// There is no such entity, or it does not have the shape of `T`.
    pub fn read(&self, id: EntityId) -> Result<T, ReadError> {
        let target = self.target(id, Existence::Required);
        let value = self.shared.read_document(&target, |document| self.shape.read_typed(document))?;
        value.map_err(|source| ReadError::Shape { entity: id, source })
    }

    /// Reads all entities that are not deleted, in the order of their making, and tells which could not be read.
    ///
    /// ```
    /// # use afield::{Replica, model};
    /// # #[model]
    /// # struct Note { title: String }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = Replica::open_in_memory()?.create_space("Home")?.collection::<Note>("notes")?;
    /// notes.insert(&Note { title: "Milk".into() })?;
    /// let listing = notes.list()?;
    /// assert_eq!(listing.entities[0].1.title, "Milk");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read. An entity that could not be opened, or does not have the shape of `T`, is no error
    /// here but among [`Listing::unreadable`].
    pub fn list(&self) -> Result<Listing<T>, ReadError> {
        Listing::of(self.ids()?.into_iter().map(|id| (id, self.read(id))))
    }

    /// Reads all entities that are deleted, as [`Collection::list`] does those that are not: what a trash shows.
    ///
    /// ```
    /// # use afield::{Replica, model};
    /// # #[model]
    /// # struct Note { title: String }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = Replica::open_in_memory()?.create_space("Home")?.collection::<Note>("notes")?;
    /// let id = notes.insert(&Note { title: "Shopping".into() })?;
    /// notes.delete(id)?;
    /// for (id, note) in notes.list_deleted()?.entities {
    ///     println!("restoring {}", note.title);
    ///     notes.restore(id)?;
    /// }
    /// assert_eq!(notes.ids()?, [id]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Collection::list`].
    pub fn list_deleted(&self) -> Result<Listing<T>, ReadError> {
        Listing::of(self.deleted()?.into_iter().map(|id| (id, self.read(id))))
    }
}

/// Marks an entity as deleted since this moment.
pub(crate) fn delete(edit: &mut Edit<'_>, at_ms: i64) -> Result<(), EditError> {
    Ok(edit.put(crate::driver::DELETED_KEY, Value::Timestamp(at_ms))?)
}

/// Takes the mark of a deleted entity away.
pub(crate) fn restore(edit: &mut Edit<'_>) -> Result<(), EditError> {
    Ok(edit.put(crate::driver::DELETED_KEY, Value::Null)?)
}

/// Writes the fields of a new entity. One without any field still exists: it is marked as not deleted.
pub(crate) fn insert(edit: &mut Edit<'_>, fields: &Value) -> Result<(), EditError> {
    let nothing = Value::Map(std::collections::BTreeMap::new());
    assign(edit, &Path::ROOT, &nothing, fields)?;
    if edit.read(Path::ROOT)?.is_none_or(|written| written == nothing) {
        edit.put(crate::driver::DELETED_KEY, Value::Null)?;
    }
    Ok(())
}
