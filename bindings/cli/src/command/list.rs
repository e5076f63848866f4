//! `afield list`

use crate::arguments::{Global, List};
use crate::context;
use crate::failure::Failure;
use crate::identity;
use crate::output::Output;
use crate::text;
use afield::{EntityId, ReadOnlySpace};
use serde::Serialize;
use serde_json::Value as Json;

#[derive(Debug, Serialize)]
struct Collection {
    collection: String,
    entities: u64,
}

#[derive(Debug, Serialize)]
struct Entity {
    #[serde(serialize_with = "as_text")]
    id: EntityId,
    value: Json,
}

pub(super) fn run(arguments: &List, global: &Global, output: Output) -> Result<(), Failure> {
    let space = context::view_space(global)?;
    match &arguments.collection {
        Some(collection) if arguments.deleted => entities(
            space.deleted(collection)?,
            arguments.limit,
            "Nothing that was deleted is in this collection.",
            output,
        ),
        Some(collection) => {
            entities(space.list(collection)?, arguments.limit, "Nothing is in this collection.", output)
        }
        None => collections(&space, output),
    }
}

fn collections(space: &ReadOnlySpace, output: Output) -> Result<(), Failure> {
    let counted = space.collections()?.into_iter();
    let collections: Vec<_> = counted.map(|(collection, entities)| Collection { collection, entities }).collect();
    output.list(&collections, || {
        let name_and_count = |one: &Collection| vec![one.collection.clone(), text::number(one.entities)];
        let rows: Vec<_> = collections.iter().map(name_and_count).collect();
        lines(
            &["collection", "entities"],
            &rows,
            output,
            "Nothing is in this space yet: afield put notes title=Shopping",
        )
    })
}

fn entities(
    mut entities: Vec<(EntityId, Json)>,
    limit: Option<usize>,
    nothing: &str,
    output: Output,
) -> Result<(), Failure> {
    let total = entities.len();
    // Ids come in the order of their making, so the newest stand at the end.
    let entities = entities.split_off(total.saturating_sub(limit.unwrap_or(total)));
    let entities: Vec<_> = entities.into_iter().map(|(id, value)| Entity { id, value }).collect();
    output.list(&entities, || {
        let row = |entity: &Entity| {
            if output.is_terminal() {
                vec![identity::short(entity.id), fields(&entity.value)]
            } else {
                vec![entity.id.to_string(), entity.value.to_string()]
            }
        };
        let rows: Vec<_> = entities.iter().map(row).collect();
        let mut text = lines(&["id ends in", "fields"], &rows, output, nothing);
        if entities.len() < total && output.is_terminal() {
            let older = text::number((total - entities.len()) as u64);
            text.push_str(&console::style(format!("… and {older} older")).dim().to_string());
        }
        text
    })
}

/// A table on a terminal, and values between tabs elsewhere.
pub(super) fn lines(head: &[&str], rows: &[Vec<String>], output: Output, nothing: &str) -> String {
    match (output.is_terminal(), rows.is_empty()) {
        (true, true) => console::style(nothing).dim().to_string(),
        (true, false) => text::table(head, rows, output.width()),
        (false, _) => rows.iter().map(|row| row.join("\t") + "\n").collect(),
    }
}

/// The fields of an entity on one line.
pub(super) fn fields(value: &Json) -> String {
    let Some(fields) = value.as_object() else { return text::printable(&value.to_string()) };
    fields.iter().map(|(name, value)| field(name, value)).collect::<Vec<_>>().join("  ")
}

/// One field.
pub(super) fn field(name: &str, value: &Json) -> String {
    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    format!("{} {}", console::style(format!("{}:", text::printable(name))).cyan(), text::printable(&value))
}

pub(super) fn as_text<S: serde::Serializer>(id: &EntityId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}
