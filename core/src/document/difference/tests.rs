use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn applied_to_list(old: &[Value], new: &[Value], steps: &[ListStep]) -> (Vec<Value>, Vec<Value>) {
    let (mut consumed, mut made) = (Vec::new(), Vec::new());
    for step in steps {
        match step {
            ListStep::Keep => {
                consumed.push(old[consumed.len()].clone());
                made.push(old[consumed.len() - 1].clone());
            }
            ListStep::Edit { old: index, new: other } => {
                assert_eq!(*index, consumed.len());
                consumed.push(old[*index].clone());
                made.push(new[*other].clone());
            }
            ListStep::Delete { old: index } => {
                assert_eq!(*index, consumed.len());
                consumed.push(old[*index].clone());
            }
            ListStep::Insert { new: index } => made.push(new[*index].clone()),
        }
    }
    (consumed, made)
}

fn todo(title: &str, done: bool) -> Value {
    Value::from([("title", title.into()), ("done", done.into())])
}

#[test]
fn an_element_that_changed_is_edited_in_place() {
    let old = [todo("milk", false), todo("bread", false), todo("eggs", false)];
    let new = [todo("milk", false), todo("bread", true), todo("eggs", false)];
    assert_eq!(list_steps(&old, &new), [ListStep::Keep, ListStep::Edit { old: 1, new: 1 }, ListStep::Keep]);
    let new = [todo("rye bread", false), todo("eggs", false)];
    let steps = list_steps(&old, &new);
    assert_eq!(steps, [ListStep::Delete { old: 0 }, ListStep::Edit { old: 1, new: 0 }, ListStep::Keep]);
}

#[test]
fn identity_decides_before_likeness() {
    let item = |id: i64, title: &str| Value::from([("id", Value::Int(id)), ("title", title.into())]);
    let old = [item(1, "same title"), item(2, "other")];
    let new = [item(3, "same title"), item(2, "wholly new")];
    let expected = [ListStep::Delete { old: 0 }, ListStep::Insert { new: 0 }, ListStep::Edit { old: 1, new: 1 }];
    assert_eq!(list_steps(&old, &new), expected);
}

#[test]
fn scalars_are_replaced_in_place_and_kinds_that_json_cannot_name_are_kept() {
    let numbers = |numbers: &[i64]| numbers.iter().map(|number| Value::Int(*number)).collect::<Vec<_>>();
    let steps = list_steps(&numbers(&[1, 2, 3]), &numbers(&[1, 5, 3]));
    assert_eq!(steps, [ListStep::Keep, ListStep::Edit { old: 1, new: 1 }, ListStep::Keep]);
    assert!(is_same(Some(&Value::Text("a".into())), Some(&"a".into())));
    assert!(!is_same(Some(&"a".into()), Some(&Value::Text("a".into()))));
    assert!(is_same(Some(&Value::Counter(3)), Some(&Value::Uint(3))));
    assert!(is_same(None, Some(&Value::Null)));
    assert!(is_same(Some(&Value::from([("a", Value::Null)])), Some(&Value::Map(BTreeMap::new()))));
}

fn element() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        (0i64..3).prop_map(Value::Counter),
        (0i64..3).prop_map(Value::Int),
        "[ab]{0,3}".prop_map(Value::Str),
        "[ab]{0,3}".prop_map(Value::Text),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::List),
            prop::collection::btree_map("[a-c]|id", inner, 0..3).prop_map(Value::Map),
        ]
    })
}

#[test]
fn a_string_that_becomes_a_text_is_not_kept() {
    let (string, text) = (Value::from("b"), Value::Text("b".into()));
    let edit = ListStep::Edit { old: 0, new: 0 };
    assert_eq!(list_steps(std::slice::from_ref(&string), std::slice::from_ref(&text)), [edit]);
    assert_eq!(list_steps(&[text], std::slice::from_ref(&string)), [ListStep::Keep]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn steps_turn_any_list_into_any_other(
        old in prop::collection::vec(element(), 0..8),
        new in prop::collection::vec(element(), 0..8),
    ) {
        let steps = list_steps(&old, &new);
        let (consumed, made) = applied_to_list(&old, &new, &steps);
        let pairs = paired_elements(&old, &new);
        prop_assert!(pairs.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1));
        let edits: Vec<_> = steps.iter().filter_map(|step| match step {
            ListStep::Edit { old, new } => Some((*old, *new)),
            _ => None,
        }).collect();
        prop_assert!(edits.iter().all(|edit| pairs.contains(edit)));
        prop_assert_eq!(pairs.len(), steps.iter().filter(|step| step.deleted().is_none() && step.inserted().is_none()).count());
        prop_assert_eq!(consumed, old);
        prop_assert!(is_same(Some(&Value::List(made)), Some(&Value::List(new))));
    }

    #[test]
    fn what_is_the_same_is_in_one_bucket(old in element(), new in element()) {
        if is_same(Some(&old), Some(&new)) {
            prop_assert_eq!(bucket(&old), bucket(&new));
        }
    }
}
