//! The note that everybody edits: who writes what, and what has to come of it.

use super::device::Device;
use super::page::Page;
use crate::failure::Failure;
use afield::automerge::{ROOT, ReadDoc, ScalarValue, Value};
use afield::{Collection, Entity, EntityId, Path};
use serde::Serialize;
use serde_json::{Value as Json, json};

/// The collection of the note.
pub(super) const NOTES: &str = "notes";
pub(super) const ADAS_TITLE: &str = "Trip to Porto";
pub(super) const BENS_TITLE: &str = "Trip to Lisbon";
pub(super) const ADAS_WORDS: &str = "Ada brings the tent. ";
pub(super) const BENS_WORDS: &str = " Ben brings the stove.";
pub(super) const WORD_BEFORE: &str = "station";
pub(super) const WORD_AFTER: &str = "harbour";
const FIRST_WORDS: &str = "Meet at the station.";

/// The note, once all edits are merged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Merged {
    pub(super) title: Conflict,
    pub(super) body: String,
    pub(super) packing: Json,
    pub(super) votes: i64,
    pub(super) costs: Json,
}

/// A field that two people set at the same time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Conflict {
    /// The value that everybody sees.
    pub(super) shown: String,
    /// All values, in order.
    pub(super) kept: Vec<String>,
}

/// Makes the note.
pub(super) fn make(device: &Device) -> Result<EntityId, Failure> {
    Ok(notes(device)?.json().insert(&json!({
        "title": "Trip",
        "body": {"$text": FIRST_WORDS},
        "packing": ["tickets", "camera"],
        "votes": {"$counter": 1},
        "costs": {"tickets": 120},
    }))?)
}

/// What Ada writes while she is offline.
pub(super) fn edit_as_ada(device: &Device, id: EntityId) -> Result<(), Failure> {
    let note = entity(device, id)?;
    let _ = note.map(Path::ROOT).put("title", ADAS_TITLE)?;
    let _ = note.text("body").splice(0, 0, ADAS_WORDS)?;
    let _ = note.list("packing").insert(1, "umbrella")?;
    let _ = note.counter("votes").increment(2)?;
    let _ = note.map("costs").put("train", 40)?;
    Ok(())
}

/// What Ben writes while he is offline.
pub(super) fn edit_as_ben(device: &Device, id: EntityId) -> Result<(), Failure> {
    let note = entity(device, id)?;
    let _ = note.map(Path::ROOT).put("title", BENS_TITLE)?;
    let _ = note.text("body").splice(FIRST_WORDS.chars().count(), 0, BENS_WORDS)?;
    let _ = note.list("packing").push("guitar")?;
    let _ = note.list("packing").remove(1)?;
    let _ = note.counter("votes").increment(3)?;
    let _ = note.map("costs").put("hostel", 95)?;
    Ok(())
}

/// What Ada writes while there is no relay.
pub(super) fn edit_without_a_relay(device: &Device, id: EntityId) -> Result<(), Failure> {
    let note = entity(device, id)?;
    let before = note.text("body").read()?;
    let start = before.find(WORD_BEFORE).and_then(|at| before.get(..at)).map_or(0, |words| words.chars().count());
    let _ = note.text("body").splice(start, WORD_BEFORE.chars().count(), WORD_AFTER)?;
    Ok(())
}

/// What all of that has to come to, whichever title is the one shown.
fn expected(shown: String) -> Merged {
    let mut kept = vec![ADAS_TITLE.to_owned(), BENS_TITLE.to_owned()];
    kept.sort_unstable();
    Merged {
        title: Conflict { shown, kept },
        body: format!("{ADAS_WORDS}{}{BENS_WORDS}", FIRST_WORDS.replace(WORD_BEFORE, WORD_AFTER)),
        packing: json!(["tickets", "umbrella", "guitar"]),
        votes: 1 + 2 + 3,
        costs: json!({"tickets": 120, "train": 40, "hostel": 95}),
    }
}

/// Reads the note as a device shows it.
pub(super) fn read(device: &Device, id: EntityId) -> Result<Merged, Failure> {
    let note = entity(device, id)?;
    let plain = note.json()?;
    let field = |name: &str| plain.get(name).cloned().unwrap_or(Json::Null);
    let mut kept = note.raw(titles)?;
    kept.sort_unstable();
    Ok(Merged {
        title: Conflict { shown: field("title").as_str().unwrap_or_default().to_owned(), kept },
        body: note.text("body").read()?,
        packing: field("packing"),
        votes: note.counter("votes").read()?,
        costs: field("costs"),
    })
}

/// Checks that the note is on all devices what all edits together make of it.
pub(super) fn check(devices: &[&Device], id: EntityId, page: &mut Page) -> Result<Merged, Failure> {
    let read = devices.iter().map(|device| read(device, id)).collect::<Result<Vec<_>, _>>()?;
    let Some(first) = read.first() else { return Ok(expected(String::new())) };
    let wanted = expected(first.title.shown.clone());
    page.check("every edit of the note is in it, none twice", first == &wanted, || (debug(&wanted), debug(first)))?;
    let is_kept = first.title.kept.contains(&first.title.shown);
    page.check("the title shown is one of the two that were written", is_kept, || {
        (debug(&first.title.kept), debug(&first.title.shown))
    })?;
    let are_equal = read.iter().all(|other| other == first);
    page.check("the note is the same on every device, conflict included", are_equal, || (debug(first), debug(&read)))?;
    Ok(wanted)
}

fn titles(document: &afield::automerge::Automerge) -> Vec<String> {
    let all = document.get_all(ROOT, "title").unwrap_or_default();
    let text = |(value, _): (Value<'_>, _)| match value {
        Value::Scalar(scalar) => match scalar.as_ref() {
            ScalarValue::Str(text) => Some(text.to_string()),
            _ => None,
        },
        Value::Object(_) => None,
    };
    all.into_iter().filter_map(text).collect()
}

fn notes(device: &Device) -> Result<Collection<()>, Failure> {
    Ok(device.space.collection(NOTES)?)
}

fn entity(device: &Device, id: EntityId) -> Result<Entity, Failure> {
    Ok(notes(device)?.entity(id)?)
}

fn debug(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}")
}
