//! A device that was away for a year, with edits that it has not sent, of something that was purged meanwhile: with a real relay and
//! whole devices, nothing of it comes back.
//!
//! No process can be given another clock, so the year passes in their files: while they are closed, every moment in them is dated
//! back, which is what a year later they look like.

use afield::{Collection, Confirm, EntityId, Path, Replica, SpaceId, Value};
use afield_tests::leftovers::{holders, secret};
use afield_tests::processes::{Access, Program, Site};
use rusqlite::Connection;
use serde_json::json;
use std::path::Path as File;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
const DAY_MS: i64 = 86_400_000;
const YEAR_MS: i64 = 365 * DAY_MS;
/// For how many days the trash is kept.
const KEPT_DAYS: u32 = 3;
/// Columns that hold a time and no moment.
const TIMES: [&str; 5] = ["retention_ms", "every_ms", "duration_ms", "counted_ms", "known_ms"];
/// How often what is purged was edited before: the numbers of its secrets.
const ROUNDS: u64 = 4;
/// The numbers of the secrets that were written while away.
const AWAY: std::ops::Range<u64> = 1_000..1_004;
/// Words that stand in texts that are searched: in what was there, and in what was written while away.
const WORDS: [&str; 2] = ["quokkaatmidnight4711", "wombatatnoon0815"];

fn notes(replica: &Replica, space: SpaceId) -> Collection<()> {
    replica.space(space).unwrap().collection("notes").unwrap()
}

fn is_purged(replica: &Replica, space: SpaceId, id: EntityId) -> bool {
    notes(replica, space).json().read(id).is_err_and(|error| error.code() == "entity.purged")
}

/// The columns of every table of a database.
fn columns(database: &Connection) -> Vec<(String, String)> {
    let sql = "SELECT list.name, info.name FROM pragma_table_list AS list JOIN pragma_table_info(list.name) AS info
               WHERE list.schema = 'main' AND list.type IN ('table', 'shadow') AND list.name NOT LIKE 'sqlite_%'";
    let mut statement = database.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// Dates every moment in a closed file back by so many milliseconds. Gives how many there were.
fn let_pass(file: &File, time_ms: i64) -> usize {
    let database = Connection::open(file).unwrap();
    let moments = columns(&database).into_iter().filter(|(_, name)| name.ends_with("_ms") && !TIMES.contains(&&**name));
    let date_back = |(table, column): (String, String)| {
        let sql = format!("UPDATE \"{table}\" SET \"{column}\" = \"{column}\" - ?1 WHERE \"{column}\" > ?1");
        database.execute(&sql, [time_ms]).unwrap()
    };
    moments.map(date_back).sum()
}

/// The tables of a file in which the id of an entity stands anywhere.
fn tables_that_name(file: &File, id: EntityId) -> Vec<String> {
    let database = Connection::open(file).unwrap();
    let mut tables = Vec::new();
    for (table, column) in columns(&database) {
        let sql = format!(
            "SELECT count(*) FROM \"{table}\" WHERE instr(CAST(\"{column}\" AS BLOB), ?1) > 0 OR instr(\"{column}\", ?2) > 0"
        );
        let named = (id.as_bytes().as_slice(), id.to_string());
        if database.query_row(&sql, named, |row| row.get::<_, i64>(0)).unwrap() > 0 && tables.last() != Some(&table) {
            tables.push(table);
        }
    }
    tables.sort();
    tables.dedup();
    tables
}

/// The files of the site in which anything stands of what was purged.
fn traces(site: &Site) -> Vec<String> {
    let words = WORDS.iter().map(|word| word.as_bytes().to_vec());
    words.chain((0..ROUNDS).chain(AWAY).map(secret)).flat_map(|needle| holders(site.path(""), &needle)).collect()
}

/// Compacts the relay's log as an administrator does.
fn compact(site: &Site) {
    assert!(site.relay.start_compacting().wait().unwrap().success());
}

/// Opens a device's store, and does what is due and what makes it smaller. Gives what of the trash was purged, and what waits for the
/// next sync.
fn open_and_maintain(site: &Site, name: &str) -> (Replica, (u64, u64)) {
    let replica = site.replica(name);
    let done = replica.maintain().unwrap();
    replica.compact(|_| ()).unwrap();
    (replica, (done.purged.entities, done.waiting))
}

#[test]
fn a_device_that_was_away_for_a_year_brings_nothing_back() {
    let mut site = Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Open);
    let [anna, ben, carol] = ["anna.db", "ben.db", "carol.db"].map(|name| site.replica(name));
    let space = anna.create_space("home").unwrap().id();
    [&ben, &carol].into_iter().for_each(|replica| drop(replica.join_space(space).unwrap()));
    let [id, other, trash] =
        ["secret", "stays", "old"].map(|title| notes(&anna, space).json().insert(&json!({ "title": title })).unwrap());
    let of = |replica: &Replica, id: EntityId| notes(replica, space).entity(id).unwrap();
    let put = |replica: &Replica, id: EntityId, key: &str, value: Value| {
        let _ = of(replica, id).map(Path::ROOT).put(key, value).unwrap();
    };
    (0..ROUNDS).for_each(|round| put(&anna, id, "secret", Value::Bytes(secret(round))));
    put(&anna, id, "body", Value::Text(WORDS[0].to_owned()));
    for replica in [&anna, &ben, &carol] {
        assert!(
            notes(replica, space).index(["title"]).unwrap() && notes(replica, space).search_fields(["body"]).unwrap()
        );
    }
    anna.space(space).unwrap().set_trash_retention(Some(KEPT_DAYS * DAY)).unwrap();
    site.sync_all(&[&anna, &ben, &carol]);

    // One device goes away and writes on; of every kind that it holds something is not sent.
    ben.disconnect();
    AWAY.for_each(|number| put(&ben, id, "secret", Value::Bytes(secret(number))));
    let _ = of(&ben, id).text("body").splice(0, 0, &format!("{} ", WORDS[1])).unwrap();
    let _ = of(&ben, id).counter("count").increment(1).unwrap();
    let own = notes(&ben, space).json().insert(&json!({ "title": "of ben" })).unwrap();
    let unsent = ben.status().unwrap().pending_changes;
    drop(ben);

    notes(&anna, space).purge(id, Confirm::Yes).unwrap();
    let _ = notes(&anna, space).delete(trash).unwrap();
    assert_eq!(anna.maintain().unwrap().waiting, 0, "the control: nothing has been in the trash for long");
    (0..300).for_each(|round| put(&carol, other, "round", Value::Int(round)));
    site.sync_all(&[&anna, &carol]);
    compact(&site);
    drop((anna, carol));
    assert!(traces(&site).iter().all(|file| file.starts_with("ben.db")), "{:?}", traces(&site));

    site.relay.stop();
    let log = site.relay.folder().join("log.sqlite");
    for file in [site.path("anna.db"), site.path("ben.db"), site.path("carol.db"), log.clone()] {
        assert!(let_pass(&file, YEAR_MS) > 0, "{file:?}");
    }
    site.relay.restart();
    // A year may be a clock that has jumped, and days that were looked at one by one are not.
    for _ in 1..KEPT_DAYS {
        assert_eq!(open_and_maintain(&site, "anna.db").1, (0, 0));
        let_pass(&site.path("anna.db"), DAY_MS);
    }
    let (anna, emptied_by_anna) = open_and_maintain(&site, "anna.db");
    let (carol, _) = open_and_maintain(&site, "carol.db");
    assert_eq!(
        emptied_by_anna,
        (0, 1),
        "somebody may have restored it meanwhile: the next sync tells, and takes it away"
    );
    (0..300).for_each(|round| put(&carol, other, "again", Value::Int(round)));
    site.sync_all(&[&anna, &carol]);
    compact(&site);

    let ben = site.replica("ben.db");
    assert!(unsent > 6 && ben.status().unwrap().pending_changes == unsent, "the control: it holds {unsent} edits");
    assert_eq!(notes(&ben, space).json().search(WORDS[1]).unwrap().all().unwrap().len(), 1, "the control");
    assert!(traces(&site).iter().any(|file| file.starts_with("ben.db")), "the control");
    site.sync_all(&[&ben, &anna, &carol]);
    let dora = site.replica("dora.db");
    dora.join_space(space).unwrap();
    site.sync(&dora);
    for replica in [&anna, &ben, &carol, &dora] {
        assert!(is_purged(replica, space, id) && is_purged(replica, space, trash));
        let notes = notes(replica, space);
        let mut ids = notes.ids().unwrap();
        ids.sort();
        let mut left = [other, own];
        left.sort();
        assert_eq!(ids, left, "what was written of everything else has arrived");
        assert_eq!((&notes.json().read(other).unwrap()["again"], notes.deleted().unwrap()), (&json!(299), vec![]));
        let status = replica.status().unwrap();
        assert_eq!((status.pending_changes, status.quarantined, status.conflicts), (0, 0, 0));
    }
    for replica in [&anna, &ben, &carol] {
        let notes = notes(replica, space).json();
        for word in WORDS {
            assert!(notes.search(word).unwrap().all().unwrap().is_empty());
        }
        assert_eq!(notes.query("title = 'secret'", ()).unwrap().count().unwrap(), 0);
    }
    let written = notes(&ben, space).json().edit(id, |note| note["title"] = "again".into());
    assert_eq!(written.unwrap_err().code(), "entity.purged");
    assert_eq!(traces(&site), Vec::<String>::new());

    compact(&site);
    drop((anna, ben, carol, dora));
    site.relay.stop();
    assert_eq!(traces(&site), Vec::<String>::new(), "nor once everything is closed");
    for name in ["anna.db", "ben.db", "carol.db", "dora.db"] {
        assert_eq!(tables_that_name(&site.path(name), id), ["erasures"], "{name}");
        assert!(tables_that_name(&site.path(name), other).contains(&"entities".to_owned()), "the control");
    }
    // The record of the purge is a chunk of the log like others, and names the entity; nothing else of it is there.
    assert_eq!(tables_that_name(&log, id), ["entities", "segments"]);
    let sql = "SELECT count(*) FROM snapshots WHERE entity IN (SELECT entity FROM erasures)";
    assert_eq!(Connection::open(&log).unwrap().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
}
