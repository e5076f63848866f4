//! The past of an entity: its history, what it was, what differs, and undo and redo.

use crate::collection::{Collection, JsonCollection, assign, fields, mark_existing};
use crate::driver::{Edited, Existence, split_deleted, split_deletion};
use crate::entity::Entity;
use crate::error::{EditError, ReadError};
use crate::purge::Confirm;
use crate::read_only::ReadOnlySpace;
use crate::replica::{Replica, Shared};
use crate::typed;
use crate::write::Write;
use crate::{EntityId, Target};
use afield_core::document::{
    Difference, Direction, Document, HistoryPage, Path, Point, PointError, Value, differences,
};
use autosurgeon::{Hydrate, Reconcile};

impl Replica {
    /// Names who edits on this device from now on, or nobody: what others see in an entity's [history](Collection::history).
    ///
    /// The name is as good as whoever gives it: nothing proves it. At most 256 bytes of it are kept. The store does not
    /// remember it; give it at each opening, as [`ReplicaOptions::author`](crate::ReplicaOptions::author) does.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let notes = replica.create_space("Home")?.collection::<()>("notes")?;
    /// replica.set_author(Some("Anna"));
    /// let id = notes.json().insert(&serde_json::json!({"title": "Trip"}))?;
    /// let page = notes.history(id, &afield::Point::Now, 1)?;
    /// assert_eq!(page.changes[0].attribution.author.as_deref(), Some("Anna"));
    /// assert_eq!(page.changes[0].attribution.device, Some(replica.device()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_author(&self, author: Option<&str>) {
        self.shared.driver.set_author(author);
    }
}

impl<T> Collection<T> {
    /// What became of an entity: at most `limit` changes from a moment back, by this device and by others.
    ///
    /// However long the history is, the time this takes grows with the limit alone. [`HistoryPage::sittings`] puts together
    /// what people take for one edit.
    ///
    /// ```
    /// # use afield::{Point, Replica, model};
    /// # #[model]
    /// # struct Note { title: String }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = Replica::open_in_memory()?;
    /// # let notes = replica.create_space("Home")?.collection::<Note>("notes")?;
    /// let id = notes.insert(&Note { title: "Trip".into() })?;
    /// notes.with_message("it takes a night").edit(id, |note| note.title = "Night trip".into())?;
    ///
    /// let page = notes.history(id, &Point::Now, 20)?;
    /// let last = &page.changes[0];
    /// assert_eq!(last.attribution.message.as_deref(), Some("it takes a night"));
    /// assert_eq!(notes.at(id, &Point::Before(last.hash))?.title, "Trip");
    /// assert_eq!(notes.differences(id, &Point::Before(last.hash), &Point::Now)?[0].path.to_string(), "title");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// There is no such entity, or the moment is none of its history.
    pub fn history(&self, id: EntityId, from: &Point, limit: usize) -> Result<HistoryPage, ReadError> {
        self.shared.history(&self.target(id, Existence::Required), from, limit)
    }

    /// What differs between two moments of an entity, place by place.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk" }))?;
    /// # notes.json().edit(id, |note| note["title"] = "Bread".into())?;
    /// # let before = afield::Point::Before(notes.history(id, &afield::Point::Now, 1)?.changes[0].hash);
    /// let changed = notes.differences(id, &before, &afield::Point::Now)?;
    /// assert_eq!(changed[0].path.to_string(), "title");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// There is no such entity, or a moment is none of its history.
    pub fn differences(&self, id: EntityId, from: &Point, to: &Point) -> Result<Vec<Difference>, ReadError> {
        self.shared.differences(&self.target(id, Existence::Required), from, to)
    }

    /// Undoes this device's last edit of an entity that is not undone yet; `None` when there is none.
    ///
    /// What others have written since stays. Keys typed within a second of each other are one step. What can be undone
    /// follows from the entity's history, so that it is the same after the replica was opened again; the undo itself is an
    /// ordinary edit, which others receive and [`Collection::redo`] takes back. Undoing the edit that made the entity
    /// deletes it.
    ///
    /// Edits from before the device took a new identity ([`SyncEvent::DeviceRenamed`](crate::SyncEvent::DeviceRenamed)) are not undone: another
    /// store has the identity that wrote them, and nothing in a change tells which of the two did.
    ///
    /// ```
    /// # use afield::{Replica, model};
    /// # #[model]
    /// # struct Note { title: String }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = Replica::open_in_memory()?;
    /// # let notes = replica.create_space("Home")?.collection::<Note>("notes")?;
    /// let id = notes.insert(&Note { title: "Trip".into() })?;
    /// notes.edit(id, |note| note.title = "Night trip".into())?;
    /// notes.undo(id)?;
    /// assert_eq!(notes.read(id)?.title, "Trip");
    /// notes.redo(id)?;
    /// assert_eq!(notes.read(id)?.title, "Night trip");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// There is no such entity, putting back what was there takes more than one change may hold, or the store failed.
    pub fn undo(&self, id: EntityId) -> Result<Option<Write>, EditError> {
        self.shared.undo(&self.target(id, Existence::Required), Direction::Undo)
    }

    /// Takes this device's last undo of an entity back; `None` when there is none, or it was edited since.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk" }))?;
    /// # notes.json().edit(id, |note| note["title"] = "Bread".into())?;
    /// # let before = afield::Point::Before(notes.history(id, &afield::Point::Now, 1)?.changes[0].hash);
    /// notes.undo(id)?;
    /// notes.redo(id)?;
    /// assert_eq!(notes.json().read(id)?["title"], "Bread");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Collection::undo`].
    pub fn redo(&self, id: EntityId) -> Result<Option<Write>, EditError> {
        self.shared.undo(&self.target(id, Existence::Required), Direction::Redo)
    }

    /// Whether this device has edited an entity in a way that is not undone yet. Others may have overwritten it since, so
    /// that there is nothing left of it to undo.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk" }))?;
    /// # notes.json().edit(id, |note| note["title"] = "Bread".into())?;
    /// # let before = afield::Point::Before(notes.history(id, &afield::Point::Now, 1)?.changes[0].hash);
    /// assert!(notes.can_undo(id)?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// There is no such entity.
    pub fn can_undo(&self, id: EntityId) -> Result<bool, ReadError> {
        self.shared.can_undo(&self.target(id, Existence::Required), Direction::Undo)
    }

    /// Whether this device's last edit of an entity is an undo.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk" }))?;
    /// # notes.json().edit(id, |note| note["title"] = "Bread".into())?;
    /// # let before = afield::Point::Before(notes.history(id, &afield::Point::Now, 1)?.changes[0].hash);
    /// assert!(!notes.can_redo(id)?);
    /// notes.undo(id)?;
    /// assert!(notes.can_redo(id)?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// There is no such entity.
    pub fn can_redo(&self, id: EntityId) -> Result<bool, ReadError> {
        self.shared.can_undo(&self.target(id, Existence::Required), Direction::Redo)
    }

    /// Makes the fields of an entity what they were at a moment, by an ordinary edit of what differs. It is undone like any
    /// other; an entity that is deleted is there again.
    ///
    /// ```
    /// # use afield::{Confirm, EditError, Point, Replica, model};
    /// # #[model]
    /// # struct Note { title: String }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = Replica::open_in_memory()?;
    /// # let notes = replica.create_space("Home")?.collection::<Note>("notes")?;
    /// let id = notes.insert(&Note { title: "Trip".into() })?;
    /// notes.edit(id, |note| note.title = "Night trip".into())?;
    /// let before = Point::Before(notes.history(id, &Point::Now, 1)?.changes[0].hash);
    /// let Err(EditError::Unconfirmed { places, .. }) = notes.restore_to(id, &before, Confirm::Ask) else { panic!() };
    /// assert_eq!(places, 1);
    /// notes.restore_to(id, &before, Confirm::Yes)?;
    /// assert_eq!(notes.read(id)?.title, "Trip");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`EditError::Unconfirmed`] says how much would be written, where anything would; there is no such entity, the moment is none of its
    /// history, the edit is too large, or the store failed.
    pub fn restore_to(&self, id: EntityId, point: &Point, confirm: Confirm) -> Result<Write, EditError> {
        let target = self.target(id, Existence::Required);
        let read = |document: &Document| {
            let differ = fields_differ(document, point, &Point::Now)?;
            let is_deleted = split_deletion(document.read()).1.is_some();
            Ok((existing_at(document, point)?, differ.len() as u64, is_deleted))
        };
        let read = self.shared.read_document(&target, read)?;
        let (then, places, is_deleted) = read.map_err(|source| EditError::Point { entity: id, source })?;
        if confirm == Confirm::Ask && (places > 0 || is_deleted) {
            return Err(EditError::Unconfirmed { entity: id, places, is_deleted });
        }
        self.change(id, |edit| {
            let now = fields(edit)?;
            assign(edit, &Path::ROOT, &now, &then)?;
            mark_existing(edit)
        })
    }
}

impl<T: Hydrate + Reconcile> Collection<T> {
    /// Reads an entity as it was at a moment.
    ///
    /// ```
    /// # use afield::{Point, Replica, model};
    /// # #[model]
    /// # struct Note { title: String }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = Replica::open_in_memory()?;
    /// # let notes = replica.create_space("Home")?.collection::<Note>("notes")?;
    /// let id = notes.insert(&Note { title: "Trip".into() })?;
    /// notes.edit(id, |note| note.title = "Night trip".into())?;
    /// let last = notes.history(id, &Point::Now, 1)?.changes[0].hash;
    /// assert_eq!(notes.at(id, &Point::Before(last))?.title, "Trip");
    /// assert_eq!(notes.at(id, &Point::After(last))?.title, "Night trip");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// There is no such entity, the moment is none of its history, or it did not have the shape of `T` then.
    pub fn at(&self, id: EntityId, point: &Point) -> Result<T, ReadError> {
        let target = self.target(id, Existence::Required);
        let read = |document: &Document| {
            existing_at(document, point)?;
            match self.shape.lenses() {
                None => document.view(point).map(|view| typed::from_view(&view)),
                Some(_) => document.read_as_of(point).map(|value| self.shape.read_value(value)),
            }
        };
        let read =
            self.shared.read_document(&target, read)?.map_err(|source| ReadError::Point { entity: id, source })?;
        read.map_err(|source| ReadError::Shape { entity: id, source })
    }
}

impl JsonCollection {
    /// Reads an entity as it was at a moment, texts as strings and counters as numbers.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk" }))?;
    /// # notes.json().edit(id, |note| note["title"] = "Bread".into())?;
    /// # let before = afield::Point::Before(notes.history(id, &afield::Point::Now, 1)?.changes[0].hash);
    /// assert_eq!(notes.json().at(id, &before)?, json!({ "title": "Milk" }));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// There is no such entity, or the moment is none of its history.
    pub fn at(&self, id: EntityId, point: &Point) -> Result<serde_json::Value, ReadError> {
        Ok(self.value_at(id, point)?.to_json())
    }

    /// Reads an entity as it was at a moment, as an export would have written it.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk" }))?;
    /// # notes.json().edit(id, |note| note["title"] = "Bread".into())?;
    /// # let before = afield::Point::Before(notes.history(id, &afield::Point::Now, 1)?.changes[0].hash);
    /// assert_eq!(notes.json().at_tagged(id, &before)?, json!({ "title": "Milk" }));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// There is no such entity, or the moment is none of its history.
    pub fn at_tagged(&self, id: EntityId, point: &Point) -> Result<serde_json::Value, ReadError> {
        Ok(self.value_at(id, point)?.to_tagged_json())
    }

    fn value_at(&self, id: EntityId, point: &Point) -> Result<Value, ReadError> {
        Ok(self.of.shape.show(self.of.shared.value_at(&self.of.target(id, Existence::Required), point)?))
    }
}

impl Entity {
    /// What became of it; see [`Collection::history`].
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk" }))?;
    /// # notes.json().edit(id, |note| note["title"] = "Bread".into())?;
    /// # let before = afield::Point::Before(notes.history(id, &afield::Point::Now, 1)?.changes[0].hash);
    /// assert_eq!(notes.entity(id)?.history(&afield::Point::Now, 10)?.changes.len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The entity could not be opened, or the moment is none of its history.
    pub fn history(&self, from: &Point, limit: usize) -> Result<HistoryPage, ReadError> {
        self.shared().history(self.target(), from, limit)
    }

    /// Its fields as they were at a moment.
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk" }))?;
    /// # notes.json().edit(id, |note| note["title"] = "Bread".into())?;
    /// # let before = afield::Point::Before(notes.history(id, &afield::Point::Now, 1)?.changes[0].hash);
    /// let then = notes.entity(id)?.at(&before)?;
    /// assert_eq!(then.entry("title"), Some(&"Milk".into()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The entity could not be opened, or the moment is none of its history.
    pub fn at(&self, point: &Point) -> Result<Value, ReadError> {
        self.shared().value_at(self.target(), point)
    }

    /// Undoes this device's last edit of it; see [`Collection::undo`].
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk" }))?;
    /// # notes.json().edit(id, |note| note["title"] = "Bread".into())?;
    /// # let before = afield::Point::Before(notes.history(id, &afield::Point::Now, 1)?.changes[0].hash);
    /// let note = notes.entity(id)?;
    /// note.undo()?;
    /// assert_eq!(note.json()?["title"], "Milk");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Collection::undo`].
    pub fn undo(&self) -> Result<Option<Write>, EditError> {
        self.shared().undo(self.target(), Direction::Undo)
    }

    /// Takes this device's last undo of it back; see [`Collection::redo`].
    ///
    /// ```
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let home = replica.create_space("Home")?;
    /// # let notes = home.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk" }))?;
    /// # notes.json().edit(id, |note| note["title"] = "Bread".into())?;
    /// # let before = afield::Point::Before(notes.history(id, &afield::Point::Now, 1)?.changes[0].hash);
    /// let note = notes.entity(id)?;
    /// note.undo()?;
    /// note.redo()?;
    /// assert_eq!(note.json()?["title"], "Bread");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Collection::undo`].
    pub fn redo(&self) -> Result<Option<Write>, EditError> {
        self.shared().undo(self.target(), Direction::Redo)
    }
}

impl Shared {
    fn history(&self, target: &Target, from: &Point, limit: usize) -> Result<HistoryPage, ReadError> {
        self.of_past(target, |document| document.history(from, limit))
    }

    fn differences(&self, target: &Target, from: &Point, to: &Point) -> Result<Vec<Difference>, ReadError> {
        self.of_past(target, |document| fields_differ(document, from, to))
    }

    fn value_at(&self, target: &Target, point: &Point) -> Result<Value, ReadError> {
        self.of_past(target, |document| existing_at(document, point))
    }

    fn of_past<R>(
        &self,
        target: &Target,
        read: impl FnOnce(&Document) -> Result<R, PointError>,
    ) -> Result<R, ReadError> {
        let read = self.read_document(target, read)?;
        read.map_err(|source| ReadError::Point { entity: target.entity, source })
    }

    fn can_undo(&self, target: &Target, direction: Direction) -> Result<bool, ReadError> {
        Ok(self.read_document(target, |document| self.driver.undo_plan(document, direction, 0).is_some())?)
    }

    fn undo(&self, target: &Target, direction: Direction) -> Result<Option<Write>, EditError> {
        let undone = self.driver.undo(target, self.now(), direction)?;
        let Some(Edited { changes, .. }) = undone else { return Ok(None) };
        if !self.wake() {
            self.driver.compact_edited(target.entity, self.now());
        }
        Ok(Some(self.write(changes)))
    }
}

fn fields_differ(document: &Document, from: &Point, to: &Point) -> Result<Vec<Difference>, PointError> {
    let fields_at = |point| document.read_as_of(point).map(|value| split_deleted(value).0);
    Ok(differences(&fields_at(from)?, &fields_at(to)?))
}

/// The fields of an entity at a moment at which it existed.
fn existing_at(document: &Document, point: &Point) -> Result<Value, PointError> {
    match split_deleted(document.read_as_of(point)?).0 {
        Value::Map(fields) if fields.is_empty() && document.heads_at(point)?.is_empty() => Err(PointError::NothingYet),
        fields => Ok(fields),
    }
}

impl ReadOnlySpace {
    /// What became of an entity, as [`Collection::history`].
    ///
    /// ```
    /// # use afield::{Point, ReadOnlyReplica, Replica};
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = Replica::open(&path)?;
    /// # let notes = replica.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk" }))?;
    /// # notes.json().edit(id, |note| note["title"] = "Bread".into())?;
    /// let home = ReadOnlyReplica::open(&path)?.spaces()?.remove(0);
    /// let page = home.history("notes", id, &Point::Now, 20)?;
    /// assert_eq!(page.changes.len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// There is no such entity in this collection, or the moment is none of its history.
    pub fn history(
        &self,
        collection: &str,
        id: EntityId,
        from: &Point,
        limit: usize,
    ) -> Result<HistoryPage, ReadError> {
        let page = self.document(id, Some(collection))?.history(from, limit);
        page.map_err(|source| ReadError::Point { entity: id, source })
    }

    /// The fields of an entity as they were at a moment.
    ///
    /// ```
    /// # use afield::{Point, ReadOnlyReplica, Replica};
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = Replica::open(&path)?;
    /// # let notes = replica.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk" }))?;
    /// # notes.json().edit(id, |note| note["title"] = "Bread".into())?;
    /// let home = ReadOnlyReplica::open(&path)?.spaces()?.remove(0);
    /// let last = home.history("notes", id, &Point::Now, 1)?.changes[0].hash;
    /// assert_eq!(home.at("notes", id, &Point::Before(last))?.to_json(), json!({ "title": "Milk" }));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// There is no such entity in this collection, or the moment is none of its history.
    pub fn at(&self, collection: &str, id: EntityId, point: &Point) -> Result<Value, ReadError> {
        let value = existing_at(&self.document(id, Some(collection))?, point);
        value.map_err(|source| ReadError::Point { entity: id, source })
    }

    /// What differs between two moments of an entity, place by place.
    ///
    /// ```
    /// # use afield::{Point, ReadOnlyReplica, Replica};
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # let replica = Replica::open(&path)?;
    /// # let notes = replica.create_space("Home")?.collection::<()>("notes")?;
    /// # let id = notes.json().insert(&json!({ "title": "Milk" }))?;
    /// # notes.json().edit(id, |note| note["title"] = "Bread".into())?;
    /// let home = ReadOnlyReplica::open(&path)?.spaces()?.remove(0);
    /// let last = home.history("notes", id, &Point::Now, 1)?.changes[0].hash;
    /// let changed = home.differences("notes", id, &Point::Before(last), &Point::Now)?;
    /// assert_eq!(changed[0].path.to_string(), "title");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// There is no such entity in this collection, or a moment is none of its history.
    pub fn differences(
        &self,
        collection: &str,
        id: EntityId,
        from: &Point,
        to: &Point,
    ) -> Result<Vec<Difference>, ReadError> {
        let found = fields_differ(&self.document(id, Some(collection))?, from, to);
        found.map_err(|source| ReadError::Point { entity: id, source })
    }
}
