//! `connect` inside a runtime: sync has a thread of its own all the same, which the runtime neither carries nor waits for, and
//! which is gone with sync. One test, since it counts the threads of its process.

#![cfg(target_os = "linux")]
use afield::{Relay, Replica, SyncState};
use afield_tests::processes::{Access, Program, Site};
use serde_json::json;
use std::fs;
use std::io::Write;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

/// How long anything here may take, and how long a thread that has ended may still be listed.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the thread of sync is called.
const NAME: &str = "afield-sync";
/// How often the runtime has to do something while the thread of sync is stuck.
const TURNS: usize = 100;

/// The names of all threads of this process.
fn threads() -> Vec<String> {
    let all = fs::read_dir("/proc/self/task").expect("Linux lists threads");
    let name = |entry: std::io::Result<fs::DirEntry>| fs::read_to_string(entry.ok()?.path().join("comm")).ok();
    let mut names: Vec<_> = all.filter_map(name).map(|name| name.trim().to_owned()).collect();
    names.sort();
    names
}

fn of_sync() -> usize {
    threads().iter().filter(|name| *name == NAME).count()
}

/// Waits until something is so that other threads bring about.
fn wait_until(is_so: impl Fn() -> bool, what: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}; there are {:?}", threads());
        std::thread::yield_now();
    }
}

/// Who is told the name of the thread that has come, and who lets that go on.
type Keeper = (oneshot::Sender<String>, Receiver<()>);

/// Where the thread that says that a run has begun is kept until somebody lets it go.
#[derive(Debug, Clone, Default)]
struct Gate(Arc<Mutex<Option<Keeper>>>);

impl Gate {
    /// Keeps the next one: who comes says the name of its thread, and goes on once it is let go.
    fn close(&self) -> (oneshot::Receiver<String>, Sender<()>) {
        let ((comes, came), (let_go, goes)) = (oneshot::channel(), channel());
        *self.0.lock().unwrap() = Some((comes, goes));
        (came, let_go)
    }
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if bytes.windows(12).any(|window| window == b"sync.started") {
            let kept = self.0.lock().unwrap().take();
            if let Some((comes, goes)) = kept {
                let name = std::thread::current().name().unwrap_or_default().to_owned();
                comes.send(name).expect("somebody waits for it");
                let went = goes.recv_timeout(PATIENCE);
                assert_ne!(went, Err(RecvTimeoutError::Timeout), "whoever was to let it go could not");
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Connects inside the runtime and has it go on with other things while sync is stuck.
fn connect_inside(runtime: &Runtime, gate: &Gate, site: &Site, replica: &Replica) {
    let (came, let_go) = gate.close();
    runtime.block_on(async {
        replica.connect(Relay::new(site.relay.url())).unwrap();
        let name = tokio::time::timeout(PATIENCE, came).await.expect("sync begins").unwrap();
        assert_eq!((name.as_str(), of_sync()), (NAME, 1), "on a thread of its own");
        let other = tokio::spawn(async {
            for _ in 0..TURNS {
                tokio::task::yield_now().await;
            }
        });
        tokio::time::timeout(PATIENCE, other).await.expect("the runtime goes on").unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(of_sync(), 1, "the control: it is stuck all the while");
        let_go.send(()).unwrap();
        tokio::time::timeout(PATIENCE, replica.sync_now()).await.expect("sync goes on").unwrap();
    });
}

/// Connects inside the runtime, whose thread the application then blocks: sync does without it.
fn connect_and_block(runtime: &Runtime, site: &Site, replica: &Replica) {
    runtime.block_on(async {
        replica.connect(Relay::new(site.relay.url())).unwrap();
        wait_until(
            || replica.status().unwrap().state == SyncState::Idle,
            "sync needs the runtime that it was called in",
        );
    });
}

fn write(replica: &Replica) {
    let home = replica.spaces().unwrap().remove(0);
    home.collection::<()>("notes").unwrap().json().insert(&json!({ "title": "milk" })).unwrap();
}

#[test]
fn inside_a_runtime_sync_has_a_thread_of_its_own_that_is_gone_with_it() {
    let gate = Gate::default();
    let of_subscriber = gate.clone();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new("off,afield=info"))
        .with_ansi(false)
        .with_writer(move || of_subscriber.clone())
        .init();
    let site = Site::start(&Program::new(env!("CARGO_BIN_EXE_relay_process")), Access::Open);
    drop(site.replica("device.db").create_space("home").unwrap());
    for (kind, mut builder) in
        [("one thread", Builder::new_current_thread()), ("many threads", Builder::new_multi_thread())]
    {
        let outside = threads();
        let runtime = builder.enable_all().build().unwrap();
        // The runtime has all its threads once each has done something.
        runtime.block_on(async { tokio::spawn(async {}).await.unwrap() });
        let replica = site.replica("device.db");
        assert_eq!(of_sync(), 0, "the control: a store that is open has no thread");
        write(&replica);
        let before = threads();
        connect_inside(&runtime, &gate, &site, &replica);
        runtime.block_on(async { replica.disconnect() });
        wait_until(|| threads() == before, &format!("disconnected inside a runtime: {kind}"));

        write(&replica);
        connect_and_block(&runtime, &site, &replica);
        runtime.block_on(async { drop(replica) });
        wait_until(|| threads() == before, &format!("dropped inside a runtime: {kind}"));

        // The runtime may end before the replica does: sync goes on, and ends with the replica.
        let replica = site.replica("device.db");
        connect_and_block(&runtime, &site, &replica);
        drop(runtime);
        write(&replica);
        site.sync(&replica);
        assert_eq!((replica.status().unwrap().pending_changes, of_sync()), (0, 1));
        drop(replica);
        wait_until(|| threads() == outside, &format!("dropped after a runtime: {kind}"));
    }
}
