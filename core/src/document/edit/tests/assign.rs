//! Whole values put over what is there: no more is written than differs.

use super::*;

#[test]
fn unknown_fields_survive_an_assign_at_every_depth() {
    let element =
        |title: &str| map([("title", title.into()), ("kept", map([("v", Value::Int(1))])), ("x", "?".into())]);
    let (mut document, _) = twins(|edit| {
        edit.put("x", "?")?;
        edit.put("nested", map([("x", "?".into()), ("known", Value::Int(1)), ("deep", map([("x", "?".into())]))]))?;
        edit.put("list", vec![element("a"), element("b"), element("c")])
    });
    let known = |title: &str| map([("title", title.into()), ("kept", map([("v", Value::Int(1))]))]);
    let shape = |known_number: i64, list: Vec<Value>| {
        let deep = map([("new", Value::Int(known_number))]);
        map([("nested", map([("known", Value::Int(known_number)), ("deep", deep)])), ("list", list.into())])
    };
    let before = shape(1, vec![known("a"), known("b"), known("c")]);
    let after = shape(2, vec![known("c"), known("new"), known("b, edited")]);
    edit(&mut document, 1, |edit| edit.assign(Path::ROOT, &before, &after));
    let read = |path: &str| document.read_at(path.parse::<Path>().unwrap()).unwrap();
    for place in ["x", "nested.x", "nested.deep.x"] {
        assert_eq!(read(place), Some("?".into()), "{place}");
    }
    assert_eq!(read("nested.known"), Some(Value::Int(2)));
    assert_eq!(read("nested.deep.new"), Some(Value::Int(2)));
    let element_new = known("new");
    let expected = [element("c"), element_new, element("b, edited")];
    let list = read("list").unwrap();
    assert_eq!(list.as_list().unwrap()[0], expected[0], "an element that moved takes along what is unknown");
    assert_eq!(list.as_list().unwrap()[2].entry("title"), expected[2].entry("title"));
}

#[test]
fn a_title_edit_beside_a_concurrent_new_field_keeps_both() {
    let twins = twins(|edit| edit.put("title", "a"));
    let old = map([("title", "a".into()), ("due", Value::Null)]);
    let new = map([("title", "b".into()), ("due", Value::Null)]);
    let read = concurrently(twins, |edit| edit.assign(Path::ROOT, &old, &new), |edit| edit.put("due", "tomorrow"));
    assert_eq!(read, map([("title", "b".into()), ("due", "tomorrow".into())]));
}

#[test]
fn assigned_texts_counters_and_lists_merge_with_concurrent_edits() {
    let start =
        map([("body", text("one two")), ("n", Value::Counter(5)), ("list", vec!["a".into(), "b".into()].into())]);
    let left = map([
        ("body", text("ONE two")),
        ("n", Value::Counter(7)),
        ("list", vec!["x".into(), "a".into(), "b".into()].into()),
    ]);
    let right =
        map([("body", text("one TWO")), ("n", Value::Counter(4)), ("list", vec!["a".into(), "B".into()].into())]);
    let twins = twins(|edit| edit.assign(Path::ROOT, &Value::Null, &start));
    let read = concurrently(
        twins,
        |edit| edit.assign(Path::ROOT, &start, &left),
        |edit| edit.assign(Path::ROOT, &start, &right),
    );
    let list = vec!["x".into(), "a".into(), "B".into()];
    assert_eq!(read, map([("body", text("ONE TWO")), ("n", Value::Counter(6)), ("list", list.into())]));
}

#[test]
fn json_edits_keep_texts_counters_and_timestamps() {
    let (mut document, _) = twins(|edit| {
        edit.put("body", text("abc"))?;
        edit.put("n", Value::Counter(1))?;
        edit.put("at", Value::Timestamp(5))
    });
    let before = document.read();
    let json = serde_json::json!({ "body": "aXc", "n": 4, "at": 6, "new": "s" });
    edit(&mut document, 1, |edit| edit.assign(Path::ROOT, &before, &Value::from_json(&json)));
    let expected =
        map([("body", text("aXc")), ("n", Value::Counter(4)), ("at", Value::Timestamp(6)), ("new", "s".into())]);
    assert_eq!(document.read(), expected);
}

#[test]
fn null_and_absent_are_the_same_to_assign() {
    let (mut document, _) = twins(|edit| edit.put("a", 1));
    let nothing = edit(&mut document, 1, |edit| {
        edit.assign(Path::ROOT, &map([("b", Value::Null)]), &map([("c", Value::Null)]))?;
        edit.assign(Path::ROOT, &Value::Null, &map([("b", Value::Null)]))
    });
    assert_eq!(nothing, []);
    edit(&mut document, 1, |edit| edit.assign(Path::ROOT, &map([("a", Value::Int(1))]), &map([("a", Value::Null)])));
    assert_eq!(document.read(), map([("a", Value::Null)]));
    edit(&mut document, 1, |edit| edit.assign(Path::ROOT, &map([("a", Value::Int(1))]), &map([])));
    assert_eq!(document.read(), map([]));
}

#[test]
fn a_list_or_text_becomes_a_map_of_containers() {
    let after = map([("inner", map([("list", Value::List(vec![1_i64.into(), map([]), 2_i64.into()]))]))]);
    for before in [Value::List(vec![Value::Int(1)]), text("a"), map([])] {
        let mut document = Document::new(ENTITY);
        edit(&mut document, 1, |edit| edit.put("field", before.clone()));
        edit(&mut document, 1, |edit| edit.assign("field", &before, &after));
        assert_eq!(document.read_at("field").unwrap().as_ref(), Some(&after), "{before:?}");
    }
}

#[test]
fn an_assign_from_a_stale_text_or_list_is_refused_and_leaves_nothing() {
    let (mut document, _) = twins(|edit| {
        edit.put("body", text("abc"))?;
        edit.put("list", vec![Value::Int(1)])
    });
    let heads = document.heads();
    for (before, after) in [
        (map([("a", Value::Null), ("body", text("abd"))]), map([("a", Value::Int(1)), ("body", text("x"))])),
        (map([("list", vec![].into())]), map([("a", Value::Int(1)), ("list", vec![Value::Int(2)].into())])),
    ] {
        let refused = document.edit(&by(1), &Limits::DEFAULT, |edit| edit.assign(Path::ROOT, &before, &after));
        assert!(matches!(refused, Err(EditError::Closure(OperationError::Stale))), "{refused:?}");
        let ignored = document.edit::<_, OperationError>(&by(1), &Limits::DEFAULT, |edit| {
            let _ = edit.assign(Path::ROOT, &before, &after);
            Ok(())
        });
        assert!(matches!(ignored, Err(EditError::Refused(OperationError::Halfway))), "{ignored:?}");
        assert_eq!(document.heads(), heads);
    }
}
