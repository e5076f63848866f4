//! Running queries: beside the writer, from one committed state, and not for ever.

use super::error::QueryError;
use crate::error::StoreError;
use crate::reader::Reader;
use rusqlite::{Connection, ErrorCode, Params};
use std::ffi::c_int;

/// How many steps of SQLite's machine pass between two looks at how many there were.
const STEPS_BETWEEN: c_int = 10_000;

/// Runs queries that see one committed state, and ends those that take more steps.
pub(super) fn read<T>(
    reader: &Reader,
    steps_max: u64,
    query: impl FnOnce(&Connection) -> Result<T, QueryError>,
) -> Result<T, QueryError> {
    let mut left = steps_max / STEPS_BETWEEN.unsigned_abs() as u64;
    let limit = move || {
        let is_over = left == 0;
        left = left.saturating_sub(1);
        is_over
    };
    let answer = reader.read_limited(
        |connection| connection.progress_handler(STEPS_BETWEEN, Some(limit)),
        |connection| Ok(query(connection)),
    )?;
    answer.map_err(|error| match error {
        QueryError::Store(error) => in_words(error, steps_max),
        other => other,
    })
}

/// What a failure of SQLite says about the query, where it is about the query.
fn in_words(error: StoreError, steps: u64) -> QueryError {
    match error {
        StoreError::Unexpected(error) => match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => QueryError::TooMuchWork { steps },
            Some(ErrorCode::Unknown | ErrorCode::TooBig) => QueryError::NotComputable(error),
            _ => QueryError::Store(StoreError::Unexpected(error)),
        },
        other => QueryError::Store(other),
    }
}

/// Reads one value.
pub(super) fn one<T: rusqlite::types::FromSql>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
) -> Result<T, StoreError> {
    Ok(connection.prepare_cached(sql)?.query_row(params, |row| row.get(0))?)
}
