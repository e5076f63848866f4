//! Faults that the simulator and the crash tests inject into writes.

use crate::error::StoreError;
use rusqlite::{Connection, ffi};

/// A moment of a writing transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultPoint {
    /// Before the statement with this number that writes, counted from 1 within the transaction.
    BeforeStatement(u32),
    /// Before the commit.
    BeforeCommit,
    /// After the commit and before the caller learns of it.
    AfterCommit,
}

/// What happens there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The disk is full.
    DiskFull,
    /// The operating system reports an error.
    Io,
    /// The process ends.
    Crash,
}

impl Fault {
    pub(crate) fn error(self) -> StoreError {
        match self {
            Self::DiskFull => StoreError::injected(ffi::SQLITE_FULL),
            Self::Io => StoreError::injected(ffi::SQLITE_IOERR_FSYNC),
            Self::Crash => StoreError::Crashed,
        }
    }
}

/// Decides at each point of each transaction whether a fault strikes.
pub type FaultHook = Box<dyn FnMut(FaultPoint) -> Option<Fault> + Send>;

/// A moment that matters to what a power failure would leave.
#[derive(Debug)]
pub enum SyncMoment<'a> {
    /// A transaction follows that is not synced; this is the database before it.
    BeforeUnsynced(&'a mut Connection),
    /// Everything committed so far is synced: told only where SQLite itself says that it syncs what it commits.
    Synced,
}

/// Sees what is synced and what is not.
pub type SyncHook = Box<dyn FnMut(SyncMoment<'_>) + Send>;

#[derive(Default)]
pub(crate) struct Faults {
    pub(crate) hook: Option<FaultHook>,
    pub(crate) syncs: Option<SyncHook>,
}

impl Faults {
    pub(crate) fn at(&mut self, point: FaultPoint) -> Result<(), StoreError> {
        match self.hook.as_mut().and_then(|hook| hook(point)) {
            // The transaction is on disk: whatever happens now, only the answer is lost.
            Some(_) if point == FaultPoint::AfterCommit => Err(StoreError::Crashed),
            Some(fault) => Err(fault.error()),
            None => Ok(()),
        }
    }

    /// Whether somebody wants to be told what is synced.
    pub(crate) fn is_watched(&self) -> bool {
        self.syncs.is_some()
    }

    pub(crate) fn tell(&mut self, moment: SyncMoment<'_>) {
        if let Some(watch) = &mut self.syncs {
            watch(moment);
        }
    }
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Faults").field("hook", &self.hook.is_some()).finish_non_exhaustive()
    }
}
