//! Collections seen as JSON values.

use super::Collection;
use crate::driver::{DELETED_KEY, Edited, Existence, split_deleted};
use crate::error::{EditError, ReadError};
use crate::write::Write;
use afield_core::EntityId;
use afield_core::document::{Document, Edit, Path, Value, paired_elements};
use std::error::Error;

/// The entities of one collection, seen as JSON values.
///
/// Strings are replaced as a whole, unless the field is a text already: then what changed in it becomes splices.
/// To make texts, counters, bytes and timestamps, write them as an export does: `{"$text": "…"}`, `{"$longtext": "…"}`,
/// `{"$richtext": [{"text": "…", "marks": {"bold": true}}]}`, `{"$counter": 0}`, `{"$bytes": "…"}`, `{"$timestamp": 0}`;
/// [`Value::to_tagged_json`] has them all. A text stays what it is when a string is put in its place, with the marks and
/// blocks that its characters have; a mark that is made here grows as [`Expand::of`](crate::Expand::of) says.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use serde_json::json;
///
/// let notes = home.collection::<()>("notes")?.json();
/// let id = notes.insert(&json!({"title": "Milk", "body": {"$text": "two litres"}, "opened": {"$counter": 0}}))?;
/// notes.edit(id, |note| note["body"] = json!("three litres"))?; // what changed becomes splices: it is a text
/// assert_eq!(notes.read(id)?, json!({"title": "Milk", "body": "three litres", "opened": 0}));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct JsonCollection {
    pub(crate) of: Collection<()>,
}

impl JsonCollection {
    /// Makes a new entity.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// let id = notes.json().insert(&json!({ "title": "Milk", "tags": ["shop"] }))?;
    /// assert_eq!(notes.json().read(id)?["tags"], json!(["shop"]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The value is no object or too large, or the store failed.
    pub fn insert(&self, value: &serde_json::Value) -> Result<EntityId, EditError> {
        let id = self.of.shared.fresh_entity();
        let tree = object(value)?;
        self.of.store(&self.of.target(id, Existence::Fresh), |edit| self.of.shape.insert_json(edit, &tree))?;
        Ok(id)
    }

    /// Makes the entity with this identity have this value, creating it where it does not exist. What already stands
    /// there and is equal is left alone, also where plain JSON shows it as something else (bytes as a string, a number that is
    /// not finite as null); what the value does not name is removed, and a field that is null is kept apart from one that is
    /// absent. So null does not take the place of a number that is not finite: leave the field out, or put another value.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk" }))?;
    /// notes.json().put(id, &json!({ "name": "Bread" }))?;
    /// assert_eq!(notes.json().read(id)?, json!({ "name": "Bread" }));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The value is no object or too large, or the store failed.
    pub fn put(&self, id: EntityId, value: &serde_json::Value) -> Result<Write, EditError> {
        let after = object(value)?;
        let target = self.of.target(id, Existence::Either);
        let Edited { changes, .. } = self.of.store(&target, |edit| self.of.shape.put(edit, &after))?;
        Ok(self.of.shared.write(changes))
    }

    /// Edits an entity: what `edit` changes in the value becomes operations, and nothing else.
    ///
    /// An edit that can fail, or that gives something back, is a [`JsonCollection::try_edit`].
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk" }))?;
    /// notes.json().edit(id, |note| note["done"] = true.into())?;
    /// assert_eq!(notes.json().read(id)?, json!({ "title": "Milk", "done": true }));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// There is no such entity, the edit is too large, or the store failed.
    pub fn edit(&self, id: EntityId, edit: impl FnOnce(&mut serde_json::Value)) -> Result<Write, EditError> {
        self.of.change(id, |document| self.of.shape.edit_json(document, edit))
    }

    /// Edits an entity as [`JsonCollection::edit`] does, unless `edit` answers an error: then nothing of it remains.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk" }))?;
    /// let given_up = notes.json().try_edit(id, |note| {
    ///     note["title"] = "Bread".into();
    ///     Err::<(), _>("there is none")
    /// });
    /// assert!(given_up.is_err() && notes.json().read(id)?["title"] == "Milk");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`EditError::Aborted`] with what `edit` answered; otherwise as [`JsonCollection::edit`].
    pub fn try_edit<R, E: Into<Box<dyn Error + Send + Sync>>>(
        &self,
        id: EntityId,
        edit: impl FnOnce(&mut serde_json::Value) -> Result<R, E>,
    ) -> Result<(R, Write), EditError> {
        self.of.change_for(id, |document| self.of.shape.edit_json(document, edit)?.map_err(EditError::aborted))
    }

    /// Reads an entity, texts as strings and counters as numbers.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk" }))?;
    /// assert_eq!(notes.json().read(id)?, json!({ "title": "Milk" }));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// There is no such entity.
    pub fn read(&self, id: EntityId) -> Result<serde_json::Value, ReadError> {
        Ok(self.value(id)?.to_json())
    }

    /// Reads an entity as an export writes it, with the kind of every field.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk" }))?;
    /// notes.entity(id)?.counter("seen").increment(3)?;
    /// assert_eq!(notes.json().read_tagged(id)?["seen"], json!({ "$counter": 3 }));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// There is no such entity.
    pub fn read_tagged(&self, id: EntityId) -> Result<serde_json::Value, ReadError> {
        Ok(self.value(id)?.to_tagged_json())
    }

    /// Reads all entities that are not deleted, in the order of their making to the millisecond, from the projection: no
    /// document is opened.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk" }))?;
    /// assert_eq!(notes.json().list()?, [(id, json!({ "title": "Milk" }))]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store could not be read.
    pub fn list(&self) -> Result<Vec<(EntityId, serde_json::Value)>, ReadError> {
        let rows = self.of.shared.list(self.of.space, &self.of.name, false)?;
        let shown = |json: &str| self.of.shape.show_json(parse_projection(json));
        Ok(rows.into_iter().map(|row| (row.entity, shown(&row.projection.json))).collect())
    }

    fn value(&self, id: EntityId) -> Result<Value, ReadError> {
        let target = self.of.target(id, Existence::Required);
        let value = self.of.shared.read_document(&target, Document::read)?;
        Ok(self.of.shape.show(split_deleted(value).0))
    }
}

/// The fields of an entity, from a JSON object.
pub(crate) fn object(json: &serde_json::Value) -> Result<Value, EditError> {
    match Value::from_tagged_json(json) {
        Ok(value @ Value::Map(_)) => Ok(value),
        Ok(other) => Err(EditError::NotAnObject { found: other.kind() }),
        Err(error) => Err(EditError::Json(error)),
    }
}

/// Lets `edit` change the fields of an entity, and writes what differs.
pub(crate) fn edit_json<R>(
    document: &mut Edit<'_>,
    edit: impl FnOnce(&mut serde_json::Value) -> R,
) -> Result<R, EditError> {
    let before = fields(document)?;
    let mut json = before.to_tagged_json();
    let answer = edit(&mut json);
    assign(document, &Path::ROOT, &before, &object(&json)?)?;
    Ok(answer)
}

/// Makes an entity have these fields and no others.
pub(crate) fn put(edit: &mut Edit<'_>, after: &Value) -> Result<(), EditError> {
    let before = fields(edit)?;
    assign(edit, &Path::ROOT, &before, &with_what_json_lacks(&before, after))?;
    mark_existing(edit)
}

/// What was put, but for nulls where a number stands that is not finite: JSON has no other word for it, so reading an entity and
/// putting what was read changes nothing. In a list it is the element with the same `id`, or one that reads the same, that keeps
/// its numbers, wherever it stands by now.
pub(super) fn with_what_json_lacks(before: &Value, after: &Value) -> Value {
    match (before, after) {
        (Value::F64(number), Value::Null) if !number.is_finite() => before.clone(),
        (Value::Map(before), Value::Map(after)) => {
            let entry = |(key, after): (&String, &Value)| {
                (key.clone(), with_what_json_lacks(before.get(key).unwrap_or(&Value::Null), after))
            };
            Value::Map(after.iter().map(entry).collect())
        }
        (Value::List(before), Value::List(after)) if before.iter().any(lacks_words) => {
            let mut filled = after.clone();
            let shown: Vec<Value> = before.iter().map(as_json_shows).collect();
            for (old, new) in paired_elements(&shown, after) {
                if let (Some(before), Some(after)) = (before.get(old), filled.get_mut(new))
                    && is_one_element(before, after)
                {
                    *after = with_what_json_lacks(before, after);
                }
            }
            filled.into()
        }
        _ => after.clone(),
    }
}

/// Whether a number that is not finite stands in a value.
fn lacks_words(value: &Value) -> bool {
    match value {
        Value::F64(number) => !number.is_finite(),
        Value::List(elements) => elements.iter().any(lacks_words),
        Value::Map(entries) => entries.values().any(lacks_words),
        _ => false,
    }
}

/// A value with nulls in the place of numbers that are not finite.
fn as_json_shows(value: &Value) -> Value {
    match value {
        Value::F64(number) if !number.is_finite() => Value::Null,
        Value::List(elements) => elements.iter().map(as_json_shows).collect::<Vec<_>>().into(),
        Value::Map(entries) => {
            Value::Map(entries.iter().map(|(key, value)| (key.clone(), as_json_shows(value))).collect())
        }
        other => other.clone(),
    }
}

/// Whether two elements of lists have one `id`, or read the same: nothing else tells whose number a null stands for.
fn is_one_element(before: &Value, after: &Value) -> bool {
    let (before, after) = (before.to_json(), after.to_json());
    let id = before.get("id").filter(|id| !id.is_null());
    before == after || (id.is_some() && id == after.get("id"))
}

/// Makes an entity be deleted. One that is deleted already keeps its time.
pub(crate) fn mark_deleted(edit: &mut Edit<'_>, at_ms: i64) -> Result<(), EditError> {
    if edit.read(DELETED_KEY)?.is_none_or(|mark| mark.is_null()) {
        edit.put(DELETED_KEY, Value::Timestamp(at_ms))?;
    }
    Ok(())
}

/// Writes what differs between `before`, which the document holds at `path`, and `after`, nulls included: what reads
/// JSON or a type can tell them from what is absent.
pub(crate) fn assign(edit: &mut Edit<'_>, path: &Path, before: &Value, after: &Value) -> Result<(), EditError> {
    edit.assign(path, before, after)?;
    if has_nulls(before) || has_nulls(after) { settle_nulls(edit, path, after) } else { Ok(()) }
}

/// Where a value was written, puts the nulls that were left out, and deletes those that are none of it.
fn settle_nulls(edit: &mut Edit<'_>, path: &Path, after: &Value) -> Result<(), EditError> {
    let found = edit.read(path)?;
    let found = if path.is_root() { found.map(|found| split_deleted(found).0) } else { found };
    settle(edit, path, found.as_ref(), after)
}

fn settle(edit: &mut Edit<'_>, path: &Path, found: Option<&Value>, after: &Value) -> Result<(), EditError> {
    match (found, after) {
        (None, Value::Null) => edit.put(path, Value::Null)?,
        (Some(Value::Map(found)), Value::Map(after)) => {
            for (key, _) in found.iter().filter(|(key, value)| value.is_null() && !after.contains_key(*key)) {
                edit.delete(path.clone().key(key))?;
            }
            for (key, after) in after.iter().filter(|(_, after)| may_hold_nulls(after)) {
                settle(edit, &path.clone().key(key), found.get(key), after)?;
            }
        }
        (Some(Value::List(found)), Value::List(after)) => {
            let elements = found.iter().zip(after).enumerate().filter(|(_, (_, after))| may_hold_nulls(after));
            for (index, (found, after)) in elements {
                settle(edit, &path.clone().index(index), Some(found), after)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn may_hold_nulls(value: &Value) -> bool {
    matches!(value, Value::Null | Value::Map(_) | Value::List(_))
}

/// Whether an entry of a map is null, at any depth.
fn has_nulls(value: &Value) -> bool {
    match value {
        Value::Map(entries) => entries.values().any(|value| value.is_null() || has_nulls(value)),
        Value::List(elements) => elements.iter().any(has_nulls),
        _ => false,
    }
}

/// Takes a deletion back, and lets an entity without any field exist.
pub(crate) fn mark_existing(edit: &mut Edit<'_>) -> Result<(), EditError> {
    let mark = edit.read(DELETED_KEY)?;
    let empty = edit.read(Path::ROOT)?.is_none_or(|root| root == Value::Map(std::collections::BTreeMap::new()));
    if empty || mark.is_some_and(|mark| !mark.is_null()) {
        edit.put(DELETED_KEY, Value::Null)?;
    }
    Ok(())
}

/// The fields of an entity as the document holds them; none where there is no entity yet.
pub(crate) fn fields(edit: &Edit<'_>) -> Result<Value, EditError> {
    let value = edit.read(Path::ROOT)?.unwrap_or(Value::Null);
    Ok(split_deleted(value).0)
}

pub(crate) fn parse_projection(json: &str) -> serde_json::Value {
    serde_json::from_str(json).expect("a projection is JSON that this library wrote and the store keeps as it is")
}
