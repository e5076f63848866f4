//! Whole devices and a real relay process: what becomes of a device whose session was ended, and of one that never had any.

use afield::{Collection, Relay, Replica, SignInReason, Space, SyncEvent, SyncState};
use afield_tests::processes::agent::Task;
use afield_tests::processes::{Access, Program, Site};
use std::time::{Duration, Instant};

/// How long the relay may take to list a device.
const LISTED_TIMEOUT: Duration = Duration::from_secs(60);

fn site() -> Site {
    let site = Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Tokens);
    site.relay.administer(&["user", "create", "ada"]);
    site
}

fn token(site: &Site) -> String {
    site.relay.create_token_with(&["--user", "ada"])
}

fn connect(site: &Site, replica: &Replica, token: &str) {
    replica.connect(Relay::new(site.relay.url()).token(token)).unwrap();
    site.try_sync(replica).unwrap();
}

fn tasks(space: &Space) -> Collection<Task> {
    space.collection("tasks").unwrap()
}

/// Waits until the relay's list of devices names one: who has just signed in stands there some seconds later.
fn wait_until_listed(site: &Site, device: &str) {
    let deadline = Instant::now() + LISTED_TIMEOUT;
    while !site.relay.administer(&["device", "list"]).iter().any(|listed| listed["id"] == device) {
        assert!(Instant::now() < deadline, "the relay does not list device {device}");
    }
}

/// Waits until somebody has to sign in on a device.
fn wait_for_the_end(site: &Site, replica: &Replica) {
    let mut events = replica.events();
    site.block_on(async {
        while replica.status().unwrap().state != SyncState::NeedsSignIn {
            while !matches!(events.recv().await.unwrap(), SyncEvent::Disconnected { .. }) {}
        }
    });
}

/// Ends a live session of a device in this way, lets the device work on, and signs it in again in that one.
fn ended_and_back(verb: &[&str], why: SignInReason, words: &str, sign_in: impl FnOnce(&Site, &str) -> String) {
    let site = site();
    let (laptop, phone) = (site.replica("laptop.db"), site.replica("phone.db"));
    let home = laptop.create_space("home").unwrap();
    let first = token(&site);
    tasks(&home).insert(&Task::number(1)).unwrap();
    connect(&site, &laptop, &first);

    let device = laptop.status().unwrap().device.to_string();
    wait_until_listed(&site, &device);
    let verb: Vec<_> = verb.iter().map(|word| if *word == "DEVICE" { device.as_str() } else { word }).collect();
    site.relay.administer(&verb);
    wait_for_the_end(&site, &laptop);
    let status = laptop.status().unwrap();
    assert_eq!((status.state, status.sign_in), (SyncState::NeedsSignIn, Some(why)));
    assert!(status.last_error.as_deref().is_some_and(|error| error.contains(words)), "{:?}", status.last_error);

    // It works on, shows what waits, and gives everything out.
    let id = tasks(&home).insert(&Task::number(2)).unwrap();
    assert_eq!(laptop.status().unwrap().pending_changes, 1);
    let mut exported = Vec::new();
    home.export(&mut exported, |_| ()).unwrap();
    assert!(String::from_utf8(exported).unwrap().contains(&id.to_string()), "what is unsent can be exported");

    let second = sign_in(&site, &first);
    laptop.refresh_token(&second).unwrap();
    site.try_sync(&laptop).unwrap();
    let status = laptop.status().unwrap();
    assert_eq!((status.state, status.sign_in, status.pending_changes), (SyncState::Idle, None, 0));
    let there = phone.join_space(home.id()).unwrap();
    connect(&site, &phone, &token(&site));
    assert_eq!(tasks(&there).json().list().unwrap(), tasks(&home).json().list().unwrap());
    assert_eq!(tasks(&there).json().list().unwrap().len(), 2, "everything arrived");
}

#[test]
fn a_device_that_is_signed_out_keeps_its_work_until_it_has_a_new_token() {
    let verb = ["device", "sign-out", "ada", "DEVICE"];
    ended_and_back(&verb, SignInReason::SignedOut, "this device was signed out", |site, _| token(site));
}

#[test]
fn a_user_who_is_signed_out_keeps_the_work_until_there_is_a_new_token() {
    let verb = ["user", "sign-out", "ada"];
    ended_and_back(&verb, SignInReason::SignedOut, "sign in with a new token", |site, _| token(site));
}

#[test]
fn a_closed_account_keeps_the_work_and_goes_on_with_its_token_once_it_is_open() {
    let verb = ["user", "disable", "ada"];
    ended_and_back(&verb, SignInReason::AccountClosed, "ask who runs the relay", |site, first| {
        site.relay.administer(&["user", "enable", "ada"]);
        first.to_owned()
    });
}

#[test]
fn a_device_that_never_signed_in_works_and_its_space_is_adopted_when_it_does() {
    let site = site();
    let (laptop, phone) = (site.replica("laptop.db"), site.replica("phone.db"));
    let home = laptop.create_space("home").unwrap();
    let id = tasks(&home).insert(&Task::number(1)).unwrap();
    let space = home.id();
    drop((laptop, home));
    let laptop = site.replica("laptop.db");
    let home = laptop.space(space).unwrap();
    let status = laptop.status().unwrap();
    assert_eq!((status.state, status.pending_changes), (SyncState::Disabled, 1));
    assert!(tasks(&home).read(id).is_ok(), "all of it works with no relay at all");

    connect(&site, &laptop, &token(&site));
    assert_eq!(laptop.status().unwrap().pending_changes, 0);
    let there = phone.join_space(home.id()).unwrap();
    connect(&site, &phone, &token(&site));
    assert!(tasks(&there).read(id).is_ok(), "the relay has adopted the space");
}
