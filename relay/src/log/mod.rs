//! The log of every space, and who may use it.
//!
//! [`Log`] is the seam between the relay's behaviour and its database. An implementation keeps the checks of *every*
//! answer in the transaction that makes the answer (invariants R3, R4, R6): whether the token is still good, whether
//! its user is a member, and whether the positions that the session was told still belong to this log.

pub mod accounts;
mod page;
mod quota;
mod sessions;
mod sqlite;
mod token;

pub(crate) use page::session_id;
pub use page::{PAGE_ROWS, PAGE_ROWS_MAX, Page, Part, SessionPlace};
pub use quota::Quotas;
pub use sessions::{SessionNote, SessionNotes, SpaceNote};
pub use sqlite::{
    Damage, DiskUse, EndedAccess, Fault, FaultPoint, InTheWay, Keeper, LogFigures, LogProblem, OpenLogError, Prepared,
    PurgeError, PurgedSpace, PurgedUser, Settled, SnapshotFault, SqliteLog, Task, Verified, VerifyError, WholeTasks,
    Work, WorkFault, verify,
};
pub(crate) use sqlite::{
    FileIdentity, LogHealth, MoreHealth, Space, bytes_to_copy, check_copy, copy_file, figures_of, fold, health,
    older_version, space_at,
};
pub(crate) use token::TOKEN_PREFIX;
pub use token::{Token, TokenHash};

use accounts::Role;

use afield_core::session::{
    AppendAnswer, AppendRequest, LogRun, OpenAnswer, OpenRequest, PageAnswer, PageRequest, ReadAnswer, ReadRequest,
};
use afield_core::{ChangeHash, DeviceId, Durable, EntityId, LogId, Now, Sequence, SpaceId};

/// What the relay's behaviour needs of its database.
pub trait Log: Send {
    /// Finds out whose token this is, and whether it is good in the hands of this device.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn authenticate(&mut self, token: &TokenHash, device: DeviceId, now: Now) -> Result<Authentication, LogError>;

    /// The same for a token that an app's backend signed, whose signature was checked: it is noted when it is shown first.
    ///
    /// Noting it is a commit that is synced to the disk by itself, for which everybody waits: once for each token, so about once a day for each
    /// device. It has to be durable before the device is let in, or a token could be revoked of which a crash leaves no trace.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn authenticate_signed(
        &mut self,
        token: &TokenHash,
        claims: &SignedClaims,
        device: DeviceId,
        now: Now,
    ) -> Result<Authentication, LogError>;

    /// What a principal may do now, naming so many of its spaces at most; `None` when its token has expired or was revoked.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn standing(&mut self, principal: Principal, spaces_max: usize, now: Now) -> Result<Option<Standing>, LogError>;

    /// Why a principal may do nothing any more; `None` while its token is good.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn ended(&mut self, principal: Principal, now: Now) -> Result<Option<Ended>, LogError>;

    /// Notes which devices were here, for whoever lists them.
    ///
    /// # Errors
    ///
    /// The storage failed; nothing was noted.
    fn note_devices(&mut self, seen: &[SeenDevice]) -> Result<(), LogError> {
        self.note_roster(seen, &SessionNotes::default())
    }

    /// The same, and what has changed of the sessions that are here, in one transaction.
    ///
    /// # Errors
    ///
    /// The storage failed; nothing was noted.
    fn note_roster(&mut self, seen: &[SeenDevice], sessions: &SessionNotes) -> Result<(), LogError>;

    /// Opens a space at a position. A space that is created gets `fresh` as the id of its log.
    ///
    /// Where the principal may not use the space, an invitation in the request that is good makes its user a member of it first, and is used up by that. A space that
    /// does not exist and one that the principal may not use are answered alike (invariant R6), and so is an invitation that is not good.
    ///
    /// # Errors
    ///
    /// The storage failed; nothing was created.
    fn open(
        &mut self,
        principal: Principal,
        request: &OpenRequest,
        fresh: LogId,
        now: Now,
    ) -> Result<Durable<OpenAnswer>, LogError>;

    /// Appends the chunks of many pushes in one transaction (invariants R1 and R3).
    ///
    /// # Errors
    ///
    /// The storage failed as a whole ([`LogError::is_fatal`]); nothing may be assumed to be appended, nor to be not. Any other
    /// failure is answered to the pushes whose doing it is.
    fn append(&mut self, requests: Vec<(Principal, AppendRequest)>, now: Now) -> Result<Durable<Appended>, LogError>;

    /// Reads on from a position, as much as fits one frame. What the request's filter leaves out is passed and not read; a
    /// run that passes something says so, and never passes a removed chunk without what replaced it (invariant R9).
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn read(&mut self, principal: Principal, request: &ReadRequest, now: Now) -> Result<Durable<ReadAnswer>, LogError>;

    /// Reads what is held of some entities, wherever their reader stands, as much as fits one frame.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn page(&mut self, principal: Principal, request: &PageRequest, now: Now) -> Result<Durable<PageAnswer>, LogError>;

    /// Finds the entity and the hash of the change at a position; `None` when there is none, or the principal may not use the
    /// space.
    ///
    /// What it finds says only which change a pushed one names, before that is checked by its hash and then as any other. Where
    /// finding it takes more than is `left` for the names of one push, it is not found.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn change_at(
        &mut self,
        principal: Principal,
        space: SpaceId,
        sequence: Sequence,
        left: &mut NamesLeft,
        now: Now,
    ) -> Result<Option<(EntityId, ChangeHash)>, LogError>;

    /// Whether something could be appended now: changes nothing, and makes that durable.
    ///
    /// # Errors
    ///
    /// Nothing could be appended, and why.
    fn check_writable(&mut self, now: Now) -> Result<(), LogError>;

    /// The next piece of work on the old part of a log that may be due: chunks are packed into segments, and those of an entity
    /// give way to a snapshot.
    ///
    /// [`Self::gather`] reads what it needs, [`Work::run`] does it without the log, in another thread where there is one, and
    /// [`Self::settle`] puts it in place. Whatever happens between them, the log reads the same before and after.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn next_task(&mut self) -> Result<Option<Task>, LogError>;

    /// Reads what a task needs; `None` when nothing is to be done.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn gather(&mut self, task: Task) -> Result<Option<Work>, LogError>;

    /// Puts in place what was prepared, in one transaction, unless the log is no longer as it was read.
    ///
    /// # Errors
    ///
    /// The storage failed; the log reads the same all the same.
    fn settle(&mut self, prepared: Prepared) -> Result<Durable<Settled>, LogError>;

    /// A number that changes whenever the storage was changed by anything but appends and opens through this value:
    /// an administrator's command, a restored backup.
    ///
    /// # Errors
    ///
    /// The storage failed.
    fn foreign_version(&mut self) -> Result<u64, LogError>;
}

/// How many segments are decoded for the names of one push, some milliseconds each, while everybody waits. A device names what is near
/// the end of what it has, which is a row, or was sent to it a moment ago.
const NAMED_SEGMENTS_MAX: u32 = 2;

/// What may still be done to find what a push names.
#[derive(Debug)]
pub struct NamesLeft {
    segments: u32,
}

impl Default for NamesLeft {
    fn default() -> Self {
        Self { segments: NAMED_SEGMENTS_MAX }
    }
}

impl NamesLeft {
    /// Takes the decoding of a segment; answers whether it was left.
    fn take_segment(&mut self) -> bool {
        let left = self.segments.checked_sub(1);
        self.segments = left.unwrap_or_default();
        left.is_some()
    }
}

/// What one transaction of appends did.
#[derive(Debug)]
pub struct Appended {
    /// The answers, in the order of the requests.
    pub answers: Vec<AppendAnswer>,
    /// What was appended, in order per space, each run small enough for one frame.
    pub runs: Vec<(SpaceId, LogRun)>,
}

/// On whose behalf a session acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Principal {
    /// The token, by its hash and not its row: a restored backup may give a row's number to another token. Absent when
    /// anyone may do everything.
    pub(crate) token: Option<TokenHash>,
    /// The row of the user.
    pub(crate) user: i64,
    /// Which device speaks: it may have been signed out while its token is still good for others.
    pub(crate) device: Option<DeviceId>,
}

impl Principal {
    /// Anyone at all, with every right: for a relay that was started without access control.
    pub const ANYONE: Self = Self { token: None, user: sqlite::DEFAULT_USER, device: None };
}

/// What a relay knows about a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// The token is good.
    Good(Principal),
    /// The token was good once.
    Ended(Ended),
    /// There is no such token.
    Unknown,
}

/// Why a token is good no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Its time is over.
    Expired,
    /// Somebody signed out the session, the device or everything of the user, or revoked the token.
    SignedOut,
    /// The user's account is closed.
    AccountClosed,
}

/// What an app's backend says in a token that it signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedClaims {
    /// Who signed it.
    pub issuer: String,
    /// Whose it is; with the issuer that names a user.
    pub subject: String,
    /// The spaces it is for, with a role each; absent for those that its user is a member of on this relay.
    pub spaces: Option<Vec<(SpaceId, Role)>>,
    /// Whether it may bring a space that was made offline to this relay: of those it names, one that it owns.
    pub may_create: bool,
    /// When it was signed, in milliseconds since the Unix epoch.
    pub issued_wall_ms: i64,
    /// When it expires, in milliseconds since the Unix epoch.
    pub expires_wall_ms: i64,
}

impl SignedClaims {
    /// The earliest moment at which it may have been signed: the clock of whoever signed it may be so far ahead. What was ended since is
    /// over (R7), and of the minute after a sign-out nobody can say whether it was signed before.
    pub(crate) fn signed_wall_ms(&self) -> i64 {
        self.issued_wall_ms.saturating_sub(crate::signed::CLOCK_SKEW_MAX_MS)
    }
}

/// A device that was here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenDevice {
    /// The row of its user.
    pub(crate) user: i64,
    /// Its id.
    pub(crate) device: DeviceId,
    /// What it signed in with.
    pub(crate) token: TokenHash,
    /// Where it came from.
    pub(crate) address: Option<String>,
    /// When, in milliseconds since the Unix epoch.
    pub(crate) seen_wall_ms: i64,
}

/// What a principal may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The name of its user; absent where anyone may do everything.
    pub user: Option<String>,
    /// The spaces it may use, as many as were asked for.
    pub spaces: Vec<SpaceId>,
    /// Whether it may create one.
    pub may_create: bool,
    /// When its token expires, in milliseconds since the Unix epoch.
    pub expires_wall_ms: Option<i64>,
}

/// Why the log could not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The disk has no room left.
    #[error("the disk that holds the log is full")]
    Full(#[source] rusqlite::Error),
    /// Less of the disk is free than has to be.
    #[error("less of the disk that holds the log is free than has to be")]
    Reserved,
    /// The file is damaged.
    #[error("the log's file is damaged")]
    Damaged(#[source] rusqlite::Error),
    /// What the file holds makes no sense, although the database can read it.
    #[error("the log's file is damaged: {0}")]
    Inconsistent(Inconsistency),
    /// The file may not be written.
    #[error("the log's file is read-only")]
    ReadOnly(#[source] rusqlite::Error),
    /// Another process holds the file for too long.
    #[error("another process holds the log's file")]
    Busy(#[source] rusqlite::Error),
    /// The storage failed in another way.
    #[error("the log's storage failed")]
    Storage(#[source] rusqlite::Error),
    /// The file could not be opened again after a failure.
    #[error("the log's file could not be opened again after a failure")]
    Reopen(#[source] Box<OpenLogError>),
    /// A test asked for this failure.
    #[error("a failure that a test injected")]
    Injected,
}

/// What makes no sense in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Inconsistency {
    /// A sequence below the head is not there.
    #[error("sequence {0} is missing")]
    Gap(u64),
    /// The number of a chunk's kind is unknown.
    #[error("the chunk at sequence {0} is of an unknown kind")]
    Kind(u64),
    /// The chain hash at a sequence does not follow from the row, and what it was cannot be found from the next.
    #[error("the chunk at sequence {0} does not fit the chain")]
    Chain(u64),
    /// The name of a collection does not parse.
    #[error("the name of a collection does not parse")]
    Collection,
    /// No two copies of the file's secret agree.
    #[error("the file's secret has decayed")]
    Secret,
}

impl LogError {
    /// Whether the failure concerns the rows that were asked for, and not the storage as a whole.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged(_) | Self::Inconsistent(_))
    }

    /// Whether nothing can be written now, while reads go on: what was asked for may go well later.
    pub fn takes_no_writes(&self) -> bool {
        matches!(self, Self::Full(_) | Self::Reserved | Self::ReadOnly(_) | Self::Busy(_))
    }

    /// Whether the storage failed as a whole, so that nothing it says can be relied on. Anything else is a refusal: of
    /// rows that are damaged, or of writes while reads go on.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Storage(_) | Self::Reopen(_) | Self::Injected)
    }
}

impl From<rusqlite::Error> for LogError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(error),
            // Every statement says what becomes of a row that is there already: a violation means that a table and its
            // index contradict each other.
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::ConstraintViolation) => {
                Self::Damaged(error)
            }
            Some(ErrorCode::ReadOnly) => Self::ReadOnly(error),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy(error),
            // A value of another type than its column has is what a flipped bit in a record's header looks like, and text
            // that is none what one in a name looks like.
            None if matches!(
                error,
                rusqlite::Error::InvalidColumnType(..)
                    | rusqlite::Error::Utf8Error(..)
                    | rusqlite::Error::FromSqlConversionFailure(..)
                    | rusqlite::Error::IntegralValueOutOfRange(..)
            ) =>
            {
                Self::Damaged(error)
            }
            _ => Self::Storage(error),
        }
    }
}
