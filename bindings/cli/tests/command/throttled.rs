//! A network that takes next to nothing in one direction.

use crate::running::{Person, Relay};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;

/// What goes up before the way is blocked: the greeting, and what a stranger may send.
const UP_BYTES: u64 = 96 * 1024;

/// A network between a device and a relay that takes nothing more from the device, once it has begun to push, until so
/// many bytes have come down.
struct Network {
    address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

impl Network {
    fn start(relay: &str, down_bytes: u64) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let relay: SocketAddr = relay.trim_start_matches("ws://").parse().unwrap();
        let listener = runtime.block_on(async {
            let socket = TcpSocket::new_v4().unwrap();
            // What the system holds for either side counts as taken, so it is kept small.
            socket.set_recv_buffer_size(16 * 1024).unwrap();
            socket.set_send_buffer_size(16 * 1024).unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            socket.listen(16).unwrap()
        });
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            while let Ok((device, _)) = listener.accept().await {
                let relay = TcpStream::connect(relay).await.unwrap();
                tokio::spawn(carry(device, relay, down_bytes));
            }
        });
        Self { address, _runtime: runtime }
    }
}

async fn carry(device: TcpStream, relay: TcpStream, down_bytes: u64) {
    let ((mut from_device, mut to_device), (mut from_relay, mut to_relay)) = (device.into_split(), relay.into_split());
    let (opens, mut open) = watch::channel(false);
    let came_down = Arc::new(AtomicU64::new(0));
    let up = async {
        let (mut went_up, mut buffer) = (0, vec![0; 8 * 1024]);
        while let Ok(bytes @ 1..) = from_device.read(&mut buffer).await {
            if went_up >= UP_BYTES {
                let _ = open.wait_for(|open| *open).await;
            }
            if to_relay.write_all(&buffer[..bytes]).await.is_err() {
                break;
            }
            went_up += bytes as u64;
        }
        let _ = to_relay.shutdown().await;
    };
    let down = async {
        let mut buffer = vec![0; 8 * 1024];
        while let Ok(bytes @ 1..) = from_relay.read(&mut buffer).await {
            if to_device.write_all(&buffer[..bytes]).await.is_err() {
                break;
            }
            if came_down.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64 >= down_bytes {
                opens.send_replace(true);
            }
        }
        let _ = to_device.shutdown().await;
    };
    tokio::join!(up, down);
}

/// Bytes, as an export writes them, that do not become fewer on their way.
fn noise(seed: u64, bytes: usize) -> serde_json::Value {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        format!("{state:016x}")
    };
    json!({"$bytes": std::iter::repeat_with(next).take(bytes / 8).collect::<String>()})
}

/// Entities that weigh some `megabytes` together.
fn fill(person: &Person, seed: u64, megabytes: u64) {
    let line = |number: u64| {
        let id = format!("0192f0c1-7a3e-7b6c-8d2e-{seed:04}{number:08}");
        json!({"collection": "notes", "id": id, "value": {"photo": noise(seed + number, 250_000)}}).to_string() + "\n"
    };
    person.run_with(["import", "-"], &(0..4 * megabytes).map(line).collect::<String>()).ok();
}

#[test]
fn a_device_reads_while_its_own_changes_wait_for_a_slow_uplink() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::open(folder.path());
    let ada = Person::with_store();
    fill(&ada, 1_000, 12);
    ada.run(["connect", &relay.url()]).ok();
    let ben = Person::joining(&ada.space());
    fill(&ben, 2_000, 8);
    // More than the system holds for a reader that reads nothing, and less than the log.
    let network = Network::start(&relay.url(), 7_000_000);
    let connected = ben.run(["connect", &format!("ws://{}", network.address), "--json"]).json();
    assert_eq!(
        (&connected["changes_sent"], &connected["changes_received"], &connected["traffic"]["sessions"]),
        (&json!(32), &json!(48), &json!(1)),
        "{connected}"
    );
}
