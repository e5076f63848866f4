//! Moments and rests that the status shows, with a real relay.

use afield::{Decision, Reason, Replica, Schedule, Trigger};
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
