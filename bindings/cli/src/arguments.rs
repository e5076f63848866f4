//! What can be typed, and the help.

mod direction;
mod help;
mod options;
mod presence;
mod query;

pub(crate) use options::{
    At, Backup, Confirm, Conflicts, ConflictsCommand, Connect, Diff, Doctor, Edit, Export, Get, GuardArguments,
    HandOver, Import, Init, List, Log, One, Purge, Put, Resolve, Restore, ScheduleArguments, SpaceCommand,
    StatusArguments, StrategyArguments, SyncArguments, Trash, Watch,
};

pub(crate) use direction::{DirectionArguments, Way};
pub(crate) use presence::Presence;
pub(crate) use query::{IndexCommand, Query, Search};

use crate::fields::FIELDS_HELP;
use crate::hint::Hints;
use afield_relay::cli::RelayCommand;
use clap::{ArgMatches, Args, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;
use std::ffi::OsString;
use std::path::PathBuf;

/// Notes, lists and counters that you edit on any device, offline, and that merge when they meet.
#[derive(Debug, Parser)]
#[command(name = "afield", version = afield_relay::VERSION, after_help = help::EXIT_CODES, propagate_version = true, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Arguments {
    /// Reads a command line.
    pub(crate) fn parse_line(line: &[OsString]) -> Result<Self, clap::Error> {
        let matches = Self::command().color(color_of(line)).try_get_matches_from(line)?;
        let mut arguments = Self::from_arg_matches(&matches)?;
        arguments.global.hints = Hints::of(&matches, &arguments.global);
        Ok(arguments)
    }

    /// All commands with all their options, those of the relay too.
    pub(crate) fn complete() -> clap::Command {
        let relay = Relay::command().name("relay").bin_name("afield relay");
        let command = Self::command();
        let everywhere: Vec<_> = command.get_arguments().filter(|option| option.is_global_set()).cloned().collect();
        let names: Vec<_> = command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
        // What is taken everywhere is not taken by the relay, some of whose options have the same names.
        let command = command.mut_args(|option| option.global(false));
        names.iter().fold(command, |command, name| {
            command.mut_subcommand(
                name,
                |command| {
                    if name == "relay" { relay.clone() } else { command.args(everywhere.clone()) }
                },
            )
        })
    }
}

/// The colours that are asked for, looked up before the line is parsed: what is wrong with it is told in them.
fn color_of(line: &[OsString]) -> ColorChoice {
    let words = line.iter().map(|word| word.to_string_lossy());
    let mut is_next = false;
    for word in words {
        let value = if is_next { Some(word.as_ref()) } else { word.strip_prefix("--color=") };
        match value {
            Some("never") => return ColorChoice::Never,
            Some("always") => return ColorChoice::Always,
            _ => is_next = word == "--color",
        }
    }
    ColorChoice::Auto
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The store file of this device
    #[arg(
        long, global = true, env = "AFIELD_STORE", value_name = "PATH", help_heading = "Everywhere",
        default_value_os_t = crate::context::default_store(),
    )]
    pub(crate) store: PathBuf,
    /// The space, by its name or id; not needed while the store has just one
    #[arg(long, global = true, env = "AFIELD_SPACE", value_name = "SPACE", help_heading = "Everywhere")]
    pub(crate) space: Option<String>,
    /// How many seconds to wait for another program that has the store open
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 5, help_heading = "Everywhere")]
    pub(crate) wait: u32,
    /// Who edits: what others see in an entity's log
    #[arg(long, global = true, env = "AFIELD_AUTHOR", value_name = "NAME", help_heading = "Everywhere")]
    pub(crate) author: Option<String>,
    /// Why, for whoever reads the entity's log
    #[arg(long, global = true, value_name = "TEXT", help_heading = "Everywhere")]
    pub(crate) message: Option<String>,
    /// Print JSON
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub(crate) json: bool,
    /// Print results only, no confirmations and no progress
    #[arg(long, short, global = true, help_heading = "Everywhere")]
    pub(crate) quiet: bool,
    /// Tell on stderr what happens inside; twice or three times for more
    #[arg(long, short, global = true, action = clap::ArgAction::Count, help_heading = "Everywhere")]
    pub(crate) verbose: u8,
    /// Use colours: on a terminal that has them, unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = "Everywhere")]
    pub(crate) color: ColorChoice,
    /// What of this a command has to repeat that works on the same store.
    #[arg(skip)]
    pub(crate) hints: Hints,
}

impl Hints {
    fn of(matches: &ArgMatches, global: &Global) -> Self {
        let is_typed = |name: &str| matches.value_source(name) == Some(clap::parser::ValueSource::CommandLine);
        Self::new(
            is_typed("store").then_some(global.store.as_path()),
            global.space.as_deref().filter(|_| is_typed("space")),
        )
    }
}

/// Reads a number of things.
fn whole<N: std::str::FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| "it takes a whole number, such as 50".to_owned())
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// See the whole point in one go: a relay, three devices, a crash, and nothing lost
    Demo,
    /// Make the store of this device and its first space, which --space names
    #[command(after_help = help::INIT)]
    Init(Init),
    /// Make, join and list spaces: what is shared and synced together
    #[command(subcommand, after_help = help::SPACE)]
    Space(SpaceCommand),
    /// Make an entity, or change its fields
    #[command(
        after_help = FIELDS_HELP,
        override_usage = "afield put [OPTIONS] <COLLECTION> [ID] <JSON | FIELD=VALUE… | ->"
    )]
    Put(Put),
    /// Change an entity: some fields, or all of it in your editor
    #[command(
        after_help = help::EDIT,
        override_usage = "afield edit [OPTIONS] <COLLECTION> <ID> [FIELD | FIELD=VALUE…]"
    )]
    Edit(Edit),
    /// Show an entity
    #[command(after_help = help::GET)]
    Get(Get),
    /// List the entities of a collection, or the collections
    #[command(after_help = help::LIST)]
    List(List),
    /// Find the entities that meet a condition, in order, or count and add them up
    #[command(after_help = query::QUERY)]
    Query(Query),
    /// Find entities by their words, the best first
    #[command(after_help = query::SEARCH)]
    Search(Search),
    /// Add, drop and list what makes queries and searches quick
    #[command(subcommand, after_help = query::INDEX)]
    Index(IndexCommand),
    /// Show a collection or an entity, and a line for each change until Ctrl-C
    #[command(after_help = help::WATCH)]
    Watch(Watch),
    /// Tell who is here now, and show yourself, until Ctrl-C
    #[command(after_help = presence::PRESENCE)]
    Presence(Presence),
    /// Delete an entity: it can be restored
    #[command(after_help = help::DELETE)]
    Delete(One),
    /// Take a deletion back, or make an entity what it was at an earlier moment
    #[command(after_help = help::RESTORE)]
    Restore(Restore),
    /// Show what became of an entity: who changed it, when, and why
    #[command(after_help = help::LOG)]
    Log(Log),
    /// Show an entity as it was
    #[command(after_help = help::LOG)]
    At(At),
    /// Show what differs between two moments of an entity
    #[command(after_help = help::LOG)]
    Diff(Diff),
    /// Take this device's last edit of an entity back; what others wrote since stays
    #[command(after_help = help::UNDO)]
    Undo(One),
    /// Take the last undo of an entity back
    #[command(after_help = help::REDO)]
    Redo(One),
    /// Delete entities for good, here, on the relay and on every device
    #[command(after_help = help::PURGE)]
    Purge(Purge),
    /// List what was deleted and can be restored, the latest first; or empty the trash
    #[command(after_help = help::TRASH)]
    Trash(Trash),
    /// List what people did to one place without knowing of each other
    #[command(after_help = help::CONFLICTS)]
    Conflicts(Conflicts),
    /// Decide a conflict, on all devices
    #[command(after_help = help::CONFLICTS)]
    Resolve(Resolve),
    /// Sync through a relay from now on
    #[command(after_help = help::CONNECT)]
    Connect(Connect),
    /// Get in step with the relay now
    #[command(after_help = help::SYNC)]
    Sync(SyncArguments),
    /// Show how much may be deleted unasked, or say it anew
    #[command(after_help = help::GUARD)]
    Guard(GuardArguments),
    /// Show deletions that wait for somebody, and let them go
    #[command(after_help = help::CONFIRM)]
    Confirm(Confirm),
    /// Show when a space is synced while sync is on, or say it anew
    #[command(after_help = help::SCHEDULE)]
    Schedule(ScheduleArguments),
    /// Show which way the changes of collections go on this device, or say it anew
    #[command(after_help = direction::DIRECTION)]
    Direction(DirectionArguments),
    /// Say why each space is or is not synced, and what comes next
    #[command(after_help = help::EXPLAIN)]
    Explain,
    /// Show what is stored, what waits to be sent, and what went wrong
    #[command(after_help = help::STATUS)]
    Status(StatusArguments),
    /// Check that the store file holds together, all of it; changes nothing
    #[command(after_help = help::VERIFY)]
    Verify,
    /// Find out what is wrong, and what to do about it; changes nothing
    #[command(after_help = help::DOCTOR)]
    Doctor(Doctor),
    /// Copy the whole store into a new file, while others go on with it
    #[command(after_help = help::BACKUP)]
    Backup(Backup),
    /// Write what was not sent yet into a file, for another device of yours
    #[command(after_help = help::HAND_OVER)]
    HandOver(HandOver),
    /// Take in what another device of yours could not send, and send it from here
    #[command(after_help = help::TAKE_OVER)]
    TakeOver(HandOver),
    /// Write the entities of a space out as JSON lines
    #[command(after_help = help::EXPORT)]
    Export(Export),
    /// Read entities in that an export wrote: what was edited since is set back
    #[command(after_help = help::IMPORT)]
    Import(Import),
    /// Print a script that lets a shell complete commands and options
    #[command(after_help = help::COMPLETIONS)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page, or write those of all commands
    #[command(after_help = help::MAN)]
    Man {
        /// The folder to write the pages of all commands to
        #[arg(long, short, value_name = "FOLDER")]
        output: Option<PathBuf>,
    },
    /// Run a relay, and manage its tokens
    #[command(disable_help_flag = true)]
    Relay {
        /// See `afield relay --help`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        line: Vec<OsString>,
    },
}

/// What is typed after `afield relay`, which has options and a help of its own.
#[derive(Debug, Parser)]
#[command(
    name = "afield relay",
    bin_name = "afield relay",
    version,
    max_term_width = 100,
    about = "Run a relay, and manage its tokens"
)]
pub(crate) struct Relay {
    /// End when stdin does, so that the relay of a demo never outlives it
    #[arg(long, hide = true)]
    pub(crate) while_stdin_is_open: bool,
    #[command(flatten)]
    pub(crate) command: RelayCommand,
}
