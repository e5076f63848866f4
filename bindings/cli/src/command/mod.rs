//! One module per command, each thin over the crate `afield`.

mod backup;
mod conflicts;
mod connect;
mod direction;
mod doctor;
mod edit;
mod explain;
mod get;
mod guard;
mod hand_over;
mod history;
mod index;
mod init;
mod list;
mod manual;
mod plan;
mod presence;
mod purge;
mod put;
mod query;
pub(crate) mod relay;
mod schedule;
mod space;
mod status;
mod transfer;
mod trash;
mod verify;
mod watch;

use crate::arguments::{Command, Global, One, Restore};
use crate::context;
use crate::demo;
use crate::failure::Failure;
use crate::output::Output;
use crate::warning::Warned;
use history::Direction;
use serde::Serialize;

/// Runs a command.
pub(crate) fn run(command: Command, global: &Global, output: &Output) -> Result<(), Failure> {
    let output = *output;
    match command {
        Command::Demo => demo::run(output),
        Command::Init(arguments) => init::run(&arguments, global, output),
        Command::Space(command) => space::run(command, global, output),
        Command::Put(arguments) => put::run(&arguments, global, output),
        Command::Edit(arguments) => edit::run(&arguments, global, output),
        Command::Get(arguments) => get::run(&arguments, global, output),
        Command::List(arguments) => list::run(&arguments, global, output),
        Command::Query(arguments) => query::run(&arguments, global, output),
        Command::Search(arguments) => query::search(&arguments, global, output),
        Command::Index(command) => index::run(command, global, output),
        Command::Watch(arguments) => watch::run(&arguments, global, output),
        Command::Presence(arguments) => presence::run(&arguments, global, output),
        Command::Delete(one) => delete(&one, global, output),
        Command::Restore(arguments) => restore(&arguments, global, output),
        Command::Log(arguments) => history::log(&arguments, global, output),
        Command::At(arguments) => history::at(&arguments, global, output),
        Command::Diff(arguments) => history::diff(&arguments, global, output),
        Command::Undo(one) => history::undo(&one, Direction::Undo, global, output),
        Command::Redo(one) => history::undo(&one, Direction::Redo, global, output),
        Command::Purge(arguments) => purge::run(&arguments, global, output),
        Command::Trash(arguments) if arguments.empty => purge::empty_trash(&arguments, global, output),
        Command::Trash(arguments) => trash::run(&arguments, global, output),
        Command::Conflicts(arguments) => conflicts::list(&arguments, global, output),
        Command::Resolve(arguments) => conflicts::resolve(&arguments, global, output),
        Command::Connect(arguments) => connect::run(arguments, global, output),
        Command::Sync(arguments) if arguments.dry_run => plan::run(global, output),
        Command::Sync(_) => connect::sync(global, output),
        Command::Guard(arguments) => guard::guard(&arguments, global, output),
        Command::Confirm(arguments) => guard::confirm(&arguments, global, output),
        Command::Schedule(arguments) => schedule::run(&arguments, global, output),
        Command::Direction(arguments) => direction::run(&arguments, global, output),
        Command::Explain => explain::run(global, output),
        Command::Status(arguments) => status::run(&arguments, global, output),
        Command::Doctor(arguments) => doctor::run(&arguments, global, output),
        Command::Verify => verify::run(global, output),
        Command::Backup(arguments) => backup::run(&arguments, global, output),
        Command::HandOver(arguments) => hand_over::hand_over(&arguments, global, output),
        Command::TakeOver(arguments) => hand_over::take_over(&arguments, global, output),
        Command::Export(arguments) => transfer::export(&arguments, global, output),
        Command::Import(arguments) => transfer::import(&arguments, global, output),
        Command::Completions { shell } => manual::completions(shell, output),
        Command::Man { output: folder } => manual::man(folder.as_deref(), output),
        Command::Relay { .. } => unreachable!("`main` gives the relay its own output and exit codes"),
    }
}

/// What became of an entity.
#[derive(Debug, Serialize)]
struct Touched<'c> {
    id: String,
    collection: &'c str,
    deleted: bool,
}

fn delete(one: &One, global: &Global, output: Output) -> Result<(), Failure> {
    let (replica, space) = context::open_space(global)?;
    let collection = context::collection(&space, &one.collection, global)?;
    let id = one.id.find(&collection)?;
    let _ = collection.delete(id)?;
    let touched = Touched { id: id.to_string(), collection: &one.collection, deleted: true };
    let restore = global.hints.command(&format!("restore {} {id}", one.collection));
    Warned::new(&touched, (&replica, &space), true, global)
        .done(output, || format!("Deleted. To take it back:\n  {}", console::style(restore).bold()))
}

fn restore(arguments: &Restore, global: &Global, output: Output) -> Result<(), Failure> {
    let one = &arguments.of;
    if let Some(point) = &arguments.to {
        return history::restore((one, point, purge::confirm(arguments.yes)), global, output);
    }
    let (replica, space) = context::open_space(global)?;
    let collection = context::collection(&space, &one.collection, global)?;
    let deleted = collection.deleted()?;
    let id = match one.id.find_among(&one.collection, || Ok(deleted.clone())) {
        Err(Failure::EntityUnknown { .. }) => one.id.find_among(&one.collection, || Ok(collection.ids()?))?,
        found => found?,
    };
    let _ = collection.restore(id)?;
    let touched = Touched { id: id.to_string(), collection: &one.collection, deleted: false };
    let changed = deleted.contains(&id);
    let words = if changed { "Restored." } else { "It is not deleted: there was nothing to restore." };
    Warned::new(&touched, (&replica, &space), changed, global).done(output, || words.to_owned())
}
