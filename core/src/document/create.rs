//! Writing values that may hold others: containers are created, derived where that is possible, and filled.

use super::derived::Container;
use super::difference::is_same;
use super::edit::Edit;
use super::error::OperationError;
use super::long_text;
use super::operations::Place;
use super::read::{Object, Standing};
use super::value::Value;
use super::{COUNTER_MAX, DEPTH_MAX, FIRST_INCREMENTS_MAX, INCREMENT_MAX};
use automerge::transaction::Transactable;
use automerge::{ObjId, ObjType, Prop, ReadDoc, ScalarValue};

impl Edit<'_> {
    /// Writes a value to a place.
    pub(super) fn write(&mut self, place: &Place, value: &Value) -> Result<(), OperationError> {
        self.check_index(place)?;
        match (value, container_of(value)) {
            (Value::Counter(number), _) if is_near(*number) && self.derived_at(place, Container::Counter)? => {
                self.add(place, 0, *number)
            }
            (Value::LongText(text), _) => {
                let map = self.create_long_text(place)?;
                self.fill_long_text(&map, place.depth, text)
            }
            (_, Some(container)) => {
                let object = self.create(place, container)?;
                self.fill(&object, place.depth, value)
            }
            (_, None) => {
                let scalar = self.scalar(value, &place.parent.id, Some(&place.prop))?;
                self.put_scalar(&place.parent.id, &place.prop, scalar)
            }
        }
    }

    fn check_index(&self, place: &Place) -> Result<(), OperationError> {
        let Prop::Seq(position) = place.prop else { return Ok(()) };
        let length = self.reader().length(&place.parent.id);
        if position < length { Ok(()) } else { Err(OperationError::OutOfRange { position, length }) }
    }

    /// Puts a scalar in place of all that stands there.
    ///
    /// Where it is one of several values that stand, the engine by itself would leave it as it is and take the others away: two who
    /// chose different ones at the same time would then leave nothing. So something else is put first.
    pub(super) fn put_scalar(
        &mut self,
        object: &ObjId,
        prop: &Prop,
        scalar: ScalarValue,
    ) -> Result<(), OperationError> {
        let standing = self.reader().get_all(object, prop.clone())?;
        let stands = |scalar: &ScalarValue| standing.iter().any(|(found, _)| found.as_scalar() == Some(scalar));
        if standing.len() > 1
            && stands(&scalar)
            && let Some(other) = (0..).map(ScalarValue::Int).find(|other| !stands(other))
        {
            self.writing(object).put(object, prop.clone(), other)?;
        }
        Ok(self.writing(object).put(object, prop.clone(), scalar)?)
    }

    /// Creates an empty container at a place: derived when nothing stands there and others could be creating it,
    /// ordinary otherwise.
    pub(super) fn create(&mut self, place: &Place, container: Container) -> Result<Object, OperationError> {
        if place.depth > DEPTH_MAX {
            return Err(OperationError::TooDeep);
        }
        if self.derived_at(place, container)?
            && let Some(Standing::Object(object)) = self.at(place)?
        {
            return Ok(object);
        }
        self.create_own(place, container)
    }

    /// Writes a map that is this edit's own to a place, whatever others create there.
    pub(super) fn write_own_map(&mut self, place: &Place, value: &Value) -> Result<(), OperationError> {
        self.check_index(place)?;
        if place.depth > DEPTH_MAX {
            return Err(OperationError::TooDeep);
        }
        let map = self.create_own(place, Container::Map)?;
        self.fill(&map, place.depth, value)
    }

    fn create_own(&mut self, place: &Place, container: Container) -> Result<Object, OperationError> {
        let kind = container.object_type().ok_or(OperationError::Stale)?;
        let Place { parent, prop, .. } = place;
        self.charge(0, &parent.id, Some(prop))?;
        let id = self.writing(&parent.id).put_object(&parent.id, prop.clone(), kind)?;
        Ok(Object { id, kind })
    }

    /// Creates the containers of a value that are absent, as far as they are derived, before anything else is written:
    /// all else can then go into one change.
    pub(super) fn prepare(
        &mut self,
        place: &Place,
        before: Option<&Value>,
        after: &Value,
    ) -> Result<(), OperationError> {
        let container = match after {
            Value::Counter(number) => is_near(*number).then_some(Container::Counter),
            other => container_of(other),
        };
        let Some(container) = container.filter(|_| !is_same(before, Some(after))) else { return Ok(()) };
        if place.depth > DEPTH_MAX {
            return Err(OperationError::TooDeep);
        }
        self.derived_at(place, container)?;
        let Some(Standing::Object(map)) = self.at(place)? else { return Ok(()) };
        let is_long_text = long_text::part_text(self.reader(), &map.id).is_some();
        if self.begins_long_text(&map, before, after) {
            // What has marks takes the place of a long text that is there, so its first part is made when it is written.
            let is_rich = matches!(after, Value::RichText(_));
            return if is_rich { Ok(()) } else { self.prepare_long_text(&map, place.depth) };
        }
        let Value::Map(entries) = after else { return Ok(()) };
        // What is no map is replaced by one, in which nobody else can be creating anything.
        if map.kind != ObjType::Map || is_long_text {
            return Ok(());
        }
        let before = before.and_then(Value::as_map);
        for (key, value) in entries {
            let place = Place { parent: map.clone(), prop: Prop::from(key.as_str()), depth: place.depth + 1 };
            self.prepare(&place, before.and_then(|before| before.get(key)), value)?;
        }
        Ok(())
    }

    pub(super) fn derived_at(&mut self, place: &Place, container: Container) -> Result<bool, OperationError> {
        match &place.prop {
            Prop::Map(key) if self.at(place)?.is_none() => self.derive(&place.parent, key, container),
            _ => Ok(false),
        }
    }

    /// Inserts an element into a list that stands `depth` steps away from the root.
    pub(super) fn insert_value(
        &mut self,
        list: &Object,
        depth: usize,
        index: usize,
        value: &Value,
    ) -> Result<(), OperationError> {
        let Some(kind) = container_of(value).and_then(Container::object_type) else {
            let scalar = self.scalar(value, &list.id, Some(&Prop::Seq(index)))?;
            return Ok(self.writing(&list.id).insert(&list.id, index, scalar)?);
        };
        if depth >= DEPTH_MAX {
            return Err(OperationError::TooDeep);
        }
        self.charge(0, &list.id, Some(&Prop::Seq(index)))?;
        let id = self.writing(&list.id).insert_object(&list.id, index, kind)?;
        self.fill(&Object { id, kind }, depth + 1, value)
    }

    /// Inserts elements into a list that stands `depth` steps away from the root, and gives the index behind them.
    ///
    /// Runs of scalars go in at once: for each insertion the engine passes over the elements before it.
    pub(super) fn insert_values<'v>(
        &mut self,
        list: &Object,
        depth: usize,
        mut index: usize,
        values: impl IntoIterator<Item = &'v Value>,
    ) -> Result<usize, OperationError> {
        let mut run = Vec::new();
        for value in values {
            if container_of(value).is_none() {
                run.push(self.scalar(value, &list.id, Some(&Prop::Seq(index)))?);
                continue;
            }
            index = self.insert_run(list, index, std::mem::take(&mut run))?;
            self.insert_value(list, depth, index, value)?;
            index += 1;
        }
        self.insert_run(list, index, run)
    }

    fn insert_run(&mut self, list: &Object, index: usize, run: Vec<ScalarValue>) -> Result<usize, OperationError> {
        let end = index + run.len();
        if !run.is_empty() {
            self.charge_operations(run.len() as u64, &list.id, None)?;
            self.writing(&list.id).splice(&list.id, index, 0, run)?;
        }
        Ok(end)
    }

    /// Fills a new container that stands `depth` steps away from the root.
    fn fill(&mut self, object: &Object, depth: usize, value: &Value) -> Result<(), OperationError> {
        match value {
            Value::Text(text) if !text.is_empty() => self.splice(object, 0, 0, text),
            Value::RichText(text) => self.assign_rich_text(object, depth, None, text),
            Value::LongText(text) => {
                let place = long_text::text_place(object, depth);
                self.create(&place, Container::Text)?;
                self.fill_long_text(object, depth, text)
            }
            Value::List(elements) => self.insert_values(object, depth, 0, elements).map(drop),
            Value::Map(entries) => entries.iter().filter(|(_, value)| !value.is_null()).try_for_each(|(key, value)| {
                let prop = Prop::from(key.as_str());
                self.write(&Place { parent: object.clone(), prop, depth: depth + 1 }, value)
            }),
            _ => Ok(()),
        }
    }

    fn fill_long_text(&mut self, map: &Object, depth: usize, text: &str) -> Result<(), OperationError> {
        if text.is_empty() { Ok(()) } else { self.splice_parts(map, depth, 0, 0, text) }
    }

    /// A scalar as the engine has it, to be written to an object or to a place in it.
    pub(super) fn scalar(
        &mut self,
        value: &Value,
        object: &ObjId,
        prop: Option<&Prop>,
    ) -> Result<ScalarValue, OperationError> {
        let bytes = match value {
            Value::Str(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            _ => 0,
        };
        self.charge(bytes, object, prop)?;
        if matches!(value, Value::Counter(number) if number.unsigned_abs() > COUNTER_MAX.unsigned_abs()) {
            return Err(OperationError::CounterOverflow);
        }
        Ok(engine_scalar(value))
    }
}

/// A scalar as the engine has it; null for what is none.
pub(super) fn engine_scalar(value: &Value) -> ScalarValue {
    match value {
        Value::Bool(value) => ScalarValue::Boolean(*value),
        Value::Int(number) => ScalarValue::Int(*number),
        Value::Uint(number) => ScalarValue::Uint(*number),
        Value::F64(number) => ScalarValue::F64(*number),
        Value::Str(text) => ScalarValue::Str(text.as_str().into()),
        Value::Bytes(bytes) => ScalarValue::Bytes(bytes.clone()),
        Value::Timestamp(number) => ScalarValue::Timestamp(*number),
        Value::Counter(number) => ScalarValue::counter(*number),
        Value::Null | Value::Text(_) | Value::RichText(_) | Value::LongText(_) | Value::List(_) | Value::Map(_) => {
            ScalarValue::Null
        }
    }
}

/// Whether a counter reaches a number in few steps from 0, as a derived one has to.
fn is_near(number: i64) -> bool {
    number.unsigned_abs().div_ceil(INCREMENT_MAX.unsigned_abs()) <= FIRST_INCREMENTS_MAX
}

/// The container that a value needs; a counter is one only where it can be derived.
pub(super) fn container_of(value: &Value) -> Option<Container> {
    match value {
        Value::Text(_) | Value::RichText(_) => Some(Container::Text),
        Value::List(_) => Some(Container::List),
        Value::Map(_) | Value::LongText(_) => Some(Container::Map),
        _ => None,
    }
}
