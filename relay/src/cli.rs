//! The relay at a terminal: `serve`, and the tokens.
//!
//! `afield-relay` and `afield relay` are the same commands.

mod duration;
mod serve;
mod token;

use crate::log::{LogError, OpenLogError};
use crate::server::{DataFolder, FolderError, StartError};
use clap::{Args, Subcommand};
use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

pub use duration::{ParseTimeSpanError, TimeSpan};
pub use serve::ServeCommand;
pub use token::{CreateTokenCommand, TokenCommand};

/// What an exit code says.
const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed; the reason is on standard error
  2  the command line was wrong
  3  the data folder is in use by another relay
  4  there is no such token";

/// The code when the data folder is in use.
const EXIT_IN_USE: u8 = 3;
/// The code when there is no such token.
const EXIT_NOT_FOUND: u8 = 4;

/// The relay: the server that buffers changes between devices.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct RelayCommand {
    /// Folder with the relay's files; by default the platform's place for application data
    #[arg(long, global = true, env = "AFIELD_DATA", value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Print JSON, one object a line
    #[arg(long, global = true)]
    json: bool,
    /// What to do
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Run the relay until it is told to stop
    Serve(ServeCommand),
    /// Create, list and revoke the tokens that devices sign in with
    #[command(subcommand)]
    Token(TokenCommand),
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Open(#[from] OpenLogError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("the runtime could not be started")]
    Runtime(#[source] io::Error),
    #[error("the ready file {} could not be written", path.display())]
    ReadyFile {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the output could not be written")]
    Output(#[source] io::Error),
    #[error("there is no token {0} that could be revoked: see `afield-relay token list`")]
    NoSuchToken(i64),
    #[error("the relay has failed and stopped: start it again, and report what its log says")]
    Failed,
}

impl CommandError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Start(StartError::Folder(FolderError::InUse { .. })) | Self::Folder(FolderError::InUse { .. }) => {
                EXIT_IN_USE
            }
            Self::NoSuchToken(_) => EXIT_NOT_FOUND,
            _ => 1,
        }
    }
}

/// Runs one command, and says how it went.
///
/// Results go to standard output, everything else to standard error. Installs the log and a panic hook that keeps
/// content out (invariant S6), unless the process has a log already.
pub fn run(command: RelayCommand) -> ExitCode {
    std::panic::set_hook(Box::new(afield_core::panics::report));
    let RelayCommand { data, json, action } = command;
    let data = data.unwrap_or_else(DataFolder::default_path);
    let result = match action {
        Action::Serve(command) => command.run(data, json),
        Action::Token(command) => DataFolder::create(data).map_err(CommandError::from).and_then(|folder| {
            start_log(LogFormat::Text, "warn");
            command.run(&folder, json)
        }),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error is where this would be reported, so a failure to write there has nowhere to go.
            let _ = writeln!(io::stderr(), "error: {}", with_causes(&error));
            ExitCode::from(error.exit_code())
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: one object a line.
    Json,
}

/// Sends the log to standard error. Whatever level is asked for, nothing that prints content is let through (S6).
fn start_log(format: LogFormat, level: &str) {
    let mut filter = EnvFilter::builder().with_default_directive(tracing::Level::INFO.into()).parse_lossy(level);
    for target in afield_transport::LOG_TARGETS_WITH_CONTENT {
        let capped = format!("{target}=info").parse().expect("a target and a level are a directive");
        filter = filter.add_directive(capped);
    }
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // An embedding program that has a log already keeps it.
    let _ = match format {
        LogFormat::Text => builder.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}

fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn print_line(line: &str) -> Result<(), CommandError> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(CommandError::Output)
}

/// Says something beside the result.
fn note(text: &str) {
    // Nobody may be reading standard error, and the result is out already.
    let _ = writeln!(io::stderr(), "{text}");
}
