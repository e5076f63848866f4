//! What a replica says of itself with a real relay: sentences for what is not the rule.

use afield::{Direction, Explanation, Filter, Relay, Replica, Schedule, SpaceId, Trigger};
use afield_tests::processes::{Access, Program, Site};
use serde_json::json;
use std::time::Duration;

fn site() -> Site {
    Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Open)
}

fn explained(replica: &Replica) -> Explanation {
    replica.explain().unwrap().remove(0)
}

/// A space with a note, of whose notes a direction was set.
fn directed(site: &Site, name: &str, direction: Direction) -> Replica {
    let replica = site.replica(name);
    let home = replica.create_space("Home").unwrap();
    home.collection::<()>("notes").unwrap().json().insert(&json!({ "title": "Milk" })).unwrap();
    home.set_filter(Filter::collections(["notes"])).unwrap();
    home.set_direction("notes", direction).unwrap();
    replica
}

#[test]
fn a_space_says_which_way_its_changes_go_and_nothing_of_the_other() {
    let site = site();
    let both = directed(&site, "both.db", Direction::Both);
    site.sync(&both);
    let told = explained(&both);
    assert!(told.now.starts_with("it is in step, and stays so; last in step"), "{told}");
    assert!(told.next.contains("goes out at once, and what others send is merged"), "{told}");
    assert_eq!(told.directions, None);

    let sends = directed(&site, "sends.db", Direction::PushOnly);
    site.sync(&sends);
    let told = explained(&sends);
    assert!(told.now.starts_with("the relay has all that is to be sent"), "{told}");
    assert!(told.next.ends_with("nothing is taken from others"), "{told}");
    assert_eq!(told.directions.as_deref(), Some("notes is only sent"));

    let receives = directed(&site, "receives.db", Direction::PullOnly);
    site.sync(&receives);
    let told = explained(&receives);
    assert!(told.now.starts_with("it is in step, and stays so; 1 change stays on this device"), "{told}");
    assert!(told.next.ends_with("what is edited stays on this device"), "{told}");

    let stays = directed(&site, "stays.db", Direction::LocalOnly);
    let is_told = || {
        let told = explained(&stays);
        assert!(told.now.starts_with("the space stays on this device; 1 change stays on this device"), "{told}");
        assert!(told.next.starts_with("nothing, as long as"), "{told}");
        assert_eq!(told.directions.as_deref(), Some("notes stays on this device"));
    };
    is_told();
    stays.connect(Relay::new(site.relay.url())).unwrap();
    is_told();
    assert!(!explained(&stays).to_string().contains("in step"), "it never was");
}

#[test]
fn a_space_that_the_relay_refuses_is_not_said_to_be_in_step_or_to_wait_for_others() {
    let site = site();
    let replica = site.replica("joined.db");
    let home = replica.join_space(SpaceId::from_bytes([7; 16])).unwrap();
    replica.connect(Relay::new(site.relay.url())).unwrap();
    assert!(site.try_sync(&replica).is_err());
    let told = explained(&replica);
    assert!(told.now.starts_with("the relay does not serve it: "), "{told}");
    assert!(told.next.starts_with("it is asked for again by itself in ") && told.next_at_ms.is_some(), "{told}");
    assert!(!told.to_string().contains("merged"), "{told}");

    replica.disconnect();
    home.set_schedule(Some(Schedule::every(Duration::from_secs(36_000)).unwrap())).unwrap();
    replica.connect(Relay::new(site.relay.url())).unwrap();
    assert!(site.try_sync(&replica).is_err());
    // The answer waits for what the thread is about to do: it leaves the space.
    assert!(!home.request(Trigger::Timer).unwrap().is_start());
    let told = explained(&replica);
    assert!(told.now.starts_with("it waits for its schedule; the run before was refused: "), "{told}");
    assert!(told.next.starts_with("its schedule: every 10 h"), "{told}");
}
