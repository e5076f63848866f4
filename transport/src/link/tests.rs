//! What a link promises, over byte streams in memory and in virtual time. Sockets and TLS are in `tests/`.

use super::options::FRAGMENT_BYTES;
use super::*;
use crate::upgrade::{ServerOptions, accept};
use std::pin::{Pin, pin};
use std::task::Poll;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::protocol::Role;

const MINUTE: Duration = Duration::from_secs(60);
const PIPE_BYTES: usize = 64 * 1024;

async fn device_over(stream: impl ByteStream + 'static, options: LinkOptions) -> Link {
    let stream = WatchedStream::new(stream, options.bytes_without_message_max());
    let config = options.websocket_config(Role::Client);
    let socket = WebSocketStream::from_raw_socket(stream, Role::Client, Some(config)).await;
    Link::over(socket, Side::Device, options)
}

async fn socket_pair(pipe_bytes: usize) -> (Link, Link) {
    let (device, relay) = duplex(pipe_bytes);
    (device_over(device, LinkOptions::default()).await, accept(relay, ServerOptions::default()).await)
}

/// A relay's link with a peer that writes and reads raw bytes.
async fn relay_and_raw_peer(options: ServerOptions) -> (Link, DuplexStream) {
    let (peer, relay) = duplex(PIPE_BYTES);
    (accept(relay, options).await, peer)
}

/// A WebSocket frame as a device sends it, masked with zeros, for payloads below 126 bytes.
fn masked_frame(first_byte: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    assert!(length < 126);
    [&[first_byte, 0x80 | length, 0, 0, 0, 0], payload].concat()
}

const BINARY: u8 = 0x82;
const BINARY_BEGIN: u8 = 0x02;
const CONTINUE: u8 = 0x00;
const TEXT: u8 = 0x81;
const PING: u8 = 0x89;

fn patterned(bytes: usize) -> Bytes {
    (0..bytes).map(|at| (at % 251) as u8).collect()
}

/// Polls a future once, to drop it afterwards.
async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

async fn pairs() -> [(Link, Link); 2] {
    [memory_pair(64), socket_pair(PIPE_BYTES).await]
}

#[tokio::test]
async fn messages_of_every_size_arrive_whole_and_in_order_both_ways() {
    let sizes = [0, 1, 125, 126, FRAGMENT_BYTES, FRAGMENT_BYTES + 1, 65_536, LinkOptions::default().frame_bytes_max];
    for (device, relay) in pairs().await {
        let exchange = async |link: Link| {
            let meter = link.meter();
            let (mut sender, mut receiver) = link.split();
            let sending = async {
                for bytes in sizes {
                    sender.send(patterned(bytes)).await.unwrap();
                }
            };
            let receiving = async {
                for bytes in sizes {
                    assert_eq!(receiver.receive().await.unwrap(), Some(patterned(bytes)));
                }
            };
            tokio::join!(sending, receiving);
            meter.read()
        };
        let (at_device, at_relay) = tokio::join!(exchange(device), exchange(relay));
        assert_eq!(at_device.messages_sent, sizes.len() as u64);
        assert_eq!(
            (at_device.messages_sent, at_device.bytes_sent),
            (at_relay.messages_received, at_relay.bytes_received)
        );
        assert_eq!(
            (at_relay.messages_sent, at_relay.bytes_sent),
            (at_device.messages_received, at_device.bytes_received)
        );
        assert!(at_device.bytes_sent > at_relay.bytes_sent, "only the device masks");
    }
}

#[tokio::test]
async fn statistics_count_exactly_what_is_on_the_wire() {
    let (stream, mut wire) = duplex(PIPE_BYTES);
    let mut device = device_over(stream, LinkOptions::default()).await;
    let sending = async {
        for bytes in [0, 100, 200, 3 * FRAGMENT_BYTES, 3 * FRAGMENT_BYTES + 7] {
            device.feed(patterned(bytes)).await.unwrap();
        }
        device.flush().await.unwrap();
        let statistics = device.statistics();
        drop(device);
        statistics
    };
    let mut seen = Vec::new();
    let (statistics, read) = tokio::join!(sending, wire.read_to_end(&mut seen));
    assert_eq!(statistics.bytes_sent, read.unwrap() as u64);
}

#[tokio::test]
async fn many_small_messages_cost_few_writes() {
    let (mut device, mut relay) = socket_pair(PIPE_BYTES).await;
    for _ in 0..1_000 {
        device.feed(patterned(20)).await.unwrap();
    }
    device.flush().await.unwrap();
    let statistics = device.statistics();
    assert_eq!((statistics.messages_sent, statistics.bytes_sent), (1_000, 26_000));
    assert!(statistics.writes <= 4, "{} writes for 26 KB", statistics.writes);
    for _ in 0..1_000 {
        assert_eq!(relay.receive().await.unwrap(), Some(patterned(20)));
    }
    device.send(patterned(20)).await.unwrap();
    assert_eq!(device.statistics().writes, statistics.writes + 1, "send does not wait for more");
}

#[tokio::test]
async fn a_receive_that_is_dropped_at_every_byte_loses_nothing() {
    let (mut relay, mut peer) = relay_and_raw_peer(ServerOptions::default()).await;
    let wire = [masked_frame(BINARY, b"first"), masked_frame(PING, b""), masked_frame(BINARY, b"second")].concat();
    let mut received = Vec::new();
    for byte in wire {
        peer.write_all(&[byte]).await.unwrap();
        let poll = poll_once(pin!(relay.receive())).await;
        if let Poll::Ready(message) = poll {
            received.push(message.unwrap().unwrap());
        }
    }
    assert_eq!(received, ["first", "second"]);
}

#[tokio::test]
async fn a_send_that_is_dropped_half_way_leaves_no_half_message() {
    let (device, mut relay) = socket_pair(512).await;
    let (mut sender, _receiver) = device.split();
    let large = patterned(5 * FRAGMENT_BYTES);
    let poll = poll_once(pin!(sender.send(large.clone()))).await;
    assert!(poll.is_pending(), "the connection takes 512 bytes, so this test would show nothing");
    let sending = async { sender.send(Bytes::from_static(b"next")).await.unwrap() };
    let receiving = async {
        assert_eq!(relay.receive().await.unwrap(), Some(large));
        assert_eq!(relay.receive().await.unwrap(), Some(Bytes::from_static(b"next")));
    };
    tokio::join!(sending, receiving);
}

#[tokio::test]
async fn two_ends_that_send_at_the_same_time_do_not_wait_for_each_other() {
    let (device, relay) = socket_pair(512).await;
    let exchange = |link: Link| async move {
        let (mut sender, mut receiver) = link.split();
        let sending = tokio::spawn(async move {
            for _ in 0..50 {
                sender.send(patterned(40_000)).await.unwrap();
            }
            sender
        });
        for _ in 0..50 {
            assert_eq!(receiver.receive().await.unwrap().unwrap().len(), 40_000);
        }
        sending.await.unwrap()
    };
    tokio::join!(exchange(device), exchange(relay));
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_found_dead_after_its_time() {
    let (mut relay, _peer) = relay_and_raw_peer(ServerOptions::default()).await;
    let start = Instant::now();
    assert!(matches!(relay.receive().await, Err(LinkError::SilentPeer { silent_ms: 60_000 })));
    assert_eq!(start.elapsed(), MINUTE);
    assert!(matches!(relay.receive().await, Err(LinkError::SilentPeer { .. })), "and it stays so");
    assert!(matches!(relay.send(Bytes::new()).await, Err(LinkError::SilentPeer { .. })), "for both halves");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_peer_that_answers_pings_is_not_dead() {
    let (mut device, mut relay) = socket_pair(PIPE_BYTES).await;
    let quiet = timeout(60 * MINUTE, async { tokio::join!(device.receive(), relay.receive()) }).await;
    assert!(quiet.is_err(), "an hour passed and neither end gave up");
    device.send(Bytes::from_static(b"still here")).await.unwrap();
    assert_eq!(relay.receive().await.unwrap().as_deref(), Some(b"still here".as_slice()));
}

#[tokio::test(start_paused = true)]
async fn a_half_open_connection_is_found_dead_by_both_ends() {
    let (device_stream, mut device_wire) = duplex(PIPE_BYTES);
    let (mut relay_wire, relay_stream) = duplex(PIPE_BYTES);
    let mut device = device_over(device_stream, LinkOptions::default()).await;
    let mut relay = accept(relay_stream, ServerOptions::default()).await;
    let network = timeout(5 * MINUTE, tokio::io::copy_bidirectional(&mut device_wire, &mut relay_wire));
    let before = timeout(5 * MINUTE, async { tokio::join!(device.receive(), relay.receive()) });
    let (network, before) = tokio::join!(network, before);
    assert!(network.is_err() && before.is_err(), "both live as long as the network carries bytes");
    let start = Instant::now();
    let (at_device, at_relay) = tokio::join!(device.receive(), relay.receive());
    assert!(matches!(at_device, Err(LinkError::SilentPeer { .. })));
    assert!(matches!(at_relay, Err(LinkError::SilentPeer { .. })));
    assert!(start.elapsed() <= MINUTE);
}

#[tokio::test(start_paused = true)]
async fn a_slow_connection_in_the_middle_of_a_message_is_not_dead() {
    let (mut relay, mut peer) = relay_and_raw_peer(ServerOptions::default()).await;
    let trickle = async {
        for byte in masked_frame(BINARY, &[7; 30]) {
            peer.write_all(&[byte]).await.unwrap();
            sleep(Duration::from_secs(20)).await;
        }
    };
    let (received, ()) = tokio::join!(relay.receive(), trickle);
    assert_eq!(received.unwrap().unwrap().len(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_given_up_by_both_halves() {
    let (relay, _peer) = relay_and_raw_peer(ServerOptions::default()).await;
    let (mut sender, mut receiver) = relay.split();
    let start = Instant::now();
    let sent = sender.send(patterned(10 * PIPE_BYTES)).await;
    assert!(matches!(sent, Err(LinkError::SlowReader { stalled_ms: 30_000 })));
    assert_eq!(start.elapsed(), MINUTE / 2);
    assert!(matches!(receiver.receive().await, Err(LinkError::SlowReader { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_slowly_and_steadily_is_served() {
    let (mut relay, mut peer) = relay_and_raw_peer(ServerOptions::default()).await;
    let reading = async {
        let mut left = 2 * PIPE_BYTES;
        while left > 0 {
            sleep(Duration::from_secs(20)).await;
            left -= peer.read(&mut vec![0; 8 * 1024]).await.unwrap().min(left);
        }
    };
    let (sent, ()) = tokio::join!(relay.send(patterned(2 * PIPE_BYTES)), reading);
    sent.unwrap();
}

fn small_limit() -> ServerOptions {
    ServerOptions { link: LinkOptions { frame_bytes_max: 100, ..LinkOptions::default() }, ..ServerOptions::default() }
}

/// What the relay said last: the code of its close frame; then nothing may follow.
async fn close_frame_code(mut peer: DuplexStream) -> u16 {
    let mut last_words = Vec::new();
    peer.read_to_end(&mut last_words).await.unwrap();
    let close = &last_words[last_words.len() - 4..];
    assert_eq!(&close[..2], [0x88, 2], "a close frame with a code alone");
    u16::from_be_bytes([close[2], close[3]])
}

#[tokio::test]
async fn a_message_above_the_limit_is_refused_by_its_header_alone() {
    let (mut relay, mut peer) = relay_and_raw_peer(small_limit()).await;
    peer.write_all(&masked_frame(BINARY, &[1; 100])).await.unwrap();
    assert_eq!(relay.receive().await.unwrap().unwrap().len(), 100, "the limit itself is allowed");
    peer.write_all(&masked_frame(BINARY, &[1; 101])[..6]).await.unwrap();
    assert!(matches!(relay.receive().await, Err(LinkError::PeerMessageTooLarge { bytes_max: 100 })));
    assert_eq!(close_frame_code(peer).await, CloseCode::TooLarge.number(), "R8: and the connection is gone");
}

#[tokio::test]
async fn pieces_that_together_exceed_the_limit_are_refused() {
    let (mut relay, mut peer) = relay_and_raw_peer(small_limit()).await;
    peer.write_all(&masked_frame(BINARY_BEGIN, &[1; 60])).await.unwrap();
    peer.write_all(&masked_frame(0x80 | CONTINUE, &[1; 40])).await.unwrap();
    assert_eq!(relay.receive().await.unwrap().unwrap().len(), 100);
    peer.write_all(&masked_frame(BINARY_BEGIN, &[1; 60])).await.unwrap();
    peer.write_all(&masked_frame(CONTINUE, &[1; 41])).await.unwrap();
    assert!(matches!(relay.receive().await, Err(LinkError::PeerMessageTooLarge { .. })));
}

/// Writes `flood` until the relay's end is gone, and reads what it answers.
async fn flood_until_cut(peer: DuplexStream, flood: Vec<u8>) -> u64 {
    let (mut reading, mut writing) = tokio::io::split(peer);
    let answers = async { tokio::io::copy(&mut reading, &mut tokio::io::sink()).await.unwrap() };
    let flooding = async { while writing.write_all(&flood).await.is_ok() {} };
    tokio::join!(answers, flooding).0
}

#[tokio::test]
async fn empty_pieces_and_pings_without_end_end_the_link() {
    for (begin, again) in
        [(masked_frame(BINARY_BEGIN, b""), masked_frame(CONTINUE, b"")), (vec![], masked_frame(PING, b"x"))]
    {
        let (mut relay, mut peer) = relay_and_raw_peer(small_limit()).await;
        peer.write_all(&begin).await.unwrap();
        let receiving = async {
            let received = relay.receive().await;
            drop(relay);
            received
        };
        let (received, _) = tokio::join!(receiving, flood_until_cut(peer, again));
        assert!(matches!(received, Err(LinkError::Flood { .. })), "R8");
    }
}

#[tokio::test]
async fn pings_between_messages_are_answered_and_cost_nothing() {
    let (mut relay, mut peer) = relay_and_raw_peer(small_limit()).await;
    let receiving = async {
        for _ in 0..2_000 {
            assert_eq!(relay.receive().await.unwrap().as_deref(), Some(b"m".as_slice()));
        }
        // An answer may wait for the next receive.
        relay.receive().await
    };
    let pinging = async {
        for _ in 0..2_000 {
            peer.write_all(&masked_frame(PING, &[b'p'; 100])).await.unwrap();
            peer.write_all(&masked_frame(BINARY, b"m")).await.unwrap();
            let mut pong = [0; 102];
            peer.read_exact(&mut pong).await.unwrap();
            assert_eq!(pong[..2], [0x8a, 100]);
        }
    };
    tokio::select! {
        received = receiving => panic!("nothing more was sent, and the link said {received:?}"),
        // 200 KB of pings: more than may come without a message.
        () = pinging => {}
    }
}

#[tokio::test]
async fn a_stranger_may_send_little_until_admitted() {
    let options = ServerOptions { bytes_until_admitted_max: Some(300), ..ServerOptions::default() };
    for admitted in [false, true] {
        let (mut relay, mut peer) = relay_and_raw_peer(options).await;
        // 106 bytes on the wire each: the third one is above the limit, wherever the reads fall.
        peer.write_all(&masked_frame(BINARY, &[1; 100]).repeat(3)).await.unwrap();
        assert!(relay.receive().await.is_ok());
        if admitted {
            relay.admit();
        }
        assert!(relay.receive().await.is_ok());
        match relay.receive().await {
            Ok(message) => assert!(admitted && message.is_some()),
            Err(error) => assert!(!admitted && matches!(error, LinkError::NotAdmitted { bytes_max: 300 })),
        }
    }
}

#[tokio::test]
async fn text_and_unmasked_frames_are_refused_without_repeating_them() {
    let text = masked_frame(TEXT, b"hunter2");
    let not_even_text = masked_frame(TEXT, b"hunter2\xff");
    let unmasked = [&[BINARY, 7], b"hunter2".as_slice()].concat();
    for (wire, code) in [(text, CloseCode::Text), (not_even_text, CloseCode::Text), (unmasked, CloseCode::Protocol)] {
        let (mut relay, mut peer) = relay_and_raw_peer(ServerOptions::default()).await;
        peer.write_all(&wire).await.unwrap();
        let error = relay.receive().await.unwrap_err();
        assert!(matches!(
            (&error, code),
            (LinkError::Text, CloseCode::Text) | (LinkError::Protocol(_), CloseCode::Protocol)
        ));
        assert!(!format!("{error} {error:?}").contains("hunter2"), "S6");
        assert_eq!(close_frame_code(peer).await, code.number());
    }
}

#[tokio::test]
async fn a_close_delivers_what_was_sent_before_it_and_its_code() {
    for (mut device, mut relay) in pairs().await {
        device.feed(Bytes::from_static(b"last words")).await.unwrap();
        let reading = async {
            assert_eq!(relay.receive().await.unwrap().as_deref(), Some(b"last words".as_slice()));
            assert_eq!(relay.close_code(), None);
            assert_eq!(relay.receive().await.unwrap(), None);
            assert_eq!(relay.close_code(), Some(CloseCode::GoingAway));
            assert_eq!(relay.receive().await.unwrap(), None, "and it stays so");
            assert!(matches!(relay.send(Bytes::new()).await, Err(LinkError::Closed)));
        };
        let (closed, ()) = tokio::join!(device.close(CloseCode::GoingAway), reading);
        closed.unwrap();
    }
}

#[tokio::test]
async fn after_a_half_closed_nothing_is_sent_and_the_rest_is_received() {
    for (device, mut relay) in pairs().await {
        let (mut sender, mut receiver) = device.split();
        sender.close(CloseCode::Done).await.unwrap();
        assert!(matches!(sender.send(Bytes::new()).await, Err(LinkError::Closed)));
        relay.send(Bytes::from_static(b"crossed the close")).await.unwrap();
        let (rest, closed) = tokio::join!(receiver.receive(), relay.receive());
        assert_eq!(rest.unwrap().as_deref(), Some(b"crossed the close".as_slice()));
        assert_eq!(closed.unwrap(), None);
        assert_eq!(receiver.receive().await.unwrap(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_that_nobody_answers_takes_its_time_and_no_longer() {
    let (device, _peer) = duplex(PIPE_BYTES);
    let (mut sender, mut receiver) = device_over(device, LinkOptions::default()).await.split();
    let start = Instant::now();
    let (closed, received) = tokio::join!(sender.close(CloseCode::Done), receiver.receive());
    closed.unwrap();
    assert_eq!(received.unwrap(), None);
    assert_eq!(start.elapsed(), LinkOptions::default().close_timeout());
}

#[tokio::test]
async fn an_end_that_is_dropped_is_a_lost_connection_to_the_other() {
    for (mut device, relay) in pairs().await {
        drop(relay);
        assert!(matches!(device.receive().await, Err(LinkError::Lost(_))));
        assert!(device.send(Bytes::new()).await.is_err());
    }
}

#[tokio::test]
async fn a_message_too_large_to_send_leaves_the_link_as_it_was() {
    for (mut device, mut relay) in pairs().await {
        let bytes_max = LinkOptions::default().frame_bytes_max;
        let refused = device.send(patterned(bytes_max + 1)).await;
        assert!(matches!(refused, Err(LinkError::MessageTooLarge { bytes, .. }) if bytes == bytes_max + 1));
        device.send(Bytes::from_static(b"small")).await.unwrap();
        assert_eq!(relay.receive().await.unwrap().as_deref(), Some(b"small".as_slice()));
    }
}

#[tokio::test]
async fn a_link_in_memory_holds_as_many_messages_as_it_was_made_for() {
    let (mut device, mut relay) = memory_pair(2);
    device.send(Bytes::from_static(b"1")).await.unwrap();
    device.send(Bytes::from_static(b"2")).await.unwrap();
    let mut third = pin!(device.send(Bytes::from_static(b"3")));
    assert!(poll_once(third.as_mut()).await.is_pending());
    assert_eq!(relay.receive().await.unwrap().as_deref(), Some(b"1".as_slice()));
    third.await.unwrap();
}
