//! Which commit a folder of sources is, as far as it can be told: git may be missing, and what was published has no repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How many digits of a commit are shown.
const DIGITS: usize = 12;

/// A commit that somebody has named, where it is one.
pub(crate) fn named(text: Option<String>) -> Option<String> {
    let text = text?.trim().to_ascii_lowercase();
    let is_commit = text.len() >= 7 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_commit.then(|| text.chars().take(DIGITS).collect())
}

/// The commit of a package's folder: that which cargo noted when it was published, or that of the repository it is a part of.
pub(crate) fn of(folder: &Path) -> Option<String> {
    published(folder).or_else(|| named(git(folder, &["rev-parse", "HEAD"]).filter(|_| is_in_repository(folder))))
}

/// The files that change with the commit.
pub(crate) fn seen_in(folder: &Path) -> Vec<PathBuf> {
    if !is_in_repository(folder) {
        return Vec::new();
    }
    let paths = ["HEAD", "logs/HEAD"].map(|name| git(folder, &["rev-parse", "--git-path", name]));
    // One that is not there would count as changed each time.
    paths.into_iter().flatten().map(|path| folder.join(path)).filter(|path| path.exists()).collect()
}

fn published(folder: &Path) -> Option<String> {
    let noted = fs::read_to_string(folder.join(".cargo_vcs_info.json")).ok()?;
    let (_, rest) = noted.split_once("\"sha1\"")?;
    named(rest.split('"').nth(1).map(str::to_owned))
}

/// Whether the repository that a folder stands in knows it: sources that were unpacked into somebody else's are none of its.
fn is_in_repository(folder: &Path) -> bool {
    git(folder, &["ls-files", "--error-unmatch", "Cargo.toml"]).is_some()
}

fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(folder).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    Some(text.trim().to_owned())
}
