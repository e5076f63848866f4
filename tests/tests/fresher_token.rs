//! Whole devices and a real relay process: a token that takes the place of another.

use afield::{Class, Collection, Relay, Replica, SyncError, SyncEvent, SyncState};
use afield_tests::processes::agent::Task;
use afield_tests::processes::{Access, Program, Site};
use tokio::sync::broadcast::Receiver;

/// How long the first token of a test is good: long enough to sign in with.
const GOOD_FOR: &str = "4s";

fn site() -> Site {
    let site = Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Tokens);
    site.relay.administer(&["user", "create", "ada"]);
    site
}

fn token(site: &Site, more: &[&str]) -> String {
    site.relay.create_token_with(&[&["--user", "ada"], more].concat())
}

/// A device in step with the relay, with a token.
fn device(site: &Site, name: &str, token: &str) -> Replica {
    let replica = site.replica(name);
    replica.connect(Relay::new(site.relay.url()).token(token)).unwrap();
    site.sync(&replica);
    replica
}

/// Waits for the end of a session, and gives its reason.
fn end(site: &Site, events: &mut Receiver<SyncEvent>) -> (String, Class) {
    site.block_on(async {
        loop {
            if let SyncEvent::Disconnected { reason, class } = events.recv().await.expect("the replica is open") {
                return (reason, class);
            }
        }
    })
}

#[test]
fn a_session_outlives_its_first_token_with_a_fresher_one() {
    let site = site();
    let (short, fresher) = (token(&site, &["--expires-in", GOOD_FOR]), token(&site, &[]));
    let (refreshed, control) = (device(&site, "refreshed.db", &short), device(&site, "control.db", &short));
    let (mut events, mut control_events) = (refreshed.events(), control.events());
    refreshed.refresh_token(&fresher).unwrap();

    let (reason, class) = end(&site, &mut control_events);
    assert_eq!(class, Class::SignIn, "the control: the first token's end ends a session: {reason}");
    let tasks: Collection<Task> = refreshed.create_space("home").unwrap().collection("tasks").unwrap();
    tasks.insert(&Task::number(1)).unwrap();
    site.sync(&refreshed);
    let status = refreshed.status().unwrap();
    assert_eq!((status.state, status.pending_changes), (SyncState::Idle, 0));
    assert_eq!(status.traffic.sessions, 1, "all of it in one session");
    let ended = std::iter::from_fn(|| events.try_recv().ok()).any(|e| matches!(e, SyncEvent::Disconnected { .. }));
    assert!(!ended, "which nothing ended");
    for shown in [format!("{refreshed:?}"), format!("{:?}", refreshed.status())] {
        assert!(!shown.contains(&fresher), "no token is shown (S6)");
    }

    // The control has to sign in, and goes on at once when it does.
    assert_eq!(control.status().unwrap().state, SyncState::NeedsSignIn);
    control.refresh_token(&fresher).unwrap();
    site.try_sync(&control).unwrap();
}

#[test]
fn a_fresher_token_is_the_one_of_later_connections() {
    let mut site = site();
    let (short, fresher) = (token(&site, &["--expires-in", GOOD_FOR]), token(&site, &[]));
    let (refreshed, control) = (device(&site, "refreshed.db", &short), device(&site, "control.db", &short));
    let mut control_events = control.events();
    refreshed.refresh_token(&fresher).unwrap();
    end(&site, &mut control_events);
    site.relay.stop();
    site.relay.restart();
    site.sync(&refreshed);
    assert!(refreshed.status().unwrap().traffic.sessions > 1, "the relay was away");
}

#[test]
fn a_wrong_token_in_a_live_session_asks_somebody_to_sign_in() {
    let site = site();
    let good = token(&site, &[]);
    let replica = device(&site, "device.db", &good);
    let tasks: Collection<Task> = replica.create_space("home").unwrap().collection("tasks").unwrap();
    let wrong = format!("{}{}", &good[..good.len() - 1], if good.ends_with('a') { 'b' } else { 'a' });
    let mut events = replica.events();
    replica.refresh_token(&wrong).unwrap();
    while replica.status().unwrap().state != SyncState::NeedsSignIn {
        end(&site, &mut events);
    }
    tasks.insert(&Task::number(1)).unwrap();
    let refused = site.try_sync(&replica).unwrap_err();
    assert!(matches!(&refused, SyncError::Failed { class: Class::SignIn, .. }), "{refused}");
    let status = replica.status().unwrap();
    assert_eq!((status.state, status.pending_changes), (SyncState::NeedsSignIn, 1), "what is unsent is kept");

    replica.refresh_token(&good).unwrap();
    site.try_sync(&replica).unwrap();
    assert_eq!(replica.status().unwrap().pending_changes, 0, "the control: the right one");
}
