//! `afield relay …`: the relay, in the same binary.

use crate::arguments::Relay;
use std::io::Read;
use std::process::ExitCode;

/// Runs what `afield-relay` runs.
pub(crate) fn run(relay: Relay) -> ExitCode {
    if relay.while_stdin_is_open {
        let watch = std::thread::Builder::new().name("afield-stdin".to_owned()).spawn(end_with_stdin);
        if watch.is_err() {
            return ExitCode::FAILURE;
        }
    }
    afield_relay::cli::run(relay.command)
}

/// Ends the process once stdin is closed, which the system does when whoever holds the other end has gone.
///
/// At once and without ceremony: what has a receipt is stored (invariant R1), and nobody is left to read more.
fn end_with_stdin() {
    let mut stdin = std::io::stdin().lock();
    let mut ignored = [0; 64];
    while matches!(stdin.read(&mut ignored), Ok(1..)) {}
    std::process::exit(0);
}
