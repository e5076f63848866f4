//! A relay that is of no use.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

/// Answers one request so, and whoever asks later not at all; gives its address.
///
/// # Panics
///
/// The system gives no port; the thread, where the request breaks off.
pub fn answering_once(answer: &'static str) -> (String, JoinHandle<TcpListener>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let url = format!("ws://{}", listener.local_addr().expect("a socket"));
    let thread = std::thread::spawn(move || {
        let (mut device, _) = listener.accept().expect("a socket");
        let (mut request, mut buffer) = (Vec::new(), [0; 1024]);
        while !request.ends_with(b"\r\n\r\n") {
            let read = device.read(&mut buffer).expect("a socket");
            request.extend_from_slice(&buffer[..read]);
        }
        write!(device, "HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").expect("a socket");
        listener
    });
    (url, thread)
}
