//! `afield purge`, and `afield trash --empty`

use crate::arguments::{Global, Purge, Trash};
use crate::context;
use crate::failure::Failure;
use crate::output::Output;
use crate::text;
use crate::warning::Warned;
use afield::{Confirm, PurgeError, Purged, Replica, Space};
use serde::Serialize;
use std::time::Duration;

/// What was purged.
#[derive(Debug, Serialize)]
struct Done {
    entities: u64,
    changes: u64,
    /// What stays in the trash since it is not this device's to purge; only of the trash as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<u64>,
}

pub(super) fn run(arguments: &Purge, global: &Global, output: Output) -> Result<(), Failure> {
    let (replica, space) = context::open_space(global)?;
    let collection = space.collection::<()>(&arguments.collection)?;
    let bar = output
        .progress("{spinner} {bar:24} entities looked up: {human_pos}/{human_len}", Some(arguments.ids.len() as u64));
    let mut ids = Vec::new();
    for id in &arguments.ids {
        let among = || -> Result<_, Failure> { Ok([collection.ids()?, collection.deleted()?].concat()) };
        let id = id.find_among(&arguments.collection, among)?;
        // Also an id that was given whole has to be one of the collection.
        if let Err(error) = collection.purge(id, Confirm::Ask)
            && !matches!(error, PurgeError::Unconfirmed { .. })
        {
            return Err(error.into());
        }
        ids.push(id);
        bar.inc(1);
    }
    drop(bar);
    let purged = purging(output, || space.purge(ids, confirm(arguments.yes)))?;
    done((purged, None), (&replica, &space), global, output)
}

/// Purges what was deleted, where that is older than what is to be kept.
pub(super) fn empty_trash(arguments: &Trash, global: &Global, output: Output) -> Result<(), Failure> {
    let (replica, space) = context::open_space(global)?;
    let older_than = arguments.older_than.unwrap_or(Duration::ZERO);
    let Some(name) = &arguments.collection else {
        let purged = purging(output, || space.purge_deleted(older_than, confirm(arguments.yes)))?;
        return done((purged, Some(purged.skipped)), (&replica, &space), global, output);
    };
    let collection = space.collection::<()>(name)?;
    let purged = purging(output, || collection.purge_deleted(older_than, confirm(arguments.yes)))?;
    done((purged, Some(purged.skipped)), (&replica, &space), global, output)
}

/// Purges in one go, which tells nobody how far it is.
fn purging(output: Output, purge: impl FnOnce() -> Result<Purged, PurgeError>) -> Result<Purged, PurgeError> {
    let _bar = output.progress("{spinner} purging: {elapsed}", None);
    purge()
}

pub(super) fn confirm(yes: bool) -> Confirm {
    if yes { Confirm::Yes } else { Confirm::Ask }
}

fn done(
    (purged, skipped): (Purged, Option<u64>),
    (replica, space): (&Replica, &Space),
    global: &Global,
    output: Output,
) -> Result<(), Failure> {
    let Purged { entities, changes, .. } = purged;
    let sync = global.hints.command("sync");
    Warned::new(&Done { entities, changes, skipped }, (replica, space), entities > 0, global).done(output, || {
        let skipped = skipped.filter(|skipped| *skipped > 0).map(|skipped| left_alone(skipped, global));
        if entities == 0
            && let Some(skipped) = skipped
        {
            return skipped;
        }
        let what = format!(
            "{} with {}",
            text::count(entities, "entity", "entities"),
            text::count(changes, "change", "changes"),
        );
        let sync = console::style(sync).bold();
        let purged = format!(
            "Purged {what} from this device. The relay and the other devices follow with the next sync:\n  {sync}"
        );
        skipped.map_or_else(|| purged.clone(), |skipped| format!("{purged}\n{skipped}"))
    })
}

/// What stays in the trash, and what would help.
fn left_alone(skipped: u64, global: &Global) -> String {
    let what = text::count(skipped, "entity stays", "entities stay");
    let command = console::style(global.hints.command("direction")).bold();
    format!(
        "{what} in the trash: where this device may only read the space, ask somebody who may write to empty it; where a collection only \
         comes in, empty it on a device that sends it. Which those are says:\n  {command}"
    )
}
