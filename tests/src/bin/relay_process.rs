//! The real relay for tests: the command line of `afield-relay`.

use clap::Parser;
use std::process::ExitCode;

#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    relay: afield_relay::cli::RelayCommand,
}

fn main() -> ExitCode {
    afield_relay::cli::run(Arguments::parse().relay)
}
