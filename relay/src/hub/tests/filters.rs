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
        invitation: None,
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
fn a_collection_that_is_left_out_is_passed_over_and_all_others_come() {
    let mut relay = Relay::new();
    let but = |name: &str| Filter::Everything.without(&[name.parse().unwrap()].into());
    let (one, without) = (relay.device(1), relay.filtered_device(2, but("notes")));
    let with = relay.filtered_device(3, but("photos"));
    relay.seen(without);
    relay.seen(with);
    let mut author = Author::new(1, 1);
    let change = author.edit("a");
    relay.push_bytes(one, 1, author.entity, std::slice::from_ref(&change));
    relay.turn();
    let brings = |seen: &[Seen]| matches!(seen, [Seen::Chunks { parts, .. } | Seen::Jump { parts, .. }] if *parts == [Part::Batch(vec![change.clone()])]);
    assert_eq!(relay.seen(without), []);
    let seen = relay.seen(with);
    assert!(brings(&seen), "{seen:?}");
    relay.send(without, filtered(but("photos"), true));
    relay.turn();
    let seen = relay.seen(without);
    assert!(brings(&seen), "what was passed without a word is looked at again: {seen:?}");
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
        relay.send(two, ToRelay::Open(Open { channel, space, cursor, create, raw, filter, partial, invitation: None }));
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

/// Serves one read at a time, as often as is allowed; answers whether there was nothing more to read.
fn comes_to_rest(relay: &mut Relay, reads: usize) -> bool {
    (0..reads).any(|_| {
        let is_more = relay.hub.serve(1, relay.now());
        relay.drain();
        !is_more
    })
}

#[test]
fn a_filtered_reader_finds_the_end_of_a_log_that_nobody_knows_and_comes_to_rest() {
    for (filter, asks) in
        [(only(&[9]), false), (only(&[9]), true), (Filter::Everything, false), (Filter::Everything, true)]
    {
        let mut relay = Relay::new();
        let (one, two) = (relay.device(1), relay.filtered_device(2, filter));
        relay.push(one, 1, &mut Author::new(1, 1), &["a"]);
        relay.turn();
        relay.seen(two);
        relay.hub.disconnect(one);
        relay.hub.log.create_token(&Token::new(&mut Seeded(9)), &NewToken::default(), at(0)).unwrap();
        relay.now_ms += 1_001;
        relay.hub.handle_timeout(relay.now());
        if asks {
            relay.send(two, ToRelay::CatchUp(wire::CatchUp { channel: Channel(0) }));
        }
        assert!(comes_to_rest(&mut relay, 3), "a reader with nothing to read keeps nobody busy");
        assert_eq!(relay.seen(two).last() == Some(&Seen::CaughtUp(1)), asks, "R9");
    }
}

#[test]
fn what_a_page_told_has_to_stay_in_the_log_from_then_on() {
    for is_restored in [true, false] {
        let mut relay = Relay::new();
        let one = relay.device(1);
        relay.push(one, 1, &mut Author::new(2, 2), &["a", "b"]);
        relay.turn();
        let before = relay.hub.log.snapshot().unwrap();
        relay.push(one, 2, &mut Author::new(3, 3), &["c", "d"]);
        relay.turn();
        let regrown = relay.hub.log.snapshot().unwrap();
        relay.hub.disconnect(one);
        relay.hub.log.restore(&before).unwrap();
        let two = relay.filtered_device(2, Filter::nothing());
        let three = relay.device(3);
        relay.push(three, 1, &mut Author::new(1, 1), &["x"]);
        relay.turn();
        relay.seen(two);
        relay.send(two, fetch(1, only(&[1]), 0));
        relay.hub.serve(1, relay.now());
        relay.drain();
        let seen = relay.seen(two);
        assert!(matches!(seen[..], [Seen::Fetched { upto: 3, .. }]), "the page comes before the run: {seen:?}");
        if is_restored {
            relay.hub.log.restore(&regrown).unwrap();
        }
        relay.turn();
        let seen = relay.seen(two);
        match &seen[..] {
            [Seen::Reset(_)] => assert!(is_restored, "the control"),
            [Seen::Chunks { after: 2, .. }] => assert!(!is_restored, "R4, D5: {seen:?}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_fetch_from_above_the_end_of_the_log_finds_nothing_there() {
    let mut relay = Relay::new();
    let two = relay.device(2);
    relay.push(two, 1, &mut Author::new(1, 1), &["a"]);
    relay.turn();
    relay.seen(two);
    for filter in [Filter::collections(["notes".parse().unwrap()]), only(&[1]), Filter::Everything] {
        for (after, chunks) in [(99, 0), (1, 0), (0, 1)] {
            relay.send(two, fetch(1, filter.clone(), after));
            relay.turn();
            let seen = relay.seen(two);
            let [Seen::Fetched { upto, done: true, .. }] = &seen[..] else {
                panic!("{filter:?} after {after}: {seen:?}")
            };
            assert_eq!((*upto, foreign(&seen).len()), (after.max(1), chunks), "{filter:?}");
        }
    }
}

#[test]
fn nobody_hears_of_another_device_above_what_it_was_told_itself() {
    let mut relay = Relay::new();
    let (one, two) = (relay.filtered_device(1, Filter::nothing()), relay.device(2));
    let progress = |sequence| ToRelay::Progress(Progress { channel: Channel(0), sequence: Sequence::new(sequence) });
    let mut author = Author::new(1, 1);
    relay.push(one, 1, &mut author, &["a"]);
    relay.turn();
    relay.push(two, 1, &mut Author::new(2, 2), &["b", "c"]);
    relay.turn();
    relay.seen(one);
    relay.send(two, progress(3));
    relay.turn();
    assert_eq!(relay.seen(one), [Seen::Stored(1)], "R4: it was told of nothing above");
    relay.push(one, 2, &mut author, &["d"]);
    relay.turn();
    assert!(relay.seen(one).contains(&Seen::Stored(3)), "and it is told when it has been");
}

#[test]
fn what_a_device_has_stored_counts_once_its_log_is_known_to_be_the_same() {
    let mut relay = Relay::new();
    let (one, two) = (relay.device(1), relay.device(2));
    relay.push(one, 1, &mut Author::new(1, 1), &["a"]);
    relay.turn();
    relay.seen(one);
    relay.hub.log.create_token(&Token::new(&mut Seeded(9)), &NewToken::default(), at(0)).unwrap();
    relay.now_ms += 1_001;
    relay.hub.handle_timeout(relay.now());
    relay.send(two, ToRelay::Progress(Progress { channel: Channel(0), sequence: Sequence::new(1) }));
    relay.drain();
    assert_eq!(relay.seen(one), [], "somebody else may have put another log in its place");
    relay.turn();
    assert_eq!(relay.seen(one), [Seen::Stored(1)], "the control");
}

#[test]
fn what_a_refused_space_was_asked_for_leaves_room_for_what_others_are() {
    let mut relay = Relay::new();
    let one = relay.device(1);
    let other = SpaceId::from_bytes([60; 16]);
    let (channel, cursor, create, raw, filter, partial) = (Channel(1), None, true, false, Filter::nothing(), false);
    relay.send(
        one,
        ToRelay::Open(Open { channel, space: other, cursor, create, raw, filter, partial, invitation: None }),
    );
    relay.turn();
    for number in 1..=FETCHES_MAX as u64 {
        relay.send(one, fetch(number, only(&[1]), 0));
    }
    // More than a session may keep: the space is refused.
    let id = |number: usize| EntityId::from_bytes((number as u128).to_be_bytes());
    for channel in 2..=5 {
        let many = Filter::nothing().entities((0..16_384).map(id));
        let space = SpaceId::from_bytes([60 + channel; 16]);
        let channel = Channel(u32::from(channel));
        relay.send(
            one,
            ToRelay::Open(Open { channel, space, cursor, create, raw, filter: many, partial, invitation: None }),
        );
    }
    relay.send(one, filtered(only(&[1]), false));
    let number = FetchNumber(FETCHES_MAX as u64 + 1);
    relay.send(
        one,
        ToRelay::Fetch(Fetch { channel, number, filter: Filter::nothing(), after: Sequence::ZERO, changes: false }),
    );
    relay.turn();
    let seen = relay.seen(one);
    assert!(!relay.is_closed(one) && seen.contains(&Seen::Refused(SpaceCode::Quota)), "{seen:?}");
    assert!(matches!(seen.last(), Some(Seen::Fetched { number: 5, .. })), "{seen:?}");
}

#[test]
fn pushes_whose_numbers_do_not_follow_end_the_session() {
    for (numbers, is_closed) in [([1, 2, 3], false), ([1, 2, 4], true), ([1, 1, 2], true), ([2, 3, 4], true)] {
        let mut relay = Relay::new();
        let one = relay.device(1);
        let mut author = Author::new(1, 1);
        for (number, value) in numbers.into_iter().zip(["a", "b", "c"]) {
            relay.push(one, number, &mut author, &[value]);
        }
        relay.turn();
        assert_eq!(relay.is_closed(one), is_closed, "{numbers:?}");
        let goodbye = relay.seen(one).contains(&Seen::Goodbye(GoodbyeCode::Protocol));
        assert_eq!(goodbye, is_closed, "{numbers:?}");
    }
}
