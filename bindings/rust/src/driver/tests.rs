//! The driver against a relay that is played by hand, and against a store that fails.

mod compacting;
mod erasing;
mod fetching;
mod filters;
mod hand;
mod held;
mod inbox;
mod large;
mod planned;
mod presence;
mod pushes;
mod refusing;
mod signing_in;
mod unreadable;

use super::*;
use afield_core::limits::{SILENT_PEER_TIMEOUT_MS, SPACES_PER_SESSION_MAX, WAITING_CHUNKS_MAX};
use afield_core::wire::{ChunkCode, GoodbyeCode};
use afield_core::{ErasureReason, Sequence};
use afield_store::{Fault, FaultPoint};
use hand::{Desk, HandRelay, NOW, later};
use merge::ENTITIES_PER_SETTLEMENT_MAX;

#[test]
fn who_asks_after_a_failed_attempt_is_told_of_the_next_one() {
    let desk = Desk::new();
    desk.driver.enable_sync(NOW);
    desk.driver.handle_connect_failed("unplugged".to_owned(), Class::Retry, None, NOW);
    desk.edit("title");
    let mut asked = desk.driver.when_in_step();
    desk.driver.handle_wake(NOW).unwrap();
    assert!(asked.try_recv().is_err(), "the failure was before the question");
    desk.driver.hurry(NOW).unwrap();
    desk.driver.handle_connect_failed("still unplugged".to_owned(), Class::Retry, None, NOW);
    let told = asked.try_recv().unwrap();
    assert_eq!(told.map_err(|not| not.reason), Err("still unplugged".to_owned()));
}

#[test]
fn a_session_that_ends_after_welcome_is_tried_ever_less_often() {
    let desk = Desk::new();
    desk.driver.enable_sync(NOW);
    let (mut now, mut longest) = (NOW, 0);
    for _ in 0..12 {
        let relay = desk.connect(now);
        desk.receive(&[relay.welcome(), relay.goodbye(GoodbyeCode::Internal)], now);
        let again = desk.driver.poll_timeout().unwrap();
        longest = longest.max(again - now.monotonic_ms);
        now = later(now, again - now.monotonic_ms);
        desk.driver.handle_timeout(now).unwrap();
    }
    assert!(longest > 5_000, "after twelve failures the longest wait was {longest} ms");
    // One that catches up is a success, and the wait is short again.
    let relay = desk.connect(now);
    desk.receive(&[relay.welcome(), relay.opened(), relay.caught_up(), relay.goodbye(GoodbyeCode::Internal)], now);
    assert!(desk.driver.poll_timeout().unwrap() - now.monotonic_ms <= 1_000);
}

#[test]
fn a_space_at_which_sessions_keep_breaking_is_blocked_and_says_so() {
    let desk = Desk::new();
    desk.driver.enable_sync(NOW);
    let mut now = NOW;
    for _ in 0..3 {
        let relay = desk.connect(now);
        desk.receive(&[relay.welcome(), relay.opened(), relay.wrong_caught_up()], now);
        now = later(now, 60_000);
        desk.driver.handle_timeout(now).unwrap();
    }
    assert!(desk.driver.has_blocked_spaces());
    let relay = desk.connect(now);
    let mut asked = desk.driver.when_in_step();
    desk.receive(&[relay.welcome()], now);
    let told = asked.try_recv().expect("who waits is told").unwrap_err();
    assert!(told.reason.contains(&desk.space.to_string()), "{}", told.reason);
    let shown = desk.driver.view().spaces;
    assert!(shown[0].refused.is_some(), "the reason outlives the session that found it");
}

#[test]
fn a_space_beyond_those_of_a_session_is_refused_and_the_others_are_served() {
    let desk = Desk::new();
    for number in 0..SPACES_PER_SESSION_MAX {
        desk.add_space(u16::try_from(number).unwrap());
    }
    desk.driver.enable_sync(NOW);
    let relay = desk.connect(NOW);
    desk.receive(&[relay.welcome()], NOW);
    let refused = desk.driver.view().spaces.iter().filter(|space| space.refused.is_some()).count();
    assert_eq!((refused, desk.driver.view().spaces.len()), (1, SPACES_PER_SESSION_MAX + 1));
    assert_eq!(desk.driver.view().link, LinkView::Up);
}

#[test]
fn a_space_opened_after_a_quiet_hour_gives_the_relay_time_to_answer() {
    let desk = Desk::new();
    desk.driver.enable_sync(NOW);
    let relay = desk.connect(NOW);
    desk.receive(&[relay.welcome(), relay.opened(), relay.caught_up()], NOW);
    assert_eq!(desk.driver.poll_timeout(), None, "nothing is owed");
    let now = later(NOW, 3_600_000);
    let space = desk.add_space(7);
    desk.driver.note_edit(space);
    desk.driver.handle_wake(now).unwrap();
    assert!(desk.driver.poll_timeout().unwrap() > now.monotonic_ms + 10_000);
    desk.driver.handle_timeout(later(now, 1_000)).unwrap();
    assert_eq!(desk.driver.view().link, LinkView::Up);
}

#[test]
fn who_waits_for_a_change_is_told_when_it_comes_back_as_anybodys() {
    let desk = Desk::new();
    let (entity, changes) = desk.edit("title");
    desk.driver.enable_sync(NOW);
    let mut relay = desk.connect(NOW);
    let mut word = desk.driver.acknowledged(entity, changes[0]).unwrap().unwrap();
    // An earlier session pushed it, and its receipt was lost.
    let mut messages = vec![relay.welcome(), relay.opened()];
    messages.extend(desk.stored(entity).iter().map(|bytes| relay.chunk(entity, bytes)));
    desk.receive(&messages, NOW);
    assert_eq!(word.try_recv(), Ok(Acknowledged::Durable));
    assert!(desk.driver.acknowledged(entity, changes[0]).unwrap().is_none());
}

#[test]
fn the_first_refusal_of_an_entity_is_its_reason_and_later_edits_learn_it_at_once() {
    let desk = Desk::new();
    let (entity, _) = desk.edit("title");
    desk.driver.enable_sync(NOW);
    let relay = desk.connect(NOW);
    desk.receive(
        &[relay.welcome(), relay.opened(), relay.refusal(1, desk.stored(entity).len(), ChunkCode::Quota)],
        NOW,
    );
    let again = desk.edit_again(entity, "second");
    let reason = |desk: &Desk| desk.driver.with_store(|store| store.block_of(entity)).unwrap().unwrap().code;
    assert_eq!(reason(&desk), ChunkCode::Quota);
    let mut word = desk.driver.acknowledged(entity, again[0]).unwrap().unwrap();
    assert_eq!(word.try_recv(), Ok(Acknowledged::Refused(ChunkCode::Quota)));
}

#[test]
fn more_changes_than_may_wait_are_applied_once_what_they_wait_for_is_there() {
    let desk = Desk::new();
    let entity = EntityId::from_bytes([9; 16]);
    let changes = hand::changes(entity, WAITING_CHUNKS_MAX + 200);
    desk.driver.enable_sync(NOW);
    let mut relay = desk.connect(NOW);
    let mut messages = vec![relay.welcome(), relay.opened()];
    messages.extend(changes[1..].iter().map(|bytes| relay.chunk(entity, bytes)));
    desk.receive(&messages, NOW);
    let quarantined =
        |desk: &Desk| desk.driver.with_store(|store| store.reader().quarantined(desk.space)).unwrap().len();
    assert_eq!(quarantined(&desk), 199);
    let refused = desk.driver.read_document(&desk.target(entity), NOW, |_| ());
    assert!(matches!(refused, Err(EntityError::NotYet { .. })), "{refused:?}");
    desk.receive(&[relay.chunk(entity, &changes[0])], NOW);
    assert_eq!(quarantined(&desk), 0);
    let applied = desk.driver.read_document(&desk.target(entity), NOW, |document| document.change_count()).unwrap();
    assert_eq!(applied, changes.len() as u64);
}

#[test]
fn a_store_that_takes_nothing_leaves_entities_readable_and_goes_on_by_itself() {
    let desk = Desk::new();
    let entity = EntityId::from_bytes([9; 16]);
    let changes = hand::changes(entity, 2);
    desk.driver.enable_sync(NOW);
    let mut relay = desk.connect(NOW);
    desk.receive(&[relay.welcome(), relay.opened(), relay.chunk(entity, &changes[0])], NOW);
    desk.driver.with_store(|store| {
        store.inject(Box::new(|point| (point == FaultPoint::BeforeStatement(1)).then_some(Fault::DiskFull)));
    });
    let failed = desk.try_receive(&[relay.chunk(entity, &changes[1])], NOW);
    assert!(failed.is_err(), "a full disk is told");
    let read = |desk: &Desk| desk.driver.read_document(&desk.target(entity), NOW, |document| document.change_count());
    assert_eq!(read(&desk).unwrap(), 1);
    assert!(desk.try_edit(entity, "while the disk is full").is_err());

    desk.driver.with_store(|store| store.inject(Box::new(|_| None)));
    let now = later(NOW, 60_000);
    desk.driver.handle_timeout(now).unwrap();
    let mut relay = desk.connect_from(relay.before_last(), now);
    desk.receive(&[relay.welcome(), relay.chunk(entity, &changes[1])], now);
    assert_eq!(read(&desk).unwrap(), 2);
    assert!(desk.try_edit(entity, "when it is not").is_ok(), "the next session opened the store again");
}

#[test]
fn an_edit_that_rests_on_what_a_reload_threw_away_is_not_stored() {
    let desk = Desk::new();
    let (entity, _) = desk.edit("title");
    let outdated = desk.driver.edit(&desk.target(entity), NOW, |edit| {
        desk.driver.reload(NOW).unwrap();
        edit.put("title", afield_core::document::Value::Bool(true))
    });
    assert!(
        matches!(&outdated, Err(EditFailure::Store(afield_store::AppendError::Store(StoreError::Reloaded)))),
        "{outdated:?}"
    );
    assert!(desk.try_edit(entity, "again").is_ok());
}

#[test]
fn an_edit_of_what_is_purged_meanwhile_says_so() {
    let desk = Desk::new();
    let (entity, _) = desk.edit("title");
    let late = desk.driver.edit(&desk.target(entity), NOW, |edit| {
        let _ = desk.driver.purge(desk.space, &[entity], ErasureReason::ASKED, NOW).unwrap();
        edit.put("title", afield_core::document::Value::Bool(true))
    });
    assert!(matches!(&late, Err(EditFailure::Entity(EntityError::Purged { .. }))), "{late:?}");
}

#[test]
fn what_was_received_and_not_merged_before_a_reload_is_merged_by_it() {
    let desk = Desk::new();
    let entity = EntityId::from_bytes([9; 16]);
    desk.driver.enable_sync(NOW);
    let mut relay = desk.connect(NOW);
    let messages = [relay.welcome(), relay.opened(), relay.chunk(entity, &hand::changes(entity, 1)[0])];
    desk.driver.handle_messages(messages.iter().map(Vec::as_slice), NOW).unwrap();
    let pending = |desk: &Desk| desk.driver.with_store(|store| store.pending(None, 9)).unwrap();
    assert_eq!(pending(&desk), [entity]);
    desk.driver.reload(NOW).unwrap();
    assert_eq!(pending(&desk), []);
    assert_eq!(relay.position(), Sequence::ZERO.next());
}

#[test]
fn messages_that_arrive_while_many_entities_are_merged_are_stored_before_the_rest_is() {
    let desk = Desk::new();
    let count = u8::try_from(ENTITIES_PER_SETTLEMENT_MAX + 8).unwrap();
    let entities: Vec<_> = (1..=count).map(|number| EntityId::from_bytes([number; 16])).collect();
    desk.driver.enable_sync(NOW);
    let mut relay = desk.connect(NOW);
    let mut messages = vec![relay.welcome(), relay.opened()];
    messages.extend(entities.iter().map(|entity| relay.chunk(*entity, &hand::changes(*entity, 2)[0])));
    desk.driver.handle_messages(messages.iter().map(Vec::as_slice), NOW).unwrap();
    desk.driver.handle_idle(NOW).unwrap();
    let pending = |desk: &Desk| desk.driver.with_store(|store| store.pending(None, 100)).unwrap();
    assert_eq!(pending(&desk), entities[ENTITIES_PER_SETTLEMENT_MAX..], "one settlement and no more");

    let last = *entities.last().unwrap();
    let next = relay.chunk(last, &hand::changes(last, 2)[1]);
    desk.driver.handle_messages([next.as_slice()], NOW).unwrap();
    assert!(desk.driver.wants_idle());
    desk.driver.handle_idle(NOW).unwrap();
    assert!(!desk.driver.wants_idle());
    assert_eq!(pending(&desk), []);
    let applied = desk.driver.read_document(&desk.target(last), NOW, |document| document.change_count());
    assert_eq!(applied.unwrap(), 2);
}

#[test]
fn a_store_that_failed_before_what_it_had_stored_was_merged_goes_on_with_the_next_session() {
    let desk = Desk::new();
    let entity = EntityId::from_bytes([9; 16]);
    let changes = hand::changes(entity, 2);
    desk.driver.enable_sync(NOW);
    let mut relay = desk.connect(NOW);
    let messages = [relay.welcome(), relay.opened(), relay.chunk(entity, &changes[0])];
    desk.driver.handle_messages(messages.iter().map(Vec::as_slice), NOW).unwrap();
    desk.driver.with_store(|store| {
        store.inject(Box::new(|point| (point == FaultPoint::BeforeStatement(1)).then_some(Fault::DiskFull)));
    });
    assert!(desk.driver.handle_idle(NOW).is_err(), "a full disk is told");
    assert!(!desk.driver.wants_idle(), "a store that takes nothing is not asked again and again");

    desk.driver.with_store(|store| store.inject(Box::new(|_| None)));
    let now = later(NOW, 60_000);
    desk.driver.handle_timeout(now).unwrap();
    let mut relay = desk.connect_from(relay.at(), now);
    desk.receive(&[relay.welcome(), relay.chunk(entity, &changes[1])], now);
    let applied = desk.driver.read_document(&desk.target(entity), now, |document| document.change_count());
    assert_eq!(applied.unwrap(), 2);
}

#[test]
fn what_was_refused_before_its_repair_blocks_nothing() {
    let desk = Desk::new();
    let (entity, first) = desk.edit("first");
    let relay = desk.get_in_step(entity);
    // The first push went out before the relay told that it had all of it.
    let second = desk.edit_again(entity, "second");
    desk.driver.handle_wake(NOW).unwrap();
    let third = desk.edit_again(entity, "third");
    desk.driver.handle_wake(NOW).unwrap();
    desk.receive(&[relay.lacking(2, 1, &[*first.last().unwrap()])], NOW);
    desk.receive(&[relay.lacking(3, 1, &second)], NOW);
    let block = desk.driver.with_store(|store| store.block_of(entity)).unwrap();
    assert_eq!(block, None, "the second push was refused for want of the first, which is on its way again");
    let mut word = desk.driver.acknowledged(entity, third[0]).unwrap().unwrap();
    assert!(word.try_recv().is_err());
    // The same refusal of what was sent again is not repaired a second time.
    desk.receive(&[relay.lacking(4, 3, &second)], NOW);
    assert!(desk.driver.with_store(|store| store.block_of(entity)).unwrap().is_some());
}

#[test]
fn what_a_failed_edit_had_stored_all_the_same_is_sent_after_a_reload() {
    let desk = Desk::new();
    let (entity, _) = desk.edit("title");
    let _relay = desk.get_in_step(entity);
    while desk.driver.poll_output().is_some() {}
    desk.driver.with_store(|store| {
        store.inject(Box::new(|point| (point == FaultPoint::AfterCommit).then_some(Fault::Io)));
    });
    assert!(desk.try_edit(entity, "stored, and said to have failed").is_err());
    desk.driver.with_store(|store| store.inject(Box::new(|_| None)));
    desk.driver.reload(NOW).unwrap();
    desk.driver.handle_wake(NOW).unwrap();
    assert!(matches!(desk.driver.poll_output(), Some(Output::Transmit(_))), "the edit is sent");
    assert!(!desk.driver.is_in_step());
}

#[test]
fn a_message_that_takes_long_on_a_slow_line_is_no_silence() {
    let desk = Desk::new();
    let _ = desk.edit("title");
    desk.driver.enable_sync(NOW);
    let relay = desk.connect(NOW);
    desk.receive(&[relay.welcome(), relay.opened()], NOW);
    let mut now = NOW;
    for _ in 0..3 {
        now = later(now, SILENT_PEER_TIMEOUT_MS);
        desk.driver.handle_progress(now);
        desk.driver.handle_timeout(now).unwrap();
        assert_eq!(desk.driver.view().link, LinkView::Up);
    }
    desk.driver.handle_timeout(later(now, SILENT_PEER_TIMEOUT_MS)).unwrap();
    assert_eq!(desk.driver.view().link, LinkView::Waiting, "the control: nothing moved");
}

/// What became of each push that the device has sent since the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Live,
    Plain,
}

fn pushed(desk: &Desk) -> Vec<Form> {
    use afield_core::wire::{LiveMessage, Message, ToRelay, decode_batch};
    let mut pushed = Vec::new();
    while let Some(output) = desk.driver.poll_output() {
        let Output::Transmit(message) = output else { continue };
        if LiveMessage::open(&message).unwrap().is_some() {
            pushed.push(Form::Live);
        } else if let ToRelay::Push(push) = Message::open(&message).unwrap().to_relay().unwrap() {
            // Whoever knows no log can read it.
            assert!(!decode_batch(push.batch, &afield_core::Limits::DEFAULT).unwrap().is_empty());
            pushed.push(Form::Plain);
        }
    }
    pushed
}

#[test]
fn after_a_frame_that_the_relay_could_not_read_sessions_push_plainly_until_it_has_everything() {
    use afield_core::wire::{GoodbyeCode, PushNumber, Receipt, ReceiptRun, ToDevice};
    for (code, next) in [(GoodbyeCode::BadFrame, Form::Plain), (GoodbyeCode::GoingAway, Form::Live)] {
        let desk = Desk::new();
        let (entity, _) = desk.edit("title");
        let mut relay = desk.get_in_step(entity);
        assert_eq!(pushed(&desk), [Form::Live], "the outbox");
        let mut now = NOW;
        let mut lose = |relay: &HandRelay, code| {
            desk.receive(&[relay.goodbye(code)], now);
            now = later(now, 100_000);
            desk.driver.handle_timeout(now).unwrap();
            let relay = desk.connect_from(relay.at(), now);
            desk.receive(&[relay.welcome(), relay.caught_up()], now);
            relay
        };
        for (title, code) in [("again", code), ("once more", GoodbyeCode::GoingAway)] {
            desk.edit_again(entity, title);
            desk.driver.handle_wake(NOW).unwrap();
            assert_eq!(pushed(&desk).len(), 1);
            relay = lose(&relay, code);
            assert_eq!(pushed(&desk), [next], "S2: what was not acknowledged is offered again, {code:?}");
        }
        let left = desk.stored(entity).split_off(1);
        let runs = vec![ReceiptRun::Stored { first: relay.position().next(), count: left.len() as u64 }];
        let receipt = ToDevice::Receipt(Receipt { push: PushNumber(1), runs });
        let mut messages = vec![afield_core::wire::encode_to_device(&receipt)];
        messages.extend(left.iter().map(|bytes| relay.chunk(entity, bytes)));
        desk.receive(&messages, NOW);
        assert!(desk.driver.is_in_step());
        relay = lose(&relay, GoodbyeCode::GoingAway);
        desk.edit_again(entity, "last");
        desk.driver.handle_wake(NOW).unwrap();
        assert_eq!(pushed(&desk), [Form::Live], "{code:?} at {:?}", relay.position());
    }
}
