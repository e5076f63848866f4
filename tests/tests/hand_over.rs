//! Whole devices and a real relay process: what a device cannot send any more, another one sends for it.

use afield::{Collection, Confirm, EntityId, Relay, Replica, Space, SyncState};
use afield_tests::processes::agent::Task;
use afield_tests::processes::{Access, Program, Site, changes_of};
use std::collections::BTreeSet;

fn site() -> Site {
    let site = Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Tokens);
    site.relay.administer(&["user", "create", "ada"]);
    site
}

fn connect(site: &Site, replica: &Replica) -> String {
    let token = site.relay.create_token_with(&["--user", "ada"]);
    replica.connect(Relay::new(site.relay.url()).token(&token)).unwrap();
    site.try_sync(replica).unwrap();
    token
}

fn tasks(space: &Space) -> Collection<Task> {
    space.collection("tasks").unwrap()
}

fn hashes(space: &Space, ids: &[EntityId]) -> Vec<BTreeSet<String>> {
    ids.iter().map(|id| changes_of(&tasks(space), *id)).collect()
}

#[test]
fn what_a_signed_out_device_has_not_sent_reaches_everybody_through_another_and_nothing_is_doubled() {
    let site = site();
    let (laptop, phone, tablet) = (site.replica("laptop.db"), site.replica("phone.db"), site.replica("tablet.db"));
    let home = laptop.create_space("home").unwrap();
    let known = tasks(&home).insert(&Task::number(1)).unwrap();
    let purged = tasks(&home).insert(&Task::number(2)).unwrap();
    connect(&site, &laptop);
    let (on_phone, on_tablet) = (phone.join_space(home.id()).unwrap(), tablet.join_space(home.id()).unwrap());
    connect(&site, &phone);
    connect(&site, &tablet);

    site.relay.administer(&["user", "sign-out", "ada"]);
    assert!(site.try_sync(&laptop).is_err());
    assert_eq!(laptop.status().unwrap().state, SyncState::NeedsSignIn);
    let _ = tasks(&home).json().edit(known, |task| task["note"] = "written while signed out".into()).unwrap();
    let new = tasks(&home).insert(&Task::number(3)).unwrap();
    tasks(&home).purge(purged, Confirm::Yes).unwrap();
    let elsewhere = laptop.create_space("only here").unwrap();
    tasks(&elsewhere).insert(&Task::number(4)).unwrap();
    let path = site.path("unsent");
    let handed = laptop.export_unsent(&path).unwrap();
    assert_eq!((handed.spaces.len(), handed.changes), (2, laptop.status().unwrap().pending_changes));

    // Edits of its own merge with what it takes over.
    let _ = tasks(&on_phone).json().edit(known, |task| task["other"] = "written on the phone".into()).unwrap();
    connect(&site, &phone);
    let taken = phone.take_over(&path).unwrap();
    assert_eq!((taken.added, &taken.unknown_spaces), (handed.changes - 1, &vec![elsewhere.id()]));
    site.try_sync(&phone).unwrap();
    assert_eq!(phone.status().unwrap().pending_changes, 0, "it is on the relay");
    connect(&site, &tablet);
    let there = tasks(&on_tablet).json().read(known).unwrap();
    assert_eq!((&there["note"], &there["other"]), (&"written while signed out".into(), &"written on the phone".into()));
    assert!(tasks(&on_tablet).read(new).is_ok());
    assert_eq!(tasks(&on_tablet).read(purged).unwrap_err().code(), "entity.purged");

    // The laptop signs in again, with what the others have by now.
    let sent = phone.status().unwrap().spaces[0].sequence;
    connect(&site, &laptop);
    assert_eq!(laptop.status().unwrap().pending_changes, 0);
    site.sync_all(&[&laptop, &phone, &tablet]);
    let ids = [known, new];
    assert_eq!(hashes(&home, &ids), hashes(&on_phone, &ids));
    assert_eq!(hashes(&home, &ids), hashes(&on_tablet, &ids));
    let sequence = |replica: &Replica| {
        let spaces = replica.status().unwrap().spaces;
        spaces.iter().find(|space| space.space == home.id()).unwrap().sequence
    };
    assert_eq!((sequence(&laptop), sequence(&phone)), (sent, sent), "nothing stands in the log twice");

    // The space that only the laptop had was brought by itself; the phone joins it, and has nothing left to take.
    phone.join_space(elsewhere.id()).unwrap();
    site.sync(&phone);
    let again = phone.take_over(&path).unwrap();
    assert_eq!((again.added, again.unknown_spaces), (0, Vec::new()));
}
