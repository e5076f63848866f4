//! What is listed, what is not, and what ends it.

mod law;

use super::*;
use crate::document::test_kit::{ENTITY, by, deliver, edit};
use crate::document::{Choice, Edit, LocalChange, OperationError};
use crate::limits::Limits;
use std::collections::BTreeSet;

/// Two devices that hold the same, and what each does without knowing of the other.
fn beside(
    common: impl FnOnce(&mut Edit<'_>) -> Result<(), OperationError>,
    left: impl FnOnce(&mut Edit<'_>) -> Result<(), OperationError>,
    right: impl FnOnce(&mut Edit<'_>) -> Result<(), OperationError>,
) -> (Document, Document) {
    let (mut one, mut other) = (Document::new(ENTITY), Document::new(ENTITY));
    let made = edit(&mut one, 1, common);
    deliver(&mut other, &made);
    edit(&mut one, 1, left);
    edit(&mut other, 2, right);
    exchange(&mut one, &mut other);
    assert_eq!(one.conflicts(), other.conflicts());
    (one, other)
}

fn exchange(one: &mut Document, other: &mut Document) {
    let (from_one, from_other) = (one.changes_since(&[]), other.changes_since(&[]));
    receive(one, &from_other);
    receive(other, &from_one);
    assert_eq!(one.heads(), other.heads());
}

fn receive(to: &mut Document, changes: &[(ChangeHash, Vec<u8>)]) {
    let incoming: Vec<_> =
        changes.iter().map(|(hash, bytes)| crate::document::Incoming { hash: *hash, bytes }).collect();
    let applied = to.apply_guarded(&incoming, &Limits::DEFAULT).unwrap();
    let fine = |verdict: &crate::document::Verdict| {
        matches!(verdict, crate::document::Verdict::Applied | crate::document::Verdict::Held)
    };
    assert!(applied.verdicts.iter().all(fine), "{:?}", applied.verdicts);
}

fn only(document: &Document) -> Conflict {
    let conflicts = document.conflicts();
    assert_eq!(conflicts.len(), 1, "{conflicts:?}");
    conflicts.into_iter().next().unwrap()
}

fn sides(conflict: &Conflict) -> Vec<Option<Value>> {
    assert!(conflict.values.iter().enumerate().all(|(number, side)| side.wins == (number == 0)));
    conflict.values.iter().map(|side| side.value.clone()).collect()
}

/// Decides a conflict in all possible ways, each time from the same state; gives what the documents read as afterwards.
fn decided(one: &Document, other: &Document, conflict: &Conflict, choice: &Choice) -> Value {
    let (mut one, mut other) = (copy(one), copy(other));
    let made = edit(&mut one, 1, |edit| edit.resolve(conflict, choice));
    assert!(!made.is_empty());
    assert_eq!(one.conflicts(), [], "{choice:?}");
    deliver(&mut other, &made);
    assert_eq!(other.conflicts(), [], "{choice:?}");
    assert_eq!(one.read(), other.read());
    let loaded = Document::load(ENTITY, Some(&one.save()), []).unwrap();
    assert_eq!(loaded.read(), one.read());
    assert_eq!(loaded.conflicts(), []);
    one.read()
}

fn copy(document: &Document) -> Document {
    Document::load(ENTITY, Some(&document.save()), []).unwrap()
}

fn fields<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::from(entries)
}

#[test]
fn two_values_are_listed_with_the_one_that_is_shown_first_and_any_of_them_can_be_kept() {
    let (one, other) = beside(|edit| edit.put("a", 0), |edit| edit.put("a", 1), |edit| edit.put("a", 2));
    let conflict = only(&one);
    assert_eq!((conflict.kind, conflict.path.to_string().as_str()), (ConflictKind::Values, "a"));
    let shown = one.read_at("a").unwrap();
    assert_eq!(sides(&conflict)[0], shown);
    for (number, side) in sides(&conflict).into_iter().enumerate() {
        let kept = decided(&one, &other, &conflict, &Choice::Keep(number));
        assert_eq!(kept, fields([("a", side.unwrap())]));
    }
    let written = decided(&one, &other, &conflict, &Choice::Value("third".into()));
    assert_eq!(written, fields([("a", "third".into())]));
}

#[test]
fn what_merges_is_no_conflict() {
    let common = |edit: &mut Edit<'_>| {
        edit.put("count", Value::Counter(1))?;
        edit.put("text", Value::Text("ab".into()))?;
        edit.put("list", Value::from(vec![Value::Int(1), Value::Int(2)]))
    };
    let (one, _) = beside(
        common,
        |edit| {
            edit.increment("count", 1)?;
            edit.splice_text("text", 0, 1, "x")?;
            edit.delete(Path::from("list").index(0))?;
            edit.put("same", "word")?;
            edit.splice_text("first", 0, 0, "words")
        },
        |edit| {
            edit.increment("count", 5)?;
            edit.splice_text("text", 0, 1, "yy")?;
            edit.delete(Path::from("list").index(0))?;
            edit.insert("list", 0, 9)?;
            edit.put("same", "word")?;
            edit.splice_text("first", 0, 0, "typed")
        },
    );
    assert_eq!(one.conflicts(), []);
}

#[test]
fn a_value_beside_a_deletion_is_listed_and_either_can_be_kept() {
    let (one, other) = beside(|edit| edit.put("a", 0), |edit| edit.delete("a"), |edit| edit.put("a", 2));
    let conflict = only(&one);
    assert_eq!((conflict.kind, sides(&conflict)), (ConflictKind::Deleted, vec![Some(Value::Int(2)), None]));
    assert_eq!(decided(&one, &other, &conflict, &Choice::Keep(0)), fields([("a", Value::Int(2))]));
    assert_eq!(decided(&one, &other, &conflict, &Choice::Keep(1)), fields([]));
    assert_eq!(decided(&one, &other, &conflict, &Choice::Value(Value::Int(2))), fields([("a", Value::Int(2))]));
    let null = decided(&one, &other, &conflict, &Choice::Value(Value::Null));
    assert_eq!(null, fields([("a", Value::Null)]));
}

#[test]
fn an_edit_in_a_deleted_field_is_listed_with_what_was_lost_and_can_be_brought_back() {
    let nested = || Value::from([("inner", Value::from([("text", Value::Text("ab".into()))]))]);
    let common = |edit: &mut Edit<'_>| edit.put("map", nested());
    let (one, other) = beside(
        common,
        |edit| edit.delete("map"),
        |edit| edit.splice_text(Path::from("map").key("inner").key("text"), 1, 0, "+"),
    );
    let conflict = only(&one);
    let lost = Value::from([("inner", Value::from([("text", Value::Text("a+b".into()))]))]);
    assert_eq!((conflict.kind, sides(&conflict)), (ConflictKind::Lost, vec![None, Some(lost.clone())]));
    assert_eq!(decided(&one, &other, &conflict, &Choice::Keep(0)), fields([]));
    assert_eq!(decided(&one, &other, &conflict, &Choice::Keep(1)), fields([("map", lost)]));
    assert_eq!(decided(&one, &other, &conflict, &Choice::Value(Value::Int(1))), fields([("map", Value::Int(1))]));
}

#[test]
fn an_edit_in_a_deleted_element_is_listed_and_put_back_where_it_was() {
    let element = |name: &str| Value::from([("name", Value::from(name))]);
    let common =
        move |edit: &mut Edit<'_>| edit.put("list", Value::from(vec![element("a"), element("b"), element("c")]));
    let (one, other) = beside(
        common,
        |edit| edit.delete(Path::from("list").index(1)),
        |edit| edit.put(Path::from("list").index(1).key("name"), "edited"),
    );
    let conflict = only(&one);
    assert_eq!((conflict.kind, conflict.path.to_string().as_str()), (ConflictKind::Lost, "list[1]"));
    let without = fields([("list", vec![element("a"), element("c")].into())]);
    assert_eq!(decided(&one, &other, &conflict, &Choice::Keep(0)), without);
    let with = fields([("list", vec![element("a"), element("edited"), element("c")].into())]);
    assert_eq!(decided(&one, &other, &conflict, &Choice::Keep(1)), with);
}

#[test]
fn two_values_of_an_element_and_an_element_beside_its_deletion_are_listed() {
    let common = |edit: &mut Edit<'_>| edit.put("list", Value::from(vec![Value::Int(1), Value::Int(2)]));
    let at = |index| Path::from("list").index(index);
    let (one, other) = beside(
        common,
        |edit| {
            edit.put(at(1), 20)?;
            edit.delete(at(0))
        },
        |edit| {
            edit.put(at(1), 30)?;
            edit.put(at(0), 10)
        },
    );
    let conflicts = one.conflicts();
    let kinds: Vec<_> = conflicts.iter().map(|conflict| (conflict.path.to_string(), conflict.kind)).collect();
    assert_eq!(kinds, [("list[0]".to_owned(), ConflictKind::Deleted), ("list[1]".to_owned(), ConflictKind::Values)]);
    let (mut one, mut other) = (copy(&one), copy(&other));
    let made = edit(&mut one, 1, |edit| {
        edit.resolve(&conflicts[1], &Choice::Value(Value::Int(7)))?;
        edit.resolve(&conflicts[0], &Choice::Keep(1))
    });
    deliver(&mut other, &made);
    assert_eq!((one.conflicts(), other.conflicts()), (Vec::new(), Vec::new()));
    assert_eq!(one.read(), fields([("list", vec![Value::Int(7)].into())]));
}

#[test]
fn a_counter_that_was_replaced_beside_an_increment_is_listed_with_its_count() {
    let common = |edit: &mut Edit<'_>| edit.put("n", Value::Counter(1));
    let (one, _) = beside(common, |edit| edit.put("n", "none"), |edit| edit.increment("n", 4));
    let conflict = only(&one);
    let expected = vec![Some("none".into()), Some(Value::Counter(5))];
    assert_eq!((conflict.kind, sides(&conflict)), (ConflictKind::Lost, expected));
}

#[test]
fn an_entity_edited_beside_its_deletion_is_listed_and_settled_either_way() {
    let (one, other) =
        beside(|edit| edit.put("a", 0), |edit| edit.put(DELETED_KEY, Value::Timestamp(5)), |edit| edit.put("a", 2));
    let conflict = only(&one);
    assert!(conflict.path.is_root());
    let edited = fields([("a", Value::Int(2))]);
    assert_eq!((conflict.kind, sides(&conflict)), (ConflictKind::Entity, vec![None, Some(edited)]));
    let deleted = decided(&one, &other, &conflict, &Choice::Keep(0));
    assert_eq!(deleted.entry(DELETED_KEY), Some(&Value::Timestamp(5)));
    let kept = decided(&one, &other, &conflict, &Choice::Keep(1));
    assert_eq!(kept.entry(DELETED_KEY), Some(&Value::Null));
    let mut again = copy(&one);
    let refused = again.edit(&by(1), &Limits::DEFAULT, |edit| edit.resolve(&conflict, &Choice::Value(Value::Null)));
    assert!(matches!(refused, Err(crate::document::EditError::Closure(OperationError::NoSuchSide))));
}

#[test]
fn a_deletion_taken_back_by_undo_beside_another_deletion_is_listed() {
    let (mut one, mut other) = (Document::new(ENTITY), Document::new(ENTITY));
    deliver(&mut other, &edit(&mut one, 1, |edit| edit.put("a", 0)));
    // What was made within one millisecond is one step, so this is later.
    let later =
        crate::document::EditContext { now: crate::time::Now { wall_ms: i64::MAX / 2, monotonic_ms: 0 }, ..by(1) };
    let delete = |edit: &mut Edit<'_>| edit.put(DELETED_KEY, Value::Timestamp(5));
    let deleted = one.edit(&later, &Limits::DEFAULT, delete).unwrap().changes.remove(0).hash;
    edit(&mut other, 2, |edit| edit.put(DELETED_KEY, Value::Timestamp(6)));
    let own = |actor: &automerge::ActorId| *actor == by(1).actor;
    let plan = one.undo_plan_of(crate::document::Direction::Undo, &deleted, own).unwrap();
    edit(&mut one, 1, |edit| edit.revert(&plan));
    assert_eq!(one.read_at(DELETED_KEY).unwrap(), Some(Value::Null));
    exchange(&mut one, &mut other);
    let conflict = only(&one);
    assert_eq!((conflict.kind, only(&other)), (ConflictKind::Entity, conflict.clone()));
    let kept = conflict.values.iter().position(|side| side.value.is_some()).unwrap();
    let kept = decided(&one, &other, &conflict, &Choice::Keep(kept));
    assert_eq!(kept.entry(DELETED_KEY), Some(&Value::Null));
}

#[test]
fn what_was_kept_of_two_objects_goes_on_merging_with_what_others_write_into_it() {
    let object = |name: &str| Value::from([("name", Value::from(name))]);
    let (mut one, mut other) =
        beside(|edit| edit.put("x", 0), |edit| edit.put("o", object("l")), |edit| edit.put("o", object("r")));
    // Containers of one key are one container, so the two differ in what stands in them.
    assert_eq!(only(&one).path.to_string(), "o.name");
    edit(&mut one, 1, |edit| edit.put("o", object("left")));
    edit(&mut other, 2, |edit| edit.put("o", object("right")));
    exchange(&mut one, &mut other);
    let conflict = only(&one);
    assert_eq!((conflict.kind, conflict.values.len()), (ConflictKind::Values, 2));
    edit(&mut other, 2, |edit| edit.put(Path::from("o").key("more"), 1));
    edit(&mut one, 1, |edit| edit.resolve(&conflict, &Choice::Keep(0)));
    exchange(&mut one, &mut other);
    assert_eq!(one.conflicts(), []);
    assert_eq!(one.read_at(Path::from("o").key("more")).unwrap(), Some(Value::Int(1)));
}

#[test]
fn a_choice_is_refused_once_the_place_holds_something_else() {
    let (mut one, _) = beside(|edit| edit.put("a", 0), |edit| edit.put("a", 1), |edit| edit.put("a", 2));
    let conflict = only(&one);
    edit(&mut one, 1, |edit| edit.put("a", 3));
    assert_eq!(one.conflicts(), []);
    let refused = one.edit(&by(1), &Limits::DEFAULT, |edit| edit.resolve(&conflict, &Choice::Keep(0)));
    assert!(matches!(refused, Err(crate::document::EditError::Closure(OperationError::Decided))));
}

#[test]
fn two_people_who_choose_opposite_values_at_the_same_time_leave_both_to_be_decided_and_one_shown() {
    type Chooses = fn(&mut Edit<'_>, &Conflict, usize) -> Result<(), OperationError>;
    let keeps: Chooses = |edit, conflict, side| edit.resolve(conflict, &Choice::Keep(side));
    let puts: Chooses = |edit, conflict, side| edit.put("a", conflict.values[side].value.clone().unwrap());
    for chooses in [keeps, puts] {
        let (mut one, mut other) = beside(|edit| edit.put("a", 0), |edit| edit.put("a", 1), |edit| edit.put("a", 2));
        let conflict = only(&one);
        edit(&mut one, 1, |edit| chooses(edit, &conflict, 0));
        edit(&mut other, 2, |edit| chooses(edit, &conflict, 1));
        assert_eq!((one.conflicts(), other.conflicts()), (Vec::new(), Vec::new()), "each has decided");
        assert_ne!(one.read(), other.read(), "the control: each has its own");
        exchange(&mut one, &mut other);
        let again = only(&one);
        assert_eq!((again.kind, again.id, only(&other)), (ConflictKind::Values, conflict.id, again.clone()));
        let both: BTreeSet<String> = sides(&again).iter().map(|side| format!("{side:?}")).collect();
        assert_eq!(both, sides(&conflict).iter().map(|side| format!("{side:?}")).collect());
        let kept = decided(&one, &other, &again, &Choice::Keep(1));
        assert_eq!(kept.entry("a"), again.values[1].value.as_ref());
    }
}

#[test]
fn two_people_who_choose_the_same_value_at_the_same_time_have_decided() {
    let (mut one, mut other) = beside(|edit| edit.put("a", 0), |edit| edit.put("a", 1), |edit| edit.put("a", 2));
    let conflict = only(&one);
    for (document, who) in [(&mut one, 1), (&mut other, 2)] {
        edit(document, who, |edit| edit.resolve(&conflict, &Choice::Keep(1)));
    }
    exchange(&mut one, &mut other);
    assert_eq!((one.conflicts(), other.conflicts()), (Vec::new(), Vec::new()));
    assert_eq!(one.read().entry("a"), conflict.values[1].value.as_ref());
}

#[test]
fn two_people_who_keep_opposite_objects_at_the_same_time_find_both_listed_beside_the_empty_place() {
    let object = |name: &str| Value::from([("name", Value::from(name))]);
    // Written over something else, so that each makes its own.
    let (mut one, mut other) =
        beside(|edit| edit.put("o", 0), |edit| edit.put("o", object("l")), |edit| edit.put("o", object("r")));
    let conflict = only(&one);
    assert_eq!((conflict.kind, conflict.values.len()), (ConflictKind::Values, 2));
    edit(&mut one, 1, |edit| edit.resolve(&conflict, &Choice::Keep(0)));
    edit(&mut other, 2, |edit| edit.resolve(&conflict, &Choice::Keep(1)));
    exchange(&mut one, &mut other);
    let again = only(&one);
    assert_eq!((again.kind, only(&other)), (ConflictKind::Deleted, again.clone()));
    let mut listed = sides(&again);
    assert_eq!((listed.remove(0), again.values[0].wins), (None, true), "what is shown comes first");
    assert_eq!(listed.len(), 2);
    for side in sides(&conflict) {
        assert!(listed.contains(&side), "{side:?}");
    }
    assert_eq!(decided(&one, &other, &again, &Choice::Keep(0)), fields([]));
    for number in 1..3 {
        let kept = decided(&one, &other, &again, &Choice::Keep(number));
        assert_eq!(kept.entry("o"), again.values[number].value.as_ref());
    }
}

#[test]
fn an_object_that_one_kept_while_another_deleted_all_of_them_is_listed() {
    let object = |name: &str| Value::from([("name", Value::from(name))]);
    let (mut one, mut other) =
        beside(|edit| edit.put("o", 0), |edit| edit.put("o", object("l")), |edit| edit.put("o", object("r")));
    let conflict = only(&one);
    edit(&mut one, 1, |edit| edit.resolve(&conflict, &Choice::Keep(1)));
    let deletion = edit(&mut other, 2, |edit| edit.delete("o"));
    exchange(&mut one, &mut other);
    let again = only(&one);
    assert_eq!((again.kind, sides(&again)), (ConflictKind::Deleted, vec![None, sides(&conflict)[1].clone()]));
    assert_eq!(again.values[0].change, deletion[0].hash, "whoever deleted it says so");
}

#[test]
fn a_derived_container_is_no_answer_to_an_earlier_deletion() {
    let (mut one, mut other) = (Document::new(ENTITY), Document::new(ENTITY));
    let made: Vec<LocalChange> = [
        edit(&mut one, 1, |edit| edit.put("a", 1)),
        edit(&mut one, 1, |edit| edit.delete("a")),
        edit(&mut one, 1, |edit| edit.splice_text("a", 0, 0, "text")),
    ]
    .concat();
    deliver(&mut other, &made);
    assert_eq!((one.conflicts(), other.conflicts()), (Vec::new(), Vec::new()));
}

#[test]
fn a_name_is_read_back_from_its_text() {
    let id = ConflictId::from_bytes([0xa7; 16]);
    assert_eq!(id.to_string().parse(), Ok(id));
    for bad in ["", "a7", "+7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7", "a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7aé"] {
        assert_eq!(bad.parse::<ConflictId>(), Err(ParseConflictIdError), "{bad}");
    }
}
