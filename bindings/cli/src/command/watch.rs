//! `afield watch`

use crate::arguments::{Global, Watch};
use crate::context;
use crate::failure::Failure;
use crate::identity;
use crate::interrupt::Interrupt;
use crate::live::Live;
use crate::output::{self, Output};
use crate::text;
use afield::{EntityError, EntityId, ReadError, ReadOnlyReplica, ReadOnlySpace};
use serde::Serialize;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::time::Duration;

/// How often the store is asked whether anything was committed, by whatever program: far below what a person notices. It
/// costs a look at the head of the WAL.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How wide the words for what happened are, with the blanks behind them.
const EVENT_WIDTH: usize = 10;

/// An entity as it was last seen.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    value: Json,
    is_deleted: bool,
}

type Snapshot = BTreeMap<EntityId, Seen>;

/// What happened to an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Event {
    /// It was there when watching began.
    Present,
    Added,
    Changed,
    Deleted,
    Restored,
    /// Nothing of it is in the store any more.
    Gone,
}

impl Event {
    fn word(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Deleted => "deleted",
            Self::Restored => "restored",
            Self::Gone => "gone",
        }
    }
}

#[derive(Debug, PartialEq, Serialize)]
struct Line<'c> {
    event: Event,
    collection: &'c str,
    #[serde(serialize_with = "super::list::as_text")]
    id: EntityId,
    /// When it was seen here.
    at_ms: i64,
    deleted: bool,
    /// The fields that differ from before.
    fields: Vec<String>,
    value: Json,
}

/// What is watched.
struct Subject<'c> {
    space: ReadOnlySpace,
    collection: &'c str,
    only: Option<EntityId>,
}

pub(super) fn run(arguments: &Watch, global: &Global, output: Output) -> Result<(), Failure> {
    let interrupt = Interrupt::listen()?;
    let collection = arguments.collection.as_str();
    context::collection_name(collection)?;
    let mut live = if arguments.sync { Some(Live::start(context::open(global)?, &global.store)?) } else { None };
    let replica = context::view(global)?;
    let space = context::choose_view(&replica, global)?;
    let only = match &arguments.id {
        Some(id) => Some(id.find_in_view(&space, collection)?),
        None => None,
    };
    let subject = Subject { space, collection, only };
    let watched = watch(&replica, &subject, live.as_mut(), &interrupt, output);
    live.map_or(Ok(()), Live::end).and(watched)
}

fn watch(
    replica: &ReadOnlyReplica,
    subject: &Subject<'_>,
    mut live: Option<&mut Live>,
    interrupt: &Interrupt,
    output: Output,
) -> Result<(), Failure> {
    // Asked for before the first look, so that nothing falls between the two.
    let mut commits = replica.commits()?;
    let mut seen = subject.look()?;
    if let (Some(id), true) = (subject.only, seen.is_empty()) {
        return Err(ReadError::Entity(EntityError::Missing { entity: id, space: subject.space.id() }).into());
    }
    for line in subject.lines(&Snapshot::new(), &seen) {
        let line = if line.event == Event::Added { Line { event: Event::Present, ..line } } else { line };
        if line.event == Event::Present && !tell(&line, output)? {
            return Ok(());
        }
    }
    if seen.values().all(|seen| seen.is_deleted) && subject.only.is_none() && output.is_for_a_person() {
        output::tell_wrapped("afield: nothing is in this collection yet; each change shows here, until Ctrl-C", 2);
    }
    while !interrupt.wait(LOOK_AGAIN) {
        if let Some(live) = live.as_deref_mut() {
            live.tell(output)?;
        }
        if !commits.have_come()? {
            continue;
        }
        let now = subject.look()?;
        for line in subject.lines(&seen, &now) {
            if !tell(&line, output)? {
                return Ok(());
            }
        }
        seen = now;
    }
    Ok(())
}

impl Subject<'_> {
    /// What there is now.
    fn look(&self) -> Result<Snapshot, Failure> {
        let Some(id) = self.only else {
            let seen = |is_deleted| move |(id, value)| (id, Seen { value, is_deleted });
            let there = self.space.list(self.collection)?.into_iter().map(seen(false));
            return Ok(there.chain(self.space.deleted(self.collection)?.into_iter().map(seen(true))).collect());
        };
        match self.space.read(self.collection, id) {
            Ok(entity) => {
                let seen = Seen { value: entity.json(), is_deleted: entity.is_deleted() };
                Ok(Snapshot::from([(id, seen)]))
            }
            Err(ReadError::Entity(EntityError::Missing { .. } | EntityError::NotYet { .. })) => Ok(Snapshot::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// What happened between two looks, in the order of the entities' making.
    fn lines(&self, before: &Snapshot, now: &Snapshot) -> Vec<Line<'_>> {
        let at_ms = context::wall_ms();
        let line = |event, id, fields, seen: &Seen| Line {
            event,
            collection: self.collection,
            id,
            at_ms,
            deleted: seen.is_deleted,
            fields,
            value: seen.value.clone(),
        };
        let mut lines: Vec<_> = now
            .iter()
            .filter_map(|(id, seen)| {
                let event = event(before.get(id), seen)?;
                let fields = differing(before.get(id).map(|seen| &seen.value), &seen.value);
                Some(line(event, *id, fields, seen))
            })
            .collect();
        let gone = before.iter().filter(|(id, seen)| !seen.is_deleted && !now.contains_key(id));
        lines.extend(gone.map(|(id, seen)| line(Event::Gone, *id, Vec::new(), seen)));
        lines.sort_by_key(|line| line.id);
        lines
    }
}

fn event(before: Option<&Seen>, now: &Seen) -> Option<Event> {
    match (before, now.is_deleted) {
        (None, false) => Some(Event::Added),
        (Some(before), true) if !before.is_deleted => Some(Event::Deleted),
        (Some(before), false) if before.is_deleted => Some(Event::Restored),
        // An edit of what was deleted is not lost on anybody who looks.
        (Some(before), _) if before.value != now.value => Some(Event::Changed),
        _ => None,
    }
}

/// The fields that differ.
fn differing(before: Option<&Json>, now: &Json) -> Vec<String> {
    let (Some(before), Some(now)) = (before.and_then(Json::as_object), now.as_object()) else { return Vec::new() };
    let mut fields: Vec<_> = now.iter().filter(|(name, value)| before.get(*name) != Some(value)).collect();
    let gone = before.iter().filter(|(name, _)| !now.contains_key(*name));
    fields.extend(gone);
    fields.into_iter().map(|(name, _)| name.clone()).collect()
}

fn tell(line: &Line<'_>, output: Output) -> Result<bool, Failure> {
    output.item(line, || {
        let word = line.event.word();
        if !output.is_terminal() {
            return format!("{word}\t{}\t{}", line.id, line.value);
        }
        let told = format!("{word:<EVENT_WIDTH$}{}  {}", identity::short(line.id), in_words(line));
        console::truncate_str(&told, output.width(), "…").into_owned()
    })
}

/// All fields of what is new, and of what was changed those that were.
fn in_words(line: &Line<'_>) -> String {
    if line.event != Event::Changed {
        return super::list::fields(&line.value);
    }
    let field = |name: &String| match line.value.get(name) {
        Some(value) => super::list::field(name, value),
        None => format!("{} removed", console::style(format!("{}:", text::printable(name))).cyan()),
    };
    let deleted = line.deleted.then(|| console::style("(deleted)").red().to_string());
    deleted.into_iter().chain(line.fields.iter().map(field)).collect::<Vec<_>>().join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_difference_between_two_looks_has_its_event() {
        let seen = |value: Json, is_deleted| Seen { value, is_deleted };
        let (old, new) = (json!({"a": 1, "b": 2}), json!({"a": 1, "c": 3}));
        let cases = [
            (None, seen(old.clone(), false), Some(Event::Added)),
            (None, seen(old.clone(), true), None),
            (Some(seen(old.clone(), false)), seen(old.clone(), false), None),
            (Some(seen(old.clone(), false)), seen(new.clone(), false), Some(Event::Changed)),
            (Some(seen(old.clone(), false)), seen(new.clone(), true), Some(Event::Deleted)),
            (Some(seen(old.clone(), true)), seen(new.clone(), true), Some(Event::Changed)),
            (Some(seen(old.clone(), true)), seen(old.clone(), false), Some(Event::Restored)),
        ];
        for (before, now, expected) in cases {
            assert_eq!(event(before.as_ref(), &now), expected, "{before:?} {now:?}");
        }
        assert_eq!(differing(Some(&old), &new), ["c", "b"]);
        assert!(differing(None, &new).is_empty());
    }
}
