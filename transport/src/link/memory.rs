//! A link in memory, for tests.

use super::close::CloseCode;
use super::error::LinkError;
use super::options::LinkOptions;
use super::statistics::{LinkMeter, Side};
use super::{Link, LinkReceiver, LinkSender, ReceiverKind, SenderKind};
use bytes::Bytes;
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::sync::mpsc;

/// Makes two links that are each other's peer, without a socket: the first is the device's end, the second the relay's.
///
/// Each direction holds `capacity` messages (at least 1) and then makes the sender wait. An end that is dropped without
/// a close is a lost connection to the other, as with a socket. There is no heartbeat: neither end can fall silent
/// unseen. Statistics count what a WebSocket would have added.
pub fn memory_pair(capacity: usize) -> (Link, Link) {
    let (to_relay, from_device) = direction(capacity);
    let (to_device, from_relay) = direction(capacity);
    (link(Side::Device, to_relay, from_relay), link(Side::Relay, to_device, from_device))
}

pub(super) struct MemorySender {
    outgoing: Arc<Outgoing>,
    meter: LinkMeter,
}

pub(super) struct MemoryReceiver {
    incoming: Incoming,
    /// The other direction of this end: closed as soon as the peer's close is read, as a WebSocket answers a close.
    outgoing: Arc<Outgoing>,
    meter: LinkMeter,
    /// Known once everything before the close has been read.
    close_code: Option<CloseCode>,
}

/// The sending end of one direction.
struct Outgoing {
    /// Nothing once this end has closed.
    messages: Mutex<Option<mpsc::Sender<Bytes>>>,
    closed_with: Arc<OnceLock<CloseCode>>,
}

/// The receiving end of one direction.
struct Incoming {
    messages: mpsc::Receiver<Bytes>,
    closed_with: Arc<OnceLock<CloseCode>>,
}

impl MemorySender {
    pub(super) async fn feed(&mut self, message: Bytes) -> Result<(), LinkError> {
        let bytes = message.len();
        let bytes_max = LinkOptions::default().frame_bytes_max;
        if bytes > bytes_max {
            return Err(LinkError::MessageTooLarge { bytes, bytes_max });
        }
        let messages = self.outgoing.messages().ok_or(LinkError::Closed)?;
        messages.send(message).await.map_err(|_| LinkError::lost(io::ErrorKind::BrokenPipe.into()))?;
        self.meter.sent(bytes);
        Ok(())
    }

    pub(super) fn start_close(&mut self, code: CloseCode) {
        self.outgoing.close(code);
    }
}

impl MemoryReceiver {
    pub(super) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, LinkError>> {
        Poll::Ready(match ready!(self.incoming.messages.poll_recv(cx)) {
            Some(bytes) => {
                self.meter.received(bytes.len());
                Ok(Some(bytes))
            }
            None => match self.incoming.closed_with.get().copied() {
                Some(code) => {
                    self.close_code = Some(code);
                    self.outgoing.close(code);
                    Ok(None)
                }
                None => Err(LinkError::lost(io::ErrorKind::UnexpectedEof.into())),
            },
        })
    }

    pub(super) fn close_code(&self) -> Option<CloseCode> {
        self.close_code
    }
}

impl Outgoing {
    fn messages(&self) -> Option<mpsc::Sender<Bytes>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn close(&self, code: CloseCode) {
        self.closed_with.get_or_init(|| code);
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

fn direction(capacity: usize) -> (Outgoing, Incoming) {
    let (sender, receiver) = mpsc::channel(capacity.max(1));
    let closed_with = Arc::new(OnceLock::new());
    let outgoing = Outgoing { messages: Mutex::new(Some(sender)), closed_with: Arc::clone(&closed_with) };
    (outgoing, Incoming { messages: receiver, closed_with })
}

fn link(side: Side, outgoing: Outgoing, incoming: Incoming) -> Link {
    let meter = LinkMeter::new(side);
    let outgoing = Arc::new(outgoing);
    let sender = MemorySender { outgoing: Arc::clone(&outgoing), meter: meter.clone() };
    let receiver = MemoryReceiver { incoming, outgoing, meter: meter.clone(), close_code: None };
    Link::new(
        LinkSender { kind: SenderKind::Memory(sender), meter: meter.clone() },
        LinkReceiver { kind: ReceiverKind::Memory(receiver), meter },
        LinkOptions::default(),
    )
}
