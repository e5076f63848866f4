//! Many connections to the administration at once: what one that is being answered holds, and for how long.

use super::*;

/// A relay that believes the addresses of this machine for whom they ask.
async fn behind_proxy() -> Office {
    let Office { relay, folder, admin } = Office::open().await;
    relay.shutdown().await;
    let anywhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    let trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let options = RelayOptions { admin: Some(anywhere), trusted_proxies, ..options(folder.path()) };
    Office { relay: Relay::start(options).await.unwrap(), folder, admin }
}

impl Office {
    /// A request for somebody of which the head is there and the body is awaited: it is being answered; or the status of its refusal.
    async fn unfinished(&self, client: &str) -> Result<TcpStream, u16> {
        let mut stream = TcpStream::connect(self.relay.admin_address().unwrap()).await.unwrap();
        let request = format!(
            "POST /v1/users HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nx-forwarded-for: {client}\r\n\
            content-type: application/json\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n",
            self.admin
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        tokio::time::timeout(PATIENCE, stream.read_exact(&mut answer)).await.unwrap().unwrap();
        match &answer {
            b"HTTP/1.1 100" => Ok(stream),
            other => Err(String::from_utf8_lossy(&other[9..]).parse().unwrap()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_what_is_being_answered_holds_a_place_of_whom_it_is_for_and_none_of_the_proxy() {
    let office = behind_proxy().await;
    let mut held = Vec::new();
    for _ in 0..ADMIN_CONNECTIONS_PER_ADDRESS_MAX {
        held.push(office.unfinished("192.0.2.1").await.expect("it has a place"));
    }
    assert_eq!(office.unfinished("192.0.2.1").await.err(), Some(503), "one more of the same");
    held.push(office.unfinished("192.0.2.2").await.expect("others are not concerned, nor is the proxy full"));
    held.clear();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while office.unfinished("192.0.2.1").await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "its places are free again");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn all_addresses_together_have_so_many_connections_to_the_administration() {
    let office = Office::open().await;
    let address = office.relay.admin_address().unwrap();
    let connect = async |last: u8| {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(IpAddr::from([127, 0, 0, last]), 0)).unwrap();
        socket.connect(address).await.unwrap()
    };
    let mut silent = Vec::new();
    for number in 0..ADMIN_CONNECTIONS_MAX {
        let last = 10 + number / ADMIN_CONNECTIONS_PER_ADDRESS_MAX;
        silent.push(connect(u8::try_from(last).unwrap()).await);
    }
    let refused = office.ask("GET", "/v1/users", None).await;
    assert_eq!((refused.status, &refused.json()["code"]), (503, &json!("too_many")));
    silent.clear();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while office.ask("GET", "/v1/users", None).await.status != 200 {
        assert!(tokio::time::Instant::now() < deadline, "its places are free again");
    }
}
