//! What each command takes.

use crate::identity::PartialId;
use crate::moment::Moment;
use afield::SpaceId;
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

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
        #[arg(value_name = "SPACE-ID", required_unless_present = "invitation")]
        id: Option<SpaceId>,
        /// Join by an invitation, which is asked for, or read from standard input
        ///
        /// It makes you a member with the next sync, and says which space it is. Where there is no store yet, one is made.
        #[arg(long, conflicts_with = "id")]
        invitation: bool,
        /// What to call it on this device [default: its id]
        #[arg(long)]
        name: Option<String>,
    },
    /// Remove a space from this device and its store file; other devices and the relay keep it
    ///
    /// It is refused while changes of it are unsent.
    Leave {
        /// The space, by its name or id
        #[arg(value_name = "SPACE")]
        space: String,
        /// Give up for good what no relay is known to hold
        #[arg(long)]
        discard: bool,
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
pub(crate) struct Edit {
    #[command(flatten)]
    pub(crate) of: One,
    /// A field to edit as plain text, or fields with their values; none opens the whole entity
    #[arg(value_name = "FIELDS")]
    pub(crate) fields: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// The collection
    pub(crate) collection: String,
    /// The entity's id, or its last few characters; without it the whole collection is watched
    pub(crate) id: Option<PartialId>,
    /// Stay in sync with the relay meanwhile; other commands that write then have to wait
    #[arg(long)]
    pub(crate) sync: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Trash {
    /// The collection; without one, all of them
    pub(crate) collection: Option<String>,
    /// Purge it for good instead, here, on the relay and on every device
    #[arg(long)]
    pub(crate) empty: bool,
    /// Purge only what was deleted so long ago, such as 30d, 12h, 15m or 90s
    #[arg(long, value_name = "TIME", requires = "empty", value_parser = duration)]
    pub(crate) older_than: Option<Duration>,
    /// Confirm it; without this it is refused, and you are told what would go
    #[arg(long, requires = "empty")]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Purge {
    /// The collection, such as "notes"
    pub(crate) collection: String,
    /// The ids, or their last characters
    #[arg(value_name = "ID", required = true)]
    pub(crate) ids: Vec<PartialId>,
    /// Confirm it; without this it is refused, and you are told what would go
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Reads a time such as 30d.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "a time is a number with d, h, m or s behind it, such as 30d".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds = match unit {
        "d" => 86_400,
        "h" => 3_600,
        "m" => 60,
        "s" => 1,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Conflicts {
    /// The collection; without one, all of them
    pub(crate) collection: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Option<ConflictsCommand>,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum ConflictsCommand {
    /// Show how conflicts are decided without a person on this device, or say it anew
    #[command(after_help = super::help::STRATEGY)]
    Strategy(StrategyArguments),
}

#[derive(Debug, Args)]
#[command(override_usage = "afield conflicts strategy [OPTIONS] [<COLLECTION> [FIELD] <STRATEGY>]")]
pub(crate) struct StrategyArguments {
    /// The collection; without one, what was said is listed
    #[arg(requires = "rest")]
    pub(crate) collection: Option<String>,
    /// The field, where not all of them are meant, and merge, manual, newest, prefer-this or prefer-other
    #[arg(value_name = "FIELD | STRATEGY", num_args = 1..=2)]
    pub(crate) rest: Vec<String>,
}

#[derive(Debug, Args)]
#[command(
    group = clap::ArgGroup::new("choice").required(true),
    override_usage = "afield resolve <COLLECTION> <ID> [PATH] <--keep <NUMBER>|--value <JSON>>",
)]
pub(crate) struct Resolve {
    #[command(flatten)]
    pub(crate) of: One,
    /// The field, or the id of the conflict; not needed where the entity has one conflict
    pub(crate) path: Option<String>,
    /// Let the side with this number hold, as `afield conflicts` numbers them
    #[arg(long, value_name = "NUMBER", group = "choice", value_parser = super::whole::<usize>)]
    pub(crate) keep: Option<usize>,
    /// Let another value hold, as JSON; {"$text": "…"} and the like as in an export
    #[arg(long, value_name = "JSON", group = "choice")]
    pub(crate) value: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArguments {
    /// Go on showing it as it changes, until q or Ctrl-C
    #[arg(long)]
    pub(crate) watch: bool,
    /// Stay in sync with the relay meanwhile; other commands that write then have to wait
    #[arg(long, requires = "watch")]
    pub(crate) sync: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Do not ask the relay
    #[arg(long)]
    pub(crate) offline: bool,
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
pub(crate) struct Restore {
    #[command(flatten)]
    pub(crate) of: One,
    /// Make its fields what they were then: see `afield log --help`
    #[arg(long, value_name = "POINT")]
    pub(crate) to: Option<Moment>,
    /// Confirm it; without this it is refused, and you are told what it would write
    #[arg(long, requires = "to")]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Log {
    #[command(flatten)]
    pub(crate) of: One,
    /// Show so many changes at the most, the newest
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = super::whole::<usize>)]
    pub(crate) limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct At {
    #[command(flatten)]
    pub(crate) of: One,
    /// The moment
    pub(crate) point: Moment,
    /// Write values with their kind, as an export does
    #[arg(long)]
    pub(crate) tagged: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    #[command(flatten)]
    pub(crate) of: One,
    /// The earlier moment; without one, right before the last change
    pub(crate) from: Option<Moment>,
    /// The later moment
    #[arg(default_value = "now")]
    pub(crate) to: Moment,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// The collection; without one, the collections are listed
    pub(crate) collection: Option<String>,
    /// Show so many at the most, the newest
    #[arg(long, value_name = "COUNT", value_parser = super::whole::<usize>)]
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
    /// A file with certificates (PEM) of an authority to trust beside the system's, which SSL_CERT_FILE can name;
    /// remembered for this address until `--off`
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Forget the relay; what is stored here stays
    #[arg(long, conflicts_with_all = ["url", "token", "token_file", "ca"])]
    pub(crate) off: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The file to make, which must not be there yet
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct HandOver {
    /// The file; a new one is never written over another
    pub(crate) file: PathBuf,
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

#[derive(Debug, Args)]
pub(crate) struct GuardArguments {
    /// The space, by its name or id; not needed while the store has just one
    #[arg(value_name = "SPACE")]
    pub(crate) of: Option<String>,
    /// The collection; without it, all that have no guard of their own
    #[arg(long, value_name = "NAME")]
    pub(crate) collection: Option<String>,
    /// Ask where more entities of a collection are deleted
    #[arg(long, value_name = "NUMBER", value_parser = super::whole::<u64>)]
    pub(crate) deletions: Option<u64>,
    /// Ask where a larger share of a collection is deleted, and at least 10, such as 20%
    #[arg(long, value_name = "PERCENT", value_parser = share)]
    pub(crate) share: Option<f64>,
    /// Never ask
    #[arg(long, conflicts_with_all = ["deletions", "share"])]
    pub(crate) off: bool,
    /// Take the collection's own guard away: that of the space holds for it again
    #[arg(long, requires = "collection", conflicts_with_all = ["deletions", "share", "off"])]
    pub(crate) inherit: bool,
}

fn share(text: &str) -> Result<f64, String> {
    let wrong = |_| "a share is a number of percent, such as 20%".to_owned();
    let number = text.trim_end_matches('%').trim_end().parse::<f64>().map_err(wrong)?;
    if (0.0..=100.0).contains(&number) { Ok(number / 100.0) } else { Err("a share is from 0% to 100%".to_owned()) }
}

#[derive(Debug, Args)]
pub(crate) struct Confirm {
    /// The space, by its name or id; not needed while the store has just one
    #[arg(value_name = "SPACE")]
    pub(crate) of: Option<String>,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// Restore the entities instead, for everybody; what was purged cannot be
    #[arg(long, conflicts_with = "yes")]
    pub(crate) keep: bool,
    /// Only if the list is still the one that had this token
    #[arg(long, value_name = "TOKEN")]
    pub(crate) token: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct SyncArguments {
    /// Say what would be sent and what would come, and do neither
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ScheduleArguments {
    /// The space, by its name or id; not needed while the store has just one
    #[arg(value_name = "SPACE")]
    pub(crate) of: Option<String>,
    /// Sync when this cron expression says: minute, hour, day, month, day of the week
    #[arg(long, value_name = "EXPR")]
    pub(crate) cron: Option<String>,
    /// The time zone of --cron, such as Europe/Berlin
    #[arg(long, value_name = "TZ", default_value = "UTC", requires = "cron")]
    pub(crate) zone: String,
    /// Sync again and again after so long, such as 10min or 2h
    #[arg(long, value_name = "DURATION", conflicts_with = "cron", value_parser = interval)]
    pub(crate) every: Option<std::time::Duration>,
    /// Take the schedule away: the space is in step all the time while sync is on
    #[arg(long, conflicts_with_all = ["cron", "every"])]
    pub(crate) off: bool,
}

fn interval(text: &str) -> Result<std::time::Duration, String> {
    let read = text.parse::<jiff::SignedDuration>().and_then(std::time::Duration::try_from);
    read.map_err(|_| "a time is a number with min, h or d behind it, such as 10min or 2h".to_owned())
}
