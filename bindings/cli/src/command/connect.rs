//! `afield connect` and `afield sync`

use crate::arguments::{Connect, Global};
use crate::context;
use crate::failure::Failure;
use crate::moved::{self, Moved};
use crate::output::Output;
use crate::remembered::{LastError, Remembered};
use afield::Replica;
use serde::Serialize;
use std::io::Read;
use std::path::Path;

#[derive(Debug, Serialize)]
struct Connected<'r> {
    relay: Option<&'r str>,
    #[serde(flatten)]
    moved: Option<Moved>,
}

pub(super) fn run(arguments: Connect, global: &Global, output: Output) -> Result<(), Failure> {
    let Some(url) = arguments.url.filter(|_| !arguments.off) else { return off(global, output) };
    let replica = context::open(global)?;
    let token = match arguments.token_file {
        Some(path) => Some(token_from(&path)?),
        None => arguments.token,
    };
    let mut remembered = Remembered::new(url, token);
    let result = attempt(&replica, &mut remembered, global, output, true);
    let moved = result?;
    let connected = Connected { relay: Some(&remembered.address), moved: Some(moved) };
    output.done(&connected, || format!("In step with {}.\n{}", remembered.address, moved.in_words()))
}

/// Gets in step with the relay that the store is connected to.
pub(super) fn sync(global: &Global, output: Output) -> Result<(), Failure> {
    let replica = context::open(global)?;
    let mut remembered = Remembered::read(&global.store)?.ok_or(Failure::NotConnected)?;
    let moved = attempt(&replica, &mut remembered, global, output, false)?;
    let synced = Connected { relay: Some(&remembered.address), moved: Some(moved) };
    output.done(&synced, || format!("In step. {}", moved.in_words()))
}

/// Syncs once and notes how it went. A relay that is new here is remembered once it has let this device in.
fn attempt(
    replica: &Replica,
    remembered: &mut Remembered,
    global: &Global,
    output: Output,
    is_new: bool,
) -> Result<Moved, Failure> {
    let attempt = moved::sync(replica, remembered.relay(), output)?;
    match &attempt.result {
        Ok(_) => {
            remembered.last_synced_ms = Some(context::wall_ms());
            remembered.last_error = None;
        }
        Err(Failure::Sync(error) | Failure::NotARelay(error)) => {
            remembered.last_error = Some(LastError { reason: error.to_string(), state: error.class().into() });
        }
        Err(_) => {}
    }
    if attempt.was_let_in || !is_new {
        remembered.write(&global.store)?;
    }
    attempt.result
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
