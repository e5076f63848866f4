//! Why a query failed.

use crate::error::ReadError;
use afield_core::wire::Class;
use afield_store::{Position, QueryError as Refusal, StoreError};

/// A query, a search or a declaration failed.
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
    pub fn class(&self) -> Class {
        match self {
            Self::Refused(error) => error.class(),
            Self::Read(error) => error.class(),
            Self::Nested => Class::Permanent,
        }
    }

    /// A name that stays the same from version to version; that of the cause where this only passes it on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(error) => error.code(),
            Self::Read(error) => error.code(),
            Self::Nested => "query.nested",
        }
    }

    /// Where in the text of the query it is, where it is at one place.
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
