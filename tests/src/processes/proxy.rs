//! A relay's door that counts what goes through it, and can keep it back.

use super::frames::{FrameCounter, Seen};
use super::gate::Gate;
use afield_core::wire::{Message, ToRelay};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How many bytes are passed on at a time.
const BUFFER_BYTES: usize = 64 * 1024;

/// What went through a [`Proxy`] after the HTTP upgrade, over all connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WireFigures {
    /// Connections made.
    pub connections: u64,
    /// From devices to the relay.
    pub to_relay: Seen,
    /// From the relay to devices.
    pub to_device: Seen,
    /// Messages that devices sent but `Progress`, which says at some time what is here and waits for no answer.
    pub asked: u64,
    /// Those of them that a device sent after the relay had answered anything: 0 means that one round trip was enough.
    pub asked_after_first_answer: u64,
}

/// Stands between devices and a relay and counts what really goes over the wire. It ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    connections: Mutex<Vec<Arc<Connection>>>,
    is_over: AtomicBool,
    keeps: bool,
    gate: Gate,
}

#[derive(Debug)]
struct Connection {
    device: TcpStream,
    relay: TcpStream,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    to_relay: FrameCounter,
    to_device: FrameCounter,
    asked: u64,
    asked_after_first_answer: u64,
}

#[derive(Debug, Clone, Copy)]
enum Direction {
    ToRelay,
    ToDevice,
}

impl Proxy {
    /// Opens a door on a free port of this machine that leads to `relay`.
    ///
    /// # Errors
    ///
    /// The system gave no port.
    pub fn start(relay: SocketAddr) -> std::io::Result<Self> {
        Self::start_with(relay, false)
    }

    /// As [`start`](Self::start), and keeps what the relay sends.
    ///
    /// # Errors
    ///
    /// The system gave no port.
    pub fn start_keeping(relay: SocketAddr) -> std::io::Result<Self> {
        Self::start_with(relay, true)
    }

    fn start_with(relay: SocketAddr, keeps: bool) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { keeps, ..Shared::default() });
        let of_thread = shared.clone();
        std::thread::spawn(move || accept(&listener, relay, &of_thread));
        Ok(Self { address, shared })
    }

    /// Where devices connect, as a relay's address.
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// The messages that the relay sent so far, where they are kept.
    pub fn to_device(&self) -> Vec<Vec<u8>> {
        let connections = self.shared.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |connection: &Arc<Connection>| {
            connection.counts.lock().unwrap_or_else(PoisonError::into_inner).to_device.kept().to_vec()
        };
        connections.iter().flat_map(of).collect()
    }

    /// Keeps back whatever arrives from now on, from either side.
    pub fn hold(&self) {
        self.shared.gate.shut();
    }

    /// Keeps back all that arrives once so many bytes have passed, either way, until it is released.
    pub fn hold_after(&self, bytes: u64) {
        self.shared.gate.shut_after(bytes);
    }

    /// Passes on what was kept back, and whatever arrives.
    pub fn release(&self) {
        self.shared.gate.open();
    }

    /// Passes on a few bytes at a time from now on.
    pub fn trickle(&self) {
        self.shared.gate.narrow();
    }

    /// How many bytes have arrived and are kept back.
    pub fn held_bytes(&self) -> u64 {
        self.shared.gate.kept_bytes()
    }

    /// Waits until something has arrived that is kept back, and gives how many bytes.
    ///
    /// # Panics
    ///
    /// Nothing arrives within a minute.
    pub fn wait_until_it_holds(&self) -> u64 {
        self.shared.gate.wait_until_it_keeps()
    }

    /// What has gone through so far.
    pub fn figures(&self) -> WireFigures {
        let connections = self.shared.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let mut figures = WireFigures { connections: connections.len() as u64, ..WireFigures::default() };
        for connection in connections.iter() {
            let counts = connection.counts.lock().unwrap_or_else(PoisonError::into_inner);
            add(&mut figures.to_relay, counts.to_relay.seen());
            add(&mut figures.to_device, counts.to_device.seen());
            figures.asked += counts.asked;
            figures.asked_after_first_answer += counts.asked_after_first_answer;
        }
        figures
    }
}

impl WireFigures {
    /// What has been added since earlier figures.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let less = |now: Seen, then: Seen| Seen {
            bytes: now.bytes - then.bytes,
            messages: now.messages - then.messages,
            control: now.control - then.control,
        };
        Self {
            connections: self.connections - earlier.connections,
            to_relay: less(self.to_relay, earlier.to_relay),
            to_device: less(self.to_device, earlier.to_device),
            asked: self.asked - earlier.asked,
            asked_after_first_answer: self.asked_after_first_answer - earlier.asked_after_first_answer,
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        self.shared.gate.open();
        // The accepting thread looks up when somebody knocks.
        drop(TcpStream::connect(self.address));
        for connection in self.shared.connections.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            connection.end();
        }
    }
}

fn add(sum: &mut Seen, seen: Seen) {
    sum.bytes += seen.bytes;
    sum.messages += seen.messages;
    sum.control += seen.control;
}

/// What cannot be read is no `Progress`.
fn is_progress(message: &[u8]) -> bool {
    let message = Message::open(message);
    message.is_ok_and(|message| matches!(message.to_relay(), Ok(ToRelay::Progress(_))))
}

fn accept(listener: &TcpListener, relay: SocketAddr, shared: &Arc<Shared>) {
    while let Ok((device, _)) = listener.accept() {
        if shared.is_over.load(Ordering::SeqCst) {
            return;
        }
        // A relay that is away refuses the device too: dropping the connection says so.
        let Ok(relay) = TcpStream::connect(relay) else { continue };
        let no_delay = device.set_nodelay(true).and_then(|()| relay.set_nodelay(true));
        if no_delay.is_err() {
            continue;
        }
        let mut counts = Counts { to_relay: FrameCounter::that_keeps(), ..Counts::default() };
        if shared.keeps {
            counts.to_device = FrameCounter::that_keeps();
        }
        let connection = Arc::new(Connection { device, relay, counts: Mutex::new(counts) });
        shared.connections.lock().unwrap_or_else(PoisonError::into_inner).push(connection.clone());
        for direction in [Direction::ToRelay, Direction::ToDevice] {
            let connection = connection.clone();
            let shared = shared.clone();
            std::thread::spawn(move || connection.pass(direction, &shared.gate));
        }
    }
}

impl Connection {
    /// Passes on one direction until either side ends.
    fn pass(&self, direction: Direction, gate: &Gate) {
        let (mut from, mut to) = match direction {
            Direction::ToRelay => (&self.device, &self.relay),
            Direction::ToDevice => (&self.relay, &self.device),
        };
        let mut buffer = vec![0; BUFFER_BYTES];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            let Some(bytes) = buffer.get(..read) else { break };
            // Counted before it is passed on, so that whoever has seen an answer finds it counted.
            self.count(direction, bytes);
            let at_a_time = gate.pass(bytes.len());
            if bytes.chunks(at_a_time).any(|some| to.write_all(some).is_err()) {
                break;
            }
        }
        self.end();
    }

    fn count(&self, direction: Direction, bytes: &[u8]) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        match direction {
            Direction::ToDevice => counts.to_device.take(bytes),
            Direction::ToRelay => {
                counts.to_relay.take(bytes);
                let asked = counts.to_relay.take_whole().iter().filter(|message| !is_progress(message)).count() as u64;
                counts.asked += asked;
                if counts.to_device.seen().messages > 0 {
                    counts.asked_after_first_answer += asked;
                }
            }
        }
    }

    fn end(&self) {
        // Either end may be gone already, which is what is wanted.
        let _ = self.device.shutdown(Shutdown::Both);
        let _ = self.relay.shutdown(Shutdown::Both);
    }
}
