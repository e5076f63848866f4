//! What cannot be done is refused in words, and leaves nothing behind.

use super::*;

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
            matches!(
                error,
                OperationError::ValueTooLarge { .. }
                    | OperationError::TooLarge { .. }
                    | OperationError::TooManyOperations { .. }
            ),
            "{name}: {error:?}"
        );
        assert_eq!((document.change_count(), document.heads()), (0, vec![]), "{name}");
    }
    let _ = document.edit(&by(1), &limits, |edit| edit.put("a", "x".repeat(1_800))).unwrap();
}

#[test]
fn a_value_that_is_too_large_is_named_with_its_place_before_anything_is_written() {
    let limits = Limits { change_bytes_max: 2_000, change_operations_max: 500, ..Limits::DEFAULT };
    let huge = || Value::Bytes(vec![0; 2_001]);
    let (mut document, _) = twins(|edit| edit.put("list", vec![map([("a", "x".into())])]));
    let heads = document.heads();
    type Attempt<'a> = &'a dyn Fn(&mut Edit<'_>) -> Result<(), OperationError>;
    let mut refused = |attempt: Attempt<'_>| {
        // The closure goes on after the refusal, so that an operation that had written something would be seen.
        let refusal = std::cell::RefCell::new(None);
        let edited = document.edit::<_, OperationError>(&by(1), &limits, |edit| {
            refusal.replace(Some(attempt(edit).expect_err("it is too large")));
            Ok(())
        });
        assert!(edited.is_ok_and(|edited| edited.changes.is_empty()), "nothing was written");
        assert_eq!(document.heads(), heads);
        refusal.into_inner().unwrap()
    };
    let nested = map([("inner", vec![Value::Int(1), huge()].into()), ("a", "written first".into())]);
    let element = Path::from("list").index(0).key("a");
    let cases: [(Attempt<'_>, Path); 4] = [
        (&|edit| edit.put("cover", huge()), Path::from("cover")),
        (&|edit| edit.put("deep", nested.clone()), Path::from("deep").key("inner").index(1)),
        (&|edit| edit.put(&element, huge()), element.clone()),
        (&|edit| edit.insert("list", 0, huge()), Path::from("list").index(0)),
    ];
    for (attempt, place) in cases {
        match refused(attempt) {
            OperationError::ValueTooLarge { path, bytes: 2_001, bytes_max: 2_000 } => assert_eq!(path, place),
            other => panic!("{other:?}"),
        }
    }
    let many = refused(&|edit| edit.put("text", text(&"x".repeat(501))));
    assert!(matches!(many, OperationError::TooManyOperations { operations: 502, operations_max: 500, .. }), "{many:?}");
    let many = refused(&|edit| edit.splice_text("body", 0, 0, &"x".repeat(501)));
    assert!(
        matches!(many, OperationError::TooManyOperations { ref path, .. } if *path == Path::from("body")),
        "{many:?}"
    );
    let long = refused(&|edit| edit.splice_long_text("long", 0, 0, &"x".repeat(501)));
    assert!(matches!(long, OperationError::TooManyOperations { .. }), "{long:?}");
    let words = refused(&|edit| edit.put("cover", huge())).to_string();
    assert!(words.starts_with("the value at cover has 2001 bytes, and a change has at most 2000"), "{words}");
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
