use super::*;
use crate::document::test_kit::*;
use crate::document::*;
use crate::{EntityId, Limits};
use proptest::prelude::*;

const OTHER_ENTITY: EntityId = EntityId::from_bytes([7; 16]);

fn body(document: &Document) -> RichText {
    document.read_at("body").unwrap().and_then(|value| value.to_rich_text()).unwrap_or_default()
}

/// The characters with the names of their marks, a block as its kind in brackets.
fn outline(text: &RichText) -> Vec<String> {
    let of = |span: Span<'_>| match span {
        Span::Block(block) => format!("[{}]", block.kind().unwrap_or_default()),
        Span::Text { text, marks } => marks.keys().fold(text.to_owned(), |outline, name| format!("{outline}|{name}")),
    };
    text.spans().map(of).collect()
}

/// A document and others with the same history.
fn same<const N: usize>(prepare: impl FnOnce(&mut Edit<'_>) -> Result<(), OperationError>) -> [Document; N] {
    let mut documents = std::array::from_fn(|_| Document::new(ENTITY));
    let changes = edit(&mut documents[0], 1, prepare);
    for document in documents.iter_mut().skip(1) {
        deliver(document, &changes);
    }
    documents
}

fn exchange(left: &mut Document, right: &mut Document, from_left: &[LocalChange], from_right: &[LocalChange]) {
    for (document, changes) in [(&mut *left, from_right), (&mut *right, from_left)] {
        for verdict in deliver(document, changes) {
            assert!(matches!(verdict, Verdict::Applied | Verdict::Held), "{verdict:?}");
        }
    }
    assert_eq!(left.read(), right.read());
    let loaded = Document::load(ENTITY, Some(&left.save()), []).unwrap();
    assert_eq!(loaded.read(), left.read(), "saving keeps marks and blocks");
}

#[test]
fn what_is_typed_within_a_mark_is_marked_and_at_its_edges_as_it_says() {
    for (expand, wanted) in
        [(Expand::After, "bxcy"), (Expand::Before, "zbxc"), (Expand::Both, "zbxcy"), (Expand::None, "bxc")]
    {
        let [mut document] = same(|edit| edit.splice_text("body", 0, 0, "abcd"));
        edit(&mut document, 1, |edit| {
            edit.mark("body", 1..3, "bold", true, expand)?;
            edit.splice_text("body", 3, 0, "y")?;
            edit.splice_text("body", 2, 0, "x")?;
            edit.splice_text("body", 1, 0, "z")
        });
        let bold: String = body(&document)
            .spans()
            .filter_map(|span| match span {
                Span::Text { text, marks } if marks.contains_key("bold") => Some(text.to_owned()),
                _ => None,
            })
            .collect();
        assert_eq!(bold, wanted, "{expand:?}");
    }
}

#[test]
fn a_mark_and_typing_within_it_merge() {
    let [mut left, mut right] = same(|edit| edit.splice_text("body", 0, 0, "one two three"));
    let from_left = edit(&mut left, 1, |edit| edit.mark("body", 4..7, "bold", true, Expand::After));
    let from_right = edit(&mut right, 2, |edit| {
        edit.splice_text("body", 6, 0, "w")?;
        edit.mark("body", 0..5, "italic", true, Expand::After)
    });
    exchange(&mut left, &mut right, &from_left, &from_right);
    assert_eq!(outline(&body(&left)), ["one |italic", "t|bold|italic", "wwo|bold", " three"]);
    let off = edit(&mut left, 1, |edit| edit.unmark("body", 4..8, "bold", Expand::After));
    let more = edit(&mut right, 2, |edit| edit.splice_text("body", 0, 0, ">"));
    exchange(&mut left, &mut right, &off, &more);
    assert_eq!(outline(&body(&right)), [">", "one t|italic", "wwo three"]);
}

#[test]
fn marks_have_values_of_every_scalar_kind() {
    let values = [
        Value::Bool(false),
        Value::Int(-1),
        Value::Uint(u64::MAX),
        Value::F64(-0.0),
        Value::F64(f64::INFINITY),
        Value::Str("https://example.org".into()),
        Value::Bytes(vec![0, 255]),
        Value::Timestamp(-5),
    ];
    for value in values {
        let [mut left, mut right] = same(|edit| edit.splice_text("body", 0, 0, "abc"));
        let changes = edit(&mut left, 1, |edit| edit.mark("body", 1..2, "m", value.clone(), Expand::None));
        exchange(&mut left, &mut right, &changes, &[]);
        let read = body(&right);
        assert_eq!(format!("{:?}", read.marks().next().unwrap().2), format!("{value:?}"));
    }
    for wrong in [Value::Counter(1), Value::F64(f64::NAN), Value::List(vec![]), Value::Text("x".into())] {
        let [mut document] = same(|edit| edit.splice_text("body", 0, 0, "abc"));
        let refused =
            document.edit(&by(1), &Limits::DEFAULT, |edit| edit.mark("body", 1..2, "m", wrong.clone(), Expand::None));
        assert!(matches!(refused, Err(EditError::Closure(OperationError::NoMarkValue { .. }))));
    }
}

#[test]
fn blocks_are_split_updated_and_joined_and_their_attributes_merge() {
    let [mut left, mut right] = same(|edit| {
        edit.split_block("body", 0, &Block::new("paragraph"))?;
        edit.splice_text("body", 1, 0, "one two")
    });
    let from_left =
        edit(&mut left, 1, |edit| edit.update_block("body", 0, &Block::new("heading").with_attribute("level", 1)));
    let from_right = edit(&mut right, 2, |edit| {
        edit.split_block("body", 4, &Block::new("paragraph").with_parents(["quote"]))?;
        edit.update_block("body", 0, &Block::new("paragraph").with_attribute("align", "left"))
    });
    exchange(&mut left, &mut right, &from_left, &from_right);
    let merged = body(&left);
    assert_eq!(outline(&merged), ["[heading]", "one", "[paragraph]", " two"]);
    let first = merged.block(0).unwrap();
    assert_eq!((first.attribute("level"), first.attribute("align")), (Some(&Value::Int(1)), Some(&"left".into())));

    let joined = edit(&mut left, 1, |edit| edit.join_block("body", 4));
    let typed = edit(&mut right, 2, |edit| edit.splice_text("body", 5, 0, "&"));
    exchange(&mut left, &mut right, &joined, &typed);
    assert_eq!(outline(&body(&right)), ["[heading]", "one& two"]);
    assert_eq!(left.read_at("body").unwrap().unwrap().as_str(), Some("\u{fffc}one& two"));

    let refused = left.edit(&by(1), &Limits::DEFAULT, |edit| edit.join_block("body", 1));
    assert!(matches!(refused, Err(EditError::Closure(OperationError::NoBlock { position: 1 }))));
    let missing = left.edit(&by(1), &Limits::DEFAULT, |edit| edit.update_block("body", 99, &Block::new("x")));
    assert!(missing.is_err());
}

#[test]
fn what_stands_in_a_block_is_reached_by_its_position() {
    let [mut left, mut right] = same(|edit| {
        let cell = Value::Map(std::iter::once(("notes".to_owned(), Value::Text("x".into()))).collect());
        edit.split_block(
            "body",
            0,
            &Block::new("table").with("cells", Value::List(vec![cell])).with("seen", Value::Counter(0)),
        )
    });
    let cell = Path::from("body").index(0).key("cells").index(0).key("notes");
    let from_left = edit(&mut left, 1, |edit| {
        edit.splice_text(&cell, 1, 0, "y")?;
        edit.increment(Path::from("body").index(0).key("seen"), 2)
    });
    let from_right = edit(&mut right, 2, |edit| {
        edit.splice_text(&cell, 0, 0, "z")?;
        edit.increment(Path::from("body").index(0).key("seen"), 3)
    });
    exchange(&mut left, &mut right, &from_left, &from_right);
    assert_eq!(left.read_at(&cell).unwrap(), Some(Value::Text("zxy".into())));
    assert_eq!(left.read_at(Path::from("body").index(0).key("seen")).unwrap(), Some(Value::Counter(5)));
}

#[test]
fn a_text_that_is_edited_as_a_string_keeps_its_marks_and_blocks() {
    let [mut document] = same(|edit| {
        edit.splice_text("body", 0, 0, "one two")?;
        edit.mark("body", 0..3, "bold", true, Expand::After)?;
        edit.split_block("body", 0, &Block::new("heading"))
    });
    edit(&mut document, 1, |edit| {
        let before = Value::Text("\u{fffc}one two".into());
        edit.assign("body", &before, &Value::Text("\u{fffc}one or two".into()))
    });
    assert_eq!(outline(&body(&document)), ["[heading]", "one|bold", " or two"]);
    let before = document.read_at("body").unwrap().unwrap();
    edit(&mut document, 1, |edit| edit.assign("body", &before, &Value::Text("plain".into())));
    assert_eq!(document.read_at("body").unwrap(), Some(Value::Text("plain".into())), "who knew of them took them away");
}

/// A text of blocks of these kinds, each with characters behind it.
fn paragraphs(edit: &mut Edit<'_>, all: &[(&str, &str)]) -> Result<(), OperationError> {
    all.iter().rev().try_for_each(|(kind, characters)| {
        edit.splice_text("body", 0, 0, characters)?;
        edit.split_block("body", 0, &Block::new(*kind))
    })
}

#[test]
fn deleting_one_of_several_blocks_leaves_the_others_to_what_others_do_to_them() {
    let kinds = [("heading", "Title"), ("paragraph", "one"), ("paragraph", "two")];
    let all = ["heading", "Title", "paragraph", "one", "quote", "two"];
    for (deleted, as_string) in [(0, false), (0, true), (1, false), (1, true)] {
        let [mut left, mut right] = same(|edit| paragraphs(edit, &kinds));
        let last = "\u{fffc}Title\u{fffc}one".chars().count();
        let from_right = edit(&mut right, 2, |edit| edit.update_block("body", last, &Block::new("quote")));
        let from_left = edit(&mut left, 1, |edit| {
            let before = edit.read("body")?.unwrap_or_default();
            let mut after = before.to_rich_text().unwrap();
            let start = if deleted == 0 { 0 } else { "\u{fffc}Title".chars().count() };
            after.splice(start, kinds[deleted].1.len() + 1, "");
            let after = if as_string { Value::Str(after.as_str().into()) } else { Value::from(after) };
            edit.assign("body", &before, &after)
        });
        exchange(&mut left, &mut right, &from_left, &from_right);
        let mut wanted: Vec<String> = Vec::new();
        for (_, pair) in all.chunks(2).enumerate().filter(|(which, _)| *which != deleted) {
            wanted.extend([format!("[{}]", pair[0]), pair[1].to_owned()]);
        }
        assert_eq!(outline(&body(&left)), wanted, "block {deleted}, {as_string}");
    }
}

#[test]
fn a_block_that_comes_between_others_leaves_them_to_what_others_do_to_them() {
    let [mut left, mut right] = same(|edit| paragraphs(edit, &[("paragraph", "one"), ("paragraph", "two")]));
    let from_left = edit(&mut left, 1, |edit| {
        let before = edit.read("body")?.unwrap_or_default();
        let mut after = before.to_rich_text().unwrap();
        after.insert_block(4, Block::new("paragraph"));
        after.splice(5, 0, "new");
        edit.assign("body", &before, &Value::from(after))
    });
    let from_right = edit(&mut right, 2, |edit| edit.update_block("body", 4, &Block::new("quote")));
    exchange(&mut left, &mut right, &from_left, &from_right);
    assert_eq!(outline(&body(&left)), ["[paragraph]", "one", "[paragraph]", "new", "[quote]", "two"]);
}

#[test]
fn what_is_typed_where_a_mark_was_taken_away_is_not_marked_however_it_was_set() {
    for expand in [Expand::Before, Expand::After, Expand::Both, Expand::None] {
        for as_a_whole in [false, true] {
            let [mut document] = same(|edit| {
                edit.splice_text("body", 0, 0, "abcd")?;
                edit.mark("body", 1..3, "bold", true, expand)
            });
            edit(&mut document, 1, |edit| {
                if as_a_whole {
                    let before = edit.read("body")?.unwrap_or_default();
                    let mut after = before.to_rich_text().unwrap();
                    after.unmark(1..3, "bold");
                    edit.assign("body", &before, &Value::from(after))?;
                } else {
                    edit.unmark("body", 1..3, "bold", expand)?;
                }
                edit.splice_text("body", 3, 0, "y")?;
                edit.splice_text("body", 2, 0, "x")?;
                edit.splice_text("body", 1, 0, "z")
            });
            assert_eq!(outline(&body(&document)), ["azbxcyd"], "{expand:?}, {as_a_whole}");
        }
    }
    // A part of what is marked: what is typed behind a bold character is bold.
    let [mut document] = same(|edit| {
        edit.splice_text("body", 0, 0, "abcdef")?;
        edit.mark("body", 0..6, "bold", true, Expand::After)
    });
    edit(&mut document, 1, |edit| {
        let before = edit.read("body")?.unwrap_or_default();
        let mut after = before.to_rich_text().unwrap();
        after.unmark(2..4, "bold");
        edit.assign("body", &before, &Value::from(after))?;
        edit.splice_text("body", 4, 0, "y")?;
        edit.splice_text("body", 2, 0, "x")
    });
    assert_eq!(outline(&body(&document)), ["abx|bold", "cdy", "ef|bold"]);
}

#[test]
fn a_mark_over_many_blocks_is_weighed_as_the_one_that_it_is() {
    let mut text = RichText::new();
    for _ in 0..400 {
        text.push_block(Block::default());
        text.push_text("x", [("bold", &Value::Bool(true))]);
    }
    let write = |operations: u64| {
        let limits = Limits { change_operations_max: operations, ..Limits::DEFAULT };
        Document::new(ENTITY)
            .edit(&EditContext { fresh: true, ..by(1) }, &limits, |edit| edit.put("body", Value::from(text.clone())))
    };
    // Each block is put in the place of a character that stood for it.
    let taken = write(Limits::DEFAULT.change_operations_max).unwrap();
    assert_eq!(operations(&text), 2);
    let made = automerge::Change::try_from(taken.changes[0].bytes.as_slice()).unwrap().len() as u64;
    let _ = write(made).unwrap();
    assert!(matches!(write(made - 1), Err(EditError::Closure(_) | EditError::Refused(_))), "the control");
}

#[derive(Debug, Clone)]
enum Act {
    Splice(usize, usize, String),
    Mark(usize, usize, &'static str, bool, Expand),
    Split(usize, u8),
    Update(usize, u8),
    Assign(usize, String, bool),
}

fn act() -> impl Strategy<Value = Act> {
    let expand = prop::sample::select(vec![Expand::Before, Expand::After, Expand::Both, Expand::None]);
    let name = prop::sample::select(vec!["bold", "link", "size"]);
    prop_oneof![
        4 => (0usize..30, 0usize..6, "[a-cé🦀]{0,5}").prop_map(|(at, delete, text)| Act::Splice(at, delete, text)),
        4 => (0usize..30, 0usize..9, name, any::<bool>(), expand)
            .prop_map(|(at, count, name, on, expand)| Act::Mark(at, count, name, on, expand)),
        2 => (0usize..30, any::<u8>()).prop_map(|(at, kind)| Act::Split(at, kind)),
        2 => (0usize..30, any::<u8>()).prop_map(|(at, kind)| Act::Update(at, kind)),
        1 => (0usize..30, "[xyz]{0,3}", any::<bool>()).prop_map(|(at, text, block)| Act::Assign(at, text, block)),
    ]
}

fn perform(edit: &mut Edit<'_>, act: &Act) -> Result<(), OperationError> {
    let text = edit.read("body")?.and_then(|value| value.to_rich_text()).unwrap_or_default();
    let length = text.len();
    let kind = |kind: u8| Block::new(format!("k{}", kind % 3)).with_attribute("n", i64::from(kind));
    match act {
        Act::Splice(at, delete, insert) => {
            let at = (*at).min(length);
            edit.splice_text("body", at, (*delete).min(length - at), insert)
        }
        Act::Mark(at, count, name, on, expand) => {
            let at = (*at).min(length);
            let value = if *on { Value::Int(*count as i64) } else { Value::Null };
            edit.mark("body", at..(at + count).min(length), name, value, *expand)
        }
        Act::Split(at, number) => edit.split_block("body", (*at).min(length), &kind(*number)),
        Act::Update(nth, number) => {
            let count = text.blocks().count();
            match text.blocks().nth(nth % count.max(1)) {
                Some((position, _)) => edit.update_block("body", position, &kind(*number)),
                None => Ok(()),
            }
        }
        Act::Assign(at, insert, block) => {
            let mut after = text.clone();
            after.splice(*at, 2, insert);
            after.mark(*at..at + 4, "size", 7);
            if *block {
                after.insert_block(*at, kind(9));
            }
            edit.assign("body", &Value::from(text), &Value::from(after.clone()))?;
            assert_eq!(edit.read("body")?, Some(Value::from(after)), "what is assigned is read");
            Ok(())
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn rich_texts_of_three_devices_merge(rounds in prop::collection::vec(prop::collection::vec((0usize..3, act()), 1..6), 1..5)) {
        let mut documents: [Document; 3] = same(|edit| edit.splice_text("body", 0, 0, "hello wide world"));
        for round in rounds {
            let mut made: [Vec<LocalChange>; 3] = Default::default();
            for (device, act) in &round {
                made[*device].extend(edit(&mut documents[*device], *device as u8 + 1, |edit| perform(edit, act)));
            }
            for (device, document) in documents.iter_mut().enumerate() {
                for (_, changes) in made.iter().enumerate().filter(|(from, _)| *from != device) {
                    for verdict in deliver(document, changes) {
                        prop_assert!(matches!(verdict, Verdict::Applied | Verdict::Held), "{:?}", verdict);
                    }
                }
            }
            prop_assert_eq!(documents[0].read(), documents[1].read());
            prop_assert_eq!(documents[0].read(), documents[2].read());
        }
        let read = documents[0].read();
        let loaded = Document::load(ENTITY, Some(&documents[0].save()), []).unwrap();
        prop_assert_eq!(loaded.read(), read.clone());
        // Written out and read in elsewhere it is the same.
        let json = read.to_tagged_json().to_string();
        let imported = Value::from_tagged_json(&serde_json::from_str(&json).unwrap()).unwrap();
        let mut copy = Document::new(OTHER_ENTITY);
        edit(&mut copy, 1, |edit| edit.assign(Path::ROOT, &Value::Null, &imported));
        prop_assert_eq!(copy.read().to_tagged_json().to_string(), json);
    }
}
