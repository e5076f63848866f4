//! What can go wrong with a device's disk.

use super::{Random, lock};
use afield_store::{Fault, FaultPoint};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// What can go wrong with a device's disk, in a thousand commits or statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskFaults {
    /// The process dies before a commit.
    pub crash_before_commit: u32,
    /// The process dies right after a commit, before anybody learns of it.
    pub crash_after_commit: u32,
    /// The disk is full before a commit.
    pub full: u32,
    /// The disk fails before a commit.
    pub io: u32,
    /// The disk is full or fails, or the process dies, before a statement that writes.
    pub at_statement: u32,
}

impl DiskFaults {
    /// A disk that works.
    pub const NONE: Self = Self { crash_before_commit: 0, crash_after_commit: 0, full: 0, io: 0, at_statement: 0 };
}

/// A device's disk, as far as its faults go.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    faults: Arc<Mutex<(DiskFaults, Random)>>,
    has_killed: Arc<AtomicBool>,
}

impl Disk {
    pub(super) fn new(random: Random) -> Self {
        Self { faults: Arc::new(Mutex::new((DiskFaults::NONE, random))), has_killed: Arc::default() }
    }

    pub(super) fn set(&self, faults: DiskFaults) {
        lock(&self.faults).0 = faults;
    }

    /// Whether a fault was the end of the process, which its store can only say by an error.
    pub(super) fn take_killed(&self) -> bool {
        self.has_killed.swap(false, Ordering::Relaxed)
    }

    /// Decides whether a fault strikes here.
    pub(super) fn strike(&self, point: FaultPoint) -> Option<Fault> {
        let (faults, random) = &mut *lock(&self.faults);
        let fault = match point {
            FaultPoint::BeforeStatement(_) if random.chance(faults.at_statement) => {
                Some([Fault::DiskFull, Fault::Io, Fault::Crash][random.below(3)])
            }
            FaultPoint::BeforeCommit if random.chance(faults.crash_before_commit) => Some(Fault::Crash),
            FaultPoint::BeforeCommit if random.chance(faults.full) => Some(Fault::DiskFull),
            FaultPoint::BeforeCommit if random.chance(faults.io) => Some(Fault::Io),
            FaultPoint::AfterCommit if random.chance(faults.crash_after_commit) => Some(Fault::Crash),
            _ => None,
        };
        if fault == Some(Fault::Crash) {
            self.has_killed.store(true, Ordering::Relaxed);
        }
        fault
    }
}
