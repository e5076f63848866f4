//! Many sessions with one relay, in a few processes.

mod guest;
mod holder;
mod users;

pub use guest::{Guest, say};
pub use holder::Holder;

use crate::party::PartyError;
use crate::role;
use afield_relay::log::OpenLogError;
use afield_relay::log::accounts::AccountError;
use afield_relay::server::FolderError;
use afield_tests::processes::{Access, RelayProcess};
use std::path::Path;

/// Among how many processes the sessions are divided.
const PROCESSES: usize = 4;
/// How many devices a user has, which share a space.
const DEVICES_PER_USER: usize = 5;

/// How many file descriptors a process needs beside its connections.
#[cfg(unix)]
const DESCRIPTORS_BESIDE: u64 = 200;

/// This system does not let sessions be held.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CrowdError {
    /// The limit of file descriptors cannot be raised far enough.
    #[error(
        "{sessions} sessions take {needed} file descriptors of the relay, and this system gives a process {limit}: raise \
         the hard limit (`ulimit -Hn {needed}` as root) or ask for fewer"
    )]
    Descriptors {
        /// How many sessions were asked for.
        sessions: usize,
        /// How many descriptors they take.
        needed: u64,
        /// How many there are.
        limit: u64,
    },
    /// A process fails.
    #[error(transparent)]
    Party(#[from] PartyError),
    /// The relay's folder cannot be made.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The relay's log cannot be opened.
    #[error("the relay's log could not be opened")]
    Open(#[from] OpenLogError),
    /// A user or a token cannot be made.
    #[error("a user or a token could not be made")]
    Users(#[from] AccountError),
}

/// Starts a relay for so many sessions, with the users whose they are and with room for more connections.
///
/// # Errors
///
/// A process or file fails, or this system does not give enough file descriptors.
pub fn relay_for(folder: &Path, sessions: usize, connections: usize) -> Result<RelayProcess, CrowdError> {
    raise_descriptors(sessions)?;
    let data = folder.join("relay");
    users::make(folder, &data, sessions)?;
    let options = ["--connections-max", &connections.to_string()];
    Ok(RelayProcess::start_with_options(&role::relay().map_err(PartyError::from)?, &data, Access::Tokens, &options))
}

/// How many sessions the process of this number holds.
fn share(sessions: usize, number: usize) -> usize {
    (sessions + number) / PROCESSES
}

/// Raises this process's limit of file descriptors, which its children inherit, as far as the sessions need.
#[cfg(unix)]
fn raise_descriptors(sessions: usize) -> Result<(), CrowdError> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let needed = sessions as u64 + DESCRIPTORS_BESIDE;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let has = |limit: Option<u64>| limit.is_none_or(|limit| limit >= needed);
    if has(current) {
        return Ok(());
    }
    let raised = Rlimit { current: Some(needed), maximum };
    if !has(maximum) || setrlimit(Resource::Nofile, raised).is_err() {
        return Err(CrowdError::Descriptors { sessions, needed, limit: maximum.or(current).unwrap_or(0) });
    }
    Ok(())
}

/// There is no such limit here.
#[cfg(not(unix))]
fn raise_descriptors(_sessions: usize) -> Result<(), CrowdError> {
    Ok(())
}
