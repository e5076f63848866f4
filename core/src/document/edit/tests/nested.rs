//! Every kind in every container: made on two devices at once it is one thing, with what both put into it.

use super::*;

/// The containers that something can stand in at a key, with the path of each.
fn containers() -> [(&'static str, Path); 5] {
    [
        ("the entity", Path::ROOT),
        ("a map in a map", Path::from("outer").key("inner")),
        ("a map in a list", Path::from("list").index(1)),
        ("a map in a list of lists", Path::from("lists").index(0).index(1)),
        ("a block of a text", Path::from("body").index(2).key("attrs")),
    ]
}

fn prepared(edit: &mut Edit<'_>) -> Result<(), OperationError> {
    let element = || map([("unknown", "kept".into())]);
    edit.put("outer", map([("inner", element())]))?;
    edit.put("list", vec![Value::Int(1), element()])?;
    edit.put("lists", vec![Value::List(vec![Value::Int(1), element()])])?;
    edit.splice_text("body", 0, 0, "ab")?;
    edit.split_block("body", 2, &Block::new("paragraph").with_attribute("unknown", "kept"))?;
    edit.put("unknown", "kept")
}

type Fill = fn(&mut Edit<'_>, &Path, usize) -> Result<(), OperationError>;

type Says = fn(&Value) -> bool;

/// How a device, the first or the second, fills something of each kind, and what it then says.
fn kinds() -> Vec<(&'static str, Fill, Says)> {
    vec![
        (
            "text",
            |edit, path, device| edit.splice_text(path, 0, 0, ["aa", "bb"][device]),
            |value| matches!(value, Value::Text(text) if ["aabb", "bbaa"].contains(&text.as_str())),
        ),
        (
            "long text",
            |edit, path, device| edit.splice_long_text(path, 0, 0, ["aa", "bb"][device]),
            |value| matches!(value, Value::LongText(text) if ["aabb", "bbaa"].contains(&text.as_str())),
        ),
        (
            "rich text",
            |edit, path, device| {
                let mut text = RichText::from(["aa", "bb"][device]);
                text.mark(0..2, ["bold", "italic"][device], true);
                edit.put(path, Value::from(text))
            },
            |value| matches!(value, Value::RichText(text) if text.len() == 4 && text.marks().count() == 2),
        ),
        (
            "blocks of a text",
            |edit, path, device| edit.split_block(path, 0, &Block::new(["a", "b"][device])),
            |value| matches!(value, Value::RichText(text) if text.blocks().count() == 2),
        ),
        ("counter", |edit, path, device| edit.increment(path, [3, 4][device]), |value| *value == Value::Counter(7)),
        (
            "list",
            |edit, path, device| edit.insert(path, 0, ["a", "b"][device]),
            |value| value.as_list().is_some_and(|list| list.len() == 2),
        ),
        (
            "list of lists",
            |edit, path, device| edit.put(path, vec![Value::List(vec![["a", "b"][device].into()])]),
            |value| {
                value.as_list().is_some_and(|list| list.len() == 2 && list.iter().all(|one| one.as_list().is_some()))
            },
        ),
        (
            "map",
            |edit, path, device| edit.put_entry(path, ["a", "b"][device], 1),
            |value| *value == map([("a", 1.into()), ("b", 1.into())]),
        ),
        (
            "texts, counters and lists in maps in a map",
            |edit, path, device| {
                let inner = map([
                    ("text", text(["aa", "bb"][device])),
                    ("count", Value::Counter(device as i64 + 1)),
                    ("list", vec![Value::Bytes(vec![device as u8])].into()),
                    ("long", Value::LongText("x".into())),
                ]);
                edit.put(path, map([("deep", map([("deeper", inner)]))]))
            },
            |value| {
                let inner = value.entry("deep").and_then(|deep| deep.entry("deeper"));
                inner.is_some_and(|inner| {
                    inner.entry("text").and_then(Value::as_str).is_some_and(|text| text.len() == 4)
                        && inner.entry("count") == Some(&Value::Counter(3))
                        && inner.entry("list").and_then(Value::as_list).is_some_and(|list| list.len() == 2)
                        && inner.entry("long") == Some(&Value::LongText("xx".into()))
                })
            },
        ),
    ]
}

#[test]
fn what_two_devices_make_in_one_place_is_one_and_holds_what_both_put_into_it() {
    for (around, container) in containers() {
        for (kind, fill, says) in kinds() {
            let place = container.clone().key("new");
            let read = concurrently(twins(prepared), |edit| fill(edit, &place, 0), |edit| fill(edit, &place, 1));
            let mut document = Document::new(ENTITY);
            edit(&mut document, 1, |edit| edit.assign(Path::ROOT, &Value::Null, &read));
            let found = document.read_at(&place).unwrap().unwrap_or_default();
            assert!(says(&found), "{kind} in {around}: {found:?}");
            let kept = document.read_at(container.clone().key("unknown")).unwrap();
            assert_eq!(kept, Some("kept".into()), "{kind} in {around}");
            assert_eq!(document.read(), read, "{kind} in {around}: written anew it is the same");
            let json = read.to_tagged_json();
            assert_eq!(Value::from_tagged_json(&json), Ok(read), "{kind} in {around}: as JSON it is the same");
        }
    }
}

#[test]
fn elements_of_lists_in_lists_are_inserted_replaced_and_removed_beside_those_of_others() {
    let at = |row: usize, column: usize| Path::from("grid").index(row).index(column);
    let prepare = |edit: &mut Edit<'_>| {
        let row = |one: &str, other: &str| Value::List(vec![text(one), text(other)]);
        edit.put("grid", vec![row("a", "b"), row("c", "d")])
    };
    let read = concurrently(
        twins(prepare),
        |edit| {
            edit.splice_text(at(0, 1), 1, 0, "1")?;
            edit.insert(Path::from("grid").index(1), 0, Value::Counter(5))?;
            edit.delete(at(0, 0))
        },
        |edit| {
            edit.splice_text(at(0, 1), 0, 0, "2")?;
            edit.put(at(1, 0), Value::Bytes(vec![7]))?;
            edit.insert("grid", 2, Value::List(vec![]))
        },
    );
    let rows = vec![
        Value::List(vec![text("2b1")]),
        Value::List(vec![Value::Counter(5), Value::Bytes(vec![7]), text("d")]),
        Value::List(vec![]),
    ];
    assert_eq!(read, map([("grid", rows.into())]));
}
