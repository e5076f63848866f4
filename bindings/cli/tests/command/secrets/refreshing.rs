//! A device in a process of its own that tells all it can, stays connected, and gives a fresher token in its session.

use afield::{Relay, Replica};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// In the environment of that process.
const STORE: &str = "AFIELD_TEST_STORE";
const URL: &str = "AFIELD_TEST_URL";
const FIRST: &str = "AFIELD_TEST_FIRST";
const FRESHER: &str = "AFIELD_TEST_FRESHER";
/// How the line begins on which it says that it has shown both.
const READY: &str = "this device is ";

pub(super) struct Refreshing {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
    said: String,
    pub(super) device: String,
}

impl Refreshing {
    pub(super) fn start(store: &Path, url: &str, first: &str, fresher: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "secrets::refreshing::gives_a_fresher_token", "--ignored", "--nocapture"])
            .envs([(URL, url), (FIRST, first), (FRESHER, fresher)])
            .env(STORE, store)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(store.with_extension("said")).unwrap());
        let mut child = command.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        while !said.contains(READY) {
            assert!(out.read_line(&mut said).unwrap() > 0, "it gets that far: {said}");
        }
        let device = said.split(READY).nth(1).unwrap().trim().to_owned();
        Self { child, out, said, device }
    }

    /// Lets it end; gives all that it has said.
    pub(super) fn end(mut self, store: &Path) -> String {
        drop(self.child.stdin.take());
        while self.out.read_line(&mut self.said).unwrap() > 0 {}
        assert!(self.child.wait().unwrap().success(), "{}", self.said);
        std::mem::take(&mut self.said) + &std::fs::read_to_string(store.with_extension("said")).unwrap()
    }
}

impl Drop for Refreshing {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "a process of its own for the test above"]
fn gives_a_fresher_token() {
    // As `afield -vvv` listens to the library.
    tracing_subscriber::fmt()
        .with_env_filter("error,afield=trace")
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let told = |name: &str| std::env::var(name).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let replica = Replica::open(told(STORE)).unwrap();
    replica.connect(Relay::new(told(URL)).token(told(FIRST))).unwrap();
    runtime.block_on(replica.sync_now()).unwrap();
    replica.refresh_token(told(FRESHER)).unwrap();
    runtime.block_on(replica.sync_now()).unwrap();
    let status = replica.status().unwrap();
    assert_eq!(status.traffic.sessions, 1, "both in one session: {status:?}");
    println!("{READY}{}", replica.device());
    println!("{replica:?} {status:?} {:?}", Relay::new(told(URL)).token(told(FIRST)));
    std::io::stdout().flush().unwrap();
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}
