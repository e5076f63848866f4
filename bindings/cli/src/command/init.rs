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
    let replica = context::open_or_make(global)?;
    let first = replica.spaces()?.into_iter().next();
    let made = first.is_none();
    let space = match (first, arguments.join) {
        (_, Some(id)) => replica.join_space(id)?,
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
            (_, Some(id)) => format!("Made the store {store}\nand joined the space {id}."),
            (true, None) => format!("Made the store {store}\nwith the space {:?}.", space.name()),
        };
        format!("{head}\n\n{}", next_steps(&space, arguments.join.is_some()))
    })
}

fn next_steps(space: &afield::Space, is_joined: bool) -> String {
    let mut steps = vec![];
    if !is_joined {
        steps.push(("add an entity", "afield put notes title=Shopping body~='milk, bread'".to_owned()));
    }
    steps.push(("sync through a relay", "afield connect URL --token TOKEN".to_owned()));
    if !is_joined {
        steps.push(("have the same space on another device", format!("afield init --join {}", space.id())));
    }
    let mut text = String::from("Next:");
    for (what, command) in steps {
        text.push_str(&format!("\n  {}\n      {}", what, console::style(command).bold()));
    }
    text
}
