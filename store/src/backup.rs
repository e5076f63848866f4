//! A copy of the whole store while it is in use.

use crate::connection;
use crate::error::StoreError;
use crate::reader::{Reader, Source};
use crate::schema;
use afield_core::wire::Class;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// How many pages are copied between two words about the progress: 1 MiB, a few milliseconds.
const PAGES_PER_STEP: i32 = 256;

/// How many copies of one name may be in the making, or left by processes that were killed while they made one.
const PARTIALS_MAX: usize = 100;

/// How far a backup is.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use afield_store::{OpenOptions, Store};
/// # let folder = tempfile::tempdir()?;
/// # let store = Store::open(folder.path().join("notes.db"), &OpenOptions::default())?;
/// let mut percent = 0;
/// store.reader().backup(folder.path().join("copy.db"), |progress| {
///     percent = 100 * progress.done / progress.total;
/// })?;
/// assert_eq!(percent, 100);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupProgress {
    /// Bytes that are copied.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

/// A backup could not be made. Nothing stands at its place.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use afield_store::{BackupError, OpenOptions, Store};
/// # let folder = tempfile::tempdir()?;
/// # let store = Store::open(folder.path().join("notes.db"), &OpenOptions::default())?;
/// let copy = folder.path().join("copy.db");
/// store.reader().backup(&copy, |_| ())?;
/// let again = store.reader().backup(&copy, |_| ()).unwrap_err();
/// assert!(matches!(again, BackupError::Exists)); // nothing is overwritten: choose another name
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// Something stands there, or is left beside it of a store that stood there, and is not overwritten.
    #[error(
        "there is a file at the place of the backup already, or what an earlier store left beside it (-wal, -journal), which is not overwritten; choose another name"
    )]
    Exists,
    /// The folder does not exist or cannot be written.
    #[error("the place of the backup cannot be written")]
    Place(#[source] io::Error),
    /// The store could not be read, or the copy not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BackupError {
    /// What to do about it.
    ///
    /// ```
    /// use afield_core::wire::Class;
    /// use afield_store::BackupError;
    ///
    /// assert_eq!(BackupError::Exists.class(), Class::Permanent); // until there is another name
    /// ```
    pub fn class(&self) -> Class {
        match self {
            Self::Exists | Self::Place(_) => Class::Permanent,
            Self::Store(error) => error.class(),
        }
    }

    /// A name that stays the same from version to version.
    ///
    /// ```
    /// assert_eq!(afield_store::BackupError::Exists.code(), "backup.exists");
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::Exists => "backup.exists",
            Self::Place(_) => "backup.place",
            Self::Store(error) => error.code(),
        }
    }
}

impl Reader {
    /// Copies the store, as it is at one moment, into a new file that is synced when this returns. The writer goes on
    /// meanwhile, and what it writes is not in the copy.
    ///
    /// The file has its name only once it is complete: until then it is called `<name>-partial-<number>`, and is removed when
    /// this fails. What a process that was killed has left of one keeps no other back.
    ///
    /// # Errors
    ///
    /// See [`BackupError`].
    pub fn backup(&self, to: impl AsRef<Path>, mut progress: impl FnMut(BackupProgress)) -> Result<(), BackupError> {
        let go_on = |here| {
            progress(here);
            true
        };
        self.backup_while(to, go_on).map(drop)
    }

    /// Copies the store as [`Reader::backup`] does as long as it is told to go on; says whether the copy is complete. Otherwise nothing
    /// stands there.
    ///
    /// # Errors
    ///
    /// See [`BackupError`].
    pub fn backup_while(
        &self,
        to: impl AsRef<Path>,
        mut go_on: impl FnMut(BackupProgress) -> bool,
    ) -> Result<bool, BackupError> {
        let to = to.as_ref();
        // What SQLite left beside an earlier file of that name would be taken for a part of the copy.
        if ["", "-wal", "-journal"].iter().any(|ending| fs::symlink_metadata(beside(to, ending)).is_ok()) {
            return Err(BackupError::Exists);
        }
        let partial = Partial::create(to)?;
        match &*self.0 {
            Source::Memory(shared) => {
                // Told afterwards: whoever is told may read, for which the connection has to be free.
                let mut last = None;
                let note = &mut |here| {
                    last = Some(here);
                    true
                };
                shared.read(|connection| copy(connection, &partial.0, note))?;
                if !last.into_iter().all(go_on) {
                    return Ok(false);
                }
            }
            Source::File { path, .. } => {
                let mut source = connection::open_reader(path).map_err(StoreError::from)?;
                // One state for all steps, whatever the writer commits between them: it is chosen by the first reading.
                let transaction = source.transaction().map_err(StoreError::from)?;
                schema::version(&transaction).map_err(StoreError::from)?;
                if !copy(&transaction, &partial.0, &mut go_on)? {
                    return Ok(false);
                }
            }
        }
        partial.name(to).map(|()| true)
    }
}

/// The file while it is not complete; it is removed with this value.
struct Partial(PathBuf);

impl Partial {
    fn create(to: &Path) -> Result<Self, BackupError> {
        for number in 0..PARTIALS_MAX {
            let path = beside(to, &format!("-partial-{number}"));
            match File::create_new(&path) {
                Ok(_) => return Ok(Self(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(BackupError::Place(error)),
            }
        }
        Err(BackupError::Exists)
    }

    /// Gives the file its name, unless somebody else has taken that meanwhile.
    fn name(self, to: &Path) -> Result<(), BackupError> {
        // Not every system syncs a file that is open for reading alone.
        File::options().write(true).open(&self.0).and_then(|file| file.sync_all()).map_err(BackupError::Place)?;
        match fs::hard_link(&self.0, to) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(BackupError::Exists),
            // Not every file system has links; there the name is looked for once more.
            Err(_) if fs::symlink_metadata(to).is_ok() => return Err(BackupError::Exists),
            Err(_) => fs::rename(&self.0, to).map_err(BackupError::Place)?,
        }
        sync_folder(to).map_err(BackupError::Place)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Renamed it is not there any more; otherwise this is its second name, or what is left of a failure.
        let _ = fs::remove_file(&self.0);
    }
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(ending);
    PathBuf::from(name)
}

/// Makes the new name durable, where the system lets a folder be synced.
fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Copies as long as it is told to go on; says whether the copy is complete.
fn copy(source: &Connection, to: &Path, go_on: &mut impl FnMut(BackupProgress) -> bool) -> Result<bool, StoreError> {
    let page_bytes: u64 = source.pragma_query_value(None, "page_size", |row| row.get::<_, u32>(0))?.into();
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut copied = Connection::open_with_flags(to, flags)?;
    let backup = Backup::new(source, &mut copied)?;
    loop {
        let step = backup.step(PAGES_PER_STEP)?;
        let pages = backup.progress();
        let bytes = |pages: i32| u64::try_from(pages).unwrap_or(0) * page_bytes;
        let (total, rest) = (bytes(pages.pagecount), bytes(pages.remaining));
        let is_wanted = go_on(BackupProgress { done: total.saturating_sub(rest), total });
        match step {
            _ if !is_wanted => return Ok(false),
            StepResult::Done => return Ok(true),
            StepResult::More => {}
            // A second look: somebody checkpoints. SQLite has waited already as long as it waits for anybody.
            _ => std::thread::yield_now(),
        }
    }
}
