//! The schema and its versions.

use crate::error::OpenError;
use crate::error::StoreError;
use rusqlite::{Connection, TransactionBehavior};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The `application_id` of a store file: the letters `Afld`.
pub const APPLICATION_ID: i32 = 0x4166_6c64;

/// The steps that lead from an empty file to the present schema; step n makes version n. A step that has been released is
/// never changed.
const STEPS: &[&str] = &[concat!(
    include_str!("schema_1.sql"),
    include_str!("schema_1/conflicts.sql"),
    include_str!("schema_1/directions.sql"),
    include_str!("schema_1/erasures.sql"),
    include_str!("schema_1/guards.sql"),
    include_str!("schema_1/query.sql"),
    include_str!("schema_1/runs.sql"),
    include_str!("schema_1/strategies.sql"),
)];

/// The version of a store file's schema; 0 is an empty file.
///
/// ```
/// use afield_store::{OpenError, SchemaVersion};
///
/// let error = OpenError::Older { found: SchemaVersion::NEWEST, known: SchemaVersion::NEWEST };
/// assert!(error.to_string().contains(&format!("version {}", SchemaVersion::NEWEST)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SchemaVersion(i64);

impl SchemaVersion {
    /// The newest version that this library knows.
    ///
    /// ```
    /// assert!(afield_store::SchemaVersion::NEWEST.number() >= 1);
    /// ```
    pub const NEWEST: Self = Self(STEPS.len() as i64);

    /// The number of the version.
    ///
    /// ```
    /// use afield_store::SchemaVersion;
    ///
    /// assert_eq!(SchemaVersion::NEWEST.number().to_string(), SchemaVersion::NEWEST.to_string());
    /// ```
    pub const fn number(self) -> i64 {
        self.0
    }
}

impl fmt::Display for SchemaVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Looks at a file before anything is written beside it: another program's file gets no lock file of ours.
pub(crate) fn refuse_foreign_file(path: &Path) -> Result<(), OpenError> {
    const MAGIC: &[u8; 16] = b"SQLite format 3\0";
    let mut header = Vec::with_capacity(100);
    // A file that cannot be read here is reported by SQLite, which knows more about why.
    let Ok(file) = File::open(path) else { return Ok(()) };
    if file.take(100).read_to_end(&mut header).is_err() || header.is_empty() {
        return Ok(());
    }
    let is_sqlite = header.starts_with(MAGIC);
    // Bytes 68 to 71 of SQLite's file header are the application id; 0 is what a database without one has.
    let application = header.get(68..72).and_then(|bytes| bytes.try_into().ok()).map(i32::from_be_bytes);
    if is_sqlite && application.is_some_and(|id| id == APPLICATION_ID || id == 0) {
        Ok(())
    } else {
        Err(OpenError::NotAStore)
    }
}

/// Checks that the file is a store, or empty, and of no newer version.
pub(crate) fn version(connection: &Connection) -> Result<SchemaVersion, OpenError> {
    version_for(connection, STEPS)
}

/// Brings the file to the newest version.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), OpenError> {
    migrate_by(connection, STEPS)
}

fn version_for(connection: &Connection, steps: &[&str]) -> Result<SchemaVersion, OpenError> {
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let found = SchemaVersion(connection.pragma_query_value(None, "user_version", |row| row.get(0))?);
    let known = SchemaVersion(i64::try_from(steps.len()).unwrap_or(i64::MAX));
    let objects: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let is_empty = application == 0 && objects == 0 && found.0 == 0;
    if application != APPLICATION_ID && !is_empty {
        return Err(OpenError::NotAStore);
    }
    if found > known {
        return Err(OpenError::Newer { found, known });
    }
    Ok(found)
}

/// Runs each step that the file lacks in a transaction of its own, with the version number inside it: a crash leaves the
/// file at one version or the next.
fn migrate_by(connection: &mut Connection, steps: &[&str]) -> Result<(), OpenError> {
    let found = version_for(connection, steps)?;
    let done = usize::try_from(found.0).map_err(|_| OpenError::NotAStore)?;
    for (number, step) in (1_i64..).zip(steps).skip(done) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit().map_err(StoreError::from)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version_of(connection: &Connection) -> i64 {
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    }

    #[test]
    fn each_missing_step_runs_once_and_the_data_survives() {
        let mut connection = Connection::open_in_memory().unwrap();
        let first = "CREATE TABLE one (value INTEGER) STRICT";
        migrate_by(&mut connection, &[first]).unwrap();
        connection.execute("INSERT INTO one VALUES (7)", []).unwrap();

        let second = "ALTER TABLE one ADD COLUMN more INTEGER NOT NULL DEFAULT 8";
        migrate_by(&mut connection, &[first, second]).unwrap();
        migrate_by(&mut connection, &[first, second]).unwrap();
        let row: (i64, i64) = connection.query_row("SELECT * FROM one", [], |row| row.try_into()).unwrap();
        assert_eq!((row, version_of(&connection)), ((7, 8), 2));
    }

    #[test]
    fn a_step_that_fails_half_way_leaves_the_version_before_it() {
        let mut connection = Connection::open_in_memory().unwrap();
        let first = "CREATE TABLE one (value INTEGER) STRICT";
        let broken = "CREATE TABLE two (value INTEGER) STRICT; INSERT INTO missing VALUES (1)";
        assert!(migrate_by(&mut connection, &[first, broken]).is_err());
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
        assert_eq!((tables, version_of(&connection)), (1, 1));
        migrate_by(&mut connection, &[first, "CREATE TABLE two (value INTEGER) STRICT"]).unwrap();
        assert_eq!(version_of(&connection), 2);
    }

    #[test]
    fn a_newer_file_names_both_versions_and_a_foreign_one_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate_by(&mut connection, &["CREATE TABLE one (value INTEGER)", "CREATE TABLE two (value INTEGER)"]).unwrap();
        let error = migrate_by(&mut connection, &["CREATE TABLE one (value INTEGER)"]).unwrap_err();
        assert!(matches!(error, OpenError::Newer { found: SchemaVersion(2), known: SchemaVersion(1) }), "{error}");

        let mut foreign = Connection::open_in_memory().unwrap();
        foreign.execute("CREATE TABLE theirs (value INTEGER)", []).unwrap();
        assert!(matches!(migrate(&mut foreign), Err(OpenError::NotAStore)));
    }
}
