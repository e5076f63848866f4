//! Whose the files of a data folder are.

use super::for_its_owner;
use std::fs::File;
use std::io;
use std::path::Path;

/// Makes a file in a data folder, for the folder's owner alone, also where root makes it: a relay does not run as root, and what only root
/// may open keeps it from starting. What SQLite makes beside a log gets the owner of the log.
///
/// # Errors
///
/// There is something of that name, or it cannot be made.
pub(crate) fn make_in(folder: &Path, path: &Path) -> io::Result<File> {
    let file = for_its_owner().read(true).create_new(true).open(path)?;
    // Nobody but root gives files away; who shares the folder by its group keeps what it makes.
    if let Err(error) = give_to_owner(folder, &file) {
        tracing::debug!(path = %path.display(), %error, "a file stays with who made it");
    }
    Ok(file)
}

/// Gives a file that is new and open: to what a name leads, the folder's owner may change meanwhile.
#[cfg(unix)]
fn give_to_owner(folder: &Path, file: &File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let (owner, made) = (folder.metadata()?, file.metadata()?);
    if owner.uid() == made.uid() {
        return Ok(());
    }
    fchown(file, Some(owner.uid()), Some(owner.gid()))
}

/// Elsewhere a file belongs to whom the folder's rights say.
#[cfg(not(unix))]
fn give_to_owner(_: &Path, _: &File) -> io::Result<()> {
    Ok(())
}
