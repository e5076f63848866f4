//! `afield init`

use crate::arguments::{Global, Init};
use crate::context;
use crate::failure::Failure;
use crate::output::Output;
use serde::Serialize;

/// What the first space is called unless somebody says otherwise.
const FIRST_SPACE: &str = "Home";

#[derive(Debug, Serialize)]
struct Made {
    store: String,
    device: String,
    made: bool,
    space: super::space::Shown,
}

pub(super) fn run(arguments: &Init, global: &Global, output: Output) -> Result<(), Failure> {
    if global.space.as_ref().is_some_and(|name| name.trim().is_empty()) {
        return Err(Failure::SpaceUnnamed);
    }
    let replica = context::open_or_make(global)?;
    let spaces = replica.spaces()?;
    let made = spaces.is_empty();
    let was_joined = arguments.join.is_some_and(|id| spaces.iter().any(|space| space.id() == id));
    let space = match (spaces.into_iter().next(), arguments.join) {
        (_, Some(id)) => match &global.space {
            Some(name) if *name != id.to_string() => {
                context::check_name(&replica, Some(id), name)?;
                replica.join_space_as(id, name)?
            }
            _ => replica.join_space(id)?,
        },
        // A name that the store does not know is a mistake: the first space has another one already.
        (Some(_), None) if global.space.is_some() => context::space(&replica, global)?,
        (Some(space), None) => space,
        (None, None) => replica.create_space(global.space.as_deref().unwrap_or(FIRST_SPACE))?,
    };
    let shown = Made {
        store: global.store.display().to_string(),
        device: replica.device().to_string(),
        made,
        space: super::space::Shown::of(&space),
    };
    output.done(&shown, || {
        let store = global.store.display();
        let head = match (made, arguments.join) {
            (false, None) => format!("There is a store already: {store}"),
            (false, Some(id)) if was_joined => format!("The store {store}\nhas the space {id} already."),
            (false, Some(id)) => format!("Joined the space {id}\nin the store that was there: {store}"),
            (true, Some(id)) => format!("Made the store {store}\nand joined the space {id}."),
            (true, None) => format!("Made the store {store}\nwith the space {:?}.", space.name()),
        };
        format!("{head}\n\n{}", next_steps(&space, arguments.join.is_some(), global))
    })
}

fn next_steps(space: &afield::Space, is_joined: bool, global: &Global) -> String {
    let typed = |line: &str| global.hints.command(line);
    let mut steps = vec![];
    if !is_joined {
        steps.push(("add an entity", typed("put notes title=Shopping body~='milk, bread'")));
    }
    steps.push(("sync through a relay", typed("connect URL --token-file FILE")));
    if !is_joined {
        steps.push((
            "have the same space on another device",
            format!("afield init --join {} --space {}", space.id(), shell_words::quote(space.name())),
        ));
    }
    let mut text = String::from("Next:");
    for (what, command) in steps {
        text.push_str(&format!("\n  {}\n      {}", what, console::style(command).bold()));
    }
    text
}
