//! A copy of the log, made while a relay appends to it.

use super::partial::{Partial, folder_of, unfinished_beside, with_suffix};
use crate::log::{FileIdentity, LogFigures, OpenLogError, check_copy, copy_file};
use crate::server::folder::this_user;
use crate::server::{DataFolder, FolderError};
use std::io;
use std::path::{Path, PathBuf};

/// Why no backup was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// Something has the name already.
    #[error("{} is there already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The name is that of the log itself, of a folder, or of a database that is in use.
    #[error("{} is no place for a backup: it is a folder, the log itself, or a database in use", path.display())]
    Place {
        /// What was named.
        path: PathBuf,
    },
    /// Another backup is being made, or the folder cannot be locked.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The log could not be read, or the copy not be written.
    #[error("the log could not be copied")]
    Copy(#[source] OpenLogError),
    /// The copy is not a whole log, so neither is what it was made of.
    #[error("what was copied is not a whole log, and was not kept")]
    NotWhole(#[source] OpenLogError),
    /// The disk that the copy is written to has no room for it.
    #[error("the disk that holds {} is full", folder.display())]
    Full {
        /// The folder that the file was to be in.
        folder: PathBuf,
        /// How that was found out.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// This user may make no file there.
    #[error("{user} may not write into {}", folder.display())]
    Forbidden {
        /// Who runs the command, as a sentence names it.
        user: String,
        /// The folder.
        folder: PathBuf,
    },
    /// The file could not be written.
    #[error("{} could not be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Copies the log of a folder into one file, also while a relay runs on it; the relay goes on as before. The file is there when the copy
/// is whole, checked and on the disk, and not before. It is for its owner alone: it holds all that the log holds, tokens only as hashes.
///
/// `replaces` says whether a file of that name may be there. `progress` is told how many bytes are copied, of how many.
///
/// # Errors
///
/// [`BackupError`]; what was at the place is there as it was.
pub fn back_up(
    folder: &DataFolder,
    target: &Path,
    replaces: bool,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<LogFigures, BackupError> {
    let log = folder.log_file();
    check_place(&log, target, replaces)?;
    // Two that copy at once to one name would take each other's file away.
    let _lock = folder.lock_for_backup()?;
    let write = |source: io::Error| match source.kind() {
        io::ErrorKind::PermissionDenied => {
            BackupError::Forbidden { user: this_user(), folder: folder_of(target).to_owned() }
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => full(target, source),
        _ => BackupError::Write { path: target.to_owned(), source },
    };
    // The log is only read: it is the copy that finds no room.
    let or_full = |otherwise: fn(OpenLogError) -> BackupError| {
        move |error| match error {
            OpenLogError::Full(source) => full(target, source),
            error => otherwise(error),
        }
    };
    let partial = Partial::create(with_suffix(target, ".partial")).map_err(write)?;
    copy_file(&log, partial.path(), progress).map_err(or_full(BackupError::Copy))?;
    let figures = check_copy(partial.path()).map_err(or_full(BackupError::NotWhole))?;
    partial.sync().map_err(write)?;
    check_place(&log, target, replaces)?;
    partial.put_in_place(target).map_err(write)?;
    Ok(figures)
}

fn full(target: &Path, source: impl std::error::Error + Send + Sync + 'static) -> BackupError {
    BackupError::Full { folder: folder_of(target).to_owned(), source: Box::new(source) }
}

fn check_place(log: &Path, target: &Path, replaces: bool) -> Result<(), BackupError> {
    let path = || target.to_owned();
    let identity = FileIdentity::of(target);
    if target.is_dir() || unfinished_beside(target).is_some() || identity.is_some() && identity == FileIdentity::of(log)
    {
        return Err(BackupError::Place { path: path() });
    }
    if target.exists() && !replaces { Err(BackupError::Exists { path: path() }) } else { Ok(()) }
}
