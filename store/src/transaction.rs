//! The one kind of transaction that writes, and the helpers that read.

use crate::connection;
use crate::error::StoreError;
use crate::fault::{FaultPoint, Faults, SyncMoment};
use afield_core::Commit;
use rusqlite::{Connection, OptionalExtension, Params, Row, Transaction, TransactionBehavior};

/// A transaction of the store's writer, and the only implementation of [`Commit`] in this crate.
///
/// It remembers whether the storage failed in it, so that the store can refuse to go on (D10). Dropped, it rolls back.
pub(crate) struct WriteTransaction<'a> {
    inner: Option<Transaction<'a>>,
    faults: &'a mut Faults,
    statements: u32,
    failure: Option<Failure>,
}

/// How the storage failed in a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Failure {
    /// A rollback undoes it.
    Undone,
    /// What is on disk is not known.
    InDoubt,
}

impl<'a> WriteTransaction<'a> {
    /// Begins a transaction: an immediate one to write, a deferred one to read only, whose commit syncs nothing.
    pub(crate) fn begin(
        connection: &'a mut Connection,
        faults: &'a mut Faults,
        behavior: TransactionBehavior,
    ) -> Result<Self, StoreError> {
        let inner = connection.transaction_with_behavior(behavior)?;
        Ok(Self { inner: Some(inner), faults, statements: 0, failure: None })
    }

    /// How the storage failed in this transaction, where it did.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.failure
    }

    /// Runs one writing statement and says how many rows it changed.
    pub(crate) fn execute(&mut self, sql: &'static str, params: impl Params) -> Result<usize, StoreError> {
        self.statements = self.statements.saturating_add(1);
        let result = self
            .faults
            .at(FaultPoint::BeforeStatement(self.statements))
            .and_then(|()| Ok(self.connection().prepare_cached(sql)?.execute(params)?));
        self.note(result)
    }

    /// Runs one writing statement of which the text is made, such as of a table that is named by a number: made of nothing
    /// that was not checked.
    pub(crate) fn execute_made(&mut self, sql: &str, params: impl Params) -> Result<usize, StoreError> {
        self.statements = self.statements.saturating_add(1);
        let result = self
            .faults
            .at(FaultPoint::BeforeStatement(self.statements))
            .and_then(|()| Ok(self.connection().execute(sql, params)?));
        self.note(result)
    }

    /// Runs one writing statement that returns a row number.
    pub(crate) fn insert(&mut self, sql: &'static str, params: impl Params) -> Result<i64, StoreError> {
        self.statements = self.statements.saturating_add(1);
        let result = self
            .faults
            .at(FaultPoint::BeforeStatement(self.statements))
            .and_then(|()| Ok(self.connection().prepare_cached(sql)?.query_row(params, |row| row.get(0))?));
        self.note(result)
    }

    /// Reads within the transaction.
    pub(crate) fn read<T>(
        &mut self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let result = query(self.connection());
        self.note(result)
    }

    /// Reads at most one row within the transaction.
    pub(crate) fn row<T>(
        &mut self,
        sql: &'static str,
        params: impl Params,
        map: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        self.read(|connection| row(connection, sql, params, map))
    }

    fn connection(&self) -> &Connection {
        self.inner.as_ref().expect("the inner transaction is taken by the commit alone, after which nothing runs")
    }

    fn note<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &result {
            let failure = if error.is_undone_by_a_rollback() { Failure::Undone } else { Failure::InDoubt };
            self.failure = self.failure.max(Some(failure));
        }
        result
    }

    /// Ends a transaction on a connection that does not sync its commits.
    pub(crate) fn finish_unsynced(&mut self) -> Result<(), StoreError> {
        let result = self.commit_once(|_| {});
        self.note(result)
    }

    /// Whether SQLite syncs the commit that follows, by its own word; asked only where somebody wants to be told.
    fn is_synced(&self) -> Result<bool, StoreError> {
        Ok(self.faults.is_watched() && connection::is_synchronous(self.connection())?)
    }

    fn commit_once(&mut self, committed: impl FnOnce(&mut Faults)) -> Result<(), StoreError> {
        // Without a written statement there is nothing that a crash could lose, so no fault strikes either.
        let writes = self.statements > 0;
        if writes {
            self.faults.at(FaultPoint::BeforeCommit)?;
        }
        if let Some(inner) = self.inner.take() {
            inner.commit()?;
        }
        if writes {
            committed(self.faults);
            self.faults.at(FaultPoint::AfterCommit)?;
        }
        Ok(())
    }
}

impl Commit for WriteTransaction<'_> {
    type Error = StoreError;

    fn commit(&mut self) -> Result<(), StoreError> {
        let result = self.is_synced().and_then(|is_synced| {
            self.commit_once(|faults| {
                if is_synced {
                    faults.tell(SyncMoment::Synced);
                }
            })
        });
        self.note(result)
    }
}

/// Reads at most one row.
pub(crate) fn row<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    map: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, StoreError> {
    Ok(connection.prepare_cached(sql)?.query_row(params, map).optional()?)
}

/// Reads all rows.
pub(crate) fn rows<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    Ok(connection.prepare_cached(sql)?.query_map(params, map)?.collect::<Result<_, _>>()?)
}
