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
    /// What is said of edits.
    pub(crate) message: Option<Arc<str>>,
}

impl Entity {
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// The entity's identity.
    ///
    /// ```
    /// # use afield::Value;
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk", "tags": ["shop"], "where": { "town": "Ulm" } }))?;
    /// # let note = notes.entity(id)?;
    /// assert_eq!(note.id(), id);
    /// # Ok(())
    /// # }
    /// ```
    pub fn id(&self) -> EntityId {
        self.target.entity
    }

    /// A text, whose characters merge.
    ///
    /// ```
    /// # use afield::Value;
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk", "tags": ["shop"], "where": { "town": "Ulm" } }))?;
    /// # let note = notes.entity(id)?;
    /// let body = note.text("body");
    /// body.splice(0, 0, "Milk, bread")?;
    /// assert_eq!(body.read()?, "Milk, bread");
    /// # Ok(())
    /// # }
    /// ```
    pub fn text(&self, path: impl Into<Path>) -> TextField<'_> {
        TextField(Field { entity: self, path: path.into() })
    }

    /// A text that may grow long, whose characters merge; see [`LongText`](crate::LongText).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&serde_json::json!({}))?;
    /// # let note = notes.entity(id)?;
    /// let story = note.long_text("story");
    /// story.splice(0, 0, "Once upon a time")?;
    /// story.splice(16, 0, " there was a king")?;
    /// assert_eq!(note.json()?["story"], "Once upon a time there was a king");
    /// # Ok(())
    /// # }
    /// ```
    pub fn long_text(&self, path: impl Into<Path>) -> LongTextField<'_> {
        LongTextField(Field { entity: self, path: path.into() })
    }

    /// A list, whose elements merge.
    ///
    /// ```
    /// # use afield::Value;
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk", "tags": ["shop"], "where": { "town": "Ulm" } }))?;
    /// # let note = notes.entity(id)?;
    /// note.list("tags").push("home")?;
    /// assert_eq!(note.json()?["tags"], json!(["shop", "home"]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn list(&self, path: impl Into<Path>) -> ListField<'_> {
        ListField(Field { entity: self, path: path.into() })
    }

    /// A map, whose keys merge; [`Path::ROOT`] is the entity itself.
    ///
    /// ```
    /// # use afield::Value;
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk", "tags": ["shop"], "where": { "town": "Ulm" } }))?;
    /// # let note = notes.entity(id)?;
    /// note.map("where").put("street", "Main Street")?;
    /// assert_eq!(note.json()?["where"], json!({ "town": "Ulm", "street": "Main Street" }));
    /// # Ok(())
    /// # }
    /// ```
    pub fn map(&self, path: impl Into<Path>) -> MapField<'_> {
        MapField(Field { entity: self, path: path.into() })
    }

    /// A counter, to which increments add up.
    ///
    /// ```
    /// # use afield::Value;
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk", "tags": ["shop"], "where": { "town": "Ulm" } }))?;
    /// # let note = notes.entity(id)?;
    /// note.counter("seen").increment(2)?;
    /// assert_eq!(note.counter("seen").read()?, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn counter(&self, path: impl Into<Path>) -> CounterField<'_> {
        CounterField(Field { entity: self, path: path.into() })
    }

    /// What stands at a path; `None` when nothing does.
    ///
    /// ```
    /// # use afield::Value;
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk", "tags": ["shop"], "where": { "town": "Ulm" } }))?;
    /// # let note = notes.entity(id)?;
    /// assert_eq!(note.get("title")?, Some(Value::from("Milk")));
    /// assert_eq!(note.get("done")?, None);
    /// # Ok(())
    /// # }
    /// ```
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
    /// ```
    /// # use afield::Value;
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk", "tags": ["shop"], "where": { "town": "Ulm" } }))?;
    /// # let note = notes.entity(id)?;
    /// assert_eq!(note.json()?["title"], "Milk");
    /// # Ok(())
    /// # }
    /// ```
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
    /// ```
    /// # use afield::Value;
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk", "tags": ["shop"], "where": { "town": "Ulm" } }))?;
    /// # let note = notes.entity(id)?;
    /// assert!(!note.is_deleted()?);
    /// notes.delete(id)?;
    /// assert!(note.is_deleted()?);
    /// # Ok(())
    /// # }
    /// ```
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
    /// ```
    /// # use afield::Value;
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk", "tags": ["shop"], "where": { "town": "Ulm" } }))?;
    /// # let note = notes.entity(id)?;
    /// note.edit(|edit| {
    ///     edit.put("title", "Bread")?;
    ///     Ok(edit.put("done", true)?)
    /// })?;
    /// assert_eq!((&note.json()?["title"], &note.json()?["done"]), (&json!("Bread"), &json!(true)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// What `edit` answers, or the edit is too large, and nothing remains then; or the store failed, for which see
    /// [`EditError::Store`].
    pub fn edit<R>(&self, edit: impl FnOnce(&mut Edit<'_>) -> Result<R, EditError>) -> Result<(R, Write), EditError> {
        let Edited { value, changes } = self.shared.edit(&self.target, |document| {
            if let Some(message) = &self.message {
                document.set_message(message);
            }
            edit(document)
        })?;
        Ok((value, self.shared.write(changes)))
    }

    /// Reads the Automerge document itself: the raw view. Write through [`Entity::edit`] and `Edit::raw`.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&serde_json::json!({ "title": "Milk", "tags": ["shop"] }))?;
    /// # let note = notes.entity(id)?;
    /// use afield::automerge::{ROOT, ReadDoc};
    ///
    /// let fields: Vec<String> = note.raw(|document| document.keys(ROOT).collect())?;
    /// assert_eq!(fields, ["tags", "title"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The entity could not be opened.
    pub fn raw<R>(&self, read: impl FnOnce(&Automerge) -> R) -> Result<R, EntityError> {
        self.shared.read_document(&self.target, |document| read(document.automerge()))
    }

    /// Tells whenever the entity changes, by this device or by others.
    ///
    /// ```
    /// # use afield::Value;
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk", "tags": ["shop"], "where": { "town": "Ulm" } }))?;
    /// # let note = notes.entity(id)?;
    /// let mut watch = note.watch();
    /// note.map("where").put("town", "Bonn")?;
    /// assert!(watch.take().contains(&id));
    /// # Ok(())
    /// # }
    /// ```
    pub fn watch(&self) -> Watch {
        self.shared.driver.observers.watch(Subject::Entity(self.id()))
    }
}

#[derive(Debug, Clone)]
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
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// # let notes = home.collection::<()>("notes")?.json();
/// let id = notes.insert(&serde_json::json!({"steps": ["mix", "bake"]}))?;
/// let recipe = home.collection::<()>("notes")?.entity(id)?;
/// recipe.list("steps").insert(1, "rest")?; // what others insert meanwhile stays, too
/// assert_eq!(notes.read(id)?["steps"], serde_json::json!(["mix", "rest", "bake"]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ListField<'e>(Field<'e>);

impl ListField<'_> {
    /// Inserts an element before the one at `index`, or at the end.
    ///
    /// ```
    /// # use afield::Value;
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk", "tags": ["shop"], "where": { "town": "Ulm" } }))?;
    /// # let note = notes.entity(id)?;
    /// note.list("tags").insert(0, "first")?;
    /// assert_eq!(note.json()?["tags"], json!(["first", "shop"]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The index is beyond the end, something else than a list stands there, or the store failed.
    pub fn insert(&self, index: usize, value: impl Into<Value>) -> Result<Write, EditError> {
        self.0.edit(|edit, path| Ok(edit.insert(path, index, value)?))
    }

    /// Adds an element at the end.
    ///
    /// ```
    /// # use afield::Value;
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk", "tags": ["shop"], "where": { "town": "Ulm" } }))?;
    /// # let note = notes.entity(id)?;
    /// note.list("tags").push("last")?;
    /// assert_eq!(note.json()?["tags"], json!(["shop", "last"]));
    /// # Ok(())
    /// # }
    /// ```
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
    /// ```
    /// # use afield::Value;
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk", "tags": ["shop"], "where": { "town": "Ulm" } }))?;
    /// # let note = notes.entity(id)?;
    /// note.list("tags").set(0, "market")?;
    /// assert_eq!(note.json()?["tags"], json!(["market"]));
    /// # Ok(())
    /// # }
    /// ```
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
    /// ```
    /// # use afield::Value;
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk", "tags": ["shop"], "where": { "town": "Ulm" } }))?;
    /// # let note = notes.entity(id)?;
    /// note.list("tags").remove(0)?;
    /// assert_eq!(note.json()?["tags"], json!([]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The index is beyond the end, something else than a list stands there, or the store failed.
    pub fn remove(&self, index: usize) -> Result<Write, EditError> {
        self.0.edit(|edit, path| Ok(edit.delete(path.clone().index(index))?))
    }

    /// The elements; none when there is no list.
    ///
    /// ```
    /// # use afield::Value;
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk", "tags": ["shop"], "where": { "town": "Ulm" } }))?;
    /// # let note = notes.entity(id)?;
    /// assert_eq!(note.list("tags").read()?, [Value::from("shop")]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The entity could not be opened, or the path leads into something that is no map or list.
    pub fn read(&self) -> Result<Vec<Value>, ReadError> {
        Ok(self.0.value()?.as_ref().and_then(Value::as_list).unwrap_or_default().to_vec())
    }
}

/// A map field of an entity, or the entity's own fields.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// # let notes = home.collection::<()>("notes")?.json();
/// let id = notes.insert(&serde_json::json!({}))?;
/// home.collection::<()>("notes")?.entity(id)?.map("meta").put("colour", "red")?; // other keys are left to others
/// assert_eq!(notes.read(id)?, serde_json::json!({"meta": {"colour": "red"}}));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct MapField<'e>(Field<'e>);

impl MapField<'_> {
    /// Sets an entry. A scalar replaces what stood there; a map, list, text or counter is created.
    ///
    /// ```
    /// # use afield::Value;
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk", "tags": ["shop"], "where": { "town": "Ulm" } }))?;
    /// # let note = notes.entity(id)?;
    /// note.map("where").put("town", "Bonn")?;
    /// assert_eq!(note.json()?["where"], json!({ "town": "Bonn" }));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Something else than a map stands there, the value is too large, or the store failed.
    pub fn put(&self, key: &str, value: impl Into<Value>) -> Result<Write, EditError> {
        self.0.edit(|edit, path| Ok(edit.put_entry(path, key, value)?))
    }

    /// Removes an entry.
    ///
    /// ```
    /// # use afield::Value;
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk", "tags": ["shop"], "where": { "town": "Ulm" } }))?;
    /// # let note = notes.entity(id)?;
    /// note.map("where").remove("town")?;
    /// assert_eq!(note.json()?["where"], json!({}));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Something else than a map stands there, or the store failed.
    pub fn remove(&self, key: &str) -> Result<Write, EditError> {
        self.0.edit(|edit, path| Ok(edit.delete(path.clone().key(key))?))
    }

    /// An entry; `None` when there is none.
    ///
    /// ```
    /// # use afield::Value;
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk", "tags": ["shop"], "where": { "town": "Ulm" } }))?;
    /// # let note = notes.entity(id)?;
    /// assert_eq!(note.map("where").get("town")?, Some(Value::from("Ulm")));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The entity could not be opened, or the path leads into something that is no map or list.
    pub fn get(&self, key: &str) -> Result<Option<Value>, ReadError> {
        self.0.entity.get(self.0.path.clone().key(key))
    }
}

/// A counter field of an entity.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// # let notes = home.collection::<()>("notes")?.json();
/// let id = notes.insert(&serde_json::json!({}))?;
/// let note = home.collection::<()>("notes")?.entity(id)?;
/// note.counter("opened").increment(2)?;
/// note.counter("opened").increment(-1)?; // increments of several devices add up
/// assert_eq!(notes.read(id)?["opened"], 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct CounterField<'e>(Field<'e>);

impl CounterField<'_> {
    /// Adds to the counter.
    ///
    /// ```
    /// # use afield::Value;
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk", "tags": ["shop"], "where": { "town": "Ulm" } }))?;
    /// # let note = notes.entity(id)?;
    /// note.counter("seen").increment(1)?;
    /// note.counter("seen").increment(4)?;
    /// assert_eq!(note.counter("seen").read()?, 5);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Something else than a counter stands there, the sum leaves 64 bits, or the store failed.
    pub fn increment(&self, by: i64) -> Result<Write, EditError> {
        self.0.edit(|edit, path| Ok(edit.increment(path, by)?))
    }

    /// The count; 0 when there is no counter.
    ///
    /// ```
    /// # use afield::Value;
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk", "tags": ["shop"], "where": { "town": "Ulm" } }))?;
    /// # let note = notes.entity(id)?;
    /// note.counter("seen").increment(-2)?;
    /// assert_eq!(note.counter("seen").read()?, -2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The entity could not be opened, or the path leads into something that is no map or list.
    pub fn read(&self) -> Result<i64, ReadError> {
        match self.0.value()? {
            Some(Value::Counter(count)) => Ok(count),
            _ => Ok(0),
        }
    }
}
