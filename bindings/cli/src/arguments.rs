//! What can be typed, and the help.

use crate::fields::FIELDS_HELP;
use crate::identity::PartialId;
use afield::SpaceId;
use afield_relay::cli::RelayCommand;
use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

const EXIT_CODES_HELP: &str = "\
Exit codes:
  0  done
  1  failed
  2  the command line was not understood
  3  not found: no store, space, entity or relay of that name
  4  the relay was not reached: try again later
  5  the relay wants a token, or another one
  6  the store cannot be used: in use, damaged (an export lacks what is), read-only, or the disk is full
  7  the relay refused something: a space, a change, or more than a quota allows
  8  one side is too old: a newer version is needed
  130  interrupted

With --json every command prints one JSON document, lists print one a line, and
an error is an object {error, code, class, next} on stderr. `afield relay` has
exit codes of its own: see `afield relay --help`.

Start with `afield demo`, then `afield init`.";

/// Notes, lists and counters that you edit on any device, offline, and that merge when they meet.
#[derive(Debug, Parser)]
#[command(name = "afield", version, after_help = EXIT_CODES_HELP, propagate_version = true, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
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
    /// Print JSON
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub(crate) json: bool,
    /// Print results only, no confirmations and no progress
    #[arg(long, short, global = true, help_heading = "Everywhere")]
    pub(crate) quiet: bool,
    /// Tell on stderr what happens inside; twice or three times for more
    #[arg(long, short, global = true, action = clap::ArgAction::Count, help_heading = "Everywhere")]
    pub(crate) verbose: u8,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// See the whole point in one go: a relay, three devices, a crash, and nothing lost
    Demo,
    /// Make the store of this device and its first space, which --space names
    Init(Init),
    /// Make, join and list spaces: what is shared and synced together
    #[command(subcommand)]
    Space(SpaceCommand),
    /// Make an entity, or change its fields
    #[command(
        after_help = FIELDS_HELP,
        override_usage = "afield put [OPTIONS] <COLLECTION> [ID] <JSON | FIELD=VALUE… | ->"
    )]
    Put(Put),
    /// Show an entity
    Get(Get),
    /// List the entities of a collection, or the collections
    List(List),
    /// Delete an entity: it can be restored
    Delete(One),
    /// Take a deletion back
    Restore(One),
    /// Sync through a relay from now on
    Connect(Connect),
    /// Get in step with the relay now
    Sync,
    /// Show what is stored, what waits to be sent, and what went wrong
    Status,
    /// Write the entities of a space out as JSON lines
    Export(Export),
    /// Read entities in that an export wrote: what was edited since is set back
    Import(Import),
    /// Run a relay, and manage its tokens
    #[command(disable_help_flag = true)]
    Relay {
        /// See `afield relay --help`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        line: Vec<OsString>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Join this space of another device instead of making one
    #[arg(long, value_name = "SPACE-ID")]
    pub(crate) join: Option<SpaceId>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SpaceCommand {
    /// Make a space; a relay adopts it with the next sync
    Create {
        /// What to call it on this device
        name: String,
    },
    /// Join a space that was made on another device; its entities come with the next sync
    Join {
        /// The id that `afield space list` shows on the other device
        #[arg(value_name = "SPACE-ID")]
        id: SpaceId,
    },
    /// Leave a space that holds nothing and was never on a relay, such as one joined by a mistyped id
    Leave {
        /// The id that `afield space list` shows
        #[arg(value_name = "SPACE-ID")]
        id: SpaceId,
    },
    /// List the spaces of this device
    List,
}

#[derive(Debug, Args)]
pub(crate) struct Put {
    /// The collection, such as "notes"
    pub(crate) collection: String,
    /// The entity's id (none makes a new one), then a JSON object, fields, or - for JSON from stdin
    #[arg(value_name = "VALUES", required = true)]
    pub(crate) values: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    #[command(flatten)]
    pub(crate) of: One,
    /// Write values with their kind, as an export does: {"$text": "…"}, {"$counter": 1}
    #[arg(long)]
    pub(crate) tagged: bool,
}

/// One entity.
#[derive(Debug, Args)]
pub(crate) struct One {
    /// The collection
    pub(crate) collection: String,
    /// The entity's id, or its last few characters
    pub(crate) id: PartialId,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// The collection; without one, the collections are listed
    pub(crate) collection: Option<String>,
    /// Show so many at the most, the newest
    #[arg(long, value_name = "COUNT")]
    pub(crate) limit: Option<usize>,
    /// List the deleted entities, which `afield restore` takes back
    #[arg(long, requires = "collection")]
    pub(crate) deleted: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Connect {
    /// The relay's address, such as wss://relay.example.org
    #[arg(required_unless_present = "off")]
    pub(crate) url: Option<String>,
    /// The token that lets this device in; other users of the machine may see it on the command line, so
    /// `--token-file` and AFIELD_TOKEN, which counts where neither is given, are better
    #[arg(long, conflicts_with = "token_file")]
    pub(crate) token: Option<String>,
    /// A file that holds the token; - is stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// A file with certificates (PEM) of an authority to trust beside the system's, which SSL_CERT_FILE can name
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Forget the relay; what is stored here stays
    #[arg(long, conflicts_with_all = ["url", "token", "token_file", "ca"])]
    pub(crate) off: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The file to write, - for stdout; it replaces an older one only once it is complete [default: stdout]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The file to read; - is stdin
    pub(crate) file: PathBuf,
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
