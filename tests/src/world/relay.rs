//! The relay of a world: the real hub on the real log.

use super::log::{Sabotage, WorldLog};
use super::random::Random;
use afield_core::{Limits, Now, SessionId};
use afield_relay::hub::{Access, Hub, Output};
use afield_relay::log::{Log, SqliteLog};

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
}

impl RelayNode {
    pub(super) fn new(random: Random, sabotage: Option<Sabotage>) -> Self {
        let disk = SqliteLog::open_in_memory().expect("a log opens in memory");
        let mut node = Self { hub: None, disk: Some(disk), random, sabotage, commit_at: None, commit_delay_ms: 0 };
        node.start();
        node
    }

    pub(super) fn start(&mut self) -> bool {
        let Some(disk) = self.disk.take() else { return false };
        let log = WorldLog::new(disk, self.sabotage);
        self.hub = Some(Hub::new(log, Access::Open, Limits::DEFAULT, self.random.fork()));
        true
    }

    /// Ends the process at once.
    pub(super) fn crash(&mut self) -> bool {
        let Some(hub) = self.hub.take() else { return false };
        self.disk = Some(hub.into_log().crash());
        self.commit_at = None;
        true
    }

    pub(super) fn heal(&mut self) {
        self.commit_delay_ms = 0;
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.commit_at.is_none()
    }

    /// Runs `f` with the log, whether the process lives or not.
    pub(super) fn with_log<T>(&mut self, f: impl FnOnce(&mut dyn Log) -> T) -> T {
        match (&mut self.hub, &mut self.disk) {
            (Some(hub), _) => f(hub.log_mut()),
            (None, Some(disk)) => f(disk),
            (None, None) => unreachable!("a relay runs, or lies on disk"),
        }
    }

    /// A copy of the database.
    pub(super) fn snapshot(&mut self) -> Vec<u8> {
        match (&mut self.hub, &mut self.disk) {
            (Some(hub), _) => hub.log_mut().snapshot(),
            (None, Some(disk)) => disk.snapshot().expect("an in-memory database can be copied"),
            (None, None) => unreachable!("a relay runs, or lies on disk"),
        }
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
        self.hub.as_mut().map(|hub| hub.connect(None, now))
    }

    pub(super) fn handle_message(&mut self, session: SessionId, message: &[u8], now: Now) {
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
        if let Some(hub) = &mut self.hub {
            hub.handle_sent(session, bytes, now);
            while hub.serve(usize::MAX, now) {}
        }
    }
}
