//! The data folder: one relay at a time.

mod access;
mod owner;

use crate::log::{OpenLogError, SqliteLog, older_version};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

pub(crate) use access::this_user;
pub(crate) use owner::make_in;

/// The file that holds the log.
const LOG_FILE: &str = "log.sqlite";
/// The file that a running relay holds a lock on, and that names its process.
const LOCK_FILE: &str = "relay.lock";
/// The file that a running relay holds a lock on once what another one wrote of its sessions is forgotten.
const SESSIONS_LOCK_FILE: &str = "sessions.lock";
/// The file that a running backup holds a lock on.
const BACKUP_LOCK_FILE: &str = "backup.lock";
/// The most bytes read of a lock file: it holds one number.
const LOCK_BYTES_MAX: u64 = 64;
/// How long a relay that starts waits for the lock, and how long in between it does not ask.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// A folder with a relay's files.
#[derive(Debug, Clone)]
pub struct DataFolder(PathBuf);

/// The right to be the one relay on a folder; it ends with the value, or with the process.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

/// Whether the sessions that are written down in a log are those of a relay that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WrittenSessions {
    /// They are.
    Live,
    /// No relay runs, so there are none.
    NoRelay,
    /// A relay runs that does not write them down, or a command has the folder beside which none may run.
    Unknown,
}

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// The folder cannot be made.
    #[error("cannot create the data folder {}", path.display())]
    Create {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// This user may not look into it, so there is no telling what is there.
    #[error(
        "{} may not look into the data folder {}{}",
        access::named(*user),
        path.display(),
        owner.map(|owner| format!(", which is of user {owner}")).unwrap_or_default()
    )]
    Forbidden {
        /// The folder.
        path: PathBuf,
        /// The number of the user, where the platform has such.
        user: Option<u32>,
        /// The number of the user whose folder it is, where that can be told.
        owner: Option<u32>,
    },
    /// There is none, or no relay has used it.
    #[error("there is no relay's data in {}", path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// Another relay runs on it.
    #[error("the data folder {} is in use by another relay{}", path.display(), named(*holder))]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The number of its process, where the lock names one.
        holder: Option<u32>,
    },
    /// Another backup of it is being made.
    #[error("another backup of {} is being made{}", path.display(), named(*holder))]
    BackupRuns {
        /// The folder.
        path: PathBuf,
        /// The number of its process, where the lock names one.
        holder: Option<u32>,
    },
    /// The lock cannot be taken.
    #[error("cannot lock the data folder {}", path.display())]
    Lock {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn named(holder: Option<u32>) -> String {
    holder.map(|process| format!(" (process {process})")).unwrap_or_default()
}

impl DataFolder {
    /// Uses a folder, and makes it where it is not there, for its owner alone.
    ///
    /// # Errors
    ///
    /// It cannot be made, or this user may not look into it.
    pub fn create(path: PathBuf) -> Result<Self, FolderError> {
        access::has_log(&path)?;
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        // The folders that this makes are entries of folders above them, and those have to reach the disk, too, or a
        // power failure takes the whole log with them (R1).
        let above = if path.exists() { Vec::new() } else { folders_to_sync(&path) };
        match builder.create(&path).and_then(|()| above.iter().try_for_each(|folder| sync_folder(folder))) {
            Ok(()) => Ok(Self(path)),
            Err(source) => Err(FolderError::Create { path, source }),
        }
    }

    /// Uses a folder that holds a relay's log, and makes nothing.
    ///
    /// # Errors
    ///
    /// There is no such folder, or no log in it, or this user may not look into it.
    pub fn existing(path: PathBuf) -> Result<Self, FolderError> {
        if access::has_log(&path)? { Ok(Self(path)) } else { Err(FolderError::Missing { path }) }
    }

    /// The folder that a relay uses unless told otherwise: the platform's place for an application's data, and
    /// `afield-relay-data` in the current folder where there is no such place.
    pub fn default_path() -> PathBuf {
        use etcetera::BaseStrategy;

        etcetera::choose_base_strategy()
            .map_or_else(|_| PathBuf::from("afield-relay-data"), |folders| folders.data_dir().join("afield-relay"))
    }

    /// Where the folder is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The log's file, and its WAL.
    pub(super) fn log_files(&self) -> [PathBuf; 2] {
        [LOG_FILE.to_owned(), format!("{LOG_FILE}-wal")].map(|name| self.0.join(name))
    }

    /// Opens its log, also beside a running relay, as for administering tokens. A new one is readable by its owner alone,
    /// also where the folder is not.
    ///
    /// The log of an older version is brought to the newest one while nobody else is on the folder. A relay that runs on it is an older
    /// one, too: it goes on with what it has prepared for the log as it was.
    ///
    /// # Errors
    ///
    /// As [`SqliteLog::open`], or an older relay runs on it, or a relay of which it cannot be told.
    pub fn open_log(&self) -> Result<SqliteLog, OpenLogError> {
        let refused = match older_version(&self.log_file()) {
            Ok(None) => return self.open_file(),
            Ok(Some((found, supported))) => OpenLogError::BesideRelay { found, supported },
            // It may be an older one, and reading alone does not mend what a crash left: opening it does, which brings it there.
            Err(error) => error,
        };
        let _lock = self.lock().map_err(|error| match error {
            FolderError::Lock { source, .. } => OpenLogError::Lock(source),
            _ => refused,
        })?;
        self.open_file()
    }

    /// Opens its log as the one relay on it.
    pub(super) fn open_own_log(&self, _lock: &FolderLock) -> Result<SqliteLog, OpenLogError> {
        self.open_file()
    }

    fn open_file(&self) -> Result<SqliteLog, OpenLogError> {
        let path = self.log_file();
        // SQLite takes an empty file for a new database, and gives its other files the rights of this one. What keeps it
        // from being made keeps SQLite from opening it, which says so.
        if let Err(error) = make_in(&self.0, &path)
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            tracing::debug!(%error, "the log's file could not be made");
        }
        SqliteLog::open(&path)
    }

    /// The file of its log.
    pub(crate) fn log_file(&self) -> PathBuf {
        self.0.join(LOG_FILE)
    }

    /// All files that a relay on it opens, whether they are there or not.
    #[cfg(unix)]
    pub(crate) fn own_files(&self) -> Vec<PathBuf> {
        let [log, wal] = self.log_files();
        let others = [LOCK_FILE, SESSIONS_LOCK_FILE, BACKUP_LOCK_FILE, "log.sqlite-shm"];
        [log, wal].into_iter().chain(others.map(|name| self.0.join(name))).collect()
    }

    /// Takes the right to be the one relay on it, or to do what none may run beside.
    ///
    /// # Errors
    ///
    /// A relay runs on it, or the lock cannot be taken.
    pub(crate) fn lock(&self) -> Result<FolderLock, FolderError> {
        self.lock_file(LOCK_FILE)
    }

    /// Takes the right to be the one relay on it, and waits where somebody else has it, for a while: a command has it for moments only,
    /// and a service whose relay gives up at once may not be started again.
    ///
    /// # Errors
    ///
    /// A relay runs on it, or the lock cannot be taken.
    pub(super) async fn lock_patiently(&self) -> Result<FolderLock, FolderError> {
        self.lock_file_patiently(LOCK_FILE).await
    }

    /// Says that the sessions in the log are those of this relay, which has forgotten all others, until the value is dropped or the process
    /// ends. Whoever looks for it holds it for a moment.
    ///
    /// # Errors
    ///
    /// The lock cannot be taken.
    pub(super) async fn vouch_for_sessions(&self, _lock: &FolderLock) -> Result<FolderLock, FolderError> {
        self.lock_file_patiently(SESSIONS_LOCK_FILE).await
    }

    async fn lock_file_patiently(&self, name: &str) -> Result<FolderLock, FolderError> {
        let deadline = Instant::now() + LOCK_PATIENCE;
        loop {
            match self.lock_file(name) {
                // No platform tells when a lock is free and how long to wait for that at most: it is tried again.
                Err(FolderError::InUse { .. }) if Instant::now() < deadline => tokio::time::sleep(LOCK_PAUSE).await,
                answer => return answer,
            }
        }
    }

    /// Whether a relay runs on it, and the number of its process where the lock names one.
    pub(crate) fn holder(&self) -> Option<Option<u32>> {
        self.holder_of(LOCK_FILE)
    }

    /// Whether what is written down of sessions is of a relay that runs. Asked before the log is read: what a relay left that ended later is
    /// then of a moment ago, and one that started meanwhile has forgotten it.
    pub(crate) fn written_sessions(&self) -> WrittenSessions {
        match (self.holder_of(SESSIONS_LOCK_FILE), self.holder()) {
            (Some(_), _) => WrittenSessions::Live,
            (None, Some(_)) => WrittenSessions::Unknown,
            (None, None) => WrittenSessions::NoRelay,
        }
    }

    fn holder_of(&self, name: &str) -> Option<Option<u32>> {
        let file = File::open(self.0.join(name)).ok()?;
        // Shared, and for a moment only: others who ask at the same time do not take each other for a relay.
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let read = file.take(LOCK_BYTES_MAX).read_to_string(&mut text);
                Some(read.ok().and_then(|_| text.trim().parse().ok()))
            }
            _ => None,
        }
    }

    /// Takes the right to be the one who makes a backup of it.
    ///
    /// # Errors
    ///
    /// Somebody makes one, or the lock cannot be taken.
    pub(crate) fn lock_for_backup(&self) -> Result<FolderLock, FolderError> {
        self.lock_file(BACKUP_LOCK_FILE).map_err(|error| match error {
            FolderError::InUse { path, holder } => FolderError::BackupRuns { path, holder },
            error => error,
        })
    }

    fn lock_file(&self, name: &str) -> Result<FolderLock, FolderError> {
        let failed = |source| FolderError::Lock { path: self.0.clone(), source };
        let path = self.0.join(name);
        let opened = match make_in(&self.0, &path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => for_its_owner().read(true).open(path),
            made => made,
        };
        let mut file = opened.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let holder = file.take(LOCK_BYTES_MAX).read_to_string(&mut text).ok();
                let holder = holder.and_then(|_| text.trim().parse().ok());
                return Err(FolderError::InUse { path: self.0.clone(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        write(&mut file).map_err(failed)?;
        Ok(FolderLock { _file: file })
    }
}

/// Opens for writing; what that makes is for its owner alone.
pub(crate) fn for_its_owner() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// The folders that get a new entry when this one is made, with all that lead to it.
fn folders_to_sync(path: &Path) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for folder in path.ancestors().skip(1) {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        folders.push(folder.to_owned());
        if folder.exists() {
            break;
        }
    }
    folders
}

/// Brings the entries of a folder to the disk.
#[cfg(unix)]
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Elsewhere folders cannot be opened as files, and their entries are written through.
#[cfg(not(unix))]
pub(crate) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_relay_and_names_it_to_the_second() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::create(parent.path().join("deep/data")).unwrap();
        let first = folder.lock().unwrap();
        let second = folder.lock().unwrap_err();
        assert!(matches!(second, FolderError::InUse { holder: Some(process), .. } if process == std::process::id()));
        assert!(second.to_string().contains(&std::process::id().to_string()));
        drop(first);
        folder.lock().expect("the control: it is free again");
    }

    #[tokio::test]
    async fn written_sessions_are_live_only_while_their_relay_vouches_for_them() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::create(parent.path().join("data")).unwrap();
        assert_eq!(folder.written_sessions(), WrittenSessions::NoRelay);
        let relay = folder.lock().unwrap();
        assert_eq!(folder.written_sessions(), WrittenSessions::Unknown, "what is there may be of the relay before");
        let vouched = folder.vouch_for_sessions(&relay).await.unwrap();
        assert_eq!([folder.written_sessions(), folder.written_sessions()], [WrittenSessions::Live; 2]);
        drop(vouched);
        assert_eq!(folder.written_sessions(), WrittenSessions::Unknown);
        drop(relay);
        assert_eq!(folder.written_sessions(), WrittenSessions::NoRelay);
    }

    #[test]
    fn every_folder_that_gets_a_new_entry_is_synced() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b/c");
        let expected = [parent.path().join("a/b"), parent.path().join("a"), parent.path().to_owned()];
        assert_eq!(folders_to_sync(&path), expected);
        assert_eq!(folders_to_sync(Path::new("no-such-folder")), [Path::new(".")]);
    }

    #[cfg(unix)]
    #[test]
    fn what_it_makes_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::create(parent.path().join("data")).unwrap();
        assert_eq!(fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[cfg(unix)]
    #[test]
    fn its_files_are_for_their_owner_alone_in_any_folder() {
        use crate::log::Token;
        use crate::log::accounts::{Accounts, NewToken};
        use crate::server::{SystemClock, SystemEntropy};
        use std::os::unix::fs::PermissionsExt;
        let parent = tempfile::tempdir().unwrap();
        fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let folder = DataFolder::create(parent.path().to_owned()).unwrap();
        let _lock = folder.lock().unwrap();
        let mut log = folder.open_log().unwrap();
        log.create_token(&Token::new(&mut SystemEntropy), &NewToken::default(), SystemClock::start().now()).unwrap();
        let files: Vec<_> = fs::read_dir(parent.path()).unwrap().map(Result::unwrap).collect();
        assert!(files.len() >= 3, "the log, its WAL and the lock: {files:?}");
        for file in files {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
        }
    }

    #[test]
    fn a_log_is_not_brought_to_a_newer_version_under_an_older_relay() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::create(parent.path().to_owned()).unwrap();
        let old = rusqlite::Connection::open(folder.log_file()).unwrap();
        old.execute_batch(include_str!("../log/sqlite/schema_1.sql")).unwrap();
        old.execute_batch(include_str!("../log/sqlite/schema_1/erasures.sql")).unwrap();
        old.execute_batch("PRAGMA application_id = 0x4166526c; PRAGMA user_version = 1").unwrap();
        let version = || old.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)).unwrap();

        let relay = folder.lock().unwrap();
        let refused = folder.open_log().unwrap_err();
        assert!(matches!(refused, OpenLogError::BesideRelay { found: 1, .. }), "{refused}");
        assert!(refused.to_string().contains("stop it, or start it again with this version"), "{refused}");
        assert_eq!(version(), 1, "nothing was changed");
        folder.open_own_log(&relay).expect("the relay itself brings it there");
        assert!(version() > 1);
        folder.open_log().expect("beside a relay of this version everything opens");
    }

    /// The files of a log of version 1 as a kill leaves them in the middle of a transaction: whoever opens it to write rolls that back, and
    /// who may only read cannot tell what is in it.
    fn killed_halfway(file: &Path) {
        let parent = tempfile::tempdir().unwrap();
        let (path, journal) = (parent.path().join("old"), parent.path().join("old-journal"));
        let old = rusqlite::Connection::open(&path).unwrap();
        old.execute_batch(include_str!("../log/sqlite/schema_1.sql")).unwrap();
        old.execute_batch(include_str!("../log/sqlite/schema_1/erasures.sql")).unwrap();
        old.execute_batch("PRAGMA application_id = 0x4166526c; PRAGMA user_version = 1; PRAGMA cache_size = 10")
            .unwrap();
        old.execute_batch(
            "BEGIN; WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
                INSERT INTO actors (id) SELECT randomblob(200) FROM n",
        )
        .unwrap();
        fs::copy(&path, file).unwrap();
        fs::copy(&journal, file.with_extension("sqlite-journal")).unwrap();
    }

    #[test]
    fn a_log_of_which_no_version_can_be_told_is_not_changed_beside_a_relay() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::create(parent.path().to_owned()).unwrap();
        killed_halfway(&folder.log_file());
        let before = fs::read(folder.log_file()).unwrap();
        let relay = folder.lock().unwrap();
        folder.open_log().expect_err("it may be an older relay");
        assert!(fs::read(folder.log_file()).unwrap() == before, "nothing was changed");
        drop(relay);
        folder.open_log().expect("with nobody else there it is mended, and brought to this version");
    }

    #[test]
    fn what_is_not_there_is_not_made_by_looking_for_it() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("typo");
        assert!(matches!(DataFolder::existing(path.clone()), Err(FolderError::Missing { .. })));
        assert!(!path.exists());
        DataFolder::create(path.clone()).unwrap().open_log().unwrap();
        DataFolder::existing(path).expect("the control");
    }
}
