//! A relay behind nginx, as DEPLOYMENT.md has it: real nginx with the file that is shipped, a real relay process, TLS and sockets.

use afield::{Relay, Replica, Space, SyncEvent};
use afield_core::limits::{PING_INTERVAL_MS, SILENT_PEER_TIMEOUT_MS};
use afield_tests::processes::{Access, Program, Site};
use serde_json::json;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::sync::broadcast::Receiver;

/// The file that is shipped.
const SHIPPED: &str = include_str!("../../relay/deploy/nginx.conf");
/// The variable of the environment that makes a test fail where there is no nginx.
const REQUIRED: &str = "AFIELD_REQUIRE_NGINX";
/// Where nginx connects to the relay from, to be told apart from devices.
const PROXY: &str = "127.0.0.2";
/// Far longer than anything here takes.
const NEVER: Duration = Duration::from_secs(30);

/// nginx in the foreground, with its files in a folder. It is killed when this is dropped.
struct Nginx {
    program: PathBuf,
    folder: PathBuf,
    address: SocketAddr,
    child: Option<Child>,
}

impl Nginx {
    /// Starts it in front of a relay; `None`, told, where this system has none and none is required.
    fn start(folder: &Path, relay: SocketAddr, changes: &[(&str, &str)]) -> Option<(Self, Vec<u8>)> {
        let program = find()?;
        let folder = folder.join("nginx");
        std::fs::create_dir(&folder).unwrap();
        let certificate = make_certificate(&folder);
        let address = free_address();
        let (chain, key) = (folder.join("chain.pem"), folder.join("key.pem"));
        let mut site = SHIPPED.to_owned();
        let (listen, upstream) = (format!("listen {address} ssl;"), format!("server {relay};"));
        for (shipped, here) in [
            ("listen 443 ssl;", &*listen),
            // One address of one family is what is free here.
            ("    listen [::]:443 ssl;\n", ""),
            ("server 127.0.0.1:8453;", &upstream),
            ("/etc/letsencrypt/live/sync.example.com/fullchain.pem", chain.to_str().unwrap()),
            ("/etc/letsencrypt/live/sync.example.com/privkey.pem", key.to_str().unwrap()),
        ]
        .into_iter()
        .chain(changes.iter().copied())
        {
            assert_eq!(site.matches(shipped).count(), 1, "the file has one {shipped:?}");
            site = site.replace(shipped, here);
        }
        let whole = format!(
            "pid nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\nproxy_bind {PROXY};\n\
             client_body_temp_path body;\nproxy_temp_path proxy;\nfastcgi_temp_path fastcgi;\nuwsgi_temp_path uwsgi;\n\
             scgi_temp_path scgi;\n{site}\n}}\n"
        );
        std::fs::write(folder.join("nginx.conf"), whole).unwrap();
        let mut nginx = Self { program, folder, address, child: None };
        nginx.restart();
        Some((nginx, certificate))
    }

    /// Starts it again on the same port, and waits until it listens.
    fn restart(&mut self) {
        let mut command = Command::new(&self.program);
        command.arg("-p").arg(&self.folder).args([
            "-c",
            "nginx.conf",
            "-e",
            "stderr",
            "-g",
            "daemon off; master_process off;",
        ]);
        let mut child = command.stdin(Stdio::null()).spawn().expect("nginx starts");
        let deadline = Instant::now() + NEVER;
        while TcpStream::connect(self.address).is_err() {
            assert!(child.try_wait().unwrap().is_none(), "nginx takes the file that is shipped");
            assert!(Instant::now() < deadline, "nginx listens");
            std::thread::yield_now();
        }
        self.child = Some(child);
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn url(&self) -> String {
        format!("wss://{}", self.address)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where nginx is, which distributions put where only administrators look for programs.
fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    let found = folders.map(|folder| folder.join("nginx")).find(|at| at.is_file());
    if found.is_none() {
        assert!(std::env::var_os(REQUIRED).is_none(), "{REQUIRED} is set, and this system has no nginx");
        let notice = format!("\nNOT TESTED: this system has no nginx; {REQUIRED}=1 makes this an error\n");
        let _ = std::io::stderr().write_all(notice.as_bytes());
    }
    found
}

/// A port that was free a moment ago.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

/// Writes a certificate for loopback and its key, and gives it as devices are told to trust it.
fn make_certificate(folder: &Path) -> Vec<u8> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    for (name, tag, der) in [
        ("chain.pem", "CERTIFICATE", &made.cert.der()[..]),
        ("key.pem", "PRIVATE KEY", &made.signing_key.serialize_der()),
    ] {
        std::fs::write(folder.join(name), pem::encode(&pem::Pem::new(tag, der))).unwrap();
    }
    made.cert.der().to_vec()
}

fn site() -> Site {
    let program = Program::new(env!("CARGO_BIN_EXE_relay_process"));
    Site::start_with_options(&program, Access::Tokens, &["--trusted-proxies", PROXY])
}

fn connect(site: &Site, nginx: &Nginx, certificate: &[u8], replica: &Replica) {
    let token = site.relay.create_token();
    replica.connect(Relay::new(nginx.url()).token(token).trust(certificate)).unwrap();
    site.sync(replica);
}

fn note(space: &Space, text: &str) {
    space.collection::<()>("notes").unwrap().json().insert(&json!({ "title": text })).unwrap();
}

fn count(space: &Space) -> usize {
    space.collection::<()>("notes").unwrap().ids().unwrap().len()
}

#[test]
fn devices_sync_through_it_and_the_relay_knows_their_addresses() {
    let site = site();
    let Some((nginx, certificate)) = Nginx::start(&site.path(""), site.relay.address(), &[]) else { return };
    let (anna, ben) = (site.replica("anna.db"), site.replica("ben.db"));
    connect(&site, &nginx, &certificate, &anna);
    let of_anna = anna.create_space("home").unwrap();
    note(&of_anna, "milk");
    site.sync(&anna);
    connect(&site, &nginx, &certificate, &ben);
    let of_ben = ben.join_space(of_anna.id()).unwrap();
    site.sync(&ben);
    assert_eq!(count(&of_ben), 1);
    // More than fits into any buffer between.
    note(&of_ben, &"bread ".repeat(60_000));
    site.sync_all(&[&ben, &anna]);
    assert_eq!(count(&of_anna), 2);

    let deadline = Instant::now() + NEVER;
    loop {
        let devices = site.relay.administer(&["device", "list"]);
        let addresses: Vec<_> = devices.iter().filter_map(|device| device.get("address")?.as_str()).collect();
        if addresses.len() == 2 {
            assert_eq!(addresses, ["127.0.0.1"; 2], "the devices', and not the proxy's {PROXY}");
            break;
        }
        assert!(Instant::now() < deadline, "the devices are noted: {devices:?}");
    }
}

#[test]
fn a_session_that_the_proxy_or_its_time_out_ends_comes_back_by_itself_and_nothing_is_lost() {
    let site = site();
    let quick = [("proxy_read_timeout 120s;", "proxy_read_timeout 1s;")];
    let Some((mut nginx, certificate)) = Nginx::start(&site.path(""), site.relay.address(), &quick) else { return };
    let (anna, ben) = (site.replica("anna.db"), site.replica("ben.db"));
    connect(&site, &nginx, &certificate, &anna);
    let of_anna = anna.create_space("home").unwrap();
    note(&of_anna, "milk");
    site.sync(&anna);
    connect(&site, &nginx, &certificate, &ben);
    let of_ben = ben.join_space(of_anna.id()).unwrap();
    site.sync(&ben);

    // Longer than this proxy lets anybody be silent.
    let mut events = ben.events();
    let has_ended = |event: &SyncEvent| matches!(event, SyncEvent::Disconnected { .. });
    next(&site, &mut events, "the time-out ends a quiet session", has_ended);
    next(&site, &mut events, "the device is back", |event| matches!(event, SyncEvent::Connected));

    nginx.kill();
    note(&of_anna, "while it was away");
    nginx.restart();
    site.sync_all(&[&anna, &ben]);
    assert_eq!(count(&of_ben), 2);
}

/// Waits for an event.
fn next(site: &Site, events: &mut Receiver<SyncEvent>, what: &str, is_it: impl Fn(&SyncEvent) -> bool) {
    let waited = site.block_on(async {
        tokio::time::timeout(NEVER, async { while !is_it(&events.recv().await.expect("few events")) {} }).await
    });
    waited.unwrap_or_else(|_| panic!("{what}"));
}

#[test]
fn the_time_outs_that_are_shipped_leave_quiet_sessions_alone() {
    for name in ["proxy_read_timeout", "proxy_send_timeout"] {
        let line = SHIPPED.lines().map(str::trim).find(|line| line.starts_with(name)).expect("it is set");
        let seconds: u64 = line.trim_start_matches(name).trim().trim_end_matches("s;").parse().unwrap();
        assert!(seconds * 1_000 >= PING_INTERVAL_MS + SILENT_PEER_TIMEOUT_MS, "{line}");
    }
}
