//! The log's transaction: the only way to a [`Durable`](afield_core::Durable) answer.

use crate::log::LogError;
use afield_core::Commit;
use rusqlite::{CachedStatement, Connection, Transaction, TransactionBehavior};
use std::fmt;

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Sees one state of the log; its commit touches no disk.
    Read,
    /// Holds the write lock from its start, so that what it checks still holds when it commits.
    Write,
}

/// Where a test may make a commit fail.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultPoint {
    /// Nothing is durable yet.
    BeforeCommit,
    /// Everything is durable, and nobody knows.
    AfterCommit,
}

/// How a test makes a commit fail.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The commit answers with an error.
    Error,
    /// The process dies: every later call fails, too, until the storage is opened again.
    Crash,
}

/// A test's choice for every commit.
type FaultHook = Box<dyn FnMut(FaultPoint) -> Option<Fault> + Send>;

#[derive(Default)]
pub(super) struct Faults {
    pub(super) hook: Option<FaultHook>,
    pub(super) write_transactions: u64,
    crashed: bool,
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults").field("crashed", &self.crashed).finish_non_exhaustive()
    }
}

impl Faults {
    fn at(&mut self, point: FaultPoint) -> Result<(), LogError> {
        match self.hook.as_mut().and_then(|hook| hook(point)) {
            None => Ok(()),
            Some(fault) => {
                self.crashed |= fault == Fault::Crash;
                Err(LogError::Injected)
            }
        }
    }
}

/// One transaction of the log; dropped without a commit it leaves nothing behind.
#[derive(Debug)]
pub(super) struct SqliteTransaction<'c> {
    /// Absent once it was committed, or the commit failed.
    inner: Option<Transaction<'c>>,
    faults: &'c mut Faults,
    purpose: Purpose,
}

impl<'c> SqliteTransaction<'c> {
    pub(super) fn begin(
        connection: &'c mut Connection,
        faults: &'c mut Faults,
        purpose: Purpose,
    ) -> Result<Self, LogError> {
        if faults.crashed {
            return Err(LogError::Injected);
        }
        let behavior = match purpose {
            Purpose::Read => TransactionBehavior::Deferred,
            Purpose::Write => TransactionBehavior::Immediate,
        };
        Ok(Self { inner: Some(connection.transaction_with_behavior(behavior)?), faults, purpose })
    }

    /// A statement, prepared once per connection.
    pub(super) fn statement(&self, sql: &str) -> Result<CachedStatement<'_>, LogError> {
        let inner = self.inner.as_ref().expect("a transaction is used only before its commit");
        Ok(inner.prepare_cached(sql)?)
    }

    /// The row number of the last insertion.
    pub(super) fn last_insert_rowid(&self) -> i64 {
        self.inner.as_ref().expect("a transaction is used only before its commit").last_insert_rowid()
    }
}

impl Commit for SqliteTransaction<'_> {
    type Error = LogError;

    fn commit(&mut self) -> Result<(), LogError> {
        let inner = self.inner.take().expect("a transaction is committed once");
        if self.purpose == Purpose::Read {
            return Ok(inner.commit()?);
        }
        self.faults.at(FaultPoint::BeforeCommit)?;
        inner.commit()?;
        self.faults.write_transactions += 1;
        self.faults.at(FaultPoint::AfterCommit)
    }
}
