//! The relay's real log, and the ways in which a broken one would lie.

use afield_core::session::{AppendRequest, OpenAnswer, OpenRequest, ReadAnswer, ReadRequest};
use afield_core::{Durable, LogId, Now};
use afield_relay::log::{Appended, Authentication, Log, LogError, Principal, SqliteLog, Standing, TokenHash};

/// A fault that a correct relay does not have: the simulator has to notice each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// Receipts go out before the commit is on disk (breaks R1): a crash takes the last commit back.
    ReceiptBeforeCommit,
    /// A position is believed without looking at its chain hash (breaks R4).
    ChainNotChecked,
}

/// The relay's log, with or without sabotage.
pub(super) struct WorldLog {
    inner: SqliteLog,
    sabotage: Option<Sabotage>,
    before_last_commit: Option<Vec<u8>>,
}

impl WorldLog {
    /// An honest log, or a broken one.
    pub(super) fn new(inner: SqliteLog, sabotage: Option<Sabotage>) -> Self {
        Self { inner, sabotage, before_last_commit: None }
    }

    /// The database as it is on disk.
    pub(super) fn snapshot(&mut self) -> Vec<u8> {
        self.inner.snapshot().expect("an in-memory database can be copied")
    }

    /// Replaces the database by an earlier copy, whatever sessions live.
    pub(super) fn restore(&mut self, snapshot: &[u8]) {
        self.before_last_commit = None;
        self.inner.restore(snapshot).expect("a copy can be put back");
    }

    /// What is left after the process has died.
    pub(super) fn crash(mut self) -> SqliteLog {
        if let Some(before) = self.before_last_commit.take() {
            self.inner.restore(&before).expect("a copy can be put back");
        }
        self.inner
    }
}

impl Log for WorldLog {
    fn authenticate(&mut self, token: &TokenHash, now: Now) -> Result<Authentication, LogError> {
        self.inner.authenticate(token, now)
    }

    fn standing(&mut self, principal: Principal, now: Now) -> Result<Option<Standing>, LogError> {
        self.inner.standing(principal, now)
    }

    fn is_good(&mut self, principal: Principal, now: Now) -> Result<bool, LogError> {
        self.inner.is_good(principal, now)
    }

    fn open(
        &mut self,
        principal: Principal,
        request: &OpenRequest,
        fresh: LogId,
        now: Now,
    ) -> Result<Durable<OpenAnswer>, LogError> {
        let answer = self.inner.open(principal, request, fresh, now)?;
        if self.sabotage == Some(Sabotage::ChainNotChecked)
            && let (OpenAnswer::Reset(_), Some(position)) = (answer.get(), request.cursor)
        {
            return Ok(answer.map(|_| OpenAnswer::Served { position, head: position.sequence }));
        }
        Ok(answer)
    }

    fn append(&mut self, requests: Vec<(Principal, AppendRequest)>, now: Now) -> Result<Durable<Appended>, LogError> {
        if self.sabotage == Some(Sabotage::ReceiptBeforeCommit) {
            self.before_last_commit = Some(self.snapshot());
        }
        self.inner.append(requests, now)
    }

    fn read(&mut self, principal: Principal, request: &ReadRequest, now: Now) -> Result<Durable<ReadAnswer>, LogError> {
        self.inner.read(principal, request, now)
    }

    fn foreign_version(&mut self) -> Result<u64, LogError> {
        self.inner.foreign_version()
    }
}
