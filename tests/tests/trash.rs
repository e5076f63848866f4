//! What is emptied out of the trash, by whom and when: with a real relay and whole devices, nothing that others have restored goes, and
//! nothing goes on one device alone.

use afield::{
    Collection, Confirm, Direction, EntityId, PurgeError, Relay, Replica, Role, SpaceId, SyncEvent, SyncState,
};
use afield_tests::processes::{Access, Program, Site};
use serde_json::json;
use std::time::Duration;

fn site(access: Access) -> Site {
    Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), access)
}

fn notes(replica: &Replica, space: SpaceId) -> Collection<()> {
    replica.space(space).unwrap().collection("notes").unwrap()
}

fn put(replica: &Replica, space: SpaceId, title: &str) -> EntityId {
    notes(replica, space).json().insert(&json!({ "title": title })).unwrap()
}

fn is_purged(replica: &Replica, space: SpaceId, id: EntityId) -> bool {
    notes(replica, space).json().read(id).is_err_and(|error| error.code() == "entity.purged")
}

/// Has a device keep nothing that is deleted.
fn keep_nothing(replica: &Replica, space: SpaceId) {
    replica.space(space).unwrap().set_trash_retention(Some(Duration::ZERO)).unwrap();
}

fn space_of_three(site: &Site) -> ([Replica; 3], SpaceId) {
    let devices = ["anna.db", "ben.db", "carol.db"].map(|name| site.replica(name));
    let space = devices[0].create_space("home").unwrap().id();
    devices[1..].iter().for_each(|replica| drop(replica.join_space(space).unwrap()));
    (devices, space)
}

#[test]
fn what_others_restored_while_a_device_was_away_is_not_emptied_out_of_its_trash() {
    let site = site(Access::Open);
    let ([anna, ben, carol], space) = space_of_three(&site);
    let [restored, gone] = ["restored", "gone"].map(|title| put(&anna, space, title));
    site.sync_all(&[&anna, &ben, &carol]);
    [restored, gone].into_iter().for_each(|id| drop(notes(&anna, space).delete(id).unwrap()));
    site.sync_all(&[&anna, &ben, &carol]);

    carol.disconnect();
    let _ = notes(&ben, space).restore(restored).unwrap();
    let _ = notes(&ben, space).json().edit(restored, |note| note["title"] = "a month of work".into()).unwrap();
    site.sync_all(&[&ben, &anna]);

    keep_nothing(&carol, space);
    let own = carol.create_space("her own").unwrap();
    let of_her_own = put(&carol, own.id(), "nobody else has it");
    let _ = notes(&carol, own.id()).delete(of_her_own).unwrap();
    keep_nothing(&carol, own.id());
    let done = carol.maintain().unwrap();
    assert_eq!((done.purged.entities, done.waiting), (1, 2), "what no relay has is this device's alone");
    assert!(is_purged(&carol, own.id(), of_her_own));
    drop((carol, own));

    // Also where another process than the one that looked gets in step.
    let carol = site.replica("carol.db");
    site.sync_all(&[&carol, &anna, &ben, &carol]);
    for replica in [&anna, &ben, &carol] {
        assert_eq!(notes(replica, space).json().read(restored).unwrap()["title"], "a month of work");
        assert!(is_purged(replica, space, gone), "the control: what nobody restored is purged with the sync");
        assert!(notes(replica, space).deleted().unwrap().is_empty());
    }
}

#[test]
fn a_device_that_is_connected_asks_and_empties_its_trash() {
    let site = site(Access::Open);
    let ([anna, ben, _], space) = space_of_three(&site);
    let id = put(&anna, space, "gone");
    site.sync_all(&[&anna, &ben]);
    let _ = notes(&anna, space).delete(id).unwrap();
    site.sync_all(&[&anna, &ben]);
    keep_nothing(&ben, space);
    let mut events = anna.events();
    assert_eq!(ben.maintain().unwrap().waiting, 1);
    site.hear(&mut events, |event| *event == SyncEvent::Purged { space, entity: id });
    assert!(is_purged(&ben, space, id) && is_purged(&anna, space, id));
}

#[test]
fn a_large_note_that_two_deleted_is_emptied_out_of_the_trash() {
    let site = site(Access::Open);
    let ([anna, ben, _], space) = space_of_three(&site);
    let id = put(&anna, space, &"large ".repeat(2_000));
    site.sync_all(&[&anna, &ben]);
    [&anna, &ben].into_iter().for_each(Replica::disconnect);
    for replica in [&anna, &ben] {
        let _ = notes(replica, space).delete(id).unwrap();
    }
    site.sync_all(&[&anna, &ben]);
    let trash = ben.space(space).unwrap();
    assert_eq!(trash.expired_deleted(Duration::ZERO).unwrap(), [id]);
    assert_eq!(trash.purge_deleted(Duration::ZERO, Confirm::Yes).unwrap().entities, 1);
    site.sync_all(&[&ben, &anna]);
    assert!(is_purged(&anna, space, id));
}

#[test]
fn nobody_purges_on_his_own_device_alone() {
    let site = site(Access::Tokens);
    ["ada", "ben"].into_iter().for_each(|user| drop(site.relay.administer(&["user", "create", user])));
    let connect = |replica: &Replica, user: &str| {
        let token = site.relay.create_token_with(&["--user", user]);
        replica.connect(Relay::new(site.relay.url()).token(token)).unwrap();
        site.sync(replica);
    };
    let grant = |space: SpaceId, role: &str| {
        site.relay.administer(&["space", "grant", &space.to_string(), "ben", role]);
    };
    let adas = site.replica("ada.db");
    let space = adas.create_space("Home").unwrap().id();
    let [id, old] = ["alive", "old"].map(|title| put(&adas, space, title));
    let _ = notes(&adas, space).delete(old).unwrap();
    connect(&adas, "ada");
    grant(space, "reader");
    let bens = site.replica("ben.db");
    let there = bens.join_space(space).unwrap();
    connect(&bens, "ben");

    assert_eq!(bens.status().unwrap().spaces[0].role, Some(Role::Reader), "the control");
    for confirm in [Confirm::Ask, Confirm::Yes] {
        let error = notes(&bens, space).purge(id, confirm).unwrap_err();
        assert!(matches!(error, PurgeError::ReadOnly { space: of } if of == space), "{error}");
    }
    keep_nothing(&bens, space);
    let emptied = there.purge_deleted(Duration::ZERO, Confirm::Yes).unwrap();
    let maintained = bens.maintain().unwrap();
    assert_eq!((emptied.entities, emptied.skipped), (0, 1));
    assert_eq!((maintained.purged.entities, maintained.purged.skipped, maintained.waiting), (0, 1, 0));
    let unsent = put(&bens, space, "only here");
    assert_eq!(notes(&bens, space).purge(unsent, Confirm::Yes).unwrap().entities, 1, "nobody else has it");

    grant(space, "writer");
    bens.disconnect();
    connect(&bens, "ben");
    site.sync_all(&[&bens, &adas, &bens]);
    for replica in [&adas, &bens] {
        assert_eq!(notes(replica, space).ids().unwrap(), [id]);
        assert_eq!(notes(replica, space).deleted().unwrap(), [old]);
        assert_eq!(replica.status().unwrap().pending_changes, 0);
    }
    there.set_direction("notes", Direction::PullOnly).unwrap();
    let error = notes(&bens, space).purge(id, Confirm::Yes).unwrap_err();
    assert!(matches!(error, PurgeError::OnlyComesIn { .. }), "{error}");
    assert_eq!(there.purge_deleted(Duration::ZERO, Confirm::Yes).unwrap().skipped, 1);
    there.set_direction("notes", Direction::Both).unwrap();
    assert_eq!(there.purge_deleted(Duration::ZERO, Confirm::Yes).unwrap().entities, 1, "the control");
    site.sync_all(&[&bens, &adas]);
    assert!(is_purged(&adas, space, old) && !is_purged(&adas, space, id));
}

#[test]
fn a_purge_that_the_relay_refuses_is_told_until_it_is_taken() {
    let site = site(Access::Tokens);
    ["ada", "ben"].into_iter().for_each(|user| drop(site.relay.administer(&["user", "create", user])));
    let token = |user: &str| site.relay.create_token_with(&["--user", user]);
    let connect = |replica: &Replica, user: &str| {
        replica.connect(Relay::new(site.relay.url()).token(token(user))).unwrap();
        site.sync(replica);
    };
    let grant = |space: SpaceId, role: &str| {
        site.relay.administer(&["space", "grant", &space.to_string(), "ben", role]);
    };
    let adas = site.replica("ada.db");
    let space = adas.create_space("Home").unwrap().id();
    let id = put(&adas, space, "a note");
    connect(&adas, "ada");
    grant(space, "writer");
    let bens = site.replica("ben.db");
    bens.join_space(space).unwrap();
    connect(&bens, "ben");

    bens.disconnect();
    grant(space, "reader");
    notes(&bens, space).purge(id, Confirm::Yes).unwrap();
    let mut events = bens.events();
    connect(&bens, "ben");
    site.hear(&mut events, |event| matches!(event, SyncEvent::ChangeRefused { entity, .. } if *entity == id));
    let status = bens.status().unwrap();
    let told = &status.spaces[0];
    assert_eq!((told.state, told.blocked_entities, told.pending_changes), (SyncState::Blocked, 1, 1));
    assert!(told.last_error.as_ref().is_some_and(|error| error.contains("1 entity")), "{told:?}");

    grant(space, "writer");
    bens.disconnect();
    connect(&bens, "ben");
    site.sync_all(&[&bens, &adas, &bens]);
    let status = bens.status().unwrap();
    assert_eq!((status.spaces[0].blocked_entities, status.pending_changes), (0, 0));
    assert!(is_purged(&adas, space, id));
}
