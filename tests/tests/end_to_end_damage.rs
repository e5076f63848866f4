//! One flipped byte in a stored chunk, on a device or on the relay: that entity says so, and all others go on (D7, D8).

use afield::{Collection, EntityError, EntityId, Path, ReadError, Replica, SpaceId, SyncError, SyncEvent, Value};
use afield_tests::processes::{Access, Program, Site};
use rusqlite::Connection;
use serde_json::json;

/// Where the relay's log is, in its folder.
const LOG: &str = "log.sqlite";

fn site() -> Site {
    Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Open)
}

fn notes(replica: &Replica, space: SpaceId) -> Collection<()> {
    replica.space(space).unwrap().collection("notes").unwrap()
}

/// Two devices' worth of notes: the first is to be damaged, the others are not.
fn write_notes(replica: &Replica, space: SpaceId) -> Vec<EntityId> {
    let notes = notes(replica, space);
    (0..5).map(|number| notes.json().insert(&json!({ "title": format!("note {number}") })).unwrap()).collect()
}

/// Flips one byte of what a database stores under an entity.
fn flip(connection: &Connection, table: &str, (row, entity): (&str, &str), id: EntityId, at: usize) {
    let select = format!("SELECT {row}, bytes FROM {table} WHERE {entity} ORDER BY {row} LIMIT 1");
    let (number, mut bytes): (i64, Vec<u8>) =
        connection.query_row(&select, [id.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let at = at % bytes.len();
    bytes[at] ^= 0x20;
    let update = format!("UPDATE {table} SET bytes = ? WHERE {row} = ?");
    assert_eq!(connection.execute(&update, (bytes, number)).unwrap(), 1);
}

fn flip_in_store(path: &std::path::Path, id: EntityId, at: usize) {
    let of = "change_row IN (SELECT change_row FROM changes JOIN entities USING (entity_row) WHERE entity = ?)";
    flip(&Connection::open(path).unwrap(), "bodies", ("change_row", of), id, at);
}

fn flip_in_log(site: &Site, id: EntityId, at: usize) {
    let of = "entity = (SELECT number FROM entities WHERE id = ?)";
    flip(&Connection::open(site.relay.folder().join(LOG)).unwrap(), "chunks", ("position", of), id, at);
}

#[test]
fn a_flipped_byte_in_a_devices_store_is_told_by_that_entity_alone() {
    let site = site();
    let replica = site.replica("device.db");
    let space = replica.create_space("home").unwrap().id();
    let ids = write_notes(&replica, space);
    let (damaged, whole) = ids.split_first().unwrap();
    let length = notes(&replica, space)
        .entity(*damaged)
        .unwrap()
        .raw(|document| document.get_changes(&[]).first().map_or(0, |change| change.raw_bytes().len()));
    let length = length.unwrap();
    drop(replica);
    assert!(length > 50, "a change has bytes to flip");
    for at in 0..length {
        flip_in_store(&site.path("device.db"), *damaged, at);
        let replica = site.replica("device.db");
        let notes = notes(&replica, space);
        let told = notes.json().read(*damaged);
        assert!(matches!(told, Err(ReadError::Entity(EntityError::Damaged { .. }))), "byte {at}: {told:?}");
        assert!(notes.entity(*damaged).is_err(), "it cannot be edited into something else (D8)");
        for id in whole {
            let _ = notes.entity(*id).unwrap().map(Path::ROOT).put("seen", Value::Int(at as i64)).unwrap();
        }
        drop(replica);
        flip_in_store(&site.path("device.db"), *damaged, at);
    }
    let replica = site.replica("device.db");
    assert_eq!(notes(&replica, space).json().read(*damaged).unwrap()["title"], "note 0", "the control: flipped back");
}

#[test]
fn a_device_with_a_damaged_entity_syncs_all_others() {
    let site = site();
    let replica = site.replica("device.db");
    let space = replica.create_space("home").unwrap().id();
    let ids = write_notes(&replica, space);
    drop(replica);
    flip_in_store(&site.path("device.db"), ids[0], 60);
    let (replica, other) = (site.replica("device.db"), site.replica("other.db"));
    other.join_space(space).unwrap();
    site.sync_all(&[&replica, &other]);
    let mut events = replica.events();
    let refused = site.try_sync(&replica);
    assert!(matches!(refused, Err(SyncError::Refused { entities: 1, .. })), "{refused:?}");
    let ends: Vec<_> = std::iter::from_fn(|| events.try_recv().ok()).collect();
    let is_failure = |event: &SyncEvent| matches!(event, SyncEvent::Failed { failures: 1.., .. });
    let is_success = |event: &SyncEvent| matches!(event, SyncEvent::Completed { .. });
    assert!(ends.iter().any(is_failure) && !ends.iter().any(is_success), "{ends:?}");
    let copies = notes(&other, space);
    for (number, id) in ids.iter().enumerate().skip(1) {
        assert_eq!(copies.json().read(*id).unwrap()["title"], format!("note {number}"));
    }
    assert!(copies.json().read(ids[0]).is_err(), "what is damaged is not passed on as if it were whole");
    let _ = notes(&other, space).entity(ids[1]).unwrap().map(Path::ROOT).put("title", "changed").unwrap();
    site.sync_all(&[&other, &replica]);
    assert_eq!(notes(&replica, space).json().read(ids[1]).unwrap()["title"], "changed");
}

#[test]
fn a_flipped_byte_in_the_relays_log_is_quarantined_and_everything_else_arrives() {
    let mut site = site();
    let author = site.replica("author.db");
    let space = author.create_space("home").unwrap().id();
    let ids = write_notes(&author, space);
    site.sync(&author);
    // The mark of a change, its checksum, its body, and its last byte.
    for (round, at) in [0, 5, 40, usize::MAX].into_iter().enumerate() {
        site.relay.stop();
        flip_in_log(&site, ids[2], at);
        site.relay.restart();
        let fresh = site.replica(&format!("fresh-{round}.db"));
        fresh.join_space(space).unwrap();
        let mut events = fresh.events();
        site.sync(&fresh);
        let copies = notes(&fresh, space);
        for (number, id) in ids.iter().enumerate().filter(|(number, _)| *number != 2) {
            assert_eq!(copies.json().read(*id).unwrap()["title"], format!("note {number}"), "byte {at}");
        }
        assert_eq!(fresh.status().unwrap().quarantined, 1, "byte {at}");
        let said = std::iter::from_fn(|| events.try_recv().ok())
            .any(|event| matches!(event, SyncEvent::Quarantined { entity, .. } if entity == ids[2]));
        assert!(said, "byte {at}: an event names the entity");
        drop((copies, fresh));
        site.relay.stop();
        flip_in_log(&site, ids[2], at);
        site.relay.restart();
    }
    let fresh = site.replica("fresh.db");
    fresh.join_space(space).unwrap();
    site.sync(&fresh);
    assert_eq!(notes(&fresh, space).json().read(ids[2]).unwrap()["title"], "note 2", "the control: flipped back");
}

#[test]
fn a_change_that_decayed_on_the_relay_is_sent_again_with_the_next_one_that_depends_on_it() {
    let mut site = site();
    let author = site.replica("author.db");
    let space = author.create_space("home").unwrap().id();
    let ids = write_notes(&author, space);
    site.sync(&author);
    site.relay.stop();
    flip_in_log(&site, ids[2], 40);
    site.relay.restart();
    // Whoever reads it finds that it has decayed, while the author has it marked as on the relay.
    let reader = site.replica("reader.db");
    reader.join_space(space).unwrap();
    site.sync(&reader);
    assert_eq!(reader.status().unwrap().quarantined, 1);

    let _ = notes(&author, space).entity(ids[2]).unwrap().map(Path::ROOT).put("seen", true).unwrap();
    site.sync(&author);
    let fresh = site.replica("fresh.db");
    fresh.join_space(space).unwrap();
    site.sync(&fresh);
    let note = notes(&fresh, space).json().read(ids[2]).unwrap();
    assert_eq!((note["title"].as_str(), note["seen"].as_bool()), (Some("note 2"), Some(true)), "S2");
    assert_eq!(fresh.status().unwrap().quarantined, 0);
}
