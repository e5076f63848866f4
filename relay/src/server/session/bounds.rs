//! What a session may have waiting for the hub.

use super::*;
use afield_transport::{ServerOptions, accept, memory_pair};
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// How many messages of a session wait for a hub that does not come to them.
async fn waiting(message_bytes: usize) -> usize {
    let (mut device, relay) = memory_pair(1);
    let (connection, _queue) = Connection::unheard();
    let (_admit, admitted) = oneshot::channel();
    let reading = read(relay.split().1, admitted, &connection, Common::unlimited());
    let sending = async {
        let mut sent = 0;
        // Time stands still until nobody can go on.
        while tokio::time::timeout(Duration::from_secs(1), device.send(vec![0; message_bytes].into())).await.is_ok() {
            sent += 1;
        }
        sent
    };
    tokio::select! {
        _ = reading => panic!("the device is still there"),
        sent = sending => sent,
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_not_welcomed_may_send_no_more_than_a_stranger_until_the_session_has_ended() {
    const STRANGER_BYTES: u64 = 1_000;
    /// A message of 600 bytes as a client frames it (RFC 6455), masked with zeros.
    const FRAME: [u8; 8] = [0x82, 0xfe, 0x02, 0x58, 0, 0, 0, 0];
    for is_welcome in [true, false] {
        let (near, mut peer) = tokio::io::duplex(1 << 20);
        let options = ServerOptions { bytes_until_admitted_max: Some(STRANGER_BYTES), ..ServerOptions::default() };
        let receiver = accept(near, options).await.split().1;
        let (connection, _queue) = Connection::unheard();
        let (admit, admitted) = oneshot::channel();
        if is_welcome {
            admit.send(Writer { user: 1, device: afield_core::DeviceId::from_bytes([1; 16]) }).unwrap();
        } else {
            drop(admit);
        }
        for _ in 0..8 {
            peer.write_all(&[&FRAME[..], &[0; 600]].concat()).await.unwrap();
        }
        let reading = read(receiver, admitted, &connection, Common::unlimited());
        let ended = tokio::time::timeout(Duration::from_secs(1), reading).await;
        assert!(if is_welcome { ended.is_err() } else { matches!(ended, Ok(Err(_))) }, "{is_welcome}: {ended:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_the_hub_is_bounded_however_small_the_messages_are() {
    // One message is on its way and one is read that finds no room.
    assert_eq!(waiting(FRAME_BYTES_MAX / 2).await, 3 + 2);
    let (few, most) = (waiting(1).await, INBOUND_BYTES_MAX / MESSAGE_OVERHEAD_BYTES + 2);
    assert!(few > 1_000 && few <= most, "R8: {few} of at most {most}");
}
