//! `afield conflicts`, `afield resolve`

use crate::arguments::{Conflicts, ConflictsCommand, Global, Resolve, StrategyArguments};
use crate::command::list::lines;
use crate::context;
use crate::failure::Failure;
use crate::identity;
use crate::output::Output;
use crate::text;
use crate::warning::Warned;
use afield::{Choice, Collection, Conflict, ConflictValue, Path, ReadConflict, Strategy, Value};
use serde::Serialize;
use serde_json::Value as Json;

/// What two people did to one place.
#[derive(Debug, Serialize)]
struct Shown {
    id: String,
    collection: String,
    entity: String,
    path: String,
    kind: &'static str,
    strategy: &'static str,
    values: Vec<Side>,
}

#[derive(Debug, Serialize)]
struct Side {
    /// What `--keep` takes.
    number: usize,
    wins: bool,
    deleted: bool,
    /// Tagged, so that nothing is lost.
    value: Option<Json>,
    author: Option<String>,
    device: Option<String>,
    at_ms: i64,
}

/// What was decided.
#[derive(Debug, Serialize)]
struct Resolved {
    id: String,
    collection: String,
    entity: String,
    path: String,
    left: usize,
}

pub(super) fn list(arguments: &Conflicts, global: &Global, output: Output) -> Result<(), Failure> {
    if let Some(ConflictsCommand::Strategy(arguments)) = &arguments.command {
        return strategy(arguments, global, output);
    }
    let collection = arguments.collection.as_deref().map(context::collection_name).transpose()?;
    let space = context::view_space(global)?;
    let conflicts = space.conflicts(collection.as_ref())?;
    // What was worked out is stored where nobody else writes, so that `status` counts it, too.
    if space.conflicts_are_behind(None)?
        && let Some(replica) = context::open_if_free(global)
    {
        replica.space(space.id())?.conflicts()?;
    }
    let shown: Vec<Shown> = conflicts.iter().map(Shown::of).collect();
    let this = context::view(global)?.device()?.to_string();
    output.list(&shown, || in_words(&shown, &this, global, output))
}

/// How the conflicts of a collection or a field are decided.
#[derive(Debug, Serialize)]
struct Strategic {
    collection: String,
    field: Option<String>,
    strategy: &'static str,
}

impl Strategic {
    fn new(collection: &str, field: &Path, strategy: Strategy) -> Self {
        let field = (!field.steps().is_empty()).then(|| field.to_string());
        Self { collection: collection.to_owned(), field, strategy: strategy.name() }
    }

    fn cells(&self) -> Vec<String> {
        let field = self.field.as_deref().unwrap_or("(all others)");
        vec![text::printable(&self.collection), text::printable(field), self.strategy.replace('_', "-")]
    }
}

fn strategy(arguments: &StrategyArguments, global: &Global, output: Output) -> Result<(), Failure> {
    let Some(collection) = &arguments.collection else {
        let found = context::view_space(global)?.conflict_strategies()?;
        let shown: Vec<_> = found.iter().map(|one| Strategic::new(&one.collection, &one.field, one.strategy)).collect();
        return output.list(&shown, || {
            let rows: Vec<_> = shown.iter().map(Strategic::cells).collect();
            lines(
                &["collection", "field", "strategy"],
                &rows,
                output,
                "What is in conflict is listed until a person decides.",
            )
        });
    };
    let (field, name) = match arguments.rest.as_slice() {
        [name] => (Path::ROOT, name),
        [field, name] => {
            let wrong = |error| Failure::Usage(format!("{field:?} is no field: {error}"));
            (field.parse().map_err(wrong)?, name)
        }
        _ => return Err(Failure::Usage("name a strategy, as in `afield conflicts strategy notes newest`".to_owned())),
    };
    let chosen: Strategy = name
        .replace('-', "_")
        .parse()
        .map_err(|error: afield::ParseStrategyError| Failure::Usage(error.to_string()))?;
    let (replica, space) = context::open_space(global)?;
    space.collection::<()>(collection)?.on_conflict_in(field.clone(), chosen)?;
    context::note_if_new(&space, collection, output)?;
    let told = Strategic::new(collection, &field, chosen);
    // What it settles at once is written as by hand.
    Warned::new(&told, (&replica, &space), true, global).done(output, || {
        let told = told.cells().split_off(1).join(", ");
        output.sentence(&format!("{}: {told}.", text::printable(collection)))
    })
}

pub(super) fn resolve(arguments: &Resolve, global: &Global, output: Output) -> Result<(), Failure> {
    let choice = choice(arguments)?;
    let (replica, space) = context::open_space(global)?;
    let collection: Collection<()> = space.collection(&arguments.of.collection)?;
    let mut conflicts = collection.conflicts()?;
    let id = arguments.of.id.find_among(collection.name(), || {
        let mut ids: Vec<_> = conflicts.iter().map(|conflict| conflict.entity).collect();
        ids.dedup();
        Ok(ids)
    })?;
    conflicts.retain(|conflict| conflict.entity == id);
    let count = conflicts.len();
    let is_meant = |conflict: &&Conflict| match &arguments.path {
        Some(path) => *path == conflict.path.to_string() || *path == conflict.id.to_string(),
        None => true,
    };
    let meant: Vec<&Conflict> = conflicts.iter().filter(is_meant).collect();
    let conflict = match meant.as_slice() {
        [only] => *only,
        [] => return Err(Failure::NoConflict),
        many => {
            let place = |conflict: &&Conflict| match conflict.path.to_string() {
                path if path.is_empty() => conflict.id.to_string(),
                path => path,
            };
            return Err(Failure::ConflictAmbiguous { places: many.iter().map(place).collect() });
        }
    };
    if conflict.path.steps().is_empty() && matches!(choice, Choice::Value(_)) {
        let how =
            "a deletion beside an edit is decided with --keep NUMBER; change the fields with `afield put` after that";
        return Err(Failure::Usage(how.to_owned()));
    }
    let _ = conflict.resolve(&choice)?;
    let resolved = Resolved {
        id: conflict.id.to_string(),
        collection: conflict.collection.clone(),
        entity: id.to_string(),
        path: conflict.path.to_string(),
        left: count - 1,
    };
    Warned::new(&resolved, (&replica, &space), true, global).done(output, || match resolved.left {
        0 => "Decided.".to_owned(),
        1 => "Decided. There is 1 more in this entity.".to_owned(),
        left => format!("Decided. There are {} more in this entity.", text::number(left as u64)),
    })
}

fn choice(arguments: &Resolve) -> Result<Choice, Failure> {
    let Some(value) = &arguments.value else {
        let number = arguments.keep.unwrap_or_default();
        let index = number.checked_sub(1).ok_or_else(|| Failure::Usage("sides are numbered from 1".to_owned()))?;
        return Ok(Choice::Keep(index));
    };
    let no_json = |_| {
        let quoted = shell_words::quote(&Json::from(value.as_str()).to_string()).into_owned();
        Failure::Usage(format!("--value takes JSON, in which a text has double quotes: --value {quoted}"))
    };
    let json: Json = serde_json::from_str(value).map_err(no_json)?;
    let value = Value::from_tagged_json(&json).map_err(|error| Failure::Usage(format!("--value: {error}")))?;
    Ok(Choice::Value(value))
}

impl Shown {
    fn of(conflict: &ReadConflict) -> Self {
        Self {
            id: conflict.id.to_string(),
            collection: conflict.collection.clone(),
            entity: conflict.entity.to_string(),
            path: conflict.path.to_string(),
            kind: conflict.kind.name(),
            strategy: conflict.strategy.name(),
            values: conflict.values.iter().zip(1..).map(|(side, number)| Side::of(side, number)).collect(),
        }
    }
}

impl Side {
    fn of(side: &ConflictValue, number: usize) -> Self {
        Self {
            number,
            wins: side.wins,
            deleted: side.value.is_none(),
            value: side.value.as_ref().map(Value::to_tagged_json),
            author: side.author.clone(),
            device: side.device.map(|device| device.to_string()),
            at_ms: side.at_ms,
        }
    }

    fn who(&self) -> &str {
        self.author.as_deref().or(self.device.as_deref()).unwrap_or("unknown")
    }

    fn what(&self) -> String {
        self.value.as_ref().map_or_else(|| "deleted".to_owned(), Json::to_string)
    }
}

fn in_words(shown: &[Shown], this: &str, global: &Global, output: Output) -> String {
    if !output.is_terminal() {
        let line = |(one, side): (&Shown, &Side)| {
            let (number, at_ms, what) = (side.number, side.at_ms, side.what());
            let Shown { collection, entity, kind, .. } = one;
            // What would begin another field or line, or drive a terminal behind the pipe, is a blank.
            let (path, who) = (text::printable(&one.path), text::printable(side.who()));
            format!("{collection}\t{entity}\t{path}\t{kind}\t{number}\t{who}\t{at_ms}\t{what}\n")
        };
        return shown.iter().flat_map(|one| one.values.iter().map(move |side| (one, side))).map(line).collect();
    }
    let Some(first) = shown.first() else {
        return console::style("There is nothing to decide.").dim().to_string();
    };
    let mut rows = Vec::new();
    for one in shown {
        for side in &one.values {
            let age = u64::try_from(context::wall_ms().saturating_sub(side.at_ms)).unwrap_or(0);
            let what = if side.wins { format!("{} (shown)", side.what()) } else { side.what() };
            let entity = one.entity.parse().map_or_else(|_| one.entity.clone(), identity::short);
            let number = side.number.to_string();
            let who = match (&side.author, &side.device) {
                (None, Some(device)) if device == this => "this device".to_owned(),
                (None, Some(device)) => identity::end_of(device),
                _ => text::printable(side.who()),
            };
            let (path, what) = (text::printable(&one.path), text::printable(&what));
            rows.push(vec![entity, one.collection.clone(), path, number, who, text::ago(age), what]);
        }
    }
    let head = ["id ends in", "collection", "field", "side", "who", "when", "value"];
    let table = text::table(&head, &rows, output.width());
    let entity = first.entity.parse().map_or_else(|_| first.entity.clone(), identity::short);
    // A field whose name cannot be typed is named by the conflict's id.
    let is_plain = !first.path.is_empty() && !first.path.contains(char::is_control);
    let place = if is_plain { shell_words::quote(&first.path) } else { (&first.id).into() };
    let resolve = format!("resolve {} {entity} {place} --keep 1", first.collection);
    format!("{table}{} {}", console::style("next:").dim(), global.hints.command(&resolve))
}
