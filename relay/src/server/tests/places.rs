//! Places among the connections: who takes one, and that it is free again whatever became of its connection.

use super::*;
use crate::server::engine::{EngineHandle, Event};
use crate::server::places::SPARE_PLACES;

/// How many connections of an address may not be welcome yet.
const FEW: usize = 2;

fn few(folder: &Path) -> RelayOptions {
    let rates = Rates { connections: Rate::per_second(0, 0), failures: Rate::per_second(0, 0), ..Rates::DEFAULT };
    RelayOptions { handshakes_per_address_max: FEW, handshakes_max: FEW, rates, ..options(folder) }
}

/// Asks until there is a place to be answered at: one is free a moment after its connection has ended.
async fn answered(relay: &RunningRelay, request: &str) -> String {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let answer = http(relay, request).await;
        if !answer.starts_with("HTTP/1.1 503") {
            return answer;
        }
        assert!(tokio::time::Instant::now() < deadline, "its places are not free again");
    }
}

/// Connects as soon as there is a place.
async fn connected(relay: &RunningRelay, token: &str) -> Device {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Ok(device) = Device::try_connect(&relay.url(), Some(token), Vec::new()).await {
            return device;
        }
        assert!(tokio::time::Instant::now() < deadline, "its places are not free again");
    }
}

/// Checks that as many may sign in at once as before.
async fn all_places_are_free(url: &str, token: &Token, roots: &[CertificateDer<'static>], after: &str) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let mut signing_in = Vec::new();
        for _ in 0..FEW {
            signing_in.push(Device::try_connect(url, Some(token.reveal()), roots.to_vec()).await);
        }
        if signing_in.iter().all(Result::is_ok) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "after {after}: its places are not free again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_turned_away_or_leaves_gives_its_places_back() {
    let folder = tempfile::tempdir().unwrap();
    let token = new_token(folder.path());
    let origins = Origins::new(["https://app.example".to_owned()]);
    let relay = Relay::start(RelayOptions { origins, ..few(folder.path()) }).await.unwrap();
    let url = relay.url();
    for (after, request, answer) in [
        ("a page that is not listed", handshake("origin: https://evil.example\r\n"), "403"),
        ("two tokens", handshake("authorization: Basic dXNlcjpwYXNz\r\n"), "401"),
        ("no upgrade", format!("GET {SYNC_PATH} HTTP/1.1\r\nhost: x\r\n\r\n"), "426"),
        ("no request that there is", "GET /other HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), "404"),
        ("no HTTP", "\u{7}\r\n\r\n".to_owned(), "400"),
    ] {
        for _ in 0..2 * FEW {
            let got = answered(&relay, &request).await;
            assert!(got.starts_with(&format!("HTTP/1.1 {answer}")), "{after}: {got}");
        }
        all_places_are_free(&url, &token, &[], after).await;
    }
    for _ in 0..2 * FEW {
        // It goes while the answer is on its way.
        let mut stream = TcpStream::connect(relay.address()).await.unwrap();
        stream.write_all(handshake("").as_bytes()).await.unwrap();
    }
    all_places_are_free(&url, &token, &[], "an upgrade that its peer did not wait for").await;
    for _ in 0..2 * FEW {
        connected(&relay, token.reveal()).await;
    }
    all_places_are_free(&url, &token, &[], "a device that says nothing and leaves").await;
    for _ in 0..2 * FEW {
        let mut device = connected(&relay, "afield_guess").await;
        device.send(ToRelay::Hello(hello(1))).await;
        assert_eq!(device.next().await, Some(Seen::Goodbye(GoodbyeCode::Unauthorized)));
        assert_eq!(device.next().await, None);
    }
    all_places_are_free(&url, &token, &[], "a wrong token").await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn who_finds_all_handshakes_taken_keeps_no_place_of_its_address() {
    let folder = tempfile::tempdir().unwrap();
    let token = new_token(folder.path());
    let relay = Relay::start(few(folder.path())).await.unwrap();
    let mut others = Vec::new();
    for _ in 0..FEW {
        let mut other = connect_from(2, &relay).await;
        other.write_all(handshake("").as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        tokio::time::timeout(PATIENCE, other.read_exact(&mut answer)).await.unwrap().unwrap();
        assert_eq!(&answer, b"HTTP/1.1 101");
        others.push(other);
    }
    for _ in 0..2 * FEW {
        let refused = http(&relay, &handshake("")).await;
        assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    }
    others.clear();
    all_places_are_free(&relay.url(), &token, &[], "handshakes that others had").await;
}

/// The files of a certificate of its own, and that.
fn certificate(folder: &Path) -> (TlsFiles, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = TlsFiles { certificate: folder.join("cert.pem"), key: folder.join("key.pem") };
    std::fs::write(&files.certificate, pem("CERTIFICATE", made.cert.der())).unwrap();
    std::fs::write(&files.key, pem("PRIVATE KEY", &made.signing_key.serialize_der())).unwrap();
    (files, made.cert.der().clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_whose_tls_fails_or_never_begins_gives_its_places_back() {
    let folder = tempfile::tempdir().unwrap();
    let token = new_token(folder.path());
    let (files, root) = certificate(folder.path());
    let relay = Relay::start(RelayOptions { tls: Some(files), ..few(folder.path()) }).await.unwrap();
    let url = format!("wss://localhost:{}", relay.address().port());
    for said in ["GET / HTTP/1.1\r\n\r\n", ""] {
        for _ in 0..2 * FEW {
            let mut stream = TcpStream::connect(relay.address()).await.unwrap();
            stream.write_all(said.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut rest = Vec::new();
            // It may be cut instead of closed.
            let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap();
        }
        all_places_are_free(&url, &token, std::slice::from_ref(&root), said).await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_connects_and_never_speaks_tls_is_gone_after_the_time_of_a_handshake_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let (files, _) = certificate(folder.path());
    let (socket, address) = bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)).await.unwrap();
    let places = Arc::new(Semaphore::new(1));
    let listener =
        Listener::new(socket, Some(tls::acceptor(&files).unwrap()), axum::Router::new(), Arc::clone(&places));
    let (_stop, stopped) = watch::channel(false);
    let running = tokio::spawn(listener.run(stopped));
    let since = tokio::time::Instant::now();
    let mut silent = TcpStream::connect(address).await.unwrap();
    // Time passes by itself where nobody can go on.
    assert_eq!(silent.read(&mut [0]).await.unwrap_or_default(), 0, "it ends");
    let kept = since.elapsed();
    assert!(kept >= Duration::from_secs(10) && kept < Duration::from_secs(11), "{kept:?}");
    // Its task ends right behind its socket.
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(places.available_permits(), 1);
    running.abort();
}

#[tokio::test]
async fn the_time_for_the_handshake_counts_from_when_the_connection_was_accepted() {
    let (engine, events) = EngineHandle::detached();
    let doorkeeping = Doorkeeping {
        access: Access::Open,
        limits: Limits::DEFAULT,
        gate: Arc::new(Gate {
            throttle: Throttle::unlimited(),
            proxies: Vec::new(),
            proxies_count: false,
            unwelcomed: None,
            proxy_is_told: AtomicBool::new(false),
        }),
        origins: Origins::default(),
        handshakes_max: 1,
    };
    let (socket, address) = bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)).await.unwrap();
    let places = Arc::new(Semaphore::new(1));
    let listener = Listener::new(socket, None, endpoint::router(doorkeeping, engine), Arc::clone(&places));
    let (_stop, stopped) = watch::channel(false);
    let running = tokio::spawn(listener.run(stopped));
    let mut stream = TcpStream::connect(address).await.unwrap();
    while places.available_permits() == 1 {
        tokio::task::yield_now().await;
    }
    let accepted_before = std::time::Instant::now();
    stream.write_all(handshake("").as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
    let caller = loop {
        match events.try_recv() {
            Ok(Event::Connect { caller, .. }) => break caller,
            Ok(other) => panic!("{other:?}"),
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert!(caller.began <= accepted_before, "and not from when it asked");
    running.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_all_places_are_taken_a_few_more_hear_so_over_http_and_all_others_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(RelayOptions { connections_max: 1, ..options(folder.path()) }).await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..1 + SPARE_PLACES {
        silent.push(TcpStream::connect(relay.address()).await.unwrap());
    }
    // It is answered without a look at what it asks for, and may be cut before it has read that.
    let mut stream = TcpStream::connect(relay.address()).await.unwrap();
    let mut answer = [0; 12];
    let told = tokio::time::timeout(Duration::from_secs(5), stream.read_exact(&mut answer)).await;
    assert!(told.is_ok_and(|read| read.is_err() || &answer == b"HTTP/1.1 503"), "R8: it holds nothing");
    silent.clear();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let mut stream = TcpStream::connect(relay.address()).await.unwrap();
        // Where there is no place yet the connection may be cut before this is read.
        let asked = stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let read = tokio::time::timeout(PATIENCE, stream.read_exact(&mut answer)).await.unwrap();
        if asked.is_ok() && read.is_ok() && &answer == b"HTTP/1.1 200" {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "its places are free again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_that_is_not_believed_nobody_pays_for_others_who_come_through_it() {
    let folder = tempfile::tempdir().unwrap();
    let token = new_token(folder.path());
    let once = Rate::per_minute(1, 1);
    let rates = Rates { connections: once, failures: once, ..Rates::DEFAULT };
    let one_each = RelayOptions { handshakes_per_address_max: 1, rates, ..options(folder.path()) };
    let relay = Relay::start(RelayOptions { behind_proxy: true, ..one_each.clone() }).await.unwrap();
    let mut at_once = Vec::new();
    for _ in 0..3 {
        at_once.push(Device::connect(&relay, &token).await);
    }
    for _ in 0..3 {
        let mut guesser = Device::try_connect(&relay.url(), Some("afield_guess"), Vec::new()).await.unwrap();
        guesser.send(ToRelay::Hello(hello(1))).await;
        assert_eq!(guesser.next().await, Some(Seen::Goodbye(GoodbyeCode::Unauthorized)));
        assert_eq!(guesser.next().await, None);
    }
    Device::connect(&relay, &token).await;
    relay.shutdown().await;

    let relay = Relay::start(one_each).await.unwrap();
    let _first = Device::connect(&relay, &token).await;
    let second = Device::try_connect(&relay.url(), Some(token.reveal()), Vec::new()).await;
    assert!(second.is_err(), "the control: without a proxy they are one address");
}
