//! Elements of lists keep what belongs to them.

use super::{document, edit, json, patched, path};
use crate::typed::{Patch, Text, difference, from_document, to_tree};
use autosurgeon::{Hydrate, Reconcile};
use serde_json::Value as Json;

#[crate::model]
#[derive(Debug, Clone, Default, PartialEq)]
struct Board {
    tasks: Vec<Task>,
    points: Vec<Point>,
    sections: Vec<Section>,
    blocks: Vec<Block>,
    lines: Vec<Text>,
}

#[crate::model]
#[derive(Debug, Clone, Default, PartialEq)]
struct Task {
    #[model(key)]
    id: String,
    title: String,
}

#[crate::model]
#[derive(Debug, Clone, Default, PartialEq)]
struct Point {
    x: u8,
    y: u8,
}

#[crate::model]
#[derive(Debug, Clone, Default, PartialEq)]
struct Section {
    name: String,
    tasks: Vec<Task>,
    #[model(default = "one")]
    tags: Vec<String>,
}

fn one() -> Vec<String> {
    vec!["one".into()]
}

#[crate::model]
#[derive(Debug, Clone, PartialEq)]
enum Block {
    Paragraph {
        #[model(key, rename = "the-id")]
        id: u32,
        text: Text,
    },
    Task(#[model(key)] Task),
    Note(String),
    Rule,
}

fn task(id: &str, title: &str) -> Task {
    Task { id: id.into(), title: title.into() }
}

/// Three tasks, each with a field that this version does not know.
fn three() -> Json {
    json!({"tasks": [
        {"id": "a", "title": "A", "new": 1},
        {"id": "b", "title": "B", "new": 2},
        {"id": "c", "title": "C", "new": 3},
    ]})
}

#[test]
fn an_element_with_a_key_is_edited_in_place_whatever_else_changes() {
    let document = document(three());
    let patches = edit::<Board>(&document, |board| {
        board.tasks.remove(0);
        board.tasks[0].title = "everything else".into();
        board.tasks.insert(0, task("d", "D"));
    });
    assert_eq!(
        patched(&document, &patches),
        json!({"tasks": [
            {"id": "d", "title": "D"},
            {"id": "b", "title": "everything else", "new": 2},
            {"id": "c", "title": "C", "new": 3},
        ]})
    );
    let title = Patch::Assign { path: path("tasks[1].title"), before: "B".into(), after: "everything else".into() };
    assert!(patches.contains(&title), "only the field is written: {patches:?}");
}

#[test]
fn an_element_that_moves_takes_along_what_it_holds() {
    let document = document(three());
    let patches = edit::<Board>(&document, |board| {
        board.tasks.rotate_left(1);
        board.tasks[2].title = "moved".into();
    });
    assert_eq!(patches.iter().filter(|patch| matches!(patch, Patch::Move { .. })).count(), 1, "{patches:?}");
    assert_eq!(
        patched(&document, &patches),
        json!({"tasks": [
            {"id": "b", "title": "B", "new": 2},
            {"id": "c", "title": "C", "new": 3},
            {"id": "a", "title": "moved", "new": 1},
        ]})
    );
}

/// All arrangements of up to three of four tasks, before and after, half of them with an edited title.
#[test]
fn any_change_of_a_list_is_written_completely_and_by_key() {
    let ids = ["a", "b", "c", "d"];
    let mut arrangements: Vec<Vec<&str>> = vec![vec![]];
    for length in 0..4 {
        let longer: Vec<_> = arrangements.iter().filter(|ids| ids.len() == length).cloned().collect();
        for arrangement in longer {
            let free = ids.iter().filter(|id| !arrangement.contains(id));
            arrangements.extend(free.map(|id| [arrangement.as_slice(), &[*id]].concat()));
        }
    }
    assert_eq!(arrangements.len(), 1 + 4 + 12 + 24 + 24);
    for before in &arrangements {
        let elements: Vec<_> =
            before.iter().map(|id| json!({"id": id, "title": "old", "new": format!("of {id}")})).collect();
        let document = document(json!({"tasks": elements}));
        for after in &arrangements {
            let patches = edit::<Board>(&document, |board| {
                let title = |id: &str| if id < "c" { "edited" } else { "old" };
                board.tasks = after.iter().map(|id| task(id, title(id))).collect();
            });
            let expected: Vec<_> = after
                .iter()
                .map(|id| {
                    let title = if *id < "c" { "edited" } else { "old" };
                    match before.contains(id) {
                        true => json!({"id": id, "title": title, "new": format!("of {id}")}),
                        false => json!({"id": id, "title": title}),
                    }
                })
                .collect();
            assert_eq!(patched(&document, &patches), json!({"tasks": expected}), "{before:?} to {after:?}");
            let inserted = patches.iter().filter(|patch| matches!(patch, Patch::Insert { .. })).count();
            assert_eq!(inserted, after.iter().filter(|id| !before.contains(id)).count(), "{before:?} to {after:?}");
        }
    }
}

#[test]
fn elements_without_a_key_keep_their_own_unknown_fields() {
    let document = document(json!({"points": [
        {"x": 1, "y": 1, "new": "a"}, {"x": 2, "y": 2, "new": "b"}, {"x": 3, "y": 3, "new": "c"},
    ]}));
    let removed_and_edited = edit::<Board>(&document, |board| {
        board.points.remove(0);
        board.points[0].y = 9;
    });
    let expected = json!({"points": [{"x": 2, "y": 9, "new": "b"}, {"x": 3, "y": 3, "new": "c"}]});
    assert_eq!(patched(&document, &removed_and_edited), expected, "matched by likeness");

    let inserted = edit::<Board>(&document, |board| board.points.insert(1, Point { x: 7, y: 7 }));
    assert_eq!(inserted.len(), 1, "{inserted:?}");
    assert_eq!(patched(&document, &inserted)["points"][2]["new"], "b");

    let swapped = edit::<Board>(&document, |board| board.points.swap(0, 1));
    assert_eq!(patched(&document, &swapped)["points"][0], json!({"x": 2, "y": 2, "new": "b"}), "moved as it is");
}

#[test]
fn equal_elements_stay_apart() {
    let document = document(json!({"points": [{"x": 1, "y": 1}, {"x": 1, "y": 1}, {"x": 1, "y": 1}]}));
    let patches = edit::<Board>(&document, |board| board.points.truncate(2));
    assert_eq!(patches, [Patch::Delete { path: path("points[2]") }]);
    let patches = edit::<Board>(&document, |board| board.points.push(Point { x: 1, y: 1 }));
    assert!(matches!(patches.as_slice(), [Patch::Insert { index: 3, .. }]), "{patches:?}");
}

#[test]
fn elements_that_share_a_key_are_matched_in_order() {
    let document =
        document(json!({"tasks": [{"id": "a", "title": "1", "new": 1}, {"id": "a", "title": "2", "new": 2}]}));
    let patches = edit::<Board>(&document, |board| board.tasks[1].title = "3".into());
    assert_eq!(patched(&document, &patches)["tasks"][1], json!({"id": "a", "title": "3", "new": 2}));
    assert_eq!(patches.len(), 1);
}

#[test]
fn lists_inside_elements_are_matched_by_key_too() {
    let document = document(json!({"sections": [
        {"name": "s", "tasks": [{"id": "a", "title": "A", "new": 1}, {"id": "b", "title": "B", "new": 2}], "new": 0},
    ]}));
    let patches = edit::<Board>(&document, |board| {
        board.sections[0].name = "t".into();
        board.sections[0].tasks.remove(0);
    });
    assert_eq!(
        patched(&document, &patches),
        json!({"sections": [{"name": "t", "tasks": [{"id": "b", "title": "B", "new": 2}], "new": 0}]})
    );
}

#[test]
fn a_default_in_an_element_is_absent_there_too() {
    let document = document(json!({"sections": [{"name": "s"}]}));
    let renamed = edit::<Board>(&document, |board| board.sections[0].name = "t".into());
    assert_eq!(patched(&document, &renamed), json!({"sections": [{"name": "t"}]}));
    let tagged = edit::<Board>(&document, |board| board.sections[0].tags.push("two".into()));
    assert_eq!(patched(&document, &tagged), json!({"sections": [{"name": "s", "tags": ["one", "two"]}]}));
    let filled = edit::<Board>(&document, |board| board.sections[0].tasks.push(task("a", "A")));
    assert_eq!(patched(&document, &filled), json!({"sections": [{"name": "s", "tasks": [{"id": "a", "title": "A"}]}]}));
}

#[test]
fn variants_are_known_by_their_key_whatever_else_changes() {
    let document = document(json!({"blocks": [
        {"Paragraph": {"the-id": 1, "text": {"$text": "one"}, "new": 1}},
        {"Task": {"id": "1", "title": "t", "new": 2}},
        "Rule",
        {"Note": "n"},
        {"Paragraph": {"the-id": 2, "text": {"$text": "two"}, "new": 3}},
    ]}));
    let patches = edit::<Board>(&document, |board| {
        let Some(Block::Paragraph { text, .. }) = board.blocks.get_mut(4) else { panic!("a paragraph") };
        text.set("zwei");
        let Some(Block::Task(task)) = board.blocks.get_mut(1) else { panic!("a task") };
        task.title = "u".into();
        board.blocks.remove(0);
        board.blocks.swap(0, 3);
    });
    assert_eq!(
        patched(&document, &patches),
        json!({"blocks": [
            {"Paragraph": {"the-id": 2, "text": {"$text": "zwei"}, "new": 3}},
            "Rule",
            {"Note": "n"},
            {"Task": {"id": "1", "title": "u", "new": 2}},
        ]})
    );
    assert!(!patches.iter().any(|patch| matches!(patch, Patch::Insert { .. })), "none is written anew: {patches:?}");

    let patches = edit::<Board>(&document, |board| board.blocks[3] = Block::Note("m".into()));
    let expected = Patch::Assign { path: path("blocks[3].Note"), before: "n".into(), after: "m".into() };
    assert_eq!(patches, [expected], "a variant without a key is edited in place, too");
}

#[test]
fn an_element_of_a_new_variant_with_an_old_key_is_another() {
    let document = document(json!({"blocks": [{"Paragraph": {"the-id": 1, "text": {"$text": ""}, "new": 1}}]}));
    let patches = edit::<Board>(&document, |board| board.blocks[0] = Block::Task(task("1", "t")));
    assert_eq!(patched(&document, &patches), json!({"blocks": [{"Task": {"id": "1", "title": "t"}}]}));
}

#[test]
fn a_list_of_texts_is_left_to_the_difference_of_values() {
    let document = document(json!({"lines": [{"$text": "a"}, {"$text": "b"}]}));
    let patches = edit::<Board>(&document, |board| board.lines[1].push_str("c"));
    assert!(matches!(patches.as_slice(), [Patch::Assign { .. }]), "{patches:?}");
    assert_eq!(patched(&document, &patches), json!({"lines": [{"$text": "a"}, {"$text": "bc"}]}));
}

/// The identity of autosurgeon's own derive, and of one written by hand, is understood as that of a model.
#[derive(Debug, Clone, PartialEq, autosurgeon::Hydrate, autosurgeon::Reconcile)]
struct Derived {
    #[key]
    id: u64,
    title: String,
}

crate::surgical_field!(Derived);

#[crate::model]
#[derive(Debug, PartialEq)]
struct Foreign {
    derived: Vec<Derived>,
    optional: Vec<Option<Task>>,
}

#[test]
fn keys_of_autosurgeons_own_derive_count_too() {
    let document = document(json!({"derived": [{"id": 1, "title": "A", "new": 1}, {"id": 2, "title": "B", "new": 2}]}));
    let patches = edit::<Foreign>(&document, |model| {
        model.derived.remove(0);
        model.derived[0].title = "other".into();
    });
    assert_eq!(patched(&document, &patches)["derived"], json!([{"id": 2, "title": "other", "new": 2}]));
}

#[test]
fn a_key_is_seen_through_an_option() {
    let some = |id: &str, title: &str| Some(task(id, title));
    let before = Foreign { derived: vec![], optional: vec![some("a", "A"), None, some("b", "B")] };
    let after = Foreign { derived: vec![], optional: vec![some("b", "C")] };
    let patches = difference(&to_tree(&before).unwrap(), &to_tree(&after).unwrap());
    let expected = [
        Patch::Delete { path: path("optional[1]") },
        Patch::Delete { path: path("optional[0]") },
        Patch::Assign { path: path("optional[0].title"), before: "B".into(), after: "C".into() },
    ];
    assert_eq!(patches, expected);
    assert_eq!(from_document::<Foreign, _>(&document(super::tagged(&after))).unwrap(), after);
}

#[test]
fn ten_thousand_elements_are_matched_in_time_for_an_edit() {
    fn tree<T: Reconcile + Hydrate>(elements: &[T]) -> crate::typed::Tree {
        to_tree(&elements).unwrap()
    }
    let tasks: Vec<_> = (0..10_000).map(|number| task(&number.to_string(), "t")).collect();
    let mut reversed = tasks.clone();
    reversed.rotate_right(1);
    reversed[5_000].title = "u".into();
    let patches = difference(&tree(&tasks), &tree(&reversed));
    assert_eq!(patches.len(), 2, "one move, one title");

    let points: Vec<_> =
        (0..10_000_u32).map(|number| Point { x: (number % 251) as u8, y: (number / 251) as u8 }).collect();
    let edited: Vec<_> = points.iter().map(|point| Point { x: point.x, y: point.y + 100 }).collect();
    let patches = difference(&tree(&points), &tree(&edited));
    assert_eq!(patches.len(), 10_000, "a stretch too long to compare is matched in order");
}

/// All lists of up to five of four elements: equal ones, ones with a key and ones whose content differs.
fn lists() -> Vec<Vec<Block>> {
    let note = |text: &str| Block::Note(text.into());
    let paragraph = |id| Block::Paragraph { id, text: "p".into() };
    let elements = [Block::Rule, note("a"), paragraph(1), note("b")];
    let mut lists = vec![vec![]];
    let mut longest: Vec<Vec<Block>> = vec![vec![]];
    for _ in 0..5 {
        longest = longest
            .iter()
            .flat_map(|list| elements.iter().map(|element| [list.as_slice(), std::slice::from_ref(element)].concat()))
            .collect();
        lists.extend(longest.iter().cloned());
    }
    lists
}

#[test]
fn taking_one_element_out_or_in_is_one_step_and_moves_nothing() {
    let of = |blocks: &[Block]| to_tree(&Board { blocks: blocks.to_vec(), ..Board::default() }).unwrap();
    // Lists of scalars alone are left to the difference of their values.
    for list in lists().into_iter().filter(|list| list.iter().filter(|block| **block != Block::Rule).count() > 1) {
        let whole = of(&list);
        for index in 0..list.len() {
            let mut without = list.clone();
            without.remove(index);
            let without = of(&without);
            let patches = difference(&whole, &without);
            assert!(matches!(patches.as_slice(), [Patch::Delete { .. }]), "{list:?} without {index}: {patches:?}");
            let patches = difference(&without, &whole);
            assert!(matches!(patches.as_slice(), [Patch::Insert { .. }]), "{list:?} with {index}: {patches:?}");
        }
    }
}

#[test]
fn equal_elements_do_not_move_their_neighbours() {
    let content = json!({"blocks": ["Rule", {"Note": "a", "new": 1}, "Rule", {"Note": "b", "new": 2}, "Rule"]});
    let document = document(content);
    let patches = edit::<Board>(&document, |board| {
        board.blocks.remove(2);
        board.blocks.remove(0);
        board.blocks.push(Block::Note("c".into()));
    });
    assert!(!patches.iter().any(|patch| matches!(patch, Patch::Move { .. })), "{patches:?}");
    let expected = json!([{"Note": "a", "new": 1}, {"Note": "b", "new": 2}, "Rule", {"Note": "c"}]);
    assert_eq!(patched(&document, &patches)["blocks"], expected);
}

#[test]
fn many_equal_elements_are_matched_in_time_for_an_edit() {
    let blocks: Vec<_> = (0..4_000).map(|_| Block::Rule).collect();
    let mut others = blocks.clone();
    others.insert(0, Block::Note("first".into()));
    others.insert(2_000, Block::Note("middle".into()));
    others.push(Block::Note("last".into()));
    others.drain(10..20);
    let patches = difference(&to_tree(&blocks).unwrap(), &to_tree(&others).unwrap());
    assert_eq!(patches.len(), 13, "three came and ten went");
}

#[test]
fn elements_older_than_their_key_are_matched_by_likeness() {
    let content = json!({"tasks": [
        {"title": "A", "new": 1}, {"title": "B", "new": 2}, {"id": "c", "title": "C", "new": 3}, {"title": "D", "new": 4},
    ]});
    let document = document(content);
    let removed = edit::<Board>(&document, |board| drop(board.tasks.remove(0)));
    assert_eq!(removed, [Patch::Delete { path: path("tasks[0]") }]);

    let identified = edit::<Board>(&document, |board| {
        for (number, task) in board.tasks.iter_mut().enumerate().filter(|(_, task)| task.id.is_empty()) {
            task.id = number.to_string();
        }
        board.tasks.push(task("e", "E"));
    });
    let expected = json!([
        {"id": "0", "title": "A", "new": 1},
        {"id": "1", "title": "B", "new": 2},
        {"id": "c", "title": "C", "new": 3},
        {"id": "3", "title": "D", "new": 4},
        {"id": "e", "title": "E"},
    ]);
    assert_eq!(patched(&document, &identified)["tasks"], expected);
}
