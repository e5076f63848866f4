//! Content of every kind: what people do with it in a simulated world, and that it reads the same everywhere.

use super::{Device, Random, Violation, World};
use afield::{Block, ChangeHash, Edit, EntityId, Expand, OperationError, Path, Value};
use afield_core::document::{Document, EditContext};
use afield_core::{Limits, Now};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// Edits content of a kind in one way.
type Act = fn(&mut Edit<'_>, &mut Random) -> Result<(), OperationError>;

/// What is edited, and how.
const ACTS: [(&str, Act); 16] = [
    ("a mark", |edit, random| {
        let range = range_in(edit, "body", random)?;
        let expand = [Expand::After, Expand::Before, Expand::Both, Expand::None][random.below(4)];
        edit.mark("body", range, ["bold", "link"][random.below(2)], random.below(3) as i64, expand)
    }),
    ("a mark taken away", |edit, random| {
        let range = range_in(edit, "body", random)?;
        edit.unmark("body", range, ["bold", "link"][random.below(2)], Expand::After)
    }),
    ("a block", |edit, random| {
        let position = range_in(edit, "body", random)?.start;
        edit.split_block("body", position, &block(random))
    }),
    ("a block changed or taken out", |edit, random| {
        let text = edit.read("body")?.and_then(|value| value.to_rich_text()).unwrap_or_default();
        match text.blocks().next() {
            Some((position, _)) if random.chance(300) => edit.join_block("body", position),
            Some((position, _)) => edit.update_block("body", position, &block(random)),
            None => Ok(()),
        }
    }),
    ("characters among marks and blocks deleted", |edit, random| {
        let range = range_in(edit, "body", random)?;
        edit.splice_text("body", range.start, range.len(), "")
    }),
    ("a long text", |edit, random| {
        let position = range_in(edit, "story", random)?.start;
        let text = ["語", "a line\n", "word "][random.below(3)].repeat(random.between(1, 150) as usize);
        edit.splice_long_text("story", position, 0, &text)
    }),
    ("a long text replaced in", |edit, random| {
        let range = range_in(edit, "story", random)?;
        edit.splice_long_text("story", range.start, range.len(), "x")
    }),
    ("a text in a map in a map", |edit, random| {
        let inner = Value::from([("notes", Value::Text("n".into())), ("hits", Value::Counter(1))]);
        let key = ["a", "b"][random.below(2)];
        match edit.read(Path::from("nested").key(key))? {
            None => edit.put_entry("nested", key, inner),
            Some(_) if random.chance(200) => edit.delete(Path::from("nested").key(key)),
            Some(_) => edit.splice_text(Path::from("nested").key(key).key("notes"), 0, 0, "m"),
        }
    }),
    ("a counter in a map in a map", |edit, random| {
        let path = Path::from("nested").key(["a", "b"][random.below(2)]);
        match edit.read(&path)? {
            Some(_) => edit.increment(path.key("hits"), random.between(1, 5) as i64),
            None => Ok(()),
        }
    }),
    ("a text in a list in a list", |edit, random| {
        let row = Value::List(vec![Value::Text("cell".into()), Value::Counter(0)]);
        let rows = edit.read("grid")?.as_ref().and_then(Value::as_list).map_or(0, <[Value]>::len);
        match random.below(rows + 1) {
            number if number == rows || random.chance(200) => edit.insert("grid", number, row),
            number if random.chance(200) => edit.delete(Path::from("grid").index(number)),
            number => edit.splice_text(Path::from("grid").index(number).index(0), 0, 0, "é"),
        }
    }),
    ("a counter in a list in a list", |edit, random| {
        let rows = edit.read("grid")?.as_ref().and_then(Value::as_list).map_or(0, <[Value]>::len);
        if rows == 0 { Ok(()) } else { edit.increment(Path::from("grid").index(random.below(rows)).index(1), 1) }
    }),
    ("a map in a list in a map", |edit, random| {
        let path = Path::from("nested").key(["a", "b"][random.below(2)]);
        match edit.read(&path)? {
            Some(_) => edit.insert(path.key("log"), 0, Value::from([("at", Value::Timestamp(random.below(9) as i64))])),
            None => Ok(()),
        }
    }),
    ("bytes", |edit, random| edit.put("cover", Value::Bytes((0..random.below(300)).map(|byte| byte as u8).collect()))),
    ("a moment", |edit, random| edit.put("at", Value::Timestamp(random.below(1_000_000) as i64 - 500_000))),
    ("a number", |edit, random| {
        edit.put("number", [Value::F64(f64::INFINITY), Value::F64(0.1), Value::Uint(u64::MAX)][random.below(3)].clone())
    }),
    ("null, true or NaN", |edit, random| {
        edit.put("maybe", [Value::Null, Value::Bool(true), Value::F64(f64::NAN)][random.below(3)].clone())
    }),
];

fn block(random: &mut Random) -> Block {
    let kind = ["paragraph", "heading"][random.below(2)];
    Block::new(kind).with_attribute(["level", "align"][random.below(2)], random.below(4) as i64)
}

/// A short range within a text, wherever it ends.
fn range_in(edit: &Edit<'_>, path: &str, random: &mut Random) -> Result<std::ops::Range<usize>, OperationError> {
    let length = edit.read(path)?.as_ref().and_then(Value::as_str).map_or(0, |text| text.chars().count());
    let start = random.below(length + 1);
    Ok(start..(start + random.below(9)).min(length))
}

impl World {
    /// Edits content of some kind beyond plain fields: marks, blocks, long texts, what is nested, bytes, moments.
    pub fn enrich(&mut self, device: Device, entity: EntityId, random: &mut Random) -> bool {
        let (what, act) = ACTS[random.below(ACTS.len())];
        let before = self.returned.len();
        let is_stored = self.edit_existing(device, entity, |edit| {
            if edit.read("body")?.is_none() {
                edit.splice_text("body", 0, 0, "first words")?;
            }
            act(edit, random)
        });
        if self.returned.len() > before {
            self.count(what);
        }
        is_stored
    }

    /// What is edited by [`World::enrich`].
    pub fn kinds() -> impl Iterator<Item = &'static str> {
        ACTS.iter().map(|(what, _)| *what)
    }

    /// Checks that devices whose entity has the same heads read the same in it, and that it survives being written out and
    /// read in. A device that no longer asks for an entity may have an earlier state of it.
    pub(super) fn check_contents(&self) -> Result<(), Violation> {
        let mut known: BTreeMap<(EntityId, BTreeSet<ChangeHash>), Value> = BTreeMap::new();
        for device in self.all() {
            for entity in self.entities(device) {
                let (Some(found), Ok(heads)) = (self.value(device, entity), self.heads_of(device, entity)) else {
                    continue;
                };
                match known.entry((entity, heads)) {
                    Entry::Vacant(place) => {
                        check_transfer(entity, &found)?;
                        place.insert(found);
                    }
                    Entry::Occupied(same) if *same.get() == found => {}
                    Entry::Occupied(_) => {
                        return Violation::of("S1", format!("device {} reads another {entity}", device.0));
                    }
                }
            }
        }
        Ok(())
    }
}

fn check_transfer(entity: EntityId, value: &Value) -> Result<(), Violation> {
    let text = value.to_tagged_json().to_string();
    let json = serde_json::from_str(&text).expect("what was written as JSON is JSON");
    let imported = Value::from_tagged_json(&json).expect("what was written is read");
    let mut copy = Document::new(entity);
    let now = Now { wall_ms: 0, monotonic_ms: 0 };
    let context = EditContext { fresh: true, ..EditContext::new(vec![1; 16].into(), now) };
    let made = copy.edit(&context, &Limits::DEFAULT, |edit| edit.assign(Path::ROOT, &Value::Null, &imported));
    if made.is_err() || without_nulls(&copy.read()) != without_nulls(value) {
        return Violation::of("S2", format!("{entity} is another when it is written out and read in"));
    }
    Ok(())
}

/// A value without the entries that are null, which an assignment leaves out.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Map(entries) => Value::Map(
            entries
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key.clone(), without_nulls(value)))
                .collect(),
        ),
        Value::List(elements) => Value::List(elements.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}
