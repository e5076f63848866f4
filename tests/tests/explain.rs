//! What a replica says of itself with a real relay: sentences for what is not the rule.

use afield::{
    Decision, Direction, EntityId, Explanation, Filter, Guard, Reason, Relay, Replica, Schedule, SpaceId, SyncError,
    SyncEvent, SyncState, Trigger,
};
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

fn note(replica: &Replica, space: SpaceId, title: &str) -> EntityId {
    let notes = replica.space(space).unwrap().collection::<()>("notes").unwrap();
    notes.json().insert(&json!({ "title": title })).unwrap()
}

fn count(replica: &Replica, space: SpaceId) -> usize {
    replica.space(space).unwrap().collection::<()>("notes").unwrap().ids().unwrap().len()
}

#[test]
fn with_held_deletions_a_session_that_stands_goes_on_receiving_and_none_begins_until_they_are_confirmed() {
    let site = site();
    let (anna, ben) = (site.replica("anna.db"), site.replica("ben.db"));
    let space = anna.create_space("Home").unwrap().id();
    ben.join_space(space).unwrap();
    let ids: Vec<_> = (0..4).map(|number| note(&anna, space, &number.to_string())).collect();
    site.sync_all(&[&anna, &ben]);
    anna.space(space).unwrap().set_guard(Guard { deletions: Some(1), share: None }).unwrap();
    let notes = anna.space(space).unwrap().collection::<()>("notes").unwrap();
    // In one go, or the first would be sent before the second is too many.
    let _ = anna.transaction(|transaction| ids[..2].iter().try_for_each(|id| transaction.delete(&notes, *id))).unwrap();

    note(&ben, space, "while the session of the other stands");
    site.sync(&ben);
    assert!(matches!(site.try_sync(&anna), Err(SyncError::Held { deletions: 2, received: false, .. })));
    assert_eq!(count(&anna, space), 3, "the session that stands goes on receiving");
    let told = explained(&anna);
    assert!(told.now.starts_with("nothing of it is sent; "), "{told}");
    assert!(told.next.contains("what others send is merged as long as this connection stands"), "{told}");

    drop((anna, notes));
    note(&ben, space, "while the other was closed");
    site.sync(&ben);
    let anna = site.replica("anna.db");
    for schedule in [None, Some(Schedule::every(Duration::from_secs(36_000)).unwrap())] {
        anna.space(space).unwrap().set_schedule(schedule).unwrap();
        let mut events = anna.events();
        anna.connect(Relay::new(site.relay.url())).unwrap();
        site.hear(&mut events, |event| matches!(event, SyncEvent::Requested { trigger: Trigger::StartUp, .. }));
        for trigger in [Trigger::Timer, Trigger::NetworkBack, Trigger::push("there is something new"), Trigger::Manual]
        {
            assert_eq!(anna.request(trigger).unwrap(), Decision::block(Reason::ConfirmationNeeded, None));
        }
        assert!(matches!(site.try_sync(&anna), Err(SyncError::Held { deletions: 2, received: false, .. })));
        assert!(site.block_on(anna.catch_up()).is_err());
        let status = anna.status().unwrap();
        assert_eq!((status.traffic.sessions, status.spaces[0].state), (0, SyncState::Blocked), "nobody was even asked");
        assert_eq!(count(&anna, space), 3, "so nothing is received");
        let told = explained(&anna);
        assert!(told.now.starts_with("nothing of it is sent or received; "), "{told}");
        assert!(told.next.starts_with("no connection is made for this space until somebody confirms it"), "{told}");
        anna.disconnect();
        assert!(explained(&anna).next.contains("somebody has confirmed"), "{}", explained(&anna));
    }

    anna.space(space).unwrap().set_schedule(None).unwrap();
    let shown = anna.space(space).unwrap().held().unwrap();
    anna.space(space).unwrap().confirm(&shown).unwrap();
    site.sync(&anna);
    assert_eq!(count(&anna, space), 4, "everything after that");
    site.sync(&ben);
    assert_eq!(count(&ben, space), 4);
    assert!(explained(&anna).now.starts_with("it is in step, and stays so"), "{}", explained(&anna));
}

#[test]
fn a_session_that_another_space_needs_brings_what_others_send_beside_held_deletions() {
    let site = site();
    let (anna, ben) = (site.replica("anna.db"), site.replica("ben.db"));
    let space = anna.create_space("Home").unwrap().id();
    ben.join_space(space).unwrap();
    let ids: Vec<_> = (0..4).map(|number| note(&anna, space, &number.to_string())).collect();
    site.sync_all(&[&anna, &ben]);
    anna.disconnect();
    anna.space(space).unwrap().set_guard(Guard { deletions: Some(1), share: None }).unwrap();
    let notes = anna.space(space).unwrap().collection::<()>("notes").unwrap();
    ids[..2].iter().for_each(|id| drop(notes.delete(*id).unwrap()));
    note(&ben, space, "meanwhile");
    site.sync(&ben);
    anna.create_space("Other").unwrap();
    anna.connect(Relay::new(site.relay.url())).unwrap();
    assert!(matches!(site.try_sync(&anna), Err(SyncError::Held { deletions: 2, received: false, .. })));
    assert_eq!(count(&anna, space), 3);
    let told = explained(&anna);
    assert!(told.next.contains("what others send is merged as long as this connection stands"), "{told}");
}
