//! The operations of an edit.

use super::INCREMENT_MAX;
use super::derived::Container;
use super::edit::Edit;
use super::error::OperationError;
use super::long_text;
use super::path::{Path, Step};
use super::read::{Object, Standing, follow, object_kind, read_standing, standing};
use super::value::{Kind, Value};
use automerge::transaction::{OwnedTransaction, Transactable};
use automerge::{AutomergeError, Prop, ReadDoc};
use std::collections::BTreeMap;

/// A key or index of an object that exists.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) parent: Object,
    pub(super) prop: Prop,
    /// How many steps the place is away from the root.
    pub(super) depth: usize,
}

impl Edit<'_> {
    /// Reads what stands at a path, with everything below it; `None` when nothing does.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext, OperationError};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// document.edit(&by, &Limits::DEFAULT, |edit| {
    ///     edit.put("title", "Trip")?;
    ///     assert_eq!(edit.read("title")?, Some("Trip".into()));
    ///     assert_eq!(edit.read("done")?, None);
    ///     Ok::<_, OperationError>(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A key of the path goes into what is no map, or an index into what is no list.
    pub fn read(&self, path: impl Into<Path>) -> Result<Option<Value>, OperationError> {
        let found = follow(self.reader(), path.into().steps())?;
        Ok(found.map(|standing| read_standing(self.reader(), standing)))
    }

    /// Writes a value to a key of a map or in place of an element of a list.
    ///
    /// A scalar that stands there already is not written again. A text, list, map or counter is created anew, in place
    /// of what stood there; at an absent key it is the one that other devices create there, too, so that content
    /// merges. Entries of a new map that are null are left out.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext, Path, Value};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// document.edit(&by, &Limits::DEFAULT, |edit| {
    ///     edit.put("title", "Trip")?;
    ///     edit.put("steps", Value::List(vec!["pack".into(), "go".into()]))?;
    ///     edit.put(Path::from("steps").index(1), "leave")
    /// })?;
    /// assert_eq!(document.read_at(Path::from("steps").index(1))?, Some("leave".into()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The map or list of the path does not exist, the index is not that of an element, or the value is too deep or
    /// too large.
    pub fn put(&mut self, path: impl Into<Path>, value: impl Into<Value>) -> Result<(), OperationError> {
        let (path, value) = (path.into(), value.into());
        self.operation(|edit| {
            let place = edit.place(&path)?;
            edit.check_value(&path, &value)?;
            if edit.at(&place)?.is_some() {
                return edit.write(&place, &value);
            }
            edit.prepare(&place, None, &value)?;
            edit.assign_at(&place, None, Some(&value))?;
            if value.is_null() { edit.write(&place, &value) } else { Ok(()) }
        })
    }

    /// Writes a map to a key of a map, or in place of an element of a list, that nobody else writes into: of several that
    /// are written at the same time one is read, whole, and the others stand beside it as a conflict.
    ///
    /// With [`put`](Self::put) those who write a map to an absent key share one, and what they write into it merges. This
    /// is for a map that means something only as a whole, such as a variant of an enum.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext, OperationError, Value};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # use std::collections::BTreeMap;
    /// # use afield_core::document::Incoming;
    /// // Two devices say at the same time where a story is from.
    /// let story = || Document::new(EntityId::from_bytes([7; 16]));
    /// let (mut one, mut other) = (story(), story());
    /// let write = |document: &mut Document, device: u8, variant: &str| {
    ///     let by = EditContext::new([device; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    ///     let entries = BTreeMap::from([(variant.to_owned(), "Dune".into())]);
    ///     document.edit(&by, &Limits::DEFAULT, |edit| edit.put_own_map("source", entries))
    /// };
    /// write(&mut one, 1, "book")?;
    /// let changes = write(&mut other, 2, "film")?.changes;
    /// let incoming: Vec<_> = changes.iter().map(|change| Incoming { hash: change.hash, bytes: &change.bytes }).collect();
    /// one.apply_guarded(&incoming, &Limits::DEFAULT)?;
    /// // One is read, and not a map of both.
    /// assert_eq!(one.read().to_json(), serde_json::json!({ "source": { "film": "Dune" } }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The map or list of the path does not exist, the path is that of the entity itself, the index is not that of an element,
    /// or the entries are too deep or too large.
    pub fn put_own_map(
        &mut self,
        path: impl Into<Path>,
        entries: BTreeMap<String, Value>,
    ) -> Result<(), OperationError> {
        let (path, value) = (path.into(), Value::Map(entries));
        self.operation(|edit| {
            let place = edit.place(&path)?;
            edit.check_value(&path, &value)?;
            edit.write_own_map(&place, &value)
        })
    }

    /// Deletes the entry of a map, or an element of a list. An absent entry stays absent and nothing is written.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// document.edit(&by, &Limits::DEFAULT, |edit| edit.put("due", "tomorrow"))?;
    /// document.edit(&by, &Limits::DEFAULT, |edit| edit.delete("due"))?;
    /// assert_eq!(document.read_at("due")?, None);
    /// let again = document.edit(&by, &Limits::DEFAULT, |edit| edit.delete("due"))?;
    /// assert!(again.changes.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The map or list of the path does not exist, or the index is not that of an element.
    pub fn delete(&mut self, path: impl Into<Path>) -> Result<(), OperationError> {
        let path = path.into();
        self.operation(|edit| {
            let place = edit.place(&path)?;
            edit.remove(&place)
        })
    }

    /// Inserts a value into the list at `list`, so that it becomes the element at `index`.
    ///
    /// An absent list is created.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// document.edit(&by, &Limits::DEFAULT, |edit| {
    ///     edit.insert("steps", 0, "leave")?;
    ///     edit.insert("steps", 0, "pack")
    /// })?;
    /// assert_eq!(document.read().to_json(), serde_json::json!({ "steps": ["pack", "leave"] }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The place of the list does not exist or holds something else, the index is beyond the end, or the value is too
    /// deep or too large.
    pub fn insert(
        &mut self,
        list: impl Into<Path>,
        index: usize,
        value: impl Into<Value>,
    ) -> Result<(), OperationError> {
        let (path, value) = (list.into(), value.into());
        self.operation(|edit| {
            edit.check_value(&path.clone().index(index), &value)?;
            let (list, depth) = edit.container(&path, Container::List, index)?;
            edit.insert_value(&list, depth, index, &value)
        })
    }

    /// Deletes `delete` characters of the text at `text` from `position` on, and inserts `insert` there.
    ///
    /// Positions count Unicode code points, and each block of a rich text as one. What is inserted has the marks that grow
    /// over it; a block that is deleted joins what it divided. An absent text is created, unless nothing is inserted; where a
    /// long text stands, it is edited as one.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext, Value};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// document.edit(&by, &Limits::DEFAULT, |edit| {
    ///     edit.splice_text("body", 0, 0, "by train")?;
    ///     edit.splice_text("body", 3, 0, "night ")
    /// })?;
    /// assert_eq!(document.read_at("body")?, Some(Value::Text("by night train".into())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The place of the text does not exist or holds something else, the range is not within the text, or too much is
    /// inserted.
    pub fn splice_text(
        &mut self,
        text: impl Into<Path>,
        position: usize,
        delete: usize,
        insert: &str,
    ) -> Result<(), OperationError> {
        let path = text.into();
        self.operation(|edit| {
            let end = position.saturating_add(delete);
            if end == 0 && insert.is_empty() {
                return Ok(());
            }
            edit.check_characters(&path, insert)?;
            let place = edit.place(&path)?;
            if let Some(Standing::Object(map)) = edit.at(&place)?
                && long_text::part_text(edit.reader(), &map.id).is_some()
            {
                return edit.splice_parts(&map, place.depth, position, delete, insert);
            }
            let (text, _) = edit.container(&path, Container::Text, end)?;
            edit.splice(&text, position, delete, insert)
        })
    }

    /// Adds `by` to the counter at `counter`; increments of all devices add up. An absent counter is created from 0; of
    /// several first increments of more than 10¹¹ at the same time one alone is shown.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext, Value};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// document.edit(&by, &Limits::DEFAULT, |edit| edit.increment("opened", 3))?;
    /// document.edit(&by, &Limits::DEFAULT, |edit| edit.increment("opened", -1))?;
    /// assert_eq!(document.read_at("opened")?, Some(Value::Counter(2)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The place of the counter does not exist or holds something else, or the counter would leave the range of
    /// 64 bits.
    pub fn increment(&mut self, counter: impl Into<Path>, by: i64) -> Result<(), OperationError> {
        let path = counter.into();
        self.operation(|edit| {
            let place = edit.place(&path)?;
            match edit.at(&place)? {
                Some(Standing::Scalar(Value::Counter(current))) => edit.add(&place, current, by),
                None | Some(Standing::Scalar(Value::Null)) if by == 0 => Ok(()),
                None | Some(Standing::Scalar(Value::Null)) => edit.write(&place, &Value::Counter(by)),
                Some(other) => Err(OperationError::wrong_kind(place.depth, other.kind(), Kind::Counter)),
            }
        })
    }

    /// Sets an entry of the map at `map`; an absent map is created empty first, the same on every device.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext, Path};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// document.edit(&by, &Limits::DEFAULT, |edit| edit.put_entry("labels", "colour", "red"))?;
    /// assert_eq!(document.read_at(Path::from("labels").key("colour"))?, Some("red".into()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The place of the map does not exist or holds something else, or the value is too deep or too large.
    pub fn put_entry(
        &mut self,
        map: impl Into<Path>,
        key: impl Into<String>,
        value: impl Into<Value>,
    ) -> Result<(), OperationError> {
        let map = map.into();
        if !map.is_root() && self.read(&map)?.is_none_or(|standing| standing.is_null()) {
            self.put(&map, Value::Map(BTreeMap::new()))?;
        }
        self.put(map.key(key), value)
    }

    /// Gives access to the engine's own transaction, for what the other operations do not offer.
    ///
    /// A character of a text can be inserted and deleted there, and not replaced by a value: such an edit is refused.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// use automerge::{ROOT, transaction::Transactable};
    ///
    /// document.edit(&by, &Limits::DEFAULT, |edit| edit.raw(|transaction| transaction.put(ROOT, "title", "Trip")))?;
    /// assert_eq!(document.read_at("title")?, Some("Trip".into()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Whatever the closure returns.
    pub fn raw<T>(
        &mut self,
        closure: impl FnOnce(&mut OwnedTransaction) -> Result<T, AutomergeError>,
    ) -> Result<T, OperationError> {
        self.operation(|edit| Ok(closure(edit.raw_transaction())?))
    }

    /// Finds the object around the end of a path.
    pub(super) fn place(&self, path: &Path) -> Result<Place, OperationError> {
        let (last, around) = path.steps().split_last().ok_or(OperationError::Root)?;
        let depth = path.steps().len();
        let parent = match follow(self.reader(), around)? {
            None | Some(Standing::Scalar(Value::Null)) => return Err(OperationError::Absent { step: depth - 1 }),
            Some(found) => found,
        };
        let (prop, fits, needed) = match last {
            Step::Key(key) => (Prop::from(key.as_str()), parent.kind() == Kind::Map, Kind::Map),
            Step::Index(index) => (Prop::from(*index), parent.kind() == Kind::List, Kind::List),
        };
        match parent {
            Standing::Object(parent) if long_text::part_text(self.reader(), &parent.id).is_some() => {
                Err(OperationError::wrong_kind(depth - 1, Kind::LongText, needed))
            }
            Standing::Object(parent) if fits => Ok(Place { parent, prop, depth }),
            other => Err(OperationError::wrong_kind(depth - 1, other.kind(), needed)),
        }
    }

    /// Reads what stands at a place.
    pub(super) fn at(&self, place: &Place) -> Result<Option<Standing>, OperationError> {
        standing(self.reader(), &place.parent.id, place.prop.clone())
    }

    /// The list or text at a path, created when absent, and how deep it stands. `end` is the last position needed.
    pub(super) fn container(
        &mut self,
        path: &Path,
        container: Container,
        end: usize,
    ) -> Result<(Object, usize), OperationError> {
        let needed = container.object_type();
        let place = self.place(path)?;
        match self.at(&place)? {
            Some(Standing::Object(object)) if Some(object.kind) == needed => {
                let length = self.reader().length(&object.id);
                if end > length {
                    return Err(OperationError::OutOfRange { position: end, length });
                }
                Ok((object, place.depth))
            }
            None | Some(Standing::Scalar(Value::Null)) => {
                if end > 0 {
                    return Err(OperationError::OutOfRange { position: end, length: 0 });
                }
                Ok((self.create(&place, container)?, place.depth))
            }
            Some(other) => {
                let needed = needed.map_or(Kind::Counter, object_kind);
                Err(OperationError::wrong_kind(place.depth, other.kind(), needed))
            }
        }
    }

    /// Deletes what stands at a place.
    pub(super) fn remove(&mut self, place: &Place) -> Result<(), OperationError> {
        let Place { parent, prop, .. } = place;
        if let Prop::Seq(position) = *prop {
            let length = self.reader().length(&parent.id);
            if position >= length {
                return Err(OperationError::OutOfRange { position, length });
            }
        }
        self.charge(0, &parent.id, Some(prop))?;
        Ok(self.writing(&parent.id).delete(&parent.id, prop.clone())?)
    }

    /// Adds to the counter at a place, which now reads `current`.
    pub(super) fn add(&mut self, place: &Place, current: i64, by: i64) -> Result<(), OperationError> {
        current.checked_add(by).ok_or(OperationError::CounterOverflow)?;
        if by == 0 {
            return Ok(());
        }
        let steps = by.unsigned_abs().div_ceil(INCREMENT_MAX.unsigned_abs());
        self.charge_operations(steps, &place.parent.id, Some(&place.prop))?;
        let mut left = by;
        while left != 0 {
            let step = left.clamp(-INCREMENT_MAX, INCREMENT_MAX);
            self.writing(&place.parent.id).increment(&place.parent.id, place.prop.clone(), step)?;
            left -= step;
        }
        Ok(())
    }

    /// Deletes and inserts characters of a text.
    ///
    /// The engine deletes elements, which have one character each unless somebody wrote past Afield's operations.
    pub(super) fn splice(
        &mut self,
        text: &Object,
        position: usize,
        delete: usize,
        insert: &str,
    ) -> Result<(), OperationError> {
        if delete > 0 {
            self.divide(text, position)?;
            self.divide(text, position.saturating_add(delete))?;
        }
        self.splice_elements(text, position, delete, insert)
    }

    /// Puts single characters in the place of an element that has some on both sides of a position.
    fn divide(&mut self, text: &Object, position: usize) -> Result<(), OperationError> {
        let Some(before) = position.checked_sub(1) else { return Ok(()) };
        let at = |edit: &Self, position: usize| -> Result<_, OperationError> {
            Ok(edit.reader().get(&text.id, position)?.map(|(found, id)| (found.as_str().map(str::to_owned), id)))
        };
        let (Some((_, before_id)), Some((Some(characters), id))) = (at(self, before)?, at(self, position)?) else {
            return Ok(());
        };
        if before_id != id {
            return Ok(());
        }
        let mut start = before;
        while let Some(further) = start.checked_sub(1)
            && at(self, further)?.is_some_and(|(_, other)| other == id)
        {
            start = further;
        }
        self.splice_elements(text, start, characters.chars().count(), &characters)
    }

    fn splice_elements(
        &mut self,
        text: &Object,
        position: usize,
        delete: usize,
        insert: &str,
    ) -> Result<(), OperationError> {
        let count = isize::try_from(delete).map_err(|_| OperationError::OutOfRange { position, length: 0 })?;
        let operations = delete.saturating_add(insert.chars().count()) as u64;
        self.charge_text(insert.len(), &text.id)?;
        self.charge_operations(operations, &text.id, None)?;
        Ok(self.writing(&text.id).splice_text(&text.id, position, count, insert)?)
    }
}
