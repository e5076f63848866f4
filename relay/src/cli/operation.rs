//! Why an operation on the log as a whole failed: the exit code, and what to do next.

use super::{AS_OWNER, EXIT_FOUND, EXIT_IN_USE, EXIT_NOT_FOUND, EXIT_USAGE};
use crate::log::{Damage, OpenLogError, PurgeError, VerifyError};
use crate::operations::{BackupError, RestoreError};
use crate::server::FolderError;

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OperationError {
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error(transparent)]
    Restore(#[from] RestoreError),
    #[error(transparent)]
    Verify(#[from] VerifyError),
    #[error(transparent)]
    Purge(#[from] PurgeError),
    #[error("nothing was purged: it was not confirmed")]
    Unconfirmed,
    #[error(
        "what was purged is gone for everybody, but the WAL still holds bytes of it: something reads the log all the time"
    )]
    WalStays,
    #[error("something is wrong in {0} {places}", places = if *.0 == 1 { "place" } else { "places" })]
    Found(u64),
}

impl OperationError {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Backup(BackupError::Exists { .. } | BackupError::Place { .. }) => EXIT_USAGE,
            Self::Unconfirmed => EXIT_USAGE,
            Self::Purge(PurgeError::NoSuchSpace(_) | PurgeError::NoSuchEntity(_) | PurgeError::NoSuchUser) => {
                EXIT_NOT_FOUND
            }
            Self::Restore(RestoreError::HasData { .. } | RestoreError::Live { .. }) => EXIT_USAGE,
            Self::Backup(BackupError::Folder(error)) | Self::Restore(RestoreError::Folder(error)) => match error {
                FolderError::InUse { .. } | FolderError::BackupRuns { .. } => EXIT_IN_USE,
                _ => 1,
            },
            Self::Found(_) | Self::Verify(VerifyError::Open(OpenLogError::Damaged(_))) => EXIT_FOUND,
            Self::Restore(RestoreError::InUse(_)) => EXIT_IN_USE,
            Self::Restore(RestoreError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                EXIT_NOT_FOUND
            }
            _ => 1,
        }
    }

    pub(super) fn next(&self) -> Option<&'static str> {
        Some(match self {
            Self::Backup(BackupError::Exists { .. }) => "choose another name, or replace it with --force",
            Self::Backup(BackupError::Place { .. }) => "name a file of its own",
            Self::Backup(BackupError::NotWhole(_)) => {
                "keep the backups that there are; stop the relay and put the newest in place: `restore FILE --replace`"
            }
            Self::Backup(BackupError::NoRoom { kept_bytes: 0, .. }) => {
                "make room there, or name a file on another disk; `compact` makes the log smaller"
            }
            Self::Backup(BackupError::NoRoom { .. }) => {
                "name a file on another disk, or make room: remove older backups, or make the log smaller with `compact`; this once, \
                 AFIELD_DISK_FREE_MIN_PERCENT=0 before the command takes what there is"
            }
            Self::Backup(BackupError::Full { .. }) => {
                "make room there, or name a file on another disk; what had the name stays, and nothing is left of the copy"
            }
            Self::Backup(BackupError::Forbidden { .. }) => {
                "name a file in a folder of this user's, and bring it from there to where it is to be"
            }
            Self::Backup(BackupError::Folder(FolderError::Forbidden { .. }))
            | Self::Restore(RestoreError::Folder(FolderError::Forbidden { .. })) => AS_OWNER,
            Self::Backup(BackupError::Folder(FolderError::Lock { source, .. }))
            | Self::Restore(RestoreError::Folder(FolderError::Lock { source, .. }))
                if source.kind() == std::io::ErrorKind::PermissionDenied =>
            {
                AS_OWNER
            }
            Self::Backup(BackupError::Folder(FolderError::BackupRuns { .. })) => "wait until it is done",
            Self::Restore(RestoreError::HasData { .. }) => {
                "--replace puts the backup in its place and keeps it beside; or choose another folder with --data"
            }
            Self::Restore(RestoreError::Folder(FolderError::InUse { .. })) => "stop the relay first",
            Self::Restore(RestoreError::InUse(_)) => "stop what uses it, such as another command, and try again",
            Self::Restore(RestoreError::Live { .. }) => "make a backup of it first: `backup FILE --data FOLDER`",
            Self::Verify(VerifyError::Open(OpenLogError::Damaged(_))) => Damage::Structure.next(),
            Self::Unconfirmed => "say --confirm to do it; it cannot be undone",
            Self::WalStays => "the same command again empties it; stop the relay if that does not help",
            Self::Purge(PurgeError::NoSuchSpace(_)) => "`space list` shows the spaces",
            Self::Purge(PurgeError::NoSuchUser) => "`user list` shows the users",
            Self::Purge(PurgeError::Refused) => {
                "`verify` says whether it is damaged; `purge space` takes all of it away"
            }
            Self::Found(_) => "each says what to do about it",
            Self::Restore(RestoreError::NotWhole(_)) => "nothing was changed; try an older backup",
            _ => return None,
        })
    }
}
