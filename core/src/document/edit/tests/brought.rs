//! What several devices bring from one source is there once.

use super::*;
use crate::change::ChangeHeader;
use crate::document::rich::{Block, RichText};
use crate::document::{DELETED_KEY, brought};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn bring(document: &mut Document, after: &Value) -> Vec<LocalChange> {
    document.edit_derived(&Limits::DEFAULT, |edit| edit.assign(Path::ROOT, &Value::Null, after)).unwrap().changes
}

fn everything() -> Value {
    let mut rich = RichText::from("one two");
    rich.insert_block(0, Block::new("heading").with_attribute("level", 1));
    rich.mark(1..4, "bold", true);
    map([
        ("body", text("hello")),
        ("count", Value::Counter(3)),
        ("list", vec![text("a"), map([("deep", text("b")), ("n", Value::Counter(1))]), 1.into()].into()),
        ("long", Value::LongText("some lines\n".repeat(300))),
        ("map", map([("inner", map([("text", text("c"))]))])),
        ("rich", Value::from(rich)),
        ("title", "x".into()),
    ])
}

#[test]
fn what_two_devices_bring_from_one_source_is_one_history() {
    let (mut left, mut right) = (Document::new(ENTITY), Document::new(ENTITY));
    let (from_left, from_right) = (bring(&mut left, &everything()), bring(&mut right, &everything()));
    assert_eq!(from_left, from_right);
    assert!(from_left.iter().all(|change| change.derived && change.sequence == 1));
    for change in &from_left {
        ChangeHeader::read_in(ENTITY, &change.bytes, &Limits::DEFAULT).unwrap();
        let elsewhere = ChangeHeader::read_in(EntityId::from_bytes([1; 16]), &change.bytes, &Limits::DEFAULT);
        assert!(elsewhere.is_err(), "it is that of this entity alone");
    }
    let typed = edit(&mut left, 1, |edit| edit.splice_text("body", 5, 0, "!"));
    assert!(deliver(&mut right, &from_left).iter().all(|verdict| *verdict == Verdict::Held));
    assert_eq!(deliver(&mut right, &typed), [Verdict::Applied]);
    assert_eq!((left.heads(), left.read()), (right.heads(), right.read()));
    assert_eq!(right.read().entry("body"), Some(&text("hello!")));

    let mut third = Document::new(ENTITY);
    let incoming: Vec<LocalChange> = from_right.into_iter().chain(typed).collect();
    assert!(deliver(&mut third, &incoming).iter().all(|verdict| *verdict == Verdict::Applied));
    assert_eq!(third.read(), left.read());

    let mut other = Document::new(ENTITY);
    let by_hand = edit(&mut other, 2, |edit| edit.assign(Path::ROOT, &Value::Null, &everything()));
    assert_ne!(by_hand, from_left, "the control: what a device writes is its own");
}

#[test]
fn a_long_text_that_was_brought_is_edited_on_like_any_other() {
    let (mut document, mut reader) = (Document::new(ENTITY), Document::new(ENTITY));
    let long = "some lines\n".repeat(300);
    let mut changes = Vec::new();
    for part in 0..3 {
        let splice = |edit: &mut Edit<'_>| edit.splice_long_text("long", part * long.len(), 0, &long);
        changes.extend(document.edit_derived(&Limits::DEFAULT, splice).unwrap().changes);
    }
    changes.extend(edit(&mut document, 1, |edit| edit.splice_long_text("long", long.len() + 5, 1, "!")));
    assert!(deliver(&mut reader, &changes).iter().all(|verdict| *verdict == Verdict::Applied));
    let whole = format!("{long}some !ines\n{}{long}", &long[11..]);
    let read = |document: &Document| document.read_at("long").unwrap();
    assert_eq!(document.text_length("long").unwrap(), 3 * long.len());
    assert_eq!(read(&document), Some(Value::LongText(whole)));
    assert_eq!(read(&reader), read(&document));
}

#[test]
fn what_is_brought_in_many_changes_and_containers_is_one_history_too() {
    let bring_all = |document: &mut Document| {
        let mut changes = Vec::new();
        for part in 0..3 {
            let edited = document.edit_derived(&Limits::DEFAULT, |edit| {
                (0..300).try_for_each(|number| edit.splice_text(format!("text {number}"), part, 0, "x"))
            });
            changes.extend(edited.unwrap().changes);
        }
        changes
    };
    let (mut left, mut right, mut reader) = (Document::new(ENTITY), Document::new(ENTITY), Document::new(ENTITY));
    let changes = bring_all(&mut left);
    assert_eq!(changes, bring_all(&mut right));
    assert!(deliver(&mut reader, &changes).iter().all(|verdict| *verdict == Verdict::Applied));
    assert_eq!(reader.read().entry("text 299"), Some(&text("xxx")));
    assert_eq!(left.change_count(), changes.len() as u64);
}

#[test]
fn a_derived_edit_that_fails_leaves_the_document_as_it_was() {
    let mut document = Document::new(ENTITY);
    bring(&mut document, &everything());
    let (heads, read) = (document.heads(), document.read());
    let refused: Result<Edited<()>, _> = document.edit_derived(&Limits::DEFAULT, |edit| {
        edit.splice_text("body", 0, 0, "y")?;
        edit.splice_text("fresh", 0, 0, "y")?;
        edit.splice_text("body", 1_000, 0, "z")
    });
    assert!(refused.is_err());
    assert_eq!((document.heads(), document.read()), (heads, read));
    let limits = Limits { change_bytes_max: 300, ..Limits::DEFAULT };
    let random = |n: usize| (0..n).map(|at| char::from(b'a' + (at * at % 26) as u8)).collect::<String>();
    let refused = document.edit_derived(&limits, |edit| edit.splice_text("body", 0, 0, &random(290)));
    assert!(
        matches!(
            refused,
            Err(EditError::Closure(OperationError::TooLarge { .. })
                | EditError::Refused(OperationError::TooLarge { .. }))
        ),
        "{refused:?}"
    );
    assert_eq!(document.edit_derived(&Limits::DEFAULT, |_| Ok::<_, OperationError>(())).unwrap().changes, []);
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::Int),
        "[ab]{0,3}".prop_map(Value::Str),
        "[ab🦀]{0,5}".prop_map(Value::Text),
        "[ab\n]{0,5}".prop_map(Value::LongText),
        (-5i64..5).prop_map(Value::Counter),
        any::<i64>().prop_map(Value::Timestamp),
        any::<Vec<u8>>().prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::btree_map("[a-d]", inner, 0..4).prop_map(Value::Map),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_content_that_two_devices_bring_is_there_once(entries in prop::collection::btree_map("[a-d]", value(), 1..4)) {
        let after = Value::Map(entries);
        let (mut left, mut right) = (Document::new(ENTITY), Document::new(ENTITY));
        let changes = bring(&mut left, &after);
        prop_assert_eq!(&changes, &bring(&mut right, &after));
        let mut reader = Document::new(ENTITY);
        prop_assert!(deliver(&mut reader, &changes).iter().all(|verdict| *verdict == Verdict::Applied));
        prop_assert_eq!(reader.read(), left.read());
    }
}

fn field() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        "[a-cé🙂]{0,6}".prop_map(|words| text(&words)),
        "[a-cé]{0,6}".prop_map(Value::Str),
        (-5_i64..5).prop_map(Value::Int),
        any::<u64>().prop_map(Value::Uint),
        any::<bool>().prop_map(Value::Bool),
        prop_oneof![Just(0.5), Just(f64::INFINITY), Just(-0.0)].prop_map(Value::F64),
        prop_oneof![-9_i64..9, Just(1 << 30), Just(i64::MAX / 4)].prop_map(Value::Counter),
        (-5_i64..5_000_000_000).prop_map(Value::Timestamp),
        prop::collection::vec(any::<u8>(), 0..5).prop_map(Value::Bytes),
        Just(Value::Null),
        Just(Value::LongText("a long one".into())),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::List),
            prop::collection::btree_map("[a-d]{1,2}", inner, 0..5).prop_map(Value::Map),
        ]
    })
}

fn holds(value: &Value, is_it: &impl Fn(&Value) -> bool) -> bool {
    is_it(value)
        || match value {
            Value::List(elements) => elements.iter().any(|element| holds(element, is_it)),
            Value::Map(entries) => entries.values().any(|entry| holds(entry, is_it)),
            _ => false,
        }
}

proptest! {
    #[test]
    fn what_is_made_without_a_document_is_what_a_document_makes(
        fields in prop::collection::btree_map("[a-d]{1,2}", field(), 1..6),
    ) {
        let fields = Value::Map(fields);
        let mut document = Document::new(ENTITY);
        let by_document = bring(&mut document, &fields);
        match brought(ENTITY, &fields, &Limits::DEFAULT) {
            Some(made) => {
                prop_assert_eq!(&made, &by_document);
                let mut reader = Document::new(ENTITY);
                let verdicts = deliver(&mut reader, &made);
                prop_assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Applied));
                prop_assert_eq!(reader.read(), fields);
            }
            None => {
                let is_special = |value: &Value| match value {
                    Value::Null | Value::LongText(_) => true,
                    Value::Counter(number) => *number > 1 << 30,
                    _ => false,
                };
                prop_assert!(holds(&fields, &is_special), "plain fields need no document: {:?}", fields);
            }
        }
    }
}

#[test]
fn what_has_no_room_in_one_change_or_is_too_deep_is_left_to_a_document() {
    let left = |fields: Value| assert_eq!(brought(ENTITY, &fields, &Limits::DEFAULT), None);
    let mut deep = text("x");
    for _ in 0..crate::document::DEPTH_MAX {
        deep = vec![deep].into();
    }
    left(map([("deep", deep)]));
    left(map([("large", Value::Str("x".repeat(Limits::DEFAULT.change_bytes_max)))]));
    left(map([("many", text(&"é".repeat(Limits::DEFAULT.change_operations_max as usize + 1)))]));
    left(map([(DELETED_KEY, Value::Timestamp(1))]));
    left(Value::Map(BTreeMap::new()));
    let keys = (0..Limits::DEFAULT.change_dependencies_max).map(|number| (format!("text {number}"), text("")));
    left(Value::Map(keys.collect()));
}
