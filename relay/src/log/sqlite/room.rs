//! Why a disk took no more.

use crate::log::LogError;
use rusqlite::ffi::{Error, SQLITE_IOERR_WRITE, SQLITE_READONLY};
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What a trial writes: enough that a quota which is used up does not have room for it by chance, in bytes.
const TRIAL_BYTES: usize = 64 * 1024;

/// Tells what keeps a log from being written from a failure of its storage. SQLite knows a disk that is full, but calls a
/// file system that has become read-only, and a quota that is used up, a failed write like any other.
pub(super) fn explained(error: LogError, path: Option<&Path>) -> LogError {
    match (error, path) {
        (LogError::Storage(error), Some(path)) if is_failed_write(&error) => told(error, write_beside(path)),
        (error, _) => error,
    }
}

/// What SQLite says of a write to a file that is open for reading only.
pub(super) fn read_only() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(Error::new(SQLITE_READONLY), None)
}

fn is_failed_write(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_IOERR_WRITE)
}

fn told(error: rusqlite::Error, trial: io::Result<()>) -> LogError {
    match trial.map_err(|error| error.kind()) {
        Err(io::ErrorKind::ReadOnlyFilesystem) => LogError::ReadOnly(error),
        Err(io::ErrorKind::QuotaExceeded | io::ErrorKind::StorageFull) => LogError::Full(error),
        _ => LogError::Storage(error),
    }
}

/// Tries to write a file beside another. That one is not touched: closing it would drop the locks that SQLite has on it.
fn write_beside(path: &Path) -> io::Result<()> {
    let trial = trial_file(path);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&trial)?;
    let written = file.write_all(&[0; TRIAL_BYTES]).and_then(|()| file.sync_all());
    drop(file);
    std::fs::remove_file(trial)?;
    written
}

fn trial_file(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push("-trial");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi::SQLITE_IOERR_FSYNC;

    fn storage(extended_code: i32) -> LogError {
        LogError::from(rusqlite::Error::SqliteFailure(Error::new(extended_code), None))
    }

    #[test]
    fn a_read_only_file_system_and_a_used_up_quota_are_told_from_a_failing_disk() {
        let failed = || rusqlite::Error::SqliteFailure(Error::new(SQLITE_IOERR_WRITE), None);
        let because = |kind: io::ErrorKind| told(failed(), Err(kind.into()));
        assert!(matches!(because(io::ErrorKind::ReadOnlyFilesystem), LogError::ReadOnly(_)));
        assert!(matches!(because(io::ErrorKind::QuotaExceeded), LogError::Full(_)));
        assert!(matches!(because(io::ErrorKind::StorageFull), LogError::Full(_)));
        assert!(matches!(because(io::ErrorKind::Other), LogError::Storage(_)));
        assert!(matches!(told(failed(), Ok(())), LogError::Storage(_)));
    }

    #[test]
    fn a_trial_is_made_for_a_failed_write_only_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (here, nowhere) = (folder.path().join("log.sqlite"), folder.path().join("nowhere/log.sqlite"));
        for (code, path) in [(SQLITE_IOERR_WRITE, &here), (SQLITE_IOERR_WRITE, &nowhere), (SQLITE_IOERR_FSYNC, &here)] {
            assert!(matches!(explained(storage(code), Some(path)), LogError::Storage(_)), "{code}");
        }
        write_beside(&here).expect("the control");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
