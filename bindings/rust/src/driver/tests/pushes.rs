//! Push notifications and webhooks that come twice, also to another opening of the store.

use super::hand::{Desk, HandRelay, NOW, later};
use super::*;
use crate::schedule::Schedule;
use afield_core::policy::{Decision, Reason, Trigger};
use afield_core::wire::{self, Channel, Class, Refused, SpaceCode, ToDevice};
use afield_store::SyncMoment;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const DUPLICATE: Decision = Decision::Skip { reason: Reason::DuplicatePush, retry_after_ms: None };
const STARTED: Decision = Decision::Start { reason: Reason::Asked };

/// A desk whose space is synced once in ten hours, so that nothing but a push starts a run.
fn desk() -> Desk {
    let desk = Desk::new();
    let every = Schedule::every(Duration::from_secs(36_000)).unwrap();
    desk.driver.set_schedule(desk.space, Some(&every), NOW).unwrap();
    desk.driver.enable_sync(NOW);
    desk
}

fn push(desk: &Desk, id: &str, now: Now) -> Decision {
    desk.driver.request(Some(desk.space), &Trigger::push(id), now).unwrap()
}

fn catch_up(desk: &Desk, now: Now) -> HandRelay {
    let relay = desk.connect(now);
    desk.receive(&[relay.welcome(), relay.opened(), relay.caught_up()], now);
    relay
}

fn reconnect(desk: &Desk, now: Now) {
    desk.driver.disable_sync(now);
    desk.driver.enable_sync(now);
}

#[test]
fn a_push_that_was_followed_is_dropped_also_after_a_reconnection_and_by_the_next_process() {
    let desk = desk();
    assert_eq!(push(&desk, "17", NOW), STARTED);
    let _ = catch_up(&desk, NOW);
    assert_eq!(push(&desk, "17", NOW), DUPLICATE);
    reconnect(&desk, later(NOW, 1_000));
    assert_eq!(push(&desk, "17", later(NOW, 1_000)), DUPLICATE);
    // Nobody has closed anything.
    let desk = desk.restart(later(NOW, 2_000));
    desk.driver.enable_sync(later(NOW, 2_000));
    assert_eq!(push(&desk, "17", later(NOW, 2_000)), DUPLICATE);
    assert_eq!(push(&desk, "18", later(NOW, 2_000)), STARTED, "the control: another one");
}

#[test]
fn a_push_of_a_device_without_a_space_is_remembered_as_well() {
    let desk = Desk::new();
    let _ = desk.driver.with_store(|store| store.leave_space(desk.space, afield_store::Unsent::Keep)).unwrap();
    desk.driver.enable_sync(NOW);
    let ask = |desk: &Desk| desk.driver.request(None, &Trigger::push("17"), NOW).unwrap();
    let relay = desk.connect(NOW);
    desk.receive(&[relay.welcome()], NOW);
    assert_eq!(ask(&desk), Decision::skip(Reason::Live, None));
    let desk = desk.restart(NOW);
    desk.driver.enable_sync(NOW);
    assert_eq!(ask(&desk), DUPLICATE);
}

#[test]
fn a_push_that_led_to_nothing_is_followed_when_it_comes_again() {
    // The process is killed before it has connected, and before it has everything.
    let desk = desk();
    assert_eq!(push(&desk, "17", NOW), STARTED);
    let desk = desk.restart(NOW);
    desk.driver.enable_sync(NOW);
    assert_eq!(push(&desk, "17", NOW), STARTED);
    let relay = desk.connect(NOW);
    desk.receive(&[relay.welcome(), relay.opened()], NOW);
    assert_eq!(push(&desk, "18", NOW), Decision::skip(Reason::Running, None));
    assert_eq!(push(&desk, "18", NOW), DUPLICATE, "the run that goes on follows it");
    let desk = desk.restart(NOW);
    desk.driver.enable_sync(NOW);
    assert_eq!((push(&desk, "17", NOW), push(&desk, "18", NOW)), (STARTED, Decision::skip(Reason::Running, None)));

    // Somebody switches sync off, or the space.
    reconnect(&desk, NOW);
    assert_eq!(push(&desk, "17", NOW), STARTED);
    desk.driver.set_sync_enabled(desk.space, false, NOW).unwrap();
    desk.driver.set_sync_enabled(desk.space, true, NOW).unwrap();
    assert_eq!(push(&desk, "17", NOW), STARTED);

    // The attempt fails, and the next one follows it.
    while desk.driver.poll_output().is_some() {}
    desk.driver.handle_connect_failed("no route".to_owned(), Class::Retry, None, NOW);
    assert_eq!(push(&desk, "17", NOW), DUPLICATE, "another attempt comes by itself");
    let now = later(NOW, desk.driver.poll_timeout().unwrap());
    desk.driver.handle_timeout(now).unwrap();
    let relay = desk.connect(now);
    // The device has opened this log before.
    desk.receive(&[relay.welcome(), relay.caught_up()], now);
    let desk = desk.restart(now);
    desk.driver.enable_sync(now);
    assert_eq!(push(&desk, "17", now), DUPLICATE);
}

#[test]
fn a_push_whose_run_the_relay_refused_is_followed_when_it_comes_again() {
    let desk = desk();
    assert_eq!(push(&desk, "17", NOW), STARTED);
    let relay = desk.connect(NOW);
    let refused = Refused { channel: Channel(0), code: SpaceCode::UnknownOrForbidden, retry_after_ms: None };
    desk.receive(&[relay.welcome(), wire::encode_to_device(&ToDevice::Refused(refused))], NOW);
    // The schedule is due in ten hours, and nothing else asks the relay again before that.
    let now = later(NOW, 60_000);
    assert_eq!(push(&desk, "17", now), STARTED);
    assert_eq!(push(&desk, "17", now), DUPLICATE, "the run that goes on follows it");
    let _ = catch_up(&desk, now);
    assert_eq!(push(&desk, "17", later(now, 60_000)), DUPLICATE, "the control: a run has brought everything since");
}

#[test]
fn remembering_a_push_costs_no_sync_and_no_other_trigger_writes_for_it() {
    let desk = Desk::new();
    desk.driver.enable_sync(NOW);
    let _ = catch_up(&desk, NOW);
    let written = Arc::<Mutex<(u32, u32)>>::default();
    let of_hook = written.clone();
    desk.driver.with_store(|store| {
        store.watch_syncs(Box::new(move |moment| match moment {
            SyncMoment::Synced => of_hook.lock().unwrap().0 += 1,
            SyncMoment::BeforeUnsynced(_) => of_hook.lock().unwrap().1 += 1,
        }));
    });
    for trigger in [Trigger::Timer, Trigger::LocalEdit, Trigger::Maintenance, Trigger::StartUp, Trigger::Retry] {
        assert_eq!(desk.driver.request(Some(desk.space), &trigger, NOW).unwrap().reason(), Reason::Live);
    }
    assert_eq!(*written.lock().unwrap(), (0, 0));
    assert_eq!(push(&desk, "17", NOW).reason(), Reason::Live);
    assert_eq!(*written.lock().unwrap(), (0, 1), "with the rows that had come together");
}
