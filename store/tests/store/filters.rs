//! What is asked for of a space, and what of it is still to be fetched.

use crate::help::*;
use afield_core::filter::Filter;
use afield_core::{ChainHash, ChunkKind, Collection, Cursor, EntityId, Sequence};
use afield_store::{Backfill, FilterError, LeftOut, Page, ReceiveError, ReceivedChange, Run, Store, Wanted};

fn named(names: &[&str]) -> Filter {
    Filter::collections(names.iter().map(|name| name.parse().unwrap()))
}

fn wanted(store: &Store) -> Vec<(Wanted, u64)> {
    let backfills = store.backfills(space(1)).unwrap();
    backfills.into_iter().map(|backfill| (backfill.wanted, backfill.after.get())).collect()
}

fn collection(name: &str) -> Wanted {
    Wanted::Collection(name.parse().unwrap())
}

/// A position of log 1 that a relay has named.
fn at(number: u64) -> Cursor {
    Cursor { log: log(1), sequence: sequence(number), chain: ChainHash::from_bytes([number as u8; 32]) }
}

fn jump(
    store: &mut Store,
    to: Cursor,
    received: &[ReceivedChange<'_>],
    left_out: LeftOut<'_>,
) -> Result<afield_store::RunOutcome, ReceiveError> {
    let (space, expected) = (space(1), cursor(store, space(1)));
    let left_out = Some(left_out);
    store.receive(
        &Run { space, expected, cursor_after: to, received, erasures: &[], unreadable: &[], proofs: &[], left_out },
        AT_MS,
    )
}

fn page<'a>(received: &'a [ReceivedChange<'a>], backfills: &'a [Backfill], upto: u64, done: bool) -> Page<'a> {
    Page {
        space: space(1),
        cursor: at(10),
        received,
        erasures: &[],
        unreadable: &[],
        left_out: LeftOut::default(),
        backfills,
        upto: sequence(upto),
        done,
        unknown: &[],
    }
}

#[test]
fn what_was_not_asked_for_before_is_to_be_fetched_and_what_was_is_not() {
    let mut store = two_spaces();
    let _ = store.set_filter(space(1), &named(&["notes"]), true).unwrap();
    assert_eq!(wanted(&store), [], "the log is read from its start");
    let _ = store.set_filter(space(1), &named(&["notes"]), false).unwrap();
    assert_eq!(wanted(&store), []);
    jump(&mut store, at(10), &[], LeftOut::default()).unwrap();
    let _ = store.set_filter(space(1), &named(&["notes", "photos"]), true).unwrap();
    assert_eq!(wanted(&store), [(collection("photos"), 0)]);
    let _ = store.set_filter(space(1), &named(&["notes"]), true).unwrap();
    assert_eq!(wanted(&store), [], "and nobody fetches what is not asked for any more");
    let _ = store.set_filter(space(1), &Filter::Everything, true).unwrap();
    assert_eq!(wanted(&store), [(Wanted::Everything, 0)]);
    let _ = store.set_filter(space(1), &named(&["notes", "photos"]), true).unwrap();
    let pending = [(collection("notes"), 0), (collection("photos"), 0)];
    assert_eq!(wanted(&store), pending, "of everything nothing had been fetched");
    assert_eq!(store.filter(space(1)).unwrap(), named(&["notes", "photos"]));
    assert_eq!(store.filter(space(2)).unwrap(), Filter::Everything, "another space has its own");
}

#[test]
fn a_filter_in_force_while_the_log_is_read_does_not_rest_on_a_cursor_at_its_start() {
    let mut store = two_spaces();
    let _ = store.set_filter(space(1), &named(&["notes"]), false).unwrap();
    assert_eq!(wanted(&store), [], "everything was on its way before");
    let _ = store.set_filter(space(1), &named(&["notes", "photos"]), false).unwrap();
    assert_eq!(wanted(&store), [(collection("photos"), 0)], "a frame may be on its way that leaves it out");
}

#[test]
fn a_page_marks_what_stands_below_the_cursor_and_the_outbox_holds_the_rest() {
    let mut store = two_spaces();
    jump(&mut store, at(10), &[], LeftOut::default()).unwrap();
    let missing = store.want_entities(space(1), &[entity(1)]).unwrap().into_inner();
    assert_eq!(missing, [entity(1)]);
    let (notes, content) = (notes(), [bytes(1), bytes(2)]);
    let change = |index: usize, number| ReceivedChange {
        entity: entity(1),
        collection: &notes,
        hash: hash(index as u32 + 1),
        sequence: sequence(number),
        bytes: &content[index],
    };
    let backfills = store.backfills(space(1)).unwrap();
    let outcome = store.receive_page(&page(&[change(0, 4), change(1, 12)], &backfills, 12, false), AT_MS).unwrap();
    assert_eq!((outcome.added, outcome.cursor), (2, at(10)));
    assert_eq!(outbox(&mut store, space(1)), hashes(&[2]), "D5: it stands above the cursor");
    assert_eq!(wanted(&store), [(Wanted::Entity(entity(1)), 12)]);
    let backfills = store.backfills(space(1)).unwrap();
    store.receive_page(&page(&[], &backfills, 13, true), AT_MS).unwrap();
    assert_eq!(wanted(&store), []);
    jump(&mut store, at(12), &[change(1, 12)], LeftOut::default()).unwrap();
    assert_eq!(outbox(&mut store, space(1)), []);
    let mut other = page(&[], &[], 13, true);
    other.cursor = at(99);
    assert!(matches!(store.receive_page(&other, AT_MS), Err(ReceiveError::CursorMoved { .. })), "above the cursor");
    sound(&store);
}

#[test]
fn an_answer_does_not_end_what_was_asked_for_anew_since() {
    let mut store = two_spaces();
    jump(&mut store, at(10), &[], LeftOut::default()).unwrap();
    let both = named(&["notes", "photos"]);
    let _ = store.set_filter(space(1), &Filter::nothing(), false).unwrap();
    let _ = store.set_filter(space(1), &both, false).unwrap();
    let before = store.backfills(space(1)).unwrap();
    let _ = store.set_filter(space(1), &Filter::nothing(), false).unwrap();
    let _ = store.set_filter(space(1), &both, false).unwrap();
    store.receive_page(&page(&[], &before, 10, true), AT_MS).unwrap();
    assert_eq!(wanted(&store).len(), 2, "between the two filters something may have passed");
    let now = store.backfills(space(1)).unwrap();
    store.receive_page(&page(&[], &now, 10, true), AT_MS).unwrap();
    assert_eq!(wanted(&store), [], "the control");
}

#[test]
fn what_is_announced_is_listed_until_it_is_here_and_what_is_unknown_is_forgotten() {
    let mut store = two_spaces();
    let photos: Collection = "photos".parse().unwrap();
    let _ = store.set_filter(space(1), &Filter::nothing().announcing([photos.clone()]), true).unwrap();
    let announced: Vec<(Collection, EntityId)> = [1, 2].map(|number| (photos.clone(), entity(number))).to_vec();
    jump(&mut store, at(10), &[], LeftOut { announced: &announced, refetched: &[] }).unwrap();
    assert_eq!(store.reader().not_here(space(1)).unwrap(), announced);
    assert!(store.may_be_elsewhere(space(1), &photos, entity(1)).unwrap());
    let _ = store.want_entities(space(1), &[entity(1), entity(9)]).unwrap();
    let (content, backfills) = (bytes(1), store.backfills(space(1)).unwrap());
    let change = ReceivedChange {
        entity: entity(1),
        collection: &photos,
        hash: hash(1),
        sequence: Sequence::new(3),
        bytes: &content,
    };
    let (received, unknown) = ([change], [entity(9)]);
    store.receive_page(&Page { unknown: &unknown, ..page(&received, &backfills, 10, true) }, AT_MS).unwrap();
    assert_eq!(store.reader().not_here(space(1)).unwrap(), announced[1..]);
    let kept = Filter::nothing().entities([entity(1)]).announcing([photos.clone()]);
    assert_eq!(store.filter(space(1)).unwrap(), kept, "what is unknown is not asked for by every session");
    assert_eq!(store.want_entities(space(1), &[entity(1)]).unwrap().into_inner(), [], "it is here");
    let _ = store.set_filter(space(1), &named(&["notes"]), true).unwrap();
    assert_eq!(store.reader().not_here(space(1)).unwrap(), []);
    sound(&store);
}

#[test]
fn what_was_fetched_is_given_up_again_and_what_the_filter_names_is_not() {
    let mut store = two_spaces();
    let named = Filter::nothing().entities([entity(1)]);
    let _ = store.set_filter(space(1), &named, true).unwrap();
    jump(&mut store, at(10), &[], LeftOut::default()).unwrap();
    let _ = store.want_entities(space(1), &[entity(1), entity(2), entity(3)]).unwrap();
    let _ = store.unwant_entities(space(1), &[entity(1), entity(2), entity(9)]).unwrap();
    assert_eq!(store.filter(space(1)).unwrap(), named.clone().entities([entity(1), entity(3)]));
    assert_eq!(wanted(&store), [(Wanted::Entity(entity(1)), 0), (Wanted::Entity(entity(3)), 0)]);
    let missing = store.want_entities(space(1), &[entity(2)]).unwrap().into_inner();
    assert_eq!(missing, [entity(2)], "it is asked for from the start");
    let many: Vec<_> = (0..16_384_u128).map(|number| EntityId::from_bytes(number.to_be_bytes())).collect();
    assert!(matches!(store.want_entities(space(1), &many), Err(FilterError::TooLong { .. })));
    let _ = store.unwant_entities(space(1), &[entity(2), entity(3)]).unwrap();
    let _ = store.set_filter(space(1), &Filter::Everything, true).unwrap();
    assert!(store.want_entities(space(1), &many).is_ok(), "there is room again");
    sound(&store);
}

#[test]
fn a_snapshot_that_was_not_usable_leaves_its_entity_to_be_fetched_as_changes() {
    let mut store = two_spaces();
    let damaged = afield_store::UnreadableChunk {
        entity: entity(1),
        kind: ChunkKind::Snapshot.number(),
        sequence: Sequence::ZERO,
        reason: afield_store::Reason { number: 1, rules: 1 },
        bytes: b"saved",
    };
    let (space, expected, cursor_after) = (space(1), cursor(&store, space(1)), at(10));
    let left_out = Some(LeftOut { announced: &[], refetched: &[entity(1)] });
    let unreadable = &[damaged];
    let run = Run { space, expected, cursor_after, received: &[], erasures: &[], unreadable, proofs: &[], left_out };
    store.receive(&run, AT_MS).unwrap();
    let backfills = store.backfills(space).unwrap();
    assert!(matches!(&backfills[..], [backfill] if backfill.changes && backfill.wanted == Wanted::Entity(entity(1))));
    assert_eq!(store.reader().quarantined(space).unwrap().len(), 1, "D8");
    let _ = store.set_filter(space, &Filter::nothing(), true).unwrap();
    assert_eq!(store.backfills(space).unwrap().len(), 1, "whatever the filter says");
    sound(&store);
}

#[test]
fn after_a_reset_everything_is_on_its_way() {
    let mut store = two_spaces();
    jump(&mut store, at(10), &[], LeftOut::default()).unwrap();
    let _ = store.set_filter(space(1), &Filter::nothing(), true).unwrap();
    let _ = store.set_filter(space(1), &named(&["notes"]), true).unwrap();
    assert_eq!(wanted(&store).len(), 1);
    let _ = store.reset(space(1), log(5), 0).unwrap();
    assert_eq!(wanted(&store), []);
    assert_eq!(store.filter(space(1)).unwrap(), named(&["notes"]));
    sound(&store);
}

#[test]
fn a_filter_beyond_its_limit_or_of_an_unknown_space_changes_nothing() {
    let mut store = two_spaces();
    let _ = store.set_filter(space(1), &named(&["notes"]), true).unwrap();
    let id = |number: u32| EntityId::from_bytes(u128::from(number).to_be_bytes());
    let many = |count: u32| -> Vec<EntityId> { (0..count).map(id).collect() };
    let too_long = Filter::nothing().entities(many(16_385));
    assert!(matches!(store.set_filter(space(1), &too_long, true), Err(FilterError::TooLong { maximum: 16_384 })));
    assert!(matches!(store.want_entities(space(1), &many(16_385)), Err(FilterError::TooLong { .. })));
    assert!(matches!(store.set_filter(space(9), &named(&["notes"]), true), Err(FilterError::UnknownSpace { .. })));
    assert_eq!((store.filter(space(1)).unwrap(), wanted(&store)), (named(&["notes"]), vec![]));
    assert!(store.want_entities(space(1), &many(16_384)).is_ok(), "the control");
}

#[test]
fn a_space_that_is_left_takes_its_filter_along() {
    let mut store = store_in_memory();
    let _ = store.create_space(space(1), "a space", afield_store::Origin::Joined, AT_MS).unwrap();
    let _ = store.set_filter(space(1), &named(&["notes"]), true).unwrap();
    let _ = store.want_entities(space(1), &[entity(1)]).unwrap();
    let _ = store.leave_space(space(1), afield_store::Unsent::Keep).unwrap();
    sound(&store);
}

#[test]
fn another_filter_takes_away_what_was_named_and_an_unknown_entity_only_what_was_fetched() {
    let mut store = two_spaces();
    jump(&mut store, at(10), &[], LeftOut::default()).unwrap();
    let by_name = |numbers: &[u16]| Filter::nothing().entities(numbers.iter().map(|number| entity(*number)));
    let _ = store.set_filter(space(1), &by_name(&[1, 2]), false).unwrap();
    let _ = store.want_entities(space(1), &[entity(2), entity(3), entity(4)]).unwrap();
    assert_eq!(store.filter(space(1)).unwrap(), by_name(&[1, 2, 3, 4]));
    let backfills = store.backfills(space(1)).unwrap();
    let unknown = [entity(1), entity(2), entity(3)];
    store.receive_page(&Page { unknown: &unknown, ..page(&[], &backfills, 7, false) }, AT_MS).unwrap();
    assert_eq!(store.filter(space(1)).unwrap(), by_name(&[1, 2, 4]), "their author may be offline");
    assert_eq!(wanted(&store), [(Wanted::Entity(entity(4)), 7)], "nothing is to be fetched of what is not there");
    let _ = store.set_filter(space(1), &named(&["notes"]), false).unwrap();
    assert_eq!(store.filter(space(1)).unwrap(), named(&["notes"]).entities([entity(4)]));
    assert!(wanted(&store).contains(&(Wanted::Entity(entity(4)), 7)), "and it is fetched as before");
    let _ = store.set_filter(space(1), &Filter::Everything, false).unwrap();
    let _ = store.set_filter(space(1), &Filter::nothing(), false).unwrap();
    assert_eq!(store.filter(space(1)).unwrap(), by_name(&[4]));
    sound(&store);
}
