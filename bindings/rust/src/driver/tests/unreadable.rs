//! An engine that fails while it reads: that costs the entity it read, and nothing of it is lost or taken for missing.

use super::hand::{Desk, NOW, changes};
use crate::driver::EntityError;
use crate::driver::projection::fault;
use afield_core::EntityId;
use afield_core::document::Value;

const ENTITY: EntityId = EntityId::from_bytes([9; 16]);

fn number(desk: &Desk) -> Value {
    let mut seen = None;
    let edited = desk.driver.edit(&desk.target(ENTITY), NOW, |edit| {
        fault::set(false);
        seen = edit.read("number")?;
        edit.put("seen", Value::Bool(true))
    });
    edited.unwrap();
    seen.unwrap()
}

/// A device that has merged one change of [`ENTITY`], and then received one whose document does not read.
fn with_an_unreadable_entity() -> Desk {
    let desk = Desk::new();
    desk.driver.enable_sync(NOW);
    let mut relay = desk.connect(NOW);
    let made = changes(ENTITY, 2);
    let first = relay.chunk(ENTITY, &made[0]);
    desk.receive(&[relay.welcome(), relay.opened(), first, relay.caught_up()], NOW);
    fault::set(true);
    let second = relay.chunk(ENTITY, &made[1]);
    desk.receive(&[second], NOW);
    desk
}

#[test]
fn an_entity_that_cannot_be_read_while_it_is_merged_is_not_taken_for_one_that_is_not_there() {
    let desk = with_an_unreadable_entity();
    // What was applied before is edited; had the entity been missing, this would have been refused.
    assert_eq!(number(&desk), Value::Int(0));
    desk.driver.documents.forget(&[ENTITY]);
    assert_eq!(number(&desk), Value::Int(1), "what was received waited, and is merged by the next who opens it");
}

#[test]
fn a_projection_that_cannot_be_made_is_an_error_of_that_entity() {
    let desk = Desk::new();
    let (entity, _) = desk.edit("title");
    let current = || desk.driver.current_projection(entity, NOW);
    fault::set(true);
    let error = current().unwrap_err();
    assert!(matches!(&error, EntityError::Damaged { entity: of, .. } if *of == entity), "{error:?}");
    assert!(error.is_of_this_entity_alone());
    fault::set(false);
    assert!(current().unwrap().unwrap().json.contains("title"), "the control: nothing is wrong with it");
}
