//! With sync off the library opens no socket, starts no task, thread or timer, and asks for no configuration (S7).

#![cfg(target_os = "linux")]
use afield::{Reason, Replica, Text, model};
use std::fs;
use std::time::{Duration, Instant};

/// How long a thread that has ended may still be listed.
const LISTED_MAX: Duration = Duration::from_secs(10);

#[model]
#[derive(Debug, Clone, PartialEq)]
struct Note {
    title: String,
    body: Text,
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").expect("Linux lists threads").count()
}

fn sockets_and_timers() -> Vec<String> {
    let open = fs::read_dir("/proc/self/fd").expect("Linux lists open files");
    let targets = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let kinds = ["socket:", "timerfd", "eventpoll", "eventfd"];
    targets
        .map(|target| target.to_string_lossy().into_owned())
        .filter(|target| kinds.iter().any(|kind| target.contains(kind)))
        .collect()
}

#[test]
fn with_sync_off_there_is_no_thread_socket_or_timer() {
    let folder = tempfile::tempdir().unwrap();
    let (threads_before, open_before) = (threads(), sockets_and_timers());
    let replica = Replica::open(folder.path().join("notes.db")).unwrap();
    let notes = replica.create_space("Home").unwrap().collection::<Note>("notes").unwrap();
    let id = notes.insert(&Note { title: "a".into(), body: "b".into() }).unwrap();
    let _ = notes.edit(id, |note| note.title = "c".into()).unwrap();
    assert_eq!(notes.read(id).unwrap().title, "c");
    let sync = replica.maintain().unwrap().sync;
    assert!(sync.iter().all(|(_, decision)| decision.reason() == Reason::SyncOff) && !sync.is_empty(), "{sync:?}");
    assert_eq!((threads(), sockets_and_timers()), (threads_before, open_before.clone()));

    // The positive control: with sync on there is a thread with a timer and its event queue, and after it nothing is left.
    connect_and_disconnect(&replica, threads_before, open_before.len());
    // The runtime keeps one pair of sockets for signals in a process that uses them, as this one does through the relay.
    let after_first = sockets_and_timers();
    assert!(after_first.len() <= open_before.len() + 2, "{after_first:?}");
    connect_and_disconnect(&replica, threads_before, after_first.len());
    assert_eq!(sockets_and_timers(), after_first);
    assert_threads_become(threads_before);
}

/// A thread that has been joined may stay in the system's list for a moment.
fn assert_threads_become(expected: usize) {
    let deadline = Instant::now() + LISTED_MAX;
    while threads() != expected {
        assert!(Instant::now() < deadline, "{} threads instead of {expected}", threads());
        std::thread::yield_now();
    }
}

fn connect_and_disconnect(replica: &Replica, threads_before: usize, open_before: usize) {
    replica.connect(afield::Relay::new("ws://127.0.0.1:9")).unwrap();
    assert!(threads() > threads_before);
    assert!(sockets_and_timers().len() > open_before);
    replica.disconnect();
    assert_threads_become(threads_before);
}
