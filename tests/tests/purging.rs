//! Purging with a real relay: it reaches every device, nothing brings the entity back, and its content is in no file afterwards.

use afield::{Collection, Confirm, EntityId, Path, PurgeError, Relay, Replica, SpaceId, SyncEvent, Value};
use afield_tests::leftovers::{holders, secret};
use afield_tests::processes::{Access, Program, Proxy, Site};
use rusqlite::{Connection, OpenFlags};
use serde_json::json;
use std::fs;

/// What no file may hold afterwards, as a text of the document.
const MARKER: &str = "zebra-crossing-at-midnight-4711";

fn site() -> Site {
    Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Open)
}

fn notes(replica: &Replica, space: SpaceId) -> Collection<()> {
    replica.space(space).unwrap().collection("notes").unwrap()
}

/// Writes a note with the marker and secrets in it, so often that it has a history.
fn write_secret(replica: &Replica, space: SpaceId, rounds: u64) -> EntityId {
    let notes = notes(replica, space);
    let id = notes.json().insert(&json!({ "title": MARKER })).unwrap();
    let entity = notes.entity(id).unwrap();
    for round in 0..rounds {
        let _ = entity.map(Path::ROOT).put("secret", Value::Bytes(secret(round))).unwrap();
    }
    id
}

fn is_purged(replica: &Replica, space: SpaceId, id: EntityId) -> bool {
    let read = notes(replica, space).json().read(id);
    read.is_err_and(|error| error.code() == "entity.purged")
}

/// Looks for what was written in every file of the site: the devices' and the relay's.
fn traces(site: &Site, rounds: u64) -> Vec<String> {
    let mut found = holders(site.path(""), MARKER.as_bytes());
    (0..rounds).for_each(|round| found.extend(holders(site.path(""), &secret(round))));
    found
}

#[test]
fn a_purge_reaches_every_device_and_leaves_its_content_in_no_file() {
    let site = site();
    let (anna, ben) = (site.replica("anna.db"), site.replica("ben.db"));
    let space = anna.create_space("home").unwrap().id();
    ben.join_space(space).unwrap();
    let id = write_secret(&anna, space, 4);
    let other = notes(&anna, space).json().insert(&json!({ "title": "stays" })).unwrap();
    site.sync_all(&[&anna, &ben]);
    assert!(notes(&ben, space).entity(id).is_ok());
    let before = traces(&site, 4);
    assert!(before.iter().any(|file| file.starts_with("ben")) && before.iter().any(|file| file.starts_with("log")));

    let asked = notes(&anna, space).purge(id, Confirm::Ask);
    let Err(PurgeError::Unconfirmed { extent, .. }) = asked else { panic!("{asked:?}") };
    assert_eq!((extent.entities, extent.changes, extent.unsent), (1, 5, 0));
    assert!(notes(&anna, space).entity(id).is_ok(), "asking purges nothing");

    let (mut watch, mut events) = (notes(&ben, space).watch(), ben.events());
    let purged = notes(&anna, space).purge(id, Confirm::Yes).unwrap();
    assert_eq!((purged.entities, purged.changes), (1, 5));
    assert!(is_purged(&anna, space, id));
    site.sync_all(&[&anna, &ben]);
    assert!(is_purged(&ben, space, id) && watch.take().contains(&id));
    let told =
        std::iter::from_fn(|| events.try_recv().ok()).any(|event| event == SyncEvent::Purged { space, entity: id });
    assert!(told, "an event tells of it");
    assert_eq!(traces(&site, 4), Vec::<String>::new());

    ben.backup(site.path("backup.db")).unwrap();
    assert_eq!(traces(&site, 4), Vec::<String>::new(), "a backup made afterwards holds nothing of it");
    for replica in [&anna, &ben] {
        assert_eq!(notes(replica, space).ids().unwrap(), [other], "the control: what was not purged is there");
        assert_eq!(replica.status().unwrap().pending_changes, 0, "the record is on the relay, and everybody knows");
    }
    let carol = site.replica("carol.db");
    carol.join_space(space).unwrap();
    site.sync(&carol);
    assert_eq!(notes(&carol, space).ids().unwrap(), [other]);
    assert!(is_purged(&carol, space, id), "who comes later is told, too");
}

#[test]
fn a_device_that_was_away_with_unsent_edits_does_not_bring_it_back() {
    let site = site();
    let (anna, ben) = (site.replica("anna.db"), site.replica("ben.db"));
    let space = anna.create_space("home").unwrap().id();
    ben.join_space(space).unwrap();
    let id = write_secret(&anna, space, 2);
    site.sync_all(&[&anna, &ben]);
    ben.disconnect();
    let _ = notes(&ben, space).entity(id).unwrap().map(Path::ROOT).put("title", "mine").unwrap();
    let own = notes(&ben, space).json().insert(&json!({ "title": "of ben" })).unwrap();

    notes(&anna, space).purge(id, Confirm::Yes).unwrap();
    site.sync(&anna);
    site.sync_all(&[&ben, &anna, &ben]);
    for replica in [&anna, &ben] {
        assert!(is_purged(replica, space, id));
        assert_eq!(notes(replica, space).ids().unwrap(), [own], "what else was written while it was away arrives");
        let status = replica.status().unwrap();
        assert_eq!((status.pending_changes, status.quarantined), (0, 0));
    }
    assert_eq!(traces(&site, 2), Vec::<String>::new());
    let written = notes(&ben, space).json().edit(id, |note| note["title"] = "again".into());
    assert_eq!(written.unwrap_err().code(), "entity.purged");
}

#[test]
fn a_relay_restored_from_a_backup_made_before_the_purge_is_told_again() {
    let mut site = site();
    let (anna, ben) = (site.replica("anna.db"), site.replica("ben.db"));
    let space = anna.create_space("home").unwrap().id();
    ben.join_space(space).unwrap();
    let id = write_secret(&anna, space, 2);
    site.sync_all(&[&anna, &ben]);
    site.relay.stop();
    let log = site.relay.folder().join("log.sqlite");
    let backup = fs::read(&log).unwrap();
    site.relay.restart();
    notes(&anna, space).purge(id, Confirm::Yes).unwrap();
    site.sync_all(&[&anna, &ben]);
    assert!(is_purged(&ben, space, id));
    // The one who asked for it is gone; the other device tells the relay.
    drop(anna);
    site.relay.stop();
    fs::write(&log, backup).unwrap();
    assert!(!traces(&site, 2).is_empty(), "the control: the backup has it");
    site.relay.restart();

    let carol = site.replica("carol.db");
    carol.join_space(space).unwrap();
    site.sync(&carol);
    assert!(notes(&carol, space).entity(id).is_ok(), "the control: it had come back");
    site.sync_all(&[&ben, &carol]);
    assert!(is_purged(&carol, space, id) && is_purged(&ben, space, id));
    assert_eq!(traces(&site, 2), Vec::<String>::new());
    assert_eq!(ben.status().unwrap().pending_changes, 0);
}

/// How many rows a table of the relay's log has.
fn count(site: &Site, table: &str) -> i64 {
    let path = site.relay.folder().join("log.sqlite");
    let log = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    log.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

fn compact(site: &Site) {
    assert!(site.relay.start_compacting().wait().unwrap().success());
}

#[test]
fn what_the_relay_has_packed_or_put_behind_a_snapshot_goes_too() {
    const ROUNDS: u64 = 24;
    let mut site = site();
    let anna = site.replica("anna.db");
    let space = anna.create_space("home").unwrap().id();
    let covered = write_secret(&anna, space, ROUNDS);
    let other = notes(&anna, space).json().insert(&json!({ "title": "stays" })).unwrap();
    let entity = notes(&anna, space).entity(other).unwrap();
    for round in 0..300 {
        let _ = entity.map(Path::ROOT).put("round", Value::Int(round)).unwrap();
    }
    site.sync(&anna);
    compact(&site);
    let packed = write_secret(&anna, space, 2);
    for round in 0..300 {
        let _ = entity.map(Path::ROOT).put("again", Value::Int(round)).unwrap();
    }
    site.sync(&anna);
    // Packs what is fresh; of so few changes no snapshot is made.
    compact(&site);
    assert!(
        count(&site, "snapshots") > 0 && count(&site, "segments") > 1,
        "the control: there is something to rewrite"
    );
    let in_log = |site: &Site| holders(site.relay.folder().to_owned(), &secret(1));
    assert!(!in_log(&site).is_empty(), "the control: what is packed can be found");

    anna.space(space).unwrap().purge([covered, packed], Confirm::Yes).unwrap();
    site.sync(&anna);
    assert_eq!(count(&site, "snapshots WHERE entity IN (SELECT entity FROM erasures)"), 0);
    compact(&site);
    assert_eq!(count(&site, "erasures WHERE cleared < position"), 0, "nothing is left to be rewritten");
    assert_eq!(traces(&site, ROUNDS), Vec::<String>::new());

    // The chain is what it was: who comes late reads everything that is left, and one who was here goes on.
    let ben = site.replica("ben.db");
    ben.join_space(space).unwrap();
    site.sync_all(&[&ben, &anna]);
    for replica in [&anna, &ben] {
        let note = notes(replica, space).json().read(other).unwrap();
        assert_eq!((&note["round"], &note["again"]), (&json!(299), &json!(299)));
        assert!(is_purged(replica, space, covered) && is_purged(replica, space, packed));
        assert_eq!(replica.status().unwrap().spaces[0].resets, 0);
    }
    site.relay.stop();
    site.relay.restart();
    site.sync_all(&[&anna, &ben]);
    assert_eq!(traces(&site, ROUNDS), Vec::<String>::new());
}

/// What no file may hold afterwards, as a word that searches find: those are stored in small letters and whole.
const WORD: &str = "quokkaatmidnight4711";

#[test]
fn what_was_searched_indexed_and_in_conflict_is_gone_too_and_in_no_export_made_afterwards() {
    let site = site();
    let (anna, ben) = (site.replica("anna.db"), site.replica("ben.db"));
    let space = anna.create_space("home").unwrap().id();
    ben.join_space(space).unwrap();
    let id = write_secret(&anna, space, 2);
    let other = notes(&anna, space).json().insert(&json!({ "title": "stays", "body": { "$text": "word" } })).unwrap();
    let _ = notes(&anna, space).entity(id).unwrap().map(Path::ROOT).put("body", Value::Text(WORD.to_owned())).unwrap();
    for replica in [&anna, &ben] {
        let notes = notes(replica, space);
        assert!(notes.index(["title"]).unwrap() && notes.search_fields(["title", "body"]).unwrap());
    }
    site.sync_all(&[&anna, &ben]);
    for (replica, name) in [(&anna, "anna"), (&ben, "ben")] {
        let title = format!("{MARKER}-of-{name}");
        let _ = notes(replica, space).entity(id).unwrap().map(Path::ROOT).put("title", title).unwrap();
    }
    site.sync_all(&[&anna, &ben]);
    let found = |replica: &Replica| {
        let (notes, home) = (notes(replica, space), replica.space(space).unwrap());
        let queried = notes.json().query("title LIKE ?", [format!("{MARKER}%")]).unwrap().count().unwrap();
        let searched = notes.json().search(WORD).unwrap().all().unwrap().len();
        (queried, searched, home.conflicts().unwrap().len(), replica.status().unwrap().conflicts)
    };
    for replica in [&anna, &ben] {
        assert_eq!(found(replica), (1, 1, 1, 1), "the control: there is something to find everywhere");
    }
    let all_traces = || [traces(&site, 2), holders(site.path(""), WORD.as_bytes())].concat();
    assert!(all_traces().iter().any(|file| file.starts_with("ben")), "the control");

    notes(&anna, space).purge(id, Confirm::Yes).unwrap();
    site.sync_all(&[&anna, &ben]);
    for (replica, name) in [(&anna, "anna"), (&ben, "ben")] {
        assert_eq!(found(replica), (0, 0, 0, 0));
        assert_eq!(all_traces(), Vec::<String>::new(), "beside {name}");
        let home = replica.space(space).unwrap();
        let export = fs::File::create(site.path(&format!("{name}.jsonl"))).unwrap();
        assert_eq!(home.export(export, |_| ()).unwrap().entities, 1);
        let saved = notes(replica, space).entity(other).unwrap().export_automerge().unwrap();
        fs::write(site.path(&format!("{name}.automerge")), saved).unwrap();
        assert!(notes(replica, space).entity(id).is_err(), "there is nothing of it to be exported");
        let runs = format!("{:?} {:?}", replica.runs(1_000).unwrap(), replica.explain().unwrap());
        assert!(runs.contains("completed") && !runs.contains(MARKER) && !runs.contains(WORD));
        replica.backup(site.path(&format!("{name}-backup.db"))).unwrap();
    }
    assert!(!holders(site.path(""), b"stays").is_empty(), "the control: what was not purged is in the exports");
    assert_eq!(all_traces(), Vec::<String>::new(), "nor in any export, backup or history of runs");
    drop((anna, ben));
    assert_eq!(all_traces(), Vec::<String>::new(), "nor once the stores are closed");
}

#[test]
fn a_purge_of_what_is_on_its_way_keeps_nothing_back_that_is_written_after_it() {
    let site = site();
    let proxy = Proxy::start(site.relay.address()).unwrap();
    let (anna, ben) = (site.replica("anna.db"), site.replica("ben.db"));
    let space = anna.create_space("home").unwrap().id();
    anna.connect(Relay::new(proxy.url())).unwrap();
    site.sync(&anna);
    proxy.hold();
    let id = notes(&anna, space).json().insert(&json!({ "title": "on its way" })).unwrap();
    proxy.wait_until_it_holds();
    notes(&anna, space).purge(id, Confirm::Yes).unwrap();
    proxy.release();
    site.sync(&anna);
    let after = notes(&anna, space).json().insert(&json!({ "title": "after it" })).unwrap();
    site.sync(&anna);
    assert_eq!(anna.status().unwrap().pending_changes, 0);
    ben.join_space(space).unwrap();
    site.sync(&ben);
    assert_eq!(notes(&ben, space).ids().unwrap(), [after]);
    assert!(is_purged(&ben, space, id));
}
