//! `afield space create|join|leave|list`

use crate::arguments::{Global, SpaceCommand};
use crate::context;
use crate::failure::Failure;
use crate::output::Output;
use crate::remembered::Remembered;
use crate::text;
use afield::{Invitation, LeftSpace, Space, SpaceId};
use console::Term;
use serde::Serialize;
use std::io::{self, BufRead, IsTerminal, Read};

/// The most bytes that are read for an invitation: many times what one has.
const INPUT_BYTES_MAX: u64 = 4_096;

/// What an invitation is put between, in messages and in documents.
const QUOTES: [char; 3] = ['"', '\'', '`'];

/// A space, as it is shown.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    id: String,
    name: String,
}

impl Shown {
    pub(super) fn of(space: &Space) -> Self {
        Self { id: space.id().to_string(), name: space.name().to_owned() }
    }
}

/// A space that was left, and what went with it.
#[derive(Debug, Serialize)]
struct LeftShown {
    #[serde(flatten)]
    space: Shown,
    entities: u64,
    changes: u64,
    unsent: u64,
    is_erased: bool,
}

/// A space of a list.
#[derive(Debug, Serialize)]
struct Listed {
    id: String,
    name: String,
    pending_changes: u64,
}

pub(super) fn run(command: SpaceCommand, global: &Global, output: Output) -> Result<(), Failure> {
    match command {
        SpaceCommand::Create { name } => {
            let replica = context::open(global)?;
            context::check_name(&replica, None, &name)?;
            let space = replica.create_space(&name)?;
            output.done(&Shown::of(&space), || {
                let join =
                    console::style(format!("afield space join {} --name {}", space.id(), shell_words::quote(&name)));
                format!("Made the space {:?}. On another device:\n  {}", space.name(), join.bold())
            })
        }
        SpaceCommand::Join { id: None, name, .. } => join_invited(name, global, output),
        SpaceCommand::Join { id: Some(id), name, .. } => {
            let replica = context::open(global).map_err(|failure| without_store(failure, id, name.as_deref()))?;
            let is_here = replica.space(id).is_ok();
            let space = match &name {
                Some(name) => {
                    context::check_name(&replica, Some(id), name)?;
                    replica.join_space_as(id, name)?
                }
                None => replica.join_space(id)?,
            };
            output.done(&Shown::of(&space), || {
                let what = if is_here { "This device has the space already:" } else { "Joined the space" };
                let sync = global.hints.command("sync");
                format!("{what} {}.\nIts entities come with the next `{sync}`.", context::named(id, space.name()))
            })
        }
        SpaceCommand::Leave { space, discard } => {
            let replica = context::open(global)?;
            let space = context::space_called(&replica, Some(&space))?;
            let id = space.id();
            let left = if discard { replica.leave_space_discarding(id)? } else { replica.leave_space(id)? };
            let LeftSpace { entities, changes, unsent, is_erased } = left;
            let shown = LeftShown { space: Shown::of(&space), entities, changes, unsent, is_erased };
            output.done(&shown, || {
                let entities = text::count(entities, "entity is", "entities are");
                let name = context::named(id, space.name());
                let mut words = format!("Left the space {name}:\n{entities} gone from this device.");
                if !is_erased {
                    words
                        .push_str("\nTraces remain in the store file until it can be rebuilt: leave room on the disk.");
                }
                words
            })
        }
        SpaceCommand::List => {
            let spaces: Vec<Listed> = context::view(global)?
                .status()?
                .spaces
                .into_iter()
                .map(|space| Listed {
                    id: space.space.to_string(),
                    name: space.name,
                    pending_changes: space.pending_changes,
                })
                .collect();
            output.list(&spaces, || in_words(&spaces, output))
        }
    }
}

/// What is said where there is no store to join in: one that `afield init` makes by itself has a space of its own, which nobody asked for.
fn without_store(failure: Failure, id: SpaceId, name: Option<&str>) -> Failure {
    let Failure::NoStore(path) = failure else { return failure };
    let name = name.map(|name| format!(" --space {}", shell_words::quote(name))).unwrap_or_default();
    Failure::NoStoreToJoin { path, init: format!("afield init --join {id}{name}") }
}

/// Joins by an invitation, which is as secret as a token and so has no place on the command line, where other users of the machine see it.
fn join_invited(name: Option<String>, global: &Global, output: Output) -> Result<(), Failure> {
    let invitation = read_invitation()?;
    let id = invitation.space();
    let replica = context::open_or_make(global)?;
    if let Some(name) = &name {
        context::check_name(&replica, Some(id), name)?;
    }
    let is_here = replica.space(id).is_ok();
    let space = replica.join_invited(&invitation, &name.unwrap_or_else(|| id.to_string()))?;
    let is_connected = Remembered::read(&global.store).is_ok_and(|remembered| remembered.is_some());
    output.done(&Shown::of(&space), || {
        let what = if is_here { "Keeps the invitation to the space" } else { "Joined the space" };
        let sync = global.hints.command(if is_connected { "sync" } else { "connect URL --token-file FILE" });
        let named = context::named(id, space.name());
        let sync = console::style(sync).bold();
        if is_here {
            format!(
                "{what} {named}.\nIt lets you in where you are no member, or gives you its role where that is higher, with the next\n  {sync}\n\
                 Otherwise it is not used up, and stays good for somebody else."
            )
        } else {
            format!("{what} {named}.\nThe relay lets you in, and its entities come, with the next\n  {sync}")
        }
    })
}

/// Reads an invitation as a token is read, without showing what is typed or pasted on a terminal.
fn read_invitation() -> Result<Invitation, Failure> {
    let (mut text, terminal) = (String::new(), Term::stderr());
    if io::stdin().is_terminal() && terminal.is_term() {
        terminal.write_str("Paste the invitation (it is not shown): ").map_err(Failure::InvitationUnread)?;
        text = terminal.read_secure_line().map_err(Failure::InvitationUnread)?;
    } else {
        io::stdin().lock().take(INPUT_BYTES_MAX).read_line(&mut text).map_err(Failure::InvitationUnread)?;
    }
    Ok(unquoted(text.trim()).parse()?)
}

/// The text without the quotes that were copied with it.
fn unquoted(text: &str) -> &str {
    let inside = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    QUOTES.into_iter().find_map(inside).unwrap_or(text)
}

fn in_words(spaces: &[Listed], output: Output) -> String {
    if !output.is_terminal() {
        return spaces.iter().map(|space| format!("{}\t{}\n", space.id, text::printable(&space.name))).collect();
    }
    // A space that was joined without a name has its id for one, which stands there already.
    let name = |space: &Listed| if space.name == space.id { String::new() } else { text::printable(&space.name) };
    let rows: Vec<_> =
        spaces.iter().map(|space| vec![name(space), text::number(space.pending_changes), space.id.clone()]).collect();
    // The id is what another device joins by.
    text::whole_table(&["space", "waiting", "id"], &rows, output.width())
}
