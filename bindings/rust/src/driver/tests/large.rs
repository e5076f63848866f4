//! What others type into a large text.

use super::hand::{Desk, NOW};
use super::*;
use crate::watch::Subject;
use afield_core::document::{Document, Edit, EditContext, OperationError, Replay, Value};
use std::collections::BTreeSet;

const LETTERS: usize = 20_000;

/// Somebody else who writes one entity.
struct Author {
    document: Document,
}

impl Author {
    fn edit(&mut self, closure: impl FnOnce(&mut Edit<'_>) -> Result<(), OperationError>) -> Vec<u8> {
        let context = EditContext { fresh: true, ..EditContext::new(vec![7; 16].into(), NOW) };
        let mut changes = self.document.edit(&context, &Limits::DEFAULT, closure).unwrap().changes;
        changes.pop().unwrap().bytes
    }
}

/// Receives a large text and then a key in it, with an edit of one's own in between when `concurrently`.
fn receive_a_key(replay: Replay, concurrently: bool) -> (Desk, EntityId) {
    let Desk { driver, space } = Desk::new();
    let desk = Desk { driver: driver.with_replay(replay), space };
    let entity = EntityId::from_bytes([3; 16]);
    let mut author = Author { document: Document::new(entity) };
    desk.driver.enable_sync(NOW);
    let mut relay = desk.connect(NOW);
    let whole = author.edit(|edit| edit.put("body", Value::Text("x".repeat(LETTERS))));
    desk.receive(&[relay.welcome(), relay.opened(), relay.chunk(entity, &whole), relay.caught_up()], NOW);
    assert!(!is_stale(&desk, entity), "what is new is projected");
    if concurrently {
        desk.edit_again(entity, "mine");
        let _ = desk.driver.current_projection(entity, NOW).unwrap();
    }
    let mut watch = desk.driver.observers.watch(Subject::Entity(entity));
    let key = author.edit(|edit| edit.splice_text("body", 5, 1, "k"));
    desk.receive(&[relay.chunk(entity, &key)], NOW);
    assert_eq!(watch.take(), BTreeSet::from([entity]), "who watches is told");
    (desk, entity)
}

fn is_stale(desk: &Desk, entity: EntityId) -> bool {
    desk.driver.with_store(|store| store.reader().projection(entity)).unwrap().unwrap().stale
}

/// Invariant D9.
#[test]
fn a_key_of_somebody_else_in_a_large_text_writes_no_projection_and_whoever_reads_sees_it_all_the_same() {
    let (desk, entity) = receive_a_key(Replay::On, false);
    assert!(is_stale(&desk, entity));
    let projection = desk.driver.current_projection(entity, NOW).unwrap().unwrap();
    assert!(projection.json.contains("xxxxxkx") && !is_stale(&desk, entity));
}

#[test]
fn what_sits_on_the_heads_is_redone_and_counted_unless_that_is_switched_off() {
    let counted = |replay, concurrently| {
        let (desk, entity) = receive_a_key(replay, concurrently);
        let json = desk.driver.current_projection(entity, NOW).unwrap().unwrap().json;
        let Merged { changes, replayed } = *lock(&desk.driver.merged);
        (changes, replayed, json)
    };
    let (changes, replayed, redone) = counted(Replay::On, false);
    assert_eq!((changes, replayed), (2, 1), "the text itself takes the merge less time");
    let (changes, replayed, merged) = counted(Replay::Off, false);
    assert_eq!((changes, replayed), (2, 0));
    assert_eq!(redone, merged);
    let (changes, replayed, _) = counted(Replay::On, true);
    assert_eq!((changes, replayed), (2, 0), "what is concurrent is merged");
}
