//! The values that a query's question marks stand for.

use crate::typed::{Bytes, Timestamp};
use afield_core::{DeviceId, EntityId, SpaceId};
use afield_store::QueryValue;
use std::time::SystemTime;

/// A value that a question mark can stand for: numbers, truth values, strings, moments, bytes, ids, and an `Option` of them.
///
/// A moment is compared in milliseconds, bytes as hexadecimal digits and an id as its text, as they stand in what entities read
/// as.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let home = afield::Replica::open_in_memory()?.create_space("Home")?;
/// use afield::{EntityId, model};
///
/// #[model]
/// struct Step {
///     parent: Option<EntityId>,
/// }
///
/// let steps = home.collection::<Step>("steps")?;
/// let first = steps.insert(&Step { parent: None })?;
/// let second = steps.insert(&Step { parent: Some(first) })?;
/// assert_eq!(steps.query("parent = ?", [first])?.ids()?, [second]);
/// # Ok(())
/// # }
/// ```
pub trait Param {
    /// The value as queries compare it.
    ///
    /// ```
    /// use afield::{Param, QueryValue, Timestamp};
    ///
    /// assert_eq!(true.to_query_value(), QueryValue::Integer(1));
    /// assert_eq!(Timestamp::from_millis(1_000).to_query_value(), QueryValue::Integer(1_000));
    /// assert_eq!(None::<i64>.to_query_value(), QueryValue::Null);
    /// ```
    fn to_query_value(&self) -> QueryValue;
}

/// The values of all question marks: an array, a slice or a `Vec` of values of one type, a tuple of up to eight of several
/// types, or `()` for none.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// let tasks = home.collection::<()>("tasks")?.json();
/// tasks.insert(&serde_json::json!({"title": "sow", "due": 3}))?;
/// assert_eq!(tasks.query("due < 5", ())?.count()?, 1);
/// assert_eq!(tasks.query("due BETWEEN ? AND ?", [1, 5])?.count()?, 1); // of one type
/// assert_eq!(tasks.query("title = ? AND due = ?", ("sow", 3))?.count()?, 1); // of several
/// # Ok(())
/// # }
/// ```
pub trait Params {
    /// The values, in the order of their question marks.
    ///
    /// ```
    /// use afield::{Params, QueryValue};
    ///
    /// assert_eq!(("sow", 3).to_query_values(), [QueryValue::Text("sow".into()), QueryValue::Integer(3)]);
    /// assert!(().to_query_values().is_empty());
    /// ```
    fn to_query_values(&self) -> Vec<QueryValue>;
}

macro_rules! params {
    ($($type:ty, $value:ident => $made:expr;)*) => {
        $(impl Param for $type {
            fn to_query_value(&self) -> QueryValue {
                let $value = self;
                $made
            }
        })*
    };
}

params! {
    bool, value => QueryValue::Integer(i64::from(*value));
    i8, value => QueryValue::Integer(i64::from(*value));
    i16, value => QueryValue::Integer(i64::from(*value));
    i32, value => QueryValue::Integer(i64::from(*value));
    i64, value => QueryValue::Integer(*value);
    isize, value => QueryValue::Integer(*value as i64);
    u8, value => QueryValue::Integer(i64::from(*value));
    u16, value => QueryValue::Integer(i64::from(*value));
    u32, value => QueryValue::Integer(i64::from(*value));
    // What no whole number of SQLite holds is a real number there, in documents too.
    u64, value => i64::try_from(*value).map_or(QueryValue::Real(*value as f64), QueryValue::Integer);
    usize, value => (*value as u64).to_query_value();
    f32, value => f64::from(*value).to_query_value();
    f64, value => if value.is_nan() { QueryValue::Null } else { QueryValue::Real(*value) };
    str, value => QueryValue::Text(value.to_owned());
    String, value => QueryValue::Text(value.clone());
    char, value => QueryValue::Text(value.to_string());
    Timestamp, value => QueryValue::Integer(value.as_millis());
    SystemTime, value => Timestamp::from(*value).to_query_value();
    Bytes, value => crate::Value::from(value.clone()).to_json().to_query_value();
    EntityId, value => QueryValue::Text(value.to_string());
    SpaceId, value => QueryValue::Text(value.to_string());
    DeviceId, value => QueryValue::Text(value.to_string());
    QueryValue, value => value.clone();
    serde_json::Value, value => match value {
        serde_json::Value::Null => QueryValue::Null,
        serde_json::Value::Bool(truth) => truth.to_query_value(),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => QueryValue::Integer(whole),
            (None, real) => real.to_query_value(),
        },
        serde_json::Value::String(text) => QueryValue::Text(text.clone()),
        // As a list or a map reads in a query.
        other => QueryValue::Text(other.to_string()),
    };
}

impl<P: Param + ?Sized> Param for &P {
    fn to_query_value(&self) -> QueryValue {
        (**self).to_query_value()
    }
}

impl<P: Param> Param for Option<P> {
    fn to_query_value(&self) -> QueryValue {
        self.as_ref().map_or(QueryValue::Null, Param::to_query_value)
    }
}

impl<P: Param> Params for [P] {
    fn to_query_values(&self) -> Vec<QueryValue> {
        self.iter().map(Param::to_query_value).collect()
    }
}

impl<P: Param, const N: usize> Params for [P; N] {
    fn to_query_values(&self) -> Vec<QueryValue> {
        self.as_slice().to_query_values()
    }
}

impl<P: Param> Params for Vec<P> {
    fn to_query_values(&self) -> Vec<QueryValue> {
        self.as_slice().to_query_values()
    }
}

impl<P: Params + ?Sized> Params for &P {
    fn to_query_values(&self) -> Vec<QueryValue> {
        (**self).to_query_values()
    }
}

impl Params for () {
    fn to_query_values(&self) -> Vec<QueryValue> {
        Vec::new()
    }
}

macro_rules! tuples {
    ($(($($name:ident)+))*) => {
        $(impl<$($name: Param),+> Params for ($($name,)+) {
            #[allow(non_snake_case)]
            fn to_query_values(&self) -> Vec<QueryValue> {
                let ($($name,)+) = self;
                vec![$($name.to_query_value()),+]
            }
        })*
    };
}

tuples! { (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) (A B C D E F G) (A B C D E F G H) }
