//! The relay's real log, and the ways in which a broken one would lie.

mod disorder;

use crate::contents::LogContents;
use afield_core::session::{
    AppendRequest, LogRun, OpenAnswer, OpenRequest, PageAnswer, PageRequest, ReadAnswer, ReadRequest,
};
use afield_core::{ChangeHash, Cursor, DeviceId, Durable, EntityId, LogId, Now, Role, Sequence, SpaceId};
use afield_relay::log::{
    Appended, Authentication, Ended, Log, LogError, NamesLeft, Prepared, Principal, SeenDevice, SessionNotes, Settled,
    SignedClaims, SqliteLog, Standing, Task, TokenHash, Work,
};

/// A fault that a correct relay does not have: the simulator has to notice each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// Receipts go out before the commit is on disk (breaks R1): a crash takes the last commit back.
    ReceiptBeforeCommit,
    /// A position is believed without looking at its chain hash, whatever it is for (breaks R4).
    ChainNotChecked,
    /// Changes are logged and served one by one in the reverse of the order in which they came (breaks S5): dependencies
    /// come after what depends on them.
    WrongOrder,
}

/// The relay's log, with or without sabotage.
pub(super) struct WorldLog {
    inner: SqliteLog,
    sabotage: Option<Sabotage>,
    before_last_commit: Option<Vec<u8>>,
    /// Whether something may have been committed since the last look.
    is_changed: bool,
    /// The most bytes of one run; what the relay asks for counts where it is less.
    pub(super) run_bytes_max: usize,
    /// How many snapshots were given to readers.
    pub(super) snapshots_given: usize,
}

impl WorldLog {
    /// An honest log, or a broken one.
    pub(super) fn new(inner: SqliteLog, sabotage: Option<Sabotage>) -> Self {
        Self {
            inner,
            sabotage,
            before_last_commit: None,
            is_changed: true,
            run_bytes_max: usize::MAX,
            snapshots_given: 0,
        }
    }

    /// The log itself, without sabotage.
    pub(super) fn honest(&mut self) -> &mut SqliteLog {
        &mut self.inner
    }

    /// Whether something may have been committed since the last time this was asked.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.is_changed)
    }

    /// Replaces the database by an earlier copy, whatever sessions live.
    pub(super) fn restore(&mut self, snapshot: &[u8]) {
        self.before_last_commit = None;
        self.is_changed = true;
        self.inner.restore(snapshot).expect("a copy can be put back");
    }

    /// What is left after the process has died.
    pub(super) fn crash(mut self) -> SqliteLog {
        if let Some(before) = self.before_last_commit.take() {
            self.inner.restore(&before).expect("a copy can be put back");
        }
        SqliteLog::from_connection(self.inner.into_connection()).expect("what was committed opens again")
    }

    fn snapshot(&mut self) -> Vec<u8> {
        self.inner.snapshot().expect("an in-memory database can be copied")
    }

    /// The position in the present log that a position is taken for when its chain is not looked at.
    fn taken_for(&mut self, position: Cursor, space: SpaceId, now: Now) -> Cursor {
        let Some(contents) = LogContents::read(&mut self.inner, space, now) else { return position };
        let mut places = contents.places().map(|(cursor, _, _)| cursor);
        let found = places.find(|cursor| cursor.sequence == position.sequence);
        match found {
            Some(cursor) => cursor,
            None if position.sequence < contents.head().sequence => contents.start(),
            None => contents.head(),
        }
    }
}

impl Log for WorldLog {
    fn authenticate(&mut self, token: &TokenHash, device: DeviceId, now: Now) -> Result<Authentication, LogError> {
        self.inner.authenticate(token, device, now)
    }

    fn authenticate_signed(
        &mut self,
        token: &TokenHash,
        claims: &SignedClaims,
        device: DeviceId,
        now: Now,
    ) -> Result<Authentication, LogError> {
        self.is_changed = true;
        self.inner.authenticate_signed(token, claims, device, now)
    }

    fn standing(&mut self, principal: Principal, spaces_max: usize, now: Now) -> Result<Option<Standing>, LogError> {
        self.inner.standing(principal, spaces_max, now)
    }

    fn ended(&mut self, principal: Principal, now: Now) -> Result<Option<Ended>, LogError> {
        self.inner.ended(principal, now)
    }

    fn note_roster(&mut self, seen: &[SeenDevice], sessions: &SessionNotes) -> Result<(), LogError> {
        // Which sessions there are is of no state that a restore brings back.
        self.is_changed |= !seen.is_empty();
        self.inner.note_roster(seen, sessions)
    }

    fn open(
        &mut self,
        principal: Principal,
        request: &OpenRequest,
        fresh: LogId,
        now: Now,
    ) -> Result<Durable<OpenAnswer>, LogError> {
        self.is_changed = true;
        let answer = self.inner.open(principal, request, fresh, now)?;
        if self.sabotage == Some(Sabotage::ChainNotChecked)
            && let (OpenAnswer::Reset(_), Some(position)) = (answer.get(), request.cursor)
        {
            return Ok(answer.map(|_| OpenAnswer::Served { position, head: position.sequence, role: Role::Owner }));
        }
        Ok(answer)
    }

    fn append(
        &mut self,
        mut requests: Vec<(Principal, AppendRequest)>,
        now: Now,
    ) -> Result<Durable<Appended>, LogError> {
        self.is_changed = true;
        match self.sabotage {
            Some(Sabotage::ReceiptBeforeCommit) => self.before_last_commit = Some(self.snapshot()),
            Some(Sabotage::ChainNotChecked) => {
                for (_, request) in &mut requests {
                    request.told = self.taken_for(request.told, request.space, now);
                }
            }
            Some(Sabotage::WrongOrder) | None => {}
        }
        let appended = self.inner.append(requests, now)?;
        if self.sabotage == Some(Sabotage::WrongOrder) {
            return Ok(appended.map(|appended| disorder::reverse(&mut self.inner, appended)));
        }
        Ok(appended)
    }

    fn read(&mut self, principal: Principal, request: &ReadRequest, now: Now) -> Result<Durable<ReadAnswer>, LogError> {
        let bytes_max = if self.sabotage == Some(Sabotage::WrongOrder) { 1 } else { self.run_bytes_max };
        let request = &ReadRequest { bytes_max: request.bytes_max.min(bytes_max), ..request.clone() };
        let answer = self.inner.read(principal, request, now)?;
        if self.sabotage == Some(Sabotage::ChainNotChecked) && matches!(answer.get(), ReadAnswer::Reset(_)) {
            let position = self.taken_for(request.position, request.space, now);
            // The runs that it makes of this hold no snapshots.
            let believed = ReadRequest { position, told: position, snapshots: None, ..request.clone() };
            let answer = self.inner.read(principal, &believed, now)?;
            return Ok(answer.map(|answer| match answer {
                ReadAnswer::Run { run, role } => {
                    let run = LogRun::new(request.position, run.entries().to_vec()).within(run.head());
                    ReadAnswer::Run { run, role }
                }
                other => other,
            }));
        }
        if let ReadAnswer::Run { run, .. } = answer.get() {
            self.snapshots_given += run.snapshots().len();
        }
        Ok(answer)
    }

    fn page(&mut self, principal: Principal, request: &PageRequest, now: Now) -> Result<Durable<PageAnswer>, LogError> {
        let bytes_max = request.bytes_max.min(self.run_bytes_max);
        let answer = self.inner.page(principal, &PageRequest { bytes_max, ..request.clone() }, now)?;
        if self.sabotage == Some(Sabotage::ChainNotChecked) && matches!(answer.get(), PageAnswer::Reset(_)) {
            let position = self.taken_for(request.position, request.space, now);
            let believed = PageRequest { position, told: position, bytes_max, snapshots: None, ..request.clone() };
            return self.inner.page(principal, &believed, now);
        }
        Ok(answer)
    }

    fn change_at(
        &mut self,
        principal: Principal,
        space: SpaceId,
        sequence: Sequence,
        left: &mut NamesLeft,
        now: Now,
    ) -> Result<Option<(EntityId, ChangeHash)>, LogError> {
        self.inner.change_at(principal, space, sequence, left, now)
    }

    fn check_writable(&mut self, now: Now) -> Result<(), LogError> {
        self.inner.check_writable(now)
    }

    fn next_task(&mut self) -> Result<Option<Task>, LogError> {
        self.inner.next_task()
    }

    fn gather(&mut self, task: Task) -> Result<Option<Work>, LogError> {
        self.inner.gather(task)
    }

    fn settle(&mut self, prepared: Prepared) -> Result<Durable<Settled>, LogError> {
        self.is_changed = true;
        self.inner.settle(prepared)
    }

    fn foreign_version(&mut self) -> Result<u64, LogError> {
        self.inner.foreign_version()
    }
}
