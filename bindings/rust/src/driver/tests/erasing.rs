//! What is left in the WAL of what was purged.

use super::hand::{NOW, later};
use super::*;
use crate::clock::SystemEntropy;
use afield_core::ErasureReason;
use afield_core::document::{OperationError, Value};
use afield_store::{OpenOptions, Origin};
use std::path::{Path, PathBuf};

fn opened(path: &Path) -> Driver {
    let store = Store::open(path, &OpenOptions::default()).unwrap();
    Driver::new(store, Box::new(SystemEntropy), NOW).unwrap()
}

fn has_traces(driver: &Driver) -> bool {
    *lock(&driver.traces) != Traces::None
}

fn wal(path: &Path) -> PathBuf {
    path.with_file_name("notes.db-wal")
}

/// A store with an entity in it.
fn made(path: &Path) -> (Driver, SpaceId, EntityId) {
    let (driver, space, entity) = (opened(path), SpaceId::from_bytes([8; 16]), EntityId::from_bytes([3; 16]));
    let _ = driver.with_store(|store| store.create_space(space, "Home", Origin::MadeHere, NOW.wall_ms)).unwrap();
    let target = Target { space, collection: "notes".parse().unwrap(), entity, existence: Existence::Fresh };
    let value = Value::Str("secret".to_owned());
    let _ = driver.edit(&target, NOW, |edit| edit.put("title", value)).map_err(drop::<EditFailure<OperationError>>);
    (driver, space, entity)
}

#[test]
fn what_a_reader_keeps_in_the_wal_is_taken_out_of_it_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.db");
    let (driver, space, entity) = made(&path);
    driver.enable_sync(NOW);
    let reader = rusqlite::Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM spaces").unwrap();
    let _ = driver.purge(space, &[entity], ErasureReason::ASKED, NOW).unwrap();
    assert!(std::fs::metadata(wal(&path)).unwrap().len() > 0, "the control: somebody reads");
    assert!(has_traces(&driver), "it is remembered");
    assert!(!driver.wants_idle(), "and not tried again and again");
    driver.handle_connect_failed("unplugged".to_owned(), Class::Retry, None, NOW);
    assert!(driver.poll_timeout().unwrap() > NOW.monotonic_ms);

    reader.execute_batch("COMMIT").unwrap();
    let mut now = NOW;
    while !driver.wants_idle() {
        now = later(NOW, driver.poll_timeout().expect("there is a timer").max(now.monotonic_ms + 1));
        assert!(now.monotonic_ms < 3_600_000);
        driver.handle_timeout(now).unwrap();
        driver.handle_connect_failed("unplugged".to_owned(), Class::Retry, None, now);
    }
    driver.handle_idle(now).unwrap();
    assert_eq!(std::fs::metadata(wal(&path)).unwrap().len(), 0);
    assert!(!has_traces(&driver));
}

#[test]
fn a_store_that_was_not_closed_is_looked_at_for_traces_when_it_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.db");
    let (driver, ..) = made(&path);
    let crashed = tempfile::tempdir().unwrap();
    let copy = crashed.path().join("notes.db");
    std::fs::copy(&path, &copy).unwrap();
    std::fs::copy(wal(&path), wal(&copy)).unwrap();
    assert!(!has_traces(&driver), "a new one has none");
    drop(driver);
    assert!(!has_traces(&opened(&path)), "nor one that was closed");
    assert!(has_traces(&opened(&copy)));
}
