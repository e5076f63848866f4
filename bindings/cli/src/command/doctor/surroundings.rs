//! What a store stands on: the program, the files and the disk.

use super::Check;
use crate::context::beside;
use crate::remembered::Remembered;
use crate::text;
use std::path::Path;

/// Below this much free room a store cannot be counted on: SQLite's log alone may take as much, in bytes.
#[cfg(unix)]
const ROOM_FAIL: u64 = 32 * 1024 * 1024;
/// Below this much free room a person should be told, in bytes.
#[cfg(unix)]
const ROOM_WARN: u64 = 512 * 1024 * 1024;

/// What is installed.
pub(super) fn program() -> Check {
    let sqlite = afield::store::sqlite_version();
    Check::ok("program", format!("afield {}, SQLite {sqlite}", afield_relay::VERSION))
}

/// Whether the store and the token are for their owner alone.
pub(super) fn files(store: &Path) -> Vec<Check> {
    let relay = Remembered::path(store);
    let files = [store.to_owned(), beside(store, "-wal"), relay];
    let open: Vec<_> = files.iter().filter(|path| is_open_to_others(path)).collect();
    if open.is_empty() {
        return vec![Check::ok("files", "only their owner may read them")];
    }
    let warn = |path: &&std::path::PathBuf| {
        let path = shell_words::quote(&path.to_string_lossy()).into_owned();
        Check::warn("files", format!("other users may read {path}"), format!("`chmod 600 {path}`"))
    };
    open.iter().map(warn).collect()
}

#[cfg(unix)]
fn is_open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|about| about.permissions().mode() & 0o077 != 0)
}

/// Elsewhere the folder of a user is for that user alone.
#[cfg(not(unix))]
fn is_open_to_others(_path: &Path) -> bool {
    false
}

/// How much room there is on the disk of the store.
#[cfg(unix)]
pub(super) fn room(store: &Path) -> Check {
    let Ok(about) = rustix::fs::statvfs(store) else {
        return Check::warn("disk", "the free room is unknown", "look at it yourself");
    };
    let free = about.f_bavail.saturating_mul(about.f_frsize);
    let found = format!("{} free", text::bytes(free));
    match free {
        0..ROOM_FAIL => Check::fail("disk", found, "make room: what is written may not fit any more"),
        ROOM_FAIL..ROOM_WARN => Check::warn("disk", found, "make room before it is full"),
        _ => Check::ok("disk", found),
    }
}

/// How much room there is on the disk of the store, which this system is not asked for.
#[cfg(not(unix))]
pub(super) fn room(store: &Path) -> Check {
    let size = store.metadata().map_or(0, |about| about.len());
    Check::ok("disk", format!("the store takes {}", text::bytes(size)))
}
