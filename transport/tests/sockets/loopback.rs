//! Links over real sockets, with TLS and without.

use crate::support::{TestAuthority, TestRelay};
use afield_transport::{
    Client, ClientOptions, CloseCode, ConnectError, Link, LinkError, LinkOptions, ServerOptions, connect,
};
use bytes::Bytes;

fn patterned(bytes: usize) -> Bytes {
    (0..bytes).map(|at| (at % 251) as u8).collect()
}

/// Sends back everything until the peer closes.
async fn echo(mut link: Link) {
    while let Some(message) = link.receive().await.unwrap() {
        link.send(message).await.unwrap();
    }
}

async fn exchange_and_close(mut device: Link) {
    for bytes in [0, 5, 70_000, LinkOptions::default().frame_bytes_max] {
        device.send(patterned(bytes)).await.unwrap();
        assert_eq!(device.receive().await.unwrap(), Some(patterned(bytes)));
    }
    device.close(CloseCode::Done).await.unwrap();
}

#[tokio::test]
async fn messages_cross_a_real_socket_with_the_token_beside_them() {
    let mut relay = TestRelay::start(None, ServerOptions::default()).await;
    let mut client = Client::new(ClientOptions::default());
    for token in [None, Some("secret-1"), Some("secret-2")] {
        client.set_token(token.map(|token| token.parse().unwrap()));
        let device = client.connect(&relay.address).await.unwrap();
        let (link, came_with) = relay.next_link().await;
        assert_eq!(came_with.as_deref(), token);
        tokio::join!(echo(link), exchange_and_close(device));
    }
}

#[tokio::test]
async fn an_added_root_is_trusted_and_nothing_without_it() {
    let authority = TestAuthority::for_host("localhost");
    let mut relay = TestRelay::start(Some(authority.acceptor), ServerOptions::default()).await;
    let error = connect(&relay.address, ClientOptions::default()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Tls(_) | ConnectError::TrustStore(_)), "{error:?}");

    let client = Client::new(ClientOptions { extra_roots: vec![authority.root], ..ClientOptions::default() });
    for _ in 0..2 {
        let device = client.connect(&relay.address).await.unwrap();
        let (link, _) = relay.next_link().await;
        tokio::join!(echo(link), exchange_and_close(device));
    }
}

#[tokio::test]
async fn a_trusted_certificate_for_another_host_is_refused() {
    let authority = TestAuthority::for_host("elsewhere.example");
    let relay = TestRelay::start(Some(authority.acceptor), ServerOptions::default()).await;
    let options = ClientOptions { extra_roots: vec![authority.root], ..ClientOptions::default() };
    let error = connect(&relay.address, options).await.unwrap_err();
    assert!(matches!(error, ConnectError::Tls(_)), "{error:?}");
}

#[tokio::test]
async fn a_message_above_the_limit_ends_the_connection_and_not_the_relay() {
    let options = ServerOptions {
        link: LinkOptions { frame_bytes_max: 10_000, ..LinkOptions::default() },
        ..ServerOptions::default()
    };
    let mut relay = TestRelay::start(None, options).await;
    let mut device = connect(&relay.address, ClientOptions::default()).await.unwrap();
    let (mut link, _) = relay.next_link().await;
    device.send(patterned(10_001)).await.unwrap();
    assert!(matches!(link.receive().await, Err(LinkError::PeerMessageTooLarge { bytes_max: 10_000 })));
    match device.receive().await {
        Ok(None) => assert_eq!(device.close_code(), Some(CloseCode::TooLarge)),
        // The operating system may throw the relay's last words away when it resets a connection with unread bytes.
        other => assert!(matches!(other, Err(LinkError::Lost(_))), "{other:?}"),
    }

    let device = connect(&relay.address, ClientOptions::default()).await.unwrap();
    let (link, _) = relay.next_link().await;
    let small = async {
        let mut device = device;
        device.send(patterned(10_000)).await.unwrap();
        assert_eq!(device.receive().await.unwrap(), Some(patterned(10_000)));
        device.close(CloseCode::Done).await.unwrap();
    };
    tokio::join!(echo(link), small);
}

#[tokio::test]
async fn a_process_that_ends_without_a_close_is_a_lost_connection() {
    let mut relay = TestRelay::start(None, ServerOptions::default()).await;
    let device = connect(&relay.address, ClientOptions::default()).await.unwrap();
    let (mut link, _) = relay.next_link().await;
    drop(device);
    assert!(matches!(link.receive().await, Err(LinkError::Lost(_))));
}

#[tokio::test]
async fn many_queued_messages_cost_few_system_calls() {
    let mut relay = TestRelay::start(None, ServerOptions::default()).await;
    let mut device = connect(&relay.address, ClientOptions::default()).await.unwrap();
    let (mut link, _) = relay.next_link().await;
    assert_eq!(device.statistics().writes, 0, "the handshake is not counted");
    for _ in 0..1_000 {
        device.feed(patterned(20)).await.unwrap();
    }
    device.flush().await.unwrap();
    for _ in 0..1_000 {
        assert_eq!(link.receive().await.unwrap(), Some(patterned(20)));
    }
    let (sent, received) = (device.statistics(), link.statistics());
    assert!(sent.writes <= 8, "{} writes", sent.writes);
    assert_eq!((sent.bytes_sent, sent.messages_sent), (received.bytes_received, received.messages_received));
}
