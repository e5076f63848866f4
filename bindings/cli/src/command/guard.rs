//! `afield guard` and `afield confirm`

use crate::arguments::{Confirm, Global, GuardArguments};
use crate::context;
use crate::failure::Failure;
use crate::identity;
use crate::output::{self, Output};
use crate::text;
use afield::{DeviceId, Guard, Held, HeldEntity, HeldWay, ReadOnlySpace, Space};
use serde::Serialize;
use std::io::{BufRead, IsTerminal};

/// How many deletions are shown to a person who does not ask for all with --verbose.
const SHOWN_MAX: usize = 20;

/// How much may be deleted unasked.
#[derive(Debug, Serialize)]
struct Guarded<'g> {
    space: String,
    name: &'g str,
    collection: Option<&'g str>,
    deletions: Option<u64>,
    share: Option<f64>,
}

/// What was confirmed.
#[derive(Debug, Serialize)]
struct Confirmed {
    confirmed: u64,
    token: String,
}

/// What was restored.
#[derive(Debug, Serialize)]
struct Kept {
    kept: u64,
    token: String,
}

pub(super) fn guard(arguments: &GuardArguments, global: &Global, output: Output) -> Result<(), Failure> {
    let wanted = arguments.of.as_deref().or(global.space.as_deref());
    let collection = arguments.collection.as_deref();
    let is_change = arguments.off || arguments.inherit || arguments.deletions.is_some() || arguments.share.is_some();
    if is_change {
        let replica = context::open(global)?;
        change(arguments, &context::space_called(&replica, wanted)?)?;
    }
    let space = context::view_called(&context::view(global)?, wanted)?;
    let Guard { deletions, share } = match collection {
        Some(collection) => space.guard_of(collection)?,
        None => space.guard()?,
    };
    let guarded = Guarded { space: space.id().to_string(), name: space.name(), collection, deletions, share };
    let words = || output.sentence(&guard_in_words(&guarded));
    if is_change { output.done(&guarded, words) } else { output.result(&guarded, words) }
}

/// Changes what was named, and leaves the rest of the guard as it is.
fn change(arguments: &GuardArguments, space: &Space) -> Result<(), Failure> {
    let changed = |present: Guard| match arguments.off {
        true => Guard::OFF,
        false => {
            let (deletions, share) = (arguments.deletions.or(present.deletions), arguments.share.or(present.share));
            Guard { deletions, share }
        }
    };
    match arguments.collection.as_deref() {
        Some(collection) if arguments.inherit => space.set_guard_of(collection, None)?,
        Some(collection) => space.set_guard_of(collection, Some(changed(space.guard_of(collection)?)))?,
        None => space.set_guard(changed(space.guard()?))?,
    }
    Ok(())
}

/// Shows what waits for somebody, and lets it go where that somebody says so.
pub(super) fn confirm(arguments: &Confirm, global: &Global, output: Output) -> Result<(), Failure> {
    let wanted = arguments.of.as_deref().or(global.space.as_deref());
    let view = context::view(global)?;
    let space = context::view_called(&view, wanted)?;
    let held = space.held()?;
    if held.list.is_empty() {
        return output.done(&held, || {
            output.sentence(&format!("{}: nothing waits to be confirmed.", text::printable(space.name())))
        });
    }
    if arguments.token.as_ref().is_some_and(|token| *token != held.token) {
        return Err(Failure::OtherDeletions);
    }
    if arguments.keep {
        let replica = context::open(global)?;
        let kept = context::space_called(&replica, wanted)?.keep(&held)?;
        let kept = Kept { kept, token: held.token };
        let words = || format!("Restored {}, for everybody.", text::count(kept.kept, "entity", "entities"));
        return output.done(&kept, words);
    }
    let count = held.list.len() as u64;
    if !arguments.yes {
        let this = view.device()?;
        output.result(&held, || page(&space, &held, this, global, output))?;
        if !ask(count, output) {
            return Err(Failure::DeletionsUnconfirmed { count });
        }
    }
    let replica = context::open(global)?;
    let confirmed = context::space_called(&replica, wanted)?.confirm(&held)?;
    let confirmed = Confirmed { confirmed, token: held.token };
    let sync = console::style(global.hints.command("sync")).bold();
    output.done(&confirmed, || {
        let deletions = text::count(confirmed.confirmed, "deletion", "deletions");
        format!("Confirmed {deletions}. Those by others are followed here now; those made here go with the next sync:\n  {sync}")
    })
}

/// Asks a person, where one sits there.
fn ask(count: u64, output: Output) -> bool {
    if !output.is_for_a_person() || !output.is_terminal() || !std::io::stdin().is_terminal() {
        return false;
    }
    output::tell(&format!("Let {} go? [y/N]", text::count(count, "deletion", "deletions")));
    let mut line = String::new();
    let is_read = std::io::stdin().lock().read_line(&mut line).is_ok();
    is_read && matches!(line.trim(), "y" | "Y" | "yes")
}

fn guard_in_words(guarded: &Guarded<'_>) -> String {
    let of = guarded.collection.map(|collection| format!(", {collection}")).unwrap_or_default();
    let name = text::printable(guarded.name);
    let number = guarded.deletions.map(|deletions| text::count(deletions, "deletion", "deletions"));
    let share = guarded.share.map(|share| format!("{} % of a collection", share * 100.0));
    match (number, share) {
        (None, None) => format!("{name}{of}: any number of deletions is synced unasked."),
        (Some(one), None) if guarded.deletions == Some(1) => {
            format!("{name}{of}: more than {one} waits for `afield confirm`.")
        }
        (Some(one), None) | (None, Some(one)) => format!("{name}{of}: more than {one} wait for `afield confirm`."),
        (Some(number), Some(share)) => {
            format!("{name}{of}: more than {number}, or than {share}, wait for `afield confirm`.")
        }
    }
}

fn page(space: &ReadOnlySpace, held: &Held, this: DeviceId, global: &Global, output: Output) -> String {
    let of = |way| held.list.iter().filter(move |held| held.way == way).count() as u64;
    let (sent, received) = (of(HeldWay::Send), of(HeldWay::Receive));
    let mut page = format!("{}:", text::printable(space.name()));
    let mut tell = |line: String| page.push_str(&format!("\n{}", text::wrapped(&line, output.width(), 4)));
    if sent > 0 {
        let deletions = text::count(sent, "deletion", "deletions");
        tell(format!("  ↑ {deletions} made here; nothing of the space is sent meanwhile"));
    }
    if received > 0 {
        let deletions = text::count(received, "deletion", "deletions");
        let stay = if received == 1 { "this entity stays as it is" } else { "these entities stay as they are" };
        tell(format!("  ↓ {deletions} by others; {stay} meanwhile"));
    }
    let shown_max = if global.verbose > 0 { usize::MAX } else { SHOWN_MAX };
    let rows: Vec<_> = held.list.iter().take(shown_max).map(|held| row(space, held, this)).collect();
    page.push('\n');
    let head = ["", "id ends in", "collection", "when", "what", "who", "fields"];
    page.push_str(&text::table(&head, &rows, output.width()));
    let left = held.list.len().saturating_sub(shown_max);
    if left > 0 {
        let more = format!("and {}; --verbose shows all", text::count(left as u64, "more", "more"));
        page.push_str(&console::style(more).dim().to_string());
    }
    page
}

fn row(space: &ReadOnlySpace, held: &HeldEntity, this: DeviceId) -> Vec<String> {
    let arrow = if held.way == HeldWay::Send { "↑" } else { "↓" };
    let age = u64::try_from(context::wall_ms().saturating_sub(held.at_ms)).unwrap_or(0);
    let what = if held.purged { "gone for good" } else { "deleted" };
    let who = identity::who(held.author.as_deref(), held.device, this);
    // What was purged, or cannot be opened, has no fields to show.
    let fields = space.read(&held.collection, held.entity).map(|entity| super::list::fields(&entity.json()));
    let collection = text::printable(&held.collection);
    vec![
        arrow.to_owned(),
        identity::short(held.entity),
        collection,
        text::ago(age),
        what.to_owned(),
        who,
        fields.unwrap_or_default(),
    ]
}
