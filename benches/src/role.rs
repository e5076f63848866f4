//! The processes that a benchmark consists of, all of them this same program.

use afield_tests::processes::{Program, agent};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// The hidden subcommands.
#[derive(Debug, Parser)]
struct RoleArguments {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// The real relay.
    #[command(name = RELAY)]
    Relay(RelayArguments),
    /// A real device.
    #[command(name = DEVICE)]
    Device {
        /// Its store file.
        store: PathBuf,
    },
}

#[derive(Debug, Args)]
struct RelayArguments {
    #[command(flatten)]
    relay: afield_relay::cli::RelayCommand,
}

const RELAY: &str = "role-relay";
const DEVICE: &str = "role-device";

/// The relay's program.
///
/// # Errors
///
/// The system does not tell where this executable is.
pub fn relay() -> std::io::Result<Program> {
    Program::own(RELAY)
}

/// A device's program.
///
/// # Errors
///
/// The system does not tell where this executable is.
pub fn device() -> std::io::Result<Program> {
    Program::own(DEVICE)
}

/// Becomes a relay or a device when the process was started as one; call this first.
pub fn take() -> Option<ExitCode> {
    let first = std::env::args().nth(1)?;
    if first != RELAY && first != DEVICE {
        return None;
    }
    Some(match RoleArguments::parse().role {
        Role::Relay(arguments) => afield_relay::cli::run(arguments.relay),
        Role::Device { store } => match agent::run(&store) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
    })
}
