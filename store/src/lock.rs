//! One writer per store file, across processes.

use crate::error::OpenError;
use crate::options::OpenOptions;
use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fmt, fs, io};

/// How often a waiting writer looks again, in milliseconds: far below what a person notices, far above a busy loop.
const POLL_MS: u64 = 25;

/// What the name of the file that is locked has more than that of the store.
const LOCK: &str = "-lock";

/// What the name of the file that tells who holds the lock has more than that of the store.
const HOLDER: &str = "-holder";

/// Who has a store open for writing.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("notes.db");
/// use afield_store::{Holder, OpenError, OpenOptions, Store};
///
/// let _open = Store::open(&path, &OpenOptions::default())?;
/// let error = Store::open(&path, &OpenOptions { writer_wait_ms: 0, ..OpenOptions::default() }).unwrap_err();
/// let OpenError::Locked { holder: Some(Holder { process, .. }) } = error else { panic!("it says who") };
/// assert_eq!(process, std::process::id());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The process id.
    pub process: u32,
    /// The file name of the program.
    pub program: String,
    /// Since when, in milliseconds since the Unix epoch by that process's clock.
    pub since_ms: i64,
}

/// Whether somebody has a store open for writing.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("notes.db");
/// use afield_store::{OpenOptions, Store, Writer};
///
/// let open = Store::open(&path, &OpenOptions::default())?;
/// assert!(matches!(Writer::of(&path)?, Writer::Known(holder) if holder.process == std::process::id()));
/// drop(open);
/// assert_eq!(Writer::of(&path)?, Writer::Nobody);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Writer {
    /// Nobody has.
    Nobody,
    /// This process has.
    Known(Holder),
    /// A process has that could not say who it is.
    Unknown,
}

impl Writer {
    /// Asks who has the store at `path` open for writing, this process included.
    ///
    /// Takes the lock for the moment of asking, shared with others who ask: a writer that opens the store in that very
    /// moment waits for it, and one that does not wait at all is refused.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.db");
    /// # drop(afield_store::Store::open(&path, &afield_store::OpenOptions::default())?);
    /// use afield_store::Writer;
    ///
    /// match Writer::of(&path)? {
    ///     Writer::Nobody => {}
    ///     Writer::Known(holder) => panic!("{} has it open", holder.program),
    ///     Writer::Unknown => panic!("somebody has it open"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The lock file cannot be read.
    pub fn of(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = fs::canonicalize(path)?;
        let file = match File::open(beside(&path, LOCK)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::Nobody),
            Err(error) => return Err(error),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(Self::Nobody),
            Err(TryLockError::WouldBlock) => Ok(read(&beside(&path, HOLDER)).map_or(Self::Unknown, Self::Known)),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {}, since {})", self.program, self.process, Moment(self.since_ms))
    }
}

/// A moment as people write it, to the second and in UTC.
struct Moment(i64);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SECONDS_PER_DAY: i64 = 86_400;
        let seconds = self.0.div_euclid(1_000);
        let (days, of_day) = (seconds.div_euclid(SECONDS_PER_DAY), seconds.rem_euclid(SECONDS_PER_DAY));
        // Years are counted from 1 March of the year 0, so that a leap day is the last one of its year; 400 of them
        // have 146,097 days. From Howard Hinnant's `civil_from_days`.
        let days = days + 719_468;
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
    }
}

/// The lock on `<file>-lock`, held for life; the operating system frees it when the process ends in whatever way.
///
/// The name is that of the file's [`real_path`], or two writers that come by different ways would each have a lock. Two
/// hard links to one file stay two files to this lock, as they do to SQLite's WAL.
///
/// Who holds it stands in `<file>-holder`: where locks are mandatory, nobody else could read the locked file itself.
#[derive(Debug)]
pub(crate) struct WriterLock {
    _file: File,
    holder: PathBuf,
}

impl WriterLock {
    /// Takes the lock of a store's real path, waiting as long as the options say.
    pub(crate) fn take(store: &Path, options: &OpenOptions) -> Result<Self, OpenError> {
        let holder = beside(store, HOLDER);
        let file =
            File::options().create(true).truncate(false).write(true).open(beside(store, LOCK)).map_err(folder_error)?;
        let mut waited_ms = 0;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(folder_error(error)),
                Err(TryLockError::WouldBlock) if waited_ms >= options.writer_wait_ms => {
                    return Err(OpenError::Locked { holder: read(&holder) });
                }
                Err(TryLockError::WouldBlock) => {
                    (options.park)(Duration::from_millis(POLL_MS));
                    waited_ms = waited_ms.saturating_add(POLL_MS);
                }
            }
        }
        let lock = Self { _file: file, holder };
        if lock.announce(options.opened_ms).is_err() {
            // It only helps whoever waits, so nothing fails by it; but no earlier holder is named in its place.
            let _ = fs::remove_file(&lock.holder);
        }
        Ok(lock)
    }

    fn announce(&self, since_ms: i64) -> io::Result<()> {
        let program = std::env::current_exe().ok();
        let program = program.as_deref().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        let process = std::process::id();
        let text = serde_json::json!({ "process": process, "program": program, "since_ms": since_ms }).to_string();
        fs::write(&self.holder, text)
    }
}

impl Drop for WriterLock {
    fn drop(&mut self) {
        // A holder file that stays behind is harmless: it is read only while somebody holds the lock.
        let _ = fs::remove_file(&self.holder);
    }
}

/// Whether a writer has had the store before, or has it now.
pub(crate) fn stands_beside(store: &Path) -> bool {
    fs::canonicalize(store).is_ok_and(|store| beside(&store, LOCK).exists())
}

/// Whether the WAL beside a store's real path holds anything.
pub(crate) fn has_wal(store: &Path) -> bool {
    fs::metadata(beside(store, "-wal")).is_ok_and(|wal| wal.len() > 0)
}

/// Where a store's file stands once every link on the way is followed; an empty one is made where there is none.
pub(crate) fn real_path(store: &Path) -> Result<PathBuf, OpenError> {
    match fs::canonicalize(store) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            File::options().create(true).truncate(false).write(true).open(store).map_err(folder_error)?;
            fs::canonicalize(store).map_err(folder_error)
        }
        found => found.map_err(folder_error),
    }
}

fn beside(store: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(store);
    name.push(suffix);
    PathBuf::from(name)
}

fn folder_error(error: io::Error) -> OpenError {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => OpenError::ReadOnly,
        _ => OpenError::Folder(error),
    }
}

fn read(path: &Path) -> Option<Holder> {
    let value: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).ok()?).ok()?;
    Some(Holder {
        process: u32::try_from(value.get("process")?.as_u64()?).ok()?,
        program: value.get("program")?.as_str()?.to_owned(),
        since_ms: value.get("since_ms")?.as_i64()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_is_named_with_program_process_and_moment() {
        let named = |since_ms| Holder { process: 7, program: "notes".to_owned(), since_ms }.to_string();
        assert_eq!(named(0), "notes (process 7, since 1970-01-01 00:00:00 UTC)");
        assert_eq!(named(1_709_210_096_789), "notes (process 7, since 2024-02-29 12:34:56 UTC)");
        assert_eq!(named(1_767_225_599_999), "notes (process 7, since 2025-12-31 23:59:59 UTC)");
        assert_eq!(named(-1), "notes (process 7, since 1969-12-31 23:59:59 UTC)");
    }
}
