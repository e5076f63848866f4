//! A document seen with a record of what is read, and with numbers as their readers want them.

use super::path::{FieldPath, Place};
use crate::driver::DELETED_KEY;
use afield_core::document::Kind;
use automerge::{
    ActorId, AutoCommit, AutomergeError, ChangeHash, ObjId, ObjType, Prop, ROOT, ScalarValue, Value, ValueRef,
    iter::{ListRange, MapRange},
    transaction::Transactable,
};
use autosurgeon::ReadDoc;
use std::{
    borrow::Cow,
    cell::{OnceCell, RefCell},
    collections::{BTreeMap, HashSet},
    ops::RangeBounds,
};

/// A place in the schema: the fields on the way to it.
///
/// All elements of a list share one place, so that a list is read anew once and not for each of its elements.
pub(super) type SchemaPlace = Vec<SchemaStep>;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SchemaStep {
    /// A field of a model.
    Field(String),
    /// An element of a tuple, which has a type of its own.
    Element(usize),
    /// Any element of a list, or entry of a map with free keys.
    Any,
}

/// A kind of number in the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    Uint,
    Int,
    Float,
}

impl Number {
    /// In the order they are tried. autosurgeon's number types take exactly one of them.
    const ALL: [Self; 3] = [Self::Uint, Self::Int, Self::Float];

    fn of(value: &Value<'_>) -> Option<Self> {
        match value {
            Value::Scalar(scalar) => match scalar.as_ref() {
                ScalarValue::Uint(_) => Some(Self::Uint),
                ScalarValue::Int(_) => Some(Self::Int),
                ScalarValue::F64(_) => Some(Self::Float),
                _ => None,
            },
            Value::Object(_) => None,
        }
    }
}

/// How the numbers of each place are shown to their type.
#[derive(Default)]
pub(super) struct NumberViews(BTreeMap<SchemaPlace, Number>);

impl NumberViews {
    /// Shows the numbers at this place, which are stored as `stored`, in the next way; tells whether there was one.
    pub(super) fn take_next(&mut self, place: SchemaPlace, stored: Number) -> bool {
        let tried = match self.0.get(&place) {
            Some(number) => Number::ALL.iter().take_while(|way| *way != number).count() + 1,
            None => 0,
        };
        let next = Number::ALL.into_iter().skip(tried).find(|way| *way != stored);
        next.map(|next| self.0.insert(place, next)).is_some()
    }
}

/// A document, read through a record.
pub(super) struct View<'d, D> {
    document: &'d D,
    numbers: &'d NumberViews,
    last: RefCell<Option<Last>>,
    /// The maps whose keys were asked for: their keys are content.
    enumerated: RefCell<HashSet<ObjId>>,
    enumerated_last: RefCell<Option<ObjId>>,
    /// The lists whose length was asked for: their elements are of one type. Those of a tuple are read by position.
    counted: RefCell<HashSet<ObjId>>,
    /// The root's keys without the mark of deletion, once they were asked for.
    fields: OnceCell<AutoCommit>,
}

struct Last {
    object: ObjId,
    prop: Prop,
    found: Kind,
    number: Option<Number>,
}

impl<'d, D: ReadDoc> View<'d, D> {
    pub(super) fn new(document: &'d D, numbers: &'d NumberViews) -> Self {
        Self {
            document,
            numbers,
            last: RefCell::default(),
            enumerated: RefCell::default(),
            enumerated_last: RefCell::default(),
            counted: RefCell::default(),
            fields: OnceCell::new(),
        }
    }

    /// A document with the keys of this one, the mark of deletion left out: it is no field of the entity, and the
    /// engine's iterators cannot be made to pass over it.
    fn fields(&self) -> &AutoCommit {
        self.fields.get_or_init(|| {
            let mut fields = AutoCommit::new().with_actor(ActorId::from([]));
            for entry in self.document.map_range(&ROOT, ..).filter(|entry| entry.key != DELETED_KEY) {
                let written = match &entry.value {
                    ValueRef::Object(kind) => fields.put_object(ROOT, entry.key.as_ref(), *kind).map(drop),
                    ValueRef::Scalar(scalar) => fields.put(ROOT, entry.key.as_ref(), ScalarValue::from(scalar.clone())),
                };
                debug_assert!(written.is_ok(), "a new document takes any key and value");
            }
            fields
        })
    }

    /// The place and the kind of what was read last: what an error is about.
    pub(super) fn read_last(&self) -> (FieldPath, Kind) {
        match &*self.last.borrow() {
            Some(Last { object, prop, found, .. }) => (self.path(self.steps(object, Some(prop))), *found),
            None => (FieldPath::default(), Kind::Map),
        }
    }

    /// The place of the container of what was read last.
    pub(super) fn container_read_last(&self) -> FieldPath {
        let last = self.last.borrow();
        last.as_ref().map_or_else(FieldPath::default, |last| self.path(self.steps(&last.object, None)))
    }

    /// The place of the map whose keys were asked for last.
    pub(super) fn enumerated_last(&self) -> FieldPath {
        let last = self.enumerated_last.borrow();
        last.as_ref().map_or_else(FieldPath::default, |object| self.path(self.steps(object, None)))
    }

    /// The place of what was read last, if it is a number, and the kind of number it is in the document.
    pub(super) fn number_read_last(&self) -> Option<(SchemaPlace, Number)> {
        let last = self.last.borrow();
        let last = last.as_ref()?;
        Some((self.schema_place(&last.object, &last.prop), last.number?))
    }

    /// The steps from the root to an object, and to a property of it.
    fn steps(&self, object: &ObjId, prop: Option<&Prop>) -> Vec<(ObjId, Prop)> {
        let mut steps: Vec<(ObjId, Prop)> = prop.map(|prop| (object.clone(), prop.clone())).into_iter().collect();
        if let Ok(parents) = self.document.parents(object) {
            steps.extend(parents.map(|parent| (parent.obj, parent.prop)));
        }
        steps.reverse();
        steps
    }

    fn path(&self, steps: Vec<(ObjId, Prop)>) -> FieldPath {
        let enumerated = self.enumerated.borrow();
        FieldPath::from_places(
            steps
                .into_iter()
                .map(|(object, prop)| match prop {
                    Prop::Seq(index) => Place::Index(index),
                    Prop::Map(_) if enumerated.contains(&object) => Place::FreeKey,
                    Prop::Map(name) => Place::Field(name),
                })
                .collect(),
        )
    }

    fn schema_place(&self, object: &ObjId, prop: &Prop) -> SchemaPlace {
        let (enumerated, counted) = (self.enumerated.borrow(), self.counted.borrow());
        self.steps(object, Some(prop))
            .into_iter()
            .map(|(object, prop)| match prop {
                Prop::Map(name) if !enumerated.contains(&object) => SchemaStep::Field(name),
                Prop::Seq(index) if !counted.contains(&object) => SchemaStep::Element(index),
                Prop::Map(_) | Prop::Seq(_) => SchemaStep::Any,
            })
            .collect()
    }

    fn shown<'v>(&self, value: Value<'v>, object: &ObjId, prop: &Prop) -> Value<'v> {
        let Value::Scalar(scalar) = &value else { return value };
        if self.numbers.0.is_empty() || Number::of(&value).is_none() {
            return value;
        }
        let wanted = self.numbers.0.get(&self.schema_place(object, prop));
        match wanted.and_then(|wanted| converted(scalar, *wanted)) {
            Some(scalar) => Value::Scalar(Cow::Owned(scalar)),
            None => value,
        }
    }
}

/// Whether the entity has the mark that tells whether it is deleted.
pub(super) fn is_marked<D: ReadDoc>(document: &D) -> bool {
    document.get(&ROOT, DELETED_KEY).is_ok_and(|mark| mark.is_some())
}

/// The same number as another kind, where it is exactly one.
fn converted(scalar: &ScalarValue, wanted: Number) -> Option<ScalarValue> {
    let number = match scalar {
        ScalarValue::Int(value) => i128::from(*value),
        ScalarValue::Uint(value) => i128::from(*value),
        ScalarValue::F64(value) => exact_integer(*value)?,
        _ => return None,
    };
    match wanted {
        Number::Uint => u64::try_from(number).ok().map(ScalarValue::Uint),
        Number::Int => i64::try_from(number).ok().map(ScalarValue::Int),
        Number::Float => {
            let float = number as f64;
            (exact_integer(float) == Some(number)).then_some(ScalarValue::F64(float))
        }
    }
}

/// The largest integer up to which every integer is a floating-point number of 64 bits: 2 to the 53rd.
const EXACT_INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

fn exact_integer(value: f64) -> Option<i128> {
    (value.fract() == 0.0 && value.abs() <= EXACT_INTEGER_MAX).then_some(value as i128)
}

fn kind(value: &Value<'_>) -> Kind {
    match value {
        Value::Object(ObjType::Map | ObjType::Table) => Kind::Map,
        Value::Object(ObjType::List) => Kind::List,
        Value::Object(ObjType::Text) => Kind::Text,
        Value::Scalar(scalar) => match scalar.as_ref() {
            ScalarValue::Null => Kind::Null,
            ScalarValue::Boolean(_) => Kind::Bool,
            ScalarValue::Int(_) | ScalarValue::Uint(_) => Kind::Integer,
            ScalarValue::F64(_) => Kind::Float,
            ScalarValue::Str(_) => Kind::Str,
            // Of a kind that this version of the engine does not know, the bytes are all that is seen.
            ScalarValue::Bytes(_) | ScalarValue::Unknown { .. } => Kind::Bytes,
            ScalarValue::Timestamp(_) => Kind::Timestamp,
            ScalarValue::Counter(_) => Kind::Counter,
        },
    }
}

impl<D: ReadDoc> ReadDoc for View<'_, D> {
    type Parents<'a>
        = D::Parents<'a>
    where
        Self: 'a;

    fn get_heads(&self) -> Vec<ChangeHash> {
        self.document.get_heads()
    }

    fn get<P: Into<Prop>>(&self, object: &ObjId, prop: P) -> Result<Option<(Value<'_>, ObjId)>, AutomergeError> {
        let prop = prop.into();
        let found = self.document.get(object, prop.clone())?;
        let last = Last {
            object: object.clone(),
            prop: prop.clone(),
            found: found.as_ref().map_or(Kind::Null, |(value, _)| kind(value)),
            number: found.as_ref().and_then(|(value, _)| Number::of(value)),
        };
        *self.last.borrow_mut() = Some(last);
        Ok(found.map(|(value, id)| (self.shown(value, object, &prop), id)))
    }

    fn object_type<O: AsRef<ObjId>>(&self, object: O) -> Option<ObjType> {
        self.document.object_type(object)
    }

    fn map_range<'a, O, R>(&'a self, object: O, range: R) -> MapRange<'a>
    where
        R: RangeBounds<String> + 'a,
        O: AsRef<ObjId>,
    {
        self.enumerated.borrow_mut().insert(object.as_ref().clone());
        *self.enumerated_last.borrow_mut() = Some(object.as_ref().clone());
        match *object.as_ref() == ROOT && is_marked(self.document) {
            true => automerge::ReadDoc::map_range(self.fields(), ROOT, range),
            false => self.document.map_range(object, range),
        }
    }

    fn list_range<O: AsRef<ObjId>, R: RangeBounds<usize>>(&self, object: O, range: R) -> ListRange<'_> {
        self.document.list_range(object, range)
    }

    fn length<O: AsRef<ObjId>>(&self, object: O) -> usize {
        self.counted.borrow_mut().insert(object.as_ref().clone());
        self.document.length(object)
    }

    fn text<O: AsRef<ObjId>>(&self, object: O) -> Result<String, AutomergeError> {
        self.document.text(object)
    }

    fn parents<O: AsRef<ObjId>>(&self, object: O) -> Result<Self::Parents<'_>, AutomergeError> {
        self.document.parents(object)
    }

    fn is_empty(&self) -> bool {
        self.document.is_empty()
    }
}
