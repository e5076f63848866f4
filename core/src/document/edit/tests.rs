use crate::document::test_kit::*;
use crate::document::*;
use crate::{EntityId, Limits};
use automerge::transaction::Transactable;
use automerge::{ObjType, ROOT, ReadDoc};

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::from(entries)
}

fn text(content: &str) -> Value {
    Value::Text(content.to_owned())
}

/// Two documents of one entity with the same history.
fn twins(prepare: impl FnOnce(&mut Edit<'_>) -> Result<(), OperationError>) -> (Document, Document) {
    let (mut left, mut right) = (Document::new(ENTITY), Document::new(ENTITY));
    let changes = edit(&mut left, 1, prepare);
    deliver(&mut right, &changes);
    (left, right)
}

/// Edits both documents concurrently, exchanges the changes and gives what both then read.
fn concurrently(
    (mut left, mut right): (Document, Document),
    on_left: impl FnOnce(&mut Edit<'_>) -> Result<(), OperationError>,
    on_right: impl FnOnce(&mut Edit<'_>) -> Result<(), OperationError>,
) -> Value {
    let from_left = edit(&mut left, 1, on_left);
    let from_right = edit(&mut right, 2, on_right);
    deliver(&mut left, &from_right);
    deliver(&mut right, &from_left);
    assert_eq!(left.heads(), right.heads());
    assert_eq!(left.read(), right.read());
    left.read()
}

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
fn changes_of_an_edit_stand_in_causal_order_and_apply_elsewhere() {
    let (mut left, mut right) = (Document::new(ENTITY), Document::new(ENTITY));
    let changes = edit(&mut left, 1, |edit| {
        edit.put("title", "a")?;
        edit.splice_text("body", 0, 0, "b")?;
        edit.put("map", map([("inner", vec![text("c")].into())]))?;
        edit.increment("count", 2)
    });
    for change in &changes {
        assert_eq!(deliver(&mut right, std::slice::from_ref(change)), [Verdict::Applied]);
        assert_eq!(left.change_bytes(&change.hash).as_deref(), Some(change.bytes.as_slice()));
    }
    assert_eq!((left.heads(), left.read()), (right.heads(), right.read()));
    assert_eq!(left.change_count(), changes.len() as u64);
}

#[test]
fn an_edit_that_writes_nothing_makes_no_change() {
    let mut document = Document::new(ENTITY);
    let value = map([
        ("a", "x".into()),
        ("body", text("y")),
        ("list", vec![Value::Int(1), text("z")].into()),
        ("n", Value::Counter(1)),
    ]);
    edit(&mut document, 1, |edit| edit.assign(Path::ROOT, &Value::Null, &value));
    let before = document.heads();
    let nothing = edit(&mut document, 1, |edit| {
        edit.assign(Path::ROOT, &value, &value)?;
        edit.assign(Path::ROOT, &value, &Value::from_json(&value.to_json()))?;
        edit.put("a", "x")?;
        edit.delete("absent")?;
        edit.splice_text("absent", 0, 0, "")?;
        edit.splice_text("body", 1, 0, "")?;
        edit.increment("n", 0)?;
        edit.increment("absent", 0)?;
        edit.assign("absent", &Value::Null, &Value::Null)
    });
    assert_eq!((nothing.len(), document.heads()), (0, before));
    let something = edit(&mut document, 1, |edit| edit.put("a", "other"));
    assert_eq!(something.len(), 1, "positive control");
}

#[test]
fn positions_count_code_points() {
    let mut document = Document::new(ENTITY);
    edit(&mut document, 1, |edit| {
        edit.splice_text("body", 0, 0, "né🦀e\u{301}x")?;
        edit.splice_text("body", 2, 1, "ß")?;
        edit.splice_text("body", 5, 1, "")
    });
    assert_eq!(document.read_at("body").unwrap(), Some(text("néße\u{301}")));
    let beyond = document.edit(&by(1), &Limits::DEFAULT, |edit| edit.splice_text("body", 4, 2, ""));
    assert!(matches!(beyond, Err(EditError::Closure(OperationError::OutOfRange { position: 6, length: 5 }))));
}

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

#[test]
fn a_failed_edit_leaves_the_document_as_it_was() {
    #[derive(Debug, PartialEq)]
    struct Changed;
    impl From<OperationError> for Changed {
        fn from(_: OperationError) -> Self {
            Self
        }
    }
    let (mut document, _) = twins(|edit| edit.put("a", 1));
    let (heads, read, count, saved) = (document.heads(), document.read(), document.change_count(), document.save());
    type Closure = fn(&mut Edit<'_>) -> Result<(), Changed>;
    let plain: Closure = |edit| Ok(edit.put("a", 2)?);
    let derived: Closure = |edit| Ok(edit.splice_text("body", 0, 0, "x")?);
    let derived_after_writing: Closure = |edit| {
        edit.put("a", 3)?;
        edit.splice_text("body", 0, 0, "x")?;
        Ok(edit.splice_text("other", 0, 0, "x")?)
    };
    for (actor, closure) in [(1, plain), (1, derived), (1, derived_after_writing), (7, plain), (7, derived)] {
        let failed = document.edit(&by(actor), &Limits::DEFAULT, |edit| {
            closure(edit)?;
            Err::<(), _>(Changed)
        });
        assert!(matches!(failed, Err(EditError::Closure(Changed))));
        assert_eq!((document.heads(), document.read(), document.change_count()), (heads.clone(), read.clone(), count));
        assert_eq!(document.save(), saved);
        assert!(!document.is_poisoned());
    }
    let _ = document.edit(&by(1), &Limits::DEFAULT, derived_after_writing).unwrap();
    assert_eq!(document.read_at("a").unwrap(), Some(Value::Int(3)), "positive control");
}

/// Changes by many actors that know nothing of each other, each putting one number.
fn concurrent(count: u32) -> Vec<LocalChange> {
    let one = |number: u32| {
        let mut document = Document::new(ENTITY);
        let actor = automerge::ActorId::from([&[200; 12][..], &number.to_be_bytes()].concat());
        let context = EditContext { actor, ..by(1) };
        document.edit(&context, &Limits::DEFAULT, |edit| edit.put(number.to_string(), 1)).unwrap().changes
    };
    (0..count).flat_map(one).collect()
}

#[test]
fn an_edit_joins_more_heads_than_one_change_may_depend_on() {
    for count in [255, 256, 257, 1_000] {
        let others = concurrent(count);
        let (mut document, mut reader) = twins(|edit| edit.put("a", 1));
        deliver(&mut document, &others);
        deliver(&mut reader, &others);
        let heads = document.heads();
        let nothing = edit(&mut document, 1, |_| Ok(()));
        assert_eq!((nothing.len(), document.heads()), (0, heads.clone()));
        let failed = document.edit(&by(1), &Limits::DEFAULT, |edit| {
            edit.put("a", 2)?;
            Err::<(), _>(OperationError::Root)
        });
        assert!(failed.is_err());
        assert_eq!(document.heads(), heads);
        let changes = edit(&mut document, 1, |edit| edit.put("a", 2));
        assert_eq!(document.heads(), [changes.last().unwrap().hash]);
        let joins = [(255, 1), (256, 1), (257, 1), (1_000, 3)].into_iter().find(|(heads, _)| *heads == count);
        assert_eq!(changes.len(), 1 + joins.unwrap().1, "{count}");
        assert!(deliver(&mut reader, &changes).iter().all(|verdict| *verdict == Verdict::Applied));
        assert_eq!((reader.heads(), reader.read()), (document.heads(), document.read()));
        let loaded = Document::load(ENTITY, Some(&document.save()), []).unwrap();
        assert_eq!((loaded.heads(), loaded.read()), (document.heads(), document.read()));
    }
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
fn a_text_that_thousands_of_openings_wrote_can_be_deleted_at_once() {
    let (mut document, mut reader) = twins(|edit| edit.put("body", text("a")));
    for opening in 0..1_100_u32 {
        let actor = automerge::ActorId::from([&[100; 12][..], &opening.to_be_bytes()].concat());
        let context = EditContext { actor, ..by(1) };
        let edited = document.edit(&context, &Limits::DEFAULT, |edit| edit.splice_text("body", 1, 0, "b")).unwrap();
        deliver(&mut reader, &edited.changes);
    }
    let deleted = edit(&mut document, 1, |edit| edit.splice_text("body", 0, 1_101, ""));
    assert_eq!(deliver(&mut reader, &deleted), [Verdict::Applied]);
    assert_eq!(reader.read_at("body").unwrap(), Some(text("")));
}

#[test]
fn a_change_that_breaks_a_rule_of_the_header_is_refused_before_anybody_sees_it() {
    let (mut document, _) = twins(|edit| edit.put("a", 1));
    let heads = document.heads();
    let long_key = "k".repeat(3_000);
    let refused = document.edit::<_, OperationError>(&by(1), &Limits::DEFAULT, |edit| {
        (0..1_000).try_for_each(|number| edit.put(long_key.as_str(), number))
    });
    let reason = QuarantineReason::Malformed;
    assert!(matches!(refused, Err(EditError::Refused(OperationError::Unsound(found))) if found == reason));
    let longest_key = "k".repeat(Limits::DEFAULT.change_bytes_max);
    let refused = document.edit(&by(1), &Limits::DEFAULT, |edit| edit.splice_text(longest_key.as_str(), 0, 0, "x"));
    assert!(matches!(refused, Err(EditError::Closure(OperationError::TooLarge { .. }))));
    assert_eq!(document.heads(), heads);
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
fn a_panic_poisons_the_document() {
    let (mut document, _) = twins(|edit| edit.put("a", 1));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = document.edit::<(), OperationError>(&by(1), &Limits::DEFAULT, |edit| {
            edit.put("a", 2)?;
            panic!("of the application");
        });
    }));
    assert_eq!(panicked.unwrap_err().downcast_ref::<&str>(), Some(&"of the application"));
    assert!(document.is_poisoned());
    let refused = document.edit(&by(1), &Limits::DEFAULT, |edit| edit.put("a", 2));
    assert!(matches!(refused, Err(EditError::Poisoned)));
    assert_eq!(document.apply_guarded(&[], &Limits::DEFAULT), Err(Poisoned));
}

#[test]
fn a_change_over_the_limits_is_refused_and_nothing_remains() {
    let limits = Limits { change_bytes_max: 2_000, change_operations_max: 50, ..Limits::DEFAULT };
    let mut document = Document::new(ENTITY);
    type Attempt = fn(&mut Edit<'_>) -> Result<(), OperationError>;
    let attempts: [(&str, Attempt); 5] = [
        ("a string", |edit| edit.put("a", "x".repeat(2_001))),
        ("a text", |edit| edit.splice_text("a", 0, 0, &"x".repeat(51))),
        ("many operations", |edit| (0..60).try_for_each(|number: i64| edit.put(number.to_string(), number))),
        ("a list", |edit| edit.put("a", vec![Value::Int(1); 60])),
        ("long keys", |edit| {
            (0..30).try_for_each(|number: i64| edit.put(format!("{number}{}", "k".repeat(100)), number))
        }),
    ];
    for (name, attempt) in attempts {
        let refused = document.edit(&by(1), &limits, attempt).unwrap_err();
        let (EditError::Closure(error) | EditError::Refused(error)) = refused else { panic!("{name}: {refused:?}") };
        assert!(
            matches!(error, OperationError::TooLarge { .. } | OperationError::TooManyOperations { .. }),
            "{name}: {error:?}"
        );
        assert_eq!((document.change_count(), document.heads()), (0, vec![]), "{name}");
    }
    let _ = document.edit(&by(1), &limits, |edit| edit.put("a", "x".repeat(1_800))).unwrap();
}

#[test]
fn nothing_nests_deeper_than_can_be_read() {
    let tower = |height: usize| (1..height).fold(map([]), |inner, _| map([("a", inner)]));
    let mut document = Document::new(ENTITY);
    let refused = document.edit(&by(1), &Limits::DEFAULT, |edit| edit.put("a", tower(DEPTH_MAX + 1)));
    assert!(matches!(refused, Err(EditError::Closure(OperationError::TooDeep))), "{refused:?}");
    let list = (0..DEPTH_MAX).fold(Value::List(vec![]), |inner, _| vec![inner].into());
    let refused = document.edit(&by(1), &Limits::DEFAULT, |edit| edit.put("a", list));
    assert!(matches!(refused, Err(EditError::Closure(OperationError::TooDeep))), "{refused:?}");
    let raw = document.edit(&by(1), &Limits::DEFAULT, |edit| {
        edit.raw(|transaction| {
            let root = transaction.put_object(ROOT, "b", ObjType::Map)?;
            (0..DEPTH_MAX).try_fold(root, |map, _| transaction.put_object(map, "b", ObjType::Map)).map(drop)
        })
    });
    assert!(matches!(raw, Err(EditError::Refused(OperationError::Unsound(QuarantineReason::TooDeep)))), "{raw:?}");
    assert_eq!(document.change_count(), 0);
    let changes = edit(&mut document, 1, |edit| edit.put("a", tower(DEPTH_MAX)));
    assert_eq!(deliver(&mut Document::new(ENTITY), &changes).last(), Some(&Verdict::Applied));
}

#[test]
fn operations_say_what_stands_in_the_way() {
    let (mut document, _) = twins(|edit| {
        edit.put("scalar", 1)?;
        edit.put("list", vec![Value::Int(1)])?;
        edit.put("big", Value::Counter(COUNTER_MAX))
    });
    let mut error = |closure: fn(&mut Edit<'_>) -> Result<(), OperationError>| match document.edit(
        &by(1),
        &Limits::DEFAULT,
        closure,
    ) {
        Err(EditError::Closure(error)) => error,
        other => panic!("{other:?}"),
    };
    use OperationError::*;
    assert!(matches!(error(|edit| edit.put(Path::from("absent").key("a"), 1)), Absent { step: 1 }));
    let found = error(|edit| edit.put(Path::from("scalar").key("a"), 1));
    assert!(matches!(found, WrongKind { step: 1, found: Kind::Integer, needed: Kind::Map }));
    let found = error(|edit| edit.splice_text("list", 0, 0, "a"));
    assert!(matches!(found, WrongKind { step: 1, found: Kind::List, needed: Kind::Text }));
    assert!(matches!(error(|edit| edit.put(Path::from("list").index(1), 1)), OutOfRange { position: 1, length: 1 }));
    assert!(matches!(error(|edit| edit.insert("list", 2, 1)), OutOfRange { position: 2, length: 1 }));
    assert!(matches!(error(|edit| edit.delete(Path::from("list").index(1))), OutOfRange { .. }));
    assert!(matches!(error(|edit| edit.insert("new", 1, 1)), OutOfRange { position: 1, length: 0 }));
    assert!(matches!(error(|edit| edit.increment("big", i64::MAX)), CounterOverflow));
    assert!(matches!(error(|edit| edit.put("n", Value::Counter(i64::MIN))), CounterOverflow));
    assert!(matches!(error(|edit| edit.increment("scalar", 1)), WrongKind { found: Kind::Integer, .. }));
    assert!(matches!(error(|edit| edit.put(Path::ROOT, 1)), Root));
    assert!(matches!(error(|edit| edit.delete(Path::ROOT)), Root));
    assert!(matches!(error(|edit| edit.assign(Path::ROOT, &Value::Null, &Value::Int(1))), Root));
}

#[test]
fn large_increments_take_several_operations_and_large_counters_start_there() {
    let (mut left, mut right) = twins(|edit| edit.put("large", Value::Counter(-COUNTER_MAX)));
    let far = 5 * INCREMENT_MAX + 7;
    let mut changes = edit(&mut left, 1, |edit| edit.increment("n", far));
    changes.extend(edit(&mut left, 1, |edit| edit.increment("n", -far - 1)));
    changes.extend(edit(&mut left, 1, |edit| edit.put("other", Value::Counter(far))));
    assert!(deliver(&mut right, &changes).iter().all(|verdict| *verdict == Verdict::Applied));
    let counters = [("large", -COUNTER_MAX), ("n", -1), ("other", far)].map(|(key, n)| (key, Value::Counter(n)));
    assert_eq!(right.read(), map(counters));
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
fn what_others_would_quarantine_is_refused_in_the_raw_view() {
    let (mut document, _) = twins(|edit| {
        edit.put("n", Value::Counter(1))?;
        edit.put("body", Value::Text("hello".into()))
    });
    let before = document.heads();
    type Attempt = fn(&mut automerge::transaction::OwnedTransaction) -> Result<(), automerge::AutomergeError>;
    let attempts: [Attempt; 3] = [
        |transaction| {
            let (_, text) = transaction.get(ROOT, "body")?.expect("it was just put");
            transaction.put(&text, 1, "q")
        },
        |transaction| transaction.increment(ROOT, "n", i64::MAX / 2),
        |transaction| transaction.put(ROOT, "m", automerge::ScalarValue::counter(i64::MAX)),
    ];
    for attempt in attempts {
        let refused = document.edit(&by(1), &Limits::DEFAULT, |edit| edit.raw(attempt));
        let reason = QuarantineReason::BadOperation;
        assert!(matches!(refused, Err(EditError::Refused(OperationError::Unsound(found))) if found == reason));
        assert_eq!(document.heads(), before);
    }
}

#[test]
fn the_raw_view_writes_into_the_same_edit() {
    let mut document = Document::new(ENTITY);
    let changes = edit(&mut document, 1, |edit| {
        edit.put("a", 1)?;
        edit.raw(|transaction| transaction.put(ROOT, "b", 2))?;
        assert_eq!(edit.read("b")?, Some(Value::Int(2)));
        Ok(())
    });
    assert_eq!(changes.len(), 1);
    assert_eq!(document.automerge().length(ROOT), 2);
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
