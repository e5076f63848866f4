//! What a device learns when there is no connection.

use crate::support::{TestAuthority, TestRelay, listen, server_that_answers};
use afield_core::wire::Class;
use afield_transport::{ClientOptions, ConnectError, ServerOptions, connect, upgrade_response};

async fn refused_by(answer: &'static str) -> ConnectError {
    let address = server_that_answers(|_| answer.to_owned()).await;
    let token = Some("hunter2".parse().unwrap());
    let error = connect(&address, ClientOptions { token, ..ClientOptions::default() }).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "S6");
    error
}

#[tokio::test]
async fn an_http_status_says_what_to_do_and_when() {
    let table = [
        ("HTTP/1.1 401 Unauthorized\r\n\r\n", Class::SignIn, None),
        ("HTTP/1.1 403 Forbidden\r\n\r\n", Class::Retry, Some(60_000)),
        ("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\n\r\n", Class::Retry, Some(7_000)),
        (
            "HTTP/1.1 503 Service Unavailable\r\nretry-after: 30\r\nContent-Length: 4\r\n\r\nbusy",
            Class::Retry,
            Some(30_000),
        ),
        ("HTTP/1.1 503 Service Unavailable\r\n\r\n", Class::Retry, None),
        ("HTTP/1.1 426 Upgrade Required\r\n\r\n", Class::Upgrade, None),
        ("HTTP/1.1 404 Not Found\r\n\r\n", Class::Retry, Some(60_000)),
        ("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>", Class::Retry, Some(60_000)),
    ];
    for (answer, class, retry_after_ms) in table {
        let error = refused_by(answer).await;
        assert!(matches!(error, ConnectError::Refused { .. }), "{error:?}");
        assert_eq!((error.class(), error.retry_after_ms()), (class, retry_after_ms), "{answer}");
    }
}

#[tokio::test]
async fn a_server_that_is_no_relay_of_this_protocol_is_told_from_one() {
    let other_protocol = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                          Sec-WebSocket-Accept: c3RvbGVu\r\nSec-WebSocket-Protocol: chat\r\n\r\n";
    let not_a_relay = [other_protocol, "SSH-2.0-OpenSSH_9.9\r\n", "HTTP/1.1 101 Switching Protocols\r\n\r\n"];
    for answer in not_a_relay {
        let error = refused_by(answer).await;
        assert!(matches!(error, ConnectError::NotARelay(_)), "{error:?}");
        assert_eq!((error.class(), error.retry_after_ms()), (Class::Retry, Some(60_000)));
    }
    assert!(matches!(refused_by("").await, ConnectError::Cut(_)), "a server that hangs up");
}

#[tokio::test]
async fn the_subprotocol_has_to_be_agreed_on() {
    for (subprotocol, agreed) in [(Some("afield.1"), true), (Some("afield.2"), false), (None, false)] {
        let address = server_that_answers(move |request| {
            assert!(request.starts_with("GET /v1/sync HTTP/1.1\r\n"), "{request}");
            let subprotocol = subprotocol.map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n")).unwrap_or_default();
            format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {}\r\n{subprotocol}\r\n",
                accept_key(request)
            )
        });
        match connect(&address.await, ClientOptions::default()).await {
            Ok(_) => assert!(agreed),
            Err(error) => {
                assert!(!agreed && matches!(error, ConnectError::Subprotocol), "{error:?}");
                assert_eq!(error.class(), Class::Upgrade);
            }
        }
    }
}

/// The right `Sec-WebSocket-Accept` for a request: from the crate's own answer to it.
fn accept_key(request: &str) -> String {
    let headers = request.lines().skip(1).filter_map(|line| line.split_once(": "));
    let request = headers.fold(http::Request::get("/v1/sync"), |request, (name, value)| request.header(name, value));
    let response = upgrade_response(&request.body(()).unwrap().into_parts().0).unwrap();
    response.headers()["sec-websocket-accept"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_is_unreachable() {
    let (listener, port) = listen().await;
    drop(listener);
    for host in ["127.0.0.1", "localhost"] {
        let address = format!("ws://{host}:{port}").parse().unwrap();
        let error = connect(&address, ClientOptions::default()).await.unwrap_err();
        assert!(matches!(error, ConnectError::Unreachable(_)), "{error:?}");
        assert_eq!(error.class(), Class::Retry);
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_in_time() {
    let (listener, port) = listen().await;
    for scheme in ["ws", "wss"] {
        let address = format!("{scheme}://127.0.0.1:{port}").parse().unwrap();
        let authority = TestAuthority::for_host("127.0.0.1");
        let options =
            ClientOptions { handshake_timeout_ms: 200, extra_roots: vec![authority.root], ..ClientOptions::default() };
        let (connected, _stream) = tokio::join!(connect(&address, options), listener.accept());
        assert!(matches!(connected, Err(ConnectError::TimedOut { after_ms: 200 })), "{connected:?}");
    }
}

#[tokio::test]
async fn plain_text_and_tls_do_not_take_each_other_for_a_relay() {
    let authority = TestAuthority::for_host("localhost");
    let plain = TestRelay::start(None, ServerOptions::default()).await;
    let encrypted = TestRelay::start(Some(authority.acceptor), ServerOptions::default()).await;
    let options = ClientOptions { extra_roots: vec![authority.root], ..ClientOptions::default() };
    let as_encrypted = plain.address.to_string().replace("ws://", "wss://").parse().unwrap();
    let error = connect(&as_encrypted, options.clone()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Tls(_)), "{error:?}");
    let as_plain = encrypted.address.to_string().replace("wss://", "ws://").parse().unwrap();
    let error = connect(&as_plain, options).await.unwrap_err();
    assert!(matches!(error, ConnectError::NotARelay(_) | ConnectError::Cut(_)), "{error:?}");
}
