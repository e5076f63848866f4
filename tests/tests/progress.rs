//! How far a run is, seen in the middle of it: a door between device and relay stays shut once some of it has gone through.

use afield::{Collection, Progress, Relay, Replica, SyncEvent, SyncState, Way};
use afield_tests::processes::{Access, Program, Proxy, Site};
use rand::{RngExt, SeedableRng};
use serde_json::json;

const NOTES: u64 = 160;
/// What a note holds that no compression makes much smaller.
const NOTE_BYTES: usize = 64 * 1024;
/// What may pass before the door is shut: more than is on its way at once, and less than half of it all.
const PASSING_BYTES: u64 = 4 * 1024 * 1024;

fn notes(replica: &Replica) -> Collection<()> {
    replica.spaces().unwrap()[0].collection("notes").unwrap()
}

fn write_much(replica: &Replica) {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    let mut text = || (0..NOTE_BYTES).map(|_| char::from(random.random_range(b' '..=b'~'))).collect::<String>();
    for _ in 0..NOTES {
        notes(replica).json().insert(&json!({ "text": text() })).unwrap();
    }
}

/// The progress of a run that is held in its middle, which the whole status and that of its space show alike.
fn held(replica: &Replica) -> Progress {
    let status = replica.status().unwrap();
    assert_eq!((status.state, status.spaces[0].state), (SyncState::Syncing, SyncState::Syncing));
    assert_eq!(status.progress, status.spaces[0].progress);
    status.progress.expect("a run goes on")
}

/// Checks that some of one way is done, and not all, of so many chunks.
fn is_midway(way: Way, chunks: u64) {
    let total = way.total.expect("it is known how much there is");
    assert_eq!(total.chunks, chunks, "{way:?}");
    assert!(way.done.chunks > 0 && way.done.chunks < total.chunks, "{way:?}");
    assert!(way.done.bytes > 0 && way.done.bytes < total.bytes, "{way:?}");
}

#[test]
fn a_run_that_is_held_midway_shows_how_much_of_it_is_done_and_none_once_it_is_over() {
    let site = Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Open);
    let door = Proxy::start(site.relay.address()).unwrap();
    let (anna, ben) = (site.replica("anna.db"), site.replica("ben.db"));
    let home = anna.create_space("home").unwrap();
    write_much(&anna);
    let mut events = anna.events();
    door.hold_after(PASSING_BYTES);
    anna.connect(Relay::new(door.url())).unwrap();
    door.wait_until_it_holds();
    site.hear(&mut events, |event| matches!(event, SyncEvent::Progress { changes_sent, .. } if *changes_sent > 0));
    is_midway(held(&anna).up, NOTES);
    door.release();
    site.sync(&anna);
    assert_eq!(anna.status().unwrap().progress, None, "it is over");

    ben.join_space(home.id()).unwrap();
    let mut events = ben.events();
    door.hold_after(PASSING_BYTES);
    ben.connect(Relay::new(door.url())).unwrap();
    door.wait_until_it_holds();
    site.hear(
        &mut events,
        |event| matches!(event, SyncEvent::Progress { changes_received, .. } if *changes_received > 0),
    );
    let progress = held(&ben);
    is_midway(progress.down, NOTES);
    assert_eq!(progress.up.total.map(|total| total.chunks), Some(0), "nothing goes the other way");
    door.release();
    site.sync(&ben);
    assert_eq!(ben.status().unwrap().progress, None);
    assert_eq!(notes(&ben).ids().unwrap().len() as u64, NOTES);
}
