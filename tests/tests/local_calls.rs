//! Every local call works while the relay is sick: it never waits for the network, with an outbox and in a store opened anew.

use afield::{Collection, Confirm, Point, Relay, Replica, SyncEvent, SyncState};
use afield_tests::processes::agent::Task;
use afield_tests::processes::{Access, Program, Proxy, Site};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

fn site() -> Site {
    Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Open)
}

fn is_over(event: &SyncEvent) -> bool {
    matches!(event, SyncEvent::Disconnected { .. })
}

fn is_begun(event: &SyncEvent) -> bool {
    matches!(event, SyncEvent::Started { .. })
}

/// A web server that gives every request the same answer. It ends when it is dropped.
struct WebServer {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl WebServer {
    fn answering(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let is_over = Arc::<AtomicBool>::default();
        let of_thread = is_over.clone();
        let thread = std::thread::spawn(move || {
            while let Ok((mut device, _)) = listener.accept() {
                if of_thread.load(Ordering::SeqCst) {
                    return;
                }
                let mut request = Vec::new();
                let mut buffer = [0; 1024];
                while !request.ends_with(b"\r\n\r\n") {
                    let Ok(read @ 1..) = device.read(&mut buffer) else { break };
                    request.extend_from_slice(&buffer[..read]);
                }
                // A device that has left meanwhile wants no answer.
                let _ = write!(device, "HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            }
        });
        Self { address, is_over, thread: Some(thread) }
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Calls everything that is local, and sees that it does what it is for.
fn call_everything(replica: &Replica) {
    let home = replica.spaces().unwrap().remove(0);
    let tasks: Collection<Task> = home.collection("tasks").unwrap();
    let before = tasks.ids().unwrap().len();
    let mut watch = tasks.watch();
    let first = tasks.insert(&Task::number(1)).unwrap();
    let _ = tasks.edit(first, |task| task.priority = 7).unwrap();
    assert!(watch.take().contains(&first));
    assert_eq!(tasks.read(first).unwrap().priority, 7);
    let (second, _) = replica
        .transaction(|transaction| {
            transaction.edit(&tasks, first, |task| task.done = true)?;
            transaction.insert(&tasks, &Task::number(4_711))
        })
        .unwrap();
    assert_eq!(tasks.ids().unwrap().len(), before + 2);
    assert!(tasks.index("priority").is_ok() && tasks.search_fields("title").is_ok());
    assert_eq!(tasks.query("priority = ? AND done", [7]).unwrap().ids().unwrap(), [first]);
    assert_eq!(tasks.search("4711").unwrap().all().unwrap().len(), 1);

    assert!(tasks.undo(first).unwrap().is_some());
    assert!(!tasks.read(first).unwrap().done || tasks.read(first).unwrap().priority == 0, "something was undone");
    assert!(tasks.redo(first).unwrap().is_some());
    assert!(tasks.read(first).unwrap().done);
    assert!(tasks.history(first, &Point::Now, 50).unwrap().changes.len() >= 3);
    let _ = tasks.delete(first).unwrap();
    assert_eq!(tasks.deleted().unwrap(), [first]);
    let _ = tasks.restore(first).unwrap();
    assert!(home.conflicts().unwrap().is_empty());
    assert_eq!(tasks.purge(second, Confirm::Yes).unwrap().entities, 1);
    let (first_gone, mut export) = (home.purge([first], Confirm::Yes).unwrap(), Vec::new());
    assert_eq!(first_gone.entities, 1);
    // What is written after a purge of what is on its way goes its way, too.
    let kept = tasks.insert(&Task::number(2)).unwrap();
    assert_eq!(home.export(&mut export, |_| ()).unwrap().entities, before as u64 + 1);
    assert_eq!(tasks.read(kept).unwrap(), Task::number(2));
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("backup.db");
    replica.backup(&copy).unwrap();
    let copied = Replica::open(&copy).unwrap().space(home.id()).unwrap();
    assert_eq!(copied.collection::<Task>("tasks").unwrap().ids().unwrap().len(), before + 1);
    assert_eq!(replica.explain().unwrap()[0].space, home.id());
}

/// A store that was closed with changes that no relay has, opened anew.
fn opened_with_an_outbox(path: &Path) -> Replica {
    let replica = Replica::open(path).unwrap();
    let tasks: Collection<Task> = replica.create_space("home").unwrap().collection("tasks").unwrap();
    for number in 0..3 {
        tasks.insert(&Task::number(number)).unwrap();
    }
    drop((tasks, replica));
    let replica = Replica::open(path).unwrap();
    assert_eq!(replica.status().unwrap().pending_changes, 3);
    replica
}

#[test]
fn every_local_call_works_while_the_relay_refuses_or_never_answers() {
    let (site, folder) = (site(), tempfile::tempdir().unwrap());
    // It takes connections and never says a word; the other port takes none.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let stranger = WebServer::answering("401 Unauthorized");
    let sick = WebServer::answering("503 Service Unavailable");
    let cases = [
        (silent.local_addr().unwrap(), false, SyncState::Offline),
        (closed, true, SyncState::Offline),
        (stranger.address, true, SyncState::NeedsSignIn),
        (sick.address, true, SyncState::Offline),
    ];
    for (number, (address, is_answered, expected)) in cases.into_iter().enumerate() {
        let replica = opened_with_an_outbox(&folder.path().join(format!("{number}.db")));
        let mut events = replica.events();
        replica.connect(Relay::new(format!("ws://{address}"))).unwrap();
        site.hear(&mut events, if is_answered { is_over } else { is_begun });
        call_everything(&replica);
        assert!(replica.explain().unwrap()[0].to_string().contains("wait to be sent"), "{address}");
        let status = replica.status().unwrap();
        assert_eq!(status.state, expected, "{address}: {status:?}");
        assert!(status.pending_changes >= 3 && status.traffic.sessions == 0, "{address}: {status:?}");
        replica.disconnect();
        // The control: a relay that is well takes all of it.
        site.sync(&replica);
        assert_eq!(replica.status().unwrap().pending_changes, 0);
        replica.disconnect();
    }
    let (mut asked, _) = silent.accept().unwrap();
    assert!(asked.read(&mut [0; 16]).unwrap() > 0, "the control: the silent one was asked, and had never answered");
}

#[test]
fn every_local_call_ends_while_what_was_sent_before_it_is_still_on_its_way() {
    let (site, folder) = (site(), tempfile::tempdir().unwrap());
    let proxy = Proxy::start(site.relay.address()).unwrap();
    let replica = opened_with_an_outbox(&folder.path().join("device.db"));
    let mut events = replica.events();
    // Before there is a session: what asks for one is held.
    proxy.hold();
    replica.connect(Relay::new(proxy.url())).unwrap();
    let asked = proxy.wait_until_it_holds();
    call_everything(&replica);
    assert!(proxy.held_bytes() >= asked, "what was asked before the first call is held after the last");
    let status = replica.status().unwrap();
    assert_eq!((status.state, status.traffic.sessions), (SyncState::Offline, 0));
    let progress = status.progress.expect("a run goes on");
    let total = progress.up.total.expect("what goes up is known");
    assert!(total.chunks > progress.up.done.chunks && total.bytes > progress.up.done.bytes, "{progress:?}");
    assert_eq!(status.spaces[0].progress, Some(progress));
    // While it goes on a few bytes at a time, and to the end.
    proxy.trickle();
    proxy.release();
    call_everything(&replica);
    site.hear(&mut events, |event| matches!(event, SyncEvent::Completed { .. }));
    site.sync(&replica);
    assert_eq!(replica.status().unwrap().state, SyncState::Idle);

    // In the middle of a session: an edit is held.
    proxy.hold();
    let tasks: Collection<Task> = replica.spaces().unwrap()[0].collection("tasks").unwrap();
    let id = tasks.insert(&Task::number(9)).unwrap();
    let sent = proxy.wait_until_it_holds();
    call_everything(&replica);
    assert!(proxy.held_bytes() >= sent, "what was sent before the first call is held after the last");
    let status = replica.status().unwrap();
    assert_eq!((status.state, status.spaces[0].state), (SyncState::Syncing, SyncState::Syncing));
    assert!(status.pending_changes > 0, "{status:?}");

    proxy.release();
    site.sync(&replica);
    let status = replica.status().unwrap();
    assert_eq!((status.state, status.progress, status.pending_changes), (SyncState::Idle, None, 0));
    let other = site.replica("other.db");
    other.join_space(replica.spaces().unwrap()[0].id()).unwrap();
    site.sync(&other);
    let copied: Collection<Task> = other.spaces().unwrap()[0].collection("tasks").unwrap();
    assert_eq!((copied.ids().unwrap().len(), copied.read(id).unwrap()), (7, Task::number(9)));
}
