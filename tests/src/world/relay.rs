//! The relay of a world: the real hub on the real log.

use super::log::{Sabotage, WorldLog};
use super::random::Random;
use afield_core::{Limits, Now, SessionId};
use afield_relay::hub::{Access, Hub, Output};
use afield_relay::log::{Fault, FaultPoint, Log, Prepared, Settled, SqliteLog, Task};
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

/// How much a relay does at once, and how long it is before it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayPace {
    /// The longest wait of pushes for the commit that they share, in milliseconds: the longer, the more a crash takes along.
    pub commit_delay_ms: u64,
    /// The most runs that are read for sessions that are behind before something else may happen.
    pub reads_max: usize,
    /// The longest time until it reads on, in milliseconds.
    pub read_delay_ms: u64,
    /// The most bytes of one run: with few of them a catch-up takes many frames.
    pub run_bytes_max: usize,
}

impl RelayPace {
    /// A relay that does everything at once.
    pub const PROMPT: Self =
        Self { commit_delay_ms: 0, reads_max: usize::MAX, read_delay_ms: 0, run_bytes_max: usize::MAX };
}

/// The relay's process, or what it left on disk.
pub(super) struct RelayNode {
    hub: Option<Hub<WorldLog>>,
    disk: Option<SqliteLog>,
    random: Random,
    sabotage: Option<Sabotage>,
    /// When the pushes that wait for a shared commit are committed.
    commit_at: Option<u64>,
    /// When it reads on for sessions that are behind.
    serve_at: Option<u64>,
    pub(super) pace: RelayPace,
    /// How often it works on the old part of its logs, in a thousand turns.
    pub(super) tidying: u32,
    /// Work that is done and not put in place yet.
    prepared: Option<Prepared>,
    /// What it tells devices in its next life.
    limits: Limits,
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
            serve_at: None,
            pace: RelayPace::PROMPT,
            tidying: 0,
            prepared: None,
            limits: Limits::DEFAULT,
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
        self.hub = Some(Hub::new(log, Access::Open, self.limits, self.random.fork()));
        true
    }

    /// Ends the process at once.
    pub(super) fn crash(&mut self) -> bool {
        self.is_dying.store(false, Ordering::Relaxed);
        let Some(hub) = self.hub.take() else { return false };
        self.disk = Some(hub.into_log().crash());
        self.prepared = None;
        (self.commit_at, self.serve_at) = (None, None);
        true
    }

    /// What it tells devices from its next start on.
    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Whether a fault of the disk has ended the process.
    pub(super) fn is_dying(&self) -> bool {
        self.is_dying.load(Ordering::Relaxed)
    }

    /// What the disk does from now on.
    pub(super) fn set_disk(&mut self, faults: RelayDiskFaults) {
        super::lock(&self.faults).0 = faults;
    }

    /// Whether its disk may fail.
    pub(super) fn may_fail(&self) -> bool {
        super::lock(&self.faults).0 != RelayDiskFaults::NONE
    }

    pub(super) fn heal(&mut self) {
        self.pace = RelayPace::PROMPT;
        self.set_disk(RelayDiskFaults::NONE);
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.commit_at.is_none() && self.serve_at.is_none()
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
        let delay = self.random.between(0, self.pace.commit_delay_ms);
        self.commit_at.get_or_insert(now.monotonic_ms + delay);
    }

    pub(super) fn disconnect(&mut self, session: SessionId) {
        if let Some(hub) = &mut self.hub {
            hub.disconnect(session);
        }
    }

    pub(super) fn next_at(&self) -> Option<u64> {
        let timeout = self.hub.as_ref().and_then(Hub::poll_timeout);
        [timeout, self.commit_at, self.serve_at].into_iter().flatten().min()
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
        self.serve(now);
        if self.tidying > 0 && self.random.chance(self.tidying) {
            self.tidy();
        }
    }

    /// Does one piece of work on the old part of the logs, or puts in place what was done earlier. It may fail as every commit
    /// may; the log then reads as before.
    fn tidy(&mut self) {
        let Some(hub) = &mut self.hub else { return };
        let log = hub.log_mut();
        if let Some(prepared) = self.prepared.take() {
            let _ = log.settle(prepared);
            return;
        }
        let Some(task) = any_task(log.honest(), &mut self.random) else { return };
        let Ok(Some(work)) = log.gather(task) else { return };
        let prepared = work.run();
        if self.random.chance(500) {
            self.prepared = Some(prepared);
        } else {
            let _ = log.settle(prepared);
        }
    }

    /// Lets snapshots stand for everything that they can.
    pub(super) fn compact(&mut self) {
        let Some(hub) = &mut self.hub else { return };
        let log = hub.log_mut().honest();
        for space in log.space_ids().expect("the log can be read") {
            let tasks = |log: &mut SqliteLog| log.whole_tasks(space).expect("the log can be read");
            let rows = tasks(log).map(|tasks| tasks.rows);
            finish(log, rows);
            let entities: Vec<_> = tasks(log).into_iter().flat_map(|tasks| tasks.entities).collect();
            for (_, snapshot, strip) in entities {
                finish(log, [snapshot, strip]);
            }
        }
    }

    /// How many snapshots were given to readers since it was started.
    pub(super) fn snapshots_given(&mut self) -> usize {
        self.hub.as_mut().map_or(0, |hub| hub.log_mut().snapshots_given)
    }

    /// Reads on for sessions that are behind, as far as the pace lets it. What was pushed is committed first, as in a turn
    /// of the server's thread.
    fn serve(&mut self, now: Now) {
        self.serve_at = None;
        let Some(hub) = self.hub.as_mut().filter(|_| self.commit_at.is_none()) else { return };
        let RelayPace { reads_max, read_delay_ms, run_bytes_max, .. } = self.pace;
        hub.log_mut().run_bytes_max = run_bytes_max;
        if reads_max == usize::MAX {
            while hub.serve(usize::MAX, now) {}
        } else if hub.serve(self.random.below(reads_max + 1), now) {
            self.serve_at = Some(now.monotonic_ms + self.random.between(1, read_delay_ms.max(1)));
        }
    }

    pub(super) fn poll_transmit(&mut self) -> Option<(SessionId, Output)> {
        self.hub.as_mut().and_then(Hub::poll_transmit)
    }

    pub(super) fn handle_sent(&mut self, session: SessionId, bytes: usize, now: Now) {
        let now = self.on_its_clock(now);
        if let Some(hub) = &mut self.hub {
            hub.handle_sent(session, bytes, now);
            self.serve(now);
        }
    }

    fn on_its_clock(&self, now: Now) -> Now {
        Now { wall_ms: now.wall_ms + self.clock_skew_ms, ..now }
    }
}

/// Does tasks until nothing is left of them, whatever that saves.
fn finish(log: &mut SqliteLog, tasks: impl IntoIterator<Item = Task>) {
    for task in tasks {
        while let Some(work) = log.gather(task.whatever_it_saves()).expect("the log can be read") {
            if let Settled::Failed(_) = log.settle(work.run()).expect("the log can be written").into_inner() {
                break;
            }
        }
    }
}

/// A task that could be done.
fn any_task(log: &mut SqliteLog, random: &mut Random) -> Option<Task> {
    let spaces = log.space_ids().ok().filter(|spaces| !spaces.is_empty())?;
    let space = *spaces.get(random.below(spaces.len()))?;
    let tasks = log.whole_tasks(space).ok()??;
    let mut all = vec![tasks.rows; 1 + tasks.entities.len()];
    all.extend(tasks.entities.into_iter().flat_map(|(_, snapshot, strip)| [snapshot, strip]));
    all.get(random.below(all.len())).map(|task| task.whatever_it_saves())
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
