//! A copy of the log, made while a relay appends to it.

use super::partial::{Partial, folder_of, unfinished_beside, with_suffix};
use crate::log::{FileIdentity, LogFigures, OpenLogError, Space, bytes_to_copy, check_copy, copy_file, space_at};
use crate::server::folder::this_user;
use crate::server::{DataFolder, FolderError};
#[cfg(unix)]
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How a backup is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BackupOptions {
    /// Takes the place of a file of that name.
    pub replaces: bool,
    /// How much of the disk of the log stays free, in percent: below that its relay appends nothing. It binds a backup on the same disk.
    pub disk_free_min_percent: u8,
}

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
    /// The disk that the copy is to be written to has no room for it, or would have too little left for the relay. Nothing was written.
    #[error(
        "the disk that holds {} has no room for the backup: it takes {needed_bytes} B, and {free_bytes} B are free{}",
        folder.display(),
        kept(*kept_bytes)
    )]
    NoRoom {
        /// The folder that the file was to be in.
        folder: PathBuf,
        /// How large the copy would be.
        needed_bytes: u64,
        /// How much of the disk is free.
        free_bytes: u64,
        /// How much of that stays free, so that a relay whose log is on the same disk goes on appending.
        kept_bytes: u64,
    },
    /// The disk that the copy is written to was full before it was done.
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

fn kept(bytes: u64) -> String {
    if bytes == 0 {
        return String::new();
    }
    format!(
        ", of which {bytes} B stay free: the log is on the same disk, and its relay appends nothing below that (disk_free_min_percent)"
    )
}

/// Copies the log of a folder into one file, also while a relay runs on it; the relay goes on as before. The file is there when the copy
/// is whole, checked and on the disk, and not before. It is for its owner alone: it holds all that the log holds, tokens only as hashes.
///
/// `progress` is told how many bytes are copied, of how many.
///
/// # Errors
///
/// [`BackupError`]; what was at the place is there as it was.
pub fn back_up(
    folder: &DataFolder,
    target: &Path,
    options: BackupOptions,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<LogFigures, BackupError> {
    let BackupOptions { replaces, disk_free_min_percent } = options;
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
    // What a killed one had left there is gone by now.
    check_room(&log, target, disk_free_min_percent)?;
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

/// Whether a copy fits where it is to be. Where that cannot be told, the disk itself will say.
fn check_room(log: &Path, target: &Path, free_min_percent: u8) -> Result<(), BackupError> {
    let folder = folder_of(target);
    let Ok(space) = space_at(folder) else { return Ok(()) };
    let percent = if is_one_disk(folder_of(log), folder) { free_min_percent } else { 0 };
    let needed_bytes = bytes_to_copy(log).map_err(BackupError::Copy)?;
    match kept_bytes(space, needed_bytes, percent) {
        None => Ok(()),
        Some(kept_bytes) => Err(BackupError::NoRoom {
            folder: folder.to_owned(),
            needed_bytes,
            free_bytes: space.free_bytes,
            kept_bytes,
        }),
    }
}

/// How much of a disk has to stay free, where so much more does not leave it; `None` where it fits.
fn kept_bytes(space: Space, needed_bytes: u64, free_min_percent: u8) -> Option<u64> {
    let kept = u64::try_from(u128::from(space.total_bytes) * u128::from(free_min_percent) / 100).unwrap_or(u64::MAX);
    needed_bytes.checked_add(kept).is_none_or(|wanted| wanted > space.free_bytes).then_some(kept)
}

#[cfg(unix)]
fn is_one_disk(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = |folder: &Path| fs::metadata(folder).map(|found| found.dev()).ok();
    device(one).is_some() && device(one) == device(other)
}

#[cfg(not(unix))]
fn is_one_disk(_: &Path, _: &Path) -> bool {
    false
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_leaves_as_much_of_the_disk_free_as_the_relay_needs_and_fits_elsewhere_where_it_fits_at_all() {
        let space = Space { free_bytes: 100, total_bytes: 1_000 };
        assert_eq!(kept_bytes(space, 50, 5), None, "so much is left, and no less");
        assert_eq!(kept_bytes(space, 51, 5), Some(50));
        assert_eq!((kept_bytes(space, 100, 0), kept_bytes(space, 101, 0)), (None, Some(0)));
        let largest = Space { free_bytes: u64::MAX, total_bytes: u64::MAX };
        assert!(kept_bytes(largest, u64::MAX, 99).is_some(), "no figure is too large to reckon with");
    }
}
