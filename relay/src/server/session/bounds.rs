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

/// How the time ends in which a session takes a place among those that were not welcomed.
#[derive(Debug, Clone, Copy)]
enum End {
    Welcomed,
    SentAway,
    PeerCloses,
    PeerBreaks,
}

#[tokio::test(start_paused = true)]
async fn the_places_of_a_handshake_are_free_again_once_it_is_over_however_it_ended() {
    use super::super::places::PerAddress;
    let here = std::net::IpAddr::from([192, 0, 2, 1]);
    for end in [End::Welcomed, End::SentAway, End::PeerCloses, End::PeerBreaks] {
        let (of_all, of_address) = (Arc::new(Semaphore::new(1)), PerAddress::new(1));
        let handshake = Arc::clone(&of_all).try_acquire_owned().unwrap();
        let handshake = Handshake::new(handshake, of_address.take(here));
        let common = Common { handshake, ..Common::unlimited() };
        let (mut device, relay) = memory_pair(1);
        let (connection, _queue) = Connection::unheard();
        let (admit, admitted) = oneshot::channel();
        let reading = tokio::spawn(async move { read(relay.split().1, admitted, &connection, common).await });
        device.send(vec![0; 8].into()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(of_all.available_permits() == 0 && of_address.take(here).is_none(), "the control: {end:?}");
        let mut kept = (Some(device), Some(admit));
        match end {
            End::Welcomed => {
                let writer = Writer { user: 1, device: afield_core::DeviceId::from_bytes([1; 16]) };
                kept.1.take().unwrap().send(writer).unwrap();
            }
            End::SentAway => drop(kept.1.take()),
            End::PeerCloses => kept.0.take().unwrap().close(CloseCode::Done).await.unwrap(),
            End::PeerBreaks => drop(kept.0.take()),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(reading.is_finished(), matches!(end, End::PeerCloses | End::PeerBreaks), "{end:?}");
        assert!(of_all.available_permits() == 1 && of_address.take(here).is_some(), "{end:?}");
        reading.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_the_hub_is_bounded_however_small_the_messages_are() {
    // One message is on its way and one is read that finds no room.
    assert_eq!(waiting(FRAME_BYTES_MAX / 2).await, 3 + 2);
    let (few, most) = (waiting(1).await, INBOUND_BYTES_MAX / MESSAGE_OVERHEAD_BYTES + 2);
    assert!(few > 1_000 && few <= most, "R8: {few} of at most {most}");
}
