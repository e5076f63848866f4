//! Why a query failed.

use crate::error::ReadError;
use afield_core::wire::Class;
use afield_store::{Position, QueryError as Refusal, StoreError};

/// A query, a search or a declaration failed.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let replica = afield::Replica::open_in_memory()?;
/// # let home = replica.create_space("Home")?;
/// use afield::{QueryError, store};
///
/// let tasks = home.collection::<()>("tasks")?.json();
/// let error = tasks.query("done = ", ()).map(|_| ()).unwrap_err();
/// assert!(matches!(error, QueryError::Refused(store::QueryError::Syntax { ends_early: true, .. })));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// What was asked is no query, names what there is not, or cannot be computed.
    #[error(transparent)]
    Refused(Refusal),
    /// What it would look at, or has found, could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Something was to be declared, or made anew, inside an edit or a transaction.
    #[error(
        "indexes and full text cannot be declared or made anew inside an edit or a transaction; do that before or after it"
    )]
    Nested,
}

impl QueryError {
    /// What would help.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?.json();
    /// let error = notes.query("due <", ()).unwrap_err();
    /// assert_eq!(error.class(), afield::Class::Permanent, "the same text never is a condition");
    /// # Ok(())
    /// # }
    /// ```
    pub fn class(&self) -> Class {
        match self {
            Self::Refused(error) => error.class(),
            Self::Read(error) => error.class(),
            Self::Nested => Class::Permanent,
        }
    }

    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?.json();
    /// assert_eq!(notes.query("due <", ()).unwrap_err().code(), "query.syntax");
    /// assert_eq!(notes.query("due < ?", ()).unwrap_err().code(), "query.parameters"); // the value is missing
    /// # Ok(())
    /// # }
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(error) => error.code(),
            Self::Read(error) => error.code(),
            Self::Nested => "query.nested",
        }
    }

    /// Where in the text of the query it is, where it is at one place.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let notes = afield::Replica::open_in_memory()?.create_space("Home")?.collection::<()>("notes")?.json();
    /// let error = notes.query("done AND upcase(title) = 'MILK'", ()).unwrap_err();
    /// let at = error.position().ok_or("it is at one place")?;
    /// assert_eq!((at.line, at.column), (1, 10), "where `upcase` stands: mark it");
    /// # Ok(())
    /// # }
    /// ```
    pub fn position(&self) -> Option<Position> {
        match self {
            Self::Refused(error) => error.position(),
            Self::Read(_) | Self::Nested => None,
        }
    }
}

impl From<Refusal> for QueryError {
    fn from(error: Refusal) -> Self {
        match error {
            Refusal::Store(error) => Self::Read(error.into()),
            other => Self::Refused(other),
        }
    }
}

impl From<StoreError> for QueryError {
    fn from(error: StoreError) -> Self {
        Self::Read(error.into())
    }
}
