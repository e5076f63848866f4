//! The users of a relay, each with a token for its devices.

use super::{CrowdError, DEVICES_PER_USER, PROCESSES, share};
use crate::agent::Failure;
use crate::party::PartyError;
use afield_relay::log::Token as RelayToken;
use afield_relay::log::accounts::{Accounts, NewToken};
use afield_relay::server::{DataFolder, SystemClock, SystemEntropy};
use afield_transport::Token;
use std::path::{Path, PathBuf};

/// The file with the tokens for the sessions of one process, one a line.
pub(super) fn file(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("tokens-{number}"))
}

/// Makes the users in the data folder of a relay that does not run yet, and writes their tokens to files.
pub(super) fn make(folder: &Path, data: &Path, sessions: usize) -> Result<(), CrowdError> {
    let mut log = DataFolder::create(data.to_owned())?.open_log()?;
    let clock = SystemClock::start();
    for process in 0..PROCESSES {
        let mut tokens = String::new();
        for user in 0..share(sessions, process).div_ceil(DEVICES_PER_USER) {
            let name = format!("user-{process}-{user}");
            log.create_user(&name, clock.now())?;
            let token = RelayToken::new(&mut SystemEntropy);
            let new = NewToken { user: Some(name), may_create: true, ..NewToken::default() };
            log.create_token(&token, &new, clock.now())?;
            tokens.push_str(token.reveal());
            tokens.push('\n');
        }
        std::fs::write(file(folder, process), tokens).map_err(PartyError::from)?;
    }
    Ok(())
}

/// Reads such a file.
pub(super) fn read(file: &Path) -> Result<Vec<Token>, Failure> {
    std::fs::read_to_string(file)?.lines().map(|line| Ok(line.parse()?)).collect()
}
