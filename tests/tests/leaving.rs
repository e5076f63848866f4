//! Leaving a space while sync is on, and compaction that a relay's loss comes after: whole devices and a real relay.

use afield::{Relay, Replica, Value};
use afield_tests::processes::{Access, Program, Site};
use serde_json::json;

fn site() -> Site {
    Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Open)
}

fn connect(site: &Site, replica: &Replica) {
    replica.connect(Relay::new(site.relay.url())).unwrap();
    site.sync(replica);
}

#[test]
fn a_space_that_is_left_while_connected_ends_here_alone_and_comes_back_when_it_is_joined_again() {
    let site = site();
    let (anna, ben) = (site.replica("anna.db"), site.replica("ben.db"));
    let (home, work) = (anna.create_space("home").unwrap(), anna.create_space("work").unwrap());
    let note = home.collection::<()>("notes").unwrap().json().insert(&json!({"title": "at home"})).unwrap();
    let task = work.collection::<()>("tasks").unwrap().json().insert(&json!({"title": "at work"})).unwrap();
    connect(&site, &anna);
    let theirs = ben.join_space(home.id()).unwrap().collection::<()>("notes").unwrap();
    connect(&site, &ben);
    assert_eq!(theirs.json().read(note).unwrap(), json!({"title": "at home"}));

    let left = home.clone().leave().unwrap();
    assert_eq!((left.entities, left.unsent), (1, 0));
    theirs.json().edit(note, |note| note["title"] = json!("changed meanwhile")).unwrap();
    site.sync(&ben);
    // Sync goes on with what is left, and brings nothing of the other.
    let tasks = work.collection::<()>("tasks").unwrap();
    tasks.json().edit(task, |task| task["title"] = json!("later")).unwrap();
    site.sync(&anna);
    let status = anna.status().unwrap();
    assert_eq!((status.spaces.len(), status.pending_changes), (1, 0));

    let again = anna.join_space(home.id()).unwrap().collection::<()>("notes").unwrap();
    site.sync(&anna);
    assert_eq!(again.json().read(note).unwrap(), json!({"title": "changed meanwhile"}));
}

#[test]
fn what_is_compacted_reaches_a_relay_that_lost_everything() {
    let site = site();
    let anna = site.replica("anna.db");
    let home = anna.create_space("home").unwrap();
    let notes = home.collection::<()>("notes").unwrap();
    let ids: Vec<_> = (0..3).map(|_| notes.json().insert(&json!({"n": 0})).unwrap()).collect();
    for round in 1..=50_i64 {
        for id in &ids {
            let _ = notes.entity(*id).unwrap().edit(|edit| Ok(edit.put("n", Value::Int(round))?)).unwrap();
        }
    }
    connect(&site, &anna);
    let compacted = anna.compact(|_| ()).unwrap();
    assert_eq!((compacted.changes, compacted.passed_over), (3 * 51, 0));
    anna.disconnect();

    let other = self::site();
    connect(&other, &anna);
    assert_eq!(anna.status().unwrap().spaces[0].resets, 1, "the control: it is another log");
    assert_eq!(anna.status().unwrap().pending_changes, 0);
    let fresh = other.replica("fresh.db");
    let copy = fresh.join_space(home.id()).unwrap().collection::<()>("notes").unwrap();
    connect(&other, &fresh);
    for id in ids {
        let changes = |notes: &afield::Collection<()>| {
            let hashes = |document: &afield::automerge::Automerge| {
                document.get_changes(&[]).iter().map(|change| change.hash()).collect::<std::collections::BTreeSet<_>>()
            };
            notes.entity(id).unwrap().raw(hashes).unwrap()
        };
        assert_eq!(changes(&copy), changes(&notes));
        assert_eq!(changes(&copy).len(), 51);
    }
}
