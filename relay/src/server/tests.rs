//! What the server promises, over real sockets.

mod admin;
mod authorisation;
mod metrics;
mod places;
mod revocation;
mod verbs;

use super::*;
use crate::log::Token;
use crate::log::accounts::{Accounts, NewToken};
use crate::testing::frames::{Part, Reader, SPACE, Seen, foreign, hello, open, own, push_message, stored};
use crate::testing::{Author, noise};
use afield_core::limits::UNAUTHENTICATED_BYTES_MAX;
use afield_core::wire::{self, Authenticate, Class, GoodbyeCode, ToRelay};
use afield_transport::{Client, ClientOptions, ConnectError, Link, RelayAddress, SYNC_PATH};
use rustls_pki_types::CertificateDer;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a test waits for what has to come, before it fails.
const PATIENCE: Duration = Duration::from_secs(30);

fn options(folder: &Path) -> RelayOptions {
    let listen = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    RelayOptions { listen, ..RelayOptions::new(folder.to_owned()) }
}

fn new_token(folder: &Path) -> Token {
    let token = Token::new(&mut SystemEntropy);
    let new = NewToken { may_create: true, ..NewToken::default() };
    let mut log = DataFolder::create(folder.to_owned()).unwrap().open_log().unwrap();
    log.create_token(&token, &new, SystemClock::start().now()).unwrap();
    token
}

/// A device in the hands of a test.
struct Device {
    link: Link,
    reader: Reader,
}

impl Device {
    async fn try_connect(
        url: &str,
        token: Option<&str>,
        extra_roots: Vec<CertificateDer<'static>>,
    ) -> Result<Self, ConnectError> {
        let token = token.map(|token| token.parse().unwrap());
        let client = Client::new(ClientOptions { token, extra_roots, ..ClientOptions::default() });
        let address: RelayAddress = url.parse().unwrap();
        Ok(Self { link: client.connect(&address).await?, reader: Reader::default() })
    }

    async fn connect(relay: &RunningRelay, token: &Token) -> Self {
        Self::try_connect(&relay.url(), Some(token.reveal()), Vec::new()).await.unwrap()
    }

    async fn send(&mut self, frame: ToRelay<'_>) {
        self.send_message(wire::encode_to_relay(&frame)).await;
    }

    async fn send_message(&mut self, message: Vec<u8>) {
        self.link.send(message.into()).await.unwrap();
    }

    /// The next frame; nothing once the relay has closed.
    async fn next(&mut self) -> Option<Seen> {
        let message = tokio::time::timeout(PATIENCE, self.link.receive()).await.expect("the relay answers").unwrap();
        message.map(|message| self.reader.understand(&message))
    }

    /// Everything up to the frame that is wanted.
    async fn until(&mut self, wanted: impl Fn(&Seen) -> bool) -> Vec<Seen> {
        let mut seen = Vec::new();
        loop {
            seen.push(self.next().await.expect("the relay has not closed"));
            if seen.last().is_some_and(&wanted) {
                return seen;
            }
        }
    }

    /// Says hello and reads everything that there is.
    async fn catch_up(&mut self, number: u8) -> Vec<Vec<u8>> {
        self.send(ToRelay::Hello(hello(number))).await;
        self.send(open(SPACE, None)).await;
        foreign(&self.until(|seen| matches!(seen, Seen::CaughtUp(_))).await)
    }
}

#[tokio::test]
async fn a_relay_that_starts_while_a_command_has_the_folder_for_a_moment_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let held = DataFolder::create(folder.path().to_owned()).unwrap().lock().unwrap();
    // The start is first asked, and finds the lock taken.
    let (relay, ()) = tokio::join!(biased; Relay::start(options(folder.path())), async { drop(held) });
    relay.expect("it is the one relay");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_device_pushes_another_receives() {
    let folder = tempfile::tempdir().unwrap();
    let token = new_token(folder.path());
    let relay = Relay::start(options(folder.path())).await.unwrap();
    assert!(relay.has_tokens());
    let (mut one, mut two) = (Device::connect(&relay, &token).await, Device::connect(&relay, &token).await);
    let mut author = Author::new(1, 1);
    let changes = vec![author.edit("a"), author.edit("b")];

    // Everything at once, without waiting for an answer.
    one.send(ToRelay::Hello(hello(1))).await;
    one.send(open(SPACE, None)).await;
    one.send_message(push_message(1, author.entity, &changes)).await;
    let seen = one.until(|seen| matches!(seen, Seen::Chunks { .. })).await;
    assert_eq!(
        seen[seen.len() - 2..],
        [Seen::Receipt(1, stored(1, 2)), Seen::Chunks { after: 0, parts: own(1, 0, 2) }]
    );

    assert_eq!(two.catch_up(2).await, changes);
    let third = author.edit("c");
    one.send_message(push_message(2, author.entity, std::slice::from_ref(&third))).await;
    assert_eq!(two.next().await, Some(Seen::Chunks { after: 2, parts: vec![Part::Batch(vec![third])] }));
    relay.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_good_token_nobody_is_welcome() {
    let folder = tempfile::tempdir().unwrap();
    let token = new_token(folder.path());
    let relay = Relay::start(options(folder.path())).await.unwrap();
    for bad in [None, Some("afield_wrong")] {
        let mut device = Device::try_connect(&relay.url(), bad, Vec::new()).await.unwrap();
        device.send(ToRelay::Hello(hello(1))).await;
        assert_eq!(device.next().await, Some(Seen::Goodbye(GoodbyeCode::Unauthorized)));
        assert_eq!(device.next().await, None);
    }
    let mut device = Device::connect(&relay, &token).await;
    device.send(ToRelay::Hello(hello(1))).await;
    assert_eq!(device.next().await, Some(Seen::Welcome(vec![])), "the control");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_starts_again_has_everything() {
    let folder = tempfile::tempdir().unwrap();
    let token = new_token(folder.path());
    let mut author = Author::new(1, 1);
    let changes = vec![author.edit("a"), author.edit("b"), author.edit("c")];
    let relay = Relay::start(options(folder.path())).await.unwrap();
    let mut device = Device::connect(&relay, &token).await;
    device.catch_up(1).await;
    device.send_message(push_message(1, author.entity, &changes)).await;
    assert_eq!(device.next().await, Some(Seen::Receipt(1, stored(1, 3))));
    relay.shutdown().await;

    let relay = Relay::start(options(folder.path())).await.unwrap();
    let mut device = Device::connect(&relay, &token).await;
    assert_eq!(device.catch_up(1).await, changes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_stops_says_so_and_keeps_what_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let token = new_token(folder.path());
    let relay = Relay::start(options(folder.path())).await.unwrap();
    let mut device = Device::connect(&relay, &token).await;
    device.catch_up(1).await;
    let mut author = Author::new(1, 1);
    device.send_message(push_message(1, author.entity, &[author.edit("a")])).await;
    let idle = TcpStream::connect(relay.address()).await.unwrap();
    let (address, url) = (relay.address(), relay.url());
    let watching = tokio::spawn(async move {
        let seen = device.until(|seen| matches!(seen, Seen::Goodbye(_))).await;
        (seen, device.next().await)
    });
    let begun = std::time::Instant::now();
    relay.shutdown().await;
    assert!(begun.elapsed() < Duration::from_millis(SHUTDOWN_DEADLINE_MS), "an idle connection holds nothing up");
    drop(idle);
    let (seen, after) = watching.await.unwrap();
    assert_eq!(seen.last(), Some(&Seen::Goodbye(GoodbyeCode::GoingAway)));
    assert_eq!(after, None);
    let refused = Device::try_connect(&url, None, Vec::new()).await;
    assert!(refused.is_err_and(|error| error.class() == Class::Retry), "nobody listens on {address} any more");

    let received = seen.iter().any(|seen| matches!(seen, Seen::Receipt(1, _)));
    let relay = Relay::start(options(folder.path())).await.unwrap();
    let kept = Device::connect(&relay, &token).await.catch_up(2).await.len();
    assert!(kept == 1 || !received, "a receipt is a promise");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_devices_at_once_all_get_everything() {
    let folder = tempfile::tempdir().unwrap();
    let token = new_token(folder.path());
    let relay = Relay::start(options(folder.path())).await.unwrap();
    let url = relay.url();
    const DEVICES: u8 = 20;
    const PUSHES: u64 = 10;
    let work = (1..=DEVICES).map(|number| {
        let (url, token) = (url.clone(), token.reveal().to_owned());
        tokio::spawn(async move {
            let mut device = Device::try_connect(&url, Some(&token), Vec::new()).await.unwrap();
            device.send(ToRelay::Hello(hello(number))).await;
            device.send(open(SPACE, None)).await;
            let mut author = Author::new(number, number);
            for push in 1..=PUSHES {
                device.send_message(push_message(push, author.entity, &[author.edit(&push.to_string())])).await;
            }
            let (mut foreign_chunks, mut own_chunks, mut receipts) = (0, 0, 0);
            let everything = u64::from(DEVICES) * PUSHES;
            while foreign_chunks + own_chunks < everything || receipts < PUSHES {
                match device.next().await.expect("the relay stays") {
                    Seen::Receipt(..) => receipts += 1,
                    Seen::Chunks { parts, .. } => {
                        for part in parts {
                            match part {
                                Part::Own { count, .. } => own_chunks += count,
                                Part::Batch(chunks) => foreign_chunks += chunks.len() as u64,
                                Part::Raw(_) => foreign_chunks += 1,
                                Part::Announced(_) | Part::Snapshot(_) | Part::Erased(_) => {}
                            }
                        }
                    }
                    _ => {}
                }
            }
            assert_eq!(own_chunks, PUSHES);
        })
    });
    for device in work.collect::<Vec<_>>() {
        device.await.unwrap();
    }
    relay.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_reads_nothing_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let token = new_token(folder.path());
    let relay = Relay::start(options(folder.path())).await.unwrap();
    let (mut writer, mut lazy) = (Device::connect(&relay, &token).await, Device::connect(&relay, &token).await);
    writer.catch_up(1).await;
    lazy.catch_up(2).await;
    let mut author = Author::new(1, 1);
    // More than the kernel's buffers and the relay's queue hold together.
    for number in 1..=40 {
        let change = author.edit(&noise(number, 300_000));
        writer.send_message(push_message(number, author.entity, &[change])).await;
        writer.until(|seen| matches!(seen, Seen::Receipt(..))).await;
    }
    let mut read = 0;
    while read < 40 {
        read += foreign(&[lazy.next().await.expect("it is not cut that soon")]).len();
    }
    assert_eq!(read, 40, "R9: it gets everything in the end");
}

async fn http(relay: &RunningRelay, request: &str) -> String {
    let mut stream = TcpStream::connect(relay.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_that_it_is_alive() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(options(folder.path())).await.unwrap();
    let answer = http(&relay, "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n{\"status\":\"ok\"}"), "{answer}");
    let ready = http(&relay, "GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(ready.starts_with("HTTP/1.1 200") && ready.ends_with("{\"status\":\"ready\"}"), "{ready}");
    let version = http(&relay, "GET /version HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (own, build) = (env!("CARGO_PKG_VERSION"), crate::BUILD);
    let stated = format!(r#"{{"version":"{own}","build":"{build}","protocol":{}}}"#, wire::PROTOCOL_VERSION);
    assert!(version.ends_with(&stated), "{version}");
    assert!(http(&relay, "GET /other HTTP/1.1\r\nhost: x\r\n\r\n").await.starts_with("HTTP/1.1 404"));
    relay.engine.stop();
    let mut relay = relay;
    relay.failed().await;
    let answer = http(&relay, "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    let ready = http(&relay, "GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_cannot_append_is_alive_and_not_ready_until_it_can_again() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(options(folder.path())).await.unwrap();
    let ask = async |path: &str| http(&relay, &format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
    let fail = async |fails: bool| {
        let fault = fails.then_some(crate::log::Fault::Error);
        let inject = move |hub: &mut crate::hub::Hub<SqliteLog>, _| hub.log_mut().inject_faults(move |_| fault);
        relay.engine.handle().ask(inject).await.unwrap();
    };
    for (fails, answer, body) in [(true, "503", "not_ready"), (false, "200", "ready")] {
        fail(fails).await;
        // The last try counts for a second.
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let ready = ask("/readyz").await;
            let is_told = ready.starts_with(&format!("HTTP/1.1 {answer}"));
            assert_eq!(is_told, ready.ends_with(&format!("{{\"status\":\"{body}\"}}")), "{ready}");
            if is_told {
                break;
            }
            assert!(tokio::time::Instant::now() < deadline, "{ready}");
        }
        assert!(ask("/healthz").await.starts_with("HTTP/1.1 200"), "the process is to live on");
    }
}

fn handshake(more: &str) -> String {
    format!(
        "GET {SYNC_PATH} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
        sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: afield.1\r\n{more}\r\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sync_endpoint_takes_websockets_with_at_most_one_token() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(options(folder.path())).await.unwrap();
    let plain = http(&relay, &format!("GET {SYNC_PATH} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
    assert!(plain.starts_with("HTTP/1.1 426"), "{plain}");
    let basic = http(&relay, &handshake("authorization: Basic dXNlcjpwYXNz\r\n")).await;
    assert!(basic.starts_with("HTTP/1.1 401"), "{basic}");
    assert!(status(&relay, &handshake("")).await.starts_with("HTTP/1.1 101"), "the control");
}

/// The first line of an answer that does not end.
async fn status(relay: &RunningRelay, request: &str) -> String {
    let mut stream = TcpStream::connect(relay.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_page_cannot_use_a_relay_without_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let origin = handshake("origin: https://example.com\r\n");
    let relay = Relay::start(RelayOptions { access: Access::Open, ..options(folder.path()) }).await.unwrap();
    assert!(status(&relay, &origin).await.starts_with("HTTP/1.1 403"));
    assert!(status(&relay, &handshake("")).await.starts_with("HTTP/1.1 101"), "the control");
    let mut device = Device::try_connect(&relay.url(), None, Vec::new()).await.unwrap();
    assert!(device.catch_up(1).await.is_empty(), "a device needs no token");
    relay.shutdown().await;
    let relay = Relay::start(options(folder.path())).await.unwrap();
    assert!(status(&relay, &origin).await.starts_with("HTTP/1.1 101"), "a token is no ambient authority");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_pages_are_listed_no_other_connects() {
    let folder = tempfile::tempdir().unwrap();
    let origins = Origins::new(["https://app.example".to_owned()]);
    let relay = Relay::start(RelayOptions { origins, ..options(folder.path()) }).await.unwrap();
    for (origin, wanted) in [("https://app.example", "101"), ("https://evil.example", "403"), ("null", "403")] {
        let answer = status(&relay, &handshake(&format!("origin: {origin}\r\n"))).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {wanted}")), "{origin}: {answer}");
    }
    let answer = status(&relay, &handshake("")).await;
    assert!(answer.starts_with("HTTP/1.1 101"), "a device that is no browser names none: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_connects_or_guesses_too_often_is_told_when_to_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let token = new_token(folder.path());
    let rates = Rates { connections: Rate::per_minute(1, 3), ..Rates::DEFAULT };
    let relay = Relay::start(RelayOptions { rates, ..options(folder.path()) }).await.unwrap();
    for _ in 0..3 {
        Device::connect(&relay, &token).await;
    }
    let refused = |error: ConnectError| {
        assert_eq!(error.class(), Class::Retry);
        assert!(error.retry_after_ms().unwrap() >= 1_000 && error.to_string().contains("fewer"), "{error}");
    };
    refused(Device::try_connect(&relay.url(), Some(token.reveal()), Vec::new()).await.err().expect("the fourth"));
    let health = http(&relay, "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(health.starts_with("HTTP/1.1 200"), "questions about its health are not counted: {health}");
    relay.shutdown().await;

    let rates = Rates { failures: Rate::per_minute(1, 2), ..Rates::DEFAULT };
    let relay = Relay::start(RelayOptions { rates, ..options(folder.path()) }).await.unwrap();
    for guess in ["afield_one", "afield_two", "afield_three"] {
        let mut device = Device::try_connect(&relay.url(), Some(guess), Vec::new()).await.unwrap();
        device.send(ToRelay::Hello(hello(1))).await;
        assert_eq!(device.next().await, Some(Seen::Goodbye(GoodbyeCode::Unauthorized)));
        assert_eq!(device.next().await, None);
    }
    let shut_out = Device::try_connect(&relay.url(), Some(token.reveal()), Vec::new()).await.err();
    refused(shut_out.expect("the address has guessed too often"));
}

/// A connection from another address of this machine.
#[cfg(target_os = "linux")]
async fn connect_from(last: u8, relay: &RunningRelay) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(IpAddr::from([127, 0, 0, last]), 0)).unwrap();
    socket.connect(relay.address()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_counts_for_its_address_before_it_asks_for_anything() {
    let folder = tempfile::tempdir().unwrap();
    let token = new_token(folder.path());
    let rates = Rates { connections: Rate::per_minute(1, 3), ..Rates::DEFAULT };
    let relay = Relay::start(RelayOptions { rates, ..options(folder.path()) }).await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(TcpStream::connect(relay.address()).await.unwrap());
    }
    let refused = Device::try_connect(&relay.url(), Some(token.reveal()), Vec::new()).await.err().expect("the fourth");
    assert!(refused.retry_after_ms().unwrap() >= 1_000 && refused.to_string().contains("fewer"), "{refused}");
    relay.shutdown().await;

    let few = RelayOptions { handshakes_per_address_max: 2, ..options(folder.path()) };
    let relay = Relay::start(few).await.unwrap();
    let mut welcome = Vec::new();
    for number in 1..=5 {
        let mut device = Device::connect(&relay, &token).await;
        device.catch_up(number).await;
        welcome.push(device);
    }
    silent.clear();
    for _ in 0..2 {
        silent.push(TcpStream::connect(relay.address()).await.unwrap());
    }
    let refused = Device::try_connect(&relay.url(), Some(token.reveal()), Vec::new()).await.err().expect("the third");
    assert!(refused.class() == Class::Retry && refused.retry_after_ms().is_some(), "{refused:?}");
    #[cfg(target_os = "linux")]
    {
        let mut other = connect_from(2, &relay).await;
        other.write_all(handshake("").as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        tokio::time::timeout(PATIENCE, other.read_exact(&mut answer)).await.unwrap().unwrap();
        assert_eq!(&answer, b"HTTP/1.1 101", "another address is not concerned");
    }
    silent.clear();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while Device::try_connect(&relay.url(), Some(token.reveal()), Vec::new()).await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "its places are free again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_a_trusted_proxy_count_for_those_it_asks_for() {
    let folder = tempfile::tempdir().unwrap();
    let rates = Rates { connections: Rate::per_minute(1, 2), ..Rates::DEFAULT };
    let trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    let relay = Relay::start(RelayOptions { rates, trusted_proxies, ..options(folder.path()) }).await.unwrap();
    for (address, wanted) in [("192.0.2.1", "101"), ("192.0.2.1", "101"), ("192.0.2.1", "429"), ("192.0.2.2", "101")] {
        let answer = status(&relay, &handshake(&format!("x-forwarded-for: {address}\r\n"))).await;
        assert_eq!(answer, format!("HTTP/1.1 {wanted}"), "{address}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_come_at_once_some_come_a_little_later_and_all_get_in() {
    let folder = tempfile::tempdir().unwrap();
    let token = new_token(folder.path());
    let relay = Relay::start(RelayOptions { handshakes_max: 1, ..options(folder.path()) }).await.unwrap();
    // It is connected, and says nothing yet.
    let mut first = Device::connect(&relay, &token).await;
    let error = Device::try_connect(&relay.url(), Some(token.reveal()), Vec::new()).await.err().unwrap();
    assert_eq!(error.class(), Class::Retry);
    assert!(error.retry_after_ms().is_some());
    first.send(ToRelay::Hello(hello(1))).await;
    assert_eq!(first.next().await, Some(Seen::Welcome(vec![])));
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut second = loop {
        match Device::try_connect(&relay.url(), Some(token.reveal()), Vec::new()).await {
            Ok(device) => break device,
            Err(error) => assert!(tokio::time::Instant::now() < deadline, "{error}"),
        }
    };
    second.send(ToRelay::Hello(hello(2))).await;
    assert_eq!(second.next().await, Some(Seen::Welcome(vec![])), "once the first is welcome there is room");
}

#[tokio::test(flavor = "multi_thread")]
async fn options_that_would_show_everything_to_everybody_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let anywhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
    let public = RelayOptions { listen: anywhere, ..options(folder.path()) };
    let open_and_public = RelayOptions { access: Access::Open, ..public.clone() };
    let open_behind_proxy = RelayOptions { access: Access::Open, behind_proxy: true, ..options(folder.path()) };
    assert!(matches!(Relay::start(public.clone()).await, Err(StartError::PlainText(_))));
    assert!(matches!(Relay::start(open_and_public).await, Err(StartError::OpenAccess(_))));
    assert!(matches!(Relay::start(open_behind_proxy).await, Err(StartError::OpenAccess(_))));
    let behind_proxy = RelayOptions { behind_proxy: true, ..public };
    Relay::start(behind_proxy).await.expect("the control").shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_and_an_address_have_one_relay() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let first = Relay::start(options(folders[0].path())).await.unwrap();
    let same_folder = Relay::start(options(folders[0].path())).await;
    assert!(matches!(same_folder, Err(StartError::Folder(FolderError::InUse { holder: Some(_), .. }))));
    let same_address = RelayOptions { listen: first.address(), ..options(folders[1].path()) };
    assert!(matches!(Relay::start(same_address).await, Err(StartError::Listen { .. })));
    first.shutdown().await;
    Relay::start(options(folders[0].path())).await.expect("the control: it is free again");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_too_many_is_sent_away_for_some_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let token = new_token(folder.path());
    let relay = Relay::start(RelayOptions { connections_max: 2, ..options(folder.path()) }).await.unwrap();
    let mut first = Device::connect(&relay, &token).await;
    let second = Device::connect(&relay, &token).await;
    let third = Device::try_connect(&relay.url(), Some(token.reveal()), Vec::new()).await;
    let error = third.err().expect("there is no third place");
    assert_eq!(error.class(), Class::Retry);
    assert!((1_000..=10_000).contains(&error.retry_after_ms().unwrap()), "{error:?}");
    let health = http(&relay, "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(health.starts_with("HTTP/1.1 200"), "it is alive, and says so: {health}");
    drop(second);
    first.catch_up(1).await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while Device::try_connect(&relay.url(), Some(token.reveal()), Vec::new()).await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "the place of the second is free again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_cannot_make_the_relay_hold_much() {
    let folder = tempfile::tempdir().unwrap();
    let token = new_token(folder.path());
    let relay = Relay::start(options(folder.path())).await.unwrap();
    let mut stranger = Device::try_connect(&relay.url(), None, Vec::new()).await.unwrap();
    let mut refused = false;
    for _ in 0..64 {
        refused |= stranger.link.send(vec![0; 512 * 1024].into()).await.is_err();
    }
    assert!(refused, "R8");
    // A token again and again: each is a frame that a stranger may send.
    let text = noise(2, 4_000);
    let frame = |bytes| wire::encode_to_relay(&ToRelay::Authenticate(Authenticate { token: text[..bytes].to_owned() }));
    let whole = frame(1_000);
    let greeting = wire::encode_to_relay(&ToRelay::Hello(hello(9)));
    let (times, rest) = {
        let left = UNAUTHENTICATED_BYTES_MAX - greeting.len() - whole.len() / 2;
        (left / whole.len(), left % whole.len() + whole.len() / 2)
    };
    for (length, answer) in [(rest, GoodbyeCode::Unauthorized), (rest + 1, GoodbyeCode::Protocol)] {
        let last = (0..=4_000).map(frame).find(|frame| frame.len() == length).expect("one of each length");
        let mut stranger = Device::try_connect(&relay.url(), None, Vec::new()).await.unwrap();
        for message in std::iter::repeat_n(&whole, times).chain([&last, &greeting]) {
            stranger.send_message(message.clone()).await;
        }
        assert_eq!(stranger.next().await, Some(Seen::Goodbye(answer)), "R8: {length} bytes in the last frame");
    }
    let mut device = Device::connect(&relay, &token).await;
    device.catch_up(1).await;
    let mut author = Author::new(1, 1);
    let large = author.edit(&noise(1, 400_000));
    device.send_message(push_message(1, author.entity, &[large])).await;
    assert_eq!(device.next().await, Some(Seen::Receipt(1, stored(1, 1))), "the control: who is welcome may");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_speaks_tls_with_the_certificate_it_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let token = new_token(folder.path());
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = TlsFiles { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    std::fs::write(&files.certificate, pem("CERTIFICATE", made.cert.der())).unwrap();
    std::fs::write(&files.key, pem("PRIVATE KEY", &made.signing_key.serialize_der())).unwrap();
    let anywhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
    let encrypted = RelayOptions { listen: anywhere, tls: Some(files.clone()), ..options(folder.path()) };
    let relay = Relay::start(encrypted).await.unwrap();
    assert!(relay.url().starts_with("wss://"));
    let url = format!("wss://localhost:{}", relay.address().port());
    let root = made.cert.der().clone();
    let mut device = Device::try_connect(&url, Some(token.reveal()), vec![root]).await.unwrap();
    assert!(device.catch_up(1).await.is_empty());
    assert!(Device::try_connect(&url, Some(token.reveal()), Vec::new()).await.is_err(), "an unknown root");
    relay.shutdown().await;

    let swapped = TlsFiles { certificate: files.key, key: files.certificate };
    let refused = Relay::start(RelayOptions { tls: Some(swapped), ..options(folder.path()) }).await;
    assert!(matches!(refused, Err(StartError::Tls(_))));
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line)).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
