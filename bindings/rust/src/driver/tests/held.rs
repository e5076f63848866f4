//! What a guard holds back, in a store that fails.

use super::hand::{Desk, NOW, changes, deletion, later};
use super::*;
use afield_core::document::{OperationError, Value};
use afield_store::DeletionLimits;

#[test]
fn a_deletion_that_could_not_be_held_is_found_again_when_the_store_is_well() {
    let entity = EntityId::from_bytes([9; 16]);
    for fault in [Fault::DiskFull, Fault::Io] {
        let desk = Desk::new();
        let limits = DeletionLimits { deletions: Some(0), share: None };
        desk.driver.set_guard(desk.space, None, Some(limits), NOW).unwrap();
        desk.driver.enable_sync(NOW);
        let mut relay = desk.connect(NOW);
        let made = changes(entity, 1);
        desk.receive(&[relay.welcome(), relay.opened(), relay.chunk(entity, &made[0]), relay.caught_up()], NOW);
        let deleted = relay.chunk(entity, &deletion(entity, &made));
        desk.driver.handle_messages([deleted.as_slice()], NOW).unwrap();
        desk.driver.with_store(|store| {
            store.inject(Box::new(move |point| (point == FaultPoint::BeforeStatement(1)).then_some(fault)));
        });
        assert!(desk.driver.handle_idle(NOW).is_err(), "the control: {fault:?}");
        desk.driver.with_store(|store| store.inject(Box::new(|_| None)));

        let mut events = desk.driver.events();
        let now = later(NOW, 60_000);
        desk.driver.handle_timeout(now).unwrap();
        let relay = desk.connect_from(relay.at(), now);
        desk.receive(&[relay.welcome(), relay.caught_up()], now);
        let mut told = std::iter::from_fn(|| events.try_recv().ok());
        let is_judged = |event| matches!(event, SyncEvent::Held { deletions: 1, received: true, .. });
        assert!(told.any(is_judged), "{fault:?}: somebody is asked");
        let held = desk.driver.with_store(|store| store.held_deletions(desk.space)).unwrap();
        assert_eq!(held.iter().map(|held| held.entity).collect::<Vec<_>>(), [entity], "{fault:?}");
    }
}

#[test]
fn a_deletion_that_waits_for_somebody_does_not_go_by_itself_after_a_while() {
    let ids: Vec<_> = (1..=4).map(|number| EntityId::from_bytes([number; 16])).collect();
    let desk = Desk::new();
    let limits = Some(DeletionLimits { deletions: Some(2), share: None });
    desk.driver.set_guard(desk.space, None, limits, NOW).unwrap();
    desk.driver.enable_sync(NOW);
    let mut relay = desk.connect(NOW);
    let mut messages = vec![relay.welcome(), relay.opened()];
    messages.extend(ids.iter().map(|id| relay.chunk(*id, &changes(*id, 1)[0])));
    messages.push(relay.caught_up());
    desk.receive(&messages, NOW);
    let delete = |id: EntityId, now: Now| {
        let mark = Value::Timestamp(now.wall_ms);
        let deleted = desk.driver.edit(&desk.target(id), now, |edit| edit.put(DELETED_KEY, mark));
        deleted.map_err(drop::<EditFailure<OperationError>>).unwrap();
        desk.driver.handle_wake(now).unwrap();
    };
    for id in &ids[..2] {
        delete(*id, NOW);
        let sent = desk.stored(*id).pop().unwrap();
        desk.receive(&[relay.chunk(*id, &sent)], NOW);
    }
    delete(ids[2], later(NOW, 1_000));
    let held = |now: Now| desk.driver.with_store(|store| store.held_to_send(desk.space, now.wall_ms)).unwrap().len();
    assert_eq!(held(later(NOW, 1_000)), 1, "the control");
    while desk.driver.poll_output().is_some() {}
    let now = later(NOW, 120_000);
    desk.driver.handle_wake(now).unwrap();
    assert_eq!((held(now), desk.driver.poll_output()), (1, None), "nobody has confirmed it");
    desk.driver.set_guard(desk.space, None, limits, now).unwrap();
    assert_eq!(held(now), 0, "it is judged anew");
    assert!(matches!(desk.driver.poll_output(), Some(Output::Transmit(_))));
}
