//! The processes that a benchmark consists of, all of them this same program.

use crate::agent::{Failure, ReplicaMember};
use crate::party::Contender;
use crate::{idle, storm};
use afield_tests::processes::{Program, agent};
use clap::{Args, Parser, Subcommand};
use std::io::Write;
use std::path::{Path, PathBuf};
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
    /// Clients that do what [`crate::protocol`] tells them.
    #[command(name = CLIENT)]
    Client {
        /// The folder of their stores.
        folder: PathBuf,
        /// How many.
        clients: usize,
    },
    /// Sessions that do nothing.
    #[command(name = SESSIONS)]
    Sessions {
        /// The relay's address.
        url: String,
        /// The file with their tokens.
        tokens: PathBuf,
        /// How many.
        count: usize,
    },
    /// Sessions that are cut, and come back at once.
    #[command(name = STORM)]
    Storm {
        /// The relay's address.
        url: String,
        /// The file with their tokens.
        tokens: PathBuf,
        /// How many.
        count: usize,
    },
}

#[derive(Debug, Args)]
struct RelayArguments {
    #[command(flatten)]
    relay: afield_relay::cli::RelayCommand,
}

const RELAY: &str = "role-relay";
const DEVICE: &str = "role-device";
const CLIENT: &str = "role-client";
const SESSIONS: &str = "role-sessions";
const STORM: &str = "role-storm";
/// A benchmark's devices have one address, and do more than people do: what a relay counts against floods is left aside.
const UNCOUNTED: [(&str, &str); 7] = [
    ("AFIELD_RATES_CONNECTIONS_PER_MINUTE", "0"),
    ("AFIELD_RATES_PUSHES_PER_SECOND", "0"),
    ("AFIELD_RATES_BYTES_PER_SECOND", "0"),
    ("AFIELD_RATES_USER_PUSHES_PER_SECOND", "0"),
    ("AFIELD_RATES_USER_BYTES_PER_SECOND", "0"),
    ("AFIELD_SESSIONS_PER_USER_MAX", "1000000"),
    ("AFIELD_HANDSHAKES_PER_ADDRESS_MAX", "1000000"),
];

/// The relay's program.
///
/// # Errors
///
/// The system does not tell where this executable is.
pub fn relay() -> std::io::Result<Program> {
    Ok(Program { variables: UNCOUNTED.to_vec(), ..Program::own(RELAY)? })
}

/// A device's program.
///
/// # Errors
///
/// The system does not tell where this executable is.
pub fn device() -> std::io::Result<Program> {
    Program::own(DEVICE)
}

/// Afield, as one of the systems that are measured alike.
///
/// # Errors
///
/// The system does not tell where this executable is.
pub fn afield() -> std::io::Result<Contender> {
    Ok(Contender { name: "Afield", server: serving(relay()?), client: Program::own(CLIENT)? })
}

/// A program that holds sessions; the relay's address, a file with tokens and their number come as the last arguments.
///
/// # Errors
///
/// The system does not tell where this executable is.
pub fn sessions() -> std::io::Result<Program> {
    Program::own(SESSIONS)
}

/// A program that holds sessions, cuts them and lets them come back; as [`sessions`].
///
/// # Errors
///
/// The system does not tell where this executable is.
pub fn storm() -> std::io::Result<Program> {
    Program::own(STORM)
}

/// Becomes a relay or a device when the process was started as one; call this first.
pub fn take() -> Option<ExitCode> {
    let first = std::env::args().nth(1)?;
    if ![RELAY, DEVICE, CLIENT, SESSIONS, STORM].contains(&first.as_str()) {
        return None;
    }
    Some(match RoleArguments::parse().role {
        Role::Relay(arguments) => afield_relay::cli::run(arguments.relay),
        Role::Device { store } => match agent::run(&store) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Role::Client { folder, clients } => told(client(&folder, clients)),
        Role::Sessions { url, tokens, count } => told(idle::hold_sessions(&url, &tokens, count)),
        Role::Storm { url, tokens, count } => told(storm::return_at_once(&url, &tokens, count)),
    })
}

/// A relay's program told to serve on a free port of this machine, with the data folder as its last argument.
fn serving(mut relay: Program) -> Program {
    let serve = ["serve", "--json", "--log", "warn", "--listen", "127.0.0.1:0", "--insecure-open"];
    relay.arguments.extend(serve.iter().chain(&["--data"]).map(|argument| (*argument).to_owned()));
    relay
}

fn client(folder: &Path, clients: usize) -> Result<(), Failure> {
    std::panic::set_hook(Box::new(afield::report_panic));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    crate::agent::run(ReplicaMember::open_all(folder, clients)?, runtime)
}

fn told(result: Result<(), Failure>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    // Nobody may be reading standard error, and there is nowhere else to say it.
    let _ = writeln!(std::io::stderr(), "{error}");
    ExitCode::FAILURE
}
