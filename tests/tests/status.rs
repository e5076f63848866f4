//! Moments and rests that the status shows, with a real relay.

use afield::Relay;
use afield::{
    Decision, Direction, Durability, Filter, Reason, Replica, Schedule, Space, Status, SyncEvent, SyncState, Trigger,
};
use afield_tests::processes::{Access, Program, Site};
use serde_json::json;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long "sync now" rests, in milliseconds.
const REST_MS: u64 = 5_000;

fn site() -> Site {
    Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Open)
}

fn wall_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap()
}

/// When all spaces, and when the first of them, was in step.
fn synced(replica: &Replica) -> (Option<i64>, Option<i64>) {
    let status = replica.status().unwrap();
    (status.last_synced_ms, status.spaces[0].last_synced_ms)
}

#[test]
fn what_was_last_in_step_is_a_moment_of_the_sync_and_is_known_after_a_restart() {
    let site = site();
    let replica = site.replica("device.db");
    let home = replica.create_space("home").unwrap();
    home.collection::<()>("notes").unwrap().json().insert(&json!({ "title": "milk" })).unwrap();
    assert_eq!(synced(&replica), (None, None));

    let before_ms = wall_ms();
    site.sync(&replica);
    replica.disconnect();
    let after_ms = wall_ms();
    let (all, of_space) = synced(&replica);
    for at_ms in [all.expect("a moment"), of_space.expect("a moment")] {
        assert!((before_ms..=after_ms).contains(&at_ms), "{before_ms} {at_ms} {after_ms}");
    }
    home.collection::<()>("notes").unwrap().json().insert(&json!({ "title": "bread" })).unwrap();
    assert_eq!(synced(&replica), (all, of_space), "an edit is no sync");

    drop((replica, home));
    let again = site.replica("device.db");
    let (all_again, of_space_again) = synced(&again);
    assert_eq!(of_space_again, of_space);
    assert_eq!(all_again, of_space, "all there is was in step then");
    let before_ms = wall_ms();
    site.sync(&again);
    let (all, of_space) = synced(&again);
    assert!(all >= Some(before_ms) && of_space >= Some(before_ms), "{all:?} {of_space:?} after {before_ms}");

    // A space that was never in step makes it unknown since when all are; one that is not synced at all does not.
    again.disconnect();
    drop(again);
    let with_another = site.replica("device.db");
    let other = with_another.create_space("other").unwrap();
    assert_eq!(with_another.status().unwrap().last_synced_ms, None);
    other.set_sync_enabled(false).unwrap();
    assert!(with_another.status().unwrap().last_synced_ms >= Some(before_ms));
}

#[test]
fn the_rest_of_sync_now_counts_down_from_five_seconds_and_is_gone() {
    let site = site();
    let replica = site.replica("device.db");
    let home = replica.create_space("home").unwrap();
    home.collection::<()>("notes").unwrap().json().insert(&json!({ "title": "milk" })).unwrap();
    // A session that stands has no rest: asking it costs a question, and no connection.
    home.set_schedule(Some(Schedule::cron("0 0 1 1 *", "UTC").unwrap())).unwrap();
    assert_eq!(replica.status().unwrap().cooldown_ms, None);
    let began = Instant::now();
    site.sync(&replica);
    let ended = Instant::now();

    let left = || {
        let (before, status, after) = (ended.elapsed(), replica.status().unwrap(), began.elapsed());
        let left_ms = status.spaces[0].cooldown_ms;
        assert_eq!(status.cooldown_ms, left_ms, "there is one space");
        assert_eq!(status.can_sync_now, left_ms.is_none());
        // It was followed between the beginning and the end of that sync; each moment is rounded to a millisecond.
        let bounds = REST_MS.saturating_sub(ms(after) + 1)..=(REST_MS + 1).saturating_sub(ms(before));
        assert!(bounds.contains(&left_ms.unwrap_or(0)), "{left_ms:?} of {bounds:?}");
        left_ms
    };
    // The answer waits for what the thread is about to do, which is to leave the session.
    let again = replica.request(Trigger::Manual).unwrap();
    assert!(matches!(again, Decision::Skip { reason: Reason::CoolDown, .. }), "{again:?}");
    let first = left().expect("less than five seconds have passed");
    // What is promised is a time, and that has to pass: half of it, and the rest.
    site.block_on(async { tokio::time::sleep(Duration::from_millis(first / 2)).await });
    let second = left().expect("half of it is left");
    assert!(second <= first - first / 2 + 1, "{second} after {first}");
    site.block_on(async { tokio::time::sleep(Duration::from_millis(second + 1)).await });
    assert_eq!(left(), None);
    assert!(replica.request(Trigger::Manual).unwrap().is_start());
}

#[test]
fn spaces_that_are_synced_in_different_ways_each_say_how_and_all_say_it_together() {
    let mut site = site();
    let replica = site.replica("device.db");
    let spaces: Vec<_> =
        ["live", "nightly", "off", "drafts"].iter().map(|name| replica.create_space(name).unwrap()).collect();
    let [live, nightly, off, drafts] = spaces.try_into().unwrap_or_else(|_| panic!());
    for space in [&live, &nightly, &off, &drafts] {
        space.collection::<()>("notes").unwrap().json().insert(&json!({ "title": "milk" })).unwrap();
    }
    nightly.set_schedule(Some(Schedule::every(Duration::from_secs(36_000)).unwrap())).unwrap();
    off.set_sync_enabled(false).unwrap();
    drafts.set_filter(Filter::nothing()).unwrap();
    drafts.set_direction("notes", Direction::LocalOnly).unwrap();
    let told = || {
        let status = replica.status().unwrap();
        let of = |space: &Space| status.spaces.iter().find(|told| told.space == space.id()).unwrap().state;
        (status.state, of(&live), of(&nightly), of(&off), of(&drafts))
    };
    use SyncState::{Disabled, Idle, Offline};
    assert_eq!(told(), (Disabled, Disabled, Disabled, Disabled, Disabled), "sync is off");

    let mut events = replica.events();
    replica.connect(Relay::new(site.relay.url())).unwrap();
    site.hear(&mut events, |event| matches!(event, SyncEvent::Completed { .. }));
    assert_eq!(told(), (Idle, Idle, Idle, Disabled, Disabled));
    let status = replica.status().unwrap();
    assert_eq!(status.last_synced_ms, None, "the nightly one never was in step");
    assert!(nightly.request(Trigger::Manual).unwrap().is_start());
    site.hear(&mut events, |event| matches!(event, SyncEvent::Completed { space, .. } if *space == Some(nightly.id())));
    // A session without the nightly one follows, in which the live one gets in step anew.
    site.hear(&mut events, |event| matches!(event, SyncEvent::Completed { space, .. } if *space == Some(live.id())));
    let (status, before_ms) = (replica.status().unwrap(), wall_ms());
    let in_step_ms = |status: &Status, space: &Space| {
        status.spaces.iter().find(|told| told.space == space.id()).unwrap().last_synced_ms
    };
    assert_eq!(status.last_synced_ms, in_step_ms(&status, &nightly), "the first of those that are synced");
    assert_eq!((status.pending_changes, status.can_sync_now, status.cooldown_ms), (1, true, None), "{status:?}");

    // The live one goes on being in step, and "all" was not since the nightly one was.
    let notes = live.collection::<()>("notes").unwrap().json();
    let id = notes.insert(&json!({ "title": "bread" })).unwrap();
    let write = notes.edit(id, |note| note["title"] = "rye".into()).unwrap();
    site.block_on(write.wait(Durability::Relay)).unwrap();
    let status = replica.status().unwrap();
    assert_eq!(status.last_synced_ms, in_step_ms(&status, &nightly));
    assert!(status.last_synced_ms.unwrap() <= before_ms);

    site.relay.kill();
    site.hear(&mut events, |event| matches!(event, SyncEvent::Failed { .. }));
    assert_eq!(told(), (Offline, Offline, Idle, Disabled, Disabled));
    let status = replica.status().unwrap();
    assert_eq!(status.last_synced_ms, in_step_ms(&status, &nightly));
    let until: Vec<_> = status.spaces.iter().map(|space| space.blocked_until_ms.is_some()).collect();
    assert!(until.iter().filter(|is_told| **is_told).count() >= 1, "{status:?}");
    replica.disconnect();
    assert_eq!(told(), (Disabled, Disabled, Disabled, Disabled, Disabled));
}
