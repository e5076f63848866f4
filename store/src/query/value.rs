//! What queries compare and answer.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use std::cmp::Ordering;

/// A place in the text of a query.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use afield_core::SpaceId;
/// let all = afield_store::Query::all(SpaceId::from_bytes([7; 16]), "tasks".parse()?);
/// let at = all.matching("done = 0\nAND soundex(title) = 'S'", &[]).unwrap_err().position().expect("it has a place");
/// assert_eq!((at.line, at.column), (2, 5));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// The line, from 1.
    pub line: u64,
    /// The column, from 1, in characters.
    pub column: u64,
}

/// A value that a query compares, or answers with.
///
/// ```
/// use afield_store::QueryValue;
///
/// let shown = |value: &QueryValue| match value {
///     QueryValue::Null => "–".to_owned(),
///     QueryValue::Integer(number) => number.to_string(),
///     QueryValue::Real(number) => format!("{number:.1}"),
///     QueryValue::Text(text) => text.clone(),
/// };
/// assert_eq!(shown(&QueryValue::Real(2.25)), "2.2");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum QueryValue {
    /// Null, and what is absent.
    Null,
    /// A whole number, a truth value (0 or 1), a counter, or a moment in milliseconds.
    Integer(i64),
    /// Any other number.
    Real(f64),
    /// A string, a text of any kind, bytes as hexadecimal digits, and what is a list or a map, as JSON.
    Text(String),
}

impl QueryValue {
    /// Compares as `ORDER BY` does: null, numbers, then text by its bytes.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Integer(one), Self::Integer(other)) => one.cmp(other),
            (Self::Real(one), Self::Real(other)) => one.partial_cmp(other).unwrap_or(Ordering::Equal),
            (Self::Integer(one), Self::Real(other)) => whole_and_real(*one, *other),
            (Self::Real(one), Self::Integer(other)) => whole_and_real(*other, *one).reverse(),
            (Self::Text(one), Self::Text(other)) => one.as_bytes().cmp(other.as_bytes()),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Integer(_) | Self::Real(_) => 1,
            Self::Text(_) => 2,
        }
    }
}

/// Compares without rounding the whole number, as SQLite does.
fn whole_and_real(whole: i64, real: f64) -> Ordering {
    // Every finite double of this size fits 128 bits; beyond it the sign alone decides.
    if real >= 9_223_372_036_854_775_808.0 {
        return Ordering::Less;
    }
    if real < -9_223_372_036_854_775_808.0 {
        return Ordering::Greater;
    }
    let floor = real.floor();
    whole.cmp(&(floor as i64)).then_with(|| floor.partial_cmp(&real).unwrap_or(Ordering::Equal))
}

impl ToSql for QueryValue {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

impl FromSql for QueryValue {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Null => Ok(Self::Null),
            ValueRef::Integer(number) => Ok(Self::Integer(number)),
            ValueRef::Real(number) => Ok(Self::Real(number)),
            ValueRef::Text(_) => value.as_str().map(|text| Self::Text(text.to_owned())),
            ValueRef::Blob(_) => Err(FromSqlError::InvalidType),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rusqlite::Connection;

    fn value() -> impl Strategy<Value = QueryValue> {
        let near = prop_oneof![any::<i64>(), Just(i64::MAX), Just(i64::MIN), Just(1 << 53), -3_i64..3];
        let real = prop_oneof![
            near.clone().prop_map(|number| number as f64),
            any::<f64>().prop_filter("SQLite has no NaN", |number| !number.is_nan()),
            (-30_i32..30).prop_map(|tenths| f64::from(tenths) / 10.0),
        ];
        prop_oneof![
            Just(QueryValue::Null),
            near.prop_map(QueryValue::Integer),
            real.prop_map(QueryValue::Real),
            "[a-cÄ\u{10000}]{0,2}".prop_map(QueryValue::Text),
        ]
    }

    proptest! {
        #[test]
        fn values_are_ordered_as_sqlite_orders_them(one in value(), other in value()) {
            let connection = Connection::open_in_memory().unwrap();
            connection.execute_batch("CREATE TABLE t (value ANY) STRICT").unwrap();
            for value in [&one, &other] {
                connection.execute("INSERT INTO t VALUES (?)", [value]).unwrap();
            }
            let sql = "SELECT count(DISTINCT value), (SELECT rowid FROM t ORDER BY value, rowid LIMIT 1) FROM t";
            let (distinct, first): (i64, i64) =
                connection.query_row(sql, [], |row| row.try_into()).unwrap();
            // Distinct values leave nulls out.
            let is_equal = one == QueryValue::Null && other == QueryValue::Null
                || distinct == 1 && one != QueryValue::Null && other != QueryValue::Null;
            let expected = match (is_equal, first) {
                (true, _) => Ordering::Equal,
                (false, 1) => Ordering::Less,
                (false, _) => Ordering::Greater,
            };
            prop_assert_eq!(one.order(&other), expected);
        }
    }
}
