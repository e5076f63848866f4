//! `afield-relay`: the relay as a program of its own. Everything is in the library.

use clap::Parser;
use std::ffi::OsString;
use std::process::ExitCode;

/// The Afield relay: buffers changes durably between devices.
#[derive(Debug, Parser)]
#[command(name = "afield-relay", version = afield_relay::VERSION)]
struct Arguments {
    #[command(flatten)]
    relay: afield_relay::cli::RelayCommand,
}

fn main() -> ExitCode {
    let line: Vec<OsString> = std::env::args_os().collect();
    match Arguments::try_parse_from(&line) {
        Ok(arguments) => afield_relay::cli::run(arguments.relay),
        Err(error) => {
            let wants_json = line.iter().any(|word| word == "--json");
            afield_relay::cli::not_understood(&error, wants_json, "`afield-relay --help` shows what there is")
        }
    }
}
