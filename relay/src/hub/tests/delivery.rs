use super::*;
use crate::testing::noise;
use afield_core::limits::SLOW_READER_TIMEOUT_MS;

#[test]
fn nothing_is_answered_or_delivered_before_the_commit() {
    let mut relay = Relay::new();
    let (one, two) = (relay.device(1), relay.device(2));
    let mut author = Author::new(1, 1);
    let changes = [author.edit("a"), author.edit("b")];
    relay.push_bytes(one, 1, author.entity, &changes);
    while relay.hub.serve(100, relay.now()) {}
    relay.drain();
    assert_eq!((relay.seen(one), relay.seen(two)), (vec![], vec![]), "R1");

    relay.turn();
    let expected = [Seen::Receipt(1, stored(1, 2)), Seen::Chunks { after: 0, parts: own(1, 0, 2) }];
    assert_eq!(relay.seen(one), expected, "its own chunks are named, not sent");
    assert_eq!(relay.seen(two), [Seen::Chunks { after: 0, parts: vec![Part::Batch(changes.to_vec())] }]);
}

#[test]
fn a_new_device_gets_everything_without_asking_again() {
    let mut relay = Relay::new();
    let one = relay.device(1);
    let mut author = Author::new(1, 1);
    relay.push(one, 1, &mut author, &["a", "b", "c"]);
    relay.turn();
    let token = relay.token.reveal().to_owned();
    let two = relay.connect_as(Some(&token));
    relay.send(two, ToRelay::Hello(hello(2)));
    relay.send(two, open(SPACE, None));
    let mut other = Author::new(2, 2);
    relay.push(two, 1, &mut other, &["made offline"]);
    relay.turn();
    let seen = relay.seen(two);
    assert!(
        matches!(
            &seen[..],
            [
                Seen::Welcome(spaces),
                Seen::Opened(_),
                Seen::Receipt(1, runs),
                Seen::Chunks { after: 0, parts },
                Seen::CaughtUp(4),
            ] if *spaces == [SPACE] && *runs == stored(4, 1)
                && matches!(&parts[..], [Part::Batch(chunks), Part::Own { push: 1, index: 0, count: 1 }] if chunks.len() == 3)
        ),
        "{seen:?}"
    );
}

#[test]
fn a_reader_at_the_head_hears_only_that_there_is_nothing() {
    let mut relay = Relay::new();
    let one = relay.device(1);
    relay.push(one, 1, &mut Author::new(1, 1), &["a"]);
    relay.turn();
    let cursor = head(&mut relay);
    let token = relay.token.reveal().to_owned();
    let two = relay.connect_as(Some(&token));
    relay.send(two, ToRelay::Hello(hello(2)));
    relay.send(two, open(SPACE, Some(cursor)));
    relay.turn();
    assert_eq!(relay.seen(two), [Seen::Welcome(vec![SPACE]), Seen::CaughtUp(1)]);
}

pub(super) fn head(relay: &mut Relay) -> Cursor {
    let now = relay.now();
    let read = |position| afield_core::session::ReadRequest {
        channel: Channel(0),
        space: SPACE,
        position,
        told: position,
        bytes_max: usize::MAX,
        filter: std::sync::Arc::default(),
        snapshots: None,
    };
    let principal = Principal::ANYONE;
    let stranger = Cursor::start(LogId::from_bytes([255; 16]));
    let log = match relay.hub.log.read(principal, &read(stranger), now).unwrap().into_inner() {
        afield_core::session::ReadAnswer::Reset(log) => log,
        other => panic!("{other:?}"),
    };
    match relay.hub.log.read(principal, &read(Cursor::start(log)), now).unwrap().into_inner() {
        afield_core::session::ReadAnswer::Run { run, .. } => run.after(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn many_sessions_share_one_commit_and_one_encoding() {
    let mut relay = Relay::new();
    let writers: Vec<_> = (1..=10).map(|number| relay.device(number)).collect();
    let readers: Vec<_> = (11..=20).map(|number| relay.device(number)).collect();
    let before = relay.hub.log.write_transactions();
    for (number, writer) in (1..).zip(&writers) {
        relay.push(*writer, 1, &mut Author::new(number, number), &["hello"]);
    }
    relay.turn();
    assert_eq!(relay.hub.log.write_transactions() - before, 1);
    let messages: BTreeSet<_> = readers.iter().map(|reader| relay.raw(*reader)).collect();
    assert_eq!(messages.len(), 1, "all readers get the same bytes");
    for (number, writer) in (1..).zip(&writers) {
        let seen = relay.seen(*writer);
        assert_eq!(seen[0], Seen::Receipt(1, stored(number, 1)));
        assert_eq!(foreign(&seen).len(), 9);
    }
}

#[test]
fn a_slow_reader_costs_its_own_progress_only() {
    let mut relay = Relay::new();
    let (writer, slow) = (relay.device(1), relay.device(2));
    relay.links.get_mut(&slow).unwrap().stuck = true;
    let mut author = Author::new(1, 1);
    for number in 1..=30 {
        let text = noise(number, 100_000);
        relay.push(writer, number, &mut author, &[&text]);
        relay.turn();
    }
    assert_eq!(relay.seen(writer).len(), 60, "the writer has all receipts and positions");
    let before = foreign(&relay.seen(slow)).len();
    let queued = relay.hub.sessions[&slow].session.queued_bytes();
    assert!((1..30).contains(&before) && queued < 2 * SEND_QUEUE_BYTES_MAX, "R8: {before} {queued}");

    let mut own_author = Author::new(2, 2);
    relay.push(slow, 1, &mut own_author, &["pushed by the slow one"]);
    relay.turn();
    assert!(matches!(relay.seen(slow)[..], [Seen::Receipt(1, _)]), "its pushes go on");
    assert_eq!(foreign(&relay.seen(writer)).len(), 1);

    relay.unstick(slow);
    relay.turn();
    assert_eq!(before + foreign(&relay.seen(slow)).len(), 30, "R9: nothing was left out");
    assert!(!relay.is_closed(slow));
}

#[test]
fn a_reader_that_takes_nothing_for_too_long_ends() {
    let mut relay = Relay::new();
    let (writer, slow) = (relay.device(1), relay.device(2));
    relay.links.get_mut(&slow).unwrap().stuck = true;
    let mut author = Author::new(1, 1);
    for number in 0..4 {
        let text = noise(number, 350_000);
        relay.push(writer, number + 1, &mut author, &[&text]);
        relay.turn();
    }
    relay.pass(SLOW_READER_TIMEOUT_MS - 1);
    assert!(!relay.is_closed(slow), "the control");
    relay.pass(1);
    assert_eq!(relay.seen(slow).pop(), Some(Seen::Goodbye(GoodbyeCode::SlowReader)));
    assert!(relay.is_closed(slow) && !relay.is_closed(writer));
}

#[test]
fn a_reader_has_its_time_from_when_its_queue_is_full_and_not_from_when_something_was_in_it() {
    let mut relay = Relay::new();
    let (writer, slow) = (relay.device(1), relay.device(2));
    relay.links.get_mut(&slow).unwrap().stuck = true;
    let mut author = Author::new(1, 1);
    relay.push(writer, 1, &mut author, &["a few bytes"]);
    relay.turn();
    relay.pass(SLOW_READER_TIMEOUT_MS + 5_000);
    for number in 0..4 {
        let text = noise(number, 350_000);
        relay.push(writer, number + 2, &mut author, &[&text]);
        relay.turn();
    }
    relay.pass(SLOW_READER_TIMEOUT_MS - 1);
    assert!(!relay.is_closed(slow), "R8");
    relay.pass(1);
    assert!(relay.is_closed(slow), "the control");
}

#[test]
fn a_reader_that_goes_on_reading_is_never_cut_however_slow_it_is() {
    let mut relay = Relay::new();
    let (writer, slow) = (relay.device(1), relay.device(2));
    relay.links.get_mut(&slow).unwrap().stuck = true;
    let mut author = Author::new(1, 1);
    for number in 0..4 {
        let text = noise(number, 350_000);
        relay.push(writer, number + 1, &mut author, &[&text]);
        relay.turn();
    }
    for _ in 0..50 {
        relay.pass(SLOW_READER_TIMEOUT_MS - 1);
        assert!(!relay.is_closed(slow), "R8: it costs its own progress only");
        relay.hub.handle_sent(slow, 1, relay.now());
    }
    relay.hub.handle_sent(slow, 0, relay.now());
    relay.pass(SLOW_READER_TIMEOUT_MS);
    assert!(relay.is_closed(slow), "the control");
}

#[test]
fn a_device_that_pushes_and_never_reads_its_receipts_ends() {
    let mut relay = Relay::new();
    let (greedy, other) = (relay.device(1), relay.device(2));
    relay.links.get_mut(&greedy).unwrap().stuck = true;
    relay.hub.queue_bytes_end = 64 * 1024;
    // A change of many dependencies that are not in the log makes the largest answer for its size.
    let mut author = Author::new(1, 1);
    author.edit("base");
    let mut others: Vec<_> = (2..=40).map(|actor| author.fork(actor)).collect();
    for other in &mut others {
        other.edit("concurrent");
        author.merge(other);
    }
    let orphan = author.edit("after all of them");
    let collection: Collection = "notes".parse().unwrap();
    let batch = wire::encode_batch((0..64).map(|number| BatchChunk {
        entity: afield_core::EntityId::from_bytes([number; 16]),
        collection: &collection,
        kind: ChunkKind::Change,
        bytes: &orphan,
    }));
    let mut pushes = 0;
    while !relay.is_closed(greedy) {
        pushes += 1;
        assert!(pushes < 10_000, "R8: the queue has no end");
        let push = Push { number: PushNumber(pushes), channel: Channel(0), batch: batch.as_slice().into() };
        relay.send(greedy, ToRelay::Push(push));
        relay.turn();
    }
    let seen = relay.seen(greedy);
    let missing = |seen: &Seen| match seen {
        Seen::Receipt(_, runs) => {
            runs.iter().map(|run| if let ReceiptRun::Refused { missing, .. } = run { missing.len() } else { 0 }).sum()
        }
        _ => 0,
    };
    assert_eq!(missing(&seen[0]), 1_024, "no more than a device can use at once");
    assert_eq!(seen.last(), Some(&Seen::Goodbye(GoodbyeCode::SlowReader)));
    assert!(!relay.is_closed(other));
}

#[test]
fn readers_take_turns_within_the_budget() {
    let mut relay = Relay::new();
    let writer = relay.device(1);
    let mut author = Author::new(1, 1);
    for number in 1..=6 {
        let text = noise(number, 400_000);
        relay.push(writer, number, &mut author, &[&text]);
        relay.turn();
    }
    let token = relay.token.reveal().to_owned();
    let readers = [2, 3].map(|number| {
        let id = relay.connect_as(Some(&token));
        relay.send(id, ToRelay::Hello(hello(number)));
        relay.send(id, open(SPACE, None));
        relay.drain();
        id
    });
    let mut got = [0, 0];
    while relay.hub.serve(1, at(0)) {
        relay.drain();
        for (count, reader) in got.iter_mut().zip(readers) {
            *count += foreign(&relay.seen(reader)).len();
        }
        assert!(got[0].abs_diff(got[1]) <= 2, "one read each, in turn: {got:?}");
    }
    relay.drain();
    for (count, reader) in got.iter_mut().zip(readers) {
        *count += foreign(&relay.seen(reader)).len();
    }
    assert_eq!(got, [6, 6]);
}

#[test]
fn an_open_starts_anew_and_no_receipt_of_before_comes_after_it() {
    let mut relay = Relay::new();
    let one = relay.device(1);
    let mut author = Author::new(1, 1);
    let change = author.edit("pushed before");
    relay.push_bytes(one, 1, author.entity, std::slice::from_ref(&change));
    relay.send(one, open(SPACE, None));
    relay.push_bytes(one, 2, author.entity, std::slice::from_ref(&change));
    relay.turn();
    let seen = relay.seen(one);
    assert!(
        matches!(&seen[..], [Seen::Opened(_), Seen::CaughtUp(0), Seen::Receipt(2, runs), Seen::Chunks { parts, .. }]
            if *runs == stored(1, 1) && *parts == own(2, 0, 1)),
        "{seen:?}"
    );
}

#[test]
fn a_turn_has_one_commit_however_often_a_session_pushes_and_opens() {
    let mut relay = Relay::new();
    let (restless, other) = (relay.device(1), relay.device(2));
    let before = relay.hub.log.write_transactions();
    let mut author = Author::new(1, 1);
    for number in 1..=100 {
        relay.push(restless, number, &mut author, &[&number.to_string()]);
        relay.send(restless, open(SPACE, None));
    }
    relay.push(other, 1, &mut Author::new(2, 2), &["beside it"]);
    relay.turn();
    assert_eq!(relay.hub.log.write_transactions() - before, 1, "R8: its fsyncs are nobody else's wait");
    assert!(matches!(relay.seen(other)[0], Seen::Receipt(1, _)), "the control");
    assert!(!relay.is_closed(restless));
    assert_eq!(relay.hub.pending_bytes, 0);
}

#[test]
fn a_session_that_left_is_forgotten_but_what_it_pushed_is_kept() {
    let mut relay = Relay::new();
    let one = relay.device(1);
    relay.push(one, 1, &mut Author::new(1, 1), &["a", "b"]);
    relay.hub.disconnect(one);
    relay.turn();
    assert_eq!(relay.seen(one), []);
    assert_eq!(relay.everything().len(), 2);
    let Hub { sessions, devices, spaces, pending, dirty, deadlines, expiries, .. } = &relay.hub;
    assert!(sessions.is_empty() && devices.is_empty() && spaces.is_empty() && pending.is_empty());
    assert!(dirty.is_empty() && deadlines.is_empty() && expiries.is_empty());
    assert_eq!(relay.hub.poll_timeout(), Some(2_000), "who was here is written down soon");
    relay.pass(2_000);
    assert_eq!(relay.hub.poll_timeout(), None);
}

#[test]
fn what_waits_for_the_commit_is_counted_with_everything_it_holds() {
    use afield_core::limits::BATCH_CHUNKS_MAX;
    let mut relay = Relay::new();
    let collection: Collection = "notes".parse().unwrap();
    let (entity, kind) = (Author::new(1, 1).entity, ChunkKind::Change);
    let empty = || BatchChunk { entity, collection: &collection, kind, bytes: &[] };
    let batch = wire::encode_batch((0..BATCH_CHUNKS_MAX).map(|_| empty()));
    assert!(batch.len() < 3 * BATCH_CHUNKS_MAX, "{} bytes on the wire", batch.len());
    let push = Push { number: PushNumber(1), channel: Channel(0), batch: batch.as_slice().into() };
    let message = wire::encode_to_relay(&ToRelay::Push(push));
    let held = BATCH_CHUNKS_MAX * size_of::<afield_core::wire::DecodedChunk>();
    // One session may not have more than that on its way.
    let pushes = PENDING_BYTES_MAX / held + 2;
    let devices: Vec<_> = (1..=u8::try_from(pushes).unwrap()).map(|number| relay.device(number)).collect();
    relay.hub.handle_message(devices[0], &message, relay.now());
    assert!(relay.hub.pending_bytes >= held, "{} of {held}", relay.hub.pending_bytes);
    devices[1..].iter().for_each(|device| relay.hub.handle_message(*device, &message, relay.now()));
    assert!(relay.hub.pending.len() < pushes, "R8: a full turn was committed at once");
    relay.turn();
    let receipts = |device: &SessionId| relay.seen(*device).iter().any(|seen| matches!(seen, Seen::Receipt(..)));
    assert!(devices.iter().all(receipts), "the control: all are answered");
}

#[test]
fn a_device_that_pushes_more_than_may_wait_for_its_receipt_ends() {
    use afield_core::limits::{BATCH_CHUNKS_MAX, CHANGE_BYTES_MAX, IN_FLIGHT_BYTES_MAX, IN_FLIGHT_CHUNKS_MAX};
    let collection: Collection = "notes".parse().unwrap();
    let (entity, kind) = (Author::new(1, 1).entity, ChunkKind::Change);
    let bytes = vec![7; CHANGE_BYTES_MAX];
    let cases = [
        ("chunks", BATCH_CHUNKS_MAX / 2, &[][..], 2 * IN_FLIGHT_CHUNKS_MAX / BATCH_CHUNKS_MAX),
        ("bytes", 1, bytes.as_slice(), IN_FLIGHT_BYTES_MAX / CHANGE_BYTES_MAX),
    ];
    for (case, chunks, bytes, allowed) in cases {
        let mut relay = Relay::new();
        let (greedy, other) = (relay.device(1), relay.device(2));
        let batch =
            wire::encode_batch((0..chunks).map(|_| BatchChunk { entity, collection: &collection, kind, bytes }));
        let push = |relay: &mut Relay, device, number: usize| {
            let number = PushNumber(number as u64);
            relay.send(device, ToRelay::Push(Push { number, channel: Channel(0), batch: batch.as_slice().into() }));
        };
        // Twice as many as may wait, with a turn between them.
        for number in 1..=allowed {
            push(&mut relay, greedy, number);
        }
        relay.turn();
        for number in allowed + 1..=2 * allowed {
            push(&mut relay, greedy, number);
        }
        assert!(!relay.is_closed(greedy), "{case}: the control, all of it was allowed");
        push(&mut relay, greedy, 2 * allowed + 1);
        relay.turn();
        assert_eq!(relay.seen(greedy).last(), Some(&Seen::Goodbye(GoodbyeCode::Protocol)), "{case}: R8");
        assert!(relay.is_closed(greedy) && !relay.is_closed(other), "{case}");
    }
}

#[test]
fn a_space_with_much_to_read_leaves_room_for_the_others_of_its_session() {
    let mut relay = Relay::new();
    let writer = relay.device(1);
    let mut author = Author::new(1, 1);
    for number in 1..=4 {
        let text = noise(number, 350_000);
        relay.push(writer, number, &mut author, &[&text]);
        relay.turn();
    }
    let small = SpaceId::from_bytes([2; 16]);
    let live = relay.device(2);
    relay.send(live, open(small, None));
    relay.push(live, 1, &mut Author::new(2, 2), &["in the small space"]);
    relay.turn();
    let token = relay.token.reveal().to_owned();
    let phone = relay.connect_as(Some(&token));
    relay.send(phone, ToRelay::Hello(hello(3)));
    relay.send(phone, open(SPACE, None));
    relay.send(
        phone,
        ToRelay::Open(Open {
            channel: Channel(1),
            space: small,
            cursor: None,
            create: false,
            raw: false,
            filter: afield_core::Filter::Everything,
            partial: false,
            invitation: None,
        }),
    );
    for _ in 0..2 {
        relay.hub.serve(1, relay.now());
        relay.drain();
    }
    let lengths: Vec<_> = foreign(&relay.seen(phone)).iter().map(Vec::len).collect();
    assert!(lengths.iter().any(|length| *length < 1_000), "one run of each space: {lengths:?}");
    relay.turn();
    assert_eq!(lengths.len() + foreign(&relay.seen(phone)).len(), 5, "R9");
}

#[test]
fn a_reader_is_not_cut_for_the_time_in_which_the_hub_stood_still() {
    let mut relay = Relay::new();
    let (writer, reader) = (relay.device(1), relay.device(2));
    relay.links.get_mut(&reader).unwrap().stuck = true;
    let mut author = Author::new(1, 1);
    for number in 0..4 {
        let text = noise(number, 350_000);
        relay.push(writer, number + 1, &mut author, &[&text]);
        relay.turn();
    }
    // One slow commit; meanwhile the reader pushed and its link took everything, in this order.
    relay.now_ms += SLOW_READER_TIMEOUT_MS + 1_000;
    relay.push(reader, 1, &mut Author::new(2, 2), &["pushed meanwhile"]);
    relay.unstick(reader);
    relay.pass(0);
    assert!(!relay.is_closed(reader), "R8: it did read");
    assert!(relay.seen(reader).iter().any(|seen| matches!(seen, Seen::Receipt(1, _))));
}
