//! Why a query, an index or a search could not be made.

use super::value::Position;
use crate::error::StoreError;
use afield_core::SpaceId;
use afield_core::wire::Class;
use std::fmt;

/// A query was refused, or could not be answered.
///
/// Its texts name fields, as the query does, and nothing that stands in them.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use afield_core::SpaceId;
/// use afield_store::{Query, QueryError};
///
/// let all = Query::all(SpaceId::from_bytes([7; 16]), "tasks".parse()?);
/// let error = all.matching("done = ", &[]).unwrap_err();
/// assert!(matches!(error, QueryError::Syntax { ends_early: true, .. }));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The text is no expression.
    #[error("the query cannot be read at {at}{}", if *.ends_early { ": it ends where something has to follow" } else { "" })]
    Syntax {
        /// Where reading ended.
        at: Position,
        /// Whether it ends too early.
        ends_early: bool,
    },
    /// It holds something that a query may not: a subquery, a table, an assignment.
    #[error("{what} cannot stand in a query ({at})")]
    NotAllowed {
        /// What it is.
        what: &'static str,
        /// Where.
        at: Position,
    },
    /// No entity has such a field.
    #[error("there is no field \"{field}\" ({at}){}", meant(.nearest.as_deref()))]
    UnknownField {
        /// The field, as the query names it.
        field: String,
        /// The known field that it is nearest to.
        nearest: Option<String>,
        /// The known fields: those of the model, or without one those of the newest entities.
        known: Vec<String>,
        /// Where.
        at: Position,
    },
    /// Lenses make what stands in a field as a whole, which no query can look at.
    #[error(
        "lenses make what stands in \"{field}\" ({at}), and a query cannot look at that as a whole; name a field within it, such as address.city, or filter the values that were read"
    )]
    Reshaped {
        /// The field.
        field: String,
        /// Where.
        at: Position,
    },
    /// What has to be a field is none.
    #[error("a field is needed here, such as due or address.city ({at})")]
    NotAField {
        /// Where.
        at: Position,
    },
    /// A function that queries do not have.
    #[error("queries have no function \"{name}\" ({at}){}", meant(.nearest.as_deref()))]
    UnknownFunction {
        /// Its name.
        name: String,
        /// The function that it is nearest to.
        nearest: Option<&'static str>,
        /// Where.
        at: Position,
    },
    /// A function has too few arguments or too many.
    #[error("the function \"{name}\" takes {} ({at})", arguments(.least, .most))]
    Arguments {
        /// Its name.
        name: &'static str,
        /// At least so many.
        least: usize,
        /// At most so many.
        most: usize,
        /// Where.
        at: Position,
    },
    /// There are more or fewer values than question marks.
    #[error("the query has {}, and {} given", counted(*.expected, "question mark", "question marks"), counted(*.given, "value was", "values were"))]
    Parameters {
        /// Question marks.
        expected: usize,
        /// Values.
        given: usize,
    },
    /// The text is too long, or nests too deeply.
    #[error(
        "the query is too large: at most {bytes_max} bytes, {depth_max} levels, {operators_max} operators and {values_max} values"
    )]
    TooLarge {
        /// How many bytes there may be.
        bytes_max: usize,
        /// How many levels.
        depth_max: usize,
        /// How many operators and words of SQL.
        operators_max: usize,
        /// How many values.
        values_max: usize,
    },
    /// It took more work than it may, and was ended. An index may help.
    #[error(
        "the query took more than {steps} steps and was ended; declare an index of what it compares, or allow more"
    )]
    TooMuchWork {
        /// How many steps of SQLite's machine it was allowed.
        steps: u64,
    },
    /// A value cannot be computed, such as a sum beyond 64 bits, or an ESCAPE of more than one character.
    #[error("the query cannot be computed")]
    NotComputable(#[source] rusqlite::Error),
    /// No field of the collection is declared for full-text search.
    #[error("collection {collection} has no search fields; declare them first")]
    NotSearchable {
        /// The collection.
        collection: String,
    },
    /// The text is not in the language of full-text queries. It has no place, unlike [`Self::Syntax`]: FTS5 says what it stumbled over
    /// and not where, and that is content of the query, which no text of an error holds.
    #[error(
        "the full-text query cannot be read: words, \"phrases\", AND, OR, NOT, NEAR, prefix*; quote whatever else it holds"
    )]
    SearchSyntax,
    /// More is declared than a collection may have.
    #[error(
        "a collection has at most {indexes_max} indexes, of 1 to {fields_max} fields each, and as many search fields"
    )]
    TooMany {
        /// Indexes.
        indexes_max: usize,
        /// Fields.
        fields_max: usize,
    },
    /// The space is not on this device.
    #[error("the store has no space {space}")]
    UnknownSpace {
        /// The space.
        space: SpaceId,
    },
    /// The storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl QueryError {
    /// What to do about it.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use afield_core::SpaceId;
    /// use afield_core::wire::Class;
    ///
    /// let all = afield_store::Query::all(SpaceId::from_bytes([7; 16]), "tasks".parse()?);
    /// assert_eq!(all.matching("done = ", &[]).unwrap_err().class(), Class::Permanent); // until somebody mends it
    /// # Ok(())
    /// # }
    /// ```
    pub fn class(&self) -> Class {
        match self {
            Self::Store(error) => error.class(),
            _ => Class::Permanent,
        }
    }

    /// A name that stays the same from version to version.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use afield_core::SpaceId;
    /// let all = afield_store::Query::all(SpaceId::from_bytes([7; 16]), "tasks".parse()?);
    /// assert_eq!(all.matching("done = ?", &[]).unwrap_err().code(), "query.parameters");
    /// # Ok(())
    /// # }
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Syntax { .. } => "query.syntax",
            Self::NotAllowed { .. } => "query.not_allowed",
            Self::UnknownField { .. } => "query.unknown_field",
            Self::Reshaped { .. } => "query.reshaped",
            Self::NotAField { .. } => "query.not_a_field",
            Self::UnknownFunction { .. } => "query.unknown_function",
            Self::Arguments { .. } => "query.arguments",
            Self::Parameters { .. } => "query.parameters",
            Self::TooLarge { .. } => "query.too_large",
            Self::TooMuchWork { .. } => "query.too_much_work",
            Self::NotComputable(_) => "query.not_computable",
            Self::NotSearchable { .. } => "search.not_declared",
            Self::SearchSyntax => "search.syntax",
            Self::TooMany { .. } => "index.too_many",
            Self::UnknownSpace { .. } => "space.unknown",
            Self::Store(error) => error.code(),
        }
    }

    /// Where in the text of the query it is, where it is at one place.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use afield_core::SpaceId;
    /// let all = afield_store::Query::all(SpaceId::from_bytes([7; 16]), "tasks".parse()?);
    /// let error = all.matching("done = 0 AND soundex(title) = 'S'", &[]).unwrap_err();
    /// assert_eq!(error.position().map(|at| at.column), Some(14));
    /// # Ok(())
    /// # }
    /// ```
    pub fn position(&self) -> Option<Position> {
        match self {
            Self::Syntax { at, .. }
            | Self::NotAllowed { at, .. }
            | Self::UnknownField { at, .. }
            | Self::Reshaped { at, .. }
            | Self::NotAField { at }
            | Self::UnknownFunction { at, .. }
            | Self::Arguments { at, .. } => Some(*at),
            _ => None,
        }
    }
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn meant(nearest: Option<&str>) -> String {
    nearest.map(|nearest| format!("; did you mean \"{nearest}\"?")).unwrap_or_default()
}

fn arguments(least: &usize, most: &usize) -> String {
    match (least, most) {
        (1, 1) => "1 argument".to_owned(),
        (least, most) if least == most => format!("{least} arguments"),
        (least, most) => format!("{least} to {most} arguments"),
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}
