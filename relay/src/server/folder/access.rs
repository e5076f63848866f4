//! Whether the user of this process may look into a data folder: what it may not see looks like what is not there.

use super::{FolderError, LOG_FILE};
use std::io;
use std::path::Path;

/// Whether there is a log in a folder.
///
/// # Errors
///
/// This user may not look into the folder, or not read the log: whether there is one cannot be told, or is of no use.
pub(super) fn has_log(folder: &Path) -> Result<bool, FolderError> {
    match readable(&folder.join(LOG_FILE)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(forbidden(folder)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        _ => Ok(folder.join(LOG_FILE).exists()),
    }
}

/// That this user may not look into a folder.
pub(super) fn forbidden(folder: &Path) -> FolderError {
    FolderError::Forbidden { path: folder.to_owned(), user: user(), owner: owner_of(folder) }
}

/// Who runs this process, as a sentence names it.
pub(crate) fn this_user() -> String {
    named(user())
}

pub(super) fn named(user: Option<u32>) -> String {
    user.map_or_else(|| "this user".to_owned(), |user| format!("user {user}"))
}

/// Asks without opening it: closing a file ends the locks that SQLite has on it in this process.
#[cfg(unix)]
fn readable(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::access(path, rustix::fs::Access::READ_OK)?)
}

#[cfg(not(unix))]
fn readable(path: &Path) -> io::Result<()> {
    path.metadata().map(drop)
}

#[cfg(unix)]
fn user() -> Option<u32> {
    Some(rustix::process::geteuid().as_raw())
}

#[cfg(not(unix))]
fn user() -> Option<u32> {
    None
}

#[cfg(unix)]
fn owner_of(folder: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    folder.metadata().ok().map(|found| found.uid())
}

#[cfg(not(unix))]
fn owner_of(_: &Path) -> Option<u32> {
    None
}
