//! What can be typed about directions.

use clap::{Args, ValueEnum};

pub(super) const DIRECTION: &str = "\
With `push`, what is written here goes out and what others write does not come
here; with `pull` it is the other way round, and what is written here is held
back; with `local`, nothing of the collection leaves this device. What was held
back or not fetched catches up once the direction is another one.

Examples:
  afield direction
  afield direction prices pull
  afield direction prices both";

#[derive(Debug, Args)]
pub(crate) struct DirectionArguments {
    /// The collection; without it, all that do not go both ways are listed
    pub(crate) collection: Option<String>,
    /// Which way its changes go from now on
    pub(crate) way: Option<Way>,
}

/// Which way changes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    /// Both ways, merged
    Both,
    /// From here to the relay
    Push,
    /// From the relay to here
    Pull,
    /// Neither
    Local,
}
