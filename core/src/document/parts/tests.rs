use super::*;
use crate::Limits;
use crate::document::test_kit::*;
use crate::document::*;
use automerge::marks::{ExpandMark, Mark};
use automerge::transaction::Transactable;
use proptest::prelude::*;

const BODY: &str = "body";

fn map(document: &Document) -> Option<ObjId> {
    match document.automerge().get(automerge::ROOT, BODY).unwrap() {
        Some((automerge::Value::Object(ObjType::Map), map)) => Some(map),
        _ => None,
    }
}

/// What is remembered of the parts, and what a new reading finds.
fn known_and_read(document: &Document) -> (Vec<Segment>, Vec<Segment>) {
    let Some(map) = map(document) else { return Default::default() };
    let known = document.parts.lock().unwrap().segments(document.automerge(), &map, 1);
    (known, Parts::default().segments(document.automerge(), &map, 1))
}

fn is_known(document: &Document, text: &ObjId) -> bool {
    let parts = document.parts.lock().unwrap();
    parts.maps_by_text.get(text).is_some_and(|map| parts.parts.contains_key(map))
}

#[test]
fn a_key_lets_no_part_but_its_own_be_read_again() {
    let (mut document, mut other) = (Document::new(ENTITY), Document::new(ENTITY));
    let made = edit(&mut document, 1, |edit| edit.put(BODY, Value::LongText("x".repeat(5_000))));
    deliver(&mut other, &made);
    edit(&mut document, 1, |edit| edit.splice_long_text(BODY, 2_000, 0, "k"));
    let (segments, _) = known_and_read(&document);
    let texts: BTreeSet<ObjId> = segments.iter().map(|segment| segment.text.clone()).collect();
    assert!(texts.len() > 5);
    edit(&mut document, 1, |edit| edit.splice_long_text(BODY, 2_000, 1, "k"));
    assert!(texts.iter().all(|text| is_known(&document, text)), "an edit knows what it has done");
    let typed = edit(&mut other, 2, |edit| edit.splice_long_text(BODY, 4_000, 0, "k"));
    deliver(&mut document, &typed);
    assert_eq!(texts.iter().filter(|text| !is_known(&document, text)).count(), 1, "one was written to from elsewhere");
    let (known, read) = known_and_read(&document);
    assert_eq!(known, read);
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Splice { at: usize, delete: usize, insert: usize },
    TwoSplices { at: usize, insert: usize },
    Assign { length: usize },
    Replace { with_map: bool },
    Delete,
    Mark { part: usize },
    Block { part: usize, holds_parts: bool },
    RawSplice { part: usize },
    WideInsert { part: usize },
    Fail { at: usize, insert: usize },
    Exchange,
}

fn step() -> impl Strategy<Value = Step> {
    let (at, insert) = (0usize..=1_000, prop_oneof![3 => 1usize..4, 1 => 0usize..2_500]);
    let delete = prop_oneof![3 => 0usize..3, 1 => 0usize..2_500];
    prop_oneof![
        6 => (at.clone(), delete, insert.clone()).prop_map(|(at, delete, insert)| Step::Splice { at, delete, insert }),
        2 => (at.clone(), insert.clone()).prop_map(|(at, insert)| Step::TwoSplices { at, insert }),
        1 => (0usize..4_000).prop_map(|length| Step::Assign { length }),
        1 => any::<bool>().prop_map(|with_map| Step::Replace { with_map }),
        1 => Just(Step::Delete),
        1 => (0usize..10).prop_map(|part| Step::Mark { part }),
        1 => (0usize..10, any::<bool>()).prop_map(|(part, holds_parts)| Step::Block { part, holds_parts }),
        1 => (0usize..10).prop_map(|part| Step::RawSplice { part }),
        2 => (0usize..10).prop_map(|part| Step::WideInsert { part }),
        1 => (at, insert).prop_map(|(at, insert)| Step::Fail { at, insert }),
        3 => Just(Step::Exchange),
    ]
}

/// Writes to one of the parts past the operations of an edit.
fn raw(
    document: &mut Document,
    actor: u8,
    part: usize,
    write: impl FnOnce(&mut automerge::transaction::OwnedTransaction, &Segment) -> Result<(), automerge::AutomergeError>,
) -> Vec<LocalChange> {
    let (_, segments) = known_and_read(document);
    let with_characters: Vec<_> = segments.into_iter().filter(|segment| segment.length > 2).collect();
    let Some(segment) = with_characters.get(part % with_characters.len().max(1)) else { return Vec::new() };
    edit(document, actor, |edit| edit.raw(|transaction| write(transaction, segment)))
}

fn take(document: &mut Document, actor: u8, step: Step) -> Vec<LocalChange> {
    let length = document.text_length(BODY).unwrap_or(0);
    let is_text = document.text_length(BODY).is_ok();
    let place = |at: usize| length * at / 1_000;
    let text = |count: usize| "y".repeat(count);
    match step {
        Step::Splice { at, delete, insert } if is_text => edit(document, actor, |edit| {
            edit.splice_long_text(BODY, place(at), delete.min(length - place(at)), &text(insert))
        }),
        Step::TwoSplices { at, insert } if is_text => edit(document, actor, |edit| {
            edit.splice_long_text(BODY, place(at), 0, &text(insert))?;
            edit.put("title", "between the two")?;
            edit.splice_long_text(BODY, place(at) + insert, 0, "z")?;
            edit.splice_long_text(BODY, place(at), insert, "")
        }),
        Step::Assign { length } if is_text => {
            let before = document.read_at(BODY).unwrap().unwrap_or_default();
            edit(document, actor, |edit| edit.assign(BODY, &before, &Value::LongText(text(length))))
        }
        Step::Replace { with_map: true } => {
            edit(document, actor, |edit| edit.put(BODY, Value::from([("a", Value::Int(1))])))
        }
        Step::Replace { with_map: false } => edit(document, actor, |edit| edit.put(BODY, Value::LongText(text(1_500)))),
        Step::Delete => edit(document, actor, |edit| edit.delete(BODY)),
        Step::Mark { part } => raw(document, actor, part, |transaction, segment| {
            let mark = Mark::new("bold".to_owned(), true, segment.index, segment.index + 1);
            transaction.mark(&segment.text, mark, ExpandMark::None)
        }),
        Step::Block { part, holds_parts } => raw(document, actor, part, |transaction, segment| {
            transaction.split_block(&segment.text, segment.index + 1)?;
            if holds_parts { transaction.put(&segment.part, "_afield_parts", true) } else { Ok(()) }
        }),
        Step::RawSplice { part } => raw(document, actor, part, |transaction, segment| {
            transaction.splice_text(&segment.text, segment.index, 1, "raw")
        }),
        // Three characters that are one element to the engine.
        Step::WideInsert { part } => raw(document, actor, part, |transaction, segment| {
            transaction.insert(&segment.text, segment.index + 1, "abc")
        }),
        Step::Fail { at, insert } if is_text => {
            let failed = document.edit(&by(actor), &Limits::DEFAULT, |edit| {
                edit.splice_long_text(BODY, place(at), 0, &text(insert + 1))?;
                edit.splice_long_text(BODY, usize::MAX, 0, "beyond")
            });
            assert!(failed.is_err());
            Vec::new()
        }
        _ => Vec::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_remembered_of_parts_is_what_reading_them_again_gives(
        steps in prop::collection::vec((0usize..2, step()), 1..16),
    ) {
        let mut documents = [Document::new(ENTITY), Document::new(ENTITY)];
        let mut made: [Vec<LocalChange>; 2] = Default::default();
        made[0] = edit(&mut documents[0], 1, |edit| edit.put(BODY, Value::LongText("x".repeat(3_000))));
        for (device, step) in steps {
            if let Step::Exchange = step {
                let [first, second] = &mut documents;
                deliver(second, &std::mem::take(&mut made[0]));
                deliver(first, &std::mem::take(&mut made[1]));
            } else {
                let changes = take(&mut documents[device], device as u8 + 1, step);
                made[device].extend(changes);
            }
            for document in &documents {
                let (known, read) = known_and_read(document);
                prop_assert_eq!(known, read);
            }
        }
    }
}
