//! After a session that stood nothing is left of it: no thread, no socket, no timer (S7). One test, since it counts what its process has.

#![cfg(target_os = "linux")]
use afield::{Durability, Relay, Replica, SpaceId};
use afield_tests::processes::{Access, Program, Site};
use serde_json::json;
use std::fs;
use std::time::{Duration, Instant};

/// How long a thread that has ended may still be listed.
const LISTED_MAX: Duration = Duration::from_secs(10);

fn threads() -> usize {
    fs::read_dir("/proc/self/task").expect("Linux lists threads").count()
}

/// What a runtime waits with, and for: each runtime has an event queue, and the timers of one have no other place than its thread.
fn sockets_and_queues() -> Vec<String> {
    let open = fs::read_dir("/proc/self/fd").expect("Linux lists open files");
    let targets = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let kinds = ["socket:", "timerfd", "eventpoll", "eventfd"];
    let mut found: Vec<_> = targets
        .map(|target| target.to_string_lossy().into_owned())
        .filter(|target| kinds.iter().any(|kind| target.contains(kind)))
        .collect();
    found.sort();
    found
}

/// Opens the store, has a session stand that takes part in everything, and ends it in some way.
fn live(site: &Site, space: Option<SpaceId>, end: impl FnOnce(Replica)) -> SpaceId {
    let (threads_before, open_before) = (threads(), sockets_and_queues().len());
    let replica = site.replica("anna.db");
    let home = space.map_or_else(|| replica.create_space("home").unwrap(), |space| replica.space(space).unwrap());
    let notes = home.collection::<()>("notes").unwrap().json();
    let mut watch = home.collection::<()>("notes").unwrap().watch();
    let mut events = replica.events();
    replica.connect(Relay::new(site.relay.url())).unwrap();
    site.sync(&replica);
    let id = notes.insert(&json!({ "title": "Milk" })).unwrap();
    let write = notes.edit(id, |note| note["title"] = "Bread".into()).unwrap();
    site.block_on(write.wait(Durability::Relay)).unwrap();
    assert!(watch.take().contains(&id) && events.try_recv().is_ok());
    assert_eq!(replica.status().unwrap().traffic.sessions, 1, "the control: one session stands");
    assert!(threads() > threads_before && sockets_and_queues().len() > open_before, "the control: it has a thread");
    end(replica);
    home.id()
}

/// A thread that has been joined may stay in the system's list for a moment.
fn assert_threads_become(expected: usize) {
    let deadline = Instant::now() + LISTED_MAX;
    while threads() != expected {
        assert!(Instant::now() < deadline, "{} threads instead of {expected}", threads());
        std::thread::yield_now();
    }
}

#[test]
fn nothing_is_left_of_a_session_that_stood() {
    let site = Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Open);
    let threads_before = threads();
    // The runtime keeps one pair of sockets for signals in a process that uses them, so the first session is for that.
    let space = live(&site, None, |replica| replica.disconnect());
    assert_threads_become(threads_before);
    let open_before = sockets_and_queues();
    let ends: [fn(Replica); 2] = [|replica| replica.disconnect(), drop];
    for end in ends {
        live(&site, Some(space), end);
        assert_threads_become(threads_before);
        assert_eq!(sockets_and_queues(), open_before);
    }
}
