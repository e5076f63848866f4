//! Whole devices, a real relay process and real sockets: what sync costs, and who is let in.

use afield::{Class, Collection, Relay, Replica, SpaceId, SyncError, SyncEvent, SyncState};
use afield_core::wire::{Message, ToDevice};
use afield_tests::processes::agent::{Task, populate};
use afield_tests::processes::{Access, Program, Proxy, Site, WireFigures};
use serde_json::json;

/// How many entities a fresh device gets in one round trip.
const ENTITIES: usize = 10_000;
/// How many changes each of them has.
const CHANGES: usize = 3;
/// The most bytes that reconnecting with nothing new may cost each way, after the HTTP upgrade.
const RECONNECT_BYTES_MAX: u64 = 300;

fn site(access: Access) -> Site {
    Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), access)
}

/// Connects through a door of its own, gets in step, and gives what that took.
fn sync_counted(site: &Site, replica: &Replica, token: Option<&str>) -> WireFigures {
    let door = Proxy::start(site.relay.address()).expect("a port");
    site.work_through(&door, replica, token, Replica::sync_now).expect("it gets in step");
    door.figures()
}

#[test]
fn ten_thousand_entities_reach_a_fresh_device_in_one_round_trip() {
    let site = site(Access::Tokens);
    let token = site.relay.create_token();
    let author = site.replica("author.db");
    let space = author.create_space("home").unwrap();
    let tasks: Collection<Task> = space.collection("tasks").unwrap();
    populate(&author, &tasks, ENTITIES, CHANGES).unwrap();
    let upload = sync_counted(&site, &author, Some(&token));
    assert_eq!(author.status().unwrap().pending_changes, 0);

    let fresh = site.replica("fresh.db");
    let copy: Collection<Task> = fresh.join_space(space.id()).unwrap().collection("tasks").unwrap();
    let download = sync_counted(&site, &fresh, Some(&token));
    assert_eq!(download.connections, 1);
    assert_eq!(download.asked, 2, "Hello and Open, and nothing before CaughtUp: {download:?}");
    assert_eq!(download.asked_after_first_answer, 0, "one round trip: {download:?}");
    let (sent, received) = (tasks.json().list().unwrap(), copy.json().list().unwrap());
    assert_eq!(received.len(), ENTITIES);
    assert!(sent == received, "the fresh device shows what the author shows");
    let changes = (ENTITIES * CHANGES) as u64;
    assert_eq!(fresh.status().unwrap().spaces[0].sequence, changes, "every change has its place in the log");

    for replica in [&author, &fresh] {
        let again = sync_counted(&site, replica, Some(&token));
        assert_eq!((again.connections, again.asked, again.asked_after_first_answer), (1, 2, 0), "{again:?}");
        let (sent, received) = (again.to_relay.bytes, again.to_device.bytes);
        assert!(sent < RECONNECT_BYTES_MAX && received < RECONNECT_BYTES_MAX, "reconnecting costs {again:?}");
        println!("reconnecting with nothing new: {sent} B sent, {received} B received");
    }
    let each = |bytes: u64| bytes as f64 / changes as f64;
    println!(
        "{ENTITIES} entities: {:.1} B a change up in {} messages, {:.1} B a change down in {}",
        each(upload.to_relay.bytes),
        upload.to_relay.messages,
        each(download.to_device.bytes),
        download.to_device.messages,
    );
}

#[test]
fn a_relay_says_with_each_page_how_much_of_the_log_is_left() {
    let site = site(Access::Open);
    let author = site.replica("author.db");
    let space = author.create_space("home").unwrap();
    let tasks: Collection<Task> = space.collection("tasks").unwrap();
    populate(&author, &tasks, 2_500, 4).unwrap();
    site.sync(&author);
    let fresh = site.replica("fresh.db");
    let copy = fresh.join_space(space.id()).unwrap();
    let door = Proxy::start_keeping(site.relay.address()).unwrap();
    site.work_through(&door, &fresh, None, Replica::catch_up).unwrap();
    let head = fresh.status().unwrap().spaces[0].sequence;
    let (mut pages, mut befores) = (Vec::new(), Vec::new());
    for message in door.to_device() {
        let (after, left) = match Message::open(&message).unwrap().to_device().unwrap() {
            ToDevice::Chunks(frame) => (frame.after.get(), frame.left),
            ToDevice::Jump(frame) => (frame.after.get(), frame.left),
            _ => continue,
        };
        befores.push(after);
        pages.push(left);
    }
    assert!(pages.len() > 2, "the control: {pages:?}");
    let expected: Vec<_> = befores[1..].iter().map(|after| Some(head - after)).chain([None]).collect();
    assert_eq!(pages, expected);
    assert_eq!(copy.collections().unwrap().len(), 1);
}

#[test]
fn a_second_round_trip_would_be_noticed() {
    let site = site(Access::Open);
    let author = site.replica("author.db");
    let tasks: Collection<Task> = author.create_space("home").unwrap().collection("tasks").unwrap();
    let door = Proxy::start(site.relay.address()).unwrap();
    site.work_through(&door, &author, None, Replica::sync_now).unwrap();
    assert_eq!(door.figures().asked_after_first_answer, 0);
    tasks.insert(&Task::number(1)).unwrap();
    site.sync(&author);
    assert!(door.figures().asked_after_first_answer > 0, "a push after the first answer is counted");
}

#[test]
fn a_wrong_token_asks_to_sign_in_and_the_right_one_goes_on_where_it_stopped() {
    let site = site(Access::Tokens);
    let token = site.relay.create_token();
    let replica = site.replica("device.db");
    let tasks: Collection<Task> = replica.create_space("home").unwrap().collection("tasks").unwrap();
    tasks.insert(&Task::number(1)).unwrap();
    let last = token.chars().last().unwrap();
    let wrong = format!("{}{}", &token[..token.len() - 1], if last == 'a' { 'b' } else { 'a' });
    for relay in [Relay::new(site.relay.url()), Relay::new(site.relay.url()).token(wrong)] {
        replica.connect(relay).unwrap();
        let refused = site.try_sync(&replica).unwrap_err();
        assert!(matches!(&refused, SyncError::Failed { class: Class::SignIn, .. }), "{refused}");
        assert!(!refused.to_string().contains(&token[..token.len() - 1]), "no token in an error (S6)");
        let status = replica.status().unwrap();
        assert_eq!((status.state, status.pending_changes), (SyncState::NeedsSignIn, 1), "what is unsent is kept");
    }
    replica.connect(Relay::new(site.relay.url()).token(&token)).unwrap();
    site.sync(&replica);
    let status = replica.status().unwrap();
    assert_eq!((status.state, status.pending_changes), (SyncState::Idle, 0), "the control: the right token");
}

#[test]
fn an_unknown_space_is_refused_and_all_others_go_on() {
    let site = site(Access::Open);
    let replica = site.replica("device.db");
    let home = replica.create_space("home").unwrap();
    let tasks: Collection<Task> = home.collection("tasks").unwrap();
    let nowhere = replica.join_space(SpaceId::from_bytes([7; 16])).unwrap();
    let lost: Collection<Task> = nowhere.collection("tasks").unwrap();
    tasks.insert(&Task::number(1)).unwrap();
    lost.insert(&Task::number(2)).unwrap();
    let mut events = replica.events();
    replica.connect(Relay::new(site.relay.url())).unwrap();
    let refused = site.try_sync(&replica).unwrap_err();
    assert!(refused.to_string().contains(&nowhere.id().to_string()), "the error names the space: {refused}");

    let status = replica.status().unwrap();
    let of = |space: SpaceId| status.spaces.iter().find(|status| status.space == space).unwrap().clone();
    assert_eq!((of(home.id()).state, of(home.id()).pending_changes), (SyncState::Idle, 0));
    assert_eq!((of(nowhere.id()).state, of(nowhere.id()).pending_changes), (SyncState::Blocked, 1));
    let said = std::iter::from_fn(|| events.try_recv().ok())
        .any(|event| matches!(event, SyncEvent::SpaceRefused { space, .. } if space == nowhere.id()));
    assert!(said, "an event says so");
}

#[test]
fn a_watcher_elsewhere_wakes_and_the_write_knows_that_the_relay_has_it() {
    let site = site(Access::Open);
    let (anna, ben) = (site.replica("anna.db"), site.replica("ben.db"));
    let space = anna.create_space("home").unwrap();
    let notes = space.collection::<()>("notes").unwrap();
    let id = notes.json().insert(&json!({ "title": "here" })).unwrap();
    ben.join_space(space.id()).unwrap();
    site.sync_all(&[&anna, &ben]);
    let copy = ben.space(space.id()).unwrap().collection::<()>("notes").unwrap();
    let mut watch = copy.entity(id).unwrap().watch();
    let write = notes.entity(id).unwrap().text("body").splice(0, 0, "naïve 🦀").unwrap();
    site.block_on(write.wait(afield::Durability::Relay)).unwrap();
    let changed = site.block_on(watch.changed()).expect("the replica is open");
    assert!(changed.contains(&id));
    assert_eq!(copy.entity(id).unwrap().text("body").read().unwrap(), "naïve 🦀");
}
