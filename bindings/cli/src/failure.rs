//! What can go wrong, with exit code, class and what to do next.

mod next;

use crate::demo::DemoFailure;
use crate::editor::EditorError;
use crate::fields::FieldsError;
use crate::hint::Hints;
use crate::output;
use crate::remembered::RememberedError;
use crate::text;
use afield::store::QueryError as Refusal;
use afield::{
    BackupError, Class, ConnectError, DirectionError, EditError, EntityError, EntityId, GuardError, HandOverError,
    OperationError, ParseInvitationError, PlanError, PurgeError, QueryError, ReadError, ReplicaError, ScheduleError,
    SpaceError, StoreError, SyncError, TransferError,
};
pub(crate) use next::{AFTER_CERTIFICATE, after_sign_in, is_of_certificate};
use std::io;
use std::path::PathBuf;

/// The code of the one error of a direction's storing that whoever typed it can do something about.
const TOO_MANY_DIRECTIONS: &str = "direction.too_many";

/// A command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("the command line was not understood: {0}")]
    Usage(String),
    #[error("there is no store at {}", .0.display())]
    NoStore(PathBuf),
    #[error("there is no store at {}", .path.display())]
    NoStoreToJoin { path: PathBuf, init: String },
    #[error("{} is a folder, and a store is a file", .0.display())]
    Folder(PathBuf),
    #[error("{} is empty: there is no store in it yet", .0.display())]
    Empty(PathBuf),
    #[error("could not open the store {}", .path.display())]
    Open { path: PathBuf, source: ReplicaError },
    #[error("the store could not be read")]
    Store(#[from] StoreError),
    #[error("this store has no space yet")]
    NoSpace,
    #[error("no space is called that; there is {}", .known.join(", "))]
    SpaceUnknown { known: Vec<String> },
    #[error("which space? There is {}", .known.join(", "))]
    SpaceAmbiguous { known: Vec<String> },
    #[error("there is a space {name:?} on this device already")]
    SpaceTaken { name: String },
    #[error("a space needs a name")]
    SpaceUnnamed,
    #[error(transparent)]
    Space(#[from] SpaceError),
    #[error("no entity of {collection} has an id that ends in that")]
    EntityUnknown { collection: String },
    #[error("the entity of {collection} whose id ends in that is deleted")]
    EntityDeleted { collection: String, id: EntityId },
    #[error("{count} entities of {collection} have an id that ends in that")]
    EntityAmbiguous { collection: String, count: usize },
    #[error("this entity has no such conflict")]
    NoConflict,
    #[error("that names {} conflicts: {}", .places.len(), .places.iter().map(|place| text::printable(place)).collect::<Vec<_>>().join(", "))]
    ConflictAmbiguous { places: Vec<String> },
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    #[error(transparent)]
    Direction(#[from] DirectionError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Edit(#[from] EditError),
    #[error("no change of this entity begins with that")]
    ChangeUnknown,
    #[error("several changes of this entity begin with that")]
    ChangeAmbiguous,
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("{source}")]
    BareWord { word: String, source: QueryError },
    #[error(transparent)]
    Purge(#[from] PurgeError),
    #[error(transparent)]
    Fields(#[from] FieldsError),
    #[error(transparent)]
    Editor(#[from] EditorError),
    #[error("{source}; what you wrote is kept in {}", .kept.display())]
    Kept { kept: PathBuf, source: Box<Failure> },
    #[error("{} failed", text::count(*.failed, "check", "checks"))]
    Unwell { failed: u64 },
    #[error("the store does not hold together in {}", text::count(*.violations, "place", "places"))]
    Damaged { violations: u64 },
    #[error("this store is not connected to a relay")]
    NotConnected,
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Remembered(#[from] RememberedError),
    #[error("the token could not be read from {}", .path.display())]
    TokenFile { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Invitation(#[from] ParseInvitationError),
    #[error("an invitation is as secret as a token, and others on this machine can see what is on a command line")]
    InvitationTyped,
    #[error("the invitation could not be read")]
    InvitationUnread(#[source] io::Error),
    #[error(transparent)]
    Sync(#[from] SyncError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Guard(#[from] GuardError),
    #[error("{} would go, and nobody has confirmed it", text::count(*.count, "deletion", "deletions"))]
    DeletionsUnconfirmed { count: u64 },
    #[error("other deletions wait to be confirmed by now than those of that token")]
    OtherDeletions,
    #[error("{source}{}; {relay} is remembered", if *.is_token_missing { ", and no token was given" } else { "" })]
    NotInStep { relay: String, is_token_missing: bool, source: SyncError },
    #[error("{source}; this store stays connected to {kept}")]
    NotReplaced { kept: String, source: SyncError },
    #[error("the relay refused changes of {}; they stay stored here: {}", text::count(*.entities, "entity", "entities"), .reasons.join("; "))]
    ChangesRefused { entities: u64, reasons: Vec<String>, class: Class },
    #[error("{}", .path.display())]
    File { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Transfer(#[from] TransferError),
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error(transparent)]
    HandOver(#[from] HandOverError),
    #[error("could not print")]
    Output(#[source] io::Error),
    #[error("the system gave no {what}")]
    System { what: &'static str, source: io::Error },
    #[error(transparent)]
    Demo(#[from] DemoFailure),
    #[error("interrupted")]
    Interrupted,
}

/// A failure, as a program reads it.
#[derive(Debug, serde::Serialize)]
struct Told<'f> {
    error: &'f str,
    code: &'static str,
    class: &'static str,
    next: &'f str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    skipped: Vec<Skipped<'f>>,
}

/// An entity that is missing from an export.
#[derive(Debug, serde::Serialize)]
struct Skipped<'f> {
    collection: &'f str,
    id: String,
}

/// What a failure means for whoever called: the exit code, and the word for it in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    Failed,
    Usage,
    NotFound,
    RelayUnreachable,
    SignInNeeded,
    StoreUnusable,
    Refused,
    UpgradeNeeded,
    Interrupted,
}

impl Code {
    fn number(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::RelayUnreachable => 4,
            Self::SignInNeeded => 5,
            Self::StoreUnusable => 6,
            Self::Refused => 7,
            Self::UpgradeNeeded => 8,
            Self::Interrupted => 130,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::NotFound => "not_found",
            Self::RelayUnreachable => "relay_unreachable",
            Self::SignInNeeded => "sign_in_needed",
            Self::StoreUnusable => "store_unusable",
            Self::Refused => "refused",
            Self::UpgradeNeeded => "upgrade_needed",
            Self::Interrupted => "interrupted",
        }
    }
}

impl From<EntityError> for Failure {
    fn from(error: EntityError) -> Self {
        Self::Read(error.into())
    }
}

impl Failure {
    /// An error of the file at `path`.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }

    /// The exit code of the process.
    pub(crate) fn exit_code(&self) -> u8 {
        self.code().number()
    }

    /// Says on stderr what happened and what to do next: two lines for a person, one object for a program.
    pub(crate) fn report(&self, is_json: bool, hints: &Hints) {
        let (error, next) = (self.in_words(), hints.in_text(&self.next()));
        if is_json {
            let (code, class) = (self.code().word(), word_of(self.class()));
            let told = Told { error: &error, code, class, next: &next, skipped: self.skipped() };
            return output::tell(&serde_json::to_string(&told).expect("strings are always JSON"));
        }
        output::tell_wrapped(&format!("{} {error}", console::style("afield:").red().bold().for_stderr()), 2);
        for Skipped { collection, id } in self.skipped() {
            output::tell(&format!("{} {collection} {id}", console::style("  skipped:").dim().for_stderr()));
        }
        output::tell_wrapped(&format!("  {} {next}", console::style("next:").dim().for_stderr()), 8);
    }

    fn skipped(&self) -> Vec<Skipped<'_>> {
        let Self::Transfer(TransferError::Incomplete { skipped, .. }) = self else { return Vec::new() };
        skipped.iter().map(|one| Skipped { collection: &one.collection, id: one.entity.to_string() }).collect()
    }

    fn code(&self) -> Code {
        match self {
            Self::Kept { source, .. } => source.code(),
            Self::Query(QueryError::Refused(Refusal::TooMuchWork { .. })) => Code::Failed,
            Self::Usage(_)
            | Self::InvitationTyped
            | Self::SpaceTaken { .. }
            | Self::SpaceUnnamed
            | Self::Invitation(_)
            | Self::BareWord { .. }
            | Self::Fields(_)
            | Self::Space(SpaceError::Collection(_))
            | Self::Edit(EditError::Operation(OperationError::NoSuchSide))
            | Self::Query(QueryError::Refused(_))
            | Self::Connect(ConnectError::Address(_) | ConnectError::Token(_)) => Code::Usage,
            Self::Schedule(ScheduleError::Store(_)) => Code::StoreUnusable,
            Self::Direction(error) if error.code() == TOO_MANY_DIRECTIONS => Code::Usage,
            Self::Direction(DirectionError::Store(_)) => Code::StoreUnusable,
            Self::Schedule(_) | Self::Direction(_) => Code::Usage,
            Self::NoStore(_)
            | Self::NoStoreToJoin { .. }
            | Self::Empty(_)
            | Self::NoSpace
            | Self::SpaceUnknown { .. }
            | Self::SpaceAmbiguous { .. }
            | Self::EntityUnknown { .. }
            | Self::EntityDeleted { .. }
            | Self::NoConflict
            | Self::EntityAmbiguous { .. }
            | Self::ChangeUnknown
            | Self::ChangeAmbiguous
            | Self::Read(ReadError::Point { .. })
            | Self::Edit(EditError::Point { .. } | EditError::Operation(OperationError::Decided))
            | Self::Space(SpaceError::Unknown(_))
            | Self::NotConnected => Code::NotFound,
            Self::Read(ReadError::Entity(error))
            | Self::Edit(EditError::Entity(error))
            | Self::Purge(PurgeError::Entity(error))
            | Self::Query(QueryError::Read(ReadError::Entity(error))) => of_entity(error),
            Self::Open { source, .. } if source.class() == Class::Upgrade => Code::UpgradeNeeded,
            Self::Backup(BackupError::Store(_))
            | Self::Open { .. }
            | Self::Folder(_)
            | Self::Store(_)
            | Self::Damaged { .. }
            | Self::Space(SpaceError::Store(_))
            | Self::Read(ReadError::Store(_))
            | Self::Edit(EditError::Store(_))
            | Self::Query(QueryError::Read(_))
            | Self::Transfer(TransferError::Incomplete { .. }) => Code::StoreUnusable,
            Self::HandOver(HandOverError::Store(_) | HandOverError::Driver(_)) => Code::StoreUnusable,
            Self::HandOver(HandOverError::File(source)) if source.kind() == io::ErrorKind::NotFound => Code::NotFound,
            Self::File { source, .. } if source.kind() == io::ErrorKind::NotFound => Code::NotFound,
            Self::TokenFile { source, .. } if source.kind() == io::ErrorKind::NotFound => Code::NotFound,
            Self::Sync(error) | Self::NotReplaced { source: error, .. } | Self::NotInStep { source: error, .. } => {
                match error.class() {
                    Class::Retry => Code::RelayUnreachable,
                    Class::SignIn => Code::SignInNeeded,
                    Class::Upgrade => Code::UpgradeNeeded,
                    Class::Quota | Class::Permanent => Code::Refused,
                }
            }
            Self::Plan(error) => match (error, error.class()) {
                (PlanError::Store(_), _) => Code::StoreUnusable,
                (PlanError::Refused { .. }, _) => Code::Refused,
                (_, Class::Retry) => Code::RelayUnreachable,
                (_, Class::SignIn) => Code::SignInNeeded,
                (_, Class::Upgrade) => Code::UpgradeNeeded,
                _ => Code::Failed,
            },
            Self::Guard(GuardError::Driver(_) | GuardError::Restore(_)) => Code::StoreUnusable,
            Self::Guard(_) => Code::Usage,
            Self::DeletionsUnconfirmed { .. } | Self::OtherDeletions => Code::Refused,
            Self::Purge(
                PurgeError::Unconfirmed { .. } | PurgeError::ReadOnly { .. } | PurgeError::OnlyComesIn { .. },
            )
            | Self::Edit(EditError::Unconfirmed { .. })
            | Self::ChangesRefused { .. } => Code::Refused,
            Self::Purge(PurgeError::Store(_)) => Code::StoreUnusable,
            Self::Interrupted => Code::Interrupted,
            Self::Demo(DemoFailure::Interrupted) => Code::Interrupted,
            _ => Code::Failed,
        }
    }

    fn class(&self) -> Class {
        match self {
            Self::Open { source, .. } => source.class(),
            Self::Store(error) => error.class(),
            Self::Space(error) => error.class(),
            Self::Purge(error) => error.class(),
            Self::Schedule(error) => error.class(),
            Self::Direction(error) => error.class(),
            Self::Connect(error) => error.class(),
            Self::Transfer(error) => error.class(),
            Self::Backup(error) => error.class(),
            Self::HandOver(error) => error.class(),
            Self::Read(error) => error.class(),
            Self::Edit(error) => error.class(),
            Self::Query(error) => error.class(),
            Self::Kept { source, .. } => source.class(),
            Self::Sync(error) | Self::NotReplaced { source: error, .. } | Self::NotInStep { source: error, .. } => {
                error.class()
            }
            Self::ChangesRefused { class, .. } => *class,
            Self::Plan(error) => error.class(),
            Self::Guard(error) => error.class(),
            Self::Interrupted => Class::Retry,
            _ => Class::Permanent,
        }
    }

    /// The error with its causes on one line, each said once.
    pub(crate) fn in_words(&self) -> String {
        let mut words = self.to_string();
        // What the parser of cron says is about rules that nobody here has set.
        if matches!(self, Self::Schedule(ScheduleError::Expression { .. })) {
            return words;
        }
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let text = error.to_string();
            // Some errors say their cause themselves.
            if !words.contains(&text) {
                words.push_str(": ");
                words.push_str(&text);
            }
            cause = error.source();
        }
        words.replace('\n', " ")
    }
}

/// What it means that an entity could not be used.
fn of_entity(error: &EntityError) -> Code {
    match error {
        EntityError::Missing { .. }
        | EntityError::OtherSpace { .. }
        | EntityError::OtherCollection { .. }
        | EntityError::Purged { .. }
        // Neither is wrong with the store: what was named is not here, or not yet.
        | EntityError::NotHere { .. }
        | EntityError::NotYet { .. } => Code::NotFound,
        EntityError::Damaged { .. } | EntityError::Store(_) | EntityError::Driver(_) => Code::StoreUnusable,
        _ => Code::Failed,
    }
}

/// The word for a class in JSON.
pub(crate) fn word_of(class: Class) -> &'static str {
    match class {
        Class::Retry => "retry",
        Class::SignIn => "sign_in",
        Class::Quota => "quota",
        Class::Upgrade => "upgrade",
        Class::Permanent => "permanent",
    }
}
