//! What a session may have waiting for the hub.

use super::*;
use afield_transport::memory_pair;
use std::time::Duration;

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
async fn what_waits_for_the_hub_is_bounded_however_small_the_messages_are() {
    // One message is on its way and one is read that finds no room.
    assert_eq!(waiting(FRAME_BYTES_MAX / 2).await, 3 + 2);
    let (few, most) = (waiting(1).await, INBOUND_BYTES_MAX / MESSAGE_OVERHEAD_BYTES + 2);
    assert!(few > 1_000 && few <= most, "R8: {few} of at most {most}");
}
