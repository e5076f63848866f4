//! `afield get`

use crate::arguments::{Get, Global};
use crate::context;
use crate::failure::Failure;
use crate::output::{self, Output};
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
    let id = arguments.of.id.find_in_view(&space, collection)?;
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
    if found.deleted && output.is_for_a_person() {
        let restore = global.hints.command(&format!("restore {collection} {id}"));
        output::tell_wrapped(&format!("afield: this entity is deleted; `{restore}` takes it back"), 2);
    }
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
        (Some(("$longtext", Json::String(text))), _) => ("long text", text.clone()),
        (Some(("$richtext", Json::Array(spans))), _) => ("text with marks or blocks", words_of(spans)),
        (Some(("$uint", number)), _) => ("", number.to_string()),
        (Some(("$float", _)), _) => ("", number_of(tagged)),
        (Some(("$counter", count)), _) => ("counter", count.to_string()),
        (Some(("$timestamp", at)), _) => ("milliseconds since 1970", at.to_string()),
        (Some(("$bytes", Json::String(hex))), _) => ("bytes", text::bytes(hex.len() as u64 / 2)),
        (_, Json::String(text)) => ("", text.clone()),
        _ => ("", tagged.to_string()),
    }
}

/// The characters of a text with marks and blocks: each block begins a line with its kind, and marks are left out.
fn words_of(spans: &[Json]) -> String {
    let mut words = String::new();
    for span in spans {
        if let Some(text) = span.get("text").and_then(Json::as_str) {
            words.push_str(text);
        } else if let Some(block) = span.get("block") {
            let kind = block.get("type").and_then(Json::as_str).unwrap_or("block");
            let end = if words.is_empty() || words.ends_with('\n') { "" } else { "\n" };
            words.push_str(&format!("{end}[{kind}] "));
        }
    }
    words
}

/// A floating-point number that JSON cannot hold, or not exactly.
fn number_of(tagged: &Json) -> String {
    match afield::Value::from_tagged_json(tagged) {
        Ok(afield::Value::F64(number)) => number.to_string(),
        _ => tagged.to_string(),
    }
}

/// A text of several lines, each below the first.
fn indented(value: &str, by: usize) -> String {
    let lines: Vec<_> = value.lines().map(text::printable).collect();
    lines.join(&format!("\n{}", " ".repeat(by)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_kind_that_json_has_no_word_for_is_shown_in_words() {
        for (tagged, kind, words) in [
            (json!({"$text": "a"}), "text", "a"),
            (json!({"$longtext": "a"}), "long text", "a"),
            (json!({"$counter": -1}), "counter", "-1"),
            (json!({"$timestamp": 5}), "milliseconds since 1970", "5"),
            (json!({"$bytes": "00ff"}), "bytes", "2 B"),
            (json!({"$uint": 5}), "", "5"),
            (json!({"$float": "7ff0000000000000"}), "", "inf"),
            (json!("a"), "", "a"),
            (json!([{"$counter": 1}]), "", "[{\"$counter\":1}]"),
        ] {
            assert_eq!(described(&tagged), (kind, words.to_owned()), "{tagged}");
        }
        let rich = json!({"$richtext": [
            {"block": {"type": "heading"}}, {"text": "A "}, {"text": "bold", "marks": {"bold": true}},
            {"block": {}}, {"text": "b"},
        ]});
        assert_eq!(described(&rich), ("text with marks or blocks", "[heading] A bold\n[block] b".to_owned()));
    }
}
