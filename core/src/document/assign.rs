//! Writing the difference between two values: what typed edits and edits of JSON are built on.

use super::alignment::identity_matches;
use super::derived::Container;
use super::difference::{self, ListStep, is_same, list_steps};
use super::edit::Edit;
use super::error::OperationError;
use super::hunks::text_hunks;
use super::long_text;
use super::operations::Place;
use super::path::Path;
use super::read::{Object, Standing, read_object};
use super::rich::RichText;
use super::value::Value;
use automerge::{ObjType, Prop, ReadDoc};
use std::collections::BTreeMap;

impl Edit<'_> {
    /// Writes what differs between `before` and `after`, and nothing else.
    ///
    /// `before` is what the caller knew of the value at `path`, `after` what it has made of it:
    ///
    /// - in maps, entries that differ are assigned one by one, those missing in `after` are deleted, and entries of the
    ///   document that neither names stay as they are, at every depth;
    /// - in lists, elements that changed are edited in place, so that what neither names stays there, too; all others
    ///   are deleted or inserted; an element that moved takes along what neither names;
    /// - of texts the characters, blocks and marks that differ are deleted and inserted, and counters are incremented by
    ///   the difference; a text that is given as a string, or that was one in
    ///   `before`, too, keeps the marks and blocks that its characters have;
    /// - all other values are replaced; absent and null are the same.
    ///
    /// A text, counter or timestamp of the document stays one when `after` gives its content as a string or an
    /// integer, as plain JSON does.
    ///
    /// ```
    /// # use afield_core::document::{Document, EditContext, Path, Point, Value};
    /// # use afield_core::{EntityId, Limits, Now};
    /// # let mut document = Document::new(EntityId::from_bytes([7; 16]));
    /// # let by = EditContext::new([1_u8; 16].into(), Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 });
    /// let before = Value::from([("title", Value::from("Trip")), ("done", Value::from(false))]);
    /// document.edit(&by, &Limits::DEFAULT, |edit| edit.assign(Path::ROOT, &Value::Null, &before))?;
    ///
    /// let after = Value::from([("title", Value::from("Night trip")), ("done", Value::from(false))]);
    /// document.edit(&by, &Limits::DEFAULT, |edit| edit.assign(Path::ROOT, &before, &after))?;
    /// assert_eq!(document.read(), after);
    /// assert_eq!(document.history(&Point::Now, 1)?.changes[0].operations, 1, "the title alone");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The map or list around the path does not exist; the root is assigned something else than a map; the document
    /// holds another text, or a list of another length, than `before` says; or the value is too deep or too large.
    pub fn assign(&mut self, path: impl Into<Path>, before: &Value, after: &Value) -> Result<(), OperationError> {
        let path = path.into();
        self.operation(|edit| {
            if !path.is_root() {
                let place = edit.place(&path)?;
                edit.prepare(&place, Some(before), after)?;
                return edit.assign_at(&place, Some(before), Some(after));
            }
            let empty = BTreeMap::new();
            let before = if before.is_null() { &empty } else { before.as_map().ok_or(OperationError::Root)? };
            let after = after.as_map().ok_or(OperationError::Root)?;
            for (key, value) in after {
                let place = Place { parent: Object::ROOT, prop: Prop::from(key.as_str()), depth: 1 };
                edit.prepare(&place, before.get(key), value)?;
            }
            edit.assign_map(&Object::ROOT, 0, before, after)
        })
    }

    /// Writes what differs to a place; `None` is absent.
    pub(super) fn assign_at(
        &mut self,
        place: &Place,
        before: Option<&Value>,
        after: Option<&Value>,
    ) -> Result<(), OperationError> {
        if is_same(before, after) {
            return Ok(());
        }
        let current = self.at(place)?;
        let Some(after) = after else {
            return if current.is_some() { self.remove(place) } else { Ok(()) };
        };
        match (current, after) {
            (Some(Standing::Object(map)), Value::LongText(new) | Value::Text(new) | Value::Str(new))
                if long_text::part_text(self.reader(), &map.id).is_some() =>
            {
                self.assign_long_text(&map, place.depth, before.and_then(Value::as_str), new)
            }
            (Some(Standing::Object(map)), Value::LongText(_) | Value::Text(_) | Value::RichText(_) | Value::Str(_))
                if self.begins_long_text(&map, before, after) =>
            {
                self.create(&long_text::text_place(&map, place.depth), Container::Text)?;
                self.assign_long_text(&map, place.depth, None, after.as_str().unwrap_or_default())
            }
            // A long text is a map to the engine alone.
            (Some(Standing::Object(map)), Value::Map(entries))
                if map.kind == ObjType::Map && long_text::part_text(self.reader(), &map.id).is_none() =>
            {
                let empty = BTreeMap::new();
                let before = before.and_then(Value::as_map).unwrap_or(&empty);
                self.assign_map(&map, place.depth, before, entries)
            }
            (Some(Standing::Object(list)), Value::List(elements)) if list.kind == ObjType::List => {
                self.assign_list(&list, place.depth, before.and_then(Value::as_list), elements)
            }
            // Whoever knew of its marks and blocks and gives none has taken them away.
            (Some(Standing::Object(text)), Value::Text(new))
                if text.kind == ObjType::Text && matches!(before, Some(Value::RichText(_))) =>
            {
                let new = RichText::from(new.as_str());
                self.assign_rich_text(&text, place.depth, before.and_then(Value::as_str), &new)
            }
            (Some(Standing::Object(text)), Value::Text(new) | Value::LongText(new) | Value::Str(new))
                if text.kind == ObjType::Text =>
            {
                self.assign_text(&text, before.and_then(Value::as_str), new)
            }
            (Some(Standing::Object(text)), Value::RichText(new)) if text.kind == ObjType::Text => {
                self.assign_rich_text(&text, place.depth, before.and_then(Value::as_str), new)
            }
            (Some(Standing::Scalar(Value::Counter(current))), Value::Counter(_) | Value::Int(_) | Value::Uint(_)) => {
                let number = |value: &Value| match value {
                    Value::Counter(number) => Some(i128::from(*number)),
                    other => other.as_integer(),
                };
                let old = before.and_then(number).unwrap_or(i128::from(current));
                let by = number(after).unwrap_or(old) - old;
                self.add(place, current, i64::try_from(by).map_err(|_| OperationError::CounterOverflow)?)
            }
            (Some(Standing::Scalar(Value::Timestamp(_))), Value::Int(number)) => {
                self.write(place, &Value::Timestamp(*number))
            }
            _ => self.write(place, after),
        }
    }

    /// Writes the entries that differ to a map that stands `depth` steps away from the root.
    pub(super) fn assign_map(
        &mut self,
        map: &Object,
        depth: usize,
        before: &BTreeMap<String, Value>,
        after: &BTreeMap<String, Value>,
    ) -> Result<(), OperationError> {
        let place = |key: &str| Place { parent: map.clone(), prop: Prop::from(key), depth: depth + 1 };
        difference::keys(before, after).try_for_each(|key| self.assign_at(&place(key), before.get(key), after.get(key)))
    }

    fn assign_list(
        &mut self,
        list: &Object,
        depth: usize,
        before: Option<&[Value]>,
        after: &[Value],
    ) -> Result<(), OperationError> {
        let current;
        let before = match before {
            Some(before) => before,
            None => {
                current = read_object(self.reader(), list);
                current.as_list().unwrap_or_default()
            }
        };
        if self.reader().length(&list.id) != before.len() {
            return Err(OperationError::Stale);
        }
        let steps = list_steps(before, after);
        let moved = self.moved(list, before, after, &steps)?;
        let (mut index, mut inserted) = (0, Vec::new());
        for step in steps {
            if let Some(new) = step.inserted().filter(|new| !moved.contains_key(new)) {
                inserted.push(after.get(new).unwrap_or(&Value::Null));
                continue;
            }
            index = self.insert_values(list, depth, index, inserted.drain(..))?;
            let place = Place { parent: list.clone(), prop: Prop::Seq(index), depth: depth + 1 };
            match step {
                ListStep::Keep => {}
                ListStep::Edit { old, new } => self.assign_at(&place, before.get(old), after.get(new))?,
                ListStep::Delete { .. } => {
                    self.remove(&place)?;
                    continue;
                }
                ListStep::Insert { new } => {
                    if let Some((old, whole)) = moved.get(&new) {
                        self.insert_value(list, depth, index, whole)?;
                        self.assign_at(&place, before.get(*old), after.get(new))?;
                    }
                }
            }
            index += 1;
        }
        self.insert_values(list, depth, index, inserted).map(drop)
    }

    /// The elements that are deleted in one place and inserted in another, as the document holds them: by the new
    /// index, the old index and the whole element.
    fn moved(
        &self,
        list: &Object,
        before: &[Value],
        after: &[Value],
        steps: &[ListStep],
    ) -> Result<BTreeMap<usize, (usize, Value)>, OperationError> {
        let mut deleted: Vec<usize> = steps.iter().filter_map(ListStep::deleted).collect();
        let mut moved = BTreeMap::new();
        for new in steps.iter().filter_map(ListStep::inserted) {
            let Some(value @ Value::Map(_)) = after.get(new) else { continue };
            let is_source = |old: &usize| {
                before
                    .get(*old)
                    .is_some_and(|old| identity_matches(old, value).unwrap_or_else(|| is_same(Some(old), Some(value))))
            };
            let Some(found) = deleted.iter().position(is_source) else { continue };
            let old = deleted.swap_remove(found);
            let place = Place { parent: list.clone(), prop: Prop::Seq(old), depth: 0 };
            if let Some(Standing::Object(object)) = self.at(&place)? {
                moved.insert(new, (old, read_object(self.reader(), &object)));
            }
        }
        Ok(moved)
    }

    /// Whether the value goes into a long text of which no part is here yet: whoever read a text there does not mean to
    /// replace what others have written into it. Its characters do, since a long text has no marks.
    pub(super) fn begins_long_text(&self, object: &Object, before: Option<&Value>, after: &Value) -> bool {
        let is_text = |value: &Value| matches!(value, Value::Text(_) | Value::RichText(_) | Value::LongText(_));
        long_text::may_begin_in(self.reader(), object)
            && (matches!(after, Value::LongText(_)) || before.is_some_and(is_text))
    }

    fn assign_text(&mut self, text: &Object, before: Option<&str>, after: &str) -> Result<(), OperationError> {
        let current = self.reader().text(&text.id)?;
        if before.is_some_and(|before| before != current) {
            return Err(OperationError::Stale);
        }
        for hunk in text_hunks(&current, after).iter().rev() {
            self.splice(text, hunk.position, hunk.delete, &hunk.insert)?;
        }
        Ok(())
    }
}
