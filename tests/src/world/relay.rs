//! The relay of a world: the real hub on the real log.

use super::log::{Sabotage, WorldLog};
use super::random::Random;
use afield_core::{Limits, Now, SessionId};
use afield_relay::hub::{Access, Hub, Output};
use afield_relay::log::{Fault, FaultPoint, SqliteLog};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// What can go wrong with the relay's disk, in a thousand commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayDiskFaults {
    /// The commit fails and leaves nothing.
    pub error_before_commit: u32,
    /// The commit fails, and everything is on disk all the same.
    pub error_after_commit: u32,
    /// The process dies, before the commit or right after it.
    pub crash: u32,
}

impl RelayDiskFaults {
    /// A disk that works.
    pub const NONE: Self = Self { error_before_commit: 0, error_after_commit: 0, crash: 0 };
}

/// The relay's process, or what it left on disk.
pub(super) struct RelayNode {
    hub: Option<Hub<WorldLog>>,
    disk: Option<SqliteLog>,
    random: Random,
    sabotage: Option<Sabotage>,
    /// When the pushes that wait for a shared commit are committed.
    commit_at: Option<u64>,
    /// The longest wait for a commit, in milliseconds: the longer, the more a crash takes along.
    pub(super) commit_delay_ms: u64,
    /// How far the relay's wall clock is off, in milliseconds.
    pub(super) clock_skew_ms: i64,
    faults: Arc<Mutex<(RelayDiskFaults, Random)>>,
    is_dying: Arc<AtomicBool>,
}

impl RelayNode {
    pub(super) fn new(mut random: Random, sabotage: Option<Sabotage>) -> Self {
        let disk = SqliteLog::open_in_memory().expect("a log opens in memory");
        let faults = Arc::new(Mutex::new((RelayDiskFaults::NONE, random.fork())));
        let mut node = Self {
            hub: None,
            disk: Some(disk),
            random,
            sabotage,
            commit_at: None,
            commit_delay_ms: 0,
            clock_skew_ms: 0,
            faults,
            is_dying: Arc::default(),
        };
        node.start();
        node
    }

    pub(super) fn start(&mut self) -> bool {
        let Some(mut disk) = self.disk.take() else { return false };
        let (faults, is_dying) = (self.faults.clone(), self.is_dying.clone());
        disk.inject_faults(move |point| disk_fault(&faults, &is_dying, point));
        let log = WorldLog::new(disk, self.sabotage);
        self.hub = Some(Hub::new(log, Access::Open, Limits::DEFAULT, self.random.fork()));
        true
    }

    /// Ends the process at once.
    pub(super) fn crash(&mut self) -> bool {
        self.is_dying.store(false, Ordering::Relaxed);
        let Some(hub) = self.hub.take() else { return false };
        self.disk = Some(hub.into_log().crash());
        self.commit_at = None;
        true
    }

    /// Whether a fault of the disk has ended the process.
    pub(super) fn is_dying(&self) -> bool {
        self.is_dying.load(Ordering::Relaxed)
    }

    /// What the disk does from now on.
    pub(super) fn set_disk(&mut self, faults: RelayDiskFaults) {
        super::lock(&self.faults).0 = faults;
    }

    pub(super) fn heal(&mut self) {
        self.commit_delay_ms = 0;
        self.set_disk(RelayDiskFaults::NONE);
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.commit_at.is_none()
    }

    /// The log on disk, whether the process lives or not, and without sabotage.
    pub(super) fn disk(&mut self) -> &mut SqliteLog {
        match (&mut self.hub, &mut self.disk) {
            (Some(hub), _) => hub.log_mut().honest(),
            (None, Some(disk)) => disk,
            (None, None) => unreachable!("a relay runs, or lies on disk"),
        }
    }

    /// Whether something may have been committed since the last time this was asked.
    pub(super) fn take_changed(&mut self) -> bool {
        self.hub.as_mut().is_some_and(|hub| hub.log_mut().take_changed())
    }

    /// A copy of the database.
    pub(super) fn snapshot(&mut self) -> Vec<u8> {
        self.disk().snapshot().expect("an in-memory database can be copied")
    }

    /// Puts an earlier copy back, while sessions live or while the process is dead.
    pub(super) fn restore(&mut self, snapshot: &[u8]) {
        match (&mut self.hub, &mut self.disk) {
            (Some(hub), _) => hub.log_mut().restore(snapshot),
            (None, Some(disk)) => disk.restore(snapshot).expect("a copy can be put back"),
            (None, None) => unreachable!("a relay runs, or lies on disk"),
        }
    }

    pub(super) fn connect(&mut self, now: Now) -> Option<SessionId> {
        let now = self.on_its_clock(now);
        self.hub.as_mut().map(|hub| hub.connect(None, now))
    }

    pub(super) fn handle_message(&mut self, session: SessionId, message: &[u8], now: Now) {
        let now = self.on_its_clock(now);
        let Some(hub) = &mut self.hub else { return };
        hub.handle_message(session, message, now);
        let delay = self.random.between(0, self.commit_delay_ms);
        self.commit_at.get_or_insert(now.monotonic_ms + delay);
    }

    pub(super) fn disconnect(&mut self, session: SessionId) {
        if let Some(hub) = &mut self.hub {
            hub.disconnect(session);
        }
    }

    pub(super) fn next_at(&self) -> Option<u64> {
        let timeout = self.hub.as_ref().and_then(Hub::poll_timeout);
        [timeout, self.commit_at].into_iter().flatten().min()
    }

    /// Does what is due.
    pub(super) fn handle_timeout(&mut self, now: Now) {
        let now = self.on_its_clock(now);
        let Some(hub) = &mut self.hub else { return };
        hub.handle_timeout(now);
        if self.commit_at.is_some_and(|at| at <= now.monotonic_ms) {
            self.commit_at = None;
            hub.commit(now);
        }
        while hub.serve(usize::MAX, now) {}
    }

    pub(super) fn poll_transmit(&mut self) -> Option<(SessionId, Output)> {
        self.hub.as_mut().and_then(Hub::poll_transmit)
    }

    pub(super) fn handle_sent(&mut self, session: SessionId, bytes: usize, now: Now) {
        let now = self.on_its_clock(now);
        if let Some(hub) = &mut self.hub {
            hub.handle_sent(session, bytes, now);
            while hub.serve(usize::MAX, now) {}
        }
    }

    fn on_its_clock(&self, now: Now) -> Now {
        Now { wall_ms: now.wall_ms + self.clock_skew_ms, ..now }
    }
}

fn disk_fault(faults: &Mutex<(RelayDiskFaults, Random)>, is_dying: &AtomicBool, point: FaultPoint) -> Option<Fault> {
    let (faults, random) = &mut *super::lock(faults);
    let error = match point {
        FaultPoint::BeforeCommit => faults.error_before_commit,
        FaultPoint::AfterCommit => faults.error_after_commit,
    };
    if random.chance(faults.crash) {
        is_dying.store(true, Ordering::Relaxed);
        return Some(Fault::Crash);
    }
    random.chance(error).then_some(Fault::Error)
}
