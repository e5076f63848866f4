//! What a person would do next.

use super::{Failure, TOO_MANY_DIRECTIONS};
use crate::remembered::RememberedError;
use crate::text;
use afield::store::QueryError as Refusal;
use afield::{
    BackupError, Class, ConnectError, DirectionError, EditError, EntityError, EntityId, GuardError, HandOverError,
    OpenError, OperationError, PlanError, PurgeError, QueryError, ReadError, ReplicaError, SandboxError, ScheduleError,
    SignInReason, SpaceError, SyncError, TransferError,
};
use std::io;
use std::path::Path;

/// How many fields are named of a collection that has many.
const FIELDS_SHOWN_MAX: usize = 20;

impl Failure {
    /// What a person would do next: something of every failure, so every one is named here, and none is left to the rest.
    pub(crate) fn next(&self) -> String {
        if self.class() == Class::Retry && is_of_certificate(&self.in_words()) {
            return AFTER_CERTIFICATE.to_owned();
        }
        let next = match self {
            Self::Usage(_) => "`afield --help` shows what there is",
            Self::NoStoreToJoin { init, .. } => {
                return format!("make one that has it with `{init}`, or name another with --store PATH");
            }
            Self::NoStore(_) => "make one with `afield init`, or name another with --store PATH",
            Self::Empty(_) => "make one there with `afield init`, or name another with --store PATH",
            Self::Folder(_) => "name a file in it, such as --store FOLDER/store.db",
            Self::Backup(BackupError::Exists) => "choose another name: nothing is overwritten",
            Self::Backup(BackupError::Place(_)) => "check that the folder exists, and can be written",
            Self::Backup(error) => after_damage(error.class()),
            Self::HandOver(HandOverError::File(error)) => return after_file(error.kind()).to_owned(),
            Self::HandOver(HandOverError::Exists) => "choose another name: nothing is overwritten",
            Self::HandOver(HandOverError::Content(_)) => {
                "nothing of it was taken: copy it here again, or repeat `afield hand-over FILE` on the other device"
            }
            Self::HandOver(error) => after_damage(error.class()),
            Self::Open { source, .. } => return after_open(source).to_owned(),
            Self::NoSpace => "make one with `afield space create NAME`, or join one with `afield space join SPACE-ID`",
            Self::SpaceUnknown { .. } | Self::Space(SpaceError::Unknown(_)) => {
                "`afield space list` shows the spaces of this device"
            }
            Self::SpaceTaken { .. } => "choose another name; `afield space list` shows the spaces of this device",
            Self::SpaceUnnamed => "name it, as in `afield space create Work`",
            Self::SpaceAmbiguous { .. } => "choose one with --space NAME-or-ID, or set AFIELD_SPACE",
            Self::EntityUnknown { collection } => {
                return format!("`afield list {collection}` shows what there is");
            }
            Self::EntityDeleted { collection, id } => {
                return format!("take it back with `afield restore {collection} {id}`");
            }
            Self::ChangeUnknown | Self::Read(ReadError::Point { .. }) | Self::Edit(EditError::Point { .. }) => {
                "`afield log` shows the changes of an entity"
            }
            Self::ChangeAmbiguous => "give more of the change's hash",
            Self::EntityAmbiguous { .. } => "give more of the id",
            Self::NoConflict | Self::Edit(EditError::Operation(OperationError::Decided)) => {
                "`afield conflicts` shows what there is"
            }
            Self::Edit(EditError::Operation(OperationError::NoSuchSide)) => "`afield conflicts` numbers the sides",
            Self::Query(error) => return after_query(error),
            Self::BareWord { word, source } => return after_bare_word(word, source),
            Self::ConflictAmbiguous { .. } => "name the field, or the conflict's id of `afield conflicts --json`",
            Self::Read(ReadError::Entity(error)) | Self::Edit(EditError::Entity(error)) => return after_entity(error),
            Self::Purge(PurgeError::Unconfirmed { .. }) => "repeat it with --yes to delete it for good",
            Self::Edit(EditError::Unconfirmed { .. }) => "`afield diff` shows what; repeat it with --yes to do so",
            Self::Purge(PurgeError::ReadOnly { .. }) => {
                "ask an owner of the space to purge it, or to let this device write"
            }
            Self::Purge(PurgeError::OnlyComesIn { collection, .. }) => {
                return format!(
                    "purge it on a device that sends it, or let it go both ways: `afield direction {collection} both`"
                );
            }
            Self::Purge(PurgeError::Entity(error)) => return after_entity(error),
            Self::Purge(PurgeError::Store(error)) => after_damage(error.class()),
            Self::Fields(_) => "`afield put --help` shows how fields are written",
            Self::Space(SpaceError::Collection(_)) => {
                "choose a name such as \"notes\"; `afield list` shows the collections that there are"
            }
            Self::Schedule(ScheduleError::Store(error)) => after_damage(error.class()),
            Self::Schedule(_) => "`afield schedule --help` has examples",
            Self::Direction(error) if error.code() == TOO_MANY_DIRECTIONS => {
                "`afield direction` lists them; let one go both ways again"
            }
            Self::Direction(DirectionError::Store(error)) => after_damage(error.class()),
            Self::Direction(_) => "`afield direction --help` has examples",
            Self::Damaged { .. } => {
                "keep a copy of the file; then `afield export`, which leaves out what is damaged, or join the spaces on a new store"
            }
            Self::Editor(error) => return error.next().to_owned(),
            Self::Kept { source, kept } => return after_keeping(source, kept),
            Self::Unwell { .. } => "do what stands below each of them, and run `afield doctor` again",
            Self::TokenFile { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "check the path; who runs the relay makes a token with `afield relay token create`"
            }
            Self::TokenFile { .. } => "check that you may read the file, or use AFIELD_TOKEN",
            Self::Remembered(error) => return after_remembered(error).to_owned(),
            Self::File { source, .. } => return after_file(source.kind()).to_owned(),
            Self::Output(_) => "check that there is room where the output goes",
            Self::System { .. } => "close other programs and try again",
            Self::Connect(ConnectError::Token(_)) => {
                "check that the token is complete and on one line, as `afield relay token create` prints it"
            }
            Self::InvitationTyped => "leave the invitation out: `afield space join --invitation` asks for it",
            Self::InvitationUnread(_) => "give it on standard input: `afield space join --invitation <FILE`",
            Self::Invitation(_) => {
                "copy the whole of it, one word from `afield_invitation_` to its end, and repeat `afield space join --invitation`"
            }
            Self::NotConnected => "connect it with `afield connect URL --token-file FILE`",
            Self::Connect(ConnectError::Address(_)) => {
                "an address looks like wss://relay.example.org; --ca FILE trusts a relay's own authority"
            }
            Self::Sync(SyncError::Held { deletions: 1, .. })
            | Self::NotInStep { source: SyncError::Held { deletions: 1, .. }, .. } => {
                "`afield confirm` shows it, and lets it go"
            }
            Self::Sync(SyncError::Held { .. }) | Self::NotInStep { source: SyncError::Held { .. }, .. } => {
                "`afield confirm` shows them, and lets them go"
            }
            Self::DeletionsUnconfirmed { count: 1 } => {
                "repeat it with --yes to let it go, or with --keep to restore the entity"
            }
            Self::DeletionsUnconfirmed { .. } => {
                "repeat it with --yes to let them go, or with --keep to restore the entities"
            }
            Self::OtherDeletions => "`afield confirm` shows what waits now",
            Self::Guard(GuardError::Driver(error)) => after_damage(error.class()),
            Self::Guard(_) => "`afield guard --help` has examples",
            Self::NotInStep { source, .. } if source.class() == Class::Retry => {
                "check the address and that the relay runs; `afield sync` tries it again"
            }
            Self::NotInStep { source, .. } => return after_sync(source).to_owned(),
            Self::Sync(error) | Self::NotReplaced { source: error, .. } => return after_sync(error).to_owned(),
            Self::Plan(PlanError::Store(error)) => after_damage(error.class()),
            Self::Plan(PlanError::Half { source: SandboxError::Copy(_) | SandboxError::Place(_), .. }) => {
                "make room beside the store for a copy of it, and check that its folder can be written"
            }
            Self::Plan(error) => return after_class(error.class()).to_owned(),
            Self::Space(SpaceError::Unsent { changes: 1, .. }) => {
                "send it with `afield sync`, or give it up for good with --discard"
            }
            Self::Space(SpaceError::Unsent { .. }) => {
                "send them with `afield sync`, or give them up for good with --discard"
            }
            Self::Space(SpaceError::OnlyCopy { .. }) => {
                "keep a copy with `afield export`; a sync of an owner's device brings the space back where the relay has lost it; --discard gives \
                 up what is here for good"
            }
            Self::ChangesRefused { class: Class::Quota, .. } => {
                "ask who runs the relay for more room, then `afield sync`; nothing stored here is lost"
            }
            Self::ChangesRefused { .. } => {
                "`afield status` shows which space; export what matters, or ask who runs the relay"
            }
            Self::Transfer(TransferError::Edit { source: EditError::Entity(error), .. }) => return after_entity(error),
            Self::Transfer(TransferError::Edit { source: EditError::Store(error), .. }) => match error.class() {
                Class::Quota => {
                    "make room on the disk and import the file again: what is there already does not change"
                }
                _ => "import the file again: what is there already does not change",
            },
            Self::Transfer(TransferError::Edit { source, .. })
                if source.is_too_large() || source.has_too_large_value() =>
            {
                "one value of that line is larger than a change may be: write a string as {\"$text\": \"…\"}, or leave it out"
            }
            Self::Transfer(TransferError::Line { .. } | TransferError::Edit { .. }) => {
                "correct that line and import the file again: what is there already does not change"
            }
            Self::Transfer(TransferError::Io(error)) => return after_file(error.kind()).to_owned(),
            Self::Transfer(TransferError::Read(ReadError::Entity(error))) => return after_entity(error),
            Self::Transfer(TransferError::Store(error)) => after_damage(error.class()),
            Self::Transfer(TransferError::Incomplete { .. }) => {
                "keep the export; another device may still hold these entities: nothing here was deleted"
            }
            Self::Store(error) => after_damage(error.class()),
            Self::Space(SpaceError::Store(error)) => after_damage(error.class()),
            Self::Read(ReadError::Store(error)) => after_damage(error.class()),
            Self::Edit(EditError::Store(error)) if error.class() == Class::Quota => {
                "make room on the disk and try again"
            }
            Self::Edit(EditError::Store(_)) => {
                "look whether it is there before you repeat it; `afield doctor` looks for the cause"
            }
            Self::Edit(error) if error.is_too_large() || error.has_too_large_value() => {
                "write less at once; a long string can be a text: body~=VALUE, or {\"$text\": \"…\"} in JSON"
            }
            Self::Edit(_) => "`afield put --help` shows how values are written",
            Self::Read(error) => after_reading(error.class()),
            Self::Purge(error) => after_reading(error.class()),
            Self::Space(error) => after_reading(error.class()),
            Self::Transfer(error) => after_reading(error.class()),
            Self::Connect(_) => "close other programs and try again",
            Self::Interrupted => "nothing is left half done: repeat it when you like",
            Self::Demo(error) => error.next(),
        };
        next.to_owned()
    }
}

fn after_open(error: &ReplicaError) -> &'static str {
    let ReplicaError::Open(error) = error else { return after_damage(error.class()) };
    match error {
        OpenError::Locked { .. } => "close the other program, or wait longer with --wait SECONDS",
        OpenError::NotAStore => "the file is left as it is: name another with --store PATH",
        OpenError::Newer { .. } => "install the newest afield: this file was written by a newer one",
        OpenError::SqliteTooOld { .. } => {
            "install the newest afield, or whatever brings a newer SQLite to this machine"
        }
        OpenError::Older { .. } => "bring the file to this version's form: `afield space list` does, like any command",
        OpenError::ReadOnly => "make the file and its folder writable, or name another with --store PATH",
        OpenError::Folder(_) => "check that the folder exists and can be written",
        error => after_damage(error.class()),
    }
}

fn after_query(error: &QueryError) -> String {
    let refusal = match error {
        QueryError::Refused(refusal) => refusal,
        QueryError::Read(ReadError::Entity(error)) => return after_entity(error),
        error => return after_damage(error.class()).to_owned(),
    };
    let next = match refusal {
        Refusal::NotSearchable { collection } => {
            return format!("`afield index add {collection} FIELD --text` says which fields hold words");
        }
        Refusal::SearchSyntax => "leave --expression out, and any words will do; `afield search --help` has examples",
        Refusal::TooMuchWork { .. } => {
            "`afield index add COLLECTION FIELD` for what it compares, or ask for less of it"
        }
        Refusal::TooMany { .. } => "`afield index list COLLECTION` shows them; `afield index drop` makes room",
        Refusal::UnknownField { known, .. } => return fields_of(known),
        Refusal::Parameters { .. } => "give each question mark its --param VALUE, in their order",
        Refusal::UnknownSpace { .. } => "`afield space list` shows the spaces of this device",
        _ => "`afield query --help` has examples",
    };
    next.to_owned()
}

/// The fields that there are, as far as a person reads them at once.
fn fields_of(known: &[String]) -> String {
    let shown: Vec<_> = known.iter().take(FIELDS_SHOWN_MAX).map(|field| text::printable(field)).collect();
    let more = if known.len() > FIELDS_SHOWN_MAX { ", …; `afield list COLLECTION --json` shows all" } else { "" };
    format!("the fields are {}{more}", shown.join(", "))
}

fn after_bare_word(word: &str, error: &QueryError) -> String {
    let fields = match error {
        QueryError::Refused(Refusal::UnknownField { known, .. }) => format!("; {}", fields_of(known)),
        _ => String::new(),
    };
    format!("a text stands between single quotes: '{}'{fields}", text::printable(word))
}

fn after_damage(class: Class) -> &'static str {
    match class {
        Class::Quota => "make room on the disk and try again",
        Class::Retry => "try again",
        _ => {
            "the file is left as it is: put a backup of `afield backup` in its place, or join its spaces from another device"
        }
    }
}

fn after_keeping(source: &Failure, kept: &Path) -> String {
    format!("{}; then take what you wrote from {}", source.next(), kept.display())
}

fn after_file(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::NotFound => {
            "check the path: a file to read has to be there, and a file to write needs its folder"
        }
        io::ErrorKind::PermissionDenied => "check that you may read or write there",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room on the disk and try again",
        io::ErrorKind::IsADirectory => "name a file: this is a folder",
        _ => "check the path and try again",
    }
}

fn after_remembered(error: &RememberedError) -> &'static str {
    match error {
        RememberedError::Read { .. } => "check that you may read the file, or connect anew with `afield connect URL`",
        RememberedError::Write { .. } => "check that you may write into its folder and that there is room",
        RememberedError::Content { .. } => "connect anew with `afield connect URL --token-file FILE`",
        RememberedError::Authority(_) => "name the file that begins with -----BEGIN CERTIFICATE-----",
    }
}

fn after_entity(error: &EntityError) -> String {
    let next = match error {
        EntityError::Missing { .. } => "`afield list COLLECTION` shows what there is",
        EntityError::OtherSpace { found, .. } => return format!("look for it there: --space {found}"),
        EntityError::OtherCollection { entity, found, .. } => return next_in(found.as_str(), *entity),
        EntityError::Purged { .. } => "make a new one with `afield put COLLECTION`; nothing brings it back",
        EntityError::Damaged { .. } => "nothing was deleted; other entities and other devices are not affected",
        EntityError::NotYet { .. } => {
            "`afield sync` brings what it waits for, where the relay has it; `afield doctor` tells of what is quarantined"
        }
        EntityError::NotHere { .. } => {
            "an app on this device asks for a part of the space alone: look on a device that has all of it"
        }
        EntityError::Store(error) => after_damage(error.class()),
        EntityError::Driver(error) => after_damage(error.class()),
        // One that is being edited is free again in a moment.
        error => after_reading(error.class()),
    };
    next.to_owned()
}

/// What is left to do after a failure that nothing more is known of than its class.
fn after_reading(class: Class) -> &'static str {
    match class {
        Class::Retry => "try again in a moment",
        Class::Quota => "make room on the disk and try again",
        Class::SignIn | Class::Upgrade => after_class(class),
        Class::Permanent => "`afield doctor` looks for what is wrong",
    }
}

fn next_in(collection: &str, entity: EntityId) -> String {
    format!("look for it there: `afield get {collection} {entity}`")
}

fn after_sync(error: &SyncError) -> &'static str {
    match error {
        SyncError::Failed { sign_in: Some(why), .. } => after_sign_in(*why),
        SyncError::Failed { reason, .. } if is_of_invitation(reason) => AFTER_INVITATION,
        error => after_class(error.class()),
    }
}

/// What a person does who has to sign in.
pub(crate) fn after_sign_in(why: SignInReason) -> &'static str {
    match why {
        SignInReason::SignedOut => {
            "get a new token from who runs the relay, then `afield connect URL --token-file FILE`; what waits is stored here, and `afield hand-over FILE` gives it to another device of yours"
        }
        SignInReason::AccountClosed => {
            "ask who runs the relay to open the account (`afield-relay user enable NAME`), then `afield sync`; what waits is stored here"
        }
        _ => after_class(Class::SignIn),
    }
}

/// What a person does whose device does not trust the relay's certificate.
pub(crate) const AFTER_CERTIFICATE: &str = "check the address and the clock of this device; where the relay has an authority of its own, repeat `afield connect` with --ca FILE";

/// What a person does whom an invitation does not let in.
const AFTER_INVITATION: &str =
    "ask whoever invited you for another invitation, then `afield space join --invitation`; what waits is stored here";

/// Whether a space is not served although the device came with an invitation, which the library says in words alone: the relay does not tell it from
/// a space that is not there.
fn is_of_invitation(words: &str) -> bool {
    words.contains("the invitation was used")
}

/// Whether an error is about the relay's certificate. The library gives the reason of a failed attempt as words for a person,
/// and tells a certificate from a relay that is away by nothing else: both are tried again.
pub(crate) fn is_of_certificate(words: &str) -> bool {
    words.contains("the relay's certificate")
}

fn after_class(class: Class) -> &'static str {
    match class {
        Class::Retry => "check the address and that the relay runs, then try again",
        Class::SignIn => "get a token from who runs the relay, then `afield connect URL --token-file FILE`",
        Class::Quota => "ask who runs the relay for more room; nothing stored here is lost",
        Class::Upgrade => "install the newest afield here, or ask who runs the relay to",
        Class::Permanent => {
            "sync the device that made the space first; if it has, ask who runs the relay whether this token may use it (`afield space leave ID` forgets one joined by mistake)"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use afield::{Replica, StoreError};

    /// What an exhausted disk answers.
    fn disk_full() -> StoreError {
        let full = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
        StoreError::DiskFull(rusqlite::Error::SqliteFailure(full, None))
    }

    fn operation(error: OperationError) -> Failure {
        Failure::Edit(EditError::Operation(error))
    }

    fn entity_failed(error: EntityError) -> Failure {
        Failure::Read(error.into())
    }

    fn refused(refusal: Refusal) -> Failure {
        Failure::Query(QueryError::Refused(refusal))
    }

    #[test]
    fn each_failure_has_its_exit_code_and_a_next_step_that_helps() {
        let space = Replica::open_in_memory().unwrap().create_space("Home").unwrap();
        let (collection, entity) = ("notes".to_owned(), EntityId::from_bytes([7; 16]));
        let direction = |error: afield::store::DirectionError| Failure::Direction(error.into());
        let room = "make room on the disk";
        let notes = "notes".parse().unwrap();
        let only_comes_in = Failure::Purge(PurgeError::OnlyComesIn { space: space.id(), collection: notes });
        let cases = [
            (operation(OperationError::NoSuchSide), 2, "`afield conflicts` numbers the sides"),
            (operation(OperationError::Decided), 3, "`afield conflicts` shows"),
            (operation(OperationError::TooDeep), 1, "`afield put --help`"),
            (refused(Refusal::NotSearchable { collection }), 2, "`afield index add notes FIELD --text`"),
            (refused(Refusal::SearchSyntax), 2, "`afield search --help`"),
            (refused(Refusal::TooMuchWork { steps: 9 }), 1, "`afield index add COLLECTION FIELD`"),
            (refused(Refusal::TooMany { indexes_max: 9, fields_max: 9 }), 2, "`afield index drop`"),
            (refused(Refusal::Parameters { expected: 1, given: 0 }), 2, "--param VALUE"),
            (refused(Refusal::UnknownSpace { space: space.id() }), 2, "`afield space list`"),
            (Failure::Query(disk_full().into()), 6, room),
            (Failure::Schedule(ScheduleError::Store(disk_full().into())), 6, room),
            (Failure::Schedule(ScheduleError::TooShort), 2, "`afield schedule --help`"),
            (direction(disk_full().into()), 6, room),
            (direction(afield::store::DirectionError::TooMany { maximum: 9 }), 2, "`afield direction` lists them"),
            (Failure::Direction(DirectionError::Nested), 2, "`afield direction --help`"),
            (Failure::Damaged { violations: 2 }, 6, "`afield export`"),
            (entity_failed(EntityError::NotYet { entity }), 3, "`afield sync`"),
            (entity_failed(EntityError::NotHere { entity, space: space.id() }), 3, "on a device that has all"),
            (entity_failed(EntityError::Busy { entity }), 1, "try again"),
            (entity_failed(disk_full().into()), 6, room),
            (Failure::Edit(EntityError::NotYet { entity }.into()), 3, "`afield sync`"),
            (Failure::Purge(EntityError::NotYet { entity }.into()), 3, "`afield sync`"),
            (Failure::Query(ReadError::from(EntityError::NotYet { entity }).into()), 3, "`afield sync`"),
            (Failure::Read(ReadError::Path { entity, source: OperationError::Root }), 1, "`afield doctor`"),
            (Failure::Purge(PurgeError::Nested), 1, "`afield doctor`"),
            (Failure::Purge(PurgeError::ReadOnly { space: space.id() }), 7, "ask an owner"),
            (only_comes_in, 7, "`afield direction notes both`"),
            (Failure::Space(SpaceError::Nested), 1, "`afield doctor`"),
            (Failure::Connect(ConnectError::Thread(io::ErrorKind::OutOfMemory.into())), 1, "close other programs"),
            (Failure::Interrupted, 130, "repeat it"),
        ];
        for (failure, code, expected) in cases {
            let next = failure.next();
            assert!(next.contains(expected), "{failure:?}: {next}");
            assert_eq!(failure.exit_code(), code, "{failure:?}");
        }
        let goods = space.collection::<()>("goods").unwrap().json();
        goods.insert(&serde_json::json!({ "price": 3 })).unwrap();
        for (condition, expected) in [
            ("price = ", "`afield query --help`"),
            ("(SELECT 1)", "`afield query --help`"),
            ("nothing(3)", "`afield query --help`"),
            ("prise > 3", "the fields are price"),
        ] {
            let next = Failure::Query(goods.query(condition, ()).and_then(|query| query.count()).unwrap_err()).next();
            assert!(next.contains(expected), "{condition}: {next}");
        }
    }
}
