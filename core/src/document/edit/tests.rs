mod assign;
mod brought;
mod derived;
mod nested;
mod refused;

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
fn the_reader_of_an_edit_sees_what_the_edit_wrote() {
    let mut document = Document::new(ENTITY);
    let changes = edit(&mut document, 1, |edit| {
        edit.put("a", 1)?;
        assert_eq!(edit.reader().length(ROOT), 1);
        edit.splice_text("b", 0, 0, "x")?;
        assert_eq!(edit.reader().length(ROOT), 2);
        Ok(())
    });
    assert!(!changes.is_empty());
    assert_eq!(document.automerge().length(ROOT), 2);
}
