//! `afield connect` and `afield sync`

use crate::arguments::{Connect, Global};
use crate::context;
use crate::failure::Failure;
use crate::moved::{self, Moved};
use crate::output::Output;
use crate::remembered::{LastError, Remembered};
use afield::{Class, Replica, SyncError};
use serde::Serialize;
use std::io::Read;
use std::path::Path;

/// The variable that holds a token where the command line names none.
const TOKEN_VARIABLE: &str = "AFIELD_TOKEN";

#[derive(Debug, Serialize)]
struct Connected<'r> {
    relay: Option<&'r str>,
    #[serde(flatten)]
    moved: Option<Moved>,
}

pub(super) fn run(arguments: Connect, global: &Global, output: Output) -> Result<(), Failure> {
    let Some(url) = arguments.url.filter(|_| !arguments.off) else { return off(global, output) };
    let replica = context::open(global)?;
    let token = match (arguments.token_file, arguments.token) {
        (Some(path), _) => Some(token_from(&path)?),
        (None, Some(token)) => Some(token),
        (None, None) => std::env::var(TOKEN_VARIABLE).ok().filter(|token| !token.is_empty()),
    };
    let authority = arguments.ca.map(|path| std::fs::read_to_string(&path).map_err(Failure::file(path))).transpose()?;
    let mut remembered = Remembered::new(url, token, authority);
    let before = Remembered::read(&global.store).ok().flatten();
    if let Some(before) = &before {
        remembered.keep_authority(before);
    }
    let other = before.filter(|before| before.is_worth_keeping_for(&remembered)).map(|before| before.address);
    let is_new = other.is_none();
    let moved = attempt(&replica, &mut remembered, global, output, other).map_err(|failure| match failure {
        Failure::Sync(source) if is_new => {
            let is_token_missing = source.class() == Class::SignIn && !remembered.has_token();
            Failure::NotInStep { relay: remembered.address.clone(), is_token_missing, source }
        }
        failure => failure,
    })?;
    let words = moved.in_words();
    let connected = Connected { relay: Some(&remembered.address), moved: Some(moved) };
    output.done(&connected, || format!("In step with {}.\n{words}", remembered.address))
}

/// Gets in step with the relay that the store is connected to.
pub(super) fn sync(global: &Global, output: Output) -> Result<(), Failure> {
    let replica = context::open(global)?;
    let mut remembered = Remembered::read(&global.store)?.ok_or(Failure::NotConnected)?;
    let moved = attempt(&replica, &mut remembered, global, output, None)?;
    let words = moved.in_words();
    let synced = Connected { relay: Some(&remembered.address), moved: Some(moved) };
    output.done(&synced, || format!("In step. {words}"))
}

/// Syncs once and notes how it went. The relay is remembered, whether or not it was reached; where the store is connected
/// to another one, or with another token, only once it has let this device in.
fn attempt(
    replica: &Replica,
    remembered: &mut Remembered,
    global: &Global,
    output: Output,
    other: Option<String>,
) -> Result<Moved, Failure> {
    let attempt = moved::sync(replica, remembered.relay()?, output)?;
    remembered.spaces = attempt.refused_spaces;
    match &attempt.result {
        Ok(_) => {
            remembered.last_synced_ms = Some(context::wall_ms());
            remembered.last_error = None;
        }
        Err(Failure::Sync(error)) => {
            let sign_in = match error {
                SyncError::Failed { sign_in, .. } => *sign_in,
                _ => None,
            };
            remembered.last_error = Some(LastError { reason: error.to_string(), state: error.class().into(), sign_in });
        }
        // Of everything else it is in step.
        Err(Failure::ChangesRefused { .. }) => {
            remembered.last_synced_ms = attempt.last_synced_ms.or(remembered.last_synced_ms);
            remembered.last_error = None;
        }
        Err(_) => {}
    }
    match (attempt.result, other) {
        (Err(Failure::Sync(error)), Some(address)) if !attempt.was_let_in => {
            Err(Failure::NotReplaced { source: error, kept: address })
        }
        (result, Some(_)) if !attempt.was_let_in => result,
        (result, _) => {
            remembered.write(&global.store)?;
            result
        }
    }
}

fn off(global: &Global, output: Output) -> Result<(), Failure> {
    if !global.store.exists() {
        return Err(Failure::NoStore(global.store.clone()));
    }
    let was_there = Remembered::forget(&global.store)?;
    output.done(&Connected { relay: None, moved: None }, || {
        let done = if was_there { "Forgot the relay." } else { "There was no relay." };
        format!("{done} What is stored here stays.")
    })
}

fn token_from(path: &Path) -> Result<String, Failure> {
    let mut token = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut token)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut token))
    };
    read.map_err(|source| Failure::TokenFile { path: path.to_owned(), source })?;
    Ok(token.trim().to_owned())
}
