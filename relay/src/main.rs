//! `afield-relay`: the relay as a program of its own. Everything is in the library.

use clap::Parser;
use std::process::ExitCode;

/// The Afield relay: buffers changes durably between devices.
#[derive(Debug, Parser)]
#[command(name = "afield-relay", version)]
struct Arguments {
    #[command(flatten)]
    relay: afield_relay::cli::RelayCommand,
}

fn main() -> ExitCode {
    afield_relay::cli::run(Arguments::parse().relay)
}
