//! `afield sync --dry-run`

use crate::arguments::Global;
use crate::context;
use crate::failure::Failure;
use crate::identity;
use crate::interrupt;
use crate::output::Output;
use crate::remembered::Remembered;
use crate::text;
use afield::{PlanError, PlannedEffect, PlannedEntity, PlannedWay, Relay, SandboxProgress, Space, SyncPlan};
use serde::Serialize;

/// How many entities of a way are shown to a person who does not ask for all with --verbose.
const SHOWN_MAX: usize = 20;

/// What a sync would do with a space.
#[derive(Debug, Serialize)]
struct Planned {
    space: String,
    name: String,
    send: PlannedWay,
    /// Absent where the relay was not reached.
    receive: Option<PlannedWay>,
    /// Deletions by others that have come already, and wait to be confirmed.
    held_here: u64,
}

/// Says what a sync would send and bring, and does neither.
pub(super) fn run(global: &Global, output: Output) -> Result<(), Failure> {
    let replica = context::open(global)?;
    let relay = Remembered::read(&global.store)?.ok_or(Failure::NotConnected)?.relay()?;
    let spaces = match &global.space {
        Some(name) => vec![context::space_called(&replica, Some(name))?],
        None => replica.spaces()?,
    };
    let enabled: Vec<_> = replica.status()?.spaces.into_iter().filter(|space| space.enabled).collect();
    let (mut all, mut failure) = (Vec::new(), None);
    for space in &spaces {
        let Some(status) = enabled.iter().find(|enabled| enabled.space == space.id()) else { continue };
        let named = |send: PlannedWay, receive| Planned {
            space: space.id().to_string(),
            name: space.name().to_owned(),
            send,
            receive,
            held_here: status.held_here,
        };
        match plan(space, relay.clone(), output)? {
            Ok(SyncPlan { send, receive, .. }) => all.push(named(send, Some(receive))),
            Err(error) => {
                all.extend(error.send().cloned().map(|send| named(send, None)));
                failure = Some(error);
                // What keeps one space from being planned keeps the others, too, unless it is about that space.
                if !matches!(failure, Some(PlanError::Refused { .. })) {
                    break;
                }
            }
        }
    }
    let shown_max = if global.verbose > 0 { usize::MAX } else { SHOWN_MAX };
    output.list(&all, || all.iter().map(|planned| page(planned, shown_max, output)).collect::<Vec<_>>().join("\n"))?;
    failure.map_or(Ok(()), |error| Err(error.into()))
}

/// Plans one space, and shows how far that is.
fn plan(space: &Space, relay: Relay, output: Output) -> Result<Result<SyncPlan, PlanError>, Failure> {
    let runtime = interrupt::runtime()?;
    let interrupted = {
        let _runtime = runtime.enter();
        interrupt::listen()
    };
    let bar = output.progress("{spinner} {msg}", None);
    let shown = bar.clone();
    let progress = move |progress| match progress {
        SandboxProgress::Copying { done, total } => {
            shown.set_message(format!("copying the store: {} of {}", text::bytes(done), text::bytes(total)));
        }
        SandboxProgress::Receiving { changes, .. } => {
            shown.set_message(format!("looking at {}", text::count(changes, "change", "changes")));
        }
        _ => {}
    };
    let planned = runtime.block_on(async {
        tokio::select! {
            biased;
            () = interrupted => Err(Failure::Interrupted),
            planned = space.plan_with(relay, progress) => Ok(planned),
        }
    });
    drop(bar);
    planned
}

fn page(planned: &Planned, shown_max: usize, output: Output) -> String {
    let name = text::printable(&planned.name);
    let received = planned.receive.as_ref().map_or_else(|| "not known".to_owned(), totals);
    let wrapped = |line: String| text::wrapped(&line, output.width(), 4) + "\n";
    let mut page = format!("{name}: nothing was sent or changed\n");
    page.push_str(&wrapped(format!("  ↑ {}", totals(&planned.send))));
    page.push_str(&wrapped(format!("  ↓ {received}")));
    if planned.held_here > 0 {
        let deletions = text::count(planned.held_here, "deletion", "deletions");
        let them = if planned.held_here == 1 { "it" } else { "them" };
        page.push_str(&wrapped(format!("  ↓ {deletions} by others here already: `afield confirm` shows {them}")));
    }
    let ways = [("↑", Some(&planned.send)), ("↓", planned.receive.as_ref())];
    let mut rows = Vec::new();
    let mut left = 0;
    for (arrow, way) in ways {
        let Some(way) = way else { continue };
        rows.extend(way.list.iter().take(shown_max).map(|entity| row(arrow, entity)));
        left += way.list.len().saturating_sub(shown_max);
    }
    if !rows.is_empty() {
        let head = ["", "id ends in", "collection", "changes", "bytes", "what becomes of it"];
        page.push_str(&text::table(&head, &rows, output.width()));
    }
    if left > 0 {
        let more = format!("and {}; --verbose shows all", text::count(left as u64, "more entity", "more entities"));
        page.push_str(&console::style(more).dim().to_string());
    }
    page
}

fn totals(way: &PlannedWay) -> String {
    let mut totals = format!(
        "{} of {}, {}",
        text::count(way.changes, "change", "changes"),
        text::count(way.entities, "entity", "entities"),
        text::bytes(way.bytes),
    );
    if way.deletions > 0 {
        totals.push_str(&format!(", {}", text::count(way.deletions, "deletion", "deletions")));
    }
    if way.purges > 0 {
        totals.push_str(&format!(", {}", text::count(way.purges, "purge", "purges")));
    }
    if way.needs_confirmation {
        totals.push_str(": so many that they wait for `afield confirm`");
    }
    totals
}

fn row(arrow: &str, entity: &PlannedEntity) -> Vec<String> {
    let effect = match entity.effect {
        PlannedEffect::New => "new",
        PlannedEffect::Deleted => "deleted",
        PlannedEffect::Restored => "restored",
        PlannedEffect::Purged => "gone for good",
        _ => "changed",
    };
    let (changes, bytes) = (text::number(entity.changes), text::bytes(entity.bytes));
    vec![arrow.to_owned(), identity::short(entity.entity), entity.collection.clone(), changes, bytes, effect.to_owned()]
}
