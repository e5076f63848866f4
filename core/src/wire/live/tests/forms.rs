//! One chunk has one form over a state: what else would bring it, and leave another state behind, is refused.

use super::*;
use crate::change::{Column, Parts};
use crate::wire::batch::BatchField;
use crate::wire::row::body::{Body, Columns};

/// A change made of another one: with other columns, and on top of some change, where that is given.
fn remade<'a>(
    bytes: &'a [u8],
    columns: &dyn Fn(Vec<Column<'a>>) -> Vec<Column<'a>>,
    on: Option<(&[u8], u64)>,
) -> Vec<u8> {
    let parts = Parts::read(bytes, &LIMITS).unwrap();
    let dependencies: Vec<_> = match on {
        Some((on, _)) => vec![ChangeHeader::read(on, &LIMITS).unwrap().hash],
        None => parts.dependencies().collect(),
    };
    let body = Body {
        dependencies: &dependencies,
        actor: parts.actor,
        sequence: parts.sequence,
        start_op: on.map_or(parts.start_op.get(), |(_, start_op)| start_op),
        time_ms: parts.time_ms,
        message: parts.message,
        others: &parts.other_actors().collect::<Vec<_>>(),
        columns: Columns::Verbatim(&columns(parts.columns.iter().copied().collect())),
        extra: parts.extra,
    };
    let (mut scratch, mut out) = (Vec::new(), Vec::new());
    body.write(&mut scratch, &mut out);
    frame_body(&out, hash_of(&out))
}

/// Two documents that share a text made by the first, with the changes so far.
fn shared_text() -> (automerge::AutoCommit, automerge::AutoCommit, automerge::ObjId, Vec<Vec<u8>>) {
    let (mut one, mut two) = (samples::document(1), samples::document(2));
    let text = one.put_object(ROOT, "text", ObjType::Text).unwrap();
    one.splice_text(&text, 0, 0, "a").unwrap();
    let made = vec![samples::commit(&mut one, 1_000)];
    two.merge(&mut one).unwrap();
    (one, two, text, made)
}

#[test]
fn other_actors_that_the_slots_name_are_never_listed() {
    let notes = collection("notes");
    let (_, mut two, text, mut changes) = shared_text();
    for key in 0..4 {
        two.splice_text(&text, 1 + key, 0, "x").unwrap();
        changes.push(samples::commit(&mut two, 1_000 + 100 * key as i64));
    }
    let mut writer = LiveState::new();
    let items: Vec<_> =
        changes.iter().map(|bytes| writer.encode(&change(entity(1), &notes, bytes), |_, _| None)).collect();
    let reader = || {
        let mut reader = LiveState::new();
        items[..4].iter().for_each(|item| assert!(decode(&mut reader, item).is_ok()));
        reader
    };
    let last = &items[4];
    let [head, time, letter] = last[..] else { panic!("all but time and letter is as predicted: {last:?}") };
    // The writer is the actor used last, and whoever made the text comes right after.
    let listed = [head | control::RARE, rare::OTHERS, time, 1, 2, letter];
    let too_many = BatchError::TooMany { field: BatchField::Ids, found: 1, maximum: 0 };
    assert_eq!(decode(&mut reader(), &listed), Err(too_many), "the lists of the two ends would not be the same");
    assert!(matches!(&decode(&mut reader(), last).unwrap()[..], [LiveItem::Chunk(chunk)] if chunk.bytes == changes[4]));
    // Without a shape nobody is implied, and an empty list says nothing.
    let plain = remade(&changes[0], &|columns| with_another(columns), None);
    let item = LiveState::new().encode(&change(entity(1), &notes, &plain), |_, _| None);
    assert!(decode(&mut LiveState::new(), &item).is_ok(), "the control");
    let place = item.len() - verbatim_bytes(&plain);
    let listed = match item[0] & control::RARE {
        0 => [&[item[0] | control::RARE, rare::OTHERS], &item[1..place], &[0], &item[place..]].concat(),
        _ => [&[item[0], item[1] | rare::OTHERS], &item[2..place], &[0], &item[place..]].concat(),
    };
    let too_many = BatchError::TooMany { field: BatchField::Ids, found: 0, maximum: 0 };
    assert_eq!(decode(&mut LiveState::new(), &listed), Err(too_many));
}

/// How many bytes the columns of a change take at the end of a row that carries them as they are, its code included.
fn verbatim_bytes(bytes: &[u8]) -> usize {
    let parts = Parts::read(bytes, &LIMITS).unwrap();
    let mut out = Vec::new();
    crate::wire::row::body::write_verbatim(&parts.columns.iter().copied().collect::<Vec<_>>(), &mut out);
    1 + out.len()
}

/// Columns and one more that no shape has: a number for each of two operations.
fn with_another(mut columns: Vec<Column<'_>>) -> Vec<Column<'_>> {
    columns.push(Column { number: 0xf2, offset: 0, data: &[2, 7] });
    columns
}

#[test]
fn a_row_without_a_shape_has_as_many_operations_as_its_change() {
    let notes = collection("notes");
    let (_, _, _, changes) = shared_text();
    // A text and a letter in it: two operations.
    let first = remade(&changes[0], &|columns| with_another(columns), None);
    assert_eq!(ChangeHeader::read(&first, &LIMITS).unwrap().operations, 2);
    for (start_op, is_predicted) in [(3, true), (2, false), (4, false)] {
        let mut stream = Stream::default();
        let (item, _) = stream.send(&change(entity(1), &notes, &first));
        assert_ne!(item[0] & control::SHAPE, 0, "the control: its columns stand as they are");
        let next = remade(&changes[0], &|columns| columns, Some((&first, start_op)));
        let (item, _) = stream.send(&change(entity(1), &notes, &next));
        let says_start = item[0] & control::RARE != 0 && item[1] & rare::START_OP != 0;
        assert_eq!(says_start, !is_predicted, "{start_op}");
    }
}

#[test]
fn texts_that_are_empty_or_long_are_named_each_time() {
    let notes = collection("notes");
    let key = |length: usize| "k".repeat(length);
    // Automerge takes no empty key, the format does.
    let put = |length: usize| {
        let mut document = samples::document(1);
        document.put(ROOT, key(length.max(1)), 7_i64).unwrap();
        let bytes = samples::commit(&mut document, 1_000);
        match length {
            0 => remade(&bytes, &|columns| columns.into_iter().map(emptied).collect(), None),
            _ => bytes,
        }
    };
    let row =
        |state: &mut LiveState, length: usize| state.encode(&change(entity(1), &notes, &put(length)), |_, _| None);
    for (length, is_remembered) in
        [(0, false), (1, true), (LIVE_TEXT_BYTES_MAX, true), (LIVE_TEXT_BYTES_MAX + 1, false), (200, false)]
    {
        let mut stream = Stream::default();
        let bytes = put(length);
        let sizes: Vec<_> = (0..3).map(|_| stream.send(&change(entity(1), &notes, &bytes)).0.len()).collect();
        let named_bytes = if length == 0 { 0 } else { length };
        assert_eq!(sizes[1], sizes[2], "{length}");
        assert_eq!(sizes[1] < named_bytes.max(12), is_remembered || length == 0, "{length}: {sizes:?}");
        // A row that leaves such a text to be predicted names nothing that its reader has.
        let (mut writer, mut reader) = (LiveState::new(), LiveState::new());
        row(&mut writer, 5);
        row(&mut reader, length);
        let predicted = row(&mut writer, 5);
        let decoded = decode(&mut reader, &predicted);
        let no_text =
            BatchError::BadReference { field: BatchField::Values, found: 0, maximum: reader.texts.len() as u64 };
        assert_eq!(decoded.as_ref().err() == Some(&no_text), !is_remembered, "{length}: {decoded:?}");
    }
}

/// The column of keys with the empty one in the place of `k`.
fn emptied(column: Column<'_>) -> Column<'_> {
    let keys = 0x15;
    if column.number == keys { Column { data: &[0x7f, 0], ..column } } else { column }
}

#[test]
fn the_author_is_named_as_the_author_also_where_it_is_predicted_by_its_id() {
    let notes = collection("notes");
    let (mut one, mut two, text, _) = shared_text();
    two.splice_text(&text, 1, 0, "b").unwrap();
    let by_two = samples::commit(&mut two, 2_000);
    one.merge(&mut two).unwrap();
    one.splice_text(&text, 2, 0, "c").unwrap();
    let by_one = samples::commit(&mut one, 2_100);
    // The stream has seen nothing of the first before: the last row says that the text is the first's, by its id.
    let mut stream = Stream::default();
    stream.send(&change(entity(1), &notes, &by_two));
    let before = LiveState::new().encode(&change(entity(1), &notes, &by_two), |_, _| None);
    let (item, decoded) = stream.send(&change(entity(1), &notes, &by_one));
    assert_eq!(decoded.bytes, by_one, "the control");
    // Whichever flag of a slot is cleared and whichever byte is left out: no other item brings the same change.
    let (mut shorter, mut by_its_id) = (0, 0);
    for flags in 1..item.len() {
        for bit in (0..8).filter(|bit| item[flags] >> bit & 1 != 0) {
            for left_out in flags + 1..item.len() {
                let mut other = item.clone();
                other[flags] ^= 1 << bit;
                other.remove(left_out);
                let mut reader = LiveState::new();
                assert!(decode(&mut reader, &before).is_ok());
                let actors = reader.actors.len() as u64;
                match decode(&mut reader, &other) {
                    Ok(items) => {
                        let is_same = |item: &LiveItem| matches!(item, LiveItem::Chunk(chunk) if chunk.bytes == by_one);
                        assert!(!items.iter().any(is_same), "{other:?} for {item:?}");
                    }
                    Err(BatchError::BadReference { field: BatchField::Values, found: 0, maximum }) => {
                        by_its_id += usize::from(maximum == actors);
                    }
                    Err(_) => {}
                }
                shorter += 1;
            }
        }
    }
    assert!(shorter > 0 && by_its_id > 0, "{shorter} tried");
}

#[test]
fn a_change_that_can_be_a_row_does_not_travel_raw() {
    let notes = collection("notes");
    let good = samples::every_kind().swap_remove(0);
    let hostile = frame_body(b"hostile", hash_of(b"hostile"));
    let item = LiveState::new().encode(&change(entity(1), &notes, &hostile), |_, _| None);
    assert!(decode(&mut LiveState::new(), &item).is_ok(), "the control");
    let head = item.len() - hostile.len() - 1;
    let mut raw = item[..head].to_vec();
    crate::change::leb::write_unsigned(&mut raw, good.len() as u64);
    raw.extend(&good);
    let refused = decode(&mut LiveState::new(), &raw);
    assert!(matches!(refused, Err(BatchError::BadReference { field: BatchField::Control, .. })), "{refused:?}");
}

#[test]
fn columns_that_have_a_shape_do_not_travel_as_they_are() {
    let notes = collection("notes");
    let (_, _, _, changes) = shared_text();
    let shapeless = remade(&changes[0], &|columns| with_another(columns), None);
    let item = LiveState::new().encode(&change(entity(1), &notes, &shapeless), |_, _| None);
    assert!(decode(&mut LiveState::new(), &item).is_ok(), "the control");
    // The head of the row is the same, so that with the columns of the first it would be the first.
    let mut verbatim = item[..item.len() - verbatim_bytes(&shapeless)].to_vec();
    verbatim.push(VERBATIM as u8);
    let parts = Parts::read(&changes[0], &LIMITS).unwrap();
    let columns: Vec<_> = parts.columns.iter().copied().collect();
    crate::wire::row::body::write_verbatim(&columns, &mut verbatim);
    let refused = decode(&mut LiveState::new(), &verbatim);
    assert!(matches!(refused, Err(BatchError::BadReference { field: BatchField::Shapes, .. })), "{refused:?}");
}

#[test]
fn what_a_list_has_is_not_put_into_it_again() {
    let notes = collection("notes");
    let changes = keystrokes(4);
    let mut writer = LiveState::new();
    let items: Vec<_> =
        changes.iter().map(|bytes| writer.encode(&change(entity(1), &notes, bytes), |_, _| None)).collect();
    let after = |item: &[u8]| {
        let mut reader = LiveState::new();
        items[..3].iter().for_each(|item| assert!(decode(&mut reader, item).is_ok()));
        decode(&mut reader, item)
    };
    let [head, rest @ ..] = &items[3][..] else { panic!("an item has a head") };
    let with = |flag: u8, fields: &[u8]| [&[head | flag], fields, rest].concat();
    let new = NEW as u8;
    let entity_of = |id: u8, collection: &[u8]| [&[new], &[id; 16][..], collection].concat();
    let author = samples::document(5).get_actor().to_bytes().to_vec();
    let id = |id: &[u8]| [&[new, 16], id].concat();
    let known = 1;
    for (item, field) in [
        (with(control::ENTITY, &entity_of(1, &[known])), Some(BatchField::Ids)),
        (with(control::ENTITY, &entity_of(2, &[known])), None),
        (with(control::ENTITY, &entity_of(2, b"\0\x05notes")), Some(BatchField::Collections)),
        (with(control::ENTITY, &entity_of(2, b"\0\x05tasks")), None),
        (with(control::ACTOR, &id(&author)), Some(BatchField::Ids)),
        (with(control::ACTOR, &[known]), None),
        (items[3].clone(), None),
    ] {
        match (after(&item), field) {
            (Ok(_), None) => {}
            (Err(BatchError::BadReference { field: found, .. }), Some(field)) => assert_eq!(found, field),
            (other, _) => panic!("{item:?}: {other:?}"),
        }
    }
    // A shape that is known is not defined anew.
    let place = items[0].len() - shape_bytes(&changes[0]);
    let twice = [&[head | control::SHAPE], &rest[..1], &items[0][place..]].concat();
    let refused = after(&twice);
    assert!(matches!(refused, Err(BatchError::BadReference { field: BatchField::Shapes, .. })), "{refused:?}");
}

/// How many bytes a new shape takes at the end of the first row of a stream, its code and values included.
fn shape_bytes(bytes: &[u8]) -> usize {
    let notes = collection("notes");
    let mut stream = LiveState::new();
    let item = stream.encode(&change(entity(1), &notes, bytes), |_, _| None);
    let definition = &stream.shapes.get(0).unwrap().definition;
    let at = item.windows(definition.len()).rposition(|window| *window == **definition).unwrap();
    item.len() - at + 1
}
