//! A file that is made beside its place, and comes there when it is whole.

use crate::server::folder::{for_its_owner, make_in, sync_folder};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// What SQLite calls the files that belong to a database.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// A file that is being made; dropped before it was put in place, nothing of it stays.
#[derive(Debug)]
pub(super) struct Partial {
    path: PathBuf,
    is_in_place: bool,
}

impl Partial {
    /// Makes an empty file for its owner alone, in the place of what a killed process left there.
    pub(super) fn create(path: PathBuf) -> io::Result<Self> {
        Self::create_by(path, |path| for_its_owner().create_new(true).open(path))
    }

    /// Makes an empty file beside a log, for the owner of its folder alone, in the place of what a killed process left there.
    pub(super) fn create_in_data(path: PathBuf) -> io::Result<Self> {
        Self::create_by(path, |path| make_in(folder_of(path), path))
    }

    fn create_by(path: PathBuf, make: impl FnOnce(&Path) -> io::Result<File>) -> io::Result<Self> {
        let partial = Self { path, is_in_place: false };
        partial.remove()?;
        make(&partial.path)?;
        Ok(partial)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Brings the file to the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        OpenOptions::new().write(true).open(&self.path)?.sync_all()
    }

    /// Renames the file, and brings that to the disk. What has the name is replaced, at once.
    pub(super) fn put_in_place(mut self, target: &Path) -> io::Result<()> {
        fs::rename(&self.path, target)?;
        self.is_in_place = true;
        sync_folder(folder_of(target))
    }

    fn remove(&self) -> io::Result<()> {
        remove_if_there(&self.path)?;
        remove_beside(&self.path)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.is_in_place
            && let Err(error) = self.remove()
        {
            tracing::warn!(path = %self.path.display(), %error, "a file that was not finished could not be removed");
        }
    }
}

/// Removes what SQLite keeps beside a database.
pub(super) fn remove_beside(path: &Path) -> io::Result<()> {
    BESIDE.iter().try_for_each(|suffix| remove_if_there(&with_suffix(path, suffix)))
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The first file beside a database that holds what is to go into it.
pub(super) fn unfinished_beside(path: &Path) -> Option<PathBuf> {
    let beside = ["-wal", "-journal"].iter().map(|suffix| with_suffix(path, suffix));
    beside.into_iter().find(|beside| fs::metadata(beside).is_ok_and(|file| file.len() > 0))
}

/// A path with more behind its name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The folder that a file is an entry of.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
