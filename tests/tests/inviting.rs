//! Whole devices and a real relay process: a person who is invited joins with a device of his or her own.

use afield::{Collection, Invitation, Relay, Replica, Role, Space, SpaceId, SyncError, SyncEvent, SyncState};
use afield_store::Reader;
use afield_tests::processes::agent::Task;
use afield_tests::processes::{Access, Program, Site};

fn site() -> Site {
    let site = Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Tokens);
    for user in ["ada", "ben", "cleo"] {
        site.relay.administer(&["user", "create", user]);
    }
    site
}

fn connect(site: &Site, replica: &Replica, user: &str) {
    let token = site.relay.create_token_with(&["--user", user]);
    replica.connect(Relay::new(site.relay.url()).token(&token)).unwrap();
}

fn tasks(space: &Space) -> Collection<Task> {
    space.collection("tasks").unwrap()
}

fn count(space: &Space) -> usize {
    tasks(space).json().list().unwrap().len()
}

/// A new invitation, and its number.
fn invite(site: &Site, space: SpaceId, more: &[&str]) -> (Invitation, String) {
    let made = site.relay.administer(&[&["space", "invite", &space.to_string()], more].concat()).remove(0);
    (made["code"].as_str().unwrap().parse().unwrap(), made["number"].to_string())
}

/// Whether the only space of the store in this file has an invitation that was not used.
fn is_kept(site: &Site, name: &str) -> bool {
    let spaces = Reader::open(site.path(name)).unwrap().spaces().unwrap();
    assert_eq!(spaces.len(), 1);
    spaces[0].invitation.is_some()
}

/// Ada's device with a space that is on the relay.
fn ada(site: &Site) -> (Replica, Space) {
    let replica = site.replica("ada.db");
    let home = replica.create_space("home").unwrap();
    tasks(&home).insert(&Task::number(1)).unwrap();
    connect(site, &replica, "ada");
    site.try_sync(&replica).unwrap();
    (replica, home)
}

#[test]
fn who_is_invited_joins_with_a_device_and_a_token_of_his_own_and_nobody_joins_after_him() {
    let mut site = site();
    let (ada, home) = ada(&site);
    let (invitation, _) = invite(&site, home.id(), &[]);

    // Offline, and over a restart of the store: the invitation is kept, and edits wait for it.
    let ben = site.replica("ben.db");
    let there = ben.join_invited(&invitation, "Ada's home").unwrap();
    assert_eq!((there.id(), there.name()), (home.id(), "Ada's home"));
    tasks(&there).insert(&Task::number(2)).unwrap();
    drop((there, ben));
    site.relay.kill();
    site.relay.restart();
    let ben = site.replica("ben.db");
    let there = ben.space(home.id()).unwrap();
    let token = site.relay.create_token_with(&["--user", "ben"]);
    let relay = Relay::new(site.relay.url()).token(&token);
    let sandbox = site.block_on(ben.sandbox_with(relay.clone(), site.path("sandbox.db"), |_| ())).unwrap();
    assert!(
        sandbox.refused(home.id()).is_some_and(|reason| reason.contains("a sync uses the invitation")),
        "{sandbox:?}"
    );
    drop(sandbox);
    assert!(is_kept(&site, "ben.db"), "who looks changes nothing");
    ben.connect(relay).unwrap();
    site.try_sync(&ben).unwrap();
    assert!(!is_kept(&site, "ben.db"), "it has served its purpose");
    site.try_sync(&ada).unwrap();
    assert_eq!((count(&home), count(&there)), (2, 2), "both have edited, and both have merged");

    let cleo = site.replica("cleo.db");
    let nowhere = cleo.join_invited(&invitation, "Mine, too").unwrap();
    connect(&site, &cleo, "cleo");
    let refused = site.try_sync(&cleo).unwrap_err();
    assert!(refused.to_string().contains("ask for another one"), "{refused}");
    let status = cleo.status().unwrap().spaces.remove(0);
    assert_eq!((status.state, count(&nowhere)), (SyncState::Blocked, 0));
    assert!(status.last_error.as_deref().is_some_and(|error| error.contains("ask for another one")), "{status:?}");
    let explained = cleo.explain().unwrap();
    let told = format!("{explained:?} {status:?} {refused:?}");
    assert!(told.contains("ask for another one"), "{told}");
    assert!(!told.contains(&invitation.expose()[20..40]), "S6");

    // Another one takes its place, in the session that stands.
    let mut events = cleo.events();
    let (another, _) = invite(&site, home.id(), &["--role", "reader"]);
    cleo.join_invited(&another, "Another name").unwrap();
    site.hear(&mut events, |event| matches!(event, SyncEvent::CaughtUp { .. }));
    site.try_sync(&cleo).unwrap();
    assert_eq!((count(&nowhere), cleo.space(home.id()).unwrap().name()), (2, "Mine, too"));
    let members = site.relay.administer(&["space", "members", &home.id().to_string()]);
    let roles: Vec<_> =
        members.iter().map(|row| (row["user"].as_str().unwrap(), row["role"].as_str().unwrap())).collect();
    assert_eq!(roles, [("ada", "owner"), ("ben", "writer"), ("cleo", "reader")]);
}

#[test]
fn who_was_taken_out_comes_back_by_an_invitation_to_the_space_that_is_here() {
    let site = site();
    let (_ada, home) = ada(&site);
    let ben = site.replica("ben.db");
    let there = ben.join_invited(&invite(&site, home.id(), &[]).0, "home").unwrap();
    connect(&site, &ben, "ben");
    site.try_sync(&ben).unwrap();
    ben.disconnect();
    site.relay.administer(&["space", "remove", &home.id().to_string(), "ben"]);
    tasks(&there).insert(&Task::number(2)).unwrap();
    connect(&site, &ben, "ben");
    let refused = site.try_sync(&ben).unwrap_err();
    assert!(matches!(refused, SyncError::Failed { .. }) && !refused.to_string().contains("invitation"), "{refused}");

    ben.join_invited(&invite(&site, home.id(), &[]).0, "home").unwrap();
    site.try_sync(&ben).unwrap();
    assert!(!is_kept(&site, "ben.db"), "the log is where it was: nothing moved the cursor");
    let status = ben.status().unwrap();
    assert_eq!((status.state, status.pending_changes, count(&there)), (SyncState::Idle, 0, 2));
}

/// Ben's device, who may only read the space, with an edit that the relay has refused.
fn reading_ben(site: &Site, home: SpaceId, name: &str) -> (Replica, Space) {
    let ben = site.replica(name);
    let there = ben.join_invited(&invite(site, home, &["--role", "reader"]).0, "home").unwrap();
    connect(site, &ben, "ben");
    site.try_sync(&ben).unwrap();
    tasks(&there).insert(&Task::number(2)).unwrap();
    site.try_sync(&ben).unwrap_err();
    (ben, there)
}

fn standing(replica: &Replica) -> (Option<Role>, u64) {
    let space = replica.status().unwrap().spaces.remove(0);
    (space.role, space.pending_changes)
}

#[test]
fn a_member_whose_invitation_is_to_a_higher_role_gets_it_in_the_session_that_stands_and_what_had_waited_goes() {
    let site = site();
    let (ada, home) = ada(&site);
    let (ben, there) = reading_ben(&site, home.id(), "ben.db");
    assert_eq!(standing(&ben), (Some(Role::Reader), 1), "the control");
    let mut events = ben.events();
    let (invitation, number) = invite(&site, home.id(), &["--role", "writer"]);
    ben.join_invited(&invitation, "home").unwrap();
    site.hear(&mut events, |event| matches!(event, SyncEvent::CaughtUp { .. }));
    site.try_sync(&ben).unwrap();
    assert_eq!((standing(&ben), is_kept(&site, "ben.db")), ((Some(Role::Writer), 0), false));
    site.try_sync(&ada).unwrap();
    assert_eq!((count(&home), count(&there)), (2, 2));
    let used = site.relay.administer(&["space", "invitations", &home.id().to_string()]);
    assert!(
        used.iter().any(|row| row["number"].as_u64() == number.parse().ok() && row["used_by"] == "ben"),
        "{used:?}"
    );
}

#[test]
fn of_two_devices_of_a_member_that_bring_one_invitation_both_may_do_more_and_neither_is_refused() {
    let site = site();
    let (_ada, home) = ada(&site);
    let devices = ["phone.db", "tablet.db"].map(|name| reading_ben(&site, home.id(), name).0);
    devices.iter().for_each(Replica::disconnect);
    let (invitation, _) = invite(&site, home.id(), &[]);
    for device in &devices {
        device.join_invited(&invitation, "home").unwrap();
        connect(&site, device, "ben");
    }
    for device in &devices {
        site.try_sync(device).unwrap();
        assert_eq!(standing(device), (Some(Role::Writer), 0));
    }
}

#[test]
fn a_member_whom_an_invitation_gives_no_more_hears_it_and_it_stays_good_for_somebody_else() {
    let site = site();
    let (_ada, home) = ada(&site);
    let (ben, _) = reading_ben(&site, home.id(), "ben.db");
    let mut events = ben.events();
    let (invitation, _) = invite(&site, home.id(), &["--role", "reader"]);
    ben.join_invited(&invitation, "home").unwrap();
    let unneeded = SyncEvent::InvitationUnneeded { space: home.id(), role: Role::Reader };
    site.hear(&mut events, |event| *event == unneeded);
    assert_eq!((standing(&ben), is_kept(&site, "ben.db")), ((Some(Role::Reader), 1), false));

    let cleo = site.replica("cleo.db");
    let there = cleo.join_invited(&invitation, "home").unwrap();
    let mut events = cleo.events();
    connect(&site, &cleo, "cleo");
    site.try_sync(&cleo).unwrap();
    assert_eq!((count(&there), standing(&cleo).0), (1, Some(Role::Reader)));
    let told = std::iter::from_fn(|| events.try_recv().ok()).any(|event| event == unneeded);
    assert!(!told, "the control: whom it has let in needed it");
}

#[test]
fn an_owner_leaves_an_invitation_to_somebody_else() {
    let site = site();
    let (ada, home) = ada(&site);
    let (invitation, _) = invite(&site, home.id(), &[]);
    let mut events = ada.events();
    ada.join_invited(&invitation, "home").unwrap();
    site.hear(&mut events, |event| matches!(event, SyncEvent::InvitationUnneeded { role: Role::Owner, .. }));
    site.try_sync(&ada).unwrap();
    ada.disconnect();
    ada.join_invited(&invitation, "home").unwrap();
    connect(&site, &ada, "ada");
    site.try_sync(&ada).unwrap();
    assert!(!is_kept(&site, "ada.db"), "it is not needed here");

    let ben = site.replica("ben.db");
    let there = ben.join_invited(&invitation, "home").unwrap();
    connect(&site, &ben, "ben");
    site.try_sync(&ben).unwrap();
    assert_eq!(count(&there), 1);
}

#[test]
fn an_invitation_is_taken_inside_a_transaction_while_sync_waits_for_that() {
    let site = site();
    let (_ada, home) = ada(&site);
    let (invitation, _) = invite(&site, home.id(), &[]);
    let ben = site.replica("ben.db");
    let own = ben.create_space("own").unwrap();
    connect(&site, &ben, "ben");
    site.try_sync(&ben).unwrap();
    let (joined, _) = ben
        .transaction(|transaction| {
            transaction.insert(&tasks(&own), &Task::number(7))?;
            Ok(ben.join_invited(&invitation, "home").unwrap())
        })
        .unwrap();
    site.try_sync(&ben).unwrap();
    assert_eq!(count(&joined), 1);
}

#[test]
fn an_invitation_that_was_withdrawn_lets_nobody_in() {
    let site = site();
    let (_ada, home) = ada(&site);
    let (invitation, number) = invite(&site, home.id(), &[]);
    site.relay.administer(&["space", "withdraw", &number]);
    let ben = site.replica("ben.db");
    let there = ben.join_invited(&invitation, "home").unwrap();
    connect(&site, &ben, "ben");
    site.try_sync(&ben).unwrap_err();
    assert_eq!(count(&there), 0);
    ben.join_invited(&invite(&site, home.id(), &[]).0, "home").unwrap();
    site.try_sync(&ben).unwrap();
    assert_eq!(count(&there), 1, "the control");
}
