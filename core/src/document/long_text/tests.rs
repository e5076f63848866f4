use super::*;
use crate::Limits;
use crate::document::parts::Parts;
use crate::document::test_kit::*;
use crate::document::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn body(document: &Document) -> String {
    match document.read_at("body").unwrap() {
        None => String::new(),
        Some(Value::LongText(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn parts(document: &Document) -> Vec<Segment> {
    let Some(Found::Long(map)) = document.text_at(&Path::from("body")).unwrap() else { return Vec::new() };
    let read = Parts::default().segments(document.automerge(), &map, 1);
    let known = document.segments(&map);
    assert_eq!(
        known.iter().map(|known| known.length).collect::<Vec<_>>(),
        read.iter().map(|read| read.length).collect::<Vec<_>>()
    );
    read
}

/// How many characters each part has.
fn sizes(document: &Document) -> Vec<usize> {
    let mut sizes: Vec<(ObjId, usize)> = Vec::new();
    for segment in parts(document) {
        match sizes.iter_mut().find(|(text, _)| *text == segment.text) {
            Some((_, size)) => *size += segment.length,
            None => sizes.push((segment.text, segment.length)),
        }
    }
    sizes.into_iter().map(|(_, size)| size).collect()
}

/// `count` characters of which no other call gives any, from a number on.
fn letters(from: usize, count: usize) -> String {
    (from..from + count).map(|number| char::from_u32(0x20000 + number as u32).unwrap()).collect()
}

fn splice(model: &mut String, position: usize, delete: usize, insert: &str) {
    let mut characters: Vec<char> = model.chars().collect();
    characters.splice(position..position + delete, insert.chars());
    *model = characters.into_iter().collect();
}

#[test]
fn what_is_typed_on_and_on_goes_into_parts_side_by_side() {
    let mut document = Document::new(ENTITY);
    for number in 0..2_200 {
        edit(&mut document, 1, |edit| edit.splice_long_text("body", number, 0, &letters(number, 1)));
    }
    assert_eq!(body(&document), letters(0, 2_200));
    assert_eq!(sizes(&document), [1_024, 1_024, 152]);
    assert_eq!(parts(&document).iter().map(|segment| segment.depth).max(), Some(4), "no deeper than one in the first");
}

#[test]
fn what_is_typed_amid_a_full_part_divides_nothing() {
    let mut document = Document::new(ENTITY);
    edit(&mut document, 1, |edit| edit.splice_long_text("body", 0, 0, &letters(0, 1_024)));
    let mut model = letters(0, 1_024);
    for number in 0..1_100 {
        let typed = letters(10_000 + number, 1);
        edit(&mut document, 1, |edit| edit.splice_long_text("body", 500 + number, 0, &typed));
        splice(&mut model, 500 + number, 0, &typed);
    }
    assert_eq!(body(&document), model);
    assert!(sizes(&document).iter().all(|size| *size <= PART_CHARACTERS_MAX));
    assert_eq!(parts(&document).iter().map(|segment| segment.depth).max(), Some(4));
}

#[test]
fn two_devices_that_begin_a_long_text_begin_the_same() {
    let (mut left, mut right) = (Document::new(ENTITY), Document::new(ENTITY));
    let from_left = edit(&mut left, 1, |edit| edit.splice_long_text("body", 0, 0, "left"));
    let from_right = edit(&mut right, 2, |edit| edit.put("body", Value::LongText("right".into())));
    deliver(&mut left, &from_right);
    deliver(&mut right, &from_left);
    assert_eq!(body(&left), body(&right));
    assert!(["leftright", "rightleft"].contains(&body(&left).as_str()), "{}", body(&left));
}

#[test]
fn what_is_typed_into_a_part_that_another_device_empties_stays() {
    let mut left = Document::new(ENTITY);
    let mut right = Document::new(ENTITY);
    let made = edit(&mut left, 1, |edit| edit.put("body", Value::LongText(letters(0, 3_000))));
    deliver(&mut right, &made);
    let emptied = edit(&mut left, 1, |edit| edit.splice_long_text("body", 0, 3_000, ""));
    let typed = edit(&mut right, 2, |edit| edit.splice_long_text("body", 2_000, 0, "kept"));
    deliver(&mut left, &typed);
    deliver(&mut right, &emptied);
    assert_eq!((body(&left), body(&right)), ("kept".to_owned(), "kept".to_owned()));
    edit(&mut left, 1, |edit| edit.splice_long_text("body", 4, 0, " and used"));
    assert_eq!(body(&left), "kept and used");
}

#[test]
fn much_text_is_cut_behind_lines_and_spaces() {
    let lines: String = (0..200).map(|number| format!("line {number} of the text\n")).collect();
    let cut = pieces(&lines);
    assert!(cut.len() > 3);
    assert!(cut.iter().all(|piece| piece.ends_with('\n') && piece.chars().count() <= PART_CHARACTERS_MAX));
    assert_eq!(cut.concat(), lines);
    let words = "wörd ".repeat(1_000);
    assert!(pieces(&words).iter().all(|piece| piece.ends_with(' ')));
    let unbroken = "🦀".repeat(5_000);
    assert_eq!(pieces(&unbroken).concat(), unbroken);
    assert!(pieces(&unbroken).iter().all(|piece| piece.chars().count() <= PART_CHARACTERS_MAX));
    assert!(pieces("").is_empty());
}

#[test]
fn a_text_that_was_an_ordinary_one_stays_one() {
    let mut document = Document::new(ENTITY);
    edit(&mut document, 1, |edit| edit.splice_text("body", 0, 0, "ordinary"));
    edit(&mut document, 1, |edit| edit.splice_long_text("body", 0, 2, "extrao"));
    assert_eq!(document.read_at("body").unwrap(), Some(Value::Text("extraodinary".into())));
    let wrong = document.edit(&by(1), &Limits::DEFAULT, |edit| {
        edit.put("number", 1)?;
        edit.splice_long_text("number", 0, 0, "x")
    });
    let needed = Kind::LongText;
    assert!(
        matches!(wrong, Err(EditError::Closure(OperationError::WrongKind { needed: found, .. })) if found == needed)
    );
    edit(&mut document, 1, |edit| edit.splice_long_text("long", 0, 0, "x"));
    let beyond = document.edit(&by(1), &Limits::DEFAULT, |edit| edit.splice_long_text("long", 1, 1, "x"));
    assert!(matches!(beyond, Err(EditError::Closure(OperationError::OutOfRange { position: 2, length: 1 }))));
}

#[test]
fn a_text_that_stands_too_deep_for_parts_grows_in_place() {
    let mut document = Document::new(ENTITY);
    let tower = (2..DEPTH_MAX).fold(Value::LongText("bottom".into()), |inner, _| Value::from([("a", inner)]));
    edit(&mut document, 1, |edit| edit.put("a", tower));
    let path: Path = std::iter::repeat_n(Step::Key("a".into()), DEPTH_MAX - 1).collect();
    edit(&mut document, 1, |edit| edit.splice_long_text(&path, 6, 0, &letters(0, 3_000)));
    assert_eq!(document.text_length(&path).unwrap(), 3_006);
    let deeper = (1..DEPTH_MAX).fold(Value::LongText("bottom".into()), |inner, _| Value::from([("a", inner)]));
    let refused = document.edit(&by(1), &Limits::DEFAULT, |edit| edit.put("b", deeper));
    assert!(matches!(refused, Err(EditError::Closure(OperationError::TooDeep))), "{refused:?}");
}

#[test]
fn marks_and_blocks_that_somebody_else_put_into_a_part_leave_the_text_one() {
    let mut document = Document::new(ENTITY);
    edit(&mut document, 1, |edit| edit.put("body", Value::LongText(letters(0, 3_000))));
    let first = parts(&document)[0].text.clone();
    edit(&mut document, 1, |edit| {
        edit.raw(|transaction| {
            let mark = automerge::marks::Mark::new("bold".to_owned(), true, 1, 2);
            transaction.mark(&first, mark, automerge::marks::ExpandMark::None)?;
            transaction.split_block(&first, 2).map(drop)
        })
    });
    let read = body(&document);
    assert_eq!(read.chars().filter(|character| *character != '\u{fffc}').collect::<String>(), letters(0, 3_000));
    assert_eq!(document.text_length("body").unwrap(), 3_001);
    assert_eq!(document.text_slice("body", 0..3_001).unwrap(), read);
    edit(&mut document, 1, |edit| {
        edit.assign("body", &Value::LongText(read.clone()), &Value::LongText("short".into()))
    });
    assert_eq!(body(&document), "short");
}

#[test]
fn a_long_text_and_a_map_take_each_others_place_and_neither_is_seen_in_the_other() {
    let mut document = Document::new(ENTITY);
    let (long, map) = (Value::LongText("abc".into()), Value::from([("a", Value::Int(1))]));
    edit(&mut document, 1, |edit| edit.put("body", long.clone()));
    let refused = document.edit(&by(1), &Limits::DEFAULT, |edit| edit.put(Path::from("body").key("x"), 1));
    assert!(matches!(refused, Err(EditError::Closure(OperationError::WrongKind { found: Kind::LongText, .. }))));
    edit(&mut document, 1, |edit| edit.assign("body", &long, &map));
    assert_eq!(document.read_at("body").unwrap(), Some(map.clone()));
    edit(&mut document, 1, |edit| edit.assign("body", &map, &long));
    assert_eq!(document.read_at("body").unwrap(), Some(long));
    let engine = document.automerge();
    let (_, id) = automerge::ReadDoc::get(engine, automerge::ROOT, "body").unwrap().unwrap();
    assert!(engine.keys(&id).all(|key| key == PART_TEXT), "nothing of the map is left in it");
}

#[test]
fn a_long_text_of_which_only_the_beginning_has_arrived_is_empty_and_is_gone_on_with() {
    let (mut left, mut right) = (Document::new(ENTITY), Document::new(ENTITY));
    let title = edit(&mut left, 1, |edit| edit.put("title", "a"));
    deliver(&mut right, &title);
    let made = edit(&mut left, 1, |edit| edit.splice_long_text("body", 0, 0, "left"));
    assert!(made.len() > 2, "two are derived");
    deliver(&mut right, &made[..1]);
    assert_eq!(right.text_length("body").unwrap(), 0);
    let typed = edit(&mut right, 2, |edit| edit.splice_long_text("body", 0, 0, "right"));
    assert_eq!(body(&right), "right");
    deliver(&mut right, &made[2..]);
    deliver(&mut left, &typed);
    assert_eq!(body(&left), body(&right));
    assert!(["leftright", "rightleft"].contains(&body(&left).as_str()), "{}", body(&left));
}

#[test]
fn what_is_inserted_at_once_stays_together_whatever_others_type_at_the_same_place() {
    for (one, two) in [(1, 2), (2, 1)] {
        let (mut left, mut right) = (Document::new(ENTITY), Document::new(ENTITY));
        let made = edit(&mut left, 3, |edit| edit.put("body", Value::LongText(letters(0, 200))));
        deliver(&mut right, &made);
        let pasted = letters(5_000, 3_000);
        let paste = edit(&mut left, one, |edit| edit.splice_long_text("body", 200, 0, &pasted));
        let line = edit(&mut right, two, |edit| edit.splice_long_text("body", 200, 0, "a line"));
        deliver(&mut left, &line);
        deliver(&mut right, &paste);
        assert_eq!(body(&left), body(&right));
        assert!(body(&left).contains(&pasted) && body(&left).contains("a line"));
    }
}

#[test]
fn many_places_are_changed_at_once_as_they_are_one_by_one() {
    let mut document = Document::new(ENTITY);
    let before: String = (0..3_000).map(|number| format!("w{number} ")).collect();
    edit(&mut document, 1, |edit| edit.put("body", Value::LongText(before.clone())));
    let after = before.replace("7 ", "seven, or so ").replace("3 ", "");
    let (old, new) = (Value::LongText(before), Value::LongText(after.clone()));
    edit(&mut document, 1, |edit| edit.assign("body", &old, &new));
    assert_eq!(body(&document), after);
    assert!(sizes(&document).iter().all(|size| *size <= PART_CHARACTERS_MAX), "{:?}", sizes(&document));
}

#[derive(Debug, Clone)]
struct Splice {
    device: usize,
    /// In thousandths of the text.
    at: usize,
    delete: usize,
    insert: usize,
}

fn splice_strategy() -> impl Strategy<Value = Splice> {
    let insert = prop_oneof![4 => 0usize..4, 1 => 0usize..1_200, 1 => 0usize..2_500];
    let delete = prop_oneof![4 => 0usize..4, 1 => 0usize..2_500];
    (0usize..3, 0usize..=1_000, delete, insert).prop_map(|(device, at, delete, insert)| Splice {
        device,
        at,
        delete,
        insert,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn a_long_text_edited_alone_is_the_string_that_its_edits_make(
        splices in prop::collection::vec(splice_strategy(), 1..14), assigned in "[a-c\n ]{0,40}",
    ) {
        let (mut document, mut other) = (Document::new(ENTITY), Document::new(ENTITY));
        let (mut model, mut typed) = (String::new(), 0);
        for Splice { at, delete, insert, .. } in splices {
            let length = model.chars().count();
            let position = length * at / 1_000;
            let delete = delete.min(length - position);
            let text = letters(typed, insert);
            typed += insert;
            let changes = edit(&mut document, 1, |edit| edit.splice_long_text("body", position, delete, &text));
            splice(&mut model, position, delete, &text);
            prop_assert_eq!(&body(&document), &model);
            prop_assert_eq!(document.text_length("body").unwrap(), model.chars().count());
            let slice: String = model.chars().skip(position).take(100).collect();
            prop_assert_eq!(document.text_slice("body", position..position + 100).unwrap(), slice);
            prop_assert!(sizes(&document).iter().all(|size| *size <= PART_CHARACTERS_MAX));
            for verdict in deliver(&mut other, &changes) {
                prop_assert_eq!(verdict, Verdict::Applied);
            }
        }
        prop_assert_eq!(other.read(), document.read());
        let before = document.read_at("body").unwrap().unwrap_or_default();
        edit(&mut document, 1, |edit| edit.assign("body", &before, &Value::LongText(assigned.clone())));
        prop_assert_eq!(body(&document), assigned);
    }

    #[test]
    fn of_long_texts_that_three_devices_edit_nothing_is_lost_doubled_or_out_of_order(
        rounds in prop::collection::vec(prop::collection::vec(splice_strategy(), 1..6), 1..4),
    ) {
        let mut documents: [Document; 3] = std::array::from_fn(|_| Document::new(ENTITY));
        let (mut typed, mut gone, mut all) = (0, BTreeSet::new(), BTreeSet::new());
        for round in rounds {
            let mut made: [Vec<LocalChange>; 3] = Default::default();
            for Splice { device, at, delete, insert } in round {
                let text: Vec<char> = body(&documents[device]).chars().collect();
                let position = text.len() * at / 1_000;
                let delete = delete.min(text.len() - position);
                let inserted = letters(typed, insert);
                typed += insert;
                gone.extend(&text[position..position + delete]);
                all.extend(inserted.chars());
                made[device].extend(edit(&mut documents[device], device as u8 + 1, |edit| {
                    edit.splice_long_text("body", position, delete, &inserted)
                }));
            }
            let seen: Vec<Vec<char>> = documents.iter().map(|document| body(document).chars().collect()).collect();
            for (device, document) in documents.iter_mut().enumerate() {
                for (_, changes) in made.iter().enumerate().filter(|(from, _)| *from != device) {
                    for verdict in deliver(document, changes) {
                        prop_assert!(matches!(verdict, Verdict::Applied | Verdict::Held), "{:?}", verdict);
                    }
                }
            }
            let merged: Vec<char> = body(&documents[0]).chars().collect();
            prop_assert_eq!(&merged.iter().collect::<String>(), &body(&documents[1]));
            prop_assert_eq!(&merged.iter().collect::<String>(), &body(&documents[2]));
            let standing: BTreeSet<char> = merged.iter().copied().collect();
            prop_assert_eq!(standing.len(), merged.len(), "nothing stands twice");
            prop_assert_eq!(&standing, &all.difference(&gone).copied().collect(), "what nobody deleted stands");
            for seen in seen {
                let kept: Vec<char> = seen.into_iter().filter(|character| standing.contains(character)).collect();
                let mine: BTreeSet<char> = kept.iter().copied().collect();
                let order: Vec<char> = merged.iter().copied().filter(|character| mine.contains(character)).collect();
                prop_assert_eq!(order, kept, "in the order in which everybody saw it");
            }
        }
    }
}

#[test]
fn a_long_text_that_is_spliced_as_an_ordinary_one_stays_in_parts() {
    let mut document = Document::new(ENTITY);
    edit(&mut document, 1, |edit| edit.splice_long_text("body", 0, 0, &"line\n".repeat(500)));
    edit(&mut document, 1, |edit| {
        edit.splice_text("body", 2_000, 4, "word")?;
        edit.splice_text("body", 0, 0, "x")
    });
    let Some(Value::LongText(text)) = document.read_at("body").unwrap() else { panic!("it is no long text") };
    assert_eq!(text, format!("x{}word{}", "line\n".repeat(400), "\n".to_owned() + &"line\n".repeat(99)));
    let refused = document.edit(&by(1), &Limits::DEFAULT, |edit| edit.splice_text("body", 2_502, 0, "x"));
    assert!(matches!(refused, Err(EditError::Closure(OperationError::OutOfRange { position: 2_502, length: 2_501 }))));
}

#[test]
fn as_many_characters_go_into_a_long_text_at_once_as_its_parts_leave_room_for() {
    let operations_max = usize::try_from(Limits::DEFAULT.change_operations_max).unwrap();
    let insert = |characters: usize| {
        let mut document = Document::new(ENTITY);
        document.edit(&by(1), &Limits::DEFAULT, |edit| edit.splice_long_text("body", 0, 0, &"x".repeat(characters)))
    };
    let parts = operations_max / PIECE_CHARACTERS_MAX + 2;
    let _ = insert(operations_max - parts * PART_OPERATIONS as usize).unwrap();
    let refused = insert(operations_max);
    assert!(matches!(refused, Err(EditError::Closure(OperationError::TooManyOperations { .. }))), "{refused:?}");
}

/// What a device writes that read a text where of another's long text the map alone had arrived.
fn written_into_the_map_alone(
    place: &Path,
    after: Value,
    made: impl FnOnce(&mut Edit<'_>) -> Result<(), OperationError>,
) {
    let (mut left, mut right) = (Document::new(ENTITY), Document::new(ENTITY));
    let around = edit(&mut left, 1, |edit| edit.put("list", Value::List(vec![Value::from([("a", Value::Int(1))])])));
    deliver(&mut right, &around);
    let begun = edit(&mut left, 1, made);
    assert_eq!(begun.iter().filter(|change| change.derived).count(), 2, "the map, and the text in it");
    deliver(&mut right, begun.get(..1).unwrap());
    assert_eq!(right.text_length(place.clone()).unwrap(), 0);
    let typed = edit(&mut right, 2, |edit| edit.assign(place.clone(), &Value::Text(String::new()), &after));
    deliver(&mut right, begun.get(1..).unwrap());
    deliver(&mut left, &typed);
    let read = left.read_at(place.clone()).unwrap();
    assert_eq!(right.read_at(place.clone()).unwrap(), read);
    assert!(
        [Value::LongText("x of the rest".into()), Value::LongText(" of the restx".into())]
            .contains(&read.clone().unwrap()),
        "{read:?}"
    );
}

#[test]
fn what_is_typed_where_the_map_of_a_long_text_alone_has_arrived_stays_with_the_rest() {
    let mut marked = RichText::from("x");
    marked.mark(0..1, "bold", true);
    let rest = || Value::LongText(" of the rest".into());
    for after in [Value::Text("x".into()), Value::LongText("x".into()), Value::Str("x".into()), Value::RichText(marked)]
    {
        written_into_the_map_alone(&Path::from("body"), after.clone(), |edit| edit.put("body", rest()));
        let within = Path::from("list").index(0).key("body");
        written_into_the_map_alone(&within, after, |edit| edit.put(within.clone(), rest()));
    }
}

#[test]
fn a_deletion_takes_the_characters_that_are_meant_where_one_element_has_several() {
    for (position, delete) in (0..8).flat_map(|position| (0..=8 - position).map(move |delete| (position, delete))) {
        for is_long in [true, false] {
            let mut document = Document::new(ENTITY);
            let begun = if is_long { Value::LongText("xy".into()) } else { Value::Text("xy".into()) };
            edit(&mut document, 1, |edit| edit.put("body", begun));
            let text = match parts(&document).first() {
                Some(segment) => segment.text.clone(),
                None => document.automerge().get(automerge::ROOT, "body").unwrap().unwrap().1,
            };
            edit(&mut document, 1, |edit| {
                edit.raw(|transaction| {
                    transaction.insert(&text, 1, "abc")?;
                    transaction.insert(&text, 4, "def")
                })
            });
            let mut wanted = "xabcdefy".to_owned();
            edit(&mut document, 1, |edit| edit.splice_long_text("body", position, delete, "new"));
            splice(&mut wanted, position, delete, "new");
            let read = document.read_at("body").unwrap().unwrap();
            if delete > 0 {
                assert_eq!(read.as_str(), Some(wanted.as_str()), "{delete} from {position} on, long: {is_long}");
            }
            assert_eq!(read.as_str().unwrap().chars().count(), wanted.chars().count());
        }
    }
}

#[test]
fn a_deletion_within_an_element_of_several_characters_leaves_the_part_behind_it() {
    let mut document = Document::new(ENTITY);
    edit(&mut document, 1, |edit| edit.put("body", Value::LongText(letters(0, 1_024))));
    edit(&mut document, 1, |edit| edit.splice_long_text("body", 10, 0, "inner"));
    let first = parts(&document).first().unwrap().clone();
    assert_eq!(first.length, 10, "a part stands behind ten characters");
    edit(&mut document, 1, |edit| edit.raw(|transaction| transaction.insert(&first.text, 10, "abc")));
    let mut wanted = body(&document);
    for _ in 0..2 {
        edit(&mut document, 1, |edit| edit.splice_long_text("body", 11, 1, ""));
        splice(&mut wanted, 11, 1, "");
        assert!(body(&document) == wanted && wanted.contains("inner"));
    }
}
