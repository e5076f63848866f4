//! Content of every kind on three devices: edited in turns and at once through every view, it is the same on all of them,
//! and the same when it is written out and read in.

use afield::automerge::transaction::Transactable;
use afield::automerge::{AutoCommit, ObjType, ROOT};
use afield::{
    Attribution, Block, Bytes, Collection, Counter, EntityId, Expand, HistoryChange, LongText, Path, Point, Replica,
    RichText, Space, Text, Timestamp, Value, model,
};
use afield_tests::processes::{Access, Program, Site, changes_of};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

#[model]
#[derive(Debug, Clone, Default, PartialEq)]
struct Page {
    title: String,
    plain: Text,
    body: RichText,
    story: LongText,
    seen: Counter,
    cover: Bytes,
    at: Timestamp,
    ratio: f64,
    tags: BTreeSet<String>,
    tasks: Vec<Task>,
    grid: Vec<Vec<Text>>,
    meta: Meta,
}

#[model]
#[derive(Debug, Clone, Default, PartialEq)]
struct Task {
    #[model(key)]
    id: String,
    notes: RichText,
    history: LongText,
    hits: Counter,
}

#[model]
#[derive(Debug, Clone, Default, PartialEq)]
struct Meta {
    colour: Option<String>,
    remarks: BTreeMap<String, Text>,
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        start..(start + self.below(6)).min(length)
    }
}

struct Device {
    replica: Replica,
    space: Space,
    pages: Collection<Page>,
}

/// One edit through the typed view.
fn typed(pages: &Collection<Page>, id: EntityId, dice: &mut Dice) {
    let edit = |page: &mut Page| match dice.below(12) {
        0 => page.plain.splice(dice.below(9), dice.below(2), ["é", "🦀", ""][dice.below(3)]),
        1 => page.body.splice(dice.below(9), dice.below(3), ["word ", "語"][dice.below(2)]),
        2 => {
            let range = dice.range(page.body.len());
            page.body.mark(range, ["bold", "link"][dice.below(2)], dice.below(2) == 0);
        }
        3 => page.body.insert_block(dice.below(9), Block::new("heading").with_attribute("level", dice.below(3) as i64)),
        4 => page.story.splice(dice.below(3_000), dice.below(20), &"a line of it\n".repeat(dice.below(120))),
        5 => page.seen.increment(dice.below(5) as i64),
        6 => page.cover = Bytes::from(vec![dice.below(256) as u8; dice.below(40)]),
        7 => page.at = Timestamp::from_millis(dice.below(1_000_000) as i64),
        8 => page.ratio = [0.1, f64::INFINITY, -0.0, 1e300][dice.below(4)],
        9 => drop(page.tags.insert(["x", "y", "z"][dice.below(3)].to_owned())),
        10 => match dice.below(3) {
            0 => page.tasks.push(Task { id: dice.below(1_000_000).to_string(), ..Task::default() }),
            _ => page.tasks.iter_mut().for_each(|task| {
                task.notes.splice(0, 0, "note");
                task.notes.mark(0..2, "italic", true);
                task.history.push_str("done again. ");
                task.hits.increment(1);
            }),
        },
        _ => match dice.below(3) {
            0 => page.grid.push(vec!["cell".into(), Text::new()]),
            1 => page.meta.remarks.entry(["a", "b"][dice.below(2)].to_owned()).or_default().push_str("r"),
            _ => page.grid.iter_mut().flatten().for_each(|cell| cell.push_str("+")),
        },
    };
    pages.edit(id, edit).unwrap();
}

/// One edit by path.
fn by_path(pages: &Collection<Page>, id: EntityId, dice: &mut Dice) {
    let entity = pages.entity(id).unwrap();
    let (body, story) = (entity.text("body"), entity.long_text("story"));
    match dice.below(8) {
        0 => drop(body.splice(dice.below(body.length().unwrap() + 1), 0, "typed ").unwrap()),
        1 => {
            let range = dice.range(body.length().unwrap());
            drop(body.mark(range, "size", dice.below(30) as i64, Expand::Both).unwrap());
        }
        2 => drop(body.unmark(dice.range(body.length().unwrap()), "size", Expand::After).unwrap()),
        3 => drop(body.insert_block(dice.below(body.length().unwrap() + 1), &Block::new("quote")).unwrap()),
        4 => {
            let found = body.read_rich().unwrap();
            if let Some((position, _)) = found.blocks().last() {
                let update = |block: &mut Block| *block = block.clone().with_attribute("n", dice.below(9) as i64);
                drop(body.update_block(position, update).unwrap());
            }
        }
        5 => {
            let range = dice.range(story.length().unwrap());
            drop(story.splice(range.start, range.len(), "keystrokes").unwrap());
        }
        6 => drop(entity.map(Path::ROOT).put("raw", Value::Uint(u64::MAX)).unwrap()),
        _ => drop(entity.counter("seen").increment(2).unwrap()),
    }
}

/// One edit of JSON, of what the type does not know.
fn as_json(pages: &Collection<Page>, id: EntityId, dice: &mut Dice) {
    let number = dice.below(4);
    let edit = |page: &mut serde_json::Value| match number {
        0 => page["unknown"] = json!({ "deep": [{ "$bytes": "00ff" }, { "$float": "7ff8000000000000" }] }),
        1 => page["meta"]["colour"] = json!("red"),
        2 => page["richly"] = json!({ "$richtext": [{ "text": "b", "marks": { "bold": true } }, { "block": {} }] }),
        _ => page["at length"] = json!({ "$longtext": "long ".repeat(900) }),
    };
    pages.json().edit(id, edit).unwrap();
}

fn exported(space: &Space) -> String {
    let mut file = Vec::new();
    space.export(&mut file, |_| ()).unwrap();
    String::from_utf8(file).unwrap()
}

#[test]
fn every_kind_of_content_merges_on_three_devices_and_survives_export_and_import() {
    for seed in 0..4 {
        let mut dice = Dice(seed);
        let site = Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Open);
        let replicas: Vec<Replica> = (0..3).map(|number| site.replica(&format!("{number}.db"))).collect();
        let first = replicas[0].create_space("home").unwrap();
        let devices: Vec<Device> = replicas
            .into_iter()
            .enumerate()
            .map(|(number, replica)| {
                let space = if number == 0 { first.clone() } else { replica.join_space(first.id()).unwrap() };
                let pages = space.collection("pages").unwrap();
                Device { replica, space, pages }
            })
            .collect();
        let all: Vec<&Replica> = devices.iter().map(|device| &device.replica).collect();
        let id = devices[0].pages.insert(&Page { title: "new".into(), ..Page::default() }).unwrap();
        site.sync_all(&all);
        for _round in 0..5 {
            devices.iter().for_each(|device| device.replica.disconnect());
            for _ in 0..12 {
                let pages = &devices[dice.below(3)].pages;
                match dice.below(4) {
                    0 | 1 => typed(pages, id, &mut dice),
                    2 => by_path(pages, id, &mut dice),
                    _ => as_json(pages, id, &mut dice),
                }
            }
            // Now and then two of them alone meet.
            let met = if dice.below(3) == 0 { &all[..2] } else { &all[..] };
            site.sync_all(met);
        }
        site.sync_all(&all);
        site.sync_all(&all);
        let read = devices[0].pages.json().read_tagged(id).unwrap();
        for device in &devices[1..] {
            assert_eq!(device.pages.json().read_tagged(id).unwrap(), read, "seed {seed}");
            assert_eq!(
                format!("{:?}", device.pages.read(id).unwrap()),
                format!("{:?}", devices[0].pages.read(id).unwrap())
            );
        }
        let file = exported(&first);
        assert_eq!(exported(&devices[1].space), file, "seed {seed}");
        let fresh = Replica::open_in_memory().unwrap();
        let copy = fresh.create_space("copy").unwrap();
        copy.import(file.as_bytes(), |_| ()).unwrap();
        assert_eq!(exported(&copy), file, "seed {seed}: read in and written out again");
    }
}

#[test]
fn two_devices_that_begin_the_same_rich_and_long_texts_offline_end_with_one_of_each() {
    let site = Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Open);
    let (anna, ben) = (site.replica("anna.db"), site.replica("ben.db"));
    let home = anna.create_space("home").unwrap();
    let theirs = ben.join_space(home.id()).unwrap();
    let pages: Collection<Page> = home.collection("pages").unwrap();
    let copies: Collection<Page> = theirs.collection("pages").unwrap();
    let id = pages.json().insert(&json!({ "title": "empty" })).unwrap();
    site.sync_all(&[&anna, &ben]);
    [&anna, &ben].into_iter().for_each(Replica::disconnect);
    pages
        .edit(id, |page| {
            page.story = "anna ".into();
            page.body = "anna ".into();
            page.body.mark(0..4, "bold", true);
        })
        .unwrap();
    copies.entity(id).unwrap().long_text("story").splice(0, 0, "ben ").unwrap();
    copies.entity(id).unwrap().text("body").splice(0, 0, "ben ").unwrap();
    site.sync_all(&[&anna, &ben]);
    let page = pages.read(id).unwrap();
    assert!(["anna ben ", "ben anna "].contains(&page.story.as_str()), "{}", page.story);
    assert!(["anna ben ", "ben anna "].contains(&page.body.as_str()), "{}", page.body.as_str());
    // What is typed at the same time right where a mark begins stands within it or before it, as the engine orders the two.
    let start = page.body.as_str().find("anna").unwrap();
    let is_bold = |(name, range, _): (&str, std::ops::Range<usize>, &Value)| {
        name == "bold" && range.start <= start && start + 4 <= range.end
    };
    assert!(page.body.marks().any(is_bold), "{:?}", page.body);
    assert_eq!(copies.read(id).unwrap(), page);
}

#[test]
fn an_entity_that_was_read_in_from_a_file_of_automerge_reaches_another_device_with_its_whole_history() {
    let site = Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Open);
    let (one, other) = (site.replica("one.db"), site.replica("other.db"));
    let home = one.create_space("home").unwrap();
    let there = other.join_space(home.id()).unwrap();
    let mut elsewhere = AutoCommit::new();
    elsewhere.put(&ROOT, "title", "Milk").unwrap();
    elsewhere.commit();
    let text = elsewhere.put_object(&ROOT, "body", ObjType::Text).unwrap();
    elsewhere.splice_text(&text, 0, 0, "two bottles").unwrap();
    elsewhere.commit();
    let mut beside = elsewhere.fork();
    beside.put(&ROOT, "title", "Oat milk").unwrap();
    elsewhere.splice_text(&text, 4, 0, "large ").unwrap();
    elsewhere.merge(&mut beside).unwrap();
    let made: BTreeSet<_> = elsewhere.get_changes(&[]).iter().map(|change| change.hash().to_string()).collect();

    let notes = home.collection::<()>("notes").unwrap();
    let id = notes.import_automerge(&elsewhere.save()).unwrap();
    let copy = there.collection::<()>("notes").unwrap();
    site.sync_all(&[&one, &other]);
    let expected = json!({ "title": "Oat milk", "body": "two large bottles" });
    assert_eq!(notes.json().read(id).unwrap(), expected);
    assert_eq!(copy.json().read(id).unwrap(), expected);
    let hashes = changes_of(&copy, id);
    assert_eq!(hashes, changes_of(&notes, id));
    assert!(made.len() >= 4 && made.is_subset(&hashes), "every change stays the one it was");
    // The file says neither who made them nor when.
    let history = copy.history(id, &Point::Now, 20).unwrap().changes;
    let imported: Vec<_> = history.iter().filter(|change| made.contains(&change.hash.to_string())).collect();
    assert_eq!(imported.len(), made.len());
    let is_nobodys = |change: &&HistoryChange| {
        let Attribution { device, author, at_ms, .. } = &change.attribution;
        device.is_none() && author.is_none() && *at_ms == 0
    };
    assert!(imported.iter().all(is_nobodys), "{imported:?}");
    let past = copy.json().at(id, &Point::TimeMs(1)).unwrap();
    assert_eq!(past, expected, "they are shown from the beginning");

    let _ = copy.json().edit(id, |note| note["title"] = json!("Soy milk")).unwrap();
    site.sync_all(&[&other, &one]);
    assert_eq!(notes.json().read(id).unwrap()["title"], "Soy milk");
    assert!(one.status().unwrap().spaces[0].quarantined == 0 && other.status().unwrap().spaces[0].quarantined == 0);
}
