//! A backup put in the place of the log.

use super::partial::{Partial, folder_of, remove_beside, unfinished_beside, with_suffix};
use crate::log::accounts::AccountError;
use crate::log::{EndedAccess, FileIdentity, LogFigures, OpenLogError, SqliteLog, check_copy, figures_of, fold};
use crate::server::folder::sync_folder;
use crate::server::{DataFolder, FolderError};
use afield_core::Now;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// How many bytes are copied at once.
const COPIED_BYTES: usize = 1 << 20;

/// How a backup is put in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RestoreOptions {
    /// Puts it in the place of a log that holds something; that one stays beside it.
    pub replaces: bool,
    /// Lets tokens, sign-ins and invitations be as they were when the backup was made.
    pub keeps_access: bool,
}

/// What was put in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What the log holds now.
    pub figures: LogFigures,
    /// Where the log is that was there before, where it held anything.
    pub kept: Option<PathBuf>,
    /// The access that was ended, unless it was to be kept.
    pub ended: Option<EndedAccess>,
}

/// Why no backup was put in place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The folder holds a log with something in it.
    #[error("there is a log in {} already, and it is not empty", path.display())]
    HasData {
        /// The folder.
        path: PathBuf,
    },
    /// The folder cannot be used, as when a relay runs on it.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// What was named is the log of a relay and no backup: what was committed last stands beside it.
    #[error("{} is the file of a log and no backup: what was committed last stands in files beside it", path.display())]
    Live {
        /// The file.
        path: PathBuf,
    },
    /// The backup could not be read.
    #[error("the backup {} could not be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The backup is no log, damaged, or of a newer version.
    #[error("the backup cannot be used")]
    NotWhole(#[source] OpenLogError),
    /// Access could not be ended in it.
    #[error("the tokens in the backup could not be revoked")]
    Access(#[source] AccountError),
    /// Another process uses the log that is there.
    #[error("the log that is there is in use by another process")]
    InUse(#[source] OpenLogError),
    /// A file could not be written.
    #[error("the files in {} could not be written", path.display())]
    Write {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Puts a backup in the place of a folder's log, on which no relay runs. It is copied beside its place and checked first, so that until
/// the end the folder is as it was, and then the log is the other one.
///
/// In the copy all tokens are revoked, what an app's backend has signed so far is over, all users are signed out and all invitations
/// withdrawn, unless that is not wanted: which of them were ended since the backup was made, it does not know (R7). Members of spaces and
/// closed accounts are those of the backup. `progress` is told how many bytes are copied, of how many.
///
/// # Errors
///
/// [`RestoreError`]; the folder's log is as it was.
pub fn restore(
    data: PathBuf,
    backup: &Path,
    options: RestoreOptions,
    now: Now,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Restored, RestoreError> {
    let read = |source| RestoreError::Read { path: backup.to_owned(), source };
    // Before a folder is made for it.
    File::open(backup).map_err(read)?;
    if unfinished_beside(backup).is_some() {
        return Err(RestoreError::Live { path: backup.to_owned() });
    }
    let folder = DataFolder::create(data)?;
    let _lock = folder.lock()?;
    let log = folder.log_file();
    let holds = holds_anything(&log);
    if holds && !options.replaces {
        return Err(RestoreError::HasData { path: folder.path().to_owned() });
    }
    let write = |source| RestoreError::Write { path: folder.path().to_owned(), source };
    let partial = Partial::create_in_data(with_suffix(&log, ".restoring")).map_err(write)?;
    copy(backup, partial.path(), progress).map_err(read)?;
    check_copy(partial.path()).map_err(RestoreError::NotWhole)?;
    let ended = prepare(partial.path(), options, now)?;
    // As one file again, with what was written since in it.
    let figures = check_copy(partial.path()).map_err(RestoreError::NotWhole)?;
    partial.sync().map_err(write)?;
    let kept = replace(&log, partial, holds, write)?;
    Ok(Restored { figures, kept, ended })
}

/// Whether a log holds anything that somebody would miss. One that cannot be read may.
fn holds_anything(log: &Path) -> bool {
    match fs::metadata(log) {
        Err(error) => error.kind() != io::ErrorKind::NotFound,
        Ok(file) if file.len() == 0 => unfinished_beside(log).is_some(),
        Ok(_) => !figures_of(log).is_ok_and(|figures| figures.is_empty()),
    }
}

/// Brings the copy to the version of this program, and ends the access that it gives.
fn prepare(copy: &Path, options: RestoreOptions, now: Now) -> Result<Option<EndedAccess>, RestoreError> {
    let mut log = SqliteLog::open(copy).map_err(RestoreError::NotWhole)?;
    if options.keeps_access {
        return Ok(None);
    }
    Ok(Some(log.end_all_access(now).map_err(RestoreError::Access)?))
}

/// Puts the new log in place, and keeps the old one under another name if it is to be kept.
fn replace(
    log: &Path,
    new: Partial,
    keeps: bool,
    write: impl Fn(io::Error) -> RestoreError + Copy,
) -> Result<Option<PathBuf>, RestoreError> {
    let folded = match fs::metadata(log) {
        Ok(file) if file.len() > 0 => match fold(log) {
            Ok(connection) => Some(connection),
            Err(error) if is_busy(&error) => return Err(RestoreError::InUse(error)),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the log that is there cannot be opened");
                None
            }
        },
        _ => None,
    };
    let kept = keeps.then(|| keep(log, folded.is_none())).transpose().map_err(write)?.flatten();
    // Another process that opens the log meanwhile waits for this connection. A log that can be opened has no WAL any more; with that
    // of one that cannot, the new one would be destroyed.
    if folded.is_none() {
        remove_beside(log).map_err(write)?;
        sync_folder(folder_of(log)).map_err(write)?;
    }
    new.put_in_place(log).map_err(write)?;
    Ok(kept)
}

/// Gives the log that is there a second name, with the WAL that belongs to it if `has_wal`.
fn keep(log: &Path, has_wal: bool) -> io::Result<Option<PathBuf>> {
    if !log.exists() {
        return Ok(None);
    }
    let names = (1_u32..).map(|number| with_suffix(log, &format!(".replaced-{number}")));
    for name in names {
        match fs::hard_link(log, &name) {
            // The name that a process gave it which was killed before it came to an end.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if FileIdentity::of(&name) != FileIdentity::of(log) {
                    continue;
                }
            }
            linked => linked?,
        }
        if has_wal {
            let (wal, name) = (with_suffix(log, "-wal"), with_suffix(&name, "-wal"));
            match fs::hard_link(wal, name) {
                Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists) => {
                    return Err(error);
                }
                _ => {}
            }
        }
        sync_folder(folder_of(log))?;
        return Ok(Some(name));
    }
    Ok(None)
}

fn is_busy(error: &OpenLogError) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    let OpenLogError::Storage(error) = error else { return false };
    matches!(error.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked))
}

fn copy(from: &Path, to: &Path, progress: &mut dyn FnMut(u64, u64)) -> io::Result<()> {
    let mut source = File::open(from)?;
    let total = source.metadata()?.len();
    let mut target = OpenOptions::new().write(true).open(to)?;
    let mut buffer = vec![0; COPIED_BYTES];
    let mut done = 0;
    loop {
        let count = source.read(&mut buffer)?;
        let Some(part) = buffer.get(..count).filter(|part| !part.is_empty()) else { return Ok(()) };
        target.write_all(part)?;
        done += count as u64;
        progress(done, total);
    }
}
