//! Who is no administrator: learns nothing, holds nothing up, and is sent away who guesses.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_nobody_learns_even_what_there_is_to_ask() {
    let office = Office::open().await;
    let mut answers = std::collections::BTreeSet::new();
    for (method, path) in [("GET", "/openapi.json"), ("GET", "/v1/nothing"), ("GET", "/v1/users"), ("GET", "/other")] {
        let answer = office.ask_as(None, method, path, None).await;
        assert_eq!(answer.status, 401, "{method} {path}");
        answers.insert(answer.as_bytes());
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(office.get("/openapi.json").await, serde_json::to_value(openapi()).unwrap(), "the control");
}

/// Takes all the places of this machine's address at the administration, and who asks then is sent away: the connections, and that answer.
async fn full(office: &Office) -> (Vec<TcpStream>, Answer) {
    let address = office.relay.admin_address().unwrap();
    let mut silent = Vec::new();
    for _ in 0..ADMIN_CONNECTIONS_PER_ADDRESS_MAX {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let refused = office.ask("GET", "/v1/users", None).await;
    assert_eq!((refused.status, &refused.json()["code"]), (503, &json!("too_many")));
    (silent, refused)
}

/// Ends connections, and waits until somebody finds a place again.
async fn free_again(office: &Office, silent: Vec<TcpStream>) {
    drop(silent);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while office.ask("GET", "/v1/users", None).await.status != 200 {
        assert!(tokio::time::Instant::now() < deadline, "its places are free again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_does_not_hold_the_administration_full() {
    let office = Office::open().await;
    let (silent, refused) = full(&office).await;
    assert!(refused.head.contains("retry-after: "), "{}", refused.head);
    #[cfg(target_os = "linux")]
    {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(IpAddr::from([127, 0, 0, 2]), 0)).unwrap();
        let mut other = socket.connect(office.relay.admin_address().unwrap()).await.unwrap();
        other.write_all(b"GET /v1/users HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        tokio::time::timeout(PATIENCE, other.read_exact(&mut answer)).await.unwrap().unwrap();
        assert_eq!(&answer, b"HTTP/1.1 401", "another address finds a place");
    }
    free_again(&office, silent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_does_who_asks_for_nothing_at_the_address_of_a_trusted_proxy() {
    let Office { relay, folder, admin } = Office::open().await;
    relay.shutdown().await;
    let anywhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    let trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let options = RelayOptions { admin: Some(anywhere), trusted_proxies, ..options(folder.path()) };
    let office = Office { relay: Relay::start(options).await.unwrap(), folder, admin };
    let (silent, _) = full(&office).await;
    free_again(&office, silent).await;
    for _ in 0..2 * ADMIN_CONNECTIONS_PER_ADDRESS_MAX {
        for token in [format!("{}\r\nx-forwarded-for: 192.0.2.1", office.admin), office.admin.clone()] {
            let answer = office.ask_as(Some(&token), "GET", "/v1/users", None).await;
            assert_eq!(answer.status, 200, "the control: what was answered holds no place");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_an_administrators_token_is_sent_away_for_a_while() {
    let Office { relay, folder, admin } = Office::open().await;
    relay.shutdown().await;
    let anywhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    let rates = Rates { failures: Rate::per_minute(1, 2), ..Rates::DEFAULT };
    let options = RelayOptions { admin: Some(anywhere), rates, ..options(folder.path()) };
    let office = Office { relay: Relay::start(options).await.unwrap(), folder, admin };
    for _ in 0..5 {
        assert_eq!(office.ask_as(None, "GET", "/v1/users", None).await.status, 401, "without a token nobody guesses");
    }
    for _ in 0..3 {
        assert_eq!(office.ask_as(Some("afield_guess"), "GET", "/v1/users", None).await.status, 401);
    }
    let refused = office.ask_as(Some("afield_guess"), "GET", "/v1/users", None).await;
    assert_eq!((refused.status, &refused.json()["code"]), (429, &json!("too_many")));
    assert!(refused.head.contains("retry-after: "), "{}", refused.head);
    assert_eq!(office.ask("GET", "/v1/users", None).await.status, 200, "a good token opens from anywhere");
    let mut device = office.device(&office.token_of("default").await, 1).await;
    assert!(matches!(device.next().await, Some(Seen::Welcome(_))), "devices of the address are not concerned");

    let deadline = tokio::time::Instant::now() + PATIENCE;
    while let Ok(mut device) = Device::try_connect(&office.relay.url(), Some("afield_guess"), Vec::new()).await {
        device.send(ToRelay::Hello(hello(2))).await;
        assert_eq!(device.next().await, Some(Seen::Goodbye(GoodbyeCode::Unauthorized)));
        assert!(tokio::time::Instant::now() < deadline, "it is sent away in the end");
    }
    assert_eq!(office.ask("GET", "/v1/users", None).await.status, 200, "and the other way round");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_trusted_proxy_who_guesses_an_administrators_token_is_the_one_who_is_sent_away() {
    let Office { relay, folder, admin } = Office::open().await;
    relay.shutdown().await;
    let anywhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    let rates = Rates { failures: Rate::per_minute(1, 1), ..Rates::DEFAULT };
    let trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    let options = RelayOptions { admin: Some(anywhere), rates, trusted_proxies, ..options(folder.path()) };
    let office = Office { relay: Relay::start(options).await.unwrap(), folder, admin };
    for (address, wanted) in [("192.0.2.1", 401), ("192.0.2.1", 401), ("192.0.2.1", 429), ("192.0.2.2", 401)] {
        // What stands behind the token in its line is a header of its own.
        let token = format!("afield_guess\r\nx-forwarded-for: {address}");
        assert_eq!(office.ask_as(Some(&token), "GET", "/v1/users", None).await.status, wanted, "{address}");
    }
}
