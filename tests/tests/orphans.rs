//! Changes whose dependencies are missing wait for them, through the end of the process.
//!
//! Honest devices and one relay never bring an orphan (S5), so a relay is played by hand here that does not check.

use afield::{EntityId, Value};
use afield_core::Limits;
use afield_core::document::{Document, EditContext, LocalChange};
use afield_tests::careless::{CarelessLog, LoneDevice, START};

/// Longer than any back-off.
const WITHIN_MS: u64 = 120_000;

/// Two changes of one entity, the second on top of the first.
fn two_changes(entity: EntityId) -> Vec<LocalChange> {
    let mut document = Document::new(entity);
    let context = EditContext { fresh: true, ..EditContext::new(vec![7; 16].into(), START) };
    ["first", "second"]
        .into_iter()
        .flat_map(|title| {
            let edited = document.edit(&context, &Limits::DEFAULT, |edit| edit.put(title, Value::Bool(true)));
            edited.unwrap().changes
        })
        .collect()
}

/// Receives the second change before the first, with something happening in between.
fn received_in_the_wrong_order(between: impl FnOnce(&mut rusqlite::Connection)) -> Option<Value> {
    let entity = EntityId::from_bytes([9; 16]);
    let changes = two_changes(entity);
    let mut log = CarelessLog::new(0, 3);
    let mut device = LoneDevice::new(1);
    device.connect(WITHIN_MS).unwrap();
    assert!(device.deliver(&log.opened()));
    assert!(device.deliver(&log.batch(&[(entity, &changes[1].bytes)])));
    let mut device = device.restart(between);
    device.connect(WITHIN_MS).unwrap();
    assert!(device.deliver(&log.batch(&[(entity, &changes[0].bytes)])));
    device.read(device.spaces()[0], entity)
}

fn both() -> Option<Value> {
    let both = ["first", "second"].map(|title| (title.to_owned(), Value::Bool(true)));
    Some(Value::Map(both.into_iter().collect()))
}

#[test]
fn an_orphan_waits_through_a_restart_until_what_it_needs_arrives() {
    assert_eq!(received_in_the_wrong_order(|_| ()), both());
}

#[test]
fn the_orphan_had_to_wait_in_the_store() {
    let dropped = received_in_the_wrong_order(|connection| {
        let deleted = connection.execute("DELETE FROM changes WHERE state = 2", []).unwrap();
        assert_eq!(deleted, 1, "one change was waiting");
    });
    assert_ne!(dropped, both());
}
