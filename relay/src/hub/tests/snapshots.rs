//! What readers get of a log in which snapshots stand for chunks.

use super::*;
use crate::log::{Settled, Task};
use crate::testing::noise;
use afield_core::session::{ReadAnswer, ReadRequest};
use afield_core::wire::{Fetch, FetchNumber};
use afield_core::{EntityId, Filter, Sequence};

/// What one entity was given, one change each.
fn edits(author: &mut Author, count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| author.edit(&format!("edit {number}"))).collect()
}

impl Relay {
    fn finish(&mut self, task: Task) {
        while let Some(work) = self.hub.log.gather(task).unwrap() {
            if let Settled::Failed(_) = self.hub.log.settle(work.run()).unwrap().into_inner() {
                return;
            }
        }
    }

    fn pack(&mut self) {
        let tasks = self.hub.log.whole_tasks(SPACE).unwrap().unwrap();
        self.finish(tasks.rows.whatever_it_saves());
    }

    /// Packs all rows, and lets snapshots stand for every entity with eight changes or more.
    fn compact(&mut self) {
        self.pack();
        for (_, snapshot, strip) in self.hub.log.whole_tasks(SPACE).unwrap().unwrap().entities {
            self.finish(snapshot.whatever_it_saves());
            self.finish(strip);
        }
    }

    /// A device that reads from a position on, and what it gets.
    fn reader(&mut self, number: u8, cursor: Option<Cursor>, raw: bool) -> (SessionId, Vec<Seen>) {
        let token = self.token.reveal().to_owned();
        let id = self.connect_as(Some(&token));
        self.send(id, ToRelay::Hello(hello(number)));
        let (channel, space, create, filter, partial) = (Channel(0), SPACE, true, Filter::Everything, false);
        self.send(id, ToRelay::Open(Open { channel, space, cursor, create, raw, filter, partial, invitation: None }));
        self.turn();
        let seen = self.seen(id);
        (id, seen)
    }

    /// The position behind a sequence.
    fn cursor(&mut self, sequence: usize) -> Cursor {
        let log = super::delivery::head(self).log;
        let position = Cursor::start(log);
        let (channel, told, bytes_max) = (Channel(0), position, usize::MAX);
        let (space, filter, snapshots) = (SPACE, std::sync::Arc::default(), None);
        let request = ReadRequest { channel, space, position, told, bytes_max, filter, snapshots };
        let now = self.now();
        let answer = self.hub.log.read(Principal::ANYONE, &request, now).unwrap().into_inner();
        let ReadAnswer::Run { run, .. } = answer else { panic!("{answer:?}") };
        let entry = &run.entries()[sequence - 1];
        Cursor { log, sequence: entry.sequence, chain: entry.chain }
    }
}

fn parts_of(seen: &[Seen]) -> Vec<&Part> {
    let parts = seen.iter().filter_map(|frame| match frame {
        Seen::Chunks { parts, .. } | Seen::Jump { parts, .. } | Seen::Fetched { parts, .. } => Some(parts),
        _ => None,
    });
    parts.flatten().collect()
}

fn snapshots(seen: &[Seen]) -> usize {
    parts_of(seen).iter().filter(|part| matches!(part, Part::Snapshot(_))).count()
}

fn sorted(mut changes: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    changes.sort_unstable();
    changes
}

#[test]
fn a_new_reader_of_a_compacted_log_gets_one_snapshot_and_what_came_after_it() {
    let mut relay = Relay::new();
    let one = relay.device(1);
    let mut author = Author::new(1, 1);
    let changes = edits(&mut author, 40);
    relay.push_bytes(one, 1, author.entity, &changes);
    relay.turn();
    relay.compact();
    let fresh = vec![author.edit("fresh")];
    relay.push_bytes(one, 2, author.entity, &fresh);
    relay.turn();
    let (two, seen) = relay.reader(2, None, false);
    let parts = vec![Part::Snapshot(changes.clone()), Part::Batch(fresh.clone())];
    assert_eq!(seen[2..], [Seen::Jump { after: 0, upto: 41, places: vec![41], parts }, Seen::CaughtUp(41)]);
    relay.push(one, 3, &mut author, &["more"]);
    relay.turn();
    assert!(matches!(relay.seen(two)[..], [Seen::Chunks { after: 41, .. }]), "and it goes on as ever");
    let (_, seen) = relay.reader(3, None, true);
    assert_eq!(snapshots(&seen), 0, "who asks for raw chunks gets them");
    assert_eq!(foreign(&seen)[..41], [changes, fresh].concat());
}

#[test]
fn a_reader_in_the_middle_gets_the_snapshot_where_enough_of_it_is_news_and_the_chunks_otherwise() {
    let mut relay = Relay::new();
    let one = relay.device(1);
    let mut author = Author::new(1, 1);
    let mut changes = Vec::new();
    for round in 1..=5 {
        let some = edits(&mut author, 20);
        relay.push_bytes(one, round, author.entity, &some);
        relay.turn();
        relay.pack();
        changes.extend(some);
    }
    relay.compact();
    for (number, at, count) in [(2, 10, 1), (3, 50, 1), (4, 90, 0), (5, 99, 0)] {
        let cursor = relay.cursor(at);
        let (_, seen) = relay.reader(number, Some(cursor), false);
        assert_eq!(snapshots(&seen), count, "at {at}");
        let received = foreign(&seen);
        assert!(changes[at..].iter().all(|change| received.contains(change)), "R9, at {at}");
        let last = seen.iter().rfind(|frame| !matches!(frame, Seen::Stored(_)));
        assert!(matches!(last, Some(Seen::CaughtUp(100))), "{:?}", seen.last());
    }
}

/// Edits of one entity around large changes of another, which fill frames: how many of each.
fn spread(relay: &mut Relay, one: SessionId) -> Vec<Vec<u8>> {
    let (mut author, mut other, mut large) = (Author::new(1, 1), Author::new(2, 2), Author::new(3, 3));
    let mut changes = Vec::new();
    for round in 0..6 {
        let batches = [
            (author.entity, edits(&mut author, 5)),
            (other.entity, edits(&mut other, 5)),
            (large.entity, vec![large.edit(&noise(round, 300_000))]),
        ];
        for (index, (entity, some)) in (1..).zip(batches) {
            relay.push_bytes(one, round * 3 + index, entity, &some);
            relay.turn();
            changes.extend(some);
        }
    }
    changes
}

#[test]
fn a_snapshot_is_given_once_however_many_frames_lead_over_what_it_stands_for() {
    let mut relay = Relay::new();
    let one = relay.device(1);
    let changes = spread(&mut relay, one);
    relay.compact();
    let (_, seen) = relay.reader(2, None, false);
    let jumps = seen.iter().filter(|frame| matches!(frame, Seen::Jump { .. })).count();
    assert!(jumps > 2, "the control");
    assert_eq!(snapshots(&seen), 2);
    assert_eq!(sorted(foreign(&seen)), sorted(changes.clone()), "R9");
    assert!(matches!(seen.last(), Some(Seen::CaughtUp(66))));
    let again = relay.reader(2, None, false).1;
    assert_eq!(snapshots(&again), 2, "a new session was given nothing yet");
    assert_eq!(sorted(foreign(&again)), sorted(changes));
}

#[test]
fn pages_bring_snapshots_once_and_changes_to_who_asks_for_them() {
    let mut relay = Relay::new();
    let one = relay.device(1);
    let changes = spread(&mut relay, one);
    relay.compact();
    let ids = |entities: &[u8]| entities.iter().map(|entity| EntityId::from_bytes([*entity; 16])).collect::<Vec<_>>();
    let collection = Filter::collections(["notes".parse().unwrap()]);
    let mut number = 0;
    for filter in [Filter::nothing().entities(ids(&[1, 2, 3])), collection, Filter::Everything] {
        for as_changes in [false, true] {
            let token = relay.token.reveal().to_owned();
            let two = relay.connect_as(Some(&token));
            relay.send(two, ToRelay::Hello(hello(2)));
            let (channel, space, create, partial) = (Channel(0), SPACE, true, false);
            let (cursor, raw, nothing) = (None, false, Filter::nothing());
            relay.send(
                two,
                ToRelay::Open(Open { channel, space, cursor, create, raw, filter: nothing, partial, invitation: None }),
            );
            relay.turn();
            // What the session's own run brings from here on is not looked at.
            let (mut after, mut pages, mut received, mut given) = (0, 0, Vec::new(), 0);
            loop {
                (number, pages) = (number + 1, pages + 1);
                let fetch = Fetch {
                    channel,
                    number: FetchNumber(number),
                    filter: filter.clone(),
                    after: Sequence::new(after),
                    changes: as_changes,
                };
                relay.send(two, ToRelay::Fetch(fetch));
                relay.turn();
                let seen = relay.seen(two);
                let page: Vec<Seen> = seen.into_iter().filter(|frame| matches!(frame, Seen::Fetched { .. })).collect();
                received.extend(foreign(&page));
                given += snapshots(&page);
                let [Seen::Fetched { upto, done, .. }] = page[..] else { panic!("{page:?}") };
                if done {
                    break;
                }
                assert!(upto > after, "it goes on");
                after = upto;
            }
            assert!(pages > 2, "the control");
            assert_eq!(given, if as_changes { 0 } else { 2 }, "{filter:?}");
            assert_eq!(sorted(received), sorted(changes.clone()), "R9: {filter:?}, changes {as_changes}");
        }
    }
}

#[test]
fn a_reader_that_was_given_a_snapshot_of_what_the_log_then_loses_is_reset() {
    let mut relay = Relay::new();
    let one = relay.device(1);
    let (mut author, mut large) = (Author::new(1, 1), Author::new(3, 3));
    let first = edits(&mut author, 10);
    relay.push_bytes(one, 1, author.entity, &first);
    relay.turn();
    for number in 2..=13 {
        relay.push_bytes(one, number, large.entity, &[large.edit(&noise(number, 300_000))]);
        relay.turn();
    }
    let backup = relay.hub.log.snapshot().unwrap();
    let second = edits(&mut author, 10);
    relay.push_bytes(one, 14, author.entity, &second);
    relay.turn();
    relay.compact();
    let token = relay.token.reveal().to_owned();
    let two = relay.connect_as(Some(&token));
    relay.links.get_mut(&two).unwrap().stuck = true;
    relay.send(two, ToRelay::Hello(hello(2)));
    relay.send(two, open(SPACE, None));
    relay.turn();
    let seen = relay.seen(two);
    assert_eq!(snapshots(&seen), 1);
    assert!(matches!(seen.last(), Some(Seen::Chunks { after: 12..20, .. })), "it stands before what is lost: {seen:?}");
    relay.hub.log.restore(&backup).unwrap();
    relay.unstick(two);
    relay.turn();
    assert!(matches!(relay.seen(two)[..], [Seen::Reset(_)]), "R4, R9");
}
