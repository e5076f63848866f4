//! Every kind of content, in every container, through every view.

use afield::{
    Block, Bytes, Counter, EntityId, Expand, JsonCollection, LongText, Path, Replica, RichText, Space, Text, Timestamp,
    model,
};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

/// All kinds at once, as a part of something.
#[model]
#[derive(Debug, Clone, Default, PartialEq)]
struct All {
    text: Text,
    rich: RichText,
    long: LongText,
    counter: Counter,
    bytes: Bytes,
    moment: Timestamp,
    unsigned: u64,
    signed: i64,
    float: f64,
    list: Vec<Text>,
    lists: Vec<Vec<Counter>>,
    map: BTreeMap<String, RichText>,
}

#[model]
#[derive(Debug, Clone, Default, PartialEq)]
struct Containers {
    own: All,
    parts: Vec<All>,
    named: BTreeMap<String, All>,
    rows: Vec<Vec<All>>,
}

fn everything() -> Json {
    json!({
        "text": { "$text": "naïve 🦀" },
        "rich": { "$richtext": [
            { "block": { "type": "heading", "parents": ["quote"], "attrs": { "level": 2, "cells": [{ "$text": "x" }] } } },
            { "text": "bold", "marks": { "bold": true, "at": { "$timestamp": 5 } } },
            { "text": " plain" },
        ] },
        "long": { "$longtext": "a long line\n".repeat(300) },
        "counter": { "$counter": -3 },
        "bytes": { "$bytes": "00ff" },
        "moment": { "$timestamp": -1 },
        "unsigned": 18_446_744_073_709_551_615_u64,
        "signed": -9_223_372_036_854_775_808_i64,
        "float": { "$float": "fff0000000000000" },
        "list": [{ "$text": "a" }, { "$text": "b" }],
        "lists": [[{ "$counter": 1 }], []],
        "map": { "key": { "$richtext": [{ "text": "i", "marks": { "italic": true } }] } },
        "unknown": { "to the type": [{ "$uint": 5 }, { "$float": "7ff8000000000001" }, null] },
    })
}

fn containers() -> Json {
    json!({ "own": everything(), "parts": [everything()], "named": { "a": everything() }, "rows": [[everything()]] })
}

/// The places where all kinds stand.
fn places() -> [Path; 4] {
    [
        Path::from("own"),
        Path::from("parts").index(0),
        Path::from("named").key("a"),
        Path::from("rows").index(0).index(0),
    ]
}

fn stored() -> (Space, JsonCollection, EntityId) {
    let home = Replica::open_in_memory().unwrap().create_space("Home").unwrap();
    let things = home.collection::<()>("things").unwrap().json();
    let id = things.insert(&containers()).unwrap();
    (home, things, id)
}

/// Through an export into another replica and out again.
fn transferred(home: &Space) -> (Vec<u8>, Vec<u8>) {
    let mut file = Vec::new();
    home.export(&mut file, |_| ()).unwrap();
    let copy = Replica::open_in_memory().unwrap().create_space("Copy").unwrap();
    copy.import(file.as_slice(), |_| ()).unwrap();
    let mut again = Vec::new();
    copy.export(&mut again, |_| ()).unwrap();
    (file, again)
}

#[test]
fn every_kind_in_every_container_survives_json_and_export_and_import() {
    let (home, things, id) = stored();
    assert_eq!(things.read_tagged(id).unwrap(), containers());
    let (file, again) = transferred(&home);
    assert_eq!(String::from_utf8(again).unwrap(), String::from_utf8(file).unwrap());
    things.put(id, &containers()).unwrap();
    assert_eq!(things.read_tagged(id).unwrap(), containers());
    let plain = things.read(id).unwrap();
    assert_eq!(plain["own"]["rich"], "\u{fffc}bold plain");
    assert_eq!(plain["own"]["long"], "a long line\n".repeat(300));
}

#[test]
fn every_kind_in_every_container_is_edited_as_a_type_and_what_the_type_does_not_know_stays() {
    let (home, things, id) = stored();
    let typed = home.collection::<Containers>("things").unwrap();
    let change = |all: &mut All| {
        all.text.push_str("!");
        all.rich.mark(5..8, "italic", true);
        all.rich.block_mut(0).unwrap().entries_mut().insert("own".into(), true.into());
        all.long.splice(12, 0, "inserted\n");
        all.counter.increment(10);
        all.bytes = vec![1].into();
        all.moment = (UNIX_EPOCH + Duration::from_millis(7)).into();
        all.unsigned -= 1;
        all.signed += 1;
        all.float = -0.0;
        all.list.insert(1, "between".into());
        all.lists[1].push(Counter::new(2));
        all.map.get_mut("key").unwrap().push_text("b", [("bold", &true.into())]);
    };
    let edited = |page: &mut Containers| {
        change(&mut page.own);
        page.parts.iter_mut().chain(page.named.values_mut()).chain(page.rows.iter_mut().flatten()).for_each(change);
    };
    let mut expected = typed.read(id).unwrap();
    edited(&mut expected);
    typed.edit(id, edited).unwrap();
    assert_eq!(typed.read(id).unwrap(), expected);
    let json = things.read_tagged(id).unwrap();
    for at in [&json["own"], &json["parts"][0], &json["named"]["a"], &json["rows"][0][0]] {
        assert_eq!(at["unknown"], everything()["unknown"]);
        assert_eq!((&at["counter"], &at["moment"]), (&json!({ "$counter": 7 }), &json!({ "$timestamp": 7 })));
        assert_eq!(at["rich"]["$richtext"][0]["block"]["own"], true);
        assert_eq!(
            at["rich"]["$richtext"][0]["block"]["attrs"],
            everything()["rich"]["$richtext"][0]["block"]["attrs"]
        );
    }
}

#[test]
fn every_kind_in_every_container_is_edited_by_path() {
    let (home, things, id) = stored();
    let entity = home.collection::<()>("things").unwrap().entity(id).unwrap();
    for place in places() {
        let at = |key: &str| place.clone().key(key);
        entity.text(at("text")).splice(0, 1, "N").unwrap();
        let rich = entity.text(at("rich"));
        rich.unmark(1..5, "bold", Expand::After).unwrap();
        rich.update_block(0, |block| *block = block.clone().with_attribute("level", 3)).unwrap();
        rich.insert_block(rich.length().unwrap(), &Block::new("paragraph")).unwrap();
        let cell = at("rich").index(0).key("attrs").key("cells").index(0);
        entity.text(cell).splice(1, 0, "y").unwrap();
        entity.long_text(at("long")).splice(0, 2, "A ").unwrap();
        assert_eq!(entity.long_text(at("long")).slice(0..11).unwrap(), "A long line");
        assert_eq!(entity.long_text(at("long")).length().unwrap(), 3_600);
        entity.counter(at("counter")).increment(3).unwrap();
        entity.list(at("list")).set(0, Bytes::from(vec![9])).unwrap();
        entity.list(at("list")).remove(1).unwrap();
        entity.list(at("lists").index(1)).push(Counter::new(4)).unwrap();
        entity.counter(at("lists").index(0).index(0)).increment(1).unwrap();
        entity.map(at("map")).put("new", LongText::from("x")).unwrap();
        entity.map(at("map")).remove("key").unwrap();
    }
    let json = things.read_tagged(id).unwrap();
    for at in [&json["own"], &json["parts"][0], &json["named"]["a"], &json["rows"][0][0]] {
        assert_eq!(at["text"], json!({ "$text": "Naïve 🦀" }));
        let spans = at["rich"]["$richtext"].as_array().unwrap();
        assert_eq!(spans[0]["block"]["attrs"], json!({ "level": 3, "cells": [{ "$text": "xy" }] }));
        assert_eq!(spans[1], json!({ "text": "bold", "marks": { "at": { "$timestamp": 5 } } }));
        assert_eq!(spans[3]["block"]["type"], "paragraph");
        assert_eq!(at["counter"], json!({ "$counter": 0 }));
        assert_eq!(at["list"], json!([{ "$bytes": "09" }]));
        assert_eq!(at["lists"], json!([[{ "$counter": 2 }], [{ "$counter": 4 }]]));
        assert_eq!(at["map"], json!({ "new": { "$longtext": "x" } }));
        assert_eq!(at["unknown"], everything()["unknown"]);
    }
    let raw = entity.raw(|document| {
        use afield::automerge::ReadDoc;
        let (_, own) = document.get(afield::automerge::ROOT, "own").unwrap().unwrap();
        let (_, rich) = document.get(&own, "rich").unwrap().unwrap();
        document.spans(&rich).unwrap().count()
    });
    assert_eq!(raw.unwrap(), 4, "the raw view sees blocks and marks as Automerge has them");
}

#[test]
fn every_kind_in_every_container_is_edited_as_json() {
    let (_home, things, id) = stored();
    let mut expected = containers();
    let change = |page: &mut Json| {
        for at in ["/own", "/parts/0", "/named/a", "/rows/0/0"] {
            let all = page.pointer_mut(at).unwrap();
            all["rich"]["$richtext"][2]["text"] = json!(" and plain");
            all["rich"]["$richtext"][0]["block"]["attrs"]["level"] = json!(1);
            all["rich"]["$richtext"].as_array_mut().unwrap().push(json!({ "block": { "type": "paragraph" } }));
            all["long"]["$longtext"] = json!("short");
            all["counter"]["$counter"] = json!(4);
            all["bytes"]["$bytes"] = json!("");
            all["lists"][1] = json!([{ "$counter": 3 }]);
            all["map"]["more"] = json!({ "$richtext": [{ "block": {} }] });
        }
    };
    things.edit(id, change).unwrap();
    change(&mut expected);
    assert_eq!(things.read_tagged(id).unwrap(), expected);
    things.edit(id, |page| page["own"]["rich"] = json!("\u{fffc}bold as a string")).unwrap();
    let rich = &things.read_tagged(id).unwrap()["own"]["rich"]["$richtext"];
    assert_eq!((&rich[0]["block"]["type"], &rich[1]["marks"]["bold"]), (&json!("heading"), &json!(true)));
}

#[test]
fn putting_what_plain_json_shows_changes_nothing() {
    let replica = Replica::open_in_memory().unwrap();
    let notes = replica.create_space("Home").unwrap().collection::<()>("notes").unwrap().json();
    let infinite = |sign: &str| json!({ "$float": format!("{sign}ff0000000000000") });
    let everything = json!({
        "bytes": {"$bytes": "00ff"}, "most": infinite("7"), "list": [infinite("f"), 1], "null": null, "text": {"$text": "a"},
        "story": {"$longtext": "b"}, "count": {"$counter": 1}, "when": {"$timestamp": 5}, "map": {"least": infinite("f")},
    });
    let id = notes.insert(&everything).unwrap();
    let shown = notes.read(id).unwrap();
    assert_eq!((&shown["bytes"], &shown["most"]), (&json!("00ff"), &Json::Null));
    assert_eq!(notes.put(id, &shown).unwrap().changes().count(), 0);
    assert_eq!(notes.read_tagged(id).unwrap(), everything);
    let mut fewer = shown.clone();
    fewer.as_object_mut().unwrap().remove("most");
    fewer["list"] = json!([2, 1]);
    notes.put(id, &fewer).unwrap();
    assert_eq!(notes.read(id).unwrap(), fewer, "the control: what is left out goes");
}

#[test]
fn a_null_stands_for_a_number_that_is_not_finite_in_the_element_that_held_it_alone() {
    let replica = Replica::open_in_memory().unwrap();
    let notes = replica.create_space("Home").unwrap().collection::<()>("notes").unwrap().json();
    let [most, least] = ["7", "f"].map(|sign| json!({ "$float": format!("{sign}ff0000000000000") }));
    let listed = |elements: Json| json!({ "list": elements });
    let put = |elements: Json| {
        let before = json!([{"id": 1, "x": most, "n": 0}, {"id": 2, "x": least, "n": 0}, most, "a"]);
        let id = notes.insert(&listed(before)).unwrap();
        notes.put(id, &listed(elements)).unwrap();
        notes.read_tagged(id).unwrap()["list"].clone()
    };
    assert_eq!(
        put(json!([{"id": 2, "x": null, "n": 0}, {"id": 3, "x": null, "n": 0}, null, "a", null])),
        json!([{"id": 2, "x": least, "n": 0}, {"id": 3, "x": null, "n": 0}, most, "a", null]),
        "one went, one changed its place, and others came"
    );
    assert_eq!(
        put(json!([{"id": 0, "x": null}, {"id": 1, "x": null, "n": 5}, {"id": 2, "x": 1, "n": 0}, null, "a", "b"])),
        json!([{"id": 0, "x": null}, {"id": 1, "x": most, "n": 5}, {"id": 2, "x": 1, "n": 0}, most, "a", "b"]),
        "a list that got longer keeps what it held"
    );
}
