//! What `afield presence` takes, and its help.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Presence {
    /// Show others this meanwhile: JSON, or a name; without it the author, if there is one
    #[arg(long, value_name = "JSON | NAME")]
    pub(crate) show: Option<String>,
}

pub(super) const PRESENCE: &str = "\
Stays in sync with the relay and tells who is in the space, or in one of its
entities, as long as it runs; other commands that write then have to wait. It is
stored nowhere. Piped, a line is event, device, entity and what is shown, between
tabs; with --json it is an object {event, device, session, entity, at_ms, state}.
The events are here, changed and gone. Ctrl-C ends it with exit code 0.

Examples:
  afield presence
  afield presence --show Ada
  afield presence --show '{\"name\": \"Ada\", \"colour\": \"teal\"}' --json";
