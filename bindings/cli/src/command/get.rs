//! `afield get`

use crate::arguments::{Get, Global};
use crate::context;
use crate::failure::Failure;
use crate::output::Output;
use crate::text;
use console::style;
use serde::Serialize;
use serde_json::Value as Json;

#[derive(Debug, Serialize)]
struct Found<'c> {
    id: String,
    collection: &'c str,
    space: String,
    deleted: bool,
    value: Json,
}

pub(super) fn run(arguments: &Get, global: &Global, output: Output) -> Result<(), Failure> {
    let space = context::view_space(global)?;
    let collection = &arguments.of.collection;
    context::collection_name(collection)?;
    let id = arguments.of.id.find_among(collection, || Ok(space.ids(collection)?))?;
    let entity = space.read(collection, id)?;
    let tagged = entity.tagged_json();
    let value = if arguments.tagged { tagged.clone() } else { entity.json() };
    let found = Found {
        id: id.to_string(),
        collection: &arguments.of.collection,
        space: space.id().to_string(),
        deleted: entity.is_deleted(),
        value,
    };
    output.result(&found, || {
        if arguments.tagged || !output.is_terminal() {
            return found.value.to_string();
        }
        in_words(&found, &tagged)
    })
}

fn in_words(found: &Found<'_>, tagged: &Json) -> String {
    let mut lines = format!("{} {}", style(found.collection).bold(), style(&found.id).dim());
    if found.deleted {
        lines.push_str(&format!(" {}", style("deleted").red()));
    }
    let fields = tagged.as_object().into_iter().flatten();
    // A name that begins with '$' has one more in tagged JSON.
    let named = |name: &str| text::printable(name.strip_prefix('$').unwrap_or(name));
    let fields: Vec<_> = fields.map(|(name, value)| (named(name), described(value))).collect();
    let width = fields.iter().map(|(name, _)| console::measure_text_width(name)).max().unwrap_or(0);
    for (name, (kind, value)) in &fields {
        let name = format!("{name}{}", " ".repeat(width - console::measure_text_width(name)));
        lines.push_str(&format!("\n  {}  {}", style(name).cyan(), indented(value, width + 4)));
        if !kind.is_empty() {
            lines.push_str(&format!("  {}", style(kind).dim()));
        }
    }
    lines
}

/// What JSON has no kind for is named; the value is shown without its tag.
fn described(tagged: &Json) -> (&'static str, String) {
    let tag = tagged.as_object().filter(|object| object.len() == 1).and_then(|object| object.iter().next());
    match (tag.map(|(tag, value)| (tag.as_str(), value)), tagged) {
        (Some(("$text", Json::String(text))), _) => ("text", text.clone()),
        (Some(("$counter", count)), _) => ("counter", count.to_string()),
        (Some(("$timestamp", at)), _) => ("milliseconds since 1970", at.to_string()),
        (Some(("$bytes", Json::String(hex))), _) => ("bytes", text::bytes(hex.len() as u64 / 2)),
        (_, Json::String(text)) => ("", text.clone()),
        _ => ("", tagged.to_string()),
    }
}

/// A text of several lines, each below the first.
fn indented(value: &str, by: usize) -> String {
    let lines: Vec<_> = value.lines().map(text::printable).collect();
    lines.join(&format!("\n{}", " ".repeat(by)))
}
