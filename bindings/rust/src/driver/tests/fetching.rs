//! Who waits for entities that were asked for, and who is told what, against a relay played by hand.

use super::filters::{ENTITY, at, connected};
use super::hand::{Desk, NOW, changes, later};
use super::*;
use afield_core::log::ChunkHash;
use afield_core::wire::{
    self, BatchChunk, CaughtUp, Channel, Chunks, FetchNumber, Fetched, Message, Places, PushNumber, Receipt,
    ReceiptRun, Refused, Reset, Segment, SpaceCode, ToDevice, ToRelay,
};
use afield_core::{ChunkKind, Cursor, Filter, LogId, Sequence};
use afield_store::Unsent;
use tokio::sync::oneshot::Receiver;

const OTHER: EntityId = EntityId::from_bytes([8; 16]);
const OTHER_LOG: LogId = LogId::from_bytes([4; 16]);

fn ask(desk: &Desk) -> Receiver<Result<Vec<EntityId>, NotInStep>> {
    desk.driver.fetch(desk.space, &[ENTITY, OTHER], NOW).unwrap().expect("they are not here")
}

fn page(
    (number, after): (FetchNumber, u64),
    batch: &[u8],
    places: &[u64],
    done: bool,
    unknown: &[EntityId],
) -> Vec<u8> {
    let upto = places.last().copied().unwrap_or(9);
    let segments = if batch.is_empty() { Vec::new() } else { vec![Segment::Batch(batch)] };
    wire::encode_to_device(&ToDevice::Fetched(Fetched {
        number,
        segments,
        places: Places::of(at(after), places.iter().copied().map(Sequence::new)),
        upto: at(upto),
        done,
        unknown: wire::EntityIds(unknown.to_vec()),
    }))
}

fn caught_up(cursor: Cursor) -> Vec<u8> {
    let (sequence, check) = (cursor.sequence, cursor.chain.check().into());
    wire::encode_to_device(&ToDevice::CaughtUp(CaughtUp { channel: Channel(0), sequence, check, role: None }))
}

fn reset() -> Vec<u8> {
    wire::encode_to_device(&ToDevice::Reset(Reset { channel: Channel(0), log: OTHER_LOG }))
}

fn refused() -> Vec<u8> {
    let (channel, code, retry_after_ms) = (Channel(0), SpaceCode::UnknownOrForbidden, None);
    wire::encode_to_device(&ToDevice::Refused(Refused { channel, code, retry_after_ms }))
}

fn batch(entity: EntityId, chunks: &[Vec<u8>]) -> Vec<u8> {
    let (notes, kind) = ("notes".parse().unwrap(), ChunkKind::Change);
    wire::encode_batch(chunks.iter().map(|bytes| BatchChunk { entity, collection: &notes, kind, bytes }))
}

#[test]
fn what_the_relay_does_not_know_is_told_whichever_page_says_so() {
    let (desk, _) = connected();
    let mut answer = ask(&desk);
    let fetches = desk.fetches();
    let [fetch] = &fetches[..] else { panic!("{fetches:?}") };
    let made = changes(OTHER, 2);
    desk.receive(&[page((fetch.number, 0), &batch(OTHER, &made[..1]), &[5], false, &[ENTITY])], NOW);
    assert!(answer.try_recv().is_err(), "more is to come");
    let fetches = desk.fetches();
    let [rest] = &fetches[..] else { panic!("{fetches:?}") };
    assert_eq!(rest.filter, Filter::nothing().entities([OTHER]), "nobody asks again for what is not there");
    desk.receive(&[page((rest.number, 5), &batch(OTHER, &made[1..]), &[6], true, &[])], NOW);
    assert_eq!(answer.try_recv().unwrap().ok(), Some(vec![ENTITY]));
}

#[test]
fn who_waits_for_an_entity_is_told_after_a_reset_once_the_new_log_was_read() {
    let (desk, _) = connected();
    let mut answer = ask(&desk);
    desk.receive(&[reset()], NOW);
    assert!(answer.try_recv().is_err(), "the other log may have them");
    desk.receive(&[caught_up(Cursor::start(OTHER_LOG))], NOW);
    assert_eq!(answer.try_recv().unwrap().ok(), Some(vec![OTHER, ENTITY]));
}

#[test]
fn another_filter_before_the_question_is_sent_does_not_leave_anybody_waiting() {
    for filter in [Filter::nothing(), Filter::Everything] {
        let desk = Desk::new();
        desk.driver.set_filter(desk.space, &Filter::nothing(), NOW).unwrap();
        desk.driver.enable_sync(NOW);
        let mut answer = ask(&desk);
        desk.driver.set_filter(desk.space, &filter, NOW).unwrap();
        let relay = desk.connect(NOW);
        desk.receive(&[relay.welcome(), relay.opened()], NOW);
        assert!(answer.try_recv().is_err(), "the control: nothing has come");
        desk.receive(&[relay.caught_up()], NOW);
        for fetch in desk.fetches() {
            desk.receive(&[page((fetch.number, 0), &[], &[], true, &[ENTITY, OTHER])], NOW);
        }
        let mut unknown = answer.try_recv().unwrap().unwrap();
        unknown.sort_unstable();
        assert_eq!(unknown, [OTHER, ENTITY]);
    }
}

#[test]
fn who_waits_for_an_entity_of_a_space_that_is_left_or_refused_is_told() {
    let (desk, _) = connected();
    let mut answer = ask(&desk);
    desk.driver.leave_space(desk.space, Unsent::Discard, NOW).unwrap();
    assert!(answer.try_recv().unwrap().is_err());

    let (desk, _) = connected();
    let mut answer = ask(&desk);
    desk.receive(&[refused()], NOW);
    assert!(answer.try_recv().unwrap().is_err());
    assert!(ask(&desk).try_recv().unwrap().is_err(), "and whoever asks later");

    let (desk, _) = connected();
    assert!(ask(&desk).try_recv().is_err(), "the control: it waits");
}

#[test]
fn what_a_device_gave_back_to_a_relay_that_had_lost_it_counts_as_stored() {
    for is_repaired in [true, false] {
        let (desk, relay) = connected();
        let mut cursor = relay.at();
        if is_repaired {
            desk.receive(&[reset(), caught_up(Cursor::start(OTHER_LOG))], NOW);
            cursor = Cursor::start(OTHER_LOG);
        }
        let (entity, _) = desk.edit("title");
        desk.driver.handle_wake(NOW).unwrap();
        let held = desk.stored(entity);
        let count = held.len() as u64;
        let runs = vec![ReceiptRun::Stored { first: cursor.sequence.next(), count }];
        let receipt = wire::encode_to_device(&ToDevice::Receipt(Receipt { push: PushNumber(1), runs }));
        let after = held
            .iter()
            .fold(cursor, |cursor, bytes| cursor.then(entity, ChunkKind::Change.number(), ChunkHash::of(bytes)));
        let segments = vec![Segment::Own { push: PushNumber(1), index: 0, count }];
        let (channel, check) = (Channel(0), after.chain.check().into());
        let chunks = Chunks { channel, after: cursor.sequence, segments, check, left: None };
        desk.receive(&[receipt, wire::encode_to_device(&ToDevice::Chunks(chunks))], NOW);
        for moment in [400, 800, 1_200] {
            desk.driver.handle_timeout(later(NOW, moment)).unwrap();
        }
        let mut told = Vec::new();
        while let Some(output) = desk.driver.poll_output() {
            let Output::Transmit(message) = output else { continue };
            if let Some(ToRelay::Progress(frame)) = super::hand::frame(&message) {
                told.push(frame.sequence.get());
            }
        }
        let expected = if is_repaired { vec![count] } else { Vec::new() };
        assert_eq!(told, expected, "what it made itself is news to nobody");
        assert!(desk.driver.is_in_step());
    }
}

#[test]
fn no_more_is_sent_before_the_welcome_than_a_relay_takes_and_all_of_it_after() {
    use afield_core::limits::{FILTER_ENTITIES_MAX, UNAUTHENTICATED_BYTES_MAX};
    // What is hashed does not compress.
    let id = |number: usize| -> [u8; 16] { ChunkHash::of(&number.to_le_bytes()).as_bytes()[..16].try_into().unwrap() };
    let ids = |count: usize| (0..count).map(|number| EntityId::from_bytes(id(number)));
    for count in [FILTER_ENTITIES_MAX, 100] {
        let desk = Desk::new();
        let filter = Filter::nothing().entities(ids(count));
        desk.driver.set_filter(desk.space, &filter, NOW).unwrap();
        let (entity, _) = desk.edit("title");
        desk.driver.enable_sync(NOW);
        let relay = desk.connect(NOW);
        let sent = || {
            let mut names = Vec::new();
            while let Some(output) = desk.driver.poll_output() {
                let Output::Transmit(message) = output else { continue };
                let name = match wire::LiveMessage::open(&message).unwrap() {
                    Some(_) => "Push",
                    None => Message::open(&message).unwrap().to_relay().unwrap().name(),
                };
                names.push((name, message.len()));
            }
            names
        };
        let before = sent();
        assert!(before.iter().map(|(_, bytes)| bytes).sum::<usize>() <= UNAUTHENTICATED_BYTES_MAX, "{before:?}");
        desk.driver.set_filter(desk.space, &filter, NOW).unwrap();
        desk.receive(&[relay.welcome()], NOW);
        let all: Vec<_> = before.iter().chain(&sent()).map(|(name, _)| *name).collect();
        let opened = all.iter().position(|name| *name == "Open").unwrap();
        let pushed = all.iter().position(|name| *name == "Push").unwrap();
        assert!(opened < pushed && !desk.stored(entity).is_empty(), "{all:?}");
        assert_eq!(before.len() > 1, count == 100, "the control: what is small does not wait ({before:?})");
    }
}
