//! `afield log`, `at`, `diff`, `undo`, `redo` and `restore --to`

use crate::arguments::{At, Diff, Global, Log, One};
use crate::context;
use crate::failure::Failure;
use crate::identity;
use crate::moment::Moment;
use crate::output::Output;
use crate::text;
use crate::warning::Warned;
use afield::{Changed, Confirm, Difference, EntityId, HistoryChange, Point, ReadError, ReadOnlySpace, Value};
use console::style;
use serde::Serialize;
use serde_json::{Value as Json, json};

/// How many digits of a change's hash are shown.
const DIGITS: usize = 10;
/// How many changes are read at once, at the least: an import may have many that nobody is told of.
const PAGE_CHANGES: usize = 100;

/// Which way to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Undo,
    Redo,
}

#[derive(Debug, Serialize)]
struct Logged {
    change: String,
    /// `None` where it is nobody's.
    at_ms: Option<i64>,
    device: Option<String>,
    author: Option<String>,
    message: Option<String>,
    operations: u64,
    undoes: Option<Undone>,
    /// What made it, where that is nobody: it is the same on every device, and has no author, device or time.
    derived: Option<Derived>,
}

/// What nobody makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Derived {
    Import,
    Settlement,
}

impl Derived {
    fn of(change: &HistoryChange) -> Option<Self> {
        // What a strategy decides names in its message what it has decided, and what is imported has none.
        let by = if change.attribution.message.is_some() { Self::Settlement } else { Self::Import };
        change.is_derived().then_some(by)
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::Import => "an import",
            Self::Settlement => "settled by a strategy",
        }
    }
}

#[derive(Debug, Serialize)]
struct Undone {
    first: String,
    last: String,
    redo: bool,
}

/// What became of an entity.
#[derive(Debug, Serialize)]
struct Gone<'c> {
    id: String,
    collection: &'c str,
    changed: bool,
}

pub(super) fn log(arguments: &Log, global: &Global, output: Output) -> Result<(), Failure> {
    let (space, id) = entity(&arguments.of, global)?;
    let told = told(&space, &arguments.of.collection, id, &Point::Now, arguments.limit)?;
    let changes: Vec<Logged> = told.iter().map(logged).collect();
    let this = context::view(global)?.device()?.to_string();
    output.list(&changes, || changes.iter().map(|change| in_words(change, &this, output)).collect())
}

pub(super) fn at(arguments: &At, global: &Global, output: Output) -> Result<(), Failure> {
    let (space, id) = entity(&arguments.of, global)?;
    let collection = &arguments.of.collection;
    let point = arguments.point.find(|from, limit| space.history(collection, id, from, limit))?;
    let value = space.at(collection, id, &point)?;
    let value = if arguments.tagged { value.to_tagged_json() } else { value.to_json() };
    output.result(&value, || if output.is_terminal() { text::printable(&value.to_string()) } else { value.to_string() })
}

pub(super) fn diff(arguments: &Diff, global: &Global, output: Output) -> Result<(), Failure> {
    let (space, id) = entity(&arguments.of, global)?;
    let collection = &arguments.of.collection;
    let find = |moment: &Moment| moment.find(|from, limit| space.history(collection, id, from, limit));
    let to = find(&arguments.to)?;
    let from = match &arguments.from {
        Some(from) => find(from)?,
        None => {
            let last = told(&space, collection, id, &to, 1)?;
            last.first().map_or(Point::Heads(Vec::new()), |last| Point::Before(last.hash))
        }
    };
    let differences = space.differences(collection, id, &from, &to)?;
    let found: Vec<Json> = differences.iter().map(as_json).collect();
    output.list(&found, || differences.iter().map(shown).collect())
}

pub(super) fn undo(one: &One, direction: Direction, global: &Global, output: Output) -> Result<(), Failure> {
    let (replica, space) = context::open_space(global)?;
    let collection = space.collection::<()>(&one.collection)?;
    let id = one.id.find_among(&one.collection, || Ok([collection.ids()?, collection.deleted()?].concat()))?;
    let (write, done, nothing) = match direction {
        Direction::Undo => (collection.undo(id)?, "Undone.", "This device has nothing to undo there."),
        Direction::Redo => (collection.redo(id)?, "Redone.", "There is nothing to redo."),
    };
    let gone = Gone { id: id.to_string(), collection: &one.collection, changed: write.is_some() };
    let is_deleted = write.is_some() && collection.deleted()?.contains(&id);
    // Who may only read would else look for the edit to be gone from what waits.
    let waits = ". What it was done to waits as well: each is a change of its own";
    Warned::new(&gone, (&replica, &space), gone.changed, global).and(waits).done(output, || match write {
        Some(_) if is_deleted => {
            let back = if direction == Direction::Undo { "redo" } else { "restore" };
            let back = global.hints.command(&format!("{back} {} {id}", one.collection));
            format!("{done} With that the entity is deleted. To take it back:\n  {}", style(back).bold())
        }
        Some(_) => done.to_owned(),
        None => nothing.to_owned(),
    })
}

pub(super) fn restore(
    (one, moment, confirm): (&One, &Moment, Confirm),
    global: &Global,
    output: Output,
) -> Result<(), Failure> {
    let (replica, space) = context::open_space(global)?;
    let collection = context::collection(&space, &one.collection, global)?;
    let id = one.id.find_among(&one.collection, || Ok([collection.ids()?, collection.deleted()?].concat()))?;
    let point = moment.find(|from, limit| collection.history(id, from, limit))?;
    let changed = collection.restore_to(id, &point, confirm)?.changes().next().is_some();
    let gone = Gone { id: id.to_string(), collection: &one.collection, changed };
    let words = if changed { "Restored." } else { "It is that already." };
    Warned::new(&gone, (&replica, &space), changed, global).done(output, || words.to_owned())
}

fn entity(one: &One, global: &Global) -> Result<(ReadOnlySpace, EntityId), Failure> {
    let space = context::view_space(global)?;
    let collection = &one.collection;
    context::collection_name(collection)?;
    let id = one.id.find_among(collection, || {
        let deleted = space.deleted(collection)?.into_iter().map(|(id, _)| id);
        Ok(space.ids(collection)?.into_iter().chain(deleted).collect())
    })?;
    Ok((space, id))
}

/// The newest changes up to a point that a person is told of, at most so many.
fn told(
    space: &ReadOnlySpace,
    collection: &str,
    id: EntityId,
    upto: &Point,
    limit: usize,
) -> Result<Vec<HistoryChange>, ReadError> {
    let (mut told, mut left_out, mut from) = (Vec::new(), Vec::new(), Some(upto.clone()));
    while let Some(point) = from.filter(|_| told.len() < limit) {
        let page = space.history(collection, id, &point, limit.max(PAGE_CHANGES))?;
        for change in page.changes {
            if told.len() == limit {
                break;
            }
            let to = if makes_room(&change, collection, id, space)? { &mut left_out } else { &mut told };
            to.push(change);
        }
        from = page.next;
    }
    if told.is_empty() {
        // Of an entity that was brought with nothing but an empty text that text is all there is to tell.
        left_out.truncate(limit);
        return Ok(left_out);
    }
    Ok(told)
}

/// Whether a change does nothing but create an empty text, list, map or counter for the one that follows, as every device would.
fn makes_room(
    change: &HistoryChange,
    collection: &str,
    id: EntityId,
    space: &ReadOnlySpace,
) -> Result<bool, ReadError> {
    // What an import brings or a strategy settles has no author either, and is what a person looks for.
    if !change.is_derived() || change.operations != 1 || change.dependencies.len() > 1 {
        return Ok(false);
    }
    let (before, after) = (Point::Before(change.hash), Point::After(change.hash));
    let differences = space.differences(collection, id, &before, &after)?;
    let is_empty = |value: &Value| match value.to_json() {
        Json::String(text) => text.is_empty() && !matches!(value.to_tagged_json(), Json::String(_)),
        Json::Array(elements) => elements.is_empty(),
        Json::Object(entries) => entries.is_empty(),
        Json::Number(number) => number.as_i64() == Some(0) && !matches!(value.to_tagged_json(), Json::Number(_)),
        Json::Null | Json::Bool(_) => false,
    };
    Ok(matches!(differences.as_slice(), [Difference { changed: Changed::Added { after }, .. }] if is_empty(after)))
}

fn logged(change: &HistoryChange) -> Logged {
    let attribution = &change.attribution;
    Logged {
        change: change.hash.to_string(),
        at_ms: (!change.is_derived()).then_some(attribution.at_ms),
        device: attribution.device.map(|device| device.to_string()),
        author: attribution.author.clone(),
        message: attribution.message.clone().filter(|_| !change.is_derived()),
        operations: change.operations,
        undoes: change.undoes.as_ref().map(|undoes| Undone {
            first: undoes.first().to_owned(),
            last: undoes.last().to_owned(),
            redo: undoes.is_redo(),
        }),
        derived: Derived::of(change),
    }
}

fn in_words(change: &Logged, this: &str, output: Output) -> String {
    let hash = change.change.get(..DIGITS).unwrap_or_default();
    let who = change.author.as_deref().map(text::printable);
    let unknown = if change.derived.is_some() { "nobody" } else { "another program" };
    let who = who.or_else(|| change.device.clone()).unwrap_or_else(|| unknown.to_owned());
    let why = match (&change.undoes, &change.message) {
        (Some(undone), _) => {
            let (word, last) = (if undone.redo { "redo" } else { "undo" }, undone.last.get(..DIGITS));
            format!("{word} {}", last.unwrap_or_default())
        }
        (None, Some(message)) => text::printable(message),
        (None, None) => change.derived.map(Derived::in_words).unwrap_or_default().to_owned(),
    };
    if !output.is_terminal() {
        let at_ms = change.at_ms.map(|at| at.to_string()).unwrap_or_default();
        return format!("{}\t{at_ms}\t{who}\t{why}\n", change.change);
    }
    let age = |at| text::ago(u64::try_from(context::wall_ms().saturating_sub(at)).unwrap_or(0));
    let ago = change.at_ms.map_or_else(|| "no time".to_owned(), age);
    let who = match (&change.author, &change.device) {
        (None, Some(device)) if device == this => "this device".to_owned(),
        (None, Some(device)) => identity::end_of(device),
        _ => who,
    };
    let cells = [style(hash).yellow().to_string(), ago, style(who).bold().to_string(), why];
    text::beside(&cells, output.width()) + "\n"
}

fn as_json(difference: &Difference) -> Json {
    let path = difference.path.to_string();
    let value = |value: &Value| value.to_tagged_json();
    match &difference.changed {
        Changed::Added { after } => json!({ "path": path, "change": "added", "after": value(after) }),
        Changed::Removed { before } => json!({ "path": path, "change": "removed", "before": value(before) }),
        Changed::Replaced { before, after } => {
            json!({ "path": path, "change": "replaced", "before": value(before), "after": value(after) })
        }
        Changed::Text { hunks } => {
            let hunk = |hunk: &afield::TextHunk| json!({ "position": hunk.position, "deleted": hunk.deleted, "inserted": hunk.inserted });
            json!({ "path": path, "change": "text", "hunks": hunks.iter().map(hunk).collect::<Vec<_>>() })
        }
        _ => json!({ "path": path, "change": "other" }),
    }
}

fn shown(difference: &Difference) -> String {
    let path = text::printable(&difference.path.to_string());
    let plain = |value: &Value| text::printable(&value.to_json().to_string());
    let gone = |before: &Value| style(format!("- {path}: {}\n", plain(before))).red().to_string();
    let come = |after: &Value| style(format!("+ {path}: {}\n", plain(after))).green().to_string();
    match &difference.changed {
        Changed::Added { after } => come(after),
        Changed::Removed { before } => gone(before),
        Changed::Replaced { before, after } => gone(before) + &come(after),
        Changed::Text { hunks } => {
            let quoted = |text: &str| text::printable(&Json::from(text).to_string());
            let hunk = |hunk: &afield::TextHunk| {
                let (deleted, inserted) = (quoted(&hunk.deleted), quoted(&hunk.inserted));
                format!("~ {path} at {}: {} {}\n", hunk.position, style(deleted).red(), style(inserted).green())
            };
            hunks.iter().map(hunk).collect()
        }
        _ => format!("~ {path}\n"),
    }
}
