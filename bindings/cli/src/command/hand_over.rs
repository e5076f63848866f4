//! `afield hand-over` and `afield take-over`

use crate::arguments::{Global, HandOver};
use crate::context;
use crate::failure::Failure;
use crate::output::Output;
use crate::text;
use crate::warning::Warned;
use serde::Serialize;

#[derive(Debug, Serialize)]
struct Handed {
    file: String,
    spaces: Vec<String>,
    entities: u64,
    changes: u64,
}

#[derive(Debug, Serialize)]
struct Taken {
    changes: u64,
    added: u64,
    unknown_spaces: Vec<String>,
}

/// Writes what was not sent into a file.
pub(super) fn hand_over(arguments: &HandOver, global: &Global, output: Output) -> Result<(), Failure> {
    let replica = context::open(global)?;
    let handed = replica.export_unsent(&arguments.file)?;
    let file = arguments.file.display().to_string();
    let spaces = handed.spaces.iter().map(ToString::to_string).collect();
    let shown = Handed { file, spaces, entities: handed.entities, changes: handed.changes };
    output.done(&shown, || {
        if shown.changes == 0 {
            return format!("Nothing waits to be sent; {} says so.", shown.file);
        }
        let changes = text::count(shown.changes, "change", "changes");
        let entities = text::count(shown.entities, "entity", "entities");
        let they_stay = if shown.changes == 1 { "It stays" } else { "They stay" };
        let take = format!("afield take-over {}", shell_words::quote(&shown.file));
        format!(
            "Wrote {changes} of {entities} to {}. {they_stay} here, too. On another device of yours:\n  {}",
            shown.file,
            console::style(take).bold()
        )
    })
}

/// Takes in what another device has not sent.
pub(super) fn take_over(arguments: &HandOver, global: &Global, output: Output) -> Result<(), Failure> {
    let replica = context::open(global)?;
    let taken = replica.take_over(&arguments.file)?;
    let unknown_spaces = taken.unknown_spaces.iter().map(ToString::to_string).collect();
    let shown = Taken { changes: taken.changes, added: taken.added, unknown_spaces };
    Warned::anywhere(&shown, &replica, shown.added > 0, global).done(output, || {
        let mut lines = vec![match shown.added {
            0 if shown.changes > 0 => "All of it was here already.".to_owned(),
            0 => "Nothing of it is for this device.".to_owned(),
            added => {
                let sync = console::style(global.hints.command("sync")).bold().to_string();
                format!("Took over {}. To send what came:\n  {sync}", text::count(added, "change", "changes"))
            }
        }];
        for space in &shown.unknown_spaces {
            let join = console::style(global.hints.command(&format!("space join {space}"))).bold().to_string();
            lines
                .push(format!("A space of the file is not here. To have it, then take the file over again:\n  {join}"));
        }
        lines.join("\n")
    })
}
