//! `afield direction`

use crate::arguments::{DirectionArguments, Global, Way};
use crate::command::list::lines;
use crate::context;
use crate::failure::Failure;
use crate::output::Output;
use crate::text;
use crate::warning::Warned;
use afield::{Direction, SourceOfTruth};
use serde::Serialize;

/// A collection and the direction of its changes.
#[derive(Debug, Serialize)]
struct Directed {
    collection: String,
    direction: Direction,
    source_of_truth: SourceOfTruth,
}

impl Directed {
    fn new(collection: &str, direction: Direction) -> Self {
        Self { collection: collection.to_owned(), direction, source_of_truth: SourceOfTruth::of(direction) }
    }
}

pub(super) fn run(arguments: &DirectionArguments, global: &Global, output: Output) -> Result<(), Failure> {
    match (&arguments.collection, arguments.way) {
        (Some(collection), Some(way)) => {
            let (replica, space) = context::open_space(global)?;
            let direction = of_way(way);
            space.set_direction(collection, direction)?;
            context::note_if_new(&space, collection, output)?;
            let words = || output.sentence(&in_words(collection, direction));
            // What was held back here may be on its way out with that.
            Warned::new(&Directed::new(collection, direction), (&replica, &space), true, global).done(output, words)
        }
        (Some(collection), None) => {
            let name = context::collection_name(collection)?;
            let direction = context::view_space(global)?.direction(name.as_str())?;
            let words = || output.sentence(&in_words(collection, direction));
            output.result(&Directed::new(collection, direction), words)
        }
        (None, _) => {
            let found = context::view_space(global)?.directions()?;
            output.list(&found, || {
                let row = |one: &afield::CollectionDirection| {
                    vec![
                        text::printable(&one.collection),
                        word(one.direction).to_owned(),
                        truth(one.direction).to_owned(),
                    ]
                };
                let rows: Vec<_> = found.iter().map(row).collect();
                lines(
                    &["collection", "direction", "source of truth"],
                    &rows,
                    output,
                    "Every collection goes both ways.",
                )
            })
        }
    }
}

fn of_way(way: Way) -> Direction {
    match way {
        Way::Both => Direction::Both,
        Way::Push => Direction::PushOnly,
        Way::Pull => Direction::PullOnly,
        Way::Local => Direction::LocalOnly,
    }
}

fn word(direction: Direction) -> &'static str {
    match direction {
        Direction::Both => "both",
        Direction::PushOnly => "push",
        Direction::PullOnly => "pull",
        Direction::LocalOnly => "local",
    }
}

fn truth(direction: Direction) -> &'static str {
    match SourceOfTruth::of(direction) {
        SourceOfTruth::ThisDevice => "this device",
        SourceOfTruth::Relay => "the relay",
        _ => "everyone",
    }
}

fn in_words(collection: &str, direction: Direction) -> String {
    let name = text::printable(collection);
    match direction {
        Direction::Both => format!("{name}: both ways, what devices write is merged."),
        Direction::PushOnly => format!("{name}: what is written here goes out, and nothing comes in."),
        Direction::PullOnly => format!("{name}: what others write comes in, and what is written here is held back."),
        Direction::LocalOnly => format!("{name}: nothing of it leaves this device, and nothing comes in."),
    }
}
