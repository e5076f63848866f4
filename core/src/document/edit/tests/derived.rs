//! What is created where nothing stands is the same on every device.

use super::*;

#[test]
fn two_documents_that_create_one_text_concurrently_end_with_one_text_that_holds_both() {
    let twins = twins(|_| Ok(()));
    let read =
        concurrently(twins, |edit| edit.splice_text("body", 0, 0, "hé"), |edit| edit.splice_text("body", 0, 0, "llo"));
    let body = read.entry("body").unwrap();
    assert!([text("héllo"), text("llohé")].contains(body), "{body:?}");
}

#[test]
fn nested_containers_of_every_kind_created_concurrently_are_one() {
    let twins = twins(|edit| edit.put("outer", map([])));
    let write = |number: i64| {
        move |edit: &mut Edit<'_>| {
            let outer = Path::from("outer");
            edit.splice_text(outer.clone().key("text"), 0, 0, &number.to_string())?;
            edit.insert(outer.clone().key("list"), 0, number)?;
            edit.increment(outer.clone().key("counter"), number)?;
            edit.put(outer.key("map"), map([(&number.to_string(), Value::Int(number))]))
        }
    };
    let read = concurrently(twins, write(3), write(4));
    let outer = read.entry("outer").unwrap();
    assert_eq!(outer.entry("counter"), Some(&Value::Counter(7)));
    assert_eq!(outer.entry("map"), Some(&map([("3", Value::Int(3)), ("4", Value::Int(4))])));
    assert_eq!(outer.entry("text").unwrap().as_str().unwrap().len(), 2);
    assert_eq!(outer.entry("list").unwrap().as_list().unwrap().len(), 2);
}

#[test]
fn a_whole_tree_put_at_an_absent_key_merges_with_another_at_every_depth() {
    let tree = |who: &str| map([("deep", map([("text", text(who)), (who, Value::Counter(1))]))]);
    let read = concurrently(twins(|_| Ok(())), |edit| edit.put("a", tree("x")), |edit| edit.put("a", tree("y")));
    let deep = read.entry("a").unwrap().entry("deep").unwrap();
    assert_eq!(deep.entry("text").unwrap().as_str().unwrap().len(), 2);
    assert_eq!((deep.entry("x"), deep.entry("y")), (Some(&Value::Counter(1)), Some(&Value::Counter(1))));
}

#[test]
fn a_derived_container_that_was_deleted_is_created_anew_by_an_ordinary_change() {
    let mut document = Document::new(ENTITY);
    let first = edit(&mut document, 1, |edit| edit.splice_text("body", 0, 0, "old"));
    assert_eq!(first.iter().map(|change| change.derived).collect::<Vec<_>>(), [true, false]);
    edit(&mut document, 1, |edit| edit.delete("body"));
    let again = edit(&mut document, 1, |edit| edit.splice_text("body", 0, 0, "new"));
    assert_eq!(again.iter().map(|change| change.derived).collect::<Vec<_>>(), [false]);
    assert_eq!(document.read(), map([("body", text("new"))]));
}

#[test]
fn the_first_edit_of_a_fresh_entity_is_one_ordinary_change() {
    let note =
        map([("title", "a".into()), ("body", text("b")), ("tags", vec!["c".into()].into()), ("n", Value::Counter(2))]);
    let mut fresh = Document::new(ENTITY);
    let context = EditContext { fresh: true, ..by(1) };
    let edited = fresh.edit(&context, &Limits::DEFAULT, |edit| edit.assign(Path::ROOT, &Value::Null, &note)).unwrap();
    assert_eq!(edited.changes.len(), 1);
    assert!(!edited.changes[0].derived);
    assert_eq!(fresh.read(), note);
    let second = fresh.edit(&context, &Limits::DEFAULT, |edit| edit.splice_text("other", 0, 0, "x")).unwrap();
    assert_eq!(second.changes.iter().filter(|change| change.derived).count(), 1, "fresh is about the first edit");
}

#[test]
fn creations_come_before_one_ordinary_change_with_all_the_rest() {
    let mut document = Document::new(ENTITY);
    let after = map([("a", "x".into()), ("b", text("y")), ("c", map([("d", text("z"))])), ("e", Value::Int(1))]);
    let changes = edit(&mut document, 1, |edit| edit.assign(Path::ROOT, &Value::Null, &after));
    assert_eq!(changes.iter().map(|change| change.derived).collect::<Vec<_>>(), [true, true, true, false]);
    assert_eq!(document.read(), after);
}

#[test]
fn an_edit_that_creates_more_containers_than_a_change_may_depend_on_is_accepted_by_others() {
    let (mut document, mut reader) = twins(|edit| edit.put("a", 1));
    let changes = edit(&mut document, 1, |edit| {
        (0..600).try_for_each(|number| edit.splice_text(format!("text {number}"), 0, 0, "x"))
    });
    assert!(deliver(&mut reader, &changes).iter().all(|verdict| *verdict == Verdict::Applied));
    assert_eq!((reader.heads(), reader.read()), (document.heads(), document.read()));
}

#[test]
fn a_container_inside_one_of_the_shortest_actor_is_derived_all_the_same() {
    for actor in [0, 1] {
        let (mut document, mut reader) = twins(|_| Ok(()));
        let context = EditContext { actor: automerge::ActorId::from([actor]), fresh: true, ..by(1) };
        let made = document.edit(&context, &Limits::DEFAULT, |edit| edit.put("outer", map([]))).unwrap().changes;
        let mut changes = made;
        changes.extend(edit(&mut document, 1, |edit| edit.splice_text(Path::from("outer").key("text"), 0, 0, "x")));
        assert!(changes.iter().any(|change| change.derived));
        assert!(deliver(&mut reader, &changes).iter().all(|verdict| *verdict == Verdict::Applied));
    }
}

#[test]
fn first_increments_on_two_devices_add_up_also_when_they_are_large() {
    for (one, other) in [(3_000_000_000, 5), (10 * INCREMENT_MAX, -9 * INCREMENT_MAX), (1, 2)] {
        let (mut left, mut right) = twins(|edit| edit.put("title", "a"));
        let from_left = edit(&mut left, 1, |edit| edit.increment("n", one));
        let from_right = edit(&mut right, 2, |edit| edit.increment("n", other));
        deliver(&mut right, &from_left);
        deliver(&mut left, &from_right);
        for document in [&left, &right] {
            assert_eq!(document.read().entry("n"), Some(&Value::Counter(one + other)));
        }
    }
}

#[test]
fn derived_changes_have_these_bytes_for_ever() {
    let mut document = Document::new(EntityId::from_bytes(*b"0123456789abcdef"));
    let changes = edit(&mut document, 1, |edit| {
        edit.splice_text("é", 0, 0, "x")?;
        edit.insert("list", 0, 1)?;
        edit.put("map", map([("text", text("y"))]))?;
        edit.increment("counter", 1)
    });
    let derived: Vec<String> = changes
        .iter()
        .filter(|change| change.derived)
        .map(|change| change.bytes.iter().map(|byte| format!("{byte:02x}")).collect())
        .collect();
    assert_eq!(derived, include_str!("derived.hex").lines().collect::<Vec<_>>());
}
