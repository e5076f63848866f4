//! Identity, spaces and cursors.

use crate::help::*;
use afield_core::invitation::InvitationCode;
use afield_core::limits::PREDECESSORS_MAX;
use afield_core::wire::ChunkCode;
use afield_core::{Cursor, DeviceId, Incarnation, Invitation, Role};
use afield_store::{Block, OpenOptions, Origin, SpaceError, Store};

#[test]
fn a_new_identity_has_announced_nothing_and_the_same_one_changes_nothing() {
    let mut store = store_in_memory();
    assert_eq!(store.identity().unwrap(), None);
    let (first, second) = (DeviceId::from_bytes([1; 16]), DeviceId::from_bytes([2; 16]));
    let opening = Incarnation::from_bytes([7; 16]);
    let _ = store.adopt_device(first, 1).unwrap();
    let _ = store.announce(opening).unwrap();
    let _ = store.adopt_device(first, 2).unwrap();
    let identity = store.identity().unwrap().unwrap();
    assert_eq!((identity.device, identity.since_ms, identity.earlier), (first, 1, 0));
    assert_eq!(identity.announced, [opening]);

    let _ = store.adopt_device(second, 3).unwrap();
    let identity = store.identity().unwrap().unwrap();
    assert_eq!((identity.device, identity.since_ms, identity.earlier), (second, 3, 1));
    assert!(identity.announced.is_empty());
}

#[test]
fn the_last_openings_are_kept_until_a_later_one_is_confirmed() {
    let mut store = store_in_memory();
    let _ = store.adopt_device(DeviceId::from_bytes([1; 16]), 1).unwrap();
    let opening = |number: u8| Incarnation::from_bytes([number; 16]);
    for number in 0..20 {
        let _ = store.announce(opening(number)).unwrap();
        let _ = store.announce(opening(number)).unwrap();
    }
    let announced = store.identity().unwrap().unwrap().announced;
    assert_eq!(announced.len(), PREDECESSORS_MAX + 1);
    assert_eq!((announced.first(), announced.last()), (Some(&opening(11)), Some(&opening(19))));

    let _ = store.confirm(opening(99)).unwrap();
    assert_eq!(store.identity().unwrap().unwrap().announced.len(), PREDECESSORS_MAX + 1);
    let _ = store.confirm(opening(19)).unwrap();
    assert_eq!(store.identity().unwrap().unwrap().announced, [opening(19)]);
}

#[test]
fn spaces_keep_their_order_name_and_origin_and_are_made_once() {
    let mut store = store_in_memory();
    let _ = store.create_space(space(9), "Home", Origin::MadeHere, 5).unwrap();
    let _ = store.create_space(space(3), "Work", Origin::Joined, 6).unwrap();
    assert!(matches!(
        store.create_space(space(9), "Again", Origin::Joined, 7),
        Err(SpaceError::SpaceExists { space: found }) if found == space(9)
    ));
    let _ = store.rename_space(space(3), "Büro").unwrap();
    let found = store.spaces().unwrap();
    let names: Vec<_> = found.iter().map(|space| (space.space, space.name.as_str(), space.origin)).collect();
    assert_eq!(names, [(space(9), "Home", Origin::MadeHere), (space(3), "Büro", Origin::Joined)]);
    assert!(matches!(store.rename_space(space(1), "x"), Err(SpaceError::UnknownSpace { .. })));
    assert!(!store.is_poisoned());
}

#[test]
fn a_space_follows_one_log_until_a_reset() {
    let mut store = store_in_memory();
    let _ = store.create_space(space(1), "a space", Origin::Joined, AT_MS).unwrap();
    assert_eq!(store.space(space(1)).unwrap().unwrap().cursor, None);
    assert_eq!(store.set_log(space(1), log(4), Role::Owner).unwrap().into_inner(), Cursor::start(log(4)));
    let behind = receive(&mut store, space(1), &[carried(entity(1), 1)]).cursor;
    assert_eq!(store.set_log(space(1), log(4), Role::Owner).unwrap().into_inner(), behind);
    let error = store.set_log(space(1), log(5), Role::Owner).unwrap_err();
    assert!(matches!(error, SpaceError::OtherLog { stored } if stored == log(4)), "{error:?}");
    assert_eq!(cursor(&store, space(1)), behind);
}

#[test]
fn a_reset_puts_everything_held_of_that_space_into_the_outbox() {
    let mut store = two_spaces();
    edit(&mut store, entity(1), &[1, 2]);
    receive(&mut store, space(1), &[proven(entity(1), 1), carried(entity(2), 3)]);
    receive(&mut store, space(2), &[carried(entity(9), 9)]);
    let blocked = Block { entity: entity(1), code: ChunkCode::TooLarge, hash: hash(2), missing: vec![], since_ms: 1 };
    store.block(std::slice::from_ref(&blocked)).unwrap();
    assert_eq!(outbox(&mut store, space(1)), []);

    let start = store.reset(space(1), log(7), 5_000).unwrap().into_inner();
    assert_eq!((start, cursor(&store, space(1))), (Cursor::start(log(7)), Cursor::start(log(7))));
    assert_eq!(outbox(&mut store, space(1)), hashes(&[1, 2, 3]));
    assert_eq!(outbox(&mut store, space(2)), []);
    assert_eq!(store.blocked(space(1)).unwrap(), []);
    let record = store.space(space(1)).unwrap().unwrap();
    assert_eq!((record.resets, record.last_reset_ms), (1, Some(5_000)));
    assert_eq!(store.space(space(2)).unwrap().unwrap().last_reset_ms, None);
    assert_eq!(cursor(&store, space(2)).sequence, sequence(1));
    sound(&store);

    // A relay that was restored from a backup has the same log again.
    assert_eq!(store.reset(space(1), log(7), 0).unwrap().into_inner(), Cursor::start(log(7)));
    assert!(matches!(store.reset(space(5), log(7), 0), Err(SpaceError::UnknownSpace { .. })));
}

#[test]
fn an_invitation_is_kept_until_it_was_answered_and_no_form_of_it_is_shown() {
    let of = |store: &Store, number: u8| store.space(space(number)).unwrap().unwrap();
    let invited = |number: u8, secret: &str| Invitation::new(space(number), secret);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut store = Store::open(&path, &OpenOptions::default()).unwrap();
    let _ = store.join_invited(&invited(1, "first"), "Home", 5).unwrap();
    let _ = store.join_invited(&invited(1, "second"), "Another name", 6).unwrap();
    let _ = store.create_space(space(2), "Work", Origin::Joined, 7).unwrap();
    drop(store);

    let mut store = Store::open(&path, &OpenOptions::default()).unwrap();
    let kept = of(&store, 1);
    assert_eq!((kept.name.as_str(), kept.origin, kept.created_ms), ("Home", Origin::Joined, 5), "it is there once");
    let code = kept.invitation.as_ref().map(InvitationCode::expose);
    assert_eq!(code, Some(invited(1, "second").expose()), "another one takes its place");
    assert!(!format!("{kept:?}").contains("second"), "S6");
    let _ = store.forget_invitation(space(2)).unwrap();
    assert!(of(&store, 1).invitation.is_some(), "that was another space");

    let _ = store.set_log(space(1), log(1), Role::Owner).unwrap();
    assert!(of(&store, 1).invitation.is_some(), "what moves the cursor may be of a session that began before it came");
    let _ = store.forget_invitation(space(1)).unwrap();
    assert_eq!(of(&store, 1).invitation, None);
    // Whoever was taken out and is invited again has a cursor.
    let _ = store.join_invited(&invited(1, "third"), "Home", 8).unwrap();
    let _ = store.reset(space(1), log(2), 10).unwrap();
    assert!(of(&store, 1).invitation.is_some(), "a Reset goes before the answer");
    let _ = store.join_invited(&invited(1, "fourth"), "Home", 9).unwrap();
    let _ = store.forget_invitation(space(1)).unwrap();
    drop(store);
    let bytes: Vec<u8> = std::fs::read(&path).unwrap();
    let is_there = |secret: &str| bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
    for secret in ["first_0", "second_0", "third_0", "fourth_0"] {
        assert!(!is_there(secret), "{secret} is left in the file");
    }
    assert!(is_there("Home"), "the control");
}
