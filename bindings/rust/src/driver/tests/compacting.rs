//! Compaction beside edits and sync: it keeps nobody waiting, and costs nobody anything where it fails.

use super::hand::{Desk, NOW, later};
use crate::driver::{Acknowledged, EditFailure};
use afield_core::document::Value;
use afield_core::wire::Class;
use afield_core::{ChangeHash, EntityId};
use afield_store::Unsent;
use std::sync::{Arc, mpsc};
use std::time::Duration;

fn number(desk: &Desk, sql: &str) -> i64 {
    let mut found = 0;
    let query = |connection: &mut rusqlite::Connection| {
        found = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    };
    desk.driver.with_store(|store| store.tamper(query));
    found
}

/// A desk with an entity whose snapshot takes much more room than its edits.
fn with_a_large_entity() -> (Desk, EntityId) {
    let desk = Desk::new();
    let (entity, _) = desk.edit("title");
    let mut state = 1_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b' ' + (state >> 24) as u8 % 95)
    };
    let body: String = (0..200_000).map(|_| noise()).collect();
    let _ = desk.driver.edit(&desk.target(entity), NOW, |edit| edit.put("body", Value::Str(body))).unwrap();
    (desk, entity)
}

fn edit_and_compact(desk: &Desk, entity: EntityId, round: u32) -> Result<(), EditFailure<impl std::error::Error>> {
    desk.try_edit(entity, &round.to_string())?;
    desk.driver.compact_edited(entity, NOW);
    Ok(())
}

#[test]
fn where_only_compaction_does_not_fit_edits_go_on_until_one_does_not_fit_itself() {
    let (control, entity) = with_a_large_entity();
    (0..200).for_each(|round| edit_and_compact(&control, entity, round).unwrap());
    assert!(number(&control, "SELECT count(*) FROM changes WHERE covered = 1") > 100, "the control: with room");

    let (desk, entity) = with_a_large_entity();
    let pages = number(&desk, "PRAGMA page_count");
    let limit = |pages: i64| {
        desk.driver.with_store(|store| {
            store.tamper(|connection| {
                connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
            });
        });
    };
    limit(pages + 36);
    for round in 0..200 {
        edit_and_compact(&desk, entity, round).unwrap_or_else(|error| panic!("edit {round}: {error}"));
    }
    assert_eq!(number(&desk, "SELECT count(*) FROM snapshots"), 0, "none fits");
    assert!(!desk.driver.wants_compaction(), "nor is it tried again and again");
    let refused = (200..9_000).find_map(|round| edit_and_compact(&desk, entity, round).err());
    assert_eq!(refused.expect("the disk is full at last").class(), Class::Quota);

    limit(1 << 30);
    desk.driver.reload(NOW).unwrap();
    edit_and_compact(&desk, entity, 9_000).unwrap();
    let compacted = desk.driver.compact_all(|| NOW, |_| ()).unwrap();
    assert_eq!((compacted.entities, compacted.passed_over), (1, 0), "room was made");
    assert_eq!(desk.driver.with_store(|store| store.verify()).unwrap(), []);
}

#[test]
fn what_awaits_the_relay_is_looked_at_again_when_that_is_confirmed_and_not_before() {
    let desk = Desk::new();
    desk.driver.compact_from(16);
    let (entity, _) = desk.edit("title");
    (0..30).for_each(|round| drop(desk.edit_again(entity, &round.to_string())));
    desk.driver.enable_sync(NOW);
    let mut relay = desk.connect(NOW);
    desk.receive(&[relay.welcome(), relay.opened()], NOW);
    while desk.driver.wants_idle() {
        desk.driver.handle_idle(NOW).unwrap();
    }
    let covered = |desk: &Desk| number(desk, "SELECT count(*) FROM changes WHERE covered = 1");
    assert_eq!((covered(&desk), number(&desk, "SELECT count(*) FROM snapshots")), (0, 1));
    for moment in 1..100 {
        desk.driver.handle_timeout(later(NOW, moment)).unwrap();
        assert!(!desk.driver.wants_compaction(), "nothing has changed");
    }
    let stored = desk.stored(entity);
    let messages: Vec<_> = stored.iter().map(|bytes| relay.chunk(entity, bytes)).collect();
    desk.receive(&messages, NOW);
    while desk.driver.wants_idle() {
        desk.driver.handle_idle(NOW).unwrap();
    }
    assert_eq!(covered(&desk), stored.len() as i64);
}

#[test]
fn a_panic_while_sync_was_locked_does_not_stop_compaction_for_ever() {
    let desk = Arc::new(Desk::new());
    let (entity, _) = desk.edit("title");
    (0..30).for_each(|round| drop(desk.edit_again(entity, &round.to_string())));
    let panicking = Arc::clone(&desk);
    let panicked = std::thread::spawn(move || {
        let _sync = panicking.driver.sync.lock().unwrap();
        panic!("a bug while sync is locked");
    });
    assert!(panicked.join().is_err() && desk.driver.sync.is_poisoned());
    let (done, is_done) = mpsc::channel();
    let compacting = Arc::clone(&desk);
    // Not joined: where this fails it never ends.
    std::thread::spawn(move || done.send(compacting.driver.compact_all(|| NOW, |_| ()).unwrap().entities));
    assert_eq!(is_done.recv_timeout(Duration::from_secs(60)), Ok(1));
}

/// Compacts the entity, and damages both copies of what was saved.
fn compact_and_damage(desk: &Desk) {
    assert_eq!(desk.driver.compact_all(|| NOW, |_| ()).unwrap().entities, 1);
    desk.driver.with_store(|store| {
        store.tamper(|connection| {
            for table in ["snapshots", "snapshots_second"] {
                assert_eq!(connection.execute(&format!("UPDATE {table} SET bytes = zeroblob(9)"), []).unwrap(), 1);
            }
        });
    });
}

#[test]
fn who_waits_for_another_device_to_have_a_compacted_change_needs_none_of_its_bytes() {
    let desk = Desk::new();
    let (entity, changes) = desk.edit("title");
    (0..30).for_each(|round| drop(desk.edit_again(entity, &round.to_string())));
    compact_and_damage(&desk);
    let change = |hash: ChangeHash| desk.driver.with_store(|store| store.change(entity, hash));
    assert!(change(changes[0]).is_err(), "the control: its bytes cannot be read");
    let mut waiting = desk.driver.seen_elsewhere(entity, changes[0]).unwrap();
    desk.driver.tell_sightings().unwrap();
    assert_eq!(waiting.try_recv(), Err(tokio::sync::oneshot::error::TryRecvError::Empty), "it still waits");
}

#[test]
fn who_waits_for_something_of_a_space_that_is_left_is_told_that_it_is_gone() {
    let desk = Desk::new();
    let (entity, changes) = desk.edit("title");
    let mut word = desk.driver.acknowledged(entity, changes[0]).unwrap().unwrap();
    let mut seen = desk.driver.seen_elsewhere(entity, changes[0]).unwrap();
    let mut fetched = desk.driver.fetch(desk.space, &[EntityId::from_bytes([77; 16])], NOW).unwrap().unwrap();
    let empty = tokio::sync::oneshot::error::TryRecvError::Empty;
    assert_eq!((word.try_recv(), seen.try_recv()), (Err(empty.clone()), Err(empty.clone())), "the control: they wait");
    assert!(matches!(fetched.try_recv(), Err(error) if error == empty));

    let (left, is_erased) = desk.driver.leave_space(desk.space, Unsent::Discard, NOW).unwrap();
    assert_eq!((left.changes, is_erased), (changes.len() as u64, true));
    let closed = tokio::sync::oneshot::error::TryRecvError::Closed;
    assert_eq!((word.try_recv(), seen.try_recv()), (Err::<Acknowledged, _>(closed.clone()), Err(closed.clone())));
    assert!(matches!(fetched.try_recv(), Ok(Err(not)) if not.class == Class::Permanent));
    let mut late = desk.driver.acknowledged(entity, changes[0]).unwrap().unwrap();
    assert_eq!(late.try_recv(), Err(closed), "who asks afterwards is told, too");
}
