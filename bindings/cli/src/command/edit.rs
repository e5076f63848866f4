//! `afield edit`

use crate::arguments::{Edit, Global};
use crate::context;
use crate::editor::{self, Problem};
use crate::failure::Failure;
use crate::fields::{self, Field};
use crate::identity::short;
use crate::merge;
use crate::output::Output;
use crate::warning::Warned;
use afield::{Collection, EntityId, Path, Replica, Space, Value};
use serde_json::{Value as Json, json};

/// What is said about JSON that is to be edited.
const ABOUT_JSON: &str = "\
// Save what you changed and leave the editor; left as it is, nothing is written.
// Lines that begin with // are passed over. Texts and counters keep their kind:
// {\"$text\": \"…\"}, of several lines {\"$text\": [\"…\", \"…\"]}, and {\"$counter\": 0}.
// All other kinds, of which {\"$richtext\": […]} is a text with marks and blocks, are
// told by `afield put --help`.
";
/// The tags of texts without marks and blocks.
const TEXTS: [&str; 2] = ["$text", "$longtext"];

pub(super) fn run(arguments: &Edit, global: &Global, output: Output) -> Result<(), Failure> {
    let collection = &arguments.of.collection;
    match arguments.fields.as_slice() {
        [] => in_editor(arguments, None, global, output),
        [only] if !only.contains('=') => {
            let path = fields::path(only)?;
            in_editor(arguments, Some(path), global, output)
        }
        words => {
            let wanted = fields::all(words)?;
            let (replica, space) = context::open_space(global)?;
            let collection_open = context::collection(&space, collection, global)?;
            let id = arguments.of.id.find(&collection_open)?;
            let changed = set(&collection_open, id, &wanted)?;
            tell((arguments, id, changed), (&replica, &space), global, output)
        }
    }
}

fn set(collection: &Collection<()>, id: EntityId, wanted: &[Field]) -> Result<bool, Failure> {
    let mut refused = Ok(());
    let edited = collection.json().edit(id, |entity| refused = fields::set(wanted, entity));
    refused?;
    Ok(edited?.changes().next().is_some())
}

/// Hands out what is stored, and brings what comes back to what is stored by then: the store is free meanwhile.
fn in_editor(arguments: &Edit, path: Option<Path>, global: &Global, output: Output) -> Result<(), Failure> {
    let name = &arguments.of.collection;
    let view = context::view_space(global)?;
    let collection = context::collection_name(name)?;
    let id = arguments.of.id.find_in_view(&view, name)?;
    let before = view.read(collection.as_str(), id)?.tagged_json();
    drop(view);
    if let Some(path) = &path {
        // A field that cannot be written is told before anybody writes it.
        fields::put(&mut before.clone(), path, Json::Null)?;
    }
    let file = format!("{}-{}", collection.as_str(), short(id));
    let edited = match &path {
        None => editor::edit(&format!("{file}.jsonc"), &page_of(&before), entity_of)?,
        Some(path) => match text_of(fields::at(&before, path)) {
            Some(text) => {
                let edit = |after: &str| field_of(&before, path, &json!({ "$text": unended(text, after) }));
                editor::edit(&format!("{file}.txt"), &ended(text), edit)?
            }
            None => {
                let page = page_of(fields::at(&before, path).unwrap_or(&Json::Null));
                editor::edit(&format!("{file}.jsonc"), &page, |after| field_of(&before, path, &value_of(after)?))?
            }
        },
    };
    let Some(edited) = edited else { return tell_unchanged(arguments, id, global, output) };
    edited.store(|edited| {
        let (replica, space) = context::open_space(global)?;
        let collection = context::collection(&space, name, global)?;
        let write = collection.json().edit(id, |now| {
            if let Some(merged) = merge::merged(Some(&before), Some(&edited), Some(now)) {
                *now = merged;
            }
        })?;
        tell((arguments, id, write.changes().next().is_some()), (&replica, &space), global, output)
    })
}

fn tell(
    (arguments, id, changed): (&Edit, EntityId, bool),
    (replica, space): (&Replica, &Space),
    global: &Global,
    output: Output,
) -> Result<(), Failure> {
    let collection = &arguments.of.collection;
    let stored = super::put::Stored { id: id.to_string(), collection, space: space.id().to_string(), changed };
    let words = if changed { "Changed." } else { "Nothing changed." };
    Warned::new(&stored, (replica, space), changed, global).done(output, || words.to_owned())
}

fn tell_unchanged(arguments: &Edit, id: EntityId, global: &Global, output: Output) -> Result<(), Failure> {
    let (collection, space) = (&arguments.of.collection, context::view_space(global)?);
    let stored = super::put::Stored { id: id.to_string(), collection, space: space.id().to_string(), changed: false };
    output.done(&stored, || "Nothing changed.".to_owned())
}

/// What an editor is given of a value that is no text.
fn page_of(value: &Json) -> String {
    let pretty = serde_json::to_string_pretty(&in_lines(value)).expect("JSON is always JSON");
    format!("{ABOUT_JSON}{pretty}\n")
}

/// Texts of several lines as lists of lines, in which a person can write.
fn in_lines(value: &Json) -> Json {
    with_texts(value, false, &|text| {
        let text = text.as_str().filter(|text| text.contains('\n'))?;
        Some(text.split('\n').collect())
    })
}

/// The other way round.
fn from_lines(value: &Json) -> Json {
    with_texts(value, false, &|lines| {
        let lines: Option<Vec<&str>> = lines.as_array()?.iter().map(Json::as_str).collect();
        Some(Json::from(lines?.join("\n")))
    })
}

/// Tagged JSON in which what `written` gives stands in the place of the characters of texts, those in spans of texts with
/// marks and blocks among them.
fn with_texts(value: &Json, is_span: bool, written: &impl Fn(&Json) -> Option<Json>) -> Json {
    match value {
        Json::Array(elements) => elements.iter().map(|element| with_texts(element, is_span, written)).collect(),
        Json::Object(entries) => {
            let entry = |(key, value): (&String, &Json)| {
                let is_text = TEXTS.contains(&key.as_str()) || (is_span && key == "text");
                let other = if is_text { written(value) } else { None };
                (key.clone(), other.unwrap_or_else(|| with_texts(value, key == "$richtext", written)))
            };
            entries.iter().map(entry).collect()
        }
        _ => value.clone(),
    }
}

/// The value that a page holds.
fn value_of(page: &str) -> Result<Json, Problem> {
    // An empty line stands for each that is passed over, so that the others keep their numbers. No JSON string goes on
    // in a second line, so no such line is a part of one.
    let lines = page.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line });
    let json = serde_json::from_str(&lines.collect::<Vec<_>>().join("\n"));
    let json: Json = json.map_err(|error| {
        let what = error.to_string();
        let (what, _) = what.split_once(" at line ").unwrap_or((&what, ""));
        Problem { line: error.line().max(1), what: format!("column {}: {what}", error.column()) }
    })?;
    let json = from_lines(&json);
    match Value::from_tagged_json(&json) {
        Ok(_) => Ok(json),
        Err(error) => Err(Problem { line: 1, what: error.to_string() }),
    }
}

/// The entity that a page holds.
fn entity_of(page: &str) -> Result<Json, Problem> {
    let json = value_of(page)?;
    match Value::from_tagged_json(&json) {
        Ok(Value::Map(_)) => Ok(json),
        _ => Err(Problem { line: 1, what: "an entity is an object of its fields: {…}".to_owned() }),
    }
}

/// The entity in which one field has another value.
fn field_of(before: &Json, path: &Path, value: &Json) -> Result<Json, Problem> {
    let mut entity = before.clone();
    let value = match (fields::at(before, path), value.get("$text")) {
        // A string stays one, and a long text long.
        (Some(Json::String(_)), Some(text)) => text.clone(),
        (Some(long), Some(text)) if long.get("$longtext").is_some() => json!({ "$longtext": text }),
        _ => value.clone(),
    };
    fields::put(&mut entity, path, value).map_err(|error| Problem { line: 1, what: error.to_string() })?;
    Ok(entity)
}

/// The text of a field that is edited as plain text; what is not there yet becomes one.
fn text_of(value: Option<&Json>) -> Option<&str> {
    match value {
        None | Some(Json::Null) => Some(""),
        Some(Json::String(text)) => Some(text),
        Some(tagged) => TEXTS.iter().find_map(|tag| tagged.get(tag)?.as_str()),
    }
}

/// Editors end the last line, or say that it is not ended.
fn ended(text: &str) -> String {
    if text.is_empty() || text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") }
}

/// The text without the end of its last line, where it had none before.
fn unended<'t>(before: &str, after: &'t str) -> &'t str {
    if before.ends_with('\n') { after } else { after.strip_suffix('\n').unwrap_or(after) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_holds_exactly_the_value_that_it_was_made_of() {
        for value in [
            json!({"title": "// no comment", "body": {"$text": "one\n// two\n\nthree\n"}, "n": {"$counter": 1}}),
            json!({"text": {"$text": "\n"}, "empty": {"$text": ""}, "list": [{"$text": "a\nb"}, {"$$text": ["a"]}]}),
            json!({"long": {"$longtext": "a\n\nb"}, "uint": {"$uint": 5}, "float": {"$float": "7ff8000000000001"},
                "rich": {"$richtext": [{"block": {"type": "heading", "text": "a\nb", "note": {"$text": "c\nd"}}},
                    {"text": "one\ntwo\n", "marks": {"bold": true, "at": {"$timestamp": 1}}}, {"text": "// three"}]},
                "text": "no\nspan", "map": {"text": ["a", "b"], "$$richtext": [{"text": ["a"]}]}}),
            json!({}),
        ] {
            assert_eq!(entity_of(&page_of(&value)), Ok(value));
        }
    }

    #[test]
    fn what_is_wrong_with_a_page_is_told_with_its_line_and_without_its_content() {
        let problem = value_of("// about\n{\n  \"secret\": oops\n}\n").unwrap_err();
        assert_eq!((problem.line, problem.what.as_str()), (3, "column 13: expected value"));
        assert_eq!(entity_of("[1]").unwrap_err().line, 1);
        assert!(value_of("{\"$unknown\": 1}").unwrap_err().what.contains("known tag"));
        assert!(value_of("").unwrap_err().what.contains("EOF"));
    }

    #[test]
    fn the_end_of_the_last_line_that_an_editor_adds_is_no_change() {
        for text in ["", "one", "one\n", "one\ntwo", "\n"] {
            assert_eq!(unended(text, &ended(text)), text);
        }
        assert_eq!(unended("one", "one\n\n"), "one\n");
        assert_eq!(unended("", "new\n"), "new");
    }
}
