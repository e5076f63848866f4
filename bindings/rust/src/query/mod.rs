//! Queries over what entities read as.

mod aggregate;
mod beside;
mod declared;
mod error;
mod live;
mod params;
mod search;

pub use beside::Beside;
pub use declared::{Fields, Shown};
pub use error::QueryError;
pub use live::{LiveQuery, LiveWork};
pub use params::{Param, Params};
pub use search::{Found, SearchBox};

use crate::collection::{Collection, JsonCollection, Listing, parse_projection};
use crate::error::ReadError;
use crate::replica::Shared;
use crate::typed::Field;
use afield_core::lens::Lenses;
use afield_core::{Collection as Name, EntityId, SpaceId};
use afield_store::{Direction, MatchedEntity, Reader};
use autosurgeon::{Hydrate, Reconcile};
use std::marker::PhantomData;
use std::sync::Arc;

/// A question about the entities of a collection that are not deleted: made by [`Collection::query`] and
/// [`JsonCollection::query`], asked by [`Query::all`] and its fellows as often as one likes.
///
/// # Conditions
///
/// A condition is what stands behind `WHERE` in SQLite's SQL, over the names of fields: `done = 0 AND due < ?`. A field within a
/// field is `address.city`, and one with an unusual name `"due date"`. Values are given beside the text, one for each question
/// mark; they are bound, so that nothing in them is ever read as SQL.
///
/// | in the entity | in a query |
/// | --- | --- |
/// | a string, a text of any kind | text; `LIKE` takes A to Z and a to z for the same, `=` and `<` do not |
/// | a number, a counter | a number |
/// | `true`, `false` | 1, 0; `done` alone is a condition, too |
/// | a timestamp | milliseconds since the Unix epoch; compare it with a [`Timestamp`](crate::Timestamp) |
/// | bytes | hexadecimal digits; compare them with [`Bytes`](crate::Bytes) |
/// | a list | its JSON; `contains(steps, 'bake')` and `json_array_length(steps)` look into it |
/// | a set, a map | its JSON; `has_key(tags, 'red')` is whether it has this element or key, `contains` whether a map has this value |
/// | null, absent, a number that is not finite | null |
///
/// There are the operators of SQLite but for `MATCH`, `REGEXP` and those on bits and JSON, `CASE`, `CAST`, and the functions `abs`,
/// `coalesce`, `contains`, `has_key`, `ifnull`, `instr`, `json_array_length`, `length`, `lower`, `ltrim`, `max`, `min`, `nullif`, `replace`,
/// `round`, `rtrim`, `sign`, `substr`, `trim`, `typeof` and `upper`. Nothing else is: no subqueries, no other tables, no clock.
/// `_updated_ms` is when the entity was last changed.
///
/// In a collection that is read [through lenses](Collection::through), in its indexes and its search fields, fields have the names
/// and the values of the newest version: defaults count where nothing stands, and tables and lists are looked through. A field that an
/// older version has renamed is an error that says how it is called now. What an [`each`](crate::Lens::each) makes of elements, and a map as
/// a whole in which an [`inside`](crate::Lens::inside) does, cannot be asked for, but for how many elements there are, whether there
/// are any, and in the first case what `contains` and `has_key` look for. A field that version after version converts is asked for by the
/// tables of all of them: from some four on that is more than a query may be (`query.too_large`).
///
/// A field that the model does not have is an error, with the one that was probably meant. Without a model a field is an error
/// where entities have one of nearly that name; one that nobody has written yet reads as null.
///
/// # Order
///
/// Null comes before numbers, and these before text, by its bytes. Where nothing is said entities come in the order of their
/// making, and those that are equal in the order in which they came to this device.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use serde_json::json;
///
/// let tasks = home.collection::<()>("tasks")?.json();
/// for (title, due) in [("buy milk", 3), ("water the beans", 1), ("rest", 9)] {
///     tasks.insert(&json!({"title": title, "due": due}))?;
/// }
/// let due = tasks.query("due < ?", [5])?.order_by("due").limit(20);
/// let titles: Vec<_> = due.all()?.into_iter().map(|(_, task)| task["title"].clone()).collect();
/// assert_eq!(titles, ["water the beans", "buy milk"]);
/// assert_eq!(due.count()?, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a query does nothing until it is asked"]
pub struct Query<T> {
    reader: Reader,
    /// What may bring projections up to date; absent beside a writer.
    of: Option<Collection<()>>,
    query: afield_store::Query,
    place: (SpaceId, Name),
    order: Vec<(String, Direction)>,
    _type: PhantomData<fn() -> T>,
}

impl<T> Clone for Query<T> {
    fn clone(&self) -> Self {
        let Self { reader, of, query, place, order, .. } = self;
        let (reader, of, query, place, order) =
            (reader.clone(), of.clone(), query.clone(), place.clone(), order.clone());
        Self { reader, of, query, place, order, _type: PhantomData }
    }
}

/// What a [`Query`] gives that was made of JSON values.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use afield::{AsJson, Query};
///
/// let tasks = home.collection::<()>("tasks")?;
/// let id = tasks.json().insert(&serde_json::json!({"title": "sow"}))?;
/// let all: Query<AsJson> = tasks.json().query("title = 'sow'", ())?;
/// assert_eq!(all.all()?, [(id, serde_json::json!({"title": "sow"}))]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct AsJson;

impl<T: Hydrate + Reconcile + Field> Collection<T> {
    /// Asks for entities that meet a condition; an empty text asks for all. See [`Query`] for what may stand in it.
    ///
    /// ```
    /// use afield::{Replica, Timestamp, model};
    ///
    /// #[model]
    /// #[derive(Debug, Clone, PartialEq)]
    /// struct Task {
    ///     title: String,
    ///     done: bool,
    ///     due: Option<Timestamp>,
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let home = Replica::open_in_memory()?.create_space("Home")?;
    /// let tasks = home.collection::<Task>("tasks")?;
    /// let now = Timestamp::from_millis(1_000);
    /// for (title, due) in [("sow", 500), ("reap", 2_000), ("water", 100)] {
    ///     let due = Some(Timestamp::from_millis(due));
    ///     tasks.insert(&Task { title: title.into(), done: false, due })?;
    /// }
    /// tasks.index("due")?; // kept from now on; without it the query reads the whole collection
    ///
    /// let overdue = tasks.query("done = 0 AND due < ?", [now])?.order_by("due").limit(20);
    /// let titles: Vec<_> = overdue.all()?.entities.into_iter().map(|(_, task)| task.title).collect();
    /// assert_eq!(titles, ["water", "sow"]);
    /// assert_eq!(overdue.count()?, 2);
    ///
    /// // A field that an older entity does not have is null here, whatever its default is in the model.
    /// assert_eq!(tasks.query("coalesce(done, 0) = 0", ())?.count()?, 3);
    ///
    /// let mistake = tasks.query("dun = 0", ())?.all().unwrap_err();
    /// assert_eq!(mistake.to_string(), "there is no field \"dun\" (line 1, column 1); did you mean \"due\"?");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The text is no condition, with the place of what is wrong, or there are more or fewer values than question marks.
    pub fn query(&self, condition: &str, params: impl Params) -> Result<Query<T>, QueryError> {
        Query::new(&self.json().of, self.known_fields(), condition, params)
    }
}

impl JsonCollection {
    /// Asks for entities that meet a condition, as [`Collection::query`] does.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let goods = replica.create_space("Home")?.collection::<()>("goods")?.json();
    /// use serde_json::json;
    ///
    /// goods.insert(&json!({"name": "milk", "price": 3, "shop": {"city": "Rome"}, "tags": ["cold"]}))?;
    /// goods.insert(&json!({"name": "salt", "price": 1, "shop": {"city": "Oslo"}, "tags": []}))?;
    /// let found = goods.query("shop.city = ? AND price > ? AND contains(tags, 'cold')", ("Rome", 2))?.all()?;
    /// assert_eq!(found[0].1["name"], "milk");
    /// assert_eq!(goods.query("", ())?.sum("price")?, afield::QueryValue::Integer(4));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Collection::query`].
    pub fn query(&self, condition: &str, params: impl Params) -> Result<Query<AsJson>, QueryError> {
        Query::new(&self.of, None, condition, params)
    }
}

impl<T> Query<T> {
    fn new(
        of: &Collection<()>,
        known: Option<Arc<[String]>>,
        condition: &str,
        params: impl Params,
    ) -> Result<Self, QueryError> {
        let place = (of.space(), of.target_name().clone());
        let (reader, lenses) = (of.shared.reader.clone(), of.shape.shared_lenses());
        let query = Self::through(reader, place, lenses, condition, params)?;
        Ok(Self { of: Some(of.clone()), query: query.query.with_known_fields(known), ..query })
    }

    fn beside(
        reader: Reader,
        place: (SpaceId, Name),
        condition: &str,
        params: impl Params,
    ) -> Result<Self, QueryError> {
        Self::through(reader, place, None, condition, params)
    }

    fn through(
        reader: Reader,
        place: (SpaceId, Name),
        lenses: Option<Arc<Lenses>>,
        condition: &str,
        params: impl Params,
    ) -> Result<Self, QueryError> {
        let (space, name) = place.clone();
        let query =
            afield_store::Query::all(space, name).through(lenses).matching(condition, &params.to_query_values())?;
        Ok(Self { reader, of: None, query, place, order: Vec::new(), _type: PhantomData })
    }

    /// Refuses each field that no entity of the collection has, where there are entities: for conditions that a person types.
    /// Without it such a field reads as null, as an app wants it of what its model has gained.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let replica = afield::Replica::open_in_memory()?;
    /// # let goods = replica.create_space("Home")?.collection::<()>("goods")?.json();
    /// goods.insert(&serde_json::json!({"name": "milk"}))?;
    /// assert_eq!(goods.query("colour = 'red'", ())?.count()?, 0);
    /// assert!(goods.query("colour = 'red'", ())?.with_present_fields().count().is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_present_fields(self) -> Self {
        Self { query: self.query.with_present_fields(), ..self }
    }

    /// By a field, from its smallest value on; after the fields by which it is ordered already.
    ///
    /// ```
    /// # use afield::Replica;
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?.json();
    /// # for (title, due) in [("Milk", 3), ("Bread", 1), ("Tea", 2)] {
    /// #     notes.insert(&json!({ "title": title, "due": due }))?;
    /// # }
    /// # let titles = |found: Vec<(afield::EntityId, serde_json::Value)>| -> Vec<String> {
    /// #     found.iter().map(|(_, note)| note["title"].as_str().unwrap_or_default().to_owned()).collect()
    /// # };
    /// assert_eq!(titles(notes.query("1 = 1", ())?.order_by("due").all()?), ["Bread", "Tea", "Milk"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn order_by(self, field: &str) -> Self {
        self.ordered(field, Direction::Ascending)
    }

    /// By a field, from its greatest value on; after the fields by which it is ordered already.
    ///
    /// ```
    /// # use afield::Replica;
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?.json();
    /// # for (title, due) in [("Milk", 3), ("Bread", 1), ("Tea", 2)] {
    /// #     notes.insert(&json!({ "title": title, "due": due }))?;
    /// # }
    /// # let titles = |found: Vec<(afield::EntityId, serde_json::Value)>| -> Vec<String> {
    /// #     found.iter().map(|(_, note)| note["title"].as_str().unwrap_or_default().to_owned()).collect()
    /// # };
    /// assert_eq!(titles(notes.query("1 = 1", ())?.order_by_desc("due").all()?), ["Milk", "Tea", "Bread"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn order_by_desc(self, field: &str) -> Self {
        self.ordered(field, Direction::Descending)
    }

    fn ordered(mut self, field: &str, direction: Direction) -> Self {
        self.order.push((field.to_owned(), direction));
        self
    }

    /// At most so many entities.
    ///
    /// ```
    /// # use afield::Replica;
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?.json();
    /// # for (title, due) in [("Milk", 3), ("Bread", 1), ("Tea", 2)] {
    /// #     notes.insert(&json!({ "title": title, "due": due }))?;
    /// # }
    /// # let titles = |found: Vec<(afield::EntityId, serde_json::Value)>| -> Vec<String> {
    /// #     found.iter().map(|(_, note)| note["title"].as_str().unwrap_or_default().to_owned()).collect()
    /// # };
    /// assert_eq!(titles(notes.query("1 = 1", ())?.order_by("due").limit(1).all()?), ["Bread"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn limit(self, limit: usize) -> Self {
        Self { query: self.query.limit(limit as u64), ..self }
    }

    /// Without the first ones.
    ///
    /// ```
    /// # use afield::Replica;
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?.json();
    /// # for (title, due) in [("Milk", 3), ("Bread", 1), ("Tea", 2)] {
    /// #     notes.insert(&json!({ "title": title, "due": due }))?;
    /// # }
    /// # let titles = |found: Vec<(afield::EntityId, serde_json::Value)>| -> Vec<String> {
    /// #     found.iter().map(|(_, note)| note["title"].as_str().unwrap_or_default().to_owned()).collect()
    /// # };
    /// assert_eq!(titles(notes.query("1 = 1", ())?.order_by("due").offset(1).limit(1).all()?), ["Tea"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn offset(self, offset: usize) -> Self {
        Self { query: self.query.offset(offset as u64), ..self }
    }

    /// How many steps of SQLite's machine it may take before it is ended: 1,000,000,000, some ten seconds, unless told otherwise.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use serde_json::json;
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?.json();
    /// notes.insert(&json!({ "numbers": (0..10_000).collect::<Vec<_>>() }))?;
    /// let typed = notes.query("contains(numbers, -1) OR contains(numbers, -2)", ())?;
    /// assert_eq!(typed.count()?, 0);
    /// let error = typed.steps_max(10_000).count().unwrap_err(); // too few for so long a list
    /// assert_eq!(error.code(), "query.too_much_work");
    /// # Ok(())
    /// # }
    /// ```
    pub fn steps_max(self, steps: u64) -> Self {
        Self { query: self.query.steps_max(steps), ..self }
    }

    /// The ids of the entities.
    ///
    /// ```
    /// # use afield::Replica;
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?.json();
    /// # for (title, due) in [("Milk", 3), ("Bread", 1), ("Tea", 2)] {
    /// #     notes.insert(&json!({ "title": title, "due": due }))?;
    /// # }
    /// assert_eq!(notes.query("due > ?", [1])?.ids()?.len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// A field is not known, the query takes too long, or the store could not be read.
    pub fn ids(&self) -> Result<Vec<EntityId>, QueryError> {
        Ok(self.matched()?.into_iter().map(|found| found.entity).collect())
    }

    /// The steps of SQLite's plan for the query: `USING INDEX query_…` is one that was declared.
    ///
    /// ```
    /// # use afield::Replica;
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let of = Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?;
    /// # let notes = of.json();
    /// # for (title, due) in [("Milk", 3), ("Bread", 1), ("Tea", 2)] {
    /// #     notes.insert(&json!({ "title": title, "due": due }))?;
    /// # }
    /// of.index(["due"])?;
    /// assert!(notes.query("due > ?", [1])?.plan()?.join("; ").contains("USING INDEX"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Query::ids`].
    pub fn plan(&self) -> Result<Vec<String>, QueryError> {
        Ok(self.reader.explain(&self.ready()?)?)
    }

    /// The query, after what was left stale of its collection has been projected.
    fn refreshed(&self) -> Result<afield_store::Query, QueryError> {
        let query = self.ready()?;
        if let Some(of) = &self.of {
            let (space, name) = &self.place;
            of.shared.refresh(*space, name)?;
        }
        Ok(query)
    }

    fn ready(&self) -> Result<afield_store::Query, QueryError> {
        let fields = self.order.iter().map(|(field, direction)| Ok((self.query.field(field)?, *direction)));
        let fields: Vec<_> = fields.collect::<Result<_, QueryError>>()?;
        Ok(fields.into_iter().fold(self.query.clone(), |query, (field, direction)| query.order_by(field, direction)))
    }

    fn matched(&self) -> Result<Vec<MatchedEntity>, QueryError> {
        let query = self.refreshed()?;
        Ok(self.reader.query(&query)?)
    }
}

impl<T: Hydrate + Reconcile + Field> Query<T> {
    /// The entities, and which of them could not be read.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use afield::{Replica, model};
    /// # let home = Replica::open_in_memory()?.create_space("Home")?;
    /// #[model]
    /// struct Task {
    ///     title: String,
    ///     done: bool,
    /// }
    ///
    /// let tasks = home.collection::<Task>("tasks")?;
    /// tasks.insert(&Task { title: "sow".into(), done: false })?;
    /// tasks.json().insert(&serde_json::json!({ "title": ["reap"], "done": false }))?; // of another shape
    /// let open = tasks.query("done = 0", ())?.all()?;
    /// assert_eq!(open.entities[0].1.title, "sow");
    /// assert_eq!((open.entities.len(), open.unreadable.len()), (1, 1));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Query::ids`].
    pub fn all(&self) -> Result<Listing<T>, QueryError> {
        let found = self.matched()?;
        match &self.of {
            Some(of) => typed(of, &found),
            None => Ok(Listing { entities: Vec::new(), unreadable: Vec::new() }),
        }
    }

    /// The entities now, and again whenever they are others or read otherwise. See [`LiveQuery`].
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use afield::{Replica, model};
    /// # let home = Replica::open_in_memory()?.create_space("Home")?;
    /// #[model]
    /// struct Task {
    ///     title: String,
    ///     done: bool,
    /// }
    ///
    /// let tasks = home.collection::<Task>("tasks")?;
    /// let mut open = tasks.query("done = 0", ())?.watch()?;
    /// assert_eq!(open.take().transpose()?.map(|tasks| tasks.entities.len()), Some(0), "the answer now");
    /// tasks.insert(&Task { title: "sow".into(), done: false })?;
    /// assert_eq!(open.take().transpose()?.map(|tasks| tasks.entities.len()), Some(1));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// What it is ordered by is no field.
    pub fn watch(&self) -> Result<LiveQuery<Listing<T>>, QueryError> {
        LiveQuery::of(self, true, typed::<T>)
    }
}

impl Query<AsJson> {
    /// The entities as JSON values.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use serde_json::json;
    /// # let tasks = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("tasks")?.json();
    /// let id = tasks.insert(&json!({ "title": "sow", "done": false }))?;
    /// tasks.insert(&json!({ "title": "rest", "done": true }))?;
    /// assert_eq!(tasks.query("done = 0", ())?.all()?, [(id, json!({ "title": "sow", "done": false }))]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Query::ids`].
    pub fn all(&self) -> Result<Vec<(EntityId, serde_json::Value)>, QueryError> {
        Ok(values(&self.matched()?, self.of.as_ref()))
    }

    /// The entities now, and again whenever they are others or read otherwise. See [`LiveQuery`].
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use serde_json::json;
    /// # let tasks = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("tasks")?.json();
    /// let mut open = tasks.query("done = 0", ())?.watch()?;
    /// assert_eq!(open.take().transpose()?, Some(vec![]), "the answer now");
    /// let id = tasks.insert(&json!({ "title": "sow", "done": false }))?;
    /// assert_eq!(open.take().transpose()?, Some(vec![(id, json!({ "title": "sow", "done": false }))]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// What it is ordered by is no field.
    pub fn watch(&self) -> Result<LiveQuery<Vec<(EntityId, serde_json::Value)>>, QueryError> {
        LiveQuery::of(self, false, |of, found| Ok(values(found, Some(of))))
    }
}

fn typed<T: Hydrate + Reconcile>(of: &Collection<()>, found: &[MatchedEntity]) -> Result<Listing<T>, QueryError> {
    let of = of.seen_as::<T>();
    Ok(Listing::of(found.iter().map(|found| (found.entity, of.read(found.entity))))?)
}

fn values(found: &[MatchedEntity], of: Option<&Collection<()>>) -> Vec<(EntityId, serde_json::Value)> {
    found.iter().map(|found| (found.entity, shown(&found.json, of))).collect()
}

/// A projection in the shape in which the collection is read.
fn shown(json: &str, of: Option<&Collection<()>>) -> serde_json::Value {
    let value = parse_projection(json);
    match of {
        Some(of) => of.shape.show_json(value),
        None => value,
    }
}

impl Shared {
    /// Projects what was left stale of a collection. What cannot be opened stays as it last was, as in lists.
    pub(crate) fn refresh(&self, space: SpaceId, name: &Name) -> Result<(), ReadError> {
        for entity in self.reader.stale_of(space, name)? {
            self.refresh_one(entity)?;
        }
        Ok(())
    }

    pub(crate) fn refresh_one(&self, entity: EntityId) -> Result<(), ReadError> {
        match self.driver.refresh_projection(entity, self.now()) {
            Err(error) if !error.is_of_this_entity_alone() => Err(error.into()),
            _ => Ok(()),
        }
    }
}
