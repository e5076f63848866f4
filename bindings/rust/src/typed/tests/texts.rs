//! Rich and long texts as fields.

use super::{document, edit, json, patched, stored, tagged, write};
use crate::typed::{LongText, Patch, Text, from_document, to_value};
use afield_core::document::{Block, Document, Incoming, LocalChange, Path, RichText, Value, Verdict};
use afield_core::{EntityId, Limits};
use std::collections::BTreeMap;

#[crate::model]
#[derive(Debug, Clone, Default, PartialEq)]
struct Page {
    body: RichText,
    story: LongText,
    parts: Vec<Part>,
    free: BTreeMap<String, Value>,
}

#[crate::model]
#[derive(Debug, Clone, Default, PartialEq)]
struct Part {
    #[model(key)]
    id: String,
    body: RichText,
    story: Option<LongText>,
}

fn page() -> Page {
    let mut body = RichText::from("bold and not");
    body.mark(0..4, "bold", true);
    body.insert_block(0, Block::new("heading").with_attribute("level", 1));
    let part = Part { id: "a".into(), body: body.clone(), story: Some("short".into()) };
    let free = [("rich".to_owned(), Value::from(body.clone())), ("long".to_owned(), Value::LongText("x".into()))];
    Page { body, story: "a line\n".repeat(400).into(), parts: vec![part], free: free.into() }
}

/// A document that holds a model, written as a new entity is.
fn holding(page: &Page) -> afield_core::document::Document {
    let mut document = stored(&document(json!({})));
    let value = to_value(page).unwrap();
    let whole = Patch::Assign { path: Path::ROOT, before: Value::Null, after: value };
    write(&mut document, 1, &[whole]);
    document
}

#[test]
fn rich_and_long_texts_survive_the_document() {
    let document = holding(&page());
    assert_eq!(from_document::<Page, _>(document.automerge()).unwrap(), page());
    assert!(matches!(document.read_at("story").unwrap(), Some(Value::LongText(_))));
}

#[test]
fn an_edit_writes_the_marks_blocks_and_characters_that_it_changed_alone() {
    let mut document = holding(&page());
    let mut wanted = page();
    let change = |page: &mut Page| {
        page.body.mark(6..9, "italic", true);
        page.body.block_mut(0).unwrap().entries_mut().insert("own".into(), 5.into());
        page.parts[0].body.splice(1, 4, "light");
        page.parts[0].story.as_mut().unwrap().push_str("er");
        page.story.splice(7, 0, "inserted\n");
    };
    let patches = edit(document.automerge(), change);
    change(&mut wanted);
    let operations = document.max_op();
    write(&mut document, 1, &patches);
    assert_eq!(from_document::<Page, _>(document.automerge()).unwrap(), wanted);
    assert!(document.max_op() - operations < 40, "{} operations", document.max_op() - operations);
    assert!(edit(document.automerge(), |_: &mut Page| ()).is_empty());
}

#[test]
fn a_field_that_was_a_text_or_a_string_reads_as_a_rich_and_as_a_long_one() {
    let old = document(json!({ "body": { "$text": "text" }, "story": "string" }));
    let read: Page = from_document(&old).unwrap();
    assert_eq!((read.body.as_str(), read.story.as_str()), ("text", "string"));
    let patches = edit(&old, |page: &mut Page| page.body.mark(0..2, "bold", true));
    let rich = json!([{ "text": "te", "marks": { "bold": true } }, { "text": "xt" }]);
    assert_eq!(patched(&old, &patches), json!({ "body": { "$richtext": rich }, "story": "string" }));
    let texts = document(json!({ "story": { "$text": "text" } }));
    let patches = edit(&texts, |page: &mut Page| page.story.push_str("!"));
    assert_eq!(patched(&texts, &patches), json!({ "story": { "$text": "text!" } }));
    let strings = edit(&old, |page: &mut Page| page.story.push_str("!"));
    assert_eq!(patched(&old, &strings)["story"], json!({ "$longtext": "string!" }));
    let wrong = from_document::<Page, _>(&document(json!({ "body": 5 }))).unwrap_err();
    assert_eq!(wrong.to_string(), "body holds an integer, which does not fit `RichText`");
    let wrong = from_document::<Page, _>(&document(json!({ "story": { "a": 1 } }))).unwrap_err();
    assert_eq!(wrong.to_string(), "story holds a map, which does not fit `LongText`");
}

#[crate::model]
#[derive(Debug, Clone, Default, PartialEq)]
struct Before {
    story: Text,
    body: RichText,
    parts: Vec<PartBefore>,
}

#[crate::model]
#[derive(Debug, Clone, Default, PartialEq)]
struct PartBefore {
    #[model(key)]
    id: String,
    story: Option<Text>,
}

#[test]
fn a_field_that_became_a_long_text_reads_as_it_did_and_is_edited_in_parts() {
    let long = "a line\n".repeat(400);
    let after = |story: &str, body: &str, part: &str| {
        json!({
            "story": { "$longtext": story }, "body": { "$longtext": body },
            "parts": [{ "id": "a", "story": { "$longtext": part } }],
        })
    };
    let mut new = stored(&document(json!({})));
    let whole = Value::from_tagged_json(&after(&long, "body", "short")).unwrap();
    write(&mut new, 1, &[Patch::Assign { path: Path::ROOT, before: Value::Null, after: whole }]);
    let read: Before = from_document(new.automerge()).unwrap();
    assert_eq!((read.story.as_str(), read.body.as_str()), (long.as_str(), "body"));
    assert_eq!(read.parts[0].story.as_ref().map(Text::as_str), Some("short"));
    assert!(edit(new.automerge(), |_: &mut Before| ()).is_empty());
    let patches = edit(new.automerge(), |page: &mut Before| {
        page.story.splice(0, 1, "one");
        page.body.splice(4, 0, "!");
        page.parts[0].story.as_mut().unwrap().push_str("er");
    });
    let operations = new.max_op();
    write(&mut new, 1, &patches);
    assert_eq!(new.read().to_tagged_json(), after(&format!("one{}", &long[1..]), "body!", "shorter"));
    assert!(new.max_op() - operations < 10, "{} operations", new.max_op() - operations);
    let wrong = from_document::<Before, _>(&document(json!({ "story": { "a": 1 } }))).unwrap_err();
    assert_eq!(wrong.to_string(), "story holds a map, which does not fit `Text`");
}

/// Lets changes of another device arrive.
fn deliver<'c>(to: &mut Document, changes: impl IntoIterator<Item = &'c LocalChange>) {
    let incoming = |change: &'c LocalChange| Incoming { hash: change.hash, bytes: &change.bytes };
    let incoming: Vec<_> = changes.into_iter().map(incoming).collect();
    let verdicts = to.apply_guarded(&incoming, &Limits::default()).unwrap().verdicts;
    // A derived change may be there already.
    assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Applied | Verdict::Held)), "{verdicts:?}");
}

#[test]
fn what_is_typed_into_a_field_of_which_a_long_texts_map_alone_has_arrived_stays_with_the_rest() {
    let [mut new, mut old] = [(); 2].map(|()| Document::new(EntityId::from_bytes([1; 16])));
    let whole = json!({ "story": { "$longtext": " of theirs" }, "body": { "$longtext": " of theirs" } });
    let after = Value::from_tagged_json(&whole).unwrap();
    let made = write(&mut new, 1, &[Patch::Assign { path: Path::ROOT, before: Value::Null, after }]);
    let is_derived: Vec<_> = made.iter().map(|change| change.derived).collect();
    assert_eq!(is_derived, [true, true, true, true, false], "a map and its text, twice, and their characters");
    deliver(&mut old, made.iter().take(4).step_by(2));
    let patches = edit(old.automerge(), |page: &mut Before| {
        page.story.push_str("mine");
        page.body.splice(0, 0, "mine");
    });
    let typed = write(&mut old, 2, &patches);
    deliver(&mut old, &made);
    deliver(&mut new, &typed);
    assert_eq!(new.read(), old.read());
    let read: Before = from_document(new.automerge()).unwrap();
    for text in [read.story.as_str(), read.body.as_str()] {
        assert!(["mine of theirs", " of theirsmine"].contains(&text), "{text}");
    }
    assert!(matches!(new.read_at("story").unwrap(), Some(Value::LongText(_))));
}

#[test]
fn the_value_of_rich_and_long_texts_is_that_of_the_document() {
    let value = tagged(&page());
    assert_eq!(value["story"], json!({ "$longtext": "a line\n".repeat(400) }));
    assert_eq!(value["parts"][0]["story"], json!({ "$longtext": "short" }));
    assert_eq!(value["free"]["long"], json!({ "$longtext": "x" }));
    assert_eq!(value["body"]["$richtext"][1], json!({ "text": "bold", "marks": { "bold": true } }));
}

#[test]
fn paragraphs_have_their_places() {
    let text = LongText::from("é one\n\n\n\ntwo\nlines\n\n\nthree");
    let found: Vec<_> = text.paragraphs().collect();
    assert_eq!(found, [(0, "é one"), (9, "two\nlines"), (21, "three")]);
    for (position, paragraph) in found {
        let there: String = text.chars().skip(position).take(paragraph.chars().count()).collect();
        assert_eq!(there, paragraph);
    }
}
