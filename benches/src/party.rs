//! The server and the clients of a system, each a process of its own.

mod client;
mod server;
mod usage;

pub use client::ClientProcess;
pub use server::ServerProcess;
pub(crate) use usage::Usage;

use afield_tests::processes::Program;
use std::path::Path;
use std::time::Duration;

/// How long a process may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How the server and the clients of a system are started.
#[derive(Debug, Clone)]
pub struct Contender {
    /// The system's name.
    pub name: &'static str,
    /// Its server; the data folder comes as the last argument. It says where it listens under
    /// [`crate::protocol::ADDRESS`], and ends well on SIGTERM.
    pub server: Program,
    /// Its clients, which speak [`crate::protocol`]; a folder and the number of clients come as the last arguments.
    pub client: Program,
}

/// A measurement with processes fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PartyError {
    /// A process, a file or a pipe.
    #[error("a process cannot be used")]
    Process(#[from] std::io::Error),
    /// A server does not say where it listens.
    #[error("the server does not say where it listens")]
    Address,
    /// A client says nothing in time.
    #[error("a client was asked {asked} and says nothing for {} s", .within.as_secs())]
    Silent {
        /// What it was asked.
        asked: &'static str,
        /// How long it had.
        within: Duration,
    },
    /// A client has died.
    #[error("a client was asked {asked} and has died")]
    Died {
        /// What it was asked.
        asked: &'static str,
    },
    /// A client says why it failed. The words are its own, since it may be a program of somebody else.
    #[error("a client was asked {asked} and failed: {reason}")]
    Failed {
        /// What it was asked.
        asked: &'static str,
        /// Its words.
        reason: String,
    },
    /// A client says something else than what it was asked.
    #[error("a client was asked {asked} and answers something else")]
    Answer {
        /// What it was asked.
        asked: &'static str,
    },
    /// A client's clock differs from this process's.
    #[error("the clock of a client is off by {off_us} us")]
    Clock {
        /// By how much, in microseconds.
        off_us: u64,
    },
    /// A server does not end when it is asked to.
    #[error("the server does not end within {} s", .within.as_secs())]
    Stop {
        /// How long it had.
        within: Duration,
    },
    /// What should be equal is not.
    #[error("the clients do not hold the same texts at the end")]
    Unequal,
    /// The wire does not fall quiet.
    #[error("the wire does not fall quiet within {} s", .within.as_secs())]
    Loud {
        /// How long it had.
        within: Duration,
    },
}

/// The memory that a process holds now, in KiB, where the system tells as Linux does.
pub fn resident_kib(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// The size of all files below a folder, in bytes, and how many there are.
///
/// # Errors
///
/// A folder cannot be read.
pub fn files_below(folder: &Path) -> std::io::Result<(u64, u64)> {
    let (mut bytes, mut files) = (0, 0);
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                bytes += metadata.len();
                files += 1;
            }
        }
    }
    Ok((bytes, files))
}
