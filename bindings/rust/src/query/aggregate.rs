//! Counting, sums and groups.

use super::{Query, QueryError};
use afield_store::{Aggregate, QueryValue};

impl<T> Query<T> {
    /// How many entities meet the condition, whatever limit and offset are.
    ///
    /// ```
    /// # use afield::Replica;
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?.json();
    /// # for (title, due) in [("Milk", 3), ("Bread", 1), ("Tea", 2)] {
    /// #     notes.insert(&json!({ "title": title, "due": due }))?;
    /// # }
    /// assert_eq!(notes.query("due > ?", [1])?.count()?, 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Query::ids`].
    pub fn count(&self) -> Result<u64, QueryError> {
        let query = self.refreshed()?;
        Ok(self.reader.count(&query)?)
    }

    /// The sum of a field over all entities that meet the condition, as SQLite counts: null where none has anything there, and what is
    /// no number counts as 0.
    ///
    /// ```
    /// # use afield::{QueryValue, Replica};
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?.json();
    /// # for (title, due) in [("Milk", 3), ("Bread", 1), ("Tea", 2)] {
    /// #     notes.insert(&json!({ "title": title, "due": due }))?;
    /// # }
    /// assert_eq!(notes.query("1 = 1", ())?.sum("due")?, QueryValue::Integer(6));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Query::ids`], or the sum of whole numbers is beyond 64 bits.
    pub fn sum(&self, field: &str) -> Result<QueryValue, QueryError> {
        self.aggregate(Aggregate::Sum, field)
    }

    /// The mean of a field over all entities that meet the condition and have it.
    ///
    /// ```
    /// # use afield::{QueryValue, Replica};
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?.json();
    /// # for (title, due) in [("Milk", 3), ("Bread", 1), ("Tea", 2)] {
    /// #     notes.insert(&json!({ "title": title, "due": due }))?;
    /// # }
    /// assert_eq!(notes.query("1 = 1", ())?.average("due")?, QueryValue::Real(2.0));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Query::ids`].
    pub fn average(&self, field: &str) -> Result<QueryValue, QueryError> {
        self.aggregate(Aggregate::Average, field)
    }

    /// The smallest value of a field over all entities that meet the condition and have it.
    ///
    /// ```
    /// # use afield::{QueryValue, Replica};
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?.json();
    /// # for (title, due) in [("Milk", 3), ("Bread", 1), ("Tea", 2)] {
    /// #     notes.insert(&json!({ "title": title, "due": due }))?;
    /// # }
    /// assert_eq!(notes.query("1 = 1", ())?.min("due")?, QueryValue::Integer(1));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Query::ids`].
    pub fn min(&self, field: &str) -> Result<QueryValue, QueryError> {
        self.aggregate(Aggregate::Minimum, field)
    }

    /// The greatest value of a field over all entities that meet the condition and have it.
    ///
    /// ```
    /// # use afield::{QueryValue, Replica};
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?.json();
    /// # for (title, due) in [("Milk", 3), ("Bread", 1), ("Tea", 2)] {
    /// #     notes.insert(&json!({ "title": title, "due": due }))?;
    /// # }
    /// assert_eq!(notes.query("1 = 1", ())?.max("due")?, QueryValue::Integer(3));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Query::ids`].
    pub fn max(&self, field: &str) -> Result<QueryValue, QueryError> {
        self.aggregate(Aggregate::Maximum, field)
    }

    /// How many of the entities that meet the condition have each value of a field, in the order of the values.
    ///
    /// ```
    /// # use afield::Replica;
    /// # use serde_json::json;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?.json();
    /// # for (title, due) in [("Milk", 3), ("Bread", 1), ("Tea", 2)] {
    /// #     notes.insert(&json!({ "title": title, "due": due }))?;
    /// # }
    /// assert_eq!(notes.query("due < 3", ())?.count_by("title")?.len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Query::ids`].
    pub fn count_by(&self, field: &str) -> Result<Vec<(QueryValue, u64)>, QueryError> {
        let query = self.refreshed()?;
        let (by, any) = (query.field(field)?, query.field("_updated_ms")?);
        let groups = self.reader.groups(&query, Some(&by), Aggregate::Count, &any)?.into_iter();
        let count = |count| if let QueryValue::Integer(count) = count { count as u64 } else { 0 };
        Ok(groups.map(|(value, counted)| (value, count(counted))).collect())
    }

    fn aggregate(&self, of: Aggregate, field: &str) -> Result<QueryValue, QueryError> {
        let query = self.refreshed()?;
        Ok(self.reader.aggregate(&query, of, &query.field(field)?)?)
    }
}
