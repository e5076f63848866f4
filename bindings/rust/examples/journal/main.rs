//! A journal in a terminal: days with moods and activities, questionnaires on schedules, on several devices, with or without a
//! network.
//!
//! ```sh
//! cargo run --release --example journal             # opens the journal of this person, or begins it
//! cargo run --release --example journal -- two.db   # another store: a second device
//! ```
//!
//! It is the longest example of the library, and shows that an app needs no layer between itself and the library. Read it in
//! this order:
//!
//! | file | what it shows of the library |
//! | --- | --- |
//! | `model.rs` | the schema: plain structs, whose types of fields say how concurrent edits merge |
//! | `journal.rs` | opening, spaces, indexes, queries, joining from a second device, switching sync on and off |
//! | `screens/days.rs` | a live query, full-text search, filters, the trash |
//! | `screens/entry.rs` | each key as an edit by path; typed edits; undo and redo |
//! | `screens/history.rs` | who, when, on which device; what differs; back to what it was |
//! | `screens/statistics.rs` | means and counts by queries |
//! | `screens/form.rs`, `answering.rs`, `assessments.rs` | inserting, schedules, charts |
//! | `screens/conflicts.rs` | the inbox, and deciding |
//! | `screens/sync.rs` | the status in words, "sync now" and its cool-down, schedules of sync |
//! | `screens/settings.rs`, `settings.rs` | what belongs to a device and is not shared |
//! | `failure.rs` | errors in words, with the next step |
//! | `app.rs` | keys in, and what changes by itself: watching |
//! | `draw.rs`, `typing.rs`, `terminal.rs` | the window, without the library |
//! | `tests.rs` | two devices and a real relay, driven by keys; the app in a real terminal |

mod app;
mod draw;
mod failure;
mod journal;
mod model;
mod screens;
mod settings;
mod terminal;
#[cfg(test)]
mod tests;
mod typing;

use app::App;
use clap::Parser;
use etcetera::BaseStrategy;
use failure::Failure;
use jiff::tz::TimeZone;
use journal::Journal;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// A journal with moods, activities and questionnaires, on several devices
#[derive(Debug, Parser)]
#[command(
    name = "journal",
    after_help = "Everything works without a network. Settings (6) has the relay to sync with."
)]
struct Arguments {
    /// The store file; without it, one in the platform's folder for an application's data
    store: Option<PathBuf>,
}

fn main() -> ExitCode {
    start(Arguments::parse())
}

/// Runs the app to its end, and says what went wrong.
fn start(arguments: Arguments) -> ExitCode {
    match run(arguments.store.unwrap_or_else(default_store)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Where nobody reads it, nobody misses it.
            let _ = writeln!(io::stderr(), "journal: {}", failure.in_words());
            ExitCode::FAILURE
        }
    }
}

fn run(store: PathBuf) -> Result<(), Failure> {
    make_private(&store).map_err(Failure::File)?;
    let journal = Journal::open(&store, TimeZone::system(), Arc::new(jiff::Timestamp::now))?;
    terminal::run(|size| App::new(journal, size))
}

/// Makes the file of a new store, and its folder, readable by their owner alone: SQLite takes an empty file for a new database,
/// and gives those beside it the same rights.
fn make_private(store: &Path) -> io::Result<()> {
    if let Some(folder) = store.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(store) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn default_store() -> PathBuf {
    match etcetera::choose_base_strategy() {
        Ok(folders) => folders.data_dir().join("afield").join("journal.db"),
        // Without a home folder there is still the present one.
        Err(_) => PathBuf::from("journal.db"),
    }
}
