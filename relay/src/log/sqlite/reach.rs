//! Why a log's file does not open: SQLite says that it does not, and not what is in the way.

use super::schema::{OpenLogError, wal_of};
use std::fmt;
use std::path::{Path, PathBuf};

/// What is in the way of opening a log, as far as it can be seen from outside.
#[derive(Debug)]
#[non_exhaustive]
pub enum InTheWay {
    /// The folder that it is to be in is not there.
    NoFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// Something else has its name.
    NoFile {
        /// What has it.
        path: PathBuf,
    },
    /// The disk is mounted for reading only.
    ReadOnlyDisk {
        /// What cannot be written.
        path: PathBuf,
    },
    /// This user may not write what has to be written.
    Rights {
        /// The file, or the folder in which files have to be made.
        path: PathBuf,
        /// The number of the user, where the platform has such.
        user: Option<u32>,
        /// The number of the user whose it is, where that can be told.
        owner: Option<u32>,
    },
    /// Nothing that can be seen.
    Unknown(rusqlite::Error),
}

impl InTheWay {
    /// What to do about it.
    pub const fn next(&self) -> &'static str {
        match self {
            Self::NoFolder { .. } => "see whether its volume is mounted, or name another folder with --data",
            Self::NoFile { .. } => "move that away, or name another folder with --data",
            Self::ReadOnlyDisk { .. } => "mount it for writing, or name another folder with --data",
            Self::Rights { .. } => {
                "run it as the user whose folder it is; where a command of root left something there, as root: chown -R --reference=FOLDER FOLDER"
            }
            Self::Unknown(_) => "`doctor` says more of the folder and its disk",
        }
    }
}

impl fmt::Display for InTheWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFolder { folder } => write!(f, "the folder {} is not there", folder.display()),
            Self::NoFile { path } => write!(f, "{} is no file", path.display()),
            Self::ReadOnlyDisk { path } => write!(f, "the disk of {} is mounted for reading only", path.display()),
            Self::Rights { path, user, owner } => {
                match user {
                    Some(user) => write!(f, "user {user} may not write {}", path.display())?,
                    None => write!(f, "this user may not write {}", path.display())?,
                }
                owner.map_or(Ok(()), |owner| write!(f, ", which is of user {owner}"))
            }
            Self::Unknown(error) => error.fmt(f),
        }
    }
}

/// The same error, with the file and what is in the way where it did not open, or may not be written.
pub(super) fn explained(file: &Path, error: OpenLogError) -> OpenLogError {
    let not_opened = |why| OpenLogError::NotOpened { file: file.to_owned(), why };
    match error {
        OpenLogError::Unreachable(error) => not_opened(seen(file).unwrap_or(InTheWay::Unknown(error))),
        OpenLogError::ReadOnly => seen(file).map_or(OpenLogError::ReadOnly, not_opened),
        error => error,
    }
}

fn seen(file: &Path) -> Option<InTheWay> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.exists() {
        return Some(InTheWay::NoFolder { folder: folder.to_owned() });
    }
    if file.exists() && !file.is_file() {
        return Some(InTheWay::NoFile { path: file.to_owned() });
    }
    let shared = file.with_extension("sqlite-shm");
    let files = [file.to_owned(), wal_of(file), shared];
    // Where it cannot make files, the rights of those that are there are not the point.
    std::iter::once(folder.to_owned()).chain(files).find_map(closed)
}

/// Why this user may not write a file or a folder that is there.
#[cfg(unix)]
fn closed(path: PathBuf) -> Option<InTheWay> {
    use rustix::fs::Access;
    use rustix::io::Errno;
    use std::os::unix::fs::MetadataExt;

    let found = std::fs::metadata(&path).ok();
    let wanted = match &found {
        Some(found) if found.is_dir() => Access::WRITE_OK | Access::EXEC_OK,
        _ => Access::READ_OK | Access::WRITE_OK,
    };
    match rustix::fs::access(&path, wanted) {
        Err(Errno::ROFS) => Some(InTheWay::ReadOnlyDisk { path }),
        Err(Errno::ACCESS | Errno::PERM) => {
            let user = Some(rustix::process::geteuid().as_raw());
            Some(InTheWay::Rights { path, user, owner: found.map(|found| found.uid()) })
        }
        _ => None,
    }
}

#[cfg(not(unix))]
fn closed(path: PathBuf) -> Option<InTheWay> {
    let is_closed = std::fs::metadata(&path).is_ok_and(|found| found.permissions().readonly());
    is_closed.then_some(InTheWay::Rights { path, user: None, owner: None })
}
