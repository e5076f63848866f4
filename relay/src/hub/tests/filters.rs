use super::*;
use crate::testing::noise;
use afield_core::limits::{FETCHES_MAX, SESSION_FILTER_ENTITIES_MAX, SILENT_SEQUENCES_MAX};
use afield_core::wire::{Fetch, FetchNumber, NewFilter, Progress};
use afield_core::{EntityId, Filter};

fn only(entities: &[u8]) -> Filter {
    Filter::nothing().entities(entities.iter().map(|entity| EntityId::from_bytes([*entity; 16])))
}

fn open_with(filter: Filter) -> ToRelay<'static> {
    ToRelay::Open(Open {
        channel: Channel(0),
        space: SPACE,
        cursor: None,
        create: true,
        raw: false,
        filter,
        partial: false,
    })
}

fn fetch(number: u64, filter: Filter, after: u64) -> ToRelay<'static> {
    let (channel, number, after) = (Channel(0), FetchNumber(number), Sequence::new(after));
    ToRelay::Fetch(Fetch { channel, number, filter, after, changes: false })
}

fn filtered(filter: Filter, partial: bool) -> ToRelay<'static> {
    ToRelay::Filter(NewFilter { channel: Channel(0), filter, partial })
}

impl Relay {
    /// A device with a filter that has opened the space; what it has seen is left to be looked at.
    fn filtered_device(&mut self, number: u8, filter: Filter) -> SessionId {
        let token = self.token.reveal().to_owned();
        let id = self.connect_as(Some(&token));
        self.send(id, ToRelay::Hello(hello(number)));
        self.send(id, open_with(filter));
        self.turn();
        id
    }
}

#[test]
fn a_filtered_reader_gets_what_it_asked_for_and_nothing_else() {
    let mut relay = Relay::new();
    let one = relay.device(1);
    let (mut wanted, mut other) = (Author::new(1, 1), Author::new(2, 2));
    let changes = [wanted.edit("a"), wanted.edit("b")];
    relay.push_bytes(one, 1, wanted.entity, &changes);
    relay.push(one, 2, &mut other, &["c"]);
    relay.turn();
    let two = relay.filtered_device(2, only(&[1]));
    let seen = relay.seen(two);
    assert!(
        matches!(
            &seen[2..],
            [Seen::Jump { after: 0, upto: 3, places, parts }, Seen::CaughtUp(3)]
                if *places == [1, 2] && *parts == [Part::Batch(changes.to_vec())]
        ),
        "{seen:?}"
    );
    relay.push(one, 3, &mut other, &["d"]);
    relay.turn();
    assert_eq!(relay.seen(two), [], "what it does not want it hears nothing of");
    let last = wanted.edit("e");
    relay.push_bytes(one, 4, wanted.entity, std::slice::from_ref(&last));
    relay.turn();
    let expected = Seen::Jump { after: 3, upto: 5, places: vec![5], parts: vec![Part::Batch(vec![last])] };
    assert_eq!(relay.seen(two), [expected], "R9: and the frame passes what went before");
}

#[test]
fn who_only_sends_is_told_where_its_own_chunks_stand() {
    let mut relay = Relay::new();
    let (one, two) = (relay.device(1), relay.filtered_device(2, Filter::nothing()));
    relay.seen(two);
    relay.push(one, 1, &mut Author::new(1, 1), &["a", "b"]);
    relay.turn();
    assert_eq!(relay.seen(two), []);
    relay.push(two, 1, &mut Author::new(2, 2), &["c"]);
    relay.turn();
    let jump = Seen::Jump { after: 0, upto: 3, places: vec![3], parts: own(1, 0, 1) };
    assert_eq!(relay.seen(two), [Seen::Receipt(1, stored(3, 1)), jump]);
}

#[test]
fn a_receipt_for_what_was_passed_without_a_word_is_followed_by_a_jump() {
    let mut relay = Relay::new();
    let (one, two) = (relay.device(1), relay.filtered_device(2, Filter::nothing()));
    relay.seen(two);
    let mut author = Author::new(1, 1);
    let change = [author.edit("a")];
    relay.push_bytes(one, 1, author.entity, &change);
    relay.turn();
    assert_eq!(relay.seen(two), [], "it is passed");
    relay.push_bytes(two, 1, author.entity, &change);
    relay.turn();
    let duplicate = vec![ReceiptRun::Duplicate { first: Sequence::new(1), count: 1 }];
    let jump = Seen::Jump { after: 0, upto: 1, places: vec![], parts: vec![] };
    assert_eq!(relay.seen(two), [Seen::Receipt(1, duplicate), jump]);
}

#[test]
fn a_reader_that_wants_nothing_of_it_is_told_now_and_then_how_far_the_log_is() {
    let mut relay = Relay::new();
    let (one, two) = (relay.device(1), relay.filtered_device(2, Filter::nothing()));
    relay.seen(two);
    let mut author = Author::new(1, 1);
    let half = usize::try_from(SILENT_SEQUENCES_MAX / 2).unwrap();
    for number in 1..=2 {
        let changes: Vec<_> = (0..half).map(|at| author.edit(&format!("{number} {at}"))).collect();
        relay.push_bytes(one, number, author.entity, &changes);
        relay.turn();
        let expected = number == 2;
        assert_eq!(!relay.seen(two).is_empty(), expected, "after {number} halves");
    }
}

#[test]
fn another_filter_counts_from_the_next_chunk_on_and_what_was_passed_without_a_word_is_looked_at_again() {
    let mut relay = Relay::new();
    let (one, two) = (relay.device(1), relay.filtered_device(2, only(&[1])));
    relay.seen(two);
    let mut author = Author::new(2, 2);
    let change = author.edit("a");
    relay.push_bytes(one, 1, author.entity, std::slice::from_ref(&change));
    relay.turn();
    assert_eq!(relay.seen(two), []);
    relay.send(two, filtered(Filter::Everything, true));
    relay.turn();
    assert_eq!(relay.seen(two), [Seen::Chunks { after: 0, parts: vec![Part::Batch(vec![change])] }]);
    relay.send(two, filtered(Filter::nothing(), false));
    relay.push(one, 2, &mut author, &["b"]);
    relay.turn();
    assert_eq!(relay.seen(two), []);
}

#[test]
fn what_is_fetched_comes_whole_is_kept_up_to_date_and_what_is_unknown_is_said_to_be() {
    let mut relay = Relay::new();
    let one = relay.device(1);
    let (mut wanted, mut other) = (Author::new(1, 1), Author::new(2, 2));
    let changes = [wanted.edit("a"), wanted.edit("b")];
    relay.push_bytes(one, 1, wanted.entity, &changes[..1]);
    relay.push(one, 2, &mut other, &["c"]);
    relay.push_bytes(one, 3, wanted.entity, &changes[1..]);
    relay.turn();
    let two = relay.filtered_device(2, Filter::nothing());
    relay.seen(two);
    relay.send(two, fetch(1, only(&[1, 9]), 0));
    relay.turn();
    let parts = vec![Part::Batch(changes.to_vec())];
    let page = Seen::Fetched { number: 1, upto: 3, done: true, unknown: 1, places: vec![1, 3], parts };
    assert_eq!(relay.seen(two), [page]);
    let next = wanted.edit("d");
    relay.push(one, 4, &mut other, &["e"]);
    relay.push_bytes(one, 5, wanted.entity, std::slice::from_ref(&next));
    relay.turn();
    let jump = Seen::Jump { after: 3, upto: 5, places: vec![5], parts: vec![Part::Batch(vec![next])] };
    assert_eq!(relay.seen(two), [jump]);
}

#[test]
fn what_does_not_fit_a_frame_is_fetched_in_pages() {
    let mut relay = Relay::new();
    let one = relay.device(1);
    let mut author = Author::new(1, 1);
    let mut changes = Vec::new();
    for number in 1..=4 {
        let change = author.edit(&noise(number, 300_000));
        relay.push_bytes(one, number, author.entity, std::slice::from_ref(&change));
        relay.turn();
        changes.push(change);
    }
    let two = relay.filtered_device(2, Filter::nothing());
    relay.seen(two);
    for filter in [only(&[1]), Filter::collections(["notes".parse().unwrap()]), Filter::Everything] {
        let (mut received, mut after, mut pages) = (Vec::new(), 0, 0);
        loop {
            pages += 1;
            relay.send(two, fetch(pages, filter.clone(), after));
            relay.turn();
            let seen = relay.seen(two);
            received.extend(foreign(&seen));
            let Some(Seen::Fetched { upto, done, .. }) = seen.last() else { panic!("{seen:?}") };
            after = *upto;
            if *done {
                break;
            }
        }
        assert!(received == changes, "R9: {pages} pages bring everything once");
        assert!(pages > 1, "the control");
    }
}

#[test]
fn entities_of_announced_collections_are_named_once_and_not_sent() {
    let mut relay = Relay::new();
    let one = relay.device(1);
    let mut author = Author::new(1, 1);
    relay.push(one, 1, &mut author, &["a", "b"]);
    relay.turn();
    let two = relay.filtered_device(2, Filter::nothing().announcing(["notes".parse().unwrap()]));
    let seen = relay.seen(two);
    let announced = vec![Part::Announced(vec![author.entity])];
    let jump = Seen::Jump { after: 0, upto: 2, places: vec![], parts: announced };
    assert_eq!(seen[2..], [jump, Seen::CaughtUp(2)]);
    relay.push(one, 2, &mut author, &["c"]);
    relay.turn();
    assert_eq!(relay.seen(two), [], "it is known");
    relay.push(one, 3, &mut Author::new(2, 2), &["d"]);
    relay.turn();
    assert!(matches!(relay.seen(two)[..], [Seen::Jump { after: 2, upto: 4, .. }]));
}

#[test]
fn filters_and_fetches_of_a_session_have_a_bound() {
    let mut relay = Relay::new();
    let two = relay.filtered_device(2, Filter::nothing());
    relay.seen(two);
    let many = |first: usize| {
        let id = move |number: usize| EntityId::from_bytes((number as u128).to_be_bytes());
        Filter::nothing().entities((first..first + 16_384).map(id))
    };
    for (channel, space) in (1..=4).map(|number| (Channel(u32::from(number)), SpaceId::from_bytes([number + 50; 16]))) {
        let (cursor, create, raw, filter, partial) = (None, true, false, many(0), false);
        relay.send(two, ToRelay::Open(Open { channel, space, cursor, create, raw, filter, partial }));
    }
    relay.turn();
    assert!(relay.seen(two).iter().all(|seen| !matches!(seen, Seen::Refused(_))), "so many are within the limit");
    assert_eq!(4 * 16_384, SESSION_FILTER_ENTITIES_MAX);
    relay.send(two, fetch(1, only(&[1]), 0));
    relay.turn();
    assert_eq!(relay.seen(two), [Seen::Refused(SpaceCode::Quota)], "R8: one more is not");
    assert!(!relay.is_closed(two));

    let three = relay.device(3);
    for number in 1..=FETCHES_MAX as u64 {
        relay.send(three, fetch(number, Filter::Everything, 0));
    }
    assert!(!relay.is_closed(three));
    relay.send(three, fetch(9, Filter::Everything, 0));
    relay.turn();
    assert!(relay.is_closed(three), "R8");
}

#[test]
fn a_pusher_hears_what_another_device_has_stored_and_a_filtered_one_does_not_count() {
    let mut relay = Relay::new();
    let (one, two) = (relay.device(1), relay.device(2));
    let three = relay.filtered_device(3, only(&[1]));
    relay.seen(three);
    let progress = |sequence| ToRelay::Progress(Progress { channel: Channel(0), sequence: Sequence::new(sequence) });
    relay.push(one, 1, &mut Author::new(1, 1), &["a", "b"]);
    relay.turn();
    relay.seen(one);
    relay.send(one, progress(2));
    relay.send(three, progress(2));
    relay.turn();
    assert_eq!(relay.seen(one), [], "itself and a device with a filter are no other device that has all of it");
    relay.send(two, progress(1));
    relay.turn();
    assert_eq!(relay.seen(one), [Seen::Stored(1)]);
    relay.send(two, progress(99));
    relay.turn();
    assert_eq!(relay.seen(one), [Seen::Stored(2)], "nobody has stored more than it was sent");
    relay.send(two, progress(2));
    relay.turn();
    assert_eq!(relay.seen(one), [], "and nothing is said twice");
}

#[test]
fn a_pusher_that_comes_back_hears_what_another_device_stored_meanwhile() {
    let mut relay = Relay::new();
    let (one, two) = (relay.device(1), relay.device(2));
    relay.push(one, 1, &mut Author::new(1, 1), &["a"]);
    relay.turn();
    relay.hub.disconnect(one);
    relay.send(two, ToRelay::Progress(Progress { channel: Channel(0), sequence: Sequence::new(1) }));
    relay.turn();
    let token = relay.token.reveal().to_owned();
    let again = relay.connect_as(Some(&token));
    relay.send(again, ToRelay::Hello(hello(1)));
    relay.send(again, open(SPACE, None));
    relay.turn();
    assert!(relay.seen(again).contains(&Seen::Stored(1)));
}

#[test]
fn a_page_of_another_history_is_a_reset() {
    let mut relay = Relay::new();
    let one = relay.device(1);
    let before = relay.hub.log.snapshot().unwrap();
    relay.push(one, 1, &mut Author::new(1, 1), &["a"]);
    relay.turn();
    let two = relay.filtered_device(2, only(&[1]));
    relay.seen(two);
    relay.hub.log.restore(&before).unwrap();
    relay.send(two, fetch(1, only(&[1]), 0));
    relay.turn();
    assert!(matches!(relay.seen(two)[..], [Seen::Reset(_)]), "R4");
}
