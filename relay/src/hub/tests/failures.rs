use super::*;
use crate::log::{Fault, FaultPoint};
use crate::testing::noise;

#[test]
fn a_failed_commit_ends_the_sessions_that_waited_for_it_and_no_other() {
    let mut relay = Relay::new();
    let (one, two, idle) = (relay.device(1), relay.device(2), relay.device(3));
    let mut failures = 1;
    relay.hub.log_mut().inject_faults(move |point| {
        let fails = point == FaultPoint::BeforeCommit && failures > 0;
        failures -= i32::from(fails);
        fails.then_some(Fault::Error)
    });
    let mut authors = [Author::new(1, 1), Author::new(2, 2)];
    relay.push(one, 1, &mut authors[0], &["a"]);
    relay.push(two, 1, &mut authors[1], &["b"]);
    relay.turn();
    for id in [one, two] {
        assert_eq!(relay.seen(id), [Seen::Goodbye(GoodbyeCode::Internal)], "R1: no receipt");
        assert!(relay.is_closed(id));
    }
    assert_eq!(relay.seen(idle), []);
    let again = relay.device(1);
    relay.push(again, 1, &mut Author::new(3, 3), &["c"]);
    relay.turn();
    assert!(matches!(relay.seen(again)[0], Seen::Receipt(1, _)), "the control: the relay goes on");
    assert_eq!(foreign(&relay.seen(idle)).len(), 1);
}

#[test]
fn a_receipt_lost_after_the_commit_is_not_a_second_change() {
    let mut relay = Relay::new();
    let one = relay.device(1);
    relay.hub.log_mut().inject_faults(|point| (point == FaultPoint::AfterCommit).then_some(Fault::Crash));
    let mut author = Author::new(1, 1);
    let changes = [author.edit("a"), author.edit("b")];
    relay.push_bytes(one, 1, author.entity, &changes);
    relay.turn();
    assert_eq!(relay.seen(one), [Seen::Goodbye(GoodbyeCode::Internal)]);

    let Relay { hub, token, .. } = relay;
    let log = SqliteLog::from_connection(hub.into_log().into_connection()).unwrap();
    let hub = Hub::new(log, Access::Tokens, Limits::DEFAULT, Seeded(9));
    let mut relay = Relay { hub, now_ms: 0, token, links: BTreeMap::new() };
    let one = relay.device(1);
    relay.push_bytes(one, 1, author.entity, &changes);
    relay.turn();
    let duplicates = vec![ReceiptRun::Duplicate { first: Sequence::new(1), count: 2 }];
    assert_eq!(relay.seen(one), [Seen::Receipt(1, duplicates)], "S3");
    assert_eq!(relay.everything().len(), 2);
}

#[test]
fn a_bad_frame_ends_its_own_session() {
    let mut relay = Relay::new();
    let (bad, good) = (relay.device(1), relay.device(2));
    let whole = wire::encode_to_relay(&open(SPACE, None));
    relay.push(bad, 1, &mut Author::new(2, 2), &["pushed before"]);
    relay.hub.handle_message(bad, &whole[..whole.len() - 1], at(0));
    relay.push(good, 1, &mut Author::new(1, 1), &["a"]);
    relay.turn();
    assert!(matches!(relay.seen(bad)[..], [Seen::Goodbye(GoodbyeCode::BadFrame)]), "and nothing after the Goodbye");
    assert!(relay.is_closed(bad));
    assert!(matches!(relay.seen(good)[0], Seen::Receipt(1, _)));
    assert_eq!(relay.everything().len(), 2);
}

#[test]
fn a_space_has_one_channel_in_a_session_and_a_channel_may_move_on() {
    let mut relay = Relay::new();
    let one = relay.device(1);
    let elsewhere = SpaceId::from_bytes([2; 16]);
    relay.send(one, open(elsewhere, None));
    relay.turn();
    let two = relay.device(2);
    relay.push(two, 1, &mut Author::new(1, 1), &["in the space that was left"]);
    relay.turn();
    assert!(matches!(relay.seen(one)[..], [Seen::Opened(_), Seen::CaughtUp(0)]));

    let frame = Open {
        channel: Channel(1),
        space: elsewhere,
        cursor: None,
        create: false,
        raw: false,
        filter: afield_core::Filter::Everything,
        partial: false,
        invitation: None,
    };
    relay.send(one, ToRelay::Open(frame));
    relay.turn();
    assert_eq!(relay.seen(one), [Seen::Goodbye(GoodbyeCode::Protocol)]);
}

#[test]
fn a_relay_that_was_restored_while_sessions_live_resets_them_all() {
    let mut relay = Relay::new();
    let (one, two) = (relay.device(1), relay.device(2));
    let mut author = Author::new(1, 1);
    relay.push(one, 1, &mut author, &["kept"]);
    relay.turn();
    let backup = relay.hub.log_mut().snapshot().unwrap();
    relay.push(one, 2, &mut author, &["lost"]);
    relay.turn();
    relay.seen(one);
    relay.seen(two);

    relay.hub.log_mut().restore(&backup).unwrap();
    relay.pass(1_000);
    for id in [one, two] {
        assert!(matches!(relay.seen(id)[..], [Seen::Reset(_)]), "R4: nobody had to do anything");
    }
    relay.push(one, 3, &mut author, &["ignored until it opens again"]);
    relay.turn();
    assert_eq!(relay.seen(one), []);
    relay.send(one, open(SPACE, None));
    relay.turn();
    let seen = relay.seen(one);
    assert_eq!(foreign(&seen).len(), 1);
    assert!(matches!(seen.last(), Some(Seen::CaughtUp(1))));
}

#[test]
fn a_restored_log_that_is_written_past_old_positions_resets_at_once() {
    let mut relay = Relay::new();
    let (one, two) = (relay.device(1), relay.device(2));
    let mut author = Author::new(1, 1);
    let backup = relay.hub.log_mut().snapshot().unwrap();
    relay.push(one, 1, &mut author, &["lost", "lost, too"]);
    relay.turn();
    relay.hub.disconnect(one);
    relay.seen(two);
    relay.hub.log_mut().restore(&backup).unwrap();
    let three = relay.device(3);
    relay.push(three, 1, &mut Author::new(3, 3), &["a", "b", "c"]);
    relay.turn();
    assert!(matches!(relay.seen(two)[..], [Seen::Reset(_)]), "R4, R9");
    assert!(matches!(relay.seen(three)[..], [Seen::Receipt(1, _), Seen::Chunks { after: 0, .. }]), "the control");
}

#[test]
fn a_reader_that_was_told_more_than_the_log_holds_is_reset_although_it_stands_lower() {
    for is_told in [true, false] {
        let mut relay = Relay::new();
        let (writer, slow) = (relay.device(1), relay.device(2));
        relay.links.get_mut(&slow).unwrap().stuck = true;
        let mut author = Author::new(1, 1);
        for number in 1..=15 {
            relay.push(writer, number, &mut author, &[&noise(number, 100_000)]);
            relay.turn();
        }
        let before = foreign(&relay.seen(slow)).len();
        assert!((1..15).contains(&before), "it stands below the end of the log: {before}");
        let backup = relay.hub.log_mut().snapshot().unwrap();
        if is_told {
            relay.push(slow, 1, &mut Author::new(2, 2), &["known by its receipt, above where its reader stands"]);
            relay.turn();
            assert_eq!(relay.seen(slow), [Seen::Receipt(1, stored(16, 1))]);
        }

        relay.hub.log_mut().restore(&backup).unwrap();
        relay.unstick(slow);
        relay.turn();
        let seen = relay.seen(slow);
        if is_told {
            assert!(matches!(seen[..], [Seen::Reset(_)]), "R4: {seen:?}");
        } else {
            assert_eq!(before + foreign(&seen).len(), 15, "the control: what it knows is there");
        }
    }
}

#[test]
fn damage_in_one_space_ends_that_space_and_no_session() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let mut relay = Relay::with(SqliteLog::open(&path).unwrap());
    let one = relay.device(1);
    relay.push(one, 1, &mut Author::new(1, 1), &["a", "b", "c"]);
    relay.turn();
    rusqlite::Connection::open(&path).unwrap().execute("DELETE FROM chunks WHERE position & 0xffff = 2", []).unwrap();
    let token = relay.token.reveal().to_owned();
    let two = relay.connect_as(Some(&token));
    relay.send(two, ToRelay::Hello(hello(2)));
    relay.send(two, open(SPACE, None));
    let healthy = SpaceId::from_bytes([2; 16]);
    let other = Open {
        channel: Channel(1),
        space: healthy,
        cursor: None,
        create: true,
        raw: false,
        filter: afield_core::Filter::Everything,
        partial: false,
        invitation: None,
    };
    relay.send(two, ToRelay::Open(other));
    relay.turn();
    let seen = relay.seen(two);
    assert!(seen.contains(&Seen::Refused(SpaceCode::Unavailable)), "{seen:?}");
    assert!(seen.contains(&Seen::CaughtUp(0)), "the other space is served");
    assert!(!relay.is_closed(two));
}

#[test]
fn a_decayed_chunk_travels_on_its_own_and_the_rest_in_batches() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    let mut relay = Relay::with(SqliteLog::open(&path).unwrap());
    let one = relay.device(1);
    relay.push(one, 1, &mut Author::new(1, 1), &["a", "b", "c"]);
    relay.turn();
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute("UPDATE chunks SET bytes = zeroblob(9) WHERE position & 0xffff = 2", [])
        .unwrap();
    let token = relay.token.reveal().to_owned();
    let two = relay.connect_as(Some(&token));
    relay.send(two, ToRelay::Hello(hello(2)));
    relay.send(two, open(SPACE, None));
    relay.turn();
    let seen = relay.seen(two);
    let chunks = seen.iter().find_map(|seen| if let Seen::Chunks { parts, .. } = seen { Some(parts) } else { None });
    assert!(
        matches!(&chunks.unwrap()[..], [Part::Batch(_), Part::Raw(bytes), Part::Batch(_)] if *bytes == vec![0; 9]),
        "{seen:?}"
    );
}

#[test]
fn a_relay_that_stops_commits_first_and_sends_everybody_away_for_a_moment() {
    let mut relay = Relay::new();
    let (one, two) = (relay.device(1), relay.device(2));
    relay.push(one, 1, &mut Author::new(1, 1), &["a"]);
    relay.hub.shutdown(relay.now());
    relay.drain();
    let retries: Vec<_> = [one, two]
        .map(|id| {
            let messages = relay.raw(id);
            let last = Message::open(messages.last().unwrap()).unwrap();
            match last.to_device().unwrap() {
                ToDevice::Goodbye(frame) => (frame.code, frame.retry_after_ms.unwrap()),
                other => panic!("{other:?}"),
            }
        })
        .to_vec();
    assert!(retries.iter().all(|(code, ms)| *code == GoodbyeCode::GoingAway && (500..=5_000).contains(ms)));
    assert_ne!(retries[0].1, retries[1].1, "not all at once");
    assert!(relay.is_closed(one) && relay.is_closed(two));
    assert_eq!(relay.everything().len(), 1);
}

#[test]
fn a_refused_chunk_is_answered_with_its_reason_and_the_rest_goes_on() {
    let mut relay = Relay::new();
    let one = relay.device(1);
    let mut author = Author::new(1, 1);
    let (first, second) = (author.edit("first"), author.edit("second"));
    relay.push_bytes(one, 1, author.entity, std::slice::from_ref(&second));
    relay.turn();
    let seen = relay.seen(one);
    assert!(
        matches!(&seen[..], [Seen::Receipt(1, runs)]
            if matches!(&runs[..], [ReceiptRun::Refused { code: ChunkCode::MissingDependencies, count: 1, missing }] if missing.len() == 1)),
        "{seen:?}"
    );
    relay.push_bytes(one, 2, author.entity, &[first, second]);
    relay.turn();
    assert_eq!(relay.seen(one)[0], Seen::Receipt(2, stored(1, 2)), "the control");
}
