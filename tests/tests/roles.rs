//! What a device may do with a space: the relay tells it, and who may do less than an owner brings no space to a relay that lacks it (R6).

use afield::{Path, Relay, Replica, Role, Space, SpaceError, SpaceId, Strategy, SyncEvent};
use afield_tests::processes::{Access, Program, Proxy, Site};
use rand::{RngExt, SeedableRng};
use serde_json::json;

const USERS: [&str; 3] = ["ada", "ben", "cyd"];

/// Notes that come in several runs, and what passes before the door is shut: more than the first, and less than all of them.
const LONG_NOTES: usize = 64;
const LONG_NOTE_BYTES: usize = 64 * 1024;
const PASSING_BYTES: u64 = 2 * 1024 * 1024;

fn start() -> Site {
    let site = Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Tokens);
    create_users(&site);
    site
}

fn create_users(site: &Site) {
    for user in USERS {
        site.relay.administer(&["user", "create", user]);
    }
}

fn connect(site: &Site, replica: &Replica, arguments: &[&str]) {
    let token = site.relay.create_token_with(arguments);
    replica.connect(Relay::new(site.relay.url()).token(token)).unwrap();
}

/// The relay's disk is gone, and the relay begins anew with the same users.
fn lose_everything(site: &mut Site) {
    site.relay.stop();
    std::fs::remove_dir_all(site.relay.folder()).unwrap();
    site.relay.restart();
    create_users(site);
}

/// Ada's laptop, with a space that she owns and one note in it.
fn adas(site: &Site) -> (Replica, Space) {
    let laptop = site.replica("laptop.db");
    let home = laptop.create_space("Home").unwrap();
    write(&home);
    connect(site, &laptop, &["--user", "ada"]);
    site.sync(&laptop);
    (laptop, home)
}

/// A device of a user that has joined a space.
fn joined(site: &Site, name: &str, space: SpaceId, arguments: &[&str]) -> (Replica, Space) {
    let replica = site.replica(name);
    let space = replica.join_space(space).unwrap();
    connect(site, &replica, arguments);
    site.sync(&replica);
    (replica, space)
}

fn grant(site: &Site, space: SpaceId, user: &str, role: &str) {
    site.relay.administer(&["space", "grant", &space.to_string(), user, role]);
}

fn role(replica: &Replica) -> Option<Role> {
    replica.status().unwrap().spaces[0].role
}

fn titles(space: &Space) -> usize {
    space.collection::<()>("notes").unwrap().ids().unwrap().len()
}

fn write(space: &Space) {
    let _ = space.collection::<()>("notes").unwrap().json().insert(&json!({ "title": "a note" })).unwrap();
}

/// Every space of the relay with its owners.
fn owners(site: &Site) -> Vec<(String, Vec<String>)> {
    let text = |row: &serde_json::Value, field: &str| row[field].as_str().unwrap().to_owned();
    let spaces = site.relay.administer(&["space", "list"]);
    let owners_of = |id: &String| {
        let members = site.relay.administer(&["space", "members", id]);
        members.iter().filter(|row| row["role"] == "owner").map(|row| text(row, "user")).collect()
    };
    spaces.iter().map(|row| text(row, "id")).map(|id| (id.clone(), owners_of(&id))).collect()
}

#[test]
fn a_device_knows_what_it_may_do_with_a_space() {
    let site = start();
    let laptop = site.replica("laptop.db");
    let home = laptop.create_space("Home").unwrap();
    assert_eq!(role(&laptop), None, "no relay has said it");
    connect(&site, &laptop, &["--user", "ada"]);
    site.sync(&laptop);
    grant(&site, home.id(), "ben", "writer");
    grant(&site, home.id(), "cyd", "reader");
    let (bens, _) = joined(&site, "ben.db", home.id(), &["--user", "ben"]);
    let (cyds, _) = joined(&site, "cyd.db", home.id(), &["--user", "cyd"]);
    let (screen, _) = joined(&site, "screen.db", home.id(), &["--user", "ada", "--read-only"]);
    let roles = [&laptop, &bens, &cyds, &screen].map(role);
    let told = [Role::Owner, Role::Writer, Role::Reader, Role::Reader].map(Some);
    assert_eq!(roles, told, "the least of what the user and the token may");

    grant(&site, home.id(), "cyd", "owner");
    cyds.disconnect();
    assert_eq!(role(&cyds), Some(Role::Reader), "as it was said last, also without a relay");
    connect(&site, &cyds, &["--user", "cyd"]);
    site.sync(&cyds);
    assert_eq!(role(&cyds), Some(Role::Owner));
    let json = serde_json::to_value(bens.status().unwrap()).unwrap();
    assert_eq!(json["spaces"][0]["role"], "writer");
}

#[test]
fn a_space_that_the_relay_has_lost_is_brought_back_by_its_owners_and_not_by_whoever_comes_first() {
    let mut site = start();
    let (laptop, home) = adas(&site);
    grant(&site, home.id(), "ben", "writer");
    grant(&site, home.id(), "cyd", "reader");
    let (phone, _) = joined(&site, "phone.db", home.id(), &["--user", "ada"]);
    let (bens, there) = joined(&site, "ben.db", home.id(), &["--user", "ben"]);
    let (cyds, read) = joined(&site, "cyd.db", home.id(), &["--user", "cyd"]);
    write(&there);
    site.sync_all(&[&bens, &phone, &cyds]);
    assert_eq!((titles(&there), titles(&read)), (2, 2));
    [&laptop, &phone, &bens, &cyds].into_iter().for_each(Replica::disconnect);

    lose_everything(&mut site);
    write(&there);
    for (replica, user) in [(&bens, "ben"), (&cyds, "cyd")] {
        connect(&site, replica, &["--user", user]);
        let refused = site.try_sync(replica).unwrap_err();
        assert!(refused.to_string().contains("no such space"), "{refused}");
        assert_eq!(owners(&site), [], "{user} does not bring it");
    }
    bens.disconnect();
    let kept = bens.leave_space(there.id()).unwrap_err();
    assert!(
        matches!(kept, SpaceError::OnlyCopy { changes, .. } if changes >= 3),
        "what is here may be nowhere else: {kept:?}"
    );
    connect(&site, &bens, &["--user", "ben"]);
    // It was joined there, and so was not the device that had made the space.
    connect(&site, &phone, &["--user", "ada"]);
    site.sync(&phone);
    assert_eq!(owners(&site), [(home.id().to_string(), vec!["ada".to_owned()])]);

    grant(&site, home.id(), "ben", "writer");
    bens.disconnect();
    connect(&site, &bens, &["--user", "ben"]);
    connect(&site, &laptop, &["--user", "ada"]);
    site.sync_all(&[&bens, &laptop]);
    assert_eq!((titles(&there), titles(&home)), (3, 3), "what others wrote meanwhile comes, too (S2)");
    bens.leave_space(there.id()).expect("the relay has all of it again");
}

#[test]
fn who_was_cut_off_in_the_first_session_brings_no_lost_space_back() {
    let mut site = start();
    let (laptop, home) = adas(&site);
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    for _ in 0..LONG_NOTES {
        let text: String = (0..LONG_NOTE_BYTES).map(|_| char::from(random.random_range(b' '..=b'~'))).collect();
        let _ = home.collection::<()>("notes").unwrap().json().insert(&json!({ "text": text })).unwrap();
    }
    site.sync(&laptop);
    laptop.disconnect();
    grant(&site, home.id(), "cyd", "reader");

    let cyds = site.replica("cyd.db");
    let read = cyds.join_space(home.id()).unwrap();
    let door = Proxy::start(site.relay.address()).unwrap();
    door.hold_after(PASSING_BYTES);
    let mut events = cyds.events();
    let token = site.relay.create_token_with(&["--user", "cyd"]);
    cyds.connect(Relay::new(door.url()).token(token)).unwrap();
    let has_come = |event: &SyncEvent| matches!(event, SyncEvent::Progress { changes_received: 1.., .. });
    site.hear(&mut events, has_come);
    door.wait_until_it_holds();
    cyds.disconnect();
    assert!((1..=LONG_NOTES).contains(&titles(&read)), "some has come");
    assert_eq!(role(&cyds), Some(Role::Reader), "it was told with the first of it");

    lose_everything(&mut site);
    connect(&site, &cyds, &["--user", "cyd"]);
    let refused = site.try_sync(&cyds).unwrap_err();
    assert!(refused.to_string().contains("no such space"), "{refused}");
    assert_eq!(owners(&site), [], "who reads does not own it afterwards (R6)");
    connect(&site, &laptop, &["--user", "ada"]);
    site.sync(&laptop);
    assert_eq!(owners(&site), [(home.id().to_string(), vec!["ada".to_owned()])], "S2");
}

#[test]
fn a_lost_space_for_which_its_owner_has_no_room_any_more_is_not_left_without_a_word() {
    let program = Program::new(env!("CARGO_BIN_EXE_relay_process"));
    let mut site = Site::start_with_options(&program, Access::Tokens, &["--spaces-per-user-max", "1"]);
    create_users(&site);
    let (laptop, home) = adas(&site);
    laptop.disconnect();
    lose_everything(&mut site);
    let phone = site.replica("phone.db");
    write(&phone.create_space("Another").unwrap());
    connect(&site, &phone, &["--user", "ada"]);
    site.sync(&phone);

    connect(&site, &laptop, &["--user", "ada"]);
    let refused = site.try_sync(&laptop).unwrap_err();
    assert!(refused.to_string().contains("no room for another space"), "{refused}");
    laptop.disconnect();
    let kept = laptop.leave_space(home.id()).unwrap_err();
    assert!(matches!(kept, SpaceError::OnlyCopy { changes: 1.., .. }), "what is here may be nowhere else: {kept:?}");
}

#[test]
fn a_role_that_changes_in_a_session_is_known_with_the_next_sync_and_what_was_refused_goes_on() {
    let site = start();
    let (laptop, home) = adas(&site);
    grant(&site, home.id(), "cyd", "reader");
    let (cyds, theirs) = joined(&site, "cyd.db", home.id(), &["--user", "cyd"]);
    let mut events = cyds.events();
    write(&theirs);
    let refused = site.try_sync(&cyds).unwrap_err();
    assert_eq!((refused.code(), role(&cyds)), ("sync.refused", Some(Role::Reader)));

    grant(&site, home.id(), "cyd", "writer");
    site.block_on(cyds.sync_now()).expect("nothing is in the way any more");
    assert_eq!(role(&cyds), Some(Role::Writer));
    assert_eq!(cyds.status().unwrap().pending_changes, 0);
    site.sync(&laptop);
    assert_eq!(titles(&home), 2, "nobody wrote it again");

    grant(&site, home.id(), "cyd", "reader");
    site.sync(&cyds);
    assert_eq!(role(&cyds), Some(Role::Reader));
    while let Ok(event) = events.try_recv() {
        assert!(!matches!(event, SyncEvent::Disconnected { .. }), "in one session: {event:?}");
    }
}

#[test]
fn a_reader_decides_nothing_by_a_strategy_until_he_or_she_may_write() {
    let site = start();
    let (laptop, home) = adas(&site);
    grant(&site, home.id(), "ben", "writer");
    grant(&site, home.id(), "cyd", "reader");
    let (bens, there) = joined(&site, "ben.db", home.id(), &["--user", "ben"]);
    let (cyds, theirs) = joined(&site, "cyd.db", home.id(), &["--user", "cyd"]);
    theirs.collection::<()>("notes").unwrap().on_conflict(Strategy::Newest).unwrap();
    [&laptop, &bens].into_iter().for_each(Replica::disconnect);
    for (space, title) in [(&home, "of Ada"), (&there, "of Ben")] {
        let notes = space.collection::<()>("notes").unwrap();
        let id = notes.ids().unwrap()[0];
        notes.entity(id).unwrap().map(Path::ROOT).put("title", title).unwrap();
    }
    connect(&site, &laptop, &["--user", "ada"]);
    connect(&site, &bens, &["--user", "ben"]);
    site.sync_all(&[&laptop, &bens]);

    site.try_sync(&cyds).expect("nothing is refused");
    let pending = |replica: &Replica| replica.status().unwrap().pending_changes;
    let open = |space: &Space| space.conflicts().unwrap().len();
    assert_eq!((role(&cyds), pending(&cyds), open(&theirs)), (Some(Role::Reader), 0, 1));
    site.try_sync(&cyds).expect("nor later");

    grant(&site, home.id(), "cyd", "writer");
    site.try_sync(&cyds).expect("what was decided is taken");
    site.try_sync(&cyds).expect("all of it");
    assert_eq!((role(&cyds), pending(&cyds), open(&theirs)), (Some(Role::Writer), 0, 0));
    site.sync(&laptop);
    assert_eq!(open(&home), 0, "for everybody");
}

#[test]
fn a_space_of_which_no_owner_has_a_device_left_is_created_by_the_administrator_and_filled_by_its_members() {
    let mut site = start();
    let (laptop, home) = adas(&site);
    grant(&site, home.id(), "ben", "writer");
    let (bens, there) = joined(&site, "ben.db", home.id(), &["--user", "ben"]);
    let id = home.id().to_string();
    drop((laptop, home));
    bens.disconnect();

    lose_everything(&mut site);
    site.relay.administer(&["space", "create", &id, "--owner", "cyd"]);
    site.relay.administer(&["space", "grant", &id, "ben", "writer"]);
    connect(&site, &bens, &["--user", "ben"]);
    site.sync(&bens);
    assert_eq!(owners(&site), [(id, vec!["cyd".to_owned()])]);
    let (cyds, read) = joined(&site, "cyd.db", there.id(), &["--user", "cyd"]);
    assert_eq!((titles(&read), role(&cyds)), (1, Some(Role::Owner)), "S2");
}
