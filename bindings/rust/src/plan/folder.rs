//! The folders in which plans keep their copies of a store: each is locked by whoever made it, and what a process that was killed has left
//! is removed when a store beside it is opened.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use tempfile::TempDir;

/// What their names begin with.
const PREFIX: &str = "afield-plan-";
/// The file in them that is locked as long as somebody needs them.
const LOCK: &str = "lock";
/// What else is in them: a copy of a store, and what SQLite and the store put beside one. Nothing else in such a folder was made here.
const COPY: [&str; 5] = ["sandbox.db", "sandbox.db-wal", "sandbox.db-shm", "sandbox.db-journal", "sandbox.db-lock"];
/// How many folders are made before that counts as failed: another process may take one away in the moment before it is locked.
const ATTEMPTS_MAX: usize = 16;

/// A folder that is deleted with its content when this is dropped.
#[derive(Debug)]
pub(super) struct PlanFolder {
    folder: TempDir,
    _lock: File,
}

impl PlanFolder {
    /// Makes one in a folder.
    pub(super) fn make(within: &Path) -> io::Result<Self> {
        for _ in 0..ATTEMPTS_MAX {
            let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(within)?;
            let path = folder.path().join(LOCK);
            let lock = match File::create_new(&path) {
                Ok(lock) => lock,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            match lock.try_lock() {
                // Whoever took it away had locked the file, which is no proof any more that it is there.
                Ok(()) if path.exists() => return Ok(Self { folder, _lock: lock }),
                Ok(()) | Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Err(io::Error::other("others keep taking away the folder for a copy of the store"))
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes the folders beside a store that nobody holds any more. What cannot be removed is tried again with the next opening.
pub(crate) fn discard_abandoned(store: &Path) {
    let Some(folder) = store.parent() else { return };
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && entry.file_name().to_string_lossy().starts_with(PREFIX) {
            match discard(&entry.path()) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => tracing::warn!(%error, "what a plan has left beside the store could not be removed"),
            }
        }
    }
}

/// Removes one unless somebody holds it, or is about to, or it is not one of ours.
fn discard(folder: &Path) -> io::Result<()> {
    let names: Vec<_> = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?;
    if names.is_empty() {
        // It may have been made just now: it is only removed as long as it is empty, and its maker makes another.
        return fs::remove_dir(folder);
    }
    let is_ours = |name: &OsString| name == LOCK || COPY.iter().any(|file| name == file);
    if !names.iter().all(is_ours) || !names.iter().any(|name| name == LOCK) {
        return Ok(());
    }
    let lock = File::options().write(true).open(folder.join(LOCK))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(()),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    for name in names.iter().filter(|name| *name != LOCK) {
        fs::remove_file(folder.join(name))?;
    }
    fs::remove_file(folder.join(LOCK))?;
    fs::remove_dir(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_holds_is_removed_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let store = place.path().join("notes.db");
        let held = PlanFolder::make(place.path()).unwrap();
        fs::write(held.path().join("sandbox.db"), "copy").unwrap();
        let left = |name: &str, files: &[&str]| {
            let folder = place.path().join(name);
            fs::create_dir(&folder).unwrap();
            files.iter().for_each(|file| fs::write(folder.join(file), "copy").unwrap());
            folder
        };
        let gone = [left("afield-plan-1", &[LOCK, "sandbox.db", "sandbox.db-wal"]), left("afield-plan-2", &[])];
        // Somebody may have called a folder so, and keep anything in it.
        let others = [
            left("another", &["sandbox.db"]),
            left("afield-plan-2026", &["sandbox.db"]),
            left("afield-plan-2027", &[LOCK, "sandbox.db", "notes.txt"]),
        ];
        discard_abandoned(&store);
        assert!(gone.iter().all(|folder| !folder.exists()));
        assert!(held.path().join("sandbox.db").exists());
        for other in others {
            assert!(fs::read_dir(&other).unwrap().count() > 0 && other.join("sandbox.db").exists(), "{other:?}");
        }
        let path = held.path().to_owned();
        drop(held);
        assert!(!path.exists(), "whoever is done takes it away");
    }
}
