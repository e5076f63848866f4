//! Queries over what entities read as: conditions in SQL over the names of fields, orders, limits, counts and sums.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `compile`, `functions`, `field` | from the text of a condition to SQL; what may stand in it |
//! | `known` | whether the fields it names exist |
//! | `run` | how long it may take |
//! | `declared` | indexes |
//! | `search` | full text |
//! | `through` | fields of a newer version of the application, which sees documents through lenses |
//! | `value`, `error` | what is compared and answered, and why not |

mod compile;
mod declared;
mod error;
mod field;
mod functions;
mod known;
mod run;
mod search;
mod through;
mod value;

pub(crate) use declared::forget;
pub use declared::{INDEX_FIELDS_MAX, INDEXES_MAX};
pub use error::QueryError;
pub use field::FieldPath;
pub use search::{Mark, RANKED_MAX, Search, SearchHit, Snippet};
pub use value::{Position, QueryValue};

use crate::column;
use crate::error::StoreError;
use crate::reader::Reader;
use crate::transaction::row;
use afield_core::lens::Lenses;
use afield_core::{Collection, EntityId, SpaceId};
use compile::{Condition, ROW};
use field::quoted;
use rusqlite::{Connection, Row};
use std::cmp::Ordering;
use std::sync::Arc;

/// How many steps of SQLite's machine a query may take when nothing else is said: some ten seconds.
pub const QUERY_STEPS_MAX: u64 = 1_000_000_000;

/// A question about the entities of a collection that are not deleted.
#[derive(Debug, Clone)]
pub struct Query {
    space: SpaceId,
    collection: Collection,
    condition: Option<Condition>,
    order: Vec<(FieldPath, Direction)>,
    limit: Option<u64>,
    offset: u64,
    known: Option<Arc<[String]>>,
    lenses: Option<Arc<Lenses>>,
    is_strict: bool,
    steps_max: u64,
}

/// Which end comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Direction {
    /// Null first, then numbers from the smallest, then text from A.
    #[default]
    Ascending,
    /// The other way round.
    Descending,
}

/// What is computed over a field of all entities that a query matches. Null and absent values are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Aggregate {
    /// The sum; null where there is nothing to add.
    Sum,
    /// The mean; null where there is nothing.
    Average,
    /// The smallest.
    Minimum,
    /// The greatest.
    Maximum,
    /// How many have a value.
    Count,
}

/// An entity that a query matches.
#[derive(Debug, Clone, PartialEq)]
pub struct MatchedEntity {
    /// The entity.
    pub entity: EntityId,
    /// What it reads as, as JSON text.
    pub json: String,
    place: Place,
}

/// Where an entity stands among those that a query matches.
#[derive(Debug, Clone, PartialEq)]
struct Place {
    keys: Vec<QueryValue>,
    row: i64,
}

/// What has become of one entity with regard to a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Probe {
    /// It is part of what the query matches, wherever its limits are.
    Matches(MatchedEntity),
    /// It is not.
    Other,
    /// Its projection is older than its document: project it, and ask again.
    Stale,
}

impl Query {
    /// All entities of a collection that are not deleted, in the order of their making to the millisecond.
    pub fn all(space: SpaceId, collection: Collection) -> Self {
        let (condition, known, lenses, limit) = (None, None, None, None);
        let (order, steps_max) = (Vec::new(), QUERY_STEPS_MAX);
        Self { space, collection, condition, order, limit, offset: 0, known, lenses, is_strict: false, steps_max }
    }

    /// Names of fields are those of the newest version of these lenses, in the conditions that follow; see [`FieldPath::through`] for
    /// other fields.
    #[must_use]
    pub fn through(self, lenses: Option<Arc<Lenses>>) -> Self {
        Self { lenses, ..self }
    }

    /// Only those that meet a condition, whose question marks stand for these values. An empty text is met by all.
    ///
    /// # Errors
    ///
    /// What the text says is no condition, or there are more or fewer values than question marks.
    pub fn matching(self, text: &str, values: &[QueryValue]) -> Result<Self, QueryError> {
        let is_empty = text.trim().is_empty() && values.is_empty();
        let text = if text.trim().is_empty() { "TRUE" } else { text };
        let condition = compile::condition(text, values, self.lenses.as_deref())?;
        Ok(Self { condition: (!is_empty).then_some(condition), ..self })
    }

    /// Reads a field from text, of the newest version where it is asked through lenses.
    ///
    /// # Errors
    ///
    /// As [`FieldPath::parse`] and [`FieldPath::through`].
    pub fn field(&self, text: &str) -> Result<FieldPath, QueryError> {
        let field = FieldPath::parse(text)?;
        match &self.lenses {
            Some(lenses) => field.through(lenses),
            None => Ok(field),
        }
    }

    /// Only these fields are known: any other is an error.
    pub fn with_known_fields(self, known: Option<Arc<[String]>>) -> Self {
        Self { known, ..self }
    }

    /// Only fields that an entity has are known, where there are any entities.
    #[must_use]
    pub fn with_present_fields(self) -> Self {
        Self { is_strict: true, ..self }
    }

    /// By this field, after those by which it is ordered already.
    #[must_use]
    pub fn order_by(mut self, field: FieldPath, direction: Direction) -> Self {
        self.order.push((field, direction));
        self
    }

    /// At most so many.
    #[must_use]
    pub fn limit(self, limit: u64) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// Without the first ones.
    #[must_use]
    pub fn offset(self, offset: u64) -> Self {
        Self { offset, ..self }
    }

    /// How many steps of SQLite's machine it may take.
    #[must_use]
    pub fn steps_max(self, steps_max: u64) -> Self {
        Self { steps_max, ..self }
    }

    /// The most entities that it answers with.
    pub fn limit_of(&self) -> Option<u64> {
        self.limit
    }

    /// How many it passes over.
    pub fn offset_of(&self) -> u64 {
        self.offset
    }

    /// Compares the places of two entities in its order.
    pub fn compare(&self, one: &MatchedEntity, other: &MatchedEntity) -> Ordering {
        let keys = one.place.keys.iter().zip(&other.place.keys).zip(&self.order);
        let by_keys = keys.map(|((one, other), (_, direction))| direction.of(one.order(other)));
        let last = || match self.order.last() {
            None => one.entity.cmp(&other.entity),
            Some((_, direction)) => direction.of(one.place.row.cmp(&other.place.row)),
        };
        by_keys.fold(Ordering::Equal, Ordering::then).then_with(last)
    }

    fn fields(&self) -> impl Iterator<Item = &FieldPath> {
        let of_condition = self.condition.iter().flat_map(|condition| &condition.fields);
        of_condition.chain(self.order.iter().map(|(field, _)| field))
    }

    fn condition(&self) -> (&str, &[QueryValue]) {
        self.condition.as_ref().map_or(("TRUE", &[]), |condition| (&condition.sql, &condition.values))
    }

    /// The columns by which it orders, after a comma each.
    fn keys(&self) -> String {
        self.order.iter().map(|(field, _)| format!(", {}", field.sql(ROW))).collect()
    }

    fn ordered(&self) -> String {
        let Some((_, last)) = self.order.last() else { return "ORDER BY e.entity".to_owned() };
        let keys: String =
            self.order.iter().map(|(field, direction)| format!("{}{}, ", field.sql(ROW), direction.sql())).collect();
        // Those that are equal come in the order in which they came to this device, as an index has them.
        format!("ORDER BY {keys}p.entity_row{}", last.sql())
    }

    /// What the query selects, as SQL and its values but for the limit's.
    fn select(&self, plan: &Plan) -> String {
        let (condition, _) = self.condition();
        let (source, keys, ordered) = (plan.source(), self.keys(), self.ordered());
        format!("SELECT e.entity, p.json, p.entity_row{keys} {source} AND {condition} {ordered} LIMIT ? OFFSET ?")
    }

    fn bound(&self) -> Vec<QueryValue> {
        let (_, values) = self.condition();
        let number = |number: u64| QueryValue::Integer(i64::try_from(number).unwrap_or(i64::MAX));
        let limits = [self.limit.map_or(QueryValue::Integer(-1), number), number(self.offset)];
        values.iter().cloned().chain(limits).collect()
    }
}

impl Direction {
    fn sql(self) -> &'static str {
        match self {
            Self::Ascending => "",
            Self::Descending => " DESC",
        }
    }

    fn of(self, ordering: Ordering) -> Ordering {
        match self {
            Self::Ascending => ordering,
            Self::Descending => ordering.reverse(),
        }
    }
}

/// Along what a query reads the entities of a collection.
#[derive(Debug)]
struct Plan {
    space_row: i64,
    collection: String,
    /// The fields that indexes of the collection begin with, and all others that are declared.
    declared: Vec<FieldPath>,
}

impl Plan {
    /// `None` where the store does not have the space.
    fn of(connection: &Connection, query: &Query) -> Result<Option<Self>, QueryError> {
        let sql = "SELECT space_row FROM spaces WHERE space = ?";
        let space_row = row(connection, sql, [query.space.as_bytes()], |row| row.get(0))?;
        let Some(space_row) = space_row else { return Ok(None) };
        let declared = declared::fields(connection, space_row, &query.collection)?;
        Ok(Some(Self { space_row, collection: quoted(query.collection.as_str()), declared }))
    }

    fn has_declared(&self, field: &FieldPath) -> bool {
        let name = field.stored_first().unwrap_or_else(|| field.first());
        self.declared.iter().any(|declared| declared.first() == name)
    }

    /// Where rows come from, up to the first condition. The order of the two tables is fixed: SQLite has no figures by which
    /// to choose, and would read the whole list of entities where an index has what is asked for. Where indexes are
    /// declared, each of them holds the collection's entities and no others, so one of them is read whatever is asked.
    fn source(&self) -> String {
        let Self { space_row, collection, declared } = self;
        if declared.is_empty() {
            format!(
                "FROM entities AS e CROSS JOIN projections AS p ON p.entity_row = e.entity_row
                 WHERE e.space_row = {space_row} AND e.collection = {collection}
                 AND p.deleted = 0 AND p.json IS NOT NULL"
            )
        } else {
            format!(
                "FROM projections AS p CROSS JOIN entities AS e ON e.entity_row = p.entity_row
                 WHERE p.space_row = {space_row} AND p.collection = {collection}
                 AND p.deleted = 0 AND p.json IS NOT NULL"
            )
        }
    }

    /// The JSON of the collection's entities, or of its newest ones.
    fn rows(&self, newest: Option<usize>) -> String {
        let Self { space_row, collection, .. } = self;
        let newest = newest.map_or(String::new(), |newest| format!("ORDER BY e.entity DESC LIMIT {newest}"));
        format!(
            "SELECT p.json AS json FROM entities AS e CROSS JOIN projections AS p ON p.entity_row = e.entity_row
             WHERE e.space_row = {space_row} AND e.collection = {collection}
             AND p.deleted = 0 AND p.json IS NOT NULL {newest}"
        )
    }
}

impl Reader {
    /// The entities that a query matches.
    ///
    /// A projection that is stale is read as it is: project those of [`Reader::stale_of`] first.
    ///
    /// # Errors
    ///
    /// See [`QueryError`].
    pub fn query(&self, query: &Query) -> Result<Vec<MatchedEntity>, QueryError> {
        self.planned(query, Vec::new, |connection, plan| {
            known::check(connection, query, plan)?;
            let params = rusqlite::params_from_iter(query.bound());
            Ok(crate::transaction::rows(connection, &query.select(plan), params, |row| matched(query, row))?)
        })
    }

    /// How many entities a query matches, whatever its limit and its offset.
    ///
    /// # Errors
    ///
    /// See [`QueryError`].
    pub fn count(&self, query: &Query) -> Result<u64, QueryError> {
        self.planned(
            query,
            || 0,
            |connection, plan| {
                known::check(connection, query, plan)?;
                let (condition, values) = query.condition();
                let sql = format!("SELECT count(*) {} AND {condition}", plan.source());
                let count: i64 = run::one(connection, &sql, rusqlite::params_from_iter(values))?;
                Ok(u64::try_from(count).unwrap_or_default())
            },
        )
    }

    /// Computes something over a field of all entities that a query matches, whatever its limit and its offset.
    ///
    /// # Errors
    ///
    /// See [`QueryError`]; [`QueryError::NotComputable`] for a sum of whole numbers beyond 64 bits.
    pub fn aggregate(&self, query: &Query, of: Aggregate, field: &FieldPath) -> Result<QueryValue, QueryError> {
        let groups = self.groups(query, None, of, field)?;
        Ok(groups.into_iter().next().map_or(QueryValue::Null, |(_, value)| value))
    }

    /// Computes something over a field for each value of another one among the entities that a query matches, in the order of
    /// those values.
    ///
    /// # Errors
    ///
    /// As [`Reader::aggregate`].
    pub fn groups(
        &self,
        query: &Query,
        by: Option<&FieldPath>,
        of: Aggregate,
        field: &FieldPath,
    ) -> Result<Vec<(QueryValue, QueryValue)>, QueryError> {
        let checked = by
            .into_iter()
            .chain([field])
            .fold(query.clone(), |query, field| query.order_by(field.clone(), Direction::Ascending));
        self.planned(query, Vec::new, |connection, plan| {
            known::check(connection, &checked, plan)?;
            let (condition, values) = query.condition();
            let (source, value, group) = (plan.source(), field.sql(ROW), by.map(|by| by.sql(ROW)));
            let computed = of.sql(&value);
            let group = group.as_deref();
            let grouped = group.map_or(String::new(), |group| format!("GROUP BY {group} ORDER BY {group}"));
            let group = group.unwrap_or("NULL");
            let sql = format!("SELECT {group}, {computed} {source} AND {condition} {grouped}");
            let params = rusqlite::params_from_iter(values);
            Ok(crate::transaction::rows(connection, &sql, params, |row| Ok((row.get(0)?, row.get(1)?)))?)
        })
    }

    /// Whether one entity is among those that a query matches: a look at its row. One that is stale is not looked at unless
    /// that is as good as it gets.
    ///
    /// # Errors
    ///
    /// See [`QueryError`].
    pub fn probe(&self, query: &Query, entity: EntityId, stale_too: bool) -> Result<Probe, QueryError> {
        let (condition, values) = query.condition();
        let params = values.iter().cloned().map(rusqlite::types::Value::from);
        let of = [entity.as_bytes().to_vec(), query.space.as_bytes().to_vec()].map(rusqlite::types::Value::from);
        let params: Vec<_> = params.chain(of).chain([query.collection.as_str().to_owned().into()]).collect();
        let [before, after] = PROBE;
        let sql = format!("{before}{condition} IS TRUE{}{after}", query.keys());
        run::read(self, query.steps_max, |connection| {
            let found = row(connection, &sql, rusqlite::params_from_iter(params), |row| {
                let (is_stale, matches): (bool, bool) = (row.get(3)?, row.get(4)?);
                Ok(match (is_stale && !stale_too, matches) {
                    (true, _) => Probe::Stale,
                    (false, true) => Probe::Matches(matched_from(query, row, 5)?),
                    (false, false) => Probe::Other,
                })
            })?;
            Ok(found.unwrap_or(Probe::Other))
        })
    }

    /// The entities of a collection whose projection is older than their document.
    ///
    /// # Errors
    ///
    /// The storage failed.
    pub fn stale_of(&self, space: SpaceId, collection: &Collection) -> Result<Vec<EntityId>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT e.entity FROM projections AS p CROSS JOIN entities AS e USING (entity_row)
                       WHERE p.stale = 1 AND p.collection = ?
                       AND p.space_row = (SELECT space_row FROM spaces WHERE space = ?)";
            let of = (collection.as_str(), space.as_bytes());
            crate::transaction::rows(connection, sql, of, |row| column::entity(row, 0))
        })
    }

    /// The steps of SQLite's plan for a query, which name the indexes that it reads along.
    ///
    /// # Errors
    ///
    /// See [`QueryError`].
    pub fn explain(&self, query: &Query) -> Result<Vec<String>, QueryError> {
        self.planned(query, Vec::new, |connection, plan| {
            let sql = format!("EXPLAIN QUERY PLAN {}", query.select(plan));
            let params = rusqlite::params_from_iter(query.bound());
            Ok(crate::transaction::rows(connection, &sql, params, |row| row.get("detail"))?)
        })
    }

    fn planned<T>(
        &self,
        query: &Query,
        nothing: impl FnOnce() -> T,
        answer: impl FnOnce(&Connection, &Plan) -> Result<T, QueryError>,
    ) -> Result<T, QueryError> {
        run::read(self, query.steps_max, |connection| match Plan::of(connection, query)? {
            Some(plan) => answer(connection, &plan),
            None => Ok(nothing()),
        })
    }
}

/// What comes before and after the condition and the keys of a probe.
const PROBE: [&str; 2] = [
    "SELECT e.entity, p.json, p.entity_row, p.stale, (p.deleted = 0 AND p.json IS NOT NULL) IS TRUE AND ",
    " FROM entities AS e CROSS JOIN projections AS p ON p.entity_row = e.entity_row
     CROSS JOIN spaces AS s ON s.space_row = e.space_row WHERE e.entity = ? AND s.space = ? AND e.collection = ?",
];

impl Aggregate {
    fn sql(self, value: &str) -> String {
        match self {
            Self::Sum => format!("sum({value})"),
            Self::Average => format!("avg({value})"),
            Self::Minimum => format!("min({value})"),
            Self::Maximum => format!("max({value})"),
            Self::Count => format!("count({value})"),
        }
    }
}

fn matched(query: &Query, row: &Row<'_>) -> rusqlite::Result<MatchedEntity> {
    matched_from(query, row, 3)
}

fn matched_from(query: &Query, row: &Row<'_>, keys: usize) -> rusqlite::Result<MatchedEntity> {
    let keys = (keys..).take(query.order.len()).map(|column| row.get(column)).collect::<Result<_, _>>()?;
    Ok(MatchedEntity { entity: column::entity(row, 0)?, json: row.get(1)?, place: Place { keys, row: row.get(2)? } })
}

impl From<QueryValue> for rusqlite::types::Value {
    fn from(value: QueryValue) -> Self {
        match value {
            QueryValue::Null => Self::Null,
            QueryValue::Integer(number) => Self::Integer(number),
            QueryValue::Real(number) => Self::Real(number),
            QueryValue::Text(text) => Self::Text(text),
        }
    }
}

impl From<rusqlite::Error> for QueryError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}
