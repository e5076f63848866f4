//! `afield trash`

use crate::arguments::{Global, Trash};
use crate::context;
use crate::failure::Failure;
use crate::identity;
use crate::output::Output;
use crate::text;
use afield::{EntityId, ReadError, ReadOnlySpace};
use serde::Serialize;
use serde_json::Value as Json;

#[derive(Debug, Serialize)]
struct Deleted {
    collection: String,
    #[serde(serialize_with = "super::list::as_text")]
    id: EntityId,
    /// By the clock of the device that deleted it.
    deleted_at_ms: Option<i64>,
    value: Json,
}

pub(super) fn run(arguments: &Trash, global: &Global, output: Output) -> Result<(), Failure> {
    let space = context::view_space(global)?;
    let collections = match &arguments.collection {
        Some(collection) => vec![context::collection_name(collection)?.as_str().to_owned()],
        None => space.collections()?.into_iter().map(|(collection, _)| collection).collect(),
    };
    let mut deleted = Vec::new();
    for collection in &collections {
        deleted.extend(of(&space, collection)?);
    }
    deleted.sort_by_key(|one| std::cmp::Reverse(one.deleted_at_ms));
    output.list(&deleted, || in_words(&deleted, global, output))
}

fn of(space: &ReadOnlySpace, collection: &str) -> Result<Vec<Deleted>, Failure> {
    let listed = space.deleted(collection)?.into_iter();
    listed
        .map(|(id, value)| {
            let deleted_at_ms = match space.read(collection, id) {
                Ok(entity) => entity.deleted_at_ms(),
                // What cannot be opened is shown as it last was.
                Err(ReadError::Entity(_)) => None,
                Err(error) => return Err(error.into()),
            };
            Ok(Deleted { collection: collection.to_owned(), id, deleted_at_ms, value })
        })
        .collect()
}

fn in_words(deleted: &[Deleted], global: &Global, output: Output) -> String {
    let ago = |one: &Deleted| {
        let age = one.deleted_at_ms.map(|at| u64::try_from(context::wall_ms().saturating_sub(at)).unwrap_or(0));
        age.map_or_else(|| "unknown".to_owned(), text::ago)
    };
    if !output.is_terminal() {
        let line = |one: &Deleted| {
            let at_ms = one.deleted_at_ms.map(|at| at.to_string()).unwrap_or_default();
            format!("{}\t{}\t{at_ms}\t{}\n", one.collection, one.id, one.value)
        };
        return deleted.iter().map(line).collect();
    }
    let Some(latest) = deleted.first() else {
        return console::style("Nothing that was deleted is here.").dim().to_string();
    };
    let row = |one: &Deleted| {
        vec![identity::short(one.id), ago(one), one.collection.clone(), super::list::fields(&one.value)]
    };
    let rows: Vec<_> = deleted.iter().map(row).collect();
    let table = text::table(&["id ends in", "deleted", "collection", "fields"], &rows, output.width());
    let restore = global.hints.command(&format!("restore {} {}", latest.collection, identity::short(latest.id)));
    format!("{table}{} {restore}", console::style("next:").dim())
}
