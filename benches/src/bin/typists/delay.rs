//! A line that takes its time: whatever goes in at one end comes out at the other so much later.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How many bytes are passed on at a time.
const BUFFER_BYTES: usize = 64 * 1024;

/// Opens a door on a free port that leads to `relay`, each way in the time `one_way`; it stays until the process ends.
pub(crate) fn start(relay: SocketAddr, one_way: Duration) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for device in listener.incoming().map_while(Result::ok) {
            let Ok(relay) = TcpStream::connect(relay) else { return };
            if connect(&device, &relay, one_way).is_err() {
                return;
            }
        }
    });
    Ok(address)
}

fn connect(device: &TcpStream, relay: &TcpStream, one_way: Duration) -> std::io::Result<()> {
    device.set_nodelay(true)?;
    relay.set_nodelay(true)?;
    pass(device.try_clone()?, relay.try_clone()?, one_way);
    pass(relay.try_clone()?, device.try_clone()?, one_way);
    Ok(())
}

/// Reads at once and writes later, so that what follows closely is not held up by what came before.
fn pass(mut from: TcpStream, mut to: TcpStream, one_way: Duration) {
    let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>)>();
    std::thread::spawn(move || {
        let mut buffer = vec![0; BUFFER_BYTES];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let bytes = buffer.get(..count).unwrap_or_default().to_vec();
            if sender.send((Instant::now() + one_way, bytes)).is_err() {
                return;
            }
        }
    });
    std::thread::spawn(move || {
        for (due, bytes) in receiver {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                return;
            }
        }
    });
}
