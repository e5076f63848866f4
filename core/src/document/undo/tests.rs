//! Undo and redo as laws.

use super::*;
use crate::document::test_kit::{ENTITY, deliver};
use crate::document::{Block, Edit, EditContext, Expand, LocalChange, Path, Value};
use crate::limits::Limits;
use crate::time::Now;
use proptest::prelude::*;

const OWN: u8 = 1;
const OTHER: u8 = 2;

/// One device of a test: its document, and a clock that goes on by more than a typing pause with each edit.
struct Device {
    document: Document,
    actor: u8,
    wall_ms: i64,
}

impl Device {
    fn new(actor: u8) -> Self {
        Self { document: Document::new(ENTITY), actor, wall_ms: 1_700_000_000_000 }
    }

    fn edit_after(&mut self, pause_ms: i64, edit: impl FnOnce(&mut Edit<'_>)) -> Vec<LocalChange> {
        self.wall_ms += pause_ms;
        let now = Now { wall_ms: self.wall_ms, monotonic_ms: 0 };
        let context = EditContext { now, ..crate::document::test_kit::by(self.actor) };
        let edited = self.document.edit(&context, &Limits::DEFAULT, |open| {
            edit(open);
            Ok::<_, OperationError>(())
        });
        edited.unwrap().changes
    }

    fn edit(&mut self, edit: impl FnOnce(&mut Edit<'_>)) -> Vec<LocalChange> {
        self.edit_after(TYPING_PAUSE_MAX_MS + 1, edit)
    }

    fn plan(&self, direction: Direction) -> Option<UndoPlan> {
        let own = ActorId::from([self.actor; 16]);
        self.document.undo_plan(direction, 0, |actor| *actor == own)
    }

    fn go(&mut self, direction: Direction) -> Vec<LocalChange> {
        let plan = self.plan(direction).expect("there is a step");
        self.edit(|edit| edit.revert(&plan).unwrap())
    }

    fn undo(&mut self) -> Vec<LocalChange> {
        self.go(Direction::Undo)
    }

    fn redo(&mut self) -> Vec<LocalChange> {
        self.go(Direction::Redo)
    }

    fn read(&self) -> Value {
        self.document.read()
    }

    fn at(&self, path: &str) -> Option<Value> {
        self.document.read_at(path.parse::<Path>().unwrap()).unwrap()
    }

    fn text(&self, path: &str) -> String {
        self.at(path).unwrap().as_str().unwrap().to_owned()
    }

    /// The same, from what was stored.
    fn reopen(&mut self) {
        self.document = Document::load(ENTITY, Some(&self.document.save()), []).unwrap();
    }
}

/// Two devices that hold the same entity, with something of every kind in it.
fn pair() -> (Device, Device) {
    let (mut own, mut other) = (Device::new(OWN), Device::new(OTHER));
    let changes = own.edit(|edit| {
        edit.put("title", "Trip").unwrap();
        edit.put("body", Value::Text("by train".into())).unwrap();
        edit.put("long", Value::LongText("once".into())).unwrap();
        edit.put("count", Value::Counter(5)).unwrap();
        edit.put("list", Value::List(vec!["a".into(), "b".into()])).unwrap();
        let task = |title: &str| Value::from([("title", Value::from(title)), ("note", Value::Text("-".into()))]);
        edit.put("tasks", Value::List(vec![task("pack"), task("go")])).unwrap();
        edit.put("meta", Value::from([("colour", Value::from("red"))])).unwrap();
    });
    deliver(&mut other.document, &changes);
    other.wall_ms = own.wall_ms;
    (own, other)
}

#[test]
fn steps_that_are_looked_for_once_are_those_that_each_look_finds() {
    let mut device = Device::new(OWN);
    for number in 0..4 {
        device.edit(|edit| edit.put("number", Value::Int(number)).unwrap());
    }
    device.undo();
    let own = |actor: &ActorId| *actor == ActorId::from([OWN; 16]);
    let steps = device.document.undo_steps(own);
    for (direction, count) in [(Direction::Undo, 3), (Direction::Redo, 1)] {
        let all: Vec<_> = (0..5).map_while(|skipped| steps.plan(&device.document, direction, skipped)).collect();
        assert_eq!(all.len(), count);
        for (skipped, plan) in all.iter().enumerate() {
            let alone = device.document.undo_plan(direction, skipped, own).unwrap();
            assert_eq!((plan.changes(), plan.undoes()), (alone.changes(), alone.undoes()));
        }
    }
}

#[test]
fn an_undo_puts_back_what_an_edit_replaced_and_a_redo_takes_that_back() {
    let (mut own, _) = pair();
    let start = own.read();
    own.edit(|edit| edit.put("title", "Journey").unwrap());
    let end = own.read();
    own.undo();
    assert_eq!(own.read(), start);
    own.redo();
    assert_eq!(own.read(), end);
    assert!(own.plan(Direction::Redo).is_none());
}

#[test]
fn a_new_edit_leaves_nothing_to_redo() {
    let (mut own, _) = pair();
    own.edit(|edit| edit.put("title", "Journey").unwrap());
    own.undo();
    assert!(own.plan(Direction::Redo).is_some());
    own.edit(|edit| edit.put("meta", Value::Null).unwrap());
    assert!(own.plan(Direction::Redo).is_none());
}

#[test]
fn what_others_wrote_is_no_step_to_undo_and_survives() {
    let (mut own, mut other) = pair();
    own.edit(|edit| edit.splice_text("body", 3, 0, "night ").unwrap());
    let theirs = other.edit(|edit| {
        edit.splice_text("body", 8, 0, ", not by car").unwrap();
        edit.put("title", "Journey").unwrap();
        edit.increment("count", 2).unwrap();
    });
    deliver(&mut own.document, &theirs);
    assert_eq!(own.text("body"), "by night train, not by car");
    own.undo();
    assert_eq!(own.text("body"), "by train, not by car");
    assert_eq!(own.text("title"), "Journey");
    assert_eq!(own.at("count"), Some(Value::Counter(7)));
    own.redo();
    assert_eq!(own.text("body"), "by night train, not by car");
}

#[test]
fn characters_that_were_deleted_come_back_between_their_neighbours() {
    let (mut own, mut other) = pair();
    own.edit(|edit| edit.splice_text("body", 3, 5, "").unwrap());
    let theirs = other.edit(|edit| edit.splice_text("body", 0, 0, "Let us go ").unwrap());
    deliver(&mut own.document, &theirs);
    own.undo();
    assert_eq!(own.text("body"), "Let us go by train");
}

#[test]
fn a_field_that_others_have_written_since_is_left_alone() {
    let (mut own, mut other) = pair();
    let mine = own.edit(|edit| {
        edit.put("title", "Journey").unwrap();
        edit.put(Path::from("meta").key("colour"), "blue").unwrap();
    });
    deliver(&mut other.document, &mine);
    let theirs = other.edit(|edit| edit.put("title", "Voyage").unwrap());
    deliver(&mut own.document, &theirs);
    own.undo();
    assert_eq!(own.text("title"), "Voyage");
    assert_eq!(own.text("meta.colour"), "red");
}

#[test]
fn what_another_wrote_to_a_field_at_the_same_time_is_shown_once_ones_own_is_undone() {
    let (mut own, mut other) = pair();
    own.edit(|edit| edit.put("title", "Mine").unwrap());
    let theirs = other.edit(|edit| edit.put("title", "Theirs").unwrap());
    deliver(&mut own.document, &theirs);
    own.undo();
    assert_eq!(own.text("title"), "Theirs");
}

#[test]
fn counters_are_undone_by_what_was_added() {
    let (mut own, mut other) = pair();
    own.edit(|edit| edit.increment("count", 10).unwrap());
    let theirs = other.edit(|edit| edit.increment("count", 100).unwrap());
    deliver(&mut own.document, &theirs);
    own.undo();
    assert_eq!(own.at("count"), Some(Value::Counter(105)));
    own.redo();
    assert_eq!(own.at("count"), Some(Value::Counter(115)));
}

#[test]
fn elements_come_and_go_with_what_is_in_them() {
    let (mut own, mut other) = pair();
    own.edit(|edit| edit.delete("tasks".parse::<Path>().unwrap().index(0)).unwrap());
    let theirs = other.edit(|edit| {
        edit.splice_text("tasks[0].note".parse::<Path>().unwrap(), 1, 0, " socks").unwrap();
        edit.insert("tasks", 2, Value::from([("title", Value::from("return"))])).unwrap();
    });
    deliver(&mut own.document, &theirs);
    own.undo();
    assert_eq!(own.text("tasks[0].title"), "pack");
    assert_eq!(own.text("tasks[0].note"), "- socks");
    assert_eq!(own.text("tasks[2].title"), "return");
    own.redo();
    assert_eq!(own.text("tasks[0].title"), "go");
}

#[test]
fn an_edit_within_what_was_deleted_and_brought_back_can_be_undone_too() {
    let (mut own, _) = pair();
    let start = own.read();
    own.edit(|edit| edit.put("tasks[1].title".parse::<Path>().unwrap(), "leave").unwrap());
    own.edit(|edit| edit.splice_text("tasks[1].note".parse::<Path>().unwrap(), 1, 0, " early").unwrap());
    let edited = own.read();
    own.edit(|edit| edit.delete("tasks[1]".parse::<Path>().unwrap()).unwrap());
    own.undo();
    assert_eq!(own.read(), edited);
    own.undo();
    own.reopen();
    own.undo();
    assert_eq!(own.read(), start);
    (0..2).for_each(|_| drop(own.redo()));
    assert_eq!(own.read(), edited);
}

#[test]
fn typing_without_a_pause_is_one_step() {
    let (mut own, _) = pair();
    for (place, character) in ["n", "i", "g", "h", "t", " "].into_iter().enumerate() {
        own.edit_after(200, |edit| edit.splice_text("body", 3 + place, 0, character).unwrap());
    }
    own.edit(|edit| edit.splice_text("body", 14, 0, "s").unwrap());
    own.undo();
    assert_eq!(own.text("body"), "by night train");
    own.undo();
    assert_eq!(own.text("body"), "by train");
    own.redo();
    assert_eq!(own.text("body"), "by night train");
}

#[test]
fn typing_beside_others_is_one_step_without_what_they_typed() {
    let (mut own, mut other) = pair();
    own.edit_after(200, |edit| edit.splice_text("body", 8, 0, "s").unwrap());
    let theirs = other.edit(|edit| edit.splice_text("body", 0, 2, "On").unwrap());
    deliver(&mut own.document, &theirs);
    own.edit_after(200, |edit| edit.splice_text("body", 9, 0, "!").unwrap());
    assert_eq!(own.text("body"), "On trains!");
    own.undo();
    assert_eq!(own.text("body"), "On train");
}

#[test]
fn long_texts_marks_and_blocks_are_undone() {
    let (mut own, mut other) = pair();
    let edits: [fn(&mut Edit<'_>); 5] = [
        |edit| edit.mark("body", 3..8, "bold", true, Expand::After).unwrap(),
        |edit| edit.split_block("body", 0, &Block::new("heading")).unwrap(),
        |edit| edit.update_block("body", 0, &Block::new("paragraph")).unwrap(),
        |edit| edit.splice_text("body", 2, 6, "").unwrap(),
        |edit| edit.splice_text("long", 4, 0, &" upon a time".repeat(200)).unwrap(),
    ];
    let mut states = vec![own.read()];
    for edit in edits {
        own.edit(edit);
        states.push(own.read());
    }
    let theirs = other.edit(|edit| edit.splice_text("long", 0, 0, "So: ").unwrap());
    for (step, state) in states.iter().enumerate().rev().skip(1) {
        own.undo();
        assert_eq!(own.read(), *state, "undone to {step}");
    }
    for (step, state) in states.iter().enumerate().skip(1) {
        own.redo();
        assert_eq!(own.read(), *state, "redone to {step}");
    }
    deliver(&mut own.document, &theirs);
    own.undo();
    assert_eq!(own.text("long"), "So: once");
}

#[test]
fn what_another_typed_in_a_part_that_an_edit_has_begun_survives_its_undo() {
    let (mut own, mut other) = pair();
    let mine = own.edit(|edit| edit.splice_text("long", 4, 0, &"x".repeat(3_000)).unwrap());
    deliver(&mut other.document, &mine);
    let theirs = other.edit(|edit| edit.splice_text("long", 2_500, 0, "theirs").unwrap());
    deliver(&mut own.document, &theirs);
    own.undo();
    assert_eq!(own.text("long"), "oncetheirs");
}

#[test]
fn an_undo_says_what_it_takes_back() {
    let (mut own, _) = pair();
    let change = own.edit(|edit| edit.put("title", "Journey").unwrap())[0].hash;
    own.undo();
    let page = own.document.history(&crate::document::Point::Now, 10).unwrap();
    let undoes = page.changes[0].undoes.clone().unwrap();
    assert!(change.to_string().starts_with(undoes.first()));
    assert_eq!(undoes.direction(), Direction::Undo);
    assert_eq!(page.changes[0].attribution.message, None);
    assert_eq!(Undoes::parse(&undoes.to_string()), Some(undoes));
    assert_eq!(Undoes::parse("afield:undo it"), None);
}

#[test]
fn the_first_step_makes_the_entity() {
    let (mut own, _) = pair();
    own.edit(|edit| edit.put("title", "Journey").unwrap());
    assert!(!own.plan(Direction::Undo).unwrap().makes_entity());
    own.undo();
    assert!(own.plan(Direction::Undo).unwrap().makes_entity());
}

/// An edit of a kind and with numbers drawn at random.
fn change(edit: &mut Edit<'_>, kind: u8, a: usize, b: usize, word: &str) {
    let length = |edit: &Edit<'_>, path: &str| match edit.read(path.parse::<Path>().unwrap()).unwrap() {
        Some(Value::List(elements)) => elements.len(),
        Some(text) => text.as_str().map_or(0, |text| text.chars().count()),
        None => 0,
    };
    match kind {
        0 => edit.put("title", word).unwrap(),
        1 if matches!(edit.read("meta").unwrap(), Some(Value::Map(_))) => {
            edit.put(Path::from("meta").key(["x", "y"][a % 2]), word).unwrap()
        }
        2 if a.is_multiple_of(4) => edit.put(["body", "list", "count"][b % 3], word).unwrap(),
        2 => edit.delete(["title", "meta", "body", "list", "count"][b % 5]).unwrap(),
        3 if matches!(edit.read("body").unwrap(), Some(Value::Text(_) | Value::RichText(_))) => {
            let length = length(edit, "body");
            let (start, end) = (a % (length + 1), b % (length + 1));
            edit.splice_text("body", start.min(end), (end.max(start) - start.min(end)).min(4), word).unwrap();
        }
        4 if matches!(edit.read("list").unwrap(), Some(Value::List(_))) => {
            let length = length(edit, "list");
            match b % 3 {
                0 => edit.insert("list", a % (length + 1), word).unwrap(),
                _ if length == 0 => {}
                1 => edit.put(Path::from("list").index(a % length), word).unwrap(),
                _ => edit.delete(Path::from("list").index(a % length)).unwrap(),
            }
        }
        5 if matches!(edit.read("count").unwrap(), Some(Value::Counter(_))) => {
            edit.increment("count", b as i64 % 100 - 50).unwrap();
        }
        6 => {
            let length = length(edit, "tasks");
            let task = Path::from("tasks").index(a.checked_rem(length).unwrap_or(0));
            let new = Value::from([("title", Value::from(word)), ("note", Value::Text(word.into()))]);
            match b % 4 {
                0 => edit.insert("tasks", a % (length + 1), new).unwrap(),
                _ if length == 0 => {}
                1 => edit.put(task.key("title"), word).unwrap(),
                2 => edit.splice_text(task.key("note"), 0, 0, word).unwrap(),
                _ => edit.delete(task).unwrap(),
            }
        }
        7 if matches!(edit.read("body").unwrap(), Some(Value::Text(_) | Value::RichText(_))) => {
            let length = length(edit, "body");
            let (start, end) = (a % (length + 1), b % (length + 1));
            let value = if a.is_multiple_of(3) { Value::Null } else { true.into() };
            edit.mark("body", start.min(end)..start.max(end), "bold", value, Expand::After).unwrap();
        }
        _ => edit.splice_text("long", 0, 0, word).unwrap(),
    }
}

fn changes() -> impl Strategy<Value = Vec<(u8, usize, usize, String)>> {
    prop::collection::vec((0_u8..9, 0_usize..50, 0_usize..50, "[a-c]{1,3}"), 1..9)
}

#[test]
fn a_text_that_others_may_be_creating_too_stays_and_is_empty() {
    let (mut own, mut other) = pair();
    own.edit(|edit| edit.splice_text("remarks", 0, 0, "mine").unwrap());
    let theirs = other.edit(|edit| edit.splice_text("remarks", 0, 0, "theirs").unwrap());
    own.undo();
    assert_eq!(own.text("remarks"), "");
    deliver(&mut own.document, &theirs);
    assert_eq!(own.text("remarks"), "theirs");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn as_many_undos_as_edits_give_the_start_and_as_many_redos_the_end(all in changes()) {
        let (mut own, _) = pair();
        let mut states = vec![own.read()];
        for (kind, a, b, word) in &all {
            let made = own.edit(|edit| change(edit, *kind, *a, *b, word));
            // Of an edit that changes nothing to be seen, nothing may be left to undo.
            prop_assume!(made.is_empty() || states.last() != Some(&own.read()));
            if !made.is_empty() {
                states.push(own.read());
            }
        }
        for state in states.iter().rev().skip(1) {
            own.undo();
            prop_assert_eq!(&own.read(), state);
        }
        own.reopen();
        for state in states.iter().skip(1) {
            own.redo();
            prop_assert_eq!(&own.read(), state);
        }
        prop_assert!(own.plan(Direction::Redo).is_none());
        for state in states.iter().rev().skip(1) {
            own.undo();
            prop_assert_eq!(&own.read(), state);
        }
    }

    #[test]
    fn what_others_typed_survives_all_undos_and_redos(
        all in prop::collection::vec((0_usize..50, 0_usize..50, "[a-c]{0,3}"), 1..6),
        theirs in prop::collection::vec((0_usize..50, "[x-z]{1,3}"), 1..4),
        early in 0_usize..6,
    ) {
        let (mut own, mut other) = pair();
        let typed: Vec<_> = theirs.iter().flat_map(|(at, word)| {
            other.edit(|edit| edit.splice_text("body", at % 9, 0, word).unwrap())
        }).collect();
        let characters = |device: &Device| device.text("body").chars().filter(|one| "xyz".contains(*one)).collect::<String>();
        let (expected, mut made) = (characters(&other), 0);
        for (which, (a, b, word)) in all.iter().enumerate() {
            if which == early {
                deliver(&mut own.document, &typed);
            }
            // Only what was there before they typed is deleted.
            let start = own.text("body").find(['b', 't']).unwrap_or(0);
            let delete = usize::from(b % 2 == 0 && !own.text("body").is_empty() && own.text("body").contains(['b', 't']));
            let at = if delete == 1 { start } else { a % (own.text("body").chars().count() + 1) };
            made += usize::from(!own.edit(|edit| edit.splice_text("body", at, delete, word).unwrap()).is_empty());
        }
        deliver(&mut own.document, &typed);
        let end = own.read();
        (0..made).for_each(|_| drop(own.undo()));
        prop_assert_eq!(characters(&own), expected.clone());
        let base: String = own.text("body").chars().filter(|one| !"xyz".contains(*one)).collect();
        prop_assert_eq!(base, "by train".replace('y', ""));
        (0..made).for_each(|_| drop(own.redo()));
        prop_assert_eq!(characters(&own), expected);
        prop_assert_eq!(own.text("body").chars().count(), end.entry("body").unwrap().as_str().unwrap().chars().count());
    }
}
