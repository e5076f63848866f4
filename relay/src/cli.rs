//! The relay at a terminal: `serve`, `compact`, what administers accounts, and the configuration.
//!
//! `afield-relay` and `afield relay` are the same commands.

mod backup;
mod compact;
mod config;
mod device;
mod doctor;
mod log;
mod operation;
mod otlp;
mod progress;
mod purge;
mod serve;
mod session;
mod shown;
mod space;
mod token;
mod user;
mod verify;

use crate::causes::with_causes;
use crate::config::{CheckError, ConfigError, Flags, Sources};
use crate::log::accounts::AccountError;
use crate::log::{LogError, OpenLogError, TOKEN_PREFIX, TokenHash};
use crate::server::{FolderError, StartError};
use afield_core::SpaceId;
use afield_core::id::ParseIdError;
use clap::{Args, Subcommand};
use operation::OperationError;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

pub use crate::config::{LogFormat, ParseTimeSpanError, TimeSpan};
pub use backup::{BackupCommand, RestoreCommand};
pub use compact::CompactCommand;
pub use config::ConfigCommand;
pub use device::DeviceCommand;
pub use doctor::DoctorCommand;
pub use purge::PurgeCommand;
pub use serve::ServeCommand;
pub use session::SessionCommand;
pub use space::SpaceCommand;
pub use token::{CreateTokenCommand, TokenCommand};
pub use user::UserCommand;
pub use verify::VerifyCommand;

/// What an exit code says.
const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed; the reason is on standard error
  2  the command line or the configuration was wrong
  3  the data folder is in use by another relay
  4  there is no such user, token, space, device or session, or no relay's data in the folder
  6  something is wrong, and was said

With --json an error is an object {error, code, class, next} on standard error.";

/// The code when the command line or the configuration was wrong.
const EXIT_USAGE: u8 = 2;
/// The code when the data folder is in use.
const EXIT_IN_USE: u8 = 3;
/// The code when what a command is about is not there, or no folder.
const EXIT_NOT_FOUND: u8 = 4;

/// The code when a look at the log found something wrong.
const EXIT_FOUND: u8 = 6;

/// What to do where the folder's files may not be opened.
const AS_OWNER: &str = "run it as the user whose folder it is; `doctor` says whether all in it is that user's";

/// More than any secret that is read.
const SECRET_BYTES_MAX: u64 = 4_096;

/// The relay: the server that buffers changes between devices.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct RelayCommand {
    /// Folder with the relay's files [default: the platform's place for application data] [env: AFIELD_DATA]
    #[arg(long, global = true, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// File with the configuration [default: /etc/afield/relay.toml, where that is there] [env: AFIELD_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
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
    /// Make the log smaller: pack what is old
    Compact(CompactCommand),
    /// Copy the log into one file, also while the relay runs
    Backup(BackupCommand),
    /// Put a backup in the place of the log
    Restore(RestoreCommand),
    /// Say what is wrong with this relay, and what to do about it
    Doctor(DoctorCommand),
    /// Read all of the log, and say what is wrong
    Verify(VerifyCommand),
    /// Take entities, spaces or users away for good
    #[command(subcommand)]
    Purge(PurgeCommand),
    /// Make, list, close and sign out users
    #[command(subcommand)]
    User(UserCommand),
    /// Create, list and revoke the tokens that devices sign in with
    #[command(subcommand)]
    Token(TokenCommand),
    /// List spaces, and say who may use them
    #[command(subcommand)]
    Space(SpaceCommand),
    /// List, name and sign out devices
    #[command(subcommand)]
    Device(DeviceCommand),
    /// List the devices that are connected now, and sign one out
    #[command(subcommand)]
    Session(SessionCommand),
    /// Print the OpenAPI document of the administration over HTTP
    Openapi,
    /// Check, show and document the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
}

impl From<crate::operations::BackupError> for CommandError {
    fn from(error: crate::operations::BackupError) -> Self {
        Self::Operation(error.into())
    }
}

impl From<crate::operations::RestoreError> for CommandError {
    fn from(error: crate::operations::RestoreError) -> Self {
        Self::Operation(error.into())
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Start(#[from] CheckError),
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
    #[error("standard input could not be read")]
    Input(#[source] io::Error),
    #[error("there is no space {0} on this relay")]
    NoSuchSpace(SpaceId),
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error("{0} is read from standard input, and there was nothing")]
    NoSecret(&'static str),
    #[error(transparent)]
    TokenFile(#[from] token::TokenFileError),
    #[error(transparent)]
    Operation(#[from] OperationError),
    #[error(transparent)]
    Otlp(#[from] otlp::OtlpError),
    #[error("both are wanted: USER and DEVICE")]
    UserAndDevice,
    #[error("of USER and DEVICE the second is the id of a device")]
    DeviceId(#[source] ParseIdError),
    #[error("there are no sessions: no relay runs on this folder")]
    NoRelay,
    #[error("what runs on this folder writes no sessions down: there is no telling which there are")]
    SessionsUnknown,
    #[error("the relay has failed and stopped")]
    Failed,
}

/// An error, as a program reads it.
#[derive(Debug)]
struct Told<'e> {
    error: &'e str,
    code: &'static str,
    class: &'static str,
    next: Option<&'static str>,
}

impl CommandError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) => EXIT_USAGE,
            Self::Start(error) if error.is_wrong_configuration() => EXIT_USAGE,
            Self::Open(OpenLogError::BesideRelay { .. }) => EXIT_IN_USE,
            Self::Start(CheckError::Start(StartError::Folder(error))) | Self::Folder(error) => match error {
                FolderError::InUse { .. } => EXIT_IN_USE,
                FolderError::Missing { .. } => EXIT_NOT_FOUND,
                _ => 1,
            },
            Self::NoSuchSpace(_) | Self::NoRelay => EXIT_NOT_FOUND,
            Self::Operation(error) => error.exit_code(),
            Self::Account(error) if error.is_missing() => EXIT_NOT_FOUND,
            Self::Account(AccountError::Name) | Self::NoSecret(_) | Self::UserAndDevice | Self::DeviceId(_) => {
                EXIT_USAGE
            }
            Self::TokenFile(token::TokenFileError::Exists { .. }) => EXIT_USAGE,
            _ => 1,
        }
    }

    /// The exit code in a word, and whether trying again helps.
    fn code_and_class(&self) -> (&'static str, &'static str) {
        match self.exit_code() {
            EXIT_USAGE if matches!(self, Self::Config(_) | Self::Start(_)) => ("configuration", "permanent"),
            EXIT_IN_USE => ("in_use", "retry"),
            EXIT_NOT_FOUND => ("not_found", "permanent"),
            EXIT_USAGE => ("usage", "permanent"),
            EXIT_FOUND => ("found", "permanent"),
            _ => ("failed", "permanent"),
        }
    }

    /// What a person would do next.
    fn next(&self) -> Option<&'static str> {
        match self {
            Self::Account(error) => next_of(error),
            Self::Operation(error) => error.next(),
            Self::TokenFile(token::TokenFileError::Forbidden { .. }) => Some(
                "no token was made; name a file in a folder of this user's, or send it there: \
                (umask 077; afield-relay token create … > FILE)",
            ),
            Self::TokenFile(_) => Some("name another file; no token was made"),
            Self::NoSecret(_) => Some("pipe it in, or type it and end with the return key"),
            Self::NoSuchSpace(_) => Some("leave out --space for all spaces; a device's `space list` shows its ids"),
            Self::Otlp(_) => Some("see what `config print` shows of otlp; without otlp.endpoint nothing is sent"),
            Self::UserAndDevice | Self::DeviceId(_) => Some("`device list` shows both of each device"),
            Self::NoRelay => Some("`serve` starts one; `device sign-out` works without"),
            Self::SessionsUnknown => Some("the log of the relay may say why; `device list` and `device sign-out` work"),
            Self::Failed => Some("start it again, and report what its log says"),
            Self::Config(_) => Some("`config keys` lists all keys, `config check` checks without starting"),
            Self::Start(CheckError::Start(StartError::Folder(error))) | Self::Folder(error) => match error {
                FolderError::Missing { .. } => {
                    Some("name the relay's folder with --data; `serve` and `token create` make a new one")
                }
                FolderError::InUse { .. } => Some("stop the other relay, or give this one a folder with --data"),
                FolderError::Forbidden { .. } => Some(AS_OWNER),
                FolderError::Lock { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => Some(AS_OWNER),
                FolderError::Create { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                    Some("name a folder with --data that this user may make, or run it as the user of the relay")
                }
                _ => None,
            },
            Self::Open(OpenLogError::Lock(source)) if source.kind() == io::ErrorKind::PermissionDenied => {
                Some(AS_OWNER)
            }
            Self::Open(OpenLogError::NotOpened { why, .. })
            | Self::Start(CheckError::Start(StartError::Log(OpenLogError::NotOpened { why, .. }))) => Some(why.next()),
            Self::Open(OpenLogError::ReadOnly)
            | Self::Start(CheckError::Start(StartError::Log(OpenLogError::ReadOnly))) => {
                Some("run it as the user whose folder it is, and see whether its disk is mounted for reading only")
            }
            Self::Start(CheckError::Start(StartError::Listen { .. })) => Some("choose another address with --listen"),
            Self::Start(error) if error.is_wrong_configuration() => {
                Some("`config print` shows what is set, and where; `config check` checks without starting")
            }
            _ => None,
        }
    }
}

fn next_of(error: &AccountError) -> Option<&'static str> {
    match error {
        AccountError::NoSuchUser => Some("`user list` shows the users, `user create` makes one"),
        AccountError::UserExists => Some("`user list` shows the users"),
        AccountError::NoSuchToken(_) => Some("`token list` shows the tokens"),
        AccountError::NoSuchSpace(_) => Some("`space list` shows the spaces; a device brings its spaces when it syncs"),
        AccountError::SpaceExists(_) => Some("`space members` shows who owns it, `space grant` changes that"),
        AccountError::SpacePurged(_) => Some("make another one on a device, and give it what is to be kept"),
        AccountError::NoRoomForSpaces => Some("a relay on another folder has room"),
        AccountError::NoSuchMember(_) => Some("`space members` shows the members"),
        AccountError::LastOwner(_) => Some("make somebody else an owner first: `space grant`"),
        AccountError::NoSuchDevice(_) => {
            Some("`device list` shows the devices; one that has just signed in is listed some seconds later")
        }
        AccountError::NoSuchSession(_) => {
            Some("`session list` shows the sessions; one that has just begun is listed some seconds later")
        }
        AccountError::OpenAccess => Some("start the relay without --insecure-open"),
        AccountError::NoSuchInvitation => Some("ask for another one"),
        AccountError::NotWithdrawn(_) => Some("`space invitations` shows what became of it"),
        AccountError::Name | AccountError::After | AccountError::Log(_) => None,
    }
}

/// Runs one command, and says how it went.
///
/// Results go to standard output, everything else to standard error. Installs the log and a panic hook that keeps
/// content out (invariant S6), unless the process has a log already.
pub fn run(command: RelayCommand) -> ExitCode {
    std::panic::set_hook(Box::new(afield_core::panics::report));
    let RelayCommand { data, config, json, action } = command;
    let result = match action {
        Action::Serve(command) => command.run(config, data, json),
        Action::Config(command) => command.run(config, data, json),
        Action::Compact(command) => {
            log::start("warn");
            data_folder(config, data).and_then(|data| command.run(data, json))
        }
        Action::Backup(command) => {
            log::start("warn");
            command.run(config, data, json)
        }
        Action::Restore(command) => {
            log::start("warn");
            data_folder(config, data).and_then(|data| command.run(data, json))
        }
        Action::Doctor(command) => {
            log::start("error");
            command.run(config, data, json)
        }
        Action::Verify(command) => {
            log::start("error");
            data_folder(config, data).and_then(|data| command.run(data, json))
        }
        Action::Purge(command) => {
            log::start("warn");
            data_folder(config, data).and_then(|data| command.run(data, json))
        }
        Action::Openapi => print_openapi(),
        Action::User(command) => {
            log::start("warn");
            data_folder(config, data).and_then(|data| command.run(data, json))
        }
        Action::Token(command) => {
            log::start("warn");
            data_folder(config, data).and_then(|data| command.run(data, json))
        }
        Action::Space(command) => {
            log::start("warn");
            data_folder(config, data).and_then(|data| command.run(data, json))
        }
        Action::Device(command) => {
            log::start("warn");
            data_folder(config, data).and_then(|data| command.run(data, json))
        }
        Action::Session(command) => {
            log::start("warn");
            data_folder(config, data).and_then(|data| command.run(data, json))
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let (code, class) = error.code_and_class();
            tell(&Told { error: &with_causes(&error), code, class, next: error.next() }, json);
            ExitCode::from(error.exit_code())
        }
    }
}

/// The data folder that the command line or the configuration names.
fn data_folder(file: Option<PathBuf>, data: Option<PathBuf>) -> Result<PathBuf, CommandError> {
    Ok(Sources::of_process(file, data, Flags::default()).load()?.config.data)
}

/// Answers a command line that was not understood, and the wish for help.
///
/// `wants_json` says whether `--json` stood in it, `help` which command shows what there is.
pub fn not_understood(error: &clap::Error, wants_json: bool, help: &'static str) -> ExitCode {
    // What clap says repeats the word that it did not take (S6).
    if error.use_stderr() && error.to_string().contains(TOKEN_PREFIX) {
        let told = Told {
            error: "a token or an invitation stands on the command line, where others of this machine can read it",
            code: "usage",
            class: "permanent",
            next: Some("leave it out: it is read from standard input"),
        };
        tell(&told, wants_json);
        return ExitCode::from(EXIT_USAGE);
    }
    if error.use_stderr() && wants_json {
        let told = Told { error: &subject(error), code: "usage", class: "permanent", next: Some(help) };
        tell(&told, true);
        return ExitCode::from(EXIT_USAGE);
    }
    // Nobody is left to tell when the help cannot be printed.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1))
}

/// What is wrong with a command line, on one line: without the usage and the hints that stand below it.
pub fn subject(error: &clap::Error) -> String {
    let text = error.to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    let words: Vec<&str> = first.split_whitespace().collect();
    words.join(" ").trim_start_matches("error: ").to_owned()
}

fn tell(told: &Told<'_>, is_json: bool) {
    let Told { error, code, class, next } = told;
    if is_json {
        return note(&serde_json::json!({ "error": error, "code": code, "class": class, "next": next }).to_string());
    }
    note(&format!("error: {error}"));
    if let Some(next) = next {
        note(&format!("  next: {next}"));
    }
}

fn print_openapi() -> Result<(), CommandError> {
    let document = crate::server::openapi().to_pretty_json();
    print_line_if_read(&document.map_err(|error| CommandError::Output(error.into()))?)
}

/// Prints a line that somebody has to read: a token is shown once.
fn print_line(line: &str) -> Result<(), CommandError> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(CommandError::Output)
}

/// Prints a line for whoever reads along. A reader that has left, as `head` does, is no failure.
fn print_line_if_read(line: &str) -> Result<(), CommandError> {
    match print_line(line) {
        Err(CommandError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed,
    }
}

/// Reads a secret that has no place on a command line, where other users of the machine see it.
fn read_secret(what: &'static str) -> Result<TokenHash, CommandError> {
    if io::stdin().is_terminal() {
        note(&format!("Type or paste {what}:"));
    }
    let mut line = String::new();
    io::stdin().lock().take(SECRET_BYTES_MAX).read_line(&mut line).map_err(CommandError::Input)?;
    match line.trim() {
        "" => Err(CommandError::NoSecret(what)),
        text => Ok(TokenHash::of(text)),
    }
}

/// Says something beside the result.
fn note(text: &str) {
    // Nobody may be reading standard error, and there is no other place to report that.
    let _ = writeln!(io::stderr(), "{text}");
}

/// What a terminal would act on is shown as a blank, so that a name cannot move the cursor or change colours.
fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        relay: RelayCommand,
    }

    #[test]
    fn the_subject_of_a_mistake_is_kept_without_its_usage() {
        let subject_of = |line: &[&str]| subject(&Line::command().try_get_matches_from(line).unwrap_err());
        assert_eq!(subject_of(&["x", "frobnicate"]), "unrecognized subcommand 'frobnicate'");
        let missing = subject_of(&["x", "token", "revoke"]);
        assert_eq!(missing, "the following required arguments were not provided: <NUMBER>");
    }
}
