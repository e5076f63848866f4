//! One entity, by field and path.

mod cursor;
mod text;

pub use text::{LongTextField, TextField};

use crate::driver::{Edited, EntityError, Target};
use crate::error::{EditError, ReadError};
use crate::replica::Shared;
use crate::watch::{Subject, Watch};
use crate::write::Write;
use afield_core::EntityId;
use afield_core::document::{Document, Edit, OperationError, Path, Value};
use automerge::Automerge;
use std::sync::Arc;

/// One entity, with its fields by path: what merges character by character, element by element and count by count.
///
/// A path is the name of a field, or a [`Path`] for something deeper: `Path::from("tasks").index(2).key("notes")`. A text,
/// list, map or counter that does not exist yet is created by its first edit, and two devices that do so at the same time
/// create one and the same; the map or list around it has to exist.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use afield::{Replica, Path};
/// # use serde_json::json;
/// # let replica = Replica::open_in_memory()?;
/// # let notes = replica.create_space("Home")?.collection::<()>("notes")?;
/// # let id = notes.json().insert(&json!({"title": "Shopping"}))?;
/// let note = notes.entity(id)?;
/// note.text("body").splice(0, 0, "milk, bread")?;
/// note.list("tags").push("food")?;
/// note.counter("opened").increment(1)?;
/// note.map("meta").put("colour", "red")?;
/// assert_eq!(note.json()?, json!({
///     "title": "Shopping", "body": "milk, bread", "tags": ["food"], "opened": 1, "meta": {"colour": "red"},
/// }));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Entity {
    pub(crate) shared: Arc<Shared>,
    pub(crate) target: Target,
}

impl Entity {
    pub(crate) fn new(shared: Arc<Shared>, target: Target) -> Self {
        Self { shared, target }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// The entity's identity.
    pub fn id(&self) -> EntityId {
        self.target.entity
    }

    /// A text, whose characters merge.
    pub fn text(&self, path: impl Into<Path>) -> TextField<'_> {
        TextField(Field { entity: self, path: path.into() })
    }

    /// A text that may grow long, whose characters merge; see [`LongText`](crate::LongText).
    pub fn long_text(&self, path: impl Into<Path>) -> LongTextField<'_> {
        LongTextField(Field { entity: self, path: path.into() })
    }

    /// A list, whose elements merge.
    pub fn list(&self, path: impl Into<Path>) -> ListField<'_> {
        ListField(Field { entity: self, path: path.into() })
    }

    /// A map, whose keys merge; [`Path::ROOT`] is the entity itself.
    pub fn map(&self, path: impl Into<Path>) -> MapField<'_> {
        MapField(Field { entity: self, path: path.into() })
    }

    /// A counter, to which increments add up.
    pub fn counter(&self, path: impl Into<Path>) -> CounterField<'_> {
        CounterField(Field { entity: self, path: path.into() })
    }

    /// What stands at a path; `None` when nothing does.
    ///
    /// # Errors
    ///
    /// The entity could not be opened, or the path leads into something that is no map or list.
    pub fn get(&self, path: impl Into<Path>) -> Result<Option<Value>, ReadError> {
        let path = path.into();
        let value = self.shared.read_document(&self.target, |document| document.read_at(path))?;
        value.map_err(|source| ReadError::Path { entity: self.id(), source })
    }

    /// The whole entity as JSON, texts as strings and counters as numbers.
    ///
    /// # Errors
    ///
    /// The entity could not be opened.
    pub fn json(&self) -> Result<serde_json::Value, ReadError> {
        let value = self.shared.read_document(&self.target, afield_core::document::Document::read)?;
        Ok(crate::driver::split_deleted(value).0.to_json())
    }

    /// Whether the entity is deleted.
    ///
    /// # Errors
    ///
    /// The entity could not be opened.
    pub fn is_deleted(&self) -> Result<bool, ReadError> {
        let value = self.shared.read_document(&self.target, afield_core::document::Document::read)?;
        Ok(crate::driver::split_deleted(value).1)
    }

    /// Several operations as one edit: they are stored and sent together, as one change where that is possible.
    ///
    /// # Errors
    ///
    /// What `edit` answers, or the edit is too large, and nothing remains then; or the store failed, for which see
    /// [`EditError::Store`].
    pub fn edit<R>(&self, edit: impl FnOnce(&mut Edit<'_>) -> Result<R, EditError>) -> Result<(R, Write), EditError> {
        let Edited { value, changes } = self.shared.edit(&self.target, edit)?;
        Ok((value, self.shared.write(changes)))
    }

    /// Reads the Automerge document itself: the raw view. Write through [`Entity::edit`] and `Edit::raw`.
    ///
    /// # Errors
    ///
    /// The entity could not be opened.
    pub fn raw<R>(&self, read: impl FnOnce(&Automerge) -> R) -> Result<R, EntityError> {
        self.shared.read_document(&self.target, |document| read(document.automerge()))
    }

    /// Tells whenever the entity changes, by this device or by others.
    pub fn watch(&self) -> Watch {
        self.shared.driver.observers.watch(Subject::Entity(self.id()))
    }
}

#[derive(Debug)]
struct Field<'e> {
    entity: &'e Entity,
    path: Path,
}

impl Field<'_> {
    fn value(&self) -> Result<Option<Value>, ReadError> {
        self.entity.get(&self.path)
    }

    /// What a reader says of the document.
    fn read<R>(&self, read: impl FnOnce(&Document, &Path) -> Result<R, OperationError>) -> Result<R, ReadError> {
        let entity = self.entity.id();
        let read = self.entity.shared.read_document(&self.entity.target, |document| read(document, &self.path))?;
        read.map_err(|source| ReadError::Path { entity, source })
    }

    fn edit(&self, edit: impl FnOnce(&mut Edit<'_>, &Path) -> Result<(), EditError>) -> Result<Write, EditError> {
        self.entity.edit(|document| edit(document, &self.path)).map(|((), write)| write)
    }
}

/// A list field of an entity.
#[derive(Debug)]
pub struct ListField<'e>(Field<'e>);

impl ListField<'_> {
    /// Inserts an element before the one at `index`, or at the end.
    ///
    /// # Errors
    ///
    /// The index is beyond the end, something else than a list stands there, or the store failed.
    pub fn insert(&self, index: usize, value: impl Into<Value>) -> Result<Write, EditError> {
        self.0.edit(|edit, path| Ok(edit.insert(path, index, value)?))
    }

    /// Adds an element at the end.
    ///
    /// # Errors
    ///
    /// Something else than a list stands there, or the store failed.
    pub fn push(&self, value: impl Into<Value>) -> Result<Write, EditError> {
        self.0.edit(|edit, path| {
            let length = edit.read(path)?.as_ref().and_then(Value::as_list).map_or(0, <[Value]>::len);
            Ok(edit.insert(path, length, value)?)
        })
    }

    /// Puts a value in place of the element at `index`. What stands in it is reached by path instead, so that it merges:
    /// `entity.text(Path::from("list").index(3))` edits a text in a list.
    ///
    /// # Errors
    ///
    /// The index is not that of an element, something else than a list stands there, the value is too large, or the store
    /// failed.
    pub fn set(&self, index: usize, value: impl Into<Value>) -> Result<Write, EditError> {
        self.0.edit(|edit, path| Ok(edit.put(path.clone().index(index), value)?))
    }

    /// Removes the element at `index`.
    ///
    /// # Errors
    ///
    /// The index is beyond the end, something else than a list stands there, or the store failed.
    pub fn remove(&self, index: usize) -> Result<Write, EditError> {
        self.0.edit(|edit, path| Ok(edit.delete(path.clone().index(index))?))
    }

    /// The elements; none when there is no list.
    ///
    /// # Errors
    ///
    /// The entity could not be opened.
    pub fn read(&self) -> Result<Vec<Value>, ReadError> {
        Ok(self.0.value()?.as_ref().and_then(Value::as_list).unwrap_or_default().to_vec())
    }
}

/// A map field of an entity, or the entity's own fields.
#[derive(Debug)]
pub struct MapField<'e>(Field<'e>);

impl MapField<'_> {
    /// Sets an entry. A scalar replaces what stood there; a map, list, text or counter is created.
    ///
    /// # Errors
    ///
    /// Something else than a map stands there, the value is too large, or the store failed.
    pub fn put(&self, key: &str, value: impl Into<Value>) -> Result<Write, EditError> {
        self.0.edit(|edit, path| Ok(edit.put_entry(path, key, value)?))
    }

    /// Removes an entry.
    ///
    /// # Errors
    ///
    /// Something else than a map stands there, or the store failed.
    pub fn remove(&self, key: &str) -> Result<Write, EditError> {
        self.0.edit(|edit, path| Ok(edit.delete(path.clone().key(key))?))
    }

    /// An entry; `None` when there is none.
    ///
    /// # Errors
    ///
    /// The entity could not be opened.
    pub fn get(&self, key: &str) -> Result<Option<Value>, ReadError> {
        self.0.entity.get(self.0.path.clone().key(key))
    }
}

/// A counter field of an entity.
#[derive(Debug)]
pub struct CounterField<'e>(Field<'e>);

impl CounterField<'_> {
    /// Adds to the counter.
    ///
    /// # Errors
    ///
    /// Something else than a counter stands there, the sum leaves 64 bits, or the store failed.
    pub fn increment(&self, by: i64) -> Result<Write, EditError> {
        self.0.edit(|edit, path| Ok(edit.increment(path, by)?))
    }

    /// The count; 0 when there is no counter.
    ///
    /// # Errors
    ///
    /// The entity could not be opened.
    pub fn read(&self) -> Result<i64, ReadError> {
        match self.0.value()? {
            Some(Value::Counter(count)) => Ok(count),
            _ => Ok(0),
        }
    }
}
